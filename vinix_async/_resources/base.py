"""The base class of ``Callflows`` and ``Accounts``, which lists documents and reads single documents."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from attrs import evolve

from .._config import SWEEP_PATIENCE, CallOptions, check_count
from .._documents.decode import read_one
from .._documents.models import Account, Callflow
from .._exceptions import ConfigurationError, DecodeError
from .._http.request import Request, check_id, get
from .._http.response import Envelope, about_response
from .._listing.pager import Listing, OnBadItem, Pager
from .._pipeline.send import Sender

if TYPE_CHECKING:
    from .._listing.checkpoint import Checkpoint

D = TypeVar("D", bound=Account | Callflow)


class Resource:
    """The base class of ``Callflows`` and ``Accounts``."""

    def __init__(self, sender: Sender, options: CallOptions) -> None:
        self._sender = sender
        self._options = options

    def _list(
        self,
        kind: type[D],
        account_id: str,
        endpoint: str,
        *,
        page_size: int | None,
        max_items: int | None,
        start_key: str | None,
        query: Mapping[str, str] | None = None,
        details: bool = False,
        prefetch: int,
        resume: "Checkpoint | None",
        on_bad_item: OnBadItem,
    ) -> Pager[D]:
        """Return a pager for ``GET /accounts/{account_id}/{endpoint}``."""
        check_id("account_id", account_id)
        check_count("page_size", page_size)
        listing: Listing[D] = Listing(
            sender=self._sender,
            options=self._options if kind is Callflow else evolve(self._options, patience=SWEEP_PATIENCE),
            request=get("accounts", account_id, endpoint, query=query, account_id=account_id, kind=kind),
            kind=kind,
            page_size=page_size,
            fetch_one=partial(self._get_listed, kind, account_id, endpoint) if details else None,
            max_items=max_items,
            start_key=start_key,
            prefetch=prefetch,
            resume=resume,
            on_bad_item=on_bad_item,
        )
        return Pager(listing)

    async def _get(self, kind: type[D], request: Request, ends_at: float | None = None) -> D:
        """Send ``request`` and return the document in the response."""
        if ends_at is None:
            ends_at = self._sender.ends_at(self._options)
        return self._document(kind, request, await self._sender.send(request, self._options, ends_at))

    def _document(self, kind: type[D], request: Request, envelope: Envelope) -> D:
        """Return the document in ``envelope``, the response to ``request``."""
        try:
            return read_one(envelope.data, kind)
        except DecodeError as error:
            about_response(error, request, envelope)
            raise

    async def _get_listed(self, kind: type[D], account_id: str, endpoint: str, id_: str, ends_at: float) -> D:
        """Return the full document of a listing's row."""
        try:
            check_id("its id", id_)
        except ConfigurationError as error:
            raise DecodeError(f"a callflow of the listing cannot be requested: {error}", attempts=0) from None
        request = get("accounts", account_id, endpoint, id_, account_id=account_id, callflow_id=id_)
        return await self._get(kind, request, ends_at)
