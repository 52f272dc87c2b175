"""A request written to a connection of aiohttp's pool, and its reply read from there.

For a small page aiohttp's own request and response cost more than all else that this library does. So a session of
our own is asked for a connection and no more, by a middleware, which is where aiohttp lets others take over.
"""

import asyncio
import math
import ssl
from collections.abc import Awaitable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import attrs
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ._body import DroppedError, read_body
from ._watch import Watch

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey

    from ._wire import Request

Timeout = float | aiohttp.ClientTimeout

LINE: Final = 16 * 1024
"""Bytes that the longest line of a reply's head may have."""

KNOWN: Final = aiohttp.__version__.startswith("3.14.")
"""Whether this is an aiohttp whose connections can be used so."""


class Reply(aiohttp.ClientResponse):
    """A reply that has been read."""

    def __init__(self, status: int, fields: CIMultiDictProxy[str], body: bytes) -> None:
        self.status = status
        self.fields = fields
        self.body = body


class _Server(aiohttp.ClientRequest):
    """What aiohttp must know of a request to find a connection for it: one for all, since they have one server."""

    def __init__(self, url: URL, *, session: aiohttp.ClientSession, ssl: ssl.SSLContext | bool) -> None:
        super().__init__("GET", url, loop=asyncio.get_running_loop(), session=session, ssl=ssl)
        self._key = super().connection_key

    @property
    def connection_key(self) -> "ConnectionKey":
        return self._key


class Exchanges:
    """A session of its own, and the exchanges over its connections."""

    def __init__(
        self,
        base_url: str,
        connector: aiohttp.BaseConnector,
        *,
        always: dict[str, str],
        max_body: int,
        ssl: ssl.SSLContext | bool,
    ) -> None:
        url = URL(base_url, encoded=True)
        self.session: aiohttp.ClientSession = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=always,
            request_class=self._server_of,  # type: ignore[arg-type]  # what makes one
        )
        self._server = _Server(url, session=self.session, ssl=ssl)
        self._connector = connector
        self._path = url.raw_path.rstrip("/")
        lines = {"Host": url.host_port_subcomponent, **always}
        self._head = "".join([f"{name}: {value}\r\n" for name, value in lines.items()])
        self._max_body = max_body
        loop = asyncio.get_running_loop()
        self._time = loop.time
        self._watch = Watch(loop)

    def _server_of(self, *_: Any, **__: Any) -> _Server:
        return self._server

    def ask(
        self, request: "Request", url: URL, headers: CIMultiDict[str], timeout: Timeout
    ) -> Awaitable[aiohttp.ClientResponse]:
        """The ``Reply`` to ``request``; another response comes from a session that somebody has mocked."""
        text = self._text(request, headers)
        limits, seconds = _apart(timeout)
        return self.session.request(
            request.method,
            url,
            headers=headers,
            timeout=limits,
            allow_redirects=False,
            # No bound method: mocks of sessions copy the arguments, and would copy all that it is bound to.
            middlewares=(lambda server, _: self._exchange(server, text, limits, seconds),),
        )

    def _text(self, request: "Request", headers: CIMultiDict[str]) -> bytes:
        head = f"{request.method} {self._path}{request.target} HTTP/1.1\r\n{self._head}"
        for name, value in headers.items():
            head += f"{name}: {value}\r\n"
        if request.body is None:
            return f"{head}\r\n".encode()
        return f"{head}Content-Length: {len(request.body)}\r\n\r\n".encode() + request.body

    async def _exchange(
        self, server: aiohttp.ClientRequest, text: bytes, limits: aiohttp.ClientTimeout, seconds: float
    ) -> Reply:
        ends_at = self._time() + seconds
        connection = await self._connector.connect(server, traces=[], timeout=limits)
        self._watch.begin(connection, ends_at)
        try:
            protocol = connection.protocol
            if protocol is None or protocol.transport is None:
                raise DroppedError  # noqa: TRY301  # as one that is found while the reply is read
            protocol.set_response_params(
                read_until_eof=True,
                auto_decompress=False,
                read_timeout=limits.sock_read,
                max_line_size=LINE,
                max_field_size=LINE,
            )
            protocol.transport.write(text)
            protocol.start_timeout()
            while True:
                message, stream = await protocol.read()
                if message.code >= 200 or message.code == 101:
                    break
            fields = message.headers
            body = await read_body(stream, connection, fields, self._max_body)
        except BaseException as error:
            connection.close()
            if not self._watch.end(connection) and isinstance(error, Exception):
                raise TimeoutError from None
            if isinstance(error, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError):
                raise DroppedError from None
            raise
        connection.release()
        if not self._watch.end(connection):
            raise TimeoutError
        return Reply(message.code, fields, body)

    def close(self) -> None:
        """Watch no longer; the session is closed by itself."""
        self._watch.close()


@lru_cache
def _apart(timeout: Timeout) -> tuple[aiohttp.ClientTimeout, float]:
    """The seconds that an exchange may take in all, and besides them aiohttp's timeouts of its parts."""
    whole = timeout if isinstance(timeout, aiohttp.ClientTimeout) else aiohttp.ClientTimeout(timeout)
    seconds = whole.total or math.inf
    connect = min(seconds, whole.connect or math.inf)
    return attrs.evolve(whole, total=None, connect=None if connect == math.inf else connect), seconds
