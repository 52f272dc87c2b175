"""Sends one request over the connection pool and returns the response. All use of aiohttp's client is in this module.

The transport does not retry, parse JSON or interpret the status. It translates all errors of aiohttp, because some of
them contain the request's headers, and thus the token.
"""

import asyncio
import os
import socket
import ssl as ssl_module
import zlib
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.http import HttpProcessingError
from attrs import define, field
from yarl import URL

from .._config import Limits, check_base_url, check_ssl, check_url, proxy_from_environment
from .._exceptions import APIConnectionError, APITimeoutError, ClientClosedError, ConfigurationError, VinixError
from .response_body import BrokenConnectionError, read_body

if TYPE_CHECKING:
    from .._config import Timeout

_MAX_HEADER_LINE: Final = 16 * 1024
"""The maximum size of a response header or of the status line, in bytes."""


@define(eq=False)
class Response:
    """A response. ``headers`` is case-insensitive. ``body`` is complete and decompressed, and contains the token."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Transport:
    """The connection pool, an aiohttp session. If the user has not supplied a session, the first request opens one."""

    def __init__(
        self,
        *,
        base_url: str,
        session: aiohttp.ClientSession | None,
        limits: Limits,
        ssl: ssl_module.SSLContext | None,
        proxy: str | None,
        trust_env: bool,
        allow_http: bool,
    ) -> None:
        if session is not None and not isinstance(session, aiohttp.ClientSession):
            raise ConfigurationError(f"session must be an aiohttp.ClientSession, not {type(session).__name__}")
        self.base_url: str = check_base_url(base_url, allow_http=allow_http)
        # The base URL as it is sent: letters that are not ASCII are encoded, in the host as IDNA.
        self._sent_url = self.base_url if self.base_url.isascii() else str(URL(self.base_url))
        check_ssl(ssl)
        self._borrowed = session
        self._session = session
        self._limits = limits
        self.max_connections: int = limits.max_connections  # 0 for no limit
        if session is not None:
            connector = session.connector
            own = (connector.limit, connector.limit_per_host) if connector is not None else ()
            self.max_connections = min(filter(None, own), default=0)
        self._ssl: ssl_module.SSLContext | bool = ssl or True
        if ssl is None and session is not None and self.base_url.lower().startswith("https:"):
            self._ssl = _verifying_context()  # the session's connector possibly does not verify certificates
        if proxy is None and trust_env:
            proxy = proxy_from_environment(self.base_url)
        if proxy is not None:
            check_url("proxy", proxy)
        self._proxy = proxy
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._closed = False

    def open(self) -> aiohttp.ClientSession:
        """Return the session, and open it first if necessary.

        Raises ``ClientClosedError`` if the client or the session that was passed to it is closed, or if the client was
        first used in another event loop or process.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError(
                "vinix_async needs a running asyncio event loop; other async frameworks are not supported"
            ) from None
        if self._closed:
            raise ClientClosedError("the client is closed; create a new one")
        if self._loop is None:
            self._loop, self._pid = loop, os.getpid()
        if self._loop is not loop or self._pid != os.getpid():
            raise ClientClosedError(
                "the client was first used in another event loop or process, and its connections cannot be shared; "
                "create a separate client"
            )
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self.max_connections, keepalive_timeout=self._limits.keepalive),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        if self._borrowed is not None and self._borrowed.closed:
            raise ClientClosedError("the aiohttp session that was passed as session= is closed")
        return self._session

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, timeout: "Timeout"
    ) -> Response:
        """Send one request once and return the response, whatever its status.

        Call ``open`` immediately before, because ``open`` checks whether a request can be sent. Raises
        ``APIConnectionError`` or ``APITimeoutError`` if no complete response was received.
        """
        session, client_timeout = self._session or self.open(), _client_timeout(timeout)
        try:
            return await self._exchange(session, method, target, headers=headers, body=body, timeout=client_timeout)
        except Exception as error:  # noqa: BLE001  # every exception is translated; a test covers those of aiohttp
            failure = translate(error, urlsplit(self.base_url).netloc, client_timeout)
            cause = _safe_cause(error)
        # Raise outside the except block and without the traceback. Otherwise the error would refer to aiohttp's error
        # and to stack frames that hold the request body. Both may contain the token.
        raise failure.with_traceback(None) from cause

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: aiohttp.ClientTimeout,
    ) -> Response:
        async with session.request(
            method,
            URL(self._sent_url + target, encoded=True),
            headers=headers,
            data=body,
            timeout=timeout,
            allow_redirects=False,  # a redirect would send the token to another address
            auto_decompress=False,  # response_body.py decompresses the body and limits its size
            max_line_size=_MAX_HEADER_LINE,
            max_field_size=_MAX_HEADER_LINE,
            middlewares=(_send_once,),
            proxy=self._proxy,
            raise_for_status=False,  # overrides the setting of a session that the caller supplied
            ssl=self._ssl,
        ) as response:
            if response.status in {200, 201} and not _tells_its_end(response.headers):
                raise APIConnectionError(
                    "the response has no Content-Length and is not chunked, so there is no way to tell whether it is "
                    "complete",
                    server_away=True,
                )
            content = await read_body(response.content, response.connection, response.headers, self._limits.max_body)
            return Response(response.status, response.headers, content)

    async def close(self) -> None:
        """Close the session, unless the user supplied it. Closing again has no effect."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None and session is not self._borrowed:
            await session.close()


@cache
def _verifying_context() -> ssl_module.SSLContext:
    """Return the default TLS context. All clients get the same object.

    Creating it is slow, and clients can share the connections of a session only if they use the same TLS context.
    """
    return ssl_module.create_default_context()


def _tells_its_end(headers: Mapping[str, str]) -> bool:
    return "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()


@lru_cache(maxsize=64)
def _client_timeout(timeout: "Timeout") -> aiohttp.ClientTimeout:
    return timeout if isinstance(timeout, aiohttp.ClientTimeout) else aiohttp.ClientTimeout(timeout)


async def _send_once(
    request: aiohttp.ClientRequest,
    handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]],
) -> aiohttp.ClientResponse:
    """Prevent aiohttp from sending a GET or PUT again by itself when a reused connection breaks.

    Only the client counts attempts and decides which failures to retry. After a ``BrokenConnectionError``, aiohttp does
    not send the request again.
    """
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        errno = error.errno if isinstance(error, OSError) else None
    raise BrokenConnectionError(errno)


# --- errors -------------------------------------------------------------------------------------------------


def translate(error: Exception, server: str, timeout: aiohttp.ClientTimeout) -> VinixError:  # noqa: C901, PLR0911, PLR0912  # one case for each kind
    """Return this library's exception for ``error``.

    The message contains no text from aiohttp. It may contain text from the operating system or from OpenSSL.
    """
    match error:
        case VinixError():
            return error
        case aiohttp.ConnectionTimeoutError():
            seconds = timeout.sock_connect or timeout.connect or timeout.total
            return APITimeoutError(f"no connection to {server}{_within(seconds)}", server_away=True)
        case aiohttp.SocketTimeoutError():
            seconds = timeout.sock_read or 0.0
            return APITimeoutError(f"no data from {server} for {seconds:g} s (timeout)", server_away=True)
        case TimeoutError():
            return APITimeoutError(f"no complete response from {server}{_within(timeout.total)}", server_away=True)
        case aiohttp.ClientConnectorCertificateError() | ssl_module.SSLCertVerificationError():
            return APIConnectionError(
                f"the certificate of {server} cannot be verified{_certificate_fault(error)}; check the host name in "
                "base_url, this machine's clock and the certificate authority (to trust a private one, pass ssl=)",
                transient=False,
            )
        case aiohttp.ClientSSLError() | ssl_module.SSLError():
            return APIConnectionError(
                f"the TLS handshake with {server} failed{_tls_fault(error)}; this port may not speak TLS",
                transient=False,
            )
        case aiohttp.ClientConnectorDNSError():
            fault = error.os_error
            return APIConnectionError(
                f"the host name of {server} cannot be resolved{_system_words(fault)}",
                transient=fault.errno == socket.EAI_AGAIN,
            )
        case aiohttp.ClientProxyConnectionError():
            words = _system_words(error.os_error)
            return APIConnectionError(f"cannot connect to the proxy{words}", server_away=True)
        case aiohttp.ClientHttpProxyError():
            return APIConnectionError(
                f"the proxy answered {error.status} when asked to connect to {server}",
                transient=error.status != 407,
                server_away=error.status >= 500,
            )
        case aiohttp.ClientConnectorError():
            return APIConnectionError(f"cannot connect to {server}{_system_words(error.os_error)}", server_away=True)
        case aiohttp.ClientPayloadError() | zlib.error():
            return APIConnectionError(f"the response from {server} is truncated or corrupt", server_away=True)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return ConfigurationError("the request cannot be sent: base_url or the URL of the proxy is invalid")
        case BrokenConnectionError() | aiohttp.ClientConnectionError() | OSError():
            return APIConnectionError(
                f"the connection to {server} broke before the response was complete{_system_words(error)}",
                server_away=True,
            )
        case ValueError() | TypeError():  # for example a line break in a header, or a colon in the proxy's user name
            return ConfigurationError(
                f"the request cannot be sent ({type(error).__name__}): check the headers of the session, and the user "
                "name and password of the proxy"
            )
        case aiohttp.ClientError() | HttpProcessingError():
            return APIConnectionError(f"the response from {server} is not valid HTTP", server_away=True)
        case _:
            return APIConnectionError(f"the request to {server} failed with {type(error).__name__}")


def _within(seconds: float | None) -> str:
    return f" within {seconds:g} s (timeout)" if seconds else " in time"


def _system_words(error: Exception) -> str:
    """Return the errno of ``error`` and its standard text.

    The text of ``error`` itself is not used. It may contain the URL of a proxy, which may have a password.
    """
    errno = _errno(error)
    if not errno:
        return ""
    words = error.strerror if isinstance(error, socket.gaierror) else os.strerror(errno)
    return f": [Errno {errno}] {words}"


def _errno(error: Exception) -> int | None:
    return error.errno if isinstance(error, OSError | BrokenConnectionError) else None


def _certificate_fault(error: Exception) -> str:
    fault = error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error
    words = getattr(fault, "verify_message", "").rstrip(".")
    return f": {words}" if words else ""


def _tls_fault(error: Exception) -> str:
    fault = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    reason = getattr(fault, "reason", "")
    return f": {reason}" if reason else ""


def _safe_cause(error: Exception) -> OSError | None:
    """Return an ``OSError`` with only the errno of ``error`` and the text of this errno. None without an errno."""
    fault = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    errno = None if isinstance(fault, ssl_module.SSLError | socket.gaierror) else _errno(fault)
    return OSError(errno, os.strerror(errno)) if errno else None
