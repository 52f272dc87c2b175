"""The memory of a program that streams a listing of a million rows.

python benchmarks/memory.py [--quick]
"""

import asyncio
import gc

import server
from harness import Options, Report, main, peak, resident
from vinix_async import VinixClient

ROWS = 1_000_000
STEPS = 10


async def stream(url: str, rows: int) -> tuple[int, float, list[float]]:
    """Return the number of rows read, the MB in use before the first, and the MB in use after each tenth of them."""
    count = 0
    samples: list[float] = []
    async with VinixClient(auth="benchmark", base_url=url) as client:
        await client.callflows.list("one.0.1")
        gc.collect()
        before = resident()
        async for _ in client.callflows.list(f"S1000.0.{rows // 1000}"):
            count += 1
            if count % (rows // STEPS) == 0:
                samples.append(resident())
    return count, before, samples


def measure(options: Options) -> Report:
    """Stream pages of a thousand summary rows in a process that does nothing else."""
    rows = 20_000 if options.quick else ROWS
    with server.running() as url:
        count, before, samples = asyncio.run(stream(url, rows))
    settled = samples[STEPS // 4 :]
    report = Report(failed=count != rows)
    report.table(
        ["rows read", *(f"{(step + 1) * rows // STEPS:,}" for step in range(STEPS)), "peak"],
        [["MB above the imports", *(f"{sample - before:.1f}" for sample in samples), f"{peak() - before:.1f}"]],
    )
    report.figures = {"memory peak": peak() - before, "memory growth": max(settled) - settled[0]}
    return report


if __name__ == "__main__":
    main("memory", measure, keep_heap=False)
