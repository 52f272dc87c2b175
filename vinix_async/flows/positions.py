"""List the nodes of a flow, and convert JSON pointers. No function recurses, so flows may be nested to any depth."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from .. import Callflow, FlowNode, to_dict, to_json

Row: TypeAlias = tuple[FlowNode, str, int]
"""A node, the node's key in its parent's children, and the index of the parent's row. For the top, the index is -1."""


def rows(top: FlowNode | None) -> list[Row]:
    """Return a row for ``top`` and for each node below it, in depth-first order, so that parents come first."""
    found: list[Row] = []
    if top is None:
        return found
    waiting: list[Row] = [(top, "", -1)]
    while waiting:
        row = waiting.pop()
        index = len(found)
        found.append(row)
        children = row[0].children
        if children:
            waiting.extend([(child, key, index) for key, child in reversed(list(children.items()))])
    return found


class Pointers:
    """The JSON pointers of a table's rows. Each pointer reuses the beginning that it shares with the previous one."""

    def __init__(self, table: list[Row], top: str = "/flow") -> None:
        """``top`` is the pointer of the first row."""
        self._table = table
        self._last = top
        # For each row on the path to the node at ``_last``: the index of the row, and the length of the row's pointer.
        # ``_last`` begins with the pointers of all these rows.
        self._ends = [(0, len(top))]

    def __getitem__(self, index: int) -> str:
        """Return the pointer of the node in the row ``index``, within the node's callflow."""
        below: list[int] = []
        while True:
            while self._ends[-1][0] > index:
                self._ends.pop()
            row, end = self._ends[-1]
            if row == index:
                break
            below.append(index)
            index = self._table[index][2]
        parts = [self._last[:end]]
        for row in reversed(below):
            parts.append(f"/children/{escape(self._table[row][1])}")
            end += len(parts[-1])
            self._ends.append((row, end))
        self._last = "".join(parts)
        return self._last


def escape(key: str) -> str:
    """Return ``key`` as a part of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key


def keys_of(path: str) -> list[str]:
    """Return the parts of a JSON pointer."""
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def node_at(callflow: Callflow | None, path: str) -> FlowNode | None:
    """Return the node at a JSON pointer within a callflow, or None if there is no node."""
    keys = keys_of(path)
    if callflow is None or not keys:
        return None
    if keys[0] == "metaflow":
        nodes = getattr(callflow.metaflow, keys[1], {}) if len(keys) > 2 else {}
        node, keys = nodes.get(keys[2]) if len(keys) > 2 else None, keys[2:]
    else:
        node = callflow.flow
    for key in keys[2::2]:
        node = node.children.get(key) if node is not None else None
    return node


def metaflow_tops(callflow: Callflow) -> Iterator[tuple[FlowNode, str]]:
    """Yield the node of each number and pattern of the callflow's metaflow, with its JSON pointer."""
    metaflow = callflow.metaflow
    if metaflow is not None:
        for group, nodes in (("numbers", metaflow.numbers), ("patterns", metaflow.patterns)):
            for key, node in nodes.items():
                yield node, f"/metaflow/{group}/{escape(key)}"


def is_empty(node: FlowNode | None) -> bool:
    """Whether ``node`` is None or has no fields. A callflow ends where the next node is empty."""
    return node is None or (node.module is None and not node.children and not to_dict(node))


def is_summary(callflow: Callflow) -> bool:
    """Whether the callflow is a row of a listing. Rows never have a flow.

    A document without a flow is a row if it has ``modules``, or if its ``featurecode`` is ``false``.
    """
    if callflow.flow is not None:
        return False
    sent = to_dict(callflow)
    return "flow" not in sent and ("modules" in sent or sent.get("featurecode") is False)


def ordered(callflows: Iterable[Callflow]) -> list[Callflow]:
    """Return the callflows sorted by id. All callflows without an id are kept.

    If several callflows have the same id, only the callflow whose JSON text sorts last is kept. No field shows which
    callflow is newest, and the result must not depend on the order of ``callflows``.
    """
    by_id: dict[str, list[Callflow]] = {}
    for callflow in callflows:
        by_id.setdefault(callflow.id, []).append(callflow)
    kept: list[Callflow] = []
    for each in sorted(by_id):
        same = by_id[each]
        if len(same) > 1:
            same = sorted(same, key=to_json)
            same = same[-1:] if each else same
        kept.extend(same)
    return kept
