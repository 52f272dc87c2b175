"""Defines the credentials, builds login requests, and reads tokens and the identities of their owners.

This module does no I/O and does not read a clock. Functions that need the time receive it as an argument.
"""

import base64
import binascii
import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field, frozen

from .._documents.deep_json import parse_json
from .._exceptions import ConfigurationError, DecodeError
from .._http.request import Request, login
from .._http.response import Envelope
from .._http.status_errors import NO_SECRETS, Secrets
from .._public import public

_MAX_TOKEN: Final = 65_536
"""The maximum length of a token in characters. Servers do not accept longer header lines."""

_VISIBLE_ASCII: Final = re.compile(r"[\x21-\x7e]+")


@public
class Auth:
    """The base class of the credentials that ``VinixClient(auth=...)`` accepts."""

    def login_request(self) -> Request | None:
        """Return the request for a token, or None if the token is fixed and cannot be renewed."""
        raise NotImplementedError

    def secrets(self) -> tuple[str, ...]:
        """Return the secrets that must not appear in any message."""
        raise NotImplementedError


@public
@frozen
class TokenAuth(Auth):
    """An existing token. It cannot be renewed.

    If the server refuses the token, ``AuthenticationError`` is raised. If ``auth`` is a function, the client first
    calls the function again. If the function returns other credentials, the client tries the other credentials once.
    """

    token: str = field(repr=False)

    def __attrs_post_init__(self) -> None:
        if fault := _token_fault(self.token):
            raise ConfigurationError(f"the token cannot be used: it {fault}")

    def login_request(self) -> None:
        """Return None, because a fixed token cannot be renewed."""
        return

    def secrets(self) -> tuple[str, ...]:
        """Return the token."""
        return (self.token,)


@public
@frozen
class ApiKeyAuth(Auth):
    """An account's API key, which is exchanged for tokens with ``PUT /api_auth``. It is intended for backend services.

    Kazoo's keys have 64 characters. The key is sent with each login, about once an hour.
    """

    api_key: str = field(repr=False)

    def __attrs_post_init__(self) -> None:
        _check_text("api_key", self.api_key)
        if any(map(str.isspace, self.api_key)):  # for example the line end of a file that contains the key
            raise ConfigurationError("api_key must not contain spaces, tabs or line ends")

    def login_request(self) -> Request:
        """Return a login request with the API key."""
        return login("api_auth", {"api_key": self.api_key}, login_as="the owner of an API key")

    def secrets(self) -> tuple[str, ...]:
        """Return the API key."""
        return (self.api_key,)


_HASHES: Final = {"md5": hashlib.md5, "sha": hashlib.sha1}


@public
@frozen
class UserAuth(Auth):
    """A user's name and password, which are exchanged for tokens with ``PUT /user_auth``.

    Exactly one of ``account_name``, ``account_realm`` and ``phone_number`` must be set. It identifies the user's
    account. The password itself is never sent. Instead, a login contains the MD5 hash (SHA-1 with ``method="sha"``) of
    ``username:password`` with the user name in lower case, because the server stores this hash.
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
        if self.method not in tuple(_HASHES):  # a tuple, because an invalid argument can be unhashable
            raise ConfigurationError(f"method must be 'md5' or 'sha', not {self.method!r}")
        if len(self._account()) != 1:
            raise ConfigurationError("pass exactly one of account_name, account_realm and phone_number")
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
        """Return a login request with the hash of the credentials."""
        (account,) = self._account().values()
        data = {"credentials": self._credentials(), "method": self.method, **self._account()}
        return login("user_auth", data, login_as=f"user {self.username[:60]!r} of account {account[:60]!r}")

    def secrets(self) -> tuple[str, ...]:
        """Return the password, and the hash that the server accepts instead of it."""
        return (self.password, self._credentials())


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name} must be a non-empty str")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ConfigurationError(f"{name} must be text that can be encoded as UTF-8")


def as_auth(value: object, *, returned: bool = False) -> Auth:
    """Return ``value`` as credentials. A plain string is converted to a ``TokenAuth``.

    ``returned`` is True if the ``auth`` function of the client returned ``value``.
    """
    if isinstance(value, str):
        return TokenAuth(value)
    if isinstance(value, Auth):
        return value
    given = type(value).__name__
    credentials = "a token, TokenAuth, UserAuth or ApiKeyAuth"
    if returned:
        raise ConfigurationError(f"the auth function returned a value of type {given}. It must return {credentials}")
    raise ConfigurationError(
        f"auth is of type {given}. It must be {credentials}, or a function that returns one of these for an account id"
    )


# --- tokens -------------------------------------------------------------------------------------------------


@define(eq=False)
class Token:
    """A token.

    Attributes:
        value: the text of the token.
        expires_at: the time at which the token expires, on the monotonic clock. Infinite if unknown.
        claims: the identity of the token's owner, for ``read_identity``. Empty if unknown.
        secrets: the secrets to redact in messages about a request with this token: the token and the credentials.
    """

    value: str = field(repr=False)
    expires_at: float = math.inf
    claims: Mapping[str, Any] = field(factory=dict, repr=False)
    secrets: Secrets = NO_SECRETS


def read_token(request: Request, envelope: Envelope, *, monotonic: float, time: float, secrets: Secrets) -> Token:
    """Return the token in the response to the login ``request``. ``secrets`` are those of the credentials.

    If the token is a JWT with an ``exp``, its remaining lifetime is ``exp - time``. The lifetime is converted to the
    monotonic clock, so that later changes of the wall clock have no effect. If the lifetime is not positive, the clocks
    of the client and the server disagree. The expiry is then unknown, and the token is used until the server answers
    401.
    """
    if fault := _token_fault(envelope.auth_token):
        raise DecodeError(
            f"the login succeeded, but the auth_token in its response cannot be used: it {fault}",
            method=request.method,
            path=request.path,
            request_id=envelope.request_id,
        )
    value = str(envelope.auth_token)  # not assigned before, because reports of the error may show local variables
    claims = identity_claims(value, envelope.data if isinstance(envelope.data, dict) else None)
    lifetime = _expiry(_jwt_claims(value)) - time
    expires_at = monotonic + lifetime if lifetime > 0 else math.inf
    return Token(value, expires_at, claims, Secrets((*secrets.values, value)))


def identity_claims(token: str, data: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """Return the identity of a token's owner: the token's claims, and the ``data`` of the login's response.

    Return an empty mapping if these do not contain an account id.
    """
    claims = {**_jwt_claims(token), **(data or {})}
    return claims if "account_id" in claims else {}


def _jwt_claims(token: str) -> dict[str, Any]:
    """Return the claims of a JWT without verifying it. Return an empty dict if the token is not a JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = parse_json(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, DecodeError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _expiry(claims: Mapping[str, Any]) -> float:
    """Return the ``exp`` of a JWT as a Unix time, or infinity if there is none."""
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
        return f"has {len(token):,} characters, more than the {_MAX_TOKEN:,} that fit in a header line"
    if not _VISIBLE_ASCII.fullmatch(token):
        return "contains spaces, line breaks or other characters that a token cannot contain"
    return None


@public
@frozen(kw_only=True)
class Identity:
    """The owner of a set of credentials. An attribute is None if the server does not send its value.

    Attributes:
        account_id: the id of the account that the user or the API key belongs to.
        owner_id: the id of the user. None for an API key.
        account_name: the name of the account.
        reseller_id: the id of the account's reseller.
        is_reseller: whether the account is a reseller.
    """

    account_id: str | None = None
    owner_id: str | None = None
    account_name: str | None = None
    reseller_id: str | None = None
    is_reseller: bool | None = None


def read_identity(claims: Mapping[str, Any]) -> Identity:
    """Return the identity in ``claims``.

    These are the claims of a token, or the ``data`` of the response to a login or to ``GET /token_auth``.
    """

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
