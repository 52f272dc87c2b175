"""JSON value ⇄ document. The only module that knows cattrs."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar, get_args, get_origin

import orjson
from cattrs import Converter

from ._exceptions import ConfigurationError, DecodeError
from ._flat import Document, copy_json, field_names, json_pieces
from ._readers import READERS, Path, Problems, read_object
from ._wire import MISSING

D = TypeVar("D", bound=Document)


def _read_document(raw: Any, kind: type) -> Any:
    problems = Problems()
    document = read_object(raw, kind, "$", problems)
    _refuse(problems, kind.__name__)
    return document


def _read_rows(data: Any, kind: Any) -> tuple[Any, ...]:
    (kind, *_) = get_args(kind)
    problems = Problems()
    if data is MISSING or data is None or data == {}:
        return ()
    if type(data) is list:
        rows = tuple([read_object(row, kind, ("$", ".data", index), problems) for index, row in enumerate(data)])
    else:  # the vendor documents one object in place of the array
        rows = (read_object(data, kind, "$.data", problems),)
    _refuse(problems, f"listing of {kind.__name__}s")
    return rows


def _refuse(problems: Problems, what: str) -> None:
    if problems:
        raise DecodeError(f"this is no {what} as the API sends it", problems=tuple(problems))


def _is_rows(kind: Any) -> bool:
    return get_origin(kind) is tuple and get_args(kind)[0] in READERS


_converter: Final = Converter()
for _kind in READERS:
    _converter.register_structure_hook(_kind, _read_document)
_converter.register_structure_hook_func(_is_rows, _read_rows)


def read_rows(data: Any, kind: type[D]) -> tuple[D, ...]:
    """The documents in a listing's ``data``: an array, one object, or nothing. ``data`` is used up."""
    rows: tuple[D, ...] = _converter.structure(data, tuple[kind, ...])  # type: ignore[valid-type]
    return rows


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
            if value is None or value == () or (value == "" and name == "id"):
                continue
            if isinstance(value, Document):
                sent[name] = {}
                waiting.append((value, sent[name]))
            elif isinstance(value, tuple):
                sent[name] = list(value)
            elif name in _NODES and value:
                sent[name] = {key: {} for key in value}
                waiting.extend((node, sent[name][key]) for key, node in value.items())
            elif value != {}:
                sent[name] = copy_json(value)
        sent.update(copy_json(source.extra))  # type: ignore[attr-defined]
        for key, empty in source._empty:  # type: ignore[attr-defined]  # noqa: SLF001
            sent.setdefault(key, copy_json(empty))
    return top


_NODES: Final = {"children", "numbers", "patterns"}
_NAMES: Final = {kind: [name for name in field_names(kind) if name not in {"extra", "_empty"}] for kind in READERS}


def to_json(document: Document) -> bytes:
    """``to_dict(document)`` as compact JSON, however deep it is."""
    value = to_dict(document)
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # deeper than 254 levels, or a number of more than 64 bits
        return "".join(json_pieces(value)).encode()
