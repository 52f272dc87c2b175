"""Defines decoded requests, which do not depend on HTTP."""

from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen


@frozen
class Credentials:
    """The credentials of a request. The response contains ``text`` as its ``auth_token``."""

    text: str | None = None
    scheme: Literal["token", "basic", "bearer"] = "token"


@frozen
class ApiRequest:
    """A request.

    Args:
        version: the API version in the path, such as ``v2``.
        segments: the decoded segments of the path after the version, without a trailing empty segment.
        query: the query parameters. As on the real server, only the first value of a repeated parameter is used.
        repeated: the names of the parameters that occur more than once in the query.
        data: the ``data`` of the JSON body. Empty if there is no JSON body.
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
