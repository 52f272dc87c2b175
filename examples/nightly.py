"""A nightly job: write every callflow of every customer to a file, once.

    nightly.py DATA CHECKPOINT

It writes one line of JSON for each callflow, with its account, and every few seconds a checkpoint to another file. A
run that was interrupted, even by SIGKILL, is continued by running it again with the same two paths: no callflow is
missing, and none is written twice. What could not be read is named in the log, and the next run tries it again.

The environment says where the server is and who logs in: VINIX_BASE, and for example VINIX_API_KEY. VINIX_ACCOUNT_ID is
the account whose customers are read. Without it, it is the account that the credentials belong to.

Exit codes: 0 everything was written, 1 an error, 2 a wrong argument or setting, 3 something is missing, 4 the
credentials were refused.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from vinix_async import (
    AccountSweep,
    AuthenticationError,
    ConfigurationError,
    RetryPolicy,
    SweepCheckpoint,
    VinixClient,
    VinixError,
    to_json,
)

logger = logging.getLogger("nightly")

PATIENT = RetryPolicy(outage_wait=3600)
"""Nobody waits for a nightly job, so it waits for up to an hour while the server is unavailable."""

SAVE_EVERY = 5.0
"""Seconds between two checkpoints. A checkpoint names all accounts that are done, so it should not be written often."""


def begin(data: Path, saved: Path) -> tuple[BinaryIO, SweepCheckpoint | None]:
    """Open the data file, cut off the lines after the last checkpoint, and return it with that checkpoint."""
    known: dict[str, Any] = json.loads(saved.read_text()) if saved.exists() else {"size": 0, "sweep": None}
    lines = data.open("ab")
    if lines.tell() < known["size"]:
        lines.close()
        raise ConfigurationError(f"{data} is shorter than {saved} says: delete both to start again")
    lines.truncate(known["size"])
    return lines, SweepCheckpoint.from_json(known["sweep"]) if known["sweep"] else None


def save(saved: Path, lines: BinaryIO, sweep: AccountSweep) -> None:
    """Make the lines durable, and then the checkpoint, which replaces the old one in one step."""
    lines.flush()
    os.fsync(lines.fileno())
    new = saved.with_suffix(".new")
    new.write_text(json.dumps({"size": lines.tell(), "sweep": sweep.checkpoint().to_json()}))
    new.replace(saved)


async def nightly(client: VinixClient, reseller_id: str, data: Path, saved: Path) -> bool:
    """Append the callflows of all accounts below ``reseller_id`` to ``data``; return whether nothing is missing."""
    lines, resume = begin(data, saved)
    sweep = client.callflows.list_many(client.accounts.descendants(reseller_id), details=True, resume=resume)
    saved_at = time.monotonic()
    complete = True
    with lines:
        async with sweep:
            async for result in sweep:  # the library logs what could not be read
                account_id = json.dumps(result.account_id).encode()
                for callflow in result.callflows:
                    lines.write(b'{"account_id":%b,"callflow":%b}\n' % (account_id, to_json(callflow)))
                if time.monotonic() - saved_at >= SAVE_EVERY:
                    save(saved, lines, sweep)
                    saved_at = time.monotonic()
                complete = complete and result.ok
        save(saved, lines, sweep)
    return complete


async def run(data: Path, saved: Path) -> int:
    """Run the job once and return its exit code."""
    try:
        async with VinixClient.from_env(retry=PATIENT) as client:
            reseller_id = os.environ.get("VINIX_ACCOUNT_ID") or (await client.whoami()).account_id or ""
            complete = await nightly(client, reseller_id, data, saved)
    except VinixError as error:
        logger.error("%s", error)  # noqa: TRY400  # the error says it in one line
        codes = {ConfigurationError: 2, AuthenticationError: 4}
        return codes.get(type(error), 1)
    return 0 if complete else 3


def main() -> int:
    """Read the command line, set up the log, and run the job."""
    parser = argparse.ArgumentParser(description="Write every callflow of every customer to a file, once.")
    parser.add_argument("data", type=Path, help="the file to write, which need not exist")
    parser.add_argument("checkpoint", type=Path, help="the file for the progress, which need not exist")
    paths = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return asyncio.run(run(paths.data, paths.checkpoint))


if __name__ == "__main__":
    sys.exit(main())
