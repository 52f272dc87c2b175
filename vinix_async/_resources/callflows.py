"""The endpoints for callflows of one or many accounts."""

from copy import deepcopy
from typing import TYPE_CHECKING

from attrs import frozen

from .._config import CallOptions
from .._documents.models import Callflow
from .._exceptions import ConfigurationError
from .._http.request import Filters, Request, check_filters, check_id, encode_query, get, is_revision
from .._http.response import NOT_MODIFIED
from .._listing.pager import OnBadItem, Pager
from .._public import public
from .base import Resource

if TYPE_CHECKING:
    from .._listing.checkpoint import Checkpoint, SweepCheckpoint
    from .._listing.sweep import AccountIds, AccountSweep


@public
@frozen(kw_only=True)
class Revised:
    """A callflow and its revision.

    Attributes:
        callflow: the full document.
        revision: CouchDB's revision of the document, such as ``7-9a0c...``, which changes whenever the document is
            saved. It is the ``revision`` of the response, or else its ``ETag``. None if the response has neither, for
            example because a proxy removed them.
    """

    callflow: Callflow
    revision: str | None


@public
class Callflows(Resource):
    """The methods of ``client.callflows``."""

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
        """List the callflows of one account (``GET /accounts/{account_id}/callflows``).

        Nothing is sent before the pager is iterated over or awaited.

        The server lists summaries without ``flow``, ``metaflow``, ``ringback`` and ``metadata``. With ``details=True``,
        a further request for each callflow reads its full document. At most ``Limits.per_account`` documents are
        requested ahead. A callflow is left out if it is deleted before its document is read.

        The callflows are yielded in the server's order, which depends on the server's version.

        Args:
            account_id: the id of the account. It is sent unchanged.
            page_size: the number of rows per request. The server's default is 50.
            max_items: the maximum number of callflows to yield from all pages together.
            start_key: the cursor of the first page: the ``start_key`` of an error, or the id of a callflow.
            filters: query parameters of the server, such as ``{"filter_type": "mainUserCallflow"}`` or
                ``{"modified_from": datetime(2026, 11, 1, tzinfo=UTC)}``. A sequence of values means "one of these".
            details: whether to read the full document of each callflow.
            prefetch: 1 to request the next page while the current one is being processed, 0 to disable this.
            resume: a ``Checkpoint`` of an earlier listing of the same account with the same filters.
            on_bad_item: how to handle a row or a document that cannot be read. ``"raise"`` raises an error. ``"skip"``
                leaves out the row and adds a ``BadItem`` to ``Page.bad_items`` and ``Pager.bad_items``.

        Raises:
            ConfigurationError: an argument is invalid. This method itself raises the error, before anything is sent.
            APIStatusError: the server answered with an error, which was not retried or occurred again.
            APIConnectionError: no usable response was received.
            APITimeoutError: an attempt or the whole call took too long.
            DecodeError: a response does not have the structure that the API defines. ``problems`` names the fields.
            PaginationLoopError: the server's cursors form a loop.
            ClientClosedError: the client was closed, or was first used in another event loop or process.
        """
        return self._list(
            Callflow,
            account_id,
            "callflows",
            page_size=page_size,
            max_items=max_items,
            start_key=start_key,
            query=check_filters(filters),
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
        """List the callflows of many accounts concurrently. The sweep yields one ``AccountResult`` for each account.

        Args:
            account_ids: an iterable or async iterable of account ids or ``Account`` objects, such as
                ``client.accounts.descendants(...)``. Ids are taken from it only when needed. Duplicates are skipped.
            max_concurrency: the maximum number of accounts that are read concurrently. An account counts until its
                result has been yielded, so the memory that a sweep needs does not grow with the number of accounts.
            ordered: whether to yield results in the order of ``account_ids`` instead of as they complete.
            page_size: as for ``list``.
            max_items: as for ``list``, for each account.
            filters: as for ``list``.
            details: as for ``list``.
            prefetch: as for ``list``.
            resume: a ``SweepCheckpoint`` of an earlier sweep with the same filters. Accounts that are done are skipped.
            on_bad_item: as for ``list``. Bad items are reported in ``AccountResult.bad_items``.

        Raises:
            ConfigurationError: an argument is invalid. The error of a single account is in its ``AccountResult``.
        """
        from .._listing.sweep import AccountSweep  # noqa: PLC0415  # not needed to read one account

        scope = encode_query(check_filters(filters))
        filters = deepcopy(dict(filters or {}))  # the caller may change the mapping before the sweep has ended

        def open_pager(options: CallOptions, account_id: str, checkpoint: "Checkpoint | None") -> Pager[Callflow]:
            return Callflows(self._sender, options).list(
                account_id,
                page_size=page_size,
                max_items=max_items,
                filters=filters,
                details=details,
                prefetch=prefetch,
                resume=checkpoint,
                on_bad_item=on_bad_item,
            )

        open_pager(self._options, "checks-the-options", None)
        return AccountSweep(
            self._sender,
            self._options,
            account_ids,
            open_pager,
            max_concurrency=max_concurrency,
            scope=scope,
            ordered=ordered,
            resume=resume,
        )

    async def get(self, account_id: str, callflow_id: str) -> Callflow:
        """Return the full document of a callflow (``GET /accounts/{account_id}/callflows/{callflow_id}``).

        Raises ``NotFoundError`` if the callflow does not exist, and the same errors as ``list``.
        """
        return await self._get(Callflow, _request_for(account_id, callflow_id))

    async def get_if_changed(self, account_id: str, callflow_id: str, revision: str | None) -> Revised | None:
        """Return the full document of a callflow and its revision, or None if the callflow still has ``revision``.

        If the callflow still has ``revision``, the server answers 304 without the document. This costs less than
        ``get``. The names and numbers in ``metadata`` can change without a new revision, because they belong to other
        documents.

        Args:
            account_id: the id of the account.
            callflow_id: the id of the callflow.
            revision: the ``Revised.revision`` of the document that you have. None to get the document in any case.

        Raises ``ConfigurationError`` if ``revision`` is not a valid revision, and the same errors as ``get``.
        """
        if revision is not None and not is_revision(revision):
            raise ConfigurationError("revision must be None or the revision that an earlier get_if_changed returned")
        request = _request_for(account_id, callflow_id, revision)
        envelope = await self._sender.send(request, self._options, self._sender.ends_at(self._options))
        if envelope.data is NOT_MODIFIED:
            return None
        return Revised(callflow=self._document(Callflow, request, envelope), revision=envelope.revision)


def _request_for(account_id: str, callflow_id: str, revision: str | None = None) -> Request:
    check_id("account_id", account_id)
    check_id("callflow_id", callflow_id)
    return get(
        "accounts",
        account_id,
        "callflows",
        callflow_id,
        account_id=account_id,
        callflow_id=callflow_id,
        revision=revision,
    )
