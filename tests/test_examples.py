"""The examples run as they stand."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from vinix_async.sandbox import Sandbox

NIGHTLY = Path(__file__).parent.parent / "examples" / "nightly.py"
KILLED = Path(__file__).parent / "killed_nightly.py"


def truth(accounts: int) -> list[str]:
    sandbox = Sandbox(accounts=accounts)
    return sorted(each for account_id in sandbox.account_ids[1:] for each in sandbox.callflow_ids(account_id))


def written(data: Path) -> list[str]:
    return sorted(json.loads(line)["callflow"]["id"] for line in data.read_text().splitlines())


def test_nightly_writes_every_callflow_once_and_a_second_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, saved = tmp_path / "callflows.ndjson", tmp_path / "checkpoint.json"
    done = subprocess.run([sys.executable, NIGHTLY, data, saved], check=True, capture_output=True, timeout=30)  # noqa: S603  # ours
    assert done.stderr == b""
    assert written(data) == truth(20)
    monkeypatch.setattr(sys, "argv", [str(NIGHTLY), str(data), str(saved)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(NIGHTLY), run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().err == ""
    assert written(data) == truth(20)


def test_c20_each_line_of_nightly_names_its_account(tmp_path: Path) -> None:
    data = tmp_path / "callflows.ndjson"
    subprocess.run([sys.executable, NIGHTLY, data, tmp_path / "saved"], check=True, timeout=30)  # noqa: S603  # ours
    sandbox = Sandbox(accounts=20)
    for row in map(json.loads, data.read_text().splitlines()):
        assert row["callflow"]["id"] in sandbox.callflow_ids(row["account_id"])


def test_c20_nightly_without_arguments_says_what_it_needs() -> None:
    done = subprocess.run([sys.executable, NIGHTLY], capture_output=True, text=True, check=False, timeout=30)  # noqa: S603  # ours
    assert done.returncode == 1
    assert done.stderr == "usage: nightly.py DATA CHECKPOINT\n"


@pytest.mark.parametrize("seed", [1, 2])
def test_nightly_killed_at_any_moment_goes_on_where_it_was(tmp_path: Path, seed: int) -> None:
    data, saved = tmp_path / "callflows.ndjson", tmp_path / "checkpoint.json"
    measured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment = {**measured, "ACCOUNTS": "28", "SAVE_EVERY": "0.01"}  # a process that is killed tells no coverage
    subprocess.run([sys.executable, KILLED, NIGHTLY, data, saved, str(seed)], env=environment, check=True)  # noqa: S603  # ours
    assert written(data) == truth(28)
