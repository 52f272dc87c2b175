"""Kill refreshes of a mirror at random moments while the callflows change, and compare the mirror with the server.

    python tests/killed_mirror.py [--kills 100] [--seed 1] [--postgres]

Each refresh is a process of its own, which SIGKILL ends. Time passes a thousand times faster for the sandbox and the
refreshes, so that the overlap of ten minutes hides nothing. After each kill, or after a few, the callflows stop
changing, and a refresh runs to its end: then mirror and server agree, no versions overlap, and none has a content that
never was.
"""

import argparse
import asyncio
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from mirror_checks import assert_history, assert_same, stored_form

from vinix_async import UserAuth, VinixClient
from vinix_async.mirror import Mirror
from vinix_async.sandbox import Sandbox

SPEED = 1000.0
ACCOUNTS = 5
CALLFLOWS = 30


class FastClock:
    """A clock that runs faster than the machine's from a time on, in the same way in all processes."""

    def __init__(self, began: float) -> None:
        self.began = began

    def time(self) -> float:
        return self.began + (time.time() - self.began) * SPEED

    monotonic = time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / SPEED)

    def random(self) -> float:
        return random.random()


def refresh(database: str, url: str, auth: UserAuth, account_ids: list[str], clock: FastClock) -> None:
    """Refresh the accounts. The exit code is 1 if any was skipped, because a killed process still had the lock."""

    async def run() -> bool:
        client = VinixClient(auth=auth, base_url=url, clock=clock)
        async with Mirror(database) as mirror, client:
            results = [result async for result in mirror.refresh(client, account_ids, max_concurrency=3)]
        assert {each.state for each in results} <= {"ok", "skipped"}, results
        assert not any(each.bad_items for each in results), results
        return all(each.state == "ok" for each in results)

    sys.exit(not asyncio.run(run()))


class Estate:
    """The callflows of a sandbox, which change at random. ``existed`` has each content that a callflow ever had."""

    def __init__(self, sandbox: Sandbox, chance: random.Random) -> None:
        self.sandbox, self.chance = sandbox, chance
        self.existed: set[str] = set()
        self._numbers = count(1)
        self._toggled: set[str] = set()
        self._toggles: set[str] = set()
        for account_id in sandbox.account_ids:
            target = sandbox.callflow_ids(account_id)[0]
            flow = {"module": "ring_group_toggle", "data": {"callflow_id": target}, "children": {}}
            toggle = {"name": "Toggle", "numbers": [f"{next(self._numbers)}"], "flow": flow}
            self._toggled.add(target)
            self._toggles.add(sandbox.put(account_id, toggle))
            for callflow_id in sandbox.callflow_ids(account_id):
                self._remember(account_id, callflow_id)

    def change(self) -> None:
        """Add, change or delete a callflow."""
        sandbox, chance, number = self.sandbox, self.chance, next(self._numbers)
        account_id = chance.choice(list(sandbox.account_ids))
        ids = sandbox.callflow_ids(account_id)
        what = chance.random()
        if what < 0.15 or not ids:
            data = {"id": f"{number:032x}"}
            flow = {"module": "user", "data": data, "children": {}}
            self._remember(account_id, sandbox.put(account_id, {"name": "New", "numbers": [f"{number}"], "flow": flow}))
            return
        callflow_id = chance.choice(ids)
        if what < 0.3 and callflow_id not in self._toggles:  # without it, nothing would lead to undated changes
            sandbox.remove(account_id, callflow_id)
            return
        document = sandbox.document(account_id, callflow_id)
        del document["metadata"]
        if what < 0.5:
            document["name"] = f"Name {number}"
        else:  # no row of a listing shows this
            root = document.get("flow") or {"module": "noop"}
            document["flow"] = {**root, "data": {**root.get("data", {}), "note": number}}
        sandbox.put(account_id, document, dated=not (what > 0.8 and callflow_id in self._toggled))
        self._remember(account_id, callflow_id)

    def _remember(self, account_id: str, callflow_id: str) -> None:
        self.existed.add(stored_form(self.sandbox.document(account_id, callflow_id)))

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """Change something every few milliseconds while the block runs."""

        async def work() -> None:
            while True:
                self.change()
                await asyncio.sleep(self.chance.uniform(0, 0.01))

        task = asyncio.create_task(work())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def kill(database: str, kills: int, seed: int, clear: Any) -> int:
    """Kill so many refreshes, and return how many of them had begun and not ended. ``clear`` empties the database."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killed_mirror", "vinix_async.mirror.postgres"])
    chance, clock = random.Random(seed), FastClock(time.time())
    killed, seconds = 0, 0.5

    async def run(sandbox: Sandbox, share: float | None) -> int | None:
        """Start a refresh, kill it after a share of the time that the last one took, and return its exit code."""
        nonlocal seconds
        served = sandbox.served
        arguments = (database, sandbox.url, sandbox.user_auth(), list(sandbox.account_ids), clock)
        process = context.Process(target=refresh, args=arguments)
        process.start()
        while sandbox.served == served and process.is_alive():
            await asyncio.sleep(0.001)
        begun = time.monotonic()
        if share is not None:
            await asyncio.sleep(share * seconds)
            process.kill()
        await asyncio.to_thread(process.join)
        if share is None:
            seconds = time.monotonic() - begun
        return process.exitcode

    while kills > 0:
        clear()
        options: dict[str, Any] = {"accounts": ACCOUNTS, "callflows": CALLFLOWS, "rate_limit": False}
        async with Sandbox(**options, seed=chance.randrange(1000), clock=clock, token_ttl=1e9) as sandbox:
            estate = Estate(sandbox, chance)
            lives = min(kills, chance.randint(1, 8))
            for life in range(lives):
                async with estate.changing():
                    code = await run(sandbox, chance.random())
                assert code in {0, -9}, code
                kills -= 1
                killed += code == -9
                if life == lives - 1 or chance.random() < 0.5:
                    for _ in range(50):
                        code = await run(sandbox, None)
                        if code == 0:
                            break
                    assert code == 0
                    async with Mirror(database) as mirror:
                        await assert_same(mirror._store, sandbox, sandbox.account_ids)
                        await assert_history(mirror._store, estate.existed)
    return killed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    if options.postgres:
        from postgres_server import drop_mirror, postgres_server  # noqa: PLC0415  # imports pytest

        with postgres_server() as address:
            killed = asyncio.run(kill(address, options.kills, options.seed, lambda: drop_mirror(address)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "mirror.db")
            killed = asyncio.run(kill(str(path), options.kills, options.seed, lambda: remove(path)))
    print(f"{options.kills} kills, {killed} of refreshes that had not ended: mirror and server agree")


def remove(path: Path) -> None:
    """Delete an SQLite database."""
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()


if __name__ == "__main__":
    main()
