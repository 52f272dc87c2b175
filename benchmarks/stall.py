"""The longest time for which the event loop does nothing else while a page is read, by page and client.

    python benchmarks/stall.py [--quick]

The page comes from a server in another process, through each client's own calls. A callback that asks for its next
turn at once notes how much CPU time of the thread has gone by since its last one: what a request of anybody else
would have waited for, without what the machine was doing besides.
"""

import asyncio
import time

import server
from contenders import BARE, CLIENTS, GENERATED, PYDANTIC, Client, open_all, settle
from harness import VINIX, Options, Report, Samples, interleaved, main

NAMES = [BARE, VINIX, PYDANTIC, GENERATED]
ROUNDS = 15


class Stopwatch:
    """The longest time between two turns of the loop."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.thread_time()
        self._running = True
        self._turn()

    def _turn(self) -> None:
        now = time.thread_time()
        self.longest = max(self.longest, now - self._last)
        self._last = now
        if self._running:
            asyncio.get_running_loop().call_soon(self._turn)

    def stop(self) -> float:
        """The longest time, in ms."""
        self._running = False
        return self.longest * 1000


async def longest(client: Client, account_id: str) -> float:
    """The longest stop, in ms, while a page is fetched and decoded."""
    watch = Stopwatch()
    await client.page(account_id)
    await asyncio.sleep(0)
    return watch.stop()


async def compare(url: str, rounds: int) -> dict[str, Samples]:
    """Every client on both pages."""
    found = {"M": Samples(), "L": Samples()}
    async with open_all(url, {name: CLIENTS[name] for name in NAMES}) as clients:
        await settle(clients, "M.0.1")
        for page, samples in found.items():
            for name in interleaved(NAMES, rounds):
                await clients[name].page("one.0.1")  # a connection that is open
                samples.add(name, await longest(clients[name], f"{page}.0.1"))
    return found


def measure(options: Options) -> Report:
    """Medians and worst of the longest stops."""
    with server.running() as url:
        found = asyncio.run(compare(url, 2 if options.quick else ROUNDS))
    report = Report()
    rows = {name: [name] for name in NAMES}
    for samples in found.values():
        for name, row in rows.items():
            row.extend([f"{samples.median(name):.2f}", f"{samples.worst(name):.2f}"])
    report.table(["longest stop, ms", "M, median", "M, worst", "L, median", "L, worst"], list(rows.values()))
    report.figures = {f"stall {page} {name}": found[page].median(name) for page in found for name in NAMES}
    return report


if __name__ == "__main__":
    main("stall", measure)
