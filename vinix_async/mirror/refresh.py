"""Refreshes a mirror. A refresh requests one or two listings of an account, and the documents that may have changed.

``docs/mirror.md`` describes what a refresh guarantees and how many requests it sends.
"""

import asyncio
import logging
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Coroutine, Iterable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from attrs import define, evolve, field, frozen

from .. import (
    Account,
    APIStatusError,
    AuthenticationError,
    BadItem,
    Callflows,
    ClientClosedError,
    ClientStats,
    Clock,
    ConfigurationError,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    VinixClient,
    VinixError,
    to_dict,
)
from .._client import connection_of
from .._listing.sweep import AccountIds, Outcome, Sweep
from .contents import content_hash, toggled_by
from .errors import MirrorError
from .store import KnownAccount, KnownCallflow, Read, Store

if TYPE_CHECKING:
    from .._config import CallOptions
    from .._pipeline.events import Listener
    from .._pipeline.send import Sender

_logger: Final = logging.getLogger("vinix_async")

_GREGORIAN_EPOCH: Final = 62_167_219_200
"""The number of seconds from the beginning of the year 0, which is the server's epoch, to the beginning of 1970."""

_LEAST_GREGORIAN: Final = 10**10
"""The smallest number that the client accepts as a time in Gregorian seconds."""

_LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)
"""A time before every date in a document."""

_BATCH: Final = 32
"""The maximum number of documents of an account that are read concurrently or written in one transaction.

It is also the number of rows that are hashed before other tasks may run. A larger transaction would hold Python's
global interpreter lock (GIL) for so long that it would block the event loop for more than 10 ms.
"""

_COMPARED_AT_ONCE: Final = 1_000
"""The number of callflows that are compared with the listing before other tasks may run. This takes about 1 ms."""

_MOST_DAYS: Final = 36_500
_MAX_ID: Final = 250
"""The maximum number of characters of an id. An index of PostgreSQL cannot contain two ids that are much longer."""

RefreshState = Literal["ok", "fresh", "skipped", "failed", "forbidden", "gone"]


@frozen(kw_only=True)
class AccountRefresh:
    """The result of refreshing one account.

    Attributes:
        account_id: the id of the account.
        state: one of these values. In the last three cases, the mirror keeps the previous data. It may also store
            documents that were read before the error.

            - ``ok``: the mirror contains what the server has, except for ``bad_items``.
            - ``fresh``: the account was left out because of ``max_age``.
            - ``skipped``: another refresh has locked the account, for example in another process. With SQLite, a
              refresh in another process locks all accounts of the file.
            - ``forbidden``: the server answered 403.
            - ``gone``: the server does not know the account.
            - ``failed``: another error occurred.
        added: the number of callflows that were added.
        changed: the number of callflows whose content has changed.
        deleted: the number of callflows that were deleted.
        requests: the number of requests that were sent for the account, including retries. Logins are not counted, and
            neither are the requests that test whether the server applies filters.
        bad_items: rows and documents that could not be read. The mirror keeps the previous data of these callflows.
        error: the error with which the account failed. None if the account did not fail, or if the state ``gone`` is
            not new.
    """

    account_id: str
    state: RefreshState
    added: int = 0
    changed: int = 0
    deleted: int = 0
    requests: int = 0
    bad_items: tuple[BadItem, ...] = field(default=(), repr=lambda items: f"<{len(items)}>")
    error: VinixError | None = None

    @property
    def ok(self) -> bool:
        """Whether the account has neither an error nor bad items."""
        return self.error is None and not self.bad_items


@frozen(kw_only=True)
class RefreshOptions:
    """The options of ``Mirror.refresh``."""

    page_size: int
    overlap: int
    recheck_days: float
    max_age: timedelta | None

    def __attrs_post_init__(self) -> None:
        if type(self.page_size) is not int or self.page_size < 1:
            raise ConfigurationError("page_size must be an int of at least 1")
        if type(self.overlap) is not int or self.overlap < 0:
            raise ConfigurationError("overlap must be an int of at least 0 (seconds)")
        if type(self.recheck_days) not in {int, float} or not 0 < self.recheck_days <= _MOST_DAYS:
            raise ConfigurationError(f"recheck_days must be a number above 0 and at most {_MOST_DAYS} (int or float)")
        if self.max_age is not None and not isinstance(self.max_age, timedelta):
            raise ConfigurationError("max_age must be None or a timedelta such as timedelta(hours=12)")


class MirrorRefresh(Sweep):
    """A refresh of many accounts. ``async for result in refresh`` yields one ``AccountRefresh`` for each account.

    A failing account does not affect the others. Leaving the loop cancels the requests in flight. Use
    ``async with refresh:`` to wait until these requests have ended. If all accounts share credentials, and the server
    refuses these credentials for five accounts in a row, the loop raises ``AuthenticationError``. If the database
    fails, the loop raises ``MirrorError``.

    To continue a refresh that was interrupted, start another one. The new refresh reads a stored document again only if
    the document may have changed.

    Attributes:
        stats: counters, which are always up to date.
    """

    def __init__(
        self,
        store: Store,
        client: VinixClient,
        account_ids: AccountIds,
        *,
        max_concurrency: int,
        options: RefreshOptions,
    ) -> None:
        super().__init__(*connection_of(client), account_ids, max_concurrency=max_concurrency)
        self._run = _Run(
            store=store,
            options=options,
            clock=self._sender.clock,
            calls=partial(_calls, self._sender, self._options),
            on_bad_item=self._bad_item_found,
        )
        self._counts = dict.fromkeys(("ok", "failed", "requests", "added", "changed", "deleted"), 0)

    @property
    def filters_work(self) -> bool | None:
        """Whether the server applies the filter ``modified_from``. None until this is known.

        If the server ignores the filter, a refresh finds only the changes that are visible in the rows of a listing.
        Other changes are found by a later refresh that reads the callflow again because of ``recheck_days``.
        """
        return self._run.filters_work

    def __aiter__(self) -> AsyncIterator[AccountRefresh]:
        return self._begin(self._refresh)

    async def close(self) -> None:
        """End the caller's loop over the results.

        If another task is waiting for the next result, ``MirrorError`` is raised in that task.
        """
        await self._stop(MirrorError("the mirror was closed before every account was refreshed"))

    async def _before(self) -> None:
        self._run.id = await self._run.store.begin_run(self._run.now())

    async def _after(self, *, complete: bool) -> None:
        try:
            await self._run.store.end_run(self._run.id, self._run.now(), **self._counts)
        except MirrorError:
            if complete:  # otherwise, the cause of the early end says more
                raise

    def _hand_out(self, outcome: Outcome) -> None:
        super()._hand_out(outcome)
        self._counts["ok" if outcome.value.error is None else "failed"] += 1
        for name in ("requests", "added", "changed", "deleted"):
            self._counts[name] += getattr(outcome.value, name)

    def _check_credentials(self, value: AccountRefresh) -> None:
        if value.requests or value.error is not None:  # without a request, nothing is known about the credentials
            super()._check_credentials(value)

    async def _refresh(self, account: Account) -> AsyncGenerator[Outcome, None]:
        """Yield the result of an account."""
        run, began = self._run, self._run.clock.monotonic()
        stats = ClientStats(now=run.clock.monotonic)
        work = _AccountWork(run, account.id, run.calls(stats))
        state, error = await work.run(account.name)
        result = AccountRefresh(
            account_id=account.id,
            state=state,
            added=work.added,
            changed=work.changed,
            deleted=work.deleted,
            requests=stats.requests - stats.logins,
            bad_items=tuple(work.bad_items),
            error=error,
        )
        self._account_ended(account, began, error, callflows=len(work.rows), bad_items=len(work.bad_items))
        yield Outcome(result, bad=bool(work.bad_items))


def _calls(sender: "Sender", options: "CallOptions", *listeners: "Listener") -> Callflows:
    """Return a view of the client's callflows that also notifies ``listeners``."""
    return Callflows(sender, evolve(options, listeners=(*options.listeners, *listeners)))


@define(kw_only=True, eq=False)
class _Run:
    """The state that all accounts of a refresh share.

    ``calls`` accepts listeners, and returns a view of the client's callflows that notifies these listeners.
    """

    store: Store
    options: RefreshOptions
    clock: Clock
    calls: Callable[..., Callflows]
    on_bad_item: Callable[[BadItem], None]
    id: int = 0
    filters_work: bool | None = None
    _probing: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.time(), UTC)

    async def can_filter(self, account_id: str) -> bool:
        """Return whether the server applies filters. If this is not known yet, test it with this account.

        The account must have callflows. The test uses a time before every date in a document. If the server applies
        filters, a listing with ``modified_from`` has rows, and a listing with ``modified_to`` has none. A future time
        cannot be used, because a document without a date passes every ``modified_from``.
        """
        async with self._probing:
            if self.filters_work is None:
                try:
                    self.filters_work = await self._probe(account_id)
                except VinixError:
                    return True  # assumed; if the server ignores filters, too many documents are read
                if not self.filters_work:
                    _logger.warning(
                        "the server ignores the filter modified_from, so a change that is not visible in a listing is "
                        "found only when the callflow is read again (recheck_days=%g)",
                        self.options.recheck_days,
                    )
            return self.filters_work

    async def _probe(self, account_id: str) -> bool:
        calls = self.calls()
        some = await calls.list(account_id, page_size=1, filters={"modified_from": _LONG_AGO}, on_bad_item="skip")
        # If no row passes the filter, Kazoo 4.3 reads the whole account page by page. A large page makes this faster.
        size = self.options.page_size
        none = await calls.list(account_id, page_size=size, filters={"modified_to": _LONG_AGO}, on_bad_item="skip")
        return bool(some.items or some.bad_items) and not (none.items or none.bad_items)


@define(eq=False)
class _Listing:
    """The rows of a listing.

    ``rows`` maps the id of each row to the hash of the row. The hash is None if the row is invalid or the listing has
    filters. ``began`` is the Unix time at which the listing was requested. At this time, the server had not read any
    row yet. The time is that of the server's clock, or that of our clock if the server sends no timestamp.
    """

    began: float
    rows: dict[str, bytes | None] = field(factory=dict)


class _AccountWork:
    """The refresh of one account."""

    def __init__(self, run: _Run, account_id: str, calls: Callflows) -> None:
        self.added = self.changed = self.deleted = 0
        self.bad_items: list[BadItem] = []
        self.rows: dict[str, bytes | None] = {}
        self._run = run
        self._store = run.store
        self._account_id = account_id
        self._calls = calls
        self._began_at = run.now()
        self._known = KnownAccount("new", None, None, None, {})
        self._batch: list[Read] = []
        self._not_found: list[NotFoundError] = []  # the 404s for callflows that the mirror contains
        self._toggled: set[str] = set()  # callflows that the server changes when another callflow is dialled
        self._recent: set[str] = set()  # callflows that the listings show as new or changed

    async def run(self, name: str | None) -> tuple[RefreshState, VinixError | None]:
        """Refresh the account. Return the state of the refresh, and the error if the refresh failed."""
        try:
            self._calls.list(self._account_id)
            _check_length("account_id", self._account_id)
        except ConfigurationError as error:  # the account id is invalid, so it must not be stored
            return "failed", error
        known = await self._store.lock(self._account_id, name)
        if known is None:
            return "skipped", None
        try:
            self._known = known
            return ("fresh", None) if self._is_fresh() else await self._run_locked()
        finally:
            await self._store.unlock(self._account_id)

    def _is_fresh(self) -> bool:
        max_age, refreshed_at = self._run.options.max_age, self._known.refreshed_at
        if max_age is None or refreshed_at is None or self._known.error is not None:  # of the account or of callflows
            return False
        return timedelta(0) <= self._began_at - refreshed_at < max_age

    async def _run_locked(self) -> tuple[RefreshState, VinixError | None]:
        try:
            await self._update()
        except (MirrorError, ClientClosedError):
            raise
        except AuthenticationError as error:  # the account is not at fault: keep the state that is stored for it
            return "failed", error.with_traceback(None)
        except VinixError as error:
            failure = error.with_traceback(None)  # the frames of the traceback would keep the rows in memory
        else:
            return "ok", None
        await self._write()  # store what was read before the error, so that the next refresh need not read it again
        state = _state_after(failure)
        if state == "gone" == self._known.state:
            return state, None
        await self._store.fail(self._account_id, state, f"{type(failure).__name__}: {failure}", self._run.now())
        return state, failure

    async def _update(self) -> None:
        known, run = self._known, self._run
        listings = [self._list()]
        if known.watermark is not None and run.filters_work is not False:
            since = max(known.watermark - run.options.overlap, _LEAST_GREGORIAN)
            listings.append(self._list(modified_from=str(since)))
        everything, *others = await _all(listings)
        self.rows = everything.rows
        modified: Collection[str] = others[0].rows if others else ()
        if others and self.rows and not await run.can_filter(self._account_id):
            modified = ()
        began = int(min(listing.began for listing in (everything, *others))) + _GREGORIAN_EPOCH
        if known.watermark is None:
            # Store the watermark before the first document is read. If this refresh is killed, the next one then looks
            # for all changes since this time. With a later watermark, it would miss changes to documents that this
            # refresh has already stored.
            await self._store.begin(self._account_id, began)
        suspects = await self._suspects(modified, began)
        await self._read_all(suspects)
        # The documents that were just read may contain modules with which the server changes other callflows.
        await self._read_all(self._toggled.difference(suspects) & known.callflows.keys())
        deleted = await self._deleted()
        await self._store.finish(
            self._account_id,
            began_at=self._began_at,
            watermark=began,
            deleted=deleted,
            unreadable=[item.id for item in self.bad_items],
            now=run.now(),
        )
        self.deleted = len(deleted)

    # --- listings ---

    async def _list(self, **filters: str) -> _Listing:
        """Return all rows of a listing.

        If the server answers 416, because a page exceeds its memory limit, continue with half the page size.
        """
        clock = self._run.clock
        asked, is_first_page = clock.monotonic(), True
        found = _Listing(clock.time())
        page_size, start_key = self._run.options.page_size, None
        while True:
            pager = self._calls.list(
                self._account_id, page_size=page_size, start_key=start_key, filters=filters, on_bad_item="skip"
            )
            try:
                async with aclosing(pager.by_page()) as pages:
                    async for page in pages:
                        if is_first_page and page.timestamp is not None:
                            # The server sets the timestamp after it has read the rows, so the reading began earlier.
                            found.began = page.timestamp.timestamp() - (clock.monotonic() - asked)
                        is_first_page = False
                        if filters:
                            found.rows.update(dict.fromkeys(_ids(page.items, page.bad_items)))
                        else:
                            await self._add_rows(found.rows, page.items, page.bad_items)
            except APIStatusError as error:
                if error.status != 416 or page_size == 1:
                    raise
                page_size, start_key = page_size // 2, error.start_key or start_key
            else:
                return found

    async def _add_rows(
        self, rows: dict[str, bytes | None], items: Iterable[Any], bad_items: Iterable[BadItem]
    ) -> None:
        for index, row in enumerate(items):
            if index % _BATCH == _BATCH - 1:
                await asyncio.sleep(0)
            if row.id:
                rows[row.id] = content_hash(to_dict(row))
            else:
                self._add_bad_item(None, DecodeError("a row of the listing has no id", account_id=self._account_id))
        for item in bad_items:
            if item.id:
                rows[item.id] = None  # no hash, so the document is read: it may be valid although the row is not
            else:
                self.bad_items.append(item)

    # --- documents ---

    async def _suspects(self, modified: Collection[str], began: int) -> list[str]:
        """Return the ids of the callflows that may be new, changed or deleted.

        These include the callflows that are not listed: only a 404 for a callflow itself proves that it was deleted.
        """
        known = self._known.callflows
        self._toggled.update(*(callflow.toggles for callflow in known.values()))
        all_are_suspect = self._clock_was_set_back(began)
        found = []
        for index, callflow_id in enumerate(dict.fromkeys((*self.rows, *modified, *known))):
            if index % _COMPARED_AT_ONCE == _COMPARED_AT_ONCE - 1:
                await asyncio.sleep(0)
            callflow = known.get(callflow_id)
            if (
                callflow is None
                or callflow_id in modified
                or (callflow.row_hash is not None and callflow.row_hash != self.rows.get(callflow_id))
            ):
                self._recent.add(callflow_id)
            if (
                all_are_suspect
                or callflow is None
                or callflow_id in self._recent
                or callflow.row_hash is None
                or callflow_id in self._toggled  # the server can change the callflow without updating the date
                or self._is_due(callflow_id, callflow)
            ):
                found.append(callflow_id)
        return found

    def _is_due(self, callflow_id: str, callflow: KnownCallflow) -> bool:
        """Whether a callflow must be read again because it was last read too long ago.

        The limit is between 50 % and 100 % of ``recheck_days``. It depends on the id, so that the callflows of an
        account are not all due on the same day.
        """
        share = 0.5 + zlib.crc32(callflow_id.encode()) / 2**33
        age = self._began_at - callflow.read_at
        # The age is negative if our clock was fast when the callflow was read.
        return not timedelta(0) <= age < timedelta(days=self._run.options.recheck_days) * share

    def _clock_was_set_back(self, began: int) -> bool:
        """Whether the server's clock has fallen behind ours by more than ``overlap`` since the last refresh.

        If so, a change since then may have a date before ``watermark``, and a search from ``watermark`` would miss it.
        """
        watermark, refreshed_at = self._known.watermark, self._known.refreshed_at
        if watermark is None or refreshed_at is None:
            return False
        lost = (self._began_at - refreshed_at).total_seconds() - (began - watermark)
        return lost > self._run.options.overlap + 2  # the server's times are whole seconds

    async def _read_all(self, callflow_ids: Collection[str]) -> None:
        waiting = iter(callflow_ids)

        async def read_some() -> None:
            for callflow_id in waiting:
                await self._read(callflow_id)
                if len(self._batch) >= _BATCH:
                    await self._write()

        await _all(read_some() for _ in range(min(_BATCH, len(callflow_ids))))
        await self._write()

    async def _read(self, callflow_id: str) -> None:
        known = self._known.callflows.get(callflow_id)
        asked_at = self._run.now()
        try:
            _check_length("callflow_id", callflow_id)
            revised = await self._calls.get_if_changed(
                self._account_id, callflow_id, None if known is None else known.revision
            )
        except NotFoundError as error:
            if error.message != "bad_identifier":
                self._add_bad_item(callflow_id, error)
            elif error.cause == self._account_id != callflow_id:
                raise
            elif known is not None:
                self._not_found.append(error)
        except (AuthenticationError, PermissionDeniedError, RateLimitError, ClientClosedError):
            raise
        except VinixError as error:
            if error.affects_others:
                raise
            self._add_bad_item(callflow_id, error)
        else:
            callflow = None if revised is None else revised.callflow
            if callflow is not None:
                self._toggled |= toggled_by(callflow)
            self._batch.append(
                Read(
                    callflow_id=callflow_id,
                    callflow=callflow,
                    revision=None if revised is None else revised.revision,
                    row_hash=self.rows.get(callflow_id),
                    read_at=asked_at,
                    not_before=self._known.refreshed_at if callflow_id in self._recent else None,
                )
            )

    async def _write(self) -> None:
        batch, self._batch = self._batch, []
        if batch:
            written = await self._store.write(self._account_id, batch, run_id=self._run.id, now=self._run.now())
            self.added += written.added
            self.changed += written.changed

    async def _deleted(self) -> list[str]:
        """Return the ids of the deleted callflows. The server has answered 404 to the requests for these callflows.

        A 404 can also mean that the account does not exist. If that is possible, list the callflows of the account
        first. The listing raises an error if the account does not exist.
        """
        if any(error.cause in {None, self._account_id} for error in self._not_found):
            await self._calls.list(self._account_id, page_size=1, on_bad_item="skip")
        return [error.callflow_id or "" for error in self._not_found]

    # --- bad items ---

    def _add_bad_item(self, callflow_id: str | None, error: VinixError) -> None:
        item = BadItem(account_id=self._account_id, id=callflow_id, index=None, error=error.with_traceback(None))
        self.bad_items.append(item)
        self._run.on_bad_item(item)


def _check_length(name: str, value: str) -> None:
    if len(value) > _MAX_ID:
        raise ConfigurationError(f"a mirror cannot store {name}s of more than {_MAX_ID} characters")


def _ids(items: Iterable[Any], bad_items: Iterable[BadItem]) -> Iterator[str]:
    yield from (each.id for each in (*items, *bad_items) if each.id)


def _state_after(error: VinixError) -> Literal["failed", "forbidden", "gone"]:
    if isinstance(error, PermissionDeniedError):
        return "forbidden"
    is_gone = isinstance(error, NotFoundError) and error.message in {"bad_identifier", "bad identifier"}
    return "gone" if is_gone else "failed"


async def _all(work: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Run coroutines concurrently. Return the results. The first error is raised and cancels the other coroutines."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
