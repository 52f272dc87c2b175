"""Iterating over a listing in memory: pages, cursors, repeated rows, prefetch, bad rows, checkpoints."""

import asyncio
import contextlib
import gc
import json
import pickle
import weakref
from collections.abc import Iterator
from typing import Any
from unittest.mock import AsyncMock

import pytest
from attrs import evolve
from memory_listing import MemoryListing, ids

from vinix_async import (
    BadItem,
    Checkpoint,
    ConfigurationError,
    DecodeError,
    Page,
    PaginationLoopError,
    ServerError,
)
from vinix_async._documents.decode import iter_rows
from vinix_async._http.request import Request
from vinix_async._listing import pager as pager_module
from vinix_async._pipeline.events import BadItemFound

SCOPE = "/accounts/x/callflows"


def three() -> MemoryListing:
    return MemoryListing({None: (["a", "b"], "c"), "c": (["c", "d"], "e"), "e": (["e"], None)})


async def test_items_pages_first_page_and_list() -> None:
    server = three()
    pager = server.pager()
    assert ids([item async for item in pager]) == list("abcde")
    assert [ids(page.items) async for page in pager.by_page()] == [["a", "b"], ["c", "d"], ["e"]]
    first = await pager
    assert first == Page(items=first.items, next_start_key="c", page_size=2, request_id="r7")
    assert ids(first.items) == ["a", "b"]
    assert ids(await pager.to_list()) == list("abcde")
    assert server.asked == [None, "c", "e", None, "c", "e", None, None, "c", "e"]


@pytest.mark.parametrize(
    ("query", "page_size", "start_key", "target"),
    [
        ("", None, None, "/x"),
        ("", None, "é/", "/x?start_key=%C3%A9%2F"),
        ("", 5, "&", "/x?page_size=5&start_key=%26"),
        ("filter_name=g", 5, None, "/x?filter_name=g&page_size=5"),
    ],
)
async def test_the_target_of_a_page(query: str, page_size: int | None, start_key: str | None, target: str) -> None:
    sender, request = AsyncMock(), Request("GET", "/x", query=query)
    listing = evolve(three().pager()._listing, sender=sender, request=request, page_size=page_size)
    await listing.fetch(start_key, 0.0)
    assert sender.send.call_args.args[0].target == target


async def test_pages_know_their_cursors() -> None:
    pages = [page async for page in three().pager().by_page()]
    assert [(page.start_key, page.next_start_key, page.page_size) for page in pages] == [
        (None, "c", 2),
        ("c", "e", 2),
        ("e", None, 1),
    ]


async def test_an_empty_page_with_a_cursor_is_not_the_end() -> None:
    server = MemoryListing({None: ([], "b"), "b": ([], "c"), "c": (["c"], None)})
    assert ids(await server.pager().to_list()) == ["c"]
    assert [ids(page.items) async for page in server.pager().by_page()] == [[], [], ["c"]]


@pytest.mark.parametrize("prefetch", [0, 1])
@pytest.mark.parametrize(
    ("pages", "rows", "asked", "cursor"),
    [
        ({None: (["a"], "A"), "A": (["b"], "A")}, ["a", "b"], [None, "A"], "A"),
        ({None: (["a"], "A"), "A": (["b"], "B"), "B": (["c"], "A")}, ["a", "b", "c"], [None, "A", "B"], "A"),
    ],
    ids=["A,A", "A,B,A"],
)
async def test_a_loop_of_cursors_ends_after_its_rows(
    prefetch: int, pages: Any, rows: list[str], asked: list[str | None], cursor: str
) -> None:
    server = MemoryListing(pages)
    seen = []
    with pytest.raises(PaginationLoopError, match="loop") as caught:
        async for item in server.pager(prefetch=prefetch):
            seen.append(item.id)
    assert (seen, server.asked) == (rows, asked)
    error = caught.value
    assert (error.start_key, error.pages) == (cursor, len(asked))
    assert (error.account_id, error.method, error.path) == ("x", "GET", SCOPE)
    assert (error.request_id, error.attempts) == (f"r{len(asked)}", 2)
    assert error.gave_up


async def test_a_loop_back_to_the_first_cursor_ends_too() -> None:
    server = MemoryListing({"A": (["a"], "A")})
    with pytest.raises(PaginationLoopError):
        await server.pager(start_key="A").to_list()


async def test_endless_empty_pages_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pager_module, "_MAX_EMPTY_PAGES", 5)
    server = MemoryListing({None: ([], "0"), **{str(n): ([], str(n + 1)) for n in range(50)}})
    with pytest.raises(PaginationLoopError, match="the last 5 pages were empty"):
        await server.pager(prefetch=0).to_list()
    assert len(server.asked) == 5
    for number in range(3, 50, 4):  # and those with a row between them do not
        server.pages[str(number)] = ([str(number)], str(number + 1))
    server.pages["49"] = ([], None)
    assert len(await server.pager().to_list()) == 12


async def test_as_many_empty_pages_that_end_are_not_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pager_module, "_MAX_EMPTY_PAGES", 3)
    server = MemoryListing({None: ([], "1"), "1": ([], "2"), "2": ([], None)})
    assert await server.pager().to_list() == []


async def test_rows_seen_already_are_dropped() -> None:
    server = MemoryListing({None: (["a", "b", "a"], "b"), "b": (["b", "c"], "c"), "c": (["a", "c", "d"], None)})
    assert ids(await server.pager().to_list()) == list("abcd")


async def test_rows_without_an_id_are_all_kept() -> None:
    server = MemoryListing({None: (["?1", "?1"], "b"), "b": (["?1"], None)})
    assert [item.name for item in await server.pager().to_list()] == ["?1", "?1", "?1"]


async def test_only_so_many_ids_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pager_module, "_MAX_REMEMBERED", 2)
    server = MemoryListing({None: (["a", "b"], "2"), "2": (["c", "b", "d"], "3"), "3": (["d", "a", "c"], None)})
    assert ids(await server.pager().to_list()) == ["a", "b", "c", "d", "a"]


async def test_rows_of_the_page_before_are_remembered_however_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pager_module, "_MAX_REMEMBERED", 2)
    pages = [[str(row) for row in range(5 * page, 5 * page + 10)] for page in range(10)]
    server = MemoryListing({str(page) if page else None: (rows, str(page + 1)) for page, rows in enumerate(pages)})
    server.pages["9"] = (pages[9], None)
    assert ids(await server.pager().to_list()) == [str(row) for row in range(55)]


async def test_ids_of_a_checkpoint_are_remembered_until_they_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bad item on the first page, a checkpoint names all rows after it; none is handed out again."""
    monkeypatch.setattr(pager_module, "_MAX_REMEMBERED", 2)
    pages = [["!bad", "0"], *([str(row)] for row in range(1, 20))]
    server = MemoryListing({str(page) if page else None: (rows, str(page + 1)) for page, rows in enumerate(pages)})
    server.pages["19"] = (pages[19], None)
    pager = server.pager(on_bad_item="skip")
    assert ids(await pager.to_list()) == [str(row) for row in range(20)]
    server.pages[None] = (["bad", "0"], "1")
    again = server.pager(on_bad_item="skip", resume=Checkpoint.from_json(pager.checkpoint().to_json()))
    assert ids(await again.to_list()) == ["bad"]
    assert again.checkpoint().finished


@pytest.mark.parametrize(("most", "asked"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (9, 3)])
@pytest.mark.parametrize("prefetch", [0, 1])
async def test_max_items_ends_the_iteration_and_asks_for_no_more(most: int, asked: int, prefetch: int) -> None:
    server = three()
    assert ids(await server.pager(max_items=most, prefetch=prefetch).to_list()) == list("abcde")[:most]
    assert len(server.asked) == asked
    pages = [page async for page in server.pager(max_items=most, prefetch=prefetch).by_page()]
    assert [item.id for page in pages for item in page.items] == list("abcde")[:most]


async def test_a_page_that_is_cut_short_has_no_cursor() -> None:
    pages = [page async for page in three().pager(max_items=3).by_page()]
    assert [(ids(page.items), page.next_start_key) for page in pages] == [(["a", "b"], "c"), (["c"], None)]


async def test_it_begins_at_the_start_key() -> None:
    assert ids(await three().pager(start_key="c").to_list()) == list("cde")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"max_items": 0}, "max_items"),
        ({"max_items": True}, "max_items"),
        ({"prefetch": 2}, "prefetch"),
        ({"prefetch": True}, "prefetch"),
        ({"prefetch": -1}, "prefetch"),
        ({"start_key": ""}, "start_key"),
        ({"start_key": 7}, "start_key"),
        ({"resume": "text"}, "resume"),
        ({"resume": Checkpoint(scope="/others")}, "/others"),
        ({"resume": Checkpoint(scope=SCOPE), "start_key": "c"}, "cannot be combined"),
        ({"on_bad_item": "ignore"}, "on_bad_item"),
        ({"on_bad_item": None}, "on_bad_item"),
        ({"on_bad_item": ["skip"]}, "on_bad_item"),
    ],
)
async def test_bad_arguments_are_refused_at_once(options: dict[str, Any], word: str) -> None:
    server = three()
    with pytest.raises(ConfigurationError, match=word):
        server.pager(**options)
    assert server.asked == []


# --- prefetch and pieces ---------------------------------------------------------------------------


class Decoding:
    """Which rows have been decoded, and how many pages were requested when each piece was."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, server: MemoryListing) -> None:
        self.rows: list[str] = []
        self.asked: list[int] = []

        def watched(data: Any, kind: Any) -> Iterator[Any]:
            for documents, bad_rows in iter_rows(data, kind):
                self.asked.append(len(server.asked))
                self.rows += ids(documents)
                yield documents, bad_rows

        monkeypatch.setattr(pager_module, "iter_rows", watched)


async def test_the_next_page_is_requested_before_this_one_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    server = three()
    decoding = Decoding(monkeypatch, server)
    await server.pager().to_list()
    assert decoding.asked == [2, 3, 3]
    server.asked.clear()
    decoding.asked.clear()
    await server.pager(prefetch=0).to_list()
    assert decoding.asked == [1, 2, 3]


LONG = [str(number) for number in range(100)]


async def test_other_tasks_run_while_a_long_page_is_read_and_while_it_is_handed_out() -> None:
    server = MemoryListing({None: (LONG, None)})
    ticks = []

    async def other() -> None:
        while True:
            ticks.append(1)
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    assert len((await server.pager()).items) == 100
    assert len(ticks) == 1
    async for _ in server.pager():
        pass
    assert len(ticks) == 2
    task.cancel()


async def test_by_item_a_page_is_decoded_no_further_than_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    server = MemoryListing({None: (LONG, "2"), "2": (["x"], None)})
    decoding = Decoding(monkeypatch, server)
    ahead = [(item.id, len(decoding.rows)) async for item in server.pager()]
    assert [item for item, _ in ahead] == [*LONG, "x"]
    assert [count for _, count in ahead] == [64] * 64 + [100] * 36 + [101]
    decoding.rows.clear()
    assert ids([item async for item in server.pager(max_items=33)]) == LONG[:33]
    assert len(decoding.rows) == 64
    decoding.rows.clear()
    assert ids([item async for item in server.pager(max_items=65)]) == LONG[:65]
    assert len(decoding.rows) == 100


@pytest.mark.parametrize("place", [0, 1, 63, 64, 70, 99])
async def test_by_item_an_error_comes_after_the_rows_before_it(place: int) -> None:
    rows = [*LONG[:place], "!bad", *LONG[place + 1 :]]
    server = MemoryListing({None: (["a", "b"], "2"), "2": (rows, "3"), "3": (["g"], None)})
    pager = server.pager()
    seen = []
    with pytest.raises(DecodeError) as caught:
        async for item in pager:
            seen.append(item.id)
    assert seen == ["a", "b", *LONG[:place]]
    assert (caught.value.start_key, caught.value.callflow_id) == ("2", "!bad")
    assert caught.value.problems == (f"$.data[{place}].name: expected str, got int",)
    server.pages["2"] = (LONG, "3")
    assert ids(await server.pager(resume=pager.checkpoint()).to_list()) == [*LONG[place:], "g"]


async def test_by_page_a_page_with_an_error_is_none() -> None:
    server = MemoryListing({None: ([*LONG[:40], "!bad1", "!bad2", *LONG[42:98], "!bad3"], None)})
    for wanted in (server.pager(), anext(server.pager().by_page())):
        with pytest.raises(DecodeError) as caught:
            await wanted
        assert caught.value.problems == tuple(f"$.data[{place}].name: expected str, got int" for place in (40, 41, 98))
        assert caught.value.callflow_id == "!bad1"


async def test_rows_are_dropped_counted_and_resumed_over_the_pieces_of_a_page() -> None:
    many = [*LONG, *LONG[:50], "a", *LONG, "b"]
    server = MemoryListing({None: (many, "2"), "2": ([*LONG[90:], "b", "c"], None)})
    expected = [*LONG, "a", "b", "c"]
    pager = server.pager(max_items=101)
    assert ids([item async for item in pager]) == expected[:101]
    assert ids(await server.pager(max_items=101).to_list()) == expected[:101]
    assert ids(await server.pager(resume=pager.checkpoint()).to_list()) == ["b", "c"]
    for stop in (1, 63, 64, 65, 99, 100, 101, 102, 103):
        seen: list[str] = []
        pager = server.pager()
        async for item in pager:
            seen.append(item.id)
            if len(seen) == stop:
                break
        assert seen + ids(await server.pager(resume=pager.checkpoint()).to_list()) == expected


async def test_an_item_is_freed_when_the_next_piece_is_read() -> None:
    server = MemoryListing({None: (LONG, None)})
    held: list[weakref.ref[Any]] = []
    async for item in server.pager():
        held.append(weakref.ref(item))
        del item
        assert sum(each() is not None for each in held) <= 64
    assert len(held) == 100


async def test_never_more_than_one_page_ahead() -> None:
    server = three()
    async for _ in server.pager():
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(server.asked) <= 2
        break


# --- leaving ---------------------------------------------------------------------------------------


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Nothing may depend on the collector of reference cycles."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_leaving_the_loop_ends_the_page_that_is_ahead(no_collector: None) -> None:
    server = three()
    server.gates["c"] = asyncio.Event()
    async for _ in server.pager():
        await asyncio.sleep(0)
        assert len(server.tasks) == 1
        break
    await turns()
    assert server.tasks == set()
    assert len(asyncio.all_tasks()) == 1


async def test_an_error_in_the_loop_does_too(no_collector: None) -> None:
    server = three()
    server.gates["c"] = asyncio.Event()
    with pytest.raises(KeyError):
        async for _ in server.pager():
            raise KeyError
    await turns()
    assert server.tasks == set()
    assert len(asyncio.all_tasks()) == 1


async def test_closing_the_iteration_waits_for_it() -> None:
    server = three()
    server.gates["c"] = asyncio.Event()
    async with contextlib.aclosing(server.pager().by_page()) as pages:
        await anext(pages)
        assert len(server.tasks) == 1
    assert server.tasks == set()


async def test_cancelling_the_caller_does_too() -> None:
    server = three()
    server.gates["c"] = asyncio.Event()
    task = asyncio.create_task(server.pager().to_list())
    while len(server.asked) < 2:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await turns()
    assert server.tasks == set()


async def test_a_page_ahead_that_fails_unseen_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    server = three()
    server.failing["c"] = ServerError("down", status=503)
    async for _ in server.pager():
        await asyncio.sleep(0)
        break
    await turns()
    gc.collect()
    assert caplog.text == ""


async def test_an_error_ahead_comes_after_the_rows_before_it() -> None:
    server = three()
    server.failing["c"] = ServerError("down", status=503)
    seen = []
    with pytest.raises(ServerError) as caught:
        async for item in server.pager():
            seen.append(item.id)
    assert seen == ["a", "b"]
    assert caught.value.start_key == "c"
    assert "start_key=c" in str(caught.value)


async def test_a_page_that_cannot_be_read_ends_what_is_ahead() -> None:
    server = three()
    server.gates["c"] = asyncio.Event()
    server.pages[None] = (["!a", "b"], "c")
    with pytest.raises(DecodeError):
        await server.pager().to_list()
    await turns()
    assert server.asked == [None, "c"]
    assert server.tasks == set()


# --- bad rows --------------------------------------------------------------------------------------


async def test_bad_rows_are_skipped_and_reported() -> None:
    server = MemoryListing({None: (["a", "!b", {"name": 7}], "2"), "2": (["!b", 5, {"id": 6}, "c"], None)})
    pager = server.pager(on_bad_item="skip")
    assert not pager.bad_items
    pages = [page async for page in pager.by_page()]
    assert [ids(page.items) for page in pages] == [["a"], ["c"]]
    assert [[(item.id, item.index) for item in page.bad_items] for page in pages] == [
        [("!b", 1), (None, 2)],
        [(None, 1), (None, 2)],  # a row that comes twice is reported once
    ]
    assert pager.bad_items == (*pages[0].bad_items, *pages[1].bad_items)
    bad = pager.bad_items[0]
    assert isinstance(bad, BadItem)
    assert bad.account_id == "x"
    error = bad.error
    assert isinstance(error, DecodeError)
    assert error.problems == ("$.data[1].name: expected str, got int",)
    assert (error.account_id, error.callflow_id, error.start_key) == ("x", "!b", None)
    assert (error.method, error.path, error.request_id, error.attempts) == ("GET", SCOPE, "r1", 2)
    assert error.gave_up
    assert pager.bad_items[2].error.start_key == "2"
    found = [event for event in server.events if isinstance(event, BadItemFound)]
    assert [(event.callflow_id, event.index) for event in found] == [("!b", 1), (None, 2), (None, 1), (None, 2)]


async def test_by_item_too() -> None:
    server = MemoryListing({None: ([*LONG[:33], "!b", *LONG[33:]], None)})
    pager = server.pager(on_bad_item="skip")
    assert ids([item async for item in pager]) == LONG
    assert [(item.id, item.index) for item in pager.bad_items] == [("!b", 33)]


async def test_a_bad_row_does_not_count_for_max_items_nor_does_one_after_them() -> None:
    server = MemoryListing({None: (["a", "!b", "c", "!d", "e"], "2")})
    pager = server.pager(on_bad_item="skip", max_items=2)
    assert ids(await pager.to_list()) == ["a", "c"]
    assert [item.id for item in pager.bad_items] == ["!b"]
    assert server.asked == [None]
    with pytest.raises(DecodeError):
        await server.pager(max_items=2).to_list()
    assert ids(await server.pager(max_items=1).to_list()) == ["a"]


@pytest.mark.parametrize("data", [None, {}, {"one": {"id": "one"}}, "text"])
@pytest.mark.parametrize("on_bad_item", ["raise", "skip"])
async def test_a_page_that_is_not_a_listing_fails_and_says_where(data: Any, on_bad_item: str) -> None:
    server = three()
    fetch = server.fetch

    async def answer(cursor: str | None, ends_at: float) -> Any:
        envelope = await fetch(cursor, ends_at)
        if cursor == "c":
            envelope.data = data
        return envelope

    server.fetch = answer  # type: ignore[method-assign]
    pager = server.pager(on_bad_item=on_bad_item, prefetch=0)
    seen = []
    with pytest.raises(DecodeError, match="not a listing") as caught:
        async for item in pager:
            seen.append(item.id)
    assert seen == ["a", "b"]
    error = caught.value
    assert (error.account_id, error.method, error.path) == ("x", "GET", SCOPE)
    assert (error.start_key, error.request_id, error.attempts) == ("c", "r2", 2)
    assert error.gave_up
    assert not pager.bad_items
    server.fetch = fetch  # type: ignore[method-assign]
    assert ids(await server.pager(resume=pager.checkpoint()).to_list()) == ["c", "d", "e"]


# --- checkpoints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", range(6))
@pytest.mark.parametrize("prefetch", [0, 1])
async def test_a_checkpoint_is_exact_at_every_item(stop: int, prefetch: int) -> None:
    server = three()
    pager = server.pager(prefetch=prefetch)
    seen = []
    if stop:
        async for item in pager:
            seen.append(item.id)
            if len(seen) == stop:
                break
    checkpoint = Checkpoint.from_json(pager.checkpoint().to_json())
    rest = await server.pager(resume=checkpoint).to_list()
    assert seen + ids(rest) == list("abcde")


async def test_a_checkpoint_after_an_error_begins_with_that_page() -> None:
    server = three()
    server.failing["c"] = ServerError("down", status=503)
    pager = server.pager()
    with pytest.raises(ServerError):
        await pager.to_list()
    del server.failing["c"]
    server.asked.clear()
    assert ids(await server.pager(resume=pager.checkpoint()).to_list()) == list("cde")
    assert server.asked == ["c", "e"]


async def test_a_checkpoint_by_page() -> None:
    server = three()
    pager = server.pager()
    async for page in pager.by_page():
        if page.start_key == "c":
            break
    assert ids(await server.pager(resume=pager.checkpoint()).to_list()) == ["e"]


async def test_a_checkpoint_of_a_finished_listing_sends_nothing() -> None:
    server = three()
    pager = server.pager()
    await pager.to_list()
    assert pager.checkpoint().finished
    server.asked.clear()
    assert await server.pager(resume=pager.checkpoint()).to_list() == []
    assert (await server.pager(resume=pager.checkpoint())).items == ()
    assert server.asked == []


async def test_rows_that_come_or_go_in_the_page_in_progress() -> None:
    server = three()
    pager = server.pager()
    async for item in pager:
        if item.id == "c":
            break
    server.pages["c"] = (["bb", "cc", "d"], "e")
    assert ids(await server.pager(resume=pager.checkpoint()).to_list()) == ["bb", "cc", "d", "e"]


async def test_rows_of_the_page_before_are_dropped_after_a_resume() -> None:
    server = MemoryListing({None: (["a", "b"], "b"), "b": (["a", "b", "c"], None)})
    pager = server.pager()
    async for page in pager.by_page():
        assert ids(page.items) == ["a", "b"]
        break
    pager = server.pager(resume=pager.checkpoint())
    assert ids(await pager.to_list()) == ["c"]


async def test_and_after_a_resume_at_an_empty_page() -> None:
    pages: Any = {None: (["a", "b"], "1"), "1": ([], "2"), "2": ([], "3"), "3": (["a", "b", "c"], None)}
    server = MemoryListing(pages)
    pager = server.pager()
    async for page in pager.by_page():
        if page.next_start_key == "3":
            break
    assert ids(await server.pager(resume=pager.checkpoint()).to_list()) == ["c"]


async def test_and_after_an_error_between_the_two() -> None:
    server = MemoryListing({None: (["a", "b"], "b"), "b": (["a", "b", "c"], None)})
    server.failing["b"] = ServerError("down", status=503)
    pager = server.pager()
    with pytest.raises(ServerError):
        await pager.to_list()
    del server.failing["b"]
    assert ids(await server.pager(resume=pager.checkpoint()).to_list()) == ["c"]


async def test_max_items_counts_over_resumed_listings() -> None:
    server = three()
    pager = server.pager(max_items=2)
    assert ids(await pager.to_list()) == ["a", "b"]
    server.asked.clear()
    assert await server.pager(max_items=2, resume=pager.checkpoint()).to_list() == []
    assert server.asked == []
    assert ids(await server.pager(max_items=4, resume=pager.checkpoint()).to_list()) == ["c", "d"]
    pager = server.pager(max_items=3)  # ends within a page
    assert ids(await pager.to_list()) == ["a", "b", "c"]
    assert ids(await server.pager(max_items=5, resume=pager.checkpoint()).to_list()) == ["d", "e"]
    pager = server.pager(max_items=4)
    async for _ in pager:
        break
    assert ids(await server.pager(max_items=4, resume=pager.checkpoint()).to_list()) == ["b", "c", "d"]


async def test_a_resumed_listing_begins_with_the_first_page_that_had_a_bad_item() -> None:
    pages: Any = {
        None: (["a"], "2"),
        "2": (["a", "b", "!x", "c"], "3"),
        "3": (["c", "d", "!y"], "4"),
        "4": (["e"], None),
    }
    server = MemoryListing(pages)
    pager = server.pager(on_bad_item="skip")
    assert ids(await pager.to_list()) == list("abcde")
    checkpoint = Checkpoint.from_json(pager.checkpoint().to_json())
    assert checkpoint == pager.checkpoint()
    assert (checkpoint.start_key, checkpoint.bad, checkpoint.yielded) == ("2", ("!x", "!y"), 5)
    assert not checkpoint.finished
    server.asked.clear()
    again = server.pager(on_bad_item="skip", resume=checkpoint)  # nothing has been repaired
    assert again.checkpoint() is checkpoint
    assert await again.to_list() == []
    assert [item.id for item in again.bad_items] == ["!x", "!y"]
    assert server.asked == ["2", "3", "4"]
    assert again.checkpoint() == checkpoint
    server.pages["2"] = (["a", "b", {"id": "!x"}, "c"], "3")
    again = server.pager(on_bad_item="skip", resume=again.checkpoint())  # one of them has
    assert ids(await again.to_list()) == ["!x"]
    assert (again.checkpoint().start_key, again.checkpoint().bad) == ("3", ("!y",))
    server.pages["3"] = (["c", "d", {"id": "!y"}], "4")
    again = server.pager(resume=again.checkpoint())
    assert ids(await again.to_list()) == ["!y"]
    assert again.checkpoint().finished


@pytest.mark.parametrize("stop", range(1, 6))
@pytest.mark.parametrize("repaired", [False, True])
async def test_a_checkpoint_is_exact_at_every_item_with_bad_ones(stop: int, *, repaired: bool) -> None:
    server = MemoryListing({None: (["a", "!x", "b"], "2"), "2": (["c", "!y"], "3"), "3": (["d", "e"], None)})
    pager = server.pager(on_bad_item="skip")
    seen = []
    async for item in pager:
        seen.append(item.id)
        if len(seen) == stop:
            break
    if repaired:
        server.pages[None] = (["a", {"id": "!x"}, "b"], "2")
        server.pages["2"] = (["c", {"id": "!y"}], "3")
    rest = server.pager(on_bad_item="skip", resume=Checkpoint.from_json(pager.checkpoint().to_json()))
    seen += ids(await rest.to_list())
    assert sorted([*seen, *(item.id or "" for item in rest.bad_items)]) == sorted(["a", "b", "c", "d", "e", "!x", "!y"])
    assert rest.checkpoint().finished == repaired


async def test_a_resumed_checkpoint_does_not_grow() -> None:
    """It drops ids of the earlier iteration as soon as they are listed again."""
    server = three()
    pager = server.pager()
    async for item in pager:
        if item.id == "c":
            break
    assert pager.checkpoint().done == ("a", "b", "c")
    pager = server.pager(resume=pager.checkpoint())
    async for item in pager:
        if item.id == "e":
            break
    assert pager.checkpoint().done == ("a", "b", "c", "d", "e")  # "a" and "b" may still come, "c" and "d" came before
    await pager.to_list()
    assert pager.checkpoint().done == ("a", "b", "e")


async def test_a_row_that_was_handed_out_is_not_reported_when_it_has_become_bad() -> None:
    server = MemoryListing({None: (["a", "b"], None)})
    pager = server.pager(on_bad_item="skip")
    async for _ in pager:
        break
    server.pages[None] = ([{"id": "a", "name": 7}, "b"], None)
    rest = server.pager(on_bad_item="skip", resume=pager.checkpoint())
    assert ids(await rest.to_list()) == ["b"]
    assert rest.bad_items == ()


def test_a_checkpoint_is_a_value() -> None:
    checkpoint = Checkpoint(scope=SCOPE, start_key="c", done=("a",), bad=("b",), yielded=3)
    assert Checkpoint.from_json(checkpoint.to_json()) == checkpoint == pickle.loads(pickle.dumps(checkpoint))
    assert Checkpoint.from_value(checkpoint.to_value()) == checkpoint
    assert len({checkpoint, checkpoint}) == 1
    assert "done=<1 ids>" in repr(checkpoint)


async def test_a_checkpoint_of_version_1_is_read() -> None:
    """It had ``before``, the rows of the page before, and no bad items."""
    old = {
        "version": 1,
        "scope": SCOPE,
        "start_key": "c",
        "done": ["c"],
        "before": ["a", "b"],
        "yielded": 3,
        "finished": False,
    }
    checkpoint = Checkpoint.from_value(old)
    assert Checkpoint.from_value(old) == checkpoint == Checkpoint.from_json(json.dumps(old))  # and is not changed
    assert ids(await three().pager(resume=checkpoint).to_list()) == ["d", "e"]
    assert json.loads(checkpoint.to_json())["version"] == 2
    changes: list[dict[str, Any]] = [{"before": 1}, {"before": [1]}, {"bad": []}, {"yielded": -1}]
    for change in changes:
        with pytest.raises(ConfigurationError, match="checkpoint"):
            Checkpoint.from_value(old | change)


@pytest.mark.parametrize(
    "change",
    [
        {"scope": 1},
        {"start_key": 1},
        {"done": "a"},
        {"done": [1]},
        {"bad": "a"},
        {"bad": [None]},
        {"start_key": ""},
        {"yielded": "3"},
        {"yielded": -1},
        {"yielded": True},
        {"finished": 0},
        {"odd": 1},
        {"version": 3},
        {"version": True},
        {"version": "2"},
    ],
    ids=str,
)
def test_a_damaged_checkpoint_is_refused_in_words(change: dict[str, Any]) -> None:
    value = json.loads(Checkpoint(scope=SCOPE).to_json()) | change
    with pytest.raises(ConfigurationError, match="checkpoint"):
        Checkpoint.from_json(json.dumps(value))


def test_a_checkpoint_of_a_later_version_says_so() -> None:
    with pytest.raises(ConfigurationError, match=r"another version of vinix_async \(format 9\)"):
        Checkpoint.from_json('{"version": 9}')


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "{", 7, None, "[" * 100_000])
def test_no_checkpoint_at_all(text: Any) -> None:
    with pytest.raises(ConfigurationError, match="to_json"):
        Checkpoint.from_json(text)
