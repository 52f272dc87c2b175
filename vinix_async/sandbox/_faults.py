"""What goes wrong between a server and its clients, on purpose: a share of the answers, drawn from a seed."""

import asyncio
import gzip
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web
from attrs import field, frozen

from .._exceptions import ConfigurationError

Answer = Callable[[web.Request, web.Response], Awaitable[web.StreamResponse]]


async def _reset(request: web.Request, response: web.Response) -> web.StreamResponse:
    _cut(request)
    return response


async def _half_a_body(request: web.Request, response: web.Response) -> web.StreamResponse:
    body = _bytes(response)
    half = web.StreamResponse(headers={"Content-Length": str(len(body) + 1)})
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    _cut(request)
    return half


async def _no_last_chunk(request: web.Request, response: web.Response) -> web.StreamResponse:
    half = web.StreamResponse()
    half.enable_chunked_encoding()
    await half.prepare(request)
    await half.write(_bytes(response))
    _cut(request)
    return half


async def _cut_gzip(_: web.Request, response: web.Response) -> web.StreamResponse:
    zipped = gzip.compress(_plain(response))
    return web.Response(body=zipped[:-9], headers={"Content-Encoding": "gzip"})


async def _html(_: web.Request, __: web.Response) -> web.StreamResponse:
    return web.Response(text="<html><body>It works!</body></html>", content_type="text/html")


async def _nothing(_: web.Request, __: web.Response) -> web.StreamResponse:
    return web.Response(body=b"", content_type="application/json")


async def _mixed_up(_: web.Request, response: web.Response) -> web.StreamResponse:
    value = msgspec.json.decode(_plain(response))
    return web.Response(body=msgspec.json.encode({**value, "request_id": "0" * 32}), content_type="application/json")


async def _hang(_: web.Request, response: web.Response) -> web.StreamResponse:
    await asyncio.Event().wait()  # until the server closes
    return response


def _status(status: int, headers: Mapping[str, str] | None = None) -> Answer:
    async def answer(_: web.Request, __: web.Response) -> web.StreamResponse:
        return web.Response(status=status, text=f"<html>{status}</html>", content_type="text/html", headers=headers)

    return answer


KINDS: Final[Mapping[str, Answer]] = {
    "reset": _reset,
    "half_a_body": _half_a_body,
    "no_last_chunk": _no_last_chunk,
    "cut_gzip": _cut_gzip,
    "html": _html,
    "nothing": _nothing,
    "mixed_up": _mixed_up,
    "hang": _hang,
    "429": _status(429),
    "500": _status(500),
    "502": _status(502),
    "503": _status(503),
    "504": _status(504),
    "retry_after": _status(503, {"Retry-After": "0.2"}),
}

PASSING: Final = tuple(kind for kind in KINDS if kind != "hang")
"""Every kind but ``hang``: what a client gets over by asking again."""


@frozen(kw_only=True)
class Faults:
    """``share`` of all answers go wrong, each in one of ``kinds``; logins are left alone unless ``logins``.

    The kinds: ``reset``, ``half_a_body``, ``no_last_chunk``, ``cut_gzip``, ``html`` and ``nothing`` with status 200,
    ``mixed_up`` (the answer carries another request's id), ``hang`` (no answer comes), ``429``, ``500``, ``502``,
    ``503``, ``504``, and ``retry_after`` (503 with ``Retry-After: 0.2``).
    """

    share: float = 0.05
    kinds: tuple[str, ...] = PASSING
    seed: int = 0
    logins: bool = False
    _chance: random.Random = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ConfigurationError("share must be a number from 0 to 1")
        if unknown := set(self.kinds) - KINDS.keys():
            raise ConfigurationError(f"kinds of faults are {', '.join(KINDS)}; not {', '.join(sorted(unknown))}")
        object.__setattr__(self, "_chance", random.Random(self.seed))

    def draw(self, path: str) -> str | None:
        """The kind of the next answer's fault, if it has one."""
        if self._chance.random() >= self.share or (path.endswith("_auth") and not self.logins):
            return None
        return self._chance.choice(self.kinds)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _bytes(response: web.Response) -> bytes:
    body: Any = response.body
    return bytes(body or b"")


def _plain(response: web.Response) -> bytes:
    zipped = response.headers.get("Content-Encoding") == "gzip"
    return gzip.decompress(_bytes(response)) if zipped else _bytes(response)
