"""Adds OpenTelemetry traces and metrics to a client. This needs the extra ``otel``.

The traces and metrics follow OpenTelemetry's semantic conventions for HTTP.

::

    from vinix_async.telemetry import instrument

    client = VinixClient.from_env()
    instrument(client)

**Spans.** Each request (for a page of a listing, a document, a login) has a span, for example ``callflows.list``. Each
attempt of a request has a child span, for example ``GET /v2/accounts/{account_id}/callflows``, with the kind ``CLIENT``
and the attributes of the conventions. A sweep has the span ``sweep``, with its counters as attributes and its requests
as children. Retries and waits are events in the span of the request. Outages are events in the spans of all running
sweeps. A row or document that cannot be read is an event in the span that is active where the listing is iterated over.

**Metrics**

============================== ================ ======= ============================================================
name                           instrument       unit    value
============================== ================ ======= ============================================================
http.client.request.duration   histogram        s       the duration of each attempt
vinix.client.retries           counter                  retries, each with the error that made it necessary
vinix.client.rate_limit.wait   histogram        s       waits for an account's rate limit
vinix.client.outages           counter                  outages of the server, counted when they begin
vinix.client.outage            histogram        s       the duration of each outage, recorded when it ends
vinix.client.active_outages    up-down counter          1 while the server is unavailable, otherwise 0
============================== ================ ======= ============================================================

Neither spans nor metrics contain a token, a password, an API key or a query. Account ids occur only in spans.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from attrs import asdict

from . import APIStatusError, ConfigurationError, VinixClient, VinixError, __version__
from ._client import connection_of
from ._pipeline.events import (
    AttemptEnded,
    BadItemFound,
    Event,
    Log,
    OutageEnded,
    OutageStarted,
    RetryEvent,
    SweepEnded,
    SweepStarted,
    WaitEnded,
    WaitStarted,
)

try:
    from opentelemetry import context, metrics, trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:
    raise ImportError("vinix_async.telemetry needs an extra: pip install 'vinix-async[otel]'") from None

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.util.types import AttributeValue

    from ._http.request import Request

__all__ = ["instrument", "uninstrument"]

_SCHEMA: Final = "https://opentelemetry.io/schemas/1.44.0"
"""The schema URL of the OpenTelemetry semantic conventions from which the attribute names are taken."""

_REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""The bucket boundaries that the conventions recommend for ``http.client.request.duration``."""

_WAIT_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)
_OUTAGE_SECONDS: Final = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 900, 1800)


def instrument(
    client: VinixClient,
    *,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
    traceparent: bool = False,
) -> None:
    """Trace and measure all calls of ``client`` and of its views, including views that were created before.

    Args:
        client: the client, or any of its views.
        tracer_provider: the provider that receives the spans. None means the global provider.
        meter_provider: the provider that receives the metrics. None means the global provider.
        traceparent: whether to send the headers ``traceparent`` and ``tracestate`` to the server. By default they are
            not sent, because the server belongs to another organization. Baggage is never sent.

    Raises:
        ConfigurationError: ``client`` is not a ``VinixClient``, or it is already instrumented.
    """
    log = _log_of(client)
    if log.observer is not None:
        raise ConfigurationError("the client is already instrumented: call uninstrument(client) first")
    tracer = trace.get_tracer("vinix_async", __version__, tracer_provider, _SCHEMA)
    meter = metrics.get_meter("vinix_async", __version__, meter_provider, _SCHEMA)
    log.observer = _Telemetry(client.base_url, tracer, meter, sends_traceparent=traceparent)


def uninstrument(client: VinixClient) -> None:
    """Undo ``instrument``. The spans of running sweeps and attempts end immediately.

    This has no effect if the client is not instrumented. Raises ``ConfigurationError`` if ``client`` is not a
    ``VinixClient``.
    """
    log = _log_of(client)
    observer, log.observer = log.observer, None
    if isinstance(observer, _Telemetry):
        observer.stop()


def _log_of(client: object) -> Log:
    if not isinstance(client, VinixClient):
        raise ConfigurationError(f"client must be a VinixClient, not {type(client).__name__}")
    sender, _ = connection_of(client)
    return sender.log


class _Telemetry:
    """The observer of one client."""

    def __init__(self, base_url: str, tracer: trace.Tracer, meter: metrics.Meter, *, sends_traceparent: bool) -> None:
        url = urlsplit(base_url)
        port = url.port or (443 if url.scheme == "https" else 80)
        self._server: Mapping[str, AttributeValue] = {"server.address": url.hostname or "", "server.port": port}
        self._base_url = base_url  # contains no credentials, because VinixClient refuses a base URL with credentials
        self._base_path = url.path
        self._tracer = tracer
        self._sends_traceparent = sends_traceparent
        self._attempts: dict[str, tuple[trace.Span, Token[context.Context]]] = {}
        self._sweeps: set[trace.Span] = set()
        self._outage_began: float | None = None
        self._durations = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_REQUEST_SECONDS,
        )
        self._retries = meter.create_counter("vinix.client.retries", "{retry}", "Retries of requests.")
        self._waits = meter.create_histogram(
            "vinix.client.rate_limit.wait",
            "s",
            "Waits for the rate limit of an account.",
            explicit_bucket_boundaries_advisory=_WAIT_SECONDS,
        )
        self._outages = meter.create_counter("vinix.client.outages", "{outage}", "Outages of the server.")
        self._outage_seconds = meter.create_histogram(
            "vinix.client.outage",
            "s",
            "Durations of outages of the server.",
            explicit_bucket_boundaries_advisory=_OUTAGE_SECONDS,
        )
        self._active_outages = meter.create_up_down_counter(
            "vinix.client.active_outages", "{outage}", "Outages of the server that have not ended."
        )
        # Both series exist from the beginning, so that an alert can refer to them. Otherwise Prometheus would also miss
        # the first outage, because it computes no increase for a series whose first value is 1.
        self._active_outages.add(0, self._server)
        self._outages.add(0, self._server)

    @contextmanager
    def call(self, request: "Request") -> Iterator[None]:
        """Trace a request with its attempts, or a login."""
        attributes = _ids(request.account_id, request.callflow_id)
        with self._tracer.start_as_current_span(
            _operation(request), attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_attribute("error.type", _error_type(error))
                span.set_status(trace.StatusCode.ERROR, str(error) if isinstance(error, VinixError) else None)
                raise

    def start_attempt(self, request: "Request", attempt: int, request_id: str) -> Mapping[str, str]:
        """Start the span of an attempt. Return the headers to send, which are empty unless ``traceparent`` is set."""
        attributes = {
            **self._server,
            **self._route(request.method, request.path),
            **_ids(request.account_id, request.callflow_id),
            "url.full": self._base_url + request.path,
            "http.request.header.x-request-id": [request_id],
        }
        if attempt > 1 and request.login_as is None:
            attributes["http.request.resend_count"] = attempt - 1
        name = f"{request.method} {attributes['url.template']}"
        span = self._tracer.start_span(name, kind=trace.SpanKind.CLIENT, attributes=attributes)
        self._attempts[request_id] = (span, context.attach(trace.set_span_in_context(span)))
        headers: dict[str, str] = {}
        if self._sends_traceparent:
            TraceContextTextMapPropagator().inject(headers)
        return headers

    def close(self) -> None:
        """Record that the current outage, if there is one, ends now."""
        if self._outage_began is not None:
            self._end_outage(time.monotonic() - self._outage_began)

    def stop(self) -> None:
        """End the open spans of sweeps and attempts, because the events that would end them will not be received."""
        self.close()
        for span in (*self._sweeps, *(span for span, _ in self._attempts.values())):
            span.end()

    def __call__(self, event: Event) -> None:
        """Record ``event`` in the traces and metrics."""
        match event:
            case AttemptEnded():
                self._end_attempt(event)
            case RetryEvent():
                error = {"error.type": _error_type(event.error)}
                self._retries.add(1, {**self._server, **error, **self._route(event.method, event.path)})
                trace.get_current_span().add_event("retry", {**error, "vinix.wait": event.wait})
            case WaitStarted(reason="rate_limit" | "outage"):
                trace.get_current_span().add_event(f"{event.reason} wait")
            case BadItemFound():
                bad = {"error.type": _error_type(event.error), **_ids(event.account_id, event.callflow_id)}
                trace.get_current_span().add_event("bad item", bad)
            case WaitEnded(reason="rate_limit", seconds=float(seconds)):
                self._waits.record(seconds, self._server)
            case _:
                self._follow_outages_and_sweeps(event)

    def _follow_outages_and_sweeps(self, event: Event) -> None:
        match event:
            case OutageStarted():
                self._outage_began = time.monotonic()
                self._active_outages.add(1, self._server)
                self._outages.add(1, self._server)
                for span in self._sweeps:
                    span.add_event("outage started", {"error.type": _error_type(event.error)})
            case OutageEnded():
                self._end_outage(event.seconds)
                for span in self._sweeps:
                    span.add_event("outage ended", {"vinix.seconds": event.seconds, "vinix.probes": event.probes})
            case SweepStarted():
                span = self._tracer.start_span("sweep", attributes=_numbers(event))
                context.attach(trace.set_span_in_context(span))  # not detached, because only the sweep has this context
                self._sweeps.add(span)
            case SweepEnded():
                span = trace.get_current_span()
                if span in self._sweeps:  # otherwise the sweep began before the client was instrumented
                    self._sweeps.remove(span)
                    span.set_attributes(_numbers(event))
                    span.end()
            case _:
                pass

    def _end_outage(self, seconds: float) -> None:
        self._outage_seconds.record(seconds, self._server)
        if self._outage_began is not None:  # otherwise the outage began before the client was instrumented
            self._active_outages.add(-1, self._server)
            self._outage_began = None

    def _end_attempt(self, event: AttemptEnded) -> None:
        outcome: dict[str, AttributeValue] = {}
        if event.status is not None:
            outcome["http.response.status_code"] = event.status
        if event.error is not None:  # a cancelled attempt has no error, and thus no error.type
            outcome["error.type"] = _error_type(event.error)
        self._durations.record(event.seconds, {**self._server, **self._route(event.method, event.path), **outcome})
        if event.request_id in self._attempts:  # otherwise the attempt began before the client was instrumented
            span, token = self._attempts.pop(event.request_id)
            span.set_attributes(outcome)
            if event.error is not None:
                by_status = isinstance(event.error, APIStatusError)
                span.set_status(trace.StatusCode.ERROR, None if by_status else str(event.error))
            span.end()
            context.detach(token)

    def _route(self, method: str, path: str) -> "dict[str, AttributeValue]":
        return {"http.request.method": method, "url.template": self._base_path + _template(path)}


def _template(path: str) -> str:
    """Return ``path`` with placeholders for the ids. An id follows each name of a collection, such as ``accounts``."""
    segments = path.split("/")
    for index in range(2, len(segments), 2):
        segments[index] = f"{{{segments[index - 1].removesuffix('s')}_id}}"
    return "/".join(segments)


def _operation(request: "Request") -> str:
    """Return the name of a request's span, such as ``callflows.list``, ``callflows.get``, ``login`` or ``whoami``."""
    if request.login_as is not None:
        return "login"
    *_, parent, last = _template(request.path).split("/")
    if not parent:
        return "whoami"
    return f"{parent}.get" if last.startswith("{") else f"{last}.list"


def _ids(account_id: str | None, callflow_id: str | None) -> "dict[str, AttributeValue]":
    ids = {"vinix.account_id": account_id, "vinix.callflow_id": callflow_id}
    return {name: value for name, value in ids.items() if value is not None}


def _numbers(event: SweepStarted | SweepEnded) -> "dict[str, AttributeValue]":
    return {f"vinix.sweep.{name}": value for name, value in asdict(event).items()}


def _error_type(error: Exception) -> str:
    return str(error.status) if isinstance(error, APIStatusError) else type(error).__name__
