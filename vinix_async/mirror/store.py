"""What a refresh needs from the database.

The order of the calls in a refresh::

    run_id = await store.begin_run(now)
    for each account, in any number of tasks at once:
        known = await store.lock(account_id, name)     # None: another process refreshes it ("skipped")
        try:
            await store.begin(account_id, watermark)   # if known.watermark is None: before the first document is read
            await store.write(account_id, reads, run_id=run_id, now=now)       # about 32 documents in each call
            await store.finish(account_id, ...)        # or: await store.fail(account_id, "forbidden", ...)
        finally:
            await store.unlock(account_id)             # also if lock() was cancelled; does nothing if it is not locked
    await store.end_run(run_id, now, ...)

Each call is one transaction and runs on the store's own thread, in the order of the calls. If the task is cancelled
meanwhile, a transaction that was begun is still completed. Times are aware datetimes: the caller's clock is used, not
the database's. Every method raises ``MirrorError``.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

from attrs import frozen

from .. import Callflow

State = Literal["new", "ok", "failed", "forbidden", "gone"]


@frozen
class KnownCallflow:
    """What the mirror knows of a callflow that existed when it was last looked for.

    ``revision`` is what ``get_if_changed`` takes. ``row_hash`` is the ``content_hash`` of its row in the listing, or
    None if the document must be read again. ``read_at`` is when the server last confirmed the stored document (200 or
    304). ``toggles`` has the ids of the callflows that its ``ring_group_toggle`` nodes rewrite.
    """

    revision: str | None
    row_hash: bytes | None
    read_at: datetime
    toggles: tuple[str, ...]


@frozen
class KnownAccount:
    """What the mirror knows of an account.

    ``watermark`` is the server's time in Gregorian seconds from which the next refresh must look for changes, or None
    before the first refresh. ``refreshed_at`` is when the last complete refresh began, or None.
    """

    state: State
    watermark: int | None
    refreshed_at: datetime | None
    callflows: Mapping[str, KnownCallflow]


@frozen(kw_only=True)
class Read:
    """A document that was read.

    ``callflow`` is None if the server answered 304. ``read_at`` is when the request was sent. ``not_before`` is a time
    at which the callflow is known to have been as it was stored; if it has changed since, it has changed after that
    time. It is usually ``KnownAccount.refreshed_at``. The store itself takes a later ``read_at`` of the stored document
    into account. None: nothing is known.
    """

    callflow_id: str
    callflow: Callflow | None
    revision: str | None
    row_hash: bytes | None
    read_at: datetime
    not_before: datetime | None = None


@frozen
class Written:
    """How many callflows of a batch were new, and how many had changed."""

    added: int
    changed: int


@frozen
class AccountStatus:
    """An account of the mirror.

    ``refreshed_at`` is when the last complete refresh began, ``known_since`` when the first one was complete; None
    before it. ``error`` is the text of the error that the last refresh met, or None.
    """

    account_id: str
    name: str | None
    state: State
    state_since: datetime | None
    refreshed_at: datetime | None
    known_since: datetime | None
    error: str | None


class Store(Protocol):
    """A database that keeps the callflows of many accounts and their history."""

    async def begin_run(self, now: datetime) -> int:
        """Begin a run, and return its id. Creates the tables, and with SQLite the file, if they are missing."""
        ...

    async def end_run(
        self, run_id: int, now: datetime, *, ok: int, failed: int, requests: int, added: int, changed: int, deleted: int
    ) -> None:
        """Record what a run has done, and release the lock of the file."""
        ...

    async def lock(self, account_id: str, name: str | None = None) -> KnownAccount | None:
        """Lock an account and return what is known of it. None if it is locked already, here or by another process.

        ``name`` is stored with the account.
        """
        ...

    async def unlock(self, account_id: str) -> None:
        """Unlock an account."""
        ...

    async def begin(self, account_id: str, watermark: int) -> None:
        """Store the watermark of an account that has none, before its first document is read."""
        ...

    async def write(self, account_id: str, reads: Sequence[Read], *, run_id: int, now: datetime) -> Written:
        """Store documents that were read.

        A document whose ``content_hash`` is that of the stored one begins no new version: ``metadata`` and
        ``_read_only`` do not count. A new version begins at ``now``, or later if the version before it did.
        """
        ...

    async def finish(
        self,
        account_id: str,
        *,
        began_at: datetime,
        watermark: int,
        deleted: Collection[str],
        unreadable: Collection[str],
        now: datetime,
    ) -> None:
        """End a complete refresh of an account: its state is "ok".

        Args:
            account_id: the account.
            began_at: when the refresh began, by our clock. It becomes ``refreshed_at``.
            watermark: the server's time when the refresh began, in Gregorian seconds.
            deleted: the ids of callflows that do not exist any more.
            unreadable: the ids of callflows that could not be read. Their stored versions stay, and ``row_hash``
                becomes None.
            now: when the deleted callflows end.
        """
        ...

    async def fail(
        self, account_id: str, state: Literal["failed", "forbidden", "gone"], error: str, now: datetime
    ) -> None:
        """Record that an account could not be refreshed. Its callflows stay as they are."""
        ...

    async def accounts(self) -> list[AccountStatus]:
        """Return all accounts of the mirror, by id."""
        ...
