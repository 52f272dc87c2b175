"""What all tests share."""

import asyncio
import gc
import importlib
import logging
import os
import pickle
import signal
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from cli_support import Command, variables
from fake_clock import FakeClock
from postgres_server import drop_mirror, postgres_server
from scripted import Scripted, scripted_server
from webdriver import Browser

from vinix_async import VinixError
from vinix_async.sandbox import Sandbox

# pytest-asyncio asks for the main thread's event loop, which would be made, and never closed, to answer it.
asyncio.set_event_loop(None)

# All records count, see below. With the setting log_level, pytest would forget for each test which loggers are enabled.
logging.getLogger().setLevel(logging.DEBUG)

# Without bytecode, each worker and each process of a test compiles the library and its tests anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The command, and the tests of it, need a POSIX system.
if sys.platform == "win32":
    collect_ignore_glob = ["test_cli*.py", "test_report*.py"]

# A shell's background jobs ignore Ctrl-C, and so would the commands that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow machine is not a failure. HYPOTHESIS_PROFILE=thorough looks at many more examples, for instance every night.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=25)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: tests of timeouts and of other processes wait for a part of their time."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Keep the garbage collector away from what is made before the first test, and let it run less often than usual."""
    gc.disable()
    try:
        worker = os.environ.get("PYTEST_XDIST_WORKER")
        if worker and all(Path(each).is_dir() for each in session.config.args):
            _import_a_share_first(int(worker[2:]), int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000)
        gc.enable()


def _import_a_share_first(worker: int, workers: int) -> None:
    """Let each worker begin with other modules, and find the bytecode of the rest, which takes seconds to make.

    A module that cannot be imported is left to its collection, which says why.
    """
    names = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py"))
    for name in names[worker * len(names) // workers :]:
        with suppress(Exception, pytest.skip.Exception):
            importlib.import_module(name)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Collect garbage once, so that pytest, which does it five times after the last test, has little to look at."""
    gc.collect()
    gc.freeze()


_errors: list[VinixError] = []
_init = VinixError.__init__


def _remember(self: VinixError, *arguments: Any, **fields: Any) -> None:
    _init(self, *arguments, **fields)
    _errors.append(self)


VinixError.__init__ = _remember  # type: ignore[method-assign]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """No test may leave a planted secret in what it logged (at DEBUG), printed or failed with, nor in any error made.

    The secrets that tests plant begin with "planted-", or are the long keys below.
    """
    report = yield
    shown = [text for _, text in report.sections] + [report.longreprtext]
    if call.when == "call":
        shown += [text for error in _errors for text in _texts_of(error)]
        _errors.clear()
    if report.outcome == "passed" and any(
        secret in "\n".join(shown) for secret in ("planted-", "k" * 64, "correct horse")
    ):
        report.outcome = "failed"
        report.longrepr = "a planted secret is in the output of this test, or in an error of it"
    return report


def _texts_of(error: VinixError) -> Iterator[str]:
    """Show all of an error and of the errors it comes from that a traceback may show, except for lines of source."""
    yield pickle.dumps(error).decode("latin-1")
    shown: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in shown:
            continue
        shown.add(id(each))
        yield f"{each!r}{each}{vars(each)}"  # its notes are among vars
        waiting += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    async with scripted_server() as scripted:
        yield scripted


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with Browser() as found:
        yield found


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server."""
    with postgres_server() as address:
        yield address


@pytest.fixture
def postgres_mirror(postgres: str) -> str:
    """The address of a PostgreSQL database without a mirror."""
    drop_mirror(postgres)
    return postgres


@pytest.fixture
def vinix(tmp_path: Path, sandbox: Sandbox) -> Command:
    """The command, pointed to the sandbox of the module."""
    return Command(tmp_path, **variables(sandbox))


@pytest.fixture
def alone(tmp_path: Path) -> Command:
    """The command without a server."""
    return Command(tmp_path)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="module", params=["with the accelerator", "without it"])
def accelerator(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a module's tests twice: as the library is, and as it is where ``fast_decode.py`` has been deleted."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "without it":
            patch.setattr("vinix_async._documents.decode._FAST", {})
        yield
