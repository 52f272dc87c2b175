"""``vinix callflows trace``, ``uses``, ``check`` and ``diff``, on export files and on accounts."""

import gzip
import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_support import Command, served, variables
from flows import node

from vinix_async import Account, Callflow, structure, to_dict
from vinix_async.cli.annotations import github
from vinix_async.cli.diff import change_lines, change_rows, pair_accounts
from vinix_async.cli.exit_codes import UsageError
from vinix_async.cli.files import is_file
from vinix_async.cli.sources import AccountFlows, parse_export
from vinix_async.cli.trace import find_start
from vinix_async.sandbox import Sandbox

Json = dict[str, Any]
DATA = Path(__file__).parent / "data"
ANN, BOX, HOURS, MAIN, SALES, GONE = (letter * 32 for letter in "123abf")
ONE, TWO = "8" * 32, "9" * 32
METADATA = {
    ANN: {"name": "Ann Ash", "pvt_type": "user"},
    BOX: {"name": "Ann Ash", "pvt_type": "vmbox"},
    HOURS: {"name": "Office hours", "pvt_type": "temporal_rule"},
}
RING = node("user", {"id": ANN, "timeout": 20}, _=node("voicemail", {"id": BOX}))


def document(flow: Json | None, each: str = MAIN, **fields: Any) -> Json:
    return {"id": each, "name": "Main", "numbers": ["2000"], "flow": flow, "metadata": METADATA, **fields}


MAIN_LINE = document(node("temporal_route", {"rules": [HOURS]}, **{HOURS: RING}), numbers=["2000", "+12125550100"])
SALES_LINE = document(
    node("ring_group", {"name": "Sales", "endpoints": [{"id": ANN, "endpoint_type": "user"}]}, **{"486": RING}),
    SALES,
    name="Sales",
    numbers=[],
    patterns=[r"^\*7([0-9]*)$"],
)


def lines(*documents: Json, account: str = ONE, name: str | None = "One") -> bytes:
    front = {"account_id": account, **({"account_name": name} if name else {})}
    return b"".join(json.dumps({**front, **each}).encode() + b"\n" for each in documents)


def flows(*documents: Json) -> AccountFlows:
    return AccountFlows(Account(id=ONE), [structure(each, Callflow) for each in documents])


@pytest.fixture
def vinix(tmp_path: Path) -> Command:
    (tmp_path / "a.ndjson").write_bytes(lines(MAIN_LINE, SALES_LINE))
    (tmp_path / "both.ndjson").write_bytes(lines(MAIN_LINE, SALES_LINE) + lines(MAIN_LINE, account=TWO, name="Two"))
    (tmp_path / "noted.ndjson").write_bytes(lines(document(node("temporal_route", {}, _=RING))))
    return Command(tmp_path)


# --- export files ---


def test_an_export_is_read_by_account_with_its_lines() -> None:
    text = b"\xef\xbb\xbf" + lines(MAIN_LINE) + b"\n" + lines(SALES_LINE, account=TWO, name=None) + lines(SALES_LINE)
    one, two = parse_export(text.splitlines(keepends=True), "x.ndjson")
    assert (one.account, two.account) == (Account(id=ONE, name="One"), Account(id=TWO))
    assert one.lines == {MAIN: 1, SALES: 4}
    assert two.lines == {SALES: 3}
    assert [to_dict(each) for each in one.callflows] == [MAIN_LINE, SALES_LINE]
    assert to_dict(parse_export([json.dumps(MAIN_LINE).encode()], "x")[0].callflows[0]) == MAIN_LINE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "x:1: the file has no callflows"),
        (b"\n\n", "x:1: the file has no callflows"),
        (lines(MAIN_LINE) + b'{"id":"b', "x:2: the last line is not valid JSON: the export may be incomplete"),
        (b"a;b;c\n", "x:1: the line is not a JSON object"),
        (b"[\n", "x:1: the line is not a JSON object"),
        (b"[]\n", "x:1: $: expected object, got array"),
        (b"{},{}\n", "x:1: the line has more than one JSON value"),
        (b"[" * 30_000 + b"]" * 30_000, "x:1: the line is nested too deeply"),
        (b"\xff\xfe{\x00\n", "x:1: the line is not a JSON object"),
        (lines({"id": "a", "name": "An account", "realm": "a.example"}), "x:1: the object is not a callflow"),
        (lines(MAIN_LINE, {"id": "b", "numbers": 5}), "x:2: $.numbers: expected array, got int"),
        (
            b'{"account_id":5,"id":"a","numbers":[]}',
            "x:1: account_id must be a string, and account_name a string or null",
        ),
    ],
)
def test_a_file_that_is_not_an_export_is_an_error_with_its_line(text: bytes, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_export(text.splitlines(keepends=True), "x")
    assert str(caught.value) == message


def test_compressed_files(vinix: Command) -> None:
    packed = gzip.compress(lines(MAIN_LINE)) + gzip.compress(lines(SALES_LINE))
    (vinix.home / "a.gz").write_bytes(packed)
    (vinix.home / "renamed").write_bytes(packed)
    (vinix.home / "cut.gz").write_bytes(packed[:-20])
    for name in ("a.gz", "renamed"):
        assert vinix("callflows", "check", name).stdout == vinix("callflows", "check", "a.ndjson").stdout
    cut = vinix("callflows", "check", "cut.gz")
    assert (cut.returncode, cut.stdout) == (2, "")
    assert cut.stderr == "vinix: cut.gz:2: the compressed data is damaged or cut off\n"


def test_which_arguments_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").touch()
    Path("folder").mkdir()
    names = ["there", "folder", "none", "none.ndjson", "none.JSONL", "none.gz", "ROOT", ONE]
    assert [name for name in names if is_file(name)] == ["there", "none.ndjson", "none.JSONL", "none.gz"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("check none.gz", "cannot read none.gz: No such file or directory"),
        (
            "trace both.ndjson 2000",
            "both.ndjson has 2 accounts: choose one of these by its id with --account\n  8{32}  One",
        ),
        ("uses both.ndjson x", "both.ndjson has 2 accounts: choose one"),
        ("check both.ndjson --account 3", "both.ndjson has no account '3': choose one of these by its id"),
        (
            "uses twins.ndjson --account Twin x",
            "twins.ndjson has 2 accounts named 'Twin': choose one of these by its id",
        ),
        ("check --account One --sandbox", "--account selects an account of an export file"),
        ("diff ROOT ROOT --account One --sandbox", "--account selects an account of an export file"),
        ("check summary.ndjson", "summary.ndjson:1: the callflow was exported without its flow"),
        ("trace summary.ndjson 2000", "summary.ndjson:1: the callflow was exported without its flow"),
        ("uses summary.ndjson x", "summary.ndjson:1: the callflow was exported without its flow"),
        ("trace 2000 a.ndjson", "the file comes first: vinix callflows trace a.ndjson 2000"),
        ("show 2000 a.ndjson", "the file comes first: vinix callflows show a.ndjson 2000"),
        ("uses A'B a.ndjson", """the file comes first: vinix callflows uses a.ndjson 'A'"'"'B'"""),
        ("uses a.ndjson both.ndjson", "the last argument must be the name, id or number"),
        ("uses", "the last argument must be the name, id or number"),
        ("uses ROOT", "the last argument must be the name, id or number"),
        ("uses a.ndjson", "the last argument must be the name, id or number"),
        ("check a.ndjson --select R,E31", "no code begins with 'E31'; similar codes are E301"),
        ("check a.ndjson --ignore Q", "no code begins with 'Q'; the codes are R101"),
        ("check --explain Q", "no code begins with 'Q'; the codes are R101"),
        (
            "list a.ndjson",
            "a.ndjson is a file, but `vinix callflows list` reads accounts; `vinix callflows trace a.ndjson` lists",
        ),
        ("show both.ndjson 2000", "both.ndjson has 2 accounts: choose one of these by its id with --account"),
        ("show a.ndjson a", "'a' matches several callflows; give the id of one of them:\n  a{32}  Main  2000, "),
        ("show ROOT 2000 --account One", "--account selects an account of an export file"),
        ("check ROOT --output github", "--output github checks only export files, not accounts"),
        ("check a.ndjson --all --output github", "--output github checks only export files, not accounts"),
        ("check a.ndjson --fail-on note", "--fail-on must be one of error, warning, info, never, not 'note'"),
        ("trace a.ndjson 2000 --assume never", "no step has the branch 'never'; the branches are: Office hours, "),
        ("trace a.ndjson a", "'a' matches several callflows; give the id of one of them:\n  a{32}  Main  2000, "),
    ],
)
def test_wrong_arguments(vinix: Command, command: str, message: str) -> None:
    row = {"id": MAIN, "numbers": [], "modules": ["user"]}
    (vinix.home / "summary.ndjson").write_bytes(lines(row))
    (vinix.home / "twins.ndjson").write_bytes(lines(row, name="Twin") + lines(row, account=TWO, name="Twin"))
    done = vinix("callflows", *command.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert re.match(f"vinix: {message}", done.stderr), done.stderr


@pytest.mark.parametrize("command", ["trace", "uses", "check", "diff"])
def test_help_has_an_example(vinix: Command, command: str) -> None:
    shown = vinix("callflows", command, "--help").stdout
    assert f"Example: vinix callflows {command} " in shown
    assert len(re.findall(r"OLD|\[?ACCOUNT\|FILE\]?", shown)) == 2  # the usage, and the box of the arguments


@pytest.mark.parametrize("command", ["callflows list", "callflows export", "report", "mirror refresh"])
def test_usage_names_the_accounts(vinix: Command, command: str) -> None:
    shown = vinix(*command.split(), "--help").stdout
    assert shown.startswith(f"Usage: vinix {command} [OPTIONS] [ACCOUNT]...\n")
    assert "│ ACCOUNT  Account ids, " in shown


def test_uses_looks_for_its_last_argument_even_if_a_file_has_that_name(vinix: Command) -> None:
    (vinix.home / "2000").touch()
    done = vinix("callflows", "uses", "a.ndjson", "2000")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("2000 is used nowhere")
    assert "was taken as" not in done.stderr


def test_uses_says_that_a_file_alone_was_taken_as_what_to_search_for(vinix: Command) -> None:
    (vinix.home / "export").write_bytes((vinix.home / "a.ndjson").read_bytes())
    done = vinix("callflows", "uses", "export", "--sandbox")
    assert (done.returncode, done.stdout) == (5, "")
    nowhere = "export was taken as the argument WHAT. To search in the file export, add WHAT after it."
    assert done.stderr.splitlines()[-1] == nowhere


def test_ctrl_c_says_so(vinix: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vinix_async.cli.check.findings", interrupted)
    done = vinix("callflows", "check", "a.ndjson")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


# --- trace ---


def test_trace_draws_the_tree(vinix: Command) -> None:
    done = vinix("callflows", "trace", "a.ndjson", "(212) 555-0100")
    assert done.stderr == ""
    assert done.stdout == (
        "+12125550100 is a number of Main\n"
        "Time of Day\n"
        "├─ Office hours: User Ann Ash (20 s)\n"
        "│  └─ no answer or busy: Voicemail Ann Ash\n"
        "└─ other times: the call is cut off\n"
    )
    pruned = vinix("callflows", "trace", "both.ndjson", "main", "--account", "Two", "--assume", "OTHER TIMES")
    assert pruned.stdout == "Main  2000, +12125550100\nTime of Day\n└─ other times: the call is cut off\n"


def test_trace_where_stdout_is_ascii(vinix: Command) -> None:
    done = vinix.forked("callflows", "trace", "a.ndjson", "2000", PYTHONIOENCODING="ascii")
    assert done.stdout.splitlines()[2:4] == [
        "+- Office hours: User Ann Ash (20 s)",
        "|  `- no answer or busy: Voicemail Ann Ash",
    ]


def test_trace_without_a_number_lists_the_callflows(vinix: Command) -> None:
    assert vinix("callflows", "trace", "a.ndjson").stdout == "Main  2000, +12125550100\nSales  ^\\*7([0-9]*)$\n"
    first, _ = json.loads(vinix("callflows", "trace", "a.ndjson", "--output", "json").stdout)
    assert (first["callflow_id"], first["numbers"]) == (MAIN, ["2000", "+12125550100"])


def test_trace_for_programs(vinix: Command) -> None:
    found = json.loads(vinix("callflows", "trace", "a.ndjson", "2000", "--output", "json").stdout)
    assert found.keys() == {"account_id", "dialled", "route", "callflow_id", "trace"}
    assert found["route"]["how"] == "number"
    assert found["trace"]["children"][0]["words"] == ["Office hours"]
    named = json.loads(vinix("callflows", "trace", "a.ndjson", MAIN, "--output", "json").stdout)
    assert (named["route"], named["callflow_id"]) == (None, MAIN)
    nobody = vinix("callflows", "trace", "a.ndjson", "404", "--output", "json")
    assert (nobody.returncode, json.loads(nobody.stdout)["trace"]) == (5, None)
    chart = vinix("callflows", "trace", "a.ndjson", "2000", "--output", "mermaid").stdout
    assert chart.splitlines() == [
        "flowchart TD",
        '  n0(["2000 is a number of Main"])',
        '  n1["Time of Day"]',
        "  n0 --> n1",
        '  n2["User Ann Ash (20 s)"]',
        '  n1 -->|"Office hours"| n2',
        '  n3["Voicemail Ann Ash"]',
        '  n2 -->|"no answer or busy"| n3',
        '  n4["the call is cut off"]',
        '  n1 -->|"other times"| n4',
    ]


OTHERS = document(RING, "c" * 32, name="All others", numbers=["no_match"])
CRASH = document(RING, "d" * 32, name="Crash", numbers=[], patterns=[r"^\*5([0-9])?$"])
BOTH = document(RING, "f" * 31 + "0", name="Both", numbers=["8", "no_match"], patterns=["^6"])
STARRED = document(RING, "e" * 32, name="Starred", numbers=["24"], patterns=[r"^\*7[0-9]*$"])


@pytest.mark.parametrize(
    ("what", "caller", "start", "text"),
    [
        ("*72 2000", "phone", STARRED, r"*722000 matches ^\*7[0-9]*$ of Starred; ^\*7([0-9]*)$ of Sales also match"),
        ("**5", "outside", None, "nobody gets a call to **5: no callflow has this number or name, and no pattern"),
        (
            "*5",
            "phone",
            None,
            r"nobody gets a call to *5: the pattern ^\*5([0-9])?$ matches without setting any of its",
        ),
        (
            "99",
            "phone",
            OTHERS,
            "99 is not a number of the account: All others gets the calls to such numbers (no_match)",
        ),
        (
            "99",
            "outside",
            None,
            "nobody gets a call to 99: it is not a number of the account, and All others (no_match) accepts only calls",
        ),
        (
            "8",
            "outside",
            None,
            "nobody gets a call to 8: Both has this number and no_match, so it accepts only calls from phones",
        ),
        (
            "61",
            "outside",
            None,
            "nobody gets a call to 61: Both has the matching pattern ^6 and no_match, so it accepts only calls from",
        ),
        (
            "starry",
            "outside",
            None,
            "nobody gets a call to starry: no callflow has this number or name, and no",
        ),
        ("24", "outside", STARRED, "24, called from outside, is a number of Starred"),
        ("24", "phone", STARRED, "24 is a number of Starred"),
        ("2000", "outside", MAIN_LINE, "2000 is a number of Main"),
        ("starred", "outside", STARRED, r"Starred  24, ^\*7[0-9]*$"),
    ],
)
def test_who_gets_the_call(what: str, caller: Any, start: Json | None, text: str) -> None:
    account = flows(MAIN_LINE, SALES_LINE, OTHERS, CRASH, STARRED, BOTH)
    _, found, sentence = find_start(account, what, caller)
    assert found == (start and start["id"])
    assert sentence.plain.startswith(text)


def test_a_pattern_tells_what_it_captures() -> None:
    _, found, sentence = find_start(flows(SALES_LINE), "*72000", "outside")
    assert (found, sentence.plain) == (
        SALES,
        r"*72000, called from outside, matches ^\*7([0-9]*)$ of Sales; the captured part is 2000",
    )


def test_a_captured_mailbox(vinix: Command) -> None:
    direct = document(
        node("voicemail", {"action": "compose"}), SALES, name="Direct", numbers=[], patterns=["^[*]{2}(.+)"]
    )
    (vinix.home / "a.ndjson").write_bytes(lines(MAIN_LINE, direct))
    assert vinix("callflows", "trace", "a.ndjson", "**2000").stdout == (
        "**2000, called from outside, matches ^[*]{2}(.+) of Direct; the captured part is 2000 (a number of Main)\n"
        "Direct to Voicemail (mailbox 2000, if it exists)\n"
    )
    assert vinix("callflows", "trace", "a.ndjson", "Direct").stdout.endswith("\nDirect to Voicemail\n")


def test_a_number_of_two_callflows() -> None:
    account = flows(MAIN_LINE, document(RING, SALES, name="Sales", numbers=["2000", "2001"]))
    assert (
        find_start(account, "2000", "outside")[2].plain
        == "2000 is a number of Main; Sales also has this number, but gets no calls to it"
    )
    assert find_start(account, "Sales", "outside")[2].plain == "Sales  2000, 2001; calls to 2000 go to Main"
    assert find_start(account, SALES[:8], "outside")[1] == SALES


def test_a_number_without_its_country_code(vinix: Command) -> None:
    german = document(RING, numbers=["+493012345678", "12345678901"])
    (vinix.home / "g.ndjson").write_bytes(lines(german))
    for what in ("30 1234 5678", "030/12345678", "012345678"):
        for command in ("trace", "uses", "show"):
            said = vinix("callflows", command, "g.ndjson", what)
            assert said.returncode in {1, 5}
            assert "; did you mean +493012345678?" in said.stdout + said.stderr
    assert "did you mean" not in vinix("callflows", "trace", "g.ndjson", "45678").stdout
    (vinix.home / "g.ndjson").write_bytes(lines(german, document(RING, SALES, name="All others", numbers=["no_match"])))
    for caller in ("outside", "phone"):
        assert (
            "; did you mean +493012345678?"
            in vinix("callflows", "trace", "g.ndjson", "030 12345678", "--from", caller).stdout
        )


# --- uses ---


def test_uses_shows_each_place(vinix: Command) -> None:
    done = vinix("callflows", "uses", "a.ndjson", "ann ASH")
    assert done.returncode == 0
    assert done.stdout == (
        "Ann Ash (user) is used in 2 callflows (3 places)\n"
        "  Main   2000, +12125550100  Office hours: User Ann Ash\n"
        r"  Sales  ^\*7([0-9]*)$       start: Ring Group Sales, member 1" + "\n"
        r"  Sales  ^\*7([0-9]*)$       486: User Ann Ash (never taken)" + "\n"
        "Ann Ash (vmbox) is used in 2 callflows\n"
        "  Main   2000, +12125550100  Office hours, no answer or busy: Voicemail Ann Ash\n"
        r"  Sales  ^\*7([0-9]*)$       486, no answer or busy: Voicemail Ann Ash (never taken)" + "\n"
    )
    assert vinix("callflows", "uses", "a.ndjson", ANN[:8]).stdout == done.stdout.partition("Ann Ash (vmbox)")[0]
    rows = json.loads(vinix("callflows", "uses", "a.ndjson", BOX, "--output", "json").stdout)
    assert [(row["callflow_name"], row["place"], row["target_name"], row["kind"]) for row in rows] == [
        ("Main", "Office hours, no answer or busy", "Ann Ash", "vmbox"),
        ("Sales", "486, no answer or busy", "Ann Ash", "vmbox"),
    ]


def test_uses_and_trace_tell_who_never_rings(vinix: Command) -> None:
    off = node("user", {"id": ANN, "skip_module": "true"}, _=RING)
    one = {"id": ANN, "delay": 5}
    group = {"name": "All", "timeout": 20, "endpoints": [one, {"id": BOX, "delay": 20}]}
    out = {"id": ANN, "disable_until": 66269664000}
    turns = {"name": "Turns", "strategy": "single", "timeout": 30, "endpoints": [one, one, {"id": BOX}, out]}
    menu = node("menu", {"id": "m"}, **{"1": off, "2": node("group", group), "3": node("ring_group", turns)})
    (vinix.home / "a.ndjson").write_bytes(lines(document(menu, numbers=["+12125550100"])))
    rows = json.loads(vinix("callflows", "uses", "a.ndjson", "ann ash", "--output", "json").stdout)
    assert [(row["place"], row["used_by"], row["inactive"]) for row in rows] == [
        ("key 1", "User Ann Ash (switched off)", "switched off"),
        ("key 1, after User", "User Ann Ash", None),
        ("key 1, after User, no answer or busy", "Voicemail Ann Ash", None),
        ("key 2", "Group All, member 1, after 5 s", None),
        ("key 2", "Group All, member 2, after 20 s (never rings)", "never rings"),
        ("key 3", "Ring Group Turns, member 1", None),
        ("key 3", "Ring Group Turns, member 2", None),
        ("key 3", "Ring Group Turns, member 3 (never rings)", "never rings"),
        ("key 3", "Ring Group Turns, member 4 (logged out)", "logged out"),
    ]
    traced = vinix("callflows", "trace", "a.ndjson", "2125550100", COLUMNS="120").stdout
    assert "key 2: Group All (Ann Ash after 5 s, Ann Ash after 20 s (never rings); 20 s)\n" in traced
    turns_text = "Ann Ash, Ann Ash (never rings), Ann Ash (logged out); 30 s; one after the other"
    assert f"key 3: Ring Group Turns ({turns_text})\n" in traced
    page_group = document(node("page_group", group), numbers=[])
    (vinix.home / "a.ndjson").write_bytes(lines(page_group))
    assert "never" not in vinix("callflows", "uses", "a.ndjson", BOX).stdout


def test_uses_follows_jumps(vinix: Command) -> None:
    menu = node("menu", {"id": BOX}, **{"1": RING, "9": node("callflow", {"id": GONE})})
    hello = node("tts", {"text": "Hello"}, _=node("callflow", {"id": MAIN}))
    off = node("callflow", {"id": MAIN, "skip_module": True}, _=node("hangup"))
    (vinix.home / "a.ndjson").write_bytes(
        lines(
            document(menu, owner_id=ANN),
            document(hello, SALES, name="Hours", numbers=["1021"]),
            document(node("transfer", {"target": "1021"}), GONE, name="Far", numbers=[]),
            document(off, "e" * 32, name="Off", numbers=[]),
        )
    )
    done = vinix("callflows", "uses", "a.ndjson", ANN)
    assert done.stdout == (
        "Ann Ash (user) is used in 1 callflow (2 places), and reached by jumps from 2 more\n"
        "  Main   2000  the callflow's owner\n"
        "  Main   2000  key 1: User Ann Ash\n"
        "  Far          Transfer Hours, after TTS, Callflow Main, key 1: User Ann Ash\n"
        "  Hours  1021  after TTS, Callflow Main, key 1: User Ann Ash\n"
    )
    owner, ring = json.loads(vinix("callflows", "uses", "a.ndjson", ANN, "--output", "json").stdout)
    assert owner["reached_from"] == []
    assert ring["reached_from"] == [
        {"callflow_id": SALES, "callflow_name": "Hours", "numbers": ["1021"], "place": "after TTS, Callflow Main"},
        {
            "callflow_id": GONE,
            "callflow_name": "Far",
            "numbers": [],
            "place": "Transfer Hours, after TTS, Callflow Main",
        },
    ]
    many = [document(hello, f"{each:032x}", name=f"No {each}", numbers=[]) for each in range(100)]
    (vinix.home / "a.ndjson").write_bytes(lines(document(menu), *many))
    *_, last = vinix("callflows", "uses", "a.ndjson", ANN).stdout.splitlines()
    assert last == "  and 60 more ways by jumps (--output json shows all)"


@pytest.mark.parametrize(
    ("what", "hint"),
    [
        ("nothing at all", "{} is used nowhere"),
        ("", "{} is used nowhere"),
        ("Ann Ashe", "{} is used nowhere; similar names: 'Ann Ash'"),
        ("office", "{} is used nowhere; similar names: 'Office hours'"),
        ("+1 (212) 555-0100", "{} is used nowhere; it is a number of Main, to which nothing jumps"),
        ("*72000", r"{} is used nowhere; it matches ^\*7([0-9]*)$ of Sales, to which nothing jumps"),
        ("SALES", "Sales (callflow) exists, but nothing jumps to it"),
        (SALES[:8], "Sales (callflow) exists, but nothing jumps to it"),
        ("toll-free", "Toll-free (media) exists, but nothing uses it"),
    ],
)
def test_what_is_used_nowhere(vinix: Command, what: str, hint: str) -> None:
    told = {**METADATA, GONE: {"name": "Toll-free", "pvt_type": "media"}}
    (vinix.home / "a.ndjson").write_bytes(lines({**MAIN_LINE, "metadata": told}, SALES_LINE))
    done = vinix("callflows", "uses", "a.ndjson", what)
    assert (done.returncode, done.stdout, done.stderr) == (5, "", f"{hint.format(what)}\n")
    assert vinix("callflows", "uses", "a.ndjson", what, "--output", "json").stdout == "[]\n"


def test_a_number_that_matches_a_pattern_of_a_callflow_in_use(vinix: Command) -> None:
    jumping = document(node("callflow", {"id": SALES}))
    (vinix.home / "a.ndjson").write_bytes(lines(jumping, SALES_LINE))
    done = vinix("callflows", "uses", "a.ndjson", "*72000")
    assert done.returncode == 5
    assert done.stderr == "*72000 is used nowhere; it matches ^\\*7([0-9]*)$ of Sales\n"


def test_a_number_of_two_callflows_names_both(vinix: Command) -> None:
    both = [document(RING), document(RING, SALES, name="Sales")]
    (vinix.home / "a.ndjson").write_bytes(lines(*both))
    shared = "2000 is a number of Main; Sales also has this number, but gets no calls to it\n"
    nowhere = vinix("callflows", "uses", "a.ndjson", "2000")
    assert nowhere.returncode == 5
    assert nowhere.stderr == f"2000 is used nowhere: nothing jumps to the callflows that have this number; {shared}"
    jumping = document(node("callflow", {"id": SALES}), GONE, numbers=[])
    (vinix.home / "a.ndjson").write_bytes(lines(*both, jumping))
    found = vinix("callflows", "uses", "a.ndjson", "2000")
    assert (found.returncode, found.stderr) == (0, shared)


def test_a_number_stands_for_its_callflow_and_for_transfers(vinix: Command) -> None:
    jumping = document(node("callflow", {"id": MAIN}), SALES, name="sales", numbers=[])
    transfer = document(node("transfer", {"target": "+12125550100"}), GONE, numbers=[])
    (vinix.home / "a.ndjson").write_bytes(lines(MAIN_LINE, jumping, transfer))
    done = vinix("callflows", "uses", "a.ndjson", "212-555-0100", "--output", "json")
    assert [(row["callflow_id"], row["kind"]) for row in json.loads(done.stdout)] == [
        (GONE, "number"),  # Main
        (SALES, "callflow"),  # sales
    ]


# --- show ---


def test_show_reads_export_files(vinix: Command) -> None:
    shown = vinix("callflows", "show", "both.ndjson", "sales", "--account", "One")
    assert json.loads(shown.stdout) == SALES_LINE
    tree = vinix("callflows", "show", "a.ndjson", "2000", "--output", "tree").stdout
    assert "Office hours → User  Ann Ash · 20 s  user" in tree
    long = document(node("tts", {"text": "Hello " * 40}))
    (vinix.home / "long.ndjson").write_bytes(lines(long))
    wide = vinix("callflows", "show", "long.ndjson", "2000", "--output", "tree").stdout
    assert ("Hello " * 40).strip() in wide
    assert all(line == line.rstrip() for line in wide.splitlines())
    assert "…" in vinix.shown("callflows", "show", "long.ndjson", "2000", "--output", "tree")
    none = vinix("callflows", "show", "a.ndjson", "9")
    assert (none.returncode, none.stderr) == (
        1,
        f"vinix: no callflow of account {ONE} matches '9'; it has 2 callflows\n",
    )


# --- check ---


CHECKED = (
    "Main  2000, +12125550100\n"
    "  warning  E302  start  outside all time rules the call is cut off: there is no default branch\n"
    r"Sales  ^\*7([0-9]*)$" + "\n"
    "  warning  B401  start  ring_group never takes the child '486'; did you mean 'sip:486'?\n"
)


def test_check_shows_findings_below_their_callflows(vinix: Command) -> None:
    done = vinix("callflows", "check", "a.ndjson")
    assert (done.returncode, done.stderr) == (0, "")
    *found, summary = done.stdout.splitlines(keepends=True)
    assert "".join(found) == CHECKED
    assert summary == "2 warnings in 2 of 2 callflows\n"
    hidden = vinix("callflows", "check", "a.ndjson", "noted.ndjson").stdout
    assert hidden.endswith("\n2 warnings in 2 of 3 callflows; 1 note hidden (--notes)\n")
    chosen = vinix("callflows", "check", "a.ndjson", "--select", "e,b", "--ignore", "B4", "--ignore", "E306", "--notes")
    assert chosen.stdout == "".join(CHECKED.splitlines(keepends=True)[:2]) + "1 warning in 1 of 2 callflows\n"
    assert vinix("callflows", "check", "a.ndjson", "--select", "S").stdout == "nothing found in 2 callflows\n"
    both = vinix("callflows", "check", "both.ndjson").stdout
    assert f"\n One  {ONE}\n{CHECKED}\n Two  {TWO}\nMain" in both
    assert "3 warnings in 3 of 3 callflows" in both


def test_check_explains_codes(vinix: Command) -> None:
    done = vinix("callflows", "check", "--explain", "m703,N501")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "N501  error  Two callflows have the same number\n"
        "  The callflow with the lowest id gets all calls.\n"
        "  Source: Kazoo, applications/callflow/src/cf_flow.erl\n"
        "M703  warning  A group has no members\n"
        "  The group rings nobody.\n"
        "  Source: Kazoo, applications/callflow/src/module/cf_ring_group.erl, cf_page_group.erl\n"
    )


@pytest.mark.parametrize(("limit", "code"), [("error", 0), ("warning", 5), ("info", 5), ("never", 0)])
def test_from_which_severity_on_the_answer_is_no(vinix: Command, limit: str, code: int) -> None:
    assert vinix("callflows", "check", "a.ndjson", "--fail-on", limit).returncode == code
    only_notes = vinix("callflows", "check", "noted.ndjson", "--fail-on", limit)
    assert only_notes.returncode == (5 if limit == "info" else 0)


def test_a_terminal_shows_severities_in_colour(vinix: Command) -> None:
    assert "\x1b[33mwarning\x1b[0m" in vinix.shown("callflows", "check", "a.ndjson", TERM="xterm")
    assert "\x1b" not in vinix("callflows", "check", "a.ndjson", TERM="xterm").stdout


def test_github_annotations(vinix: Command) -> None:
    done = vinix("callflows", "check", "a.ndjson", "--output", "github", "--concurrency", "3")
    assert done.stdout == (
        "::warning file=a.ndjson,line=1,title=E302 Main::start: outside all time rules the call is cut off: there is no"
        " default branch\n"
        "::warning file=a.ndjson,line=2,title=B401 Sales::start: ring_group never takes the child '486'; did you mean"
        " 'sip:486'?\n"
    )
    assert done.stderr == "2 warnings in 2 of 2 callflows\n"
    noted = vinix("callflows", "check", "noted.ndjson", "--output", "github", "--notes").stdout
    assert noted.startswith("::notice file=noted.ndjson,line=1,title=B405 Main::start: no time rules")
    assert vinix("callflows", "check", "noted.ndjson", "--output", "github").stdout == ""
    row = {"file": "a,b:%.gz", "line": 3, "code": "E301", "severity": "error", "callflow_name": "A\r\n::b", "place": ""}
    assert list(github([row | {"message": "100%, now: \r\nover"}])) == [
        "::error file=a%2Cb%3A%25.gz,line=3,title=E301 A%0D%0A%3A%3Ab::100%25, now: %0D%0Aover\n"
    ]


def test_sarif_is_valid(vinix: Command) -> None:
    import jsonschema  # noqa: PLC0415  # slow to import

    validator = jsonschema.Draft202012Validator(json.loads((DATA / "sarif-2.1.0.json").read_text()))
    (vinix.home / "with space.ndjson").write_bytes(lines(MAIN_LINE, SALES_LINE))
    absolute = str(vinix.home / "a.ndjson")
    relative, whole, account = (
        json.loads(vinix("callflows", "check", *words, "--output", "sarif", "--notes", "--fail-on", "never").stdout)
        for words in (["with space.ndjson"], [absolute], ["--all", "--sandbox", "--sandbox-findings"])
    )
    for log in (relative, whole, account):
        validator.validate(log)
    assert not validator.is_valid({**relative, "version": "2.0.0"})
    first = relative["runs"][0]["results"][0]
    assert first["locations"] == [
        {
            "logicalLocations": [{"fullyQualifiedName": f"{ONE}/{MAIN}/flow", "name": "Main"}],
            "physicalLocation": {"artifactLocation": {"uri": "with%20space.ndjson"}, "region": {"startLine": 1}},
        }
    ]
    parts = json.dumps(["E302", ONE, MAIN, "/flow", []])
    assert first["partialFingerprints"] == {"finding/v1": hashlib.sha256(parts.encode()).hexdigest()}
    place = whole["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": f"file://{absolute}"}
    results = account["runs"][0]["results"]
    assert {each["level"] for each in results} == {"error", "warning", "note"}
    assert all("physicalLocation" not in each["locations"][0] for each in results)
    rules = account["runs"][0]["tool"]["driver"]["rules"]
    assert all(rules[each["ruleIndex"]]["id"] == each["ruleId"] for each in results)


def test_check_as_json_has_all_of_a_finding(vinix: Command) -> None:
    first, _ = json.loads(vinix("callflows", "check", "a.ndjson", "--output", "json").stdout)
    assert (
        first.items()
        >= {
            "account_id": ONE,
            "account_name": "One",
            "callflow_id": MAIN,
            "callflow_name": "Main",
            "numbers": ["2000", "+12125550100"],
            "place": "start",
            "path": "/flow",
            "file": "a.ndjson",
            "line": 1,
            "code": "E302",
            "severity": "warning",
        }.items()
    )
    assert first.keys() >= {"message", "related", "title", "explanation", "source"}


# --- diff ---


def test_diff_groups_changes_by_callflow(vinix: Command) -> None:
    main, sales = json.loads(json.dumps([MAIN_LINE, SALES_LINE]))
    main |= {"numbers": ["2000"], "name": "Main line"}
    main["flow"]["data"]["rules"] = []
    sales["numbers"] = ["+12125550100"]
    sales["flow"]["data"] |= {"timeout": 35, "pin": "planted-pin", "endpoints": []}
    extra = document(RING, GONE, name="Christmas", numbers=["2099"])
    (vinix.home / "b.ndjson").write_bytes(lines(extra, sales, main))
    done = vinix("callflows", "diff", "a.ndjson", "b.ndjson")
    assert (done.returncode, done.stderr) == (0, "7 differences in 3 callflows\n")
    assert done.stdout == (
        "+ Christmas  2099  User Ann Ash\n"
        r"~ Sales  now +12125550100, ^\*7([0-9]*)$" + "\n"
        "    ~ number +12125550100 came from Main line\n"
        "    - start: Ring Group Sales: member Ann Ash\n"
        "    ~ start: Ring Group Sales: timeout none -> 35\n"
        "    ~ start: Ring Group Sales: pin none -> (hidden)\n"
        "~ Main line  now 2000\n"
        "    ~ name Main -> Main line\n"
        '    ~ start: Time of Day: rules ["Office hours"] -> []\n'
    )
    back = vinix("callflows", "diff", "b.ndjson", "a.ndjson", "--exit-code", "--output", "json")
    assert back.returncode == 5
    rows = json.loads(back.stdout)
    assert "planted" not in back.stdout
    assert {row["kind"] for row in rows} == {"removed", "number_moved", "field", "data"}
    assert {row["text"] for row in rows} >= {"- Christmas: User Ann Ash", "~ name Main line -> Main"}
    assert [row["callflow_id"] for row in rows] == [GONE, MAIN, MAIN, MAIN, SALES, SALES, SALES]
    assert vinix.shown("callflows", "diff", "b.ndjson", "a.ndjson", TERM="xterm").startswith("\x1b[31m- ")


def test_diff_without_differences(vinix: Command) -> None:
    same = vinix("callflows", "diff", "a.ndjson", "a.ndjson", "--exit-code")
    assert (same.returncode, same.stdout, same.stderr) == (0, "", "no differences\n")
    one = vinix("callflows", "diff", "a.ndjson", "both.ndjson", "--account", ONE, "--exit-code")
    assert (one.returncode, one.stdout) == (0, "")
    assert vinix("callflows", "diff", "a.ndjson", "both.ndjson", "--account", "Two").returncode == 2


def test_diff_pairs_accounts() -> None:
    one, other = flows(MAIN_LINE), AccountFlows(Account(id=TWO), file="f")
    assert list(pair_accounts([one], [other])) == [(one, other)]
    third = AccountFlows(Account(id="3"), file="f")
    old = AccountFlows(Account(id=ONE), file="f")
    assert list(pair_accounts([old, other], [one])) == [(old, one)]  # one is an account of the API
    assert [(a.account.id, b.account.id) for a, b in pair_accounts([old, other], [third, old])] == [
        (ONE, ONE),
        (TWO, TWO),
        ("3", "3"),
    ]


def test_diff_leaves_out_what_could_not_be_read() -> None:
    old, new = flows(MAIN_LINE, SALES_LINE), flows()
    assert [row["kind"] for row in change_rows(old, new)] == ["removed", "removed"]
    new.unread = frozenset({MAIN})
    (row,) = change_rows(old, new)
    assert row["callflow_id"] == SALES
    (line,) = change_lines(old, new, [row])
    assert line.plain == r"- Sales  ^\*7([0-9]*)$  Ring Group Sales"


def test_secrets_are_hidden(vinix: Command) -> None:
    url = "https://u:planted-a@h.example/x?token=planted-b"
    flow = node("pivot", {"voice_url": url}, _=node("transfer", {"target": "sip:u:planted-c@h.example"}))
    (vinix.home / "s.ndjson").write_bytes(lines(document(flow)))
    (vinix.home / "t.ndjson").write_bytes(lines(document(node("webhook", {"uri": f"{url}2", "password": "planted-d"}))))
    commands = [
        *(["trace", "s.ndjson", "2000", "--output", each] for each in ("tree", "json", "mermaid")),
        *(["uses", "s.ndjson", url, "--output", each] for each in ("table", "json")),
        *(["check", "t.ndjson", "--notes", "--output", each] for each in ("table", "json", "github", "sarif")),
        *(["diff", "s.ndjson", "t.ndjson", "--output", each] for each in ("table", "json")),
    ]
    for arguments in commands:
        done = vinix("callflows", *arguments)
        assert done.returncode in {0, 5}, done.stderr
        assert "h.example" in done.stdout or "uri" in done.stdout
        assert "planted" not in done.stdout + done.stderr


def test_secrets_in_names_and_branches_are_hidden(vinix: Command) -> None:
    url = "https://u:planted@h.example/x"
    metadata = {ANN: {"name": f"Rule {url}", "pvt_type": "temporal_rule"}}
    old = node("temporal_route", {"id": "1"}, **{ANN: node("user", {"timeout": 5}), url: node("hangup")})
    new = node("temporal_route", {"id": "1"}, **{ANN: node("user", {"timeout": 9}), f"{url}2": node("hangup")})
    (vinix.home / "s.ndjson").write_bytes(lines(document(old, metadata=metadata, numbers=["2000", url])))
    (vinix.home / "t.ndjson").write_bytes(lines(document(new, metadata=metadata, numbers=["2000"])))
    for arguments in ("trace s.ndjson 2000", "check s.ndjson --notes", "diff s.ndjson t.ndjson"):
        done = vinix("callflows", *arguments.split())
        assert done.returncode in {0, 5}, done.stderr
        assert "Rule https://h.example/x" in done.stdout
        assert "planted" not in done.stdout + done.stderr


def test_a_number_is_not_suggested_for_itself(vinix: Command) -> None:
    (vinix.home / "n.ndjson").write_bytes(lines(document(RING, numbers=["2125550123"])))
    assert vinix("callflows", "uses", "n.ndjson", "2125550123").stderr == "2125550123 is used nowhere\n"


def state(start: int) -> bytes:
    """An export file in which all texts, also the keys of children, are URLs with secrets."""
    numbers = itertools.count(start)

    def url() -> str:
        return f"https://bob:planted{next(numbers)}@h.example/x{next(numbers) % 90}?token=planted{next(numbers)}"

    member = {"id": ANN, "endpoint_type": "user", url(): url(), "delay": start}
    branches: dict[str, Json] = {url(): RING, url(): {}, url(): node("answer")}
    group = {"name": url(), "strategy": url(), "ringback": url(), "endpoints": [member, member, {"id": url()}]}
    keys = {
        "1": node("transfer", {"target": url()}),
        "2": node(url(), {url(): url(), f"{url()}_id": ANN}, **{url(): RING}),
        "3": node("pivot", {"voice_url": url(), "action": url(), "headers": {url(): {url(): start}}}),
        "4": node("user", {"id": url(), "timeout": url(), "skip_module": True}, _=node("play", {"id": url()})),
        "5": node("page_group", {"endpoints": {url(): {"type": "user"}}}),
        "6": node("missed_call_alert", {"recipients": [{"type": "email", "id": url()}]}, **branches),
        "7": node("acdc_wait_time", {"id": ANN}, **branches),
        "8": node("callflow", {"id": url()}, **branches),
        url(): node("offnet", {"to_did": url()}, **branches),
    }
    flows = (
        node("branch_variable", {"variable": url(), url(): url()}, **branches, _=node("callflow", {"id": SALES})),
        node("ring_group", group, **branches),
        node("menu", {"id": HOURS}, **keys),
        node("temporal_route", {"rules": [url(), HOURS], "rule_set": url()}, **branches, rule_set=RING),
        node("cidlistmatch", {"password": url(), "id": url()}, **branches, match={}),
    )
    patterns = {url(): node("callflow", {"id": url()})}
    metadata = {each: {"name": url(), "pvt_type": url() if each == HOURS else "user"} for each in (ANN, BOX, HOURS)}
    documents = [
        document(flow, each, name=url(), numbers=[f"200{position}", url()], patterns=[url()], metadata=metadata)
        | {"type": url(), "flags": [url()], "featurecode": {"name": url(), "number": url()}, url(): {url(): url()}}
        | {"ringback": {"early": url()}, "metaflow": {"numbers": {url(): RING, "2": RING}, "patterns": patterns}}
        for position, (each, flow) in enumerate(zip((MAIN, SALES, GONE, ONE, f"{start:032}"), flows, strict=True))
    ]
    return lines(*documents, name=url())


def test_no_output_shows_a_secret_wherever_it_is(vinix: Command) -> None:
    (vinix.home / "s.ndjson").write_bytes(state(1))
    (vinix.home / "t.ndjson").write_bytes(state(1000))
    dialled = [f"200{number}" for number in range(5)]
    commands = [
        *(["trace", "s.ndjson", *what] for what in ([], *([each] for each in dialled), ["2000", "--assume", "x"])),
        *(["trace", "s.ndjson", each, "--output", output] for each in dialled for output in ("json", "mermaid")),
        *(
            ["uses", "s.ndjson", each, "--output", output]
            for each in (ANN, SALES, "2001")
            for output in ("table", "json")
        ),
        *(["check", "s.ndjson", "--notes", "--output", each] for each in ("table", "json", "github", "sarif")),
        *(["diff", "s.ndjson", "t.ndjson", "--output", each] for each in ("table", "json")),
        *(["show", "s.ndjson", each, "--output", output] for each in dialled for output in ("table", "tree", "html")),
        ["trace", "s.ndjson", "--output", "json"],
        ["trace", "s.ndjson", "2000", "--account", "none"],
        ["show", "s.ndjson", "h.example"],
    ]
    seen = []
    for arguments in commands:
        done = vinix("callflows", *arguments)
        assert "h.example" in done.stdout + done.stderr, arguments
        seen += [arguments] if "planted" in done.stdout + done.stderr else []
    assert seen == []


def test_keys_without_secrets_are_exact_in_paths(vinix: Command) -> None:
    keys = ["a/b", "a~b", "~1", "sip:486", "ann@h.example", "10:30", "https://h.example/x", "\u00e9 #", ""]
    secret = "https://u:planted@h.example/x"
    flow = node("branch_variable", {"variable": "v"}, **{key: node("play", {"x": key}) for key in (*keys, secret)})
    (vinix.home / "s.ndjson").write_bytes(lines(document(flow)))
    paths = [f"/flow/children/{key.replace('~', '~0').replace('/', '~1')}" for key in keys]
    paths.append("/flow/children/https:~1~1h.example~1x")
    rows = json.loads(vinix("callflows", "check", "s.ndjson", "--select", "R102", "--output", "json").stdout)
    assert [row["path"] for row in rows] == paths
    traced = json.loads(vinix("callflows", "trace", "s.ndjson", "2000", "--output", "json").stdout)["trace"]
    assert {step["path"] for step in traced["children"]} >= set(paths)


def test_names_do_not_reach_a_terminal_as_they_are(vinix: Command) -> None:
    evil = "\x1b[31m\u202eevil"
    flow = node("temporal_route", {"rules": [HOURS]}, **{HOURS: node("tts", {"text": evil}, _=RING)})
    metadata = {HOURS: {"name": evil, "pvt_type": "temporal_rule"}}
    same_number = document(flow, SALES, name=evil)
    (vinix.home / "e.ndjson").write_bytes(lines(document(flow, name=evil, metadata=metadata), same_number, name=evil))
    (vinix.home / "f.ndjson").write_bytes(lines(document(node("tts", {"text": f"{evil}!"}), name=evil)))
    for command in (
        "trace e.ndjson 2000",
        f"uses e.ndjson {HOURS}",
        f"uses e.ndjson {ANN}",
        "check e.ndjson",
        "diff e.ndjson f.ndjson",
    ):
        for output in ("table", "json", "github", "sarif", "mermaid", "tree"):
            seen = vinix.shown("callflows", *command.split(), "--output", output, NO_COLOR="1", TERM="dumb")
            assert "\x1b[31m" not in seen, (command, output)
            assert "\u202e" not in seen


# --- accounts ---


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with served(accounts=3, callflows=4) as running:
        yield running


def test_accounts_that_cannot_be_read_are_named(tmp_path: Path, sandbox: Sandbox) -> None:
    vinix = Command(tmp_path, **variables(sandbox))
    _, second, third = sandbox.account_ids
    broken = sandbox.callflow_ids(third)[0]
    sandbox.deny(second)
    sandbox.break_callflow(third, broken, "wrong_node")
    try:
        for command in (["check", "--fail-on", "info"], ["uses", "nobody"]):
            head, *rest = command
            done = vinix("callflows", head, "--all", *rest, "--output", "json")
            assert done.returncode == 3, done.stderr
            assert f"failed: {second}" in done.stderr
            assert re.search(rf"^unreadable: {third} \(.+\), {broken}: ", done.stderr, re.MULTILINE)
            assert "3 accounts (1 failed), " in done.stderr
            one = vinix("callflows", head, second, *rest)
            assert (one.returncode, one.stdout) == (1, "")
            assert one.stderr.startswith("vinix: PermissionDeniedError: ")
        log = json.loads(vinix("callflows", "check", "--all", "--output", "sarif").stdout)
        assert log["runs"][0]["invocations"] == [{"executionSuccessful": False}]
        exported = vinix("callflows", "export", "--all", "--details", "--to", "e.ndjson")
        assert exported.returncode == 3
        sandbox.mend_callflow(third, broken)
        changed = vinix("callflows", "diff", "e.ndjson", third, "--exit-code")
        assert (changed.returncode, changed.stdout[:2]) == (5, "+ ")
        sandbox.break_callflow(third, broken, "wrong_node")
        unread = vinix("callflows", "diff", "e.ndjson", third, "--exit-code")
        assert (unread.returncode, unread.stdout) == (3, "")
        sandbox.deny(third)
        sandbox.deny(sandbox.root_id)
        nothing = vinix("callflows", "check", *sandbox.account_ids)
        assert nothing.returncode == 3
    finally:
        for each in sandbox.account_ids:
            sandbox.allow(each)
        sandbox.mend_callflow(third, broken)


def test_accounts_of_the_api(tmp_path: Path, sandbox: Sandbox) -> None:
    vinix = Command(tmp_path, **variables(sandbox))
    own = vinix("callflows", "check")
    assert own.stdout == vinix("callflows", "check", "ROOT").stdout == "nothing found in 4 callflows\n"
    assert own.stderr == ""
    every = vinix("callflows", "check", "--all")
    assert every.stdout == "nothing found in 12 callflows\n"
    assert every.stderr.startswith("3 accounts, 12 callflows, ")
    callflow = sandbox.document(sandbox.root_id, sandbox.callflow_ids(sandbox.root_id)[0])
    traced = vinix("callflows", "trace", "ROOT", callflow["id"])
    assert (traced.returncode, traced.stderr) == (0, "")
    exported = vinix("callflows", "export", "--all", "--details", "--to", "e.ndjson")
    assert exported.returncode == 0
    for other in ("ROOT", "e.ndjson"):
        same = vinix("callflows", "diff", "e.ndjson", other, "--exit-code")
        assert (same.returncode, same.stderr) == (0, "no differences\n")
    (tmp_path / "list.ndjson").write_text(vinix("callflows", "list").stdout)
    assert vinix("callflows", "diff", "list.ndjson", "ROOT", "--exit-code").returncode == 0
