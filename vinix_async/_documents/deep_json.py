"""Converts JSON text to values and values to JSON text.

msgspec handles ordinary values. msgspec is recursive, and it reaches Python's recursion limit in a flow of about 500
nested nodes. ``_parse_deep`` and ``_write_deep`` handle deeper values without recursion.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from .._exceptions import DecodeError

_MAX_DEPTH: Final = 20_100
"""The maximum number of nested objects and arrays. A flow of 10,000 nested nodes has about 20,000."""

_BOM: Final = b"\xef\xbb\xbf"
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode
_encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode


def check_text(body: bytes) -> bytes:
    """Return ``body`` without its byte order mark. Raise ``DecodeError`` if it is not valid UTF-8.

    This check is needed, because msgspec does not check the values that it skips.
    """
    if body.isascii():  # usually true, and much faster than decoding the body
        return body
    body = body.removeprefix(_BOM)
    try:
        str(body, "utf-8")
    except UnicodeDecodeError as error:
        position = error.start
    else:
        return body
    raise _not_json(f"at byte {position}")


def parse_json(text: bytes | msgspec.Raw) -> Any:
    """Return the value of a JSON text in UTF-8, with or without a byte order mark.

    If ``text`` is a ``Raw``, it must already have been checked with ``check_text``.

    Raises ``DecodeError`` if the text is not valid JSON or is nested too deeply. Only the first error is ``transient``.
    """
    body = text if type(text) is msgspec.Raw else check_text(text)
    try:
        return _decode(body)
    except RecursionError:
        too_deep = True
    except msgspec.DecodeError:
        too_deep = False
    # Raise outside the except blocks. Otherwise the __context__ of this error would be msgspec's error. The traceback
    # of msgspec's error refers to the body, which may contain a token.
    if too_deep:
        return _parse_deep(str(body, "utf-8"))
    raise _not_json(_find_error(str(body, "utf-8")))


def write_json(value: Any, *, in_order: bool = False) -> bytes:
    """Return ``value`` as compact JSON, at any depth of nesting. If ``in_order`` is true, the keys are sorted."""
    try:
        return _encode_sorted(value) if in_order else _encode(value)
    except (RecursionError, UnicodeEncodeError):
        return "".join(_write_deep(value, in_order=in_order)).encode()


def _not_json(where: str) -> DecodeError:
    return DecodeError(f"the response body is not valid JSON ({where})", transient=True)


def _find_error(text: str) -> str:
    """Return a description of the first error in ``text``, such as ``at byte 17``.

    The standard library finds the position. msgspec would report it only in the text of its error.
    """
    constants: list[str] = []  # NaN, Infinity and -Infinity, which only the standard library accepts
    try:
        json.loads(text, parse_constant=constants.append)
    except json.JSONDecodeError as error:
        if not constants:
            return _place(text, error.pos)
    except (ValueError, RecursionError):
        pass
    if constants:
        return f"it contains {constants[0]}"
    return "it contains a number or a character that is out of range"


def _place(text: str, position: int) -> str:
    return f"at byte {len(text[:position].encode())}"


_TOKEN: Final = re.compile(r'[ \t\n\r]*([{}\[\],:]|"[^"\\]*(?:\\.[^"\\]*)*"|[^ \t\n\r{}\[\],:"]+)', re.DOTALL)
_INVALID: Final[Any] = object()


def _parse_deep(text: str) -> Any:  # noqa: C901, PLR0912  # a branch for each kind of token
    """Return the value of ``text``. This function parses objects and arrays. msgspec parses all other values."""
    whole: list[Any] = []  # receives the value of ``text``
    containers: list[Any] = [whole]  # ``whole``, and the objects and arrays that are not complete yet
    key: Any = None
    last = "["  # the previous token: a punctuation mark, "key" or "value"
    end = 0
    while token := _TOKEN.match(text, end):
        word, here = token[1], containers[-1]
        is_object = isinstance(here, dict)
        if word == "," and last == "value" and len(containers) > 1:
            last = ","
        elif word == ":" and last == "key":
            last = ":"
        elif word == ("}" if is_object else "]") and last in {"value", "{", "["} and len(containers) > 1:
            containers.pop()
            last = "value"
        elif is_object and last in {"{", ","}:
            key = _parse_word(word) if word[0] == '"' else _INVALID
            if key is _INVALID:
                break
            last = "key"
        elif last in {"[", ",", ":"}:
            value = {} if word == "{" else [] if word == "[" else _parse_word(word)
            if value is _INVALID:
                break
            if is_object:
                here[key] = value
            else:
                here.append(value)
            last = "value"
            if word in {"{", "["}:
                containers.append(value)
                last = word
                if len(containers) - 1 > _MAX_DEPTH:
                    raise DecodeError(f"the response body is nested too deeply: more than {_MAX_DEPTH} levels")
        else:
            break
        end = token.end()
    if len(containers) > 1 or not whole or text[end:].strip(" \t\n\r"):
        raise _not_json(_place(text, end))
    return whole[0]


def _parse_word(word: str) -> Any:
    try:
        return _decode(word)
    except msgspec.DecodeError:
        return _INVALID


def _write_deep(value: Any, *, in_order: bool) -> Iterator[str]:
    """Yield the parts of the JSON text that msgspec would write. Lone surrogates are escaped."""
    waiting: list[Any] = [value]  # the values that are still to be written; a tuple contains one part of the text
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if kind is tuple:
            yield item[0]
        elif kind is dict:
            yield "{"
            waiting.append(("}",))
            pairs = sorted(item.items()) if in_order else list(item.items())
            for index, (key, inner) in reversed(list(enumerate(pairs))):
                waiting += [inner, (f"{',' if index else ''}{_write_scalar(key)}:",)]
        elif kind is list:
            yield "["
            waiting.append(("]",))
            for index, inner in reversed(list(enumerate(item))):
                waiting += [inner, ("," if index else "",)]
        else:
            yield _write_scalar(item)


def _write_scalar(value: Any) -> str:
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:  # a lone surrogate
        return json.dumps(value)
