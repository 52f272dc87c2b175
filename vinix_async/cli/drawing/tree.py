"""Draw a callflow as a tree in a terminal."""

from collections.abc import Mapping
from typing import Final

from rich.console import Group
from rich.text import Text
from rich.tree import Tree

from ... import Callflow
from ...flows import Name
from .diagram import Box, diagram, fold

_MAX_BOXES: Final = 200
_MAX_DEPTH: Final = 24
_STYLES: Final = {
    "route": "magenta",
    "people": "green",
    "voice": "yellow",
    "jump": "blue",
    "end": "red",
    "other": "default",
}


def tree(callflow: Callflow, names: Mapping[str, Name] | None = None) -> Group:
    """Return the callflow as trees for ``Console.print``. Where boxes are hidden, a line shows how many."""
    boxes = fold(diagram(callflow, names), limit=_MAX_BOXES, depth=_MAX_DEPTH)
    trees: list[Tree] = []
    branches: list[Tree] = []
    for box in boxes:
        if box.parent < 0:
            trees.append(Tree(_head(box), guide_style="dim"))
        branches.append(trees[-1] if box.parent < 0 else branches[box.parent].add(_line(box)))
    return Group(*trees)


def _head(head: Box) -> Text:
    return Text.assemble((head.label, "bold"), *((f"  {number}", "cyan") for number in head.lines))


def _line(box: Box) -> Text:
    """Return the line of a box: its branch, label, ``lines`` and the name of the module in the API."""
    if box.more:
        return Text(box.label, style="dim italic")
    first, *members = box.lines or ("",)
    group = f" ({', '.join(members)})" if members else ""
    said = f"{'↗ ' if box.target else ''}{first}{group}"
    parts = [(box.branch, "bold cyan"), (" → ", "dim")] if box.branch else []
    parts.append((box.label, "dim strike" if box.disabled else _STYLES[box.kind]))
    rest = ((said, "default"), ("(disabled)" if box.disabled else "", "dim"), (box.module, "dim"))
    parts += [(f"  {text}", style) for text, style in rest if text and text != box.label]
    return Text.assemble(*parts, overflow="ellipsis", no_wrap=True)
