"""Pages S read each second with 1, 16, 64 and 256 requests under way, from a server in another process.

python benchmarks/throughput.py [--quick]
"""

import asyncio
import time

import server
from contenders import BARE, CLIENTS, GENERATED, MOST, PYDANTIC, Client, open_all, settle
from harness import VINIX, Options, Report, Samples, interleaved, main

CONCURRENCY = [1, 16, 64, MOST]
ROUNDS = 7
SECONDS = 0.4


async def rate(client: Client, concurrency: int, seconds: float) -> float:
    """Requests a second: as many as are begun in so long, all of them waited for."""
    done = 0
    begun = time.perf_counter()

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < begun + seconds:
            await client.page("S.0.1")
            done += 1

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return done / (time.perf_counter() - begun)


async def compare(url: str, rounds: int, seconds: float) -> dict[int, Samples]:
    """Every client at each concurrency."""
    found = {concurrency: Samples() for concurrency in CONCURRENCY}
    async with open_all(url, CLIENTS) as clients:
        await settle(clients, "S.0.1")
        for concurrency, samples in found.items():
            for name in interleaved(list(clients), rounds):
                await asyncio.gather(*(clients[name].page("S.0.1") for _ in range(concurrency)))  # open connections
                samples.add(name, await rate(clients[name], concurrency, seconds))
    return found


def measure(options: Options) -> Report:
    """The table of rates."""
    with server.running() as url:
        found = asyncio.run(compare(url, 1 if options.quick else ROUNDS, 0.1 if options.quick else SECONDS))
    report = Report()
    rows = {name: [name] for name in CLIENTS}
    for concurrency, samples in found.items():
        for name, row in rows.items():
            row.extend([f"{samples.median(name):,.0f}", f"{samples.ratio(name, BARE):.2f}"])
            report.figures[f"rate {concurrency} {name}"] = samples.median(name)
        report.figures[f"throughput {concurrency}"] = samples.ratio(VINIX, BARE)
    report.table(
        ["pages S a second", *(text for concurrency in CONCURRENCY for text in (f"{concurrency} at once", "×"))],
        list(rows.values()),
    )
    report.figures["throughput against httpx"] = found[16].ratio(VINIX, PYDANTIC)
    report.figures["throughput against generated"] = found[16].ratio(VINIX, GENERATED)
    return report


if __name__ == "__main__":
    main("throughput", measure)
