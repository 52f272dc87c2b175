"""Detects outages of the server and makes calls wait for its return: a circuit breaker that sends one probe at a time.

Detection. An account that fails is evidence of an outage until the server answers a request that was sent after the
failure. An answer that concerns one account, such as a 404, is not a failure here. An outage is suspected when at least
four accounts are evidence, or when all accounts with a call in flight are evidence. If a request for callflows has
succeeded before, an outage is also suspected when the last attempt of a call has failed and its account is evidence.
The call that notices this requests callflows of an account for which this succeeded before. If the server answers,
there is no outage: each of the accounts has a problem of its own, and each call follows its own retry policy. If the
server does not answer, or if there is no such account yet, the outage begins and calls wait. Failures that are part of
an outage do not count towards the attempts of any call.

Recovery. The waiting calls take turns to send probes, one probe at a time and at increasing intervals. A probe is an
ordinary attempt of a call. After every third failed probe, a request that succeeded before is repeated, as in the
detection. As long as fewer than four accounts have failed, the first call for any other account is sent at once, as a
probe. The accounts are counted separately for requests for callflows and for other requests. If only requests for
callflows fail, other requests do not wait. After a successful probe, the number of attempts that may be in flight grows
from answer to answer. The latest calls are sent first, because older ones may have little time left before they are
cancelled. When the ``outage_wait`` of a call is over, one more probe is sent. If this probe fails, too, the call fails
with its last error.

This module starts no background task and does no I/O. A call awaits ``enter`` before an attempt if ``must_wait`` is
true, and reports the outcome. If an outage begins while the call waits for a slot of the rate limiter, the call awaits
``enter`` again.
"""

import asyncio
import copy
import math
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from attrs import define, field

from .._config import CALL_PATIENCE, CallOptions
from .._exceptions import APIConnectionError, APIStatusError, ClientClosedError, DecodeError, VinixError
from .clock import StoppableClock
from .events import OutageEnded, OutageStarted, WaitEnded, WaitStarted

_MIN_ACCOUNTS: Final = 4
"""An outage is suspected if at least this number of accounts have failed, even if other accounts have not failed."""

_FIRST_INTERVAL: Final = 0.1
_MAX_INTERVAL: Final = 10.0
"""The first and the maximum interval between two probes in seconds, before jitter.

Each probe doubles the interval. A longer Retry-After of a gateway is obeyed, also up to the maximum.
"""

_PROBES_PER_CHECK: Final = 3
"""After this number of failed probes, a request that succeeded before is repeated.

If no such request is known, one of the failed probes is repeated. A probe may fail even when the server is back, for
example because the requested document is broken.
"""

_FIRST_LIMIT: Final = 2
_LAST_LIMIT: Final = 64
"""The first and the last limit on the number of attempts in flight after an outage.

Each answer raises the limit by one, so the limit doubles with each round trip. When the limit reaches the last
value, it is removed.
"""

Key = tuple[bool, str | None]
"""Whether a request is for callflows, and the id of the request's account. Failures are recorded for each such pair."""


@define(eq=False, repr=False)
class Ticket:
    """The state of one call in the detector.

    Attributes:
        account_id: the account of the request.
        callflows: whether the request is for callflows rather than for accounts or an identity.
        options: the options of the call.
        ends_at: the deadline of the call, on the monotonic clock.
        probing: whether the current or next attempt is a probe.
        has_probed: whether a probe of the call has failed.
        sent_at: the time at which the current attempt started, on the monotonic clock.
        spent: how many attempts of the call count towards ``RetryPolicy.attempts``. If counted attempts turn out to be
            part of an outage, the detector subtracts them.
        last_error: the error of the call's last attempt.
        recovery: the serial number of the outage whose recovery counts the current attempt. None if none counts it.
        waiting: whether the listeners were notified that the call waits.
        outage_wait: how many seconds the call waits, counted from the beginning of the outage. If it is 0, the detector
            ignores the call.
        key: ``callflows`` and ``account_id``. All requests with the same key are counted together.
    """

    account_id: str | None
    callflows: bool
    options: CallOptions
    ends_at: float = math.inf
    probing: bool = False
    has_probed: bool = False
    sent_at: float = 0.0
    spent: int = 0
    last_error: VinixError | None = None
    recovery: int | None = None
    waiting: bool = False
    outage_wait: float = field(init=False)
    key: Key = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.outage_wait = self.options.outage_wait
        self.key = (self.callflows, self.account_id)


@define(eq=False)
class _Outage:
    began: float
    error: VinixError
    callflows: bool  # whether only an answer to a request for callflows ends the outage
    # For each account that is evidence of the outage, the time from which the outage_wait of its calls is counted. As
    # long as there are fewer than _MIN_ACCOUNTS, another account is added when its first call is sent as a probe.
    accounts: dict[Key, float]
    next_probe_at: float = 0.0
    probed_at: float = -math.inf  # when the latest probe was sent
    interval: float = _FIRST_INTERVAL
    failed_probes: int = 0
    answers_others: bool = False  # whether the server answered the last request that was not for callflows


class OutageDetector:
    """Detects outages for the calls of one client, and schedules probes and the recovery."""

    def __init__(self, clock: StoppableClock) -> None:
        self._clock = clock
        self._answered = False  # whether the server has ever answered with success
        self.served: str | None = None  # the last account for which a request for callflows succeeded
        self._closed = False
        # State before an outage.
        self._in_flight: defaultdict[Key, int] = defaultdict(int)  # for each account, how many calls are in progress
        # The accounts that have failed since their last success and still have calls in progress. When an outage
        # begins, the accounts in _evidence are removed.
        self._failing: set[Key] = set()
        # The accounts whose failures suggest an outage, each with the time of its first failure. When the server
        # answers a request, _discard_evidence removes accounts that had failed before the request was sent.
        self._evidence: dict[Key, float] = {}
        # For each call, the number of attempts that failed while the call's account was in _evidence. If an outage is
        # detected, these attempts no longer count.
        self._refundable: Counter[Ticket] = Counter()
        self._check_done: asyncio.Future[None] | None = None  # done when the check of a suspected outage ends
        # State during an outage.
        self._outage: _Outage | None = None
        self._outages = 0  # how many outages have begun: the serial number of the latest one
        self._ended_at = -math.inf  # when the latest outage ended
        self._prober: Ticket | None = None  # the call that waits until the next probe is due, or sends it
        # The other waiting calls. The next call to send is at the end. Calls whose probe has failed are at the front.
        self._waiting: OrderedDict[Ticket, asyncio.Future[None]] = OrderedDict()
        self._wake: asyncio.Future[None] | None = None  # wakes the prober
        self._wakes_at = math.inf  # when the prober wakes by itself
        # State after an outage.
        self._recovery_limit: int | None = None  # how many attempts may be in flight; None for no limit
        self._recovering = 0  # how many attempts in flight count towards the limit

    # --- begin and end of a call ----------------------------------------------------------------------------

    def begin(self, ticket: Ticket) -> None:
        """Register a call that begins."""
        if ticket.outage_wait:
            self._in_flight[ticket.key] += 1

    def end(self, ticket: Ticket) -> None:
        """Remove a call that has ended for any reason. If this call sent the probes, another call takes over."""
        if not ticket.outage_wait:
            return
        self._leave_recovery(ticket)
        self._done_waiting(ticket)
        self._refundable.pop(ticket, None)
        self._in_flight[ticket.key] -= 1
        if not self._in_flight[ticket.key]:
            del self._in_flight[ticket.key]
            self._failing.discard(ticket.key)
        if self._prober is ticket:
            self._hand_over()

    def close(self) -> None:
        """Make every waiting call fail with ``ClientClosedError``."""
        self._closed = True
        self._release(self._waiting)
        self._wake_prober()

    # --- before an attempt ----------------------------------------------------------------------------------

    def must_wait(self, ticket: Ticket) -> bool:
        """Return whether ``enter`` must be awaited before the call sends an attempt."""
        if not ticket.outage_wait:
            return False
        if self._outage is None:
            return self._recovery_limit is not None and ticket.recovery != self._outages
        return not ticket.probing and not self._is_unaffected(ticket, self._outage)

    async def enter(self, ticket: Ticket) -> None:
        """Wait until the call may send its next attempt. If this sets ``ticket.probing``, the attempt is a probe.

        Raises the last error, with ``gave_up`` set, if the outage lasts longer than the call can wait.
        """
        while True:
            self._check_open()
            outage, now = self._outage, self._clock.monotonic()
            if outage is None:
                if self._may_send(ticket):
                    self._done_waiting(ticket)
                    return
                await self._wait(ticket)
                continue
            if self._need_not_wait(ticket, outage):
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

    def _need_not_wait(self, ticket: Ticket, outage: _Outage) -> bool:
        """Return True if the call may send at once, because the outage possibly does not affect it."""
        if self._is_unaffected(ticket, outage):
            if self._prober is ticket:
                self._hand_over()
            self._done_waiting(ticket)
            return True
        tried = [key for key in outage.accounts if key[0] == ticket.callflows]
        if ticket.key in tried or len(tried) >= _MIN_ACCOUNTS:
            return False
        # Only a few accounts have failed, and the cause may lie with these accounts. Try this other account.
        outage.accounts[ticket.key] = self._clock.monotonic()
        ticket.probing = True
        return True

    def _is_unaffected(self, ticket: Ticket, outage: _Outage) -> bool:
        """Return whether the request is not for callflows and the server answered the last request of this kind."""
        return outage.answers_others and not ticket.callflows

    def _may_send(self, ticket: Ticket) -> bool:
        """Return whether the call may send now. If it may, and a recovery limits the attempts, count the attempt."""
        if self._recovery_limit is None or ticket.recovery == self._outages:
            return True
        if self._recovering >= self._recovery_limit:
            return False
        ticket.recovery = self._outages
        self._recovering += 1
        return True

    async def _wait(self, ticket: Ticket) -> None:
        """Wait until the state changes in a way that may affect this call."""
        self._starts_waiting(ticket)
        waiter = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        if ticket.has_probed:
            self._waiting.move_to_end(ticket, last=False)
        if min(self._patience_ends(ticket), ticket.ends_at) < self._wakes_at:
            self._wake_prober()  # the wait of this call ends before the prober would wake up
        try:
            await waiter
        finally:
            self._waiting.pop(ticket, None)

    async def _wait_for_probe(self, ticket: Ticket, outage: _Outage) -> None:
        """Wait until the next probe is due. Then choose the call that sends it, and return."""
        self._starts_waiting(ticket)
        while self._outage is outage and self._prober is ticket and not ticket.probing and not self._closed:
            now = self._clock.monotonic()
            if now >= ticket.ends_at:
                raise self._given_up(ticket, outage)
            self._release([each for each in self._waiting if now >= each.ends_at])
            tickets = [ticket, *self._waiting]
            # If the outage_wait of a call ends earlier, probe then: a call gives up only after a last probe. If that
            # probe is cancelled, the call waits until the next one is due.
            ends = [end for end in map(self._patience_ends, tickets) if end > outage.probed_at]
            due = min([outage.next_probe_at, *ends])
            if now >= due:
                self._choose_prober(ticket, outage)
                return
            # An asyncio.timeout enforces the deadlines of the other calls, too. It has no effect if time passes only on
            # the user's clock. Do not wake up for each of these deadlines, because there may be thousands.
            others_end = max(now + _FIRST_INTERVAL, min((each.ends_at for each in self._waiting), default=math.inf))
            self._wakes_at = min(due, ticket.ends_at, others_end)
            wake = self._wake = asyncio.get_running_loop().create_future()
            await self._clock.sleep(self._wakes_at - now, wake)

    def _choose_prober(self, ticket: Ticket, outage: _Outage) -> None:
        """Let a call send a probe. ``ticket`` has waited until the probe is due.

        Prefer a call whose answer can end the outage, that has not sent a probe yet, and that arrived last. An older
        call is likely to be cancelled soon, for example because of a timeout, and a cancelled probe shows nothing.
        """
        able = [each for each in (ticket, *self._waiting) if each.callflows or not outage.callflows] or [ticket]
        able.sort(key=lambda each: not each.has_probed)
        prober = able[-1]
        if self.served is None and outage.failed_probes % _PROBES_PER_CHECK == 0 and able[0].has_probed:
            # There is no successful request to repeat. Repeat a failed probe, because its account may succeed now.
            prober = able[0]
        prober.probing = True
        outage.probed_at = self._clock.monotonic()
        outage.interval = min(2 * outage.interval, _MAX_INTERVAL)
        self._schedule_probe(outage)  # if this probe is cancelled, the next one is sent at that time
        if prober is not ticket:
            self._prober = prober
            self._release([prober])

    def _wake_prober(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    # --- after an attempt -----------------------------------------------------------------------------------

    def succeeded(self, ticket: Ticket) -> None:
        """Record that an attempt has succeeded."""
        self._answered = True
        if ticket.callflows:
            self.served = ticket.account_id
        self._failing.discard(ticket.key)
        self.answered(ticket, callflows=ticket.callflows)

    def answered(self, ticket: Ticket, *, callflows: bool) -> None:
        """Record that the server has answered, either successfully or with an error.

        ``callflows`` is True if the answered request was for callflows. If it is False, the answer does not end an
        outage of callflows, because the server may be able to serve only other requests.
        """
        if not ticket.outage_wait:
            return
        self._leave_recovery(ticket, grow=True)
        ticket.probing = False
        if self._evidence:
            self._discard_evidence(callflows=callflows, sent_at=ticket.sent_at)
        outage = self._outage
        if outage is not None and (callflows or not outage.callflows):
            self._end_outage(outage, ticket)
        elif outage is not None:
            outage.answers_others = True
            self._release([each for each in self._waiting if not each.callflows])
            if self._prober is ticket:
                outage.next_probe_at = self._clock.monotonic()  # this probe has shown nothing about callflows
                self._hand_over()
        self._done_waiting(ticket)

    async def failed(self, ticket: Ticket, error: VinixError, server_answers: Callable[[], Awaitable[bool]]) -> bool:
        """Record a failure that is not an answer of the server.

        Return True if the failure is part of an outage. Such a failure does not count as an attempt of the call.
        ``server_answers`` repeats a request that succeeded before and returns whether the server answers.

        Raises the error, with ``gave_up`` set, if the call has waited for its ``outage_wait``. Raises
        ``ClientClosedError`` if the client was closed.
        """
        self._check_open()
        if not ticket.outage_wait:
            return False
        self._leave_recovery(ticket)
        ticket.last_error = error
        outage = self._outage
        if outage is not None and not ticket.callflows:
            outage.answers_others = False
        if outage is not None and ticket.probing and self._prober is ticket:
            await self._probe_failed(ticket, error, outage, server_answers)
            return True
        ticket.probing = False
        if ticket.sent_at < self._ended_at:
            return True  # the attempt was sent before an outage ended, so it was a part of this outage
        counts = _server_away(error) or _is_own_500(error)
        if self._outage is None and counts and ticket.key not in self._failing:
            self._failing.add(ticket.key)
            self._evidence[ticket.key] = self._clock.monotonic()
        while self._outage is None:
            if not counts or not self._suspects_outage(ticket, error):
                if ticket.key in self._evidence:
                    self._refundable[ticket] += 1
                return False
            if self._check_done is None:
                await self._check(ticket, error, server_answers)
            else:
                await asyncio.wait({self._check_done})
        return True  # there is an outage, so this does not count as one of the call's attempts

    def _suspects_outage(self, ticket: Ticket, error: VinixError) -> bool:
        if ticket.key not in self._evidence:
            return False  # a request that was sent later succeeded, which shows that only this account has a problem
        if len(self._evidence) >= _MIN_ACCOUNTS:
            return True
        # Before a call fails with its last attempt, ask the server. During an outage, the other accounts possibly have
        # not failed yet, because their calls hang or wait for a rate limit.
        is_last = ticket.spent + 1 >= ticket.options.retry.attempts
        if is_last and self.served is not None and not (_is_own_500(error) and self.served == ticket.account_id):
            return True
        # Ignore accounts with a problem of their own. If this call is for callflows, ignore requests that are not for
        # callflows, because they say nothing about callflows.
        own_trouble = self._failing - self._evidence.keys()
        concerned = [key for key in self._in_flight if (key[0] or not ticket.callflows) and key not in own_trouble]
        return self._evidence.keys() >= set(concerned) and (len(concerned) > 1 or not _is_own_500(error))

    async def _check(self, ticket: Ticket, error: VinixError, server_answers: Callable[[], Awaitable[bool]]) -> None:
        """Check whether a suspected outage is real. If this call is cancelled, another waiting call checks again."""
        began = self._clock.monotonic()
        done = self._check_done = asyncio.get_running_loop().create_future()
        try:
            answers = await server_answers()
        finally:
            self._check_done = None
            done.set_result(None)
        if answers:
            self._discard_evidence(callflows=True)
        elif ticket.key in self._evidence:  # otherwise another request was answered in the meantime
            self._begin_outage(ticket, error, began)

    def _begin_outage(self, ticket: Ticket, error: VinixError, began: float) -> None:
        self._outages += 1
        outage = self._outage = _Outage(began, error, ticket.callflows, dict.fromkeys(self._evidence, began))
        self._schedule_probe(outage, error)
        self._prober = ticket
        self._recovery_limit = None
        # The failures that revealed the outage do not count as attempts. Later failures of these accounts can again be
        # evidence of an outage.
        for each, attempts in self._refundable.items():
            each.spent -= attempts
        self._failing -= self._evidence.keys()
        self._discard_evidence(callflows=True)
        ticket.options.notify(OutageStarted(error=error))
        for each in (ticket, *self._waiting):
            self._starts_waiting(each)

    async def _probe_failed(
        self, ticket: Ticket, error: VinixError, outage: _Outage, server_answers: Callable[[], Awaitable[bool]]
    ) -> None:
        outage.failed_probes += 1
        ticket.has_probed = True
        # A broken document is always answered with an error, usually 500, so this probe may fail although the server is
        # back. Repeat another request that succeeded before.
        checks = _is_own_500(error) or outage.failed_probes % _PROBES_PER_CHECK == 0
        is_back = checks and await server_answers()
        ticket.probing = False
        if self._outage is not outage:
            return  # another call has ended the outage in the meantime
        if is_back:
            self._end_outage(outage, ticket)
            self._done_waiting(ticket)
            return
        outage.error = error
        self._schedule_probe(outage, error)
        now = self._clock.monotonic()
        self._release([each for each in self._waiting if now >= self._patience_ends(each)])
        if now >= self._patience_ends(ticket):
            raise self._given_up(ticket, outage)

    def _schedule_probe(self, outage: _Outage, error: VinixError | None = None) -> None:
        retry_after = error.retry_after if isinstance(error, APIStatusError) else None
        # Add jitter to spread the probes of several clients over time.
        seconds = outage.interval * (0.5 + 0.5 * self._clock.random())
        outage.next_probe_at = self._clock.monotonic() + max(seconds, min(retry_after or 0.0, _MAX_INTERVAL))

    def _end_outage(self, outage: _Outage, ticket: Ticket) -> None:
        if self._prober is not None:
            self._prober.probing = False  # if it has not sent the probe yet, its next attempt is not a probe
        self._outage = self._prober = None
        self._ended_at = self._clock.monotonic()
        self._wake_prober()
        self._recovery_limit, self._recovering = _FIRST_LIMIT, 0
        seconds = self._ended_at - outage.began
        ticket.options.notify(OutageEnded(seconds=seconds, probes=outage.failed_probes))
        self._admit_waiting()

    def _discard_evidence(self, *, callflows: bool, sent_at: float = math.inf) -> None:
        """Discard the failures that occurred before ``sent_at``, the time at which an answered request was sent.

        Later failures are kept. A request that was in flight when a gateway failed can still be answered, so its answer
        does not show that the server is available. Unless ``callflows`` is true, the failures of requests for callflows
        are kept, too.
        """
        for key, failed_at in list(self._evidence.items()):
            if failed_at <= sent_at and (callflows or not key[0]):
                del self._evidence[key]
        for ticket in [each for each in self._refundable if each.key not in self._evidence]:
            del self._refundable[ticket]

    # --- recovery ----------------------------------------------------------------------------------------------

    def _leave_recovery(self, ticket: Ticket, *, grow: bool = False) -> None:
        recovery, ticket.recovery = ticket.recovery, None
        if recovery != self._outages or self._recovery_limit is None:
            return
        self._recovering -= 1
        if grow:
            self._recovery_limit += 1
        if self._recovery_limit >= _LAST_LIMIT:
            self._recovery_limit = None
        self._admit_waiting()

    def _admit_waiting(self) -> None:
        # Begin with the latest call. If the oldest were sent first, all of them could be cancelled before an answer.
        while self._outage is None and self._waiting and self._may_send(latest := next(reversed(self._waiting))):
            self._release([latest])

    # --- waiting --------------------------------------------------------------------------------------------

    def _release(self, tickets: Iterable[Ticket]) -> None:
        for ticket in list(tickets):
            waiter = self._waiting.pop(ticket)
            if not waiter.done():
                waiter.set_result(None)

    def _hand_over(self) -> None:
        """Let another call wait until the next probe is due."""
        self._prober = None
        if self._outage is not None and self._waiting:
            self._prober = next(reversed(self._waiting))
            self._release([self._prober])

    def _patience_ends(self, ticket: Ticket) -> float:
        """Return the time at which the ``outage_wait`` of the call ends.

        The wait is counted from the beginning of the outage. If the call's account was first tried during the outage,
        the wait is counted from this attempt.
        """
        if self._outage is None:
            return math.inf
        patience = ticket.outage_wait
        if ticket.options.retry.outage_wait is None and not self._answered:
            patience = min(patience, CALL_PATIENCE)  # the server has never answered, so base_url may be wrong
        return self._outage.accounts.get(ticket.key, self._outage.began) + patience

    def _given_up(self, ticket: Ticket, outage: _Outage) -> VinixError:
        """Return a copy of the call's last error, with ``gave_up`` set.

        If none of the call's attempts has failed, return a copy of the last error of the outage instead.
        """
        now = self._clock.monotonic()
        error = copy.copy(ticket.last_error or outage.error)
        if ticket.last_error is None:
            error.account_id = error.callflow_id = error.start_key = error.request_id = None
            error.method = error.path = None
        began = outage.accounts.get(ticket.key, outage.began)
        seconds = now - began
        if now >= ticket.ends_at:
            error.gave_up = f"the deadline passed while the server was unavailable ({seconds:.1f} s so far)"
        else:
            patience = self._patience_ends(ticket) - began
            error.gave_up = f"the server has been unavailable for {seconds:.1f} s (outage_wait={patience:g})"
        error.affects_others = True
        return error

    def deadline_passed(self, ticket: Ticket) -> VinixError | None:
        """Return the error of a call whose deadline has passed, or None if the call is not waiting out an outage."""
        if self._outage is None or not ticket.waiting:
            return None
        ticket.ends_at = min(ticket.ends_at, self._clock.monotonic())
        return self._given_up(ticket, self._outage)

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosedError("the client was closed while the call was in progress")

    def _starts_waiting(self, ticket: Ticket) -> None:
        if not ticket.waiting:
            ticket.waiting = True
            at, outage = self._clock.monotonic(), self._outages
            ticket.options.notify(WaitStarted(reason="outage", account_id=ticket.account_id, at=at, outage=outage))

    def _done_waiting(self, ticket: Ticket) -> None:
        if ticket.waiting:
            ticket.waiting = False
            at = self._clock.monotonic()
            ticket.options.notify(WaitEnded(reason="outage", account_id=ticket.account_id, at=at))


def is_answer(error: VinixError) -> bool:
    """Return whether ``error`` is an answer of the server itself, which shows that the server is available."""
    if isinstance(error, DecodeError):
        return not error.server_away
    return isinstance(error, APIStatusError) and not error.server_away and not _is_own_500(error)


def _server_away(error: VinixError) -> bool:
    return isinstance(error, APIConnectionError | APIStatusError | DecodeError) and error.server_away


def _is_own_500(error: VinixError) -> bool:
    """Whether ``error`` is a temporary 500 with the API's own JSON. If only one account gets it, there is no outage."""
    return isinstance(error, APIStatusError) and error.status == 500 and error.transient and not error.server_away
