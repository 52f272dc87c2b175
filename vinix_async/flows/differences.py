"""Compare two states of the callflows of an account."""

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, TypeGuard

from attrs import frozen

from .. import Callflow, FlowNode, to_dict, to_json
from .module_catalog import is_switch
from .positions import escape, is_summary, ordered, rows

Kind = Literal[
    "added",
    "removed",
    "field",
    "number_added",
    "number_removed",
    "number_moved",
    "node_added",
    "node_removed",
    "node_moved",
    "node_inserted",
    "node_taken_out",
    "node_replaced",
    "rekeyed",
    "data",
    "order",
]

_IGNORED: Final = frozenset({"metadata", "modules", "ui_metadata"})
"""Keys of a document that the server or a user interface computes."""

_UNORDERED: Final = frozenset({"endpoints", "recipients"})
"""Arrays in ``data`` whose order has no effect, except for the members of a group that rings one after the other."""

_CHAIN: Final = 8
"""How many levels below a node ``similar_below`` searches."""


@frozen
class Change:
    """One difference between two states of an account's callflows.

    ``path`` is the JSON pointer of the node: in the new document, or in the old one for a node that is gone. It is
    ``""`` for the document itself. What ``field``, ``old`` and ``new`` hold depends on ``kind``:

    ================== =====================================================================================
    ``added``          ``new`` is the callflow
    ``removed``        ``old`` is the callflow
    ``field``          ``field`` is a key of the document or node; ``old`` and ``new`` are its values, or None
    ``number_added``   ``field`` and ``new`` are the number or pattern
    ``number_removed`` ``field`` and ``old`` are the number or pattern
    ``number_moved``   ``field`` is the number; ``old`` and ``new`` are the ids of its callflows
    ``node_added``     ``new`` is the node, with all below it
    ``node_removed``   ``old`` is the node, with all below it
    ``node_moved``     ``old`` is the former JSON pointer of the node, ``new`` is the node
    ``node_inserted``  ``new`` is an inserted node; the former node is now below it
    ``node_taken_out`` ``old`` is a removed node; a node below it took its place
    ``node_replaced``  ``old`` and ``new`` are the nodes, with the branches that only one of them has
    ``rekeyed``        ``old`` and ``new`` are the keys of a child of the node at ``path``
    ``data``           ``field`` is the path within ``data``, such as ``timeout`` or ``endpoints[ID].delay``
    ``order``          ``field`` is an array in ``data``, or ``children``; ``old`` and ``new`` list ids or keys
    ================== =====================================================================================

    ``old`` and ``new`` may contain passwords from the documents. ``to_plain`` and ``describe_change`` hide them.
    """

    kind: Kind
    callflow_id: str
    path: str
    field: str
    old: Any
    new: Any


def diff(old: Iterable[Callflow], new: Iterable[Callflow]) -> Iterator[Change]:
    """Yield what changed from the callflows ``old`` to the callflows ``new`` of one account.

    Callflows are compared by id. ``metadata``, ``modules`` and ``ui_metadata`` are ignored. So are differences that the
    server treats as equal: ``20`` and ``"20"`` in ``data``, a null and an absent field, the order of numbers, and the
    order of members in a group that rings all at once. If one side is the row of a listing, only the fields that rows
    have are compared. Changes of whole callflows come first, then those of numbers, then those in each callflow, by id.
    """
    before, after = ordered(old), ordered(new)
    old_by_id = {callflow.id: callflow for callflow in before if callflow.id}
    new_by_id = {callflow.id: callflow for callflow in after if callflow.id}
    yield from (Change("removed", each, "", "", old_by_id[each], None) for each in old_by_id if each not in new_by_id)
    yield from (Change("added", each, "", "", None, new_by_id[each]) for each in new_by_id if each not in old_by_id)
    yield from _without_ids(before, after)
    yield from _numbers(old_by_id, new_by_id)
    for each, callflow in new_by_id.items():
        other = old_by_id.get(each)
        if other is not None and other is not callflow and to_json(other) != to_json(callflow):
            yield from _callflow(other, callflow)


def _without_ids(before: list[Callflow], after: list[Callflow]) -> Iterator[Change]:
    """Compare the callflows that have no id. Only equal callflows count as the same."""
    gone = Counter(to_json(callflow) for callflow in before if not callflow.id)
    for callflow in after:
        if not callflow.id:
            if gone[text := to_json(callflow)]:
                gone[text] -= 1
            else:
                yield Change("added", "", "", "", None, callflow)
    for callflow in before:
        if not callflow.id and gone[text := to_json(callflow)]:
            gone[text] -= 1
            yield Change("removed", "", "", "", callflow, None)


def _numbers(  # noqa: C901  # one case for each way in which a number changes its callflow
    before: Mapping[str, Callflow], after: Mapping[str, Callflow]
) -> Iterator[Change]:
    owners: list[dict[str, list[str]]] = []
    for callflows in (before, after):
        of: dict[str, list[str]] = {}
        for each, callflow in callflows.items():
            for number in dict.fromkeys((*callflow.numbers, *callflow.patterns)):
                of.setdefault(number, []).append(each)
        owners.append(of)
    was, now = owners
    for number in sorted(was.keys() | now.keys()):
        had, has = was.get(number, []), now.get(number, [])
        if had == has:
            continue
        lost = [each for each in had if each not in has]
        got = [each for each in has if each not in had]
        for source, target in zip(lost, got, strict=False):
            yield Change("number_moved", target, "", number, source, target)
        for each in lost[len(got) :]:
            if each in after:
                yield Change("number_removed", each, "", number, number, None)
        for each in got[len(lost) :]:
            if each in before:
                yield Change("number_added", each, "", number, None, number)


def _callflow(old: Callflow, new: Callflow) -> Iterator[Change]:
    rows_only = is_summary(old) or is_summary(new)
    for name in ("name", "type", "owner_id", "group_id", "flags"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after and (before or after):
            yield Change("field", new.id, "", name, before, after)
    yield from _record(new.id, "featurecode", old.featurecode, new.featurecode)
    if rows_only:
        return
    yield from _extra(new.id, "", "", old.extra, new.extra)
    yield from _record(new.id, "ringback", old.ringback, new.ringback)
    yield from _record(new.id, "metaflow", old.metaflow, new.metaflow)
    yield from _FlowDifferences(new.id, old, new).changes()


def _tops(callflow: Callflow) -> dict[str, Mapping[str, FlowNode]]:
    """Return the trees of a callflow, by the JSON pointer of the object that holds their top nodes."""
    tops: dict[str, Mapping[str, FlowNode]] = {"": {"flow": callflow.flow} if callflow.flow is not None else {}}
    if callflow.metaflow is not None:
        tops |= {"/metaflow/numbers": callflow.metaflow.numbers, "/metaflow/patterns": callflow.metaflow.patterns}
    return tops


def _record(callflow_id: str, name: str, old: Any, new: Any) -> Iterator[Change]:
    """Compare the plain fields of a feature code, a ringback or a metaflow."""
    values = [{} if record is None else to_dict(record) for record in (old, new)]
    for value in values:
        if name == "metaflow":
            value.pop("numbers", None)
            value.pop("patterns", None)
    yield from _extra(callflow_id, "", f"{name}.", *values)


def _extra(
    callflow_id: str, path: str, prefix: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Change]:
    if not old and not new:
        return
    for key in dict.fromkeys((*old, *new)):
        before, after = old.get(key), new.get(key)
        if (prefix or path or key not in _IGNORED) and canonical(before) != canonical(after):
            yield Change("field", callflow_id, path, f"{prefix}{key}", before, after)


_NOTHING: Final = (("{",),)


def canonical(value: Any) -> tuple[Any, ...]:
    """Return a flat tuple that is equal for JSON values that mean the same to the server.

    Numbers equal their texts, an absent member of an object equals null, and the order of members does not count.
    """
    kind = type(value)
    if kind is str:
        return (value,)
    flat: list[Any] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if item is None or isinstance(item, str):
            flat.append(item)
        elif isinstance(item, bool):
            flat.append((item,))
        elif isinstance(item, int | float):
            flat.append(_number(item))
        elif isinstance(item, Mapping):
            keys = sorted(key for key, inner in item.items() if inner is not None)
            flat.append(("{", *keys))
            waiting.extend([item[key] for key in reversed(keys)])
        elif isinstance(item, list | tuple):
            flat.append(("[", len(item)))
            waiting.extend(reversed(item))
        else:
            flat.append(item)
    return tuple(flat)


def _number(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _canonical_data(data: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the canonical form of a node's data. Arrays whose order has no effect are sorted."""
    unordered = [key for key in _UNORDERED if isinstance(data.get(key), list | tuple) and _is_unordered(key, data)]
    if not unordered:
        flat = canonical(data)
        return () if flat == _NOTHING else flat
    rest = {key: value for key, value in data.items() if key not in unordered}
    return canonical(rest), *((key, *_sorted(data[key])) for key in sorted(unordered))


def _sorted(items: Iterable[Any]) -> list[tuple[Any, ...]]:
    return sorted(map(canonical, items), key=repr)


def _is_unordered(key: str, data: Mapping[str, Any]) -> bool:
    return key in _UNORDERED and not (key == "endpoints" and data.get("strategy") == "single")


class _Side:
    """The nodes of one document as one list. Parents come before children, so that each tree is a contiguous range.

    ``prints`` holds a number for the tree below each node. Equal trees have the same number, in both documents.
    """

    def __init__(self, tops: Mapping[str, Mapping[str, FlowNode]], numbers: dict[Any, int]) -> None:
        self.nodes: list[FlowNode] = []
        self.ends: list[int] = []
        self.children: list[dict[str, int]] = []
        self.prints: list[int] = []
        self.by_print: dict[int, list[int]] = {}
        self.tops: dict[str, dict[str, int]] = {}
        self._parents: list[int] = []
        self._parts: list[str] = []
        for base, nodes in tops.items():
            self.tops[base] = {key: self._add(f"{base}/{escape(key)}", top, numbers) for key, top in nodes.items()}

    def _add(self, path: str, top: FlowNode, numbers: dict[Any, int]) -> int:
        start = len(self.nodes)
        for position, (node, key, parent) in enumerate(rows(top)):
            self.nodes.append(node)
            self.children.append({})
            self._parents.append(start + parent if parent >= 0 else -1)
            self._parts.append(escape(key) if parent >= 0 else path)
            if parent >= 0:
                self.children[start + parent][key] = start + position
        size = len(self.nodes) - start
        self.ends.extend(range(start + 1, start + 1 + size))
        self.prints.extend([0] * size)
        for at in range(start + size - 1, start - 1, -1):
            node = self.nodes[at]
            children = [(key, self.prints[child]) for key, child in self.children[at].items()]
            children.sort(key=_tried_last if _keeps_order(node) else None)
            data = _canonical_data(node.data) if node.data else ()
            extra = canonical(node.extra) if node.extra else ()
            self.prints[at] = numbers.setdefault((node.module, data, extra, tuple(children)), len(numbers))
            parent = self._parents[at]
            if parent >= 0:
                self.ends[parent] = max(self.ends[parent], self.ends[at])
        for at in range(start, start + size):
            self.by_print.setdefault(self.prints[at], []).append(at)
        return start

    def path(self, at: int) -> str:
        """Return the JSON pointer of a node."""
        parts: list[str] = []
        while self._parents[at] >= 0:
            parts.append(self._parts[at])
            at = self._parents[at]
        return "/children/".join((self._parts[at], *reversed(parts)))

    def below(self, upper: int, wanted: int) -> list[int] | None:
        """Return the nodes from a child of ``upper`` down to the first tree with the number ``wanted``, or None."""
        candidates = self.by_print.get(wanted, [])
        first = bisect_right(candidates, upper)
        if first == len(candidates) or candidates[first] >= self.ends[upper]:
            return None
        at, way = candidates[first], []
        while at != upper:
            way.append(at)
            at = self._parents[at]
        return way[::-1]

    def similar_below(self, upper: int, wanted: FlowNode) -> list[int] | None:
        """Return the nodes from a child of ``upper`` down to a step like ``wanted`` with other settings, or None.

        The search follows default children, and children without siblings.
        """
        way: list[int] = []
        while len(way) < _CHAIN:
            children = self.children[upper]
            key = "_" if "_" in children else next(iter(children)) if len(children) == 1 else None
            if key is None:
                return None
            upper = children[key]
            way.append(upper)
            if _is_same(self.nodes[upper], wanted):
                return way
        return None


def _keeps_order(node: FlowNode) -> bool:
    """Whether the order of the children matters. The server tries time rules in it if ``data`` has no ``rules``."""
    return node.module == "temporal_route" and not node.data.get("rules") and not is_switch(node.data)


def _tried_last(child: tuple[str, int]) -> tuple[bool, str]:
    """Return a sort key that keeps time rules in their order, before the children that the server always tries last."""
    key = child[0]
    return (True, key) if key in {"_", "rule_set"} else (False, "")


def _identity(node: FlowNode) -> tuple[str | None, str]:
    each = node.data.get("id")
    return node.module, each if isinstance(each, str) else ""


def _is_same(old: FlowNode, new: FlowNode) -> bool:
    """Whether two nodes are the same step, perhaps with other settings."""
    return _identity(old) == _identity(new)


@frozen(eq=False)
class _Placed:
    """A tree that was removed or added. ``told`` is true if another change already covers it."""

    at: int
    told: bool


@frozen(kw_only=True)
class _Pairing:
    """A set of rules for pairing the nodes of two trees.

    ``finds_equal`` and ``finds_similar``: a node may be paired with an equal tree or a similar node further down in the
    other tree. ``finds_copies``: a node may have become a copy of another tree. ``finds_swaps``: children may have
    exchanged keys that both sides have. ``keeps_children``: a replaced node may have kept its children.
    """

    finds_equal: bool = False
    finds_similar: bool = False
    finds_copies: bool = False
    finds_swaps: bool = False
    keeps_children: bool = False


_PAIRINGS: Final = (
    _Pairing(finds_equal=True, finds_similar=True, finds_copies=True, finds_swaps=True, keeps_children=True),
    _Pairing(finds_equal=True, finds_copies=True, finds_swaps=True, keeps_children=True),
    _Pairing(finds_copies=True, finds_swaps=True, keeps_children=True),
    _Pairing(finds_equal=True, finds_swaps=True, keeps_children=True),
    _Pairing(finds_copies=True, keeps_children=True),
    _Pairing(finds_swaps=True, keeps_children=True),
    _Pairing(finds_copies=True),
    _Pairing(),
)
"""Each pairing is needed: it is the only one that describes certain edits in few changes."""

_FEW: Final = 2
"""With at most this many changes, no further pairing is tried."""

_MANY: Final = 4
"""More changes than this come from several edits, whatever the pairing."""

Pair: TypeAlias = tuple[int, int]
"""The positions of an old and a new node that are to be compared."""


class _FlowDifferences:
    """The differences between the trees of two documents."""

    def __init__(self, callflow_id: str, old: Callflow, new: Callflow) -> None:
        numbers: dict[Any, int] = {}
        self._callflow_id = callflow_id
        self._old = _Side(_tops(old), numbers)
        self._new = _Side(_tops(new), numbers)
        self._pairing = _PAIRINGS[0]
        self._changes: list[Change] = []
        self._gone: list[_Placed] = []
        self._come: list[_Placed] = []

    def changes(self) -> list[Change]:
        """Return the changes of the first pairing that needs few of them, or else of the one that needs the fewest."""
        shortest: list[Change] = []
        for pairing in _PAIRINGS:
            if len(shortest) > _MANY and not pairing.keeps_children:
                break  # the other pairings would report several edits as one
            self._pairing = pairing
            self._changes, self._gone, self._come = [], [], []
            self._compare()
            if not shortest or len(self._changes) < len(shortest):
                shortest = self._changes
            if len(shortest) <= _FEW:
                break
        return shortest

    def _compare(self) -> None:
        waiting: list[Pair] = []
        for base in dict.fromkeys((*self._old.tops, *self._new.tops)):
            waiting.extend(self._children(base, self._old.tops.get(base, {}), self._new.tops.get(base, {})))
        waiting.reverse()
        while waiting:
            waiting.extend(reversed(list(self._pair(*waiting.pop()))))
        self._tell_moves()

    def _tell(self, kind: Kind, path: str, field: str, old: Any, new: Any) -> None:
        self._changes.append(Change(kind, self._callflow_id, path, field, old, new))

    def _tell_moves(self) -> None:
        """Record removed and added trees as changes. A tree that was both removed and added has moved."""
        sources: dict[int, deque[_Placed]] = {}
        for gone in sorted(self._gone, key=lambda each: each.told):
            sources.setdefault(self._old.prints[gone.at], deque()).append(gone)
        left = {id(gone): gone for gone in self._gone}
        for come in sorted(self._come, key=lambda each: each.told):
            same = sources.get(self._new.prints[come.at])
            node = self._new.nodes[come.at]
            if same and not (come.told and same[0].told):
                gone = same.popleft()
                del left[id(gone)]
                self._tell("node_moved", self._new.path(come.at), "", self._old.path(gone.at), node)
            elif not come.told:
                self._tell("node_added", self._new.path(come.at), "", None, node)
        for gone in left.values():
            if not gone.told:
                self._tell("node_removed", self._old.path(gone.at), "", self._old.nodes[gone.at], None)

    def _pair(self, old: int, new: int) -> Iterator[Pair]:
        """Compare two paired nodes, and yield the pairs to compare next."""
        before, after = self._old, self._new
        if before.prints[old] == after.prints[new]:
            return
        one, other = before.nodes[old], after.nodes[new]
        if way := self._way_down(after, new, one, before.prints[old], other):
            for lower in way:
                self._tell("node_inserted", after.path(new), "", None, after.nodes[new])
                self._leave(self._come, after, new, {lower})
                new = lower
            yield old, new
            return
        if way := self._way_down(before, old, other, after.prints[new], one):
            for lower in way:
                self._tell("node_taken_out", before.path(old), "", before.nodes[old], None)
                self._leave(self._gone, before, old, {lower})
                old = lower
            yield old, new
            return
        yield from self._in_place(old, new)

    def _way_down(
        self, side: _Side, upper: int, wanted: FlowNode, wanted_print: int, beside: FlowNode
    ) -> list[int] | None:
        """Return the nodes from a child of ``upper`` down to the one to be paired with ``wanted``, or None."""
        way = side.below(upper, wanted_print) if self._pairing.finds_equal else None
        if way is None and self._pairing.finds_similar and _identity(wanted)[1] and not _is_same(wanted, beside):
            return side.similar_below(upper, wanted)
        return way

    def _in_place(self, old: int, new: int) -> Iterator[Pair]:
        before, after = self._old, self._new
        one, other = before.nodes[old], after.nodes[new]
        children, successors = before.children[old], after.children[new]
        common = {key: child for key, child in children.items() if key in successors}
        if one.module != other.module:
            keeps = self._pairing.keeps_children
            common = {key: child for key, child in common.items() if keeps and self._is_kept(child, successors[key])}
            self._replaced(old, new, set(common.values()), {successors[key] for key in common})
            yield from ((child, successors[key]) for key, child in common.items())
            return
        data = list(_data_changes(one.data, other.data))
        extra = list(_extra(self._callflow_id, after.path(new), "", one.extra, other.extra))
        differing = [key for key, child in common.items() if before.prints[child] != after.prints[successors[key]]]
        steps = len(data) + len(extra) + len(differing) + len(children) + len(successors) - 2 * len(common)
        is_copy = after.prints[new] in before.by_print or before.prints[old] in after.by_print
        if steps > 1 and is_copy and self._pairing.finds_copies:
            self._replaced(old, new, set(), set())
            return
        for field, was, now, kind in data:
            self._tell(kind, after.path(new), field, was, now)
        self._changes.extend(extra)
        if _keeps_order(one) and _keeps_order(other):
            was_order = [key for key in common if not _tried_last((key, 0))[0]]
            now_order = [key for key in successors if key in was_order]
            if was_order != now_order:
                self._tell("order", after.path(new), "children", was_order, now_order)
        yield from self._children(after.path(new), children, successors)

    def _is_kept(self, old: int, new: int) -> bool:
        """Whether a child of a replaced node is still there, perhaps with other settings."""
        if self._old.prints[old] == self._new.prints[new]:
            return True
        return bool(_identity(self._old.nodes[old])[1]) and _is_same(self._old.nodes[old], self._new.nodes[new])

    def _replaced(self, old: int, new: int, kept: set[int], still: set[int]) -> None:
        self._tell("node_replaced", self._new.path(new), "", self._old.nodes[old], self._new.nodes[new])
        if kept:
            self._leave(self._gone, self._old, old, kept)
            self._leave(self._come, self._new, new, still)
        else:
            self._gone.append(_Placed(old, told=True))
            self._come.append(_Placed(new, told=True))

    @staticmethod
    def _leave(into: list[_Placed], side: _Side, node: int, without: set[int]) -> None:
        """Note the branches of a changed node, except ``without``, since they may have moved."""
        into.extend(_Placed(child, told=True) for child in side.children[node].values() if child not in without)

    def _children(self, parent: str, old: Mapping[str, int], new: Mapping[str, int]) -> Iterator[Pair]:
        """Compare two sets of children. Record changed keys, removed and added children, and yield the other pairs."""
        before, after = self._old, self._new
        lost = {key: at for key, at in old.items() if key not in new or before.prints[at] != after.prints[new[key]]}
        found = {key: at for key, at in new.items() if key not in old or before.prints[old[key]] != after.prints[at]}
        equal: dict[int, deque[str]] = {}
        for key, at in found.items():
            if key not in old or self._pairing.finds_swaps:
                equal.setdefault(after.prints[at], deque()).append(key)
        for key in [key for key in lost if key not in new or self._pairing.finds_swaps]:
            if twins := equal.get(before.prints[lost[key]]):
                twin = twins.popleft()
                self._tell("rekeyed", parent, "children", key, twin)
                del lost[key], found[twin]
        similar = {_identity(after.nodes[at]): key for key, at in reversed(found.items()) if key not in old}
        for key in [key for key in lost if key not in new]:
            identity = _identity(before.nodes[lost[key]])
            if identity[1] and identity in similar:
                twin = similar.pop(identity)
                self._tell("rekeyed", parent, "children", key, twin)
                yield lost.pop(key), found.pop(twin)
        self._gone.extend(_Placed(at, told=False) for key, at in lost.items() if key not in found)
        self._come.extend(_Placed(at, told=False) for key, at in found.items() if key not in lost)
        yield from ((at, found[key]) for key, at in lost.items() if key in found)


DataChange: TypeAlias = tuple[str, Any, Any, Literal["data", "order"]]


def _data_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[DataChange]:
    """Yield the field, the old and the new value, and the kind of each difference in the data of two nodes."""
    waiting: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [("", old, new)]
    while waiting:
        prefix, before, after = waiting.pop()
        for key in dict.fromkeys((*before, *after)):
            one, other = before.get(key), after.get(key)
            field = f"{prefix}{key}"
            if canonical(one) == canonical(other):
                continue
            if isinstance(one, Mapping) and isinstance(other, Mapping):
                waiting.append((f"{field}.", one, other))
                continue
            unordered = not prefix and _is_unordered(key, after)
            if _are_items(one) and _are_items(other):
                pairs = yield from _item_changes(field, one, other, unordered=unordered)
                waiting.extend(pairs)
            elif unordered and isinstance(one, list | tuple) and isinstance(other, list | tuple):
                if _sorted(one) != _sorted(other):
                    yield field, one, other, "data"
            else:
                yield field, one, other, "data"


def _are_items(value: Any) -> TypeGuard[Sequence[Mapping[str, Any]]]:
    return isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value)


def _item_changes(
    field: str, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], *, unordered: bool
) -> Generator[DataChange, None, list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]]:
    """Yield the differences between two arrays of objects. Items are matched by id, or by content if they have no id.

    Returns the pairs of items that are in both arrays, which the caller compares.
    """
    before, after = _by_identity(old), _by_identity(new)
    pairs = [(f"{field}[{shown}].", before[each][1], item) for each, (shown, item) in after.items() if each in before]
    gone = {shown: item for each, (shown, item) in before.items() if each not in after}
    for each, (shown, item) in after.items():
        if each in before:
            continue
        if shown in gone and not _item_id(item) and not _item_id(gone[shown]):
            pairs.append((f"{field}[{shown}].", gone.pop(shown), item))
        else:
            yield f"{field}[{shown}]", None, item, "data"
    for shown, item in gone.items():
        yield f"{field}[{shown}]", item, None, "data"
    kept = [each for each in before if each in after]
    now = [each for each in after if each in before]
    if not unordered and kept != now:
        yield field, [before[each][0] for each in kept], [before[each][0] for each in now], "order"
    return pairs


def _by_identity(items: Sequence[Mapping[str, Any]]) -> dict[Any, tuple[str, Mapping[str, Any]]]:
    """Return the items by id, or else by content, each with its id or index as a text.

    The key also has the number of equal items before it, so that repeated items are kept.
    """
    found: dict[Any, tuple[str, Mapping[str, Any]]] = {}
    times: Counter[Any] = Counter()
    for position, item in enumerate(items):
        each = _item_id(item)
        what = each or canonical(item)
        found[what, times[what]] = each or str(position), item
        times[what] += 1
    return found


def _item_id(item: Mapping[str, Any]) -> str:
    each = item.get("id")
    return each if isinstance(each, str) else ""
