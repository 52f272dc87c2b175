"""Many accounts at once: each has its own result, and none costs another anything."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from fake_clock import FakeClock
from scripted import Scripted, failure, scripted_server, success

from vinix_async import (
    AccountResult,
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
    running = Sandbox(dialect="kazoo43", accounts=60, callflows=(0, 70), clock=VirtualClock())
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
    assert (stats.accounts_done, stats.accounts_failed) == (60, 0)
    assert stats.callflows == sum(len(result.callflows) for result in results)
    assert stats.requests == sandbox.served - 1
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
            assert checkpoint.failed.keys() == {"a"}
            assert resumed.checkpoint() == SweepCheckpoint(done=frozenset({"a", "b"}))
    assert [callflow.id for callflow in again["a"].callflows] == ["3"]
    assert server.asked[-2].endswith("start_key=k") or server.asked[-1].endswith("start_key=k")


@pytest.mark.parametrize("stop", [0, 1, 17, 60])
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
                assert len(client._requester.tasks) > 0
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
            await results.aclose()
        else:
            task = asyncio.create_task(walk())
            while slow.running < 8:
                await asyncio.sleep(0)
            if how == "cancel":
                task.cancel()
            await asyncio.wait([task])
            assert task.cancelled() == (how == "cancel")
        assert client._requester.tasks == set()
        assert not client._requester.gates._gates
        session = client._requester.transport._session
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
        assert client._requester.tasks == set()


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
    assert "KeyError (account_id=unknown)" in str(results["unknown"].error)


async def test_an_id_that_comes_twice_is_read_once(server: Scripted) -> None:
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        assert len(await client.callflows.list_many(iter(["a", "b", "a"])).collect()) == 2
    assert len(server.asked) == 2


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
    assert (stats.deleted, stats.requests, stats.retries, stats.refusals) == (1, 5, 2, 1)
    assert stats.waiting > 0


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
    assert SweepCheckpoint.from_json('{"version": 1, "scope": "", "done": ["a"], "failed": {}}').done == {"a"}
    for done in ([7], "ab"):
        with pytest.raises(ConfigurationError, match="checkpoint"):
            SweepCheckpoint.from_json(json.dumps({"version": 1, "scope": "", "done": done, "failed": {}}))
    value = {"version": 1, "scope": "", "done": [], "failed": {"a": {"odd": 1}}}
    with pytest.raises(ConfigurationError, match="checkpoint"):
        SweepCheckpoint.from_json(json.dumps(value))


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
