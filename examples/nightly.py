"""A nightly job: write every callflow of every customer to a file, once. It runs against the sandbox as it is.

It writes one line of JSON for each callflow, with its account, and every few seconds a checkpoint to another file. A
run that was interrupted, even by SIGKILL, is continued by running it again with the same two paths: no callflow is
missing, and none is written twice. Accounts and callflows that could not be read are named on stderr, and the next run
tries them again.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from vinix_async import AccountSweep, SweepCheckpoint, VinixClient, to_json
from vinix_async.sandbox import Sandbox

SAVE_EVERY = float(os.environ.get("SAVE_EVERY", "5"))
"""Seconds between two checkpoints. A checkpoint names all accounts that are done, so it should not be written often."""


def begin(data: Path, saved: Path) -> tuple[BinaryIO, SweepCheckpoint | None]:
    """Open the data file, cut off the lines after the last checkpoint, and return it with that checkpoint."""
    known: dict[str, Any] = json.loads(saved.read_text()) if saved.exists() else {"size": 0, "sweep": None}
    lines = data.open("ab")
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
            async for result in sweep:
                account_id = json.dumps(result.account_id).encode()
                for callflow in result.callflows:
                    lines.write(b'{"account_id":%b,"callflow":%b}\n' % (account_id, to_json(callflow)))
                if time.monotonic() - saved_at >= SAVE_EVERY:
                    save(saved, lines, sweep)
                    saved_at = time.monotonic()
                for bad in result.bad_items:
                    print(f"account {result.account_id}, callflow {bad.id}: {bad.error}", file=sys.stderr)
                if result.error:
                    print(f"account {result.account_id}: {result.error}", file=sys.stderr)
                complete = complete and result.ok
        save(saved, lines, sweep)
    return complete


async def main() -> None:
    """Run the job once. The exit code is 1 if something is missing."""
    if len(sys.argv) != 3:
        sys.exit("usage: nightly.py DATA CHECKPOINT (two files, which need not exist)")
    data, saved = Path(sys.argv[1]), Path(sys.argv[2])
    async with Sandbox(accounts=int(os.environ.get("ACCOUNTS", "20"))) as sandbox, sandbox.client() as client:
        sys.exit(0 if await nightly(client, sandbox.root_id, data, saved) else 1)


if __name__ == "__main__":
    asyncio.run(main())
