"""Keep a copy of the callflows of all customers in a database, and print what has changed since the last run.

Run it as often as changes should be noticed. An account in which nothing has changed costs two requests. Each change is
one line of JSON on stdout, for example for a program that tells somebody. The first run prints nothing. A run that was
killed may have stored changes without printing them. `vinix mirror changes --since` shows these changes.

VINIX_MIRROR names the database: the path of an SQLite file, or a postgresql:// address. VINIX_BASE, and for example
VINIX_API_KEY, say where the server is and who logs in. VINIX_ACCOUNT_ID is the account whose customers are read.
Without it, it is the account that the credentials belong to.

Exit codes: 0 the copy is up to date, 1 an error, 2 a wrong setting, 3 something could not be read (the next run tries
it again), 4 the credentials were refused.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from vinix_async import Account, AuthenticationError, ConfigurationError, VinixClient, VinixError
from vinix_async.mirror import Mirror, NotKnownError, StoredChange

logger = logging.getLogger("mirror")


async def all_accounts(client: VinixClient, mirror: Mirror, reseller_id: str) -> AsyncIterator[Account | str]:
    """Yield the accounts below the reseller, and those that were below it before, of which some may be gone."""
    async for account in client.accounts.descendants(reseller_id):
        yield account
    for status in await mirror.status():
        yield status.account_id  # an account that comes twice is read once


async def refresh(client: VinixClient, mirror: Mirror, reseller_id: str) -> bool:
    """Bring the copy up to date, and return whether nothing is missing. The library logs what could not be read."""
    complete = True
    async with mirror.refresh(client, all_accounts(client, mirror, reseller_id)) as results:
        async for result in results:
            if result.state == "skipped":
                logger.warning("account %s is being refreshed by another process", result.account_id)
            complete = complete and result.ok
        stats = results.stats
    logger.info("accounts: %d, failed: %d", stats.accounts_done + stats.accounts_failed, stats.accounts_failed)
    return complete


async def print_changes(mirror: Mirror, since: datetime) -> None:
    """Print what a refresh that began at ``since`` has found to be added, changed or deleted."""
    try:
        async for change in mirror.changes(since):
            print(line_of(change), flush=True)
    except NotKnownError:
        logger.info("this was the first refresh, so nothing is known to have changed")


def line_of(change: StoredChange) -> str:
    """Return a change as one line of JSON."""
    callflow = change.new or change.old
    values = {
        "at": change.at.isoformat(),
        "account_id": change.account_id,
        "callflow_id": change.callflow_id,
        "kind": change.kind,
        "name": callflow and callflow.name,
        "numbers": callflow and callflow.numbers,
    }
    return json.dumps(values)


async def run() -> int:
    """Run once and return the exit code."""
    began = datetime.now(UTC)
    try:
        database = os.environ.get("VINIX_MIRROR")
        if not database:
            raise ConfigurationError("VINIX_MIRROR must name the database")
        async with VinixClient.from_env() as client, Mirror(database) as mirror:
            reseller_id = os.environ.get("VINIX_ACCOUNT_ID") or (await client.whoami()).account_id or ""
            try:
                complete = await refresh(client, mirror, reseller_id)
            finally:  # the next refresh does not find again what a failed refresh has stored
                await print_changes(mirror, began)
    except VinixError as error:
        logger.error("%s", error)  # noqa: TRY400  # the error says it in one line
        codes = {ConfigurationError: 2, AuthenticationError: 4}
        return codes.get(type(error), 1)
    return 0 if complete else 3


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sys.exit(asyncio.run(run()))
