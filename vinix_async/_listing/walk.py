"""A walk over a listing, page by page, the next one on its way.

The server's cursors form a chain, so one page can be ahead and no more. A walk ends where a page has no
``next_start_key``; the number of rows says nothing, and an empty page may have a cursor.
"""

import asyncio
import math
import time
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from msgspec import Raw, Struct

from .._exceptions import ClientClosedError, PaginationLoopError, VinixError
from .._http.request import Envelope
from .seen import Seen

if TYPE_CHECKING:
    from .checkpoint import Checkpoint

T = TypeVar("T")

_EMPTY_PAGES: Final = 1_000


class Page(Struct, Generic[T], frozen=True):
    """``start_key`` is the cursor that asked for the page, ``page_size`` its rows as the server counts them."""

    items: tuple[T, ...]
    next_start_key: str | None
    start_key: str | None
    page_size: int | None
    request_id: str | None


class Listing(Protocol[T]):
    """What is walked."""

    @property
    def scope(self) -> str:
        """The path and the filters, for checkpoints."""
        ...

    @property
    def turn(self) -> float:
        """Seconds of reading a page after which other tasks get their turn."""
        ...

    @property
    def tasks(self) -> set[asyncio.Task[Any]]:
        """What runs in the background."""
        ...

    def ends_at(self) -> float:
        """When a walk that begins now must have ended, on the monotonic clock."""
        ...

    def fetch(self, start_key: str | None, ends_at: float) -> Coroutine[Any, Any, Envelope]:
        """The page that begins at a cursor."""
        ...

    def read(self, envelope: Envelope) -> Iterable[Sequence[T]]:
        """The rows of a page, piece by piece."""
        ...

    def key(self, row: T, /) -> str:
        """What tells a row from others; empty if nothing does."""
        ...


class Walk(Generic[T]):
    """``page()`` is the next page, None behind the last; ``close()`` ends the walk wherever it is.

    Who needs no whole page asks for it with ``turn_page()``, and takes its ``rows()`` as they are read: rows that are
    let go before the next ones are made find their memory in the processor's cache. ``handed_out`` is for the caller to
    set: how many items of the page in hand it has handed out. ``start_key`` is the cursor of that page, else of the one
    that comes.
    """

    def __init__(
        self,
        listing: Listing[T],
        *,
        start_key: str | None,
        resume: "Checkpoint | None",
        max_items: int | None,
        prefetch: int,
    ) -> None:
        self.handed_out = 0
        self.turn_ends_at = 0.0
        self._listing = listing
        self._most = math.inf if max_items is None else max_items
        self._prefetch = prefetch
        self._ends_at: float | None = None  # known when the first page is asked for
        # Of the page in hand, else of the one that comes, what a checkpoint has:
        self.start_key = start_key
        self._done: tuple[str, ...] = ()
        self._before: tuple[str, ...] = ()
        self._yielded = 0
        self._finished = False
        if resume is not None:
            self.start_key, self._finished = resume.start_key, resume.finished
            self._done, self._before, self._yielded = resume.done, resume.before, resume.yielded
        self._in_hand = False  # whether a page is
        self._unread: Iterator[Sequence[T]] | None = None  # what is left of it, piece by piece
        self._met: list[str] = []  # keys of its rows
        self._new: list[str] = []  # keys of its items
        self._cursor: str | None = None  # of the page behind it
        self._cut = False  # it is the last one that max_items allows, and has more rows
        self._seen = Seen((*self._before, *self._done))
        self._cursors = {self.start_key}
        self._empty_pages = 0
        self._ahead: asyncio.Task[Envelope] | None = None

    def checkpoint(self) -> "Checkpoint":
        """The walk up to the last item that was handed out."""
        from .checkpoint import Checkpoint  # noqa: PLC0415  # most walks are not interrupted

        handed_out = self._new[: self.handed_out]
        return Checkpoint(
            scope=self._listing.scope,
            start_key=self.start_key,
            done=(*self._done, *filter(None, handed_out)),
            before=self._before,
            yielded=self._yielded + len(handed_out),
            finished=self._finished,
        )

    async def page(self) -> Page[T] | None:
        """The next page, without rows that have been seen already. All of the page in hand counts as handed out."""
        envelope = await self.turn_page()
        if envelope is None:
            return None
        items: list[T] = []
        while (unread := self._unread) is not None:
            items += self._read(unread, whole=True)
            if self._unread is not None:
                await self.rest()
        cursor = None if self._cut else envelope.next_start_key
        return Page(tuple(items), cursor, self.start_key, envelope.page_size, envelope.request_id)

    async def turn_page(self) -> Envelope | None:
        """The next page's envelope, None behind the last. All of the page in hand counts as handed out."""
        if self._cut:
            return None
        if self._in_hand:
            self._go_on(self._cursor)
        left = self._most - self._yielded
        if self._finished or left <= 0:
            return None
        try:
            envelope = await self._envelope(self.start_key, left)
        except VinixError as error:
            error.start_key = self.start_key
            raise
        self._in_hand, self._cursor = True, envelope.next_start_key
        self._unread = iter(self._listing.read(envelope))
        self.turn_ends_at = time.monotonic() + self._listing.turn
        return envelope

    async def rows(self) -> list[T]:
        """The next rows of the page in hand, without those that have been seen already; none at its end."""
        while (unread := self._unread) is not None:
            rows = self._read(unread, whole=False)
            if self._unread is not None and time.monotonic() >= self.turn_ends_at:
                await self.rest()
            if rows:
                return rows
        return []

    async def rest(self) -> None:
        """Let other tasks run: the time of this one's turn is over."""
        await asyncio.sleep(0)
        self.turn_ends_at = time.monotonic() + self._listing.turn

    def _read(self, unread: Iterator[Sequence[T]], *, whole: bool) -> list[T]:
        """The next piece, or as much of the ``whole`` page as the turn's time is enough for."""
        rows: list[T] = []
        try:
            for piece in unread:
                rows += piece
                if not whole or time.monotonic() >= self.turn_ends_at:
                    break
            else:
                self._unread = None
        except VinixError as error:
            error.start_key = self.start_key
            raise
        return self._only_new(rows) if rows else rows

    def _only_new(self, rows: list[T]) -> list[T]:
        keys = new = list(map(self._listing.key, rows))
        places = self._seen.new(keys)
        if len(places) < len(keys):
            new, rows = [keys[place] for place in places], [rows[place] for place in places]
        self._met += keys
        self._new += new
        over = len(self._new) + self._yielded - self._most
        if over > 0:
            self._cut, self._unread = True, None
            del self._new[-int(over) :], rows[-int(over) :]
        return rows

    async def _envelope(self, start_key: str | None, left: float) -> Envelope:
        """The page's envelope; the page behind it is on its way from then on."""
        if self._ends_at is None:
            self._ends_at = self._listing.ends_at()
        if self._ahead is None:
            envelope = await self._listing.fetch(start_key, self._ends_at)
        else:
            envelope = await _arrived(self._ahead)
            self._ahead = None
        cursor = envelope.next_start_key
        count = len(envelope.data) if isinstance(envelope.data, list) else 1
        if self._prefetch and cursor and cursor not in self._cursors and left > count:
            self._ahead = asyncio.create_task(self._listing.fetch(cursor, self._ends_at))
            self._listing.tasks.add(self._ahead)
            self._ahead.add_done_callback(self._listing.tasks.discard)
        if self._ahead is not None or _is_large(envelope.data):
            # The next request goes out, and others run, before this page takes the processor again.
            await asyncio.sleep(0)
        return envelope

    def _go_on(self, cursor: str | None) -> None:
        """Stand behind the page in hand, whose ``next_start_key`` is ``cursor``."""
        met = self._met
        self._empty_pages = 0 if met else self._empty_pages + 1
        if (cursor and cursor in self._cursors) or self._empty_pages == _EMPTY_PAGES:
            raise _loop(cursor, len(self._cursors))
        self._cursors.add(cursor)
        known = set(met)
        # What a resumed walk had handed out of this page and that is not on it now may be on the next.
        self._done = tuple(key for key in self._done if key not in known)
        self._before = tuple(filter(None, met))
        self._yielded += len(self._new)
        self.start_key, self._finished = cursor, cursor is None
        self._in_hand, self._met, self._new, self.handed_out = False, [], [], 0
        self._seen.page_ends()

    async def close(self) -> None:
        if self._ahead is not None:
            self._ahead.cancel()  # if it has failed, this also tells asyncio not to report it
            await asyncio.wait({self._ahead})


async def _arrived(ahead: asyncio.Task[Envelope]) -> Envelope:
    try:
        return await ahead
    except asyncio.CancelledError:
        walker = asyncio.current_task()
        if walker is None or walker.cancelling():
            raise
    # The page was cancelled and not the walk, or the walk's task would seem to have been.
    raise ClientClosedError("the client was closed while the next page was on its way")


def _is_large(data: Any) -> bool:
    """Whether a page has taken a while already, by being taken apart, and its rows are yet to be decoded."""
    return isinstance(data, list) and bool(data) and type(data[0]) is Raw


def _loop(cursor: str | None, pages: int) -> PaginationLoopError:
    return PaginationLoopError(
        "the server goes in a circle: its next_start_key has been followed already. Where more accounts share "
        "a name than a page holds, a larger page_size helps",
        start_key=cursor,
        pages=pages,
    )
