"""Draw a callflow as SVG or PNG.

The picture is a tree from the top down, as in the vendor's editor. A PNG always has light colours.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final
from urllib.parse import quote

from ... import Callflow
from ...flows import Name
from ..exit_codes import UsageError
from .diagram import Box, children, diagram, fold
from .text_width import TEXT_STYLES, asset, fit

Pair = tuple[float, float]

_MAX_BOXES: Final = 120
_MAX_BREADTH: Final = 12
_MAX_NUMBERS: Final = 3
_BOX_WIDTH: Final = 196
_HEAD_WIDTH: Final = 252
_MORE_HEIGHT: Final = 32
_MIN_HEIGHT: Final = 48
_MARGIN: Final = 24
_SIBLING_GAP: Final = 20
_LEVEL_GAP: Final = 30
_TREE_GAP: Final = 60
_FORK_GAP: Final = 6  # added to the gap below a box that has several children
_LABEL_ROOM: Final = 240
_PADDING: Final = 8  # at both ends of a label
_TEXT_LEFT: Final = 48
_TEXT_ROOM: Final = _BOX_WIDTH - _TEXT_LEFT - 10
_HEAD_TEXT_LEFT: Final = 44
_HEAD_TEXT_ROOM: Final = _HEAD_WIDTH - _HEAD_TEXT_LEFT - 12

_ZOOM: Final = 2.0
_MAX_PIXELS: Final = 50_000_000  # of a PNG; a larger picture is scaled down
_DARK: Final = re.compile(r"@media .*?\n\}\n", re.DOTALL)
_VARIABLE: Final = re.compile(r"(--[\w-]+): ([^;]+);")
_USE: Final = re.compile(r"var\((--[\w-]+)\)")
_FONTS: Final = "Arial, Liberation Sans, Arimo, Helvetica, sans-serif"  # as in flow.css
_PROBE: Final = '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16">{}</svg>'

ICONS: Final = {
    "route": "M8 2v4M8 6 3 10v4M8 6l5 4v4",
    "people": "M8 7.5a2.75 2.75 0 1 0 0-5.5 2.75 2.75 0 0 0 0 5.5M2.5 14c0-3 2.5-4.5 5.5-4.5s5.5 1.5 5.5 4.5",
    "voice": "M2 6.5v3M5 4v8M8 2v12M11 5v6M14 6.5v3",
    "jump": "M5 11 12 4M6.5 4H12v5.5M3 6v7h7",
    "end": "M4 4l8 8M12 4l-8 8",
    "other": "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1.5v2M8 12.5v2M1.5 8h2M12.5 8h2",
    "head": "M4 2h2.5l1 3.5L6 7c.7 1.5 1.6 2.3 3 3l1.5-1.5L14 9.5V12c0 1.2-.8 2-2 2C6.5 14 2 9.5 2 4c0-1.2.8-2 2-2",
}
"""The path of each icon, in a square of 16 by 16."""


def svg(callflow: Callflow, names: Mapping[str, Name] | None = None, *, with_style: bool = True) -> str:
    """Return the picture as SVG. Without ``with_style``, the page that contains the picture sets its colours."""
    whole = diagram(callflow, names)
    boxes = fold(whole, limit=_MAX_BOXES, breadth=_MAX_BREADTH)
    sizes = [_size(box) for box in boxes]
    rooms = [(max(width, _label_width(box)), height) for box, (width, height) in zip(boxes, sizes, strict=True)]
    spots, width, height = layout(boxes, rooms)
    width, height = width + 2 * _MARGIN, height + 2 * _MARGIN
    edges, labels, drawn = [], [], []
    for box, (x, y), size in zip(boxes, spots, sizes, strict=True):
        drawn.append((_head if box.parent < 0 else _box)(box, x - size[0] / 2, y, size))
        if box.parent >= 0:
            from_x, from_y = spots[box.parent]
            path = _edge(from_x, from_y + sizes[box.parent][1], x, y)
            edges.append(f'<path class="edge{" off" if box.disabled else ""}" d="{path}"/>')
        if box.branch:
            labels.append(_label(box.branch, x, y - 20))
    view = f"{-_MARGIN} {-_MARGIN} {width:g} {height:g}"
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="flow" width="{width:g}" height="{height:g}" viewBox="{view}" '
        f'role="img" aria-label="{escape(f"{boxes[0].label}: {len(whole) - 1} modules")}">'
    )
    style: list[str] = []
    if with_style:
        ground = f'<rect class="ground" x="{-_MARGIN}" y="{-_MARGIN}" width="{width:g}" height="{height:g}"/>'
        style = [f"<style>{asset('flow.css')}</style>", ground]
    return "\n".join([opening, *style, *edges, *labels, *drawn, "</svg>\n"])


def layout(boxes: Sequence[Box], sizes: Sequence[Pair]) -> tuple[list[Pair], float, float]:
    """Return the middle of each box's upper edge, and the width and the height of the picture.

    A box is centred above its children. Subtrees and trees are placed side by side and do not overlap.
    ``sizes``: the width and the height of each box. If the label above a box is wider than the box, the width must be
    that of the label.
    """
    below = children(boxes)
    spans = [0.0] * len(boxes)  # the width of a subtree
    middles = [0.0] * len(boxes)  # the middle of a box, measured from the left end of its subtree
    offsets = [0.0] * len(boxes)  # the left end of a subtree, measured from the left end of its parent's subtree
    for index in range(len(boxes) - 1, -1, -1):
        half, reach = sizes[index][0] / 2, 0.0
        for child in below[index]:
            offsets[child] = reach
            reach += spans[child] + _SIBLING_GAP
        middle = half
        if branches := below[index]:
            middle = sum(offsets[child] + middles[child] for child in (branches[0], branches[-1])) / 2
        lead = max(0.0, half - middle)
        for child in below[index]:
            offsets[child] += lead
        middles[index] = middle + lead
        spans[index] = max(reach - _SIBLING_GAP + lead, middles[index] + half)
    lefts = [0.0] * len(boxes)
    tops = [0.0] * len(boxes)
    whole = 0.0
    for index, box in enumerate(boxes):
        parent = box.parent
        if parent < 0:
            lefts[index] = whole
            whole += spans[index] + _TREE_GAP
            continue
        lefts[index] = lefts[parent] + offsets[index]
        labelled = any(boxes[child].branch for child in below[parent])
        gap = _LEVEL_GAP * (2 if labelled else 1) + (_FORK_GAP if len(below[parent]) > 1 else 0)
        tops[index] = tops[parent] + sizes[parent][1] + gap
    height = max(top + size[1] for top, size in zip(tops, sizes, strict=True))
    spots = [(left + middle, top) for left, middle, top in zip(lefts, middles, tops, strict=True)]
    return spots, whole - _TREE_GAP, height


def _number_lines(head: Box) -> Sequence[str]:
    """Return the lines below the title of a head. If there are many, the last line says how many are left out."""
    dialled = head.lines
    if len(dialled) <= _MAX_NUMBERS:
        return dialled
    return [*dialled[: _MAX_NUMBERS - 1], f"+ {len(dialled) - _MAX_NUMBERS + 1} more"]


def _size(box: Box) -> Pair:
    if box.parent < 0:
        lines = len(_number_lines(box))
        return _HEAD_WIDTH, 36 + 18 * lines + (6 if lines else 0)
    if box.more:
        return fit(box.label, "count", _BOX_WIDTH)[1] + 4 * _PADDING, _MORE_HEIGHT
    return _BOX_WIDTH, max(_MIN_HEIGHT, 24 + 16 * len(box.texts))


def _label_width(box: Box) -> float:
    return fit(box.branch, "branch", _LABEL_ROOM)[1] + 2 * _PADDING if box.branch else 0


def _edge(x: float, y: float, to_x: float, to_y: float) -> str:
    """Return a path that goes down, across with round corners, and down again."""
    if abs(to_x - x) < 1:
        return f"M{x:g} {y:g}V{to_y:g}"
    bend = min(8.0, abs(to_x - x) / 2)
    turn = bend if to_x > x else -bend
    return (
        f"M{x:g} {y:g}V{y + 18 - bend:g}q0 {bend:g} {turn:g} {bend:g}"
        f"H{to_x - turn:g}q{turn:g} 0 {turn:g} {bend:g}V{to_y:g}"
    )


def _label(label: str, x: float, y: float) -> str:
    text, width = fit(label, "branch", _LABEL_ROOM)
    return (
        f'<g class="pill" transform="translate({x:g} {y:g})"><title>{escape(label)}</title>'
        f'<rect x="{-width / 2 - _PADDING:g}" y="-10" width="{width + 2 * _PADDING:g}" height="20" rx="10"/>'
        f"{_text(text, 'branch', 0, 4, _LABEL_ROOM)}</g>"
    )


def _head(box: Box, x: float, y: float, size: Pair) -> str:
    lines = _number_lines(box)
    rows = [_text(line, "number", _HEAD_TEXT_LEFT, 44 + 18 * row, _HEAD_TEXT_ROOM) for row, line in enumerate(lines)]
    anchor = f' id="callflow-{escape(box.target)}"' if box.target else ""
    return (
        f'<g class="box head"{anchor} transform="translate({x:g} {y:g})">'
        f'<title>{escape(box.label)}</title><rect class="frame" width="{size[0]:g}" height="{size[1]:g}" rx="12"/>'
        f"{_icon('head', 15, 10)}{_text(box.label, 'title', _HEAD_TEXT_LEFT, 23, _HEAD_TEXT_ROOM)}{''.join(rows)}</g>"
    )


def _box(box: Box, x: float, y: float, size: Pair) -> str:
    at, (width, height) = f'transform="translate({x:g} {y:g})"', size
    if box.more:
        frame = f'<rect width="{width:g}" height="{height:g}" rx="16"/>'
        return f'<g class="more" {at}>{frame}{_text(box.label, "count", width / 2, 20, width)}</g>'
    classes = f"box {box.kind}{' off' if box.disabled else ''}{' link' if box.target else ''}"
    drawn = (
        f'<g class="{classes}" {at}><title>{escape(" · ".join(box.texts))}</title>'
        f'<rect class="frame" width="{width:g}" height="{height:g}" rx="10"/>'
        f'<rect class="tile" x="10" y="{height / 2 - 14:g}" width="28" height="28" rx="7"/>'
        f"{_icon(box.kind, 16, height / 2 - 8)}{''.join(_lines(box, height))}</g>"
    )
    return f'<a href="#callflow-{escape(quote(box.target))}">{drawn}</a>' if box.target else drawn


def _lines(box: Box, height: float) -> Iterator[str]:
    """Yield a text element for each line of text in a box."""
    styles = ["label", "name" if box.module in {"", box.label} else "module"]
    top = (height - 16 * len(box.texts)) / 2 + 12
    for row, text in enumerate(box.texts):
        style = styles[row] if row < len(styles) else "name"
        yield _text(text, style, _TEXT_LEFT, top + 16 * row, _TEXT_ROOM)


def _text(text: str, style: str, x: float, y: float, room: float) -> str:
    """Return a text element that has the measured width in every font."""
    shown, width = fit(text, style, room)
    size, bold = TEXT_STYLES[style]
    weight = ' font-weight="700"' if bold else ""
    length = f' textLength="{width:g}" lengthAdjust="spacingAndGlyphs"' if width else ""
    return f'<text class="{style}" x="{x:g}" y="{y:g}" font-size="{size:g}"{weight}{length}>{escape(shown)}</text>'


def _icon(kind: str, x: float, y: float) -> str:
    return f'<path class="icon" transform="translate({x:g} {y:g})" d="{ICONS[kind]}"/>'


# --- PNG ---


def check_renderer() -> None:
    """Raise UsageError if the extra ``png`` is not installed, or if the system has no font for the pictures.

    Without such a font, resvg would draw no text.
    """
    try:
        from resvg_py import svg_to_bytes  # noqa: PLC0415  # an extra
    except ModuleNotFoundError:
        raise UsageError("PNG needs the extra png: pip install 'vinix-async[png]'") from None
    if svg_to_bytes(_PROBE.format(f'<text y="12" font-family="{_FONTS}">x</text>')) == svg_to_bytes(_PROBE.format("")):
        raise UsageError(
            "PNG needs Arial or Liberation Sans: install one of these fonts (in Debian, the package fonts-liberation)"
        )


def png(callflow: Callflow, names: Mapping[str, Name] | None = None) -> bytes:
    """Return the picture as PNG. Call ``check_renderer`` first.

    For sharp text, the PNG is twice as large as the SVG, but it has at most ``_MAX_PIXELS`` pixels.
    """
    from resvg_py import svg_to_bytes  # noqa: PLC0415  # an extra

    text = _DARK.sub("", svg(callflow, names))  # resvg supports neither media queries nor variables
    values = dict(_VARIABLE.findall(text))
    text = _USE.sub(lambda found: values[found[1]], _VARIABLE.sub("", text))
    width, height = (float(size) for size in re.findall(r'(?:width|height)="([\d.]+)"', text)[:2])
    return svg_to_bytes(text, zoom=min(_ZOOM, math.sqrt(_MAX_PIXELS / (width * height))))
