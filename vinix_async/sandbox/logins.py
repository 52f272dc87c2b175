"""Answers logins (``PUT /user_auth`` and ``PUT /api_auth``) and requests to refresh or describe a token."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from .estate.ids import digest
from .requests import Credentials
from .responses import ApiResponse, invalid_credentials, missing_field, validation_error
from .state import SandboxState

_API_KEY_LENGTH: Final = 64
_MAX_CREDENTIALS_LENGTH: Final = 64
_METHODS: Final = ("md5", "sha")

_REVISION: Final = "automatic"
"""The revision in the response to every successful login."""


def log_in(state: SandboxState, endpoint: str, data: Mapping[str, Any]) -> ApiResponse:
    """Answer a login. ``endpoint`` is ``user_auth`` or ``api_auth``."""
    is_user = endpoint == "user_auth"
    problem = _credentials_problem(data) if is_user else _api_key_problem(data)
    if problem:
        return problem
    index = state.tokens.find_account(data) if is_user else state.tokens.verify_api_key(data["api_key"])
    if index is None:
        return invalid_credentials() if is_user else _counted(ApiResponse(404, [data["api_key"]], "bad identifier"), 0)
    is_refused = state.logins_refused
    if is_user and not state.tokens.credentials_match(data["credentials"], data.get("method", "md5")):
        is_refused = True
    if is_refused:
        return _counted(invalid_credentials(), 0)
    if state.accounts[index] in state.disabled_accounts:
        return _counted(validation_error("account", "disabled", "account disabled"), 1)
    session = _session(state, index, is_user=is_user)
    token = state.tokens.issue(index, state.clock.time(), f"cb_{endpoint}")
    return ApiResponse(
        201,
        session,
        envelope={"auth_token": token, "page_size": 1},
        revision=_REVISION,
        location=f"/v2/{endpoint}/{session.get('owner_id', session['account_id'])}",
    )


def refresh_token(state: SandboxState, owner: int) -> ApiResponse:
    """Answer ``PUT /auth``, which exchanges a valid token for a new one."""
    token = state.tokens.issue(owner, state.clock.time(), "cb_auth")
    return ApiResponse(201, _session(state, owner, is_user=True), envelope={"auth_token": token})


def describe_token(state: SandboxState, owner: int, credentials: Credentials) -> ApiResponse:
    """Answer ``GET /token_auth`` with the session and the claims of the request's token."""
    is_token = credentials.scheme == "token"
    claims: dict[str, Any] = state.tokens.claims(credentials.text or "") if is_token else {}
    shown = {name: claims[name] for name in ("exp", "iss", "method") if name in claims}
    session = _session(state, owner, is_user=claims.get("method") != "cb_api_auth")
    return ApiResponse(200, {**session, **shown, "identity_sig": digest("identity", owner)})


def _session(state: SandboxState, index: int, *, is_user: bool) -> dict[str, Any]:
    return {
        "account_id": state.accounts[index],
        "account_name": state.accounts.name(index),
        "is_reseller": index == 0,
        "is_master_account": index == 0,
        "reseller_id": state.accounts[state.accounts.reseller(index)],
        "cluster_id": digest("cluster"),
        "language": "en-US",
        "apps": [],
        "capabilities": {"voicemail": {"transcription": {"available": False, "default": False}}},
        "ui_config": {},
        **({"owner_id": digest("owner", index)} if is_user else {}),
    }


def _counted(response: ApiResponse, count: int) -> ApiResponse:
    """Return the response to a login with ``count``, the number of users or API keys found, as its ``page_size``."""
    return evolve(response, envelope={"page_size": count})


def _api_key_problem(data: Mapping[str, Any]) -> ApiResponse | None:
    if unknown := data.keys() - {"api_key"}:
        message = "Strict checking of data is enabled; only include schema-defined properties"
        return validation_error(min(unknown), "additionalProperties", message, value=data)
    return _text_problem(data, "api_key", _API_KEY_LENGTH, _API_KEY_LENGTH)


def _credentials_problem(data: Mapping[str, Any]) -> ApiResponse | None:
    problem = _text_problem(data, "credentials", 1, _MAX_CREDENTIALS_LENGTH)
    method = data.get("method", _METHODS[0])
    if problem is None and method not in _METHODS:
        message = "Value not found in enumerated list of values"
        return validation_error("method", "enum", message, target=_METHODS, value=method)
    return problem


def _text_problem(data: Mapping[str, Any], field: str, minimum: int, maximum: int) -> ApiResponse | None:
    text = data.get(field)
    if not isinstance(text, str):
        return missing_field(field, field)
    if len(text) < minimum:
        rule, target, message = "minLength", minimum, f"String must be at least {minimum} characters"
    elif len(text) > maximum:
        rule, target, message = "maxLength", maximum, f"String must not be more than {maximum} characters"
    else:
        return None
    return validation_error(field, rule, message, target=target, cause=text, value=text)
