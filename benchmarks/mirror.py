"""A mirror: the time of its store, of its questions, and how long it stops the event loop.

    python benchmarks/mirror.py [--quick] [ACCOUNTS]

ACCOUNTS of 50 callflows each; 2,000 by default. The store is called as a refresh calls it, without a server: its times
leave out requests and decoding. They are CPU times of this process, and of the process of PostgreSQL that serves it, so
that other processes of the machine do not count. PostgreSQL is started for the measurement (``apt-get install
postgresql``). The event loop is measured with requests to a sandbox in another process.
"""

import asyncio
import gc
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from harness import Options, Report, Stopwatch, main
from vinix_async import ApiKeyAuth, Callflow, Limits, VinixClient, structure
from vinix_async.mirror import Mirror
from vinix_async.mirror.contents import content_hash
from vinix_async.mirror.mirror import _database
from vinix_async.mirror.store import Read, Store
from vinix_async.sandbox import Sandbox

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from postgres_server import postgres_server

ACCOUNTS = 2_000
SIZE = 50
BATCH = 32
FEW = 40  # accounts, while the event loop is watched
DAY = timedelta(days=1)
START = datetime(2026, 3, 1, tzinfo=UTC)
T = TypeVar("T")


# --- the store ---


class StoreTimes:
    """Calls the store as refreshes do, and adds up the time of the calls."""

    def __init__(self, store: Store, sandbox: Sandbox, cpu_time: Callable[[], float]) -> None:
        self.store = store
        self.sandbox = sandbox
        self.cpu_time = cpu_time
        self.seconds = 0.0

    async def timed(self, call: Awaitable[T]) -> T:
        """Await a call of the store."""
        begun = self.cpu_time()
        try:
            return await call
        finally:
            self.seconds += self.cpu_time() - begun

    async def load(self) -> float:
        """Write all callflows, and return the seconds."""
        self.seconds, run_id = 0.0, await self.store.begin_run(START)
        for account_id in self.sandbox.account_ids:
            reads = [self.read(account_id, each, START) for each in self.sandbox.callflow_ids(account_id)]
            await self.timed(self.store.lock(account_id))
            await self.timed(self.store.begin(account_id, 1))
            for first in range(0, len(reads), BATCH):
                await self.timed(self.store.write(account_id, reads[first : first + BATCH], run_id=run_id, now=START))
            await self.finish(account_id, START)
        return self.seconds

    async def refresh(self, day: int, *, every: int = 0) -> float:
        """Refresh all accounts, of which one callflow in ``every`` has changed, and return the seconds."""
        self.seconds, now, position = 0.0, START + day * DAY, 0
        run_id = await self.store.begin_run(now)
        for account_id in self.sandbox.account_ids:
            known = await self.timed(self.store.lock(account_id))
            changed = []
            for callflow_id in known.callflows if known else ():
                position += 1
                if every and position % every == 0:
                    changed.append(self.read(account_id, callflow_id, now, name=f"Name of day {day}"))
            if changed:
                await self.timed(self.store.write(account_id, changed, run_id=run_id, now=now))
            await self.finish(account_id, now)
        return self.seconds

    async def finish(self, account_id: str, now: datetime) -> None:
        """End the refresh of an account."""
        end = self.store.finish(account_id, began_at=now, watermark=1, deleted=(), unreadable=(), now=now)
        await self.timed(end)
        await self.timed(self.store.unlock(account_id))

    def read(self, account_id: str, callflow_id: str, now: datetime, **changed: Any) -> Read:
        """Return a document as a refresh hands it over."""
        callflow = structure({**self.sandbox.document(account_id, callflow_id), **changed}, Callflow)
        row_hash = content_hash(self.sandbox.row(account_id, callflow_id))
        begin = START if changed else None
        return Read(
            callflow_id=callflow_id, callflow=callflow, revision="1-0", row_hash=row_hash, read_at=now, not_before=begin
        )


async def cpu_clock(store: Store) -> Callable[[], float]:
    """Return a clock that adds the CPU time of the store's PostgreSQL process to that of this one."""
    ((server,),) = await store.run(lambda database: database.execute("SELECT pg_backend_pid()"))
    ticks, stat = os.sysconf("SC_CLK_TCK"), Path(f"/proc/{server}/stat")

    def cpu_time() -> float:
        user, system = stat.read_text().rpartition(")")[2].split()[11:13]
        return time.process_time() + (int(user) + int(system)) / ticks

    return cpu_time


# --- the questions ---


async def questions(address: str, sandbox: Sandbox) -> dict[str, tuple[float, int]]:
    """Return the best time of each question in ms, and the number of its answers."""
    account_id = sandbox.account_ids[len(sandbox.account_ids) // 2]
    callflow_id = sandbox.callflow_ids(account_id)[-1]
    picks = (
        "SELECT entity_id FROM refs GROUP BY entity_id ORDER BY count(*) DESC, entity_id LIMIT 1",
        "SELECT entity_id FROM refs GROUP BY entity_id HAVING count(*) BETWEEN 5 AND 20 ORDER BY entity_id LIMIT 1",
        "SELECT number FROM numbers GROUP BY number HAVING count(*) = 1 ORDER BY number LIMIT 1",
    )
    database = _database(address)
    database.connect(create=False)
    ((prompt,), (entity,), (number,)) = (database.execute(pick)[0] for pick in picks)
    database.close()
    found: dict[str, tuple[float, int]] = {}
    async with Mirror(address) as mirror:
        asked: dict[str, Callable[[], AsyncIterator[Any]]] = {
            "uses of an entity": lambda: mirror.uses(entity),
            "the same, a day ago": lambda: mirror.uses(entity, START + DAY),
            "uses of a prompt of all accounts, the first 500": lambda: first(500, mirror.uses(prompt)),
            "who had a number in a period": lambda: mirror.numbers(number, START, START + DAY),
            "changes of a day, the first 32": lambda: first(32, mirror.changes(START + DAY)),
            "changes of an account": lambda: mirror.changes(START, None, account_id),
            "the callflows of an account": lambda: mirror.callflows(account_id),
            "the same, as a day ago": lambda: mirror.callflows(account_id, START + DAY),
            "history of a callflow": lambda: mirror.history(account_id, callflow_id),
        }
        for name, ask in asked.items():
            times = []
            for _ in range(5):
                begun = time.perf_counter()
                answers = [each async for each in ask()]
                times.append((time.perf_counter() - begun) * 1000)
            found[name] = min(times), len(answers)
    return found


async def first(number: int, answers: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """Yield the first answers."""
    async for answer in answers:
        yield answer
        number -= 1
        if not number:
            return


# --- the event loop ---


async def serve(pipe: Connection) -> None:
    """Run a sandbox until the other end of the pipe sends something."""
    async with Sandbox(accounts=FEW, callflows=SIZE, rate_limit=False) as sandbox:
        pipe.send((sandbox.url, sandbox.api_key_auth().api_key, list(sandbox.account_ids)))
        await asyncio.to_thread(pipe.recv)


def run_server(pipe: Connection) -> None:
    """Run the server's process."""
    asyncio.run(serve(pipe))


async def stops(url: str, key: str, account_ids: list[str]) -> dict[str, float]:
    """Return the longest stop of the event loop in ms, with the garbage collector off, of each kind of work."""
    longest: dict[str, float] = {}
    limits = Limits(burst=1_000_000, rate=1_000_000.0)
    async with VinixClient(auth=ApiKeyAuth(key), base_url=url, limits=limits) as client:
        for _ in range(2):  # the first round imports and compiles
            with tempfile.TemporaryDirectory() as folder:
                async with Mirror(Path(folder) / "mirror.db") as mirror:
                    work: dict[str, Callable[[], Any]] = {
                        "`list_many` with details": lambda: client.callflows.list_many(account_ids, details=True),
                        "first refresh": lambda: mirror.refresh(client, account_ids),
                        "refresh, nothing changed": lambda: mirror.refresh(client, account_ids),
                        "all callflows from the mirror": lambda: everything(mirror, account_ids),
                    }
                    for name, begin in work.items():
                        gc.collect()
                        gc.disable()
                        watch = Stopwatch()
                        async for _result in begin():
                            pass
                        longest[name] = watch.stop()
                        gc.enable()
    return longest


async def everything(mirror: Mirror, account_ids: Iterable[str]) -> AsyncGenerator[Callflow, None]:
    """Yield the callflows of all accounts from the mirror."""
    for account_id in account_ids:
        async with aclosing(mirror.callflows(account_id)) as callflows:  # type: ignore[type-var]  # a generator
            async for callflow in callflows:
                yield callflow


# --- the report ---


async def measure_store(address: str, sandbox: Sandbox) -> tuple[list[float], dict[str, tuple[float, int]]]:
    """Return the seconds of a load and of refreshes with 0 % and 1 % of changes, and the times of the questions."""
    store = Store(_database(address))
    await store.begin_run(START)
    times = StoreTimes(store, sandbox, await cpu_clock(store) if "://" in address else time.process_time)
    seconds = [await times.load(), await times.refresh(1), await times.refresh(2, every=100)]
    await store.close()
    return seconds, await questions(address, sandbox)


def measure(options: Options) -> Report:
    """Measure both databases, and the event loop."""
    accounts = 50 if options.quick else (options.numbers[0] if options.numbers else ACCOUNTS)
    sandbox = Sandbox(accounts=accounts, callflows=SIZE)
    report = Report()
    with tempfile.TemporaryDirectory() as folder, postgres_server() as postgres:
        path = Path(folder) / "mirror.db"
        lite, lite_questions = asyncio.run(measure_store(str(path), sandbox))
        size = path.stat().st_size / 1e6
        team, team_questions = asyncio.run(measure_store(postgres, sandbox))
        database = _database(postgres)
        database.connect(create=False)
        ((bytes_used,),) = database.execute("SELECT pg_database_size(current_database())")
        database.close()
    names = ["first load", "refresh, 0 % changed", "refresh, 1 % changed"]
    report.table(
        [f"{accounts:,} accounts of {SIZE} callflows", "SQLite", "PostgreSQL", "×"],
        [
            *([name, f"{a:.1f} s", f"{b:.1f} s", f"{b / a:.1f}"] for name, a, b in zip(names, lite, team, strict=True)),
            ["size", f"{size:.0f} MB", f"{bytes_used / 1e6:.0f} MB", ""],
        ],
    )
    report.table(
        ["question", "answers", "SQLite, ms", "PostgreSQL, ms"],
        [
            [name, f"{count:,}", f"{best:.1f}", f"{team_questions[name][0]:.1f}"]
            for name, (best, count) in lite_questions.items()
        ],
    )
    multiprocessing.set_start_method("spawn")
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=run_server, args=(there,), daemon=True)
    server.start()
    there.close()  # so that this process is told if the other one fails
    stopped = asyncio.run(stops(*here.recv()))
    here.send(None)
    server.join(10)
    report.table(
        [f"{FEW} accounts of {SIZE} callflows", "longest stop of the event loop, ms"],
        [[name, f"{longest:.1f}"] for name, longest in stopped.items()],
    )
    report.figures = {
        **dict(zip(("mirror load", "mirror unchanged", "mirror changed"), lite, strict=True)),
        **dict(
            zip(("mirror postgres load", "mirror postgres unchanged", "mirror postgres changed"), team, strict=True)
        ),
        "mirror question": max(best for found in (lite_questions, team_questions) for best, _ in found.values()),
        "mirror stop": max(longest for name, longest in stopped.items() if "list_many" not in name),
    }
    return report


if __name__ == "__main__":
    main("mirror", measure)
