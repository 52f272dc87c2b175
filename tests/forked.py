"""Processes of the command without a start of their own: forks of one that has imported it, once for all tests.

That one has a single thread, which makes forking safe. A fork has streams, environment, folder, signals and an exit
code of its own, like any process; when stderr is a terminal, that is its controlling one.
"""

import atexit
import fcntl
import functools
import gc
import importlib
import io
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self, TextIO

import vinix_async.cli
from vinix_async import VinixClient
from vinix_async.cli.app import app
from vinix_async.cli.console import PipeConsole
from vinix_async.sandbox import Sandbox


class Process:
    """``vinix`` with some arguments: as much of ``subprocess.Popen`` as tests need."""

    def __init__(
        self,
        arguments: tuple[str, ...],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        closed: int | None = None,
    ) -> None:
        """Where no descriptor is given, stdin is empty, and stdout and stderr can be read here.

        ``closed`` is the descriptor of the one stream that is closed in the process. ``PYTHONIOENCODING`` in ``env``
        is the encoding of its streams.
        """
        encoding = env.get("PYTHONIOENCODING", "utf-8")
        out, self.stdout = _pipe(stdout, encoding)
        err, self.stderr = _pipe(stderr, encoding)
        given = [os.open(os.devnull, os.O_RDONLY) if stdin is None else os.dup(stdin), out, err]
        ours, theirs = socket.socketpair()
        with ours, theirs:
            socket.send_fds(_server(), [b"+"], [*given, theirs.fileno()])
            ours.sendall(json.dumps([arguments, str(cwd), dict(env), closed]).encode())
            ours.shutdown(socket.SHUT_WR)
            self._news = ours.makefile()
        for each in given:
            os.close(each)
        self.pid = int(self._news.readline())
        self.returncode: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.stderr.close()
        self.wait()

    def wait(self) -> int:
        """Until it has ended; its exit code, or minus the signal that ended it."""
        if self.returncode is None:
            with self._news:
                self.returncode = os.waitstatus_to_exitcode(int(self._news.readline()))
        return self.returncode

    def send_signal(self, number: int) -> None:
        with suppress(ProcessLookupError):  # it has ended
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _pipe(given: int | None, encoding: str) -> tuple[int, TextIO]:
    if given is not None:
        return os.dup(given), io.StringIO()
    reader, writer = os.pipe()
    return writer, os.fdopen(reader, encoding=encoding)


@functools.cache
def _server() -> socket.socket:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen([sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()])  # noqa: S603  # itself

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve(control: socket.socket) -> list[str]:
    """Fork for each request, until there are no more; a fork returns the arguments that it is to run."""
    for module in pkgutil.iter_modules(vinix_async.cli.__path__, "vinix_async.cli."):
        if not module.name.endswith("__"):
            importlib.import_module(module.name)
    Sandbox(), VinixClient(auth="a-token")  # which import what the forks will
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while given := socket.recv_fds(control, 1, 4)[1]:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if os.fork() == 0:
            control.close()
            return _become(given[:3], socket.socket(fileno=given[3]))
        for each in given:
            os.close(each)
    return []


def _become(streams: list[int], news: socket.socket) -> list[str]:
    with news.makefile() as request:
        arguments, folder, environment, closed = json.load(request)
    child = os.fork()
    if child:
        for each in streams:
            os.close(each)
        news.sendall(f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        news.sendall(f"{status}\n".encode())
        os._exit(0)
    news.close()
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.isatty(2):
        os.setsid()
        fcntl.ioctl(2, termios.TIOCSCTTY, 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    _open_streams(os.environ.get("PYTHONIOENCODING"))
    app.console = PipeConsole()  # as wide as this COLUMNS says
    if closed is not None:
        os.close(closed)
        setattr(sys, ("stdin", "stdout", "stderr")[closed], None)  # as Python begins without it
    return ["vinix", *arguments]


def _open_streams(encoding: str | None) -> None:
    """Make the standard streams as Python does when it begins."""
    sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115  # open for as long as the process runs
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115  # as above
    sys.stderr = open(2, "w", buffering=1, encoding=encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115  # as above


def _run() -> None:
    """Run the command, and end without freeing what all forks share, which would be half of the work.

    What the command has left is freed, and reported as at the end of any interpreter.
    """
    code: str | int | None = None
    try:
        vinix_async.cli.main()
    except SystemExit as end:
        code = end.code
    gc.collect()
    if isinstance(code, int) and threading.active_count() == 1 and _flushed():
        os._exit(code)
    sys.exit(code)


def _flushed() -> bool:
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except OSError:
        return False  # the interpreter's end reports it
    return True


if __name__ == "__main__" and (command_line := _serve(socket.socket(fileno=int(sys.argv[1])))):
    sys.argv = command_line
    _run()
