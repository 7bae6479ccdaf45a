"""The shop's Pods on a cluster: what the API server says, and what requests do."""

from __future__ import annotations

import pytest

from .traffic import Tally, Traffic
from .world import World

pytestmark = pytest.mark.timeout(4000)  # the first test of a machine builds Kubernetes


def served(world: World, traffic: Traffic, workload: str, low: float, high: float) -> None:
    """A share of the answers that lies between, once the edit has come through; no call failed meanwhile."""
    last: list[Tally] = []

    def holds() -> bool:
        last[:] = [traffic.burst(count=300)]
        assert not last[0].failed
        return low <= last[0].share(workload) <= high

    world.until(holds, lambda: last[0].servers)


def answering(world: World, traffic: Traffic, names: set[str]) -> None:
    """Those Pods and no other."""
    world.until(lambda: set(traffic.burst(count=60).servers) == names, f"{names} answer")


def test_requests_go_to_the_pods_that_endpoint_slices_name(world: World, traffic: Traffic) -> None:
    world.canary(v1=60, v2=40)
    served(world, traffic, "catalog-v2", 0.25, 0.55)
    tally = traffic.burst(count=200)
    assert not tally.failed
    assert set(tally.servers) == world.names("catalog", "v1") | world.names("catalog", "v2")
    assert all(world.endpoints("catalog").values())
    internal = traffic.burst(count=20, headers={"x-user-group": "internal"})
    assert set(internal.servers) == world.names("catalog", "v3")


def test_a_canary_follows_its_virtual_service(world: World, traffic: Traffic) -> None:
    with traffic.steady() as all_the_time:
        for weight in (0, 50, 100):
            world.canary(v1=100 - weight, v2=weight)
            # 300 draws: four deviations of a half are 0.116; nought and all are exact.
            slack = 0.12 if weight == 50 else 0
            served(world, traffic, "catalog-v2", weight / 100 - slack, weight / 100 + slack)
        world.canary(v1=100, v2=0)
        served(world, traffic, "catalog-v1", 1, 1)
    assert all_the_time.calls
    assert not all_the_time.failed


def test_pods_that_come_and_go_are_called_as_long_as_they_are_there(world: World, traffic: Traffic) -> None:
    world.canary(v1=100)
    with traffic.steady() as all_the_time:
        for replicas in (3, 1, 2):
            world.scale("catalog-v1", replicas)
            world.rolled_out("catalog-v1")
            names = world.names("catalog", "v1")
            assert len(names) == replicas
            answering(world, traffic, names)
    assert not all_the_time.failed


def test_a_rolling_update_fails_no_request(world: World, traffic: Traffic) -> None:
    before = world.names("catalog", "v1")
    with traffic.steady() as all_the_time:
        template = {"metadata": {"annotations": {"test/rolled": "once"}}}
        world.api.patch(world.deployment("catalog-v1"), {"spec": {"template": template}})
        world.rolled_out("catalog-v1")
        after = world.names("catalog", "v1")
        assert not before & after
        answering(world, traffic, after)
    assert not all_the_time.failed
    assert all_the_time.calls > 100


def test_the_storefront_knows_who_it_is(world: World) -> None:
    (name,) = world.names("storefront")
    status = world.status(name)
    assert status["control_plane"]["connected"]
    (leaf,) = [each for each in status["identity"]["certificates"] if each["kind"] == "leaf"]
    assert leaf["subject"] == f"spiffe://cluster.local/ns/{world.namespace}/sa/storefront"
