"""Replaces a share of the responses with faults. A random generator with a fixed seed chooses them."""

import asyncio
import gzip
import random
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web
from attrs import field, frozen

from .. import ConfigurationError

SendFault = Callable[[web.Request, web.Response], Awaitable[web.StreamResponse]]
"""A function that sends a faulty response instead of the given response, or breaks the connection."""

_LINGER_ZERO: Final = struct.pack("ii", 1, 0)
"""The value of the socket option ``SO_LINGER`` with which a socket sends a TCP reset when it is closed."""


async def _reset(request: web.Request, response: web.Response) -> web.StreamResponse:
    reset_connection(request.transport)
    return response


async def _half_a_body(request: web.Request, response: web.Response) -> web.StreamResponse:
    body = _body(response)
    half = web.StreamResponse(headers={"Content-Length": str(len(body) + 1)})
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    _abort(request)
    return half


async def _no_last_chunk(request: web.Request, response: web.Response) -> web.StreamResponse:
    half = web.StreamResponse()
    half.enable_chunked_encoding()
    await half.prepare(request)
    await half.write(_body(response))
    _abort(request)
    return half


async def _cut_gzip(_: web.Request, response: web.Response) -> web.StreamResponse:
    compressed = gzip.compress(_decompressed_body(response))
    return web.Response(body=compressed[:-9], headers={"Content-Encoding": "gzip"})


async def _html(_: web.Request, __: web.Response) -> web.StreamResponse:
    return web.Response(text="<html><body>It works!</body></html>", content_type="text/html")


async def _nothing(_: web.Request, __: web.Response) -> web.StreamResponse:
    return web.Response(body=b"", content_type="application/json")


async def _mixed_up(_: web.Request, response: web.Response) -> web.StreamResponse:
    value = msgspec.json.decode(_decompressed_body(response))
    return web.Response(body=msgspec.json.encode({**value, "request_id": "0" * 32}), content_type="application/json")


def _status(status: int, headers: Mapping[str, str] | None = None) -> SendFault:
    async def send(_: web.Request, __: web.Response) -> web.StreamResponse:
        return web.Response(status=status, text=f"<html>{status}</html>", content_type="text/html", headers=headers)

    return send


SENDERS: Final[Mapping[str, SendFault]] = {
    "reset": _reset,
    "half_a_body": _half_a_body,
    "no_last_chunk": _no_last_chunk,
    "cut_gzip": _cut_gzip,
    "html": _html,
    "nothing": _nothing,
    "mixed_up": _mixed_up,
    "429": _status(429),
    "500": _status(500),
    "502": _status(502),
    "503": _status(503),
    "504": _status(504),
    "retry_after": _status(503, {"Retry-After": "0.2"}),
}

TRANSIENT: Final = tuple(SENDERS)
"""The kinds of faults that a client can overcome with a retry."""

KINDS: Final = (*TRANSIENT, "hang")


@frozen(kw_only=True)
class Faults:
    """Replaces a share of all successful responses with faults.

    Args:
        share: the share of faulty responses, from 0 to 1.
        kinds: the kinds of faults, which are equally likely. ``reset`` resets the connection. ``half_a_body``,
            ``no_last_chunk`` and ``cut_gzip`` truncate the response. ``html`` has status 200 and an HTML body.
            ``nothing`` has status 200 and an empty body. ``mixed_up`` has a wrong request id. ``hang`` never answers.
            ``429``, ``500``, ``502``, ``503`` and ``504`` are errors with this status. ``retry_after`` is a 503 with
            ``Retry-After: 0.2``. By default, all kinds except ``hang`` occur.
        seed: the seed of the random generator. The same seed gives the same sequence of faults.
        logins: whether responses of ``user_auth``, ``api_auth`` and ``token_auth`` can be faulty too.
    """

    share: float = 0.05
    kinds: tuple[str, ...] = TRANSIENT
    seed: int = 0
    logins: bool = False
    _random: random.Random = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if not _is_share(self.share):
            raise ConfigurationError(f"the argument 'share' must be a number from 0 to 1, not {self.share!r}")
        if type(self.kinds) not in {tuple, list} or not self.kinds:
            raise ConfigurationError(
                f"the argument 'kinds' must be a tuple of one or more kinds of faults, not {self.kinds!r}"
            )
        if unknown := [kind for kind in self.kinds if kind not in KINDS]:
            raise ConfigurationError(
                f"the argument 'kinds' has unknown kinds of faults: {', '.join(map(str, unknown))}. The known kinds "
                f"are {', '.join(KINDS)}"
            )
        object.__setattr__(self, "_random", random.Random(self.seed))

    def draw(self, path: str) -> str | None:
        """Return the kind of fault for the next response, or None. The choice is random."""
        if self._random.random() >= self.share or (path.endswith("_auth") and not self.logins):
            return None
        return self._random.choice(self.kinds)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def reset_connection(transport: asyncio.BaseTransport | None) -> None:
    """Close a connection with a TCP reset. Data that has not been sent is discarded."""
    if isinstance(transport, asyncio.Transport):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        transport.abort()


def _abort(request: web.Request) -> None:
    """Close the connection of a request at once, in the middle of the response."""
    if request.transport is not None:
        request.transport.abort()


def _body(response: web.Response) -> bytes:
    body: Any = response.body
    return bytes(body or b"")


def _decompressed_body(response: web.Response) -> bytes:
    compressed = response.headers.get("Content-Encoding") == "gzip"
    return gzip.decompress(_body(response)) if compressed else _body(response)
