"""By how much a call with ``deadline=2.0`` overstays, under every fault that makes it wait.

python benchmarks/deadline.py
"""

import asyncio
import sys
import time
from pathlib import Path

from harness import Options, Report, main
from vinix_async import RetryPolicy, VinixClient, VinixError

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fault_server import Connection, fault_server  # the tests' own server
from test_fault_table import WAITS, Play  # the rows that wait

DEADLINE = 2.0


async def overstay(play: Play) -> tuple[float, str]:
    """Seconds beyond the deadline at the end of a call, and how it ended."""

    async def script(connection: Connection) -> None:
        await play(connection, await connection.request())

    policy = RetryPolicy(attempts=1000)
    async with fault_server(script) as server, VinixClient(auth="t", base_url=server.url, retry=policy) as client:
        begun = time.monotonic()
        try:
            await client.with_options(deadline=DEADLINE).callflows.list("a").to_list()
        except VinixError as error:
            return time.monotonic() - begun - DEADLINE, type(error).__name__
    raise AssertionError("no row of WAITS succeeds")


async def overstays() -> Report:
    """The table; all rows run at once."""
    found = await asyncio.gather(*(overstay(play) for play in WAITS.values()))
    report = Report()
    report.table(
        ["fault", "ends with", "seconds beyond the deadline"],
        [[name, ending, f"{seconds:+.3f}"] for name, (seconds, ending) in zip(WAITS, found, strict=True)],
        words=(0, 1),
    )
    return report


def measure(_: Options) -> Report:
    """As it is, quick or not."""
    return asyncio.run(overstays())


if __name__ == "__main__":
    main("deadline", measure, heap=False)
