"""The callflows of every account: generated on demand, with the changes that a test has made on top."""

import random
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache

from .callflow_generator import CallflowGenerator
from .ids import IdSequence, digest
from .quirks import Json
from .summary import public_fields, referenced_ids, summary


class CallflowStore:
    """Callflows by account index and callflow id.

    Args:
        seed: the same seed gives the same callflows.
        account_id_of: returns the id of an account, given its index.
        count_range: the smallest and the largest number of generated callflows of an account.
    """

    def __init__(self, seed: int, account_id_of: Callable[[int], str], count_range: tuple[int, int]) -> None:
        self._seed = seed
        self._account_id_of = account_id_of
        self._count_range = count_range
        self._added: dict[int, dict[str, Json]] = {}
        self._removed: dict[int, set[str]] = {}
        self._revisions: dict[tuple[int, str], int] = {}
        self._generated_numbers = lru_cache(maxsize=256)(self._generate_numbers)
        self._cached_ids = lru_cache(maxsize=256)(self._sorted_ids)
        self._cached_documents = lru_cache(maxsize=1024)(self.stored)

    def _generate_numbers(self, account: int) -> dict[str, int]:
        """Return the ids of an account's generated callflows with the numbers that they are generated from."""
        ids = IdSequence(self._seed, "callflow", account)
        count = random.Random(f"{self._seed} count {account}").randint(*self._count_range)
        return {ids[number]: number for number in range(count)}

    def ids(self, account: int) -> list[str]:
        """Return the ids of an account's callflows, ascending, as the server's view sorts them."""
        return self._cached_ids(account)

    def cached(self, account: int, callflow_id: str) -> Json:
        """Return what ``stored`` does, from a cache: a filter reads all documents of an account for every page."""
        return self._cached_documents(account, callflow_id)

    def clear_caches(self) -> None:
        """Forget what can be generated again."""
        self._cached_ids.cache_clear()
        self._cached_documents.cache_clear()

    def _sorted_ids(self, account: int) -> list[str]:
        present = {*self._generated_numbers(account), *self._added.get(account, ())}
        return sorted(present - self._removed.get(account, set()))

    def stored(self, account: int, callflow_id: str) -> Json:
        """Return the stored document with its private fields. Raises KeyError if there is none."""
        return self._find(account, callflow_id)[0]

    def _find(self, account: int, callflow_id: str) -> tuple[Json, dict[str, Json]]:
        """Return a stored document, and the metadata of the entities that it may refer to."""
        if callflow_id in self._removed.get(account, ()):
            raise KeyError(callflow_id)
        if callflow_id in self._added.get(account, ()):
            return self._added[account][callflow_id], {}
        number = self._generated_numbers(account)[callflow_id]
        generator = CallflowGenerator(self._seed, self._account_id_of(account), number)
        return generator.document(callflow_id), generator.referenced

    def document(self, account: int, callflow_id: str) -> Json:
        """Return the document as a single GET sends it: its public fields, and the metadata of its references."""
        stored, entities = self._find(account, callflow_id)
        metadata = {entity: entities[entity] for entity in referenced_ids(stored.get("flow")) if entity in entities}
        return {**public_fields(stored), "metadata": metadata}

    def row(self, account: int, callflow_id: str) -> Json:
        """Return the document as a listing sends it."""
        return summary(self.stored(account, callflow_id))

    def revision(self, account: int, callflow_id: str) -> str:
        """Return the CouchDB revision, which changes with the document."""
        number = self._revisions.get((account, callflow_id), 1)
        return f"{number}-{digest(callflow_id, number)}"

    def put(self, account: int, document: Json, modified: int | None = None) -> str:
        """Add or replace a document, and return its id. A document without an id gets one.

        ``modified`` is the date of the change in Gregorian seconds, and of the creation where the document is new.
        Without it the document keeps the dates of the one that it replaces. Dates in the document itself win.
        """
        callflow_id = document.get("id") or digest(self._seed, account, "added", len(self._revisions))
        dates = {"pvt_created": modified, "pvt_modified": modified}
        with suppress(KeyError):
            replaced = self.stored(account, callflow_id)
            dates["pvt_created"] = replaced.get("pvt_created")
            if modified is None:
                dates["pvt_modified"] = replaced.get("pvt_modified")
        known = {name: date for name, date in dates.items() if date is not None}
        self._added.setdefault(account, {})[callflow_id] = {**known, **document, "id": callflow_id}
        self._removed.get(account, set()).discard(callflow_id)
        self._mark_changed(account, callflow_id)
        return str(callflow_id)

    def remove(self, account: int, callflow_id: str) -> None:
        """Delete a document. Raises KeyError if there is none."""
        self.stored(account, callflow_id)
        self._added.get(account, {}).pop(callflow_id, None)
        self._removed.setdefault(account, set()).add(callflow_id)
        self._mark_changed(account, callflow_id)

    def _mark_changed(self, account: int, callflow_id: str) -> None:
        key = (account, callflow_id)
        self._revisions[key] = self._revisions.get(key, 1) + 1
        self.clear_caches()
