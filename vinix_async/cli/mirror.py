"""``vinix mirror`` keeps a copy of callflows and their history in a database, and queries the database."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import attrs
from cyclopts import App, Parameter
from rich.text import Text

import vinix_async

from .. import Account, Callflow, __version__, to_dict
from ..flows import label, masked, masked_path, normalize
from .connection import Server, connect
from .console import count, note, print_lines
from .diff import change_lines, change_rows
from .exit_codes import ExitCode, Problems, UsageError
from .names import display
from .options import CONNECTION, SELECTION, Accounts, Connection, Database, Selection, between
from .progress import RefreshTally, shown_progress
from .rows import write_json
from .run import completed, interruptible
from .saved_job import Job
from .selection import ReadAhead, selected_accounts
from .sources import AccountFlows, Row, open_mirror
from .table import aligned, heading
from .text import printable
from .times import shown_time, span, utc_period, utc_time
from .words import as_number, only_match

if TYPE_CHECKING:
    from ..mirror import Mirror, StoredChange

mirror: App = App(name="mirror", version=__version__, help="Keep a copy of callflows and their history in a database.")

Output = Annotated[Literal["table", "json"], Parameter(help="The format.")]


@mirror.command(usage="Usage: vinix mirror refresh [OPTIONS] [ACCOUNT]...")
async def refresh(
    *accounts: Accounts,
    db: Database = None,
    max_age: Annotated[
        str | None, Parameter(help="Skip accounts that were refreshed within this time, such as 12h.")
    ] = None,
    page_size: Annotated[
        int, Parameter(help="The number of rows to ask for in one request.", validator=between(1))
    ] = 1000,
    selection: Selection = SELECTION,
    connection: Connection = CONNECTION,
) -> int:
    """Update the copy of one or more accounts.

    An account without changes usually takes two requests. --all means your own account, all accounts below it, and all
    accounts that are already in the mirror. To continue a run that was interrupted, run the command again.
    """
    age = None if max_age is None else span("--max-age", max_age)
    async with open_mirror(db) as opened, connect(connection) as server:
        job = completed(Job(command="mirror refresh", accounts=accounts, **selection.job_fields()), server)
        run = _Refresh(opened, server, job, max_concurrency=selection.concurrency, page_size=page_size, max_age=age)
        return await interruptible(run.run(), run.stop)


class _Refresh:
    """A refresh of all accounts of a job."""

    def __init__(self, opened: "Mirror", server: Server, job: Job, **options: Any) -> None:
        self._problems = Problems()
        self._named: dict[str, Account] = {}
        selected = ReadAhead(self._accounts(opened, server, job))
        self._refresh = opened.refresh(server.client, selected, **options)
        self._tally = RefreshTally(client=server.client.stats, sweep=self._refresh.stats, selected=selected)

    async def _accounts(self, opened: "Mirror", server: Server, job: Job) -> AsyncGenerator[Account, None]:
        """Yield a job's accounts. For ``--all``, add the mirror's accounts, even if the server no longer lists them."""
        async for account in selected_accounts(server, job, self._problems.add):
            self._named.setdefault(account.id, account)
            yield account
        if job.all:
            for known in await opened.status():
                self._named.setdefault(known.account_id, Account(id=known.account_id, name=known.name))
                yield self._named[known.account_id]

    async def run(self) -> int:
        """Refresh the accounts, report the failures, and return the exit code."""
        states: Counter[str] = Counter()
        async with shown_progress(self._tally), self._refresh:
            async for result in self._refresh:
                self._tally.added += result.added
                self._tally.changed += result.changed
                self._tally.deleted += result.deleted
                states[result.state] += 1
                if not result.ok:
                    account = self._named[result.account_id]
                    self._problems.add(
                        vinix_async.AccountPage(account=account, bad_items=result.bad_items, error=result.error)
                    )
        reasons = {"skipped": "locked by another refresh", "fresh": "refreshed within --max-age"}
        for state, reason in reasons.items():
            if states[state]:
                note(f"{count(states[state], 'account')} skipped: {reason}")
        if self._refresh.filters_work is False:
            note("the server ignores the filter modified_from: some changes may be found up to 30 days late")
        note(self._tally.summary())
        return self._problems.code(accounts_done=self._tally.sweep.accounts_done)

    def stop(self, how: str) -> None:
        """Print how to continue."""
        note(f"{how} after {self._tally.summary()}; run the command again to continue")


@mirror.command
async def changes(
    *,
    since: Annotated[
        str,
        Parameter(
            help="Show changes from this time on: a date in UTC such as 2026-11-20, or a span before now such as 7d."
        ),
    ] = "1d",
    until: Annotated[
        str | None, Parameter(help="Show changes before this time: a date in UTC, or a span before now (default: now).")
    ] = None,
    account: Annotated[str | None, Parameter(help="Show only the account with this id.")] = None,
    db: Database = None,
    output: Output = "table",
) -> int:
    """Show which callflows were added, changed or deleted, and what changed in them."""
    begin, end = utc_time("--since", since), None if until is None else utc_time("--until", until)
    if begin > (end or datetime.now(UTC)):
        raise UsageError(f"--since is {'after --until' if end else 'in the future'}, so nothing would match")
    rows: list[Row] = []
    async with open_mirror(db) as opened:
        names = await _account_names(opened)
        async for group in _grouped(opened.changes(begin, end, account)):
            first = group[0]
            owner = Account(id=first.account_id, name=names.get(first.account_id))
            before, after = (
                AccountFlows(owner, [each for change in group if (each := getattr(change, side))])
                for side in ("old", "new")
            )
            when = {"at": first.at.isoformat(), "not_before": first.not_before and first.not_before.isoformat()}
            found = [{**when, **row} for row in change_rows(before, after)]
            rows += found
            if found and output == "table":
                above = heading(owner).append(f"  {_when(first.at, first.not_before)}", "dim")
                print_lines([above, *change_lines(before, after, found)])
    if output == "json":
        write_json(rows)
    changed = {(row["account_id"], row["callflow_id"]) for row in rows}
    what = f"{count(len(rows), 'change')} in {count(len(changed), 'callflow')}" if rows else "no changes"
    note(f"{what} since {shown_time(begin)}" + (f" and before {shown_time(end)}" if end else ""))
    return ExitCode.OK


async def _grouped(changes: "AsyncIterator[StoredChange]") -> "AsyncGenerator[list[StoredChange], None]":
    """Yield the changes in groups. Each group has the changes of one account that were found at the same time."""
    group: list[StoredChange] = []
    async for change in changes:
        if group and (group[0].account_id, group[0].at) != (change.account_id, change.at):
            yield group
            group = []
        group.append(change)
    if group:
        yield group


def _when(time: datetime, not_before: datetime | None) -> str:
    return shown_time(time) + (f", after {shown_time(not_before)}" if not_before else "")


@mirror.command
async def uses(
    what: Annotated[str, Parameter(help="The id of a user, a mailbox, a media file or another document.")],
    /,
    *,
    at: Annotated[
        str | None,
        Parameter(help="The time at which the document was used: a date in UTC, or a span before now (default: now)."),
    ] = None,
    db: Database = None,
    output: Output = "table",
) -> int:
    """Show which callflows of all accounts use a document, or used it at an earlier time."""
    time = None if at is None else utc_time("--at", at)
    async with open_mirror(db) as opened:
        names = await _account_names(opened)
        found = [{"account_name": names.get(each.account_id), **_plain(each)} async for each in opened.uses(what, time)]
    rows = [masked(row) | {"path": masked_path(row["path"])} for row in found]
    lines = [
        (
            Text(display(row["account_name"] or row["account_id"])),
            Text(display(row["name"] or row["callflow_id"]), "cyan"),
            Text(printable(", ".join(filter(None, (label(row["module"]), row["field"]))))),
            Text(printable(row["path"]), "dim"),
        )
        for row in rows
    ]
    return _answer(rows, lines, output, nothing=f"{display(what)} is used nowhere")


@mirror.command
async def number(
    number: Annotated[str, Parameter(help="A phone number, as people dial it or as a callflow has it.")],
    /,
    *,
    during: Annotated[str | None, Parameter(help="A year, a month or a day in UTC, such as 2026-03.")] = None,
    db: Database = None,
    output: Output = "table",
) -> int:
    """Show which callflows had a number, and when."""
    begin, end = utc_period("--during", during) if during is not None else (None, None)
    async with open_mirror(db) as opened:
        names = await _account_names(opened)
        found = [
            (each, use)
            for each in dict.fromkeys((number, normalize(as_number(number) or number)))
            async for use in opened.numbers(each, begin, end)
        ]
    rows = [masked({"number": each, "account_name": names.get(use.account_id), **_plain(use)}) for each, use in found]
    lines = [
        (
            Text(display(names.get(use.account_id) or use.account_id)),
            Text(display(use.name or use.callflow_id), "cyan"),
            Text(f"{shown_time(use.valid_from)} to {shown_time(use.valid_to) or 'now'}"),
        )
        for _, use in found
    ]
    return _answer(rows, lines, output, nothing=f"no callflow had {display(number)}")


@mirror.command
async def history(
    account: Annotated[str, Parameter(help="The account id.")],
    callflow: Annotated[
        str, Parameter(help="The callflow's id, one of its numbers, its name, or a unique part of its name.")
    ],
    /,
    *,
    db: Database = None,
    output: Output = "table",
) -> int:
    """Show the history of a callflow: each version, and what changed in it."""
    owner = Account(id=account)
    async with open_mirror(db) as opened:
        found = only_match([each async for each in opened.callflows(account)], callflow)
        versions = [each async for each in opened.history(account, found.id if found else callflow)]
    if output == "json":
        write_json([_plain(each) for each in versions])
        return ExitCode.OK
    before = nothing = AccountFlows(owner)
    for version in versions:
        after = AccountFlows(owner, [version.document])
        when = Text(_when(version.valid_from, version.not_before), "dim")
        print_lines([when, *change_lines(before, after, change_rows(before, after))])
        before = after
        if version.ended_by == "delete":
            when = Text(shown_time(version.valid_to), "dim")
            print_lines([when, *change_lines(after, nothing, change_rows(after, nothing))])
            before = nothing
    return ExitCode.OK


@mirror.command
async def status(*, db: Database = None, output: Output = "table") -> int:
    """Show the time and the result of each account's last refresh."""
    async with open_mirror(db) as opened:
        accounts = await opened.status()
    rows = [masked(_plain(each)) for each in accounts]
    lines = [
        (
            Text(display(each.name or each.account_id), "cyan"),
            Text(each.state, "" if each.state == "ok" else "red"),
            Text(shown_time(each.refreshed_at) or "never"),
            Text(printable(each.error or ""), "dim"),
        )
        for each in accounts
    ]
    return _answer(rows, lines, output, nothing="the mirror has no accounts")


def _answer(rows: Sequence[Row], lines: Sequence[Sequence[Text]], output: str, *, nothing: str) -> int:
    """Print the rows of an answer, and return the exit code. If there are no rows, also print ``nothing``."""
    if output == "json":
        write_json(rows)
    else:
        print_lines(aligned(lines))
    if not rows:
        note(nothing)
    return ExitCode.OK if rows else ExitCode.NEGATIVE


async def _account_names(opened: "Mirror") -> dict[str, str | None]:
    """Return the name of each account of the mirror, by the account's id."""
    return {each.account_id: each.name for each in await opened.status()}


def _plain(answer: Any) -> Row:
    """Return an object of the mirror as a dict of JSON values."""

    def value_of(_answer: type, _field: Any, value: Any) -> Any:
        if isinstance(value, Callflow):
            return to_dict(value)
        return value.isoformat() if isinstance(value, datetime) else value

    return attrs.asdict(answer, recurse=False, value_serializer=value_of)
