"""By how much a call with ``deadline=2.0`` exceeds its deadline, under every fault that makes it wait.

python benchmarks/deadline.py
"""

import asyncio
import sys
import time
from pathlib import Path

from harness import Options, Report, main
from vinix_async import RetryPolicy, VinixClient, VinixError

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fault_server import Connection, fault_server
from test_fault_table import WAITS, Play

DEADLINE = 2.0


async def excess(play: Play) -> tuple[float, str]:
    """Return the seconds beyond the deadline when a call ends, and the error that it ends with."""

    async def script(connection: Connection) -> None:
        await play(connection, await connection.request())

    policy = RetryPolicy(attempts=1000)
    async with fault_server(script) as server, VinixClient(auth="t", base_url=server.url, retry=policy) as client:
        begun = time.monotonic()
        try:
            await client.with_options(deadline=DEADLINE).callflows.list("a").to_list()
        except VinixError as error:
            return time.monotonic() - begun - DEADLINE, type(error).__name__
    raise AssertionError("a call succeeded in spite of the fault")


async def all_at_once() -> Report:
    """Measure all faults at the same time."""
    found = await asyncio.gather(*(excess(play) for play in WAITS.values()))
    report = Report()
    report.table(
        ["fault", "error", "seconds beyond the deadline"],
        [[name, error, f"{seconds:+.3f}"] for name, (seconds, error) in zip(WAITS, found, strict=True)],
        text_columns=(0, 1),
    )
    return report


def measure(_: Options) -> Report:
    """Measure the faults, quick or not."""
    return asyncio.run(all_at_once())


if __name__ == "__main__":
    main("deadline", measure, keep_heap=False)
