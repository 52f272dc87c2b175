"""A listing as a walk over pages: by item, by page, from a checkpoint, the next page on its way.

The server's cursors form a chain, so one page can be ahead and no more. A walk ends where a page has no
``next_start_key``; the number of rows says nothing, and an empty page may have a cursor.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

from attrs import evolve, frozen

from ._checkpoint import Checkpoint
from ._convert import collector_paused
from ._exceptions import ClientClosedError, ConfigurationError, PaginationLoopError, VinixError
from ._wire import Envelope, check_count

T = TypeVar("T")

_REMEMBERED: Final = 100_000
"""Ids of rows that are kept to drop repeated ones. Servers repeat those of the page before, if any."""

_EMPTY_PAGES: Final = 1_000

_MANY: Final = 100
"""Rows of a page that has taken a while already, by being taken apart."""


@frozen
class Page(Generic[T]):
    """``start_key`` is the cursor that asked for the page, ``page_size`` its rows as the server counts them."""

    items: tuple[T, ...]
    next_start_key: str | None
    start_key: str | None
    page_size: int | None
    request_id: str | None


class Pager(Generic[T]):
    """A listing that has not been asked for yet.

    ``async for item in pager`` and ``async for page in pager.by_page()`` walk it, from the first page each
    time; ``await pager`` is the first page. Every error of a page has the page's cursor as ``start_key``.
    """

    def __init__(
        self,
        fetch: Callable[[str | None], Coroutine[Any, Any, Envelope]],
        read: Callable[[Envelope], Iterable[Sequence[T]]],
        *,
        scope: str,
        key: Callable[[T], str],
        tasks: set[asyncio.Task[Any]],
        start_key: str | None = None,
        max_items: int | None = None,
        prefetch: int = 1,
        resume: Checkpoint | None = None,
        turn: float = 0.0005,
    ) -> None:
        check_count("max_items", max_items)
        if type(prefetch) is not int or prefetch not in {0, 1}:
            raise ConfigurationError("prefetch must be 0 or 1: a page's cursor is known only from the page before")
        if start_key is not None and (type(start_key) is not str or not start_key):
            raise ConfigurationError("start_key must be a str that is not empty, or None")
        if resume is not None and not isinstance(resume, Checkpoint):
            raise ConfigurationError("resume must be a Checkpoint, as pager.checkpoint() gives it")
        if resume is not None and start_key is not None:
            raise ConfigurationError("give start_key or resume, not both: a checkpoint has its own cursor")
        if resume is not None and resume.scope != scope:
            raise ConfigurationError(f"the checkpoint is one of {resume.scope}, not of {scope}")
        self._fetch = fetch
        self._read = read
        self._key = key
        self._tasks = tasks
        self._max_items = max_items
        self._prefetch = prefetch
        self._turn = turn
        self._origin = resume or Checkpoint(scope=scope, start_key=start_key)
        self._position = self._origin  # of the page in hand: its cursor, and what came before it
        self._keys: tuple[str, ...] = ()  # of its rows
        self._handed_out = 0
        self._spent: list[T] = []

    def __await__(self) -> Generator[Any, None, Page[T]]:
        return self._first_page().__await__()

    async def _first_page(self) -> Page[T]:
        walk = self._walk(prefetch=0)
        try:
            async for page in walk:
                self._handed_out = len(page.items)
                return page
        finally:
            await walk.aclose()
        return Page((), None, self._origin.start_key, None, None)  # nothing is left of a resumed walk

    async def to_list(self) -> list[T]:
        """Every item of every page."""
        return [item async for item in self]

    async def by_page(self) -> AsyncGenerator[Page[T], None]:
        """The pages, without rows that have been seen already; an empty page is one too.

        The page that ``max_items`` cuts short has no ``next_start_key``; ``checkpoint()`` knows where to go on.
        """
        walk = self._walk(self._prefetch)
        before: tuple[T, ...] = ()
        try:
            async for page in walk:
                self._handed_out = len(page.items)
                yield page
                # The caller holds this page until the next one comes, and has let go of the one before.
                self._spent, before = list(before), page.items
        finally:
            self._spent = []
            await walk.aclose()

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        walk = self._walk(self._prefetch)
        try:
            async for page in walk:
                count, waiting = len(page.items), list(reversed(page.items))
                del page  # an item goes when the caller lets go of it
                while waiting:
                    self._handed_out = count - len(waiting) + 1
                    yield waiting.pop()
        finally:
            await walk.aclose()

    def checkpoint(self) -> Checkpoint:
        """The walk up to the item (or page) whose loop body is running, that one included.

        It belongs to the walk that was begun last. After an error it goes on with the page that failed.
        """
        handed_out = self._keys[: self._handed_out]
        return evolve(
            self._position,
            done=(*self._position.done, *filter(None, handed_out)),
            yielded=self._position.yielded + len(handed_out),
        )

    def _stand_at(self, position: Checkpoint, keys: tuple[str, ...] = ()) -> None:
        self._position, self._keys, self._handed_out = position, keys, 0

    async def _walk(self, prefetch: int) -> AsyncGenerator[Page[T], None]:
        position = self._origin
        self._stand_at(position)
        seen = dict.fromkeys((*position.before, *position.done))
        cursors = {position.start_key}
        empty_pages = 0
        ahead: asyncio.Task[Envelope] | None = None
        try:
            while not position.finished and (left := self._left(position)) > 0:
                try:
                    envelope = await (_arrived(ahead) if ahead else self._fetch(position.start_key))
                    cursor, ahead = envelope.next_start_key, None
                    if cursor and cursor not in cursors and prefetch and left > _count(envelope.data):
                        ahead = self._start(cursor)
                    if ahead is not None or _count(envelope.data) > _MANY:
                        # The next request goes out, and others run, before this page takes the processor again.
                        await asyncio.sleep(0)
                    rows = await self._rows(envelope)
                except VinixError as error:
                    error.start_key = position.start_key
                    raise
                keys = [self._key(row) for row in rows]
                new = _unseen(keys, seen)
                cut = len(new) > left
                if cut:
                    del new[int(left) :]
                page = Page(
                    tuple([rows[index] for index in new]),
                    None if cut else cursor,
                    position.start_key,
                    envelope.page_size,
                    envelope.request_id,
                )
                self._stand_at(position, tuple([keys[index] for index in new]))
                waiting = [page]
                del rows, envelope, page
                yield waiting.pop()  # the caller's alone from now on
                if cut:
                    return
                empty_pages = 0 if keys else empty_pages + 1
                if (cursor and cursor in cursors) or empty_pages == _EMPTY_PAGES:
                    raise _loop(cursor, len(cursors))
                cursors.add(cursor)
                position = evolve(
                    position,
                    start_key=cursor,
                    # What a resumed walk had handed out of this page and that is not on it now may be on the next.
                    done=tuple(key for key in position.done if key not in keys),
                    before=tuple(filter(None, keys)),
                    yielded=position.yielded + len(new),
                    finished=cursor is None,
                )
                self._stand_at(position)
        finally:
            if ahead is not None:
                ahead.cancel()  # if it has failed, this also tells asyncio not to report it
                await asyncio.wait({ahead})

    async def _rows(self, envelope: Envelope) -> list[T]:
        """The rows of a page, read piece by piece; other tasks run whenever that has taken a turn's time.

        To free a page takes a third of that. So the one before the last is let go piece by piece, too.
        """
        rows: list[T] = []
        pieces = iter(self._read(envelope))
        now = asyncio.get_running_loop().time
        while True:
            ends_at = now() + self._turn
            with collector_paused():
                for piece in pieces:
                    rows += piece
                    del self._spent[-len(piece) :]
                    if now() >= ends_at:
                        break
                else:
                    return rows
            await asyncio.sleep(0)

    def _left(self, position: Checkpoint) -> float:
        return math.inf if self._max_items is None else self._max_items - position.yielded

    def _start(self, cursor: str) -> asyncio.Task[Envelope]:
        task = asyncio.create_task(self._fetch(cursor))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _arrived(ahead: asyncio.Task[Envelope]) -> Envelope:
    try:
        return await ahead
    except asyncio.CancelledError:
        walker = asyncio.current_task()
        if walker is None or walker.cancelling():
            raise
    # The page was cancelled and not the walk, or the walk's task would seem to have been.
    raise ClientClosedError("the client was closed while the next page was on its way")


def _count(data: Any) -> int:
    return len(data) if isinstance(data, list) else 1


def _unseen(keys: list[str], seen: dict[str, None]) -> list[int]:
    """The places of rows that are new, each once; ``seen`` learns their keys and forgets the oldest."""
    new = []
    for index, key in enumerate(keys):
        if key not in seen:
            new.append(index)
            if key:
                seen[key] = None
    while len(seen) > _REMEMBERED:
        del seen[next(iter(seen))]
    return new


def _loop(cursor: str | None, pages: int) -> PaginationLoopError:
    return PaginationLoopError(
        "the server goes in a circle: its next_start_key has been followed already. Where more accounts share "
        "a name than a page holds, a larger page_size helps",
        start_key=cursor,
        pages=pages,
    )
