"""The documents of the API, with the API's own names.

Arrays are tuples. An object or array that is empty, ``null`` or absent reads as an empty mapping, an empty tuple or
None. ``to_dict`` still tells these cases apart: it returns what the server sent, and two documents are equal if it
returns the same for both.

Each field is declared here and nowhere else. Its annotation says which JSON values are accepted. A value in
``metadata["empties"]`` is accepted too and reads as the default.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import field, frozen

from .._public import public
from .base import ABSENT_ARRAY, ABSENT_OBJECT, AbsentArray, BuiltField, Document


@public
@frozen(kw_only=True, eq=False, repr=False)
class FlowNode(Document):
    """One step of a flow: a module, and the steps that may follow it.

    ``module`` is a name such as ``menu``, ``user`` or ``voicemail``; it is None in an empty node, where a call ends.
    ``data`` holds the settings of the module, among them the ids of other documents. ``children`` holds the next node
    for each outcome: a digit, the id of a rule, ``timeout``, or ``_`` for all others.
    """

    module: str | None = None
    data: Mapping[str, Any] = ABSENT_OBJECT
    children: "Mapping[str, FlowNode]" = ABSENT_OBJECT

    def walk(self) -> "Iterator[FlowNode]":
        """Yield this node and every node below it, parents before children, siblings in the server's order."""
        waiting: list[FlowNode] = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(list(node.children.values())))

    def __repr__(self) -> str:
        return f"FlowNode(module={_shown(self.module)}, {sum(1 for _ in self.walk())} nodes)"


@public
@frozen(kw_only=True, eq=False, repr=False)
class FeatureCode(Document):
    """The name of a feature code, and the number that callers dial for it."""

    name: str | None = None
    number: str | None = None

    def __repr__(self) -> str:
        return f"FeatureCode(name={_shown(self.name)}, number={_shown(self.number)})"


@public
@frozen(kw_only=True, eq=False, repr=False)
class Metaflow(Document):
    """What callers can do during a call. ``digit_timeout`` is in milliseconds."""

    binding_digit: str | None = None
    digit_timeout: int | None = None
    listen_on: str | None = None
    numbers: Mapping[str, FlowNode] = ABSENT_OBJECT
    patterns: Mapping[str, FlowNode] = ABSENT_OBJECT

    def __repr__(self) -> str:
        return f"Metaflow({len(self.numbers)} numbers, {len(self.patterns)} patterns)"


@public
@frozen(kw_only=True, eq=False, repr=False)
class Ringback(Document):
    """The ids of the media that callers hear: ``early`` before the call is answered, ``transfer`` during a transfer."""

    early: str | None = None
    transfer: str | None = None

    def __repr__(self) -> str:
        return f"Ringback(early={_shown(self.early)}, transfer={_shown(self.transfer)})"


@public
@frozen(kw_only=True, eq=False, repr=False)
class Callflow(Document):
    """A callflow: the numbers and patterns that lead to it, and the flow that a call follows.

    The rows of a listing have no ``flow``, ``metaflow``, ``ringback`` and ``metadata``. ``modules`` names the modules
    of the flow, each once, without the nodes that have no ``data`` object and those with ``skip_module: true``; where
    the server does not send it, it is computed from ``flow`` by the same rule. ``metadata`` holds, by id, the names and
    numbers of the documents that the flow refers to. ``featurecode`` is None where the server sends ``false``. The
    server does not check ``type``, ``owner_id`` and ``group_id``, so that they may hold any JSON value.
    """

    id: str = ""
    name: str | None = None
    type: Any = None
    numbers: tuple[str, ...] = ABSENT_ARRAY
    patterns: tuple[str, ...] = ABSENT_ARRAY
    featurecode: FeatureCode | None = field(default=None, metadata={"empties": (False,)})
    flags: tuple[str, ...] = ABSENT_ARRAY
    flow: FlowNode | None = None
    metaflow: Metaflow | None = None
    ringback: Ringback | None = None
    owner_id: Any = None
    group_id: Any = None
    modules: tuple[str, ...] = ABSENT_ARRAY
    metadata: Mapping[str, Any] = ABSENT_OBJECT

    def __repr__(self) -> str:
        return (
            f"Callflow(id={_shown(self.id)}, name={_shown(self.name)}, numbers={_shown_all(self.numbers)}, "
            f"patterns={_shown_all(self.patterns)}, flow={self.flow!r})"
        )


@public
@frozen(kw_only=True, eq=False, repr=False)
class Account(Document):
    """An account.

    ``tree`` holds the ids of its ancestors, the topmost first; the server sends it in ``descendants``. It sends
    ``descendants_count`` in ``children`` only.
    """

    id: str = ""
    name: str | None = None
    realm: str | None = None
    tree: tuple[str, ...] = ABSENT_ARRAY
    flags: tuple[str, ...] = ABSENT_ARRAY
    descendants_count: int | None = None

    def __repr__(self) -> str:
        return f"Account(id={_shown(self.id)}, name={_shown(self.name)}, realm={_shown(self.realm)})"


class _Modules(BuiltField):
    """The descriptor of ``Callflow.modules``. What it computes is an ``AbsentArray``: the server did not send it."""

    def __get__(self, callflow: Any, owner: type | None = None) -> Any:
        if callflow is None:
            return self
        modules = self.slot.__get__(callflow)
        if type(modules) is not AbsentArray or callflow.flow is None:
            return modules
        return AbsentArray(dict.fromkeys(node.module for node in callflow.flow.walk() if _is_listed(node)))


def _is_listed(node: FlowNode) -> bool:
    """Whether the server names the node's module in ``modules`` (the view ``crossbar_listing`` of Kazoo)."""
    has_data = node.data is not ABSENT_OBJECT
    return has_data and node.data.get("skip_module") is not True and node.module is not None


# attrs has made a slot for each field. These two fields need more than a slot when they are read.
Callflow.flow = BuiltField(Callflow.flow)  # type: ignore[assignment]  # users see the field
Callflow.modules = _Modules(Callflow.modules)  # type: ignore[assignment]  # users see the field


def _shown(text: str | None, limit: int = 60) -> str:
    return repr(text if text is None or len(text) <= limit else text[: limit - 1] + "…")


def _shown_all(texts: tuple[str, ...], limit: int = 3) -> str:
    """The repr of a tuple; of a long one, the first items and how many more it has."""
    shown = [_shown(text, 30) for text in texts[:limit]]
    if len(texts) > limit:
        shown.append(f"and {len(texts) - limit} more")
    return f"({', '.join(shown)}{',' if len(shown) == 1 else ''})"
