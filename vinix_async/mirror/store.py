"""Reads and writes the database for a refresh.

A refresh calls the methods in this order::

    run_id = await store.begin_run(now)
    for each account, in any number of concurrent tasks:
        known = await store.lock(account_id, name)
        if known is None:                              # the account is already locked: leave it out
            continue
        try:
            await store.begin(account_id, watermark)   # only if known.watermark is None
            await store.write(account_id, reads, run_id=run_id, now=now)       # for each batch of about 32 documents
            await store.finish(account_id, ...)        # or: await store.fail(account_id, "forbidden", ...)
        finally:
            await store.unlock(account_id)
    await store.end_run(run_id, now, ...)

Each call writes in one transaction. The store runs the calls one after the other in its own thread. If a task is
cancelled during a call whose transaction has begun, the transaction is still completed. Times are aware datetimes. The
caller passes the current time, because the database may have a different clock. A call raises ``MirrorError`` if the
database fails or the store is closed.
"""

import asyncio
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from attrs import define, frozen

from .. import Callflow
from .contents import Content, content_of, storable
from .errors import MirrorError, damaged
from .times import to_time

if TYPE_CHECKING:
    from .postgres import PostgresDatabase
    from .sqlite import SqliteDatabase

Database: TypeAlias = "SqliteDatabase | PostgresDatabase"
T = TypeVar("T")

State = Literal["new", "ok", "failed", "forbidden", "gone"]


@frozen
class KnownCallflow:
    """What the mirror knows about a callflow that is not recorded as deleted.

    Attributes:
        revision: the revision of the stored document, for ``get_if_changed``. None if it is unknown.
        row_hash: the ``content_hash`` of the callflow's row in the listing. None if the document must be read again.
        read_at: the time at which the last successful request for the document was sent. A request is successful if the
            server answers it with 200 or 304.
        toggles: the ids of the callflows that the server changes when this callflow is dialled, because of its
            ``ring_group_toggle`` nodes.
    """

    revision: str | None
    row_hash: bytes | None
    read_at: datetime
    toggles: tuple[str, ...]


@frozen
class KnownAccount:
    """What the mirror knows about an account.

    Attributes:
        state: the same as ``AccountStatus.state``.
        error: the same as ``AccountStatus.error``.
        watermark: the server's time, in Gregorian seconds, from which the next refresh must look for changes. None if
            no refresh has listed the callflows of the account yet.
        refreshed_at: the beginning of the last complete refresh. None if there was none.
        callflows: the callflows that are not recorded as deleted, by id.
    """

    state: State
    error: str | None
    watermark: int | None
    refreshed_at: datetime | None
    callflows: Mapping[str, KnownCallflow]


@frozen(kw_only=True)
class Read:
    """The response to a request for a document.

    Attributes:
        callflow_id: the id of the callflow.
        callflow: the callflow. None if the server answered 304.
        revision: the revision of the callflow. None if it is unknown or the server answered 304.
        row_hash: the ``content_hash`` of the callflow's row in the listing. None if it is unknown.
        read_at: the time at which the request was sent.
        not_before: if the callflow is new or has changed, a time that is known to be before the change, such as the
            beginning of the last refresh. None if no such time is known. If the stored document was read after
            ``not_before``, the store uses the ``read_at`` of the stored document instead.
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
    """The status of an account in the mirror.

    Attributes:
        account_id: the id of the account.
        name: the name of the account. None if it is unknown.
        state: ``new`` until a refresh of the account has ended. After that, the result of the last refresh: ``ok``,
            ``failed``, ``forbidden`` or ``gone``. A refresh that is interrupted does not change the state, and neither
            does a refresh whose credentials the server refuses.
        state_since: the time since which the account has had this state. None if the state is ``new``.
        refreshed_at: the beginning of the last complete refresh. None if there was none.
        known_since: the end of the first complete refresh. None if there was none.
        error: the text of the error that led to the state. If the state is ``ok``, this text says how many callflows
            could not be read. None if there was no error and no such callflow.
    """

    account_id: str
    name: str | None
    state: State
    state_since: datetime | None
    refreshed_at: datetime | None
    known_since: datetime | None
    error: str | None


@define
class _Locked:
    """A locked account. ``version_ids`` maps the id of each callflow to the id of its current version."""

    account_id: str
    known: KnownAccount
    known_since: datetime | None
    version_ids: dict[str, int]

    def last_seen(self, callflow_id: str, other: datetime | None) -> datetime | None:
        """Return a time that precedes a new change of the callflow.

        Return ``other`` or the ``read_at`` of the stored document, whichever is later. Return None if both are missing.
        """
        known = self.known.callflows.get(callflow_id)
        return max((time for time in (other, known and known.read_at) if time), default=None)


class Store:
    """Stores the callflows of many accounts, and the history of these callflows, in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vinix-mirror")
        self._locked: dict[str, _Locked] = {}
        self._is_connected = False
        self._is_closed = False
        self._process: int | None = None  # the process that has the thread and the connection

    async def run(self, work: Callable[[Database], T], *, create: bool = False) -> T:
        """Run ``work`` in the store's thread and return its result. The first call connects to the database.

        If ``create`` is true and the file or the tables are missing, the first call creates them. If the connection was
        lost in an earlier call, this call connects again.
        """
        if self._is_closed:
            raise MirrorError("the Mirror object was closed: create a new one")
        self._process = self._process or os.getpid()
        if self._process != os.getpid():
            raise MirrorError("the Mirror object was used before this process was forked: create a new one")

        def run() -> T:
            try:
                if not self._is_connected or self._database.is_lost():
                    self._locked.clear()  # the locks ended with the connection
                    self._database.connect(create=create)
                    self._is_connected = True
                return work(self._database)
            except self._database.failures as error:
                failure = self._database.explain(error)
            raise failure  # outside the except block, so that the driver's error is not the context of ``failure``

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    async def close(self) -> None:
        """Wait for the calls that are running, release all locks and disconnect. Closing again has no effect."""

        def close() -> None:
            if self._is_connected:
                self._database.close()

        if not self._is_closed:
            self._is_closed = True
            if self._process != os.getpid():
                return
            await asyncio.get_running_loop().run_in_executor(self._thread, close)
            self._thread.shutdown(wait=False)

    # --- a run, which is a refresh of any number of accounts ---

    async def begin_run(self, now: datetime) -> int:
        """Record the beginning of a run and return the run's id. Create the file or the tables if they are missing."""

        def work(database: Database) -> int:
            ((run_id,),) = database.execute("INSERT INTO runs (started_at) VALUES (?) RETURNING run_id", now)
            return int(run_id)

        return await self.run(work, create=True)

    async def end_run(
        self, run_id: int, now: datetime, *, ok: int, failed: int, requests: int, added: int, changed: int, deleted: int
    ) -> None:
        """Record the results of a run. If no account is locked, also release the lock of an SQLite file."""

        def work(database: Database) -> None:
            try:
                database.execute(
                    "UPDATE runs SET ended_at = ?, accounts_ok = ?, accounts_failed = ?, requests = ?,"
                    " added = ?, changed = ?, deleted = ? WHERE run_id = ?",
                    *(now, ok, failed, requests, added, changed, deleted, run_id),
                )
            finally:
                if not self._locked:
                    database.end_run()

        await asyncio.shield(self.run(work))  # a cancelled task must not leave the file locked

    # --- an account ---

    async def lock(self, account_id: str, name: str | None = None) -> KnownAccount | None:
        """Lock an account and return what is known about it. An account that is not known yet is added.

        Return None if the account is already locked by this store, or by another one. With SQLite, a store that has
        locked an account excludes other stores from all accounts of the file. If ``name`` is given, it is stored as the
        name of the account. If the task is cancelled during this call, the account is unlocked again.
        """
        is_ours = False

        def work(database: Database) -> KnownAccount | None:
            nonlocal is_ours
            if account_id in self._locked:
                return None
            try:
                if (found := database.try_lock(account_id, _ACCOUNT, _CALLFLOWS)) is None:
                    return None
                self._locked[account_id] = locked = _load(database, account_id, name and storable(name), *found)
            except Exception:
                with suppress(Exception):
                    database.unlock(account_id)
                raise
            is_ours = True
            return locked.known

        def undo(database: Database) -> None:
            if is_ours:
                self._unlock(database, account_id)

        try:
            return await self.run(work)
        except asyncio.CancelledError:
            with suppress(MirrorError):  # a store that was closed has released all locks
                await asyncio.shield(self.run(undo))  # runs after ``work``, which may still be running in the thread
            raise

    async def unlock(self, account_id: str) -> None:
        """Unlock an account. This has no effect if this store has not locked it."""
        # shielded, because a cancelled task must not leave the account locked
        await asyncio.shield(self.run(lambda database: self._unlock(database, account_id)))

    def _unlock(self, database: Database, account_id: str) -> None:
        if self._locked.pop(account_id, None):
            database.unlock(account_id)

    def _held(self, account_id: str) -> _Locked:
        """Return a locked account. Raise ``MirrorError`` if its lock was lost."""
        if account_id not in self._locked:
            raise MirrorError("the connection to the mirror was lost, and with it the locks: refresh again")
        return self._locked[account_id]

    async def begin(self, account_id: str, watermark: int) -> None:
        """Store the first watermark of an account. This must be done before the account's first document is read."""

        def work(database: Database) -> None:
            self._held(account_id)
            statement = "UPDATE accounts SET watermark = ? WHERE account_id = ? AND watermark IS NULL"
            database.execute(statement, watermark, account_id)

        await self.run(work)

    async def write(self, account_id: str, reads: Sequence[Read], *, run_id: int, now: datetime) -> Written:
        """Store the responses to requests for documents.

        A document begins a new version if its ``content_hash`` differs from that of the stored document. The hash does
        not include ``metadata`` and ``_read_only``. The new version begins at ``now``. If the clock was set back,
        ``now`` may be before the beginning of the previous version, or, after a deletion, before its end. The new
        version then begins at that beginning or end.
        """
        return await self.run(lambda database: _write(database, self._held(account_id), reads, run_id, now))

    async def finish(
        self,
        account_id: str,
        *,
        began_at: datetime,
        watermark: int,
        deleted: Collection[str],
        unreadable: Collection[str | None],
        now: datetime,
    ) -> None:
        """Record that a refresh of an account is complete. The state of the account becomes ``ok``.

        Args:
            account_id: the id of the account.
            began_at: the beginning of the refresh on the local clock. It becomes ``refreshed_at``.
            watermark: the beginning of the refresh on the server's clock, in Gregorian seconds.
            deleted: the ids of callflows that no longer exist.
            unreadable: the ids of callflows that could not be read, and None for each one without an id. Their stored
                versions are kept. Their ``row_hash`` becomes None, so that the next refresh reads them again.
            now: the present time. The versions of the deleted callflows end at this time.
        """

        def work(database: Database) -> None:
            locked = self._held(account_id)
            what = "1 callflow" if len(unreadable) == 1 else f"{len(unreadable)} callflows"
            error = f"{what} could not be read" if unreadable else None
            gone = [each for each in deleted if each in locked.version_ids]
            unread = [each for each in unreadable if each in locked.version_ids]
            with database.transaction() if gone or unread else nullcontext():
                if gone:
                    database.execute_many(
                        "UPDATE versions SET valid_to = CASE WHEN valid_from > ? THEN valid_from ELSE ? END,"
                        " ended_by = 'delete', ended_after = ? WHERE version_id = ?",
                        [
                            (now, now, locked.last_seen(each, locked.known.refreshed_at), locked.version_ids[each])
                            for each in gone
                        ],
                    )
                    statement = "DELETE FROM callflows WHERE account_id = ? AND callflow_id = ?"
                    database.execute_many(statement, [(account_id, each) for each in gone])
                if unread:
                    statement = "UPDATE callflows SET row_hash = NULL WHERE account_id = ? AND callflow_id = ?"
                    database.execute_many(statement, [(account_id, each) for each in unread])
                database.execute(
                    "UPDATE accounts SET state_since = CASE WHEN state = 'ok' THEN state_since ELSE ? END,"
                    # If the clock was set back, stored versions may begin after ``now``. The account is then known only
                    # from the latest of these times.
                    " state = 'ok', error = ?, known_since = coalesce(known_since,"
                    " (SELECT max(valid_from) FROM versions WHERE account_id = ? AND valid_from > ?), ?),"
                    " refreshed_at = ?, watermark = ? WHERE account_id = ?",
                    *(now, error, account_id, now, now, began_at, watermark, account_id),
                )

        await self.run(work)

    async def fail(
        self, account_id: str, state: Literal["failed", "forbidden", "gone"], error: str, now: datetime
    ) -> None:
        """Record that an account could not be refreshed, and why. The stored callflows are not changed."""

        def work(database: Database) -> None:
            self._held(account_id)
            database.execute(
                "UPDATE accounts SET state_since = CASE WHEN state = ? THEN state_since ELSE ? END, state = ?,"
                " error = ? WHERE account_id = ?",
                *(state, now, state, storable(error), account_id),
            )

        await self.run(work)

    async def accounts(self) -> list[AccountStatus]:
        """Return the status of all accounts, in the order of their ids."""
        statement = (
            "SELECT account_id, name, state, state_since, refreshed_at, known_since, error FROM accounts"
            " ORDER BY account_id"
        )

        def work(database: Database) -> list[AccountStatus]:
            return [
                AccountStatus(account_id, name, state, to_time(since), to_time(refreshed), to_time(known), error)
                for account_id, name, state, since, refreshed, known, error in database.execute(statement)
            ]

        return await self.run(work)


_ACCOUNT: Final = "SELECT name, state, error, watermark, refreshed_at, known_since FROM accounts WHERE account_id = ?"
_CALLFLOWS: Final = (
    "SELECT callflow_id, version_id, revision, row_hash, read_at, toggles FROM callflows WHERE account_id = ?"
)
Rows: TypeAlias = list[tuple[Any, ...]]


def _load(database: Database, account_id: str, name: str | None, account: Rows, rows: Rows) -> _Locked:
    """Return what is known about an account that was just locked. An account that is not known yet is added.

    ``account`` and ``rows`` are the results of the queries ``_ACCOUNT`` and ``_CALLFLOWS``.
    """
    if not account:
        database.execute("INSERT INTO accounts (account_id, name, state) VALUES (?, ?, 'new')", account_id, name)
        account = [(name, "new", None, None, None, None)]
    ((old_name, state, error, watermark, refreshed_at, known_since),) = account
    if name is not None and name != old_name:
        database.execute("UPDATE accounts SET name = ? WHERE account_id = ?", name, account_id)
    callflows, version_ids = {}, {}
    for callflow_id, version_id, revision, row_hash, read_at, toggles in rows:
        targets = _ids_in(toggles) if toggles else ()
        callflows[callflow_id] = KnownCallflow(revision, row_hash, to_time(read_at), targets)
        version_ids[callflow_id] = version_id
    known = KnownAccount(state, error, watermark, to_time(refreshed_at), callflows)
    return _Locked(account_id, known, to_time(known_since), version_ids)


def _ids_in(text: str) -> tuple[str, ...]:
    with suppress(ValueError):
        return tuple(json.loads(text))
    raise damaged("a list of ids")


@frozen
class _NewVersion:
    """A version of a callflow that is about to be stored."""

    read: Read
    content: Content
    revision: str | None
    replaces: int | None
    valid_from: datetime
    not_before: datetime | None


def _write(database: Database, locked: _Locked, reads: Sequence[Read], run_id: int, now: datetime) -> Written:
    """Do the work of ``Store.write``, in one transaction."""
    contents = {read.callflow_id: content_of(read.callflow) for read in reads if read.callflow is not None}
    known = [locked.version_ids[each] for each in contents if each in locked.version_ids]
    confirmed: list[tuple[Any, ...]] = []
    new: list[_NewVersion] = []
    with database.transaction():
        current = {
            callflow_id: (version_id, bytes(digest), to_time(valid_from))
            for callflow_id, version_id, digest, valid_from in _select_in(
                database,
                "SELECT callflow_id, version_id, hash, valid_from FROM versions WHERE version_id IN (*)",
                known,
            )
        }
        ends = _deletion_times(database, locked, [each for each in contents if each not in current])
        for read in reads:
            content = contents.get(read.callflow_id)
            version_id, digest, valid_from = current.get(read.callflow_id, (None, None, None))
            revision = read.revision and storable(read.revision)
            if content and digest != content.hash:
                begin = max(filter(None, (now, valid_from, ends.get(read.callflow_id))))
                seen = locked.last_seen(read.callflow_id, read.not_before)
                new.append(_NewVersion(read, content, revision, version_id, begin, seen and min(seen, begin)))
            else:
                if content:
                    statement = "UPDATE versions SET metadata = ? WHERE version_id = ?"
                    database.execute(statement, content.metadata, version_id)
                else:
                    revision = None  # after a 304, the stored revision is kept
                confirmed.append((revision, read.row_hash, read.read_at, locked.account_id, read.callflow_id))
        database.execute_many(
            "UPDATE callflows SET revision = coalesce(?, revision), row_hash = ?, read_at = ?"
            " WHERE account_id = ? AND callflow_id = ?",
            confirmed,
        )
        version_ids = _begin_versions(database, locked.account_id, new, run_id)
    locked.version_ids.update(version_ids)
    changed = sum(each.replaces is not None for each in new)
    return Written(len(new) - changed, changed)


def _deletion_times(database: Database, locked: _Locked, callflow_ids: Collection[str]) -> dict[str, datetime]:
    """Return the time at which each callflow was last deleted, by id. Callflows that were never stored are left out.

    If a deleted callflow exists again, its new version must not begin before the deletion.
    """
    if locked.known_since is None:  # no callflow is marked as deleted before the first refresh is complete
        return {}
    statement = (
        "SELECT callflow_id, max(valid_to) FROM versions WHERE account_id = ? AND callflow_id IN (*)"
        " GROUP BY callflow_id"
    )
    return {each: to_time(end) for each, end in _select_in(database, statement, callflow_ids, locked.account_id)}


def _begin_versions(database: Database, account_id: str, new: Sequence[_NewVersion], run_id: int) -> dict[str, int]:
    """End the replaced versions, and insert the new versions. Return the ids of the new versions by callflow id."""
    database.execute_many(
        "UPDATE versions SET valid_to = ?, ended_by = 'change' WHERE version_id = ?",
        [(each.valid_from, each.replaces) for each in new if each.replaces is not None],
    )
    if not new:
        return {}
    with_ids = list(zip(database.new_ids("versions", "version_id", len(new)), new, strict=True))
    database.insert(
        "versions",
        (
            *("version_id", "account_id", "callflow_id", "revision", "name", "type", "valid_from", "not_before"),
            *("replaces", "run_id", "hash", "document", "metadata"),
        ),
        (
            (
                *(version_id, account_id, each.read.callflow_id, each.revision),
                *(each.content.name, each.content.type, each.valid_from, each.not_before),
                *(each.replaces, run_id, each.content.hash, each.content.document, each.content.metadata),
            )
            for version_id, each in with_ids
        ),
    )
    database.insert(
        "refs",
        ("entity_id", "version_id", "position", "path", "field", "module"),
        (
            (entity_id, version_id, position, path, field, module)
            for version_id, each in with_ids
            for position, (entity_id, path, field, module) in enumerate(each.content.references)
        ),
    )
    database.insert(
        "numbers",
        ("number", "account_id", "callflow_id", "version_id"),
        (
            (number, account_id, each.read.callflow_id, version_id)
            for version_id, each in with_ids
            for number in each.content.numbers
        ),
    )
    database.execute_many(
        "INSERT INTO callflows (account_id, callflow_id, version_id, revision, row_hash, read_at, toggles)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account_id, callflow_id) DO UPDATE SET"
        " version_id = excluded.version_id, revision = excluded.revision, row_hash = excluded.row_hash,"
        " read_at = excluded.read_at, toggles = excluded.toggles",
        [
            (
                *(account_id, each.read.callflow_id, version_id, each.revision, each.read.row_hash),
                *(each.read.read_at, json.dumps(each.content.toggles) if each.content.toggles else None),
            )
            for version_id, each in with_ids
        ],
    )
    return {each.read.callflow_id: version_id for version_id, each in with_ids}


def _select_in(database: Database, statement: str, keys: Collection[Any], *values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement in which ``IN (*)`` stands for the keys. Without keys, there are no rows.

    The statement must have the placeholders for ``values`` before ``IN (*)``.
    """
    return database.execute(statement.replace("*", ", ".join("?" * len(keys))), *values, *keys) if keys else []
