"""The settings of a client (limits, timeouts, addresses) and the functions that validate them.

These functions raise ``ConfigurationError`` with a message that says which values are accepted.
"""

import ipaddress
import math
import ssl as ssl_module
import urllib.request
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit

from attrs import Attribute, field, frozen

from ._exceptions import ConfigurationError
from ._public import public

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from ._pipeline.events import Event, Listener, RetryEvent
    from ._pipeline.retry import RetryPolicy

    Timeout = float | aiohttp.ClientTimeout
    """The timeout of one attempt: seconds, or an ``aiohttp.ClientTimeout``."""


# --- numbers --------------------------------------------------------------------------------------


def check_number(
    name: str,
    value: object,
    *,
    least: float = 0.0,
    above: bool = False,
    unit: str = " of seconds",
    optional: bool = False,
) -> None:
    """Raise ``ConfigurationError`` unless ``value`` is a finite number of at least ``least``.

    If ``above`` is true, ``value`` must be greater than ``least``. If ``optional`` is true, None is valid too.
    """
    if optional and value is None:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value < math.inf or (above and value == least):  # type: ignore[operator]  # a number
        none, bound = "None or " if optional else "", "greater than" if above else "at least"
        raise ConfigurationError(f"{name} must be {none}a finite number{unit} {bound} {least:g}, not {_shown(value)}")


def check_count(name: str, value: object, *, optional: bool = True) -> None:
    """Raise ``ConfigurationError`` unless ``value`` is an int of at least 1, or None if ``optional`` is true.

    The server would answer an invalid ``page_size`` with a 404, which looks like a missing account.
    """
    if optional and value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        none = "None or " if optional else ""
        raise ConfigurationError(f"{name} must be {none}an int of at least 1, not {_shown(value)}")


def _shown(value: object) -> str:
    return repr(value) if value is None or isinstance(value, int | float) else type(value).__name__


def number_validator(*, least: float = 0.0, unit: str = " of seconds", optional: bool = False) -> Any:
    """Return an attrs validator that calls ``check_number``."""
    return lambda _, attribute, value: check_number(attribute.name, value, least=least, unit=unit, optional=optional)


def count_validator(_: object, attribute: "Attribute[Any]", value: object) -> None:
    """Validate an attrs field with ``check_count``. None is not valid."""
    check_count(attribute.name, value, optional=False)


# --- settings -------------------------------------------------------------------------------------


@public
@frozen(kw_only=True)
class Limits:
    """Limits on the client's use of connections, memory and the server's rate limit.

    Attributes:
        max_connections: the maximum number of connections in the pool. If a session is passed as ``session``, the
            limits of its connector (``limit`` and ``limit_per_host``) apply instead.
        max_concurrency: the maximum number of requests in flight for all accounts together. If the maximum number of
            connections is smaller, that number applies.
        per_account: the maximum number of requests in flight for one account.
        burst: the assumed size of the server's token bucket for each account. The default is Kazoo's. ``burst`` and
            ``rate`` have no effect until the server answers 429.
        rate: the assumed number of tokens that are added to this bucket per second. The default is Kazoo's.
        max_body: the maximum size of a response body in bytes, both before and after decompression.
        keepalive: the number of seconds after which the client closes an idle connection. The server closes it after 5
            seconds.
    """

    max_connections: int = field(default=100, validator=count_validator)
    max_concurrency: int = field(default=100, validator=count_validator)
    per_account: int = field(default=8, validator=count_validator)
    burst: int = field(default=100, validator=count_validator)
    rate: float = field(default=10.0, validator=number_validator(least=0.01, unit=""))
    max_body: int = field(default=64 * 2**20, validator=count_validator)
    keepalive: float = field(default=4.0, validator=number_validator())


CALL_PATIENCE: Final = 60.0
"""The maximum number of seconds that a call waits for an outage to end. ``RetryPolicy.outage_wait`` overrides it."""

SWEEP_PATIENCE: Final = 900.0
"""The value that replaces ``CALL_PATIENCE`` in a sweep and in a listing of accounts, which usually precedes a sweep."""


@frozen(kw_only=True)
class CallOptions:
    """The options of a call, and the listeners that are notified of its events.

    ``patience`` is the default of ``RetryPolicy.outage_wait``.
    """

    timeout: "Timeout"
    deadline: float | None
    retry: "RetryPolicy"
    on_retry: "Callable[[RetryEvent], None] | None"
    listeners: "tuple[Listener, ...]" = ()
    patience: float = CALL_PATIENCE

    @property
    def outage_wait(self) -> float:
        """The number of seconds for which the call waits for an outage to end. It is 0 if no retries are allowed."""
        if self.retry.attempts == 1:
            return 0.0
        return self.patience if self.retry.outage_wait is None else self.retry.outage_wait

    def notify(self, event: "Event") -> None:
        """Call every listener with ``event``. An exception that a listener raises is passed on."""
        for listener in self.listeners:
            listener(event)


def check_timeout(timeout: object) -> None:
    """Raise ``ConfigurationError`` unless ``timeout`` is a valid timeout of one attempt."""
    if isinstance(timeout, int | float):
        check_number("timeout", timeout, above=True)
        return
    import aiohttp  # noqa: PLC0415  # slow to import, and not needed if the timeout is a number

    if not isinstance(timeout, aiohttp.ClientTimeout):
        raise ConfigurationError(
            f"timeout must be a number of seconds or an aiohttp.ClientTimeout, not {type(timeout).__name__}"
        )


# --- addresses ------------------------------------------------------------------------------------


def check_base_url(value: str, *, allow_http: bool) -> str:
    """Return the base URL in ``value`` without a trailing slash.

    Raise ``ConfigurationError`` if ``value`` is not a valid base URL, or if the token would be sent unencrypted.
    """
    parts = check_url("base_url", value)
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("base_url must not contain a user name or a password: pass them as auth=")
    if "?" in value or "#" in value:
        raise ConfigurationError("base_url must not have a query string or a fragment")
    if not value.isprintable() or " " in value:
        raise ConfigurationError("base_url must not contain spaces or control characters")
    if parts.scheme == "http" and not allow_http and not _is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            f"base_url uses plain HTTP, which would send the token to {parts.hostname} unencrypted: use https, or pass "
            "allow_http=True to accept that"
        )
    return value.rstrip("/")


def check_ssl(context: object) -> None:
    """Raise ``ConfigurationError`` unless ``context`` is None or a TLS context that verifies certificates and hosts."""
    if context is None:
        return
    if not isinstance(context, ssl_module.SSLContext):
        raise ConfigurationError(f"ssl must be an ssl.SSLContext, not {type(context).__name__}")
    if context.verify_mode != ssl_module.CERT_REQUIRED or not context.check_hostname:
        raise ConfigurationError(
            "the ssl context must verify certificates and host names. To trust a private certificate authority, pass "
            "ssl=ssl.create_default_context(cafile=...)"
        )


def proxy_from_environment(base_url: str) -> str | None:
    """Return the proxy for ``base_url`` according to the environment (HTTP_PROXY, HTTPS_PROXY and NO_PROXY).

    aiohttp's own ``trust_env`` is not used, because it also sends passwords from ``.netrc``.
    """
    parts = urlsplit(base_url)
    # An entry of NO_PROXY is a host, or a host and a port.
    if urllib.request.proxy_bypass(parts.hostname or "") or urllib.request.proxy_bypass(parts.netloc):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def check_url(name: str, value: object) -> SplitResult:
    """Return the parts of an absolute URL. The errors do not contain the URL, because it may contain a password."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a str, not {type(value).__name__}")
    try:
        parts = urlsplit(value)
        after_ipv6 = parts.netloc.rpartition("@")[2].partition("]")[2]  # urlsplit accepts any text after the bracket
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and after_ipv6[:1] in {"", ":"}:
            parts.hostname.encode("idna")  # raises ValueError if a label is empty or too long
            return parts
    except ValueError:
        pass
    raise ConfigurationError(
        f"{name} must be an absolute URL that begins with https:// or http:// and has a valid host (and port, if any)"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
