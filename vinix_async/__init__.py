"""Async client for the callflows of the Vinix telephony API.

Everything public is importable from here; the modules with a leading underscore are not.
"""

from ._accounts import Accounts
from ._auth import ApiKeyAuth, Auth, TokenAuth, UserAuth
from ._callflows import Callflows, decode_page
from ._checkpoint import Checkpoint
from ._client import VinixClient
from ._clock import Clock
from ._convert import structure, to_dict, to_json
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
from ._models import Account, Callflow, FeatureCode, FlowNode, Metaflow, Ringback
from ._pacing import Limits
from ._pager import Page, Pager
from ._retry import RetryEvent, RetryPolicy
from ._sweep import AccountResult, AccountSweep, SweepCheckpoint, SweepStats
from ._version import __version__

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
