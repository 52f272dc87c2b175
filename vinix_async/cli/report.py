"""``vinix report`` writes one HTML page about many accounts."""

from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

import vinix_async

from .console import count, note
from .exit_codes import ExitCode, UsageError
from .export import Ending, Writer, open_writer
from .options import CONNECTION, JOB_OPTIONS, Accounts, Connection, Force, FromMirror, JobOptions, Selection
from .run import check_output, refuse_existing, run_job
from .saved_job import Job
from .sources import AccountFlows, Sources

_SUFFIXES: Final = (".html", ".htm")


async def report(
    *accounts: Accounts,
    to: Annotated[
        Path | None, Parameter(help="The HTML file to write. It is required unless --resume is given.")
    ] = None,
    title: Annotated[str | None, Parameter(help="The heading of the page (default: Callflows).")] = None,
    force: Force = False,
    db: FromMirror = None,
    options: JobOptions = JOB_OPTIONS,
    connection: Connection = CONNECTION,
) -> int:
    """Write one HTML page about the callflows of many accounts. The page loads nothing from the network.

    If a run without --db is interrupted, the page has the callflows that were read until then. Use --resume to continue
    the run.
    """
    if to is None and options.resume is None:
        raise UsageError("--to is required: name the HTML file to write")
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
            "--db reads whole accounts from a mirror: remove --filter, the options for dates, --page-size, "
            "--checkpoint and --resume"
        )
    check_output(job)
    if not force:
        refuse_existing(job)
    reading = Sources(words=accounts, connection=connection, selection=options, db=db)
    writer = open_writer(job, Path())

    def write(flows: AccountFlows) -> None:
        writer.write(vinix_async.AccountPage(account=flows.account, items=tuple(flows.callflows)))

    try:
        await reading.read(write)
    except BaseException:
        _discard(writer, Path(f"{to}.rows"))
        raise
    arguments = [*options.arguments(), "--db", db, *connection.arguments()]
    writer.end(Ending(arguments=arguments, problems=reading.problems.reads))
    note(f"wrote {count(reading.accounts_done, 'account')} to {to}")
    return reading.exit_code(ExitCode.OK)


def _discard(writer: Writer, rows: Path) -> None:
    writer.sink.close()
    rows.unlink()
