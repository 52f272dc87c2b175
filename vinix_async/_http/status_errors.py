"""Converts a response that reports an error into an exception with a message. This module does no I/O.

Kazoo's errors have the form ``{status, error, message, data, request_id}``. The vendor documents
``{code, message, request_id}``. A proxy in front of the server may send HTML or an empty body.

Every body repeats the token, and the error for a refused API key repeats the key. So errors and the log contain only
those fields of a body that are named here. These fields are type-checked, redacted and truncated.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import define, field

from .._documents.deep_json import parse_json
from .._exceptions import (
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
)
from .request import Request
from .transport import Response

_MAX_SHOWN: Final = 200
"""The maximum length of a body's field in an error message, in characters."""

_LEAST_SECRET: Final = 4
"""The minimum length of a secret that is redacted. A shorter one is too likely to occur in ordinary words."""


# --- the parts of a body that may be shown ------------------------------------------------------------------


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
    """Return a string or number from a body as text for a message. The text is printable, short and without secrets.

    Return None for a value of another type and for an empty string.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = secrets.redact(str(value))[:_MAX_SHOWN]
    if text.isprintable():
        return text or None
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


# --- errors -------------------------------------------------------------------------------------------------

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


def status_error(request: Request, response: Response, now: float, secrets: Secrets) -> APIStatusError:
    """Return the exception for a response whose status is not a success."""
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
    error = error_of_body(status, body if isinstance(body, dict) else {}, request, retry_after, secrets)
    # A gateway status may mean an outage even if the body is the API's JSON. A starting server sends such a 503.
    error.server_away = status in _GATEWAY_STATUSES or (status >= 500 and not isinstance(body, dict))
    return error


def error_of_body(
    status: int, body: Mapping[str, Any], request: Request | None, retry_after: float | None, secrets: Secrets
) -> APIStatusError:
    """Return the exception for a body that reports an error."""

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
        # The server sends this 500 for a document that it cannot read. A retry would get it again (api-facts 12).
        transient=not (status == 500 and body.get("message") == "init failed" and "data" not in body),
        request_id=said(body.get("request_id")),
        **fields,
    )


def _why_refused(request: Request, status: int, body: Mapping[str, Any]) -> str:
    """Return the reason for a refused login (api-facts 5.3 and 12).

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
    """Return a description of each invalid field in Kazoo's ``{path: {rule: {message, value, ...}}}``.

    The description does not contain ``value``, because it may be a secret.
    """
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
"""The maximum ``Retry-After`` in seconds, about 30 years. A longer one is reduced to it, to keep messages short."""


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds to wait according to ``retry-after-ms`` or ``Retry-After`` (seconds or a date).

    Return None if both headers are missing or the value is invalid.
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
