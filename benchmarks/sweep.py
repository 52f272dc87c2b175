"""Sweeps over 200, 2,000 and 20,000 accounts on a server that misbehaves: what they cost and what they need.

    python benchmarks/sweep.py [--quick] [ACCOUNTS ...]

The sandbox runs in a process of its own: ``kazoo43`` with its rate limit, 5 % of the answers wrong in every way that
it knows, 20 accounts refused for good, 2 that never answer. Printed for each size: the requests sent against the
least possible, the accounts that failed, and by how much the process has grown. Accounts have 1 to 500 callflows; from
20,000 accounts on 1 to 40, a page each, so that the sweep ends in time.
"""

import asyncio
import multiprocessing
import time
from collections import Counter
from multiprocessing.connection import Connection

from harness import Options, Report, peak
from harness import main as run
from vinix_async import ApiKeyAuth, VinixClient
from vinix_async.sandbox import Faults, Sandbox

PAGE = 50
MANY = 20_000
HEAD = ["accounts", "callflows", "wrong", "failed", "requests", "/ least", "retries", "refusals", "memory", "time"]


def sandbox_of(accounts: int) -> Sandbox:
    """The server; the same arguments give the same accounts in every process."""
    faults = Faults(share=0.05)
    callflows = (1, 40) if accounts >= MANY else (1, 500)
    return Sandbox(dialect="kazoo43", accounts=accounts, callflows=callflows, faults=faults, record=1)


async def serve(pipe: Connection, accounts: int) -> None:
    """Run the server until the pipe closes."""
    async with sandbox_of(accounts) as sandbox:
        step = max(1, accounts // 25)
        ids = sandbox.account_ids[1::step]
        for account_id in ids[:20]:
            sandbox.deny(account_id, 403)
        for account_id in ids[20:22]:
            sandbox.hang(account_id)
        pipe.send((sandbox.url, sandbox.api_key_auth().api_key))
        await asyncio.to_thread(pipe.recv)
        pipe.send(sandbox.served)


def run_server(pipe: Connection, accounts: int) -> None:
    """The server's process."""
    asyncio.run(serve(pipe, accounts))


async def sweep(url: str, key: str, accounts: int) -> list[str]:
    """One sweep, as a row of the table."""
    truth = sandbox_of(accounts)
    least = 0
    kinds: Counter[str] = Counter()
    wrong = callflows = 0
    begun, before = time.monotonic(), peak()
    async with VinixClient(auth=ApiKeyAuth(key), base_url=url, timeout=5.0) as client:
        many = client.callflows.list_many(truth.account_ids, page_size=PAGE, max_concurrency=64)
        async for result in many:
            ids = truth.callflow_ids(result.account_id)
            truth._state.callflows.clear_caches()  # noqa: SLF001  # the truth's memory is not what is measured
            if result.error is not None:
                kinds[f"{type(result.error).__name__} {getattr(result.error, 'status', '')}".strip()] += 1
                least += 1
                continue
            least += max(1, -(-len(ids) // PAGE))
            callflows += len(ids)
            wrong += sorted(callflow.id for callflow in result.callflows) != ids
    stats = many.stats
    failed = ", ".join(f"{count} {name}" for name, count in sorted(kinds.items()))
    return [
        f"{accounts:,}",
        f"{callflows:,}",
        str(wrong),
        failed,
        f"{stats.requests:,}",
        f"{stats.requests / least:.3f}",
        f"{stats.retries:,}",
        f"{stats.refusals:,}",
        f"+{peak() - before:.0f} MB",
        f"{time.monotonic() - begun:.0f} s",
    ]


def one(accounts: int, out: Connection) -> None:
    """One size, in a process of its own, so that its peak is its own."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=run_server, args=(there, accounts), daemon=True)
    server.start()
    url, key = here.recv()
    out.send(asyncio.run(sweep(url, key, accounts)))
    here.send(None)
    server.join(10)


def measure(options: Options) -> Report:
    """The table."""
    multiprocessing.set_start_method("spawn")
    rows: list[list[str]] = []
    for accounts in options.numbers or ([50] if options.quick else [200, 2_000, MANY]):
        here, there = multiprocessing.Pipe()
        process = multiprocessing.Process(target=one, args=(accounts, there))
        process.start()
        rows.append(here.recv())
        process.join()
    report = Report(failed=any(row[2] != "0" for row in rows))
    report.table(HEAD, rows, words=(3,))
    return report


if __name__ == "__main__":
    run("sweep", measure, heap=False)
