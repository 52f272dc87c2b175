"""The state of a sandbox. Routes read and change it."""

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
    """Everything that a response depends on, except the request.

    Args:
        charges_valid_tokens: whether requests with a valid token are charged to their token buckets.
        login_cost: the number of tokens that a login costs, in addition to the cost of a request.
        denied_accounts: the error that is returned for an account, by account id.
        broken_callflows: how a callflow is broken, by account index and callflow id.
        listings_served: the number of listings so far. Each listing has another revision.
    """

    dialect: Dialect
    accounts: AccountTree
    callflows: CallflowStore
    tokens: TokenIssuer
    buckets: TokenBuckets
    clock: Clock
    charges_valid_tokens: bool
    login_cost: int
    logins_refused: bool = False
    removed_accounts: set[str] = field(factory=set)
    denied_accounts: dict[str, ApiResponse] = field(factory=dict)
    disabled_accounts: set[str] = field(factory=set)
    hanging_accounts: set[str] = field(factory=set)
    broken_callflows: dict[tuple[int, str], int | str] = field(factory=dict)
    listings_served: int = 0
