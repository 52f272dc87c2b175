"""One operation: token, pace, send, read the envelope; again where that helps."""

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from .._exceptions import APITimeoutError, AuthenticationError, ConfigurationError, RateLimitError, VinixError
from .._http.request import Envelope, Request, Secrets
from .._http.response import read_envelope
from .._http.transport import Transport
from .auth import Auth, Token, TokenAuth
from .clock import Clock
from .log import logger
from .options import Options
from .rate_limiter import ACCOUNT_RETRIES, Gate, Gates, Limits
from .retry import RetryBudget, retried
from .token_cache import TokenSource

_CLIENT_RETRIES: Final = 100.0


class _ExchangeError(Exception):
    """Carries a failed exchange past the retry loop: the exchange has had its own."""

    def __init__(self, error: VinixError) -> None:
        super().__init__()
        self.error = error


class Requester:
    """What a client and its views share: connections, tokens, paces, budgets, background tasks."""

    def __init__(
        self,
        transport: Transport,
        auth: Auth | Callable[[str], Auth | str],
        limits: Limits,
        clock: Clock,
        options: Options,
    ) -> None:
        self.transport = transport
        self.clock = clock
        self.limits = limits
        self.gates: Gates = Gates(limits, clock)
        self.budget: RetryBudget = RetryBudget(_CLIENT_RETRIES)
        self.tasks: set[asyncio.Task[object]] = set()
        # Of the client's own, so that no seed of the caller's makes two processes send the same request ids.
        self.random: random.Random = random.Random()
        self._auth = auth
        self._options = options
        self._only_source: TokenSource | None = None
        self._sources: dict[Auth, TokenSource] = {}

    def send(self, request: Request, options: Options, ends_at: float = math.inf) -> Coroutine[Any, Any, Envelope]:
        """The envelope that answers ``request``; raises what ended the last attempt.

        ``ends_at`` is on the monotonic clock, and bounds all of it.
        """
        operation = _Operation(self, request, options, ends_at)
        source = self._source(request.account_id)
        return operation.run(lambda gate: operation.attempt_with_token(gate, source))

    def ends_at(self, options: Options) -> float:
        """When a call that begins now must have ended, on the monotonic clock."""
        return math.inf if options.deadline is None else self.clock.monotonic() + options.deadline

    async def _exchange(self, request: Request, auth: Auth, budget: RetryBudget) -> Envelope:
        logger.info("exchanging credentials for a token: %s %s", request.method, request.path)
        operation = _Operation(self, request, self._options, math.inf)
        return await operation.run(lambda gate: operation.attempt_login(gate, auth), budget)

    def _source(self, account_id: str | None) -> TokenSource:
        if isinstance(self._auth, Auth):
            if self._only_source is None:
                self._only_source = self._new_source(self._auth)
            return self._only_source
        try:
            auth = as_auth(self._auth(account_id or ""))
            source = self._sources.get(auth)
        except VinixError:
            raise
        except Exception as error:
            kind = type(error).__name__
            raise ConfigurationError(
                f"the auth function gives no credentials for this account: {kind}", account_id=account_id
            ) from error
        if source is None:
            source = self._new_source(auth)
            if source.renewable:  # a function may give another token each time
                self._sources[auth] = source
        return source

    def _new_source(self, auth: Auth) -> TokenSource:
        budget = RetryBudget(ACCOUNT_RETRIES)  # logins share a pace, and no more than that
        return TokenSource(auth, lambda request: self._exchange(request, auth, budget), self.clock)

    async def close(self) -> None:
        """End what runs in the background, then the connections."""
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.transport.close()


class _Operation:
    """One request on its way to an answer, with all its attempts."""

    def __init__(self, shared: Requester, request: Request, options: Options, ends_at: float) -> None:
        self._shared = shared
        self._request = request
        self._options = options
        self._ends_at = ends_at
        if options.retry.deadline is not None:
            self._ends_at = min(ends_at, shared.clock.monotonic() + options.retry.deadline)
        self._sent = 0
        self._sent_at = 0.0
        self._hold = 0.0
        self._replayed = False

    async def run(self, attempt: Callable[[Gate], Awaitable[Envelope]], budget: RetryBudget | None = None) -> Envelope:
        """The envelope. ``budget`` pays for retries in place of the account's own."""
        gates, account_id = self._shared.gates, self._request.account_id
        gate = gates.hold(account_id)
        budgets = (budget or gate.budget, self._shared.budget)

        def again() -> Awaitable[Envelope]:
            return attempt(gate) if self._ends_at == math.inf else self._in_time(attempt, gate)

        outcome: Envelope | VinixError
        try:
            try:
                outcome = await again()
            except VinixError as error:
                outcome = error
            if isinstance(outcome, VinixError):
                outcome = await retried(
                    outcome,
                    again,
                    policy=self._options.retry,
                    clock=self._shared.clock,
                    deadline=self._ends_at,
                    budgets=budgets,
                    hold=lambda _: self._hold,
                    before_wait=self._before_wait,
                )
        except _ExchangeError as failure:
            failed = failure.error
        except VinixError as error:
            error.account_id = account_id
            error.attempts = self._sent
            raise
        else:
            gate.succeeded()
            for each in budgets:
                each.refund()
            return outcome
        finally:
            gates.release(gate)
        failed.account_id = account_id
        raise failed

    async def _in_time(self, attempt: Callable[[Gate], Awaitable[Envelope]], gate: Gate) -> Envelope:
        left = self._ends_at - self._shared.clock.monotonic()
        try:
            if left > 0:  # else a request would go out on a kept connection all the same
                async with asyncio.timeout(left):
                    return await attempt(gate)
        except VinixError:
            raise  # an APITimeoutError is a TimeoutError too, but not this one
        except TimeoutError:
            pass
        raise APITimeoutError("the deadline passed", transient=False)

    async def attempt_with_token(self, gate: Gate, source: TokenSource) -> Envelope:
        """One attempt; a 401 is answered by one new token and one replay in all."""
        gates = self._shared.gates
        while True:
            try:
                token = await source.token()
            except VinixError as error:
                raise _ExchangeError(error) from None
            if not gates.enter_now(gate):
                await self._stand_in_line(gate)
            try:
                if not source.is_current(token):
                    continue  # it was refused or renewed while this request stood in line
                try:
                    envelope = await self._send(gate, token, source.secrets(token))
                except AuthenticationError:
                    if self._replayed or not source.refused(token):
                        raise
                    self._replayed = True
                    continue
                source.proven()
                return envelope
            finally:
                gates.leave(gate)

    async def _stand_in_line(self, gate: Gate) -> None:
        monotonic = self._shared.clock.monotonic
        asked_at = monotonic()
        await self._shared.gates.enter(gate, self._ends_at)
        self._options.meter.waiting += monotonic() - asked_at

    async def attempt_login(self, gate: Gate, auth: Auth) -> Envelope:
        """One attempt of an exchange. It takes none of the places that calls wait in for its token."""
        await gate.enter(self._ends_at)
        try:
            return await self._send(gate, None, Secrets(auth.secrets()))
        finally:
            gate.leave()

    async def _send(self, gate: Gate, token: Token | None, secrets: Secrets) -> Envelope:
        request, clock, transport = self._request, self._shared.clock, self._shared.transport
        request_id = f"{self._shared.random.getrandbits(128):032x}"
        self._sent += 1
        self._options.meter.requests += 1
        self._sent_at = clock.monotonic()
        try:
            response = await transport.send(request, request_id=request_id, token=token, timeout=self._options.timeout)
        except VinixError as error:
            error.request_id = request_id
            logger.debug("%s %s: %s (%s)", request.method, request.path, type(error).__name__, request_id)
            raise
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s %s: %d (%s)", request.method, request.path, response.status, request_id)
        try:
            return read_envelope(request, response, base_url=transport.base_url, now=clock.time(), secrets=secrets)
        except RateLimitError as error:
            self._options.meter.refusals += 1
            asked = error.retry_after or 0.0
            obeyed = asked if asked <= self._options.retry.retry_after_max else 0.0
            self._hold = gate.refused(self._sent_at, obeyed)
            raise

    def _before_wait(self, attempt: int, wait: float, error: VinixError) -> None:
        path = self._request.path
        self._options.meter.retries += 1
        self._options.meter.waiting += wait
        logger.info("attempt %d failed, next in %.2f s: %s: %s", attempt, wait, path, error)
        if self._options.on_retry is not None:
            from .event import RetryEvent  # noqa: PLC0415  # few are told

            event = RetryEvent(attempt=attempt, wait=wait, error=error, path=path, account_id=self._request.account_id)
            self._options.on_retry(event)


def as_auth(value: object) -> Auth:
    """``value`` as credentials; a plain string is a token."""
    if isinstance(value, str):
        return TokenAuth(value)
    if not isinstance(value, Auth):
        raise ConfigurationError(
            "auth must be a token, TokenAuth, UserAuth, ApiKeyAuth, or a function of the account id that "
            f"returns one of them, not {type(value).__name__}"
        )
    return value
