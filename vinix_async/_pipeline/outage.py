"""Recognising that the server is away, and waiting for its return: a circuit breaker with one probe at a time.

An outage is suspected when at least four accounts, or all that have a call in flight, have failed with no success in
between, in a way that is not an answer about one account. Then the call that noticed asks a second time for something
that was served before. If that works, the accounts have troubles of their own, and each retries by its own policy. If
it fails too, or if nothing was served before, it is an outage: calls wait, and nothing is charged to their attempts.

While it lasts the waiting calls send probes themselves, one at a time, at growing intervals. When one is answered,
calls are let through in steps. A call that has waited for longer than its ``outage_wait`` fails with the last error.

There is no background task and no I/O here: a call enters before each attempt and reports how the attempt ended.
"""

import asyncio
import copy
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from attrs import define, field

from .._config import CALL_PATIENCE
from .._exceptions import APIConnectionError, APIStatusError, ClientClosedError, DecodeError, ServerError, VinixError
from .clock import Clock
from .events import Listener, OutageEnded, OutageStarted, WaitEnded, WaitStarted, notify

_MIN_ACCOUNTS: Final = 4
"""Accounts that must have failed before an outage is suspected, if others are in flight that have not."""

_FIRST_INTERVAL: Final = 0.1
_MAX_INTERVAL: Final = 10.0
"""Seconds between two probes, before jitter; they double."""

_PROBES_IN_A_ROW: Final = 3
"""Probes that one call sends before another one takes over: its own account may be the broken one."""

_FIRST_STEP: Final = 2
_LAST_STEP: Final = 64
"""Attempts in flight that are let through after an outage. Each answer adds one, which doubles them each round trip."""

Key = tuple[bool, str | None]


@define(eq=False, repr=False)
class Ticket:
    """One call's part in it.

    Attributes:
        account_id: the account that is asked for.
        callflows: whether it asks for callflows, and not for accounts or an identity.
        outage_wait: seconds that it waits, counted from the beginning of an outage; 0 to take no part.
        ends_at: its deadline, on the monotonic clock.
        listeners: told when it waits.
        by_default: whether ``outage_wait`` was left at its default.
        probing: whether its next or current attempt is a probe.
        key: what failures are counted by.
    """

    account_id: str | None
    callflows: bool
    outage_wait: float
    ends_at: float = math.inf
    listeners: tuple[Listener, ...] = ()
    by_default: bool = False
    probing: bool = False
    last_error: VinixError | None = None
    step: int | None = None  # the number of the recovery in which it was let through
    waiting: bool = False  # its listeners have been told that it waits
    probes_in_a_row: int = 0
    charged_to: int | None = None  # the streak that its last failure belonged to
    key: Key = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.key = (self.callflows, self.account_id)


@define(eq=False)
class _Outage:
    """The outage that is suspected or going on."""

    began: float
    error: VinixError
    callflows: bool
    next_probe_at: float
    interval: float = _FIRST_INTERVAL
    failed_probes: int = 0
    confirmed: bool = False


class OutageDetector:
    """What one client knows about its server's absence."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._in_flight: Counter[Key] = Counter()
        self._failing: set[Key] = set()  # whose first failure since their last success has been counted
        self._streak: set[Key] = set()  # who failed since the last success of anybody
        self._streak_number = 0
        self._outage_streak: int | None = None
        self._answered = False
        self._outage: _Outage | None = None
        self._outages = 0
        self._prober: Ticket | None = None
        self._waiting: dict[asyncio.Future[None], Ticket] = {}  # in the order in which they came
        self._step: int | None = None  # attempts in flight that are allowed; None for any number
        self._step_number = 0
        self._in_step = 0
        self._wake: asyncio.Future[None] | None = None
        self._closed = False

    # --- a call's begin and end -----------------------------------------------------------------------------

    def begin(self, ticket: Ticket) -> None:
        """Note that a call begins."""
        if ticket.outage_wait:
            self._in_flight[ticket.key] += 1

    def end(self, ticket: Ticket) -> None:
        """Note that a call has ended, however it did. A probe that it was about to send is handed on."""
        if not ticket.outage_wait:
            return
        self._leave_step(ticket)
        self._done_waiting(ticket)
        self._in_flight[ticket.key] -= 1
        if not self._in_flight[ticket.key]:
            del self._in_flight[ticket.key]
            self._failing.discard(ticket.key)
        if self._prober is ticket:
            self._hand_over()

    def close(self) -> None:
        """Let every waiting call fail with ``ClientClosedError``."""
        self._closed = True
        self._release(self._waiting)
        self._wake_prober()

    # --- before an attempt ----------------------------------------------------------------------------------

    def must_wait(self, ticket: Ticket) -> bool:
        """Return whether ``enter`` has to be awaited before an attempt. It is False almost always."""
        return bool(ticket.outage_wait) and (self._outage is not None or self._step is not None)

    def gives_back(self, ticket: Ticket) -> bool:
        """Return once whether the call's last failure turned out to be part of an outage, and costs no attempt."""
        charged_to, ticket.charged_to = ticket.charged_to, None
        return charged_to is not None and charged_to == self._outage_streak

    async def enter(self, ticket: Ticket) -> None:
        """Return when the call may send its next attempt; as a probe if ``ticket.probing``.

        Raises the last error, with ``gave_up``, when the call has waited for long enough.
        """
        while True:
            if self._closed:
                raise ClientClosedError("the client was closed while the call waited for the end of an outage")
            if self._outage is None:
                if self._may_go(ticket):
                    self._done_waiting(ticket)
                    return
                await self._wait(ticket)
                continue
            now = self._clock.monotonic()
            if self._prober is None:
                if now >= self._patience_ends(ticket) and now < self._outage.next_probe_at:
                    raise self._given_up(ticket, self._outage)
                self._prober = ticket
            if self._prober is ticket:
                await self._wait_for_probe(ticket)
                if ticket.probing:
                    return
                continue
            if now >= min(self._patience_ends(ticket), ticket.ends_at):
                raise self._given_up(ticket, self._outage)
            await self._wait(ticket)

    def _may_go(self, ticket: Ticket) -> bool:
        if self._step is None or ticket.step == self._step_number:
            return True
        if self._in_step >= self._step:
            return False
        ticket.step = self._step_number
        self._in_step += 1
        return True

    async def _wait(self, ticket: Ticket) -> None:
        """Wait until there is something new for this call."""
        self._starts_waiting(ticket)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = ticket
        self._wake_prober()  # this call may have to give up before the next probe is due
        try:
            await waiter
        finally:
            self._waiting.pop(waiter, None)

    async def _wait_for_probe(self, ticket: Ticket) -> None:
        """Wait until a probe is due, or the outage is over."""
        self._starts_waiting(ticket)
        while self._outage is not None and self._prober is ticket and not self._closed:
            now = self._clock.monotonic()
            if now >= ticket.ends_at:
                raise self._given_up(ticket, self._outage)
            self._release(waiter for waiter, each in self._waiting.items() if now >= each.ends_at)
            tickets = [ticket, *self._waiting.values()]
            # When somebody's patience ends, a last probe goes out.
            due = min(self._outage.next_probe_at, *(self._patience_ends(each) for each in tickets))
            if now >= due:
                ticket.probing = True
                return
            await self._sleep(min(due, *(each.ends_at for each in tickets)) - now)

    async def _sleep(self, seconds: float) -> None:
        self._wake = asyncio.get_running_loop().create_future()
        sleeper = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({sleeper, self._wake}, return_when=asyncio.FIRST_COMPLETED)
            if sleeper.done():
                sleeper.result()
        finally:
            sleeper.cancel()
            self._wake = None

    def _wake_prober(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    # --- after an attempt -----------------------------------------------------------------------------------

    def succeeded(self, ticket: Ticket) -> None:
        """Note a success."""
        self._answered = True
        if not ticket.outage_wait:
            return
        self._failing.discard(ticket.key)
        self._answer(ticket)

    async def failed(self, ticket: Ticket, error: VinixError, ask_again: Callable[[], Awaitable[bool]]) -> bool:
        """Note a failure; return whether it is part of an outage, so that the call waits and spends no attempt.

        ``ask_again`` asks for something that was served before, and returns whether the server answers now.
        """
        if not ticket.outage_wait:
            return False
        several = isinstance(error, ServerError) and error.status == 500 and not error.server_away
        if not several and not _is_away(error):
            self._answer(ticket)
            return False
        self._leave_step(ticket)
        ticket.last_error = error
        if self._outage is not None:
            return self._failed_meanwhile(ticket, error, self._outage)
        if ticket.key not in self._failing:
            self._failing.add(ticket.key)
            self._streak.add(ticket.key)
        if not self._suspects(ticket, several=several):
            ticket.charged_to = self._streak_number
            return False
        now = self._clock.monotonic()
        outage = self._outage = _Outage(began=now, error=error, callflows=ticket.callflows, next_probe_at=now)
        self._prober = ticket
        if await ask_again():
            if self._outage is outage:
                self._end(outage, ticket)
            return False
        if self._outage is outage:
            self._confirm(ticket, outage)
        return True

    def _suspects(self, ticket: Ticket, *, several: bool) -> bool:
        if ticket.key not in self._streak:
            return False  # it failed before another's success: the trouble is its own
        if len(self._streak) >= _MIN_ACCOUNTS:
            return True
        # While callflows are read, a listing of accounts in flight says nothing about them.
        concerned = [key for key in self._in_flight if key[0] or not ticket.callflows]
        return self._streak.issuperset(concerned) and len(concerned) > several

    def _failed_meanwhile(self, ticket: Ticket, error: VinixError, outage: _Outage) -> bool:
        if not ticket.probing:
            return True  # it was sent before the outage was recognised
        ticket.probing = False
        if not outage.confirmed:
            self._confirm(ticket, outage)
        now = self._clock.monotonic()
        outage.error = error
        outage.failed_probes += 1
        # Jittered, so that the probes of several clients spread.
        outage.next_probe_at = now + outage.interval * (0.5 + 0.5 * self._clock.random())
        outage.interval = min(2 * outage.interval, _MAX_INTERVAL)
        ticket.probes_in_a_row += 1
        self._release(waiter for waiter, each in self._waiting.items() if now >= self._patience_ends(each))
        if now >= self._patience_ends(ticket):
            raise self._given_up(ticket, outage)
        if ticket.probes_in_a_row >= _PROBES_IN_A_ROW:
            self._hand_over()
        return True

    def _confirm(self, ticket: Ticket, outage: _Outage) -> None:
        self._outages += 1
        outage.confirmed = True
        self._step = None
        now = self._clock.monotonic()
        outage.next_probe_at = now + _FIRST_INTERVAL * (0.5 + 0.5 * self._clock.random())
        outage.interval = 2 * _FIRST_INTERVAL
        # The failures that led to it are given back, and the next ones of these accounts count anew.
        self._outage_streak = self._streak_number
        self._failing -= self._streak
        self._end_streak(self._streak)
        notify(ticket.listeners, OutageStarted(error=outage.error))
        for each in (ticket, *self._waiting.values()):
            self._starts_waiting(each)

    def _answer(self, ticket: Ticket) -> None:
        """The server has answered, be it with an error about one account."""
        self._leave_step(ticket, grow=True)
        ticket.probing = False
        ticket.probes_in_a_row = 0
        # An answer about accounts says nothing about callflows.
        self._end_streak({key for key in self._streak if ticket.callflows or not key[0]})
        outage = self._outage
        if outage is not None and (ticket.callflows or not outage.callflows):
            self._end(outage, ticket)
        elif self._prober is ticket:
            self._hand_over()
        self._done_waiting(ticket)

    def _end(self, outage: _Outage, ticket: Ticket) -> None:
        self._outage = self._prober = None
        self._wake_prober()
        if not outage.confirmed:
            self._end_streak(self._streak)
            self._release(self._waiting)
            return
        self._step, self._in_step = _FIRST_STEP, 0
        self._step_number += 1
        seconds = self._clock.monotonic() - outage.began
        notify(ticket.listeners, OutageEnded(seconds=seconds, probes=outage.failed_probes))
        self._let_through()

    def _end_streak(self, keys: set[Key]) -> None:
        if keys:
            self._streak = self._streak - keys
            self._streak_number += 1

    # --- steps ----------------------------------------------------------------------------------------------

    def _leave_step(self, ticket: Ticket, *, grow: bool = False) -> None:
        step, ticket.step = ticket.step, None
        if step != self._step_number or self._step is None:
            return
        self._in_step -= 1
        self._step += grow
        if self._step >= _LAST_STEP:
            self._step = None
        self._let_through()

    def _let_through(self) -> None:
        if self._outage is None:
            for waiter, ticket in list(self._waiting.items()):
                if not self._may_go(ticket):
                    break
                self._release([waiter])

    # --- waiting --------------------------------------------------------------------------------------------

    def _release(self, waiters: "Iterable[asyncio.Future[None]]") -> None:
        for waiter in list(waiters):
            del self._waiting[waiter]
            if not waiter.done():
                waiter.set_result(None)

    def _hand_over(self) -> None:
        """Let another call send the next probe."""
        self._prober = None
        outage = self._outage
        if outage is None:
            return
        if not self._waiting:
            if not outage.confirmed:
                self._outage = None
            return
        able = (waiter for waiter, ticket in self._waiting.items() if ticket.callflows or not outage.callflows)
        waiter = next(able, next(iter(self._waiting)))
        self._prober = self._waiting[waiter]
        self._release([waiter])

    def _patience_ends(self, ticket: Ticket) -> float:
        """Return when the call gives up, counted from the beginning of the outage."""
        if self._outage is None:
            return math.inf
        patience = ticket.outage_wait
        if ticket.by_default and not self._answered:
            patience = min(patience, CALL_PATIENCE)  # the address may be wrong
        return self._outage.began + patience

    def _given_up(self, ticket: Ticket, outage: _Outage) -> VinixError:
        """Return the call's last error, or that of the others if it was not sent at all."""
        now = self._clock.monotonic()
        error = copy.copy(ticket.last_error or outage.error)
        if ticket.last_error is None:
            error.account_id = error.callflow_id = error.start_key = error.request_id = None
            error.method = error.path = None
        seconds = now - outage.began
        if now >= ticket.ends_at:
            error.gave_up = f"the deadline passed while the server was away, for {seconds:.1f} s so far"
        else:
            patience = self._patience_ends(ticket) - outage.began
            error.gave_up = f"the server has been away for {seconds:.1f} s (outage_wait={patience:g})"
        error.affects_others = True
        return error

    def deadline_passed(self, ticket: Ticket) -> VinixError | None:
        """Return the error of a call whose deadline passes now; None if it does not wait for an outage."""
        if self._outage is None or not ticket.waiting:
            return None
        ticket.ends_at = min(ticket.ends_at, self._clock.monotonic())
        return self._given_up(ticket, self._outage)

    def _starts_waiting(self, ticket: Ticket) -> None:
        if not ticket.waiting and (self._outage is None or self._outage.confirmed):
            ticket.waiting = True
            started = WaitStarted(
                reason="outage", account_id=ticket.account_id, at=self._clock.monotonic(), outage=self._outages
            )
            notify(ticket.listeners, started)

    def _done_waiting(self, ticket: Ticket) -> None:
        if ticket.waiting:
            ticket.waiting = False
            notify(
                ticket.listeners,
                WaitEnded(reason="outage", account_id=ticket.account_id, at=self._clock.monotonic()),
            )


def _is_away(error: VinixError) -> bool:
    return isinstance(error, APIConnectionError | APIStatusError | DecodeError) and error.server_away
