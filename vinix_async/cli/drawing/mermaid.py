"""A callflow as the text of a Mermaid flowchart."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from ... import Callflow
from .diagram import boxes, fold, kind_of, numbers
from .svg import cut

_PLAIN: Final = frozenset(" _-+.,:/()'=!?…")
_COLOURS: Final = {
    "route": "#6d3fd4",
    "people": "#0f7a50",
    "voice": "#a85a00",
    "jump": "#2450c4",
    "end": "#c02b3c",
    "other": "#5b6779",
}


def mermaid(callflow: Callflow, names: Mapping[str, str] | None = None, *, limit: int = 250) -> str:
    """The chart, with the upper ``limit`` boxes: Mermaid refuses more than 500 edges."""
    found = fold(boxes(callflow, names), limit=limit)
    lines = ["flowchart TD"]
    kinds: dict[str, list[str]] = {}
    for place, box in enumerate(found):
        node = f"n{place}"
        if box.parent < 0:
            head = "<br/>".join(_quoted(text) for text in (box.name, *numbers(callflow)[:4]))
            lines.append(f'  {node}(["{head}"])')
            continue
        if box.more:
            lines.append(f'  {node}["+ {box.more:,} more"]')
        else:
            texts = (box.module or "end", box.name, "disabled" if box.disabled else "")
            lines.append(f'  {node}["{"<br/>".join(_quoted(text) for text in texts if text)}"]')
            kinds.setdefault("off" if box.disabled else kind_of(box.module), []).append(node)
        label = f'|"{_quoted(box.label)}"|' if box.label else ""
        lines.append(f"  n{box.parent} -->{label} {node}")
        if box.target:
            lines.append(f'  click {node} href "#callflow-{quote(box.target, safe="")}"')
    for kind, nodes in kinds.items():
        style = f"stroke:{_COLOURS[kind]}" if kind != "off" else "stroke:#a9b4c4,color:#7a8599,stroke-dasharray:4 3"
        lines += [f"  classDef {kind}Kind {style}", f"  class {','.join(nodes)} {kind}Kind"]  # "end" is a keyword
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """``text`` for a label in quotes: what could be syntax or markup is its number."""
    return "".join(letter if letter.isalnum() or letter in _PLAIN else f"#{ord(letter)};" for letter in cut(text, 40))
