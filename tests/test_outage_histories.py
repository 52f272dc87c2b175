"""Random histories of a server that goes away and comes back, and of calls that are cancelled or have deadlines."""

import asyncio
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st
from simulated import LoopClock, SimulatedServer, virtual
from test_outage import assert_at_rest

from vinix_async import ApiKeyAuth, ClientClosedError, Limits, RetryPolicy, VinixClient, VinixError

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
        self.spells: list[tuple[float, str | int]] = []
        end = 0.0
        for seconds, kind in history["weather"]:
            end += seconds
            self.spells.append((end, kind))
        self.broken: dict[str, str | int] = {f"account{number}": kind for number, kind in history["broken"].items()}

    def __call__(self, target: str, now: float) -> str | int:
        kind = next((kind for until, kind in self.spells if now < until), "ok")
        account = target.split("/")[2:3]
        return self.broken.get(account[0], kind) if kind == "ok" and account else kind


async def ask(view: VinixClient, what: str, account: str) -> Any:
    match what:
        case "list":
            return await view.callflows.list(account).to_list()
        case "get":
            return await view.callflows.get(account, "callflow")
        case "accounts":
            return await view.accounts.descendants(account).to_list()
        case _:
            return await view.whoami()


async def checked_call(client: VinixClient, options: dict[str, Any]) -> int:
    """Make a call, check its error and its time, and return how many requests it sent, logins left out."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(options["begins"])
    policy = RetryPolicy(attempts=options["attempts"], outage_wait=options["outage_wait"])
    view = client.with_options(retry=policy, deadline=options["deadline"])
    begun = loop.time()
    try:
        async with asyncio.timeout(options["cancelled_after"]):
            await ask(view, options["what"], f"account{options['account']}")
    except VinixError as error:
        assert error.gave_up or isinstance(error, ClientClosedError)
        assert len(str(error)) <= 500
        assert error.attempts == view.stats.requests - view.stats.logins >= error.probes
    except TimeoutError:
        assert options["cancelled_after"] is not None
    if options["deadline"] is not None:
        assert loop.time() - begun <= options["deadline"] + 1e-6
    return view.stats.requests - view.stats.logins


@given(histories)
def test_every_call_ends_and_nothing_is_left(history: dict[str, Any]) -> None:
    check_history(history)


@virtual
async def check_history(history: dict[str, Any]) -> None:
    server = SimulatedServer()
    server.fate = Weather(history)
    client = server.client(
        auth=ApiKeyAuth("a-key-of-some-length") if history["logs_in"] else "a-token",
        clock=LoopClock(history["seed"]),
        limits=Limits(max_concurrency=2 if history["narrow"] else 100),
        timeout=2.0,
    )
    tasks = [asyncio.ensure_future(checked_call(client, options)) for options in history["calls"]]
    if history["closes"] is not None:
        await asyncio.sleep(history["closes"])
        await client.close()
    attempts = await asyncio.gather(*tasks)  # a call that hangs is a DeadlockError
    for _ in range(10):
        await asyncio.sleep(0)
    assert_at_rest(client)
    assert client.stats.requests == len(server.requests)
    assert client.stats.requests - client.stats.logins == sum(attempts)
    assert client._sender.rate_limiter._accounts == {} or 429 in history["broken"].values()
    await client.close()
    for _ in range(10):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    event(f"{min(client.stats.outages, 3)} outages")


@given(
    st.lists(
        st.tuples(st.floats(2, 15), st.floats(0.05, 15), st.sampled_from([502, "refused", "hang", "html", "json 503"])),
        min_size=1,
        max_size=4,
    ),
    st.lists(
        st.tuples(st.floats(0, 20), st.sampled_from(["list", "accounts"]), st.integers(0, 9)), min_size=1, max_size=40
    ),
    st.integers(1, 1000),
)
def test_no_call_fails_that_has_the_patience(
    spells: list[tuple[float, float, Any]], times: list[tuple[float, str, int]], seed: int
) -> None:
    check_patience(spells, times, seed)


@virtual
async def check_patience(
    spells: list[tuple[float, float, Any]], times: list[tuple[float, str, int]], seed: int
) -> None:
    """The server is away several times, and back for two seconds or more in between."""
    server = SimulatedServer()
    away: list[tuple[float, float, Any]] = []
    at = 0.0
    for up, down, kind in spells:
        away.append((at, at + down, kind))
        at += down + up
    server.fate = lambda _, now: next((kind for begin, end, kind in away if begin <= now < end), "ok")
    auth = ApiKeyAuth("a-key-of-some-length") if seed % 2 else "a-token"
    policy = RetryPolicy(outage_wait=1000)
    async with server.client(auth=auth, clock=LoopClock(seed), retry=policy, timeout=1.0) as client:

        async def call(begins: float, what: str, account: int) -> None:
            await asyncio.sleep(begins)
            await ask(client, what, f"account{account}")

        await asyncio.gather(*(call(*each) for each in times))
        assert_at_rest(client)
