"""Decides which failures are retried, how long to wait, and when to stop. This is the only module that uses tenacity.

The caller makes the first attempt. If it fails, the failure is passed to ``retry`` as the outcome of attempt 1. So a
call that succeeds at once does not use this module, and a process imports tenacity only after its first failure.
"""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, cast

from attrs import field, frozen

from .._config import count_validator, number_validator
from .._exceptions import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    ConfigurationError,
    DecodeError,
    RateLimitError,
    VinixError,
)
from .._public import public
from .clock import Clock

if TYPE_CHECKING:
    from tenacity import Future, RetryCallState

T = TypeVar("T")

_FAULT_SCALE: Final = 2.5
"""The factor by which waits after a failure are longer than waits after a 429.

A token bucket is refilled every second, but a failed database or gateway takes longer to recover.
"""


def _statuses(value: Iterable[int]) -> frozenset[int]:
    with suppress(TypeError):  # raised if the value is not iterable or contains lists
        statuses = frozenset(value)
        if all(type(each) is int for each in statuses):
            return statuses
    raise ConfigurationError("statuses must be a collection of HTTP statuses, such as {502, 503}")


@public
@frozen(kw_only=True)
class RetryPolicy:
    """How often, for how long and after which failures a request is retried. All times are in seconds.

    Attributes:
        attempts: the maximum number of attempts, including the first one. 1 disables retries.
        deadline: the time limit of one request, including all attempts and waits. None means no limit.
        wait_initial: the base of the waits. After a failure, a call waits for a random time between 0 and
            ``min(wait_max, 2.5 * wait_initial * 2 ** (attempt - 1))`` (full jitter). After a 429, it waits for the
            pause of the account (at first ``1 / Limits.rate``) plus a random time that is calculated without the
            factor 2.5.
        wait_max: the longest of these random times.
        retry_after_max: the longest ``Retry-After`` that is obeyed. A longer one ends the call at once.
        statuses: the statuses that are retried. Connection failures, truncated bodies and successful responses that
            are not JSON are always retried.
        outage_wait: how long calls wait while the server is unavailable, counted from the beginning of the outage.
            None means 900 seconds for a sweep or a listing of accounts, and 60 for any other call, such as the listing
            of one account's callflows. 0 turns outage detection off, as ``attempts=1`` does: each call then follows
            its own retry policy alone.
    """

    attempts: int = field(default=5, validator=count_validator)
    deadline: float | None = field(default=None, validator=number_validator(optional=True))
    wait_initial: float = field(default=0.1, validator=number_validator())
    wait_max: float = field(default=20.0, validator=number_validator())
    retry_after_max: float = field(default=60.0, validator=number_validator())
    statuses: frozenset[int] = field(default=frozenset({408, 425, 429, 500, 502, 503, 504}), converter=_statuses)
    outage_wait: float | None = field(default=None, validator=number_validator(optional=True))


class Retriable(Protocol):
    """The interface of a call that can be retried.

    ``spent`` is the number of attempts made so far that count towards ``RetryPolicy.attempts``. ``hold`` is the minimum
    number of seconds to wait after a 429.
    """

    hold: float

    @property
    def spent(self) -> int: ...

    def before_wait(self, wait: float, error: VinixError) -> None:
        """Report that the call will wait for ``wait`` seconds because of ``error``."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""
        ...


def is_retryable(error: BaseException, policy: RetryPolicy) -> bool:
    """Return whether a retry may help and ``policy`` allows it.

    The result is false for all exceptions from outside this library, such as a cancellation.
    """
    if not isinstance(error, VinixError) or error.gave_up is not None:
        return False
    if isinstance(error, APIStatusError):
        return error.transient and error.status in policy.statuses and not isinstance(error, AuthenticationError)
    return isinstance(error, APIConnectionError | DecodeError) and error.transient


def why_final(error: VinixError, policy: RetryPolicy) -> str | None:
    """Return the reason why ``error`` is not retried. Return None if it is retryable, or if no request failed."""
    match error:
        case _ if is_retryable(error, policy):
            return None
        case AuthenticationError():
            return "refused credentials are not retried"
        case APIStatusError():
            retried = error.status in policy.statuses
            return f"a retry would get this {error.status} again" if retried else f"a {error.status} is not retried"
        case APIConnectionError():
            return "a retry would fail in the same way"
        case DecodeError():
            return "a retry would get the same response"
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
    """Call ``attempt``, which has failed once with ``failure``, until it succeeds or another retry makes no sense.

    ``ends_at`` is the deadline on the monotonic clock. No wait is started that would end after the deadline. If the
    error that is raised could have been retried, its ``gave_up`` says why it was not.
    """
    from tenacity import AsyncRetrying, retry_if_exception  # noqa: PLC0415  # slow to import and rarely needed

    first: VinixError | None = failure

    async def resumed() -> T:
        nonlocal first
        if first is not None:
            error, first = first, None
            raise error
        return await attempt()

    def wait(state: "RetryCallState") -> float:
        error = _error(state)
        rate_limited = isinstance(error, RateLimitError)
        scale = policy.wait_initial * (1.0 if rate_limited else _FAULT_SCALE)
        exponent = min(max(call.spent - 1, 0), 60)
        seconds = clock.random() * min(policy.wait_max, scale * 2.0**exponent)
        if rate_limited:
            seconds += call.hold
        return max(seconds, _retry_after(error) or 0.0)

    def stop(state: "RetryCallState") -> bool:
        error, seconds = _error(state), state.upcoming_sleep
        retry_after, most = _retry_after(error), policy.retry_after_max
        if call.spent >= policy.attempts:
            error.gave_up = "no attempt is left (RetryPolicy.attempts)"
        elif retry_after is not None and retry_after > most:
            error.gave_up = f"the server asked to wait {retry_after:.0f} s, but RetryPolicy.retry_after_max is {most:g}"
        elif clock.monotonic() + seconds >= ends_at:
            error.gave_up = f"the next attempt, in {seconds:.1f} s, would be after the deadline"
        return error.gave_up is not None

    # Each call creates its own AsyncRetrying, because concurrent calls would overwrite the state of a shared one.
    retrying = AsyncRetrying(
        retry=retry_if_exception(lambda error: is_retryable(error, policy)),
        wait=wait,
        stop=stop,  # called after wait
        before_sleep=lambda state: call.before_wait(state.upcoming_sleep, _error(state)),
        sleep=call.sleep,
        reraise=True,
    )
    return await retrying(resumed)


def _retry_after(error: VinixError) -> float | None:
    return error.retry_after if isinstance(error, APIStatusError) else None


def _error(state: "RetryCallState") -> VinixError:
    # tenacity calls the functions above only after an exception for which is_retryable is true.
    return cast("VinixError", cast("Future", state.outcome).exception())
