"""Select the accounts of a job: those named as arguments, those listed in an input file, or those below an account."""

import asyncio
import codecs
import csv
import re
import sys
from collections.abc import AsyncGenerator, Callable, Container, Iterable, Iterator
from contextlib import aclosing
from itertools import islice, product
from pathlib import Path
from typing import Final

import vinix_async

from .. import Account, VinixError
from .connection import Server, check_account_id
from .console import reading_input
from .exit_codes import UsageError
from .saved_job import Job

_ID_COLUMNS: Final = ("account_id", "id")
"""The names that the column of account ids may have in a CSV file. If a file has both, ``account_id`` is used."""

_DELIMITERS: Final = ",;\t|"
_LINE_END: Final = re.compile(r"\r\n?|\n")


def named_accounts(job: Job) -> Iterator[str]:
    """Yield the accounts of the command line, and then those of the file ``--accounts-from``."""
    yield from job.accounts
    if job.accounts_from is not None:
        yield from _read_list(job.accounts_from)


def _read_list(path: str) -> Iterator[str]:
    """Yield the account ids of a file: its lines, or a column of a CSV file. Lines that begin with # are comments."""
    name = "stdin" if path == "-" else path
    try:
        with reading_input():
            data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror or error}") from None
    lines = ["\n" if line.lstrip().startswith("#") else f"{line.strip(' ')}\n" for line in _lines(data, name)]
    delimiter, column = _layout(next((line for line in lines if line.strip()), ""))
    reader = csv.reader(lines, delimiter=delimiter)
    rows = ((reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells))
    try:
        for number, cells in islice(rows, 0 if column is None else 1, None):
            found = cells if column is None else cells[column : column + 1]
            text, where = delimiter.join(found).strip(), f"{name}, line {number}: "
            if text.startswith(("{", "[")):
                raise UsageError(f"{where}JSON cannot be read; `vinix accounts list --output csv` writes a list of ids")
            yield check_account_id(text, where)
    except csv.Error as error:
        raise UsageError(f"{name} is not a list of account ids: {error}") from None


def _lines(data: bytes, name: str) -> list[str]:
    """Return the lines of a text in UTF-8, or in UTF-16 with a byte order mark."""
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return _LINE_END.split(data.decode(encoding))
    except UnicodeDecodeError as error:
        number = len(_LINE_END.split(data[: error.start].decode(encoding, "replace")))
        shown = encoding.removesuffix("-sig").upper()
        raise UsageError(f"{name}, line {number}: the text is not valid {shown}") from None


def _layout(first_line: str) -> tuple[str, int | None]:
    """Return a file's delimiter, and the index of its column of ids. If there is no header line, the index is None."""
    for delimiter, name in product(_DELIMITERS, _ID_COLUMNS):
        names = [cell.strip().lower() for cell in next(csv.reader([first_line], delimiter=delimiter), [])]
        if name in names:
            return delimiter, names.index(name)
    return ",", None


async def selected_accounts(
    server: Server, job: Job, on_problem: Callable[["vinix_async.AccountPage"], None], done: Container[str] = ()
) -> AsyncGenerator[Account, None]:
    """Yield the accounts of a job. An account may be repeated.

    ``on_problem`` is called with the unreadable rows of account listings.

    Accounts from a listing have names. Other names are requested one by one: the name of your own account for
    ``--all``, and the names of the accounts in ``job.accounts`` for a report. No name is requested for an account in
    ``done``.
    """
    own = server.account_id(None) if job.all else None
    for account_id in (*job.accounts, own):
        if account_id:
            is_named = (account_id == own or job.command == "report") and account_id not in done
            yield await _with_name(server, account_id) if is_named else Account(id=account_id)
    for account_id in filter(None, dict.fromkeys((job.descendants_of, own))):
        async for page in server.client.accounts.descendants(account_id, on_bad_item="skip").by_page():
            if page.bad_items:
                on_problem(vinix_async.AccountPage(account=Account(id=account_id), bad_items=page.bad_items))
            for account in page.items:
                yield account


async def _with_name(server: Server, account_id: str) -> Account:
    """Read an account. If that fails, return an account with only its id: its callflows may still be readable."""
    try:
        return await server.client.accounts.get(account_id)
    except VinixError:
        return Account(id=account_id)


class ReadAhead:
    """Iterates over accounts while a task reads ahead, so that the progress line can show how many there are.

    If reading fails, the error is raised after all accounts that were read before the failure have been returned.

    Attributes:
        found: The number of different accounts that were read, not counting those in ``done``.
        all_found: Whether all accounts have been read.
    """

    def __init__(self, accounts: AsyncGenerator[Account, None], done: Iterable[str] = ()) -> None:
        self.found: int = 0
        self.all_found: bool = False
        self._accounts = accounts
        self._seen = set(done)
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
                    if account.id not in self._seen:
                        self._seen.add(account.id)
                        self.found += 1
                        self._queue.put_nowait(account)
            self.all_found = True
        finally:
            self._queue.put_nowait(None)
