"""A table of faults: what the client makes of each, and how many requests it costs.

A raw socket plays each row to a whole client, which tries each request at most five times and takes no part in
outages. A row without an error yields exactly the callflows ``a`` and ``b``. ``requests`` is what the server saw.
"""

import asyncio
import gzip
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from attrs import field, frozen
from fake_clock import FakeClock
from fault_server import Connection, fault_server

from vinix_async import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DecodeError,
    Limits,
    NotFoundError,
    PaginationLoopError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    VinixClient,
    VinixError,
)

ACCOUNT = "a" * 32
ROWS = [{"id": "a"}, {"id": "b"}]
Play = Callable[[Connection, bytes], Awaitable[None]]


@frozen(kw_only=True)
class Row:
    name: str
    plays: tuple[Play, ...]
    error: type[VinixError] | None = None
    requests: int | None = None
    text: str = ""
    seconds: tuple[float, float] = field(default=(0, 60))
    policy: RetryPolicy = field(factory=lambda: RetryPolicy(outage_wait=0))
    limits: Limits = field(factory=Limits)
    timeout: float = 10.0  # on the real clock: only rows that wait for it have a short one

    @property
    def expected_requests(self) -> int:
        return len(self.plays) if self.requests is None else self.requests


def body(request_id: bytes, /, **envelope: Any) -> bytes:
    return json.dumps({"data": ROWS, "status": "success", "request_id": request_id.decode(), **envelope}).encode()


def http(payload: bytes, status: int = 200, headers: bytes = b"", length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s\r\n%s" % (status, size, headers, payload)


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + end


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def raw(make: Callable[[bytes], bytes]) -> Play:
    """Answer with the bytes that ``make`` gives for the request's id, then close."""

    async def play(connection: Connection, request_id: bytes) -> None:
        await connection.send(make(request_id))

    return play


async def byte_by_byte(connection: Connection, request_id: bytes) -> None:
    await connection.send(chunked(end=b""))
    for byte in body(request_id):
        await connection.send(chunk(bytes([byte])))
        await asyncio.sleep(0)  # else they arrive as one
    await connection.send(b"0\r\n\r\n")


def envelope(**fields: Any) -> Play:
    return raw(lambda request_id: http(body(request_id, **fields)))


def status(code: int, payload: bytes = b"", headers: bytes = b"") -> Play:
    return raw(lambda _: http(payload, code, headers))


async def reset(connection: Connection, _: bytes) -> None:
    connection.reset()


async def never(connection: Connection, _: bytes) -> None:
    await connection.peer_closes()


def after(data: bytes, then: Play) -> Play:
    async def play(connection: Connection, request_id: bytes) -> None:
        await connection.send(data)
        await asyncio.sleep(0.01)
        await then(connection, request_id)

    return play


good = envelope()
GZIP = b"Content-Encoding: gzip\r\n"
THREE = RetryPolicy(attempts=3, outage_wait=0)


def date(seconds: float) -> bytes:
    return format_datetime(datetime.fromtimestamp(FakeClock().time() + seconds, UTC), usegmt=True).encode()


def passing(name: str, fault: Play) -> list[Row]:
    """A fault that passes: once, it costs a request; for ever, it is an error of its kind."""
    kind = DecodeError if name.startswith("200") else APIConnectionError
    return [
        Row(name=f"{name}, once", plays=(fault, good)),
        Row(name=f"{name}, for ever", plays=(fault,) * 3, error=kind, policy=THREE),
    ]


TRANSIENT: dict[str, Play] = {
    "closed before the head": raw(lambda _: b""),
    "reset before the head": reset,
    "closed within the status line": raw(lambda _: b"HTTP/1.1 2"),
    "reset within the head": after(b"HTTP/1.1 200 OK\r\nContent-", reset),
    "closed after the head": raw(lambda _: http(b"", length=50)),
    "half a body, closed": raw(lambda i: http(body(i)[:20], length=200)),
    "half a body, reset": after(http(b'{"data"', length=200), reset),
    "a body shorter than its length that parses": raw(lambda i: http(body(i), length=len(body(i)) + 1)),
    "no last chunk, though it parses": raw(lambda i: chunked(chunk(body(i)), end=b"")),
    "a chunk without its size": raw(lambda i: chunked(b"zz\r\n" + body(i))),
    "a chunk longer than it says": raw(lambda _: chunked(b"2\r\n{}{}\r\n")),
    "gzip without its end, though it parses": raw(lambda i: http(gzip.compress(body(i))[:-8], headers=GZIP)),
    "gzip with a wrong checksum": raw(lambda i: http(gzip.compress(body(i))[:-8] + b"\0" * 8, headers=GZIP)),
    "not gzip, although the header says so": raw(lambda i: http(body(i), headers=GZIP)),
    "gzip followed by other bytes": raw(lambda i: http(gzip.compress(body(i)) + b"x", headers=GZIP)),
    "not HTTP": raw(lambda _: b"220 mail.example.com ESMTP\r\n\r\n"),
    "endless headers": raw(lambda _: b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n"),
    "an endless header": raw(lambda _: b"HTTP/1.1 200 OK\r\nX: " + b"y" * 50_000 + b"\r\n\r\n"),
    "two lengths": raw(lambda i: http(body(i), headers=b"Content-Length: 3\r\n")),
    "status 206, though it parses": raw(lambda i: http(body(i), 206)),
    "status 204": raw(lambda _: b"HTTP/1.1 204 X\r\n\r\n"),
    "status 201 for a listing": raw(lambda i: http(body(i), 201)),
    "neither length nor chunks, though it parses": raw(lambda i: b"HTTP/1.1 200 X\r\n\r\n" + body(i)),
    "200 that is empty": raw(lambda _: http(b"")),
    "200 that is HTML": raw(lambda _: http(b"<html>busy</html>", headers=b"Content-Type: text/html\r\n")),
    "200 that is a sentence": raw(lambda _: http(b"encoding response failed: bad term")),
    "200 that is half of JSON": raw(lambda i: http(body(i)[:-5])),
    "200 that is not UTF-8": raw(lambda i: http(body(i).replace(b'"a"', b'"\xff"'))),
    "200 with NaN": raw(lambda i: http(body(i).replace(b'"a"', b"NaN"))),
    "200 in UTF-16": raw(lambda i: http(body(i).decode().encode("utf-16"))),
}

LASTING: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: APIStatusError,
    406: APIStatusError,
    409: ConflictError,
    410: APIStatusError,
    412: APIStatusError,
    413: APIStatusError,
    415: APIStatusError,
    416: APIStatusError,
    423: APIStatusError,
    501: ServerError,
    505: ServerError,
}
PASSING: dict[int, type[APIStatusError]] = {
    408: APIStatusError,
    425: APIStatusError,
    429: RateLimitError,
    500: ServerError,
    502: ServerError,
    503: ServerError,
    504: ServerError,
}
ERROR_BODIES = {"empty": b"", "HTML": b"<html>", "Kazoo's": b'{"error": "500", "message": "x", "data": {}}'}

WRONG_FIELDS: dict[str, Any] = {
    "id": 7,
    "name": 7,
    "numbers": "1000",
    "patterns": [7],
    "flags": {},
    "featurecode": True,
    "flow": "menu",
    "metaflow": 7,
    "ringback": "x",
    "modules": [None],
    "metadata": [1],
}

TABLE = [
    *(row for name, fault in TRANSIENT.items() for row in passing(name, fault)),
    *(
        Row(name=f"{code} with {name} body", plays=(status(code, payload),), error=kind)
        for code, kind in LASTING.items()
        for name, payload in ERROR_BODIES.items()
    ),
    *(Row(name=f"{code}, once", plays=(status(code), good)) for code in PASSING),
    *(
        Row(name=f"{code}, for ever", plays=(status(code),) * 3, error=kind, policy=THREE)
        for code, kind in PASSING.items()
    ),
    *(
        Row(
            name=f"a redirect {code} to {name}",
            plays=(status(code, headers=b"Location: " + to + b"\r\n"),),
            error=APIStatusError,
            text="not followed",
        )
        for code in (301, 302, 307, 308)
        for name, to in (
            ("another host", b"https://x.example.com/"),
            ("http", b"http://x.example.com/"),
            ("itself", b"/v2"),
        )
    ),
    *(
        Row(
            name=f"a wrong {key}",
            plays=(envelope(data=[{"id": "a"}, {key: value}]),),
            error=DecodeError,
            text=f"$.data[1].{key}",
        )
        for key, value in WRONG_FIELDS.items()
    ),
    Row(name="a row that is a string", plays=(envelope(data=["a"]),), error=DecodeError, text="$.data[0]"),
    Row(name="data that is a sentence", plays=(envelope(data="sorry"),), error=DecodeError, text="$.data"),
    Row(name="an array in place of the envelope", plays=(raw(lambda _: http(b"[]")),), error=DecodeError),
    Row(name="an empty envelope", plays=(raw(lambda _: http(b"{}")),), error=DecodeError),
    Row(name="a page_size that is a string", plays=(envelope(page_size="2"),), error=DecodeError, text="page_size"),
    Row(name="a cursor that is a number", plays=(envelope(data=[{"id": "a"}], next_start_key=7), good)),
    Row(name="a cursor that is an array", plays=(envelope(data=[{"id": "a"}], next_start_key=["k", 1]), good)),
    Row(name="data that is null", plays=(envelope(data=None),), error=DecodeError, text="$.data"),
    Row(name="data that is an empty object", plays=(envelope(data={}),), error=DecodeError, text="$.data"),
    Row(
        name="data that is missing",
        plays=(raw(lambda _: http(b'{"status": "success"}')),),
        error=DecodeError,
        text="$.data",
    ),
    Row(
        name="a second page whose data is null",
        plays=(envelope(next_start_key="k"), envelope(data=None)),
        error=DecodeError,
        text="$.data",
    ),
    Row(
        name="a response that does not echo the request id, after one that did",
        plays=(envelope(data=[{"id": "a"}], next_start_key="k"), envelope(request_id="0" * 32), good),
    ),
    Row(name="request ids that are never echoed", plays=(envelope(request_id="0" * 32),)),
    Row(
        name="500 init failed without data",
        plays=(status(500, b'{"status": "error", "error": "500", "message": "init failed"}'),),
        error=ServerError,
        text="a retry would get this 500 again",
    ),
    Row(
        name="500 init failed with data, once",
        plays=(status(500, b'{"status": "error", "error": "500", "message": "init failed", "data": {}}'), good),
    ),
    Row(
        name="nested too deeply",
        plays=(raw(lambda _: http(b"[" * 100_000 + b"]" * 100_000)),),
        error=DecodeError,
        text="too deep",
    ),
    Row(name="status error in a 200", plays=(envelope(status="error", error="403"),), error=PermissionDeniedError),
    Row(name="status fatal in a 200", plays=(envelope(status="fatal"),), error=APIStatusError),
    Row(
        name="the vendor's error in a 200",
        plays=(raw(lambda _: http(b'{"code":"x","message":"y"}')),),
        error=APIStatusError,
    ),
    Row(name="a 503 in a 200, once", plays=(envelope(status="error", error="503"), good)),
    Row(name="a byte order mark", plays=(raw(lambda i: http(b"\xef\xbb\xbf" + body(i))),)),
    Row(name="keys twice", plays=(raw(lambda i: http(b'{"data": [], ' + body(i)[1:])),)),
    Row(name="an integer of 80 bits", plays=(envelope(data=[{"id": "a", "x": 2**80}, {"id": "b"}]),)),
    Row(name="a body in chunks of one byte", plays=(byte_by_byte,)),
    Row(name="a body that is zipped", plays=(raw(lambda i: http(gzip.compress(body(i)), headers=GZIP)),)),
    Row(
        name="gzip in two members",
        plays=(raw(lambda i: http(gzip.compress(body(i)[:9]) + gzip.compress(body(i)[9:]), headers=GZIP)),),
    ),
    Row(
        name="a bomb",
        plays=(raw(lambda _: http(gzip.compress(b" " * 10_000_000), headers=GZIP)),),
        error=APIConnectionError,
        text="max_body",
        limits=Limits(max_body=100_000),
    ),
    Row(
        name="a body beyond the bound",
        plays=(raw(lambda _: http(b" " * 100_001)),),
        error=APIConnectionError,
        text="max_body",
        limits=Limits(max_body=100_000),
    ),
    Row(
        name="an encoding that nobody asked for",
        plays=(raw(lambda i: http(body(i), headers=b"Content-Encoding: br\r\n")),),
        error=APIConnectionError,
        text="not requested",
    ),
    Row(name="never an answer, once", plays=(never, good), timeout=0.5),
    Row(
        name="never an answer",
        plays=(never,) * 2,
        error=APITimeoutError,
        policy=RetryPolicy(attempts=2, outage_wait=0),
        timeout=0.5,
    ),
    Row(name="never the end of the head", plays=(after(b"HTTP/1.1 200 OK\r\n", never), good), timeout=0.5),
    Row(name="never the end of the body", plays=(after(http(b"{", length=9), never), good), timeout=0.5),
    Row(name="401 of a token that cannot be renewed", plays=(status(401),), error=AuthenticationError),
    Row(name="Retry-After in seconds", plays=(status(503, headers=b"Retry-After: 7\r\n"), good), seconds=(7, 7)),
    Row(
        name="Retry-After in fractions", plays=(status(503, headers=b"Retry-After: 1.5\r\n"), good), seconds=(1.5, 1.5)
    ),
    Row(
        name="Retry-After in milliseconds",
        plays=(status(429, headers=b"retry-after-ms: 2500\r\n"), good),
        seconds=(2.5, 2.5),
    ),
    Row(
        name="Retry-After as a date",
        plays=(status(503, headers=b"Retry-After: " + date(9) + b"\r\n"), good),
        seconds=(8, 9),
    ),
    Row(
        name="Retry-After in the past",
        plays=(status(503, headers=b"Retry-After: " + date(-9) + b"\r\n"), good),
        seconds=(0, 1),
    ),
    Row(
        name="Retry-After that is garbage", plays=(status(503, headers=b"Retry-After: soon\r\n"), good), seconds=(0, 1)
    ),
    Row(name="Retry-After that is negative", plays=(status(503, headers=b"Retry-After: -7\r\n"), good), seconds=(0, 1)),
    Row(
        name="Retry-After that is huge",
        plays=(status(503, headers=b"Retry-After: 99999\r\n"),),
        error=ServerError,
        seconds=(0, 0),
    ),
    Row(
        name="Retry-After without end",
        plays=(status(429, headers=b"Retry-After: " + b"9" * 300 + b"\r\n"),),
        error=RateLimitError,
        seconds=(0, 0),
    ),
    Row(name="a storm of 429", plays=(status(429),) * 4 + (good,), seconds=(1.5, 3)),
    Row(
        name="the cursor of the first page again",
        plays=(envelope(next_start_key="k"), envelope(next_start_key="k")),
        error=PaginationLoopError,
    ),
    Row(
        name="cursors in a circle",
        plays=(envelope(next_start_key="k"), envelope(next_start_key="l"), envelope(next_start_key="k")),
        error=PaginationLoopError,
    ),
    Row(name="an empty page with a cursor", plays=(envelope(data=[], next_start_key="k"), good)),
    Row(name="a page again", plays=(envelope(next_start_key="k"), good)),
    Row(name="rows twice in one page", plays=(envelope(data=[*ROWS, *ROWS]),)),
    Row(name="one object in place of an array", plays=(envelope(data={"id": "a"}, next_start_key="k"), good)),
    Row(name="an empty cursor", plays=(envelope(next_start_key=""),)),
    Row(name="a cursor that is null", plays=(envelope(next_start_key=None),)),
    Row(
        name="a second page that fails for good",
        plays=(envelope(next_start_key="k"), status(403)),
        error=PermissionDeniedError,
        text="start_key=k",
    ),
    Row(name="a second page that fails once", plays=(envelope(data=[{"id": "a"}], next_start_key="k"), reset, good)),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
async def test_every_row(row: Row) -> None:
    clock = FakeClock()
    begun = clock.now
    waiting = list(row.plays)
    found: list[str] = []

    async def script(connection: Connection) -> None:
        head = await connection.request()
        (request_id,) = (line[14:] for line in head.split(b"\r\n") if line.startswith(b"X-Request-ID: "))
        await waiting.pop(0)(connection, request_id)

    async def walk(client: VinixClient) -> None:
        async for callflow in client.callflows.list(ACCOUNT, prefetch=0):
            found.append(callflow.id)

    async with (
        fault_server(script) as server,
        VinixClient(
            auth="planted-token",
            base_url=server.url,
            clock=clock,
            timeout=row.timeout,
            retry=row.policy,
            limits=row.limits,
        ) as client,
    ):
        if row.error is None:
            await walk(client)
            assert found == ["a", "b"]
        else:
            with pytest.raises(row.error) as caught:
                await walk(client)
            error = caught.value
            assert type(error) is row.error
            assert row.text in str(error)
            assert "planted" not in f"{error!s}{error!r}{vars(error)}"
            assert error.account_id == ACCOUNT
            assert error.request_id is not None
            assert (error.method, error.path) == ("GET", f"/accounts/{ACCOUNT}/callflows")
            assert error.gave_up
            assert error.gave_up in str(error)
            if error.start_key is None:
                assert error.attempts == row.expected_requests
        assert len(server.heads) == row.expected_requests
        assert row.seconds[0] - 0.01 <= clock.now - begun <= row.seconds[1] + 0.01
        assert client._sender._tasks == set()
        session = client._sender.transport._session
        assert session is not None
        assert session.connector is not None
        assert not session.connector._acquired


def test_the_table_is_long_enough() -> None:
    assert len(TABLE) >= 150
    assert len({row.name for row in TABLE}) == len(TABLE)


WAITS = {
    "never an answer": never,
    "half a head": after(b"HTTP/1.1 200 OK\r\n", never),
    "half a body": after(http(b"{", length=9), never),
    "429": status(429),
    "503": status(503),
    "503 with Retry-After": status(503, headers=b"Retry-After: 0.1\r\n"),
    "reset": reset,
    "HTML": raw(lambda _: http(b"<html>")),
}


@pytest.mark.parametrize("play", WAITS.values(), ids=WAITS.keys())
async def test_a_deadline_holds_under_every_fault_that_waits(play: Play) -> None:
    """On the system's clock: the call ends by its deadline, early if no further attempt fits in."""

    async def script(connection: Connection) -> None:
        await play(connection, await connection.request())

    policy = RetryPolicy(attempts=1000, outage_wait=0)
    async with fault_server(script) as server, VinixClient(auth="t", base_url=server.url, retry=policy) as client:
        begun = time.monotonic()
        with pytest.raises(VinixError):
            await client.with_options(deadline=0.2).callflows.list(ACCOUNT)
        assert time.monotonic() - begun < 10  # the bound is the deadline's; this one only catches a hang
