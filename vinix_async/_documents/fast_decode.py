"""Reads ordinary listings faster. This module is optional: without it the results are the same, but take longer.

The rules of each document class are converted to a msgspec ``Struct`` that is stricter than the rules. It accepts no
unknown keys, no ``null``, and no empty value in place of a document. So the document can be built from the fields of
the Struct without further checks. If a Struct does not accept a row, ``decode.py`` reads the whole response, or the
whole batch of rows if the response is large.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, defstruct
from msgspec.json import Decoder
from msgspec.structs import asdict

from .base import ABSENT_OBJECT, BuiltField, Document, Unbuilt, write_constructor
from .models import Callflow

if TYPE_CHECKING:
    from .decode import Rule

T = TypeVar("T")

_LARGE: Final = 256 * 1024
"""The size in bytes above which the rows of a response are decoded in batches, so that other tasks can run."""

_EDITOR_KEYS: Final[Mapping[type[Document], tuple[str, ...]]] = {Callflow: ("ui_metadata", "contact_list")}
"""Keys that have no field. The Struct accepts them, because Kazoo's own user interface often writes them."""

_ANY_BUT_NULL: Final[Any] = str | int | float | bool | list[Any] | dict[str, Any]
_TYPES: Final[Mapping[Any, Any]] = {list: tuple[str, ...], dict: dict[str, Any], object: _ANY_BUT_NULL}


class _Envelope(Struct, Generic[T]):
    """The envelope of a successful response, with the keys that the library uses."""

    data: T
    status: Literal["success"]
    request_id: Any = None
    start_key: Any = None
    next_start_key: Any = None
    page_size: Any = None
    timestamp: Any = None
    auth_token: Any = None


_split: Final = Decoder(_Envelope[list[Raw]]).decode


_Builder = Callable[[Any, Any], Document]
_Maps = list[tuple[dict[str, Any], _Builder]]


def make_fast_decoders(all_rules: Mapping[type[Document], Sequence["Rule"]]) -> dict[type[Document], "FastDecoder"]:
    """Return a decoder for each document class with an ``id``. The rows of listings belong to these classes."""
    structs: dict[type[Document], Any] = {}
    builders: dict[type[Document], _Builder] = {}
    for kind, rules in all_rules.items():  # a class comes after the classes of the documents in its fields
        builders[kind] = _write_builder(kind, rules, builders)
        structs[kind] = _make_struct(kind, rules, structs, builders[kind])
    return {
        kind: FastDecoder(structs[kind], builders[kind], [rule.name for rule in rules if rule.may_be_false])
        for kind, rules in all_rules.items()
        if rules[0].name == "id"
    }


class FastDecoder:
    """Reads the listings of one document class."""

    def __init__(self, struct: Any, builder: _Builder, false_fields: Sequence[str]) -> None:
        self._struct = struct
        self._builder = builder
        rows: Any = list[struct]
        envelope: Any = _Envelope[rows]
        self._decode_envelope = Decoder(envelope).decode
        self._decode_rows = Decoder(rows).decode
        self._false_fields = [attrgetter(name) for name in false_fields]

    def parse_envelope(self, body: bytes) -> dict[str, Any] | None:
        """Return the envelope in ``body``, or None if ``decode.py`` has to read it.

        The ``data`` of the envelope contains a Struct for each row. If the body is large, ``data`` contains the JSON
        text of each row (a ``Raw``) instead.
        """
        is_large = len(body) > _LARGE
        try:
            envelope: Any = _split(body) if is_large else self._decode_envelope(body)
        except (msgspec.DecodeError, RecursionError):
            return None
        if not is_large and self._has_true(envelope.data):
            return None
        return asdict(envelope)

    def read_rows(self, rows: Sequence[Any]) -> list[Any] | None:
        """Return the documents of ``rows``, or None if ``decode.py`` has to read them.

        Rows that do not come from ``parse_envelope`` are always left to ``decode.py``.
        """
        if type(rows[0]) is Raw:
            try:
                rows = self._decode_rows(b"[%b]" % b",".join(rows))
            except (msgspec.DecodeError, RecursionError):
                return None
            if self._has_true(rows):
                return None
        elif type(rows[0]) is not self._struct:
            return None
        return _build(rows, self._builder)

    def _has_true(self, rows: Sequence[Any]) -> bool:
        """Whether any row has ``true`` in a field for which the rules accept ``false`` but not ``true``.

        The Struct accepts ``true`` as well, because msgspec has no type for ``false`` alone.
        """
        return any(True in map(field, rows) for field in self._false_fields)


def _make_struct(
    kind: type[Document], rules: Sequence["Rule"], structs: Mapping[type[Document], Any], builder: _Builder
) -> Any:
    name = f"{kind.__name__}Struct"
    fields: list[Any] = []
    for rule in rules:
        value: Any = _TYPES.get(rule.json, rule.json)
        if rule.kind:
            value = structs.get(rule.kind, name)  # a Struct that contains itself does not exist yet: use its name
            value = dict[str, value] if rule.is_map else value
        if rule.may_be_false:
            value |= bool
        if rule.default == "":
            value = Annotated[value, Meta(min_length=1)]
        fields.append((rule.name, value, rule.default))
    fields[0] = fields[0][:2]  # without a default the field is required, so an empty object is not accepted
    fields += [(key, Any, UNSET) for key in _EDITOR_KEYS.get(kind, ())]
    bases: Any = (Unbuilt, Struct)  # Any, because the type hints of msgspec before 0.22 accept only Structs
    struct = defstruct(
        name,
        fields,
        bases=bases,
        namespace={"build": lambda self: _build([self], builder)[0]},
        module=__name__,
        kw_only=True,
        gc=False,  # a Struct from a decoder is never part of a reference cycle
        forbid_unknown_fields=True,
    )
    globals()[name] = struct  # msgspec looks up the name of a recursive Struct here
    return struct


def _write_builder(
    kind: type[Document], rules: Sequence["Rule"], builders: Mapping[type[Document], _Builder]
) -> _Builder:
    """Return a function that builds a document from a Struct.

    If a field contains a mapping of documents, the function only appends the mapping to a list. ``_build`` then builds
    the documents in it.
    """
    keys = _EDITOR_KEYS.get(kind, ())
    names = {"ABSENT_OBJECT": ABSENT_OBJECT, "UNSET": UNSET, "keys": keys, "other_keys": _other_keys, "later": _later}
    values = {"extra": "ABSENT_OBJECT"}
    empties = ["()"]
    if keys:
        values["extra"] += f" if {' is '.join(f'row.{key}' for key in keys)} is UNSET else other_keys(row, keys)"
    for rule in rules:
        value = values[rule.name] = f"row.{rule.name}"
        if rule.may_be_false:
            empties.append(f"((({rule.name!r}, False),) if {value} is False else ())")
        if rule.kind is None or isinstance(vars(kind)[rule.name], BuiltField):  # a BuiltField is built on first access
            continue
        build = "construct"  # the generated function, which calls itself for documents of its own class
        if rule.kind is not kind:
            build = f"build_{rule.name}"
            names[build] = builders[rule.kind]
        if rule.is_map:
            values[rule.name] = f"{value} and later({value}, {build}, maps)"
        else:
            values[rule.name] = f"{build}({value}, maps) if {value} else None"
    values["_empty"] = " + ".join(empties)
    return write_constructor(kind, ("row", "maps"), values, names)


def _later(values: dict[str, Any], build: _Builder, maps: _Maps) -> dict[str, Any]:
    copy = values.copy()
    maps.append((copy, build))
    return copy


def _other_keys(row: Any, keys: Iterable[str]) -> dict[str, Any]:
    return {key: value for key in keys if (value := getattr(row, key)) is not UNSET}


def _build(structs: Sequence[Any], build: _Builder) -> list[Any]:
    """Return the documents of ``structs``. The Structs are not modified."""
    maps: _Maps = []
    documents = [build(struct, maps) for struct in structs]
    for values, build_inner in maps:  # build_inner appends to maps, which allows flows of any depth
        for key, struct in values.items():
            values[key] = build_inner(struct, maps)
    return documents
