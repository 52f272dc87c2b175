"""Reads documents from JSON values. This module defines which values are accepted.

Each document class has one rule per field. The rule is derived from the field's annotation. ``_read_object`` reads a
JSON object according to the rules of a class. A value of the wrong type is never converted. It is recorded as a
problem, together with its path. Keys without a field go to ``extra``.

``fast_decode.py`` is a faster way to read ordinary listings.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, get_args, get_origin

import attrs
from msgspec import Raw

from .._exceptions import ConfigurationError, DecodeError
from .._public import public
from . import models
from .base import ABSENT_OBJECT, Document, unchecked
from .deep_json import check_text, parse_json

if TYPE_CHECKING:
    from cattrs import BaseConverter

D = TypeVar("D", bound=Document)

_ROWS_AT_ONCE: Final = 64
_MAX_PROBLEMS: Final = 100
_MAX_KEY_SHOWN: Final = 64

MISSING: Final[Any] = object()
"""Stands for the value of a key that a JSON object does not have."""


def json_type(value: object) -> str:
    """Return the name of a value's JSON type, for error messages."""
    return "nothing" if value is MISSING else _JSON_TYPES.get(type(value), type(value).__name__)


_JSON_TYPES: Final[Mapping[type, str]] = {dict: "object", list: "array", NoneType: "null"}

# --- rules -----------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """The JSON values that a field accepts.

    ``json`` is the Python type of the accepted values, or ``object`` if any value is accepted. If the field contains a
    document, ``kind`` is the class of the document. If ``is_map`` is true, the field contains a mapping of documents of
    this class. ``empties`` contains the values that are read as ``default``. Each item is a pair of the type and the
    value, because Python considers 0 and False equal.
    """

    name: str
    json: type
    kind: type[Document] | None
    is_map: bool
    default: Any
    empties: tuple[tuple[type, Any], ...]

    @property
    def may_be_false(self) -> bool:
        """Whether the field accepts ``false``, which is read as its default."""
        return (bool, False) in self.empties


_SIMPLE_TYPES: Final[Mapping[Any, type]] = {Any: object, tuple[str, ...]: list, str: str, int: int, bool: bool}


def _rule(field: "attrs.Attribute[Any]") -> Rule:
    options = [each for each in get_args(field.type) if each is not NoneType]
    annotation: Any = options[0] if NoneType in get_args(field.type) else field.type
    is_map = get_origin(annotation) is Mapping
    inner = get_args(annotation)[1] if is_map else annotation
    kind = inner if isinstance(inner, type) and issubclass(inner, Document) else None
    json_value = dict if is_map or kind else _SIMPLE_TYPES[annotation]
    empties: list[Any] = [None, *field.metadata.get("empties", ())]
    if json_value is dict:
        empties += [[]] if is_map else [[], {}]
    if field.default == "":
        empties.append("")
    return Rule(field.name, json_value, kind, is_map, field.default, tuple((type(each), each) for each in empties))


def _rules(kind: type[Document]) -> tuple[Rule, ...]:
    # Without globalns, resolve_types would look up names in vinix_async, because @public sets __module__ to it.
    own_fields = attrs.fields(attrs.resolve_types(kind, globalns=dict(vars(models))))[len(attrs.fields(Document)) :]
    return tuple(_rule(field) for field in own_fields)


RULES: Final[Mapping[type[Document], tuple[Rule, ...]]] = {
    kind: _rules(kind)
    for kind in vars(models).values()
    if isinstance(kind, type) and issubclass(kind, Document) and kind is not Document
}
"""The rules of each class, in the order of its fields. The fields that ``Document`` defines have no rules."""

_FAST: dict[type[Document], Any] = {}
with suppress(ModuleNotFoundError):  # fast_decode.py is optional and can be deleted; only this module imports it
    from .fast_decode import make_fast_decoders

    _FAST = make_fast_decoders(RULES)

# --- problems --------------------------------------------------------------------------------------

Path = str | tuple[Any, str, str | int | None]
"""A JSON path: a string, or a tuple ``(parent, field, key)``.

``parent`` is the path of the parent. ``field`` is a text such as ``.data``. ``key`` is a key in the field, or None. A
tuple takes less time to create than a string. ``_spell`` converts it for an error message.
"""


class Problems(list[str]):
    """A list of descriptions of invalid values."""

    def add(self, path: Path, expected: str, got: object) -> None:
        """Record that the value at ``path`` is invalid, unless there are already 100 problems."""
        if len(self) < _MAX_PROBLEMS:
            self.append(f"{_spell(path)}: expected {expected}, got {json_type(got)}")


_CREDENTIALS: Final = re.compile("[@?=]")
"""A key with one of these characters may be a URL with a password or a token. ``_spell`` shortens such a key."""

_URL_PART: Final = re.compile("[:/@?=]")


def _spell(path: Path) -> str:
    steps = []
    while not isinstance(path, str):
        path, field, key = path
        if isinstance(key, str):
            if _CREDENTIALS.search(key):
                key = f"{_URL_PART.split(key, maxsplit=1)[0]}…"
            field += f"[{json.dumps(key if len(key) <= _MAX_KEY_SHOWN else key[: _MAX_KEY_SHOWN - 1] + '…')}]"
        elif key is not None:
            field += f"[{key}]"
        steps.append(field)
    return path + "".join(reversed(steps))


@attrs.frozen
class BadRow:
    """An invalid row of a listing. Each of the ``problems`` describes one value, as in ``$.data[3].name: ...``."""

    index: int
    id: str | None
    problems: tuple[str, ...]


# --- reading one value -----------------------------------------------------------------------------

_Maps = list[tuple[dict[str, Any], type[Document], Path, str]]


def _read(value: Any, kind: type[Document], path: Path, problems: Problems) -> Any:
    """Return the document in ``value``, or None if ``value`` is not an object. ``value`` is modified."""
    maps: _Maps = []  # a list instead of recursion, so that a flow can have any depth
    document = _read_object(value, kind, path, problems, maps)
    for values, inner, parent, field in maps:  # _read_object appends to maps during the loop
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
        value: Any = take(name, MISSING)
        if value is MISSING:
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
        "".join(value)  # the fastest way to check that each item is a str
    except TypeError:
        for index, item in enumerate(value):
            if type(item) is not str:
                problems.add((path, "", index), "str", item)
    return tuple(value)


def _refuse(problems: list[str], message: str) -> None:
    if problems:
        raise DecodeError(message, problems=tuple(problems[:_MAX_PROBLEMS]))


# --- reading a mapping -----------------------------------------------------------------------------


def _structure(value: Any, kind: type[Document]) -> Document:
    problems = Problems()
    document: Document = _read(value, kind, "$", problems)
    _refuse(problems, f"the value is not a valid {kind.__name__}")
    return document


@cache
def _converter() -> "BaseConverter":
    from cattrs import BaseConverter  # noqa: PLC0415  # slow to import, and not needed to read responses

    converter = BaseConverter()
    converter.register_structure_hook_func(RULES.__contains__, _structure)
    return converter


@public
def structure(mapping: Mapping[str, Any], kind: type[D]) -> D:
    """Return the document of class ``kind`` that ``mapping`` describes. The document contains copies of all values.

    Raises:
        DecodeError: a value has the wrong type or is not a JSON value. ``problems`` describes the invalid values.
        ConfigurationError: ``kind`` is not a document class.
    """
    if kind not in tuple(RULES):  # a tuple, because an invalid argument can be unhashable
        raise ConfigurationError(f"structure() needs a document class such as Callflow, not {kind!r}")
    document: D = _converter().structure(_copy_checked(mapping), kind)
    return document


def _copy_checked(value: Any) -> Any:
    """Return a copy of ``value`` that consists of dicts and lists. Raise ``DecodeError`` if it is not a JSON value."""
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
    """Return the JSON value of a response body, which is usually an envelope.

    ``kind`` is the class of the rows of a listing, or None for other responses. Ordinary listings are decoded faster.
    The result then lacks the keys that the library does not use, and only ``iter_rows`` and ``read_rows`` can read its
    ``data``.

    Raises ``DecodeError``, which is ``transient`` if the body is not valid JSON.
    """
    if kind and (fast := _FAST.get(kind)):
        envelope = fast.parse_envelope(check_text(body))
        if envelope is not None:
            return envelope
    return parse_json(body)


def iter_rows(data: Any, kind: type[D]) -> Iterator[tuple[list[D], list[BadRow]]]:
    """Yield the valid documents and the invalid rows of a listing's ``data``, in batches of at most 64 rows.

    ``data`` is an array of rows. It can also be a single document with at least one field of ``kind``, as in the
    vendor's documentation. Each batch is decoded when it is requested. ``data`` is modified.

    For any other ``data``, such as ``null`` or ``{}``, the first batch raises ``DecodeError``. Otherwise a faulty
    response would look like an account without callflows.

    The JSON of a large response is parsed batch by batch. A batch raises a ``transient`` ``DecodeError`` if one of its
    rows is not valid JSON.
    """
    if type(data) is list:
        for first in range(0, len(data), _ROWS_AT_ONCE):
            rows = data[first : first + _ROWS_AT_ONCE]
            yield _read_rows(rows, kind, range(first, first + len(rows)))
    elif type(data) is dict and any(rule.name in data for rule in RULES[kind]):
        yield _read_rows([data], kind, [None])
    else:
        got = f"object without a field of {kind.__name__}" if type(data) is dict else json_type(data)
        raise DecodeError("the response is not a listing", problems=(f"$.data: expected array, got {got}",))


def _read_rows(rows: list[Any], kind: type[D], indexes: Sequence[int | None]) -> tuple[list[D], list[BadRow]]:
    if (fast := _FAST.get(kind)) and (found := fast.read_rows(rows)) is not None:
        return found, []
    documents: list[D] = []
    bad_rows: list[BadRow] = []
    for row, index in zip(rows, indexes, strict=True):
        problems = Problems()
        value = parse_json(row) if type(row) is Raw else row
        document = _read(value, kind, ("$", ".data", index), problems)
        if problems:
            bad_rows.append(BadRow(index or 0, getattr(document, "id", None) or None, tuple(problems)))
        else:
            documents.append(document)
    return documents, bad_rows


def read_rows(data: Any, kind: type[D]) -> tuple[D, ...]:
    """Return all documents of ``iter_rows``. Raises ``DecodeError`` with the problems of all invalid rows."""
    documents: list[D] = []
    problems: list[str] = []
    for valid, bad_rows in iter_rows(data, kind):
        documents += valid
        problems += [problem for bad_row in bad_rows for problem in bad_row.problems]
    _refuse(problems, f"the listing contains rows that are not a valid {kind.__name__}")
    return tuple(documents)


def read_one(data: Any, kind: type[D]) -> D:
    """Return the single document in the ``data`` of an envelope. ``data`` is modified.

    Raises ``DecodeError`` if ``data`` is empty or not an object, or if a field is invalid.
    """
    problems = Problems()
    if data == {}:
        problems.append("$.data: expected non-empty object, got an empty one")
    document: D = _read(data, kind, "$.data", problems)
    _refuse(problems, f"the response is not a valid {kind.__name__}")
    return document
