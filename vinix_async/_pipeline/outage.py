"""Recognising that the server is away, and waiting for its return: a circuit breaker with one probe at a time.

An outage is suspected when at least four accounts, or all that have a call in flight, have failed with no success of a
later request, in a way that is not an answer about one account. The call that notices this then asks for something that
was served before, as a second opinion. If the server answers, the accounts have troubles of their own, and each retries
by its own policy. If it does not, or if nothing was served before, it is an outage: calls wait, the failures that led
to it are given back, and no further ones are charged to anybody's attempts.

While it lasts the waiting calls send probes themselves, one at a time, at growing intervals. As long as fewer than
four accounts have failed, the first call of another account is a probe at once; and while only requests for callflows
fail, other requests do not wait. When a probe is answered, calls are let through in steps. A call that has waited for
longer than its ``outage_wait`` fails with the last error.

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
from .._exceptions import APIConnectionError, APIStatusError, ClientClosedError, DecodeError, VinixError
from .clock import StoppableClock
from .events import Listener, OutageEnded, OutageStarted, WaitEnded, WaitStarted, notify

_MIN_ACCOUNTS: Final = 4
"""Accounts that must have failed before an outage is suspected, if others are in flight that have not."""

_FIRST_INTERVAL: Final = 0.1
_MAX_INTERVAL: Final = 10.0
"""Seconds between two probes, before jitter; they double. A gateway's Retry-After is obeyed up to the longest."""

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
        sent_at: when its current attempt began, on the monotonic clock.
        key: what failures are counted by.
        given_back: attempts that it has spent on failures that turned out to be part of an outage.
    """

    account_id: str | None
    callflows: bool
    outage_wait: float
    ends_at: float = math.inf
    listeners: tuple[Listener, ...] = ()
    by_default: bool = False
    probing: bool = False
    sent_at: float = 0.0
    given_back: int = 0
    last_error: VinixError | None = None
    step: int | None = None  # the number of the recovery in which it was let through
    waiting: bool = False  # its listeners have been told that it waits
    probes_in_a_row: int = 0
    key: Key = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.key = (self.callflows, self.account_id)


@define(eq=False)
class _Outage:
    began: float
    error: VinixError
    callflows: bool  # whether only an answer about callflows ends it
    accounts: dict[Key, float]  # that it rests on, and since when; no more than are needed
    next_probe_at: float = 0.0
    interval: float = _FIRST_INTERVAL
    failed_probes: int = 0
    spares_others: bool = False  # whether the last request for something else than callflows was answered


class OutageDetector:
    """What one client knows about its server's absence."""

    def __init__(self, clock: StoppableClock) -> None:
        self._clock = clock
        self._answered = False
        self._closed = False
        # Before an outage.
        self._in_flight: Counter[Key] = Counter()
        self._failing: set[Key] = set()  # accounts in flight that have failed since their last success
        self._streak: dict[Key, float] = {}  # when those failed first that no later request's answer has followed
        self._charges: Counter[Ticket] = Counter()  # attempts that calls of the streak have spent on it
        self._second_opinion: asyncio.Future[None] | None = None  # done when it has been given
        # During one.
        self._outage: _Outage | None = None
        self._outages = 0
        self._prober: Ticket | None = None
        self._waiting: dict[Ticket, asyncio.Future[None]] = {}  # in the order in which they came, without the prober
        self._wake: asyncio.Future[None] | None = None  # wakes the prober
        self._wakes_at = math.inf
        # After one.
        self._step: int | None = None  # attempts in flight that are allowed; None for any number
        self._step_number = 0
        self._in_step = 0

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
        self._charges.pop(ticket, None)
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

    async def enter(self, ticket: Ticket) -> None:
        """Return when the call may send its next attempt; as a probe if ``ticket.probing``.

        Raises the last error, with ``gave_up``, when the call has waited for long enough.
        """
        while True:
            self._check_open()
            outage, now = self._outage, self._clock.monotonic()
            if outage is None:
                if self._may_go(ticket):
                    self._done_waiting(ticket)
                    return
                await self._wait(ticket)
                continue
            if self._is_spared(ticket, outage):
                return
            if self._prober is None and (now < self._patience_ends(ticket) or now >= outage.next_probe_at):
                self._prober = ticket
            if self._prober is ticket:
                await self._wait_for_probe(ticket, outage)
                if ticket.probing:
                    return
                continue
            probe_is_out = self._prober is not None and self._prober.probing
            if now >= ticket.ends_at or (now >= self._patience_ends(ticket) and not probe_is_out):
                raise self._given_up(ticket, outage)
            await self._wait(ticket)

    def _is_spared(self, ticket: Ticket, outage: _Outage) -> bool:
        """Return whether the call need not wait, because the outage may not concern it."""
        if outage.spares_others and not ticket.callflows:
            if self._prober is ticket:
                self._hand_over()
            self._done_waiting(ticket)
            return True
        if ticket.key in outage.accounts or len(outage.accounts) >= _MIN_ACCOUNTS:
            return False
        # The accounts that have failed are few: it may be they that are broken, and not the server.
        outage.accounts[ticket.key] = self._clock.monotonic()
        ticket.probing = True
        return True

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
        waiter = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        if min(self._patience_ends(ticket), ticket.ends_at) < self._wakes_at:
            self._wake_prober()  # which gives this call its last probe, or ends its wait
        try:
            await waiter
        finally:
            self._waiting.pop(ticket, None)

    async def _wait_for_probe(self, ticket: Ticket, outage: _Outage) -> None:
        """Wait until a probe is due, or until this call need not send it."""
        self._starts_waiting(ticket)
        while self._outage is outage and self._prober is ticket and not self._closed:
            now = self._clock.monotonic()
            if now >= ticket.ends_at:
                raise self._given_up(ticket, outage)
            self._release([each for each in self._waiting if now >= each.ends_at])
            tickets = [ticket, *self._waiting]
            # When somebody's patience ends, a last probe goes out.
            due = min(outage.next_probe_at, *map(self._patience_ends, tickets))
            if now >= due:
                ticket.probing = True
                return
            self._wakes_at = min(due, *(each.ends_at for each in tickets))
            wake = self._wake = asyncio.get_running_loop().create_future()
            await self._clock.sleep(self._wakes_at - now, wake)

    def _wake_prober(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    # --- after an attempt -----------------------------------------------------------------------------------

    def succeeded(self, ticket: Ticket) -> None:
        """Note a success."""
        self._answered = True
        self._failing.discard(ticket.key)
        self.answered(ticket, callflows=ticket.callflows)

    def answered(self, ticket: Ticket, *, callflows: bool) -> None:
        """Note that the server has answered, be it with an error; ``callflows`` if it was asked for callflows.

        An answer about accounts, or to a login, says nothing about callflows.
        """
        if not ticket.outage_wait:
            return
        self._leave_step(ticket, grow=True)
        ticket.probing = False
        ticket.probes_in_a_row = 0
        self._end_streak(callflows=callflows, sent_at=ticket.sent_at)
        outage = self._outage
        if outage is not None and (callflows or not outage.callflows):
            self._end_outage(outage, ticket)
        elif outage is not None:
            outage.spares_others = True
            self._release([each for each in self._waiting if not each.callflows])
            if self._prober is ticket:
                self._hand_over()
        self._done_waiting(ticket)

    async def failed(self, ticket: Ticket, error: VinixError, ask_again: Callable[[], Awaitable[bool]]) -> bool:
        """Note a failure that is not an answer. Return whether it is part of an outage, and spends no attempt.

        ``ask_again`` asks for something that was served before, and returns whether the server answers.
        Raises the error, with ``gave_up``, if the call has waited for long enough; ``ClientClosedError`` if it failed
        because the client was closed.
        """
        self._check_open()
        if not ticket.outage_wait:
            return False
        self._leave_step(ticket)
        probing, ticket.probing = ticket.probing and self._prober is ticket, False
        ticket.last_error = error
        counts = _server_away(error) or _is_own_500(error)
        if self._outage is None and counts and ticket.key not in self._failing:
            self._failing.add(ticket.key)
            self._streak[ticket.key] = self._clock.monotonic()
        while self._outage is None:
            if not counts or not self._suspects_outage(ticket, several=_is_own_500(error)):
                if ticket.key in self._streak:
                    self._charges[ticket] += 1
                return False
            if self._second_opinion is None:
                await self._ask(ticket, error, ask_again)
            else:
                await asyncio.wait({self._second_opinion})
        if not ticket.callflows:
            self._outage.spares_others = False
        if probing:
            self._probe_failed(ticket, error, self._outage)
        return True  # if it was not a probe, it was sent before the outage was recognised

    def _suspects_outage(self, ticket: Ticket, *, several: bool) -> bool:
        if ticket.key not in self._streak:
            return False  # it failed before another's success: the trouble is its own
        if len(self._streak) >= _MIN_ACCOUNTS:
            return True
        # An account with trouble of its own says nothing, nor does a listing of accounts while callflows are read.
        own_trouble = self._failing - self._streak.keys()
        concerned = [key for key in self._in_flight if (key[0] or not ticket.callflows) and key not in own_trouble]
        return self._streak.keys() >= set(concerned) and len(concerned) > several

    async def _ask(self, ticket: Ticket, error: VinixError, ask_again: Callable[[], Awaitable[bool]]) -> None:
        """Get a second opinion. If the call is cancelled meanwhile, another one that waits for it asks again."""
        began = self._clock.monotonic()
        opinion = self._second_opinion = asyncio.get_running_loop().create_future()
        try:
            answers = await ask_again()
        finally:
            self._second_opinion = None
            opinion.set_result(None)
        if answers:
            self._end_streak(callflows=True)
        elif ticket.key in self._streak:  # else somebody was answered meanwhile
            self._begin_outage(ticket, error, began)

    def _begin_outage(self, ticket: Ticket, error: VinixError, began: float) -> None:
        self._outages += 1
        outage = self._outage = _Outage(began, error, ticket.callflows, dict.fromkeys(self._streak, began))
        self._schedule_probe(outage, error)
        self._prober = ticket
        self._step = None
        # The failures that led to it are given back, and the next ones of these accounts count anew.
        for each, attempts in self._charges.items():
            each.given_back += attempts
        self._failing -= self._streak.keys()
        self._end_streak(callflows=True)
        notify(ticket.listeners, OutageStarted(error=error))
        for each in (ticket, *self._waiting):
            self._starts_waiting(each)

    def _probe_failed(self, ticket: Ticket, error: VinixError, outage: _Outage) -> None:
        outage.error = error
        outage.failed_probes += 1
        self._schedule_probe(outage, error)
        now = self._clock.monotonic()
        self._release([each for each in self._waiting if now >= self._patience_ends(each)])
        if now >= self._patience_ends(ticket):
            raise self._given_up(ticket, outage)
        ticket.probes_in_a_row += 1
        if ticket.probes_in_a_row >= _PROBES_IN_A_ROW:
            ticket.probes_in_a_row = 0
            self._hand_over()

    def _schedule_probe(self, outage: _Outage, error: VinixError) -> None:
        retry_after = error.retry_after if isinstance(error, APIStatusError) else None
        # Jittered, so that the probes of several clients spread.
        seconds = outage.interval * (0.5 + 0.5 * self._clock.random())
        outage.next_probe_at = self._clock.monotonic() + max(seconds, min(retry_after or 0.0, _MAX_INTERVAL))
        outage.interval = min(2 * outage.interval, _MAX_INTERVAL)

    def _end_outage(self, outage: _Outage, ticket: Ticket) -> None:
        self._outage = self._prober = None
        self._wake_prober()
        self._step, self._in_step = _FIRST_STEP, 0
        self._step_number += 1
        seconds = self._clock.monotonic() - outage.began
        notify(ticket.listeners, OutageEnded(seconds=seconds, probes=outage.failed_probes))
        self._let_through()

    def _end_streak(self, *, callflows: bool, sent_at: float = math.inf) -> None:
        """Forget the failures that came before a request was sent that is answered now.

        Answers to requests that were already in flight say nothing: they still come when a gateway has just failed.
        """
        if self._streak:
            for key, failed_at in list(self._streak.items()):
                if failed_at <= sent_at and (callflows or not key[0]):
                    del self._streak[key]
            for ticket in [each for each in self._charges if each.key not in self._streak]:
                del self._charges[ticket]

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
        while self._outage is None and self._waiting and self._may_go(first := next(iter(self._waiting))):
            self._release([first])

    # --- waiting --------------------------------------------------------------------------------------------

    def _release(self, tickets: Iterable[Ticket]) -> None:
        for ticket in list(tickets):
            waiter = self._waiting.pop(ticket)
            if not waiter.done():
                waiter.set_result(None)

    def _hand_over(self) -> None:
        """Let another call send the next probe: one that asks for callflows if only that can end the outage."""
        self._prober = None
        outage = self._outage
        if outage is not None and self._waiting:
            able = (ticket for ticket in self._waiting if ticket.callflows or not outage.callflows)
            self._prober = next(able, next(iter(self._waiting)))
            self._release([self._prober])

    def _patience_ends(self, ticket: Ticket) -> float:
        """Return when the call gives up, counted from the beginning of the outage (for its account)."""
        if self._outage is None:
            return math.inf
        patience = ticket.outage_wait
        if ticket.by_default and not self._answered:
            patience = min(patience, CALL_PATIENCE)  # the address may be wrong
        return self._outage.accounts.get(ticket.key, self._outage.began) + patience

    def _given_up(self, ticket: Ticket, outage: _Outage) -> VinixError:
        """Return the call's last error, or that of the others if it was not sent at all."""
        now = self._clock.monotonic()
        error = copy.copy(ticket.last_error or outage.error)
        if ticket.last_error is None:
            error.account_id = error.callflow_id = error.start_key = error.request_id = None
            error.method = error.path = None
        began = outage.accounts.get(ticket.key, outage.began)
        seconds = now - began
        if now >= ticket.ends_at:
            error.gave_up = f"the deadline passed while the server was away, for {seconds:.1f} s so far"
        else:
            patience = self._patience_ends(ticket) - began
            error.gave_up = f"the server has been away for {seconds:.1f} s (outage_wait={patience:g})"
        error.affects_others = True
        return error

    def deadline_passed(self, ticket: Ticket) -> VinixError | None:
        """Return the error of a call whose deadline passes now; None if it does not wait for an outage."""
        if self._outage is None or not ticket.waiting:
            return None
        ticket.ends_at = min(ticket.ends_at, self._clock.monotonic())
        return self._given_up(ticket, self._outage)

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosedError("the client was closed while the call was under way")

    def _starts_waiting(self, ticket: Ticket) -> None:
        if not ticket.waiting:
            ticket.waiting = True
            at, outage = self._clock.monotonic(), self._outages
            notify(ticket.listeners, WaitStarted(reason="outage", account_id=ticket.account_id, at=at, outage=outage))

    def _done_waiting(self, ticket: Ticket) -> None:
        if ticket.waiting:
            ticket.waiting = False
            at = self._clock.monotonic()
            notify(ticket.listeners, WaitEnded(reason="outage", account_id=ticket.account_id, at=at))


def is_answer(error: VinixError) -> bool:
    """Return whether the server has answered the request with an error, so that it is not away."""
    if isinstance(error, DecodeError):
        return not error.server_away
    return isinstance(error, APIStatusError) and not error.server_away and not _is_own_500(error)


def _server_away(error: VinixError) -> bool:
    return isinstance(error, APIConnectionError | APIStatusError | DecodeError) and error.server_away


def _is_own_500(error: VinixError) -> bool:
    """Whether it is a 500 in the API's own JSON. It tells of an outage only where several accounts have it."""
    return isinstance(error, APIStatusError) and error.status == 500 and error.transient and not error.server_away
