"""Breaks a single callflow, to test how a client handles it."""

from collections.abc import Callable, Mapping
from typing import Final

from .estate.quirks import Json
from .faults import KINDS
from .responses import INIT_FAILED, ApiResponse, status_error

INIT_FAILED_KIND: Final = "init_failed"
UNLISTED_KIND: Final = "unlisted"


def _wrong_type(value: Json) -> Json:
    return {**value, "numbers": 2009}


def _wrong_node(value: Json) -> Json:
    """Return a document with a string in place of a node. A summary has no nodes, so it is returned unchanged."""
    if "metadata" not in value:
        return value
    return {**value, "flow": {"module": "menu", "data": {}, "children": {"1": "hangup"}}}


def _empty(value: Json) -> Json:
    return {} if "metadata" in value else value


def _without_id(value: Json) -> Json:
    return {key: each for key, each in value.items() if key != "id"}


_CONTENT: Final[Mapping[str, Callable[[Json], Json]]] = {
    "wrong_type": _wrong_type,
    "wrong_node": _wrong_node,
    "empty": _empty,
    "without_id": _without_id,
}

BREAKAGES: Final = (*_CONTENT, UNLISTED_KIND, INIT_FAILED_KIND, *KINDS)


def break_content(how: int | str | None, value: Json) -> Json:
    """Return the row or document ``value`` with its content broken.

    If ``how`` does not break the content, return ``value`` unchanged.
    """
    return _CONTENT[how](value) if isinstance(how, str) and how in _CONTENT else value


def broken_response(how: int | str | None, callflow_id: str) -> ApiResponse | None:
    """Return the error with which a request for the callflow is answered, or None if ``how`` is not an error."""
    if how == INIT_FAILED_KIND:
        return INIT_FAILED
    return status_error(how, callflow_id) if isinstance(how, int) else None


def broken_connection(how: int | str | None) -> str | None:
    """Return ``how`` if it is a kind of ``Faults``, or None. The handler applies the fault to the response."""
    return how if isinstance(how, str) and how in KINDS else None
