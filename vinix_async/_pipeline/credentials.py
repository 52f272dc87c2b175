"""Credentials, the login request that exchanges them for a token, and what the response says.

There is no I/O here, and nothing asks for the time: a token's expiry is computed from a ``now`` that is passed in.
"""

import base64
import binascii
import hashlib
import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from attrs import define, field, frozen

from .._documents.json import parse_json
from .._exceptions import ConfigurationError, DecodeError
from .._http.request import Request, login
from .._http.response import Envelope
from .._public import public

_MAX_TOKEN: Final = 65_536
"""Characters of a token; servers do not accept a longer header line."""

_VISIBLE_ASCII: Final = re.compile(r"[\x21-\x7e]+")


@public
class Auth:
    """The base class of the credentials that ``VinixClient(auth=...)`` accepts."""

    def login_request(self) -> Request | None:
        """Return the request that gets a token; None if there is only a fixed token."""
        raise NotImplementedError

    def secrets(self) -> tuple[str, ...]:
        """Return what no message may repeat."""
        raise NotImplementedError


@public
@frozen
class TokenAuth(Auth):
    """A token from elsewhere. It cannot be renewed: the first 401 is an ``AuthenticationError``."""

    token: str = field(repr=False)

    def __attrs_post_init__(self) -> None:
        if fault := _token_fault(self.token):
            raise ConfigurationError(f"token must be visible ASCII characters: it {fault}")

    def login_request(self) -> None:
        """Return None."""
        return

    def secrets(self) -> tuple[str, ...]:
        """Return the token."""
        return (self.token,)


@public
@frozen
class ApiKeyAuth(Auth):
    """An account's API key, exchanged for tokens with ``PUT /api_auth``. Meant for backends.

    Kazoo's keys have 64 characters. The key is sent with each login, about once an hour.
    """

    api_key: str = field(repr=False)

    def __attrs_post_init__(self) -> None:
        _check_text("api_key", self.api_key)
        if any(map(str.isspace, self.api_key)):  # as at the end of a file
            raise ConfigurationError("api_key must not contain spaces or line ends")

    def login_request(self) -> Request:
        """Return the PUT of the API key."""
        return login("api_auth", {"api_key": self.api_key}, login_as="the owner of an API key")

    def secrets(self) -> tuple[str, ...]:
        """Return the API key."""
        return (self.api_key,)


_HASHES: Final = {"md5": hashlib.md5, "sha": hashlib.sha1}


@public
@frozen
class UserAuth(Auth):
    """A user's name and password, exchanged for tokens with ``PUT /user_auth``.

    Exactly one of ``account_name``, ``account_realm`` and ``phone_number`` names the user's account. What is sent is
    the MD5 (or with ``method="sha"`` the SHA-1) of ``username:password``, with the username in lower case, because
    that is what the server stores. The password itself is never sent.
    """

    username: str
    password: str = field(repr=False)
    account_name: str | None = field(default=None, kw_only=True)
    account_realm: str | None = field(default=None, kw_only=True)
    phone_number: str | None = field(default=None, kw_only=True)
    method: str = field(default="md5", kw_only=True)

    def __attrs_post_init__(self) -> None:
        _check_text("username", self.username)
        _check_text("password", self.password)
        if self.method not in _HASHES:
            raise ConfigurationError(f"method must be 'md5' or 'sha', not {self.method!r}")
        if len(self._account()) != 1:
            raise ConfigurationError("give exactly one of account_name, account_realm and phone_number")
        for name, value in self._account().items():
            _check_text(name, value)

    def _account(self) -> dict[str, str]:
        selectors = {
            "account_name": self.account_name,
            "account_realm": self.account_realm,
            "phone_number": self.phone_number,
        }
        return {name: value for name, value in selectors.items() if value is not None}

    def _credentials(self) -> str:
        text = f"{self.username.lower()}:{self.password}"
        return _HASHES[self.method](text.encode(), usedforsecurity=False).hexdigest()

    def login_request(self) -> Request:
        """Return the PUT of the credentials' hash."""
        (account,) = self._account().values()
        data = {"credentials": self._credentials(), "method": self.method, **self._account()}
        return login("user_auth", data, login_as=f"user {self.username[:60]!r} of account {account[:60]!r}")

    def secrets(self) -> tuple[str, ...]:
        """Return the password and its hash, which the server accepts in its place."""
        return (self.password, self._credentials())


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name} must be a str that is not empty")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ConfigurationError(f"{name} must be text that can be encoded as UTF-8")


def as_auth(value: object) -> Auth:
    """Return ``value`` as credentials; a plain string is a token."""
    if isinstance(value, str):
        return TokenAuth(value)
    if not isinstance(value, Auth):
        raise ConfigurationError(
            "auth must be a token, TokenAuth, UserAuth, ApiKeyAuth, or a function of the account id that returns one "
            f"of them, not {type(value).__name__}"
        )
    return value


# --- tokens -------------------------------------------------------------------------------------------------


@define(eq=False)
class Token:
    """A token.

    Attributes:
        value: what is sent.
        expires_at: when it expires, on the monotonic clock; infinite if that is not known.
        claims: whose token it is, for ``read_identity``; empty if it does not say.
    """

    value: str = field(repr=False)
    expires_at: float = math.inf
    claims: Mapping[str, Any] = field(factory=dict, repr=False)


def read_token(request: Request, envelope: Envelope, *, monotonic: float, time: float) -> Token:
    """Return the token in the response to the login ``request``.

    If it is a JWT with an ``exp``, its lifetime is ``exp - time``, counted from ``monotonic``, so that a later change
    of the wall clock does no harm. If that lifetime is already over, the two clocks disagree, and only a 401 tells
    when the token has expired.
    """
    if fault := _token_fault(envelope.auth_token):
        raise DecodeError(
            f"the login was accepted, but its auth_token cannot be used: it {fault}",
            method=request.method,
            path=request.path,
            request_id=envelope.request_id,
        )
    value = str(envelope.auth_token)  # only now, so that the traceback of the error above does not show it
    claims = identity_claims(value, envelope.data if isinstance(envelope.data, dict) else {})
    lifetime = _expiry(_jwt_claims(value)) - time
    return Token(value, monotonic + lifetime if lifetime > 0 else math.inf, claims)


def identity_claims(token: str, data: Mapping[str, Any] = MappingProxyType({})) -> Mapping[str, Any]:
    """Return what a token and its login tell about their owner; nothing if they do not name the account."""
    claims = {**_jwt_claims(token), **data}
    return claims if "account_id" in claims else {}


def _jwt_claims(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, unverified; none if it is an opaque token."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = parse_json(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, DecodeError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _expiry(claims: Mapping[str, Any]) -> float:
    """Return the ``exp`` of a JWT in seconds since 1970; infinity if there is none."""
    value = claims.get("exp")
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.inf
    except OverflowError:
        return math.inf


def _token_fault(token: object) -> str | None:
    if token is None:
        return "is missing"
    if not isinstance(token, str):
        return f"is of type {type(token).__name__}"
    if not token:
        return "is empty"
    if len(token) > _MAX_TOKEN:
        return f"has {len(token):,} characters, and a header line holds at most {_MAX_TOKEN:,}"
    if not _VISIBLE_ASCII.fullmatch(token):
        return "contains spaces, line ends or other characters that a header cannot hold"
    return None


@public
@frozen(kw_only=True)
class Identity:
    """Whose credentials these are. A value that the server does not tell is None.

    Attributes:
        account_id: the account that the user or the API key belongs to.
        owner_id: the user's id; None for an API key.
        account_name: the account's name.
        reseller_id: the account's reseller.
        is_reseller: whether the account is a reseller.
    """

    account_id: str | None = None
    owner_id: str | None = None
    account_name: str | None = None
    reseller_id: str | None = None
    is_reseller: bool | None = None


def read_identity(claims: Mapping[str, Any]) -> Identity:
    """Return the identity in a login's ``data``, in a token's claims, or in the ``data`` of ``GET /token_auth``."""

    def text(name: str) -> str | None:
        value = claims.get(name)
        return value if isinstance(value, str) and value else None

    is_reseller = claims.get("is_reseller")
    return Identity(
        account_id=text("account_id"),
        owner_id=text("owner_id"),
        account_name=text("account_name"),
        reseller_id=text("reseller_id"),
        is_reseller=is_reseller if isinstance(is_reseller, bool) else None,
    )
