"""Ids that carry an index, so that nothing has to be held to find what an id stands for."""

import hashlib


def digest(*parts: object, size: int = 16) -> str:
    """Hex of ``size`` bytes that depend on all parts."""
    text = "\0".join(map(str, parts)).encode()
    return hashlib.blake2b(text, digest_size=size).hexdigest()


class Ids:
    """Ids of one family: hex digits that look random, the last eight of which hide the index."""

    def __init__(self, *family: object, length: int = 32) -> None:
        self._family = family
        self._head = length - 8
        self._mask = int(digest(*family, "mask", size=4), 16)

    def __getitem__(self, index: int) -> str:
        head = digest(*self._family, index, size=(self._head + 1) // 2)[: self._head]
        return f"{head}{index ^ self._mask:08x}"

    def index(self, value: str) -> int | None:
        """The index of an id of this family; None for any other text."""
        try:
            index = int(value[self._head :], 16) ^ self._mask
        except ValueError:
            return None
        return index if self[index] == value else None
