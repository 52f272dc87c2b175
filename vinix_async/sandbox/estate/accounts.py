"""The tree of accounts: a reseller, its customers, and smaller resellers with their own customers.

The properties of an account are not stored. They are computed from its index when they are needed.
"""

import random
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, overload

from .dates import GREGORIAN_EPOCH
from .ids import IdSequence, digest

_FIRST_WORDS = [
    "Alder",
    "Birch",
    "Cedar",
    "Delta",
    "Elm",
    "Fjord",
    "Granite",
    "Harbor",
    "Iris",
    "Juniper",
    "Kestrel",
    "Linden",
    "Maple",
    "Northern",
    "Ocean",
    "Pine",
    "Quarry",
    "River",
    "Summit",
    "Thistle",
    "Union",
    "Valley",
]
_TRADES = [
    "Bakery",
    "Books",
    "Clinic",
    "Cycles",
    "Dental",
    "Design",
    "Foods",
    "Freight",
    "Garage",
    "Hotel",
    "Labs",
    "Legal",
    "Logistics",
    "Music",
    "Optics",
    "Pharmacy",
    "Press",
    "Realty",
    "Roasters",
    "Travel",
    "Works",
]

_BLOCK_SIZE = 8
"""The number of accounts in a block: a smaller reseller, five accounts below it, and two customers of the root."""

_CREATED = 1_700_000_000
"""Unix time at which every account was created."""


class AccountTree(Sequence[str]):
    """The ids of all accounts, the root account first.

    Args:
        seed: the same seed gives the same accounts.
        count: the number of accounts.
        id_style: ``hex`` for ids like Kazoo's, ``uuid`` for ids with dashes like the vendor's.
        last_name: the name of the last account. None for a random name.
    """

    def __init__(self, seed: int, count: int, id_style: str, last_name: str | None = None) -> None:
        self._seed = seed
        self._count = count
        self._uuid = id_style == "uuid"
        self._last_name = last_name
        self._ids = IdSequence(seed, "account")
        self._sorted = lru_cache(maxsize=64)(self._sort)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(self._count))]
        if index < 0:
            index += self._count
        if not 0 <= index < self._count:
            raise IndexError(index)
        value = self._ids[index]
        if self._uuid:
            return "-".join((value[:8], value[8:12], value[12:16], value[16:20], value[20:]))
        return value

    def find(self, account_id: str) -> int | None:
        """Return the index of an account, or None if the account does not exist."""
        plain = account_id.replace("-", "") if self._uuid else account_id
        index = self._ids.index(plain) if len(plain) == 32 else None
        return index if index is not None and 0 <= index < self._count and self[index] == account_id else None

    @staticmethod
    def parent(index: int) -> int | None:
        """Return the index of the parent account, or None for the root."""
        if index == 0:
            return None
        position = (index - 1) % _BLOCK_SIZE
        if position < 3:
            return 0
        return index - 1 if position == _BLOCK_SIZE - 1 else index - position

    def ancestors(self, index: int) -> list[int]:
        """Return the indexes of the account's ancestors, beginning with the root."""
        above: list[int] = []
        parent = self.parent(index)
        while parent is not None:
            above.insert(0, parent)
            parent = self.parent(parent)
        return above

    def name(self, index: int) -> str:
        """Return the name of the account. Several accounts can have the same name."""
        if index == 0:
            return "Sandbox Telecom"
        if self._last_name is not None and index == self._count - 1:
            return self._last_name
        chance = random.Random(f"{self._seed} name {index}")
        return f"{chance.choice(_FIRST_WORDS)} {chance.choice(_TRADES)}"

    def realm(self, index: int) -> str:
        """Return the SIP realm of the account. It is rare that two accounts have the same realm."""
        return f"{self.name(index).split()[0].lower()}-{digest(self._seed, 'realm', index, size=3)}.sip.example.com"

    def reseller(self, index: int) -> int:
        """Return the index of the account's reseller, which is its parent. The root is its own reseller."""
        return self.parent(index) or 0

    def document(self, index: int) -> dict[str, Any]:
        """Return the document with which the server answers a ``GET`` request for the account."""
        return {
            "id": self[index],
            "name": self.name(index),
            "realm": self.realm(index),
            "timezone": "America/Los_Angeles",
            "enabled": True,
            "call_restriction": {},
            "music_on_hold": {},
            "preflow": {},
            "ringtones": {},
            "descendants_count": sum(1 for _ in self._descendants(index)),
            "wnm_allow_additions": False,
            "superduper_admin": False,
            "created": GREGORIAN_EPOCH + _CREATED,
            "reseller_id": self[self.reseller(index)],
            "is_reseller": index == 0,
            "billing_mode": "limits_only",
        }

    def row(self, index: int, view: str) -> dict[str, Any]:
        """Return an account's row in the listing ``view``: ``descendants``, ``children``, ``siblings`` or ``tree``."""
        row: dict[str, Any] = {"id": self[index], "name": self.name(index), "realm": self.realm(index), "flags": []}
        if view == "descendants":
            row["tree"] = [self[each] for each in self.ancestors(index)]
        elif view != "tree":
            row["descendants_count"] = sum(1 for _ in self._descendants(index))
        return row

    def sorted_rows(self, index: int, view: str) -> list[tuple[str, str, int]]:
        """Return (name, id, index) of each account in the listing ``view`` of an account, sorted by name and id."""
        return self._sorted(index, view)

    def _sort(self, index: int, view: str) -> list[tuple[str, str, int]]:
        if view == "siblings":
            found = self._children(self.reseller(index))
        else:
            found = self._descendants(index) if view == "descendants" else self._children(index)
        return sorted((self.name(each), self[each], each) for each in found)

    def _children(self, index: int) -> Iterator[int]:
        return (each for each in range(index + 1, self._count) if self.parent(each) == index)

    def _descendants(self, index: int) -> Iterator[int]:
        return (each for each in range(index + 1, self._count) if index in self.ancestors(each))
