"""The refresh of a mirror: what it asks for, what it finds, and what no failure makes it lose or invent."""

import asyncio
import logging
import os
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import killed_mirror
import postgres_server
import pytest
from aiohttp import web
from fake_clock import FakeClock
from mirror_checks import assert_history, assert_same, rows_of, stored_form
from scripted import Scripted, failure, success

from vinix_async import (
    Account,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    RetryPolicy,
    ServerError,
    VinixClient,
)
from vinix_async.mirror import Mirror, MirrorError
from vinix_async.mirror.postgres import PostgresDatabase
from vinix_async.mirror.refresh import AccountRefresh, MirrorRefresh, RefreshOptions
from vinix_async.mirror.sqlite import SqliteDatabase
from vinix_async.mirror.store import Store, Written
from vinix_async.mirror.times import to_time
from vinix_async.sandbox import Faults, Sandbox
from vinix_async.testing import VirtualClock

HOUR = 3600.0
DAY = 24 * HOUR


class Night:
    """A sandbox with one account more than its root, a mirror of it, and a clock that both share."""

    def __init__(self, sandbox: Sandbox, client: VinixClient, store: Store, clock: Any) -> None:
        self.sandbox, self.client, self.store, self.clock = sandbox, client, store, clock
        self.numbers = count()
        self.account_id = sandbox.account_ids[1] if len(sandbox.account_ids) > 1 else sandbox.root_id

    def begin(self, ids: Iterable[str | Account] | None = None, **options: Any) -> MirrorRefresh:
        concurrency = options.pop("max_concurrency", 4)
        client = options.pop("client", self.client)
        store = options.pop("store", self.store)
        known = {"page_size": 1000, "overlap": 600, "recheck_days": 30, "max_age": None, **options}
        ids = [self.account_id] if ids is None else ids
        return MirrorRefresh(store, client, ids, max_concurrency=concurrency, options=RefreshOptions(**known))

    async def refresh(self, ids: Iterable[str | Account] | None = None, **options: Any) -> dict[str, AccountRefresh]:
        return {result.account_id: result async for result in self.begin(ids, **options)}

    async def once(self, after: float = DAY, **options: Any) -> AccountRefresh:
        """Refresh the account some seconds later."""
        self.clock.now += after
        self.sandbox.requests.clear()
        (result,) = (await self.refresh(**options)).values()
        return result

    def change(self, callflow_id: str, *, dated: bool = True, **values: Any) -> None:
        document = {**self.sandbox.document(self.account_id, callflow_id), **values}
        del document["metadata"]
        self.sandbox.put(self.account_id, document, dated=dated)

    def change_flow(self, callflow_id: str, *, dated: bool = True) -> None:
        """Change what no row of a listing shows."""
        flow = self.sandbox.document(self.account_id, callflow_id)["flow"]
        self.change(callflow_id, dated=dated, flow={**flow, "data": {**flow["data"], "note": next(self.numbers)}})

    @property
    def ids(self) -> list[str]:
        return self.sandbox.callflow_ids(self.account_id)

    def statuses(self) -> list[int]:
        return [each.status for each in self.sandbox.requests]


def node(module: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"module": module, "data": data, "children": {}}


@asynccontextmanager
async def night_of(database: Any, clock: Any = None, **options: Any) -> AsyncIterator[Night]:
    clock = clock or FakeClock()
    given = {"accounts": 2, "callflows": 12, "rate_limit": False, "clock": clock, **options}
    store = Store(database)
    async with Sandbox(**given) as sandbox, sandbox.client() as client:
        try:
            yield Night(sandbox, client, store, clock)
        finally:
            await store.close()


@pytest.fixture
async def night(tmp_path: Path) -> AsyncIterator[Night]:
    async with night_of(SqliteDatabase(tmp_path / "mirror.db")) as made:
        yield made


# --- what a refresh costs ----------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["kazoo5", "kazoo43"])
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_requests_for_an_account(
    request: pytest.FixtureRequest, tmp_path: Path, database: str, dialect: str
) -> None:
    made: Any = SqliteDatabase(tmp_path / "mirror.db")
    if database == "postgres":
        made = PostgresDatabase(request.getfixturevalue("postgres_mirror"))
    async with night_of(made, dialect=dialect, callflows=50) as night:
        first = await night.once()
        assert (first.state, first.added, first.requests) == ("ok", 50, 51)
        assert night.sandbox.count(status=200) == first.requests  # the login is not counted
        assert await night.once() == AccountRefresh(account_id=night.account_id, state="ok", requests=2)
        ids = night.ids
        night.change(ids[0], name="Other")
        night.change_flow(ids[1])
        night.sandbox.remove(night.account_id, ids[2])
        night.sandbox.put(night.account_id, {"name": "New", "numbers": ["1"], "flow": node("hangup", {})})
        third = await night.once()
        assert (third.added, third.changed, third.deleted, third.requests) == (1, 2, 1, 2 + 4)
        await assert_same(night.store, night.sandbox, [night.account_id])
        assert (await night.once(page_size=20)).requests == 3 + 1  # the pages of the listing, and those of the changes
        await assert_history(night.store)


@pytest.mark.parametrize("dialect", ["kazoo5", "kazoo43"])
async def test_small_pages_list_everything(tmp_path: Path, dialect: str) -> None:
    async with night_of(SqliteDatabase(tmp_path / "m.db"), dialect=dialect, callflows=25) as night:
        assert (await night.once(page_size=3)).added == 25
        for callflow_id in night.ids[3:20]:
            night.change_flow(callflow_id)
        assert (await night.once(page_size=3)).changed == 17
        await assert_same(night.store, night.sandbox, [night.account_id])


async def test_the_overlap_costs_a_304_for_each_late_change(night: Night) -> None:
    await night.once()
    night.clock.now += DAY
    night.change_flow(night.ids[0])
    assert (await night.once(after=200)).changed == 1
    again = await night.once(after=200)
    assert (again.changed, again.requests) == (0, 3)
    assert night.sandbox.count(status=304) == 1
    assert (await night.once()).requests == 3
    assert (await night.once()).requests == 2


async def test_an_overlap_of_thousands_of_years_asks_for_every_change(night: Night) -> None:
    await night.once()
    again = await night.once(overlap=10**12)
    assert (again.state, again.changed, again.requests) == ("ok", 0, 2 + 12)
    assert night.sandbox.count(status=304) == 12


# --- what it finds -----------------------------------------------------------------------------------


async def test_a_listing_that_is_empty_by_mistake_deletes_nothing(night: Night) -> None:
    await night.once()
    ids = night.ids
    for callflow_id in ids:
        night.sandbox.break_callflow(night.account_id, callflow_id, "unlisted")
    result = await night.once()
    assert (result.state, result.deleted, result.requests) == ("ok", 0, 2 + 12)
    assert night.sandbox.count(status=304) == 12
    for callflow_id in ids:
        night.sandbox.mend_callflow(night.account_id, callflow_id)
    night.sandbox.remove(night.account_id, ids[5])
    assert (await night.once()).deleted == 1
    await assert_same(night.store, night.sandbox, [night.account_id])


async def test_a_callflow_that_comes_back_has_two_lives(night: Night) -> None:
    await night.once()
    callflow_id = night.ids[0]
    document = night.sandbox.document(night.account_id, callflow_id)
    night.sandbox.remove(night.account_id, callflow_id)
    assert (await night.once()).deleted == 1
    night.sandbox.put(night.account_id, document)
    assert (await night.once()).added == 1
    await assert_same(night.store, night.sandbox, [night.account_id])
    await assert_history(night.store)


async def test_undated_changes_are_found_where_they_are_expected(night: Night) -> None:
    target, other = night.ids[:2]
    night.sandbox.put(
        night.account_id,
        {"name": "Toggle", "numbers": ["9"], "flow": node("ring_group_toggle", {"callflow_id": target})},
    )
    await night.once()
    assert (await night.once()).requests == 3  # the target of the toggle is asked for each time
    night.change_flow(target, dated=False)
    night.change_flow(other, dated=False)
    result = await night.once()
    assert (result.changed, result.requests) == (1, 3)
    assert (await night.once()).changed == 0  # nothing shows that the other one has changed
    night.clock.now += 30 * DAY
    assert (await night.once()).changed == 1
    await assert_same(night.store, night.sandbox, [night.account_id])


async def test_an_undated_change_by_a_new_toggle_is_found(night: Night) -> None:
    target = night.ids[0]
    await night.once()
    flow = node("ring_group_toggle", {"callflow_id": target})
    night.sandbox.put(night.account_id, {"name": "Toggle", "numbers": ["9"], "flow": flow})
    night.change_flow(target, dated=False)
    result = await night.once()
    assert (result.added, result.changed, result.requests) == (1, 1, 2 + 2)
    await assert_same(night.store, night.sandbox, [night.account_id])


async def test_each_callflow_is_read_again_within_the_days_and_not_all_in_one_night(tmp_path: Path) -> None:
    async with night_of(SqliteDatabase(tmp_path / "m.db"), callflows=100) as night:
        await night.once()
        read = [(await night.once(recheck_days=10)).requests - 2 for _ in range(10)]
    assert sum(read) == 100
    assert max(read) < 40
    assert sum(read[:4]) == 0


async def test_callflows_that_were_read_when_our_clock_was_fast_are_read_again(night: Night) -> None:
    fast = FakeClock(epoch=night.clock.epoch + 400 * DAY)
    fast.now = night.clock.now
    async with night.sandbox.client(clock=fast) as client:
        await night.refresh(client=client)
    for callflow_id in night.ids:
        night.change_flow(callflow_id, dated=False)
    assert (await night.once()).changed == len(night.ids)
    assert (await night.once()).requests == 2


async def test_a_change_without_a_date_may_be_older_than_the_last_refresh(night: Night) -> None:
    await night.once()
    callflow_id = night.ids[0]
    (before,) = await time_of(night, callflow_id, "read_at")
    night.change_flow(callflow_id, dated=False)
    refreshes = 1
    while not (await night.once(recheck_days=4)).changed:
        refreshes += 1
    assert refreshes > 1
    assert await time_of(night, callflow_id, "not_before") == [before]


async def time_of(night: Night, callflow_id: str, column: str) -> list[datetime]:
    """Return a time of the current version of a callflow, or of what is known of it."""
    table = "callflows" if column == "read_at" else "versions"
    current = "" if column == "read_at" else "AND valid_to IS NULL"
    statement = f"SELECT {column} FROM {table} WHERE callflow_id = ? {current}"
    rows = await night.store.run(lambda database: database.execute(statement, callflow_id))
    return [to_time(value) for (value,) in rows]


async def test_a_clock_that_was_set_back_hides_no_change(night: Night) -> None:
    ahead = VirtualClock(epoch=night.clock.epoch + 2 * HOUR)
    ahead.now = night.clock.now + DAY
    night.clock.now += DAY
    night.sandbox._state.clock, normal = ahead, night.sandbox._state.clock
    await night.refresh()
    night.sandbox._state.clock = normal
    night.clock.now += HOUR
    night.change_flow(night.ids[0])  # dated an hour before the watermark
    night.clock.now += 12 * HOUR
    (result,) = (await night.refresh()).values()
    assert (result.changed, result.requests) == (1, 2 + 12)


@pytest.mark.parametrize("offset", [-HOUR, HOUR])
async def test_our_clock_may_be_wrong(night: Night, offset: float) -> None:
    ours = FakeClock(epoch=night.clock.epoch + offset)
    async with night.sandbox.client(clock=ours) as client:
        for turn in range(6):
            night.clock.now += 20 * 60
            ours.now = night.clock.now
            if turn:
                night.change_flow(night.ids[turn])
            (result,) = (await night.refresh(client=client)).values()
            assert result.changed == (1 if turn else 0)
            await assert_same(night.store, night.sandbox, [night.account_id])
    await assert_history(night.store)


async def test_our_clock_may_go_back(night: Night) -> None:
    await night.once()
    night.change_flow(night.ids[0])
    ours = FakeClock(epoch=night.clock.epoch - HOUR)
    ours.now = night.clock.now
    async with night.sandbox.client(clock=ours) as client:
        await night.refresh(client=client)
    night.change_flow(night.ids[0])
    await night.refresh()
    await assert_same(night.store, night.sandbox, [night.account_id])
    await assert_history(night.store)


class KilledStore(Store):
    """A store whose database is gone after the first documents have been written."""

    async def write(self, *arguments: Any, **options: Any) -> Written:
        await super().write(*arguments, **options)
        raise MirrorError("the process was killed")


async def test_a_change_between_a_killed_first_refresh_and_the_next_one_is_found(tmp_path: Path) -> None:
    """Without the watermark of the killed refresh, the second one would not look for it, and the third one too late."""
    database = SqliteDatabase(tmp_path / "m.db")
    async with night_of(SqliteDatabase(tmp_path / "m.db"), callflows=50) as night:
        killed = KilledStore(database)
        with pytest.raises(MirrorError, match="killed"):
            await night.refresh(store=killed)
        await killed.close()
        stored = [row["callflow_id"] for row in await rows_of(night.store, "callflows")]
        assert 0 < len(stored) < 50
        night.clock.now += 60
        night.change_flow(stored[0])
        result = await night.once()
        assert (result.added, result.changed) == (50 - len(stored), 1)
        await assert_same(night.store, night.sandbox, [night.account_id])


# --- what it does not find ---------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["init_failed", "wrong_node", "empty", 500, 410])
async def test_a_document_that_cannot_be_read_costs_no_other(night: Night, how: int | str) -> None:
    ids = night.ids
    new = ids.pop()
    night.sandbox.break_callflow(night.account_id, new, how)
    async with night.sandbox.client(retry=RetryPolicy(attempts=1)) as client:
        first = await night.once(client=client)
        assert (first.state, first.added, [item.id for item in first.bad_items]) == ("ok", 11, [new])
        assert not first.ok
        night.change_flow(ids[0])
        night.sandbox.break_callflow(night.account_id, ids[0], how)
        night.sandbox.mend_callflow(night.account_id, new)
        second = await night.once(client=client)
        assert (second.state, second.added, second.changed, second.deleted) == ("ok", 1, 0, 0)
        assert [item.id for item in second.bad_items] == [ids[0]]
        night.sandbox.mend_callflow(night.account_id, ids[0])
        third = await night.once(client=client)  # although it did not change since the last refresh
        assert (third.changed, third.ok) == (1, True)
    await assert_same(night.store, night.sandbox, [night.account_id])
    assert night.client.stats.bad_items == 0  # another client


async def test_rows_that_cannot_be_read(night: Night) -> None:
    ids = night.ids
    night.sandbox.break_callflow(night.account_id, ids[0], "wrong_type")
    night.sandbox.break_callflow(night.account_id, ids[1], "without_id")
    first = await night.once()
    assert (first.state, first.added) == ("ok", 10)
    assert sorted(item.id or "" for item in first.bad_items) == ["", ids[0]]
    assert all(isinstance(item.error, DecodeError) for item in first.bad_items)
    night.sandbox.mend_callflow(night.account_id, ids[0])
    night.sandbox.mend_callflow(night.account_id, ids[1])
    assert (await night.once()).added == 2
    await assert_same(night.store, night.sandbox, [night.account_id])


async def test_an_account_that_turns_403_and_back_loses_nothing(night: Night) -> None:
    await night.once()
    night.sandbox.deny(night.account_id)
    refused = await night.once()
    assert refused.state == "forbidden"
    assert isinstance(refused.error, PermissionDeniedError)
    assert len(await rows_of(night.store, "callflows")) == 12
    night.change_flow(night.ids[0])
    night.sandbox.allow(night.account_id)
    back = await night.once()
    assert (back.state, back.changed, back.deleted, back.requests) == ("ok", 1, 0, 3)
    await assert_history(night.store)


async def test_an_account_that_is_gone_is_named_once_and_keeps_its_callflows(night: Night) -> None:
    await night.once()
    night.sandbox.remove_account(night.account_id)
    gone = await night.once()
    assert gone.state == "gone"
    assert isinstance(gone.error, NotFoundError)
    again = await night.once()
    assert (again.state, again.error, again.ok) == ("gone", None, True)
    (account,) = await night.store.accounts()
    assert account.state == "gone"
    assert account.error is not None
    assert "404" in account.error
    assert len(await rows_of(night.store, "callflows")) == 12
    night.sandbox.allow(night.account_id)
    assert (await night.once()).state == "ok"
    (account,) = await night.store.accounts()
    assert (account.state, account.error) == ("ok", None)


async def test_an_account_fails_alone(night: Night) -> None:
    broken, fine = night.sandbox.root_id, night.account_id
    night.sandbox.deny(broken, 500)
    async with night.sandbox.client(retry=RetryPolicy(attempts=1)) as client:
        results = await night.refresh([broken, fine, "a/b", fine], client=client)
    assert {key: (each.state, type(each.error)) for key, each in results.items()} == {
        broken: ("failed", ServerError),
        fine: ("ok", type(None)),
        "a/b": ("failed", ConfigurationError),
    }
    assert [account.account_id for account in await night.store.accounts()] == sorted([broken, fine])
    ((ok, failed, added),) = await night.store.run(
        lambda database: database.execute("SELECT accounts_ok, accounts_failed, added FROM runs")
    )
    assert (ok, failed, added) == (1, 2, 12)


async def test_refused_credentials_stop_the_refresh_and_change_no_state(tmp_path: Path) -> None:
    async with night_of(SqliteDatabase(tmp_path / "m.db"), accounts=40, callflows=1) as night:
        await night.refresh(list(night.sandbox.account_ids)[:20])
        async with night.sandbox.client(auth="wrong") as client:
            results = []
            with pytest.raises(AuthenticationError):
                async for result in night.begin(list(night.sandbox.account_ids), client=client, max_concurrency=1):
                    results.append(result)
        assert [each.state for each in results] == ["failed"] * 5
        assert {account.state for account in await night.store.accounts()} <= {"ok", "new"}


async def test_accounts_that_are_fresh_do_not_hide_refused_credentials(night: Night) -> None:
    await night.once()
    async with night.sandbox.client(auth="wrong") as client:
        ids = [night.sandbox.root_id, night.account_id]
        results = await night.refresh(ids, client=client, max_age=timedelta(days=1), max_concurrency=1)
    assert [each.state for each in results.values()] == ["failed", "fresh"]


async def test_an_account_with_bad_items_is_not_fresh(night: Night) -> None:
    async def status() -> tuple[str, str | None]:
        (account,) = await night.store.accounts()
        return account.state, account.error

    night.sandbox.break_callflow(night.account_id, night.ids[0], "wrong_type")
    await night.once()
    assert await status() == ("ok", "1 callflow could not be read")
    night.sandbox.break_callflow(night.account_id, night.ids[1], "without_id")
    again = await night.once(after=60, max_age=timedelta(hours=2))
    assert (again.state, len(again.bad_items)) == ("ok", 2)
    assert await status() == ("ok", "2 callflows could not be read")
    night.sandbox.mend_callflow(night.account_id, night.ids[0])
    night.sandbox.mend_callflow(night.account_id, night.ids[1])
    assert (await night.once(after=60, max_age=timedelta(hours=2))).ok
    assert await status() == ("ok", None)
    assert (await night.once(after=60, max_age=timedelta(hours=2))).state == "fresh"


async def test_an_account_without_a_refresh_lately_is_fresh(night: Night) -> None:
    await night.once()
    fresh = await night.once(after=HOUR, max_age=timedelta(hours=2))
    assert (fresh.state, fresh.requests) == ("fresh", 0)
    assert (await night.once(after=HOUR, max_age=timedelta(hours=2))).state == "ok"
    night.sandbox.deny(night.account_id)
    await night.once(after=60)
    night.sandbox.allow(night.account_id)
    assert (await night.once(after=60, max_age=timedelta(hours=2))).state == "ok"  # it failed, so it is not fresh
    # The clock was fast when the account was refreshed, so nobody knows how long ago that was.
    assert (await night.once(after=-HOUR, max_age=timedelta(hours=2))).state == "ok"


async def test_two_refreshes_of_one_mirror_do_not_disturb_each_other(night: Night) -> None:
    both = await asyncio.gather(night.refresh(), night.refresh())
    assert sorted(results[night.account_id].state for results in both) == ["ok", "skipped"]
    await assert_same(night.store, night.sandbox, [night.account_id])


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_an_account_that_another_process_refreshes_is_skipped(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    def make() -> Any:
        if database == "postgres":
            return PostgresDatabase(request.getfixturevalue("postgres"))
        return SqliteDatabase(tmp_path / "m.db")

    if database == "postgres":
        request.getfixturevalue("postgres_mirror")
    async with night_of(make()) as night:
        other = Store(make())
        await other.begin_run(datetime.now(UTC))
        assert await other.lock(night.account_id) is not None
        result = await night.once()
        assert (result.state, result.requests, result.error) == ("skipped", 0, None)
        await other.unlock(night.account_id)
        await other.close()
        assert (await night.once()).state == "ok"
        one, two = Store(make()), Store(make())
        ids = list(night.sandbox.account_ids)
        both = await asyncio.gather(night.refresh(ids, store=one), night.refresh(reversed(ids), store=two))
        await one.close()
        await two.close()
        assert {each.state for results in both for each in results.values()} <= {"ok", "skipped"}
        await night.once(ids=ids) if len(ids) == 1 else await night.refresh(ids)
        await assert_same(night.store, night.sandbox, ids)
        await assert_history(night.store)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_killed_refreshes_lose_and_invent_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    """``python tests/killed_mirror.py`` does the same a hundred times."""
    kills = int(os.environ.get("MIRROR_KILLS", "2"))
    if database == "postgres":
        address = request.getfixturevalue("postgres_mirror")
        await killed_mirror.kill(address, kills, 5, lambda: postgres_server.drop_mirror(address))
    else:
        await killed_mirror.kill(str(tmp_path / "m.db"), kills, 5, lambda: killed_mirror.remove(tmp_path / "m.db"))


# --- bad nights --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["kazoo5", "kazoo43"])
async def test_faults_lose_and_delete_nothing(tmp_path: Path, dialect: str) -> None:
    clock = VirtualClock()
    options: dict[str, Any] = {"dialect": dialect, "accounts": 6, "faults": Faults(share=0.15, seed=3)}
    async with night_of(SqliteDatabase(tmp_path / "m.db"), clock, **options) as night:
        ids, chance = list(night.sandbox.account_ids), random.Random(7)
        removed = 0
        for _ in range(3):
            night.clock.now += DAY
            results = await night.refresh(ids)
            assert all(each.ok for each in results.values()), results
            assert sum(each.deleted for each in results.values()) == removed
            await assert_same(night.store, night.sandbox, ids)
            removed = 0
            for night.account_id in ids:
                night.change_flow(chance.choice(night.ids))
                if len(night.ids) > 1:
                    night.sandbox.remove(night.account_id, chance.choice(night.ids))
                    removed += 1
        await assert_history(night.store)


def happen(night: Night, chance: random.Random, callflow_id: str) -> str | None:  # a case for each
    """Do something to the account or to one of its callflows. Return the id of a callflow that was deleted."""
    sandbox, account_id = night.sandbox, night.account_id
    match chance.randrange(8):
        case 0:
            sandbox.put(account_id, {"name": f"{next(night.numbers)}", "flow": node("hangup", {})})
        case 1 if len(night.ids) > 1:
            sandbox.remove(account_id, callflow_id)
            return callflow_id
        case 2:
            night.change(callflow_id, name=f"{next(night.numbers)}")
        case 3:
            sandbox.deny(account_id, chance.choice([403, 404, 500]))
        case 4:
            sandbox.allow(account_id)
        case 5:
            how = chance.choice(["init_failed", "unlisted", "wrong_type", "empty"])
            sandbox.break_callflow(account_id, callflow_id, how)
        case 6:
            sandbox.mend_callflow(account_id, callflow_id)
        case _:
            night.change_flow(callflow_id)
    return None


@pytest.mark.parametrize("seed", range(int(os.environ.get("MIRROR_SEEDS", "3"))))
async def test_many_nights_in_which_anything_may_happen(tmp_path: Path, seed: int) -> None:
    """``MIRROR_SEEDS=200`` tries more of them."""
    chance, clock = random.Random(seed), VirtualClock()
    dialect = chance.choice(["kazoo5", "kazoo43"])
    options: dict[str, Any] = {"accounts": 3, "dialect": dialect, "faults": Faults(share=chance.choice([0, 0.05]))}
    async with night_of(SqliteDatabase(tmp_path / "m.db"), clock, **options) as night:
        sandbox, ids = night.sandbox, list(night.sandbox.account_ids)
        existed: set[str] = set()
        removed: set[str | None] = set()
        for _ in range(12):
            night.clock.now += chance.choice([60, 500, HOUR, DAY, 10 * DAY])
            for _ in range(chance.randrange(8)):
                night.account_id = chance.choice(ids)
                removed.add(happen(night, chance, chance.choice(night.ids)))
            for account_id in ids:
                existed |= {
                    stored_form(sandbox.document(account_id, each)) for each in sandbox.callflow_ids(account_id)
                }
            offset = chance.choice([0, 0, HOUR, -HOUR])
            ours = VirtualClock(epoch=clock.time() - clock.now + offset)
            ours.now = clock.now
            async with sandbox.client(clock=ours) as client:
                await night.refresh(ids, client=client, page_size=chance.choice([3, 1000]))
        for night.account_id in ids:
            sandbox.allow(night.account_id)
            for callflow_id in night.ids:
                sandbox.mend_callflow(night.account_id, callflow_id)
        clock.now += DAY
        await night.refresh(ids)
        await assert_same(night.store, sandbox, ids)
        await assert_history(night.store, existed)
        ends = [row["callflow_id"] for row in await rows_of(night.store, "versions") if row["ended_by"] == "delete"]
        assert set(ends) <= removed
        assert len(ends) == len(set(ends))


async def test_an_outage_is_waited_out(tmp_path: Path) -> None:
    async with night_of(SqliteDatabase(tmp_path / "m.db"), VirtualClock(), accounts=8) as night:
        ids = list(night.sandbox.account_ids)
        results = []
        async for result in night.begin(ids):
            results.append(result)
            if len(results) == 2:
                night.sandbox.outage(600)
        assert [each.state for each in results] == ["ok"] * 8
        assert night.client.stats.outages == 1
        await assert_same(night.store, night.sandbox, ids)


async def test_the_error_of_a_lost_connection_says_why(postgres_mirror: str) -> None:
    async with night_of(PostgresDatabase(postgres_mirror), accounts=8) as night:
        with pytest.raises(MirrorError, match="cannot be used") as caught:
            async for _ in night.begin(list(night.sandbox.account_ids)):
                postgres_server.end_connections(postgres_mirror)
        assert "the connection is closed" not in str(caught.value)  # which every later call would say
        assert caught.value.__context__ is None
        assert {each.state for each in (await night.refresh(night.sandbox.account_ids)).values()} == {"ok"}


class StoreWithoutAnEnd(Store):
    """A store whose disk is full when the end of a run is stored."""

    async def end_run(self, *arguments: Any, **options: Any) -> None:
        await super().end_run(*arguments, **options)
        raise MirrorError("the disk is full")


async def test_an_end_that_cannot_be_stored_is_an_error_if_nothing_else_was(tmp_path: Path) -> None:
    store = StoreWithoutAnEnd(SqliteDatabase(tmp_path / "m.db"))
    async with night_of(SqliteDatabase(tmp_path / "unused.db")) as night:
        ids, results = list(night.sandbox.account_ids), []
        with pytest.raises(MirrorError, match="the disk is full"):
            async for result in night.begin(ids, store=store):
                results.append(result)
        assert [each.state for each in results] == ["ok", "ok"]
        async with night.begin(ids, store=store) as refresh:
            async for _ in refresh:
                break
        await store.close()


async def test_leaving_the_loop_ends_the_work(tmp_path: Path) -> None:
    async with night_of(SqliteDatabase(tmp_path / "m.db"), accounts=20) as night:
        async with night.begin(list(night.sandbox.account_ids)) as refresh:
            async for _ in refresh:
                break
        await asyncio.sleep(0)
        assert not [each for each in asyncio.all_tasks() if "vinix_async/mirror" in str(each)]
        rows = await rows_of(night.store, "runs")
        assert rows[0]["ended_at"] is not None
        assert (await night.once()).state == "ok"  # its lock was released


async def test_closing_the_mirror_ends_a_refresh_that_was_left(tmp_path: Path) -> None:
    async with night_of(SqliteDatabase(tmp_path / "unused.db"), accounts=10) as night:
        for turn in range(2):
            async with Mirror(tmp_path / "m.db") as mirror:
                async for result in mirror.refresh(night.client, night.sandbox.account_ids):
                    assert result.state == "ok"
                    break
            store = Store(SqliteDatabase(tmp_path / "m.db"))
            assert [row["ended_at"] is not None for row in await rows_of(store, "runs")] == [True] * (turn + 1)
            await store.close()


async def test_closing_the_mirror_ends_a_refresh_of_another_task(tmp_path: Path) -> None:
    async with night_of(SqliteDatabase(tmp_path / "unused.db"), accounts=10) as night:
        night.sandbox.hang(night.sandbox.account_ids[7])
        mirror, results = Mirror(tmp_path / "m.db"), []

        async def work() -> None:
            async for result in mirror.refresh(night.client, night.sandbox.account_ids):
                results.append(result)

        task = asyncio.create_task(work())
        while len(results) < 9:
            await asyncio.sleep(0)
        await mirror.close()
        with pytest.raises(MirrorError, match="closed"):
            await task
        assert {each.state for each in results} == {"ok"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"page_size": 0}, "page_size must be an int of at least 1"),
        ({"page_size": None}, "page_size must be an int of at least 1"),
        ({"overlap": -1}, "overlap must be an int of at least 0"),
        ({"recheck_days": 0}, "recheck_days must be a number above 0"),
        ({"recheck_days": float("nan")}, "recheck_days must be a number above 0"),
        ({"max_age": 3600}, "max_age must be None or a timedelta"),
        ({"account_ids": "one"}, "account_ids must be an iterable"),
        ({"client": "token"}, "client must be a VinixClient"),
    ],
)
def test_bad_arguments_are_refused_at_once(tmp_path: Path, options: Any, message: str) -> None:
    mirror = Mirror(tmp_path / "m.db")
    given = {"client": VinixClient(auth="t"), "account_ids": [], **options}
    with pytest.raises(ConfigurationError, match=message):
        mirror.refresh(**given)
    assert not list(tmp_path.iterdir())


async def test_a_client_that_is_closed_ends_the_refresh(tmp_path: Path) -> None:
    async with night_of(SqliteDatabase(tmp_path / "m.db"), accounts=20) as night, night.sandbox.client() as client:
        with pytest.raises(ClientClosedError):
            async for _ in night.begin(list(night.sandbox.account_ids), client=client):
                await client.close()
        assert not {account.state for account in await night.store.accounts()} & {"failed"}


# --- servers that are not Kazoo, or not quite ---------------------------------------------------------

ACCOUNT, ONE, TWO = "a" * 32, "1" * 32, "2" * 32
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


class Api:
    """One account with two callflows, of which a test changes what it needs."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.documents = {each: {"id": each, "name": each, "flow": node("hangup", {})} for each in (ONE, TWO)}
        self.listed = [ONE, TWO]
        self.filters_work = True
        self.filtered: list[str] = []  # the ids that modified_from gives
        self.largest_page = 1000
        self.envelope: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.missing: dict[str, Any] = {}
        self.account_missing = False
        self.asked: list[Any] = []

    def __call__(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        callflow_id = request.path.rpartition("/callflows/")[2]
        if "/callflows/" in request.path:
            if (data := self.missing.get(callflow_id)) is not None:
                return failure(request, 404, "bad identifier", data=data)
            if request.headers.get("If-None-Match") == '"1-a"':
                return web.Response(status=304, headers={"X-Request-ID": request.headers["X-Request-ID"]})
            return success(request, self.documents[callflow_id], revision="1-a")
        if self.account_missing:
            return failure(request, 404, "bad identifier", data={"message": "bad identifier", "cause": ACCOUNT})
        if int(request.query.get("page_size", 50)) > self.largest_page:
            return failure(request, 416, "range not satisfiable", data={})
        size = int(request.query.get("page_size", 50))
        ids = self.listed
        if self.filters_work and "modified_from" in request.query:
            since = int(request.query["modified_from"])
            ids = self.listed if since < 10**11 // 2 else self.filtered
        elif self.filters_work and "modified_to" in request.query:
            ids = []
        at = int(request.query.get("start_key", 0))
        more = {"next_start_key": str(at + size)} if len(ids) > at + size else {}
        response = success(
            request,
            [{"id": each, "name": each} for each in ids[at : at + size]],
            **{"timestamp": datetime.fromtimestamp(self.clock.time(), UTC).isoformat(), **self.envelope, **more},
        )
        response.headers.update(self.headers)
        return response


@asynccontextmanager
async def small(server: Scripted, tmp_path: Path, clock: FakeClock) -> AsyncIterator[tuple[Api, Any, Store]]:
    api = Api(clock)
    server.otherwise = api
    store = Store(SqliteDatabase(tmp_path / "m.db"))
    async with VinixClient(auth="t", base_url=server.url, clock=clock, retry=RetryPolicy(attempts=1)) as client:

        async def refresh(**options: Any) -> tuple[MirrorRefresh, AccountRefresh]:
            known = {"page_size": 1000, "overlap": 600, "recheck_days": 30, "max_age": None, **options}
            refreshing = MirrorRefresh(store, client, [ACCOUNT], max_concurrency=1, options=RefreshOptions(**known))
            clock.now += DAY
            (result,) = [each async for each in refreshing]
            return refreshing, result

        try:
            yield api, refresh, store
        finally:
            await store.close()


async def test_a_page_that_is_too_large_is_halved(server: Scripted, tmp_path: Path, clock: FakeClock) -> None:
    async with small(server, tmp_path, clock) as (api, refresh, _):
        api.listed = list(api.documents)
        for number in range(40):
            api.documents[f"{number:032x}"] = {"id": f"{number:032x}", "flow": node("hangup", {})}
        api.listed, api.largest_page = list(api.documents), 15
        _, result = await refresh(page_size=50)
        assert (result.state, result.added) == ("ok", 42)
        assert [each.query["page_size"] for each in api.asked[:3]] == ["50", "25", "12"]
        api.largest_page = 0
        _, result = await refresh(page_size=50)
        assert (result.state, result.error and result.error.message) == ("failed", "range_not_satisfiable")


async def test_a_later_page_that_is_too_large_is_halved_where_it_begins(
    server: Scripted, tmp_path: Path, clock: FakeClock
) -> None:
    async with small(server, tmp_path, clock) as (api, refresh, _):

        def with_larger_rows_later(request: web.Request) -> web.Response:
            if "start_key" in request.query and int(request.query["page_size"]) > 10:
                return failure(request, 416, "range not satisfiable", data={})
            return api(request)

        server.otherwise = with_larger_rows_later
        for number in range(38):
            api.documents[f"{number:032x}"] = {"id": f"{number:032x}", "flow": node("hangup", {})}
        api.listed = list(api.documents)
        _, result = await refresh(page_size=20)
        assert (result.state, result.added) == ("ok", 40)
        pages = [each.query for each in api.asked if "page_size" in each.query]
        assert [each.get("start_key") for each in pages] == [None, "20", "30"]


@pytest.mark.parametrize(
    ("envelope", "headers", "seconds"),
    [
        ({"timestamp": "2026-11-27T12:00:00Z"}, {}, NOON.timestamp()),
        ({"timestamp": None}, {"Date": "Fri, 27 Nov 2026 11:00:00 GMT"}, NOON.timestamp() - HOUR),
        ({"timestamp": None}, {"Date": "?"}, None),
    ],
)
async def test_the_watermark_is_the_server_s_time_before_it_read(  # noqa: PLR0917  # fixtures and cases
    server: Scripted, tmp_path: Path, clock: FakeClock, envelope: Any, headers: Any, seconds: float | None
) -> None:
    async with small(server, tmp_path, clock) as (api, refresh, store):
        api.envelope, api.headers = envelope, headers

        def slow(request: web.Request) -> web.Response:
            clock.now += 30
            return api(request)

        server.script = [slow]
        await refresh()
        ((watermark,),) = await store.run(lambda database: database.execute("SELECT watermark FROM accounts"))
        expected = clock.time() - 30 if seconds is None else seconds - 30
        assert watermark == int(expected) + 62_167_219_200
        await refresh()
        assert {"modified_from": str(watermark - 600), "page_size": "1000"} in [dict(each.query) for each in api.asked]


@pytest.mark.parametrize(
    ("data", "account_missing", "state", "deleted"),
    [
        ({"message": "bad identifier", "cause": TWO}, False, "ok", 1),
        ({"message": "bad identifier", "cause": ACCOUNT}, False, "gone", 0),
        ({"message": "bad identifier"}, False, "ok", 1),
        ({"message": "bad identifier"}, True, "gone", 0),
        ({}, True, "gone", 0),
    ],
)
async def test_a_404_of_the_account_deletes_no_callflow(  # noqa: PLR0917  # fixtures and cases
    server: Scripted,
    tmp_path: Path,
    clock: FakeClock,
    data: Any,
    account_missing: bool,  # noqa: FBT001  # a case
    state: str,
    deleted: int,
) -> None:
    async with small(server, tmp_path, clock) as (api, refresh, store):
        await refresh()
        api.missing, api.listed = {TWO: data}, [ONE]

        def document(request: web.Request) -> web.Response:
            response = api(request)
            api.account_missing = api.account_missing or (account_missing and TWO in request.path)
            return response

        server.otherwise = document
        _, result = await refresh()
        assert (result.state, result.deleted) == (state, deleted)
        assert len(await rows_of(store, "callflows")) == 2 - deleted


async def test_a_new_callflow_that_is_deleted_before_it_is_read_is_no_news(
    server: Scripted, tmp_path: Path, clock: FakeClock
) -> None:
    async with small(server, tmp_path, clock) as (api, refresh, _):
        api.missing = {TWO: {"message": "bad identifier", "cause": TWO}}
        _, result = await refresh()
        assert (result.state, result.added, result.deleted, result.ok) == ("ok", 1, 0, True)


@pytest.mark.parametrize(
    ("status", "envelope", "state", "bad"),
    [
        (403, {}, "forbidden", 0),
        (404, {"message": "not_found"}, "ok", 1),
        (500, {}, "ok", 1),
        (429, {}, "failed", 0),
    ],
)
async def test_what_one_document_s_error_says_about_its_account(  # noqa: PLR0917  # fixtures and cases
    server: Scripted, tmp_path: Path, clock: FakeClock, status: int, envelope: Any, state: str, bad: int
) -> None:
    async with small(server, tmp_path, clock) as (api, refresh, store):
        await refresh()
        api.listed = [ONE]

        def document(request: web.Request) -> web.Response:
            return failure(request, status, **envelope) if TWO in request.path else api(request)

        server.otherwise = document
        _, result = await refresh()
        assert (result.state, len(result.bad_items), result.deleted) == (state, bad, 0)
        assert len(await rows_of(store, "callflows")) == 2
        server.otherwise = api
        _, result = await refresh()
        assert (result.state, result.deleted, result.requests) == ("ok", 0, 3)


async def test_what_was_read_before_an_account_failed_is_kept(
    server: Scripted, tmp_path: Path, clock: FakeClock
) -> None:
    async with small(server, tmp_path, clock) as (api, refresh, store):
        api.documents = {f"{number:032x}": {"id": f"{number:032x}"} for number in range(20)}
        api.listed = list(api.documents)
        last = api.listed[-1]  # the client reads eight documents of an account at once
        server.otherwise = lambda request: failure(request, 403) if last in request.path else api(request)
        _, result = await refresh()
        assert result.state == "forbidden"
        assert 8 <= result.added < 20
        assert len(await rows_of(store, "callflows")) == result.added


async def test_rows_without_an_id_are_named(server: Scripted, tmp_path: Path, clock: FakeClock) -> None:
    async with small(server, tmp_path, clock) as (_, refresh, _):
        rows = [
            {"id": ONE, "name": ONE},
            {"name": "no id"},
            {"name": 7},
            {"id": "../x", "name": "odd"},
            {"id": "x" * 251},
        ]
        server.script = [lambda request: success(request, rows)]
        _, result = await refresh()
        assert (result.state, result.added) == ("ok", 1)
        assert sorted(str(item.id) for item in result.bad_items) == ["../x", "None", "None", "x" * 251]
    async with night_of(SqliteDatabase(tmp_path / "other.db")) as night:
        error = (await night.refresh(["a" * 251]))["a" * 251].error
        assert str(error) == "a mirror cannot store account_ids of more than 250 characters"


async def test_probes_that_fail_cost_nothing_but_documents(server: Scripted, tmp_path: Path, clock: FakeClock) -> None:
    async with small(server, tmp_path, clock) as (api, refresh, _):
        await refresh()
        api.filtered = [ONE]
        server.otherwise = lambda request: failure(request, 500) if "modified_to" in request.query else api(request)
        refreshing, result = await refresh()
        assert (result.state, result.requests, refreshing.filters_work) == ("ok", 3, None)


@pytest.mark.parametrize("filtered", [[ONE, TWO], []])
async def test_a_server_that_ignores_filters_is_named(
    server: Scripted, tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture, filtered: list[str]
) -> None:
    async with small(server, tmp_path, clock) as (api, refresh, _):
        refreshing, _ = await refresh()
        assert refreshing.filters_work is None  # the first refresh of an account needs no filter
        refreshing, result = await refresh()
        assert (refreshing.filters_work, result.requests) == (True, 2)
        api.filters_work = False
        refreshing, result = await refresh()
        assert (refreshing.filters_work, result.requests) == (False, 2)
        assert [each.levelno for each in caplog.records if "ignores the filter" in each.message] == [logging.WARNING]
        api.documents[ONE]["flow"] = node("user", {"id": TWO})
        clock.now += 30 * DAY
        _, result = await refresh()
        assert result.requests == 2 + 2  # all documents, because the days have passed


async def test_documents_without_a_date_and_without_a_revision(
    server: Scripted, tmp_path: Path, clock: FakeClock
) -> None:
    async with small(server, tmp_path, clock) as (api, refresh, _):
        api.filtered = [ONE]
        await refresh()
        _, result = await refresh()
        assert (result.requests, result.changed) == (3, 0)


async def test_the_log_of_a_refresh(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    night.sandbox.break_callflow(night.account_id, night.ids[0], "init_failed")
    await night.refresh([Account(id=night.account_id, name="Acme")])
    text = caplog.text
    assert f"callflow {night.ids[0]} could not be read" in text
    assert "sweep ended; accounts done: 1" in text
    assert night.client.stats.bad_items == 1
    (account,) = await night.store.accounts()
    assert account.name == "Acme"
