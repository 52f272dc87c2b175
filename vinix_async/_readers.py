"""JSON objects to documents, strictly, by consuming them.

A value of another type than the API's is never converted: it is noted with its path. What is left of a dict
when the known keys have been taken out is the document's ``extra``. No function here calls itself.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from ._flat import Document
from ._models import Account, Callflow, Empty, FeatureCode, FlowNode, Metaflow, Ringback
from ._wire import json_type

D = TypeVar("D", bound=Document)

_ABSENT: Final = object()
_MOST_PROBLEMS: Final = 100

Path = str | tuple[Any, str, str | int | None]
"""Where a value stands: a text, or the path above, a field and a key in it. Spelled out only for an error."""


class Problems(list[str]):
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

    def __init__(self, raw: dict[str, Any], path: Path, problems: Problems) -> None:
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

    def nested(self, key: str, read: Callable[[Any, Path, Problems], D], *empties: Any) -> D | None:
        value = self.take(key, dict, (None, {}, [], *empties))
        return None if value is None else read(value, (self.path, f".{key}", None), self.problems)

    def nodes(self, key: str) -> dict[str, FlowNode]:
        nodes = self.mapping(key)
        for name, raw in nodes.items():
            nodes[name] = _flow(raw, (self.path, f".{key}", name), self.problems)
        return nodes


_NO_CHILDREN: Final[Empty] = (("children", {}),)


def _flow(raw: Any, path: Path, problems: Problems) -> FlowNode:
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


def _featurecode(raw: dict[str, Any], path: Path, problems: Problems) -> FeatureCode:
    fields = _Fields(raw, path, problems)
    name, number = fields.text("name"), fields.text("number")
    return FeatureCode(name=name, number=number, extra=raw, empty=fields.empty)


def _ringback(raw: dict[str, Any], path: Path, problems: Problems) -> Ringback:
    fields = _Fields(raw, path, problems)
    early, transfer = fields.text("early"), fields.text("transfer")
    return Ringback(early=early, transfer=transfer, extra=raw, empty=fields.empty)


def _metaflow(raw: dict[str, Any], path: Path, problems: Problems) -> Metaflow:
    fields = _Fields(raw, path, problems)
    values: dict[str, Any] = {
        "binding_digit": fields.text("binding_digit"),
        "digit_timeout": fields.number("digit_timeout"),
        "listen_on": fields.text("listen_on"),
        "numbers": fields.nodes("numbers"),
        "patterns": fields.nodes("patterns"),
    }
    return Metaflow(**values, extra=raw, empty=fields.empty)


def _callflow(raw: dict[str, Any], path: Path, problems: Problems) -> Callflow:
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


def _account(raw: dict[str, Any], path: Path, problems: Problems) -> Account:
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


READERS: Final[Mapping[type, Callable[[Any, Path, Problems], Document]]] = {
    Account: _account,
    Callflow: _callflow,
    FeatureCode: _featurecode,
    FlowNode: _flow,
    Metaflow: _metaflow,
    Ringback: _ringback,
}


def read_object(raw: Any, kind: type, path: Path, problems: Problems) -> Any:
    if type(raw) is dict:
        return READERS[kind](raw, path, problems)
    problems.add(path, "object", raw)
    return None
