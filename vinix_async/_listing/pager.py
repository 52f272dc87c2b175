"""A listing as the caller has it: by item, by page, the first page, all of it, from a checkpoint."""

import time
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .._exceptions import ConfigurationError
from .._http.request import check_count
from .walk import Listing, Page, Walk

if TYPE_CHECKING:
    from .checkpoint import Checkpoint

T = TypeVar("T")


class Pager(Generic[T]):
    """A listing that has not been asked for yet.

    ``async for item in pager`` and ``async for page in pager.by_page()`` walk it, from the first page each
    time; ``await pager`` is the first page. Every error of a page has the page's cursor as ``start_key``.

    A page's rows are read as the items are asked for: by item, a large page's rows before one that is wrong are handed
    out before its ``DecodeError`` is raised. A page is whole or an error.
    """

    def __init__(
        self,
        listing: Listing[T],
        *,
        start_key: str | None = None,
        max_items: int | None = None,
        prefetch: int = 1,
        resume: "Checkpoint | None" = None,
    ) -> None:
        check_count("max_items", max_items)
        if type(prefetch) is not int or prefetch not in {0, 1}:
            raise ConfigurationError("prefetch must be 0 or 1: a page's cursor is known only from the page before")
        if start_key is not None and (type(start_key) is not str or not start_key):
            raise ConfigurationError("start_key must be a str that is not empty, or None")
        if resume is not None:
            _check_resume(resume, start_key, listing.scope)
        self._listing = listing
        self._start_key = start_key
        self._resume = resume
        self._max_items = max_items
        self._prefetch = prefetch
        self._walk: Walk[T] | None = None  # the one that was begun last

    def _begin(self, prefetch: int) -> Walk[T]:
        self._walk = walk = Walk(
            self._listing,
            start_key=self._start_key,
            resume=self._resume,
            max_items=self._max_items,
            prefetch=prefetch,
        )
        return walk

    def __await__(self) -> Generator[Any, None, Page[T]]:
        return self._first_page().__await__()

    async def _first_page(self) -> Page[T]:
        walk = self._begin(prefetch=0)
        page = await walk.page()
        if page is None:  # nothing is left of a resumed walk
            return Page((), None, walk.start_key, None, None)
        walk.handed_out = len(page.items)
        return page

    async def to_list(self) -> list[T]:
        """Every item of every page."""
        walk = self._begin(self._prefetch)
        items: list[T] = []
        try:
            while page := await walk.page():
                items += page.items
                walk.handed_out = len(page.items)
        finally:
            await walk.close()
        return items

    async def by_page(self) -> AsyncGenerator[Page[T], None]:
        """The pages, without rows that have been seen already; an empty page is one too.

        The page that ``max_items`` cuts short has no ``next_start_key``; ``checkpoint()`` knows where to go on.
        """
        walk = self._begin(self._prefetch)
        try:
            while page := await walk.page():
                walk.handed_out = len(page.items)
                yield page
        finally:
            await walk.close()

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        walk = self._begin(self._prefetch)
        now = time.monotonic
        try:
            while await walk.turn_page():
                while waiting := await walk.rows():
                    waiting.reverse()
                    while waiting:
                        walk.handed_out += 1
                        yield waiting.pop()  # an item goes when the caller lets go of it, which takes a while, too
                        if now() >= walk.turn_ends_at:
                            await walk.rest()
        finally:
            await walk.close()

    def checkpoint(self) -> "Checkpoint":
        """The walk up to the item (or page) whose loop body is running, that one included.

        It belongs to the walk that was begun last. After an error it goes on with the page that failed, behind the
        items of it that were handed out.
        """
        return (self._walk or self._begin(self._prefetch)).checkpoint()


def _check_resume(resume: object, start_key: str | None, scope: str) -> None:
    from .checkpoint import Checkpoint  # noqa: PLC0415  # most walks begin at the first page

    if not isinstance(resume, Checkpoint):
        raise ConfigurationError("resume must be a Checkpoint, as pager.checkpoint() gives it")
    if start_key is not None:
        raise ConfigurationError("give start_key or resume, not both: a checkpoint has its own cursor")
    if resume.scope != scope:
        raise ConfigurationError(f"the checkpoint is one of {resume.scope}, not of {scope}")
