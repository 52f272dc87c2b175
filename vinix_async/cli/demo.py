"""``vinix demo`` lists the callflows of a few synthetic accounts."""

from typing import Annotated

from cyclopts import Parameter

from .options import Connection, Dialect, Flag, SandboxAccounts
from .run import run_job
from .saved_job import Job


async def demo(
    *,
    accounts: SandboxAccounts = 3,
    dialect: Dialect = "kazoo5",
    sandbox: Annotated[Flag, Parameter(show=False)] = True,  # noqa: ARG001  # accepted as in the other commands
) -> int:
    """List the callflows of a few synthetic accounts with the real client and an embedded sandbox.

    The callflows of the last account have faults. Their names describe the faults.
    """
    connection = Connection(sandbox=True, sandbox_accounts=accounts, sandbox_dialect=dialect, sandbox_findings=True)
    return await run_job(Job(command="demo", all=True, output="table"), connection)
