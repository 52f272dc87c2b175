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
        charges_valid_tokens: whether requests with a valid auth token count towards the rate limit.
        login_cost: the number of tokens of the bucket that a login costs, in addition to the cost of a request.
        denied_accounts: a dict from account ids to the errors with which requests for the accounts are answered.
        broken_callflows: a dict from (account index, callflow id) to the argument ``how`` of ``break_callflow``.
        listings_served: the number of listings so far. It makes the revision of every listing different.
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
