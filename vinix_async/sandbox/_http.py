"""HTTP around the routes: request ids, JSON, gzip, conditions, the banner, and the record of what was asked."""

import gzip
import json
import weakref
from collections.abc import Mapping, MutableSequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import msgspec
from aiohttp import web
from attrs import frozen

from ._dialects import BANNER, Asked, Reply, invalid
from ._faults import KINDS, Faults
from ._ids import digest
from ._routes import answer
from ._state import State


@frozen
class Served:
    """One request and the answer that it had, or would have had but for ``fault``.

    No header or body is kept, and so no secret.
    """

    method: str
    path: str
    query: Mapping[str, str]
    status: int
    account_id: str | None
    request_id: str
    fault: str | None = None


class Handler:
    """Answers every request, whatever its path."""

    def __init__(self, state: State, requests: MutableSequence[Served], faults: Faults | None) -> None:
        self._state = state
        self._faults = faults
        self._requests = requests
        self._per_connection: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self.served = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The answer to one request, recorded."""
        body = await request.read()
        self.served += 1
        request_id = request.headers.get("X-Request-ID") or digest("request", self.served)
        response, path = self._answer(request, body, request_id)
        response.headers["X-Request-ID"] = request_id
        account_id = path[2] if len(path) > 2 and path[1] == "accounts" else None
        query = {name: value for name, value in request.query.items() if name != "auth_token"}
        fault = self._faults.draw(request.path) if self._faults and response.status < 300 else None
        if account_id in self._state.silent:
            fault = "hang"
        self._requests.append(
            Served(request.method, request.path, query, response.status, account_id, request_id, fault)
        )
        count = self._per_connection.get(request.transport, 0) + 1
        self._per_connection[request.transport] = count
        if count >= self._state.dialect.requests_per_connection:
            response.force_close()
        return response if fault is None else await KINDS[fault](request, response)

    def _answer(self, request: web.Request, body: bytes, request_id: str) -> tuple[web.Response, list[str]]:
        path = [unquote(segment) for segment in request.rel_url.raw_path.split("/")[1:]]
        if not (path[0][:1] == "v" and path[0][1:].isdigit()):
            return web.Response(text=BANNER), path
        accepted = request.headers.get("Accept", "*/*")
        if not any(kind in accepted for kind in ("*/*", "json", "csv")):
            return web.Response(status=406), path
        state, query = self._state, dict(request.query)
        token = request.headers.get("X-Auth-Token") or query.get("auth_token")
        peer = request.remote or ""
        value, broken = _parse(body)
        reply, owner = (broken, None) if broken else answer(state, request.method, path, query, token, value, peer)
        condition = request.headers.get("If-None-Match")
        if condition is not None and reply.status == 200:
            if reply.revision is None:
                return web.Response(status=412), path  # an empty listing has no ETag, and cowboy refuses
            if condition.strip('"') == reply.revision:
                return web.Response(status=304, headers={"ETag": f'"{reply.revision}"'}), path
        now = state.clock.time()
        asked = Asked(
            request_id=request_id,
            token=token,
            timestamp=datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            tokens_left=state.buckets.left(f"{peer}/{path[2] if len(path) > 2 else ''}", state.clock.monotonic()),
            authenticated=owner is not None,
        )
        content = state.dialect.body(reply, asked)
        raw = (
            _chunked(content)
            if state.dialect.engine_5 and query.get("is_chunked") == "true"
            else msgspec.json.encode(content)
        )
        headers = {"Expires": "Fri, 01 Jan 1999 00:00:00 GMT"}
        if reply.status < 300:
            headers["Content-Type"] = "application/json"  # errors go out before it is decided on
        if reply.revision:
            headers["ETag"] = f'"{reply.revision}"'
        if len(raw) >= 300 and "gzip" in request.headers.get("Accept-Encoding", ""):
            raw = gzip.compress(raw, 1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return web.Response(status=reply.status, body=raw, headers=headers), path


def _parse(body: bytes) -> tuple[Any, Reply | None]:
    if not body:
        return None, None
    try:
        return msgspec.json.decode(body), None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, invalid("json", "invalid", "failed to parse the body")


def _chunked(content: Mapping[str, Any]) -> bytes:
    """A streamed reply: the data first, every other value a string, success whatever happened."""
    if not isinstance(content.get("data"), list) or not content["data"]:
        return msgspec.json.encode(content)
    rest = {key: str(value) for key, value in content.items() if key != "data"}
    trailer = ",".join(f'{json.dumps(key)}:"{value}"' for key, value in rest.items())
    return b'{"data":' + msgspec.json.encode(content["data"]) + b"," + trailer.encode() + b"}"
