"""What a plane counts, by Istio's names: pushes, their time and size, how long a change takes, refusals.

Written in the plane's thread, read by any.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

SECONDS = (0.01, 0.1, 0.5, 1, 3, 5, 10, 20, 30)
CONVERGENCE = (0.1, 0.5, 1, 3, 5, 10, 20, 30)
BYTES = (1, 10_000, 1_000_000, 4_000_000, 10_000_000, 40_000_000)


class Histogram:
    """Observations by upper bounds, as Prometheus counts them."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, int]]:
        """The number of observations up to each bound, the last of which is `+Inf`."""
        out, so_far = [], 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            so_far += count
            out.append(("+Inf" if bound == float("inf") else str(float(bound)), so_far))
        return out


class Meter:
    """Types are istiod's short names (`cds`)."""

    def __init__(self) -> None:
        self.pushes: Counter[str] = Counter()
        self.push_time: dict[str, Histogram] = {}
        self.sizes: dict[str, Histogram] = {}
        self.convergence = Histogram(CONVERGENCE)
        self.rejects: Counter[str] = Counter()
        self.expired: Counter[str] = Counter()
        self.errors = 0

    def pushed(self, type_: str, took_s: float, size: int) -> None:
        """A response was made and has left."""
        self.pushes[type_] += 1
        self.push_time.setdefault(type_, Histogram(SECONDS)).observe(took_s)
        self.sizes.setdefault(type_, Histogram(BYTES)).observe(size)
