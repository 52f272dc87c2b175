"""What changed: single random edits, each told in one or two changes, and the wording of some."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from flows import node
from hypothesis import given, settings
from hypothesis import strategies as st

from vinix_async import Callflow, FlowNode, structure
from vinix_async.flows import Change, Name, describe_change, diff, to_plain

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
    if module == "temporal_route" and chance.random() < 0.5:
        data["rules"] = chance.sample(IDS[:3], chance.randrange(1, 3))
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
            if value["module"] == "temporal_route":
                first = {"_", "rule_set", *value["data"].get("rules", [])}
                inner["order"] = [each for each in value.get("children", {}) if each not in first]
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
    set_data,
    nested_data,
    replace_module,
    other_node,
    extra,
    add,
    remove,
    empty_child,
    rekey,
    swap_keys,
    move,
    move_over,
    copy_over,
    copy_to,
    swap_places,
    insert,
    take_out,
    replace_tree,
    member,
    order_of_rules,
    field,
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
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


# Several callflows, and what does not count


@given(seed=st.integers(0, 2**32))
def test_a_copy_does_not_differ(seed: int) -> None:
    chance = random.Random(seed)
    documents = [random_document(chance, each, [each[-1]]) for each in IDS[:4]]
    documents.append({**documents[0], "id": ""})
    old = build(*documents)
    assert list(diff(old, old)) == []
    chance.shuffle(documents)
    assert list(diff(old, build(*documents))) == []


@settings(max_examples=2 * settings().max_examples)
@given(seed=st.integers(0, 2**32), edits=st.integers(2, 6))
def test_several_edits_are_told_and_the_order_of_documents_does_not_matter(seed: int, edits: int) -> None:
    chance = random.Random(seed)
    old = [random_document(chance, each, [each[-1]]) for each in IDS[:3]]
    new = copy.deepcopy(old)
    for _ in range(edits):
        try:
            chance.choice(EDITS)(chance, chance.choice(new))
        except (IndexError, KeyError):
            continue  # the document has no place for it, or only an empty node
    found = changes(old, new)
    assert bool(found) == (list(map(normal, old)) != list(map(normal, new)))
    different = {each["id"] for each, other in zip(old, new, strict=True) if normal(each) != normal(other)}
    assert different <= {each.callflow_id for each in found} | {
        part for each in found if each.kind == "number_moved" for part in (each.old, each.new)
    }
    assert changes(old[::-1], new[::-1]) == found


def simple(flow: Json | None = None, each: str = "a", **fields: Any) -> Json:
    return {"id": each, "flow": flow or node("hangup"), **fields}


GROUP = {"strategy": "simultaneous", "endpoints": [{"id": "x", "delay": 0}, {"id": "y"}]}
SINGLE = {**GROUP, "strategy": "single"}
REVERSED = list(reversed(GROUP["endpoints"]))

EQUAL: dict[str, tuple[Json, Json]] = {
    "computed fields": (simple(metadata={"x": 1}, modules=["a"], ui_metadata={"v": 1}), simple()),
    "numbers as texts": (simple(node("user", {"timeout": "20"})), simple(node("user", {"timeout": 20.0}))),
    "null and absent": (simple(node("user", {"id": None})), simple(node("user"))),
    "empty and absent": (simple({"module": "user", "data": {}, "children": []}), simple({"module": "user"})),
    "order of numbers": (simple(numbers=["1", "2"]), simple(numbers=["2", "1"])),
    "order of members": (
        simple(node("ring_group", GROUP)),
        simple(node("ring_group", {**GROUP, "endpoints": REVERSED})),
    ),
    "order of plain members": (
        simple(node("group", {"endpoints": ["a", "b"]})),
        simple(node("group", {"endpoints": ["b", "a"]})),
    ),
    "order of keys": (
        simple(node("menu", {"a": 1, "b": 2}, **{"1": node("x"), "2": node("y")})),
        simple(node("menu", {"b": 2, "a": 1}, **{"2": node("y"), "1": node("x")})),
    ),
    "order of children with rules": (
        simple(node("temporal_route", {"rules": ["x"]}, x=node("a"), y=node("b"))),
        simple(node("temporal_route", {"rules": ["x"]}, y=node("b"), x=node("a"))),
    ),
    "false and absent featurecode": (simple(featurecode=False), simple()),
}


@pytest.mark.parametrize("name", EQUAL)
def test_what_means_the_same_is_no_difference(name: str) -> None:
    old, new = EQUAL[name]
    assert changes(old, new) == []
    assert changes(new, old) == []


def brief(old: Json | list[Json], new: Json | list[Json]) -> list[tuple[Any, ...]]:
    def short(value: Any) -> Any:
        return value.module if isinstance(value, FlowNode) else value.id if isinstance(value, Callflow) else value

    return [(each.kind, each.path, each.field, short(each.old), short(each.new)) for each in changes(old, new)]


USER, MENU = node("user", {"id": "u"}, _=node("voicemail", {"id": "v"})), {"id": "m"}
MACROS = [{"id": "a"}, {"id": "b"}]

DIFFERENT: dict[str, tuple[Json | list[Json], Json | list[Json], list[tuple[Any, ...]]]] = {
    "added": ([], simple(numbers=["1"]), [("added", "", "", None, "a")]),
    "removed": (simple(numbers=["1"]), [], [("removed", "", "", "a", None)]),
    "a number moved": (
        [simple(numbers=["1"]), simple(each="b")],
        [simple(), simple(each="b", numbers=["1"])],
        [("number_moved", "", "1", "a", "b")],
    ),
    "a number moved to a new callflow": (
        [simple(numbers=["1"])],
        [simple(), simple(each="b", numbers=["1"])],
        [("added", "", "", None, "b"), ("number_moved", "", "1", "a", "b")],
    ),
    "numbers and patterns": (
        simple(numbers=["1"], patterns=["^2"]),
        simple(numbers=["3"]),
        [
            ("number_removed", "", "1", "1", None),
            ("number_added", "", "3", None, "3"),
            ("number_removed", "", "^2", "^2", None),
        ],
    ),
    "a field": (simple(name="x"), simple(name="y"), [("field", "", "name", "x", "y")]),
    "an unknown field": (simple(other={"a": 1}), simple(other={"a": 2}), [("field", "", "other", {"a": 1}, {"a": 2})]),
    "a field of a node": (simple(node("x")), simple({**node("x"), "y": 1}), [("field", "/flow", "y", None, 1)]),
    "a ringback": (simple(ringback={"early": "x"}), simple(), [("field", "", "ringback.early", "x", None)]),
    "a feature code": (
        simple(featurecode={"number": "1", "name": "n"}),
        simple(featurecode={"number": "2", "name": "n"}),
        [("field", "", "featurecode.number", "1", "2")],
    ),
    "a flow": ({"id": "a"}, simple(USER), [("node_added", "/flow", "", None, "user")]),
    "the flow of a row is not known": ({"id": "a", "modules": ["user"], "featurecode": False}, simple(USER), []),
    "data": (
        simple(node("user", {"a": {"b": [1]}})),
        simple(node("user", {"a": {"b": [2]}})),
        [("data", "/flow", "a.b", [1], [2])],
    ),
    "a member": (
        simple(node("ring_group", GROUP)),
        simple(node("ring_group", {**GROUP, "endpoints": [*REVERSED, {"id": "z"}]})),
        [("data", "/flow", "endpoints[z]", None, {"id": "z"})],
    ),
    "a member's delay": (
        simple(node("ring_group", GROUP)),
        simple(node("ring_group", {**GROUP, "endpoints": [{"id": "y"}, {"id": "x", "delay": 5}]})),
        [("data", "/flow", "endpoints[x].delay", 0, 5)],
    ),
    "the order of members that ring one after the other": (
        simple(node("ring_group", SINGLE)),
        simple(node("ring_group", {**SINGLE, "endpoints": REVERSED})),
        [("order", "/flow", "endpoints", ["x", "y"], ["y", "x"])],
    ),
    "the order of sounds": (
        simple(node("audio_macro", {"macros": MACROS})),
        simple(node("audio_macro", {"macros": MACROS[::-1]})),
        [("order", "/flow", "macros", ["a", "b"], ["b", "a"])],
    ),
    "items without ids": (
        simple(node("audio_macro", {"macros": [{"text": "a"}, {"text": "b"}]})),
        simple(node("audio_macro", {"macros": [{"text": "c"}, {"text": "a"}, {"text": "b"}]})),
        [("data", "/flow", "macros[0]", None, {"text": "c"})],
    ),
    "an item without an id": (
        simple(node("notification", {"recipients": [{"id": ["a"]}, {"id": ["b"]}]})),
        simple(node("notification", {"recipients": [{"id": ["a"]}, {"id": ["c"]}]})),
        [("data", "/flow", "recipients[1].id", ["b"], ["c"])],
    ),
    "rules in the order of children": (
        simple(node("temporal_route", {}, x=node("a"), y=node("b"), _=node("c"))),
        simple(node("temporal_route", {}, _=node("c"), y=node("b"), x=node("a"))),
        [("order", "/flow", "children", ["x", "y"], ["y", "x"])],
    ),
    "rules in the order of children, after those in data": (
        simple(node("temporal_route", {"rules": ["z"]}, x=node("a"), y=node("b"), z=node("c"))),
        simple(node("temporal_route", {"rules": ["z"]}, z=node("c"), y=node("b"), x=node("a"))),
        [("order", "/flow", "children", ["x", "y"], ["y", "x"])],
    ),
    "another key": (
        simple(node("menu", MENU, **{"1": USER})),
        simple(node("menu", MENU, **{"3": USER})),
        [("rekeyed", "/flow", "children", "1", "3")],
    ),
    "another key, and another setting": (
        simple(node("menu", MENU, **{"1": USER})),
        simple(node("menu", MENU, **{"3": {**USER, "data": {"id": "u", "timeout": 5}}})),
        [("rekeyed", "/flow", "children", "1", "3"), ("data", "/flow/children/3", "timeout", None, 5)],
    ),
    "removed below": (
        simple(node("menu", MENU, **{"1": USER, "2": node("answer")})),
        simple(node("menu", MENU, **{"1": USER})),
        [("node_removed", "/flow/children/2", "", "answer", None)],
    ),
    "plain members": (
        simple(node("group", {"endpoints": ["a", "b"]})),
        simple(node("group", {"endpoints": ["c", "a"]})),
        [("data", "/flow", "endpoints", ["a", "b"], ["c", "a"])],
    ),
    "several edits are not hidden in one": (
        simple(node("menu", MENU, **{str(key): node("user", {"id": str(key)}) for key in range(6)})),
        simple(node("menu", MENU, **{str(key): node("user", {"id": str(key), "timeout": 5}) for key in range(6)})),
        [("data", f"/flow/children/{key}", "timeout", None, 5) for key in range(6)],
    ),
    "two keys swapped": (
        simple(node("menu", MENU, **{"1": USER, "2": node("hangup")})),
        simple(node("menu", MENU, **{"2": USER, "1": node("hangup")})),
        [("rekeyed", "/flow", "children", "1", "2"), ("rekeyed", "/flow", "children", "2", "1")],
    ),
    "put above the rest": (
        simple(USER),
        simple(node("play", {"id": "p"}, _=USER)),
        [("node_inserted", "/flow", "", None, "play")],
    ),
    "put above the rest, which has changed": (
        simple(USER),
        simple(node("play", {"id": "p"}, _=node("user", {"id": "u", "timeout": 9}, _=node("voicemail", {"id": "v"})))),
        [("node_inserted", "/flow", "", None, "play"), ("data", "/flow/children/_", "timeout", None, 9)],
    ),
    "taken out": (
        simple(USER),
        simple(node("voicemail", {"id": "v"})),
        [("node_taken_out", "/flow", "", "user", None)],
    ),
    "moved": (
        simple(node("menu", MENU, **{"1": node("play", {"id": "x"}, _=USER), "2": node("answer")})),
        simple(node("menu", MENU, **{"1": node("play", {"id": "x"}), "2": node("answer", {}, _=USER)})),
        [("node_moved", "/flow/children/2/children/_", "", "/flow/children/1/children/_", "user")],
    ),
    "replaced, and the rest stays": (
        simple(USER),
        simple({**USER, "module": "device"}),
        [("node_replaced", "/flow", "", "user", "device")],
    ),
    "a metaflow": (
        simple(metaflow={"digit_timeout": 1, "numbers": {"2": node("hold")}}),
        simple(metaflow={"digit_timeout": 2, "numbers": {"3": node("hold")}}),
        [
            ("field", "", "metaflow.digit_timeout", 1, 2),
            ("rekeyed", "/metaflow/numbers", "children", "2", "3"),
        ],
    ),
    "a path is escaped": (
        simple(node("x", {}, **{"a/b": node("y")})),
        simple(node("x", {}, **{"a/b": node("y", {"c": 1})})),
        [("data", "/flow/children/a~1b", "c", None, 1)],
    ),
    "no ids": (
        [{"id": "", "name": "x"}],
        [{"id": "", "name": "y"}],
        [("added", "", "", None, ""), ("removed", "", "", "", None)],
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_differences(name: str) -> None:
    old, new, expected = DIFFERENT[name]
    assert brief(old, new) == expected


def test_depth_and_shared_nodes_do_not_matter() -> None:
    lower = FlowNode(module="user", data={"id": "u"})
    for _ in range(3000):
        lower = FlowNode(module="play", children={"_": lower})
    old = Callflow(id="a", flow=FlowNode(module="menu", children={"1": lower, "2": lower}))
    new = Callflow(id="a", flow=FlowNode(module="menu", children={"1": lower, "3": lower}))
    assert [(each.kind, each.old, each.new) for each in diff([old], [new])] == [("rekeyed", "2", "3")]
    deeper = FlowNode(module="answer", children={"_": lower})
    new = Callflow(id="a", flow=FlowNode(module="menu", children={"1": deeper, "2": lower}))
    assert [(each.kind, each.path) for each in diff([old], [new])] == [("node_inserted", "/flow/children/1")]


# Words


def described(old: Json, new: Json) -> list[str]:
    before, after = build(old)[0], build(new)[0]
    names = {"u": Name("Ann", "user"), "y": Name("Bo", "user"), "a": Name("Main", "callflow"), "m": Name("Day", "menu")}
    return [describe_change(each, before, after, names) for each in diff([before], [after])]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a field", ["~ name x -> y"]),
        ("an unknown field", ['~ other {"a": 1} -> {"a": 2}']),
        ("a field of a node", ["~ start: x: y none -> 1"]),
        ("a flow", ["+ start: User Ann"]),
        ("a member", ["+ start: Ring Group: member z"]),
        ("a member's delay", ["~ start: Ring Group: member x: delay 0 -> 5"]),
        ("the order of members that ring one after the other", ["~ start: Ring Group: other order of members"]),
        ("another key", ["~ start: key 1 -> key 3 (User Ann)"]),
        ("put above the rest", ["+ start: Play Media p put before the rest"]),
        ("taken out", ["- start: User Ann taken out, the rest stays"]),
        ("removed below", ["- key 2: Answer"]),
        ("moved", ["~ key 2, after Answer: User Ann moved from key 1, after Media"]),
        ("replaced, and the rest stays", ["~ start: User Ann -> Device Ann"]),
        ("a metaflow", ["~ metaflow.digit_timeout 1 -> 2", "~ during the call: 2 -> 3 (Hold)"]),
        ("numbers and patterns", ["- number 1", "+ number 3", "- number ^2"]),
    ],
)
def test_changes_in_words(name: str, words: list[str]) -> None:
    old, new, _ = DIFFERENT[name]
    assert isinstance(old, dict)
    assert isinstance(new, dict)
    assert described(old, new) == words


def test_another_target_in_words() -> None:
    ids = dict(zip("ab", ("1" * 32, "2" * 32), strict=True))
    names = {ids["a"]: Name("Main", "callflow")}

    def words(module: str, **fields: Any) -> list[str]:
        before, after = (build(simple(node(module, {"id": each})) | fields)[0] for each in ids.values())
        return [describe_change(each, before, after, names) for each in diff([before], [after])]

    known = {"metadata": {ids["a"]: {"name": "Main"}}}
    assert words("callflow", **known) == ["~ start: Callflow Main -> 22222222 (missing)"]
    assert words("callflow") == ["~ start: Callflow Main -> 22222222"]  # nothing tells what exists
    assert words("faxbox", **known) == ["~ start: Fax Boxes Main -> 22222222"]


def test_whole_callflows_and_moved_numbers_in_words() -> None:
    callflow = Callflow(id="a", name="Main")
    assert describe_change(Change("added", "a", "", "", None, callflow), None, callflow, {}) == "+ Main"
    ringing = Callflow(id="a", name="Main", flow=FlowNode(module="page_group", data={"name": "Hall"}))
    assert describe_change(Change("added", "a", "", "", None, ringing), None, ringing, {}) == "+ Main: Page Group Hall"
    assert describe_change(Change("removed", "a", "", "", callflow, None), callflow, None, {}) == "- Main"
    moved = Change("number_moved", "b", "", "5", "a", "b")
    assert describe_change(moved, None, None, {"a": Name("Main", "callflow")}) == "~ number 5 came from Main"


def test_secrets_are_hidden_in_words_and_json_but_their_change_is_told() -> None:
    data = {"password": "t0psecret", "list": [{"pin": "t0psecret"}], "url": "https://u:t0psecret@h/p?t0psecret"}
    other = {"password": "s3cret", "list": [{"pin": "s3cret"}], "url": "https://u:s3cret@h/p?s3cret"}
    old, new = simple(node("nomorobo", data)), simple(node("nomorobo", other))
    found = changes(old, new)
    assert [each.field for each in found] == ["password", "url", "list[0].pin"]
    assert described(old, new) == [f"~ start: Nomorobo: {each.field} changed" for each in found]
    shown = json.dumps([to_plain(each) for each in [*found, *changes(simple(), old)]])
    assert "s3cret" not in shown
    assert "t0psecret" not in shown
    assert '"https://h/p"' in shown
