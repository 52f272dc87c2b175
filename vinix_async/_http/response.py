"""What a reply says: the envelope of a success, or the error in place of it.

Kazoo's errors are ``{status, error, message, data, request_id}``, the vendor documents ``{code, message,
request_id}``, and a proxy in front may send HTML or nothing at all.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from .._documents.base import Document
from .._documents.decode import MISSING, json_type, parse_envelope
from .._documents.json import parse_json
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
from .request import NO_SECRETS, Envelope, Request, Response, Secrets, clean


def read_envelope(
    request: Request,
    response: Response,
    *,
    base_url: str,
    now: float,
    secrets: Secrets = NO_SECRETS,
) -> Envelope:
    """The envelope of a success; anything else is raised.

    ``now`` is the time since 1970 that a ``Retry-After`` date is held against. ``secrets`` are blotted
    out wherever a field of the answer repeats them.
    """
    try:
        if response.status >= 300:
            raise _status_error(request, response, now, secrets)
        return _read_success(request, response, base_url, secrets)
    except VinixError as error:
        error.account_id = request.account_id
        if error.request_id is None:
            error.request_id = response.sent_request_id
        # The frames below hold the body, which holds the token.
        raise error.with_traceback(None) from None


def _read_success(request: Request, response: Response, base_url: str, secrets: Secrets) -> Envelope:
    text = response.headers.get("content-type", "").startswith("text/plain")
    if text and not response.body.lstrip().startswith(b"{"):
        version = urlsplit(base_url).path.rpartition("/")[2]
        if not re.fullmatch(r"v\d+", version):
            raise DecodeError(
                "the server sent its text banner in place of JSON: the /v2 is missing at the end of base_url"
            )
    body = _parse_object(response.body, request.kind)
    _check_request_id(response, body.get("request_id"))
    return _envelope(body, response.status, request.account_id, secrets)


def decode_envelope(body: bytes, kind: type[Document] | None = None) -> Envelope:
    """The envelope in ``body`` by itself, with no reply around it and nobody waiting meanwhile."""
    return _envelope(_parse_object(body, kind), 200, None, NO_SECRETS)


def _parse_object(body: bytes, kind: type[Document] | None) -> dict[str, Any]:
    value = parse_envelope(body, kind)
    if not isinstance(value, dict):
        raise DecodeError("the body is no envelope", problems=(f"$: expected object, got {json_type(value)}",))
    return value


def _envelope(body: Mapping[str, Any], status: int, account_id: str | None, secrets: Secrets) -> Envelope:
    said = body.get("status", "success")
    if said != "success" or ("data" not in body and ("error" in body or "code" in body)):
        raise _status_error_of(status, body, account_id, None, secrets)
    if not _ENVELOPE_KEYS & body.keys():
        raise DecodeError("the body is no envelope", problems=("$: expected data or status, got neither",))
    problems = [
        f"$.{key}: expected {expected.__name__}, got {json_type(body[key])}"
        for key, expected in _ENVELOPE_TYPES.items()
        if body.get(key) is not None and type(body[key]) is not expected
    ]
    if problems:
        raise DecodeError("the envelope is not what the API sends", problems=tuple(problems))
    return Envelope(
        data=body.get("data", MISSING),
        request_id=body.get("request_id"),
        next_start_key=body.get("next_start_key") or None,
        page_size=body.get("page_size"),
        auth_token=body.get("auth_token"),
    )


_ENVELOPE_KEYS: Final = {"data", "status", "page_size", "next_start_key", "request_id"}

# A page_size that is a string comes from a streamed reply, which may end early and say success all the same.
_ENVELOPE_TYPES: Final[Mapping[str, type]] = {
    "request_id": str,
    "next_start_key": str,
    "page_size": int,
    "auth_token": str,
}


def _check_request_id(response: Response, request_id: object) -> None:
    for echoed in (response.headers.get("x-request-id"), request_id):
        if echoed is not None and echoed != response.sent_request_id:
            raise APIConnectionError(
                "the reply belongs to another request: its request id is not the one that was sent. "
                "A proxy or a reused connection has mixed up two answers"
            )


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


def _status_error(request: Request, response: Response, now: float, secrets: Secrets) -> APIStatusError:
    retry_after = read_retry_after(response.headers, now)
    if 300 <= response.status < 400:
        return APIStatusError(
            f"{_origin(response.headers.get('location'))}; redirects are not followed, because the token "
            "would go along. If you trust the new address, make it the base_url",
            status=response.status,
            retry_after=retry_after,
        )
    try:
        body = parse_json(response.body)
    except DecodeError:
        body = None  # a proxy's HTML, or nothing: the status alone has to do
    fields = body if isinstance(body, dict) else {}
    return _status_error_of(response.status, fields, request.account_id, retry_after, secrets)


def _status_error_of(
    status: int, body: Mapping[str, Any], account_id: str | None, retry_after: float | None, secrets: Secrets
) -> APIStatusError:
    def said(value: object) -> str | None:
        return clean(value, secrets)

    code = said(body.get("error")) or said(body.get("code"))
    if status < 300 and code and re.fullmatch(r"[45]\d\d", code):
        status = int(code)  # an error that came as a 200 names its status in the body
    data = body.get("data")
    detail = said(data.get("message")) if isinstance(data, dict) else None
    if status == 404 and detail and "invalid account_id" in detail and "-" in (account_id or ""):
        detail += "; this server takes 32 characters: try the account id without its dashes"
    kind = _BY_STATUS.get(status) or (ServerError if 500 <= status < 600 else APIStatusError)
    return kind(
        said(body.get("message")) or _phrase(status),
        status=status,
        code=code,
        detail=detail,
        problems=tuple(_validation_problems(data, secrets)) if status == 400 else (),
        retry_after=retry_after,
        request_id=said(body.get("request_id")),
    )


def _validation_problems(data: object, secrets: Secrets) -> list[str]:
    """Kazoo's ``{path: {rule: {message, value, ...}}}``; ``value`` may repeat a secret and is not read."""
    if not isinstance(data, dict):
        return []
    return [
        f"{clean(path, secrets)}: {clean(rule, secrets)}: {clean(details.get('message'), secrets)}"
        for path, rules in list(data.items())[:50]
        if isinstance(rules, dict)
        for rule, details in list(rules.items())[:10]
        if isinstance(details, dict)
    ]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"


def _origin(location: str | None) -> str:
    try:
        parts = urlsplit(location or "")
        host = clean(parts.hostname or "")
    except ValueError:
        return "the server redirects"
    return f"the server redirects to {parts.scheme}://{host}" if host else "the server redirects"


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait by ``retry-after-ms`` or ``Retry-After`` (number or HTTP date); None for nonsense."""
    millis = _number(headers.get("retry-after-ms"))
    if millis is not None:
        return millis / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        moment = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, moment - now)


def _number(value: str | None) -> float | None:
    plain = value is not None and re.fullmatch(r"[0-9]{1,300}(\.[0-9]{1,30})?", value.strip())
    return float(plain[0]) if plain else None
