"""What a client is given as ``auth``, a token at hand, and what the reply to a login says.

Nothing here does I/O or asks for the time: a token's expiry is arithmetic on a ``now`` that is passed in.
"""

import base64
import binascii
import math
import re
from typing import Final

from attrs import field, frozen

from .._documents.json import parse_json
from .._exceptions import ConfigurationError, DecodeError
from .._http.request import Envelope, Request, Value

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
