"""Responses before they are encoded, and the errors that Kazoo answers with."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen


@frozen
class ApiResponse:
    """A response before a dialect wraps it in an envelope.

    Args:
        status: the HTTP status.
        data: the envelope's ``data``. For an error, its details.
        message: an error's ``message``.
        envelope: further keys of the envelope, such as ``page_size``.
        revision: the envelope's ``revision``, which is also the ETag.
    """

    status: int
    data: Any = None
    message: str | None = None
    envelope: Mapping[str, Any] = {}
    revision: str | None = None


def invalid_credentials() -> ApiResponse:
    """Return the 401 for a token or login that was never valid."""
    return ApiResponse(401, {"message": "invalid credentials"}, "invalid_credentials")


def bad_identifier(cause: str) -> ApiResponse:
    """Return the 404 for an id that does not exist."""
    return ApiResponse(404, {"message": "bad identifier", "cause": cause}, "bad_identifier")


def validation_error(field: str, rule: str, message: str) -> ApiResponse:
    """Return the 400 with the validation tree of one field."""
    return ApiResponse(400, {field: {rule: {"message": message}}}, "validation error")


NOT_FOUND: Final = ApiResponse(404, {"message": "not found"}, "not_found")
FORBIDDEN: Final = ApiResponse(403, {"message": "forbidden"}, "forbidden")
METHOD_NOT_ALLOWED: Final = ApiResponse(405, {"message": "method not allowed"}, "invalid_method")
TOO_MANY_REQUESTS: Final = ApiResponse(429, {"message": "too many requests"}, "too_many_requests")
GONE: Final = ApiResponse(410, {"message": "gone"}, "gone")

MESSAGES: Final = {
    401: "invalid_credentials",
    403: "forbidden",
    404: "bad_identifier",
    423: "locked",
    429: "too_many_requests",
}
"""The message that goes with a status where only the status is known."""
