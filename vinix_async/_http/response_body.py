"""Reads the body of a response: checks that it is complete, bounds its size, and decompresses it."""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Final, Protocol

from .._exceptions import APIConnectionError

_CHUNK: Final = 256 * 1024
"""Bytes that are decompressed at once, so that a small body cannot fill the memory before it is bounded."""

_GZIP: Final = zlib.MAX_WBITS | 16
"""Tells zlib to expect a gzip header."""

_QUIET: Final = 0.5
"""Seconds without data after which the connection is checked."""


class BrokenConnectionError(Exception):
    """The connection broke while it was in use. ``errno`` is the operating system's reason, if it gave one.

    It is not an ``OSError``, because aiohttp sends a request again after some of those.
    """

    def __init__(self, errno: int | None = None) -> None:
        super().__init__(errno)
        self.errno = errno


class Stream(Protocol):
    """The part of ``aiohttp.StreamReader`` that is used."""

    def read_nowait(self) -> bytes:
        """Return all data that has come and was not read yet."""
        ...

    async def readany(self) -> bytes:
        """Wait for data and return all that has come."""
        ...

    def at_eof(self) -> bool:
        """Whether all data has been read."""
        ...


class Connection(Protocol):
    """The part of ``aiohttp.connector.Connection`` that is used."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """None once the connection has been released."""
        ...


async def read_body(stream: Stream, connection: Connection | None, headers: Mapping[str, str], max_body: int) -> bytes:
    """Return the complete, decompressed body.

    Raises:
        APIConnectionError: the body has more than ``max_body`` bytes, compressed or not; or it was cut short.
        BrokenConnectionError: the connection broke.
        zlib.error: the body is not gzip although its headers say so.
    """
    encoding = headers.get("Content-Encoding", "").lower()
    if encoding not in {"", "identity", "gzip", "x-gzip"}:
        raise APIConnectionError("the response has a compression that was not asked for", transient=False)
    decompress = _Gunzip(max_body) if encoding in {"gzip", "x-gzip"} else None
    pieces: list[bytes] = []
    received = 0
    while not stream.at_eof():
        chunk = await _read_some(stream, connection)
        received += len(chunk)
        _check_size(received, max_body)
        if decompress is None:
            pieces.append(chunk)
        else:
            pieces += decompress.feed(chunk)
    if decompress is not None and received and not decompress.complete:
        raise APIConnectionError("the response was cut short: its gzip stream does not end", server_away=True)
    return b"".join(pieces)


class _Gunzip:
    """Decompresses a gzip stream of one or more members (RFC 1952, 2.2), bounded over all of them."""

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._size = 0
        self._member = zlib.decompressobj(_GZIP)

    @property
    def complete(self) -> bool:
        """Whether the last member has ended."""
        return self._member.eof

    def feed(self, data: bytes) -> list[bytes]:
        """Return what ``data`` decompresses to, in pieces."""
        pieces: list[bytes] = []
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            piece = self._member.decompress(data, _CHUNK)
            pieces.append(piece)
            self._size += len(piece)
            _check_size(self._size, self._max_body)
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        return pieces


def _check_size(size: int, max_body: int) -> None:
    if size > max_body:
        raise APIConnectionError(
            f"the response is larger than Limits.max_body={max_body}; ask for a smaller page_size, or raise the limit",
            transient=False,
        )


async def _read_some(stream: Stream, connection: Connection | None) -> bytes:
    """Return the next bytes of the body; none at its end.

    After a framing error that follows the headers, aiohttp's parser does not wake its reader, whatever happens to
    the connection. So a reader that gets no data checks the connection from time to time.
    """
    if chunk := stream.read_nowait():  # as most often; the timeout below would take longer than the reading
        return chunk
    while not stream.at_eof():
        quiet = asyncio.timeout(_QUIET)
        try:
            async with quiet:
                if chunk := await stream.readany():
                    return chunk
        except TimeoutError:
            if not quiet.expired():
                raise
            transport = None if connection is None else connection.transport
            if transport is None or transport.is_closing():
                raise BrokenConnectionError from None
    return b""
