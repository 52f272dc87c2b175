"""JSON objects to documents, strictly, by consuming them.

A value of another type than the API's is never converted: it is noted with its path. What is left of a dict
when the known keys have been taken out is the document's ``extra``. No function here calls itself.
"""

import json
from collections.abc import Callable, Mapping
from sys import intern
from typing import Any, Final, TypeVar

from ._flat import ABSENT_ARRAY, ABSENT_OBJECT, Document, open_twin
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

    def _other(self, key: str, expected: str, value: Any, *empties: Any) -> None:
        """Note a value that is not of the type that belongs to ``key``: it reads as empty, or is wrong."""
        if value is _ABSENT:
            return
        if any(value == each and type(value) is type(each) for each in (None, *empties)):
            self.empty += ((key, value),)
        else:
            self.problems.add((self.path, f".{key}", None), expected, value)

    def text(self, key: str) -> str | None:
        value = self.raw.pop(key, _ABSENT)
        if type(value) is str:
            return value
        self._other(key, "str", value)
        return None

    def id(self) -> str:
        value = self.text("id")
        if value == "":
            self.empty += (("id", ""),)
        return value or ""

    def number(self, key: str) -> int | None:
        value = self.raw.pop(key, _ABSENT)
        if type(value) is int:
            return value
        self._other(key, "int", value)
        return None

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.raw.pop(key, _ABSENT)
        if type(value) is not list:
            self._other(key, "array", value)
            return ABSENT_ARRAY
        for index, item in enumerate(value):
            if type(item) is not str:
                self.problems.add((self.path, f".{key}", index), "str", item)
        return tuple(value)

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.raw.pop(key, _ABSENT)
        if type(value) is dict:
            return value
        self._other(key, "object", value, [])
        return ABSENT_OBJECT

    def nested(self, key: str, read: Callable[[Any, Path, Problems], D], *empties: Any) -> D | None:
        value = self.raw.pop(key, _ABSENT)
        if value and type(value) is dict:
            return read(value, (self.path, f".{key}", None), self.problems)
        self._other(key, "object", value, {}, [], *empties)
        return None

    def nodes(self, key: str) -> dict[str, FlowNode]:
        nodes = self.mapping(key)
        for name, raw in nodes.items():
            nodes[name] = _flow(raw, (self.path, f".{key}", name), self.problems)
        return nodes


_OpenNode: Final = open_twin(FlowNode)


def make_node(module: str | None, data: Any, children: Any, extra: Any, empty: Empty) -> FlowNode:
    """A node, in a third of the time of ``FlowNode(...)``; its ``module`` is shared with all others of that name."""
    node = _OpenNode()
    node.module = module and intern(module)
    node.data = data
    node.children = children
    node.extra = extra
    node._empty = empty  # noqa: SLF001  # of the class that it is going to have
    node.__class__ = FlowNode
    return node  # type: ignore[no-any-return]  # by its new class


def _flow(flow: Any, path: Path, problems: Problems) -> FlowNode:
    """A node with all below it. The children's own dict becomes the node's, its values replaced one by one."""
    top: dict[str, Any] = {"": flow}
    waiting: list[tuple[dict[str, Any], Path, str | None]] = [(top, path, None)]
    for siblings, above, field in waiting:
        for key, raw in siblings.items():
            if type(raw) is not dict:
                problems.add((above, field, key) if field else above, "object", raw)
                continue
            module, data, children = raw.get("module"), raw.get("data"), raw.get("children")
            if type(module) is str and type(data) is dict and type(children) is dict:
                del raw["module"], raw["data"], raw["children"]
                empty: Empty = ()
            else:
                fields = _Fields(raw, (above, field, key) if field else above, problems)
                module, data, children = fields.text("module"), fields.mapping("data"), fields.mapping("children")
                empty = fields.empty
            siblings[key] = make_node(module, data, children, raw or ABSENT_OBJECT, empty)
            if children:
                waiting.append((children, (above, field, key) if field else above, ".children"))
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
