"""The settings of a client (retries, limits, timeouts, addresses), and the checks of their values.

The checks raise ``ConfigurationError`` before anything is sent, with a message that says what to give instead.
"""

import ipaddress
import math
import ssl as ssl_module
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit

from attrs import Attribute, field, frozen

from ._exceptions import ConfigurationError
from ._public import public

if TYPE_CHECKING:
    import aiohttp

    from ._pipeline.events import Listener, RetryEvent

    Timeout = float | aiohttp.ClientTimeout
    """Seconds for one attempt, or aiohttp's own timeout."""


# --- numbers --------------------------------------------------------------------------------------


def check_number(name: str, value: object, *, least: float = 0.0, above: bool = False, unit: str = "") -> float:
    """Return ``value`` if it is a finite number that is at least ``least`` (or ``above`` it)."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and least <= value < math.inf and not (above and value == least):  # type: ignore[operator]  # see above
        return value  # type: ignore[return-value]  # as above
    bound = f"above {least:g}" if above else f"at least {least:g}"
    raise ConfigurationError(f"{name} must be a number{unit}, {bound}, not {_shown(value)}")


def check_count(name: str, value: object) -> int | None:
    """Return ``value`` if it is None or an int of at least 1. The server answers a bad ``page_size`` with a 404."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigurationError(f"{name} must be an int, not {type(value).__name__}")
    if value < 1:
        raise ConfigurationError(f"{name} must be at least 1, not {value}")
    return value


def _shown(value: object) -> str:
    return f"{value!r}" if isinstance(value, int | float) else type(value).__name__


def _number(*, least: float = 0.0, unit: str = " of seconds", optional: bool = False) -> Any:
    def check(_: object, attribute: "Attribute[Any]", value: object) -> None:
        if not (optional and value is None):
            check_number(attribute.name, value, least=least, unit=unit)

    return check


def _count(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if check_count(attribute.name, value) is None:
        raise ConfigurationError(f"{attribute.name} must be an int")


def _statuses(value: Iterable[int]) -> frozenset[int]:
    with suppress(TypeError):  # it may not be iterable, or hold lists
        statuses = frozenset(value)
        if all(type(each) is int for each in statuses):
            return statuses
    raise ConfigurationError("statuses must be a collection of HTTP statuses, such as {502, 503}")


# --- settings -------------------------------------------------------------------------------------


@public
@frozen(kw_only=True)
class RetryPolicy:
    """How often, for how long and after which failures a request is sent again. All times are in seconds.

    Attributes:
        attempts: how many times a request is sent at most, the first time included. With 1 nothing is repeated.
        deadline: bounds one request with all its attempts and waits. None means no bound.
        wait_initial, wait_max: waits are random between 0 and ``min(wait_max, wait_initial * 2 ** (attempt - 1))``
            after a 429, and between 0 and 2.5 times that after any other failure (full jitter).
        retry_after_max: a longer ``Retry-After`` than this ends the call at once; a shorter one is obeyed.
        statuses: the statuses that are retried. Connection failures, truncated bodies and successful responses that
            are not JSON are always retried.
        outage_wait: how long calls wait while the server is away, counted from the beginning of the outage. None means
            60 for a single call, and 900 for a sweep and for listings of accounts. 0 turns outages off: each call
            then retries by its own policy alone.
    """

    attempts: int = field(default=5, validator=_count)
    deadline: float | None = field(default=None, validator=_number(optional=True))
    wait_initial: float = field(default=0.1, validator=_number())
    wait_max: float = field(default=20.0, validator=_number())
    retry_after_max: float = field(default=60.0, validator=_number())
    statuses: frozenset[int] = field(default=frozenset({408, 425, 429, 500, 502, 503, 504}), converter=_statuses)
    outage_wait: float | None = field(default=None, validator=_number(optional=True))


@public
@frozen(kw_only=True)
class Limits:
    """Upper bounds of what the client uses.

    Attributes:
        max_connections: sockets in the pool.
        max_concurrency: requests in flight at once, over all accounts.
        per_account: requests in flight at once for one account.
        burst, rate: the token bucket that the server is assumed to have for an account once it has answered 429: how
            many requests it holds, and how many it gains each second. Kazoo's defaults are 100 and 10.
        max_body: bytes of one response, before and after decompression.
        keepalive: seconds that an idle connection is kept. The server closes it after 5.
    """

    max_connections: int = field(default=100, validator=_count)
    max_concurrency: int = field(default=100, validator=_count)
    per_account: int = field(default=8, validator=_count)
    burst: int = field(default=100, validator=_count)
    rate: float = field(default=10.0, validator=_number(least=0.01, unit=""))
    max_body: int = field(default=64 * 2**20, validator=_count)
    keepalive: float = field(default=4.0, validator=_number())


CALL_PATIENCE: Final = 60.0
"""Seconds that a single call waits for the end of an outage, unless ``outage_wait`` is set."""

SWEEP_PATIENCE: Final = 900.0
"""The same for a sweep, and for a listing of accounts, which usually feeds one."""


@frozen(kw_only=True)
class CallOptions:
    """How a call is made: what ``with_options`` changes, and who is told about it."""

    timeout: "Timeout"
    deadline: float | None
    retry: RetryPolicy
    on_retry: "Callable[[RetryEvent], None] | None"
    listeners: "tuple[Listener, ...]" = ()
    patience: float = CALL_PATIENCE

    @property
    def outage_wait(self) -> float:
        """Seconds that the call waits for the end of an outage. Without a second attempt there is no waiting."""
        if self.retry.attempts == 1:
            return 0.0
        return self.patience if self.retry.outage_wait is None else self.retry.outage_wait


def check_options(options: CallOptions) -> CallOptions:
    """Return ``options`` if every value is of its type; callers may not check types."""
    if not isinstance(options.retry, RetryPolicy):
        raise ConfigurationError(f"retry must be a RetryPolicy, not {type(options.retry).__name__}")
    if options.on_retry is not None and not callable(options.on_retry):
        raise ConfigurationError("on_retry must be a function of one RetryEvent")
    if options.deadline is not None:
        check_number("deadline", options.deadline, above=True, unit=" of seconds (or None)")
    check_timeout(options.timeout)
    return options


def check_timeout(timeout: object) -> None:
    """Raise ``ConfigurationError`` unless ``timeout`` bounds one attempt."""
    if isinstance(timeout, int | float):
        check_number("timeout", timeout, above=True, unit=" of seconds")
        return
    import aiohttp  # noqa: PLC0415  # a client with a plain number does not need it here

    if not isinstance(timeout, aiohttp.ClientTimeout):
        raise ConfigurationError(
            f"timeout must be a number of seconds or an aiohttp.ClientTimeout, not {type(timeout).__name__}"
        )


# --- addresses ------------------------------------------------------------------------------------


def check_base_url(value: object, *, allow_http: bool) -> str:
    """Return ``value`` without a final slash if a token may be sent to it."""
    if not isinstance(value, str):
        raise ConfigurationError(f"base_url must be a str, not {type(value).__name__}")
    parts = _split("base_url", value)
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("base_url must not contain a user name or a password: they belong in auth=")
    if parts.query or parts.fragment or "?" in value or "#" in value:
        raise ConfigurationError("base_url must end with its path, such as https://api.vinixglobal.com/v2")
    if not value.isprintable() or " " in value:
        raise ConfigurationError("base_url must not contain spaces or control characters")
    if parts.scheme == "http" and not allow_http and not _is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            f"base_url uses plain HTTP, which would show the token to the network between here and {parts.hostname}; "
            "use https, or allow_http=True if you must"
        )
    return value.rstrip("/")


def check_ssl(context: object) -> None:
    """Raise ``ConfigurationError`` for a TLS context that does not verify certificates."""
    if context is None:
        return
    if not isinstance(context, ssl_module.SSLContext):
        raise ConfigurationError(f"ssl must be an ssl.SSLContext, not {type(context).__name__}")
    if context.verify_mode != ssl_module.CERT_REQUIRED or not context.check_hostname:
        raise ConfigurationError(
            "certificates are always verified: for a private authority, load its certificate into the context "
            "(ssl.create_default_context(cafile=...))"
        )


def check_proxy(value: object) -> str | None:
    """Return ``value`` if it is None or the URL of an HTTP proxy. It may hold a password, so no message repeats it."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ConfigurationError(f"proxy must be a str, not {type(value).__name__}")
    _split("proxy", value)
    return value


def proxy_from_environment(base_url: str) -> str | None:
    """Return the proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name for ``base_url``.

    aiohttp can look it up too, but then it also reads ``.netrc`` and sends the passwords that it finds there.
    """
    parts = urlsplit(base_url)
    if not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _split(name: str, value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            parts.hostname.encode("idna")  # refuses empty and overlong labels
            return parts
    except ValueError:
        pass
    raise ConfigurationError(f"{name} must be a complete address that begins with https:// or http://")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
