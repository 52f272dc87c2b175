"""TEMPORARY: a sweep by pages over today's pager, until the library has one."""

import asyncio
from typing import Any

from attrs import define, frozen
from msgspec import structs

from .. import Account, AuthenticationError, SweepCheckpoint, SweepStats, VinixError


@define(kw_only=True)
class Stats(SweepStats):
    @property
    def rate_limited(self) -> int:
        return self.refusals

    @property
    def wait_seconds(self) -> float:
        return self.waiting


@frozen(kw_only=True)
class AccountPage:
    account: Account
    account_id: str
    items: Any = ()
    start_key: Any = None
    next_start_key: Any = None
    error: Any = None


def metered(client):
    stats = Stats()
    view = client.with_options()
    view._wire(client._requester, structs.replace(client._options, meter=stats), owner=False)
    return view, stats


class Sweep:
    def __init__(self, client, stats, accounts, *, max_concurrency, resume, **options):
        self.client, self.stats, self.accounts, self.n, self.options = client, stats, accounts, max_concurrency, options
        client.callflows.list("checks", **options)
        self.done = set(resume.done) if resume else set()
        self.points = dict(resume.failed) if resume else {}
        self.pages = None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        if self.pages is not None:
            await self.pages.aclose()

    def checkpoint(self):
        return SweepCheckpoint(done=frozenset(self.done), failed=dict(self.points))

    def by_page(self):
        self.pages = self._pages()
        return self.pages

    async def _pages(self):
        out = asyncio.Queue(maxsize=1)
        accounts = self.accounts
        places = asyncio.Semaphore(self.n)
        tasks = set()
        failure = []

        async def one(account):
            pager = None
            try:
                pager = self.client.callflows.list(account.id, resume=self.points.get(account.id), **self.options)
                any_page = False
                async for page in pager.by_page():
                    any_page = True
                    await out.put(
                        (
                            AccountPage(
                                account=account,
                                account_id=account.id,
                                items=page.items,
                                next_start_key=page.next_start_key,
                            ),
                            pager.checkpoint(),
                        )
                    )
                if not any_page:
                    await out.put((AccountPage(account=account, account_id=account.id), pager.checkpoint()))
            except VinixError as error:
                await out.put((AccountPage(account=account, account_id=account.id, error=error), None))
            finally:
                places.release()

        async def feed():
            try:
                async for account in accounts:
                    if account.id not in self.done:
                        await places.acquire()
                        task = asyncio.create_task(one(account))
                        tasks.add(task)
                        task.add_done_callback(tasks.discard)
            except VinixError as error:
                failure.append(error)
            while tasks:
                await asyncio.wait(set(tasks))
            await out.put(None)

        feeder = asyncio.create_task(feed())
        refused = 0
        try:
            while found := await out.get():
                page, point = found
                if page.error:
                    self.stats.accounts_failed += 1
                    refused = refused + 1 if isinstance(page.error, AuthenticationError) else 0
                else:
                    refused = 0
                    self.points[page.account_id] = point
                    self.stats.callflows += len(page.items)
                    if page.next_start_key is None or point.finished:
                        self.points.pop(page.account_id)
                        self.done.add(page.account_id)
                        self.stats.accounts_done += 1
                yield page
                if refused == 5:
                    raise page.error
            await feeder
            if failure:
                raise failure[0]
        finally:
            for task in (feeder, *tasks):
                task.cancel()
            await asyncio.gather(feeder, *tasks, return_exceptions=True)
            await accounts.aclose()
