"""Reads and validates the query parameters of a listing.

The parameters are ``page_size``, ``paginate``, ``start_key``, ``ascending``, ``is_chunked`` and ``chunk_size``.
"""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from .cursors import decode_cursor
from .responses import ApiResponse, faulty_request

DEFAULT_PAGE_SIZE: Final = 50
MAX_CHUNK_SIZE: Final = 50

_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
"""Matches integers and decimal fractions. Unlike Python's conversions, Erlang's do not accept spaces or underscores."""


def page_size(query: Mapping[str, str], *, kazoo5: bool) -> int | ApiResponse:
    """Return the page size. If ``page_size`` is invalid, Kazoo 5 answers with 404 and Kazoo 4.3 uses the default."""
    text = query.get("page_size")
    if text is None:
        return DEFAULT_PAGE_SIZE
    size = integer(text)
    if size is not None and size >= 1:
        return size
    if not kazoo5:
        return DEFAULT_PAGE_SIZE
    return faulty_request("invalid page size" if size is None else "page size must be at least 1")


def is_paginated(query: Mapping[str, str]) -> bool:
    """Return whether the listing has pages. Every value of ``paginate`` except ``true`` disables pages."""
    return query.get("paginate", "true") == "true"


def is_ascending(query: Mapping[str, str]) -> bool:
    """Return whether Kazoo 5 sorts in ascending order. Kazoo 4.3 ignores ``ascending``."""
    return query.get("ascending") == "true"


def is_chunked(query: Mapping[str, str]) -> bool:
    """Return whether Kazoo 5 streams a listing of callflows. Kazoo 4.3 ignores ``is_chunked``."""
    return query.get("is_chunked") == "true"


def chunk_size_error(query: Mapping[str, str]) -> ApiResponse | None:
    """Return Kazoo 5's error for an invalid ``chunk_size`` of a streamed listing, or None if it is valid."""
    size = integer(query.get("chunk_size", str(MAX_CHUNK_SIZE)))
    if size == 0:
        return ApiResponse(503, {"message": "datastore fatal error"}, "datastore_fault")
    if size is None or not 0 < size <= MAX_CHUNK_SIZE:
        return faulty_request(f"chunk size must be lower than {MAX_CHUNK_SIZE}")
    return None


def start_key(query: Mapping[str, str]) -> str | None:
    """Return the key at which the page starts, or None if the request has no ``start_key``.

    An empty ``start_key`` is a key as well. It sorts before all other keys. Raises ``InvalidCursorError``.
    """
    cursor = query.get("start_key")
    return None if cursor is None else decode_cursor(cursor)


def integer(text: str) -> int | None:
    """Return the number in ``text``, rounded as Erlang does (halves away from zero). Return None for other text."""
    if not _NUMBER.fullmatch(text):
        return None
    return int(Decimal(text).to_integral_value(ROUND_HALF_UP))
