"""Medians, percentiles and ratios."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def ratio(rounds: Sequence[Sequence[float]], base: Sequence[Sequence[float]]) -> float:
    """The median over rounds of the ratio of their medians."""
    return statistics.median(median(a) / median(b) for a, b in zip(rounds, base, strict=True))
