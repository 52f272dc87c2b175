"""Tables for a terminal. The columns depend on the terminal's width only, so that rows can be printed as they come."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from .. import Account, Callflow
from .console import printable
from .rows import module_names


def callflow_table(callflows: Sequence[Callflow], *, header: bool) -> Table:
    """Return a table of callflows."""
    table = _table(header=header)
    table.add_column("Callflow", style="cyan", overflow="fold", ratio=3)
    table.add_column("Numbers", overflow="fold", ratio=3)
    table.add_column("Type", style="dim", overflow="fold", width=16)
    table.add_column("Modules", style="green", overflow="fold", ratio=5)
    for callflow in callflows:
        numbers, modules = ", ".join(callflow.numbers + callflow.patterns), ", ".join(module_names(callflow))
        _add_row(table, label(callflow), numbers, callflow.type or "", modules)
    return table


def label(callflow: Callflow) -> str:
    """Return the name by which people know the callflow."""
    code = callflow.featurecode
    return callflow.name or (f"*{code.number} {code.name}" if code else "") or f"({callflow.id[:8]}…)"


def heading(account: Account) -> Text:
    """Return the line above the rows of an account."""
    name = f"{printable(account.name)}  " if account.name else ""
    return Text.assemble("\n ", (name, "bold"), (printable(account.id), "dim"))


def account_table(accounts: Sequence[Account], *, header: bool = True) -> Table:
    """Return a table of accounts."""
    table = _table(header=header)
    table.add_column("Account", style="cyan", overflow="fold", ratio=4)
    table.add_column("Id", overflow="fold", width=36)
    table.add_column("Realm", style="dim", overflow="fold", ratio=4)
    for account in accounts:
        below = f" ({account.descendants_count:,} below)" if account.descendants_count else ""
        _add_row(table, (account.name or "") + below, account.id, account.realm or "")
    return table


def _table(*, header: bool) -> Table:
    return Table(box=box.SIMPLE_HEAD, show_header=header, show_edge=False, padding=(0, 1), expand=True)


def _add_row(table: Table, *texts: str) -> None:
    table.add_row(*(Text(printable(text)) for text in texts))
