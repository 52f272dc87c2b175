"""Every error that the library raises.

VinixError
├── ConfigurationError            a bad argument or setting; nothing was sent (also a ValueError)
├── APIConnectionError            no usable response: refused, reset, cut short, TLS
│   └── APITimeoutError           too slow (also a TimeoutError)
├── APIStatusError                the server answered with an error
│   ├── BadRequestError           400
│   ├── AuthenticationError       401, and every refused login
│   ├── PaymentRequiredError      402
│   ├── PermissionDeniedError     403
│   ├── NotFoundError             404
│   ├── ConflictError             409
│   ├── RateLimitError            429
│   └── ServerError               5xx
├── DecodeError                   the response does not have the shape that the API documents
├── PaginationLoopError           the server's cursors form a loop
└── ClientClosedError             the client was closed, or belongs to another event loop

An error holds checked fields only: never a header, a body, a token or a password. Every error survives ``pickle`` and
``copy`` with all its fields.
"""

from typing import Any, Final, Self

from ._public import public

_MAX_TEXT: Final = 500
"""Characters that ``str(error)`` has at most, whatever the server or the caller sent."""

_LEAST_HEADLINE: Final = 120
"""How many of them are kept for what happened, if it needs them."""

_MAX_REASON: Final = 90
_MAX_FIELD: Final = 36
"""Characters of an id or a cursor that are shown. The server's own ids have 32, and those with dashes have 36."""

_SHOWN_PROBLEMS: Final = 10


@public
class VinixError(Exception):
    """The base of every error of this library.

    Attributes:
        message: what happened, without the request that it happened to.
        account_id: the account that was asked for. A failed login has none.
        callflow_id: the callflow that was asked for, or the first bad one of a listing.
        method, path: the request; the path is relative to the base URL and has no query.
        request_id: the ``X-Request-ID`` of the last attempt. The server's own log has it too.
        attempts: how many times the request was sent or tried to be sent, the first time included. Logins are not
            counted. 0 if nothing was sent.
        attempts_allowed: what the ``RetryPolicy`` allows.
        probes: how many of the ``attempts`` only tested whether an outage had ended; they do not count towards
            ``attempts_allowed``.
        start_key: for a listing, the cursor of the page that failed; None for the first page.
        gave_up: why the request was not tried again. None only if no request failed.
        affects_others: True if other requests of the account would fail for the same reason: an outage, a deadline.

    ``str(error)`` is one line of at most 500 characters, made for a log.
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
        twin.__cause__ = self.__cause__  # which ``copy`` itself would drop
        return twin

    def _headline(self) -> str:
        return self.message

    def _tries(self) -> list[str]:
        if not self.attempts:
            # A failed login was sent, but is not counted.
            return ["not sent"] if self.method and not self.request_id else []
        if self.probes:
            plural = "s" if self.probes > 1 else ""
            return [f"{self.attempts} attempts ({self.attempts_allowed} allowed, {self.probes} probe{plural})"]
        of = f" of {self.attempts_allowed}" if self.attempts_allowed else ""
        return [f"attempt {self.attempts}{of}"]


@public
class ConfigurationError(VinixError, ValueError):
    """An argument or a setting is wrong. Raised before anything is sent; the message says what to do."""


@public
class APIConnectionError(VinixError):
    """No usable response came: refused, reset, cut short, corrupt, or a TLS failure.

    Attributes:
        transient: False if another attempt cannot help, for example after a certificate that does not verify.
        server_away: True if the failure says nothing about one account, so that it may be part of an outage.
    """

    def __init__(self, message: str = "", *, transient: bool = True, server_away: bool = False, **context: Any) -> None:
        super().__init__(message, **context)
        self.transient = transient
        self.server_away = server_away


@public
class APITimeoutError(APIConnectionError, TimeoutError):
    """An attempt took longer than ``timeout``, or the whole call longer than ``deadline``."""


@public
class APIStatusError(VinixError):
    """The server answered with an error.

    Attributes:
        status: the HTTP status.
        code: the word or number that the body gives (Kazoo's ``error``, the vendor's ``code``).
        detail: Kazoo's ``data.message``.
        problems: for a 400, each refused field as ``"path: rule: message"``.
        retry_after: seconds that the server asked to wait.
        transient: False if the same request is known to fail in the same way again.
        server_away: True if the answer is a gateway's, so that it may be part of an outage.

    A field that the answer did not have is None or empty.
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
    """400: the request does not validate; ``problems`` names the fields."""


@public
class AuthenticationError(APIStatusError):
    """The login was refused, whatever its status; or the token was (401), and a new one as well."""


@public
class PaymentRequiredError(APIStatusError):
    """402: the account has no credit for this."""


@public
class PermissionDeniedError(APIStatusError):
    """403: the token's account is neither this account nor one of its ancestors."""


@public
class NotFoundError(APIStatusError):
    """404: there is no such account, callflow or endpoint."""


@public
class ConflictError(APIStatusError):
    """409: somebody else changed the document meanwhile."""


@public
class RateLimitError(APIStatusError):
    """429: the server's token bucket for this account and client address is empty."""


@public
class ServerError(APIStatusError):
    """5xx: the server, its database or a gateway failed."""


@public
class DecodeError(VinixError):
    """The response is not what the API sends.

    Attributes:
        problems: every bad field, as ``'$.data[3].flow.children["1"].module: expected str, got int'``: paths and
            types, never values.
        transient: True if the body was not JSON at all, as when a proxy answered in the server's place.
        server_away: True if the answer came from something else than the API, so that it may be part of an outage.
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
    """The server sent a cursor that this listing has already followed.

    Attributes:
        pages: how many pages were read. The rows of those pages have been yielded.
    """

    def __init__(self, message: str = "", *, pages: int = 0, **context: Any) -> None:
        super().__init__(message, **context)
        self.pages = pages


@public
class ClientClosedError(VinixError):
    """The client was closed, or is used from another event loop or process than the one it began in."""


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
