"""Converts a response that reports an error into an exception with a message. This module does no I/O.

Kazoo's errors have the form ``{status, error, message, data, request_id}``. The vendor documents
``{code, message, request_id}``. A proxy in front of the server may send HTML or an empty body.

Each body of Kazoo contains the token, and its error for a refused API key contains the key. So errors and the log
contain only those fields of a body that this module reads, and ``clean`` removes secrets from these fields.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http.client import responses
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
"""The maximum number of characters of a value that a message shows."""

_LEAST_SECRET: Final = 4
"""The minimum length of a secret that is redacted. A shorter secret is likely to be a part of an ordinary word."""


@define(eq=False)
class Secrets:
    """The secrets that must not appear in any message."""

    values: tuple[str, ...] = field(default=(), repr=False)


NO_SECRETS: Final = Secrets()


def clean(value: object, secrets: Secrets = NO_SECRETS) -> str | None:
    """Return a value from a body as printable text for a message, shortened and without secrets.

    Return None if the value is not a string or an int, or if it is an empty string.
    """
    if type(value) not in {str, int}:
        return None
    text = str(value)
    for secret in secrets.values:
        if len(secret) >= _LEAST_SECRET:
            text = text.replace(secret, "[redacted]")
    text = text[:_MAX_SHOWN]
    if text.isprintable():
        return text or None
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


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
"""The 4xx statuses of temporary failures. Any other 4xx status of a login means that the login was refused."""


def status_error(request: Request, response: Response, now: float, secrets: Secrets) -> APIStatusError:
    """Return the exception for a response whose status is 300 or higher."""
    status = response.status
    if status in _REDIRECTS:
        error = APIStatusError(
            f"{_redirect(response.headers.get('location'))}; redirects are not followed, because the "
            "credentials could reach another server. If you trust the new address, change base_url",
            status=status,
            transient=False,
        )
    else:
        try:
            body = parse_json(response.body)
        except DecodeError:
            body = None  # for example the HTML of a proxy
        error = error_of_body(request, status, body if isinstance(body, dict) else {}, secrets)
        # A starting server sends a 503 with the API's JSON, so the JSON alone does not rule out an outage.
        error.server_away = status in _GATEWAY_STATUSES or (status >= 500 and not isinstance(body, dict))
    error.retry_after = read_retry_after(response.headers, now)
    return error


def error_of_body(request: Request, status: int, body: Mapping[str, Any], secrets: Secrets) -> APIStatusError:
    """Return the exception for a body that reports an error."""

    def cleaned(value: object) -> str | None:
        return clean(value, secrets)

    code = cleaned(body.get("error")) or cleaned(body.get("code"))
    if status < 300 and code and re.fullmatch(r"[45]\d\d", code):
        status = int(code)  # the HTTP status means success, and the status of the error is in the body
    data = body["data"] if isinstance(body.get("data"), dict) else {}
    message = cleaned(body.get("message")) or _phrase(status)
    detail = cleaned(data.get("message"))
    kind = _BY_STATUS.get(status) or (ServerError if 500 <= status < 600 else APIStatusError)
    if request.login_as and 400 <= status < 500 and status not in _TEMPORARY_STATUSES:
        kind = AuthenticationError
        reason = _why_refused(request, status, data, body)
        message, detail = f"the login as {request.login_as} was refused: {reason}", None
    elif status == 401:
        message, detail = f"the server refused the token ({detail or message})", None
    if status == 404 and detail and "invalid account_id" in detail and _is_dashed(request.account_id or ""):
        detail += "; Kazoo's ids have 32 characters, so try the account id without its dashes"
    error = kind(
        message,
        status=status,
        code=code,
        detail=detail,
        problems=tuple(_validation_problems(data, secrets)) if status == 400 else (),
        # The server sends this 500 for a document that it cannot read. A retry would get the same 500.
        transient=not (status == 500 and body.get("message") == "init failed" and "data" not in body),
        request_id=cleaned(body.get("request_id")),
    )
    if isinstance(error, NotFoundError):
        error.cause = cleaned(data.get("cause"))
    return error


def _is_dashed(account_id: str) -> bool:
    """Whether ``account_id`` becomes an id like Kazoo's if its dashes are removed."""
    return "-" in account_id and re.fullmatch("[0-9a-fA-F]{32}", account_id.replace("-", "")) is not None


def _why_refused(request: Request, status: int, data: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """Return the reason for a refused login (``docs/server.md``, Tokens and logins).

    The server's own message is not used, because the error for an unknown API key repeats the key.
    """
    if "multi_factor_request" in data:
        return "the account requires a second factor, which this library does not support; use an API key"
    account = data.get("account")
    for state in ("disabled", "expired"):
        if isinstance(account, dict) and state in account:
            return f"the account is {state}"
    if request.path == "/api_auth" and (status == 401 or (status == 404 and body)):
        return "the server does not know the API key"
    if status == 401:
        return "wrong user name, password or account"
    if status == 404:  # the endpoint itself does not exist
        return f"there is no {request.path} at this address; check base_url"
    return _phrase(status)


def _validation_problems(data: Mapping[str, Any], secrets: Secrets) -> list[str]:
    """Return descriptions of the invalid fields in Kazoo's ``{path: {rule: {message, value, ...}}}``.

    They do not contain ``value``, which may be a secret.
    """
    problems = []
    for path, rules in list(data.items())[:50]:
        for rule, details in list(rules.items())[:10] if isinstance(rules, dict) else ():
            if isinstance(details, dict):
                # Kazoo 4.3 sends the dots of a path as %2E (``kz_json_schema.erl``).
                parts = (path.replace("%2E", "."), rule, details.get("message"))
                problems.append(": ".join([shown for part in parts if (shown := clean(part, secrets))]))
    return problems


def _phrase(status: int) -> str:
    if status < 300:
        return "the status means success, but the body contains an error"
    return responses.get(status, "unknown status")


def _redirect(location: str | None) -> str:
    try:
        parts = urlsplit(location or "")
        host = clean(parts.hostname or "")
    except ValueError:
        return "the server redirects"
    return f"the server redirects to {parts.scheme}://{host}" if host else "the server redirects"


_LONGEST_WAIT: Final = 1e9
"""The limit to which a longer ``Retry-After`` is shortened, in seconds (about 30 years). It keeps messages short."""


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the number of seconds to wait according to ``retry-after-ms`` or ``Retry-After`` (seconds or a date).

    Return None if neither header has a valid value.
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
