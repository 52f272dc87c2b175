"""The accounts below an account."""

from typing import TYPE_CHECKING

from .._documents.models import Account
from .._listing.pager import Pager
from .base import Resource

if TYPE_CHECKING:
    from .._listing.checkpoint import Checkpoint


class Accounts(Resource):
    """``client.accounts``."""

    def descendants(
        self,
        account_id: str,
        *,
        page_size: int | None = None,
        max_items: int | None = None,
        start_key: str | None = None,
        prefetch: int = 1,
        resume: "Checkpoint | None" = None,
    ) -> Pager[Account]:
        """All accounts below ``account_id``, at any depth, itself not among them.

        Disabled accounts are listed too; reading their callflows may then fail. The server pages by
        name: where more accounts share one name than a page holds, it goes in a circle, and the walk ends
        with ``PaginationLoopError``; ask again with a larger ``page_size``. The arguments and errors
        are those of ``callflows.list``.
        """
        return self._listing(
            Account,
            account_id,
            "descendants",
            page_size=page_size,
            max_items=max_items,
            start_key=start_key,
            prefetch=prefetch,
            resume=resume,
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
    ) -> Pager[Account]:
        """The accounts right below ``account_id``, with ``descendants_count``; else as ``descendants``."""
        return self._listing(
            Account,
            account_id,
            "children",
            page_size=page_size,
            max_items=max_items,
            start_key=start_key,
            prefetch=prefetch,
            resume=resume,
        )
