"""``vinix report`` writes one HTML page about many accounts."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .exit_codes import UsageError
from .job import Job
from .options import CONNECTION, QUERY, RUNNING, SELECTION, Accounts, Connection, Force, Query, Running, Selection
from .run import run_job


async def report(
    *accounts: Accounts,
    to: Annotated[Path | None, Parameter(help="The file. Required without --resume.")] = None,
    title: Annotated[str | None, Parameter(help="The heading of the page (default: Callflows).")] = None,
    selection: Selection = SELECTION,
    query: Query = QUERY,
    force: Force = False,
    running: Running = RUNNING,
    connection: Connection = CONNECTION,
) -> int:
    """Write one HTML page about the callflows of many accounts. The page needs no network.

    An interrupted run writes the page with what it has read, and continues with --resume.
    """
    if to is None and running.resume is None:
        raise UsageError("--to is required")
    job = Job(
        command="report",
        accounts=accounts,
        **vars(selection),
        filters=query.server_filters(),
        page_size=query.page_size,
        to=str(to) if to else None,
        title=title,
        details=running.resume is None,
        output=None if running.resume else "html",
    )
    return await run_job(job, connection, running, force=force)
