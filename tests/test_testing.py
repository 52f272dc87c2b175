"""The pytest plugin, as a user's own test run has it."""

import asyncio
import math
import subprocess
import sys
from collections.abc import Callable

import pytest

from vinix_async import VinixClient
from vinix_async.sandbox import Sandbox
from vinix_async.testing import VirtualClock

pytest_plugins = ["pytester"]


async def test_the_fixtures_are_there(vinix_sandbox: Sandbox, vinix_client: VinixClient) -> None:
    callflows = await vinix_client.callflows.list(vinix_sandbox.root_id).to_list()
    assert {callflow.id for callflow in callflows} == set(vinix_sandbox.callflow_ids(vinix_sandbox.root_id))


@pytest.mark.vinix_sandbox(dialect="kazoo43", accounts=2, callflows=150)
async def test_waits_are_virtual(vinix_sandbox: Sandbox, vinix_client: VinixClient, vinix_clock: VirtualClock) -> None:
    pager = vinix_client.callflows.list(vinix_sandbox.root_id, page_size=1)
    assert len(await pager.to_list()) == 150
    assert vinix_sandbox.count(status=429) > 0
    assert 4 < vinix_clock.now < 8  # 50 requests beyond the bucket, at 10 a second


async def test_sleepers_wake_in_the_order_of_their_times(vinix_clock: VirtualClock) -> None:
    woken: list[tuple[int, float]] = []

    async def sleeper(seconds: int) -> None:
        await vinix_clock.sleep(seconds)
        woken.append((seconds, vinix_clock.monotonic()))

    gone = asyncio.create_task(sleeper(50))
    async with asyncio.TaskGroup() as group:
        for seconds in (300, 100, 200, 0):
            group.create_task(sleeper(seconds))
        gone.cancel()
    assert woken == [(0, 0), (100, 100), (200, 200), (300, 300)]
    assert vinix_clock.time() - vinix_clock.now == VirtualClock().time()
    assert vinix_clock.random() == 0.5
    assert not vinix_clock._sleepers


async def test_only_the_first_of_many_sleepers_counts_iterations(
    vinix_clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    iterations = 0
    sleep: Callable[[float], object] = asyncio.sleep

    async def counted(seconds: float) -> None:
        nonlocal iterations
        iterations += 1
        await sleep(seconds)  # type: ignore[misc]  # asyncio's own

    monkeypatch.setattr(asyncio, "sleep", counted)
    await asyncio.gather(*(vinix_clock.sleep(seconds) for seconds in range(200, 0, -1)))
    assert vinix_clock.now == 200
    assert iterations < 200 * 60


async def test_sleepers_that_end_at_the_same_time_wake_in_the_same_iteration(vinix_clock: VirtualClock) -> None:
    woken: list[int] = []

    async def sleeper(number: int) -> None:
        await vinix_clock.sleep(10)
        woken.append(number)
        await vinix_clock.sleep(10)
        assert woken == [0, 1, 2]

    await asyncio.gather(*map(sleeper, range(3)))


@pytest.mark.parametrize("seconds", [0, -1])
async def test_a_sleep_of_no_length_lets_others_run(vinix_clock: VirtualClock, seconds: float) -> None:
    others = asyncio.Event()
    asyncio.get_running_loop().call_soon(others.set)
    while not others.is_set():
        await vinix_clock.sleep(seconds)
    assert vinix_clock.now == 0


async def test_an_infinite_sleep_stops_no_time(vinix_clock: VirtualClock) -> None:
    forever = [asyncio.create_task(vinix_clock.sleep(math.inf)) for _ in range(2)]
    for _ in range(2):
        await vinix_clock.sleep(30)
        for _ in range(100):
            await asyncio.sleep(0)
    assert (vinix_clock.now, [each.done() for each in forever]) == (60, [False, False])
    for each in forever:
        each.cancel()
    await asyncio.wait(forever)
    assert not vinix_clock._sleepers


# pytest-asyncio warns while a project leaves this setting unset.
INI = """
[pytest]
filterwarnings =
    error
    ignore:.*asyncio_default_fixture_loop_scope:pytest.PytestDeprecationWarning
"""
# What pytest finds installed is what a user has; by name it starts in a third of the time.
PLUGINS = {
    "auto": ["-pno:hypothesispytest", "-pno:platformdirs", "-pno:xdist"],
    "strict": ["--disable-plugin-autoload", "-ppytest_asyncio.plugin", "-pvinix_async.testing"],
}


@pytest.mark.parametrize(("mode", "marker"), [("auto", ""), ("strict", "@pytest.mark.asyncio")])
def test_s4_in_a_project_of_their_own(pytester: pytest.Pytester, mode: str, marker: str) -> None:
    """A project sets ``asyncio_mode = auto``, or marks each test; the README shows both."""
    pytester.makeini(f"{INI}asyncio_mode = {mode}\naddopts = --strict-markers\n")
    pytester.makepyfile(
        f"""
        import pytest

        {marker}
        @pytest.mark.vinix_sandbox(accounts=5)
        async def test_mine(vinix_sandbox, vinix_client):
            accounts = await vinix_client.accounts.descendants(vinix_sandbox.root_id).to_list()
            assert len(accounts) == 4
        """
    )
    run = pytester.runpytest_subprocess if mode == "auto" else pytester.runpytest_inprocess
    result = run("-q", *PLUGINS[mode])
    result.assert_outcomes(passed=1)


SCOPES = ("function", "class", "module", "package", "session")
TESTS_OF_ONE_SCOPE = """
{marker}
class Test{name}:
    @pytest.mark.vinix_sandbox(accounts=5)
    async def test_one(self, vinix_sandbox, vinix_client):
        accounts = await vinix_client.accounts.descendants(vinix_sandbox.root_id).to_list()
        assert len(accounts) == 4

    async def test_two(self, vinix_client, vinix_sandbox, vinix_clock):
        await asyncio.wait_for(vinix_client.callflows.list(vinix_sandbox.root_id), 10)
        assert vinix_sandbox.served == 2  # a sandbox of its own
        await vinix_clock.sleep(100)
"""


def test_s1_every_loop_scope_by_marker(pytester: pytest.Pytester) -> None:
    classes = [
        TESTS_OF_ONE_SCOPE.format(name=scope.title(), marker=f"@pytest.mark.asyncio(loop_scope={scope!r})")
        for scope in SCOPES
    ]
    pytester.makeini(INI)
    pytester.makepyfile(__init__="", test_mine="import asyncio, pytest\n" + "".join(classes))
    pytester.runpytest_inprocess("-q", *PLUGINS["strict"]).assert_outcomes(passed=2 * len(SCOPES))


@pytest.mark.parametrize("setting", ["asyncio_default_test_loop_scope", "asyncio_default_fixture_loop_scope"])
@pytest.mark.parametrize("scope", ["module", "session"])
def test_s1_every_loop_scope_by_setting(pytester: pytest.Pytester, setting: str, scope: str) -> None:
    pytester.makeini(f"{INI}asyncio_mode = auto\n{setting} = {scope}\n")
    pytester.makepyfile(test_mine="import asyncio, pytest\n" + TESTS_OF_ONE_SCOPE.format(name="Mine", marker=""))
    pytester.runpytest_inprocess("-q", *PLUGINS["strict"]).assert_outcomes(passed=2)


def test_without_pytest_asyncio_the_fixtures_say_what_they_need(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_mine(vinix_client): pass")
    result = pytester.runpytest_inprocess("-q", "--disable-plugin-autoload", "-pvinix_async.testing")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*need the plugin pytest-asyncio*"])


def test_an_old_pytest_asyncio_stops_only_the_tests_that_use_the_fixtures(pytester: pytest.Pytester) -> None:
    old = pytester.mkpydir("pytest_asyncio")
    (old / "plugin.py").touch()
    (old / "__init__.py").write_text("__version__ = '0.23.8'\ndef fixture(**options): raise TypeError(options)")
    pytester.makepyfile("def test_mine(vinix_client): pass\ndef test_other(): pass")
    pytester.syspathinsert()
    result = pytester.runpytest_subprocess("-q", "--disable-plugin-autoload", "-pvinix_async.testing")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*need the plugin pytest-asyncio, version 0.26 or later*"])


def test_a_sync_test_is_an_error_and_does_not_hang(pytester: pytest.Pytester) -> None:
    pytester.makeini(f"{INI}asyncio_mode = auto\n")
    pytester.makepyfile(
        """
        import asyncio, hypothesis

        def test_mine(vinix_sandbox):
            asyncio.run(vinix_sandbox.client().callflows.list(vinix_sandbox.root_id))

        @hypothesis.settings(max_examples=2, suppress_health_check=list(hypothesis.HealthCheck))
        @hypothesis.given(hypothesis.strategies.integers())
        async def test_property(vinix_sandbox, vinix_client, number):
            await vinix_client.callflows.list(vinix_sandbox.root_id)
        """
    )
    result = pytester.runpytest_inprocess("-q", *PLUGINS["strict"])
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*need an async test*asyncio.to_thread*"])


async def test_code_with_an_event_loop_of_its_own_runs_in_a_thread(
    vinix_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read() -> int:
        async with VinixClient.from_env() as client:
            return len(await client.callflows.list(vinix_sandbox.root_id).to_list())

    monkeypatch.setenv("VINIX_BASE", vinix_sandbox.url)
    monkeypatch.setenv("VINIX_API_KEY", vinix_sandbox.api_key_auth().api_key)
    found = await asyncio.to_thread(asyncio.run, read())
    assert found == len(vinix_sandbox.callflow_ids(vinix_sandbox.root_id))


@pytest.mark.parametrize(("mode", "outcome"), [("strict", {"passed": 1}), ("auto", {"errors": 1})])
def test_tests_of_anyio(pytester: pytest.Pytester, mode: str, outcome: dict[str, int]) -> None:
    pytester.makeini(f"{INI}asyncio_mode = {mode}\n")
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def anyio_backend(): return "asyncio"

        @pytest.mark.anyio
        async def test_mine(vinix_sandbox, vinix_client):
            await vinix_client.callflows.list(vinix_sandbox.root_id)
        """
    )
    result = pytester.runpytest_inprocess("-q", *PLUGINS["strict"], "-panyio.pytest_plugin")
    result.assert_outcomes(**outcome)
    result.stdout.fnmatch_lines(["*in another event loop than its fixtures*" if mode == "auto" else "*passed*"])


def test_arguments_of_the_marker_need_their_names(pytester: pytest.Pytester) -> None:
    pytester.makeini(f"{INI}asyncio_mode = auto\n")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.vinix_sandbox("kazoo43")
        async def test_mine(vinix_sandbox): pass
        """
    )
    result = pytester.runpytest_inprocess("-q", *PLUGINS["strict"])
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*TypeError: Sandbox.__init__() takes 1 positional argument*"])


def test_the_plugin_is_light() -> None:
    code = "import sys, vinix_async.testing as t; print('vinix_async.sandbox' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # itself
    assert done.stdout.strip() == "False"
