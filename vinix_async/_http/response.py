"""Converts a response into an envelope, or raises the error that the response reports. This module does no I/O."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
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
"""The value that is used in place of the ``data`` of a 304, which has no body."""


@define(eq=False)
class Envelope:
    """The envelope of a successful response.

    Attributes:
        data: the JSON value of ``data``. The rows of a listing may still be in an internal form, which only
            ``_documents.decode.iter_rows`` and ``read_rows`` can read.
        request_id: the request id that the server sent in the body, or else the one that was sent to the server.
        echoes_request_id: whether the headers or the body of the response contain the request id that was sent.
        header_echoes: whether the headers of the response contain the request id that was sent.
        next_start_key: the cursor of the next page. None on the last page.
        start_key: the cursor of this page, if the server sent it.
        page_size: the number of rows in this page according to the server.
        timestamp: the time at which the server created the response, in UTC. None if the response does not contain it.
        revision: the revision of the document in ``data``. None if the response has no revision, or if the revision
            cannot be sent in a header.
        auth_token: the token. The server includes it in every body.
        attempts, attempts_allowed: the number of attempts that the call needed, and that the ``RetryPolicy`` allows.
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


def read_envelope(
    request: Request, response: Response, *, request_id: str, base_url: str, now: float, secrets: Secrets = NO_SECRETS
) -> Envelope:
    """Return the envelope of a successful response. For any other response, raise the error that it reports.

    Args:
        request: the request that was sent.
        response: the response that was received.
        request_id: the ``X-Request-ID`` that was sent.
        base_url: the base URL, to detect that its ``/v2`` is missing.
        now: the Unix time, to convert a ``Retry-After`` date to seconds.
        secrets: the secrets to redact in the fields of the body.
    """
    try:
        if response.status == 304 and request.revision is not None:
            envelope = Envelope(NOT_MODIFIED, revision=request.revision)
        elif response.status >= 300:
            raise status_error(request, response, now, secrets)
        else:
            envelope = _read_success(request, response, base_url, secrets)
    except VinixError as error:
        failure = error
    else:
        return _with_headers(envelope, response.headers, request_id, secrets)
    failure.request_id = failure.request_id or request_id
    # Drop the traceback, whose frames refer to the body, so that no crash report contains the token.
    raise failure.with_traceback(None)


def decode_envelope(body: bytes, kind: type[Document]) -> Envelope:
    """Return the envelope in ``body``, the body of a 200 response to a listing."""
    return _envelope(parse_envelope(body, kind), 200, None, NO_SECRETS)


def _with_headers(envelope: Envelope, headers: Mapping[str, str], request_id: str, secrets: Secrets) -> Envelope:
    """Set the fields of ``envelope`` that depend on the headers of the response."""
    envelope.header_echoes = headers.get("x-request-id", "").lower() == request_id
    envelope.echoes_request_id = envelope.header_echoes or (envelope.request_id or "").lower() == request_id
    envelope.request_id = envelope.request_id or request_id
    if envelope.timestamp is None:
        envelope.timestamp = _read_time(parsedate_to_datetime, headers.get("date"))
    if envelope.revision is None and (etag := headers.get("etag")):
        envelope.revision = _revision(etag.removeprefix("W/").removeprefix('"').removesuffix('"'), secrets)
    return envelope


def _read_success(request: Request, response: Response, base_url: str, secrets: Secrets) -> Envelope:
    status = response.status
    if status != 200 and not (status == 201 and request.login_as):
        raise APIConnectionError(f"the server answered {status}, a status that the API does not use", server_away=True)
    try:
        body = parse_envelope(response.body, request.kind)
    except DecodeError as error:
        if not error.transient:
            raise
        failure = error
    else:
        return _envelope(body, status, request, secrets)
    if _is_banner(response, base_url):
        raise DecodeError("the server sent its text banner instead of JSON: base_url must end with /v2")
    raise DecodeError(f"{failure.message} ({_described(response)})", transient=True, server_away=True)


def _is_banner(response: Response, base_url: str) -> bool:
    """Whether this is the banner that Kazoo sends for a path without an API version (api-facts 1.5)."""
    if not response.headers.get("content-type", "").startswith("text/plain"):
        return False
    version = urlsplit(base_url).path.rpartition("/")[2]
    return not response.body.lstrip().startswith(b"{") and not re.fullmatch(r"v\d+", version)


def _described(response: Response) -> str:
    content_type = clean(response.headers.get("content-type", "").partition(";")[0]) or "no content type"
    size = len(response.body)
    return f"{content_type}, {size:,} bytes" if size else f"{content_type}, an empty body"


def _envelope(body: Any, status: int, request: Request | None, secrets: Secrets) -> Envelope:
    if not isinstance(body, dict):
        raise DecodeError("the response has no envelope", problems=(f"$: expected object, got {json_type(body)}",))
    said = body.get("status", "success")
    if said != "success" or ("data" not in body and ("error" in body or "code" in body)):
        raise error_of_body(status, body, request, None, secrets)
    if not _ENVELOPE_KEYS & body.keys():
        raise DecodeError("the response has no envelope", problems=("$: expected data or status, got neither",))
    problems = [
        f"$.{key}: expected {expected.__name__}, got {json_type(body[key])}"
        for key, expected in _ENVELOPE_TYPES.items()
        if body.get(key) is not None and type(body[key]) is not expected
    ]
    if problems:
        raise DecodeError("the envelope of the response is not valid", problems=tuple(problems))
    return Envelope(
        data=body.get("data", MISSING),
        request_id=clean(body.get("request_id"), secrets),
        next_start_key=_cursor(body.get("next_start_key")),
        start_key=_cursor(body.get("start_key")),
        page_size=body.get("page_size"),
        timestamp=_read_time(datetime.fromisoformat, body.get("timestamp")),
        revision=_revision(body.get("revision"), secrets),
        auth_token=body.get("auth_token"),
    )


def _revision(value: object, secrets: Secrets) -> str | None:
    text = clean(value, secrets)
    return text if is_revision(text) else None


def _read_time(parse: Callable[[str], datetime], value: object) -> datetime | None:
    """Return the time in ``value`` in UTC, or None if ``value`` is not a time. Kazoo's times are always in UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = parse(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _cursor(value: Any) -> str | None:
    """Return a cursor as text. Kazoo before 4.2 sends a JSON array or number and expects it back as JSON."""
    if value is None or isinstance(value, str):
        return value or None
    return write_json(value).decode()


_ENVELOPE_KEYS: Final = {"data", "status", "page_size", "next_start_key", "request_id"}

# A page_size that is a string comes from a streamed response. It is refused, because a streamed response may be
# incomplete even if its status is "success".
_ENVELOPE_TYPES: Final[Mapping[str, type]] = {"request_id": str, "page_size": int, "auth_token": str}
