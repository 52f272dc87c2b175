"""``vinix mirror``: a copy of callflows in a database, and the questions about it."""

import asyncio
import fcntl
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cli_support import Command, accounts_of, served, variables
from mirrored import Refresh, callflow

from vinix_async.cli.exit_codes import UsageError
from vinix_async.cli.times import span, utc_period, utc_time
from vinix_async.mirror import Mirror

FLOW = {"module": "voicemail", "data": {"id": "v1"}}


@pytest.fixture
def vinix(tmp_path: Path) -> Command:
    return Command(tmp_path, VINIX_MIRROR=str(tmp_path / "mirror.db"))


async def fill(path: Path) -> None:
    async with Mirror(path) as mirror:
        refresh = Refresh(mirror)
        await refresh(0, callflow("c1", numbers=["+15551234567"]), callflow("c2", "Nights", flow=FLOW))
        await refresh(0, callflow("d1", "Door", flow=FLOW), account_id="a2")
        await refresh(24, callflow("c1", "Main menu", numbers=["+15551234567"]), callflow("c3", "New"))
        await refresh(24, callflow("d1", "Door", flow=FLOW, ui_metadata={"x": 1}), account_id="a2")
        await refresh(48, callflow("c1", "Main menu", numbers=[]), deleted=("c2",))
        await refresh.fail(49, "a2", "forbidden", "PermissionDeniedError: 403 forbidden")


@pytest.fixture
def filled(vinix: Command) -> Command:
    asyncio.run(fill(vinix.home / "mirror.db"))
    return vinix


def test_changes(filled: Command) -> None:
    done = filled("mirror", "changes", "--since", "2026-03-01T02:00")
    assert done.stdout == (
        "\n Name of a1  a1  2026-03-02 02:00:00Z, after 2026-03-01 02:00:00Z\n"
        "+ New  User u1\n"
        "~ Main menu  +15551234567\n"
        "    ~ name Main -> Main menu\n"
        "\n Name of a1  a1  2026-03-03 02:00:00Z, after 2026-03-02 02:00:00Z\n"
        "- Nights  Voicemail v1\n"
        "~ Main menu\n"
        "    - number +15551234567\n"
    )
    assert done.stderr == "4 changes in 3 callflows since 2026-03-01 02:00:00Z\n"
    rows = json.loads(filled("mirror", "changes", "--since", "2026-03-03", "--output", "json").stdout)
    assert [(row["at"], row["kind"], row["account_name"]) for row in rows] == [
        ("2026-03-03T02:00:00+00:00", "removed", "Name of a1"),
        ("2026-03-03T02:00:00+00:00", "number_removed", "Name of a1"),
    ]
    done = filled("mirror", "changes", "--since", "2026-03-02", "--until", "2026-03-02T02:00Z", "--account", "a1")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "no changes since 2026-03-02 00:00:00Z and before 2026-03-02 02:00:00Z\n"
    assert filled("mirror", "changes").stderr.startswith("no changes since ")
    done = filled("mirror", "changes", "--since", "2026-03-03", "--until", "2026-03-02")
    assert (done.returncode, done.stderr) == (2, "vinix: --since is after --until, so nothing would match\n")
    done = filled("mirror", "changes", "--since", "9999-12-31")
    assert (done.returncode, done.stderr) == (2, "vinix: --since is in the future, so nothing would match\n")


def test_uses(filled: Command) -> None:
    done = filled("mirror", "uses", "v1")
    assert (done.returncode, done.stdout) == (0, "  Name of a2  Door  Voicemail, id  /flow\n")
    assert filled("mirror", "uses", "v1", "--at", "2026-03-01T02:30").stdout.count("\n") == 2
    (row,) = json.loads(filled("mirror", "uses", "v1", "--output", "json").stdout)
    assert (row["account_name"], row["callflow_id"], row["field"]) == ("Name of a2", "d1", "id")
    done = filled("mirror", "uses", "v9", "--output", "json")
    assert (done.returncode, done.stdout, done.stderr) == (5, "[]\n", "v9 is used nowhere\n")
    done = filled("mirror", "uses", "v1", "--at", "2026-02-01")
    assert done.returncode == 1
    assert "NotKnownError: the mirror has no data for any account before 2026-03-01 02:00:00 UTC" in done.stderr


def test_secrets_are_hidden(vinix: Command) -> None:
    url = "https://bob:planted@h.example/x"
    flow = {"module": "branch_variable", "data": {}, "children": {url: FLOW}}

    async def refresh() -> None:
        async with Mirror(vinix.home / "mirror.db") as mirror:
            await Refresh(mirror)(0, callflow("c1", url, flow=flow, numbers=["1"]))

    asyncio.run(refresh())
    for output in ("table", "json"):
        for question in (["uses", "v1"], ["number", "1"], ["status"]):
            assert "planted" not in vinix("mirror", *question, "--output", output).stdout
    (row,) = json.loads(vinix("mirror", "uses", "v1", "--output", "json").stdout)
    assert (row["name"], row["path"]) == ("https://h.example/x", "/flow/children/https:~1~1h.example~1x")


def test_number(filled: Command) -> None:
    line = "  Name of a1  Main menu  2026-03-01 02:00:00Z to 2026-03-03 02:00:00Z\n"
    for text in ("+15551234567", "+1 (555) 123-4567"):
        assert filled("mirror", "number", text).stdout == line
    assert filled("mirror", "number", "+15551234567", "--during", "2026-03-02").stdout == line
    assert filled("mirror", "number", "+15551234567", "--during", "2026-03").returncode == 1  # its first two hours
    done = filled("mirror", "number", "+15551234567", "--during", "2026-03-04", "--output", "json")
    assert (done.returncode, done.stdout, done.stderr) == (5, "[]\n", "no callflow had +15551234567\n")
    (row,) = json.loads(filled("mirror", "number", "+15551234567", "--output", "json").stdout)
    assert (row["valid_from"], row["valid_to"]) == ("2026-03-01T02:00:00+00:00", "2026-03-03T02:00:00+00:00")


def test_history(filled: Command) -> None:
    expected = (
        "2026-03-01 02:00:00Z\n+ Main  +15551234567  User u1\n"
        "2026-03-02 02:00:00Z, after 2026-03-01 02:00:00Z\n~ Main menu  +15551234567\n"
        "    ~ name Main -> Main menu\n"
        "2026-03-03 02:00:00Z, after 2026-03-02 02:00:00Z\n~ Main menu\n    - number +15551234567\n"
    )
    assert filled("mirror", "history", "a1", "c1").stdout == expected
    assert filled("mirror", "history", "a1", "main").stdout == expected
    assert filled("mirror", "history", "a1", "c2").stdout.endswith("2026-03-03 02:00:00Z\n- Nights  Voicemail v1\n")
    rows = json.loads(filled("mirror", "history", "a1", "c2", "--output", "json").stdout)
    assert [(row["ended_by"], row["document"]["name"]) for row in rows] == [("delete", "Nights")]
    done = filled("mirror", "history", "a1", "e")
    assert done.returncode == 2
    assert "'e' matches several callflows" in done.stderr
    done = filled("mirror", "history", "a1", "c9")
    assert (done.returncode, "the mirror has no version of callflow c9 of account a1" in done.stderr) == (1, True)


def test_status(filled: Command) -> None:
    assert filled("mirror", "status").stdout == (
        "  Name of a1  ok         2026-03-03 02:00:00Z  \n"
        "  Name of a2  forbidden  2026-03-02 02:00:00Z  PermissionDeniedError: 403 forbidden\n"
    )
    rows = json.loads(filled("mirror", "status", "--output", "json").stdout)
    assert [row["state_since"] for row in rows] == ["2026-03-01T02:00:00+00:00", "2026-03-03T03:00:00+00:00"]


def test_which_database(tmp_path: Path) -> None:
    vinix = Command(tmp_path)
    done = vinix("mirror", "status")
    assert (done.returncode, done.stderr) == (2, "vinix: name the database with --db, or set VINIX_MIRROR\n")
    done = vinix("mirror", "status", "--db", "none.db")
    assert done.returncode == 1
    assert done.stderr == ("vinix: MirrorError: the mirror none.db does not exist: `vinix mirror refresh` creates it\n")
    for address in (
        "postgresql://ann:planted-secret@127.0.0.1/calls",
        "postgresql://127.0.0.1/calls?user=ann&password=planted-secret",
    ):
        done = vinix("mirror", "status", "--db", address)
        assert done.returncode == 2
        assert "--db must not contain a password" in done.stderr
        assert "VINIX_MIRROR" in done.stderr
        assert ".pgpass" in done.stderr
    assert vinix("mirror", "status", "--db", "postgresql://[").returncode == 2
    assert vinix("mirror", "status", "--db", "mysql://host").returncode == 2


def test_times() -> None:
    assert utc_time("--at", "2026-03-05") == datetime(2026, 3, 5, tzinfo=UTC)
    assert utc_time("--at", "2026-03-05T10:00+02:00") == datetime(2026, 3, 5, 8, tzinfo=UTC)
    before = datetime.now(UTC)
    assert before <= utc_time("--at", "7d") + timedelta(days=7) <= datetime.now(UTC)
    for text in ("soon", "7y", "2026-13-01"):
        with pytest.raises(UsageError, match="--at must be a date such as"):
            utc_time("--at", text)
    for text in ("99999999w", "99999999999w"):
        with pytest.raises(UsageError, match="--at must be a shorter span"):
            utc_time("--at", text)
    assert span("--max-age", "12h") == timedelta(hours=12)
    with pytest.raises(UsageError, match="--max-age must be a span such as 12h"):
        span("--max-age", "12")
    with pytest.raises(UsageError, match="--max-age must be a shorter span"):
        span("--max-age", "99999999999w")

    def days(*dates: tuple[int, int, int]) -> tuple[datetime, ...]:
        return tuple(datetime(*each, tzinfo=UTC) for each in dates)

    assert utc_period("--during", "2026") == days((2026, 1, 1), (2027, 1, 1))
    assert utc_period("--during", "2024-02") == days((2024, 2, 1), (2024, 3, 1))
    assert utc_period("--during", "2026-12") == days((2026, 12, 1), (2027, 1, 1))
    assert utc_period("--during", "2026-12-31") == days((2026, 12, 31), (2027, 1, 1))
    for text in ("2026-3", "2026-13", "2026-02-30", "9999-12-31", "March"):
        with pytest.raises(UsageError, match="--during must be a year, a month or a day"):
            utc_period("--during", text)


# --- refresh ---


def test_refresh(tmp_path: Path) -> None:
    with served(accounts=3, callflows=4) as sandbox:
        vinix = Command(tmp_path, VINIX_MIRROR=str(tmp_path / "mirror.db"), **variables(sandbox))
        done = vinix("mirror", "refresh", "--all")
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr.startswith("3 accounts, 12 added, 0 changed, 0 deleted, 17 requests, 0 retries, ")
        other, gone = sandbox.account_ids[1:]
        named = {
            each["account_id"]: each["name"]
            for each in json.loads(vinix("mirror", "status", "--output", "json").stdout)
        }
        sandbox.remove(other, sandbox.callflow_ids(other)[0])
        sandbox.remove_account(gone)
        done = vinix("mirror", "refresh", "--all")
        assert done.returncode == 3
        assert done.stderr.startswith(f"failed: {gone} ({named[gone]}): NotFoundError: 404 bad_identifier")
        assert "\n3 accounts (1 failed), 0 added, 0 changed, 1 deleted, " in done.stderr
        done = vinix("mirror", "refresh", "--all", "--max-age", "12h", "--page-size", "3")
        assert done.returncode == 0  # it is known to be gone
        assert done.stderr.startswith("2 accounts skipped: refreshed within --max-age\n3 accounts, ")
        assert "gone" in vinix("mirror", "status").stdout
        assert vinix("mirror", "refresh", other, "--max-age", "soon").returncode == 2
        assert "[default: 1000]" in vinix("mirror", "refresh", "--help").stdout

        sandbox.break_callflow(sandbox.root_id, callflow_id := sandbox.callflow_ids(sandbox.root_id)[0])
        sandbox.put(sandbox.root_id, {**sandbox.document(sandbox.root_id, callflow_id), "name": "Broken"})
        done = vinix("mirror", "refresh")  # of one account
        assert done.returncode == 3
        assert done.stderr.startswith(f"unreadable: {sandbox.root_id}, {callflow_id}: ")
        assert "1 callflow could not be read" in vinix("mirror", "status").stdout

        locked = os.open(tmp_path / "mirror.db-lock", os.O_RDWR)
        fcntl.flock(locked, fcntl.LOCK_EX)
        done = vinix("mirror", "refresh", other)
        assert done.returncode == 0
        assert done.stderr.startswith("1 account skipped: locked by another refresh\n")
        os.close(locked)

        done = vinix("mirror", "refresh", "--all", VINIX_PASSWORD="wrong")
        assert done.returncode == 4
        assert "AuthenticationError" in done.stderr
        (tmp_path / "text.db").write_text("an address book " * 100)
        done = vinix("mirror", "refresh", "--db", "text.db")
        assert done.returncode == 1
        assert "MirrorError: the mirror text.db is not an SQLite database" in done.stderr
        assert done.stderr.endswith(" s; run the command again to continue\n")


def test_a_server_that_ignores_filters_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vinix_async.sandbox.listings.filters_in", lambda _: {})
    with served(accounts=1, callflows=2) as sandbox:
        vinix = Command(tmp_path, VINIX_MIRROR=str(tmp_path / "mirror.db"), **variables(sandbox))
        assert "filter" not in vinix("mirror", "refresh").stderr  # of an account that is new
        done = vinix("mirror", "refresh")
        assert done.stderr.startswith("the server ignores the filter modified_from: ")
        assert done.returncode == 0


def test_a_refresh_that_is_interrupted_continues(tmp_path: Path) -> None:
    with served(accounts=2, callflows=4) as sandbox:
        vinix = Command(tmp_path, VINIX_MIRROR=str(tmp_path / "mirror.db"), **variables(sandbox))
        stuck = sandbox.account_ids[1]
        sandbox.hang(stuck)
        typed: list[str] = []

        def keys(seen: str) -> str | None:
            if "1/2 accounts, 4 added" in seen and not typed:
                typed.append("\x03")
                return "\x03"
            return None

        seen = vinix.on_a_terminal("mirror", "refresh", "--all", keys=keys, code=130)
        assert "interrupted after 1 account, 4 added, 0 changed, 0 deleted, " in seen
        assert "run the command again to continue" in seen
        sandbox.allow(stuck)
        done = vinix("mirror", "refresh", "--all")
        assert done.stderr.startswith("2 accounts, 4 added, 0 changed, 0 deleted, ")
        assert (
            json.loads(vinix("mirror", "changes", "--account", stuck, "--since", "0m", "--output", "json").stdout) == []
        )


# --- other commands that read a mirror ---


def test_other_commands_read_from_a_mirror(filled: Command) -> None:
    db = ("--db", "mirror.db")
    done = filled("callflows", "uses", "v1", *db)
    assert (done.returncode, done.stdout.splitlines()[-1].split()) == (0, ["Door", "start:", "Voicemail", "v1"])
    assert filled("callflows", "uses", "a1", "v1", *db).returncode == 5
    (filled.home / "nobody").touch()
    assert filled("callflows", "uses", "v1", *db, "--accounts-from", "nobody").returncode == 5
    assert filled("callflows", "uses", "v1", *db, "--accounts-from", "nobody", "--all").returncode == 0
    assert "Main menu" in filled("callflows", "trace", "a1", "c1", *db).stdout
    assert filled("callflows", "trace", "ROOT", "c1", *db, VINIX_ACCOUNT_ID="a1").returncode == 0
    done = filled("callflows", "check", *db, "--notes", "--output", "json")
    assert {row["account_name"] for row in json.loads(done.stdout)} == {"Name of a1", "Name of a2"}
    done = filled("report", *db, "--to", "report.html")
    assert (done.returncode, done.stderr) == (0, "wrote 2 accounts to report.html\n")
    found = accounts_of((filled.home / "report.html").read_text())
    assert {(each[1], len(each[5])) for each in found.values()} == {("Name of a1", 2), ("Name of a2", 1)}
    assert filled("report", *db, "--to", "report.html").returncode == 2
    done = filled("report", "a1", "a9", *db, "--to", "report.html", "--force")
    assert done.returncode == 3
    assert done.stderr == (
        "failed: a9: NotKnownError: the mirror has no data for account a9: "
        "this account has not been refreshed completely yet\n"
        "wrote 1 account to report.html\n"
    )
    retry = accounts_of((filled.home / "report.html").read_text())["a9"][4]["retry"]
    assert retry == "vinix report a9 --to a9.html --db mirror.db"
    assert filled("report", "a9", *db, "--to", "other.html").returncode == 1
    assert not list(filled.home.glob("other*"))
    (filled.home / "own").write_text("ROOT\n")
    for arguments in (
        ("callflows", "uses", "v1", *db, "--descendants-of", "a1"),
        ("callflows", "uses", "export.ndjson", "v1", *db),
        ("callflows", "trace", "ROOT", "c1", *db),
        ("callflows", "uses", "v1", *db, "--account", "a1"),
        ("callflows", "uses", "v1", *db, "--accounts-from", "own"),
        ("report", *db, "--to", "new.html", "--page-size", "5"),
    ):
        assert filled(*arguments).returncode == 2, arguments
