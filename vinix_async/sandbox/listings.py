"""Answers the three listings: callflows, descendants and children."""

from collections.abc import Mapping, Sequence
from typing import Any

from . import parameters
from .cursors import encode_cursor
from .estate.ids import digest
from .filters import filters_in, matches
from .paging import KeyPage, Predicate, kazoo5_page, kazoo43_page
from .responses import ApiResponse
from .state import SandboxState


def list_callflows(state: SandboxState, account: int, query: Mapping[str, str]) -> ApiResponse:
    """Answer ``GET /accounts/{id}/callflows``."""
    filters = filters_in(query)

    def passes(callflow_id: str) -> bool:
        return not filters or matches(state.callflows.cached(account, callflow_id), filters)

    page = _page(state, state.callflows.ids(account), passes, query)
    if isinstance(page, ApiResponse):
        return page
    row = state.callflows.document if state.dialect.whole_rows else state.callflows.row
    cursors = {name: encode_cursor(key) for name, key in _cursor_keys(page).items()}
    return _listing(state, [row(account, callflow_id) for callflow_id in page.keys], cursors, query)


def list_accounts(state: SandboxState, account: int, view: str, query: Mapping[str, str]) -> ApiResponse:
    """Answer ``GET /accounts/{id}/descendants`` and ``/children``.

    The view is sorted by name. Its cursors hold nothing but the name, so accounts of one name repeat across pages.
    """
    below = {f"{name}\0{account_id}": index for name, account_id, index in state.accounts.sorted_rows(account, view)}
    page = _page(state, list(below), lambda _: True, query)
    if isinstance(page, ApiResponse):
        return page
    account_id = state.accounts[account] if state.dialect.kazoo5_engine else None
    cursors = {name: encode_cursor(key.partition("\0")[0], account_id) for name, key in _cursor_keys(page).items()}
    return _listing(state, [state.accounts.row(below[key], view) for key in page.keys], cursors, query)


def _page(
    state: SandboxState, keys: Sequence[str], passes: Predicate, query: Mapping[str, str]
) -> KeyPage | ApiResponse:
    kazoo5 = state.dialect.kazoo5_engine
    size = parameters.page_size(query, kazoo5=kazoo5)
    if isinstance(size, ApiResponse):
        return size
    start = parameters.start_key(query)
    if not parameters.is_paginated(query):
        size, start = max(len(keys), 1), None
    if kazoo5:
        return kazoo5_page(keys, start, size, passes, ascending=parameters.is_ascending(query))
    return kazoo43_page(keys, start, size, passes)


def _cursor_keys(page: KeyPage) -> dict[str, str]:
    keys = {"start_key": page.start_key, "next_start_key": page.next_key}
    return {name: key for name, key in keys.items() if key is not None}


def _listing(state: SandboxState, rows: list[Any], cursors: Mapping[str, str], query: Mapping[str, str]) -> ApiResponse:
    envelope: dict[str, Any] = {"page_size": len(rows), **cursors} if parameters.is_paginated(query) else {}
    state.listings_served += 1
    # The real server hashes the whole body, which differs each time; an empty listing has no revision.
    revision = digest(state.listings_served) if rows else None
    return ApiResponse(200, rows, envelope=envelope, revision=revision)
