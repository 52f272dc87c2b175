"""When a request is sent again, and after how long. The only module that knows tenacity.

A call that succeeds at once never comes here: the first attempt is made bare, and only its failure enters
the retry loop, as the outcome of attempt 1. The first such failure of a process imports tenacity.
"""

import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from attrs import Attribute, field, frozen
from msgspec import Struct

from .._exceptions import (
    APIConnectionError,
    APIStatusError,
    ConfigurationError,
    DecodeError,
    RateLimitError,
    VinixError,
)
from .clock import Clock

if TYPE_CHECKING:
    from tenacity import Future, RetryCallState

T = TypeVar("T")

_FAULT_SCALE: Final = 2.5
"""Waits after a fault are longer than after a refusal: a bucket refills each second, a database does not."""


def _seconds(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if value is None and attribute.default is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
        raise ConfigurationError(f"{attribute.name} must be a number of seconds, at least 0")


def _attempts(_: object, __: object, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError("attempts must be an int, at least 1; it counts the first one")


def _statuses(value: Iterable[int]) -> frozenset[int]:
    statuses = frozenset(value)
    if wrong := [each for each in statuses if type(each) is not int]:
        raise ConfigurationError(f"statuses must be HTTP statuses, not {wrong[0]!r}")
    return statuses


@frozen(kw_only=True)
class RetryPolicy:
    """How often, how long and for which statuses a request is repeated. Seconds everywhere.

    ``attempts`` counts the first one. ``deadline`` bounds one request with all its attempts and waits.
    Waits are drawn from ``[0, min(wait_max, wait_initial * 2**(attempt - 1))]`` after a 429 and from 2.5
    times that after a fault (full jitter). A ``Retry-After`` of up to ``retry_after_max`` is obeyed; a
    longer one ends the call at once. ``statuses`` are those worth another attempt; connection failures,
    truncated bodies and successes that are no JSON always are.
    """

    attempts: int = field(default=5, validator=_attempts)
    deadline: float | None = field(default=None, validator=_seconds)
    wait_initial: float = field(default=0.1, validator=_seconds)
    wait_max: float = field(default=20.0, validator=_seconds)
    retry_after_max: float = field(default=60.0, validator=_seconds)
    statuses: frozenset[int] = field(default=frozenset({408, 425, 429, 500, 502, 503, 504}), converter=_statuses)


class RetryBudget:
    """How many retries may still be made: each costs 1, each success gives back a fifth.

    However long an outage lasts, it costs no more than ``capacity`` requests beyond those that it has to fail;
    and where some succeed, retries add at most a fifth to them.
    """

    __slots__ = ("_capacity", "_left")

    def __init__(self, capacity: float) -> None:
        self._capacity = capacity
        self._left = capacity

    @property
    def full(self) -> bool:
        return self._left >= self._capacity

    @property
    def empty(self) -> bool:
        return self._left < 1

    def spend(self) -> None:
        self._left -= 1

    def refund(self) -> None:
        if self._left < self._capacity:
            self._left = min(self._capacity, self._left + 0.2)


def is_retryable(error: BaseException, policy: RetryPolicy) -> bool:
    """Whether another attempt may help. Only errors of our own can be: never a cancellation."""
    if isinstance(error, APIStatusError):
        return error.status in policy.statuses
    return isinstance(error, APIConnectionError | DecodeError) and error.transient


async def retried(
    failure: VinixError,
    attempt: Callable[[], Awaitable[T]],
    *,
    policy: RetryPolicy,
    clock: Clock,
    deadline: float,
    budgets: Sequence[RetryBudget],
    hold: Callable[[RateLimitError], float],
    before_wait: Callable[[int, float, VinixError], None],
) -> T:
    """The value of ``attempt()``, which has failed once and is called until no further attempt makes sense.

    ``deadline`` is on the monotonic clock; no wait is begun that would cross it. ``hold`` tells the least
    wait after a 429, and ``budgets`` pay for every other retry. ``before_wait`` gets the number of attempts
    made, the seconds to wait, and the error.
    """
    if not is_retryable(failure, policy):
        raise failure
    from tenacity import AsyncRetrying, retry_if_exception  # noqa: PLC0415  # most processes never need it

    first: VinixError | None = failure

    async def resumed() -> T:
        nonlocal first
        if first is not None:
            error, first = first, None
            raise error
        return await attempt()

    loop = _Loop(policy, clock, deadline, budgets, hold, before_wait)
    # One for each call: a shared AsyncRetrying mixes up the calls that use it at the same time.
    tenacious = AsyncRetrying(
        retry=retry_if_exception(lambda error: is_retryable(error, policy)),
        wait=loop.wait,
        stop=loop.stop,
        before_sleep=loop.before_sleep,
        sleep=clock.sleep,
        reraise=True,
    )
    return await tenacious(resumed)


class _Loop(Struct, frozen=True):
    """The decisions of one retry loop, as tenacity asks for them: wait first, then stop, then sleep."""

    policy: RetryPolicy
    clock: Clock
    deadline: float
    budgets: Sequence[RetryBudget]
    hold: Callable[[RateLimitError], float]
    before_wait: Callable[[int, float, VinixError], None]

    def wait(self, state: "RetryCallState") -> float:
        error = _error(state)
        refused = isinstance(error, RateLimitError)
        scale = self.policy.wait_initial * (1.0 if refused else _FAULT_SCALE)
        exponent = min(state.attempt_number - 1, 60)
        jitter = self.clock.random() * min(self.policy.wait_max, scale * 2.0**exponent)
        if isinstance(error, RateLimitError):
            jitter += self.hold(error)
        asked = error.retry_after if isinstance(error, APIStatusError) else None
        return max(jitter, asked or 0.0)

    def stop(self, state: "RetryCallState") -> bool:
        error = _error(state)
        why = self._why_stop(error, state.attempt_number, state.upcoming_sleep)
        if why:
            error.add_note(f"not tried again: {why}")
            return True
        if not isinstance(error, RateLimitError):
            for budget in self.budgets:
                budget.spend()
        return False

    def _why_stop(self, error: VinixError, attempt: int, wait: float) -> str | None:
        if attempt >= self.policy.attempts:
            return f"attempt {attempt} was the last that the policy allows"
        asked = error.retry_after if isinstance(error, APIStatusError) else None
        if asked is not None and asked > self.policy.retry_after_max:
            most = self.policy.retry_after_max
            return f"the server asks to wait {asked:.0f} s, more than retry_after_max={most:g}"
        if self.clock.monotonic() + wait >= self.deadline:
            return f"the next attempt, in {wait:.1f} s, would come after the deadline"
        if not isinstance(error, RateLimitError) and any(budget.empty for budget in self.budgets):
            return "too many requests are failing, and the retry budget is used up"
        return None

    def before_sleep(self, state: "RetryCallState") -> None:
        self.before_wait(state.attempt_number, state.upcoming_sleep, _error(state))


def _error(state: "RetryCallState") -> VinixError:
    # tenacity asks only after an error, and only one that is_retryable.
    return cast("VinixError", cast("Future", state.outcome).exception())
