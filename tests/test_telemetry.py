"""What ``vinix_async.telemetry`` traces and measures, seen through the SDK's exporters."""

import asyncio
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry, generate_latest
from scripted import Scripted, failure, success
from simulated import SimulatedServer, account_of, between, virtual

from vinix_async import (
    APITimeoutError,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    RetryPolicy,
    ServerError,
    UserAuth,
    VinixClient,
    VinixError,
)
from vinix_async.sandbox import Sandbox
from vinix_async.telemetry import _template, instrument, uninstrument
from vinix_async.testing import VirtualClock

GUIDE = Path(__file__).parent.parent / "docs" / "telemetry.md"
LISTING = "/v2/accounts/{account_id}/callflows"


class Recorder:
    """Providers whose spans and metrics stay in memory."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self._reader])

    def instrument(self, client: VinixClient, **options: Any) -> None:
        instrument(client, tracer_provider=self.tracer_provider, meter_provider=self.meter_provider, **options)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def span(self, name: str) -> ReadableSpan:
        (span,) = (span for span in self.spans if span.name == name)
        return span

    def children(self, parent: ReadableSpan) -> list[ReadableSpan]:
        return [span for span in self.spans if span.parent and span.parent.span_id == parent.context.span_id]

    def metric(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """The attributes and the data of each series."""
        data = self._reader.get_metrics_data()
        scopes = [scope for each in (data.resource_metrics if data else ()) for scope in each.scope_metrics]
        series = [each for scope in scopes for each in scope.metrics if each.name == name]
        points = [point for each in series for point in each.data.data_points]
        return [(dict(point.attributes or {}), point) for point in points]


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


# --- calls and attempts --------------------------------------------------------------------------


async def test_a_call_its_login_and_its_attempts(server: Scripted, clock: Any, recorder: Recorder) -> None:
    server.script = [lambda request: failure(request, 500), lambda request: failure(request, 429)]
    auth = UserAuth("ann", "planted-password", account_name="acme")
    async with VinixClient(auth=auth, base_url=server.url, clock=clock) as client:
        recorder.instrument(client)
        await client.callflows.list("account", filters={"filter_name": "planted-name"})
        assert client.stats.requests == 4

    call = recorder.span("callflows.list")
    assert (call.parent, call.kind, call.status.status_code) == (None, SpanKind.INTERNAL, StatusCode.UNSET)
    assert attributes_of(call) == {"vinix.account_id": "account"}
    assert [(event.name, dict(event.attributes or {}).get("error.type")) for event in call.events] == [
        ("retry", "500"),
        ("retry", "429"),
    ]

    login, *attempts = recorder.children(call)
    assert (login.name, login.kind) == ("login", SpanKind.INTERNAL)
    (exchange,) = recorder.children(login)
    port = int(server.url.split(":")[2].split("/")[0])
    where = {"server.address": "127.0.0.1", "server.port": port}
    assert attributes_of(exchange) == {
        **where,
        "http.request.method": "PUT",
        "url.template": "/v2/user_auth",
        "url.full": f"{server.url}/user_auth",
        "http.request.header.x-request-id": (server.requests[0].headers["X-Request-ID"],),
        "http.response.status_code": 201,
    }
    expected = [(500, None, "500"), (429, 1, "429"), (200, 2, None)]
    assert len(attempts) == len(expected)
    for span, request, (status, resend, error) in zip(attempts, server.requests[1:], expected, strict=True):
        assert (span.name, span.kind) == (f"GET {LISTING}", SpanKind.CLIENT)
        wanted = {
            **where,
            "http.request.method": "GET",
            "url.template": LISTING,
            "url.full": f"{server.url}/accounts/account/callflows",
            "vinix.account_id": "account",
            "http.request.header.x-request-id": (request.headers["X-Request-ID"],),
            "http.response.status_code": status,
            "http.request.resend_count": resend,
            "error.type": error,
        }
        assert attributes_of(span) == {name: value for name, value in wanted.items() if value is not None}
        assert span.status.status_code is (StatusCode.ERROR if error else StatusCode.UNSET)
        assert span.status.description is None  # the status code says it
        assert "traceparent" not in request.headers

    measured = recorder.metric("http.client.request.duration")
    durations = {point["http.response.status_code"]: data for point, data in measured}
    assert {status: data.count for status, data in durations.items()} == {201: 1, 500: 1, 429: 1, 200: 1}
    assert durations[200].explicit_bounds == (
        0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
    )  # fmt: skip
    retries = recorder.metric("vinix.client.retries")
    assert Counter({point["error.type"]: data.value for point, data in retries}) == {"500": 1, "429": 1}
    assert all(point["url.template"] == LISTING for point, _ in retries)
    everything = "".join(span.to_json() for span in recorder.spans) + repr(recorder.metric("vinix.client.retries"))
    assert "planted" not in everything
    assert "token-number" not in everything


@pytest.mark.parametrize(
    ("answer", "error_type", "described"),
    [
        (lambda request: failure(request, 404), "404", False),
        (lambda request: success(request, {}, status=202), "APIConnectionError", True),
        (web.Response(text="planted-text"), "DecodeError", True),
    ],
    ids=["status", "connection", "response"],
)
async def test_a_call_that_fails(
    server: Scripted, recorder: Recorder, answer: Any, error_type: str, described: Any
) -> None:
    server.otherwise = answer
    async with VinixClient(auth="planted-token", base_url=server.url, retry=RetryPolicy(attempts=1)) as client:
        recorder.instrument(client)
        with pytest.raises(VinixError) as caught:
            await client.callflows.list("account")
    call, (attempt,) = recorder.span("callflows.list"), recorder.children(recorder.span("callflows.list"))
    for span in (call, attempt):
        assert attributes_of(span)["error.type"] == error_type
        assert span.status.status_code is StatusCode.ERROR
    assert call.status.description == str(caught.value)
    assert (attempt.status.description is not None) == described  # else the status code says it
    assert "planted" not in "".join(span.to_json() for span in recorder.spans)


async def test_an_error_of_the_application_is_not_told(server: Scripted, recorder: Recorder) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("planted-text")

    server.otherwise = lambda request: failure(request, 500)
    async with VinixClient(auth="a-token", base_url=server.url, on_retry=fail) as client:
        recorder.instrument(client)
        with pytest.raises(RuntimeError):
            await client.callflows.list("account")
    call = recorder.span("callflows.list")
    assert (attributes_of(call)["error.type"], call.status.description) == ("RuntimeError", None)


async def test_a_refused_login_fails_its_span_and_the_call(server: Scripted, recorder: Recorder) -> None:
    server.login = lambda request: failure(request, 401, "planted-echo")
    auth = UserAuth("ann", "planted-password", account_name="acme")
    async with VinixClient(auth=auth, base_url=server.url) as client:
        recorder.instrument(client)
        with pytest.raises(AuthenticationError):
            await client.whoami()
    assert [span.name for span in recorder.spans] == ["PUT /v2/user_auth", "login", "whoami"]
    assert {attributes_of(span)["error.type"] for span in recorder.spans} == {"401"}
    assert "planted" not in "".join(span.to_json() for span in recorder.spans)


@virtual
async def test_a_cancelled_attempt_is_no_error_and_a_deadline_is_one_of_the_call() -> None:
    server, recorder = SimulatedServer(), Recorder()
    async with server.client(timeout=60) as client:
        recorder.instrument(client)
        server.fate = lambda *_: "hang"
        with pytest.raises(APITimeoutError):
            await client.with_options(deadline=1).accounts.get("account")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.accounts.get("account"), 1)
    attempt, in_time, cancelled_attempt, cancelled = recorder.spans
    for span in (attempt, cancelled_attempt, cancelled):
        assert "error.type" not in attributes_of(span)
        assert span.status.status_code is StatusCode.UNSET
    assert (in_time.name, attributes_of(in_time)["error.type"]) == ("accounts.get", "APITimeoutError")
    ((point, data),) = recorder.metric("http.client.request.duration")
    assert "error.type" not in point
    assert "http.response.status_code" not in point
    assert data.count == 2


@virtual
async def test_waits_for_a_rate_limit_are_measured() -> None:
    server, recorder = SimulatedServer(), Recorder()
    server.fate = between(0.0, 0.3, 429)
    async with server.client() as client:
        recorder.instrument(client)
        calls = [client.callflows.list("account").to_list() for _ in range(8)]
        await asyncio.gather(*calls, client.accounts.get("other"))
    waits = [event for span in recorder.spans for event in span.events if event.name == "rate_limit wait"]
    ((_, wait),) = recorder.metric("vinix.client.rate_limit.wait")
    assert wait.count == len(waits) > 1
    assert wait.sum >= client.stats.rate_limit_seconds > 0  # the waits of two accounts may overlap
    assert sum(data.value for _, data in recorder.metric("vinix.client.retries")) == client.stats.retries
    durations = recorder.metric("http.client.request.duration")
    limited = sum(data.count for point, data in durations if point["http.response.status_code"] == 429)
    assert limited == client.stats.rate_limited > 0


async def test_the_application_is_the_parent_and_keeps_its_own_span(server: Scripted, recorder: Recorder) -> None:
    tracer = recorder.tracer_provider.get_tracer("application")
    async with VinixClient(auth="a-token", base_url=server.url) as client:
        recorder.instrument(client)
        server.script = [lambda request: success(request, next_start_key="b"), success]
        with tracer.start_as_current_span("request") as mine:
            async for _ in client.callflows.list("account").by_page():
                assert trace.get_current_span() is mine
        assert trace.get_current_span() is trace.INVALID_SPAN
    assert [span.name for span in recorder.children(recorder.span("request"))] == ["callflows.list"] * 2


@pytest.mark.parametrize("traceparent", [False, True])
async def test_traceparent_is_sent_only_when_asked_for(server: Scripted, recorder: Recorder, traceparent: Any) -> None:
    auth = UserAuth("ann", "pw", account_name="acme")
    async with VinixClient(auth=auth, base_url=server.url) as client:
        recorder.instrument(client, traceparent=traceparent)
        await client.callflows.list("account")
    spans = [span for span in recorder.spans if span.kind is SpanKind.CLIENT]
    sent = [f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}" for span in spans]
    assert len(server.requests) == 2
    received = [request.headers.get("traceparent", "")[:-3] for request in server.requests]  # without the flags
    assert received == (sent if traceparent else [""] * 2)
    assert not any("baggage" in request.headers for request in server.requests)


def test_ids_never_become_part_of_a_name() -> None:
    assert _template("/user_auth") == "/user_auth"
    assert _template("/accounts/1/descendants") == "/accounts/{account_id}/descendants"
    assert _template("/accounts/callflows/callflows/x") == "/accounts/{account_id}/callflows/{callflow_id}"


# --- sweeps and outages --------------------------------------------------------------------------


@virtual
async def test_a_sweep_and_its_outage() -> None:
    server, recorder = SimulatedServer(accounts=12), Recorder()
    server.fate = between(1.0, 31.0, 502)
    async with server.client(auth=UserAuth("ann", "pw", account_name="acme")) as client:
        recorder.instrument(client)
        await client.whoami()
        sweep = client.callflows.list_many(client.accounts.descendants("root"), details=True, max_concurrency=2)
        async for result in sweep:
            assert result.ok
            assert trace.get_current_span() is trace.INVALID_SPAN  # the sweep's span is not the caller's
            await asyncio.sleep(0.5)
        assert client.stats.outages == 1

    span = recorder.span("sweep")
    counters = {
        name: getattr(sweep.stats, name) for name in ("requests", "retries", "outages", "callflows", "bad_items")
    }
    numbers = {
        "max_concurrency": 2,
        "resumed": False,
        "complete": True,
        "accounts_done": 12,
        "accounts_failed": 0,
        **counters,
    }
    assert attributes_of(span) == {f"vinix.sweep.{name}": value for name, value in numbers.items()}
    assert counters["callflows"] == 36
    assert [(event.name, dict(event.attributes or {}).get("error.type")) for event in span.events] == [
        ("outage started", "502"),
        ("outage ended", None),
    ]
    assert Counter(child.name for child in recorder.children(span)) == {
        "descendants.list": 1,
        "callflows.list": 12,
        "callflows.get": 36,
    }
    events = {event.name for each in recorder.spans if each is not span for event in each.events}
    assert events == {"outage wait"}
    ((_, outage),) = recorder.metric("vinix.client.outage")
    assert outage.count == 1
    assert 25 < outage.sum < 45
    ((_, active),) = recorder.metric("vinix.client.active_outages")
    assert active.value == 0
    ((_, outages),) = recorder.metric("vinix.client.outages")
    assert outages.value == 1
    measured = sum(data.count for _, data in recorder.metric("http.client.request.duration"))
    assert measured == client.stats.requests == len(server.requests)


@virtual
async def test_an_outage_that_outlasts_the_client_is_measured() -> None:
    server, recorder = SimulatedServer(), Recorder()
    server.fate = lambda *_: "refused"
    async with server.client() as client:
        recorder.instrument(client)
        ((_, outages),) = recorder.metric("vinix.client.outages")
        assert outages.value == 0
        with pytest.raises(Exception, match="unavailable"):
            await client.accounts.get("account")
        ((_, active),) = recorder.metric("vinix.client.active_outages")
        assert active.value == 1
        assert recorder.metric("vinix.client.outage") == []
    ((_, active),) = recorder.metric("vinix.client.active_outages")
    assert active.value == 0
    ((_, outage),) = recorder.metric("vinix.client.outage")
    assert outage.count == 1
    await client.close()
    assert recorder.metric("vinix.client.outage")[0][1].count == 1


@virtual
async def test_two_sweeps_at_once_have_their_own_spans_and_numbers() -> None:
    server, recorder = SimulatedServer(), Recorder()
    server.fate = lambda target, _: "json 403" if account_of(target) == "denied" else "ok"
    async with server.client() as client:
        recorder.instrument(client)
        await asyncio.gather(
            client.callflows.list_many(["a", "b", "denied"]).collect(), client.callflows.list_many(["c"]).collect()
        )
    first, second = sorted(
        (span for span in recorder.spans if span.name == "sweep"),
        key=lambda span: -attributes_of(span)["vinix.sweep.accounts_done"],
    )
    assert (attributes_of(first)["vinix.sweep.accounts_failed"], len(recorder.children(first))) == (1, 3)
    assert (attributes_of(second)["vinix.sweep.accounts_done"], len(recorder.children(second))) == (1, 1)


async def test_a_document_that_cannot_be_read_is_an_event_of_the_sweep(
    vinix_sandbox: Sandbox, vinix_client: VinixClient, recorder: Recorder
) -> None:
    account_id = vinix_sandbox.root_id
    bad = vinix_sandbox.callflow_ids(account_id)[0]
    vinix_sandbox.break_callflow(account_id, bad, "wrong_type")
    recorder.instrument(vinix_client)
    await vinix_client.callflows.list_many([account_id]).collect()
    (event,) = recorder.span("sweep").events
    attributes = {"error.type": "DecodeError", "vinix.account_id": account_id, "vinix.callflow_id": bad}
    assert (event.name, dict(event.attributes or {})) == ("bad item", attributes)


@virtual
async def test_a_sweep_that_is_left_early_ends_its_span() -> None:
    server, recorder = SimulatedServer(), Recorder()
    async with server.client() as client:
        recorder.instrument(client)
        async with client.callflows.list_many([f"account{number}" for number in range(100)]) as sweep:
            async for _ in sweep:
                break
    assert attributes_of(recorder.span("sweep"))["vinix.sweep.complete"] is False


# --- on and off ----------------------------------------------------------------------------------


async def test_views_are_covered_and_it_can_be_undone(server: Scripted, recorder: Recorder) -> None:
    client = VinixClient(auth="a-token", base_url=server.url)
    earlier = client.with_options(deadline=5)
    pager, sweep = earlier.callflows.list("account"), client.callflows.list_many(["account"])
    recorder.instrument(client)
    with pytest.raises(ConfigurationError, match=r"already instrumented: call uninstrument\(client\) first"):
        instrument(earlier)
    await pager
    await client.with_options(timeout=5).callflows.list("account")
    await sweep.collect()
    names = [span.name for span in recorder.spans if span.kind is SpanKind.INTERNAL]
    assert names == ["callflows.list", "callflows.list", "callflows.list", "sweep"]
    uninstrument(earlier)
    uninstrument(client)
    await client.callflows.list("account")
    assert len(recorder.spans) == 7
    recorder.instrument(client)
    await client.close()
    with pytest.raises(ClientClosedError):
        await client.callflows.list("account")
    assert recorder.spans[-1].status.status_code is StatusCode.ERROR


@pytest.mark.parametrize("function", [instrument, uninstrument])
def test_only_a_client_can_be_instrumented(function: Any) -> None:
    with pytest.raises(ConfigurationError, match="client must be a VinixClient, not type"):
        function(VinixClient)


@virtual
async def test_it_can_be_switched_in_the_middle() -> None:
    """Nothing breaks, and no span stays open, whatever is running."""
    server, recorder = SimulatedServer(), Recorder()
    server.fate = between(2.0, 20.0, 502)

    async with server.client() as client:

        async def switch() -> None:
            for number in range(60):
                (uninstrument if number % 2 else recorder.instrument)(client)
                await asyncio.sleep(0.51)

        switching = asyncio.create_task(switch())
        for _ in range(20):
            results = await client.callflows.list_many(
                [f"a{number}" for number in range(6)], max_concurrency=2
            ).collect()
            assert all(result.ok for result in results.values())
        await switching
        assert context.get_current() == context.Context()
    started = {span.context.span_id for span in recorder.spans}
    orphans = [span.name for span in recorder.spans if span.parent and span.parent.span_id not in started]
    assert orphans == []
    ((_, active),) = recorder.metric("vinix.client.active_outages")
    assert active.value == 0


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys, asyncio\n"
        "from vinix_async import VinixClient\n"
        "client = VinixClient(auth='t', base_url='http://127.0.0.1:9/v2')\n"
        "asyncio.run(client.close())\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
        "sys.modules['opentelemetry'] = None\n"
        "try:\n"
        "    import vinix_async.telemetry\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603  # ours
    assert done.stdout == "vinix_async.telemetry needs an extra: pip install 'vinix-async[otel]'\n"


# --- exporters -----------------------------------------------------------------------------------


async def one_of_each(recorder: Any, clock: Any) -> None:
    """A sweep with retries and rate limits, an outage, and errors: every metric has a series."""
    arguments: dict[str, Any] = {"callflows": 20, "dialect": "kazoo43", "rate_limit": (6, 10)}
    async with Sandbox(accounts=6, clock=clock, **arguments) as sandbox, sandbox.client() as client:
        instrument(client, tracer_provider=recorder.tracer_provider, meter_provider=recorder.meter_provider)
        await client.callflows.list_many(sandbox.account_ids, page_size=1).collect()
        with sandbox.outage(5):
            await client.callflows.list_many(sandbox.account_ids[:5], page_size=20).collect()
        sandbox.break_callflow(sandbox.root_id, callflow_id := sandbox.callflow_ids(sandbox.root_id)[0])
        with pytest.raises(ServerError):
            await client.callflows.get(sandbox.root_id, callflow_id)
        assert client.stats.retries
        assert client.stats.rate_limit_seconds
        assert client.stats.outages


def test_the_queries_of_the_guide_use_names_that_prometheus_sees() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    queries = "\n".join(re.findall(r"^```(?:promql|yaml)\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    queries += "\n".join(re.findall(r"`([^`\n]*(?:http_client|vinix_client)_[^`\n]*)`", text))
    names = set(re.findall(r"\b(?:http_client|vinix_client)_\w+", queries))
    labels = set(re.findall(r"\b(\w+)\s*!?=~?\s*\"", queries))
    labels |= {name for group in re.findall(r"\bby \(([^)]*)\)", queries) for name in re.split(r",\s*", group)}
    registry = CollectorRegistry()
    with metrics_to(PrometheusMetricReader(registry=registry)) as recorder:
        asyncio.run(one_of_each(recorder, VirtualClock()))
        printed = generate_latest(registry).decode()
    series = set(re.findall(r"^(\w+)\{", printed, re.MULTILINE))
    histograms = set(re.findall(r"^# TYPE (\w+) histogram$", printed, re.MULTILINE))
    assert names
    assert names <= series | histograms
    assert labels <= {"le", *re.findall(r"[{,](\w+)=", printed)}
    documented = {name for name in names if not name.endswith(("_bucket", "_count", "_sum"))}
    assert documented == {
        re.sub(r"_(bucket|count|sum)$", "", name) for name in series if name.startswith(("http_client", "vinix_client"))
    }


class Providers:
    """Providers that export what one test records."""

    def __init__(self, reader: MetricReader, exporter: SpanExporter | None = None) -> None:
        self.meter_provider = MeterProvider([reader])
        self.tracer_provider = TracerProvider()
        if exporter is not None:
            self.tracer_provider.add_span_processor(BatchSpanProcessor(exporter))


@contextmanager
def metrics_to(reader: MetricReader, exporter: SpanExporter | None = None) -> Iterator[Providers]:
    providers = Providers(reader, exporter)
    try:
        yield providers
    finally:
        providers.tracer_provider.shutdown()
        providers.meter_provider.shutdown()


class Receiver(BaseHTTPRequestHandler):
    """An OTLP/HTTP receiver: keeps the bodies that it is sent, by path."""

    received: dict[str, list[bytes]]

    def do_POST(self) -> None:
        self.received.setdefault(self.path, []).append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@contextmanager
def receiver() -> Iterator[tuple[str, dict[str, list[bytes]]]]:
    received: dict[str, list[bytes]] = {}
    handler = type("Handler", (Receiver,), {"received": received})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.server_port}", received
        finally:
            listener.shutdown()
            thread.join()


def export_to(url: str) -> None:
    """Run ``one_of_each`` with the real OTLP exporters."""
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{url}/v1/metrics"))
    with metrics_to(reader, OTLPSpanExporter(f"{url}/v1/traces")) as providers:
        asyncio.run(one_of_each(providers, VirtualClock()))


EVERY_METRIC = {
    "http.client.request.duration",
    "vinix.client.active_outages",
    "vinix.client.outage",
    "vinix.client.outages",
    "vinix.client.rate_limit.wait",
    "vinix.client.retries",
}
EVERY_SPAN = {"sweep", "callflows.list", "callflows.get", "login", "PUT /v2/user_auth", f"GET {LISTING}"}


def names_in(received: dict[str, list[bytes]]) -> tuple[set[str], set[str]]:
    """The names of the spans and of the metrics."""
    spans = [
        span
        for body in received["/v1/traces"]
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    measured = [
        metric
        for body in received["/v1/metrics"]
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]
    return {span.name for span in spans}, {metric.name for metric in measured}


def test_the_otlp_exporters_send_all_of_it() -> None:
    with receiver() as (url, received):
        export_to(url)
    spans, measured = names_in(received)
    assert spans >= EVERY_SPAN
    assert measured >= EVERY_METRIC


async def test_the_job_of_the_guide_sends_all_before_it_ends(
    vinix_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (job,) = (block for block in blocks if "async def job" in block)
    names: dict[str, Any] = {"reseller_id": vinix_sandbox.root_id}
    monkeypatch.setenv("VINIX_BASE", vinix_sandbox.url)
    monkeypatch.setenv("VINIX_API_KEY", vinix_sandbox.api_key_auth().api_key)
    with receiver() as (url, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        exec(compile(job, str(GUIDE), "exec"), names)  # noqa: S102  # ours
        await names["job"]()
    spans, measured = names_in(received)
    assert spans >= {"sweep", "callflows.list", "login"}
    assert "http.client.request.duration" in measured
