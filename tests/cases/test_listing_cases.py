"""Inputs of listings and sweeps that once failed. Each test has the number of its case."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from fake_clock import FakeClock
from scripted import Scripted, failure, success

from vinix_async import (
    BadItem,
    DecodeError,
    Page,
    PaginationLoopError,
    PermissionDeniedError,
    VinixClient,
    VinixError,
    to_dict,
)

ACCOUNT = "a" * 32

# A row that the real server listed: it stores any JSON in three of the fields.
ODD_OWNER: dict[str, Any] = {
    "id": "09c4a8d2e1f34b5c8d7e6f5a4b3c2d1e",
    "name": "owner is a number",
    "type": ["x"],
    "numbers": ["7990"],
    "patterns": [],
    "featurecode": False,
    "owner_id": 5,
    "group_id": {"a": 1},
    "modules": ["user"],
    "flags": [],
}

BAD_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "name": ({"name": 12345}, "name: expected str, got int"),
    "modules": ({"modules": [5]}, "modules[0]: expected str, got int"),
    "flags": ({"flags": {"x": True}}, "flags: expected array, got object"),
    "numbers": ({"numbers": "2009"}, "numbers: expected array, got str"),
    "a number": ({"numbers": [1001]}, "numbers[0]: expected str, got int"),
    "featurecode": ({"featurecode": {"name": "park", "number": 4}}, "featurecode.number: expected str, got int"),
    "wrong depth": (
        {"flow": {"module": "menu", "children": {"module": "user", "data": {}}}},
        'flow.children["module"]: expected object, got str',
    ),
}

Reply = Callable[[web.Request], web.Response]


def document(value: Any) -> Reply:
    return lambda request: success(request, value)


def failing(status: int) -> Reply:
    return lambda request: failure(request, status)


def page_of_html(_: web.Request) -> web.Response:
    return web.Response(text="<html>It works!</html>", content_type="text/html")


def nothing(_: web.Request) -> web.Response:
    return web.Response(body=b"", content_type="application/json")


def half(request: web.Request) -> web.Response:
    return web.Response(text='{"data": {"id": "c3"', content_type="application/json")


BAD_DOCUMENTS: dict[str, tuple[Reply, str]] = {
    **{name: (document({"id": "c3", **row}), problem) for name, (row, problem) in BAD_ROWS.items()},
    "stored modules": (document({"id": "c3", "modules": 5}), "$.data.modules: expected array, got int"),
    "null": (document(None), "$.data: expected object, got null"),
    "empty": (document({}), "$.data: expected non-empty object, got an empty one"),
    "an array": (document([]), "$.data: expected object, got array"),
    **{str(status): (failing(status), str(status)) for status in (400, 402, 403, 409, 410, 500, 501, 502, 503, 504)},
    "init failed": (
        lambda _: web.json_response({"status": "error", "message": "init failed", "error": "500"}, status=500),
        "500 init failed",
    ),
    "HTML": (page_of_html, "text/html"),
    "nothing": (nothing, "an empty body"),
    "half": (half, "not valid JSON"),
}


def server_of(server: Scripted, rows: list[Any], replies: dict[str, Reply] | None = None, *, at: str = "/") -> None:
    """Let ``server`` list ``rows`` in pages of three. Only accounts with ``at`` in their path have ``replies``."""

    def answer(request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        if name != "callflows":
            reply = (replies or {}).get(name) if at in request.path else None
            return reply(request) if reply else success(request, {"id": name, "flow": {"module": "user"}})
        first = int(request.query.get("start_key", "0"))
        own = rows if at in request.path else [row if set(row) == {"id"} else {"id": row["id"]} for row in rows]
        more = first + 3 < len(own)
        return success(request, own[first : first + 3], **({"next_start_key": str(first + 3)} if more else {}))  # type: ignore[arg-type]  # no status in it

    server.otherwise = answer


def rows_with(bad: dict[str, Any] | None = None) -> list[Any]:
    rows: list[Any] = [{"id": f"c{number}"} for number in range(8)]
    rows[3] |= bad or {}
    return rows


OTHERS = [f"c{number}" for number in (0, 1, 2, 4, 5, 6, 7)]


@pytest.fixture
async def client(server: Scripted, clock: FakeClock) -> AsyncIterator[VinixClient]:
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock) as made:
        yield made


def check(bad: BadItem, account_id: str, problem: str) -> None:
    assert (bad.account_id, bad.id) == (account_id, "c3")
    error = bad.error
    assert (error.account_id, error.callflow_id, error.start_key) == (account_id, "c3", "3")
    assert (error.method, error.gave_up is not None) == ("GET", True)
    assert error.path in {f"/accounts/{account_id}/callflows", f"/accounts/{account_id}/callflows/c3"}
    text = str(error)
    assert problem in text
    assert f"/accounts/{account_id}/callflows" in text
    assert "c3" in text
    assert error.request_id


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


# --- L3, L4: no more than is asked for, and nothing after ------------------------------------------


async def test_L3_one_item_of_200_costs_two_requests(server: Scripted, client: VinixClient) -> None:
    server.otherwise = lambda request: success(
        request, [{"id": f"c{n}"} for n in range(200)] if request.path.endswith("callflows") else {"id": "c0"}
    )
    assert len(await client.callflows.list(ACCOUNT, details=True, max_items=1).to_list()) == 1
    assert len(server.asked) == 2
    server.requests.clear()
    (result,) = (await client.callflows.list_many([ACCOUNT], details=True, max_items=1).collect()).values()
    assert len(result.callflows) == 1
    assert len(server.asked) == 2
    server.requests.clear()
    async for _ in client.callflows.list(ACCOUNT, details=True):
        await turns(100)
        break
    await turns()
    assert len(server.asked) <= 1 + 1 + 8  # the page, the callflow that was handed out, and per_account


@pytest.mark.parametrize("details", [False, True])
async def test_L4_leaving_a_sweep_ends_it_within_a_few_turns(
    server: Scripted,
    client: VinixClient,
    details: bool,  # noqa: FBT001
) -> None:
    server_of(server, rows_with())
    before = {task for task in asyncio.all_tasks() if "RequestHandler" not in repr(task)}
    gc.disable()
    try:
        async for _ in client.callflows.list_many((str(number) for number in range(1000)), details=details):
            break
        await turns()
        asked = len(server.asked)
        tasks = {task for task in asyncio.all_tasks() if "RequestHandler" not in repr(task)}
    finally:
        gc.enable()
    assert tasks == before
    await turns(200)
    assert len(server.asked) == asked


# --- L5, L28, L30: what is bad costs itself --------------------------------------------------------


@pytest.mark.parametrize("kind", BAD_ROWS)
async def test_L5_L30_a_bad_row_costs_itself(server: Scripted, client: VinixClient, kind: str) -> None:
    row, problem = BAD_ROWS[kind]
    server_of(server, rows_with(row), at="/bad/")
    pager = client.callflows.list("bad", on_bad_item="skip")
    assert [each.id for each in await pager.to_list()] == OTHERS
    (bad,) = pager.bad_items
    check(bad, "bad", f"$.data[0].{problem}")
    assert bad.index == 0
    results = await client.callflows.list_many(["good", "bad", "fine"]).collect()
    assert [result.account_id for result in results.values() if not result.ok] == ["bad"]
    assert [each.id for each in results["bad"].callflows] == OTHERS
    assert results["bad"].error is None
    check(results["bad"].bad_items[0], "bad", problem)
    with pytest.raises(DecodeError) as caught:
        await client.callflows.list("bad").to_list()
    assert caught.value.callflow_id == "c3"
    assert "callflow_id=c3" in str(caught.value)
    assert problem in str(caught.value)


@pytest.mark.parametrize("kind", BAD_DOCUMENTS)
async def test_L5_L28_a_bad_document_costs_itself(server: Scripted, client: VinixClient, kind: str) -> None:
    reply, problem = BAD_DOCUMENTS[kind]
    server_of(server, rows_with(), {"c3": reply}, at="/bad/")
    pager = client.callflows.list("bad", details=True, on_bad_item="skip")
    assert [each.id for each in await pager.to_list()] == OTHERS
    (bad,) = pager.bad_items
    check(bad, "bad", problem)
    assert bad.error.path == "/accounts/bad/callflows/c3"
    assert bad.error.__traceback__ is None  # whose frames would hold the page
    results = await client.callflows.list_many(["good", "bad", "fine"], details=True).collect()
    assert [result.account_id for result in results.values() if not result.ok] == ["bad"]
    assert [each.id for each in results["bad"].callflows] == OTHERS
    check(results["bad"].bad_items[0], "bad", problem)
    with pytest.raises(VinixError) as caught:
        await client.callflows.list("bad", details=True).to_list()
    assert caught.value.callflow_id == "c3"
    assert "/callflows/c3" in str(caught.value)
    assert client.stats.bad_items == 2


async def test_L5_a_bad_item_of_a_listing_of_accounts(
    server: Scripted, client: VinixClient, caplog: pytest.LogCaptureFixture
) -> None:
    data = [{"id": "one"}, {"id": "two", "realm": 5}, {"id": "three", "tree": [1]}, {"realm": 5}, {"id": "four"}]
    server.otherwise = lambda request: success(request, data)
    for listed in (client.accounts.descendants, client.accounts.children):
        pager = listed(ACCOUNT, on_bad_item="skip")
        assert [account.id for account in await pager.to_list()] == ["one", "four"]
        assert [(bad.account_id, bad.id, bad.index) for bad in pager.bad_items] == [
            (ACCOUNT, "two", 1),
            (ACCOUNT, "three", 2),
            (ACCOUNT, None, 3),
        ]
        assert {bad.error.callflow_id for bad in pager.bad_items} == {None}  # it is not a callflow
        with pytest.raises(DecodeError, match="not a valid Account") as caught:
            await listed(ACCOUNT).to_list()
        assert caught.value.callflow_id is None
        assert len(caught.value.problems) == 3
    assert "row 1 of a page could not be read" in caplog.text
    assert "callflow" not in caplog.text


# --- L16: an account never looks empty by mistake --------------------------------------------------


@pytest.mark.parametrize("data", [{"data": None}, {"data": {}}, {"data": {"x": {"id": "x"}}}, {"data": 5}, {}], ids=str)
@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("page", [1, 2])
async def test_L16_a_page_without_rows_is_an_error(
    server: Scripted,
    client: VinixClient,
    data: dict[str, Any],
    details: bool,  # noqa: FBT001
    page: int,
) -> None:
    wrong: Reply = lambda request: web.json_response(  # noqa: E731
        {"status": "success", "request_id": request.headers["X-Request-ID"], **data}
    )
    good: Reply = lambda request: success(request, [{"name": "no id"}], next_start_key="2")  # noqa: E731
    start_key = None if page == 1 else "2"
    for on_bad_item in ("raise", "skip"):
        server.script = [wrong] if page == 1 else [good, wrong]
        pager = client.callflows.list(ACCOUNT, details=details, on_bad_item=on_bad_item)
        with pytest.raises(DecodeError, match=r"\$\.data: expected array") as caught:
            await pager.to_list()
        error = caught.value
        assert (error.account_id, error.start_key) == (ACCOUNT, start_key)
        assert error.path == f"/accounts/{ACCOUNT}/callflows"
        assert error.request_id == server.requests[-1].headers["X-Request-ID"]
        assert not pager.checkpoint().finished
    server.script = [wrong] if page == 1 else [good, wrong]
    sweep = client.callflows.list_many([ACCOUNT], details=details)
    (result,) = (await sweep.collect()).values()
    assert isinstance(result.error, DecodeError)
    assert result.next_start_key == start_key
    assert sweep.checkpoint().done == set()


async def test_L16_an_empty_listing_is_not_an_error(server: Scripted, client: VinixClient) -> None:
    assert await client.callflows.list(ACCOUNT).to_list() == []
    assert (await client.callflows.list_many([ACCOUNT]).collect())[ACCOUNT].ok


# --- L20: reprs ------------------------------------------------------------------------------------


async def test_L20_reprs_of_pages_and_sweeps_have_counts(server: Scripted, client: VinixClient) -> None:
    server.otherwise = lambda request: success(request, [{"id": f"secretive{n}"} for n in range(50)], page_size=50)
    page = await client.callflows.list(ACCOUNT)
    assert repr(page).startswith("Page(items=<50>, next_start_key=None")
    pager = client.callflows.list(ACCOUNT)
    assert repr(pager) == f"<Pager of /accounts/{ACCOUNT}/callflows>"
    sweep = client.callflows.list_many([ACCOUNT], max_concurrency=7)
    assert repr(sweep) == "<AccountSweep, 7 at once, SweepStats()>"
    (result,) = (await sweep.collect()).values()
    assert repr(sweep) == "<AccountSweep, 7 at once, SweepStats(requests=1, callflows=50, accounts_done=1)>"
    assert "callflows=<50>, bad_items=<0>" in repr(result)
    pages = [page async for page in client.callflows.list_many([ACCOUNT]).by_page()]
    assert "items=<50>" in repr(pages)
    for value in (page, pager, sweep, result, pages, sweep.checkpoint(), pager.checkpoint()):
        assert "secretive" not in repr(value)
        assert "object at 0x" not in repr(value)


# --- L29, L35: what the server does not check ------------------------------------------------------


async def test_L29_type_owner_and_group_may_hold_any_json(server: Scripted, client: VinixClient) -> None:
    server.otherwise = lambda request: success(
        request, [ODD_OWNER] if request.path.endswith("callflows") else ODD_OWNER
    )
    (row,) = await client.callflows.list(ACCOUNT).to_list()
    (whole,) = await client.callflows.list(ACCOUNT, details=True).to_list()
    for callflow in (row, whole, await client.callflows.get(ACCOUNT, ODD_OWNER["id"])):
        assert (callflow.type, callflow.owner_id, callflow.group_id) == (["x"], 5, {"a": 1})
        assert to_dict(callflow) == ODD_OWNER
    (result,) = (await client.callflows.list_many([ACCOUNT]).collect()).values()
    assert result.ok


async def test_L35_a_callflow_is_readable_although_its_listing_has_an_odd_row(
    server: Scripted, client: VinixClient
) -> None:
    server_of(server, rows_with({"name": 5}))
    callflow = await client.callflows.get(ACCOUNT, "c3")
    assert callflow.flow is not None
    pager = client.callflows.list(ACCOUNT, on_bad_item="skip")
    assert [each.id for each in await pager.to_list()] == OTHERS
    assert len(await client.callflows.list(ACCOUNT, details=True).to_list()) == 8


# --- L34: the cursor that Kazoo 4.3 leaves behind --------------------------------------------------


@pytest.mark.parametrize("details", [False, True])
async def test_L34_a_stale_cursor_ends_a_filtered_listing(
    server: Scripted,
    client: VinixClient,
    details: bool,  # noqa: FBT001
) -> None:
    filters = {"filter_type": "main"}
    server.script = [
        lambda request: success(request, [{"name": "1"}], next_start_key="b", start_key="a"),
        lambda request: success(request, [{"name": "2"}], next_start_key="c", start_key="c"),
    ]
    pager = client.callflows.list(ACCOUNT, filters=filters, details=details)
    assert [each.name for each in await pager.to_list()] == ["1", "2"]
    assert pager.checkpoint().finished
    assert len(server.asked) == 2
    server.script = [lambda request: success(request, [], next_start_key="x", start_key="x")]  # nothing matches
    pages = [page async for page in client.callflows.list(ACCOUNT, filters=filters, details=details).by_page()]
    assert [page.items for page in pages] == [()]
    assert pages[0].next_start_key is None
    assert len(server.asked) == 3


async def test_L34_without_filters_it_is_a_loop(server: Scripted, client: VinixClient) -> None:
    server.otherwise = lambda request: success(request, [{"id": "1"}], next_start_key="c", start_key="c")
    with pytest.raises(PaginationLoopError):
        await client.callflows.list(ACCOUNT).to_list()
    with pytest.raises(PaginationLoopError, match="page_size"):
        await client.accounts.descendants(ACCOUNT).to_list()


# --- rule 14 ---------------------------------------------------------------------------------------


async def test_one_broken_account_and_one_broken_document_cost_no_other(server: Scripted, client: VinixClient) -> None:
    server_of(server, rows_with(), {"c3": failing(503)}, at="/odd/")
    answer = server.otherwise
    assert callable(answer)

    def with_a_denied_one(request: web.Request) -> Any:
        return failure(request, 403) if "/denied/" in request.path else answer(request)

    server.otherwise = with_a_denied_one
    names = [*map(str, range(20)), "odd", *map(str, range(20, 40)), "denied", *map(str, range(40, 50))]
    sweep = client.callflows.list_many(names, details=True, max_concurrency=4)
    results = await sweep.collect()
    assert {name for name, result in results.items() if not result.ok} == {"odd", "denied"}
    assert isinstance(results["denied"].error, PermissionDeniedError)
    assert all(len(result.callflows) == 8 for result in results.values() if result.ok)
    assert len(results["odd"].callflows) == 7
    assert sweep.checkpoint().done == set(names) - {"odd", "denied"}
    assert json.loads(sweep.checkpoint().to_json())["version"] == 2


def test_a_page_has_no_items_in_its_repr() -> None:
    assert repr(Page(items=(), bad_items=())).startswith("Page(items=<0>")
