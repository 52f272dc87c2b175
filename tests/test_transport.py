"""The transport against raw sockets: a response is complete or an error of ours, and each costs one request."""

import asyncio
import contextlib
import gzip
import inspect
import socket
import ssl
import traceback
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import aiohttp.http_exceptions
import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from fault_server import Connection, Script, fault_server

from vinix_async import (
    APIConnectionError,
    APITimeoutError,
    ClientClosedError,
    ConfigurationError,
    Limits,
    VinixError,
    __version__,
)
from vinix_async._config import check_timeout
from vinix_async._http import response_body as body_module
from vinix_async._http import transport as transport_module
from vinix_async._http.request import Request, get, headers_for, login
from vinix_async._http.transport import Response, Transport, translate

REQUEST = get("accounts", "a", "callflows", account_id="a")


def transport(url: str, **options: Any) -> Transport:
    limits = {name: options.pop(name) for name in ("max_connections", "keepalive", "max_body") if name in options}
    defaults: dict[str, Any] = {
        "base_url": url,
        "session": None,
        "limits": Limits(**{"max_connections": 10, "max_body": 1_000_000, **limits}),
        "ssl": None,
        "proxy": None,
        "trust_env": False,
        "allow_http": False,
    }
    return Transport(**{**defaults, **options})


@pytest.fixture(params=["own session", "borrowed session"])
async def session(request: pytest.FixtureRequest) -> AsyncIterator[aiohttp.ClientSession | None]:
    if request.param == "own session":
        yield None
        return
    async with aiohttp.ClientSession() as session:
        yield session


async def send(to: Transport, request: Request = REQUEST, timeout: Any = 5.0) -> Response:
    headers = headers_for(request, "r1", "planted-token")
    to.open()
    return await to.send(request.method, request.target, headers, request.body, timeout)


def put(endpoint: str, data: dict[str, str]) -> Request:
    return login(endpoint, data, login_as="ann")


def reply(body: bytes = b"{}", *lines: bytes, status: bytes = b"200 OK", length: int | None = None) -> bytes:
    size = str(len(body) if length is None else length).encode()
    return b"\r\n".join((b"HTTP/1.1 " + status, b"Content-Length: " + size, *lines, b"", body))


def answering(data: bytes, *, then_wait: bool = False) -> Script:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(data)
        if then_wait:
            await connection.peer_closes()

    return script


async def test_a_reply_and_what_was_sent() -> None:
    async with fault_server(answering(reply(b'{"a":1}', b"X-Thing: one", b"X-Thing: two"))) as server:
        to = transport(server.url + "/")
        response = await send(to, put("user_auth", {"a": "b"}))
        await to.close()
    assert (response.status, response.body) == (200, b'{"a":1}')
    assert response.headers["x-thing"] == "one"
    head = server.heads[0].decode()
    assert head.startswith("PUT /v2/user_auth HTTP/1.1\r\n")
    for line in (
        "Accept: application/json",
        "Accept-Encoding: gzip",
        "X-Request-ID: r1",
        "X-Auth-Token: planted-token",
        "Content-Type: application/json",
        f"User-Agent: vinix-async/{__version__}",
    ):
        assert f"\r\n{line}\r\n" in head
    assert "Cookie" not in head
    assert "Authorization" not in head


async def test_a_tracer_of_all_sessions_traces_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telemetry tools add a trace configuration to every session that is created."""
    heard: list[str] = []
    tracing = aiohttp.TraceConfig()

    async def on_request_end(_: object, __: object, end: aiohttp.TraceRequestEndParams) -> None:
        heard.append(f"{end.method} {end.response.status}")

    tracing.on_request_end.append(on_request_end)
    make = aiohttp.ClientSession.__init__
    monkeypatch.setattr(
        aiohttp.ClientSession, "__init__", lambda *args, **options: make(*args, trace_configs=[tracing], **options)
    )
    async with fault_server(answering(reply(b"[1]"))) as server:
        to = transport(server.url)
        assert (await send(to)).body == b"[1]"
        await to.close()
    assert heard == ["GET 200"]


async def test_the_target_is_sent_as_it_was_encoded() -> None:
    async with fault_server(answering(reply())) as server:
        to = transport(server.url)
        await send(to, get("a/b", "..", "%2F", "é", query={"start_key": "g20 +/&="}))
        await to.close()
    assert b"GET /v2/a%2Fb/../%252F/%C3%A9?start_key=g20%20%2B%2F%26%3D HTTP/1.1" in server.heads[0]


# --- faults --------------------------------------------------------------------------------------

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ZIPPED = gzip.compress(b'{"data": [' + b"1," * 2000 + b"1]}")
GZIP = b"Content-Encoding: gzip"
FAULTS = {
    "closed before the head": b"",
    "closed within the status line": b"HTTP/1.1 2",
    "closed within the head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "closed after the head": reply(b"", length=10),
    "half a body": reply(b'{"data"', length=100),
    "chunks without the last one": CHUNKED + b"5\r\n{}   \r\n",
    "half a chunk": CHUNKED + b"50\r\n{}",
    "a chunk's size is not a number": CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
    "a bad chunk after a good one": CHUNKED + b"2\r\n{}\r\nzz\r\n",
    "a chunk longer than it says": CHUNKED + b"2\r\n{}{}{}\r\n0\r\n\r\n",
    "gzip without its end": reply(ZIPPED[:-10], GZIP),
    "gzip with a wrong checksum": reply(ZIPPED[:-8] + b"\0" * 8, GZIP),
    "not gzip, although the header says so": reply(b'{"data": []}', GZIP),
    "gzip followed by other bytes": reply(ZIPPED + b"more", GZIP),
    "not HTTP": b"220 mail.example.com ESMTP\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a header without end": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000,
}


@pytest.mark.parametrize("data", FAULTS.values(), ids=FAULTS.keys())
async def test_an_incomplete_response_is_a_transient_error(data: bytes, session: aiohttp.ClientSession | None) -> None:
    async with fault_server(answering(data)) as server:
        to = transport(server.url, session=session)
        with pytest.raises(APIConnectionError) as caught:
            await send(to)
        await to.close()
    assert caught.value.transient
    assert not isinstance(caught.value, APITimeoutError)
    assert len(server.heads) == 1


async def test_a_reset_in_every_place(session: aiohttp.ClientSession | None) -> None:
    for data in (None, b"", b"HTTP/1.1 200 OK\r\n", reply(b"{", length=100)):

        async def script(connection: Connection, data: bytes | None = data) -> None:
            if data is not None:
                await connection.request()
                await connection.send(data)
                await asyncio.sleep(0.01)
            connection.reset()

        async with fault_server(script) as server:
            to = transport(server.url, session=session)
            with pytest.raises(APIConnectionError) as caught:
                await send(to)
            await to.close()
        assert caught.value.transient


@pytest.mark.parametrize("bad", [b"zz\r\n", b"2\r\n{}{}\r\n", b"0\r\nno trailer\r\n\r\n"])
async def test_a_bad_chunk_that_comes_behind_the_head_is_found_when_the_connection_goes(
    bad: bytes, session: aiohttp.ClientSession | None
) -> None:
    """aiohttp's parser then leaves its reader asleep until the timeout, whatever the connection does."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(CHUNKED)
        await asyncio.sleep(0.02)
        await connection.send(b"2\r\n{}\r\n")
        await asyncio.sleep(0.02)
        await connection.send(bad)

    async with fault_server(script) as server:
        to = transport(server.url, session=session)
        with pytest.raises(APIConnectionError) as caught:
            await send(to)
        await to.close()
    assert caught.value.transient
    assert not isinstance(caught.value, APITimeoutError)


async def test_idle_connections_are_not_kept_longer_than_told() -> None:
    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.send(reply())

    async with fault_server(script) as server:
        for keepalive, connections in ((4.0, 1), (0.01, 3)):
            to = transport(server.url, keepalive=keepalive)
            await send(to)
            await asyncio.sleep(0.03)
            await send(to)
            await to.close()
            assert server.connections == connections


async def test_a_bad_chunk_on_a_connection_that_stays_open_is_found_by_the_timeout(
    session: aiohttp.ClientSession | None,
) -> None:
    async with fault_server(answering(CHUNKED + b"2\r\n{}\r\n", then_wait=True)) as server:
        to = transport(server.url, session=session)
        with pytest.raises(APITimeoutError):
            await send(to, timeout=0.05)
        await to.close()


async def test_a_slow_drip_ends_with_the_timeout(session: aiohttp.ClientSession | None) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            await connection.send(b" ")
            await asyncio.sleep(0.01)

    async with fault_server(script) as server:
        to = transport(server.url, session=session)
        with pytest.raises(APITimeoutError):
            await send(to, timeout=0.1)
        await to.close()


async def test_each_request_has_its_own_time(session: aiohttp.ClientSession | None) -> None:
    async def script(connection: Connection) -> None:
        head = await connection.request()
        if b"callflows" in head:
            await connection.peer_closes()
        await asyncio.sleep(0.1)
        await connection.send(reply())

    async with fault_server(script) as server:
        to = transport(server.url, session=session)
        sent = (send(to, get("x"), 5.0), send(to, timeout=0.05), send(to, timeout=0.03))
        ends = await asyncio.gather(*sent, return_exceptions=True)
        await to.close()
    assert [type(end) for end in ends] == [Response, APITimeoutError, APITimeoutError]


@pytest.mark.parametrize("timeout", [0.05, aiohttp.ClientTimeout(connect=0.05), aiohttp.ClientTimeout(0.05, 5.0)])
async def test_waiting_for_a_connection_counts(timeout: Any) -> None:
    async with fault_server(answering(b"", then_wait=True)) as server:
        to = transport(server.url, max_connections=1)
        first = asyncio.create_task(send(to))
        while not server.heads:
            await asyncio.sleep(0)
        with pytest.raises(APITimeoutError):
            await send(to, timeout=timeout)
        first.cancel()
        await asyncio.wait({first})
        await to.close()
    assert len(server.heads) == 1


async def test_replies_before_the_reply_are_passed_over(session: aiohttp.ClientSession | None) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"
    async with fault_server(answering(early + reply(b"[1]"))) as server:
        to = transport(server.url, session=session)
        response = await send(to)
        await to.close()
    assert (response.status, response.body) == (200, b"[1]")


async def test_switching_protocols_is_a_response_like_others(session: aiohttp.ClientSession | None) -> None:
    switching = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    async with fault_server(answering(switching)) as server:
        to = transport(server.url, session=session)
        assert (await send(to)).status == 101
        await to.close()


async def test_a_quiet_connection_that_lives_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, session: aiohttp.ClientSession | None
) -> None:
    monkeypatch.setattr(body_module, "_QUIET", 0.01)

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{")
        await asyncio.sleep(0.05)
        await connection.send(b"}")

    async with fault_server(script) as server:
        to = transport(server.url, session=session)
        assert (await send(to)).body == b"{}"
        await to.close()


CLOSING = SimpleNamespace(is_closing=lambda: True)


@pytest.mark.parametrize("state", [None, SimpleNamespace(transport=None), SimpleNamespace(transport=CLOSING)])
async def test_a_quiet_connection_that_is_gone_is_given_up(monkeypatch: pytest.MonkeyPatch, state: Any) -> None:
    monkeypatch.setattr(body_module, "_QUIET", 0.01)
    asleep: Any = SimpleNamespace(at_eof=lambda: False, read_nowait=lambda: b"", readany=asyncio.Event().wait)
    with pytest.raises(body_module.BrokenConnectionError):
        await asyncio.wait_for(body_module.read_body(asleep, state, {}, 1000), 5)


async def test_cookies_are_not_kept() -> None:
    """The server has a name here, because no cookie jar keeps the cookies of an IP address."""

    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.send(reply(b"{}", b"Set-Cookie: a=b; Path=/"))

    async with fault_server(script) as server:
        to = transport(server.url.replace("127.0.0.1", "localhost"))
        await send(to)
        await send(to)
        await to.close()
    assert len(server.heads) == 2
    assert b"ookie" not in server.heads[1]


async def test_the_pool_has_at_most_max_connections() -> None:
    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.send(reply())

    for most in (1, 3):
        async with fault_server(script) as server:
            to = transport(server.url, max_connections=most)
            await asyncio.gather(*(send(to) for _ in range(12)))
            await to.close()
        assert server.connections == most


async def test_a_proxy_that_refuses_is_named_as_such() -> None:
    to = transport("https://api.example.com/v2", proxy="http://127.0.0.1:9")
    with pytest.raises(APIConnectionError, match="cannot connect to the proxy") as caught:
        await send(to)
    assert caught.value.transient
    await to.close()


TIMEOUT = aiohttp.ClientTimeout(30)


@pytest.mark.parametrize(("errno", "transient"), [(socket.EAI_NONAME, False), (socket.EAI_AGAIN, True)])
def test_only_a_temporary_failure_to_resolve_a_name_is_retried(errno: int, transient: bool) -> None:  # noqa: FBT001  # as the field is
    key: Any = SimpleNamespace(host="api.example.com", port=443, is_ssl=True)
    fault = socket.gaierror(errno, "Name or service not known")
    ours = translate(aiohttp.ClientConnectorDNSError(key, fault), "api.example.com", TIMEOUT)
    assert isinstance(ours, APIConnectionError)
    assert ours.transient is transient
    assert not ours.server_away
    words = f"the host name of api.example.com cannot be resolved: [Errno {int(errno)}] Name or service not known"
    assert str(ours) == words


@pytest.mark.parametrize("end", ["closed", "reset"])
@pytest.mark.parametrize("request_", [get("x"), put("x", {})], ids=["GET", "PUT"])
async def test_a_request_is_sent_once_even_if_its_kept_connection_drops(
    request_: Request, end: str, session: aiohttp.ClientSession | None
) -> None:
    """aiohttp would send a GET or PUT again on a connection that drops, fresh or kept alive."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(reply())
        await connection.request()  # and no answer to the second one
        if end == "reset":
            connection.reset()

    async with fault_server(script) as server:
        to = transport(server.url, session=session)
        await send(to, request_)
        with pytest.raises(APIConnectionError):
            await send(to, request_)
        assert len(server.heads) == 2
        assert server.connections == 1
        await to.close()


async def test_a_connection_that_is_gone_before_it_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = aiohttp.TCPConnector.connect

    async def connect_and_lose(*args: Any, **options: Any) -> Any:
        connection = await connect(*args, **options)
        assert connection.protocol is not None
        connection.protocol.abort()
        return connection

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", connect_and_lose)
    async with fault_server(answering(reply())) as server:
        to = transport(server.url)
        with pytest.raises(APIConnectionError, match="broke before the response was complete") as caught:
            await send(to)
        await to.close()
    assert caught.value.transient
    assert server.heads == []


async def test_connections_are_kept_and_one_that_was_closed_idle_is_noticed() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(reply())

    async with fault_server(script) as server:
        to = transport(server.url)
        for _ in range(5):
            with contextlib.suppress(APIConnectionError):
                await send(to)
        assert len(server.heads) <= 5
        await to.close()


async def test_redirects_are_returned_not_followed(session: aiohttp.ClientSession | None) -> None:
    data = reply(b"", b"Location: https://elsewhere.example.com/", status=b"302 Found")
    async with fault_server(answering(data)) as server:
        to = transport(server.url, session=session)
        response = await send(to)
        await to.close()
    assert (response.status, response.headers["location"]) == (302, "https://elsewhere.example.com/")
    assert len(server.heads) == 1


# --- bodies --------------------------------------------------------------------------------------


async def body_of(data: bytes, **options: Any) -> bytes:
    async with fault_server(answering(data)) as server:
        to = transport(server.url, **options)
        try:
            body = (await send(to)).body
        finally:
            await to.close()
    assert isinstance(body, bytes)
    return body


async def test_gzip_is_undone() -> None:
    plain = b'{"data": "' + b"x" * 600_000 + b'"}'
    assert await body_of(reply(gzip.compress(plain), GZIP)) == plain
    assert await body_of(reply(gzip.compress(b"{}"), b"Content-Encoding: X-GZip")) == b"{}"
    assert await body_of(reply(b"", GZIP)) == b""


@pytest.mark.parametrize("header", [b"Content-Encoding: identity", b"Content-Encoding:"])
async def test_no_encoding_may_be_said_aloud(header: bytes) -> None:
    assert await body_of(reply(b"{}", header)) == b"{}"


async def test_other_encodings_are_refused() -> None:
    with pytest.raises(APIConnectionError, match="not requested") as caught:
        await body_of(reply(zlib.compress(b"{}"), b"Content-Encoding: deflate"))
    assert not caught.value.transient


async def test_bodies_are_bounded_before_and_after_decompression() -> None:
    assert len(await body_of(reply(b" " * 1000), max_body=1000)) == 1000
    bomb = gzip.compress(b"\0" * 1001)
    for data in (reply(b" " * 1001), CHUNKED + b"3e9\r\n" + b" " * 1001 + b"\r\n0\r\n\r\n", reply(bomb, GZIP)):
        with pytest.raises(APIConnectionError, match="max_body=1000") as caught:
            await body_of(data, max_body=1000)
        assert not caught.value.transient


async def test_a_bomb_is_not_unpacked_to_be_measured() -> None:
    bomb = reply(gzip.compress(b"\0" * 50_000_000), GZIP)
    tracemalloc.start()
    try:
        with pytest.raises(APIConnectionError, match="max_body"):
            await body_of(bomb)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


async def test_headers_of_some_length_are_taken() -> None:
    assert await body_of(reply(b"{}", b"X: " + b"y" * 16_000)) == b"{}"
    assert await body_of(reply(b"{}", status=b"200 " + b"y" * 16_000)) == b"{}"


# --- TLS -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@contextlib.asynccontextmanager
async def tls_server(certificate: trustme.LeafCert) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    app = web.Application()
    app.router.add_get("/{path:.*}", _json)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    try:
        yield f"https://127.0.0.1:{server.port}/v2"
    finally:
        await server.close()


async def _json(_: web.Request) -> web.Response:
    return web.json_response({})


async def test_tls_with_an_authority_of_one_s_own(authority: trustme.CA) -> None:
    async with tls_server(authority.issue_cert("127.0.0.1")) as url:
        to = transport(url, ssl=trusting(authority))
        assert (await send(to)).status == 200
        await to.close()


@pytest.mark.parametrize("case", ["unknown authority", "wrong name", "expired"])
async def test_certificates_are_verified(authority: trustme.CA, case: str) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = {
        "unknown authority": lambda: trustme.CA().issue_cert("127.0.0.1"),
        "wrong name": lambda: authority.issue_cert("api.example.com"),
        "expired": lambda: authority.issue_cert("127.0.0.1", not_before=past, not_after=past.replace(month=2)),
    }[case]()
    async with tls_server(certificate) as url:
        to = transport(url, ssl=trusting(authority))
        with pytest.raises(APIConnectionError, match="certificate") as caught:
            await send(to)
        await to.close()
    assert not caught.value.transient


async def test_certificates_are_verified_whatever_the_session_does() -> None:
    async with (
        tls_server(trustme.CA().issue_cert("127.0.0.1")) as url,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session,
    ):
        with pytest.raises(APIConnectionError, match="certificate"):
            await send(transport(url, session=session))


async def test_clients_of_one_session_share_its_tls_connections(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    transport_module._verifying_context.cache_clear()  # it was perhaps created before, without this authority
    request.addfinalizer(transport_module._verifying_context.cache_clear)
    created: list[int] = []

    async def on_created(*_: Any) -> None:
        created.append(1)

    tracer = aiohttp.TraceConfig()
    tracer.on_connection_create_end.append(on_created)
    async with (
        tls_server(authority.issue_cert("127.0.0.1")) as url,
        aiohttp.ClientSession(trace_configs=[tracer]) as session,
    ):
        for _ in range(3):
            to = transport(url, session=session)
            assert (await send(to)).status == 200
            await to.close()
    assert len(created) == 1


async def test_https_to_a_plain_port_says_so() -> None:
    async def script(connection: Connection) -> None:
        await connection.send(reply())

    async with fault_server(script) as server:
        to = transport(server.url.replace("http:", "https:"))
        with pytest.raises(APIConnectionError, match="TLS") as caught:
            await send(to)
        await to.close()
    assert not caught.value.transient


# --- lifetime ------------------------------------------------------------------------------------


async def test_after_close_nothing_is_sent() -> None:
    to = transport("http://127.0.0.1:9/v2")
    await to.close()
    await to.close()
    with pytest.raises(ClientClosedError):
        await send(to)


async def test_another_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fault_server(answering(reply())) as server:
        to = transport(server.url)
        await send(to)
        monkeypatch.setattr("os.getpid", lambda: -1)
        with pytest.raises(ClientClosedError, match="process"):
            await send(to)
        monkeypatch.undo()
        await to.close()


async def test_a_borrowed_session_is_used_and_left_alone() -> None:
    """Its own settings for decompression, redirects and errors do not count."""
    data = reply(ZIPPED[:-10], GZIP)
    async with fault_server(answering(data)) as server, aiohttp.ClientSession(raise_for_status=False) as session:
        to = transport(server.url, session=session)
        with pytest.raises(APIConnectionError, match="truncated"):
            await send(to)
        await to.close()
        assert not session.closed


async def test_a_borrowed_session_that_was_closed_says_so() -> None:
    session = aiohttp.ClientSession()
    await session.close()
    to = transport("http://127.0.0.1:9/v2", session=session)
    with pytest.raises(ClientClosedError):
        await send(to)


@pytest.mark.parametrize("header", ["planted\r\nX: y", 7])
async def test_a_session_whose_headers_cannot_be_sent_says_so(header: Any) -> None:
    async with (
        fault_server(answering(reply())) as server,
        aiohttp.ClientSession(headers={"X-Thing": header}) as session,
    ):
        to = transport(server.url, session=session)
        with pytest.raises(ConfigurationError, match="headers of the session") as caught:
            await send(to)
        await to.close()
    assert "planted" not in str(caught.value)
    assert not server.heads


@pytest.mark.parametrize("user", ["plan%3Ated", "planted%E2%82%AC"], ids=["a colon", "not Latin-1"])
async def test_a_proxy_whose_user_cannot_be_sent_says_so(user: str) -> None:
    to = transport("http://api.example.com/v2", allow_http=True, proxy=f"http://{user}:pw@127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="user name and password of the proxy") as caught:
        await send(to)
    await to.close()
    assert "plan" not in str(caught.value)


async def test_cancelled_at_every_step_nothing_is_left() -> None:
    """Cancel a request after 1, 2, 3, ... turns of the loop, until it is done."""

    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{")
            await asyncio.sleep(0)
            await connection.send(b"   ")
            await connection.send(b"}"[:0])

    async with fault_server(script) as server:
        for steps in range(200):
            to = transport(server.url)
            task = asyncio.create_task(send(to))
            for _ in range(steps):
                await asyncio.sleep(0)
            finished = task.done()
            task.cancel()
            if finished:
                assert (await task).body == b"{   "
            else:
                with pytest.raises(asyncio.CancelledError):
                    await task
            session = to._session
            if session is not None:
                assert isinstance(session.connector, aiohttp.TCPConnector)
                assert not session.connector._acquired
            await to.close()
            if finished:
                break
        assert finished
        assert steps > 3


SECRET_BODY = gzip.compress(b'{"auth_token": "planted-token"}' * 100)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        reply(SECRET_BODY[:-8], GZIP),
        reply(SECRET_BODY + b"x", GZIP),
        reply(b'{"auth_token": "planted-token"', length=99),
    ],
)
async def test_no_traceback_holds_the_token_or_the_body(data: bytes) -> None:
    async with fault_server(answering(data)) as server:
        to = transport(server.url)
        with pytest.raises(APIConnectionError) as caught:
            await send(to)
        await to.close()
    error = caught.value
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if "vinix_async" in frame.f_code.co_filename]
    assert frames
    for frame in frames:
        assert "planted-token" not in repr(frame.f_locals)
    assert error.__cause__ is None
    assert error.__context__ is None


async def test_the_cause_is_made_anew() -> None:
    to = transport("http://127.0.0.1:9/v2")
    with pytest.raises(APIConnectionError) as caught:
        await send(to)
    await to.close()
    assert type(caught.value.__cause__) is ConnectionRefusedError
    assert caught.value.__cause__.__traceback__ is None
    assert caught.value.__context__ is None


# --- the table of errors ---------------------------------------------------------------------------


KEY: Any = SimpleNamespace(host="planted", port=443, is_ssl=True, ssl=True)
FAULT = OSError(113, "planted")
REQUEST_INFO: Any = SimpleNamespace(real_url="planted", url="planted", method="GET", headers={})
CONSTRUCTED: dict[type[Exception], tuple[Any, ...]] = {
    aiohttp.ClientConnectorError: (KEY, FAULT),
    aiohttp.ClientConnectorDNSError: (KEY, FAULT),
    aiohttp.ClientConnectorSSLError: (KEY, FAULT),
    aiohttp.ClientProxyConnectionError: (KEY, FAULT),
    aiohttp.ClientSSLError: (KEY, FAULT),
    aiohttp.ClientConnectorCertificateError: (KEY, ssl.SSLCertVerificationError(1, "planted")),
    aiohttp.client_exceptions.UnixClientConnectorError: ("/planted", KEY, FAULT),
    aiohttp.ClientHttpProxyError: (REQUEST_INFO, ()),
}


def every_exception() -> Iterator[Exception]:
    """Yield one of each exception class of aiohttp and the system, without arguments where none are needed here."""
    for module in (aiohttp, aiohttp.client_exceptions, aiohttp.http_exceptions):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            web_socket = kind.__name__ in {"WSMessageTypeError", "WebSocketError", "EofStream"}
            if issubclass(kind, Exception) and not issubclass(kind, Warning) and not web_socket:
                yield kind(*CONSTRUCTED[kind]) if kind in CONSTRUCTED else kind.__new__(kind)
    yield from (OSError(), ssl.SSLError(), ssl.SSLCertVerificationError(), ValueError(), TimeoutError())
    yield from (RuntimeError("planted"), zlib.error(), LookupError("planted"), ConnectionResetError(104, "planted"))


@pytest.mark.parametrize("error", list(every_exception()), ids=lambda error: type(error).__name__)
def test_every_error_of_aiohttp_becomes_one_of_ours(error: Exception) -> None:
    ours = translate(error, "host:1", TIMEOUT)
    assert isinstance(ours, VinixError)
    assert "planted" not in str(ours)
    assert "failed with" not in str(ours) or isinstance(error, LookupError | RuntimeError)


@pytest.mark.parametrize("timeout", [0, -1, True, "30", None, float("inf"), float("nan")])
def test_bad_timeouts_are_refused(timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match="timeout"):
        check_timeout(timeout)


async def test_a_client_timeout_of_aiohttp_is_accepted(session: aiohttp.ClientSession | None) -> None:
    timeout = aiohttp.ClientTimeout(sock_read=0.05)
    check_timeout(timeout)
    async with fault_server(answering(b"", then_wait=True)) as server:
        to = transport(server.url, session=session)
        with pytest.raises(APITimeoutError):
            await send(to, timeout=timeout)
        await to.close()


async def test_a_timeout_while_the_body_is_read(session: aiohttp.ClientSession | None) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"
    async with fault_server(answering(head, then_wait=True)) as server:
        to = transport(server.url, session=session)
        with pytest.raises(APITimeoutError):
            await send(to, timeout=aiohttp.ClientTimeout(sock_read=0.05))
        await to.close()


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("", "https://"),
        ("api.example.com/v2", "https://"),
        ("ftp://api.example.com/v2", "https://"),
        ("https://", "https://"),
        ("https://api.example.com:99999/v2", "https://"),
        ("https://[::1/v2", "https://"),
        ("https://[::1]8080/v2", "https://"),
        ("https://[::1]ä/v2", "https://"),
        ("https://api..example.com/v2", "https://"),
        (f"https://{'a' * 64}.example.com/v2", "https://"),
        ("https://ann:planted@api.example.com/v2", "auth="),
        ("https://api.example.com/v2?x=1", "query string or a fragment"),
        ("https://api.example.com/v2#x", "query string or a fragment"),
        ("https://api.example.com/v2?", "query string or a fragment"),
        ("https://api.example.com/v2#", "query string or a fragment"),
        ("https://api.example.com/v2 x", "spaces"),
        ("https://api.example.com/v2\x7f", "control characters"),
        ("https://api.example.com/v2\u202e", "control characters"),
        ("http://api.example.com/v2", "allow_http"),
        ("http://192.168.0.1/v2", "allow_http"),
        (7, "str"),
    ],
)
def test_bad_addresses_are_refused(url: Any, word: str) -> None:
    with pytest.raises(ConfigurationError, match=word) as caught:
        transport(url)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:1/v2",
        "http://127.8.8.8/v2",
        "http://[::1]:1/v2",
        "https://a.b/",
        "https://exämple.com",
        "https://a_b.c",
    ],
)
def test_good_addresses_are_accepted(url: str) -> None:
    assert transport(url).base_url == url.rstrip("/")
    assert transport("http://api.example.com/v2", allow_http=True).base_url == "http://api.example.com/v2"


def test_tls_cannot_be_turned_off() -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    with pytest.raises(ConfigurationError, match="must verify"):
        transport("https://a.b/v2", ssl=context)
    with pytest.raises(ConfigurationError, match="SSLContext"):
        transport("https://a.b/v2", ssl=False)


def test_proxies_are_checked_and_never_shown() -> None:
    for proxy in ("proxy:80", "socks5://planted@proxy:80", 7):
        with pytest.raises(ConfigurationError, match="proxy") as caught:
            transport("https://a.b/v2", proxy=proxy)
        assert "planted" not in str(caught.value)


async def test_requests_go_through_the_proxy() -> None:
    async with fault_server(answering(reply())) as server:
        to = transport("http://api.example.com/v2", allow_http=True, proxy=server.url)
        assert (await send(to)).status == 200
        await to.close()
    assert server.heads[0].startswith(b"GET http://api.example.com/v2/accounts/a/callflows HTTP/1.1")


async def test_an_address_with_other_letters_is_sent_in_ascii() -> None:
    async with fault_server(answering(reply())) as server:
        to = transport("http://exämple.com/ä/v2", allow_http=True, proxy=server.url)
        assert (await send(to)).status == 200
        await to.close()
    assert server.heads[0].startswith(b"GET http://xn--exmple-cua.com/%C3%A4/v2/accounts/a/callflows HTTP/1.1")
    assert b"\r\nHost: xn--exmple-cua.com\r\n" in server.heads[0]


async def test_the_proxy_of_the_environment_is_used_only_with_trust_env(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine api.example.com login ann password planted-password\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with fault_server(answering(reply())) as server:
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.setenv("no_proxy", "internal.example.com,other.example.com:8000,::1")
        to = transport("http://api.example.com/v2", allow_http=True, trust_env=True)
        assert (await send(to)).status == 200
        await to.close()
        assert transport("http://api.example.com/v2", allow_http=True)._proxy is None
        for host in ("internal.example.com", "other.example.com:8000", "[::1]", "[::1]:8000"):
            assert transport(f"http://{host}/v2", allow_http=True, trust_env=True)._proxy is None
        for host in ("other.example.com", "other.example.com:8001"):
            assert transport(f"http://{host}/v2", allow_http=True, trust_env=True)._proxy == server.url
    assert b"uthorization" not in server.heads[0]
