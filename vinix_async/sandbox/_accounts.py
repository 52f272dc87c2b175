"""The tree of accounts: a reseller, its customers, smaller resellers with theirs. Made on the fly."""

import random
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, overload

from ._ids import Ids, digest

_FIRST = [
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
_TRADE = [
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

_BLOCK = 8
"""Accounts come in blocks: a smaller reseller, two direct customers of the root, and its own customers."""


class Accounts(Sequence[str]):
    """The ids of all accounts, the root first; ``style`` is ``hex`` or, as the vendor shows them, ``uuid``."""

    def __init__(self, seed: int, count: int, style: str) -> None:
        self._seed = seed
        self._count = count
        self._uuid = style == "uuid"
        self._ids = Ids(seed, "account")
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
        """The index of an account; None for an id that is none of them."""
        plain = account_id.replace("-", "") if self._uuid else account_id
        index = self._ids.index(plain) if len(plain) == 32 else None
        return index if index is not None and 0 <= index < self._count and self[index] == account_id else None

    @staticmethod
    def parent(index: int) -> int | None:
        """The index of the account above."""
        if index == 0:
            return None
        place = (index - 1) % _BLOCK
        if place < 3:
            return 0
        return index - 1 if place == _BLOCK - 1 else index - place

    def ancestors(self, index: int) -> list[int]:
        """The accounts above, the topmost first."""
        above: list[int] = []
        parent = self.parent(index)
        while parent is not None:
            above.insert(0, parent)
            parent = self.parent(parent)
        return above

    def name(self, index: int) -> str:
        """A company's name; now and then two companies have the same."""
        if index == 0:
            return "Sandbox Telecom"
        chance = random.Random(f"{self._seed} name {index}")
        return f"{chance.choice(_FIRST)} {chance.choice(_TRADE)}"

    def realm(self, index: int) -> str:
        """The SIP realm, which no other account has."""
        return f"{self.name(index).split()[0].lower()}-{digest(self._seed, 'realm', index, size=3)}.sip.example.com"

    def row(self, index: int, view: str) -> dict[str, Any]:
        """The account as ``descendants`` or ``children`` lists it."""
        row: dict[str, Any] = {"id": self[index], "name": self.name(index), "realm": self.realm(index), "flags": []}
        if view == "descendants":
            row["tree"] = [self[each] for each in self.ancestors(index)]
        else:
            row["descendants_count"] = sum(1 for _ in self._below(index))
        return row

    def sorted_below(self, index: int, view: str) -> list[tuple[str, str, int]]:
        """(name, id, index) of the accounts in a view of ``index``, ascending."""
        return self._sorted(index, view)

    def _sort(self, index: int, view: str) -> list[tuple[str, str, int]]:
        found = self._below(index) if view == "descendants" else self._right_below(index)
        return sorted((self.name(each), self[each], each) for each in found)

    def _right_below(self, index: int) -> Iterator[int]:
        return (each for each in range(index + 1, self._count) if self.parent(each) == index)

    def _below(self, index: int) -> Iterator[int]:
        return (each for each in range(index + 1, self._count) if index in self.ancestors(each))
