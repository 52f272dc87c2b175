"""An export by 1, 2 and 4 worker processes, and by one client, where latency is the limit.

    python benchmarks/dask_workers.py [--quick]

The server answers 200 ms after each request, and a process has 4 connections, as behind a gateway with a limit for each
address. So a process can make 20 requests per second, which costs it a few hundredths of a core.
"""

import asyncio
import logging
import tempfile
import time
from functools import partial
from pathlib import Path

import distributed

import server
from harness import Options, Report, main
from vinix_async import Limits, VinixClient
from vinix_async.dask import write_callflows

ACCOUNTS = 100
PAGES = 10
WORKERS = (1, 2, 4)
CONNECTIONS = 4
LATENCY = 0.2
THREADS = 4


def accounts_for(options: Options) -> list[str]:
    """Return the ids of accounts with ``PAGES`` pages of 50 rows each."""
    return [f"S.{LATENCY * 1000:.0f}.{PAGES}.{number}" for number in range(5 if options.quick else ACCOUNTS)]


async def with_workers(connect: partial[VinixClient], accounts: list[str], workers: int) -> float:
    """Return the seconds that an export takes with some worker processes, which have imported all that they need."""
    async with (
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=THREADS,
            host="127.0.0.1",
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,
            asynchronous=True,
        ) as cluster,
        distributed.Client(cluster, asynchronous=True) as client,
    ):
        await client.run(exec, "import vinix_async.dask")
        with tempfile.TemporaryDirectory() as folder:
            begun = time.monotonic()
            parts = [part async for part in write_callflows(client, accounts, Path(folder) / "out", connect=connect)]
            seconds = time.monotonic() - begun
    if sum(part.callflows for part in parts) != 50 * PAGES * len(accounts):
        raise RuntimeError("callflows are missing")
    return seconds


async def with_one_client(connect: partial[VinixClient], accounts: list[str]) -> float:
    """Return the seconds that the same takes without Dask, and without writing anything."""
    begun = time.monotonic()
    async with connect() as client:
        async for result in client.callflows.list_many(accounts):
            if not result.ok:
                raise RuntimeError("an account failed") from result.error
    return time.monotonic() - begun


def measure(options: Options) -> Report:
    """Measure one client, and each number of workers."""
    accounts = accounts_for(options)
    with server.running() as url:
        connect = partial(VinixClient, auth="a-token", base_url=url, limits=Limits(max_connections=CONNECTIONS))
        seconds = {"one client, without Dask": asyncio.run(with_one_client(connect, accounts))}
        for workers in WORKERS:
            taken = asyncio.run(with_workers(connect, accounts, workers))
            seconds[f"{workers} worker{'s' * (workers > 1)}"] = taken
    one = seconds["1 worker"]
    report = Report()
    report.table(
        ["", "requests per second", "possible", "× one worker"],
        [
            [
                name,
                f"{len(accounts) * PAGES / taken:,.0f}",
                f"{possible * CONNECTIONS / LATENCY:,.0f}",
                f"{one / taken:.2f}",
            ]
            for (name, taken), possible in zip(seconds.items(), (1, *WORKERS), strict=True)
        ],
    )
    report.figures = {f"dask {workers}": one / seconds[f"{workers} workers"] for workers in WORKERS[1:]}
    return report


if __name__ == "__main__":
    main("dask_workers", measure, keep_heap=False)
