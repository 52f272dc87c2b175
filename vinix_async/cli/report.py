"""``vinix report`` writes one HTML page about many accounts."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .. import Account, AccountResult, SweepStats
from ._sweep import Stats
from .connection import Server, connect
from .console import note, printable
from .drawing.report import ReportWriter
from .exit_codes import ExitCode, one_line
from .files import default_mode, replacing
from .job import Job
from .options import (
    CONNECTION,
    QUERY,
    RUNNING,
    SELECTION,
    Accounts,
    Connection,
    Force,
    Query,
    Running,
    Selection,
    Title,
)
from .progress import Tally, progress_line
from .run import complete, refuse_to_overwrite
from .selection import selected_accounts


async def report(
    *accounts: Accounts,
    to: Annotated[Path, Parameter(help="The file.")],
    title: Title = "Callflows",
    selection: Selection = SELECTION,
    query: Query = QUERY,
    force: Force = False,
    running: Running = RUNNING,
    connection: Connection = CONNECTION,
) -> int:
    """Write one HTML page about the callflows of many accounts. The page needs no network."""
    job = Job(
        command="report",
        accounts=accounts,
        **vars(selection),
        filters=query.server_filters(),
        details=True,
        to=str(to),
    )
    tally, known = Tally(client=Stats(), sweep=Stats()), dict[str, Account]()
    async with connect(connection) as server:
        job = complete(job, server)
        path = Path(job.to or "")
        if not force:
            refuse_to_overwrite(job, None)
        sweep = server.client.callflows.list_many(
            _counted(server, job, tally, known),
            max_concurrency=running.concurrency,
            details=True,
            filters=job.filters,
        )
        with (
            replacing(path, mode=default_mode()) as new,
            new.open("w", encoding="utf-8") as stream,
            ReportWriter(stream, title=title) as page,
        ):
            async with progress_line(tally), sweep:
                async for result in sweep:
                    page.add(known.pop(result.account_id, None), result)
                    _count(tally, result, sweep.stats)
    note(tally.summary())
    if tally.sweep.accounts_failed:
        return ExitCode.SOME_FAILED if tally.sweep.accounts_done else ExitCode.ERROR
    return ExitCode.OK


async def _counted(server: Server, job: Job, tally: Tally, known: dict[str, Account]) -> AsyncIterator[Account]:
    async for account in selected_accounts(server, job):
        known[account.id] = account
        tally.found(account)
        yield account
    tally.found(None)


def _count(tally: Tally, result: AccountResult, sent: SweepStats) -> None:
    tally.sweep.callflows += len(result.callflows)
    tally.client.requests, tally.client.retries = sent.requests, sent.retries
    if result.error is None:
        tally.sweep.accounts_done += 1
        return
    tally.sweep.accounts_failed += 1
    note(f"failed: {printable(result.account_id)}: {one_line(result.error)}")
