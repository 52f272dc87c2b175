"""The exceptions that the client raises. The mirror and its queries add two: ``MirrorError`` and ``NotKnownError``.

VinixError
├── ConfigurationError            an invalid argument or setting; nothing was sent (also a ValueError)
├── APIConnectionError            no usable response: connection refused or reset, truncated response, TLS failure
│   └── APITimeoutError           an attempt or a whole call took too long (also a TimeoutError)
├── APIStatusError                the server answered with an error
│   ├── BadRequestError           400
│   ├── AuthenticationError       401, or a refused login
│   ├── PaymentRequiredError      402
│   ├── PermissionDeniedError     403
│   ├── NotFoundError             404
│   ├── ConflictError             409
│   ├── RateLimitError            429
│   └── ServerError               5xx
├── DecodeError                   the response is not valid JSON or not a valid document
├── PaginationLoopError           the server's cursors form a loop
└── ClientClosedError             the client was closed, or belongs to another event loop or process

An exception contains only those parts of a response that were validated. It never contains headers, a body, a token or
a password. ``pickle`` and ``copy`` preserve all fields of an exception.
"""

from typing import Final, Self

from attrs import define, field

from ._public import public

_MAX_TEXT: Final = 500
"""The maximum length of ``str(error)`` in characters, however long the values from the server or the caller are."""

_LEAST_HEADLINE: Final = 120
"""The number of characters in ``str(error)`` that are reserved for the description of what happened."""

_MAX_REASON: Final = 90
_MAX_FIELD: Final = 36
"""The maximum number of characters that are shown of an id or a cursor. A UUID with dashes has 36 characters."""

_SHOWN_PROBLEMS: Final = 10


@public
@define(slots=False, eq=False, repr=False, auto_exc=False)
class VinixError(Exception):
    """The base class of all exceptions of this library.

    Attributes:
        message: a description of what happened. It does not mention the request.
        account_id: the account of the request. None for a failed login.
        callflow_id: the callflow of the request, or the first invalid callflow in the rows of a listing.
        method: the method of the request, such as ``GET``.
        path: the path of the request, relative to the base URL and without the query.
        request_id: the ``X-Request-ID`` of the last attempt. It also appears in the server's log.
        attempts: the number of attempts to send the request, including the first one. Logins are not counted.
        attempts_allowed: the number of attempts that the ``RetryPolicy`` allows.
        probes: how many of the ``attempts`` only tested whether an outage had ended. They do not count towards
            ``attempts_allowed``.
        start_key: for a listing, the cursor of the page that failed. None for the first page.
        gave_up: why the request was not retried. None if no request failed.
        affects_others: True if other requests for the account would fail for the same reason, for example because of an
            outage or because the deadline has passed.

    An attribute that does not apply is None or 0. ``str(error)`` is a single line of at most 500 characters, suitable
    for a log.
    """

    message: str = ""
    account_id: str | None = field(default=None, kw_only=True)
    callflow_id: str | None = field(default=None, kw_only=True)
    method: str | None = field(default=None, kw_only=True)
    path: str | None = field(default=None, kw_only=True)
    request_id: str | None = field(default=None, kw_only=True)
    attempts: int = field(default=0, kw_only=True)
    attempts_allowed: int | None = field(default=None, kw_only=True)
    probes: int = field(default=0, kw_only=True)
    start_key: str | None = field(default=None, kw_only=True)
    gave_up: str | None = field(default=None, kw_only=True)
    affects_others: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        super().__init__(self.message)

    def __str__(self) -> str:
        details = [text for text in (self._tries(), _line(self.gave_up or "", _MAX_REASON)) if text]
        for name in ("account_id", "callflow_id", "start_key", "request_id"):
            value = getattr(self, name)
            if value is not None and not (name in {"account_id", "callflow_id"} and f"/{value}/" in f"{self.path}/"):
                details.append(f"{name}={_line(value, _MAX_FIELD)}")
        context = f" ({'; '.join(details)})" if details else ""
        if self.method:
            room = _MAX_TEXT - _LEAST_HEADLINE - len(context) - len(" []")
            context = f" [{_line(f'{self.method} {self.path}', room)}]{context}"
        return _line(self._headline(), _MAX_TEXT - len(context)) + context

    def __repr__(self) -> str:
        shown = [repr(_cut(self.message, _MAX_TEXT // 2))]
        for name in ("status", "account_id", "callflow_id", "request_id"):
            value = getattr(self, name, None)
            if value is not None:
                shown.append(f"{name}={(_cut(value, _MAX_FIELD) if isinstance(value, str) else value)!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __copy__(self) -> Self:
        twin = type(self)(self.message)
        vars(twin).update(vars(self))
        twin.__cause__ = self.__cause__  # copy.copy would drop it without this method
        return twin

    def _headline(self) -> str:
        return self.message

    def _tries(self) -> str:
        if not self.attempts:
            # A failed login was sent and has a request id, but logins are not counted as attempts.
            return "not sent" if self.method and not self.request_id else ""
        if self.probes:
            attempts = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
            probes = "1 probe" if self.probes == 1 else f"{self.probes} probes"
            return f"{attempts} ({self.attempts_allowed} allowed, {probes})"
        if self.attempts_allowed and self.attempts > self.attempts_allowed:
            more = "not counting those during an outage or after a new login"
            return f"{self.attempts} attempts ({self.attempts_allowed} allowed, {more})"
        return f"attempt {self.attempts}" + (f" of {self.attempts_allowed}" if self.attempts_allowed else "")


@public
class ConfigurationError(VinixError, ValueError):
    """An argument or a setting is invalid. The request was not sent."""


@public
@define(slots=False, eq=False, repr=False, auto_exc=False)
class APIConnectionError(VinixError):
    """No usable response was received, because the connection failed or the response was truncated or corrupt.

    Attributes:
        transient: False if a retry cannot help, for example if the server's certificate cannot be verified.
        server_away: True if the failure may be part of an outage. A refused connection is an example.
    """

    transient: bool = field(default=True, kw_only=True)
    server_away: bool = field(default=False, kw_only=True)


@public
class APITimeoutError(APIConnectionError, TimeoutError):
    """An attempt took longer than ``timeout``, or the whole call took longer than ``deadline``."""


@public
@define(slots=False, eq=False, repr=False, auto_exc=False)
class APIStatusError(VinixError):
    """The server answered with an error.

    Attributes:
        status: the HTTP status.
        code: the error code in the body (Kazoo's ``error``, or the vendor's ``code``).
        detail: the ``data.message`` of Kazoo's error.
        problems: for a 400, the invalid fields, each as ``"path: rule: message"``.
        retry_after: the number of seconds that the server asked the client to wait.
        transient: False if a retry would fail in the same way, as far as the library knows.
        server_away: True if the error may be part of an outage: it has a gateway's status (502, 503 or 504), or it is
            another 5xx without the API's JSON.

    An attribute that the response does not contain is None or empty.
    """

    status: int = field(default=0, kw_only=True)
    code: str | None = field(default=None, kw_only=True)
    detail: str | None = field(default=None, kw_only=True)
    problems: tuple[str, ...] = field(default=(), kw_only=True)
    retry_after: float | None = field(default=None, kw_only=True)
    transient: bool = field(default=True, kw_only=True)
    server_away: bool = field(default=False, kw_only=True)

    def _headline(self) -> str:
        words = [str(self.status), self.message]
        if self.detail and self.detail != self.message:
            words.append(f"- {self.detail}")
        return " ".join(word for word in words if word) + _listed(self.problems)


@public
class BadRequestError(APIStatusError):
    """400: the server considers the request invalid. ``problems`` names the invalid fields."""


@public
class AuthenticationError(APIStatusError):
    """The server refused a token (401) or a login. The status of a refused login can be another 4xx.

    If the credentials allow it, the client first replaces a refused token by a new one. This error is then raised only
    if the server refuses the new token too.
    """


@public
class PaymentRequiredError(APIStatusError):
    """402: the account does not have enough credit."""


@public
class PermissionDeniedError(APIStatusError):
    """403: the token does not permit the request.

    Usually the account is neither the token's own account nor below it.
    """


@public
@define(slots=False, eq=False, repr=False, auto_exc=False)
class NotFoundError(APIStatusError):
    """404: the account, the callflow or the endpoint does not exist.

    Attributes:
        cause: the id of the account or callflow that the server did not find. None if the server did not name it.
    """

    cause: str | None = field(default=None, kw_only=True)


@public
class ConflictError(APIStatusError):
    """409: another client changed the document at the same time."""


@public
class RateLimitError(APIStatusError):
    """429: the client has sent more requests for this account, or more logins, than the server allows."""


@public
class ServerError(APIStatusError):
    """5xx: the server, its database or a gateway failed."""


@public
@define(slots=False, eq=False, repr=False, auto_exc=False)
class DecodeError(VinixError):
    """The response is not valid JSON, or it does not have the structure that the API defines.

    Attributes:
        problems: the invalid fields, such as ``'$.data[3].flow.children["1"].module: expected str, got int'``. They do
            not contain the invalid values.
        transient: True if the body is not valid JSON, for example because a proxy answered instead of the server.
        server_away: True if the error may be part of an outage, for example if the response is not JSON.
    """

    problems: tuple[str, ...] = field(default=(), kw_only=True)
    transient: bool = field(default=False, kw_only=True)
    server_away: bool = field(default=False, kw_only=True)

    def _headline(self) -> str:
        return self.message + _listed(self.problems)


@public
@define(slots=False, eq=False, repr=False, auto_exc=False)
class PaginationLoopError(VinixError):
    """The server sent a cursor that this listing has already followed, or 1,000 empty pages in a row.

    The listing would probably never end.

    Attributes:
        pages: the number of pages that were read. Their rows have been yielded.
    """

    pages: int = field(default=0, kw_only=True)


@public
class ClientClosedError(VinixError):
    """The client was closed, or it was first used in another event loop or process."""


def _listed(problems: tuple[str, ...]) -> str:
    if not problems:
        return ""
    more = len(problems) - _SHOWN_PROBLEMS
    return ": " + "; ".join([*problems[:_SHOWN_PROBLEMS], *([f"and {more} more"] if more > 0 else [])])


def _line(text: str, limit: int) -> str:
    """Return one line of at most ``limit`` characters: ``text`` with escapes in place of unprintable characters."""
    text = text[: limit + 1]
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return _cut(text, limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
