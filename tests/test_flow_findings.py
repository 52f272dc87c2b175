"""Each rule fires where it should, and not where it must not."""

import random
from typing import Any

import pytest
from flows import node

from vinix_async import Callflow, ConfigurationError, structure
from vinix_async.flows import RULES, Finding, findings

Json = dict[str, Any]
A, B, C, X, Y, Z = "a" * 32, "b" * 32, "c" * 32, "1" * 32, "2" * 32, "3" * 32
LOGGED_OUT = {"id": Z, "disable_until": 66269664000}
HANGUP = node("hangup")
VOICEMAIL = node("voicemail", {"id": X})


def doc(flow: Json | None = None, each: str = A, **fields: Any) -> Json:
    return {"id": each, "name": each[:1].upper(), "numbers": ["+15551230000"], "flow": flow or HANGUP, **fields}


def known(**kinds: str) -> Json:
    return {(X if key == "x" else Y): {"name": key.upper(), "pvt_type": kind} for key, kind in kinds.items()}


def jump(target: str, **children: Json) -> Json:
    return node("callflow", {"id": target}, **children)


def check(*documents: Json, **options: Any) -> list[Finding]:
    callflows = [structure(document, Callflow) for document in documents]
    found = list(findings(callflows, **options))
    shuffled = callflows[:]
    random.Random(len(callflows)).shuffle(shuffled)
    assert list(findings(iter(shuffled), **options)) == found
    return found


def with_(number: str, each: str = B, **fields: Any) -> Json:
    return doc(each=each, numbers=[number], **fields)


RING = node("user", {"id": X}, _=VOICEMAIL)
OFF = node("user", {"id": X, "skip_module": True}, _=VOICEMAIL)
ENDPOINTS = [{"id": X, "delay": "20"}, {"id": Y}]
SUMMARY = {"id": C, "numbers": ["7"], "modules": ["user"], "featurecode": False}

FIRES: list[tuple[str, str, str, list[Json]]] = [
    ("R101", "error", "/flow", [doc(node("user", {"id": Y}, _=HANGUP), metadata=known(x="user"))]),
    (
        "R101",
        "error",
        f"/flow/children/{Y}",
        [doc(node("temporal_route", {}, **{Y: RING, "_": RING}), metadata=known(x="user"))],
    ),
    ("R101", "error", "/flow", [doc(node("receive_fax", {"owner_id": Y}), metadata=known(x="user"))]),
    ("R102", "error", "/flow", [doc(node("user", {}, _=HANGUP))]),
    ("R102", "error", "/flow", [doc(node("menu", {"id": ""}, **{"1": HANGUP, "_": HANGUP}))]),
    ("R102", "error", "/flow", [doc(node("voicemail"))]),
    ("R102", "warning", "/flow", [doc(node("directory", {}, _=HANGUP))]),
    ("R103", "error", "/flow", [doc(node("user", {"id": X}, _=HANGUP), metadata=known(x="device"))]),
    ("R103", "error", "/flow", [doc(jump(X), metadata=known(x="menu"))]),
    ("J201", "error", "/flow/children/_", [doc(node("play", {"id": X}, _=jump(B)))]),
    ("J201", "error", "/flow", [doc(node("ring_group_toggle", {"callflow_id": B}, _=HANGUP))]),
    (
        "J201",
        "error",
        "/metaflow/numbers/2/children/_",
        [doc(metaflow={"numbers": {"2": node("hold", {}, _=jump(B))}})],
    ),
    ("J202", "error", "/flow", [doc(jump(B)), with_("1", flow=node("set_cid", {}, _=jump(A)))]),
    ("J202", "error", "/flow", [doc(jump(A))]),
    ("J203", "info", "/flow/children/9", [doc(node("menu", {"id": X}, **{"9": jump(A), "_": HANGUP}))]),
    ("J203", "info", "/flow/children/_", [doc(jump(B, _=jump(A))), with_("1", flow=node("play", {"id": X}))]),
    ("E301", "error", "", [{"id": A, "numbers": ["1"], "flow": {}}]),
    ("E301", "error", "", [{"id": A, "patterns": ["^1$"]}]),
    ("E302", "warning", "/flow", [doc(node("temporal_route", {"rules": [X]}, **{X: RING}))]),
    (
        "E302",
        "info",
        "/flow",
        [doc(node("temporal_route", {"rules": [X]}, **{X: RING})), with_("1", flow=jump(A, _=HANGUP))],
    ),
    ("E302", "warning", "/flow", [doc(node("check_cid", {"use_absolute_mode": True, "regex": "^1"}, nomatch=RING))]),
    ("E302", "warning", "/flow", [doc(node("cidlistmatch", {"id": X}, match=RING))]),
    ("E302", "warning", "/flow", [doc(node("fax_detect", {}, ON_FAX=RING))]),
    ("E303", "warning", "/flow", [doc(node("notification", {"template_id": "t"}))]),
    ("E303", "warning", "/flow/children/_", [doc(node("answer", {}, _=node("set_cid")))]),
    ("E304", "info", "/flow", [doc(node("menu", {"id": X}, _=HANGUP))]),
    ("E305", "warning", "/flow", [doc(node("menu", {"id": X}, **{"1": {}, "2": HANGUP, "_": HANGUP}))]),
    ("E305", "warning", "/flow", [doc(node("user", {"id": X}, _={}))]),
    ("E305", "warning", "/flow", [doc(node("user", {"id": X}, **{"sip:486": {}, "_": HANGUP}))]),
    ("E305", "warning", "/flow", [doc(node("temporal_route", {"rules": [X]}, **{X: {}, "_": HANGUP}))]),
    ("E306", "info", "/flow", [doc(node("user", {"id": X}, USER_BUSY=HANGUP))]),
    ("E307", "info", "/flow", [doc(node("menu", {"id": X}, **{"1": HANGUP}))]),
    ("E304", "info", "/flow", [doc(node("menu", {"id": X}, **{"1": {}, "_": HANGUP}))]),
    ("E307", "info", "/flow", [doc(node("menu", {"id": X}, **{"1": HANGUP, "max_retries": {}, "timeout": {}}))]),
    ("E308", "error", "/flow/children/_", [doc(node("user", {"id": X}, _={"data": {}, "children": {}}))]),
    ("E308", "error", "/flow", [doc({"children": {"_": HANGUP}})]),
    ("B401", "warning", "/flow", [doc(node("user", {"id": X}, **{"486": HANGUP, "_": HANGUP}))]),
    ("B401", "warning", "/flow", [doc(node("play", {"id": X}, **{"1": HANGUP}))]),
    ("B401", "warning", "/flow", [doc(node("temporal_route", {}, rule_set=HANGUP, _=HANGUP))]),
    ("B401", "warning", "/flow", [doc(node("check_cid", {}, nomatch=HANGUP, match=HANGUP))]),
    ("B401", "info", "/flow", [doc(node("hangup", {}, _=HANGUP))]),
    ("B402", "info", "/flow", [doc(node("temporal_route", {"rules": [X]}, _=HANGUP))]),
    ("B402", "info", "/flow", [doc(node("temporal_route", {"rule_set": X}, _=HANGUP))]),
    ("B403", "warning", "/flow", [doc(node("menu", {"id": X}, **{"1": HANGUP, "max_retries": HANGUP, "_": RING}))]),
    ("B404", "warning", "/flow", [doc(node("resources", {}, _=HANGUP))]),
    ("B405", "info", "/flow", [doc(node("temporal_route", {}, _=HANGUP))]),
    ("B406", "error", "/flow", [doc(node("acdc_wait_time", {"id": X}, long=HANGUP, _=HANGUP))]),
    ("N501", "error", "", [doc(), with_("+15551230000")]),
    ("N502", "info", "", [doc(numbers=["Reception"])]),
    ("N502", "info", "", [doc(numbers=[])]),
    ("N503", "warning", "", [doc(featurecode={"name": "park", "number": "3"}, patterns=[r"^\*4$"])]),
    ("N504", "error", "", [doc(numbers=["no_match", "2000"])]),
    ("N504", "error", "", [doc(numbers=["no_match"], patterns=["^2"])]),
    ("P601", "error", "", [doc(patterns=[r"^+33(\d{9})$"])]),
    ("P602", "warning", "", [doc(patterns=[r"^\*72([0-9]*)$"]), with_("1", patterns=[r"^\*7([0-9]*)$"])]),
    ("P603", "error", "", [doc(patterns=[r"^\*5([0-9])?$"])]),
    ("P604", "warning", "", [doc(patterns=[r"^\+?([0-9]+)$"]), with_("no_match")]),
    ("P605", "info", "", [doc(patterns=[r"^\*7"]), with_("1", patterns=[r"^(\*7[0-9]+)$"])]),
    ("E305", "info", "/flow", [doc(node("play", {"id": X}, _={}))]),
    ("M701", "warning", "/flow", [doc(node("nope"))]),
    ("M701", "info", "/flow", [doc(node("nope", {}, _=HANGUP))]),
    ("M702", "info", "/flow", [doc(node("user", {"id": X, "skip_module": "true"}, _=RING))]),
    ("M702", "info", "/flow", [doc(node("ring_group", {"skip_module": True}, _=jump(B)), numbers=["2000"])]),
    ("M702", "info", "/flow", [doc(OFF, numbers=[])]),
    ("M702", "info", "/flow", [doc(OFF, featurecode={"name": "x", "number": "97"})]),
    ("M702", "info", "/flow", [doc(node("play", {"id": X, "skip_module": True}, _=VOICEMAIL))]),
    ("M702", "info", "/flow/children/_", [doc(node("menu", {"id": X}, **{"1": RING, "_": OFF}))]),
    ("M702", "warning", "/flow", [doc(OFF)]),
    ("M702", "warning", "/flow", [doc({**OFF, "children": {"_": VOICEMAIL, "sip:486": RING}})]),
    ("M702", "warning", "/flow", [doc(node("page_group", {"skip_module": True}))]),
    ("M703", "warning", "/flow", [doc(node("ring_group", {"endpoints": []}, _=HANGUP))]),
    ("M704", "warning", "/flow", [doc(node("ring_group", {"endpoints": ENDPOINTS}, _=HANGUP))]),
    (
        "M704",
        "warning",
        "/flow",
        [doc(node("ring_group", {"strategy": "single", "timeout": "20", "endpoints": ENDPOINTS}, _=HANGUP))],
    ),
    ("M705", "info", "/flow", [doc(node("page_group", {"endpoints": [{"id": X}, {"id": X}]}, _=HANGUP))]),
    ("S801", "warning", "/flow", [doc(node("webhook", {"uri": "https://h/x?token=t0psecret"}, _=HANGUP))]),
    ("S801", "warning", "/flow", [doc(node("nomorobo", {"username": "u", "password": "t0psecret"}, _=HANGUP))]),
    ("S801", "warning", "/flow", [doc(node("set", {"a": [{"api_key": "t0psecret"}]}, _=HANGUP))]),
    (
        "S801",
        "warning",
        "/metaflow/numbers/1",
        [doc(metaflow={"numbers": {"1": node("pivot", {"voice_url": "https://u:t0psecret@h/"})}})],
    ),
    ("S802", "error", "/flow", [doc(node("disa", {"pin": ""}, _=HANGUP))]),
    ("S803", "info", "/flow", [doc(node("pivot", {"voice_url": "http://h/v"}, _=HANGUP))]),
    ("S803", "info", "/flow", [doc(node("record_call", {"url": "http://h/v"}, _=HANGUP))]),
]

SILENT: list[tuple[str, list[Json]]] = [
    ("R101", [doc(node("user", {"id": Y}, _=HANGUP))]),  # no metadata
    ("R101", [doc(node("faxbox", {"id": Y}), metadata=known(x="user"))]),
    ("R101", [doc(node("play", {"id": "prompt"}), metadata=known(x="user"))]),
    ("R101", [doc(node("manual_presence", {"presence_id": Y}, _=HANGUP), metadata=known(x="user"))]),
    ("R101", [doc(node("ring_group", {"endpoints": [{"id": Y}]}, _=HANGUP), metadata=known(x="user"))]),
    ("R101", [doc(node("lookupcidname", {"lists": [Y]}, _=HANGUP), metadata=known(x="user"))]),
    (
        "R101",
        [doc(node("temporal_route", {"rules": [Y]}, **{X: HANGUP, "_": HANGUP}), metadata=known(x="temporal_rule"))],
    ),
    ("R101", [doc(node("missed_call_alert", {"recipients": [{"id": [Y, 5]}]}, _=HANGUP), metadata=known(x="user"))]),
    ("R101", [doc(node("ring_group", {"ringback": Y, "endpoints": ENDPOINTS}, _=HANGUP), metadata=known(x="user"))]),
    ("R101", [doc(node("conference", {"welcome_prompt": {"media_id": Y}}), metadata=known(x="user"))]),
    ("R101", [doc(node("resources", {"hunt_account_id": Y}), metadata=known(x="user"))]),
    ("R101", [doc(node("user", {"id": Y, "skip_module": True}, _=HANGUP), metadata=known(x="user"))]),
    ("R101", [doc(jump(Y), metadata=known(x="user"))]),  # J201
    ("R102", [doc(node("voicemail"), patterns=[r"^\*\*([0-9]*)$"])]),
    ("R102", [doc(node("voicemail"), numbers=["**"])]),
    ("R102", [doc(node("voicemail", {"action": "check"}))]),
    ("R102", [doc(node("group", {"endpoints": [X]}, _=HANGUP))]),
    ("R102", [doc(node("faxbox", {"faxbox_id": X}))]),
    ("R103", [doc(node("temporal_route", {}, **{X: HANGUP, "_": HANGUP}), metadata=known(x="temporal_rule_set"))]),
    ("R103", [doc(node("do_not_disturb", {"id": X}, _=HANGUP), metadata=known(x="device"))]),
    ("J201", [doc(jump(B)), with_("1")]),
    ("J201", [doc(node("callflow", {"id": 5}))]),
    ("J202", [doc(jump(B)), with_("1", flow=node("sleep", {}, _=jump(A)))]),
    ("J202", [doc(jump(B, _=jump(A))), with_("1", flow=node("play", {"id": X}))]),
    ("J202", [doc(node("hangup", {}, _=jump(A)))]),  # never taken
    ("J203", [doc(jump(B)), with_("1", flow=jump(C)), with_("2", C)]),
    ("E301", [SUMMARY]),
    ("E301", [{"id": A, "numbers": ["1"], "modules": []}]),
    ("E302", [doc(node("temporal_route", {"rules": [X], "action": "menu"}))]),
    ("E302", [doc(node("check_cid", {}, match=RING))]),
    ("E302", [doc(node("cidlistmatch", {"id": X}, match=RING, nomatch=RING))]),
    ("E302", [doc(node("fax_detect", {}, ON_FAX=RING, ON_VOICE=RING))]),
    ("E303", [doc(node("set_cid"), numbers=[], patterns=["^1$"])]),
    ("E303", [doc(node("set_cid"), featurecode={"number": "3"}, numbers=["*3"])]),
    ("E303", [doc(node("set_cid")), with_("1", flow=jump(A, _=HANGUP))]),
    ("E303", [doc(node("set_cid")), with_("1", flow=jump(C, _=HANGUP)), with_("2", C, flow=jump(A))]),
    ("E304", [doc(node("menu", {"id": X}, **{"*": HANGUP}))]),
    ("E305", [doc(node("hangup", {}, _={}))]),
    ("E305", [doc(node("park", {}, **{"100": {}}))]),
    ("E305", [doc(node("menu", {"id": X}, **{"1": HANGUP, "max_retries": HANGUP, "_": {}}))]),
    ("E306", [doc(RING)]),
    ("E306", [doc(node("user", {"id": X}), featurecode={"number": "3"}, numbers=["*3"])]),
    ("E307", [doc(node("menu", {"id": X}, **{"1": HANGUP, "timeout": HANGUP}))]),
    ("E308", [doc(node("user", {"id": X}, _={}))]),
    ("B401", [doc(node("nope", {}, **{"5": HANGUP}))]),
    ("B401", [doc({**node("user", {"id": X}, REMOTE_UNAVAILABLE=HANGUP, other=HANGUP), "remote_execution": True})]),
    ("B401", [doc(node("user", {"id": X}, **{"sip:486": HANGUP, "USER_BUSY": HANGUP, "_": HANGUP}))]),
    ("B401", [doc(node("check_cid", {"regex": "^1"}, nomatch=HANGUP, match=HANGUP))]),
    ("B401", [doc(node("check_cid", {"use_absolute_mode": "true"}, **{"+1555": HANGUP, "_": HANGUP}))]),
    ("B401", [doc(node("branch_variable", {"variable": "v"}, true=HANGUP))]),
    ("B401", [doc(node("acdc_wait_time", {"id": X}, x=HANGUP, _=HANGUP))]),
    (
        "B402",
        [doc(node("temporal_route", {"rules": [X], "rule_set": Y}, **{X: HANGUP, "rule_set": HANGUP, "_": HANGUP}))],
    ),
    ("B403", [doc(node("menu", {"id": X}, **{"1": HANGUP, "max_retries": {}, "_": RING}))]),
    ("B404", [doc(node("offnet", {}, **{"USER_BUSY": HANGUP, "sip:503": HANGUP}))]),
    ("B405", [doc(node("temporal_route", {"rule_set": X}, rule_set=HANGUP, _=HANGUP))]),
    ("B405", [doc(node("temporal_route", {"action": "reset"}, _=HANGUP))]),
    ("B405", [doc(node("temporal_route", {}))]),
    ("E302", [doc(node("acdc_wait_time", {"id": X}, long=HANGUP))]),
    ("E302", [doc(node("nomorobo", {}, **{"0": RING, "7": HANGUP}))]),  # 0 also takes calls without a score
    ("E302", [doc(node("nomorobo", {}, **{"7": HANGUP, "_": RING}))]),
    ("E302", [doc(node("branch_bnumber", {"hunt": True}, _=RING))]),
    ("E302", [doc(node("branch_variable", {"variable": "v"}, true=HANGUP, _=RING))]),
    ("E303", [doc(node("privacy"))]),  # the call goes on to the number that the pattern captures
    ("B401", [doc(node("nomorobo", {}, **{"0": RING, "10": HANGUP, "_": RING}))]),
    ("B401", [doc(node("nomorobo", {}, **{"50": RING}))]),  # it takes all scores
    ("B401", [doc({**node("user", {"id": X}, other=HANGUP, _=HANGUP), "remote_execution": "true"})]),
    ("E302", [doc(node("acdc_wait_time", {"id": X}, **{"60": HANGUP, "_": HANGUP}))]),
    ("B406", [doc(node("acdc_wait_time", {"id": X}, **{"60": HANGUP, "_": HANGUP}))]),
    ("N501", [doc(numbers=["undefinedconf"]), with_("undefinedconf")]),
    ("N501", [doc(numbers=["5", "5"])]),
    ("N502", [doc(numbers=["Reception"], type="userGroup")]),
    ("N502", [doc(numbers=["undefined"])]),
    ("N502", [doc(numbers=["Reception"]), with_("1", flow=jump(A))]),
    ("N502", [doc(numbers=["Reception"]), with_("1", metaflow={"numbers": {"2": jump(A)}})]),
    ("N502", [doc(numbers=["Reception"], patterns=["^1"])]),
    ("N502", [doc(numbers=["no_match"])]),
    ("N502", [doc(numbers=["Reception"]), SUMMARY]),  # the flows are not known
    ("N503", [doc(featurecode={"number": "97"}, numbers=[], patterns=[r"^\*97$"])]),
    ("N503", [doc(featurecode={"number": "\\*2"}, numbers=[], patterns=[r"^\*2([0-9]+)$"])]),
    ("N503", [doc(featurecode={"number": "*"}, numbers=[], patterns=[r"^\*\*([0-9]*)$"])]),
    ("N503", [doc(featurecode={"number": "0"}, numbers=["0"])]),
    ("N504", [doc(numbers=["no_match", "undefinedconf"])]),
    ("P601", [doc(patterns=[r"^\+33([0-9]{9})$"])]),
    ("P602", [doc(patterns=[r"^\*72([0-9]*)$"]), with_("1", patterns=[r"^\*73([0-9]*)$"])]),
    ("P602", [doc(patterns=["(?=x)y"])]),  # no sample matches
    ("P603", [doc(patterns=[r"^\*5([0-9]?)$"])]),
    ("P604", [doc(patterns=[r"^\+1([0-9]+)$"]), with_("no_match")]),
    ("P604", [doc(patterns=[r"^\+?([0-9]+)$"])]),
    ("P605", [doc(patterns=[r"^1([0-9]*)$"]), with_("100")]),
    ("M701", [doc(node("qubicle"))]),
    ("M702", [doc(node("user", {"id": X, "skip_module": False}, _=HANGUP))]),
    ("M703", [doc(node("ring_group", {"endpoints": {X: {"type": "user"}}}, _=HANGUP))]),
    ("M703", [doc(node("group", {"id": X}, _=HANGUP))]),
    ("M704", [doc(node("ring_group", {"timeout": 30, "endpoints": ENDPOINTS}, _=HANGUP))]),
    (
        "M704",
        [doc(node("ring_group", {"strategy": "weighted_random", "timeout": 20, "endpoints": ENDPOINTS}, _=HANGUP))],
    ),
    ("M704", [doc(node("ring_group", {"timeout": "soon", "endpoints": [{"id": X, "delay": []}]}, _=HANGUP))]),
    ("M704", [doc(node("ring_group", {"endpoints": [{**LOGGED_OUT, "delay": 30}]}, _=HANGUP))]),
    ("M705", [doc(node("ring_group", {"endpoints": ENDPOINTS}, _=HANGUP))]),
    ("S801", [doc(node("set", {"token_type": "x", "password": "", "note": "https://h/?a=b", "secret": 5}, _=HANGUP))]),
    ("S802", [doc(node("disa", {"pin": "1234"}, _=HANGUP))]),
    ("S803", [doc(node("pivot", {"voice_url": "https://h/v"}, _=HANGUP))]),
    ("S803", [doc(node("play", {"id": "http://h/media.wav"}))]),
]


@pytest.mark.parametrize(("code", "severity", "path", "documents"), FIRES)
def test_it_fires(code: str, severity: str, path: str, documents: list[Json]) -> None:
    found = [each for each in check(*documents) if each.code == code]
    assert [(each.severity, each.path) for each in found] == [(severity, path)]
    assert "t0psecret" not in repr(found)
    assert found[0].rule is RULES[code]


@pytest.mark.parametrize(("code", "documents"), SILENT)
def test_it_does_not_fire(code: str, documents: list[Json]) -> None:
    assert code not in {each.code for each in check(*documents)}


ONLY_TIMES = node("temporal_route", {"rules": [X]}, **{X: RING})
EMPTY_DEFAULT = node("user", {"id": X}, _={})
TAKE_ALL = [r"^\+([0-9]+)$", r"^([0-9]+)$"]


@pytest.mark.parametrize(
    ("code", "message", "documents"),
    [
        ("E302", "outside all time rules the call is cut off: there is no default branch", [doc(ONLY_TIMES)]),
        (
            "E302",
            "outside all time rules the callflow ends: there is no default branch",
            [doc(ONLY_TIMES), with_("1", flow=jump(A, _=HANGUP))],
        ),
        ("E305", "the default branch of user is empty: the call is cut off", [doc(EMPTY_DEFAULT)]),
        (
            "E305",
            "the default branch of user is empty: the callflow ends",
            [doc(EMPTY_DEFAULT), with_("1", flow=jump(A, _=HANGUP))],
        ),
        (
            "B405",
            "no time rules: every call takes the default branch",
            [doc(node("temporal_route", {}, _=HANGUP))],
        ),
        ("E302", "no time rules and no default branch: the call is cut off", [doc(node("temporal_route", {}))]),
        (
            "E302",
            "for shorter waits the call is cut off: there is no default branch",
            [doc(node("acdc_wait_time", {"id": X}, **{"60": HANGUP}))],
        ),
        ("E302", "the call is cut off: there is no default branch", [doc(node("acdc_wait_time", {"id": X}))]),
        (
            "E302",
            "for unknown waits the call is cut off: there is no default branch",
            [doc(node("acdc_wait_time", {"id": X}, **{"0": RING, "60": HANGUP}))],
        ),
        (
            "E302",
            "for callers without a score the call is cut off: there is no default branch",
            [doc(node("nomorobo", {}, **{"3": RING, "7": HANGUP}))],
        ),
        (
            "E302",
            "for other values the call is cut off: there is no default branch",
            [doc(node("branch_variable", {"variable": "v"}, true=RING))],
        ),
        (
            "E302",
            "for other numbers the call is cut off: there is no default branch",
            [doc(node("branch_bnumber", {}, **{"2000": RING}))],
        ),
        (
            "E302",
            "if no callflow has the number, the call is cut off: there is no default branch",
            [doc(node("branch_bnumber", {"hunt": "true"}))],
        ),
        (
            "E302",
            "cidlistmatch has no child for match and no default branch: the call is cut off",
            [doc(node("cidlistmatch", {"id": X}, match={}, nomatch=RING))],
        ),
        (
            "E305",
            "the child 'match' of cidlistmatch is empty: it counts as missing",
            [doc(node("cidlistmatch", {"id": X}, match={}, _=RING))],
        ),
        (
            "E305",
            "the child '+1555' of check_cid is empty: it counts as missing",
            [doc(node("check_cid", {"use_absolute_mode": True}, **{"+1555": {}, "_": RING}))],
        ),
        (
            "E305",
            "the child 'ON_FAX' of fax_detect is empty: the call is cut off there, and the default branch is not tried",
            [doc(node("fax_detect", {}, ON_FAX={}, _=RING))],
        ),
        (
            "E306",
            "if nobody answers, the call is cut off: User has no default branch",
            [doc(node("user", {"id": X}, USER_BUSY={}))],
        ),
        (
            "B401",
            "menu never takes the child '1#': # ends what the caller enters",
            [doc(node("menu", {"id": X}, **{"1#": RING, "1": RING, "_": HANGUP}))],
        ),
        (
            "B401",
            "branch_bnumber never takes the child '2': with hunt, the server looks for a callflow instead",
            [doc(node("branch_bnumber", {"hunt": True}, **{"2": RING, "_": HANGUP}))],
        ),
        (
            "M704",
            "member 11111111 never rings: the server fails on members that are not objects",
            [doc(node("group", {"endpoints": [X]}, _=HANGUP))],
        ),
        (
            "M704",
            "member 11111111 never rings: the server ignores members that are not in an array",
            [doc(node("page_group", {"endpoints": {X: {"type": "user"}}}, _=HANGUP))],
        ),
        (
            "B401",
            "nomorobo never takes the child '50': scores are 0 to 10",
            [doc(node("nomorobo", {}, **{"50": RING, "7": RING, "_": HANGUP}))],
        ),
        (
            "M704",
            "member 22222222 never rings: the members before it take 20 s, but the group rings for only 20 s",
            [doc(node("ring_group", {"strategy": "single", "endpoints": [LOGGED_OUT, {"id": X}, {"id": Y}]}, _=RING))],
        ),
        (
            "R103",
            "user refers to an account, not to a user: 11111111",
            [doc(node("user", {"id": X}, _=HANGUP), metadata={X: {"pvt_type": "account"}})],
        ),
        (
            "B406",
            "the key 'long' is not a number of seconds: every call takes the default branch",
            [doc(node("acdc_wait_time", {"id": X}, long=HANGUP, _=HANGUP))],
        ),
        (
            "B406",
            "the key 'long' is not a number of seconds: the call is cut off, because there is no default branch",
            [doc(node("acdc_wait_time", {"id": X}, long=HANGUP))],
        ),
        ("R102", "menu has no id: the module does not work", [doc(node("menu", {}, _=HANGUP))]),
        (
            "E302",
            "check_cid has no child for other callers and no default branch: the call is cut off",
            [doc(node("check_cid", {"use_absolute_mode": True, "regex": "^1"}, nomatch=RING))],
        ),
        (
            "M704",
            "member 11111111 never rings: its delay is 25 s, but the group rings for only 20 s",
            [doc(node("ring_group", {"endpoints": [{"id": X, "delay": 25}]}, _=HANGUP))],
        ),
        ("M702", "user is switched off: the call continues after it without ringing anybody", [doc(OFF)]),
        (
            "M702",
            "user is switched off: nothing follows it, and the call is cut off without ringing anybody",
            [doc(node("user", {"id": X, "skip_module": True}))],
        ),
        (
            "M705",
            "member 11111111 is in the group more than once",
            [doc(node("page_group", {"endpoints": [{"id": X}] * 3}, _=HANGUP))],
        ),
        (
            "P604",
            r"pattern ^\+?([0-9]+)$ takes every number: no number is left for B (no_match)",
            [doc(patterns=[r"^\+?([0-9]+)$"]), with_("no_match")],
        ),
        (
            "P604",
            r"patterns ^\+([0-9]+)$, ^([0-9]+)$ together take every number: no number is left for B (no_match)",
            [doc(patterns=TAKE_ALL), with_("no_match")],
        ),
        (
            "S803",
            "voice_url begins with http:// and has no valid host",
            [doc(node("pivot", {"voice_url": "http://[v"}, _=HANGUP))],
        ),
    ],
)
def test_the_message_fits_the_fault(code: str, message: str, documents: list[Json]) -> None:
    assert [each.message for each in check(*documents) if each.code == code] == [message]


def test_every_rule_is_tried_both_ways() -> None:
    assert {case[0] for case in FIRES} == set(RULES)
    assert {case[0] for case in SILENT} == set(RULES)
    for code, rule in RULES.items():
        severities = {severity for each, severity, *_ in FIRES if each == code}
        assert severities == {rule.severity, rule.milder or rule.severity}, code


def test_a_sound_account_has_no_findings() -> None:
    menu = node(
        "menu",
        {"id": Y},
        **{"1": node("device", {"id": Y}, _=VOICEMAIL), "2": jump(B), "timeout": jump(B), "_": HANGUP},
    )
    metadata = {X: {"pvt_type": "vmbox"}, Y: {"pvt_type": "menu"}, B: {"pvt_type": "callflow"}}
    sound = doc(menu, metadata=metadata)
    assert [each.code for each in check(sound, with_("2000"))] == ["R103"]  # a menu's id in a device
    menu["children"]["1"] = VOICEMAIL
    assert check(sound, with_("2000")) == []


def test_a_part_of_an_account_is_not_judged_as_a_whole() -> None:
    lonely = doc(jump(B), numbers=["Reception"], featurecode=None)
    assert {each.code for each in check(lonely)} == {"J201", "N502"}
    assert not check(lonely, complete=False)


@pytest.mark.parametrize(("given", "codes"), [(True, {"R101"}), (False, set()), ("auto", set())])
def test_what_lacking_metadata_means(given: Any, codes: set[str]) -> None:
    assert {each.code for each in check(doc(RING), metadata_complete=given)} == codes
    assert {each.code for each in check(doc(node("user", {"id": X}, _=HANGUP), metadata=known(y="user")))} == {"R101"}


def test_the_preflow() -> None:
    assert not check(doc(numbers=["Preflow"]), with_("1"), preflow_id=A)
    (found,) = check(doc(), preflow_id=B)
    assert (found.code, found.callflow_id, found.path) == ("J201", B, "")


def test_a_callflow_that_the_server_knows_but_the_account_has_not() -> None:
    (found,) = check(doc(jump(X), metadata=known(x="callflow")))
    assert found.code == "J201"
    assert not check(doc(jump(X), metadata=known(x="callflow")), complete=False)


def test_a_url_that_cannot_be_read() -> None:
    found = check(doc(node("pivot", {"voice_url": "http://[h/?token=x"}, _=HANGUP)))
    assert [each.code for each in found] == ["S803"]


def test_select_and_ignore() -> None:
    document = doc(node("disa", {}, _=node("user", {})), patterns=["^+1"])
    assert {each.code for each in check(document)} == {"S802", "R102", "E306", "P601"}
    assert {each.code for each in check(document, select=["R", "S80"])} == {"R102", "S802"}
    assert {each.code for each in check(document, ignore=["R102", "P"])} == {"S802", "E306"}
    assert {each.code for each in check(document, select=["P601", "E"], ignore=["E3"])} == {"P601"}
    with pytest.raises(ConfigurationError, match="no code begins with 'Q'"):
        check(document, select=["Q"])
    with pytest.raises(ConfigurationError, match="take a list of codes"):
        check(document, ignore="R1")


def test_hints_name_what_was_meant() -> None:
    (found,) = [
        each for each in check(doc(node("user", {"id": X}, **{"486": HANGUP, "_": HANGUP}))) if each.code == "B401"
    ]
    assert found.message == "user never takes the child '486'; did you mean 'sip:486'?"
    (found,) = [each for each in check(doc(node("fax_detect", {}, on_fax=HANGUP, _=HANGUP))) if each.code == "B401"]
    assert found.message.endswith("did you mean 'ON_FAX'?")


def test_a_child_that_is_never_taken_hides_all_but_references_and_secrets() -> None:
    dead = node("hangup", {}, _=node("temporal_route", {"password": "t0psecret"}, **{Y: node("user", {})}))
    found = check(doc(dead, metadata=known(x="user")))
    assert {each.code for each in found} == {"B401", "R101", "R102", "S801"}


def test_hostile_documents_are_judged_without_a_failure() -> None:
    values: list[Any] = [None, True, 5, 5.5, "x", [], [None, 5], {}, {"id": 5}, [{"id": {}}], [["x"]]]
    for module in (
        "ring_group",
        "temporal_route",
        "menu",
        "missed_call_alert",
        "check_cid",
        "conference",
        "user",
        "branch_bnumber",
    ):
        for value in values:
            data = dict.fromkeys(
                [
                    "id",
                    "endpoints",
                    "rules",
                    "rule_set",
                    "recipients",
                    "timeout",
                    "strategy",
                    "action",
                    "skip_module",
                    "welcome_prompt",
                    "regex",
                    "hunt",
                    "use_absolute_mode",
                ],
                value,
            )
            for callflow in (
                doc(node(module, data, **{"": HANGUP, "1": {}, "_": HANGUP})),
                doc(node(module, data), metadata={X: value}),
            ):
                check({**callflow, "owner_id": value, "type": value})


def test_deep_flows_and_many_jumps() -> None:
    flow = HANGUP
    for _ in range(3000):
        flow = node("user", {"id": X}, _=flow)
    assert not check(doc(flow))
    chain = [doc(jump(f"{at + 1:032x}"), each=f"{at:032x}", numbers=[str(at)]) for at in range(3000)]
    found = check(*chain, doc(jump("0" * 32), each=f"{3000:032x}", numbers=["3000"]))
    assert [each.code for each in found] == ["J202"]
    assert len(found[0].related) == 3001
