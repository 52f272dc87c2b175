"""``vinix report``: the accounts of a job into one HTML page."""

from collections.abc import AsyncIterator
from pathlib import Path

from .. import Account, AccountResult, SweepStats
from ._connect import Server, connect
from ._errors import ExitCode, one_line
from ._files import plain_mode, replacing
from ._job import Job
from ._options import Connection
from ._output import note, printable
from ._run import complete, refuse_to_overwrite
from ._status import Tally, status_line
from ._walk import selected
from .drawing.report import ReportWriter


async def write_report(job: Job, connection: Connection, *, title: str, concurrency: int, force: bool) -> int:
    """Read every account of ``job`` whole, and write the page when all has been read or has failed."""
    tally, known = Tally(), dict[str, Account]()
    async with connect(connection) as server:
        job = complete(job, server)
        path = Path(job.to or "")
        if not force:
            refuse_to_overwrite(job, None)
        sweep = server.client.callflows.list_many(
            _counted(server, job, tally, known),
            max_concurrency=concurrency,
            details=True,
            filters=job.filters,
        )
        with (
            replacing(path, mode=plain_mode()) as fresh,
            fresh.open("w", encoding="utf-8") as stream,
            ReportWriter(stream, title=title) as page,
        ):
            async with status_line(tally), sweep:
                async for result in sweep:
                    page.add(known.pop(result.account_id, None), result)
                    _count(tally, result, sweep.stats)
    note(tally.summary())
    if tally.accounts_failed:
        return ExitCode.SOME_FAILED if tally.accounts_done else ExitCode.ERROR
    return ExitCode.OK


async def _counted(server: Server, job: Job, tally: Tally, known: dict[str, Account]) -> AsyncIterator[Account]:
    async for account in selected(server, job):
        known[account.id] = account
        tally.accounts_found += 1
        yield account
    tally.all_found = True


def _count(tally: Tally, result: AccountResult, sent: SweepStats) -> None:
    tally.callflows += len(result.callflows)
    tally.requests, tally.retries, tally.refusals, tally.waiting = (
        sent.requests,
        sent.retries,
        sent.refusals,
        sent.waiting,
    )
    if result.error is None:
        tally.accounts_done += 1
        return
    tally.accounts_failed += 1
    note(f"failed: {printable(result.account_id)}: {one_line(result.error)}")
