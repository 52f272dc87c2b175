"""Create the client from the options, the environment and the profile."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from attrs import field, frozen

import vinix_async

from .exit_codes import UsageError
from .options import Connection
from .settings import find_credentials, read_settings

_NOT_AN_ID: Final = re.compile(r"""|\.\.?|.*[\s/\\%?#"',;:{}].*""", re.DOTALL)

_MAX_SHOWN: Final = 60  # the maximum number of characters of an invalid id that a message shows


def check_account_id(text: str, where: str = "") -> str:
    """Return ``text`` if it can be an account id. Otherwise raise ``UsageError``, with ``where`` before the message."""
    if _NOT_AN_ID.fullmatch(text) or not text.isprintable():
        shown = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
        raise UsageError(f"{where}{shown!r} is not an account id")
    return text


@frozen
class Server:
    """A client and its server.

    ``root``: the id of the account that ROOT stands for, if it is known. ``where``: the base URL, or ``sandbox``.
    ``source``: where the credentials were found, such as ``environment``.
    """

    client: "vinix_async.VinixClient" = field(repr=False)
    auth: "vinix_async.Auth" = field(repr=False)
    root: str | None
    where: str
    source: str

    def account_id(self, word: str | None) -> str:
        """Return the account id for an argument. ``ROOT`` and None stand for your own account."""
        if word is not None and word != "ROOT":
            return check_account_id(word)
        if self.root is None:
            raise UsageError("your own account is not known: name an account, set VINIX_ACCOUNT_ID, or use --sandbox")
        return check_account_id(self.root, "VINIX_ACCOUNT_ID or account_id of the profile: ")


@asynccontextmanager
async def connect(
    connection: Connection, *, auth: "vinix_async.Auth | None" = None, root: str | None = None
) -> AsyncIterator[Server]:
    """Open the client without sending a request.

    ``auth``: the credentials of a login; the profile is then not read. ``root``: the id of the account that ROOT stands
    for (default: that of the settings). A sandbox has its own credentials and its own root.
    """
    retry = vinix_async.RetryPolicy(outage_wait=connection.outage_wait)
    if connection.sandbox:
        from ..sandbox import Faults, Sandbox  # noqa: PLC0415  # most commands do not need it

        callflows, faults = connection.sandbox_callflows, connection.sandbox_faults
        given: dict[str, Any] = {} if callflows is None else {"callflows": callflows}
        sandbox = Sandbox(
            accounts=connection.sandbox_accounts,
            dialect=connection.sandbox_dialect,
            findings=connection.sandbox_findings,
            faults=Faults(share=faults) if faults else None,
            **given,
        )
        async with sandbox, sandbox.client(retry=retry) as client:
            yield Server(client, sandbox.user_auth(), sandbox.root_id, "sandbox", "sandbox")
        return
    if option := next((each for each in connection.arguments() if each.startswith("--sandbox")), None):
        raise UsageError(f"{option} needs --sandbox")
    settings = read_settings(connection.profile, use_profile=auth is None)
    auth, source = (auth, "login") if auth else find_credentials(settings)
    base = connection.base or settings.get("base")
    options: dict[str, Any] = {"base_url": base} if base else {}
    client = vinix_async.VinixClient(
        auth=auth, retry=retry, allow_http=connection.allow_http, trust_env=True, **options
    )
    async with client:
        yield Server(client, auth, root or settings.get("account_id"), client.base_url, source)
