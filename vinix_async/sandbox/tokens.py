"""Issues and verifies tokens, and verifies logins. All secrets are synthetic: they are made from the sandbox's seed."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from .estate.accounts import AccountTree
from .estate.ids import IdSequence, digest

USERNAME = "admin"

_SIGNATURE_LENGTH = 43


class TokenIssuer:
    """Issues tokens, and finds the account of a token. A token contains the id of its account and its expiry time.

    Args:
        seed: the seed of the secrets.
        accounts: the accounts that tokens can belong to.
        opaque: True for opaque tokens, as the vendor's documentation describes. False for JWTs.
        ttl: the lifetime of a token in seconds.
    """

    def __init__(self, seed: int, accounts: AccountTree, *, opaque: bool, ttl: float) -> None:
        self._accounts = accounts
        self._opaque = opaque
        self._ttl = ttl
        self._signing_key = digest(seed, "signature").encode()
        self._api_keys = IdSequence(seed, "api key", length=64)
        self.password: str = f"sandbox-{digest(seed, 'password', size=6)}"
        self._issued = 0
        self._first_valid = 1

    def api_key(self, index: int) -> str:
        """Return the API key of an account."""
        return self._api_keys[index]

    def issue(self, index: int, now: float, method: str) -> str:
        """Return a new token for an account. ``method`` is the kind of login, which becomes a claim of the token."""
        self._issued += 1
        claims = {"account_id": self._accounts[index], "exp": int(now + self._ttl), "iss": "kazoo", "n": self._issued}
        payload = _base64({**claims, "method": method})
        if self._opaque:
            return f"{payload}{self._sign(payload)}"
        signed = f"{_base64({'alg': 'RS256', 'typ': 'JWT', 'kid': 'sandbox'})}.{payload}"
        return f"{signed}.{self._sign(signed)}"

    def expire_all(self) -> None:
        """Expire all tokens that have been issued so far."""
        self._first_valid = self._issued + 1

    def owner(self, token: str, now: float) -> int | str:
        """Return the index of the account that a token belongs to, or ``"expired"`` or ``"invalid"``."""
        signed, signature = self._split(token)
        if not hmac.compare_digest(signature.encode(), self._sign(signed).encode()):
            return "invalid"
        claims = self._claims(signed)
        if claims["exp"] <= now or claims["n"] < self._first_valid:
            return "expired"
        index = self._accounts.find(claims["account_id"])
        return "invalid" if index is None else index

    def claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a valid token."""
        return self._claims(self._split(token)[0])

    def credentials_match(self, credentials: str, method: str) -> bool:
        """Return whether ``credentials`` is the hash of ``username:password``. ``method`` is ``md5`` or ``sha``."""
        hash_function = {"md5": hashlib.md5, "sha": hashlib.sha1}[method]
        text = f"{USERNAME}:{self.password}".encode()
        return credentials == hash_function(text, usedforsecurity=False).hexdigest()

    def basic_owner(self, value: str) -> int | str:
        """Return the index of the account that HTTP Basic credentials belong to, or ``"invalid"``.

        ``value`` is the base64 of ``account_id:hash``. The hash is the MD5 of ``username:password``.
        """
        try:
            account_id, _, credentials = base64.b64decode(value).decode().partition(":")
        except ValueError:
            return "invalid"
        index = self._accounts.find(account_id)
        return "invalid" if index is None or not self.credentials_match(credentials, "md5") else index

    def verify_api_key(self, key: str) -> int | None:
        """Return the index of the account that an API key belongs to, or None."""
        index = self._api_keys.index(key)
        return index if index is not None and 0 <= index < len(self._accounts) else None

    def find_account(self, data: Mapping[str, Any]) -> int | None:
        """Return the index of the account that the ``data`` of a login names, or None if there is no such account.

        The phone number, the realm and the name in ``data`` are tried in this order, as in Kazoo.
        """
        selectors = (
            (data.get("phone_number"), phone_number),
            (data.get("account_realm") or data.get("realm"), self._accounts.realm),
            (
                normalized_name(str(data.get("account_name") or "")),
                lambda index: normalized_name(self._accounts.name(index)),
            ),
        )
        for value, value_of in selectors:
            if value:
                for index in range(len(self._accounts)):
                    if value_of(index) == str(value).lower():
                        return index
        return None

    def _split(self, token: str) -> tuple[str, str]:
        """Return the signed part of a token, and its signature."""
        if self._opaque:
            return token[:-_SIGNATURE_LENGTH], token[-_SIGNATURE_LENGTH:]
        signed, _, signature = token.rpartition(".")
        return signed, signature

    @staticmethod
    def _claims(signed: str) -> dict[str, Any]:
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(signed.rpartition(".")[2] + "=="))
        return claims

    def _sign(self, text: str) -> str:
        mac = hmac.digest(self._signing_key, text.encode(), "sha256")
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def phone_number(index: int) -> str:
    """Return the phone number of the account with this index."""
    return f"+1555{index:07d}"


def normalized_name(name: str) -> str:
    """Return a name as the server compares it: in lower case, and only its ASCII letters and digits."""
    return re.sub("[^a-z0-9]", "", name.lower())


def _base64(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
