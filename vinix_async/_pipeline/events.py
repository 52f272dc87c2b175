"""Defines the events of calls, listings and sweeps, and two listeners: the log and the counters.

An event is a small value object. A listener is a callable that accepts one event. The log of a client receives the
events of the client and of all its views. If the client has an ``Observer``, such as that of ``vinix_async.telemetry``,
the log passes each event on to the observer.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol

from attrs import asdict, define, field, fields

from .._exceptions import APIStatusError, AuthenticationError, VinixError
from .._http.status_errors import clean
from .._public import public

if TYPE_CHECKING:
    from .._http.request import Request
    from .clock import Clock

logger: Final = logging.getLogger("vinix_async")
logger.addHandler(logging.NullHandler())


@define(kw_only=True, eq=False, repr=False)
class Event:
    """The base class of all events. ``str(event)`` is the text that is logged, and ``level`` is its log level."""

    level: ClassVar[int] = logging.DEBUG


@define(kw_only=True, eq=False, repr=False)
class AttemptEnded(Event):
    """A request was answered, failed or was cancelled.

    ``login`` is True if the request was a login. ``status`` is None if there was no response. ``error`` is None after a
    success or a cancellation.
    """

    method: str
    path: str
    account_id: str | None
    callflow_id: str | None
    attempt: int
    request_id: str
    login: bool
    status: int | None
    error: VinixError | None
    seconds: float

    def __str__(self) -> str:
        parts = [] if self.status is None else [str(self.status)]
        if self.error is not None and not isinstance(self.error, APIStatusError):  # otherwise the status is enough
            parts.append(type(self.error).__name__)
        outcome = ", ".join(parts) or "cancelled"
        tries = f"attempt {self.attempt}, " if self.attempt else ""
        return f"{self.method} {self.path}: {outcome} in {self.seconds:.3f} s ({tries}request_id={self.request_id})"


@public
@define(kw_only=True, eq=False)
class RetryEvent(Event):
    """A request failed and will be retried. ``on_retry`` is called with this event before the wait.

    Attributes:
        method: the method of the request.
        path: the path of the request, without the query.
        account_id: the account of the request.
        callflow_id: the callflow of the request. None for a listing.
        attempt: the number of attempts made so far.
        attempts: the number of attempts that the ``RetryPolicy`` allows.
        wait: the number of seconds until the next attempt.
        error: the error of the last attempt.
    """

    level: ClassVar[int] = logging.WARNING

    method: str
    path: str
    account_id: str | None
    callflow_id: str | None = None
    attempt: int
    attempts: int
    wait: float
    error: VinixError

    def __str__(self) -> str:
        return f"{self.error}; the next attempt follows in {self.wait:.2f} s"


@define(kw_only=True, eq=False, repr=False)
class RetriesSummarized(Event):
    """A summary of the retries that were not logged individually, because there were too many."""

    level: ClassVar[int] = logging.WARNING

    retries: int
    seconds: float

    def __str__(self) -> str:
        return f"retries in the last {self.seconds:.1f} s that were not logged individually: {self.retries:,}"


Reason = Literal["retry", "rate_limit", "outage"]


@define(kw_only=True, eq=False, repr=False)
class WaitStarted(Event):
    """A call starts to wait.

    ``at`` is the time on the monotonic clock. ``seconds`` is the expected duration. If the call waits for an outage to
    end, ``seconds`` is None, and ``outage`` is the serial number of the outage.
    """

    reason: Reason
    account_id: str | None
    at: float
    seconds: float | None = None
    outage: int | None = None

    def __str__(self) -> str:
        expected = "" if self.seconds is None else f" {self.seconds:.2f} s"
        return f"account {self.account_id}: waiting{expected} ({self.reason.replace('_', ' ')})"


@define(kw_only=True, eq=False, repr=False)
class WaitEnded(Event):
    """A call has finished waiting.

    ``at`` is the time on the monotonic clock. ``seconds`` is the duration of the wait. After an outage, ``seconds`` is
    None.
    """

    reason: Reason
    account_id: str | None
    at: float
    seconds: float | None = None


@define(kw_only=True, eq=False, repr=False)
class OutageStarted(Event):
    """The server is unavailable, and calls wait until it is back. ``error`` is the last failure."""

    level: ClassVar[int] = logging.WARNING

    error: VinixError

    def __str__(self) -> str:
        return f"the server is unavailable; calls wait until it is back; last error: {self.error}"


@define(kw_only=True, eq=False, repr=False)
class OutageEnded(Event):
    """The server is back. ``seconds`` is the duration of the outage, and ``probes`` is the number of failed probes."""

    level: ClassVar[int] = logging.WARNING

    seconds: float
    probes: int

    def __str__(self) -> str:
        return f"the server is back after {self.seconds:.1f} s; failed probes: {self.probes}"


@define(kw_only=True, eq=False, repr=False)
class LoggedIn(Event):
    """Credentials were exchanged for a token."""

    level: ClassVar[int] = logging.INFO

    login_as: str
    path: str

    def __str__(self) -> str:
        return f"logged in as {self.login_as}"


@define(kw_only=True, eq=False, repr=False)
class LoginFailed(Event):
    """A login failed or was refused."""

    level: ClassVar[int] = logging.WARNING

    login_as: str
    path: str
    error: VinixError

    def __str__(self) -> str:
        return str(self.error) if isinstance(self.error, AuthenticationError) else f"login failed: {self.error}"


@define(kw_only=True, eq=False, repr=False)
class CallflowsRead(Event):
    """Callflows were yielded to the caller."""

    count: int


@define(kw_only=True, eq=False, repr=False)
class CallflowDeleted(Event):
    """A callflow was deleted after it was listed and before its full document was read."""

    account_id: str
    callflow_id: str

    def __str__(self) -> str:
        return f"account {self.account_id}: callflow {self.callflow_id} was deleted after it was listed"


@define(kw_only=True, eq=False, repr=False)
class BadItemFound(Event):
    """A row or a document could not be read. The listing continues with the others."""

    level: ClassVar[int] = logging.ERROR

    account_id: str
    callflow_id: str | None
    index: int | None
    error: VinixError

    def __str__(self) -> str:
        which = f"row {self.index} of a page" if self.callflow_id is None else f"callflow {self.callflow_id}"
        return f"account {self.account_id}: {which} could not be read: {self.error}"


@define(kw_only=True, eq=False, repr=False)
class SweepStarted(Event):
    """A sweep over many accounts has started."""

    level: ClassVar[int] = logging.INFO

    max_concurrency: int
    resumed: bool

    def __str__(self) -> str:
        return f"sweep {'resumed' if self.resumed else 'started'}; accounts at once: {self.max_concurrency}"


@define(kw_only=True, eq=False, repr=False)
class AccountFinished(Event):
    """A sweep has read an account without an error. There may be bad items."""

    account_id: str
    account_name: str | None
    callflows: int
    bad_items: int
    seconds: float

    def __str__(self) -> str:
        return f"{self._account()}: done in {self.seconds:.2f} s; callflows: {self.callflows:,}"

    def _account(self) -> str:
        name = clean(self.account_name)
        return f"account {self.account_id} ({name})" if name else f"account {self.account_id}"


@define(kw_only=True, eq=False, repr=False)
class AccountFailed(AccountFinished):
    """An account of a sweep failed. ``callflows`` is the number of callflows that were read before it failed."""

    level: ClassVar[int] = logging.ERROR

    error: VinixError

    def __str__(self) -> str:
        return f"{self._account()}: failed; callflows read before: {self.callflows:,}; {self.error}"


@define(kw_only=True, eq=False, repr=False)
class SweepEnded(Event):
    """A sweep has ended. ``complete`` is False if it ended before all accounts were read."""

    level: ClassVar[int] = logging.INFO

    complete: bool
    accounts_done: int
    accounts_failed: int
    callflows: int
    bad_items: int
    requests: int
    retries: int
    outages: int

    def __str__(self) -> str:
        return (
            f"sweep {'ended' if self.complete else 'ended early'}; accounts done: {self.accounts_done:,}, "
            f"failed: {self.accounts_failed:,}; callflows: {self.callflows:,}, bad items: {self.bad_items:,}; "
            f"requests: {self.requests:,}, retries: {self.retries:,}, outages: {self.outages:,}"
        )


Listener = Callable[[Event], None]


class Observer(Protocol):
    """A listener for all events of a client and of its views. It can also follow each call, as a tracer does.

    It receives the events of a call in the task and in the context of this call. It receives the events of a sweep in a
    context that only the tasks of this sweep inherit.
    """

    def __call__(self, event: Event) -> None:
        """Handle ``event``."""
        ...

    def call(self, request: "Request") -> AbstractContextManager[None]:
        """Return a context manager that is entered for the duration of a call or a login."""
        ...

    def start_attempt(self, request: "Request", attempt: int, request_id: str) -> Mapping[str, str]:
        """Follow an attempt that is about to be sent, and return headers to add to it.

        ``attempt`` is the number of attempts made so far, including this one. An ``AttemptEnded`` with the same
        ``request_id`` follows.
        """
        ...

    def close(self) -> None:
        """Handle the closing of the client."""
        ...


# --- the counters -------------------------------------------------------------------------------------------


@define(eq=False)
class _Stopwatch:
    """Measures how long at least one call was waiting. Concurrent waits are not added up."""

    _total: float = 0.0
    _running: int = 0
    _since: float = 0.0

    def start(self, at: float) -> None:
        if self._running == 0:
            self._since = at
        self._running += 1

    def stop(self, at: float) -> None:
        self._running -= 1
        if self._running == 0:
            self._total += at - self._since

    def total(self, now: float) -> float:
        return self._total + (now - self._since if self._running else 0.0)


@public
@define(kw_only=True, eq=False, repr=False)
class ClientStats:
    """Counters, which change while calls are running. ``client.stats`` covers the client and all its views.

    Attributes:
        requests: requests sent, including logins. A request is added when it has ended.
        logins: logins sent.
        retries: requests that were retried, not including probes during an outage.
        rate_limited: responses with the status 429.
        outages: outages during which at least one call waited.
        callflows: callflows that were yielded to the caller. The callflows of a page are added when the next page is
            requested, or when the listing ends.
        bad_items: rows and documents that could not be read.
        deleted: callflows that were deleted after they were listed and before their full documents were read.

    ``retry_seconds``, ``rate_limit_seconds`` and ``outage_seconds`` are the time during which at least one call was
    waiting for that reason. Concurrent waits are not added up. ``wait_seconds`` is the sum of the three.
    """

    requests: int = 0
    logins: int = 0
    retries: int = 0
    rate_limited: int = 0
    outages: int = 0
    callflows: int = 0
    bad_items: int = 0
    deleted: int = 0
    _now: Callable[[], float] = field(default=time.monotonic, alias="now")
    _waits: dict[str, _Stopwatch] = field(
        factory=lambda: {reason: _Stopwatch() for reason in ("retry", "rate_limit", "outage")}, init=False
    )
    _last_outage: int | None = field(default=None, init=False)

    @property
    def retry_seconds(self) -> float:
        """Seconds during which at least one call was waiting for its next attempt."""
        return self._waits["retry"].total(self._now())

    @property
    def rate_limit_seconds(self) -> float:
        """Seconds during which at least one call was waiting for an account's rate limit."""
        return self._waits["rate_limit"].total(self._now())

    @property
    def outage_seconds(self) -> float:
        """Seconds during which at least one call was waiting for an outage to end."""
        return self._waits["outage"].total(self._now())

    @property
    def wait_seconds(self) -> float:
        """The sum of ``retry_seconds``, ``rate_limit_seconds`` and ``outage_seconds``."""
        return self.retry_seconds + self.rate_limit_seconds + self.outage_seconds

    def __call__(self, event: Event) -> None:
        """Update the statistics with ``event``."""
        match event:
            case AttemptEnded():
                self.requests += 1
                self.logins += event.login
                self.rate_limited += event.status == 429
            case CallflowsRead():
                self.callflows += event.count
            case RetryEvent():
                self.retries += 1
            case WaitStarted():
                self._waits[event.reason].start(event.at)
                if event.outage is not None and event.outage != self._last_outage:
                    self.outages += 1
                    self._last_outage = event.outage
            case WaitEnded():
                self._waits[event.reason].stop(event.at)
            case BadItemFound():
                self.bad_items += 1
            case CallflowDeleted():
                self.deleted += 1

    def __repr__(self) -> str:
        names = [each.name for each in fields(type(self)) if not each.name.startswith("_")]
        counts = [f"{name}={value}" for name in names if (value := getattr(self, name))]
        return f"{type(self).__name__}({', '.join(counts)})"


# --- the log ------------------------------------------------------------------------------------------------

_RETRIES_A_SECOND: Final = 10
"""The maximum number of retries per second that are logged individually. Further retries are summarized in one line."""

_LEVELS: Final = ("debug", "info", "warn", "warning", "error", "critical")


class Log:
    """Writes events to the ``vinix_async`` logger. Each record has the event's values as attributes (``extra=``).

    If ``observer`` is set, it receives every event, including those that are not logged.
    """

    def __init__(self, clock: "Clock") -> None:
        self.observer: Observer | None = None
        self._clock = clock
        self._second = 0.0  # the start of the second in which retries are currently counted
        self._retries = 0
        self._rate_limited: dict[str | None, float] = {}  # when a wait for an account's rate limit was last logged

    def __call__(self, event: Event) -> None:
        """Log ``event`` at its level."""
        if self.observer is not None:
            self.observer(event)
        if self._retries > _RETRIES_A_SECOND:
            self._end_second()
        if not logger.isEnabledFor(event.level):
            return
        match event:
            case CallflowsRead() | WaitEnded():
                pass  # these events only update counters
            case RetryEvent() if self._too_many():
                pass
            case WaitStarted() if not self._worth_logging(event):
                pass
            case _:
                _write(event)

    def _too_many(self) -> bool:
        """Count a retry. Return True if this second already has ``_RETRIES_A_SECOND`` retries.

        Such a retry is not logged individually. Only the summary includes it.
        """
        self._end_second()
        self._retries += 1
        return self._retries > _RETRIES_A_SECOND

    def _end_second(self) -> None:
        now = self._clock.monotonic()
        if now - self._second >= 1.0:
            self.flush()
            self._second = now

    def close(self) -> None:
        """Log the last summary of retries, and close the observer."""
        self.flush()
        if self.observer is not None:
            self.observer.close()

    def flush(self) -> None:
        """Log the summary of the retries that were not logged individually."""
        more, self._retries = self._retries - _RETRIES_A_SECOND, 0
        if more > 0:
            _write(RetriesSummarized(retries=more, seconds=self._clock.monotonic() - self._second))

    def _worth_logging(self, event: WaitStarted) -> bool:
        if event.reason != "rate_limit":
            return False  # RetryEvent and OutageStarted are logged for the other reasons
        logged_at = self._rate_limited.get(event.account_id)
        if logged_at is not None and event.at - logged_at < 1.0:
            return False
        if len(self._rate_limited) > 1000:
            self._rate_limited.clear()
        self._rate_limited[event.account_id] = event.at
        return True


def _write(event: Event) -> None:
    values: dict[str, Any] = {"event": type(event).__name__, **asdict(event, recurse=False)}
    if "error" in values:
        error = values["error"]
        values["error"] = error and str(error)
        values["error_type"] = error and type(error).__name__
        values["gave_up"] = error and error.gave_up
        values.setdefault("status", getattr(error, "status", None))
    logger.log(event.level, "%s", event, extra=values)


def configure_logging() -> None:
    """Log to stderr at the level in ``VINIX_LOG``. If the variable is not set, do not configure logging."""
    name = os.environ.get("VINIX_LOG")
    if not name:
        return
    wanted = name.strip().lower()
    level = logging.getLevelNamesMapping()[wanted.upper()] if wanted in _LEVELS else None
    if not any(isinstance(each, logging.StreamHandler) for each in logger.handlers):
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
        if level is None:
            logger.warning("VINIX_LOG must be one of %s, not %r", ", ".join(_LEVELS), name[:40])
    logger.setLevel(logging.WARNING if level is None else level)
