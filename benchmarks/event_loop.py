"""The longest time for which the event loop runs nothing else while a page is read.

    python benchmarks/event_loop.py [--quick]

Each client reads the page over a socket. Meanwhile a callback that always asks for its next turn notes how much CPU
time of the thread has passed since its last one. CPU time leaves out what other processes of the machine did.
"""

import asyncio

import server
from contenders import BARE, CLIENTS, HTTPX, Client, Vinix, open_all
from harness import VINIX, Options, Report, Samples, Stopwatch, interleaved, main

WHOLE = f"{VINIX}, page kept whole"
PAGES = {
    "S": "50 summaries",
    "S200": "200 summaries",
    "S1000": "1,000 summaries",
    "M": "50 documents",
    "M200": "200 documents",
    "L": "1,000 documents",
}
ROUNDS = 15


class ByItem(Vinix):
    """Reads a page with ``async for`` and keeps nothing."""

    async def page(self, account_id: str, start_key: str | None = None) -> str | None:
        async for _ in self.client.callflows.list(account_id, start_key=start_key):
            pass
        return None


CONTENDERS = {BARE: CLIENTS[BARE], VINIX: ByItem, WHOLE: Vinix, HTTPX: CLIENTS[HTTPX]}
NAMES = list(CONTENDERS)


async def longest_stop(client: Client, account_id: str) -> float:
    """Read one page and return the longest stop in ms, including the time to free the page."""
    stopwatch = Stopwatch()
    await client.page(account_id)
    await asyncio.sleep(0)
    return stopwatch.stop()


async def compare(url: str, rounds: int) -> dict[str, Samples]:
    """Measure the clients on all pages."""
    found = {page: Samples() for page in PAGES}
    async with open_all(url, CONTENDERS) as clients:
        for page, samples in found.items():
            for name in interleaved(NAMES, rounds):
                await clients[name].page("one.0.1")  # opens the connection
                samples.add(name, await longest_stop(clients[name], f"{page}.0.1"))
    return found


def measure(options: Options) -> Report:
    """Measure the longest stops."""
    with server.running() as url:
        found = asyncio.run(compare(url, options.rounds(ROUNDS)))
    report = Report()
    report.table(
        ["longest stop, ms", *(text for name in NAMES for text in (f"{name}, median", "worst"))],
        [
            [
                title,
                *(
                    text
                    for name in NAMES
                    for text in (f"{found[page].median(name):.2f}", f"{found[page].worst(name):.2f}")
                ),
            ]
            for page, title in PAGES.items()
        ],
    )
    report.figures = {f"stop {page}": found[page].median(VINIX) for page in PAGES}
    return report


if __name__ == "__main__":
    main("event_loop", measure)
