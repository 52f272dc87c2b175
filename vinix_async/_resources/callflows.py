"""The callflows of an account."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from .._documents.decode import read_rows
from .._documents.models import Callflow
from .._exceptions import ConfigurationError, DecodeError, NotFoundError
from .._http.request import MISSING, Envelope, check_count, check_filters, check_id, get
from .._http.response import decode_envelope
from .._listing.pager import Pager
from .._listing.walk import Page
from .base import Resource

if TYPE_CHECKING:
    from .._listing.checkpoint import Checkpoint
    from .._listing.sweep import AccountIds, AccountSweep, SweepCheckpoint

_GONE: Final = object()


class Callflows(Resource):
    """``client.callflows``."""

    def list(
        self,
        account_id: str,
        *,
        page_size: int | None = None,
        max_items: int | None = None,
        start_key: str | None = None,
        filters: Mapping[str, str] | None = None,
        details: bool = False,
        prefetch: int = 1,
        resume: "Checkpoint | None" = None,
    ) -> Pager[Callflow]:
        """The callflows of one account: ``GET /accounts/{account_id}/callflows``, page after page.

        Nothing is sent before the pager is iterated or awaited. The server sends summaries, without
        ``flow``, ``metaflow``, ``ringback`` and ``metadata``; with ``details=True`` each one is read whole,
        by one more request, and one that is deleted meanwhile is left out. The order is the server's: it
        differs between its versions, so sort if you need one.

        Args:
            account_id: sent unchanged, as one segment of the path.
            page_size: rows for each request; the server's default is 50.
            max_items: how many callflows at most, over all pages.
            start_key: a cursor to begin at, such as an error's ``start_key``, or a callflow's id.
            filters: the server's own parameters, as ``{"filter_type": "mainUserCallflow"}``,
                ``{"has_key": "featurecode.name"}``; they hold for every page.
            details: read each callflow whole.
            prefetch: 1 to ask for the next page while this one is read, 0 not to.
            resume: a ``Checkpoint`` of an earlier walk of the same account and filters.

        Raises (the pager):
            ConfigurationError: an argument is wrong; at once, before anything is sent.
            APIStatusError: the server refused, and went on refusing where another attempt could help.
            APIConnectionError, APITimeoutError: no usable reply, or none in time.
            DecodeError: a reply has another shape than the API's; ``problems`` names each field.
            PaginationLoopError: the server's cursors go round in a circle.
            ClientClosedError: the client was closed.
        """
        return self._listing(
            Callflow,
            account_id,
            "callflows",
            page_size=page_size,
            max_items=max_items,
            start_key=start_key,
            filters=filters,
            prefetch=prefetch,
            resume=resume,
            complete=partial(self._details, account_id) if details else None,
        )

    def list_many(
        self,
        account_ids: "AccountIds",
        *,
        max_concurrency: int = 32,
        ordered: bool = False,
        page_size: int | None = None,
        max_items: int | None = None,
        filters: Mapping[str, str] | None = None,
        details: bool = False,
        prefetch: int = 1,
        resume: "SweepCheckpoint | None" = None,
    ) -> "AccountSweep":
        """The callflows of many accounts, several at a time: one ``AccountResult`` for each account.

        Args:
            account_ids: a list, any iterable or an async one, of ids or of accounts:
                ``client.accounts.descendants(...)`` can be given as it is, and is read no faster than needed. An id
                that comes twice is read once.
            max_concurrency: accounts at once. Results that have not been taken yet count too, so the memory
                that a sweep needs does not grow with the number of accounts.
            ordered: yield results in the order of the ids; otherwise as they complete.
            page_size: as in ``list``.
            max_items: as in ``list``, for each account.
            filters: as in ``list``.
            details: as in ``list``.
            prefetch: as in ``list``.
            resume: a ``SweepCheckpoint`` of an earlier sweep with the same filters; only what it lacks is read.

        Raises ``ConfigurationError`` at once for a bad argument. An account's own error is in its result.
        """
        from .._listing.sweep import AccountSweep, SweepStats  # noqa: PLC0415  # most programs make none

        options: dict[str, Any] = {
            "page_size": page_size,
            "max_items": max_items,
            "filters": filters,
            "details": details,
            "prefetch": prefetch,
        }
        if check_count("max_concurrency", max_concurrency) is None:
            raise ConfigurationError("max_concurrency must be an int")
        self.list("checks the options", **options)
        stats = SweepStats()
        metered = Callflows(self._requester, structs.replace(self._options, meter=stats))
        return AccountSweep(
            account_ids,
            lambda account_id, checkpoint: metered.list(account_id, resume=checkpoint, **options),
            scope=get("callflows", query=check_filters(filters)).target.partition("?")[2],
            clock=self._requester.clock,
            stats=stats,
            max_concurrency=max_concurrency,
            ordered=ordered,
            resume=resume,
            tasks=self._requester.tasks,
        )

    async def get(self, account_id: str, callflow_id: str) -> Callflow:
        """One whole callflow, with ``metadata``: names and numbers of what its nodes refer to, by id.

        Raises ``NotFoundError`` if there is none, and what ``list`` raises.
        """
        return await self._one(Callflow, account_id, "callflows", check_id("callflow_id", callflow_id))

    async def _details(self, account_id: str, envelope: Envelope, ends_at: float) -> Envelope:
        """The envelope with each summary replaced by its whole document, in the same order."""
        rows = envelope.data
        if not isinstance(rows, list):
            return envelope

        async def whole(row: Any) -> Any:
            callflow_id = row.get("id") if isinstance(row, dict) else None
            if not isinstance(callflow_id, str) or not callflow_id:
                return row
            try:
                check_id("its id", callflow_id)
            except ConfigurationError as error:
                raise DecodeError(
                    f"a callflow in the listing cannot be asked for: {error}",
                    account_id=account_id,
                    request_id=envelope.request_id,
                ) from None
            request = get("accounts", account_id, "callflows", callflow_id, account_id=account_id)
            try:
                data = (await self._requester.send(request, self._options, ends_at)).data
            except NotFoundError:
                self._options.meter.deleted += 1
                return _GONE
            return None if data is MISSING else data

        tasks: list[asyncio.Task[Any]] = []
        try:
            async with asyncio.TaskGroup() as group:
                tasks.extend(group.create_task(whole(row)) for row in rows)
        except BaseExceptionGroup as errors:
            first = errors.exceptions[0]
        else:
            return structs.replace(envelope, data=[data for task in tasks if (data := task.result()) is not _GONE])
        raise first


def decode_page(body: bytes) -> Page[Callflow]:
    """The page in ``body``, one listing's reply as the server sent it; ``start_key`` is not known here.

    Raises ``DecodeError`` if it is no listing of callflows.
    """
    envelope = decode_envelope(body, Callflow)
    items = read_rows(envelope.data, Callflow)
    return Page(
        items=items,
        next_start_key=envelope.next_start_key,
        start_key=None,
        page_size=envelope.page_size,
        request_id=envelope.request_id,
    )
