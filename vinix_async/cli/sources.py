"""Read the callflows of accounts from the API, a mirror or export files.

An export file is NDJSON that ``vinix callflows export`` has written. Most commands need a file that was written with
``--details``.
"""

import gzip
import os
import shlex
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

import attrs
from attrs import define, field

import vinix_async

from .. import Account, Callflow, DecodeError, to_dict
from ..flows import Name, describe_place, is_summary, masked, names_of
from .connection import connect
from .console import count, note
from .exit_codes import ExitCode, Problems, UsageError
from .files import EXPORT_SUFFIXES, is_file
from .names import display, numbers, title
from .options import SELECTION, Connection, Selection
from .progress import Tally, shown_progress
from .run import completed
from .saved_job import Job
from .selection import ReadAhead, named_accounts, selected_accounts
from .settings import read_settings

if TYPE_CHECKING:
    from ..mirror import Mirror

Row: TypeAlias = dict[str, Any]
"""A row of a command's JSON output."""

_BOM: Final = b"\xef\xbb\xbf"
_GZIP: Final = b"\x1f\x8b"
_CALLFLOW_KEYS: Final = {"featurecode", "flow", "numbers", "patterns"}
"""A line of an export file is a callflow only if it has at least one of these keys."""

_MAX_LISTED: Final = 20  # the maximum number of accounts that a message lists


@define
class AccountFlows:
    """The callflows of an account.

    ``unread``: the ids of callflows that could not be read, or None for a callflow without an id. ``file``: the export
    file, or an empty text for another source. ``lines``: the line numbers of the callflows in ``file``, by id.
    """

    account: Account
    callflows: Sequence[Callflow] = ()
    unread: frozenset[str | None] = frozenset()
    file: str = ""
    lines: Mapping[str, int] = field(factory=dict)

    @cached_property
    def by_id(self) -> Mapping[str, Callflow]:
        """The callflows by their id."""
        return {callflow.id: callflow for callflow in self.callflows}

    @cached_property
    def names(self) -> Mapping[str, Name]:
        """The names and kinds of the callflows and of the documents in their ``metadata``, by id."""
        return names_of(self.callflows)

    @cached_property
    def by_number(self) -> Mapping[str, Sequence[Callflow]]:
        """For each phone number, the callflows that have it, sorted by id.

        The first of these callflows gets the calls.
        """
        found: dict[str, list[Callflow]] = {}
        for callflow in sorted(self.callflows, key=lambda each: each.id):
            for number in dict.fromkeys(callflow.numbers):
                found.setdefault(number, []).append(callflow)
        return found

    def title(self, callflow_id: str) -> str:
        """Return the title of a callflow, or its id if the callflow is not known."""
        callflow = self.by_id.get(callflow_id)
        return title(callflow) if callflow else callflow_id

    def place(self, callflow_id: str, path: str) -> str:
        """Describe in words the node to which the JSON pointer ``path`` leads in a callflow."""
        return describe_place(self.by_id.get(callflow_id), path, self.names)

    def about(self, callflow_id: str) -> Row:
        """Return the fields with which a row begins. They describe the account and a callflow."""
        callflow = self.by_id.get(callflow_id)
        return {
            "account_id": self.account.id,
            "account_name": masked(self.account.name),
            "callflow_name": self.title(callflow_id),
            "numbers": numbers(callflow) if callflow else [],
        }


def open_mirror(option: str | None) -> "Mirror":
    """Return the mirror of ``--db`` or ``VINIX_MIRROR``.

    Raises ``UsageError`` if neither is set, or if ``--db`` is not a valid address or has a password.
    """
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
    """Raise ``UsageError`` if the export file was given as the last argument, ``what``, instead of as ``source``."""
    if what.lower().endswith(EXPORT_SUFFIXES) and Path(what).is_file() and not is_file(source):
        raise UsageError(f"the file comes first: {shlex.join(['vinix', 'callflows', command, what, source])}")


@define(kw_only=True)
class Sources:
    """The accounts and export files that a command reads, and the problems of reading them.

    ``words``: account ids and files. If neither ``words`` nor ``selection`` names an account, your own account is read.
    With ``db``, all accounts of the mirror are read instead. ``account``: the id or name of the only account to read
    from a file. ``several``: whether several accounts of a file may be read. ``summaries``: whether callflows without
    their flow are accepted. ``db``: the mirror to read instead of the API. ``one_account``: whether only one account is
    read. ``read`` sets this field before the first call of ``on_account``.
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
        """Call ``on_account`` with each account that could be read. All files are read before the first call."""
        files = [word for word in self.words if is_file(word)]
        accounts = tuple(word for word in self.words if not is_file(word))
        if self.db is not None:
            if files or self.account is not None:
                what = "the files" if files else "--account, and name the account as an argument"
                raise UsageError(f"--db reads accounts from a mirror: remove {what}")
            await self._read_mirror(self.db, accounts, on_account)
            return
        if self.account is not None and not files:
            raise UsageError("--account selects an account of an export file: name the file")
        chosen = self.selection
        below, listed = chosen.descendants_of is not None, chosen.accounts_from is not None
        asks = bool(accounts) or chosen.all or below or listed or not files
        exported = [each for file in files for each in self._read_file(file)]
        self.one_account = len(exported) == 1 and not asks
        for each in exported:
            on_account(each)
            self.accounts_done += 1
        if asks:
            await self._read_accounts(accounts, on_account)

    def exit_code(self, otherwise: ExitCode) -> ExitCode:
        """Return the exit code for the problems, or ``otherwise`` if there were none."""
        return self.problems.code(accounts_done=self.accounts_done) or otherwise

    def _read_file(self, name: str) -> list[AccountFlows]:
        try:
            with Path(name).open("rb") as raw:
                compressed = raw.peek(len(_GZIP)).startswith(_GZIP)
                found = parse_export(gzip.GzipFile(fileobj=raw) if compressed else raw, name)
        except OSError as error:
            raise UsageError(f"cannot read {name}: {error.strerror or error}") from None
        chosen = [each for each in found if self.account in {None, each.account.id, each.account.name}]
        if not chosen or (len(chosen) > 1 and not self.several):
            listed = chosen or found
            what = count(len(listed), "account")
            if self.account is not None:
                what = f"{what} named {self.account!r}" if chosen else f"no account {self.account!r}"
            accounts = "".join(
                f"\n  {each.account.id}  {display(each.account.name or '')}" for each in listed[:_MAX_LISTED]
            )
            more = "\n  …" if len(listed) > _MAX_LISTED else ""
            raise UsageError(f"{name} has {what}: choose one of these by its id with --account{accounts}{more}")
        for each in chosen:
            if not self.summaries and (summary := next(filter(is_summary, each.callflows), None)):
                where = f"{name}:{each.lines[summary.id]}"
                raise UsageError(f"{where}: the callflow was exported without its flow: export it again with --details")
        return chosen

    async def _read_accounts(self, accounts: tuple[str, ...], on_account: Callable[[AccountFlows], None]) -> None:
        async with connect(self.connection) as server:
            job = completed(Job(command="", accounts=accounts, **self.selection.job_fields()), server)
            self.one_account = job.one_account and not self.accounts_done
            selected = ReadAhead(selected_accounts(server, job, self.problems.add))
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
        """Read the named accounts from a mirror. Without names, or with ``--all``, read all that still exist."""
        from ..mirror import NotKnownError  # noqa: PLC0415  # slow to import, and --help does not need it

        job = Job(command="", accounts=accounts, **self.selection.job_fields())
        if job.descendants_of is not None:
            raise UsageError(
                "--descendants-of needs the API and does not work with --db: name the accounts, or remove "
                "--descendants-of to read all accounts of the mirror"
            )
        root = read_settings(self.connection.profile).get("account_id")
        named = list(named_accounts(job))
        if "ROOT" in named and root is None:
            raise UsageError("your own account is not known: set VINIX_ACCOUNT_ID, or write its id in place of ROOT")
        async with open_mirror(db) as opened:
            known = {each.account_id: each for each in await opened.status()}
            found = [(root if word == "ROOT" else word) or "" for word in named]
            if job.all or not (accounts or job.accounts_from):
                found += [each.account_id for each in known.values() if each.state != "gone"]
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


# --- export files ---


def parse_export(lines: Iterable[bytes], name: str) -> list[AccountFlows]:
    """Return the callflows of an export file, grouped by account.

    Raise ``UsageError`` if a line is invalid, or if the file has no callflows.
    """
    rows: dict[str, tuple[Account, dict[str, int], list[Callflow]]] = {}
    number = 0
    for number, line in _numbered(lines, name):
        account, callflow = _row(line, f"{name}:{number}: ")
        _, numbers, callflows = rows.setdefault(account.id, (account, {}, []))
        numbers[callflow.id] = number
        callflows.append(callflow)
    if not rows:
        raise UsageError(f"{name}:{max(number, 1)}: the file has no callflows")
    return [AccountFlows(account, found, file=name, lines=numbers) for account, numbers, found in rows.values()]


def _numbered(lines: Iterable[bytes], name: str) -> Iterator[tuple[int, bytes]]:
    """Yield the line number and the text of each line that is not empty."""
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            text = line.removeprefix(_BOM) if number == 1 else line
            if text.strip():
                yield number, text
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UsageError(f"{name}:{number + 1}: the compressed data is damaged or cut off") from None


def _row(line: bytes, where: str) -> tuple[Account, Callflow]:
    try:
        (callflow,) = vinix_async.decode_page(b'{"status":"success","data":[%b]}' % line).items
    except DecodeError as error:
        problems = "; ".join(error.problems).replace("$.data[0]", "$")
        if not problems and not error.transient:
            problems = "the line is nested too deeply"
        elif not problems and not line.endswith(b"\n"):
            problems = "the last line is not valid JSON: the export may be incomplete"
        raise UsageError(f"{where}{problems or 'the line is not a JSON object'}") from None
    except ValueError:
        raise UsageError(f"{where}the line has more than one JSON value") from None
    if not (callflow.flow or callflow.numbers or _CALLFLOW_KEYS & to_dict(callflow).keys()):
        raise UsageError(f"{where}the object is not a callflow")
    extra = dict(callflow.extra)
    account_id, name = extra.pop("account_id", ""), extra.pop("account_name", None)
    if not isinstance(account_id, str) or not isinstance(name, str | None):
        raise UsageError(f"{where}account_id must be a string, and account_name a string or null")
    return Account(id=account_id, name=name), attrs.evolve(callflow, extra=extra)
