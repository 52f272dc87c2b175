"""Logins and tokens. The secrets are synthetic, and good for this server alone."""

import base64
import hashlib
import hmac
import json
import re
from typing import Any

from ._accounts import Accounts
from ._ids import Ids, digest

USERNAME = "admin"


class Tokens:
    """Issues tokens for an account and tells whose a token is; every one names its account and its end."""

    def __init__(self, seed: int, accounts: Accounts, *, opaque: bool, ttl: float) -> None:
        self._accounts = accounts
        self._opaque = opaque
        self._ttl = ttl
        self._key = digest(seed, "signature").encode()
        self._keys = Ids(seed, "api key", length=64)
        self.password = f"sandbox-{digest(seed, 'password', size=6)}"
        self._serial = 0
        self._good_from = 1

    def api_key(self, index: int) -> str:
        """The API key of an account."""
        return self._keys[index]

    def issue(self, index: int, now: float, method: str) -> str:
        """A token of an account: a JWT, or in the vendor's style a text that tells nothing."""
        self._serial += 1
        claims = {"account_id": self._accounts[index], "exp": int(now + self._ttl), "iss": "kazoo", "n": self._serial}
        payload = _base64({**claims, "method": method})
        if self._opaque:
            return f"{payload}{self._sign(payload)}"
        signed = f"{_base64({'alg': 'RS256', 'typ': 'JWT', 'kid': 'sandbox'})}.{payload}"
        return f"{signed}.{self._sign(signed)}"

    def expire_all(self) -> None:
        """Refuse every token issued so far."""
        self._good_from = self._serial + 1

    def owner(self, token: str, now: float) -> int | str:
        """The index of the token's account; or ``expired`` or ``invalid``."""
        signed, signature = (token[:-43], token[-43:]) if self._opaque else token.rpartition(".")[::2]
        if not hmac.compare_digest(signature.encode(), self._sign(signed).encode()):
            return "invalid"
        claims = json.loads(base64.urlsafe_b64decode(signed.rpartition(".")[2] + "=="))
        if claims["exp"] <= now or claims["n"] < self._good_from:
            return "expired"
        index = self._accounts.find(claims["account_id"])
        return "invalid" if index is None else index

    def login(self, data: dict[str, Any]) -> int | None:
        """The account that a ``user_auth`` names, if the credentials are those of its user."""
        text = f"{USERNAME}:{self.password}".encode()
        make = {"md5": hashlib.md5, "sha": hashlib.sha1}[data.get("method", "md5")]
        if data["credentials"] != make(text, usedforsecurity=False).hexdigest():
            return None
        return self._named(data)

    def login_with_key(self, key: str) -> int | None:
        """The account whose API key this is."""
        index = self._keys.index(key)
        return index if index is not None and 0 <= index < len(self._accounts) else None

    def _named(self, data: dict[str, Any]) -> int | None:
        """Phone number, then realm, then name; one that is not found falls through to the next."""
        wanted = (
            (data.get("phone_number"), phone_number),
            (data.get("account_realm") or data.get("realm"), self._accounts.realm),
            (normalised(data.get("account_name") or ""), lambda index: normalised(self._accounts.name(index))),
        )
        for value, of in wanted:
            if value:
                for index in range(len(self._accounts)):
                    if of(index) == value.lower():
                        return index
        return None

    def _sign(self, text: str) -> str:
        mac = hmac.digest(self._key, text.encode(), "sha256")
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def phone_number(index: int) -> str:
    """An account's phone number."""
    return f"+1555{index:07d}"


def normalised(name: str) -> str:
    """An account's name as the server compares it: lower-case ASCII letters and digits."""
    return re.sub("[^a-z0-9]", "", name.lower())


def _base64(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
