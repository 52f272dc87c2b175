"""Which failures are tried again, after how long, and when to stop. The only importer of tenacity.

A call that succeeds at once does not come here: the first attempt is made outside, and its failure enters the retry
loop as the outcome of attempt 1. So tenacity is imported with the first failure of a process.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, cast

from .._config import RetryPolicy
from .._exceptions import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    DecodeError,
    RateLimitError,
    VinixError,
)
from .clock import Clock

if TYPE_CHECKING:
    from tenacity import Future, RetryCallState

T = TypeVar("T")

_FAULT_SCALE: Final = 2.5
"""Waits after a failure are longer than after a 429: a token bucket refills each second, a database does not."""


class Retriable(Protocol):
    """A call whose attempts may be repeated."""

    @property
    def spent(self) -> int:
        """How many of the attempts that the policy allows have been made."""
        ...

    @property
    def hold(self) -> float:
        """The least seconds to wait after a 429."""
        ...

    def before_wait(self, wait: float, error: VinixError) -> None:
        """Called before each wait."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


def is_retryable(error: BaseException, policy: RetryPolicy) -> bool:
    """Return whether another attempt may help. Only errors of this library qualify: never a cancellation."""
    if not isinstance(error, VinixError) or error.gave_up is not None:
        return False
    if isinstance(error, APIStatusError):
        return error.transient and error.status in policy.statuses and not isinstance(error, AuthenticationError)
    return isinstance(error, APIConnectionError | DecodeError) and error.transient


def why_final(error: VinixError, policy: RetryPolicy) -> str | None:
    """Say why an error is final; None if it is retryable, or if no request failed."""
    match error:
        case _ if is_retryable(error, policy):
            return None
        case AuthenticationError():
            return "refused credentials are not tried again"
        case APIStatusError():
            retried = error.status in policy.statuses
            return f"this {error.status} would come again" if retried else f"a {error.status} is not retried"
        case APIConnectionError():
            return "another attempt would fail in the same way"
        case DecodeError():
            return "another attempt would get the same response"
        case _:
            return None


async def retry(
    failure: VinixError,
    attempt: Callable[[], Awaitable[T]],
    call: Retriable,
    *,
    policy: RetryPolicy,
    clock: Clock,
    ends_at: float,
) -> T:
    """Call ``attempt``, which has failed once with ``failure``, until it succeeds or no further attempt makes sense.

    ``ends_at`` is on the monotonic clock; no wait is begun that would cross it. The error that is raised says in
    ``gave_up`` why it was the last.
    """
    from tenacity import AsyncRetrying, retry_if_exception  # noqa: PLC0415  # most processes never need it

    first: VinixError | None = failure

    async def resumed() -> T:
        nonlocal first
        if first is not None:
            error, first = first, None
            raise error
        return await attempt()

    decisions = _Decisions(call, policy, clock, ends_at)
    # One for each call: a shared AsyncRetrying mixes up the calls that use it at the same time.
    retrying = AsyncRetrying(
        retry=retry_if_exception(lambda error: is_retryable(error, policy)),
        wait=decisions.wait,
        stop=decisions.stop,
        before_sleep=decisions.before_sleep,
        sleep=call.sleep,
        reraise=True,
    )
    return await retrying(resumed)


class _Decisions:
    """The decisions of one retry loop, in the order in which tenacity asks for them: wait, stop, before_sleep."""

    def __init__(self, call: Retriable, policy: RetryPolicy, clock: Clock, ends_at: float) -> None:
        self._call = call
        self._policy = policy
        self._clock = clock
        self._ends_at = ends_at

    def wait(self, state: "RetryCallState") -> float:
        error = _error(state)
        rate_limited = isinstance(error, RateLimitError)
        scale = self._policy.wait_initial * (1.0 if rate_limited else _FAULT_SCALE)
        exponent = min(max(self._call.spent - 1, 0), 60)
        wait = self._clock.random() * min(self._policy.wait_max, scale * 2.0**exponent)
        if rate_limited:
            wait += self._call.hold
        return max(wait, _retry_after(error) or 0.0)

    def stop(self, state: "RetryCallState") -> bool:
        error = _error(state)
        error.gave_up = self._why_stop(error, state.upcoming_sleep)
        return error.gave_up is not None

    def _why_stop(self, error: VinixError, wait: float) -> str | None:
        if self._call.spent >= self._policy.attempts:
            return "no attempt is left (RetryPolicy.attempts)"
        retry_after, most = _retry_after(error), self._policy.retry_after_max
        if retry_after is not None and retry_after > most:
            return f"the server asks to wait {retry_after:.0f} s, and RetryPolicy.retry_after_max is {most:g}"
        if self._clock.monotonic() + wait >= self._ends_at:
            return f"the next attempt, in {wait:.1f} s, would come after the deadline"
        return None

    def before_sleep(self, state: "RetryCallState") -> None:
        self._call.before_wait(state.upcoming_sleep, _error(state))


def _retry_after(error: VinixError) -> float | None:
    return error.retry_after if isinstance(error, APIStatusError) else None


def _error(state: "RetryCallState") -> VinixError:
    # tenacity asks only after an error, and only one that is_retryable.
    return cast("VinixError", cast("Future", state.outcome).exception())
