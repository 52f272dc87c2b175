"""Reading a listing of 50 pages S from a server with 20 ms of latency, against fetching its bytes alone.

    python benchmarks/walk.py [--quick]

Fetching alone requests one page after the other, knows every cursor beforehand and decodes nothing. No client that
reads one listing can be much faster.
"""

import asyncio
import time

import server
from contenders import BARE, CLIENTS, HTTPX, Aiohttp, Client, open_all
from harness import VINIX, Options, Report, Samples, interleaved, main

ALONE = "fetching alone"
LISTING = "S.20.50"
ROUNDS = 7


class Alone(Aiohttp):
    """Fetches every page of the listing and looks at none."""

    async def walk(self, account_id: str) -> None:
        for page in range(int(account_id.rpartition(".")[2])):
            await self.fetch(account_id, str(page) if page else None)


async def compare(url: str, rounds: int) -> Samples:
    """Measure the seconds of a walk."""
    samples = Samples()
    kinds: dict[str, type[Client]] = {ALONE: Alone, **{name: CLIENTS[name] for name in (VINIX, BARE, HTTPX)}}
    async with open_all(url, kinds) as clients:
        for name in interleaved(list(kinds), rounds):
            begun = time.perf_counter()
            await clients[name].walk(LISTING)
            samples.add(name, time.perf_counter() - begun)
    return samples


def measure(options: Options) -> Report:
    """Measure walks."""
    with server.running() as url:
        samples = asyncio.run(compare(url, options.rounds(ROUNDS)))
    report = Report()
    rows = [
        [name, f"{samples.median(name) * 1000:,.0f}", f"{samples.ratio(name, ALONE):.2f}"]
        for name in (ALONE, VINIX, BARE, HTTPX)
    ]
    report.table(["", "ms for 50 pages", "×"], rows)
    report.figures = {"walk": samples.ratio(VINIX, ALONE)}
    return report


if __name__ == "__main__":
    main("walk", measure)
