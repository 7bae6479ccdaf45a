"""A time for which a host is out, or degraded: each is longer than the one before, unless it stayed well meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from ...xds.model.cluster import OutlierDetection

EPSILON_S = 1e-6
"""Times that are closer than this are the same: sums of intervals are not exact."""


@final
class Spell:
    """Of one host and of one kind. `backoff`: how many base times it takes; `jitter_s` comes on top."""

    __slots__ = ("backoff", "began_at", "ended_at", "jitter_s")

    def __init__(self) -> None:
        self.backoff = 0
        self.began_at = 0.0
        self.ended_at: float | None = None
        self.jitter_s = 0.0

    def begin(self, now: float, config: OutlierDetection, draw: Callable[[int], int]) -> float:
        """How long this one takes at least."""
        base_s, max_s = config.base_ejection_time_s, config.max_ejection_time_s
        if self.backoff * base_s < max_s + base_s - EPSILON_S:
            self.backoff += 1
        self.began_at = now
        self.jitter_s = draw(round(config.max_ejection_time_jitter_s * 1000) + 1) / 1000
        return self.ends_at(config) - now

    def ends_at(self, config: OutlierDetection) -> float:
        """When it has lasted long enough, by the configuration in force."""
        lasts_s = min(config.base_ejection_time_s * self.backoff, config.max_ejection_time_s)
        return self.began_at + lasts_s + self.jitter_s

    def fade(self, now: float, interval_s: float) -> None:
        """An interval without one is over."""
        if self.backoff and self.ended_at is not None and now - self.ended_at >= interval_s - EPSILON_S:
            self.backoff -= 1
