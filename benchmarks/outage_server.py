"""A server of 2,000 accounts that goes away as a scenario says, in a process of its own."""

import asyncio
import json
import multiprocessing
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import cast
from urllib.parse import parse_qs, urlsplit

from attrs import frozen

ROOT = "f" * 32
KEY = "0" * 64
LATENCY = 0.128
"""Seconds for each answer: 2,000 accounts take 8 s, 32 at a time."""

PAGE = 50
CALLFLOWS = 3

_REQUEST_ID = re.compile(rb"(?i)\r\nx-request-id: *([^\r]+)")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


@frozen(kw_only=True)
class Scenario:
    """What goes wrong, and when.

    ``kind``: ``502``, ``503``, ``refuse``, ``reset``, ``hang`` or ``drip``. It begins ``after`` seconds of reading
    callflows, or with the request ``at`` (such as ``("listing", 2)``), and lasts ``seconds``, then comes again after
    ``every`` seconds until ``until``. ``only_callflows``: logins and listings of accounts work. ``share``: of all
    answers that are a 502 by chance. ``broken``: accounts that answer 503 for good. ``expires``: seconds for which a
    token is good.
    """

    accounts: int = 2_000
    kind: str = "502"
    after: float | None = None
    at: tuple[str, int] | None = None
    seconds: float = 0.0
    every: float | None = None
    until: float = 0.0
    only_callflows: bool = False
    share: float = 0.0
    broken: frozenset[int] = frozenset()
    flaky: int = 0
    expires: float = 3600.0


def account_id(number: int) -> str:
    """The id of an account."""
    return f"{number:032x}"


def callflow_ids(number: int) -> set[str]:
    """The ids of an account's callflows."""
    return {f"{number:028x}{index:04x}" for index in range(CALLFLOWS)}


class _Server:
    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.loop = asyncio.get_running_loop()
        self.transports: set[asyncio.Transport] = set()
        self.requests: Counter[str] = Counter()
        self.for_broken: Counter[int] = Counter()
        self.flaked: Counter[int] = Counter()
        self.began: float | None = None  # when the outages began to count
        self.chance = random.Random(1)
        self.refusing = False
        self.listening: asyncio.Server | None = None
        self.port = 0

    async def listen(self) -> None:
        self.listening = await self.loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self.port, backlog=1024, reuse_address=True
        )
        self.port = self.listening.sockets[0].getsockname()[1]

    def away(self, kind: str) -> bool:
        scenario = self.scenario
        if self.began is None:
            trigger = scenario.at or (("callflows", 1) if scenario.after is not None else None)
            if trigger is None or (kind, self.requests[kind]) != trigger:
                return False
            self.began = time.monotonic() + (scenario.after or 0.0)
            if scenario.kind == "refuse":
                self.loop.call_at(self.loop.time() + (scenario.after or 0.0), self.refuse)
        if scenario.only_callflows and kind != "callflows":
            return False
        since = time.monotonic() - self.began
        if scenario.every is not None and 0 <= since < scenario.until:
            since %= scenario.every
        return 0 <= since < scenario.seconds

    def refuse(self) -> None:
        if self.listening is not None:
            self.listening.close()
            self.refusing = True
            for transport in list(self.transports):
                transport.abort()
            self.loop.call_later(self.scenario.seconds, lambda: asyncio.ensure_future(self.return_()))

    async def return_(self) -> None:
        self.refusing = False
        await self.listen()

    def answer(self, method: str, target: str, request_id: str) -> tuple[int, bytes]:
        url = urlsplit(target)
        parts = url.path.split("/")[2:]
        query = parse_qs(url.query)
        envelope = {"status": "success", "request_id": request_id}
        if method == "PUT":
            return 201, _json({**envelope, "data": {}, "auth_token": self.token()})
        if parts[-1] == "descendants":
            start = int(query.get("start_key", ["0"])[0])
            rows = [{"id": account_id(each)} for each in range(start, min(start + PAGE, self.scenario.accounts))]
            if start + PAGE < self.scenario.accounts:
                envelope["next_start_key"] = str(start + PAGE)
            return 200, _json({**envelope, "data": rows})
        number = int(parts[1], 16)
        if number in self.scenario.broken:
            self.for_broken[number] += 1
            return 503, b""
        if self.flaked[number] < self.scenario.flaky:
            self.flaked[number] += 1
            return 503, b""
        callflows = [{"id": each, "featurecode": False} for each in sorted(callflow_ids(number))]
        return 200, _json({**envelope, "data": callflows})

    def token(self) -> str:
        return f"token-{time.monotonic() + self.scenario.expires}"

    def expired(self, head: bytes) -> bool:
        found = re.search(rb"(?i)x-auth-token: token-([0-9.]+)", head)
        return found is not None and float(found[1]) < time.monotonic()


class _Connection(asyncio.Protocol):
    def __init__(self, server: _Server) -> None:
        self._server = server
        self._unread = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.transports.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's name
        self._server.transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while (end := self._unread.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._unread[:end])
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._unread) < whole:
                return
            del self._unread[:whole]
            self._serve(head)

    def _serve(self, head: bytes) -> None:
        server = self._server
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        kind = "login" if method == "PUT" else "listing" if "descendants" in target else "callflows"
        server.requests[kind] += 1
        away = server.away(kind)
        if not away and server.chance.random() < server.scenario.share:
            self._reply(502, b"<html>Bad Gateway</html>")
        elif not away and server.expired(head):
            self._reply(401, _json({"status": "error", "error": "401", "message": "invalid credentials", "data": {}}))
        elif not away:
            sent = _REQUEST_ID.search(head)
            server.loop.call_later(
                LATENCY, self._reply, *server.answer(method, target, sent[1].decode() if sent else "")
            )
        elif server.scenario.kind == "reset":
            self._transport.abort()
        elif server.scenario.kind == "drip":
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
            self._drip()
        elif server.scenario.kind in {"502", "503"}:
            self._reply(int(server.scenario.kind), b"<html>away</html>")

    def _drip(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b" ")
            self._server.loop.call_later(0.5, self._drip)

    def _reply(self, status: int, body: bytes) -> None:
        kind = b"application/json" if body[:1] == b"{" else b"text/html"
        head = b"HTTP/1.1 %d X\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (status, kind, len(body))
        if not self._transport.is_closing():
            self._transport.write(head + body)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


async def _serve(pipe: Connection, scenario: Scenario) -> None:
    server = _Server(scenario)
    await server.listen()
    pipe.send(server.port)
    while await asyncio.to_thread(pipe.recv):
        pipe.send((server.requests, server.for_broken))


def _run(pipe: Connection, scenario: Scenario) -> None:
    asyncio.run(_serve(pipe, scenario))


class Handle:
    """The running server, as the client's process knows it."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.url = f"http://127.0.0.1:{pipe.recv()}/v2"

    def counts(self) -> tuple[Counter[str], Counter[int]]:
        """How many requests came so far by kind, and for each broken account."""
        self._pipe.send(True)
        return cast("tuple[Counter[str], Counter[int]]", self._pipe.recv())


@contextmanager
def running(scenario: Scenario) -> Iterator[Handle]:
    """Run the server until the end of the block."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(there, scenario), daemon=True)
    process.start()
    try:
        yield Handle(here)
    finally:
        here.send(False)
        process.join(5)
        process.kill()
