"""Write the report: many accounts in one HTML file that needs no other."""

import shlex
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO

from ... import Account, AccountResult
from .page import account_block, end_block, page


class ReportWriter:
    """Write the page to ``stream`` account by account, so that the memory it needs does not grow with their number.

    As a context manager it ends the page when it is left; after an error or an interrupt the page says that it is
    incomplete. The stream stays open.
    """

    def __init__(self, stream: TextIO, *, title: str = "Callflows") -> None:
        before, self._after = page(title)
        self._stream = stream
        self._open = True
        self._stream.write(before)

    def add(self, account: Account | None, result: AccountResult) -> None:
        """Write one account: its name, if it is known, and its callflows or why they could not be read."""
        if not self._open:
            raise ValueError("the report is closed")
        account_id = shlex.quote(result.account_id)
        self._stream.write(account_block(account, result, f"vinix report {account_id} --to {account_id}.html"))

    def close(self, *, complete: bool = True) -> None:
        """End the page. ``complete``: whether all accounts are in it."""
        if self._open:
            self._open = False
            self._stream.write(end_block(complete=complete) + self._after)
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        # What broke the stream breaks this too: the first error is the one to raise.
        with suppress(*([OSError] if error is not None else [])):
            self.close(complete=error is None)
