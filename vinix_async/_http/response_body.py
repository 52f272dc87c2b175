"""Reads the body of a response: decompresses it, limits its size and checks that it is complete."""

import asyncio
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from .._exceptions import APIConnectionError

if TYPE_CHECKING:
    from aiohttp import StreamReader
    from aiohttp.connector import Connection

_CHUNK: Final = 256 * 1024
"""The maximum number of bytes that are decompressed before the size is checked again.

This protects against a small body that decompresses to a huge one.
"""

_GZIP: Final = zlib.MAX_WBITS | 16
"""The ``wbits`` with which zlib expects a gzip header."""

_QUIET: Final = 0.5
"""The number of seconds without data after which to check whether the connection is still open."""


class BrokenConnectionError(Exception):
    """The connection broke while it was in use. ``errno`` is the error number of the operating system, or None.

    This is not a subclass of ``OSError``, because after an ``OSError`` aiohttp may send the request again.
    """

    def __init__(self, errno: int | None = None) -> None:
        super().__init__(errno)
        self.errno = errno


async def read_body(
    stream: "StreamReader", connection: "Connection | None", headers: Mapping[str, str], max_body: int
) -> bytes:
    """Return the complete, decompressed body.

    Raises:
        APIConnectionError: the body is truncated, or it has more than ``max_body`` bytes before or after decompression,
            or its ``Content-Encoding`` was not requested.
        BrokenConnectionError: the connection broke.
        zlib.error: the headers declare gzip, but the body is not valid gzip.
    """
    encoding = headers.get("Content-Encoding", "").lower()
    if encoding not in {"", "identity", "gzip", "x-gzip"}:
        raise APIConnectionError("the response has a Content-Encoding that was not requested", transient=False)
    member = zlib.decompressobj(_GZIP) if encoding in {"gzip", "x-gzip"} else None
    pieces: list[bytes] = []
    received = size = 0
    while not stream.at_eof():
        # Usually, data has already arrived. Reading this data takes less time than setting the timeout in _read_some.
        data = stream.read_nowait() or await _read_some(stream, connection)
        received += len(data)
        _check_size(received, max_body)
        if member is None:
            pieces.append(data)
            continue
        while data:
            if member.eof:  # another gzip member begins (RFC 1952, 2.2)
                member = zlib.decompressobj(_GZIP)
            piece = member.decompress(data, _CHUNK)
            pieces.append(piece)
            size += len(piece)
            _check_size(size, max_body)
            data = member.unused_data if member.eof else member.unconsumed_tail
    if member is not None and received and not member.eof:
        raise APIConnectionError("the response is truncated: its gzip data is incomplete", server_away=True)
    return b"".join(pieces)


def _check_size(size: int, max_body: int) -> None:
    if size > max_body:
        raise APIConnectionError(
            f"the response is larger than Limits.max_body={max_body}: raise the limit, or use a smaller "
            "page_size if the response is a page of a listing",
            transient=False,
        )


async def _read_some(stream: "StreamReader", connection: "Connection | None") -> bytes:
    """Return the next bytes of the body, or empty bytes at its end.

    If the framing of the body is invalid, aiohttp's ``readany`` never returns, even if the connection is closed. So
    this function checks the connection whenever no data has been received for a while.
    """
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
