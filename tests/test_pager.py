"""The walk over pages, against a server in memory."""

import asyncio
import contextlib
import gc
import json
import math
import pickle
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from msgspec import Raw

from vinix_async import Checkpoint, ConfigurationError, DecodeError, Page, Pager, PaginationLoopError, ServerError
from vinix_async._http.request import Envelope
from vinix_async._listing import seen as seen_module
from vinix_async._listing import walk as walk_module


class Server:
    """Pages by cursor; each asked cursor is remembered."""

    def __init__(self, pages: dict[str | None, tuple[list[str], str | None]]) -> None:
        self.pages = pages
        self.scope = "/things"
        self.turn = 0.0005
        self.asked: list[str | None] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self.failing: dict[str | None, Exception] = {}
        self.gates: dict[str | None, asyncio.Event] = {}
        self.read: Callable[[Envelope], Iterable[Sequence[str]]] = lambda envelope: [envelope.data]

    def ends_at(self) -> float:
        return math.inf

    def key(self, row: str) -> str:
        return "" if row.startswith("?") else row

    async def fetch(self, cursor: str | None, ends_at: float) -> Envelope:
        assert ends_at == math.inf
        self.asked.append(cursor)
        if cursor in self.gates:
            await self.gates[cursor].wait()
        if cursor in self.failing:
            raise self.failing[cursor]
        rows, following = self.pages[cursor]
        return Envelope(data=rows, next_start_key=following, page_size=len(rows), request_id=f"r{len(self.asked)}")

    def pager(self, **options: Any) -> Pager[str]:
        return Pager(self, **options)


def three() -> Server:
    return Server({None: (["a", "b"], "c"), "c": (["c", "d"], "e"), "e": (["e"], None)})


async def test_items_pages_first_page_and_list() -> None:
    server = three()
    pager = server.pager()
    assert [item async for item in pager] == list("abcde")
    assert [page.items async for page in pager.by_page()] == [("a", "b"), ("c", "d"), ("e",)]
    assert await pager == Page(("a", "b"), "c", None, 2, "r7")
    assert await pager.to_list() == list("abcde")
    assert server.asked == [None, "c", "e", None, "c", "e", None, None, "c", "e"]


async def test_pages_know_their_cursors() -> None:
    pages = [page async for page in three().pager().by_page()]
    assert [(page.start_key, page.next_start_key, page.page_size) for page in pages] == [
        (None, "c", 2),
        ("c", "e", 2),
        ("e", None, 1),
    ]


async def test_an_empty_page_with_a_cursor_is_not_the_end() -> None:
    server = Server({None: ([], "b"), "b": ([], "c"), "c": (["c"], None)})
    assert await server.pager().to_list() == ["c"]
    assert [page.items async for page in server.pager().by_page()] == [(), (), ("c",)]


@pytest.mark.parametrize("prefetch", [0, 1])
@pytest.mark.parametrize(
    ("pages", "rows", "asked", "cursor"),
    [
        ({None: (["a"], "A"), "A": (["b"], "A")}, ["a", "b"], [None, "A"], "A"),
        ({None: (["a"], "A"), "A": (["b"], "B"), "B": (["c"], "A")}, ["a", "b", "c"], [None, "A", "B"], "A"),
    ],
    ids=["A,A", "A,B,A"],
)
async def test_a_circle_ends_after_its_rows(
    prefetch: int, pages: Any, rows: list[str], asked: list[str | None], cursor: str
) -> None:
    server = Server(pages)
    seen = []
    with pytest.raises(PaginationLoopError, match="circle") as caught:
        async for item in server.pager(prefetch=prefetch):
            seen.append(item)
    assert (seen, server.asked) == (rows, asked)
    assert (caught.value.start_key, caught.value.pages) == (cursor, len(asked))


async def test_a_circle_back_to_the_first_cursor_ends_too() -> None:
    server = Server({"A": (["a"], "A")})
    with pytest.raises(PaginationLoopError):
        await server.pager(start_key="A").to_list()


async def test_endless_empty_pages_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk_module, "_EMPTY_PAGES", 5)
    server = Server({None: ([], "0"), **{str(n): ([], str(n + 1)) for n in range(50)}})
    with pytest.raises(PaginationLoopError):
        await server.pager(prefetch=0).to_list()
    assert len(server.asked) == 5
    for number in range(3, 50, 4):  # and those with a row between them do not
        server.pages[str(number)] = ([str(number)], str(number + 1))
    server.pages["49"] = ([], None)
    assert len(await server.pager().to_list()) == 12


async def test_rows_seen_already_are_dropped() -> None:
    server = Server({None: (["a", "b", "a"], "b"), "b": (["b", "c"], "c"), "c": (["a", "c", "d"], None)})
    assert await server.pager().to_list() == list("abcd")


async def test_rows_without_an_id_are_all_kept() -> None:
    server = Server({None: (["?", "?"], "b"), "b": (["?"], None)})
    assert await server.pager().to_list() == ["?", "?", "?"]


async def test_only_so_many_ids_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_module, "_REMEMBERED", 2)
    server = Server({None: (["a", "b"], "2"), "2": (["c", "b", "d"], "3"), "3": (["d", "a", "c"], None)})
    assert await server.pager().to_list() == ["a", "b", "c", "d", "a"]


async def test_rows_of_the_page_before_are_remembered_however_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_module, "_REMEMBERED", 2)
    pages = [[str(row) for row in range(5 * page, 5 * page + 10)] for page in range(10)]
    server = Server({str(page) if page else None: (rows, str(page + 1)) for page, rows in enumerate(pages)})
    server.pages["9"] = (pages[9], None)
    assert await server.pager().to_list() == [str(row) for row in range(55)]


@pytest.mark.parametrize(("most", "asked"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (9, 3)])
@pytest.mark.parametrize("prefetch", [0, 1])
async def test_max_items_ends_the_walk_and_asks_for_no_more(most: int, asked: int, prefetch: int) -> None:
    server = three()
    assert await server.pager(max_items=most, prefetch=prefetch).to_list() == list("abcde")[:most]
    assert len(server.asked) == asked
    pages = [page async for page in server.pager(max_items=most, prefetch=prefetch).by_page()]
    assert [item for page in pages for item in page.items] == list("abcde")[:most]


async def test_a_page_that_is_cut_short_has_no_cursor() -> None:
    pages = [page async for page in three().pager(max_items=3).by_page()]
    assert [(page.items, page.next_start_key) for page in pages] == [(("a", "b"), "c"), (("c",), None)]


async def test_the_walk_begins_where_it_is_told() -> None:
    assert await three().pager(start_key="c").to_list() == list("cde")


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
        ({"resume": Checkpoint(scope="/things"), "start_key": "c"}, "not both"),
    ],
)
async def test_bad_arguments_are_refused_at_once(options: dict[str, Any], word: str) -> None:
    server = three()
    with pytest.raises(ConfigurationError, match=word):
        server.pager(**options)
    assert server.asked == []


# --- prefetch ------------------------------------------------------------------------------------


async def test_the_next_page_is_asked_for_before_this_one_is_converted() -> None:
    server = three()
    asked_when_reading: list[int] = []

    def read(envelope: Envelope) -> list[list[str]]:
        asked_when_reading.append(len(server.asked))
        return [envelope.data]

    server.read = read
    await server.pager().to_list()
    assert asked_when_reading == [2, 3, 3]
    server.asked.clear()
    asked_when_reading.clear()
    await server.pager(prefetch=0).to_list()
    assert asked_when_reading == [1, 2, 3]


@pytest.mark.parametrize(("turn", "turns"), [(0, 10), (1000, 0)])
async def test_other_tasks_run_while_a_long_page_is_read_and_while_it_is_handed_out(turn: float, turns: int) -> None:
    server = Server({None: ([str(number) for number in range(10)], None)})
    server.read = lambda envelope: ([row] for row in envelope.data)
    ticks = []

    async def other() -> None:
        while True:
            ticks.append(1)
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    server.turn = turn
    assert len((await server.pager()).items) == 10
    assert len(ticks) == turns
    async for _ in server.pager():
        pass
    task.cancel()
    assert len(ticks) == 3 * turns


@pytest.mark.parametrize(("row", "turns"), [("1", 0), (Raw(b"1"), 1)])
async def test_a_page_that_was_taken_apart_leaves_a_turn_to_others_first(row: Any, turns: int) -> None:
    server = Server({None: ([row], None)})
    server.read = lambda envelope: [[str(len(ticks)) for _ in envelope.data]]
    ticks: list[None] = []
    asyncio.get_running_loop().call_soon(ticks.append, None)
    assert await server.pager().to_list() == [str(turns)]


def in_pieces(envelope: Envelope) -> Iterable[Sequence[str]]:
    """Two rows a piece; an error behind the last one if there is a row ``!``, and nothing from its piece on."""
    wrong = False
    for first in range(0, len(envelope.data), 2):
        piece = envelope.data[first : first + 2]
        wrong = wrong or "!" in piece
        yield () if wrong else piece
    if wrong:
        raise DecodeError("no row")


async def test_by_item_a_page_is_read_no_further_than_it_is_asked_for() -> None:
    server = Server({None: (list("abcdefg"), "2"), "2": (list("hi"), None)})
    read: list[str] = []

    def watched(envelope: Envelope) -> Iterable[Sequence[str]]:
        for piece in in_pieces(envelope):
            read.extend(piece)
            yield piece

    server.read = watched
    ahead = [(item, "".join(read)) async for item in server.pager()]
    assert ahead[:5] == [("a", "ab"), ("b", "ab"), ("c", "abcd"), ("d", "abcd"), ("e", "abcdef")]
    assert [item for item, _ in ahead] == list("abcdefghi")
    read.clear()
    assert [item async for item in server.pager(max_items=3)] == list("abc")
    assert read == list("abcd")


async def test_by_item_an_error_comes_behind_the_rows_before_it() -> None:
    server = Server({None: (list("ab"), "2"), "2": (list("cde!f"), "3"), "3": (["g"], None)})
    server.read = in_pieces
    pager = server.pager()
    seen = []
    with pytest.raises(DecodeError) as caught:
        async for item in pager:
            seen.append(item)
    assert seen == list("abcd")
    assert caught.value.start_key == "2"
    server.pages["2"] = (list("cdef"), "3")
    assert await server.pager(resume=pager.checkpoint()).to_list() == list("efg")


async def test_by_page_a_page_with_an_error_is_none() -> None:
    server = Server({None: (list("abcde!f"), None)})
    server.read = in_pieces
    with pytest.raises(DecodeError):
        await server.pager()
    with pytest.raises(DecodeError):
        await anext(server.pager().by_page())


async def test_rows_are_dropped_counted_and_resumed_over_the_pieces_of_a_page() -> None:
    server = Server({None: (list("abbabcad"), "2"), "2": (list("ddef"), None)})
    server.read = in_pieces
    pager = server.pager(max_items=4)
    assert [item async for item in pager] == await server.pager(max_items=4).to_list() == list("abcd")
    assert await server.pager(resume=pager.checkpoint()).to_list() == list("ef")
    for stop in range(1, 7):
        seen: list[str] = []
        pager = server.pager()
        async for item in pager:
            seen.append(item)
            if len(seen) == stop:
                break
        assert seen + await server.pager(resume=pager.checkpoint()).to_list() == list("abcdef")


async def test_an_item_is_gone_when_the_caller_lets_go_of_it() -> None:
    class Row:
        pass

    def read(envelope: Envelope) -> Iterable[Any]:
        return map(lambda _: [Row() for _ in range(3)], envelope.data)  # noqa: C417  # a generator would hold them

    server = Server({None: (["a", "b"], None)})
    server.key = lambda row: ""  # type: ignore[method-assign]  # noqa: ARG005  # none of them has been seen
    server.read = read
    held: list[weakref.ref[Any]] = []
    async for item in server.pager():
        held.append(weakref.ref(item))
        assert [each() for each in held[:-1]] == [None] * (len(held) - 1)
        del item
    assert len(held) == 6


async def test_never_more_than_one_page_ahead() -> None:
    server = three()
    async for _ in server.pager():
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(server.asked) <= 2
        break


async def settle() -> None:
    for _ in range(5):
        gc.collect()
        await asyncio.sleep(0)


async def test_leaving_the_loop_ends_the_page_that_is_ahead() -> None:
    server = three()
    server.gates["c"] = asyncio.Event()
    async for _ in server.pager():
        await asyncio.sleep(0)
        assert len(server.tasks) == 1
        break
    await settle()
    assert server.tasks == set()
    assert len(asyncio.all_tasks()) == 1


async def test_an_error_in_the_loop_does_too() -> None:
    server = three()
    server.gates["c"] = asyncio.Event()
    with pytest.raises(KeyError):
        async for _ in server.pager():
            raise KeyError
    await settle()
    assert server.tasks == set()


async def test_closing_the_walk_waits_for_it() -> None:
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
    assert server.tasks == set()


async def test_a_page_ahead_that_fails_unseen_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    server = three()
    server.failing["c"] = ServerError("down", status=503)
    async for _ in server.pager():
        await asyncio.sleep(0)
        break
    await settle()
    assert caplog.text == ""


async def test_an_error_ahead_comes_after_the_rows_before_it() -> None:
    server = three()
    server.failing["c"] = ServerError("down", status=503)
    seen = []
    with pytest.raises(ServerError) as caught:
        async for item in server.pager():
            seen.append(item)
    assert seen == ["a", "b"]
    assert caught.value.start_key == "c"
    assert "start_key=c" in str(caught.value)


async def test_a_page_that_cannot_be_read_ends_what_is_ahead() -> None:
    server = three()
    server.gates["c"] = asyncio.Event()

    def read(envelope: Envelope) -> list[list[str]]:
        raise DecodeError("no listing")

    server.read = read
    with pytest.raises(DecodeError):
        await server.pager().to_list()
    assert server.tasks == set()


# --- checkpoints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", range(6))
@pytest.mark.parametrize("prefetch", [0, 1])
async def test_a_checkpoint_is_exact_at_every_item(stop: int, prefetch: int) -> None:
    server = three()
    pager = server.pager(prefetch=prefetch)
    seen = []
    if stop:
        async for item in pager:
            seen.append(item)
            if len(seen) == stop:
                break
    checkpoint = Checkpoint.from_json(pager.checkpoint().to_json())
    rest = await server.pager(resume=checkpoint).to_list()
    assert seen + rest == list("abcde")


async def test_a_checkpoint_after_an_error_goes_on_with_that_page() -> None:
    server = three()
    server.failing["c"] = ServerError("down", status=503)
    pager = server.pager()
    with pytest.raises(ServerError):
        await pager.to_list()
    del server.failing["c"]
    server.asked.clear()
    assert await server.pager(resume=pager.checkpoint()).to_list() == list("cde")
    assert server.asked == ["c", "e"]


async def test_a_checkpoint_by_page() -> None:
    server = three()
    pager = server.pager()
    async for page in pager.by_page():
        if page.start_key == "c":
            break
    assert await server.pager(resume=pager.checkpoint()).to_list() == ["e"]


async def test_a_checkpoint_of_a_finished_walk_sends_nothing() -> None:
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
        if item == "c":
            break
    server.pages["c"] = (["bb", "cc", "d"], "e")
    assert await server.pager(resume=pager.checkpoint()).to_list() == ["bb", "cc", "d", "e"]


async def test_rows_of_the_page_before_are_dropped_after_a_resume() -> None:
    server = Server({None: (["a", "b"], "b"), "b": (["a", "b", "c"], None)})
    pager = server.pager()
    async for page in pager.by_page():
        assert page.items == ("a", "b")
        break
    pager = server.pager(resume=pager.checkpoint())
    assert await pager.to_list() == ["c"]


async def test_and_after_an_error_between_the_two() -> None:
    server = Server({None: (["a", "b"], "b"), "b": (["a", "b", "c"], None)})
    server.failing["b"] = ServerError("down", status=503)
    pager = server.pager()
    with pytest.raises(ServerError):
        await pager.to_list()
    del server.failing["b"]
    assert await server.pager(resume=pager.checkpoint()).to_list() == ["c"]


async def test_max_items_counts_over_the_whole_walk() -> None:
    server = three()
    pager = server.pager(max_items=2)
    assert await pager.to_list() == ["a", "b"]
    server.asked.clear()
    assert await server.pager(max_items=2, resume=pager.checkpoint()).to_list() == []
    assert server.asked == []
    assert await server.pager(max_items=4, resume=pager.checkpoint()).to_list() == ["c", "d"]
    pager = server.pager(max_items=3)  # ends within a page
    assert await pager.to_list() == ["a", "b", "c"]
    assert await server.pager(max_items=5, resume=pager.checkpoint()).to_list() == ["d", "e"]
    pager = server.pager(max_items=4)
    async for _ in pager:
        break
    assert await server.pager(max_items=4, resume=pager.checkpoint()).to_list() == ["b", "c", "d"]


def test_a_checkpoint_is_a_value() -> None:
    checkpoint = Checkpoint(scope="/things", start_key="c", done=("a",), yielded=3)
    assert Checkpoint.from_json(checkpoint.to_json()) == checkpoint == pickle.loads(pickle.dumps(checkpoint))
    assert len({checkpoint, checkpoint}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"scope": 1},
        {"start_key": 1},
        {"done": "a"},
        {"done": [1]},
        {"yielded": "3"},
        {"yielded": -1},
        {"yielded": True},
        {"finished": 0},
        {"odd": 1},
        {"version": 2},
    ],
    ids=str,
)
def test_a_damaged_checkpoint_is_refused_in_words(change: dict[str, Any]) -> None:
    value = json.loads(Checkpoint(scope="/things").to_json()) | change
    with pytest.raises(ConfigurationError, match="checkpoint"):
        Checkpoint.from_json(json.dumps(value))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "{", 7, None])
def test_no_checkpoint_at_all(text: Any) -> None:
    with pytest.raises(ConfigurationError, match="to_json"):
        Checkpoint.from_json(text)
