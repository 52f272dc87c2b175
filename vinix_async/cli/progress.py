"""Count what a job reads, and show the counts as a progress line and a summary."""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from attrs import define, field

from .console import PipeConsole, before_printing, count
from .selection import ReadAhead

if TYPE_CHECKING:
    from .. import ClientStats, SweepStats

_BAR_WIDTH: Final = 30
_TICK: Final = 0.1  # seconds between two updates of the progress line


@define(kw_only=True)
class Tally:
    """The counters of a job. ``callflows`` is the number of callflows that were read."""

    client: "ClientStats"
    sweep: "SweepStats"
    selected: ReadAhead
    callflows: int = 0
    began: float = field(factory=time.monotonic)

    @property
    def accounts(self) -> int:
        """The number of accounts that are finished, including those that failed."""
        return self.sweep.accounts_done + self.sweep.accounts_failed

    @property
    def requests(self) -> int:
        """The number of requests, not including logins."""
        return self.client.requests - self.client.logins

    @property
    def elapsed(self) -> float:
        """Seconds since the job began."""
        return time.monotonic() - self.began

    def progress(self) -> str:
        """Return the progress line. The most important counts come first, because a terminal may cut the end."""
        client, failed, limited = self.client, self.sweep.accounts_failed, self.client.rate_limited
        parts = (
            f"{self.accounts:,}/{self.selected.found:,}{'' if self.selected.all_found else '+'} accounts",
            f"{failed:,} failed" if failed else "",
            self._outages(),
            self._work(),
            f"{self.requests / max(self.elapsed, 1.0):,.0f} req/s",
            count(client.retries, "retry", "retries") if client.retries else "",
            f"{limited:,} rate-limited, waited {client.rate_limit_seconds:,.0f} s" if limited else "",
        )
        return ", ".join(filter(None, parts))

    def summary(self) -> str:
        """Return the summary that is printed at the end of a job."""
        client, failed = self.client, self.sweep.accounts_failed
        parts = (
            count(self.accounts, "account") + (f" ({failed:,} failed)" if failed else ""),
            self._work(),
            count(self.requests, "request"),
            count(client.retries, "retry", "retries"),
            self._outages(),
            count(client.bad_items, "unreadable item") if client.bad_items else "",
            f"{client.deleted:,} deleted meanwhile" if client.deleted else "",
            f"{self.elapsed:.2f} s",
        )
        return ", ".join(filter(None, parts))

    def _work(self) -> str:
        return count(self.callflows, "callflow")

    def _outages(self) -> str:
        outages, waited = self.client.outages, self.client.outage_seconds
        return count(outages, "outage") + (f" of {waited:,.1f} s" if waited else "") if outages else ""


@define(kw_only=True)
class RefreshTally(Tally):
    """The counters of a refresh. They include how many callflows were added, changed and deleted."""

    added: int = 0
    changed: int = 0
    deleted: int = 0

    def _work(self) -> str:
        return f"{self.added:,} added, {self.changed:,} changed, {self.deleted:,} deleted"


@asynccontextmanager
async def shown_progress(tally: Tally, on_tick: Callable[[], None] = lambda: None) -> AsyncIterator[None]:
    """Show the progress line during the block, if stderr is a terminal, and call ``on_tick`` regularly in any case.

    If ``on_tick`` raises an error, the block is cancelled, and the error is raised.
    """
    block = asyncio.current_task()

    async def keep_showing(show: Callable[[], None]) -> None:
        try:
            while True:
                show()
                on_tick()
                await asyncio.sleep(_TICK)
        except Exception:
            if block:
                block.cancel()
            raise

    with _progress_line(tally) as show:
        task = asyncio.create_task(keep_showing(show))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()


@contextmanager
def _progress_line(tally: Tally) -> Iterator[Callable[[], None]]:
    console = PipeConsole(stderr=True)
    if not sys.stderr.isatty() or console.is_dumb_terminal:  # FORCE_COLOR makes console.is_terminal true for a pipe
        yield lambda: None
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415  # slow to import
    from rich.table import Column  # noqa: PLC0415  # as above

    spinner = SpinnerColumn("line" if console.options.ascii_only else "dots")
    text = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
    columns = (spinner, BarColumn(_BAR_WIDTH), text, TimeElapsedColumn())
    line = Progress(*columns, console=console, auto_refresh=False, transient=True, redirect_stdout=False)
    task = line.add_task("")

    def show() -> None:
        line.update(task, description=tally.progress(), completed=tally.accounts, total=tally.selected.found or None)
        line.start()
        line.refresh()

    def hide(_record: logging.LogRecord | None = None) -> bool:
        line.stop()
        return True

    before_printing(hide)
    handlers = logging.getLogger("vinix_async").handlers
    for handler in handlers:
        handler.addFilter(hide)
    try:
        yield show
    finally:
        hide()
        for handler in handlers:
            handler.removeFilter(hide)
