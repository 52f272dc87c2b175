"""How the two engines page: ``crossbar_view`` of Kazoo 5 and ``crossbar_doc`` of 4.3. Pure functions on sorted keys."""

import base64
from bisect import bisect_left
from collections.abc import Callable, Sequence

from attrs import frozen

Wanted = Callable[[str], bool]


@frozen
class View:
    """A page: the keys of its rows in the order sent, the cursor of the next one, the cursor echoed."""

    keys: tuple[str, ...]
    next_key: str | None
    start_key: str | None


def view_5(keys: Sequence[str], start: str | None, size: int, wanted: Wanted, *, ascending: bool) -> View:
    """Descending unless asked otherwise; pages are full, and the next cursor is that of a row that matches."""
    if ascending:
        places = range(0 if start is None else bisect_left(keys, start), len(keys))
    else:
        places = range((len(keys) if start is None else bisect_left(keys, start + "\1")) - 1, -1, -1)
    page: list[str] = []
    for place in places:
        key = keys[place]
        if not wanted(key):
            continue
        if len(page) == size:
            return View(tuple(page), key, start)
        page.append(key)
    return View(tuple(page), None, start)


def view_43(keys: Sequence[str], start: str | None, size: int, wanted: Wanted) -> View:
    """Ascending over the pages, descending within one.

    Under a filter it reads on with smaller and smaller limits until the page is full. A cursor that an
    earlier read has set is never taken back, so a page that reached the end may still carry one.
    """
    page: list[str] = []
    next_key: str | None = None
    cursor = start
    missing = size
    while True:
        begin = 0 if cursor is None else bisect_left(keys, cursor)
        batch = keys[begin : begin + missing + 1]
        more = batch[missing] if len(batch) > missing else None
        page = [key for key in reversed(batch[:missing]) if wanted(key)] + page
        next_key = more or next_key
        missing = size - len(page)
        if not missing or more is None:
            return View(tuple(page), next_key, cursor)
        cursor = more


def encode(key: str, above: str | None = None) -> str:
    """A cursor: the key as an Erlang term (in a list behind ``above``, if given), in URL-safe base64."""
    term = _binary(key) if above is None else b"l" + (2).to_bytes(4, "big") + _binary(above) + _binary(key) + b"j"
    return base64.urlsafe_b64encode(b"\x83" + term).decode().rstrip("=")


def decode(cursor: str) -> str:
    """The key in a cursor. One that is no Erlang term is taken for the key itself."""
    try:
        term = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        if term[:2] == b"\x83m" and len(term) == 6 + int.from_bytes(term[2:6], "big"):
            return term[6:].decode()
        if term[:2] == b"\x83l":
            skipped = 6 + 5 + int.from_bytes(term[7:11], "big")
            return term[skipped + 5 : -1].decode()
    except (ValueError, IndexError):
        pass
    return cursor


def _binary(key: str) -> bytes:
    raw = key.encode()
    return b"m" + len(raw).to_bytes(4, "big") + raw
