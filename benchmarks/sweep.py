"""Sweeps over 200, 2,000 and 20,000 accounts of a server that misbehaves.

    python benchmarks/sweep.py [--quick] [ACCOUNTS ...]

The sandbox runs in its own process as ``kazoo43`` with its rate limit. 5 % of its responses are wrong in one of the
ways that it knows, 20 accounts are refused for good, and 2 never answer. Accounts have 1 to 500 callflows; in a sweep
of 20,000 they have 1 to 40, a page each, so that it ends in time.
"""

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterable
from multiprocessing.connection import Connection

from harness import Options, Report, main, peak
from vinix_async import ApiKeyAuth, VinixClient
from vinix_async.sandbox import Faults, Sandbox

PAGE_SIZE = 50
MANY = 20_000
HEAD = [
    "accounts",
    "callflows",
    "wrong accounts",
    "failed accounts",
    "requests",
    "/ least",
    "retries",
    "429s",
    "memory",
    "time",
]


def sandbox_of(accounts: int) -> Sandbox:
    """Return the server. The same number gives the same accounts in every process."""
    faults = Faults(share=0.05)
    callflows = (1, 40) if accounts >= MANY else (1, 500)
    return Sandbox(dialect="kazoo43", accounts=accounts, callflows=callflows, faults=faults, record=1)


async def serve(pipe: Connection, accounts: int) -> None:
    """Run the server until the other end of the pipe sends something."""
    async with sandbox_of(accounts) as sandbox:
        ids = sandbox.account_ids[1 :: max(1, accounts // 25)]
        for account_id in ids[:20]:
            sandbox.deny(account_id, 403)
        for account_id in ids[20:22]:
            sandbox.hang(account_id)
        pipe.send((sandbox.url, sandbox.api_key_auth().api_key))
        await asyncio.to_thread(pipe.recv)


def run_server(pipe: Connection, accounts: int) -> None:
    """Run the server's process."""
    asyncio.run(serve(pipe, accounts))


def digest(callflow_ids: Iterable[str]) -> int:
    """Return a number that stands for a set of ids in this process. Keeping the ids would be measured."""
    return hash(tuple(sorted(callflow_ids)))


async def sweep(url: str, key: str, accounts: int) -> list[str]:
    """Sweep once and return a row of the table."""
    sandbox = sandbox_of(accounts)
    counts: dict[str, int] = {}
    digests: dict[str, int] = {}
    failed: Counter[str] = Counter()
    begun, before = time.monotonic(), peak()
    async with VinixClient(auth=ApiKeyAuth(key), base_url=url, timeout=5.0) as client:
        many = client.callflows.list_many(sandbox.account_ids, page_size=PAGE_SIZE, max_concurrency=64)
        async for result in many:
            if result.error is not None:
                failed[f"{type(result.error).__name__} {getattr(result.error, 'status', '')}".strip()] += 1
            else:
                counts[result.account_id] = len(result.callflows)
                digests[result.account_id] = digest(callflow.id for callflow in result.callflows)
    seconds, grown = time.monotonic() - begun, peak() - before
    wrong = sum(digest(sandbox.callflow_ids(account_id)) != digests[account_id] for account_id in digests)
    least = 1 + failed.total() + sum(max(1, -(-count // PAGE_SIZE)) for count in counts.values())
    stats = many.stats
    return [
        f"{accounts:,}",
        f"{sum(counts.values()):,}",
        str(wrong),
        ", ".join(f"{count} {name}" for name, count in sorted(failed.items())),
        f"{stats.requests:,}",
        f"{stats.requests / least:.3f}",
        f"{stats.retries:,}",
        f"{stats.rate_limited:,}",
        f"+{grown:.0f} MB",
        f"{seconds:.0f} s",
    ]


def one(accounts: int, out: Connection) -> None:
    """Run one sweep in its own process, whose peak of memory is its own."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=run_server, args=(there, accounts), daemon=True)
    server.start()
    url, key = here.recv()
    out.send(asyncio.run(sweep(url, key, accounts)))
    here.send(None)
    server.join(10)


def measure(options: Options) -> Report:
    """Sweep over each number of accounts."""
    multiprocessing.set_start_method("spawn")
    rows: list[list[str]] = []
    for accounts in options.numbers or ([50] if options.quick else [200, 2_000, MANY]):
        here, there = multiprocessing.Pipe()
        process = multiprocessing.Process(target=one, args=(accounts, there))
        process.start()
        rows.append(here.recv())
        process.join()
    report = Report(failed=any(row[2] != "0" for row in rows))
    report.table(HEAD, rows, text_columns=(3,))
    return report


if __name__ == "__main__":
    main("sweep", measure, keep_heap=False)
