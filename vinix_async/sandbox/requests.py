"""Defines a decoded request and its credentials. This module does not depend on the HTTP library."""

from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen


@frozen
class Credentials:
    """The credentials of a request.

    Args:
        text: the token, or the part of the ``Authorization`` header after the scheme. None if the request has no
            credentials. Kazoo returns this text as the ``auth_token`` of its response.
        scheme: ``basic`` or ``bearer`` for an ``Authorization`` header. Otherwise ``token``.
    """

    text: str | None = None
    scheme: Literal["token", "basic", "bearer"] = "token"


@frozen
class ApiRequest:
    """A decoded request.

    Args:
        version: the API version in the path, such as ``v2``.
        segments: the decoded segments of the path after the version. A slash at the end of the path adds no segment.
        query: the query parameters. Only the first value of a repeated parameter is used, as on the real server.
        repeated: the names of the parameters that occur more than once in the query.
        data: the object ``data`` of the JSON body. Empty if the body has none.
        peer: the client's address.
    """

    method: str
    version: str
    segments: list[str]
    query: Mapping[str, str]
    repeated: frozenset[str]
    credentials: Credentials
    data: Mapping[str, Any]
    peer: str

    @property
    def account_id(self) -> str | None:
        """The account id in the path. None if the path is not below ``/accounts``."""
        return self.segments[1] if len(self.segments) > 1 and self.segments[0] == "accounts" else None
