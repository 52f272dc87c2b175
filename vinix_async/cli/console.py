"""Print data on stdout, and messages on stderr.

Text from the server is never interpreted as markup. ``note`` escapes control characters, and ``write_data`` applies its
argument ``escape`` if stdout is a terminal. Text for ``rendered``, ``print_data`` and ``print_lines`` must be escaped
already, for example by ``names.display``.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from rich.console import Console
from rich.text import Text

from .text import printable_json, printable_lines

_WIDTH: Final = 80  # the width if COLUMNS is 0, because rich prints nothing at a width of 0


class PipeConsole(Console):
    """A console of rich that does not exit if a pipe is broken, and whose width is never 0."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr)
        if not self.width:
            self.width = _WIDTH

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError, which ``app.run`` handles."""
        raise BrokenPipeError


_before_printing: list[Callable[[], object]] = []


def note(text: str) -> None:
    """Print a message of one or more lines on stderr. All control characters but line feeds are escaped.

    If the message cannot be written, for example because the disk with the log is full, the command continues.
    """
    hide_progress()
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{printable_lines(text)}\n")


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the singular or plural: ``1 account``, ``1,013 accounts``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def to_terminal() -> bool:
    """Return whether stdout is a terminal."""
    return sys.stdout.isatty()


def write_data(data: bytes, escape: Callable[[str], str] | None = printable_json) -> None:
    """Write data to stdout, and flush stdout.

    If ``escape`` is None, the data is written unchanged, and must already be in the encoding of stdout. Otherwise the
    data must be in UTF-8. If stdout is a terminal, ``escape`` is then applied to the text, and the result is written in
    the encoding of stdout. The error of a failed write names stdout.
    """
    if to_terminal():
        hide_progress()
        data = _encode(escape(data.decode())) if escape else data
    with writing_stdout() as stdout:
        stdout.write(data)


@contextlib.contextmanager
def writing_stdout() -> Iterator[BinaryIO]:
    """Yield the binary stream of stdout, and flush it at the end. The error of a failed write names stdout."""
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), "stdout") from None


def rendered(*renderables: Any, width: int | None = None, soft_wrap: bool = False) -> bytes:
    """Return tables, trees and text in the encoding of stdout. A character that the encoding lacks becomes ``?``.

    ``width``: the number of columns (default: that of the terminal, or 80). ``soft_wrap``: whether to leave long
    lines unwrapped.
    """
    console = PipeConsole()
    console.width = width or console.width
    with console.capture() as printed:
        for each in renderables:
            console.print(each, soft_wrap=soft_wrap)
    return _encode(printed.get())


def print_data(*renderables: Any, width: int | None = None) -> None:
    """Print tables, trees and text on stdout.

    ``width``: the number of columns (default: that of the terminal, or 80).
    """
    write_data(rendered(*renderables, width=width), escape=None)


def print_lines(lines: Iterable[Text]) -> None:
    """Print lines on stdout without wrapping them."""
    write_data(rendered(*lines, soft_wrap=True), escape=None)


def _encode(text: str) -> bytes:
    return text.encode(sys.stdout.encoding or "utf-8", "replace")


def open_missing_streams() -> None:
    """If stdin or stderr is closed, replace it with the null device. Raise ``OSError`` if stdout is closed."""
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115  # open until the process ends
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # open until the process ends
    if sys.stdout is None:
        raise OSError("stdout is closed")


@contextlib.contextmanager
def reading_input() -> Iterator[None]:
    """Let Ctrl-C interrupt the ``with`` block, which reads stdin.

    The signal handler of asyncio would only cancel the task, and the block would continue to wait for input.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def before_printing(hide: Callable[[], object]) -> None:
    """Register a function that removes the progress line. It is called before other text is printed."""
    _before_printing[:] = [hide]


def hide_progress() -> None:
    """Remove the progress line, if one is shown."""
    for hide in _before_printing:
        hide()


def discard_unwritten() -> None:
    """Discard what could not be written to stdout and stderr, so that the flush at exit cannot change the exit code."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
