"""Inputs that failed when they were tried: outages, retries, why a call gave up, closed clients."""

import asyncio
import itertools
import os
import random
from typing import Any

import pytest
from aiohttp import web
from fake_clock import FakeClock
from scripted import Scripted, failure, scripted_server, success
from simulated import LoopClock, SimulatedServer, account_of, between, virtual

from vinix_async import (
    AuthenticationError,
    ClientClosedError,
    DecodeError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    UserAuth,
    VinixClient,
    VinixError,
)

ACCOUNT = "a" * 32


@pytest.fixture(autouse=True)
def warnings_only(caplog: pytest.LogCaptureFixture) -> None:
    """A line for each of many thousand requests takes longer than the requests."""
    caplog.set_level("WARNING", logger="vinix_async")


# --- L6: a proxy answers 502 for some seconds in the middle of a sweep ---------------------------


@pytest.mark.parametrize(
    ("accounts", "begin", "seconds", "kind"),
    [
        (1000, 2, 3, 502),
        (300, 0.6, 3, 503),
        (300, 0.6, 3, "refused"),
        (300, 0.6, 3, "reset"),
        (300, 0.6, 3, "hang"),
        (300, 0.6, 3, "html"),
        (300, 0.6, 15, "refused"),
        (300, 0.6, 50, 503),
        (300, 0.6, 70, 502),
        (300, 0, 7, 502),  # from the login on
        (300, 0.15, 7, 502),  # from the first page of the accounts on
        (300, 0.3, 7, 502),  # from the second page on
    ],
)
@virtual
async def test_L6_no_account_is_lost_to_an_outage(accounts: int, begin: float, seconds: float, kind: str | int) -> None:
    server = SimulatedServer(accounts=accounts, latency=0.12)
    server.fate = between(begin, begin + seconds, kind)
    auth = UserAuth("ann", "planted-password", account_name="acme")
    async with server.client(auth=auth, timeout=2) as client:
        results = await client.callflows.list_many(client.accounts.descendants("root")).collect()
        assert client.stats.outages == 1
    assert len(results) == accounts
    assert all(result.ok and len(result.callflows) == 3 for result in results.values())
    least = accounts + accounts / 50 + 1
    assert len(server.requests) <= least + 0.03 * 2041


@virtual
async def test_L6_nor_to_one_of_callflows_alone() -> None:
    server = SimulatedServer(accounts=500, latency=0.12)
    server.fate = between(1, 8, 502, only="/callflows")
    async with server.client() as client:
        results = await client.callflows.list_many(client.accounts.descendants("root")).collect()
    assert sum(result.ok for result in results.values()) == 500


@virtual
async def test_L6_nor_to_a_server_that_comes_and_goes() -> None:
    server = SimulatedServer(accounts=1000, latency=0.12)
    server.fate = lambda _, now: 502 if now < 20 and now % 3 < 1 else "ok"
    async with server.client() as client:
        results = await client.callflows.list_many(client.accounts.descendants("root")).collect()
    assert sum(result.ok for result in results.values()) == 1000
    assert len(server.requests) <= 1.15 * 1020


@virtual
async def test_L6_failures_at_random_make_no_outage() -> None:
    server = SimulatedServer(accounts=1000, latency=0.12)
    chance = random.Random(3)
    server.fate = lambda *_: 502 if chance.random() < 0.3 else "ok"
    async with server.client() as client:
        begun = asyncio.get_running_loop().time()
        results = await client.callflows.list_many(client.accounts.descendants("root")).collect()
        seconds = asyncio.get_running_loop().time() - begun
    assert sum(result.ok for result in results.values()) >= 0.99 * 1000
    assert len(server.requests) <= 1.6 * 1020
    assert seconds <= 4 * 4.3


@virtual
async def test_L6_a_server_that_stays_away_ends_the_sweep_in_time_and_it_can_be_resumed() -> None:
    server = SimulatedServer(accounts=1000, latency=0.02)
    names = list(server.accounts)
    server.fate = lambda *_: 502
    async with server.client(retry=RetryPolicy(outage_wait=10), timeout=2) as client:
        begun = asyncio.get_running_loop().time()
        sweep = client.callflows.list_many(names)
        results = await sweep.collect()
        assert asyncio.get_running_loop().time() - begun <= 11 + 2
        assert len(server.requests) <= 150
        assert {result.account_id for result in results.values()} == set(names)
        for account_id, result in results.items():
            assert isinstance(result.error, ServerError)
            assert result.error.account_id == account_id
            assert "the server has been unavailable for" in str(result.error)
        server.fate = lambda *_: "ok"
        await asyncio.sleep(10)
        resumed = await client.callflows.list_many(names, resume=sweep.checkpoint()).collect()
        assert sum(result.ok for result in resumed.values()) == 1000


async def test_L6_over_sockets(clock: FakeClock) -> None:
    accounts = [f"{number:032x}" for number in range(300)]

    def answer(request: web.Request) -> web.Response:
        clock.now += 0.01
        if 1001 <= clock.now < 1004:
            return web.Response(status=502, text="<html>", content_type="text/html")
        if request.path.endswith("/descendants"):
            begin = int(request.query.get("start_key", "0"))
            following = str(begin + 50) if begin + 50 < len(accounts) else None
            return success(request, [{"id": each} for each in accounts[begin : begin + 50]], next_start_key=following)
        return success(request, [{"id": "callflow"}])

    async with scripted_server() as server, VinixClient(auth="a-token", base_url=server.url, clock=clock) as client:
        server.otherwise = answer
        results = await client.callflows.list_many(client.accounts.descendants(ACCOUNT)).collect()
        assert client.stats.outages == 1
        assert client.stats.requests == len(server.requests) <= 1.3 * 306
    assert sum(result.ok for result in results.values()) == 300


# --- L7: sixty accounts at once, each of which fails twice ---------------------------------------


@pytest.mark.parametrize("kind", [503, "json 503", "json 500", "reset"])
@virtual
async def test_L7_sixty_accounts_that_fail_twice_succeed(kind: str | int) -> None:
    server = SimulatedServer()
    tries: dict[str | None, int] = {}

    def fate(target: str, _: float) -> str | int:
        tries[account_of(target)] = tries.get(account_of(target), 0) + 1
        return kind if tries[account_of(target)] <= 2 else "ok"

    server.fate = fate
    async with server.client() as client:
        results = await asyncio.gather(*(client.callflows.list(f"a{number}").to_list() for number in range(60)))
        assert {len(each) for each in results} == {3}
    assert asyncio.get_running_loop().time() < 30


@virtual
async def test_L7_first_waits_are_spread_over_the_whole_range() -> None:
    server = SimulatedServer()
    server.fate = lambda *_: 503
    waits: list[float] = []
    policy = RetryPolicy(attempts=2, outage_wait=0)
    async with server.client(retry=policy, on_retry=lambda event: waits.append(event.wait)) as client:
        calls = [client.callflows.list(f"a{number}").to_list() for number in range(60)]
        await asyncio.gather(*calls, return_exceptions=True)
    assert len(waits) == 60
    for quarter in range(4):
        assert sum(quarter / 16 <= wait < (quarter + 1) / 16 for wait in waits) >= 6


# --- L9: an error says why it was not tried again ------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "policy", "words"),
    [
        (
            web.Response(status=429, headers={"Retry-After": "3600"}),
            RetryPolicy(),
            "the server asked to wait 3600 s, but RetryPolicy.retry_after_max is 60",
        ),
        (web.Response(status=404), RetryPolicy(), "a 404 is not retried"),
        (web.Response(status=400), RetryPolicy(), "a 400 is not retried"),
        (web.Response(status=403), RetryPolicy(), "a 403 is not retried"),
        (web.Response(status=501), RetryPolicy(), "a 501 is not retried"),
        (web.Response(status=401), RetryPolicy(), "refused credentials are not retried"),
        (web.Response(status=301), RetryPolicy(), "a 301 is not retried"),
        (web.Response(status=503), RetryPolicy(attempts=1), "no attempt is left (RetryPolicy.attempts)"),
        (web.Response(status=429), RetryPolicy(attempts=3), "no attempt is left (RetryPolicy.attempts)"),
        (web.Response(status=503), RetryPolicy(statuses=()), "a 503 is not retried"),
        (web.Response(status=503), RetryPolicy(outage_wait=5), "(outage_wait=5)"),
        (web.Response(status=503), RetryPolicy(deadline=3), "the deadline passed while the server was unavailable"),
        (web.Response(status=500, body=b"{}"), RetryPolicy(deadline=0.2), "would be after the deadline"),
        (
            web.json_response({"data": [], "page_size": "50"}),
            RetryPolicy(),
            "a retry would get the same response",
        ),
    ],
)
async def test_L9_an_error_says_why_it_gave_up(
    server: Scripted, clock: FakeClock, answer: web.Response, policy: RetryPolicy, words: str
) -> None:
    clock.chance = 0.9
    server.otherwise = answer
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock, retry=policy) as client:
        with pytest.raises(VinixError) as caught:
            await client.callflows.list(ACCOUNT)
    assert caught.value.gave_up is not None
    assert words in caught.value.gave_up
    assert caught.value.gave_up in str(caught.value)
    assert caught.value.attempts == len(server.requests)


async def test_L9_in_a_sweep_too(server: Scripted, clock: FakeClock) -> None:
    server.otherwise = web.Response(status=429, headers={"Retry-After": "3600"})
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock) as client:
        (result,) = (await client.callflows.list_many([ACCOUNT]).collect()).values()
    assert isinstance(result.error, RateLimitError)
    assert "retry_after_max" in str(result.error)


# --- L18: a client that cannot be used has sent nothing ------------------------------------------


def assert_not_sent(error: VinixError) -> None:
    assert (error.attempts, error.request_id, error.gave_up) == (0, None, None)
    assert "not sent" in str(error)
    assert error.path == f"/accounts/{ACCOUNT}/callflows"


async def test_L18_after_close(server: Scripted) -> None:
    client = VinixClient(auth="a-token", base_url=server.url)
    await client.callflows.list(ACCOUNT)
    await client.close()
    for view in (client, client.with_options(timeout=5)):
        with pytest.raises(ClientClosedError, match="the client is closed") as caught:
            await view.callflows.list(ACCOUNT)
        assert_not_sent(caught.value)
    assert len(server.requests) == 1


def test_L18_from_another_event_loop() -> None:
    client: VinixClient | None = None

    async def first() -> None:
        nonlocal client
        async with scripted_server() as server:
            client = VinixClient(auth="a-token", base_url=server.url)
            await client.callflows.list(ACCOUNT)
            session = client._sender.transport._session
            assert session is not None
            await session.close()

    async def second() -> None:
        assert client is not None
        with pytest.raises(ClientClosedError, match="another event loop or process") as caught:
            await client.callflows.list(ACCOUNT)
        assert_not_sent(caught.value)

    asyncio.run(first())
    asyncio.run(second())


async def test_L18_after_a_fork(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        await client.callflows.list(ACCOUNT)
        monkeypatch.setattr(os, "getpid", lambda: 1)
        with pytest.raises(ClientClosedError, match="another event loop or process") as caught:
            await client.callflows.list(ACCOUNT)
        assert_not_sent(caught.value)


# --- rule 14: one broken account never costs another account anything ----------------------------


SPREAD, IN_A_ROW, AT_THE_END, AT_THE_BEGINNING = range(0, 110, 6), range(34, 74), range(70, 110), range(3, 6)


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        *itertools.product([503, "json 500", "hang", "json 429"], [SPREAD, IN_A_ROW, AT_THE_END, AT_THE_BEGINNING]),
        ("reset", SPREAD),  # the client treats these two as it treats a 503
        ("reset", AT_THE_END),
        ("html", IN_A_ROW),
        ("html", AT_THE_END),
    ],
    ids=str,
)
@virtual
async def test_rule_14_broken_accounts_cost_the_others_nothing(kind: str | int, broken: range) -> None:
    server = SimulatedServer(accounts=110, latency=0.12)
    names = {server.accounts[number] for number in broken}
    server.fate = lambda target, _: kind if account_of(target) in names else "ok"
    async with server.client(timeout=2, clock=LoopClock(5)) as client:
        results = await client.callflows.list_many(client.accounts.descendants("root")).collect()
    assert {each.account_id for each in results.values() if not each.ok} == names
    assert all(len(each.callflows) == 3 for each in results.values() if each.ok)
    for error in (results[name].error for name in names):
        assert error is not None
        assert error.gave_up == "no attempt is left (RetryPolicy.attempts)"
        assert error.attempts is not None
        assert error.attempts <= 8
    assert len(server.requests) <= 113 + len(names) * 8
    if kind not in {"hang", "json 429"}:
        assert asyncio.get_running_loop().time() <= 9.5


@virtual
async def test_rule_14_a_broken_account_does_not_delay_one_that_is_asked_for_later() -> None:
    server = SimulatedServer()
    server.fate = lambda target, _: "hang" if account_of(target) == "broken" else "ok"
    async with server.client(timeout=1) as client:
        broken = asyncio.ensure_future(client.callflows.list("broken").to_list())
        for _ in range(50):
            await asyncio.sleep(1)
            begun = asyncio.get_running_loop().time()
            await client.callflows.list("good").to_list()
            assert asyncio.get_running_loop().time() - begun < 1.1
        assert isinstance((await asyncio.gather(broken, return_exceptions=True))[0], VinixError)


# --- credentials by account: asked once more after a 401, and awaited ----------------------------


@pytest.mark.parametrize("is_async", [False, True])
async def test_an_auth_function_is_asked_once_more_after_a_401(
    server: Scripted, clock: FakeClock, *, is_async: bool
) -> None:
    tokens = iter(["old-token", "new-token", "another"])

    def sync(_: str) -> str:
        return next(tokens)

    async def waiting(_: str) -> str:
        await asyncio.sleep(0)
        return next(tokens)

    server.otherwise = lambda request: (
        success(request) if request.headers["X-Auth-Token"] == "new-token" else failure(request, 401)
    )
    async with VinixClient(auth=waiting if is_async else sync, base_url=server.url, clock=clock) as client:
        assert await client.callflows.list(ACCOUNT).to_list() == []
    assert [request.headers["X-Auth-Token"] for request in server.requests] == ["old-token", "new-token"]


async def test_an_auth_function_that_gives_the_same_again_is_believed(server: Scripted, clock: FakeClock) -> None:
    asked: list[str] = []

    def auth(account_id: str) -> str:
        asked.append(account_id)
        return "its-token"

    server.otherwise = lambda request: failure(request, 401)
    async with VinixClient(auth=auth, base_url=server.url, clock=clock) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.callflows.list(ACCOUNT)
    assert (asked, len(server.requests), caught.value.attempts) == ([ACCOUNT] * 2, 1, 1)


async def test_what_an_async_auth_function_raises_is_the_cause(server: Scripted) -> None:
    async def auth(_: str) -> Any:
        await asyncio.sleep(0)
        raise KeyError

    async with VinixClient(auth=auth, base_url=server.url) as client:
        with pytest.raises(VinixError, match="KeyError") as caught:
            await client.callflows.list(ACCOUNT)
    assert isinstance(caught.value.__cause__, KeyError)
    assert not isinstance(caught.value, DecodeError)
    assert (caught.value.attempts, server.requests) == (0, [])
