"""A number of places, for so many at once."""

import asyncio
from collections import deque


class Places:
    """A semaphore that is entered without an ``await`` where nobody waits. Waiters go first in, first out."""

    __slots__ = ("_free", "_waiting")

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] | None = None  # made for the first who waits

    def enter_now(self) -> bool:
        """Take a place, if one is free; ``leave`` gives it back."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    async def enter(self) -> None:
        """Take a place when one is free."""
        if self.enter_now():
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
        self._free += 1
