"""A listing of accounts on stdout, page by page."""

from .. import Account, Pager, to_json
from ._output import note, print_data, printable, to_terminal, write_data
from ._rows import ACCOUNT_COLUMNS, account_cells, csv_lines
from ._table import account_table


async def write_accounts(pager: Pager[Account], output: str | None, *, raw: bool) -> None:
    """Print it as it comes."""
    output = output or ("table" if to_terminal() else "ndjson")
    count = 0
    if output == "csv":
        write_data(csv_lines([list(ACCOUNT_COLUMNS)], raw=True), _csv_escape)
    async for page in pager.by_page():
        if output == "table" and (page.items or not count):
            print_data(account_table(page.items, header=not count))
        elif output == "csv":
            write_data(csv_lines(map(account_cells, page.items), raw=raw), _csv_escape)
        elif output == "ndjson":
            write_data(b"".join(to_json(account) + b"\n" for account in page.items))
        elif output == "json" and page.items:
            write_data((b",\n" if count else b"[\n") + b",\n".join(map(to_json, page.items)))
        count += len(page.items)
    if output == "json":
        write_data(b"\n]\n" if count else b"[]\n")
    note(f"{count:,} account{'' if count == 1 else 's'}")


def _csv_escape(text: str) -> str:
    return printable(text, lines=True)
