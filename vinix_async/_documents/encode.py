"""Converts documents to the JSON values that the server sent, and to JSON text."""

from typing import Any

from .._exceptions import ConfigurationError
from .._public import public
from .base import AbsentArray, Document, field_values
from .decode import RULES
from .deep_json import write_json


@public
def to_dict(document: Document) -> dict[str, Any]:
    """Return a new dict that is equal to the JSON object that the server sent for ``document``."""
    if type(document) not in RULES:
        raise ConfigurationError(f"to_dict() needs a document, not {type(document).__name__}")
    top: dict[str, Any] = {}
    waiting: list[tuple[Any, dict[str, Any]]] = [(document, top)]
    for source, target in waiting:  # the loop body appends to waiting
        extra, empty, *values = field_values(source)
        for rule, value in zip(RULES[type(source)], values, strict=True):
            if value is rule.default or type(value) is AbsentArray:
                continue
            if rule.kind and rule.is_map:
                target[rule.name] = {key: {} for key in value}
                waiting.extend((value[key], inner) for key, inner in target[rule.name].items())
            elif rule.kind:
                target[rule.name] = {}
                waiting.append((value, target[rule.name]))
            else:
                target[rule.name] = list(value) if rule.json is list else copy_json(value)
        target.update(copy_json(extra))
        for key, value in empty:
            target.setdefault(key, copy_json(value))
    return top


@public
def to_json(document: Document) -> bytes:
    """Return ``to_dict(document)`` as compact JSON, at any depth of nesting."""
    return write_json(to_dict(document))


def copy_json(value: Any) -> Any:
    """Return a deep copy of a JSON value, at any depth of nesting."""
    if type(value) is not dict and type(value) is not list:
        return value
    whole = value.copy()
    waiting: list[Any] = [whole]
    while waiting:
        container = waiting.pop()
        for key, item in container.items() if type(container) is dict else enumerate(container):
            if type(item) is dict or type(item) is list:
                container[key] = item.copy()
                waiting.append(container[key])
    return whole
