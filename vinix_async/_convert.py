"""JSON value ⇄ document. The only module that knows cattrs.

The hooks are strict: a value of another type than the API's is never converted, and every one of them is
named with its path. They consume the value that they are given: what is left of a dict when the known
keys have been taken out is the document's ``extra``.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar, get_args, get_origin

import attrs
import orjson
from cattrs import Converter

from ._exceptions import ConfigurationError, DecodeError
from ._flat import Document, copy_json
from ._models import Account, Callflow, Empty, FeatureCode, FlowNode, Metaflow, Ringback
from ._wire import MISSING, json_type

D = TypeVar("D", bound=Document)

_ABSENT: Final = object()
_MOST_PROBLEMS: Final = 100

Path = str | tuple[Any, str, str | int | None]
"""Where a value stands: a text, or the path above, a field and a key in it. Spelled out only for an error."""


class _Problems(list[str]):
    def add(self, path: Path, expected: str, got: object) -> None:
        if len(self) < _MOST_PROBLEMS:
            self.append(f"{_spell(path)}: expected {expected}, got {json_type(got)}")


def _spell(path: Path) -> str:
    steps = []
    while not isinstance(path, str):
        path, field, key = path
        if isinstance(key, str):
            field += f"[{json.dumps(key if len(key) <= 64 else key[:63] + '…')}]"
        elif key is not None:
            field += f"[{key}]"
        steps.append(field)
    return path + "".join(reversed(steps))


class _Fields:
    """The fields of one object, taken out of it one by one; the values that read as empty are noted."""

    __slots__ = ("empty", "path", "problems", "raw")

    def __init__(self, raw: dict[str, Any], path: Path, problems: _Problems) -> None:
        self.raw = raw
        self.path = path
        self.problems = problems
        self.empty: Empty = ()

    def take(self, key: str, kind: type, empties: tuple[Any, ...]) -> Any:
        """The value of ``key`` if it is a ``kind``; None if it is absent, empty or wrong."""
        value = self.raw.pop(key, _ABSENT)
        if value is _ABSENT:
            return None
        if type(value) is kind and (value or kind is not dict):
            return value
        if any(value == each and type(value) is type(each) for each in empties):
            self.empty += ((key, value),)
        else:
            self.problems.add((self.path, f".{key}", None), json_type(kind()), value)
        return None

    def text(self, key: str) -> str | None:
        value: str | None = self.take(key, str, (None,))
        return value

    def id(self) -> str:
        value = self.text("id")
        if value == "":
            self.empty += (("id", ""),)
        return value or ""

    def number(self, key: str) -> int | None:
        value: int | None = self.take(key, int, (None,))
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.take(key, list, (None,))
        if not value:
            if value is not None:
                self.empty += ((key, value),)
            return ()
        for index, item in enumerate(value):
            if type(item) is not str:
                self.problems.add((self.path, f".{key}", index), "str", item)
        return tuple(value)

    def mapping(self, key: str) -> dict[str, Any]:
        return self.take(key, dict, (None, {}, [])) or {}

    def nested(self, key: str, read: Callable[[Any, Path, _Problems], D], *empties: Any) -> D | None:
        value = self.take(key, dict, (None, {}, [], *empties))
        return None if value is None else read(value, (self.path, f".{key}", None), self.problems)

    def nodes(self, key: str) -> dict[str, FlowNode]:
        nodes = self.mapping(key)
        for name, raw in nodes.items():
            nodes[name] = _flow(raw, (self.path, f".{key}", name), self.problems)
        return nodes


_NO_CHILDREN: Final[Empty] = (("children", {}),)


def _flow(raw: Any, path: Path, problems: _Problems) -> FlowNode:
    """A node with all below it. The children's own dict becomes the node's, its values replaced one by one."""
    top: dict[str, Any] = {"": raw}
    waiting: list[tuple[dict[str, Any], str, Path]] = [(top, "", path)]
    while waiting:
        siblings, key, path = waiting.pop()
        raw = siblings[key]
        if type(raw) is not dict:
            problems.add(path, "object", raw)
            continue
        module, data, children = raw.get("module"), raw.get("data"), raw.get("children")
        if type(module) is str and type(data) is dict and data and type(children) is dict:
            del raw["module"], raw["data"], raw["children"]
            empty: Empty = () if children else _NO_CHILDREN
        else:
            fields = _Fields(raw, path, problems)
            module, data, children = fields.text("module"), fields.mapping("data"), fields.mapping("children")
            empty = fields.empty
        waiting.extend([(children, name, (path, ".children", name)) for name in children])
        siblings[key] = FlowNode(module=module, data=data, children=children, extra=raw, empty=empty)
    return top[""]  # type: ignore[no-any-return]  # or a wrong value, of a document that will be refused


def _featurecode(raw: dict[str, Any], path: Path, problems: _Problems) -> FeatureCode:
    fields = _Fields(raw, path, problems)
    name, number = fields.text("name"), fields.text("number")
    return FeatureCode(name=name, number=number, extra=raw, empty=fields.empty)


def _ringback(raw: dict[str, Any], path: Path, problems: _Problems) -> Ringback:
    fields = _Fields(raw, path, problems)
    early, transfer = fields.text("early"), fields.text("transfer")
    return Ringback(early=early, transfer=transfer, extra=raw, empty=fields.empty)


def _metaflow(raw: dict[str, Any], path: Path, problems: _Problems) -> Metaflow:
    fields = _Fields(raw, path, problems)
    values: dict[str, Any] = {
        "binding_digit": fields.text("binding_digit"),
        "digit_timeout": fields.number("digit_timeout"),
        "listen_on": fields.text("listen_on"),
        "numbers": fields.nodes("numbers"),
        "patterns": fields.nodes("patterns"),
    }
    return Metaflow(**values, extra=raw, empty=fields.empty)


def _callflow(raw: dict[str, Any], path: Path, problems: _Problems) -> Callflow:
    fields = _Fields(raw, path, problems)
    values: dict[str, Any] = {
        "id": fields.id(),
        "name": fields.text("name"),
        "type": fields.text("type"),
        "numbers": fields.texts("numbers"),
        "patterns": fields.texts("patterns"),
        "featurecode": fields.nested("featurecode", _featurecode, False),
        "flags": fields.texts("flags"),
        "flow": fields.nested("flow", _flow),
        "metaflow": fields.nested("metaflow", _metaflow),
        "ringback": fields.nested("ringback", _ringback),
        "owner_id": fields.text("owner_id"),
        "group_id": fields.text("group_id"),
        "modules": fields.texts("modules"),
        "metadata": fields.mapping("metadata"),
    }
    return Callflow(**values, extra=raw, empty=fields.empty)


def _account(raw: dict[str, Any], path: Path, problems: _Problems) -> Account:
    fields = _Fields(raw, path, problems)
    values: dict[str, Any] = {
        "id": fields.id(),
        "name": fields.text("name"),
        "realm": fields.text("realm"),
        "tree": fields.texts("tree"),
        "flags": fields.texts("flags"),
        "descendants_count": fields.number("descendants_count"),
    }
    return Account(**values, extra=raw, empty=fields.empty)


_READERS: Final[Mapping[type, Callable[[Any, Path, _Problems], Document]]] = {
    Account: _account,
    Callflow: _callflow,
    FeatureCode: _featurecode,
    FlowNode: _flow,
    Metaflow: _metaflow,
    Ringback: _ringback,
}


def _read(raw: Any, kind: type, path: Path, problems: _Problems) -> Any:
    if type(raw) is dict:
        return _READERS[kind](raw, path, problems)
    problems.add(path, "object", raw)
    return None


def _read_document(raw: Any, kind: type) -> Any:
    problems = _Problems()
    document = _read(raw, kind, "$", problems)
    _refuse(problems, kind.__name__)
    return document


def _read_rows(data: Any, kind: Any) -> tuple[Any, ...]:
    (kind, *_) = get_args(kind)
    problems = _Problems()
    if data is MISSING or data is None or data == {}:
        return ()
    if type(data) is list:
        rows = tuple([_read(row, kind, ("$", ".data", index), problems) for index, row in enumerate(data)])
    else:  # the vendor documents one object in place of the array
        rows = (_read(data, kind, "$.data", problems),)
    _refuse(problems, f"listing of {kind.__name__}s")
    return rows


def _refuse(problems: _Problems, what: str) -> None:
    if problems:
        raise DecodeError(f"this is no {what} as the API sends it", problems=tuple(problems))


def _is_rows(kind: Any) -> bool:
    return get_origin(kind) is tuple and get_args(kind)[0] in _READERS


_converter: Final = Converter()
for _kind in _READERS:
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
    if kind not in _READERS:
        raise ConfigurationError(f"structure reads documents, not {kind!r}")
    document: D = _converter.structure(_own(value), kind)
    return document


def _own(value: Any) -> Any:
    """A copy of ``value`` in dicts and lists of its own, if it is JSON."""
    problems = _Problems()
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
    if type(document) not in _READERS:
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
_NAMES: Final = {
    kind: [name for field in attrs.fields(kind) if (name := field.name) not in {"extra", "_empty"}] for kind in _READERS
}


def to_json(document: Document) -> bytes:
    """``to_dict(document)`` as compact JSON, however deep it is."""
    value = to_dict(document)
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # deeper than 254 levels, or a number of more than 64 bits
        return "".join(_encode(value)).encode()


def _encode(value: Any) -> Iterator[str]:
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
