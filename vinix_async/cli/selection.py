"""The accounts of a job: those that are named, those of an input file, and those below an account."""

import asyncio
import codecs
import csv
import hashlib
import sys
from collections.abc import AsyncGenerator, Callable, Container, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .. import Account
from .connection import Server, check_account_id
from .exit_codes import UsageError, describe
from .job import Job

if TYPE_CHECKING:
    from .. import AccountPage

_ID_COLUMNS: Final = ("account_id", "id")
"""The columns of a CSV file that may hold the ids. The first one that the header names is used."""

_DELIMITERS: Final = ",;\t"


class Shard:
    """A part of the accounts: ``2/8`` has those with the remainder 1 when their hash is divided by 8.

    The hash is the first 8 bytes of the SHA-256 of the id, as a big-endian number.
    """

    def __init__(self, text: str | None) -> None:
        number, _, count = (text or "1/1").partition("/")
        if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise UsageError(f"--shard must be a part such as 2/8, not {text!r}")
        self._remainder, self._count = int(number) - 1, int(count)

    def __contains__(self, account_id: str) -> bool:
        hashed = hashlib.sha256(account_id.encode()).digest()[:8]
        return int.from_bytes(hashed) % self._count == self._remainder


def named_accounts(job: Job) -> Iterator[str]:
    """Yield the accounts of the command line, and then those of ``--accounts-from``."""
    yield from job.accounts
    if job.accounts_from is not None:
        yield from _read_list(job.accounts_from)


def _read_list(path: str) -> Iterator[str]:
    """Yield the ids of a file: one on each line, or in a column of a CSV file. Lines that begin with # are comments."""
    name = "stdin" if path == "-" else path
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {describe(error)}") from None
    lines = ["\n" if line.lstrip().startswith("#") else f"{line.strip(' ')}\n" for line in _lines(data, name)]
    try:
        yield from _ids(lines, name)
    except csv.Error as error:
        raise UsageError(f"{name} is not a list of account ids: {error}") from None


def _ids(lines: list[str], name: str) -> Iterator[str]:
    delimiter, column = _layout(next((line for line in lines if line.strip()), ""))
    reader = csv.reader(lines, delimiter=delimiter)
    rows = ((reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells))
    if column is not None:
        next(rows)  # the header
    for number, cells in rows:
        found = cells if column is None else cells[column : column + 1]
        yield check_account_id(delimiter.join(found).strip(), f"{name}, line {number}: ")


def _lines(data: bytes, name: str) -> list[str]:
    """Return the lines of a text in UTF-8, or in UTF-16 with a byte order mark."""
    utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding, data = ("utf-16", data) if utf_16 else ("utf-8", data.removeprefix(codecs.BOM_UTF8))
    try:
        text, wrong = data.decode(encoding), False
    except UnicodeDecodeError as error:
        text, wrong = data[: error.start].decode(encoding, "replace"), True
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if wrong:
        raise UsageError(f"{name}, line {len(lines)}: the text is not valid {encoding.upper()}")
    return lines


def _layout(first_line: str) -> tuple[str, int | None]:
    """Return the delimiter of a file and the column of its ids, or None if the first line is not a header."""
    for delimiter in _DELIMITERS:
        names = [cell.strip().lower() for cell in next(csv.reader([first_line], delimiter=delimiter), [])]
        for name in _ID_COLUMNS:
            if name in names:
                return delimiter, names.index(name)
    return ",", None


OnProblem = Callable[["AccountPage"], None]


async def selected_accounts(server: Server, job: Job, on_problem: OnProblem) -> AsyncGenerator[Account, None]:
    """Yield the accounts of a job, each once. ``on_problem`` is called for those that cannot be read."""
    shard = Shard(job.shard)
    seen: set[str] = set()
    async for account in _accounts(server, job, on_problem):
        if account.id not in seen and account.id in shard:
            seen.add(account.id)
            yield account


async def _accounts(server: Server, job: Job, on_problem: OnProblem) -> AsyncGenerator[Account, None]:
    from .. import AccountPage  # noqa: PLC0415  # slow to import, and --help does not need it

    for account_id in job.accounts:
        yield Account(id=account_id)
    above = {job.descendants_of} if job.descendants_of else set[str]()
    if job.all:
        yield Account(id=server.account_id(None))
        above.add(server.account_id(None))
    for account_id in above:
        async for page in server.client.accounts.descendants(account_id, on_bad_item="skip").by_page():
            if page.bad_items:
                on_problem(AccountPage(account=Account(id=account_id), bad_items=page.bad_items))
            for account in page.items:
                yield account


class ReadAhead:
    """Yields accounts while a task reads the following ones, so that progress can be measured.

    If reading fails, the error is raised after the accounts that were read before it.

    Attributes:
        found: how many accounts were read that are not in ``done``.
        all_found: whether there are no more.
    """

    def __init__(self, accounts: AsyncGenerator[Account, None], done: Container[str]) -> None:
        self.found = 0
        self.all_found = False
        self._accounts = accounts
        self._done = done
        self._queue: asyncio.Queue[Account | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncGenerator[Account, None]:
        reader = asyncio.create_task(self._read())
        try:
            while account := await self._queue.get():
                yield account
            await reader
        finally:
            reader.cancel()
            await asyncio.wait([reader])

    async def _read(self) -> None:
        try:
            async with aclosing(self._accounts):
                async for account in self._accounts:
                    self.found += account.id not in self._done
                    self._queue.put_nowait(account)
            self.all_found = True
        finally:
            self._queue.put_nowait(None)
