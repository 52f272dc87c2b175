"""Every callflow of every customer, once: what a nightly job does. Runs against the sandbox as it stands."""

import asyncio

from vinix_async import VinixError, to_json
from vinix_async.sandbox import Sandbox


async def main() -> None:
    """Print each callflow as a line of JSON, and each account that failed with its error."""
    async with Sandbox(accounts=5) as sandbox, sandbox.client(deadline=60.0) as client:
        async for account in client.accounts.descendants(sandbox.root_id):
            try:
                async for callflow in client.callflows.list(account.id, details=True):
                    print(to_json(callflow).decode())
            except VinixError as error:
                print(f"{account.name}: {error}")


if __name__ == "__main__":
    asyncio.run(main())
