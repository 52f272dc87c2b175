"""``vinix sandbox``: the sandbox as a server for other programs."""

import asyncio

from ._options import Dialect
from ._output import note, write_data


async def serve(
    *, port: int = 8080, dialect: Dialect = "kazoo5", accounts: int = 3, callflows: int | None = None, seed: int = 0
) -> None:
    """Run a sandbox server on this machine until Ctrl-C; prints the variables that point a client to it.

    Parameters
    ----------
    port
        The port to listen on; 0 takes a free one.
    dialect
        Which of the server's ways of answering.
    accounts
        How many accounts, the reseller above them included.
    callflows
        How many callflows each account has; without it, 4 to 12.
    seed
        Another number makes other accounts.
    """
    from ..sandbox import Sandbox  # noqa: PLC0415  # --help does without

    server = Sandbox(
        port=port, dialect=dialect, accounts=accounts, seed=seed, callflows=(4, 12) if callflows is None else callflows
    )
    async with server:
        auth = server.user_auth()
        known = {
            "VINIX_BASE": server.url,
            "VINIX_USERNAME": auth.username,
            "VINIX_PASSWORD": auth.password,  # synthetic, and good for this server alone
            "VINIX_ACCOUNT_NAME": auth.account_name,
            "VINIX_ACCOUNT_ID": server.root_id,
        }
        write_data("".join(f"export {name}={value}\n" for name, value in known.items()).encode())
        note("listening; Ctrl-C ends it")
        await asyncio.Event().wait()
