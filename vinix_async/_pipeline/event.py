"""A retry, as ``on_retry`` is told of it."""

from attrs import frozen

from .._exceptions import VinixError


@frozen(kw_only=True)
class RetryEvent:
    """What ``on_retry`` is told before each wait.

    ``attempt``: how many attempts have been made. ``wait``: seconds until the next one. ``error``: why
    the last one failed. ``path``: the path asked for, without the query.
    """

    attempt: int
    wait: float
    error: VinixError
    path: str
    account_id: str | None
