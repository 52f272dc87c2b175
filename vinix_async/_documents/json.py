"""JSON texts to values: by msgspec, and by a stack of our own where a text is nested too deeply for it."""

import json
import math
import re
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed leaves it out
from typing import Any, Final

import msgspec

from .._exceptions import DecodeError

_MOST_LEVELS: Final = 1024
_BOM: Final = b"\xef\xbb\xbf"
_parse: Final = msgspec.json.Decoder().decode
_write: Final = msgspec.json.Encoder().encode


def check_text(body: bytes) -> bytes:
    """``body`` without its byte order mark, if it is UTF-8: where a parser only skips a value it does not look."""
    if body.isascii():  # tells it in a fraction of the time, and mostly is so
        return body
    body = body.removeprefix(_BOM)
    try:
        str(body, "utf-8")
    except UnicodeDecodeError as error:
        position = error.start
    else:
        return body
    raise _no_json(f"at byte {position}")


def parse_json(text: bytes | msgspec.Raw) -> Any:
    """The value in ``text`` (UTF-8, with or without a byte order mark), or in a part of a text that has been checked.

    Raises ``DecodeError``, ``transient`` unless the text is nested too deeply; 1,024 levels can always be read.
    """
    body = text if type(text) is msgspec.Raw else check_text(text)
    try:
        return _parse(body)
    except RecursionError:
        where = None
    except msgspec.DecodeError as error:
        at = re.search(r"\(byte (\d+)\)", str(error))
        where = f"at byte {at[1]}" if at else "a number is out of range"
        if "truncated" in str(error):
            where = f"at byte {len(body)}"
    # Outside of the handler: no error of ours holds one that has seen the body.
    if where is not None:
        raise _no_json(where)
    return _parse_deep(str(body, "utf-8"))


def write_json(value: Any) -> bytes:
    """``value`` as compact JSON, however deep it is."""
    try:
        return _write(value)
    except (RecursionError, UnicodeEncodeError):  # or a lone surrogate, which a JSON text can spell
        return "".join(_pieces_of(value)).encode()


def _pieces_of(value: Any) -> Iterator[str]:
    """The pieces of a JSON text, by a stack in place of recursion; a piece of the text itself is a tuple."""
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if kind is tuple:
            yield item[0]
        elif kind is str:
            yield _quoted(item)
        elif kind is dict:
            waiting.append(("}",))
            for number, (key, inner) in enumerate(reversed(item.items())):
                comma = "," if number < len(item) - 1 else ""
                waiting += [inner, (f"{comma}{_quoted(key)}:",)]
            waiting.append(("{",))
        elif kind is list:
            waiting.append(("]",))
            for number, inner in enumerate(reversed(item)):
                waiting += [inner, ("," if number < len(item) - 1 else "",)]
            waiting.append(("[",))
        else:
            yield json.dumps(item)


_quoted: Final = json.encoder.encode_basestring_ascii


def _no_json(where: str) -> DecodeError:
    return DecodeError(f"the body is no JSON ({where})", transient=True)


_LEXEME: Final = (
    r"[ \t\n\r]*(?:(?P<mark>[{}\[\],:\"])|(?P<number>-?(?:0|[1-9][0-9]*)(?P<real>(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?))"
    r"|(?P<word>true|false|null))"
)
_WORDS: Final = {"true": True, "false": False, "null": None}


def _parse_deep(text: str) -> Any:  # noqa: C901, PLR0912  # one branch for each mark
    """As ``_parse`` does it, without recursion."""
    outer: list[Any] = []  # the containers around the one at hand, each with the key that waits in it
    here: Any = []  # the text's value becomes its only item
    key: str | None = None
    last: str = "["  # the mark before, "key", or "value"
    good = end = 0
    lexeme_at = re.compile(_LEXEME).match
    while token := lexeme_at(text, end):
        mark, end = token["mark"], token.end()
        naming = type(here) is dict and last in {"{", ","}
        if mark == ",":
            if last != "value" or not outer:
                break
            last = mark
        elif mark == ":":
            if last != "key":
                break
            last = mark
        elif mark in {"}", "]"}:
            if not outer or mark != ("}" if type(here) is dict else "]") or last not in {"value", "{", "["}:
                break
            value = here
            here, key = outer.pop()
            _put(here, key, value)
            last = "value"
        elif not naming and last not in {"[", ",", ":"}:
            break
        elif mark in {"{", "["} and not naming:
            if len(outer) == _MOST_LEVELS:
                raise DecodeError("the JSON is nested too deeply to be read")
            outer.append((here, key))
            here, last = ({} if mark == "{" else []), mark
        else:
            found = _scalar(text, token)
            if found is None or (naming and mark != '"'):
                break
            value, end = found
            if naming:
                key, last = value, "key"
            else:
                _put(here, key, value)
                last = "value"
        good = end
    if outer or not here or text[good:].strip(" \t\n\r"):
        raise _no_json(f"at byte {len(text[:good].encode())}")
    return here[0]


def _put(container: Any, key: str | None, value: Any) -> None:
    if type(container) is dict:
        container[key] = value
    else:
        container.append(value)


def _scalar(text: str, token: re.Match[str]) -> tuple[Any, int] | None:
    """The string, number or word that begins at ``token``, and where it ends; None if it is none."""
    if token["word"]:
        return _WORDS[token["word"]], token.end()
    try:
        if token["mark"] == '"':
            value, end = scanstring(text, token.end(), True)  # strict: no control characters
            value.encode()  # a lone surrogate is no text
            return value, end
        if token["mark"]:  # where a key belongs
            return None
        number = float(token["number"]) if token["real"] else int(token["number"])
    except ValueError:  # of the string, or of more digits than Python reads
        return None
    return None if number in {math.inf, -math.inf} else (number, token.end())
