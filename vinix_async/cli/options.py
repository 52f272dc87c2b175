"""Define the options that several commands share."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from cyclopts import Group, Parameter

from .exit_codes import UsageError
from .times import utc_time

_GREGORIAN_EPOCH: Final = 62_167_219_200
"""The beginning of 1970 in Gregorian seconds, which are counted from the beginning of the year 0."""

_TIMES: Final = ("modified_from", "modified_to", "created_from", "created_to")


def between(least: float, most: float = float("inf")) -> Callable[[Any, Any], None]:
    """Return a validator that accepts None and finite numbers from ``least`` to ``most``."""

    def check(_type: Any, value: Any) -> None:
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"must be finite, not {value}")
        if value is not None and not least <= value <= most:
            limits = f"at least {least}" if most == float("inf") else f"between {least} and {most}"
            raise ValueError(f"must be {limits}, not {value}")

    return check


def _not_empty(_type: Any, value: Any) -> None:
    """Refuse an empty text. A shell passes one for a variable that is not set, and it must not mean the default."""
    if value == "":
        raise ValueError("must not be empty")


NotEmpty: TypeAlias = Annotated[str | None, Parameter(validator=_not_empty)]
Flag: TypeAlias = Annotated[bool, Parameter(negative=(), show_default=False)]
Shown: TypeAlias = Literal["table", "json", "ndjson", "tree", "mermaid", "svg", "png", "html"]
Dialect: TypeAlias = Annotated[
    Literal["kazoo5", "kazoo43", "documented"], Parameter(help="The server version that the sandbox imitates.")
]
SandboxAccounts: TypeAlias = Annotated[
    int, Parameter(help="The number of accounts in the sandbox, including its reseller.", validator=between(1))
]
SandboxCallflows: TypeAlias = Annotated[
    int | None,
    Parameter(help="The number of callflows in each account of the sandbox (default: 4 to 12).", validator=between(0)),
]
PageSize: TypeAlias = Annotated[
    int | None,
    Parameter(
        help="The number of rows to ask for in one request (default: the server's, which is 50).", validator=between(1)
    ),
]
MaxItems: TypeAlias = Annotated[
    int | None, Parameter(help="The maximum number of rows to read from each account.", validator=between(1))
]
Accounts: TypeAlias = Annotated[str, Parameter(name="ACCOUNT", help="Account ids, or ROOT for your own account.")]
RawCells: TypeAlias = Annotated[
    Flag, Parameter(help="Do not put an apostrophe before CSV cells that a spreadsheet would run as formulas.")
]
Source: TypeAlias = Annotated[
    str, Parameter(name="ACCOUNT|FILE", help="An account id, ROOT for your own account, or an export file.")
]
OneAccount: TypeAlias = Annotated[
    str | None, Parameter(name="--account", help="The id or name of the account to read from an export file.")
]
Database: TypeAlias = Annotated[
    str | None,
    Parameter(name="--db", help="The database: a file, or a postgresql:// address (default: that of VINIX_MIRROR)."),
]
FromMirror: TypeAlias = Annotated[
    str | None,
    Parameter(
        name="--db",
        help="Read this mirror instead of the API. If no account is named, all accounts of the mirror are read.",
    ),
]
Bom: TypeAlias = Annotated[Flag, Parameter(help="Begin a CSV file with a byte order mark, for Excel.")]
Force: TypeAlias = Annotated[
    Flag, Parameter(help="Replace an existing file, and discard the progress of an unfinished run.")
]


@Parameter(name="*", group=Group("Connection", sort_key=8))
@dataclass(frozen=True, kw_only=True)
class Connection:
    """The server to use. Options override the environment, and the environment overrides the profile.

    Attributes:
        profile: The profile to use (default: that of VINIX_PROFILE, or else the profile default).
        base: The address of the API, including /v2 (default: that of VINIX_BASE or the profile).
        allow_http: Allow plain HTTP to other machines.
        outage_wait: Maximum seconds to wait in an outage (default: 900; 60 in show, in auth and before any answer).
        sandbox: Use an embedded sandbox as the server. ROOT is the sandbox's reseller.
        sandbox_findings: Add an account whose callflows have faults, at least one for each rule of `callflows check`.
        sandbox_faults: The share of the sandbox's replies that are failures, from 0 to 1.
    """

    profile: NotEmpty = None
    base: NotEmpty = None
    allow_http: Flag = False
    outage_wait: Annotated[float | None, Parameter(validator=between(0))] = None
    sandbox: Flag = False
    sandbox_accounts: SandboxAccounts = 3
    sandbox_callflows: SandboxCallflows = None
    sandbox_dialect: Dialect = "kazoo5"
    sandbox_findings: Flag = False
    sandbox_faults: Annotated[float, Parameter(validator=between(0, 1))] = 0.0

    def arguments(self) -> list[str]:
        """Return the options that were given, as arguments of the command."""
        return _arguments(self, (each.name for each in fields(self)))


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Selection:
    """The accounts that a command reads in addition to those that are named as arguments.

    Attributes:
        descendants_of: All accounts below this one, without the account itself. ROOT is your own account.
        accounts_from: A file with an account id on each line, or a CSV file with a column account_id or id; - is stdin.
        all: Your own account and all accounts below it.
        concurrency: The number of accounts to read at once.
    """

    descendants_of: str | None = None
    accounts_from: Annotated[NotEmpty, Parameter(allow_leading_hyphen=True)] = None
    all: Flag = False
    concurrency: Annotated[int, Parameter(validator=between(1))] = 32

    def job_fields(self) -> dict[str, Any]:
        """Return the fields of a ``Job`` that these options set."""
        return {name: getattr(self, name) for name in ("descendants_of", "accounts_from", "all")}

    def arguments(self) -> list[str]:
        """Return the given options that say how a job runs, as arguments. Those that say what it reads are left out."""
        return _arguments(self, ["concurrency"])


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class JobOptions(Selection):
    """The accounts and callflows that a job reads, and how it runs.

    Attributes:
        filters: A filter for the server, KEY=VALUE, such as filter_type=mainUserCallflow. Repeat the option for more.
        modified_from: Only callflows modified since this time: a date (2026-11-20) or a span before now (7d).
        modified_to: Only callflows modified before this time.
        created_from: Only callflows created since this time.
        created_to: Only callflows created before this time.
        checkpoint: The file for the progress (default: beside the output, or in the user state directory for stdout).
        resume: Continue the job whose progress is in this file, and retry the accounts that failed.
    """

    filters: Annotated[tuple[str, ...], Parameter(name="--filter", negative=(), show_default=False)] = ()
    modified_from: str | None = None
    modified_to: str | None = None
    created_from: str | None = None
    created_to: str | None = None
    page_size: PageSize = None
    checkpoint: Path | None = None
    resume: Path | None = None

    def job_fields(self) -> dict[str, Any]:
        """Return the fields of a ``Job`` that these options set."""
        return {**super().job_fields(), "filters": self._server_filters(), "page_size": self.page_size}

    def _server_filters(self) -> dict[str, str]:
        """Return the filters as query parameters.

        Only a filter whose name begins with ``filter_`` may have several values. They are sent as a list.
        """
        values: dict[str, list[str]] = {}
        for text in self.filters:
            name, equals, value = text.partition("=")
            if not equals:
                raise UsageError(f"--filter must be KEY=VALUE, not {text!r}")
            if name in _TIMES and not value.isdecimal():
                raise UsageError(
                    f"--filter {name} must be a number of Gregorian seconds, not {value!r}: "
                    f"for dates, use --{name.replace('_', '-')}"
                )
            values.setdefault(name, []).append(value)
        for name in _TIMES:
            if (text := getattr(self, name)) is not None:
                time = utc_time(f"--{name.replace('_', '-')}", text, zone=None)
                values.setdefault(name, []).append(str(int(time.timestamp()) + _GREGORIAN_EPOCH))
        for name, several in values.items():
            if len(several) > 1 and not name.startswith("filter_"):
                also = f", and not with --{name.replace('_', '-')}" if name in _TIMES else ""
                raise UsageError(f"--filter {name} can be given only once{also}: the server accepts one value")
        for kind in ("modified", "created"):
            begin, end = (values.get(f"{kind}_{side}", [""])[0] for side in ("from", "to"))
            if begin and end and int(begin) > int(end):
                raise UsageError(f"--{kind}-from is after --{kind}-to, so nothing would match")
        return {name: several[0] if len(several) == 1 else json.dumps(several) for name, several in values.items()}


def _arguments(options: Connection | Selection, names: Iterable[str]) -> list[str]:
    """Return those of the named options that do not have their default, as arguments of the command."""
    given = {name: getattr(options, name) for name in names if getattr(options, name) != getattr(type(options), name)}
    return [
        word
        for name, value in given.items()
        for word in (f"--{name.replace('_', '-')}", *([] if value is True else [str(value)]))
    ]


CONNECTION: Final = Connection()
SELECTION: Final = Selection()
JOB_OPTIONS: Final = JobOptions()
