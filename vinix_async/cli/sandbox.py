"""``vinix sandbox`` runs a sandbox as a server for other programs. ``vinix demo`` lists callflows of a sandbox."""

import asyncio
from typing import Annotated, Any

from cyclopts import Parameter

from ..sandbox import Sandbox
from .console import note, write_data
from .exit_codes import UsageError
from .options import Connection, Dialect, Flag, SandboxAccounts, SandboxCallflows, between
from .run import run_job
from .saved_job import Job


async def sandbox(
    *,
    port: Annotated[int, Parameter(validator=between(0, 65535), help="The port. 0 selects a free port.")] = 8080,
    dialect: Dialect = "kazoo5",
    accounts: SandboxAccounts = 3,
    callflows: SandboxCallflows = None,
    findings: Annotated[Flag, Parameter(help="Add an account whose callflows have faults.")] = False,
    seed: Annotated[int, Parameter(help="The seed of the random data. Another seed gives other accounts.")] = 0,
) -> None:
    """Run a sandbox server on this machine until Ctrl-C, and print the environment variables that a client needs."""
    given: dict[str, Any] = {} if callflows is None else {"callflows": callflows}
    server = Sandbox(port=port, dialect=dialect, accounts=accounts, findings=findings, seed=seed, **given)
    try:
        await server.start()
    except OSError as error:
        raise UsageError(f"--port {port} cannot be used: {error.strerror}; 0 selects a free port") from None
    try:
        auth = server.user_auth()
        variables = {
            "VINIX_BASE": server.url,
            "VINIX_USERNAME": auth.username,
            "VINIX_PASSWORD": auth.password,  # synthetic, and valid for this server only
            "VINIX_ACCOUNT_NAME": auth.account_name,
            "VINIX_ACCOUNT_ID": server.root_id,
        }
        write_data("".join(f"export {name}={value}\n" for name, value in variables.items()).encode())
        note("The sandbox is running. Press Ctrl-C to stop it.")
        await asyncio.Event().wait()
    finally:
        await server.close()


async def demo(
    *,
    accounts: SandboxAccounts = 3,
    dialect: Dialect = "kazoo5",
    sandbox: Annotated[Flag, Parameter(show=False)] = True,  # noqa: ARG001  # accepted, as by other commands
) -> int:
    """List the callflows of a few synthetic accounts with the real client and an embedded sandbox.

    The callflows of the last account have faults. Their names describe the faults.
    """
    connection = Connection(sandbox=True, sandbox_accounts=accounts, sandbox_dialect=dialect, sandbox_findings=True)
    return await run_job(Job(command="callflows list", all=True, output="table"), connection)
