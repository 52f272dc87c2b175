"""CPU time of one call, against aiohttp with `orjson.loads`.

python benchmarks/call.py [--quick]
"""

import asyncio
import time

import server
from contenders import BARE, CLIENTS, TRACED, Client, Traced, open_all
from harness import VINIX, Options, Report, Samples, interleaved, main

PAGES = {"one": "one row", "S": "page S"}
MEASURED = {**CLIENTS, TRACED: Traced}
ROUNDS = 25
CALLS = 40


async def seconds(client: Client, account_id: str) -> float:
    """Return the CPU seconds of the process for one call, of many in a row."""
    begun = time.process_time()
    for _ in range(CALLS):
        await client.page(account_id)
    return (time.process_time() - begun) / CALLS


async def compare(url: str, rounds: int) -> dict[str, Samples]:
    """Measure all clients on both pages."""
    found = {page: Samples() for page in PAGES}
    async with open_all(url, MEASURED) as clients:
        for page, samples in found.items():
            for name in interleaved(list(clients), rounds):
                await clients[name].page(f"{page}.0.1")  # opens the connection
                samples.add(name, await seconds(clients[name], f"{page}.0.1"))
    return found


def measure(options: Options) -> Report:
    """Measure calls."""
    with server.running() as url:
        found = asyncio.run(compare(url, options.rounds(ROUNDS)))
    report = Report()
    report.table(
        ["CPU µs for a call", *(text for title in PAGES.values() for text in (title, "×"))],
        [
            [
                name,
                *(
                    text
                    for samples in found.values()
                    for text in (f"{samples.median(name) * 1e6:,.0f}", f"{samples.ratio(name, BARE):.2f}")
                ),
            ]
            for name in MEASURED
        ],
    )
    report.figures = {f"call {page}": samples.ratio(VINIX, BARE) for page, samples in found.items()}
    return report


if __name__ == "__main__":
    main("call", measure)
