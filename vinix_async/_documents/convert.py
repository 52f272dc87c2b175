"""JSON value ⇄ document. The only module that knows cattrs."""

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, TypeVar, get_args, get_origin

from cattrs import BaseConverter
from msgspec import Raw

from .._exceptions import ConfigurationError, DecodeError
from .._http.request import MISSING
from .base import ABSENT_ARRAY, ABSENT_OBJECT, Document, copy_json, field_names
from .families import FAMILIES
from .fields import Path, Problems
from .json import write_json
from .readers import READERS, read_object

D = TypeVar("D", bound=Document)


def _read_document(raw: Any, kind: type) -> Any:
    problems = Problems()
    document = read_object(raw, kind, "$", problems)
    _refuse(problems, kind.__name__)
    return document


_Piece = tuple[list[Any], int, Problems]
"""Some rows of a listing, as values, as JSON, or in shells; the number of the first one; what is wrong with them."""


def _reader(kind: Any) -> Callable[[_Piece, Any], list[Any]]:
    """The hook for ``tuple[kind, ...]``, which gives the documents in a piece; none once there are problems."""
    read = FAMILIES[get_args(kind)[0]].read

    def read_piece(piece: _Piece, _kind: Any) -> list[Any]:
        documents = read(*piece)
        return [] if piece[2] else documents

    return read_piece


def _refuse(problems: Problems, what: str) -> None:
    if problems:
        raise DecodeError(f"this is no {what} as the API sends it", problems=tuple(problems))


def _is_rows(kind: Any) -> bool:
    return get_origin(kind) is tuple and get_args(kind)[0] in FAMILIES


_converter: Final = BaseConverter()
# By predicate, since a hook for an attrs class by itself has cattrs look up the types of all of its fields.
_converter.register_structure_hook_func(READERS.__contains__, _read_document)
_converter.register_structure_hook_factory(_is_rows, _reader)
_READ: Final = {kind: _converter.get_structure_hook(tuple[kind, ...]) for kind in FAMILIES}  # type: ignore[valid-type]


def iter_rows(data: Any, kind: type[D]) -> Iterator[Sequence[D]]:
    """The documents in a listing's ``data``: an array, one object, or nothing. ``data`` is used up.

    They come in pieces of some kilobytes, each decoded when it is asked for. From the first piece on in which anything
    is wrong they are empty, and behind the last one ``DecodeError`` tells all that is.
    """
    problems = Problems()
    if type(data) is list:
        read = _READ[kind]
        for rows, first in _pieces(data):
            yield read((rows, first, problems), kind)  # in no variable, which would hold what the caller lets go
    elif data is MISSING or data is None or data == {}:
        return
    else:  # the vendor documents one object in place of the array
        document = read_object(data, kind, "$.data", problems)
        yield () if problems else [document]
    if problems:
        _refuse(problems, f"listing of {kind.__name__}s")


def _pieces(rows: list[Any]) -> Iterable[tuple[list[Any], int]]:
    """``rows`` in pieces of some kilobytes of JSON, or of some values, each with the number of its first row.

    Rows in shells are one piece.
    """
    if not rows:
        return ()
    if type(rows[0]) is Raw:
        return _cut(rows)
    if type(rows[0]) is not dict or len(rows) <= _VALUES:
        return ((rows, 0),)
    return ((rows[first : first + _VALUES], first) for first in range(0, len(rows), _VALUES))


def _cut(rows: list[Raw]) -> Iterator[tuple[list[Any], int]]:
    first = size = 0
    for index, row in enumerate(rows):
        size += len(row)
        if size >= _PIECE:
            yield rows[first : index + 1], first
            first, size = index + 1, 0
    if first < len(rows):
        yield rows[first:], first


_PIECE: Final = 16 * 1024
_VALUES: Final = 64


class collector_paused:  # noqa: N801  # used as a function is
    """Keeps Python's collector from running between two lines: what is decoded there is all kept, and no garbage."""

    def __enter__(self) -> None:
        self._ran = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._ran:
            gc.enable()


def read_rows(data: Any, kind: type[D]) -> tuple[D, ...]:
    """The documents of ``iter_rows``, all at once."""
    with collector_paused():
        return tuple(chain.from_iterable(iter_rows(data, kind)))


def read_one(data: Any, kind: type[D]) -> D:
    """The document in a single document's ``data``, which is used up."""
    rows = read_rows(data, kind)
    if len(rows) != 1:
        raise DecodeError("one document was asked for", problems=(f"$.data: expected 1, got {len(rows)}",))
    return rows[0]


def structure(value: Mapping[str, Any], kind: type[D]) -> D:
    """The document that ``value`` describes; ``value`` stays as it is, and nothing of it is shared.

    Raises ``DecodeError``, whose ``problems`` name every field of a wrong type with its path.
    """
    if kind not in READERS:
        raise ConfigurationError(f"structure reads documents, not {kind!r}")
    document: D = _converter.structure(_own(value), kind)
    return document


def _own(value: Any) -> Any:
    """A copy of ``value`` in dicts and lists of its own, if it is JSON."""
    problems = Problems()
    top: dict[str, Any] = {"": value}
    waiting: list[tuple[Any, Any, Path]] = [(top, "", "$")]
    while waiting:
        container, key, path = waiting.pop()
        item = container[key]
        if isinstance(item, Mapping):
            own = container[key] = dict(item)
            for name in own:
                if type(name) is not str:
                    problems.add(path, "keys of type str", name)
                waiting.append((own, name, (path, "", name)))
        elif isinstance(item, list | tuple):
            container[key] = list(item)
            waiting.extend((container[key], index, (path, "", index)) for index in range(len(item)))
        elif item is not None and type(item) not in {str, int, float, bool}:
            problems.add(path, "JSON", item)
    _refuse(problems, "JSON value")
    return top[""]


def to_dict(document: Document) -> dict[str, Any]:
    """What the server sent for ``document``: nothing lost, nothing invented, nothing shared with it."""
    if type(document) not in READERS:
        raise ConfigurationError(f"to_dict takes a document, not {type(document).__name__}")
    top: dict[str, Any] = {}
    waiting: list[tuple[Document, dict[str, Any]]] = [(document, top)]
    while waiting:
        source, sent = waiting.pop()
        for name in _NAMES[type(source)]:
            value = getattr(source, name)
            if value is None or value is ABSENT_OBJECT or value is ABSENT_ARRAY or (value == "" and name == "id"):
                continue
            if isinstance(value, Document):
                sent[name] = {}
                waiting.append((value, sent[name]))
            elif isinstance(value, tuple):
                sent[name] = list(value)
            elif name in _NODES and value:
                sent[name] = {key: {} for key in value}
                waiting.extend((node, sent[name][key]) for key, node in value.items())
            else:
                sent[name] = copy_json(value)
        sent.update(copy_json(source.extra))  # type: ignore[attr-defined]
        for key, empty in source._empty:  # type: ignore[attr-defined]  # noqa: SLF001
            sent.setdefault(key, copy_json(empty))
    return top


_NODES: Final = {"children", "numbers", "patterns"}
_NAMES: Final = {kind: [name for name in field_names(kind) if name not in {"extra", "_empty"}] for kind in READERS}


def to_json(document: Document) -> bytes:
    """``to_dict(document)`` as compact JSON, however deep it is."""
    return write_json(to_dict(document))
