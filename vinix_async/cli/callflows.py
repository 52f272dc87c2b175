"""Define ``vinix callflows list`` and ``export``. The other commands of ``vinix callflows`` have their own modules."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from .. import __version__
from .check import check
from .cluster import NO_CLUSTER, Cluster, run_on_cluster
from .diff import compare
from .export import format_of
from .options import CONNECTION, JOB_OPTIONS, Accounts, Bom, Connection, Flag, Force, JobOptions, MaxItems, RawCells
from .run import run_job
from .saved_job import Job
from .show import show
from .trace import trace_call
from .uses import uses

callflows: App = App(
    name="callflows", version=__version__, help="List, show, export, trace, check and compare callflows."
)
callflows.command(show)
callflows.command(trace_call, name="trace", usage="Usage: vinix callflows trace [OPTIONS] ACCOUNT|FILE [WHAT]")
callflows.command(uses, usage="Usage: vinix callflows uses [OPTIONS] [ACCOUNT|FILE]... WHAT")
callflows.command(check, usage="Usage: vinix callflows check [OPTIONS] [ACCOUNT|FILE]...")
callflows.command(compare, name="diff")

Details = Annotated[
    Flag,
    Parameter(help="Read whole callflows, including their flows. CSV and Parquet have a column with the flow as JSON."),
]


@callflows.command(name="list", usage="Usage: vinix callflows list [OPTIONS] [ACCOUNT]...")
async def list_callflows(
    *accounts: Accounts,
    details: Details = False,
    max_items: MaxItems = None,
    output: Annotated[
        Literal["table", "json", "ndjson", "csv", "parquet"] | None, Parameter(help="The format.")
    ] = None,
    raw_cells: RawCells = False,
    bom: Bom = False,
    options: JobOptions = JOB_OPTIONS,
    connection: Connection = CONNECTION,
) -> int:
    """List the callflows of one or more accounts.

    If you select no accounts, the command lists your own account: VINIX_ACCOUNT_ID, or account_id of the profile.
    By default, the output is a table on a terminal, and NDJSON in a pipe or a file.
    """
    job = Job(
        command="callflows list",
        accounts=accounts,
        **options.job_fields(),
        details=details,
        max_items=max_items,
        output=output,
        raw_cells=raw_cells,
        bom=bom,
    )
    return await run_job(job, connection, options)


@callflows.command(usage="Usage: vinix callflows export [OPTIONS] [ACCOUNT]...")
async def export(
    *accounts: Accounts,
    to: Annotated[
        Path | None,
        Parameter(
            help="The output file (default: stdout), or the output folder with --scheduler or --workers. The suffix "
            ".gz compresses the file."
        ),
    ] = None,
    details: Details = False,
    output: Annotated[
        Literal["ndjson", "csv", "parquet"] | None,
        Parameter(help="The format (default: selected by the suffix of --to; ndjson on stdout)."),
    ] = None,
    raw_cells: RawCells = False,
    bom: Bom = False,
    force: Force = False,
    options: JobOptions = JOB_OPTIONS,
    cluster: Cluster = NO_CLUSTER,
    connection: Connection = CONNECTION,
) -> int:
    """Write the callflows of one or more accounts to a file, as NDJSON, CSV or Parquet.

    --resume continues a run that was interrupted, even by SIGKILL. The output file then has each row once.
    """
    on_cluster = cluster != NO_CLUSTER
    job = Job(
        command="callflows export",
        accounts=accounts,
        **options.job_fields(),
        details=details,
        output=output
        if on_cluster
        else format_of(to, output)
        if to
        else output or (None if options.resume else "ndjson"),
        to=None if to is None else str(to),
        raw_cells=raw_cells,
        bom=bom,
    )
    if on_cluster:
        return await run_on_cluster(job, connection, options, cluster, force=force)
    return await run_job(job, connection, options, force=force)
