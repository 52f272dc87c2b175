"""Arguments and credentials of a client: the constructor, the environment, functions, ``whoami``."""

import asyncio
import inspect
import typing
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from attrs import fields
from fake_clock import FakeClock
from scripted import Scripted, failure, success
from test_credentials import jwt

from vinix_async import (
    ApiKeyAuth,
    APITimeoutError,
    Auth,
    AuthenticationError,
    ConfigurationError,
    Identity,
    Limits,
    RetryPolicy,
    TokenAuth,
    UserAuth,
    VinixClient,
)
from vinix_async._client import ClientOptions

ACCOUNT = "a" * 32
KEY = "k" * 64
NAMES = ("AUTH_TOKEN", "API_KEY", "USERNAME", "PASSWORD", "ACCOUNT_NAME", "ACCOUNT_REALM", "PHONE_NUMBER", "BASE")


# --- numbers and other arguments -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"auth": 7}, "auth is of type int"),
        ({"auth": ""}, "token"),
        ({"auth": "two words"}, "token"),
        ({"base_url": "api.example.com/v2"}, "base_url must be an absolute URL"),
        ({"base_url": "https://api.example.com:0/v2"}, "base_url must be an absolute URL"),
        ({"base_url": "http://api.example.com/v2"}, "allow_http"),
        ({"retry": 3}, "retry must be a RetryPolicy, not int"),
        ({"limits": 3}, "limits must be a Limits, not int"),
        ({"timeout": 0}, "timeout must be a finite number of seconds greater than 0, not 0"),
        ({"timeout": float("nan")}, "timeout must be a finite number of seconds greater than 0, not nan"),
        ({"timeout": "30"}, "timeout must be a number of seconds or an aiohttp.ClientTimeout, not str"),
        ({"deadline": -1}, "deadline must be None or a finite number of seconds greater than 0, not -1"),
        ({"deadline": True}, "deadline"),
        ({"on_retry": 3}, "on_retry must be a callable"),
        ({"session": 3}, "session must be an aiohttp.ClientSession, not int"),
        ({"ssl": True}, "ssl must be an ssl.SSLContext, not bool"),
        ({"proxy": "proxy:3128"}, "proxy must be an absolute URL"),
    ],
)
def test_bad_arguments_are_refused_at_once(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        VinixClient(**{"auth": "a-token", **arguments})
    assert caught.value.attempts == 0


@pytest.mark.parametrize("kind", [RetryPolicy, Limits])
def test_every_setting_is_checked(kind: Any) -> None:
    for each in fields(kind):
        for wrong in ("5", -1, True, float("nan"), float("inf"), object()):
            values = (wrong, [wrong]) if each.name == "statuses" and wrong != -1 else (wrong,)
            for value in values:
                with pytest.raises(ConfigurationError, match=each.name):
                    kind(**{each.name: value})
        if each.default is not None and each.name not in {"statuses", "outage_wait", "deadline"}:
            with pytest.raises(ConfigurationError, match=each.name):
                kind(**{each.name: None})


def test_settings_that_are_accepted() -> None:
    assert RetryPolicy(statuses=[503]).statuses == frozenset({503})
    assert RetryPolicy(outage_wait=0, deadline=None, wait_initial=0).outage_wait == 0
    assert Limits(rate=0.5, keepalive=0).rate == 0.5


def test_a_proxy_of_the_environment_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "planted-password@proxy")
    with pytest.raises(ConfigurationError, match="proxy must be an absolute URL") as caught:
        VinixClient(auth="t", trust_env=True)
    assert "planted" not in str(caught.value)
    VinixClient(auth="t")


# --- the environment -----------------------------------------------------------------------------


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    for name in NAMES:
        monkeypatch.delenv(f"VINIX_{name}", raising=False)

    def set_all(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"VINIX_{name}", value)

    return set_all


def credentials_of(client: VinixClient) -> Any:
    return client._sender._auth


def test_the_environment_gives_the_address_and_the_credentials(environment: Any) -> None:
    environment(BASE="http://127.0.0.1:9/v2", USERNAME="ann", PASSWORD="planted-password", ACCOUNT_NAME="acme")
    client = VinixClient.from_env()
    assert credentials_of(client) == UserAuth("ann", "planted-password", account_name="acme")
    assert client.base_url == "http://127.0.0.1:9/v2"
    environment(API_KEY=KEY)
    assert credentials_of(VinixClient.from_env()) == ApiKeyAuth(KEY)
    environment(AUTH_TOKEN="a-token")
    assert credentials_of(VinixClient.from_env()) == TokenAuth("a-token")


def test_arguments_come_before_the_environment(environment: Any) -> None:
    environment(BASE="http://127.0.0.1:9/v2", AUTH_TOKEN="a-token")
    client = VinixClient.from_env(auth="other", base_url="http://127.0.0.1:8/v2", timeout=3)
    assert credentials_of(client) == TokenAuth("other")
    assert client.base_url == "http://127.0.0.1:8/v2"
    assert client._options.timeout == 3
    environment(BASE="")
    assert VinixClient.from_env().base_url == "https://api.vinixglobal.com/v2"


@pytest.mark.parametrize(
    ("selector", "argument"),
    [("ACCOUNT_NAME", "account_name"), ("ACCOUNT_REALM", "account_realm"), ("PHONE_NUMBER", "phone_number")],
)
def test_each_variable_for_the_account(environment: Any, selector: str, argument: str) -> None:
    environment(USERNAME="ann", PASSWORD="pw", **{selector: "acme"})
    assert credentials_of(VinixClient.from_env()) == UserAuth("ann", "pw", **{argument: "acme"})


@pytest.mark.parametrize("given", [{}, {"USERNAME": "ann"}, {"PASSWORD": "pw"}, {"ACCOUNT_NAME": "acme"}])
def test_incomplete_credentials_name_the_variables(environment: Any, given: dict[str, str]) -> None:
    environment(**given)
    with pytest.raises(ConfigurationError, match="VINIX_AUTH_TOKEN, or VINIX_API_KEY, or VINIX_USERNAME"):
        VinixClient.from_env()


def test_the_options_of_from_env_are_those_of_the_constructor() -> None:
    parameters = inspect.signature(VinixClient).parameters
    assert list(ClientOptions.__annotations__) == list(parameters)
    hint = VinixClient.from_env.__func__.__annotations__["overrides"]  # type: ignore[attr-defined]  # of a class method
    assert hint == typing.Unpack[ClientOptions]


# --- functions as credentials --------------------------------------------------------------------


def at_once(tokens: list[Auth | str]) -> Callable[[str], Auth | str]:
    return lambda _: tokens.pop(0)


def awaited(tokens: list[Auth | str]) -> Callable[[str], Awaitable[Auth | str]]:
    async def auth(_: str) -> Auth | str:
        await asyncio.sleep(0)
        return tokens.pop(0)

    return auth


def accepting(token: str) -> Any:
    return lambda request: success(request) if request.headers["X-Auth-Token"] == token else failure(request, 401)


@pytest.mark.parametrize("kind", [at_once, awaited])
async def test_a_function_is_asked_once_more_after_a_401(server: Scripted, kind: Any) -> None:
    server.otherwise = accepting("new")
    tokens: list[Auth | str] = ["old", "new", "not asked for"]
    async with VinixClient(auth=kind(tokens), base_url=server.url) as client:
        await client.callflows.list(ACCOUNT)
    assert [request.headers["X-Auth-Token"] for request in server.requests] == ["old", "new"]
    assert tokens == ["not asked for"]


@pytest.mark.parametrize("kind", [at_once, awaited])
async def test_a_function_that_gives_the_refused_token_again_fails(server: Scripted, kind: Any) -> None:
    server.otherwise = accepting("new")
    async with VinixClient(auth=kind(["old", TokenAuth("old")]), base_url=server.url) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.callflows.list(ACCOUNT)
    assert (caught.value.attempts, len(server.requests)) == (1, 1)


async def test_a_function_whose_second_token_is_refused_is_not_asked_again(server: Scripted) -> None:
    server.otherwise = accepting("third")
    tokens: list[Auth | str] = ["first", "second", "third"]
    async with VinixClient(auth=awaited(tokens), base_url=server.url) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.callflows.list(ACCOUNT)
    assert (caught.value.attempts, tokens) == (2, ["third"])


async def test_a_retry_uses_the_token_that_was_accepted(server: Scripted, clock: FakeClock) -> None:
    server.script = [lambda request: failure(request, 401), lambda request: failure(request, 500)]
    tokens: list[Auth | str] = ["old", "new"]
    async with VinixClient(auth=at_once(tokens), base_url=server.url, clock=clock) as client:
        await client.callflows.list(ACCOUNT)
    assert [request.headers["X-Auth-Token"] for request in server.requests] == ["old", "new", "new"]


@pytest.mark.parametrize("kind", [at_once, awaited])
async def test_a_function_that_fails_is_the_cause(server: Scripted, kind: Any) -> None:
    async with VinixClient(auth=kind([]), base_url=server.url) as client:
        with pytest.raises(ConfigurationError, match="the auth function failed with IndexError") as caught:
            await client.callflows.list(ACCOUNT)
        assert isinstance(caught.value.__cause__, IndexError)
        assert (caught.value.account_id, caught.value.attempts) == (ACCOUNT, 0)
    assert server.requests == []


async def test_a_function_that_waits_for_a_cancelled_task_fails_for_its_account_only(server: Scripted) -> None:
    async def auth(account_id: str) -> str:
        if account_id == ACCOUNT:
            task = asyncio.ensure_future(asyncio.sleep(3600))
            task.cancel()
            await task
        return "t"

    async with VinixClient(auth=auth, base_url=server.url) as client:
        with pytest.raises(ConfigurationError, match="the auth function failed with CancelledError"):
            await client.callflows.list(ACCOUNT)
        results = await client.callflows.list_many([ACCOUNT, "other"], max_concurrency=1).collect()
    assert type(results[ACCOUNT].error) is ConfigurationError
    assert results["other"].ok


async def test_a_call_that_is_cancelled_while_a_function_runs_is_cancelled(server: Scripted) -> None:
    entered = asyncio.Event()

    async def auth(_: str) -> str:
        entered.set()
        await asyncio.sleep(3600)
        return "t"

    async with VinixClient(auth=auth, base_url=server.url) as client:
        call = asyncio.ensure_future(client.callflows.get(ACCOUNT, "c"))
        await entered.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_a_function_that_returns_something_else(server: Scripted) -> None:
    async with VinixClient(auth=lambda _: 7, base_url=server.url) as client:  # type: ignore[arg-type,return-value]  # the point
        with pytest.raises(ConfigurationError, match="the auth function returned a value of type int"):
            await client.callflows.list(ACCOUNT)


async def test_the_deadline_bounds_a_function_too(server: Scripted) -> None:
    async def hang(_: str) -> str:
        await asyncio.sleep(3600)
        return "t"

    async with VinixClient(auth=hang, base_url=server.url, deadline=0.05) as client:
        with pytest.raises(APITimeoutError, match="not sent"):
            await client.callflows.list(ACCOUNT)


# --- whoami --------------------------------------------------------------------------------------

ME = {"account_id": "a1", "owner_id": "u1", "account_name": "Acme", "is_reseller": True, "reseller_id": "r1"}
IDENTITY = Identity(account_id="a1", owner_id="u1", account_name="Acme", is_reseller=True, reseller_id="r1")


async def test_whoami_reads_the_login(server: Scripted) -> None:
    server.login = lambda request: success(request, ME, status=201, auth_token="t")
    async with VinixClient(auth=ApiKeyAuth(KEY), base_url=server.url) as client:
        assert await client.whoami() == IDENTITY
        assert await client.whoami() == IDENTITY
    assert [request.path for request in server.requests] == ["/v2/api_auth"]


async def test_whoami_reads_the_claims_of_a_token(server: Scripted) -> None:
    async with VinixClient(auth=jwt(ME), base_url=server.url) as client:
        assert await client.whoami() == IDENTITY
    assert server.requests == []


@pytest.mark.parametrize("token", ["opaque", jwt({"exp": 5})])
async def test_whoami_asks_where_the_token_does_not_say(server: Scripted, token: str) -> None:
    def who(request: web.Request) -> web.Response:
        assert (request.method, request.path) == ("GET", "/v2/token_auth")
        assert request.headers["X-Auth-Token"] == token
        return success(request, ME)

    server.login = who
    async with VinixClient(auth=token, base_url=server.url) as client:
        assert await client.whoami() == IDENTITY
    assert len(server.requests) == 1


async def test_whoami_of_refused_credentials(server: Scripted) -> None:
    server.login = lambda request: failure(request, 401)
    async with VinixClient(auth="opaque", base_url=server.url) as client:
        with pytest.raises(AuthenticationError, match=r"refused the token .*\[GET /token_auth\]"):
            await client.whoami()
    async with VinixClient(auth=ApiKeyAuth(KEY), base_url=server.url) as other:
        with pytest.raises(AuthenticationError, match=r"the login .* \[PUT /api_auth\]"):
            await other.whoami()


async def test_whoami_needs_one_set_of_credentials(server: Scripted) -> None:
    async with VinixClient(auth=lambda _: "t", base_url=server.url) as client:
        with pytest.raises(ConfigurationError, match="auth is a function"):
            await client.whoami()
    assert server.requests == []
