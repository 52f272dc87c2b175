"""Reads the full documents of a listing's rows concurrently, and yields them in the order of the listing."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from typing import Any, Generic, TypeVar

from attrs import frozen

from .._exceptions import NotFoundError, VinixError
from .._pipeline.send import result_of

T = TypeVar("T")
Row = TypeVar("Row")


@frozen
class Detail(Generic[Row, T]):
    """The result of reading the document of a row: the document, an error, or neither if the document was deleted."""

    row: Row
    document: T | None = None
    error: VinixError | None = None


async def read_details(
    rows: Iterable[Row],
    read: Callable[[Row], Awaitable[T]],
    *,
    window: Callable[[], int],
    start: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
) -> AsyncGenerator[Detail[Row, T], None]:
    """Yield the result for each row, in order. At most ``window()`` documents are requested ahead.

    Leaving the loop cancels the requests in flight. ``start`` is the function that starts a background task of the
    client.
    """
    waiting: deque[asyncio.Task[Detail[Row, T]]] = deque()
    source = iter(rows)
    try:
        while True:
            while len(waiting) < window() and (row := next(source, None)) is not None:
                waiting.append(start(_read_one(row, read)))
            if not waiting:
                return
            detail = await result_of(waiting[0])
            waiting.popleft()
            yield detail
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _read_one(row: Row, read: Callable[[Row], Awaitable[T]]) -> Detail[Row, T]:
    try:
        return Detail(row, document=await read(row))
    except NotFoundError:
        return Detail(row)
    except VinixError as error:
        return Detail(row, error=error)
