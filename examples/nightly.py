"""Every callflow of every customer, once: what a nightly job does. Runs against the sandbox as it stands.

It writes one line of JSON for each callflow, with the id of its account, and every few seconds a checkpoint beside it.
A run that was interrupted, even by SIGKILL, continues from there when it is run again with the same two paths: no
callflow is missing, and none is written twice.
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
"""Seconds: a checkpoint names all accounts that are done, so that one for each account would cost more and more."""


def begin(data: Path, saved: Path) -> tuple[BinaryIO, SweepCheckpoint | None]:
    """The file to write to, and what it already has; lines behind the last checkpoint are cut off."""
    known: dict[str, Any] = json.loads(saved.read_text()) if saved.exists() else {"size": 0, "sweep": None}
    lines = data.open("ab")
    lines.truncate(known["size"])
    return lines, SweepCheckpoint.from_json(known["sweep"]) if known["sweep"] else None


def save(saved: Path, lines: BinaryIO, sweep: AccountSweep) -> None:
    """Make the lines and the checkpoint durable, in this order, and replace the checkpoint in one step."""
    lines.flush()
    os.fsync(lines.fileno())
    fresh = saved.with_suffix(".new")
    fresh.write_text(json.dumps({"size": lines.tell(), "sweep": sweep.checkpoint().to_json()}))
    fresh.replace(saved)


async def nightly(client: VinixClient, reseller_id: str, data: Path, saved: Path) -> int:
    """Append all callflows below ``reseller_id`` to ``data``; the number of accounts that failed."""
    lines, resume = begin(data, saved)
    sweep = client.callflows.list_many(client.accounts.descendants(reseller_id), details=True, resume=resume)
    saved_at = time.monotonic()
    with lines:
        async with sweep:
            async for result in sweep:
                account_id = json.dumps(result.account_id).encode()
                lines.writelines(
                    b'{"account_id":%b,"callflow":%b}\n' % (account_id, to_json(callflow))
                    for callflow in result.callflows
                )
                if time.monotonic() - saved_at >= SAVE_EVERY:
                    save(saved, lines, sweep)
                    saved_at = time.monotonic()
                if result.error:
                    print(f"{result.account_id}: {result.error}", file=sys.stderr)
        save(saved, lines, sweep)
    return sweep.stats.accounts_failed


async def main() -> None:
    """Run it once."""
    if len(sys.argv) != 3:
        sys.exit("usage: nightly.py DATA CHECKPOINT")
    data, saved = map(Path, sys.argv[1:])
    async with Sandbox(accounts=int(os.environ.get("ACCOUNTS", "20"))) as sandbox, sandbox.client() as client:
        sys.exit(1 if await nightly(client, sandbox.root_id, data, saved) else 0)


if __name__ == "__main__":
    asyncio.run(main())
