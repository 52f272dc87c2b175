"""Applies the filters of a listing as Kazoo does. A row is listed if the stored document passes all filters.

This follows ``crossbar_filter.erl`` and the functions of ``kz_json.erl`` and ``kz_term.erl`` that it calls.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from .encoding import leaves
from .query_parameters import integer

# In Erlang a missing date, and one that is not a number, is greater than every number. Therefore a document with such a
# date passes ``_from`` filters and fails ``_to`` filters.
_RANGES = {
    "created_from": ("pvt_created", 1),
    "created_to": ("pvt_created", -1),
    "modified_from": ("pvt_modified", 1),
    "modified_to": ("pvt_modified", -1),
}
_FIXED_NAMES = {"has_key", "key_missing", "has_value", "value_missing", *_RANGES}

_MISSING: Final = object()
_EMPTY: Final[tuple[object, ...]] = (_MISSING, None, "", "0", "NULL", "undefined", [], {})
"""The values that ``has_value`` treats as missing, in addition to the number 0."""


def filters_in(query: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that are filters. Other parameters are ignored, as on the real server."""
    return {name: value for name, value in query.items() if name in _FIXED_NAMES or name.startswith("filter_")}


def matches(document: Mapping[str, Any], filters: Mapping[str, str]) -> bool:
    """Return whether a document passes every filter."""
    return all(_matches(document, name, value) for name, value in filters.items())


class _UnreadablePathError(Exception):
    """The path of a filter continues below a value that is neither an object nor an array."""


def _matches(document: Mapping[str, Any], name: str, value: str) -> bool:
    if name in _RANGES:
        key, sign = _RANGES[name]
        date, limit = document.get(key), integer(value)
        if not isinstance(date, int | float):
            date = math.inf
        return limit is not None and sign * date >= sign * limit
    try:
        if name == "has_key":
            return _value_at(document, value) is not _MISSING
        if name == "key_missing":
            return _value_at(document, value) is _MISSING
        if name == "has_value":
            return not _is_empty(_value_at(document, value))
        if name == "value_missing":
            return _is_empty(_value_at(document, value))
        if name.startswith("filter_not_"):
            return not _equals(_value_at(document, name.removeprefix("filter_not_")), value)
        return _equals(_value_at(document, name.removeprefix("filter_")), value)
    except _UnreadablePathError:
        return False  # also for key_missing, value_missing and filter_not_


def _value_at(document: Mapping[str, Any], path: str) -> Any:
    """Return the value at ``path``. The items of arrays are numbered from 1. Raises ``_UnreadablePathError``."""
    value: Any = document
    for key in path.split("."):
        if value is _MISSING:
            return value
        if isinstance(value, dict):
            value = value.get(key, _MISSING)
        elif isinstance(value, list):
            position = integer(key)
            value = value[position - 1] if position is not None and 1 <= position <= len(value) else _MISSING
        else:
            raise _UnreadablePathError
    return value


def _is_empty(value: Any) -> bool:
    return value is not False and (value == 0 or value in _EMPTY)


def _equals(value: Any, expected: str) -> bool:
    """Return whether ``value``, converted to text, equals ``expected``.

    If ``expected`` is a JSON string, the text may also equal the decoded string. If ``expected`` is a JSON array, the
    text may also equal one of its items.
    """
    text = _as_text(value)
    if text == expected:
        return True
    try:
        decoded = msgspec.json.decode(expected)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return text in decoded if isinstance(decoded, list) else text == decoded


def _as_text(value: Any) -> str:
    """Convert a value to text as Kazoo does. A missing value becomes an empty string.

    The strings in an array are concatenated, and its nulls are ignored. An array with other values becomes an empty
    string.
    """
    if value is _MISSING:
        return ""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        texts = [each for each in leaves(value) if each is not None]
        return "".join(texts) if all(isinstance(each, str) for each in texts) else ""
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return str(value)
