"""``details=True``: the whole document of each row, read ahead in a window, handed out in the listing's order."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from aiohttp import web
from fake_clock import FakeClock
from scripted import Scripted, failure, success

from vinix_async import (
    APITimeoutError,
    AuthenticationError,
    Checkpoint,
    ClientClosedError,
    ConfigurationError,
    DecodeError,
    Limits,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RetryEvent,
    RetryPolicy,
    VinixClient,
    VinixError,
)
from vinix_async.sandbox import Sandbox
from vinix_async.testing import VirtualClock

ACCOUNT = "a" * 32

Reply = Callable[[web.Request], web.Response]


class Documents:
    """A listing of ``rows`` in pages, whose documents answer as ``replies`` says; all others are in order."""

    def __init__(self, server: Scripted, rows: list[Any], *, page: int = 1000) -> None:
        self.rows = rows
        self.page = page
        self.replies: dict[str, Reply] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.asked: list[str] = []
        self.pages = 0
        server.otherwise = self.answer

    async def answer(self, request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        if name == "callflows":
            self.pages += 1
            first = int(request.query.get("start_key", "0"))
            rows = self.rows[first : first + self.page]
            more = first + self.page < len(self.rows)
            return success(request, rows, **({"next_start_key": str(first + self.page)} if more else {}))  # type: ignore[arg-type]  # no status in it
        self.asked.append(name)
        if name in self.gates:
            await self.gates[name].wait()
        reply = self.replies.get(name)
        return reply(request) if reply else success(request, {"id": name, "flow": {"module": "user", "data": {}}})


@pytest.fixture
async def client(server: Scripted, clock: FakeClock) -> AsyncIterator[VinixClient]:
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock) as made:
        yield made


def rows(count: int) -> list[Any]:
    return [{"id": f"c{number}"} for number in range(count)]


def failing(status: int) -> Reply:
    return lambda request: failure(request, status)


def document(value: Any) -> Reply:
    return lambda request: success(request, value)


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_each_row_is_read_whole_and_in_order(server: Scripted, client: VinixClient) -> None:
    documents = Documents(server, [{"id": "1"}, {"id": "gone"}, {"id": "3"}])
    documents.replies["gone"] = failing(404)
    callflows = await client.callflows.list(ACCOUNT, details=True).to_list()
    assert [(callflow.id, callflow.flow is not None) for callflow in callflows] == [("1", True), ("3", True)]
    assert client.stats.deleted == 1
    assert client.stats.bad_items == 0


async def test_a_slow_document_does_not_change_the_order(server: Scripted, client: VinixClient) -> None:
    documents = Documents(server, rows(20))
    slow = documents.gates["c3"] = asyncio.Event()

    async def open_it() -> None:
        while len(documents.asked) < 11:  # c0 to c2, and eight from c3 on
            await asyncio.sleep(0)
        await turns(100)
        assert len(documents.asked) == 11
        slow.set()

    task = asyncio.create_task(open_it())
    found = [callflow.id async for callflow in client.callflows.list(ACCOUNT, details=True)]
    await task
    assert found == [f"c{number}" for number in range(20)]


@pytest.mark.parametrize("window", [1, 3, 8])
async def test_at_most_per_account_more_than_were_handed_out(server: Scripted, clock: FakeClock, window: int) -> None:
    documents = Documents(server, rows(40), page=15)
    limits = Limits(per_account=window)
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock, limits=limits) as client:
        handed_out = 0
        async for _ in client.callflows.list(ACCOUNT, details=True):
            handed_out += 1
            await turns()
            assert len(documents.asked) <= handed_out + window
        assert len(documents.asked) == handed_out == 40


@pytest.mark.parametrize("most", [1, 2, 7, 8, 9, 20, 39, 40, 50])
@pytest.mark.parametrize("by_page", [False, True])
async def test_max_items_reads_no_document_more(
    server: Scripted,
    client: VinixClient,
    most: int,
    by_page: bool,  # noqa: FBT001
) -> None:
    documents = Documents(server, rows(40), page=15)
    pager = client.callflows.list(ACCOUNT, details=True, max_items=most)
    found = await pager.to_list() if by_page else [callflow async for callflow in pager]
    assert [callflow.id for callflow in found] == [f"c{number}" for number in range(min(most, 40))]
    assert len(documents.asked) == min(most, 40)
    assert documents.pages == min(-(-most // 15), 3)


async def test_max_items_with_deleted_and_bad_documents(server: Scripted, client: VinixClient) -> None:
    documents = Documents(server, rows(20))
    documents.replies = {"c0": failing(404), "c2": failing(403), "c3": document({"id": "c3", "numbers": [1]})}
    pager = client.callflows.list(ACCOUNT, details=True, max_items=3, on_bad_item="skip")
    assert [callflow.id for callflow in await pager.to_list()] == ["c1", "c4", "c5"]
    assert [item.id for item in pager.bad_items] == ["c2", "c3"]
    assert documents.asked == [f"c{number}" for number in range(6)]
    assert client.stats.deleted == 1


async def test_rows_without_an_id_and_a_single_document_need_no_request(server: Scripted, client: VinixClient) -> None:
    server.script = [
        lambda request: success(request, [{"name": "no id"}]),
        lambda request: success(request, {"id": "alone", "flow": {"module": "hangup"}}),
    ]
    assert [callflow.name async for callflow in client.callflows.list(ACCOUNT, details=True)] == ["no id"]
    assert [callflow.id async for callflow in client.callflows.list(ACCOUNT, details=True)] == ["alone"]
    assert len(server.asked) == 2


async def test_a_listing_that_is_none_fails_with_details_too(server: Scripted, client: VinixClient) -> None:
    server.otherwise = lambda request: success(request, None)
    with pytest.raises(DecodeError, match="not a listing") as caught:
        await client.callflows.list(ACCOUNT, details=True, on_bad_item="skip").to_list()
    assert caught.value.path == f"/accounts/{ACCOUNT}/callflows"


# --- bad rows and documents ------------------------------------------------------------------------


async def test_the_first_bad_document_ends_the_listing(server: Scripted, client: VinixClient) -> None:
    documents = Documents(server, rows(30), page=20)
    documents.replies["c22"] = failing(403)
    found = []
    pager = client.callflows.list(ACCOUNT, details=True)
    with pytest.raises(PermissionDeniedError) as caught:
        async for callflow in pager:
            found.append(callflow.id)
    assert found == [f"c{number}" for number in range(22)]
    error = caught.value
    assert (error.account_id, error.callflow_id, error.start_key) == (ACCOUNT, "c22", "20")
    assert error.path == f"/accounts/{ACCOUNT}/callflows/c22"
    assert not pager.bad_items
    assert not client._sender._tasks
    del documents.replies["c22"]
    documents.asked.clear()
    rest = await client.callflows.list(ACCOUNT, details=True, resume=pager.checkpoint()).to_list()
    assert [callflow.id for callflow in rest] == [f"c{number}" for number in range(22, 30)]
    assert documents.asked == [f"c{number}" for number in range(22, 30)]


async def test_a_document_that_is_none_is_an_error_and_no_shorter_list(server: Scripted, client: VinixClient) -> None:
    documents = Documents(server, [{"id": "whole"}, {"id": "null"}, {"id": "none"}])
    documents.replies = {"null": document(None), "none": lambda _: web.json_response({"status": "success"})}
    with pytest.raises(DecodeError) as caught:
        await client.callflows.list(ACCOUNT, details=True).to_list()
    assert caught.value.problems == ("$.data: expected object, got null",)
    assert caught.value.callflow_id == "null"
    pager = client.callflows.list(ACCOUNT, details=True, on_bad_item="skip")
    assert [callflow.id for callflow in await pager.to_list()] == ["whole"]
    assert [(item.id, item.index) for item in pager.bad_items] == [("null", 1), ("none", 2)]


@pytest.mark.parametrize("callflow_id", ["..", ".", "a\nb", "a/b", "a?b"])
async def test_an_id_that_is_no_segment_of_a_path_is_not_requested(
    server: Scripted, client: VinixClient, callflow_id: str
) -> None:
    Documents(server, [{"id": callflow_id}, {"id": "good"}])
    with pytest.raises(DecodeError, match="cannot be requested") as caught:
        await client.callflows.list(ACCOUNT, details=True).to_list()
    assert caught.value.account_id == ACCOUNT
    assert caught.value.attempts == 0
    pager = client.callflows.list(ACCOUNT, details=True, on_bad_item="skip")
    assert [callflow.id for callflow in await pager.to_list()] == ["good"]
    assert [item.id for item in pager.bad_items] == [callflow_id]
    assert {path.rpartition("/")[2] for path in server.asked} == {"callflows", "good"}


async def test_a_bad_row_may_have_a_good_document(server: Scripted, client: VinixClient) -> None:
    odd = [{"id": "c0"}, {"id": "odd", "name": 5}, {"name": 5}, {"id": "c3"}, "text"]
    documents = Documents(server, odd)
    pager = client.callflows.list(ACCOUNT, details=True, on_bad_item="skip")
    assert [callflow.id for callflow in await pager.to_list()] == ["c0", "odd", "c3"]
    assert [(item.id, item.index) for item in pager.bad_items] == [(None, 2), (None, 4)]
    assert isinstance(pager.bad_items[0].error, DecodeError)
    assert pager.bad_items[0].error.problems == ("$.data[2].name: expected str, got int",)
    with pytest.raises(DecodeError, match="expected str"):
        await client.callflows.list(ACCOUNT, details=True).to_list()
    documents.rows = odd[:2]
    assert len(await client.callflows.list(ACCOUNT, details=True).to_list()) == 2


async def test_rows_that_come_twice_are_read_once_bad_ones_too(server: Scripted, client: VinixClient) -> None:
    odd = {"id": "odd", "name": 5}
    documents = Documents(server, [{"id": "c0"}, odd, {"id": "bad"}, odd, {"id": "bad"}, {"id": "c0"}, odd], page=3)
    documents.replies["bad"] = failing(403)
    pager = client.callflows.list(ACCOUNT, details=True, on_bad_item="skip")
    assert [callflow.id for callflow in await pager.to_list()] == ["c0", "odd"]
    assert [item.id for item in pager.bad_items] == ["bad"]
    assert sorted(documents.asked) == ["bad", "c0", "odd"]


@pytest.mark.parametrize("stop", range(1, 7))
async def test_a_checkpoint_is_exact_whatever_id_the_documents_have(
    server: Scripted, client: VinixClient, stop: int
) -> None:
    documents = Documents(server, rows(6), page=4)
    documents.replies = {"c1": document({"flow": {"module": "user"}}), "c2": document({"id": "other"})}
    pager = client.callflows.list(ACCOUNT, details=True)
    found = []
    async for callflow in pager:
        found.append(callflow.id)
        if len(found) == stop:
            break
    checkpoint = Checkpoint.from_json(pager.checkpoint().to_json())
    found += [each.id for each in await client.callflows.list(ACCOUNT, details=True, resume=checkpoint).to_list()]
    assert found == ["c0", "", "other", "c3", "c4", "c5"]


async def test_bad_documents_are_tried_again_on_resume(server: Scripted, client: VinixClient) -> None:
    documents = Documents(server, rows(6), page=2)
    documents.replies["c2"] = failing(403)
    pager = client.callflows.list(ACCOUNT, details=True, on_bad_item="skip")
    assert [callflow.id for callflow in await pager.to_list()] == ["c0", "c1", "c3", "c4", "c5"]
    checkpoint = Checkpoint.from_json(pager.checkpoint().to_json())
    assert (checkpoint.start_key, checkpoint.bad, checkpoint.finished) == ("2", ("c2",), False)
    documents.asked.clear()
    documents.replies.clear()
    pager = client.callflows.list(ACCOUNT, details=True, resume=checkpoint)
    assert [callflow.id for callflow in await pager.to_list()] == ["c2"]
    assert documents.asked == ["c2"]
    assert pager.checkpoint().finished


# --- what is not about one document ----------------------------------------------------------------


@pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (429, RateLimitError)])
async def test_what_concerns_the_account_is_no_bad_item(
    server: Scripted, client: VinixClient, status: int, kind: type[VinixError]
) -> None:
    documents = Documents(server, rows(6))
    documents.replies = {f"c{number}": failing(status) for number in range(2, 6)}
    pager = client.callflows.list(ACCOUNT, details=True, on_bad_item="skip")
    found = []
    with pytest.raises(kind):
        async for callflow in pager:
            found.append(callflow.id)
    assert found == ["c0", "c1"]
    assert not pager.bad_items


@pytest.mark.parametrize("on_bad_item", ["raise", "skip"])
async def test_an_account_that_was_deleted_meanwhile_fails(on_bad_item: Any) -> None:
    async with Sandbox(accounts=3, callflows=(20, 20), clock=VirtualClock()) as sandbox, sandbox.client() as client:
        account_id = sandbox.account_ids[1]
        found = 0
        with pytest.raises(NotFoundError) as caught:
            async for _ in client.callflows.list(account_id, details=True, on_bad_item=on_bad_item):
                found += 1
                if found == 3:
                    sandbox.remove_account(account_id)
        assert 3 <= found < 20
        assert caught.value.cause == account_id
        assert client.stats.deleted == 0


async def test_a_404_of_a_proxy_is_no_deletion(server: Scripted, client: VinixClient) -> None:
    documents = Documents(server, rows(3))
    documents.replies["c1"] = lambda _: web.Response(status=404, text="default backend - 404")
    pager = client.callflows.list(ACCOUNT, details=True, on_bad_item="skip")
    assert [callflow.id for callflow in await pager.to_list()] == ["c0", "c2"]
    assert [(item.id, type(item.error)) for item in pager.bad_items] == [("c1", NotFoundError)]
    with pytest.raises(NotFoundError) as caught:
        await client.callflows.list(ACCOUNT, details=True).to_list()
    assert caught.value.callflow_id == "c1"
    assert client.stats.deleted == 0


async def test_an_auth_function_that_fails_is_no_bad_item(server: Scripted, clock: FakeClock) -> None:
    documents = Documents(server, rows(20))
    documents.replies = {f"c{number}": failing(401) for number in range(2, 20)}

    def auth(account_id: str) -> str:
        if documents.asked:
            raise LookupError(account_id)
        return "a-token"

    async with VinixClient(auth=auth, base_url=server.url, clock=clock) as client:
        pager = client.callflows.list(ACCOUNT, details=True, on_bad_item="skip")
        with pytest.raises(ConfigurationError, match="LookupError"):
            await pager.to_list()
    assert not pager.bad_items


async def test_a_deadline_ends_the_listing_and_is_no_bad_item(server: Scripted, clock: FakeClock) -> None:
    documents = Documents(server, rows(6))

    def late(request: web.Request) -> web.Response:
        clock.now += 20
        return success(request, {"id": "c1"})

    documents.replies["c1"] = late
    limits = Limits(per_account=1)
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock, deadline=10, limits=limits) as client:
        pager = client.callflows.list(ACCOUNT, details=True, on_bad_item="skip")
        with pytest.raises(APITimeoutError, match="deadline"):
            await pager.to_list()
        assert not pager.bad_items


async def test_a_rate_limit_beyond_the_deadline_is_no_bad_item(server: Scripted, clock: FakeClock) -> None:
    documents = Documents(server, rows(12))
    documents.replies["limited"] = failing(429)
    first = documents.gates["c0"] = asyncio.Event()
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock, limits=Limits(rate=0.01)) as client:
        pager = client.with_options(deadline=10).callflows.list(ACCOUNT, details=True, on_bad_item="skip")
        task = asyncio.create_task(pager.to_list())
        while len(documents.asked) < 8:
            await asyncio.sleep(0)
        await turns(100)
        with pytest.raises(RateLimitError):
            await client.with_options(retry=RetryPolicy(attempts=1)).callflows.get(ACCOUNT, "limited")
        first.set()
        with pytest.raises(APITimeoutError, match="rate limit"):
            await task
        assert not pager.bad_items


async def test_closing_the_client_is_no_bad_item(server: Scripted, clock: FakeClock) -> None:
    documents = Documents(server, rows(30))
    client = VinixClient(auth="a-token", base_url=server.url, clock=clock)
    documents.gates["c5"] = asyncio.Event()
    pager = client.callflows.list(ACCOUNT, details=True, on_bad_item="skip")
    task = asyncio.create_task(pager.to_list())
    while "c5" not in documents.asked:
        await asyncio.sleep(0)
    await client.close()
    with pytest.raises(ClientClosedError):
        await task
    assert not pager.bad_items


async def test_what_on_retry_raises_ends_the_listing(server: Scripted, clock: FakeClock) -> None:
    documents = Documents(server, rows(6))
    documents.replies["c3"] = failing(429)

    def on_retry(event: RetryEvent) -> None:
        raise LookupError(event.callflow_id)

    async with VinixClient(auth="a-token", base_url=server.url, clock=clock, on_retry=on_retry) as client:
        with pytest.raises(LookupError, match="c3"):
            await client.callflows.list(ACCOUNT, details=True, on_bad_item="skip").to_list()
        await asyncio.sleep(0)  # the tasks that have ended are removed in the next turn of the loop
        assert not client._sender._tasks


# --- leaving ---------------------------------------------------------------------------------------


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Nothing may depend on the collector of reference cycles."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("how", ["break", "error", "cancel"])
async def test_leaving_ends_the_documents_that_are_ahead(
    server: Scripted, client: VinixClient, no_collector: None, how: str
) -> None:
    documents = Documents(server, rows(30), page=20)
    documents.gates = {f"c{number}": asyncio.Event() for number in range(1, 30)}

    async def loop() -> None:
        async for _ in client.callflows.list(ACCOUNT, details=True):
            while len(documents.asked) < 8:
                await asyncio.sleep(0)
            if how == "break":
                break
            if how == "error":
                raise KeyError

    task = asyncio.create_task(loop())
    while len(documents.asked) < 8:
        await asyncio.sleep(0)
    if how == "cancel":
        await turns()
        task.cancel()
    await asyncio.wait([task])
    await turns()
    assert not client._sender._tasks
    asked = len(server.asked)
    for gate in documents.gates.values():
        gate.set()
    await turns(100)
    assert len(server.asked) == asked


async def test_a_document_is_retried_by_the_policy(server: Scripted, clock: FakeClock) -> None:
    documents = Documents(server, rows(3))
    tried = 0

    def flaky(request: web.Request) -> web.Response:
        nonlocal tried
        tried += 1
        return failure(request, 503) if tried < 3 else success(request, {"id": "c1"})

    documents.replies["c1"] = flaky
    policy = RetryPolicy(attempts=3)
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock, retry=policy) as client:
        pager = client.callflows.list(ACCOUNT, details=True, on_bad_item="skip")
        assert len(await pager.to_list()) == 3
        tried = -10
        pager = client.callflows.list(ACCOUNT, details=True, on_bad_item="skip")
        assert len(await pager.to_list()) == 2
    (bad,) = pager.bad_items
    assert (bad.id, bad.error.callflow_id) == ("c1", "c1")
    assert (bad.error.attempts or 0) - bad.error.probes == 3
