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


def validation_error(field: str, rule: str, message: str, **detail: Any) -> ApiResponse:
    """Return the 400 for one invalid field. ``detail`` contains other fields of the error, such as ``value``."""
    return ApiResponse(400, {field: {rule: {"message": message, **detail}}}, "validation error")


def missing_field(field: str, value: Any) -> ApiResponse:
    """Return the 400 for a required field that is missing. The error contains ``value`` as its ``value``."""
    return validation_error(field, "required", "Field is required but missing", value=value)


def faulty_request(message: str) -> ApiResponse:
    """Return the 404 with which Kazoo 5 refuses an invalid query parameter."""
    return ApiResponse(404, {"message": message}, "faulty_request")


def status_error(status: int, requested_id: str) -> ApiResponse:
    """Return the error that Kazoo usually sends with a status. A 404 contains ``requested_id``."""
    if status == 404:
        return bad_identifier(requested_id)
    message, text = _ERRORS.get(status, ("failed", "failed"))
    return ApiResponse(status, {"message": text}, message)


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

_ERRORS: Final = {
    401: ("invalid_credentials", "invalid credentials"),
    402: ("no_credit", "not enough credit to perform action"),
    403: ("forbidden", "forbidden"),
    405: ("invalid_method", "method not allowed"),
    409: ("datastore_conflict", "conflicting documents"),
    423: ("locked", "locked"),
    429: ("too_many_requests", "too many requests"),
    500: ("datastore_fault", "unknown failure"),
    501: ("not_implemented", "not implemented"),
    503: ("datastore_unreachable", "datastore timeout"),
}
