"""What is stored of a callflow: its JSON text, its hash, and the texts by which it is found."""

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec
from attrs import frozen

from .. import Callflow, to_dict
from ..flows import references

_NOT_CONTENT: Final = ("metadata", "_read_only")
"""Keys that the server computes from other documents. They change without a change of the callflow."""

_HASH_SIZE: Final = 16
_MAX_KEY: Final = 1_000
_KEPT: Final = 900
"""The bytes of a text up to which it is a search key, and how many of a longer one are kept."""

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
"""PostgreSQL refuses NUL in a text, and both drivers refuse lone surrogates."""

_TOGGLE: Final = "ring_group_toggle"

_encode: Final = msgspec.json.Encoder().encode
_encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode


def content_hash(document: Mapping[str, Any]) -> bytes:
    """Return the hash of a JSON object without its ``metadata`` and ``_read_only``, in 16 bytes.

    The order of keys does not matter. ``1`` and ``1.0`` differ. Nesting may have any depth, and strings may contain
    lone surrogates.
    """
    content = {key: value for key, value in document.items() if key not in _NOT_CONTENT}
    return blake2b(_write(content, in_order=True), digest_size=_HASH_SIZE).digest()


@frozen
class Content:
    """What is stored of a callflow."""

    hash: bytes
    document: str
    metadata: str | None
    name: str | None
    type: str | None
    numbers: tuple[str, ...]
    references: tuple[tuple[str, str, str, str], ...]
    """Target, JSON pointer of the node, field and module of each reference, in the order of the document."""
    toggles: tuple[str, ...]


def content_of(callflow: Callflow) -> Content:
    """Return what is stored of ``callflow``."""
    document = to_dict(callflow)
    digest = content_hash(document)
    metadata = document.pop("metadata", None)
    document.pop("_read_only", None)
    found = list(references(callflow))
    kind = callflow.type
    return Content(
        hash=digest,
        document=_write(document).decode(),
        metadata=_write(metadata).decode() if metadata else None,
        name=None if callflow.name is None else storable(callflow.name),
        type=None if kind is None else storable(kind if isinstance(kind, str) else _write(kind).decode()),
        numbers=tuple(dict.fromkeys(map(search_key, callflow.numbers))),
        references=tuple(
            (search_key(each.target), storable(each.path), storable(each.field), storable(each.module))
            for each in found
        ),
        toggles=tuple(dict.fromkeys(storable(each.target) for each in found if each.module == _TOGGLE)),
    )


def toggled_by(callflow: Callflow) -> set[str]:
    """Return the ids of the callflows that ``callflow`` rewrites when it is dialled. The server does not date that."""
    if _TOGGLE not in callflow.modules:
        return set()
    return {each.target for each in references(callflow) if each.module == _TOGGLE}


def search_key(text: str) -> str:
    """Return the text under which something is found. The index of PostgreSQL takes no more than 2,700 bytes.

    A long text is cut and ends with its hash, so that it is still found as a whole.
    """
    text = storable(text)
    data = text.encode()
    if len(data) <= _MAX_KEY:
        return text
    return f"{data[:_KEPT].decode(errors='ignore')}…{blake2b(data, digest_size=_HASH_SIZE).hexdigest()}"


def storable(text: str) -> str:
    """Return ``text`` with NUL and lone surrogates written as JSON escapes."""
    return _UNSTORABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _write(value: Any, *, in_order: bool = False) -> bytes:
    """Return ``value`` as compact JSON, at any depth of nesting, with sorted keys if ``in_order``."""
    try:
        return _encode_sorted(value) if in_order else _encode(value)
    except (RecursionError, UnicodeEncodeError):
        return "".join(_write_deep(value, in_order=in_order)).encode()


def _write_deep(value: Any, *, in_order: bool) -> Iterator[str]:
    """Yield the text that msgspec would write, in parts. Lone surrogates are escaped."""
    waiting: list[tuple[bool, Any]] = [(False, value)]  # whether it is text already, and the text or value
    while waiting:
        is_text, item = waiting.pop()
        if is_text:
            yield item
        elif isinstance(item, dict):
            yield "{"
            waiting.append((True, "}"))
            pairs = sorted(item.items()) if in_order else list(item.items())
            for index, (key, inner) in reversed(list(enumerate(pairs))):
                waiting += [(False, inner), (True, f"{',' if index else ''}{_write_scalar(key)}:")]
        elif isinstance(item, list):
            yield "["
            waiting.append((True, "]"))
            for index, inner in reversed(list(enumerate(item))):
                waiting += [(False, inner), (True, "," if index else "")]
        else:
            yield _write_scalar(item)


def _write_scalar(value: Any) -> str:
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:
        return json.dumps(value)
