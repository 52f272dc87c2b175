"""Reads the body of a response: decompresses it, limits its size and checks that it is complete."""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Final, Protocol

from .._exceptions import APIConnectionError

_CHUNK: Final = 256 * 1024
"""The maximum number of bytes to decompress in one step.

The size is checked after each step, so a small body that decompresses to a huge one cannot exhaust the memory.
"""

_GZIP: Final = zlib.MAX_WBITS | 16
"""The ``wbits`` with which zlib expects a gzip header."""

_QUIET: Final = 0.5
"""The number of seconds without data after which the connection is checked."""


class BrokenConnectionError(Exception):
    """The connection broke while it was in use. ``errno`` is the error number of the operating system, or None.

    This is not a subclass of ``OSError``, because aiohttp retries a request after some errors of that class.
    """

    def __init__(self, errno: int | None = None) -> None:
        super().__init__(errno)
        self.errno = errno


class Stream(Protocol):
    """The part of ``aiohttp.StreamReader`` that this module uses."""

    def read_nowait(self) -> bytes:
        """Return all data that has been received but not read yet."""
        ...

    async def readany(self) -> bytes:
        """Wait for data and return everything that has been received."""
        ...

    def at_eof(self) -> bool:
        """Whether all data has been read."""
        ...


class Connection(Protocol):
    """The part of ``aiohttp.connector.Connection`` that this module uses."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport, or None after the connection has been released."""
        ...


async def read_body(stream: Stream, connection: Connection | None, headers: Mapping[str, str], max_body: int) -> bytes:
    """Return the complete, decompressed body.

    Raises:
        APIConnectionError: the body is truncated, or has more than ``max_body`` bytes before or after decompression.
        BrokenConnectionError: the connection broke.
        zlib.error: the headers declare gzip, but the body is not valid gzip.
    """
    encoding = headers.get("Content-Encoding", "").lower()
    if encoding not in {"", "identity", "gzip", "x-gzip"}:
        raise APIConnectionError("the response has a Content-Encoding that was not requested", transient=False)
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
        raise APIConnectionError("the response is truncated: its gzip stream has no end", server_away=True)
    return b"".join(pieces)


class _Gunzip:
    """Decompresses a gzip stream with one or more members (RFC 1952, 2.2) and limits their total size."""

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._size = 0
        self._member = zlib.decompressobj(_GZIP)

    @property
    def complete(self) -> bool:
        """Whether the last member has ended."""
        return self._member.eof

    def feed(self, data: bytes) -> list[bytes]:
        """Return the decompressed content of ``data``, in chunks."""
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
            f"the response is larger than Limits.max_body={max_body}; use a smaller page_size or a higher limit",
            transient=False,
        )


async def _read_some(stream: Stream, connection: Connection | None) -> bytes:
    """Return the next bytes of the body, or empty bytes at its end.

    If aiohttp's parser finds a framing error in the body, it never wakes the task that waits for data, even if the
    connection is closed. So this function checks the connection whenever no data has come for a while.
    """
    if chunk := stream.read_nowait():  # the usual case; setting up the timeout below would take longer than reading
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
