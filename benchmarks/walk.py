"""A listing of pages L over a wire with 20 ms and 100 ms of latency, against fetching its bytes alone.

    python benchmarks/walk.py [--quick]

Fetching alone knows every cursor beforehand, asks for one page after the other and decodes nothing: what any client
needs that reads one listing.
"""

import asyncio
import gc
import time

import server
from contenders import BARE, CLIENTS, GENERATED, PYDANTIC, REQUESTS, Aiohttp, open_all
from harness import VINIX, Options, Report, Samples, interleaved, main

ALONE = "fetching alone"
PAGES = 20
ROUNDS = {20: 5, 100: 4}
SLOW = [PYDANTIC, GENERATED, REQUESTS]
"""Measured once, over a quarter of the pages, at 20 ms: they are far behind."""


class Alone(Aiohttp):
    """Fetches every page of ``server.py`` and looks at none."""

    async def walk(self, account_id: str) -> None:
        for page in range(int(account_id.rpartition(".")[2])):
            await self.fetch(account_id, str(page) if page else None)


async def compare(url: str, latency: int, pages: int, rounds: int) -> Samples:
    """Wall seconds for a page at one latency."""
    samples = Samples()
    async with open_all(url, {ALONE: Alone} | CLIENTS) as clients:

        async def walk(name: str, pages: int) -> None:
            gc.collect()
            begun = time.perf_counter()
            await clients[name].walk(f"L.{latency}.{pages}")
            samples.add(name, (time.perf_counter() - begun) / pages)

        await clients[BARE].walk(f"L.0.{pages}")  # imports, the server's pages
        gc.freeze()
        for name in interleaved([ALONE, VINIX, BARE], rounds):
            await walk(name, pages)
        for name in SLOW if latency == 20 else []:
            await walk(name, max(1, pages // 4))
    return samples


def measure(options: Options) -> Report:
    """Both latencies."""
    report = Report()
    rows = {name: [name] for name in [ALONE, VINIX, BARE, *SLOW]}
    with server.running() as url:
        for latency, rounds in ROUNDS.items():
            samples = asyncio.run(compare(url, latency, 2 if options.quick else PAGES, 1 if options.quick else rounds))
            for name, row in rows.items():
                if name not in samples:
                    row.extend(["", ""])
                    continue
                ratio = samples.ratio(name, ALONE)
                row.extend([f"{samples.median(name) * 1000:.1f}", f"{ratio:.2f}"])
                report.figures[f"walk {latency} {name}"] = ratio
    report.table(["ms for a page", "20 ms", "×", "100 ms", "×"], list(rows.values()))
    return report


if __name__ == "__main__":
    main("walk", measure)
