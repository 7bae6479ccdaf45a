"""Are these counts a matter of chance? Exact tests, with a stated chance of a false alarm.

A count out of many draws is compared with the share that it should have by the binomial distribution itself, no
approximation. `unlikely` alarms where a count at least as far out has a chance below `ALARM` (one in a million): so
often a right implementation is called wrong, per check. Our own draws come from fixed seeds and never alarm by chance;
Envoy's are new in every run.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, lgamma, log, log1p

ALARM = 1e-6
"""The chance of a false alarm, of one check of one count."""


def chance(count: int, total: int, share: float) -> float:
    """How likely a count is that is at least as far out on its side, in `total` draws of which each hits by `share`."""
    if share <= 0.0 or share >= 1.0:
        return 1.0 if count == round(share) * total else 0.0
    below = sum(_exactly(each, total, share) for each in range(count + 1))
    above = sum(_exactly(each, total, share) for each in range(count, total + 1))
    return min(1.0, below, above)


def unlikely(count: int, total: int, share: float) -> bool:
    """Whether a count is no matter of chance."""
    return 2 * chance(count, total, share) < ALARM


def wrong(counts: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, str]:
    """The counts that are no matter of chance, and what should have been; also those of what has no share at all."""
    total = sum(counts.values())
    whole = sum(shares.values())
    found = {}
    for name in sorted(counts.keys() | shares.keys()):
        share = shares.get(name, 0.0) / whole
        if unlikely(counts.get(name, 0), total, share):
            found[name] = f"{counts.get(name, 0)} of {total}, its share is {share:.4f}"
    return found


def _exactly(count: int, total: int, share: float) -> float:
    ways = lgamma(total + 1) - lgamma(count + 1) - lgamma(total - count + 1)
    return exp(ways + count * log(share) + (total - count) * log1p(-share))
