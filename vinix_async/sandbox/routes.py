"""Routes a request to its endpoint, after the checks that precede every endpoint. Nothing here knows about HTTP."""

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from .listings import list_accounts, list_callflows
from .logins import log_in
from .responses import (
    FORBIDDEN,
    GONE,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    TOO_MANY_REQUESTS,
    ApiResponse,
    bad_identifier,
    invalid_credentials,
)
from .state import SandboxState

_LOGINS = (["user_auth"], ["api_auth"])
_ENDPOINTS = ("callflows", "descendants", "children")
_ID_LENGTHS = {"hex": 32, "uuid": 36}


@frozen
class ApiRequest:
    """A request as the routes see it.

    Args:
        path: the decoded segments of the path, the API version first.
        body: the decoded JSON body; None if there is none.
        peer: the client's address.
    """

    method: str
    path: list[str]
    query: Mapping[str, str]
    token: str | None
    body: Any
    peer: str


def route(state: SandboxState, request: ApiRequest) -> tuple[ApiResponse, int | None]:
    """Return the response, and the index of the account that the request's token belongs to, if any."""
    version, *segments = request.path
    if version == "v1" and state.dialect.kazoo5_engine:
        return GONE, None
    if segments in _LOGINS:
        return _log_in(state, request, segments[0]), None
    if len(segments) >= 3 and segments[0] == "accounts":
        return _route_account(state, request, *segments[1:])
    return NOT_FOUND, None


def _route_account(
    state: SandboxState, request: ApiRequest, account_id: str, endpoint: str, *rest: str
) -> tuple[ApiResponse, int | None]:
    owner = state.tokens.owner(request.token, state.clock.time()) if request.token else "missing"
    if owner == "expired" and state.dialect.kazoo5_engine:
        return state.dialect.expired_token(), None
    account = state.accounts.find(account_id)
    if account is None:
        return _unknown_account(state, account_id), None
    is_charged = state.dialect.charges_valid_tokens or not isinstance(owner, int)
    if is_charged and not state.buckets.take(f"{request.peer}/{account_id}", state.clock.monotonic()):
        return TOO_MANY_REQUESTS, None
    if not isinstance(owner, int):
        return state.dialect.expired_token() if owner == "expired" else invalid_credentials(), None
    if owner != account and owner not in state.accounts.ancestors(account):
        return FORBIDDEN, owner
    if account_id in state.denied_accounts:
        return state.denied_accounts[account_id], owner
    if endpoint not in _ENDPOINTS or len(rest) > (endpoint == "callflows"):
        return NOT_FOUND, owner
    if request.method != "GET":
        return METHOD_NOT_ALLOWED, owner
    if rest:
        return _get_callflow(state, account, rest[0]), owner
    if endpoint == "callflows":
        return list_callflows(state, account, request.query), owner
    return list_accounts(state, account, endpoint, request.query), owner


def _log_in(state: SandboxState, request: ApiRequest, endpoint: str) -> ApiResponse:
    if request.method != "PUT":
        return METHOD_NOT_ALLOWED
    bucket = f"{request.peer}/no_account"
    if not state.buckets.take(bucket, state.clock.monotonic(), cost=state.login_cost, drain=True):
        return TOO_MANY_REQUESTS
    return log_in(state, endpoint, request.body)


def _unknown_account(state: SandboxState, account_id: str) -> ApiResponse:
    if not account_id:
        return ApiResponse(404, {"message": "missing account_id"}, "bad identifier")
    if len(account_id.encode()) != _ID_LENGTHS[state.dialect.id_style]:
        return ApiResponse(404, {"message": f"invalid account_id '{account_id}'"}, "bad identifier")
    return bad_identifier(account_id)


def _get_callflow(state: SandboxState, account: int, callflow_id: str) -> ApiResponse:
    try:
        document = state.callflows.document(account, callflow_id)
    except KeyError:
        return bad_identifier(callflow_id)
    return ApiResponse(200, document, revision=state.callflows.revision(account, callflow_id))
