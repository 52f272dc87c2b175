"""Place the boxes of a picture as a tree, from the top down."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from .diagram import Box, children

SIBLING_GAP: Final = 20
LEVEL_GAP: Final = 30
FORK_GAP: Final = 6  # more of it where a line forks


class Layout(NamedTuple):
    """``spots``: the middle of each box's upper edge. ``width``, ``height``: the size of the whole."""

    spots: list[tuple[float, float]]
    width: float
    height: float


def layout(boxes: Sequence[Box], sizes: Sequence[tuple[float, float]]) -> Layout:
    """Place each box above the middle of its children, so that no two subtrees share a column.

    ``sizes``: the width and the height of each box; the width includes the label above it.
    """
    below = children(boxes)
    spans = [0.0] * len(boxes)  # the width of a subtree
    middles = [0.0] * len(boxes)  # the middle of a box, from the left end of its subtree
    offsets = [0.0] * len(boxes)  # the left end of a subtree, from that of its parent's
    for index in range(len(boxes) - 1, -1, -1):
        half, reach = sizes[index][0] / 2, 0.0
        for child in below[index]:
            offsets[child] = reach
            reach += spans[child] + SIBLING_GAP
        middle = half
        if branches := below[index]:
            middle = sum(offsets[child] + middles[child] for child in (branches[0], branches[-1])) / 2
        lead = max(0.0, half - middle)
        for child in below[index]:
            offsets[child] += lead
        middles[index] = middle + lead
        spans[index] = max(reach - SIBLING_GAP + lead, middles[index] + half)
    lefts = [0.0] * len(boxes)
    tops = [0.0] * len(boxes)
    for index in range(1, len(boxes)):
        parent = boxes[index].parent
        lefts[index] = lefts[parent] + offsets[index]
        tops[index] = tops[parent] + sizes[parent][1] + _gap([boxes[child] for child in below[parent]])
    height = max(top + size[1] for top, size in zip(tops, sizes, strict=True))
    spots = [(left + middle, top) for left, middle, top in zip(lefts, middles, tops, strict=True)]
    return Layout(spots, spans[0], height)


def _gap(siblings: Sequence[Box]) -> float:
    """Return the room between a box and its children, which includes that of their labels."""
    labelled = any(box.label for box in siblings)
    return LEVEL_GAP * (2 if labelled else 1) + (FORK_GAP if len(siblings) > 1 else 0)
