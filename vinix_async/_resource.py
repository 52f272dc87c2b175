"""What every resource is made of: a listing of many documents, and a GET of one."""

import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TypeVar

from ._checkpoint import Checkpoint
from ._convert import iter_rows, read_one
from ._exceptions import DecodeError
from ._models import Account, Callflow
from ._pager import Pager
from ._requester import Options, Requester
from ._wire import Envelope, check_count, check_filters, check_id, get, page_of

Document = TypeVar("Document", Account, Callflow)


class Resource:
    """The endpoints of one kind of document."""

    def __init__(self, requester: Requester, options: Options) -> None:
        self._requester = requester
        self._options = options

    def _listing(
        self,
        kind: type[Document],
        account_id: str,
        *endpoint: str,
        page_size: int | None,
        max_items: int | None,
        start_key: str | None = None,
        filters: Mapping[str, str] | None = None,
        prefetch: int = 1,
        resume: Checkpoint | None = None,
        complete: Callable[[Envelope, float], Awaitable[Envelope]] | None = None,
    ) -> Pager[Document]:
        """A pager over ``GET /accounts/{account_id}/{endpoint}``; ``complete`` may work on a page first."""
        listing = get(
            "accounts",
            check_id("account_id", account_id),
            *endpoint,
            query=check_filters(filters),
            account_id=account_id,
            kind=kind if complete is None else None,
        )
        check_count("page_size", page_size)
        first = resume.start_key if resume is not None else start_key
        ends_at = math.inf

        async def fetch(cursor: str | None) -> Envelope:
            nonlocal ends_at
            if cursor == first:  # a walk begins: no cursor comes twice in one
                ends_at = self._requester.ends_at(self._options)
            request = page_of(listing, page_size, cursor)
            envelope = await self._requester.send(request, self._options, ends_at)
            return envelope if complete is None else await complete(envelope, ends_at)

        def read(envelope: Envelope) -> Iterator[Sequence[Document]]:
            try:
                yield from iter_rows(envelope.data, kind)
            except DecodeError as error:
                error.account_id, error.request_id = account_id, envelope.request_id
                raise

        return Pager(
            fetch,
            read,
            scope=listing.target,
            key=attrgetter("id"),
            start_key=start_key,
            max_items=max_items,
            prefetch=prefetch,
            resume=resume,
            turn=self._requester.limits.decode_turn,
            tasks=self._requester.tasks,
        )

    async def _one(self, kind: type[Document], account_id: str, *endpoint: str) -> Document:
        request = get("accounts", check_id("account_id", account_id), *endpoint, account_id=account_id)
        ends_at = self._requester.ends_at(self._options)
        envelope = await self._requester.send(request, self._options, ends_at)
        try:
            return read_one(envelope.data, kind)
        except DecodeError as error:
            error.account_id, error.request_id = account_id, envelope.request_id
            raise
