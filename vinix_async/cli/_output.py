"""Data on stdout, everything else on stderr. What the server sent is never taken for markup or for control codes."""

import os
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.text import Text

from .text import printable, printable_json

__all__ = ["printable", "printable_json"]

errors = Console(stderr=True)
_hide_status: list[Callable[[], None]] = []


def note(text: str) -> None:
    """One line for the person, not for the pipe."""
    hide_status()
    errors.print(Text(text), soft_wrap=True)


def to_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout.isatty()


def write_data(data: bytes, escape: Callable[[str], str] = printable_json) -> None:
    """Write to stdout at once, whatever is on the other side; a terminal gets ``escape`` of it."""
    if to_terminal():
        hide_status()
        data = escape(data.decode()).encode()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def print_data(*what: Any) -> None:
    """Print tables and the like on stdout."""
    hide_status()
    console = Console()
    for each in what:
        console.print(each)
    sys.stdout.flush()


def when_printing(hide: Callable[[], None]) -> None:
    """Have ``hide`` called before anything is printed: the status line is in the way."""
    _hide_status[:] = [hide]


def hide_status() -> None:
    """Take the status line away, if there is one."""
    for hide in _hide_status:
        hide()


def discard_stdout() -> None:
    """Whoever read the output has had enough; what is buffered must not fail once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
