"""The client from its constructor to the wire: tokens, retries, deadlines, views, lifetime."""

import asyncio
import gc
import logging
import pickle
import traceback
import weakref
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from fake_clock import FakeClock
from fault_server import Connection, fault_server
from scripted import Scripted, failure, scripted_server, success

from vinix_async import (
    APIConnectionError,
    ApiKeyAuth,
    APIStatusError,
    APITimeoutError,
    Auth,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    DecodeError,
    Limits,
    PermissionDeniedError,
    RateLimitError,
    RetryEvent,
    RetryPolicy,
    ServerError,
    TokenAuth,
    UserAuth,
    VinixClient,
)

ACCOUNT = "a" * 32
KEY = "k" * 64


@pytest.fixture
async def client(server: Scripted, clock: FakeClock) -> AsyncIterator[VinixClient]:
    async with VinixClient(auth=ApiKeyAuth(KEY), base_url=server.url, clock=clock) as made:
        yield made


def failing(status: int, **envelope: Any) -> Any:
    return lambda request: failure(request, status, **envelope)


async def test_lists_through_a_login(server: Scripted, client: VinixClient) -> None:
    server.script = [lambda request: success(request, [{"id": "1", "name": "Main"}, {"id": "2"}])]
    callflows = await client.callflows.list(ACCOUNT).to_list()
    assert [(callflow.id, callflow.name) for callflow in callflows] == [("1", "Main"), ("2", None)]
    login, listing = server.requests
    assert (login.method, login.path) == ("PUT", "/v2/api_auth")
    assert (await login.json()) == {"data": {"api_key": KEY}}
    assert (listing.method, listing.path_qs) == ("GET", f"/v2/accounts/{ACCOUNT}/callflows")
    assert listing.headers["X-Auth-Token"] == "token-number-1"
    assert listing.headers["Accept"] == "application/json"
    assert "If-None-Match" not in listing.headers


async def test_nothing_is_sent_before_a_pager_is_used(server: Scripted, client: VinixClient) -> None:
    client.callflows.list(ACCOUNT)
    client.accounts.descendants(ACCOUNT)
    await asyncio.sleep(0)
    assert server.requests == []


async def test_filters_and_page_size_hold_for_every_page(server: Scripted, client: VinixClient) -> None:
    server.script = [lambda request: success(request, [{"id": "1"}], next_start_key="g20+/=&")]
    pager = client.callflows.list(ACCOUNT, page_size=1, filters={"filter_type": "a b&c"})
    assert [callflow.id async for callflow in pager] == ["1"]
    assert [request.query for request in server.requests[1:]] == [
        {"filter_type": "a b&c", "page_size": "1"},
        {"filter_type": "a b&c", "page_size": "1", "start_key": "g20+/=&"},
    ]


async def test_a_checkpoint_belongs_to_its_filters(server: Scripted, client: VinixClient) -> None:
    pager = client.callflows.list(ACCOUNT, filters={"filter_type": "main"})
    await pager
    with pytest.raises(ConfigurationError, match="filter_type"):
        client.callflows.list(ACCOUNT, resume=pager.checkpoint())


def test_idle_connections_are_dropped_before_the_server_does() -> None:
    assert Limits().keepalive < 5


async def test_forbidden_parameters_are_never_sent(server: Scripted, client: VinixClient) -> None:
    await client.callflows.list(ACCOUNT, page_size=5).to_list()
    assert not {"is_chunked", "paginate"} & server.requests[-1].query.keys()


@pytest.mark.parametrize("account_id", ["", ".", "..", "a\n", "a\x00b", 7, None])
async def test_a_bad_account_id_is_refused_before_anything_is_sent(
    server: Scripted, client: VinixClient, account_id: Any
) -> None:
    with pytest.raises(ConfigurationError, match="account_id"):
        client.callflows.list(account_id)
    with pytest.raises(ConfigurationError, match="account_id"):
        await client.callflows.get(account_id, "x")
    with pytest.raises(ConfigurationError, match="callflow_id"):
        await client.callflows.get(ACCOUNT, account_id)
    assert server.requests == []


@pytest.mark.parametrize("value", [0, -1, True, "50", 2.5])
async def test_a_bad_page_size_is_refused_here(client: VinixClient, value: Any) -> None:
    with pytest.raises(ConfigurationError, match="page_size"):
        client.callflows.list(ACCOUNT, page_size=value)


async def test_an_id_is_one_segment_of_the_path(server: Scripted, client: VinixClient) -> None:
    server.otherwise = lambda request: success(request, {"id": "x"})
    await client.callflows.get("a b+", "..;é")
    assert server.requests[-1].rel_url.raw_path == "/v2/accounts/a%20b%2B/callflows/..%3B%C3%A9"


async def test_get_reads_one_document(server: Scripted, client: VinixClient) -> None:
    server.script = [lambda request: success(request, {"id": "c1", "flow": {"module": "menu", "data": {}}})]
    callflow = await client.callflows.get(ACCOUNT, "c1")
    assert callflow.flow is not None
    assert callflow.flow.module == "menu"


async def test_accounts_are_listed(server: Scripted, client: VinixClient) -> None:
    server.otherwise = lambda request: success(request, [{"id": "b", "name": "B", "descendants_count": 2}])
    (child,) = await client.accounts.children(ACCOUNT).to_list()
    (descendant,) = await client.accounts.descendants(ACCOUNT).to_list()
    assert (child.id, child.descendants_count, descendant.name) == ("b", 2, "B")
    assert server.asked == [f"/v2/accounts/{ACCOUNT}/{end}" for end in ("children", "descendants")]


async def test_details_reads_each_row_whole_and_in_order(server: Scripted, client: VinixClient) -> None:
    def answer(request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        if name == "callflows":
            return success(request, [{"id": "1"}, {"id": "gone"}, {"id": "3"}])
        if name == "gone":
            return failure(request, 404, "bad identifier")
        return success(request, {"id": name, "flow": {"module": "user", "data": {}}})

    server.otherwise = answer
    callflows = await client.callflows.list(ACCOUNT, details=True).to_list()
    assert [(callflow.id, callflow.flow is not None) for callflow in callflows] == [("1", True), ("3", True)]


async def test_details_that_are_missing_are_an_error_and_no_shorter_list(server: Scripted, client: VinixClient) -> None:
    def answer(request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        rows = [{"id": "whole"}, {"id": "null"}, {"id": "none"}]
        if name == "none":
            return web.json_response({"status": "success"})
        return success(request, {"callflows": rows, "whole": {"id": "whole"}, "null": None}[name])

    server.otherwise = answer
    with pytest.raises(DecodeError) as caught:
        await client.callflows.list(ACCOUNT, details=True).to_list()
    assert caught.value.problems == ("$.data: expected object, got null",)
    assert caught.value.callflow_id == "null"


async def test_details_leaves_what_has_no_id_or_is_no_list(server: Scripted, client: VinixClient) -> None:
    server.script = [
        lambda request: success(request, [{"name": "no id"}]),
        lambda request: success(request, {"id": "alone", "flow": {"module": "hangup"}}),
    ]
    assert [callflow.name async for callflow in client.callflows.list(ACCOUNT, details=True)] == ["no id"]
    assert [callflow.id async for callflow in client.callflows.list(ACCOUNT, details=True)] == ["alone"]
    assert len(server.asked) == 2


async def test_get_of_a_wrong_shape(server: Scripted, client: VinixClient) -> None:
    server.script = [lambda request: success(request, {"id": 7}), lambda request: success(request, [])]
    for problem in ("expected str, got int", "expected object, got array"):
        with pytest.raises(DecodeError, match=problem) as caught:
            await client.callflows.get(ACCOUNT, "x")
        assert caught.value.account_id == ACCOUNT
        assert caught.value.request_id == server.requests[-1].headers["X-Request-ID"]


async def test_credentials_of_another_kind_must_have_a_login_request(server: Scripted) -> None:
    class Odd(Auth):
        def login_request(self) -> None:
            return None

        def secrets(self) -> tuple[str, ...]:
            return ()

    async with VinixClient(auth=Odd(), base_url=server.url) as client:
        with pytest.raises(ConfigurationError, match="Odd"):
            await client.callflows.list(ACCOUNT)
    with pytest.raises(NotImplementedError):
        Auth().login_request()
    with pytest.raises(NotImplementedError):
        Auth().secrets()


async def test_time_is_the_system_s_unless_told(server: Scripted) -> None:
    server.script = [failing(503)]
    policy = RetryPolicy(wait_initial=0.001)
    async with VinixClient(auth=ApiKeyAuth(KEY), base_url=server.url, retry=policy) as client:
        assert await client.callflows.list(ACCOUNT).to_list() == []


@pytest.mark.parametrize("callflow_id", ["..", ".", "a\nb"])
async def test_details_asks_for_no_other_path(server: Scripted, client: VinixClient, callflow_id: str) -> None:
    server.script = [lambda request: success(request, [{"id": callflow_id}])]
    with pytest.raises(DecodeError, match="cannot be requested") as caught:
        await client.callflows.list(ACCOUNT, details=True).to_list()
    assert len(server.asked) == 1
    assert caught.value.account_id == ACCOUNT


async def test_details_ends_with_the_first_error(server: Scripted, client: VinixClient) -> None:
    server.script = [lambda request: success(request, [{"id": "1"}, {"id": "2"}])]
    server.otherwise = failing(403)
    with pytest.raises(PermissionDeniedError):
        await client.callflows.list(ACCOUNT, details=True).to_list()


# --- 401 -----------------------------------------------------------------------------------------


async def test_a_401_is_answered_by_one_new_token_and_one_replay(server: Scripted, client: VinixClient) -> None:
    server.script = [failing(401)]
    assert await client.callflows.list(ACCOUNT).to_list() == []
    assert [request.headers.get("X-Auth-Token") for request in server.requests] == [
        None,
        "token-number-1",
        None,
        "token-number-2",
    ]


async def test_a_second_401_is_final(server: Scripted, client: VinixClient) -> None:
    server.otherwise = failing(401)
    with pytest.raises(AuthenticationError) as caught:
        await client.callflows.list(ACCOUNT).to_list()
    assert caught.value.attempts == 2 == len(server.asked)
    assert server.logins == 2


async def test_new_tokens_that_are_refused_time_and_again_are_not_asked_for(
    server: Scripted, client: VinixClient
) -> None:
    server.otherwise = failing(401)
    for _ in range(20):
        with pytest.raises(AuthenticationError):
            await client.callflows.list(ACCOUNT).to_list()
    assert server.logins == 2
    assert len(server.asked) == 2 + 19


async def test_hundreds_of_calls_with_an_expired_token_make_one_exchange(server: Scripted, clock: FakeClock) -> None:
    good = {"token-number-1"}

    def answer(request: web.Request) -> web.Response:
        known = request.headers["X-Auth-Token"] in good
        return success(request) if known else failure(request, 401, "invalid credentials")

    server.otherwise = answer
    async with VinixClient(auth=ApiKeyAuth(KEY), base_url=server.url, clock=clock) as client:
        await client.callflows.list(ACCOUNT).to_list()
        good.clear()
        good.add("token-number-2")
        listings = (client.callflows.list(f"{number:032x}").to_list() for number in range(300))
        assert await asyncio.gather(*listings) == [[]] * 300
    assert server.logins == 2
    assert len(server.asked) <= 1 + 300 + Limits().max_concurrency


async def test_a_refused_exchange_is_not_repeated_by_those_who_wait(server: Scripted, client: VinixClient) -> None:
    server.login = failing(401)
    listings = (client.callflows.list(f"{number:032x}").to_list() for number in range(300))
    errors = await asyncio.gather(*listings, return_exceptions=True)
    assert {type(error) for error in errors} == {AuthenticationError}
    assert len({id(error) for error in errors}) == 300
    assert {(error.account_id, error.path) for error in errors if isinstance(error, AuthenticationError)} == {
        (None, "/api_auth")
    }
    assert server.logins == 1
    assert server.asked == []


async def test_a_refused_exchange_is_tried_again_after_a_while(
    server: Scripted, client: VinixClient, clock: FakeClock
) -> None:
    server.login = failing(401)
    with pytest.raises(AuthenticationError):
        await client.callflows.list(ACCOUNT)
    server.login = server._token
    with pytest.raises(AuthenticationError):
        await client.callflows.list(ACCOUNT)
    await clock.sleep(31)
    await client.callflows.list(ACCOUNT)
    assert server.logins == 2


async def test_a_token_of_its_own_is_never_exchanged(server: Scripted, clock: FakeClock) -> None:
    server.otherwise = failing(401)
    async with VinixClient(auth="a-token", base_url=server.url, clock=clock) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.callflows.list(ACCOUNT).to_list()
        assert caught.value.attempts == 1 == len(server.requests)
        server.otherwise = success
        assert await client.callflows.list(ACCOUNT).to_list() == []  # the token may have been good all the time


async def test_each_account_may_have_its_own_credentials(server: Scripted, clock: FakeClock) -> None:
    def auth(account_id: str) -> TokenAuth | str:
        return f"token-of-{account_id}" if account_id == "b" else TokenAuth(f"token-of-{account_id}")

    async with VinixClient(auth=auth, base_url=server.url, clock=clock) as client:
        await asyncio.gather(*(client.callflows.list(account).to_list() for account in "abab"))
    sent = {(request.path, request.headers["X-Auth-Token"]) for request in server.requests}
    assert sent == {(f"/v2/accounts/{name}/callflows", f"token-of-{name}") for name in "ab"}


async def test_tokens_that_a_function_gives_are_not_piled_up(server: Scripted) -> None:
    def auth(account_id: str) -> str:
        return f"token-{len(server.requests)}"

    async with VinixClient(auth=auth, base_url=server.url) as client:
        for _ in range(10):
            await client.callflows.list(ACCOUNT)
        assert len({request.headers["X-Auth-Token"] for request in server.requests}) == 10
        assert client._sender._caches == {}


async def test_a_slow_login_does_not_take_the_places_of_others(server: Scripted, clock: FakeClock) -> None:
    """Waiting for a token happens outside of max_concurrency, or the exchange could never run."""
    limits = Limits(max_concurrency=1, per_account=1)
    async with VinixClient(auth=ApiKeyAuth(KEY), base_url=server.url, clock=clock, limits=limits) as client:
        await asyncio.gather(*(client.callflows.list(account).to_list() for account in "abcdef"))
    assert server.logins == 1


# --- retries -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_passing_errors_are_retried(server: Scripted, client: VinixClient, status: int) -> None:
    server.script = [failing(status), failing(status)]
    assert await client.callflows.list(ACCOUNT).to_list() == []
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [400, 402, 403, 404, 405, 406, 409, 410, 416, 423, 501, 505])
async def test_lasting_errors_are_not(server: Scripted, client: VinixClient, status: int) -> None:
    server.otherwise = failing(status)
    with pytest.raises(APIStatusError) as caught:
        await client.callflows.list(ACCOUNT).to_list()
    assert (caught.value.status, caught.value.attempts) == (status, 1)
    assert len(server.asked) == 1


async def test_the_error_counts_the_requests_that_the_server_saw(server: Scripted, client: VinixClient) -> None:
    server.otherwise = failing(500)
    with pytest.raises(ServerError) as caught:
        await client.callflows.list(ACCOUNT).to_list()
    assert caught.value.attempts == 5 == len(server.asked)
    ids = [request.headers["X-Request-ID"] for request in server.requests]
    assert len(set(ids)) == len(ids)
    assert caught.value.request_id == ids[-1]
    assert caught.value.account_id == ACCOUNT
    assert str(caught.value) == (
        f"500 failed [GET /accounts/{ACCOUNT}/callflows] (attempt 5 of 5; no attempt is left (RetryPolicy.attempts); "
        f"request_id={ids[-1]})"
    )


@pytest.mark.parametrize("served_before_the_drop", [0, 1, 2])
async def test_attempts_are_requests_also_on_kept_connections_that_drop(
    clock: FakeClock, served_before_the_drop: int
) -> None:
    """aiohttp would send a GET again by itself, unseen and uncounted."""

    async def script(connection: Connection) -> None:
        for _ in range(served_before_the_drop):
            head = await connection.request()
            (request_id,) = (line[14:] for line in head.split(b"\r\n") if line.startswith(b"X-Request-ID: "))
            body = b'{"data": [], "request_id": "' + request_id + b'"}'
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await connection.request()  # and then it drops

    async with fault_server(script) as server, VinixClient(auth="a-token", base_url=server.url, clock=clock) as client:
        for _ in range(8):
            before = len(server.heads)
            view = client.with_options()
            try:
                await view.callflows.list(ACCOUNT)
            except APIConnectionError as error:
                assert error.attempts == len(server.heads) - before
            assert view.stats.requests == len(server.heads) - before
        assert len(set(server.heads)) == len(server.heads)


async def test_a_success_that_is_no_json_is_retried_like_a_reset(server: Scripted, client: VinixClient) -> None:
    server.script = [web.Response(text="<html>", content_type="text/html"), web.Response(body=b""), success]
    assert await client.callflows.list(ACCOUNT).to_list() == []
    assert len(server.asked) == 3


async def test_a_reply_to_somebody_else_is_refused_and_asked_for_again(server: Scripted, client: VinixClient) -> None:
    server.script = [
        lambda request: success(request, [{"id": "of another account"}], request_id="0" * 32),
        lambda request: success(request, [{"id": "right"}]),
    ]
    assert [callflow.id async for callflow in client.callflows.list(ACCOUNT)] == ["right"]


async def test_a_document_of_the_wrong_shape_is_not_retried(server: Scripted, client: VinixClient) -> None:
    server.script = [lambda request: success(request, [{"id": 7}])]
    with pytest.raises(DecodeError, match=r"\$\.data\[0\]\.id") as caught:
        await client.callflows.list(ACCOUNT).to_list()
    assert len(server.asked) == 1
    assert caught.value.account_id == ACCOUNT
    assert caught.value.request_id == server.requests[-1].headers["X-Request-ID"]


async def test_on_retry_is_told(server: Scripted, client: VinixClient) -> None:
    events: list[RetryEvent] = []
    server.script = [failing(500), failing(429)]
    await client.with_options(on_retry=events.append).callflows.list(ACCOUNT).to_list()
    assert [(event.attempt, type(event.error)) for event in events] == [(1, ServerError), (2, RateLimitError)]
    assert {(event.account_id, event.path) for event in events} == {(ACCOUNT, f"/accounts/{ACCOUNT}/callflows")}


async def test_a_retry_after_is_obeyed(server: Scripted, client: VinixClient, clock: FakeClock) -> None:
    server.script = [web.Response(status=503, headers={"Retry-After": "7.5"})]
    before = clock.monotonic()
    await client.callflows.list(ACCOUNT).to_list()
    assert clock.monotonic() - before >= 7.5


async def test_a_retry_after_beyond_the_cap_fails_at_once(
    server: Scripted, client: VinixClient, clock: FakeClock
) -> None:
    server.script = [web.Response(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(RateLimitError) as caught:
        await client.callflows.list(ACCOUNT).to_list()
    assert caught.value.retry_after == 3600
    assert "the server asked to wait 3600 s, but RetryPolicy.retry_after_max is 60" in str(caught.value)
    assert clock.slept == 0
    await client.callflows.list(ACCOUNT).to_list()  # and the account is not held for an hour
    assert clock.slept < 1


async def test_the_pace_is_learned_where_429_is_not_retried_too(
    server: Scripted, client: VinixClient, clock: FakeClock
) -> None:
    server.script = [failing(429)]
    patient = client.with_options(retry=RetryPolicy(statuses=frozenset({503})))
    with pytest.raises(RateLimitError):
        await patient.callflows.list(ACCOUNT).to_list()
    await patient.callflows.list(ACCOUNT).to_list()
    assert clock.slept == pytest.approx(1 / Limits().rate)


async def test_one_broken_account_leaves_the_retries_of_others(server: Scripted, client: VinixClient) -> None:
    server.otherwise = failing(503)
    for _ in range(50):
        with pytest.raises(ServerError):
            await client.callflows.list("broken").to_list()
    assert len(server.asked) < 50 + 20
    server.script = [failing(503), success]
    assert await client.callflows.list(ACCOUNT).to_list() == []


async def test_one_broken_login_leaves_the_retries_of_others(server: Scripted, clock: FakeClock) -> None:
    tried: list[str] = []

    async def login(request: web.Request) -> web.Response:
        key = (await request.json())["data"]["api_key"]
        tried.append(key)
        if key != "good" or tried.count(key) == 1:
            return failure(request, 503)
        return success(request, {}, status=201, auth_token="a-token")

    server.login = login
    async with VinixClient(auth=ApiKeyAuth, base_url=server.url, clock=clock) as client:
        for _ in range(20):
            with pytest.raises(ServerError):
                await client.callflows.list("broken")
        await client.callflows.list("good")
    assert tried.count("good") == 2


# --- deadlines and timeouts ----------------------------------------------------------------------


async def test_no_wait_crosses_the_deadline(server: Scripted, client: VinixClient, clock: FakeClock) -> None:
    server.otherwise = web.Response(status=503, headers={"Retry-After": "5"})
    begun = clock.monotonic()
    with pytest.raises(ServerError) as caught:
        await client.with_options(deadline=12).callflows.list(ACCOUNT).to_list()
    assert clock.monotonic() - begun <= 12
    assert caught.value.attempts == 3
    assert "deadline" in str(caught.value)


async def test_the_deadline_holds_for_all_pages_together(
    server: Scripted, client: VinixClient, clock: FakeClock
) -> None:
    def page(request: web.Request) -> web.Response:
        clock.now += 4
        number = int(request.query.get("start_key", "0")) + 1
        return success(request, [{"id": str(number)}], next_start_key=str(number))

    server.otherwise = page
    seen: list[str] = []
    with pytest.raises(APITimeoutError, match="deadline"):
        async for callflow in client.with_options(deadline=10).callflows.list(ACCOUNT, prefetch=0):
            seen.append(callflow.id)
    assert seen == ["1", "2", "3"]
    assert len(server.asked) == 3


async def test_the_policy_s_deadline_holds_for_each_request(server: Scripted, client: VinixClient) -> None:
    server.otherwise = web.Response(status=503, headers={"Retry-After": "5"})
    view = client.with_options(retry=RetryPolicy(deadline=7))
    with pytest.raises(ServerError) as caught:
        await view.callflows.list(ACCOUNT).to_list()
    assert caught.value.attempts == 2


async def test_a_deadline_ends_an_attempt_that_hangs(server: Scripted) -> None:
    never = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await never.wait()
        return success(request)

    server.otherwise = hang
    async with VinixClient(auth="a-token", base_url=server.url, deadline=0.05) as client:
        with pytest.raises(APITimeoutError, match=r"0\.05 s \(deadline\)") as caught:
            await client.callflows.list(ACCOUNT).to_list()
        assert caught.value.attempts == 1
        assert not caught.value.transient
        view = client.with_options(deadline=60, retry=RetryPolicy(deadline=0.05))
        with pytest.raises(APITimeoutError, match=r"0\.05 s \(RetryPolicy\.deadline\)"):
            await view.callflows.list(ACCOUNT)
        never.set()


async def test_an_attempt_that_hangs_times_out_and_is_tried_again(server: Scripted, clock: FakeClock) -> None:
    never = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await never.wait()
        return success(request)

    server.script = [hang, success]
    async with VinixClient(auth="a-token", base_url=server.url, timeout=0.05, clock=clock) as client:
        assert await client.callflows.list(ACCOUNT).to_list() == []
        assert len(server.asked) >= 2  # on a busy machine, a second attempt may not end in time either
        never.set()


async def test_cancellation_is_neither_retried_nor_swallowed(server: Scripted, client: VinixClient) -> None:
    arrived = asyncio.Event()
    never = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        arrived.set()
        await never.wait()
        return success(request)

    server.otherwise = hang
    task = asyncio.create_task(client.callflows.list(ACCOUNT).to_list())
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(server.asked) == 1
    never.set()


@pytest.mark.parametrize("outage_wait", [0, 60], ids=["by its own policy", "through an outage"])
async def test_cancelled_at_every_step_of_a_whole_call_nothing_is_left(server: Scripted, outage_wait: float) -> None:
    """Login, a page, a refusal, a new login, failures, waits or probes, a page: cancelled after 1, 2, ... turns."""

    def script() -> list[Any]:
        page = lambda request: success(request, [{"id": "1"}], next_start_key="k")  # noqa: E731  # one of a list
        return [page, failing(401), failing(503), failing(503), failing(503), success]

    turns = 0
    finished = False
    while not finished:
        clock = FakeClock()
        server.script = script()
        policy = RetryPolicy(outage_wait=outage_wait)
        async with VinixClient(auth=ApiKeyAuth(KEY), base_url=server.url, clock=clock, retry=policy) as client:
            task = asyncio.create_task(client.callflows.list(ACCOUNT).to_list())
            for _ in range(turns):
                await asyncio.sleep(0)
            finished = task.done()
            task.cancel()
            if finished:
                assert len(await task) == 1
                assert client.stats.outages == (outage_wait > 0)
            else:
                with pytest.raises(asyncio.CancelledError):
                    await task
            for _ in range(3):
                await asyncio.sleep(0)
            await assert_nothing_is_left(client)
        turns += 1 if turns < 60 else 5
        assert turns < 3000
    assert turns > 30


async def assert_nothing_is_left(client: VinixClient) -> None:
    sender = client._sender
    session = sender.transport._session
    if session is not None:
        assert session.connector is not None
        assert not session.connector._acquired
    assert not sender._tasks
    assert not [account for account in sender.rate_limiter._accounts.values() if account.users]
    assert sender.rate_limiter._all._free == Limits().max_concurrency
    outages = sender.outages
    assert not outages._waiting
    assert not outages._in_flight
    assert not outages._refundable
    assert outages._prober is None
    assert outages._check_done is None
    assert not outages._recovering or outages._recovery_limit is None
    assert not [each for each in asyncio.all_tasks() if "vinix_async" in repr(each) and not each.done()]


@pytest.mark.parametrize("first", ["good", "bad"])
async def test_cancelled_at_every_step_of_six_calls_in_an_outage_nothing_is_left(server: Scripted, first: str) -> None:
    """Second opinions, probes and the steps after them: all but one call are cancelled, and that one succeeds."""
    turns = 0
    finished = False
    while not finished:
        clock = FakeClock()
        async with VinixClient(auth="a-token", base_url=server.url, clock=clock) as client:
            server.script = [success] if first == "good" else []
            if server.script:
                await client.callflows.list("served")
            server.script += [failing(503)] * 12
            tasks = [asyncio.create_task(client.callflows.list(f"account{n}").to_list()) for n in range(6)]
            for _ in range(turns):
                await asyncio.sleep(0)
            finished = all(task.done() for task in tasks)
            for task in tasks[:5] if turns % 2 else tasks[1:]:
                task.cancel()
            async with asyncio.timeout(20):
                results = await asyncio.gather(*tasks, return_exceptions=True)
            assert results[-1 if turns % 2 else 0] == []
            assert {type(each) for each in results} <= {list, asyncio.CancelledError}
            for _ in range(3):
                await asyncio.sleep(0)
            await assert_nothing_is_left(client)
        turns += 1 if turns < 40 else 9
        assert turns < 3000
    assert turns > 30


# --- views and counters --------------------------------------------------------------------------


async def test_a_view_counts_its_own_and_its_client_counts_all(server: Scripted, client: VinixClient) -> None:
    view = client.with_options(timeout=5)
    inner = view.with_options(deadline=60)
    server.script = [
        failing(500),
        lambda request: success(request, [{"id": "1"}, {"id": "2"}]),
        failing(429),
        lambda request: success(request, [{"id": "3"}]),
    ]
    await view.callflows.list("first").to_list()
    await inner.callflows.list("second").to_list()
    await client.callflows.list("third").to_list()
    counted = [
        (each.stats.requests, each.stats.logins, each.stats.retries, each.stats.rate_limited, each.stats.callflows)
        for each in (client, view, inner)
    ]
    assert counted == [(6, 1, 2, 1, 3), (5, 1, 2, 1, 3), (2, 0, 1, 1, 1)]
    assert client.stats.wait_seconds == pytest.approx(
        client.stats.retry_seconds + client.stats.rate_limit_seconds + client.stats.outage_seconds
    )
    assert repr(inner.stats) == "ClientStats(requests=2, retries=1, rate_limited=1, callflows=1)"


async def test_a_view_of_a_subclass_has_its_attributes(server: Scripted) -> None:
    class Tenant(VinixClient):
        def __init__(self, name: str) -> None:
            super().__init__(auth="a-token", base_url=server.url)
            self.name = name

    async with Tenant("ours") as tenant:
        view = tenant.with_options(timeout=5)
        assert (type(view), view.name) == (Tenant, "ours")
        await view.callflows.list(ACCOUNT)
        assert (view.stats.requests, tenant.stats.requests) == (1, 1)
        await view.close()
        await tenant.callflows.list(ACCOUNT)


async def test_a_view_is_freed_even_if_its_on_retry_refers_to_it(client: VinixClient) -> None:
    class Job:
        def __init__(self) -> None:
            self.client = client.with_options(on_retry=self.on_retry)

        def on_retry(self, event: RetryEvent) -> None: ...

    job = weakref.ref(Job())
    gc.collect()
    assert job() is None


async def test_seconds_are_wall_time_and_no_sum_over_calls(server: Scripted, client: VinixClient) -> None:
    server.script = [failing(500)] * 6
    begun = client._sender.clock.monotonic()
    await asyncio.gather(*(client.callflows.list(f"account{number}").to_list() for number in range(3)))
    seconds = client._sender.clock.monotonic() - begun
    assert 0 < client.stats.retry_seconds <= seconds
    assert 0 < client.stats.outage_seconds <= seconds


async def test_a_view_changes_what_it_is_given_and_shares_the_rest(server: Scripted, client: VinixClient) -> None:
    limited = client.with_options(deadline=5, retry=RetryPolicy(attempts=1))
    free = limited.with_options(deadline=None)
    assert (limited._options.deadline, free._options.deadline, client._options.deadline) == (5, None, None)
    assert free._options.retry.attempts == 1
    assert free._sender is client._sender
    for wrong in ({"deadline": 0}, {"timeout": None}, {"retry": None}, {"on_retry": 1}):
        with pytest.raises(ConfigurationError):
            client.with_options(**wrong)
    with pytest.raises(TypeError):
        client.with_options(limits=Limits())  # type: ignore[call-arg]  # which views share


async def test_what_on_retry_raises_ends_the_call(server: Scripted, client: VinixClient) -> None:
    def refuse(_: RetryEvent) -> None:
        raise LookupError

    server.otherwise = failing(500)
    with pytest.raises(LookupError):
        await client.with_options(on_retry=refuse).callflows.list(ACCOUNT)
    await assert_nothing_is_left(client)
    assert len(server.asked) == 1


# --- arguments and lifetime ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"auth": 7}, "auth"),
        ({"auth": ""}, "token"),
        ({"auth": "two words"}, "token"),
        ({"base_url": "api.example.com/v2"}, "base_url"),
        ({"base_url": "http://api.example.com/v2"}, "allow_http"),
        ({"retry": 3}, "retry"),
        ({"limits": 3}, "limits"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": "30"}, "timeout"),
        ({"deadline": -1}, "deadline"),
        ({"deadline": True}, "deadline"),
        ({"on_retry": 3}, "on_retry"),
        ({"session": 3}, "session"),
    ],
)
def test_bad_arguments_are_refused_at_once(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        VinixClient(**{"auth": "a-token", **arguments})


def test_a_function_s_bad_credentials_are_refused() -> None:
    async def main() -> None:
        async with VinixClient(auth=lambda _: 7, base_url="http://127.0.0.1:9/v2") as client:  # type: ignore[arg-type,return-value]
            await client.callflows.list(ACCOUNT)

    with pytest.raises(ConfigurationError, match="auth"):
        asyncio.run(main())


async def test_close_is_final_and_may_be_repeated(server: Scripted, client: VinixClient) -> None:
    await client.callflows.list(ACCOUNT)
    await client.close()
    await client.close()
    with pytest.raises(ClientClosedError):
        await client.callflows.list(ACCOUNT)


async def test_close_closes_the_connections_even_if_it_is_cancelled(server: Scripted) -> None:
    cleaning = asyncio.Event()

    async def account_ids() -> AsyncIterator[str]:
        try:
            yield ACCOUNT
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await asyncio.Event().wait()

    client = VinixClient(auth="t", base_url=server.url)
    await client.callflows.list(ACCOUNT)
    session = client._sender.transport.open()
    reading = asyncio.ensure_future(client.callflows.list_many(account_ids()).collect())
    while len(server.requests) < 2:
        await asyncio.sleep(0)
    closing = asyncio.ensure_future(client.close())
    await cleaning.wait()
    closing.cancel()
    await asyncio.wait({closing, reading})
    assert closing.cancelled()
    assert session.closed


async def test_closing_a_view_closes_nothing(server: Scripted, client: VinixClient) -> None:
    async with client.with_options(timeout=5) as view:
        await view.callflows.list(ACCOUNT)
    await client.callflows.list(ACCOUNT)
    assert server.logins == 1


async def test_closing_ends_what_is_prefetched(server: Scripted, client: VinixClient) -> None:
    arrived = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        arrived.set()
        await asyncio.sleep(3600)
        return success(request)

    server.script = [lambda request: success(request, [{"id": "1"}, {"id": "2"}], next_start_key="k"), hang]
    walk = client.callflows.list(ACCOUNT).__aiter__()
    await walk.__anext__()
    await arrived.wait()
    await client.close()
    assert client._sender._tasks == set()
    await walk.aclose()


@pytest.mark.parametrize("outage_wait", [0, 60])
@pytest.mark.parametrize("served", [False, True])
async def test_closing_ends_calls_under_way_and_is_not_taken_for_an_outage(
    server: Scripted, caplog: pytest.LogCaptureFixture, outage_wait: float, *, served: bool
) -> None:
    arrived = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        arrived.set()
        await asyncio.sleep(3600)
        return success(request)

    client = VinixClient(auth="a-token", base_url=server.url, retry=RetryPolicy(outage_wait=outage_wait))
    if served:
        await client.callflows.list("served")
    server.otherwise = hang
    tasks = [asyncio.create_task(client.callflows.list(f"account{number}").to_list()) for number in range(3)]
    await arrived.wait()
    async with asyncio.timeout(5):
        await client.close()
        errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(error) for error in errors} == {ClientClosedError}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_walk_whose_client_is_closed_says_so_and_is_not_cancelled(
    server: Scripted, client: VinixClient
) -> None:
    arrived = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        arrived.set()
        await asyncio.sleep(3600)
        return success(request)

    server.script = [lambda request: success(request, [{"id": "1"}], next_start_key="k"), hang]
    task = asyncio.create_task(client.callflows.list(ACCOUNT).to_list())
    await arrived.wait()
    await client.close()
    with pytest.raises(ClientClosedError) as caught:
        await task
    assert caught.value.start_key == "k"


def test_another_event_loop_is_refused_in_words() -> None:
    client: VinixClient | None = None

    async def first() -> None:
        nonlocal client
        async with scripted_server() as scripted:
            client = VinixClient(auth="a-token", base_url=scripted.url)
            await client.callflows.list(ACCOUNT)
            session = client._sender.transport._session
            assert session is not None
            await session.close()

    async def second() -> None:
        assert client is not None
        with pytest.raises(ClientClosedError, match="another event loop"):
            await client.callflows.list(ACCOUNT)

    asyncio.run(first())
    asyncio.run(second())


@pytest.mark.parametrize("limit", [None, {"limit": 2}, {"limit": 0, "limit_per_host": 2}], ids=str)
async def test_requests_never_wait_for_a_connection(
    server: Scripted, monkeypatch: pytest.MonkeyPatch, limit: dict[str, Any] | None
) -> None:
    """They would do so within their timeout, as if the server did not answer. A borrowed session has a ``limit``."""

    async def on_queued(*_: Any) -> None:
        queued.append(1)

    queued: list[int] = []
    tracer = aiohttp.TraceConfig()
    tracer.on_connection_queued_start.append(on_queued)
    connector = aiohttp.TCPConnector(**(limit or {}))
    async with aiohttp.ClientSession(connector=connector, trace_configs=[tracer]) as borrowed:
        if limit is None:
            monkeypatch.setattr(aiohttp, "ClientSession", partial(aiohttp.ClientSession, trace_configs=[tracer]))
        options: dict[str, Any] = {"session": borrowed} if limit else {"limits": Limits(max_connections=2)}
        async with VinixClient(auth="t", base_url=server.url, **options) as client:
            await asyncio.gather(*(client.callflows.list(ACCOUNT).to_list() for _ in range(6)))
    assert len(server.requests) == 6
    assert queued == []


async def test_a_borrowed_session_stays_open(server: Scripted, clock: FakeClock) -> None:
    async with aiohttp.ClientSession() as session:
        async with VinixClient(auth="a-token", base_url=server.url, session=session, clock=clock) as client:
            await client.callflows.list(ACCOUNT)
        assert not session.closed


def test_the_environment_gives_address_and_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "VINIX_AUTH_TOKEN",
        "VINIX_API_KEY",
        "VINIX_USERNAME",
        "VINIX_PASSWORD",
        "VINIX_ACCOUNT_NAME",
    ):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match="VINIX_AUTH_TOKEN"):
        VinixClient.from_env()
    monkeypatch.setenv("VINIX_BASE", "http://127.0.0.1:9/v2")
    monkeypatch.setenv("VINIX_USERNAME", "ann")
    monkeypatch.setenv("VINIX_PASSWORD", "secret-password")
    monkeypatch.setenv("VINIX_ACCOUNT_NAME", "acme")
    client = VinixClient.from_env()
    assert client._sender._auth == UserAuth("ann", "secret-password", account_name="acme")
    assert client._sender.transport.base_url == "http://127.0.0.1:9/v2"
    monkeypatch.setenv("VINIX_API_KEY", KEY)
    assert VinixClient.from_env()._sender._auth == ApiKeyAuth(KEY)
    monkeypatch.setenv("VINIX_AUTH_TOKEN", "a-token")
    assert VinixClient.from_env()._sender._auth == TokenAuth("a-token")
    assert VinixClient.from_env(auth="other")._sender._auth == TokenAuth("other")


# --- secrets -------------------------------------------------------------------------------------


async def test_no_secret_is_in_any_log_error_or_repr(
    server: Scripted, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    auth = UserAuth("ann", "planted-password", account_name="acme")
    secrets = [*auth.secrets(), "token-number-1", "token-number-2"]

    def echoing(status: int) -> Any:
        def answer(request: web.Request) -> web.Response:
            echo = " ".join([*auth.secrets(), request.headers["X-Auth-Token"]])
            tree = {"path": {"required": {"message": echo, "value": echo}}}
            return failure(request, status, echo, data=tree)

        return answer

    server.script = [echoing(401), echoing(503), echoing(400)]
    async with VinixClient(auth=auth, base_url=server.url, clock=clock) as client:
        with pytest.raises(APIStatusError) as caught:
            await client.callflows.list(ACCOUNT).to_list()
        error = caught.value
        walked: list[BaseException] = [error]
        while (nested := walked[-1].__cause__ or walked[-1].__context__) is not None:
            walked.append(nested)
        shown = [
            caplog.text,
            repr(client),
            repr(auth),
            pickle.dumps(error).decode("latin-1"),
            *(
                "".join(frames.format())
                for each in walked
                if each.__traceback__ is not None  # the first frame is this test's own
                for frames in [
                    traceback.TracebackException(type(each), each, each.__traceback__.tb_next, capture_locals=True)
                ]
            ),
            *(f"{each!s} {each!r} {vars(each)}" for each in walked),
        ]
    assert "logged in as user 'ann' of account 'acme'" in caplog.text
    assert "the server is unavailable" in caplog.text
    for secret in secrets:
        assert not [text for text in shown if secret in text], secret


async def test_a_refused_api_key_is_not_repeated(server: Scripted, client: VinixClient) -> None:
    server.login = lambda request: failure(request, 404, f"bad identifier {KEY}", data=[KEY])
    with pytest.raises(AuthenticationError) as caught:
        await client.callflows.list(ACCOUNT)
    assert KEY not in f"{caught.value!s}{caught.value!r}{vars(caught.value)}"


async def test_connection_failures_are_ours_and_carry_no_other_error(clock: FakeClock) -> None:
    async with VinixClient(auth="planted-token", base_url="http://127.0.0.1:9/v2", clock=clock) as client:
        with pytest.raises(APIConnectionError) as caught:
            await client.callflows.list(ACCOUNT)
    assert caught.value.attempts is not None
    assert caught.value.attempts - caught.value.probes == 1
    walked: BaseException | None = caught.value
    while walked is not None:
        assert "aiohttp" not in type(walked).__module__
        walked = walked.__cause__ or walked.__context__
