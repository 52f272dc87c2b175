"""What changed: single random edits, each told in one or two changes, and the wording of some."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows import node
from vinix_async import Callflow, structure
from vinix_async.flows import Change, diff

Json = dict[str, Any]
IDS = [f"{number:032x}" for number in range(12)]


def build(*documents: Json) -> list[Callflow]:
    return [structure(copy.deepcopy(document), Callflow) for document in documents]


def changes(old: Json | list[Json], new: Json | list[Json]) -> list[Change]:
    before, after = (each if isinstance(each, list) else [each] for each in (old, new))
    return list(diff(build(*before), build(*after)))


# Documents at random


def random_node(chance: random.Random, depth: int) -> Json:
    module = chance.choice(["user", "device", "menu", "play", "voicemail", "temporal_route", "ring_group", "hangup"])
    data: Json = {}
    if module in {"user", "device", "menu", "play", "voicemail"}:
        data["id"] = chance.choice(IDS)
    if module == "ring_group":
        members = chance.sample(IDS, 3)
        data = {"name": "Sales", "strategy": chance.choice(["single", "simultaneous"])}
        data["endpoints"] = [{"id": each, "endpoint_type": "user", "delay": chance.randrange(9)} for each in members]
    if chance.random() < 0.5:
        data["timeout"] = chance.choice(["20", 20, 30])
    keys = {
        "menu": ["1", "2", "3", "timeout", "_"],
        "temporal_route": [*IDS[:3], "_"],
        "user": ["_", "sip:486"],
        "device": ["_", "USER_BUSY"],
    }.get(module, ["_"] if module != "hangup" else [])
    chosen = [key for key in keys if depth and chance.random() < 0.6]
    chance.shuffle(chosen)
    return {"module": module, "data": data, "children": {key: random_node(chance, depth - 1) for key in chosen}}


def random_document(chance: random.Random, each: str, numbers: list[str]) -> Json:
    document = {
        "id": each,
        "name": f"Flow {each[-2:]}",
        "numbers": numbers,
        "patterns": [f"^\\*{each[-2:]}([0-9]*)$"],
        "flags": ["a"],
        "flow": random_node(chance, chance.randrange(5)),
        "featurecode": {"name": "park", "number": "3"},
        "owner_id": IDS[0],
        "ringback": {"early": IDS[1]},
        "metaflow": {"binding_digit": "*", "numbers": {"2": node("transfer", {"target": "2000"})}},
        "custom": {"note": 1},
        "metadata": {},
    }
    for key in chance.sample(["flags", "featurecode", "owner_id", "ringback", "metaflow", "custom"], 3):
        del document[key]
    return document


def places(document: Json) -> list[tuple[Json, str, Json]]:
    """Each node with the object and key that hold it."""
    found, waiting = [], [(document, "flow")]
    while waiting:
        holder, key = waiting.pop()
        found.append((holder, key, holder[key]))
        waiting.extend((holder[key]["children"], each) for each in holder[key]["children"])
    return found


def normal(value: Any, key: str = "", parent: Json | None = None) -> Any:
    """A document with all that counts and nothing else, made without the library."""
    if isinstance(value, dict):
        inner = {each: normal(item, each, value) for each, item in value.items() if item is not None}
        if "module" in value:
            inner = {each: item for each, item in inner.items() if item not in ({}, [])}
            if value["module"] == "temporal_route" and not value["data"].get("rules"):
                inner["order"] = [each for each in value.get("children", {}) if each not in {"_", "rule_set"}]
        return inner
    if isinstance(value, list):
        items = [normal(item) for item in value]
        ordered = not (key == "endpoints" and parent is not None and parent.get("strategy") != "single")
        unordered = key in {"numbers", "patterns"} or not ordered
        return sorted(items, key=json.dumps) if unordered else items
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


# Edits


def pick(chance: random.Random, document: Json, *, below_top: bool = False) -> tuple[Json, str, Json]:
    found = places(document)
    return chance.choice(found[1:] if below_top else found)


def free(chance: random.Random, holder: Json) -> str:
    return chance.choice([key for key in ["4", "5", "6", "sip:404", "NO_ANSWER"] if key not in holder["children"]])


def set_data(chance: random.Random, document: Json) -> None:
    _, _, at = pick(chance, document)
    at["data"][chance.choice(["timeout", "id", "skip_module", "other"])] = chance.choice(["x", 7, True, None, {"a": 1}])


def nested_data(chance: random.Random, document: Json) -> None:
    _, _, at = pick(chance, document)
    at["data"]["deep"] = {"a": {"b": [1, 2]}, "c": 1}


def replace_module(chance: random.Random, document: Json) -> None:
    _, _, at = pick(chance, document)
    at["module"] = "collect_dtmf"


def other_node(chance: random.Random, document: Json) -> None:
    _, _, at = pick(chance, document)
    at["module"], at["data"] = "device", {"id": "e" * 32}


def extra(chance: random.Random, document: Json) -> None:
    _, _, at = pick(chance, document)
    at["remote_execution"] = True


def add(chance: random.Random, document: Json) -> None:
    _, _, at = pick(chance, document)
    at["children"][free(chance, at)] = random_node(chance, chance.randrange(3))


def remove(chance: random.Random, document: Json) -> None:
    holder, key, _ = pick(chance, document, below_top=True)
    del holder[key]


def empty_child(chance: random.Random, document: Json) -> None:
    _, _, at = pick(chance, document)
    at["children"][free(chance, at)] = {}


def rekey(chance: random.Random, document: Json) -> None:
    holder, key, at = pick(chance, document, below_top=True)
    del holder[key]
    holder[chance.choice([each for each in ["7", "8", "sip:500"] if each not in holder])] = at


def swap_keys(chance: random.Random, document: Json) -> None:
    wide = [at for _, _, at in places(document) if len(at["children"]) > 1]
    children = chance.choice(wide)["children"]
    one, other = chance.sample(list(children), 2)
    children[one], children[other] = children[other], children[one]


def contains(upper: Json, lower: Json) -> bool:
    return any(at is lower for _, _, at in places({"flow": upper}))


def move(chance: random.Random, document: Json) -> None:
    holder, key, at = pick(chance, document, below_top=True)
    targets = [each for _, _, each in places(document) if not contains(at, each)]
    del holder[key]
    target = chance.choice(targets)
    target["children"][free(chance, target)] = at


def move_over(chance: random.Random, document: Json) -> None:
    holder, key, at = pick(chance, document, below_top=True)
    targets = [
        (there, name)
        for there, name, each in places(document)[1:]
        if not contains(at, each) and not contains(each, at) and there is not at["children"]
    ]
    there, name = chance.choice(targets)
    there[name] = at
    del holder[key]


def copy_over(chance: random.Random, document: Json) -> None:
    _, _, at = pick(chance, document, below_top=True)
    there, name, _ = pick(chance, document, below_top=True)
    there[name] = copy.deepcopy(at)


def copy_to(chance: random.Random, document: Json) -> None:
    _, _, at = pick(chance, document, below_top=True)
    whole = copy.deepcopy(at)
    _, _, target = pick(chance, document)
    target["children"][free(chance, target)] = whole


def swap_places(chance: random.Random, document: Json) -> None:
    one, other = (pick(chance, document, below_top=True) for _ in range(2))
    if contains(one[2], other[2]) or contains(other[2], one[2]):
        raise IndexError
    one[0][one[1]], other[0][other[1]] = other[2], one[2]


def insert(chance: random.Random, document: Json) -> None:
    holder, key, at = pick(chance, document)
    new = node("menu", {"id": "f" * 32})
    new["children"][chance.choice(["_", "1"])] = at
    for each in chance.sample(["2", "3", "4"], chance.randrange(3)):
        new["children"][each] = random_node(chance, 1)
    holder[key] = new


def take_out(chance: random.Random, document: Json) -> None:
    holder, key, at = pick(chance, document)
    holder[key] = chance.choice(list(at["children"].values()))


def replace_tree(chance: random.Random, document: Json) -> None:
    holder, key, _ = pick(chance, document)
    holder[key] = node("conference", {"id": "d" * 32})


def member(chance: random.Random, document: Json) -> None:
    groups = [at for _, _, at in places(document) if at["module"] == "ring_group"]
    group = chance.choice(groups)["data"]["endpoints"]
    match chance.randrange(5):
        case 0:
            group.append({"id": "9" * 32, "endpoint_type": "device"})
        case 1:
            group.pop(chance.randrange(len(group)))
        case 2:
            chance.choice(group)["delay"] = 99
        case 3:
            group.append(copy.deepcopy(group[0]))
        case _:
            group.reverse()


def order_of_rules(chance: random.Random, document: Json) -> None:
    routes = [at for _, _, at in places(document) if at["module"] == "temporal_route"]
    at = chance.choice(routes)
    at["children"] = dict(reversed(at["children"].items()))


def field(chance: random.Random, document: Json) -> None:
    name, value = chance.choice(
        [
            ("name", "Other"),
            ("type", ["x"]),
            ("owner_id", "o"),
            ("group_id", 5),
            ("flags", ["b"]),
            ("numbers", ["+1999"]),
            ("numbers", []),
            ("patterns", ["^9$"]),
            ("featurecode", {"name": "park", "number": "4"}),
            ("ringback", {"early": "other"}),
            ("metaflow", {"binding_digit": "#", "numbers": {"2": node("transfer", {"target": "2000"})}}),
            ("metaflow", {"binding_digit": "*", "numbers": {"3": node("transfer", {"target": "2000"})}}),
            ("custom", {"note": 2}),
            ("contact_list", {"exclude": True}),
        ]
    )
    if name in {"featurecode", "ringback", "metaflow", "numbers"} and name not in document:
        raise IndexError
    document[name] = value


EDITS: list[Callable[[random.Random, Json], None]] = [
    set_data, nested_data, replace_module, other_node, extra, add, remove, empty_child, rekey, swap_keys, move, move_over,
    copy_over, copy_to, swap_places, insert, take_out, replace_tree, member, order_of_rules, field,
]  # fmt: skip


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
@settings(max_examples=600, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_one_edit_is_told_in_one_or_two_changes(edit: Callable[[random.Random, Json], None], seed: int) -> None:
    chance = random.Random(seed)
    old = random_document(chance, IDS[5], ["+1555"])
    new = copy.deepcopy(old)
    try:
        edit(chance, new)
    except IndexError:
        return  # the document has no place for it
    found = changes(old, new)
    assert (len(found) in {1, 2}) if normal(old) != normal(new) else not found, found
    assert len(changes(new, old)) == 0 if not found else changes(new, old)
