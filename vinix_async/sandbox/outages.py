"""Outages: the whole server, or a part of it, is away for a while."""

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
    """An outage. As a context manager it ends when the block is left."""

    kind: str
    only: str | None
    _ends_at: float = field(repr=False)
    _end: Callable[["Outage"], None] = field(repr=False)

    def affects(self, path: list[str], now: float) -> bool:
        """Return whether the outage affects a request, given the segments of its path, the version first."""
        return now < self._ends_at and self.only in {None, _part_of(path[1:])}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end(self)


@define(eq=False)
class OutageController:
    """Begins and ends outages; at most one is on at a time.

    Args:
        clock: the sandbox's clock, on which an outage lasts.
        current: the outage that has begun last, unless it was ended. It may be over by now.
    """

    clock: Clock
    current: Outage | None = None
    _listener: Listener | None = None
    _connections: web.Server | None = None
    _timer: asyncio.Task[None] | None = None

    def attach(self, listener: Listener, connections: web.Server) -> None:
        """Let outages refuse connections, now that the sandbox listens."""
        self._listener = listener
        self._connections = connections

    def detach(self) -> None:
        """End the outage that is on; the sandbox closes."""
        self.end()
        self._listener = self._connections = None

    def begin(self, seconds: float | None, kind: str, only: str | None) -> Outage:
        """Begin an outage, in place of one that is on. The arguments are those of ``Sandbox.outage``."""
        if kind not in _KINDS:
            raise ConfigurationError(f"kind must be one of {', '.join(_KINDS)}, not {kind!r}")
        if only is not None and only not in _PARTS:
            raise ConfigurationError(f"only must be one of {', '.join(_PARTS)}, not {only!r}")
        if only is not None and kind == "refuse":
            raise ConfigurationError("only must be None for kind='refuse', which is for the whole server")
        duration = math.inf if seconds is None else seconds
        if not duration >= 0:
            raise ConfigurationError(f"seconds must be a number that is not negative, not {seconds!r}")
        if self._listener is None or self._connections is None:
            raise ConfigurationError("an outage needs a sandbox that is running")
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
        """End the outage that is on, if there is one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ended, self.current = self.current, None
        if ended is not None and ended.kind == "refuse" and self._listener is not None:
            self._listener.accept()

    async def _end_after(self, seconds: float) -> None:
        await self.clock.sleep(seconds)
        self._timer = None  # this task, which ends by itself
        self.end()

    def _end_this(self, outage: Outage) -> None:
        if self.current is outage:
            self.end()


def _part_of(segments: list[str]) -> str | None:
    """Return the part of the API that a path belongs to."""
    match segments:
        case ["accounts", _, "callflows", *_]:
            return "callflows"
        case ["accounts", *_]:
            return "accounts"
    return "logins" if segments in _LOGIN_ENDPOINTS else None
