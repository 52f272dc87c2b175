"""The token of one set of credentials: concurrent calls share a single login."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from .._exceptions import AuthenticationError, ConfigurationError, RateLimitError, VinixError
from .._http.request import Request
from .._http.response import Envelope, Secrets
from .clock import Clock
from .credentials import Auth, Token, TokenAuth, identity_claims, read_token

Login = Callable[[Request], Awaitable[Envelope]]

_REFUSED_FOR: Final = 30.0
"""Seconds before a refused login is tried again: sooner, it would only drain the server's token bucket."""

_RATE_LIMITED_FOR: Final = 4.2
"""The same after a 429. A login may cost 35 tokens, 10 come each second, and a refused login empties the bucket."""

_REFRESH_RETRY: Final = 10.0
"""Seconds before a refresh that failed is tried again, while the old token is still valid."""


class TokenCache:
    """The token of one set of credentials.

    However many calls need a new token, one login is made, and all of them get its token or a copy of its error. While
    a token is refreshed before its expiry, the old one is still used. A token that the server refuses is replaced, but
    not endlessly: the fault may lie with a single account that refuses every token.
    """

    def __init__(self, auth: Auth, clock: Clock) -> None:
        self.auth = auth
        self._secrets = auth.secrets()
        self._clock = clock
        self._token = Token(auth.token, claims=identity_claims(auth.token)) if isinstance(auth, TokenAuth) else None
        self._login: asyncio.Task[Token] | None = None
        self._waiters = 0
        self._unaccepted = 0  # new tokens since the server last accepted one
        self._logged_in_at = 0.0
        self._refusal: VinixError | None = None
        self._refused_until = 0.0

    @property
    def renewable(self) -> bool:
        """Whether a login can get another token."""
        return not isinstance(self.auth, TokenAuth)

    @property
    def blocked_for(self) -> float:
        """Seconds for which no login is tried, because the last one was refused."""
        return max(0.0, self._refused_until - self._clock.monotonic()) if self._refusal else 0.0

    @property
    def claims(self) -> Mapping[str, Any]:
        """What the token in hand says about its owner."""
        return self._token.claims if self._token else {}

    def secrets(self, token: Token | None = None) -> Secrets:
        """Return what no message about a response may repeat."""
        return Secrets((*self._secrets, *((token.value,) if token else ())))

    async def get(self, login: Login) -> Token:
        """Return a token that is valid as far as is known, after a login if needed. Raises the login's own error."""
        token, now = self._token, self._clock.monotonic()
        if token is None or now >= token.expires_at:
            return await self._log_in(login)
        if now < token.refresh_at or self._login is not None:
            return token
        try:
            return await self._log_in(login)
        except VinixError:
            if self._token is token:
                self._token = Token(token.value, now + _REFRESH_RETRY, token.expires_at, token.claims)
            return token

    def is_current(self, token: Token) -> bool:
        """Whether ``token`` is still the one to send."""
        return self._token is token

    def accepted(self) -> None:
        """Note that the server has accepted the token."""
        self._unaccepted = 0

    def refused(self, token: Token) -> bool:
        """Note that the server has refused ``token``, and return whether to try again with what ``get`` returns now."""
        if not self.renewable:
            return False
        if self._token is token:  # a late refusal of an older token does not discard the new one
            if self._unaccepted > 1 and self._clock.monotonic() < self._logged_in_at + _REFUSED_FOR:
                return False  # a second new token was refused as well: a third would not help
            self._token = None
        return True

    async def _log_in(self, login: Login) -> Token:
        if self._refusal is not None:
            if self.blocked_for:
                raise copy.copy(self._refusal)
            self._refusal = None
        if self._login is None:
            self._login = asyncio.create_task(self._exchange(login), name="vinix_async login")
            self._waiters = 0
        task = self._login
        self._waiters += 1
        try:
            return await asyncio.shield(task)
        except VinixError as error:
            shared = error
        finally:
            if self._login is task:  # still running: this call was cancelled
                self._waiters -= 1
                if not self._waiters:
                    self._login = None
                    task.cancel()
        raise copy.copy(shared)  # each call gets its own, to put its fields and its traceback on

    async def _exchange(self, login: Login) -> Token:
        request = self.auth.login_request()
        if request is None:
            raise ConfigurationError(f"{type(self.auth).__name__}.login_request() must return a request")
        try:
            envelope = await login(request)
            token = read_token(request, envelope, monotonic=self._clock.monotonic(), time=self._clock.time())
        except RateLimitError as error:
            self._remember(error, _RATE_LIMITED_FOR)
            raise
        except AuthenticationError as error:
            self._remember(error, _REFUSED_FOR)
            raise
        else:
            self._token = token
            self._unaccepted += 1
            self._logged_in_at = self._clock.monotonic()
            return token
        finally:
            if self._login is asyncio.current_task():
                self._login = None

    def _remember(self, error: VinixError, seconds: float) -> None:
        self._refusal = copy.copy(error)
        self._refused_until = self._clock.monotonic() + seconds
