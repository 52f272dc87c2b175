"""Print data on stdout, and messages on stderr.

Text from the server is never interpreted as markup, and its control characters never reach a terminal.
"""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from .text import printable_json

_WIDTH: Final = 80  # columns if COLUMNS is 0, with which rich would print nothing


class PipeConsole(Console):
    """A console that raises BrokenPipeError, with which rich would exit, and has a width even if COLUMNS is 0."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr)
        if not self.width:
            self.width = _WIDTH

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError, which ``app.run`` handles."""
        raise BrokenPipeError


errors: PipeConsole = PipeConsole(stderr=True)
_before_printing: list[Callable[[], object]] = []


def note(text: str) -> None:
    """Print one line on stderr."""
    hide_progress()
    errors.print(Text(text), soft_wrap=True)


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the singular or plural: ``1 account``, ``1,013 accounts``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def to_terminal() -> bool:
    """Return whether stdout is a terminal."""
    return sys.stdout.isatty()


def write_data(data: bytes, escape: Callable[[str], str] | None = printable_json) -> None:
    """Write UTF-8 data to stdout and flush it. On a terminal, the result of ``escape`` is written, in its encoding.

    If ``escape`` is None, the data is written unchanged, and must be in the encoding of stdout.
    """
    if to_terminal():
        hide_progress()
        data = _encode(escape(data.decode())) if escape else data
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def rendered(*renderables: Any, width: int | None = None, soft_wrap: bool = False) -> bytes:
    """Return tables, trees and text in the encoding of stdout. Characters that it lacks are replaced.

    ``width``: columns (default: those of the terminal, or 80). ``soft_wrap``: whether lines are left unwrapped.
    """
    console = PipeConsole()
    console.width = width or console.width
    with console.capture() as printed:
        for each in renderables:
            console.print(each, soft_wrap=soft_wrap)
    return _encode(printed.get())


def print_data(*renderables: Any, width: int | None = None) -> None:
    """Print tables, trees and text on stdout, ``width`` columns wide (default: as the terminal, or 80)."""
    write_data(rendered(*renderables, width=width), escape=None)


def print_lines(lines: Iterable[Text]) -> None:
    """Print lines on stdout without wrapping them."""
    write_data(rendered(*lines, soft_wrap=True), escape=None)


def _encode(text: str) -> bytes:
    return text.encode(sys.stdout.encoding or "utf-8", "replace")


def open_missing_streams() -> None:
    """Replace a closed stdin or stderr by the null device. Raise ``OSError`` if stdout is closed."""
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115  # open until the process ends
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # open until the process ends
    if sys.stdout is None:
        raise OSError("stdout is closed")


def before_printing(hide: Callable[[], object]) -> None:
    """Register the function that removes the progress line before anything else is printed."""
    _before_printing[:] = [hide]


def hide_progress() -> None:
    """Remove the progress line, if one is shown."""
    for hide in _before_printing:
        hide()


def discard_output() -> None:
    """Redirect stdout and stderr to the null device after a reader has left, so that flushing at exit cannot fail."""
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
