"""Whether credentials are good, and whose they are."""

import time

from attrs import frozen

from .. import Auth
from .._pipeline.auth import read_token
from .._pipeline.rate_limiter import ACCOUNT_RETRIES
from .._pipeline.retry import RetryBudget
from .connection import Server, base_url
from .exit_codes import UsageError


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
    account_id, seconds = server.root, None
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
        base_url(server.client),
        {"User": "password", "ApiKey": "API key"}.get(kind, kind.lower()),
        server.source,
        account_id,
        seconds,
    )
