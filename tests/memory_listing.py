"""A listing in memory: pages by cursor, without a server."""

import asyncio
import math
from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import parse_qs

from vinix_async import Callflow, Pager, RetryPolicy
from vinix_async._config import CallOptions
from vinix_async._http.request import Request
from vinix_async._http.response import Envelope
from vinix_async._listing.pager import Listing
from vinix_async._pipeline.events import Event
from vinix_async._pipeline.send import Sender


class MemoryListing:
    """Answers from ``pages``: the rows of each cursor, and the cursor after them.

    A row that begins with ``?`` has no id, one with ``!`` has a wrong field. Each requested cursor is kept in
    ``asked``. A cursor in ``failing`` gets its error; one in ``gates`` waits.
    """

    def __init__(self, pages: dict[str | None, tuple[Iterable[Any], str | None]]) -> None:
        self.pages = pages
        self.scope = "/accounts/x/callflows"
        self.asked: list[str | None] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self.failing: dict[str | None, Exception] = {}
        self.gates: dict[str | None, asyncio.Event] = {}
        self.events: list[Event] = []
        self.options = CallOptions(
            timeout=1.0, deadline=None, retry=RetryPolicy(), on_retry=None, listeners=(self.events.append,)
        )

    async def send(self, request: Request, options: CallOptions, ends_at: float) -> Envelope:
        assert options is self.options
        return await self.fetch(parse_qs(request.query).get("start_key", [None])[0], ends_at)

    async def fetch(self, cursor: str | None, ends_at: float) -> Envelope:
        assert ends_at == math.inf
        self.asked.append(cursor)
        if cursor in self.gates:
            await self.gates[cursor].wait()
        if cursor in self.failing:
            raise self.failing[cursor]
        rows, following = self.pages[cursor]
        data = [row(each) if isinstance(each, str) else each for each in rows]
        return Envelope(
            data=data, next_start_key=following, page_size=len(data), request_id=f"r{len(self.asked)}", attempts=2
        )

    def ends_at(self, options: CallOptions) -> float:
        assert options.deadline is None
        return math.inf

    def start(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def pager(self, **options: Any) -> Pager[Callflow]:
        path, _, query = self.scope.partition("?")
        listing = Listing(
            sender=cast("Sender", self),
            options=self.options,
            request=Request("GET", path, "x", query=query),
            kind=Callflow,
            page_size=None,
            fetch_one=None,
            **options,
        )
        return Pager(listing)


def row(name: str) -> dict[str, Any]:
    if name.startswith("?"):
        return {"name": name}
    return {"id": name, "name": 7} if name.startswith("!") else {"id": name}


def ids(callflows: Iterable[Callflow]) -> list[str]:
    return [callflow.id for callflow in callflows]
