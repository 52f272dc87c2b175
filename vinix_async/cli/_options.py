"""Options that several commands share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from cyclopts import Group, Parameter

from ._errors import UsageError

Dialect: TypeAlias = Literal["kazoo5", "kazoo43", "documented"]
Shown: TypeAlias = Literal["table", "json", "ndjson", "tree", "mermaid", "svg", "html"]
Flag: TypeAlias = Annotated[bool, Parameter(negative=(), show_default=False)]

_CONNECTION = Group("Connection", sort_key=8)
_SANDBOX = Group("Sandbox", sort_key=9)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Connection:
    """Which server is asked. What is not given comes from the environment, then from the profile."""

    profile: Annotated[
        str | None, Parameter(group=_CONNECTION, help="The profile of the configuration file; else VINIX_PROFILE.")
    ] = None
    base: Annotated[
        str | None, Parameter(group=_CONNECTION, help="The API's address with its /v2; else VINIX_BASE.")
    ] = None
    allow_http: Annotated[
        bool,
        Parameter(
            group=_CONNECTION,
            negative=(),
            show_default=False,
            help="Take plain http for another machine than this one.",
        ),
    ] = False
    sandbox: Annotated[
        bool,
        Parameter(
            group=_SANDBOX, negative=(), show_default=False, help="Ask an embedded sandbox; ROOT is its reseller."
        ),
    ] = False
    sandbox_accounts: Annotated[
        int, Parameter(group=_SANDBOX, help="How many accounts it has, the reseller included.")
    ] = 3
    sandbox_callflows: Annotated[
        int | None, Parameter(group=_SANDBOX, help="How many callflows each has; without it, 4 to 12.")
    ] = None
    sandbox_dialect: Annotated[Dialect, Parameter(group=_SANDBOX, help="How it answers.")] = "kazoo5"
    sandbox_faults: Annotated[
        float, Parameter(group=_SANDBOX, help="The share of its answers that go wrong, from 0 to 1.")
    ] = 0.0


HERE = Connection()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which accounts, beside those that are named one by one."""

    descendants_of: Annotated[
        str | None, Parameter(help="All accounts below this one, itself not among them. ROOT is your own.")
    ] = None
    accounts_from: Annotated[
        str | None,
        Parameter(allow_leading_hyphen=True, help="A file with ids of accounts, one on each line; - is stdin."),
    ] = None
    all: Annotated[bool, Parameter(negative=(), show_default=False, help="Your own account and all below it.")] = False
    shard: Annotated[
        str | None, Parameter(help="2/8: of the accounts, only the second eighth, by a hash of their ids.")
    ] = None


NO_SELECTION = Selection()


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """``KEY=VALUE`` options as a dict."""
    split = [text.partition("=") for text in texts]
    if wrong := [name for name, equals, _ in split if not equals]:
        raise UsageError(f"--filter takes KEY=VALUE, not {wrong[0]!r}")
    return {name: value for name, _, value in split}
