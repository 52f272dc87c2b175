"""One exchange for all who wait."""

import asyncio
from typing import Any

import pytest
from fake_clock import FakeClock
from test_auth import jwt

from vinix_async import ApiKeyAuth, AuthenticationError, RateLimitError, ServerError, TokenAuth, VinixError
from vinix_async._http.request import Envelope, Request
from vinix_async._pipeline.token_cache import TokenSource


class Exchange:
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


@pytest.fixture
def exchange(clock: FakeClock) -> Exchange:
    return Exchange(clock)


@pytest.fixture
def source(clock: FakeClock, exchange: Exchange) -> TokenSource:
    return TokenSource(ApiKeyAuth("k" * 64), exchange, clock)


def refusal() -> AuthenticationError:
    return AuthenticationError("no", status=401)


async def test_a_thousand_who_wait_share_one_exchange(source: TokenSource, exchange: Exchange) -> None:
    tokens = await asyncio.gather(*(source.token() for _ in range(1000)))
    assert {token.value for token in tokens} == {"token-1"}
    assert (await source.token()).value == "token-1"
    assert exchange.calls == 1


async def test_they_share_its_error_each_with_a_copy(source: TokenSource, exchange: Exchange) -> None:
    exchange.error = refusal()
    errors = await asyncio.gather(*(source.token() for _ in range(100)), return_exceptions=True)
    assert {type(error) for error in errors} == {AuthenticationError}
    assert len({id(error) for error in errors}) == 100
    assert exchange.calls == 1


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(refusal(), 30.0), (RateLimitError("slow", status=429), 4.2), (ServerError("down", status=503), 0)],
)
async def test_a_refusal_is_believed_for_a_while(
    source: TokenSource, exchange: Exchange, clock: FakeClock, error: VinixError, seconds: float
) -> None:
    exchange.error = error
    with pytest.raises(type(error)):
        await source.token()
    exchange.error = None
    if seconds:
        clock.now += seconds - 0.1
        told = await asyncio.gather(source.token(), source.token(), return_exceptions=True)
        assert {type(each) for each in told} == {type(error)}
        assert told[0] is not told[1]
        assert exchange.calls == 1
        clock.now += 0.2
    assert (await source.token()).value == "token-2"


async def test_a_late_refusal_of_an_old_token_keeps_the_new_one(source: TokenSource, exchange: Exchange) -> None:
    old = await source.token()
    source.refused(old)
    new = await source.token()
    source.proven()
    assert source.refused(old)  # to be tried again with the new one
    assert source.is_current(new)
    assert await source.token() is new
    assert exchange.calls == 2


async def test_the_old_token_serves_while_the_new_one_is_fetched(
    source: TokenSource, exchange: Exchange, clock: FakeClock
) -> None:
    exchange.life = 3600
    old = await source.token()
    clock.now += 3545
    exchange.gate = asyncio.Event()
    renewing = asyncio.create_task(source.token())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await source.token() is old
    exchange.gate.set()
    new = await renewing
    assert new is not old
    assert await source.token() is new
    assert exchange.calls == 2


async def test_a_renewal_that_fails_leaves_the_old_token(
    source: TokenSource, exchange: Exchange, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    exchange.life = 3600
    old = await source.token()
    clock.now += 3545
    exchange.error = ServerError("down", status=503)
    assert (await source.token()).value == old.value
    assert (await source.token()).value == old.value
    assert exchange.calls == 2
    assert "could not be renewed" in caplog.text
    clock.now += 100
    with pytest.raises(ServerError):
        await source.token()


async def test_a_renewal_that_fails_does_not_bring_a_refused_token_back(
    source: TokenSource, exchange: Exchange, clock: FakeClock
) -> None:
    exchange.life = 3600
    old = await source.token()
    clock.now += 3545
    exchange.gate = asyncio.Event()
    renewing = asyncio.create_task(source.token())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert source.refused(old)
    exchange.error = ServerError("down", status=503)
    exchange.gate.set()
    await renewing
    exchange.error = None
    assert (await source.token()).value != old.value


async def test_the_last_one_who_waits_takes_the_exchange_along(source: TokenSource, exchange: Exchange) -> None:
    exchange.gate = asyncio.Event()
    waiters = [asyncio.create_task(source.token()) for _ in range(3)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    await asyncio.wait(waiters[:1])
    for _ in range(5):
        await asyncio.sleep(0)
    assert exchange.calls == 1
    assert not waiters[1].done()
    for waiter in waiters:
        waiter.cancel()
    fresh = asyncio.create_task(source.token())
    await asyncio.wait(waiters)
    await asyncio.sleep(0)
    another = asyncio.create_task(source.token())  # the exchange that was cancelled is over, the fresh one is not
    await asyncio.sleep(0)
    exchange.gate.set()
    assert await fresh is await another
    assert exchange.calls == 2
    assert {waiter.cancelled() for waiter in waiters} == {True}
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_those_who_waited_for_another_exchange_do_not_hold_this_one(
    source: TokenSource, exchange: Exchange
) -> None:
    exchange.gate = asyncio.Event()
    exchange.error = ServerError("down", status=503)
    waiters = [asyncio.create_task(source.token()) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    exchange.gate.set()
    exchange.gate = asyncio.Event()
    late = asyncio.create_task(source.token())  # begins when the exchange has failed and the waiters do not know it
    await asyncio.sleep(0)
    late.cancel()
    await asyncio.wait([*waiters, late])
    assert late.cancelled()
    assert {type(waiter.exception()) for waiter in waiters} == {ServerError}
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1
    assert source._task is None


async def test_new_tokens_that_are_never_accepted_are_not_asked_for_again(
    source: TokenSource, exchange: Exchange, clock: FakeClock
) -> None:
    assert source.refused(await source.token())
    last = await source.token()
    assert not source.refused(last)
    assert await source.token() is last  # it may be good for others
    assert exchange.calls == 2
    clock.now += 31
    assert source.refused(last)
    await source.token()
    assert exchange.calls == 3


async def test_an_accepted_token_may_be_refused_later(source: TokenSource, exchange: Exchange) -> None:
    for _ in range(5):
        token = await source.token()
        source.proven()
        source.refused(token)
    assert exchange.calls == 5


async def test_a_token_that_is_given_is_all_there_is(clock: FakeClock, exchange: Exchange) -> None:
    source = TokenSource(TokenAuth("given"), exchange, clock)
    assert not source.renewable
    assert (await source.token()).value == "given"
    assert exchange.calls == 0


def test_types_are_told(source: TokenSource) -> None:
    value: Any = source.renewable
    assert value is True
