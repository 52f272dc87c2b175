"""One callflow, found by what a person knows of it."""

import difflib
import re
from collections.abc import Mapping
from typing import Final

import msgspec
from rich import box
from rich.table import Table
from rich.text import Text

from .. import Callflow, DecodeError, FlowNode, NotFoundError, VinixClient, to_json
from ._errors import CommandError, UsageError
from ._options import Shown
from ._output import print_data, printable, to_terminal, write_data
from .names import branch_label, feature_code, modules, names_by_id, node_name, numbers, title, type_name
from .text import display

_ID: Final = re.compile(r"[0-9a-f]{32}")
_SEPARATORS: Final = re.compile(r"[ ().\-/]")


async def show_callflow(client: VinixClient, account_id: str, wanted: str, output: Shown | None) -> None:
    """Find and print it."""
    if output is None:
        output = "tree" if to_terminal() else "ndjson"
    callflow, names = await find(client, account_id, wanted, all_names=output not in {"ndjson", "json"})
    if output == "ndjson":
        write_data(to_json(callflow) + b"\n")
    elif output == "json":
        write_data(indented(callflow) + b"\n")
    elif output == "table":
        about, nodes = tables(callflow, names)
        print_data(about, *(["", nodes] if callflow.flow else []))
    else:
        from .drawing.render import render, tree  # noqa: PLC0415  # tables and JSON do without

        if output == "tree":
            print_data(tree(callflow, names))
        else:
            write_data(render(callflow, output, names=names).encode() + b"\n", escape=str)


async def find(
    client: VinixClient, account_id: str, wanted: str, *, all_names: bool
) -> tuple[Callflow, Mapping[str, str]]:
    """The whole callflow, and by id what the account's callflows are called, as far as it had to be read."""
    if _ID.fullmatch(wanted):
        try:
            callflow = await client.callflows.get(account_id, wanted)
        except NotFoundError:
            pass  # a callflow may have such a name, however unlikely
        else:
            return callflow, await _names(client, account_id) if all_names else {}
    rows = await client.callflows.list(account_id).to_list()
    names = {row.id: title(row) for row in rows}
    found = match(rows, wanted)
    if not found:
        known = {name.casefold(): name for name in names.values()}
        near = [known[each] for each in difflib.get_close_matches(wanted.casefold(), known)]
        hint = f"; near to it: {', '.join(map(repr, near))}" if near else ""
        raise CommandError(printable(f"no callflow of {account_id} is {wanted!r}; it has {len(rows)}{hint}"))
    if len(found) > 1:
        lines = "".join(f"\n  {printable(row.id)}  {title(row)}  {', '.join(numbers(row))}" for row in found)
        raise UsageError(f"{printable(repr(wanted))} is more than one; name it by its id:{lines}")
    return await client.callflows.get(account_id, found[0].id), names


async def _names(client: VinixClient, account_id: str) -> Mapping[str, str]:
    """Return what the account's callflows are called, by id; nothing if its listing cannot be read."""
    try:
        return {row.id: title(row) async for row in client.callflows.list(account_id)}
    except DecodeError:
        return {}  # the picture has the names of the callflow's own metadata


def match(rows: list[Callflow], wanted: str) -> list[Callflow]:
    """The rows that are meant: by id, else by number, else by name, else by a part of the name."""
    number, name = _SEPARATORS.sub("", wanted), wanted.casefold()
    ways = (
        lambda row: row.id == wanted,
        lambda row: number in row.numbers or wanted in row.patterns or _is_code(row, wanted),
        lambda row: title(row).casefold() == name,
        lambda row: name in title(row).casefold(),
    )
    return next((found for way in ways if (found := list(filter(way, rows)))), []) if wanted else []


def _is_code(row: Callflow, wanted: str) -> bool:
    code = feature_code(row)
    return code != "" and code.removeprefix("*") == wanted.removeprefix("*")


def tables(callflow: Callflow, known: Mapping[str, str] | None = None) -> tuple[Table, Table]:
    """What it is, and its nodes with the key that leads to each."""
    about = Table(box=None, show_header=False, pad_edge=False)
    about.add_column(style="dim")
    about.add_column(overflow="fold")
    code = callflow.featurecode
    values = {
        "name": callflow.name,
        "id": callflow.id,
        "type": type_name(callflow),
        "feature code": " ".join(filter(None, (feature_code(callflow), code.name if code else None))),
        "numbers": ", ".join(callflow.numbers),
        "patterns": ", ".join(callflow.patterns),
        "flags": ", ".join(callflow.flags),
        "modules": ", ".join(modules(callflow)),
        "owner": callflow.owner_id,
    }
    for name, value in values.items():
        if value:
            about.add_row(name, Text(display(value)))
    names = {**(known or {}), **names_by_id(callflow)}
    nodes = Table(box=box.SIMPLE_HEAD, show_edge=False)
    nodes.add_column("Key", style="cyan", overflow="fold")
    nodes.add_column("Module", style="green", overflow="fold")
    nodes.add_column("To", overflow="fold")
    waiting: list[tuple[str, FlowNode, int]] = [("", callflow.flow, 0)] if callflow.flow else []
    while waiting:
        key, node, depth = waiting.pop()
        indent = "  " * min(depth, 20)
        cells = (indent + key, display(node.module or "(empty)"), node_name(node, names))
        nodes.add_row(*map(Text, cells))
        branches = ((branch_label(node, key, names), child, depth + 1) for key, child in node.children.items())
        waiting.extend(reversed(list(branches)))
    return about, nodes


def indented(callflow: Callflow) -> bytes:
    """The document as JSON for people."""
    try:
        return msgspec.json.format(to_json(callflow), indent=2)
    except RecursionError:  # so deep that nobody reads it
        return to_json(callflow)
