"""``vinix report`` writes one HTML page about many accounts."""

from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from .console import count, note
from .exit_codes import ExitCode, UsageError
from .export import Ending, Writer, open_writer
from .options import CONNECTION, JOB_OPTIONS, Accounts, Connection, Force, FromMirror, JobOptions, Selection
from .run import check_output, run_job
from .saved_job import Job
from .sources import Sources

_SUFFIXES: Final = (".html", ".htm")


async def report(
    *accounts: Accounts,
    to: Annotated[Path | None, Parameter(help="The file to write. It is required without --resume.")] = None,
    title: Annotated[str | None, Parameter(help="The heading of the page (default: Callflows).")] = None,
    force: Force = False,
    db: FromMirror = None,
    options: JobOptions = JOB_OPTIONS,
    connection: Connection = CONNECTION,
) -> int:
    """Write one HTML page about the callflows of many accounts. The page loads nothing from the network.

    An interrupted run writes the page with the callflows that it has read. To continue it, use --resume.
    """
    if to is None and options.resume is None:
        raise UsageError("--to is required")
    if to is not None and to.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"--to must end with {' or '.join(_SUFFIXES)}, not {to.name!r}")
    job = Job(
        command="report",
        accounts=accounts,
        **options.job_fields(),
        to=str(to) if to else None,
        title=title,
        details=options.resume is None,
        output=None if options.resume else "html",
    )
    if db is None:
        return await run_job(job, connection, options, force=force)
    if options != JobOptions(**Selection.job_fields(options), concurrency=options.concurrency):
        raise UsageError(
            "--db reads whole accounts from a mirror: remove filters, --page-size, --checkpoint and --resume"
        )
    from .. import AccountPage  # noqa: PLC0415  # slow to import, and --help does not need it

    reading = Sources(words=accounts, connection=connection, selection=options, db=db)
    writer = _open(job, force=force)
    try:
        await reading.read(lambda flows: writer.write(AccountPage(account=flows.account, items=tuple(flows.callflows))))
    except BaseException:
        _discard(job, writer)
        raise
    writer.end(Ending(problems=reading.problems.reads))
    note(count(reading.accounts_done, "account"))
    return reading.exit_code(ExitCode.OK)


def _open(job: Job, *, force: bool) -> Writer:
    """Open the file of a report that cannot be resumed."""
    check_output(job)
    to = Path(job.to or "")
    if to.exists() and not force:
        raise UsageError(f"{to} exists already; --force replaces it")
    return open_writer(job, to)


def _discard(job: Job, writer: Writer) -> None:
    """Delete the rows that were collected for a report that failed."""
    writer.sink.close()
    Path(f"{job.to}.rows").unlink()
