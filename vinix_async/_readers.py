"""JSON objects to documents, strictly, by consuming them.

A value of another type than the API's is never converted: it is noted with its path. What is left of a dict
when the known keys have been taken out is the document's ``extra``. No function here calls itself.
"""

from collections.abc import Callable, Mapping
from sys import intern
from typing import Any, Final, TypeVar

from ._fields import ABSENT, Fields, Path, Problems
from ._flat import ABSENT_ARRAY, ABSENT_OBJECT, Document, open_twin
from ._models import Account, Callflow, Empty, FeatureCode, FlowNode, Metaflow, OpenCallflow, Ringback, Seed

D = TypeVar("D", bound=Document)

_NO_OBJECT: Final[dict[str, Any]] = {}

OpenNode: Final = open_twin(FlowNode)


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
                fields = Fields(raw, (above, field, key) if field else above, problems)
                module, data, children = fields.text("module"), fields.mapping("data"), fields.mapping("children")
                empty = fields.empty
            siblings[key] = node = OpenNode()
            node.module = module and intern(module)  # shared with all others of that name
            node.data = data
            node.children = children
            node.extra = raw or ABSENT_OBJECT
            node._empty = empty  # noqa: SLF001  # of the class that it is going to have
            node.__class__ = FlowNode
            if children:
                waiting.append((children, (above, field, key) if field else above, ".children"))
    return top[""]  # type: ignore[no-any-return]  # or a wrong value, of a document that will be refused


def _featurecode(raw: dict[str, Any], path: Path, problems: Problems) -> FeatureCode:
    fields = Fields(raw, path, problems)
    name, number = fields.text("name"), fields.text("number")
    return FeatureCode(name=name, number=number, extra=raw, empty=fields.empty)


def _ringback(raw: dict[str, Any], path: Path, problems: Problems) -> Ringback:
    fields = Fields(raw, path, problems)
    early, transfer = fields.text("early"), fields.text("transfer")
    return Ringback(early=early, transfer=transfer, extra=raw, empty=fields.empty)


def _metaflow(raw: dict[str, Any], path: Path, problems: Problems) -> Metaflow:
    fields = Fields(raw, path, problems)
    values: dict[str, Any] = {
        "binding_digit": fields.text("binding_digit"),
        "digit_timeout": fields.number("digit_timeout"),
        "listen_on": fields.text("listen_on"),
        "numbers": _nodes("numbers", fields),
        "patterns": _nodes("patterns", fields),
    }
    return Metaflow(**values, extra=raw, empty=fields.empty)


_OF_WHOLES: Final = {"flow", "metaflow", "ringback", "metadata"}
NO_FEATURECODE: Final = (("featurecode", False),)
_NO_TEXT: Final = str(b"no text", "ascii")  # this very one, as below: nothing came, and yet the type is right
_NO_TEXTS: Final = (_NO_TEXT,)


def _nodes(key: str, fields: Fields) -> dict[str, FlowNode]:
    nodes = fields.mapping(key)
    for name, raw in nodes.items():
        nodes[name] = _flow(raw, (fields.path, f".{key}", name), fields.problems)
    return nodes


def _callflow(raw: dict[str, Any], path: Path, problems: Problems) -> Callflow:
    """What a summary has is taken at one go if all is of the right type, and its arrays are tuples of texts."""
    made, take = OpenCallflow(), raw.pop
    id_ = take("id", ABSENT)
    name = take("name", _NO_TEXT)
    kind = take("type", _NO_TEXT)
    numbers = take("numbers", _NO_TEXTS)
    patterns = take("patterns", _NO_TEXTS)
    code = take("featurecode", ABSENT)
    flags = take("flags", _NO_TEXTS)
    owner_id = take("owner_id", _NO_TEXT)
    group_id = take("group_id", _NO_TEXT)
    modules = take("modules", _NO_TEXTS)
    if tuple in map(type, raw.values()):
        _make_lists(raw)
    if (
        type(id_) is type(name) is type(kind) is type(owner_id) is type(group_id) is str
        and type(numbers) is type(patterns) is type(flags) is type(modules) is tuple
        and (code is False or code is ABSENT)
        and id_ != ""
    ):
        made.id = id_
        made.name = None if name is _NO_TEXT else name
        made.type = None if kind is _NO_TEXT else kind
        made.numbers = ABSENT_ARRAY if numbers is _NO_TEXTS else numbers
        made.patterns = ABSENT_ARRAY if patterns is _NO_TEXTS else patterns
        made.featurecode = None
        made.flags = ABSENT_ARRAY if flags is _NO_TEXTS else flags
        made.owner_id = None if owner_id is _NO_TEXT else owner_id
        made.group_id = None if group_id is _NO_TEXT else group_id
        made.modules = ABSENT_ARRAY if modules is _NO_TEXTS else modules
        empty: Empty = () if code is ABSENT else NO_FEATURECODE
    else:
        values: dict[str, Any] = {
            "id": id_,
            "name": name,
            "type": kind,
            "numbers": numbers,
            "patterns": patterns,
            "featurecode": code,
            "flags": flags,
            "owner_id": owner_id,
            "group_id": group_id,
            "modules": modules,
        }
        taken = {key: value for key, value in values.items() if not _is_absent(value)}
        empty = _fill_summary(made, taken, path, problems)
    if _OF_WHOLES.isdisjoint(raw):
        made.flow = made.metaflow = made.ringback = None
        made.metadata = ABSENT_OBJECT
    else:
        fields = Fields(raw, path, problems)
        made.flow = fields.nested("flow", read_flow)
        made.metaflow = fields.nested("metaflow", _metaflow)
        made.ringback = fields.nested("ringback", _ringback)
        made.metadata = fields.mapping("metadata")
        empty += fields.empty
    made.extra = raw or ABSENT_OBJECT
    made._empty = empty  # noqa: SLF001  # as in a node
    made.__class__ = Callflow
    return made  # type: ignore[no-any-return]  # by its new class


def _fill_summary(made: Any, taken: dict[str, Any], path: Path, problems: Problems) -> Empty:
    """Take the fields one by one."""
    _make_lists(taken)
    fields = Fields(taken, path, problems)
    made.id = fields.id()
    made.name = fields.text("name")
    made.type = fields.text("type")
    made.numbers = fields.texts("numbers")
    made.patterns = fields.texts("patterns")
    made.featurecode = fields.nested("featurecode", _featurecode, False)
    made.flags = fields.texts("flags")
    made.owner_id = fields.text("owner_id")
    made.group_id = fields.text("group_id")
    made.modules = fields.texts("modules")
    return fields.empty


def _is_absent(value: Any) -> bool:
    return value is ABSENT or value is _NO_TEXT or value is _NO_TEXTS


def _make_lists(raw: dict[str, Any]) -> None:
    """Make arrays of texts, which may be tuples, lists as all others are."""
    for key, value in raw.items():
        if type(value) is tuple:
            raw[key] = list(value)


class _Raw(Seed):
    """A flow as a value, of which it has been seen that all is right."""

    __slots__ = ("_raw",)

    def __init__(self, raw: dict[str, Any]) -> None:
        self._raw = raw

    def grow(self) -> FlowNode:
        return _flow(self._raw, "$", Problems())


def read_flow(flow: Any, path: Path, problems: Problems) -> Any:
    """A flow, whose nodes are made later if all is right with it."""
    waiting = [flow]
    for node in waiting:
        if type(node) is not dict:
            break
        children = node.get("children", _NO_OBJECT)
        plain = type(children) is type(node.get("data", _NO_OBJECT)) is dict and type(node.get("module", "")) is str
        if not plain:
            break
        if children:
            waiting += children.values()
    else:
        return _Raw(flow)
    return _flow(flow, path, problems)


def _account(raw: dict[str, Any], path: Path, problems: Problems) -> Account:
    _make_lists(raw)
    fields = Fields(raw, path, problems)
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
