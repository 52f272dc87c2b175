"""Inputs that once failed: statuses, bodies, addresses, credentials, and what errors say about them."""

import asyncio
import gzip
import json
import logging
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from fake_clock import FakeClock
from fault_server import Connection, Script, fault_server
from free_port import closed_port
from scripted import Scripted, failure, success

from vinix_async import (
    APIConnectionError,
    ApiKeyAuth,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    DecodeError,
    NotFoundError,
    PaginationLoopError,
    PermissionDeniedError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    TokenAuth,
    UserAuth,
    VinixClient,
    VinixError,
)

ACCOUNT = "a" * 32
KEY = "k" * 64
NO_OUTAGES = RetryPolicy(outage_wait=0)
"""Five attempts, and no waiting for the end of an outage."""


def client_of(url: str, **options: Any) -> VinixClient:
    defaults: dict[str, Any] = {"auth": "a-token", "base_url": url, "clock": FakeClock(), "retry": NO_OUTAGES}
    return VinixClient(**{**defaults, **options})


def answering(data: bytes) -> Script:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(data)

    return script


def plain(body: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *lines, b"", body))


async def error_of(url: str, kind: type[VinixError], **options: Any) -> Any:
    async with client_of(url, **options) as client:
        with pytest.raises(kind) as caught:
            await client.callflows.list(ACCOUNT)
    return caught.value


# --- L1: a borrowed session's own switches -------------------------------------------------------


async def refuse(response: aiohttp.ClientResponse) -> None:
    response.raise_for_status()


async def raising(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    response = await handler(request)
    response.raise_for_status()
    return response


SWITCHES: dict[str, Callable[[], dict[str, Any]]] = {
    "raise_for_status=True": lambda: {"raise_for_status": True},
    "raise_for_status=function": lambda: {"raise_for_status": refuse},
    "a middleware that raises": lambda: {"middlewares": (raising,)},
    "default headers": lambda: {"headers": {"Accept": "text/csv", "X-Auth-Token": "other", "X-Request-ID": "other"}},
    "no decompression": lambda: {"auto_decompress": False},
    "a base URL": lambda: {"base_url": "http://127.0.0.1:9/other/"},
    "a timeout": lambda: {"timeout": aiohttp.ClientTimeout(1e-6)},
}


@pytest.mark.parametrize("switch", SWITCHES.values(), ids=SWITCHES.keys())
@pytest.mark.parametrize(
    ("status", "kind", "requests"),
    [
        (404, NotFoundError, 1),
        (401, AuthenticationError, 1),
        (403, PermissionDeniedError, 1),
        (409, ConflictError, 1),
        (429, RateLimitError, 5),
        (500, ServerError, 5),
        (302, APIStatusError, 1),
        (200, None, 1),
    ],
)
async def test_L1_switches_of_a_borrowed_session_decide_nothing(
    server: Scripted, switch: Any, status: int, kind: type[APIStatusError] | None, requests: int
) -> None:
    server.otherwise = lambda request: success(request) if status == 200 else failure(request, status)
    async with aiohttp.ClientSession(**switch()) as session, client_of(server.url, session=session) as client:
        if kind is None:
            await client.callflows.list(ACCOUNT)
        else:
            with pytest.raises(kind) as caught:
                await client.callflows.list(ACCOUNT)
            assert type(caught.value) is kind
            assert (caught.value.status, caught.value.attempts) == (status, requests)
    assert len(server.requests) == requests
    for request in server.requests:
        assert request.headers["X-Auth-Token"] == "a-token"
        assert request.headers["Accept"] == "application/json"
        assert len(request.headers["X-Request-ID"]) == 32


async def test_L1_the_retry_after_is_obeyed_over_a_borrowed_session(server: Scripted) -> None:
    limited = web.Response(status=429, headers={"Retry-After": "7"})
    server.script = [limited]
    clock = FakeClock()
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        client_of(server.url, session=session, clock=clock) as client,
    ):
        await client.callflows.list(ACCOUNT)
    assert clock.slept >= 7


# --- L2: request ids of gateways -----------------------------------------------------------------


def with_ids(body: Callable[[str], str | None], header: Callable[[str], str | None]) -> Any:
    def answer(request: web.Request) -> web.Response:
        sent = request.headers["X-Request-ID"]
        envelope: dict[str, Any] = {"data": [{"id": "1"}], "status": "success", "request_id": body(sent)}
        headers = {"X-Request-ID": value} if (value := header(sent)) else {}
        return web.json_response(envelope, headers=headers)

    return answer


NUMBERS = iter(range(1_000_000))
IDS: dict[str, Callable[[str], str | None]] = {
    "none": lambda _: None,
    "another each time": lambda _: f"envoy-{next(NUMBERS)}",
    "an old one": lambda _: "0" * 32,
    "in upper case": str.upper,
    "the same": str,
}


@pytest.mark.parametrize("header", IDS.values(), ids=IDS.keys())
@pytest.mark.parametrize("body", IDS.values(), ids=IDS.keys())
async def test_L2_gateways_with_ids_of_their_own_are_accepted(server: Scripted, body: Any, header: Any) -> None:
    server.otherwise = with_ids(body, header)
    async with client_of(server.url) as client:
        for _ in range(2):
            assert [each.id for each in await client.callflows.list(ACCOUNT).to_list()] == ["1"]
    assert len(server.requests) == 2


@pytest.mark.parametrize("where", ["header", "body"])
async def test_L2_after_an_echo_the_response_to_another_request_is_refused(server: Scripted, where: str) -> None:
    none, same, other = IDS["none"], IDS["the same"], IDS["an old one"]
    echo = with_ids(same, none) if where == "body" else with_ids(none, same)
    server.script = [echo, with_ids(other, other), echo, with_ids(none, none)]
    server.otherwise = echo
    async with client_of(server.url) as client:
        for _ in range(3):
            await client.callflows.list(ACCOUNT)
    assert len(server.requests) == 5


async def test_L2_an_echo_in_upper_case_is_an_echo(server: Scripted) -> None:
    none, upper = IDS["none"], IDS["in upper case"]
    server.script = [with_ids(IDS["the same"], none), with_ids(upper, none), with_ids(none, upper)]
    async with client_of(server.url) as client:
        for _ in range(3):
            await client.callflows.list(ACCOUNT)
    assert len(server.requests) == 3


# --- L8, L9: which request, and why it was the last ----------------------------------------------


async def test_L8_a_404_names_the_request(server: Scripted) -> None:
    server.otherwise = lambda request: failure(request, 404, "bad identifier")
    async with client_of(server.url) as client:
        with pytest.raises(NotFoundError) as caught:
            await client.callflows.get(ACCOUNT, "nosuch")
    text = str(caught.value)
    assert text.startswith(f"404 bad_identifier - bad identifier [GET /accounts/{ACCOUNT}/callflows/nosuch] (")
    assert (caught.value.account_id, caught.value.callflow_id) == (ACCOUNT, "nosuch")


def status(code: int, **headers: str) -> web.Response:
    return web.Response(status=code, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("response", "policy", "gave_up"),
    [
        (
            status(429, Retry_After="3600"),
            NO_OUTAGES,
            "the server asked to wait 3600 s, but RetryPolicy.retry_after_max is 60",
        ),
        (
            status(503, Retry_After="9" * 200),
            NO_OUTAGES,
            "the server asked to wait 1000000000 s, but RetryPolicy.retry_after_max is 60",
        ),
        (
            status(429, retry_after_ms="61000"),
            NO_OUTAGES,
            "the server asked to wait 61 s, but RetryPolicy.retry_after_max is 60",
        ),
        (status(503), NO_OUTAGES, "no attempt is left (RetryPolicy.attempts)"),
        (status(429), RetryPolicy(attempts=1), "no attempt is left (RetryPolicy.attempts)"),
        (status(404), NO_OUTAGES, "a 404 is not retried"),
        (status(501), NO_OUTAGES, "a 501 is not retried"),
        (status(401), NO_OUTAGES, "refused credentials are not retried"),
        (web.json_response({"data": {}}), NO_OUTAGES, "a retry would get the same response"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_L9_an_error_says_why_it_was_the_last(
    server: Scripted, response: web.Response, policy: RetryPolicy, gave_up: str
) -> None:
    server.otherwise = response
    async with client_of(server.url, retry=policy) as client:
        with pytest.raises(VinixError) as caught:
            await client.callflows.get(ACCOUNT, "c")
    assert caught.value.gave_up == gave_up
    assert f"; {gave_up};" in str(caught.value)
    assert f"(attempt {len(server.requests)}" in str(caught.value)


# --- L10: the system's own words -----------------------------------------------------------------


async def test_L10_a_refused_connection() -> None:
    with closed_port() as port:
        error = await error_of(f"http://127.0.0.1:{port}/v2", APIConnectionError)
    assert str(error).startswith(f"cannot connect to 127.0.0.1:{port}: [Errno 111] Connection refused [GET /accounts/")
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert error.server_away


@pytest.mark.parametrize(
    ("errno", "words"), [(113, "No route to host"), (101, "Network is unreachable"), (110, "Connection timed out")]
)
async def test_L10_an_unreachable_host(monkeypatch: pytest.MonkeyPatch, errno: int, words: str) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise OSError(errno, "planted")

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", fail)
    error = await error_of("http://127.0.0.1:9/v2", APIConnectionError)
    assert str(error).startswith(f"cannot connect to 127.0.0.1:9: [Errno {errno}] {words} [GET /accounts/")
    assert (error.__cause__.errno, error.__cause__.strerror) == (errno, words)


async def test_L10_a_reset() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        connection.reset()

    async with fault_server(script) as server:
        error = await error_of(server.url, APIConnectionError)
    assert "broke before the response was complete: [Errno 104] Connection reset by peer" in str(error)
    assert isinstance(error.__cause__, ConnectionResetError)


async def test_L10_a_connection_that_was_closed() -> None:
    async with fault_server(answering(b"")) as server:
        error = await error_of(server.url, APIConnectionError)
    assert "broke before the response was complete [GET" in str(error)
    assert error.__cause__ is None


@pytest.mark.parametrize(
    ("issued_to", "trusted", "words"),
    [
        ("127.0.0.1", False, "unable to get local issuer certificate"),
        ("api.example.com", True, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    ],
)
async def test_L10_faults_of_certificates_are_told_apart(issued_to: str, trusted: bool, words: str) -> None:  # noqa: FBT001  # a parameter of the test
    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(issued_to).configure_cert(theirs)
    if trusted:
        authority.configure_trust(ours)
    server = TestServer(web.Application(), scheme="https")
    await server.start_server(ssl=theirs)
    port = server.port
    try:
        error = await error_of(f"https://127.0.0.1:{port}/v2", APIConnectionError, ssl=ours)
    finally:
        await server.close()
    assert f"the certificate of 127.0.0.1:{port} cannot be verified: {words}; check the host name" in str(error)
    assert (error.attempts, error.server_away) == (1, False)


@pytest.mark.parametrize(
    ("timeout", "words"),
    [
        (0.05, "no complete response from {} within 0.05 s (timeout)"),
        (aiohttp.ClientTimeout(sock_read=0.05), "no data from {} for 0.05 s (timeout)"),
    ],
)
async def test_L10_a_timeout_says_how_long(timeout: Any, words: str) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.peer_closes()

    async with fault_server(script) as server:
        policy = RetryPolicy(attempts=1)
        error = await error_of(server.url, APITimeoutError, timeout=timeout, retry=policy)
        assert str(error).startswith(words.format(server.url.split("/")[2]))


async def test_L10_a_timeout_of_connecting_says_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object, **__: object) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", hang)
    timeout = aiohttp.ClientTimeout(sock_connect=0.05)
    error = await error_of("http://127.0.0.1:9/v2", APITimeoutError, timeout=timeout, retry=RetryPolicy(attempts=1))
    assert str(error).startswith("no connection to 127.0.0.1:9 within 0.05 s (timeout)")


# --- L11, L32: logins ----------------------------------------------------------------------------

ANN = UserAuth("ann", "planted-password", account_name="acme")


def refusing(code: int, message: str, data: Any) -> Any:
    return lambda request: failure(request, code, message, data=data)


@pytest.mark.parametrize(
    ("auth", "answer", "code", "words"),
    [
        (
            ANN,
            refusing(401, "invalid credentials", {"message": "invalid credentials"}),
            401,
            "the login as user 'ann' of account 'acme' was refused: wrong user name, password or account",
        ),
        (
            ANN,
            refusing(400, "validation error", {"account": {"disabled": {"message": "account disabled"}}}),
            400,
            "the login as user 'ann' of account 'acme' was refused: the account is disabled",
        ),
        (
            ANN,
            refusing(423, "locked", {"account": {"expired": {"message": "account expired"}}}),
            423,
            "the account is expired",
        ),
        (ANN, refusing(401, "invalid credentials", {"multi_factor_request": {}}), 401, "a second factor"),
        (ANN, refusing(403, "forbidden", {}), 403, "was refused: Forbidden"),
        (
            ApiKeyAuth(KEY),
            refusing(404, f"bad identifier {KEY}", [KEY]),
            404,
            "the login as the owner of an API key was refused: the server does not know the API key",
        ),
        (
            ApiKeyAuth(KEY),
            lambda _: web.json_response({"code": "not_found", "message": "no such key"}, status=404),
            404,
            "the server does not know the API key",
        ),
        (ApiKeyAuth(KEY), refusing(401, "invalid credentials", {}), 401, "the server does not know the API key"),
        (
            ApiKeyAuth("odd-key"),
            refusing(400, "validation error", {"api_key": {"minLength": {"message": "too short", "value": "odd-key"}}}),
            400,
            "refused: Bad Request: api_key: minLength: too short",
        ),
        (
            ApiKeyAuth(KEY),
            lambda _: web.Response(status=404),
            404,
            "there is no /api_auth at this address; check base_url",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_L11_L32_a_refused_login_says_so(server: Scripted, auth: Any, answer: Any, code: int, words: str) -> None:
    server.login = answer
    error = await error_of(server.url, AuthenticationError, auth=auth)
    assert words in str(error)
    assert (error.status, error.method, error.account_id, error.attempts) == (code, "PUT", None, 0)
    assert error.path in {"/user_auth", "/api_auth"}
    assert f"[PUT {error.path}]" in str(error)
    assert ACCOUNT not in str(error)
    assert "not sent" not in str(error)
    assert error.gave_up == "refused credentials are not retried"
    assert server.asked == []
    assert KEY not in f"{error!s}{error!r}{vars(error)}"


async def test_L11_a_refused_token_is_told_from_a_refused_login(server: Scripted) -> None:
    server.otherwise = lambda request: failure(request, 401, "invalid credentials")
    error = await error_of(server.url, AuthenticationError, auth=TokenAuth("a-token"))
    assert str(error).startswith("401 the server refused the token (invalid credentials) [GET /accounts/")
    assert error.account_id == ACCOUNT


async def test_L11_a_login_that_fails_names_the_login(server: Scripted) -> None:
    server.login = lambda request: failure(request, 503)
    error = await error_of(server.url, ServerError, auth=ApiKeyAuth(KEY))
    assert "[PUT /api_auth]" in str(error)
    assert error.account_id is None
    server.login = lambda request: success(request, {}, status=201, auth_token="")
    unusable = await error_of(server.url, DecodeError, auth=ApiKeyAuth(KEY))
    assert "its auth_token cannot be used: it is missing [PUT /api_auth]" in str(unusable) or "is empty" in str(
        unusable
    )
    assert unusable.account_id is None


# --- L12, L13, L14: bodies and sizes -------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "lines", "words"),
    [
        (b"<html>busy</html>", (b"Content-Type: text/html; charset=utf-8",), "(text/html, 17 bytes)"),
        (b"", (), "(no content type, an empty body)"),
        (b"", (b"Content-Type: application/json",), "(application/json, an empty body)"),
        (b"x" * 12_345, (b"Content-Type: text/plain",), "(text/plain, 12,345 bytes)"),
        (b'{"data": [', (b"Content-Type: application/json",), "(application/json, 10 bytes)"),
    ],
)
async def test_L12_what_came_in_place_of_json(body: bytes, lines: tuple[bytes, ...], words: str) -> None:
    async with fault_server(answering(plain(body, *lines))) as server:
        error = await error_of(server.url, DecodeError)
    assert "the response body is not valid JSON" in str(error)
    assert words in str(error)
    assert error.attempts == 5


@pytest.mark.parametrize("data", [[{"id": "1", "name": 5}], {"id": 5}])
async def test_L13_a_decode_error_has_the_request_id_that_was_sent(server: Scripted, data: Any) -> None:
    server.otherwise = lambda _: web.json_response({"data": data})
    async with client_of(server.url) as client:
        with pytest.raises(DecodeError) as caught:
            await client.callflows.list(ACCOUNT)
        assert caught.value.request_id == server.requests[-1].headers["X-Request-ID"]
        with pytest.raises(DecodeError) as other:
            await client.callflows.get(ACCOUNT, "c")
        assert other.value.request_id == server.requests[-1].headers["X-Request-ID"]


async def test_L14_a_long_cursor_does_not_make_a_long_text(server: Scripted) -> None:
    cursor = "x" * 1_000_000
    server.otherwise = lambda request: success(request, [{"id": "1"}], next_start_key=cursor)
    app_sees = await error_of_walk(server)
    assert len(str(app_sees)) <= 500
    assert str(app_sees).endswith("…; request_id=" + app_sees.request_id + ")")


async def error_of_walk(server: Scripted) -> Any:
    async with client_of(server.url) as client:
        with pytest.raises((PaginationLoopError, APIStatusError)) as caught:
            await client.callflows.list(ACCOUNT).to_list()
    return caught.value


async def test_L14_a_long_account_id_does_not_make_a_long_text(server: Scripted) -> None:
    async with client_of(server.url) as client:
        with pytest.raises(VinixError) as caught:
            await client.callflows.list("x" * 100_000)
    assert len(str(caught.value)) <= 500


# --- L15, L19: arguments -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", ["../user_auth", "..%2f..%2fuser_auth", "..\\user_auth", "..", ".", "", "a/b", "a?b", "a#b", "a\nb", "%"]
)
async def test_L15_ids_that_would_lead_elsewhere_are_refused(server: Scripted, wrong: str) -> None:
    async with client_of(server.url) as client:
        attempts: list[Callable[[], Any]] = [
            lambda: client.callflows.list(wrong),
            lambda: client.accounts.descendants(wrong),
            lambda: client.accounts.children(wrong),
        ]
        for attempt in attempts:
            with pytest.raises(ConfigurationError, match="account_id"):
                attempt()
        with pytest.raises(ConfigurationError, match="account_id"):
            await client.accounts.get(wrong)
        with pytest.raises(ConfigurationError, match="account_id"):
            await client.callflows.get(wrong, "c")
        with pytest.raises(ConfigurationError, match="callflow_id") as caught:
            await client.callflows.get(ACCOUNT, wrong)
    assert caught.value.attempts == 0
    assert server.requests == []


async def test_L1_a_304_is_not_a_redirect() -> None:
    async with fault_server(answering(b"HTTP/1.1 304 Not Modified\r\n\r\n")) as server, client_of(server.url) as client:
        with pytest.raises(APIStatusError, match=r"^304 Not Modified") as caught:
            await client.callflows.list(ACCOUNT)
    assert "redirect" not in str(caught.value)


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"paginate": "false"}, "requests the pages of a listing itself"),
        ({"ascending": "true"}, "sort the callflows after reading them"),
        ({"modified_from": "2026-01-01"}, "must be a datetime with a time zone"),
        ({"modified_from": "1767225600"}, "looks like a Unix time"),
        ({"modified_from": datetime(2026, 1, 1)}, "datetime.now"),  # noqa: DTZ001  # which is the point
    ],
)
async def test_L19_filters_that_the_server_would_misread_are_refused(
    server: Scripted, filters: Any, words: str
) -> None:
    async with client_of(server.url) as client:
        with pytest.raises(ConfigurationError, match=words):
            client.callflows.list(ACCOUNT, filters=filters)
        with pytest.raises(ConfigurationError, match=words):
            client.callflows.list_many([ACCOUNT], filters=filters)


async def test_L19_a_datetime_is_converted(server: Scripted) -> None:
    async with client_of(server.url) as client:
        await client.callflows.list(ACCOUNT, filters={"modified_from": datetime(2026, 1, 1, tzinfo=UTC)})
    assert server.requests[0].query["modified_from"] == "63934444800"


# --- L17, L25, L27, L33: responses ---------------------------------------------------------------

ROWS = json.dumps({"data": [{"id": "1"}], "status": "success"}).encode()


@pytest.mark.parametrize("code", [201, 202, 203, 204, 206, 226])
async def test_L17_only_200_is_a_success(server: Scripted, code: int) -> None:
    server.otherwise = lambda request: success(request, [{"id": "1"}], status=code)
    error = await error_of(server.url, APIConnectionError)
    assert f"the server answered {code}, a status that the API does not use" in str(error)
    assert len(server.requests) == 5


async def test_L17_a_login_is_a_success_with_200_or_201(server: Scripted) -> None:
    for code in (200, 201):
        server.login = lambda request, code=code: success(request, {}, status=code, auth_token="t")
        async with client_of(server.url, auth=ApiKeyAuth(KEY)) as client:
            await client.callflows.list(ACCOUNT)
    server.login = lambda request: success(request, {}, status=202, auth_token="t")
    await error_of(server.url, APIConnectionError, auth=ApiKeyAuth(KEY))


async def test_L17_a_body_whose_end_cannot_be_known_is_refused() -> None:
    async with fault_server(answering(b"HTTP/1.1 200 OK\r\n\r\n" + ROWS)) as server:
        error = await error_of(server.url, APIConnectionError)
    assert "no Content-Length and is not chunked" in str(error)
    assert len(server.heads) == 5


async def test_L25_gzip_of_several_members_is_read() -> None:
    zipped = b"".join(gzip.compress(ROWS[at : at + 7]) for at in range(0, len(ROWS), 7))
    async with (
        fault_server(answering(plain(zipped, b"Content-Encoding: gzip"))) as server,
        client_of(server.url) as client,
    ):
        assert [each.id for each in await client.callflows.list(ACCOUNT).to_list()] == ["1"]


@pytest.mark.parametrize("cursor", [["a", 1], 7, {"k": None}, [["deep"]], 0])
async def test_L27_cursors_that_are_not_strings_are_followed(server: Scripted, cursor: Any) -> None:
    server.script = [
        lambda request: success(request, [{"id": "1"}], next_start_key=cursor),
        lambda request: success(request, [{"id": "2"}], start_key=cursor),
    ]
    async with client_of(server.url) as client:
        assert [each.id for each in await client.callflows.list(ACCOUNT).to_list()] == ["1", "2"]
    assert json.loads(server.requests[1].query["start_key"]) == cursor


async def test_L33_init_failed_is_not_retried(server: Scripted) -> None:
    body = {"status": "error", "error": "500", "message": "init failed"}
    server.otherwise = web.json_response(body, status=500)
    error = await error_of(server.url, ServerError)
    assert (error.attempts, len(server.requests)) == (1, 1)
    assert error.gave_up == "a retry would get this 500 again"
    for other in ({**body, "data": {}}, {**body, "message": "init_failed"}, {**body, "message": "Init failed"}):
        server.otherwise = web.json_response(other, status=500)
        assert (await error_of(server.url, ServerError)).attempts == 5


# --- L20 to L24, L26: reprs, the environment, asyncio, long tokens --------------------------------


async def test_L20_the_repr_of_an_error_has_status_account_and_request_id(server: Scripted) -> None:
    server.otherwise = lambda request: failure(request, 502, "bad gateway")
    error = await error_of(server.url, ServerError)
    words = f"ServerError('bad_gateway', status=502, account_id='{ACCOUNT}', request_id='{error.request_id}')"
    assert repr(error) == words


def test_L21_misspelt_options_are_type_errors() -> None:
    """mypy reports an unused ``type: ignore`` if these calls pass, and this test runs them."""
    with pytest.raises(TypeError, match="timeuot"):
        VinixClient.from_env(auth="t", timeuot=5)  # type: ignore[call-arg]  # misspelt
    with pytest.raises(ConfigurationError, match="timeout"):
        VinixClient.from_env(auth="t", timeout="5")  # type: ignore[arg-type]  # not a number
    assert repr(VinixClient.from_env(auth="t", timeout=5)).startswith("<VinixClient https://")


@pytest.mark.parametrize(
    ("name", "level", "warnings"),
    [
        ("warn", logging.WARNING, 0),
        ("WARNING", logging.WARNING, 0),
        (" info ", logging.INFO, 0),
        ("verbose", logging.WARNING, 1),
        ("10", logging.WARNING, 1),
    ],
)
def test_L22_levels_of_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, level: int, warnings: int
) -> None:
    logger = logging.getLogger("vinix_async")
    monkeypatch.setattr(logger, "handlers", [*logger.handlers])
    monkeypatch.setattr(logger, "level", logger.level)
    monkeypatch.setenv("VINIX_LOG", name)
    for _ in range(3):
        VinixClient(auth="t")
    assert logger.level == level
    assert len([record for record in caplog.records if "VINIX_LOG" in record.message]) == warnings


def test_L23_the_environment_lacks_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "VINIX_AUTH_TOKEN",
        "VINIX_API_KEY",
        "VINIX_ACCOUNT_NAME",
        "VINIX_ACCOUNT_REALM",
        "VINIX_PHONE_NUMBER",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VINIX_USERNAME", "ann")
    monkeypatch.setenv("VINIX_PASSWORD", "planted-password")
    names = "VINIX_ACCOUNT_NAME, VINIX_ACCOUNT_REALM and VINIX_PHONE_NUMBER"
    with pytest.raises(ConfigurationError, match=names):
        VinixClient.from_env()
    monkeypatch.setenv("VINIX_ACCOUNT_NAME", "acme")
    monkeypatch.setenv("VINIX_PHONE_NUMBER", "+15550100")
    with pytest.raises(ConfigurationError, match=names):
        VinixClient.from_env()


def test_L24_other_async_frameworks_are_told_that_asyncio_is_needed() -> None:
    """Driven by hand, as another framework would: no asyncio loop runs."""

    async def first(client: VinixClient) -> None:
        async for _ in client.callflows.list(ACCOUNT):
            pass

    async def sweep(client: VinixClient) -> None:
        async with client.callflows.list_many([ACCOUNT]) as results:
            async for _ in results:
                pass

    async def page(client: VinixClient) -> None:
        await client.callflows.list(ACCOUNT)

    uses: list[Callable[[VinixClient], Any]] = [
        first,
        sweep,
        page,
        lambda client: client.whoami(),
        lambda client: client.callflows.get(ACCOUNT, "c"),
    ]
    for use in uses:
        client = VinixClient(auth="t", deadline=5.0)
        with pytest.raises(VinixError, match="needs a running asyncio event loop"):
            use(client).send(None)


@pytest.mark.parametrize("length", [8_193, 65_000])
async def test_L26_long_tokens_are_sent(length: int) -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(plain(ROWS))
        writer.close()

    server = await asyncio.start_server(script, "127.0.0.1", 0, limit=2**20)
    async with (
        server,
        client_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v2", auth="t" * length) as client,
    ):
        await client.callflows.list(ACCOUNT)
    assert b"\r\nX-Auth-Token: " + b"t" * length + b"\r\n" in heads[0]


def test_L26_a_token_that_is_too_long_says_how_long() -> None:
    with pytest.raises(
        ConfigurationError, match="has 70,000 characters, more than the 65,536 that fit in a header line"
    ):
        TokenAuth("t" * 70_000)
