"""A machine goes, with the Pods on it; this needs a cluster of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .nodes.pod import Pod
from .nodes.rest import Document
from .own import CONTROL, NAME, OwnCluster
from .test_pods import answering, served
from .traffic import Traffic
from .world import NETWORKING, World

pytestmark = pytest.mark.timeout(4000)
AGAIN: Document = {"attempts": 3, "perTryTimeout": "2s", "retryOn": "5xx,reset,connect-failure"}
EJECTING: Document = {
    # Who watches endpoints calls those of its own zone alone while they are well, and would not miss the others.
    "loadBalancer": {"localityLbSetting": {"enabled": False}},
    "connectionPool": {"tcp": {"connectTimeout": "1s"}},
    "outlierDetection": {
        "consecutive5xxErrors": 2,
        "interval": "1s",
        "baseEjectionTime": "300s",
        "maxEjectionPercent": 100,
    },
}


@contextmanager
def on_the_node_of_the_control_plane(own: OwnCluster, world: World, name: str) -> Iterator[str]:
    """That Deployment's Pods; the other node's name. With the control plane lost, nobody would be told of anything."""
    (node,) = {each.node for each in own.agent.of(CONTROL, app=NAME)}

    def select(selector: Document | None) -> None:
        world.api.patch(world.deployment(name), {"spec": {"template": {"spec": {"nodeSelector": selector}}}})
        world.rolled_out(name)

    select({"kubernetes.io/hostname": node})
    try:
        yield next(each for each in own.agent.nodes if each != node)
    finally:
        select(None)


@contextmanager
def patient(world: World) -> Iterator[None]:
    """Calls to catalog that find nobody are made again, and who does not answer is left out."""
    virtual, rule = (world.path(kind, "catalog", NETWORKING) for kind in ("virtualservices", "destinationrules"))
    http = world.api.get(virtual)["spec"]["http"]
    world.api.patch(virtual, {"spec": {"http": [{**each, "retries": AGAIN, "timeout": "20s"} for each in http]}})
    world.api.patch(rule, {"spec": {"trafficPolicy": EJECTING}})
    try:
        yield
    finally:
        world.api.patch(virtual, {"spec": {"http": http}})
        world.api.patch(rule, {"spec": {"trafficPolicy": None}})


def spread(own: OwnCluster, world: World) -> list[Pod]:
    """The Pods of catalog v1, of which each node has one: a Pod that is made anew goes to the node with fewer."""
    for _ in range(5):
        pods = [own.pod(world.namespace, name) for name in sorted(world.names("catalog", "v1"))]
        if len({each.node for each in pods}) > 1:
            return pods
        world.api.delete(world.path("pods", pods[0].name))
        world.until(pods[0].gone.is_set, "it does not go")
        world.rolled_out("catalog-v1")
    raise AssertionError("all Pods are on one node")


def test_a_node_that_is_lost_fails_no_request_that_may_go_again(
    own: OwnCluster, world: World, traffic: Traffic
) -> None:
    world.canary(v1=100)
    with on_the_node_of_the_control_plane(own, world, "storefront-v1") as lost, patient(world):
        served(world, traffic, "catalog-v1", 1, 1)
        (front,), (load,) = world.names("storefront"), own.agent.of(world.namespace, app="load")
        pods = spread(own, world)
        gone = {each.name: each.address for each in pods if each.node == lost}
        left = {each.name for each in pods} - gone.keys()
        assert gone
        assert left

        def endpoints() -> list[Document]:
            name = f"outbound|80|v1|catalog.{world.namespace}.svc.cluster.local"
            found = [each for each in world.status(front)["clusters"] if each["name"] == name]
            return next((each["endpoints"] for each in found if each["outlier_detection"] is not None), [])

        def out() -> set[str]:
            return {each["address"].rpartition(":")[0] for each in endpoints() if each["ejected"]}

        # A cluster that has changed is there again when it is called.
        world.until(lambda: traffic.burst(count=20) and endpoints(), "nobody is watched")
        answering(world, traffic, left | gone.keys())
        with traffic.steady() as tally:
            own.agent.lose(lost)
            try:
                load.plug(connected=True)  # the caller is not what is tested
                world.until(lambda: set(gone.values()) <= out(), endpoints)
                world.until(lambda: not any(map(world.endpoints("catalog").get, gone)), "the slices still have them")
                answering(world, traffic, left)
            finally:
                own.agent.find(lost)
            world.until(lambda: all(map(world.endpoints("catalog").get, gone)), "the slices do not have them back")
        assert tally.calls
        assert not tally.failed
    # Out for five minutes, unless nobody watches any more.
    answering(world, traffic, left | gone.keys())
