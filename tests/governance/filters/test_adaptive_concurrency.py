"""Adaptive concurrency: the filter, and the limit over time."""

from __future__ import annotations

import pytest

from proxyless.governance.filters.adaptive_concurrency import AdaptiveConcurrencyFilter
from proxyless.governance.filters.chain import FACTORIES
from proxyless.governance.filters.gradient import Gradient, Latencies
from proxyless.governance.replies import LocalReply
from proxyless.governance.request import RequestView
from proxyless.governance.runtime import Runtime
from proxyless.xds.model.filters import HttpFilter, InertFilter
from proxyless.xds.model.overload import AdaptiveConcurrency
from tests.support.streams import FakeStream, run
from tests.support.world import Clock

from .places import target


class Bench:
    """A controller with a clock of its own; no jitter unless asked for."""

    def __init__(self, **fields: float) -> None:
        self.clock = Clock()
        given: dict[str, float] = {"jitter": 0.0, "rtt_requests": 2, "min_limit": 4, "buffer": 0.0, **fields}
        self.config = AdaptiveConcurrency(1.0, 60.0, **given)  # type: ignore[arg-type]
        self.drawn: list[int] = []
        self.gradient = Gradient(self.config, self.clock, self._draw)

    def _draw(self, n: int) -> int:
        self.drawn.append(n)
        return n - 1

    def take(self, seconds: float, count: int = 1) -> None:
        """Requests one after the other."""
        for _ in range(count):
            started = self.gradient.enter()
            assert started is not None
            self.clock.advance(seconds)
            self.gradient.leave(started, whole=True)

    def window(self, seconds: float) -> int:
        """One request, and the limit of the next interval."""
        self.take(seconds)
        self.clock.advance(1.0)
        started = self.gradient.enter()
        if started is not None:
            self.gradient.leave(started, whole=False)
        return self.gradient.limit


def test_while_the_minimum_is_measured_only_the_least_goes_through() -> None:
    bench = Bench()
    started = [bench.gradient.enter() for _ in range(6)]
    assert [each is None for each in started] == [False] * 4 + [True] * 2
    bench.gradient.leave(bench.clock.now, whole=True)
    assert bench.gradient.enter() is not None


def test_the_limit_follows_the_gradient() -> None:
    bench = Bench()
    bench.take(0.1, 2)
    assert bench.gradient.limit == 4
    assert bench.window(0.1) == 6  # 4 * 1 + 2
    assert bench.window(0.01) == 15  # 6 * 2 + 3.46
    assert bench.window(0.2) == 10  # 15 / 2 + 2.7
    assert bench.window(10.0) == 7  # no less than a half: 5 + 2.2


def test_the_buffer_lets_the_limit_grow() -> None:
    bench = Bench(buffer=0.5)
    bench.take(0.1, 2)
    assert bench.window(0.1) == 8  # 4 * 1.5 + 2.4


def test_limits_have_limits() -> None:
    bench = Bench(max_limit=5)
    bench.take(0.1, 2)
    assert [bench.window(0.1), bench.window(9.0), bench.window(9.0)] == [5, 4, 4]


def test_windows_without_requests_change_nothing() -> None:
    bench = Bench()
    bench.take(0.1, 2)
    bench.clock.advance(30.5)
    started = bench.gradient.enter()
    assert started is not None
    assert bench.gradient.limit == 4
    bench.clock.advance(0.1)
    bench.gradient.leave(started, whole=True)
    bench.clock.advance(0.3)
    bench.gradient.enter()
    assert bench.gradient.limit == 4
    bench.clock.advance(0.2)
    bench.gradient.enter()
    assert bench.gradient.limit == 6


def test_the_minimum_is_measured_anew_after_the_interval_and_the_limit_comes_back() -> None:
    bench = Bench()
    bench.take(0.1, 2)
    assert bench.window(0.1) == 6
    late = bench.gradient.enter()
    assert late is not None
    bench.clock.advance(60.0)
    bench.take(0.2)
    assert bench.gradient.limit == 4
    bench.gradient.leave(late, whole=True)  # begun before: it does not count
    assert bench.gradient.limit == 4
    bench.take(0.2)
    assert bench.gradient.limit == 6
    assert bench.window(0.2) == 8  # measured against the new minimum: 6 * 1 + 2.4


@pytest.mark.parametrize(("jitter", "waits_s"), [(0.0, 60.0), (0.15, 68.999), (0.00001, 60.0)])
def test_jitter_puts_the_measurement_off(jitter: float, waits_s: float) -> None:
    bench = Bench(jitter=jitter, max_limit=9)
    bench.take(0.0, 2)
    assert bench.drawn == ([] if not jitter else [9000] if jitter == 0.15 else [1])
    assert bench.window(0.0) == 9  # nothing took time: twice the limit
    bench.clock.advance(waits_s - 1.0 - 0.0005)
    bench.gradient.enter()
    assert bench.gradient.limit == 9
    bench.clock.advance(0.001)
    bench.gradient.enter()
    assert bench.gradient.limit == 4


def test_five_windows_at_the_least_limit_are_followed_by_a_measurement() -> None:
    bench = Bench()
    bench.take(0.1, 2)
    for _ in range(5):
        assert bench.window(1.0) == 4
    bench.take(1.0, 2)  # the new minimum
    assert bench.window(1.0) == 6


def test_a_fixed_minimum_is_not_measured() -> None:
    bench = Bench(fixed_rtt_s=0.105)
    assert bench.window(0.1) == 6
    for _ in range(8):
        bench.window(1.0)
    assert bench.window(0.1) == 6
    bench.clock.advance(600.0)
    bench.gradient.enter()
    assert bench.gradient.limit == 6


def test_what_was_cut_off_frees_its_place_and_says_nothing() -> None:
    bench = Bench()
    for _ in range(9):
        started = bench.gradient.enter()
        assert started is not None
        bench.gradient.leave(started, whole=False)
    assert bench.window(0.1) == 4
    assert bench.gradient._deferred


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([0], 0.5, 0.0),
        ([7], 0.5, 7.05),
        ([7], 1.0, 7.1),
        ([7, 9], 0.0, 7.0),
        ([123_456], 0.5, 125_000.0),
        ([110, 120], 0.5, 120.0),
        ([110, 120, 130, 140], 0.9, 146.0),
        ([0, 0, 1000], 0.5, 0.0),
    ],
)
def test_quantiles_are_those_of_a_histogram_with_two_digits(values: list[int], share: float, expected: float) -> None:
    latencies = Latencies()
    for each in values:
        latencies.add(each)
    assert latencies.quantile(share) == pytest.approx(expected)


def stream(runtime: Runtime) -> FakeStream:
    return FakeStream(RequestView(b"GET", b"http", b"shop", b"/", ()), runtime=runtime)


def test_the_filter_answers_what_is_too_much_and_lets_go_at_the_end() -> None:
    clock = Clock()
    runtime = Runtime(clock=clock)
    config = AdaptiveConcurrency(1.0, 60.0, min_limit=1, rtt_requests=1, status=529)
    made = AdaptiveConcurrencyFilter("adaptive", config, "scope", runtime, on=True)
    first, second = stream(runtime), stream(runtime)
    assert run(made, first).reply is None
    assert run(made, second).reply == LocalReply(
        529, b"reached concurrency limit", (), details="reached_concurrency_limit"
    )
    made.on_end(second)
    first.cut = True
    made.on_end(first)
    made.on_end(first)
    assert run(made, second).reply is None
    assert made._gradient is not None
    assert made._gradient._deferred
    clock.advance(0.1)
    made.on_end(second)
    assert not made._gradient._deferred


def test_one_that_is_off_does_nothing() -> None:
    runtime = Runtime()
    off = AdaptiveConcurrency(1.0, 60.0, min_limit=1, enabled=False)
    for config in (None, off):
        made = AdaptiveConcurrencyFilter("adaptive", config, "scope", runtime, on=True)
        assert not made.applies(None)
        one = stream(runtime)
        assert [run(made, one).reply, run(made, one).reply] == [None, None]
        one.kept[made] = 1.0
        made.on_end(one)


def test_routes_switch_it_on_and_new_versions_go_on_where_the_last_was() -> None:
    runtime, config = Runtime(), AdaptiveConcurrency(1.0, 60.0)
    make = FACTORIES[AdaptiveConcurrency]
    on, off = (make(HttpFilter("adaptive", config), each, "a", runtime) for each in (config, None))
    assert isinstance(on, AdaptiveConcurrencyFilter)
    assert isinstance(off, AdaptiveConcurrencyFilter)
    assert on._gradient is off._gradient
    places = (None, target("a"), target("a", adaptive=InertFilter()))
    assert [on.applies(each) for each in places] == [True, True, True]
    assert [off.applies(each) for each in places] == [False, False, True]


def test_an_answer_of_the_meshs_own_is_whole() -> None:
    runtime = Runtime()
    config = AdaptiveConcurrency(1.0, 60.0, rtt_requests=1)
    made = AdaptiveConcurrencyFilter("adaptive", config, "scope", runtime, on=True)
    one = stream(runtime)
    assert run(made, one).reply is None
    one.cut, one.reply = True, LocalReply(503)
    made.on_end(one)
    assert made._gradient is not None
    assert not made._gradient._deferred
