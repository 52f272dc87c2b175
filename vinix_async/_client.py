"""Defines ``VinixClient``, which checks the user's arguments and creates and closes the parts of the client."""

import os
import ssl as ssl_module
from collections.abc import Callable, Mapping
from copy import copy
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypedDict, Unpack

from attrs import evolve

from ._config import CallOptions, Limits, check_number, check_timeout
from ._exceptions import ConfigurationError
from ._http.request import get
from ._http.transport import Transport
from ._pipeline.clock import Clock, SystemClock
from ._pipeline.credentials import ApiKeyAuth, Auth, Identity, TokenAuth, UserAuth, as_auth, read_identity
from ._pipeline.events import ClientStats, Listener, configure_logging
from ._pipeline.retry import RetryPolicy
from ._pipeline.send import AuthFunction, Sender
from ._public import public
from ._resources.accounts import Accounts
from ._resources.callflows import Callflows

if TYPE_CHECKING:
    import aiohttp

    from ._config import Timeout
    from ._pipeline.events import RetryEvent

_UNSET: Final[Any] = object()


class ClientOptions(TypedDict, total=False):
    """The keyword arguments of ``VinixClient``. ``from_env`` accepts them too."""

    auth: Auth | str | AuthFunction
    base_url: str
    session: "aiohttp.ClientSession | None"
    retry: RetryPolicy
    limits: Limits
    timeout: "Timeout"
    deadline: float | None
    ssl: ssl_module.SSLContext | None
    proxy: str | None
    trust_env: bool
    allow_http: bool
    on_retry: "Callable[[RetryEvent], None] | None"
    clock: Clock | None


@public
class VinixClient:
    """An async client for the Vinix API. One client, with one connection pool, serves any number of accounts.

    A client can be created before an event loop is running. The first request opens the connection pool, and the client
    can then be used only in the event loop of this request. Close the client with ``await client.close()`` or
    ``async with``.

    Args:
        auth: a token, ``TokenAuth``, ``UserAuth``, ``ApiKeyAuth``, or a function that accepts an account id and returns
            one of these. The function may be async. The client calls it for each request, and again when the server
            refuses a token. If the function raises a ``VinixError``, the API call raises this error. If the function
            raises any other exception, the API call raises a ``ConfigurationError`` with this exception as its cause.
        base_url: the base URL of the API, including ``/v2``. Plain HTTP is accepted only for loopback addresses, unless
            ``allow_http`` is set.
        session: an existing aiohttp session to use. The client does not close it. The cookies and a default
            ``If-None-Match`` header of the session are sent with every request.
        retry: which failures are retried, how often, and after which waits.
        limits: the limits on connections, concurrency and response size, and the assumed rate limit of the server.
        timeout: the time limit of one attempt, including reading the body: a number of seconds or an
            ``aiohttp.ClientTimeout``.
        deadline: the time limit of a call in seconds. It includes queueing, all attempts and all waits. For a listing,
            it also includes all pages, and the time that your loop takes between them. In a sweep, the deadline applies
            to each account separately. None means no limit.
        ssl: a custom TLS context. It must verify certificates and host names. If a session is passed as ``session``,
            its own TLS settings are not used.
        proxy: the URL of an HTTP proxy.
        trust_env: whether to read the proxy from ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``NO_PROXY``. ``.netrc`` is never
            read.
        allow_http: whether to allow plain HTTP for any address.
        on_retry: a function that is called with a ``RetryEvent`` before each wait. If it raises an exception, the call
            raises this exception.
        clock: the source of time, sleeps and random numbers. Tests can replace it.

    Attributes:
        callflows: reads the callflows of one or many accounts.
        accounts: reads an account, and lists its children or all its descendants.

    Raises:
        ConfigurationError: an argument is invalid.
    """

    callflows: Callflows
    accounts: Accounts

    def __init__(
        self,
        *,
        auth: Auth | str | AuthFunction,
        base_url: str = "https://api.vinixglobal.com/v2",
        session: "aiohttp.ClientSession | None" = None,
        retry: RetryPolicy = RetryPolicy(),
        limits: Limits = Limits(),
        timeout: "Timeout" = 30.0,
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
        options = _check_options(CallOptions(timeout=timeout, deadline=deadline, retry=retry, on_retry=on_retry))
        transport = Transport(
            base_url=base_url,
            session=session,
            limits=limits,
            ssl=ssl,
            proxy=proxy,
            trust_env=trust_env,
            allow_http=allow_http,
        )
        credentials = auth if callable(auth) else as_auth(auth)
        sender = Sender(transport, credentials, limits, clock or SystemClock())
        self._connect(sender, options, (sender.log,), owner=True)

    def _connect(self, sender: Sender, options: CallOptions, listeners: tuple[Listener, ...], *, owner: bool) -> None:
        self._stats = ClientStats(now=sender.clock.monotonic)
        self._sender = sender
        self._options = evolve(options, listeners=(*listeners, self._stats))
        self._owner = owner
        self.callflows = Callflows(sender, self._options)
        self.accounts = Accounts(sender, self._options)

    @classmethod
    def from_env(cls, **overrides: Unpack[ClientOptions]) -> Self:
        """Create a client from environment variables. ``overrides`` are passed to the constructor and take precedence.

        ``VINIX_BASE`` sets the base URL. The credentials are a token (``VINIX_AUTH_TOKEN``), or else an API key
        (``VINIX_API_KEY``), or else a user (``VINIX_USERNAME`` and ``VINIX_PASSWORD`` with exactly one of
        ``VINIX_ACCOUNT_NAME``, ``VINIX_ACCOUNT_REALM`` and ``VINIX_PHONE_NUMBER``).

        Raises ``ConfigurationError`` if the credentials are missing or incomplete.
        """
        options = ClientOptions(**overrides)
        if "auth" not in options:
            options["auth"] = _auth_from(os.environ)
        base_url = os.environ.get("VINIX_BASE")
        if base_url and "base_url" not in options:
            options["base_url"] = base_url
        return cls(**options)

    @property
    def base_url(self) -> str:
        """The base URL of the API, without a trailing slash."""
        return self._sender.transport.base_url

    @property
    def stats(self) -> ClientStats:
        """The counters of all calls made through this client and its views. A view counts only its own calls."""
        return self._stats

    async def whoami(self) -> Identity:
        """Return the identity of the user or the account that the client's credentials belong to.

        The response to the login or the claims of the token usually contain the identity. Otherwise the client sends a
        request (``GET /token_auth``).

        Raises ``ConfigurationError`` if ``auth`` is a function, and the same errors as other calls.
        """
        if not self._sender.shares_credentials:
            raise ConfigurationError(
                "whoami() needs a single set of credentials, but auth is a function: use a client with the credentials "
                "of one account"
            )
        request = get("token_auth")
        ends_at = self._sender.ends_at(self._options)
        envelope = await self._sender.send(request, self._options, ends_at, claims_suffice=True)
        return read_identity(envelope.data if isinstance(envelope.data, dict) else {})

    def with_options(
        self,
        *,
        timeout: "Timeout" = _UNSET,
        deadline: float | None = _UNSET,
        retry: RetryPolicy = _UNSET,
        on_retry: "Callable[[RetryEvent], None] | None" = _UNSET,
    ) -> Self:
        """Return a view of this client with other options and its own counters.

        Options that are not given keep their values. The view shares the client's connections, tokens and rate limits.
        Closing a view has no effect.
        """
        given: dict[str, Any] = {"timeout": timeout, "deadline": deadline, "retry": retry, "on_retry": on_retry}
        changed = {name: value for name, value in given.items() if value is not _UNSET}
        options = _check_options(evolve(self._options, **changed))
        view: Self = copy(self)  # a subclass may have attributes of its own
        view._connect(self._sender, options, options.listeners, owner=False)
        return view

    async def close(self) -> None:
        """End all calls and close the connection pool.

        A session that was passed as ``session=`` stays open. Requests that are in flight on it are still completed,
        except those that were sent ahead: the next page of a listing, and the documents of a listing with ``details``.

        On a view (see ``with_options``) or a closed client, this has no effect.
        """
        if self._owner:
            await self._sender.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.base_url}>"


def connection_of(client: VinixClient) -> tuple[Sender, CallOptions]:
    """Return the sender and the options of a client or a view. Extras such as the mirror use both for their own calls.

    The sender and the options are not public attributes of the client, because only this package may use them.
    """
    return client._sender, client._options  # noqa: SLF001  # this function is defined beside the class


def _auth_from(environ: Mapping[str, str]) -> Auth:
    if token := environ.get("VINIX_AUTH_TOKEN"):
        return TokenAuth(token)
    if api_key := environ.get("VINIX_API_KEY"):
        return ApiKeyAuth(api_key)
    username, password = environ.get("VINIX_USERNAME"), environ.get("VINIX_PASSWORD")
    if not username or not password:
        raise ConfigurationError(
            "the environment contains no credentials or only a part of them: set VINIX_AUTH_TOKEN, or VINIX_API_KEY, "
            "or VINIX_USERNAME and VINIX_PASSWORD with VINIX_ACCOUNT_NAME, VINIX_ACCOUNT_REALM or VINIX_PHONE_NUMBER"
        )
    selectors = {
        "account_name": environ.get("VINIX_ACCOUNT_NAME"),
        "account_realm": environ.get("VINIX_ACCOUNT_REALM"),
        "phone_number": environ.get("VINIX_PHONE_NUMBER"),
    }
    given = {name: value for name, value in selectors.items() if value}
    if len(given) != 1:
        raise ConfigurationError(
            "VINIX_USERNAME needs an account: set exactly one of VINIX_ACCOUNT_NAME, VINIX_ACCOUNT_REALM and "
            "VINIX_PHONE_NUMBER"
        )
    return UserAuth(username, password, **given)


def _check_options(options: CallOptions) -> CallOptions:
    """Return ``options``. Raise ``ConfigurationError`` if a value is invalid."""
    if not isinstance(options.retry, RetryPolicy):
        raise ConfigurationError(f"retry must be a RetryPolicy, not {type(options.retry).__name__}")
    if options.on_retry is not None and not callable(options.on_retry):
        raise ConfigurationError("on_retry must be a callable that takes one RetryEvent")
    check_number("deadline", options.deadline, above=True, optional=True)
    check_timeout(options.timeout)
    return options
