"""The commands: parsing, and what is asked of the library. Exit codes are those of ``ExitCode``."""

import asyncio
import os
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter

from .. import _version
from ._output import note, printable

if TYPE_CHECKING:
    from .. import VinixError

# Each command imports what it runs: --help needs neither aiohttp nor the client.
# ruff: noqa: PLC0415

Output = Literal["table", "json", "ndjson"]
Dialect = Literal["kazoo5", "kazoo43", "documented"]


class ExitCode(IntEnum):
    """How the command ends."""

    OK = 0
    ERROR = 1
    USAGE = 2
    AUTHENTICATION = 4
    INTERRUPTED = 130


app = App(
    name="vinix",
    help="Callflows of the Vinix telephony API. `vinix demo` shows it without an account.",
    version=_version.__version__,
    result_action="return_value",
)
callflows = App(name="callflows", help="The callflows of an account.")
app.command(callflows)


@app.command
async def demo(*, accounts: int = 3, dialect: Dialect = "kazoo5", seed: int = 0) -> None:
    """List the callflows of a few synthetic accounts, through the real client, from an embedded sandbox.

    Parameters
    ----------
    accounts
        How many accounts, the reseller above them included.
    dialect
        Which of the server's ways of answering.
    seed
        Another number makes other accounts.
    """
    from ..sandbox import Sandbox
    from ._demo import show

    async with Sandbox(dialect=dialect, accounts=accounts, seed=seed) as sandbox:
        await show(sandbox)


@callflows.command(name="list")
async def list_callflows(
    account: str | None = None,
    *,
    output: Output | None = None,
    page_size: int | None = None,
    max_items: int | None = None,
    filters: Annotated[tuple[str, ...], Parameter(name="--filter", negative=())] = (),
    details: Annotated[bool, Parameter(negative=())] = False,
    sandbox: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """List the callflows of one account: a table on a terminal, NDJSON in a pipe.

    The address and the credentials come from the environment: VINIX_BASE, and VINIX_AUTH_TOKEN, or VINIX_API_KEY, or
    VINIX_USERNAME and VINIX_PASSWORD with VINIX_ACCOUNT_NAME, VINIX_ACCOUNT_REALM or VINIX_PHONE_NUMBER.

    Parameters
    ----------
    account
        The account's id. VINIX_ACCOUNT_ID is taken where there is none.
    output
        What to print.
    page_size
        Rows for each request; the server's default is 50.
    max_items
        How many callflows at most.
    filters
        A filter of the server as KEY=VALUE, such as filter_type=main; may be repeated.
    details
        Read each callflow whole, with its flow.
    sandbox
        Ask an embedded sandbox in place of the server; the account is then its root, unless given.
    """
    from .. import VinixClient
    from ._output import write_callflows

    asked: dict[str, Any] = {
        "page_size": page_size,
        "max_items": max_items,
        "filters": _pairs(filters),
        "details": details,
    }
    chosen = output or ("table" if sys.stdout.isatty() else "ndjson")
    if sandbox:
        from ..sandbox import Sandbox

        async with Sandbox() as server, server.client() as client:
            await write_callflows(client.callflows.list(account or server.root_id, **asked), chosen)
        return
    account = account or os.environ.get("VINIX_ACCOUNT_ID")
    if account is None:
        raise UsageError("name an account, or set VINIX_ACCOUNT_ID, or try --sandbox")
    async with VinixClient.from_env() as client:
        await write_callflows(client.callflows.list(account, **asked), chosen)


@app.command(name="sandbox")
async def serve(
    *, port: int = 8080, dialect: Dialect = "kazoo5", accounts: int = 3, callflows: int | None = None, seed: int = 0
) -> None:
    """Run a sandbox server on this machine until Ctrl-C; prints the variables that point a client to it.

    Parameters
    ----------
    port
        The port to listen on; 0 takes a free one.
    dialect
        Which of the server's ways of answering.
    accounts
        How many accounts, the reseller above them included.
    callflows
        How many callflows each account has; without it, 4 to 12.
    seed
        Another number makes other accounts.
    """
    from ..sandbox import Sandbox

    server = Sandbox(
        port=port, dialect=dialect, accounts=accounts, seed=seed, callflows=(4, 12) if callflows is None else callflows
    )
    async with server:
        auth = server.user_auth()
        for name, value in (
            ("VINIX_BASE", server.url),
            ("VINIX_USERNAME", auth.username),
            ("VINIX_PASSWORD", auth.password),  # synthetic, and good for this server alone
            ("VINIX_ACCOUNT_NAME", auth.account_name),
            ("VINIX_ACCOUNT_ID", server.root_id),
        ):
            print(f"export {name}={value}", flush=True)  # noqa: T201  # this is the command's output
        note("listening; Ctrl-C ends it")
        await asyncio.Event().wait()


class UsageError(Exception):
    """The command line does not say what is needed."""


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise UsageError(f"--filter takes KEY=VALUE, not {wrong[0]!r}")
    return {name: value for name, _, value in pairs}


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code."""
    try:
        app(list(arguments), exit_on_error=False, print_error=True)
    except (CycloptsError, UsageError) as error:
        if isinstance(error, UsageError):
            note(f"vinix: {error}")
        return ExitCode.USAGE
    except (KeyboardInterrupt, asyncio.CancelledError):
        note("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # whoever read the output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception as error:
        from .. import VinixError

        if isinstance(error, OSError):
            note(f"vinix: {error}")
            return ExitCode.ERROR
        if not isinstance(error, VinixError):
            raise
        return _explain(error)
    return ExitCode.OK


def _explain(error: "VinixError") -> int:
    from .. import AuthenticationError, ConfigurationError

    note(f"vinix: {type(error).__name__}: {printable(str(error), lines=True)}")
    for line in getattr(error, "__notes__", ()):
        note(f"vinix: {line}")
    if isinstance(error, ConfigurationError):
        return ExitCode.USAGE
    return ExitCode.AUTHENTICATION if isinstance(error, AuthenticationError) else ExitCode.ERROR
