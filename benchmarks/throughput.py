"""Pages S read in a second, with 16 and 64 requests in flight.

python benchmarks/throughput.py [--quick]
"""

import asyncio
import time

import server
from contenders import BARE, CLIENTS, GENERATED, HTTPX, Client, open_all
from harness import VINIX, Options, Report, Samples, interleaved, main

CONCURRENCY = (16, 64)
ROUNDS = 9
SECONDS = 0.5


async def rate(client: Client, concurrency: int, seconds: float) -> float:
    """Return the requests per second. Those that were begun in time are all waited for."""
    done = 0
    begun = time.perf_counter()

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < begun + seconds:
            await client.page("S.0.1")
            done += 1

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return done / (time.perf_counter() - begun)


async def compare(url: str, rounds: int) -> dict[int, Samples]:
    """Measure all clients at each concurrency."""
    found = {concurrency: Samples() for concurrency in CONCURRENCY}
    async with open_all(url, CLIENTS) as clients:
        for concurrency, samples in found.items():
            for name in interleaved(list(clients), rounds):
                await asyncio.gather(*(clients[name].page("S.0.1") for _ in range(concurrency)))  # opens connections
                samples.add(name, await rate(clients[name], concurrency, SECONDS))
    return found


def measure(options: Options) -> Report:
    """Measure rates."""
    with server.running() as url:
        found = asyncio.run(compare(url, options.rounds(ROUNDS)))
    report = Report()
    report.table(
        ["pages S per second", *(text for concurrency in CONCURRENCY for text in (f"{concurrency} at once", "×"))],
        [
            [
                name,
                *(
                    text
                    for samples in found.values()
                    for text in (f"{samples.median(name):,.0f}", f"{samples.ratio(name, BARE):.2f}")
                ),
            ]
            for name in CLIENTS
        ],
    )
    report.figures = {f"throughput {concurrency}": found[concurrency].ratio(VINIX, BARE) for concurrency in CONCURRENCY}
    report.figures["throughput httpx"] = found[16].ratio(VINIX, HTTPX)
    report.figures["throughput generated"] = found[16].ratio(VINIX, GENERATED)
    return report


if __name__ == "__main__":
    main("throughput", measure)
