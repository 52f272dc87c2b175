"""When exchanges must have ended: one timer for all that are under way, where each would need its own."""

import asyncio
import math
from typing import Protocol


class Watched(Protocol):
    """A connection; one that was let go has no transport."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """What is aborted."""
        ...


class Watch:
    """Aborts the connection of every exchange that has not ended in time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ends_at: dict[Watched, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, connection: Watched, ends_at: float) -> None:
        """Watch an exchange that must have ended at ``ends_at``, on the loop's clock."""
        self._ends_at[connection] = ends_at
        if ends_at < math.inf and (self._timer is None or ends_at < self._timer.when()):
            self._set(ends_at)

    def end(self, connection: Watched) -> bool:
        """Whether the exchange was still in time."""
        return self._ends_at.pop(connection, None) is not None

    def close(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, when: float) -> None:
        self.close()
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self._loop.time()
        for connection, ends_at in list(self._ends_at.items()):
            if ends_at <= now:
                del self._ends_at[connection]
                if connection.transport is not None:
                    connection.transport.abort()
        earliest = min(self._ends_at.values(), default=math.inf)
        if earliest < math.inf:
            self._set(earliest)
