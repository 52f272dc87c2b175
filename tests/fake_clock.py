"""A clock that a test owns: sleeping moves it on, and takes no time."""

import asyncio


class FakeClock:
    def __init__(self, now: float = 1000.0, epoch: float = 1_750_000_000.0, chance: float = 0.5) -> None:
        self.now = now
        self.epoch = epoch
        self.chance = chance
        self.slept = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.epoch + self.now

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += seconds
        await asyncio.sleep(0)

    def random(self) -> float:
        return self.chance
