"""What can happen to a call, as a tree of steps and as lines."""

import itertools
import random
from typing import Any

import pytest
from flows import callflow, node
from hypothesis import given
from hypothesis import strategies as st

from vinix_async import Callflow, ConfigurationError, FlowNode, structure
from vinix_async.flows import TraceNode, ordered_children, trace, trace_lines

A, B, C, X, Y, Z = "a" * 32, "b" * 32, "c" * 32, "1" * 32, "2" * 32, "3" * 32
NAMES = {X: ("Ann Ash", "user"), Y: ("Office hours", "temporal_rule"), Z: ("Day menu", "menu")}
HANGUP = node("hangup")
VOICEMAIL = node("voicemail", {"id": X})
ANN = node("user", {"id": X, "timeout": "20"}, _=VOICEMAIL)


def lines(*flows: Any, start: str = A, **options: Any) -> list[str]:
    metadata = {each: {"name": name, "pvt_type": kind} for each, (name, kind) in NAMES.items()}
    documents = [
        {"id": each, "name": f"Flow {each[0]}", "flow": flow, "metadata": metadata}
        for each, flow in zip((A, B, C), flows, strict=False)
    ]
    callflows = [structure(document, Callflow) for document in documents]
    tree = trace(callflows, start, **options)
    random.Random(3).shuffle(callflows)
    assert trace(iter(callflows), start, **options) == tree
    assert [len(line) <= 80 for line in trace_lines(tree)]
    return list(trace_lines(tree))


def test_rules_come_as_they_are_tried_and_a_rule_set_after_them() -> None:
    keys = {"_": HANGUP, "rule_set": VOICEMAIL, Z: ANN, Y: HANGUP, X: ANN}
    flow = node("temporal_route", {"rules": [Y, Z], "rule_set": B}, **keys)
    assert [key for key, _ in ordered_children(callflow(flow).flow or FlowNode())] == [Y, Z, X, "rule_set", "_"]


def test_a_whole_flow() -> None:
    ring = node(
        "ring_group",
        {"name": "Reception", "timeout": 20, "endpoints": [{"id": X, "delay": "5"}, {"id": C, "delay": "0"}]},
        **{"sip:486": node("play", {"id": "/system_media/en-us%2Fuser-busy"}), "USER_BUSY": HANGUP, "_": VOICEMAIL},
    )
    menu = node("menu", {"id": Z}, **{"1": ANN, "3": ANN, "0": ring, "timeout": HANGUP, "_": HANGUP})
    flow = node("temporal_route", {"rules": [Y, "f" * 32]}, **{"_": VOICEMAIL, Y: menu})
    assert lines(flow) == [
        "Time of Day",
        "├─ Office hours: Menu Day menu",
        "│  ├─ key 1 or 3: User Ann Ash (20 s)",
        "│  │  └─ no answer or busy: Voicemail Ann Ash",
        "│  ├─ key 0: Ring Group Reception (Ann Ash after 5 s, device cccccccc; 20 s)",
        "│  │  ├─ busy: Play Media en-us/user-busy, then the call ends",
        "│  │  ├─ busy: Hang Up",
        "│  │  └─ no answer: Voicemail Ann Ash",
        "│  └─ no key, wrong keys: Hang Up",
        "└─ ffffffff, other times: Voicemail Ann Ash",
    ]


CASES: dict[str, tuple[list[Any], list[str]]] = {
    "nobody answers": ([node("user", {"id": X})], ["User Ann Ash", "└─ no answer or busy: the call is cut off"]),
    "an empty child": ([node("user", {"id": X}, _={})], ["User Ann Ash", "└─ no answer or busy: the call is cut off"]),
    "no flow": ([None], ["the call is cut off"]),
    "a natural end": ([VOICEMAIL], ["Voicemail Ann Ash"]),
    "an announcement": ([node("play", {"id": Y})], ["Play Media Office hours, then the call ends"]),
    "an announcement, and a jump that comes back": (
        [node("callflow", {"id": B}, _=HANGUP), node("play", {"id": Y})],
        ["Callflow Flow b", "└─ Play Media Office hours", "   └─ Hang Up"],
    ),
    "a page": (
        [node("page_group", {"endpoints": [{"id": X}]}, _=HANGUP)],
        ["Page Group (Ann Ash)", "└─ failed: Hang Up"],
    ),
    "the end of a page": ([node("page_group", {"endpoints": [{"id": X}]})], ["Page Group (Ann Ash)"]),
    "a silent end": ([node("answer")], ["Answer", "└─ the call is cut off"]),
    "no module": (
        [node("user", {"id": X}, _={"data": {}, "children": {"_": HANGUP}})],
        ["User Ann Ash", "└─ no answer or busy: the call is cut off"],
    ),
    "switched off": (
        [node("user", {"id": X, "skip_module": "true"}, _=HANGUP)],
        ["User Ann Ash (skipped: switched off)", "└─ Hang Up"],
    ),
    "unknown": ([node("nope", {}, _=HANGUP, x=ANN)], ["nope (skipped: unknown module)", "└─ Hang Up"]),
    "a jump": ([node("callflow", {"id": B}), VOICEMAIL], ["Callflow Flow b", "└─ Voicemail Ann Ash"]),
    "a jump that comes back": (
        [node("callflow", {"id": B}, _=HANGUP), node("user", {"id": X})],
        ["Callflow Flow b", "└─ User Ann Ash", "   └─ no answer or busy: Hang Up"],
    ),
    "a hard end does not come back": (
        [node("callflow", {"id": B}, _=VOICEMAIL), HANGUP],
        ["Callflow Flow b", "└─ Hang Up"],
    ),
    "a soft end does": (
        [node("callflow", {"id": B}, _=VOICEMAIL), node("response")],
        ["Callflow Flow b", "└─ Response", "   └─ Voicemail Ann Ash"],
    ),
    "jumps within jumps": (
        [
            node("callflow", {"id": B}, _=VOICEMAIL),
            node("callflow", {"id": C}, _=node("play", {"id": Y})),
            node("answer"),
        ],
        [
            "Callflow Flow b",
            "└─ Callflow Flow c",
            "   └─ Answer",
            "      └─ Play Media Office hours",
            "         └─ Voicemail Ann Ash",
        ],
    ),
    "a carrier that fails": (
        [node("callflow", {"id": B}, _=VOICEMAIL), node("offnet", {}, _=HANGUP, USER_BUSY=HANGUP)],
        ["Callflow Flow b", "└─ Global Carrier", "   ├─ busy: Hang Up", "   └─ failed: Voicemail Ann Ash"],
    ),
    "a carrier alone": ([node("resources", {}, _=HANGUP)], ["Account Carrier"]),
    "a missing callflow": (
        [node("callflow", {"id": "f" * 32}, _=HANGUP)],
        ["Callflow ffffffff (missing)", "└─ Hang Up"],
    ),
    "a circle": (
        [node("menu", {"id": Z}, **{"9": node("callflow", {"id": A}), "_": HANGUP})],
        [
            "Menu Day menu",
            "├─ key 9: back to Flow a (a circle: the call is dropped after 50 jumps)",
            "└─ no or wrong keys: Hang Up",
        ],
    ),
    "keys as on a keypad": (
        [
            node(
                "menu",
                {"id": Z},
                **{
                    "_": HANGUP,
                    "*": node("play", {"id": Y}),
                    "0": VOICEMAIL,
                    "10": node("response"),
                    "timeout": node("move"),
                    "9": ANN,
                },
            )
        ],
        [
            "Menu Day menu",
            "├─ key 9: User Ann Ash (20 s)",
            "│  └─ no answer or busy: Voicemail Ann Ash",
            "├─ key 0: Voicemail Ann Ash",
            "├─ key *: Play Media Office hours, then the call ends",
            "├─ key 10: Response",
            "├─ no key: Move",
            "└─ wrong keys: Hang Up",
        ],
    ),
    "a menu with max_retries": (
        [node("menu", {"id": Z}, **{"1": {}, "2": ANN, "max_retries": HANGUP, "_": VOICEMAIL})],
        [
            "Menu Day menu",
            "├─ key 2: User Ann Ash (20 s)",
            "│  └─ no answer or busy: Voicemail Ann Ash",
            "└─ too many tries: Hang Up",
        ],
    ),
    "a menu whose max_retries is empty": (
        [node("menu", {"id": Z}, **{"2": HANGUP, "max_retries": {}, "_": VOICEMAIL})],
        ["Menu Day menu", "├─ key 2: Hang Up", "└─ no or wrong keys: Voicemail Ann Ash"],
    ),
    "a menu without a default": (
        [node("menu", {"id": Z}, **{"2": HANGUP})],
        ["Menu Day menu", "├─ key 2: Hang Up", "└─ no or wrong keys: the call is cut off"],
    ),
    "children that are never taken": (
        [node("play", {"id": Z}, **{"1": ANN, "_": HANGUP})],
        ["Play Media Day menu", "└─ Hang Up"],
    ),
    "a switch of time rules": (
        [node("temporal_route", {"action": "reset"}, **{Y: ANN, "_": HANGUP})],
        ["Time of Day (reset)", "└─ Hang Up"],
    ),
    "callers": (
        [node("check_cid", {"regex": "^1"}, match=ANN, nomatch=HANGUP)],
        [
            "Check Caller ID",
            "├─ callers that match: User Ann Ash (20 s)",
            "│  └─ no answer or busy: Voicemail Ann Ash",
            "└─ other callers: Hang Up",
        ],
    ),
    "some callers": (
        [node("check_cid", {"use_absolute_mode": True}, **{"+1": HANGUP})],
        ["Check Caller ID", "├─ caller +1: Hang Up", "└─ other callers: the call is cut off"],
    ),
    "a fax or a voice": (
        [node("fax_detect", {}, ON_FAX=HANGUP, ON_VOICE=HANGUP)],
        ["Fax Detect", "└─ fax, voice: Hang Up"],
    ),
    "a fax": (
        [node("fax_detect", {}, ON_FAX=node("faxbox", {"id": X}), _=HANGUP)],
        ["Fax Detect", "├─ fax: Fax Boxes Ann Ash", "└─ otherwise: Hang Up"],
    ),
    "waiting": (
        [node("acdc_wait_time", {"id": X}, **{"60": HANGUP, "_": VOICEMAIL})],
        ["Queue Wait Time Ann Ash", "├─ wait of 60 s or more: Hang Up", "└─ shorter waits: Voicemail Ann Ash"],
    ),
    "waiting, with a key that is not a number": (
        [node("acdc_wait_time", {"id": X}, **{"60": HANGUP, "long": HANGUP, "_": VOICEMAIL})],
        ["Queue Wait Time Ann Ash", "└─ shorter waits: Voicemail Ann Ash"],
    ),
    "any waiting": (
        [node("acdc_wait_time", {"id": X}, **{"0": HANGUP})],
        ["Queue Wait Time Ann Ash", "├─ wait of 0 s or more: Hang Up", "└─ unknown waits: the call is cut off"],
    ),
    "scores": (
        [node("nomorobo", {}, **{"7": HANGUP, "3": VOICEMAIL, "50": HANGUP, "_": ANN})],
        [
            "Nomorobo",
            "├─ score 3 or more: Voicemail Ann Ash",
            "├─ score 7 or more: Hang Up",
            "└─ no or lower score: User Ann Ash (20 s)",
            "   └─ no answer or busy: Voicemail Ann Ash",
        ],
    ),
    "scores without a default": (
        [node("nomorobo", {}, **{"7": HANGUP, "3": VOICEMAIL})],
        [
            "Nomorobo",
            "├─ score below 7: Voicemail Ann Ash",
            "├─ score 7 or more: Hang Up",
            "└─ callers without a score: the call is cut off",
        ],
    ),
    "all scores": (
        [node("nomorobo", {}, **{"7": HANGUP, "0": VOICEMAIL})],
        ["Nomorobo", "├─ no score, score below 7: Voicemail Ann Ash", "└─ score 7 or more: Hang Up"],
    ),
    "one score": (
        [node("nomorobo", {}, **{"0": VOICEMAIL})],
        ["Nomorobo", "└─ no score, any score: Voicemail Ann Ash"],
    ),
    "no scores": ([node("nomorobo", {}, _=HANGUP)], ["Nomorobo", "└─ Hang Up"]),
    "an empty child for a hangup cause": (
        [node("user", {"id": X}, USER_BUSY={}, _=VOICEMAIL)],
        ["User Ann Ash", "└─ no answer or busy: Voicemail Ann Ash"],
    ),
    "an empty child for a caller": (
        [node("cidlistmatch", {"id": X}, match={}, nomatch=HANGUP, _=VOICEMAIL)],
        ["Match Caller ID List Ann Ash", "├─ other callers: Hang Up", "└─ callers that match: Voicemail Ann Ash"],
    ),
    "an empty child for another module": (
        [node("fax_detect", {}, ON_FAX={}, _=VOICEMAIL)],
        ["Fax Detect", "├─ fax: the call is cut off", "└─ otherwise: Voicemail Ann Ash"],
    ),
    "a default that is never needed": (
        [node("cidlistmatch", {"id": X}, match=HANGUP, nomatch=VOICEMAIL, _=ANN)],
        ["Match Caller ID List Ann Ash", "├─ callers that match: Hang Up", "└─ other callers: Voicemail Ann Ash"],
    ),
    "callers, one by one": (
        [node("check_cid", {"use_absolute_mode": True}, **{"+1": {}, "_": VOICEMAIL})],
        ["Check Caller ID", "└─ other callers: Voicemail Ann Ash"],
    ),
    "the key that ends the input": (
        [node("menu", {"id": Z}, **{"#": VOICEMAIL, "1": HANGUP, "_": HANGUP})],
        ["Menu Day menu", "└─ key 1, no or wrong keys: Hang Up"],
    ),
    "a delay": (
        [node("user", {"id": X, "delay": "5", "timeout": 20}, _=HANGUP)],
        ["User Ann Ash (after 5 s; 20 s)", "└─ no answer or busy: Hang Up"],
    ),
    "equal flows, and flows that resemble each other": (
        [
            node(
                "menu",
                {"id": Z},
                **{
                    "1": ANN,
                    "2": node("user", {"id": X, "timeout": 9}, _=VOICEMAIL),
                    "3": ANN,
                    "4": {},
                    "max_retries": ANN,
                },
            )
        ],
        [
            "Menu Day menu",
            "├─ key 1 or 3, too many tries: User Ann Ash (20 s)",
            "│  └─ no answer or busy: Voicemail Ann Ash",
            "└─ key 2: User Ann Ash (9 s)",
            "   └─ no answer or busy: Voicemail Ann Ash",
        ],
    ),
    "a missing and an empty child": (
        [node("fax_detect", {}, ON_FAX={})],
        ["Fax Detect", "└─ fax, otherwise: the call is cut off"],
    ),
    "a captured number": ([node("privacy")], ["Privacy"]),
    "a member who has logged out": (
        [node("ring_group", {"endpoints": [{"id": X, "disable_until": 66269664000}, {"id": C, "disable_until": 0}]})],
        ["Ring Group (Ann Ash (logged out), device cccccccc)", "└─ no answer or busy: the call is cut off"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_steps(name: str) -> None:
    flows, expected = CASES[name]
    assert lines(*flows) == expected


def test_the_preflow_comes_first() -> None:
    assert lines(HANGUP, node("answer"), preflow_id=B) == ["Callflow Flow b", "└─ Answer", "   └─ Hang Up"]
    assert lines(HANGUP, preflow_id=C) == ["Callflow cccccccc (missing)", "└─ Hang Up"]
    assert lines(HANGUP, HANGUP, preflow_id=A) == ["Hang Up"]


def test_assumptions_prune_only_where_they_are_branches() -> None:
    menu = node("menu", {"id": Z}, **{"1": ANN, "_": HANGUP})
    flow = node("temporal_route", {"rules": [Y]}, **{Y: menu, "_": ANN})
    assert lines(flow, assume=["OFFICE hours", "Key 1"]) == [
        "Time of Day",
        "└─ Office hours: Menu Day menu",
        "   └─ key 1: User Ann Ash (20 s)",
        "      └─ no answer or busy: Voicemail Ann Ash",
    ]
    assert len(lines(flow, assume=["no answer"])) == len(lines(flow))
    assert lines(flow, assume=["other times", "key 1"]) == [
        "Time of Day",
        "└─ other times: User Ann Ash (20 s)",
        "   └─ no answer or busy: Voicemail Ann Ash",
    ]
    many = node("menu", {"id": Z}, **{"9": ANN, "1": HANGUP, "timeout": ANN})
    with pytest.raises(ConfigurationError) as error:
        lines(node("temporal_route", {"rules": [Y]}, **{Y: many, "_": ANN}), assume=["key 7"])
    assert str(error.value) == (
        "no step has the branch 'key 7'; the branches are: Office hours, other times, no key, wrong keys, no answer or "
        "busy, key 1, key 9"
    )


def test_an_assumption_chooses_the_default_where_it_has_no_branch_of_its_own() -> None:
    busy = node("user", {"id": X}, **{"sip:486": HANGUP, "_": VOICEMAIL})
    flow = node("menu", {"id": Z}, **{"1": ANN, "2": busy, "timeout": busy, "_": HANGUP})
    assert lines(flow, assume=["key 1", "BUSY"])[1:] == [
        "└─ key 1: User Ann Ash (20 s)",
        "   └─ no answer or busy: Voicemail Ann Ash",
    ]
    assert lines(flow, assume=["key 2", "busy"])[1:] == ["└─ key 2, no key: User Ann Ash", "   └─ busy: Hang Up"]
    for word in ("declined", "no answer"):
        assert lines(flow, assume=["key 2", word])[-1] == "   └─ no answer: Voicemail Ann Ash"
    for word in ("wrong keys", "no or wrong keys"):
        assert lines(flow, assume=[word]) == ["Menu Day menu", "└─ wrong keys: Hang Up"]
    assert lines(flow, assume=["no key"])[1] == "└─ key 2, no key: User Ann Ash"
    tries = node("menu", {"id": Z}, **{"1": ANN, "max_retries": HANGUP})
    for word in ("no key", "wrong keys", "too many tries"):
        assert lines(tries, assume=[word]) == ["Menu Day menu", "└─ too many tries: Hang Up"]
    both = node("user", {"id": X}, USER_BUSY=HANGUP, NO_ANSWER=ANN, _=VOICEMAIL)
    assert lines(both)[-1] == "└─ other failures: Voicemail Ann Ash"
    assert lines(both, assume=["declined"]) == ["User Ann Ash", "└─ other failures: Voicemail Ann Ash"]


def test_a_captured_mailbox() -> None:
    direct = node("voicemail", {"action": "compose"})
    assert lines(direct, capture="1005") == ["Direct to Voicemail (mailbox 1005, if it exists)"]
    assert lines(VOICEMAIL, capture="1005") == ["Voicemail Ann Ash"]


def test_a_long_trace_is_cut_far_from_the_start() -> None:
    flow = HANGUP
    for _ in range(100):
        flow = node("play", {"id": Z}, _=flow)
    shown = lines(flow, max_steps=10)
    assert len(shown) == 10
    assert shown[-1].endswith("Play Media Day menu …")
    assert len(lines(flow)) == 101
    wide = node("menu", {"id": Z}, **{str(key): ANN for key in range(9)}, _=HANGUP)
    many = [
        node("menu", {"id": Z}, **{str(key): node("callflow", {"id": each}) for key, each in enumerate((A, B, C))})
        for _ in range(3)
    ]
    assert len(lines(wide, max_steps=2)) == 1
    tree = trace(
        [structure({"id": each, "flow": flow}, Callflow) for each, flow in zip((A, B, C), many, strict=True)],
        A,
        max_steps=12,
    )
    assert sum(1 for _ in tree.walk()) <= 12


def test_at_most_fifty_jumps() -> None:
    ids = [f"{at:032x}" for at in range(60)]
    chain = [{"id": each, "flow": node("callflow", {"id": following})} for each, following in itertools.pairwise(ids)]
    tree = trace([structure(document, Callflow) for document in chain], ids[0])
    assert [step.ending for _, step in tree.walk()] == [""] * 50 + ["cut off"]
    *_, last = trace_lines(tree, 500)
    assert last.strip() == f"└─ Callflow {ids[51][:8]} (one jump too many: the call is dropped after 50 jumps)"


def test_jumps_that_came_back_count() -> None:
    flow = node("hangup")
    for at in range(60, 0, -1):
        flow = node("callflow", {"id": f"{at:032x}"}, _=flow)
    inner = [{"id": f"{at:032x}", "flow": node("play", {"id": X})} for at in range(1, 61)]
    tree = trace([structure(document, Callflow) for document in ({"id": A, "flow": flow}, *inner)], A)
    steps = [step for _, step in tree.walk()]
    assert [step.module for step in steps] == ["callflow", "play"] * 50 + ["callflow"]
    assert steps[-1].ending == "cut off"


def test_paths_and_values() -> None:
    tree = trace([structure({"id": A, "flow": node("user", {"id": X}, **{"a/b": {}, "_": VOICEMAIL})}, Callflow)], A)
    assert tree == TraceNode(
        (),
        "user",
        "User 11111111",
        A,
        "/flow",
        "",
        (TraceNode(("no answer or busy",), "voicemail", "Voicemail 11111111", A, "/flow/children/_"),),
    )
    assert repr(tree) == "TraceNode('User 11111111', 2 steps)"
    assert tree != "x"
    assert len({tree, tree}) == 1


def test_what_is_no_callflow_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="has the id 'x'"):
        trace([], "x")
    with pytest.raises(ConfigurationError, match="max_steps"):
        trace([Callflow(id="x")], "x", max_steps=0)


# --- the same steps as the server's executor takes (cf_exe.erl) ---

KEYS = {
    "play": "_ 1",
    "answer": "_",
    "voicemail": "_",
    "nope": "_ x",
    "hangup": "_",
    "response": "_",
    "callflow": "_",
    "user": "_ USER_BUSY sip:486 486",
    "resources": "_ USER_BUSY",
    "menu": "_ 1 2 # timeout max_retries",
    "temporal_route": f"_ {X} {Y}",
    "cidlistmatch": "_ match nomatch",
    "fax_detect": "_ ON_FAX ON_VOICE",
}
Way = tuple[tuple[str, str] | str, ...]
"""The callflows and paths of the nodes that a call reaches, and how it ends."""


def random_node(chance: random.Random, targets: list[str], depth: int = 0) -> dict[str, Any]:
    if chance.random() < 0.08:
        return {}
    module = chance.choice([*KEYS, "callflow", "callflow"])
    data: dict[str, Any] = {"unequal": chance.random(), "skip_module": chance.random() < 0.07}
    if module == "callflow":
        data["id"] = chance.choice(targets)
    if module == "temporal_route":
        data["rules"] = chance.sample([X, Y, Z], chance.randrange(3))
    keys = [key for key in KEYS[module].split() if depth < 3 and chance.random() < 0.55]
    return node(module, data, **{key: random_node(chance, targets, depth + 1) for key in keys})


Frame = tuple[str, str, dict[str, Any], tuple[str, ...]]
"""A callflow, a path in it, the node there, and the callflows that the call has entered and not left."""


class Executor:
    """All ways of a call, by the rules of the server's executor and of its modules."""

    def __init__(self, flows: dict[str, dict[str, Any]]) -> None:
        self.flows = flows

    def run(  # noqa: C901, PLR0912  # one branch for each kind of module
        self, frame: Frame, stack: tuple[Frame, ...] = ()
    ) -> set[Way]:
        """``stack`` has the nodes at which the call continues when a callflow ends."""
        each, path, at, entered = frame

        def stop(ending: str) -> set[Way]:
            return self.run(stack[-1], stack[:-1]) if stack else {(ending,)}

        def take(key: str) -> set[Way]:
            return self.run((each, f"{path}/children/{key}", at["children"][key], entered), stack)

        def go_on(key: str = "_", ending: str = "cut off") -> set[Way]:
            child = next((name for name in (key, "_") if name in at["children"]), None)
            return take(child) if child else stop(ending)

        def attempts(*keys: str) -> list[set[Way]]:
            return [take(key) for key in keys if at["children"].get(key)]

        if not at:
            return stop("cut off")
        module, data = at["module"], at["data"]
        ways: list[set[Way]]
        if module in {"nope", "answer"} or data["skip_module"]:
            ways = [go_on()]
        elif module in {"play", "voicemail"}:
            ways = [go_on(ending="ends")]
        elif module == "user":
            ways = [*attempts("USER_BUSY", "sip:486"), go_on()]
        elif module == "menu":
            ways = [*attempts("1", "2", "timeout"), *(attempts("max_retries") or [go_on()])]
        elif module == "cidlistmatch":
            found = attempts("match", "nomatch")
            ways = found if len(found) == 2 else [*found, go_on()]
        elif module == "fax_detect":
            ways = [go_on("ON_FAX"), go_on("ON_VOICE")]
        elif module == "temporal_route":
            ways = [*(take(key) for key in at["children"] if key != "_"), go_on()]
        elif module == "hangup":
            ways = [{("ends",)}]
        elif module == "response":
            ways = [stop("ends")]
        elif module == "resources":
            ways = attempts("USER_BUSY")
            ways += [stop("ends")] if stack or not ways else []
        elif data["id"] not in self.flows:
            ways = [go_on()]
        elif data["id"] in entered:
            ways = [{("ends",)}]
        else:
            target, after = data["id"], at["children"].get("_")
            back = [(each, f"{path}/children/_", after, entered)] if after else []
            ways = [self.run((target, "/flow", self.flows[target], (*entered, target)), (*stack, *back))]
        return {((each, path), *way) for found in ways for way in found}


def ways_of(step: TraceNode) -> set[Way]:
    if not step.module:
        return {("cut off",)}
    here = (step.callflow_id, step.path)
    if not step.children:
        return {(here, "ends")}
    return {(here, *way) for child in step.children for way in ways_of(child)}


@given(seed=st.integers(0, 2**32))
def test_a_trace_has_exactly_the_ways_of_the_executor(seed: int) -> None:
    chance = random.Random(seed)
    flows = {each: random_node(chance, [A, B, C, "gone"]) for each in (A, B, C)}
    documents = [structure({"id": each, "numbers": ["1"], "flow": flow}, Callflow) for each, flow in flows.items()]
    assert ways_of(trace(documents, A, max_steps=100_000)) == Executor(flows).run((A, "/flow", flows[A], (A,)))
