"""Write a callflow, or the trace of a call, as the text of a Mermaid flowchart."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from rich.cells import cell_len, set_cell_size

from ... import Callflow
from ...flows import Name, TraceNode
from .diagram import Box, diagram, fold

_MAX_BOXES: Final = 250  # Mermaid draws at most 500 edges, and ``fold`` adds at most one child to each box it keeps
_MAX_CHARACTERS: Final = 50_000  # in UTF-16 code units: Mermaid's maxTextSize
_MAX_CELLS: Final = 40
_MAX_LABEL: Final = 160  # in characters; needed in addition to _MAX_CELLS, because combining characters fill no cell
_MAX_TARGET: Final = 64
_MAX_NUMBERS: Final = 4

_COLOURS: Final = {
    "route": "#6d3fd4",
    "people": "#0f7a50",
    "voice": "#a85a00",
    "jump": "#2450c4",
    "end": "#c02b3c",
    "other": "#5b6779",
}

_JOINER: Final = "\u2060"  # a character without width
_SPACE: Final = "\ufeff"  # a character without width that Mermaid's Markdown treats as a space
_LITERAL: Final = frozenset(" _-+.,:/()'=!?…" + _JOINER + _SPACE)
_MARKDOWN: Final = str.maketrans(
    {
        **{sign: sign + _JOINER for sign in r"\&]<#$!"},  # the start of escapes, entities, links, HTML and formulas
        **{sign: sign + _JOINER for sign in "\ufb02\u00b6"},  # Mermaid uses these internally to mark entities
        "@": _JOINER + "@",  # e-mail addresses
        "_": _JOINER + "_" + _JOINER,  # inside a word, an underscore does not start emphasis
        "*": _SPACE + "*" + _SPACE,  # between spaces, an asterisk does not start emphasis
        "~": _SPACE + "~" + _SPACE,
        "`": "\u02cb",  # a similar character, since a backtick always begins code
    }
)
_LINK: Final = re.compile(r"\w:|www(?=\.)", re.IGNORECASE)
_BLOCK: Final = re.compile(r"\W|_|\d+[.)]")  # what may start a list, a heading, a rule or a quotation


def mermaid(callflow: Callflow, names: Mapping[str, Name] | None = None) -> str:
    """Return a callflow as a flowchart, which is folded to fit into Mermaid's limits."""
    boxes = diagram(callflow, names)
    limit = _MAX_BOXES
    text = _chart(fold(boxes, limit=limit))
    while (size := len(text.encode("utf-16-le")) // 2) > _MAX_CHARACTERS:
        limit = min(limit - 1, limit * _MAX_CHARACTERS // size)
        text = _chart(fold(boxes, limit=limit))
    return text


def _chart(boxes: list[Box]) -> str:
    lines = ["flowchart TD"]
    classes: dict[str, list[str]] = {}
    for index, box in enumerate(boxes):
        node = f"n{index}"
        texts = box.texts if box.parent >= 0 else box.texts[: _MAX_NUMBERS + 1]
        text = box.label if box.more else "<br/>".join(map(_label, texts))
        if box.parent < 0:
            lines.append(f'  {node}(["{text}"])')
            continue
        lines.append(f'  {node}["{text}"]')
        if not box.more:
            classes.setdefault("off" if box.disabled else box.kind, []).append(node)
        branch = f'|"{_label(box.branch)}"|' if box.branch else ""
        lines.append(f"  n{box.parent} -->{branch} {node}")
        if 0 < len(box.target) <= _MAX_TARGET:
            lines.append(f'  click {node} href "#callflow-{quote(box.target, safe="")}"')
    for kind, nodes in classes.items():
        style = f"stroke:{_COLOURS[kind]}" if kind != "off" else "stroke:#a9b4c4,color:#7a8599,stroke-dasharray:4 3"
        # The suffix Kind is needed, because "end" is a keyword of Mermaid.
        lines += [f"  classDef {kind}Kind {style}", f"  class {','.join(nodes)} {kind}Kind"]
    return "\n".join(lines) + "\n"


def trace_chart(head: str, tree: TraceNode) -> str:
    """Return the trace of a call as a flowchart. ``head`` is the text of the first box."""
    lines = ["flowchart TD", f'  n0(["{_label(head)}"])']
    path = [0]
    for index, (depth, step) in enumerate(tree.walk(), 1):
        label = f'|"{_label(", ".join(step.words))}"|' if step.words else ""
        text = step.label or "the call is cut off"
        lines += [
            f'  n{index}["{_label(f"{text} ({step.ending})" if step.ending and step.label else text)}"]',
            f"  n{path[depth]} -->{label} n{index}",
        ]
        path[depth + 1 :] = [index]
    return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    """Return ``text`` for use in a quoted label. It is shortened, and escaped so that Mermaid shows it unchanged.

    Mermaid 11 reads labels as Markdown, and Mermaid 10 as text. The inserted characters have no width in either.
    """
    if cell_len(text) > _MAX_CELLS or len(text) > _MAX_LABEL:
        text = set_cell_size(text[:_MAX_LABEL], _MAX_CELLS - 1).rstrip() + "…"
    start = _JOINER if _BLOCK.match(text) else ""
    text = start + _LINK.sub(rf"\g<0>{_JOINER}", text.translate(_MARKDOWN))
    return "".join(letter if letter.isalnum() or letter in _LITERAL else f"#{ord(letter)};" for letter in text)
