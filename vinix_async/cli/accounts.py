"""``vinix accounts`` lists the accounts below an account."""

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from .. import Account, __version__, to_json
from .connection import connect
from .console import PipeConsole, count, note, print_data, to_terminal, write_data
from .exit_codes import ExitCode, UsageError, one_line
from .options import CONNECTION, Bom, Connection, Flag, MaxItems, PageSize, RawCells
from .rows import ACCOUNT_COLUMNS, account_cells, csv_header, csv_lines
from .table import account_table
from .text import printable, printable_lines

if TYPE_CHECKING:
    from .. import Pager

accounts: App = App(name="accounts", version=__version__, help="List the accounts below an account.")


@accounts.command(name="list")
async def list_accounts(
    *,
    of: Annotated[
        str | None, Parameter(help="The account whose descendants are listed (default: ROOT, your own account).")
    ] = None,
    children: Annotated[
        Flag, Parameter(help="List only the direct children, and show how many descendants each child has.")
    ] = False,
    page_size: PageSize = None,
    max_items: MaxItems = None,
    output: Annotated[Literal["table", "json", "ndjson", "csv"] | None, Parameter(help="The format.")] = None,
    raw_cells: RawCells = False,
    bom: Bom = False,
    connection: Connection = CONNECTION,
) -> int:
    """List the accounts below an account.

    By default, the output is a table on a terminal, and NDJSON in a pipe or a file.
    """
    output = output or ("table" if to_terminal() else "ndjson")
    if bom and output != "csv":
        raise UsageError("--bom is for CSV only")
    async with connect(connection) as server:
        listing = server.client.accounts.children if children else server.client.accounts.descendants
        pager = listing(server.account_id(of), page_size=page_size, max_items=max_items, on_bad_item="skip")
        return await write_accounts(pager, output, raw=raw_cells, bom=bom)


async def write_accounts(pager: "Pager[Account]", output: str, *, raw: bool, bom: bool) -> int:
    """Print each page of a listing as soon as it is read, and return the exit code."""
    written = 0
    if output == "csv":
        write_data(csv_header(ACCOUNT_COLUMNS, bom=bom), printable_lines)
    async for page in pager.by_page():
        if output == "table" and (page.items or not written):
            print_data(account_table(page.items, PipeConsole().width, header=not written))
        elif output == "csv":
            write_data(csv_lines(map(account_cells, page.items), raw=raw), printable_lines)
        elif output == "ndjson":
            write_data(b"".join(to_json(account) + b"\n" for account in page.items))
        elif output == "json" and page.items:
            write_data((b",\n" if written else b"[\n") + b",\n".join(map(to_json, page.items)))
        written += len(page.items)
    if output == "json":
        write_data(b"\n]\n" if written else b"[]\n")
    for item in pager.bad_items:
        note(f"unreadable: {printable(item.id or f'row {item.index}')}: {one_line(item.error)}")
    note(count(written, "account"))
    return ExitCode.SOME_FAILED if pager.bad_items else ExitCode.OK
