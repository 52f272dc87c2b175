"""The examples run as they are, against the sandbox."""

import asyncio
import json
import os
import runpy
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn

from vinix_async import ClientClosedError, VinixError
from vinix_async.sandbox import Sandbox
from vinix_async.testing import VirtualClock

EXAMPLES = Path(__file__).parent.parent / "examples"
NIGHTLY = EXAMPLES / "nightly.py"
KILLED = Path(__file__).parent / "killed_nightly.py"


def environment_of(sandbox: Sandbox) -> dict[str, str]:
    return {"VINIX_BASE": sandbox.url, "VINIX_API_KEY": sandbox.api_key_auth().api_key}


def example(name: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of an example whose clients reach the sandbox."""
    for variable, value in environment_of(sandbox).items():
        monkeypatch.setenv(variable, value)
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


async def start(*command: object, **environment: str) -> tuple[int, str]:
    """Run a program with an example, and return its exit code and its stderr."""
    # A process that is killed tells no coverage.
    others = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *map(str, command), stderr=asyncio.subprocess.PIPE, env={**others, **environment}
    )
    _, errors = await process.communicate()
    return process.returncode or 0, errors.decode()


# --- the nightly job -----------------------------------------------------------------------------


def everything_in(sandbox: Sandbox) -> list[tuple[str, str]]:
    return sorted((name, each) for name in sandbox.account_ids[1:] for each in sandbox.callflow_ids(name))


def written(data: Path) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in data.read_text().splitlines()]
    return sorted((line["account_id"], line["callflow"]["id"]) for line in lines)


async def test_nightly_that_was_killed_is_continued(tmp_path: Path) -> None:
    data, saved = tmp_path / "callflows.ndjson", tmp_path / "checkpoint.json"
    async with Sandbox(accounts=28) as sandbox:
        code, errors = await start(KILLED, NIGHTLY, data, saved, **environment_of(sandbox))
        assert code == 0, errors
        assert written(data) == everything_in(sandbox)
    assert "INFO vinix_async: sweep ended" in errors


async def test_nightly_writes_every_callflow_once_and_a_second_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, saved = tmp_path / "callflows.ndjson", tmp_path / "checkpoint.json"
    async with Sandbox(accounts=20) as sandbox:
        run = example("nightly", sandbox, monkeypatch)["run"]
        for _ in range(2):
            assert await run(data, saved) == 0
            assert written(data) == everything_in(sandbox)
        parent = sandbox.account_ids[1]
        monkeypatch.setenv("VINIX_ACCOUNT_ID", parent)
        assert await run(tmp_path / "below", tmp_path / "checkpoint") == 0
        assert {account for account, _ in written(tmp_path / "below")} < set(sandbox.account_ids) - {parent}


async def test_nightly_names_what_is_missing_and_tries_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data, saved = tmp_path / "callflows.ndjson", tmp_path / "checkpoint.json"
    async with Sandbox(accounts=5, clock=VirtualClock()) as sandbox:
        run = example("nightly", sandbox, monkeypatch)["run"]
        denied, odd = sandbox.account_ids[2:4]
        bad = sandbox.callflow_ids(odd)[0]
        whole = sandbox.document(odd, bad)
        expected = everything_in(sandbox)
        sandbox.deny(denied, 403)
        sandbox.put(odd, {**whole, "numbers": [1001]})
        assert await run(data, saved) == 3
        missing = sorted(record.getMessage() for record in caplog.records if record.levelname == "ERROR")
        assert len(missing) == 2
        assert any(f"callflow {bad}" in line and "numbers[0]" in line for line in missing)
        assert any(denied in line and "403" in line for line in missing)
        sandbox.allow(denied)
        sandbox.put(odd, whole)
        assert await run(data, saved) == 0
    assert written(data) == expected


async def test_nightly_says_in_one_line_why_it_cannot_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data, saved = tmp_path / "callflows.ndjson", tmp_path / "checkpoint.json"
    async with Sandbox(accounts=3, clock=VirtualClock()) as sandbox:
        run = example("nightly", sandbox, monkeypatch)["run"]

        async def fails(code: int) -> str:
            caplog.clear()
            assert await run(data, saved) == code
            (line,) = (record.getMessage() for record in caplog.records if record.name == "nightly")
            return line

        sandbox.refuse_logins()
        assert "refused" in await fails(4)
        sandbox.refuse_logins(False)
        assert await run(data, saved) == 0
        data.write_bytes(b"")
        assert "is shorter than" in await fails(2)
        monkeypatch.setenv("VINIX_ACCOUNT_ID", "f" * 32)
        saved.unlink()
        assert "404" in await fails(1)
        monkeypatch.delenv("VINIX_API_KEY")
        assert "no credentials" in await fails(2)


async def test_the_export_of_a_night_is_continued_until_nothing_is_missing(tmp_path: Path) -> None:
    async with Sandbox(accounts=4) as sandbox:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        plain = {"PATH": path, "HOME": str(tmp_path), "TZ": "UTC"}
        environment = {**plain, **environment_of(sandbox), "VINIX_ACCOUNT_ID": sandbox.root_id}

        async def export() -> tuple[int, list[str]]:
            process = await asyncio.create_subprocess_exec(
                EXAMPLES / "nightly_export.sh", tmp_path, env=environment, stderr=asyncio.subprocess.PIPE
            )
            _, errors = await process.communicate()
            return process.returncode or 0, errors.decode().splitlines()

        day = f"{datetime.now(UTC):%Y-%m-%d}"
        final, part = tmp_path / f"{day}.ndjson", tmp_path / f"{day}.part.ndjson"
        part.write_text("a run that was killed before its first checkpoint")
        denied = sandbox.account_ids[2]
        sandbox.deny(denied, 403)
        code, errors = await export()
        assert (code, final.exists()) == (3, False)
        assert any(denied in line and "403" in line for line in errors)
        sandbox.allow(denied)
        assert (await export())[0] == 0
        rows = [json.loads(line) for line in final.read_text().splitlines()]
        assert sorted((row["account_id"], row["id"]) for row in rows) == everything_in(sandbox)
        assert all("flow" in row for row in rows)
        assert not part.exists()
        assert await export() == (0, [])


@pytest.mark.parametrize("arguments", [[], ["one"], ["one", "two", "three"]])
def test_nightly_says_what_it_needs(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(NIGHTLY), *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(NIGHTLY), run_name="__main__")
    assert ended.value.code == 2
    assert "nightly.py [-h] data checkpoint" in capsys.readouterr().err


# --- the service ---------------------------------------------------------------------------------


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[aiohttp.ClientSession]:
    """Serve an ASGI application with uvicorn, and yield a session that reaches it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5))
        serving = asyncio.create_task(server.serve([listener]))
        async with aiohttp.ClientSession(f"http://127.0.0.1:{listener.getsockname()[1]}") as session:
            try:
                yield session
            finally:
                server.should_exit = True
                await serving


async def test_the_service_answers_and_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox(accounts=6, clock=VirtualClock()) as sandbox:
        root, one = sandbox.root_id, sandbox.account_ids[1]
        first = sandbox.callflow_ids(one)[0]
        service = example("fastapi_service", sandbox, monkeypatch)
        async with served(service["app"]) as session:

            async def get(path: str) -> tuple[int, Any]:
                async with session.get(path) as response:
                    return response.status, await response.json()

            status, found = await get(f"/accounts/{one}/callflows")
            assert (status, {each["id"] for each in found}) == (200, set(sandbox.callflow_ids(one)))
            status, found = await get(f"/accounts/{one}/callflows/{first}")
            assert (status, found["flow"]) == (200, sandbox.document(one, first)["flow"])

            denied = sandbox.account_ids[2]
            sandbox.deny(denied)
            async with session.get(f"/accounts/{root}/descendants/callflows") as response:
                assert (response.status, response.content_type) == (200, "application/x-ndjson")
                *lines, last = [json.loads(line) async for line in response.content]
            assert last == {"accounts_done": 4, "accounts_failed": 1}
            errors = {line["account_id"]: line["error"] for line in lines if line["is_last"]}
            assert errors == dict.fromkeys(sandbox.account_ids[1:]) | {denied: "PermissionDeniedError"}
            streamed = {(line["account_id"], each["id"]) for line in lines for each in line["callflows"]}
            expected = {pair for pair in everything_in(sandbox) if pair[0] != denied}
            assert streamed == expected

            status, found = await get(f"/accounts/{one}/callflows/{'f' * 32}")
            assert (status, found["detail"]) == (404, "no such account or callflow")
            assert len(found["request_id"]) == 32
            assert (await get(f"/accounts/{'f' * 32}/descendants/callflows"))[0] == 404
            assert (await get("/accounts/%3F/callflows"))[0] == 422
            assert (await get(f"/accounts/{denied}/callflows"))[0] == 502
            status, found = await get("/health")
            assert (status, found["outages"]) == (200, 0)
            client = service["app"].state.client
            assert client.stats.logins == 1  # one client serves all requests
    with pytest.raises(ClientClosedError):
        await client.whoami()


async def test_the_service_says_when_the_server_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox(accounts=3, clock=VirtualClock()) as sandbox:
        monkeypatch.setattr("vinix_async._client.SystemClock", VirtualClock)
        service = example("fastapi_service", sandbox, monkeypatch)
        async with served(service["app"]) as session:
            with sandbox.outage(kind="refuse"):
                async with session.get(f"/accounts/{sandbox.root_id}/callflows") as response:
                    assert response.status in {502, 504}
                    assert "the Vinix API did not answer" in (await response.json())["detail"]
            async with session.get(f"/accounts/{sandbox.root_id}/callflows") as response:
                assert response.status == 200
            sandbox.refuse_logins()
            sandbox.expire_tokens()
            async with session.get(f"/accounts/{sandbox.root_id}/callflows") as response:
                assert response.status == 502  # the fault of the service, not of who asks


async def test_a_stream_that_nobody_reads_ends_its_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox(accounts=60) as sandbox:
        service = example("fastapi_service", sandbox, monkeypatch)
        for account_id in sandbox.account_ids[2:]:
            sandbox.hang(account_id)
        async with served(service["app"]) as session:
            async with session.get(f"/accounts/{sandbox.root_id}/descendants/callflows") as response:
                await response.content.readline()
            for _ in range(500):  # the sweep is closed as soon as the server has seen that the connection is gone
                if not [task for task in asyncio.all_tasks() if "_Workers" in repr(task.get_coro())]:
                    break
                await asyncio.sleep(0.01)
            else:
                pytest.fail("the sweep goes on")
            client = service["app"].state.client
            assert client.stats.requests < 60


async def test_a_stream_that_fails_says_so_in_its_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox(accounts=60, clock=VirtualClock()) as sandbox, sandbox.client() as client:
        service = example("fastapi_service", sandbox, monkeypatch)
        sandbox.refuse_logins()
        sandbox.expire_tokens()
        lines = [json.loads(line) async for line in service["pages"](client, sandbox.root_id)]
    assert lines[-1]["error"] == "AuthenticationError"


# --- the mirror ----------------------------------------------------------------------------------


async def test_the_mirror_prints_what_a_refresh_has_found_before_it_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VINIX_MIRROR", str(tmp_path / "callflows.db"))
    async with Sandbox(accounts=3) as sandbox:
        module = example("incremental_mirror", sandbox, monkeypatch)
        assert await module["run"]() == 0
        one = sandbox.account_ids[1]
        first = sandbox.callflow_ids(one)[0]
        sandbox.put(one, {**sandbox.document(one, first), "name": "Renamed"})
        refresh = module["refresh"]

        async def fail(*arguments: Any) -> bool:
            await refresh(*arguments)
            raise VinixError("the connection to the database was lost")

        module["run"].__globals__["refresh"] = fail
        assert await module["run"]() == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["name"] == "Renamed"


async def test_the_mirror_prints_what_has_changed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with Sandbox(accounts=4) as sandbox:
        run = example("incremental_mirror", sandbox, monkeypatch)["run"]
        assert await run() == 2
        assert "VINIX_MIRROR must name the database" in caplog.text
        monkeypatch.setenv("VINIX_MIRROR", str(tmp_path / "callflows.db"))

        async def changes(code: int) -> list[tuple[str, str, str]]:
            assert await run() == code
            lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
            return sorted((line["kind"], line["account_id"], line["callflow_id"]) for line in lines)

        assert await changes(0) == []
        assert "this was the first refresh" in caplog.text
        assert await changes(0) == []

        _, one, two, three = sandbox.account_ids
        first, second = sandbox.callflow_ids(one)[:2]
        sandbox.put(one, {**sandbox.document(one, first), "name": "Renamed"})
        sandbox.remove(one, second)
        new = sandbox.put(two, {"numbers": ["1234"], "flow": {"module": "hangup", "data": {}}})
        sandbox.deny(three)
        found = await changes(3)
        assert found == sorted([("changed", one, first), ("deleted", one, second), ("added", two, new)])
        assert f"account {three}" in caplog.text

        sandbox.allow(three)
        assert await changes(0) == []
        sandbox.remove_account(two)
        assert await changes(3) == []  # the first run that finds an account to be gone names it
        assert await changes(0) == []
        sandbox.refuse_logins()
        assert await changes(4) == []
