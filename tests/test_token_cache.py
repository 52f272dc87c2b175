"""The token cache: concurrent calls share a single login, and a refused login is not repeated at once."""

import asyncio
from typing import Any

import pytest
from fake_clock import FakeClock
from test_credentials import jwt

from vinix_async import (
    APIConnectionError,
    ApiKeyAuth,
    Auth,
    AuthenticationError,
    ConfigurationError,
    RateLimitError,
    ServerError,
    TokenAuth,
    VinixError,
)
from vinix_async._http.request import Request
from vinix_async._http.response import Envelope
from vinix_async._http.status_errors import clean
from vinix_async._pipeline.credentials import Token
from vinix_async._pipeline.token_cache import TokenCache


class Login:
    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.calls = 0
        self.gate: asyncio.Event | None = None
        self.error: VinixError | None = None
        self.life: float | None = None

    async def __call__(self, request: Request) -> Envelope:
        assert request.target == "/api_auth"
        self.calls += 1
        number = self.calls
        if self.gate:
            await self.gate.wait()
        if self.error:
            raise self.error
        life = self.life
        token = f"token-{number}" if life is None else jwt({"exp": self.clock.time() + life, "n": number})
        return Envelope(data={}, auth_token=token)


class Cache:
    """A cache and its login."""

    def __init__(self, auth: Auth, login: Login, clock: FakeClock) -> None:
        self.cache = TokenCache(auth, clock)
        self.login = login

    async def token(self) -> Token:
        return await self.cache.get(self.login)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cache, name)


@pytest.fixture
def login(clock: FakeClock) -> Login:
    return Login(clock)


@pytest.fixture
def cache(clock: FakeClock, login: Login) -> Cache:
    return Cache(ApiKeyAuth("k" * 64), login, clock)


def refusal() -> AuthenticationError:
    return AuthenticationError("no", status=401)


async def test_a_thousand_calls_share_one_login(cache: Cache, login: Login) -> None:
    tokens = await asyncio.gather(*(cache.token() for _ in range(1000)))
    assert {token.value for token in tokens} == {"token-1"}
    assert (await cache.token()).value == "token-1"
    assert login.calls == 1


async def test_each_call_gets_its_own_copy_of_the_error(cache: Cache, login: Login) -> None:
    login.error = refusal()
    errors = await asyncio.gather(*(cache.token() for _ in range(100)), return_exceptions=True)
    assert {type(error) for error in errors} == {AuthenticationError}
    assert len({id(error) for error in errors}) == 100
    assert login.calls == 1


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(refusal(), 30.0), (RateLimitError("slow", status=429), 4.2), (ServerError("down", status=503), 0)],
)
async def test_a_refused_login_is_not_repeated_for_a_while(
    cache: Cache, login: Login, clock: FakeClock, error: VinixError, seconds: float
) -> None:
    login.error = error
    with pytest.raises(type(error)):
        await cache.token()
    login.error = None
    if seconds:
        clock.now += seconds - 0.1
        told = await asyncio.gather(cache.token(), cache.token(), return_exceptions=True)
        assert {type(each) for each in told} == {type(error)}
        assert told[0] is not told[1]
        assert login.calls == 1
        clock.now += 0.2
    assert (await cache.token()).value == "token-2"


async def test_a_late_refusal_of_an_old_token_keeps_the_new_one(cache: Cache, login: Login) -> None:
    old = await cache.token()
    cache.refused(old)
    new = await cache.token()
    cache.accepted()
    assert cache.refused(old)  # to be tried again with the new one
    assert cache.is_current(new)
    assert await cache.token() is new
    assert login.calls == 2


async def test_the_old_token_is_used_while_a_new_one_is_fetched(cache: Cache, login: Login, clock: FakeClock) -> None:
    login.life = 3600
    old = await cache.token()
    clock.now += 3545
    login.gate = asyncio.Event()
    renewing = asyncio.create_task(cache.token())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await cache.token() is old
    login.gate.set()
    new = await renewing
    assert new is not old
    assert await cache.token() is new
    assert login.calls == 2


async def test_a_failed_refresh_leaves_the_old_token(cache: Cache, login: Login, clock: FakeClock) -> None:
    login.life = 3600
    old = await cache.token()
    clock.now += 3545
    login.error = ServerError("down", status=503)
    assert (await cache.token()).value == old.value
    assert (await cache.token()).value == old.value
    assert login.calls == 2
    clock.now += 100
    with pytest.raises(ServerError):
        await cache.token()


async def test_a_failed_refresh_does_not_bring_a_refused_token_back(
    cache: Cache, login: Login, clock: FakeClock
) -> None:
    login.life = 3600
    old = await cache.token()
    clock.now += 3545
    login.gate = asyncio.Event()
    renewing = asyncio.create_task(cache.token())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert cache.refused(old)
    login.error = ServerError("down", status=503)
    login.gate.set()
    await renewing
    login.error = None
    assert (await cache.token()).value != old.value


async def test_cancelling_the_last_waiting_call_cancels_the_login(cache: Cache, login: Login) -> None:
    login.gate = asyncio.Event()
    waiters = [asyncio.create_task(cache.token()) for _ in range(3)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    await asyncio.wait(waiters[:1])
    for _ in range(5):
        await asyncio.sleep(0)
    assert login.calls == 1
    assert not waiters[1].done()
    for waiter in waiters:
        waiter.cancel()
    fresh = asyncio.create_task(cache.token())
    await asyncio.wait(waiters)
    await asyncio.sleep(0)
    another = asyncio.create_task(cache.token())  # joins the second login, not the cancelled one
    await asyncio.sleep(0)
    login.gate.set()
    assert await fresh is await another
    assert login.calls == 2
    assert {waiter.cancelled() for waiter in waiters} == {True}
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_calls_that_waited_for_an_earlier_login_do_not_keep_a_later_one(cache: Cache, login: Login) -> None:
    login.gate = asyncio.Event()
    login.error = ServerError("down", status=503)
    waiters = [asyncio.create_task(cache.token()) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    login.gate.set()
    login.gate = asyncio.Event()
    late = asyncio.create_task(cache.token())  # begins after the login has failed, before its waiters run
    await asyncio.sleep(0)
    late.cancel()
    await asyncio.wait([*waiters, late])
    assert late.cancelled()
    assert {type(waiter.exception()) for waiter in waiters} == {ServerError}
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1
    assert cache.cache._login is None


async def test_new_tokens_that_are_never_accepted_are_not_fetched_again(
    cache: Cache, login: Login, clock: FakeClock
) -> None:
    assert cache.refused(await cache.token())
    last = await cache.token()
    assert not cache.refused(last)
    assert await cache.token() is last  # it may be good for others
    assert login.calls == 2
    clock.now += 31
    assert cache.refused(last)
    await cache.token()
    assert login.calls == 3


async def test_tokens_that_expired_without_a_success_do_not_count_as_refused(
    cache: Cache, login: Login, clock: FakeClock
) -> None:
    """As in an outage: the tokens were renewed, but no request has succeeded since."""
    login.life = 20
    for _ in range(3):
        token = await cache.token()
        clock.now += 21
    token = await cache.token()
    assert cache.refused(token)
    assert (await cache.token()).value != token.value


async def test_an_accepted_token_may_be_refused_later(cache: Cache, login: Login) -> None:
    for _ in range(5):
        token = await cache.token()
        cache.accepted()
        cache.refused(token)
    assert login.calls == 5


async def test_a_given_token_cannot_be_renewed(clock: FakeClock, login: Login) -> None:
    cache = Cache(TokenAuth("given"), login, clock)
    assert not cache.renewable
    assert (await cache.token()).value == "given"
    assert login.calls == 0


async def test_a_shared_error_keeps_its_cause(cache: Cache, login: Login) -> None:
    login.error = APIConnectionError("refused")
    login.error.__cause__ = ConnectionRefusedError(111, "Connection refused")
    for error in await asyncio.gather(cache.token(), cache.token(), return_exceptions=True):
        assert isinstance(error, APIConnectionError)
        assert error is not login.error
        assert isinstance(error.__cause__, ConnectionRefusedError)


async def test_credentials_without_a_login_request_are_refused(clock: FakeClock, login: Login) -> None:
    class Odd(Auth):
        def login_request(self) -> None:
            return

        def secrets(self) -> tuple[str, ...]:
            return ()

    with pytest.raises(ConfigurationError, match=r"Odd\.login_request\(\) must return a request"):
        await Cache(Odd(), login, clock).token()


async def test_secrets_are_those_of_the_credentials_and_the_token(cache: Cache) -> None:
    token = await cache.token()
    shown = clean(f"{'k' * 64} {token.value}", token.secrets)
    assert shown == "[redacted] [redacted]"


@pytest.mark.parametrize(("life", "margin"), [(3600, 60), (100, 10)])
async def test_a_token_is_refreshed_before_it_expires(
    cache: Cache, login: Login, clock: FakeClock, life: float, margin: float
) -> None:
    login.life = life
    token = await cache.token()
    clock.now += life - margin - 1
    assert await cache.token() is token
    clock.now += 2
    assert await cache.token() is not token
