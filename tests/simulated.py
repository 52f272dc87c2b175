"""A server without sockets, in an event loop whose time is virtual: hours of outages take milliseconds.

A loop that would wait for ever fails at once with ``DeadlockError``, so no test of it can hang.
"""

import asyncio
import functools
import json
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from multidict import CIMultiDict

from vinix_async import APIConnectionError, APITimeoutError, VinixClient
from vinix_async._http.transport import Response

P = ParamSpec("P")
T = TypeVar("T")


class DeadlockError(Exception):
    """Every task waits, and nothing is left that could wake one."""


class _Selector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise DeadlockError
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


def virtual(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Run an async test in virtual time."""

    @functools.wraps(test)
    def run(*arguments: P.args, **options: P.kwargs) -> T:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(test(*arguments, **options))

    return run


class LoopClock:
    """The time of the running loop. Chance is a fixed series of numbers, from a seed."""

    def __init__(self, seed: int = 1) -> None:
        self._state = seed

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def time(self) -> float:
        return 1_767_225_600.0 + self.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def random(self) -> float:
        self._state = (self._state * 1_103_515_245 + 12_345) % 2**31
        return self._state / 2**31


def path_of(target: str) -> str:
    return target.partition("?")[0]


def account_of(target: str) -> str | None:
    """The account whose callflows are asked for; None for other requests."""
    parts = path_of(target).split("/")
    return parts[2] if parts[3:4] == ["callflows"] else None


Fate = Callable[[str, float], str | int]


def always(kind: str | int) -> Fate:
    return lambda *_: kind


def between(begin: float, end: float, kind: str | int, *, only: str = "") -> Fate:
    """``kind`` from ``begin`` to ``end``, for targets that contain ``only``."""
    return lambda target, now: kind if begin <= now < end and only in target else "ok"


class SimulatedServer:
    """Answers by ``fate(target, now)``: ``ok``, ``refused``, ``reset``, ``hang``, ``html``, ``name`` or a status.

    ``name`` is a host name that is not resolved for now. A number is a gateway's answer, ``json 500`` a status in the
    API's own JSON.
    """

    def __init__(self, *, accounts: int = 0, latency: float = 0.02) -> None:
        self.latency = latency
        self.accounts = [f"account{number:04}" for number in range(accounts)]
        self.fate: Fate = always("ok")
        self.requests: list[tuple[float, str]] = []
        self.logins = 0
        self.in_flight = self.most_in_flight = 0
        self.retry_after: str | None = None
        self.last_task: asyncio.Task[Any] | None = None

    def client(self, **options: Any) -> VinixClient:
        options = {"auth": "a-token", "base_url": "http://127.0.0.1:9/v2", "clock": LoopClock(), **options}
        client = VinixClient(**options)
        client._sender.transport.send = self.send  # type: ignore[method-assign]  # in place of sockets
        return client

    @property
    def asked(self) -> list[str]:
        """The targets that were asked for, logins left out."""
        return [target for _, target in self.requests if not target.endswith("_auth")]

    async def send(self, method: str, target: str, headers: Any, body: Any, timeout: Any) -> Response:  # noqa: ARG002  # as Transport.send
        self.last_task = asyncio.current_task()
        self.requests.append((asyncio.get_running_loop().time(), target))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(method, target, headers, timeout)
        finally:
            self.in_flight -= 1

    async def _answer(self, method: str, target: str, headers: Any, timeout: float) -> Response:
        fate = self.fate(target, asyncio.get_running_loop().time())
        await asyncio.sleep(timeout if fate == "hang" else self.latency)
        match fate:
            case "hang":
                raise APITimeoutError("no complete response", server_away=True)
            case "refused" | "reset":
                raise APIConnectionError(f"connection {fate}", server_away=True)
            case "name":
                raise APIConnectionError("the name cannot be resolved")
            case "init failed":
                body = b'{"status": "error", "error": "500", "message": "init failed"}'
                return Response(500, CIMultiDict(), body)
            case "html":
                return Response(200, CIMultiDict({"Content-Type": "text/html"}), b"<html>")
            case int():
                headers = {} if self.retry_after is None else {"Retry-After": self.retry_after}
                return Response(fate, CIMultiDict(headers), b"<html>")
            case "ok":
                return self._success(method, target, headers["X-Request-ID"])
            case _:
                status = int(fate.removeprefix("json "))
                told = {"status": "error", "error": str(status), "message": "failed", "data": {}}
                return Response(status, CIMultiDict(), json.dumps(told).encode())

    def _success(self, method: str, target: str, request_id: str) -> Response:
        envelope: dict[str, Any] = {"status": "success", "request_id": request_id, "auth_token": "a-token"}
        path, _, query = target.partition("?")
        if path.endswith("_auth"):
            self.logins += method == "PUT"
            envelope |= {"data": {"account_id": "root"}, "auth_token": f"token-{self.logins}"}
        elif path.endswith("/descendants"):
            start = int(query.partition("start_key=")[2] or 0)
            rows = self.accounts[start : start + 50]
            envelope["data"] = [{"id": each, "name": f"Office {each[-2:]}"} for each in rows]
            if start + 50 < len(self.accounts):
                envelope["next_start_key"] = str(start + 50)
        elif path.endswith("/callflows"):
            envelope["data"] = [{"id": f"{account_of(target)}-{number}"} for number in range(3)]
        else:
            envelope["data"] = {"id": path.rpartition("/")[2]}
        return Response(201 if method == "PUT" else 200, CIMultiDict(), json.dumps(envelope).encode())
