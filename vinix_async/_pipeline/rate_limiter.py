"""Limits the number of requests in flight and the request rate of each account.

The server keeps a token bucket for each pair of client address and account (100 tokens, refilled by 10 per second).
Some versions of Kazoo do not say how many tokens are left in the bucket. Others take no token from the bucket for a
request with a valid ``X-Auth-Token``. Therefore the rate of an account is not limited until the server answers 429.
From then on the rate is adapted: a 429 lowers it, and each success raises it a little. After a minute without a 429 the
limit is removed. While calls for the account are in progress, the last rate is remembered, and the next 429 restores
it.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from .._config import Limits
from .._exceptions import APITimeoutError
from .clock import Clock

_FORGET_AFTER: Final = 60.0
"""Seconds without a 429 after which the rate of an account is no longer limited."""

_MAX_IDLE_ACCOUNTS: Final = 1000
"""The maximum number of accounts that have no request in flight and whose rates are remembered."""

_INCREASE: Final = 0.002
"""By how much a success raises the rate of a rate-limited account, as a share of ``Limits.rate``."""

_SMALL_DECREASE: Final = 0.9
_LARGE_DECREASE: Final = 0.5
"""A 429 multiplies the rate by one of these factors.

If the server adds ``Limits.rate`` tokens per second to the account's token bucket, about ``Limits.rate`` requests or
more succeed between two 429s. If far fewer have succeeded, the server allows this account much less. The rate must then
fall fast, before the calls have used up their attempts.
"""

_FEW_SUCCESSES: Final = 0.8
"""The large decrease is used if fewer than ``_FEW_SUCCESSES * Limits.rate`` requests succeed between two 429s."""

_LEAST_RATE: Final = 0.02
"""The lowest rate of a rate-limited account, as a share of ``Limits.rate``."""

_MAX_HOLD: Final = 20.0
"""The maximum pause of an account after a 429 without a Retry-After, in seconds."""

LOGIN_HOLD: Final = 4.2
"""The first pause after a 429 to a login, in seconds.

The 429 empties the server's token bucket. The bucket is refilled by 10 tokens per second, and a login may cost 35 of
them.
"""

Waiting = Callable[[float], AbstractContextManager[None]]
"""A function that accepts the expected seconds of a wait. It returns a context manager to enter during the wait."""


class Semaphore:
    """A FIFO semaphore. If it is free, acquiring it does not suspend the task."""

    __slots__ = ("_free", "_waiting")

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    def acquire_nowait(self) -> bool:
        """Acquire the semaphore if this is possible without waiting. Return whether it was acquired."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    async def acquire(self) -> None:
        """Acquire the semaphore. Tasks acquire it in the order in which they started to wait."""
        if self.acquire_nowait():
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the semaphore was acquired just before the task was cancelled
                self.release()
            raise

    def release(self) -> None:
        """Release the semaphore. The task that has waited longest acquires it next."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class AccountLimiter:
    """The limits of one account. All logins together are treated as one account, because they share a token bucket."""

    def __init__(self, account_id: str | None, limits: Limits, clock: Clock) -> None:
        self.account_id: Final = account_id
        self.users: int = 0
        self._limits = limits
        self._clock = clock
        self._slots = Semaphore(limits.per_account)
        self._turn: Semaphore | None = None  # held by the call that waits for the rate limit
        self._rate: float | None = None
        self._next_at = -math.inf
        self._limited_at = -math.inf
        self._limited_in_a_row = 0
        self._learned_rate = limits.rate  # the rate after the next 429
        self._successes = 0  # since the last 429

    @property
    def idle(self) -> bool:
        """Whether no call uses the limiter and the rate of the account is not limited."""
        return self.users == 0 and (self._rate is None or self._forgets())

    def acquire_nowait(self) -> bool:
        """Acquire a slot if one is free and the account is not rate-limited. Return whether it was acquired."""
        return self._rate is None and self._slots.acquire_nowait()

    async def acquire(self, ends_at: float, waiting: Waiting) -> None:
        """Wait for a free slot and acquire it. Then wait until the rate limit allows a request.

        Raise ``APITimeoutError`` if the rate limit allows a request only after ``ends_at``.
        """
        await self._slots.acquire()
        try:
            if self._rate is not None:
                await self._wait_for_rate(ends_at, waiting)
        except BaseException:
            self._slots.release()
            raise

    def release(self) -> None:
        """Release the slot."""
        self._slots.release()

    async def _wait_for_rate(self, ends_at: float, waiting: Waiting) -> None:
        turn = self._turn = self._turn or Semaphore(1)
        await turn.acquire()  # calls wait one after another: each uses the rate that is current at its turn
        try:
            while (wait := self._next_at - self._clock.monotonic()) > 0:
                if self._next_at >= ends_at:
                    error = APITimeoutError(
                        f"the account's rate limit allows the next request only in {wait:.1f} s",
                        transient=False,
                        gave_up="the next request would be after the deadline",
                    )
                    error.affects_others = True
                    raise error
                with waiting(wait):
                    await self._clock.sleep(wait)
            if self._rate is None:
                return
            if self._forgets():
                self._learned_rate = min(self._rate, self._limits.rate)
                self._rate = None
                return
            now = self._clock.monotonic()
            saved_up = (self._limits.burst - 1) / self._rate
            self._next_at = max(self._next_at, now - saved_up) + 1 / self._rate
        finally:
            turn.release()

    def _forgets(self) -> bool:
        return self._clock.monotonic() - self._limited_at > _FORGET_AFTER

    def rate_limited(self, sent_at: float, retry_after: float = 0.0) -> float:
        """Record a 429 to a request sent at ``sent_at``. Return the minimum number of seconds before a retry.

        The next request for the account is sent after this time at the earliest, or after ``retry_after`` seconds if
        that is later.
        """
        now = self._clock.monotonic()
        if sent_at >= self._limited_at:  # otherwise the request was already in flight when the rate was lowered
            if self._rate is None:
                self._rate = self._learned_rate
            elif self._limited_in_a_row == 0:
                few = self._successes < _FEW_SUCCESSES * self._limits.rate
                factor = _LARGE_DECREASE if few else _SMALL_DECREASE
                self._rate = max(_LEAST_RATE * self._limits.rate, factor * self._rate)
            self._successes = 0
            hold = LOGIN_HOLD if self.account_id is None else 1 / self._limits.rate
            self._next_at = now + min(hold * 2.0 ** min(self._limited_in_a_row, 10), _MAX_HOLD)
            self._limited_in_a_row += 1
            self._limited_at = now
        wait = max(0.0, self._next_at - now)
        self._next_at = max(self._next_at, now + retry_after)
        return wait

    def succeeded(self) -> None:
        """Record a successful request. If the account is rate-limited, this raises its rate a little."""
        self._limited_in_a_row = 0
        self._successes += 1
        if self._rate is not None:
            self._rate += _INCREASE * self._limits.rate


class RateLimiter:
    """The limits of all accounts that have requests in flight or were rate-limited recently."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._accounts: dict[str | None, AccountLimiter] = {}
        self._all = Semaphore(limits.max_concurrency)

    async def acquire(self, account_id: str | None, ends_at: float, waiting: Waiting) -> AccountLimiter:
        """Acquire the slots that one request needs. They must be returned with ``release``.

        ``account_id`` is None for a login. A login does not count towards ``max_concurrency``, because the calls that
        wait for its token may already hold all slots.
        """
        account = self._accounts.get(account_id)
        if account is None:
            account = self._accounts[account_id] = AccountLimiter(account_id, self._limits, self._clock)
        account.users += 1
        try:
            # Acquire the account's own slot first. A rate-limited account then does not occupy a slot of the whole
            # client while it waits.
            if not account.acquire_nowait():
                await account.acquire(ends_at, waiting)
            if account_id is not None:
                try:
                    if not self._all.acquire_nowait():
                        await self._all.acquire()
                except BaseException:
                    account.release()
                    raise
        except BaseException:
            self._leave(account)
            raise
        return account

    def release(self, account: AccountLimiter) -> None:
        """Release the slots of one request."""
        if account.account_id is not None:
            self._all.release()
        account.release()
        self._leave(account)

    def _leave(self, account: AccountLimiter) -> None:
        account.users -= 1
        if account.idle or (not account.users and len(self._accounts) > _MAX_IDLE_ACCOUNTS):
            del self._accounts[account.account_id]
