"""Define the exit codes and the errors of the command, and print errors."""

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from .. import AuthenticationError, ConfigurationError, VinixError
from .console import count, note
from .text import printable

if TYPE_CHECKING:
    from .. import AccountPage, AccountResult

_OPTIONS: Final = {
    "base_url": "--base",
    "allow_http=True": "--allow-http",
    "pass them as auth=": "store them with `vinix auth login`, or set VINIX_USERNAME and VINIX_PASSWORD",
    "outage_wait=": "--outage-wait ",
    "proxy must be": "HTTPS_PROXY or HTTP_PROXY must be",
    "use the argument page_size=": "use --page-size",
    "use the argument start_key= of callflows.list": "the command reads listings from their beginning",
}
"""Texts in messages of the library, and the texts that replace them in messages of the command."""


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
    note(f"vinix: {describe(error)}")
    if isinstance(error, UsageError | ConfigurationError):
        return ExitCode.USAGE
    return ExitCode.AUTHENTICATION if isinstance(error, AuthenticationError) else ExitCode.ERROR


def describe(error: BaseException) -> str:
    """Return the text of an error.

    An error of the library begins with the name of its class, unless it is a ConfigurationError. In its text,
    the arguments of the library are replaced by the options of the command (``_OPTIONS``). An error of the operating
    system begins with the name of its file, if it has one.
    """
    if isinstance(error, VinixError):
        text = str(error)
        for name, option in _OPTIONS.items():
            text = text.replace(name, option)
        return text if isinstance(error, ConfigurationError) else f"{type(error).__name__}: {text}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def one_line(error: BaseException) -> str:
    """Return the text of an error on one line that is safe for a terminal."""
    return printable(describe(error).replace("\n  ", "; ").replace("\n", "; "))


class Problems:
    """The accounts that failed and the items that could not be read. They are printed when they are added.

    ``one_account``: whether the job has only one account. The error of the account is then not printed, because the
    job prints it at the end.
    """

    def __init__(self, *, one_account: bool = False) -> None:
        self.reads: list[AccountPage | AccountResult] = []
        self._one_account = one_account

    def add(self, read: "AccountPage | AccountResult") -> None:
        """Add a page or a result that has an error or bad items."""
        self.reads.append(read)
        account = printable(read.account_id) + (f" ({printable(read.account.name)})" if read.account.name else "")
        for item in read.bad_items:
            which = printable(item.id or f"row {item.index} without an id")
            note(f"unreadable: {account}, {which}: {one_line(item.error)}")
        if read.error and not self._one_account:
            note(f"failed: {account}: {one_line(read.error)}")

    @property
    def errors(self) -> "list[VinixError]":
        """The errors of the accounts that failed."""
        return [each.error for each in self.reads if each.error]

    def code(self, *, accounts_done: int) -> ExitCode:
        """Return the exit code of a job over several accounts."""
        if self.errors and not accounts_done and all(isinstance(each, AuthenticationError) for each in self.errors):
            return ExitCode.AUTHENTICATION
        return ExitCode.SOME_FAILED if self.reads else ExitCode.OK

    def missing(self) -> str:
        """Return a text that says how many accounts failed and how many items could not be read."""
        bad_items = sum(len(each.bad_items) for each in self.reads)
        what = [f"{count(len(self.errors), 'account')} failed"] if self.errors else []
        what += [f"{count(bad_items, 'item')} could not be read"] if bad_items else []
        return " and ".join(what)
