"""docs/envoy-facts.md, "Thresholds": ten parallel calls of 0.3 s, and what becomes of each."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from proxyless.governance.actions import Failure, Head, Send
from proxyless.xds.model.cluster import HttpProtocol, Thresholds
from proxyless.xds.model.route import BackOff, RetryPolicy
from tests.support.model import cluster, route, table
from tests.support.simulation import Result, Served, Simulation
from tests.support.world import World

ADDRESSES = [f"10.0.0.{last}:80" for last in range(1, 4)]
ONE_AFTER_ANOTHER = [round(0.3 * turn, 1) for turn in range(1, 11)]


def world(endpoints: int = 1, policy: RetryPolicy | None = None, high: bool = False, **limits: Any) -> World:
    http2 = limits.pop("http2", False)
    thresholds = Thresholds(**limits)
    one = cluster(
        "a",
        *ADDRESSES[:endpoints],
        limits=Thresholds() if high else thresholds,
        high_thresholds=thresholds if high else Thresholds(),
        http2=http2,
    )
    return World(tables=[table(route("/", "a", retry=policy, timeout_s=None, high_priority=high))], clusters=[one])


def outcome(results: list[Result]) -> tuple[list[float], int]:
    """(when each 200 came, how many overflowed, all of them at once)."""
    over = [each for each in results if each.status != 200]
    assert all((each.status, each.flags, each.took_s) == (503, "UO", 0.0) for each in over)
    return sorted(each.took_s for each in results if each.status == 200), len(over)


TABLE = [
    ("max_connections 2, max_pending 3", 1, {"max_connections": 2, "max_pending_requests": 3},
     [0.3, 0.3, 0.6, 0.6, 0.9], 5),
    ("the same with three endpoints", 3, {"max_connections": 2, "max_pending_requests": 3},
     [0.3, 0.3, 0.3, 0.6, 0.6, 0.6], 4),
    ("max_connections 1", 1, {"max_connections": 1}, ONE_AFTER_ANOTHER, 0),
    ("max_connections 0", 1, {"max_connections": 0}, ONE_AFTER_ANOTHER, 0),
    ("max_connections 1, three endpoints", 3, {"max_connections": 1}, [0.3] * 3 + [0.6] * 3 + [0.9] * 3 + [1.2], 0),
    ("max_pending 0", 1, {"max_pending_requests": 0}, [], 10),
    ("max_requests 3", 1, {"max_requests": 3}, [0.3] * 3, 7),
    ("max_requests 0", 1, {"max_requests": 0}, [], 10),
    ("max_requests 3, HTTP/2", 1, {"max_requests": 3, "http2": True}, [0.3] * 3, 7),
    ("max_requests 0, HTTP/2", 1, {"max_requests": 0, "http2": True}, [], 10),
    ("HTTP/2, max_connections 1, max_pending 3", 1,
     {"max_connections": 1, "max_pending_requests": 3, "http2": True}, [0.3] * 10, 0),
    ("HTTP/2, max_connections 2, max_pending 1", 1,
     {"max_connections": 2, "max_pending_requests": 1, "http2": True}, [0.3] * 10, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("endpoints", "limits", "answered", "over"), [pytest.param(*row[1:], id=row[0]) for row in TABLE]
)
def test_ten_parallel_calls_end_as_under_envoy(
    endpoints: int, limits: dict[str, Any], answered: list[float], over: int
) -> None:
    fixture = world(endpoints, **limits)
    simulation = Simulation(fixture)
    took, overflowed = outcome(simulation.run(10))
    assert took == pytest.approx(answered, abs=0.02)
    assert overflowed == over
    assert fixture.counts()[1:] == (0, 0, 0)
    if limits.get("http2"):
        assert simulation.opened.total() == 1
    elif endpoints == 3:
        assert simulation.opened == dict.fromkeys(ADDRESSES, 1)


def test_a_request_that_waits_for_its_connection_to_open_is_pending() -> None:
    # Of two that come while a connection opens, one overflows.
    simulation = Simulation(world(max_pending_requests=1), connect_s=0.0015)
    assert [each.status for each in simulation.run(10)] == [200, 503] * 5


def test_idle_connections_are_taken_and_one_more_at_a_time_is_made() -> None:
    fixture = world(max_pending_requests=1)
    Simulation(fixture).run(4)
    simulation = Simulation(fixture, connect_s=1.0)
    assert [each.status for each in simulation.run(10)] == [200] * 5 + [503] * 5
    assert simulation.opened.total() == 1


@pytest.mark.parametrize("pending", [1, 3])
def test_what_arrives_before_an_http2_connection_is_open_is_pending(pending: int) -> None:
    simulation = Simulation(world(max_pending_requests=pending, http2=True), connect_s=1.0)
    assert [each.status for each in simulation.run(10)] == [200] * pending + [503] * (10 - pending)
    assert [each.status for each in simulation.run(10)] == [200] * 10
    assert simulation.opened.total() == 1


def test_an_idle_connection_needs_no_pending_place() -> None:
    fixture = world()
    Simulation(fixture).run(4)
    fixture.breaker().limits = Thresholds(max_pending_requests=0)
    assert outcome(Simulation(fixture).run(10)) == ([0.3] * 4, 6)


def test_a_waiting_request_is_bound_to_the_endpoint_it_was_picked_for() -> None:
    def one_is_slow(send: Send) -> Served:
        return (10.0 if send.host.address == ADDRESSES[0] else 0.1), Head(200, [], None)

    results = Simulation(world(2, max_connections=1), serve=one_is_slow).run(4)
    slow = sorted(each.took_s for each in results if each.host == ADDRESSES[0])
    fast = sorted(each.took_s for each in results if each.host == ADDRESSES[1])
    assert slow == pytest.approx([10.0, 20.0], abs=0.02)
    assert fast == pytest.approx([0.1, 0.2], abs=0.02)


def test_a_high_priority_route_has_thresholds_of_its_own() -> None:
    assert outcome(Simulation(world(high=True, max_requests=3)).run(10)) == ([0.3] * 3, 7)


def test_a_connection_is_in_use_until_the_body_has_ended() -> None:
    simulation = Simulation(world(max_connections=1), body_s=0.7)
    assert [each.took_s for each in simulation.run(3, every_s=0.0)] == [1.0, 2.0, 3.0]


def test_a_connection_is_replaced_after_its_last_request() -> None:
    one = cluster("a", ADDRESSES[0], http=HttpProtocol(max_requests_per_connection=2), limits=Thresholds(1))
    simulation = Simulation(World(tables=[table(route(timeout_s=None))], clusters=[one]))
    assert [each.status for each in simulation.run(5)] == [200] * 5
    assert simulation.opened.total() == 3


def test_no_more_retries_than_the_threshold_are_under_way_and_other_failures_pass() -> None:
    policy = RetryPolicy(("5xx",), num_retries=1, back_off=BackOff(0.001, 0.001))
    one = cluster("a", *ADDRESSES, limits=Thresholds(max_retries=3))
    fixture = World(tables=[table(route("/", "a", retry=policy, timeout_s=10.0))], clusters=[one])

    def serve(send: Send) -> Served:
        (left,) = [value for name, value in send.headers if name == b"x-envoy-expected-rq-timeout-ms"]
        again = int(left) < 10_000
        return (1.0 if again else 0.1), Head(200 if again else 503, [], None)

    results = Simulation(fixture, serve=serve).run(10)
    assert Counter((each.status, each.flags) for each in results) == {(200, "-"): 3, (503, "UO"): 7}
    assert fixture.counts()[1:] == (0, 0, 0)
    assert fixture.breaker().overflows["retries"] == 7


def test_an_overflow_never_touches_an_endpoint_and_says_so_in_a_header() -> None:
    steps = world(max_requests=0).call(answers=[])
    assert steps.reply is not None
    assert steps.hosts == []
    assert (b"x-envoy-overloaded", b"true") in steps.reply.headers
    assert steps.reply.body.endswith(b"reset reason: overflow")


def test_an_overflow_is_never_retried() -> None:
    everything = ("5xx", "reset", "connect-failure", "retriable-status-codes")
    policy = RetryPolicy(everything, 3, retriable_status_codes=(503,))
    steps = world(policy=policy, max_pending_requests=0).call(answers=[])
    assert (steps.call.attempts, steps.flags) == (1, "UO")


def test_a_connection_that_cannot_be_made_fails_all_that_wait_for_it_and_leaves_no_count() -> None:
    fixture = world(max_connections=1)
    calls = [fixture.steps() for _ in range(3)]
    calls[0].answer(Failure("connect-failure", "refused"))
    for each in calls[1:]:
        each.answer(True)
    assert [(each.status, each.flags) for each in calls] == [(503, "UF")] * 3
    assert fixture.counts() == (0, 0, 0, 0)
