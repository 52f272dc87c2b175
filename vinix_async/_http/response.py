"""Converts a response (status, headers and body) into an envelope or an error. This module does no I/O.

Kazoo's errors have the form ``{status, error, message, data, request_id}``. The vendor documents
``{code, message, request_id}``. A proxy in front of the server may send HTML or an empty body.

Every body repeats the token, and the error for a refused API key repeats the key. So errors and the log contain only
those fields of a body that are named here. These fields are type-checked, redacted and truncated.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import define, field

from .._documents.base import Document
from .._documents.decode import MISSING, json_type, parse_envelope
from .._documents.json import parse_json, write_json
from .._exceptions import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DecodeError,
    NotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    VinixError,
)
from .request import Request, is_revision
from .transport import Response

_MAX_SHOWN: Final = 200
"""The maximum length of a body's field in an error message, in characters."""

_LEAST_SECRET: Final = 4
"""Shorter secrets are not redacted, because their text is too likely to occur in ordinary words."""

NOT_MODIFIED: Final = object()
"""Stands for the ``data`` of a 304, which has no body."""


@define(eq=False)
class Envelope:
    """The envelope of a successful response.

    Attributes:
        data: the JSON value of ``data``. The rows of a listing may still be in an internal form, which only
            ``_documents.decode.iter_rows`` and ``read_rows`` can read.
        request_id: the request id that the server sent in the body, or else the one that was sent to the server.
        echoes_request_id: whether the response contains the ``X-Request-ID`` that was sent.
        header_echoes: whether its header does. A 304 has no body that could.
        next_start_key: the cursor of the next page. None on the last page.
        start_key: the cursor of this page, if the server sent it.
        page_size: the number of rows in this page according to the server.
        timestamp: the server's time when it made the response, in UTC. None if the response does not tell.
        revision: the revision of the document in ``data``. None if the response has none that can be sent back.
        auth_token: the token, which the server repeats in every body.
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


@define(eq=False)
class Secrets:
    """The secrets that must not appear in any message."""

    values: tuple[str, ...] = field(default=(), repr=False)

    def redact(self, text: str) -> str:
        """Return ``text`` with each secret replaced by ``[redacted]``."""
        for value in self.values:
            if len(value) >= _LEAST_SECRET:
                text = text.replace(value, "[redacted]")
        return text


NO_SECRETS: Final = Secrets()


def clean(value: object, secrets: Secrets = NO_SECRETS) -> str | None:
    """Return a string or number from a body in a form that messages may contain: printable, short, without secrets."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = secrets.redact(str(value))[:_MAX_SHOWN]
    if text.isprintable():
        return text or None
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def read_envelope(
    request: Request, response: Response, *, request_id: str, base_url: str, now: float, secrets: Secrets = NO_SECRETS
) -> Envelope:
    """Return the envelope of a successful response. Raise the error that any other response stands for.

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
            raise _status_error(request, response, now, secrets)
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
        raise _error_of(status, body, request, None, secrets)
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
    """Return the time in ``value`` in UTC, or None if ``value`` is not a time. Kazoo's times have no other zone."""
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

# A string as page_size is refused: it comes from a streamed response, which may be incomplete and still say "success".
_ENVELOPE_TYPES: Final[Mapping[str, type]] = {"request_id": str, "page_size": int, "auth_token": str}


# --- errors --------------------------------------------------------------------------------------

_BY_STATUS: Final[Mapping[int, type[APIStatusError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    429: RateLimitError,
}

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

_GATEWAY_STATUSES: Final = frozenset({502, 503, 504})

_TEMPORARY_STATUSES: Final = frozenset({408, 425, 429})
"""Statuses of a failed login that do not mean that the credentials were refused."""


def _status_error(request: Request, response: Response, now: float, secrets: Secrets) -> APIStatusError:
    retry_after = read_retry_after(response.headers, now)
    status = response.status
    if status in _REDIRECTS:
        return APIStatusError(
            f"{_redirect(response.headers.get('location'))}; redirects are not followed, because that would send the "
            "token to another address. If you trust the new address, use it as base_url",
            status=status,
            retry_after=retry_after,
            transient=False,
        )
    try:
        body = parse_json(response.body)
    except DecodeError:
        body = None  # for example a proxy's HTML, so only the status is known
    error = _error_of(status, body if isinstance(body, dict) else {}, request, retry_after, secrets)
    # A gateway status counts even if the body is the API's JSON, because a server that is starting sends such a 503.
    error.server_away = status in _GATEWAY_STATUSES or (status >= 500 and not isinstance(body, dict))
    return error


def _error_of(
    status: int, body: Mapping[str, Any], request: Request | None, retry_after: float | None, secrets: Secrets
) -> APIStatusError:
    def said(value: object) -> str | None:
        return clean(value, secrets)

    code = said(body.get("error")) or said(body.get("code"))
    if status < 300 and code and re.fullmatch(r"[45]\d\d", code):
        status = int(code)  # an error sent with the HTTP status 200 has its real status in the body
    data = body.get("data")
    message = said(body.get("message")) or _phrase(status)
    detail = said(data.get("message")) if isinstance(data, dict) else None
    kind = _BY_STATUS.get(status) or (ServerError if 500 <= status < 600 else APIStatusError)
    if request is not None and request.login_as and 400 <= status < 500 and status not in _TEMPORARY_STATUSES:
        kind = AuthenticationError
        message, detail = f"the login as {request.login_as} was refused: {_why_refused(request, status, body)}", None
    elif status == 401:
        message, detail = f"the server refused the token ({detail or message})", None
    if status == 404 and detail and "invalid account_id" in detail and request and "-" in (request.account_id or ""):
        detail += "; Kazoo's ids have 32 characters, so try the account id without its dashes"
    fields: dict[str, Any] = (
        {"cause": said(data.get("cause"))} if kind is NotFoundError and isinstance(data, dict) else {}
    )
    return kind(
        message,
        status=status,
        code=code,
        detail=detail,
        problems=tuple(_validation_problems(data, secrets)) if status == 400 else (),
        retry_after=retry_after,
        # The server sends such a 500 for a document that it cannot read. A retry would get the same (api-facts 12).
        transient=not (status == 500 and body.get("message") == "init failed" and "data" not in body),
        request_id=said(body.get("request_id")),
        **fields,
    )


def _why_refused(request: Request, status: int, body: Mapping[str, Any]) -> str:
    """Return the reason for a refused login, in words (api-facts 5.3 and 12).

    The server's own message is not used, because the error for an unknown API key repeats the key.
    """
    data = body.get("data")
    if isinstance(data, dict):
        if "multi_factor_request" in data:
            return "the account requires a second factor, which this library does not support; use an API key"
        account = data.get("account")
        for state in ("disabled", "expired"):
            if isinstance(account, dict) and state in account:
                return f"the account is {state}"
    if status == 401:
        return "wrong user name, password or account"
    if status == 404 and body and request.path == "/api_auth":
        return "the server does not know the API key"
    if status == 404:  # the body is not JSON, so the endpoint itself does not exist
        return f"there is no {request.path} at this address; check base_url"
    return _phrase(status)


def _validation_problems(data: object, secrets: Secrets) -> list[str]:
    """Read Kazoo's ``{path: {rule: {message, value, ...}}}``. ``value`` is not read, because it may be a secret."""
    if not isinstance(data, dict):
        return []
    problems = []
    for path, rules in list(data.items())[:50]:
        for rule, details in list(rules.items())[:10] if isinstance(rules, dict) else ():
            if isinstance(details, dict):
                # Kazoo 4.3 writes the dots of a path as %2E (api-facts 12).
                parts = (path.replace("%2E", "."), rule, details.get("message"))
                problems.append(": ".join([shown for part in parts if (shown := clean(part, secrets))]))
    return problems


def _phrase(status: int) -> str:
    if status < 300:
        return "the status means success, but the body contains an error"
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"


def _redirect(location: str | None) -> str:
    try:
        parts = urlsplit(location or "")
        host = clean(parts.hostname or "")
    except ValueError:
        return "the server redirects"
    return f"the server redirects to {parts.scheme}://{host}" if host else "the server redirects"


_LONGEST_WAIT: Final = 1e9
"""Seconds, about 30 years. A longer ``Retry-After`` is reduced to this, so that messages stay short."""


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds to wait according to ``retry-after-ms`` or ``Retry-After`` (seconds or a date).

    Return None if there is no such header or its value is invalid.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        moment = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, moment - now), _LONGEST_WAIT)


def _number(value: str | None) -> float | None:
    plain = value is not None and re.fullmatch(r"[0-9]{1,300}(\.[0-9]{1,30})?", value.strip())
    return min(float(plain[0]), _LONGEST_WAIT) if plain else None
