"""What the outcome of a request changes for those that follow, and what is told of it: seen from outside."""

import asyncio
import logging
import ssl
from typing import Any

import pytest
from aiohttp import web
from fake_clock import FakeClock
from scripted import Scripted, failure, success

from vinix_async import ApiKeyAuth, APITimeoutError, ConfigurationError, Limits, RetryEvent, RetryPolicy, VinixClient

ACCOUNT = "a" * 32


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(chance=0.0)  # no jitter: waits are as short as they may be


def failing(status: int) -> Any:
    return lambda request: failure(request, status)


async def test_a_success_ends_a_series_of_refusals(server: Scripted, clock: FakeClock) -> None:
    events: list[RetryEvent] = []
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock, on_retry=events.append) as client:
        for refusals in (3, 2):
            server.script = [failing(429)] * refusals
            await client.callflows.list(ACCOUNT)
    assert [event.wait for event in events] == pytest.approx([0.1, 0.2, 0.4, 0.1, 0.2])


async def test_failures_in_the_past_cost_later_calls_nothing(server: Scripted, clock: FakeClock) -> None:
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock) as client:
        for status in (500, 503):
            for _ in range(30):
                server.script = [failing(status)]
                for _ in range(5):
                    await client.callflows.list(ACCOUNT)


async def test_a_refused_login_is_held_until_its_bucket_pays_for_one(server: Scripted, clock: FakeClock) -> None:
    events: list[RetryEvent] = []
    answers = [failing(429), lambda request: success(request, {}, status=201, auth_token="a-token")]
    server.login = lambda request: answers.pop(0)(request)  # noqa: PLW0108  # each request has an answer of its own
    async with VinixClient(
        auth=ApiKeyAuth("planted-key"), base_url=server.url, clock=clock, on_retry=events.append
    ) as client:
        await client.callflows.list(ACCOUNT)
    assert [event.wait for event in events] == pytest.approx([4.2])


async def test_a_login_takes_no_place_of_those_who_need_none(server: Scripted, clock: FakeClock) -> None:
    arrived, leave = asyncio.Event(), asyncio.Event()

    async def login(request: web.Request) -> web.Response:
        arrived.set()
        await leave.wait()
        return success(request, {}, status=201, auth_token="a-token")

    server.login = login
    auth = lambda account_id: ApiKeyAuth("planted-key") if account_id == "slow" else "its-token"  # noqa: E731
    async with VinixClient(auth=auth, base_url=server.url, clock=clock, limits=Limits(max_concurrency=1)) as client:
        slow = asyncio.create_task(client.callflows.list("slow").to_list())
        await arrived.wait()
        async with asyncio.timeout(5):
            await client.callflows.list("quick")
        leave.set()
        await slow


async def test_an_attempt_s_timeout_is_no_deadline(server: Scripted, clock: FakeClock) -> None:
    never = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await never.wait()
        return success(request)

    server.script = [hang, success]
    async with VinixClient(auth="a-token", base_url=server.url, timeout=0.05, deadline=1000, clock=clock) as client:
        await client.callflows.list(ACCOUNT)
        assert len(server.asked) >= 2  # on a busy machine, a second attempt may not end in time either
        never.set()


async def test_nothing_goes_out_behind_the_deadline(server: Scripted, clock: FakeClock) -> None:
    def slow(request: web.Request) -> web.Response:
        clock.now += 20
        return success(request, [{"id": "1"}], next_start_key="k")

    server.otherwise = slow
    async with VinixClient(auth="a-token", base_url=server.url, deadline=10, clock=clock) as client:
        with pytest.raises(APITimeoutError, match="deadline") as caught:
            await client.callflows.list(ACCOUNT, prefetch=0).to_list()
        for _ in range(100):  # what was written to the kept connection would arrive now
            await asyncio.sleep(0)
    assert not caught.value.transient
    assert len(server.asked) == 1


async def test_waits_are_counted(server: Scripted, clock: FakeClock) -> None:
    server.script = [failing(429), success, failing(500), failing(500), success]
    limits = Limits(rate=4.0, burst=1)
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock, limits=limits) as client:
        sweep = client.callflows.list_many([ACCOUNT])
        await sweep.collect()
        assert sweep.stats.wait_seconds == pytest.approx(0.25)  # the refusal's hold
        assert (sweep.stats.rate_limited, sweep.stats.retries) == (1, 1)
        clock.chance = 0.5
        again = client.callflows.list_many([ACCOUNT])
        begun = clock.now
        await again.collect()
    assert again.stats.retries == 2
    stats = again.stats
    assert stats.wait_seconds == pytest.approx(clock.now - begun)
    assert stats.wait_seconds == stats.rate_limit_seconds + stats.retry_seconds
    assert 0 < stats.rate_limit_seconds < stats.wait_seconds


async def test_the_log_names_each_request_and_no_query(
    server: Scripted, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="vinix_async")
    policy = RetryPolicy(outage_wait=0)
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock, retry=policy) as client:
        await client.callflows.list(ACCOUNT, filters={"filter_name": "a-name"})
        server.otherwise = web.Response(body=b"short", headers={"Content-Encoding": "gzip"})
        with pytest.raises(Exception, match="truncated"):
            await client.callflows.list(ACCOUNT)
        assert repr(client) == f"<VinixClient {server.url}>"
    sent = [request.headers["X-Request-ID"] for request in server.requests]
    lines = [record.getMessage() for record in caplog.records if vars(record).get("event") == "AttemptEnded"]
    path = f"GET /accounts/{ACCOUNT}/callflows"
    told = [(f"{path}: 200", 1, sent[0]), *((f"{path}: APIConnectionError", n, i) for n, i in enumerate(sent[1:], 1))]
    assert lines == [f"{what} in 0.000 s (attempt {n}, request_id={i})" for what, n, i in told]


def test_credentials_that_are_given_need_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AUTH_TOKEN", "API_KEY", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"VINIX_{name}", raising=False)
    monkeypatch.setenv("VINIX_BASE", "http://127.0.0.1:9/v2")
    assert repr(VinixClient.from_env(auth="a-token")) == "<VinixClient http://127.0.0.1:9/v2>"


def test_a_context_that_takes_any_certificate_is_refused() -> None:
    context = ssl.create_default_context()
    context.verify_mode = ssl.CERT_OPTIONAL  # which leaves check_hostname as it was
    assert context.check_hostname
    with pytest.raises(ConfigurationError, match="must verify"):
        VinixClient(auth="a-token", ssl=context)
