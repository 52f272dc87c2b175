"""The endpoints for accounts."""

from typing import TYPE_CHECKING

from .._documents.models import Account
from .._http.request import check_id, get
from .._listing.pager import OnBadItem, Pager
from .._public import public
from .base import Resource

if TYPE_CHECKING:
    from .._listing.checkpoint import Checkpoint


@public
class Accounts(Resource):
    """The methods of ``client.accounts``."""

    async def get(self, account_id: str) -> Account:
        """Return one account (``GET /accounts/{account_id}``).

        ``extra`` contains the keys of the document for which ``Account`` has no field.
        """
        check_id("account_id", account_id)
        return await self._get(Account, get("accounts", account_id, account_id=account_id))

    def descendants(
        self,
        account_id: str,
        *,
        page_size: int | None = None,
        max_items: int | None = None,
        start_key: str | None = None,
        prefetch: int = 1,
        resume: "Checkpoint | None" = None,
        on_bad_item: OnBadItem = "raise",
    ) -> Pager[Account]:
        """List all descendants of ``account_id``, at any depth. The account itself is not included.

        Disabled accounts are included, although reading their callflows may fail.

        The server's cursors contain only the names of accounts. If the accounts with the same name do not all fit in a
        page, the cursors form a loop. The listing then raises ``PaginationLoopError``, and needs a larger
        ``page_size``.

        The arguments and errors are the same as for ``callflows.list``.
        """
        return self._list(
            Account,
            account_id,
            "descendants",
            page_size=page_size,
            max_items=max_items,
            start_key=start_key,
            prefetch=prefetch,
            resume=resume,
            on_bad_item=on_bad_item,
        )

    def children(
        self,
        account_id: str,
        *,
        page_size: int | None = None,
        max_items: int | None = None,
        start_key: str | None = None,
        prefetch: int = 1,
        resume: "Checkpoint | None" = None,
        on_bad_item: OnBadItem = "raise",
    ) -> Pager[Account]:
        """List the direct children of ``account_id``. Their ``descendants_count`` is set. See also ``descendants``."""
        return self._list(
            Account,
            account_id,
            "children",
            page_size=page_size,
            max_items=max_items,
            start_key=start_key,
            prefetch=prefetch,
            resume=resume,
            on_bad_item=on_bad_item,
        )
