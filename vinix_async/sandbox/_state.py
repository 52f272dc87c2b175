"""All that a running sandbox knows, in one value."""

from attrs import define, field

from .._pipeline.clock import Clock
from ._accounts import Accounts
from ._bucket import Buckets
from ._dialects import Dialect, Reply
from ._documents import Documents
from ._tokens import Tokens


@define
class State:
    """What the routes read, and little that they change."""

    dialect: Dialect
    accounts: Accounts
    documents: Documents
    tokens: Tokens
    buckets: Buckets
    clock: Clock
    login_cost: int
    logins_refused: bool = False
    denied: dict[str, Reply] = field(factory=dict)
    silent: set[str] = field(factory=set)
    listings: int = 0
