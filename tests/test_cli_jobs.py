"""Jobs over many accounts: progress, interruption, going on, files, and who reads those."""

import errno
import json
import os
import re
import shlex
import signal
import stat
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from cli_support import Command, served, variables, wait_for

from vinix_async import Account, AccountPage, Callflow, Checkpoint, SweepCheckpoint, structure
from vinix_async._columns import column_names
from vinix_async.cli import export
from vinix_async.cli.exit_codes import UsageError
from vinix_async.cli.export import Ending, open_writer
from vinix_async.cli.files import replacing, write_private_file
from vinix_async.cli.options import Connection
from vinix_async.cli.saved_job import Job, SavedJob
from vinix_async.sandbox import Sandbox

duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed: nothing here can read the exports")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with served(accounts=40, callflows=(0, 5)) as running:
        yield running


def truth(sandbox: Sandbox, *without: str) -> list[str]:
    return sorted(
        each for account in sandbox.account_ids if account not in without for each in sandbox.callflow_ids(account)
    )


def ids(text: str) -> list[str]:
    return sorted(json.loads(line)["id"] for line in text.splitlines())


def again(text: str) -> list[str]:
    """The arguments of the line that goes on."""
    line = re.search(r"^  vinix (.*?)\r?$", text, re.MULTILINE)
    assert line, text
    return shlex.split(line[1])


def test_a_bar_moves_on_the_terminal_data_alone_is_in_the_file_and_ctrl_c_goes_on(
    vinix: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    stuck, data = sandbox.account_ids[7], tmp_path / "data"
    sandbox.hang(stuck)
    typed: list[str] = []

    def keys(seen: str) -> str | None:
        if "39/40 accounts" in seen and not typed:
            typed.append("\x03")
            return "\x03"
        return None

    with data.open("wb") as file:
        seen = vinix.on_a_terminal("callflows", "list", "--all", keys=keys, stdout=file.fileno(), code=130)
    assert len(set(re.findall(r"\d+/\d+\+? accounts", seen))) > 1
    assert "━" in seen
    assert "req/s" in seen
    assert ids(data.read_text()) == truth(sandbox, stuck)
    saved = Path(again(seen)[-1])
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert vinix.variables["VINIX_PASSWORD"] not in saved.read_text()
    sandbox.allow(stuck)
    sandbox.requests.clear()
    done = vinix(*again(seen))
    assert done.returncode == 0, done.stderr
    assert ids(data.read_text() + done.stdout) == truth(sandbox)
    assert {each.account_id for each in sandbox.requests} <= {stuck, sandbox.root_id, None}
    assert not saved.exists()


@pytest.mark.parametrize("details", [False, True])
def test_going_on_in_the_middle_of_an_account(tmp_path: Path, details: bool) -> None:  # noqa: FBT001  # as the option
    with served(accounts=1, callflows=60) as sandbox:
        vinix = Command(tmp_path, **variables(sandbox))
        options = ["--page-size", "7", "--concurrency", "1", *(["--details"] if details else [])]
        with vinix.started("callflows", "list", *options) as process:
            lines = [process.stdout.readline() for _ in range(7)]
            sandbox.hang(sandbox.root_id)
            process.send_signal(signal.SIGTERM)
            rest, errors = process.stdout.read(), process.stderr.read()
        assert process.returncode == (143 if "interrupted" in errors else 0)
        text = "".join(lines) + rest
        sandbox.allow(sandbox.root_id)
        if process.returncode:
            assert "interrupted" in errors
            text += vinix(*again(errors)).stdout
        assert ids(text) == truth(sandbox)


def test_exports_that_were_killed_go_on_exactly(vinix: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    stuck, suffixes = sandbox.account_ids[7], ("ndjson", "csv", "parquet")
    sandbox.hang(stuck)
    running = [
        vinix.started("callflows", "export", "--all", "--to", f"all.{suffix}", "--details") for suffix in suffixes
    ]
    for suffix, process in zip(suffixes, running, strict=True):
        with process:
            wait_for(tmp_path / f"all.{suffix}.checkpoint")
            process.kill()
    sandbox.allow(stuck)
    for suffix in suffixes:
        file = tmp_path / f"all.{suffix}"
        saved = Path(f"{file}.checkpoint")
        grown = Path(f"{file}.rows") if suffix == "parquet" else file
        with grown.open("ab") as behind:
            behind.write(b"half a row that came after the checkpoint")
        refused = vinix("callflows", "export", "--all", "--to", file.name)
        assert refused.returncode == 2
        assert "--resume" in refused.stderr
        done = vinix("callflows", "export", "--resume", str(saved))
        assert done.returncode == 0, done.stderr
        found = duckdb.sql(f"select account_id, id from '{file}'").fetchall()
        assert sorted(row[1] for row in found) == truth(sandbox)
        assert {row[0] for row in found} <= set(sandbox.account_ids)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted(
        f"all.{each}" for each in suffixes
    )


@pytest.mark.parametrize("name", ["all.ndjson", "all.csv.gz", "all.parquet", "all.html"])
def test_a_file_that_another_run_is_writing(vinix: Command, sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    command = ["report"] if name == "all.html" else ["callflows", "export"]
    sandbox.deny(sandbox.account_ids[1], 403)
    assert vinix(*command, "--all", "--to", name).returncode == 3
    sandbox.allow(sandbox.account_ids[1])
    path, saved = tmp_path / name, tmp_path / f"{name}.checkpoint"
    written = Path(f"{path}.rows") if name in {"all.parquet", "all.html"} else path
    other = export.File(written, written.stat().st_size)
    before = {each: each.read_bytes() for each in tmp_path.iterdir() if each.is_file()}
    again = [*command, "--resume", str(saved)]
    for arguments in ([*command, "--all", "--to", name], [*command, "--all", "--to", name, "--force"], again):
        done = vinix(*arguments)
        message = f"vinix: another run is writing {written}: wait until it has ended\n"
        assert (done.returncode, done.stderr) == (2, message)
    assert {each: each.read_bytes() for each in tmp_path.iterdir() if each.is_file()} == before
    other.close()
    assert vinix(*again).returncode == 0
    assert [each for each in tmp_path.iterdir() if each.is_file()] == [path]


def test_an_output_is_locked_until_it_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tmp_path / "all.parquet.rows"

    def convert(*_: Any, **__: Any) -> None:
        with pytest.raises(UsageError, match="another run is writing"):
            export.File(rows)

    monkeypatch.setattr(export, "_write_parquet", convert)
    job = Job(command="callflows export", output="parquet", to=str(tmp_path / "all.parquet"))
    open_writer(job, tmp_path / "checkpoint").end(Ending())
    assert not rows.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_output_is_finished_changes_nothing(
    vinix: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    convert = export._convert

    def interrupted(*arguments: Any, **options: Any) -> None:
        signal.raise_signal(number)
        convert(*arguments, **options)

    monkeypatch.setattr(export, "_convert", interrupted)
    done = vinix("callflows", "export", "--all", "--to", "all.parquet")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"40 accounts, .*\n", done.stderr)
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["all.parquet"]


def test_ctrl_c_twice_while_the_output_is_finished(
    vinix: Command, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(export, "_convert", interrupted)
        done = vinix("callflows", "export", "--all", "--to", "all.parquet")
    assert done.returncode == 130
    assert done.stderr.startswith("interrupted while the output was written; to continue, run:\n  vinix ")
    assert vinix(*again(done.stderr)).returncode == 0
    assert len(duckdb.sql(f"select id from '{tmp_path / 'all.parquet'}'").fetchall()) == len(truth(sandbox))


def test_a_device_and_a_pipe_as_the_output(vinix: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    """They can be neither synced nor cut to the size in the checkpoint."""
    bad, command = sandbox.account_ids[3], ("callflows", "export", "--all", "--output", "ndjson", "--force")
    sandbox.deny(bad, 403)
    device = vinix(*command, "--to", "/dev/null", "--checkpoint", "saved")
    assert device.returncode == 3, device.stderr
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert vinix(*command, "--to", "pipe").returncode == 3
        assert ids(os.read(reader, 1_000_000).decode()) == truth(sandbox, bad)
    finally:
        os.close(reader)
    sandbox.allow(bad)
    done = vinix(*again(device.stderr))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["all.ndjson", "all.parquet", "all.html"])
def test_a_folder_that_cannot_be_synced(
    vinix: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As in some network file systems, and in that of ``>(xz)``."""
    fsync = os.fsync

    def of_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", of_files)
    done = vinix(*(["report"] if name == "all.html" else ["callflows", "export"]), "--to", name)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name).stat().st_size


def test_outputs_that_cannot_be_locked_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices, and files in a file system without locks."""
    with closing(export.File(Path("/dev/null"))), closing(export.File(Path("/dev/null"))):
        pass
    monkeypatch.setattr("vinix_async._locks._lock", mock.Mock(side_effect=OSError(errno.ENOLCK, "No locks available")))
    with closing(export.File(tmp_path / "file")) as file:
        file.write(b"row")
    assert (tmp_path / "file").read_bytes() == b"row"


def test_what_failed_is_tried_again_into_the_same_file(vinix: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    bad = sandbox.account_ids[3:5]
    for suffix in ("csv", "parquet"):
        file = tmp_path / f"all.{suffix}"
        for each in bad:
            sandbox.deny(each, 403)
        done = vinix("callflows", "export", "--all", "--to", str(file))
        assert done.returncode == 3
        assert all(f"failed: {each}" in done.stderr for each in bad)
        assert "2 accounts failed" in done.stderr
        assert sorted(row[0] for row in duckdb.sql(f"select id from '{file}'").fetchall()) == truth(sandbox, *bad)
        for each in bad:
            sandbox.allow(each)
        assert vinix(*again(done.stderr)).returncode == 0
        assert sorted(row[0] for row in duckdb.sql(f"select id from '{file}'").fetchall()) == truth(sandbox)
        assert not Path(f"{file}.checkpoint").exists()


def test_duckdb_reads_every_format_alike(vinix: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    evil = {"name": '=1+1,"x"\r\n;', "numbers": ["+15550001111", "101"], "patterns": [r"^\*4$"], "flags": ["a"]}
    sandbox.put(sandbox.root_id, {"id": "e" * 32, **evil, "flow": {"module": "menu", "data": {}}})
    for suffix in ("ndjson", "csv", "parquet"):
        done = vinix("callflows", "export", "--all", "--details", "--raw-cells", "--to", f"all.{suffix}")
        assert done.returncode == 0, done.stderr
        assert vinix("callflows", "export", "--to", f"all.{suffix}").returncode == 2
    tables = {
        "ndjson": "read_json('all.ndjson', sample_size=-1)",
        "csv": "read_csv('all.csv', all_varchar=true, nullstr='', allow_quoted_nulls=false)",
        "parquet": "'all.parquet'",
    }
    of = {kind: source.replace("all.", f"{tmp_path}/all.") for kind, source in tables.items()}
    rows: dict[str, list[Any]] = {}
    for kind, source in of.items():
        numbers = "string_split(numbers, '; ')" if kind == "csv" else "numbers"
        flow = "flow->>'module'" if kind == "ndjson" else "json_extract_string(flow, '$.module')"
        query = f"select account_id, id, name, {numbers}, {flow} from {source} order by id"
        rows[kind] = [tuple(cell or None for cell in row) for row in duckdb.sql(query).fetchall()]
    assert rows["ndjson"] == rows["csv"] == rows["parquet"]
    assert [row[1] for row in rows["parquet"]] == truth(sandbox)
    (row,) = (row for row in rows["parquet"] if row[1] == "e" * 32)
    assert row == (sandbox.root_id, "e" * 32, evil["name"], evil["numbers"], "menu")
    described = duckdb.sql(f"describe select * from {of['parquet']}").fetchall()
    assert [name for name, *_ in described] == list(column_names(details=True))
    assert {kind for _, kind, *_ in described} == {"VARCHAR", "VARCHAR[]"}


def test_text_that_utf_8_cannot_encode_is_escaped(tmp_path: Path) -> None:
    odd = structure({"id": "x" * 32, "name": "Caf\u00e9 \ud800", "numbers": ["\udfff"]}, Callflow)
    for suffix, read in (("csv", "read_csv('{}')"), ("parquet", "'{}'")):
        to = tmp_path / f"out.{suffix}"
        writer = open_writer(Job(command="callflows export", output=suffix, to=str(to)), tmp_path / "checkpoint")
        writer.write(AccountPage(account=Account(id="a" * 32), items=(odd,)))
        writer.end(Ending())
        name, numbers = duckdb.sql(f"select name, numbers from {read.format(to)}").fetchall()[0]
        assert name == "Caf\u00e9 \\ud800"
        assert numbers in ("\\udfff", ["\\udfff"])


def test_exports_to_stdout(vinix: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    rows, lines = vinix("callflows", "export", "--output", "csv"), vinix("callflows", "export", "--all")
    assert rows.stdout.startswith("account_id,account_name,id,")
    assert ids(lines.stdout) == truth(sandbox)
    with (
        (tmp_path / "out.parquet").open("wb") as out,
        vinix.started("callflows", "export", "--all", "--output", "parquet", stdout=out.fileno()) as process,
    ):
        process.wait()
    found = duckdb.sql(f"select id from '{tmp_path}/out.parquet'").fetchall()
    assert sorted(row[0] for row in found) == truth(sandbox)
    assert not list((tmp_path / "state").rglob("*.rows"))


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_GROUP_BYTES", 200_000)
    callflow = structure({"id": "x" * 32, "name": "n" * 8000, "flow": {"module": "menu"}}, Callflow)
    page = AccountPage(account=Account(id="a" * 32), items=(callflow,) * 12)

    def peak(pages: int) -> int:
        writers = [
            open_writer(Job(command="", output=output, to=f"{tmp_path}/{pages}.{output}", details=True), tmp_path)
            for output in ("ndjson", "csv", "parquet")
        ]
        tracemalloc.start()
        for _ in range(pages):
            for writer in writers:
                writer.write(page)
        for writer in writers:
            writer.end(Ending())
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)  # what is imported at the first time
    few, many = peak(8), peak(64)  # 0.8 and 6.2 MB of lines
    assert many < 1.5 * few
    assert duckdb.sql(f"select count(*) from '{tmp_path}/64.parquet'").fetchall() == [(768,)]
    groups = duckdb.sql(f"select count(distinct row_group_id) from parquet_metadata('{tmp_path}/64.parquet')")
    assert groups.fetchall()[0][0] > 20


def test_a_saved_job_comes_back(tmp_path: Path) -> None:
    point = Checkpoint(scope="/accounts/a/callflows", start_key="k", done=("1", "2"), yielded=9)
    sweep = SweepCheckpoint(done=frozenset({"b"}), unfinished={"a": point})
    job = Job(command="callflows export", accounts=("a", "b"), filters={"has_key": "x"}, to="/x", where="sandbox")
    connection = Connection(sandbox=True, sandbox_accounts=9, profile="p")
    saved = SavedJob(job=job, connection=connection, size=7, sweep=sweep)
    assert SavedJob.from_json(saved.to_json(), Connection(profile="p")) == saved
    for text in (
        "",
        "[]",
        "{}",
        saved.to_json().replace('"version": 2', '"version": 9', 1),
        '{"version": 1, "size": 1}',
    ):
        with pytest.raises(UsageError, match=r"not a checkpoint of vinix|another version of vinix"):
            SavedJob.from_json(text, connection)


@pytest.mark.parametrize(
    ("part", "name", "wrong"),
    [
        ("job", "accounts", "ab"),
        ("job", "accounts", [5]),
        ("job", "filters", []),
        ("job", "shard", "2/8"),
        ("job", "to", 5),
        ("job", "details", "no"),
        ("job", "unknown", 1),
        ("sandbox", "sandbox_accounts", "9"),
        ("", "sandbox", []),
        ("", "size", -1),
        ("", "size", "7"),
        ("", "size", float("inf")),
        ("", "version", True),
        ("", "version", []),
    ],
)
def test_a_damaged_checkpoint_is_refused(part: str, name: str, wrong: Any) -> None:
    job = Job(command="callflows export", accounts=("a",), to="/x", where="sandbox")
    saved = json.loads(SavedJob(job=job, connection=Connection(), size=7, sweep=SweepCheckpoint()).to_json())
    (saved[part] if part else saved)[name] = wrong
    with pytest.raises(UsageError, match="not a checkpoint of vinix"):
        SavedJob.from_json(json.dumps(saved), Connection())


def test_a_checkpoint_does_not_name_a_server() -> None:
    saved = SavedJob(job=Job(command="x"), connection=Connection(), size=0, sweep=SweepCheckpoint())
    changed = json.loads(saved.to_json())
    changed["sandbox"]["base"] = "https://other.example.com/v2"
    assert SavedJob.from_json(json.dumps(changed), Connection()).connection == Connection()


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000, b'{"version"'], ids=lambda value: repr(value[:9]))
def test_a_file_that_is_not_a_checkpoint(vinix: Command, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    done = vinix("callflows", "export", "--resume", "file")
    assert done.returncode == 2
    assert done.stderr == "vinix: file: the file is not a checkpoint of vinix, or it is damaged\n"


def test_a_checkpoint_of_the_first_version_is_read() -> None:
    point = {"version": 1, "scope": "/accounts/a/callflows", "start_key": "k", "done": ["1"], "before": ["0"]}
    sweep = {"version": 1, "scope": "", "done": ["b"], "failed": {"a": {**point, "yielded": 9, "finished": False}}}
    job = {"command": "callflows list", "accounts": ["a", "b"], "filters": {}, "raw_cells": False, "where": "sandbox"}
    text = json.dumps({"version": 1, "job": job, "sandbox": {"sandbox": True}, "size": 7, "sweep": sweep})
    saved = SavedJob.from_json(text, Connection())
    assert saved.job.accounts == ("a", "b")
    assert saved.size == 7
    assert saved.sweep.done == frozenset({"b"})
    assert saved.sweep.unfinished["a"].start_key == "k"
    with pytest.raises(UsageError, match="damaged"):
        SavedJob.from_json(text.replace('"yielded": 9', '"yielded": -9'), Connection())


def test_a_checkpoint_is_for_its_own_command_server_and_file(vinix: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.deny(sandbox.account_ids[1], 403)
    failed = vinix("callflows", "export", "--all", "--to", "all.csv")
    path = str(tmp_path / "all.csv.checkpoint")
    for arguments, words in (
        (("callflows", "list", "--resume", path), "vinix callflows export"),
        (("callflows", "export", "--all", "--resume", path), "remove the arguments and options"),
        (("callflows", "export", "--base", "http://127.0.0.1:1/v2", "--resume", path), "belongs to a job on http"),
    ):
        done = vinix(*arguments)
        assert done.returncode == 2
        assert words in done.stderr
    (tmp_path / "all.csv").write_text("another file")
    done = vinix(*again(failed.stderr))
    assert done.returncode == 2
    assert "shorter" in done.stderr
    assert (tmp_path / "all.csv").read_text() == "another file"
    assert vinix("callflows", "export", "--all", "--to", "all.csv", "--force").returncode == 3


def test_a_resumed_job_writes_parquet_anew_but_not_to_a_terminal(vinix: Command, sandbox: Sandbox) -> None:
    sandbox.deny(sandbox.account_ids[1], 403)
    failed = vinix("callflows", "export", "--all", "--output", "parquet")
    assert failed.returncode == 3
    assert "append" not in failed.stderr
    assert "cannot be shown on a terminal" in vinix.on_a_terminal(*again(failed.stderr), code=2)


def test_files_are_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private_file(path, b"old")
    with pytest.raises(KeyError), replacing(path, private=True) as fresh:
        fresh.write_bytes(b"half")
        raise KeyError
    assert path.read_bytes() == b"old"
    write_private_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_an_output_that_is_replaced_has_the_mode_of_other_new_files(tmp_path: Path, umask: int, mode: int) -> None:
    path = tmp_path / "all.html"
    before = os.umask(umask)
    try:
        with replacing(path) as new:
            new.write_bytes(b"a page")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("arguments", ["report --to all.html", "callflows export --to all.parquet"])
def test_rows_that_nothing_can_continue_are_deleted(
    vinix: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str
) -> None:
    done = vinix(*arguments.split(), "--all", VINIX_PASSWORD="planted-9")
    assert done.returncode == 4
    assert not list(tmp_path.glob("*.rows"))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SavedJob, "write", full)
    monkeypatch.setattr(export.File, "save", full)
    done = vinix(*arguments.split(), "--all", "--force")
    assert done.returncode == 1
    assert "no progress was saved" in done.stderr
    assert not list(tmp_path.glob("*.rows"))


@pytest.mark.parametrize("arguments", ["report --to all.html", "callflows export --to all.parquet"])
def test_what_a_killed_conversion_leaves_is_deleted(tmp_path: Path, sandbox: Sandbox, arguments: str) -> None:
    vinix, name = Command(tmp_path, **variables(sandbox)), arguments.rpartition(" ")[2]
    with replacing(tmp_path / name) as new:
        left = new.name
    (tmp_path / name).rename(tmp_path / left)
    kept = [f".{name}.20261129", f".other-{left[1:]}"]
    for each in kept:
        (tmp_path / each).touch()
    assert vinix(*arguments.split()).returncode == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([name, *kept])


def test_a_disk_that_is_full_loses_nothing_that_was_saved(vinix: Command) -> None:
    done = vinix(
        "callflows", "export", "--all", "--to", "/dev/full", "--output", "csv", "--force", "--checkpoint", "kept"
    )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_credentials_that_end_meanwhile_end_the_job(vinix: Command, sandbox: Sandbox) -> None:
    token = Command(vinix.home, **{**vinix.variables, "VINIX_AUTH_TOKEN": "planted.planted.planted"})
    done = token("callflows", "list", *sandbox.account_ids)
    assert done.returncode == 4
    assert done.stderr.count("failed: ") < 40
    assert sandbox.count(status=401) < 80


def test_the_descendants_that_cannot_be_listed_are_an_error(vinix: Command, sandbox: Sandbox) -> None:
    sandbox.deny(sandbox.root_id, 403)
    done = vinix("callflows", "list", "--descendants-of", "ROOT", sandbox.account_ids[1])
    assert done.returncode == 1
    assert "PermissionDeniedError" in done.stderr
    assert ids(done.stdout) == sandbox.callflow_ids(sandbox.account_ids[1])
    sandbox.allow(sandbox.root_id)
    rest = vinix(*again(done.stderr))
    assert ids(done.stdout + rest.stdout) == sorted(set(truth(sandbox)) - set(sandbox.callflow_ids(sandbox.root_id)))
