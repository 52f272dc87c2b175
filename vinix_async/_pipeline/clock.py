"""Time and chance in one place, so that a test can replace them."""

import asyncio
import random
import time
from typing import Any, Final, Protocol

from .._exceptions import ClientClosedError
from .._public import public


@public
class Clock(Protocol):
    """What the client needs of time. ``VinixClient(clock=...)`` accepts any object with these methods."""

    def monotonic(self) -> float:
        """Return seconds that never go back, from any origin."""
        ...

    def time(self) -> float:
        """Return seconds since 1970, as the ``exp`` of a token counts them."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock."""
        ...

    def random(self) -> float:
        """Return a number in [0, 1), for jitter."""
        ...


class SystemClock:
    """The system's time, real sleeps, and the system's random numbers."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)
    random = staticmethod(random.SystemRandom().random)

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)


class StoppableClock:
    """A clock whose sleeps end with ``ClientClosedError`` when the client is closed."""

    def __init__(self, clock: Clock) -> None:
        self.monotonic: Final = clock.monotonic
        self.time: Final = clock.time
        self.random: Final = clock.random
        self._sleep = clock.sleep
        self._sleepers: set[asyncio.Task[Any]] = set()
        self._stopped = False

    async def sleep(self, seconds: float, wake: asyncio.Future[None] | None = None) -> None:
        """Sleep, unless ``wake`` is done or the client is closed first."""
        self._check()
        sleeper = asyncio.ensure_future(self._sleep(seconds))
        self._sleepers.add(sleeper)
        try:
            await asyncio.wait({sleeper, wake or sleeper}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._sleepers.discard(sleeper)
            sleeper.cancel()
        self._check()
        if sleeper.done():
            await sleeper

    def stop(self) -> None:
        """End every sleep."""
        self._stopped = True
        for sleeper in self._sleepers:
            sleeper.cancel()

    def _check(self) -> None:
        if self._stopped:
            raise ClientClosedError("the client was closed while the call was waiting")
