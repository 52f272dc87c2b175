"""What every resource is made of: a listing of many documents, and a GET of one."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Generic, TypeVar

from .._documents.decode import iter_rows, read_one
from .._documents.models import Account, Callflow
from .._exceptions import DecodeError
from .._http.request import Envelope, Request, check_count, check_filters, check_id, get, page_of
from .._listing.pager import Pager
from .._pipeline.options import Options
from .._pipeline.send import Requester

if TYPE_CHECKING:
    from .._listing.checkpoint import Checkpoint

Document = TypeVar("Document", Account, Callflow)


Complete = Callable[[Envelope, float], Awaitable[Envelope]]


class Listing(Generic[Document]):
    """The pages of ``request``, each with ``page_size`` rows; ``complete`` may work on a page before it is read."""

    def __init__(
        self,
        requester: Requester,
        options: Options,
        kind: type[Document],
        request: Request,
        *,
        page_size: int | None,
        complete: Complete | None,
    ) -> None:
        self.scope = request.target
        self.turn = requester.limits.decode_turn
        self.tasks = requester.tasks
        self._requester = requester
        self._options = options
        self._kind: type[Document] = kind
        self._request = request
        self._page_size = page_size
        self._complete = complete

    def ends_at(self) -> float:
        return self._requester.ends_at(self._options)

    async def fetch(self, start_key: str | None, ends_at: float) -> Envelope:
        request = page_of(self._request, self._page_size, start_key)
        envelope = await self._requester.send(request, self._options, ends_at)
        return envelope if self._complete is None else await self._complete(envelope, ends_at)

    def read(self, envelope: Envelope) -> Iterator[Sequence[Document]]:
        problems: list[str] = []
        try:
            for documents, bad_rows in iter_rows(envelope.data, self._kind):
                problems += [problem for row in bad_rows for problem in row.problems]
                yield [] if problems else documents
        except DecodeError as error:
            error.account_id, error.request_id = self._request.account_id, envelope.request_id
            raise
        if problems:
            raise DecodeError(
                "the listing has rows that cannot be read",
                problems=tuple(problems[:100]),
                account_id=self._request.account_id,
                request_id=envelope.request_id,
            )

    key = staticmethod(attrgetter("id"))


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
        resume: "Checkpoint | None" = None,
        complete: Complete | None = None,
    ) -> Pager[Document]:
        """A pager over ``GET /accounts/{account_id}/{endpoint}``; ``complete`` may work on a page first."""
        request = get(
            "accounts",
            check_id("account_id", account_id),
            *endpoint,
            query=check_filters(filters),
            account_id=account_id,
            kind=kind if complete is None else None,
        )
        check_count("page_size", page_size)
        return Pager(
            Listing(self._requester, self._options, kind, request, page_size=page_size, complete=complete),
            start_key=start_key,
            max_items=max_items,
            prefetch=prefetch,
            resume=resume,
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
