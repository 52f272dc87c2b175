"""Export callflows with the workers of a Dask cluster.

The output is a folder of Parquet files. The folder also serves as the checkpoint.
"""

import logging
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import attrs
from cyclopts import Group, Parameter

import vinix_async

from .connection import Server, connect
from .console import note
from .exit_codes import Problems, UsageError
from .options import Connection, JobOptions, between
from .progress import Tally, shown_progress
from .run import completed, interruptible
from .saved_job import Job
from .selection import ReadAhead, selected_accounts
from .settings import VARIABLES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import distributed

    from ..dask import DatasetPart

_THREADS: Final = 4  # the number of parts that a local worker process handles at a time
_CONNECT: Final = 10.0  # seconds to wait for the scheduler's answer
_IGNORE_CTRL_C: Final = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
"""Code that each worker process on this machine runs first. A terminal sends Ctrl-C to the worker processes, too. They
ignore it, because the command ends them itself."""


@Parameter(name="*", group=Group("Cluster", sort_key=7))
@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Options for an export to a folder of Parquet files, which the workers of a Dask cluster write.

    Attributes:
        workers: The number of worker processes to start on this machine for the export.
    """

    scheduler: Annotated[
        str | None,
        Parameter(
            help="The address of a Dask scheduler whose workers do the export, such as tcp://10.0.0.1:8786. The "
            "workers need credentials in their environment."
        ),
    ] = None
    workers: Annotated[int | None, Parameter(validator=between(1))] = None


NO_CLUSTER: Final = Cluster()


async def run_on_cluster(
    job: Job, connection: Connection, options: JobOptions, cluster: Cluster, *, force: bool
) -> int:
    """Write the callflows of a job to a folder, print the failures, and return the exit code."""
    _check(job, connection, options, cluster, _again(force=force))
    async with connect(connection) as server:
        run = _Run(server, completed(job, server), connection, options, overwrite=force)
        return await interruptible(run.run(cluster, server), run.stop)


def _again(*, force: bool) -> str:
    """Return how to continue the export. With --force, the same command would remove the parts already written."""
    return "run the same command again" + (" without --force" if force else "")


def _check(job: Job, connection: Connection, options: JobOptions, cluster: Cluster, again: str) -> None:
    """Raise ``UsageError`` for options that do not fit together, before anything is sent."""
    if cluster.scheduler is not None and cluster.workers is not None:
        raise UsageError("--scheduler uses the workers of an existing cluster: remove --workers")
    option = "--workers" if cluster.scheduler is None else "--scheduler"
    if cluster.scheduler is not None and "://" not in cluster.scheduler:
        raise UsageError(f"--scheduler must be an address such as tcp://10.0.0.1:8786, not {cluster.scheduler!r}")
    if connection.sandbox and cluster.scheduler is not None:
        raise UsageError(
            "other machines cannot reach the sandbox inside this command: use --workers instead of --scheduler"
        )
    if job.to is None:
        raise UsageError(f"{option} needs --to, the folder to write to")
    if Path(job.to).exists() and not Path(job.to).is_dir():
        raise UsageError(f"{option} needs a folder, but --to is a file: {job.to}")
    if options.resume or options.checkpoint:
        raise UsageError(
            f"{option} saves its progress in the output folder: remove --resume and --checkpoint. "
            f"To continue an interrupted export, {again}"
        )
    if job.raw_cells or job.bom or job.output not in {None, "parquet"}:
        raise UsageError(f"{option} writes Parquet: remove --output, --raw-cells and --bom")
    try:
        import vinix_async.dask  # noqa: F401, PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise UsageError(str(error)) from None


@asynccontextmanager
async def _open(cluster: Cluster, server: Server) -> "AsyncIterator[distributed.Client]":
    """Connect to the scheduler, or start a cluster on this machine."""
    import dask.config  # noqa: PLC0415  # an extra
    import distributed  # noqa: PLC0415  # an extra

    for name in ("distributed", "distributed.client"):  # the command prints its own messages about these events
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if cluster.scheduler is not None:
        async with distributed.Client(cluster.scheduler, asynchronous=True, timeout=_CONNECT) as client:
            if not await client.nthreads():
                note("the scheduler has no workers yet: waiting for the first one")
            yield client
        return
    # Anyone who can connect to a scheduler can run code in its workers. Therefore the local scheduler listens only on
    # the loopback address, requires a certificate that is created for this run, and serves no dashboard.
    with dask.config.set({"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}):
        async with (
            distributed.LocalCluster(
                n_workers=cluster.workers,
                threads_per_worker=_THREADS,
                host="127.0.0.1",
                security=True,
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.CRITICAL,
                asynchronous=True,
                env=worker_environment(server.auth),
                preload=_IGNORE_CTRL_C,
            ) as local,
            distributed.Client(local, asynchronous=True) as client,
        ):
            yield client


def worker_environment(auth: "vinix_async.Auth") -> dict[str, str]:
    """Return the environment variables from which a worker process creates its client.

    Dask sets the variables only after the process has started. Therefore ``ps`` does not show them.
    """
    values = attrs.asdict(cast("attrs.AttrsInstance", auth))
    values["auth_token"] = values.pop("token", None)
    return {variable: values.get(name) or "" for name, variable in VARIABLES.items()}


class _Run:
    def __init__(
        self, server: Server, job: Job, connection: Connection, options: JobOptions, *, overwrite: bool
    ) -> None:
        self._again = _again(force=overwrite)
        self._problems = Problems()
        selected = ReadAhead(selected_accounts(server, job, self._problems.add))
        self._tally = Tally(client=server.client.stats, sweep=vinix_async.SweepStats(), selected=selected)
        self._options: dict[str, Any] = {
            "account_ids": selected,
            "folder": job.to,
            "connect": partial(
                vinix_async.VinixClient.from_env,
                base_url=server.client.base_url,
                allow_http=connection.allow_http,
                trust_env=True,
                retry=vinix_async.RetryPolicy(outage_wait=connection.outage_wait),
            ),
            "details": job.details,
            "filters": job.filters,
            "page_size": job.page_size,
            "max_concurrency": options.concurrency,
            "source": server.where,
            "overwrite": overwrite,
        }

    async def run(self, cluster: Cluster, server: Server) -> int:
        """Write all parts and return the exit code."""
        from ..dask import write_callflows  # noqa: PLC0415  # an extra

        async with _open(cluster, server) as client:
            parts = write_callflows(client, **self._options)
            async with shown_progress(self._tally), aclosing(parts):
                async for part in parts:
                    self._count(part)
        note(self._tally.summary())
        if self._problems.reads:
            note(f"{self._problems.missing()}; to try again, {self._again}")
        return self._problems.code(accounts_done=self._tally.sweep.accounts_done)

    def _count(self, part: "DatasetPart") -> None:
        failed = sum(page.error is not None for page in part.problems)
        self._tally.callflows += part.callflows
        self._tally.sweep.accounts_failed += failed
        self._tally.sweep.accounts_done += part.accounts - failed
        for name, number in part.counters.items():
            setattr(self._tally.client, name, getattr(self._tally.client, name) + number)
        for page in part.problems:
            self._problems.add(page)

    def stop(self, how: str) -> None:
        """Print how to continue. If an error stopped the export before any account was read, print nothing."""
        if how == "interrupted" or self._tally.accounts:
            note(f"{how} after {self._tally.summary()}; to continue, {self._again}")
