"""What the mirror stores, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from vinix_async import Callflow, structure
from vinix_async.mirror.postgres import PostgresDatabase
from vinix_async.mirror.sqlite import SqliteDatabase
from vinix_async.mirror.store import KnownCallflow, Read, Store, Written
from vinix_async.mirror.times import to_time

START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def callflow(callflow_id: str, name: str = "Main", **more: Any) -> Callflow:
    return structure(
        {"id": callflow_id, "name": name, "flow": {"module": "user", "data": {"id": "u1"}}, **more}, Callflow
    )


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "sqlite":
        made = Store(SqliteDatabase(tmp_path / "mirror.db"))
    else:
        made = Store(PostgresDatabase(request.getfixturevalue("postgres_mirror")))
    yield made
    await made.close()


def read(callflow_id: str, document: Callflow | None, when: datetime, **more: Any) -> Read:
    values = {"revision": "1-a", "row_hash": b"row", "not_before": None, **more}
    return Read(callflow_id=callflow_id, callflow=document, read_at=when, **values)


async def test_a_change_ends_the_version_before_it(store: Store) -> None:
    run_id = await store.begin_run(at(0))
    known = await store.lock("a1", "Acme")
    assert known
    assert (known.state, known.watermark, known.callflows) == ("new", None, {})
    assert await store.write("a1", [read("c1", callflow("c1"), at(0))], run_id=run_id, now=at(0)) == Written(1, 0)
    await store.finish("a1", began_at=at(0), watermark=5, deleted=[], unreadable=[], now=at(1))
    await store.unlock("a1")
    known = await store.lock("a1")
    assert known
    assert (known.state, known.watermark, known.refreshed_at) == ("ok", 5, at(0))
    assert known.callflows == {"c1": KnownCallflow("1-a", b"row", at(0), ())}
    same = read("c1", callflow("c1"), at(2), revision="2-b")
    assert await store.write("a1", [same], run_id=run_id, now=at(2)) == Written(0, 0)
    other = read("c1", callflow("c1", "Other"), at(3), revision="3-c")
    assert await store.write("a1", [other], run_id=run_id, now=at(3)) == Written(0, 1)
    statement = "SELECT name, revision, valid_from, not_before, valid_to, ended_by FROM versions ORDER BY version_id"
    rows = await store.run(lambda database: database.execute(statement))
    assert [tuple(map(to_time, row[2:5])) for row in rows] == [(at(0), None, at(3)), (at(3), at(0), None)]
    assert [(*row[:2], row[5]) for row in rows] == [("Main", "1-a", "change"), ("Other", "3-c", None)]
