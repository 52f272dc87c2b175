"""Find settings and credentials in the environment, in a profile and in the keyring, and store them.

A profile is a table of the configuration file. The environment overrides the profile.
"""

import json
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from getpass import getpass
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen
from platformdirs import user_config_path

import vinix_async

from .console import reading_input
from .exit_codes import UsageError
from .files import exists, write_private_file

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
"""The settings that name a user's account. A login with a password needs exactly one of them."""


SECRETS: Final = ("auth_token", "api_key", "password")
"""The settings that are secrets. If a source has several of them, the first one is used."""

_KEYS: Final = frozenset({*VARIABLES, "keyring"})
_KEYRING_SERVICE: Final = "vinix"
_PROFILE_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


@frozen
class Settings:
    """The settings of the environment and of one profile. Both may hold secrets, so the repr omits both."""

    profile: str
    environment: Mapping[str, str] = field(repr=False)
    stored: Mapping[str, str] = field(repr=False)

    @property
    def sources(self) -> list[tuple[str, Mapping[str, str]]]:
        """The name and the settings of each source, in the order in which they are searched."""
        return [("environment", self.environment), (f"profile {self.profile}", self.stored)]

    def get(self, name: str) -> str | None:
        """Return a setting from the first source that has it, or None. Use ``find_credentials`` for secrets."""
        return next((source[name] for _, source in self.sources if name in source), None)

    def user(self) -> dict[str, str]:
        """Return the settings of the user.

        All settings that name the account come from the same source: the first source that has any such setting.
        """
        found = {"username": username} if (username := self.get("username")) else {}
        for _, source in self.sources:
            if account := {name: source[name] for name in _USER_ACCOUNT if name in source}:
                return found | account
        return found


def read_settings(profile: str | None, *, use_profile: bool = True) -> Settings:
    """Read the environment and the profile, but not the keyring. Raises ``UsageError`` for an invalid profile."""
    environment = {name: value for name, variable in VARIABLES.items() if (value := os.environ.get(variable))}
    name = profile or os.environ.get("VINIX_PROFILE") or None
    return Settings(name or "default", environment, read_profile(name) if use_profile else {})


def find_credentials(settings: Settings) -> tuple["vinix_async.Auth", str]:
    """Return credentials, and the name of the source that has the secret.

    The environment is searched first, then the profile, then the keyring if the profile refers to it. If none has a
    secret but the user's name is known, the command prompts for the password on a terminal.
    """
    for source, values in settings.sources:
        for kind in SECRETS:
            if kind in values:
                return make_auth(kind, values[kind], settings.user()), source
    if in_keyring := settings.stored.get("keyring"):
        secret = read_secret(settings.profile)
        return make_auth(in_keyring, secret, settings.user()), f"keyring, profile {settings.profile}"
    if settings.get("username") and sys.stdin.isatty() and sys.stderr.isatty():
        with reading_input():
            secret = getpass("Password: ")
        return make_auth("password", secret, settings.user()), "prompt"
    raise UsageError(
        "no credentials found: set VINIX_AUTH_TOKEN, or VINIX_API_KEY, or VINIX_USERNAME and VINIX_PASSWORD with "
        f"VINIX_ACCOUNT_NAME; or store credentials in {config_path()} with `vinix auth login`; or use --sandbox"
    )


def make_auth(kind: str, secret: str, user: Mapping[str, str]) -> "vinix_async.Auth":
    """Return an ``Auth`` object of the library that contains ``secret``. ``kind`` is one of ``SECRETS``."""
    if kind == "auth_token":
        return vinix_async.TokenAuth(secret)
    if kind == "api_key":
        return vinix_async.ApiKeyAuth(secret)
    if "username" not in user:
        raise UsageError("a password was found, but no user name: set VINIX_USERNAME, or username in the profile")
    account: dict[str, Any] = {name: user[name] for name in _USER_ACCOUNT if name in user}
    if len(account) != 1:
        known = ", ".join(VARIABLES[name] for name in _USER_ACCOUNT)
        found = "several settings name" if account else "no setting names"
        raise UsageError(
            f"{found} the account of user {user['username']}: set exactly one of {known}, "
            "or the matching setting of the profile or option of `vinix auth login`"
        )
    return vinix_async.UserAuth(user["username"], secret, **account)


# --- the configuration file ---


def config_path() -> Path:
    """Return the configuration file: VINIX_CONFIG, or ``config.toml`` in the user's configuration directory."""
    given = os.environ.get("VINIX_CONFIG")
    return Path(given) if given else user_config_path("vinix", appauthor=False) / "config.toml"


def read_profile(name: str | None) -> dict[str, str]:
    """Return the settings of a profile, without empty ones. If ``name`` is None, read ``default`` if it exists."""
    path = config_path()
    profiles = _parse(_read(path), path)
    if name is not None and name not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        raise UsageError(f"{path} has no profile {name!r}; its profiles are: {known}; `vinix auth login` adds one")
    profile = profiles.get(name or "default", {})
    if unknown := sorted(profile.keys() - _KEYS):
        raise UsageError(f"{path}: {unknown[0]!r} is not a setting; the settings are {', '.join(sorted(_KEYS))}")
    if wrong := sorted(key for key, value in profile.items() if not isinstance(value, str)):
        raise UsageError(f"{path}: {wrong[0]} must be a string in quotes")
    if profile.get("keyring", "password") not in SECRETS:
        raise UsageError(f"{path}: keyring must be one of {', '.join(SECRETS)}")
    return {key: value for key, value in profile.items() if value}


def stored_base(name: str) -> str | None:
    """Return the ``base`` of a profile, or None if the profile has none or does not exist."""
    path = config_path()
    return read_profile(name).get("base") if name in _parse(_read(path), path) else None


def check_profile_name(name: str) -> None:
    """Raise ``UsageError`` if ``save_profile`` cannot write a profile with this name."""
    if not _PROFILE_NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not a valid name of a profile: use only letters, digits, - and _")


def save_profile(name: str, settings: Mapping[str, str]) -> Path:
    """Write one profile and return the file. Other profiles and their comments stay unchanged."""
    path = config_path()
    text = _read(path)
    before = _parse(text, path)
    section = f"[{name}]\n" + "".join(f"{key} = {_quoted(value)}\n" for key, value in settings.items())
    old_section = re.compile(rf"^\[{name}\][ \t]*(?:#[^\n]*)?\n(?:(?!\[)[^\n]*\n?)*", re.MULTILINE)
    rest, found = old_section.subn(lambda _: section + "\n", text, count=1)
    new = rest.rstrip("\n") + "\n" if found else "\n".join(filter(None, (text.rstrip("\n"), section)))
    try:
        is_safe = _parse(new, path) == before | {name: dict(settings)}
    except UsageError:  # for example, because the section is written in another way, such as [ default ]
        is_safe = False
    if not is_safe:
        raise UsageError(f"cannot change {path} without losing parts of it: edit the file by hand")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private_file(path, new.encode())
    return path


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
                raise UsageError(f"{path} may hold secrets, but other users have access to it: run `chmod 600 {path}`")
            return file.read().decode()
    except FileNotFoundError:
        return ""
    except OSError as error:
        # systemd's ``ProtectHome=yes``, for example, denies access to the home directory.
        home_is_closed = isinstance(error, PermissionError) and not exists(path)
        if home_is_closed and not os.environ.get("VINIX_CONFIG"):
            return ""
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not valid UTF-8") from None


def _parse(text: str, path: Path) -> dict[str, dict[str, Any]]:
    try:
        profiles = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None
    if wrong := [key for key, value in profiles.items() if not isinstance(value, dict)]:
        raise UsageError(f"{path}: {wrong[0]} must be in the table of a profile, such as [default]")
    return profiles


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


# --- the keyring ---


def read_secret(profile: str) -> str:
    """Return a profile's secret from the keyring. Raises ``UsageError`` if the secret or the keyring is missing."""
    secret = _use_keyring(lambda keyring: keyring.get_password(_KEYRING_SERVICE, profile))
    if not secret:
        raise UsageError(
            f"the keyring has no secret for profile {profile}: run `vinix auth login --profile {profile} --keyring`, "
            "with --kind if the secret is not a password"
        )
    return str(secret)


def save_secret(profile: str, secret: str) -> None:
    """Store a profile's secret in the keyring."""
    _use_keyring(lambda keyring: keyring.set_password(_KEYRING_SERVICE, profile, secret))


def _use_keyring(action: Any) -> Any:
    try:
        import keyring  # noqa: PLC0415  # an extra
        from keyring.errors import KeyringError  # noqa: PLC0415  # an extra
    except ModuleNotFoundError:
        raise UsageError("the package keyring is not installed: pip install 'vinix-async[keyring]'") from None
    try:
        return action(keyring)
    except KeyringError as error:  # for example NoKeyringError on a machine without a desktop
        kind = type(error).__name__
        raise UsageError(
            f"the system's keyring cannot be used ({kind}): store the secret in the profile, or set VINIX_PASSWORD, "
            "VINIX_API_KEY or VINIX_AUTH_TOKEN"
        ) from None
