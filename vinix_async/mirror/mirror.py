"""Defines ``Mirror``, a copy of the callflows of many accounts, and its queries."""

import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from weakref import WeakSet

from .. import Callflow, ConfigurationError, DecodeError, VinixClient, decode_page
from .answers import NumberUse, StoredChange, Use, Version
from .contents import search_key, storable
from .errors import NotKnownError, damaged
from .refresh import MirrorRefresh, RefreshOptions
from .sqlite import SqliteDatabase
from .store import AccountStatus, Database, Store
from .times import to_time

if TYPE_CHECKING:
    from types import TracebackType

    from .._listing.sweep import AccountIds

Row = Sequence[Any]
T = TypeVar("T")

_DOCUMENTS: Final = 32
"""The number of rows that are read from the database at once if they contain documents."""

_ROWS: Final = 500
"""The number of rows that are read from the database at once if they do not contain documents."""

_NOW: Final = datetime.max.replace(tzinfo=UTC)
"""The time that stands for the present in an SQL statement. It is later than the end of every version."""

_NOT_GONE: Final = "account_id NOT IN (SELECT account_id FROM accounts WHERE state = 'gone')"

# Each of the following statements reads one page. The first columns of a row are its key. The last parameters of the
# statement are the key of the last row of the previous page, and the size of a page.
_CHANGES: Final = """
SELECT at, found.version_id, ended, found.account_id, found.callflow_id, found.not_before,
       old.document, old.metadata, new.document, new.metadata
FROM (
  SELECT * FROM (
    SELECT valid_from AS at, version_id, 0 AS ended, account_id, callflow_id, not_before,
           replaces AS old_id, version_id AS new_id
    FROM versions WHERE not_before IS NOT NULL AND valid_from >= ? AND valid_from < ?
    UNION ALL
    SELECT valid_to, version_id, 1, account_id, callflow_id, ended_after, version_id, NULL
    FROM versions WHERE ended_by = 'delete' AND valid_to >= ? AND valid_to < ?
  ) AS events
  WHERE {which} AND (at, version_id, ended) > (?, ?, ?) ORDER BY at, version_id, ended LIMIT ?
) AS found
LEFT JOIN versions AS old ON old.version_id = old_id LEFT JOIN versions AS new ON new.version_id = new_id
ORDER BY at, found.version_id, ended"""
_USES: Final = f"""
SELECT r.version_id, r.position, r.path, r.field, v.account_id, v.callflow_id, r.module, v.name
FROM refs AS r JOIN versions AS v ON v.version_id = r.version_id
WHERE r.entity_id = ? AND v.valid_from <= ? AND (v.valid_to IS NULL OR v.valid_to > ?) AND v.{_NOT_GONE}
  AND (r.version_id, r.position) > (?, ?) ORDER BY r.version_id, r.position LIMIT ?"""  # noqa: S608  # our own text
_NUMBERS: Final = f"""
SELECT n.account_id, n.callflow_id, n.version_id, v.valid_from, v.valid_to, v.name
FROM numbers AS n JOIN versions AS v ON v.version_id = n.version_id
WHERE n.number = ? AND n.{_NOT_GONE}
  AND (n.account_id, n.callflow_id, n.version_id) > (?, ?, ?) ORDER BY 1, 2, 3 LIMIT ?"""  # noqa: S608  # our own text
_HISTORY: Final = """
SELECT version_id, valid_from, not_before, valid_to, ended_by, document, metadata
FROM versions WHERE account_id = ? AND callflow_id = ? AND version_id > ? ORDER BY version_id LIMIT ?"""
_CALLFLOWS: Final = """
SELECT callflow_id, document, metadata
FROM versions WHERE account_id = ? AND valid_from <= ? AND (valid_to IS NULL OR valid_to > ?)
  AND callflow_id > ? ORDER BY callflow_id LIMIT ?"""


class Mirror:
    """A copy of the callflows of many accounts in a database, with their history.

    ``database`` is the path of an SQLite file, or a ``postgresql://`` address (extra ``postgres``). Values that the
    address does not contain, such as the password, come from the same sources as for psql, such as ``PGPASSWORD`` and
    ``~/.pgpass``. The database is opened when it is first used. The first refresh creates the file or the tables.

    The queries ``changes``, ``uses``, ``numbers``, ``history`` and ``callflows`` return async iterators. All times are
    aware datetimes. A period includes ``since`` but not ``until``. The mirror keeps no history of ``metadata``: a
    version of a callflow has the ``metadata`` that the server sent when this version was last read.

    A query needs data for one time: ``at`` or ``since``, or else ``until``, or else the present. A query for one
    account raises ``NotKnownError`` if no refresh of the account had been completed by this time. A query for all
    accounts leaves out the accounts that are ``gone``. It raises ``NotKnownError`` only if no refresh of any other
    account had been completed by this time.

    Raises:
        ConfigurationError: ``database`` or an argument of a query is invalid.
        MirrorError: the mirror is closed, or its database cannot be used.
        NotKnownError: the mirror has no data for the account, the callflow or the time.
    """

    def __init__(self, database: str | os.PathLike[str]) -> None:
        self._store = Store(_database(os.fspath(database)))
        self._refreshes: WeakSet[MirrorRefresh] = WeakSet()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all refreshes that are running, and close the database. A closed mirror cannot be used again."""
        for refresh in list(self._refreshes):
            await refresh.close()
        await self._store.close()

    def refresh(
        self,
        client: VinixClient,
        account_ids: "AccountIds",
        *,
        max_concurrency: int = 32,
        page_size: int = 1000,
        overlap: int = 600,
        recheck_days: float = 30,
        max_age: timedelta | None = None,
    ) -> MirrorRefresh:
        """Refresh accounts concurrently. The returned object yields one ``AccountRefresh`` for each account.

        Nothing is sent before the object is iterated over. An account in which nothing has changed usually takes two
        requests. Each callflow that is new, changed or deleted takes one more. ``docs/mirror.md`` says which other
        callflows are read again.

        Args:
            client: the client that reads the accounts.
            account_ids: as for ``callflows.list_many``.
            max_concurrency: as for ``callflows.list_many``.
            page_size: the maximum number of rows per request.
            overlap: a number of seconds. The changes that were made in the ``overlap`` seconds before the last refresh
                are requested again. This is necessary because the servers of a cluster may have different clocks, or
                may see a change at different times.
            recheck_days: the maximum number of days after which a callflow is read again even if it does not seem to
                have changed. It may be read after half of this time, so that not all callflows are due at once.
            max_age: accounts are not refreshed if their last refresh was complete, without bad items, and began less
                than this time ago. None refreshes all accounts.

        Raises:
            ConfigurationError: an argument is invalid. The error of a single account is in its ``AccountRefresh``.
        """
        if not isinstance(client, VinixClient):
            raise ConfigurationError(f"client must be a VinixClient, not {type(client).__name__}")
        refresh = MirrorRefresh(
            self._store,
            client,
            account_ids,
            max_concurrency=max_concurrency,
            options=RefreshOptions(page_size=page_size, overlap=overlap, recheck_days=recheck_days, max_age=max_age),
        )
        self._refreshes.add(refresh)
        return refresh

    # --- queries ---

    async def status(self) -> list[AccountStatus]:
        """Return the status of all accounts, in the order of their ids."""
        return await self._store.accounts()

    def changes(
        self, since: datetime, until: datetime | None = None, account_id: str | None = None
    ) -> AsyncIterator[StoredChange]:
        """Yield the changes that refreshes found in a period, in chronological order.

        A change is the addition, modification or deletion of a callflow. The callflows that the first refresh of an
        account found do not count as added. Without ``account_id``, the changes of all accounts are included.
        """
        which = f"events.{_NOT_GONE}" if account_id is None else "events.account_id = ?"
        named = () if account_id is None else (storable(account_id),)
        begin, end = _aware("since", since), _aware("until", until or _NOW)

        def values(at: Any, *after: Any) -> Row:
            return at, end, at, end, *named, at, *after

        pages = self._pages(_CHANGES.format(which=which), values, (begin, -1, 0), _read_changes, _DOCUMENTS)
        return self._if_known(account_id, begin, pages)

    def uses(self, entity_id: str, at: datetime | None = None) -> AsyncIterator[Use]:
        """Yield the references to an entity in the callflows of all accounts, as they are now or were at ``at``.

        An entity is for example a voicemail box, a user or a media file.
        """
        when = _aware("at", at or _NOW)

        def values(*after: Any) -> Row:
            return search_key(entity_id), when, when, *after

        pages = self._pages(_USES, values, (-1, -1), _read_uses, _ROWS)
        return self._if_known(None, when, _of_one_version(pages))

    def numbers(
        self, number: str, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncIterator[NumberUse]:
        """Yield a ``NumberUse`` for each period in which a callflow had ``number``.

        Only periods that overlap the time from ``since`` to ``until`` are included. Without these arguments, all
        periods are included. The periods are sorted by account id, then by callflow id, then by time. ``number`` must
        have the form in which callflows contain it, such as ``+15551234567`` (see ``flows.normalize``).
        """
        begin, end = since and _aware("since", since), _aware("until", until or _NOW)
        pages = self._pages(_NUMBERS, lambda *after: (search_key(number), *after), ("", "", -1), _read_numbers, _ROWS)
        return self._if_known(None, begin or end, _joined(pages, begin, end))

    def history(self, account_id: str, callflow_id: str) -> AsyncIterator[Version]:
        """Yield the versions of a callflow in chronological order.

        Raises ``NotKnownError`` if the mirror has no version of the callflow.
        """

        def values(*after: Any) -> Row:
            return storable(account_id), storable(callflow_id), *after

        versions = self._pages(_HISTORY, values, (-1,), _read_versions, _DOCUMENTS)
        unknown = NotKnownError(f"the mirror has no version of callflow {callflow_id} of account {account_id}")
        return self._if_known(account_id, _NOW, _at_least_one(versions, unknown))

    def callflows(self, account_id: str, at: datetime | None = None) -> AsyncIterator[Callflow]:
        """Yield the callflows of an account in the order of their ids, as they were at ``at`` (default: now)."""
        when = _aware("at", at or _NOW)

        def values(*after: Any) -> Row:
            return storable(account_id), when, when, *after

        return self._if_known(account_id, when, self._pages(_CALLFLOWS, values, ("",), _read_callflows, _DOCUMENTS))

    async def _pages(
        self,
        statement: str,
        values: Callable[..., Row],
        key: Row,
        read: Callable[[list[tuple[Any, ...]]], Iterable[T]],
        size: int,
    ) -> AsyncIterator[T]:
        """Yield the objects that ``read`` creates from the rows of a statement.

        The rows are read in pages of ``size`` rows. ``values`` returns the parameters of the statement, except the page
        size. For the first page, ``values`` is called with ``key``, which sorts before the keys of all rows. For each
        further page, ``values`` is called with the key of the last row of the previous page.
        """

        def work(database: Database) -> tuple[list[tuple[Any, ...]], list[T]]:
            rows = database.execute(statement, *values(*key), size)
            return rows, list(read(rows))

        while True:
            rows, answers = await self._store.run(work)
            for answer in answers:
                yield answer
            if len(rows) < size:
                return
            key = rows[-1][: len(key)]

    async def _if_known(self, account_id: str | None, at: datetime, answers: AsyncIterator[T]) -> AsyncIterator[T]:
        """Yield the answers. Raise ``NotKnownError`` if no refresh of the account had been completed by ``at``.

        If ``account_id`` is None, a completed refresh of any account that is not ``gone`` is enough.
        """
        where, named = ("state <> 'gone'", ()) if account_id is None else ("account_id = ?", (storable(account_id),))
        statement = f"SELECT min(known_since) FROM accounts WHERE {where}"  # noqa: S608  # our own texts
        ((found,),) = await self._store.run(lambda database: database.execute(statement, *named))
        known_since = to_time(found)
        what = "any account" if account_id is None else f"account {account_id}"
        if known_since is None:
            reason = "every account is gone or has" if account_id is None else "this account has"
            raise NotKnownError(f"the mirror has no data for {what}: {reason} not been refreshed completely yet")
        if at < known_since:
            raise NotKnownError(f"the mirror has no data for {what} before {known_since:%Y-%m-%d %H:%M:%S} UTC")
        async for answer in answers:
            yield answer


def _database(address: str) -> Database:
    scheme, is_address, _ = address.partition("://")
    # A text such as "host=... password=..." is meant for PostgreSQL. The password must not become the name of a file.
    if address and not is_address and "\0" not in address and "password=" not in address.replace(" ", ""):
        return SqliteDatabase(Path(address))
    if scheme not in {"postgres", "postgresql"}:
        raise ConfigurationError("database must be the path of an SQLite file or a postgresql:// address")
    try:
        from .postgres import PostgresDatabase  # noqa: PLC0415  # an extra
    except ImportError:
        raise ConfigurationError("a PostgreSQL mirror needs psycopg: pip install 'vinix-async[postgres]'") from None
    return PostgresDatabase(address)


def _aware(name: str, time: object) -> datetime:
    """Return ``time`` in UTC if it is a datetime with a time zone. Otherwise raise ``ConfigurationError``."""
    if not isinstance(time, datetime) or time.utcoffset() is None:
        raise ConfigurationError(
            f"{name} must be a datetime with a time zone, such as datetime(2026, 3, 1, tzinfo=UTC)"
        )
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ConfigurationError(f"{name} must be in the years 1 to 9999 in UTC") from None


def _documents(texts: Iterable[Row]) -> Iterator[Callflow]:
    """Return the callflows of (document, metadata) pairs. Pairs without a document are left out."""
    whole = (_with_metadata(document, metadata) for document, metadata in texts if document)
    with suppress(DecodeError):
        return iter(decode_page(f'{{"data":[{",".join(whole)}]}}'.encode()).items)
    raise damaged("a document")


def _with_metadata(document: str, metadata: str | None) -> str:
    """Insert ``metadata`` into the JSON text of a document. The database stores the two texts separately."""
    if not metadata:
        return document
    comma = "" if document == "{}" else ","
    return f'{{"metadata":{metadata}{comma}{document[1:]}'


def _read_changes(rows: list[tuple[Any, ...]]) -> Iterator[StoredChange]:
    olds, news = _documents(row[6:8] for row in rows), _documents(row[8:] for row in rows)
    for at, _, _, account_id, callflow_id, not_before, old_document, _, new_document, _ in rows:
        old, new = next(olds) if old_document else None, next(news) if new_document else None
        kind: Any = "deleted" if new is None else "added" if old is None else "changed"
        yield StoredChange(account_id, callflow_id, kind, to_time(at), to_time(not_before), old, new)


def _read_uses(rows: list[tuple[Any, ...]]) -> Iterator[tuple[int, Use]]:
    for version_id, _, path, field, account_id, callflow_id, module, name in rows:
        yield version_id, Use(account_id, callflow_id, module, path, field, name)


def _read_numbers(rows: list[tuple[Any, ...]]) -> Iterator[NumberUse]:
    for account_id, callflow_id, _, valid_from, valid_to, name in rows:
        yield NumberUse(account_id, callflow_id, to_time(valid_from), to_time(valid_to), name)


def _read_versions(rows: list[tuple[Any, ...]]) -> Iterator[Version]:
    for row, document in zip(rows, _documents(row[5:] for row in rows), strict=True):
        _, valid_from, not_before, valid_to, ended_by, *_ = row
        yield Version(to_time(valid_from), to_time(not_before), to_time(valid_to), ended_by, document)


def _read_callflows(rows: list[tuple[Any, ...]]) -> Iterator[Callflow]:
    return _documents(row[1:] for row in rows)


async def _of_one_version(uses: AsyncIterator[tuple[int, Use]]) -> AsyncIterator[Use]:
    """Yield the uses of one version of each callflow. ``uses`` has the id of the version with each use.

    If a refresh changes a callflow after a page was read, a later page also has uses of the new version. These are left
    out.
    """
    version_ids: dict[tuple[str, str], int] = {}
    async for version_id, use in uses:
        if version_ids.setdefault((use.account_id, use.callflow_id), version_id) == version_id:
            yield use


async def _joined(uses: AsyncIterator[NumberUse], since: datetime | None, until: datetime) -> AsyncIterator[NumberUse]:
    """Join adjacent periods of the same callflow, and yield the joined ones that overlap ``since`` to ``until``.

    ``uses`` has a period for each version of a callflow.
    """
    last: NumberUse | None = None

    def overlaps(use: NumberUse) -> bool:
        return use.valid_from < until and not (since and use.valid_to and use.valid_to <= since)

    async for use in uses:
        ids = (use.account_id, use.callflow_id)
        # If a refresh ended the version of ``last`` after its page was read, ``last.valid_to`` is still None.
        if last and (last.account_id, last.callflow_id) == ids and last.valid_to in {None, use.valid_from}:
            last = NumberUse(*ids, last.valid_from, use.valid_to, use.name)
            continue
        if last and overlaps(last):
            yield last
        last = use
    if last and overlaps(last):
        yield last


async def _at_least_one(items: AsyncIterator[T], error: Exception) -> AsyncIterator[T]:
    """Yield the items. Raise ``error`` if there are none."""
    is_empty = True
    async for item in items:
        is_empty = False
        yield item
    if is_empty:
        raise error
