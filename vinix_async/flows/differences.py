"""Compare two states of the callflows of an account."""

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, TypeGuard

from attrs import frozen

from .. import Callflow, FlowNode, to_dict, to_json
from .module_catalog import is_switch, time_rules
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
"""Keys whose values the server or a user interface computes."""

_UNORDERED: Final = frozenset({"endpoints", "recipients"})
"""The keys of arrays in ``data`` whose order has no effect. ``_is_unordered`` makes one exception."""

_MAX_DEPTH: Final = 8
"""How many levels ``levels_to_similar`` searches."""


@frozen
class Change:
    """One difference between two states of an account's callflows.

    ``path`` is the JSON pointer of the node in the new document. For ``node_removed`` and ``node_taken_out``, ``path``
    is the pointer in the old document. If the change is not about a node, ``path`` is ``""``. The meaning of
    ``field``, ``old`` and ``new`` depends on ``kind``:

    ================== =====================================================================================
    ``added``          ``new`` is the callflow
    ``removed``        ``old`` is the callflow
    ``field``          ``field`` is a key of the document or of the node, or a path such as
                       ``ringback.early``; ``old`` and ``new`` are the values, or None
    ``number_added``   ``field`` and ``new`` are the number or pattern
    ``number_removed`` ``field`` and ``old`` are the number or pattern
    ``number_moved``   ``field`` is the number or pattern; ``old`` is the id of the callflow that had it,
                       and ``new`` is the id of the callflow that has it now
    ``node_added``     ``new`` is the node
    ``node_removed``   ``old`` is the node
    ``node_moved``     ``old`` is the JSON pointer in the old document; ``new`` is the node
    ``node_inserted``  ``new`` is a node that was inserted above an old node
    ``node_taken_out`` ``old`` is a node that was removed, while a node below it was kept
    ``node_replaced``  ``old`` and ``new`` are the nodes
    ``rekeyed``        ``old`` and ``new`` are the former and the present key of a child of the node
    ``data``           ``field`` is the path within ``data``, such as ``timeout`` or ``endpoints[ID].delay``;
                       ``old`` and ``new`` are the values, or None
    ``order``          ``field`` is the path of an array within ``data``, or ``children``; ``old`` and ``new``
                       are the two orders, as lists of the ids of items or the keys of children. An item
                       without an id is listed by its old index.
    ================== =====================================================================================

    A node in ``old`` or ``new`` includes all nodes below it. The change of an inserted, removed or replaced node thus
    covers the branches of the node, too. Such a branch has a change of its own only if it moved, or if it was kept and
    changed.

    If a number or pattern of a metaflow is rekeyed, ``path`` is ``/metaflow/numbers`` or ``/metaflow/patterns``.

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

    Callflows are compared by id. ``metadata``, ``modules`` and ``ui_metadata`` are ignored. So are differences that
    have no effect on the server:

    - ``20`` and ``"20"`` in ``data``
    - null and a field that is absent
    - the order of numbers, of patterns and of the recipients of an alert
    - the order of the members of a group, unless the members ring one after the other

    If one of two callflows is the row of a listing, only the fields that rows have are compared.

    Added and removed callflows come first, then changes of numbers. The other changes follow in the order of the ids of
    the callflows.
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
    """Yield a change for each callflow that has no id and is on one side only.

    Two callflows without ids match if they are equal.
    """
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
    """Return the top nodes of the flow and of the metaflow.

    The keys of the result are the JSON pointers of the objects that contain these nodes: the callflow, and the two maps
    of the metaflow. Each value contains the top nodes of one object, by their keys in that object.
    """
    tops: dict[str, Mapping[str, FlowNode]] = {"": {"flow": callflow.flow} if callflow.flow is not None else {}}
    if callflow.metaflow is not None:
        tops |= {"/metaflow/numbers": callflow.metaflow.numbers, "/metaflow/patterns": callflow.metaflow.patterns}
    return tops


def _record(callflow_id: str, name: str, old: Any, new: Any) -> Iterator[Change]:
    """Compare a feature code, a ringback or a metaflow, without the nodes of the metaflow."""
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
    """Return a JSON value as a flat tuple. Two tuples are equal if the values mean the same to the server.

    A number equals its text. A null member of an object equals an absent member. The order of an object's members does
    not matter.
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
    """The nodes of one document as a list in depth-first order.

    A node is directly followed by all nodes below it. For each node, ``ends`` holds the index after these nodes, and
    ``tree_ids`` holds the id of the tree that consists of the node and these nodes. Equal trees have the same id, even
    if one is in the old document and one in the new document, since both sides share the dict ``known_trees``.
    """

    def __init__(self, tops: Mapping[str, Mapping[str, FlowNode]], known_trees: dict[Any, int]) -> None:
        self.nodes: list[FlowNode] = []
        self.ends: list[int] = []
        self.children: list[dict[str, int]] = []
        self.tree_ids: list[int] = []
        self.by_tree_id: dict[int, list[int]] = {}
        self.tops: dict[str, dict[str, int]] = {}
        self._parents: list[int] = []
        self._parts: list[str] = []
        for base, nodes in tops.items():
            self.tops[base] = {key: self._add(f"{base}/{escape(key)}", top, known_trees) for key, top in nodes.items()}

    def _add(self, path: str, top: FlowNode, known_trees: dict[Any, int]) -> int:
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
        self.tree_ids.extend([0] * size)
        for at in range(start + size - 1, start - 1, -1):
            node = self.nodes[at]
            children = [(key, self.tree_ids[child]) for key, child in self.children[at].items()]
            children.sort(key=_rank(node) if _keeps_order(node) else None)
            data = _canonical_data(node.data) if node.data else ()
            extra = canonical(node.extra) if node.extra else ()
            self.tree_ids[at] = known_trees.setdefault((node.module, data, extra, tuple(children)), len(known_trees))
            parent = self._parents[at]
            if parent >= 0:
                self.ends[parent] = max(self.ends[parent], self.ends[at])
        for at in range(start, start + size):
            self.by_tree_id.setdefault(self.tree_ids[at], []).append(at)
        return start

    def path(self, at: int) -> str:
        """Return the JSON pointer of the node with the index ``at``."""
        parts: list[str] = []
        while self._parents[at] >= 0:
            parts.append(self._parts[at])
            at = self._parents[at]
        return "/children/".join((self._parts[at], *reversed(parts)))

    def levels_to_equal(self, upper: int, tree_id: int) -> list[int] | None:
        """Return the nodes that lead from a child of ``upper`` down to the first tree with the id ``tree_id``.

        The last node is the top of that tree. Returns None if there is no such tree below ``upper``.
        """
        candidates = self.by_tree_id.get(tree_id, [])
        first = bisect_right(candidates, upper)
        if first == len(candidates) or candidates[first] >= self.ends[upper]:
            return None
        at, way = candidates[first], []
        while at != upper:
            way.append(at)
            at = self._parents[at]
        return way[::-1]

    def levels_to_similar(self, upper: int, wanted: FlowNode) -> list[int] | None:
        """Return the nodes that lead from a child of ``upper`` down to a node that is similar to ``wanted``.

        The similar node is the last one. ``_is_same`` decides whether nodes are similar. Only default children and
        children without siblings are searched, down to ``_MAX_DEPTH`` levels. Returns None if none of them is similar.
        """
        way: list[int] = []
        while len(way) < _MAX_DEPTH:
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
    """Whether the order of the node's children may matter.

    The server tries the time rules in ``data.rules`` first, and then the other rules in the order of the children.
    """
    return node.module == "temporal_route" and not is_switch(node.data)


def _rank(node: FlowNode) -> Callable[[tuple[str, int]], tuple[int, str]]:
    """Return a function that ranks the children of a time module, for sorting. A child is a pair (key, number).

    Children in ``data.rules`` have rank 0, because the server tries them first, in the order of ``data.rules``. Rank 2
    is for ``_`` and ``rule_set``, because the server tries them last. All others have rank 1, and keep their order.
    """
    rules = frozenset(time_rules(node))

    def rank(child: tuple[str, int]) -> tuple[int, str]:
        key = child[0]
        return (2, key) if key in {"_", "rule_set"} else (0, key) if key in rules else (1, "")

    return rank


def _identity(node: FlowNode) -> tuple[str | None, str]:
    each = node.data.get("id")
    return node.module, each if isinstance(each, str) else ""


def _is_same(old: FlowNode, new: FlowNode) -> bool:
    """Whether two nodes have the same module and the same ``data.id``. Their other settings may differ."""
    return _identity(old) == _identity(new)


@frozen(eq=False)
class _Tree:
    """A tree that was removed or added.

    ``top`` is the index of its top node. ``is_covered`` is true if the tree is a part of another change.
    """

    top: int
    is_covered: bool


@frozen(kw_only=True)
class _Pairing:
    """The rules by which the nodes of two trees are paired. Each field allows for two kinds of edits:

    - ``finds_moves``: nodes were inserted or taken out above a node, or two children exchanged their keys.
    - ``finds_copies``: a tree was replaced by a copy of another tree, or a node was replaced but its children stayed.
    """

    finds_moves: bool = False
    finds_copies: bool = False


_PAIRINGS: Final = (_Pairing(finds_moves=True, finds_copies=True), _Pairing(finds_copies=True), _Pairing())
"""The pairings in the order in which they are tried. Each pairing needs the fewest changes for certain edits."""

_FEW: Final = 2
"""If a pairing needs at most this many changes, no further pairing is tried."""

_MANY: Final = 4
"""If each pairing so far needs more changes than this, there were probably several edits.

The pairing without ``finds_copies`` is then not tried.
"""

Pair: TypeAlias = tuple[int, int]
"""The indexes of an old and a new node that are to be compared."""


class _FlowDifferences:
    """The differences between the trees of two documents."""

    def __init__(self, callflow_id: str, old: Callflow, new: Callflow) -> None:
        known_trees: dict[Any, int] = {}
        self._callflow_id = callflow_id
        self._old = _Side(_tops(old), known_trees)
        self._new = _Side(_tops(new), known_trees)
        self._pairing = _PAIRINGS[0]
        self._changes: list[Change] = []
        self._removed: list[_Tree] = []
        self._added: list[_Tree] = []

    def changes(self) -> list[Change]:
        """Return the changes of the first pairing that needs at most ``_FEW`` changes.

        If there is no such pairing, return the changes of the pairing that needs the fewest.
        """
        shortest: list[Change] = []
        for pairing in _PAIRINGS:
            if len(shortest) > _MANY and not pairing.finds_copies:
                break  # without finds_copies, several edits would be reported as one replacement
            self._pairing = pairing
            self._changes, self._removed, self._added = [], [], []
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
        self._add_tree_changes()

    def _add_change(self, kind: Kind, path: str, field: str, old: Any, new: Any) -> None:
        self._changes.append(Change(kind, self._callflow_id, path, field, old, new))

    def _add_tree_changes(self) -> None:
        """Add changes for the removed and added trees. If a removed and an added tree are equal, the tree has moved."""
        sources: dict[int, deque[_Tree]] = {}
        for removed in sorted(self._removed, key=lambda each: each.is_covered):
            sources.setdefault(self._old.tree_ids[removed.top], deque()).append(removed)
        left = {id(removed): removed for removed in self._removed}
        for added in sorted(self._added, key=lambda each: each.is_covered):
            same = sources.get(self._new.tree_ids[added.top])
            node = self._new.nodes[added.top]
            if same and not (added.is_covered and same[0].is_covered):
                removed = same.popleft()
                del left[id(removed)]
                self._add_change("node_moved", self._new.path(added.top), "", self._old.path(removed.top), node)
            elif not added.is_covered:
                self._add_change("node_added", self._new.path(added.top), "", None, node)
        for removed in left.values():
            if not removed.is_covered:
                self._add_change("node_removed", self._old.path(removed.top), "", self._old.nodes[removed.top], None)

    def _pair(self, old: int, new: int) -> Iterator[Pair]:
        """Compare two paired nodes, and yield the pairs to compare next."""
        before, after = self._old, self._new
        if before.tree_ids[old] == after.tree_ids[new]:
            return
        one, other = before.nodes[old], after.nodes[new]
        if levels := self._levels_between(after, new, one, before.tree_ids[old], other):
            for lower in levels:
                self._add_change("node_inserted", after.path(new), "", None, after.nodes[new])
                self._note_branches(self._added, after, new, {lower})
                new = lower
            yield old, new
            return
        if levels := self._levels_between(before, old, other, after.tree_ids[new], one):
            for lower in levels:
                self._add_change("node_taken_out", before.path(old), "", before.nodes[old], None)
                self._note_branches(self._removed, before, old, {lower})
                old = lower
            yield old, new
            return
        yield from self._in_place(old, new)

    def _levels_between(
        self, side: _Side, upper: int, wanted: FlowNode, tree_id: int, upper_node: FlowNode
    ) -> list[int] | None:
        """Return the nodes from a child of ``upper`` down to the node that is to be paired with ``wanted``.

        Returns None if there is no such node below ``upper``. ``side`` has the nodes of one document, and ``wanted`` is
        a node of the other document. ``tree_id`` is the id of the tree whose top is ``wanted``. ``upper_node`` is the
        node with the index ``upper``.
        """
        if not self._pairing.finds_moves:
            return None
        levels = side.levels_to_equal(upper, tree_id)
        if levels is None and _identity(wanted)[1] and not _is_same(wanted, upper_node):
            return side.levels_to_similar(upper, wanted)
        return levels

    def _in_place(self, old: int, new: int) -> Iterator[Pair]:
        before, after = self._old, self._new
        one, other = before.nodes[old], after.nodes[new]
        children, successors = before.children[old], after.children[new]
        common = {key: child for key, child in children.items() if key in successors}
        if one.module != other.module:
            keeps = self._pairing.finds_copies
            common = {key: child for key, child in common.items() if keeps and self._is_kept(child, successors[key])}
            self._add_replacement(old, new, set(common.values()), {successors[key] for key in common})
            yield from ((child, successors[key]) for key, child in common.items())
            return
        data = list(_data_changes(one.data, other.data))
        extra = list(_extra(self._callflow_id, after.path(new), "", one.extra, other.extra))
        differing = [key for key, child in common.items() if before.tree_ids[child] != after.tree_ids[successors[key]]]
        steps = len(data) + len(extra) + len(differing) + len(children) + len(successors) - 2 * len(common)
        is_copy = after.tree_ids[new] in before.by_tree_id or before.tree_ids[old] in after.by_tree_id
        if steps > 1 and is_copy and self._pairing.finds_copies:
            self._add_replacement(old, new, set(), set())
            return
        for field, was, now, kind in data:
            self._add_change(kind, after.path(new), field, was, now)
        self._changes.extend(extra)
        if _keeps_order(one) and _keeps_order(other):
            ranks = _rank(one), _rank(other)
            moving = {key for key in common if all(rank((key, 0))[0] == 1 for rank in ranks)}
            was_order, now_order = ([key for key in keys if key in moving] for keys in (common, successors))
            if was_order != now_order:
                self._add_change("order", after.path(new), "children", was_order, now_order)
        yield from self._children(after.path(new), children, successors)

    def _is_kept(self, old: int, new: int) -> bool:
        """Whether the new child of a replaced node equals the old child, or has the same module and ``data.id``.

        Only nodes that have a ``data.id`` can have the same one.
        """
        if self._old.tree_ids[old] == self._new.tree_ids[new]:
            return True
        return bool(_identity(self._old.nodes[old])[1]) and _is_same(self._old.nodes[old], self._new.nodes[new])

    def _add_replacement(self, old: int, new: int, kept: set[int], still: set[int]) -> None:
        self._add_change("node_replaced", self._new.path(new), "", self._old.nodes[old], self._new.nodes[new])
        if kept:
            self._note_branches(self._removed, self._old, old, kept)
            self._note_branches(self._added, self._new, new, still)
        else:
            self._removed.append(_Tree(old, is_covered=True))
            self._added.append(_Tree(new, is_covered=True))

    @staticmethod
    def _note_branches(into: list[_Tree], side: _Side, node: int, without: set[int]) -> None:
        """Add the children of a changed node to ``into``, because they may have moved. Omit those in ``without``."""
        into.extend(_Tree(child, is_covered=True) for child in side.children[node].values() if child not in without)

    def _children(self, parent: str, old: Mapping[str, int], new: Mapping[str, int]) -> Iterator[Pair]:
        """Compare two sets of children, and yield the pairs of children that must still be compared.

        A child whose key has changed is added to the changes. Other children that are in only one of the sets are noted
        as removed or added.
        """
        before, after = self._old, self._new
        differs = {key for key in old if key in new and before.tree_ids[old[key]] != after.tree_ids[new[key]]}
        lost = {key: at for key, at in old.items() if key not in new or key in differs}
        found = {key: at for key, at in new.items() if key not in old or key in differs}
        equal: dict[int, deque[str]] = {}
        for key, at in found.items():
            if key not in old or self._pairing.finds_moves:
                equal.setdefault(after.tree_ids[at], deque()).append(key)
        for key in [key for key in lost if key not in new or self._pairing.finds_moves]:
            if twins := equal.get(before.tree_ids[lost[key]]):
                twin = twins.popleft()
                self._add_change("rekeyed", parent, "children", key, twin)
                del lost[key], found[twin]
        similar = {_identity(after.nodes[at]): key for key, at in reversed(found.items()) if key not in old}
        for key in [key for key in lost if key not in new]:
            identity = _identity(before.nodes[lost[key]])
            if identity[1] and identity in similar:
                twin = similar.pop(identity)
                self._add_change("rekeyed", parent, "children", key, twin)
                yield lost.pop(key), found.pop(twin)
        self._removed.extend(_Tree(at, is_covered=False) for key, at in lost.items() if key not in found)
        self._added.extend(_Tree(at, is_covered=False) for key, at in found.items() if key not in lost)
        yield from ((at, found[key]) for key, at in lost.items() if key in found)


DataChange: TypeAlias = tuple[str, Any, Any, Literal["data", "order"]]


def _data_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[DataChange]:
    """Yield each difference in the data of two nodes: the field, the old value, the new value, and the kind."""
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
    """Yield a change for each item that only one of two arrays has.

    If the items that both arrays have are in a different order, yield one more change, unless ``unordered`` is true.

    The items are objects, and are matched by id. Two items without an id match if they are equal or, failing that, if
    they have the same index. The generator returns the matched pairs, each with the prefix for its fields. The caller
    must compare them.
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
    """Return the items of an array by keys that also identify the same items in another array.

    A key consists of the item's id and a counter, which distinguishes items with the same id. A value consists of the
    id and the item. If an item has no id, the key contains the content of the item instead, and the value contains the
    index of the item as a text.
    """
    found: dict[Any, tuple[str, Mapping[str, Any]]] = {}
    times: Counter[Any] = Counter()
    for position, item in enumerate(items):
        item_id = _item_id(item)
        what = item_id or canonical(item)
        found[what, times[what]] = item_id or str(position), item
        times[what] += 1
    return found


def _item_id(item: Mapping[str, Any]) -> str:
    each = item.get("id")
    return each if isinstance(each, str) else ""
