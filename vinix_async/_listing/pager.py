"""One account's listing: pages and their cursors, rows that come twice, bad rows, checkpoints.

A page's cursor is only known from the page before, so at most one page can be requested ahead. A listing ends where a
page has no ``next_start_key``; the number of rows says nothing, and an empty page may have a cursor (api-facts 2.4).
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterable, Iterator
from contextlib import aclosing
from typing import Any, Final, Generic, Literal, TypeVar

from attrs import define, field, frozen

from .._config import check_count
from .._documents.decode import BadRow, iter_rows, read_rows
from .._documents.models import Account, Callflow
from .._exceptions import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    DecodeError,
    PaginationLoopError,
    RateLimitError,
    VinixError,
)
from .._http.response import Envelope, decode_envelope
from .._pipeline.events import BadItemFound, CallflowDeleted, CallflowsRead, Listener, notify
from .._pipeline.send import result_of
from .._public import public
from .checkpoint import Checkpoint
from .details import read_details

T = TypeVar("T", bound=Account | Callflow)

OnBadItem = Literal["raise", "skip"]

_MAX_EMPTY_PAGES: Final = 1_000
"""Empty pages in a row after which the listing counts as a loop."""

_MAX_REMEMBERED: Final = 100_000
"""Ids of rows that are remembered, to drop rows that come twice. Servers repeat rows of the page before."""


@public
@frozen(kw_only=True)
class BadItem:
    """A row or a document that could not be read.

    Attributes:
        account_id: the account that was listed.
        id: its id; None if it has none.
        index: its place in the page's ``data`` as the server sent it.
        error: why it could not be read.
    """

    account_id: str
    id: str | None
    index: int | None
    error: VinixError


def count_only(items: Any) -> str:
    """Return the repr of a field of which only the length is shown."""
    return f"<{len(items)}>"


@public
@frozen(kw_only=True)
class Page(Generic[T]):
    """One page of a listing.

    Attributes:
        items: its documents, without those that an earlier page had.
        next_start_key: the cursor of the next page; None on the last.
        start_key: the cursor that this page was asked for with; None for the first.
        page_size: how many rows it has, as the server counts them.
        request_id: the server's id of the request.
        bad_items: rows and documents that could not be read, under ``on_bad_item="skip"``.
    """

    items: tuple[T, ...] = field(repr=count_only)
    next_start_key: str | None = None
    start_key: str | None = None
    page_size: int | None = None
    request_id: str | None = None
    bad_items: tuple[BadItem, ...] = field(default=(), repr=count_only)


@define(kw_only=True, eq=False)
class Listing(Generic[T]):
    """What is listed, and how to get it.

    Attributes:
        scope: the path and the filters, for checkpoints.
        path: the path alone, for errors.
        account_id: the account that is listed.
        kind: the class of the documents.
        fetch: gets the page at a cursor, until a deadline.
        fetch_one: gets the whole document with an id, until a deadline; None to hand out the rows themselves.
        ends_at: returns the deadline of an iteration that begins now, on the monotonic clock.
        start: starts a background task.
        window: how many documents are fetched at once.
        listeners: told about bad items and what is handed out.
    """

    scope: str
    path: str
    account_id: str
    kind: type[T]
    fetch: Callable[[str | None, float], Coroutine[Any, Any, Envelope]]
    fetch_one: Callable[[str, float], Awaitable[T]] | None
    ends_at: Callable[[], float]
    start: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]
    window: int
    listeners: tuple[Listener, ...] = ()


@public
class Pager(Generic[T]):
    """A listing. Nothing is sent before it is iterated over or awaited.

    ``async for item in pager`` and ``async for page in pager.by_page()`` begin with the first page each time;
    ``await pager`` returns the first page, ``await pager.to_list()`` all items. Every error of a page has the page's
    cursor as ``start_key``. Leaving a loop ends the requests that are under way.

    By item, the rows before a bad row are handed out before its ``DecodeError`` is raised. A page is complete or an
    error.
    """

    def __init__(
        self,
        listing: Listing[T],
        *,
        start_key: str | None = None,
        max_items: int | None = None,
        prefetch: int = 1,
        resume: Checkpoint | None = None,
        on_bad_item: OnBadItem = "raise",
    ) -> None:
        check_count("max_items", max_items)
        if type(prefetch) is not int or prefetch not in {0, 1}:
            raise ConfigurationError("prefetch must be 0 or 1: a page's cursor is only known from the page before")
        if start_key is not None and (type(start_key) is not str or not start_key):
            raise ConfigurationError("start_key must be a str that is not empty, or None")
        if on_bad_item not in {"raise", "skip"}:
            raise ConfigurationError(f"on_bad_item must be 'raise' or 'skip', not {on_bad_item!r}")
        if resume is not None:
            _check_resume(resume, start_key, listing.scope)
        self._listing = listing
        self._start_key = start_key
        self._resume = resume
        self._max_items = max_items
        self._prefetch = prefetch
        self._skips = on_bad_item == "skip"
        self._reader: PageReader[T] | None = None  # the one that was begun last

    def _begin(self, prefetch: int) -> "PageReader[T]":
        self._reader = PageReader(
            self._listing,
            start_key=self._start_key,
            resume=self._resume,
            max_items=self._max_items,
            prefetch=prefetch,
            skips_bad_items=self._skips,
        )
        return self._reader

    def __await__(self) -> Generator[Any, None, Page[T]]:
        return self._first_page().__await__()

    async def _first_page(self) -> Page[T]:
        reader = self._begin(prefetch=0)
        try:
            return await reader.read_page() or Page(items=(), start_key=reader.start_key)  # all was handed out before
        finally:
            await reader.close()

    async def to_list(self) -> list[T]:
        """Return every item of every page."""
        return [item async for page in self.by_page() for item in page.items]

    async def by_page(self) -> AsyncGenerator[Page[T], None]:
        """Yield the pages, without rows that came before. An empty page is a page, too.

        The page at which ``max_items`` is reached has no ``next_start_key``; ``checkpoint()`` has the place to resume.
        """
        reader = self._begin(self._prefetch)
        try:
            while page := await reader.read_page():
                yield page
        finally:
            await reader.close()

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        reader = self._begin(self._prefetch)
        try:
            while await reader.next_page():
                async with aclosing(reader.pieces()) as pieces:
                    async for piece in pieces:
                        for row_id, item in piece:
                            reader.hand_out(row_id)
                            yield item
        finally:
            await reader.close()

    @property
    def bad_items(self) -> tuple[BadItem, ...]:
        """What the latest iteration could not read, under ``on_bad_item="skip"``."""
        return tuple(self._reader.all_bad_items) if self._reader else ()

    def checkpoint(self) -> Checkpoint:
        """Return how far the latest iteration has come: up to and including the item (or page) in the loop's body.

        After an error, a listing resumed from it begins with the page that failed, and leaves out what was handed out
        of it. If there were bad items, it begins with the first page that had one, to try them again.
        """
        return (self._reader or self._begin(self._prefetch)).checkpoint()

    def __repr__(self) -> str:
        return f"<Pager of {self._listing.scope}>"


def _check_resume(resume: object, start_key: str | None, scope: str) -> None:
    if not isinstance(resume, Checkpoint):
        raise ConfigurationError("resume must be a Checkpoint, as pager.checkpoint() returns it")
    if start_key is not None:
        raise ConfigurationError("give start_key or resume, not both: a checkpoint has its own cursor")
    if resume.scope != scope:
        raise ConfigurationError(f"the checkpoint belongs to {resume.scope}, not to {scope}")


class PageReader(Generic[T]):
    """One iteration over a listing: ``next_page`` requests a page, ``pieces`` yields its items, ``close`` ends it.

    ``read_page`` does both for a whole page. ``start_key`` is the cursor of the current page, or of the next one.
    """

    def __init__(
        self,
        listing: Listing[T],
        *,
        start_key: str | None,
        resume: Checkpoint | None,
        max_items: int | None,
        prefetch: int,
        skips_bad_items: bool,
    ) -> None:
        resume = resume or Checkpoint(scope=listing.scope, start_key=start_key)
        self.start_key: str | None = resume.start_key
        self.all_bad_items: list[BadItem] = []
        self._listing = listing
        self._left = math.inf if max_items is None else max_items - resume.yielded
        self._prefetch = prefetch
        self._skips_bad_items = skips_bad_items
        self._ends_at = math.inf
        self._finished = resume.finished
        self._envelope: Envelope | None = None  # of the current page
        self._next_page: asyncio.Task[Envelope] | None = None
        self._cursors: set[str | None] = set()  # that have been requested
        self._empty_pages = 0
        self._deduplicator = _Deduplicator(resume.done)
        # A checkpoint has the ids of rows that may be listed again: those of the page before, and those of the current
        # page that were handed out. From the first bad item on, it has all that were handed out.
        self._previous: list[str] = []
        self._handed_out: list[str] = []
        self._yielded = resume.yielded
        self._reported = resume.yielded
        self._page_bad_items: list[BadItem] = []
        self._bad_start_key: str | None = None  # of the first page that had a bad item

    def checkpoint(self) -> Checkpoint:
        """Return the iteration up to the last item that was handed out."""
        has_bad_items = bool(self.all_bad_items)
        return Checkpoint(
            scope=self._listing.scope,
            start_key=self._bad_start_key if has_bad_items else self.start_key,
            done=(*self._deduplicator.resumed, *self._previous, *self._handed_out),
            bad=tuple(item.id for item in self.all_bad_items if item.id),
            yielded=self._yielded,
            finished=self._finished and not has_bad_items,
        )

    def hand_out(self, row_id: str) -> None:
        """Note that the item of a row is handed out now."""
        self._yielded += 1
        if row_id:
            self._handed_out.append(row_id)

    async def read_page(self) -> Page[T] | None:
        """Read the next page and hand it out; return None after the last one."""
        envelope = await self.next_page()
        if envelope is None:
            return None
        rows: list[tuple[str, T]] = []
        async with aclosing(self.pieces()) as pieces:
            async for piece in pieces:
                rows += piece
        self._yielded += len(rows)
        self._handed_out += [row_id for row_id, _ in rows if row_id]
        return Page(
            items=tuple([item for _, item in rows]),
            next_start_key=envelope.next_start_key if self._left > 0 else None,
            start_key=self.start_key,
            page_size=envelope.page_size,
            request_id=envelope.request_id,
            bad_items=tuple(self._page_bad_items),
        )

    async def next_page(self) -> Envelope | None:
        """Get the next page; return None after the last one. Everything on the current page was handed out."""
        self._report()
        if self._envelope is not None and self._left > 0:
            self._leave_page(self._envelope)
        if self._finished or self._left <= 0:
            return None
        try:
            self._envelope = await self._fetch()
        except VinixError as error:
            error.start_key = self.start_key
            raise
        self._page_bad_items = []
        return self._envelope

    async def pieces(self) -> AsyncGenerator[list[tuple[str, T]], None]:
        """Yield the current page's new items, each with its row's id, until ``max_items`` is reached."""
        envelope = self._envelope
        if envelope is None:
            return
        whole = self._listing.fetch_one is not None and isinstance(envelope.data, list)
        async with aclosing(self._whole_documents(envelope) if whole else self._rows(envelope)) as pieces:
            async for piece in pieces:
                if len(piece) > self._left:
                    del piece[int(self._left) :]
                self._left -= len(piece)
                if piece:
                    yield piece
                if self._left <= 0:
                    return

    async def _rows(self, envelope: Envelope) -> AsyncGenerator[list[tuple[str, T]], None]:
        """Yield the rows themselves. Other tasks run between two pieces."""
        bad: list[BadRow] = []  # under "raise"; the rest of the page is then read to name all its problems
        for first, documents, bad_rows in self._decoded(envelope):
            if first:
                await asyncio.sleep(0)
            if not bad_rows and not bad:
                yield [(row.id, row) for row in self._deduplicator.new(documents)]
                continue
            for index, row in self._deduplicator.new_of(_in_order(first, documents, bad_rows)):
                if not isinstance(row, BadRow):
                    if not bad:
                        yield [(row.id, row)]
                elif self._skips_bad_items:
                    self._add_bad_item(row.id, index, self._row_error([row], envelope))
                else:
                    bad.append(row)
        if bad:
            raise self._row_error(bad, envelope)

    async def _whole_documents(self, envelope: Envelope) -> AsyncGenerator[list[tuple[str, T]], None]:
        """Yield the whole document of each row, in the order of the rows. A bad row may still have a good document."""

        def window() -> int:
            return int(min(self._listing.window, self._left))

        async def read(row: tuple[int, T | BadRow]) -> T:
            return await self._read_whole(row[1], envelope)

        rows = (
            row
            for first, documents, bad_rows in self._decoded(envelope)
            for row in self._deduplicator.new_of(_in_order(first, documents, bad_rows))
        )
        details = read_details(rows, read, window=window, start=self._listing.start)
        async with aclosing(details):
            async for detail in details:
                index, row = detail.row
                if detail.error is not None:
                    self._add_bad_item(row.id or None, index, detail.error)
                elif detail.document is None:
                    deleted = CallflowDeleted(account_id=self._listing.account_id, callflow_id=row.id or "")
                    notify(self._listing.listeners, deleted)
                else:
                    yield [(row.id or "", detail.document)]

    async def _read_whole(self, row: T | BadRow, envelope: Envelope) -> T:
        if row.id and self._listing.fetch_one is not None:
            return await self._listing.fetch_one(row.id, self._ends_at)
        if isinstance(row, BadRow):
            raise self._row_error([row], envelope)
        return row  # without an id there is no document to ask for

    def _decoded(self, envelope: Envelope) -> Iterator[tuple[int, list[T], list[BadRow]]]:
        """Yield the page in pieces: the place of a piece's first row, its documents, and its bad rows."""
        first = 0
        try:
            for documents, bad_rows in iter_rows(envelope.data, self._listing.kind):
                yield first, documents, bad_rows
                first += len(documents) + len(bad_rows)
        except DecodeError as error:
            raise self._page_error(error.message, error.problems, envelope) from None

    # --- bad items ---

    def _add_bad_item(self, row_id: str | None, index: int, error: VinixError) -> None:
        account_id, is_callflow = self._listing.account_id, self._listing.kind is Callflow
        error.account_id = error.account_id or account_id
        if is_callflow:
            error.callflow_id = error.callflow_id or row_id
        error.start_key = self.start_key
        concerns_all = isinstance(error, AuthenticationError | RateLimitError | ClientClosedError)
        if concerns_all or error.affects_others or not self._skips_bad_items:
            raise error
        if not self.all_bad_items:
            self._bad_start_key = self.start_key
        item = BadItem(account_id=account_id, id=row_id, index=index, error=error)
        self.all_bad_items.append(item)
        self._page_bad_items.append(item)
        callflow_id = row_id if is_callflow else None
        found = BadItemFound(account_id=account_id, callflow_id=callflow_id, index=index, error=error)
        notify(self._listing.listeners, found)

    def _row_error(self, rows: list[BadRow], envelope: Envelope) -> DecodeError:
        error = self._page_error(
            f"the listing has a row that is not {_a(self._listing.kind)} as the API sends it",
            tuple(problem for row in rows for problem in row.problems),
            envelope,
        )
        if self._listing.kind is Callflow:
            error.callflow_id = rows[0].id
        return error

    def _page_error(self, message: str, problems: tuple[str, ...], envelope: Envelope) -> DecodeError:
        gave_up = "another attempt would get the same response"
        return DecodeError(
            message, problems=problems, start_key=self.start_key, gave_up=gave_up, **self._request(envelope)
        )

    def _request(self, envelope: Envelope) -> dict[str, Any]:
        """Return what an error says about the request of a page."""
        return {
            "account_id": self._listing.account_id,
            "method": "GET",
            "path": self._listing.path,
            "request_id": envelope.request_id,
            "attempts": envelope.attempts,
        }

    # --- pages ---

    async def _fetch(self) -> Envelope:
        """Get the page at ``start_key``, and request the one after it."""
        if not self._cursors:
            self._ends_at = self._listing.ends_at()
            self._cursors.add(self.start_key)
        if self._next_page is None:
            envelope = await self._listing.fetch(self.start_key, self._ends_at)
        else:
            envelope = await result_of(self._next_page)
            self._next_page = None
        if envelope.next_start_key == envelope.start_key and "?" in self._listing.scope:
            envelope.next_start_key = None  # Kazoo 4.3 leaves such a cursor after a filtered listing (api-facts 12)
        cursor = envelope.next_start_key
        rows = len(envelope.data) if isinstance(envelope.data, list) else 1
        if self._prefetch and cursor and cursor not in self._cursors and self._left > rows:
            self._next_page = self._listing.start(self._listing.fetch(cursor, self._ends_at))
            await asyncio.sleep(0)  # the request goes out before this page is decoded
        return envelope

    def _leave_page(self, envelope: Envelope) -> None:
        """Move on to the page after the current one."""
        cursor, listed = envelope.next_start_key, self._deduplicator.end_page()
        self._empty_pages = 0 if listed else self._empty_pages + 1
        if cursor and (cursor in self._cursors or self._empty_pages == _MAX_EMPTY_PAGES):
            raise self._loop_error(cursor, envelope)
        self._cursors.add(cursor)
        if self.all_bad_items:  # a resumed iteration lists all pages from the first bad item on
            self._previous += self._handed_out
        else:
            # A row that an earlier iteration handed out and that this page does not list may be on the next page.
            self._deduplicator.forget_resumed(listed)
            self._previous = [row_id for row_id in listed if row_id]
        self._handed_out = []
        self.start_key, self._finished = cursor, cursor is None
        self._envelope = None

    def _loop_error(self, cursor: str, envelope: Envelope) -> PaginationLoopError:
        message = "the server's cursors form a loop: its next_start_key has been followed already"
        if self._listing.kind is Account:
            message += ". Where more accounts share a name than a page holds, a larger page_size helps"
        gave_up = "following it again would not end"
        pages = len(self._cursors)
        return PaginationLoopError(message, pages=pages, start_key=cursor, gave_up=gave_up, **self._request(envelope))

    def _report(self) -> None:
        """Tell the listeners how many callflows were handed out since the last report."""
        count, self._reported = self._yielded - self._reported, self._yielded
        if count and self._listing.kind is Callflow:
            notify(self._listing.listeners, CallflowsRead(count=count))

    async def close(self) -> None:
        """End the iteration, and the request of the next page."""
        self._report()
        if self._next_page is not None:
            self._next_page.cancel()  # if it has failed, this also keeps asyncio from reporting it
            await asyncio.wait({self._next_page})


def _in_order(first: int, documents: list[T], bad_rows: list[BadRow]) -> Iterator[tuple[int, T | BadRow]]:
    """Yield the rows of a piece with their places in the page, as the server sent them."""
    bad = {row.index: row for row in bad_rows}
    good = iter(documents)
    for index in range(first, first + len(documents) + len(bad_rows)):
        yield index, bad[index] if index in bad else next(good)


class _Deduplicator:
    """Drops rows that came before, by their ids. A row without an id is always new.

    The ids are in two sets that take turns: a single set that forgets its oldest id for each new one is slow.

    ``resumed`` has the ids that an earlier iteration handed out, until the server has listed them again.
    """

    def __init__(self, resumed: Iterable[str]) -> None:
        self.resumed: dict[str, None] = dict.fromkeys(resumed)  # a set that keeps the order
        self._newer: set[str] = set()
        self._older: set[str] = set()
        self._page: dict[str, None] = {}

    def new(self, rows: list[T]) -> list[T]:
        """Return the rows that have not come before."""
        ids = {row.id for row in rows}
        known = (self._newer, self._older, self.resumed.keys())
        if len(ids) == len(rows) and "" not in ids and all(ids.isdisjoint(each) for each in known):
            self._newer |= ids  # all are new, as is usual
            self._page |= dict.fromkeys(ids)
            return rows
        return [row for row in rows if self._is_new(row.id)]

    def new_of(self, rows: Iterable[tuple[int, T | BadRow]]) -> Iterator[tuple[int, T | BadRow]]:
        """Yield the rows that have not come before, with their places."""
        return (row for row in rows if self._is_new(row[1].id or ""))

    def _is_new(self, row_id: str) -> bool:
        self._page[row_id] = None
        if not row_id:
            return True
        is_new = row_id not in self._newer and row_id not in self._older and row_id not in self.resumed
        self._newer.add(row_id)
        return is_new

    def end_page(self) -> dict[str, None]:
        """Return the ids of the page's rows, and forget older ones if there are many."""
        page, self._page = self._page, {}
        if len(self._newer) > _MAX_REMEMBERED // 2:
            self._newer, self._older = set(), self._newer
        return page

    def forget_resumed(self, listed: Iterable[str]) -> None:
        """Drop ids of an earlier iteration that have been listed again."""
        for row_id in listed:
            self.resumed.pop(row_id, None)


def _a(kind: type) -> str:
    return "an account" if kind is Account else "a callflow"


@public
def decode_page(body: bytes) -> Page[Callflow]:
    """Return the page in ``body``, the response to one callflow listing as the server sent it.

    ``start_key`` is not known here. Raises ``DecodeError`` if it is not a listing of callflows.
    """
    envelope = decode_envelope(body, Callflow)
    return Page(
        items=read_rows(envelope.data, Callflow),
        next_start_key=envelope.next_start_key,
        page_size=envelope.page_size,
        request_id=envelope.request_id,
    )
