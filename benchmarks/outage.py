"""Sweeps over 2,000 accounts while the server is away for a time, over a real socket, with the default client.

    python benchmarks/outage.py [--quick] [NUMBER ...]

Each line says how many accounts were lost (an error in place of their callflows) and how many were wrong, the requests
that the server saw against the least possible, and the seconds. Undisturbed the sweep takes about 8 s. NUMBER runs only
the scenarios with these numbers, counted from 1.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from attrs import frozen

from harness import Options, Report, main
from outage_server import PAGE, ROOT, Handle, Scenario, callflow_ids, running
from vinix_async import ApiKeyAuth, RetryPolicy, SweepCheckpoint, VinixClient, VinixError

KEY = "0" * 64
HEAD = ["scenario", "lost", "wrong", "requests", "/ least", "seconds", "limit"]


@frozen(kw_only=True)
class Case:
    """One line of the table. ``limit`` is the bound on lost accounts, and on requests over the least."""

    name: str
    scenario: Scenario
    lost: int = 0
    ratio: float = 1.03
    slower: float | None = None
    timeout: float = 30.0
    retry: RetryPolicy = RetryPolicy()  # noqa: RUF009  # it is immutable


@frozen
class Row:
    """What a sweep gave."""

    lost: int
    wrong: int
    requests: int
    seconds: float


def cases() -> list[Case]:
    """All scenarios."""
    found = [Case(name="undisturbed", scenario=Scenario())]
    found += [
        Case(name=f"{kind} for 3 s", scenario=Scenario(kind=kind, after=2.0, seconds=3.0))
        for kind in ("502", "503", "refuse", "reset")
    ]
    found += [
        Case(name=f"{kind} for 3 s, timeout 2 s", scenario=Scenario(kind=kind, after=2.0, seconds=3.0), timeout=2.0)
        for kind in ("hang", "drip")
    ]
    found += [
        Case(name=f"{kind} for {seconds} s", scenario=Scenario(kind=kind, after=2.0, seconds=seconds))
        for kind, seconds in (("502", 15), ("refuse", 15), ("503", 50), ("502", 70))
    ]
    found += [
        Case(name=f"502 for 7 s from {name}", scenario=Scenario(seconds=7.0, **options), ratio=1.1)
        for name, options in (
            ("the first page of accounts", {"at": ("listing", 1)}),
            ("the second page of accounts", {"at": ("listing", 2)}),
            ("the first login", {"at": ("login", 1)}),
            ("a token's renewal", {"at": ("login", 2), "expires": 3.0}),
            ("2 s on, tokens expiring meanwhile", {"after": 2.0, "expires": 4.0}),
        )
    ]
    found.append(
        Case(
            name="502 for 7 s, callflows alone",
            scenario=Scenario(after=2.0, seconds=7.0, only_callflows=True),
            ratio=1.1,
        )
    )
    found.append(
        Case(
            name="1 s down, 2 s up, for 20 s",
            scenario=Scenario(after=1.0, seconds=1.0, every=3.0, until=20.0),
            ratio=1.15,
        )
    )
    found.append(Case(name="30 % fail at random", scenario=Scenario(share=0.3), lost=20, ratio=1.6, slower=4.0))
    spread = frozenset(range(20, 1_000, 40))
    found.append(
        Case(
            name="25 of 1,000 broken, spread",
            scenario=Scenario(accounts=1_000, broken=spread),
            lost=25,
            ratio=(1_000 + 21 + 25 * 5) / 1_021,
            slower=2.5,
        )
    )
    for name, broken in (("in a row", range(500, 540)), ("at the end", range(960, 1_000))):
        scenario = Scenario(accounts=1_000, broken=frozenset(broken))
        found.append(Case(name=f"40 of 1,000 broken, {name}", scenario=scenario, lost=40, ratio=(1_021 + 320) / 1_021))
    return found


def least(scenario: Scenario) -> int:
    """The requests that an undisturbed sweep needs: a login, the listing, and a page of each account."""
    return 1 + -(-scenario.accounts // PAGE) + scenario.accounts


async def sweep(client: VinixClient, server: Handle, broken: frozenset[int] = frozenset()) -> Row:
    """One sweep over all accounts."""
    lost = wrong = 0
    begun = time.monotonic()
    async for result in client.callflows.list_many(client.accounts.descendants(ROOT)):
        number = int(result.account_id, 16)
        lost += not result.ok
        wrong += result.ok and {callflow.id for callflow in result.callflows} != callflow_ids(number)
        wrong += not result.ok and bool(broken) and number not in broken
    requests, _ = server.counts()
    return Row(lost, wrong, sum(requests.values()), time.monotonic() - begun)


async def one(case: Case) -> tuple[list[str], bool]:
    """One line of the table, and whether it is within its limits."""
    with running(case.scenario) as server:
        async with VinixClient(
            auth=ApiKeyAuth(KEY), base_url=server.url, timeout=case.timeout, retry=case.retry
        ) as client:
            row = await sweep(client, server, case.scenario.broken)
        _, for_broken = server.counts()
    ratio = row.requests / least(case.scenario)
    exact = row.lost == case.lost if case.scenario.broken else row.lost <= case.lost
    most = 8 if "40 of" in case.name else 10
    good = exact and not row.wrong and ratio <= case.ratio and max(for_broken.values(), default=0) <= most
    if case.slower is not None:
        good = good and row.seconds <= case.slower * 8 * case.scenario.accounts / 2_000
    limit = f"{case.lost} lost, {case.ratio:.2f}" + (f", {case.slower:g} × the time" if case.slower else "")
    figures = [str(row.lost), str(row.wrong), f"{row.requests:,}", f"{ratio:.3f}", f"{row.seconds:.1f}"]
    return [case.name, *figures, limit + ("" if good else " ✗")], good


async def down_for_good() -> tuple[list[str], bool]:
    """The server is away for the whole run; then it is back, for the same client and a resumed sweep."""
    scenario = Scenario(accounts=1_000, at=("callflows", 1), seconds=20.0)
    with running(scenario) as server:
        policy = RetryPolicy(outage_wait=10.0)
        async with VinixClient(auth=ApiKeyAuth(KEY), base_url=server.url, retry=policy) as client:
            begun = time.monotonic()
            swept = client.callflows.list_many([f"{number:032x}" for number in range(1_000)])
            results = [result async for result in swept]
            seconds = time.monotonic() - begun
            requests = sum(server.counts()[0].values())
            told = sum(isinstance(each.error, VinixError) and each.error.gave_up is not None for each in results)
            saved = SweepCheckpoint.from_json(swept.checkpoint().to_json())
            await asyncio.sleep(max(0.0, 21.0 - seconds))
            resumed: dict[str, Any] = {}
            for _ in range(3):  # what comes before the next probe is due fails at once
                again = client.callflows.list_many([f"{number:032x}" for number in range(1_000)], resume=saved)
                resumed |= {result.account_id: result async for result in again if result.ok}
                saved = again.checkpoint()
                await asyncio.sleep(5)
    good = len(results) == told == len(resumed) == 1_000 and requests <= 150 and seconds <= 11 + 1
    name = "down for the whole run, outage_wait=10"
    figures = [str(1_000 - len(resumed)), "0", f"{requests:,}", "", f"{seconds:.1f}"]
    return [name, *figures, "150 requests, 12 s" + ("" if good else " ✗")], good


async def single_calls() -> list[tuple[list[str], bool]]:
    """Calls that are not a sweep, through 3 s of 502."""
    found: list[tuple[list[str], bool]] = []

    async def measured(name: str, work: Callable[[str], Any], limit: float, scenario: Scenario) -> None:
        with running(scenario) as server:
            begun = time.monotonic()
            lost = await work(server.url)
            seconds = time.monotonic() - begun
            requests = sum(server.counts()[0].values())
        good = lost == 0 and seconds <= limit
        row = [
            name,
            str(lost),
            "0",
            str(requests),
            "",
            f"{seconds:.1f}",
            f"0 lost, {limit:g} s" + ("" if good else " ✗"),
        ]
        found.append((row, good))

    async def lost_of(*calls: Any) -> int:
        return sum(isinstance(each, BaseException) for each in await asyncio.gather(*calls, return_exceptions=True))

    async def one_get(url: str) -> int:
        async with VinixClient(auth="token", base_url=url) as client:
            return await lost_of(client.callflows.list(f"{1:032x}").to_list())

    async def six_clients(url: str) -> int:
        clients = [VinixClient(auth="token", base_url=url) for _ in range(6)]
        lost = await lost_of(*(client.callflows.list(f"{1:032x}").to_list() for client in clients))
        await asyncio.gather(*(client.close() for client in clients))
        return lost

    async def twelve_accounts(url: str) -> int:
        async with VinixClient(auth="token", base_url=url) as client:
            return await lost_of(*(client.callflows.list(f"{number:032x}").to_list() for number in range(12)))

    async def sixty_accounts(url: str) -> int:
        async with VinixClient(auth="token", base_url=url) as client:
            return await lost_of(*(client.callflows.list(f"{number:032x}").to_list() for number in range(60)))

    async def deadline(url: str) -> int:
        async with VinixClient(auth="token", base_url=url, deadline=2.0) as client:
            try:
                await client.callflows.list(f"{1:032x}").to_list()
            except VinixError as error:
                return int(error.gave_up is None)
            return 1

    away = Scenario(seconds=3.0, at=("callflows", 1))
    await measured("one call through 3 s of 502", one_get, 8.0, away)
    await measured("six clients of one account", six_clients, 8.0, away)
    await measured("one client of 12 accounts", twelve_accounts, 8.0, away)
    await measured("60 accounts, each 503 twice", sixty_accounts, 30.0, Scenario(flaky=2))
    await measured("one call with a deadline of 2 s", deadline, 2.5, away)
    return found


def measure(options: Options) -> Report:
    """The table."""
    chosen = list(enumerate(cases(), 1))
    if options.numbers:
        chosen = [each for each in chosen if each[0] in options.numbers]
    elif options.quick:
        chosen = chosen[1:2]
    rows: list[list[str]] = []
    failed = False

    def add(row: list[str], good: bool) -> None:  # noqa: FBT001  # a row and its verdict
        nonlocal failed
        rows.append(row)
        failed = failed or not good
        print(" | ".join(row), flush=True)

    for _, case in chosen:
        add(*asyncio.run(one(case)))
    if not options.quick and (not options.numbers or 0 in options.numbers):
        add(*asyncio.run(down_for_good()))
        for line in asyncio.run(single_calls()):
            add(*line)
    report = Report(failed=failed)
    report.table(HEAD, rows, text_columns=(0, 6))
    return report


if __name__ == "__main__":
    main("outage", measure, keep_heap=False)
