"""CPU time of one call on a small page, against a bare aiohttp GET with `orjson.loads`.

python benchmarks/call.py [--quick]
"""

import asyncio
import time

import server
from contenders import BARE, CLIENTS, Client, Vinix, open_all, settle
from harness import VINIX, Options, Report, Samples, interleaved, main


class ToList(Vinix):
    """The listing as a list, in place of its first page."""

    async def page(self, account_id: str, start_key: str | None = None) -> str | None:
        await self.client.callflows.list(account_id, start_key=start_key).to_list()
        return None


CONTENDERS = CLIENTS | {f"{VINIX}, `to_list()`": ToList}
PAGES = {"one": "one row", "S": "S"}
ROUNDS = 25
CALLS = 40


async def seconds(client: Client, account_id: str, calls: int) -> float:
    """CPU seconds of the process for one call, of so many in a row."""
    begun = time.process_time()
    for _ in range(calls):
        await client.page(account_id)
    return (time.process_time() - begun) / calls


async def compare(url: str, rounds: int, calls: int) -> dict[str, Samples]:
    """Every client on both pages."""
    found = {page: Samples() for page in PAGES}
    async with open_all(url, CONTENDERS) as clients:
        await settle(clients, "S.0.1")
        for page, samples in found.items():
            for name in interleaved(list(clients), rounds):
                await clients[name].page(f"{page}.0.1")  # a connection that is open
                samples.add(name, await seconds(clients[name], f"{page}.0.1", calls))
    return found


def measure(options: Options) -> Report:
    """The table of calls."""
    with server.running() as url:
        found = asyncio.run(compare(url, 2 if options.quick else ROUNDS, 10 if options.quick else CALLS))
    report = Report()
    rows = {name: [name] for name in CONTENDERS}
    for samples in found.values():
        for name, row in rows.items():
            row.extend([f"{samples.median(name) * 1e6:.0f}", f"{samples.ratio(name, BARE):.2f}"])
    report.table(["CPU µs for a call", "one row", "×", "page S", "×"], list(rows.values()))
    report.figures = {f"call {page}": samples.ratio(VINIX, BARE) for page, samples in found.items()}
    return report


if __name__ == "__main__":
    main("call", measure)
