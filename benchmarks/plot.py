"""The plot: four comparisons as bars, an SVG with a background of its own for light and for dark pages."""

from collections.abc import Iterator
from html import escape

from harness import VINIX

PANELS = [
    ("Decode a page M, ms", "decode M ", ".2f"),
    ("Pages S a second, 16 at once (longer is better)", "rate 16 ", ",.0f"),
    ("Longest stop of the event loop, page L, ms", "stall L ", ".1f"),
    ("Walk at 20 ms latency, × fetching alone", "walk 20 ", ".2f"),
]
WIDTH, HALF, ROW, BAR = 1000, 500, 24, 16
LABEL, LONGEST = 188, 220
STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.page { fill: #ffffff }
.bar { fill: #8c959f }
.ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .page { fill: #0d1117 }
  .bar { fill: #6e7681 }
  .ours { fill: #58a6ff }
}"""


def draw(figures: dict[str, float]) -> str:
    """The SVG of what there is among the figures."""
    panels = [(title, _bars(figures, start), form) for title, start, form in PANELS]
    heights = [_height(panels[index : index + 2]) for index in (0, 2)]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {sum(heights)}" width="{WIDTH}">',
        f"<style>\n{STYLE}\n</style>",
        '<rect class="page" width="100%" height="100%" rx="6"/>',
    ]
    for index, (title, bars, form) in enumerate(panels):
        lines.extend(_panel(title, bars, form, x=HALF * (index % 2) + 16, y=heights[0] * (index // 2) + 28))
    return "\n".join([*lines, "</svg>\n"])


def _bars(figures: dict[str, float], start: str) -> dict[str, float]:
    return {name.removeprefix(start): value for name, value in figures.items() if name.startswith(start)}


def _height(panels: list[tuple[str, dict[str, float], str]]) -> int:
    return 56 + ROW * max(len(bars) for _, bars, _ in panels)


def _panel(title: str, bars: dict[str, float], form: str, *, x: int, y: int) -> Iterator[str]:
    yield f'<text class="title" x="{x}" y="{y}">{escape(title)}</text>'
    for index, (name, value) in enumerate(bars.items()):
        top = y + 12 + ROW * index
        width = max(1, round(LONGEST * value / max(bars.values())))
        kind = "bar ours" if name == VINIX else "bar"
        base = top + BAR - 3
        yield f'<text x="{x + LABEL - 8}" y="{base}" text-anchor="end">{escape(name)}</text>'
        yield f'<rect class="{kind}" x="{x + LABEL}" y="{top}" width="{width}" height="{BAR}" rx="2"/>'
        yield f'<text x="{x + LABEL + width + 6}" y="{base}">{value:{form}}</text>'
