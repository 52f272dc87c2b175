"""How a call is made, and what it counts."""

from typing import TYPE_CHECKING

from attrs import define
from msgspec import Struct, field

from .._http.exchange import Timeout
from .retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from .event import RetryEvent


@define(kw_only=True, eq=False, repr=False)  # a sweep's has them
class Meter:
    """Counts what is sent. Logins are not in it.

    ``requests``: attempts. ``retries``: those after the first of a request. ``refusals``: answers that were 429.
    ``waiting``: seconds between attempts and for an account's turn, summed over all requests. ``deleted``: rows that
    were gone when ``details=True`` came to read them.
    """

    requests: int = 0
    retries: int = 0
    refusals: int = 0
    waiting: float = 0.0
    deleted: int = 0


class Options(Struct, kw_only=True, frozen=True):
    """What ``with_options`` can change, and the meter of a sweep."""

    timeout: Timeout
    deadline: float | None
    retry: RetryPolicy
    on_retry: "Callable[[RetryEvent], None] | None"
    meter: Meter = field(default_factory=Meter)
