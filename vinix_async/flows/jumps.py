"""The graph of jumps between the callflows of an account."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from attrs import frozen

MAX_JUMPS: Final = 50
"""The number of jumps that the server allows in one call (``callflow.max_branch_count``)."""


@frozen
class Jump:
    """A jump from one callflow to another.

    ``path`` is the JSON pointer of the node that jumps. ``is_paused`` is true if a call waits or chooses a branch on
    the way to the node. ``comes_back`` is true if the call continues below the node when the other callflow has ended.
    """

    source: str
    path: str
    target: str
    is_paused: bool
    comes_back: bool


def returning(jumps: Iterable[Jump]) -> set[str]:
    """Return the ids of the callflows after which a call may continue in an earlier callflow.

    A call reaches such a callflow by a jump that comes back, possibly followed by further jumps of any kind.
    """
    onward: dict[str, list[str]] = {}
    found: set[str] = set()
    for jump in jumps:
        onward.setdefault(jump.source, []).append(jump.target)
        if jump.comes_back:
            found.add(jump.target)
    waiting = sorted(found)
    while waiting:
        for target in onward.get(waiting.pop(), ()):
            if target not in found:
                found.add(target)
                waiting.append(target)
    return found


def circles(jumps: Sequence[Jump]) -> Iterator[tuple[Jump, bool, list[str]]]:
    """Yield a jump, a flag and the sorted ids for each group of callflows that jump in a circle.

    The jump is the first one that leads from the callflow with the lowest id to a callflow of the group. The flag is
    true if the group has a circle without a pause.
    """
    outgoing: dict[str, list[Jump]] = {}
    for jump in jumps:
        outgoing.setdefault(jump.source, []).append(jump)
    targets = {source: [jump.target for jump in out] for source, out in outgoing.items()}
    for group in components(targets):
        ids = sorted(group)
        inside = set(group)
        quick = {
            each: [jump.target for jump in outgoing[each] if jump.target in inside and not jump.is_paused]
            for each in ids
        }
        is_hard = any(True for _ in components(quick))
        first = next(jump for jump in outgoing[ids[0]] if jump.target in inside)
        yield first, is_hard, ids


def components(targets: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:  # noqa: C901  # one loop, as published
    """Yield the strongly connected components that contain a circle (Tarjan's algorithm, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    for root in targets:
        if root in index:
            continue
        work = [(root, iter(targets[root]))]
        index[root] = low[root] = len(index)
        path.append(root)
        on_path.add(root)
        while work:
            node, following = work[-1]
            deeper = False
            for target in following:
                if target not in index:
                    index[target] = low[target] = len(index)
                    path.append(target)
                    on_path.add(target)
                    work.append((target, iter(targets.get(target, ()))))
                    deeper = True
                    break
                if target in on_path:
                    low[node] = min(low[node], index[target])
            if deeper:
                continue
            work.pop()
            if work:
                above = work[-1][0]
                low[above] = min(low[above], low[node])
            if low[node] == index[node]:
                group: list[str] = []
                while not group or group[-1] != node:
                    group.append(path.pop())
                    on_path.discard(group[-1])
                if len(group) > 1 or node in targets.get(node, ()):
                    yield group
