"""The HTTP layer of the sandbox. It decodes and records requests, sets headers and answers conditional requests."""

import asyncio
import gzip
import re
import weakref
from collections import Counter
from collections.abc import Mapping, MutableSequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from aiohttp import web
from attrs import frozen

from .breakage import broken_connection
from .dialects import EnvelopeContext
from .encoding import MediaType, encode_csv, encode_json, encode_streamed, negotiate
from .estate.ids import digest
from .faults import SENDERS, Faults, reset_connection
from .outages import OutageController
from .requests import ApiRequest, Credentials
from .responses import ApiResponse, early, missing_field, validation_error
from .routes import Routed, route, token_bucket_name
from .state import SandboxState

MIN_COMPRESSED_SIZE: Final = 300
"""The size in bytes from which Cowboy compresses a body."""

MAX_REQUEST_LINE: Final = 8000
"""The maximum length of a request line in bytes. Cowboy answers longer lines with 414."""

MAX_HEADER_VALUE: Final = 4096
"""The maximum length of a header's value in bytes. Cowboy answers longer values with 431."""

NO_STATUS: Final = 0
"""The status that is recorded for a request that gets no response because of an outage."""

_NOT_UTF8: Final = re.compile("[\udc80-\udcff]")
"""Matches the characters with which aiohttp replaces the bytes of a header that are not UTF-8."""

BANNER: Final = r"""
      __      __ _         _
      \ \    / /(_) _ __  (_)__  __
       \ \  / / | || '_ \ | |\ \/ /
        \ \/ /  | || | | || | >  <
         \__/   |_||_| |_||_|/_/\_\      sandbox
"""
"""The response to a path without an API version."""

_CORS_HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "OPTIONS, PUT, GET",
    "Access-Control-Allow-Headers": "content-type, x-auth-token",
    "Access-Control-Expose-Headers": "content-type, x-auth-token, x-request-id, location, etag",
    "Access-Control-Max-Age": "86400",
}
_NEGOTIATED_HEADERS: Final = {"Vary": "accept-language, accept", "Content-Language": "en"}
_EXPIRES: Final = {"Expires": "Fri, 01 Jan 1999 00:00:00 GMT"}


@frozen
class RecordedRequest:
    """A request and the status of its response. Headers and bodies are not recorded, because they contain secrets.

    Args:
        method: the HTTP method.
        path: the path, with the API version.
        query: the query parameters, except ``auth_token``.
        status: the status of the response before ``fault`` was applied. 0 if an outage prevented a response.
        account_id: the account id in the path. None if the path is not below ``/accounts``.
        request_id: the value of the ``X-Request-ID`` header, or the id that the sandbox chose.
        fault: the kind of the fault or outage that affected the response. None if there was none.
    """

    method: str
    path: str
    query: Mapping[str, str]
    status: int
    account_id: str | None
    request_id: str
    fault: str | None = None


class HttpHandler:
    """Answers all requests and records them in ``requests``."""

    def __init__(
        self,
        state: SandboxState,
        requests: MutableSequence[RecordedRequest],
        faults: Faults | None,
        outages: OutageController,
    ) -> None:
        self._state = state
        self._faults = faults
        self._outages = outages
        self._requests = requests
        self._requests_by_connection: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self.served: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        try:
            body = await request.read()
        except web.RequestPayloadError:  # the body is not compressed as its Content-Encoding says
            return web.Response(status=400)
        self.served += 1
        path = [unquote(segment) for segment in request.rel_url.raw_path.split("/")[1:]]
        request_id = request.headers.get("X-Request-ID") or digest("request", self.served)
        outage = self._outages.current
        if outage is not None and outage.affects(path, self._state.clock.monotonic()):
            fault: str | None = outage.kind
            response = web.Response(status=int(outage.kind) if outage.kind.isdigit() else NO_STATUS)
        else:
            response = _refuse(request, path) or self._respond(request, path, body, request_id)
            fault = self._choose_fault(request, path, response)
        self._record(request, path, response.status, request_id, fault)
        count = self._requests_by_connection.get(request.transport, 0) + 1
        self._requests_by_connection[request.transport] = count
        if count >= self._state.dialect.requests_per_connection:
            response.force_close()
        if fault is None:
            return response
        if fault == "hang":
            return await self._hang(request)
        # A connection that is being accepted when an outage of the kind "refuse" begins can still send a request. Reset
        # this connection too.
        return await SENDERS["reset" if fault == "refuse" else fault](request, response)

    def _choose_fault(self, request: web.Request, path: list[str], response: web.Response) -> str | None:
        """Return the kind of fault that changes a response, or None."""
        match path:
            case [_, "accounts", account_id, *_] if account_id in self._state.hanging_accounts:
                return "hang"
            case [_, "accounts", account_id, "callflows", callflow_id] if response.status < 300:
                account = self._state.accounts.find(account_id)
                how = None if account is None else self._state.broken_callflows.get((account, callflow_id))
                if (fault := broken_connection(how)) is not None:
                    return fault
        return self._faults.draw(request.path) if self._faults and response.status < 300 else None

    def _record(self, request: web.Request, path: list[str], status: int, request_id: str, fault: str | None) -> None:
        account_id = path[2] if len(path) > 2 and path[1] == "accounts" else None
        query = {name: value for name, value in request.query.items() if name != "auth_token"}
        self._requests.append(
            RecordedRequest(request.method, request.path, query, status, account_id, request_id, fault)
        )

    def open(self) -> None:
        """Prepare for requests in the current event loop. The sandbox calls this method when it starts."""
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Close the connections of the requests that hang. This ends the requests."""
        self._closed.set()

    async def _hang(self, request: web.Request) -> web.Response:
        """Wait until the sandbox is closed, and do not answer. If the client disconnects, aiohttp cancels the wait."""
        await self._closed.wait()
        reset_connection(request.transport)
        return web.Response()

    def _respond(self, request: web.Request, path: list[str], body: bytes, request_id: str) -> web.Response:
        """Return the response to a request whose path begins with an API version."""
        api_request, problem = _decode(request, path, body)
        routed = route(self._state, api_request) if problem is None else Routed(problem, is_identified=False)
        media_type: MediaType = "application/json"
        if isinstance(routed.target, ApiResponse):
            response = routed.target
        else:
            accept = request.headers.get("Accept", "*/*")
            chosen = negotiate(accept, allow_parameters=self._state.dialect.accepts_media_parameters)
            if isinstance(chosen, int):
                return web.Response(status=chosen)
            media_type, response = chosen, routed.target()
        headers = self._headers(response, media_type) | {"X-Request-ID": request_id}
        conditional = _check_condition(request, response, headers)
        if conditional is not None:
            return conditional
        if not response.has_body:
            return web.Response(status=response.status, headers=headers)
        context = self._envelope_context(api_request, routed, response, request_id)
        return _encode(request, response, self._state.dialect.envelope(response, context), headers)

    def _headers(self, response: ApiResponse, media_type: MediaType) -> dict[str, str]:
        headers: dict[str, str] = {}
        if response.has_body:
            if not (response.before_negotiation and self._state.dialect.untyped_early_errors):
                headers["Content-Type"] = media_type
            if response.status >= 400:
                headers |= _CORS_HEADERS
        if not response.before_negotiation:
            headers |= _NEGOTIATED_HEADERS
        if response.status == 200:
            headers |= _EXPIRES
            if response.revision is not None and not response.is_streamed:
                headers["ETag"] = f'"{response.revision}"'
        if response.location is not None:
            headers["Location"] = response.location
        return headers

    def _envelope_context(
        self, request: ApiRequest, routed: Routed, response: ApiResponse, request_id: str
    ) -> EnvelopeContext:
        state = self._state
        return EnvelopeContext(
            request_id=request_id,
            token=request.credentials.text if routed.is_identified else None,
            timestamp=datetime.fromtimestamp(state.clock.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            tokens_remaining=state.buckets.remaining(token_bucket_name(request), state.clock.monotonic()),
            authenticated=routed.owner is not None or "auth_token" in response.envelope,
        )


def _refuse(request: web.Request, path: list[str]) -> web.Response | None:
    """Return the response to a request that does not reach the API, or None if the request reaches it.

    A request does not reach the API if it exceeds a limit of Cowboy, has no API version in its path, or is a CORS
    preflight.
    """
    if len(request.raw_path) > MAX_REQUEST_LINE:
        return web.Response(status=414)
    if any(len(value) > MAX_HEADER_VALUE for value in request.headers.values()):
        return web.Response(status=431)
    if any(map(_NOT_UTF8.search, request.headers.values())):
        return web.Response(status=400)
    if not (path[0][:1] == "v" and path[0][1:].isdigit()):
        return web.Response(text=BANNER)
    if request.method == "OPTIONS" and {"Origin", "Access-Control-Request-Method"} <= request.headers.keys():
        return web.Response(headers=_CORS_HEADERS)
    return None


def _decode(request: web.Request, path: list[str], body: bytes) -> tuple[ApiRequest, ApiResponse | None]:
    """Return the decoded request and None. If the body is invalid, the second value is a response with status 400."""
    data, problem = _decode_body(body, request.content_type if "Content-Type" in request.headers else None)
    version, *segments = path[:-1] if not path[-1] else path
    names = Counter(name for name, _ in request.query.items())
    api_request = ApiRequest(
        method=request.method,
        version=version,
        segments=segments,
        query=dict(request.query),
        repeated=frozenset(name for name, count in names.items() if count > 1),
        credentials=_credentials(request),
        data=data,
        peer=request.remote or "",
    )
    return api_request, problem


def _credentials(request: web.Request) -> Credentials:
    if "X-Auth-Token" in request.headers:
        return Credentials(request.headers["X-Auth-Token"])
    if "auth_token" in request.query:
        return Credentials(request.query["auth_token"])
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    match scheme.lower():
        case "basic":
            return Credentials(text, "basic")
        case "bearer":
            return Credentials(text, "bearer")
    return Credentials()


def _decode_body(body: bytes, content_type: str | None) -> tuple[dict[str, Any], ApiResponse | None]:
    """Return the ``data`` of the body, and the 400 for an invalid body. The second value is None if the body is valid.

    A body with a content type other than JSON is an upload. Its ``data`` is empty.
    """
    if not body or content_type not in {None, "application/json"}:
        return {}, None
    try:
        value, problem = msgspec.json.decode(body), "All JSON must be valid"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value, problem = None, "decoder_exit around 0"
    if not isinstance(value, dict):
        return {}, early(validation_error("json", "invalid", problem, target="body"))
    data = value.get("data")
    if data is None:
        return {}, early(missing_field("data", {name: each for name, each in value.items() if each is not None}))
    return data if isinstance(data, dict) else {}, None


def _check_condition(request: web.Request, response: ApiResponse, headers: dict[str, str]) -> web.Response | None:
    """Return the response that the ``If-None-Match`` header requires instead of ``response``, or None.

    ETags are compared weakly, as in Cowboy. A header that is neither ``*`` nor a list of quoted ETags gets a 400.
    """
    wanted = request.if_none_match
    if wanted is None or response.status != 200:
        return None
    if not wanted:
        return web.Response(status=400)
    if {"*", response.revision} & {each.value for each in wanted}:
        return web.Response(status=304, headers={name: headers[name] for name in headers if name != "Content-Type"})
    if response.revision is None:  # an empty listing has no ETag, and Cowboy then treats If-None-Match as failed
        return web.Response(status=412, headers=_NEGOTIATED_HEADERS)
    return None


def _encode(
    request: web.Request, response: ApiResponse, content: dict[str, Any], headers: dict[str, str]
) -> web.Response:
    if response.is_streamed:
        streamed = web.Response(status=response.status, body=encode_streamed(content), headers=headers)
        streamed.enable_chunked_encoding()
        return streamed
    if headers.get("Content-Type") == "text/csv":
        body = encode_csv(response.data)
        headers["Content-Disposition"] = 'attachment; filename="json.csv"'
    else:
        is_pretty = request.query.get("pretty_print") == "true" or request.headers.get("X-Pretty-Print") == "true"
        body = encode_json(content, callback=request.query.get("jsonp"), is_pretty=is_pretty)
    if len(body) >= MIN_COMPRESSED_SIZE and "gzip" in request.headers.get("Accept-Encoding", ""):
        body = gzip.compress(body, 1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return web.Response(status=response.status, body=body, headers=headers)


async def expect(request: web.Request) -> None:
    """Send a 100 to a client that waits for it. Other values of ``Expect`` get a 417."""
    if request.headers["Expect"].lower() != "100-continue":
        raise web.HTTPExpectationFailed
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # only the response counts


async def restore_cowboy_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Set ``Server`` to ``Cowboy``, and remove the ``Content-Type`` that aiohttp adds to a response without one."""
    response.headers["Server"] = "Cowboy"
    if response.headers.get("Content-Type") == "application/octet-stream":
        del response.headers["Content-Type"]
