"""Trees as flat sequences, so that no depth of nesting meets Python's recursion limit.

A flat sequence lists a tree in pre-order: a leaf as itself, a container as a tuple of what it is and what it
needs to take its children back. Leaves are JSON's scalars and never tuples.
"""

from collections.abc import Sequence
from typing import Any, Final

import attrs


def _shared(*_: Any, **__: Any) -> Any:
    raise TypeError("this mapping is that of every document that has none: make a new one")


_SHARED: Final[Any] = _shared


class _AbsentObject(dict[str, Any]):
    __slots__ = ()
    __setitem__ = setdefault = update = __ior__ = _SHARED

    def __reduce__(self) -> str:
        return "ABSENT_OBJECT"


class _AbsentArray(tuple[Any, ...]):
    __slots__ = ()

    def __reduce__(self) -> str:
        return "ABSENT_ARRAY"


ABSENT_OBJECT: Final = _AbsentObject()
"""The value of a field that holds an object and did not come: empty, and by being this very one not ``{}``."""

ABSENT_ARRAY: Final = _AbsentArray()
"""The same for an array."""


class Document:
    """The base of the documents: compared, copied, hashed and pickled at any depth."""

    __slots__ = ("__weakref__",)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return _same(self, other)

    def __hash__(self) -> int:
        return hash((type(self), getattr(self, "id", None)))

    def __copy__(self) -> "Document":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return unflatten(flatten(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return unflatten, (flatten(self),)


def open_twin(kind: type[Document]) -> type[Any]:
    """A class whose instances can be filled by plain assignment, and then be given ``kind`` as their class.

    That takes a fraction of the time that the ``__init__`` of a frozen class does.
    """
    slots = {name: kind.__dict__[name] for name in kind.__slots__}
    plain = {name: getattr(object, name) for name in ("__init__", "__setattr__", "__delattr__")}
    return type(f"Open{kind.__name__}", (kind,), {"__slots__": (), **slots, **plain})


def _same(one: Any, other: Any) -> bool:
    """Whether two trees are alike, whatever the order of keys."""
    waiting = [(one, other)]
    while waiting:
        one, other = waiting.pop()
        if one is other:
            continue
        inside = _pairs(one, other)
        if inside is None:
            return False
        waiting += inside
    return True


def _pairs(one: Any, other: Any) -> list[tuple[Any, Any]] | None:
    """What must be alike in two values for them to be alike; None if they are not."""
    kind = type(one)
    if kind is dict:
        if kind is type(other) and one.keys() == other.keys():
            return [(value, other[key]) for key, value in one.items()]
    elif kind is list or kind is tuple:
        if kind is type(other) and len(one) == len(other):
            return list(zip(one, other, strict=True))
    elif isinstance(one, Document):
        if kind is type(other):
            return [(getattr(one, name), getattr(other, name)) for name in field_names(kind)]
    elif one is not ABSENT_OBJECT and one is not ABSENT_ARRAY and one == other:
        return []
    return None


def flatten(value: Any) -> list[Any]:
    """``value`` as a flat list."""
    flat: list[Any] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if kind is dict:
            flat.append((dict, tuple(item)))
            waiting.extend(reversed(item.values()))
        elif kind is list or kind is tuple:
            flat.append((kind, len(item)))
            waiting.extend(reversed(item))
        elif isinstance(item, Document):
            names = field_names(kind)
            flat.append((kind, len(names)))
            waiting.extend([getattr(item, name) for name in reversed(names)])
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
        elif kind is list:
            built.append([built.pop() for _ in range(shape)])
        elif kind is tuple:
            built.append(tuple([built.pop() for _ in range(shape)]))
        else:
            names = field_names(kind)
            if shape != len(names):
                raise ValueError(f"this {kind.__name__} was pickled by another version of vinix_async")
            if kind not in _OPEN:
                _OPEN[kind] = open_twin(kind)
            document = _OPEN[kind]()
            for name in names:
                setattr(document, name, built.pop())
            document.__class__ = kind
            built.append(document)
    return built.pop()


_OPEN: dict[type, Any] = {}
_NAMES: dict[type, tuple[str, ...]] = {}


def field_names(kind: type) -> tuple[str, ...]:
    """The names of a document's fields, in their order."""
    if kind not in _NAMES:
        _NAMES[kind] = tuple(field.name for field in attrs.fields(kind))
    return _NAMES[kind]


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
