"""``vinix mirror refresh`` updates the copy of callflows in a database."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from .. import Account, VinixError
from .connection import Server, connect
from .console import count, note
from .database import Database, open_mirror
from .exit_codes import ExitCode, note_problems, problems_code, report_error
from .options import CONNECTION, SELECTION, Accounts, Connection, PageSize, Selection
from .progress import RefreshTally, progress_line
from .run import background, cancel_on_sigterm, completed
from .saved_job import Job
from .selection import ReadAhead, selected_accounts
from .times import span

if TYPE_CHECKING:
    from .. import AccountPage
    from ..mirror import Mirror

_TICK: Final = 0.1  # seconds between two updates of the progress line


async def refresh(
    *accounts: Accounts,
    db: Database = None,
    max_age: Annotated[
        str | None, Parameter(help="Skip accounts that were refreshed within this time, such as 12h.")
    ] = None,
    page_size: PageSize = None,
    selection: Selection = SELECTION,
    connection: Connection = CONNECTION,
) -> int:
    """Update the copy of one or more accounts.

    An account without changes costs two requests. --all includes the accounts that the mirror already has. Run the
    command again to continue a run that was interrupted.
    """
    age = None if max_age is None else span("--max-age", max_age)
    async with open_mirror(db) as opened, connect(connection) as server:
        job = completed(Job(command="mirror refresh", accounts=accounts, **selection.job_fields()), server)
        options: dict[str, Any] = {"max_concurrency": selection.concurrency, "max_age": age}
        return await _Refresh(opened, server, job, options | ({"page_size": page_size} if page_size else {})).run()


class _Refresh:
    """A refresh of all accounts of a job."""

    def __init__(self, opened: "Mirror", server: Server, job: Job, options: dict[str, Any]) -> None:
        self._problems: list[AccountPage] = []
        self._states: Counter[str] = Counter()
        self._named: dict[str, Account] = {}
        selected = ReadAhead(self._accounts(opened, server, job), ())
        self._refresh = opened.refresh(server.client, selected, **options)
        self._tally = RefreshTally(client=server.client.stats, sweep=self._refresh.stats, selected=selected)

    async def _accounts(self, opened: "Mirror", server: Server, job: Job) -> AsyncGenerator[Account, None]:
        """Yield the accounts of a job. With ``--all``, add those of the mirror, since the server may not list them."""
        async for account in selected_accounts(server, job, self._note):
            self._named.setdefault(account.id, account)
            yield account
        if job.all:
            for known in await opened.status():
                self._named.setdefault(known.account_id, Account(id=known.account_id, name=known.name))
                yield self._named[known.account_id]

    async def run(self) -> int:
        """Refresh the accounts, report the failures, and return the exit code."""
        from .. import AccountPage  # noqa: PLC0415  # slow to import, and --help does not need it

        terminated = cancel_on_sigterm()
        try:
            with progress_line(self._tally) as show:
                async with background(_repeat(show)), self._refresh:
                    async for result in self._refresh:
                        self._tally.added += result.added
                        self._tally.changed += result.changed
                        self._tally.deleted += result.deleted
                        self._states[result.state] += 1
                        if not result.ok:
                            account = self._named[result.account_id]
                            self._note(AccountPage(account=account, bad_items=result.bad_items, error=result.error))
        except asyncio.CancelledError:
            note(f"interrupted after {self._tally.summary()}; run the command again to continue")
            return ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED
        except VinixError as error:
            code = report_error(error)
            note(f"stopped after {self._tally.summary()}; run the command again to continue")
            return code
        self._note_left_out()
        if self._refresh.filters_work is False:
            note("the server ignores the filter modified_from: changes that no listing shows are found within 30 days")
        note(self._tally.summary())
        return problems_code(self._problems, accounts_done=self._tally.sweep.accounts_done)

    def _note(self, page: "AccountPage") -> None:
        self._problems.append(page)
        note_problems(page, one_account=False)

    def _note_left_out(self) -> None:
        reasons = {"skipped": "another process is refreshing the database", "fresh": "refreshed within --max-age"}
        for state, reason in reasons.items():
            if number := self._states[state]:
                note(f"{count(number, 'account')} skipped: {reason}")


async def _repeat(show: Callable[[], None]) -> None:
    while True:
        show()
        await asyncio.sleep(_TICK)
