"""What the mirror stores and what it answers, on SQLite and on PostgreSQL."""

import asyncio
import contextlib
import errno
import os
import random
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from mirrored import START, Refresh, at, callflow, read
from postgres_server import connect, end_connections

from vinix_async import Callflow, ConfigurationError, structure, to_dict
from vinix_async.mirror import Mirror, MirrorError, NotKnownError, NumberUse, Use
from vinix_async.mirror.contents import Content, content_hash, content_of
from vinix_async.mirror.schema import MIGRATIONS
from vinix_async.mirror.store import KnownCallflow, Read, Written, _load


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "mirror.db")
    address: str = request.getfixturevalue("postgres_mirror")
    return address


@pytest.fixture
async def mirror(database: str) -> AsyncIterator[Mirror]:
    async with Mirror(database) as made:
        yield made


@pytest.fixture
def refresh(mirror: Mirror) -> Refresh:
    return Refresh(mirror)


# --- what is stored ---


async def test_what_the_next_refresh_knows(mirror: Mirror) -> None:
    store = mirror._store
    run_id = await store.begin_run(at(0))
    known = await store.lock("a1", "Acme")
    assert known
    assert (known.state, known.watermark, known.refreshed_at, known.callflows) == ("new", None, None, {})
    await store.begin("a1", 4)
    await store.begin("a1", 9)  # it has one
    toggle = {"module": "ring_group_toggle", "data": {"callflow_id": "c2"}}
    documents = [read(callflow("c1", flow=toggle), at(0)), read(callflow("c2"), at(0)), read(callflow("c3"), at(0))]
    assert await store.write("a1", documents, run_id=run_id, now=at(1)) == Written(3, 0)
    await store.unlock("a1")  # the process was killed
    known = await store.lock("a1")
    assert known
    assert (known.state, known.watermark, known.refreshed_at) == ("new", 4, None)
    assert known.callflows["c1"] == KnownCallflow("1-a", b"row", at(0), ("c2",))
    not_modified = Read(callflow_id="c2", callflow=None, revision=None, row_hash=b"other", read_at=at(2))
    same = read(callflow("c3"), at(2), revision="2-\0b", row_hash=None)
    assert await store.write("a1", [not_modified, same], run_id=run_id, now=at(2)) == Written(0, 0)
    await store.finish("a1", began_at=at(1.5), watermark=7, deleted=["c1", "odd"], unreadable=["c2"], now=at(3))
    await store.unlock("a1")
    known = await store.lock("a1")
    assert known
    assert (known.state, known.watermark, known.refreshed_at) == ("ok", 7, at(1.5))
    assert known.callflows == {
        "c2": KnownCallflow("1-a", None, at(2), ()),
        "c3": KnownCallflow("2-\\u0000b", None, at(2), ()),
    }
    await store.write("a1", [], run_id=run_id, now=at(4))


async def test_the_state_of_accounts(mirror: Mirror, refresh: Refresh) -> None:
    await refresh(0)
    await refresh(1, account_id="a2")
    await refresh.fail(2, "a2", "forbidden", "403 forbidden \ud800\0")
    await refresh.fail(3, "a2", "forbidden", "403 forbidden")
    await mirror._store.lock("a0", "New")
    rows = [
        (each.account_id, each.name, each.state, each.state_since, each.refreshed_at, each.known_since, each.error)
        for each in await mirror.status()
    ]
    assert rows == [
        ("a0", "New", "new", None, None, None, None),
        ("a1", "Name of a1", "ok", at(0), at(0), at(0), None),
        ("a2", "Name of a2", "forbidden", at(2), at(1), at(1), "403 forbidden"),
    ]
    await refresh(4, account_id="a2")
    assert [(each.state, each.state_since, each.error) for each in await mirror.status()][2] == ("ok", at(4), None)
    await refresh(5, account_id="a2")
    assert [(each.refreshed_at, each.state_since) for each in await mirror.status()][2] == (at(5), at(4))


@pytest.mark.parametrize(
    "document",
    [
        {"id": "c1", "name": "a\0b", "type": ["odd", 1], "numbers": ["+1\0", "+1\0"], "flow": {"module": "m\0"}},
        {"id": "c1", "numbers": [], "odd": {"big": 2**70, "one": 1.0, "zero": -0.0, "far": 1e22}},
        {"id": "c1", "metadata": {"u1": {"name": "Ann", "pvt_type": "user"}}, "_read_only": {"x": 1}, "flags": None},
        {"id": "c1", "metadata": None, "name": "é😀\u2028", "featurecode": False, "owner_id": {"a": 1}, "ui": '"}'},
    ],
    ids=["odd texts", "odd numbers", "metadata", "empty values"],
)
async def test_documents_come_back_as_they_were(mirror: Mirror, refresh: Refresh, document: dict[str, Any]) -> None:
    await refresh(0, structure(document, Callflow))
    (found,) = [each async for each in mirror.callflows("a1")]
    kept = {key: value for key, value in document.items() if key != "_read_only" and (key, value) != ("metadata", None)}
    assert to_dict(found) == kept
    assert repr(to_dict(found)["odd"]) == repr(document["odd"]) if "odd" in document else True


async def test_a_deep_flow(mirror: Mirror, refresh: Refresh) -> None:
    def deep(target: str) -> Callflow:
        node: dict[str, Any] = {"module": "user", "data": {"id": target}}
        for _ in range(3_000):
            node = {"module": "sleep", "data": {}, "children": {"_": node}}
        return structure({"id": "c1", "flow": node, "metadata": {"é": 1}}, Callflow)

    first, second = deep("u1"), deep("u2")
    await refresh(0, first)
    assert await refresh(1, first) == Written(0, 0)
    assert await refresh(2, second) == Written(0, 1)
    (found,) = [each async for each in mirror.callflows("a1")]
    assert found == second
    (use,) = [each async for each in mirror.uses("u2")]
    assert use.path == "/flow" + "/children/_" * 3_000


def test_content_hash() -> None:
    same: list[dict[str, Any]] = [
        {"a": 1, "b": {"c": 2, "d": []}},
        {"b": {"d": [], "c": 2}, "a": 1, "metadata": {"x": 1}, "_read_only": 1},
    ]
    others: list[dict[str, Any]] = [
        {"a": 1.0, "b": {"c": 2, "d": []}},
        {"a": 1, "b": {"c": 2, "d": {}}},
        {"a": "1", "b": {"c": 2, "d": []}},
    ]
    assert content_hash(same[0]) == content_hash(same[1])
    assert len({content_hash(each) for each in [*same, *others]}) == 4
    # The way that takes deep values and lone surrogates agrees with msgspec on all others.
    value: Any = {"z": [1, 2.5, 1e22, None, True, 'é\x7f\u2028"\\\0'], "a": {"y": {}, "x": []}}
    odd = content_hash({"s": "\ud800", "v": value})
    assert odd == content_hash({"v": {"a": value["a"], "z": value["z"]}, "s": "\ud800"})
    assert odd != content_hash({"s": "\ud801", "v": value})
    assert odd != content_hash({"s": "\\ud800", "v": value})


# --- history ---


async def test_history_and_changes(mirror: Mirror, refresh: Refresh) -> None:
    await refresh(0, callflow("c1"), callflow("c2", numbers=["+1555"]))
    await refresh(1, callflow("c1", "Other"), callflow("c3", "New"), callflow("c2", numbers=["+1555"]))
    await refresh(2, deleted=("c2",))
    await refresh(3, callflow("c2", "Again"))

    versions = [each async for each in mirror.history("a1", "c1")]
    assert [(each.valid_from, each.not_before, each.valid_to, each.ended_by) for each in versions] == [
        (at(0), None, at(1), "change"),
        (at(1), at(0), None, None),
    ]
    assert [each.document.name for each in versions] == ["Main", "Other"]

    changes = [each async for each in mirror.changes(at(0))]
    assert [(each.callflow_id, each.kind, each.at, each.not_before) for each in changes] == [
        ("c1", "changed", at(1), at(0)),
        ("c3", "added", at(1), at(0)),
        ("c2", "deleted", at(2), at(1)),
        ("c2", "added", at(3), at(2)),
    ]
    assert [(each.old and each.old.name, each.new and each.new.name) for each in changes] == [
        ("Main", "Other"),
        (None, "New"),
        ("Main", None),
        (None, "Again"),
    ]
    assert {each.account_id for each in changes} == {"a1"}
    assert [each.callflow_id async for each in mirror.changes(at(1), at(2))] == ["c1", "c3"]
    assert [each.callflow_id async for each in mirror.changes(at(2), at(3), "a1")] == ["c2"]

    names = {
        hour: [(each.id, each.name) async for each in mirror.callflows("a1", at(hour))] for hour in (0, 0.5, 1, 2, 9)
    }
    assert names[0] == names[0.5] == [("c1", "Main"), ("c2", "Main")]
    assert names[1] == [("c1", "Other"), ("c2", "Main"), ("c3", "New")]
    assert names[2] == [("c1", "Other"), ("c3", "New")]
    assert names[9] == [("c1", "Other"), ("c2", "Again"), ("c3", "New")]
    assert names[9] == [(each.id, each.name) async for each in mirror.callflows("a1")]


async def test_versions_never_overlap_when_the_clock_goes_back(mirror: Mirror, refresh: Refresh) -> None:
    await refresh(5, callflow("c1"), callflow("c2"))
    await refresh(4, callflow("c1", "Second"))
    await refresh(3, deleted=("c2",))
    await refresh(2, callflow("c1", "Third"), callflow("c2", "Again"))
    for callflow_id in ("c1", "c2"):
        versions = [each async for each in mirror.history("a1", callflow_id)]
        assert [(each.valid_from, each.valid_to) for each in versions[:-1]] == [(at(5), at(5))] * (len(versions) - 1)
        assert (versions[-1].valid_from, versions[-1].valid_to) == (at(5), None)
        assert all(each.not_before is None or each.not_before <= each.valid_from for each in versions)
    changes = [(each.callflow_id, each.kind) async for each in mirror.changes(at(5))]
    assert sorted(changes) == [("c1", "changed"), ("c1", "changed"), ("c2", "added"), ("c2", "deleted")]


async def test_nothing_is_known_before_all_callflows_if_the_clock_goes_back(mirror: Mirror, refresh: Refresh) -> None:
    """The first refresh is killed, and continued when the clock is right, or on another machine."""
    store = mirror._store
    run_id = await store.begin_run(at(5))
    await store.lock("a1")
    await store.write("a1", [read(callflow("c1"), at(5))], run_id=run_id, now=at(5))
    await store.unlock("a1")
    await refresh(1, callflow("c2"))
    for time in (at(1), at(4.9)):
        with pytest.raises(NotKnownError, match="before 2026-03-01 07:00:00 UTC"):
            _ = [each async for each in mirror.callflows("a1", time)]
    assert [each.id async for each in mirror.callflows("a1", at(5))] == ["c1", "c2"]
    await refresh(6, callflow("c1", "Other"))
    assert [each.known_since for each in await mirror.status()] == [at(5)]


async def test_a_later_confirmation_narrows_when_it_changed(mirror: Mirror, refresh: Refresh) -> None:
    await refresh(0, callflow("c1"), callflow("c2"))
    confirmed = [
        Read(callflow_id=each, callflow=None, revision="1-a", row_hash=b"row", read_at=at(2)) for each in ("c1", "c2")
    ]
    await refresh(3, *confirmed)
    await refresh(4, read(callflow("c1", "Other"), at(4), not_before=at(1)), deleted=("c2",))
    found = {each.callflow_id: each.not_before async for each in mirror.changes(at(0))}
    assert found == {"c1": at(2), "c2": at(3)}


async def test_a_change_is_not_found_before_it_can_have_been_made(mirror: Mirror, refresh: Refresh) -> None:
    await refresh(0, callflow("c1"))
    await refresh(5, Read(callflow_id="c1", callflow=None, revision="1-a", row_hash=b"row", read_at=at(5)))
    await refresh(2, callflow("c1", "Other"))  # the clock was set back
    (change,) = [each async for each in mirror.changes(at(0))]
    assert (change.at, change.not_before) == (at(2), at(2))


async def test_metadata_is_as_of_the_last_read(mirror: Mirror, refresh: Refresh) -> None:
    def named(name: str) -> Callflow:
        return callflow("c1", metadata={"u1": {"name": name}})

    await refresh(0, named("Ann"))
    assert await refresh(1, named("Ann Smith")) == Written(0, 0)
    (found,) = [each async for each in mirror.callflows("a1")]
    assert found == named("Ann Smith")
    await refresh(2, callflow("c1"))
    (found,) = [each async for each in mirror.callflows("a1")]
    assert found == callflow("c1")


# --- questions ---


async def test_uses(mirror: Mirror, refresh: Refresh) -> None:
    group = {"module": "ring_group", "data": {"endpoints": [{"id": "d1"}, {"id": "d2"}]}, "children": {}}
    group["children"] = {"_": {"module": "voicemail", "data": {"id": "v1"}}}
    await refresh(0, callflow("c1", flow=group, owner_id="u7"), callflow("c2"))
    await refresh(1, callflow("c2", flow={"module": "voicemail", "data": {"id": "v1"}}))
    await refresh(2, callflow("c9", flow={"module": "voicemail", "data": {"id": "v1"}}), account_id="a2")

    async def uses(entity_id: str, hour: float | None = None) -> list[Use]:
        return [each async for each in mirror.uses(entity_id, None if hour is None else at(hour))]

    first = Use("a1", "c1", "voicemail", "/flow/children/_", "id", "Main")
    assert await uses("v1") == [
        first,
        Use("a1", "c2", "voicemail", "/flow", "id", "Main"),
        Use("a2", "c9", "voicemail", "/flow", "id", "Main"),
    ]
    assert await uses("v1", 0.5) == [first]
    assert await uses("d2") == [Use("a1", "c1", "ring_group", "/flow", "endpoints[1].id", "Main")]
    assert await uses("u7") == [Use("a1", "c1", "", "", "owner_id", "Main")]
    assert await uses("u1", 0.5) == [Use("a1", "c2", "user", "/flow", "id", "Main")]
    assert await uses("u1", 1) == await uses("u1") == []
    assert len(await uses("v1", 1)) == 2
    await refresh.fail(3, "a2", "gone", "404")
    assert [use.account_id for use in await uses("v1")] == ["a1", "a1"]
    assert [each.id async for each in mirror.callflows("a2")] == ["c9"]  # it is named


async def test_uses_of_a_callflow_that_changes_meanwhile(
    mirror: Mirror, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vinix_async.mirror.mirror._ROWS", 1)
    await refresh(0, callflow("c1"), callflow("c2"))
    found = []
    async for use in mirror.uses("u1"):
        found.append((use.callflow_id, use.name))
        await refresh(len(found), callflow(use.callflow_id, "Other"))
    assert found == [("c1", "Main"), ("c2", "Main")]
    assert [(use.callflow_id, use.name) async for use in mirror.uses("u1")] == [("c1", "Other"), ("c2", "Other")]


async def test_a_number_of_a_callflow_that_changes_meanwhile(
    mirror: Mirror, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vinix_async.mirror.mirror._ROWS", 1)
    await refresh(0, callflow("c1", numbers=["1"]), callflow("c2", numbers=["1"]))
    answers = mirror.numbers("1")
    found = [await anext(answers)]  # the next one is read already
    await refresh(1, callflow("c2", "Other", numbers=["1"]))
    found += [each async for each in answers]
    assert found == [NumberUse("a1", "c1", at(0), None, "Main"), NumberUse("a1", "c2", at(0), None, "Other")]


async def test_numbers(mirror: Mirror, refresh: Refresh) -> None:
    await refresh(0, callflow("c1", numbers=["+1555", "+1\0"]), callflow("c2"), callflow("c3", numbers=["+1555"]))
    await refresh(1, callflow("c1", "Renamed", numbers=["+1555"]))
    await refresh(2, callflow("c1", "Renamed"), callflow("c2", numbers=["+1555"]))
    await refresh(3, callflow("c1", "Renamed", numbers=["+1555"]), deleted=("c3",))

    async def uses(since: float | None = None, until: float | None = None) -> list[NumberUse]:
        begin, end = (None if hour is None else at(hour) for hour in (since, until))
        return [each async for each in mirror.numbers("+1555", begin, end)]

    every = [
        NumberUse("a1", "c1", at(0), at(2), "Renamed"),
        NumberUse("a1", "c1", at(3), None, "Renamed"),
        NumberUse("a1", "c2", at(2), None, "Main"),
        NumberUse("a1", "c3", at(0), at(3), "Main"),
    ]
    assert await uses() == every
    assert await uses(1, 2) == [every[0], every[3]]
    assert await uses(2, 3) == [every[2], every[3]]
    assert await uses(3) == every[1:3]
    assert [each.callflow_id async for each in mirror.numbers("+1\0")] == ["c1"]
    assert [each async for each in mirror.numbers("+1999")] == []


async def test_long_texts_are_found(mirror: Mirror, refresh: Refresh) -> None:
    chance = random.Random(5)
    url, other = ("https://" + "".join(chance.choices("abcdefgé😀", k=5_000)) for _ in range(2))
    play = {"module": "play", "data": {"id": url}, "children": {"_": {"module": "play", "data": {"id": url}}}}
    await refresh(0, callflow("c1", flow=play, numbers=[url]), callflow("c2", flow={**play, "data": {"id": other}}))
    assert [(use.callflow_id, use.path) async for use in mirror.uses(url)] == [
        *(("c1", "/flow"), ("c1", "/flow/children/_"), ("c2", "/flow/children/_")),
    ]
    assert [use.callflow_id async for use in mirror.uses(url[:-1])] == []
    assert [use.callflow_id async for use in mirror.numbers(url)] == ["c1"]


async def test_answers_of_many_pages(mirror: Mirror, refresh: Refresh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vinix_async.mirror.mirror._DOCUMENTS", 2)
    monkeypatch.setattr("vinix_async.mirror.mirror._ROWS", 2)
    ids = [f"c{each}" for each in range(5)]
    await refresh(0, *(callflow(each, numbers=["+1555"]) for each in ids))
    for hour in range(1, 5):
        await refresh(hour, *(callflow(each, f"Name {hour}", numbers=["+1555"]) for each in ids))
    assert [each.id async for each in mirror.callflows("a1")] == ids
    assert sorted([each.callflow_id async for each in mirror.uses("u1")]) == ids
    assert [each.callflow_id async for each in mirror.numbers("+1555")] == ids
    assert [each.document.name async for each in mirror.history("a1", "c3")] == [
        *("Main", "Name 1", "Name 2", "Name 3", "Name 4"),
    ]
    changes = [(each.at, each.callflow_id) async for each in mirror.changes(at(0))]
    assert changes == [(at(hour), each) for hour in range(1, 5) for each in ids]
    await refresh(5, deleted=tuple(ids))
    assert [each.kind async for each in mirror.changes(at(5))] == ["deleted"] * 5
    assert [each async for each in mirror.callflows("a1")] == []


async def test_what_is_not_known(mirror: Mirror, refresh: Refresh) -> None:
    store = mirror._store
    await store.begin_run(at(0))
    await store.lock("a1")
    await store.unlock("a1")
    unknown: dict[str, Callable[[], AsyncIterator[Any]]] = {
        "uses": lambda: mirror.uses("v1"),
        "numbers": lambda: mirror.numbers("+1555"),
        "changes": lambda: mirror.changes(at(0)),
        "callflows": lambda: mirror.callflows("a1"),
        "history": lambda: mirror.history("a1", "c1"),
        "another account": lambda: mirror.callflows("a2"),
    }
    for ask in unknown.values():
        with pytest.raises(NotKnownError, match="not been refreshed completely yet"):
            _ = [each async for each in ask()]
    await refresh(1, callflow("c1"))
    early: dict[str, Callable[[], AsyncIterator[Any]]] = {
        "uses": lambda: mirror.uses("v1", at(0.5)),
        "numbers": lambda: mirror.numbers("+1555", at(0.5)),
        "an early period": lambda: mirror.numbers("+1555", None, at(0.5)),
        "changes": lambda: mirror.changes(at(0.5)),
        "changes of an account": lambda: mirror.changes(at(0.5), None, "a1"),
        "callflows": lambda: mirror.callflows("a1", at(0.5)),
    }
    for ask in early.values():
        with pytest.raises(NotKnownError, match="before 2026-03-01 03:00:00 UTC"):
            _ = [each async for each in ask()]
    with pytest.raises(NotKnownError, match="the mirror has no version of callflow c2 of account a1"):
        _ = [each async for each in mirror.history("a1", "c2")]


def test_arguments_are_checked_at_once() -> None:
    mirror = Mirror("odd.db")
    naive: Any = [datetime(2026, 3, 1), START.date(), "2026-03-01"]  # noqa: DTZ001  # naive on purpose
    for time in naive:
        for ask in (
            mirror.changes,
            lambda time: mirror.changes(START, time),
            lambda time: mirror.uses("v1", time),
            lambda time: mirror.numbers("+1555", time),
            lambda time: mirror.callflows("a1", time),
        ):
            with pytest.raises(ConfigurationError, match="time zone"):
                ask(time)
    early = datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
    for odd in (early, datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))):
        with pytest.raises(ConfigurationError, match="since must be in the years 1 to 9999 in UTC"):
            mirror.changes(odd)
    for address in (
        "",
        "host=h password = planted-secret",
        "planted-secret\0",
        "mysql://u:planted-secret@h/d",
        "postgresql://u:planted-secret@h:port/d?odd",
        "postgres://%zz@h/d",
    ):
        with pytest.raises(ConfigurationError, match="postgresql:// address"):
            Mirror(address)


def test_postgresql_needs_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "vinix_async.mirror.postgres", raising=False)
    with pytest.raises(ConfigurationError, match=r"pip install 'vinix-async\[postgres\]'"):
        Mirror("postgresql://127.0.0.1/calls")


async def test_a_mirror_of_accounts_that_are_gone_has_no_answers_about_all_accounts(
    mirror: Mirror, refresh: Refresh
) -> None:
    await refresh(0, callflow("c1"))
    await refresh.fail(1, "a1", "gone", "NotFoundError: 404")
    with pytest.raises(NotKnownError, match="no data for any account: every account is gone or has not been refreshed"):
        _ = [each async for each in mirror.uses("u1")]
    assert [each.id async for each in mirror.callflows("a1")] == ["c1"]


async def test_a_document_that_has_only_metadata(mirror: Mirror, refresh: Refresh) -> None:
    empty = structure({"metadata": {"u1": {"name": "Ann"}}}, Callflow)
    await refresh(0, Read(callflow_id="c1", callflow=empty, revision=None, row_hash=None, read_at=at(0)))
    assert [to_dict(each) async for each in mirror.callflows("a1")] == [to_dict(empty)]


# --- the database ---


async def test_two_processes(database: str, mirror: Mirror) -> None:
    """Each connection stands for a process: locks are held by connections and open files."""
    store = mirror._store
    async with Mirror(database) as other:
        first, second = await store.begin_run(at(0)), await other._store.begin_run(at(0))
        assert second > first
        assert await store.lock("a1")
        assert await store.lock("a1") is None
        assert await other._store.lock("a1") is None
        await other._store.unlock("a1")  # it is not theirs
        assert await other._store.lock("a1") is None
        of_all_accounts = "://" not in database
        assert (await other._store.lock("a2") is None) is of_all_accounts
        await store.unlock("a1")
        await store.end_run(first, at(1), ok=1, failed=0, requests=2, added=0, changed=0, deleted=0)
        assert await other._store.lock("a1")
    assert await store.lock("a1")  # the other one was closed
    rows = await store.run(lambda it: it.execute("SELECT accounts_ok, requests FROM runs ORDER BY run_id"))
    assert rows == [(1, 2), (None, None)]


async def test_links_to_a_file_lead_to_the_same_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "mirror.db")
    monkeypatch.chdir(tmp_path)
    async with Mirror("link.db") as mirror, Mirror("mirror.db") as other:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir("elsewhere")
        await mirror._store.begin_run(at(0))
        assert await mirror._store.lock("a1")
        assert await other._store.lock("a1") is None


async def test_a_process_that_was_forked_needs_a_mirror_of_its_own(
    mirror: Mirror, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    await refresh(0, callflow("c1"))
    with monkeypatch.context() as forked:
        forked.setattr("os.getpid", lambda: -1)
        with pytest.raises(MirrorError, match="used before this process was forked: create a new one"):
            await mirror.status()
        await mirror.close()
    mirror._store._is_closed = False  # as it is in the process that was not forked
    assert [each.account_id for each in await mirror.status()] == ["a1"]


async def test_a_process_that_was_forked_does_not_keep_the_file_locked(tmp_path: Path) -> None:
    async with Mirror(tmp_path / "mirror.db") as mirror, Mirror(tmp_path / "mirror.db") as other:
        store = mirror._store
        run_id = await store.begin_run(at(0))
        assert await store.lock("a1")
        lock_file: Any = await store.run(lambda database: getattr(database, "_lock_file", None))
        inherited = os.dup(lock_file)
        await store.unlock("a1")
        await store.end_run(run_id, at(1), ok=1, failed=0, requests=2, added=0, changed=0, deleted=0)
        assert await other._store.lock("a1")
        os.close(inherited)


async def test_a_run_whose_end_cannot_be_stored_unlocks_the_file(tmp_path: Path) -> None:
    async with Mirror(tmp_path / "mirror.db") as mirror, Mirror(tmp_path / "mirror.db") as other:
        store, counts = mirror._store, {"failed": 0, "requests": 2, "added": 0, "changed": 0, "deleted": 0}
        run_id = await store.begin_run(at(0))
        assert await store.lock("a1")
        await store.unlock("a1")
        wrong: Any = object()
        with pytest.raises(MirrorError, match="cannot be used"):
            await store.end_run(run_id, at(1), ok=wrong, **counts)
        assert await other._store.lock("a1")


async def test_a_connection_that_was_lost_is_made_again_without_its_locks(postgres_mirror: str) -> None:
    async with Mirror(postgres_mirror) as mirror:
        await Refresh(mirror)(0, callflow("c1"))
        store = mirror._store
        assert await store.lock("a1")
        end_connections(postgres_mirror)
        with pytest.raises(MirrorError, match="cannot be used"):
            await mirror.status()
        assert [each.account_id for each in await mirror.status()] == ["a1"]
        ends: dict[str, Any] = {"began_at": at(1), "watermark": 6, "deleted": [], "unreadable": [], "now": at(1)}
        for call in (
            store.begin("a1", 6),
            store.write("a1", [read(callflow("c1", "Other"), at(1))], run_id=1, now=at(1)),
            store.finish("a1", **ends),
            store.fail("a1", "failed", "an error", at(1)),
        ):
            with pytest.raises(MirrorError, match="was lost, and with it the locks"):
                await call
        await Refresh(mirror)(2, callflow("c1", "Third"))
        assert [each.document.name async for each in mirror.history("a1", "c1")] == ["Main", "Third"]


@pytest.mark.parametrize(
    ("variable", "value"), [("PGCLIENTENCODING", "LATIN1"), ("PGDATESTYLE", "German"), ("PGTZ", "Asia/Tokyo")]
)
async def test_the_environment_of_postgresql_does_not_matter(
    postgres_mirror: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    async with Mirror(postgres_mirror) as mirror:
        await Refresh(mirror)(0, callflow("c1", "日本"))
        assert [(each.document.name, each.valid_from) async for each in mirror.history("a1", "c1")] == [("日本", at(0))]


async def test_a_server_that_vanishes_is_noticed_unless_the_address_says_otherwise(postgres_mirror: str) -> None:
    def settings(database: Any) -> dict[str, str]:
        return dict(database._connection.info.get_parameters())

    limits = {
        "connect_timeout": "10",
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "tcp_user_timeout": "30000",
    }
    for address, expected in (
        (postgres_mirror, limits),
        (f"{postgres_mirror}?keepalives_idle=600", {**limits, "keepalives_idle": "600"}),
    ):
        async with Mirror(address) as mirror:
            await mirror._store.begin_run(at(0))
            assert (await mirror._store.run(settings)).items() >= expected.items()


async def test_a_user_who_may_only_read(postgres_mirror: str) -> None:
    async with Mirror(postgres_mirror) as mirror:
        await Refresh(mirror)(0, callflow("c1"))
    async with Mirror(postgres_mirror.replace("vinix@", "reader@")) as mirror:
        with connect(postgres_mirror) as connection:
            connection.execute("CREATE ROLE reader LOGIN")
            with pytest.raises(MirrorError, match="this user needs USAGE on the schema vinix_mirror"):
                await mirror.status()
            connection.execute("GRANT USAGE ON SCHEMA vinix_mirror TO reader")
            with pytest.raises(MirrorError, match="permission denied for table"):
                await mirror.status()
            connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA vinix_mirror TO reader")
            assert [each.id async for each in mirror.callflows("a1")] == ["c1"]
            with pytest.raises(MirrorError, match="permission denied for table runs"):
                await mirror._store.begin_run(at(1))
            connection.execute("DROP OWNED BY reader")
            connection.execute("DROP ROLE reader")


async def test_a_database_that_cannot_store_all_characters_is_refused(postgres: str) -> None:
    with connect(postgres) as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    async with Mirror(f"{postgres.rpartition('/')[0]}/latin") as mirror:
        with pytest.raises(MirrorError, match=r"its encoding is LATIN1: create the database with ENCODING 'UTF8'"):
            await mirror._store.begin_run(at(0))


async def test_a_batch_is_stored_as_a_whole_or_not_at_all(mirror: Mirror, refresh: Refresh) -> None:
    await refresh(0, callflow("c1"))
    store = mirror._store
    await store.lock("a1")
    wrong: Any = read(callflow("c2"), at(1), row_hash=object())
    with pytest.raises(MirrorError, match="cannot be used"):
        await store.write("a1", [read(callflow("c1", "Other"), at(1)), wrong], run_id=1, now=at(1))
    assert [each.name async for each in mirror.callflows("a1")] == ["Main"]
    assert await store.write("a1", [read(callflow("c1", "Other"), at(1))], run_id=1, now=at(1)) == Written(0, 1)


async def test_a_missing_an_empty_and_a_newer_mirror(database: str) -> None:
    async with Mirror(database) as mirror:
        with pytest.raises(MirrorError, match=r"`vinix mirror refresh` (creates|fills) it"):
            await mirror.status()
        await mirror._store.begin_run(at(0))
        assert await mirror.status() == []
        newer = "PRAGMA user_version = 9" if "://" not in database else "UPDATE schema_version SET version = 9"
        await mirror._store.run(lambda it: it.execute(newer))
    async with Mirror(database) as mirror:
        with pytest.raises(MirrorError, match="newer version of vinix-async"):
            await mirror.status()
    with pytest.raises(MirrorError, match="was closed"):
        await mirror.status()
    await mirror.close()


async def test_an_older_mirror_is_brought_up_to_date(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def next_version_of_the_library(*statements: str) -> None:
        module = "vinix_async.mirror.postgres" if "://" in database else "vinix_async.mirror.sqlite"
        monkeypatch.setattr(f"{module}.MIGRATIONS", (*MIGRATIONS, statements))

    async with Mirror(database) as mirror:
        await Refresh(mirror)(0, callflow("c1"))
    add = "ALTER TABLE accounts ADD COLUMN realm {text}"
    next_version_of_the_library(add, "SELECT odd FROM accounts")
    async with Mirror(database) as mirror:
        with pytest.raises(MirrorError, match="odd"):
            await mirror.status()
    next_version_of_the_library(add)  # nothing is left of the one that failed
    for _ in range(2):
        async with Mirror(database) as mirror:
            assert [each.id async for each in mirror.callflows("a1")] == ["c1"]
            assert await mirror._store.run(lambda it: it.execute("SELECT realm FROM accounts")) == [(None,)]
    monkeypatch.undo()
    async with Mirror(database) as mirror:
        with pytest.raises(MirrorError, match="newer version of vinix-async"):
            await mirror.status()


async def test_files_that_are_no_mirror(tmp_path: Path) -> None:
    def damaged() -> Path:
        path = tmp_path / "damaged.db"
        path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5_000)
        return path

    def other() -> Path:
        path = tmp_path / "other.db"
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE albums (title)")
        connection.close()
        return path

    def text() -> Path:
        path = tmp_path / "text.db"
        path.write_text("an address book " * 100)
        return path

    def empty() -> Path:
        path = tmp_path / "empty.db"
        path.touch()
        return path

    def folder() -> Path:
        path = tmp_path / "folder.db"
        path.mkdir()
        return path

    for path, message in {
        damaged(): "is not an SQLite database|damaged",
        other(): "is an SQLite database, but not a mirror",
        text(): "is not an SQLite database",
        empty(): "is empty",
        folder(): "cannot be opened",
        tmp_path / "none" / "mirror.db": "folder does not exist",
    }.items():
        async with Mirror(path) as mirror:
            with pytest.raises(MirrorError, match=message) as caught:
                await mirror.status()
        assert str(path) in str(caught.value)
        assert caught.value.__cause__ is caught.value.__context__ is None
    async with Mirror(tmp_path / ("x" * 300)) as mirror:
        with pytest.raises(MirrorError):
            await mirror.status()
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as opened:
        assert opened.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)


async def test_values_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "mirror.db"

    async def ask(mirror: Mirror) -> None:
        await mirror.status()
        _ = [each async for each in mirror.history("a1", "c1")]
        await mirror._store.lock("a1")

    async with Mirror(path) as mirror:
        await Refresh(mirror)(0, callflow("c1"))
        await ask(mirror)
    whole = path.read_bytes()
    for table, column, value in (
        ("versions", "document", b'{"id": "c1", "planted-secret'),
        ("versions", "document", b'{"id": "c1", "name": "planted-secret\xff"}'),
        ("versions", "metadata", b"planted-secret"),
        ("versions", "valid_from", b"2026-03-01Tplanted-secret"),
        ("accounts", "refreshed_at", b"2026-03-01Tplanted-secret"),
        ("callflows", "toggles", b"planted-secret"),
    ):
        path.write_bytes(whole)
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"UPDATE {table} SET {column} = CAST(? AS text)", (value,))
        async with Mirror(path) as mirror:
            with pytest.raises(MirrorError, match="damaged") as caught:
                await ask(mirror)
        assert "planted" not in str(caught.value)
    path.write_bytes(whole.replace(b"CREATE TABLE runs", b"CREATE TABL\xff runs"))
    async with Mirror(path) as mirror:
        with pytest.raises(MirrorError, match="damaged"):
            await mirror.status()


async def test_an_error_of_postgresql_has_no_stored_values(postgres_mirror: str) -> None:
    async with Mirror(postgres_mirror) as mirror:
        await Refresh(mirror)(0, account_id="planted-secret")
        statement = "INSERT INTO accounts (account_id, state) VALUES (?, 'new')"
        with pytest.raises(MirrorError, match="duplicate key value violates unique constraint") as caught:
            await mirror._store.run(lambda database: database.execute(statement, "planted-secret"))
        assert "planted" not in str(caught.value)


async def test_ids_that_cannot_be_stored(mirror: Mirror, refresh: Refresh) -> None:
    await refresh(0, callflow("c1"))
    store = mirror._store
    await store.lock("a1")
    ends: dict[str, Any] = {"began_at": at(1), "watermark": 6, "deleted": [], "now": at(1)}
    await store.finish("a1", **ends, unreadable=["c\0", "c1"])
    await store.unlock("a1")
    known = await store.lock("a1")
    assert known
    assert {each: callflow.row_hash for each, callflow in known.callflows.items()} == {"c1": None}


async def test_a_file_that_another_program_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vinix_async.mirror.sqlite._BUSY_TIMEOUT", 0.0)
    async with Mirror(tmp_path / "mirror.db") as mirror:
        run_id = await mirror._store.begin_run(at(0))
        other = sqlite3.connect(tmp_path / "mirror.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(MirrorError, match="locked by another process"):
            await mirror._store.begin_run(at(0))
        other.execute("ROLLBACK")
        other.close()
        assert await mirror._store.begin_run(at(0)) > run_id


async def test_a_lock_file_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "mirror.db-lock").mkdir()
    async with Mirror(tmp_path / "mirror.db") as mirror:
        await mirror._store.begin_run(at(0))
        with pytest.raises(MirrorError, match=r"lock file .*mirror\.db-lock cannot be used: Is a directory"):
            await mirror._store.lock("a1")


async def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK), descriptor)

    monkeypatch.setattr("vinix_async._locks._lock", refuse)
    async with Mirror(tmp_path / "mirror.db") as mirror:
        await mirror._store.begin_run(at(0))
        with pytest.raises(MirrorError, match="cannot be used: No locks available"):
            await mirror._store.lock("a1")


async def test_a_server_that_cannot_be_reached(unused_tcp_port: int) -> None:
    async with Mirror(f"postgresql://ann:planted-secret@127.0.0.1:{unused_tcp_port}/calls") as mirror:
        with pytest.raises(MirrorError, match="refused") as caught:
            await mirror.status()
    assert f"postgresql://127.0.0.1:{unused_tcp_port}/calls" in str(caught.value)


async def test_a_write_that_was_begun_is_completed_when_its_task_is_cancelled(
    mirror: Mirror, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(document: Callflow) -> Content:
        started.set()
        assert go_on.wait(10)
        return content_of(document)

    await refresh(0, callflow("c1"))
    store = mirror._store
    await store.lock("a1")
    monkeypatch.setattr("vinix_async.mirror.store.content_of", slow)
    tasks = [
        asyncio.create_task(store.write("a1", [read(callflow("c1", name), at(1))], run_id=1, now=at(1)))
        for name in ("Begun", "Waits")
    ]
    await asyncio.to_thread(started.wait, 10)
    for task in tasks:
        task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    assert {type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)} == {asyncio.CancelledError}
    assert [each.name async for each in mirror.callflows("a1")] == ["Begun"]


async def test_an_account_that_cannot_be_read_is_unlocked(
    database: str, mirror: Mirror, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    await refresh(0, callflow("c1"))
    async with Mirror(database) as other:
        with monkeypatch.context() as broken:
            broken.setattr("vinix_async.mirror.store._load", Mock(side_effect=MirrorError("a time is invalid")))
            with pytest.raises(MirrorError, match="a time is invalid"):
                await mirror._store.lock("a1")
        await mirror._store.end_run(1, at(1), ok=0, failed=1, requests=0, added=0, changed=0, deleted=0)
        assert await other._store.lock("a1")


async def test_a_lock_whose_task_is_cancelled_is_released(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Any:
        started.set()
        assert go_on.wait(10)
        return _load(*arguments)

    monkeypatch.setattr("vinix_async.mirror.store._load", slow)
    store = mirror._store
    await store.begin_run(at(0))
    task = asyncio.create_task(store.lock("a1"))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.lock("a1") is not None
