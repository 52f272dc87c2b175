"""Which rows of a walk have come before."""

from collections.abc import Iterable, Sequence
from typing import Final

_REMEMBERED: Final = 100_000
"""Keys that are kept, besides those of the last two pages. Servers repeat rows of the page before, if any."""


class Seen:
    """The keys that came last, in two sets that take turns.

    One set or dict that forgets its oldest key for each new one is slow, and it grows in leaps.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._newer = set(keys)
        self._older: set[str] = set()

    def new(self, keys: Sequence[str]) -> list[int]:
        """The places of the keys that are new, each once, and of empty ones; all of them are seen from now on."""
        newer, older = self._newer, self._older
        fresh = set(keys)
        if len(fresh) == len(keys) and "" not in fresh and newer.isdisjoint(fresh) and older.isdisjoint(fresh):
            places = list(range(len(keys)))
            newer |= fresh
        else:
            places = []
            for place, key in enumerate(keys):
                if key not in newer and key not in older:
                    places.append(place)
                    if key:
                        newer.add(key)
        return places

    def page_ends(self) -> None:
        """Forget the older keys, if there are many. In between, keys are of one page."""
        if len(self._newer) > _REMEMBERED // 2:
            self._newer, self._older = set(), self._newer
