"""A request to a reply: connections, TLS, bytes. With ``_exchange`` the only module that knows aiohttp.

No retry, no JSON, no decision about statuses. What aiohttp raises never leaves: its errors hold the request's
headers, and the token with them.
"""

import asyncio
import os
import socket
import ssl as ssl_module
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from .._exceptions import (
    APIConnectionError,
    APITimeoutError,
    ClientClosedError,
    ConfigurationError,
    VinixError,
)
from .._pipeline.auth import Token
from .exchange import ALWAYS, LINE, Exchanges, Timeout, headers_of, is_free, is_mocked
from .request import Request, Response
from .response_body import DroppedError, read_body
from .targets import check_base_url, check_proxy, check_ssl, proxy_of_environment


class _Headers(dict[str, str]):
    """Headers whose repr has their names only: a debugger shows the arguments of a frame."""

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


class Transport:
    """The connection pool, opened by the first request, and closed here unless it is borrowed.

    A session that is borrowed, traced or mocked, and a proxy, are used in aiohttp's own way.
    """

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
        self._proxy = check_proxy(proxy) or (proxy_of_environment(self.base_url) if trust_env else None)
        self._exchanges: Exchanges | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._closed = False

    async def send(self, request: Request, *, request_id: str, token: Token | None, timeout: Timeout) -> Response:
        """The reply to one request, sent once. Raises ``APIConnectionError`` or ``APITimeoutError`` without one."""
        session = self._open()
        failure: VinixError
        try:
            if self._exchanges is not None and not is_mocked():
                return await self._exchanges.send(request, request_id, token, timeout)
            async with session.request(
                request.method,
                URL(self.base_url + request.target, encoded=True),
                headers=_Headers({**ALWAYS, **headers_of(request, request_id, token)}),
                data=request.body,
                timeout=timeout if isinstance(timeout, aiohttp.ClientTimeout) else aiohttp.ClientTimeout(timeout),
                allow_redirects=False,
                auto_decompress=False,
                max_line_size=LINE,
                max_field_size=LINE,
                middlewares=(_send_once,),
                proxy=self._proxy,
                ssl=self._ssl,
            ) as response:
                body = await read_body(response.content, response.connection, response.headers, self._max_body)
                return Response(response.status, response.headers, body, request_id)
        except VinixError:
            raise
        except Exception as error:  # noqa: BLE001  # each kind is translated, and a test enumerates them
            failure = translate(error, self._where())
        # Outside of the handler, so that aiohttp's error is not this one's context.
        raise failure

    async def close(self) -> None:
        """Close the pool if it is ours; a second time does nothing."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None and session is not self._borrowed:
            await session.close()
        if self._exchanges is not None:
            self._exchanges.close()

    def _open(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._closed:
            raise ClientClosedError("the client is closed; make a new one")
        if self._loop is None:
            self._loop, self._pid = loop, os.getpid()
        if self._loop is not loop or self._pid != os.getpid():
            raise ClientClosedError(
                "the client was first used in another event loop or process, where its connections belong; "
                "make one for each"
            )
        if self._session is None:
            self._session = self._new_session()
        return self._session

    def _new_session(self) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_connections, keepalive_timeout=self._keepalive),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        if is_free(session) and self._proxy is None:
            self._exchanges = Exchanges(self.base_url, session, max_body=self._max_body, ssl=self._ssl)
        return session

    def _where(self) -> str:
        url = URL(self.base_url)
        return f"{url.host}:{url.port}"


async def _send_once(
    request: aiohttp.ClientRequest,
    handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]],
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a GET or PUT again by itself: each request is to be counted."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        pass
    raise DroppedError


def translate(error: Exception, where: str) -> VinixError:  # noqa: C901, PLR0911  # one line for each kind
    """Our error for one of aiohttp's. Of its own text nothing is taken: it may hold headers and bodies."""
    match error:
        case TimeoutError():
            return APITimeoutError(f"no whole reply from {where} in time")
        case aiohttp.ClientConnectorCertificateError() | ssl_module.SSLCertVerificationError():
            return APIConnectionError(
                f"the certificate of {where} does not verify: check the name in base_url, the clock, and the authority "
                "(ssl= takes a context of your own)",
                transient=False,
            )
        case aiohttp.ClientSSLError() | ssl_module.SSLError():
            return APIConnectionError(f"no TLS with {where}: it may not speak TLS at this port", transient=False)
        case aiohttp.ClientConnectorDNSError():
            again = getattr(getattr(error, "os_error", None), "errno", None) == socket.EAI_AGAIN
            return APIConnectionError(f"the name of {where} cannot be looked up", transient=again)
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return APIConnectionError("the proxy cannot be reached, or refuses")
        case aiohttp.ClientConnectorError():
            return APIConnectionError(f"{where} cannot be reached, or refuses connections")
        case DroppedError() | aiohttp.ServerConnectionError() | aiohttp.ClientConnectionError() | OSError():
            return APIConnectionError(f"{where} dropped the connection before the reply was whole")
        case aiohttp.ClientPayloadError() | zlib.error():
            return APIConnectionError(f"the reply of {where} is cut short or corrupt")
        case aiohttp.InvalidURL() | ValueError():
            return ConfigurationError("the request cannot be sent: its address or a header is not valid")
        case aiohttp.ClientError() | HttpProcessingError():
            return APIConnectionError(f"the reply of {where} is not HTTP")
        case RuntimeError():
            return ClientClosedError("the session is closed")
        case _:
            return APIConnectionError(f"the request to {where} failed with {type(error).__name__}")


def check_timeout(timeout: Any) -> None:
    """Raise ``ConfigurationError`` unless ``timeout`` is one of an attempt."""
    if isinstance(timeout, aiohttp.ClientTimeout):
        return
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not number or not 0 < timeout < float("inf"):
        raise ConfigurationError("timeout must be a number of seconds above 0, or an aiohttp.ClientTimeout")
