"""What goes over the wire, as values: a request to be sent, a reply that came, what a reply says.

Nothing here does I/O. Every field that leaves this module for an error or a log has been named,
checked for its type, cleaned of control characters and cut to a length; the body itself never leaves.
"""

import math
import re
from collections.abc import Collection, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import orjson
from attrs import field, frozen

from ._exceptions import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    DecodeError,
    NotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    VinixError,
)

MISSING: Final = object()
"""The ``data`` of an envelope that has none."""


@frozen
class Request:
    """``target`` is the path below the base URL with its query, percent-encoded."""

    method: str
    target: str
    account_id: str | None = None
    body: bytes | None = field(default=None, repr=False)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@frozen
class Response:
    """``headers`` have lower-case names; ``body`` is whole and decompressed; ``sent_request_id`` is ours."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    sent_request_id: str


@frozen
class Envelope:
    """What a success says around its data. ``auth_token`` is in every body, so it is in no repr."""

    data: Any = field(repr=False)
    request_id: str
    next_start_key: str | None = None
    page_size: int | None = None
    auth_token: str | None = field(default=None, repr=False)


# --- outbound ------------------------------------------------------------------------------------


def get(
    *segments: str, query: Mapping[str, str | int | None] | None = None, account_id: str | None = None
) -> Request:
    """A GET of ``/segment/segment?query``; query entries that are None are left out."""
    kept = {name: value for name, value in (query or {}).items() if value is not None}
    target = _path(segments) + (f"?{urlencode(kept, quote_via=quote, safe='')}" if kept else "")
    return Request("GET", target, account_id)


def put(*segments: str, data: Mapping[str, str]) -> Request:
    """A PUT of ``{"data": ...}``, the form that the server wants."""
    return Request("PUT", _path(segments), body=orjson.dumps({"data": data}))


def _path(segments: tuple[str, ...]) -> str:
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def check_id(name: str, value: object) -> str:
    """``value`` if it can be one segment of a path. It is sent unchanged, whatever its form.

    The server takes any 32 characters for an account id, and a gateway may take others (a dashed UUID).
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a str, not {type(value).__name__}")
    if value in {"", ".", ".."}:
        raise ConfigurationError(f"{name} must not be {value!r}")
    if not value.isprintable():
        raise ConfigurationError(f"{name} must not have control or other unprintable characters")
    return value


def check_count(name: str, value: object) -> int | None:
    """``value`` if it is None or at least 1 (a bad ``page_size`` would come back as a 404)."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigurationError(f"{name} must be an int, not {type(value).__name__}")
    if value < 1:
        raise ConfigurationError(f"{name} must be at least 1, not {value}")
    return value


_FILTERS: Final = re.compile(
    r"filter_(not_)?.+|has_key|key_missing|has_value|value_missing|(created|modified)_(from|to)|ascending|descending|paginate"
)


def check_filters(filters: Mapping[str, str] | None) -> dict[str, str]:
    """A copy of ``filters``, if the server knows each name: it ignores an unknown one without a word."""
    if filters is None:
        return {}
    if not isinstance(filters, Mapping):
        raise ConfigurationError(f"filters must be a mapping, not {type(filters).__name__}")
    for name, value in filters.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise ConfigurationError(
                f"filters take strings (true is 'true'), not {name!r}: {type(value).__name__}"
            )
        if not _FILTERS.fullmatch(name):
            raise ConfigurationError(
                f"{name!r} is no filter of the server, which would ignore it and send everything; "
                "it knows filter_*, filter_not_*, has_key, key_missing, has_value, value_missing, "
                "created_from, created_to, modified_from and modified_to"
            )
    return dict(filters)


# --- inbound -------------------------------------------------------------------------------------


def read_envelope(
    request: Request, response: Response, *, base_url: str, now: float, secrets: Collection[str] = ()
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
        raise


def parse_json(body: bytes) -> Any:
    """The value in ``body`` (UTF-8, with or without a byte order mark)."""
    try:
        return orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        reason, position = error.msg, error.pos
    # Outside of the handler: the parser's error holds the whole body, and the body holds the token.
    deep = re.search("depth|recursion", reason, re.IGNORECASE) is not None
    text = "the JSON is nested too deeply to be read" if deep else f"the body is no JSON (at byte {position})"
    raise DecodeError(text, transient=not deep)


def _read_success(request: Request, response: Response, base_url: str, secrets: Collection[str]) -> Envelope:
    mark = response.headers.get("content-type", "")
    if mark.startswith("text/plain") and not response.body.lstrip().startswith(b"{"):
        version = urlsplit(base_url).path.rpartition("/")[2]
        if not re.fullmatch(r"v\d+", version):
            raise DecodeError(
                "the server sent its text banner in place of JSON: the /v2 is missing at the end of base_url"
            )
    body = parse_json(response.body)
    if not isinstance(body, dict):
        raise DecodeError("the body is no envelope", problems=(f"$: expected object, got {json_type(body)}",))
    _check_request_id(response, body)
    if body.get("status", "success") != "success":
        raise _status_error_of(request, response, body, None, secrets)
    problems = [
        f"$.{key}: expected {json_type(like)}, got {json_type(body[key])}"
        for key, like in (("next_start_key", ""), ("page_size", 0), ("auth_token", ""))
        if body.get(key) is not None and type(body[key]) is not type(like)
    ]
    if problems:
        raise DecodeError("the envelope is not what the API sends", problems=tuple(problems))
    return Envelope(
        data=body.get("data", MISSING),
        request_id=response.sent_request_id,
        next_start_key=body.get("next_start_key") or None,
        page_size=body.get("page_size"),
        auth_token=body.get("auth_token"),
    )


def _check_request_id(response: Response, body: Mapping[str, Any]) -> None:
    for echoed in (response.headers.get("x-request-id"), body.get("request_id")):
        if echoed is not None and echoed != response.sent_request_id:
            raise APIConnectionError(
                "the reply belongs to another request: its request id is not the one that was sent. "
                "A proxy or a reused connection has mixed up two answers"
            )


def json_type(value: object) -> str:
    """The name of a JSON value's type, for messages."""
    if value is None:
        return "null"
    return {dict: "object", list: "array", tuple: "array"}.get(type(value), type(value).__name__)


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


def _status_error(
    request: Request, response: Response, now: float, secrets: Collection[str]
) -> APIStatusError:
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
    return _status_error_of(request, response, body if isinstance(body, dict) else {}, retry_after, secrets)


def _status_error_of(
    request: Request,
    response: Response,
    body: Mapping[str, Any],
    retry_after: float | None,
    secrets: Collection[str],
) -> APIStatusError:
    def said(value: object) -> str | None:
        return clean(value, secrets)

    code = said(body.get("error")) or said(body.get("code"))
    status = response.status
    if status < 300 and code and re.fullmatch(r"[45]\d\d", code):
        status = int(code)  # an error that came as a 200 names its status in the body
    data = body.get("data")
    detail = said(data.get("message")) if isinstance(data, dict) else None
    if status == 404 and detail and "invalid account_id" in detail and "-" in (request.account_id or ""):
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


def _validation_problems(data: object, secrets: Collection[str]) -> list[str]:
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


def clean(value: object, secrets: Collection[str] = (), limit: int = 200) -> str | None:
    """A string or number of a body as it may be shown: printable, short, without the secrets."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    for secret in secrets:
        text = text.replace(secret, "[redacted]")
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:limit])
    return text or None


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
        host = None
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
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return max(0.0, moment - now)


def _number(value: str | None) -> float | None:
    if value is None or not re.fullmatch(r"[0-9]{1,300}(\.[0-9]{1,30})?", value.strip(), re.ASCII):
        return None
    return min(float(value), math.inf)
