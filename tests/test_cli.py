"""The command as a person or a script meets it: real processes, real sockets, a real terminal."""

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from vinix_async.cli._output import printable
from vinix_async.sandbox import Sandbox

VINIX = [sys.executable, "-m", "vinix_async.cli"]
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("VINIX_")} | {"COLUMNS": "200"}


def vinix(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  # the command under test
        [*VINIX, *arguments], capture_output=True, text=True, timeout=30, check=False, env=PLAIN | environment
    )


@contextmanager
def served(**options: Any) -> Iterator[Sandbox]:
    """A sandbox in a thread of its own, for commands in processes of their own."""
    loop = asyncio.new_event_loop()
    sandbox = Sandbox(**options)
    loop.run_until_complete(sandbox.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield sandbox
    finally:
        asyncio.run_coroutine_threadsafe(sandbox.close(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


def variables(sandbox: Sandbox) -> dict[str, str]:
    auth = sandbox.user_auth()
    return {
        "VINIX_BASE": sandbox.url,
        "VINIX_USERNAME": auth.username,
        "VINIX_PASSWORD": auth.password,
        "VINIX_ACCOUNT_NAME": auth.account_name or "",
    }


def test_demo_shows_the_callflows_of_several_accounts() -> None:
    done = vinix("demo")
    assert done.returncode == 0, done.stderr
    sandbox = Sandbox()
    for account_id in sandbox.account_ids:
        assert account_id in done.stdout
        for callflow_id in sandbox.callflow_ids(account_id):
            name = sandbox.row(account_id, callflow_id).get("name")
            assert not name or name in done.stdout
    assert re.search(r"^3 accounts, \d+ callflows, 5 requests, 0 retries, ", done.stderr)
    assert "\x1b" not in done.stdout + done.stderr


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What the command sends to a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(  # noqa: S603  # the command under test
        [*VINIX, *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=PLAIN | {"TERM": "xterm"} | environment,
    )
    os.close(follower)
    seen = b""
    while True:
        try:
            data = os.read(leader, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
    os.close(leader)
    assert process.wait(30) == 0
    return seen.decode()


def test_demo_is_coloured_on_a_terminal_and_has_a_bar() -> None:
    seen = on_a_terminal("demo")
    assert "\x1b[36m" in seen
    assert "Main menu" in seen
    assert "accounts" in seen
    assert "\x1b[36m" not in on_a_terminal("demo", NO_COLOR="1")


def test_listing_a_real_server_by_the_environment() -> None:
    with served(callflows=60) as sandbox:
        known = variables(sandbox)
        ids = set(sandbox.callflow_ids(sandbox.root_id))
        lines = vinix("callflows", "list", sandbox.root_id, "--page-size", "7", **known)
        assert lines.returncode == 0, lines.stderr
        assert {json.loads(line)["id"] for line in lines.stdout.splitlines()} == ids
        assert "60 callflows" in lines.stderr
        whole = vinix("callflows", "list", "--output", "json", "--details", VINIX_ACCOUNT_ID=sandbox.root_id, **known)
        documents = json.loads(whole.stdout)
        assert {document["id"] for document in documents} == ids
        assert [document for document in documents if "flow" in document]
        few = vinix(
            "callflows",
            "list",
            sandbox.root_id,
            "--max-items",
            "2",
            "--filter",
            "filter_type=mainUserCallflow",
            "--filter",
            "has_key=owner_id",
            "--output",
            "table",
            **known,
        )
        assert few.stdout.count("mainUserCallflow") == 2
        none = vinix(
            "callflows", "list", sandbox.root_id, "--filter", "filter_name=nobody", "--output", "json", **known
        )
        assert json.loads(none.stdout) == []


def test_how_it_ends() -> None:
    with served() as sandbox:
        known = variables(sandbox)
        wrong = vinix("callflows", "list", sandbox.root_id, **{**known, "VINIX_PASSWORD": "planted"})
        assert wrong.returncode == 4
        assert "AuthenticationError: 401" in wrong.stderr
        assert "request_id=" in wrong.stderr
        assert "planted" not in wrong.stderr
        missing = vinix("callflows", "list", "0" * 32, **known)
        assert missing.returncode == 1
        assert "NotFoundError: 404" in missing.stderr
        for process in (wrong, missing):
            assert "Traceback" not in process.stderr
            assert process.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["callflows", "list"], "--sandbox"),
        (["callflows", "list", "x"], "VINIX_AUTH_TOKEN"),
        (["callflows", "list", "--sandbox", "--filter", "x"], "KEY=VALUE"),
        (["callflows", "list", "--sandbox", "--filter", "missing_value=x"], "missing_value"),
        (["callflows", "list", "--sandbox", "--page-size", "0"], "page_size"),
        (["callflows", "list", "--sandbox", "--output", "xml"], "xml"),
        (["frobnicate"], "frobnicate"),
        (["demo", "--accounts", "0"], "accounts"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_command_line_is_explained(arguments: list[str], words: str) -> None:
    done = vinix(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_help_and_version() -> None:
    assert vinix("--version").stdout.strip() == "0.1.0"
    shown = vinix("--help").stdout
    for word in ("demo", "callflows", "sandbox"):
        assert word in shown


def test_the_sandbox_runs_until_it_is_interrupted() -> None:
    with subprocess.Popen(  # noqa: S603  # the command under test
        [*VINIX, "sandbox", "--port", "0", "--callflows", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=PLAIN,
        # A shell's background jobs ignore Ctrl-C, and so would theirs.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # no threads run here
    ) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(5)]
            known = dict(line.strip().removeprefix("export ").split("=", 1) for line in lines)
            listed = vinix("callflows", "list", **known)
            assert len(listed.stdout.splitlines()) == 2
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_a_reader_that_has_had_enough() -> None:
    process = subprocess.Popen(  # noqa: S603  # the command under test
        [*VINIX, "demo", "--accounts", "60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=PLAIN
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    process.stderr.close()
    process.wait(30)
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors


def test_names_are_neither_markup_nor_control_codes() -> None:
    with served(callflows=0) as sandbox:
        sandbox.put(sandbox.root_id, {"name": "[red]\x1b[31m\x07evil\r\n", "numbers": ["[/x]"]})
        shown = vinix("callflows", "list", sandbox.root_id, "--output", "table", **variables(sandbox)).stdout
    assert r"[red]\x1b[31m\x07evil\r\n" in shown
    assert "[/x]" in shown
    assert "\x1b" not in shown
    assert printable("a\x00é\u202e") == r"a\x00é\u202e"


def test_importing_the_library_imports_nothing_of_the_command() -> None:
    code = "import sys, vinix_async; print(sorted({'rich', 'cyclopts', 'pytest'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # as above
    assert done.stdout.strip() == "[]"


def test_without_its_extra_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['cyclopts'] = None; from vinix_async.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603  # as above
    assert done.returncode == 1
    assert "pip install 'vinix-async[cli]'" in done.stderr
