"""The listing of one account: pages, cursors, repeated rows, invalid rows and checkpoints.

The cursor of a page is contained in the previous page, so at most one page can be requested ahead. A listing ends with
the first page that has no ``next_start_key``. The number of rows does not show the end: even an empty page may have a
cursor (``docs/server.md``, Listings).

Terms: a *row* is an element of a page's ``data``. An *item* is the document that is yielded for a row: the row itself
or, with ``details=True``, the full document. A *bad item* is a row or a document that could not be read.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterable, Iterator
from datetime import datetime
from typing import Any, Final, Generic, Literal, TypeVar

from attrs import define, evolve, field, frozen

from .._config import CallOptions, check_count
from .._documents.decode import BadRow, iter_rows, read_rows
from .._documents.models import Account, Callflow
from .._exceptions import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    DecodeError,
    NotFoundError,
    PaginationLoopError,
    RateLimitError,
    VinixError,
)
from .._http.request import Request, encode_query
from .._http.response import Envelope, about_response, decode_envelope
from .._pipeline.events import BadItemFound, CallflowDeleted, CallflowsRead
from .._pipeline.send import Sender, result_of
from .._public import public
from .checkpoint import Checkpoint, same_scope

T = TypeVar("T", bound=Account | Callflow)

Batch = tuple[list[str], list[T]]
"""The ids of some rows, and the items that are yielded for these rows."""

OnBadItem = Literal["raise", "skip"]

_MAX_EMPTY_PAGES: Final = 1_000
"""The number of consecutive empty pages after which a listing fails with ``PaginationLoopError``."""

_MAX_REMEMBERED: Final = 100_000
"""The approximate number of row ids that are kept to recognize repeated rows.

A limit is possible, because servers repeat recent rows, but not much older ones.
"""


@public
@frozen(kw_only=True)
class BadItem:
    """A row or a document that could not be read.

    Attributes:
        account_id: the id of the account.
        id: the id of the row or document. None if it has none.
        index: the index of the row in the page's ``data``. None for a document that was not read from a page.
        error: the reason why it could not be read.
    """

    account_id: str
    id: str | None
    index: int | None
    error: VinixError


def count_only(items: Any) -> str:
    """Return a short repr of a collection, which contains only its length."""
    return f"<{len(items)}>"


@public
@frozen(kw_only=True)
class Page(Generic[T]):
    """One page of a listing.

    Attributes:
        items: the documents of the page. Documents that were already in an earlier page are left out.
        next_start_key: the cursor of the next page. None on the last page.
        start_key: the cursor with which this page was requested. None for the first page.
        page_size: the number of rows in the page according to the server.
        timestamp: the time at which the server sent the page, as an aware ``datetime`` in UTC, in whole seconds. It is
            the ``timestamp`` of the response, or else the ``Date`` header. None if the response has neither.
        request_id: the request id of the response.
        bad_items: with ``on_bad_item="skip"``, the rows and documents that could not be read.
    """

    items: tuple[T, ...] = field(repr=count_only)
    next_start_key: str | None = None
    start_key: str | None = None
    page_size: int | None = None
    timestamp: datetime | None = None
    request_id: str | None = None
    bad_items: tuple[BadItem, ...] = field(default=(), repr=count_only)


@define(kw_only=True, eq=False)
class Listing(Generic[T]):
    """A listing and the means to read it.

    Attributes:
        sender: sends the requests.
        options: the options of each request.
        request: the request for the first page, without ``page_size``.
        kind: the class of the documents.
        page_size: the number of rows per page to request. None for the server's default.
        fetch_one: a function that accepts an id and a deadline, and reads the full document. None to yield the rows.
        max_items, start_key, prefetch, resume, on_bad_item: the arguments of ``callflows.list``.

    Raises ``ConfigurationError`` if one of the arguments of ``callflows.list`` is invalid.
    """

    sender: Sender
    options: CallOptions
    request: Request
    kind: type[T]
    page_size: int | None
    fetch_one: Callable[[str, float], Awaitable[T]] | None
    max_items: int | None = None
    start_key: str | None = None
    prefetch: int = 1
    resume: Checkpoint | None = None
    on_bad_item: OnBadItem = "raise"

    def __attrs_post_init__(self) -> None:
        start_key, resume = self.start_key, self.resume
        check_count("max_items", self.max_items)
        if type(self.prefetch) is not int or self.prefetch not in {0, 1}:
            raise ConfigurationError("prefetch must be 0 or 1, because the cursor of a page is in the previous page")
        if start_key is not None and (type(start_key) is not str or not start_key):
            raise ConfigurationError("start_key must be a non-empty str or None")
        if self.on_bad_item not in ("raise", "skip"):  # a tuple, because an invalid argument can be unhashable
            raise ConfigurationError(f"on_bad_item must be 'raise' or 'skip', not {self.on_bad_item!r}")
        if resume is None:
            return
        if not isinstance(resume, Checkpoint):
            raise ConfigurationError("resume must be a Checkpoint, which pager.checkpoint() returns")
        if start_key is not None:
            raise ConfigurationError("start_key and resume cannot be combined: a checkpoint contains its own cursor")
        if not same_scope(resume.scope, self.scope):
            raise ConfigurationError(
                f"the checkpoint belongs to the listing {resume.scope}, but this is the listing {self.scope}: "
                "resume the same listing with the same filters"
            )

    @property
    def scope(self) -> str:
        """The path and the filters of the listing. A checkpoint stores them to identify the listing."""
        return self.request.target

    @property
    def account_id(self) -> str:
        """The id of the account that is listed."""
        return self.request.account_id or ""

    def fetch(self, start_key: str | None, ends_at: float) -> Coroutine[Any, Any, Envelope]:
        """Request the page at the cursor ``start_key``."""
        request = self.request
        query = {} if self.page_size is None else {"page_size": str(self.page_size)}
        if start_key is not None:
            query["start_key"] = start_key
        if query:
            request = evolve(request, query="&".join(filter(None, (request.query, encode_query(query)))))
        return self.sender.send(request, self.options, ends_at)


@public
class Pager(Generic[T]):
    """A listing. Iterate over it or await it to read it. Nothing is sent before that.

    ``async for item in pager`` yields the items of all pages, and ``async for page in pager.by_page()`` yields the
    pages. Each such loop reads the listing anew. ``await pager`` returns the first page, and
    ``await pager.to_list()`` returns all items. If a page fails, the ``start_key`` of the error is the page's cursor.
    Leaving a loop cancels the requests in flight. Cancelling the wait for the next item, for example with a timeout
    around ``anext``, also ends the iteration. To continue, resume from ``checkpoint()``.

    If a page contains an invalid row and ``on_bad_item`` is ``"raise"``, iterating by item yields the rows before it
    and then raises ``DecodeError``. Iterating by page raises the error without yielding the page.
    """

    def __init__(self, listing: Listing[T]) -> None:
        self._listing = listing
        self._reader: PageReader[T] | None = None  # the reader of the latest iteration

    def _new_reader(self, prefetch: int) -> "PageReader[T]":
        self._reader = PageReader(self._listing, prefetch)
        return self._reader

    def __await__(self) -> Generator[Any, None, Page[T]]:
        return self._first_page().__await__()

    async def _first_page(self) -> Page[T]:
        reader = self._new_reader(prefetch=0)
        try:
            # A listing that was resumed after its end, or after max_items, has no further page.
            return await reader.read_page() or Page(items=(), start_key=reader.start_key)
        finally:
            await reader.close()

    async def to_list(self) -> list[T]:
        """Return the items of all pages."""
        return [item async for page in self.by_page() for item in page.items]

    async def by_page(self) -> AsyncGenerator[Page[T], None]:
        """Yield the pages, including empty ones. Rows that were already in an earlier page are left out.

        The page in which ``max_items`` is reached has no ``next_start_key``. To continue after it, resume from
        ``checkpoint()`` with a larger ``max_items``.
        """
        reader = self._new_reader(self._listing.prefetch)
        try:
            while page := await reader.read_page():
                yield page
        finally:
            await reader.close()

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        reader = self._new_reader(self._listing.prefetch)
        try:
            while await reader.next_page():
                while batch := await reader.next_batch():
                    for row_id, item in zip(*batch, strict=True):
                        reader.hand_out([row_id])
                        yield item
        finally:
            await reader.close()

    @property
    def bad_items(self) -> tuple[BadItem, ...]:
        """With ``on_bad_item="skip"``, the rows and documents that the latest iteration could not read."""
        return tuple(self._reader.all_bad_items) if self._reader else ()

    def checkpoint(self) -> Checkpoint:
        """Return the progress of the latest iteration.

        The item (or page) that the loop body is processing counts as yielded. A listing that is resumed after an error
        begins with the page that failed and skips the items that were already yielded. If there were bad items, the
        resumed listing begins with the first page that contains a bad item. It tries to read all bad items again.
        """
        if self._reader is not None:
            return self._reader.checkpoint()
        return self._listing.resume or Checkpoint(scope=self._listing.scope, start_key=self._listing.start_key)

    def __repr__(self) -> str:
        return f"<Pager of {self._listing.scope}>"


class PageReader(Generic[T]):
    """One iteration over a listing.

    ``next_page`` requests the next page, and ``next_batch`` returns some of its items. ``read_page`` combines both and
    returns a complete page. ``close`` ends the iteration. ``start_key`` is the cursor of the current page. Between two
    pages, it is already the cursor of the next page.
    """

    def __init__(self, listing: Listing[T], prefetch: int) -> None:
        resume, max_items = listing.resume, listing.max_items
        self.start_key: str | None = resume.start_key if resume else listing.start_key
        self.all_bad_items: list[BadItem] = []
        self._listing = listing
        self._yielded = resume.yielded if resume else 0
        self._reported = self._yielded
        self._left = math.inf if max_items is None else max_items - self._yielded
        self._prefetch = prefetch
        self._skips_bad_items = listing.on_bad_item == "skip"
        self._ends_at = math.inf
        self._finished = resume is not None and resume.finished
        self._envelope: Envelope | None = None  # the envelope of the current page
        self._next_page: asyncio.Task[Envelope] | None = None
        self._cursors: set[str | None] = set()  # the cursors that have been followed, to detect loops
        self._empty_pages = 0
        self._deduplicator = _Deduplicator(resume.done if resume else ())
        # A checkpoint contains the ids of yielded rows that the server may list again. In this iteration, these are the
        # rows of the previous page and of the current one. After the first bad item, the ids of all pages are kept,
        # because a resumed listing begins with the page of that item.
        self._previous: list[str] = []
        self._handed_out: list[str] = []
        self._bad_start_key: str | None = None  # the cursor of the first page with a bad item
        # State of the current page.
        self._row_count = 0
        self._decoded_rows = 0
        self._batches: Iterator[tuple[list[T], list[BadRow]]] = iter(())
        self._rows: list[tuple[int, T | BadRow]] = []  # rows whose full documents will be requested
        self._page_bad_items: list[BadItem] = []
        self._bad_rows: list[BadRow] = []  # with "raise", all invalid rows, because the error lists all their problems
        self._requested: list[tuple[int, T | BadRow, asyncio.Task[T]]] = []  # documents, in the order of the rows

    def checkpoint(self) -> Checkpoint:
        """Return the progress of this iteration up to the last item that was yielded."""
        has_bad_items = bool(self.all_bad_items)
        return Checkpoint(
            scope=self._listing.scope,
            start_key=self._bad_start_key if has_bad_items else self.start_key,
            done=(*self._deduplicator.resumed, *filter(None, [*self._previous, *self._handed_out])),
            bad=tuple(item.id for item in self.all_bad_items if item.id),
            yielded=self._yielded,
            finished=self._finished and not has_bad_items,
        )

    def hand_out(self, ids: list[str]) -> None:
        """Record that the items of the rows with these ids are being yielded to the caller."""
        self._yielded += len(ids)
        self._handed_out += ids

    async def read_page(self) -> Page[T] | None:
        """Return the next page and record its items as yielded. Return None after the last page."""
        envelope = await self.next_page()
        if envelope is None:
            return None
        ids: list[str] = []
        items: list[T] = []
        while batch := await self.next_batch():
            ids += batch[0]
            items += batch[1]
        self.hand_out(ids)
        return Page(
            items=tuple(items),
            next_start_key=envelope.next_start_key if self._left > 0 else None,
            start_key=self.start_key,
            page_size=envelope.page_size,
            timestamp=envelope.timestamp,
            request_id=envelope.request_id,
            bad_items=tuple(self._page_bad_items),
        )

    async def next_page(self) -> Envelope | None:
        """Read the next page. Return None after the last page, or after ``max_items``.

        Call this method only when all items of the current page have been yielded.
        """
        self._report()
        if self._envelope is not None and self._left > 0:
            self._leave_page(self._envelope)
        if self._finished or self._left <= 0:
            return None
        try:
            envelope = self._envelope = await self._fetch()
        except VinixError as error:
            error.start_key = self.start_key
            raise
        self._decoded_rows = 0
        self._batches = iter_rows(envelope.data, self._listing.kind)
        self._page_bad_items = []
        return envelope

    async def next_batch(self) -> Batch[T] | None:
        """Return the next items of the current page. Return None after the page's last item, or after ``max_items``.

        Items of rows that were in an earlier page are left out, so a batch can be empty. Other tasks can run between
        two batches.
        """
        envelope = self._envelope
        if envelope is None or self._left <= 0:
            return None
        if self._listing.fetch_one is not None and isinstance(envelope.data, list):
            return await self._next_document(envelope)
        if self._decoded_rows == self._row_count:
            if self._bad_rows:
                raise self._row_error(self._bad_rows, envelope)
            return None
        if self._decoded_rows:
            await asyncio.sleep(0)
        first, documents, bad_rows = self._decode_batch(envelope)
        if bad_rows or self._bad_rows:
            rows = self._deduplicator.new_of(_in_order(first, documents, bad_rows))
            valid = self._valid(rows, envelope)
            return self._up_to_max_items([row.id for row in valid], valid)
        return self._up_to_max_items(*self._deduplicator.new(documents))

    def _valid(self, rows: Iterator[tuple[int, T | BadRow]], envelope: Envelope) -> list[T]:
        """Return the valid rows, up to ``max_items``.

        If the listing skips bad items, invalid rows become bad items. Otherwise invalid rows are added to
        ``_bad_rows``, and only the rows before the first invalid row are returned.
        """
        valid: list[T] = []
        for index, row in rows:
            if len(valid) >= self._left:
                break
            if not isinstance(row, BadRow):
                if not self._bad_rows:
                    valid.append(row)
            elif self._skips_bad_items:
                self._add_bad_item(row.id, index, self._row_error([row], envelope))
            else:
                self._bad_rows.append(row)
        return valid

    async def _next_document(self, envelope: Envelope) -> Batch[T] | None:
        """Return the next full document of a page, in the order of the rows.

        The documents of invalid rows are requested too, because a document can be valid although its row is not. At
        most ``per_account`` documents are requested ahead, and no more than ``max_items`` allows.
        """
        sender, requested = self._listing.sender, self._requested
        while True:
            while len(requested) < min(sender.limits.per_account, self._left) and (found := self._next_row(envelope)):
                index, row = found
                requested.append((index, row, sender.start(self._read_whole(row, envelope))))
            if not requested:
                return None
            index, row, task = requested[0]
            document: T | None = None
            try:
                document = await result_of(task)
            except NotFoundError as error:
                account_id = self._listing.account_id
                error.affects_others = error.cause == account_id  # then the account was deleted
                if error.affects_others or error.code is None:  # a 404 without the API's JSON is from a proxy
                    self._add_bad_item(row.id or None, index, error)
                else:
                    self._listing.options.notify(CallflowDeleted(account_id=account_id, callflow_id=row.id or ""))
            except VinixError as error:
                self._add_bad_item(row.id or None, index, error)
            del requested[0]
            if document is not None:
                return self._up_to_max_items([row.id or ""], [document])

    def _up_to_max_items(self, ids: list[str], items: list[T]) -> Batch[T]:
        """Return the batch without the items that would exceed ``max_items``."""
        if len(items) > self._left:
            del ids[int(self._left) :], items[int(self._left) :]
        self._left -= len(items)
        return ids, items

    async def _read_whole(self, row: T | BadRow, envelope: Envelope) -> T:
        if row.id and self._listing.fetch_one is not None:
            return await self._listing.fetch_one(row.id, self._ends_at)
        if isinstance(row, BadRow):
            raise self._row_error([row], envelope)
        return row  # without an id, the full document cannot be requested

    def _next_row(self, envelope: Envelope) -> tuple[int, T | BadRow] | None:
        """Return the next row of the page and its index. Skip repeated rows. Return None at the end of the page."""
        while not self._rows and self._decoded_rows < self._row_count:
            self._rows.extend(self._deduplicator.new_of(_in_order(*self._decode_batch(envelope))))
        return self._rows.pop(0) if self._rows else None

    def _decode_batch(self, envelope: Envelope) -> tuple[int, list[T], list[BadRow]]:
        """Return the next batch: the index of the first row, the valid documents and the invalid rows."""
        first = self._decoded_rows
        try:
            documents, bad_rows = next(self._batches)
        except DecodeError as error:
            raise self._page_error(error.message, error.problems, envelope) from None
        self._decoded_rows += len(documents) + len(bad_rows)
        return first, documents, bad_rows

    # --- bad items ---

    def _add_bad_item(self, row_id: str | None, index: int, error: VinixError) -> None:
        """Record a bad item.

        If ``on_bad_item`` is ``"raise"``, or if ``error`` concerns more than this item, raise ``error`` instead.
        """
        account_id, is_callflow = self._listing.account_id, self._listing.kind is Callflow
        error.account_id = error.account_id or account_id
        if is_callflow:
            error.callflow_id = error.callflow_id or row_id
        error.start_key = self.start_key
        concerns_all = isinstance(error, AuthenticationError | ConfigurationError | RateLimitError | ClientClosedError)
        if concerns_all or error.affects_others or not self._skips_bad_items:
            raise error
        if not self.all_bad_items:
            self._bad_start_key = self.start_key
        error = error.with_traceback(None)  # the frames of the traceback would keep the page in memory
        item = BadItem(account_id=account_id, id=row_id, index=index, error=error)
        self.all_bad_items.append(item)
        self._page_bad_items.append(item)
        callflow_id = row_id if is_callflow else None
        found = BadItemFound(account_id=account_id, callflow_id=callflow_id, index=index, error=error)
        self._listing.options.notify(found)

    def _row_error(self, rows: list[BadRow], envelope: Envelope) -> DecodeError:
        error = self._page_error(
            f"the listing contains a row that is not a valid {self._listing.kind.__name__}",
            tuple(problem for row in rows for problem in row.problems),
            envelope,
        )
        if self._listing.kind is Callflow:
            error.callflow_id = rows[0].id
        return error

    def _page_error(self, message: str, problems: tuple[str, ...], envelope: Envelope) -> DecodeError:
        error = DecodeError(message, problems=problems, start_key=self.start_key)
        return about_response(error, self._listing.request, envelope)

    # --- pages ---

    async def _fetch(self) -> Envelope:
        """Return the page at ``start_key``, and start to request the next page if ``prefetch`` is set."""
        if not self._cursors:
            self._ends_at = self._listing.sender.ends_at(self._listing.options)
            self._cursors.add(self.start_key)
        if self._next_page is None:
            envelope = await self._listing.fetch(self.start_key, self._ends_at)
        else:
            envelope = await result_of(self._next_page)
            self._next_page = None
        if envelope.next_start_key == envelope.start_key and self._listing.request.query:
            envelope.next_start_key = None  # Kazoo 4.3 ends a filtered listing with such a cursor
        cursor = envelope.next_start_key
        self._row_count = len(envelope.data) if isinstance(envelope.data, list) else 1
        if self._prefetch and cursor and cursor not in self._cursors and self._left > self._row_count:
            self._next_page = self._listing.sender.start(self._listing.fetch(cursor, self._ends_at))
            await asyncio.sleep(0)  # lets the request be sent before this page is decoded
        return envelope

    def _leave_page(self, envelope: Envelope) -> None:
        """Advance to the page after the current one."""
        cursor, listed = envelope.next_start_key, self._deduplicator.end_page()
        self._empty_pages = 0 if listed else self._empty_pages + 1
        if cursor and (cursor in self._cursors or self._empty_pages == _MAX_EMPTY_PAGES):
            raise self._loop_error(cursor, envelope)
        self._cursors.add(cursor)
        if self.all_bad_items:  # a resumed iteration would read this page again, so keep all ids of the page
            self._previous += self._handed_out
        else:
            # Of the ids in the checkpoint, forget only those that this page lists. The next page may list the others.
            self._deduplicator.forget_resumed(listed)
            self._previous = listed or self._previous
        self._handed_out = []
        self.start_key, self._finished = cursor, cursor is None
        self._envelope, self._batches = None, iter(())  # frees the page before the next one is read

    def _loop_error(self, cursor: str, envelope: Envelope) -> PaginationLoopError:
        message = "the server's cursors form a loop: "
        if cursor not in self._cursors:
            message += f"the last {self._empty_pages:,} pages were empty, but each has a next_start_key"
        else:
            message += "the listing has already followed this next_start_key"
            if self._listing.kind is Account:
                message += ". This happens if the accounts that have the same name do not all fit in a page: "
                message += "use a larger page_size"
        gave_up = "the listing would never end"
        error = PaginationLoopError(message, pages=len(self._cursors), start_key=cursor, gave_up=gave_up)
        return about_response(error, self._listing.request, envelope)

    def _report(self) -> None:
        """Notify the listeners of the number of callflows that were yielded since the last report."""
        count, self._reported = self._yielded - self._reported, self._yielded
        if count and self._listing.kind is Callflow:
            self._listing.options.notify(CallflowsRead(count=count))

    async def close(self) -> None:
        """End the iteration and cancel the requests in flight."""
        self._report()
        tasks: list[asyncio.Task[Any]] = [task for _, _, task in self._requested]
        if self._next_page is not None:
            tasks.append(self._next_page)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)


def _in_order(first: int, documents: list[T], bad_rows: list[BadRow]) -> Iterator[tuple[int, T | BadRow]]:
    """Yield the valid and invalid rows of a batch in the server's order, each with its index in the page."""
    bad = {row.index: row for row in bad_rows}
    good = iter(documents)
    for index in range(first, first + len(documents) + len(bad_rows)):
        yield index, bad[index] if index in bad else next(good)


class _Deduplicator:
    """Removes repeated rows by their ids. A row without an id is never considered a repetition.

    The ids are kept in two sets. When the newer set is full, it replaces the older one. This is faster than a single
    set that discards its oldest id for each new one.

    ``resumed`` contains the ids that an earlier iteration yielded, until the server has listed them again.
    """

    def __init__(self, resumed: Iterable[str]) -> None:
        self.resumed: dict[str, None] = dict.fromkeys(resumed)  # used as an ordered set
        self._newer: set[str] = set()
        self._older: set[str] = set()
        self._page: list[str] = []

    def new(self, rows: list[T]) -> tuple[list[str], list[T]]:
        """Remove repeated rows. Return the ids of the remaining rows, and the remaining rows."""
        ids = [row.id for row in rows]
        different = set(ids)
        known = (self._newer, self._older, self.resumed.keys())
        if len(different) < len(ids) or "" in different or not all(map(different.isdisjoint, known)):
            rows = [row for row in rows if self._is_new(row.id)]
            return [row.id for row in rows], rows
        self._newer |= different  # the usual case: all rows are new
        self._page += ids
        return ids, rows

    def new_of(self, rows: Iterable[tuple[int, T | BadRow]]) -> Iterator[tuple[int, T | BadRow]]:
        """Yield the rows that are not repetitions, with their indexes."""
        return (row for row in rows if self._is_new(row[1].id or ""))

    def _is_new(self, row_id: str) -> bool:
        self._page.append(row_id)
        if not row_id:
            return True
        is_new = row_id not in self._newer and row_id not in self._older and row_id not in self.resumed
        self._newer.add(row_id)
        return is_new

    def end_page(self) -> list[str]:
        """End the page and return the ids of its rows. If too many ids of rows are remembered, forget the oldest."""
        page, self._page = self._page, []
        if len(self._newer) > _MAX_REMEMBERED // 2:
            self._newer, self._older = set(), self._newer
        return page

    def forget_resumed(self, listed: Iterable[str]) -> None:
        """Remove from ``resumed`` the ids that the server has listed again."""
        for row_id in listed:
            self.resumed.pop(row_id, None)


@public
def decode_page(body: bytes) -> Page[Callflow]:
    """Return the page in ``body``, the body of a response to a listing of callflows.

    The ``start_key`` of the page is None, because the body does not contain it. Raises ``DecodeError`` if the body is
    not a listing of callflows.
    """
    if not isinstance(body, bytes | bytearray):
        raise ConfigurationError(f"decode_page() needs the bytes of a response body, not {type(body).__name__}")
    envelope = decode_envelope(body, Callflow)
    return Page(
        items=read_rows(envelope.data, Callflow),
        next_start_key=envelope.next_start_key,
        page_size=envelope.page_size,
        timestamp=envelope.timestamp,
        request_id=envelope.request_id,
    )
