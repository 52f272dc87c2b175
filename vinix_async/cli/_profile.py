"""The configuration file, one TOML table for each profile, and the keyring. Nobody else may read the file."""

import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ._errors import UsageError
from ._files import write_privately

SECRETS: Final = ("auth_token", "api_key", "password")
"""What a profile may keep, the strongest first."""

_KEYS: Final = {"base", "account_id", "username", "account_name", "account_realm", "phone_number", "keyring", *SECRETS}
_SERVICE: Final = "vinix"
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


def config_path() -> Path:
    """VINIX_CONFIG, or ``config.toml`` where this system keeps configuration."""
    from platformdirs import user_config_path  # noqa: PLC0415  # --help does without

    given = os.environ.get("VINIX_CONFIG")
    return Path(given) if given else user_config_path("vinix", appauthor=False) / "config.toml"


def read_profile(name: str | None) -> dict[str, str]:
    """A profile's settings; without a name those of ``default``, if there is one."""
    path = config_path()
    profiles = _parse(_read(path), path)
    if name is not None and name not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        raise UsageError(f"there is no profile {name!r} in {path}; there: {known}")
    profile = profiles.get(name or "default", {})
    if unknown := sorted(profile.keys() - _KEYS):
        raise UsageError(f"{path}: {unknown[0]!r} is no setting; those are {', '.join(sorted(_KEYS))}")
    if wrong := sorted(key for key, value in profile.items() if not isinstance(value, str)):
        raise UsageError(f"{path}: {wrong[0]} must be text in quotes")
    if profile.get("keyring", "password") not in SECRETS:
        raise UsageError(f"{path}: keyring names what is kept there: {', '.join(SECRETS)}")
    return {key: value for key, value in profile.items() if value}


def save_profile(name: str, settings: Mapping[str, str]) -> Path:
    """Write one profile, and leave the others in the file as they are, comments and all."""
    path = config_path()
    if not _NAME.fullmatch(name):
        raise UsageError("a profile's name has letters, digits, - and _ only")
    text = _read(path)
    before = _parse(text, path)
    own = f"[{name}]\n" + "".join(f"{key} = {_quoted(value)}\n" for key, value in settings.items())
    section = re.compile(rf"^\[{name}\][ \t]*(?:#[^\n]*)?\n(?:(?!\[)[^\n]*\n?)*", re.MULTILINE)
    rest, found = section.subn(lambda _: own + "\n", text, count=1)
    fresh = rest.rstrip("\n") + "\n" if found else "\n".join(filter(None, (text.rstrip("\n"), own)))
    if _parse(fresh, path) != before | {name: dict(settings)}:
        raise UsageError(f"{path} is written in a way that cannot be changed safely: change it by hand")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_privately(path, fresh.encode())
    return path


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o077:
                raise UsageError(f"{path} may be read by others, and it can hold secrets: chmod 600 {path}")
            return file.read().decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None


def _parse(text: str, path: Path) -> dict[str, dict[str, Any]]:
    try:
        profiles = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}") from None
    if wrong := [key for key, value in profiles.items() if not isinstance(value, dict)]:
        raise UsageError(f"{path}: {wrong[0]} belongs under a profile's name, such as [default]")
    return profiles


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


# --- the keyring ---


def read_secret(profile: str) -> str:
    """What the keyring has for a profile; raises ``UsageError`` where there is nothing, or no keyring."""
    secret = _keyring(lambda keyring: keyring.get_password(_SERVICE, profile))
    if not secret:
        raise UsageError(f"the keyring has nothing for the profile {profile}: vinix auth login --profile {profile}")
    return str(secret)


def save_secret(profile: str, secret: str) -> None:
    """Keep a profile's secret in the keyring."""
    _keyring(lambda keyring: keyring.set_password(_SERVICE, profile, secret))


def _keyring(use: Any) -> Any:
    try:
        import keyring  # noqa: PLC0415  # an extra
        from keyring.errors import KeyringError  # noqa: PLC0415  # as above
    except ModuleNotFoundError:
        raise UsageError("the keyring needs its extra: pip install 'vinix-async[keyring]'") from None
    try:
        return use(keyring)
    except KeyringError as error:  # NoKeyringError among them: a machine without a desktop
        kind = type(error).__name__
        raise UsageError(
            f"this machine has no keyring that can be used ({kind}); a profile of mode 0600 or VINIX_PASSWORD can"
        ) from None
