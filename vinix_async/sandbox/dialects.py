"""Defines how the server's two engines and the vendor's documentation differ.

- ``kazoo5``: Kazoo's master branch.
- ``kazoo43``: Kazoo's 4.3 series.
- ``documented``: the behavior that the vendor's reference describes. No known server behaves this way. Account ids have
  dashes, and tokens are opaque. Listings contain full documents. A page with a single row contains an object instead of
  an array. An error is ``{code, message, request_id}``. The envelope of a success has only ``data`` and, if they apply,
  ``next_start_key`` and ``auth_token``.
"""

from typing import Any, Final

from attrs import frozen

from .estate.ids import digest
from .responses import ApiResponse, invalid_credentials


@frozen
class EnvelopeContext:
    """The values of an envelope that depend on the request.

    Args:
        token: the credentials in the request, even if they are invalid. None if the request has none, or if the server
            answers before it reads them.
        timestamp: the server's time in ISO 8601.
        tokens_remaining: the number of tokens that remain in the token bucket of the request.
        authenticated: whether the request has valid credentials. True for a successful login too.
    """

    request_id: str
    token: str | None
    timestamp: str
    tokens_remaining: int
    authenticated: bool


class Dialect:
    """The behavior of one version of the server.

    Attributes:
        version: the server's version.
        id_style: ``hex``, or ``uuid`` for account ids with dashes.
        opaque_tokens: whether tokens are opaque text instead of JWTs.
        whole_rows: whether listings contain full documents instead of summaries.
        kazoo5_engine: True if requests are answered as in Kazoo 5, False if they are answered as in Kazoo 4.3.
        charges_valid_tokens: whether requests with a valid token count towards the rate limit.
        requests_per_connection: the number of requests after which the server closes a connection.
        untyped_early_errors: whether errors that are sent before content negotiation lack a ``Content-Type``.
        accepts_media_parameters: whether the media types in ``Accept`` may have parameters such as a charset.
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
        """Return the content of the JSON body of a response."""
        raise NotImplementedError

    def expired_token(self) -> ApiResponse:
        """Return the 401 for an expired token. In Kazoo 4.3 it is the same as for an invalid token."""
        return invalid_credentials()


class Kazoo43(Dialect):
    """Kazoo 4.3.

    Requests with a valid auth token count towards the rate limit. An envelope always has a ``version`` and never has
    ``tokens``. If a request without an auth token fails, the envelope has ``"auth_token": "undefined"``.
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

    Requests with a valid auth token do not count towards the rate limit. An envelope always has ``tokens``, the state
    of the token bucket. It has a ``version`` only if the request was authenticated.
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
        """Return the 401 for an expired token, which differs from the 401 for an invalid token."""
        return ApiResponse(401, {}, "invalid credentials")


class Documented(Dialect):
    """The behavior that the vendor's documentation describes."""

    id_style = "uuid"
    opaque_tokens = True
    whole_rows = True

    def envelope(self, response: ApiResponse, context: EnvelopeContext) -> dict[str, Any]:
        """Return the documented body. The body of an error has only ``code``, ``message`` and ``request_id``."""
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
