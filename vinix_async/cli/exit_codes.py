"""Define the exit codes and the errors of the command, and print errors."""

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from .. import AuthenticationError, ConfigurationError, VinixError
from .console import count, note
from .text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .. import AccountPage, AccountResult

_OPTIONS: Final = {"base_url": "--base", "allow_http=True": "--allow-http"}
"""The command's option for each argument that messages of the library name."""


class ExitCode(IntEnum):
    """The exit codes of the command. docs/exit-codes.md explains each one."""

    OK = 0
    ERROR = 1
    USAGE = 2
    SOME_FAILED = 3
    AUTHENTICATION = 4
    NEGATIVE = 5
    INTERRUPTED = 130
    READER_GONE = 141
    TERMINATED = 143


class UsageError(Exception):
    """An error in the command line, an input file or the configuration. The exit code is 2."""


class CommandError(Exception):
    """An error of a command with a valid command line. The exit code is 1."""


def report_error(error: Exception) -> ExitCode:
    """Print an error and return its exit code. An unexpected error is raised again."""
    if not isinstance(error, VinixError | UsageError | CommandError | OSError):
        raise error
    note(f"vinix: {printable(describe(error), lines=True)}")
    if isinstance(error, UsageError | ConfigurationError):
        return ExitCode.USAGE
    return ExitCode.AUTHENTICATION if isinstance(error, AuthenticationError) else ExitCode.ERROR


def describe(error: BaseException) -> str:
    """Return the text of an error.

    It includes the class if the library raised the error, and the file if the system did.
    """
    if isinstance(error, ConfigurationError):
        text = str(error)
        for name, option in _OPTIONS.items():
            text = text.replace(name, option)
        return text
    if isinstance(error, VinixError):
        return f"{type(error).__name__}: {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def one_line(error: BaseException) -> str:
    """Return the text of an error on one line that is safe for a terminal."""
    return printable(describe(error).replace("\n  ", "; ").replace("\n", "; "))


def note_problems(read: "AccountPage | AccountResult", *, one_account: bool) -> None:
    """Print the bad items and the error of an account. A job for one account prints the error at its end instead."""
    account_id = printable(read.account_id)
    for item in read.bad_items:
        which = printable(item.id or f"row {item.index} without an id")
        note(f"unreadable: {account_id}, {which}: {one_line(item.error)}")
    if read.error and not one_account:
        name = f" ({printable(read.account.name)})" if read.account.name else ""
        note(f"failed: {account_id}{name}: {one_line(read.error)}")


def problems_code(problems: "Sequence[AccountPage | AccountResult]", *, accounts_done: int) -> ExitCode:
    """Return the exit code of a job over several accounts."""
    errors = [each.error for each in problems if each.error]
    if errors and not accounts_done and all(isinstance(error, AuthenticationError) for error in errors):
        return ExitCode.AUTHENTICATION
    return ExitCode.SOME_FAILED if problems else ExitCode.OK


def missing(problems: "Sequence[AccountPage | AccountResult]") -> str:
    """Return how many accounts failed and how many items could not be read."""
    errors = sum(each.error is not None for each in problems)
    bad_items = sum(len(each.bad_items) for each in problems)
    what = [f"{count(errors, 'account')} failed"] if errors else []
    what += [f"{count(bad_items, 'item')} could not be read"] if bad_items else []
    return " and ".join(what)
