"""The metrics of one prometheus_client registry, shared by all meshes that report there.

Only plain Counter, Gauge and Histogram objects, so multiprocess mode works. Their values are behind by what has come
since the last refresh. A collector that yields nothing brings them up to date before a scrape of this registry; in
multiprocess mode, where nobody scrapes it, the tick of the control thread does about once a second.
"""

from __future__ import annotations

import logging
import math
import operator
import os
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Lock
from typing import Literal, NamedTuple, Protocol, Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric as Collected
from prometheus_client.registry import Collector

from ...xds.model.records import dataclass
from .catalogue import BUCKETS, METRICS, Across
from .series import Distribution, Totals

log = logging.getLogger("proxyless.telemetry")

_KEY = "_proxyless_family"
REQUEST_HISTOGRAMS = ("istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes")

BATCH = 64
"""Readings that are taken without a pause."""

FORK_PATIENCE_S = 1.0
"""How long a fork waits for a refresh to end."""

Labels = tuple[str, ...]


class Reading(NamedTuple):
    """The value of a gauge now, or of a count that only grows."""

    metric: str
    labels: Labels
    value: float


class Source(Protocol):
    """One mesh's part."""

    def flush(self) -> None:
        """Hand over what has been summed up."""

    def readings(self) -> Iterable[Reading]:
        """What the gauges shall show."""


class SummedHistogram(Histogram):
    """A histogram that takes many observations at once."""

    def add(self, seen: Distribution) -> None:
        """As `observe` with each of them."""
        for bucket, count in zip(self._buckets, seen.counts, strict=True):
            if count:
                bucket.inc(count)
        self._sum.inc(seen.total)


@dataclass(frozen=True, slots=True)
class RequestMetrics:
    """Istio's request metrics for one set of labels."""

    calls: Counter
    duration: SummedHistogram
    request: SummedHistogram
    response: SummedHistogram

    def add(self, totals: Totals) -> None:
        """What has come together since the last time."""
        self.calls.inc(totals.calls)
        self.duration.add(totals.duration)
        self.request.add(totals.request)
        self.response.add(totals.response)


class Family:
    """All metrics of the catalogue in one registry. `of` finds or makes it."""

    def __init__(self) -> None:
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, SummedHistogram] = {}
        self._requests: dict[Labels, RequestMetrics] = {}
        self._sources: list[Source] = []
        self._leaving: deque[Source] = deque()
        self._shown: dict[tuple[str, Labels], float] = {}
        self._lock = Lock()
        self._warned = False
        self.multiprocess = "PROMETHEUS_MULTIPROC_DIR" in os.environ or "prometheus_multiproc_dir" in os.environ
        for each in METRICS:
            if each.kind == "counter":
                self._counters[each.name] = Counter(each.name, each.help, each.labels, registry=None)
            elif each.kind == "histogram":
                self._histograms[each.name] = SummedHistogram(
                    each.name, each.help, each.labels, registry=None, buckets=BUCKETS
                )
            else:
                self._gauges[each.name] = Gauge(
                    each.name, each.help, each.labels, registry=None, multiprocess_mode=_LIVE[each.across]
                )

    @classmethod
    def of(cls, registry: CollectorRegistry) -> Self:
        """The family of a registry; the first mesh makes it.

        Raises:
            ValueError: metrics of the same names are registered there by somebody else.
        """
        fresh = cls()
        # Kept on the registry itself: it lives as long, and one assignment decides between two meshes made at once.
        family: Self = registry.__dict__.setdefault(_KEY, fresh)
        if family is fresh:
            try:
                fresh._register(registry)
            except ValueError:
                del registry.__dict__[_KEY]
                raise
            _hold_across_fork(fresh)
        return family

    def _register(self, registry: CollectorRegistry) -> None:
        metrics = (*self._counters.values(), *self._gauges.values(), *self._histograms.values())
        done: list[Collector] = []
        try:
            for each in (_BeforeScrape(self), *metrics):
                registry.register(each)
                done.append(each)
        except ValueError:
            for each in done:
                registry.unregister(each)
            raise

    def attach(self, source: Source) -> None:
        """From now on `source` is asked at every refresh."""
        with self._lock:
            self._sources.append(source)

    def detach(self, source: Source) -> None:
        """Take its last figures; its gauges go."""
        with self._lock:
            if source in self._sources:
                self._refresh()
                self._sources.remove(source)
                self._refresh()

    def let_go(self, source: Source) -> None:
        """The same at the next refresh: takes no lock, so a garbage collector may call it from anywhere."""
        self._leaving.append(source)

    def refresh(self, pause: Callable[[], None] = lambda: None) -> None:
        """Bring every metric up to date; `pause` is called between small pieces of work."""
        with self._lock:
            self._refresh(pause)

    def _refresh(self, pause: Callable[[], None] = lambda: None) -> None:
        now: dict[tuple[str, Labels], float] = {}
        while self._leaving:
            gone = self._leaving.popleft()
            if gone in self._sources:
                gone.flush()
                self._sources.remove(gone)
        for source in self._sources:
            try:
                source.flush()
                for count, (metric, labels, value) in enumerate(source.readings()):
                    if not count % BATCH:
                        pause()
                    key = (metric, labels)
                    before = now.get(key)
                    now[key] = value if before is None else _TOGETHER[_ACROSS[metric]](before, value)
            except Exception as error:
                # A scrape is of everything that the program counts: it does not fail for one mesh.
                self._failed(error)
        shown = self._shown
        for key, value in now.items():
            if shown.pop(key, None) != value:
                self._gauges[key[0]].labels(*key[1]).set(value)
        for name, labels in shown:
            # Multiprocess mode cannot forget a label.
            if self.multiprocess:
                self._gauges[name].labels(*labels).set(0)
            else:
                self._gauges[name].remove(*labels)
        self._shown = now

    def _failed(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            log.error("metrics are incomplete", exc_info=error)

    def forked(self) -> None:
        """In a child: nothing is known to be shown rightly; in multiprocess mode its figures have begun anew."""
        self._shown = dict.fromkeys(self._shown, math.nan)

    def counter(self, name: str, labels: Labels) -> Counter:
        """The child of a counter."""
        return self._counters[name].labels(*labels)

    def requests(self, labels: Labels) -> RequestMetrics:
        """The children of Istio's four request metrics."""
        found = self._requests.get(labels)
        if found is None:
            found = self._requests[labels] = RequestMetrics(
                self._counters["istio_requests_total"].labels(*labels),
                *(self._histograms[name].labels(*labels) for name in REQUEST_HISTOGRAMS),
            )
        return found


_ACROSS: Mapping[str, Across] = {metric.name: metric.across for metric in METRICS}
_TOGETHER: Mapping[Across, Callable[[float, float], float]] = {"sum": operator.add, "min": min, "max": max}
_LIVE: Mapping[Across, Literal["livesum", "livemin", "livemax"]] = {
    "sum": "livesum",
    "min": "livemin",
    "max": "livemax",
}


class _BeforeScrape(Collector):
    """A collector with nothing of its own: a registry asks its collectors in the order in which they came."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def describe(self) -> Iterator[Collected]:
        return iter(())

    def collect(self) -> Iterator[Collected]:
        self._family.refresh()
        return iter(())


def _hold_across_fork(family: Family) -> None:
    """No fork in the middle of a refresh: a child would inherit the library's locks as they are."""
    reference = weakref.ref(family)
    held: list[Lock] = []

    def before() -> None:
        alive = reference()
        if alive is not None and alive._lock.acquire(timeout=FORK_PATIENCE_S):
            held.append(alive._lock)

    def after() -> None:
        while held:
            held.pop().release()

    def child() -> None:
        alive = reference()
        if alive is not None:
            alive.forked()
        after()

    os.register_at_fork(before=before, after_in_parent=after, after_in_child=child)
