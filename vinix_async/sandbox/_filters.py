"""The filters of a listing, as Kazoo runs them: on the whole stored document, all of them at once."""

import json
from collections.abc import Mapping
from typing import Any

_RANGES = {
    "created_from": ("pvt_created", 1),
    "created_to": ("pvt_created", -1),
    "modified_from": ("pvt_modified", 1),
    "modified_to": ("pvt_modified", -1),
}
_PLAIN = {"has_key", "key_missing", "has_value", "value_missing", *_RANGES}


def filters_in(query: Mapping[str, str]) -> dict[str, str]:
    """The filters among a query's parameters; an unknown name is ignored without a word."""
    return {name: value for name, value in query.items() if name in _PLAIN or name.startswith("filter_")}


def matches(document: Mapping[str, Any], filters: Mapping[str, str]) -> bool:
    """Whether a document passes every filter."""
    return all(_matches(document, name, value) for name, value in filters.items())


def _matches(document: Mapping[str, Any], name: str, value: str) -> bool:
    if name in _RANGES:
        key, sign = _RANGES[name]
        try:
            return bool(sign * (document.get(key, 0) - int(value)) >= 0)
        except ValueError:
            return False
    if name == "has_key":
        return _at(document, value) is not None
    if name == "key_missing":
        return _at(document, value) is None
    if name == "has_value":
        return bool(_text(_at(document, value)))
    if name == "value_missing":
        return not _text(_at(document, value))
    if name.startswith("filter_not_"):
        return not _equals(_at(document, name.removeprefix("filter_not_")), value)
    return _equals(_at(document, name.removeprefix("filter_")), value)


def _at(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _equals(value: Any, wanted: str) -> bool:
    """A JSON list means one of; anything else is compared as text."""
    if wanted.startswith("["):
        try:
            return _text(value) in {_text(each) for each in json.loads(wanted)}
        except ValueError:
            return False
    return _text(value) == wanted


def _text(value: Any) -> str:
    """Kazoo's cast: nothing is the empty text, and a list is its members one behind the other."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "".join(_text(each) for each in value)
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value)
