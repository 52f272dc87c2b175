"""Many accounts at once: each has its own result, and none costs another anything."""

import asyncio
import gc
import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from fake_clock import FakeClock
from scripted import Scripted, failure, scripted_server, success

from vinix_async import (
    Account,
    AccountPage,
    AccountResult,
    AccountSweep,
    ApiKeyAuth,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    Limits,
    NotFoundError,
    PermissionDeniedError,
    RetryEvent,
    RetryPolicy,
    ServerError,
    SweepCheckpoint,
    VinixClient,
)
from vinix_async.sandbox import Sandbox
from vinix_async.testing import VirtualClock


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    running = Sandbox(dialect="kazoo43", accounts=30, callflows=(0, 70), clock=VirtualClock())
    async with running:
        yield running


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[VinixClient]:
    async with sandbox.client() as made:
        yield made


def complete(sandbox: Sandbox, result: AccountResult) -> bool:
    return sorted(callflow.id for callflow in result.callflows) == sandbox.callflow_ids(result.account_id)


@pytest.mark.parametrize("ordered", [False, True])
async def test_every_callflow_of_every_account_once(sandbox: Sandbox, client: VinixClient, ordered: bool) -> None:  # noqa: FBT001  # as list_many has it
    sweep = client.callflows.list_many(sandbox.account_ids, max_concurrency=7, ordered=ordered, page_size=20)
    results = [result async for result in sweep]
    found = [result.account_id for result in results]
    assert sorted(found) == sorted(sandbox.account_ids)
    assert not ordered or found == list(sandbox.account_ids)
    assert all(result.ok and result.error is None and complete(sandbox, result) for result in results)
    stats = sweep.stats
    assert (stats.accounts_done, stats.accounts_failed) == (30, 0)
    assert stats.callflows == sum(len(result.callflows) for result in results)
    assert (stats.requests, stats.logins) == (sandbox.served, 1)
    assert "callflows=<" in repr(results[0])


async def test_the_descendants_can_be_piped_straight_in(sandbox: Sandbox, client: VinixClient) -> None:
    descendants = client.accounts.descendants(sandbox.root_id, page_size=5)
    results = await client.callflows.list_many(descendants).collect()
    assert results.keys() == set(sandbox.account_ids[1:])
    assert all(complete(sandbox, result) for result in results.values())


async def test_accounts_that_fail_say_why_and_where(sandbox: Sandbox, client: VinixClient) -> None:
    refused, broken = sandbox.account_ids[3], sandbox.account_ids[5]
    sandbox.deny(refused, 403)
    sandbox.deny(broken, 503)
    results = await client.callflows.list_many([*sandbox.account_ids, "0" * 32, "."]).collect()
    assert isinstance(results[refused].error, PermissionDeniedError)
    assert isinstance(results[broken].error, ServerError)
    assert isinstance(results["0" * 32].error, NotFoundError)
    assert isinstance(results["."].error, ConfigurationError)
    failed = {refused, broken, "0" * 32, "."}
    assert {account_id for account_id, result in results.items() if not result.ok} == failed
    assert all(complete(sandbox, result) for result in results.values() if result.ok)
    error = results[broken].error
    assert error is not None
    assert error.account_id == broken
    assert error.attempts == 5
    assert error.request_id


async def test_what_was_read_before_the_error_is_not_lost(clock: FakeClock) -> None:
    async with scripted_server() as server:

        def answer(request: web.Request) -> web.Response:
            if request.query.get("start_key") == "k":
                return failure(request, 403, "forbidden")
            return success(request, [{"id": "1"}, {"id": "2"}], next_start_key="k")

        server.otherwise = answer
        async with VinixClient(auth="a-token", base_url=server.url, clock=clock) as client:
            sweep = client.callflows.list_many(["a"])
            (result,) = [result async for result in sweep]
            assert [callflow.id for callflow in result.callflows] == ["1", "2"]
            assert result.next_start_key == "k"
            assert not result.ok
            assert (sweep.stats.accounts_failed, sweep.stats.accounts_done) == (1, 0)
            server.otherwise = lambda request: success(request, [{"id": "3"}])
            checkpoint = sweep.checkpoint()
            resumed = client.callflows.list_many(["a", "b"], resume=checkpoint)
            again = await resumed.collect()
            assert checkpoint.unfinished.keys() == {"a"}
            assert resumed.checkpoint() == SweepCheckpoint(done=frozenset({"a", "b"}))
    assert [callflow.id for callflow in again["a"].callflows] == ["3"]
    assert server.asked[-2].endswith("start_key=k") or server.asked[-1].endswith("start_key=k")


@pytest.mark.parametrize("stop", [0, 1, 17, 30])
async def test_a_resumed_sweep_does_only_what_is_missing(sandbox: Sandbox, client: VinixClient, stop: int) -> None:
    sandbox.deny(sandbox.account_ids[2], 404)
    done: dict[str, AccountResult] = {}
    sweep = client.callflows.list_many(sandbox.account_ids, max_concurrency=4)
    begun = sweep.checkpoint()
    async with sweep:
        async for result in sweep:
            if len(done) == stop:
                break
            done[result.account_id] = result
            text = sweep.checkpoint().to_json()
    text = text if stop else begun.to_json()
    assert begun == SweepCheckpoint()  # a checkpoint is a value
    sandbox.allow(sandbox.account_ids[2])
    sandbox.requests.clear()
    resumed = client.callflows.list_many(sandbox.account_ids, resume=SweepCheckpoint.from_json(text))
    rest = await resumed.collect()
    finished = {account_id for account_id, result in done.items() if result.ok}
    assert rest.keys() == set(sandbox.account_ids) - finished
    assert {each.account_id for each in sandbox.requests if each.account_id} == rest.keys()
    assert all(complete(sandbox, result) for result in {**done, **rest}.values())


async def test_a_sweep_is_resumed_with_its_own_filters(sandbox: Sandbox, client: VinixClient) -> None:
    filters = {"filter_type": "mainUserCallflow"}
    sweep = client.callflows.list_many(sandbox.account_ids[:2], filters=filters)
    await sweep.collect()
    checkpoint = SweepCheckpoint.from_json(sweep.checkpoint().to_json())
    assert await client.callflows.list_many(sandbox.account_ids[:2], filters=filters, resume=checkpoint).collect() == {}
    for others in ({}, {"filter_type": "x"}):
        with pytest.raises(ConfigurationError, match="filter_type=mainUserCallflow"):
            client.callflows.list_many(sandbox.account_ids, filters=others, resume=checkpoint)


async def test_the_order_of_the_filters_does_not_matter(server: Scripted) -> None:
    filters = {"filter_type": "a", "has_key": "b"}
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        begun = client.callflows.list("a", filters=filters, start_key="2").checkpoint()
        scope = client.callflows.list_many(["a"], filters=filters).checkpoint().scope
        checkpoint = SweepCheckpoint(unfinished={"a": begun}, scope=scope)
        reordered = dict(reversed(filters.items()))
        results = await client.callflows.list_many(["a"], filters=reordered, resume=checkpoint).collect()
    assert results["a"].ok
    assert [request.query["start_key"] for request in server.requests] == ["2"]


async def test_filters_that_change_after_the_call_change_nothing(server: Scripted) -> None:
    filters: dict[str, Any] = {"filter_type": ["a", "b"], "modified_from": datetime(1, 1, 1, tzinfo=UTC)}
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        sweep = client.callflows.list_many(["1"], filters=filters)
        filters["filter_type"].append("c")
        filters["has_key"] = "x"
        await sweep.collect()
    (request,) = server.requests
    assert dict(request.query) == {"filter_type": '["a", "b"]', "modified_from": "31622400"}


class Slow:
    """Answers are held back per account until they are let go."""

    def __init__(self) -> None:
        self.gates: dict[str, asyncio.Event] = {}
        self.running = 0
        self.most = 0

    async def __call__(self, request: web.Request) -> web.Response:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            gate = self.gates.get(request.path.split("/")[3])
            if gate:
                await gate.wait()
            return success(request, [{"id": "1"}])
        finally:
            self.running -= 1


async def test_in_order_an_account_is_logged_as_soon_as_it_is_read(
    server: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    def finished() -> list[str]:
        records = [vars(record) for record in caplog.records]
        return [record["account_id"] for record in records if record.get("event") == "AccountFinished"]

    slow = Slow()
    slow.gates["slow"] = asyncio.Event()
    server.otherwise = slow
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        reading = asyncio.create_task(client.callflows.list_many(["slow", "quick"], ordered=True).collect())
        async with asyncio.timeout(10):
            while not finished():
                await asyncio.sleep(0)
        slow.gates["slow"].set()
        assert list(await reading) == ["slow", "quick"]
    assert finished() == ["quick", "slow"]


async def test_one_slow_account_holds_nobody_up(server: Scripted) -> None:
    slow = Slow()
    slow.gates["slow"] = asyncio.Event()
    server.otherwise = slow
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        sweep = client.callflows.list_many(["slow", *(str(number) for number in range(50))], max_concurrency=3)
        found = []
        async for result in sweep:
            found.append(result.account_id)
            if len(found) == 50:
                slow.gates["slow"].set()
    assert found[-1] == "slow"
    assert slow.most <= 3


async def test_the_source_is_read_no_faster_than_results_are_taken(server: Scripted) -> None:
    named: list[int] = []

    async def source() -> AsyncIterator[str]:
        for number in range(1000):
            named.append(number)
            yield str(number)

    async with VinixClient(auth="a-token", base_url=server.url) as client:
        sweep = client.callflows.list_many(source(), max_concurrency=5)
        async with sweep:
            taken = 0
            async for _ in sweep:
                taken += 1
                for _ in range(20):
                    await asyncio.sleep(0)
                assert len(named) <= taken + 6
                if taken == 20:
                    break


async def test_leaving_closes_the_source(server: Scripted) -> None:
    closed: list[bool] = []

    async def source() -> AsyncIterator[str]:
        try:
            for number in range(1000):
                yield str(number)
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async with VinixClient(auth="a-token", base_url=server.url) as client:
        sweep = client.callflows.list_many(source(), max_concurrency=2)
        async with sweep:
            async for _ in sweep:
                assert len(client._sender._tasks) > 0
                break
        assert closed == [True]


async def test_an_account_s_time_is_told(server: Scripted, clock: FakeClock) -> None:
    def answer(request: web.Request) -> web.Response:
        clock.now += 2.5
        return success(request)

    server.otherwise = answer
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock) as client:
        results = await client.callflows.list_many(["a", "b"], max_concurrency=1).collect()
    assert [result.elapsed for result in results.values()] == [2.5, 2.5]


@pytest.mark.parametrize("how", ["break", "error", "cancel", "aclose"])
async def test_leaving_ends_everything(server: Scripted, how: str) -> None:
    slow = Slow()
    slow.gates = {str(number): asyncio.Event() for number in range(1, 9)}
    server.otherwise = slow
    before = asyncio.all_tasks()
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        sweep = client.callflows.list_many([str(number) for number in range(9)])

        async def walk() -> None:
            async with sweep:
                async for _ in sweep:
                    while slow.running < 8:
                        await asyncio.sleep(0)
                    if how == "break":
                        break
                    if how == "error":
                        raise KeyError
                    await asyncio.sleep(3600)

        if how == "aclose":
            results = aiter(sweep)
            await anext(results)
            assert isinstance(results, AsyncGenerator)
            await results.aclose()
        else:
            task = asyncio.create_task(walk())
            while slow.running < 8:
                await asyncio.sleep(0)
            if how == "cancel":
                task.cancel()
            await asyncio.wait([task])
            assert task.cancelled() == (how == "cancel")
        assert client._sender._tasks == set()
        assert not client._sender.rate_limiter._accounts
        session = client._sender.transport._session
        assert session is not None
        assert session.connector is not None
        assert not session.connector._acquired
        ours = {task for task in asyncio.all_tasks() - before if "RequestHandler" not in repr(task)}
        assert ours <= {asyncio.current_task()}


async def test_an_error_of_the_source_comes_behind_the_results(server: Scripted) -> None:
    async def source() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        raise LookupError("no more names")

    found = []
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        with pytest.raises(LookupError, match="no more names"):
            async for result in client.callflows.list_many(source()):
                found.append(result.account_id)
    assert sorted(found) == ["a", "b"]


async def test_a_sweep_whose_client_is_closed_says_so_and_is_not_cancelled(server: Scripted) -> None:
    slow = Slow()
    names = [str(number) for number in range(100)]
    slow.gates = {name: asyncio.Event() for name in names[5:]}
    server.otherwise = slow
    client = VinixClient(auth="a-token", base_url=server.url, clock=FakeClock())
    results: list[AccountResult] = []

    async def walk() -> None:
        async for result in client.callflows.list_many(names, max_concurrency=3):
            results.append(result)

    task = asyncio.create_task(walk())
    while len(results) < 5 or slow.running < 3:
        await asyncio.sleep(0)
    await client.close()
    with pytest.raises(ClientClosedError):
        await task
    assert [result.ok for result in results] == [True] * 5 + [False] * 3
    assert all(isinstance(result.error, ClientClosedError) for result in results[5:])


async def test_an_error_that_is_not_ours_ends_the_sweep(server: Scripted) -> None:
    def on_retry(event: RetryEvent) -> None:
        raise LookupError(event.account_id)

    server.otherwise = lambda request: failure(request, 503)
    async with VinixClient(auth="a-token", base_url=server.url, on_retry=on_retry) as client:
        with pytest.raises(LookupError):
            await client.callflows.list_many(["a", "b"]).collect()
        assert client._sender._tasks == set()


async def test_an_account_without_credentials_fails_alone(server: Scripted) -> None:
    class Odd(ApiKeyAuth):
        __hash__ = None  # type: ignore[assignment]

    known: dict[str, Any] = {"a": "token-a", "odd": Odd("k" * 64), "none": None, "c": "token-c"}
    async with VinixClient(auth=lambda account_id: known[account_id], base_url=server.url) as client:
        results = await client.callflows.list_many(["a", "unknown", "odd", "none", "c"]).collect()
    assert [name for name, result in results.items() if result.ok] == ["a", "c"]
    for name, cause in (("unknown", KeyError), ("odd", TypeError), ("none", type(None))):
        error = results[name].error
        assert isinstance(error, ConfigurationError)
        assert isinstance(error.__cause__, cause)
    text = str(results["unknown"].error)
    assert "KeyError" in text
    assert "unknown" in text


async def test_an_id_that_comes_twice_is_read_once(server: Scripted) -> None:
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        assert len(await client.callflows.list_many(iter(["a", "b", "a"])).collect()) == 2
    assert len(server.asked) == 2


async def test_a_source_that_repeats_its_ids_for_ever_holds_nobody_up(server: Scripted) -> None:
    def source() -> Iterator[str]:
        for _ in range(1000):
            yield "a"
            if server.asked:
                return
        pytest.fail("the account was not requested")

    async with VinixClient(auth="a-token", base_url=server.url) as client:
        assert len(await client.callflows.list_many(source()).collect()) == 1


async def test_rows_that_are_gone_are_counted(server: Scripted, clock: FakeClock) -> None:
    def answer(request: web.Request) -> web.Response:
        if request.path.endswith("callflows"):
            return success(request, [{"id": "1"}, {"id": "2"}])
        return success(request, {"id": "1"}) if request.path.endswith("1") else failure(request, 404)

    server.script = [lambda request: failure(request, 503), lambda request: failure(request, 429)]
    server.otherwise = answer
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock) as client:
        sweep = client.callflows.list_many(["a"], details=True)
        results = await sweep.collect()
    assert [callflow.id for callflow in results["a"].callflows] == ["1"]
    stats = sweep.stats
    assert (stats.deleted, stats.requests, stats.retries, stats.rate_limited) == (1, 5, 1, 1)
    assert stats.outages == 1  # the 503, before anything was served
    assert stats.wait_seconds > 0


@pytest.mark.parametrize(
    ("account_ids", "options", "word"),
    [
        ("a" * 32, {}, "account_ids"),
        (7, {}, "account_ids"),
        ([], {"max_concurrency": 0}, "max_concurrency"),
        ([], {"max_concurrency": None}, "max_concurrency"),
        ([], {"page_size": 0}, "page_size"),
        ([], {"filters": {"odd": "x"}}, "odd"),
        ([], {"resume": "text"}, "SweepCheckpoint"),
    ],
)
async def test_bad_arguments_are_refused_at_once(account_ids: Any, options: dict[str, Any], word: str) -> None:
    client = VinixClient(auth="a-token")
    with pytest.raises(ConfigurationError, match=word):
        client.callflows.list_many(account_ids, **options)


async def test_no_accounts_are_no_results(server: Scripted) -> None:
    async def source() -> AsyncIterator[str]:
        yield "a"
        while not server.asked:
            await asyncio.sleep(0)
        for _ in range(100):  # the one account is long done when the source ends
            await asyncio.sleep(0)

    async with VinixClient(auth="a-token", base_url=server.url) as client:
        assert await client.callflows.list_many([]).collect() == {}
        assert (await client.callflows.list_many(source()).collect()).keys() == {"a"}


async def test_ids_of_another_type_are_refused(server: Scripted) -> None:
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        with pytest.raises(ConfigurationError, match="int"):
            await client.callflows.list_many(["a", 7]).collect()  # type: ignore[list-item]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2, "done": [], "failed": {}}', "null", None])
def test_no_checkpoint_of_a_sweep(text: Any) -> None:
    with pytest.raises(ConfigurationError, match="checkpoint"):
        SweepCheckpoint.from_json(text)


@pytest.mark.parametrize(("version", "name"), [(1, "failed"), (2, "unfinished")])
def test_both_versions_of_a_sweep_s_checkpoint(version: int, name: str) -> None:
    empty: dict[str, Any] = {"version": version, "scope": "", "done": ["a"], name: {}}
    assert SweepCheckpoint.from_json(json.dumps(empty)) == SweepCheckpoint(done=frozenset({"a"}))
    changes: list[Any] = [{"done": [7]}, {"done": "ab"}, {name: []}, {name: {"a": {"odd": 1}}}, {name: {"a": None}}]
    for change in changes:
        with pytest.raises(ConfigurationError, match="checkpoint"):
            SweepCheckpoint.from_json(json.dumps(empty | change))
    old = {"scope": "/x", "start_key": "k", "done": ["1"], "yielded": 3, "finished": False}
    old |= {"version": 1, "before": ["0"]} if version == 1 else {"version": 2, "bad": ["2"]}
    point = SweepCheckpoint.from_json(json.dumps(empty | {name: {"b": old}}))
    assert point.unfinished["b"].done == (("1", "0") if version == 1 else ("1",))
    assert point.unfinished["b"].bad == (() if version == 1 else ("2",))
    assert SweepCheckpoint.from_json(point.to_json()) == point == SweepCheckpoint.from_value(point.to_value())
    assert "unfinished=<1 ids>" in repr(point)
    assert len({point, SweepCheckpoint.from_json(point.to_json())}) == 1


async def test_a_retry_after_holds_the_whole_account(server: Scripted) -> None:
    clock = VirtualClock()
    sent: list[float] = []

    def answer(request: web.Request) -> web.Response:
        if request.path.endswith("callflows"):
            return success(request, [{"id": str(number)} for number in range(5)])
        sent.append(clock.now)
        if len(sent) == 1:
            return web.Response(status=429, headers={"Retry-After": "30"})
        return success(request, {"id": request.path.rpartition("/")[2]})

    server.otherwise = answer
    limits = Limits(per_account=1)
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock, limits=limits) as client:
        results = await client.callflows.list_many(["a"], details=True).collect()
    assert len(results["a"].callflows) == 5
    assert all(30 <= at - sent[0] < 31 for at in sent[1:])


async def test_a_bad_account_leaves_the_budget_of_the_others() -> None:
    clock = VirtualClock()
    async with Sandbox(accounts=40, clock=clock) as sandbox, sandbox.client(retry=RetryPolicy(attempts=3)) as client:
        for account_id in sandbox.account_ids[20:]:
            sandbox.deny(account_id, 503)
        results = await client.callflows.list_many(sandbox.account_ids).collect()
    assert sum(result.ok for result in results.values()) == 20


@pytest.mark.parametrize("bad", [1, 10])
async def test_accounts_that_refuse_every_token_leave_the_token_of_the_others(
    server: Scripted, clock: FakeClock, bad: int
) -> None:
    server.otherwise = lambda request: failure(request, 401) if "/bad" in request.path else success(request)
    names = [name for number in range(bad) for name in (f"bad{number}", f"good{number}")]
    async with VinixClient(auth=ApiKeyAuth("k" * 64), base_url=server.url, clock=clock) as client:
        results = await client.callflows.list_many(names, max_concurrency=1).collect()
    assert {name for name, result in results.items() if result.ok} == {name for name in names if "good" in name}
    assert all(isinstance(result.error, AuthenticationError | None) for result in results.values())
    assert server.logins == 1 + bad


# --- page by page ----------------------------------------------------------------------------------


def shape(pages: list[AccountPage]) -> list[tuple[list[str], str | None, bool]]:
    return [([each.id for each in page.items], page.next_start_key, page.is_last) for page in pages]


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("size", [1, 20, 100])
async def test_by_page_each_account_has_one_last_page(
    sandbox: Sandbox,
    client: VinixClient,
    ordered: bool,  # noqa: FBT001  # as list_many has it
    size: int,
) -> None:
    names = sandbox.account_ids[:10]
    denied, empty = names[3], names[5]
    sandbox.deny(denied, 403)
    for callflow_id in sandbox.callflow_ids(empty):
        sandbox.remove(empty, callflow_id)
    sweep = client.callflows.list_many(names, max_concurrency=4, ordered=ordered, page_size=size)
    pages = [page async for page in sweep.by_page()]
    by_account = {name: [page for page in pages if page.account_id == name] for name in names}
    assert not ordered or pages == [page for name in names for page in by_account[name]]
    for name, own in by_account.items():
        assert [page.is_last for page in own] == [False] * (len(own) - 1) + [True]
        if name != denied:
            found = [callflow.id for page in own for callflow in page.items]
            assert sorted(found) == sandbox.callflow_ids(name)
            assert all(len(page.items) <= size for page in own)
            assert [page.start_key for page in own] == [None, *(page.next_start_key for page in own[:-1])]
    assert shape(by_account[empty]) == [([], None, True)]
    (failed,) = by_account[denied]
    assert isinstance(failed.error, PermissionDeniedError)
    assert failed.error.__traceback__ is None  # whose frames would hold the account's pages
    assert (sweep.stats.accounts_done, sweep.stats.accounts_failed) == (9, 1)
    assert sweep.checkpoint().done == set(names) - {denied}


async def test_by_page_an_error_after_a_page_and_max_items(server: Scripted, clock: FakeClock) -> None:
    def answer(request: web.Request) -> web.Response:
        if request.query.get("start_key") == "k" and "/failing/" in request.path:
            return failure(request, 403)
        if request.query.get("start_key") == "k":
            return success(request, [{"id": "3"}, {"id": "4"}])
        return success(request, [{"id": "1"}, {"id": "2"}], next_start_key="k")

    server.otherwise = answer
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock) as client:
        sweep = client.callflows.list_many(["failing"])
        first, last = [page async for page in sweep.by_page()]
        assert shape([first, last]) == [(["1", "2"], "k", False), ([], None, True)]
        assert (last.error is not None, last.start_key) == (True, "k")
        for most, ends in [(1, [(["1"], None, True)]), (2, [(["1", "2"], None, True)])]:
            sweep = client.callflows.list_many(["a"], max_items=most)
            assert shape([page async for page in sweep.by_page()]) == ends
            assert sweep.checkpoint().done == {"a"}
        sweep = client.callflows.list_many(["a"], max_items=3)
        pages = [page async for page in sweep.by_page()]
        assert shape(pages) == [(["1", "2"], "k", False), (["3"], None, True)]


@pytest.mark.parametrize("ordered", [False, True])
async def test_by_page_a_sweep_that_was_left_is_resumed_after_its_last_page(
    sandbox: Sandbox,
    client: VinixClient,
    ordered: bool,  # noqa: FBT001  # as list_many has it
) -> None:
    names = sandbox.account_ids[:8]
    found: Counter[tuple[str, str]] = Counter()
    checkpoint: SweepCheckpoint | None = None
    rounds = 0
    while (checkpoint is None or checkpoint.done != set(names)) and rounds < 100:
        sweep = client.callflows.list_many(names, max_concurrency=3, page_size=7, ordered=ordered, resume=checkpoint)
        rounds += 1
        left = 4
        async with sweep:
            async for page in sweep.by_page():
                found.update((page.account_id, callflow.id) for callflow in page.items)
                left -= 1
                if not left:
                    break
        checkpoint = SweepCheckpoint.from_json(sweep.checkpoint().to_json())
    assert rounds > 3
    expected = {(name, callflow_id) for name in names for callflow_id in sandbox.callflow_ids(name)}
    assert found == Counter(expected)


@pytest.mark.parametrize("ordered", [False, True])
async def test_by_page_no_more_pages_are_read_than_fit(server: Scripted, ordered: bool) -> None:  # noqa: FBT001
    def answer(request: web.Request) -> web.Response:
        number = int(request.query.get("start_key", "0"))
        return success(request, [{"id": str(number)}], next_start_key=str(number + 1))

    server.otherwise = answer
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        sweep = client.callflows.list_many(map(str, range(100)), max_concurrency=3, ordered=ordered)
        pages = sweep.by_page()
        for taken in range(1, 20):
            await anext(pages)
            for _ in range(50):
                await asyncio.sleep(0)
            # Of each account under way: the page that waits for room, and the one that is requested ahead.
            assert len(server.asked) <= taken + 3 + 3 * 3
        await pages.aclose()


async def test_an_account_that_was_given_is_in_its_results(server: Scripted) -> None:
    account = Account(id="a", name="Ada's")
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        results = await client.callflows.list_many([account, "b"]).collect()
        assert results["a"].account is account
        assert results["b"].account == Account(id="b")
        assert [page.account async for page in client.callflows.list_many([account]).by_page()] == [account]


async def test_each_loop_over_a_sweep_begins_with_what_is_left(server: Scripted, clock: FakeClock) -> None:
    server.script = [lambda request: failure(request, 403)]
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock) as client:
        sweep = client.callflows.list_many(["a", "b"], max_concurrency=1)
        assert [result.ok async for result in sweep] == [False, True]
        assert [result.account_id async for result in sweep] == ["a"]
        assert [result.account_id async for result in sweep] == []


# --- bad items -------------------------------------------------------------------------------------


def with_a_bad_row(server: Scripted, account_id: str) -> None:
    def answer(request: web.Request) -> web.Response:
        name = request.path.split("/")[3]
        bad = {"numbers": [1001]} if name == account_id else {}
        if "start_key" in request.query:
            return success(request, [{"id": f"{name}3", **bad}, {"id": f"{name}4"}])
        return success(request, [{"id": f"{name}1"}, {"id": f"{name}2"}], next_start_key="k")

    server.otherwise = answer


async def test_a_bad_item_leaves_its_account_unfinished(server: Scripted, clock: FakeClock) -> None:
    with_a_bad_row(server, "a")
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock) as client:
        sweep = client.callflows.list_many(["a", "b"])
        results = await sweep.collect()
        assert results["b"].ok
        a = results["a"]
        assert (a.ok, a.error) == (False, None)
        assert [callflow.id for callflow in a.callflows] == ["a1", "a2", "a4"]
        assert [(item.account_id, item.id, item.index) for item in a.bad_items] == [("a", "a3", 0)]
        assert (sweep.stats.accounts_done, sweep.stats.accounts_failed, sweep.stats.bad_items) == (2, 0, 1)
        checkpoint = SweepCheckpoint.from_json(sweep.checkpoint().to_json())
        assert checkpoint.done == {"b"}
        assert (checkpoint.unfinished["a"].bad, checkpoint.unfinished["a"].start_key) == (("a3",), "k")
        again = client.callflows.list_many(["a", "b"], resume=checkpoint)
        results = await again.collect()
        assert results.keys() == {"a"}
        assert (results["a"].callflows, len(results["a"].bad_items)) == ((), 1)
        assert again.checkpoint() == checkpoint
        with_a_bad_row(server, "")
        again = client.callflows.list_many(["a", "b"], resume=again.checkpoint())
        results = await again.collect()
        assert [callflow.id for callflow in results["a"].callflows] == ["a3"]
        assert results["a"].ok
        assert again.checkpoint() == SweepCheckpoint(done=frozenset({"a", "b"}))


async def test_a_bad_item_by_page(server: Scripted, clock: FakeClock) -> None:
    with_a_bad_row(server, "a")
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock) as client:
        sweep = client.callflows.list_many(["a"])
        pages = [page async for page in sweep.by_page()]
        assert [[item.id for item in page.bad_items] for page in pages] == [[], ["a3"]]
        assert shape(pages) == [(["a1", "a2"], "k", False), (["a4"], None, True)]
        assert sweep.checkpoint().done == set()


async def test_an_account_with_nothing_left_to_read_has_one_empty_page(server: Scripted, clock: FakeClock) -> None:
    """Its bad item was before the last of ``max_items``, so that a resumed sweep has nothing to send."""
    server.otherwise = lambda request: success(request, [{"id": "1", "name": 5}, {"id": "2"}, {"id": "3"}])
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock) as client:
        sweep = client.callflows.list_many(["a"], max_items=1)
        (page,) = [page async for page in sweep.by_page()]
        assert ([each.id for each in page.items], len(page.bad_items)) == (["2"], 1)
        server.requests.clear()
        again = client.callflows.list_many(["a"], max_items=1, resume=sweep.checkpoint())
        assert shape([page async for page in again.by_page()]) == [([], None, True)]
        assert again.checkpoint().done == {"a"}
        again = client.callflows.list_many(["a"], max_items=1, resume=sweep.checkpoint())
        assert (await again.collect())["a"].ok
    assert server.asked == []


async def test_a_bad_item_fails_its_account_under_raise(server: Scripted, clock: FakeClock) -> None:
    with_a_bad_row(server, "a")
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock) as client:
        results = await client.callflows.list_many(["a", "b"], on_bad_item="raise").collect()
    assert results["b"].ok
    error = results["a"].error
    assert error is not None
    assert (error.account_id, error.callflow_id, error.start_key) == ("a", "a3", "k")
    assert results["a"].bad_items == ()
    assert [callflow.id for callflow in results["a"].callflows] == ["a1", "a2"]


# --- refused credentials ---------------------------------------------------------------------------


async def test_five_refused_logins_end_a_sweep_and_it_stays_resumable() -> None:
    clock = VirtualClock()
    async with Sandbox(accounts=60, clock=clock) as sandbox, sandbox.client() as client:
        names = list(sandbox.account_ids)
        sweep = client.callflows.list_many(names, max_concurrency=4)
        done: list[str] = []
        failed: list[str] = []
        with pytest.raises(AuthenticationError, match="login"):
            async for result in sweep:
                (done if result.ok else failed).append(result.account_id)
                if len(done) == 10 and not failed:
                    sandbox.refuse_logins()
                    sandbox.expire_tokens()
        assert len(failed) == 5
        assert sandbox.count(method="PUT") < 10
        checkpoint = SweepCheckpoint.from_json(sweep.checkpoint().to_json())
        assert checkpoint.done == set(done)
        sandbox.refuse_logins(False)
    # What is left stays resumable, by a new client.
    async with sandbox, sandbox.client() as client:
        rest = await client.callflows.list_many(names, resume=checkpoint).collect()
    assert rest.keys() == set(names) - set(done)
    assert all(result.ok for result in rest.values())


async def test_with_an_auth_function_each_account_fails_alone(server: Scripted, clock: FakeClock) -> None:
    server.login = lambda request: failure(request, 401)
    names = [str(number) for number in range(12)]
    async with VinixClient(
        auth=lambda account_id: "a-token" if account_id == "11" else ApiKeyAuth(f"key-{account_id}"),
        base_url=server.url,
        clock=clock,
    ) as client:
        results = await client.callflows.list_many(names, ordered=True).collect()
    assert [result.ok for result in results.values()] == [False] * 11 + [True]
    assert all(isinstance(results[name].error, AuthenticationError) for name in names[:11])


# --- leaving ---------------------------------------------------------------------------------------


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Nothing may depend on the collector of reference cycles."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def own_tasks() -> set[asyncio.Task[Any]]:
    """All tasks but this one and those of the server in this process."""
    return {
        task
        for task in asyncio.all_tasks()
        if task is not asyncio.current_task() and "RequestHandler" not in repr(task)
    }


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("by_page", [False, True])
@pytest.mark.parametrize("how", ["break", "error", "cancel", "delete"])
async def test_leaving_without_async_with_leaves_no_task(  # noqa: C901  # a branch for each way to leave
    server: Scripted,
    no_collector: None,
    how: str,
    by_page: bool,  # noqa: FBT001
    ordered: bool,  # noqa: FBT001
) -> None:
    slow = Slow()
    slow.gates = {str(number): asyncio.Event() for number in range(1, 9)}
    server.otherwise = slow
    before = own_tasks()
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        sweep = client.callflows.list_many(map(str, range(100)), ordered=ordered, max_concurrency=9)

        async def loop() -> None:
            async for _ in sweep.by_page() if by_page else sweep:
                while slow.running < 8:
                    await asyncio.sleep(0)
                if how == "break":
                    break
                if how == "error":
                    raise KeyError
                await asyncio.sleep(3600)

        if how == "delete":
            results = aiter(sweep.by_page() if by_page else sweep)
            await anext(results)
            del results
        else:
            task = asyncio.create_task(loop())
            while slow.running < 8:
                await asyncio.sleep(0)
            if how == "cancel":
                task.cancel()
            await asyncio.wait([task])
            if how == "error":
                assert isinstance(task.exception(), KeyError)
            del task
        for _ in range(20):
            await asyncio.sleep(0)
        assert own_tasks() == before
        asked = len(server.asked)
        for gate in slow.gates.values():
            gate.set()
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(server.asked) == asked


@pytest.mark.parametrize("ordered", [False, True])
async def test_after_async_with_it_has_ended(server: Scripted, ordered: bool) -> None:  # noqa: FBT001
    slow = Slow()
    slow.gates = {str(number): asyncio.Event() for number in range(1, 9)}
    server.otherwise = slow
    before = own_tasks()
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        sweep = client.callflows.list_many(["0", "00", *map(str, range(1, 9))], ordered=ordered)
        async with sweep:
            async for _ in sweep:
                break
        assert not client._sender._tasks
        await asyncio.sleep(0)  # the task with which asyncio closed the loop ends
        assert own_tasks() == before
        async with sweep:
            pages = sweep.by_page()
            await anext(pages)
        assert own_tasks() == before  # although the iterator is still held
        with pytest.raises(StopAsyncIteration):
            await anext(pages)
        async with client.callflows.list_many(["a"]) as unused:
            del unused
        async with asyncio.timeout(10), client.callflows.list_many(["0", "1"], ordered=ordered) as other:
            held = other.by_page()
            await anext(held)
            other.by_page()  # is never begun
        await held.aclose()


@pytest.mark.parametrize("turns", range(4))
async def test_a_sweep_can_be_stopped_while_its_loop_is_ending(server: Scripted, turns: int) -> None:
    """As when a task that reads a mirror is cancelled, and the mirror is closed."""
    slow = Slow()
    slow.gates = {str(number): asyncio.Event() for number in range(4, 8)}
    server.otherwise = slow
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        sweep = client.callflows.list_many(map(str, range(8)), max_concurrency=3)
        results = aiter(sweep)
        await anext(results)
        while sweep._workers is None or not sweep._workers._outcomes.full():
            await asyncio.sleep(0)
        closing = asyncio.create_task(results.aclose())  # type: ignore[attr-defined]  # it is an async generator
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await sweep._stop(LookupError())
            await asyncio.gather(closing, return_exceptions=True)


@pytest.mark.parametrize("turns", range(4))
async def test_a_second_cancellation_ends_the_sweep_too(server: Scripted, turns: int) -> None:
    slow = Slow()
    slow.gates = {str(number): asyncio.Event() for number in range(5)}
    server.otherwise = slow
    before = own_tasks()
    async with VinixClient(auth="a-token", base_url=server.url) as client:

        async def loop() -> None:
            async with client.callflows.list_many(map(str, range(5))) as sweep:
                async for _ in sweep:
                    pass

        task = asyncio.create_task(loop())
        while slow.running < 5:
            await asyncio.sleep(0)
        task.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        async with asyncio.timeout(10):
            await asyncio.wait([task])
        assert task.cancelled()
        for _ in range(10):
            await asyncio.sleep(0)
        assert own_tasks() == before


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("by_page", [False, True])
async def test_async_with_ends_the_loop_of_another_task(server: Scripted, ordered: bool, by_page: bool) -> None:  # noqa: FBT001
    slow = Slow()
    slow.gates = {"1": asyncio.Event(), "2": asyncio.Event()}
    server.otherwise = slow
    before = own_tasks()
    found = []

    async def loop(sweep: AccountSweep) -> None:
        async for result in sweep.by_page() if by_page else sweep:
            found.append(result.account_id)

    async with VinixClient(auth="a-token", base_url=server.url) as client:
        with pytest.raises(KeyError):
            async with client.callflows.list_many(["0", "1", "2"], ordered=ordered) as sweep:
                task = asyncio.create_task(loop(sweep))
                while not found or slow.running < 2:
                    await asyncio.sleep(0)
                raise KeyError
        with pytest.raises(ClientClosedError, match="the sweep was closed"):
            await task
        assert own_tasks() == before
        assert found == ["0"]
        assert sweep.checkpoint().done == {"0"}


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("leave", [False, True])
async def test_closing_the_client_in_the_loop_ends_the_sweep(
    server: Scripted,
    ordered: bool,  # noqa: FBT001
    details: bool,  # noqa: FBT001
    leave: bool,  # noqa: FBT001
) -> None:
    def answer(request: web.Request) -> web.Response:
        last = request.path.rpartition("/")[2]
        if last in {"callflows", "descendants"}:
            return success(request, [{"id": f"{last}{number}"} for number in range(20)])
        return success(request, {"id": last})

    server.otherwise = answer
    before = own_tasks()
    client = VinixClient(auth="a-token", base_url=server.url)
    results: list[AccountResult] = []

    async def loop() -> None:
        accounts = client.accounts.descendants("root")
        async for result in client.callflows.list_many(accounts, max_concurrency=3, ordered=ordered, details=details):
            results.append(result)
            if len(results) == 5:
                await client.close()
                if leave:
                    break

    async with asyncio.timeout(10):
        if leave:
            await loop()
        else:
            with pytest.raises(ClientClosedError):
                await loop()
    for _ in range(10):
        await asyncio.sleep(0)
    assert own_tasks() == before
    assert [result.ok for result in results[:5]] == [True] * 5
    assert len(results) <= 5 + 3 + 3
    assert all(result.ok or isinstance(result.error, ClientClosedError) for result in results[5:])


@pytest.mark.parametrize("ordered", [False, True])
async def test_accounts_whose_tasks_are_cancelled_are_not_lost_silently(server: Scripted, ordered: bool) -> None:  # noqa: FBT001
    """Some programs cancel all tasks but their own when they end."""
    slow = Slow()
    slow.gates = {"1": asyncio.Event(), "2": asyncio.Event()}
    server.otherwise = slow
    before = own_tasks()
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        sweep = client.callflows.list_many(["0", "1", "2"], ordered=ordered)
        with pytest.raises(ClientClosedError):
            async for _ in sweep:
                while slow.running < 2:
                    await asyncio.sleep(0)
                for task in own_tasks() - before:
                    task.cancel()
        assert sweep.checkpoint().done == {"0"}


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("by_page", [False, True])
async def test_what_on_retry_raises_reaches_the_caller(server: Scripted, ordered: bool, by_page: bool) -> None:  # noqa: FBT001
    def on_retry(event: RetryEvent) -> None:
        raise LookupError(event.account_id)

    def answer(request: web.Request) -> web.Response:
        return failure(request, 429) if "/b/" in request.path else success(request)

    server.otherwise = answer
    async with VinixClient(auth="a-token", base_url=server.url, on_retry=on_retry) as client:
        sweep = client.callflows.list_many(["a", "b", "c"], ordered=ordered)
        with pytest.raises(LookupError, match="b"):
            async for _ in sweep.by_page() if by_page else sweep:
                pass
        assert not client._sender._tasks
        with pytest.raises(LookupError, match="b"):  # and from the listing of the accounts
            await client.callflows.list_many(client.accounts.descendants("b")).collect()


@pytest.mark.parametrize("ordered", [False, True])
async def test_an_error_of_the_source_comes_after_slow_accounts_too(server: Scripted, ordered: bool) -> None:  # noqa: FBT001
    async def source() -> AsyncIterator[str]:
        for number in range(6):
            yield str(number)
        raise LookupError("no more names")

    slow = Slow()
    slow.gates = {"0": asyncio.Event(), "4": asyncio.Event()}
    server.otherwise = slow
    found = []
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        sweep = client.callflows.list_many(source(), ordered=ordered, max_concurrency=6)

        async def let_them_go() -> None:
            for gate in slow.gates.values():
                for _ in range(100):
                    await asyncio.sleep(0)
                gate.set()

        task = asyncio.create_task(let_them_go())
        with pytest.raises(LookupError, match="no more names"):
            async for result in sweep:
                found.append(result.account_id)
        await task
        assert sorted(found) == list("012345")
        assert sweep.checkpoint().done == set("012345")


@pytest.mark.parametrize("ordered", [False, True])
async def test_an_account_whose_task_is_cancelled_holds_nobody_up(server: Scripted, ordered: bool) -> None:  # noqa: FBT001
    slow = Slow()
    slow.gates["1"] = asyncio.Event()
    server.otherwise = slow
    names = [str(number) for number in range(10)]
    found = []
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        sweep = client.callflows.list_many(names, ordered=ordered, max_concurrency=1)
        with pytest.raises(ClientClosedError):
            async with asyncio.timeout(10):
                async for result in sweep:
                    found.append(result.account_id)
                    if result.account_id == "0":
                        while not slow.running:
                            await asyncio.sleep(0)
                        (task,) = [task for task in own_tasks() if "_Workers._work" in repr(task)]
                        task.cancel()
    assert found == [name for name in names if name != "1"]
