"""The hash ring (envoy source: RingHashLoadBalancer::Ring): each endpoint at many points, a request goes to the next.

An endpoint stands at the hash of `key_0`, `key_1` and so on, as often as its share of the ring says. A ring knows
numbers of endpoints only, so it serves every version of the configuration with the same keys and shares.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from math import ceil

from .digest import Digest


class Ring:
    """A pick is a bisection of the points: O(log n)."""

    __slots__ = ("_owners", "_points")

    def __init__(
        self, keys: Sequence[bytes], shares: Sequence[float], smallest: int, largest: int, digest: Digest
    ) -> None:
        """`smallest`, `largest`: minimum_ring_size and maximum_ring_size. The least share gets whole points."""
        packed: list[int] = []
        least = min(shares, default=1.0)
        scale = min(ceil(least * smallest) / least, float(largest))
        made, target = 0, 0.0
        for owner, (key, share) in enumerate(zip(keys, shares, strict=True)):
            target += scale * share
            wanted = max(0, ceil(target - made))
            prefix = key + b"_"
            packed += [digest(prefix + b"%d" % each) << 32 | owner for each in range(wanted)]
            made += wanted
        packed.sort()
        self._points = array("Q", [each >> 32 for each in packed])
        self._owners = array("I", [each & 0xFFFFFFFF for each in packed])

    def __len__(self) -> int:
        return len(self._points)

    def pick(self, hash_: int, attempt: int = 0) -> int | None:
        """The number of the endpoint at the first point that is not below the hash; `attempt` points further on."""
        points = self._points
        size = len(points)
        if not size:
            return None
        at = bisect_left(points, hash_)
        return self._owners[(at + attempt) % size] if attempt else self._owners[at if at < size else 0]
