"""``vinix accounts``: what is below an account."""

# ruff: noqa: PLC0415  # --help needs neither aiohttp nor the client

from typing import Literal

from cyclopts import App

from ._options import HERE, Connection, Flag

accounts = App(name="accounts", help="The accounts below an account.")


@accounts.command(name="list")
async def list_accounts(
    *,
    of: str | None = None,
    children: Flag = False,
    page_size: int | None = None,
    max_items: int | None = None,
    output: Literal["table", "json", "ndjson", "csv"] | None = None,
    raw_cells: Flag = False,
    connection: Connection = HERE,
) -> None:
    """List the accounts below an account, at any depth: a table on a terminal, NDJSON in a pipe.

    Parameters
    ----------
    of
        The account above; your own, which is also called ROOT, unless told.
    children
        Only those right below it, each with the number of those below itself.
    page_size
        Rows for each request; the server's default is 50.
    max_items
        How many accounts at most.
    output
        What to print.
    raw_cells
        Leave CSV cells alone that a spreadsheet would take for a formula.
    """
    from ._connect import connect
    from ._listing import write_accounts

    async with connect(connection) as server:
        listing = server.client.accounts.children if children else server.client.accounts.descendants
        pager = listing(server.account(of), page_size=page_size, max_items=max_items)
        await write_accounts(pager, output, raw=raw_cells)
