"""The documents, with the API's own names. What the server sends beyond them is in ``extra``.

Lists are tuples, and empty objects are empty mappings or None, whether the server sent ``[]``, ``{}``, ``null``
or nothing; ``to_dict`` still tells these apart: a field that was not given is not in it. Two documents are equal if
``to_dict`` gives the same for both.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import field, frozen

from .base import ABSENT_ARRAY, ABSENT_OBJECT, Document, open_twin

Empty = tuple[tuple[str, Any], ...]
"""The keys that came with another value than what they read as (null, false), and which one it was."""


def _unless_empty(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    return extra or ABSENT_OBJECT


@frozen(kw_only=True, eq=False, repr=False, weakref_slot=False)
class FlowNode(Document):
    """One module of a flow, and by key where a call goes from there.

    ``module``: such as ``menu``, ``user``, ``voicemail``; None for an empty node, at which a call stops.
    ``data``: the module's settings, ids of other documents among them. ``children``: the next node by what the
    parent gives meaning to: a digit, a rule's id, ``timeout``, ``_`` for anything else.
    """

    module: str | None = None
    data: Mapping[str, Any] = ABSENT_OBJECT
    children: "Mapping[str, FlowNode]" = ABSENT_OBJECT
    extra: Mapping[str, Any] = field(default=ABSENT_OBJECT, converter=_unless_empty)
    _empty: Empty = field(default=(), alias="empty")

    def walk(self) -> "Iterator[FlowNode]":
        """This node and every node below it, parents first, siblings in the server's order."""
        waiting: list[FlowNode] = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(list(node.children.values())))

    def __repr__(self) -> str:
        return f"FlowNode(module={_cut(self.module)}, {sum(1 for _ in self.walk())} nodes)"


@frozen(kw_only=True, eq=False, repr=False, weakref_slot=False)
class FeatureCode(Document):
    """What a feature code does and the number that is dialled for it."""

    name: str | None = None
    number: str | None = None
    extra: Mapping[str, Any] = field(default=ABSENT_OBJECT, converter=_unless_empty)
    _empty: Empty = field(default=(), alias="empty")

    def __repr__(self) -> str:
        return f"FeatureCode(name={_cut(self.name)}, number={_cut(self.number)})"


@frozen(kw_only=True, eq=False, repr=False, weakref_slot=False)
class Metaflow(Document):
    """What callers can do during a call. ``digit_timeout`` is in milliseconds."""

    binding_digit: str | None = None
    digit_timeout: int | None = None
    listen_on: str | None = None
    numbers: Mapping[str, FlowNode] = ABSENT_OBJECT
    patterns: Mapping[str, FlowNode] = ABSENT_OBJECT
    extra: Mapping[str, Any] = field(default=ABSENT_OBJECT, converter=_unless_empty)
    _empty: Empty = field(default=(), alias="empty")

    def __repr__(self) -> str:
        return f"Metaflow({len(self.numbers)} numbers, {len(self.patterns)} patterns)"


@frozen(kw_only=True, eq=False, repr=False, weakref_slot=False)
class Ringback(Document):
    """Media ids of what callers hear: ``early`` before and ``transfer`` during a transfer."""

    early: str | None = None
    transfer: str | None = None
    extra: Mapping[str, Any] = field(default=ABSENT_OBJECT, converter=_unless_empty)
    _empty: Empty = field(default=(), alias="empty")

    def __repr__(self) -> str:
        return f"Ringback(early={_cut(self.early)}, transfer={_cut(self.transfer)})"


@frozen(kw_only=True, eq=False, repr=False, weakref_slot=False)
class Callflow(Document):
    """A callflow: the numbers and patterns that reach it, and the flow that a call takes.

    A listing's rows have no ``flow``, ``metaflow``, ``ringback`` and ``metadata``. ``modules`` names the modules
    of the flow, each once, those without ``data`` or with ``skip_module`` left out. ``metadata`` has, by id, the
    names and numbers of what the flow refers to. ``featurecode`` is None where the server sends ``false``.
    """

    id: str = ""
    name: str | None = None
    type: str | None = None
    numbers: tuple[str, ...] = ABSENT_ARRAY
    patterns: tuple[str, ...] = ABSENT_ARRAY
    featurecode: FeatureCode | None = None
    flags: tuple[str, ...] = ABSENT_ARRAY
    flow: FlowNode | None = None
    metaflow: Metaflow | None = None
    ringback: Ringback | None = None
    owner_id: str | None = None
    group_id: str | None = None
    modules: tuple[str, ...] = ABSENT_ARRAY
    metadata: Mapping[str, Any] = ABSENT_OBJECT
    extra: Mapping[str, Any] = field(default=ABSENT_OBJECT, converter=_unless_empty)
    _empty: Empty = field(default=(), alias="empty")

    def __repr__(self) -> str:
        return (
            f"Callflow(id={_cut(self.id)}, name={_cut(self.name)}, numbers={_cut_all(self.numbers)}, "
            f"patterns={_cut_all(self.patterns)}, flow={self.flow!r})"
        )


class Seed:
    """What ``flow`` and ``metaflow`` are until they are looked at: parsed and checked.

    Most readers of a listing look at few of its flows, and a node costs as much to make as to parse.
    """

    __slots__ = ()

    def grow(self) -> Document:
        """The document, for which the seed is used up."""
        raise NotImplementedError


class _Grown:
    """A slot that grows the seed that it finds."""

    def __init__(self, slot: Any) -> None:
        self._slot = slot

    def __get__(self, document: Any, kind: type) -> Any:
        value = self._slot.__get__(document, kind)
        if isinstance(value, Seed):
            value = value.grow()
            self._slot.__set__(document, value)
        return value

    def __set__(self, document: Any, value: Any) -> None:
        self._slot.__set__(document, value)


OpenCallflow = open_twin(Callflow)  # its flow is the bare slot
Callflow.flow = _Grown(Callflow.flow)  # type: ignore[assignment]  # to the caller it is the field
Callflow.metaflow = _Grown(Callflow.metaflow)  # type: ignore[assignment]  # as flow


@frozen(kw_only=True, eq=False, repr=False, weakref_slot=False)
class Account(Document):
    """An account. ``tree``: the ids of its ancestors, the topmost first, in ``descendants``;
    ``descendants_count`` comes in ``children`` only.
    """

    id: str = ""
    name: str | None = None
    realm: str | None = None
    tree: tuple[str, ...] = ABSENT_ARRAY
    flags: tuple[str, ...] = ABSENT_ARRAY
    descendants_count: int | None = None
    extra: Mapping[str, Any] = field(default=ABSENT_OBJECT, converter=_unless_empty)
    _empty: Empty = field(default=(), alias="empty")

    def __repr__(self) -> str:
        return f"Account(id={_cut(self.id)}, name={_cut(self.name)}, realm={_cut(self.realm)})"


def _cut(text: str | None, limit: int = 60) -> str:
    return repr(text if text is None or len(text) <= limit else text[: limit - 1] + "…")


def _cut_all(texts: tuple[str, ...], limit: int = 3) -> str:
    shown = [_cut(text, 30) for text in texts[:limit]]
    more = len(texts) - len(shown)
    return f"({', '.join(shown)}{f', and {more} more' if more else ''})"
