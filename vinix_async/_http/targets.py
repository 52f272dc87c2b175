"""What may be connected to: the base URL, the proxy, the TLS context. Checked before anything is sent."""

import ipaddress
import ssl
import urllib.request
from urllib.parse import SplitResult, urlsplit

from .._exceptions import ConfigurationError


def check_base_url(value: object, *, allow_http: bool) -> str:
    """``value`` without a slash at its end, if it is an address that a token may be sent to."""
    if not isinstance(value, str):
        raise ConfigurationError(f"base_url must be a str, not {type(value).__name__}")
    parts = _split("base_url", value)
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("base_url must not have a user name or password in it: they belong in auth=")
    if parts.query or parts.fragment or "?" in value or "#" in value:
        raise ConfigurationError("base_url must end with its path, such as https://api.vinixglobal.com/v2")
    if not value.isprintable() or " " in value:
        raise ConfigurationError("base_url must not have spaces or control characters")
    if parts.scheme == "http" and not allow_http and not _is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            f"base_url is plain http, which would show the token to the network between here and {parts.hostname}; "
            "use https, or allow_http=True if you must"
        )
    return value.rstrip("/")


def check_ssl(context: object) -> None:
    """Raise ``ConfigurationError`` for a context that does not verify."""
    if context is None:
        return
    if not isinstance(context, ssl.SSLContext):
        raise ConfigurationError(f"ssl must be an ssl.SSLContext, not {type(context).__name__}")
    if context.verify_mode != ssl.CERT_REQUIRED or not context.check_hostname:
        raise ConfigurationError(
            "TLS is verified always: for a private authority, load its certificate into the context "
            "(ssl.create_default_context(cafile=...))"
        )


def check_proxy(value: object) -> str | None:
    """``value`` if it is the URL of an HTTP proxy, or None. It may hold a password, so no text repeats it."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ConfigurationError(f"proxy must be a str, not {type(value).__name__}")
    _split("proxy", value)
    return value


def proxy_of_environment(base_url: str) -> str | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name for ``base_url``.

    aiohttp can look for it too, but only together with ``.netrc``, whose passwords it would send.
    """
    parts = urlsplit(base_url)
    if not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _split(name: str, value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        if parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1) > 0:
            return parts
    except ValueError:
        pass
    raise ConfigurationError(f"{name} must be a whole address that begins with https://")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
