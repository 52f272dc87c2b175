"""Settings and credentials: from the environment, then from the profile, then from the keyring."""

import os
import sys
from collections.abc import Mapping
from getpass import getpass
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from .exit_codes import UsageError
from .profiles import SECRETS, config_path, read_profile, read_secret

if TYPE_CHECKING:
    from .. import Auth

VARIABLES: Final = {
    "base": "VINIX_BASE",
    "account_id": "VINIX_ACCOUNT_ID",
    "username": "VINIX_USERNAME",
    "account_name": "VINIX_ACCOUNT_NAME",
    "account_realm": "VINIX_ACCOUNT_REALM",
    "phone_number": "VINIX_PHONE_NUMBER",
    "auth_token": "VINIX_AUTH_TOKEN",
    "api_key": "VINIX_API_KEY",
    "password": "VINIX_PASSWORD",
}
"""The environment variable of each setting."""

_USER_ACCOUNT: Final = ("account_name", "account_realm", "phone_number")
"""The settings that name the account of a user; a login needs one of them."""


@frozen
class Settings:
    """The settings of the environment and of one profile. The repr shows neither, since both may hold secrets."""

    profile: str
    environment: Mapping[str, str] = field(repr=False)
    stored: Mapping[str, str] = field(repr=False)

    @property
    def sources(self) -> list[tuple[str, Mapping[str, str]]]:
        """The name and the settings of each source, in the order in which they are searched."""
        return [("environment", self.environment), (f"profile {self.profile}", self.stored)]

    def get(self, name: str) -> str | None:
        """Return a setting that is not a secret."""
        return next((source[name] for _, source in self.sources if name in source), None)

    def user(self) -> dict[str, str]:
        """Return the user's name and account. The account comes from the first source that has one."""
        found = {"username": username} if (username := self.get("username")) else {}
        for _, source in self.sources:
            if account := {name: source[name] for name in _USER_ACCOUNT if name in source}:
                return found | account
        return found


def read_settings(profile: str | None, *, use_profile: bool = True) -> Settings:
    """Read the settings; the keyring is not opened. Raises ``UsageError`` for a profile that cannot be used."""
    environment = {name: value for name, variable in VARIABLES.items() if (value := os.environ.get(variable))}
    name = profile or os.environ.get("VINIX_PROFILE") or None
    return Settings(name or "default", environment, read_profile(name) if use_profile else {})


def find_credentials(settings: Settings) -> tuple["Auth", str]:
    """Return the credentials and the name of their source. The first source that has a secret decides."""
    for source, values in settings.sources:
        for kind in SECRETS:
            if kind in values:
                return make_auth(kind, values[kind], settings.user()), source
    if in_keyring := settings.stored.get("keyring"):
        secret = read_secret(settings.profile)
        return make_auth(in_keyring, secret, settings.user()), f"keyring, profile {settings.profile}"
    if settings.get("username") and sys.stdin.isatty() and sys.stderr.isatty():
        return make_auth("password", getpass("Password: "), settings.user()), "prompt"
    raise UsageError(
        "no credentials found: set VINIX_AUTH_TOKEN, or VINIX_API_KEY, or VINIX_USERNAME and VINIX_PASSWORD with "
        f"VINIX_ACCOUNT_NAME; or store them in {config_path()} with `vinix auth login`; or use --sandbox"
    )


def make_auth(kind: str, secret: str, user: Mapping[str, str]) -> "Auth":
    """Return the library's credentials for a secret; ``kind`` is one of ``SECRETS``."""
    from .. import ApiKeyAuth, TokenAuth, UserAuth  # noqa: PLC0415  # slow to import, and --help does not need it

    if kind == "auth_token":
        return TokenAuth(secret)
    if kind == "api_key":
        return ApiKeyAuth(secret)
    if "username" not in user:
        raise UsageError("a password was found, but no user name: set VINIX_USERNAME")
    account: dict[str, Any] = {name: user[name] for name in _USER_ACCOUNT if name in user}
    if len(account) != 1:
        known = ", ".join(VARIABLES[name] for name in _USER_ACCOUNT)
        raise UsageError(f"a user needs an account: set exactly one of {known}, or of their options or profile keys")
    return UserAuth(user["username"], secret, **account)
