"""One job from its beginning, or from its checkpoint, to its exit code."""

import asyncio
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import attrs

from .. import Account, AuthenticationError, Callflow, Checkpoint, VinixError
from ._connect import Server, connect
from ._errors import ExitCode, UsageError, explain, one_line
from ._job import CheckpointFile, Job, Progress, Saved, checkpoint_path, read_saved
from ._options import Connection
from ._output import discard_stdout, errors, note, printable, to_terminal
from ._parquet import Parquet
from ._status import Tally, status_line
from ._walk import Shard, Walk, named_accounts
from ._writers import Array, Ending, File, Stdout, TableRows, Writer, escape_of, line_writer


async def run_job(
    job: Job,
    connection: Connection,
    *,
    concurrency: int = 32,
    resume: Path | None = None,
    checkpoint: Path | None = None,
    force: bool = False,
) -> int:
    """Read the callflows that ``job`` names, write them, and say how it went."""
    if concurrency < 1:
        raise UsageError("--concurrency must be at least 1")
    saved = read_saved(resume, job, connection) if resume else None
    async with connect(saved.connection if saved else connection) as server:
        if saved and saved.job.where != server.where:
            raise UsageError(f"the checkpoint is one of {saved.job.where}, not of {server.where}")
        job = saved.job if saved else complete(job, server)
        file = CheckpointFile(checkpoint or resume or checkpoint_path(job))
        if not saved and not force:
            refuse_to_overwrite(job, file.path)
        return await _Run(server, job, saved, saved.connection if saved else connection, file).run(concurrency)


def complete(job: Job, server: Server) -> Job:
    """``job`` with every account by its id, and the server that it is of."""
    Shard(job.shard)
    if job.output == "parquet" and job.to is None and to_terminal():
        raise UsageError("Parquet is nothing for a terminal: send stdout to a file, or name one with --to")
    accounts = [server.account(word) for word in named_accounts(job)]
    below = server.account(job.descendants_of) if job.descendants_of else None
    if not (job.accounts or job.accounts_from or below or job.all):
        accounts = [server.account(None)]
    return attrs.evolve(
        job,
        accounts=tuple(accounts),
        accounts_from=None,
        descendants_of=below,
        output=job.output or ("table" if to_terminal() else "ndjson"),
        to=str(Path(job.to).absolute()) if job.to else None,
        where=server.where,
    )


def refuse_to_overwrite(job: Job, checkpoint: Path | None) -> None:
    """Raise ``UsageError`` for a file that is there, or a job that is not finished."""
    if checkpoint is not None and checkpoint.exists():
        again = f"vinix {job.command} --resume {shlex.quote(str(checkpoint))}"
        raise UsageError(f"an earlier run did not finish: `{again}` goes on with it; to begin again remove that file")
    if job.to is not None and Path(job.to).exists():
        raise UsageError(f"{job.to} is there already; --force replaces it")


class _Run:
    def __init__(
        self, server: Server, job: Job, saved: Saved | None, connection: Connection, file: CheckpointFile
    ) -> None:
        self._server = server
        self._job = job
        self._connection = connection
        self._file = file
        self._progress = Progress(saved.sweep if saved else None)
        self._tally = Tally()
        self._failures: list[VinixError] = []
        self._resumed = saved is not None
        self._size = saved.size if saved else 0
        self._unsaved = False

    async def run(self, concurrency: int) -> int:
        walk = Walk(self._server, self._job, self._progress, self._tally, concurrency)
        self._writer: Writer = self._open()
        with _terminated() as terminated:
            try:
                async with status_line(self._tally), self._saving():
                    await walk.run(self._page, self._end, look_ahead=2.0 if errors.is_terminal else 0.0)
            except (asyncio.CancelledError, VinixError, OSError) as error:
                code = self._broken_off(error)
                return ExitCode.TERMINATED if terminated else code
            return self._finish()

    def _open(self) -> Writer:
        job, size = self._job, self._size
        if job.output == "table":
            return TableRows(one_account=job.one_account)
        if job.output == "json":
            return Array()
        if job.output == "parquet":
            to = Path(job.to) if job.to else None
            waiting = Path(str(to or self._file.path) + ".rows")
            waiting.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return Parquet(to, waiting, size, details=job.details)
        output = job.output or "ndjson"
        sink = File(Path(job.to), size) if job.to else Stdout(escape_of(output))
        return line_writer(output, sink, details=job.details, raw=job.raw_cells, header=not self._resumed)

    # --- while it runs ---

    def _page(self, account: Account, callflows: Sequence[Callflow], point: Checkpoint) -> None:
        self._writer.write(account, callflows)
        self._tally.callflows += len(callflows)
        self._progress.wrote(account.id, point)
        self._unsaved = True

    def _end(self, account: Account, error: VinixError | None) -> None:
        if error is None:
            self._tally.accounts_done += 1
            self._progress.finished(account.id)
            self._unsaved = True
            return
        self._tally.accounts_failed += 1
        self._failures.append(error)
        if not self._job.one_account:
            name = f" ({printable(account.name)})" if account.name else ""
            note(f"failed: {printable(account.id)}{name}: {one_line(error)}")

    def _save(self) -> float:
        size = self._writer.save()
        saved = Saved(job=self._job, connection=self._connection, size=size, sweep=self._progress.sweep())
        self._unsaved = False
        return self._file.save(saved)

    @asynccontextmanager
    async def _saving(self) -> AsyncIterator[None]:
        """Save about once a second while the block runs, and for no more than a twentieth of the time."""

        async def keep_saving() -> None:
            took = 0.0
            while True:
                await asyncio.sleep(max(1.0, 20 * took))
                try:
                    took = self._save() if self._unsaved else took
                except OSError as error:
                    note(f"vinix: how far it is could not be saved: {error}")

        task = asyncio.create_task(keep_saving())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    # --- when it ends ---

    def _broken_off(self, error: BaseException) -> int:
        """It was interrupted, or an error that is not one account's came."""
        if isinstance(error, asyncio.CancelledError):
            self._stop("interrupted")
            return ExitCode.INTERRUPTED
        if isinstance(error, VinixError):  # before OSError: a timeout is both
            code = explain(error)
            self._stop("stopped")
            return code
        if isinstance(error, BrokenPipeError):
            discard_stdout()
            self._file.remove()
        with suppress(OSError):
            self._writer.end(Ending.STOPPED)
        if isinstance(error, BrokenPipeError):
            return ExitCode.READER_GONE
        note(f"vinix: {error}")  # such as a full disk: what was saved before still holds
        if self._file.path.exists():
            note(f"this goes on where it was saved last:\n  {self._again()}")
        return ExitCode.ERROR

    def _stop(self, how: str) -> None:
        """Save what there is, so that nothing of it is read or written twice."""
        if self._progress.begun:
            self._save()
            note(f"{how} after {self._tally.summary()}; this goes on:\n  {self._again()}")
        elif how == "interrupted":
            note(how)
        try:
            self._writer.end(Ending.STOPPED)
        except BrokenPipeError:  # Ctrl-C has ended the reader too
            discard_stdout()

    def _finish(self) -> int:
        """Everything has been read, or has failed."""
        job, failed = self._job, self._failures
        if failed or job.output == "parquet":
            self._save()
        self._writer.end(Ending.FAILED if failed else Ending.COMPLETE)
        if not failed or (job.one_account and not self._tally.callflows and not self._resumed):
            self._file.remove()
        if failed and job.one_account:
            code = explain(failed[0])
        else:
            refused = all(isinstance(error, AuthenticationError) for error in failed)
            code = ExitCode.AUTHENTICATION if refused and not self._tally.accounts_done else ExitCode.SOME_FAILED
        note(self._tally.summary())
        if not failed:
            return ExitCode.OK
        if self._file.path.exists():
            many = len(failed) > 1
            note(f"{len(failed):,} account{'s have' if many else ' has'} failed; this tries again:\n  {self._again()}")
        return code

    def _again(self) -> str:
        into = " >> the same file" if self._job.to is None and not sys.stdout.isatty() else ""
        return f"vinix {self._job.command} --resume {shlex.quote(str(self._file.path))}{into}"


@contextmanager
def _terminated() -> Iterator[list[int]]:
    """Let SIGTERM end the job as Ctrl-C does; the list is empty until it comes."""
    came: list[int] = []
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop() -> None:
        came.append(signal.SIGTERM)
        if task is not None:
            task.cancel()

    try:
        loop.add_signal_handler(signal.SIGTERM, stop)
    except (NotImplementedError, RuntimeError):  # Windows, or another thread
        yield came
        return
    try:
        yield came
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
