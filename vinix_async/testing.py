"""A pytest plugin with a running sandbox and a client of it, for tests of code that uses the library.

>>> async def test_nightly(vinix_sandbox, vinix_client):
...     callflows = await vinix_client.callflows.list(vinix_sandbox.root_id).to_list()
...     assert len(callflows) == len(vinix_sandbox.callflow_ids(vinix_sandbox.root_id))

``@pytest.mark.vinix_sandbox(dialect="kazoo43", accounts=5)`` gives the sandbox its arguments. Waits are virtual: the
client's retries and the sandbox's rate limit share a ``VirtualClock``. The fixtures need pytest-asyncio, and work with
every ``loop_scope``. In its strict mode, which is the default, a test also needs ``@pytest.mark.asyncio``.

``vinix_aioresponses`` is a mock of aiohttp for tests that need no server; it needs aioresponses.
"""

import asyncio
import heapq
import inspect
import json
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest

_async_fixture: "Callable[..., Callable[[Any], Any]] | None" = None
_asyncio_plugin: "ModuleType | None" = None
try:
    from pytest_asyncio import fixture, plugin
except ImportError:  # pragma: no cover
    pass  # the fixtures then say what they need
else:
    _async_fixture, _asyncio_plugin = fixture, plugin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from types import ModuleType

    from aioresponses import aioresponses

    from . import VinixClient
    from .sandbox import Sandbox

_LOOP_SCOPES: Final = ("function", "class", "module", "package", "session")

_IDLE_TURNS: Final = 50
"""Turns of the event loop after which virtual time passes: enough for a request to be sent and answered."""


class VirtualClock:
    """A clock whose sleeps take no real time. Sleepers wake in the order of their times.

    Time stands still while the event loop is busy, and then jumps to the end of the earliest sleep.
    ``random()`` is always 0.5.
    """

    def __init__(self, *, epoch: float = 1_767_225_600.0) -> None:
        self.now: float = 0.0
        self._epoch = epoch
        self._serial_numbers = count()
        self._sleepers: list[tuple[float, int]] = []

    def monotonic(self) -> float:
        """Return the virtual seconds since the clock was made."""
        return self.now

    def time(self) -> float:
        """Return the virtual seconds since 1970. By default the clock starts at the beginning of 2026."""
        return self._epoch + self.now

    async def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` of virtual time have passed."""
        sleeper = (self.now + max(0.0, seconds), next(self._serial_numbers))
        heapq.heappush(self._sleepers, sleeper)
        try:
            turns = 0
            while self.now < sleeper[0]:
                await asyncio.sleep(0)
                turns = turns + 1 if self._sleepers[0] == sleeper else 0
                if turns >= _IDLE_TURNS:
                    self.now = sleeper[0]
        finally:
            self._sleepers.remove(sleeper)
            heapq.heapify(self._sleepers)

    def random(self) -> float:
        """Return 0.5, the middle of every jitter."""
        return 0.5


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", "vinix_sandbox(**arguments): arguments of the vinix_sandbox fixture's Sandbox")


@pytest.fixture
def vinix_clock() -> VirtualClock:
    """The clock of ``vinix_sandbox`` and ``vinix_client``."""
    return VirtualClock()


@pytest.fixture
def vinix_sandbox(request: pytest.FixtureRequest) -> "Sandbox":
    """A running ``Sandbox``."""
    sandbox: Sandbox = request.getfixturevalue(f"_vinix_sandbox_in_{_loop_scope(request)}_loop")
    return sandbox


@pytest.fixture
def vinix_client(request: pytest.FixtureRequest) -> "VinixClient":
    """A client of ``vinix_sandbox``, logged in as the root account's user."""
    client: VinixClient = request.getfixturevalue(f"_vinix_client_in_{_loop_scope(request)}_loop")
    return client


@pytest.fixture
def vinix_aioresponses() -> "Iterator[aioresponses]":
    """An active ``aioresponses`` whose replies are complete.

    It gives each reply the ``Content-Length`` that a server would send. It also works with the versions of aiohttp
    whose ``ClientResponse`` requires an argument that aioresponses 0.7.9 does not give.
    """
    with _complete_aioresponses() as mock:
        yield mock


def _loop_scope(request: pytest.FixtureRequest) -> str:
    """Return the scope of the event loop that the test runs in, by its marker or else by pytest-asyncio's setting."""
    if _asyncio_plugin is None or not request.config.pluginmanager.is_registered(_asyncio_plugin):
        raise pytest.UsageError("the fixtures vinix_sandbox and vinix_client need the plugin pytest-asyncio")
    marker = request.node.get_closest_marker("asyncio")
    options = marker.kwargs if marker else {}
    scope = options.get("loop_scope") or options.get("scope")  # the older name
    return str(scope or request.config.getini("asyncio_default_test_loop_scope"))


def _fixtures_in_loop(scope: str, async_fixture: "Callable[..., Callable[[Any], Any]]") -> "Iterator[tuple[str, Any]]":
    """Yield the async fixtures that run in the event loop of a scope, with their names.

    An async fixture runs in the loop of one scope, which is fixed when the fixture is defined. So there is a pair for
    each scope, and the public fixtures choose the pair that runs in the loop of the test.
    """
    names = {kind: f"_vinix_{kind}_in_{scope}_loop" for kind in ("sandbox", "client")}

    @async_fixture(loop_scope=scope, name=names["sandbox"])
    async def run_sandbox(request: pytest.FixtureRequest, vinix_clock: VirtualClock) -> "AsyncIterator[Sandbox]":
        from .sandbox import Sandbox  # noqa: PLC0415  # pytest loads this plugin at every start

        marker = request.node.get_closest_marker("vinix_sandbox")
        async with Sandbox(**{"clock": vinix_clock, **(marker.kwargs if marker else {})}) as sandbox:
            yield sandbox

    @async_fixture(loop_scope=scope, name=names["client"])
    async def run_client(vinix_sandbox: "Sandbox") -> "AsyncIterator[VinixClient]":
        async with vinix_sandbox.client() as client:
            yield client

    yield names["sandbox"], run_sandbox
    yield names["client"], run_client


if _async_fixture is not None:  # pragma: no branch
    for _scope in _LOOP_SCOPES:
        globals().update(_fixtures_in_loop(_scope, _async_fixture))


def _complete_aioresponses() -> "aioresponses":
    from aiohttp import ClientResponse  # noqa: PLC0415  # as above
    from aioresponses import CallbackResult, aioresponses  # noqa: PLC0415  # only this fixture needs it

    required: dict[str, Any] = {}
    if "stream_writer" in inspect.signature(ClientResponse.__init__).parameters:
        required["stream_writer"] = SimpleNamespace(output_size=0)

    class CompleteResponse(ClientResponse):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **{**required, **options})

    def completed(callback: Any) -> Any:
        """Complete what a callback returns, too."""

        async def call(*arguments: Any, **options: Any) -> CallbackResult | None:
            result: CallbackResult | None = callback(*arguments, **options)
            if inspect.isawaitable(result):
                result = await result
            if result is not None:
                result.headers = _with_length(result.headers, result.payload, result.body)
                result.response_class = result.response_class or CompleteResponse
            return result

        return call

    class CompleteAioresponses(aioresponses):
        def add(self, url: Any, *arguments: Any, **options: Any) -> None:
            options["headers"] = _with_length(options.get("headers"), options.get("payload"), options.get("body", ""))
            options["response_class"] = options.get("response_class") or CompleteResponse
            if options.get("callback") is not None:
                options["callback"] = completed(options["callback"])
            super().add(url, *arguments, **options)

    return CompleteAioresponses()


def _with_length(headers: "Mapping[str, str] | None", payload: Any, body: str | bytes) -> dict[str, str]:
    """Return headers with the ``Content-Length`` of the body that aioresponses makes of a payload or body."""
    content = json.dumps(payload) if payload is not None else body
    length = len(content if isinstance(content, bytes) else content.encode())
    return {"Content-Length": str(length), **(headers or {})}
