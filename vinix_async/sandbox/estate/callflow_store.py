"""Provides the callflows of all accounts. They are generated on demand, unless they were added or replaced."""

import random
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from functools import lru_cache

from .callflow_generator import CallflowGenerator
from .faulty_callflows import ENTITIES, FAULTY_CALLFLOWS
from .ids import IdSequence, digest
from .quirks import Json
from .summary import public_fields, referenced_ids, summary


class CallflowStore:
    """The callflows, addressed by account index and callflow id.

    Args:
        seed: the same seed gives the same callflows.
        account_id_of: returns the id of an account, given the account's index.
        count_range: the minimum and maximum number of generated callflows per account.
        faulty_account: the index of the account that has the faulty callflows instead of generated ones.
    """

    def __init__(
        self,
        seed: int,
        account_id_of: Callable[[int], str],
        count_range: tuple[int, int],
        faulty_account: int | None = None,
    ) -> None:
        self._seed = seed
        self._account_id_of = account_id_of
        self._count_range = count_range
        self._faulty_account = faulty_account
        self._added: dict[int, dict[str, Json]] = {}
        self._removed: dict[int, set[str]] = {}
        self._revisions: dict[tuple[int, str], int] = {}
        self._generated_indexes = lru_cache(maxsize=256)(self._index_generated)
        self._cached_ids = lru_cache(maxsize=256)(self._sorted_ids)
        self._cached_documents = lru_cache(maxsize=1024)(self.stored)

    def _index_generated(self, account: int) -> dict[str, int]:
        """Return a dict from the ids of an account's generated callflows to their indexes."""
        if account == self._faulty_account:
            return {callflow_id: index for index, callflow_id in enumerate(FAULTY_CALLFLOWS)}
        ids = IdSequence(self._seed, "callflow", account)
        count = random.Random(f"{self._seed} count {account}").randint(*self._count_range)
        return {ids[index]: index for index in range(count)}

    def ids(self, account: int) -> list[str]:
        """Return the ids of an account's callflows in ascending order, which is the order of the server's view."""
        return self._cached_ids(account)

    def cached(self, account: int, callflow_id: str) -> Json:
        """Return the same document as ``stored``, from a cache. The caller must not change it.

        The cache makes filters faster, because they read all documents of an account for every page.
        """
        return self._cached_documents(account, callflow_id)

    def clear_caches(self) -> None:
        """Discard the cached ids and documents, because they have changed."""
        self._cached_ids.cache_clear()
        self._cached_documents.cache_clear()

    def _sorted_ids(self, account: int) -> list[str]:
        present = {*self._generated_indexes(account), *self._added.get(account, ())}
        return sorted(present - self._removed.get(account, set()))

    def stored(self, account: int, callflow_id: str) -> Json:
        """Return the stored document with its private fields. Raises KeyError if it does not exist."""
        return self._find(account, callflow_id)[0]

    def _find(self, account: int, callflow_id: str) -> tuple[Json, dict[str, Json]]:
        """Return a stored document, and a dict from the ids of entities to their metadata.

        The dict has all entities that the document refers to. For a document that was added or replaced, the dict
        is the ``metadata`` that came with the document.
        """
        if callflow_id in self._removed.get(account, ()):
            raise KeyError(callflow_id)
        if callflow_id in self._added.get(account, ()):
            added = self._added[account][callflow_id]
            entities = added.get("metadata")
            return added, entities if isinstance(entities, dict) else {}
        index = self._generated_indexes(account)[callflow_id]
        if account == self._faulty_account:
            return deepcopy(FAULTY_CALLFLOWS[callflow_id]), ENTITIES
        ids = IdSequence(self._seed, "callflow", account)
        generator = CallflowGenerator(self._seed, self._account_id_of(account), ids, index)
        return generator.document(), generator.referenced

    def document(self, account: int, callflow_id: str) -> Json:
        """Return the full document as the API returns it: its public fields and ``metadata``.

        ``metadata`` describes the entities that the flow refers to.
        """
        stored, entities = self._find(account, callflow_id)
        metadata = {entity: entities[entity] for entity in referenced_ids(stored.get("flow")) if entity in entities}
        return {**public_fields(stored), "metadata": metadata}

    def row(self, account: int, callflow_id: str) -> Json:
        """Return the summary of the document, which is its row in a listing."""
        return summary(self.cached(account, callflow_id))

    def revision(self, account: int, callflow_id: str) -> str:
        """Return the CouchDB revision of a document. Each change of the document changes the revision."""
        generation = self._revisions.get((account, callflow_id), 1)
        return f"{generation}-{digest(callflow_id, generation)}"

    def put(self, account: int, document: Json, modified: int | None = None) -> str:
        """Add or replace a document, and return its id. A document without an id gets a new one.

        ``modified`` is the date of the change in Gregorian seconds. For a new document, it is the date of creation as
        well. If ``modified`` is None, the dates of the replaced document are kept. Dates in ``document`` itself take
        precedence.
        """
        callflow_id = str(document.get("id") or digest(self._seed, account, "added", len(self._revisions)))
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
        return callflow_id

    def remove(self, account: int, callflow_id: str) -> None:
        """Delete a document. Raises KeyError if it does not exist."""
        self.stored(account, callflow_id)
        self._added.get(account, {}).pop(callflow_id, None)
        self._removed.setdefault(account, set()).add(callflow_id)
        self._mark_changed(account, callflow_id)

    def _mark_changed(self, account: int, callflow_id: str) -> None:
        key = (account, callflow_id)
        self._revisions[key] = self._revisions.get(key, 1) + 1
        self.clear_caches()
