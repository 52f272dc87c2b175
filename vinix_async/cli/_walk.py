"""Many accounts at once, page by page: what is held in memory is pages, however large an account is."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
from msgspec import structs

from .. import Account, AuthenticationError, Callflow, Checkpoint, VinixError
from ._connect import Server
from ._errors import UsageError
from ._job import Job, Progress
from ._status import Tally

_REFUSALS: Final = 5
"""So many accounts in a row with a 401, and it is the credentials."""

OnPage = Callable[[Account, Sequence[Callflow], Checkpoint], None]
OnEnd = Callable[[Account, VinixError | None], None]


class Shard:
    """``2/8``: the accounts whose hash, the first 8 bytes of SHA-256 as a number, modulo 8 is 1."""

    def __init__(self, text: str | None) -> None:
        number, _, count = (text or "1/1").partition("/")
        if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise UsageError(f"--shard takes a share such as 2/8, not {text!r}")
        self._number, self._count = int(number) - 1, int(count)

    def has(self, account_id: str) -> bool:
        """Whether an account is in this share."""
        hashed = hashlib.sha256(account_id.encode()).digest()[:8]
        return int.from_bytes(hashed) % self._count == self._number


def named_accounts(job: Job) -> Iterator[str]:
    """The accounts of a command line, and those in the file that it names."""
    yield from job.accounts
    if job.accounts_from == "-":
        yield from _lines(sys.stdin)
    elif job.accounts_from is not None:
        with Path(job.accounts_from).open() as file:
            yield from _lines(file)


def _lines(file: Iterable[str]) -> Iterator[str]:
    return filter(None, map(str.strip, file))


async def selected(server: Server, job: Job) -> AsyncGenerator[Account, None]:
    """The accounts of a job, each once."""
    shard = Shard(job.shard)
    seen: set[str] = set()
    async for account in _chosen(server, job):
        if account.id not in seen and shard.has(account.id):
            seen.add(account.id)
            yield account


async def _chosen(server: Server, job: Job) -> AsyncGenerator[Account, None]:
    for account_id in job.accounts:
        yield Account(id=account_id)
    above = {job.descendants_of} if job.descendants_of else set[str]()
    if job.all:
        yield Account(id=server.account(None))
        above.add(server.account(None))
    for account_id in above:
        async for account in server.client.accounts.descendants(account_id):
            yield account


def metered(server: Server, tally: Tally) -> Server:
    """The server with a client that counts what it sends in ``tally``."""
    client = server.client.with_options()
    client._wire(client._requester, structs.replace(client._options, meter=tally), owner=False)  # noqa: SLF001  # no option
    return attrs.evolve(server, client=client)


class Walk:
    """A job's walk over its accounts. ``on_page`` and ``on_end`` are called one at a time."""

    def __init__(self, server: Server, job: Job, progress: Progress, tally: Tally, concurrency: int) -> None:
        self._server = metered(server, tally)
        self._job = job
        self._progress = progress
        self._tally = tally
        self._concurrency = concurrency
        self._options: dict[str, Any] = {
            "page_size": job.page_size,
            "max_items": job.max_items,
            "filters": job.filters,
            "details": job.details,
        }
        self._server.client.callflows.list("checks the options", **self._options)
        self._waiting: asyncio.Queue[Account | None] = asyncio.Queue()
        self._failure: VinixError | None = None
        self._refused_in_a_row = 0

    async def run(self, on_page: OnPage, on_end: OnEnd, *, look_ahead: float = 0.0) -> None:
        """Walk. An error of the accounts' own listing, or of what is called, is raised; an account's is not.

        For ``look_ahead`` seconds accounts are only looked for, so that there is something to measure progress by.
        """
        try:
            async with asyncio.TaskGroup() as group:
                finder = group.create_task(self._find())
                await asyncio.wait([finder], timeout=look_ahead)
                for _ in range(self._concurrency):
                    group.create_task(self._work(on_page, on_end))
        except BaseExceptionGroup as errors:
            first = errors.exceptions[0]
        else:
            if self._failure is None:
                return
            first = self._failure
        raise first

    async def _find(self) -> None:
        try:
            async for account in selected(self._server, self._job):
                if not self._progress.is_done(account.id):
                    self._tally.accounts_found += 1
                    self._waiting.put_nowait(account)
            self._tally.all_found = True
        except VinixError as error:
            self._failure = error  # raised when the accounts that were found are done
        for _ in range(self._concurrency):
            self._waiting.put_nowait(None)

    async def _work(self, on_page: OnPage, on_end: OnEnd) -> None:
        while account := await self._waiting.get():
            error = await self._one(account, on_page)
            on_end(account, error)
            self._check(error)

    async def _one(self, account: Account, on_page: OnPage) -> VinixError | None:
        try:
            point = self._progress.point(account.id)
            pager = self._server.client.callflows.list(account.id, resume=point, **self._options)
            async for page in pager.by_page():
                on_page(account, page.items, pager.checkpoint())
        except VinixError as error:
            return error
        return None

    def _check(self, error: VinixError | None) -> None:
        self._refused_in_a_row = self._refused_in_a_row + 1 if isinstance(error, AuthenticationError) else 0
        if error is not None and self._refused_in_a_row == _REFUSALS:
            raise error
