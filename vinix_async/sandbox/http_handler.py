"""HTTP around the routes: request ids, JSON, gzip, conditional requests, and the record of requests."""

import gzip
import json
import weakref
from collections.abc import Mapping, MutableSequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from aiohttp import web
from attrs import frozen

from .dialects import EnvelopeContext
from .estate.ids import digest
from .faults import KINDS, Faults
from .responses import ApiResponse, validation_error
from .routes import ApiRequest, route
from .state import SandboxState

_MIN_COMPRESSED: Final = 300
"""Cowboy compresses bodies of at least this many bytes."""

BANNER: Final = r"""
      __      __ _         _
      \ \    / /(_) _ __  (_)__  __
       \ \  / / | || '_ \ | |\ \/ /
        \ \/ /  | || | | || | >  <
         \__/   |_||_| |_||_|/_/\_\      sandbox
"""
"""The answer to a path without an API version."""


@frozen
class RecordedRequest:
    """One request and its response. No header or body is kept, and so no secret.

    Args:
        status: the status that was sent, or would have been sent but for ``fault``.
        fault: the kind of fault that the response had, if any.
    """

    method: str
    path: str
    query: Mapping[str, str]
    status: int
    account_id: str | None
    request_id: str
    fault: str | None = None


class HttpHandler:
    """Answers every request, whatever its path, and records it in ``requests``."""

    def __init__(self, state: SandboxState, requests: MutableSequence[RecordedRequest], faults: Faults | None) -> None:
        self._state = state
        self._faults = faults
        self._requests = requests
        self._requests_by_connection: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self.served = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        body = await request.read()
        self.served += 1
        request_id = request.headers.get("X-Request-ID") or digest("request", self.served)
        path = [unquote(segment) for segment in request.rel_url.raw_path.split("/")[1:]]
        response = self._respond(request, path, body, request_id)
        response.headers["X-Request-ID"] = request_id
        account_id = path[2] if len(path) > 2 and path[1] == "accounts" else None
        query = {name: value for name, value in request.query.items() if name != "auth_token"}
        fault = self._faults.draw(request.path) if self._faults and response.status < 300 else None
        if account_id in self._state.hanging_accounts:
            fault = "hang"
        self._requests.append(
            RecordedRequest(request.method, request.path, query, response.status, account_id, request_id, fault)
        )
        count = self._requests_by_connection.get(request.transport, 0) + 1
        self._requests_by_connection[request.transport] = count
        if count >= self._state.dialect.requests_per_connection:
            response.force_close()
        return response if fault is None else await KINDS[fault](request, response)

    def _respond(self, request: web.Request, path: list[str], body: bytes, request_id: str) -> web.Response:
        if not (path[0][:1] == "v" and path[0][1:].isdigit()):
            return web.Response(text=BANNER)
        accepted = request.headers.get("Accept", "*/*")
        if not any(kind in accepted for kind in ("*/*", "json", "csv")):
            return web.Response(status=406)
        state, query = self._state, dict(request.query)
        token = request.headers.get("X-Auth-Token") or query.get("auth_token")
        peer = request.remote or ""
        value, malformed = _parse_json(body)
        if malformed:
            response, owner = malformed, None
        else:
            response, owner = route(state, ApiRequest(request.method, path, query, token, value, peer))
        condition = request.headers.get("If-None-Match")
        if condition is not None and response.status == 200:
            if response.revision is None:
                return web.Response(status=412)  # an empty listing has no ETag, and cowboy refuses the condition
            if condition.strip('"') == response.revision:
                return web.Response(status=304, headers={"ETag": f'"{response.revision}"'})
        context = EnvelopeContext(
            request_id=request_id,
            token=token,
            timestamp=datetime.fromtimestamp(state.clock.time(), UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            tokens_remaining=state.buckets.remaining(
                f"{peer}/{path[2] if len(path) > 2 else ''}", state.clock.monotonic()
            ),
            authenticated=owner is not None,
        )
        return self._encode(request, response, state.dialect.envelope(response, context), query)

    def _encode(
        self, request: web.Request, response: ApiResponse, content: Mapping[str, Any], query: Mapping[str, str]
    ) -> web.Response:
        is_chunked = self._state.dialect.kazoo5_engine and query.get("is_chunked") == "true"
        raw = _chunked(content) if is_chunked else msgspec.json.encode(content)
        headers = {"Expires": "Fri, 01 Jan 1999 00:00:00 GMT"}
        if response.status < 300:
            headers["Content-Type"] = "application/json"  # errors are sent before the content type is negotiated
        if response.revision:
            headers["ETag"] = f'"{response.revision}"'
        if len(raw) >= _MIN_COMPRESSED and "gzip" in request.headers.get("Accept-Encoding", ""):
            raw = gzip.compress(raw, 1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return web.Response(status=response.status, body=raw, headers=headers)


def _parse_json(body: bytes) -> tuple[Any, ApiResponse | None]:
    """Return the decoded body, or the 400 for a body that is not valid JSON."""
    if not body:
        return None, None
    try:
        return msgspec.json.decode(body), None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, validation_error("json", "invalid", "failed to parse the body")


def _chunked(content: Mapping[str, Any]) -> bytes:
    """Return a streamed reply: the data first, every other value as a string, and ``success`` in any case."""
    if not isinstance(content.get("data"), list) or not content["data"]:
        return msgspec.json.encode(content)
    rest = {key: str(value) for key, value in content.items() if key != "data"}
    trailer = ",".join(f'{json.dumps(key)}:"{value}"' for key, value in rest.items())
    return b'{"data":' + msgspec.json.encode(content["data"]) + b"," + trailer.encode() + b"}"
