"""Read documents from JSON values. This module specifies what is accepted.

Each document class gets a table of rules, derived from the annotations of its fields. One function reads an object by
its table. It never converts a value: a value of a wrong type is a problem, which is noted with its path, and the
keys that are left over become the document's ``extra``. ``fast_decode.py`` reads ordinary listings faster.
"""

import json
import math
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, Final, NamedTuple, TypeVar, get_args, get_origin

import attrs
from cattrs import BaseConverter
from msgspec import Raw

from .._exceptions import ConfigurationError, DecodeError
from .._public import public
from . import models
from .base import ABSENT_OBJECT, Document, unchecked
from .json import check_text, parse_json

try:
    from .fast_decode import make_fast_decoders
except ModuleNotFoundError:  # fast_decode.py may be deleted; it is not imported anywhere else

    def make_fast_decoders(all_rules: Any) -> Any:  # type: ignore[misc]  # noqa: ARG001  # has the real one's name
        """Return no decoders."""
        return {}


D = TypeVar("D", bound=Document)

_ROWS_AT_ONCE: Final = 32
_MAX_PROBLEMS: Final = 100
_MAX_KEY_SHOWN: Final = 64

MISSING: Final = object()
"""The ``data`` of an envelope that has none."""


def json_type(value: object) -> str:
    """Return the name of a JSON value's type, for messages."""
    return "nothing" if value is MISSING else _JSON_TYPES.get(type(value), type(value).__name__)


_JSON_TYPES: Final[Mapping[type, str]] = {dict: "object", list: "array", NoneType: "null"}

# --- rules -----------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """What the JSON value of a field may be.

    ``json`` is the Python type of the JSON value, ``object`` if any value is accepted. ``kind`` is the class of the
    document that it holds, or of each document in a map (``is_map``). A value in ``empties`` reads as ``default``; each
    comes with its type, because Python takes 0 and False for equal.
    """

    name: str
    json: type
    kind: type[Document] | None
    is_map: bool
    default: Any
    empties: tuple[tuple[type, Any], ...]

    @property
    def may_be_false(self) -> bool:
        """Whether the field may be ``false``, which reads as its default."""
        return (bool, False) in self.empties


def _rule(field: "attrs.Attribute[Any]") -> Rule:
    options = [each for each in get_args(field.type) if each is not NoneType]
    annotation: Any = options[0] if NoneType in get_args(field.type) else field.type
    is_map = get_origin(annotation) is Mapping
    inner = get_args(annotation)[1] if is_map else annotation
    kind = inner if isinstance(inner, type) and issubclass(inner, Document) else None
    if annotation is Any:
        json_value: type = object
    elif is_map or kind:
        json_value = dict
    elif annotation == tuple[str, ...]:
        json_value = list
    elif annotation in {str, int, bool}:
        json_value = annotation
    else:
        raise TypeError(f"no rule is known for the field {field.name}: {field.type}")
    empties: list[Any] = [None, *field.metadata.get("empties", ())]
    if json_value is dict:
        empties += [[]] if is_map else [[], {}]
    if field.default == "":
        empties.append("")
    return Rule(field.name, json_value, kind, is_map, field.default, tuple((type(each), each) for each in empties))


def _rules(kind: type[Document]) -> tuple[Rule, ...]:
    # Names in annotations are looked up in models.py, wherever the class says that it lives.
    own_fields = attrs.fields(attrs.resolve_types(kind, globalns=dict(vars(models))))[len(attrs.fields(Document)) :]
    return tuple(_rule(field) for field in own_fields)


RULES: Final[Mapping[type[Document], tuple[Rule, ...]]] = {
    kind: _rules(kind)
    for kind in vars(models).values()
    if isinstance(kind, type) and issubclass(kind, Document) and kind is not Document
}
"""The rules of each class, in the order of its fields, without the fields of ``Document``."""

_FAST: Final = make_fast_decoders(RULES)

# --- problems --------------------------------------------------------------------------------------

Path = str | tuple[Any, str, str | int | None]
"""A path in JSON: a text, or the path of the parent, a field, and a key in that field. Only errors spell it out."""


class Problems(list[str]):
    """Descriptions of wrong values, at most 100."""

    def add(self, path: Path, expected: str, got: object) -> None:
        """Note that the value at ``path`` is wrong."""
        if len(self) < _MAX_PROBLEMS:
            self.append(f"{_spell(path)}: expected {expected}, got {json_type(got)}")


def _spell(path: Path) -> str:
    steps = []
    while not isinstance(path, str):
        path, field, key = path
        if isinstance(key, str):
            field += f"[{json.dumps(key if len(key) <= _MAX_KEY_SHOWN else key[: _MAX_KEY_SHOWN - 1] + '…')}]"
        elif key is not None:
            field += f"[{key}]"
        steps.append(field)
    return path + "".join(reversed(steps))


@attrs.frozen
class BadRow:
    """A row of a listing that cannot be read. ``problems`` names each wrong value, as ``$.data[3].name: ...``."""

    index: int
    id: str | None
    problems: tuple[str, ...]


# --- reading one value -----------------------------------------------------------------------------

_ABSENT: Final[Any] = object()
_Maps = list[tuple[dict[str, Any], type[Document], Path, str]]


def _read(value: Any, kind: type[Document], path: Path, problems: Problems) -> Any:
    """Return the document in ``value``, which is used up; None if it is not an object.

    Maps of documents are read one after the other and not by recursion, so that a flow may have any depth.
    """
    maps: _Maps = []
    document = _read_object(value, kind, path, problems, maps)
    for values, inner, parent, field in maps:  # grows in the meantime
        for key, each in values.items():
            values[key] = _read_object(each, inner, (parent, field, key), problems, maps)
    return document


def _read_object(raw: Any, kind: type[Document], path: Path, problems: Problems, maps: _Maps) -> Any:
    if type(raw) is not dict:
        problems.add(path, "object", raw)
        return None
    take = raw.pop
    values: list[Any] = []
    empty: tuple[tuple[str, Any], ...] = ()
    for name, expected, inner, is_map, default, empties in RULES[kind]:
        value: Any = take(name, _ABSENT)
        if value is _ABSENT:
            value = default
        elif not value and (type(value), value) in empties:
            empty += ((name, value),)
            value = default
        elif type(value) is not expected and expected is not object:
            problems.add((path, f".{name}", None), _JSON_TYPES.get(expected, expected.__name__), value)
            value = default
        elif expected is list:
            value = _read_texts(value, (path, f".{name}", None), problems)
        elif inner and is_map:
            maps.append((value, inner, path, f".{name}"))
        elif inner:
            value = _read_object(value, inner, (path, f".{name}", None), problems, maps)
        values.append(value)
    return unchecked(kind)(raw or ABSENT_OBJECT, empty, *values)


def _read_texts(value: list[Any], path: Path, problems: Problems) -> tuple[str, ...]:
    try:
        "".join(value)  # the fastest way to find out whether each item is a str
    except TypeError:
        for index, item in enumerate(value):
            if type(item) is not str:
                problems.add((path, "", index), "str", item)
    return tuple(value)


def _refuse(problems: Problems, message: str) -> None:
    if problems:
        raise DecodeError(message, problems=tuple(problems))


# --- reading a mapping of the user's ---------------------------------------------------------------


def _structure(value: Any, kind: type[Document]) -> Document:
    problems = Problems()
    document: Document = _read(value, kind, "$", problems)
    _refuse(problems, f"the value is not a valid {kind.__name__}")
    return document


_converter: Final = BaseConverter()
_converter.register_structure_hook_func(RULES.__contains__, _structure)


@public
def structure(mapping: Mapping[str, Any], kind: type[D]) -> D:
    """Return the document that ``mapping`` describes. The argument does not change, and nothing of it is shared.

    Raises:
        DecodeError: a value is not of the field's type or is not JSON; ``problems`` names each with its path.
    """
    if kind not in RULES:
        raise ConfigurationError(f"structure() makes documents, not {kind!r}")
    document: D = _converter.structure(_copy_checked(mapping), kind)
    return document


def _copy_checked(value: Any) -> Any:
    """Return a copy of ``value`` made of dicts and lists; raise ``DecodeError`` if it is not a JSON value."""
    problems = Problems()
    top: dict[str, Any] = {"": value}
    waiting: list[tuple[Any, Any, Path]] = [(top, "", "$")]
    while waiting:
        container, key, path = waiting.pop()
        item = container[key]
        if isinstance(item, Mapping):
            copy = container[key] = dict(item)
            for name in copy:
                if type(name) is not str:
                    problems.add(path, "keys of type str", name)
                waiting.append((copy, name, (path, "", name)))
        elif isinstance(item, list | tuple):
            container[key] = list(item)
            waiting.extend((container[key], index, (path, "", index)) for index in range(len(item)))
        elif type(item) is float and not math.isfinite(item):
            problems.add(path, "a finite number", item)
        elif item is not None and type(item) not in {str, int, float, bool}:
            problems.add(path, "JSON", item)
    _refuse(problems, "the value is not JSON")
    return top[""]


# --- reading a response ----------------------------------------------------------------------------


def parse_envelope(body: bytes, kind: type[Document] | None) -> Any:
    """Return the JSON value of a response body.

    If ``kind`` is given and the body is a success with ordinary rows of that kind, ``data`` is a list that only
    ``iter_rows`` and ``read_rows`` understand, and of the envelope only the keys that the library uses are there.

    Raises ``DecodeError``. It is ``transient`` if the body is not valid JSON.
    """
    if kind and (fast := _FAST.get(kind)):
        envelope = fast.parse_envelope(check_text(body))
        if envelope is not None:
            return envelope
    return parse_json(body)


def iter_rows(data: Any, kind: type[D]) -> Iterator[tuple[list[D], list[BadRow]]]:
    """Yield the documents of a listing's ``data`` in pieces of at most 32 rows, with the rows that are not valid.

    ``data`` is an array of rows, or one document (as the vendor documents it), which must have at least one field of
    its kind. Each piece is decoded when it is asked for, and ``data`` is used up.

    Raises ``DecodeError`` at the first piece if ``data`` is anything else, such as ``null`` or ``{}``, because an
    account must never look empty by mistake; and, ``transient``, where a row of a large response is not valid JSON.
    """
    if type(data) is list:
        for first in range(0, len(data), _ROWS_AT_ONCE):
            yield _read_rows(_take(data, first), kind, first)  # in no variable, so that the caller can free it
    elif type(data) is dict and any(rule.name in data for rule in RULES[kind]):
        yield _read_values([data], kind, 0, ["$.data"])
    else:
        got = f"object without a field of {kind.__name__}" if type(data) is dict else json_type(data)
        raise DecodeError("the response is not a listing", problems=(f"$.data: expected array, got {got}",))


def _take(data: list[Any], first: int) -> list[Any]:
    rows = data[first : first + _ROWS_AT_ONCE]
    data[first : first + _ROWS_AT_ONCE] = [None] * len(rows)
    return rows


def _read_rows(rows: list[Any], kind: type[D], first: int) -> tuple[list[D], list[BadRow]]:
    if fast := _FAST.get(kind):
        documents = fast.read_rows(rows)
        if documents is not None:
            return documents, []
        rows = [parse_json(row) if type(row) is Raw else row for row in rows]
    return _read_values(rows, kind, first, [("$", ".data", index) for index in range(first, first + len(rows))])


def _read_values(rows: list[Any], kind: type[D], first: int, paths: list[Path]) -> tuple[list[D], list[BadRow]]:
    documents: list[D] = []
    bad_rows: list[BadRow] = []
    for index, (row, path) in enumerate(zip(rows, paths, strict=True), first):
        problems = Problems()
        document = _read(row, kind, path, problems)
        if problems:
            bad_rows.append(BadRow(index, getattr(document, "id", None) or None, tuple(problems)))
        else:
            documents.append(document)
    return documents, bad_rows


def read_rows(data: Any, kind: type[D]) -> tuple[D, ...]:
    """Return the documents of ``iter_rows`` all at once. Raises ``DecodeError`` with the problems of all bad rows."""
    documents: list[D] = []
    problems: list[str] = []
    for piece, bad_rows in iter_rows(data, kind):
        documents += piece
        for bad_row in bad_rows:
            problems += bad_row.problems
    if problems:
        message = f"the listing has rows that are not a valid {kind.__name__}"
        raise DecodeError(message, problems=tuple(problems[:_MAX_PROBLEMS]))
    return tuple(documents)


def read_one(data: Any, kind: type[D]) -> D:
    """Return the document in the ``data`` of a single document, which is used up.

    Raises ``DecodeError`` if ``data`` is anything but an object that is not empty, or if a field is wrong.
    """
    problems = Problems()
    if data == {}:
        problems.append("$.data: expected object, got an empty one")
    document: D = _read(data, kind, "$.data", problems)
    _refuse(problems, f"the response is not a valid {kind.__name__}")
    return document
