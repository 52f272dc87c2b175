"""Makes a call: waits out an outage, gets a token and a slot, sends the request, reads the response, and retries."""

import asyncio
import inspect
import math
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import Context
from functools import partial
from typing import Any, TypeVar, cast

from attrs import evolve

from .._config import CallOptions, Limits
from .._documents.models import Callflow
from .._exceptions import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    RateLimitError,
    VinixError,
)
from .._http.request import Request, get, headers_for
from .._http.response import NOT_MODIFIED, Envelope, read_envelope
from .._http.status_errors import Secrets
from .._http.transport import Transport
from .clock import Clock, StoppableClock
from .credentials import Auth, Token, as_auth
from .events import AttemptEnded, Log, LoggedIn, LoginFailed, Reason, RetryEvent, WaitEnded, WaitStarted
from .outage import OutageDetector, Ticket, is_answer
from .rate_limiter import RateLimiter
from .retry import is_retryable, retry, why_final
from .token_cache import TokenCache

T = TypeVar("T")

AuthFunction = Callable[[str], Auth | str | Awaitable[Auth | str]]
"""A function that accepts an account id and returns the credentials for this account."""


class Sender:
    """Sends requests. Contains what a client and its views share: connections, tokens, rate limits, tasks, the log."""

    def __init__(self, transport: Transport, auth: Auth | AuthFunction, limits: Limits, clock: Clock) -> None:
        self.transport = transport
        self.clock: StoppableClock = StoppableClock(clock)
        self.limits = limits
        self.log: Log = Log(clock)
        # Requests must not wait for a connection. This wait would count towards their timeout, and a timeout could look
        # like an outage.
        slots = min(limits.max_concurrency, transport.max_connections or limits.max_concurrency)
        self.rate_limiter: RateLimiter = RateLimiter(evolve(limits, max_concurrency=slots), self.clock)
        self.outages: OutageDetector = OutageDetector(self.clock)
        self._tasks: set[asyncio.Task[Any]] = set()
        # Request ids must differ between processes, even if the application seeds the global random generator.
        self.random: random.Random = random.Random()
        self.echoes_request_ids: bool = False  # whether a response has contained the id of its request
        self.headers_echo: bool = False  # whether a response header has contained the id of the request
        self._auth = auth
        self.shared_cache: TokenCache | None = TokenCache(auth, self.clock) if isinstance(auth, Auth) else None
        self._caches: dict[Auth, TokenCache] = {}

    async def send(
        self, request: Request, options: CallOptions, ends_at: float = math.inf, *, claims_suffice: bool = False
    ) -> Envelope:
        """Send ``request``, with retries, and return the envelope of the response. Raise the error of the last attempt.

        ``ends_at`` is the deadline of the whole call, on the monotonic clock. With ``claims_suffice``, the request is
        not sent if the token or the response to its login contains the identity of the token's owner. The envelope then
        contains this identity.
        """
        call = _Call(self, request, options, ends_at, claims_suffice=claims_suffice)
        if self.log.observer is None:
            return await call.run()
        with self.log.observer.call(request):
            return await call.run()

    def ends_at(self, options: CallOptions) -> float:
        """Return the deadline of a call that begins now, on the monotonic clock, or infinity if it has no deadline."""
        return math.inf if options.deadline is None else self.clock.monotonic() + options.deadline

    @property
    def shares_credentials(self) -> bool:
        """Whether all accounts use the same credentials."""
        return self.shared_cache is not None

    async def token_cache(self, account_id: str | None) -> TokenCache:
        """Return the token cache for an account. If ``auth`` is a function, call it.

        If the ``auth`` function raises an exception other than a ``VinixError``, raise ``ConfigurationError`` with this
        exception as its cause. This includes the cancellation of a task that the function waits for.
        """
        if self.shared_cache is not None:
            return self.shared_cache
        try:
            given = cast("AuthFunction", self._auth)(account_id or "")
            auth = as_auth(await given if inspect.isawaitable(given) else given, returned=True)
            cache = self._caches.get(auth)
        except VinixError:
            raise
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            raise ConfigurationError(
                f"the auth function failed with {type(error).__name__}",
                account_id=account_id,
            ) from error
        if cache is None:
            cache = TokenCache(auth, self.clock)
            if cache.renewable:  # not for a fixed token: the function may return another token each time
                self._caches[auth] = cache
        return cache

    def start(self, work: Coroutine[Any, Any, T], context: Context | None = None) -> asyncio.Task[T]:
        """Start a background task that ``close`` cancels.

        The task runs in ``context``. If ``context`` is None, the task runs in a copy of the current context.
        """
        try:
            self.transport.open()
        except VinixError:
            work.close()
            raise
        task = asyncio.create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """End all waits, cancel the background tasks and close the connections."""
        self.clock.stop()
        self.outages.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await self.transport.close()
            self.log.close()


class _Call:
    """A single call: one request with all its attempts."""

    def __init__(
        self, sender: Sender, request: Request, options: CallOptions, ends_at: float, *, claims_suffice: bool = False
    ) -> None:
        self._sender = sender
        self._request = request
        self._options = options
        policy = options.retry
        self._deadline, self._deadline_name = options.deadline, "deadline"
        if policy.deadline is not None and (end := sender.clock.monotonic() + policy.deadline) < ends_at:
            self._deadline, self._deadline_name, ends_at = policy.deadline, "RetryPolicy.deadline", end
        self._ends_at = ends_at
        self._claims_suffice = claims_suffice
        callflows = request.asks_for_callflows
        self._ticket = Ticket(request.account_id, callflows=callflows, options=options, ends_at=ends_at)
        self.hold: float = 0.0
        self._cache: TokenCache | None = None
        self._attempts = 0
        self._probes = 0
        self._replayed = False

    async def run(self) -> Envelope:
        sender, policy = self._sender, self._options.retry
        sender.outages.begin(self._ticket)
        try:
            sender.transport.open()
            if self._claims_suffice and sender.shared_cache and (claims := sender.shared_cache.claims):
                return Envelope(data=claims)
            attempt = self._attempt_through_outages if self._ends_at == math.inf else self._attempt_in_time
            try:
                return await attempt()
            except VinixError as error:
                if not is_retryable(error, policy):
                    raise
                failure = error
            return await retry(failure, attempt, self, policy=policy, clock=sender.clock, ends_at=self._ends_at)
        except VinixError as error:
            self._complete(error)
            error.gave_up = error.gave_up or why_final(error, policy)
            raise
        finally:
            sender.outages.end(self._ticket)

    def _complete(self, error: VinixError) -> None:
        """Set the fields of ``error`` that describe this call."""
        request = self._request
        error.attempts = self._attempts
        error.attempts_allowed = self._options.retry.attempts
        error.probes = self._probes
        if error.method is None:  # it is already set for a failed login, which does not belong to an account
            error.method, error.path = request.method, request.path
            error.account_id, error.callflow_id = request.account_id, error.callflow_id or request.callflow_id

    # --- the interface for the retry loop ---

    @property
    def spent(self) -> int:
        return self._ticket.spent

    def before_wait(self, wait: float, error: VinixError) -> None:
        request, options = self._request, self._options
        event = RetryEvent(
            method=request.method,
            path=request.path,
            account_id=request.account_id,
            callflow_id=request.callflow_id,
            attempt=self._attempts,
            attempts=options.retry.attempts,
            wait=wait,
            error=error,
        )
        options.notify(event)
        if options.on_retry is not None:
            options.on_retry(event)

    async def sleep(self, seconds: float) -> None:
        with self._waiting("retry", seconds):
            await self._sender.clock.sleep(seconds)

    # --- attempts ---

    async def _attempt_in_time(self) -> Envelope:
        """Make one attempt. Raise an error if the call's deadline passes before it is complete."""
        left = self._ends_at - self._sender.clock.monotonic()
        try:
            if left > 0:  # if no time is left, asyncio.timeout would still let a request be sent on an open connection
                async with asyncio.timeout(left):
                    return await self._attempt_through_outages()
        except VinixError:
            raise  # an APITimeoutError is also a TimeoutError, but it does not come from asyncio.timeout
        except TimeoutError:
            pass
        failure = self._sender.outages.deadline_passed(self._ticket)
        if failure is None:
            failure = APITimeoutError(
                f"the call was not complete within {self._deadline:g} s ({self._deadline_name})",
                transient=False,
                gave_up="the deadline has passed",
            )
            failure.affects_others = True
        raise failure

    async def _attempt_through_outages(self) -> Envelope:
        """Make one attempt. Attempts that fail because of an outage are repeated here and do not count."""
        outages, ticket, request, policy = self._sender.outages, self._ticket, self._request, self._options.retry
        while True:
            if outages.must_wait(ticket):
                await outages.enter(ticket)
            ticket.sent_at = self._sender.clock.monotonic()
            try:
                envelope = await self._attempt()
            except VinixError as error:
                self._complete(error)
                if is_answer(error):
                    outages.answered(ticket, callflows=ticket.callflows and error.path == request.path)
                elif is_retryable(error, policy) and await outages.failed(ticket, error, self._server_answers):
                    continue
                ticket.spent += 1
                raise
            if envelope is None:
                continue
            outages.succeeded(ticket)
            envelope.attempts, envelope.attempts_allowed = self._attempts, self._options.retry.attempts
            return envelope

    async def _server_answers(self) -> bool:
        """Request callflows of an account for which this succeeded before, and return whether the server answers.

        Return False if there is no such account.
        """
        sender, account_id, policy = self._sender, self._sender.outages.served, self._options.retry
        if account_id is None:
            return False
        one = {"page_size": "1"}
        request = get("accounts", account_id, "callflows", query=one, account_id=account_id, kind=Callflow)
        call = _Call(sender, request, self._options, self._ends_at)
        call._ticket.probing = True
        try:
            cache = await sender.token_cache(account_id)
            token = await cache.get(partial(call._log_in, cache))
            # Other calls wait for the result, so do not wait for the rate limit. A 429 is an answer, too.
            await call._exchange(request, token, token.secrets)
        except ClientClosedError:
            raise
        except VinixError as error:
            return is_answer(error) or not is_retryable(error, policy)
        finally:
            self._attempts += call._attempts
            self._probes += call._probes
        return True

    async def _attempt(self) -> Envelope | None:
        """Send the request once. Return None if the caller must call this method again.

        There are two such cases. After a 401, another token may help, but this is tried only once per call. Or the
        token was replaced, or an outage began, while the call waited for a slot. Then the request was not sent.
        """
        sender, request = self._sender, self._request
        cache = self._cache
        if cache is None:
            cache = self._cache = sender.shared_cache or await sender.token_cache(request.account_id)
        try:
            token = await cache.get(partial(self._log_in, cache))
        except RateLimitError:
            self.hold = cache.blocked_for
            raise
        if self._claims_suffice and token.claims:
            return Envelope(data=token.claims)
        waiting = partial(self._waiting, "rate_limit")
        account = await sender.rate_limiter.acquire(request.account_id, self._ends_at, waiting)
        try:
            if not cache.is_current(token) or sender.outages.must_wait(self._ticket):
                return None
            sent_at = sender.clock.monotonic()
            try:
                envelope = await self._exchange(request, token, token.secrets)
            except AuthenticationError as error:
                refusal = error
            except RateLimitError as error:
                self.hold = account.rate_limited(sent_at, self._obeyed(error))
                raise
            else:
                cache.accepted()
                account.succeeded()
                return envelope
        finally:
            sender.rate_limiter.release(account)
        if self._replayed or not (cache.refused(token) or await self._has_other_credentials(cache)):
            raise refusal
        self._replayed = True
        return None

    async def _has_other_credentials(self, cache: TokenCache) -> bool:
        """Return whether ``auth`` is a function that returns different credentials now."""
        if self._sender.shares_credentials:
            return False
        self._cache = await self._sender.token_cache(self._request.account_id)
        return self._cache.auth != cache.auth

    async def _log_in(self, cache: TokenCache, request: Request) -> Envelope:
        """Send a login once. If it fails, the attempt that needs the token fails too and may be retried."""
        observer = self._sender.log.observer
        with observer.call(request) if observer else nullcontext():
            limiter, login_as = self._sender.rate_limiter, request.login_as or ""
            logins = await limiter.acquire(None, math.inf, partial(self._waiting, "rate_limit"))
            try:
                sent_at = self._sender.clock.monotonic()
                try:
                    envelope = await self._exchange(request, None, cache.secrets)
                except VinixError as error:
                    if isinstance(error, RateLimitError):
                        logins.rate_limited(sent_at, self._obeyed(error))
                    error.method, error.path = request.method, request.path
                    self._options.notify(LoginFailed(login_as=login_as, path=request.path, error=error))
                    raise
                logins.succeeded()
            finally:
                limiter.release(logins)
            self._options.notify(LoggedIn(login_as=login_as, path=request.path))
            return envelope

    async def _exchange(self, request: Request, token: Token | None, secrets: Secrets) -> Envelope:
        """Send ``request`` once and read its response."""
        sender, transport = self._sender, self._sender.transport
        transport.open()
        request_id = f"{sender.random.getrandbits(128):032x}"
        if not request.login_as:
            self._attempts += 1
            self._probes += self._ticket.probing
        headers = headers_for(request, request_id, token.value if token else None)
        if sender.log.observer is not None:
            headers.update(sender.log.observer.start_attempt(request, self._attempts, request_id))
        started, status = sender.clock.monotonic(), None
        failure: VinixError | None = None
        try:
            response = await transport.send(
                request.method, request.target, headers, request.body, self._options.timeout
            )
            status = response.status
            envelope = read_envelope(
                request,
                response,
                request_id=request_id,
                base_url=transport.base_url,
                now=sender.clock.time(),
                secrets=secrets,
            )
            self._check_request_id(envelope)
        except VinixError as error:
            failure = error
            failure.request_id = failure.request_id or request_id
            raise
        else:
            return envelope
        finally:
            ended = AttemptEnded(
                method=request.method,
                path=request.path,
                account_id=request.account_id,
                callflow_id=request.callflow_id,
                attempt=self._attempts,
                request_id=request_id,
                login=request.login_as is not None,
                status=status,
                error=failure,
                seconds=sender.clock.monotonic() - started,
            )
            self._options.notify(ended)

    def _check_request_id(self, envelope: Envelope) -> None:
        """Raise an error if the response probably belongs to another request.

        Some gateways remove request ids. So a response without the id of its request is accepted until another response
        has contained the id of its request. A 304 has no body. Without the id, it is accepted until the headers of
        another response have contained the id of its request.
        """
        sender = self._sender
        sender.headers_echo = sender.headers_echo or envelope.header_echoes
        if envelope.echoes_request_id:
            sender.echoes_request_ids = True
        elif sender.headers_echo if envelope.data is NOT_MODIFIED else sender.echoes_request_ids:
            raise APIConnectionError(
                "the response probably belongs to another request: it does not contain the request id that was sent. "
                "A proxy or a reused connection may have mixed up two responses",
                server_away=False,
            )

    def _obeyed(self, error: RateLimitError) -> float:
        """Return the Retry-After of ``error`` in seconds, or 0 if it is missing or longer than ``retry_after_max``."""
        asked = error.retry_after or 0.0
        return asked if asked <= self._options.retry.retry_after_max else 0.0

    @contextmanager
    def _waiting(self, reason: Reason, seconds: float) -> Iterator[None]:
        """Notify the listeners when a wait begins and ends. The call waits inside the ``with`` block."""
        options, clock, account_id = self._options, self._sender.clock, self._request.account_id
        began = clock.monotonic()
        options.notify(WaitStarted(reason=reason, account_id=account_id, at=began, seconds=seconds))
        try:
            yield
        finally:
            at = clock.monotonic()
            options.notify(WaitEnded(reason=reason, account_id=account_id, at=at, seconds=at - began))


async def result_of(task: asyncio.Task[T]) -> T:
    """Wait for a background task. Raises ``ClientClosedError`` if closing the client has cancelled it."""
    try:
        return await task
    except asyncio.CancelledError:
        if _is_cancelled():
            raise
    # Only the background task was cancelled. Passing on its CancelledError would make it look as if the caller's own
    # task had been cancelled.
    raise ClientClosedError("the client was closed while the call was in progress")


def _is_cancelled() -> bool:
    """Whether the current task itself was cancelled. Otherwise, something that it waits for was cancelled."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
