"""A limit of concurrency that follows latency (envoy source: adaptive_concurrency's gradient controller).

Two kinds of windows take turns. In the one, only the least number of requests goes through at a time, until enough of
them have shown the best latency there is (minimum round trip time). In the other the latencies of an interval are set
against that: limit = limit * gradient + headroom, gradient = minimum * (1 + buffer) / sampled, between a half and two,
headroom = the root of the limit before it is added.

Nothing runs by itself: whoever enters or leaves first makes up for the timers that have passed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from threading import Lock

from ...xds.model.overload import AdaptiveConcurrency

US = 1_000_000
AT_THE_LEAST = 5
"""Windows in a row with the least limit, after which the minimum is measured anew: it may be wrong."""


class Gradient:
    """One filter's controller."""

    __slots__ = (
        "_at_least",
        "_clock",
        "_config",
        "_deferred",
        "_draw",
        "_epoch",
        "_latencies",
        "_lock",
        "_measure_at",
        "_min_rtt_us",
        "_outstanding",
        "_update_at",
        "limit",
    )

    def __init__(self, config: AdaptiveConcurrency, clock: Callable[[], float], draw: Callable[[int], int]) -> None:
        self._config = config
        self._clock = clock
        self._draw = draw
        self._lock = Lock()
        self._outstanding = 0
        self._latencies = Latencies()
        self._min_rtt_us = round(config.fixed_rtt_s * US)
        self._at_least = 0
        self._deferred = 0
        """The limit to go back to after the measurement that is under way; 0 while there is none."""
        self._measure_at: float | None = None
        self._update_at: float | None = None
        self.limit = config.min_limit
        self._epoch = now = clock()
        if config.fixed_rtt_s:
            self._update_at = now + config.update_interval_s
        else:
            self._measure(now)

    def enter(self) -> float | None:
        """When the request began; None if there are too many."""
        with self._lock:
            now = self._clock()
            self._catch_up(now)
            if self._outstanding >= self.limit:
                return None
            self._outstanding += 1
            return now

    def leave(self, started: float, *, whole: bool) -> None:
        """It has ended. `whole`: with all of its response, so that its time says something."""
        with self._lock:
            now = self._clock()
            self._catch_up(now)
            self._outstanding -= 1
            if not whole or started < self._epoch:
                return
            self._latencies.add(int((now - started) * US))
            if self._deferred and self._latencies.count >= self._config.rtt_requests:
                self._measured(now)

    def _catch_up(self, now: float) -> None:
        while True:
            measure_at, update_at = self._measure_at, self._update_at
            if measure_at is not None and measure_at <= now and (update_at is None or measure_at <= update_at):
                self._measure(measure_at)
            elif update_at is not None and update_at <= now:
                self._update(update_at, now)
            else:
                return

    def _measure(self, now: float) -> None:
        """Begin to measure the minimum: what is under way already does not count."""
        self._deferred = self.limit
        self._set(self._config.min_limit, now)
        self._latencies = Latencies()
        self._epoch = now
        self._measure_at = self._update_at = None

    def _measured(self, now: float) -> None:
        config = self._config
        self._min_rtt_us = self._take()
        self._set(self._deferred, now)
        self._deferred = 0
        interval_ms = round(config.rtt_interval_s * 1000)
        if config.jitter:
            interval_ms += self._draw(math.ceil(interval_ms * config.jitter))
        self._measure_at = now + interval_ms / 1000
        self._update_at = now + config.update_interval_s

    def _update(self, at: float, now: float) -> None:
        """An interval has ended. Those after it, until now, have seen nothing."""
        interval_s = self._config.update_interval_s
        self._update_at = at + interval_s * (1 + math.floor((now - at) / interval_s))
        if self._latencies.count:
            self._set(self._next(self._take()), at)

    def _next(self, sampled_us: int) -> int:
        config = self._config
        best = self._min_rtt_us * (1 + config.buffer)
        gradient = max(0.5, min(2.0, best / sampled_us)) if sampled_us else 2.0
        limit = self.limit * gradient
        return max(config.min_limit, min(config.max_limit, int(limit + math.sqrt(limit))))

    def _take(self) -> int:
        found = self._latencies.quantile(self._config.percentile)
        self._latencies = Latencies()
        return int(found)

    def _set(self, limit: int, now: float) -> None:
        least = self._config.min_limit
        self._at_least = self._at_least + 1 if not self._deferred and self.limit == limit == least else 0
        self.limit = limit
        if self._at_least >= AT_THE_LEAST and not self._config.fixed_rtt_s:
            self._measure_at = now


class Latencies:
    """A histogram of whole microseconds with two significant digits, as Envoy's is."""

    __slots__ = ("_bins", "count")

    def __init__(self) -> None:
        self._bins: Counter[tuple[float, float]] = Counter()
        self.count = 0

    def add(self, microseconds: int) -> None:
        """One more."""
        width = 10.0 ** (len(str(microseconds)) - 2) if microseconds else 0.0
        self._bins[(microseconds // width * width if width >= 1 else float(microseconds), width)] += 1
        self.count += 1

    def quantile(self, share: float) -> float:
        """The value that this share of all is below, in a straight line through its bin."""
        wanted = share * self.count
        below = 0
        bins = iter(sorted(self._bins.items()))
        (left, width), here = next(bins)
        while below + here < wanted:
            below += here
            (left, width), here = next(bins)
        return left + (wanted - below) / here * width
