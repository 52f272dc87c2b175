"""The progress line at the bottom of a terminal, and the summary of a job."""

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from attrs import define, field
from rich.text import Text

from .console import before_printing, count, errors
from .selection import ReadAhead

if TYPE_CHECKING:
    from .. import ClientStats, SweepStats

_INTERVAL: Final = 0.1
"""Seconds between two updates of the line."""

_RATE_SAMPLES: Final = 30
"""The number of updates over which the rate of requests is measured."""

_MAX_BAR: Final = 30
_CLOCK_WIDTH: Final = 12
"""The columns of the bar, and those of the spinner and the clock."""


@define(kw_only=True)
class Tally:
    """The counters of a job. ``callflows`` is the number of callflows that were written."""

    client: "ClientStats"
    sweep: "SweepStats"
    selected: ReadAhead
    callflows: int = 0
    began: float = field(factory=time.monotonic)
    _sent: "deque[tuple[float, int]]" = field(factory=lambda: deque(maxlen=_RATE_SAMPLES), init=False)

    @property
    def accounts(self) -> int:
        """The number of accounts that were read or have failed."""
        return self.sweep.accounts_done + self.sweep.accounts_failed

    @property
    def requests(self) -> int:
        """The number of requests for data, without logins."""
        return self.client.requests - self.client.logins

    @property
    def elapsed(self) -> float:
        """Seconds since the job began."""
        return time.monotonic() - self.began

    def sample_rate(self) -> float:
        """Return the number of requests in a second, and add a sample to its measurement."""
        now = time.monotonic()
        then, before = self._sent[0] if self._sent else (self.began, 0)
        self._sent.append((now, self.requests))
        return (self.requests - before) / max(now - then, _INTERVAL)

    def parts(self) -> list[str]:
        """Return the parts of the progress line, the most important ones first."""
        client, failed, limited = self.client, self.sweep.accounts_failed, self.client.rate_limited
        found = f"{self.selected.found:,}" + ("" if self.selected.all_found else "+")
        return [
            f"{self.accounts:,}/{found} accounts",
            *([f"{failed:,} failed"] if failed else []),
            count(self.callflows, "callflow"),
            f"{self.sample_rate():,.0f} req/s",
            *([count(client.retries, "retry", "retries")] if client.retries else []),
            *([count(client.outages, "outage")] if client.outages else []),
            *([f"{limited:,} rate-limited, waited {client.wait_seconds:,.0f} s"] if limited else []),
        ]

    def summary(self) -> str:
        """Return the line that ends a job."""
        failed = self.sweep.accounts_failed
        parts = [
            count(self.accounts, "account") + (f" ({failed:,} failed)" if failed else ""),
            count(self.callflows, "callflow"),
            count(self.requests, "request"),
            count(self.client.retries, "retry", "retries"),
            *([count(self.client.bad_items, "unreadable item")] if self.client.bad_items else []),
            *([f"{self.client.deleted:,} deleted meanwhile"] if self.client.deleted else []),
            f"{self.elapsed:.2f} s",
        ]
        return ", ".join(parts)


class _Line:
    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._shown = False
        self._frame = 0
        unicode = (errors.encoding or "").lower().startswith("utf")
        self._done, self._rest, self._spinner = ("━", "─", "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏") if unicode else ("#", "-", "|/-\\")
        self._separator = " · " if unicode else ", "

    def show(self) -> None:
        self._frame += 1
        line = self._text(errors.width - 1)
        errors.file.write("\r")
        errors.print(line, end="", soft_wrap=True)
        errors.file.write("\x1b[K")
        errors.file.flush()
        self._shown = True

    def hide(self) -> None:
        if self._shown:
            errors.file.write("\r\x1b[2K")
            errors.file.flush()
            self._shown = False

    def _text(self, width: int) -> Text:
        tally = self._tally
        seconds = int(tally.elapsed)
        parts = tally.parts()
        while len(parts) > 1 and len(self._separator.join(parts)) > width - _CLOCK_WIDTH:
            parts.pop()
        words = self._separator.join(parts)
        bar = max(0, min(_MAX_BAR, width - len(words) - _CLOCK_WIDTH))
        done = int(bar * min(tally.accounts / (tally.selected.found or 1), 1.0))
        text = Text.assemble(
            (self._spinner[self._frame % len(self._spinner)] + " ", "cyan"),
            (self._done * done, "cyan"),
            (self._rest * (bar - done), "dim"),
            " " + words,
            (f" {seconds // 60}:{seconds % 60:02}", "dim"),
        )
        text.truncate(width)
        return text


@asynccontextmanager
async def progress_line(tally: Tally) -> AsyncIterator[None]:
    """Show the progress line during the block, if stderr is a terminal."""
    if not sys.stderr.isatty() or errors.is_dumb_terminal:  # errors.is_terminal may be forced by FORCE_COLOR
        yield
        return
    line = _Line(tally)
    before_printing(line.hide)
    handlers = logging.getLogger("vinix_async").handlers

    def above(_record: logging.LogRecord) -> bool:
        line.hide()
        return True

    for handler in handlers:
        handler.addFilter(above)

    async def update() -> None:
        while True:
            line.show()
            await asyncio.sleep(_INTERVAL)

    task = asyncio.create_task(update())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        line.hide()
        for handler in handlers:
            handler.removeFilter(above)
