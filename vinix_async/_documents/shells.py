"""Structs that msgspec fills with a reply's JSON, and the documents made of them.

A shell knows every key, and the parser refuses a text with another key or with a value of another type. So what a
shell takes has been checked and is complete, and a document is made of it by assignment alone.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, is_
from sys import intern
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, defstruct
from msgspec.structs import astuple

from .base import ABSENT_ARRAY, ABSENT_OBJECT, open_twin
from .fields import Problems
from .models import Account, Callflow, FeatureCode, FlowNode, Metaflow, OpenCallflow, Ringback, Seed
from .readers import NO_FEATURECODE, OpenNode, read_flow

T = TypeVar("T")
Build = Callable[[Sequence[Any], int, Problems], list[Any]]
"""Documents of shells, the first of which is ``data[index]``."""


class Sent(Struct, Generic[T]):
    """A success, as the server sends it. What does not fit is read as a value, which tells what is wrong with it."""

    data: T
    status: Literal["success"]
    request_id: str | None = None
    next_start_key: str | None = None
    page_size: int | None = None
    auth_token: str | None = None


_Texts = tuple[str, ...]
_NONE: Any = None  # absent; null is refused, for it has to be noted


class _Node(Seed, Struct, gc=False, forbid_unknown_fields=True):
    module: str = _NONE
    data: dict[str, Any] = ABSENT_OBJECT
    children: "dict[str, _Node]" = ABSENT_OBJECT

    def grow(self) -> FlowNode:
        top: dict[str, Any] = {"": self}
        waiting = [top]
        for siblings in waiting:
            for key, seed in siblings.items():
                siblings[key] = node = OpenNode()
                module, children = seed.module, seed.children
                node.module = module and intern(module)
                node.data = seed.data
                node.children = children
                node.extra = ABSENT_OBJECT
                node._empty = ()  # noqa: SLF001  # of the class that it is going to have
                node.__class__ = FlowNode
                if children:
                    waiting.append(children)
        return top[""]  # type: ignore[no-any-return]  # it was a seed


class _Metaflow(Seed, Struct, gc=False, forbid_unknown_fields=True):
    binding_digit: str = _NONE
    digit_timeout: int = _NONE
    listen_on: str = _NONE
    numbers: dict[str, _Node] = ABSENT_OBJECT
    patterns: dict[str, _Node] = ABSENT_OBJECT

    def grow(self) -> Metaflow:
        return Metaflow(
            binding_digit=self.binding_digit,
            digit_timeout=self.digit_timeout,
            listen_on=self.listen_on,
            numbers=_grow_each(self.numbers),
            patterns=_grow_each(self.patterns),
        )


def _grow_each(seeds: dict[str, _Node]) -> Mapping[str, FlowNode]:
    nodes: dict[str, Any] = seeds
    for key, seed in seeds.items():
        nodes[key] = seed.grow()
    return nodes


class _FeatureCode(Struct, gc=False, forbid_unknown_fields=True):
    name: str
    number: str


class _Ringback(Struct, gc=False, forbid_unknown_fields=True):
    early: str = _NONE
    transfer: str = _NONE


class Summary(Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A listing's row of a callflow."""

    id: Annotated[str, Meta(min_length=1)]
    name: str = _NONE
    type: str = _NONE
    numbers: _Texts = ABSENT_ARRAY
    patterns: _Texts = ABSENT_ARRAY
    featurecode: _FeatureCode | bool = _NONE
    flags: _Texts = ABSENT_ARRAY
    owner_id: str = _NONE
    group_id: str = _NONE
    modules: _Texts = ABSENT_ARRAY


class Whole(Summary, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A whole callflow."""

    flow: _Node = _NONE
    metaflow: _Metaflow = _NONE
    ringback: _Ringback = _NONE
    metadata: dict[str, Any] = ABSENT_OBJECT


class AnyCallflow(Whole, kw_only=True, gc=False, forbid_unknown_fields=False):
    """A whole callflow with keys of any name."""


class AnyNodes(AnyCallflow, kw_only=True, gc=False, forbid_unknown_fields=False):
    """The same, with keys of any name also in the nodes of its flow."""

    flow: dict[str, Any] = _NONE  # type: ignore[assignment]  # in place of nodes


class AccountRow(Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A listing's row of an account."""

    id: Annotated[str, Meta(min_length=1)]
    name: str = _NONE
    realm: str = _NONE
    tree: _Texts = ABSENT_ARRAY
    flags: _Texts = ABSENT_ARRAY
    descendants_count: int = _NONE


class AnyAccount(AccountRow, kw_only=True, gc=False, forbid_unknown_fields=False):
    """An account with keys of any name."""


# --- shells to documents ----------------------------------------------------------------------------

_OpenAccount: Final = open_twin(Account)


def summaries(rows: Sequence[Any], first: int, problems: Problems) -> list[Any]:
    documents = _opened(rows, first, problems)
    for made in documents:
        made.__class__ = Callflow
    return documents


def _opened(rows: Sequence[Any], first: int, problems: Problems) -> list[Any]:
    documents: list[Any] = []
    for row in rows:
        made = OpenCallflow()
        made.id = row.id
        made.name = row.name
        made.type = row.type
        made.numbers = row.numbers
        made.patterns = row.patterns
        made.flags = row.flags
        made.owner_id = row.owner_id
        made.group_id = row.group_id
        made.modules = row.modules
        made.flow = made.metaflow = made.ringback = None
        made.metadata = made.extra = ABSENT_OBJECT
        code = row.featurecode
        if code is False:
            made.featurecode = None
            made._empty = NO_FEATURECODE  # noqa: SLF001  # of the class that it is going to have
        else:
            made.featurecode = code and _featurecode(code, first + len(documents), problems)
            made._empty = ()  # noqa: SLF001  # as above
        documents.append(made)
    return documents


def _featurecode(code: Any, index: int, problems: Problems) -> FeatureCode | None:
    if code is True:
        problems.add((("$", ".data", index), ".featurecode", None), "object", code)
        return None
    return FeatureCode(name=code.name, number=code.number)


def wholes(learned: Sequence[str]) -> Build:
    """How shells that take ``learned`` keys, too, become callflows."""
    others = _others(learned)

    def build(rows: Sequence[Any], first: int, problems: Problems) -> list[Any]:
        documents = _opened(rows, first, problems)
        for index, (made, row) in enumerate(zip(documents, rows, strict=True), first):
            made.metadata = row.metadata
            made.extra = others(row)
            made.flow = flow = row.flow
            if flow == {} or (type(flow) is _Node and flow.module is None and _is_blank(flow)):
                made.flow = None
                _note_empty(made, "flow")
            elif type(flow) is dict:
                made.flow = read_flow(flow, (("$", ".data", index), ".flow", None), problems)
            if row.metaflow is not None:
                made.metaflow = row.metaflow
                if _is_blank(row.metaflow):
                    made.metaflow = None
                    _note_empty(made, "metaflow")
            if row.ringback is not None:
                made.ringback = Ringback(early=row.ringback.early, transfer=row.ringback.transfer)
                if _is_blank(row.ringback):
                    made.ringback = None
                    _note_empty(made, "ringback")
            made.__class__ = Callflow
        return documents

    return build


def _is_blank(shell: Any) -> bool:
    """Whether ``shell`` came as ``{}``."""
    return all(map(is_, astuple(shell), shell.__struct_defaults__))


def _note_empty(made: Any, key: str) -> None:
    made._empty = (*made._empty, (key, {}))  # noqa: SLF001  # as above


def accounts(learned: Sequence[str]) -> Build:
    """How shells that take ``learned`` keys, too, become accounts."""
    others = _others(learned)

    def build(rows: Sequence[Any], _first: int, _problems: Problems) -> list[Any]:
        documents = []
        for row in rows:
            made = _OpenAccount()
            made.id = row.id
            made.name = row.name
            made.realm = row.realm
            made.tree = row.tree
            made.flags = row.flags
            made.descendants_count = row.descendants_count
            made.extra = others(row)
            made._empty = ()  # noqa: SLF001  # as above
            made.__class__ = Account
            documents.append(made)
        return documents

    return build


def with_keys(kind: type[Struct], keys: Sequence[str]) -> type[Struct]:
    """``kind`` with further ``keys``."""
    names = {f"learned_{number}": key for number, key in enumerate(keys)}
    fields = [(name, Any, UNSET) for name in names]
    return defstruct(kind.__name__, fields, bases=(kind,), rename=names, kw_only=True, gc=False)


def _others(keys: Sequence[str]) -> Callable[[Any], dict[str, Any]]:
    """What takes the values of ``keys`` out of a shell ``with_keys``."""
    names = [f"learned_{number}" for number in range(len(keys))]
    # One name alone would be given as its value and not in a tuple.
    values_of: Callable[[Any], tuple[Any, ...]] = attrgetter(*names, "id")
    absent = (UNSET,) * len(keys)
    count = len(keys)

    def others(row: Any) -> dict[str, Any]:
        values = values_of(row)[:count]
        if values == absent:
            return ABSENT_OBJECT
        return {key: value for key, value in zip(keys, values, strict=True) if value is not UNSET}

    return others if keys else lambda _: ABSENT_OBJECT
