"""Ten minutes of a service's life: sweeps, walks and logins against a server that misbehaves.

    python benchmarks/soak.py [--save] [SECONDS]

5 % of the responses are wrong, tokens expire, calls are cancelled at random moments, and once a minute the whole server
or a part of it is away for some seconds. Every result is compared with what the server holds. The benchmark fails if a
callflow was lost or came twice, if the sweeps lost accounts to an outage, or if tasks, connections or memory are left.
"""

import asyncio
import contextlib
import gc
import os
import random
import time
from collections import Counter

from attrs import define, field

from harness import Options, Report, main, resident
from vinix_async import RetryPolicy, VinixClient, VinixError
from vinix_async.sandbox import Faults, Sandbox
from vinix_async.sandbox.outages import OutageKind, OutagePart

MAX_GROWTH = 20.0
"""MB by which the memory may grow between the first quarter and the end."""

OUTAGES: list[tuple[OutageKind, OutagePart | None]] = [
    ("503", None),
    ("refuse", None),
    ("reset", None),
    ("502", "callflows"),
    ("hang", None),
    ("504", "logins"),
]
OUTAGE_EVERY = 60.0
OUTAGE_SECONDS = 8.0


@define
class Soak:
    """What one run counts."""

    client: VinixClient
    sandbox: Sandbox
    counts: Counter[str] = field(factory=Counter)
    chance: random.Random = field(factory=lambda: random.Random(0))

    async def sweep(self) -> None:
        """Sweep over some accounts and check each result. Some sweeps are left early."""
        accounts = self.chance.sample(list(self.sandbox.account_ids), 20)
        leave_at = self.chance.choice([5, len(accounts)])
        page_size = self.chance.choice([7, 50])
        sweep = self.client.callflows.list_many(accounts, page_size=page_size, max_concurrency=16)
        async with sweep:
            results = 0
            async for result in sweep:
                results += 1
                if result.error is None:
                    found = sorted(callflow.id for callflow in result.callflows)
                    self.counts["callflows"] += len(found)
                    self.counts["wrong accounts"] += found != self.sandbox.callflow_ids(result.account_id)
                else:
                    self.counts["failed accounts"] += 1
                    self.counts[f"failed accounts: {type(result.error).__name__}"] += 1
                if results == leave_at:
                    break

    async def cancelled_walk(self) -> None:
        """Cancel a walk at a random moment."""
        account_id = self.chance.choice(self.sandbox.account_ids)
        task = asyncio.create_task(self.client.callflows.list(account_id, page_size=5).to_list())
        await asyncio.sleep(self.chance.uniform(0, 0.05))
        task.cancel()
        try:
            await task
        except (asyncio.CancelledError, VinixError):
            self.counts["cancelled walks"] += 1

    async def outages(self) -> None:
        """Let the server be away for some seconds in each minute."""
        while True:
            for kind, part in OUTAGES:
                await asyncio.sleep(OUTAGE_EVERY / 2)
                with self.sandbox.outage(kind=kind, only=part):
                    await asyncio.sleep(OUTAGE_SECONDS)
                await asyncio.sleep(OUTAGE_EVERY / 2 - OUTAGE_SECONDS)

    async def run(self, seconds: float) -> list[float]:
        """Run for ``seconds`` and return the memory in use from time to time, in MB."""
        memory: list[float] = []
        ends_at = time.monotonic() + seconds
        outages = asyncio.create_task(self.outages())
        while time.monotonic() < ends_at:
            await asyncio.gather(self.sweep(), self.sweep(), self.cancelled_walk())
            self.counts["rounds"] += 1
            if self.counts["rounds"] % 7 == 0:
                self.sandbox.expire_tokens()
            if self.counts["rounds"] % 20 == 0:
                gc.collect()
                memory.append(resident())
        outages.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await outages
        return memory


async def soak(seconds: float) -> Report:
    """Run, close everything, and look at what is left."""
    open_before = open_files()
    sandbox = Sandbox(
        dialect="kazoo43", accounts=200, callflows=(0, 120), faults=Faults(share=0.05, logins=True), record=1
    )
    async with sandbox, sandbox.client(retry=RetryPolicy(attempts=8), timeout=5.0) as client:
        run = Soak(client, sandbox)
        memory = await run.run(seconds)
        stats = client.stats
    await asyncio.sleep(0.1)  # sockets are closed in a later turn of the event loop
    counts = run.counts
    for name in ("requests", "logins", "retries", "rate_limited", "outages"):
        counts[name.replace("_", " ")] = getattr(stats, name)
    counts["tasks left"] = len(asyncio.all_tasks()) - 1
    counts["open files left"] = open_files() - open_before
    settled = memory[len(memory) // 4 :] or [resident()]
    growth = settled[-1] - settled[0]
    must_be_zero = ("wrong accounts", "failed accounts", "tasks left", "open files left")
    failed = any(counts[name] for name in must_be_zero) or growth >= MAX_GROWTH
    report = Report(failed=failed)
    report.table(
        [f"in {seconds:.0f} s", "number"],
        [
            *([name, f"{counts[name]:,}"] for name in sorted({*counts, *must_be_zero})),
            ["growth of memory from the first quarter to the end", f"{growth:+.0f} MB"],
            ["passed", "**no**" if failed else "yes"],
        ],
    )
    return report


def open_files() -> int:
    """Return the number of open files and sockets of this process."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # only the number counts


def measure(options: Options) -> Report:
    """Run for the given seconds, or for ten minutes."""
    return asyncio.run(soak(options.numbers[0] if options.numbers else 2 if options.quick else 600))


if __name__ == "__main__":
    main("soak", measure, keep_heap=False)
