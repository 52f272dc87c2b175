"""Sleeps of a client: woken, and ended by closing it."""

import asyncio

import pytest
from simulated import LoopClock, virtual

from vinix_async import ClientClosedError
from vinix_async._pipeline.clock import StoppableClock, SystemClock


@virtual
async def test_a_sleep_takes_its_time_unless_it_is_woken() -> None:
    clock = StoppableClock(LoopClock())
    await clock.sleep(5)
    assert clock.monotonic() == 5
    wake = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(2, wake.set_result, None)
    await clock.sleep(5, wake)
    assert clock.monotonic() == 7


@virtual
async def test_stopping_ends_the_sleeps_under_way_and_those_to_come() -> None:
    clock = StoppableClock(LoopClock())
    sleepers = [asyncio.ensure_future(clock.sleep(100)) for _ in range(3)]
    await asyncio.sleep(1)
    clock.stop()
    errors = await asyncio.gather(*sleepers, return_exceptions=True)
    assert {type(error) for error in errors} == {ClientClosedError}
    with pytest.raises(ClientClosedError):
        await clock.sleep(100)
    assert clock.monotonic() == 1


@virtual
async def test_a_cancelled_sleep_leaves_nothing() -> None:
    clock = StoppableClock(LoopClock())
    sleeper = asyncio.ensure_future(clock.sleep(100))
    await asyncio.sleep(1)
    sleeper.cancel()
    await asyncio.gather(sleeper, return_exceptions=True)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not clock._sleepers


async def test_the_system_s_clock() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    assert 0 <= clock.random() < 1
    assert clock.time() > 1_700_000_000
