"""The sandbox's random faults, and that the client overcomes every transient one."""

import asyncio
import gc
from typing import Any

import pytest
from fake_clock import FakeClock

from vinix_async import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    DecodeError,
    Limits,
    RateLimitError,
    RetryPolicy,
    ServerError,
    VinixError,
)
from vinix_async.sandbox import Faults, Sandbox
from vinix_async.sandbox.faults import KINDS, TRANSIENT

OUTCOMES: dict[str, type[VinixError]] = {
    "reset": APIConnectionError,
    "half_a_body": APIConnectionError,
    "no_last_chunk": APIConnectionError,
    "cut_gzip": APIConnectionError,
    "html": DecodeError,
    "nothing": DecodeError,
    "mixed_up": APIConnectionError,
    "hang": APITimeoutError,
    "429": RateLimitError,
    "500": ServerError,
    "502": ServerError,
    "503": ServerError,
    "504": ServerError,
    "retry_after": ServerError,
}


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_is_what_it_says(kind: str) -> None:
    clock = FakeClock()
    async with Sandbox(faults=Faults(share=1, kinds=(kind,)), clock=clock, callflows=20) as sandbox:
        retry = RetryPolicy(attempts=2, outage_wait=0)
        async with sandbox.client(retry=retry) as client:
            await client.whoami()  # logs in, with all the time that it needs
            reader = client.with_options(timeout=0.1) if kind == "hang" else client
            with pytest.raises(OUTCOMES[kind]) as caught:
                await reader.callflows.list(sandbox.root_id)
        assert type(caught.value) is OUTCOMES[kind]
        assert caught.value.attempts == 2
        assert [each.fault for each in sandbox.requests] == [None, kind, kind]
        assert clock.slept >= (0.2 if kind == "retry_after" else 0.05)


@pytest.mark.parametrize("dialect", ["kazoo5", "kazoo43", "documented"])
async def test_the_client_gets_over_all_that_passes(dialect: str) -> None:
    sandbox = Sandbox(dialect=dialect, faults=Faults(share=0.25), callflows=120, rate_limit=False, clock=FakeClock())
    async with sandbox, sandbox.client(retry=RetryPolicy(attempts=12)) as client:
        found = [callflow.id async for callflow in client.callflows.list(sandbox.root_id, page_size=1)]
    assert sorted(found) == sandbox.callflow_ids(sandbox.root_id)
    assert len({each.fault for each in sandbox.requests}) > 8


async def test_logins_fail_too_if_asked() -> None:
    sandbox = Sandbox(faults=Faults(share=1, kinds=("503",), logins=True), clock=FakeClock())
    async with sandbox, sandbox.client() as client:
        with pytest.raises(ServerError):
            await client.callflows.list(sandbox.root_id)
    assert {each.path for each in sandbox.requests} == {"/v2/user_auth"}


async def test_an_account_that_never_answers_can_be_let_go() -> None:
    async with Sandbox() as sandbox, sandbox.client() as client:
        await client.accounts.descendants(sandbox.root_id)
        sandbox.hang(sandbox.root_id)
        with pytest.raises(APITimeoutError, match="deadline"):
            await client.with_options(deadline=0.1).callflows.list(sandbox.root_id)
        await client.callflows.list(sandbox.account_ids[1])
        sandbox.allow(sandbox.root_id)
        await client.callflows.list(sandbox.root_id)
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "options",
    [
        *({"share": bad} for bad in (2, -0.1, "0.5", None)),
        *({"kinds": bad} for bad in (("flood",), (), "reset", ("reset", 429))),
    ],
    ids=str,
)
def test_bad_arguments_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Faults(**options)


async def test_sandboxes_that_share_an_object_draw_the_same_faults() -> None:
    """As in the decorator of a class of tests: what one test sees depends on no other."""
    faults = Faults(share=0.5)
    seen = []
    for _ in range(2):
        async with Sandbox(faults=faults, clock=FakeClock()) as sandbox, sandbox.client() as client:
            for _ in range(10):
                await client.callflows.list(sandbox.root_id)
            seen.append([each.fault for each in sandbox.requests])
    assert seen[0] == seen[1]


def test_the_same_seed_draws_the_same_faults() -> None:
    one, same = Faults(share=0.5, seed=3), Faults(share=0.5, seed=3)
    drawn = [one.draw("/x") for _ in range(200)]
    assert drawn == [same.draw("/x") for _ in range(200)]
    assert set(drawn) == {None, *TRANSIENT}


@pytest.mark.parametrize("clients_close_first", [True, False])
def test_s2_requests_that_hang_leave_nothing_behind(clients_close_first: bool) -> None:  # noqa: FBT001  # a variant
    """No "Task was destroyed but it is pending", which goes to the loop's exception handler."""
    reported: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        async with Sandbox() as sandbox:
            client = sandbox.client(limits=Limits(per_account=10), retry=RetryPolicy(attempts=1))
            await client.accounts.descendants(sandbox.root_id)
            sandbox.hang(sandbox.root_id)
            reader = client.with_options(timeout=0.05) if clients_close_first else client
            asked = [reader.callflows.list(sandbox.root_id).to_list() for _ in range(10)]
            if clients_close_first:
                assert all(
                    isinstance(each, APITimeoutError) for each in await asyncio.gather(*asked, return_exceptions=True)
                )
                await client.close()
            else:
                waiting = [asyncio.ensure_future(each) for each in asked]
                while sandbox.count(account_id=sandbox.root_id) < len(asked):
                    await asyncio.sleep(0)
        if not clients_close_first:
            await asyncio.gather(*waiting, return_exceptions=True)
            await client.close()
        assert len(asyncio.all_tasks()) == 1
        gc.collect()

    asyncio.run(main())
    gc.collect()
    assert reported == []
