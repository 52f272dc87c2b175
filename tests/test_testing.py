"""The pytest plugin, as a user's own test run has it."""

import asyncio
import subprocess
import sys

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
    result.stdout.fnmatch_lines(["*need the pytest-asyncio plugin*"])


def test_the_plugin_is_light() -> None:
    code = "import sys, vinix_async.testing as t; print('vinix_async.sandbox' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # itself
    assert done.stdout.strip() == "False"
