"""``vinix report``: many accounts in one HTML file that needs nothing else."""

import os
import shlex
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from ... import Account, AccountResult
from .page import account_data, data_block, page


class ReportWriter:
    """Writes the page account by account, so that the memory it needs does not grow with their number.

    Args:
        stream_or_path: a text stream, which stays open, or a path. A file is written beside its place, and has its
            name when it is whole.
        title: the page's heading.

    As a context manager it closes itself; after an error or an interrupt the page says that it is incomplete.
    """

    def __init__(self, stream_or_path: TextIO | str | os.PathLike[str], *, title: str = "Callflows") -> None:
        before, self._after = page(title)
        self._part: Path | None = None
        self._stream: TextIO
        if isinstance(stream_or_path, str | os.PathLike):
            self._path = Path(stream_or_path)
            self._part = self._path.with_name(f"{self._path.name}.part")
            self._stream = self._part.open("w", encoding="utf-8")
        else:
            self._stream = stream_or_path
        self._open = True
        self._stream.write(before)

    def add(self, account: Account | None, result: AccountResult) -> None:
        """One account: its name where it is known, and what was read of it or why not."""
        if not self._open:
            raise ValueError("the report is closed")
        retry = f"vinix report {shlex.quote(result.account_id)}"
        self._stream.write(data_block(account_data(account, result, retry), "class=account"))

    def close(self, *, complete: bool = True) -> None:
        """End the page. ``complete``: whether all accounts are in it."""
        if not self._open:
            return
        self._open = False
        try:
            self._stream.write(data_block({"complete": complete}, "id=end") + self._after)
            self._stream.flush()
        finally:
            if self._part is not None:
                self._stream.close()
        if self._part is not None:
            self._part.replace(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        # What broke the stream breaks this too: the first error is the one to see.
        with suppress(*([OSError] if error is not None else [])):
            self.close(complete=error is None)
