"""Inputs with which the command once failed. Each test begins with the id of its case."""

import asyncio
import csv
import gzip
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any, cast

import pytest
from cli_support import Command, accounts_of, environment, served, variables, wait_for
from free_port import closed_port

from vinix_async import Account, BadItem, Callflow, DecodeError, Page, Pager
from vinix_async._columns import cells
from vinix_async.cli import main
from vinix_async.cli.accounts import write_accounts
from vinix_async.cli.export import File
from vinix_async.sandbox import Sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with served(accounts=6, callflows=(2, 5)) as running:
        yield running


def ids(text: str) -> list[str]:
    return sorted(json.loads(line)["id"] for line in text.splitlines())


def truth(sandbox: Sandbox, *accounts: str) -> list[str]:
    return sorted(each for account in accounts or sandbox.account_ids for each in sandbox.callflow_ids(account))


def resume_command(text: str) -> list[str]:
    line = re.search(r"^  vinix (.*?)\r?$", text, re.MULTILINE)
    assert line, text
    return shlex.split(line[1])


def in_bash(line: str, home: Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603  # the line is written here
        ["bash", "-c", line],  # noqa: S607  # any bash
        capture_output=True,
        timeout=30,
        check=False,
        cwd=home,
        env=environment(home, **more),
        stdin=subprocess.DEVNULL,
    )


MANY = ("--all", "--sandbox", "--sandbox-accounts", "300")


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo",),
        ("callflows", "list", *MANY, "--output", "table"),
        ("callflows", "list", *MANY, "--output", "json"),
        ("accounts", "list", "--sandbox", "--sandbox-accounts", "300", "--output", "table"),
        ("callflows", "show", "ROOT", "Main menu", "--sandbox", "--output", "tree"),
        ("callflows", "list", "--help"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("gone", [False, True], ids=["leaves", "gone"])
def test_c1_a_reader_that_leaves(alone: Command, arguments: tuple[str, ...], gone: bool) -> None:  # noqa: FBT001  # a case
    if gone:
        reader, writer = os.pipe()
        os.close(reader)
        process = alone.started(*arguments, stdout=writer)
        os.close(writer)
    else:
        process = alone.started(*arguments)
    with process:
        if not gone:
            process.stdout.readline()
            process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode in ({141} if gone else {0, 141})
    if process.returncode:
        assert errors == ""
    assert "Traceback" not in errors


def test_c1_a_reader_that_leaves_parquet(alone: Command) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with alone.started("callflows", "list", "--sandbox", "--output", "parquet", stdout=writer) as process:
        os.close(writer)
        errors = process.stderr.read()
    assert (process.returncode, errors) == (141, "")
    assert not [each for each in alone.home.rglob("*") if each.is_file()]


JAPANESE: dict[str, Any] = {"id": "e" * 32, "name": "日本", "flow": {"module": "menu", "data": {"id": "日"}}}


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("callflows", "list", "--output", "table"),
        ("callflows", "show", "ROOT", "e" * 32, "--output", "tree"),
        ("callflows", "show", "ROOT", "e" * 32, "--output", "table"),
        ("accounts", "list", "--output", "table"),
    ],
    ids=" ".join,
)
def test_c2_a_terminal_of_another_encoding(
    vinix: Command, sandbox: Sandbox, arguments: tuple[str, ...], encoding: str
) -> None:
    sandbox.put(sandbox.root_id, JAPANESE)
    with Command(vinix.home, **vinix.variables, PYTHONIOENCODING=encoding).started(*arguments) as process:
        shown, errors = process.stdout.read(), process.stderr.read()
    sandbox.remove(sandbox.root_id, JAPANESE["id"])
    assert process.returncode == 0, errors
    assert shown
    if arguments[0] == "callflows":
        assert "??" in shown


def test_c2_in_an_interpreter_of_its_own_too(vinix: Command, sandbox: Sandbox) -> None:
    sandbox.put(sandbox.root_id, JAPANESE)
    done = vinix.process("callflows", "show", "ROOT", JAPANESE["id"], "--output", "tree", PYTHONIOENCODING="ascii")
    sandbox.remove(sandbox.root_id, JAPANESE["id"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert "??" in done.stdout


def lists(first: str, second: str) -> dict[str, bytes]:
    plain = f"{first}\n{second}\n"
    return {
        "plain": plain.encode(),
        "CRLF": plain.replace("\n", "\r\n").encode(),
        "CR": plain.replace("\n", "\r").encode(),
        "no last line end": plain.strip().encode(),
        "UTF-8 with BOM": b"\xef\xbb\xbf" + plain.encode(),
        "UTF-16, little end first": b"\xff\xfe" + plain.encode("utf-16-le"),
        "UTF-16, big end first": b"\xfe\xff" + plain.encode("utf-16-be"),
        "comments and spaces": f"# note, with a comma\n\n  {first} \n\t{second}\n  # end".encode(),
        "quotes": f'"{first}"\n"{second}"\n'.encode(),
        "a header alone": f"account_id\n{plain}".encode(),
        "CSV": f'name,id\nA,{first}\n"B, C",{second}\n'.encode(),
        "CSV with both": f"id,Account_ID\nx,{first}\ny,{second}\n".encode(),
        "CSV with semicolons and BOM": b"\xef\xbb\xbf" + f'"name";"account_id"\r\nA;{first}\r\nB;{second}\r\n'.encode(),
        "CSV with bars": f"id|name\n{first}|A\n{second}|B\n".encode(),
        "tabs": f"id\tname\n{first}\tA\n{second}\tB\n".encode(),
        "CSV, a field of two lines": f'id,name\n{first},"A\nB"\n{second},C\n'.encode(),
    }


@pytest.mark.parametrize("kind", lists("", ""))
def test_c3_lists_of_accounts(vinix: Command, sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    two = sandbox.account_ids[2:4]
    (tmp_path / "list").write_bytes(lists(*two)[kind])
    done = vinix("callflows", "list", "--accounts-from", "list")
    assert done.returncode == 0, done.stderr
    assert ids(done.stdout) == truth(sandbox, *two)


def test_c3_a_list_on_stdin_may_have_a_bom(vinix: Command, sandbox: Sandbox) -> None:
    done = vinix("callflows", "list", "--accounts-from", "-", stdin=f"\ufeff{sandbox.account_ids[2]}\r\n")
    assert ids(done.stdout) == truth(sandbox, sandbox.account_ids[2])


def test_c3_the_command_reads_its_own_csv(vinix: Command, sandbox: Sandbox) -> None:
    for listed, wanted in (
        (vinix("accounts", "list", "--output", "csv"), sandbox.account_ids[1:]),
        (vinix("callflows", "list", *sandbox.account_ids[2:4], "--output", "csv"), sandbox.account_ids[2:4]),
    ):
        done = vinix("callflows", "list", "--accounts-from", "-", stdin=listed.stdout)
        assert ids(done.stdout) == truth(sandbox, *wanted)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"good\n\xff\xfe\n", 2),
        (b"good\nbad\xe9\n", 2),
        (b"\xff\xfeg\x00\n\x00\x00\xd8\n\x00", 2),
        (b"good\n# comment\na/b\n", 3),
        (b"good\r\n..\r\n", 2),
        (b"good\na b\n", 2),
        (b"good\nname: x\\y\n", 2),
        (b'{"id": "good"}\n', 1),
        (b"name,realm\na,b\n", 1),
        (b"id,name\ngood,x\n,y\n", 3),
        (b"id,name\ngood,x\na/b,y\n", 3),
        (b"name,id\nx\n", 2),
    ],
)
def test_c3_a_line_that_is_not_an_id(
    vinix: Command, sandbox: Sandbox, tmp_path: Path, content: bytes, line: int
) -> None:
    (tmp_path / "list").write_bytes(content)
    sandbox.requests.clear()
    done = vinix("callflows", "list", "--accounts-from", "list")
    assert done.returncode == 2
    assert re.search(rf"^vinix: list, line {line}: ", done.stderr)
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("content", "encoding"),
    [(b"caf\xe9\n", "UTF-8"), (b"\xef\xbb\xbf\xe9\n", "UTF-8"), (b"\xff\xfea", "UTF-16"), (b"\xfe\xffa", "UTF-16")],
)
def test_c3_the_encoding_is_called_by_its_name(alone: Command, tmp_path: Path, content: bytes, encoding: str) -> None:
    (tmp_path / "list").write_bytes(content)
    done = alone("callflows", "list", "--sandbox", "--accounts-from", "list")
    assert done.stderr == f"vinix: list, line 1: the text is not valid {encoding}\n"


@pytest.mark.parametrize("output", ["ndjson", "json"])
def test_c3_json_is_not_a_list_of_accounts(vinix: Command, output: str) -> None:
    listed = vinix("accounts", "list", "--output", output)
    done = vinix("callflows", "list", "--accounts-from", "-", stdin=listed.stdout)
    message = "JSON cannot be read; `vinix accounts list --output csv` writes a list of ids"
    assert (done.returncode, done.stderr) == (2, f"vinix: stdin, line 1: {message}\n")


def test_c3_an_argument_that_cannot_be_an_id(vinix: Command, sandbox: Sandbox) -> None:
    sandbox.requests.clear()
    for word in ("a/b", "..", "", "a b"):
        done = vinix("callflows", "list", word)
        assert done.returncode == 2, word
        assert done.stderr == f"vinix: {word!r} is not an account id\n"
        assert not sandbox.requests
    assert len(vinix("callflows", "list", "/" * 100_000).stderr) < 200
    for command in (("accounts", "list", "--of", "a/b"), ("callflows", "show", "a/b", "x")):
        assert vinix(*command).stderr == "vinix: 'a/b' is not an account id\n"


def test_c4_a_repeated_filter(vinix: Command, sandbox: Sandbox) -> None:
    rows: list[dict[str, Any]] = [
        {"id": each * 32, "name": f"case {each}", "ui_metadata": {"origin": each}} for each in "abc"
    ]
    for row in rows:
        sandbox.put(sandbox.root_id, {**row, "flow": {"module": "menu"}})
    name = "filter_not_ui_metadata.origin"
    done = vinix("callflows", "list", "--filter", f"{name}=a", "--filter", f"{name}=b")
    either = vinix("callflows", "list", *(word for each in "ab" for word in ("--filter", f"filter_name=case {each}")))
    for row in rows:
        sandbox.remove(sandbox.root_id, row["id"])
    assert {"a" * 32, "b" * 32} & set(ids(done.stdout)) == set()
    assert "c" * 32 in ids(done.stdout)
    assert ids(either.stdout) == ["a" * 32, "b" * 32]
    for repeated in ("has_key", "key_missing", "has_value", "created_from"):
        done = vinix("callflows", "list", "--filter", f"{repeated}=1", "--filter", f"{repeated}=2")
        assert done.returncode == 2
        assert f"vinix: --filter {repeated} can be given only once" in done.stderr


@pytest.mark.parametrize("name", ["x.xlsx", "x.json", "x.tsv", "x.txt", "x", "x.gz", "x.parquet.gz", "x.csv.zip"])
def test_c5_a_suffix_that_names_no_format(vinix: Command, tmp_path: Path, name: str) -> None:
    done = vinix("callflows", "export", "--to", name)
    assert done.returncode == 2
    assert all(suffix in done.stderr for suffix in (".ndjson", ".csv", ".parquet", ".csv.gz"))
    assert not (tmp_path / name).exists()
    if "parquet" in name:
        done = vinix("callflows", "export", "--to", name, "--output", "parquet")
        assert (done.returncode, "cannot be compressed with gzip: remove .gz from --to" in done.stderr) == (2, True)
    else:
        assert vinix("callflows", "export", "--to", name, "--output", "csv").returncode == 0
        assert (tmp_path / name).exists()


def test_c7_ctrl_c_while_the_command_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupts(MetaPathFinder):
        def find_spec(self, name: str, *_: object) -> None:
            if name == "vinix_async.cli.app":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "vinix_async.cli.app", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupts(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("name", ["x.pdf", "x.html.gz", "x.csv", "x", "html"])
def test_c5_a_report_is_html(vinix: Command, tmp_path: Path, name: str) -> None:
    done = vinix("report", "--to", name)
    assert done.returncode == 2
    assert done.stderr == f"vinix: --to must end with .html or .htm, not {name!r}\n"
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["x.HTML", "x.htm"])
def test_c5_a_suffix_of_html(vinix: Command, tmp_path: Path, name: str) -> None:
    assert vinix("report", "--to", name).returncode == 0
    assert (tmp_path / name).read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    "arguments",
    [
        "report --to pipe.html",
        "callflows export --to pipe.html --output parquet",
        "callflows export --to x.csv --checkpoint pipe.html",
        "callflows list --checkpoint pipe.html",
    ],
)
def test_c9_a_device_is_not_replaced_nor_deleted(vinix: Command, tmp_path: Path, arguments: str) -> None:
    pipe = tmp_path / "pipe.html"
    os.mkfifo(pipe)
    done = vinix(*arguments.split(), *([] if "list" in arguments else ["--force"]))
    assert done.returncode == 2
    assert "pipe.html is not a regular file" in done.stderr
    assert pipe.is_fifo()


@pytest.mark.parametrize("command", ["report --to link.html", "callflows export --to link.html --output parquet"])
def test_c9_a_link_stays_and_its_file_is_replaced(vinix: Command, tmp_path: Path, command: str) -> None:
    link, file = tmp_path / "link.html", tmp_path / "file"
    file.write_bytes(b"old")
    link.symlink_to(file)
    assert vinix(*command.split(), "--force").returncode == 0
    assert link.is_symlink()
    assert file.stat().st_size > 1000


@pytest.mark.parametrize("suffix", ["csv.gz", "ndjson.gz", "jsonl.gz", "CSV.GZ"])
def test_c5_compressed_exports(vinix: Command, sandbox: Sandbox, tmp_path: Path, suffix: str) -> None:
    file, bad = tmp_path / f"all.{suffix}", sandbox.account_ids[3]
    sandbox.deny(bad, 403)
    failed = vinix("callflows", "export", "--all", "--to", file.name)
    sandbox.allow(bad)
    assert failed.returncode == 3, failed.stderr
    assert file.read_bytes()[:2] == b"\x1f\x8b"
    with file.open("ab") as behind:
        behind.write(b"half a member")  # written after the checkpoint
    assert vinix(*resume_command(failed.stderr)).returncode == 0
    text = gzip.decompress(file.read_bytes()).decode()
    if "csv" in suffix.lower():
        assert sorted(row["id"] for row in csv.DictReader(io.StringIO(text))) == truth(sandbox)
    else:
        assert ids(text) == truth(sandbox)


def test_c6_the_line_that_resumes_can_be_pasted(vinix: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    bad = sandbox.account_ids[3]
    sandbox.deny(bad, 403)
    failed = vinix("callflows", "list", "--all")
    sandbox.allow(bad)
    line = re.search(r"^  (vinix .*)$", failed.stderr, re.MULTILINE)
    assert line
    assert "append" in failed.stderr
    pasted = in_bash(f"vinix() {{ printf '%s\\0' \"$@\"; }}; {line[1]}", tmp_path)
    done = vinix(*pasted.stdout.decode().split("\0")[:-1])
    assert done.returncode == 0, done.stderr
    assert ids(done.stdout) == truth(sandbox, bad)
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


@pytest.mark.parametrize(
    ("output", "hint"),
    [("csv", " (and append its output to the same file)"), ("json", " (its output is another array)"), ("parquet", "")],
)
def test_c6_the_hint_about_the_output_of_the_line(vinix: Command, sandbox: Sandbox, output: str, hint: str) -> None:
    bad = sandbox.account_ids[3]
    sandbox.deny(bad, 403)
    failed = vinix("callflows", "list", "--all", "--output", output)
    sandbox.allow(bad)
    assert f"to try again, run{hint}:\n" in failed.stderr
    done = vinix(*resume_command(failed.stderr))
    if output == "json":
        whole = json.loads(failed.stdout) + json.loads(done.stdout)
        assert sorted(each["id"] for each in whole) == truth(sandbox)


def test_c6_the_line_that_resumes_repeats_the_connection(sandbox: Sandbox, tmp_path: Path) -> None:
    known = variables(sandbox)
    profile = {name.removeprefix("VINIX_").lower(): value for name, value in known.items() if name != "VINIX_BASE"}
    (tmp_path / "file").write_text("[lab]\n" + "".join(f"{name} = {json.dumps(profile[name])}\n" for name in profile))
    (tmp_path / "file").chmod(0o600)
    vinix, bad = Command(tmp_path, VINIX_CONFIG="file"), sandbox.account_ids[3]
    given = ["--concurrency", "5", "--profile", "lab", "--base", known["VINIX_BASE"], "--allow-http"]
    given += ["--outage-wait", "2.5"]
    sandbox.deny(bad, 403)
    failed = vinix("callflows", "export", "--all", "--to", "all.ndjson", *given)
    sandbox.allow(bad)
    again = resume_command(failed.stderr)
    assert again == ["callflows", "export", "--resume", str(tmp_path / "all.ndjson.checkpoint"), *given]
    done = vinix(*again)
    assert done.returncode == 0, done.stderr
    assert ids((tmp_path / "all.ndjson").read_text()) == truth(sandbox)


def test_c6_a_demo_can_be_resumed(alone: Command) -> None:
    with alone.started("demo", "--accounts", "100") as process:
        process.stdout.readline()  # the rest does not fit into the pipe
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        errors = process.stderr.read()
    assert process.returncode == 130
    done = alone(*resume_command(errors))
    assert done.returncode == 0, done.stderr
    assert "account" in done.stderr


def test_c7_a_report_that_is_interrupted_can_be_resumed(tmp_path: Path) -> None:
    with served(accounts=6, callflows=(2, 5)) as sandbox:
        vinix, stuck = Command(tmp_path, **variables(sandbox)), sandbox.account_ids[4]
        sandbox.hang(stuck)

        typed: list[str] = []

        def keys(seen: str) -> str | None:
            if "5/6 accounts" in seen and not typed:
                typed.append("\x03")
                return "\x03"
            return None

        seen = vinix.on_a_terminal("report", "--all", "--to", "page.html", "--title", "Mine", keys=keys, code=130)
        assert "interrupted after 5 accounts" in seen
        page = (tmp_path / "page.html").read_text()
        assert '{"complete":false}' in page
        whole = accounts_of(page)
        assert {name for name, each in whole.items() if each[5]} == set(sandbox.account_ids) - {stuck}
        sandbox.allow(stuck)
        sandbox.requests.clear()
        done = vinix(*resume_command(seen))
        assert done.returncode == 0, done.stderr
        assert {each.account_id for each in sandbox.requests} <= {stuck, sandbox.root_id, None}
        page = (tmp_path / "page.html").read_text()
        assert '{"complete":true}' in page
        assert "<title>Mine</title>" in page
        found = accounts_of(page)
        assert {name: len(each[5]) for name, each in found.items()} == {
            each: len(sandbox.callflow_ids(each)) for each in sandbox.account_ids
        }
        assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["page.html"]


def test_c7_a_report_with_accounts_that_failed_is_retried(tmp_path: Path) -> None:
    with served(accounts=6, callflows=(2, 5)) as sandbox:
        vinix, bad = Command(tmp_path, **variables(sandbox)), sandbox.account_ids[4]
        sandbox.deny(bad, 403)
        done = vinix("report", "--all", "--to", "page.html")
        assert done.returncode == 3
        error = accounts_of((tmp_path / "page.html").read_text())[bad][4]
        assert error["kind"] == "PermissionDeniedError"
        refused = vinix("report", "--all", "--to", "page.html")
        assert refused.returncode == 2
        assert "--resume" in refused.stderr
        sandbox.allow(bad)
        again = vinix(*resume_command(done.stderr))
        assert again.returncode == 0, again.stderr
        found = accounts_of((tmp_path / "page.html").read_text())
        assert found[bad][4] is None
        assert len(found[bad][5]) == len(sandbox.callflow_ids(bad))


def test_c8_the_page_names_a_command_that_works(tmp_path: Path) -> None:
    with served(accounts=3, callflows=(2, 5)) as sandbox:
        vinix, bad = Command(tmp_path, **variables(sandbox)), sandbox.account_ids[1]
        sandbox.deny(bad, 403)
        assert vinix("report", "--all", "--to", "page.html").returncode == 3
        sandbox.allow(bad)
        retry = shlex.split(accounts_of((tmp_path / "page.html").read_text())[bad][4]["retry"])
        assert retry == ["vinix", "report", "--resume", str(tmp_path / "page.html.checkpoint")]
        again = vinix(*retry[1:])
        assert again.returncode == 0, again.stderr
        pages = [accounts_of(path.read_text()) for path in tmp_path.glob("*.html")]
        assert any(bad in page and page[bad][4] is None and len(page[bad][5]) > 1 for page in pages)


def test_c8_without_a_checkpoint_the_page_names_another_command_that_works(tmp_path: Path) -> None:
    with served(accounts=1, callflows=(2, 5)) as sandbox:
        vinix = Command(tmp_path, **variables(sandbox))
        sandbox.deny(sandbox.root_id, 403)
        given = ["--concurrency", "5", "--outage-wait", "2.5"]
        assert vinix("report", "--to", "page.html", *given).returncode == 1
        sandbox.allow(sandbox.root_id)
        assert not (tmp_path / "page.html.checkpoint").exists()
        retry = shlex.split(accounts_of((tmp_path / "page.html").read_text())[sandbox.root_id][4]["retry"])
        assert retry[-4:] == given
        assert vinix(*retry[1:]).returncode == 0
        page = accounts_of((tmp_path / f"{sandbox.root_id}.html").read_text())
        assert len(page[sandbox.root_id][5]) == len(sandbox.callflow_ids(sandbox.root_id))


def test_c7_sigterm_and_sigkill(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with served(accounts=6, callflows=(2, 5)) as sandbox:
            vinix, stuck = Command(tmp_path, **variables(sandbox)), sandbox.account_ids[4]
            sandbox.hang(stuck)
            name = f"{number}.html"
            with vinix.started("report", "--all", "--to", name) as process:
                wait_for(tmp_path / f"{name}.checkpoint")
                process.send_signal(number)
                process.stderr.read()
            assert process.returncode == (143 if number == signal.SIGTERM else -9)
            sandbox.allow(stuck)
            assert vinix("report", "--resume", f"{name}.checkpoint").returncode == 0
            found = accounts_of((tmp_path / name).read_text())
            assert sorted(flow[0] for each in found.values() for flow in each[5]) == truth(sandbox)


@pytest.mark.parametrize("folder", ["/proc/x", "/tmp/x" + "y" * 300])  # noqa: S108  # one that cannot exist
def test_c9_a_state_folder_that_cannot_be_written(
    vinix: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setattr("vinix_async.cli.run._SAVE_INTERVAL", 0.0)
    monkeypatch.setattr("vinix_async.cli.run._SAVE_SHARE", 1.0)
    monkeypatch.setattr("vinix_async.cli.progress._TICK", 0.0)
    sandbox.deny(sandbox.account_ids[3], 403)
    done = vinix("callflows", "list", "--all", XDG_STATE_HOME=folder)
    sandbox.allow(sandbox.account_ids[3])
    assert done.returncode == 3
    assert len(re.findall("^vinix: cannot save the progress: .*/x", done.stderr, re.MULTILINE)) == 1
    assert "--resume" not in done.stderr
    assert ids(done.stdout) == truth(sandbox, *(each for each in sandbox.account_ids if each != sandbox.account_ids[3]))
    assert vinix("callflows", "list", XDG_STATE_HOME=folder).returncode == 0
    parquet = vinix("callflows", "list", "--output", "parquet", XDG_STATE_HOME=folder)
    assert parquet.returncode == 2
    assert re.search("^vinix: .*Parquet .*/x", parquet.stderr)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("vinix callflows list --sandbox >&-", 1),
        ("vinix callflows list --nothing 2>&-", 2),
        ("vinix auth login --kind token --account-id x <&-", 2),
    ],
)
def test_c10_a_closed_stream(tmp_path: Path, line: str, code: int) -> None:
    done = in_bash(line, tmp_path)
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
    if ">&-" in line and "2>&-" not in line:
        assert done.stderr == b"vinix: stdout is closed\n"


@pytest.mark.parametrize(
    ("arguments", "closed", "code"),
    [
        ("demo", 1, 1),
        ("callflows list --sandbox", 2, 0),
        ("callflows list --accounts-from - --sandbox", 0, 0),
    ],
)
def test_c10_a_stream_that_is_closed_when_the_job_begins(
    alone: Command, arguments: str, closed: int, code: int
) -> None:
    with alone.started(*arguments.split(), closed=closed) as process:
        _, errors = process.stdout.read(), process.stderr.read()
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    if closed == 1:
        assert errors == "vinix: stdout is closed\n"


def test_c11_no_progress_line_without_a_terminal(vinix: Command) -> None:
    done = vinix("callflows", "list", "--all", FORCE_COLOR="1", TERM="xterm")
    assert done.returncode == 0
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr


def test_c12_a_full_disk_names_the_file(vinix: Command, tmp_path: Path) -> None:
    done = vinix(
        "callflows", "export", "--all", "--to", "/dev/full", "--output", "csv", "--force", "--checkpoint", "kept"
    )
    assert done.returncode == 1
    assert done.stderr.startswith("vinix: /dev/full: No space left on device\n")
    (tmp_path / "full.csv").symlink_to("/dev/full")
    done = vinix("callflows", "export", "--all", "--to", "full.csv", "--force")
    assert "full.csv: No space left on device" in done.stderr
    assert "vinix: no progress was saved: run the command again with --force" in done.stderr


@pytest.mark.parametrize("output", ["ndjson", "parquet"])
def test_c12_a_full_disk_behind_stdout(vinix: Command, output: str) -> None:
    with Path("/dev/full").open("w") as full:
        process = vinix.started("callflows", "list", "--output", output, stdout=full.fileno())
    with process:
        errors = process.stderr.read()
    assert process.returncode == 1
    assert errors.startswith("vinix: stdout: No space left on device\n")
    assert "Exception ignored" not in errors


def test_c12_a_full_disk_behind_the_log(sandbox: Sandbox, tmp_path: Path) -> None:
    known = variables(sandbox)
    done = in_bash("vinix callflows export ROOT nosuch --to all.ndjson 2> /dev/full", tmp_path, **known)
    assert (done.returncode, done.stdout) == (3, b"")
    assert ids((tmp_path / "all.ndjson").read_text()) == truth(sandbox, sandbox.root_id)


def test_c12_a_job_goes_on_without_a_reader_of_its_messages(sandbox: Sandbox, tmp_path: Path) -> None:
    vinix = Command(tmp_path, **variables(sandbox))
    reader, writer = os.pipe()
    os.close(reader)
    with vinix.started("callflows", "export", "ROOT", "nosuch", "--to", "all.ndjson", stderr=writer) as process:
        os.close(writer)
        process.stdout.read()
    assert process.returncode == 3
    assert ids((tmp_path / "all.ndjson").read_text()) == truth(sandbox, sandbox.root_id)
    assert (tmp_path / "all.ndjson.checkpoint").exists()


@pytest.mark.parametrize("command", ["callflows list --resume", "callflows list --checkpoint x"])
def test_c6_the_line_that_resumes_works_in_another_folder(sandbox: Sandbox, tmp_path: Path, command: str) -> None:
    vinix, bad = Command(tmp_path, **variables(sandbox)), sandbox.account_ids[3]
    sandbox.deny(bad, 403)
    first = vinix("callflows", "list", "--all", "--checkpoint", "x")
    done = vinix(*command.split(), "x") if "resume" in command else first
    sandbox.allow(bad)
    assert resume_command(done.stderr) == ["callflows", "list", "--resume", str(tmp_path / "x")]


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        ("callflows export --to all.csv --checkpoint all.csv", "all.csv"),
        ("callflows export --to all.csv --checkpoint folder/../all.csv", "folder/../all.csv"),
        ("callflows export --to all.parquet --checkpoint all.parquet.rows", "all.parquet.rows"),
        ("report --to all.html --checkpoint all.html", "all.html"),
    ],
)
def test_a_checkpoint_does_not_replace_the_output(vinix: Command, tmp_path: Path, arguments: str, file: str) -> None:
    (tmp_path / "folder").mkdir()
    done = vinix(*arguments.split())
    message = f"vinix: --checkpoint: the output is written to {tmp_path / file}: give another path\n"
    assert (done.returncode, done.stderr) == (2, message)
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == []


def test_a_run_that_cannot_log_in_does_not_stand_in_the_way(vinix: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    export = ("callflows", "export", "--to", "all.ndjson")
    assert vinix(*export, VINIX_PASSWORD="planted-9").returncode == 4  # a wrong one
    assert (tmp_path / "all.ndjson").read_bytes() == b""
    assert vinix(*export).returncode == 0
    again = vinix(*export)
    assert (again.returncode, again.stderr) == (
        2,
        f"vinix: {tmp_path / 'all.ndjson'} exists already; --force replaces it\n",
    )
    assert ids((tmp_path / "all.ndjson").read_text()) == truth(sandbox, sandbox.root_id)


@pytest.mark.parametrize("option", ["--profile", "--base", "--accounts-from"])
@pytest.mark.parametrize("form", ["{} ", "{}="])
def test_an_empty_value_is_not_the_default(vinix: Command, option: str, form: str) -> None:
    done = vinix("callflows", "list", *form.format(option).split(" "))
    assert (done.returncode, done.stderr) == (2, f"vinix: {option} must not be empty\n")


@pytest.mark.parametrize("root", ["abc ", "a/b", "76146240155925774858a2f3e2e48440\r"])
def test_an_id_of_your_own_account_that_cannot_be_one(vinix: Command, sandbox: Sandbox, root: str) -> None:
    sent = sandbox.served
    for command in ("callflows list", "callflows list --all", "callflows check", "accounts list"):
        done = vinix(*command.split(), VINIX_ACCOUNT_ID=root)
        message = f"vinix: VINIX_ACCOUNT_ID or account_id of the profile: {root!r} is not an account id\n"
        assert (done.returncode, done.stderr) == (2, message)
    assert sandbox.served == sent


def test_c13_log_lines_stay_above_the_progress_line(vinix: Command) -> None:
    known = Command(vinix.home, **vinix.variables, VINIX_LOG="debug")
    seen = known.on_a_terminal("callflows", "list", "--all", "--output", "ndjson")
    lines = [line for line in seen.split("\n") if "vinix_async:" in line]
    assert lines
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\d ", line.rpartition("\x1b[2K")[2]), line


def cells_of(text: str, *, column: int) -> list[str]:
    return [cells[column] for line in text.splitlines() if len(cells := re.split(r"\s{2,}", line.strip())) > column]


@pytest.mark.parametrize("columns", ["40", "60", "80", "119", "120", "200"])
def test_c14_tables_break_at_words(vinix: Command, sandbox: Sandbox, columns: str) -> None:
    modules = ("voicemail", "park_and_retrieve", "temporal_route", "ring_group")
    flow: dict[str, Any] = {"module": "end"}
    for module in modules:
        flow = {"module": module, "data": {}, "children": {"_": flow}}
    sandbox.put(sandbox.root_id, {"id": "e" * 32, "name": "n" * 60, "numbers": ["+15550001111"], "flow": flow})
    table = vinix("callflows", "list", "--output", "table", COLUMNS=columns).stdout
    sandbox.remove(sandbox.root_id, "e" * 32)
    assert all(len(line) <= int(columns) for line in table.splitlines())
    header = next(line for line in table.splitlines() if "Callflow" in line)
    assert ("Modules" in header) == (int(columns) >= 60)
    assert ("Type" in header) == (int(columns) >= 120)
    assert "nnn…" in table
    parts = {part for word in modules for part in (word[:cut] for cut in range(3, len(word)))}
    for word in re.findall(r"[a-z_]{3,}", table.replace("n" * 3, "")):
        assert word not in parts or f"{word}…" in table, word


def test_c14_a_type_is_shown_where_there_is_room(vinix: Command, sandbox: Sandbox) -> None:
    sandbox.put(sandbox.root_id, {"id": "e" * 32, "type": "mainUserCallflow", "flow": {"module": "menu"}})
    narrow, wide = (vinix("callflows", "list", "--output", "table", COLUMNS=each).stdout for each in ("119", "120"))
    sandbox.remove(sandbox.root_id, "e" * 32)
    assert "mainUserCallflow" in wide
    assert "Type" in wide
    assert "Type" not in narrow
    untyped = vinix("callflows", "list", "--output", "table", "--filter", "key_missing=type", COLUMNS="120").stdout
    assert "Type" not in untyped


def test_c14_a_terminal_without_columns(vinix: Command) -> None:
    arguments = ("callflows", "list", "--output", "table")
    (narrow, wide) = (vinix.forked(*arguments, COLUMNS=columns) for columns in ("0", "80"))
    assert narrow.stdout == wide.stdout != ""
    assert "callflows" in narrow.stderr
    assert "Usage" in vinix.forked("--help", COLUMNS="0").stdout


@pytest.mark.parametrize("columns", ["20", "34", "40", "80", "120"])
def test_c14_account_ids_are_never_cut(vinix: Command, sandbox: Sandbox, columns: str) -> None:
    table = vinix("accounts", "list", "--output", "table", COLUMNS=columns).stdout
    found = table if int(columns) >= 34 else re.sub(r"\s", "", table)  # an id is wrapped if it does not fit in a line
    assert all(each in found for each in sandbox.account_ids[1:])
    assert all(len(line) <= int(columns) for line in table.splitlines())
    assert ("Realm" in table) == (int(columns) >= 100)


def test_c15_summaries_count_failures_and_know_the_singular(vinix: Command, sandbox: Sandbox) -> None:
    sandbox.deny(sandbox.account_ids[3], 403)
    done = vinix("callflows", "list", "--all")
    sandbox.allow(sandbox.account_ids[3])
    assert re.search(r"^6 accounts \(1 failed\), \d+ callflows, \d+ requests, 0 retries, ", done.stderr, re.MULTILINE)
    one = vinix("callflows", "list", "--max-items", "1", "--checkpoint", "another")
    assert re.search(r"^1 account, 1 callflow, 1 request, 0 retries, ", one.stderr)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("callflows list --sandbox --max-items 0", "--max-items must be at least 1, not 0"),
        ("callflows list --sandbox --page-size 0", "--page-size must be at least 1, not 0"),
        ("callflows list --sandbox --sandbox-accounts 0", "--sandbox-accounts must be at least 1, not 0"),
        ("callflows list --sandbox --sandbox-callflows -1", "--sandbox-callflows must be at least 0, not -1"),
        ("callflows list --sandbox --sandbox-faults 2", "--sandbox-faults must be between 0 and 1, not 2.0"),
        ("accounts list --sandbox --max-items 0", "--max-items must be at least 1, not 0"),
        ("callflows list --sandbox-accounts 5", "--sandbox-accounts needs --sandbox"),
        ("callflows check --all --sandbox-findings", "--sandbox-findings needs --sandbox"),
        ("auth check --sandbox-dialect kazoo43", "--sandbox-dialect needs --sandbox"),
        ("sandbox --port 99999", "--port must be between 0 and 65535, not 99999"),
        ("sandbox --accounts 0", "--accounts must be at least 1, not 0"),
        ("callflows show x", "CALLFLOW is required"),
        ("callflows list --max-items", "--max-items needs a value"),
        ("callflows list --max-items x", "--max-items must be a whole number, not 'x'"),
        ("callflows list --output xml", "--output must be one of table, json, ndjson, csv, parquet, not 'xml'"),
        ("callflows list --filter x", "--filter must be KEY=VALUE, not 'x'"),
        ("demo 3", "unexpected argument '3'"),
    ],
)
def test_c16_messages_name_the_option_as_typed(alone: Command, arguments: str, message: str) -> None:
    done = alone(*arguments.split())
    assert done.returncode == 2
    assert done.stderr == f"vinix: {message}\n"


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ("--base ftp://x", {}, "--base must be an absolute URL"),
        ("--base http://example.com/v2", {}, "--allow-http"),
        ("--outage-wait inf", {}, "--outage-wait must be finite, not inf"),
        ("--filter modified_from=2026-01-01", {}, "for dates, use --modified-from"),
        ("--filter page_size=3", {}, "'page_size' is not a filter: use --page-size\n"),
        ("--filter start_key=x", {}, "'start_key' is not a filter: the command reads listings from their beginning\n"),
        ("--modified-from 7d --modified-to 52w", {}, "--modified-from is after --modified-to, so nothing would match"),
        ("--created-from 2026-11-20 --created-to 2026-11-01", {}, "--created-from is after --created-to"),
        ("--modified-from 2026-01-01 --filter modified_from=1", {}, "only once, and not with --modified-from"),
        ("", {"VINIX_AUTH_TOKEN": "", "VINIX_USERNAME": "a", "VINIX_PASSWORD": "b"}, "VINIX_ACCOUNT_NAME, VINIX_ACC"),
    ],
)
def test_c16_settings_are_named_as_the_command_knows_them(
    alone: Command, arguments: str, settings: dict[str, str], message: str
) -> None:
    done = alone("callflows", "list", "x", *arguments.split(), **{"VINIX_AUTH_TOKEN": "planted-7", **settings})
    assert done.returncode == 2
    assert message in done.stderr
    assert not re.search(r"base_url|allow_http|account_name|ConfigurationError", done.stderr)


def test_c16_other_errors_name_options_too(vinix: Command, sandbox: Sandbox) -> None:
    done = vinix("callflows", "list", "x", VINIX_BASE=sandbox.url.removesuffix("/v2"))
    assert "--base must end with /v2" in done.stderr
    with closed_port() as port:
        done = vinix("callflows", "list", "--outage-wait", "0.01", VINIX_BASE=f"http://127.0.0.1:{port}/v2")
    assert re.search(r"unavailable for \d\.\d s \(--outage-wait 0\.01\)", done.stderr)
    done = vinix("callflows", "list", VINIX_BASE="http://ann:planted-8@127.0.0.1:1/v2")
    assert done.returncode == 2
    assert re.search("^vinix: --base must not contain a user .*: .*VINIX_USERNAME", done.stderr)
    assert not re.search("planted-8|auth=", done.stderr)
    done = vinix("callflows", "list", VINIX_BASE="https://api.example.com/v2", HTTPS_PROXY="squid")
    assert (done.returncode, done.stderr[:49]) == (2, "vinix: HTTPS_PROXY or HTTP_PROXY must be an absol")


def test_c16_the_librarys_class_names_are_not_in_a_usage_error(alone: Command) -> None:
    done = alone("callflows", "list", "--sandbox", "--filter", "missing_value=x")
    assert done.returncode == 2
    assert "missing_value" in done.stderr
    assert "ConfigurationError" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("callflows list --accounts-from nothing", "nothing"),
        ("callflows list --accounts-from .", "cannot read ."),
        ("callflows export --to nowhere/x.csv", "does not exist"),
        ("callflows export --to a-folder.csv", "is a folder"),
        ("report --to nowhere/x.html", "does not exist"),
        ("callflows list --resume nothing", "nothing"),
    ],
)
def test_c17_files_and_folders_that_are_missing(vinix: Command, tmp_path: Path, arguments: str, words: str) -> None:
    (tmp_path / "a-folder.csv").mkdir()
    done = vinix(*arguments.split())
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Errno" not in done.stderr


def test_c17_a_stdin_that_cannot_be_read(alone: Command, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as only_written:
        process = alone.started("callflows", "list", "--sandbox", "--accounts-from", "-", stdin=only_written.fileno())
    with process:
        errors = process.stderr.read()
    assert process.returncode == 2
    assert errors == "vinix: cannot read stdin: Bad file descriptor\n"


def test_c18_a_bom_for_spreadsheets(vinix: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    assert vinix("callflows", "export", "--to", "x.csv", "--bom").returncode == 0
    text = (tmp_path / "x.csv").read_bytes()
    assert text.startswith(b"\xef\xbb\xbfaccount_id,")
    assert text.count(b"\xef\xbb\xbf") == 1
    for listing in ("accounts", "callflows"):
        assert vinix(listing, "list", "--output", "csv", "--bom").stdout.startswith("\ufeff")
        assert not vinix(listing, "list", "--output", "csv").stdout.startswith("\ufeff")
        refused = vinix(listing, "list", "--output", "ndjson", "--bom")
        assert refused.returncode == 2
        assert refused.stderr == "vinix: --bom is for CSV only\n"
    assert vinix("callflows", "export", "--to", "x.parquet", "--bom").returncode == 2


@pytest.mark.parametrize("option", ["--modified-from", "--created-from"])
def test_l19_times_as_dates_and_spans(vinix: Command, sandbox: Sandbox, option: str) -> None:
    rows = {sandbox.document(sandbox.root_id, each)["id"] for each in sandbox.callflow_ids(sandbox.root_id)}
    for value in ("2020-01-01", "2020-01-01T00:00Z", "2020-01-01T12:30+02:00", "9999d", "1000w"):
        assert set(ids(vinix("callflows", "list", option, value).stdout)) == rows, value
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    assert vinix("callflows", "list", option, tomorrow).stdout == ""
    assert vinix("callflows", "list", option.replace("from", "to"), "2001-01-01").stdout == ""
    for wrong in ("yesterday", "7", "1767225600", "2026-13-01", "7y", "-7d"):
        done = vinix("callflows", "list", f"{option}={wrong}")
        assert done.returncode == 2
        assert done.stderr == f"vinix: {option} must be a date such as 2026-11-20 or a span such as 7d, not {wrong!r}\n"
    assert "2026-11-20" in vinix("callflows", "list", "--help").stdout


@pytest.mark.parametrize("arguments", ["callflows list --modified-from", "mirror refresh --max-age"])
def test_l19_a_span_that_is_too_long_says_so(alone: Command, arguments: str) -> None:
    for span in ("9999999999w", "9" * 5_000 + "m"):
        done = alone(*arguments.split(), span)
        option = arguments.rsplit(maxsplit=1)[-1]
        assert (done.returncode, done.stderr) == (2, f"vinix: {option} must be a shorter span, not {span!r}\n")


def test_accounts_are_listed_in_the_same_order_in_each_run(vinix: Command, sandbox: Sandbox) -> None:
    for account_id in sandbox.account_ids[1:]:
        sandbox.requests.clear()
        assert vinix("callflows", "list", "--all", "--descendants-of", account_id).returncode == 0
        listings = [each.account_id for each in sandbox.requests if each.path.endswith("/descendants")]
        assert listings == [account_id, sandbox.root_id]


@pytest.mark.parametrize("command", ["callflows list", "callflows check export.ndjson"])
def test_an_empty_descendants_of_is_an_error(vinix: Command, command: str) -> None:
    (vinix.home / "export.ndjson").write_text('{"id":"c","numbers":["1"],"flow":{"module":"hangup"}}\n')
    done = vinix(*command.split(), "--descendants-of", "")
    assert (done.returncode, done.stderr) == (2, "vinix: '' is not an account id\n")


def test_l19_a_time_reaches_the_server_in_its_own_seconds(vinix: Command, sandbox: Sandbox) -> None:
    sandbox.requests.clear()
    vinix("callflows", "list", "--modified-from", "2026-11-20T00:00Z", "--modified-to", "2026-11-21T00:00Z")
    (query,) = (each.query for each in sandbox.requests if "callflows" in each.path)
    assert query["modified_from"] == str(62_167_219_200 + 1_795_132_800)
    assert query["modified_to"] == str(62_167_219_200 + 1_795_132_800 + 86_400)


BAD = {"id": "b" * 32, "name": "bad", "numbers": [1001], "flow": {"module": "menu"}}


@pytest.mark.parametrize("output", ["export", "report"])
def test_l5_an_unreadable_callflow_is_named_and_the_others_come(tmp_path: Path, output: str) -> None:
    with served(accounts=3, callflows=(2, 5)) as sandbox:
        vinix, where = Command(tmp_path, **variables(sandbox)), sandbox.account_ids[1]
        sandbox.put(where, BAD)
        command = ("callflows", "export", "--to", "all.csv") if output == "export" else ("report", "--to", "all.html")
        done = vinix(*command, "--all")
        assert done.returncode == 3
        named = rf"{where} \([A-Z][\w ]+\), {BAD['id']}"
        assert re.search(f"^unreadable: {named}: DecodeError: .*numbers", done.stderr, re.MULTILINE)
        assert "1 item could not be read; to try again, run:" in done.stderr
        assert "1 unreadable item, " in done.stderr
        if output == "report":
            ((item, reason, retry),) = accounts_of((tmp_path / "all.html").read_text())[where][3]
            assert (item, "numbers" in reason) == (BAD["id"], True)
            assert retry == f"vinix report --resume {tmp_path / 'all.html.checkpoint'}"
        sandbox.put(where, {**BAD, "numbers": ["1001"]})
        again = vinix(*resume_command(done.stderr))
        assert again.returncode == 0, again.stderr
        if output == "export":
            rows = list(csv.DictReader(io.StringIO((tmp_path / "all.csv").read_text())))
            assert sorted(row["id"] for row in rows) == truth(sandbox)
        else:
            found = accounts_of((tmp_path / "all.html").read_text())
            assert sorted(flow[0] for each in found.values() for flow in each[5]) == truth(sandbox)
            assert not any(each[3] for each in found.values())


def test_l29_what_the_server_does_not_check_is_in_a_cell_as_json(tmp_path: Path) -> None:
    with served(accounts=1, callflows=0) as sandbox:
        deep: Any = []
        for _ in range(3_000):
            deep = [deep]
        odd = {"id": "e" * 32, "type": ["x"], "owner_id": 5, "group_id": {"a": 1}, "flow": {"module": "menu"}}
        sandbox.put(sandbox.root_id, odd)
        vinix = Command(tmp_path, **variables(sandbox))
        (row,) = csv.DictReader(io.StringIO(vinix("callflows", "list", "--output", "csv").stdout))
        assert (row["type"], row["owner_id"], row["group_id"]) == ('["x"]', "5", '{"a":1}')
        account = Account(id="a")
        assert cells(account, Callflow(id="1", owner_id=deep), details=True)[11] == "[" * 3_001 + "]" * 3_001


def test_c12_an_output_that_cannot_be_saved_ends_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(self: File) -> int:
        raise OSError(5, "Input/output error", "the disk")

    with served(accounts=2, callflows=2) as sandbox:
        monkeypatch.setattr("vinix_async.cli.run._SAVE_INTERVAL", 0.0)
        monkeypatch.setattr("vinix_async.cli.progress._TICK", 0.0)
        monkeypatch.setattr(File, "save", save)
        done = Command(tmp_path, **variables(sandbox))("callflows", "export", "--all", "--to", "all.ndjson")
        assert done.returncode == 1
        assert done.stderr.startswith("vinix: the disk: Input/output error\n")


def test_an_unreadable_account_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    good = Account(id="a")
    bad = BadItem(account_id="a", id=None, index=1, error=DecodeError("wrong"))

    class Listing:
        bad_items = (bad,)

        async def by_page(self) -> AsyncIterator[Page[Account]]:
            yield Page(items=(good,), bad_items=(bad,))

    code = asyncio.run(write_accounts(cast("Pager[Account]", Listing()), "ndjson", raw=False, bom=False))
    assert code == 3
    assert capsys.readouterr().err == "unreadable: row 1: DecodeError: wrong\n1 account\n"


def test_l35_a_callflow_is_found_although_another_row_cannot_be_read(tmp_path: Path) -> None:
    with served(accounts=1, callflows=0) as sandbox:
        sandbox.put(sandbox.root_id, BAD)
        sandbox.put(sandbox.root_id, {"id": "e" * 32, "name": "Sales", "flow": {"module": "menu", "data": {}}})
        vinix = Command(tmp_path, **variables(sandbox))
        for output in ("tree", "table", "json", "svg"):
            done = vinix("callflows", "show", "ROOT", "sales", "--output", output)
            assert done.returncode == 0, done.stderr
            assert "menu" in done.stdout
        missing = vinix("callflows", "show", "ROOT", "support")
        assert missing.returncode == 1
        assert "it has 1 callflow and 1 that cannot be read" in missing.stderr


@pytest.mark.parametrize("command", ["callflows list", "accounts list", "report --to page.html"])
def test_outage_wait_ends_the_wait_for_a_server_that_is_away(tmp_path: Path, command: str) -> None:
    with served(accounts=1, callflows=1) as sandbox:
        vinix = Command(tmp_path, **variables(sandbox))
        assert vinix("callflows", "list").returncode == 0
        with sandbox.outage(kind="503"):
            done = vinix(*command.split(), "--outage-wait", "0.2")
    assert done.returncode == 1
    assert re.search("503|outage", done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def test_outages_and_the_seconds_lost_are_in_the_progress_line_and_the_summary(tmp_path: Path) -> None:
    with served(accounts=6, callflows=(2, 5)) as sandbox:
        vinix = Command(tmp_path, **variables(sandbox))
        sandbox.outage(kind="502", only="callflows")

        def keys(seen: str) -> None:
            if "1 outage" in seen:
                sandbox.end_outage()

        with (tmp_path / "data").open("wb") as file:
            seen = vinix.on_a_terminal("callflows", "list", "--all", keys=keys, stdout=file.fileno())
        assert ids((tmp_path / "data").read_text()) == truth(sandbox)
    assert re.search(r"accounts, 1 outage( of \d+\.\d s)?, \d+ callflows?, \d+ req/s", seen)
    assert re.search(r"6 accounts, \d+ callflows, \d+ requests, \d+ retr\w+, 1 outage of \d+\.\d s, ", seen)


def test_outage_wait_is_checked_and_in_the_help(alone: Command) -> None:
    done = alone("callflows", "list", "--outage-wait", "-1")
    assert (done.returncode, done.stderr) == (2, "vinix: --outage-wait must be at least 0, not -1.0\n")
    assert "--outage-wait" in alone("callflows", "list", "--help").stdout
