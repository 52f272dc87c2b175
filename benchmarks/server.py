"""A server of listings in its own process. It parses very little, so that it is much faster than any client.

The account id says what is served: ``L.20.15`` is a listing of 15 pages ``L``, each sent 20 ms after its request. What
follows another dot makes it another account. Page number ``n`` has the cursor ``n``.
"""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import IO, cast
from urllib.parse import parse_qs, urlsplit

from pages import body, rows_of

_ID = b"@" * 32
REQUEST_ID = re.compile(rb"(?i)\r\nx-request-id: *([^\r]+)")


@lru_cache(maxsize=100)
def _response(target: str) -> tuple[float, bytes]:
    """Return the seconds to wait, and the body with ``_ID`` in place of the request id."""
    url = urlsplit(target)
    name, latency, pages, *_ = url.path.split("/")[3].split(".")
    page = int(parse_qs(url.query).get("start_key", ["0"])[0])
    cursor = str(page + 1) if page + 1 < int(pages) else None
    return int(latency) / 1000, body(name, page=page, next_start_key=cursor, request_id=_ID.decode())


class HttpConnection(asyncio.Protocol):
    """A connection of a server that answers each request without reading more than its head."""

    def __init__(self) -> None:
        self._unread = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._unread += data
        while (end := self._unread.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._unread[:end])
            del self._unread[: end + 4]
            latency, response = self.respond(head)
            if latency:
                asyncio.get_running_loop().call_later(latency, self._transport.write, response)
            else:
                self._transport.write(response)

    def respond(self, head: bytes) -> tuple[float, bytes]:
        """Return the seconds to wait, and the response."""
        raise NotImplementedError


class _Pages(HttpConnection):
    def respond(self, head: bytes) -> tuple[float, bytes]:
        latency, response = _response(head.split(b" ", 2)[1].decode())
        sent = REQUEST_ID.search(head)
        rows, found, rest = response.rpartition(_ID)
        tail = (sent[1] if sent else b"0" * 32) + rest if found else rest
        length = len(rows) + len(tail)
        start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length
        return latency, b"".join((start, rows, tail))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Pages, "127.0.0.1", 0, backlog=1024)
    for name in ("one", "S", "S200", "S1000", "M", "M200", "L"):
        rows_of(name)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v2", flush=True)
    await server.serve_forever()


@contextmanager
def running() -> Iterator[str]:
    """Run the server until the end of the block, and return its base URL."""
    with subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield cast("IO[str]", process.stdout).readline().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(_serve())
