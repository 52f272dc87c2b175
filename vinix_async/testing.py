"""A pytest plugin: a running sandbox and a client on it, for tests of code that uses the library.

>>> async def test_nightly(vinix_sandbox, vinix_client):
...     callflows = await vinix_client.callflows.list(vinix_sandbox.root_id).to_list()
...     assert len(callflows) == len(vinix_sandbox.callflow_ids(vinix_sandbox.root_id))

``@pytest.mark.vinix_sandbox(dialect="kazoo43", accounts=5)`` gives the sandbox its arguments. Waits are virtual: the
client's retries and the sandbox's rate limit share a ``VirtualClock``. The fixtures need pytest-asyncio.
"""

import asyncio
import heapq
from itertools import count
from typing import TYPE_CHECKING

import pytest

try:
    from pytest_asyncio import fixture
except ImportError:  # pragma: no cover  # the fixtures are there, and pytest says what they need
    fixture = pytest.fixture  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ._client import VinixClient
    from .sandbox import Sandbox

_TURNS = 50
"""Turns that the event loop gets before time moves on: enough for a request to go out and be answered."""


class VirtualClock:
    """A clock whose sleeps take no time. Sleepers wake in the order of their times.

    Time stands still while the event loop has work, and then jumps to the end of the earliest sleep.
    ``random()`` is always 0.5.
    """

    def __init__(self, *, epoch: float = 1_767_225_600.0) -> None:
        self.now: float = 0.0
        self._epoch = epoch
        self._numbers = count()
        self._sleepers: list[tuple[float, int]] = []

    def monotonic(self) -> float:
        """Virtual seconds since the clock was made."""
        return self.now

    def time(self) -> float:
        """Virtual seconds since 1970; the clock begins with the year 2026."""
        return self._epoch + self.now

    async def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` of virtual time have passed."""
        me = (self.now + max(0.0, seconds), next(self._numbers))
        heapq.heappush(self._sleepers, me)
        try:
            turns = 0
            while self.now < me[0]:
                await asyncio.sleep(0)
                turns = turns + 1 if self._sleepers[0] == me else 0
                if turns >= _TURNS:
                    self.now = me[0]
        finally:
            self._sleepers.remove(me)
            heapq.heapify(self._sleepers)

    def random(self) -> float:
        """The middle of every jitter."""
        return 0.5


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "vinix_sandbox(**arguments): arguments of the vinix_sandbox fixture's Sandbox")


@pytest.fixture
def vinix_clock() -> VirtualClock:
    """The time of ``vinix_sandbox`` and ``vinix_client``."""
    return VirtualClock()


@fixture
async def vinix_sandbox(request: pytest.FixtureRequest, vinix_clock: VirtualClock) -> "AsyncIterator[Sandbox]":
    """A running ``Sandbox``."""
    from .sandbox import Sandbox  # noqa: PLC0415  # pytest loads this plugin at every start

    marker = request.node.get_closest_marker("vinix_sandbox")
    async with Sandbox(**{"clock": vinix_clock, **(marker.kwargs if marker else {})}) as sandbox:
        yield sandbox


@fixture
async def vinix_client(vinix_sandbox: "Sandbox") -> "AsyncIterator[VinixClient]":
    """A client of ``vinix_sandbox``, logged in as the root account's user."""
    async with vinix_sandbox.client() as client:
        yield client
