"""How many requests run at once, and how fast one account's follow each other.

The server keeps a token bucket for each pair of client address and account (100 tokens, 10 more each
second), says nothing of it in advance, and on one of its two engines does not charge valid tokens at all.
So an account runs freely until the server refuses it, and from then on at a pace that is learned: cut
by a refusal, raised a little by each success, forgotten after a quiet minute.
"""

import math
from typing import Any, Final

from attrs import Attribute, field, frozen

from .._exceptions import APITimeoutError, ConfigurationError
from .clock import Clock
from .places import Places
from .retry import RetryBudget

_FORGET_AFTER: Final = 60.0
_KEEP_IDLE: Final = 1000
ACCOUNT_RETRIES: Final = 10.0
_LOGIN_HOLD: Final = 4.2
"""A login may cost 35 tokens, 10 come each second, and one that is refused empties the bucket."""


def _at_least(least: float) -> Any:
    def check(_: object, attribute: "Attribute[Any]", value: object) -> None:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not least <= value < math.inf:  # type: ignore[operator]  # it is a number here
            raise ConfigurationError(f"{attribute.name} must be a number, at least {least:g}")

    return check


@frozen(kw_only=True)
class Limits:
    """What the client may use at most.

    ``max_connections``: sockets in the pool. ``max_concurrency``: requests under way at once, over all
    accounts, and ``per_account`` for each of them. ``burst`` and ``rate``: the bucket that the server is
    thought to keep for an account that it has refused once, in requests and requests a second. ``max_body``:
    bytes of one reply, before and after decompression. ``keepalive``: seconds that an idle connection is
    kept; the server closes it after 5. ``decode_turn``: seconds of reading a page, or of handing out its rows, after
    which the event loop's other tasks get their turn.
    """

    max_connections: int = field(default=100, validator=_at_least(1))
    max_concurrency: int = field(default=100, validator=_at_least(1))
    per_account: int = field(default=8, validator=_at_least(1))
    burst: int = field(default=100, validator=_at_least(1))
    rate: float = field(default=10.0, validator=_at_least(0.01))
    max_body: int = field(default=64 * 2**20, validator=_at_least(1))
    keepalive: float = field(default=4.0, validator=_at_least(0))
    decode_turn: float = field(default=0.0005, validator=_at_least(0))


class Gate:
    """What one account may do now: its slots, its pace, and its share of retries."""

    __slots__ = (
        "_clock",
        "_limits",
        "_next_at",
        "_rate",
        "_refusals",
        "_refused_at",
        "_turn",
        "account_id",
        "budget",
        "slots",
        "users",
    )

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.account_id: str | None = None
        self.budget: RetryBudget = RetryBudget(ACCOUNT_RETRIES)
        self.users: int = 0
        self._limits = limits
        self._clock = clock
        self.slots: Places = Places(limits.per_account)
        self._turn = Places(1)
        self._rate: float | None = None
        self._next_at = -math.inf
        self._refused_at = -math.inf
        self._refusals = 0

    @property
    def pristine(self) -> bool:
        """Whether a new gate would serve as well."""
        return self.budget.full and (self._rate is None or self._forgets())

    @property
    def untouched(self) -> bool:
        """Whether the gate may serve another account."""
        return self.budget.full and self._refused_at == -math.inf

    @property
    def paced(self) -> bool:
        """Whether the account has been refused lately."""
        return self._rate is not None

    async def enter(self, ends_at: float) -> None:
        """Take one of the account's slots when its pace allows."""
        await self.slots.enter()
        try:
            if self._rate is not None:
                await self._pace(ends_at)
        except BaseException:
            self.slots.leave()
            raise

    def leave(self) -> None:
        self.slots.leave()

    async def _pace(self, ends_at: float) -> None:
        await self._turn.enter()  # only the first in line watches the clock, so a new pace reaches all of them
        try:
            while (wait := self._next_at - self._clock.monotonic()) > 0:
                if self._next_at >= ends_at:
                    raise APITimeoutError(
                        f"the rate limit lets this account go on in {wait:.1f} s, after the deadline",
                        transient=False,
                    )
                await self._clock.sleep(wait)
            if self._rate is None or self._forgets():
                self._rate = None
                return
            now = self._clock.monotonic()
            saved_up = (self._limits.burst - 1) / self._rate
            self._next_at = max(self._next_at, now - saved_up) + 1 / self._rate
        finally:
            self._turn.leave()

    def _forgets(self) -> bool:
        return self._clock.monotonic() - self._refused_at > _FORGET_AFTER

    def refused(self, sent_at: float, asked: float = 0.0) -> float:
        """What was sent at ``sent_at`` came back as 429: the least seconds before it may be sent again.

        The others of the account are held as long, and for the seconds that the server ``asked`` for.
        """
        now = self._clock.monotonic()
        if sent_at >= self._refused_at:  # else it was under way already when the pace was cut
            if self._rate is None:
                self._rate = self._limits.rate
            elif self._refusals == 0:
                self._rate = max(0.1 * self._limits.rate, 0.9 * self._rate)
            hold = _LOGIN_HOLD if self.account_id is None else 1 / self._limits.rate
            self._next_at = now + min(hold * 2.0 ** min(self._refusals, 10), 20.0)
            self._refusals += 1
            self._refused_at = now
        wait = max(0.0, self._next_at - now)
        self._next_at = max(self._next_at, now + asked)
        return wait

    def succeeded(self) -> None:
        """A request was served."""
        self._refusals = 0
        if self._rate is not None:
            self._rate += 0.002 * self._limits.rate


class Gates:
    """The gates of all accounts that something is under way for, or that have been refused lately."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._gates: dict[str | None, Gate] = {}
        self._spare: Gate | None = None
        self._all = Places(limits.max_concurrency)

    def hold(self, account_id: str | None) -> Gate:
        """The gate of an account, or of the logins (None), which share one bucket; ``release`` it afterwards."""
        gate = self._gates.get(account_id)
        if gate is None:
            gate = self._spare or Gate(self._limits, self._clock)
            gate.account_id, self._spare = account_id, None
            self._gates[account_id] = gate
        gate.users += 1
        return gate

    def release(self, gate: Gate) -> None:
        gate.users -= 1
        if gate.users == 0 and (gate.pristine or len(self._gates) > _KEEP_IDLE):
            del self._gates[gate.account_id]
            self._spare = gate if gate.untouched else None  # to make one takes longer than all else here

    def enter_now(self, gate: Gate) -> bool:
        """Take leave to send one request, if there is nothing to wait for; ``leave`` gives it back."""
        if gate.paced or gate.slots.free <= 0 or self._all.free <= 0:
            return False
        gate.slots.free -= 1
        self._all.free -= 1
        return True

    async def enter(self, gate: Gate, ends_at: float) -> None:
        """Take leave to send one request. The account's turn comes first: waiting for it takes nobody's place."""
        await gate.enter(ends_at)
        try:
            await self._all.enter()
        except BaseException:
            gate.leave()
            raise

    def leave(self, gate: Gate) -> None:
        self._all.leave()
        gate.leave()
