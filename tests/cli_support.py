"""The command in processes of its own, and servers for it."""

import asyncio
import copy
import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from cyclopts import App, ArgumentCollection
from forked import Process

from vinix_async.cli.app import app, run
from vinix_async.cli.console import PipeConsole
from vinix_async.sandbox import Sandbox

VINIX = [sys.executable, "-m", "vinix_async.cli"]

Done = subprocess.CompletedProcess[str]


def environment(home: Path, **variables: str) -> dict[str, str]:
    """This process's environment without its own settings; configuration and state are in ``home``."""
    own_settings = ("VINIX_", "XDG_", "PYTHONUNBUFFERED")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(own_settings)}
    plain |= {"PATH": f"{Path(sys.executable).parent}:{plain['PATH']}", "COLUMNS": "200", "NO_PROXY": "127.0.0.1"}
    own = {"XDG_CONFIG_HOME": str(home / "config"), "XDG_STATE_HOME": str(home / "state"), "HOME": str(home)}
    # Its fallback would be a file of this person's; a test that wants a keyring brings its own.
    return plain | own | {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"} | variables


_assemble = App.assemble_argument_collection
_assembled: dict[tuple[Any, str], ArgumentCollection] = {}


def _options_of(app: App, **choices: Any) -> ArgumentCollection:
    """Assemble the options of a command once, and copy them for each of its runs, which takes a tenth of the time."""
    key = app.default_command, repr(choices)
    if key not in _assembled:
        _assembled[key] = _assemble(app, **choices)
    found = _assembled[key]
    unchanged = {id(each): each for argument in found for each in (argument.parameter, argument.field_info)}
    return copy.deepcopy(found, unchanged)


class Command:
    """``vinix`` with a home of its own."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        self.variables = variables

    def __call__(self, *arguments: str, stdin: str = "", **variables: str) -> Done:
        """Run it in this process, which is a tenth of the work; what it prints and its exit code are the same."""
        return self._here(_Bytes(), arguments, stdin, variables)

    def shown(self, *arguments: str, **variables: str) -> str:
        """The same where stdout says that it is a terminal: what a person would see."""
        return self._here(_Bytes(terminal=True), arguments, "", variables).stdout

    def _here(self, out: "_Bytes", arguments: tuple[str, ...], stdin: str, variables: dict[str, str]) -> Done:
        err, before = _Bytes(), Path.cwd()
        known = environment(self.home, **self.variables | variables)
        os.chdir(self.home)
        try:
            with (
                mock.patch.dict(os.environ, known, clear=True),
                mock.patch.multiple(
                    sys, stdin=io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"), stdout=out, stderr=err
                ),
                mock.patch.object(App, "assemble_argument_collection", _options_of),
            ):
                app.console = PipeConsole()  # as wide as this COLUMNS says
                code = run(arguments)
        finally:
            os.chdir(before)
        return Done(
            arguments, int(code), *(stream.buffer.getvalue().decode(errors="surrogateescape") for stream in (out, err))
        )

    def process(self, *arguments: str, stdin: str = "", **variables: str) -> Done:
        """Run it as a shell does."""
        return subprocess.run(  # noqa: S603  # the command under test
            [*VINIX, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            cwd=self.home,
            env=environment(self.home, **self.variables | variables),
        )

    def forked(self, *arguments: str, **variables: str) -> Done:
        """Run it in a process that has imported everything already, which is a fifth of the work."""
        known = environment(self.home, **self.variables | variables)
        with Process(arguments, cwd=self.home, env=known) as process:
            out, errors = process.stdout.read(), process.stderr.read()
        return Done(arguments, process.wait(), out, errors)

    def started(self, *arguments: str, **streams: int) -> Process:
        return Process(arguments, cwd=self.home, env=environment(self.home, **self.variables), **streams)

    def on_a_terminal(
        self,
        *arguments: str,
        keys: Callable[[str], str | None] = lambda _: None,
        stdout: int | None = None,
        code: int = 0,
    ) -> str:
        """What the command sends to a terminal; ``keys`` is told what came, and says what is typed then.

        ``stdout`` sends its own elsewhere; ``code`` says how it must end.
        """
        leader, follower = pty.openpty()
        known = environment(self.home, **{"TERM": "xterm", **self.variables})
        out = follower if stdout is None else stdout
        with Process(arguments, cwd=self.home, env=known, stdin=follower, stdout=out, stderr=follower) as process:
            os.close(follower)
            seen = b""
            while data := _read(leader):
                seen += data
                if typed := keys(seen.decode(errors="replace")):
                    os.write(leader, typed.encode())
            os.close(leader)
        assert process.returncode == code, seen.decode()
        return seen.decode()


class _Bytes(io.TextIOWrapper):
    buffer: io.BytesIO

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 65536)
    except OSError:  # the other end is closed
        return b""


def accounts_of(page: str) -> dict[str, list[Any]]:
    """The accounts of a report by id: id, name, realm, bad items, error, callflows."""
    found = [json.loads(data) for data in re.findall(r"class=account>(.*?)</script>", page)]
    assert len({account_id for account_id, *_ in found}) == len(found)
    return {account[0]: [*account[:5], account[7]] for account in found}


def wait_for(path: Path) -> None:
    ends_at = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < ends_at
        time.sleep(0.01)


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
        for _ in range(20):  # connections are closed in the turns after the server has ended
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def variables(sandbox: Sandbox) -> dict[str, str]:
    """The environment that points to a sandbox."""
    auth = sandbox.user_auth()
    return {
        "VINIX_BASE": sandbox.url,
        "VINIX_USERNAME": auth.username,
        "VINIX_PASSWORD": auth.password,
        "VINIX_ACCOUNT_NAME": auth.account_name or "",
        "VINIX_ACCOUNT_ID": sandbox.root_id,
    }
