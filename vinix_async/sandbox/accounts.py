"""Answers requests for one account: its document, its API key and its ancestors."""

from .estate.ids import digest
from .responses import ApiResponse
from .state import SandboxState


def get_account(state: SandboxState, account: int) -> ApiResponse:
    """Answer ``GET /accounts/{id}``."""
    return ApiResponse(200, state.accounts.document(account), revision=_revision(state, account))


def get_api_key(state: SandboxState, account: int) -> ApiResponse:
    """Answer ``GET /accounts/{id}/api_key``."""
    return ApiResponse(200, {"api_key": state.tokens.api_key(account)}, revision=_revision(state, account))


def list_ancestors(state: SandboxState, account: int, owner: int) -> ApiResponse:
    """Answer ``GET /accounts/{id}/tree`` and ``/parents``: list the ancestors of ``account``.

    The first row is ``owner``, the account of the token. The last row is the parent of ``account``. If ``account`` is
    ``owner`` itself, there are no rows.
    """
    above = state.accounts.ancestors(account)
    visible = above[above.index(owner) :] if owner in above else []
    keys = ("id", "name") if state.dialect.kazoo5_engine else ("id", "name", "realm", "flags")
    rows = [{key: state.accounts.row(index, "tree")[key] for key in keys} for index in visible]
    return ApiResponse(200, rows, revision=_revision(state, account) if rows else None)


def _revision(state: SandboxState, account: int) -> str:
    return f"1-{digest('account', state.accounts[account])}"
