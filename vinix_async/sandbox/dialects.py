"""The differences between the server's two engines and the vendor's documentation.

- ``kazoo5``: Kazoo's master branch.
- ``kazoo43``: Kazoo's 4.3 series.
- ``documented``: what the vendor's reference says, which no known server sends: dashed account ids, whole documents
  in a listing, an object instead of an array where a page has one row, errors as ``{code, message, request_id}``,
  opaque tokens, and an envelope with only ``data`` and ``next_start_key``.
"""

from typing import Any, Final

from attrs import frozen

from .estate.ids import digest
from .responses import ApiResponse, invalid_credentials


@frozen
class EnvelopeContext:
    """What an envelope says about its request.

    Args:
        token: the token that the request came with, valid or not; None without one.
        authenticated: whether the request came with a valid token.
        tokens_remaining: what is left in the request's token bucket.
    """

    request_id: str
    token: str | None
    timestamp: str
    tokens_remaining: int
    authenticated: bool


class Dialect:
    """One way of answering.

    Attributes:
        version: the server's version.
        id_style: ``hex``, or ``uuid`` for dashed account ids.
        opaque_tokens: whether tokens are opaque text instead of JWTs.
        whole_rows: whether a listing has whole documents instead of summaries.
        kazoo5_engine: whether listings behave as in Kazoo 5, or else as in Kazoo 4.3.
        charges_valid_tokens: whether a request with a valid token is charged to its bucket.
        requests_per_connection: the number of requests after which the server closes a connection.
        untyped_early_errors: whether errors before content negotiation have no ``Content-Type``.
        accepts_media_parameters: whether ``Accept`` may have parameters such as a charset.
    """

    version = "4.3.142"
    id_style = "hex"
    opaque_tokens = False
    whole_rows = False
    kazoo5_engine = False
    charges_valid_tokens = True
    requests_per_connection = 1000
    untyped_early_errors = False
    accepts_media_parameters = True

    def envelope(self, response: ApiResponse, context: EnvelopeContext) -> dict[str, Any]:
        """Return the JSON body of a response."""
        raise NotImplementedError

    def expired_token(self) -> ApiResponse:
        """Return the 401 for an expired token. Kazoo 4.3 answers as for an invalid one."""
        return invalid_credentials()


class Kazoo43(Dialect):
    """Kazoo 4.3.

    Every request is charged to its bucket. An envelope has no ``tokens`` and always a ``version``. An error without
    a token in its request has ``"auth_token": "undefined"``.
    """

    accepts_media_parameters = False

    def envelope(self, response: ApiResponse, context: EnvelopeContext) -> dict[str, Any]:
        """Return Kazoo's envelope with the version."""
        body = _kazoo_envelope(response, context)
        if response.status >= 400 and context.token is None:
            body["auth_token"] = "undefined"
        return body | {"version": self.version}


class Kazoo5(Dialect):
    """Kazoo's master branch.

    Requests with a valid token are not charged. An envelope always has ``tokens``, and a ``version`` if the request
    was authenticated.
    """

    version = "5.0.0"
    kazoo5_engine = True
    charges_valid_tokens = False
    untyped_early_errors = True
    requests_per_connection = 100

    def envelope(self, response: ApiResponse, context: EnvelopeContext) -> dict[str, Any]:
        """Return Kazoo's envelope with the state of the token bucket."""
        tokens = {"consumed": 1, "remaining": context.tokens_remaining}
        body = _kazoo_envelope(response, context) | {"tokens": tokens}
        return body | {"version": self.version} if context.authenticated else body

    def expired_token(self) -> ApiResponse:
        """Return the 401 for an expired token, which differs from that for an invalid one."""
        return ApiResponse(401, {}, "invalid credentials")


class Documented(Dialect):
    """The vendor's documentation."""

    id_style = "uuid"
    opaque_tokens = True
    whole_rows = True

    def envelope(self, response: ApiResponse, context: EnvelopeContext) -> dict[str, Any]:
        """Return the documented body, which for an error has only a code and a message."""
        if response.status >= 400:
            return {"code": str(response.status), "message": response.message, "request_id": context.request_id}
        data = response.data
        if isinstance(data, list) and len(data) == 1:
            data = data[0]
        shown = {key: response.envelope[key] for key in ("next_start_key", "auth_token") if key in response.envelope}
        return {"data": data, **shown}


def _kazoo_envelope(response: ApiResponse, context: EnvelopeContext) -> dict[str, Any]:
    failed = response.status >= 400
    body = {
        "data": response.data,
        "status": "error" if failed else "success",
        "request_id": context.request_id,
        "node": digest("node", size=12),
        "timestamp": context.timestamp,
        "auth_token": context.token,
        "revision": response.revision,
        "error": str(response.status) if failed else None,
        "message": response.message,
        **response.envelope,
    }
    return {key: value for key, value in body.items() if value is not None}


DIALECTS: Final[dict[str, type[Dialect]]] = {"kazoo5": Kazoo5, "kazoo43": Kazoo43, "documented": Documented}
