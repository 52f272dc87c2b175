"""``vinix auth`` stores and checks credentials.

A secret is never an argument, because other users can see arguments in the list of processes. The command prompts for
the secret, or reads the secret from stdin.
"""

import json
import sys
from dataclasses import replace
from getpass import getpass
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

import vinix_async

from .connection import Server, connect
from .console import note, print_data, reading_input, to_terminal, write_data
from .exit_codes import UsageError
from .options import CONNECTION, Connection, Flag, NotEmpty
from .settings import check_profile_name, make_auth, read_settings, save_profile, save_secret, stored_base
from .table import facts_table

auth: App = App(name="auth", version=vinix_async.__version__, help="Store and check credentials.")

Kind = Literal["password", "api-key", "token"]
_SECRETS: Final = {
    "password": ("password", "Password"),
    "api-key": ("api_key", "API key"),
    "token": ("auth_token", "Token"),
}
"""For each kind of secret: the setting that stores the secret, and the prompt."""


@auth.command
async def login(
    *,
    kind: Annotated[Kind, Parameter(help="A user's password, an API key, or a token.")] = "password",
    username: Annotated[str | None, Parameter(help="The name of the user.")] = None,
    account_name: Annotated[str | None, Parameter(help="The name of the user's account.")] = None,
    account_realm: Annotated[
        str | None, Parameter(help="The SIP realm of the user's account, instead of its name.")
    ] = None,
    phone_number: Annotated[
        str | None, Parameter(help="A phone number of the user's account, instead of its name.")
    ] = None,
    account_id: Annotated[
        NotEmpty, Parameter(help="The account that ROOT stands for (default: the account of the credentials).")
    ] = None,
    keyring: Annotated[Flag, Parameter(help="Store the secret in the system's keyring, not in the profile.")] = False,
    connection: Connection = CONNECTION,
) -> None:
    """Check credentials and store them in a profile.

    The `base` of an existing profile is kept unless --base or VINIX_BASE is set. The other settings are replaced.

    If stdin is a terminal, the command prompts for the secret. Otherwise the first line of stdin must be the secret.
    Other users cannot read the file that contains the profiles.
    """
    if connection.sandbox:
        async with connect(connection) as server:
            await _check(server)
        note("Logged in to the sandbox. Nothing was stored, since the sandbox has ended.")
        return
    given = read_settings(connection.profile, use_profile=False)
    check_profile_name(given.profile)
    # Unless --base or VINIX_BASE names a server, a new secret must go only to the server of the profile.
    base = connection.base or given.get("base") or stored_base(given.profile)
    connection = replace(connection, base=base)
    account = {"account_name": account_name, "account_realm": account_realm, "phone_number": phone_number}
    if kind == "password":
        username = username or _ask("User name: ", "--username")
        if not any(account.values()):
            account["account_name"] = _ask("Account name: ", "--account-name")
    user = {name: value for name, value in {"username": username, **account}.items() if value}
    setting, prompt = _SECRETS[kind]
    secret = _read_secret(prompt)
    async with connect(connection, auth=make_auth(setting, secret, user), root=account_id) as server:
        found = await _check(server)
    stored = {
        "base": base,
        **user,
        "account_id": account_id or found["account_id"],
        **({"keyring": setting} if keyring else {setting: secret}),
    }
    if keyring:
        save_secret(given.profile, secret)
    path = save_profile(given.profile, {name: value for name, value in stored.items() if value})
    note(f"Logged in. The {'settings' if keyring else 'credentials'} are stored in {path}, profile {given.profile}.")
    if keyring:
        note("The secret is stored in the keyring.")


@auth.command
async def check(
    *,
    output: Annotated[Literal["table", "json"] | None, Parameter(help="The format.")] = None,
    connection: Connection = CONNECTION,
) -> None:
    """Log in, read your account, and print the account and the user of your credentials.

    If the server refuses the credentials, the exit code is 4.
    """
    async with connect(connection) as server:
        found = await _check(server)
    if (output or ("table" if to_terminal() else "json")) == "json":
        write_data(json.dumps(found).encode() + b"\n")
    else:
        print_data(facts_table({name.replace("_", " "): value or "unknown" for name, value in found.items()}))


async def _check(server: Server) -> dict[str, str | None]:
    """Log in, and return facts about the credentials."""
    identity = await server.client.whoami()
    account_id = server.root or identity.account_id
    if account_id is None:
        raise UsageError(
            "the server does not return the account of these credentials: set VINIX_ACCOUNT_ID, or run "
            "`vinix auth login` with --account-id"
        )
    await server.client.accounts.get(account_id)
    kinds = {vinix_async.UserAuth: "password", vinix_async.ApiKeyAuth: "API key"}
    return {
        "base": server.client.base_url,
        "credentials": kinds.get(type(server.auth), "token"),
        "source": server.source,
        "account_id": identity.account_id or account_id,
        "account_name": identity.account_name,
        "owner_id": identity.owner_id,
    }


def _ask(prompt: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise UsageError(f"{option} is required if stdin is not a terminal")
    try:
        with reading_input():
            note(prompt.rstrip())
            answer = input().strip()
    except EOFError:
        answer = ""
    if not answer:
        raise UsageError(f"{option} is required")
    return answer


def _read_secret(prompt: str) -> str:
    try:
        with reading_input():
            secret = getpass(f"{prompt}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    except EOFError:
        secret = ""
    if not secret:
        raise UsageError("no secret was entered: type it at the prompt, or send it to stdin")
    return secret
