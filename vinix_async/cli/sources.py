"""Read the callflows of accounts from the API, an export file or a mirror."""

import gzip
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from attrs import define, field

import vinix_async

from .. import Account
from .account_flows import AccountFlows, parse_export
from .connection import connect
from .console import count, note
from .exit_codes import ExitCode, Problems, UsageError, describe
from .files import EXPORT_SUFFIXES, is_file
from .options import SELECTION, Connection, Selection
from .progress import Tally, shown_progress
from .run import completed
from .saved_job import Job
from .selection import ReadAhead, named_accounts, selected_accounts
from .settings import read_settings

if TYPE_CHECKING:
    from ..mirror import Mirror

_GZIP: Final = b"\x1f\x8b"
_MAX_LISTED: Final = 20


def open_mirror(option: str | None) -> "Mirror":
    """Return the mirror that ``--db`` or ``VINIX_MIRROR`` names. Raises ``UsageError`` if ``--db`` has a password."""
    from ..mirror import Mirror  # noqa: PLC0415  # slow to import, and --help does not need it

    return Mirror(_database(option))


def _database(option: str | None) -> str:
    if option is None:
        if not (address := os.environ.get("VINIX_MIRROR")):
            raise UsageError("name the database with --db, or set VINIX_MIRROR")
        return address
    if "://" in option:
        try:
            parts = urlsplit(option)
            has_password = parts.password is not None or "password" in parse_qs(parts.query, keep_blank_values=True)
        except ValueError:
            raise UsageError("--db is not a valid postgresql:// address") from None
        if has_password:
            raise UsageError(
                "--db must not contain a password, because other users can see command lines: put the address into "
                "VINIX_MIRROR, or the password into ~/.pgpass"
            )
    return option


def check_order(command: str, source: str, what: str) -> None:
    """Raise ``UsageError`` if the export file was given after the words to search for in it."""
    if what.lower().endswith(EXPORT_SUFFIXES) and Path(what).is_file() and not is_file(source):
        raise UsageError(f"the file comes first: {shlex.join(['vinix', 'callflows', command, what, source])}")


@define(kw_only=True)
class Sources:
    """The accounts and export files that a command reads, and the problems of reading them.

    ``words``: account ids and files; an empty sequence stands for your own account. ``account``: the id or name of the
    only account to read from a file. ``several``: whether a file may have several accounts. ``summaries``: whether rows
    of a listing, which have no flow, are accepted. ``db``: the mirror to read instead of the API. ``one_account``:
    whether only one account is read. ``read`` sets it before it calls ``on_account``.
    """

    words: Sequence[str]
    connection: Connection
    selection: Selection = SELECTION
    account: str | None = None
    several: bool = False
    summaries: bool = False
    db: str | None = None
    problems: Problems = field(factory=Problems)
    accounts_done: int = 0
    one_account: bool = False

    async def read(self, on_account: Callable[[AccountFlows], None]) -> None:
        """Call ``on_account`` for each account. All files are read before the first call."""
        files = [word for word in self.words if is_file(word)]
        accounts = tuple(word for word in self.words if not is_file(word))
        if self.db is not None:
            if files:
                raise UsageError("--db reads accounts from a mirror: remove the files")
            await self._read_mirror(self.db, accounts, on_account)
            return
        if self.account is not None and not files:
            raise UsageError("--account selects an account of an export file: name the file")
        chosen = self.selection
        asks = bool(accounts or chosen.all or chosen.descendants_of or chosen.accounts_from or not files)
        exported = [each for file in files for each in self._read_file(file)]
        self.one_account = len(exported) == 1 and not asks
        for each in exported:
            on_account(each)
            self.accounts_done += 1
        if asks:
            await self._read_accounts(accounts, on_account)

    def exit_code(self, otherwise: ExitCode) -> ExitCode:
        """Return the exit code for the problems, or ``otherwise`` if there are none."""
        return self.problems.code(accounts_done=self.accounts_done) or otherwise

    def _read_file(self, name: str) -> list[AccountFlows]:
        try:
            with Path(name).open("rb") as raw:
                compressed = raw.peek(len(_GZIP)).startswith(_GZIP)
                found = parse_export(gzip.GzipFile(fileobj=raw) if compressed else raw, name)
        except OSError as error:
            raise UsageError(f"cannot read {describe(error)}") from None
        chosen = [each for each in found if self.account in {None, each.account.id, each.account.name}]
        if not chosen or (len(chosen) > 1 and not self.several):
            what = count(len(found), "account")
            accounts = "".join(f"\n  {each.account.id}  {each.account.name or ''}" for each in found[:_MAX_LISTED])
            more = "\n  …" if len(found) > _MAX_LISTED else ""
            raise UsageError(f"{name} has {what}: choose one of them with --account{accounts}{more}")
        if not self.summaries:
            for each in chosen:
                each.check_details()
        return chosen

    async def _read_accounts(self, accounts: tuple[str, ...], on_account: Callable[[AccountFlows], None]) -> None:
        async with connect(self.connection) as server:
            job = completed(Job(command="", accounts=accounts, **self.selection.job_fields()), server)
            self.one_account = job.one_account and not self.accounts_done
            selected = ReadAhead(selected_accounts(server, job, self.problems.add), ())
            sweep = server.client.callflows.list_many(
                selected, max_concurrency=self.selection.concurrency, ordered=True, details=True
            )
            tally = Tally(client=server.client.stats, sweep=sweep.stats, selected=selected)
            async with shown_progress(tally), sweep:
                async for result in sweep:
                    tally.callflows += len(result.callflows)
                    if result.error and job.one_account:
                        raise result.error
                    if not result.ok:
                        self.problems.add(result)
                    if result.error is None:
                        unread = frozenset(item.id for item in result.bad_items)
                        on_account(AccountFlows(result.account, result.callflows, unread))
                        self.accounts_done += 1
            if not job.one_account:
                note(tally.summary())

    async def _read_mirror(
        self, db: str, accounts: tuple[str, ...], on_account: Callable[[AccountFlows], None]
    ) -> None:
        """Read accounts from a mirror: the named ones, or else all that still exist on the server."""
        from ..mirror import NotKnownError  # noqa: PLC0415  # slow to import, and --help does not need it

        job = Job(command="", accounts=accounts, **self.selection.job_fields())
        if job.descendants_of:
            raise UsageError(
                "--descendants-of needs the API: with --db, name accounts, or name none to read all of them"
            )
        root = read_settings(self.connection.profile).get("account_id")
        if "ROOT" in accounts and root is None:
            raise UsageError("your own account is not known: set VINIX_ACCOUNT_ID, or name the account")
        async with open_mirror(db) as opened:
            known = {each.account_id: each for each in await opened.status()}
            named = [(root if word == "ROOT" else word) or "" for word in named_accounts(job)]
            found = named or [each.account_id for each in known.values() if each.state != "gone"]
            wanted = list(dict.fromkeys(found))
            self.one_account = len(wanted) == 1
            for account_id in wanted:
                account = Account(id=account_id, name=known[account_id].name if account_id in known else None)
                try:
                    callflows = [each async for each in opened.callflows(account_id)]
                except NotKnownError as error:
                    if self.one_account:
                        raise
                    self.problems.add(vinix_async.AccountPage(account=account, error=error))
                else:
                    on_account(AccountFlows(account, callflows))
                    self.accounts_done += 1
