"""Options that several commands share."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from cyclopts import Group, Parameter

from .exit_codes import UsageError

DEFAULT_CALLFLOWS: Final = (4, 12)
"""The range from which the sandbox takes the number of callflows of an account."""

_GREGORIAN_EPOCH: Final = 62_167_219_200
"""Seconds from the year 0, from which the server counts, to the year 1970."""

_TIMES: Final = ("modified_from", "modified_to", "created_from", "created_to")
_SPAN: Final = re.compile(r"(\d+)([mhdw])")
_SPAN_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def between(least: float, most: float = float("inf")) -> Callable[[Any, Any], None]:
    """Return a validator for a number."""

    def check(_type: Any, value: Any) -> None:
        if value is not None and not least <= value <= most:
            limits = f"at least {least}" if most == float("inf") else f"between {least} and {most}"
            raise ValueError(f"must be {limits}, not {value}")

    return check


def _option(text: str, **more: Any) -> Parameter:
    return Parameter(help=text, **more)


Flag: TypeAlias = Annotated[bool, Parameter(negative=(), show_default=False)]
Shown: TypeAlias = Literal["table", "json", "ndjson", "tree", "mermaid", "svg", "html"]
Dialect: TypeAlias = Annotated[
    Literal["kazoo5", "kazoo43", "documented"], _option("The server version that the sandbox imitates.")
]
SandboxAccounts: TypeAlias = Annotated[
    int, _option("The number of accounts in the sandbox, its reseller included.", validator=between(1))
]
SandboxCallflows: TypeAlias = Annotated[
    int | None, _option("The number of callflows of each account (default: 4 to 12).", validator=between(0))
]

Accounts: TypeAlias = Annotated[str, _option("Account ids. ROOT is your own account.")]
PageSize: TypeAlias = Annotated[
    int | None, _option("The number of rows to request at once (the server's default: 50).", validator=between(1))
]
MaxItems: TypeAlias = Annotated[
    int | None, _option("The largest number of rows to read, of each account.", validator=between(1))
]
RawCells: TypeAlias = Annotated[Flag, _option("Do not protect CSV cells that a spreadsheet would run as a formula.")]
Bom: TypeAlias = Annotated[Flag, _option("Begin a CSV file with a byte order mark, for Excel.")]
Force: TypeAlias = Annotated[Flag, _option("Replace an existing file, and discard an unfinished run.")]

_CONNECTION: Final = Group("Connection", sort_key=8)
_SANDBOX: Final = Group("Sandbox", sort_key=9)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Connection:
    """The server to use. A setting without an option comes from the environment, else from the profile."""

    profile: Annotated[
        str | None, _option("The profile of the configuration file (default: VINIX_PROFILE).", group=_CONNECTION)
    ] = None
    base: Annotated[
        str | None, _option("The API's address, with its /v2 (default: VINIX_BASE).", group=_CONNECTION)
    ] = None
    allow_http: Annotated[Flag, _option("Allow plain HTTP to other machines.", group=_CONNECTION)] = False
    sandbox: Annotated[Flag, _option("Use an embedded sandbox. ROOT is its reseller.", group=_SANDBOX)] = False
    sandbox_accounts: Annotated[SandboxAccounts, Parameter(group=_SANDBOX)] = 3
    sandbox_callflows: Annotated[SandboxCallflows, Parameter(group=_SANDBOX)] = None
    sandbox_dialect: Annotated[Dialect, Parameter(group=_SANDBOX)] = "kazoo5"
    sandbox_faults: Annotated[
        float, _option("The share of replies that fail, from 0 to 1.", group=_SANDBOX, validator=between(0, 1))
    ] = 0.0


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Selection:
    """The accounts of a job, in addition to those that are named one by one."""

    descendants_of: Annotated[
        str | None, _option("All accounts below this one, without the account itself. ROOT is your own account.")
    ] = None
    accounts_from: Annotated[
        str | None,
        _option(
            "A file with one account id on each line, or a CSV file with a column account_id or id; - reads stdin.",
            allow_leading_hyphen=True,
        ),
    ] = None
    all: Annotated[Flag, _option("Your own account and all accounts below it.")] = False
    shard: Annotated[
        str | None, _option("A part of the accounts, chosen by a hash of the id: 2/8 is the second of eight parts.")
    ] = None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Query:
    """The callflows of each account that a job reads."""

    filters: Annotated[
        tuple[str, ...],
        _option(
            "A filter of the server as KEY=VALUE, such as filter_type=mainUserCallflow. Repeat it for more filters.",
            name="--filter",
            negative=(),
            show_default=False,
        ),
    ] = ()
    modified_from: Annotated[
        str | None, _option("Only callflows modified since a date such as 2026-11-20, or within a span such as 7d.")
    ] = None
    modified_to: Annotated[str | None, _option("Only callflows modified until a date, or before a span.")] = None
    created_from: Annotated[str | None, _option("Only callflows created since a date, or within a span.")] = None
    created_to: Annotated[str | None, _option("Only callflows created until a date, or before a span.")] = None
    page_size: PageSize = None

    def server_filters(self) -> dict[str, str]:
        """Return the filters as query parameters. Several values of one ``filter_`` name mean any of them."""
        values: dict[str, list[str]] = {}
        for text in self.filters:
            name, equals, value = text.partition("=")
            if not equals:
                raise UsageError(f"--filter must be KEY=VALUE, not {text!r}")
            if name in _TIMES and not value.isdecimal():
                raise UsageError(
                    f"--filter {name} must be in the server's seconds: --{name.replace('_', '-')} takes dates"
                )
            values.setdefault(name, []).append(value)
        for name in _TIMES:
            if (text := getattr(self, name)) is not None:
                values.setdefault(name, []).append(_server_time(f"--{name.replace('_', '-')}", text))
        for name, several in values.items():
            if len(several) > 1 and not name.startswith("filter_"):
                raise UsageError(f"--filter {name} can be given only once: the server does not combine its values")
        return {name: several[0] if len(several) == 1 else json.dumps(several) for name, several in values.items()}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Running:
    """How a job runs, and where it saves its progress."""

    concurrency: Annotated[int, _option("The number of accounts to read at once.", validator=between(1))] = 32
    checkpoint: Annotated[
        Path | None,
        _option("Where to save progress (default: beside the output file, or in the user state directory)."),
    ] = None
    resume: Annotated[
        Path | None, _option("Continue the job of this checkpoint, and retry the accounts that failed.")
    ] = None


CONNECTION: Final = Connection()
SELECTION: Final = Selection()
QUERY: Final = Query()
RUNNING: Final = Running()


def _server_time(option: str, text: str) -> str:
    """Return a date, a time or a span before now in the server's seconds. Without a zone, it is local time."""
    try:
        if span := _SPAN.fullmatch(text):
            moment = datetime.now(UTC) - timedelta(**{_SPAN_UNITS[span[2]]: int(span[1])})
        else:
            moment = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        message = f"{option} must be a date such as 2026-11-20 or a span such as 7d, not {text!r}"
        raise UsageError(message) from None
    return str(int(moment.timestamp()) + _GREGORIAN_EPOCH)
