"""Which callflow a number reaches, beside a plain re-implementation of the server's loop."""

import re
import subprocess
import sys
import time

import pcre2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vinix_async import Callflow, ConfigurationError, structure
from vinix_async.flows import Rival, Route, lookup, normalize

A, B, C = "a" * 32, "b" * 32, "c" * 32


def account(**documents: list[str]) -> list[Callflow]:
    """Callflows by id; what begins as a pattern does is one."""
    return [
        structure(
            {
                "id": each * 32,
                "numbers": [entry for entry in entries if not re.match(r"[\^(\[]|\\", entry)],
                "patterns": [entry for entry in entries if re.match(r"[\^(\[]|\\", entry)],
            },
            Callflow,
        )
        for each, entries in documents.items()
    ]


CASES: dict[str, tuple[list[Callflow], str, str | None, str, str, str]] = {
    "a number": (account(a=["2000"], b=["^2"]), "2000", A, "number", "2000", ""),
    "the lowest id has a number twice": (account(b=["2000"], a=["2000"]), "2000", A, "number", "2000", ""),
    "a number as carriers send it": (account(a=["+12125550123"]), "2125550123", A, "number", "+12125550123", ""),
    "the same with a one": (account(a=["+12125550123"]), "12125550123", A, "number", "+12125550123", ""),
    "an international prefix": (account(a=["+442071234567"]), "011442071234567", A, "number", "+442071234567", ""),
    "seven digits stay": (account(a=["5551234"]), "5551234", A, "number", "5551234", ""),
    "eight digits become international": (account(a=["55512345"]), "55512345", None, "none", "", ""),
    "dashes are not removed": (account(a=["+12125550123"]), "212-555-0123", None, "none", "", ""),
    "a whole match without groups": (account(a=[r"^\*97$"]), "*97", A, "pattern", r"^\*97$", "*97"),
    "a group": (account(a=[r"^\*7([0-9]*)$"]), "*712", A, "pattern", r"^\*7([0-9]*)$", "12"),
    "the longest group wins": (
        account(a=[r"^\*72([0-9]*)$"], b=[r"^\*7([0-9]*)$"]),
        "*72",
        B,
        "pattern",
        r"^\*7([0-9]*)$",
        "2",
    ),
    "whole matches beat groups": (account(a=["^55"], b=["^5(51)"]), "5512", A, "pattern", "^55", "55"),
    "the longest of several groups": (
        account(a=[r"^(\d)(\d\d)(\d)$"]),
        "1234",
        A,
        "pattern",
        r"^(\d)(\d\d)(\d)$",
        "23",
    ),
    "unanchored": (account(a=["(55)"]), "1255", A, "pattern", "(55)", "55"),
    "an invalid pattern is skipped": (
        account(a=[r"^+33(\d{9})$", "no_match"]),
        "33123456789",
        A,
        "no_match",
        "no_match",
        "",
    ),
    "no groups are set": (account(a=[r"^\*5([0-9])?$"]), "*5", None, "crash", r"^\*5([0-9])?$", ""),
    "an empty group is set": (account(a=[r"^\*5([0-9]*)$"]), "*5", A, "pattern", r"^\*5([0-9]*)$", ""),
    "all other numbers": (account(a=["no_match"]), "4444", A, "no_match", "no_match", ""),
    "a lone plus sign": (account(a=["no_match"]), "+", A, "no_match", "no_match", ""),
    "stars never reach it": (account(a=["no_match"]), "*4444", None, "none", "", ""),
    "letters neither": (account(a=["no_match"]), "ann", None, "none", "", ""),
    "nothing is dialled": (account(a=["no_match", ""], b=["^"]), "", None, "none", "", ""),
    "nothing has it": (account(a=["2000"]), "3000", None, "none", "", ""),
    "one pattern in two documents": (account(a=["^7$"], b=["^7$"]), "7", B, "pattern", "^7$", "7"),
    "a tie goes to the last row of the view": (account(a=["^7"], b=["^[7]"]), "7", A, "pattern", "^7", "7"),
    "letters sort after digits": (account(a=["^70|x"], b=["^70|9"]), "70", A, "pattern", "^70|x", "70"),
    "the name no_match itself": (account(a=["^no"]), "no_match", None, "none", "", ""),
    "named groups": (account(a=["^8(?<box>[0-9]+)$"]), "812", A, "pattern", "^8(?<box>[0-9]+)$", "12"),
    "POSIX classes": (account(a=["^([[:digit:]]+)$"]), "812", A, "pattern", "^([[:digit:]]+)$", "812"),
    "a final newline": (account(a=["^12$"]), "12\n", A, "pattern", "^12$", "12"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_route_of_a_call_from_a_phone(name: str) -> None:
    callflows, dialled, callflow_id, how, by, capture = CASES[name]
    route = lookup(callflows, dialled, caller="phone")
    assert (route.callflow_id, route.how, route.by, route.capture) == (callflow_id, how, by, capture)
    assert lookup(reversed(callflows), dialled, caller="phone") == route


@pytest.mark.parametrize(
    ("entries", "dialled", "by"),
    [
        (["no_match"], "4444", "no_match"),
        (["no_match", "+15551234567"], "+15551234567", "+15551234567"),
        (["no_match", r"^\*7"], "*7", r"^\*7"),
    ],
)
def test_a_callflow_with_no_match_refuses_calls_from_outside(entries: list[str], dialled: str, by: str) -> None:
    route = lookup(account(a=entries, b=["2000"]), dialled)
    assert (route.callflow_id, route.how, route.by) == (A, "refused", by)
    assert lookup(account(a=entries), dialled, caller="phone").how != "refused"
    assert lookup(account(a=entries, b=["2000"]), "2000").how == "number"


def test_rivals_and_ties() -> None:
    callflows = account(a=[r"^7([0-9])", r"^7"], b=[r"^71"], c=["^([0-9][0-9])$"])
    route = lookup(callflows, "71")
    rivals = (Rival(A, "^7([0-9])", "1"), Rival(A, "^7", "7"), Rival(C, "^([0-9][0-9])$", "71"))
    assert route == Route(B, "pattern", "^71", "71", rivals)
    assert route.is_tie
    assert not lookup(callflows, "712").is_tie


@pytest.mark.parametrize(
    ("dialled", "normal"),
    [
        ("2125550123", "+12125550123"),
        ("+12125550123", "+12125550123"),
        ("1125550123", "1125550123"),
        ("0044207123456", "+44207123456"),
        ("+442071234567", "+442071234567"),
        ("*2125550123", "*2125550123"),
        ("2000", "2000"),
        ("", ""),
    ],
)
def test_default_converters(dialled: str, normal: str) -> None:
    assert normalize(dialled) == normal


def test_an_unknown_caller_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="caller must be"):
        lookup([], "1", caller="carrier")  # type: ignore[arg-type]


# The server's loop, written again from cf_flow.erl: all rows, last first, and each pattern is tried.

COLLATION = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz"


def servers_loop(callflows: list[Callflow], number: str) -> tuple[str | None, str]:
    by_number = sorted(each.id for each in callflows if number in each.numbers)
    if by_number:
        return by_number[0], "number"
    view = sorted(
        ([COLLATION.index(letter) for letter in pattern], each.id, pattern)
        for each in callflows
        for pattern in each.patterns
    )
    best: tuple[bytes, str] | None = None
    for _, each, pattern in reversed(view):
        try:
            compiled = pcre2.compile(pattern.encode())
        except pcre2.PatternError:
            continue
        found = compiled.search(number.encode())
        if found is None:
            continue
        groups = [found.group(0)] if not compiled.groups else list(found.groups())
        while groups and groups[-1] is None:
            groups.pop()
        if not groups:
            return None, "crash"
        longest = sorted((group or b"" for group in groups), key=len, reverse=True)[0]  # noqa: FURB192  # as the server does
        if best is None or len(longest) > len(best[0]):
            best = longest, each
    if best:
        return best[1], "pattern"
    others = sorted(each.id for each in callflows if "no_match" in each.numbers)
    if others and re.fullmatch(r"\+?[0-9]*", number):
        return others[0], "no_match"
    return None, "none"


PARTS = st.sampled_from(
    [
        "1",
        "2",
        "12",
        r"\*",
        "[*]",
        "+",
        "*",
        "?",
        "{2}",
        "([0-9]*)",
        "(1)?",
        "(2|1)",
        "|",
        r"\d",
        ".",
        "[12]",
        "(",
        r"(\*)",
        "#",
        "$",
        "(?#1)",
        "a",
    ]
)
PATTERNS = st.builds(
    lambda start, parts, end: f"{start}{''.join(parts)}{end}",
    st.sampled_from(["^", "", "^("]),
    st.lists(PARTS, min_size=1, max_size=5),
    st.sampled_from(["$", "", ")$"]),
)
NUMBERS = st.text("12*+#a", min_size=1, max_size=5)
ENTRIES = st.tuples(st.lists(NUMBERS | st.just("no_match"), max_size=2), st.lists(PATTERNS, max_size=4))


@settings(max_examples=4 * settings().max_examples)
@given(entries=st.lists(ENTRIES, max_size=6), dialled=st.lists(NUMBERS, min_size=1, max_size=6))
def test_lookup_agrees_with_the_servers_loop(entries: list[tuple[list[str], list[str]]], dialled: list[str]) -> None:
    callflows = [
        structure({"id": f"{position:032x}", "numbers": numbers, "patterns": patterns}, Callflow)
        for position, (numbers, patterns) in enumerate(entries)
    ]
    for number in dialled:
        route = lookup(callflows, number, caller="phone")
        assert (route.callflow_id, route.how) == servers_loop(callflows, number), number


EVIL = [
    r"^(1?){60}1{60}$",
    r"^(1+)+[2-9]?$#",
    r"^(?:1|11)*(?:1|11)*(?:1|11)*(?:1|11)*[^1]",
    r"^(([0-9])+)+[#]",
    r"(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)[^1]",
    r"((1(?2)?)*)*[^1]",
    r"^(?:(?=(1*))\1?)*[^1]",
    r"(1{0,500}){0,500}[^1]",
    r"1{0,65535}1{0,65535}1{0,65535}[^1]",
    r"^(?:(1)|(11)|(?R)){30,}[^1]",
    "(" * 5000 + ")" * 5000,
    r"(?<=(1|11)+)x",
    "(*LIMIT_MATCH=999999999)^(1?){60}1{60}$",
]


@pytest.mark.parametrize("pattern", EVIL, ids=lambda pattern: pattern[:24])
def test_no_pattern_stops_the_process(pattern: str) -> None:
    callflows = [structure({"id": A, "patterns": [pattern]}, Callflow), *account(b=["no_match"])]
    start = time.thread_time()
    route = lookup(callflows, "1" * 60, caller="phone")
    assert time.thread_time() - start < 0.5
    assert route.how in {"no_match", "pattern"}


def test_strange_characters_in_patterns_and_numbers() -> None:
    callflows = [structure({"id": A, "patterns": ["^é(.)", "^\x00", "^\ud800"]}, Callflow)]
    assert lookup(callflows, "éé", caller="phone").capture == "�"  # a dot is one byte
    assert lookup(callflows, "\x00").callflow_id == A
    assert lookup(callflows, "\ud800").callflow_id == A


def test_without_the_extra_only_patterns_need_it() -> None:
    code = """
import sys
sys.modules["pcre2"] = None
from vinix_async import Callflow
from vinix_async.flows import lookup
assert lookup([Callflow(id="a", numbers=("1",))], "1").callflow_id == "a"
try:
    lookup([Callflow(id="a", patterns=("^2",))], "2")
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603  # ours
    assert done.stdout == "to match patterns of callflows, install the extra flows: pip install 'vinix-async[flows]'\n"
