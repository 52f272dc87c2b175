"""The least HTTP client that can serve as a limit: requests as bytes, bodies by their Content-Length."""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlsplit


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport
    reply: "asyncio.Future[bytes]"

    def __init__(self) -> None:
        self._received: list[bytes] = []
        self._missing = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.reply.done():
            self.reply.set_exception(exc or ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            head, _, data = data.partition(b"\r\n\r\n")
            self._missing = int(head[head.index(b"Length: ") + 8 :].split(b"\r\n", 1)[0])
        self._missing -= len(data)
        self._received.append(data)
        if self._missing == 0:
            body = b"".join(self._received)
            self._received.clear()
            self._missing = -1
            self.reply.set_result(body)


class RawClient:
    """Connections that are kept and used again. Knows the answers of ``server.py`` and no others."""

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        url = urlsplit(base_url)
        self._host, self._port, self._path = url.hostname or "", url.port or 80, url.path
        lines = {"Host": url.netloc, **headers}
        self._tail = " HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
        self._idle: deque[_Connection] = deque()

    async def get(self, path: str) -> bytes:
        """The body of the reply."""
        loop = asyncio.get_running_loop()
        if self._idle:
            connection = self._idle.pop()
        else:
            _, connection = await loop.create_connection(_Connection, self._host, self._port)
        connection.reply = loop.create_future()
        connection.transport.write(f"GET {self._path}{path}{self._tail}".encode())
        body = await connection.reply
        self._idle.append(connection)
        return body

    def close(self) -> None:
        """Close the connections."""
        while self._idle:
            self._idle.pop().transport.close()
