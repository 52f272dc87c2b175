"""One callflow, found by what a person knows of it."""

import difflib
import re
from collections.abc import Mapping
from typing import Final

import msgspec
from rich import box
from rich.table import Table
from rich.text import Text

from .. import Callflow, FlowNode, NotFoundError, VinixClient, to_json
from ._errors import CommandError, UsageError
from ._options import Shown
from ._output import print_data, printable, to_terminal, write_data
from ._rows import module_names
from ._table import label

_ID: Final = re.compile(r"[0-9a-f]{32}")
_SEPARATORS: Final = re.compile(r"[ ().\-/]")


async def show_callflow(client: VinixClient, account_id: str, wanted: str, output: Shown | None) -> None:
    """Find and print it."""
    if output is None:
        output = "tree" if to_terminal() else "ndjson"
    callflow, names = await find(client, account_id, wanted, all_names=output in {"tree", "mermaid", "svg", "html"})
    if output == "ndjson":
        write_data(to_json(callflow) + b"\n")
    elif output == "json":
        write_data(indented(callflow) + b"\n")
    elif output == "table":
        about, nodes = tables(callflow)
        print_data(about, *(["", nodes] if callflow.flow else []))
    else:
        from .drawing.render import render, tree  # noqa: PLC0415  # tables and JSON do without

        if output == "tree":
            print_data(tree(callflow))
        else:
            write_data(render(callflow, output, names=names).encode() + b"\n", escape=str)


async def find(
    client: VinixClient, account_id: str, wanted: str, *, all_names: bool
) -> tuple[Callflow, Mapping[str, str]]:
    """The whole callflow, and by id what the account's callflows are called, as far as it had to be read."""
    if _ID.fullmatch(wanted) and not all_names:
        try:
            return await client.callflows.get(account_id, wanted), {}
        except NotFoundError:
            pass  # such a name is unlikely, but it is one
    rows = await client.callflows.list(account_id).to_list()
    names = {row.id: label(row) for row in rows}
    found = match(rows, wanted)
    if not found:
        known = {name.casefold(): name for name in names.values()}
        near = [known[each] for each in difflib.get_close_matches(wanted.casefold(), known)]
        hint = f"; near to it: {', '.join(map(repr, near))}" if near else ""
        raise CommandError(printable(f"no callflow of {account_id} is {wanted!r}; it has {len(rows)}{hint}"))
    if len(found) > 1:
        lines = "".join(printable(f"\n  {row.id}  {label(row)}  {', '.join(row.numbers)}", lines=True) for row in found)
        raise UsageError(f"{printable(repr(wanted))} is more than one; name it by its id:{lines}")
    return await client.callflows.get(account_id, found[0].id), names


def match(rows: list[Callflow], wanted: str) -> list[Callflow]:
    """The rows that are meant: by id, else by number, else by name, else by a part of the name."""
    number, name = _SEPARATORS.sub("", wanted), wanted.casefold()
    ways = (
        lambda row: row.id == wanted,
        lambda row: number in row.numbers or wanted in row.patterns or _dialled(row) == wanted,
        lambda row: label(row).casefold() == name,
        lambda row: name in label(row).casefold(),
    )
    return next((found for way in ways if (found := list(filter(way, rows)))), []) if wanted else []


def _dialled(row: Callflow) -> str | None:
    return f"*{row.featurecode.number}" if row.featurecode else None


def tables(callflow: Callflow) -> tuple[Table, Table]:
    """What it is, and its nodes with the key that leads to each."""
    about = Table(box=None, show_header=False, pad_edge=False)
    about.add_column(style="dim")
    about.add_column(overflow="fold")
    values = {
        "name": callflow.name,
        "id": callflow.id,
        "type": callflow.type,
        "numbers": ", ".join(callflow.numbers),
        "patterns": ", ".join(callflow.patterns),
        "feature code": label(callflow) if callflow.featurecode else None,
        "flags": ", ".join(callflow.flags),
        "modules": ", ".join(module_names(callflow)),
        "owner": callflow.owner_id,
    }
    for name, value in values.items():
        if value:
            about.add_row(name, Text(printable(value)))
    nodes = Table(box=box.SIMPLE_HEAD, show_edge=False)
    nodes.add_column("Key", style="cyan", overflow="fold")
    nodes.add_column("Module", style="green", overflow="fold")
    nodes.add_column("To", overflow="fold")
    waiting: list[tuple[str, FlowNode, int]] = [("", callflow.flow, 0)] if callflow.flow else []
    while waiting:
        key, node, depth = waiting.pop()
        indent = "  " * min(depth, 20)
        target = node.data.get("id")
        cells = (indent + key, node.module or "(empty)", _target(callflow, target) if isinstance(target, str) else "")
        nodes.add_row(*(Text(printable(cell)) for cell in cells))
        waiting.extend((key, child, depth + 1) for key, child in reversed(list(node.children.items())))
    return about, nodes


def _target(callflow: Callflow, target: str) -> str:
    known = callflow.metadata.get(target)
    name = known.get("name") if isinstance(known, Mapping) else None
    return name if isinstance(name, str) else target


def indented(callflow: Callflow) -> bytes:
    """The document as JSON for people."""
    try:
        return msgspec.json.format(to_json(callflow), indent=2)
    except RecursionError:  # so deep that nobody reads it
        return to_json(callflow)
