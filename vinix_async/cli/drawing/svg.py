"""A callflow as SVG: a tree from the top down, as in the vendor's editor, in light and dark."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Final, NamedTuple
from urllib.parse import quote

from rich.cells import cell_len, set_cell_size

from ... import Callflow
from .diagram import Box, boxes, children, fold, kind_of, numbers

WIDTH: Final = 188
HEIGHT: Final = 56
_HEAD_WIDTH: Final = 252
_MORE_WIDTH: Final = 108
_MORE_HEIGHT: Final = 32
BREADTH: Final = 12  # children shown of one box
_SIDE: Final = 20  # between siblings
_DOWN: Final = 30  # below a box, and with labels on the edges twice that
_MARGIN: Final = 24
_LINES: Final = 3  # numbers in the head

PATHS: Final = {
    "route": "M8 2v4M8 6 3 10v4M8 6l5 4v4",
    "people": "M8 7.5a2.75 2.75 0 1 0 0-5.5 2.75 2.75 0 0 0 0 5.5M2.5 14c0-3 2.5-4.5 5.5-4.5s5.5 1.5 5.5 4.5",
    "voice": "M2 6.5v3M5 4v8M8 2v12M11 5v6M14 6.5v3",
    "jump": "M5 11 12 4M6.5 4H12v5.5M3 6v7h7",
    "end": "M4 4l8 8M12 4l-8 8",
    "other": "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1.5v2M8 12.5v2M1.5 8h2M12.5 8h2",
    "head": "M4 2h2.5l1 3.5L6 7c.7 1.5 1.6 2.3 3 3l1.5-1.5L14 9.5V12c0 1.2-.8 2-2 2C6.5 14 2 9.5 2 4c0-1.2.8-2 2-2",
}
"""The pictures in the boxes, drawn in 16 by 16."""


class Layout(NamedTuple):
    """Where each box goes: the middle of its upper edge, and the size of the whole."""

    spots: list[tuple[float, float]]
    width: float
    height: float


def layout(found: Sequence[Box], sizes: Sequence[tuple[float, float]]) -> Layout:
    """A tree without crossings: each box above the middle of its children, no two subtrees in one column."""
    below = children(found)
    spans = [0.0] * len(found)  # the width of a subtree
    middles = [0.0] * len(found)  # the middle of a box, from the left end of its subtree
    offsets = [0.0] * len(found)  # the left end of a subtree, from that of its parent's
    for place in range(len(found) - 1, -1, -1):
        half, reach = sizes[place][0] / 2, 0.0
        for child in below[place]:
            offsets[child] = reach
            reach += spans[child] + _SIDE
        reach = max(reach - _SIDE, 0.0)
        middle = half
        if kids := below[place]:
            middle = sum(offsets[kid] + middles[kid] for kid in (kids[0], kids[-1])) / 2
        lead = max(0.0, half - middle)
        for child in below[place]:
            offsets[child] += lead
        middles[place] = middle + lead
        spans[place] = max(reach + lead, middles[place] + half)
    lefts = [0.0] * len(found)
    tops = [0.0] * len(found)
    for place in range(1, len(found)):
        parent = found[place].parent
        lefts[place] = lefts[parent] + offsets[place]
        tops[place] = tops[parent] + sizes[parent][1] + drop(found, below[parent])
    height = max(top + size[1] for top, size in zip(tops, sizes, strict=True))
    spots = [(left + middle, top) for left, middle, top in zip(lefts, middles, tops, strict=True)]
    return Layout(spots, spans[0], height)


def drop(found: Sequence[Box], kids: Sequence[int]) -> float:
    """How far below their parent these are."""
    return _DOWN * (2 if any(found[kid].label for kid in kids) else 1) + (0 if len(kids) == 1 else 6)


def svg(callflow: Callflow, names: Mapping[str, str] | None = None, *, limit: int = 120, style: bool = True) -> str:
    """The picture, with the upper ``limit`` boxes; without ``style`` it has the colours of the page around it."""
    whole = boxes(callflow, names)
    found = fold(whole, limit=limit, breadth=BREADTH)
    dialled = numbers(callflow)
    lines = dialled if len(dialled) <= _LINES else [*dialled[: _LINES - 1], f"+ {len(dialled) - _LINES + 1} more"]
    sizes = [_size(box, len(lines)) for box in found]
    placed = layout(found, sizes)
    width, height = placed.width + 2 * _MARGIN, placed.height + 2 * _MARGIN
    edges, labels, drawn = [], [], []
    for place, box in enumerate(found):
        x, y = placed.spots[place]
        if place:
            parent_x, parent_y = placed.spots[box.parent]
            edges.append(
                f'<path class="edge{" off" if box.disabled else ""}" '
                f'd="{_edge(parent_x, parent_y + sizes[box.parent][1], x, y)}"/>'
            )
            if box.label:
                labels.append(_pill(box.label, x, y))
        drawn.append(_box(box, x - sizes[place][0] / 2, y, lines, callflow.id if not place else None))
    about = f"{found[0].name}: {len(whole) - 1} modules"
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="flow" width="{width:g}" height="{height:g}" '
        f'viewBox="{-_MARGIN} {-_MARGIN} {width:g} {height:g}" role="img" aria-label="{escape(about)}">'
    )
    parts = [
        opening,
        f"<style>{style_sheet()}</style>" if style else "",
        f'<clipPath id="clip"><rect x="44" width="{WIDTH - 54}" height="{HEIGHT}"/></clipPath>',
        f'<rect class="ground" x="{-_MARGIN}" y="{-_MARGIN}" width="{width:g}" height="{height:g}"/>' if style else "",
        *edges,
        *labels,
        *drawn,
        "</svg>\n",
    ]
    return "\n".join(part for part in parts if part)


def style_sheet() -> str:
    """The style of a picture, which pages share."""
    return (files("vinix_async.cli.drawing") / "assets" / "flow.css").read_text("utf-8")


def _size(box: Box, lines: int) -> tuple[float, float]:
    if box.parent < 0:
        return _HEAD_WIDTH, 36 + 18 * lines + (6 if lines else 0)
    return (_MORE_WIDTH, _MORE_HEIGHT) if box.more else (WIDTH, HEIGHT)


def _edge(x: float, y: float, to_x: float, to_y: float) -> str:
    """Down, across with round corners, and down."""
    if abs(to_x - x) < 1:
        return f"M{x:g} {y:g}V{to_y:g}"
    bus = y + 18
    turn = min(8.0, abs(to_x - x) / 2) * (1 if to_x > x else -1)
    return (
        f"M{x:g} {y:g}V{bus - abs(turn):g}q0 {abs(turn):g} {turn:g} {abs(turn):g}"
        f"H{to_x - turn:g}q{turn:g} 0 {turn:g} {abs(turn):g}V{to_y:g}"
    )


def _pill(label: str, x: float, y: float) -> str:
    shown = cut(label, 26)
    wide = 7.4 * cell_len(shown) + 1.7 * sum(map(str.isupper, shown)) + 16
    return (
        f'<g class="label" transform="translate({x:g} {y - 20:g})"><title>{escape(label)}</title>'
        f'<rect x="{-wide / 2:g}" y="-10" width="{wide:g}" height="20" rx="10"/>'
        f'<text y="4">{escape(shown)}</text></g>'
    )


def _box(box: Box, x: float, y: float, lines: Sequence[str], head_id: str | None) -> str:
    at = f'transform="translate({x:g} {y:g})"'
    if box.parent < 0:
        height = _size(box, len(lines))[1]
        rows = "".join(
            f'<text class="number" x="44" y="{44 + 18 * row}">{escape(cut(line, 26))}</text>'
            for row, line in enumerate(lines)
        )
        return (
            f'<g class="box head" id="callflow-{escape(head_id or "")}" {at}><title>{escape(box.name)}</title>'
            f'<rect class="frame" width="{_HEAD_WIDTH}" height="{height:g}" rx="12"/>{_icon("head", 15, 10)}'
            f'<text class="name" x="44" y="23">{escape(cut(box.name, 26))}</text>{rows}</g>'
        )
    if box.more:
        return (
            f'<g class="more" {at}><rect width="{_MORE_WIDTH}" height="{_MORE_HEIGHT}" rx="16"/>'
            f'<text x="{_MORE_WIDTH / 2:g}" y="20">+ {box.more:,} more</text></g>'
        )
    kind = kind_of(box.module)
    module, says = box.module or "end", " · ".join(filter(None, (box.name, "disabled" if box.disabled else "")))
    drawn = (
        f'<g class="box {kind}{" off" if box.disabled else ""}{" link" if box.target else ""}" {at}>'
        f"<title>{escape(' · '.join(filter(None, (module, says))))}</title>"
        f'<rect class="frame" width="{WIDTH}" height="{HEIGHT}" rx="10"/>'
        f'<rect class="tile" x="10" y="14" width="28" height="28" rx="7"/>{_icon(kind, 16, 20)}'
        f'<g clip-path="url(#clip)">'
        f'<text class="module" x="48" y="{25 if says else 33}">{escape(cut(module, 18))}</text>'
        + (f'<text class="name" x="48" y="42">{escape(cut(says, 20))}</text>' if says else "")
        + "</g></g>"
    )
    return f'<a href="#callflow-{escape(quote(box.target))}">{drawn}</a>' if box.target else drawn


def _icon(kind: str, x: float, y: float) -> str:
    return f'<path class="icon" transform="translate({x:g} {y:g})" d="{PATHS[kind]}"/>'


def cut(text: str, cells: int) -> str:
    """``text``, ended with … where it is wider than so many cells."""
    return text if cell_len(text) <= cells else set_cell_size(text, cells - 1).rstrip() + "…"
