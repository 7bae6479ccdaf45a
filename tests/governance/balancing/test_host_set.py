"""The hosts of one priority, by health and by locality."""

from __future__ import annotations

from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.balancing.host_set import HostSet, host_sets
from proxyless.xds.model.endpoint import ClusterLoadAssignment, LocalityLbEndpoints
from proxyless.xds.model.values import Locality
from tests.governance.balancing.cases import hosts, number, sets
from tests.support.model import host


def names(found: tuple[Host, ...]) -> str:
    return " ".join(number(each) for each in found)


def test_hosts_are_sorted_by_health_in_their_order() -> None:
    [found] = sets("hukgtdxgh")
    assert (names(found.healthy), names(found.degraded), names(found.excluded)) == ("1 3 9", "4 8", "6 7")


def test_while_all_are_well_nothing_is_copied() -> None:
    [found] = sets("hkh")
    assert found.healthy is found.hosts
    assert found.degraded == found.excluded == ()


def test_an_ejected_host_is_gone_when_somebody_looks_again() -> None:
    [found] = sets("hh")
    assert found.again() is found
    found.hosts[0].state.ejected = True
    now = found.again()
    assert names(now.healthy) == "2"
    assert now.again() is now
    found.hosts[0].state.ejected = False
    found.hosts[1].state.degraded = True
    assert (names(now.again().healthy), names(now.again().degraded)) == ("1", "2")


def test_a_host_that_is_only_pending_is_healthy_and_excluded() -> None:
    [found] = sets("h")
    found.hosts[0].state.pending = True
    now = found.again()
    assert (names(now.healthy), names(now.excluded)) == ("1", "1")


def zoned(local: Locality | None = None) -> HostSet:
    pool = [*hosts("hu", 1, "c"), *hosts("g", 3, "b"), *hosts("hhx", 4, "a")]
    weights = {Locality("r", "a"): 3, Locality("r", "b"): 2}
    return HostSet(pool, weights=weights, local=local)


def test_localities_go_by_their_names() -> None:
    found = zoned()
    assert [
        (each.locality.zone, names(each.hosts), names(each.healthy), names(each.degraded), each.excluded, each.weight)
        for each in found.localities
    ] == [("a", "4 5 6", "4 5", "", 1, 3), ("b", "3", "", "3", 0, 2), ("c", "1 2", "1", "", 0, 0)]
    assert found.localities is found.localities
    assert not found.has_local


def test_the_own_locality_comes_first_if_it_has_hosts() -> None:
    found = zoned(Locality("r", "b"))
    assert [each.locality.zone for each in found.localities] == ["b", "a", "c"]
    assert found.has_local
    elsewhere = zoned(Locality("r", "z"))
    assert [each.locality.zone for each in elsewhere.localities] == ["a", "b", "c"]
    assert not elsewhere.has_local
    assert not HostSet([], local=Locality("r", "b")).has_local


def test_a_subset_is_in_the_same_place() -> None:
    whole = HostSet(hosts("hhu"), 200, True, {Locality(): 7}, Locality("r"))
    part = whole.of(whole.hosts[1:], {Locality(): 3})
    assert (part.factor, part.weighted, part.weights, part.local) == (200, True, {Locality(): 3}, Locality("r"))
    assert names(part.healthy) == "2"


def test_an_assignment_makes_a_set_for_each_priority_and_for_those_between() -> None:
    first, second = Locality("r", "a"), Locality("r", "b")
    assignment = ClusterLoadAssignment(
        "a",
        (
            LocalityLbEndpoints((host("10.0.0.1:80"),), first, 2, 5),
            LocalityLbEndpoints((host("10.0.0.2:80"), host("10.0.0.3:80")), second, 0, None),
            LocalityLbEndpoints((), second, 2, 7),
        ),
        overprovisioning_factor=200,
        weighted_priority_health=True,
    )
    pool = [
        Host(endpoint, HostState(), each.locality, each.priority)
        for each in assignment.localities
        for endpoint in each.endpoints
    ]
    found = host_sets(pool, assignment, first)
    assert [names(each.hosts) for each in found] == ["2 3", "", "1"]
    assert [each.weights for each in found] == [{}, {}, {first: 5, second: 7}]
    assert {(each.factor, each.weighted, each.local) for each in found} == {(200, True, first)}


def test_without_an_assignment_there_is_one_empty_set() -> None:
    [found] = host_sets([], None)
    assert found.hosts == ()
    [empty] = host_sets([], ClusterLoadAssignment("a"))
    assert empty.hosts == ()
