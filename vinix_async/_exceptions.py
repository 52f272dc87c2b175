"""The exceptions that the library raises.

VinixError
├── ConfigurationError            an invalid argument or setting; nothing was sent (also a ValueError)
├── APIConnectionError            no usable response: connection refused or reset, truncated response, TLS failure
│   └── APITimeoutError           a timeout or deadline passed (also a TimeoutError)
├── APIStatusError                the server answered with an error
│   ├── BadRequestError           400
│   ├── AuthenticationError       401, and every refused login
│   ├── PaymentRequiredError      402
│   ├── PermissionDeniedError     403
│   ├── NotFoundError             404
│   ├── ConflictError             409
│   ├── RateLimitError            429
│   └── ServerError               5xx
├── DecodeError                   the response is not valid JSON or not a valid document
├── PaginationLoopError           the server's cursors form a loop
└── ClientClosedError             the client was closed, or belongs to another event loop

An exception contains only validated fields. It never contains a header, a body, a token or a password. ``pickle`` and
``copy`` preserve all fields of an exception.
"""

from typing import Any, Final, Self

from ._public import public

_MAX_TEXT: Final = 500
"""The maximum length of ``str(error)`` in characters, however long the values from the server or the caller are."""

_LEAST_HEADLINE: Final = 120
"""The number of characters in ``str(error)`` that are reserved for the description of what happened."""

_MAX_REASON: Final = 90
_MAX_FIELD: Final = 36
"""The maximum length at which an id or a cursor is shown. Kazoo's ids have 32 characters, dashed UUIDs have 36."""

_SHOWN_PROBLEMS: Final = 10


@public
class VinixError(Exception):
    """The base class of all exceptions of this library.

    Attributes:
        message: a description of what happened. It does not mention the request.
        account_id: the account of the request. None for a failed login.
        callflow_id: the callflow of the request, or the first invalid callflow of a listing.
        method: the method of the request, such as ``GET``.
        path: the path of the request, relative to the base URL and without the query.
        request_id: the ``X-Request-ID`` of the last attempt. It also appears in the server's log.
        attempts: the number of attempts to send the request, including the first one. Logins are not counted. 0 if
            nothing was sent.
        attempts_allowed: the number of attempts that the ``RetryPolicy`` allows.
        probes: how many of the ``attempts`` only tested whether an outage had ended. They do not count towards
            ``attempts_allowed``.
        start_key: for a listing, the cursor of the page that failed. None for the first page.
        gave_up: why the request was not retried. None only if no request failed.
        affects_others: True if other requests for the account would fail for the same reason, such as an outage or a
            passed deadline.

    ``str(error)`` is a single line of at most 500 characters, suitable for a log.
    """

    def __init__(
        self,
        message: str = "",
        *,
        account_id: str | None = None,
        callflow_id: str | None = None,
        method: str | None = None,
        path: str | None = None,
        request_id: str | None = None,
        attempts: int = 0,
        attempts_allowed: int | None = None,
        probes: int = 0,
        start_key: str | None = None,
        gave_up: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.account_id = account_id
        self.callflow_id = callflow_id
        self.method = method
        self.path = path
        self.request_id = request_id
        self.attempts = attempts
        self.attempts_allowed = attempts_allowed
        self.probes = probes
        self.start_key = start_key
        self.gave_up = gave_up
        self.affects_others: bool = False

    def __str__(self) -> str:
        details = self._tries()
        if self.gave_up:
            details.append(_line(self.gave_up, _MAX_REASON))
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
        twin.__cause__ = self.__cause__  # the default implementation of ``copy`` would drop it
        return twin

    def _headline(self) -> str:
        return self.message

    def _tries(self) -> list[str]:
        if not self.attempts:
            # A failed login was sent and has a request id, but logins are not counted as attempts.
            return ["not sent"] if self.method and not self.request_id else []
        if self.probes:
            attempts, probes = _count(self.attempts, "attempt"), _count(self.probes, "probe")
            return [f"{attempts} ({self.attempts_allowed} allowed, {probes})"]
        if self.attempts_allowed and self.attempts > self.attempts_allowed:
            more = "not counting those during an outage or after a new login"
            return [f"{self.attempts} attempts ({self.attempts_allowed} allowed, {more})"]
        of = f" of {self.attempts_allowed}" if self.attempts_allowed else ""
        return [f"attempt {self.attempts}{of}"]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@public
class ConfigurationError(VinixError, ValueError):
    """An argument or a setting is invalid. Raised before anything is sent. The message says what to change."""


@public
class APIConnectionError(VinixError):
    """No usable response was received, because the connection failed or the response was truncated or corrupt.

    Attributes:
        transient: False if a retry cannot help, for example if the server's certificate does not verify.
        server_away: True if the failure may be part of an outage, because it is not specific to one account.
    """

    def __init__(self, message: str = "", *, transient: bool = True, server_away: bool = False, **context: Any) -> None:
        super().__init__(message, **context)
        self.transient = transient
        self.server_away = server_away


@public
class APITimeoutError(APIConnectionError, TimeoutError):
    """An attempt took longer than ``timeout``, or the whole call took longer than ``deadline``."""


@public
class APIStatusError(VinixError):
    """The server answered with an error.

    Attributes:
        status: the HTTP status.
        code: the error code in the body (Kazoo's ``error``, or the vendor's ``code``).
        detail: the ``data.message`` of Kazoo's error.
        problems: for a 400, each invalid field as ``"path: rule: message"``.
        retry_after: the seconds that the server asked the client to wait.
        transient: False if the same request is known to fail again in the same way.
        server_away: True if the error may be part of an outage, because it came from a gateway.

    A value that the response does not contain is None or empty.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        code: str | None = None,
        detail: str | None = None,
        problems: tuple[str, ...] = (),
        retry_after: float | None = None,
        transient: bool = True,
        server_away: bool = False,
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.status = status
        self.code = code
        self.detail = detail
        self.problems = problems
        self.retry_after = retry_after
        self.transient = transient
        self.server_away = server_away

    def _headline(self) -> str:
        words = [str(self.status), self.message]
        if self.detail and self.detail != self.message:
            words.append(f"- {self.detail}")
        return " ".join(word for word in words if word) + _listed(self.problems)


@public
class BadRequestError(APIStatusError):
    """400: the server considers the request invalid. ``problems`` names the fields."""


@public
class AuthenticationError(APIStatusError):
    """The server refused a login (with any 4xx status) or a token (401).

    A refused token is replaced by a new one if the credentials allow it. This error is raised if the new token is
    refused too.
    """


@public
class PaymentRequiredError(APIStatusError):
    """402: the account does not have enough credit."""


@public
class PermissionDeniedError(APIStatusError):
    """403: the token's account is neither this account nor one of its ancestors."""


@public
class NotFoundError(APIStatusError):
    """404: the account, the callflow or the endpoint does not exist.

    Attributes:
        cause: the id of the account or callflow that the server did not find. None if the server did not name it.
    """

    def __init__(self, message: str = "", *, cause: str | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.cause = cause


@public
class ConflictError(APIStatusError):
    """409: somebody else changed the document in the meantime."""


@public
class RateLimitError(APIStatusError):
    """429: the server's token bucket for this account and client address is empty."""


@public
class ServerError(APIStatusError):
    """5xx: the server, its database or a gateway failed."""


@public
class DecodeError(VinixError):
    """The response is not valid JSON, or it does not have the structure that the API defines.

    Attributes:
        problems: each invalid field with its path and types, but without its value, as in
            ``'$.data[3].flow.children["1"].module: expected str, got int'``.
        transient: True if the body was not JSON at all, for example because a proxy answered instead of the server.
        server_away: True if the error may be part of an outage, because the response did not come from the API.
    """

    def __init__(
        self,
        message: str = "",
        *,
        problems: tuple[str, ...] = (),
        transient: bool = False,
        server_away: bool = False,
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.problems = problems
        self.transient = transient
        self.server_away = server_away

    def _headline(self) -> str:
        return self.message + _listed(self.problems)


@public
class PaginationLoopError(VinixError):
    """The server sent a cursor that this listing has already followed. Following it again would never end.

    Attributes:
        pages: the number of pages that were read. Their rows have been yielded.
    """

    def __init__(self, message: str = "", *, pages: int = 0, **context: Any) -> None:
        super().__init__(message, **context)
        self.pages = pages


@public
class ClientClosedError(VinixError):
    """The client was closed, or it was used in a different event loop or process than its first request."""


def _listed(problems: tuple[str, ...]) -> str:
    if not problems:
        return ""
    more = len(problems) - _SHOWN_PROBLEMS
    return ": " + "; ".join([*problems[:_SHOWN_PROBLEMS], *([f"and {more} more"] if more > 0 else [])])


def _line(text: str, limit: int) -> str:
    """Return ``text`` on one line, without control characters, and with at most ``limit`` characters."""
    text = _cut(text, limit)
    if text.isprintable():
        return text
    return _cut("".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text), limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
