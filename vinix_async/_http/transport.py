"""Sends one request over the connection pool and returns its response. Only this module imports aiohttp.

It does not retry, does not read JSON, and does not judge a status. Errors of aiohttp never leave this module: some of
them hold the request's headers, and with them the token.
"""

import asyncio
import os
import socket
import ssl as ssl_module
import zlib
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.http import HttpProcessingError
from attrs import define, field
from yarl import URL

from .._config import check_base_url, check_proxy, check_ssl, proxy_from_environment
from .._exceptions import APIConnectionError, APITimeoutError, ClientClosedError, ConfigurationError, VinixError
from .response_body import BrokenConnectionError, read_body

if TYPE_CHECKING:
    from .._config import Timeout

_MAX_HEADER_LINE: Final = 16 * 1024
"""Bytes of one header of a response, or of its status line."""


@define(eq=False)
class Response:
    """``headers`` are looked up in any case; ``body`` is complete and decompressed, and holds the token."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Transport:
    """The connection pool: an aiohttp session, which the first request opens, or which the caller lends."""

    def __init__(
        self,
        *,
        base_url: str,
        session: aiohttp.ClientSession | None,
        max_connections: int,
        keepalive: float,
        max_body: int,
        ssl: ssl_module.SSLContext | None,
        proxy: str | None,
        trust_env: bool,
        allow_http: bool,
    ) -> None:
        if session is not None and not isinstance(session, aiohttp.ClientSession):
            raise ConfigurationError(f"session must be an aiohttp.ClientSession, not {type(session).__name__}")
        self.base_url: str = check_base_url(base_url, allow_http=allow_http)
        check_ssl(ssl)
        self._borrowed = session
        self._session = session
        self._max_connections = max_connections
        self._keepalive = keepalive
        self._max_body = max_body
        self._ssl: ssl_module.SSLContext | bool = ssl or True
        if proxy is None and trust_env:
            proxy = proxy_from_environment(self.base_url)
        self._proxy = check_proxy(proxy)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._closed = False

    def open(self) -> aiohttp.ClientSession:
        """Return the session, which is opened if needed.

        Raises ``ClientClosedError`` if the client was closed or belongs to another event loop.
        """
        loop = _running_loop()
        if self._closed:
            raise ClientClosedError("the client is closed; create a new one")
        if self._loop is None:
            self._loop, self._pid = loop, os.getpid()
        if self._loop is not loop or self._pid != os.getpid():
            raise ClientClosedError(
                "the client was first used in another event loop or process, and its connections belong there; "
                "create one client for each"
            )
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._max_connections, keepalive_timeout=self._keepalive),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        if self._session.closed:
            raise ClientClosedError("the session that the client borrowed is closed")
        return self._session

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, timeout: "Timeout"
    ) -> Response:
        """Send one request once and return the response, whatever its status.

        Raises ``APIConnectionError`` or ``APITimeoutError`` if no complete response came, and what ``open`` raises.
        """
        session, client_timeout = self.open(), _client_timeout(timeout)
        try:
            return await self._exchange(session, method, target, headers=headers, body=body, timeout=client_timeout)
        except Exception as error:  # noqa: BLE001  # each kind is translated, and a test enumerates them
            failure = translate(error, urlsplit(self.base_url).netloc, client_timeout)
            cause = _safe_cause(error)
        # Raised outside of the handler and without the frames below, so that neither aiohttp's error nor the body,
        # which holds the token, is in a traceback.
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
            URL(self.base_url + target, encoded=True),
            headers=headers,
            data=body,
            timeout=timeout,
            allow_redirects=False,  # the token would go along
            auto_decompress=False,  # response_body.py bounds what a body decompresses to
            max_line_size=_MAX_HEADER_LINE,
            max_field_size=_MAX_HEADER_LINE,
            middlewares=(_send_once,),
            proxy=self._proxy,
            raise_for_status=False,  # a borrowed session may have it on
            ssl=self._ssl,
        ) as response:
            if response.status in {200, 201} and not _tells_its_end(response.headers):
                raise APIConnectionError(
                    "the response has neither a Content-Length nor chunks, so it cannot be told whether it is complete",
                    server_away=True,
                )
            content = await read_body(response.content, response.connection, response.headers, self._max_body)
            return Response(response.status, response.headers, content)

    async def close(self) -> None:
        """Close the pool unless it was borrowed. Closing twice does nothing."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None and session is not self._borrowed:
            await session.close()


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    raise ConfigurationError("vinix_async needs a running asyncio event loop; other async frameworks are not supported")


def _tells_its_end(headers: Mapping[str, str]) -> bool:
    return "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()


@lru_cache(maxsize=64)
def _client_timeout(timeout: "Timeout") -> aiohttp.ClientTimeout:
    return timeout if isinstance(timeout, aiohttp.ClientTimeout) else aiohttp.ClientTimeout(timeout)


async def _send_once(
    request: aiohttp.ClientRequest,
    handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]],
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a GET or PUT again when a kept connection drops: every attempt is counted here."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        errno = error.errno if isinstance(error, OSError) else None
    raise BrokenConnectionError(errno)


# --- errors -------------------------------------------------------------------------------------------------


def translate(error: Exception, server: str, timeout: aiohttp.ClientTimeout) -> VinixError:  # noqa: C901, PLR0911, PLR0912  # one case for each kind
    """Return our error for one of aiohttp's. Only the operating system's and OpenSSL's own words are repeated."""
    match error:
        case VinixError():
            return error
        case aiohttp.ConnectionTimeoutError():
            seconds = timeout.sock_connect or timeout.connect or timeout.total
            return APITimeoutError(f"no connection to {server}{_within(seconds)}", server_away=True)
        case aiohttp.SocketTimeoutError():
            return APITimeoutError(f"no data from {server}{_within(timeout.sock_read)}", server_away=True)
        case TimeoutError():
            return APITimeoutError(f"no complete response from {server}{_within(timeout.total)}", server_away=True)
        case aiohttp.ClientConnectorCertificateError() | ssl_module.SSLCertVerificationError():
            return APIConnectionError(
                f"the certificate of {server} does not verify{_certificate_fault(error)}; check the host name in "
                "base_url, this machine's clock, and the certificate authority (ssl= takes a context of your own)",
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
            return APIConnectionError(f"the proxy cannot be reached{words}", server_away=True)
        case aiohttp.ClientHttpProxyError():
            return APIConnectionError(
                f"the proxy answered {error.status} to the request for a connection to {server}",
                transient=error.status != 407,
                server_away=error.status >= 500,
            )
        case aiohttp.ClientConnectorError():
            return APIConnectionError(f"cannot connect to {server}{_system_words(error.os_error)}", server_away=True)
        case aiohttp.ClientPayloadError() | zlib.error():
            return APIConnectionError(f"the response of {server} was cut short or is corrupt", server_away=True)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return ConfigurationError("the request cannot be sent: its address is not valid")
        case BrokenConnectionError() | aiohttp.ClientConnectionError() | OSError():
            return APIConnectionError(
                f"{server} closed the connection before the response was complete{_system_words(error)}",
                server_away=True,
            )
        case ValueError():
            return ConfigurationError("the request cannot be sent: a header is not valid")
        case aiohttp.ClientError() | HttpProcessingError():
            return APIConnectionError(f"the response of {server} is not HTTP", server_away=True)
        case _:
            return APIConnectionError(f"the request to {server} failed with {type(error).__name__}")


def _within(seconds: float | None) -> str:
    return f" within {seconds:g} s (timeout)" if seconds else " in time"


def _system_words(error: Exception) -> str:
    """Return errno and its text; the exception's own text may hold more than that."""
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
    """Return the operating system's error in ``error``, made anew so that it holds nothing but errno and its text."""
    fault = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    errno = None if isinstance(fault, ssl_module.SSLError | socket.gaierror) else _errno(fault)
    return OSError(errno, os.strerror(errno)) if errno else None
