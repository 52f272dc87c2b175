"""Trees as flat sequences, so that no depth of nesting meets Python's recursion limit.

A flat sequence lists a tree in pre-order: a leaf as itself, a container as a tuple of what it is and what it
needs to take its children back. Leaves are JSON's scalars and never tuples.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import attrs


class Document:
    """The base of the documents: compared, copied, hashed and pickled at any depth."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self is other or flatten(self, ordered=False) == flatten(other, ordered=False)

    def __hash__(self) -> int:
        return hash((type(self), getattr(self, "id", None)))

    def __copy__(self) -> "Document":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return unflatten(flatten(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return unflatten, (flatten(self),)


def flatten(value: Any, *, ordered: bool = True) -> list[Any]:
    """``value`` as a flat list; keys are sorted unless their order matters."""
    flat: list[Any] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if type(item) is dict:
            keys = tuple(item if ordered else sorted(item))
            flat.append((dict, keys))
            waiting.extend([item[key] for key in reversed(keys)])
        elif type(item) is list or type(item) is tuple:
            flat.append((type(item), len(item)))
            waiting.extend(reversed(item))
        elif isinstance(item, Document):
            fields = [getattr(item, field.name) for field in attrs.fields(type(item))]  # type: ignore[arg-type]  # every subclass is an attrs class
            flat.append((type(item), len(fields)))
            waiting.extend(reversed(fields))
        else:
            flat.append(item)
    return flat


def unflatten(flat: Sequence[Any]) -> Any:
    """The value that ``flatten`` took apart."""
    built: list[Any] = []
    for item in reversed(flat):
        if type(item) is not tuple:
            built.append(item)
            continue
        kind, shape = item
        if kind is dict:
            built.append({key: built.pop() for key in shape})
            continue
        values = [built.pop() for _ in range(shape)]
        if kind is list:
            built.append(values)
        elif kind is tuple:
            built.append(tuple(values))
        else:
            names = (field.alias for field in attrs.fields(kind))
            built.append(kind(**dict(zip(names, values, strict=True))))
    return built.pop()


def copy_json(value: Any) -> Any:
    """A copy of a JSON value that shares nothing with it."""
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


def json_pieces(value: Any) -> Iterator[str]:
    """The pieces of a JSON text, by a stack in place of recursion; a piece of the text itself is a tuple."""
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, tuple):
            yield item[0]
        elif isinstance(item, dict):
            waiting.append(("}",))
            for number, (key, inner) in enumerate(reversed(item.items())):
                comma = "," if number < len(item) - 1 else ""
                waiting += [inner, (f"{comma}{json.dumps(key)}:",)]
            waiting.append(("{",))
        elif isinstance(item, list):
            waiting.append(("]",))
            for number, inner in enumerate(reversed(item)):
                waiting += [inner, ("," if number < len(item) - 1 else "",)]
            waiting.append(("[",))
        else:
            yield json.dumps(item)
