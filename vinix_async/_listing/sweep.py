"""Many accounts at once: one result for each, whatever becomes of the others."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, Self

from attrs import define, field, frozen

from .._documents.models import Account, Callflow
from .._exceptions import ClientClosedError, ConfigurationError, VinixError
from .._pipeline.clock import Clock
from .._pipeline.options import Meter
from .checkpoint import Checkpoint
from .pager import Pager

_VERSION: Final = 1

AccountIds = Iterable[str | Account] | AsyncIterable[str | Account]


@frozen(kw_only=True)
class AccountResult:
    """What one account gave.

    ``callflows``: all of them, or those read before ``error``. ``next_start_key``: the cursor of the page that failed;
    None for the first page, and without an error. ``elapsed``: seconds that the account took.
    """

    account_id: str
    callflows: tuple[Callflow, ...] = field(repr=lambda callflows: f"<{len(callflows)}>")
    error: VinixError | None = None
    next_start_key: str | None = None
    elapsed: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether all callflows were read."""
        return self.error is None


@define(kw_only=True)
class SweepStats(Meter):
    """Counters of a sweep, up to date at any time.

    ``accounts_done``, ``accounts_failed`` and ``callflows`` count what was handed out, beside those of ``Meter``.
    """

    accounts_done: int = 0
    accounts_failed: int = 0
    callflows: int = 0


@frozen(kw_only=True)
class SweepCheckpoint:
    """What a sweep has handed out: the accounts that are ``done``, and where those that ``failed`` go on.

    ``scope`` is the sweep's filters as a query; a sweep with other ones cannot be resumed from it.
    """

    done: frozenset[str] = frozenset()
    failed: Mapping[str, Checkpoint] = field(factory=dict)
    scope: str = ""

    def to_json(self) -> str:
        """Text for ``from_json``, in this process or another."""
        failed = {account_id: point.to_value() for account_id, point in self.failed.items()}
        return json.dumps({"version": _VERSION, "scope": self.scope, "done": sorted(self.done), "failed": failed})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The checkpoint that ``to_json`` wrote; raises ``ConfigurationError`` for anything else."""
        try:
            value = json.loads(text)
            scope, done, failed = value["scope"], value["done"], value["failed"].items()
            texts = type(done) is list and all(type(each) is str for each in [scope, *done])
            known = value["version"] == _VERSION and texts
        except (ValueError, TypeError, KeyError, AttributeError):
            known, scope, done, failed = False, "", [], []
        if not known:
            raise ConfigurationError("this is no checkpoint of a sweep, or one of another version")
        points = {account_id: Checkpoint.from_value(point) for account_id, point in failed}
        return cls(done=frozenset(done), failed=points, scope=scope)


class AccountSweep:
    """Iterate it for one ``AccountResult`` for each account, or ``await sweep.collect()`` for all of them.

    An account that fails ends nothing but itself. Leaving the loop ends all that is under way; behind
    ``async with sweep:`` it has ended. So does cancelling the wait for a result (a timeout around ``anext``):
    resume from ``checkpoint()``. An error of the iterable that names the accounts is raised when every
    account named before it has been handed out, and so is ``ClientClosedError`` when the client is closed.
    """

    def __init__(
        self,
        account_ids: AccountIds,
        pager: Callable[[str, Checkpoint | None], Pager[Callflow]],
        *,
        scope: str,
        clock: Clock,
        stats: SweepStats,
        max_concurrency: int,
        ordered: bool,
        resume: SweepCheckpoint | None,
        tasks: set[asyncio.Task[Any]],
    ) -> None:
        if isinstance(account_ids, str | bytes) or not isinstance(account_ids, Iterable | AsyncIterable):
            raise ConfigurationError("account_ids must be a list, an iterable or an async iterable of account ids")
        if resume is not None and not isinstance(resume, SweepCheckpoint):
            raise ConfigurationError("resume must be a SweepCheckpoint, as sweep.checkpoint() gives it")
        if resume is not None and resume.scope != scope:
            raise ConfigurationError(
                f"the checkpoint is one of a sweep with the filters {resume.scope!r}, not {scope!r}: give the same ones"
            )
        self.stats: SweepStats = stats
        self._account_ids = account_ids
        self._pager = pager
        self._scope = scope
        self._clock = clock
        self._most = max_concurrency
        self._ordered = ordered
        self._tasks = tasks
        self._done = set(resume.done) if resume else set[str]()
        self._failed = dict(resume.failed) if resume else dict[str, Checkpoint]()
        self._results: AsyncGenerator[AccountResult, None] | None = None

    def checkpoint(self) -> SweepCheckpoint:
        """The sweep up to the result whose loop body is running, that one included.

        A sweep resumed from it skips the accounts that are done. One that failed goes on where it failed, and its
        new result has only the callflows that the old one had not.
        """
        return SweepCheckpoint(done=frozenset(self._done), failed=dict(self._failed), scope=self._scope)

    async def collect(self) -> dict[str, AccountResult]:
        """Every account's result by its id, in the order in which they came."""
        return {result.account_id: result async for result in self}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._results is not None:
            await self._results.aclose()

    def __aiter__(self) -> AsyncGenerator[AccountResult, None]:
        self._results = self._sweep()
        return self._results

    async def _sweep(self) -> AsyncGenerator[AccountResult, None]:
        # An account holds a place from its start until its result is handed out; that bounds the memory.
        places = asyncio.Semaphore(self._most)
        finished: asyncio.Queue[asyncio.Task[_Outcome] | None] = asyncio.Queue()
        walks: set[asyncio.Task[_Outcome]] = set()

        async def feed() -> None:
            async with aclosing(_each(self._account_ids, skip=set(self._done))) as account_ids:
                async for account_id in account_ids:
                    await places.acquire()
                    walk = asyncio.create_task(self._walk(account_id))
                    walks.add(walk)
                    if self._ordered:
                        finished.put_nowait(walk)
                    else:
                        walk.add_done_callback(finished.put_nowait)

        feeder = asyncio.create_task(feed())
        feeder.add_done_callback(lambda _: finished.put_nowait(None))
        feeder.add_done_callback(self._tasks.discard)
        self._tasks.add(feeder)
        try:
            while walks or not feeder.done():
                walk = await finished.get()
                if walk is not None:
                    outcome = await walk
                    walks.discard(walk)
                    places.release()
                    yield self._hand_out(outcome)
            if feeder.cancelled():
                raise ClientClosedError("the client was closed before every account was read")
            await feeder
        finally:
            for task in (feeder, *walks):
                task.cancel()
            await asyncio.gather(feeder, *walks, return_exceptions=True)

    async def _walk(self, account_id: str) -> "_Outcome":
        began = self._clock.monotonic()
        callflows: list[Callflow] = []
        pager = failed = None
        try:
            pager = self._pager(account_id, self._failed.get(account_id))
            async for page in pager.by_page():  # what came before an error counts
                callflows += page.items
        except VinixError as error:
            failed = error
        result = AccountResult(
            account_id=account_id,
            callflows=tuple(callflows),
            error=failed,
            next_start_key=failed.start_key if failed else None,
            elapsed=self._clock.monotonic() - began,
        )
        return _Outcome(result, pager.checkpoint() if pager else None)

    def _hand_out(self, outcome: "_Outcome") -> AccountResult:
        result = outcome.result
        self.stats.callflows += len(result.callflows)
        if result.ok:
            self.stats.accounts_done += 1
            self._done.add(result.account_id)
            self._failed.pop(result.account_id, None)
        else:
            self.stats.accounts_failed += 1
            if outcome.checkpoint is not None:
                self._failed[result.account_id] = outcome.checkpoint
        return result


@frozen
class _Outcome:
    result: AccountResult
    checkpoint: Checkpoint | None


async def _each(account_ids: AccountIds, skip: set[str]) -> AsyncGenerator[str, None]:
    """The ids, each once, as fast as they are asked for."""
    if isinstance(account_ids, AsyncIterable):
        source: AsyncIterator[str | Account] = aiter(account_ids)
    else:
        source = _slowly(account_ids)
    try:
        async for each in source:
            account_id = each.id if isinstance(each, Account) else each
            if not isinstance(account_id, str):
                raise ConfigurationError(f"account_ids must be str, not {type(account_id).__name__}")
            if account_id not in skip:
                skip.add(account_id)
                yield account_id
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


async def _slowly(account_ids: Iterable[str | Account]) -> AsyncGenerator[str | Account, None]:
    for each in account_ids:
        yield each
