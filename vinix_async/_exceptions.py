"""Every error that the library raises.

VinixError
├── ConfigurationError            bad arguments, before anything is sent (also a ValueError)
├── APIConnectionError            no usable reply: refused, reset, cut short, TLS
│   └── APITimeoutError           (also a TimeoutError)
├── APIStatusError                the server answered with an error
│   ├── BadRequestError           400
│   ├── AuthenticationError       401
│   ├── PaymentRequiredError      402
│   ├── PermissionDeniedError     403
│   ├── NotFoundError             404
│   ├── ConflictError             409
│   ├── RateLimitError            429
│   └── ServerError               5xx
├── DecodeError                   an answer that does not have the API's shape
├── PaginationLoopError           a listing that goes round in circles
└── ClientClosedError             used after close, or from another event loop

An error holds checked fields and nothing else: no header, no body, no token. Each one survives
``pickle`` and ``copy`` with its fields.
"""

from typing import Any

_CONTEXT = ("account_id", "request_id", "attempts", "start_key")


class VinixError(Exception):
    """The base of every error of this library.

    ``account_id``: the account that was asked for. ``request_id``: the id of the last attempt, which
    the server's own logs carry too. ``attempts``: how many requests were sent, the first one
    included. ``start_key``: for a listing, the cursor of the page that failed (``None`` for the
    first page). Each is ``None`` where it does not apply.
    """

    def __init__(
        self,
        message: str = "",
        *,
        account_id: str | None = None,
        request_id: str | None = None,
        attempts: int | None = None,
        start_key: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.account_id = account_id
        self.request_id = request_id
        self.attempts = attempts
        self.start_key = start_key

    def __str__(self) -> str:
        known = [f"{name}={value}" for name in _CONTEXT if (value := getattr(self, name)) is not None]
        return f"{self._headline()} ({', '.join(known)})" if known else self._headline()

    def _headline(self) -> str:
        return self.message


class ConfigurationError(VinixError, ValueError):
    """An argument or a setting is wrong. Raised before anything is sent; the text says what to do."""


class APIConnectionError(VinixError):
    """No usable reply came: refused, reset, cut short, corrupt, or a TLS failure.

    ``transient`` is false where another attempt cannot help, as with a certificate that does not verify.
    """

    def __init__(self, message: str = "", *, transient: bool = True, **context: Any) -> None:
        super().__init__(message, **context)
        self.transient = transient


class APITimeoutError(APIConnectionError, TimeoutError):
    """An attempt took longer than ``timeout``, or the whole call longer than ``deadline``."""


class APIStatusError(VinixError):
    """The server answered with an error.

    ``status``: the HTTP status. ``code``: the word or number that the body gives (Kazoo's ``error``,
    the vendor's ``code``). ``retry_after``: seconds that the server asked to wait. ``detail``: Kazoo's
    ``data.message``. ``problems``: for a 400, each refused field as ``"path: rule: message"``. Every one
    is ``None`` or empty where the answer had none.
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
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.status = status
        self.code = code
        self.detail = detail
        self.problems = problems
        self.retry_after = retry_after

    def _headline(self) -> str:
        words = [str(self.status), self.message]
        if self.detail and self.detail != self.message:
            words.append(f"- {self.detail}")
        return " ".join(word for word in words if word) + "".join(f"\n  {line}" for line in self.problems)


class BadRequestError(APIStatusError):
    """400: the request does not validate; ``problems`` names the fields."""


class AuthenticationError(APIStatusError):
    """401: the credentials or the token were refused, after one exchange for a new token."""


class PaymentRequiredError(APIStatusError):
    """402: the account has no credit for this."""


class PermissionDeniedError(APIStatusError):
    """403: the token's account is neither this account nor one of its ancestors."""


class NotFoundError(APIStatusError):
    """404: no such account, callflow or endpoint."""


class ConflictError(APIStatusError):
    """409: somebody else changed the document meanwhile."""


class RateLimitError(APIStatusError):
    """429: the token bucket of this account and client address is empty."""


class ServerError(APIStatusError):
    """5xx: the server, its database or a gateway failed."""


class DecodeError(VinixError):
    """The answer is not what the API sends.

    ``problems``: every bad field, as ``'$.data[3].flow.children["1"].module: expected str, got int'``;
    types and paths, never values. ``transient`` is true where the body was no JSON at all, as when a
    proxy answered in the server's place.
    """

    def __init__(
        self, message: str = "", *, problems: tuple[str, ...] = (), transient: bool = False, **context: Any
    ) -> None:
        super().__init__(message, **context)
        self.problems = problems
        self.transient = transient

    def _headline(self) -> str:
        shown = self.problems[:10]
        more = len(self.problems) - len(shown)
        lines = [self.message, *shown, *([f"and {more} more"] if more else [])]
        return "\n  ".join(lines)


class PaginationLoopError(VinixError):
    """The server sent a cursor that this walk has already followed.

    ``pages``: how many pages were read. The rows of those pages have been yielded.
    """

    def __init__(self, message: str = "", *, pages: int = 0, **context: Any) -> None:
        super().__init__(message, **context)
        self.pages = pages


class ClientClosedError(VinixError):
    """The client was closed, or is used from another event loop than the one it began in."""
