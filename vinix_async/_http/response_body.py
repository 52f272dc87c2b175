"""The body of a reply: whole, bounded, decompressed."""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Final, Protocol

from .._exceptions import APIConnectionError
from .watch import Watched

_STEP: Final = 256 * 1024
_QUIET: Final = 0.5
"""Seconds without a byte after which it is looked at whether the connection still is one."""


class DroppedError(Exception):
    """A connection that broke under a request, in a form that aiohttp does not answer by sending it again."""


class Stream(Protocol):
    """The bytes of a body as they come, of aiohttp's reader."""

    def read_nowait(self, n: int, /) -> bytes:
        """What has come."""
        ...

    async def readany(self) -> bytes:
        """What comes next."""
        ...

    def at_eof(self) -> bool:
        """Whether nothing more comes."""
        ...


async def read_body(stream: Stream, connection: Watched | None, headers: Mapping[str, str], most: int) -> bytes:
    """The whole body. Raises ``APIConnectionError`` if it has more than ``most`` bytes, packed or unpacked."""
    encoding = headers.get("Content-Encoding", "identity").lower()
    if encoding not in {"identity", "gzip", "x-gzip"}:
        raise APIConnectionError("the reply is compressed in a way that was not asked for", transient=False)
    unzip = None if encoding == "identity" else zlib.decompressobj(31)
    pieces: list[bytes] = []
    received = size = 0
    while not stream.at_eof():
        chunk = stream.read_nowait(-1) or await _more(stream, connection)
        received += len(chunk)
        _bound(received, most)
        if unzip is None:
            pieces.append(chunk)
            continue
        while chunk:
            pieces.append(unzip.decompress(chunk, _STEP))
            size += len(pieces[-1])
            _bound(size, most)
            chunk = unzip.unconsumed_tail
        if unzip.unused_data:
            raise APIConnectionError("the reply goes on behind the end of its gzip stream")
    if unzip is not None and received and not unzip.eof:
        raise APIConnectionError("the reply is cut short: its gzip stream has no end")
    return b"".join(pieces)


def _bound(size: int, most: int) -> None:
    if size > most:
        raise APIConnectionError(
            f"the reply is larger than Limits.max_body={most}; ask for a smaller page_size, or raise it",
            transient=False,
        )


async def _more(stream: Stream, connection: Watched | None) -> bytes:
    """The next bytes of the body, none at its end.

    After a framing error behind the head, aiohttp's parser leaves its reader asleep whatever the connection
    does; so a reader that hears nothing looks at the connection from time to time.
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
                raise DroppedError from None
    return b""
