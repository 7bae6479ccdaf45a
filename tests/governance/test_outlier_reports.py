"""What calls tell outlier detection of the hosts they went to, and that the state of hosts outlives a configuration."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.actions import AwaitSlot, BodyEnd, Deliver, Failure, Head
from proxyless.governance.events import Ejected, Unejected
from proxyless.governance.outliers.monitor import HostMonitor
from proxyless.xds.model.cluster import OutlierDetection, Thresholds
from proxyless.xds.model.route import BackOff, RetryPolicy
from tests.support.model import CLUSTER, cluster, resource, route, table
from tests.support.world import Answer, World

ONE = OutlierDetection(max_ejection_percent=100, consecutive_5xx=1, base_ejection_time_s=1.0, interval_s=1.0)
SPLIT = OutlierDetection(max_ejection_percent=100, split_external_local_origin_errors=True)
AGAIN = RetryPolicy(("5xx", "connect-failure"), 2, back_off=BackOff(0.0, 0.0), per_try_timeout_s=1.0)


def world(config: OutlierDetection | None, *, retry: RetryPolicy | None = None, **fields: Any) -> World:
    return World(
        tables=[table(route("/", "a", retry=retry, timeout_s=6.0))],
        clusters=[cluster("a", "10.0.0.1:80", outlier_detection=config, **fields)],
    )


def monitor(one: World) -> HostMonitor:
    found = one.cluster().hosts[0].state.monitor
    assert found is not None
    return found


def counted(one: World) -> tuple[tuple[int, int], tuple[int, int]]:
    """(good, all) of external and of local origin."""
    seen = monitor(one)
    return (seen.external.good, seen.external.total), (seen.local.good, seen.local.total)


def grpc(*headers: tuple[bytes, bytes]) -> Head:
    return Head(200, list(headers), None)


@pytest.mark.parametrize(
    ("answer", "together", "split"),
    [
        (200, ((1, 1), (0, 0)), ((1, 1), (1, 1))),
        (404, ((1, 1), (0, 0)), ((1, 1), (1, 1))),
        (500, ((0, 1), (0, 0)), ((0, 1), (1, 1))),
        ("reset", ((0, 1), (0, 0)), ((0, 0), (1, 2))),
        ("remote-reset", ((0, 1), (0, 0)), ((0, 0), (1, 2))),
        ("timeout", ((0, 1), (0, 0)), ((0, 0), (1, 2))),
    ],
)
def test_what_came_of_a_request_is_reported(answer: Answer, together: object, split: object) -> None:
    one, other = world(OutlierDetection()), world(SPLIT)
    for each in (one, other):
        each.call(answers=[answer])
    assert (counted(one), counted(other)) == (together, split)


@pytest.mark.parametrize("kind", ["connect-failure", "connect-timeout"])
def test_a_connection_that_cannot_be_made_is_a_failure_for_everybody_who_waited_for_it(kind: str) -> None:
    one = world(SPLIT, limits=Thresholds(1))
    first, second = one.steps(), one.steps()
    second.wants(AwaitSlot)
    first.answer(Failure(kind, "refused"))
    second.answer(True)
    assert counted(one) == ((0, 0), (0, 2))


def test_without_split_it_is_a_server_error() -> None:
    one = world(OutlierDetection())
    one.steps().answer(Failure("connect-failure", "refused"))
    assert counted(one) == ((0, 1), (0, 0))


@pytest.mark.parametrize("limits", [Thresholds(max_pending_requests=0), Thresholds(max_requests=0)])
def test_an_overflow_says_nothing_of_a_host(limits: Thresholds) -> None:
    one = world(OutlierDetection(), limits=limits)
    one.call(answers=[])
    assert counted(one) == ((0, 0), (0, 0))


def test_the_routes_timeout_before_there_is_a_connection_says_nothing_of_a_host() -> None:
    one = world(OutlierDetection(), connect_timeout_s=9.0)
    steps = one.steps()
    one.clock.advance(6.0)
    steps.answer(Failure("connect-timeout", "late"))
    assert (steps.status, counted(one)) == (504, ((0, 0), (0, 0)))


@pytest.mark.parametrize(
    ("end", "local"),
    [
        (BodyEnd(True), (1, 1)),
        (BodyEnd(False), (1, 2)),
        (BodyEnd(False, kind="reset"), (1, 2)),
        (BodyEnd(False, kind="remote-reset"), (1, 2)),
        (BodyEnd(False, kind="timeout"), (1, 1)),
        (BodyEnd(False, kind="caller"), (1, 1)),
    ],
)
def test_a_response_that_the_host_cuts_is_a_failure_beside_its_status(end: BodyEnd, local: tuple[int, int]) -> None:
    one = world(SPLIT)
    steps = one.steps()
    steps.until(Deliver, answers=[200])
    steps.answer(end)
    assert counted(one) == ((1, 1), local)


def test_a_caller_that_goes_away_says_nothing_of_a_host() -> None:
    one = world(SPLIT)
    steps = one.steps()
    steps.until(Deliver, answers=[200])
    steps.close()
    assert counted(one) == ((1, 1), (1, 1))


@pytest.mark.parametrize(
    ("head", "good"),
    [
        (grpc(), True),
        (grpc((b"grpc-status", b"0")), True),
        (grpc((b"Grpc-Status", b"14")), False),
        (grpc((b"grpc-status", b"5")), True),
        (Head(503, [(b"grpc-status", b"0")], None), True),
        (Head(503, [], None), False),
    ],
)
def test_the_status_in_the_headers_of_a_grpc_response_counts_instead_of_the_http_status(head: Head, good: bool) -> None:
    one = world(OutlierDetection())
    one.call(answers=[head], method="POST", headers=[("content-type", "application/grpc")])
    assert counted(one)[0] == (int(good), 1)


def test_others_may_have_such_a_header() -> None:
    one = world(OutlierDetection())
    one.call(answers=[grpc((b"grpc-status", b"14"))])
    assert counted(one)[0] == (1, 1)


@pytest.mark.parametrize("heard", [True, False])
def test_a_host_that_calls_itself_degraded_is_heard_where_the_cluster_wants_that(heard: bool) -> None:
    one = world(OutlierDetection(detect_degraded_hosts=heard))
    one.call(answers=[Head(200, [(b"X-Envoy-Degraded", b"")], None)])
    assert (one.cluster().hosts[0].state.self_degraded, counted(one)[0]) == (heard, (1, 1))


def test_every_try_is_reported() -> None:
    one = world(OutlierDetection(), retry=AGAIN)
    one.call(answers=[503, "timeout", 200])
    assert counted(one)[0] == (1, 3)
    steps = one.call(answers=[503, 503, 503])
    assert steps.flags == "URX"
    assert counted(one)[0] == (1, 6)


def test_a_host_is_ejected_told_of_and_back() -> None:
    one = world(ONE)
    version = one.cluster().state.health_version
    one.call(answers=[500])
    (host,) = one.cluster().hosts
    assert (host.coarse_health, one.cluster().state.health_version) == ("unhealthy", version + 1)
    one.clock.advance(1.0)
    one.call(answers=[200])
    assert (host.coarse_health, one.cluster().state.health_version) == ("healthy", version + 2)
    assert one.heard.events == [
        Ejected("a", "10.0.0.1:80", "CONSECUTIVE_5XX", True, 1, 1.0),
        Unejected("a", "10.0.0.1:80", 1, 1.0),
    ]


def test_without_calls_the_meshs_tick_brings_it_back() -> None:
    one = world(ONE)
    one.runtime.tick()
    one.call(answers=[500])
    one.clock.advance(0.9)
    one.runtime.tick()
    assert one.cluster().hosts[0].state.ejected
    one.clock.advance(0.1)
    one.runtime.tick()
    assert not one.cluster().hosts[0].state.ejected


def update(one: World, config: OutlierDetection | None, *addresses: str, **fields: Any) -> None:
    made = cluster("a", *addresses, outlier_detection=config, **fields)
    one.update(clusters={"a": resource(CLUSTER, "a", made)})


def test_an_ejection_outlives_a_configuration() -> None:
    one = world(ONE)
    one.call(answers=[500])
    update(one, ONE, "10.0.0.1:80", "10.0.0.2:80", connect_timeout_s=1.0)
    assert [each.state.ejected for each in one.cluster().hosts] == [True, False]
    update(one, ONE, "10.0.0.2:80")
    one.cluster()
    update(one, ONE, "10.0.0.1:80", "10.0.0.2:80")
    assert [each.state.ejected for each in one.cluster().hosts] == [False, False]


@pytest.mark.parametrize("fields", [{"config": None}, {"config": ONE, "type": "ORIGINAL_DST"}])
def test_a_cluster_that_loses_its_outlier_detection_has_all_its_hosts(fields: dict[str, Any]) -> None:
    one = world(ONE)
    one.call(answers=[500])
    state = one.cluster().hosts[0].state
    update(one, fields.pop("config"), "10.0.0.1:80", **fields)
    one.cluster()
    one.runtime.tick()
    assert (state.ejected, state.monitor) == (False, None)
    update(one, ONE, "10.0.0.1:80")
    one.call(answers=[500])
    assert one.cluster().hosts[0].state.ejected


def test_a_plan_that_is_no_longer_in_force_changes_nothing() -> None:
    one = world(ONE)
    old = one.runtime.plan
    update(one, ONE, "10.0.0.2:80")
    one.cluster()
    old.clusters.clear()
    assert old.cluster("a") is not None
    detector = one.cluster().state.detector
    assert detector is not None
    assert list(detector.monitors) == ["10.0.0.2:80"]
