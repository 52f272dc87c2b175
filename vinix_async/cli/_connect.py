"""From options and settings to a client that can be used."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from attrs import field, frozen

from .. import Auth, ConfigurationError, VinixClient
from ..sandbox import Faults, Sandbox
from ._config import Settings, credentials, read_settings
from ._errors import UsageError
from ._options import Connection


@frozen
class Server:
    """A client, and what is known of the server that it asks.

    ``own``: the account that ROOT stands for. ``where``: the base URL, or ``sandbox``. ``source``: where the
    credentials come from.
    """

    client: VinixClient = field(repr=False)
    own: str | None
    where: str
    source: str
    base: str
    settings: Settings | None = None

    def account(self, word: str | None) -> str:
        """The id that ``word`` stands for: itself, or one's own for ROOT and for nothing."""
        if word is not None and word != "ROOT":
            return word
        if self.own is None:
            raise UsageError("name an account, or set VINIX_ACCOUNT_ID, or try --sandbox")
        return self.own


@asynccontextmanager
async def connect(connection: Connection, *, auth: Auth | None = None, own: str | None = None) -> AsyncIterator[Server]:
    """The server that the options, the environment and the profile name; nothing is asked yet.

    With ``auth``, for a login, what the profile has does not count.
    """
    if connection.sandbox:
        callflows = connection.sandbox_callflows
        faults = connection.sandbox_faults
        sandbox = Sandbox(
            accounts=connection.sandbox_accounts,
            callflows=(4, 12) if callflows is None else callflows,
            dialect=connection.sandbox_dialect,
            faults=Faults(share=faults) if faults else None,
        )
        async with sandbox, sandbox.client() as client:
            yield Server(client, sandbox.root_id, "sandbox", "sandbox", sandbox.url)
        return
    settings = read_settings(connection.profile, stored=auth is None)
    auth, source = (auth, "login") if auth else credentials(settings)
    base = connection.base or settings.get("base")
    options: dict[str, Any] = {"base_url": base} if base else {}
    try:
        client = VinixClient(auth=auth, allow_http=connection.allow_http, trust_env=True, **options)
    except ConfigurationError as error:
        raise UsageError(str(error).replace("allow_http=True", "--allow-http")) from None
    async with client:
        url = client._requester.transport.base_url  # noqa: SLF001  # with the default filled in
        yield Server(client, own or settings.get("account_id"), url, source, url, settings)
