"""Async client for the callflows of the Vinix telephony API.

Everything public is importable from here; the modules with a leading underscore are not. What a name needs is
imported when the name is first used, so that ``import vinix_async`` costs nothing: aiohttp alone takes 0.2 s.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from ._client import VinixClient
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
    from ._listing.checkpoint import Checkpoint
    from ._listing.pager import Pager
    from ._listing.sweep import AccountResult, AccountSweep, SweepCheckpoint, SweepStats
    from ._listing.walk import Page
    from ._pipeline.auth import Auth, TokenAuth
    from ._pipeline.clock import Clock
    from ._pipeline.event import RetryEvent
    from ._pipeline.login import ApiKeyAuth, UserAuth
    from ._pipeline.rate_limiter import Limits
    from ._pipeline.retry import RetryPolicy
    from ._resources.accounts import Accounts
    from ._resources.callflows import Callflows, decode_page

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "Account",
    "AccountResult",
    "AccountSweep",
    "Accounts",
    "ApiKeyAuth",
    "Auth",
    "AuthenticationError",
    "BadRequestError",
    "Callflow",
    "Callflows",
    "Checkpoint",
    "ClientClosedError",
    "Clock",
    "ConfigurationError",
    "ConflictError",
    "DecodeError",
    "FeatureCode",
    "FlowNode",
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

_HOMES = {
    "_resources.accounts": ("Accounts",),
    "_pipeline.auth": ("Auth", "TokenAuth"),
    "_resources.callflows": ("Callflows", "decode_page"),
    "_listing.checkpoint": ("Checkpoint",),
    "_client": ("VinixClient",),
    "_pipeline.clock": ("Clock",),
    "_documents.decode": ("structure",),
    "_documents.encode": ("to_dict", "to_json"),
    "_pipeline.event": ("RetryEvent",),
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
    "_pipeline.login": ("ApiKeyAuth", "UserAuth"),
    "_documents.models": ("Account", "Callflow", "FeatureCode", "FlowNode", "Metaflow", "Ringback"),
    "_pipeline.rate_limiter": ("Limits",),
    "_listing.pager": ("Pager",),
    "_pipeline.retry": ("RetryPolicy",),
    "_listing.sweep": ("AccountResult", "AccountSweep", "SweepCheckpoint", "SweepStats"),
    "_listing.walk": ("Page",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
