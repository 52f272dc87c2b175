"""Reads and checks the query parameters of a listing: ``page_size``, ``paginate``, ``start_key``, ``ascending``."""

from collections.abc import Mapping
from typing import Final

from .cursors import decode_cursor
from .responses import ApiResponse

DEFAULT_PAGE_SIZE: Final = 50


def page_size(query: Mapping[str, str], *, kazoo5: bool) -> int | ApiResponse:
    """Return the page size, or the 404 with which Kazoo 5 refuses a bad one. Kazoo 4.3 then uses the default."""
    text = query.get("page_size")
    if text is None:
        return DEFAULT_PAGE_SIZE
    try:
        size = round(float(text))
    except (ValueError, OverflowError):
        size, problem = 0, "invalid page size"
    else:
        problem = "page size must be at least 1"
    if size >= 1:
        return size
    return ApiResponse(404, {"message": problem}, "faulty_request") if kazoo5 else DEFAULT_PAGE_SIZE


def is_paginated(query: Mapping[str, str]) -> bool:
    """Return whether the listing is paged. Anything but the exact text ``true`` turns paging off."""
    return query.get("paginate", "true") == "true"


def is_ascending(query: Mapping[str, str]) -> bool:
    """Return whether Kazoo 5 lists in ascending order. Kazoo 4.3 ignores the parameter."""
    return query.get("ascending") == "true"


def start_key(query: Mapping[str, str]) -> str | None:
    """Return the key at which the page starts; None for the first page."""
    cursor = query.get("start_key") or None
    return None if cursor is None else decode_cursor(cursor)
