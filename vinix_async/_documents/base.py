"""The base class of all documents, which supports equality, copying and pickling at any depth of nesting.

Python compares, copies and pickles nested values recursively, and exceeds its recursion limit for a flow of a few
hundred nodes. To avoid this, ``Document`` first converts the values to a flat list (``flatten``).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import attrs

D = TypeVar("D", bound="Document")


def _refuse(*_: Any, **__: Any) -> Any:
    raise TypeError("this empty mapping is read-only, because all documents share it: create a new mapping instead")


class AbsentObject(dict[str, Any]):
    """The type of ``ABSENT_OBJECT``. It is read-only, because all documents share a single instance."""

    __slots__ = ()
    __setitem__ = setdefault = update = __ior__ = _refuse

    def __reduce__(self) -> str:
        return "ABSENT_OBJECT"


class AbsentArray(tuple[Any, ...]):
    """An array that the server did not send. It is empty, unless the library has computed its items."""

    __slots__ = ()

    def __reduce__(self) -> str | tuple[Any, ...]:
        return (AbsentArray, (tuple(self),)) if self else "ABSENT_ARRAY"


ABSENT_OBJECT: Final = AbsentObject()
"""The value of an object that the server did not send. An empty object that the server sent is a plain ``{}``."""

ABSENT_ARRAY: Final = AbsentArray()
"""The value of an array that the server did not send. An empty array that the server sent is a plain ``()``."""


def _or_absent(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    return extra or ABSENT_OBJECT


@attrs.frozen(kw_only=True, eq=False)
class Document:
    """The base class of all documents.

    ``extra`` contains the keys for which the class has no field. Some values, such as ``null``, are read as the default
    of their field. ``_empty`` contains the names of these fields and the original values.
    """

    extra: Mapping[str, Any] = attrs.field(default=ABSENT_OBJECT, converter=_or_absent)
    _empty: tuple[tuple[str, Any], ...] = attrs.field(default=(), alias="empty")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self is other or (
            getattr(self, "id", None) == getattr(other, "id", None)
            and flatten(self, sort_keys=True) == flatten(other, sort_keys=True)
        )

    def __hash__(self) -> int:
        if id_ := getattr(self, "id", None):
            return hash((type(self), id_))
        # Nodes of a flow have no id. Hash the structure and the texts, or else all nodes would have the same hash.
        flat = flatten(self, sort_keys=True)
        return hash(tuple([item for item in flat if type(item) is tuple or isinstance(item, str)]))

    def __copy__(self) -> "Document":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return unflatten, (flatten(self),)


class Unbuilt:
    """The base class of placeholders for documents.

    A document is built when the field that contains it is read for the first time.
    """

    __slots__ = ()

    def build(self) -> Document:
        """Return the document. The placeholder is not modified, so several threads can call this at the same time."""
        raise NotImplementedError


class BuiltField:
    """A descriptor of a field whose slot may contain an ``Unbuilt``.

    The first read of the field replaces the ``Unbuilt`` with the document that ``build`` returns.
    """

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
    """Return the names of all fields of ``kind``, in order. The fields of ``Document`` come first."""
    if kind not in _NAMES:
        _NAMES[kind] = tuple(field.name for field in attrs.fields(kind))
    return _NAMES[kind]


def field_values(document: Document) -> list[Any]:
    """Return the values of all fields of ``document``, in the order of ``field_names``."""
    return [getattr(document, name) for name in field_names(type(document))]


def write_constructor(
    kind: type[D], parameters: Sequence[str], values: Mapping[str, str], names: Mapping[str, Any]
) -> Callable[..., D]:
    """Return a function that creates instances of ``kind`` faster than the ``__init__`` of the class does.

    ``values`` maps the name of each field to a Python expression. The expression may contain the ``parameters`` of the
    function and the variables in ``names``.

    The ``__init__`` of a frozen class calls ``object.__setattr__`` for each field, which takes about eight times as
    long as an assignment. The returned function creates an instance of an unfrozen subclass with the same slots,
    assigns the fields, and then changes the ``__class__`` of the instance to ``kind``. No other code in the library
    changes the class of an object. The source of the function is generated, as attrs generates an ``__init__``.
    """
    slots = {name: field.slot for name, field in vars(kind).items() if isinstance(field, BuiltField)}
    plain = {name: getattr(object, name) for name in ("__init__", "__setattr__", "__delattr__")}
    lines = [f"def construct({', '.join(parameters)}):", " document = Unfrozen()"]
    lines += [f" document.{name} = {values[name]}" for name in field_names(kind)]
    lines += [" document.__class__ = kind", " return document"]
    unfrozen = type(f"Unfrozen{kind.__name__}", (kind,), {"__slots__": (), **slots, **plain})
    scope: dict[str, Any] = {**names, "Unfrozen": unfrozen, "kind": kind}
    exec("\n".join(lines), scope)  # noqa: S102  # the source contains nothing but the names of our own fields
    constructor: Callable[..., D] = scope["construct"]
    return constructor


def unchecked(kind: type[D]) -> Callable[..., D]:
    """Return a constructor of ``kind`` without checks. It takes the values in the order of ``field_names``."""
    if kind not in _CONSTRUCTORS:
        names = field_names(kind)
        _CONSTRUCTORS[kind] = write_constructor(kind, names, {name: name for name in names}, {})
    return _CONSTRUCTORS[kind]


def flatten(value: Any, *, sort_keys: bool = False) -> list[Any]:
    """Return ``value`` as a flat list in which each container precedes its items.

    A dict is represented by a tuple of its type and its keys. Any other container is represented by a tuple of its type
    and its length. Other values represent themselves.
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
    """Return the value from which ``flatten`` created ``flat``."""
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
