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


@pytest.mark.vinix_sandbox(dialect="kazoo43", accounts=2, callflows=300)
async def test_waits_are_virtual(vinix_sandbox: Sandbox, vinix_client: VinixClient, vinix_clock: VirtualClock) -> None:
    pager = vinix_client.callflows.list(vinix_sandbox.root_id, page_size=1)
    assert len(await pager.to_list()) == 300
    assert vinix_sandbox.count(status=429) > 0
    assert 18 < vinix_clock.now < 25  # 200 requests beyond the bucket, at 10 a second


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


# What pytest finds installed is what a user has; by name it starts in a third of the time.
PLUGINS = {
    "auto": ["-pno:hypothesispytest", "-pno:platformdirs", "-pno:xdist"],
    "strict": ["--disable-plugin-autoload", "-ppytest_asyncio.plugin", "-pvinix_async.testing"],
}


@pytest.mark.parametrize("mode", PLUGINS)
def test_in_a_project_of_their_own(pytester: pytest.Pytester, mode: str) -> None:
    pytester.makeini(f"[pytest]\nasyncio_mode = {mode}\naddopts = --strict-markers\n")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.asyncio
        @pytest.mark.vinix_sandbox(accounts=5)
        async def test_mine(vinix_sandbox, vinix_client):
            accounts = await vinix_client.accounts.descendants(vinix_sandbox.root_id).to_list()
            assert len(accounts) == 4
        """
    )
    result = pytester.runpytest_subprocess("-q", *PLUGINS[mode])
    result.assert_outcomes(passed=1)


def test_the_plugin_is_light() -> None:
    code = "import sys, vinix_async.testing as t; print('vinix_async.sandbox' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # itself
    assert done.stdout.strip() == "False"
