"""A cache for the token of one set of credentials. Concurrent calls share a single login."""

import asyncio
import copy
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from .._exceptions import AuthenticationError, ConfigurationError, RateLimitError, VinixError
from .._http.request import Request
from .._http.response import Envelope
from .._http.status_errors import Secrets
from .clock import Clock
from .credentials import Auth, Token, TokenAuth, identity_claims, read_token
from .rate_limiter import LOGIN_HOLD

Login = Callable[[Request], Awaitable[Envelope]]

_REFUSED_FOR: Final = 30.0
"""Seconds before another login is tried after a refusal. Trying sooner would only use up the rate limit."""

_REFRESH_MARGIN: Final = 60.0
"""A token is refreshed this many seconds before it expires, or a tenth of its lifetime if that is less."""

_REFRESH_RETRY: Final = 10.0
"""Seconds before a failed refresh is tried again while the old token is still valid."""


class TokenCache:
    """A cache for the token of one set of credentials.

    If several calls need a new token, they share a single login. Each call gets the token or a copy of the login's
    error. While a token is being refreshed before it expires, other calls still use the old token. A token that the
    server refuses is replaced, but not indefinitely, because a single account may refuse every token.
    """

    def __init__(self, auth: Auth, clock: Clock) -> None:
        self.auth = auth
        self.secrets: Secrets = Secrets(auth.secrets())  # to redact in messages about logins
        self._clock = clock
        self._token: Token | None = None
        if isinstance(auth, TokenAuth):
            self._token = Token(auth.token, claims=identity_claims(auth.token), secrets=self.secrets)
        self._refresh_at = math.inf
        self._login: asyncio.Task[Token] | None = None
        self._waiters = 0
        self._refused_in_a_row = 0  # how many tokens were refused since the last successful request
        self._logged_in_at = 0.0
        self._refusal: VinixError | None = None
        self._refused_until = -math.inf

    @property
    def renewable(self) -> bool:
        """Whether a login can get another token."""
        return not isinstance(self.auth, TokenAuth)

    @property
    def blocked_for(self) -> float:
        """The number of seconds until a login may be sent. Positive only after a refused login or a 429."""
        return max(0.0, self._refused_until - self._clock.monotonic())

    @property
    def claims(self) -> Mapping[str, Any]:
        """The identity of the cached token's owner. Empty if there is no token or its owner is unknown."""
        return self._token.claims if self._token else {}

    async def get(self, login: Login) -> Token:
        """Return a token that is not known to have expired. Log in first if necessary.

        If the login fails while the old token is still valid, return the old token. Otherwise raise the login's error.
        """
        token, now = self._token, self._clock.monotonic()
        if token is None or now >= token.expires_at:
            return await self._log_in(login)
        if now < self._refresh_at or self._login is not None:
            return token
        try:
            return await self._log_in(login)
        except VinixError:
            self._refresh_at = now + _REFRESH_RETRY
            return token

    def is_current(self, token: Token) -> bool:
        """Whether ``token`` is still the cached token."""
        return self._token is token

    def accepted(self) -> None:
        """Record that the server has accepted the token."""
        self._refused_in_a_row = 0

    def refused(self, token: Token) -> bool:
        """Record that the server has refused ``token``. Return whether to repeat the request with a new token."""
        if not self.renewable:
            return False
        if self._token is token:  # otherwise an older token was refused, and the new one must be kept
            self._refused_in_a_row += 1
            if self._refused_in_a_row > 1 and self._clock.monotonic() < self._logged_in_at + _REFUSED_FOR:
                return False  # the last two tokens were refused, so a third would not help
            self._token = None
        return True

    async def _log_in(self, login: Login) -> Token:
        if self._refusal is not None and self.blocked_for:
            raise copy.copy(self._refusal)
        if self._login is None:
            self._login = asyncio.create_task(self._exchange(login), name="vinix_async login")
            self._waiters = 0
        task = self._login
        self._waiters += 1
        try:
            await asyncio.wait({task})  # cancelling this call does not cancel the login, which others await
            return task.result()
        except VinixError as error:
            shared = error
        finally:
            # A login clears _login when it ends. If _login is still set, this call was cancelled during the login.
            if self._login is task:
                self._waiters -= 1
                if not self._waiters:
                    self._login = None
                    task.cancel()
        raise copy.copy(shared)  # each call sets fields and the traceback of its own copy

    async def _exchange(self, login: Login) -> Token:
        request = self.auth.login_request()
        if request is None:
            raise ConfigurationError(f"{type(self.auth).__name__}.login_request() must return a request")
        try:
            envelope = await login(request)
            now, time = self._clock.monotonic(), self._clock.time()
            token = read_token(request, envelope, monotonic=now, time=time, secrets=self.secrets)
        except (RateLimitError, AuthenticationError) as error:
            seconds = LOGIN_HOLD if isinstance(error, RateLimitError) else _REFUSED_FOR
            self._refusal = copy.copy(error)
            self._refused_until = self._clock.monotonic() + seconds
            raise
        else:
            self._token = token
            self._refresh_at = token.expires_at - min(_REFRESH_MARGIN, (token.expires_at - now) / 10)
            self._logged_in_at = now
            return token
        finally:
            if self._login is asyncio.current_task():
                self._login = None
