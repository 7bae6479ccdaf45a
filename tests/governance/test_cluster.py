"""A cluster in force, and what of it outlives its configuration."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance import cluster as module
from proxyless.governance.balancing.context import PickContext
from proxyless.governance.balancing.setting import Setting
from proxyless.governance.cluster import ClusterRuntime, ClusterState
from proxyless.governance.pool import Connect, Slot
from proxyless.xds.model.cluster import (
    Cluster,
    HttpProtocol,
    LbConfig,
    Thresholds,
    TransportSocket,
    TransportSocketMatch,
)
from proxyless.xds.model.endpoint import LocalityLbEndpoints
from proxyless.xds.model.tls import UpstreamTls
from proxyless.xds.model.values import Locality
from tests.support.model import assignment, cluster, host
from tests.support.world import FakeConnection

ADDRESSES = ("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")


def running(config: Cluster, state: ClusterState | None = None, start: int = 0) -> ClusterRuntime:
    state = state if state is not None else ClusterState(config.name, config)
    return ClusterRuntime(config, config.load_assignment, state, Setting(lambda n: start))


def test_endpoints_come_in_configured_order_with_locality_and_priority() -> None:
    where = Locality("r", "z")
    config = cluster("a", ADDRESSES[0], LocalityLbEndpoints((host(ADDRESSES[1]), host(ADDRESSES[2])), where, 1))
    found = running(config)
    assert [(each.address, each.locality, each.priority) for each in found.hosts] == [
        (ADDRESSES[0], Locality(), 0),
        (ADDRESSES[1], where, 1),
        (ADDRESSES[2], where, 1),
    ]
    assert [[each.address for each in hosts.hosts] for hosts in found.host_sets] == [[ADDRESSES[0]], [*ADDRESSES[1:]]]


def test_a_cluster_without_an_assignment_has_no_endpoint() -> None:
    config = Cluster("a")
    found = ClusterRuntime(config, None, ClusterState("a", config), Setting(lambda n: 0))
    assert (found.hosts, found.pick(PickContext()), found.choose()) == ((), None, None)


def test_what_is_remembered_of_an_address_survives_a_new_configuration() -> None:
    first = running(cluster("a", *ADDRESSES[:2]))
    first.hosts[1].state.active = 7
    second = running(cluster("a", *ADDRESSES[1:]), first.state)
    assert second.hosts[0].state is first.hosts[1].state
    assert [each.state.active for each in second.hosts] == [7, 0]


def test_new_thresholds_hold_for_the_counts_that_are_there() -> None:
    first = running(cluster("a", ADDRESSES[0]))
    breaker = first.breaker(high_priority=False)
    breaker.requests = 5
    second = running(cluster("a", ADDRESSES[0], limits=Thresholds(max_requests=5)), first.state)
    assert second.breaker(high_priority=False) is breaker
    assert (breaker.requests, breaker.limits.max_requests) == (5, 5)


def test_the_two_priorities_of_routes_count_apart() -> None:
    found = running(cluster("a", limits=Thresholds(1), high_thresholds=Thresholds(2)))
    normal, high = found.breaker(high_priority=False), found.breaker(high_priority=True)
    assert (normal.limits.max_connections, high.limits.max_connections) == (1, 2)
    assert normal is not high


# What a transport socket match says wins over the cluster's own socket.

OWN = TransportSocket("own")
TLS = TransportSocket("tls", UpstreamTls())
ANY = TransportSocket("any")


def labelled(**labels: Any) -> Any:
    return host(ADDRESSES[0], metadata={"envoy.transport_socket_match": labels} if labels else {})


@pytest.mark.parametrize(
    ("labels", "socket"),
    [
        ({"tlsMode": "istio"}, TLS),
        ({"tlsMode": "istio", "more": "x"}, TLS),
        ({"tlsMode": "disabled"}, ANY),
        ({}, ANY),
    ],
)
def test_the_first_match_of_an_endpoints_labels_selects_its_socket(labels: dict[str, str], socket: object) -> None:
    matches = (TransportSocketMatch("tls", {"tlsMode": "istio"}, TLS), TransportSocketMatch("any", {}, ANY))
    config = cluster("a", labelled(**labels), transport_socket=OWN, transport_socket_matches=matches)
    assert running(config).hosts[0].socket is socket


def test_without_a_match_an_endpoint_has_the_clusters_socket() -> None:
    matches = (TransportSocketMatch("tls", {"tlsMode": "istio", "other": "y"}, TLS),)
    config = cluster("a", labelled(tlsMode="istio"), transport_socket=OWN, transport_socket_matches=matches)
    assert running(config).hosts[0].socket is OWN


@pytest.mark.parametrize(
    ("avoid", "attempts", "chosen"),
    [
        ([], 5, 1),
        ([0], 1, 2),
        ([0, 1], 1, 2),
        ([0, 1], 2, 3),
        ([0, 1, 2], 5, 3),
        ([0, 1, 2], 3, 1),
        ([2], 5, 1),
    ],
)
def test_a_host_to_avoid_is_drawn_anew_so_often_and_then_taken_all_the_same(
    avoid: list[int], attempts: int, chosen: int
) -> None:
    found = running(cluster("a", *ADDRESSES)).choose(
        PickContext(rejects=lambda host: ADDRESSES.index(host.address) in avoid, attempts=attempts)
    )
    assert found is not None
    assert found.address == ADDRESSES[chosen - 1]


def test_nothing_to_choose_from_is_nothing_however_often() -> None:
    config = cluster("a", host(ADDRESSES[0], health="UNHEALTHY"), lb=LbConfig(panic_threshold=0))
    assert running(config).choose(PickContext(rejects=lambda host: True, attempts=5)) is None


def test_a_pool_belongs_to_an_endpoint_an_owner_and_a_priority() -> None:
    found = running(cluster("a", *ADDRESSES[:2]))
    one, two = found.hosts
    pools = [
        found.pool(one, "x", False),
        found.pool(one, "y", False),
        found.pool(one, "x", True),
        found.pool(two, "x", False),
    ]
    assert len({id(each) for each in pools}) == 4
    assert found.pool(one, "x", False) is pools[0]
    assert pools[2].breaker is found.breaker(high_priority=True)


def test_a_pool_takes_over_what_a_new_configuration_says_of_connections() -> None:
    first = running(cluster("a", ADDRESSES[0]))
    pool = first.pool(first.hosts[0], "x", False)
    assert isinstance(pool.lease(0.0), Connect)
    slot = pool.connected(FakeConnection(), 0.0)
    assert isinstance(slot, Slot)
    second = running(cluster("a", ADDRESSES[0], http=HttpProtocol("http2", 1.0, None, 9, 4)), first.state)
    assert second.pool(second.hosts[0], "x", False) is pool
    assert (pool.idle_timeout_s, pool.max_requests, pool.streams) == (1.0, 9, 4)
    pool.release(slot, 0.0)
    assert isinstance(pool.lease(5.0), Connect)


def test_an_original_dst_cluster_makes_its_endpoints_as_they_are_dialled() -> None:
    found = running(Cluster("a", type="ORIGINAL_DST", transport_socket=OWN))
    one = found.dialled("10.9.9.9", 443)
    assert (one.address, one.port, one.socket) == ("10.9.9.9:443", 443, OWN)
    assert found.dialled("10.9.9.9", 443).state is one.state


def test_addresses_that_nobody_uses_any_more_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DYNAMIC_HOSTS", 3)
    found = running(Cluster("a", type="ORIGINAL_DST"))
    busy, pooled = found.dialled("10.0.0.1", 1), found.dialled("10.0.0.2", 1)
    busy.state.active = 1
    found.pool(pooled, "x", False)
    for last in range(3, 7):
        found.dialled(f"10.0.0.{last}", 1)
    assert {"10.0.0.1:1", "10.0.0.2:1", "10.0.0.6:1"} <= set(found.state.hosts)
    assert len(found.state.hosts) <= 5


def test_an_endpoint_that_comes_twice_has_one_memory() -> None:
    config = Cluster("a", load_assignment=assignment("a", ADDRESSES[0], ADDRESSES[0]))
    one, two = running(config).hosts
    assert one.state is two.state


def test_a_change_of_health_is_counted() -> None:
    state = ClusterState("a", cluster("a"))
    state.health_changed()
    assert state.health_version == 1


# What is known of a host's health counts at the next choice.


def test_an_ejected_host_is_not_chosen_until_it_is_back() -> None:
    found = running(cluster("a", *ADDRESSES[:2], lb=LbConfig(panic_threshold=0)))
    before = found.pick
    found.hosts[0].state.ejected = True
    assert found.choose() is found.hosts[0]  # nobody has said so yet
    found.state.health_changed()
    assert [found.choose() for _ in range(3)] == [found.hosts[1]] * 3
    assert found.pick is not before
    found.hosts[0].state.ejected = False
    found.state.health_changed()
    assert {found.choose() for _ in range(4)} == set(found.hosts)


def test_priorities_that_a_change_does_not_touch_are_kept() -> None:
    second = LocalityLbEndpoints((host(ADDRESSES[1]),), priority=1)
    found = running(cluster("a", ADDRESSES[0], second))
    before = found.host_sets
    found.hosts[1].state.failing = True
    found.state.health_changed()
    now = found.look_again()
    assert now[0] is before[0]
    assert now[1] is not before[1]
    assert found.look_again() is now


def test_turns_go_on_when_endpoints_change_and_begin_anew_with_the_cluster() -> None:
    config = cluster("a", *ADDRESSES)
    state = ClusterState("a", config)
    setting = Setting(lambda n: 0)
    first = ClusterRuntime(config, config.load_assignment, state, setting)
    assert first.choose() is first.hosts[0]
    second = ClusterRuntime(config, assignment("a", *ADDRESSES), state, setting)
    assert second.choose() is second.hosts[1]
    other = cluster("a", *ADDRESSES)
    third = ClusterRuntime(other, other.load_assignment, state, setting)
    assert third.choose() is third.hosts[0]


def assigned(state: ClusterState, config: Cluster, *endpoints: Any) -> ClusterRuntime:
    return ClusterRuntime(config, assignment("a", *endpoints), state, Setting(lambda n: 0))


def test_hosts_of_endpoints_that_say_the_same_are_kept_wherever_they_stand() -> None:
    config = cluster("a", *ADDRESSES)
    state = ClusterState("a", config)
    one, two, three = assigned(state, config, *ADDRESSES).hosts
    assert assigned(state, config, *ADDRESSES).hosts == (one, two, three)
    assert assigned(state, config, ADDRESSES[2], ADDRESSES[0]).hosts == (three, one)
    heavy = assigned(state, config, ADDRESSES[2], host(ADDRESSES[0], weight=3)).hosts[1]
    assert heavy is not one
    assert heavy.state is one.state
    elsewhere = LocalityLbEndpoints((host(ADDRESSES[2]),), Locality("r"))
    assert assigned(state, config, elsewhere).hosts[0] is not three
    lower = LocalityLbEndpoints((host(ADDRESSES[2]),), Locality("r"), 1)
    assert assigned(state, config, lower).hosts[0].priority == 1
    # Another configuration may speak to it in another way.
    other = cluster("a", *ADDRESSES)
    assert assigned(state, other, *ADDRESSES).hosts[1] is not two


def test_a_host_that_went_and_came_back_begins_anew() -> None:
    config = cluster("a", *ADDRESSES)
    state = ClusterState("a", config)
    one, two, _ = assigned(state, config, *ADDRESSES).hosts
    one.state.healthy_since = two.state.healthy_since = 5.0
    one.state.active = 1
    assigned(state, config, host(ADDRESSES[1], weight=2))
    back, changed = assigned(state, config, ADDRESSES[0], host(ADDRESSES[1], weight=3)).hosts
    assert (back.state.healthy_since, changed.state.healthy_since) == (None, 5.0)
    assert back.state.active == 1
