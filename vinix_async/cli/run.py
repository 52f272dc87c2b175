"""Run a job from its beginning or from its checkpoint to its exit code."""

import asyncio
import shlex
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from .. import AuthenticationError, VinixError
from .connection import Server, connect
from .console import count, discard_output, note, to_terminal
from .exit_codes import ExitCode, UsageError, describe, one_line, report_error
from .export import ArrayWriter, Ending, TableWriter, Writer, csv_writer, ndjson_writer, open_sink
from .job import Job, SavedJob, default_checkpoint
from .options import RUNNING, Connection, Running
from .parquet import ParquetWriter
from .progress import Tally, progress_line
from .report_page import PageWriter
from .selection import ReadAhead, Shard, named_accounts, selected_accounts
from .text import printable

if TYPE_CHECKING:
    from .. import AccountPage, BadItem

_SAVE_INTERVAL: Final = 1.0
_SAVE_SHARE: Final = 0.05
"""Seconds between two saves of the progress, and the largest share of the time that saving may take."""


async def run_job(job: Job, connection: Connection, running: Running = RUNNING, *, force: bool = False) -> int:
    """Read the callflows of a job, write them, report the failures, and return the exit code."""
    _check(job)
    resumed = SavedJob.read(running.resume, job, connection) if running.resume else None
    connection = resumed.connection if resumed else connection
    async with connect(connection) as server:
        if resumed and resumed.job.where != server.where:
            raise UsageError(f"the checkpoint is for {resumed.job.where}, not for {server.where}")
        job = resumed.job if resumed else _complete(job, server)
        checkpoint = running.checkpoint or running.resume or default_checkpoint(job)
        if not resumed and not force:
            _refuse_to_overwrite(job, checkpoint)
        return await _Run(server, job, connection, checkpoint, resumed, concurrency=running.concurrency).run()


def _check(job: Job) -> None:
    """Raise ``UsageError`` for options that do not fit together, before anything is sent."""
    Shard(job.shard)
    if job.output == "parquet" and job.to is None and to_terminal():
        raise UsageError("Parquet cannot be shown on a terminal: redirect stdout, or name a file with --to")
    if job.bom and job.output != "csv":
        raise UsageError("--bom is for CSV only")
    to = Path(job.to).absolute() if job.to else None
    if to and not to.parent.is_dir():
        raise UsageError(f"--to: there is no folder {to.parent}")
    if to and to.is_dir():
        raise UsageError(f"--to: {to} is a folder")


def _complete(job: Job, server: Server) -> Job:
    """Return the job with the ids of its accounts, its format and its server."""
    accounts = [server.account_id(word) for word in named_accounts(job)]
    below = server.account_id(job.descendants_of) if job.descendants_of else None
    if not (job.accounts or job.accounts_from or below or job.all):
        accounts = [server.account_id(None)]
    return attrs.evolve(
        job,
        accounts=tuple(accounts),
        accounts_from=None,
        descendants_of=below,
        output=job.output or ("table" if to_terminal() else "ndjson"),
        to=str(Path(job.to).absolute()) if job.to else None,
        where=server.where,
    )


def _refuse_to_overwrite(job: Job, checkpoint: Path) -> None:
    """Raise ``UsageError`` if the output file exists, or the checkpoint of an unfinished run."""
    if checkpoint.exists():
        resume = f"vinix {job.command} --resume {shlex.quote(str(checkpoint))}"
        raise UsageError(f"an earlier run did not finish: continue it with `{resume}`, or delete that file")
    if job.to is not None and Path(job.to).exists():
        raise UsageError(f"{job.to} exists already; --force replaces it")


class _Run:
    def __init__(
        self,
        server: Server,
        job: Job,
        connection: Connection,
        checkpoint: Path,
        resumed: SavedJob | None,
        *,
        concurrency: int,
    ) -> None:
        self._job = job
        self._connection = connection
        self._checkpoint = checkpoint
        self._resumed = resumed
        self._begun = resumed is not None
        self._unsaved = False
        self._output_error: OSError | None = None
        self._failures: list[AccountPage] = []
        self._bad_items = 0
        done = resumed.sweep.done if resumed else frozenset[str]()
        selected = ReadAhead(selected_accounts(server, job, self._name_bad_item), done)
        self._sweep = server.client.callflows.list_many(
            selected,
            max_concurrency=concurrency,
            resume=resumed.sweep if resumed else None,
            page_size=job.page_size,
            max_items=job.max_items,
            filters=job.filters,
            details=job.details,
        )
        self._tally = Tally(client=server.client.stats, sweep=self._sweep.stats, selected=selected)
        self._writer = self._open_writer()

    async def run(self) -> int:
        with _sigterm_cancels() as terminated:
            try:
                async with progress_line(self._tally), self._saving(), self._sweep:
                    async for page in self._sweep.by_page():
                        self._write(page)
                return self._finish()
            except (asyncio.CancelledError, VinixError, OSError) as error:
                code = self._break_off(error)
                return ExitCode.TERMINATED if terminated else code

    def _open_writer(self) -> Writer:
        job, size = self._job, self._resumed.size if self._resumed else 0
        to = Path(job.to) if job.to else None
        if job.output == "table":
            return TableWriter(one_account=job.one_account)
        if job.output == "json":
            return ArrayWriter()
        if job.output in {"parquet", "html"}:
            rows = Path(f"{to or self._checkpoint}.rows")
            try:
                rows.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                if job.output == "html":
                    return PageWriter(job, rows, size, failures=self._failures)
                return ParquetWriter(to, rows, size, details=job.details)
            except OSError as error:
                what = "Parquet" if job.output == "parquet" else "a report"
                hint = "; --checkpoint names another place" if to is None else ""
                raise UsageError(f"{what} needs a file for its rows: {describe(error)}{hint}") from None
        sink = open_sink(to, size, job.output or "")
        if job.output == "csv":
            return csv_writer(sink, details=job.details, raw=job.raw_cells, bom=job.bom)
        return ndjson_writer(sink)

    # --- while the job runs ---

    def _write(self, page: "AccountPage") -> None:
        """Write a page. An account is done in the sweep's checkpoint when its last page has been handed out."""
        if self._output_error:
            raise self._output_error
        self._writer.write(page.account, page.items)
        self._tally.callflows += len(page.items)
        for item in page.bad_items:
            self._name_bad_item(item)
        if page.error is None:
            self._begun = self._unsaved = True
            return
        self._failures.append(page)
        if not self._job.one_account:
            name = f" ({printable(page.account.name)})" if page.account.name else ""
            note(f"failed: {printable(page.account_id)}{name}: {one_line(page.error)}")

    def _name_bad_item(self, item: "BadItem") -> None:
        self._bad_items += 1
        which = item.id or f"row {item.index} without an id"
        note(f"unreadable: {printable(item.account_id)}, {printable(which)}: {one_line(item.error)}")

    def _save(self) -> bool:
        """Make the rows durable, and then the checkpoint that counts them. Return whether there is a checkpoint."""
        size = self._writer.save()
        saved = SavedJob(job=self._job, connection=self._connection, size=size, sweep=self._sweep.checkpoint())
        try:
            saved.write(self._checkpoint)
        except OSError as error:
            note(f"vinix: cannot save the progress: {describe(error)}")
            return False
        self._unsaved = False
        return True

    @asynccontextmanager
    async def _saving(self) -> AsyncIterator[None]:
        """Save the progress regularly during the block."""

        async def keep_saving() -> None:
            took = 0.0
            while not self._output_error:
                await asyncio.sleep(max(_SAVE_INTERVAL, took / _SAVE_SHARE))
                began = time.monotonic()
                try:
                    if self._unsaved:
                        self._save()
                except OSError as error:  # of the output: the job must not continue
                    self._output_error = error
                took = time.monotonic() - began

        task = asyncio.create_task(keep_saving())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    # --- when it ends ---

    def _break_off(self, error: asyncio.CancelledError | VinixError | OSError) -> int:
        """End a job that was interrupted, or that an error has ended which is not one account's."""
        if isinstance(error, asyncio.CancelledError):
            self._stop("interrupted")
            return ExitCode.INTERRUPTED
        if isinstance(error, VinixError):  # before OSError, since APITimeoutError is both
            code = report_error(error)
            self._stop("stopped")
            return code
        with suppress(OSError):
            self._writer.end(Ending.STOPPED)
        if isinstance(error, BrokenPipeError):
            self._checkpoint.unlink(missing_ok=True)
            discard_output()
            return ExitCode.READER_GONE
        report_error(error)  # such as a full disk; the last checkpoint is still valid
        if self._checkpoint.exists():
            note(f"to continue from the last saved state, run:\n  {self._resume_command()}")
        else:
            note("vinix: no progress was saved: run the command again")
        return ExitCode.ERROR

    def _stop(self, how: str) -> None:
        """Save the progress, so that a resumed job reads and writes nothing twice."""
        try:
            if self._begun and self._save():
                note(f"{how} after {self._tally.summary()}; to continue, {self._resume_hint()}")
            elif how == "interrupted":
                note(how)
            self._writer.end(Ending.STOPPED)
        except BrokenPipeError:  # Ctrl-C ended the reader of the pipe, too
            discard_output()

    def _finish(self) -> int:
        """End a job after all accounts were read or have failed."""
        if self._output_error:
            raise self._output_error
        job, failed = self._job, self._failures
        incomplete = bool(failed) or self._bad_items > 0
        saved = (incomplete or job.output in {"parquet", "html"}) and self._save()
        resumable = incomplete and (self._begun or not job.one_account)
        self._writer.end(Ending.SOME_FAILED if resumable else Ending.COMPLETE)
        if not resumable:
            self._checkpoint.unlink(missing_ok=True)
        code = ExitCode.SOME_FAILED if incomplete else ExitCode.OK
        if failed and job.one_account and failed[0].error:
            code = report_error(failed[0].error)
        elif failed:
            refused = all(isinstance(page.error, AuthenticationError) for page in failed)
            done = self._tally.sweep.accounts_done
            code = ExitCode.AUTHENTICATION if refused and not done else code
        note(self._tally.summary())
        if resumable and saved:
            what = [f"{count(len(failed), 'account')} failed"] if failed else []
            what += [f"{count(self._bad_items, 'item')} could not be read"] if self._bad_items else []
            note(f"{' and '.join(what)}; to try again, {self._resume_hint()}")
        return code

    def _resume_command(self) -> str:
        return f"vinix {self._job.command} --resume {shlex.quote(str(self._checkpoint))}"

    def _resume_hint(self) -> str:
        append = self._job.to is None and not to_terminal()
        return f"run{' (and append its output to the same file)' if append else ''}:\n  {self._resume_command()}"


@contextmanager
def _sigterm_cancels() -> Iterator[list[int]]:
    """Let SIGTERM cancel the current task, as Ctrl-C does. The list contains the signal once it came."""
    received: list[int] = []
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def cancel() -> None:
        received.append(signal.SIGTERM)
        if task is not None:
            task.cancel()

    try:
        loop.add_signal_handler(signal.SIGTERM, cancel)
    except (NotImplementedError, RuntimeError):  # on Windows, or in a thread
        yield received
        return
    try:
        yield received
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
