"""A pytest plugin that provides a running sandbox and a client for it, to test code that uses the library.

>>> async def test_nightly(vinix_sandbox, vinix_client):
...     callflows = await vinix_client.callflows.list(vinix_sandbox.root_id).to_list()
...     assert len(callflows) == len(vinix_sandbox.callflow_ids(vinix_sandbox.root_id))

``@pytest.mark.vinix_sandbox(dialect="kazoo43", accounts=5)`` sets the arguments of the sandbox. Waits take no real
time, because the client and the sandbox share a ``VirtualClock``. These fixtures need pytest-asyncio 0.26 or later and
an async test. They work with every ``loop_scope``. In pytest-asyncio's strict mode, which is the default, each test
also needs ``@pytest.mark.asyncio``.

``vinix_aioresponses`` mocks aiohttp, for tests that need no server. This fixture needs the aioresponses package.
"""

import asyncio
import inspect
import json
import math
from bisect import insort
from contextlib import suppress
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest

__all__ = ["VirtualClock", "vinix_aioresponses", "vinix_client", "vinix_clock", "vinix_sandbox"]

_async_fixture: "Callable[..., Callable[[Any], Any]] | None" = None
with suppress(ImportError):
    import pytest_asyncio

    # Without pytest-asyncio, or with a version that has no loop_scope, only the tests that use the fixtures fail.
    if "loop_scope" in inspect.signature(pytest_asyncio.fixture).parameters:
        _async_fixture = pytest_asyncio.fixture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from aioresponses import aioresponses

    from . import VinixClient
    from .sandbox import Sandbox

_LOOP_SCOPES: Final = ("function", "class", "module", "package", "session")

_ITERATIONS: Final = 50
"""The number of iterations of the event loop after which virtual time advances. A request needs fewer iterations."""


class VirtualClock:
    """A clock whose sleeps take no real time. Sleeping tasks wake in the order in which their sleeps end.

    When a sleep has been the first to end for 50 iterations of the event loop, virtual time jumps to the end of this
    sleep. During these iterations, other tasks can send requests and receive responses. Work in other threads and
    processes, ``asyncio.sleep`` and ``asyncio.timeout`` take real time, and virtual time does not wait for them.
    uvloop uses a thread to open a connection, so with uvloop, a request that opens one can take virtual time.

    ``random()`` always returns 0.5.
    """

    def __init__(self, *, epoch: float = 1_767_225_600.0) -> None:
        self.now: float = 0.0
        self._epoch = epoch
        self._serial_numbers = count()
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []  # sorted

    def monotonic(self) -> float:
        """Return the virtual seconds since the clock was created."""
        return self.now

    def time(self) -> float:
        """Return the virtual Unix time. By default the clock starts at the beginning of 2026."""
        return self._epoch + self.now

    async def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` of virtual time have passed. An infinite sleep ends only when it is cancelled."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        end, turn = self.now + seconds, asyncio.Event()
        sleeper = (end, next(self._serial_numbers), turn)
        insort(self._sleepers, sleeper)
        try:
            iterations = 0
            while self.now < end:
                if self._sleepers[0] is not sleeper or end == math.inf:
                    iterations = 0
                    turn.clear()
                    await turn.wait()
                elif iterations < _ITERATIONS:
                    iterations += 1
                    await asyncio.sleep(0)
                else:
                    self._jump(end)
        finally:
            self._sleepers.remove(sleeper)
            if self._sleepers:
                self._sleepers[0][2].set()

    def _jump(self, time: float) -> None:
        self.now = time
        for end, _, turn in self._sleepers:
            if end > time:
                break
            turn.set()

    def random(self) -> float:
        """Return 0.5, so that jitter is predictable."""
        return 0.5


def pytest_configure(config: pytest.Config) -> None:
    """Register the ``vinix_sandbox`` marker."""
    config.addinivalue_line("markers", "vinix_sandbox(**arguments): the arguments of the fixture vinix_sandbox")


@pytest.fixture
def vinix_clock() -> VirtualClock:
    """The clock that ``vinix_sandbox`` and ``vinix_client`` share."""
    return VirtualClock()


@pytest.fixture
def vinix_sandbox(request: pytest.FixtureRequest) -> "Sandbox":
    """A running ``Sandbox``."""
    sandbox: Sandbox = request.getfixturevalue(f"_vinix_sandbox_in_{_loop_scope(request)}_loop")
    return sandbox


@pytest.fixture
def vinix_client(request: pytest.FixtureRequest) -> "VinixClient":
    """A client for ``vinix_sandbox``, with the credentials of the root account's user."""
    client: VinixClient = request.getfixturevalue(f"_vinix_client_in_{_loop_scope(request)}_loop")
    return client


@pytest.fixture
def vinix_aioresponses() -> "Iterator[aioresponses]":
    """An active ``aioresponses`` mock whose responses have a ``Content-Length``, like those of a real server.

    It also works with the versions of aiohttp whose ``ClientResponse`` requires an argument that aioresponses 0.7.9
    does not pass.
    """
    with _complete_aioresponses() as mock:
        yield mock


def _loop_scope(request: pytest.FixtureRequest) -> str:
    """Return the scope of the test's event loop, from the test's marker or else from pytest-asyncio's settings."""
    try:
        default = request.config.getini("asyncio_default_test_loop_scope")
    except ValueError:
        raise pytest.UsageError(
            "the vinix_sandbox and vinix_client fixtures need the plugin pytest-asyncio, version 0.26 or later: "
            "install or enable it"
        ) from None
    from pytest_asyncio import is_async_test  # noqa: PLC0415  # it may be missing

    is_asyncio_test = is_async_test(request.node)
    if is_asyncio_test and request.node.get_closest_marker("anyio"):
        raise pytest.UsageError(
            "in pytest-asyncio's auto mode, a test with @pytest.mark.anyio runs in another event loop than its "
            "fixtures: remove the marker, or set asyncio_mode to 'strict'"
        )
    if not (is_asyncio_test or inspect.iscoroutinefunction(request.function)):
        raise pytest.UsageError(
            "the vinix_sandbox and vinix_client fixtures need an async test, because the sandbox answers only while "
            "the test's event loop runs: write 'async def', and call code that starts its own event loop with "
            "'await asyncio.to_thread(...)'"
        )
    marker = request.node.get_closest_marker("asyncio")
    options = marker.kwargs if marker else {}
    scope = options.get("loop_scope") or options.get("scope")  # older versions of pytest-asyncio use "scope"
    return str(scope or default)


def _fixtures_in_loop(scope: str, async_fixture: "Callable[..., Callable[[Any], Any]]") -> "Iterator[tuple[str, Any]]":
    """Yield the names and functions of two async fixtures that run in the event loop of ``scope``.

    The scope of an async fixture's event loop is fixed when the fixture is defined. Therefore each scope has a pair of
    fixtures. The public fixtures choose the pair that runs in the test's event loop.
    """
    names = {kind: f"_vinix_{kind}_in_{scope}_loop" for kind in ("sandbox", "client")}

    @async_fixture(loop_scope=scope, name=names["sandbox"])
    async def run_sandbox(request: pytest.FixtureRequest, vinix_clock: VirtualClock) -> "AsyncIterator[Sandbox]":
        from .sandbox import Sandbox  # noqa: PLC0415  # pytest always imports this plugin, and the import must be fast

        marker = request.node.get_closest_marker("vinix_sandbox")
        arguments, options = (marker.args, marker.kwargs) if marker else ((), {})
        async with Sandbox(*arguments, **{"clock": vinix_clock, **options}) as sandbox:
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
    from aioresponses import CallbackResult, aioresponses  # noqa: PLC0415  # optional; only this fixture needs it

    required: dict[str, Any] = {}
    if "stream_writer" in inspect.signature(ClientResponse.__init__).parameters:
        required["stream_writer"] = SimpleNamespace(output_size=0)

    class CompleteResponse(ClientResponse):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **{**required, **options})

    def completed(callback: Any) -> Any:
        """Return a callback that adds a ``Content-Length`` to the response that ``callback`` returns."""

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
    """Return ``headers``. If they have no ``Content-Length``, add the length of the body."""
    content = json.dumps(payload) if payload is not None else body
    length = len(content if isinstance(content, bytes) else content.encode())
    return {"Content-Length": str(length), **(headers or {})}
