"""The public names of ``vinix_async.flows``, the table of modules, words, and results as JSON."""

import importlib.util
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from flows import everything, hostile, node

import vinix_async.flows as package
from vinix_async import Callflow, ConfigurationError, FlowNode, structure
from vinix_async.flows import (
    METAFLOW_MODULES,
    MODULES,
    RULES,
    Change,
    Name,
    ReferenceIndex,
    branch_word,
    describe_node,
    describe_place,
    description_of,
    diff,
    findings,
    label,
    lookup,
    masked,
    masked_path,
    references,
    to_plain,
    trace,
    trace_lines,
)

ROOT = Path(__file__).parent.parent
A, X = "a" * 32, "1" * 32


def test_public_names_say_where_they_are_imported_from() -> None:
    for name in package.__all__:
        value = getattr(package, name)
        assert value.__doc__
        if hasattr(value, "__qualname__"):
            assert value.__module__ == "vinix_async.flows"


def test_the_page_of_findings_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("findings_page", ROOT / "docs" / "findings.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert (ROOT / "docs" / "findings.md").read_text(encoding="utf-8") == script.page()
    assert {code[0] for code in RULES} == set(script.GROUPS)


def test_the_sentences_of_rules() -> None:
    for code, rule in RULES.items():
        assert rule.code == code
        assert not rule.title.endswith(".")
        assert rule.explanation.endswith(".")
        assert rule.source


def test_the_table_of_modules() -> None:
    for catalog in (MODULES, METAFLOW_MODULES):
        assert list(catalog) == sorted(catalog)
        for name, module in catalog.items():
            assert module.name == name
            assert module.label
            if module.required and module.name != "faxbox":
                assert module.required in dict(module.references)
    for name in ("ends", "stops"):
        assert any(module.ending == name for module in MODULES.values())
    assert all(module.ending in {"ends", "stops"} for module in MODULES.values() if module.branches == "none")


def test_labels() -> None:
    assert [label(module) for module in ("temporal_route", "offnet", "resources", "play", "hold", "nope", None)] == [
        "Time of Day",
        "Global Carrier",
        "Account Carrier",
        "Media",
        "Hold",
        "nope",
        "",
    ]
    voicemail = [label("voicemail", data) for data in ({"id": "x"}, {}, {"action": "check"})]
    assert voicemail == ["Voicemail", "Direct to Voicemail", "Check Voicemail"]


@pytest.mark.parametrize(
    ("module", "data", "words"),
    [
        ("user", {"id": X}, "User Ann"),
        ("user", {"id": "2" * 32, "timeout": 20}, "User 22222222 (20 s)"),
        ("user", {"id": 5, "timeout": True}, "User"),
        ("play", {"id": "tone_stream://x"}, "Play Media tone"),
        ("play", {"id": "%(1,2)"}, "Play Media tone"),
        ("play", {"id": "https://h/a%20b.wav?x=1"}, "Play Media a b.wav"),
        ("ring_group", {"endpoints": [{"id": str(each)} for each in range(6)]}, "Ring Group (0, 1, 2, 3 and 2 more)"),
        (
            "ring_group",
            {"timeout": 20, "repeats": "2", "endpoints": [{"id": X, "delay": "5"}, {"id": "2" * 32, "type": "user"}]},
            "Ring Group (Ann after 5 s, user 22222222; 20 s; 2 times)",
        ),
        (
            "ring_group",
            {"strategy": "single", "endpoints": [{"id": X, "delay": "5"}]},
            "Ring Group (Ann; one after the other)",
        ),
        ("ring_group", {"strategy": "other", "endpoints": [{"id": X, "delay": []}]}, "Ring Group (Ann; other)"),
        ("eavesdrop", {"user_id": X}, "Eavesdrop Ann"),
        ("transfer", {"target": "2000"}, "Transfer 2000"),
        ("pivot", {"voice_url": "https://h/v?token=x"}, "Pivot https://h/v"),
        ("branch_variable", {"variable": ["a", "b"]}, "Branch on Variable a.b"),
        ("sleep", {"duration": 5}, "Sleep 5"),
        ("set_cid", {"caller_id_name": ["x"]}, "Set Caller ID x"),
        ("conference", {"name": "Weekly"}, "Conference Weekly"),
        ("nope", {"id": X}, "nope Ann"),
    ],
)
def test_a_node_in_words(module: str, data: dict[str, Any], words: str) -> None:
    assert describe_node(FlowNode(module=module, data=data), {X: Name("Ann", "user")}) == words


@pytest.mark.parametrize(
    ("module", "key", "word"),
    [
        ("menu", "1", "key 1"),
        ("menu", "timeout", "no key"),
        ("menu", "max_retries", "too many tries"),
        ("menu", "_", "no or wrong keys"),
        ("temporal_route", X, "Ann"),
        ("temporal_route", "rule_set", "rule set"),
        ("temporal_route", "_", "other times"),
        ("user", "_", "no answer or busy"),
        ("acdc_member", "_", "no answer"),
        ("hotdesk", "_", ""),
        ("user", "USER_BUSY", "busy"),
        ("user", "sip:603", "declined"),
        ("user", "sip:488", "sip:488"),
        ("resources", "sip:404", "not found"),
        ("check_cid", "+1555", "caller +1555"),
        ("park", "7", "slot 7"),
        ("nomorobo", "3", "score 3 or more"),
        ("branch_variable", "true", "true"),
        ("voicemail", "_", ""),
    ],
)
def test_a_branch_in_words(module: str, key: str, word: str) -> None:
    assert branch_word(FlowNode(module=module), key, {X: Name("Ann", "user")}) == word


def test_places_in_words() -> None:
    flow = node("menu", {}, **{"1": node("play", {}, _=node("user", {}, _=node("hangup")))})
    metaflow = {"numbers": {"2": node("callflow", {}, _=node("hangup"))}}
    callflow = structure({"id": A, "flow": flow, "metaflow": metaflow}, Callflow)
    for path, words in {
        "": "",
        "/flow": "start",
        "/flow/children/1": "key 1",
        "/flow/children/1/children/_/children/_": "key 1, after Media, no answer or busy",
        "/metaflow": "during the call",
        "/metaflow/numbers/2": "during the call 2",
        "/metaflow/numbers/2/children/_": "during the call 2, after Callflow",
    }.items():
        assert describe_place(callflow, path, {}) == words
    assert not describe_place(None, "/flow", {})


def results(callflow: Callflow) -> list[Any]:
    return [
        *references(callflow),
        *findings([callflow]),
        lookup([callflow], "+15550001111"),
        trace([callflow], callflow.id),
        *ReferenceIndex([callflow]).names.values(),
        *RULES.values(),
    ]


@pytest.mark.parametrize("callflow", [everything(), hostile()], ids=["everything", "hostile"])
def test_results_survive_json_and_pickle(callflow: Callflow) -> None:
    for result in results(callflow):
        assert json.loads(json.dumps(to_plain(result))) == to_plain(result)
        assert pickle.loads(pickle.dumps(result)) == result
        assert hash(result) == hash(pickle.loads(pickle.dumps(result)))


def test_results_as_json() -> None:
    callflow = structure({"id": A, "numbers": ["1"], "flow": node("user", {}, _=node("hangup"))}, Callflow)
    (finding,) = findings([callflow])
    plain = to_plain(finding)
    assert plain == {
        "code": "R102",
        "severity": "error",
        "callflow_id": A,
        "path": "/flow",
        "message": "user has no id: the module does not work",
        "related": ["id"],
        "title": RULES["R102"].title,
        "explanation": RULES["R102"].explanation,
        "source": RULES["R102"].source,
    }
    tree = to_plain(trace([callflow], A))
    assert tree["children"][0] == {
        "words": ["no answer or busy"],
        "module": "hangup",
        "label": "Hang Up",
        "callflow_id": A,
        "path": "/flow/children/_",
        "ending": "",
        "children": [],
    }
    assert to_plain(lookup([callflow], "1"))["how"] == "number"
    assert to_plain(description_of(FlowNode(module="user", data={"timeout": 20}), {})) == {
        "label": "User",
        "name": "",
        "members": [],
        "details": ["20 s"],
    }
    assert to_plain(MODULES["user"])["references"] == [["id", "user"]]
    with pytest.raises(ConfigurationError, match="cannot convert a value of type str"):
        to_plain("x")  # type: ignore[arg-type]


def test_long_lines_are_wrapped_under_their_step() -> None:
    below = node("tts", {"text": "word " * 30}, _=node("hangup"))
    callflow = structure({"id": A, "flow": node("menu", {}, **{"1": below, "_": below})}, Callflow)
    shown = list(trace_lines(trace([callflow], A), width=40))
    assert all(len(line) <= 40 for line in shown)
    assert [line[:8] for line in shown[:3]] == ["Menu", "└─ key 1", "   │    "]
    assert shown[-1] == "   └─ Hang Up"
    ring = node("ring_group", {"name": "x" * 19, "timeout": 20, "endpoints": [{"id": "y"}]})
    callflow = structure({"id": A, "flow": ring}, Callflow)
    (first, second, *_) = trace_lines(trace([callflow], A), width=40)
    assert [first, second] == [f"Ring Group {'x' * 19} (y;", "│    20 s)"]


def test_secrets_are_hidden_in_keys_and_paths() -> None:
    url, other = "https://bob:planted@h.example/x", "https://eve:planted@h.example/x"
    value = {url: {other: 1}, "https://h.example/x": 2, other: 3, "pin": {"x": 4}, "a": {"pin": "1"}}
    assert masked(value) == {
        "https://h.example/x (2)": {"https://h.example/x": 1},
        "https://h.example/x": 2,
        "https://h.example/x (3)": 3,
        "pin": "(hidden)",
        "a": {"pin": "(hidden)"},
    }
    for path in ("", "/flow", "/flow/children/", "/flow/children/a~1b~0/children/sip:486", "/metaflow/numbers/2"):
        assert masked_path(path) == path
    assert masked_path(f"/flow/children/{url.replace('/', '~1')}/children/_") == (
        "/flow/children/https:~1~1h.example~1x/children/_"
    )


def test_findings_name_numbers_without_secrets() -> None:
    flow = node("user", {"id": X}, _=node("hangup"))
    both = [structure({"id": each, "numbers": ["ann:planted@h.example"], "flow": flow}, Callflow) for each in (A, X)]
    (finding,) = findings(both, select=["N501"])
    assert finding.related == ("h.example", X)
    assert finding.message == f"callflow {X} also has the number h.example, and gets the calls"


def test_paths_in_results_are_exact_and_hidden_in_json() -> None:
    url = "https://bob:planted@h.example/x"
    flow = node("branch_variable", {"variable": "v"}, **{url: node("user", {}), "_": node("hangup")})
    old = structure({"id": A, "numbers": ["1"], "flow": flow}, Callflow)
    moved = {**flow, "children": {"_": {**flow["children"][url], "children": {url: node("hangup")}}}}
    new = structure({"id": A, "numbers": ["1"], "flow": moved}, Callflow)
    path = f"/flow/children/{url.replace('/', '~1')}"
    (finding,) = [each for each in findings([old]) if each.code == "R102"]
    assert finding.path == path
    results: list[Any] = [finding, *diff([old], [new]), trace([old], A), *references(old), lookup([old], "1")]
    for result in results:
        assert "planted" not in json.dumps(to_plain(result))
    move = Change("node_moved", A, "/flow", "", f"{path}/children/_", old.flow)
    assert to_plain(move)["old"] == "/flow/children/https:~1~1h.example~1x/children/_"
    assert to_plain(finding)["path"] == "/flow/children/https:~1~1h.example~1x"
