"""Whether credentials are good, and whose they are."""

import json
import time

from attrs import asdict, frozen
from rich.table import Table
from rich.text import Text

from .. import Auth
from .._pipeline.auth import read_token
from .._pipeline.rate_limiter import ACCOUNT_RETRIES
from .._pipeline.retry import RetryBudget
from ._connect import Server
from ._errors import UsageError
from ._output import print_data, printable, to_terminal, write_data


@frozen
class Check:
    """What a login has shown. ``token_seconds`` is None where the token does not tell its end."""

    base: str
    credentials: str
    source: str
    account_id: str | None
    token_seconds: int | None


async def try_credentials(server: Server) -> Check:
    """Exchange the credentials for a token, and read one page of accounts with it; raises the library's errors."""
    requester = server.client._requester  # noqa: SLF001  # the reply names the account, which no public call gives
    auth = requester._auth  # noqa: SLF001  # as above
    account_id, seconds = server.own, None
    if isinstance(auth, Auth) and (request := auth.exchange()) is not None:
        envelope = await requester._exchange(request, auth, RetryBudget(ACCOUNT_RETRIES))  # noqa: SLF001  # as above
        token = read_token(envelope, monotonic=0.0, time=time.time())
        seconds = int(token.expires_at) if token.expires_at < 1e9 else None
        named = envelope.data.get("account_id") if isinstance(envelope.data, dict) else None
        account_id = account_id or (named if isinstance(named, str) else None)
    if account_id is None:
        raise UsageError("a token does not say whose it is: set VINIX_ACCOUNT_ID, or give --account-id")
    await server.client.accounts.children(account_id, max_items=1)
    kind = type(auth).__name__.removesuffix("Auth")
    return Check(
        server.base,
        {"User": "password", "ApiKey": "API key"}.get(kind, kind.lower()),
        server.source,
        account_id,
        seconds,
    )


def print_check(check: Check, output: str | None) -> None:
    """A table on a terminal, JSON in a pipe."""
    if (output or ("table" if to_terminal() else "json")) == "json":
        write_data(json.dumps(asdict(check)).encode() + b"\n")
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in asdict(check).items():
        table.add_row(name.replace("_", " "), Text(printable("unknown" if value is None else str(value))))
    print_data(table)
