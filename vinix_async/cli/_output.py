"""Data on stdout, everything else on stderr. What the server sent is never taken for markup or for control codes."""

import json
import sys
from collections.abc import AsyncIterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from .. import Callflow

_errors = Console(stderr=True)


def note(text: str) -> None:
    """One line for the person, not for the pipe."""
    _errors.print(Text(text), soft_wrap=True)


def printable(text: str, *, lines: bool = False) -> str:
    """``text`` with its control characters shown as escapes."""
    return "".join(
        letter if letter.isprintable() or (lines and letter == "\n") else letter.encode("unicode_escape").decode()
        for letter in text
    )


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Progress]:
    """A bar on a terminal's stderr, and nothing anywhere else."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_errors, disable=not sys.stderr.isatty(), transient=True) as bar:
        bar.add_task(what, total=total)
        yield bar


def callflow_table(title: str | None = None) -> Table:
    """An empty table of callflows."""
    table = Table(title=None if title is None else Text(printable(title)), title_justify="left", title_style="bold")
    table.add_column("Callflow", style="cyan", overflow="fold", ratio=3)
    table.add_column("Numbers", overflow="fold", ratio=4)
    table.add_column("Type", style="dim", ratio=2)
    table.add_column("Modules", style="green", overflow="fold", ratio=4)
    return table


def add_callflow(table: Table, callflow: "Callflow") -> None:
    """One row."""
    code = callflow.featurecode
    name = callflow.name or (f"*{code.number} {code.name}" if code else "") or f"({callflow.id[:8]}…)"
    modules = callflow.modules
    if callflow.flow and not modules:  # a whole document names them in its nodes only
        modules = tuple(dict.fromkeys(node.module or "" for node in callflow.flow.walk()))
    cells = (name, ", ".join(callflow.numbers + callflow.patterns), callflow.type or "", " → ".join(modules))
    table.add_row(*(Text(printable(cell)) for cell in cells))


async def write_callflows(found: "AsyncIterable[Callflow]", output: str) -> None:
    """Print a listing; NDJSON and JSON as they come, a table when it is whole."""
    from .. import to_json  # noqa: PLC0415  # --help does without

    table = callflow_table()
    count = 0
    with progress("callflows") as bar:
        async for callflow in found:
            bar.advance(bar.task_ids[0])
            if output == "table":
                add_callflow(table, callflow)
            else:
                text = to_json(callflow).decode()
                before = "" if output == "ndjson" else "[\n" if count == 0 else ",\n"
                sys.stdout.write(before + text + ("\n" if output == "ndjson" else ""))
            count += 1
    if output == "table":
        Console().print(table)
    elif output == "json":
        sys.stdout.write("\n]\n" if count else json.dumps([]) + "\n")
    sys.stdout.flush()
    note(f"{count} callflows")
