"""One credential's token: exchanged once for all who wait for it."""

import asyncio
import copy
from collections.abc import Awaitable, Callable
from typing import Final

from .._exceptions import APIStatusError, ConfigurationError, RateLimitError, VinixError
from .._http.request import Envelope, Request, Secrets
from .auth import Auth, Token, TokenAuth, read_token
from .clock import Clock
from .log import logger

_REFUSED_FOR: Final = 30.0
"""Seconds for which a refused login is believed: asking again would only drain the server's bucket."""

_THROTTLED_FOR: Final = 4.2
"""The same after a 429: sooner, the server's bucket cannot hold the price of a login."""

_REFRESH_AGAIN: Final = 10.0


class TokenSource:
    """The token of one credential, and the exchange that renews it.

    However many calls need a new token, one exchange is made, and all of them get its token or its
    error. An exchange that was refused is not repeated for a while; callers get the same error at once.
    While a token is renewed ahead of its end, the old one still serves. One that the server refuses is
    renewed too, but not time and again: it may be a single account that refuses every token.
    """

    def __init__(self, auth: Auth, exchange: Callable[[Request], Awaitable[Envelope]], clock: Clock) -> None:
        self.auth = auth
        self._secrets = auth.secrets()
        self._send = exchange
        self._clock = clock
        self._token = Token(auth.token) if isinstance(auth, TokenAuth) else None
        self._task: asyncio.Task[Token] | None = None
        self._waiters = 0
        self._unproven = 0
        self._exchanged_at = 0.0
        self._refusal: VinixError | None = None
        self._refused_until = 0.0

    @property
    def renewable(self) -> bool:
        return not isinstance(self.auth, TokenAuth)

    def secrets(self, token: Token) -> Secrets:
        """What no text may repeat of an answer to ``token``."""
        return Secrets((*self._secrets, token.value))

    async def token(self) -> Token:
        """A token that is good as far as is known; raises the exchange's own error."""
        token, now = self._token, self._clock.monotonic()
        if token is None or now >= token.expires_at:
            return await self._exchanged()
        if now < token.refresh_at or self._task is not None:
            return token
        try:
            return await self._exchanged()
        except VinixError as error:
            logger.warning("the token could not be renewed ahead of its end: %s", type(error).__name__)
            if self._token is token:
                self._token = Token(token.value, now + _REFRESH_AGAIN, token.expires_at)
            return token

    def is_current(self, token: Token) -> bool:
        """Whether ``token`` is still the one to send, after some waiting."""
        return self._token is token

    def proven(self) -> None:
        """The server has accepted the token."""
        self._unproven = 0

    def refused(self, token: Token) -> bool:
        """The server has refused ``token``: whether to try again with what ``token()`` gives now."""
        if not self.renewable:
            return False
        if self._token is token:  # a refusal of an older one than today's changes nothing
            if self._unproven > 1 and self._clock.monotonic() < self._exchanged_at + _REFUSED_FOR:
                return False  # a second new token was refused as well: more of them will not help
            self._token = None
        return True

    async def _exchanged(self) -> Token:
        if self._refusal is not None:
            if self._clock.monotonic() < self._refused_until:
                raise copy.copy(self._refusal)
            self._refusal = None
        if self._task is None:
            self._task = asyncio.create_task(self._exchange(), name="vinix_async token exchange")
            self._waiters = 0
        task = self._task
        self._waiters += 1
        try:
            return await asyncio.shield(task)
        except VinixError as error:
            shared = error
        finally:
            if self._task is task:  # it is under way, and this one has left
                self._waiters -= 1
                if not self._waiters:
                    self._task = None
                    task.cancel()
        raise copy.copy(shared)  # each waiter's own: its account and its traceback go on it

    async def _exchange(self) -> Token:
        request = self.auth.exchange()
        if request is None:
            raise ConfigurationError(f"{type(self.auth).__name__}.exchange() must return a request")
        try:
            envelope = await self._send(request)
            token = read_token(envelope, monotonic=self._clock.monotonic(), time=self._clock.time())
        except RateLimitError as error:
            self._remember(error, _THROTTLED_FOR)
            raise
        except APIStatusError as error:
            if error.status < 500:
                self._remember(error, _REFUSED_FOR)
            raise
        else:
            self._token = token
            self._unproven += 1
            self._exchanged_at = self._clock.monotonic()
            return token
        finally:
            if self._task is asyncio.current_task():
                self._task = None

    def _remember(self, error: VinixError, seconds: float) -> None:
        self._refusal = copy.copy(error)
        self._refused_until = self._clock.monotonic() + seconds
