"""Draw a callflow in a terminal, as rich's tree."""

from collections.abc import Mapping
from io import StringIO
from typing import Final

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from ... import Callflow
from .diagram import Box, diagram, fold, head_numbers

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


def tree(callflow: Callflow, names: Mapping[str, str] | None = None) -> Tree:
    """Return the callflow for ``Console.print``, with the number of boxes below those that are shown."""
    boxes = fold(diagram(callflow, names), limit=_MAX_BOXES, depth=_MAX_DEPTH)
    root = Tree(_head(callflow, boxes[0]), guide_style="dim")
    branches = [root]
    branches.extend(branches[box.parent].add(_line(box)) for box in boxes[1:])
    return root


def tree_text(callflow: Callflow, names: Mapping[str, str] | None = None) -> str:
    """Return the tree without colours, each box on a line of its own."""
    console = Console(file=StringIO(), width=10_000, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(tree(callflow, names), crop=False)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _head(callflow: Callflow, head: Box) -> Text:
    return Text.assemble((head.name, "bold"), *((f"  {number}", "cyan") for number in head_numbers(callflow)))


def _line(box: Box) -> Text:
    if box.more:
        return Text(f"+ {box.more:,} more", style="dim italic")
    parts = [(box.label, "bold cyan"), (" → ", "dim")] if box.label else []
    module, name = box.module or "end", f"{'↗ ' if box.target else ''}{box.name}" if box.name else ""
    if box.disabled:
        parts.append(("  ".join(filter(None, (module, box.name, "(disabled)"))), "dim strike"))
    else:
        parts += [(module, _STYLES[box.kind]), (f"  {name}" if name else "", "default")]
    return Text.assemble(*parts, overflow="ellipsis", no_wrap=True)
