"""``vinix callflows show`` prints one callflow, which it finds by id, number or name."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Final

from cyclopts import Parameter
from rich import box
from rich.table import Table
from rich.text import Text

from .. import Callflow, DecodeError, NotFoundError, to_json
from ..flows import Name, names_of
from .connection import Server, connect
from .console import count, print_data, to_terminal, write_data
from .drawing.diagram import diagram
from .drawing.mermaid import mermaid
from .drawing.page import callflow_page
from .drawing.svg import check_renderer, png, svg
from .drawing.tree import tree
from .exit_codes import CommandError, UsageError
from .files import is_file
from .names import feature_code, title, titles, type_name
from .options import CONNECTION, Connection, OneAccount, Shown, Source
from .rows import write_json
from .sources import AccountFlows, Sources, check_order
from .table import facts_table
from .words import only_match, similar

_ID: Final = re.compile(r"[0-9a-f]{32}")
_PIPE_WIDTH: Final = 10_000  # columns for a tree in a pipe, where no line should be cut
_MAX_INDENT: Final = 20  # levels; in a table, deeper nodes are not indented further


async def show(
    source: Source,
    callflow: Annotated[
        str, Parameter(help="The callflow's id, one of its numbers, its name, or a unique part of its name.")
    ],
    /,
    *,
    account: OneAccount = None,
    output: Annotated[
        Shown | None, Parameter(help="The format (default: tree on a terminal, ndjson in a pipe).")
    ] = None,
    connection: Connection = CONNECTION,
) -> None:
    """Show one callflow and its flow, as a tree, a table, JSON, a picture or a page."""
    check_order("show", source, callflow)
    if output == "png":
        if to_terminal():
            raise UsageError("PNG cannot be shown on a terminal: redirect stdout")
        check_renderer()
    if output is None:
        output = "tree" if to_terminal() else "ndjson"
    if account is not None or is_file(source):
        read: list[AccountFlows] = []
        await Sources(words=[source], connection=connection, account=account).read(read.append)
        flows = read[0]
        _show(_one(flows.callflows, callflow, flows.account.id), {**titles(flows.callflows), **flows.names}, output)
        return
    async with connect(connection) as server:
        found, shown = await _find(server, source, callflow, with_titles=output not in {"ndjson", "json"})
        _show(found, shown | names_of([found]), output)


def _show(callflow: Callflow, names: Mapping[str, Name], output: Shown) -> None:
    if output == "ndjson":
        write_data(to_json(callflow) + b"\n")
    elif output == "json":
        write_json(callflow)
    elif output == "png":
        write_data(png(callflow, names))
    elif output == "table":
        about, nodes = tables(callflow, names)
        print_data(about, *(["", nodes] if nodes.row_count else []))
    elif output == "tree":
        print_data(tree(callflow, names), width=None if to_terminal() else _PIPE_WIDTH)
    else:
        draw = {"mermaid": mermaid, "svg": svg, "html": callflow_page}[output]
        write_data(draw(callflow, names).encode() + b"\n", escape=str)


async def _find(server: Server, account: str, wanted: str, *, with_titles: bool) -> tuple[Callflow, dict[str, Name]]:
    """Return the whole callflow, and a dict of the names of the account's callflows by id.

    If the callflow is found by its id, the listing is read only if ``with_titles`` is true. The dict is empty if the
    listing was not read or cannot be read.
    """
    callflows, account_id = server.client.callflows, server.account_id(account)
    found = None
    if _ID.fullmatch(wanted):
        with suppress(NotFoundError):  # ``wanted`` may be the name of a callflow
            found = await callflows.get(account_id, wanted)
    if found and not with_titles:
        return found, {}
    listing = callflows.list(account_id, on_bad_item="skip")
    rows: list[Callflow] = []
    try:
        rows = await listing.to_list()
    except DecodeError:
        if not found:
            raise
    if not found:
        row = _one(rows, wanted, account_id, unreadable=len(listing.bad_items))
        found = await callflows.get(account_id, row.id)
    return found, titles(rows)


def _one(rows: Sequence[Callflow], wanted: str, account_id: str, *, unreadable: int = 0) -> Callflow:
    """Return the callflow that matches. Raises an error if none or several match."""
    if found := only_match(rows, wanted):
        return found
    hint = similar(wanted, map(title, rows), (number for row in rows for number in row.numbers))
    more = f" and {unreadable:,} that cannot be read" if unreadable else ""
    account = f"account {account_id}" if account_id else "the account"
    raise CommandError(
        f"no callflow of {account} matches {wanted!r}; it has {count(len(rows), 'callflow')}{more}{hint}"
    )


def tables(callflow: Callflow, names: Mapping[str, Name] | None = None) -> tuple[Table, Table]:
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
    nodes = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for heading, style in (("Branch", "cyan"), ("Module", "green"), ("To", None), ("In the API", "dim")):
        nodes.add_column(heading, style=style, overflow="fold")
    depths: list[int] = []
    for each in diagram(callflow, names):
        depths.append(0 if each.parent < 0 else depths[each.parent] + 1)
        indent = "  " * min(depths[-1] - 1, _MAX_INDENT)
        if each.module or each.parent >= 0:
            nodes.add_row(*map(Text, (indent + each.branch, each.label, ", ".join(each.lines), each.module)))
        elif each.step:
            nodes.add_row(*map(Text, ("", each.label, ", ".join(each.lines), each.step)))
    return facts_table(facts), nodes
