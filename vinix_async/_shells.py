"""Structs that msgspec fills with rows' JSON, and the documents made of them.

A shell knows every key, and the parser refuses a text with another key or with a value of another type. So what a
shell takes has been checked and is complete, and a document is made of it by assignment alone.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct
from msgspec.structs import astuple

from ._flat import ABSENT_ARRAY, ABSENT_OBJECT, open_twin
from ._models import Account, Callflow, Empty, FeatureCode, FlowNode, Metaflow, Ringback, Seed
from ._readers import Problems, make_node

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
                children = seed.children
                siblings[key] = make_node(seed.module, seed.data, children, ABSENT_OBJECT, ())
                if children:
                    waiting.append(children)
        return top[""]  # type: ignore[no-any-return]  # it was a seed


_NO_FLOW: Final = _Node()


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


_NO_METAFLOW: Final = _Metaflow()


class _FeatureCode(Struct, gc=False, forbid_unknown_fields=True):
    name: str
    number: str


class _Ringback(Struct, gc=False, forbid_unknown_fields=True):
    early: str = _NONE
    transfer: str = _NONE


_NO_RINGBACK: Final = _Ringback()


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

_OpenCallflow: Final = open_twin(Callflow)
_OpenAccount: Final = open_twin(Account)
_FALSE: Final = (("featurecode", False),)


def callflows(rows: Sequence[Any], first: int, problems: Problems, learned: Sequence[str] | None) -> list[Any]:
    """The documents in shells, which are ``Whole`` if ``learned`` has their further keys."""
    documents: list[Any] = []
    for row in rows:
        made = _OpenCallflow()
        made.id = row.id
        made.name = row.name
        made.type = row.type
        made.numbers = row.numbers
        made.patterns = row.patterns
        made.flags = row.flags
        made.owner_id = row.owner_id
        made.group_id = row.group_id
        made.modules = row.modules
        made.featurecode = code = row.featurecode
        empty: Empty = ()
        if code is False:
            made.featurecode, empty = None, _FALSE
        elif code is not None:
            made.featurecode = _featurecode(code, first + len(documents), problems)
        if learned is None:
            made.flow = made.metaflow = made.ringback = None
            made.metadata = made.extra = ABSENT_OBJECT
        else:
            made.flow = row.flow
            made.metaflow = row.metaflow
            made.ringback = ringback = row.ringback
            made.metadata = row.metadata
            made.extra = _extra(row, learned)
            if row.flow == _NO_FLOW:
                made.flow, empty = None, (*empty, ("flow", {}))
            if row.metaflow == _NO_METAFLOW:
                made.metaflow, empty = None, (*empty, ("metaflow", {}))
            if ringback == _NO_RINGBACK:
                made.ringback, empty = None, (*empty, ("ringback", {}))
            elif ringback is not None:
                made.ringback = Ringback(early=ringback.early, transfer=ringback.transfer)
        made._empty = empty  # noqa: SLF001  # of the class that it is going to have
        made.__class__ = Callflow
        documents.append(made)
    return documents


def _featurecode(code: Any, index: int, problems: Problems) -> FeatureCode | None:
    if code is True:
        problems.add((("$", ".data", index), ".featurecode", None), "object", code)
        return None
    return FeatureCode(name=code.name, number=code.number)


def accounts(rows: Sequence[Any], _first: int, _problems: Problems, learned: Sequence[str] | None) -> list[Any]:
    documents = []
    for row in rows:
        made = _OpenAccount()
        made.id = row.id
        made.name = row.name
        made.realm = row.realm
        made.tree = row.tree
        made.flags = row.flags
        made.descendants_count = row.descendants_count
        made.extra = _extra(row, learned or ())
        made._empty = ()  # noqa: SLF001  # as above
        made.__class__ = Account
        documents.append(made)
    return documents


def _extra(row: Struct, learned: Sequence[str]) -> dict[str, Any]:
    values = astuple(row)[-len(learned) :] if learned else ()
    if values == (UNSET,) * len(learned):
        return ABSENT_OBJECT
    return {key: value for key, value in zip(learned, values, strict=True) if value is not UNSET}
