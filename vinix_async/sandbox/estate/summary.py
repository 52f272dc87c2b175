"""Derives parts of responses from a stored callflow: its row in a listing, its public fields and its references."""

from collections.abc import Iterator
from typing import Any

from .quirks import Json


def summary(stored: Json) -> Json:
    """Return the row of a document in a listing, as Kazoo's view ``crossbar_listing`` builds it.

    A row has ``modules`` instead of ``flow``. ``featurecode`` is False if the document has no feature code.
    """
    row: Json = {"id": stored["id"]}
    for key in ("name", "type", "numbers", "patterns", "owner_id", "group_id"):
        if key in stored:
            row[key] = stored[key]
    row["featurecode"] = stored["featurecode"] if _is_truthy(stored.get("featurecode")) else False
    row["modules"] = _modules(stored.get("flow"))
    row["flags"] = stored["flags"] if _is_truthy(stored.get("flags")) else []
    return row


def _is_truthy(value: Any) -> bool:
    """Return whether a value is true in JavaScript, the language of the view. Empty objects and arrays are true."""
    return value not in (None, False, 0, "")


def public_fields(stored: Json) -> Json:
    """Return the document without its private fields."""
    return {key: value for key, value in stored.items() if not key.startswith(("_", "pvt_"))}


def referenced_ids(flow: Any) -> Iterator[str]:
    """Yield the possible ids of entities in a flow: ids in ``data``, and child keys of more than one character.

    Kazoo looks up these ids. It adds the entities that it finds to the ``metadata`` of the document.
    """
    for node in _nodes(flow):
        data, children = node.get("data"), node.get("children")
        if isinstance(data, dict):
            yield from (
                value for key, value in data.items() if isinstance(value, str) and (key == "id" or "_id" in key)
            )
        if isinstance(children, dict):
            yield from (key for key in children if len(key) > 1)


def _modules(flow: Any) -> list[Any]:
    """Return the modules of a flow in depth-first order, without repetitions.

    Nodes that are skipped or have no ``data`` do not count.
    """
    found: list[Any] = []
    for node in _nodes(flow):
        module, data = node.get("module"), node.get("data")
        is_skipped = isinstance(data, dict) and data.get("skip_module") is True
        if _is_truthy(module) and _is_truthy(data) and not is_skipped and module not in found:
            found.append(module)
    return found


def _nodes(flow: Any) -> Iterator[Json]:
    stack = [flow] if isinstance(flow, dict) else []
    while stack:
        node = stack.pop()
        yield node
        children = node.get("children")
        if isinstance(children, dict):
            stack.extend(child for child in reversed(list(children.values())) if isinstance(child, dict))
