"""Derives what the API returns for a stored callflow: its row in a listing, its public fields and its references."""

from collections.abc import Iterator
from typing import Any

from .quirks import Json


def summary(stored: Json) -> Json:
    """Return the row of a listing. It has ``modules`` instead of ``flow``. A missing ``featurecode`` becomes false."""
    row: Json = {"id": stored["id"]}
    for key in ("name", "type", "numbers", "patterns", "owner_id", "group_id"):
        if key in stored:
            row[key] = stored[key]
    row["featurecode"] = stored.get("featurecode") or False
    row["modules"] = list(_modules(stored.get("flow")))
    row["flags"] = stored.get("flags") or []
    return row


def public_fields(stored: Json) -> Json:
    """Return the document without its private fields."""
    return {key: value for key, value in stored.items() if not key.startswith(("_", "pvt_"))}


def referenced_ids(flow: Any) -> Iterator[str]:
    """Yield the ids for which Kazoo adds metadata to a document: ids in ``data``, and child keys such as rule ids."""
    for node in _nodes(flow):
        for key, value in (node.get("data") or {}).items():
            if isinstance(value, str) and (key == "id" or "_id" in key):
                yield value
        yield from (key for key in node.get("children") or () if len(key) > 1)


def _modules(flow: Any) -> dict[str, None]:
    """Return each module once, in depth-first order, without skipped nodes and nodes without data."""
    return {
        node["module"]: None
        for node in _nodes(flow)
        if isinstance(node.get("data"), dict) and node["data"].get("skip_module") is not True and "module" in node
    }


def _nodes(flow: Any) -> Iterator[Json]:
    stack = [flow] if isinstance(flow, dict) else []
    while stack:
        node = stack.pop()
        yield node
        children = node.get("children")
        if isinstance(children, dict):
            stack.extend(child for child in reversed(list(children.values())) if isinstance(child, dict))
