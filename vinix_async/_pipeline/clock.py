"""The source of time, sleeps and random numbers, which tests can replace."""

import asyncio
import random
import time
from typing import Any, Final, Protocol

from .._exceptions import ClientClosedError
from .._public import public


@public
class Clock(Protocol):
    """The interface of the clock that ``VinixClient(clock=...)`` accepts."""

    def monotonic(self) -> float:
        """Return a time in seconds that never decreases. Only differences between two such times are meaningful."""
        ...

    def time(self) -> float:
        """Return the Unix time in seconds. It is compared with the ``exp`` of tokens and with ``Retry-After`` dates."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait until ``seconds`` have passed on this clock."""
        ...

    def random(self) -> float:
        """Return a random number in [0, 1), which is used for jitter."""
        ...


class SystemClock:
    """The default clock: the system's time and random numbers, and real sleeps."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)
    random = staticmethod(random.SystemRandom().random)

    async def sleep(self, seconds: float) -> None:
        """Sleep for ``seconds``."""
        await asyncio.sleep(seconds)


class StoppableClock:
    """A clock whose sleeps raise ``ClientClosedError`` when the client is closed."""

    def __init__(self, clock: Clock) -> None:
        self.monotonic: Final = clock.monotonic
        self.time: Final = clock.time
        self.random: Final = clock.random
        self._sleep = clock.sleep
        self._sleepers: set[asyncio.Task[Any]] = set()
        self._stopped = False

    async def sleep(self, seconds: float, wake: asyncio.Future[None] | None = None) -> None:
        """Sleep for ``seconds``, or until ``wake`` is done if that is earlier."""
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
        """Make all current and future sleeps raise ``ClientClosedError``."""
        self._stopped = True
        for sleeper in self._sleepers:
            sleeper.cancel()

    def _check(self) -> None:
        if self._stopped:
            raise ClientClosedError("the client was closed while the call was waiting")
