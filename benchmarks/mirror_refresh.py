"""What a refresh of a mirror costs: the requests for one account, and the time for an estate over a slow network.

    python benchmarks/mirror_refresh.py [--quick] [ACCOUNTS]

The requests are those that a sandbox received, for each dialect, without the two with which a run finds out whether the
server applies filters. The estate has ACCOUNTS (5,000 by default) of 50
callflows each. Its server is a process of its own that answers after 50 ms; the client has 64 connections and no rate
limit. The mirror is filled without the server before the estate is refreshed.
"""

import asyncio
import json
import multiprocessing
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar, cast

from harness import Options, Report, main
from pages import rows_of
from server import REQUEST_ID, HttpConnection
from vinix_async import Callflow, Limits, VinixClient, structure, to_dict
from vinix_async.mirror import Mirror
from vinix_async.mirror.contents import content_hash
from vinix_async.mirror.store import Read, Store
from vinix_async.sandbox import Sandbox
from vinix_async.testing import VirtualClock

ACCOUNTS = 5_000
DETAILED = 200
"""How many accounts of the estate are read with ``details=True``, which is linear."""

LATENCY = 0.05
CONNECTIONS = 64
SIZES = (50, 500)
GREGORIAN_EPOCH = 62_167_219_200
NOT_IN_A_ROW = {"flow", "metadata", "ui_metadata", "contact_list"}


def check(is_right: bool, result: object) -> None:  # noqa: FBT001  # a condition
    """Stop the benchmark if a result is not what it should be."""
    if not is_right:
        raise RuntimeError(f"unexpected result: {result}")


# --- the requests for an account ---


async def requests_of(dialect: str, size: int) -> dict[str, int]:
    """Return the number of requests of each kind of refresh of an account."""
    clock, counts = VirtualClock(), dict[str, int]()
    options: dict[str, Any] = {
        "dialect": dialect,
        "accounts": 1,
        "callflows": size,
        "rate_limit": False,
        "token_ttl": 1e9,
    }
    with tempfile.TemporaryDirectory() as folder:
        async with (
            Sandbox(**options, clock=clock) as sandbox,
            sandbox.client() as client,
            Mirror(Path(folder) / "mirror.db") as mirror,
        ):
            account_id = sandbox.root_id
            await client.accounts.get(account_id)  # logs in

            before = sandbox.served
            await client.callflows.list(account_id, details=True).to_list()
            counts["`list` with `details=True`"] = sandbox.served - before

            async def refresh(name: str, *, deleted: int = 0) -> None:
                clock.now += 86_400
                before, refreshing = sandbox.served, mirror.refresh(client, [account_id])
                async for result in refreshing:
                    check((result.state, result.deleted) == ("ok", deleted), result)
                probes = 0 if refreshing.filters_work is None else 2  # of a whole run
                counts[name] = sandbox.served - before - probes

            await refresh("first refresh")
            await refresh("nothing has changed")
            few = max(1, size // 100)
            ids = sandbox.callflow_ids(account_id)
            for callflow_id in ids[:few]:
                sandbox.put(account_id, {**sandbox.document(account_id, callflow_id), "name": "Changed"})
            await refresh("1 % have changed")
            for callflow_id in ids[:few]:
                sandbox.remove(account_id, callflow_id)
            await refresh("1 % were deleted", deleted=few)
            for callflow_id in ids[few:]:
                sandbox.break_callflow(account_id, callflow_id, "unlisted")
            await refresh("the listing is empty by mistake")
    return counts


# --- an estate ---


@cache
def documents() -> list[dict[str, Any]]:
    """Return the documents of an account. The ids begin with eight characters that stand for it."""
    return cast("list[dict[str, Any]]", json.loads(rows_of("M").text))


def row_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a document in a listing."""
    return {key: value for key, value in document.items() if key not in NOT_IN_A_ROW}


def text_of(value: Any) -> bytes:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def own(text: bytes, account: int) -> bytes:
    """Return a text with the ids of an account."""
    return text.replace(b"@@@@@@@@", b"%08x" % account)


class Estate(HttpConnection):
    """A connection to the server of an estate, in which nothing changes. The account with the id ``7`` is number 7."""

    _listing = text_of([row_of(each) for each in documents()])
    _document_of: ClassVar = {each["id"][8:].encode(): text_of(each) for each in documents()}

    def respond(self, head: bytes) -> tuple[float, bytes]:
        """Answer a listing or a document."""
        path, _, query = head.split(b" ", 2)[1].partition(b"?")
        _, _, _, account, _, *callflow_id = path.split(b"/")
        found = REQUEST_ID.search(head)
        data = self._document_of[callflow_id[0][8:]] if callflow_id else self._rows(query)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        body = b'{"data":%b,"status":"success","revision":"1-0","timestamp":"%b","request_id":"%b"}' % (
            own(data, int(account)),
            now,
            found[1] if found else b"",
        )
        start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        return LATENCY, start + body

    def _rows(self, query: bytes) -> bytes:
        since = re.search(rb"modified_from=(\d+)", query)
        is_recent = since is not None and int(since[1]) > GREGORIAN_EPOCH
        return b"[]" if is_recent or b"modified_to" in query else self._listing


async def serve(pipe: Connection) -> None:
    """Run the server until the other end of the pipe sends something."""
    server = await asyncio.get_running_loop().create_server(Estate, "127.0.0.1", 0, backlog=1024)
    pipe.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v2")
    await asyncio.to_thread(pipe.recv)


def run_server(pipe: Connection) -> None:
    """Run the server's process."""
    asyncio.run(serve(pipe))


async def fill(store: Store, accounts: int) -> None:
    """Store the documents of each account, as a refresh of yesterday would have."""
    then = datetime.now(UTC) - timedelta(days=1)
    watermark = int(then.timestamp()) + GREGORIAN_EPOCH
    run_id = await store.begin_run(then)
    for account in range(accounts):
        account_id = str(account)
        await store.lock(account_id)
        await store.begin(account_id, watermark)
        values = json.loads(own(text_of(documents()), account))
        reads = list(_reads(values, then))
        for first in range(0, len(reads), 32):
            await store.write(account_id, reads[first : first + 32], run_id=run_id, now=then)
        await store.finish(account_id, began_at=then, watermark=watermark, deleted=(), unreadable=(), now=then)
        await store.unlock(account_id)
    await store.end_run(run_id, then, ok=accounts, failed=0, requests=0, added=0, changed=0, deleted=0)


def _reads(values: list[dict[str, Any]], now: datetime) -> Iterator[Read]:
    for value in values:
        row = to_dict(structure(row_of(value), Callflow))
        yield Read(
            callflow_id=value["id"],
            callflow=structure(value, Callflow),
            revision="1-0",
            row_hash=content_hash(row),
            read_at=now,
        )


async def estate(url: str, accounts: int) -> list[list[str]]:
    """Refresh an estate in which nothing has changed, read it whole, and return the rows of a table."""
    limits = Limits(max_connections=CONNECTIONS, max_concurrency=CONNECTIONS, burst=10**6, rate=10.0**6)
    detailed = min(DETAILED, accounts)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        async with VinixClient(auth="t", base_url=url, limits=limits) as client, Mirror(Path(folder, "m.db")) as mirror:
            await fill(mirror._store, accounts)  # noqa: SLF001  # not what is measured
            work: dict[str, tuple[int, Callable[[list[str]], Any]]] = {
                "a refresh": (accounts, lambda ids: mirror.refresh(client, ids, max_concurrency=CONNECTIONS)),
                "`list_many` with `details=True`": (
                    detailed,
                    lambda ids: client.callflows.list_many(ids, details=True, max_concurrency=CONNECTIONS),
                ),
            }
            for name, (number, begin) in work.items():
                before, begun = client.stats.requests, time.perf_counter()
                async for result in begin([str(account) for account in range(number)]):
                    check(result.ok, result)
                    check(name != "a refresh" or result.added == result.changed == 0, result)
                seconds, requests = time.perf_counter() - begun, client.stats.requests - before
                rows.append([name, f"{number:,}", f"{requests:,}", f"{requests / number:.1f}", f"{seconds:.1f} s"])
    return rows


def measure(options: Options) -> Report:
    """Count the requests for an account, and measure the estate."""
    report = Report()
    sizes = SIZES[:1] if options.quick else SIZES
    columns = [(dialect, size) for dialect in ("kazoo5", "kazoo43") for size in sizes]
    counts = [asyncio.run(requests_of(*column)) for column in columns]
    report.table(
        ["requests for an account", *(f"{size} callflows, `{dialect}`" for dialect, size in columns)],
        [[name, *(f"{each[name]:,}" for each in counts)] for name in counts[0]],
    )
    accounts = 20 if options.quick else options.numbers[0] if options.numbers else ACCOUNTS
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=run_server, args=(there,), daemon=True)
    server.start()
    rows = asyncio.run(estate(here.recv(), accounts))
    here.send(None)
    server.join(10)
    report.table([f"50 callflows, {LATENCY * 1000:.0f} ms", "accounts", "requests", "each", "time"], rows)
    report.figures = {
        "refresh unchanged": max(each["nothing has changed"] for each in counts),
        "refresh estate": float(rows[0][-1].split()[0]),
    }
    return report


if __name__ == "__main__":
    main("mirror_refresh", measure, keep_heap=False)
