"""The sandbox: how it answers over HTTP, and that the client reads everything that it holds."""

import asyncio
import base64
import hashlib
import json
import math
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from fake_clock import FakeClock

from vinix_async import (
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RetryPolicy,
    VinixClient,
    to_dict,
)
from vinix_async.sandbox import Faults, Sandbox
from vinix_async.sandbox.cursors import InvalidCursorError, decode_cursor, encode_cursor
from vinix_async.sandbox.estate.quirks import QUIRKS
from vinix_async.sandbox.estate.summary import summary
from vinix_async.sandbox.filters import matches
from vinix_async.sandbox.key_pages import kazoo5_page, kazoo43_page

DIALECTS = ["kazoo5", "kazoo43", "documented"]
FILTERS: list[dict[str, str] | None] = [
    None,
    {"filter_type": "mainUserCallflow"},
    {"has_key": "featurecode.name"},
    {"filter_flow.module": "user", "filter_not_name": "Ann Ash"},
    {"filter_name": "nobody"},
]


class Raw:
    """The server without the client: one request, its status, headers and body."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self._sandbox = sandbox
        self._session = session
        self.token = ""

    async def __call__(self, method: str, path: str, data: Any = None, **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent.setdefault("X-Auth-Token", self.token)
        body = None if data is None else json.dumps({"data": data}).encode()
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        base = self._sandbox.url.removesuffix("/v2")
        async with self._session.request(method, base + path, data=body, headers=sent, allow_redirects=False) as reply:
            raw = await reply.read()
            self.headers = reply.headers
            self.raw = raw
            return reply.status, json.loads(raw) if raw[:1] == b"{" else raw

    async def login(self) -> Any:
        request = self._sandbox.user_auth().login_request()
        assert request.body is not None
        status, body = await self("PUT", "/v2/user_auth", json.loads(request.body)["data"])
        self.token = body["auth_token"]
        return status, body

    def listing(self, account_id: str | None = None) -> str:
        return f"/v2/accounts/{account_id or self._sandbox.root_id}/callflows"


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


@pytest.fixture(params=DIALECTS)
async def sandbox(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[Sandbox]:
    async with Sandbox(dialect=request.param, accounts=12, callflows=(60, 130), clock=clock) as running:
        yield running


# --- the client against what the sandbox holds ------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("page_size", [1, 7, 50, 1000])
async def test_every_callflow_once(dialect: str, page_size: int) -> None:
    async with (
        Sandbox(dialect=dialect, accounts=3, callflows=(52, 70), rate_limit=False) as sandbox,
        sandbox.client() as client,
    ):
        for account_id in sandbox.account_ids[: 1 if page_size < 50 else 3]:
            for filters in FILTERS:
                pager = client.callflows.list(account_id, page_size=page_size, filters=filters)
                found = [callflow.id async for callflow in pager]
                assert sorted(found) == sandbox.callflow_ids(account_id, filters)
        assert len(sandbox.callflow_ids(sandbox.root_id, FILTERS[1])) > 1
        assert sandbox.callflow_ids(sandbox.root_id, FILTERS[4]) == []


def test_filters_see_what_has_changed() -> None:
    sandbox = Sandbox(callflows=2)
    one, _ = sandbox.callflow_ids(sandbox.root_id)
    for name, found in (("New", [one]), ("Newer", [])):
        assert sandbox.callflow_ids(sandbox.root_id, {"filter_name": "New"}) != found
        sandbox.put(sandbox.root_id, {"id": one, "name": name})
        assert sandbox.callflow_ids(sandbox.root_id, {"filter_name": "New"}) == found


async def test_rows_and_documents_survive_whole(sandbox: Sandbox) -> None:
    async with sandbox.client(limits=_fast()) as client:
        rows = await client.callflows.list(sandbox.root_id, page_size=1000).to_list()
        assert {row.id: to_dict(row) for row in rows} == {row.id: sandbox.row(sandbox.root_id, row.id) for row in rows}
        for row in rows[:40]:
            whole = await client.callflows.get(sandbox.root_id, row.id)
            assert to_dict(whole) == sandbox.document(sandbox.root_id, row.id)


def _fast() -> Any:
    from vinix_async import Limits  # noqa: PLC0415  # a test's own limits

    return Limits(rate=1000.0)


async def test_the_tree_of_accounts(sandbox: Sandbox) -> None:
    async with sandbox.client() as client:
        below = await client.accounts.descendants(sandbox.root_id, page_size=5).to_list()
        children = await client.accounts.children(sandbox.root_id, page_size=2).to_list()
    assert {account.id for account in below} == set(sandbox.account_ids[1:])
    direct = {account.id for account in below if account.tree == (sandbox.root_id,)}
    assert {account.id for account in children} == direct
    assert len(direct) + sum(account.descendants_count or 0 for account in children) == len(below)


async def test_each_account_has_its_key_and_sees_what_is_below(sandbox: Sandbox) -> None:
    reseller, other = sandbox.account_ids[1], sandbox.account_ids[2]
    async with sandbox.client(auth=sandbox.api_key_auth(reseller)) as client:
        await client.callflows.list(reseller)
        await client.callflows.list(sandbox.account_ids[4])
        for forbidden in (other, sandbox.root_id):
            with pytest.raises(PermissionDeniedError):
                await client.callflows.list(forbidden)


async def test_expired_tokens_are_renewed(sandbox: Sandbox, clock: FakeClock) -> None:
    async with sandbox.client() as client:
        await client.callflows.list(sandbox.root_id)
        sandbox.expire_tokens()
        await client.callflows.list(sandbox.root_id)
        assert sandbox.count(method="PUT") == 2
        assert sandbox.count(status=401) == 1
        clock.now += 3600
        await client.callflows.list(sandbox.root_id)
    assert sandbox.count(method="PUT") == 3
    jwt = sandbox._state.dialect.opaque_tokens is False
    assert sandbox.count(status=401) == (1 if jwt else 2)  # the end of an opaque token is learned from its 401


async def test_what_a_test_may_change(sandbox: Sandbox) -> None:
    async with sandbox.client() as client:
        added = sandbox.put(sandbox.root_id, {"name": "New", "flow": {"module": "hangup", "data": {}}})
        gone = sandbox.callflow_ids(sandbox.root_id)[3]
        sandbox.remove(sandbox.root_id, gone)
        found = {callflow.id: callflow async for callflow in client.callflows.list(sandbox.root_id)}
        assert found[added].name == "New"
        assert gone not in found
        with pytest.raises(NotFoundError):
            await client.callflows.get(sandbox.root_id, gone)
        sandbox.put(sandbox.root_id, {"id": gone, "name": "Back"})
        assert (await client.callflows.get(sandbox.root_id, gone)).name == "Back"
        sandbox.deny(sandbox.root_id, 403)
        with pytest.raises(PermissionDeniedError):
            await client.callflows.list(sandbox.root_id)
        sandbox.allow(sandbox.root_id)
        await client.callflows.list(sandbox.root_id)
    with pytest.raises(KeyError):
        sandbox.remove(sandbox.root_id, "f" * 32)
    with pytest.raises(KeyError):
        sandbox.callflow_ids("nobody")


async def test_a_removed_account_is_unknown_and_missing_from_listings(sandbox: Sandbox) -> None:
    gone = sandbox.account_ids[5]
    refused = sandbox.account_ids[6]
    async with sandbox.client() as client:
        sandbox.remove_account(gone)
        sandbox.deny(refused, 404)
        listed = {account.id async for account in client.accounts.descendants(sandbox.root_id)}
        assert listed == {*sandbox.account_ids[1:]} - {gone}
        for account_id in (gone, refused):
            with pytest.raises(NotFoundError):
                await client.callflows.list(account_id)
        sandbox.allow(gone)
        await client.callflows.list(gone)
    with pytest.raises(KeyError):
        sandbox.remove_account("nobody")


@pytest.mark.parametrize(
    ("status", "message", "data"),
    [
        (402, "no_credit", {"message": "not enough credit to perform action"}),
        (404, "bad_identifier", {"message": "bad identifier", "cause": "the id"}),
        (418, "failed", {"message": "failed"}),
        (500, "datastore_fault", {"message": "unknown failure"}),
        (503, "datastore_unreachable", {"message": "datastore timeout"}),
    ],
)
async def test_errors_that_a_test_asks_for(
    status: int, message: str, data: dict[str, str], session: aiohttp.ClientSession
) -> None:
    async with Sandbox() as sandbox:
        ask = Raw(sandbox, session)
        await ask.login()
        one, other = sandbox.account_ids[1:]
        callflow_id = sandbox.callflow_ids(one)[0]
        sandbox.break_callflow(one, callflow_id, status)
        sandbox.deny(other, status)
        for path, requested in ((f"{ask.listing(one)}/{callflow_id}", callflow_id), (ask.listing(other), other)):
            found, body = await ask("GET", path)
            expected = {name: text.replace("the id", requested) for name, text in data.items()}
            assert (found, body["message"], body["data"]) == (status, message, expected)


async def test_a_404_names_its_cause(session: aiohttp.ClientSession) -> None:
    async with Sandbox() as sandbox:
        ask = Raw(sandbox, session)
        await ask.login()
        first, second, third = sandbox.account_ids
        sandbox.remove_account(second)
        sandbox.deny(third, 404)
        for path, cause in [
            (f"{ask.listing(second)}/{'0' * 32}", second),
            (ask.listing(third), third),
            (f"{ask.listing(first)}/{'0' * 32}", "0" * 32),
        ]:
            status, body = await ask("GET", path)
            assert (status, body["message"]) == (404, "bad_identifier")
            assert body["data"] == {"message": "bad identifier", "cause": cause}


async def test_refused_logins(sandbox: Sandbox, clock: FakeClock) -> None:
    sandbox.refuse_logins()
    async with sandbox.client() as client:
        for _ in range(3):
            with pytest.raises(AuthenticationError):
                await client.callflows.list(sandbox.root_id)
        assert sandbox.count(method="PUT") == 1
        sandbox.refuse_logins(False)
        clock.now += 31
        await client.callflows.list(sandbox.root_id)


async def test_the_bucket_refuses_and_the_client_gets_through(clock: FakeClock) -> None:
    async with Sandbox(dialect="kazoo43", callflows=150, clock=clock) as sandbox, sandbox.client() as client:
        found = await client.callflows.list(sandbox.root_id, page_size=1).to_list()
        assert len(found) == 150
    assert 0 < sandbox.count(status=429) < 15
    assert clock.slept < 10


async def test_a_policy_without_patience_sees_the_refusal(clock: FakeClock) -> None:
    sandbox = Sandbox(rate_limit=(3, 1), dialect="kazoo43", clock=clock)
    async with sandbox, sandbox.client(retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(RateLimitError, match="429 too_many_requests"):
            await client.callflows.list(sandbox.root_id, page_size=1).to_list()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_s3_a_rate_limit_of_one_s_own_charges_every_request(dialect: str, clock: FakeClock) -> None:
    sandbox = Sandbox(rate_limit=(5, 1), dialect=dialect, clock=clock)
    async with sandbox, sandbox.client(retry=RetryPolicy(attempts=1)) as client:
        for _ in range(5):
            await client.callflows.list(sandbox.root_id)
        with pytest.raises(RateLimitError):
            await client.callflows.list(sandbox.root_id)
        clock.now += 1
        await client.callflows.list(sandbox.root_id)


async def test_valid_tokens_are_free_on_kazoo_5(clock: FakeClock) -> None:
    async with Sandbox(callflows=120, clock=clock) as sandbox, sandbox.client() as client:
        await client.callflows.list(sandbox.root_id, page_size=1).to_list()
    assert sandbox.count(status=429) == 0


async def test_the_forgotten_v2_is_explained(sandbox: Sandbox) -> None:
    async with sandbox.client(auth="a-token", base_url=sandbox.url.removesuffix("/v2")) as client:
        with pytest.raises(DecodeError, match="must end with /v2"):
            await client.callflows.list(sandbox.root_id)


async def test_a_wrong_key_is_not_repeated(sandbox: Sandbox) -> None:
    async with VinixClient(auth=sandbox.api_key_auth(), base_url=sandbox.url) as client:
        await client.callflows.list(sandbox.root_id)
    wrong = "f" * 64
    from vinix_async import ApiKeyAuth  # noqa: PLC0415  # this test's own

    async with VinixClient(auth=ApiKeyAuth(wrong), base_url=sandbox.url) as client:
        with pytest.raises(AuthenticationError, match="does not know the API key") as caught:
            await client.callflows.list(sandbox.root_id)
    assert caught.value.status == 404
    assert wrong not in str(caught.value)
    async with VinixClient(auth=ApiKeyAuth("short"), base_url=sandbox.url) as client:
        with pytest.raises(AuthenticationError) as bad:
            await client.callflows.list(sandbox.root_id)
    assert bad.value.status == 400
    if sandbox._state.dialect.id_style == "hex":
        assert bad.value.problems == ("api_key: minLength: String must be at least 64 characters",)


async def test_the_record_keeps_no_secret(sandbox: Sandbox) -> None:
    async with sandbox.client() as client:
        await client.callflows.list(sandbox.root_id, page_size=3)
    login, listing = sandbox.requests
    assert (login.method, login.path, login.status, login.account_id) == ("PUT", "/v2/user_auth", 201, None)
    assert (listing.method, listing.status, listing.account_id) == ("GET", 200, sandbox.root_id)
    assert listing.query == {"page_size": "3"}
    assert sandbox.served == 2
    assert sandbox._state.tokens.password not in repr(sandbox.requests)


# --- the server alone ------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["kazoo5", "kazoo43"])
async def test_kazoo_s_envelope(dialect: str, session: aiohttp.ClientSession, clock: FakeClock) -> None:
    async with Sandbox(dialect=dialect, clock=clock) as sandbox:
        ask = Raw(sandbox, session)
        status, login = await ask.login()
        assert status == 201
        assert login["data"]["account_id"] == sandbox.root_id
        claims = json.loads(base64.urlsafe_b64decode(login["auth_token"].split(".")[1] + "=="))
        assert claims["exp"] == int(clock.time() + 3600)
        status, body = await ask("GET", ask.listing(), X_Request_ID="mine")
        assert (status, body["status"], body["request_id"]) == (200, "success", "mine")
        assert ask.headers["X-Request-ID"] == "mine"
        assert ask.headers["ETag"] == f'"{body["revision"]}"'
        assert body["auth_token"] == ask.token
        assert body["page_size"] == len(body["data"])
        assert ("tokens" in body) == (dialect == "kazoo5")
        assert {"node", "timestamp", "version"} <= body.keys()
        row = body["data"][0]
        assert {"id", "featurecode", "modules", "flags"} <= row.keys()
        assert "flow" not in row
        assert not [key for key in row if key.startswith("pvt_")]
        ask.token = ""
        status, body = await ask("GET", ask.listing())
        assert (status, body["error"], body["message"]) == (401, "401", "invalid_credentials")
        assert body.get("auth_token") == ("undefined" if dialect == "kazoo43" else None)
        assert ask.headers.get("Content-Type") == (None if dialect == "kazoo5" else "application/json")


async def test_the_vendor_s_pages(session: aiohttp.ClientSession) -> None:
    async with Sandbox(dialect="documented", callflows=3) as sandbox:
        assert len(sandbox.root_id) == 36
        ask = Raw(sandbox, session)
        await ask.login()
        assert "." not in ask.token
        status, body = await ask("GET", ask.listing())
        assert (status, body.keys()) == (200, {"data"})
        assert "flow" in body["data"][0]
        status, body = await ask("GET", ask.listing() + "?page_size=1")
        assert isinstance(body["data"], dict)
        assert body["next_start_key"]
        status, body = await ask("GET", "/v2/accounts/nobody/callflows")
        assert (status, body.keys()) == (404, {"code", "message", "request_id"})


@pytest.mark.parametrize(
    ("dialect", "message"), [("kazoo5", "invalid credentials"), ("kazoo43", "invalid_credentials")]
)
async def test_an_expired_token(dialect: str, message: str, session: aiohttp.ClientSession, clock: FakeClock) -> None:
    async with Sandbox(dialect=dialect, clock=clock) as sandbox:
        ask = Raw(sandbox, session)
        await ask.login()
        clock.now += 3601
        assert (await ask("GET", ask.listing()))[1]["message"] == message
        ask.token = ask.token[:-2] + "xx"
        assert (await ask("GET", ask.listing()))[1]["message"] == "invalid_credentials"


async def test_paths_methods_and_ids(session: aiohttp.ClientSession) -> None:
    async with Sandbox() as sandbox:
        ask = Raw(sandbox, session)
        await ask.login()
        status, banner = await ask("GET", ask.listing().removeprefix("/v2"))
        assert (status, ask.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
        assert banner[:1] != b"{"
        for method, path, wanted, message in (
            ("GET", "/v1/accounts/x/callflows", 410, "gone"),
            ("GET", f"/v2/accounts/{sandbox.root_id}/users", 404, "not_found"),
            ("GET", "/v2/accounts//callflows", 404, "bad identifier"),
            ("GET", "/v2/accounts/short/callflows", 404, "bad identifier"),
            ("GET", f"/v2/accounts/{'0' * 32}/callflows", 404, "bad_identifier"),
            ("GET", f"{ask.listing()}/nothing", 404, "bad_identifier"),
            ("POST", ask.listing(), 405, "invalid_method"),
            ("GET", "/v2/user_auth", 405, "invalid_method"),
        ):
            status, body = await ask(method, path)
            assert (status, body["message"]) == (wanted, message), path
        assert (await ask("GET", "/v2/nothing"), ask.raw) == ((404, b""), b"")
        assert (await ask("GET", ask.listing(), Accept="image/png"))[0] == 406
        assert (await ask("GET", f"{ask.listing()}?x={'x' * 9000}"), ask.raw) == ((414, b""), b"")
        assert (await ask("GET", ask.listing(), X_Auth_Token="x" * 5000), ask.raw) == ((431, b""), b"")


async def test_page_sizes_order_and_paginate(session: aiohttp.ClientSession) -> None:
    for dialect in ("kazoo5", "kazoo43"):
        async with Sandbox(dialect=dialect, callflows=60) as sandbox:
            ask = Raw(sandbox, session)
            await ask.login()
            ids = sandbox.callflow_ids(sandbox.root_id)
            for bad in ("0", "-1", "x", "", "0.4"):
                status, body = await ask("GET", f"{ask.listing()}?page_size={bad}")
                wanted = (404, "faulty_request") if dialect == "kazoo5" else (200, None)
                assert (status, body.get("message")) == wanted
                assert dialect == "kazoo5" or len(body["data"]) == 50
            assert len((await ask("GET", ask.listing() + "?page_size=2.6"))[1]["data"]) == 3
            assert len((await ask("GET", ask.listing() + "?page_size=" + "9" * 5_000))[1]["data"]) == 60
            _, body = await ask("GET", ask.listing() + "?page_size=3")
            expected = ids[::-1][:3] if dialect == "kazoo5" else ids[:3][::-1]
            assert [row["id"] for row in body["data"]] == expected
            _, body = await ask("GET", ask.listing() + "?page_size=3&ascending=true")
            assert [row["id"] for row in body["data"]] == (ids[:3] if dialect == "kazoo5" else expected)
            for off in ("false", "True", "1"):
                _, body = await ask("GET", f"{ask.listing()}?paginate={off}&page_size=3")
                assert len(body["data"]) == 60
                assert not {"page_size", "next_start_key", "start_key"} & body.keys()
            _, body = await ask("GET", f"{ask.listing()}?start_key={ids[30]}&page_size=1")
            assert body["data"][0]["id"] == ids[30]
            assert body["start_key"].startswith("g20AAAAg")


@pytest.mark.parametrize("dialect", ["kazoo5", "kazoo43"])
async def test_conditions_and_compression(session: aiohttp.ClientSession, dialect: str) -> None:
    async with Sandbox(dialect=dialect, callflows=5) as sandbox:
        ask = Raw(sandbox, session)
        await ask.login()
        one = f"{ask.listing()}/{sandbox.callflow_ids(sandbox.root_id)[0]}"
        _, body = await ask("GET", one)
        etag = ask.headers["ETag"]
        assert etag == f'"{body["revision"]}"'
        for condition in (etag, f"W/{etag}", f'"1-other", {etag}', "*"):
            assert (await ask("GET", one, If_None_Match=condition))[0] == 304
        for condition in ('"1-other"', f'"{etag[1:-3]}"'):
            assert (await ask("GET", one, If_None_Match=condition))[0] == 200
        assert (await ask("GET", one, If_None_Match=body["revision"]))[0] == 400  # Cowboy requires the quotes
        sandbox.put(sandbox.root_id, sandbox.document(sandbox.root_id, body["data"]["id"]), dated=False)
        assert (await ask("GET", one, If_None_Match=etag))[0] == 200
        assert (await ask("GET", one, If_None_Match=ask.headers["ETag"]))[0] == 304
        sandbox.remove(sandbox.root_id, body["data"]["id"])
        assert (await ask("GET", one, If_None_Match=etag))[0] == 404
        assert (await ask("GET", ask.listing(), If_None_Match=etag))[0] == 200
        assert (await ask("GET", ask.listing() + "?filter_name=nobody", If_None_Match=etag))[0] == 412
        await ask("GET", ask.listing(), Accept_Encoding="gzip")
        assert ask.headers["Content-Encoding"] == "gzip"
        await ask("GET", ask.listing(), Accept_Encoding="identity")
        assert "Content-Encoding" not in ask.headers


async def test_a_streamed_reply_is_as_deceiving_as_the_server_s(session: aiohttp.ClientSession) -> None:
    async with Sandbox(callflows=5) as sandbox:
        ask = Raw(sandbox, session)
        await ask.login()
        _, body = await ask("GET", ask.listing() + "?is_chunked=true")
        assert body["page_size"] == "5"
        assert ask.raw.startswith(b'{"data":')


async def test_logins(session: aiohttp.ClientSession) -> None:
    async with Sandbox() as sandbox:
        ask = Raw(sandbox, session)
        password = sandbox._state.tokens.password
        sha = hashlib.sha1(f"admin:{password}".encode()).hexdigest()  # noqa: S324  # what the server wants
        realm, phone = sandbox._state.accounts.realm(0), "+15550000000"
        for data in (
            {"credentials": sha, "method": "sha", "account_name": "Sandbox Telecom"},
            {"credentials": sha, "method": "sha", "account_realm": realm.upper()},
            {"credentials": sha, "method": "sha", "phone_number": phone},
            {"credentials": sha, "method": "sha", "phone_number": "+1999", "account_name": "sandboxtelecom"},
        ):
            assert (await ask("PUT", "/v2/user_auth", data))[0] == 201
        refused_logins: list[dict[str, Any]] = [
            {"credentials": sha, "method": "sha"},
            {"credentials": sha, "account_name": "sandboxtelecom"},
            {"credentials": sha, "method": "sha", "account_name": "nobody"},
            {"credentials": sha, "method": "sha", "account_name": 5, "phone_number": 5},
        ]
        for data in refused_logins:
            assert (await ask("PUT", "/v2/user_auth", data))[0] == 401
        bad_logins: list[dict[str, Any]] = [
            {},
            {"credentials": "c" * 65},
            {"credentials": ""},
            {"credentials": 7},
            {"credentials": sha, "method": "sha1"},
        ]
        for data in bad_logins:
            status, body = await ask("PUT", "/v2/user_auth", data)
            assert (status, body["message"]) == (400, "validation error")
        bad_keys: list[dict[str, Any]] = [{}, {"api_key": "x" * 65}, {"api_key": "x" * 64, "odd": 1}]
        for data in bad_keys:
            assert (await ask("PUT", "/v2/api_auth", data))[0] == 400
        status, body = await ask("PUT", "/v2/api_auth", {"api_key": "x" * 64})
        assert (status, body["data"]) == (404, ["x" * 64])
        assert (await ask("PUT", "/v2/api_auth"))[0] == 400
        base = sandbox.url + "/api_auth"
        async with session.put(base, data=b"{") as reply:
            assert reply.status == 400


MISSING = "Field is required but missing"
NOT_LISTED = "Value not found in enumerated list of values"
ONLY_KNOWN = "Strict checking of data is enabled; only include schema-defined properties"
TOO_LONG = "String must not be more than 64 characters"
TOO_SHORT = "String must be at least 64 characters"


@pytest.mark.parametrize(
    ("endpoint", "sent", "error"),
    [
        ("user_auth", {}, {"credentials": {"required": {"message": MISSING, "value": "credentials"}}}),
        (
            "user_auth",
            {"credentials": "c" * 65},
            {"credentials": {"maxLength": {"message": TOO_LONG, "target": 64, "cause": "c" * 65, "value": "c" * 65}}},
        ),
        (
            "user_auth",
            {"credentials": "c", "method": "sha1"},
            {"method": {"enum": {"message": NOT_LISTED, "target": ["md5", "sha"], "value": "sha1"}}},
        ),
        (
            "api_auth",
            {"api_key": "abc"},
            {"api_key": {"minLength": {"message": TOO_SHORT, "target": 64, "cause": "abc", "value": "abc"}}},
        ),
        (
            "api_auth",
            {"api_key": "k" * 64, "x": 1},
            {"x": {"additionalProperties": {"message": ONLY_KNOWN, "value": {"api_key": "k" * 64, "x": 1}}}},
        ),
    ],
)
async def test_an_invalid_login_is_repeated_in_its_error_with_its_secrets(
    endpoint: str, sent: Any, error: Any, session: aiohttp.ClientSession
) -> None:
    """A client that shows the errors of the server would show them."""
    async with Sandbox() as sandbox:
        _, body = await Raw(sandbox, session)("PUT", f"/v2/{endpoint}", sent)
    assert body["data"] == error


async def test_refused_logins_keep_the_bucket_empty(session: aiohttp.ClientSession, clock: FakeClock) -> None:
    async with Sandbox(login_cost=35, clock=clock) as sandbox:
        ask = Raw(sandbox, session)
        assert [(await ask.login())[0] for _ in range(2)] == [201, 201]
        data = {"api_key": "x" * 64}
        for _ in range(5):
            assert (await ask("PUT", "/v2/api_auth", data))[0] == 429
            clock.now += 3
        clock.now += 1
        assert (await ask("PUT", "/v2/api_auth", data))[0] == 404


async def test_tokens_of_a_session(session: aiohttp.ClientSession) -> None:
    async with Sandbox() as sandbox:
        ask = Raw(sandbox, session)
        _, login = await ask.login()
        _, body = await ask("GET", "/v2/token_auth")
        assert body["data"]["account_id"] == sandbox.root_id
        assert body["data"]["owner_id"] == login["data"]["owner_id"]
        first = ask.token
        status, body = await ask("PUT", "/v2/auth", {"action": "refresh_token"})
        ask.token = body["auth_token"]
        assert (status, ask.token == first) == (201, False)
        assert (await ask("GET", ask.listing()))[0] == 200
        assert (await ask("GET", "/v2/account/callflows?page_size=1"))[1]["page_size"] == 1
        sandbox.expire_tokens()
        for method, path in (("GET", "/v2/token_auth"), ("PUT", "/v2/auth"), ("GET", "/v2/about")):
            assert (await ask(method, path, {} if method == "PUT" else None))[0] == 401


async def test_other_ways_to_authenticate(session: aiohttp.ClientSession) -> None:
    async with Sandbox() as sandbox:
        ask = Raw(sandbox, session)
        md5 = hashlib.md5(f"admin:{sandbox._state.tokens.password}".encode()).hexdigest()  # noqa: S324  # as above
        for text, status in (
            (f"Basic {base64.b64encode(f'{sandbox.root_id}:{md5}'.encode()).decode()}", 200),
            (f"Basic {base64.b64encode(f'{sandbox.root_id}:wrong'.encode()).decode()}", 401),
            (f"Basic {base64.b64encode(b'nobody').decode()}", 401),
            ("Basic !", 401),
            ("Digest x", 401),
        ):
            assert (await ask("GET", "/v2/token_auth", Authorization=text))[0] == status, text
            assert (await ask("GET", ask.listing(), Authorization=text))[0] == status, text


async def test_accounts_above_and_beside(session: aiohttp.ClientSession) -> None:
    async with Sandbox(accounts=10) as sandbox:
        ask = Raw(sandbox, session)
        await ask.login()
        leaf, parent = sandbox.account_ids[8], sandbox.account_ids[7]
        _, body = await ask("GET", f"/v2/accounts/{leaf}/tree")
        assert [row["id"] for row in body["data"]] == [sandbox.root_id, sandbox.account_ids[1], parent]
        _, body = await ask("GET", f"/v2/accounts/{parent}/siblings")
        assert {row["id"] for row in body["data"]} == set(sandbox.account_ids[4:8])
        assert (await ask("GET", f"/v2/accounts/{sandbox.root_id}/siblings"))[0] == 403
        _, body = await ask("GET", f"/v2/accounts/{leaf}")
        assert (body["data"]["id"], body["data"]["reseller_id"]) == (leaf, parent)
        _, body = await ask("GET", f"/v2/accounts/{leaf}/api_key")
        assert body["data"]["api_key"] == sandbox.api_key_auth(leaf).api_key
        status, body = await ask("GET", f"/v2/accounts/{sandbox.root_id}/descendants?page_size=0")
        assert (status, body["message"]) == (404, "faulty_request")


async def test_callflows_can_be_created(session: aiohttp.ClientSession) -> None:
    async with Sandbox(callflows=1) as sandbox:
        ask = Raw(sandbox, session)
        await ask.login()
        status, body = await ask("PUT", ask.listing(), {"name": "New", "numbers": ["4711"]})
        assert (status, ask.headers["Location"]) == (201, f"{ask.listing()}/{body['data']['id']}")
        assert body["data"]["id"] in sandbox.callflow_ids(sandbox.root_id)
        assert (await ask("PUT", ask.listing(), {"numbers": "4712"}))[0] == 500
        sandbox.put(sandbox.root_id, {"numbers": 4713})
        status, body = await ask("PUT", ask.listing(), {"name": "Again", "numbers": ["4711"]})
        assert (status, body["data"].keys()) == (400, {"numbers"})


async def test_a_disabled_account_refuses_logins_only(sandbox: Sandbox) -> None:
    async with sandbox.client() as client, sandbox.client(auth=sandbox.api_key_auth()) as late:
        await client.callflows.list(sandbox.root_id)
        sandbox.disable(sandbox.root_id)
        await client.callflows.list(sandbox.root_id)
        with pytest.raises(APIStatusError) as caught:
            await late.callflows.list(sandbox.root_id)
        assert caught.value.status == 400
    sandbox.allow(sandbox.root_id)
    async with sandbox.client(auth=sandbox.api_key_auth()) as again:
        await again.callflows.list(sandbox.root_id)


@pytest.mark.parametrize("header", ["X-Auth-Token", "X-Request-ID", "Authorization", "Accept", "User-Agent"])
async def test_a_header_that_is_not_utf_8_gets_a_400(sandbox: Sandbox, header: str) -> None:
    request = f"GET /v2/accounts/{sandbox.root_id} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}: "
    status, _ = await raw_response(sandbox, request.encode() + b"\xff\xc3\r\n\r\n")
    assert status == 400


async def test_expect(sandbox: Sandbox) -> None:
    request = b"PUT /v2/auth HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\nExpect: "
    for value, expected, rest in ((b"\xff", 417, b""), (b"more", 417, b""), (b"100-continue", 100, b"HTTP/1.1 401 ")):
        status, raw = await raw_response(sandbox, request + value + b"\r\n\r\n")
        assert (status, rest in raw) == (expected, True)


async def raw_response(sandbox: Sandbox, request: bytes) -> tuple[int, bytes]:
    address = urlsplit(sandbox.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(request)
    raw = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(raw.split()[1]), raw


async def test_a_body_that_is_not_compressed_as_it_says_gets_a_400(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with session.put(f"{sandbox.url}/user_auth", data=b"{}", headers=headers) as response:
        assert response.status == 400


async def test_errors_as_csv(session: aiohttp.ClientSession) -> None:
    async with Sandbox() as sandbox:
        ask = Raw(sandbox, session)
        status, body = await ask("PUT", "/v2/api_auth", {"api_key": "a" * 64}, Accept="text/csv")
        assert (status, body) == (404, f'"data"\n"{"a" * 64}"\n'.encode())
        await ask.login()
        status, body = await ask("PUT", ask.listing(), {"numbers": 5}, Accept="text/csv")
        assert (status, body) == (500, b"\n")  # the planned 500 for such numbers, which has no data
        status, body = await ask("GET", f"{ask.listing()}/{'0' * 32}", Accept="text/csv")
        assert (status, body.splitlines()[0]) == (404, b'"message","cause"')


async def test_odd_values_can_be_filtered_and_listed_as_csv(session: aiohttp.ClientSession) -> None:
    nested: Any = ["1", []]
    for _ in range(800):
        nested = [nested]
    async with Sandbox(callflows=0) as sandbox:
        ask = Raw(sandbox, session)
        await ask.login()
        made = {"numbers": ["1"], "nested": nested, "pvt_created": "today"}
        assert (await ask("PUT", ask.listing(), made))[0] == 201
        for query, rows in {
            "filter_nested=1": 1,
            "filter_nested=2": 0,
            f"filter_nested={'[' * 2000}": 0,
            "created_from=5": 1,
            "created_to=5": 0,
            f"created_from={'9' * 400}": 1,
        }.items():
            status, body = await ask("GET", f"{ask.listing()}?{query}")
            assert status == 200, query
            assert len(body["data"]) == rows, query
        callflow_id = sandbox.callflow_ids(sandbox.root_id)[0]
        status, body = await ask("GET", f"{ask.listing()}/{callflow_id}", Accept="text/csv")
        assert (status, b'"1,"' in body) == (200, True)


async def test_other_media_types(session: aiohttp.ClientSession) -> None:
    async with Sandbox(callflows=2) as sandbox:
        ask = Raw(sandbox, session)
        await ask.login()
        _, body = await ask("GET", ask.listing(), Accept="text/csv")
        first = sandbox.callflow_ids(sandbox.root_id)[-1]
        header, row, *_ = body.decode().splitlines()
        assert header.startswith('"ID","')
        assert row.startswith(f'"{first}","')
        _, body = await ask("GET", ask.listing() + "?jsonp=f")
        assert json.loads(body.removeprefix(b"f(").removesuffix(b");"))["page_size"] == 2
        await ask("GET", ask.listing() + "?pretty_print=true")
        assert b"\n  " in ask.raw
        for accept, status in (
            ("application/json;q=0.5", 200),
            ("image/png, */*", 200),
            ("image/png", 406),
            ("((", 400),
        ):
            assert (await ask("GET", ask.listing(), Accept=accept))[0] == status


# --- pure ------------------------------------------------------------------------------------------

KEYS = [f"{number:02}" for number in range(10)]


def test_kazoo_5_fills_its_pages() -> None:
    page = kazoo5_page(KEYS, None, 3, lambda _: True, ascending=False)
    assert (page.keys, page.next_key) == (("09", "08", "07"), "06")
    assert kazoo5_page(KEYS, "06", 3, lambda _: True, ascending=False).keys == ("06", "05", "04")
    assert kazoo5_page(KEYS, "065", 1, lambda _: True, ascending=False).keys == ("06",)
    assert kazoo5_page(KEYS, "06", 3, lambda _: True, ascending=True).keys == ("06", "07", "08")
    last = kazoo5_page(KEYS, "01", 2, lambda _: True, ascending=False)
    assert (last.keys, last.next_key) == (("01", "00"), None)
    assert kazoo5_page(KEYS, None, 2, lambda key: key in {"08", "03"}, ascending=False).next_key is None


def test_kazoo_43_leaves_stale_cursors() -> None:
    page = kazoo43_page(KEYS, None, 3, lambda _: True)
    assert (page.keys, page.next_key) == (("02", "01", "00"), "03")
    nothing = kazoo43_page(KEYS, None, 3, lambda _: False)
    assert nothing.keys == ()
    assert nothing.next_key is not None
    stale = kazoo43_page(KEYS, None, 3, lambda key: key in {"01", "09"})
    assert set(stale.keys) == {"01", "09"}
    assert stale.next_key is not None
    assert stale.next_key <= "09"


@pytest.mark.parametrize("key", ["0" * 32, "é", "", "x" * 300])
def test_cursors(key: str) -> None:
    assert decode_cursor(encode_cursor(key)) == key
    assert decode_cursor(encode_cursor(key, "above")) == key
    assert decode_cursor("not a cursor") == "not a cursor"
    for term in ("g2gBYQE", "g20AAAAB_w", "gw"):  # a tuple, a binary that is not UTF-8, nothing
        with pytest.raises(InvalidCursorError):
            decode_cursor(term)
    assert "=" not in encode_cursor(key)


DOCUMENT = {
    "id": "x",
    "type": "main",
    "numbers": ["10", "00"],
    "flag": True,
    "none": None,
    "empty": [],
    "count": 7,
    "zero": 0,
    "off": False,
    "mixed": ["10", 7],
    "flow": {"module": "menu", "data": {"a": 1}},
    "pvt_created": 100,
    "pvt_modified": 200,
}


@pytest.mark.parametrize(
    ("name", "value", "passes"),
    [
        ("filter_type", "main", True),
        ("filter_type", "other", False),
        ("filter_numbers", "1000", True),
        ("filter_flag", "true", True),
        ("filter_count", "7", True),
        ("filter_flow.module", "menu", True),
        ("filter_flow.data", '{"a":1}', True),
        ("filter_missing", "", True),
        ("filter_missing.below", "", True),
        ("filter_none", "null", True),
        ("filter_none", "", False),
        ("filter_mixed", "", True),
        ("filter_numbers.2", "00", True),
        ("filter_numbers.3", "", True),
        ("filter_numbers.x", "", True),
        ("filter_type", '"main"', True),
        ("filter_count", "[7]", False),
        ("filter_count", '["7"]', True),
        ("filter_type.x", "", False),
        ("filter_type", '["other","main"]', True),
        ("filter_type", '["other"]', False),
        ("filter_type", "[", False),
        ("filter_not_type", "main", False),
        ("filter_not_type", "other", True),
        ("filter_not_type.x", "main", False),
        ("has_key", "flow.data.a", True),
        ("has_key", "none", True),
        ("has_key", "numbers.1", True),
        ("has_key", "type.x", False),
        ("key_missing", "none", False),
        ("key_missing", "type.x", False),
        ("key_missing", "flow.x.y", True),
        ("has_value", "empty", False),
        ("has_value", "none", False),
        ("has_value", "zero", False),
        ("has_value", "flag", True),
        ("has_value", "off", True),
        ("has_value", "type", True),
        ("value_missing", "empty", True),
        ("created_from", "100", True),
        ("created_from", "101", False),
        ("created_from", "100.4", True),
        ("created_from", " 100", False),
        ("created_to", "100", True),
        ("modified_from", "201", False),
        ("modified_to", "x", False),
    ],
)
def test_filters(name: str, value: str, passes: bool) -> None:  # noqa: FBT001  # a row of a table
    assert matches(DOCUMENT, {name: value}) is passes


@pytest.mark.parametrize(
    ("name", "passes"), [("created_from", True), ("created_to", False), ("modified_from", True), ("modified_to", False)]
)
def test_a_document_without_dates_sorts_after_every_date(name: str, passes: bool) -> None:  # noqa: FBT001  # a row of a table
    assert matches({"id": "x"}, {name: "63900000000"}) is passes


async def test_a_repeated_filter_matches_nothing(session: aiohttp.ClientSession) -> None:
    async with Sandbox() as sandbox:
        ask = Raw(sandbox, session)
        await ask.login()
        assert (await ask("GET", ask.listing() + "?has_key=id"))[1]["data"]
        assert not (await ask("GET", ask.listing() + "?has_key=id&has_key=id"))[1]["data"]


def test_dates_of_changes(clock: FakeClock) -> None:
    sandbox = Sandbox(clock=clock, callflows=2)
    first, second = sandbox.callflow_ids(sandbox.root_id)
    now = int(clock.time()) + 62_167_219_200
    since = {"modified_from": str(now)}
    assert sandbox.callflow_ids(sandbox.root_id, since) == []
    sandbox.put(sandbox.root_id, {**sandbox.document(sandbox.root_id, first), "name": "Changed"})
    added = sandbox.put(sandbox.root_id, {"name": "New"})
    assert sandbox.callflow_ids(sandbox.root_id, since) == sorted([first, added])
    assert sandbox.callflow_ids(sandbox.root_id, {"created_from": str(now)}) == [added]
    sandbox.put(sandbox.root_id, {"id": second, "name": "Toggled"}, dated=False)
    assert sandbox.callflow_ids(sandbox.root_id, since) == sorted([first, added])
    clock.now += 60
    sandbox.put(sandbox.root_id, {"id": added, "name": "Newer"})
    assert sandbox.callflow_ids(sandbox.root_id, {"modified_from": str(now + 60)}) == [added]
    assert sandbox.callflow_ids(sandbox.root_id, {"created_from": str(now + 1)}) == []
    dated = sandbox.put(sandbox.root_id, {"name": "Old", "pvt_created": 1, "pvt_modified": 2})
    assert sandbox.callflow_ids(sandbox.root_id, {"modified_to": "2"}) == [dated]


def test_a_replaced_callflow_keeps_the_names_that_its_flow_refers_to() -> None:
    sandbox = Sandbox()
    first = next(
        each for each in sandbox.callflow_ids(sandbox.root_id) if sandbox.document(sandbox.root_id, each)["metadata"]
    )
    before = sandbox.document(sandbox.root_id, first)
    sandbox.put(sandbox.root_id, {**before, "name": "Changed"})
    assert sandbox.document(sandbox.root_id, first) == {**before, "name": "Changed"}
    ann = {"u1": {"name": "Ann", "pvt_type": "user"}}
    flow = {"module": "user", "data": {"id": "u1"}, "children": {}}
    new = sandbox.put(sandbox.root_id, {"flow": flow, "metadata": {**ann, "u2": {"name": "Bob"}}})
    assert sandbox.document(sandbox.root_id, new)["metadata"] == ann


def test_summaries() -> None:
    flow = {
        "module": "menu",
        "data": {"id": "m"},
        "children": {
            "1": {"module": "user", "data": {"skip_module": True}, "children": {"_": {"module": "menu", "data": {}}}},
            "2": {"module": "hangup"},
            "3": {"module": "play", "data": {}},
            "4": {"module": "tts", "data": []},
            "5": {"module": "say", "data": None},
            "6": {"module": "", "data": {}},
        },
    }
    row = summary({"id": "x", "flow": flow, "name": None, "numbers": [], "pvt_type": "callflow", "metaflow": {}})
    assert row == {
        "id": "x",
        "name": None,
        "numbers": [],
        "featurecode": False,
        "modules": ["menu", "play", "tts"],
        "flags": [],
    }
    odd: dict[str, Any] = {"featurecode": {}, "flags": {}}
    assert summary({"id": "x", **odd}) == {"id": "x", "modules": [], **odd}
    for empty in (None, False, 0, ""):
        row = summary({"id": "x", "featurecode": empty, "flags": empty})
        assert (row["featurecode"], row["flags"]) == (False, [])


def test_documents_depend_on_the_seed_alone() -> None:
    one, same, other = (Sandbox(seed=seed, callflows=200) for seed in (1, 1, 2))
    ids = one.callflow_ids(one.root_id)
    assert ids == same.callflow_ids(same.root_id)
    assert [one.document(one.root_id, each) for each in ids] == [same.document(same.root_id, each) for each in ids]
    assert one.root_id != other.root_id
    assert len(ids) == 200


def test_every_quirk_comes_up_and_metadata_resolves() -> None:
    sandbox = Sandbox(callflows=600)
    whole = [sandbox.document(sandbox.root_id, each) for each in sandbox.callflow_ids(sandbox.root_id)]
    text = json.dumps(whole)
    assert len(QUIRKS) == 10
    for mark in (
        '"children": []',
        '"skip_module": true',
        '"qubicle"',
        "undefinedMainNumber",
        '"id": ""',
        '"ui_metadata"',
        '"module": "callflow"',
        '"metaflow": null',
        '{"module": "noop", "children"',
        '"timeout": "20"',
        '"sip:486"',
        '"ON_FAX"',
        '"+14155550100"',
    ):
        assert mark in text, mark
    assert [each for each in whole if "flow" not in each]
    assert [each for each in whole if any(entry["name"] == "Office hours" for entry in each["metadata"].values())]


def test_a_hundred_thousand_accounts_cost_nothing() -> None:
    sandbox = Sandbox(accounts=100_000)
    assert len(sandbox.account_ids) == 100_000
    assert sandbox.callflow_ids(sandbox.account_ids[99_999])
    assert sandbox.account_ids[-1] == sandbox.account_ids[99_999]
    assert len(sandbox.account_ids[5:8]) == 3
    with pytest.raises(IndexError):
        sandbox.account_ids[100_000]


@pytest.mark.parametrize(
    "options",
    [
        *({"dialect": "kazoo3"}, {"accounts": 0}, {"accounts": 1.5}, {"accounts": "3"}),
        *({"rate_limit": bad} for bad in (None, 5, "ab", (5,), (1, 2, 3), (0, 1), (1, -1), (1.5, 1), ("5", "1"))),
        *({"login_cost": bad} for bad in (-1, 1.5, "1", None, True)),
        *({"token_ttl": bad} for bad in (0, -1, "60", None, math.inf, math.nan, True)),
        *({"port": bad} for bad in (-1, 65_536, "80", None, True)),
        *({"faults": bad} for bad in (0.5, Faults, "reset")),
    ],
    ids=str,
)
def test_bad_arguments_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Sandbox(**options)


async def test_a_sandbox_that_runs_or_does_not() -> None:
    sandbox = Sandbox()
    with pytest.raises(ConfigurationError, match="has not been started"):
        sandbox.client()
    async with sandbox:
        with pytest.raises(ConfigurationError, match="already running"):
            await sandbox.start()
        async with sandbox.client() as client:
            await client.callflows.list(sandbox.root_id)


def test_one_sandbox_in_several_event_loops() -> None:
    sandbox = Sandbox()
    sandbox.hang(sandbox.root_id)

    async def ask() -> None:
        async with sandbox, sandbox.client(timeout=0.1, retry=RetryPolicy(attempts=1)) as client:
            with pytest.raises(APITimeoutError):
                await client.callflows.list(sandbox.root_id)

    for _ in range(2):
        asyncio.run(ask())


@pytest.mark.parametrize("status", [0, 200, 399, 600, 403.0, "403", None, True])
def test_a_bad_status_for_a_denied_account_is_refused(status: Any) -> None:
    sandbox = Sandbox()
    with pytest.raises(ConfigurationError, match="'status' must be an int from 400 to 599"):
        sandbox.deny(sandbox.root_id, status)


@pytest.mark.parametrize(
    ("callflows", "message"),
    [
        *((bad, "must be an int or a tuple of two ints") for bad in ("4", "45", 4.0, None, True, (1, 2.5))),
        *((bad, "must be an int or a tuple of two ints") for bad in ((5,), (1, 2, 3), ())),
        *((bad, "must not be negative") for bad in (-1, (-1, 2))),
        ((5, 2), "5 is greater than 2"),
    ],
    ids=str,
)
def test_bad_numbers_of_callflows_are_refused(callflows: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"callflows .*{message}"):
        Sandbox(callflows=callflows)


def test_numbers_of_callflows() -> None:
    for callflows, counts in ((0, {0}), (3, {3}), ((2, 2), {2}), ((0, 1), {0, 1})):
        sandbox = Sandbox(accounts=20, callflows=callflows)
        assert {len(sandbox.callflow_ids(account)) for account in sandbox.account_ids} == counts


def nested_flow(nodes: int) -> dict[str, Any]:
    flow: dict[str, Any] = {}
    for _ in range(nodes):
        flow = {"children": {"_": flow}}
    return flow


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"name": "Caf\u00e9 \ud800"}, "lone surrogate"),
        ({"flow": {"data": {"\udfff": 1}}}, "lone surrogate"),
        ({"name": object()}, "type object"),
        ({"flow": nested_flow(5_000)}, "too deeply"),
        ([1], "must be a mapping, not list"),
    ],
    ids=["value", "key", "object", "depth", "list"],
)
def test_documents_that_json_cannot_contain_are_refused(document: Any, message: str) -> None:
    sandbox = Sandbox()
    before = sandbox.callflow_ids(sandbox.root_id)
    with pytest.raises(ConfigurationError, match=message):
        sandbox.put(sandbox.root_id, document)
    assert sandbox.callflow_ids(sandbox.root_id) == before


async def test_odd_documents_are_served(session: aiohttp.ClientSession) -> None:
    async with Sandbox(callflows=1) as sandbox:
        ask = Raw(sandbox, session)
        await ask.login()
        flow = {"module": ["menu"], "data": {}, "children": {"_": {"module": "play", "data": "x", "children": [{}]}}}
        odd = sandbox.put(sandbox.root_id, {"flow": flow})
        flow["module"] = "changed after the call"
        status, body = await ask("GET", f"{ask.listing()}/{odd}")
        assert (status, body["data"]["flow"]["module"], body["data"]["metadata"]) == (200, ["menu"], {})
        assert (await ask("PUT", ask.listing(), {"id": 5, "numbers": ["4711"]}))[1]["data"]["id"] == "5"
        status, body = await ask("GET", ask.listing())
        assert (status, {"5", odd} < {row["id"] for row in body["data"]}) == (200, True)
