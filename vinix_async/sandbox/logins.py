"""Answers the two logins, ``PUT /user_auth`` and ``PUT /api_auth``, and checks what they were sent."""

from collections.abc import Mapping
from typing import Any, Final

from .estate.ids import digest
from .responses import ApiResponse, invalid_credentials, validation_error
from .state import SandboxState

_API_KEY_LENGTH: Final = 64
_MAX_CREDENTIALS_LENGTH: Final = 64


def log_in(state: SandboxState, endpoint: str, body: Any) -> ApiResponse:
    """Answer a login. ``endpoint`` is ``user_auth`` or ``api_auth``."""
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict):
        return validation_error("json", "invalid", "failed to parse the body")
    problem = _api_key_problem(data) if endpoint == "api_auth" else _credentials_problem(data)
    if problem:
        return problem
    if state.logins_refused:
        return invalid_credentials()
    if endpoint == "api_auth":
        index = state.tokens.verify_api_key(data["api_key"])
        if index is None:
            return ApiResponse(404, [data["api_key"]], "bad identifier")
    else:
        index = state.tokens.verify_user(data)
        if index is None:
            return invalid_credentials()
    token = state.tokens.issue(index, state.clock.time(), f"cb_{endpoint}")
    return ApiResponse(201, _session(state, endpoint, index), envelope={"auth_token": token})


def _session(state: SandboxState, endpoint: str, index: int) -> dict[str, Any]:
    parent = state.accounts.parent(index)
    return {
        "account_id": state.accounts[index],
        "account_name": state.accounts.name(index),
        "is_reseller": index == 0,
        "reseller_id": state.accounts[parent or 0],
        "language": "en-us",
        "apps": [],
        **({"owner_id": digest("owner", index)} if endpoint == "user_auth" else {}),
    }


def _api_key_problem(data: Mapping[str, Any]) -> ApiResponse | None:
    key = data.get("api_key")
    if data.keys() - {"api_key"}:
        return validation_error("api_auth", "additionalProperties", "Strict checking of data failed")
    if not isinstance(key, str):
        return validation_error("api_key", "required", "Field is required but missing")
    if len(key) != _API_KEY_LENGTH:
        rule = "minLength" if len(key) < _API_KEY_LENGTH else "maxLength"
        return validation_error("api_key", rule, "String must have exactly 64 characters")
    return None


def _credentials_problem(data: Mapping[str, Any]) -> ApiResponse | None:
    credentials = data.get("credentials")
    if not isinstance(credentials, str):
        return validation_error("credentials", "required", "Field is required but missing")
    if not 1 <= len(credentials) <= _MAX_CREDENTIALS_LENGTH:
        return validation_error("credentials", "maxLength", "String must not be more than 64 characters")
    if data.get("method", "md5") not in {"md5", "sha"}:
        return validation_error("method", "enum", "Value not found in enumerated list of values")
    return None
