"""Answers requests for listings: callflows, descendants, children and siblings."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import evolve

from . import query_parameters as parameters
from .breakage import UNLISTED_KIND, break_content
from .cursors import InvalidCursorError, encode_cursor
from .estate.ids import digest
from .filters import filters_in, matches
from .key_pages import KeyPage, Predicate, kazoo5_page, kazoo43_page
from .requests import ApiRequest
from .responses import CRASH, ApiResponse
from .state import SandboxState

_KAZOO5_FIRST_KEY: Final = "\ufff0"
"""The key at which Kazoo 5 starts a listing of accounts if the request has no ``start_key``.

The listing is in descending order, so it must start at a key that is greater than all names.
"""

_KAZOO43_FIRST_KEY: Final = ""


def list_callflows(state: SandboxState, account: int, request: ApiRequest) -> ApiResponse:
    """Answer ``GET /accounts/{id}/callflows``."""
    query = request.query
    filters = filters_in(query)

    broken = {each: how for (index, each), how in state.broken_callflows.items() if index == account}
    ids = [each for each in state.callflows.ids(account) if broken.get(each) != UNLISTED_KIND]

    def passes(callflow_id: str) -> bool:
        return not filters or matches(state.callflows.cached(account, callflow_id), filters)

    def nothing_passes(_: str) -> bool:
        return False

    is_streamed = state.dialect.kazoo5_engine and parameters.is_chunked(query)
    if is_streamed and (problem := parameters.chunk_size_error(query)):
        return problem
    # The server converts the values of a repeated filter to an object. No value equals an object, so no row passes.
    predicate = nothing_passes if request.repeated & filters.keys() else passes
    page = _page(state, ids, predicate, request)
    if isinstance(page, ApiResponse):
        return page
    row = state.callflows.document if state.dialect.whole_rows else state.callflows.row
    rows = [break_content(broken.get(callflow_id), row(account, callflow_id)) for callflow_id in page.keys]
    cursors = {name: encode_cursor(key) for name, key in _cursor_keys(page).items()}
    if is_streamed and not rows:
        return _listing(state, rows, {}, is_paginated=False)
    response = _listing(state, rows, cursors, is_paginated=_is_paginated(state, request))
    return evolve(response, is_streamed=is_streamed)


def list_accounts(state: SandboxState, account: int, view: str, request: ApiRequest) -> ApiResponse:
    """Answer ``GET /accounts/{id}/descendants``, ``/children`` and ``/siblings``.

    These listings are sorted by name, and their cursors contain only a name. If several accounts have the same name, a
    page can therefore repeat accounts of the previous page.
    """
    names = {
        f"{name}\0{account_id}": index
        for name, account_id, index in state.accounts.sorted_rows(account, view)
        if account_id not in state.removed_accounts
    }
    page = _page(state, list(names), lambda _: True, request)
    if isinstance(page, ApiResponse):
        return page
    account_id = state.accounts[account] if state.dialect.kazoo5_engine else None
    keys = {"start_key": _KAZOO5_FIRST_KEY if account_id else _KAZOO43_FIRST_KEY, **_cursor_keys(page)}
    cursors = {name: encode_cursor(key.partition("\0")[0], account_id) for name, key in keys.items()}
    rows = [state.accounts.row(names[key], view) for key in page.keys]
    return _listing(state, rows, cursors, is_paginated=_is_paginated(state, request))


def _page(state: SandboxState, keys: Sequence[str], passes: Predicate, request: ApiRequest) -> KeyPage | ApiResponse:
    kazoo5 = state.dialect.kazoo5_engine
    size = parameters.page_size(request.query, kazoo5=kazoo5)
    if isinstance(size, ApiResponse):
        return size
    try:
        start = parameters.start_key(request.query)
    except InvalidCursorError:
        return CRASH
    if not _is_paginated(state, request):
        size, start = max(len(keys), 1), None
    if kazoo5:
        return kazoo5_page(keys, start, size, passes, ascending=parameters.is_ascending(request.query))
    return kazoo43_page(keys, start, size, passes)


def _is_paginated(state: SandboxState, request: ApiRequest) -> bool:
    """Return whether the listing has pages. Kazoo 4.3 also serves version 1 of the API, which has no pages."""
    is_version_1 = request.version == "v1" and not state.dialect.kazoo5_engine
    return not is_version_1 and parameters.is_paginated(request.query)


def _cursor_keys(page: KeyPage) -> dict[str, str]:
    keys = {"start_key": page.start_key, "next_start_key": page.next_key}
    return {name: key for name, key in keys.items() if key is not None}


def _listing(state: SandboxState, rows: list[Any], cursors: Mapping[str, str], *, is_paginated: bool) -> ApiResponse:
    envelope: dict[str, Any] = {"page_size": len(rows), **cursors} if is_paginated else {}
    state.listings_served += 1
    # The real server hashes the whole body, including the timestamp and the request id, so every listing has a new
    # revision. An empty listing has no revision.
    revision = digest(state.listings_served) if rows else None
    return ApiResponse(200, rows, envelope=envelope, revision=revision)
