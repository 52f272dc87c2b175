"""Large pages: cut into rows step by step, and freed step by step."""

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from scripted import Scripted, scripted_server
from test_convert_properties import json_values, objects

from vinix_async import Page, RetryPolicy, VinixClient, decode_page
from vinix_async._documents import cut as cutting
from vinix_async._documents.cut import LARGE, cut
from vinix_async._documents.json import check_text
from vinix_async._exceptions import DecodeError
from vinix_async._http.response import _split

ENVELOPE = {"status": "success", "request_id": "r", "next_start_key": "g20", "node": "n"}


def found(body: bytes, step: int = 1) -> Any:
    """What ``cut`` makes of ``body``: its fields, its rows as they are written, and in how many steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "_STEP", step)
        steps, count = cut(body), 0
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value and (plain(end.value), count)
            count += 1


def plain(sent: Any) -> Any:
    fields = msgspec.structs.asdict(sent)
    return fields | {"data": [bytes(row).strip() for row in fields["data"]]}


def whole(body: bytes) -> Any:
    """The same by the parser at one go; None for what is no listing."""
    try:
        sent: Any = _split(check_text(body))
        return plain(sent) if isinstance(sent.data, list) else None
    except (DecodeError, msgspec.DecodeError, RecursionError):
        return None


def text(rows: Any, before: Any = (), after: Any = ENVELOPE, **options: Any) -> bytes:
    return json.dumps({**dict(before), "data": rows, **after}, **options).encode()


rows = st.lists(objects | json_values | st.just({"a": "},{", "b": [{}, {"c": [{}, {}]}]}), max_size=8)


steps_of = st.sampled_from([1, 7, 64])


@given(rows, steps_of, st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}]))
def test_what_is_cut_is_what_the_parser_splits(value: Any, step: int, options: dict[str, Any]) -> None:
    body = text(value, {"page_size": 3, "a b": -1.5e3, "c": None}, **options)
    result = found(body, step)
    assert result is None or result[0] == whole(body)
    assert whole(body) is not None


def test_the_usual_form_is_cut_in_as_many_steps_as_it_takes() -> None:
    body = text([{"id": str(number), "numbers": []} for number in range(200)], {"page_size": 200})
    result, steps = found(body)
    assert result == whole(body)
    assert steps > 25


marks = st.sampled_from([b"", b'"', b"]", b"},{", b"[", b"\xff", b"\\", b",", b"0"])


@given(rows, steps_of, st.integers(0, 400), st.integers(0, 3), marks)
def test_no_text_is_taken_that_the_parser_refuses(
    value: Any, step: int, place: int, cut_out: int, put_in: bytes
) -> None:
    body = text(value, {"page_size": 3}, separators=(",", ":"))
    body = body[:place] + put_in + body[place + cut_out :]
    result = found(body, step)
    assert result is None or result[0] == whole(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":[{"a":1},{"b":2}],"data":[{"c":3}],"status":"success"}',
        b'{"data":[{"a":1},{"b":2}],"data":{},"status":"success"}',
        b'{"data":[{"a":1},{"b":2}],"d\\u0061ta":7,"status":"success"}',
        b'{"data":[{"a":1},{"b":2}],"status":"error"}',
        b'{"data":[{"a":1},{"b":2}]}',
        b'{"x":{"data":[{"a":1},{"b":2}]},"status":"success"}',
        b'{"x":"\\"","data":[{"a":1},{"b":2}],"status":"success"}',
        b'{"data":{"a":[1]},"status":"success"}',
        b'{"data":[{"a":1},{"b":2}],"status":"success","request_id":7}',
        b'{"data":[{"a":1},{"b":"\xff"}],"status":"success"}',
        b'{"data":[{"a":1},{"b":2}],"status":"success","x":"\xff"}',
        b'{"data":[{"a":1},{"b":2},],"status":"success"}',
        b'{"data":[{"a":1},{"b":2}],"status":"success"',
        b'{"data":[' + b"[" * 100_000 + b"]" * 100_000 + b'],"status":"success"}',
        b'{"data":[{"a":1},{"b":2}],"status":"success","node":"]"}',
        b"<html>]",
        b"",
    ],
)
def test_other_forms_are_left_to_the_parser(body: bytes) -> None:
    assert found(body) is None


def test_guesses_are_bounded() -> None:
    body = text([{"a": [{}] * 3000}])
    assert found(body) is None


def test_an_empty_listing_is_cut() -> None:
    result, _ = found(text([]))
    assert result["data"] == []


# --- through the client ------------------------------------------------------------------------------


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    async with scripted_server() as server:
        yield server


def reply(request: web.Request, rows: bytes) -> web.Response:
    envelope = json.dumps({**ENVELOPE, "next_start_key": None, "request_id": request.headers["X-Request-ID"]})
    return web.Response(body=b'{"data":[' + rows + b"]," + envelope[1:].encode(), content_type="application/json")


FLOW = b'"flow":{"module":"user","data":{"id":"' + b"x" * 100 + b'"}}'
MANY = LARGE // 100
ROWS = b",".join(b'{"id":"%d",%b}' % (number, FLOW) for number in range(MANY))


async def test_a_large_page_leaves_turns_to_others(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "_STEP", 1000)
    server.otherwise = lambda request: reply(request, ROWS)
    ticks = 0

    async def other() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    async with VinixClient(auth="token", base_url=server.url) as client:
        task = asyncio.create_task(other())
        page = await client.callflows.list("a")
        task.cancel()
    assert [callflow.id for callflow in page.items] == [str(number) for number in range(MANY)]
    assert ticks > LARGE // 2000


async def test_a_large_page_that_is_no_json_is_asked_for_again(server: Scripted) -> None:
    server.script = [lambda request: reply(request, ROWS.replace(b'"4000"', b'"4000'))]
    server.otherwise = lambda request: reply(request, ROWS)
    async with VinixClient(auth="token", base_url=server.url, retry=RetryPolicy(wait_initial=0.001)) as client:
        page = await client.callflows.list("a")
    assert len(page.items) == MANY
    assert len(server.requests) == 2


# --- freeing -----------------------------------------------------------------------------------------


def page_of(rows: int) -> Page[Any]:
    body = b'{"data":[' + b",".join(b'{"id":"%d",%b}' % (number, FLOW) for number in range(rows)) + b"]}"
    return decode_page(body[:-1] + b',"status":"success"}')


def alive(held: list[weakref.ref[Any]]) -> int:
    return sum(1 for each in held if each() is not None)


@pytest.fixture
def uncollected() -> Any:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
async def test_a_large_page_is_freed_a_few_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vinix_async._documents.freeing._TURN", 0)
    page = page_of(1000)
    held = [weakref.ref(each) for each in page.items]
    del page
    assert alive(held) == 1000
    turns = 0
    while alive(held):
        before = alive(held)
        await asyncio.sleep(0)
        turns += 1
        assert before - alive(held) <= 100
    assert turns > 10


@pytest.mark.usefixtures("uncollected")
async def test_pages_that_wait_to_be_freed_do_not_pile_up() -> None:
    held = []
    for _ in range(10):
        page = page_of(1000)
        held += [weakref.ref(each) for each in page.items]
    del page
    assert alive(held) <= 3000
    while alive(held):
        await asyncio.sleep(0)


@pytest.mark.usefixtures("uncollected")
async def test_a_small_page_is_freed_at_once() -> None:
    page = page_of(50)
    held = [weakref.ref(each) for each in page.items]
    del page
    assert alive(held) == 0


@pytest.mark.usefixtures("uncollected")
def test_without_a_loop_any_page_is() -> None:
    page = page_of(1000)
    held = [weakref.ref(each) for each in page.items]
    del page
    assert alive(held) == 0
