"""``vinix auth``: keep credentials, and try them. A secret is asked for, or read from stdin, and never an argument."""

# ruff: noqa: PLC0415  # --help needs neither aiohttp nor the client

import os
import sys
from getpass import getpass
from typing import Literal

from cyclopts import App

from ._errors import UsageError
from ._options import HERE, Connection, Flag
from ._output import note

auth = App(name="auth", help="Keep credentials, and try them.")

Kind = Literal["password", "api-key", "token"]
_FIELDS = {"password": "password", "api-key": "api_key", "token": "auth_token"}


@auth.command
async def login(
    *,
    kind: Kind = "password",
    username: str | None = None,
    account_name: str | None = None,
    account_realm: str | None = None,
    phone_number: str | None = None,
    account_id: str | None = None,
    keyring: Flag = False,
    connection: Connection = HERE,
) -> None:
    """Try credentials, and keep them in the profile.

    The secret is asked for on a terminal, and otherwise read from stdin. The file can be read by you alone.

    Parameters
    ----------
    kind
        What the secret is: a user's password, an account's API key, or a token that is at hand.
    username
        The user that the password is of.
    account_name
        The name of the user's account, or one of the next two.
    account_realm
        Its SIP realm.
    phone_number
        One of its numbers.
    account_id
        The account that ROOT stands for; without it, the one that the server names.
    keyring
        Keep the secret in the system's keyring, and the rest in the profile.
    """
    from ._config import make_auth
    from ._connect import connect
    from ._login import try_credentials
    from ._profile import save_profile, save_secret

    field = _FIELDS[kind]
    known = {"account_name": account_name, "account_realm": account_realm, "phone_number": phone_number}
    if connection.sandbox:
        async with connect(connection) as server:
            await try_credentials(server)
        note("logged in to the sandbox; nothing was kept, since it ends here")
        return
    if kind == "password":
        username = username or _ask("User name: ", "--username")
        if not any(known.values()):
            known["account_name"] = _ask("Account name: ", "--account-name")
    user = {name: value for name, value in {"username": username, **known}.items() if value}
    secret = _secret(kind)
    profile = connection.profile or os.environ.get("VINIX_PROFILE") or "default"
    async with connect(connection, auth=make_auth(field, secret, user), own=account_id) as server:
        found = await try_credentials(server)
        base = connection.base or (server.settings and server.settings.get("base"))
    settings: dict[str, str] = {**({"base": base} if base else {}), **user}
    if own := account_id or found.account_id:
        settings["account_id"] = own
    if keyring:
        save_secret(profile, secret)
    settings |= {"keyring": field} if keyring else {field: secret}
    path = save_profile(profile, settings)
    note(f"logged in; kept in {path}, profile {profile}" + (", the secret in the keyring" if keyring else ""))


@auth.command
async def check(*, output: Literal["table", "json"] | None = None, connection: Connection = HERE) -> None:
    """Log in with the credentials at hand, read one page, and say whose they are. Exit code 4 if they are refused.

    Parameters
    ----------
    output
        What to print.
    """
    from ._connect import connect
    from ._login import print_check, try_credentials

    async with connect(connection) as server:
        print_check(await try_credentials(server), output)


def _ask(prompt: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise UsageError(f"{option} is needed where there is no terminal to ask on")
    note(prompt.rstrip())
    answer = input().strip()
    if not answer:
        raise UsageError(f"{option} is needed")
    return answer


def _secret(kind: Kind) -> str:
    words = {"password": "Password", "api-key": "API key", "token": "Token"}[kind]
    secret = getpass(f"{words}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise UsageError(f"no {words.lower()} was given: it is read from the terminal, or from stdin")
    return secret
