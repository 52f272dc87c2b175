"""How many accounts use each module of callflows, counted by a Dask cluster.

It reads the callflows of all accounts below your own. DASK_SCHEDULER_ADDRESS names the scheduler; without it, Dask
starts worker processes on this machine. Your credentials are in VINIX_ variables, here and on every worker. To try it
without an account, run `vinix sandbox --port 0` in another terminal, and set the variables that it prints.

Accounts and callflows that could not be read are named on stderr, and the exit code is 1.
"""

import asyncio
import sys

from distributed import Client

from vinix_async import Account, VinixClient
from vinix_async.dask import read_callflows


async def customers() -> list[Account]:
    """Return the accounts below your own."""
    async with VinixClient.from_env() as client:
        own = (await client.whoami()).account_id
        return await client.accounts.descendants(own or "").to_list()


def main() -> None:
    """Run the job once."""
    accounts = asyncio.run(customers())
    with Client():
        frame = read_callflows(accounts, details=True).persist()  # each partition is read once, and stays on its worker
        failed = frame[~frame.error.isna()].compute()
        used = frame[frame.error.isna()][["account_id", "modules"]].explode("modules").dropna().drop_duplicates()
        for module, count in used.modules.value_counts().compute().items():
            print(f"{count:6,}  {module}")
    for row in failed.itertuples():
        print(f"account {row.account_id}, callflow {row.id}: {row.error}", file=sys.stderr)
    sys.exit(1 if len(failed) else 0)


if __name__ == "__main__":
    main()
