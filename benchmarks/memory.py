"""The memory of a program that streams a listing of a million rows, and whether it grows.

python benchmarks/memory.py [--quick]
"""

import asyncio
import gc

import server
from harness import Options, Report, peak, resident
from harness import main as run
from vinix_async import VinixClient

ROWS = 1_000_000
EVERY = ROWS // 10


async def stream(url: str, pages: int, every: int) -> tuple[int, float, list[float]]:
    """The rows read, MB before the first, and MB in use after each ``every`` of them."""
    seen = 0
    samples: list[float] = []
    async with VinixClient(auth="benchmark", base_url=url) as client:
        await client.callflows.list("one.0.1")
        gc.collect()
        before = resident()
        async for _ in client.callflows.list(f"K.0.{pages}"):
            seen += 1
            if seen % every == 0:
                samples.append(resident())
    return seen, before, samples


def measure(options: Options) -> Report:
    """One stream, of pages of a thousand summary rows, in a process that has nothing else to do."""
    rows, every = (20_000, 2_000) if options.quick else (ROWS, EVERY)
    with server.running() as url:
        seen, before, samples = asyncio.run(stream(url, rows // 1000, every))
    quarter = len(samples) // 4
    growth = max(samples[quarter:]) - samples[quarter]
    report = Report(failed=seen != rows)
    report.table(
        ["MB above the imports", *(f"{(index + 1) * every:,} rows" for index in range(len(samples))), "peak"],
        [["", *(f"{sample - before:.1f}" for sample in samples), f"{peak() - before:.1f}"]],
    )
    report.figures = {"memory peak": peak() - before, "memory growth": growth}
    return report


if __name__ == "__main__":
    run("memory", measure, heap=False)
