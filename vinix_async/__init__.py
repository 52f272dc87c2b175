"""Async client for the callflows of the Vinix telephony API.

Import every public name from here. Modules whose names begin with an underscore are private. Each submodule is imported
when one of its names is first used. This keeps ``import vinix_async`` fast: importing aiohttp alone takes 0.2 s.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ._client import VinixClient
    from ._config import Limits
    from ._documents.decode import structure
    from ._documents.encode import to_dict, to_json
    from ._documents.models import Account, Callflow, FeatureCode, FlowNode, Metaflow, Ringback
    from ._exceptions import (
        APIConnectionError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        BadRequestError,
        ClientClosedError,
        ConfigurationError,
        ConflictError,
        DecodeError,
        NotFoundError,
        PaginationLoopError,
        PaymentRequiredError,
        PermissionDeniedError,
        RateLimitError,
        ServerError,
        VinixError,
    )
    from ._listing.checkpoint import Checkpoint, SweepCheckpoint
    from ._listing.pager import BadItem, Page, Pager, decode_page
    from ._listing.sweep import AccountPage, AccountResult, AccountSweep, SweepStats
    from ._pipeline.clock import Clock
    from ._pipeline.credentials import ApiKeyAuth, Auth, Identity, TokenAuth, UserAuth
    from ._pipeline.events import ClientStats, RetryEvent
    from ._pipeline.retry import RetryPolicy
    from ._resources.accounts import Accounts
    from ._resources.callflows import Callflows, Revised

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "Account",
    "AccountPage",
    "AccountResult",
    "AccountSweep",
    "Accounts",
    "ApiKeyAuth",
    "Auth",
    "AuthenticationError",
    "BadItem",
    "BadRequestError",
    "Callflow",
    "Callflows",
    "Checkpoint",
    "ClientClosedError",
    "ClientStats",
    "Clock",
    "ConfigurationError",
    "ConflictError",
    "DecodeError",
    "FeatureCode",
    "FlowNode",
    "Identity",
    "Limits",
    "Metaflow",
    "NotFoundError",
    "Page",
    "Pager",
    "PaginationLoopError",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "RateLimitError",
    "RetryEvent",
    "RetryPolicy",
    "Revised",
    "Ringback",
    "ServerError",
    "SweepCheckpoint",
    "SweepStats",
    "TokenAuth",
    "UserAuth",
    "VinixClient",
    "VinixError",
    "__version__",
    "decode_page",
    "structure",
    "to_dict",
    "to_json",
]

_MODULES: Final = {
    "_client": ("VinixClient",),
    "_config": ("Limits",),
    "_documents.decode": ("structure",),
    "_documents.encode": ("to_dict", "to_json"),
    "_documents.models": ("Account", "Callflow", "FeatureCode", "FlowNode", "Metaflow", "Ringback"),
    "_exceptions": (
        "APIConnectionError",
        "APIStatusError",
        "APITimeoutError",
        "AuthenticationError",
        "BadRequestError",
        "ClientClosedError",
        "ConfigurationError",
        "ConflictError",
        "DecodeError",
        "NotFoundError",
        "PaginationLoopError",
        "PaymentRequiredError",
        "PermissionDeniedError",
        "RateLimitError",
        "ServerError",
        "VinixError",
    ),
    "_listing.checkpoint": ("Checkpoint", "SweepCheckpoint"),
    "_listing.pager": ("BadItem", "Page", "Pager", "decode_page"),
    "_listing.sweep": ("AccountPage", "AccountResult", "AccountSweep", "SweepStats"),
    "_pipeline.clock": ("Clock",),
    "_pipeline.credentials": ("ApiKeyAuth", "Auth", "Identity", "TokenAuth", "UserAuth"),
    "_pipeline.events": ("ClientStats", "RetryEvent"),
    "_pipeline.retry": ("RetryPolicy",),
    "_resources.accounts": ("Accounts",),
    "_resources.callflows": ("Callflows", "Revised"),
}
_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f".{_MODULE_OF[name]}", __name__)
    for public in _MODULES[_MODULE_OF[name]]:
        globals()[public] = getattr(module, public)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
