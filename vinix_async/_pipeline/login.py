"""Credentials that are exchanged for a token, and the request that does it."""

import hashlib
from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from .._exceptions import ConfigurationError
from .._http.request import Request, put
from .auth import Auth


def _not_empty(value: object, name: str) -> None:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name} must be a str that is not empty")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ConfigurationError(f"{name} must be text that can be written as UTF-8")


@frozen
class ApiKeyAuth(Auth):
    """An account's API key, exchanged for tokens with ``PUT /api_auth``; for backends.

    Kazoo's keys have 64 characters. The key goes to the server with each exchange, about once an hour.
    """

    api_key: str = field(repr=False)

    def __attrs_post_init__(self) -> None:
        _not_empty(self.api_key, "api_key")

    def exchange(self) -> Request:
        return put("api_auth", data={"api_key": self.api_key})

    def secrets(self) -> tuple[str, ...]:
        return (self.api_key,)


_HASHES: Final = {"md5": hashlib.md5, "sha": hashlib.sha1}


@frozen
class UserAuth(Auth):
    """A user's name and password, exchanged for tokens with ``PUT /user_auth``.

    Exactly one of ``account_name``, ``account_realm`` and ``phone_number`` says which account the user
    belongs to. What is sent is the MD5 (or, with ``method="sha"``, the SHA-1) of ``username:password``,
    the username in lower case, as the server stores it; the password itself never leaves.
    """

    username: str
    password: str = field(repr=False)
    account_name: str | None = field(default=None, kw_only=True)
    account_realm: str | None = field(default=None, kw_only=True)
    phone_number: str | None = field(default=None, kw_only=True)
    method: str = field(default="md5", kw_only=True)

    def __attrs_post_init__(self) -> None:
        _not_empty(self.username, "username")
        _not_empty(self.password, "password")
        if self.method not in _HASHES:
            raise ConfigurationError(f"method must be 'md5' or 'sha', not {self.method!r}")
        if len(self._account()) != 1:
            raise ConfigurationError("give exactly one of account_name, account_realm and phone_number")
        for name, value in self._account().items():
            _not_empty(value, name)

    def _account(self) -> Mapping[str, str]:
        selectors = {
            "account_name": self.account_name,
            "account_realm": self.account_realm,
            "phone_number": self.phone_number,
        }
        return {name: value for name, value in selectors.items() if value is not None}

    def _credentials(self) -> str:
        text = f"{self.username.lower()}:{self.password}"
        return _HASHES[self.method](text.encode(), usedforsecurity=False).hexdigest()

    def exchange(self) -> Request:
        return put("user_auth", data={"credentials": self._credentials(), "method": self.method, **self._account()})

    def secrets(self) -> tuple[str, ...]:
        return (self.password, self._credentials())
