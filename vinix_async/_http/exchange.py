"""A request written to a connection of aiohttp's pool, and its reply read from there.

For a small page aiohttp's own request and response cost more than all else that this library does. So where nobody
else has a say in them, aiohttp is asked for a connection and no more.
"""

import asyncio
import math
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

import aiohttp
import attrs
from yarl import URL

from .._pipeline.auth import Token
from .._version import __version__
from .request import Request, Response
from .response_body import DroppedError, read_body
from .watch import Watch

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey

Timeout = float | aiohttp.ClientTimeout

LINE: Final = 16 * 1024
"""Bytes that the longest line of a reply's head may have."""

KNOWN: Final = aiohttp.__version__.startswith("3.14.")
"""Whether this is an aiohttp whose connections can be used so."""


_REQUEST: Final = aiohttp.ClientSession._request  # noqa: SLF001  # what a mock of aiohttp puts itself in the place of


def is_free(session: aiohttp.ClientSession) -> bool:
    """Whether requests of ``session`` concern nobody but us: not a tracer of requests, for instance."""
    return KNOWN and not session.trace_configs


def is_mocked() -> bool:
    """Whether requests are to be answered by a mock."""
    return aiohttp.ClientSession._request is not _REQUEST  # noqa: SLF001  # as above


ALWAYS: Final[Mapping[str, str]] = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": f"vinix-async/{__version__}",
}


def headers_of(request: Request, request_id: str, token: Token | None) -> dict[str, str]:
    """What ``request`` says beside what all say ``ALWAYS``."""
    headers = {"X-Request-ID": request_id}
    if token is not None:
        headers["X-Auth-Token"] = token.value
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    return headers


class _Server(aiohttp.ClientRequest):
    """What aiohttp must know of a request to find a connection for it: one for all, since they have one server."""

    def __init__(self, url: URL, *, session: aiohttp.ClientSession, ssl: ssl.SSLContext | bool) -> None:
        super().__init__("GET", url, loop=asyncio.get_running_loop(), session=session, ssl=ssl)
        self._key = super().connection_key

    @property
    def connection_key(self) -> "ConnectionKey":
        return self._key


class Exchanges:
    """Exchanges with one server, over the connections of a session."""

    def __init__(
        self,
        base_url: str,
        session: aiohttp.ClientSession,
        *,
        max_body: int,
        ssl: ssl.SSLContext | bool,
    ) -> None:
        url, loop = URL(base_url, encoded=True), asyncio.get_running_loop()
        self._server = _Server(url, session=session, ssl=ssl)
        self._connector = cast("aiohttp.BaseConnector", session.connector)  # None in a session that is closed
        self._path = url.raw_path.rstrip("/")
        self._always = _lines({"Host": cast("str", url.host_port_subcomponent), **ALWAYS})
        self._max_body = max_body
        self._time = loop.time
        self._watch = Watch(loop)

    async def send(self, request: Request, request_id: str, token: Token | None, timeout: Timeout) -> Response:
        """The reply to ``request``. Raises what aiohttp raises, ``TimeoutError`` or ``DroppedError``."""
        limits, seconds = _apart(timeout)
        ends_at = self._time() + seconds
        connection = await self._connector.connect(self._server, traces=[], timeout=limits)
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
            protocol.transport.write(self._text(request, request_id, token))
            protocol.start_timeout()
            while True:
                message, stream = await protocol.read()
                if message.code >= 200 or message.code == 101:
                    break
            headers = message.headers
            body = await read_body(stream, connection, headers, self._max_body)
        except BaseException as error:
            connection.close()
            if not self._watch.end(connection) and isinstance(error, Exception):
                raise TimeoutError from None
            raise
        connection.release()
        if not self._watch.end(connection):
            raise TimeoutError
        return Response(message.code, headers, body, request_id)

    def _text(self, request: Request, request_id: str, token: Token | None) -> bytes:
        headers = headers_of(request, request_id, token)
        if request.body is not None:
            headers["Content-Length"] = str(len(request.body))
        line = f"{request.method} {self._path}{request.target} HTTP/1.1\r\n"
        head = f"{line}{self._always}{_lines(headers)}\r\n".encode()
        return head if request.body is None else head + request.body

    def close(self) -> None:
        """Watch no longer; the connections are the session's to close."""
        self._watch.close()


def _lines(headers: Mapping[str, str]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


@lru_cache
def _apart(timeout: Timeout) -> tuple[aiohttp.ClientTimeout, float]:
    """The seconds that an exchange may take in all, and besides them aiohttp's timeouts of its parts."""
    whole = timeout if isinstance(timeout, aiohttp.ClientTimeout) else aiohttp.ClientTimeout(timeout)
    seconds = whole.total or math.inf
    connect = min(seconds, whole.connect or math.inf)
    return attrs.evolve(whole, total=None, connect=None if connect == math.inf else connect), seconds
