"""What a process governs by, and what of it survives."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator

import pytest

from proxyless.governance.actions import Deliver
from proxyless.governance.runtime import Options, Runtime
from proxyless.xds.model.cluster import Cluster
from proxyless.xds.model.endpoint import LocalityLbEndpoints
from proxyless.xds.model.values import Locality
from tests.support.model import CLUSTER, cluster, host, route, snapshot, table
from tests.support.world import World

ADDRESS = "10.0.0.1:80"


def world(**fields: object) -> World:
    return World(tables=[table(route("/", "a"))], clusters=[cluster("a", ADDRESS)], **fields)  # type: ignore[arg-type]


def test_a_runtime_begins_without_a_configuration_and_with_a_random_source_of_its_own() -> None:
    one = Runtime()
    assert not one.plan.snapshot.complete
    assert isinstance(one.rng, random.Random)
    assert {one.draw(3) for _ in range(100)} == {0, 1, 2}
    one.subscribe(CLUSTER, ("a",))  # nobody does


@pytest.mark.parametrize(("drawn", "n", "number"), [(0.0, 5, 0), (0.999999, 5, 4), (0.5, 1, 0), (0.5, 4, 2)])
def test_a_draw_is_below_its_bound(drawn: float, n: int, number: int) -> None:
    assert world(draws=[drawn]).runtime.draw(n) == number


def test_a_snapshot_is_in_force_before_those_who_wait_are_woken() -> None:
    fixture = world()
    seen: list[bool] = []
    new = snapshot()
    fixture.runtime.changes._register(lambda: seen.append(fixture.runtime.plan.snapshot is new), 1)
    fixture.runtime.publish(new)
    assert seen == [True]


def test_what_outlives_the_configuration_of_a_cluster_is_kept_by_name() -> None:
    fixture = world()
    one = fixture.runtime.state("a", Cluster("a"))
    assert fixture.runtime.state("a", Cluster("a")) is one
    assert fixture.runtime.state("b", Cluster("b")) is not one


def test_a_runtime_is_busy_while_calls_are_under_way() -> None:
    fixture = world()
    assert not fixture.runtime.busy()
    steps = fixture.steps()
    steps.until(Deliver, answers=[200])
    assert fixture.runtime.busy()
    steps.finish([])
    assert not fixture.runtime.busy()
    fixture.cluster().state.high.requests = 1
    assert fixture.runtime.busy()


def test_closing_idle_connections_leaves_those_in_use() -> None:
    fixture = world()
    busy = fixture.steps()
    busy.until(Deliver, answers=[200])
    fixture.call()
    fixture.runtime.close_idle()
    assert [each.closed for each in fixture.connections] == [0, 1]
    assert fixture.counts() == (1, 0, 1, 0)
    busy.finish([])


def test_clusters_that_no_call_has_used_for_a_while_are_idle() -> None:
    fixture = world()
    fixture.call()
    begin = fixture.clock.now
    for before, kept, idle in [(begin, (), []), (begin + 1, (), ["a"]), (begin + 1, ("a",), [])]:
        assert fixture.runtime.idle(before, kept) == idle
    steps = fixture.steps()
    steps.until(Deliver, answers=[200])
    assert fixture.runtime.idle(begin + 1) == []
    steps.finish([])
    fixture.cluster().state.high.requests = 1
    assert fixture.runtime.idle(begin + 1) == []


def test_a_cluster_that_is_first_used_while_the_idle_ones_are_looked_for_does_no_harm() -> None:
    fixture = world()
    fixture.call()

    class Kept(tuple[str, ...]):
        __slots__ = ()

        def __contains__(self, name: object) -> bool:
            fixture.runtime.state(f"new while {name}", Cluster("new"))
            return False

        def __iter__(self) -> Iterator[str]:
            return iter(())

    assert fixture.runtime.idle(fixture.clock.now + 1, Kept()) == ["a"]


def test_a_forked_child_keeps_the_configuration_and_nothing_that_was_the_parents() -> None:
    fixture = world()
    steps = fixture.steps()
    steps.until(Deliver, answers=[200])
    held, changes = fixture.runtime.plan.snapshot, fixture.runtime.changes
    fixture.runtime.reset()
    assert fixture.runtime.plan.snapshot is held
    assert fixture.runtime.changes is not changes
    assert fixture.counts() == (0, 0, 0, 0)
    assert not fixture.runtime.busy()
    assert fixture.call().status == 200
    assert len(fixture.connections) == 2


def test_a_forked_child_draws_for_itself_unless_its_chance_was_given() -> None:
    own, given = Runtime(), Runtime(rng=random.Random(5))
    child = copy.deepcopy(own.rng)
    own.reset()
    given.reset()
    assert own.rng.getrandbits(128) != child.getrandbits(128)
    assert given.rng.getrandbits(128) == random.Random(5).getrandbits(128)
    assert own.uniform == own.rng.random


def test_a_forked_child_has_rate_limits_of_its_own() -> None:
    fixture = world()
    limiters = fixture.runtime.limiters
    fixture.runtime.reset()
    assert fixture.runtime.limiters is not limiters


def test_balancers_are_given_the_runtimes_clock_and_place() -> None:
    here = Locality("r", "z")
    fixture = world(options=Options(locality=here))
    setting = fixture.runtime.setting("a")
    assert (setting.clock, setting.locality, setting.local) == (fixture.clock, here, None)
    assert fixture.cluster().host_sets[0].local == here


def zones(name: str, **hosts: int) -> Cluster:
    groups: list[LocalityLbEndpoints] = []
    for zone, count in hosts.items():
        endpoints = tuple(host(f"10.0.{len(groups)}.{each}:80") for each in range(count))
        groups.append(LocalityLbEndpoints(endpoints, Locality("r", zone)))
    return cluster(name, *groups)


def test_the_local_cluster_says_how_much_stays_in_the_zone() -> None:
    options = Options(locality=Locality("r", "x"), local_cluster="me")
    fixture = World(clusters=[zones("a", x=3, y=3), zones("me", x=1, y=1)], options=options)
    seen = [fixture.cluster().choose() for _ in range(30)]
    assert {each.locality.zone for each in seen if each is not None} == {"x"}
    # Of the own cluster requests go anywhere.
    assert fixture.runtime.setting("me").local is None
    fixture.cluster("me").hosts[0].state.ejected = True
    fixture.cluster("me").state.health_changed()
    assert {each.locality.zone for _ in range(30) if (each := fixture.cluster().choose()) is not None} == {"x"}


def test_a_local_cluster_that_is_not_there_says_nothing() -> None:
    options = Options(locality=Locality("r", "x"), local_cluster="me")
    fixture = World(clusters=[zones("a", x=3, y=3)], options=options)
    seen = [fixture.cluster().choose() for _ in range(6)]
    assert {each.locality.zone for each in seen if each is not None} == {"x", "y"}


def test_a_local_cluster_that_is_on_its_way_is_asked_for() -> None:
    options = Options(locality=Locality("r", "x"), local_cluster="me")
    fixture = World(clusters=[zones("a", x=3, y=3), Cluster("me", type="EDS")], options=options)
    assert fixture.cluster().choose() is not None
    assert fixture.asked == [(CLUSTER, ("me",))]
