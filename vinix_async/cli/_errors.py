"""How the command ends: exit codes, and an error as the person at the terminal reads it."""

from enum import IntEnum
from typing import TYPE_CHECKING

from ._output import note, printable

if TYPE_CHECKING:
    from .. import VinixError


class ExitCode(IntEnum):
    """How the command ends; docs/cli.md has the table."""

    OK = 0
    ERROR = 1
    USAGE = 2
    SOME_FAILED = 3
    AUTHENTICATION = 4
    INTERRUPTED = 130
    READER_GONE = 141
    TERMINATED = 143


class UsageError(Exception):
    """The command line or the configuration does not say what is needed."""


class CommandError(Exception):
    """What was asked for cannot be done; the text says why."""


def one_line(error: BaseException) -> str:
    """The error's kind and text, safe for a terminal, without line breaks."""
    return printable(f"{type(error).__name__}: {error}".replace("\n  ", "; ").replace("\n", "; "))


def explain(error: "VinixError") -> ExitCode:
    """Print an error and what was noted on it; the exit code that it means."""
    note(f"vinix: {type(error).__name__}: {printable(str(error), lines=True)}")
    for line in getattr(error, "__notes__", ()):
        note(f"vinix: {printable(line)}")
    return code_of(error)


def code_of(error: "VinixError") -> ExitCode:
    """The exit code of a command that an error ends."""
    from .. import AuthenticationError, ConfigurationError  # noqa: PLC0415  # --help does without

    if isinstance(error, ConfigurationError):
        return ExitCode.USAGE
    return ExitCode.AUTHENTICATION if isinstance(error, AuthenticationError) else ExitCode.ERROR
