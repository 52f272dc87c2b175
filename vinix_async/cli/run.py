"""Run a job, from its beginning or from a checkpoint."""

import asyncio
import shlex
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from .. import VinixError
from .connection import Server, connect
from .console import note, to_terminal
from .exit_codes import ExitCode, Problems, UsageError, describe, report_error
from .export import Ending, open_writer
from .files import EXPORT_SUFFIXES, exists, lock
from .options import JOB_OPTIONS, Connection, JobOptions
from .progress import Tally, shown_progress
from .saved_job import Job, SavedJob, default_checkpoint
from .selection import ReadAhead, named_accounts, selected_accounts

if TYPE_CHECKING:
    from .. import AccountPage

_SAVE_INTERVAL: Final = 1.0
"""The minimum number of seconds between two saves of the progress."""

_SAVE_SHARE: Final = 0.05
"""The largest share of the time that may be spent on saving the progress."""


async def run_job(job: Job, connection: Connection, options: JobOptions = JOB_OPTIONS, *, force: bool = False) -> int:
    """Read and write the callflows of a job, print the failures, and return the exit code."""
    resumed = SavedJob.read(options.resume, job, connection) if options.resume else None
    if resumed:
        job, connection = resumed.job, resumed.connection
    check_output(job)
    async with connect(connection) as server:
        if not resumed:
            job = completed(job, server)
        elif job.where != server.where:
            raise UsageError(
                f"the checkpoint belongs to a job on {job.where}, not on {server.where}: "
                "use --base to name the server of the job"
            )
        checkpoint = (options.checkpoint or options.resume or default_checkpoint(job)).absolute()
        _check_checkpoint(checkpoint, job)
        run = _Run(server, job, connection, checkpoint, options, resumed=resumed, force=force)
        return await interruptible(run.run(), run.stop)


def check_output(job: Job) -> None:
    """Raise ``UsageError`` if the job names a file in place of an account, or if its output options are unusable."""
    if file := next((word for word in job.accounts if word.lower().endswith(EXPORT_SUFFIXES)), None):
        raise UsageError(
            f"{file} is a file, but `vinix {job.command}` reads accounts; "
            f"`vinix callflows trace {shlex.quote(file)}` lists the callflows of a file"
        )
    if job.output == "parquet" and job.to is None and to_terminal():
        raise UsageError("Parquet cannot be shown on a terminal: redirect stdout, or name a file with --to")
    if job.bom and job.output != "csv":
        raise UsageError("--bom is for CSV only")
    to = Path(job.to).absolute() if job.to else None
    if to and not to.parent.is_dir():
        raise UsageError(f"--to: the folder {to.parent} does not exist")
    if to and to.is_dir():
        raise UsageError(f"--to: {to} is a folder")
    if to and job.output in {"parquet", "html"}:
        _check_replaceable("--to", to)


def refuse_existing(job: Job) -> None:
    """Raise ``UsageError`` if the output file has contents. A run that cannot log in leaves an empty file."""
    if job.to and Path(job.to).exists() and Path(job.to).stat().st_size:
        raise UsageError(f"{job.to} exists already; --force replaces it")


def _check_checkpoint(path: Path, job: Job) -> None:
    """Raise ``UsageError`` if a checkpoint must not be written to ``path``."""
    _check_replaceable("--checkpoint", path)
    if job.to and path.resolve() in {Path(name).resolve() for name in (job.to, f"{job.to}.rows")}:
        raise UsageError(f"--checkpoint: the output is written to {path}: give another path")


def _check_replaceable(option: str, path: Path) -> None:
    """Raise ``UsageError`` if ``path`` is a device, a pipe or a folder, which a new file must not replace."""
    if exists(path) and not path.is_file():
        raise UsageError(f"{option}: {path} is not a regular file: give another path")


def completed(job: Job, server: Server) -> Job:
    """Return the job with its account ids, output format and server filled in."""
    accounts = [server.account_id(word) for word in named_accounts(job)]
    below = None if job.descendants_of is None else server.account_id(job.descendants_of)
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


class _Run:
    def __init__(
        self,
        server: Server,
        job: Job,
        connection: Connection,
        checkpoint: Path,
        options: JobOptions,
        *,
        resumed: SavedJob | None,
        force: bool,
    ) -> None:
        self._arguments = [*options.arguments(), *connection.arguments()]
        self._resume = job.command_line("--resume", str(checkpoint), *self._arguments)
        self._job = job
        self._connection = connection
        self._checkpoint = checkpoint
        self._begun = resumed is not None
        self._unsaved = False
        self._can_save = True
        self._save_due = time.monotonic() + _SAVE_INTERVAL
        self._problems = Problems(one_account=job.one_account)
        done = resumed.sweep.done if resumed else frozenset[str]()
        selected = ReadAhead(selected_accounts(server, job, self._problems.add, done), done)
        self._sweep = server.client.callflows.list_many(
            selected,
            max_concurrency=options.concurrency,
            resume=resumed.sweep if resumed else None,
            page_size=job.page_size,
            max_items=job.max_items,
            filters=job.filters,
            details=job.details,
        )
        self._tally = Tally(client=server.client.stats, sweep=self._sweep.stats, selected=selected)
        if not (resumed or force):
            self._refuse_to_overwrite()
        self._writer = open_writer(job, checkpoint, resumed.size if resumed else 0)

    def _refuse_to_overwrite(self) -> None:
        """Raise ``UsageError`` if another run is writing, has left a checkpoint, or if the output file exists."""
        for path in map(Path, (self._job.to, f"{self._job.to}.rows") if self._job.to else ()):
            if path.is_file():
                with suppress(OSError), path.open("rb") as file:
                    lock(file.fileno(), path)
        if exists(self._checkpoint):
            raise UsageError(
                f"an earlier run has not finished: continue it with `{self._resume}`, or delete its checkpoint"
            )
        refuse_existing(self._job)

    async def run(self) -> int:
        """Run the job and return its exit code."""
        try:
            async with shown_progress(self._tally, self._save_if_due), self._sweep:
                async for page in self._sweep.by_page():
                    self._write(page)
            return self._finish()
        except VinixError:  # before OSError, since APITimeoutError is both
            raise
        except OSError as error:
            return self._output_failed(error)

    # --- while the job runs ---

    def _write(self, page: "AccountPage") -> None:
        """Write a page.

        The page must be written before the next checkpoint is saved, because the sweep may already count the account as
        done.
        """
        self._writer.write(page)
        self._tally.callflows += len(page.items)
        if page.error is None:
            self._begun = self._unsaved = True
        if page.error or page.bad_items:
            self._problems.add(attrs.evolve(page, items=()))

    def _save(self) -> bool:
        """Make the output durable, and write the checkpoint. Return whether the checkpoint could be written."""
        size = self._writer.sink.save()
        saved = SavedJob(job=self._job, connection=self._connection, size=size, sweep=self._sweep.checkpoint())
        try:
            saved.write(self._checkpoint)
        except OSError as error:
            if self._can_save:  # say it once, not each second
                note(f"vinix: cannot save the progress: {describe(error)}")
            self._can_save = False
        else:
            self._can_save, self._unsaved = True, False
        return self._can_save

    def _save_if_due(self) -> None:
        began = time.monotonic()
        if self._unsaved and began >= self._save_due:
            self._save()
            ended = time.monotonic()
            self._save_due = ended + max(_SAVE_INTERVAL, (ended - began) / _SAVE_SHARE)

    # --- when it ends ---

    def stop(self, how: str) -> None:
        """Save the progress of a job that was interrupted or stopped, so that a resumed job writes no row twice."""
        resume = self._resume if self._begun and self._save() else None
        if resume:
            note(f"{how} after {self._tally.summary()}; to continue, {self._resume_hint()}")
        elif how == "interrupted":
            note(how)
        with suppress(BrokenPipeError):  # Ctrl-C also ended the reader of the pipe
            self._end(stopped=True, resume=resume)

    def _output_failed(self, error: OSError) -> int:
        """End a job that cannot write its output.

        If the output is a pipe without a reader, the last checkpoint is deleted. Otherwise it is kept, because it is
        still valid.
        """
        reader_left = isinstance(error, BrokenPipeError)
        if reader_left:
            self._delete_checkpoint()
        with suppress(OSError):
            self._end(stopped=True)
        if reader_left:
            return ExitCode.READER_GONE
        code = report_error(error)  # for example a full disk
        if exists(self._checkpoint):
            note(f"to continue from the last saved state, run:\n  {self._resume}")
        else:
            force = " with --force" if self._job.to else ""
            note(f"vinix: no progress was saved: run the command again{force}")
        return code

    def _finish(self) -> int:
        """End a job when all of its accounts have been read or have failed. Return the exit code."""
        job, problems = self._job, self._problems
        saved = (problems.reads or job.output in {"parquet", "html"}) and self._save()
        resumable = bool(problems.reads) and (self._begun or not job.one_account)
        try:
            self._end(resume=self._resume if resumable else None)
        except KeyboardInterrupt:  # a second Ctrl-C; the first one has no effect until the next await
            if saved:
                note(f"interrupted while the output was written; to continue, {self._resume_hint()}")
            raise
        if not resumable:
            self._delete_checkpoint()
        if job.one_account and problems.errors:
            code = report_error(problems.errors[0])
        else:
            code = problems.code(accounts_done=self._tally.sweep.accounts_done)
        note(self._tally.summary())
        if resumable and saved:
            note(f"{problems.missing()}; to try again, {self._resume_hint()}")
        return code

    def _delete_checkpoint(self) -> None:
        if exists(self._checkpoint):
            self._checkpoint.unlink()

    def _end(self, *, stopped: bool = False, resume: str | None = None) -> None:
        problems = self._problems.reads
        self._writer.end(Ending(stopped=stopped, resume=resume, arguments=self._arguments, problems=problems))

    def _resume_hint(self) -> str:
        job, how = self._job, ""
        if not (job.to or job.output == "parquet" or to_terminal()):
            is_array = job.output == "json"
            how = " (its output is another array)" if is_array else " (and append its output to the same file)"
        return f"run{how}:\n  {self._resume}"


async def interruptible(work: Coroutine[Any, Any, int], stop: Callable[[str], None]) -> int:
    """Run ``work`` and return its exit code. SIGTERM cancels ``work``, as Ctrl-C does.

    ``stop`` is called with ``interrupted`` if ``work`` is cancelled, and with ``stopped`` if a ``VinixError`` or an
    ``OSError`` ends it. Once ``work`` no longer waits for anything, only a second Ctrl-C has an
    effect.
    """
    terminated = False
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        if task is not None:
            task.cancel()

    loop.add_signal_handler(signal.SIGTERM, terminate)
    try:
        code = await work
    except asyncio.CancelledError:
        stop("interrupted")
        return ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED
    except (VinixError, OSError) as error:
        code = report_error(error)
        stop("stopped")
        return code
    else:
        with suppress(asyncio.CancelledError):  # Ctrl-C during the last steps
            await asyncio.sleep(0)
        return code
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
