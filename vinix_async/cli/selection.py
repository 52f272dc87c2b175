"""The accounts of a job."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from pathlib import Path

from .. import Account
from .connection import Server
from .exit_codes import UsageError
from .job import Job


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
    if job.accounts_from == "-":
        yield from _lines(sys.stdin)
    elif job.accounts_from is not None:
        with Path(job.accounts_from).open() as file:
            yield from _lines(file)


def _lines(file: Iterable[str]) -> Iterator[str]:
    return filter(None, map(str.strip, file))


async def selected_accounts(server: Server, job: Job) -> AsyncGenerator[Account, None]:
    """Yield the accounts of a job, each once."""
    shard = Shard(job.shard)
    seen: set[str] = set()
    async for account in _accounts(server, job):
        if account.id not in seen and account.id in shard:
            seen.add(account.id)
            yield account


async def _accounts(server: Server, job: Job) -> AsyncGenerator[Account, None]:
    for account_id in job.accounts:
        yield Account(id=account_id)
    above = {job.descendants_of} if job.descendants_of else set[str]()
    if job.all:
        yield Account(id=server.account_id(None))
        above.add(server.account_id(None))
    for account_id in above:
        async for account in server.client.accounts.descendants(account_id):
            yield account


async def read_ahead(
    accounts: AsyncGenerator[Account, None], on_found: Callable[[Account | None], None]
) -> AsyncGenerator[Account, None]:
    """Yield ``accounts`` while a task reads the following ones, so that progress can be measured.

    ``on_found`` is called with each account that was read, and with None after the last one. If reading fails, the
    error is raised after the accounts that were read before it.
    """
    queue: asyncio.Queue[Account | None] = asyncio.Queue()

    async def read() -> None:
        try:
            async with aclosing(accounts):
                async for account in accounts:
                    on_found(account)
                    queue.put_nowait(account)
            on_found(None)
        finally:
            queue.put_nowait(None)

    reader = asyncio.create_task(read())
    try:
        while account := await queue.get():
            yield account
        await reader
    finally:
        reader.cancel()
        await asyncio.wait([reader])
