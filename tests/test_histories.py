"""Random histories: every reachable callflow is handed out exactly once, every unreachable one is named once."""

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from attrs import define, field
from hypothesis import example, given
from hypothesis import strategies as st
from memory_listing import MemoryListing, ids
from scripted import failure, scripted_server, success

from vinix_async import (
    AccountPage,
    AccountResult,
    ApiKeyAuth,
    AuthenticationError,
    Checkpoint,
    ServerError,
    SweepCheckpoint,
    VinixClient,
)
from vinix_async._http.response import Envelope
from vinix_async.sandbox.cursors import decode_cursor, encode_cursor
from vinix_async.sandbox.key_pages import KeyPage, kazoo5_page, kazoo43_page
from vinix_async.testing import VirtualClock

# --- one listing that changes meanwhile ------------------------------------------------------------

KEYS = [f"{number:02}" for number in range(40)]
keys = st.sampled_from(KEYS)


class Server(MemoryListing):
    """One of the two engines over keys that change with every request, and requests that fail."""

    def __init__(
        self, *, engine: str, present: set[str], size: int, wanted: set[str] | None, changes: list[Any]
    ) -> None:
        super().__init__({})
        self.engine = engine
        self.present = set(present)
        self.always = set(present)
        self.size = size
        self.wanted = wanted
        self.changes = list(changes)
        self.failing_requests: set[int] = set()
        self.bad: set[str] = set()
        self.requests = 0

    async def fetch(self, cursor: str | None, ends_at: float) -> Envelope:
        assert ends_at == math.inf
        await asyncio.sleep(0)
        self.requests += 1
        if self.requests > 1 and self.changes:
            added, removed = self.changes.pop(0)
            self.present = (self.present | added) - removed
            self.always -= removed
        if self.requests in self.failing_requests:
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
        rows = [{"id": key, "name": 7 if key in self.bad else None} for key in page.keys]
        return Envelope(data=rows, next_start_key=following)

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
    found = ids(await server.pager(prefetch=prefetch).to_list())
    assert len(found) == len(set(found))
    assert server.promised() <= set(found)


def pushed() -> Server:
    """Rows put in before the one that was handed out push it to a later page than the checkpoint's."""
    present = {"02", "03", "04", "05", "06"}
    return Server(engine="ascending", present=present, size=1, wanted=None, changes=[({"00", "01"}, set())])


@given(
    servers,
    st.sampled_from([0, 1]),
    st.sets(st.integers(1, 30)),
    st.lists(st.integers(0, 10), max_size=20),
    st.sets(keys, max_size=10),
)
@example(pushed(), 0, set(), [0, 0, 0], set())
async def test_also_over_failures_bad_rows_and_interruptions(
    server: Server, prefetch: int, failing: set[int], stops: list[int], bad: set[str]
) -> None:
    """Every failure or stop is followed by a new iteration from the checkpoint, which has been through JSON.

    Before each of them, one bad row is repaired.
    """
    server.failing_requests = failing
    server.bad = set(bad)
    found: list[str] = []
    reported: set[str] = set()
    checkpoint: Checkpoint | None = None
    while checkpoint is None or not checkpoint.finished:
        pager = server.pager(prefetch=prefetch, resume=checkpoint, on_bad_item="skip")
        left = stops.pop() if stops else 1000
        with contextlib.suppress(ServerError):
            async for item in pager:
                found.append(item.id)
                left -= 1
                if left <= 0:
                    break
        named = [item.id or "" for item in pager.bad_items]
        assert len(named) == len(set(named))
        assert set(named) <= bad - set(found)
        reported |= set(named)
        if server.bad:
            server.bad.pop()
        checkpoint = Checkpoint.from_json(pager.checkpoint().to_json())
    assert len(found) == len(set(found))
    assert server.promised() <= set(found)
    assert reported <= bad


# --- sweeps ----------------------------------------------------------------------------------------

NAMES = ("a", "b", "c", "d", "e")
BROKEN_DOCUMENTS = ("403", "500", "503", "html", "wrong depth", "wrong type")
REFUSALS = ("500", "502", "503", "html", "reset", "429", "401")


@define
class Round:
    """What happens while one sweep runs.

    Attributes:
        broken: the accounts that answer with an error, and its status.
        bad: the callflows that cannot be read, and why: ``row`` or a kind of broken document.
        refusals: by the number of the request, how it is refused.
        outage: the number of the request with which an outage begins, and how many requests it lasts.
        stop: after how many outcomes the loop is left.
        leave: how it is left.
    """

    broken: dict[str, int]
    bad: dict[str, str]
    refusals: dict[int, str]
    outage: tuple[int, int]
    stop: int = 10**6
    leave: str = "break"


@define
class World:
    """Accounts with callflows, as a server that goes through rounds."""

    accounts: dict[str, list[str]]
    now: Round
    requests: int = 0
    seen: list[str] = field(factory=list)

    def answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        refusal = self.now.refusals.get(self.requests)
        begins, length = self.now.outage
        if begins <= self.requests < begins + length:
            refusal = "502"
        if refusal == "reset":
            assert request.transport is not None
            request.transport.abort()
            refusal = "502"
        if refusal is not None:
            return self._refusal(request, refusal)
        account_id, _, callflow_id = request.path.removeprefix("/v2/accounts/").partition("/callflows")
        if account_id in self.now.broken:
            return failure(request, self.now.broken[account_id])
        if callflow_id:
            return self._document(request, callflow_id.removeprefix("/"))
        rows: list[Any] = [
            {"id": each, "numbers": [1] if self.now.bad.get(each) == "row" else ["1"]}
            for each in self.accounts[account_id]
        ]
        first = int(request.query.get("start_key", "0"))
        following = {"next_start_key": str(first + 2)} if first + 2 < len(rows) else {}
        return success(request, rows[max(0, first - 1) : first + 2], **following)  # type: ignore[arg-type]  # no status

    def _document(self, request: web.Request, callflow_id: str) -> web.Response:
        kind = self.now.bad.get(callflow_id)
        if kind == "wrong depth":
            flow = {"module": "menu", "data": {}, "children": {"module": "user", "data": {}}}
            return success(request, {"id": callflow_id, "flow": flow})
        if kind in {"wrong type", "row"}:
            return success(request, {"id": callflow_id, "modules": 5})
        return self._refusal(request, kind) if kind else success(request, {"id": callflow_id, "flow": {}})

    def _refusal(self, request: web.Request, kind: str) -> web.Response:
        if kind == "html":
            return web.Response(text="<html>", content_type="text/html")
        return failure(request, int(kind))

    def names(self, account_id: str) -> set[str]:
        return set(self.accounts[account_id])


callflow_ids = [f"{name}{number}" for name in NAMES for number in range(7)]
rounds = st.builds(
    Round,
    broken=st.dictionaries(st.sampled_from(NAMES), st.sampled_from([403, 404, 500, 503]), max_size=2),
    bad=st.dictionaries(st.sampled_from(callflow_ids), st.sampled_from(["row", *BROKEN_DOCUMENTS]), max_size=4),
    refusals=st.dictionaries(st.integers(1, 40), st.sampled_from(REFUSALS), max_size=8),
    outage=st.tuples(st.integers(1, 30), st.integers(0, 8)),
    stop=st.integers(1, 12),
    leave=st.sampled_from(["break", "error", "cancel"]),
)
last_rounds = st.builds(
    Round,
    broken=st.dictionaries(st.sampled_from(NAMES), st.sampled_from([403, 500, 503]), max_size=1),
    bad=st.dictionaries(st.sampled_from(callflow_ids), st.sampled_from(["row", *BROKEN_DOCUMENTS]), max_size=3),
    refusals=st.dictionaries(st.integers(1, 40), st.sampled_from(REFUSALS[:-2]), max_size=1),
    outage=st.tuples(st.integers(1, 30), st.integers(0, 3)),
)
"""Fewer failures than a request has attempts. A 429 after the last one would fail the account, as it should."""

ways = st.fixed_dictionaries(
    {
        "max_concurrency": st.integers(1, 4),
        "ordered": st.booleans(),
        "details": st.booleans(),
        "prefetch": st.sampled_from([0, 1]),
    }
)


def broken_document_in_an_outage(
    sizes: list[int], bad: dict[str, str], outage: tuple[int, int], *, ordered: bool
) -> dict[str, Any]:
    """Return an example in which an outage begins with a document that always fails, read by the only call."""
    return {
        "sizes": sizes,
        "history": [],
        "last": Round(broken={}, bad=bad, refusals={}, outage=outage),
        "way": {"max_concurrency": 1, "ordered": ordered, "details": True, "prefetch": 0},
        "by_page": False,
        "piped": False,
    }


@given(
    sizes=st.lists(st.integers(0, 7), min_size=len(NAMES), max_size=len(NAMES)),
    history=st.lists(rounds, max_size=3),
    last=last_rounds,
    way=ways,
    by_page=st.booleans(),
    piped=st.booleans(),
)
@example(**broken_document_in_an_outage([1, 0, 0, 0, 0], {"a0": "500"}, (2, 2), ordered=False))
@example(**broken_document_in_an_outage([3, 6, 0, 0, 0], {"b6": "row", "b4": "500"}, (18, 2), ordered=True))
@example(**broken_document_in_an_outage([5, 0, 0, 0, 0], {"a2": "503"}, (7, 3), ordered=False))
@example(**broken_document_in_an_outage([5, 0, 0, 0, 0], {"a2": "html"}, (9, 1), ordered=False))
async def test_a_sweep_reads_each_reachable_callflow_once_and_names_each_unreachable_one(
    sizes: list[int], history: list[Round], last: Round, way: dict[str, Any], *, by_page: bool, piped: bool
) -> None:
    accounts = {name: [f"{name}{number}" for number in range(size)] for name, size in zip(NAMES, sizes, strict=True)}
    world = World(accounts, last)
    found: Counter[str] = Counter()
    checkpoint: SweepCheckpoint | None = None
    outcomes: list[Any] = []
    async with scripted_server() as server:
        server.otherwise = world.answer
        for world.now in [*history, last]:
            world.requests = 0
            outcomes = []
            # A client for each, as for a job that is started again.
            async with VinixClient(auth=ApiKeyAuth("k" * 64), base_url=server.url, clock=VirtualClock()) as client:
                sweep = client.callflows.list_many(named_slowly() if piped else NAMES, resume=checkpoint, **way)
                outcomes = await run(sweep, world.now, by_page=by_page)
                assert not client._sender._tasks
            found.update(callflow_id for outcome in outcomes for callflow_id in read_by(outcome))
            checkpoint = SweepCheckpoint.from_json(sweep.checkpoint().to_json())
            named = Counter(bad.id for outcome in outcomes for bad in outcome.bad_items)
            assert set(named.values()) <= {1}
            assert not named.keys() & found.keys()
    assert checkpoint is not None
    assert set(found.values()) <= {1}
    failed = {outcome.account_id: outcome.error for outcome in outcomes if outcome.error}
    assert failed.keys() <= last.broken.keys()
    for account_id, callflows in accounts.items():
        missing = set(callflows) - found.keys()
        if account_id in failed:
            assert account_id not in checkpoint.done
            assert failed[account_id].account_id == account_id
            assert failed[account_id].gave_up
            continue
        unreachable = {each for each in missing if last.bad.get(each) in bad_kinds(details=way["details"])}
        assert missing == unreachable
        assert missing == {each for each in named if str(each).startswith(account_id)}
        assert (account_id in checkpoint.done) == (not missing)


def bad_kinds(*, details: bool) -> set[str]:
    return {"row", *BROKEN_DOCUMENTS} if details else {"row"}


async def named_slowly() -> AsyncIterator[str]:
    for name in NAMES:
        await asyncio.sleep(0)
        yield name


async def run(sweep: Any, now: Round, *, by_page: bool) -> list[AccountPage | AccountResult]:
    """Read the sweep until its end, or until it is left."""
    outcomes: list[AccountPage | AccountResult] = []

    async def loop() -> None:
        async for outcome in sweep.by_page() if by_page else sweep:
            outcomes.append(outcome)
            if len(outcomes) == now.stop:
                if now.leave == "break":
                    break
                if now.leave == "error":
                    raise LookupError
                await asyncio.Event().wait()

    async with sweep:
        task = asyncio.create_task(loop())
        while not task.done():
            await asyncio.sleep(0)
            if len(outcomes) == now.stop and now.leave == "cancel":
                task.cancel()
        with contextlib.suppress(LookupError, asyncio.CancelledError, AuthenticationError):
            await task
    return outcomes


def read_by(outcome: AccountPage | AccountResult) -> list[str]:
    return ids(outcome.items if isinstance(outcome, AccountPage) else outcome.callflows)
