"""A loopback server that answers as each test says, and remembers what it was asked."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

Answer = web.Response | Callable[[web.Request], web.Response | Awaitable[web.Response]]


def success(request: web.Request, data: Any = (), *, status: int = 200, **envelope: Any) -> web.Response:
    """What Kazoo sends around ``data``: the token and the request id are echoed."""
    body = {
        "data": list(data) if data == () else data,
        "status": "success",
        "request_id": request.headers["X-Request-ID"],
        "auth_token": request.headers.get("X-Auth-Token", "undefined"),
        "node": "4PtYxFfXzaWLSbjCIA7SzA",
        "timestamp": "2026-01-01T00:00:00Z",
        **envelope,
    }
    return web.json_response(body, status=status, headers={"X-Request-ID": body["request_id"]})


def failure(request: web.Request, status: int, message: str = "failed", **envelope: Any) -> web.Response:
    """Kazoo's error body, sent without a content type as its early errors are."""
    body = {
        "data": {"message": message},
        "error": str(status),
        "message": message.replace(" ", "_"),
        "status": "error",
        "request_id": request.headers.get("X-Request-ID", ""),
        "auth_token": request.headers.get("X-Auth-Token", "undefined"),
        **envelope,
    }
    return web.Response(status=status, body=json.dumps(body).encode())


class Scripted:
    """Answers come from ``script`` one by one; when it is empty, from ``otherwise``."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.otherwise: Answer = success
        self.requests: list[web.Request] = []
        self.logins = 0
        self.login: Answer = self._token
        self.url = ""

    def _token(self, request: web.Request) -> web.Response:
        return success(request, {}, status=201, auth_token=f"token-number-{self.logins}")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.requests.append(request)
        if request.path.endswith("_auth"):
            self.logins += 1
            answer = self.login
        else:
            answer = self.script.pop(0) if self.script else self.otherwise
        if isinstance(answer, web.Response):  # a response object serves once
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        reply = answer(request)
        return reply if isinstance(reply, web.StreamResponse) else await reply

    @property
    def asked(self) -> list[str]:
        """The paths that were asked for, logins left out."""
        return [request.path_qs for request in self.requests if not request.path.endswith("_auth")]


@asynccontextmanager
async def scripted_server(**options: Any) -> AsyncIterator[Scripted]:
    scripted = Scripted()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", scripted.handle)
    server = TestServer(app, **options)
    await server.start_server(access_log=None)
    scripted.url = str(server.make_url("/v2"))
    try:
        yield scripted
    finally:
        await server.close()
