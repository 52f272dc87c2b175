"""``vinix callflows show`` prints one callflow, found by its id, number or name."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter
from rich import box
from rich.table import Table
from rich.text import Text

from .. import Callflow, DecodeError, FlowNode, NotFoundError, to_json
from .connection import connect
from .console import print_data, to_terminal, write_data
from .exit_codes import CommandError, UsageError
from .flow_rows import similar
from .names import branch_label, feature_code, names_by_id, node_name, numbers, title, type_name
from .options import CONNECTION, Connection, Shown
from .rows import indented
from .table import facts_table
from .text import display

if TYPE_CHECKING:
    from .. import VinixClient

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


async def _show(client: "VinixClient", account_id: str, wanted: str, output: Shown | None) -> None:
    if output is None:
        output = "tree" if to_terminal() else "ndjson"
    callflow, names = await _find(client, account_id, wanted, with_names=output not in {"ndjson", "json"})
    if output == "ndjson":
        write_data(to_json(callflow) + b"\n")
    elif output == "json":
        write_data(indented(callflow) + b"\n")
    elif output == "table":
        about, nodes = tables(callflow, names)
        print_data(about, *(["", nodes] if callflow.flow else []))
    else:
        from .drawing.render import render, tree  # noqa: PLC0415  # only pictures need it

        if output == "tree":
            print_data(tree(callflow, names))
        else:
            write_data(render(callflow, output, names=names).encode() + b"\n", escape=str)


async def _find(
    client: "VinixClient", account_id: str, wanted: str, *, with_names: bool
) -> tuple[Callflow, Mapping[str, str]]:
    """Return the whole callflow, and the names of the account's callflows by id, if they were read."""
    if _ID.fullmatch(wanted):
        try:
            callflow = await client.callflows.get(account_id, wanted)
        except NotFoundError:
            pass  # a callflow may have a name of this form
        else:
            return callflow, await _names(client, account_id) if with_names else {}
    listing = client.callflows.list(account_id, on_bad_item="skip")
    rows = await listing.to_list()
    names = {row.id: title(row) for row in rows}
    found = match(rows, wanted)
    if not found:
        hint = similar(wanted, names.values())
        unreadable = f" and {len(listing.bad_items)} that cannot be read" if listing.bad_items else ""
        known_rows = f"the account has {len(rows)}{unreadable}"
        raise CommandError(f"no callflow of account {account_id} matches {wanted!r}; {known_rows}{hint}")
    if len(found) > 1:
        lines = "".join(f"\n  {row.id}  {title(row)}  {', '.join(numbers(row))}" for row in found)
        raise UsageError(f"{wanted!r} matches several callflows; give the id of one of them:{lines}")
    return await client.callflows.get(account_id, found[0].id), names


async def _names(client: "VinixClient", account_id: str) -> Mapping[str, str]:
    """Return the names of the account's callflows by id, or none of them if its listing cannot be read."""
    try:
        return {row.id: title(row) async for row in client.callflows.list(account_id, on_bad_item="skip")}
    except DecodeError:
        return {}  # the names in the callflow's own metadata are used


def match(rows: list[Callflow], wanted: str) -> list[Callflow]:
    """Return the callflows that match by id; if none does, by number; else by name; else by a part of the name."""
    number, name = _SEPARATORS.sub("", wanted), wanted.casefold()
    ways = (
        lambda row: row.id == wanted,
        lambda row: number in row.numbers or wanted in row.patterns or _is_feature_code(row, wanted),
        lambda row: title(row).casefold() == name,
        lambda row: name in title(row).casefold(),
    )
    return next((found for way in ways if (found := list(filter(way, rows)))), []) if wanted else []


def _is_feature_code(row: Callflow, wanted: str) -> bool:
    code = feature_code(row)
    return code != "" and code.removeprefix("*") == wanted.removeprefix("*")


def tables(callflow: Callflow, names: Mapping[str, str] | None = None) -> tuple[Table, Table]:
    """Return a table of the callflow's fields, and a table of its nodes."""
    code = callflow.featurecode
    facts = {
        "name": callflow.name,
        "id": callflow.id,
        "type": type_name(callflow),
        "feature code": " ".join(filter(None, (feature_code(callflow), code.name if code else None))),
        "numbers": ", ".join(callflow.numbers),
        "patterns": ", ".join(callflow.patterns),
        "flags": ", ".join(callflow.flags),
        "modules": ", ".join(callflow.modules),
        "owner": callflow.owner_id and str(callflow.owner_id),
    }
    known = {**(names or {}), **names_by_id(callflow)}
    nodes = Table(box=box.SIMPLE_HEAD, show_edge=False)
    nodes.add_column("Key", style="cyan", overflow="fold")
    nodes.add_column("Module", style="green", overflow="fold")
    nodes.add_column("To", overflow="fold")
    waiting: list[tuple[str, FlowNode, int]] = [("", callflow.flow, 0)] if callflow.flow else []
    while waiting:
        key, node, depth = waiting.pop()
        indent = "  " * min(depth, _MAX_INDENT)
        cells = (indent + key, display(node.module or "(empty)"), node_name(node, known))
        nodes.add_row(*map(Text, cells))
        below = [(branch_label(node, key, known), child, depth + 1) for key, child in node.children.items()]
        waiting.extend(reversed(below))
    return facts_table(facts), nodes
