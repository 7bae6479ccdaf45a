"""Connections that are only passed on: how many a cluster has, whatever becomes of them."""

from __future__ import annotations

import gc

from proxyless.governance.balancing.setting import Setting
from proxyless.governance.cluster import ClusterRuntime, ClusterState
from proxyless.governance.tcp import TcpConnection, choose, connect
from proxyless.xds.model.cluster import Cluster, LbConfig, OutlierDetection, Thresholds
from tests.support.model import cluster
from tests.support.world import World


def running(most: int) -> ClusterRuntime:
    config: Cluster = cluster("db", "10.0.0.1:5432", "10.0.0.2:5432", limits=Thresholds(most))
    return ClusterRuntime(config, config.load_assignment, ClusterState("db", config), Setting(lambda n: 0))


def opened(found: ClusterRuntime, host: int = 0) -> TcpConnection:
    made = connect(found, found.hosts[host])
    assert made is not None
    return made


def counts(found: ClusterRuntime) -> tuple[int, int]:
    breaker = found.breaker(False)
    return breaker.connections, breaker.overflows["connections"]


def test_above_the_threshold_a_connection_is_refused_even_to_an_endpoint_that_has_none() -> None:
    found = running(2)
    held = [opened(found), opened(found)]
    assert connect(found, found.hosts[1]) is None
    assert counts(found) == (2, 1)
    held[0].end()
    assert isinstance(connect(found, found.hosts[1]), TcpConnection)


def test_a_connection_is_a_request_to_its_endpoint_as_long_as_it_lasts() -> None:
    found = running(10)
    made = opened(found, 1)
    assert [each.state.active for each in found.hosts] == [0, 1]
    made.end()
    made.end()
    assert [each.state.active for each in found.hosts] == [0, 0]
    assert counts(found) == (0, 0)


def test_one_that_nobody_has_any_more_gives_its_place_to_the_next() -> None:
    found = running(1)
    opened(found)
    gc.collect()
    made = connect(found, found.hosts[1])
    assert made is not None
    assert counts(found) == (1, 0)
    assert [each.state.active for each in found.hosts] == [0, 1]


def test_outlier_detection_hears_whether_a_connection_could_be_made() -> None:
    detection = OutlierDetection(max_ejection_percent=100, consecutive_5xx=2, interval_s=1.0, base_ejection_time_s=1.0)
    one = World(clusters=[cluster("a", "10.0.0.1:80", outlier_detection=detection, lb=LbConfig(panic_threshold=0.0))])
    found = one.cluster()
    for result in ("connect-failed", "connected-finally", "timeout", "connect-failed"):
        host = choose(found)
        assert host is not None
        held = connect(found, host)
        assert held is not None
        held.report(result)
        held.end()
    assert choose(found) is None
    one.clock.advance(1.0)
    assert choose(found) is not None


def test_without_outlier_detection_nobody_hears() -> None:
    found = World(clusters=[cluster("a", "10.0.0.1:80")]).cluster()
    host = choose(found)
    assert host is not None
    held = connect(found, host)
    assert held is not None
    held.report("timeout")
    assert choose(found) is host
