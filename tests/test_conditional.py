"""Reading a callflow only if it has changed, and the server's time of a page."""

import copy
import pickle
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from scripted import Scripted, success
from test_response import NOW, REQUEST, SUCCESS, read

from vinix_async import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    ConfigurationError,
    DecodeError,
    NotFoundError,
    RetryPolicy,
    VinixClient,
    decode_page,
    to_dict,
)
from vinix_async._http.request import get, headers_for, login
from vinix_async._http.response import NOT_MODIFIED, read_envelope
from vinix_async._http.status_errors import NO_SECRETS
from vinix_async._http.transport import Response
from vinix_async.sandbox import Sandbox

ACCOUNT = "a" * 32
ID = "c" * 32
FLOW = {"id": ID, "name": "Main", "flow": {"module": "hangup", "data": {}, "children": {}}}


def not_modified(request: web.Request, **headers: str) -> web.Response:
    return web.Response(status=304, headers={"X-Request-ID": request.headers["X-Request-ID"], **headers})


def client_of(server: Scripted) -> VinixClient:
    return VinixClient(auth="token", base_url=server.url, retry=RetryPolicy(attempts=1))


@pytest.mark.parametrize("dialect", ["kazoo5", "kazoo43"])
async def test_a_callflow_is_read_again_only_after_a_change(dialect: str) -> None:
    async with Sandbox(dialect=dialect, accounts=1) as sandbox, sandbox.client() as client:
        account_id = sandbox.root_id
        callflow_id = sandbox.callflow_ids(account_id)[0]
        first = await client.callflows.get_if_changed(account_id, callflow_id, None)
        assert first is not None
        assert first.callflow == await client.callflows.get(account_id, callflow_id)
        assert "revision" not in to_dict(first.callflow)
        assert await client.callflows.get_if_changed(account_id, callflow_id, first.revision) is None
        sandbox.put(account_id, {**to_dict(first.callflow), "name": "Changed"})
        second = await client.callflows.get_if_changed(account_id, callflow_id, first.revision)
        assert second is not None
        assert second.callflow.name == "Changed"
        assert second.revision != first.revision
        with pytest.raises(NotFoundError) as caught:
            await client.callflows.get_if_changed(account_id, "d" * 32, first.revision)
        assert caught.value.cause == "d" * 32


@pytest.mark.parametrize(
    ("envelope", "headers", "revision"),
    [
        ({"revision": "7-abc"}, {"ETag": '"7-abc-gzip"'}, "7-abc"),
        ({}, {"ETag": '"7-abc"'}, "7-abc"),
        ({}, {"ETag": 'W/"7-abc"'}, "7-abc"),
        ({}, {"ETag": "7-abc"}, "7-abc"),
        ({"revision": ["7-a"]}, {"ETag": '"8-d"'}, "8-d"),
        ({"revision": "no spaces"}, {"ETag": '"8-d"'}, "8-d"),
        ({"revision": 'a"b'}, {"ETag": '""'}, None),
        ({"revision": "ü"}, {}, None),
        ({"revision": None}, {}, None),
    ],
)
async def test_the_revision_is_the_body_s_or_else_the_etag(
    server: Scripted, envelope: Mapping[str, Any], headers: Mapping[str, str], revision: str | None
) -> None:
    def answer(request: web.Request) -> web.Response:
        response = success(request, FLOW, **envelope)
        response.headers.update(headers)
        return response

    server.script = [answer, not_modified]
    async with client_of(server) as client:
        read = await client.callflows.get_if_changed(ACCOUNT, ID, None)
        assert read is not None
        assert (read.callflow.name, read.revision) == ("Main", revision)
        if revision is not None:
            assert await client.callflows.get_if_changed(ACCOUNT, ID, read.revision) is None
            assert server.requests[1].headers["If-None-Match"] == f'"{revision}"'
        assert "If-None-Match" not in server.requests[0].headers
        assert server.asked[0] == f"/v2/accounts/{ACCOUNT}/callflows/{ID}"


@pytest.mark.parametrize("revision", ["", "a b", 'a"b', "a\nb", "ü", "r" * 201, b"7-a", 7, True])
async def test_a_revision_that_cannot_be_one_is_refused_before_anything_is_sent(
    server: Scripted, revision: Any
) -> None:
    async with client_of(server) as client:
        with pytest.raises(ConfigurationError, match="revision must be"):
            await client.callflows.get_if_changed(ACCOUNT, ID, revision)
        with pytest.raises(ConfigurationError, match="callflow_id must not"):
            await client.callflows.get_if_changed(ACCOUNT, "..", None)
    assert server.requests == []


async def test_a_304_is_an_error_where_none_was_asked_for(server: Scripted) -> None:
    server.otherwise = not_modified
    async with client_of(server) as client:
        for call in (
            client.callflows.get(ACCOUNT, ID),
            client.callflows.get_if_changed(ACCOUNT, ID, None),
            client.callflows.list(ACCOUNT).to_list(),
            client.accounts.get(ACCOUNT),
        ):
            with pytest.raises(APIStatusError, match=r"^304 Not Modified"):
                await call


async def test_a_document_that_cannot_be_read_names_its_request(server: Scripted) -> None:
    server.script = [lambda request: success(request, {**FLOW, "name": 7})]
    async with client_of(server) as client:
        with pytest.raises(DecodeError, match=r"\$\.data\.name") as caught:
            await client.callflows.get_if_changed(ACCOUNT, ID, "7-abc")
    assert (caught.value.callflow_id, caught.value.attempts) == (ID, 1)


def other_id(request: web.Request) -> web.Response:
    return web.Response(status=304, headers={"X-Request-ID": "of-another-request"})


async def test_a_304_of_another_request_is_refused(server: Scripted) -> None:
    server.script = [lambda request: success(request, FLOW), other_id, lambda _: web.Response(status=304)]
    async with client_of(server) as client:
        await client.callflows.get(ACCOUNT, ID)  # shows that the server echoes the id in a header
        for _ in range(2):
            with pytest.raises(APIConnectionError, match="probably belongs to another request"):
                await client.callflows.get_if_changed(ACCOUNT, ID, "7-abc")


async def test_a_304_is_accepted_from_a_gateway_that_removes_the_header(server: Scripted) -> None:
    def without_header(request: web.Request) -> web.Response:
        response = success(request, FLOW)
        del response.headers["X-Request-ID"]
        return response

    server.script = [without_header, lambda _: web.Response(status=304)]
    async with client_of(server) as client:
        await client.callflows.get(ACCOUNT, ID)
        assert await client.callflows.get_if_changed(ACCOUNT, ID, "7-abc") is None


def test_only_a_request_with_a_revision_has_the_header() -> None:
    assert "If-None-Match" not in headers_for(get("accounts", "a", "callflows"), "r", "t")
    assert "If-None-Match" not in headers_for(login("api_auth", {}, login_as="x"), "r", None)
    request = get("accounts", "a", "callflows", "c", revision="7-abc")
    assert headers_for(request, "r", "t")["If-None-Match"] == '"7-abc"'
    response = Response(304, {"x-request-id": "r1", "date": "Fri, 27 Nov 2026 10:00:00 GMT"}, b"")
    envelope = read_envelope(request, response, request_id="r1", base_url="https://h/v2", now=NOW, secrets=NO_SECRETS)
    assert envelope.data is NOT_MODIFIED
    assert (envelope.revision, envelope.timestamp) == ("7-abc", datetime(2026, 11, 27, 10, tzinfo=UTC))


# --- NotFoundError.cause -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        ({"message": "bad identifier", "cause": ID}, ID),
        ({"message": "bad identifier", "cause": "planted-key"}, "[redacted]"),
        ({"message": "bad identifier", "cause": {"planted": 1}}, None),
        ({"message": "bad identifier"}, None),
        (["planted"], None),
        ("planted", None),
    ],
)
def test_the_cause_of_a_404(data: Any, cause: str | None) -> None:
    with pytest.raises(NotFoundError) as caught:
        read({"message": "bad_identifier", "data": data}, 404, secrets=["planted-key"])
    for error in (caught.value, copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
        assert error.cause == cause
    with pytest.raises(AuthenticationError):  # a login that is refused with a 404 has no cause
        read({"data": data}, 404, request=login("api_auth", {}, login_as="x"), secrets=["planted-key"])


# --- Page.timestamp ----------------------------------------------------------------------------------

TEN = datetime(2026, 11, 27, 10, tzinfo=UTC)
DATE = "Fri, 27 Nov 2026 11:00:00 GMT"


@pytest.mark.parametrize(
    ("timestamp", "date", "moment"),
    [
        ("2026-11-27T10:00:00Z", DATE, TEN),
        ("2026-11-27T10:00:00", None, TEN),
        ("2026-11-27T12:00:00+02:00", None, TEN),
        (None, DATE, TEN + timedelta(hours=1)),
        ("tomorrow", DATE, TEN + timedelta(hours=1)),
        (1764237600, DATE, TEN + timedelta(hours=1)),
        ("0001-01-01T00:00:00+23:00", "yesterday", None),
        (None, None, None),
    ],
)
def test_the_time_of_a_response(timestamp: Any, date: str | None, moment: datetime | None) -> None:
    headers = {} if date is None else {"date": date}
    assert read({**SUCCESS, "timestamp": timestamp}, headers=headers, request=REQUEST).timestamp == moment


async def test_a_page_has_the_time_of_its_response(server: Scripted) -> None:
    server.script = [lambda request: success(request, [{"id": "1"}], timestamp="2026-11-27T10:00:00Z")]
    async with client_of(server) as client:
        page = await client.callflows.list(ACCOUNT)
        assert page.timestamp == TEN
    assert decode_page(b'{"data": [], "status": "success", "timestamp": "2026-11-27T10:00:00Z"}').timestamp == TEN
    assert decode_page(b'{"data": [], "status": "success"}').timestamp is None
