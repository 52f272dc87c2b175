"""The callflows of every account: made when they are asked for, with the changes that a test has made."""

import random
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from ._flows import Json, Maker
from ._ids import Ids, digest


class Documents:
    """``count(account index)`` callflows for each account; ids ascending is the order of the server's view."""

    def __init__(self, seed: int, account_ids: Callable[[int], str], spread: tuple[int, int]) -> None:
        self._seed = seed
        self._account_id = account_ids
        self._spread = spread
        self._added: dict[int, dict[str, Json]] = {}
        self._removed: dict[int, set[str]] = {}
        self._revisions: dict[tuple[int, str], int] = {}
        self._numbers = lru_cache(maxsize=256)(self._numbered)
        self.ids = lru_cache(maxsize=256)(self._ids)
        self.kept = lru_cache(maxsize=1024)(self.stored)  # for filters, which look at all of an account for each page

    def _numbered(self, account: int) -> dict[str, int]:
        """The ids of an account's callflows and the number that each is made from, changes aside."""
        family = Ids(self._seed, "callflow", account)
        count = random.Random(f"{self._seed} count {account}").randint(*self._spread)
        return {family[each]: each for each in range(count)}

    def _ids(self, account: int) -> list[str]:
        """The ids of an account's callflows, ascending."""
        return sorted({*self._numbers(account), *self._added.get(account, ())} - self._removed.get(account, set()))

    def stored(self, account: int, callflow_id: str) -> Json:
        """The whole document, private fields included; KeyError if there is none."""
        return self._made(account, callflow_id)[0]

    def _made(self, account: int, callflow_id: str) -> tuple[Json, dict[str, Json]]:
        if callflow_id in self._removed.get(account, ()):
            raise KeyError(callflow_id)
        if callflow_id in self._added.get(account, ()):
            return self._added[account][callflow_id], {}
        maker = Maker(self._seed, self._account_id(account), self._numbers(account)[callflow_id])
        return maker.document(callflow_id), maker.names

    def whole(self, account: int, callflow_id: str) -> Json:
        """The document as a single GET sends it: public fields, and the metadata of what it refers to."""
        stored, names = self._made(account, callflow_id)
        found = {entity: names[entity] for entity in _references(stored.get("flow")) if entity in names}
        return {**_public(stored), "metadata": found}

    def row(self, account: int, callflow_id: str) -> Json:
        """The document as a listing sends it."""
        return summary(self.stored(account, callflow_id))

    def revision(self, account: int, callflow_id: str) -> str:
        """A CouchDB revision, which changes with the document."""
        number = self._revisions.get((account, callflow_id), 1)
        return f"{number}-{digest(callflow_id, number)}"

    def put(self, account: int, document: Json) -> str:
        """Add or replace a document; one without an id gets one."""
        callflow_id = document.get("id") or digest(self._seed, account, "added", len(self._revisions))
        self._added.setdefault(account, {})[callflow_id] = {**document, "id": callflow_id}
        self._removed.get(account, set()).discard(callflow_id)
        self._changed(account, callflow_id)
        return str(callflow_id)

    def remove(self, account: int, callflow_id: str) -> None:
        """Delete a document; KeyError if there is none."""
        self.stored(account, callflow_id)
        self._added.get(account, {}).pop(callflow_id, None)
        self._removed.setdefault(account, set()).add(callflow_id)
        self._changed(account, callflow_id)

    def _changed(self, account: int, callflow_id: str) -> None:
        key = (account, callflow_id)
        self._revisions[key] = self._revisions.get(key, 1) + 1
        self.ids.cache_clear()
        self.kept.cache_clear()


def _public(stored: Json) -> Json:
    return {key: value for key, value in stored.items() if not key.startswith(("_", "pvt_"))}


def summary(stored: Json) -> Json:
    """A listing's row: no flow, ``featurecode`` false if there is none, and the modules of the flow."""
    row: Json = {"id": stored["id"]}
    for key in ("name", "type", "numbers", "patterns", "owner_id", "group_id"):
        if key in stored:
            row[key] = stored[key]
    row["featurecode"] = stored.get("featurecode") or False
    row["modules"] = list(_modules(stored.get("flow")))
    row["flags"] = stored.get("flags") or []
    return row


def _modules(flow: Any) -> dict[str, None]:
    """Each module once, depth first; nodes without data and skipped ones are left out."""
    return {
        node["module"]: None
        for node in _walk(flow)
        if isinstance(node.get("data"), dict) and node["data"].get("skip_module") is not True and "module" in node
    }


def _references(flow: Any) -> Iterator[str]:
    for node in _walk(flow):
        for key, value in (node.get("data") or {}).items():
            if isinstance(value, str) and (key == "id" or "_id" in key):
                yield value
        yield from (key for key in node.get("children") or () if len(key) > 1)


def _walk(flow: Any) -> Iterator[Json]:
    waiting = [flow] if isinstance(flow, dict) else []
    while waiting:
        node = waiting.pop()
        yield node
        children = node.get("children")
        if isinstance(children, dict):
            waiting.extend(child for child in reversed(list(children.values())) if isinstance(child, dict))
