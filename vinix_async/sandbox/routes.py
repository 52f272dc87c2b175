"""Checks requests and finds their endpoints. This module does not depend on the HTTP library."""

from collections.abc import Callable
from functools import partial
from typing import Final

from attrs import frozen

from .accounts import get_account, get_api_key, list_ancestors
from .callflows import create_callflow, get_callflow
from .listings import list_accounts, list_callflows
from .logins import describe_token, log_in, refresh_token
from .requests import ApiRequest
from .responses import (
    ENDPOINT_NOT_FOUND,
    FORBIDDEN,
    GONE,
    METHOD_NOT_ALLOWED,
    NO_SUCH_RESOURCE,
    TOO_MANY_REQUESTS,
    ApiResponse,
    bad_identifier,
    early,
    invalid_credentials,
)
from .state import SandboxState

Endpoint = Callable[[], ApiResponse]
"""A function that produces the response. It is called after the content type has been negotiated."""

_LOGINS: Final = ("user_auth", "api_auth")
_TOP_LEVEL: Final = {"user_auth": "PUT", "api_auth": "PUT", "auth": "PUT", "token_auth": "GET", "about": "GET"}
_ACCOUNT_ENDPOINTS: Final = {
    "callflows": ("GET", "PUT"),
    **dict.fromkeys(("descendants", "children", "siblings", "tree", "parents", "api_key"), ("GET",)),
}
_ID_LENGTHS: Final = {"hex": 32, "uuid": 36}
_REQUEST_COST: Final = 1


@frozen
class Routed:
    """The result of routing a request.

    Args:
        target: the endpoint, or an error response if a check failed.
        owner: the index of the account that the request's credentials belong to. None without valid credentials.
        is_identified: False if the server answers before it reads the credentials.
    """

    target: ApiResponse | Endpoint
    owner: int | None = None
    is_identified: bool = True


def token_bucket_name(request: ApiRequest) -> str:
    """Return the name of the token bucket of a request. Each pair of client address and account has its own bucket."""
    return f"{request.peer}/{request.account_id or 'no_account'}"


def route(state: SandboxState, request: ApiRequest) -> Routed:
    """Run the checks that precede every endpoint, in the server's order, and return the endpoint or an error."""
    if request.version == "v1" and state.dialect.kazoo5_engine:
        return Routed(GONE, is_identified=False)
    identity = _identify(state, request)
    owner = identity if isinstance(identity, int) else None
    if identity == "expired" and state.dialect.kazoo5_engine:
        return Routed(early(state.dialect.expired_token()))
    name, *rest = request.segments or [""]
    if name in _TOP_LEVEL and not rest:
        return Routed(_top_level(state, request, name, owner), owner)
    if name == "account" and owner is not None:
        name, rest = "accounts", [state.accounts[owner], *rest]
    if name == "accounts":
        return Routed(_account_endpoint(state, request, identity, rest), owner)
    return Routed(NO_SUCH_RESOURCE, owner)


def _identify(state: SandboxState, request: ApiRequest) -> int | str:
    """Return the index of the account that the credentials belong to, or ``"invalid"`` or ``"expired"``."""
    credentials = request.credentials
    if credentials.scheme == "basic":
        return state.tokens.basic_owner(credentials.text or "")
    if credentials.scheme == "bearer" or not credentials.text:
        return "invalid"
    return state.tokens.owner(credentials.text, state.clock.time())


def _top_level(state: SandboxState, request: ApiRequest, name: str, owner: int | None) -> ApiResponse | Endpoint:
    if request.method != _TOP_LEVEL[name]:
        return METHOD_NOT_ALLOWED
    if name in _LOGINS:
        return _log_in(state, request, name)
    if owner is None:
        return early(invalid_credentials())
    if name == "auth":
        return partial(refresh_token, state, owner)
    if name == "token_auth":
        return partial(describe_token, state, owner, request.credentials)
    return partial(ApiResponse, 200, {"version": state.dialect.version})


def _log_in(state: SandboxState, request: ApiRequest, endpoint: str) -> ApiResponse | Endpoint:
    """Return the endpoint of a login, or a 429 if the client's token bucket does not have enough tokens.

    As in Kazoo, the bucket is charged twice: for the request and for the login. If the tokens are not enough for the
    second charge, the bucket is emptied.
    """
    bucket, now = token_bucket_name(request), state.clock.monotonic()
    is_paid = state.buckets.take(bucket, now, cost=_REQUEST_COST) and state.buckets.take(
        bucket, now, cost=state.login_cost, drain=True
    )
    return partial(log_in, state, endpoint, request.data) if is_paid else TOO_MANY_REQUESTS


def _account_endpoint(
    state: SandboxState, request: ApiRequest, identity: int | str, path: list[str]
) -> ApiResponse | Endpoint:
    """Return the endpoint of ``/accounts/...``, or an error. ``path`` contains the segments after ``/accounts``."""
    if not path:
        return METHOD_NOT_ALLOWED  # nobody may list all accounts (GET), and the sandbox cannot create accounts (PUT)
    account_id, *below = path
    if request.method not in _allowed_methods(below, request.method):
        return METHOD_NOT_ALLOWED
    account = state.accounts.find(account_id)
    if account is None or account_id in state.removed_accounts:
        return early(_unknown_account(state, account_id))
    is_charged = state.charges_valid_tokens or not isinstance(identity, int)
    if is_charged and not state.buckets.take(token_bucket_name(request), state.clock.monotonic(), cost=_REQUEST_COST):
        return TOO_MANY_REQUESTS
    if not isinstance(identity, int):
        return early(invalid_credentials())
    if identity != account and identity not in state.accounts.ancestors(account):
        return FORBIDDEN
    if account_id in state.denied_accounts:
        return state.denied_accounts[account_id]
    return _endpoint_below_account(state, request, account, identity, below)


def _allowed_methods(below: list[str], method: str) -> tuple[str, ...]:
    """Return the methods that are allowed for a path below an account.

    ``below`` contains the segments after the account id. If ``below`` is one unknown segment, every method is allowed,
    because the request fails later with 404. If ``below`` is empty or has several segments, only GET is allowed.
    """
    if len(below) == 1:
        return _ACCOUNT_ENDPOINTS.get(below[0], (method,))
    return ("GET",)


def _endpoint_below_account(
    state: SandboxState, request: ApiRequest, account: int, owner: int, below: list[str]
) -> ApiResponse | Endpoint:
    match below:
        case []:
            return partial(get_account, state, account)
        case ["callflows"] if request.method == "PUT":
            return partial(create_callflow, state, account, request.data)
        case ["callflows"]:
            return partial(list_callflows, state, account, request)
        case ["callflows", callflow_id]:
            return partial(get_callflow, state, account, callflow_id)
        case ["siblings"] if account == owner:
            return FORBIDDEN
        case ["descendants" | "children" | "siblings" as view]:
            return partial(list_accounts, state, account, view, request)
        case ["tree" | "parents"]:
            return partial(list_ancestors, state, account, owner)
        case ["api_key"]:
            return partial(get_api_key, state, account)
    return ENDPOINT_NOT_FOUND


def _unknown_account(state: SandboxState, account_id: str) -> ApiResponse:
    if not account_id:
        return ApiResponse(404, {"message": "missing account_id"}, "bad identifier")
    if len(account_id.encode()) != _ID_LENGTHS[state.dialect.id_style]:
        return ApiResponse(404, {"message": f"invalid account_id '{account_id}'"}, "bad identifier")
    return bad_identifier(account_id)
