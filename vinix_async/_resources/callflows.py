"""The callflows of one account or of many."""

from typing import TYPE_CHECKING, Any

from attrs import evolve

from .._config import SWEEP_PATIENCE, check_count
from .._documents.models import Callflow
from .._exceptions import ConfigurationError
from .._http.request import Filters, check_filters, check_id, describe_filters, get
from .._listing.pager import OnBadItem, Pager
from .._public import public
from .base import Resource

if TYPE_CHECKING:
    from .._listing.checkpoint import Checkpoint, SweepCheckpoint
    from .._listing.sweep import AccountIds, AccountSweep
    from .._pipeline.events import Listener


@public
class Callflows(Resource):
    """``client.callflows``."""

    def list(
        self,
        account_id: str,
        *,
        page_size: int | None = None,
        max_items: int | None = None,
        start_key: str | None = None,
        filters: Filters | None = None,
        details: bool = False,
        prefetch: int = 1,
        resume: "Checkpoint | None" = None,
        on_bad_item: OnBadItem = "raise",
    ) -> Pager[Callflow]:
        """List the callflows of one account: ``GET /accounts/{account_id}/callflows``, page after page.

        Nothing is sent before the pager is iterated over or awaited. The server sends summaries, without ``flow``,
        ``metaflow``, ``ringback`` and ``metadata``. With ``details=True`` each callflow is read whole, by one more
        request; at most ``Limits.per_account`` of them are requested ahead, and a callflow that is deleted meanwhile
        is left out. The order is the server's, which differs between its versions.

        Args:
            account_id: the account's id, sent unchanged.
            page_size: rows per request; the server's default is 50.
            max_items: how many callflows to yield at most, over all pages.
            start_key: a cursor to begin at, such as an error's ``start_key``, or a callflow's id.
            filters: the server's own parameters, such as ``{"filter_type": "mainUserCallflow"}`` or
                ``{"modified_from": datetime(2026, 11, 1, tzinfo=UTC)}``. A sequence of values means "one of them".
            details: read each callflow whole.
            prefetch: 1 to ask for the next page while this one is worked on, 0 not to.
            resume: a ``Checkpoint`` of an earlier listing of the same account with the same filters.
            on_bad_item: what to do with a row or a document that cannot be read: ``"raise"`` its error, or ``"skip"``
                it and report a ``BadItem`` in ``Page.bad_items`` and ``Pager.bad_items``.

        Raises:
            ConfigurationError: an argument is wrong. It is raised by this call, before anything is sent.
            APIStatusError: the server answered with an error, to the last attempt where another one could help.
            APIConnectionError, APITimeoutError: no usable response came, or none in time.
            DecodeError: a response does not have the API's shape; ``problems`` names each field.
            PaginationLoopError: the server's cursors form a loop.
            ClientClosedError: the client was closed.
        """
        return self._list(
            Callflow,
            account_id,
            "callflows",
            page_size=page_size,
            max_items=max_items,
            start_key=start_key,
            filters=filters,
            details=details,
            prefetch=prefetch,
            resume=resume,
            on_bad_item=on_bad_item,
        )

    def list_many(
        self,
        account_ids: "AccountIds",
        *,
        max_concurrency: int = 32,
        ordered: bool = False,
        page_size: int | None = None,
        max_items: int | None = None,
        filters: Filters | None = None,
        details: bool = False,
        prefetch: int = 1,
        resume: "SweepCheckpoint | None" = None,
        on_bad_item: OnBadItem = "skip",
    ) -> "AccountSweep":
        """List the callflows of many accounts, several at a time: one ``AccountResult`` for each account.

        Args:
            account_ids: an iterable or an async iterable of ids or accounts. ``client.accounts.descendants(...)`` can
                be passed as it is; it is read no faster than needed. An id that comes twice is read once.
            max_concurrency: how many accounts are read at once. Results that have not been taken yet count, too, so
                the memory that a sweep needs does not grow with the number of accounts.
            ordered: yield results in the order of the ids, not as they complete.
            page_size: as in ``list``.
            max_items: as in ``list``, for each account.
            filters: as in ``list``.
            details: as in ``list``.
            prefetch: as in ``list``.
            resume: a ``SweepCheckpoint`` of an earlier sweep with the same filters; only what it lacks is read.
            on_bad_item: as in ``list``; bad items are in ``AccountResult.bad_items``.

        Raises:
            ConfigurationError: an argument is wrong. An account's own error is in its result.
        """
        from .._listing.sweep import AccountSweep, SweepStats  # noqa: PLC0415  # most programs read one account

        options: dict[str, Any] = {
            "page_size": page_size,
            "max_items": max_items,
            "filters": filters,
            "details": details,
            "prefetch": prefetch,
            "on_bad_item": on_bad_item,
        }
        if check_count("max_concurrency", max_concurrency) is None:
            raise ConfigurationError("max_concurrency must be an int")
        self.list("checks-the-options", **options)
        stats = SweepStats(now=self._sender.clock.monotonic)
        listeners: tuple[Listener, ...] = (*self._options.listeners, stats)
        view = Callflows(self._sender, evolve(self._options, listeners=listeners, patience=SWEEP_PATIENCE))
        return AccountSweep(
            account_ids,
            lambda account_id, checkpoint: view.list(account_id, resume=checkpoint, **options),
            scope=describe_filters(check_filters(filters)),
            clock=self._sender.clock,
            stats=stats,
            listeners=listeners,
            max_concurrency=max_concurrency,
            ordered=ordered,
            resume=resume,
            shares_credentials=self._sender.shares_credentials,
            start=self._sender.start,
        )

    async def get(self, account_id: str, callflow_id: str) -> Callflow:
        """Get one whole callflow: ``GET /accounts/{account_id}/callflows/{callflow_id}``.

        Its ``metadata`` has the names and numbers of what its nodes refer to, by id. Raises ``NotFoundError`` if there
        is no such callflow, and what ``list`` raises.
        """
        check_id("account_id", account_id)
        check_id("callflow_id", callflow_id)
        request = get("accounts", account_id, "callflows", callflow_id, account_id=account_id, callflow_id=callflow_id)
        return await self._get(Callflow, request)
