"""Sums between two flushes: exact, whoever adds."""

from __future__ import annotations

from threading import Lock, Thread

from prometheus_client import CollectorRegistry, Histogram

from proxyless.governance.telemetry.catalogue import BUCKETS
from proxyless.governance.telemetry.families import SummedHistogram
from proxyless.governance.telemetry.series import Series

VALUES = [0, 0.2, 0.5, 0.6, 1, 4.9, 5, 9999, 10000, 3600000, 3600001, 1e12]


def make() -> tuple[Series, list[Series]]:
    dirty: list[Series] = []
    return Series(("a",), Lock(), dirty), dirty


def test_summed_observations_look_like_single_ones() -> None:
    registry = CollectorRegistry()
    plain = Histogram("plain", "one by one", buckets=BUCKETS, registry=registry)
    summed = SummedHistogram("summed", "at once", buckets=BUCKETS, registry=registry)
    series, _ = make()
    for each in VALUES:
        plain.observe(each)
        series.add(each, 0, 0)
    summed.add(series.take().duration)
    for suffix in ("_sum", "_count"):
        assert registry.get_sample_value(f"summed{suffix}") == registry.get_sample_value(f"plain{suffix}")
    for bound in (*map(str, BUCKETS), "+Inf"):
        expected = registry.get_sample_value("plain_bucket", {"le": bound})
        assert registry.get_sample_value("summed_bucket", {"le": bound}) == expected


def test_what_is_taken_is_not_there_any_more() -> None:
    series, dirty = make()
    series.add(3.0, 10, 20)
    series.add(5.0, 1, 2)
    first = series.take()
    assert (first.calls, first.duration.total, first.request.total, first.response.total) == (2, 8.0, 11, 22)
    assert dirty == [series]
    dirty.clear()
    assert series.take().calls == 0
    series.add(1.0, 0, 0)
    assert dirty == [series]


def test_nothing_is_lost_when_threads_add_while_another_takes() -> None:
    dirty: list[Series] = []
    lock = Lock()
    series = Series(("a",), lock, dirty)

    def add() -> None:
        for _ in range(5000):
            series.add(1.0, 1, 1)

    threads = [Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    total = 0
    while any(thread.is_alive() for thread in threads):
        with lock:
            total += sum(each.take().calls for each in dirty)
            dirty.clear()
    with lock:
        total += sum(each.take().calls for each in dirty)
    assert total == 20_000
