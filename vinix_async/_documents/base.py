"""The base class of all documents: equality, copying and pickling at any depth of nesting.

Python compares, copies and pickles nested values by recursion, which fails for a flow of some hundred nodes. So a
document is turned into a flat list first.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import attrs

D = TypeVar("D", bound="Document")


def _refuse_change(*_: Any, **__: Any) -> Any:
    raise TypeError("this empty mapping is shared by all documents: assign a new one")


_REFUSE: Final[Any] = _refuse_change


class AbsentObject(dict[str, Any]):
    """The type of ``ABSENT_OBJECT``. It cannot be filled, because all documents share the one instance."""

    __slots__ = ()
    __setitem__ = setdefault = update = __ior__ = _REFUSE

    def __reduce__(self) -> str:
        return "ABSENT_OBJECT"


class AbsentArray(tuple[Any, ...]):
    """An array that the server did not send. It is empty, unless the library has computed what it would contain."""

    __slots__ = ()

    def __reduce__(self) -> str | tuple[Any, ...]:
        return (AbsentArray, (tuple(self),)) if self else "ABSENT_ARRAY"


ABSENT_OBJECT: Final = AbsentObject()
"""The value of a field that holds an object, if the server did not send it. It differs from ``{}``, which was sent."""

ABSENT_ARRAY: Final = AbsentArray()
"""The value of a field that holds an array, if the server did not send it. It differs from ``()``, which was sent."""


def _or_absent(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    return extra or ABSENT_OBJECT


@attrs.frozen(kw_only=True, eq=False)
class Document:
    """The base of all documents.

    ``extra`` holds the keys that the class has no field for. ``_empty`` holds each key that the server sent with a
    value that reads as the field's default, such as ``null`` or ``false``, together with that value.
    """

    extra: Mapping[str, Any] = attrs.field(default=ABSENT_OBJECT, converter=_or_absent)
    _empty: tuple[tuple[str, Any], ...] = attrs.field(default=(), alias="empty")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self is other or (
            hash(self) == hash(other) and flatten(self, sort_keys=True) == flatten(other, sort_keys=True)
        )

    def __hash__(self) -> int:
        return hash((type(self), getattr(self, "id", None)))

    def __copy__(self) -> "Document":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return unflatten(flatten(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return unflatten, (flatten(self),)


class Unbuilt:
    """The base of values that stand in for a document until it is looked at. ``build`` makes the document."""

    __slots__ = ()

    def build(self) -> Document:
        """Make the document. The value does not change, so that two threads can do this at the same time."""
        raise NotImplementedError


class BuiltField:
    """A descriptor for a field whose slot may hold an ``Unbuilt`` value, which is replaced when it is first read."""

    def __init__(self, slot: Any) -> None:
        self.slot = slot

    def __get__(self, document: Any, owner: type | None = None) -> Any:
        if document is None:
            return self
        value = self.slot.__get__(document)
        if isinstance(value, Unbuilt):
            value = value.build()
            self.slot.__set__(document, value)
        return value

    def __set__(self, document: Any, value: Any) -> None:
        self.slot.__set__(document, value)


_NAMES: Final[dict[type, tuple[str, ...]]] = {}
_CONSTRUCTORS: Final[dict[type, Callable[..., Any]]] = {}


def field_names(kind: type[Document]) -> tuple[str, ...]:
    """Return the names of all fields of ``kind`` in their order: first those of ``Document``, then its own."""
    if kind not in _NAMES:
        _NAMES[kind] = tuple(field.name for field in attrs.fields(kind))
    return _NAMES[kind]


def field_values(document: Document) -> list[Any]:
    """Return the values of all fields of ``document``, in the order of ``field_names``."""
    return [getattr(document, name) for name in field_names(type(document))]


def write_constructor(
    kind: type[D], parameters: Sequence[str], values: Mapping[str, str], names: Mapping[str, Any]
) -> Callable[..., D]:
    """Return a function of ``parameters`` that makes a ``kind`` faster than the ``__init__`` of the class.

    ``values`` has an expression for each field, which may use the parameters and ``names``.

    The ``__init__`` of a frozen class calls ``object.__setattr__`` for each field, which takes about eight times as
    long as an assignment, and documents are made by the thousand. The function makes an instance of a subclass that has
    the same slots but is not frozen, assigns to the slots, and then gives the instance its real class. Its source is
    generated, as attrs generates an ``__init__``. No other place in the library changes the class of an object.
    """
    slots = {name: field.slot for name, field in vars(kind).items() if isinstance(field, BuiltField)}
    plain = {name: getattr(object, name) for name in ("__init__", "__setattr__", "__delattr__")}
    lines = [f"def construct({', '.join(parameters)}):", " document = Unfrozen()"]
    lines += [f" document.{name} = {values[name]}" for name in field_names(kind)]
    lines += [" document.__class__ = kind", " return document"]
    unfrozen = type(f"Unfrozen{kind.__name__}", (kind,), {"__slots__": (), **slots, **plain})
    scope: dict[str, Any] = {**names, "Unfrozen": unfrozen, "kind": kind}
    exec("\n".join(lines), scope)  # noqa: S102  # the source is made of the names of our own fields
    constructor: Callable[..., D] = scope["construct"]
    return constructor


def unchecked(kind: type[D]) -> Callable[..., D]:
    """Return a constructor of ``kind`` that takes the values of all fields, in the order of ``field_names``."""
    if kind not in _CONSTRUCTORS:
        names = field_names(kind)
        _CONSTRUCTORS[kind] = write_constructor(kind, names, {name: name for name in names}, {})
    return _CONSTRUCTORS[kind]


def flatten(value: Any, *, sort_keys: bool = False) -> list[Any]:
    """Return ``value`` as a flat list, in which each container comes before its content.

    A container is in it as a tuple of its type and its keys or its length, anything else as itself.
    """
    flat: list[Any] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if kind is dict:
            keys = tuple(sorted(item) if sort_keys else item)
            flat.append((dict, keys))
            waiting.extend([item[key] for key in reversed(keys)])
        elif kind is list or kind is tuple:
            flat.append((kind, len(item)))
            waiting.extend(reversed(item))
        elif isinstance(item, Document):
            values = field_values(item)
            flat.append((kind, len(values)))
            waiting.extend(reversed(values))
        else:
            flat.append(ABSENT_ARRAY if kind is AbsentArray else item)
    return flat


def unflatten(flat: Sequence[Any]) -> Any:
    """Return the value that ``flatten`` has made ``flat`` of."""
    built: list[Any] = []
    for item in reversed(flat):
        if type(item) is not tuple:
            built.append(item)
            continue
        kind, shape = item
        if kind is dict:
            built.append({key: built.pop() for key in shape})
        elif kind is list or kind is tuple:
            built.append(kind([built.pop() for _ in range(shape)]))
        elif shape == len(field_names(kind)):
            built.append(unchecked(kind)(*[built.pop() for _ in range(shape)]))
        else:
            raise ValueError(f"this {kind.__name__} was pickled by another version of vinix_async")
    return built.pop()
