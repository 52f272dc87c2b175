"""Imitates the pagination of the two engines: ``crossbar_view`` of Kazoo 5 and ``crossbar_doc`` of Kazoo 4.3.

The functions expect the keys in ascending order.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence

from attrs import frozen

Predicate = Callable[[str], bool]


@frozen
class KeyPage:
    """One page of keys.

    Args:
        keys: the keys of the rows, in the order of the response.
        next_key: the key that the response contains as its ``next_start_key``. None if it has no ``next_start_key``.
        start_key: the key that the response contains as its ``start_key``. None if it has no ``start_key``.
    """

    keys: tuple[str, ...]
    next_key: str | None
    start_key: str | None


def kazoo5_page(keys: Sequence[str], start: str | None, size: int, passes: Predicate, *, ascending: bool) -> KeyPage:
    """Return a page of keys that pass the filters. Keys are in descending order unless ``ascending`` is true.

    Every page except the last one is full. The ``next_key`` passes the filters too.
    """
    if ascending:
        places = range(0 if start is None else bisect_left(keys, start), len(keys))
    else:
        places = range((len(keys) if start is None else bisect_left(keys, start + "\1")) - 1, -1, -1)
    page: list[str] = []
    for place in places:
        key = keys[place]
        if not passes(key):
            continue
        if len(page) == size:
            return KeyPage(tuple(page), key, start)
        page.append(key)
    return KeyPage(tuple(page), None, start)


def kazoo43_page(keys: Sequence[str], start: str | None, size: int, passes: Predicate) -> KeyPage:
    """Return a page of keys that pass the filters.

    The pages are in ascending order, but the keys in a page are in descending order. If a filter rejects keys, the
    engine reads further keys until the page is full or no keys are left. If the last read finds no ``next_key``, the
    engine keeps the ``next_key`` of an earlier read. For this reason, even the last page can have a ``next_key``.
    """
    page: list[str] = []
    next_key: str | None = None
    cursor = start
    missing = size
    while True:
        begin = 0 if cursor is None else bisect_left(keys, cursor)
        batch = keys[begin : begin + missing + 1]
        following = batch[missing] if len(batch) > missing else None
        page = [key for key in reversed(batch[:missing]) if passes(key)] + page
        next_key = following or next_key
        missing = size - len(page)
        if not missing or following is None:
            return KeyPage(tuple(page), next_key, cursor)
        cursor = following
