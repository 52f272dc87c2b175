"""``vinix report`` writes one HTML page about many accounts."""

from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from .exit_codes import UsageError
from .job import Job
from .options import CONNECTION, JOB_OPTIONS, Accounts, Connection, Force, JobOptions
from .run import run_job

_SUFFIXES: Final = (".html", ".htm")


async def report(
    *accounts: Accounts,
    to: Annotated[Path | None, Parameter(help="The file. Required without --resume.")] = None,
    title: Annotated[str | None, Parameter(help="The heading of the page (default: Callflows).")] = None,
    force: Force = False,
    options: JobOptions = JOB_OPTIONS,
    connection: Connection = CONNECTION,
) -> int:
    """Write one HTML page about the callflows of many accounts. The page needs no network.

    An interrupted run writes the page with what it has read, and continues with --resume.
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
    return await run_job(job, connection, options, force=force)
