"""Async client for the callflows of the Vinix telephony API.

Everything public is importable from here; the modules with a leading underscore are not. What a name needs is
imported when the name is first used, so that ``import vinix_async`` costs nothing: aiohttp alone takes 0.2 s.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from ._accounts import Accounts
    from ._auth import Auth, TokenAuth
    from ._callflows import Callflows, decode_page
    from ._checkpoint import Checkpoint
    from ._client import VinixClient
    from ._clock import Clock
    from ._convert import structure, to_dict, to_json
    from ._event import RetryEvent
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
    from ._login import ApiKeyAuth, UserAuth
    from ._models import Account, Callflow, FeatureCode, FlowNode, Metaflow, Ringback
    from ._pacing import Limits
    from ._pager import Pager
    from ._retry import RetryPolicy
    from ._sweep import AccountResult, AccountSweep, SweepCheckpoint, SweepStats
    from ._walk import Page

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
    "_accounts": ("Accounts",),
    "_auth": ("Auth", "TokenAuth"),
    "_callflows": ("Callflows", "decode_page"),
    "_checkpoint": ("Checkpoint",),
    "_client": ("VinixClient",),
    "_clock": ("Clock",),
    "_convert": ("structure", "to_dict", "to_json"),
    "_event": ("RetryEvent",),
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
    "_login": ("ApiKeyAuth", "UserAuth"),
    "_models": ("Account", "Callflow", "FeatureCode", "FlowNode", "Metaflow", "Ringback"),
    "_pacing": ("Limits",),
    "_pager": ("Pager",),
    "_retry": ("RetryPolicy",),
    "_sweep": ("AccountResult", "AccountSweep", "SweepCheckpoint", "SweepStats"),
    "_walk": ("Page",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
