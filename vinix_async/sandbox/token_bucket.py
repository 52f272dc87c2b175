"""Imitates Kazoo's rate limit: a token bucket for each pair of client address and account, refilled once per second."""

from collections import OrderedDict

from attrs import define

_MAX_BUCKETS = 20_000
"""The maximum number of buckets. If it is exceeded, the least recently used bucket is discarded.

That bucket is probably full again, so discarding it makes no difference.
"""


@define
class _Bucket:
    tokens: int
    created_at: float
    refills: int = 0


class TokenBuckets:
    """Token buckets. A bucket begins with ``capacity`` tokens, its maximum. It gains ``rate`` tokens per second."""

    def __init__(self, capacity: int, rate: int) -> None:
        self._capacity = capacity
        self._rate = rate
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str, now: float, *, cost: int = 1, drain: bool = False) -> bool:
        """Take ``cost`` tokens and return True. If the bucket has fewer tokens, return False.

        A bucket that has fewer tokens is emptied if ``drain`` is true, and keeps its tokens otherwise. Kazoo empties it
        for logins.
        """
        bucket = self._refilled(name, now)
        if bucket.tokens >= cost:
            bucket.tokens -= cost
            return True
        if drain:
            bucket.tokens = 0
        return False

    def remaining(self, name: str, now: float) -> int:
        """Return the number of tokens in a bucket."""
        return self._refilled(name, now).tokens

    def _refilled(self, name: str, now: float) -> _Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(self._capacity, now)
        self._buckets.move_to_end(name)
        while len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        refills = int(now - bucket.created_at)
        bucket.tokens = min(self._capacity, bucket.tokens + self._rate * (refills - bucket.refills))
        bucket.refills = refills
        return bucket
