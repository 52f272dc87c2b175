"""``vinix report``: the accounts of a job into one HTML page."""

from importlib import import_module
from pathlib import Path
from typing import Any

import attrs

from .. import Account
from ._connect import connect
from ._errors import ExitCode, one_line
from ._files import plain_mode, replacing
from ._job import Job
from ._options import Connection
from ._output import note, printable
from ._status import Tally, status_line
from ._walk import named_accounts, selected


async def write_report(job: Job, connection: Connection, *, title: str, concurrency: int) -> int:
    """Read every account of ``job`` whole, and write the page when all has been read or has failed."""
    writer: Any = import_module("._report", __package__).ReportWriter
    async with connect(connection) as server:
        accounts = [server.account(word) for word in named_accounts(job.accounts)]
        below = server.account(job.descendants_of) if job.descendants_of else None
        if not accounts and below is None and not job.all:
            accounts = [server.account(None)]
        job = attrs.evolve(job, accounts=tuple(accounts), descendants_of=below)
        tally = Tally()
        known: dict[str, Account] = {}

        async def ids() -> Any:
            async for account in selected(server, job):
                known[account.id] = account
                tally.accounts_found += 1
                yield account
            tally.all_found = True

        sweep = server.client.callflows.list_many(ids(), max_concurrency=concurrency, details=True, filters=job.filters)
        with replacing(Path(job.to or ""), mode=plain_mode()) as file:
            page = writer(file, title=title)
            async with status_line(tally), sweep:
                async for result in sweep:
                    page.add(known.pop(result.account_id, None), result)
                    tally.callflows += len(result.callflows)
                    if result.error is None:
                        tally.accounts_done += 1
                    else:
                        tally.accounts_failed += 1
                        note(f"failed: {printable(result.account_id)}: {one_line(result.error)}")
                    tally.requests, tally.retries = sweep.stats.requests, sweep.stats.retries
            page.close()
    note(tally.summary())
    if tally.accounts_failed and not tally.accounts_done:
        return ExitCode.ERROR
    return ExitCode.SOME_FAILED if tally.accounts_failed else ExitCode.OK
