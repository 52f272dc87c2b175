"""Applies the filters of a listing as Kazoo does. A row is listed if the stored document passes all filters."""

import json
import math
from collections.abc import Mapping
from typing import Any

from .encoding import leaves

# In Erlang a missing date, and one that is not a number, is greater than every number. Therefore a document with such a
# date passes ``_from`` filters and fails ``_to`` filters.
_RANGES = {
    "created_from": ("pvt_created", 1),
    "created_to": ("pvt_created", -1),
    "modified_from": ("pvt_modified", 1),
    "modified_to": ("pvt_modified", -1),
}
_FIXED_NAMES = {"has_key", "key_missing", "has_value", "value_missing", *_RANGES}


def filters_in(query: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that are filters. Other parameters are ignored, as on the real server."""
    return {name: value for name, value in query.items() if name in _FIXED_NAMES or name.startswith("filter_")}


def matches(document: Mapping[str, Any], filters: Mapping[str, str]) -> bool:
    """Return whether a document passes every filter."""
    return all(_matches(document, name, value) for name, value in filters.items())


def _matches(document: Mapping[str, Any], name: str, value: str) -> bool:
    if name in _RANGES:
        key, sign = _RANGES[name]
        date = document.get(key)
        if not isinstance(date, int | float):
            date = math.inf
        try:
            return sign * date >= sign * int(value)
        except ValueError:
            return False
    if name == "has_key":
        return _value_at(document, value) is not None
    if name == "key_missing":
        return _value_at(document, value) is None
    if name == "has_value":
        return bool(_as_text(_value_at(document, value)))
    if name == "value_missing":
        return not _as_text(_value_at(document, value))
    if name.startswith("filter_not_"):
        return not _equals(_value_at(document, name.removeprefix("filter_not_")), value)
    return _equals(_value_at(document, name.removeprefix("filter_")), value)


def _value_at(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _equals(value: Any, expected: str) -> bool:
    """Return whether ``value``, converted to text, equals ``expected``.

    If ``expected`` is a JSON list, ``value`` must equal one of its items.
    """
    if expected.startswith("["):
        try:
            return _as_text(value) in {_as_text(each) for each in json.loads(expected)}
        except (ValueError, RecursionError):
            return False
    return _as_text(value) == expected


def _as_text(value: Any) -> str:
    """Convert a value to text as Kazoo does. None becomes an empty string. The items of a list are concatenated."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "".join(map(_as_text, leaves(value)))
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value)
