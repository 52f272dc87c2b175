"""The document classes of the API. Their fields have the API's own names.

Arrays are read as tuples. If an object or an array is empty, ``null`` or absent, the value of the field is an empty
mapping, an empty tuple or None. ``to_dict`` still returns exactly what the server sent. Two documents are equal if
``to_dict`` returns the same value for both.

Fields are declared only here. The annotation of a field defines which JSON values are accepted. The values in
``metadata["empties"]`` are accepted too, and are read as the default.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import field, frozen

from .._public import public
from .base import ABSENT_ARRAY, ABSENT_OBJECT, AbsentArray, BuiltField, Document


@public
@frozen(kw_only=True, eq=False, repr=False)
class FlowNode(Document):
    """One step of a flow: a module and the steps that can follow it.

    ``module`` is a name such as ``menu``, ``user`` or ``voicemail``. It is None in an empty node, where a call ends.
    ``data`` contains the settings of the module, including the ids of other documents. ``children`` maps the possible
    outcomes of the module to the next nodes. An outcome is, for example, a digit, the id of a rule, ``timeout``, or
    ``_`` for all other cases.
    """

    module: str | None = None
    data: Mapping[str, Any] = ABSENT_OBJECT
    children: "Mapping[str, FlowNode]" = ABSENT_OBJECT

    def walk(self) -> "Iterator[FlowNode]":
        """Yield this node and then all its descendants, depth first. Siblings are in the server's order."""
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
    """The name of a feature code and the number that callers dial for it."""

    name: str | None = None
    number: str | None = None

    def __repr__(self) -> str:
        return f"FeatureCode(name={_shown(self.name)}, number={_shown(self.number)})"


@public
@frozen(kw_only=True, eq=False, repr=False)
class Metaflow(Document):
    """The actions that callers can trigger during a call. ``digit_timeout`` is in milliseconds."""

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
    """The ids of the media that callers hear before the call is answered (``early``) and during a ``transfer``."""

    early: str | None = None
    transfer: str | None = None

    def __repr__(self) -> str:
        return f"Ringback(early={_shown(self.early)}, transfer={_shown(self.transfer)})"


@public
@frozen(kw_only=True, eq=False, repr=False)
class Callflow(Document):
    """A callflow: the numbers and patterns that are routed to it, and the flow that a call follows.

    The rows of a listing do not have ``flow``, ``metaflow``, ``ringback`` or ``metadata``. ``metadata`` contains the
    names and numbers of the documents that the flow refers to. Its keys are the ids of these documents. ``featurecode``
    is None if the server sends ``false``. ``type``, ``owner_id`` and ``group_id`` can contain any JSON value, because
    the server does not validate them.

    ``modules`` contains the names of the modules in the flow, without duplicates. The modules of nodes without a
    ``data`` object and of nodes with ``skip_module: true`` are left out. If the server does not send ``modules``, the
    library computes it from ``flow`` by the same rule.
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

    ``tree`` contains the ids of the account's ancestors, starting at the top. Accounts that ``children`` lists have no
    ``tree``. Accounts that ``descendants`` lists have no ``descendants_count``.
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
    """The descriptor of ``Callflow.modules``. It computes the value if the server did not send it.

    The computed value is an ``AbsentArray``, so that ``to_dict`` leaves it out.
    """

    def __get__(self, callflow: Any, owner: type | None = None) -> Any:
        if callflow is None:
            return self
        modules = self.slot.__get__(callflow)
        if type(modules) is not AbsentArray or callflow.flow is None:
            return modules
        return AbsentArray(dict.fromkeys(node.module for node in callflow.flow.walk() if _is_listed(node)))


def _is_listed(node: FlowNode) -> bool:
    """Whether the server includes the node's module in ``modules`` (Kazoo's ``crossbar_listing`` view)."""
    has_data = node.data is not ABSENT_OBJECT
    return has_data and node.data.get("skip_module") is not True and node.module is not None


# attrs creates a slot for each field. These descriptors wrap the slots of two fields. ``flow`` is built when it is read
# for the first time, and is then stored in its slot. ``modules`` is computed whenever it is read, unless the server
# sent it.
Callflow.flow = BuiltField(Callflow.flow)  # type: ignore[assignment]  # the annotation shows users the field's type
Callflow.modules = _Modules(Callflow.modules)  # type: ignore[assignment]  # as above


def _shown(text: str | None, limit: int = 60) -> str:
    return repr(text if text is None or len(text) <= limit else text[: limit - 1] + "…")


def _shown_all(texts: tuple[str, ...], limit: int = 3) -> str:
    """Return the repr of a tuple, shortened to its first items and the number of the others."""
    shown = [_shown(text, 30) for text in texts[:limit]]
    if len(texts) > limit:
        shown.append(f"and {len(texts) - limit} more")
    return f"({', '.join(shown)}{',' if len(shown) == 1 else ''})"
