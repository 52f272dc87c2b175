"""A callflow that has everything, flows of any depth, and the characters of random texts."""

import json
from typing import Any

from hypothesis import strategies as st

# Those of ``st.text()``, which needs a second to find them for the first time in a clone.
CHARACTERS = st.characters(exclude_categories=["Cs"])

WHOLE: dict[str, Any] = {
    "id": "611",
    "name": "Main menu",
    "type": "main",
    "numbers": ["+15550100", "no_match"],
    "patterns": ["^\\*97$"],
    "featurecode": {"name": "voicemail", "number": "97", "odd": 1},
    "flags": ["a"],
    "flow": {
        "module": "menu",
        "data": {"id": "m1", "timeout": "20", "nested": {"a": [1, None, {"b": 2.5}]}},
        "children": {
            "1": {"module": "user", "data": {"id": "u1"}, "children": {}},
            "_": {"module": "hangup", "data": {"skip_module": True}, "remote_execution": True},
            "+14155550100": {},
            "sip:486": {"data": {}, "children": []},
        },
        "odd": {"deep": [1]},
    },
    "metaflow": {
        "binding_digit": "*",
        "digit_timeout": 800,
        "listen_on": "self",
        "numbers": {
            "2": {"module": "transfer", "data": {"takeback_dtmf": "*1"}, "children": {"_": {"module": "hold"}}}
        },
        "patterns": {"^7(.)$": {"module": "callflow", "data": {}}},
        "odd": None,
    },
    "ringback": {"early": "m2", "transfer": "m3", "odd": False},
    "owner_id": "o1",
    "group_id": "g1",
    "modules": ["menu", "user"],
    "metadata": {"u1": {"name": "Ann", "pvt_type": "user"}},
    "ui_metadata": {"origin": "voip"},
    "extra": {"a key of that name": 1},
    "_read_only": True,
}


def listing(*rows: Any) -> bytes:
    """The response that lists ``rows``: JSON texts, or values."""
    texts = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    return b'{"data":[' + b",".join(texts) + b'],"status":"success","next_start_key":"g20"}'


def chain(depth: int) -> dict[str, Any]:
    """A flow of so many nodes, each below the one before."""
    node: dict[str, Any] = {"module": "hangup", "data": {"at": 0}}
    for at in range(1, depth):
        node = {"module": "menu", "data": {"at": at}, "children": {"_": node}}
    return node


def chain_text(depth: int) -> bytes:
    """The JSON text of a flow of so many nodes."""
    return b'{"module":"a","children":{"_":' * (depth - 1) + b"{}" + b"}}" * (depth - 1)
