"""Settings: an option, else the environment, else the profile; and the one secret that goes with them."""

import os
import sys
from collections.abc import Mapping
from getpass import getpass
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from ._errors import UsageError
from ._profile import SECRETS, config_path, read_profile, read_secret

if TYPE_CHECKING:
    from .. import Auth

_ACCOUNTS: Final = ("account_name", "account_realm", "phone_number")
_VARIABLES: Final = {
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


@frozen
class Settings:
    """What the environment and the profile say. Neither shows in a repr: both may have secrets."""

    profile: str
    environment: Mapping[str, str] = field(repr=False)
    stored: Mapping[str, str] = field(repr=False)

    @property
    def sources(self) -> list[tuple[str, Mapping[str, str]]]:
        """Where values come from, the strongest first."""
        return [("environment", self.environment), (f"profile {self.profile}", self.stored)]

    def get(self, name: str) -> str | None:
        """A setting that is no secret."""
        return next((source[name] for _, source in self.sources if name in source), None)

    def user(self) -> dict[str, str]:
        """The user's name, and the one thing that says which account the user belongs to."""
        found = {"username": username} if (username := self.get("username")) else {}
        for _, source in self.sources:
            if selectors := {name: source[name] for name in _ACCOUNTS if name in source}:
                return found | selectors
        return found


def read_settings(profile: str | None, *, stored: bool = True) -> Settings:
    """The settings, without a look into the keyring; raises ``UsageError`` for a file that must not be used.

    Without ``stored``, those of the environment only.
    """
    environment = {name: value for name, variable in _VARIABLES.items() if (value := os.environ.get(variable))}
    name = profile or os.environ.get("VINIX_PROFILE") or None
    return Settings(name or "default", environment, read_profile(name) if stored else {})


def credentials(settings: Settings) -> tuple["Auth", str]:
    """The credentials, and in words where they come from."""
    for where, source in settings.sources:
        for kind in SECRETS:
            if kind in source:
                return make_auth(kind, source[kind], settings.user()), where
    if in_keyring := settings.stored.get("keyring"):
        return make_auth(
            in_keyring, read_secret(settings.profile), settings.user()
        ), f"keyring, profile {settings.profile}"
    if settings.get("username") and sys.stdin.isatty() and sys.stderr.isatty():
        return make_auth("password", getpass("Password: "), settings.user()), "prompt"
    raise UsageError(
        "no credentials: set VINIX_AUTH_TOKEN, or VINIX_API_KEY, or VINIX_USERNAME and VINIX_PASSWORD with "
        f"VINIX_ACCOUNT_NAME; or keep them in {config_path()} with `vinix auth login`; or try --sandbox"
    )


def make_auth(kind: str, secret: str, user: Mapping[str, str]) -> "Auth":
    """The library's credentials of a kind."""
    from .. import ApiKeyAuth, TokenAuth, UserAuth  # noqa: PLC0415  # --help does without

    if kind == "auth_token":
        return TokenAuth(secret)
    if kind == "api_key":
        return ApiKeyAuth(secret)
    if "username" not in user:
        raise UsageError("there is a password but no user name: set VINIX_USERNAME")
    selectors: dict[str, Any] = {name: user[name] for name in _ACCOUNTS if name in user}
    return UserAuth(user["username"], secret, **selectors)
