"""One account's listing: pages and their cursors, rows that come twice, bad rows, checkpoints.

The server's cursors form a chain, so one page can be asked for ahead and no more. A listing ends where a page has no
``next_start_key``; the number of rows says nothing, and an empty page may have a cursor (api-facts 2.4).
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
"""Ids of rows that are remembered at least, to drop rows that come twice. Servers repeat rows of the page before."""


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


def _count(items: Any) -> str:
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

    items: tuple[T, ...] = field(repr=_count)
    next_start_key: str | None = None
    start_key: str | None = None
    page_size: int | None = None
    request_id: str | None = None
    bad_items: tuple[BadItem, ...] = field(default=(), repr=_count)


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
        ends_at: returns when a walk that begins now must have ended, on the monotonic clock.
        start: starts a background task.
        window: documents that are fetched ahead.
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
    """A listing that has not been asked for yet.

    ``async for item in pager`` and ``async for page in pager.by_page()`` walk it, from the first page each time;
    ``await pager`` gets the first page, ``await pager.to_list()`` all items. Every error of a page has the page's
    cursor as ``start_key``.

    By item, rows are decoded as they are asked for: those before a bad row are handed out before its ``DecodeError``
    is raised. A page is complete or an error.
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
        self._walk: Walk[T] | None = None  # the one that was begun last

    def _begin(self, prefetch: int) -> "Walk[T]":
        self._walk = walk = Walk(
            self._listing,
            start_key=self._start_key,
            resume=self._resume,
            max_items=self._max_items,
            prefetch=prefetch,
            skips_bad_items=self._skips,
        )
        return walk

    def __await__(self) -> Generator[Any, None, Page[T]]:
        return self._first_page().__await__()

    async def _first_page(self) -> Page[T]:
        walk = self._begin(prefetch=0)
        try:
            return await walk.page() or Page(items=(), start_key=walk.start_key)  # nothing is left of a resumed walk
        finally:
            await walk.close()

    async def to_list(self) -> list[T]:
        """Return every item of every page."""
        return [item async for page in self.by_page() for item in page.items]

    async def by_page(self) -> AsyncGenerator[Page[T], None]:
        """Yield the pages, without rows that came before. An empty page is a page, too.

        The page at which ``max_items`` is reached has no ``next_start_key``; ``checkpoint()`` knows where to go on.
        """
        walk = self._begin(self._prefetch)
        try:
            while page := await walk.page():
                yield page
        finally:
            await walk.close()

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        walk = self._begin(self._prefetch)
        try:
            while envelope := await walk.next_page():
                async with aclosing(walk.pieces(envelope)) as pieces:
                    async for items in pieces:
                        for item in items:
                            walk.hand_out(item)
                            yield item
        finally:
            await walk.close()

    @property
    def bad_items(self) -> tuple[BadItem, ...]:
        """What the walk that was begun last could not read, under ``on_bad_item="skip"``."""
        return tuple(self._walk.all_bad_items) if self._walk else ()

    def checkpoint(self) -> Checkpoint:
        """Return the walk up to the item (or page) whose loop body is running, that one included.

        It belongs to the walk that was begun last. After an error it goes on with the page that failed, after those of
        its items that were handed out. It goes back to the first page that had a bad item, to try that one again.
        """
        return (self._walk or self._begin(self._prefetch)).checkpoint()

    def __repr__(self) -> str:
        return f"<Pager of {self._listing.scope}>"


def _check_resume(resume: object, start_key: str | None, scope: str) -> None:
    if not isinstance(resume, Checkpoint):
        raise ConfigurationError("resume must be a Checkpoint, as pager.checkpoint() returns it")
    if start_key is not None:
        raise ConfigurationError("give start_key or resume, not both: a checkpoint has its own cursor")
    if resume.scope != scope:
        raise ConfigurationError(f"the checkpoint belongs to {resume.scope}, not to {scope}")


class Walk(Generic[T]):
    """One walk over a listing: ``next_page`` gets a page, ``pieces`` yields its items, ``close`` ends the walk.

    ``page`` gets a complete page in one go. ``start_key`` is the cursor of the page in hand, or of the next one.
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
        self._ends_at: float | None = None  # known when the first page is asked for
        self._finished = resume.finished
        self._envelope: Envelope | None = None  # of the page in hand
        self._ahead: asyncio.Task[Envelope] | None = None
        self._cursors = {self.start_key}
        self._empty_pages = 0
        self._seen = _Seen(resume.done)
        # What a checkpoint holds: ids that a resumed walk had handed out and that have not been listed again, those of
        # the page before, and those of the page in hand.
        self._resumed = list(resume.done)
        self._before: list[str] = []
        self._handed_out: list[str] = []
        self._yielded = resume.yielded
        self._reported = resume.yielded
        # What was found bad, and the first page that had any of it.
        self._bad_start_key: str | None = None
        self._bad_ids: set[str] = set()
        self._page_bad_items: list[BadItem] = []

    def checkpoint(self) -> Checkpoint:
        """Return the walk up to the last item that was handed out."""
        has_bad_items = bool(self.all_bad_items)
        return Checkpoint(
            scope=self._listing.scope,
            start_key=self._bad_start_key if has_bad_items else self.start_key,
            done=(*self._resumed, *self._before, *self._handed_out),
            bad=tuple(sorted(self._bad_ids)),
            yielded=self._yielded,
            finished=self._finished and not has_bad_items,
        )

    def hand_out(self, item: T) -> None:
        """Note that ``item`` is handed out now."""
        self._yielded += 1
        if item.id:
            self._handed_out.append(item.id)

    async def page(self) -> Page[T] | None:
        """Get the next page and hand it out; None after the last."""
        envelope = await self.next_page()
        if envelope is None:
            return None
        items: list[T] = []
        async with aclosing(self.pieces(envelope)) as pieces:
            async for piece in pieces:
                items += piece
        for item in items:
            self.hand_out(item)
        return Page(
            items=tuple(items),
            next_start_key=envelope.next_start_key if self._left > 0 else None,
            start_key=self.start_key,
            page_size=envelope.page_size,
            request_id=envelope.request_id,
            bad_items=tuple(self._page_bad_items),
        )

    async def next_page(self) -> Envelope | None:
        """Get the next page; None after the last. All of the page in hand has been handed out."""
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

    def pieces(self, envelope: Envelope) -> AsyncGenerator[list[T], None]:
        """Yield the items of the page in hand, without those that came before, until ``max_items`` is reached."""
        if self._listing.fetch_one is not None and isinstance(envelope.data, list):
            return self._whole_documents(envelope)
        return self._rows(envelope)

    def _limit(self, items: list[T]) -> list[T]:
        """Return as many of ``items`` as ``max_items`` allows."""
        if len(items) > self._left:
            del items[int(self._left) :]
        self._left -= len(items)
        return items

    async def _rows(self, envelope: Envelope) -> AsyncGenerator[list[T], None]:
        """Yield the rows themselves. Other tasks run between two pieces."""
        problems: list[BadRow] = []
        for number, (documents, bad_rows) in enumerate(iter_rows(envelope.data, self._listing.kind)):
            if number:
                await asyncio.sleep(0)
            if bad_rows and self._skips_bad_items:
                for row in bad_rows:
                    self._add_bad_item(row.id, row.index, self._page_error([row], envelope))
            else:
                problems += bad_rows
            if not problems:  # else the rest is only read to name all problems of the page
                yield self._limit(self._seen.new(documents))
                if self._left <= 0:
                    return
        if problems:
            raise self._page_error(problems, envelope)

    async def _whole_documents(self, envelope: Envelope) -> AsyncGenerator[list[T], None]:
        """Yield the whole document of each row, in the order of the rows. A bad row may still have a good document."""

        def window() -> int:
            return int(min(self._listing.window, self._left))

        async def read(row: tuple[int, T | BadRow]) -> T:
            return await self._read_whole(row[1], envelope)

        rows = self._numbered_rows(envelope)
        details = read_details(rows, read, window=window, start=self._listing.start)
        async with aclosing(details) as source:
            async for detail in source:
                index, row = detail.row
                if detail.error is not None:
                    self._add_bad_item(row.id or None, index, detail.error)
                elif detail.document is None:
                    deleted = CallflowDeleted(account_id=self._listing.account_id, callflow_id=row.id or "")
                    notify(self._listing.listeners, deleted)
                else:
                    yield self._limit([detail.document])
                    if self._left <= 0:
                        return

    def _numbered_rows(self, envelope: Envelope) -> Iterator[tuple[int, T | BadRow]]:
        """Yield the rows of a page that are new, with their places in its ``data``."""
        first = 0
        for documents, bad_rows in iter_rows(envelope.data, self._listing.kind):
            bad = {row.index: row for row in bad_rows}
            good = iter(documents)
            size = len(documents) + len(bad_rows)
            for index in range(first, first + size):
                if index in bad:
                    yield index, bad[index]
                else:
                    for document in self._seen.new([next(good)]):
                        yield index, document
            first += size

    async def _read_whole(self, row: T | BadRow, envelope: Envelope) -> T:
        if row.id and self._listing.fetch_one is not None:
            return await self._listing.fetch_one(row.id, math.inf if self._ends_at is None else self._ends_at)
        if isinstance(row, BadRow):
            raise self._page_error([row], envelope)
        return row  # without an id, the row is all that there is

    # --- bad items ---

    def _add_bad_item(self, id_: str | None, index: int, error: VinixError) -> None:
        error.account_id = error.account_id or self._listing.account_id
        error.callflow_id = error.callflow_id or id_
        error.start_key = self.start_key
        concerns_all = isinstance(error, AuthenticationError | RateLimitError | ClientClosedError)
        if concerns_all or error.affects_others or not self._skips_bad_items:
            raise error
        if id_ is not None and id_ in self._bad_ids:
            return  # servers repeat rows of the page before
        if not self.all_bad_items:
            self._bad_start_key = self.start_key
        if id_ is not None:
            self._bad_ids.add(id_)
        item = BadItem(account_id=self._listing.account_id, id=id_, index=index, error=error)
        self.all_bad_items.append(item)
        self._page_bad_items.append(item)
        found = BadItemFound(account_id=item.account_id, callflow_id=id_, index=index, error=error)
        notify(self._listing.listeners, found)

    def _page_error(self, rows: list[BadRow], envelope: Envelope) -> DecodeError:
        return DecodeError(
            f"the listing has a row that is not {_a(self._listing.kind)} as the API sends it",
            problems=tuple(problem for row in rows for problem in row.problems),
            account_id=self._listing.account_id,
            callflow_id=rows[0].id if self._listing.kind is Callflow else None,
            method="GET",
            path=self._listing.path,
            request_id=envelope.request_id,
            attempts=envelope.attempts,
            start_key=self.start_key,
            gave_up="another attempt would get the same response",
        )

    # --- pages ---

    async def _fetch(self) -> Envelope:
        """Get the page at ``start_key``, and ask for the one after it."""
        if self._ends_at is None:
            self._ends_at = self._listing.ends_at()
        if self._ahead is None:
            envelope = await self._listing.fetch(self.start_key, self._ends_at)
        else:
            envelope = await result_of(self._ahead)
            self._ahead = None
        if envelope.next_start_key == envelope.start_key and "?" in self._listing.scope:
            envelope.next_start_key = None  # Kazoo 4.3 leaves such a cursor after a filtered listing (api-facts 12)
        cursor = envelope.next_start_key
        rows = len(envelope.data) if isinstance(envelope.data, list) else 1
        if self._prefetch and cursor and cursor not in self._cursors and self._left > rows:
            self._ahead = self._listing.start(self._listing.fetch(cursor, self._ends_at))
            await asyncio.sleep(0)  # the request goes out before this page is decoded
        return envelope

    def _leave_page(self, envelope: Envelope) -> None:
        """Go on to the page after the one in hand."""
        cursor, listed = envelope.next_start_key, self._seen.end_page()
        empty = not listed and not self._page_bad_items
        self._empty_pages = self._empty_pages + 1 if empty else 0
        if (cursor and cursor in self._cursors) or self._empty_pages == _MAX_EMPTY_PAGES:
            raise PaginationLoopError(
                "the server's cursors form a loop: its next_start_key has been followed already. Where more accounts "
                "share a name than a page holds, a larger page_size helps",
                account_id=self._listing.account_id,
                method="GET",
                path=self._listing.path,
                request_id=envelope.request_id,
                attempts=envelope.attempts,
                start_key=cursor,
                pages=len(self._cursors),
                gave_up="following it again would not end",
            )
        self._cursors.add(cursor)
        if self.all_bad_items:  # a resumed walk lists all pages from there on
            self._before += self._handed_out
        else:
            # What a resumed walk had handed out and this page does not list may be on the next one.
            self._resumed = [id_ for id_ in self._resumed if id_ not in listed]
            self._before = [id_ for id_ in listed if id_]
        self._handed_out = []
        self.start_key, self._finished = cursor, cursor is None
        self._envelope = None

    def _report(self) -> None:
        """Tell the listeners how many callflows were handed out since the last report."""
        count, self._reported = self._yielded - self._reported, self._yielded
        if count and self._listing.kind is Callflow:
            notify(self._listing.listeners, CallflowsRead(count=count))

    async def close(self) -> None:
        """End the walk, and a page that is on its way."""
        self._report()
        if self._ahead is not None:
            self._ahead.cancel()  # if it has failed, this also keeps asyncio from reporting it
            await asyncio.wait({self._ahead})


class _Seen:
    """Which rows have come before, by their ids.

    The ids are in two sets that take turns: a single set that forgets its oldest id for each new one is slow.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self._newer = set(ids)
        self._older: set[str] = set()
        self._page: dict[str, None] = {}

    def new(self, rows: list[T]) -> list[T]:
        """Return the rows that have not come before. A row without an id is always new."""
        newer, older = self._newer, self._older
        fresh: list[T] = []
        for row in rows:
            id_ = row.id
            if not id_:
                self._page[""] = None
            elif id_ in newer or id_ in older:
                self._page[id_] = None
                continue
            else:
                newer.add(id_)
                self._page[id_] = None
            fresh.append(row)
        return fresh

    def end_page(self) -> dict[str, None]:
        """Return the ids of the page's rows, and forget older ones if there are many."""
        page, self._page = self._page, {}
        if len(self._newer) > _MAX_REMEMBERED // 2:
            self._newer, self._older = set(), self._newer
        return page


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
