"""What is logged: VINIX_LOG, one line for each event, and the documented attributes of each line."""

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_clock import FakeClock
from simulated import SimulatedServer, account_of, between, virtual

from vinix_async import RateLimitError, RetryPolicy, ServerError, UserAuth, VinixClient
from vinix_async._pipeline import events
from vinix_async._pipeline.events import (
    ClientStats,
    Log,
    RetryEvent,
    WaitEnded,
    WaitStarted,
    configure_logging,
    logger,
)

DOCUMENT = Path(__file__).parent.parent / "docs" / "logging.md"


@pytest.fixture
def bare_logger() -> Iterator[None]:
    before = logger.level, list(logger.handlers)
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
    yield
    logger.handlers[:] = before[1]
    logger.setLevel(before[0])


@pytest.mark.usefixtures("bare_logger")
@pytest.mark.parametrize(
    ("name", "level"),
    [("info", logging.INFO), ("DEBUG", logging.DEBUG), ("warn", logging.WARNING), (" Error ", logging.ERROR)],
)
def test_the_variable_sends_the_log_to_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, level: int
) -> None:
    monkeypatch.setenv("VINIX_LOG", name)
    for _ in range(3):
        VinixClient(auth="a-token")
    assert (logger.level, len(logger.handlers)) == (level, 1)
    logger.error("hello")
    assert capsys.readouterr().err.endswith("ERROR vinix_async: hello\n")


@pytest.mark.usefixtures("bare_logger")
def test_without_it_logging_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VINIX_LOG", raising=False)
    configure_logging()
    assert (logger.level, logger.handlers) == (logging.NOTSET, [])


@pytest.mark.usefixtures("bare_logger")
def test_another_value_is_one_warning(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("VINIX_LOG", "loud")
    for _ in range(3):
        VinixClient(auth="a-token")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("VINIX_LOG must be one of debug, info, warn, warning, error, critical, not 'loud'")
    assert logger.level == logging.WARNING


def test_a_program_without_logging_sees_nothing() -> None:
    assert any(isinstance(each, logging.NullHandler) for each in logger.handlers)


# --- how often -----------------------------------------------------------------------------------


def retry_event() -> RetryEvent:
    error = ServerError("failed", status=500, method="GET", path="/x", request_id="id", attempts=1, attempts_allowed=5)
    return RetryEvent(method="GET", path="/x", account_id="a", attempt=1, attempts=5, wait=0.25, error=error)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "vinix_async"]


@pytest.mark.parametrize("how", ["another event", "another retry", "close"])
def test_beyond_ten_retries_a_second_there_is_one_line(caplog: pytest.LogCaptureFixture, how: str) -> None:
    clock = FakeClock()
    log = Log(clock)
    for _ in range(25):
        log(retry_event())
    assert (
        messages(caplog)
        == ["500 failed [GET /x] (attempt 1 of 5; request_id=id); the next attempt follows in 0.25 s"] * 10
    )
    clock.now += 1.5
    caplog.clear()
    match how:
        case "another event":
            log(WaitStarted(reason="outage", account_id="a", at=clock.now))
        case "another retry":
            log(retry_event())
        case _:
            log.flush()
    assert messages(caplog)[0] == "retries in the last 1.5 s that were not logged individually: 15"
    assert len(messages(caplog)) == 1 + (how == "another retry")
    log.flush()
    assert len(messages(caplog)) == 1 + (how == "another retry")


@virtual
async def test_the_summary_comes_out_with_close_at_the_latest(caplog: pytest.LogCaptureFixture) -> None:
    server = SimulatedServer()
    server.fate = lambda target, _: "json 500" if account_of(target) != "good" else "ok"
    async with server.client(retry=RetryPolicy(attempts=2, wait_initial=0)) as client:
        await client.callflows.list("good")
        for number in range(15):
            with pytest.raises(ServerError):
                await client.callflows.list(f"account{number}")
    events_told = [vars(record).get("event") for record in caplog.records]
    told, summarized = (
        events_told.count("RetryEvent"),
        [vars(record)["retries"] for record in caplog.records if vars(record).get("event") == "RetriesSummarized"],
    )
    assert told + sum(summarized) == 15 == client.stats.retries
    assert summarized


def test_waiting_for_a_rate_limit_is_told_once_a_second_for_each_account(caplog: pytest.LogCaptureFixture) -> None:
    log = Log(FakeClock())
    for at in (0.0, 0.5, 0.9, 1.0, 1.5, 2.1):
        for account in ("a", "b"):
            log(WaitStarted(reason="rate_limit", account_id=account, at=at, seconds=0.1))
    assert messages(caplog) == [
        f"account {account}: waiting 0.10 s (rate limit)" for account in ("a", "b", "a", "b", "a", "b")
    ]


# --- what docs/logging.md says -------------------------------------------------------------------


def documented() -> dict[str, tuple[str, set[str], str]]:
    """The document's table: level, attributes and example line of each event."""
    rows: dict[str, tuple[str, set[str], str]] = {}
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"\| `(\w+)` \| (\w+) \| (.+?) \| .+? \| `(.+)` \|", line):
            event, level, attributes, example = match.groups()
            rows[event] = level, set(re.findall(r"`(\w+)`", attributes)), example
    return rows


def shape(line: str) -> str:
    """A log line without what differs from run to run."""
    line = re.sub(r"\b[0-9a-f]{32}\b", "ID", line)
    return re.sub(r"\d[\d,.]*", "0", line)


@virtual
async def test_every_event_is_logged_as_documented(caplog: pytest.LogCaptureFixture) -> None:
    """A sweep that meets everything: an outage, a refused login, a rate limit, a broken account, a bad document."""
    await meet_everything()
    told: dict[str, tuple[str, set[str], set[str]]] = {}
    for record in caplog.records:
        if record.name != "vinix_async":
            continue
        values = vars(record).keys() - vars(logging.makeLogRecord({})).keys() - {"message", "event"}
        level, names, shapes = told.setdefault(vars(record)["event"], (record.levelname, set(values), set()))
        assert (level, names) == (record.levelname, set(values))
        shapes.add(shape(record.getMessage()))
        json.dumps({name: vars(record)[name] for name in values})  # as a JSON logger would
    rows = documented()
    assert rows.keys() == told.keys()
    for event, (level, names, shapes) in told.items():
        assert rows[event][:2] == (level, names), event
        assert shape(rows[event][2]) in shapes, (event, shapes)
    silent = {"Event", "WaitEnded", "CallflowsRead"}
    assert (
        told.keys()
        == {name for name, each in vars(events).items() if isinstance(each, type) and issubclass(each, events.Event)}
        - silent
    )


async def meet_everything() -> None:
    server = SimulatedServer(accounts=8)
    refused = [True]

    def fate(target: str, now: float) -> str | int:
        account = account_of(target)
        if account == "account0003":
            return "json 500"
        if account == "account0004" and refused:
            refused.clear()
            return "json 429"
        if target.endswith("account0005-1"):
            return "json 404"
        if target.endswith("account0006-1"):
            return "json 400"
        return between(0.1, 3, 502)(target, now)

    server.fate = fate
    auth = UserAuth("ann", "planted-password", account_name="acme")
    async with server.client(auth=auth) as client:
        async for _ in client.callflows.list_many(client.accounts.descendants("root"), details=True):
            pass
        server.fate = lambda *_: "json 429"
        impatient = client.with_options(retry=RetryPolicy(attempts=2))
        calls = [impatient.callflows.list(f"other{number}").to_list() for number in range(30)]
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in errors} == {RateLimitError}
        server.fate = lambda *_: "ok"
        await asyncio.gather(*(client.callflows.list("other0").to_list() for _ in range(3)))
    server.fate = lambda *_: "json 401"
    async with server.client(auth=auth) as client:
        with pytest.raises(Exception, match="was refused"):
            await client.callflows.list("account0001")
    assert_no_secret_is_documented()


def assert_no_secret_is_documented() -> None:
    assert "planted" not in DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize("event", [each for each in vars(events).values() if isinstance(each, type)])
def test_no_attribute_of_an_event_hides_one_of_a_record(event: Any) -> None:
    if issubclass(event, events.Event) and event is not events.Event:
        record = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}
        assert not record & {each.name for each in event.__attrs_attrs__}


def test_seconds_of_a_wait_count_while_it_lasts() -> None:
    clock = FakeClock()
    stats = ClientStats(now=clock.monotonic)
    stats(WaitStarted(reason="outage", account_id="a", at=clock.now, outage=1))
    clock.now += 2
    stats(WaitStarted(reason="outage", account_id="b", at=clock.now, outage=1))
    clock.now += 3
    assert stats.outage_seconds == stats.wait_seconds == 5
    stats(WaitEnded(reason="outage", account_id="a", at=clock.now))
    stats(WaitEnded(reason="outage", account_id="b", at=clock.now))
    clock.now += 100
    assert (stats.outage_seconds, stats.outages) == (5, 1)
