"""``vinix demo``: a reseller's evening, in a second."""

# ruff: noqa: PLC0415  # --help needs neither aiohttp nor the client

from typing import Annotated

from cyclopts import Parameter

from ._options import Connection, Dialect, Flag


async def demo(
    *,
    accounts: int = 3,
    dialect: Dialect = "kazoo5",
    sandbox: Annotated[Flag, Parameter(show=False)] = True,  # noqa: ARG001  # it is one anyway
) -> int:
    """List the callflows of a few synthetic accounts, through the real client, from an embedded sandbox.

    Parameters
    ----------
    accounts
        How many accounts, the reseller above them included.
    dialect
        Which of the server's ways of answering.
    """
    from ._job import Job
    from ._run import run_job

    connection = Connection(sandbox=True, sandbox_accounts=accounts, sandbox_dialect=dialect)
    return await run_job(Job(command="demo", all=True, output="table"), connection)
