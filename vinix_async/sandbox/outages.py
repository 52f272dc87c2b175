"""Simulates outages, in which the whole server or a part of it is unavailable for some time."""

import asyncio
import math
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Self, get_args

from aiohttp import web
from attrs import define, field, frozen

from .. import Clock, ConfigurationError
from .faults import reset_connection
from .listener import Listener

OutageKind = Literal["502", "503", "504", "refuse", "reset", "hang"]
OutagePart = Literal["callflows", "accounts", "logins"]

_KINDS: Final[tuple[str, ...]] = get_args(OutageKind)
_PARTS: Final[tuple[str, ...]] = get_args(OutagePart)
_LOGIN_ENDPOINTS: Final = (["user_auth"], ["api_auth"], ["auth"])


@frozen(eq=False)
class Outage:
    """An outage of a sandbox. In a ``with`` statement, the outage ends when the block is left."""

    kind: str
    only: str | None
    _ends_at: float = field(repr=False)
    _end: Callable[["Outage"], None] = field(repr=False)

    def affects(self, path: list[str], now: float) -> bool:
        """Return whether the outage affects a request at the time ``now``. ``path`` begins with the API version."""
        return now < self._ends_at and self.only in {None, _part_of(path[1:])}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end(self)


@define(eq=False)
class OutageController:
    """Begins and ends outages. At most one outage is active at a time.

    Args:
        clock: the sandbox's clock, which measures the duration of outages.
        current: the latest outage, even if its duration has passed. None after ``end`` and before the first outage.
    """

    clock: Clock
    current: Outage | None = None
    _listener: Listener | None = None
    _connections: web.Server | None = None
    _timer: asyncio.Task[None] | None = None

    def attach(self, listener: Listener, connections: web.Server) -> None:
        """Set the listener and the connections that outages affect. The sandbox calls this method when it starts."""
        self._listener = listener
        self._connections = connections

    def detach(self) -> None:
        """End the current outage. The sandbox calls this method when it closes."""
        self.end()
        self._listener = self._connections = None

    def begin(self, seconds: float | None, kind: str, only: str | None) -> Outage:
        """End the current outage and begin a new one. ``Sandbox.outage`` describes the arguments."""
        if kind not in _KINDS:
            raise ConfigurationError(f"kind must be one of {', '.join(_KINDS)}, not {kind!r}")
        if only is not None and only not in _PARTS:
            raise ConfigurationError(f"the argument 'only' must be None or one of {', '.join(_PARTS)}, not {only!r}")
        if only is not None and kind == "refuse":
            raise ConfigurationError(
                "kind='refuse' refuses connections to the whole server: omit 'only' or use another kind"
            )
        duration = math.inf if seconds is None else seconds
        if not _is_duration(duration):
            raise ConfigurationError(f"the argument 'seconds' must be None or a non-negative number, not {seconds!r}")
        if self._listener is None or self._connections is None:
            raise ConfigurationError("the sandbox is not running: start it before you begin an outage")
        self.end()
        self.current = Outage(kind, only, self.clock.monotonic() + duration, self._end_this)
        if kind == "refuse":
            self._listener.refuse()
            for connection in self._connections.connections:
                reset_connection(connection.transport)
            if duration != math.inf:
                self._timer = asyncio.get_running_loop().create_task(self._end_after(duration))
        return self.current

    def end(self) -> None:
        """End the current outage, if there is one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ended, self.current = self.current, None
        if ended is not None and ended.kind == "refuse" and self._listener is not None:
            self._listener.accept()

    async def _end_after(self, seconds: float) -> None:
        await self.clock.sleep(seconds)
        self._timer = None  # so that end() does not cancel this task
        self.end()

    def _end_this(self, outage: Outage) -> None:
        if self.current is outage:
            self.end()


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and value >= 0


def _part_of(segments: list[str]) -> str | None:
    """Return the part of the API that a path belongs to, or None if the path does not belong to a part."""
    match segments:
        case ["accounts", _, "callflows", *_]:
            return "callflows"
        case ["accounts", *_]:
            return "accounts"
    return "logins" if segments in _LOGIN_ENDPOINTS else None
