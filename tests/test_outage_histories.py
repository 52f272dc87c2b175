"""Random histories of a server that goes away and comes back, and of calls that are cancelled or have deadlines."""

import asyncio
from typing import Any

from hypothesis import event, given, note
from hypothesis import strategies as st
from simulated import LoopClock, SimulatedServer, virtual
from test_outage import assert_at_rest

from vinix_async import ApiKeyAuth, ClientClosedError, Limits, RetryPolicy, VinixError

KINDS = ["ok", "ok", 502, "refused", "hang", "html", "json 503", "json 500", "name"]

calls = st.fixed_dictionaries(
    {
        "begins": st.floats(0, 40),
        "what": st.sampled_from(["list", "list", "get", "accounts", "whoami"]),
        "account": st.integers(0, 9),
        "outage_wait": st.sampled_from([None, 0.0, 3.0, 30.0, 300.0]),
        "attempts": st.sampled_from([1, 2, 5]),
        "deadline": st.none() | st.floats(0.01, 30),
        "cancelled_after": st.none() | st.none() | st.floats(0, 20),
    }
)
histories = st.fixed_dictionaries(
    {
        "weather": st.lists(st.tuples(st.floats(0.05, 15), st.sampled_from(KINDS)), max_size=6),
        "broken": st.dictionaries(st.integers(0, 9), st.sampled_from([503, "json 500", "json 404", "hang", 429])),
        "calls": st.lists(calls, min_size=1, max_size=40),
        "closes": st.none() | st.none() | st.floats(0, 40),
        "logs_in": st.booleans(),
        "narrow": st.booleans(),
        "seed": st.integers(1, 1000),
    }
)


class Weather:
    """What the server does at a time, and to an account that is broken for good."""

    def __init__(self, history: dict[str, Any]) -> None:
        self.spells: list[tuple[float, Any]] = []
        end = 0.0
        for seconds, kind in history["weather"]:
            end += seconds
            self.spells.append((end, kind))
        self.ends = max((until for until, kind in self.spells if kind != "ok"), default=0.0)
        self.broken = {f"account{number}": kind for number, kind in history["broken"].items()}

    def __call__(self, target: str, now: float) -> str | int:
        kind: str | int = next((kind for until, kind in self.spells if now < until), "ok")
        parts = target.split("/")
        account = parts[2] if len(parts) > 2 else None
        if kind == "ok" and account in self.broken:
            return self.broken[account]
        return kind


@given(histories)
def test_every_call_ends_and_nothing_is_left(history: dict[str, Any]) -> None:
    _check(history)


@virtual
async def _check(history: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    server = SimulatedServer()
    weather = server.fate = Weather(history)
    client = server.client(
        auth=ApiKeyAuth("a-key-of-some-length") if history["logs_in"] else "a-token",
        clock=LoopClock(history["seed"]),
        limits=Limits(max_concurrency=2 if history["narrow"] else 100),
        timeout=2.0,
    )
    attempts: list[int] = []

    async def call(given: dict[str, Any]) -> Any:
        await asyncio.sleep(given["begins"])
        view = client.with_options(
            retry=RetryPolicy(attempts=given["attempts"], outage_wait=given["outage_wait"]), deadline=given["deadline"]
        )
        account = f"account{given['account']}"
        begun = loop.time()
        try:
            match given["what"]:
                case "list":
                    return await view.callflows.list(account).to_list()
                case "get":
                    return await view.callflows.get(account, "callflow")
                case "accounts":
                    return await view.accounts.descendants(account).to_list()
                case _:
                    return await view.whoami()
        except VinixError as error:
            assert error.gave_up or isinstance(error, ClientClosedError)
            assert len(str(error)) <= 500
            assert error.attempts == view.stats.requests - view.stats.logins >= error.probes
            return error
        finally:
            if given["deadline"] is not None:
                assert loop.time() - begun <= given["deadline"] + 1e-6
            attempts.append(view.stats.requests - view.stats.logins)

    tasks = [asyncio.ensure_future(call(given)) for given in history["calls"]]

    async def disturb() -> None:
        for given, task in zip(history["calls"], tasks, strict=True):
            if given["cancelled_after"] is not None:
                loop.call_later(given["begins"] + given["cancelled_after"], task.cancel)
        if history["closes"] is not None:
            await asyncio.sleep(history["closes"])
            await client.close()

    await disturb()
    results = await asyncio.gather(*tasks, return_exceptions=True)  # a call that hangs is a DeadlockError
    for _ in range(10):
        await asyncio.sleep(0)
    note(f"ended at {loop.time()}, {client.stats!r}")
    assert_at_rest(client)
    assert client.stats.requests == len(server.requests)
    assert sum(attempts) == len(server.requests) - client.stats.logins
    assert client._sender.rate_limiter._accounts == {} or 429 in history["broken"].values()
    await client.close()
    for _ in range(10):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    if client.stats.outages:
        event("an outage")

    for given, result in zip(history["calls"], results, strict=True):
        assert not isinstance(result, BaseException) or isinstance(result, VinixError | asyncio.CancelledError)
        if isinstance(result, asyncio.CancelledError):
            assert given["cancelled_after"] is not None
            continue
        if not isinstance(result, VinixError):
            continue
        undisturbed = given["deadline"] is None and history["closes"] is None
        if undisturbed and not weather.broken and given["begins"] > weather.ends + 100:
            raise AssertionError(f"{given} failed although the server was back: {result}")


patient = st.fixed_dictionaries(
    {
        "begins": st.floats(0, 20),
        "account": st.integers(0, 9),
        "what": st.sampled_from(["list", "accounts"]),
    }
)


@given(
    st.lists(
        st.tuples(st.floats(2, 15), st.floats(0.05, 15), st.sampled_from([502, "refused", "hang", "html", "json 503"])),
        min_size=1,
        max_size=4,
    ),
    st.lists(patient, min_size=1, max_size=40),
    st.booleans(),
    st.integers(1, 1000),
)
def test_no_call_fails_that_has_the_patience(
    spells: list[tuple[float, float, Any]], given_calls: list[dict[str, Any]], logs_in: bool, seed: int
) -> None:
    _check_patience(spells, given_calls, logs_in, seed)


@virtual
async def _check_patience(
    spells: list[tuple[float, float, Any]], given_calls: list[dict[str, Any]], logs_in: bool, seed: int
) -> None:
    """The server is away several times, for the same time each, and back for two seconds or more in between."""
    server = SimulatedServer()
    bounds: list[tuple[float, float, Any]] = []
    at = 0.0
    for up, down, kind in spells:
        bounds.append((at, at + down, kind))
        at += down + up

    def fate(_: str, now: float) -> str | int:
        return next((kind for begin, end, kind in bounds if begin <= now < end), "ok")

    server.fate = fate
    policy = RetryPolicy(outage_wait=1000, attempts=6)
    auth = ApiKeyAuth("a-key-of-some-length") if logs_in else "a-token"
    async with server.client(auth=auth, clock=LoopClock(seed), retry=policy, timeout=1.0) as client:

        async def call(given: dict[str, Any]) -> Any:
            await asyncio.sleep(given["begins"])
            account = f"account{given['account']}"
            if given["what"] == "list":
                return await client.callflows.list(account).to_list()
            return await client.accounts.descendants(account).to_list()

        results = await asyncio.gather(*map(call, given_calls))
        assert all(isinstance(each, list) for each in results)
        assert_at_rest(client)
