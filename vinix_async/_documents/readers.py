"""JSON objects to documents, strictly, by consuming them.

A value of another type than the API's is never converted: it is noted with its path. What is left of a dict
when the known keys have been taken out is the document's ``extra``. No function here calls itself.
"""

from collections.abc import Callable, Mapping, Sequence
from sys import intern
from typing import Any, Final, TypeVar

from .base import ABSENT_ARRAY, ABSENT_OBJECT, Document, open_twin
from .fields import ABSENT, Fields, Path, Problems
from .models import Account, Callflow, Empty, FeatureCode, FlowNode, Metaflow, OpenCallflow, Ringback, Seed

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
_NO_TEXT: Final = str(b"no text", "ascii")  # this very one: nothing came, and yet the type is right


def _nodes(key: str, fields: Fields) -> dict[str, FlowNode]:
    nodes = fields.mapping(key)
    for name, raw in nodes.items():
        nodes[name] = _flow(raw, (fields.path, f".{key}", name), fields.problems)
    return nodes


def _callflows(rows: Sequence[Any], path_of: Callable[[int], Path], problems: Problems) -> list[Any]:
    """What a summary has is taken at one go if all is of the right type, and its arrays are tuples of texts."""
    documents: list[Any] = []
    no_text, no_array, of_wholes = _NO_TEXT, ABSENT_ARRAY, _OF_WHOLES  # a local name is found sooner
    for raw in rows:
        if type(raw) is not dict:
            problems.add(path_of(len(documents)), "object", raw)
            documents.append(None)
            continue
        made = OpenCallflow()
        id_ = raw.pop("id", ABSENT)
        name = raw.pop("name", no_text)
        kind = raw.pop("type", no_text)
        numbers = raw.pop("numbers", no_array)
        patterns = raw.pop("patterns", no_array)
        code = raw.pop("featurecode", ABSENT)
        flags = raw.pop("flags", no_array)
        owner_id = raw.pop("owner_id", no_text)
        group_id = raw.pop("group_id", no_text)
        modules = raw.pop("modules", no_array)
        if (
            type(id_) is type(name) is type(kind) is type(owner_id) is type(group_id) is str
            and type(numbers) is type(patterns) is type(flags) is type(modules) is tuple
            and id_ != ""
        ):
            made.id = id_
            made.name = None if name is no_text else name
            made.type = None if kind is no_text else kind
            made.numbers = numbers
            made.patterns = patterns
            made.flags = flags
            made.owner_id = None if owner_id is no_text else owner_id
            made.group_id = None if group_id is no_text else group_id
            made.modules = modules
            if code is False or code is ABSENT:
                made.featurecode = None
                made._empty = NO_FEATURECODE if code is False else ()  # noqa: SLF001  # as in a node
            else:
                _fill_featurecode(made, code, path_of(len(documents)), problems)
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
            made._empty = _fill_summary(made, taken, path_of(len(documents)), problems)  # noqa: SLF001  # as above
        made.flow = made.metaflow = made.ringback = None
        made.metadata = ABSENT_OBJECT
        for key in raw:
            if key in of_wholes or type(raw[key]) is tuple:
                _fill_whole(made, raw, path_of(len(documents)), problems)
                break
        made.extra = raw or ABSENT_OBJECT
        made.__class__ = Callflow
        documents.append(made)
    return documents


def _callflow(raw: dict[str, Any], path: Path, problems: Problems) -> Callflow:
    return _callflows([raw], lambda _: path, problems)[0]  # type: ignore[no-any-return]  # of a dict it is a callflow


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


def _fill_featurecode(made: Any, code: Any, path: Path, problems: Problems) -> None:
    raw = {"featurecode": code}
    _make_lists(raw)
    fields = Fields(raw, path, problems)
    made.featurecode = fields.nested("featurecode", _featurecode)
    made._empty = fields.empty  # noqa: SLF001  # as above


def _fill_whole(made: Any, raw: dict[str, Any], path: Path, problems: Problems) -> None:
    """Take what a whole callflow has beyond a summary."""
    _make_lists(raw)
    fields = Fields(raw, path, problems)
    made.flow = fields.nested("flow", read_flow)
    made.metaflow = fields.nested("metaflow", _metaflow)
    made.ringback = fields.nested("ringback", _ringback)
    made.metadata = fields.mapping("metadata")
    made._empty += fields.empty  # noqa: SLF001  # of the class that it is going to have


def _is_absent(value: Any) -> bool:
    return value is ABSENT or value is _NO_TEXT or value is ABSENT_ARRAY


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


def read_objects(rows: Sequence[Any], kind: type, first: int, problems: Problems) -> list[Any]:
    """The documents in a listing's ``rows``, the first of which is ``data[first]``; None for one that is wrong."""
    if kind is Callflow:
        return _callflows(rows, lambda index: ("$", ".data", first + index), problems)
    return [read_object(row, kind, ("$", ".data", index), problems) for index, row in enumerate(rows, first)]


def read_object(raw: Any, kind: type, path: Path, problems: Problems) -> Any:
    if type(raw) is dict:
        return READERS[kind](raw, path, problems)
    problems.add(path, "object", raw)
    return None
