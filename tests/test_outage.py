"""The server is away: what counts, how calls wait and probe, how they come back, and for how long they wait."""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import Any

import pytest
from fake_clock import FakeClock
from simulated import LoopClock, SimulatedServer, account_of, always, between, virtual

from vinix_async import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    ClientClosedError,
    Limits,
    NotFoundError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    UserAuth,
    VinixClient,
    VinixError,
)
from vinix_async._config import CallOptions
from vinix_async._pipeline.clock import StoppableClock
from vinix_async._pipeline.outage import OutageDetector, Ticket

TWO = RetryPolicy(attempts=2)


def now() -> float:
    return asyncio.get_running_loop().time()


def detector(client: VinixClient) -> OutageDetector:
    return client._sender.outages


def assert_at_rest(client: VinixClient) -> None:
    """Nobody waits, nothing is in flight, and nothing is remembered of calls that have ended."""
    outages = detector(client)
    assert not outages._waiting
    assert not outages._in_flight
    assert not outages._failing
    assert not outages._refundable
    assert outages._prober is None
    assert outages._check_done is None
    assert outages._recovering == 0 or outages._recovery_limit is None


@asynccontextmanager
async def calm_after(client: VinixClient) -> AsyncIterator[VinixClient]:
    async with client:
        yield client
        for _ in range(5):
            await asyncio.sleep(0)
        assert_at_rest(client)
    for _ in range(5):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def gathered(calls: Any) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


def listings(client: VinixClient, count: int, first: int = 0) -> list[Awaitable[Any]]:
    return [client.callflows.list(f"account{number:04}").to_list() for number in range(first, first + count)]


# --- what counts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["refused", "reset", "hang", "html", 502, 503, 504, "json 502", "json 503"])
@virtual
async def test_a_failure_that_is_not_about_one_account_counts(kind: str | int) -> None:
    """The call waits for the server: five seconds are more than its attempts could take."""
    server = SimulatedServer()
    server.fate = between(0, 5, kind)
    async with calm_after(server.client(retry=TWO, timeout=1)) as client:
        assert len(await client.callflows.list("account0").to_list()) == 3
        assert client.stats.outages == 1
        assert client.stats.retries == 0
    assert 5 < server.requests[-1][0] < 12


@pytest.mark.parametrize("kind", ["name", 429, "json 500", "json 408", "json 404", 401])
@virtual
async def test_an_answer_or_a_fault_of_configuration_does_not(kind: str | int) -> None:
    server = SimulatedServer()
    server.fate = always(kind)
    async with calm_after(server.client(retry=TWO)) as client:
        with pytest.raises(VinixError) as caught:
            await client.callflows.list("account0")
        assert client.stats.outages == 0
    assert len(server.requests) == (1 if kind in {"json 404", 401} else 2) == caught.value.attempts


@virtual
async def test_a_500_in_the_api_s_own_json_counts_over_several_accounts() -> None:
    server = SimulatedServer()
    server.fate = between(0, 5, "json 500")
    async with calm_after(server.client(retry=TWO)) as client:
        results = await gathered(listings(client, 6))
        assert [len(each) for each in results] == [3] * 6
        assert client.stats.outages == 1


@virtual
async def test_a_500_that_is_known_to_come_again_does_not() -> None:
    server = SimulatedServer()
    server.fate = always("init failed")
    async with calm_after(server.client(retry=TWO)) as client:
        errors = await gathered(listings(client, 6))
        assert {type(error) for error in errors} == {ServerError}
        assert client.stats.outages == 0
    assert len(server.requests) == 6


@virtual
async def test_429_never_counts() -> None:
    server = SimulatedServer()
    server.fate = always(429)
    async with calm_after(server.client(retry=TWO)) as client:
        errors = await gathered(listings(client, 6))
        assert {type(error) for error in errors} == {RateLimitError}
        assert client.stats.outages == 0


# --- the beginning -------------------------------------------------------------------------------


class Staged(SimulatedServer):
    """Accounts whose names are in ``down`` fail, those in ``slow`` take a minute, the others are served."""

    def __init__(self, down: Any = (), slow: Any = (), kind: str | int = 503) -> None:
        super().__init__()
        self.down, self.slow, self.kind = set(down), set(slow), kind
        self.fate = self._of

    def _of(self, target: str, _: float) -> str | int:
        return self.kind if account_of(target) in self.down else "ok"

    async def send(self, method: str, target: str, *rest: Any) -> Any:
        if account_of(target) in self.slow:
            await asyncio.sleep(60)
        return await super().send(method, target, *rest)


def names(first: int, count: int) -> list[str]:
    return [f"account{number:04}" for number in range(first, first + count)]


@pytest.mark.parametrize(("failing", "outages"), [(3, 0), (4, 1)])
@virtual
async def test_four_accounts_with_no_success_in_between(failing: int, outages: int) -> None:
    server = Staged(names(0, failing), names(failing, 10))
    async with server.client(retry=TWO) as client:
        tasks = [asyncio.ensure_future(each) for each in listings(client, failing + 10)]
        await asyncio.sleep(30)
        assert client.stats.outages == outages
        server.down.clear()
        assert len([each for each in await gathered(tasks) if isinstance(each, list)]) == (14 if outages else 10)
        assert_at_rest(client)


@virtual
async def test_or_every_account_under_way() -> None:
    server = Staged(names(0, 2))
    async with calm_after(server.client(retry=TWO)) as client:
        tasks = [asyncio.ensure_future(each) for each in listings(client, 2)]
        await asyncio.sleep(5)
        assert client.stats.outages == 1
        server.down.clear()
        assert len(await gathered(tasks)) == 2


@virtual
async def test_a_listing_of_accounts_under_way_says_nothing_about_callflows() -> None:
    server = Staged(names(0, 2))
    server.latency = 30.0
    async with calm_after(server.client(retry=TWO)) as client:
        listing = asyncio.ensure_future(client.accounts.descendants("root").to_list())
        await asyncio.sleep(1)
        server.latency = 0.02
        tasks = [asyncio.ensure_future(each) for each in listings(client, 2)]
        await asyncio.sleep(5)
        assert client.stats.outages == 1
        server.down.clear()
        assert {len(each) for each in await gathered(tasks)} == {3}
        await listing


@virtual
async def test_an_account_with_trouble_of_its_own_does_not_hide_an_outage() -> None:
    """One account has failed before another's success. Then the server goes away, with these two under way."""
    server = Staged(["account0000"])
    policy = RetryPolicy(attempts=9)
    async with calm_after(server.client(retry=policy)) as client:
        await client.callflows.list("account0001").to_list()
        broken = asyncio.ensure_future(client.callflows.list("account0000").to_list())
        for _ in range(3):
            await asyncio.sleep(0.1)
            await client.callflows.list("account0001").to_list()
        assert client.stats.outages == 0
        server.down.add("account0001")
        other = asyncio.ensure_future(client.with_options(retry=TWO).callflows.list("account0001").to_list())
        await asyncio.sleep(10)
        assert client.stats.outages == 1
        server.down.clear()
        assert len(await broken) == len(await other) == 3


@virtual
async def test_a_success_in_between_ends_a_suspicion() -> None:
    server = Staged(names(0, 8))
    async with calm_after(server.client(retry=RetryPolicy(attempts=1000, wait_initial=1, wait_max=1))) as client:
        await client.callflows.list("good").to_list()
        tasks = []
        for number in range(8):
            tasks.append(asyncio.ensure_future(client.callflows.list(f"account{number:04}").to_list()))
            await asyncio.sleep(0.1)
            await client.callflows.list("good").to_list()
        assert client.stats.outages == 0
        server.down.clear()
        assert {len(each) for each in await gathered(tasks)} == {3}


@virtual
async def test_what_was_served_before_is_asked_again_before_calls_wait() -> None:
    """Four broken accounts at once, and a server that answers all others."""
    server = Staged(names(0, 4))
    async with calm_after(server.client(retry=TWO)) as client:
        await client.callflows.list("good").to_list()
        errors = await gathered(listings(client, 4))
        assert {type(error) for error in errors} == {ServerError}
        assert client.stats.outages == 0
        assert sum(error.probes for error in errors) == 1
        assert sum(error.attempts for error in errors) == 4 * 2 + 1 == len(server.requests) - 1
    assert server.asked.count("/accounts/good/callflows?page_size=1") == 1


@pytest.mark.parametrize("answer", ["json 429", "json 404", "json 401"])
@virtual
async def test_any_answer_is_a_second_opinion(answer: str) -> None:
    server = Staged(names(0, 4))
    async with calm_after(server.client(retry=TWO)) as client:
        await client.callflows.list("good").to_list()
        server.fate = lambda target, _: answer if account_of(target) == "good" else 503
        errors = await gathered(listings(client, 4))
        assert {type(error) for error in errors} == {ServerError}
        assert client.stats.outages == 0


@pytest.mark.parametrize("deadline", [None, 20.0])
@virtual
async def test_a_second_opinion_does_not_wait_for_a_rate_limit(deadline: float | None) -> None:
    """The account that was served before may send its next request only in 30 s. The outage is shorter."""
    server = SimulatedServer()
    server.retry_after = "30"
    server.fate = lambda target, at: 429 if at > 0 and account_of(target) == "good" else "ok"
    async with calm_after(server.client(deadline=deadline)) as client:
        await client.callflows.list("good").to_list()
        limited = asyncio.ensure_future(client.with_options(deadline=None).callflows.list("good").to_list())
        await asyncio.sleep(1)
        server.fate, begun = between(0, 7, "refused"), now()
        assert {len(each) for each in await gathered(listings(client, 4))} == {3}
        assert now() - begun < 20
        assert client.stats.outages == 1
        assert len(await limited) == 3


@virtual
async def test_a_second_opinion_is_asked_for_before_a_call_fails() -> None:
    """One of three accounts hangs, so not all of them have failed when the others have used their attempts."""
    server = SimulatedServer()
    async with calm_after(server.client(retry=TWO, timeout=5)) as client:
        await client.callflows.list("good").to_list()
        server.fate = lambda target, at: "ok" if at > 8 else "hang" if account_of(target) == "account0000" else 503
        assert {len(each) for each in await gathered(listings(client, 3))} == {3}
        assert client.stats.outages == 1


@virtual
async def test_a_500_of_one_account_after_another_counts_too() -> None:
    """Only one account is read at a time. The second opinion is about another account."""
    server = SimulatedServer()
    server.fate = between(0.01, 9, "json 500")
    async with calm_after(server.client(retry=TWO)) as client:
        results = await client.callflows.list_many(names(0, 5), max_concurrency=1).collect()
        assert [len(result.callflows) for result in results.values()] == [3] * 5
        assert client.stats.outages == 1


@virtual
async def test_a_500_of_the_only_account_is_its_own() -> None:
    server = SimulatedServer()
    server.fate = lambda _, at: "json 500" if at > 0 else "ok"
    async with calm_after(server.client(retry=TWO)) as client:
        await client.callflows.list("account0000").to_list()
        error = (await gathered(listings(client, 1)))[0]
        assert isinstance(error, ServerError)
        assert client.stats.outages == 0
    assert len(server.requests) == 1 + 2


@virtual
async def test_a_second_opinion_that_is_cancelled_is_asked_for_by_another_call() -> None:
    server = Staged(names(0, 6))
    async with calm_after(server.client(retry=RetryPolicy(attempts=3), timeout=2)) as client:
        await client.callflows.list("good").to_list()
        server.kind = "hang"
        server.down.add("good")
        tasks = [asyncio.ensure_future(each) for each in listings(client, 6)]
        while server.asked[-1] != "/accounts/good/callflows?page_size=1":
            await asyncio.sleep(0.01)
        assert server.last_task in tasks
        server.last_task.cancel()
        await asyncio.sleep(0.1)
        assert server.asked.count("/accounts/good/callflows?page_size=1") == 2
        server.down.clear()
        results = await gathered(tasks)
        assert sum(isinstance(each, asyncio.CancelledError) for each in results) == 1
        assert sum(isinstance(each, list) for each in results) == 5


@virtual
async def test_a_login_s_or_a_listing_s_answer_says_nothing_about_callflows() -> None:
    server = SimulatedServer(accounts=200)
    server.fate = between(0.06, 7, 502, only="/callflows")
    async with calm_after(server.client(retry=TWO, auth=UserAuth("ann", "secret-word", account_name="x"))) as client:
        sweep = client.callflows.list_many(client.accounts.descendants("root"))
        listing_calls = [client.accounts.descendants("root").to_list() for _ in range(3)]
        await asyncio.gather(*listing_calls, collecting := asyncio.ensure_future(sweep.collect()))
        results = collecting.result()
        assert len(results) == 200
        assert all(result.ok for result in results.values())
        assert client.stats.outages == 1


@virtual
async def test_probes_are_sent_by_calls_whose_answer_can_end_the_outage() -> None:
    """The other calls are more and arrived later, and their part of the API stays away."""
    server = SimulatedServer()
    server.fate = lambda target, at: "ok" if at > 1 and "/callflows" in target else 503
    async with calm_after(server.client(retry=RetryPolicy(attempts=2, outage_wait=30))) as client:
        tasks = [asyncio.ensure_future(each) for each in listings(client, 4)]
        await asyncio.sleep(0.5)
        others = [asyncio.ensure_future(client.accounts.get(each)) for each in names(4, 8)]
        assert {len(each) for each in await gathered(tasks)} == {3}
        assert now() < 5
        assert {type(each) for each in await gathered(others)} == {ServerError}


# --- while it lasts ------------------------------------------------------------------------------


@virtual
async def test_waiting_spends_no_attempts_and_what_led_to_it_is_given_back() -> None:
    """Three accounts fail, wait and fail again before the fourth fails too: none of them loses anything by that."""
    server = Staged(names(0, 4), names(4, 1))
    policy = RetryPolicy(attempts=3, wait_initial=0.1)
    async with calm_after(server.client(retry=policy)) as client:
        await client.callflows.list("good").to_list()
        server.down.add("good")
        tasks = [asyncio.ensure_future(each) for each in [*listings(client, 1, 4), *listings(client, 3)]]
        while sum(not target.startswith("/accounts/good") for target in server.asked) < 6:
            await asyncio.sleep(0.001)
        assert client.stats.outages == 0
        tasks += [asyncio.ensure_future(each) for each in listings(client, 1, 3)]
        await asyncio.sleep(10)
        assert client.stats.outages == 1
        server.kind = "json 500"  # each has its own trouble from now on, and all of its attempts
        server.down.discard("good")
        await client.callflows.list("good").to_list()
        results = await gathered(tasks)
    assert isinstance(results[0], list)
    for error, failed_before in zip(results[1:], (2, 2, 2, 1), strict=True):
        assert isinstance(error, ServerError)
        assert error.status == 500
        assert error.attempts is not None
        assert error.attempts - error.probes == failed_before + 3


@virtual
async def test_probes_are_sent_one_at_a_time_at_doubling_intervals() -> None:
    server = SimulatedServer()
    server.fate = always("refused")
    async with calm_after(server.client(clock=LoopClock(7), retry=RetryPolicy(outage_wait=100))) as client:
        tasks = [asyncio.ensure_future(each) for each in listings(client, 50)]
        await asyncio.sleep(1)
        begun = len(server.requests)
        assert begun <= 50 + 5
        server.most_in_flight = 0
        await asyncio.sleep(80)
        assert server.most_in_flight == 1
        server.fate = always("ok")
        assert {len(each) for each in await gathered(tasks)} == {3}
    times = [at for at, _ in server.requests[49:] if at < 81]
    gaps = [later - earlier - server.latency for earlier, later in pairwise(times)]
    for number, gap in enumerate(gaps):
        longest = min(0.1 * 2**number, 10)
        assert longest / 2 - 1e-6 <= gap <= longest + 1e-6, (number, gaps)
    assert len(set(gaps[-4:])) == 4  # jittered


@virtual
async def test_calls_that_wait_for_a_slot_when_it_begins_are_not_sent() -> None:
    server = SimulatedServer()
    async with calm_after(server.client(limits=Limits(max_concurrency=4), timeout=1.0)) as client:
        await client.callflows.list("good").to_list()
        server.fate = between(0, 20, "hang")
        tasks = [asyncio.ensure_future(each) for each in listings(client, 100)]
        await asyncio.sleep(15)
        sent = [account_of(target) for target in server.asked]
        assert len(sent) < 30
        assert len(set(sent)) < 20
        assert {len(each) for each in await gathered(tasks)} == {3}
        assert client.stats.outages == 1


@pytest.mark.parametrize(("asked", "seconds"), [("5", 5), ("3600", 10)])
@virtual
async def test_a_gateway_s_retry_after_is_obeyed_up_to_the_longest_interval(asked: str, seconds: float) -> None:
    server = SimulatedServer()
    server.retry_after = asked
    server.fate = between(0, 4, 503)
    async with calm_after(server.client()) as client:
        await client.callflows.list("account0").to_list()
    assert server.requests[-1][0] == pytest.approx(seconds, abs=0.1)
    assert len(server.requests) == 2


@virtual
async def test_a_lone_broken_account_does_not_hold_up_others() -> None:
    """Only one account has failed, so the first call of another account is sent as a probe, without waiting."""
    server = Staged(["account0000"])
    async with calm_after(server.client()) as client:
        broken = asyncio.ensure_future(client.callflows.list("account0000").to_list())
        await asyncio.sleep(45)
        assert client.stats.outages == 1
        begun = now()
        assert {len(each) for each in await gathered(listings(client, 20, 1))} == {3}
        assert now() - begun < 0.2
        assert isinstance((await gathered([broken]))[0], ServerError)


@pytest.mark.parametrize("count", [1, 10])
@virtual
async def test_nor_do_broken_callflows_hold_up_other_requests(count: int) -> None:
    server = SimulatedServer()
    server.fate = lambda target, _: 503 if account_of(target) else "ok"
    async with calm_after(server.client()) as client:
        broken = [asyncio.ensure_future(each) for each in listings(client, count)]
        await asyncio.sleep(45)
        begun = now()
        for _ in range(5):
            await asyncio.gather(*(client.accounts.get(each) for each in names(0, 5)))
        assert now() - begun < 0.2
        assert client.stats.outages == 1
        assert {type(each) for each in await gathered(broken)} == {ServerError}


@virtual
async def test_nor_does_its_lost_patience_cost_others_their_retries() -> None:
    """It has been broken for an hour. Another account's first call fails once, and is not given up for that."""
    server = Staged(["account0000"])
    async with calm_after(server.client()) as client:
        for _ in range(60):
            assert isinstance((await gathered(listings(client, 1)))[0], ServerError)
            await asyncio.sleep(60)
        server.down.add("account0001")
        other = asyncio.ensure_future(client.callflows.list("account0001").to_list())
        await asyncio.sleep(1)
        server.down.discard("account0001")
        assert len(await other) == 3


@virtual
async def test_nor_are_many_calls_sent_while_few_accounts_have_failed() -> None:
    server = SimulatedServer()
    server.fate = between(0, 20, 503)
    async with calm_after(server.client()) as client:
        first = asyncio.ensure_future(client.callflows.list("account0000").to_list())
        await asyncio.sleep(15)
        sent = len(server.requests)
        others = [asyncio.ensure_future(each) for each in listings(client, 20, 1)]
        await asyncio.sleep(0.2)
        assert len(server.requests) - sent <= 3 + 1
        assert {len(each) for each in await gathered([first, *others])} == {3}


@virtual
async def test_another_call_takes_over_after_a_failed_probe() -> None:
    """The account of the probing call may be a broken one."""
    server = SimulatedServer()
    server.fate = always(503)
    async with calm_after(server.client()) as client:
        tasks = [asyncio.ensure_future(each) for each in listings(client, 2)]
        await asyncio.sleep(1)
        prober = Counter(account_of(target) for _, target in server.requests).most_common(1)[0][0]
        server.fate = lambda target, _: 503 if account_of(target) == prober else "ok"
        results = dict(zip(names(0, 2), await gathered(tasks), strict=True))
        error = results.pop(str(prober))
        assert isinstance(error, ServerError)
        assert error.gave_up == "no attempt is left (RetryPolicy.attempts)"
        assert [len(each) for each in results.values()] == [3]


@virtual
async def test_the_probes_of_broken_accounts_do_not_use_up_the_time_of_others() -> None:
    """Nothing has succeeded before, so no other request can be repeated to see whether the server is back."""
    server = SimulatedServer()
    server.fate = lambda target, at: "ok" if at > 0.05 and account_of(target) == "account0005" else 503
    async with calm_after(server.client(retry=TWO)) as client:
        results = await gathered(listings(client, 6))
        assert [isinstance(each, list) for each in results] == [False] * 5 + [True]
    assert now() < 20


@virtual
async def test_a_request_that_hangs_beyond_the_end_is_a_part_of_it() -> None:
    server = SimulatedServer()
    server.fate = lambda target, at: "ok" if at > 3 else "hang" if account_of(target) == "account0000" else "refused"
    async with calm_after(server.client(timeout=20, retry=TWO)) as client:
        view = client.with_options()
        hanging = asyncio.ensure_future(view.callflows.list("account0000").to_list())
        assert {len(each) for each in await gathered(listings(client, 4, 1))} == {3}
        assert now() < 20
        assert client.stats.outages == 1
        assert len(await hanging) == 3
        assert (view.stats.requests, view.stats.retries) == (2, 0)


@pytest.mark.parametrize("after", [0.01, 0.05, 0.13, 0.5, 1.01, 3.3])
@virtual
async def test_a_probing_call_that_is_cancelled_hands_the_probe_on(after: float) -> None:
    server = SimulatedServer()
    server.fate = between(0, 4, "hang")
    async with calm_after(server.client(timeout=1)) as client:
        tasks = [asyncio.ensure_future(each) for each in listings(client, 5)]
        await asyncio.sleep(1.0 + after)
        outages = detector(client)
        prober = outages._prober
        assert prober is not None
        tasks[int(str(prober.account_id).removeprefix("account"))].cancel()
        results = await gathered(tasks)
        assert sum(isinstance(each, asyncio.CancelledError) for each in results) == 1
        assert sum(isinstance(each, list) for each in results) == 4
    assert now() < 10


@virtual
async def test_a_cancelled_call_that_was_just_made_the_prober_hands_the_probe_on_too() -> None:
    server = SimulatedServer()
    server.fate = between(0, 4, 503)
    async with calm_after(server.client()) as client:
        tasks = [asyncio.ensure_future(each) for each in listings(client, 5)]
        await asyncio.sleep(1)
        outages = detector(client)
        by_account = dict(zip(names(0, 5), tasks, strict=True))
        first = outages._prober
        following = next(iter(outages._waiting))
        assert first is not None
        by_account[str(first.account_id)].cancel()
        by_account[str(following.account_id)].cancel()
        results = await gathered(tasks)
        assert sum(isinstance(each, list) for each in results) == 3


@pytest.mark.parametrize("after", [0.0, 0.1, 0.5, 1.5, 2.05])
@virtual
async def test_close_ends_the_waiting_and_the_probing(after: float) -> None:
    server = SimulatedServer()
    server.fate = always(503)
    client = server.client(timeout=1)
    tasks = [asyncio.ensure_future(each) for each in listings(client, 5)]
    await asyncio.sleep(1.0 + after)
    begun, sent = now(), len(server.requests)
    await client.close()
    errors = await gathered(tasks)
    assert {type(error) for error in errors} == {ClientClosedError}
    assert all(error.attempts >= 1 for error in errors)
    assert now() - begun <= 1
    assert len(server.requests) == sent
    assert_at_rest(client)


@virtual
async def test_close_ends_the_waiting_at_once_whatever_the_probe_does() -> None:
    server = SimulatedServer()
    server.fate = always("hang")
    client = server.client(timeout=10)
    tasks = [asyncio.ensure_future(each) for each in listings(client, 5)]
    await asyncio.sleep(11)
    begun = now()
    await client.close()
    await asyncio.wait(tasks, timeout=0)
    assert sum(task.done() for task in tasks) == 4
    errors = await gathered(tasks)  # the probe itself ends with its connection, which is simulated here
    assert {type(error) for error in errors} == {ClientClosedError}
    assert now() - begun <= 10


@virtual
async def test_a_failed_login_is_a_part_of_the_probe() -> None:
    server = SimulatedServer()
    server.fate = between(0, 5, 502)
    auth = UserAuth("ann", "secret-word", account_name="acme")
    async with calm_after(server.client(auth=auth, retry=TWO)) as client:
        assert {len(each) for each in await gathered(listings(client, 8))} == {3}
        assert server.logins == 1


@virtual
async def test_a_login_that_is_refused_ends_the_calls_and_not_the_outage() -> None:
    server = SimulatedServer()
    server.fate = lambda target, at: 502 if at < 5 else ("json 401" if "_auth" in target else "ok")
    auth = UserAuth("ann", "secret-word", account_name="acme")
    async with calm_after(server.client(auth=auth, retry=TWO)) as client:
        errors = await gathered(listings(client, 8))
        assert {type(error) for error in errors} == {AuthenticationError}
        assert now() < 12
    assert sum(at > 5 for at, _ in server.requests) == 1


@virtual
async def test_a_login_s_answer_does_not_end_an_outage_of_callflows(caplog: pytest.LogCaptureFixture) -> None:
    """The token has expired meanwhile. The login answers with a 429 before it answers at all, and callflows later."""
    server = SimulatedServer()

    def fate(target: str, at: float) -> str | int:
        if target.endswith("_auth"):
            return "ok" if at < 1 or at > 10 else 502 if at < 5 else "json 429"
        return "ok" if at < 1 or at > 15 else 502 if at < 3 else "json 401" if at < 9 else 502

    server.fate = fate
    auth = UserAuth("ann", "secret-word", account_name="acme")
    async with calm_after(server.client(auth=auth)) as client:
        await client.callflows.list("good").to_list()
        await asyncio.sleep(1)
        results = await gathered(listings(client, 8))
        assert {len(each) for each in results} == {3}
        assert client.stats.outages == 1
    began, ended = (record for record in caplog.records if vars(record).get("event", "").startswith("Outage"))
    assert (vars(began)["event"], vars(ended)["event"]) == ("OutageStarted", "OutageEnded")
    assert vars(ended)["seconds"] > 10  # and not when the login answered with a 429


@virtual
async def test_a_name_that_is_not_resolved_meanwhile_is_a_failed_probe() -> None:
    server = SimulatedServer()
    server.fate = lambda _, at: "refused" if at < 1 else "name" if at < 10 else "ok"
    async with calm_after(server.client(retry=TWO)) as client:
        assert {len(each) for each in await gathered(listings(client, 5))} == {3}


@virtual
async def test_the_failure_of_an_old_probe_says_nothing_about_a_later_outage() -> None:
    """A probe hangs, a request that was sent before ends the outage, and a new one begins with another prober."""

    async def no() -> bool:
        return False

    async with SimulatedServer().client() as client:
        outages, options = detector(client), client._options
        first, second = (Ticket(each, callflows=True, options=options) for each in ("first", "second"))
        error = ServerError("x", status=503, server_away=True)
        outages.begin(first)
        assert await outages.failed(first, error, no)
        await outages.enter(first)
        assert first.probing
        old = Ticket("old", callflows=True, options=options)
        outages.begin(old)
        outages.succeeded(old)
        outages.end(old)
        outages.begin(second)
        others = [Ticket(str(number), callflows=True, options=options) for number in range(3)]
        for each in others:
            outages.begin(each)
            each.sent_at = now()
            assert not await outages.failed(each, error, no)
        second.sent_at = now()
        assert await outages.failed(second, error, no)
        outage = outages._outage
        assert outage is not None
        assert outages._prober is second
        due = outage.next_probe_at
        assert await outages.failed(first, error, no)
        assert (outage.failed_probes, outage.next_probe_at) == (0, due)
        for each in (first, second, *others):
            outages.end(each)
        assert_at_rest(client)


@virtual
async def test_a_probe_that_was_not_sent_before_the_end_is_none() -> None:
    async def no() -> bool:
        return False

    async with SimulatedServer().client() as client:
        outages, options = detector(client), client._options
        first, second, other = (Ticket("account", callflows=True, options=options) for _ in range(3))
        for each in (first, second, other):
            outages.begin(each)
        assert await outages.failed(first, ServerError("x", status=503, server_away=True), no)
        entering = [asyncio.ensure_future(outages.enter(each)) for each in (first, second)]
        await asyncio.sleep(0)
        assert outages._outage is not None
        outages._choose_prober(first, outages._outage)
        assert second.probing
        outages.succeeded(other)
        await asyncio.gather(*entering)
        assert not second.probing
        for each in (first, second, other):
            outages.end(each)


# --- the end -------------------------------------------------------------------------------------


@virtual
async def test_traffic_comes_back_in_steps() -> None:
    server = SimulatedServer(latency=0.1)
    server.fate = between(0, 3, 503)
    limits = Limits(max_concurrency=1000, max_connections=1000)
    async with calm_after(server.client(limits=limits)) as client:
        assert {len(each) for each in await gathered(listings(client, 400))} == {3}
    after = [at for at, _ in server.requests if at >= 3]
    waves = Counter(round((at - after[0]) / 0.1) for at in after)
    assert [waves[number] for number in range(7)] == [1, 2, 4, 8, 16, 32, 337]


@virtual
async def test_an_answer_about_one_account_ends_it_too() -> None:
    server = SimulatedServer()
    server.fate = lambda _, at: 503 if at < 2 else "json 404"
    async with calm_after(server.client()) as client:
        errors = await gathered(listings(client, 8))
        assert {type(error) for error in errors} == {NotFoundError}
        assert client.stats.outages == 1
    assert now() < 6


@virtual
async def test_answers_about_single_accounts_let_the_steps_grow() -> None:
    server = SimulatedServer(latency=0.1)
    server.fate = lambda target, at: 503 if at < 2 else "ok" if account_of(target) == "good" else "json 404"
    async with calm_after(server.client(limits=Limits(max_concurrency=1000, max_connections=1000))) as client:
        await gathered([client.callflows.list("good").to_list(), *listings(client, 100)])
    after = [at for at, _ in server.requests if at >= 2]
    assert after[-1] - after[0] < 0.1 * 8


@virtual
async def test_a_single_failure_on_the_way_does_not_reopen_it() -> None:
    server = SimulatedServer()
    failed: list[float] = []

    def fate(_: str, at: float) -> str | int:
        if at < 2:
            return 503
        if not failed and at > server_back[0] + 0.01:
            failed.append(at)
            return 503
        server_back[0] = min(server_back[0], at)
        return "ok"

    server_back = [1e9]
    server.fate = fate
    async with calm_after(server.client()) as client:
        assert {len(each) for each in await gathered(listings(client, 40))} == {3}
        assert client.stats.outages == 1
    assert failed


@virtual
async def test_a_server_that_goes_away_again_at_once_is_noticed_again() -> None:
    """The accounts that failed before the first outage count anew in the second."""
    server = SimulatedServer()
    served: list[float] = []

    def fate(_: str, at: float) -> str | int:
        if at < 1 or (served and at < 8):
            return 503
        served.append(at)
        return "ok"

    server.fate = fate
    async with calm_after(server.client(retry=TWO)) as client:
        assert {len(each) for each in await gathered(listings(client, 4))} == {3}
        assert client.stats.outages == 2


# --- patience ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "policy", "served_before", "seconds"),
    [
        ("callflow", RetryPolicy(), True, 60),
        ("callflow", RetryPolicy(), False, 60),
        ("accounts", RetryPolicy(), True, 900),
        ("accounts", RetryPolicy(), False, 60),
        ("sweep", RetryPolicy(), True, 900),
        ("sweep", RetryPolicy(), False, 60),
        ("callflow", RetryPolicy(outage_wait=7), True, 7),
        ("accounts", RetryPolicy(outage_wait=7), True, 7),
        ("sweep", RetryPolicy(outage_wait=7), True, 7),
        ("sweep", RetryPolicy(outage_wait=100), False, 100),
    ],
)
@virtual
async def test_for_how_long_a_call_waits(what: str, policy: RetryPolicy, served_before: bool, seconds: float) -> None:  # noqa: FBT001  # pytest passes it by name
    server = SimulatedServer()
    async with calm_after(server.client(retry=policy)) as client:
        if served_before:
            await client.callflows.list("good").to_list()
        server.fate = always(503)
        begun = now()
        error: Any
        match what:
            case "callflow":
                (error,) = await gathered([client.callflows.get("account0", "x")])
            case "accounts":
                (error,) = await gathered([client.accounts.descendants("root").to_list()])
            case _:
                error = (await client.callflows.list_many(["account0"]).collect())["account0"].error
        assert seconds <= now() - begun < seconds + 0.3
        assert isinstance(error, ServerError)
        assert error.gave_up is not None
        assert re.fullmatch(rf"the server has been unavailable for \d+\.\d s \(outage_wait={seconds}\)", error.gave_up)
        assert error.affects_others
        assert error.attempts == len(server.requests) - served_before


@virtual
async def test_patience_is_counted_from_the_beginning_and_a_last_probe_goes_out() -> None:
    server = SimulatedServer()
    server.fate = always(502)
    async with calm_after(server.client(retry=RetryPolicy(outage_wait=35))) as client:
        tasks = [asyncio.ensure_future(each) for each in listings(client, 5)]
        await asyncio.sleep(30)
        late = asyncio.ensure_future(client.callflows.get("account9", "x"))
        errors = await gathered([*tasks, late])
        assert now() == pytest.approx(35.05, abs=0.1)
        assert {type(error) for error in errors} == {ServerError}
        assert server.requests[-1][0] == pytest.approx(35.02, abs=0.05)
        assert errors[-1].attempts in {0, 1}
        assert errors[-1].path == "/accounts/account9/callflows/x"


@virtual
async def test_a_client_does_not_stay_dead_after_the_server_is_back() -> None:
    server = SimulatedServer()
    server.fate = always(502)
    async with calm_after(server.client(retry=RetryPolicy(outage_wait=5))) as client:
        await gathered(listings(client, 5))
        sent, begun = len(server.requests), now()
        errors = await gathered(listings(client, 5))
        assert {(type(error), error.attempts) for error in errors} == {(ServerError, 0)}
        assert all("not sent" in str(error) and error.request_id is None for error in errors)
        assert {error.account_id for error in errors} == set(names(0, 5))
        assert (now(), len(server.requests)) == (begun, sent)
        await asyncio.sleep(10)
        errors = await gathered(listings(client, 5))  # a probe is due: the first of them is that
        assert sorted(error.attempts for error in errors) == [0, 0, 0, 0, 1]
        server.fate = always("ok")
        await asyncio.sleep(10)
        assert {len(each) for each in await gathered(listings(client, 5))} == {3}


@virtual
async def test_calls_with_more_patience_go_on_waiting() -> None:
    server = SimulatedServer()
    server.fate = between(0, 30, "refused")
    async with calm_after(server.client(retry=RetryPolicy(outage_wait=100))) as client:
        hasty = client.with_options(retry=RetryPolicy(outage_wait=10))
        results = await gathered([*listings(client, 3), *listings(hasty, 3, 3)])
        assert [isinstance(each, list) for each in results] == [True] * 3 + [False] * 3
        assert all(isinstance(each, APIConnectionError) for each in results[3:])


@pytest.mark.parametrize("seconds", [60.2, 61, 62, 64, 66, 68])
@virtual
async def test_a_hasty_call_that_comes_late_gets_its_last_probe_in_time(seconds: float) -> None:
    """The probing call sleeps for long; another one's patience ends before that."""
    server = SimulatedServer()
    server.fate = always("refused")
    async with server.client(retry=RetryPolicy(outage_wait=200)) as client:
        patient = [asyncio.ensure_future(each) for each in listings(client, 4)]
        await asyncio.sleep(60)
        hasty = client.with_options(retry=RetryPolicy(outage_wait=seconds))
        (error,) = await gathered([hasty.callflows.list("account9").to_list()])
        assert isinstance(error, APIConnectionError)
        assert now() == pytest.approx(seconds + 0.03, abs=0.1)
        assert server.requests[-1][0] == pytest.approx(seconds + 0.02, abs=0.05)
        server.fate = always("ok")
        assert {len(each) for each in await gathered(patient)} == {3}


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("kind", ["refused", 503, "hang"])
@virtual
async def test_a_deadline_comes_first(kind: str | int, count: int) -> None:
    server = SimulatedServer()
    server.fate = always(kind)
    async with calm_after(server.client(deadline=2, timeout=0.5)) as client:
        errors = await gathered(listings(client, count))
        assert now() == pytest.approx(2, abs=0.01)
        for error in errors:
            assert isinstance(error, APIConnectionError | APIStatusError)
            assert "deadline passed" in str(error.gave_up)
            assert error.affects_others


@virtual
async def test_cancellation_comes_first() -> None:
    server = SimulatedServer()
    server.fate = always("refused")
    async with calm_after(server.client()) as client:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(3):
                await asyncio.gather(*listings(client, 5))
        assert not isinstance(caught.value, APITimeoutError)
        assert now() == pytest.approx(3)


@virtual
async def test_one_attempt_means_one_request_and_no_waiting() -> None:
    server = SimulatedServer()
    server.fate = always(503)
    async with calm_after(server.client(retry=RetryPolicy(attempts=1))) as client:
        errors = await gathered(listings(client, 5))
        assert {(error.attempts, error.gave_up) for error in errors} == {
            (1, "no attempt is left (RetryPolicy.attempts)")
        }
        assert client.stats.outages == 0
    assert len(server.requests) == 5


@virtual
async def test_outage_wait_0_turns_outages_off() -> None:
    server = SimulatedServer()
    server.fate = always(503)
    async with calm_after(server.client(retry=RetryPolicy(attempts=3, outage_wait=0))) as client:
        errors = await gathered(listings(client, 5))
        assert {(error.attempts, error.probes) for error in errors} == {(3, 0)}
        assert (client.stats.outages, client.stats.retries) == (0, 10)


@virtual
async def test_whoami_needs_no_request_and_does_not_wait() -> None:
    server = SimulatedServer()
    async with calm_after(server.client(auth=UserAuth("ann", "secret-word", account_name="acme"))) as client:
        assert (await client.whoami()).account_id == "root"
        server.fate = always("refused")
        waiting = [asyncio.ensure_future(each) for each in listings(client, 5)]
        await asyncio.sleep(5)
        begun = now()
        assert (await client.whoami()).account_id == "root"
        assert now() == begun
        assert detector(client)._outage is not None  # nothing was sent, so nothing was learned
        server.fate = always("ok")
        await gathered(waiting)


# --- what is seen of it --------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["deadline", "cancellation"])
@pytest.mark.parametrize(("rate", "seconds", "latency"), [(50, 0.5, 0.1), (5, 2.0, 0.3)])
@virtual
async def test_calls_with_little_time_neither_prolong_it_nor_load_the_server(
    limit: str, rate: int, seconds: float, latency: float
) -> None:
    """Calls come all the time. The oldest ones, which end soon, must not be those that are sent."""
    server = SimulatedServer(latency=latency)
    server.fate = between(1, 10, "refused")
    late: list[bool] = []

    async def call(client: VinixClient, number: int) -> None:
        await asyncio.sleep(number / rate)
        begun, served = now(), False
        with suppress(VinixError, TimeoutError):
            async with asyncio.timeout(seconds if limit == "cancellation" else None):
                served = bool(await client.callflows.list(f"account{number % 50}").to_list())
        if begun > 25:  # the server has been back for longer than the longest interval between two probes
            late.append(served)

    async with calm_after(server.client(deadline=seconds if limit == "deadline" else None)) as client:
        await asyncio.gather(*(call(client, number) for number in range(rate * 30)))
    assert all(late)
    assert len(late) > rate
    assert sum(4 < at < 10 for at, _ in server.requests) < 10


@pytest.mark.parametrize("limit", ["deadline", "cancellation"])
@virtual
async def test_nor_do_calls_whose_probes_hang_after_the_end_of_outage_wait(limit: str) -> None:
    """Each probe is cancelled. The next one is sent only when it is due, although other calls wait for the result."""
    server = SimulatedServer()
    server.fate = lambda _, at: "refused" if at < 2 else "hang"

    async def call(client: VinixClient, number: int) -> None:
        await asyncio.sleep(number / 10)
        with suppress(VinixError, TimeoutError):
            async with asyncio.timeout(0.5 if limit == "cancellation" else None):
                await client.callflows.list(f"account{number % 50}").to_list()

    policy = RetryPolicy(outage_wait=5)
    async with calm_after(server.client(deadline=0.5 if limit == "deadline" else None, retry=policy)) as client:
        await asyncio.gather(*(call(client, number) for number in range(600)))
    assert 3 <= sum(20 < at < 60 for at, _ in server.requests) <= 40 / 5


@virtual
async def test_two_clients_know_nothing_of_each_other() -> None:
    server, other = SimulatedServer(), SimulatedServer()
    server.fate = between(0, 10, "refused")
    async with calm_after(server.client()) as away, other.client() as well:
        waiting = asyncio.ensure_future(away.callflows.list("account0").to_list())
        await asyncio.sleep(1)
        begun = now()
        await gathered(listings(well, 10))
        assert now() - begun < 0.1
        await waiting


@virtual
async def test_an_outage_is_counted_where_calls_waited_and_its_seconds_are_wall_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = SimulatedServer()
    server.fate = lambda _, at: 503 if 1 <= at < 5 or 20 <= at < 23 else "ok"
    async with calm_after(server.client()) as client:
        idle = client.with_options()
        await idle.callflows.list("good").to_list()
        await asyncio.sleep(1)
        view = client.with_options()
        await gathered(listings(view, 20))
        first = view.stats.outage_seconds
        assert now() - 1.3 <= first <= now() - 1
        await asyncio.sleep(20 - now())
        await gathered(listings(client, 20))
        assert (client.stats.outages, view.stats.outages, idle.stats.outages) == (2, 1, 0)
        assert client.stats.outage_seconds > first == view.stats.outage_seconds
        assert client.stats.requests == len(server.requests)
    told = [record for record in caplog.records if record.levelno == logging.WARNING]
    events = [(vars(record)["event"], record.getMessage()) for record in told]
    assert [event for event, _ in events if event != "RetryEvent"] == ["OutageStarted", "OutageEnded"] * 2
    assert re.fullmatch(
        r"the server is unavailable; calls wait until it is back; last error: 503 Service Unavailable "
        r"\[GET /accounts/account\d{4}/callflows\] \(.*request_id=\w+\)",
        next(message for event, message in events if event == "OutageStarted"),
    )
    ended = next(record for record in told if vars(record)["event"] == "OutageEnded")
    assert re.fullmatch(r"the server is back after \d\.\d s; failed probes: \d", ended.getMessage())
    assert vars(ended)["seconds"] > 3
    assert vars(ended)["probes"] >= 3


@pytest.mark.parametrize(("sent_at", "is_outage"), [(5.0, True), (10.5, False)], ids=["sent before", "sent after"])
async def test_only_the_answer_to_a_later_request_separates_failures(sent_at: float, *, is_outage: bool) -> None:
    """Answers to requests that were already in flight still come when a gateway has just failed."""
    clock = FakeClock(now=10.0)
    outages = OutageDetector(StoppableClock(clock))
    options = CallOptions(timeout=1.0, deadline=None, retry=RetryPolicy(), on_retry=None)
    answered, pending, *failing = [Ticket(name, callflows=True, options=options) for name in "abcdef"]
    for ticket in (answered, pending, *failing):
        outages.begin(ticket)

    async def no_answer() -> bool:
        return False

    def failure() -> APIConnectionError:
        return APIConnectionError("reset", server_away=True)

    for ticket in failing[:3]:
        assert not await outages.failed(ticket, failure(), no_answer)
    clock.now = 11.0
    answered.sent_at = sent_at
    outages.succeeded(answered)
    assert await outages.failed(failing[3], failure(), no_answer) is is_outage
