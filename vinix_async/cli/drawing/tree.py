"""A callflow in a terminal: rich's tree."""

from collections.abc import Mapping
from io import StringIO
from typing import Final

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from ... import Callflow
from .diagram import Box, boxes, fold, kind_of, numbers

_DEPTH: Final = 24
_STYLES: Final = {
    "route": "magenta",
    "people": "green",
    "voice": "yellow",
    "jump": "blue",
    "end": "red",
    "other": "default",
}


def tree(callflow: Callflow, names: Mapping[str, str] | None = None, *, limit: int = 200) -> Tree:
    """The callflow for ``Console.print``: the upper ``limit`` boxes, and how many are below them."""
    found = fold(boxes(callflow, names), limit=limit, depth=_DEPTH)
    root = Tree(_head(callflow, found[0]), guide_style="dim")
    branches = [root]
    branches.extend(branches[box.parent].add(_line(box)) for box in found[1:])
    return root


def tree_text(callflow: Callflow, names: Mapping[str, str] | None = None, *, limit: int = 200) -> str:
    """The same without colours, each box on a line of its own."""
    console = Console(file=StringIO(), width=10_000, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(tree(callflow, names, limit=limit), crop=False)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _head(callflow: Callflow, head: Box) -> Text:
    dialled = [number for number in numbers(callflow) if number != head.name]
    return Text.assemble((head.name, "bold"), *((f"  {number}", "cyan") for number in dialled))


def _line(box: Box) -> Text:
    if box.more:
        return Text(f"+ {box.more:,} more", style="dim italic")
    parts = [(box.label, "bold cyan"), (" → ", "dim")] if box.label else []
    if box.disabled:
        return Text.assemble(*parts, (f"{box.module or 'end'}  {box.name}".rstrip() + "  (disabled)", "dim strike"))
    parts.append((box.module or "end", _STYLES[kind_of(box.module)]))
    if box.name:
        parts.append((f"  {'↗ ' if box.target else ''}{box.name}", "default"))
    return Text.assemble(*parts, overflow="ellipsis", no_wrap=True)
