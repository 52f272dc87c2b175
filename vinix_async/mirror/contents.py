"""Converts a callflow to the values that are stored: its JSON text, its hash and its search keys."""

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from attrs import frozen

from .. import Callflow, to_dict
from .._documents.deep_json import write_json
from ..flows import references

_NOT_CONTENT: Final = ("metadata", "_read_only")
"""Keys that the server adds when it sends a callflow. Their values can change although the callflow does not."""

_HASH_SIZE: Final = 16
_MAX_KEY: Final = 1_000
"""The maximum length of a search key in bytes. Longer texts are shortened."""

_KEPT: Final = 900
"""The search key of a text longer than ``_MAX_KEY`` consists of this number of bytes of the text, and a hash."""

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
"""Characters that cannot be stored. PostgreSQL does not accept NUL, and neither driver accepts lone surrogates."""

_TOGGLE: Final = "ring_group_toggle"


def content_hash(document: Mapping[str, Any]) -> bytes:
    """Return a 16-byte hash of a JSON object. The keys ``metadata`` and ``_read_only`` are left out.

    The hash does not depend on the order of keys. The numbers ``1`` and ``1.0`` have different hashes. The object may
    be nested to any depth, and strings may contain lone surrogates.
    """
    content = {key: value for key, value in document.items() if key not in _NOT_CONTENT}
    return blake2b(write_json(content, in_order=True), digest_size=_HASH_SIZE).digest()


@frozen
class Content:
    """The values that are stored for a callflow."""

    hash: bytes
    document: str
    metadata: str | None
    name: str | None
    type: str | None
    numbers: tuple[str, ...]
    references: tuple[tuple[str, str, str, str], ...]
    """The target, the JSON pointer of the node, the field and the module of each reference, in document order."""
    toggles: tuple[str, ...]
    """The ids of the callflows that the server changes when this callflow is dialled."""


def content_of(callflow: Callflow) -> Content:
    """Return the values that are stored for ``callflow``."""
    document = to_dict(callflow)
    digest = content_hash(document)
    metadata = document.pop("metadata", None)
    document.pop("_read_only", None)
    found = list(references(callflow))
    kind = callflow.type
    return Content(
        hash=digest,
        document=write_json(document).decode(),
        metadata=write_json(metadata).decode() if metadata else None,
        name=None if callflow.name is None else storable(callflow.name),
        type=None if kind is None else storable(kind if isinstance(kind, str) else write_json(kind).decode()),
        numbers=tuple(dict.fromkeys(map(search_key, callflow.numbers))),
        references=tuple(
            (search_key(each.target), storable(each.path), storable(each.field), storable(each.module))
            for each in found
        ),
        toggles=tuple(dict.fromkeys(storable(each.target) for each in found if each.module == _TOGGLE)),
    )


def toggled_by(callflow: Callflow) -> set[str]:
    """Return the ids of the callflows that the server changes when ``callflow`` is dialled.

    These changes do not update the ``pvt_modified`` of the changed callflows.
    """
    if _TOGGLE not in callflow.modules:
        return set()
    return {each.target for each in references(callflow) if each.module == _TOGGLE}


def search_key(text: str) -> str:
    """Return ``text`` in the form in which the database stores and finds it.

    A long text is shortened, because an index of PostgreSQL does not accept values of more than 2,700 bytes. The hash
    of the whole text is appended, so that different texts have different keys.
    """
    text = storable(text)
    data = text.encode()
    if len(data) <= _MAX_KEY:
        return text
    return f"{data[:_KEPT].decode(errors='ignore')}…{blake2b(data, digest_size=_HASH_SIZE).hexdigest()}"


def storable(text: str) -> str:
    """Return ``text`` with NUL and lone surrogates written as JSON escapes."""
    return _UNSTORABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
