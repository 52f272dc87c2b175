"""A mirror that a test fills by itself."""

from datetime import UTC, datetime, timedelta
from typing import Any

from vinix_async import Callflow, structure
from vinix_async.mirror import Mirror
from vinix_async.mirror.store import Read, Store, Written

START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def callflow(callflow_id: str, name: str = "Main", **more: Any) -> Callflow:
    flow = {"module": "user", "data": {"id": "u1"}}
    return structure({"id": callflow_id, "name": name, "flow": flow, **more}, Callflow)


def read(document: Callflow, when: datetime, **more: Any) -> Read:
    values = {"callflow": document, "revision": "1-a", "row_hash": b"row", "not_before": None, **more}
    return Read(callflow_id=document.id, read_at=when, **values)


class Refresh:
    """Refreshes an account with given documents."""

    def __init__(self, mirror: Mirror) -> None:
        self.store: Store = mirror._store

    async def __call__(
        self, hour: float, *documents: Callflow | Read, account_id: str = "a1", deleted: tuple[str, ...] = ()
    ) -> Written:
        run_id = await self.store.begin_run(at(hour))
        known = await self.store.lock(account_id, f"Name of {account_id}")
        assert known
        reads = [
            each if isinstance(each, Read) else read(each, at(hour), not_before=known.refreshed_at)
            for each in documents
        ]
        written = await self.store.write(account_id, reads, run_id=run_id, now=at(hour))
        ends: dict[str, Any] = {"began_at": at(hour), "now": at(hour)}
        await self.store.finish(account_id, **ends, watermark=5, deleted=deleted, unreadable=[])
        await self.store.unlock(account_id)
        await self.store.end_run(run_id, at(hour), ok=1, failed=0, requests=2, added=0, changed=0, deleted=0)
        return written

    async def fail(self, hour: float, account_id: str, state: Any, error: str) -> None:
        """End a refresh of an account with an error."""
        assert await self.store.lock(account_id)
        await self.store.fail(account_id, state, error, at(hour))
        await self.store.unlock(account_id)
