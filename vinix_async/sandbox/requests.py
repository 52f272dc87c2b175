"""Requests as the routes see them: decoded, and without HTTP."""

from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen


@frozen
class Credentials:
    """What a request proves its identity with. A response repeats ``text`` as its ``auth_token``."""

    text: str | None = None
    scheme: Literal["token", "basic", "bearer"] = "token"


@frozen
class ApiRequest:
    """A request.

    Args:
        version: the API version in the path, such as ``v2``.
        segments: the decoded segments of the path after the version, without an empty one at the end.
        query: the query parameters. Of a repeated parameter, as on the server, the first value counts.
        repeated: the names of the parameters that the query repeats.
        data: the ``data`` of the JSON body; empty if there is no JSON body.
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
        """The account id in the path."""
        return self.segments[1] if len(self.segments) > 1 and self.segments[0] == "accounts" else None
