"""When to try again, after how long, and when to stop."""

import asyncio
import math
import sys
from collections.abc import Callable
from typing import Any

import pytest
from fake_clock import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from vinix_async import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    DecodeError,
    NotFoundError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    VinixError,
)
from vinix_async._pipeline.retry import is_retryable, retry, why_final


class Call:
    """Fails with each of ``errors`` in turn, then succeeds."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.made = 0
        self.spent = 0
        self.hold = 0.0
        self.waits: list[float] = []
        self.clock = FakeClock()

    def before_wait(self, wait: float, error: VinixError) -> None:
        assert isinstance(error, VinixError)
        self.waits.append(wait)

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    async def __call__(self) -> str:
        self.made += 1
        await asyncio.sleep(0)
        if self.errors:
            self.spent += 1
            raise self.errors.pop(0)
        return "done"


async def run(
    call: Call, clock: FakeClock | None = None, policy: RetryPolicy | None = None, ends_at: float = math.inf
) -> str:
    """What a client does with a call: the first attempt is made outside of the retry loop."""
    call.clock = clock or call.clock
    policy = policy or RetryPolicy()
    try:
        return await call()
    except VinixError as error:
        first = error
    if not is_retryable(first, policy):
        raise first
    return await retry(first, call, call, policy=policy, clock=call.clock, ends_at=ends_at)


def fault() -> ServerError:
    return ServerError("down", status=503)


def refused(**fields: Any) -> RateLimitError:
    return RateLimitError("slow", status=429, **fields)


async def test_successes_and_lasting_errors_never_meet_tenacity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tenacity", None)  # to import it is an error
    assert await run(Call()) == "done"
    with pytest.raises(NotFoundError):
        await run(Call(NotFoundError("x", status=404)))
    with pytest.raises(ImportError):
        await run(Call(fault()))


async def test_attempts_count_the_first_one() -> None:
    call = Call(*(fault() for _ in range(9)))
    with pytest.raises(ServerError) as caught:
        await run(call, policy=RetryPolicy(attempts=3))
    assert call.made == 3
    assert caught.value.gave_up == "no attempt is left (RetryPolicy.attempts)"
    once = Call(fault())
    with pytest.raises(ServerError):
        await run(once, policy=RetryPolicy(attempts=1))
    assert once.made == 1


@pytest.mark.parametrize(("make", "scale"), [(fault, 0.25), (refused, 0.1)], ids=["fault", "refusal"])
@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
async def test_full_jitter_on_two_scales(make: Callable[[], VinixError], scale: float, chance: float) -> None:
    call = Call(*(make() for _ in range(11)))
    await run(call, FakeClock(chance=chance), RetryPolicy(attempts=12))
    assert call.waits == [pytest.approx(chance * min(20.0, scale * 2**n)) for n in range(11)]


async def test_attempts_may_be_many() -> None:
    call = Call(*(fault() for _ in range(1100)))
    assert await run(call, FakeClock(chance=0.0), RetryPolicy(attempts=1200)) == "done"


async def test_waits_are_slept_on_the_clock_that_is_given() -> None:
    clock = FakeClock()
    call = Call(fault(), fault())
    await run(call, clock)
    assert clock.slept == sum(call.waits) > 0


async def test_a_refusal_waits_for_its_account_too() -> None:
    call = Call(refused())
    call.hold = 7.0
    await run(call, FakeClock(chance=0.0))
    assert call.waits == [7.0]


async def test_retry_after_is_a_least_wait() -> None:
    call = Call(ServerError("x", status=503, retry_after=5.0), refused(retry_after=60.0))
    await run(call, FakeClock(chance=0.0))
    assert call.waits == [5.0, 60.0]


@pytest.mark.parametrize("asked", [60.1, math.inf])
async def test_a_longer_retry_after_ends_the_call(asked: float) -> None:
    call = Call(refused(retry_after=asked))
    with pytest.raises(RateLimitError) as caught:
        await run(call)
    assert call.made == 1
    assert caught.value.gave_up == f"the server asked to wait {asked:.0f} s, but RetryPolicy.retry_after_max is 60"


async def test_no_wait_crosses_the_deadline() -> None:
    clock = FakeClock()
    call = Call(*(ServerError("x", status=503, retry_after=4.0) for _ in range(4)))
    with pytest.raises(ServerError) as caught:
        await run(call, clock, ends_at=clock.now + 10)
    assert call.made == 3
    assert caught.value.gave_up == "the next attempt, in 4.0 s, would be after the deadline"


async def test_what_an_outage_gives_back_is_not_spent() -> None:
    call = Call(*(fault() for _ in range(8)))

    async def attempt() -> str:
        call.spent = min(call.spent, 1)  # as a call does whose failures turned out to be part of an outage
        return await call()

    call.spent += 1
    assert await retry(fault(), attempt, call, policy=RetryPolicy(attempts=3), clock=call.clock, ends_at=math.inf)
    assert call.made == 9


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), ValueError(), TimeoutError()])
async def test_what_is_not_ours_is_never_retried(error: BaseException) -> None:
    for errors in ([error], [fault(), error]):
        call = Call(*errors)
        with pytest.raises(type(error)):
            await run(call)
        assert call.made == len(errors)


def test_what_may_pass() -> None:
    policy = RetryPolicy()
    assert is_retryable(APIConnectionError("x"), policy)
    assert is_retryable(APITimeoutError("x"), policy)
    assert is_retryable(DecodeError("x", transient=True), policy)
    assert is_retryable(ServerError("x", status=500), policy)
    assert not is_retryable(APIConnectionError("x", transient=False), policy)
    assert not is_retryable(DecodeError("x"), policy)
    assert not is_retryable(ServerError("x", status=501), policy)
    assert not is_retryable(NotFoundError("x", status=404), policy)
    assert not is_retryable(VinixError("x"), policy)
    assert is_retryable(NotFoundError("x", status=404), RetryPolicy(statuses=frozenset({404})))
    assert not is_retryable(RateLimitError("x", status=429), RetryPolicy(statuses=frozenset({404})))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ServerError("x", status=503), None),
        (AuthenticationError("x", status=401), "refused credentials are not retried"),
        (NotFoundError("x", status=404), "a 404 is not retried"),
        (ServerError("x", status=500, transient=False), "a retry would get this 500 again"),
        (APIConnectionError("x", transient=False), "a retry would fail in the same way"),
        (DecodeError("x"), "a retry would get the same response"),
        (ConfigurationError("x"), None),
        (ClientClosedError("x"), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_final_error_says_why_it_is_final(error: VinixError, words: str | None) -> None:
    assert why_final(error, RetryPolicy()) == words


async def test_many_calls_at_once_do_not_mix() -> None:
    calls = [Call(*(fault() for _ in range(number % 5))) for number in range(200)]
    clock = FakeClock()
    assert await asyncio.gather(*(run(call, clock) for call in calls)) == ["done"] * 200
    assert [call.made for call in calls] == [number % 5 + 1 for number in range(200)]


@pytest.mark.parametrize(
    "options",
    [
        {"attempts": 0},
        {"attempts": 2.0},
        {"attempts": True},
        {"deadline": -1},
        {"wait_initial": "1"},
        {"wait_initial": None},
        {"wait_max": math.inf},
        {"wait_max": math.nan},
        {"retry_after_max": True},
        {"outage_wait": -1},
        {"outage_wait": "60"},
        {"statuses": ["429"]},
    ],
    ids=str,
)
def test_bad_policies_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        RetryPolicy(**options)


@given(st.integers(1, 40), st.floats(0, 0.999), st.floats(0, 100), st.none() | st.floats(0, 60))
async def test_a_wait_is_always_a_bounded_number(
    attempts: int, chance: float, wait_max: float, retry_after: float | None
) -> None:
    policy = RetryPolicy(attempts=attempts + 1, wait_max=wait_max)
    errors = (ServerError("x", status=503, retry_after=retry_after) for _ in range(attempts))
    call = Call(*errors)
    assert await run(call, FakeClock(chance=chance), policy) == "done"
    assert all(0 <= wait <= max(wait_max, retry_after or 0) for wait in call.waits)
