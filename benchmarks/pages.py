"""Seeded pages of callflows, as the server sends them: compact JSON in Kazoo's envelope.

==========================  ==========================================================
``one``                     1 summary row
``S``, ``S200``, ``S1000``  50, 200 and 1,000 summary rows
``M``, ``M200``, ``L``      50, 200 and 1,000 whole documents
``S-keys``, ``M-keys``      ``S`` and ``M`` with three unknown keys of its own in each row
==========================  ==========================================================

Each page can be made any number of times with other ids, so that a listing of any length can be served.
"""

import json
import random
from collections.abc import Callable
from functools import cache
from typing import Any

from attrs import frozen

_PAGE_NUMBER = "@@@@@@@@"  # the first eight characters of each row's id

Json = dict[str, Any]


@frozen
class Rows:
    """The rows of a page, as the text of a JSON array, and their number."""

    text: bytes
    count: int

    def numbered(self, page: int) -> bytes:
        """Return the text with the ids of page ``page``."""
        return self.text.replace(_PAGE_NUMBER.encode(), b"%08x" % page)


def body(name: str, *, page: int = 0, next_start_key: str | None = None, request_id: str = "0" * 32) -> bytes:
    """Return the response body that holds page ``name``."""
    rows = rows_of(name)
    envelope: Json = {
        "revision": f"{page:032x}",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": "4.3.142",
        "node": "nRGKfJlWcGDFBHFZQXnhzA",
        "request_id": request_id,
        "status": "success",
        "auth_token": "benchmark",
    }
    if next_start_key is not None:
        envelope["next_start_key"] = next_start_key
    return b'{"page_size":%d,"data":%b,%b' % (rows.count, rows.numbered(page), _compact(envelope)[1:])


@cache
def rows_of(name: str) -> Rows:
    """Return the rows of page ``name``, the same ones each time."""
    count, make = _PAGES[name]
    chance = random.Random(name.partition("-")[0])
    rows = [make(chance, index) for index in range(count)]
    return Rows(_compact(rows), count)


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _hex(chance: random.Random, digits: int = 32) -> str:
    return f"{chance.getrandbits(4 * digits):0{digits}x}"


def _summary(chance: random.Random, index: int) -> Json:
    row: Json = {
        "id": _PAGE_NUMBER + f"{index:08x}" + _hex(chance, 16),
        "numbers": [f"+1415{chance.randrange(10**7):07}" for _ in range(chance.choice([1, 1, 2]))],
        "patterns": [],
        "featurecode": {"name": "park", "number": "3"} if chance.random() < 0.05 else False,
        "flags": chance.choice([[], [], ["billing", "imported"]]),
        "modules": chance.sample(_MODULES, chance.randint(1, 4)),
    }
    if chance.random() < 0.8:
        row |= {"name": f"Office {index}", "type": "mainUserCallflow", "owner_id": _hex(chance)}
    return row


def _whole(chance: random.Random, index: int, nodes: tuple[int, int]) -> Json:
    row = _summary(chance, index)
    row["flow"] = _flow(chance, chance.randint(*nodes))
    row["metadata"] = {_hex(chance): {"name": f"Ann {index}", "pvt_type": "user"}}
    row["ui_metadata"] = {"version": "4.3-2", "ui": "monster-ui", "origin": "callflows"}
    if chance.random() < 0.2:
        row["contact_list"] = {"exclude": False}
    return row


def _flow(chance: random.Random, nodes: int) -> Json:
    """Return a tree of ``nodes`` nodes, each a child of one of the six before it."""
    tree: list[Json] = []
    for _ in range(nodes):
        node = {"data": _data(chance), "module": chance.choice(_MODULES), "children": {}}
        if tree:
            children = chance.choice(tree[-6:])["children"]
            children[chance.choice([key for key in _KEYS if key not in children] or [str(len(children))])] = node
        tree.append(node)
    return tree[0]


def _data(chance: random.Random) -> Json:
    data: Json = {"id": _hex(chance)}
    if chance.random() < 0.7:
        data |= {"timeout": chance.choice([20, "20", 30]), "can_call_self": False}
    if chance.random() < 0.3:
        data |= {"action": "compose", "delay": 0, "strategy": "simultaneous", "ringback": f"/{_hex(chance)}/ring"}
    return data


def _medium(chance: random.Random, index: int) -> Json:
    return _whole(chance, index, (6, 17))


def _large(chance: random.Random, index: int) -> Json:
    return _whole(chance, index, (5, 25))


def _with_own_keys(make: Callable[[random.Random, int], Json]) -> Callable[[random.Random, int], Json]:
    def make_row(chance: random.Random, index: int) -> Json:
        return make(chance, index) | {f"custom_{index}_{each}": index for each in range(3)}

    return make_row


_MODULES = ["user", "device", "voicemail", "menu", "ring_group", "play", "callflow", "temporal_route", "resources"]
_KEYS = ["_", "1", "2", "3", "timeout", "0"]
_PAGES: dict[str, tuple[int, Callable[[random.Random, int], Json]]] = {
    "one": (1, _summary),
    "S": (50, _summary),
    "S200": (200, _summary),
    "S1000": (1000, _summary),
    "M": (50, _medium),
    "M200": (200, _medium),
    "L": (1000, _large),
    "S-keys": (50, _with_own_keys(_summary)),
    "M-keys": (50, _with_own_keys(_medium)),
}


if __name__ == "__main__":
    for each in _PAGES:
        whole = body(each)
        nodes = whole.count(b'"module"')
        print(f"{each}: {rows_of(each).count} rows, {nodes} nodes, {len(whole) / 1000:,.1f} KB")
