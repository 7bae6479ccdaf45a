"""Sums of requests with equal labels, kept until they are handed to the metrics library.

prometheus_client takes 4 to 5 microseconds for one counter and three histograms (one lock each, buckets searched one by
one); adding to these takes about one. Its values are brought up to date by a flush: on the tick, at a scrape, at close.
"""

from bisect import bisect_left
from threading import Lock
from typing import NamedTuple

from .catalogue import BUCKETS

_BUCKETS = len(BUCKETS) + 1


class Distribution(NamedTuple):
    """How often a value fell into each bucket, and the sum of the values."""

    counts: list[int]
    total: float


class Totals(NamedTuple):
    """What has come together since the last flush."""

    calls: int
    duration: Distribution
    request: Distribution
    response: Distribution


class Series:
    """The sums of one set of labels. `lock` and `dirty` (those with something in them) are shared by all of a mesh."""

    __slots__ = (
        "_count",
        "_dirty",
        "_duration",
        "_durations",
        "_lock",
        "_request",
        "_requests",
        "_response",
        "_responses",
        "labels",
    )

    def __init__(self, labels: tuple[str, ...], lock: Lock, dirty: list["Series"]) -> None:
        self.labels = labels
        self._lock = lock
        self._dirty = dirty
        self._clear()

    def _clear(self) -> None:
        self._count = 0
        self._duration = 0.0
        self._request = self._response = 0
        self._durations, self._requests, self._responses = [0] * _BUCKETS, [0] * _BUCKETS, [0] * _BUCKETS

    def add(self, duration_ms: float, request: int, response: int) -> None:
        """One more request: its duration in milliseconds, its body and that of its response in bytes."""
        bucket = bisect_left(BUCKETS, duration_ms)
        with self._lock:
            if not self._count:
                self._dirty.append(self)
            self._count += 1
            self._duration += duration_ms
            self._durations[bucket] += 1
            # Empty bodies are what is left over when the others are counted.
            if request:
                self._request += request
                self._requests[bisect_left(BUCKETS, request)] += 1
            if response:
                self._response += response
                self._responses[bisect_left(BUCKETS, response)] += 1

    def take(self) -> Totals:
        """What there is; from here on it counts anew. The caller holds the lock."""
        count, requests, responses = self._count, self._requests, self._responses
        requests[0] += count - sum(requests)
        responses[0] += count - sum(responses)
        taken = Totals(
            count,
            Distribution(self._durations, self._duration),
            Distribution(requests, self._request),
            Distribution(responses, self._response),
        )
        self._clear()
        return taken
