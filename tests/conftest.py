"""What all tests share."""

import asyncio
import inspect
from collections.abc import Generator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientResponse
from aioresponses import aioresponses
from aioresponses import core as mocks

# pytest-asyncio asks for the main thread's event loop, which would be made, and never closed, to answer it.
asyncio.set_event_loop(None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """No test may leave a planted secret in what it logged, printed or failed with.

    The secrets that tests plant have "planted" in them, or are the long keys below.
    """
    report = yield
    shown = "\n".join([text for _, text in report.sections] + [report.longreprtext])
    if report.outcome == "passed" and any(secret in shown for secret in ("planted-", "k" * 64, "correct horse")):
        report.outcome = "failed"
        report.longrepr = "a planted secret is in the output of this test"
    return report


class _MockedResponse(ClientResponse):
    """aioresponses 0.7.9 makes responses without the ``stream_writer`` that aiohttp wants since 3.14."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"stream_writer": SimpleNamespace(output_size=0), **kwargs})


@pytest.fixture
def mocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """aioresponses, made to fit the aiohttp that is installed."""
    if "stream_writer" in inspect.signature(ClientResponse.__init__).parameters:
        monkeypatch.setattr(mocks, "ClientResponse", _MockedResponse)
    with aioresponses() as mock:
        yield mock
