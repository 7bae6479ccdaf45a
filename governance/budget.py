"""How many retries may be under way in a cluster (envoy source: ResourceManagerImpl::RetryBudgetImpl).

A fixed number of retries is too many for a cluster that gets little and too few for one that gets much. A budget is a
share of what is being asked: of the requests under way, or of those begun lately. Retries count as requests.
"""

from collections import deque
from typing import final

from ..xds.model.cluster import RetryBudget

PARTS = 10
"""Into how many parts an interval is divided: what is older is forgotten one part at a time."""


@final
class RequestWindow:
    """How many requests have begun within an interval, a tenth of it more or less. Its caller holds a lock."""

    __slots__ = ("_counts", "_total", "interval_s")

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self._counts: deque[list[int]] = deque()
        """[number of the part, requests begun in it]"""
        self._total = 0

    def add(self, now: float) -> None:
        """A request has begun."""
        part = self._forget(now)
        if not self._counts or self._counts[-1][0] < part:
            self._counts.append([part, 0])
        self._counts[-1][1] += 1
        self._total += 1

    def count(self, now: float) -> int:
        """Those of the interval."""
        self._forget(now)
        return self._total

    def _forget(self, now: float) -> int:
        part = int(now * PARTS / self.interval_s)
        counts = self._counts
        while counts and counts[0][0] < part - PARTS:
            self._total -= counts.popleft()[1]
        return part


def allowed(budget: RetryBudget, under_way: int, window: RequestWindow | None, now: float) -> int:
    """How many retries may be under way. `under_way`: active and pending requests of the cluster."""
    counted = under_way if window is None else window.count(now)
    return max(int(budget.percent / 100.0 * counted), budget.min_concurrency)
