"""Kazoo's token buckets: one for each client address and account, filled in one block each second."""

from collections import OrderedDict

from attrs import define

_MOST_BUCKETS = 20_000


@define
class _Bucket:
    tokens: int
    begun: float
    ticks: int = 0


class Buckets:
    """``capacity`` tokens each, ``rate`` more every second from the bucket's own beginning on."""

    def __init__(self, capacity: int, rate: int) -> None:
        self._capacity = capacity
        self._rate = rate
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str, now: float, *, cost: int = 1, drain: bool = False) -> bool:
        """``cost`` tokens, if there are so many. With ``drain``, as for logins, a refusal empties the bucket."""
        bucket = self._filled(name, now)
        if bucket.tokens >= cost:
            bucket.tokens -= cost
            return True
        if drain:
            bucket.tokens = 0
        return False

    def left(self, name: str, now: float) -> int:
        """The tokens in a bucket."""
        return self._filled(name, now).tokens

    def _filled(self, name: str, now: float) -> _Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(self._capacity, now)
        self._buckets.move_to_end(name)
        while len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        ticks = int(now - bucket.begun)
        bucket.tokens = min(self._capacity, bucket.tokens + self._rate * (ticks - bucket.ticks))
        bucket.ticks = ticks
        return bucket
