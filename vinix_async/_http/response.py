"""Reads the envelope of a response, or raises the error that the response reports. This module does no I/O."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from attrs import define, field

from .._documents.base import Document
from .._documents.decode import MISSING, json_type, parse_envelope
from .._documents.deep_json import write_json
from .._exceptions import APIConnectionError, DecodeError, VinixError
from .request import Request, is_revision
from .status_errors import NO_SECRETS, Secrets, clean, error_of_body, status_error
from .transport import Response

NOT_MODIFIED: Final = object()
"""The value of ``Envelope.data`` for a 304, which has no body."""


@define(eq=False)
class Envelope:
    """The envelope of a successful response.

    Attributes:
        data: the JSON value of ``data``. For a listing, only ``iter_rows`` and ``read_rows`` can read it.
        request_id: the request id in the body. If there is none, the request id that was sent.
        echoes_request_id: whether the headers or the body of the response contain the request id that was sent.
        header_echoes: whether the headers of the response contain the request id that was sent.
        next_start_key: the cursor of the next page. None on the last page.
        start_key: the cursor of this page. None if the server did not send it.
        page_size: the number of rows in this page according to the server. None if the server did not send it.
        timestamp: the time of the response according to the server, in UTC. None if the server did not send it.
        revision: the revision of the document in ``data``. None for a listing, if there is no revision, or if it
            cannot be sent in a header.
        auth_token: the token in the body: the new token after a login, otherwise the token of the request.
        attempts: the number of attempts that the call needed.
        attempts_allowed: the number of attempts that the ``RetryPolicy`` allows.
    """

    data: Any = field(repr=False)
    request_id: str | None = None
    echoes_request_id: bool = False
    header_echoes: bool = False
    next_start_key: str | None = None
    start_key: str | None = None
    page_size: int | None = None
    timestamp: datetime | None = None
    revision: str | None = None
    auth_token: str | None = field(default=None, repr=False)
    attempts: int = 1
    attempts_allowed: int | None = None


E = TypeVar("E", bound=VinixError)


def about_response(error: E, request: Request, envelope: Envelope) -> E:
    """Set the fields of ``error`` that describe ``request`` and its successful response. Return ``error``."""
    error.method, error.path, error.request_id = request.method, request.path, envelope.request_id
    error.account_id, error.callflow_id = request.account_id, request.callflow_id
    error.attempts, error.attempts_allowed = envelope.attempts, envelope.attempts_allowed
    error.gave_up = error.gave_up or "a retry would get the same response"
    return error


def read_envelope(
    request: Request, response: Response, *, request_id: str, base_url: str, now: float, secrets: Secrets
) -> Envelope:
    """Return the envelope of a successful ``response`` to ``request``. Raise the error that any other response reports.

    ``request_id`` is the ``X-Request-ID`` that was sent. If the server sends its text banner, ``base_url`` is checked
    for a missing ``/v2``. ``now`` is the current Unix time, to which the date of a ``Retry-After`` is compared.
    """
    try:
        if response.status == 304 and request.revision is not None:
            envelope = Envelope(NOT_MODIFIED, revision=request.revision)
        elif response.status >= 300:
            raise status_error(request, response, now, secrets)
        else:
            envelope = _read_success(request, response, request_id, base_url, secrets)
    except VinixError as error:
        failure = error
    else:
        return _with_headers(envelope, request, response.headers, request_id, secrets)
    failure.request_id = failure.request_id or request_id
    # Drop the traceback. Its frames refer to the body, and a crash report would show the token in the body.
    raise failure.with_traceback(None)


_ANY_REQUEST: Final = Request("GET", "")


def decode_envelope(body: bytes, kind: type[Document]) -> Envelope:
    """Return the envelope in ``body``, the body of a 200 response to a request for a listing."""
    return _envelope(parse_envelope(body, kind), _ANY_REQUEST, 200, "", NO_SECRETS)


def _with_headers(
    envelope: Envelope, request: Request, headers: Mapping[str, str], request_id: str, secrets: Secrets
) -> Envelope:
    envelope.header_echoes = headers.get("x-request-id", "").lower() == request_id
    envelope.echoes_request_id = envelope.header_echoes or envelope.echoes_request_id
    envelope.request_id = envelope.request_id or request_id
    if envelope.timestamp is None:
        envelope.timestamp = _read_time(parsedate_to_datetime, headers.get("date"))
    if request.kind is None and envelope.revision is None and (etag := headers.get("etag")):
        envelope.revision = _revision(etag.removeprefix("W/").removeprefix('"').removesuffix('"'), secrets)
    return envelope


def _read_success(request: Request, response: Response, request_id: str, base_url: str, secrets: Secrets) -> Envelope:
    status = response.status
    if status != 200 and not (status == 201 and request.login_as):
        raise APIConnectionError(
            f"the server answered {status}, a status that the API does not use for this request", server_away=True
        )
    try:
        body = parse_envelope(response.body, request.kind)
    except DecodeError as error:
        if not error.transient:
            raise
        failure = error
    else:
        return _envelope(body, request, status, request_id, secrets)
    if _is_banner(response, base_url):
        raise DecodeError("the server sent its text banner instead of JSON: base_url must end with /v2")
    content_type = clean(response.headers.get("content-type", "").partition(";")[0]) or "no content type"
    found = f"{content_type}, " + (f"{len(response.body):,} bytes" if response.body else "an empty body")
    raise DecodeError(f"{failure.message} ({found})", transient=True, server_away=True)


def _is_banner(response: Response, base_url: str) -> bool:
    """Whether the response is the text that Kazoo sends for a path without an API version (``crossbar_init.erl``)."""
    if not response.headers.get("content-type", "").startswith("text/plain"):
        return False
    version = urlsplit(base_url).path.rpartition("/")[2]
    return not response.body.lstrip().startswith(b"{") and not re.fullmatch(r"v\d+", version)


def _envelope(body: Any, request: Request, status: int, sent_id: str, secrets: Secrets) -> Envelope:
    if not isinstance(body, dict):
        raise DecodeError("the response has no envelope", problems=(f"$: expected object, got {json_type(body)}",))
    has_data = "data" in body
    if body.get("status", "success") != "success" or (not has_data and ("error" in body or "code" in body)):
        raise error_of_body(request, status, body, secrets)
    if not has_data and not _ENVELOPE_KEYS & body.keys():
        raise DecodeError("the response has no envelope", problems=("$: expected data or status, got neither",))
    problems = [
        f"$.{key}: expected {expected.__name__}, got {json_type(value)}"
        for key, expected in _ENVELOPE_TYPES.items()
        if type(value := body.get(key)) is not expected and value is not None
    ]
    if problems:
        raise DecodeError("the envelope of the response is not valid", problems=tuple(problems))
    request_id = body.get("request_id")
    echoes = request_id is not None and request_id.lower() == sent_id
    return Envelope(
        data=body.get("data", MISSING),
        request_id=request_id if echoes else clean(request_id, secrets),
        echoes_request_id=echoes,
        next_start_key=_cursor(body.get("next_start_key")),
        start_key=_cursor(body.get("start_key")),
        page_size=body.get("page_size"),
        timestamp=_read_time(datetime.fromisoformat, body.get("timestamp")),
        revision=None if request.kind else _revision(body.get("revision"), secrets),
        auth_token=body.get("auth_token"),
    )


def _revision(value: object, secrets: Secrets) -> str | None:
    text = clean(value, secrets)
    return text if is_revision(text) else None


def _read_time(parse: Callable[[str], datetime], value: object) -> datetime | None:
    """Return ``value`` as a time in UTC, or None if it is not a time. Kazoo sends times in UTC without a time zone."""
    if not isinstance(value, str):
        return None
    try:
        moment = parse(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _cursor(value: Any) -> str | None:
    """Return a cursor as text. Before Kazoo 4.2, a cursor can be any JSON value, and requests contain its JSON text."""
    if value is None or isinstance(value, str):
        return value or None
    return write_json(value).decode()


_ENVELOPE_KEYS: Final = {"status", "page_size", "next_start_key", "request_id"}

# In a streamed response, page_size is a string. Such a response is refused, because it may be incomplete even if its
# status is "success".
_ENVELOPE_TYPES: Final[Mapping[str, type]] = {"request_id": str, "page_size": int, "auth_token": str}
