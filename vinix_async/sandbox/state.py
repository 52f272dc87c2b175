"""The state of a running sandbox, which the routes read and change."""

from attrs import define, field

from .. import Clock
from .dialects import Dialect
from .estate.accounts import AccountTree
from .estate.callflow_store import CallflowStore
from .responses import ApiResponse
from .token_bucket import TokenBuckets
from .tokens import TokenIssuer


@define
class SandboxState:
    """Everything that a response depends on, besides its request."""

    dialect: Dialect
    accounts: AccountTree
    callflows: CallflowStore
    tokens: TokenIssuer
    buckets: TokenBuckets
    clock: Clock
    login_cost: int
    logins_refused: bool = False
    denied_accounts: dict[str, ApiResponse] = field(factory=dict)
    hanging_accounts: set[str] = field(factory=set)
    listings_served: int = 0
