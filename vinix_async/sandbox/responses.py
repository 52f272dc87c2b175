"""Defines responses that are not encoded yet, and functions that return Kazoo's error responses."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, frozen


@frozen
class ApiResponse:
    """A response before a dialect wraps it in an envelope.

    Args:
        status: the HTTP status.
        data: the ``data`` of the envelope. For an error, this is the detail of the error.
        message: the ``message`` of the envelope of an error.
        envelope: additional keys of the envelope, such as ``page_size``.
        revision: the ``revision`` of the envelope. It is also the ETag of a 200 response.
        location: the ``Location`` header: the path of the resource that the request created.
        is_streamed: whether Kazoo 5 streams the rows. A streamed response has no ETag.
        before_negotiation: whether the server answers before it negotiates the content type. Such a response has no
            ``Vary`` header. In Kazoo 5 it has no ``Content-Type`` either.
        has_body: False if the response comes from Cowboy, the HTTP server, and not from Kazoo.
    """

    status: int
    data: Any = None
    message: str | None = None
    envelope: Mapping[str, Any] = {}
    revision: str | None = None
    location: str | None = None
    is_streamed: bool = False
    before_negotiation: bool = False
    has_body: bool = True


def early(response: ApiResponse) -> ApiResponse:
    """Return a copy of ``response`` that is sent before the content type is negotiated."""
    return evolve(response, before_negotiation=True)


def invalid_credentials() -> ApiResponse:
    """Return the 401 for an invalid token or login."""
    return ApiResponse(401, {"message": "invalid credentials"}, "invalid_credentials")


def bad_identifier(cause: str) -> ApiResponse:
    """Return the 404 for an id that does not exist. ``cause`` is the id."""
    return ApiResponse(404, {"message": "bad identifier", "cause": cause}, "bad_identifier")


def validation_error(field: str, rule: str, message: str) -> ApiResponse:
    """Return the 400 for one invalid field."""
    return ApiResponse(400, {field: {rule: {"message": message}}}, "validation error")


def faulty_request(message: str) -> ApiResponse:
    """Return the 404 with which Kazoo 5 refuses an invalid query parameter."""
    return ApiResponse(404, {"message": message}, "faulty_request")


def status_error(status: int) -> ApiResponse:
    """Return the error that Kazoo usually sends with a status."""
    message = _MESSAGES.get(status, "failed")
    return ApiResponse(status, {"message": message.replace("_", " ")}, message)


ENDPOINT_NOT_FOUND: Final = early(ApiResponse(404, {"message": "not found"}, "not_found"))
FORBIDDEN: Final = early(ApiResponse(403, {"message": "forbidden"}, "forbidden"))
METHOD_NOT_ALLOWED: Final = early(ApiResponse(405, {"message": "method not allowed"}, "invalid_method"))
TOO_MANY_REQUESTS: Final = early(ApiResponse(429, {"message": "too many requests"}, "too_many_requests"))
GONE: Final = early(
    ApiResponse(410, "API version 1 is not supported. Please upgrade your code to use version 2.", "gone")
)

INIT_FAILED: Final = ApiResponse(500, message="init failed")
"""Kazoo's response if a module of Kazoo crashes. The response has no ``data``. Retries of the request do not help."""

NO_SUCH_RESOURCE: Final = ApiResponse(404, has_body=False)
"""Cowboy's response to an unknown top-level endpoint."""

CRASH: Final = ApiResponse(500, before_negotiation=True, has_body=False)
"""Cowboy's response if the process that handles the request crashes."""

_MESSAGES: Final = {
    401: "invalid_credentials",
    403: "forbidden",
    404: "bad_identifier",
    423: "locked",
    429: "too_many_requests",
    500: "datastore_fault",
    503: "datastore_unreachable",
}
