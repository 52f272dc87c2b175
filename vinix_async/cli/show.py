"""``vinix callflows show`` prints one callflow, found by its id, number or name."""

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from rich import box
from rich.table import Table
from rich.text import Text

from .. import Callflow, FlowNode, NotFoundError, VinixClient, to_json
from .connection import connect
from .console import print_data, printable, to_terminal, write_data
from .exit_codes import CommandError, UsageError
from .options import CONNECTION, Connection, Shown
from .rows import module_names
from .table import label

_ID: Final = re.compile(r"[0-9a-f]{32}")
_SEPARATORS: Final = re.compile(r"[ ().\-/]")
_MAX_INDENT: Final = 20
"""The deepest level of a flow that the table indents."""


async def show(
    account: Annotated[str, Parameter(help="The account id. ROOT is your own account.")],
    callflow: Annotated[str, Parameter(help="The callflow's id, a number, its name, or a unique part of its name.")],
    /,
    *,
    output: Annotated[Shown | None, Parameter(help="The format.")] = None,
    connection: Connection = CONNECTION,
) -> None:
    """Show one callflow with its flow: a tree on a terminal, JSON in a pipe, or a picture."""
    async with connect(connection) as server:
        await _show(server.client, server.account_id(account), callflow, output)


async def _show(client: VinixClient, account_id: str, wanted: str, output: Shown | None) -> None:
    if output is None:
        output = "tree" if to_terminal() else "ndjson"
    callflow, names = await _find(client, account_id, wanted, all_names=output in {"tree", "mermaid", "svg", "html"})
    if output == "ndjson":
        write_data(to_json(callflow) + b"\n")
    elif output == "json":
        write_data(indented(callflow) + b"\n")
    elif output == "table":
        about, nodes = tables(callflow)
        print_data(about, *(["", nodes] if callflow.flow else []))
    else:
        from .drawing.render import render, tree  # noqa: PLC0415  # only pictures need it

        if output == "tree":
            print_data(tree(callflow))
        else:
            write_data(render(callflow, output, names=names).encode() + b"\n", escape=str)


async def _find(
    client: VinixClient, account_id: str, wanted: str, *, all_names: bool
) -> tuple[Callflow, Mapping[str, str]]:
    """Return the whole callflow, and the names of the account's callflows by id if they were read."""
    if _ID.fullmatch(wanted) and not all_names:
        try:
            return await client.callflows.get(account_id, wanted), {}
        except NotFoundError:
            pass  # a callflow may have a name of this form
    rows = await client.callflows.list(account_id).to_list()
    names = {row.id: label(row) for row in rows}
    found = match(rows, wanted)
    if not found:
        known = {name.casefold(): name for name in names.values()}
        near = [known[each] for each in difflib.get_close_matches(wanted.casefold(), known)]
        hint = f"; similar names: {', '.join(map(repr, near))}" if near else ""
        raise CommandError(f"no callflow of account {account_id} matches {wanted!r}; the account has {len(rows)}{hint}")
    if len(found) > 1:
        lines = "".join(f"\n  {row.id}  {label(row)}  {', '.join(row.numbers)}" for row in found)
        raise UsageError(f"{wanted!r} matches several callflows; give the id of one of them:{lines}")
    return await client.callflows.get(account_id, found[0].id), names


def match(rows: list[Callflow], wanted: str) -> list[Callflow]:
    """Return the callflows that match by id; if none does, by number; else by name; else by a part of the name."""
    number, name = _SEPARATORS.sub("", wanted), wanted.casefold()
    ways = (
        lambda row: row.id == wanted,
        lambda row: number in row.numbers or wanted in row.patterns or _feature_code(row) == wanted,
        lambda row: label(row).casefold() == name,
        lambda row: name in label(row).casefold(),
    )
    return next((found for way in ways if (found := list(filter(way, rows)))), []) if wanted else []


def _feature_code(row: Callflow) -> str | None:
    return f"*{row.featurecode.number}" if row.featurecode else None


def tables(callflow: Callflow) -> tuple[Table, Table]:
    """Return a table of the callflow's fields, and a table of its nodes."""
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
        indent = "  " * min(depth, _MAX_INDENT)
        cells = (indent + key, node.module or "(empty)", _target(callflow, node.data.get("id")))
        nodes.add_row(*(Text(printable(cell)) for cell in cells))
        waiting.extend((key, child, depth + 1) for key, child in reversed(list(node.children.items())))
    return about, nodes


def _target(callflow: Callflow, target: object) -> str:
    if not isinstance(target, str):
        return ""
    known = callflow.metadata.get(target)
    name = known.get("name") if isinstance(known, Mapping) else None
    return name if isinstance(name, str) else target


def indented(callflow: Callflow) -> bytes:
    """Return the document as indented JSON, or on one line if it is nested too deeply."""
    try:
        return msgspec.json.format(to_json(callflow), indent=2)
    except RecursionError:
        return to_json(callflow)
