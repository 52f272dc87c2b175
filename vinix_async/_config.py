"""The settings of a client (limits, timeouts, addresses) and the functions that validate them.

Validation raises ``ConfigurationError`` before anything is sent. Each message says which values are accepted.
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

    from ._pipeline.events import Listener, RetryEvent
    from ._pipeline.retry import RetryPolicy

    Timeout = float | aiohttp.ClientTimeout
    """The timeout of one attempt: seconds, or an ``aiohttp.ClientTimeout``."""


# --- numbers --------------------------------------------------------------------------------------


def check_number(name: str, value: object, *, least: float = 0.0, above: bool = False, unit: str = "") -> float:
    """Return ``value`` if it is a finite number of at least ``least``. With ``above``, it must be greater."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and least <= value < math.inf and not (above and value == least):  # type: ignore[operator]  # a number
        return value  # type: ignore[return-value]  # as above
    bound = f"greater than {least:g}" if above else f"at least {least:g}"
    raise ConfigurationError(f"{name} must be a number{unit}, {bound}, not {_shown(value)}")


def check_count(name: str, value: object) -> int | None:
    """Return ``value`` if it is None or an int of at least 1.

    The server would answer an invalid ``page_size`` with a 404, which looks like a missing account.
    """
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigurationError(f"{name} must be an int, not {type(value).__name__}")
    if value < 1:
        raise ConfigurationError(f"{name} must be at least 1, not {value}")
    return value


def _shown(value: object) -> str:
    return f"{value!r}" if isinstance(value, int | float) else type(value).__name__


def number_validator(*, least: float = 0.0, unit: str = " of seconds", optional: bool = False) -> Any:
    """Return an attrs validator that calls ``check_number``. If ``optional`` is true, None is valid too."""

    def check(_: object, attribute: "Attribute[Any]", value: object) -> None:
        if not (optional and value is None):
            check_number(attribute.name, value, least=least, unit=unit)

    return check


def count_validator(_: object, attribute: "Attribute[Any]", value: object) -> None:
    """Raise ``ConfigurationError`` unless the value of an attrs field is an int of at least 1."""
    if check_count(attribute.name, value) is None:
        raise ConfigurationError(f"{attribute.name} must be an int")


# --- settings -------------------------------------------------------------------------------------


@public
@frozen(kw_only=True)
class Limits:
    """Limits on the client's use of connections, memory and the server's rate limit.

    Attributes:
        max_connections: the maximum number of connections in the pool.
        max_concurrency: the maximum number of requests in flight for all accounts together.
        per_account: the maximum number of requests in flight for one account.
        burst: the size of the token bucket that the server is assumed to keep for each account. It has an effect only
            after the server has answered 429. The default is Kazoo's.
        rate: the number of tokens that the bucket gains each second. The default is Kazoo's.
        max_body: the maximum size of a response body in bytes, both before and after decompression.
        keepalive: the number of seconds for which an idle connection is kept open. The server closes an idle connection
            after 5 seconds.
    """

    max_connections: int = field(default=100, validator=count_validator)
    max_concurrency: int = field(default=100, validator=count_validator)
    per_account: int = field(default=8, validator=count_validator)
    burst: int = field(default=100, validator=count_validator)
    rate: float = field(default=10.0, validator=number_validator(least=0.01, unit=""))
    max_body: int = field(default=64 * 2**20, validator=count_validator)
    keepalive: float = field(default=4.0, validator=number_validator())


CALL_PATIENCE: Final = 60.0
"""The number of seconds for which a single call waits for an outage to end, unless ``outage_wait`` is set."""

SWEEP_PATIENCE: Final = 900.0
"""The number of seconds for which the calls of a sweep wait for an outage to end, unless ``outage_wait`` is set.

A listing of accounts waits for the same time, because it usually supplies the accounts of a sweep.
"""


@frozen(kw_only=True)
class CallOptions:
    """The options of a call, and the listeners that are notified of its events.

    ``patience`` is the number of seconds for which the call waits for an outage to end, unless ``outage_wait`` is set.
    """

    timeout: "Timeout"
    deadline: float | None
    retry: "RetryPolicy"
    on_retry: "Callable[[RetryEvent], None] | None"
    listeners: "tuple[Listener, ...]" = ()
    patience: float = CALL_PATIENCE

    @property
    def outage_wait(self) -> float:
        """The number of seconds for which the call waits for an outage to end. 0 if only one attempt is allowed."""
        if self.retry.attempts == 1:
            return 0.0
        return self.patience if self.retry.outage_wait is None else self.retry.outage_wait


def check_timeout(timeout: object) -> None:
    """Raise ``ConfigurationError`` unless ``timeout`` is a valid timeout of one attempt."""
    if isinstance(timeout, int | float):
        check_number("timeout", timeout, above=True, unit=" of seconds")
        return
    import aiohttp  # noqa: PLC0415  # slow to import, and not needed if the timeout is a number

    if not isinstance(timeout, aiohttp.ClientTimeout):
        raise ConfigurationError(
            f"timeout must be a number of seconds or an aiohttp.ClientTimeout, not {type(timeout).__name__}"
        )


# --- addresses ------------------------------------------------------------------------------------


def check_base_url(value: object, *, allow_http: bool) -> str:
    """Return ``value`` without a trailing slash if it is a base URL to which a token can be sent safely."""
    if not isinstance(value, str):
        raise ConfigurationError(f"base_url must be a str, not {type(value).__name__}")
    parts = _split("base_url", value)
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("base_url must not contain a user name or a password: pass them as auth=")
    if parts.query or parts.fragment or "?" in value or "#" in value:
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
    """Raise ``ConfigurationError`` unless ``context`` is None or a TLS context that verifies certificates."""
    if context is None:
        return
    if not isinstance(context, ssl_module.SSLContext):
        raise ConfigurationError(f"ssl must be an ssl.SSLContext, not {type(context).__name__}")
    if context.verify_mode != ssl_module.CERT_REQUIRED or not context.check_hostname:
        raise ConfigurationError(
            "the ssl context must verify certificates and host names. To trust a private certificate authority, pass "
            "ssl=ssl.create_default_context(cafile=...)"
        )


def check_proxy(value: object) -> str | None:
    """Return ``value`` if it is None or the URL of an HTTP proxy.

    The URL may contain a password, so error messages do not include it.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise ConfigurationError(f"proxy must be a str, not {type(value).__name__}")
    _split("proxy", value)
    return value


def proxy_from_environment(base_url: str) -> str | None:
    """Return the proxy that the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY) specifies for ``base_url``.

    aiohttp's own ``trust_env`` is not used, because it also reads ``.netrc`` and sends the passwords found there.
    """
    parts = urlsplit(base_url)
    if not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _split(name: str, value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            parts.hostname.encode("idna")  # raises ValueError for empty and overlong labels
            return parts
    except ValueError:
        pass
    raise ConfigurationError(f"{name} must be an absolute URL that begins with https:// or http://")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
