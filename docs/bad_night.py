"""Write the log in docs/bad-night.md: a sweep of 2,000 accounts of the sandbox in which much goes wrong.

Usage: ``python docs/bad_night.py LOG``.
"""

import argparse
import asyncio
import logging

from vinix_async import Auth, UserAuth
from vinix_async.sandbox import Sandbox


async def night() -> None:
    """Read every callflow whole while accounts, documents, a login and the server fail."""
    async with Sandbox(dialect="kazoo43", accounts=2001, callflows=(2, 6), rate_limit=(40, 10), record=10) as sandbox:
        accounts = list(sandbox.account_ids[1:])
        sandbox.deny(accounts[150], 403)
        sandbox.deny(accounts[700], 500)
        sandbox.hang(accounts[1200])
        for number, how in ((300, 500), (900, "wrong_node"), (1500, "wrong_type")):
            sandbox.break_callflow(accounts[number], sandbox.callflow_ids(accounts[number])[1], how)
        for extension in range(2000, 2060):  # more than the rate limit allows at once
            sandbox.put(accounts[1000], {"name": f"Extension {extension}", "numbers": [str(extension)]})
        right = sandbox.user_auth()
        wrong = UserAuth("nightly", "not the password", account_name=right.account_name)

        def auth(account_id: str) -> Auth:
            return wrong if account_id == accounts[1800] else right

        async with sandbox.client(auth=auth, timeout=2.0) as client:
            sweep = client.callflows.list_many(client.accounts.descendants(sandbox.root_id), details=True)
            done = 0
            async with sweep:
                async for _ in sweep:
                    done += 1
                    if done == 500:
                        sandbox.outage(4, kind="502")


def main() -> None:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", help="the file to write to")
    log = parser.parse_args().log
    logging.basicConfig(filename=log, filemode="w", format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("vinix_async").setLevel(logging.INFO)
    asyncio.run(night())


if __name__ == "__main__":
    main()
