"""Admission control: what counts, and how much is refused."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.filters.admission_control import AdmissionControlFilter, rejection
from proxyless.governance.filters.chain import FACTORIES
from proxyless.governance.replies import LocalReply
from proxyless.governance.request import RequestView
from proxyless.governance.runtime import Runtime
from proxyless.xds.model.filters import HttpFilter, InertFilter
from proxyless.xds.model.overload import AdmissionControl
from tests.support.streams import FakeStream, run
from tests.support.world import Clock, Draws

from .places import target

GRPC = ((b"content-type", b"application/grpc"),)


class Bench:
    """A filter, its clock, and requests through it."""

    def __init__(self, config: AdmissionControl | None, draw: float = 0.0, *, on: bool = True) -> None:
        self.clock = Clock()
        self.draws = Draws(*[draw] * 1000)
        self.runtime = Runtime(clock=self.clock, rng=self.draws)
        self.filter = AdmissionControlFilter("ac", config, "scope", self.runtime, on=on)

    def send(self, status: int = 200, headers: Any = (), request: Any = (), reply: LocalReply | None = None) -> int:
        """The status of a request whose response has this status, through the filter."""
        method = b"POST" if request else b"GET"
        stream = FakeStream(RequestView(method, b"http", b"shop", b"/", request), runtime=self.runtime)
        refused = run(self.filter, stream).reply
        if refused is not None:
            status, headers = refused.status, refused.headers
        given = list(headers)
        assert self.filter.on_response(stream, status, given) is given
        stream.reply = reply
        self.filter.on_end(stream)
        return status

    @property
    def counts(self) -> tuple[int, int]:
        window = self.filter._window
        assert window is not None
        return window.counts()


@pytest.mark.parametrize(
    ("fields", "requests", "successes", "share"),
    [
        ({}, 0, 0, 0.0),
        ({}, 100, 100, 0.0),
        ({}, 100, 95, 0.0),
        ({"success_threshold": 0.5}, 99, 0, 0.8),
        ({"success_threshold": 0.5, "max_rejection": 1.0}, 99, 0, 0.99),
        ({"success_threshold": 0.5}, 99, 25, 0.49),
        ({"success_threshold": 0.5, "aggression": 2.0}, 99, 25, 0.7),
        ({"success_threshold": 1.0}, 99, 90, 0.09),
    ],
)
def test_the_share_follows_the_success_rate(
    fields: dict[str, float], requests: int, successes: int, share: float
) -> None:
    assert rejection(AdmissionControl(**fields), requests, successes) == pytest.approx(share)  # type: ignore[arg-type]


def test_a_refusal_is_503_with_envoys_details_and_does_not_count() -> None:
    bench = Bench(AdmissionControl())
    assert bench.send(500) == 500
    stream = FakeStream(RequestView(b"GET", b"http", b"shop", b"/", ()), runtime=bench.runtime)
    reply = run(bench.filter, stream).reply
    assert reply == LocalReply(503, b"", (), details="denied_by_admission_control")
    bench.filter.on_response(stream, 503, [])
    bench.filter.on_end(stream)
    assert bench.counts == (1, 0)


def test_a_draw_above_the_share_goes_through() -> None:
    bench = Bench(AdmissionControl(success_threshold=0.5), draw=0.5)  # 1 of 1: the share is 1/2
    assert [bench.send(500), bench.send(500)] == [500, 500]
    assert bench.send(500) == 503  # 2 of 2: 2/3


def test_what_is_older_than_the_window_is_forgotten() -> None:
    bench = Bench(AdmissionControl(window_s=3), draw=0.99)
    for _ in range(4):
        bench.send(500)
        bench.clock.advance(0.5)
    assert bench.counts == (4, 0)
    bench.clock.advance(1.0)  # the first second of failures is three seconds old
    assert bench.counts == (2, 0)
    bench.clock.advance(1.0)
    assert bench.counts == (0, 0)


def test_below_so_many_requests_a_second_nothing_is_refused() -> None:
    bench = Bench(AdmissionControl(window_s=2, rps_threshold=2))
    assert [bench.send(500) for _ in range(5)] == [500, 500, 500, 500, 503]
    bench.clock.advance(3.9)  # nobody has looked: four in three seconds
    assert bench.send(500) == 500


@pytest.mark.parametrize(
    ("status", "headers", "counts"),
    [
        (200, (), (1, 1)),
        (499, (), (1, 1)),
        (500, (), (1, 0)),
        (200, (*GRPC, (b"grpc-status", b"0")), (1, 1)),
        (200, (*GRPC, (b"grpc-status", b"14")), (1, 0)),
        (200, (*GRPC, (b"grpc-status", b"x")), (1, 0)),
        (200, GRPC, (0, 0)),
        (503, GRPC, (1, 0)),
    ],
)
@pytest.mark.parametrize("request_headers", [(), GRPC])
def test_what_counts_as_a_success(status: int, headers: Any, counts: tuple[int, int], request_headers: Any) -> None:
    bench = Bench(AdmissionControl())
    bench.send(status, headers, request_headers)
    assert bench.counts == counts


def test_what_the_mesh_tells_a_grpc_client_counts_as_grpc() -> None:
    bench = Bench(AdmissionControl())
    bench.send(500, (), GRPC, LocalReply(200, headers=(*GRPC, (b"grpc-status", b"2"))))
    bench.send(400, (), GRPC, LocalReply(200, headers=(*GRPC, (b"grpc-status", b"13"))))
    assert bench.counts == (2, 1)


def test_criteria_of_its_own() -> None:
    bench = Bench(AdmissionControl(http_successes=((200, 300), (404, 405)), grpc_successes=(5,)), draw=0.9999)
    for status in (200, 299, 300, 404, 405):
        bench.send(status)
    bench.send(200, (*GRPC, (b"grpc-status", b"5")))
    bench.send(200, (*GRPC, (b"grpc-status", b"0")))
    assert bench.counts == (7, 4)


@pytest.mark.parametrize("config", [None, AdmissionControl(enabled=False)])
def test_one_that_is_off_does_nothing(config: AdmissionControl | None) -> None:
    bench = Bench(config)
    assert not bench.filter.applies(None)
    assert [bench.send(500), bench.send(500)] == [500, 500]
    bench = Bench(AdmissionControl())
    stream = FakeStream(RequestView(b"GET", b"http", b"shop", b"/", ()), runtime=bench.runtime, kept={})
    off = Bench(config).filter
    stream.kept[off] = True
    off.on_end(stream)
    assert stream.kept == {}


def test_routes_switch_it_on() -> None:
    off = Bench(AdmissionControl(), on=False).filter
    assert [off.applies(None), off.applies(target("a")), off.applies(target("a", ac=InertFilter()))] == [
        False,
        False,
        True,
    ]
    assert Bench(AdmissionControl()).filter.applies(None)


def test_a_new_version_of_the_chain_goes_on_where_the_last_was() -> None:
    runtime, config = Runtime(), AdmissionControl()
    made = [
        FACTORIES[AdmissionControl](HttpFilter("ac", config), each, scope, runtime)
        for each, scope in ((config, "a"), (None, "a"), (config, "b"))
    ]
    windows = [each._window for each in made]  # type: ignore[attr-defined]
    assert windows[0] is windows[1] is not windows[2]
    assert [each._on for each in made] == [True, False, True]  # type: ignore[attr-defined]
    other = FACTORIES[AdmissionControl](HttpFilter("ac", InertFilter()), None, "a", runtime)
    assert not other.applies(None)  # type: ignore[attr-defined]
    runtime.reset()
    assert FACTORIES[AdmissionControl](HttpFilter("ac", config), config, "a", runtime)._window is not windows[0]  # type: ignore[attr-defined]
