"""A number of places, for so many at once."""

import asyncio
from collections import deque


class Places:
    """A semaphore that is entered without an ``await`` where nobody waits. Waiters go first in, first out.

    As long as ``free`` is above 0, to lower it by 1 is to take a place; ``leave`` gives it back.
    """

    __slots__ = ("_waiting", "free")

    def __init__(self, count: int) -> None:
        self.free: int = count
        self._waiting: deque[asyncio.Future[None]] | None = None  # made for the first who waits

    async def enter(self) -> None:
        """Take a place when one is free."""
        if self.free > 0:
            self.free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the place came in the same moment
                self.leave()
            raise

    def leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1
