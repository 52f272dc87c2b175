"""How many requests are in flight at once, and an account's rate that is learned."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any

import pytest
from fake_clock import FakeClock

from vinix_async import APITimeoutError, ConfigurationError, Limits, VinixClient
from vinix_async._pipeline.rate_limiter import AccountLimiter, RateLimiter
from vinix_async.sandbox import Sandbox
from vinix_async.sandbox.token_bucket import TokenBuckets
from vinix_async.testing import VirtualClock


def limiter(clock: Any, **limits: Any) -> AccountLimiter:
    return AccountLimiter("account", Limits(**limits), clock)


def waiting(seconds: float) -> AbstractContextManager[None]:
    assert seconds > 0
    return nullcontext()


@asynccontextmanager
async def inside(one: AccountLimiter, ends_at: float = math.inf) -> AsyncIterator[None]:
    if not one.acquire_nowait():
        await one.acquire(ends_at, waiting)
    try:
        yield
    finally:
        one.release()


async def enter(one: AccountLimiter, ends_at: float = math.inf) -> None:
    async with inside(one, ends_at):
        pass


@pytest.mark.parametrize(
    "options",
    [
        {"max_connections": 0},
        {"max_concurrency": 0},
        {"per_account": "8"},
        {"burst": True},
        {"rate": 0},
        {"rate": math.inf},
        {"max_body": 0},
        {"keepalive": -1},
    ],
    ids=str,
)
def test_bad_limits_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Limits(**options)


@asynccontextmanager
async def slot(limits: RateLimiter, account_id: str | None) -> AsyncIterator[AccountLimiter]:
    account = await limits.acquire(account_id, math.inf, waiting)
    try:
        yield account
    finally:
        limits.release(account)


async def test_an_account_runs_freely_until_it_is_refused(clock: FakeClock) -> None:
    one = limiter(clock)
    for _ in range(1000):
        await enter(one)
    assert clock.slept == 0
    assert one.idle


async def test_and_from_then_on_at_its_rate(clock: FakeClock) -> None:
    one = limiter(clock)
    assert one.rate_limited(clock.now) == pytest.approx(0.1)
    begun = clock.now
    for _ in range(11):
        await enter(one)
    assert clock.now - begun == pytest.approx(0.1 + 10 * 0.1)
    assert not one.idle


async def test_refusals_in_a_row_double_the_hold(clock: FakeClock) -> None:
    one = limiter(clock)
    holds = []
    for _ in range(1100):  # more doublings than a float has
        holds.append(one.rate_limited(clock.now))
        clock.now += holds[-1]
    assert holds == [pytest.approx(min(0.1 * 2 ** min(n, 20), 20.0)) for n in range(1100)]
    one.succeeded()
    assert one.rate_limited(clock.now) == pytest.approx(0.1)


async def test_a_series_of_refusals_cuts_the_rate_once(clock: FakeClock) -> None:
    one = limiter(clock)
    one.rate_limited(clock.now)
    assert one._rate == 10.0
    for _ in range(8):
        one.succeeded()
    for _ in range(5):
        one.rate_limited(clock.now)
        assert one._rate == pytest.approx(0.9 * (10.0 + 8 * 0.02))


async def test_after_few_successes_the_rate_is_halved(clock: FakeClock) -> None:
    one = limiter(clock)
    one.rate_limited(clock.now)
    for _ in range(7):
        one.succeeded()
    one.rate_limited(clock.now)
    assert one._rate == pytest.approx(0.5 * (10.0 + 7 * 0.02))
    for _ in range(100):
        one.succeeded()
        one.rate_limited(clock.now)
    assert one._rate == pytest.approx(0.2)


async def test_a_learned_rate_is_where_the_next_refusal_begins(clock: FakeClock) -> None:
    one = limiter(clock)
    for _ in range(2):
        one.succeeded()
        one.rate_limited(clock.now)
    clock.now += 61
    await enter(one)
    assert one._rate is None
    one.rate_limited(clock.now)
    assert one._rate == pytest.approx(0.5 * (10.0 + 0.02))


@pytest.mark.parametrize("bucket", [(2, 1), (10, 2), (30, 3), (20, 5)], ids=str)
async def test_no_document_is_lost_where_the_server_allows_much_less(bucket: tuple[int, int]) -> None:
    clock = VirtualClock()
    async with Sandbox(accounts=1, callflows=(40, 40), rate_limit=bucket, clock=clock) as sandbox:
        async with VinixClient(auth=sandbox.user_auth(), base_url=sandbox.url, clock=clock) as client:
            callflows = await client.callflows.list(sandbox.root_id, details=True).to_list()
        assert len(callflows) == 40


async def test_refusals_of_what_was_under_way_count_once(clock: FakeClock) -> None:
    one = limiter(clock)
    sent_at = clock.now
    clock.now += 0.05
    assert [one.rate_limited(sent_at) for _ in range(8)] == [pytest.approx(0.1)] * 8
    clock.now += 5
    assert one.rate_limited(sent_at) == 0.0


async def test_what_the_server_asks_for_holds_the_whole_account(clock: FakeClock) -> None:
    one = limiter(clock)
    begun = clock.now
    assert one.rate_limited(begun, 30.0) == pytest.approx(0.1)
    await enter(one)
    assert clock.now == pytest.approx(begun + 30)
    clock.now += 0.05
    one.rate_limited(begun, 5.0)  # it was under way, and the server said so once more
    await enter(one)
    assert clock.now == pytest.approx(begun + 35.05)


async def test_idle_time_is_saved_up_to_the_burst(clock: FakeClock) -> None:
    one = limiter(clock, burst=5)
    one.rate_limited(clock.now)
    clock.now += 50
    begun = clock.now
    for _ in range(5):
        await enter(one)
    assert clock.now == begun
    await enter(one)
    assert clock.now > begun


async def test_a_quiet_minute_is_forgotten(clock: FakeClock) -> None:
    one = limiter(clock, burst=1)
    one.rate_limited(clock.now)
    clock.now += 61
    begun = clock.now
    for _ in range(100):
        await enter(one)
    assert clock.now == begun
    assert one.idle


async def test_no_sleep_crosses_the_deadline(clock: FakeClock) -> None:
    one = limiter(clock)
    one.rate_limited(clock.now)
    with pytest.raises(APITimeoutError, match="rate limit") as caught:
        await enter(one, ends_at=clock.now + 0.05)
    assert not caught.value.transient
    assert clock.slept == 0


async def test_so_many_at_once_and_first_come_first_served(clock: FakeClock) -> None:
    one = limiter(clock, per_account=2)
    release = asyncio.Event()
    entered: list[int] = []

    async def work(number: int) -> None:
        async with inside(one):
            entered.append(number)
            await release.wait()

    tasks = [asyncio.create_task(work(number)) for number in range(5)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert entered == [0, 1]
    tasks[2].cancel()
    release.set()
    await asyncio.wait(tasks)
    assert entered == [0, 1, 3, 4]


async def test_waiting_for_an_account_takes_no_slot_of_others(clock: FakeClock) -> None:
    limits = RateLimiter(Limits(max_concurrency=1, per_account=1), clock)
    leave = asyncio.Event()
    entered: list[str] = []

    async def work(account: str) -> None:
        async with slot(limits, account):
            entered.append(account)
            await leave.wait()

    tasks = [asyncio.create_task(work(account)) for account in ("slow", "slow", "quick")]
    for _ in range(5):
        await asyncio.sleep(0)
    assert entered == ["slow"]
    leave.set()
    await asyncio.wait(tasks)
    assert entered == ["slow", "quick", "slow"]  # the second of the slow account did not stand before the quick one


async def test_the_client_s_limit_holds_over_all_accounts(clock: FakeClock) -> None:
    limits = RateLimiter(Limits(max_concurrency=3), clock)
    running = most = 0

    async def work(account: str) -> None:
        nonlocal running, most
        async with slot(limits, account):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*(work(str(number % 7)) for number in range(50)))
    assert most == 3
    assert limits._accounts == {}


async def test_a_login_needs_no_slot_of_the_calls_that_wait_for_it(clock: FakeClock) -> None:
    limits = RateLimiter(Limits(max_concurrency=1), clock)
    async with slot(limits, "account"), asyncio.timeout(5), slot(limits, None):
        pass


@pytest.mark.parametrize("turns", range(4))
async def test_a_cancelled_waiter_takes_no_slot_with_it(clock: FakeClock, turns: int) -> None:
    limits = RateLimiter(Limits(max_concurrency=1, per_account=2), clock)

    async def work() -> None:
        async with slot(limits, "one"):
            await asyncio.sleep(0)

    leave = asyncio.Event()

    async def first() -> None:
        async with slot(limits, "one"):
            await leave.wait()

    holder = asyncio.create_task(first())
    await asyncio.sleep(0)
    waiter = asyncio.create_task(work())
    await asyncio.sleep(0)
    leave.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.gather(holder, waiter, return_exceptions=True)
    async with asyncio.timeout(5):
        await work()
    assert limits._accounts == {}


async def test_accounts_are_remembered_only_while_they_have_something_to_remember(clock: FakeClock) -> None:
    limits = RateLimiter(Limits(), clock)

    async def work(number: int, *, refused: bool = False) -> None:
        async with slot(limits, str(number)) as account:
            if refused:
                account.rate_limited(clock.now)
            else:
                account.succeeded()

    for number in range(5000):
        await work(number)
    assert limits._accounts == {}
    for number in range(5000):
        await work(number, refused=True)
    assert len(limits._accounts) <= 1000
    clock.now += 61
    for number in range(5000):
        await work(number)
    assert limits._accounts == {}


async def test_a_standing_limit_is_used_up_and_hardly_ever_hit() -> None:
    """Eight workers against Kazoo's bucket: 100 tokens, 10 more in one block each second."""
    clock = VirtualClock()
    buckets = TokenBuckets(100, 10)
    one = limiter(clock)
    served: list[float] = []
    refused: list[float] = []

    async def work() -> None:
        while clock.now < 80:
            async with inside(one):
                sent_at = clock.now
                await clock.sleep(0.02)
                if buckets.take("a", clock.now):
                    served.append(clock.now)
                    one.succeeded()
                    continue
                refused.append(clock.now)
                one.rate_limited(sent_at)

    await asyncio.gather(*(work() for _ in range(8)))
    learned = refused[0] + 10
    assert sum(1 for at in served if learned <= at < learned + 50) >= 0.9 * 10 * 50
    assert sum(1 for at in refused if at >= learned) < 0.05 * sum(1 for at in served if at >= learned)
