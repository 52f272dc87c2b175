"""The examples run as they are."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from vinix_async.sandbox import Sandbox
from vinix_async.testing import VirtualClock

NIGHTLY = Path(__file__).parent.parent / "examples" / "nightly.py"
KILLED = Path(__file__).parent / "killed_nightly.py"


def truth(accounts: int) -> list[tuple[str, str]]:
    sandbox = Sandbox(accounts=accounts)
    return sorted((name, each) for name in sandbox.account_ids[1:] for each in sandbox.callflow_ids(name))


def written(data: Path) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in data.read_text().splitlines()]
    return sorted((line["account_id"], line["callflow"]["id"]) for line in lines)


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


def test_nightly_that_was_killed_is_continued(tmp_path: Path) -> None:
    data, saved = tmp_path / "callflows.ndjson", tmp_path / "checkpoint.json"
    measured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment = {**measured, "ACCOUNTS": "28", "SAVE_EVERY": "0.01"}  # a process that is killed tells no coverage
    subprocess.run([sys.executable, KILLED, NIGHTLY, data, saved], env=environment, check=True)  # noqa: S603  # ours
    assert written(data) == truth(28)


@pytest.mark.parametrize("arguments", [[], ["one"], ["one", "two", "three"]])
def test_nightly_says_what_it_needs(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(NIGHTLY), *arguments])
    with pytest.raises(SystemExit, match=r"usage: nightly\.py DATA CHECKPOINT"):
        runpy.run_path(str(NIGHTLY), run_name="__main__")


async def test_nightly_names_what_is_missing_and_tries_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nightly = runpy.run_path(str(NIGHTLY))["nightly"]
    data, saved = tmp_path / "callflows.ndjson", tmp_path / "checkpoint.json"
    async with Sandbox(accounts=5, clock=VirtualClock()) as sandbox:
        denied, odd = sandbox.account_ids[2:4]
        bad = sandbox.callflow_ids(odd)[0]
        whole = sandbox.document(odd, bad)
        expected = sorted((name, each) for name in sandbox.account_ids[1:] for each in sandbox.callflow_ids(name))
        sandbox.deny(denied, 403)
        sandbox.put(odd, {**whole, "numbers": [1001]})
        async with sandbox.client() as client:
            assert not await nightly(client, sandbox.root_id, data, saved)
        lines = sorted(capsys.readouterr().err.splitlines())
        assert len(lines) == 2
        assert any(line.startswith(f"account {odd}, callflow {bad}: ") and "numbers[0]" in line for line in lines)
        assert any(line.startswith(f"account {denied}: 403") for line in lines)
        sandbox.allow(denied)
        sandbox.put(odd, whole)
        async with sandbox.client() as client:
            assert await nightly(client, sandbox.root_id, data, saved)
    assert written(data) == expected
