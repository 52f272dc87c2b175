"""Answers requests that read or create one callflow."""

from collections.abc import Mapping
from typing import Any

from .breakage import break_content, broken_response
from .estate.dates import gregorian_seconds
from .responses import INIT_FAILED, ApiResponse, bad_identifier, validation_error
from .state import SandboxState


def get_callflow(state: SandboxState, account: int, callflow_id: str) -> ApiResponse:
    """Answer ``GET /accounts/{id}/callflows/{callflow_id}``."""
    how = state.broken_callflows.get((account, callflow_id))
    if problem := broken_response(how, callflow_id):
        return problem
    try:
        document = state.callflows.document(account, callflow_id)
    except KeyError:
        return bad_identifier(callflow_id)
    return ApiResponse(200, break_content(how, document), revision=state.callflows.revision(account, callflow_id))


def create_callflow(state: SandboxState, account: int, data: Mapping[str, Any]) -> ApiResponse:
    """Answer ``PUT /accounts/{id}/callflows``: store a callflow, unless one of its numbers is already in use.

    Kazoo validates the whole document against its schema. The sandbox checks only the numbers.
    """
    numbers = data.get("numbers") or []
    if not numbers and not data.get("patterns"):
        message = "Callflows must be assigned at least one number or pattern"
        return validation_error("numbers", "required", message)
    if not isinstance(numbers, list) or not all(isinstance(number, str) for number in numbers):
        return INIT_FAILED
    for callflow_id in state.callflows.ids(account):
        others = state.callflows.cached(account, callflow_id).get("numbers")
        taken = [number for number in numbers if isinstance(others, list) and number in others]
        if taken:
            message = f"Number {taken[0]} exists in callflow {callflow_id}"
            return validation_error("numbers", "unique", message, cause=taken[0])
    created = gregorian_seconds(state.clock.time())
    callflow_id = state.callflows.put(account, {"patterns": [], **data, "pvt_type": "callflow"}, created)
    document = {
        key: value for key, value in state.callflows.document(account, callflow_id).items() if key != "metadata"
    }
    return ApiResponse(
        201,
        document,
        revision=state.callflows.revision(account, callflow_id),
        location=f"/v2/accounts/{state.accounts[account]}/callflows/{callflow_id}",
    )
