"""Ten minutes of a service's life, in one: sweeps, walks and logins against a server that misbehaves.

    python benchmarks/soak.py [--save] [SECONDS]

Every result is held against the server's truth. Calls are cancelled at random moments, tokens end, accounts come and
go. It stops by itself, and fails if a callflow was lost or doubled, or a task, a connection or memory was left over.
"""

import asyncio
import gc
import random
import time
from collections import Counter

from harness import Options, Report, main, resident
from vinix_async import Limits, RetryPolicy, VinixClient, VinixError
from vinix_async.sandbox import Faults, Sandbox

CHANCE = random.Random(0)
MOST_GROWTH = 20.0  # MB


async def one_sweep(client: VinixClient, sandbox: Sandbox, count: Counter[str]) -> None:
    """A sweep over some accounts, each result checked; some are left early."""
    accounts = CHANCE.sample(list(sandbox.account_ids), 20)
    leave_at = CHANCE.choice([5, 1000])
    sweep = client.callflows.list_many(accounts, page_size=CHANCE.choice([7, 50]), max_concurrency=16)
    seen = 0
    async with sweep:
        async for result in sweep:
            seen += 1
            if result.error is None:
                found = [callflow.id for callflow in result.callflows]
                count["callflows"] += len(found)
                count["wrong"] += sorted(found) != sandbox.callflow_ids(result.account_id)
            else:
                count[type(result.error).__name__] += 1
            if seen == leave_at:
                break
    count["requests"] += sweep.stats.requests


async def one_cancelled(client: VinixClient, sandbox: Sandbox, count: Counter[str]) -> None:
    """A walk that is cancelled at a random moment."""
    task = asyncio.create_task(client.callflows.list(CHANCE.choice(sandbox.account_ids), page_size=5).to_list())
    await asyncio.sleep(CHANCE.uniform(0, 0.05))
    task.cancel()
    try:
        await task
    except (asyncio.CancelledError, VinixError):
        count["cancelled"] += 1


async def soak(seconds: float) -> Report:
    """Run for so long."""
    count: Counter[str] = Counter()
    memory: list[float] = []
    sandbox = Sandbox(
        dialect="kazoo43", accounts=200, callflows=(0, 120), faults=Faults(share=0.05, logins=True), record=1
    )
    limits = Limits(max_concurrency=40)
    async with sandbox, sandbox.client(retry=RetryPolicy(attempts=8), limits=limits, timeout=5.0) as client:
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            await asyncio.gather(
                *(one_sweep(client, sandbox, count) for _ in range(2)), one_cancelled(client, sandbox, count)
            )
            count["rounds"] += 1
            if count["rounds"] % 7 == 0:
                sandbox.expire_tokens()
            if count["rounds"] % 20 == 0:
                gc.collect()
                memory.append(resident())
        left = len(asyncio.all_tasks()) - 1 - len(client._requester.tasks)  # noqa: SLF001  # what must be empty
        count["tasks left in the client"] = len(client._requester.tasks)  # noqa: SLF001  # as above
    settled = memory[len(memory) // 4 :] or [resident()]
    growth = settled[-1] - settled[0]
    wrong = bool(count["wrong"] or count["tasks left in the client"] or growth >= MOST_GROWTH)
    report = Report(failed=wrong)
    report.table(
        [f"in {seconds:.0f} s", "number"],
        [
            *([name, f"{value:,}"] for name, value in sorted(count.items())),
            ["tasks of the server and its connections at the end", str(left)],
            ["memory from the first quarter to the end", f"{growth:+.0f} MB"],
            ["lost, doubled or left over", "**yes**" if wrong else "nothing"],
        ],
    )
    return report


def measure(options: Options) -> Report:
    """As many seconds as are asked for, or ten minutes."""
    return asyncio.run(soak(options.numbers[0] if options.numbers else 2 if options.quick else 600))


if __name__ == "__main__":
    main("soak", measure, heap=False)
