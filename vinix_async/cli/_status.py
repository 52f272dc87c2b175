"""One line at the bottom of the terminal that says how far a job is; nothing where there is no terminal."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from attrs import define, field
from rich.text import Text

from .. import SweepStats
from ._output import errors, when_printing

_EVERY: Final = 0.1
_WINDOW: Final = 30
"""Ticks over which requests a second are counted."""


@define(kw_only=True)
class Tally(SweepStats):
    """What a job has done. ``accounts_found`` grows until ``all_found``."""

    accounts_found: int = 0
    all_found: bool = False
    began: float = field(factory=time.monotonic)
    _sent: "deque[tuple[float, int]]" = field(factory=lambda: deque(maxlen=_WINDOW), init=False)

    @property
    def elapsed(self) -> float:
        """Seconds since the job began."""
        return time.monotonic() - self.began

    def pace(self) -> float:
        """Requests a second, lately."""
        now = time.monotonic()
        then, before = self._sent[0] if self._sent else (self.began, 0)
        self._sent.append((now, self.requests))
        return (self.requests - before) / max(now - then, _EVERY)

    def parts(self) -> list[str]:
        """What the line says, the most telling first."""
        done = self.accounts_done + self.accounts_failed
        found = f"{self.accounts_found:,}" + ("" if self.all_found else "+")
        return [
            f"{done:,}/{found} accounts",
            *([f"{self.accounts_failed:,} failed"] if self.accounts_failed else []),
            f"{self.callflows:,} callflows",
            f"{self.pace():,.0f} req/s",
            *([f"{self.retries:,} retries"] if self.retries else []),
            *([f"{self.refusals:,} rate-limited, waited {self.waiting:,.0f} s"] if self.refusals else []),
        ]

    def summary(self) -> str:
        """The line behind a job that has ended."""
        accounts = self.accounts_done + self.accounts_failed
        parts = [
            f"{accounts:,} account{'' if accounts == 1 else 's'}",
            f"{self.callflows:,} callflows",
            f"{self.requests:,} requests",
            f"{self.retries:,} retries",
            *([f"{self.deleted:,} deleted meanwhile"] if self.deleted else []),
            f"{self.elapsed:.2f} s",
        ]
        return ", ".join(parts)


class _Line:
    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._shown = False
        self._frame = 0
        fancy = (errors.encoding or "").lower().startswith("utf")
        self._full, self._rest, self._frames = ("━", "─", "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏") if fancy else ("#", "-", "|/-\\")
        self._joint = " · " if fancy else ", "

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
        while len(parts) > 1 and len(self._joint.join(parts)) > width - 12:
            parts.pop()
        words = self._joint.join(parts)
        room = max(0, min(30, width - len(words) - 12))
        share = (tally.accounts_done + tally.accounts_failed) / (tally.accounts_found or 1)
        full = int(room * min(share, 1.0))
        text = Text.assemble(
            (self._frames[self._frame % len(self._frames)] + " ", "cyan"),
            (self._full * full, "cyan"),
            (self._rest * (room - full), "dim"),
            " " + words,
            (f" {seconds // 60}:{seconds % 60:02}", "dim"),
        )
        text.truncate(width)
        return text


@asynccontextmanager
async def status_line(tally: Tally) -> AsyncIterator[None]:
    """Show ``tally`` while the block runs, if stderr is a terminal."""
    if not errors.is_terminal or errors.is_dumb_terminal:
        yield
        return
    line = _Line(tally)
    when_printing(line.hide)

    async def tick() -> None:
        while True:
            line.show()
            await asyncio.sleep(_EVERY)

    task = asyncio.create_task(tick())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        line.hide()
