"""Tables for people: rows appear as they come, in columns that depend on the terminal's width only."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from .. import Account, Callflow
from .names import modules, numbers, title, type_name
from .text import display


def callflow_table(title: str | None = None, *, header: bool = True) -> Table:
    """An empty table of callflows."""
    table = _table(title, header=header)
    table.add_column("Callflow", style="cyan", overflow="fold", ratio=3)
    table.add_column("Numbers", overflow="fold", ratio=3)
    table.add_column("Type", style="dim", overflow="fold", width=16)
    table.add_column("Modules", style="green", overflow="fold", ratio=5)
    return table


def add_callflow(table: Table, callflow: Callflow) -> None:
    """One row."""
    _add(table, title(callflow), ", ".join(numbers(callflow)), type_name(callflow), ", ".join(modules(callflow)))


def heading(account: Account) -> Text:
    """The line above an account's rows."""
    name = f"{display(account.name)}  " if account.name else ""
    return Text.assemble("\n ", (name, "bold"), (display(account.id), "dim"))


def account_table(accounts: Sequence[Account], *, header: bool = True) -> Table:
    """A table of accounts; those that are deeper in the tree are indented."""
    table = _table(None, header=header)
    table.add_column("Account", style="cyan", overflow="fold", ratio=4)
    table.add_column("Id", overflow="fold", width=36)
    table.add_column("Realm", style="dim", overflow="fold", ratio=4)
    for account in accounts:
        count = f" ({account.descendants_count:,} below)" if account.descendants_count else ""
        _add(table, (account.name or "") + count, account.id, account.realm or "")
    return table


def _table(title: str | None, *, header: bool) -> Table:
    return Table(
        title=None if title is None else Text(display(title)),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_header=header,
        show_edge=False,
        pad_edge=True,
        padding=(0, 1),
        expand=True,
    )


def _add(table: Table, *texts: str) -> None:
    table.add_row(*(Text(display(text)) for text in texts))
