"""The command as a person or a script meets it: real processes, real sockets, a real terminal."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cli_support import Command, Done, accounts_of, served, variables

from vinix_async import Account, Callflow, FeatureCode, __version__, structure, to_json
from vinix_async._columns import cells
from vinix_async.cli.console import note
from vinix_async.cli.drawing.page import data_block
from vinix_async.cli.rows import csv_lines, indented, row_json
from vinix_async.cli.show import tables
from vinix_async.cli.text import printable, printable_json
from vinix_async.cli.words import match
from vinix_async.flows import Name
from vinix_async.sandbox import Sandbox

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with served(accounts=12, callflows=(4, 12)) as running:
        yield running


def names(sandbox: Sandbox, account_id: str) -> list[str]:
    rows = [sandbox.row(account_id, each) for each in sandbox.callflow_ids(account_id)]
    return [row["name"] for row in rows if row.get("name")]


def ids(text: str) -> list[str]:
    return sorted(json.loads(line)["id"] for line in text.splitlines())


def several_of(vinix: Command, *commands: list[str]) -> list[Done]:
    return [vinix(*arguments) for arguments in commands]


def test_demo_shows_the_callflows_of_several_accounts(alone: Command) -> None:
    done = alone.forked("demo")
    assert done.returncode == 0, done.stderr
    sandbox = Sandbox(findings=True)
    for account_id in sandbox.account_ids:
        assert account_id in done.stdout
        for name in names(sandbox, account_id):
            assert name in done.stdout
    assert re.search(r"^4 accounts, \d+ callflows, 6 requests, 0 retries, ", done.stderr)
    assert "\x1b" not in done.stdout + done.stderr


def test_a_terminal_has_colours_and_no_color_has_none(alone: Command) -> None:
    here = alone.shown("demo", TERM="xterm")
    for seen in (alone.on_a_terminal("demo"), here):
        assert "\x1b[36m" in seen
        assert "Main menu" in seen
    plain = alone.shown("demo", TERM="xterm", NO_COLOR="1")
    assert "Main menu" in plain
    assert not COLOUR.search(plain.replace("\x1b[1m", "").replace("\x1b[0m", "").replace("\x1b[2m", ""))


def test_listings_of_one_account(vinix: Command, sandbox: Sandbox) -> None:
    known = sandbox.callflow_ids(sandbox.root_id)
    lines = vinix("callflows", "list", sandbox.root_id, "--page-size", "3")
    whole, few, none, table, cut = several_of(
        vinix,
        ["callflows", "list", "--output", "json", "--details"],
        ["callflows", "list", "ROOT", "--output", "csv", "--max-items", "2", "--filter", "has_key=owner_id"],
        ["callflows", "list", "--filter", "filter_name=nobody", "--output", "json"],
        ["callflows", "list", "--output", "table"],
        ["callflows", "list", "--max-items", "3"],
    )
    assert lines.returncode == 0, lines.stderr
    assert ids(lines.stdout) == known
    assert {json.loads(line)["account_id"] for line in lines.stdout.splitlines()} == {sandbox.root_id}
    assert f"1 account, {len(known)} callflows" in lines.stderr
    documents = json.loads(whole.stdout)
    assert sorted(document["id"] for document in documents) == known
    for document in documents:
        assert document == {"account_id": sandbox.root_id, **sandbox.document(sandbox.root_id, document["id"])}
    rows = list(csv.DictReader(io.StringIO(few.stdout)))
    assert {row["id"] for row in rows} <= set(sandbox.callflow_ids(sandbox.root_id, {"has_key": "owner_id"}))
    assert json.loads(none.stdout) == []
    assert all(name in table.stdout for name in names(sandbox, sandbox.root_id))
    assert len(cut.stdout.splitlines()) == 3


def test_many_accounts_by_name_by_tree_and_by_stdin(vinix: Command, sandbox: Sandbox) -> None:
    every = sorted(each for account_id in sandbox.account_ids for each in sandbox.callflow_ids(account_id))
    below, everything, table = several_of(
        vinix,
        ["callflows", "list", "--descendants-of", "ROOT"],
        ["callflows", "list", "--all", "--concurrency", "3", sandbox.account_ids[3]],
        ["callflows", "list", "--all", "--output", "table"],
    )
    assert ids(everything.stdout) == every
    assert ids(below.stdout) == sorted(set(every) - set(sandbox.callflow_ids(sandbox.root_id)))
    assert [table.stdout.count(account_id) for account_id in sandbox.account_ids] == [1] * 12
    piped = vinix(
        "callflows", "list", "--accounts-from", "-", stdin="".join(f"{each}\n" for each in sandbox.account_ids)
    )
    assert ids(piped.stdout) == every


def test_accounts(vinix: Command, sandbox: Sandbox) -> None:
    below, children, table, rows, array, none = several_of(
        vinix,
        ["accounts", "list"],
        ["accounts", "list", "--of", sandbox.account_ids[1], "--children"],
        ["accounts", "list", "--output", "table", "--max-items", "4", "--page-size", "2"],
        ["accounts", "list", "--output", "csv"],
        ["accounts", "list", "--output", "json", "--page-size", "5"],
        ["accounts", "list", "--of", sandbox.account_ids[2], "--output", "json"],
    )
    assert ids(below.stdout) == sorted(sandbox.account_ids[1:])
    assert "11 accounts" in below.stderr
    assert all("descendants_count" in json.loads(line) for line in children.stdout.splitlines())
    assert sum(each in table.stdout for each in sandbox.account_ids) == 4
    assert table.stdout.count("Realm") == 1
    assert sorted(row["id"] for row in csv.DictReader(io.StringIO(rows.stdout))) == sorted(sandbox.account_ids[1:])
    assert sorted(each["id"] for each in json.loads(array.stdout)) == sorted(sandbox.account_ids[1:])
    assert json.loads(none.stdout) == []


def test_show_finds_by_id_by_number_and_by_name(vinix: Command, sandbox: Sandbox) -> None:
    (menu,) = (
        row
        for each in sandbox.callflow_ids(sandbox.root_id)
        if (row := sandbox.row(sandbox.root_id, each)).get("name") == "Main menu"
    )
    number = menu["numbers"][0]
    spaced = f"{number[:2]} ({number[2:5]}) {number[5:8]}-{number[8:]}"
    by_id, by_number, by_name, table, missing, several = several_of(
        vinix,
        ["callflows", "show", "ROOT", menu["id"]],
        ["callflows", "show", "ROOT", spaced, "--output", "json"],
        ["callflows", "show", sandbox.root_id, "main MENU"],
        ["callflows", "show", "ROOT", "in men", "--output", "table"],
        ["callflows", "show", "ROOT", "Mian menu"],
        ["callflows", "show", "ROOT", "e"],
    )
    whole = sandbox.document(sandbox.root_id, menu["id"])
    assert [json.loads(done.stdout) for done in (by_id, by_number, by_name)] == [whole] * 3
    assert by_number.stdout.startswith('{\n  "id"')
    assert "Main menu" in table.stdout
    assert "temporal_route" in table.stdout or "menu" in table.stdout
    assert missing.returncode == 1
    assert "'Main menu'" in missing.stderr
    assert several.returncode == 2
    assert menu["id"] in several.stderr
    assert vinix("callflows", "show", "ROOT", "0" * 32).returncode == 1


def test_what_is_meant() -> None:
    rows = [
        Callflow(id="1", name="Sales", numbers=("+15550001111",)),
        Callflow(id="2", name="Sales night", patterns=(r"^\*4$",)),
        Callflow(id="sales", featurecode=FeatureCode(name="park", number="3")),
    ]
    found = {word: [row.id for row in match(rows, word)] for word in ("sales", "SALES", "ale", r"^\*4$", "*3", "", "x")}
    assert found == {
        "sales": ["sales"],
        "SALES": ["1"],
        "ale": ["1", "2"],
        r"^\*4$": ["2"],
        "*3": ["sales"],
        "": [],
        "x": [],
    }
    assert [row.id for row in match(rows, "+1 (555) 000-1111")] == ["1"]


def test_how_it_ends(vinix: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    refused = Command(tmp_path, **{**vinix.variables, "VINIX_PASSWORD": "planted"})
    many = refused("callflows", "list", *sandbox.account_ids)
    for done in (refused("callflows", "list"), many, refused("accounts", "list"), refused("auth", "check")):
        assert done.returncode == 4
        assert "AuthenticationError: 401" in done.stderr
        assert "request_id=" in done.stderr
        assert "planted" not in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    missing, some = several_of(
        vinix, ["callflows", "list", "0" * 32], ["callflows", "list", "0" * 32, "ROOT", "--output", "ndjson"]
    )
    assert missing.returncode == 1
    assert "NotFoundError: 404" in missing.stderr
    assert missing.stdout == ""
    assert some.returncode == 3
    assert re.search(f"failed: {'0' * 32}: NotFoundError: 404 .*request_id=", some.stderr)
    assert ids(some.stdout) == sandbox.callflow_ids(sandbox.root_id)
    again = re.search(r"  vinix (callflows list --resume (\S+))", some.stderr)
    assert again
    assert Path(again[2]).stat().st_mode & 0o777 == 0o600
    retried = vinix(*again[1].split())
    assert (retried.returncode, retried.stdout) == (3, "")


def test_a_wrong_command_line_is_explained(alone: Command) -> None:
    wrong = {
        ("callflows", "list"): "VINIX_AUTH_TOKEN",
        ("callflows", "list", "x"): "vinix auth login",
        ("callflows", "list", "--sandbox", "--filter", "x"): "KEY=VALUE",
        ("callflows", "list", "--sandbox", "--filter", "missing_value=x"): "missing_value",
        ("callflows", "list", "--sandbox", "--page-size", "0"): "--page-size must be at least 1",
        (
            "callflows",
            "list",
            "--sandbox",
            "--output",
            "xml",
        ): "--output must be one of table, json, ndjson, csv, parquet, not 'xml'",
        ("callflows", "list", "--sandbox", "--concurrency", "0"): "--concurrency must be at least 1",
        ("callflows", "list", "--sandbox", "--resume", "nothing"): "nothing",
        ("frobnicate",): "frobnicate",
        ("demo", "--accounts", "0"): "--accounts must be at least 1",
        ("callflows", "list", "--sandbox", "--sandbox-faults", "2"): "--sandbox-faults must be between 0 and 1",
    }
    for done, words in zip((alone(*arguments) for arguments in wrong), wrong.values(), strict=True):
        assert done.returncode == 2, done.args
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_help_version_and_completion(alone: Command) -> None:
    shown, version, listing, bash = several_of(
        alone, ["--help"], ["--version"], ["callflows", "list", "--help"], ["completion", "bash"]
    )
    assert version.stdout.strip() == "0.1.0"
    for word in ("demo", "accounts", "callflows", "report", "auth", "sandbox", "completion"):
        assert word in shown.stdout
    for word in ("--descendants-of", "--resume", "--sandbox-accounts"):
        assert word in listing.stdout
    assert "callflows" in bash.stdout
    subprocess.run(["bash", "-n"], input=bash.stdout, text=True, check=True)  # noqa: S607  # the shell is meant


@pytest.mark.parametrize("command", ["callflows list", "accounts list", "auth check", "mirror status", "report"])
def test_each_command_has_the_version_of_the_project(alone: Command, command: str) -> None:
    done = alone(*command.split(), "--version")
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")


def test_the_sandbox_runs_until_it_is_interrupted(alone: Command) -> None:
    with alone.started("sandbox", "--port", "0", "--callflows", "2") as process:
        try:
            lines = [process.stdout.readline() for _ in range(5)]
            known = dict(line.strip().removeprefix("export ").split("=", 1) for line in lines)
            assert len(alone("callflows", "list", **known).stdout.splitlines()) == 2
            port = known["VINIX_BASE"].rpartition(":")[2].removesuffix("/v2")
            second = alone("sandbox", "--port", port)
            message = f"vinix: --port {port} cannot be used: Address already in use; 0 selects a free port\n"
            assert (second.returncode, second.stderr) == (2, message)
            process.send_signal(2)
            errors = process.stderr.read()
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_a_reader_that_has_had_enough(alone: Command) -> None:
    with alone.started("callflows", "list", "--all", "--sandbox", "--sandbox-accounts", "300") as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 141
    assert errors == ""
    assert not list(alone.home.rglob("*.json"))


def callflows_of(names: Mapping[str, Name]) -> int:
    return sum(name.kind == "callflow" for name in names.values())


def test_pictures_are_asked_for_with_the_names_of_the_account(
    vinix: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = len(sandbox.callflow_ids(sandbox.root_id))
    for kind, name in (("tree", "tree"), ("mermaid", "mermaid"), ("svg", "svg"), ("html", "callflow_page")):

        def draw(callflow: Callflow, names: Mapping[str, Name], kind: str = kind) -> str:
            return f"{kind} of {callflow.name} among {callflows_of(names)}"

        monkeypatch.setattr(f"vinix_async.cli.show.{name}", draw)
        done = vinix("callflows", "show", "ROOT", "main menu", "--output", kind)
        assert done.stdout == f"{kind} of Main menu among {known}\n"


def test_png_is_not_printed_on_a_terminal(vinix: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vinix_async.cli.show.to_terminal", lambda: True)
    done = vinix("callflows", "show", "ROOT", "main menu", "--output", "png")
    assert (done.returncode, done.stderr) == (2, "vinix: PNG cannot be shown on a terminal: redirect stdout\n")


def test_a_report_has_every_account_and_appears_when_it_is_whole(
    vinix: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    report = ("report", "--to", str(page))
    done = vinix(*report, "--all", "0" * 32, "--title", "Mine")
    assert done.returncode == 3
    assert f"failed: {'0' * 32}: NotFoundError" in done.stderr
    assert (
        f"13 accounts (1 failed), {sum(len(sandbox.callflow_ids(each)) for each in sandbox.account_ids)} callflows"
        in done.stderr
    )
    text = page.read_text()
    assert "<title>Mine</title>" in text
    assert '{"complete":true}' in text
    found = accounts_of(text)
    assert {name: len(flows) for name, (*_, error, flows) in found.items() if not error} == {
        each: len(sandbox.callflow_ids(each)) for each in sandbox.account_ids
    }
    assert [name for name, (*_, error, _flows) in found.items() if error] == ["0" * 32]
    assert found[sandbox.root_id][1] == "Sandbox Telecom"
    assert all(flow[5] is not None for each in found.values() for flow in each[5])
    assert vinix(*report).returncode == 2
    assert vinix(*report, "0" * 32, "--force").returncode == 1
    assert vinix(*report, "--force").returncode == 0
    assert "<title>Callflows</title>" in page.read_text()


def test_a_report_that_breaks_off_leaves_no_page(
    vinix: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(value: object, attribute: str) -> str:
        if attribute == "id=end":
            raise OSError(28, "no space")
        return data_block(value, attribute)

    monkeypatch.setattr("vinix_async.cli.drawing.page.data_block", full)
    folder = tmp_path / "reports"
    folder.mkdir()
    page = folder / "page.html"
    done = vinix("report", "--to", str(page))
    assert done.returncode == 1
    assert "no space" in done.stderr
    kept = {"page.html.checkpoint", "page.html.rows"}  # with which the job can be resumed
    assert {each.name for each in folder.iterdir()} == kept
    page.write_text("the last one")
    assert vinix("report", "--to", str(page), "--force").returncode == 1
    assert page.read_text() == "the last one"
    assert {each.name for each in folder.iterdir()} == {"page.html", *kept}


def test_accounts_of_a_file(vinix: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("\n".join(["", *sandbox.account_ids[2:4], " "]))
    done = vinix("callflows", "list", "--accounts-from", "ids", "--output", "json")
    assert {row["account_id"] for row in json.loads(done.stdout)} == set(sandbox.account_ids[2:4])
    assert vinix("callflows", "list", "--accounts-from", "nothing").returncode == 2


def test_a_flow_too_deep_to_indent_is_shown_on_one_line() -> None:
    flow: dict[str, Any] = {"module": "end", "data": {"id": "unknown"}}
    for _ in range(2_000):
        flow = {"module": "play", "children": {"_": flow}}
    callflow = structure({"id": "1", "flow": flow}, Callflow)
    assert b"\n" not in indented(callflow)
    assert indented(callflow) == to_json(callflow)
    _, nodes = tables(callflow)
    assert nodes.row_count == 2_001


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("pyarrow", ["callflows", "export", "--output", "parquet"]),
        ("keyring", ["auth", "login", "--keyring", "--kind", "api-key"]),
    ],
)
def test_what_needs_an_extra_names_it(
    vinix: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, module: str, arguments: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    done = vinix(*arguments, stdin=sandbox.api_key_auth().api_key)
    assert done.returncode == 2
    assert f"pip install 'vinix-async[{'parquet' if module == 'pyarrow' else module}]'" in done.stderr


EVIL = "[red]\x1b[31m\x07evil\r\n\u202e\x9b"


def test_names_are_neither_markup_nor_control_codes(tmp_path: Path) -> None:
    with served(callflows=0, accounts=1) as sandbox:
        sandbox.put(sandbox.root_id, {"id": "e" * 32, "name": EVIL, "numbers": ["[/x]"], "flow": {"module": EVIL}})
        vinix = Command(tmp_path, **variables(sandbox))
        table, shown = several_of(
            vinix,
            ["callflows", "list", "--output", "table"],
            ["callflows", "show", "ROOT", "evil", "--output", "table"],
        )
        escaped = r"[red]\x1b[31m\x07evil\r\n\u202e\x9b"
        assert escaped in table.stdout
        assert "[/x]" in table.stdout
        assert escaped in shown.stdout
        assert "\x1b" not in table.stdout + shown.stdout
        line = re.search(r"\{.*\}", vinix.on_a_terminal("callflows", "list", "--output", "ndjson"))
        assert line
        assert json.loads(line[0])["name"] == EVIL
        rows = vinix.shown("callflows", "list", "--output", "csv")
        assert r"\x1b[31m" in rows
        assert not re.search("\x1b\\[31m|[\x07\u202e\x9b]", rows)
        assert json.loads(vinix("callflows", "list").stdout)["name"] == EVIL


def test_escapes_keep_their_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable("a\x00é\u202e") == r"a\x00é\u202e"
    note("a\x1b[31m[red]\nb")
    assert capsys.readouterr().err == "a\\x1b[31m[red]\nb\n"
    text = json.dumps({"a": "\x7f\u202e\U000e0001é"}, ensure_ascii=False)
    assert printable_json(text).isprintable()
    assert json.loads(printable_json(text)) == json.loads(text)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])  # noqa: RUF001  # the full-width one runs too
def test_cells_that_a_spreadsheet_would_run(start: str) -> None:
    rows = [[f"{start}1+cmd|' /C calc'!A0", None, ["+15550001111", "101"], ["-2"], "a=1"]]
    read = list(csv.reader(io.StringIO(csv_lines(rows, raw=False).decode(), newline="")))
    assert read == [["'" + f"{start}1+cmd|' /C calc'!A0", "", "+15550001111; 101", "-2", "a=1"]]
    read = list(csv.reader(io.StringIO(csv_lines(rows, raw=True).decode(), newline="")))
    assert read[0][0] == f"{start}1+cmd|' /C calc'!A0"


def test_rows_have_their_account_once_and_lose_nothing() -> None:
    value = {"id": "1", "name": "x", "account_id": "its own", "pvt": {"a": [1]}, "flow": {"module": "menu", "data": {}}}
    account = Account(id="A", name="Acme")
    line = row_json(account, structure(value, Callflow))
    assert line.count(b"account_id") == 1
    assert json.loads(line) == {**value, "account_id": "A", "account_name": "Acme"}
    assert json.loads(row_json(Account(id="A"), Callflow())) == {"account_id": "A"}
    whole = cells(account, structure(value, Callflow), details=True)
    assert whole[-5] == '{"module":"menu","data":{}}'
    assert json.loads(str(whole[-1])) == {"account_id": "its own", "pvt": {"a": [1]}}
    assert whole[10] == ["menu"]


def test_importing_the_library_imports_nothing_of_the_command() -> None:
    extras = {"rich", "cyclopts", "platformdirs", "keyring", "pyarrow", "pytest", "aiohttp"}
    code = f"import sys, vinix_async; print(sorted({extras!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # ours
    assert done.stdout.strip() == "[]"


COMMANDS = ("callflows list", "callflows show", "accounts list", "report", "auth login")


@pytest.mark.parametrize(
    ("commands", "heavy"),
    [
        (("",), {"aiohttp", "tenacity", "pyarrow", "asyncio", "cattrs", "platformdirs"}),
        (COMMANDS, {"aiohttp", "tenacity", "pyarrow"}),
    ],
    ids=["the command", "its commands"],
)
def test_help_does_not_import_the_client(commands: tuple[str, ...], heavy: set[str]) -> None:
    lines = [[*command.split(), "--help"] for command in commands]
    code = (
        f"import sys; from vinix_async.cli.app import run; codes = {{run(line) for line in {lines!r}}};"
        f"sys.exit(str(sorted({heavy!r} & set(sys.modules)) + sorted(codes - {{0}})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603  # ours
    assert done.stderr.strip() == "[]"


def test_without_its_extra_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['cyclopts'] = None; from vinix_async.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603  # ours
    assert done.returncode == 1
    assert "pip install 'vinix-async[cli]'" in done.stderr
