"""Time and chance, in one place, so that a test can take them over."""

import asyncio
import random
import time
from typing import Protocol


class Clock(Protocol):
    """What the client asks of time. ``VinixClient(clock=...)`` takes any object of this shape."""

    def monotonic(self) -> float:
        """Seconds that never go back, from any origin."""
        ...

    def time(self) -> float:
        """Seconds since 1970, as the ``exp`` of a token counts them."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock."""
        ...

    def random(self) -> float:
        """A number in [0, 1), for jitter."""
        ...


class SystemClock:
    """This system's time, real sleeps, and its random numbers."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)
    random = staticmethod(random.SystemRandom().random)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
