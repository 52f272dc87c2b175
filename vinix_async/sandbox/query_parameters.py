"""Reads and checks the query parameters of a listing.

These are ``page_size``, ``paginate``, ``start_key``, ``ascending``, ``is_chunked`` and ``chunk_size``.
"""

import math
import re
from collections.abc import Mapping
from typing import Final

from .cursors import decode_cursor
from .responses import ApiResponse, faulty_request

DEFAULT_PAGE_SIZE: Final = 50
MAX_CHUNK_SIZE: Final = 50

_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
"""What Erlang's conversion accepts, which is stricter than Python's: no spaces, no exponent alone."""


def page_size(query: Mapping[str, str], *, kazoo5: bool) -> int | ApiResponse:
    """Return the page size, or the 404 with which Kazoo 5 refuses a bad one. Kazoo 4.3 then uses the default."""
    text = query.get("page_size")
    if text is None:
        return DEFAULT_PAGE_SIZE
    size = _integer(text)
    if size is not None and size >= 1:
        return size
    if not kazoo5:
        return DEFAULT_PAGE_SIZE
    return faulty_request("invalid page size" if size is None else "page size must be at least 1")


def is_paginated(query: Mapping[str, str]) -> bool:
    """Return whether the listing is paged. Anything but the exact text ``true`` turns paging off."""
    return query.get("paginate", "true") == "true"


def is_ascending(query: Mapping[str, str]) -> bool:
    """Return whether Kazoo 5 lists in ascending order. Kazoo 4.3 ignores the parameter."""
    return query.get("ascending") == "true"


def is_chunked(query: Mapping[str, str]) -> bool:
    """Return whether Kazoo 5 streams a listing of callflows. Kazoo 4.3 ignores the parameter."""
    return query.get("is_chunked") == "true"


def chunk_size_error(query: Mapping[str, str]) -> ApiResponse | None:
    """Return Kazoo 5's error for the ``chunk_size`` of a streamed listing, or None if it is good."""
    size = _integer(query.get("chunk_size", str(MAX_CHUNK_SIZE)))
    if size == 0:
        return ApiResponse(503, {"message": "datastore fatal error"}, "datastore_fault")
    if size is None or not 0 < size <= MAX_CHUNK_SIZE:
        return faulty_request(f"chunk size must be lower than {MAX_CHUNK_SIZE}")
    return None


def start_key(query: Mapping[str, str]) -> str | None:
    """Return the key at which the page starts; None for the first page.

    An empty ``start_key`` is a key: it comes before all others. Raises ``InvalidCursorError``.
    """
    cursor = query.get("start_key")
    return None if cursor is None else decode_cursor(cursor)


def _integer(text: str) -> int | None:
    """Return the number in a text, rounded half away from zero as Erlang rounds, or None."""
    if not _NUMBER.fullmatch(text):
        return None
    return int(math.copysign(math.floor(abs(float(text)) + 0.5), float(text)))
