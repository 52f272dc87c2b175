"""Sweeps, which list the callflows of many accounts concurrently. A failing account does not affect the others."""

import asyncio
import weakref
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import aclosing, suppress
from contextvars import copy_context
from types import TracebackType
from typing import Any, Final, Self

from attrs import define, evolve, field, frozen

from .._config import SWEEP_PATIENCE, CallOptions, check_count
from .._documents.models import Account, Callflow
from .._exceptions import AuthenticationError, ClientClosedError, ConfigurationError, VinixError
from .._pipeline.events import AccountFailed, AccountFinished, BadItemFound, ClientStats, SweepEnded, SweepStarted
from .._pipeline.send import Sender
from .._public import public
from .checkpoint import Checkpoint, SweepCheckpoint, same_scope
from .pager import BadItem, Pager, count_only

_MAX_REFUSED: Final = 5
"""If all accounts share credentials, a sweep ends after this number of consecutive refusals."""

AccountIds = Iterable[str | Account] | AsyncIterable[str | Account]

OpenPager = Callable[[CallOptions, str, Checkpoint | None], Pager[Callflow]]
"""A function that opens a listing. It accepts the options of the calls, an account id, and a checkpoint or None."""


@public
@frozen(kw_only=True)
class AccountPage:
    """One page of one account.

    Attributes:
        account: the account. Only its ``id`` is set if the sweep was started with ids.
        items: the callflows of the page.
        start_key: the cursor of this page. None for the first one.
        next_start_key: the cursor of the next page. None on the last one.
        bad_items: rows and documents that could not be read.
        error: the error with which the account failed.

    Each account has exactly one last page, whose ``next_start_key`` is None or whose ``error`` is set. An account
    without callflows has one empty page.
    """

    account: Account
    items: tuple[Callflow, ...] = field(default=(), repr=count_only)
    start_key: str | None = None
    next_start_key: str | None = None
    bad_items: tuple[BadItem, ...] = field(default=(), repr=count_only)
    error: VinixError | None = None

    @property
    def account_id(self) -> str:
        """The id of the account."""
        return self.account.id

    @property
    def is_last(self) -> bool:
        """Whether this is the last page of the account."""
        return self.next_start_key is None or self.error is not None


@public
@frozen(kw_only=True)
class AccountResult:
    """The result of one account.

    Attributes:
        account: the account. Only its ``id`` is set if the sweep was started with ids.
        callflows: all callflows of the account, or if it failed, those that were read before the ``error``.
        bad_items: rows and documents that could not be read.
        error: the error with which the account failed.
        next_start_key: the cursor of the page that failed. None if the first page failed, or if there is no error.
        elapsed: how many seconds it took to read the account.
    """

    account: Account
    callflows: tuple[Callflow, ...] = field(repr=count_only)
    bad_items: tuple[BadItem, ...] = field(default=(), repr=count_only)
    error: VinixError | None = None
    next_start_key: str | None = None
    elapsed: float = 0.0

    @property
    def account_id(self) -> str:
        """The id of the account."""
        return self.account.id

    @property
    def ok(self) -> bool:
        """Whether the result is complete, without an error and without bad items."""
        return self.error is None and not self.bad_items


@public
@define(kw_only=True, eq=False, repr=False)
class SweepStats(ClientStats):
    """Counters of a sweep, which change while it is running. They include those of ``ClientStats``.

    Attributes:
        accounts_done: accounts that were yielded without an error.
        accounts_failed: accounts that were yielded with an error.
    """

    accounts_done: int = 0
    accounts_failed: int = 0


@frozen
class Outcome:
    """A value that a sweep will yield for an account.

    Attributes:
        value: a page or a result. It has an ``account_id`` and an ``error``.
        checkpoint: the progress of the account after this value. None if it is unknown.
        is_last: whether this is the last value for the account.
        bad: whether bad items have been found in the account.
    """

    value: Any
    checkpoint: Checkpoint | None = None
    is_last: bool = True
    bad: bool = False


ReadAccount = Callable[[Account], AsyncGenerator[Outcome, None]]
"""A function that reads an account and yields the outcomes."""


class Sweep:
    """An iteration over many accounts. Several tasks read accounts concurrently.

    A subclass calls ``_begin`` with a function that reads one account. ``_begin`` returns an async generator, which
    yields the outcomes of all accounts.
    """

    def __init__(
        self,
        sender: Sender,
        options: CallOptions,
        account_ids: AccountIds,
        *,
        max_concurrency: int,
        ordered: bool = False,
        resume: SweepCheckpoint | None = None,
    ) -> None:
        if isinstance(account_ids, str | bytes) or not isinstance(account_ids, Iterable | AsyncIterable):
            raise ConfigurationError(
                "account_ids must be an iterable or async iterable of ids or Accounts; put a single id in a list"
            )
        check_count("max_concurrency", max_concurrency, optional=False)
        self.stats: SweepStats = SweepStats(now=sender.clock.monotonic)
        self._sender = sender
        # The calls of a sweep wait longer for the end of an outage than other calls.
        self._options = evolve(options, listeners=(*options.listeners, self.stats), patience=SWEEP_PATIENCE)
        self._account_ids = account_ids
        self._max_concurrency = max_concurrency
        self._ordered = ordered
        self._resumed = resume is not None
        self._done = set(resume.done) if resume else set[str]()
        self._refused = 0
        # A weak reference, so that the generator is closed as soon as the caller leaves the ``async for``. A strong
        # reference would form a reference cycle, and only the garbage collector would close the generator.
        self._loop: weakref.ref[AsyncGenerator[Any, None]] | None = None
        self._ended: asyncio.Event | None = None  # set when the generator of the latest loop has ended
        self._workers: _Workers | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self._stop(ClientClosedError("the sweep was closed while a task was waiting for the next result"))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {self._max_concurrency} at once, {self.stats!r}>"

    async def _stop(self, error: Exception) -> None:
        """End the caller's latest loop over the outcomes.

        If another task is waiting for the next outcome, raise ``error`` in that task.
        """
        loop = self._loop() if self._loop else None
        if loop is not None:
            try:
                await loop.aclose()
            except RuntimeError:  # another task is waiting for the generator's next value, or is closing the generator
                if self._workers is not None:
                    self._workers.fail(error)
            else:
                return
        if self._ended is not None:  # if the generator is no longer referenced, asyncio is closing it
            await self._ended.wait()

    def _begin(self, read: ReadAccount) -> AsyncGenerator[Any, None]:
        loop = self._sweep(read)
        self._loop, self._ended = weakref.ref(loop), None
        return loop

    async def _sweep(self, read: ReadAccount) -> AsyncGenerator[Any, None]:
        self._workers = workers = _Workers(read, self._max_concurrency, ordered=self._ordered)
        await self._before()
        # If a listener such as a tracer sets a context variable, the sweep's tasks see it, but the caller does not.
        variables = copy_context()
        feeder = self._sender.start(workers.feed(self._account_ids, set(self._done)), variables)
        workers.add(feeder)
        variables.run(self._options.notify, SweepStarted(max_concurrency=self._max_concurrency, resumed=self._resumed))
        self._ended = ended = asyncio.Event()
        complete = False
        try:
            while outcome := await workers.next_outcome():
                self._hand_out(outcome)
                yield outcome.value
                self._check_credentials(outcome.value)
            if workers.interrupted:
                raise ClientClosedError("the client was closed before every account was read")
            await feeder
            complete = True
        finally:
            try:
                await workers.stop(feeder)  # a second cancellation can interrupt this
            finally:
                self._workers = None  # breaks a reference cycle, because the workers refer to this sweep
                names = ("accounts_done", "accounts_failed", "callflows", "bad_items", "requests", "retries", "outages")
                counts = {name: getattr(self.stats, name) for name in names}
                variables.run(self._options.notify, SweepEnded(complete=complete, **counts))
                try:
                    await self._after(complete=complete)
                finally:
                    ended.set()

    async def _before(self) -> None:
        """Prepare for the first account."""

    async def _after(self, *, complete: bool) -> None:
        """Clean up after all tasks have ended. ``complete`` tells whether every account was read."""

    def _hand_out(self, outcome: Outcome) -> None:
        """Count an account as done or failed, just before its last outcome is yielded."""
        if not outcome.is_last:
            return
        if outcome.value.error is not None:
            self.stats.accounts_failed += 1
            return
        self.stats.accounts_done += 1
        if not outcome.bad:
            self._done.add(outcome.value.account_id)

    def _check_credentials(self, value: Any) -> None:
        """Raise the error of ``value`` if the server keeps refusing the credentials that all accounts share."""
        if value.error is None:
            self._refused = 0
        elif isinstance(value.error, AuthenticationError):
            self._refused += 1
            if self._refused >= _MAX_REFUSED and self._sender.shares_credentials:
                raise value.error

    def _account_ended(
        self, account: Account, began: float, error: VinixError | None, *, callflows: int, bad_items: int
    ) -> None:
        """Notify the listeners that an account has been read, or has failed with ``error``.

        ``began`` is the time at which reading the account began, on the monotonic clock.
        """
        seconds = self._sender.clock.monotonic() - began
        values: dict[str, Any] = {
            "account_id": account.id,
            "account_name": account.name,
            "callflows": callflows,
            "bad_items": bad_items,
            "seconds": seconds,
        }
        self._options.notify(AccountFailed(**values, error=error) if error else AccountFinished(**values))

    def _bad_item_found(self, item: BadItem) -> None:
        """Report to the listeners that a row or a document could not be read."""
        found = BadItemFound(account_id=item.account_id, callflow_id=item.id, index=item.index, error=item.error)
        self._options.notify(found)


@public
class AccountSweep(Sweep):
    """An iteration over the callflows of many accounts. A failing account does not affect the others.

    ``async for result in sweep`` yields one ``AccountResult`` for each account, ``by_page()`` yields pages, and
    ``await sweep.collect()`` returns all results.

    Leaving the loop cancels the requests in flight. Use ``async with sweep:`` to wait until they have ended. If another
    task is still iterating when the block ends, ``ClientClosedError`` is raised in that task. Cancelling the wait for
    the next result, for example with a timeout around ``anext``, also ends the sweep. To continue, resume from
    ``checkpoint()``.

    If the iterable of account ids raises an exception, the loop first yields the results of all accounts that it
    has begun to read, and then raises the exception. If the client is closed before the loop has begun to read all
    accounts, the loop also yields these results first, and then raises ``ClientClosedError``. If all accounts share the
    same credentials and these are refused for five accounts in a row, the loop raises ``AuthenticationError``.
    """

    def __init__(
        self,
        sender: Sender,
        options: CallOptions,
        account_ids: AccountIds,
        open_pager: OpenPager,
        *,
        max_concurrency: int,
        scope: str,
        ordered: bool,
        resume: SweepCheckpoint | None,
    ) -> None:
        if resume is not None and not isinstance(resume, SweepCheckpoint):
            raise ConfigurationError("resume must be a SweepCheckpoint, which sweep.checkpoint() returns")
        if resume is not None and not same_scope(resume.scope, scope):
            raise ConfigurationError(
                f"the checkpoint belongs to a sweep with the filters {resume.scope!r}, but this sweep has the filters "
                f"{scope!r}: use the same filters"
            )
        super().__init__(sender, options, account_ids, max_concurrency=max_concurrency, ordered=ordered, resume=resume)
        self._open_pager = open_pager
        self._scope = scope
        self._unfinished = dict(resume.unfinished) if resume else dict[str, Checkpoint]()

    def checkpoint(self) -> SweepCheckpoint:
        """Return the progress of the sweep. The result or page that the loop body is processing counts as yielded.

        A resumed sweep skips the accounts that are done. It continues the others: their new results contain only
        callflows that were not yielded before. It also tries to read bad items again.
        """
        return SweepCheckpoint(done=frozenset(self._done), unfinished=dict(self._unfinished), scope=self._scope)

    async def collect(self) -> dict[str, AccountResult]:
        """Return the results of all accounts by account id, in the order in which they were yielded."""
        return {result.account_id: result async for result in self}

    def __aiter__(self) -> AsyncIterator[AccountResult]:
        return self._begin(self._read_account)

    def by_page(self) -> AsyncGenerator[AccountPage, None]:
        """Yield pages instead of results. This needs less memory, because a result contains a whole account."""
        return self._begin(self._read_pages)

    async def _read_pages(self, account: Account) -> AsyncGenerator[Outcome, None]:
        """Yield the pages of an account. If the account fails, the last page contains the error."""
        began = self._sender.clock.monotonic()
        callflows = bad_items = 0
        pager: Pager[Callflow] | None = None
        failure: VinixError | None = None
        is_last = False
        try:
            pager = self._open_pager(self._options, account.id, self._unfinished.get(account.id))
            async with aclosing(pager.by_page()) as pages:
                async for page in pages:
                    callflows += len(page.items)
                    bad_items += len(page.bad_items)
                    is_last = page.next_start_key is None
                    if is_last:
                        self._account_ended(account, began, None, callflows=callflows, bad_items=bad_items)
                    read = AccountPage(
                        account=account,
                        items=page.items,
                        start_key=page.start_key,
                        next_start_key=page.next_start_key,
                        bad_items=page.bad_items,
                    )
                    yield Outcome(read, pager.checkpoint(), is_last, bool(bad_items))
        except VinixError as error:
            failure = error.with_traceback(None)  # the frames of the traceback would keep the page in memory
        if failure is not None or not is_last:
            self._account_ended(account, began, failure, callflows=callflows, bad_items=bad_items)
            point = pager.checkpoint() if pager else None
            start_key = failure.start_key if failure else None
            yield Outcome(
                AccountPage(account=account, start_key=start_key, error=failure), point, True, bool(bad_items)
            )

    async def _read_account(self, account: Account) -> AsyncGenerator[Outcome, None]:
        """Yield the result of an account."""
        began = self._sender.clock.monotonic()
        callflows: list[Callflow] = []
        bad_items: list[BadItem] = []
        async with aclosing(self._read_pages(account)) as pages:
            async for outcome in pages:
                page: AccountPage = outcome.value
                callflows += page.items
                bad_items += page.bad_items
                if outcome.is_last:
                    result = AccountResult(
                        account=account,
                        callflows=tuple(callflows),
                        bad_items=tuple(bad_items),
                        error=page.error,
                        next_start_key=page.start_key if page.error else None,
                        elapsed=self._sender.clock.monotonic() - began,
                    )
                    yield Outcome(result, outcome.checkpoint, True, bool(bad_items))

    def _hand_out(self, outcome: Outcome) -> None:
        super()._hand_out(outcome)
        account_id = outcome.value.account_id
        if outcome.checkpoint is not None:
            self._unfinished[account_id] = outcome.checkpoint
        if account_id in self._done:
            self._unfinished.pop(account_id, None)


class _Workers:
    """The tasks that read accounts, and the bounded queue that passes their outcomes to the sweep.

    An account occupies one of ``max_concurrency`` slots until its last outcome has been yielded. Together with the
    bound of the queue, this limits the memory that a sweep needs.

    ``interrupted`` is True if a task was cancelled.
    """

    def __init__(self, read: ReadAccount, max_concurrency: int, *, ordered: bool) -> None:
        self.interrupted: bool = False
        self._read = read
        self._ordered = ordered
        self._slots = asyncio.Semaphore(max_concurrency)
        # With ``ordered``, only one account at a time puts outcomes into the queue.
        self._outcomes: asyncio.Queue[Outcome | Exception | None] = asyncio.Queue(1 if ordered else max_concurrency)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: Exception | None = None

    def add(self, task: asyncio.Task[None]) -> None:
        """Register a task that puts outcomes into the queue, or that starts such tasks."""
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            self.interrupted = True
            self._slots.release()  # the last outcome, which would release the slot, will not arrive
        if not self._tasks:
            self._wake()

    def _wake(self) -> None:
        """Wake ``next_outcome`` if it is waiting."""
        with suppress(asyncio.QueueFull):  # a full queue means that it is not waiting
            self._outcomes.put_nowait(None)

    async def feed(self, account_ids: AccountIds, skip: set[str]) -> None:
        """Start a task for each account as slots become free."""
        previous: asyncio.Task[None] | None = None
        async with aclosing(_unique(account_ids, skip)) as accounts:
            async for account in accounts:
                await self._slots.acquire()
                # This is not a background task of the client, because closing the client would cancel such a task. If
                # the client is closed, this task ends with a ClientClosedError, which the sweep yields for the account.
                task = asyncio.create_task(self._work(account, previous))
                self.add(task)
                if self._ordered:
                    previous = task

    async def _work(self, account: Account, previous: asyncio.Task[None] | None) -> None:
        """Read an account. Put its outcomes into the queue when the task ``previous`` has ended."""
        try:
            async with aclosing(self._read(account)) as outcomes:
                async for outcome in outcomes:
                    await self._put(outcome, previous)
        except Exception as error:  # noqa: BLE001  # for example from on_retry; next_outcome raises it again
            await self._put(error, previous)

    async def _put(self, outcome: Outcome | Exception, previous: asyncio.Task[None] | None) -> None:
        if previous is not None and not previous.done():
            await asyncio.wait({previous})
        await self._outcomes.put(outcome)

    async def next_outcome(self) -> Outcome | None:
        """Return the next outcome, or None at the end. With ``ordered``, outcomes are in the order of the accounts."""
        while self._tasks or not self._outcomes.empty():
            outcome = await self._outcomes.get()
            if self._failure is not None:
                raise self._failure
            if isinstance(outcome, Exception):
                raise outcome
            if outcome is not None:
                if outcome.is_last:
                    self._slots.release()
                return outcome
        return None

    def fail(self, error: Exception) -> None:
        """Let ``next_outcome`` raise ``error``."""
        self._failure = error
        self._wake()

    async def stop(self, feeder: asyncio.Task[None]) -> None:
        """Cancel the tasks that are still running, and wait until they have ended."""
        tasks = (feeder, *self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _unique(account_ids: AccountIds, skip: set[str]) -> AsyncGenerator[Account, None]:
    """Yield each account once, and leave out those in ``skip``. Ids are taken from the source only when needed."""
    source: AsyncIterator[str | Account]
    source = aiter(account_ids) if isinstance(account_ids, AsyncIterable) else _as_async(account_ids)
    try:
        async for each in source:
            if not isinstance(each, str | Account):
                raise ConfigurationError(f"each of account_ids must be a str or an Account, not {type(each).__name__}")
            account = Account(id=each) if isinstance(each, str) else each
            if account.id in skip:
                await asyncio.sleep(0)  # a source that repeats its ids forever must not block the event loop
                continue
            skip.add(account.id)
            yield account
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


async def _as_async(items: Iterable[str | Account]) -> AsyncGenerator[str | Account, None]:
    for item in items:
        yield item
