"""Sweeps over 200, 2,000 and 20,000 accounts on a server that misbehaves: what they cost and what they need.

    python benchmarks/sweep.py [ACCOUNTS ...]

The sandbox runs in a process of its own: ``kazoo43`` with its rate limit, 5 % of the answers wrong in every way that
it knows, 20 accounts refused for good, 2 that never answer. Printed for each size: the requests sent against the
least possible, the accounts that failed, and by how much the process has grown.
"""

import asyncio
import multiprocessing
import resource
import sys
import time
from collections import Counter
from multiprocessing.connection import Connection

from vinix_async import ApiKeyAuth, VinixClient
from vinix_async.sandbox import Faults, Sandbox

PAGE = 50


def sandbox_of(accounts: int) -> Sandbox:
    """The server; the same arguments give the same accounts in every process."""
    faults = Faults(share=0.05)
    return Sandbox(dialect="kazoo43", accounts=accounts, callflows=(1, 500), faults=faults, record=1)


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


def peak() -> float:
    """The most memory that this process has used, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def sweep(url: str, key: str, accounts: int) -> str:
    """One sweep, as a line of the table."""
    truth = sandbox_of(accounts)
    least = 0
    kinds: Counter[str] = Counter()
    wrong = callflows = 0
    begun, before = time.monotonic(), peak()
    async with VinixClient(auth=ApiKeyAuth(key), base_url=url, timeout=5.0) as client:
        many = client.callflows.list_many(truth.account_ids, page_size=PAGE, max_concurrency=64)
        async for result in many:
            ids = truth.callflow_ids(result.account_id)
            truth._state.documents.ids.cache_clear()  # noqa: SLF001  # the truth's memory is not what is measured
            if result.error is not None:
                kinds[f"{type(result.error).__name__} {getattr(result.error, 'status', '')}".strip()] += 1
                least += 1
                continue
            least += max(1, -(-len(ids) // PAGE))
            callflows += len(ids)
            wrong += sorted(callflow.id for callflow in result.callflows) != ids
    stats = many.stats
    failed = ", ".join(f"{count} {name}" for name, count in sorted(kinds.items()))
    return (
        f"| {accounts:,} | {callflows:,} | {wrong} | {failed} | {stats.requests:,} | {stats.requests / least:.3f} | "
        f"{stats.retries:,} | {stats.refusals:,} | +{peak() - before:.0f} MB | {time.monotonic() - begun:.0f} s |"
    )


def measure(accounts: int, out: Connection) -> None:
    """One size, in a process of its own, so that its peak is its own."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=run_server, args=(there, accounts), daemon=True)
    server.start()
    url, key = here.recv()
    out.send(asyncio.run(sweep(url, key, accounts)))
    here.send(None)
    server.join(10)


def main() -> None:
    """Print the table."""
    multiprocessing.set_start_method("spawn")
    print("| accounts | callflows | wrong | failed | requests | / least | retries | refusals | memory | time |")
    print("| --: | --: | --: | --- | --: | --: | --: | --: | --: | --: |")
    for accounts in [int(each) for each in sys.argv[1:]] or [200, 2_000, 20_000]:
        here, there = multiprocessing.Pipe()
        process = multiprocessing.Process(target=measure, args=(accounts, there))
        process.start()
        print(here.recv(), flush=True)
        process.join()


if __name__ == "__main__":
    main()
