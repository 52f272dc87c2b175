"""Outages and broken callflows of the sandbox, over a real socket."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from fake_clock import FakeClock
from yarl import URL

from vinix_async import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    RetryPolicy,
    ServerError,
    VinixClient,
    VinixError,
)
from vinix_async.sandbox import Sandbox
from vinix_async.testing import VirtualClock

DIALECTS = ("kazoo5", "kazoo43", "documented")
ONCE = RetryPolicy(attempts=1)


def port(sandbox: Sandbox) -> int:
    return URL(sandbox.url).port or 0


async def status_of(sandbox: Sandbox, path: str = "/about") -> int:
    async with aiohttp.ClientSession() as session, session.get(sandbox.url + path) as reply:
        await reply.read()
        return reply.status


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", ["502", "503", "504"])
async def test_a_load_balancer_without_a_server(kind: Any, dialect: str) -> None:
    async with Sandbox(dialect=dialect) as sandbox, sandbox.client(retry=ONCE) as client:
        await client.callflows.list(sandbox.root_id)
        sandbox.outage(kind=kind)
        with pytest.raises(ServerError) as caught:
            await client.callflows.list(sandbox.root_id)
        assert caught.value.status == int(kind)
        assert await status_of(sandbox, "/anything") == int(kind)
        assert (sandbox.requests[-1].status, sandbox.requests[-1].fault) == (int(kind), kind)
        sandbox.end_outage()
        sandbox.end_outage()  # harmless without one
        await client.callflows.list(sandbox.root_id)
    assert sandbox.requests[-1].fault is None


async def test_connections_are_refused_and_the_port_is_kept() -> None:
    async with Sandbox() as sandbox, sandbox.client(retry=ONCE) as client:
        await client.callflows.list(sandbox.root_id)
        url, served = sandbox.url, sandbox.served
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port(sandbox))
            with sandbox.outage(kind="refuse"):
                with pytest.raises(ConnectionResetError):
                    await reader.read()
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port(sandbox)))
                with pytest.raises(APIConnectionError):
                    await client.callflows.list(sandbox.root_id)
                with pytest.raises(OSError, match="in use"), socket.socket() as taken:
                    taken.bind(("127.0.0.1", port(sandbox)))
            writer.close()
            await client.callflows.list(sandbox.root_id)
        assert sandbox.url == url
        assert sandbox.served == served + 3
        sandbox.outage(kind="refuse")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", URL(url).port))
    async with sandbox:  # it can be started again, without the outage
        assert await status_of(sandbox) == 401


async def test_connections_are_reset() -> None:
    async with Sandbox() as sandbox, sandbox.client(retry=ONCE) as client:
        with sandbox.outage(kind="reset"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port(sandbox))
            writer.write(b"GET /v2/about HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(ConnectionResetError):  # a connection that is closed in good order reads as its end
                await reader.read()
            writer.close()
            with pytest.raises(APIConnectionError):
                await client.callflows.list(sandbox.root_id)
            assert (sandbox.requests[-1].status, sandbox.requests[-1].fault) == (0, "reset")
        await client.callflows.list(sandbox.root_id)


async def test_requests_hang_also_after_the_outage() -> None:
    async with Sandbox() as sandbox, sandbox.client(retry=ONCE) as client:
        await client.callflows.list(sandbox.root_id)
        with sandbox.outage(kind="hang"):
            asked = sandbox.count()
            late = asyncio.create_task(status_of(sandbox))
            while sandbox.count() == asked:
                await asyncio.sleep(0)
            with pytest.raises(APITimeoutError):
                await client.with_options(timeout=0.1).callflows.list(sandbox.root_id)
        await client.callflows.list(sandbox.root_id)
        assert not late.done()
    with pytest.raises(aiohttp.ClientError):
        await late


async def test_outages_that_follow_each_other_without_a_pause() -> None:
    async with Sandbox() as sandbox, sandbox.client(retry=ONCE) as client:
        for _ in range(20):
            sandbox.outage(kind="refuse")
            sandbox.end_outage()
        await client.callflows.list(sandbox.root_id)
        sandbox.end_outage()
        with sandbox.outage(kind="refuse"):
            pass
        sandbox.outage(kind="refuse")
        await asyncio.sleep(0.01)
        with pytest.raises(APIConnectionError):
            await client.callflows.list(sandbox.root_id)


async def test_requests_under_way_lose_their_connections() -> None:
    async with Sandbox(callflows=50) as sandbox, sandbox.client(retry=ONCE) as client:
        await client.callflows.list(sandbox.root_id)
        asked = [asyncio.ensure_future(client.callflows.list(sandbox.root_id).to_list()) for _ in range(50)]
        while not any(task.done() for task in asked):
            await asyncio.sleep(0)
        with sandbox.outage(kind="refuse"):
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
        failed = [each for each in outcomes if not isinstance(each, list)]
        assert {type(each) for each in failed} == {APIConnectionError}
        await client.callflows.list(sandbox.root_id)


async def test_a_port_that_is_taken() -> None:
    async with Sandbox() as sandbox:
        with pytest.raises(OSError, match="in use"):
            await Sandbox(port=port(sandbox)).start()
        assert await status_of(sandbox) == 401


PARTS = ("callflows", "accounts", "logins")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("only", PARTS)
async def test_a_part_of_the_api_is_away(only: Any, dialect: str) -> None:
    async with Sandbox(dialect=dialect) as sandbox:
        callflow_id = sandbox.callflow_ids(sandbox.root_id)[0]
        async with sandbox.client(retry=ONCE) as client:
            await client.callflows.list(sandbox.root_id)

            calls: dict[str, list[Callable[[], Awaitable[Any]]]] = {
                "callflows": [
                    lambda: client.callflows.list(sandbox.root_id).to_list(),
                    lambda: client.callflows.get(sandbox.root_id, callflow_id),
                ],
                "accounts": [
                    lambda: client.accounts.descendants(sandbox.root_id).to_list(),
                    lambda: client.accounts.children(sandbox.root_id).to_list(),
                ],
                "logins": [lambda: log_in(sandbox)],
            }

            async def fails(*parts: str) -> None:
                for part, call in [(each, call) for each in PARTS for call in calls[each]]:
                    if part in parts:
                        with pytest.raises(ServerError):
                            await call()
                    else:
                        await call()

            with sandbox.outage(only=only):
                await fails(only)
            with sandbox.outage():
                await fails(*PARTS)
            await fails()


async def log_in(sandbox: Sandbox) -> None:
    async with sandbox.client(auth=sandbox.api_key_auth(), retry=ONCE) as client:
        try:
            await client.callflows.list(sandbox.root_id)
        except ServerError:
            if sandbox.requests[-1].path.endswith("api_auth"):
                raise


@pytest.mark.parametrize("kind", ["502", "reset", "hang"])
async def test_seconds_are_of_the_sandbox_s_clock(kind: Any, clock: FakeClock) -> None:
    async with Sandbox(clock=clock) as sandbox, sandbox.client(retry=ONCE) as client:
        impatient = client.with_options(timeout=0.1)
        await client.accounts.descendants(sandbox.root_id)
        sandbox.outage(60, kind=kind)
        clock.now += 59
        with pytest.raises(VinixError):
            await impatient.accounts.descendants(sandbox.root_id)
        clock.now += 1
        await client.accounts.descendants(sandbox.root_id)
        sandbox.outage(float("inf"), kind=kind)
        clock.now += 10**9
        with pytest.raises(VinixError):
            await impatient.callflows.list(sandbox.root_id)


@pytest.mark.parametrize("kind", ["503", "refuse", "reset"])
async def test_in_virtual_time(kind: Any, vinix_clock: VirtualClock, vinix_sandbox: Sandbox) -> None:
    started = time.monotonic()
    async with vinix_sandbox.client(retry=RetryPolicy(attempts=50, wait_max=10)) as client:
        await client.callflows.list(vinix_sandbox.root_id)
        began = vinix_clock.now
        vinix_sandbox.outage(15, kind=kind)
        await client.callflows.list(vinix_sandbox.root_id)
    assert 15 <= vinix_clock.now - began < 40
    assert time.monotonic() - started < 20


async def test_connections_are_refused_for_seconds_of_real_time() -> None:
    async with Sandbox() as sandbox:
        sandbox.outage(0.1, kind="refuse")
        with pytest.raises(aiohttp.ClientConnectorError):
            await status_of(sandbox)
        await asyncio.sleep(0.15)
        assert await status_of(sandbox) == 401


async def test_a_new_outage_takes_the_place_of_the_old(vinix_sandbox: Sandbox, vinix_clock: VirtualClock) -> None:
    first = vinix_sandbox.outage(5, kind="refuse")
    with vinix_sandbox.outage(kind="502"):
        assert await status_of(vinix_sandbox) == 502
        with first:
            pass  # it is over, and its end does not end the other one
        await vinix_clock.sleep(10)
        assert await status_of(vinix_sandbox) == 502
    assert await status_of(vinix_sandbox) == 401


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "flood"}, "kind"),
        ({"only": "users"}, "only"),
        ({"kind": "refuse", "only": "logins"}, "only"),
        ({"seconds": -1}, "seconds"),
        ({"seconds": "60"}, "seconds"),
        ({"seconds": float("nan")}, "seconds"),
    ],
)
async def test_bad_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    async with Sandbox() as sandbox:
        with pytest.raises(ConfigurationError, match=message):
            sandbox.outage(**options)
    with pytest.raises(ConfigurationError, match="running"):
        sandbox.outage()


# --- broken callflows ------------------------------------------------------------------------------

GET_FAILS: dict[int | str, type[VinixError]] = {
    500: ServerError,
    403: PermissionDeniedError,
    404: NotFoundError,
    "init_failed": ServerError,
    "wrong_type": DecodeError,
    "wrong_node": DecodeError,
    "empty": DecodeError,
    "html": DecodeError,
    "nothing": DecodeError,
    "half_a_body": APIConnectionError,
    "reset": APIConnectionError,
    "hang": APITimeoutError,
    "503": ServerError,
}


async def get_all(client: VinixClient, sandbox: Sandbox, hanging: str | None = None) -> dict[str, VinixError]:
    failed = {}
    for callflow_id in sandbox.callflow_ids(sandbox.root_id):
        reader = client.with_options(timeout=0.1) if callflow_id == hanging else client
        try:
            await reader.callflows.get(sandbox.root_id, callflow_id)
        except VinixError as error:
            failed[callflow_id] = error
    return failed


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("how", GET_FAILS, ids=str)
async def test_one_document_is_broken(how: int | str, dialect: str) -> None:
    async with Sandbox(dialect=dialect, callflows=4) as sandbox, sandbox.client(retry=ONCE) as client:
        broken = sandbox.callflow_ids(sandbox.root_id)[1]
        before = sandbox.document(sandbox.root_id, broken)
        sandbox.break_callflow(sandbox.root_id, broken, how)
        failed = await get_all(client, sandbox, broken if how == "hang" else None)
        assert {each: type(error) for each, error in failed.items()} == {broken: GET_FAILS[how]}
        if how not in {"wrong_type", "wrong_node", "empty"}:  # these are in the rows of the documented dialect, too
            assert len(await client.callflows.list(sandbox.root_id).to_list()) == 4
        assert sandbox.document(sandbox.root_id, broken) == before
        sandbox.mend_callflow(sandbox.root_id, broken)
        assert await get_all(client, sandbox) == {}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_one_row_is_broken(dialect: str) -> None:
    async with Sandbox(dialect=dialect, callflows=4) as sandbox, sandbox.client() as client:
        broken = sandbox.callflow_ids(sandbox.root_id)[1]
        sandbox.break_callflow(sandbox.root_id, broken, "wrong_type")
        with pytest.raises(DecodeError, match="numbers"):
            await client.callflows.list(sandbox.root_id).to_list()
        sandbox.break_callflow(sandbox.root_id, broken, "without_id")
        assert [each.id for each in await client.callflows.list(sandbox.root_id).to_list()].count("") == 1
        sandbox.break_callflow(sandbox.root_id, broken, "unlisted")
        assert broken not in [each.id for each in await client.callflows.list(sandbox.root_id).to_list()]
        assert (await client.callflows.get(sandbox.root_id, broken)).id == broken
        sandbox.break_callflow(sandbox.root_id, sandbox.callflow_ids(sandbox.root_id)[3], "unlisted")
        pages = [page async for page in client.callflows.list(sandbox.root_id, page_size=1).by_page()]
        assert [len(page.items) for page in pages] == [1, 1]  # a row that is not in the view leaves no trace in cursors
        sandbox.mend_callflow(sandbox.root_id, sandbox.callflow_ids(sandbox.root_id)[3])
        sandbox.break_callflow(sandbox.root_id, broken, "wrong_node")
        if dialect == "documented":  # whose rows are whole documents
            with pytest.raises(DecodeError, match="children"):
                await client.callflows.list(sandbox.root_id).to_list()
        else:
            assert len(await client.callflows.list(sandbox.root_id).to_list()) == 4


def test_breaking_what_is_not_there() -> None:
    sandbox = Sandbox(callflows=1)
    one = sandbox.callflow_ids(sandbox.root_id)[0]
    for how in ("flood", 200, 600):
        with pytest.raises(ConfigurationError, match="how"):
            sandbox.break_callflow(sandbox.root_id, one, how)
    with pytest.raises(KeyError):
        sandbox.break_callflow(sandbox.root_id, "0" * 32)
    with pytest.raises(KeyError):
        sandbox.break_callflow("nobody", one)
    sandbox.mend_callflow(sandbox.root_id, one)  # harmless
