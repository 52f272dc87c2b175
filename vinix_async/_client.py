"""``VinixClient``: arguments, wiring, open and close."""

import os
import ssl as ssl_module
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from msgspec import structs

from ._exceptions import ConfigurationError
from ._http.exchange import Timeout
from ._http.transport import Transport, check_timeout
from ._pipeline.auth import Auth, TokenAuth
from ._pipeline.clock import Clock, SystemClock
from ._pipeline.log import configure_logging
from ._pipeline.options import Options
from ._pipeline.rate_limiter import Limits
from ._pipeline.retry import RetryPolicy
from ._pipeline.send import Requester, as_auth
from ._resources.accounts import Accounts
from ._resources.callflows import Callflows

if TYPE_CHECKING:
    import aiohttp

    from ._pipeline.event import RetryEvent

_UNSET: Final[Any] = object()


class VinixClient:
    """The Vinix API, for one event loop: one connection pool, however many accounts.

    It may be made anywhere; the pool opens with the first request, and that request's event loop is the
    client's from then on. Close it with ``await client.close()`` or ``async with``.

    Args:
        auth: a token, ``TokenAuth``, ``UserAuth``, ``ApiKeyAuth``, or a function that returns one of them for
            an account id. What it raises is the cause of that account's ``ConfigurationError``.
        base_url: with the ``/v2``. Plain http is taken for this machine only, unless ``allow_http``.
        session: an aiohttp session to borrow. It is never closed here.
        retry: how often and for what a request is repeated.
        limits: connections, concurrency, body size, pace.
        timeout: seconds for one attempt, its body included, or an ``aiohttp.ClientTimeout``.
        deadline: seconds for one whole call: queueing, every attempt and wait, and for a listing all of
            its pages. None is no bound.
        ssl: a context of your own. It must verify.
        proxy: the URL of an HTTP proxy.
        trust_env: take the proxy from the environment's ``HTTPS_PROXY`` and ``NO_PROXY``. ``.netrc`` is never
            read.
        on_retry: called with a ``RetryEvent`` before each wait. An error that it raises ends the call.
        clock: time, sleep and chance, for tests.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    callflows: Callflows
    accounts: Accounts

    def __init__(
        self,
        *,
        auth: Auth | str | Callable[[str], Auth | str],
        base_url: str = "https://api.vinixglobal.com/v2",
        session: "aiohttp.ClientSession | None" = None,
        retry: RetryPolicy = RetryPolicy(),
        limits: Limits = Limits(),
        timeout: Timeout = 30.0,
        deadline: float | None = None,
        ssl: ssl_module.SSLContext | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        allow_http: bool = False,
        on_retry: "Callable[[RetryEvent], None] | None" = None,
        clock: Clock | None = None,
    ) -> None:
        configure_logging()
        if not isinstance(limits, Limits):
            raise ConfigurationError(f"limits must be a Limits, not {type(limits).__name__}")
        options = _checked(Options(timeout=timeout, deadline=deadline, retry=retry, on_retry=on_retry))
        transport = Transport(
            base_url=base_url,
            session=session,
            max_connections=limits.max_connections,
            keepalive=limits.keepalive,
            max_body=limits.max_body,
            ssl=ssl,
            proxy=proxy,
            trust_env=trust_env,
            allow_http=allow_http,
        )
        credentials = auth if callable(auth) else as_auth(auth)
        self._wire(Requester(transport, credentials, limits, clock or SystemClock(), options), options, owner=True)

    def _wire(self, requester: Requester, options: Options, *, owner: bool) -> None:
        self._requester = requester
        self._options = options
        self._owner = owner
        self.callflows = Callflows(requester, options)
        self.accounts = Accounts(requester, options)

    @classmethod
    def from_env(cls, **overrides: Any) -> Self:
        """A client from ``VINIX_BASE`` and one kind of credentials; ``overrides`` go to the constructor.

        The credentials are ``VINIX_AUTH_TOKEN``, else ``VINIX_API_KEY``, else ``VINIX_USERNAME`` and
        ``VINIX_PASSWORD`` with one of ``VINIX_ACCOUNT_NAME``, ``VINIX_ACCOUNT_REALM`` and
        ``VINIX_PHONE_NUMBER``. Raises ``ConfigurationError`` where they are incomplete.
        """
        found: dict[str, Any] = {}
        if "auth" not in overrides:
            found["auth"] = _auth_from(os.environ)
        if base := os.environ.get("VINIX_BASE"):
            found["base_url"] = base
        return cls(**(found | overrides))

    def with_options(
        self,
        *,
        timeout: Timeout = _UNSET,
        deadline: float | None = _UNSET,
        retry: RetryPolicy = _UNSET,
        on_retry: "Callable[[RetryEvent], None] | None" = _UNSET,
    ) -> Self:
        """A view with other options: same pool, paces and tokens; closing it closes nothing."""
        given: dict[str, Any] = {"timeout": timeout, "deadline": deadline, "retry": retry, "on_retry": on_retry}
        changed = {name: value for name, value in given.items() if value is not _UNSET}
        options = _checked(structs.replace(self._options, **changed))
        view = object.__new__(type(self))
        view._wire(self._requester, options, owner=False)
        return view

    async def close(self) -> None:
        """End what is under way and close the pool. A second time does nothing, nor does a view's."""
        if self._owner:
            await self._requester.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._requester.transport.base_url}>"


def _checked(options: Options) -> Options:
    """``options`` as they are; they come from callers that may not check types."""
    retry, on_retry, deadline = options.retry, options.on_retry, options.deadline
    if not isinstance(retry, RetryPolicy):
        raise ConfigurationError(f"retry must be a RetryPolicy, not {type(retry).__name__}")
    if on_retry is not None and not callable(on_retry):
        raise ConfigurationError("on_retry must be a function of one RetryEvent")
    number = isinstance(deadline, int | float) and not isinstance(deadline, bool)
    if deadline is not None and not (number and 0 < deadline < float("inf")):
        raise ConfigurationError("deadline must be a number of seconds above 0, or None")
    check_timeout(options.timeout)
    return options


def _auth_from(environ: Mapping[str, str]) -> Auth:
    if token := environ.get("VINIX_AUTH_TOKEN"):
        return TokenAuth(token)
    from ._pipeline.login import ApiKeyAuth, UserAuth  # noqa: PLC0415  # a client with a token does without

    if api_key := environ.get("VINIX_API_KEY"):
        return ApiKeyAuth(api_key)
    username, password = environ.get("VINIX_USERNAME"), environ.get("VINIX_PASSWORD")
    if not username or not password:
        raise ConfigurationError(
            "no credentials in the environment: set VINIX_AUTH_TOKEN, or VINIX_API_KEY, or VINIX_USERNAME "
            "and VINIX_PASSWORD with VINIX_ACCOUNT_NAME, VINIX_ACCOUNT_REALM or VINIX_PHONE_NUMBER"
        )
    return UserAuth(
        username,
        password,
        account_name=environ.get("VINIX_ACCOUNT_NAME") or None,
        account_realm=environ.get("VINIX_ACCOUNT_REALM") or None,
        phone_number=environ.get("VINIX_PHONE_NUMBER") or None,
    )
