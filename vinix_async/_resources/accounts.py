"""The accounts below an account."""

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
    """``client.accounts``."""

    async def get(self, account_id: str) -> Account:
        """Get one account: ``GET /accounts/{account_id}``. What it has beyond a listing's row is in ``extra``."""
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
        """List all accounts below ``account_id``, at any depth, without the account itself.

        Disabled accounts are listed, too; reading their callflows may fail. The server pages by name: if more accounts
        share a name than a page holds, its cursors form a loop, and the listing ends with ``PaginationLoopError``; a
        larger ``page_size`` helps. The arguments and errors are those of ``callflows.list``.
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
        """List the accounts directly below ``account_id``, with ``descendants_count``; otherwise as ``descendants``."""
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
