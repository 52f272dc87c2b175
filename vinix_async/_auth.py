"""Credentials, the request that turns them into a token, and what the reply to it says.

Nothing here does I/O or asks for the time: a token's expiry is arithmetic on a ``now`` that is passed in.
"""

import base64
import binascii
import hashlib
import math
import re
from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from ._exceptions import ConfigurationError, DecodeError
from ._json import parse_json
from ._wire import Envelope, Request, Value, put

_REFRESH_AHEAD: Final = 60.0
"""Seconds before its end at which a token is exchanged anew, or a tenth of its life if that is less."""

_HEADER_SAFE: Final = re.compile(r"[\x21-\x7e]{1,8192}")


class Token(Value, frozen=True):
    """``refresh_at`` and ``expires_at`` are on the monotonic clock; both are infinite if unknown."""

    value: str
    refresh_at: float = math.inf
    expires_at: float = math.inf


class Auth:
    """What the client may be given as ``auth``: ``TokenAuth``, ``UserAuth`` or ``ApiKeyAuth``."""

    def exchange(self) -> Request | None:
        """The request that gets a token, or None if the token is all there is."""
        raise NotImplementedError

    def secrets(self) -> tuple[str, ...]:
        """What an error's text must not repeat."""
        raise NotImplementedError


def _not_empty(value: object, name: str) -> None:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name} must be a str that is not empty")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ConfigurationError(f"{name} must be text that can be written as UTF-8")


def _check_token(value: object) -> None:
    if not isinstance(value, str) or not _HEADER_SAFE.fullmatch(value):
        raise ConfigurationError("token must be 1 to 8192 visible ASCII characters, without spaces or line ends")


@frozen
class TokenAuth(Auth):
    """A token that is at hand. It cannot be renewed: the first 401 is an ``AuthenticationError``."""

    token: str = field(repr=False)

    def __attrs_post_init__(self) -> None:
        _check_token(self.token)

    def exchange(self) -> None:
        return None

    def secrets(self) -> tuple[str, ...]:
        return (self.token,)


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


def read_token(envelope: Envelope, *, monotonic: float, time: float) -> Token:
    """The token of an exchange's reply.

    Where it is a JWT with an ``exp``, the lifetime is ``exp - time`` and counts from ``monotonic``, so
    that a later change of the wall clock does no harm. A lifetime that is over already means that the
    clocks disagree; then only a 401 tells the end.
    """
    value = envelope.auth_token
    if value is None or not _HEADER_SAFE.fullmatch(value):
        raise DecodeError("the login was accepted, but its answer has no usable auth_token")
    lifetime = (_jwt_expiry(value) or math.inf) - time
    if not 0 < lifetime < math.inf:
        return Token(value)
    expires_at = monotonic + lifetime
    return Token(value, expires_at - min(_REFRESH_AHEAD, lifetime / 10), expires_at)


def _jwt_expiry(token: str) -> float | None:
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = parse_json(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        expiry = claims.get("exp") if isinstance(claims, dict) else None
        return float(expiry) if isinstance(expiry, int | float) and not isinstance(expiry, bool) else None
    except (binascii.Error, ValueError, OverflowError, DecodeError):
        return None
