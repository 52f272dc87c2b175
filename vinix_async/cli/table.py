"""Build tables and lines for a terminal.

The first rows and the width of the terminal determine the columns of a table. Therefore rows can be printed as they
arrive.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from .. import Account, Callflow
from .names import display, numbers, title, type_name

_REALM_FROM: Final = 100
"""The smallest width of a terminal at which a table of accounts has a column for the realm."""

_ID_COLUMN_FROM: Final = 60
"""The smallest width of a terminal at which a table of accounts has a column for the id."""

_MAX_ALIGNED: Final = 40
"""The width of the widest cell that ``aligned`` considers when it aligns a column."""

_MAX_NUMBERS: Final = 6  # how many numbers, patterns and feature codes of a callflow one line shows

_CALLFLOW_COLUMNS: Final[dict[str, tuple[int, dict[str, Any], Callable[[Callflow], str]]]] = {
    "Callflow": (0, {"style": "cyan", "ratio": 3}, title),
    "Numbers": (0, {"ratio": 3}, lambda callflow: ", ".join(numbers(callflow))),
    "Type": (120, {"style": "dim", "width": 16}, type_name),
    "Modules": (60, {"style": "green", "ratio": 5}, lambda callflow: ", ".join(callflow.modules)),
}
"""For each column: the smallest terminal width at which it is shown, its style, and the function for its text."""


def callflow_columns(width: int, callflows: Sequence[Callflow]) -> list[str]:
    """Return the columns of a table whose first rows are ``callflows``. Type is left out if none of them has a type."""
    untyped = not any(map(type_name, callflows))
    return [
        name for name, (least, *_) in _CALLFLOW_COLUMNS.items() if width >= least and not (name == "Type" and untyped)
    ]


def callflow_table(callflows: Sequence[Callflow], columns: Sequence[str], *, header: bool) -> Table:
    """Return a table of callflows. Texts that are too long for their column are cut and end with an ellipsis."""
    table = _table(header=header)
    for name in columns:
        table.add_column(name, overflow="ellipsis", **_CALLFLOW_COLUMNS[name][1])
    for callflow in callflows:
        _add_row(table, *(_CALLFLOW_COLUMNS[name][2](callflow) for name in columns))
    return table


def facts_table(facts: Mapping[str, str | None]) -> Table:
    """Return a table with a name and a value in each row. Empty values are left out."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value:
            table.add_row(name, Text(display(value)))
    return table


def heading(account: Account) -> Text:
    """Return the heading of an account: its name and id."""
    name = f"{display(account.name)}  " if account.name else ""
    return Text.assemble("\n ", (name, "bold"), (display(account.id), "dim"))


def account_table(accounts: Sequence[Account], width: int, *, header: bool) -> Table:
    """Return a table of accounts. Ids are wrapped, not cut."""
    table = _table(header=header)
    table.add_column("Account", style="cyan", overflow="ellipsis", ratio=4)
    if width >= _ID_COLUMN_FROM:
        table.add_column("Id", overflow="fold", width=34)
    if width >= _REALM_FROM:
        table.add_column("Realm", style="dim", overflow="ellipsis", ratio=4)
    for account in accounts:
        below = f" ({account.descendants_count:,} below)" if account.descendants_count else ""
        name = (account.name or "") + below
        if width < _ID_COLUMN_FROM:
            table.add_row(Group(Text(display(name)), Text(display(account.id), "default", overflow="fold")))
        else:
            _add_row(table, *(name, account.id, account.realm or "")[: len(table.columns)])
    return table


def _table(*, header: bool) -> Table:
    return Table(box=box.SIMPLE_HEAD, show_header=header, show_edge=False, padding=(0, 1), expand=True)


def _add_row(table: Table, *texts: str) -> None:
    table.add_row(*(Text(display(text)) for text in texts))


# --- lines of trace, uses, check, diff and mirror ---


def head(callflow: Callflow, *, now: bool = False) -> Text:
    """Return a callflow's title and numbers. If ``now`` is true, the word ``now`` precedes the numbers."""
    name = title(callflow)
    dialled = few([number for number in numbers(callflow) if number != name])
    before = "  now " if now else "  "
    return Text.assemble((name, "bold"), (f"{before}{dialled}" if dialled else "", "cyan"))


def few(dialled: Sequence[str]) -> str:
    """Return the first numbers, and how many more there are."""
    more = len(dialled) - _MAX_NUMBERS
    return ", ".join(dialled[:_MAX_NUMBERS]) + (f" and {more:,} more" if more > 0 else "")


def aligned(rows: Sequence[Sequence[Text]]) -> Iterator[Text]:
    """Yield each row as a line. Cells of a column are aligned.

    A cell wider than ``_MAX_ALIGNED`` does not widen its column. It moves the rest of its own line to the right.
    """
    widths = [
        max((cell.cell_len for cell in column if cell.cell_len <= _MAX_ALIGNED), default=0)
        for column in zip(*rows, strict=True)
    ]
    for *cells, last in rows:
        line = Text("  ")
        for cell, width in zip(cells, widths, strict=False):
            line.append_text(cell).append(" " * max(width - cell.cell_len, 0) + "  ")
        yield line.append_text(last)
