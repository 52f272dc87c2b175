"""``vinix callflows`` and ``vinix report``: what they take. What they do is in the modules that they import."""

# ruff: noqa: PLC0415  # --help needs neither aiohttp nor the client

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from ._options import HERE, NO_SELECTION, Connection, Flag, Selection, Shown, pairs

callflows = App(name="callflows", help="List, show and export callflows.")

Filters = Annotated[tuple[str, ...], Parameter(name="--filter", negative=(), show_default=False)]
Resume = Annotated[Path | None, Parameter(help="Go on with a job that was interrupted or had accounts that failed.")]


@callflows.command(name="list")
async def list_callflows(
    *accounts: str,
    selection: Selection = NO_SELECTION,
    details: Flag = False,
    filters: Filters = (),
    page_size: int | None = None,
    max_items: int | None = None,
    output: Literal["table", "json", "ndjson", "csv", "parquet"] | None = None,
    raw_cells: Flag = False,
    concurrency: int = 32,
    checkpoint: Path | None = None,
    resume: Resume = None,
    connection: Connection = HERE,
) -> int:
    """List the callflows of one account or of many: a table on a terminal, NDJSON in a pipe.

    Without an account, it is your own: VINIX_ACCOUNT_ID, or the profile's account_id.

    Parameters
    ----------
    accounts
        Ids of accounts. ROOT is your own.
    details
        Read each callflow whole, with its flow.
    filters
        A filter of the server as KEY=VALUE, such as filter_type=mainUserCallflow; may be repeated.
    page_size
        Rows for each request; the server's default is 50.
    max_items
        How many callflows at most, of each account.
    output
        What to print.
    raw_cells
        Leave CSV cells alone that a spreadsheet would take for a formula.
    concurrency
        How many accounts are read at once.
    checkpoint
        Where to keep how far it is; without it, in the directory for programs' state.
    """
    from ._job import Job
    from ._run import run_job

    job = Job(
        command="callflows list",
        accounts=accounts,
        **vars(selection),
        filters=pairs(filters),
        details=details,
        page_size=page_size,
        max_items=max_items,
        output=output,
        raw_cells=raw_cells,
    )
    return await run_job(job, connection, concurrency=concurrency, resume=resume, checkpoint=checkpoint)


@callflows.command
async def export(
    *accounts: str,
    to: Path | None = None,
    selection: Selection = NO_SELECTION,
    details: Flag = False,
    filters: Filters = (),
    page_size: int | None = None,
    output: Literal["ndjson", "csv", "parquet"] | None = None,
    raw_cells: Flag = False,
    concurrency: int = 32,
    checkpoint: Path | None = None,
    resume: Resume = None,
    force: Flag = False,
    connection: Connection = HERE,
) -> int:
    """Write callflows to a file as NDJSON, CSV or Parquet, however many there are.

    A run that was cut short, even by SIGKILL, goes on with --resume: nothing is missing then, and nothing is twice.

    Parameters
    ----------
    accounts
        Ids of accounts. ROOT is your own.
    to
        The file; its suffix names the format. Without it, stdout.
    details
        Read each callflow whole; the flow is JSON, in a column of its own in CSV and Parquet.
    filters
        A filter of the server as KEY=VALUE, such as filter_type=mainUserCallflow; may be repeated.
    page_size
        Rows for each request; the server's default is 50.
    output
        The format, where there is no suffix to name it; else NDJSON.
    raw_cells
        Leave CSV cells alone that a spreadsheet would take for a formula.
    concurrency
        How many accounts are read at once.
    checkpoint
        Where to keep how far it is; without it, beside the file.
    force
        Replace the file, and forget a run that did not finish.
    """
    from ._job import Job
    from ._run import run_job
    from ._writers import SUFFIXES

    named = None if to is None else SUFFIXES.get(to.suffix.lower())
    job = Job(
        command="callflows export",
        accounts=accounts,
        **vars(selection),
        filters=pairs(filters),
        details=details,
        page_size=page_size,
        output=output or named or (None if resume else "ndjson"),
        to=None if to is None else str(to),
        raw_cells=raw_cells,
    )
    return await run_job(job, connection, concurrency=concurrency, resume=resume, checkpoint=checkpoint, force=force)


@callflows.command
async def show(
    account: str,
    callflow: str,
    *,
    output: Shown | None = None,
    connection: Connection = HERE,
) -> None:
    """Show one callflow with its flow: a tree on a terminal, JSON in a pipe, or a picture.

    Parameters
    ----------
    account
        The account's id; ROOT is your own.
    callflow
        Its id, one of its numbers, its name, or a part of the name that no other has.
    output
        What to print.
    """
    from ._connect import connect
    from ._show import show_callflow

    async with connect(connection) as server:
        await show_callflow(server.client, server.account(account), callflow, output)


async def report(
    *accounts: str,
    to: Path,
    title: str = "Callflows",
    selection: Selection = NO_SELECTION,
    filters: Filters = (),
    concurrency: int = 32,
    force: Flag = False,
    connection: Connection = HERE,
) -> int:
    """Write one HTML page about the callflows of many accounts; it needs no network.

    Parameters
    ----------
    accounts
        Ids of accounts. ROOT is your own.
    to
        The file.
    title
        What stands above the page.
    filters
        A filter of the server as KEY=VALUE, such as filter_type=mainUserCallflow; may be repeated.
    concurrency
        How many accounts are read at once.
    force
        Replace the file.
    """
    from ._job import Job
    from ._reporting import write_report

    job = Job(command="report", accounts=accounts, **vars(selection), filters=pairs(filters), details=True, to=str(to))
    return await write_report(job, connection, title=title, concurrency=concurrency, force=force)
