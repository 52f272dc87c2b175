"""Walks over a listing that changes meanwhile: what is there all the time is yielded exactly once."""

import asyncio
import math
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from vinix_async import Checkpoint, Pager, ServerError
from vinix_async._http.request import Envelope
from vinix_async.sandbox.cursors import decode_cursor, encode_cursor
from vinix_async.sandbox.paging import KeyPage, kazoo5_page, kazoo43_page

KEYS = [f"{number:02}" for number in range(40)]
keys = st.sampled_from(KEYS)


class Server:
    """One of the two engines over keys that change with every request, and requests that fail."""

    def __init__(
        self, *, engine: str, present: set[str], size: int, wanted: set[str] | None, changes: list[Any]
    ) -> None:
        self.scope = "/x"
        self.turn = 0.0005
        self.tasks: set[asyncio.Task[Any]] = set()
        self.engine = engine
        self.present = set(present)
        self.always = set(present)
        self.size = size
        self.wanted = wanted
        self.changes = list(changes)
        self.failing: set[int] = set()
        self.requests = 0

    def ends_at(self) -> float:
        return math.inf

    def key(self, row: str) -> str:
        return row

    def read(self, envelope: Envelope) -> list[list[str]]:
        return [envelope.data]

    async def fetch(self, cursor: str | None, ends_at: float) -> Envelope:
        assert ends_at == math.inf
        await asyncio.sleep(0)
        self.requests += 1
        if self.requests > 1 and self.changes:
            added, removed = self.changes.pop(0)
            self.present = (self.present | added) - removed
            self.always -= removed
        if self.requests in self.failing:
            raise ServerError("down", status=503)
        ordered = sorted(self.present)
        start = None if cursor is None else decode_cursor(cursor)

        def passes(key: str) -> bool:
            return self.wanted is None or key in self.wanted

        page: KeyPage
        if self.engine == "kazoo43":
            page = kazoo43_page(ordered, start, self.size, passes)
        else:
            page = kazoo5_page(ordered, start, self.size, passes, ascending=self.engine == "ascending")
        following = None if page.next_key is None else encode_cursor(page.next_key)
        return Envelope(data=list(page.keys), next_start_key=following)

    def pager(self, **options: Any) -> Pager[str]:
        return Pager(self, **options)

    def promised(self) -> set[str]:
        """What was there from the first page to the last, and passes the filter."""
        return self.always if self.wanted is None else self.always & self.wanted


changes = st.tuples(st.sets(keys, max_size=6), st.sets(keys, max_size=6))
servers = st.builds(
    Server,
    engine=st.sampled_from(["kazoo5", "ascending", "kazoo43"]),
    present=st.sets(keys, min_size=5),
    size=st.integers(1, 12),
    wanted=st.none() | st.sets(keys),
    changes=st.lists(changes, max_size=10),
)


@given(servers, st.sampled_from([0, 1]))
async def test_what_is_there_all_the_time_comes_exactly_once(server: Server, prefetch: int) -> None:
    found = await server.pager(prefetch=prefetch).to_list()
    assert len(found) == len(set(found))
    assert server.promised() <= set(found)


def pushed() -> Server:
    """Rows put in before the one that was handed out push it to a later page than the checkpoint's."""
    present = {"02", "03", "04", "05", "06"}
    return Server(engine="ascending", present=present, size=1, wanted=None, changes=[({"00", "01"}, set())])


@given(servers, st.sampled_from([0, 1]), st.sets(st.integers(1, 30)), st.lists(st.integers(0, 10), max_size=20))
@example(pushed(), 0, set(), [0, 0, 0])
async def test_also_over_failures_and_interruptions(
    server: Server, prefetch: int, failing: set[int], stops: list[int]
) -> None:
    """Every failure or stop is followed by a new walk from the checkpoint, which has been through JSON."""
    server.failing = failing
    found: list[str] = []
    checkpoint: Checkpoint | None = None
    while checkpoint is None or not checkpoint.finished:
        pager = server.pager(prefetch=prefetch, resume=checkpoint)
        left = stops.pop() if stops else 1000
        try:
            async for key in pager:
                found.append(key)
                left -= 1
                if left <= 0:
                    break
        except ServerError:
            pass
        checkpoint = Checkpoint.from_json(pager.checkpoint().to_json())
    assert len(found) == len(set(found))
    assert server.promised() <= set(found)
