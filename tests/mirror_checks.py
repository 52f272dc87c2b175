"""Whether a mirror holds what its sandbox holds, and whether its history is possible."""

import json
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from vinix_async.mirror.store import Store
from vinix_async.sandbox import Sandbox

_COLUMNS = {
    "callflows": ["account_id", "callflow_id", "revision", "row_hash"],
    "runs": ["run_id", "started_at", "ended_at"],
    "versions": [
        *("version_id", "account_id", "callflow_id"),
        *("valid_from", "not_before", "valid_to", "ended_by", "document"),
    ],
}


async def rows_of(store: Store, table: str) -> list[dict[str, Any]]:
    """The rows of a table, in the order of its first column."""
    names = _COLUMNS[table]
    columns = ", ".join("CAST(document AS text)" if name == "document" else name for name in names)
    statement = f"SELECT {columns} FROM {table} ORDER BY 1"  # ours
    rows = await store.run(lambda database: database.execute(statement))
    return [dict(zip(names, row, strict=True)) for row in rows]


def stored_form(document: dict[str, Any]) -> str:
    """A document without what the mirror leaves out, in a form that can be compared."""
    return json.dumps({key: value for key, value in document.items() if key != "metadata"}, sort_keys=True)


async def current(store: Store) -> dict[str, dict[str, str]]:
    """The current documents of each account by id."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for row in await rows_of(store, "versions"):
        if row["valid_to"] is None:
            assert row["callflow_id"] not in found[row["account_id"]], "two current versions"
            found[row["account_id"]][row["callflow_id"]] = stored_form(json.loads(row["document"]))
    return found


async def assert_same(store: Store, sandbox: Sandbox, account_ids: Iterable[str]) -> None:
    """The mirror holds the same callflows as the sandbox."""
    mirrored = await current(store)
    for account_id in account_ids:
        served = {each: stored_form(sandbox.document(account_id, each)) for each in sandbox.callflow_ids(account_id)}
        found = mirrored[account_id]
        different = {each for each in found.keys() | served.keys() if found.get(each) != served.get(each)}
        assert not different, {each: (found.get(each), served.get(each)) for each in different}


async def assert_history(store: Store, existed: set[str] | None = None) -> None:
    """Versions of a callflow follow each other, and each has a content that ``existed``, if that is given."""
    lives: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in await rows_of(store, "versions"):
        lives[row["account_id"], row["callflow_id"]].append(row)
        assert existed is None or stored_form(json.loads(row["document"])) in existed
    for versions in lives.values():
        for earlier, later in pairwise(versions):
            assert earlier["valid_to"] is not None
            assert earlier["valid_from"] <= earlier["valid_to"] <= later["valid_from"]
            if earlier["ended_by"] == "change":
                assert earlier["valid_to"] == later["valid_from"]
                assert earlier["document"] != later["document"]
        for version in versions:
            assert version["not_before"] is None or version["not_before"] <= version["valid_from"]
            assert (version["valid_to"] is None) == (version["ended_by"] is None)
