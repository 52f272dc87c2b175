"""``vinix demo``: a reseller's evening, in a second."""

import asyncio
import time

from rich.console import Console

from .. import Account, Callflow, RetryEvent
from ..sandbox import Sandbox
from ._output import add_callflow, callflow_table, note, progress


async def show(sandbox: Sandbox) -> None:
    """List the callflows of the root account and of all below it, each account's in a table."""
    begun = time.monotonic()
    retries: list[RetryEvent] = []
    async with sandbox.client(on_retry=retries.append) as client:
        below = await client.accounts.descendants(sandbox.root_id).to_list()
        accounts = [Account(id=sandbox.root_id, name="Sandbox Telecom"), *below]
        with progress("accounts", total=len(accounts)) as bar:

            async def read(account: Account) -> list[Callflow]:
                found = await client.callflows.list(account.id).to_list()
                bar.advance(bar.task_ids[0])
                return found

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(read(account)) for account in accounts]
    console = Console()
    for account, task in zip(accounts, tasks, strict=True):
        table = callflow_table(f"{account.name}  {account.id}")
        for callflow in task.result():
            add_callflow(table, callflow)
        console.print(table)
    count = sum(len(task.result()) for task in tasks)
    note(
        f"{len(accounts)} accounts, {count} callflows, {sandbox.served} requests, {len(retries)} retries, "
        f"{time.monotonic() - begun:.2f} s; the server was {sandbox.url}"
    )
