"""Ids that contain an index. The index can be computed from the id, without a table of all ids."""

import hashlib


def digest(*parts: object, size: int = 16) -> str:
    """Return a hash of ``parts`` as ``2 * size`` hexadecimal digits."""
    text = "\0".join(map(str, parts)).encode()
    return hashlib.blake2b(text, digest_size=size).hexdigest()


class IdSequence:
    """A sequence of random-looking hexadecimal ids. The last eight digits of an id encode its index.

    Args:
        namespace: sequences with different namespaces contain different ids.
        length: the number of hex digits of an id.
    """

    def __init__(self, *namespace: object, length: int = 32) -> None:
        self._namespace = namespace
        self._prefix_length = length - 8
        self._mask = int(digest(*namespace, "mask", size=4), 16)

    def __getitem__(self, index: int) -> str:
        prefix = digest(*self._namespace, index, size=(self._prefix_length + 1) // 2)[: self._prefix_length]
        return f"{prefix}{index ^ self._mask:08x}"

    def index(self, value: str) -> int | None:
        """Return the index of an id. Return None if ``value`` is not an id of this sequence."""
        try:
            index = int(value[self._prefix_length :], 16) ^ self._mask
        except ValueError:
            return None
        return index if self[index] == value else None
