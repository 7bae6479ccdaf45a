"""What happens to the shop when parts of its cluster fail; these need a cluster of the tests' own."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from .nodes.rest import Document
from .own import OwnCluster
from .test_pods import served
from .traffic import Tally, Traffic
from .world import NETWORKING, World

pytestmark = pytest.mark.timeout(4000)
HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/proxyless-controller-istio-system"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/proxyless-controller-istio-system"


@contextmanager
def unharmed(traffic: Traffic) -> Iterator[Tally]:
    """Constant load, of which no call fails."""
    with traffic.steady() as tally:
        yield tally
    assert tally.calls
    assert not tally.failed


def writes_unchecked(world: World, policy: str) -> None:
    """The webhook's failurePolicy."""
    (hook,) = world.api.get(HOOKS)["webhooks"]
    world.api.patch(HOOKS, {"webhooks": [{**hook, "failurePolicy": policy}]})


def refusal(world: World) -> str:
    """Of an edit that is right."""
    try:
        world.canary(v2=100)
    except httpx.HTTPStatusError as error:
        return error.response.text
    return ""


def test_the_control_plane_is_started_anew(own: OwnCluster, world: World, traffic: Traffic) -> None:
    world.canary(v1=100)
    served(world, traffic, "catalog-v1", 1, 1)
    with unharmed(traffic):
        own.controller.away()
        writes_unchecked(world, "Fail")
        world.until(lambda: "failed calling webhook" in refusal(world), "what nobody checks is written")
        writes_unchecked(world, "Ignore")
        world.until(lambda: not refusal(world), "what nobody checks is not written")
        assert traffic.burst(count=50).share("catalog-v1") == 1, "the last configuration is in force"
        own.controller.back()
        served(world, traffic, "catalog-v2", 1, 1)
        own.controller.crash()
        world.canary(v1=100)
        served(world, traffic, "catalog-v1", 1, 1)


def test_the_api_server_is_started_anew(own: OwnCluster, world: World, traffic: Traffic) -> None:
    world.canary(v1=100)
    served(world, traffic, "catalog-v1", 1, 1)
    with unharmed(traffic):
        own.cluster.stop(how=signal.SIGKILL)
        world.until(lambda: "Unreachable" in own.controller.conditions().values(), own.controller.conditions)
        assert not traffic.burst(count=50).failed
        own.cluster.start_api_server()
        world.canary(v2=100)
        served(world, traffic, "catalog-v2", 1, 1)
        world.until(lambda: set(own.controller.conditions().values()) == {"Synced"}, own.controller.conditions)
        world.rolled_out("storefront-v1", "catalog-v1")


def test_a_right_that_is_taken_away_is_named_and_nothing_is_forgotten(
    own: OwnCluster, world: World, traffic: Traffic
) -> None:
    world.canary(v1=100)
    served(world, traffic, "catalog-v1", 1, 1)
    role = world.api.get(ROLE)
    rules: list[Document] = [
        {**rule, "resources": [each for each in rule["resources"] if each != "virtualservices"]}
        for rule in role["rules"]
    ]
    with unharmed(traffic):
        world.api.patch(ROLE, {"rules": rules})
        # A watch that is open stays open: rights are looked at when the next one begins.
        own.cluster.stop(how=signal.SIGKILL)
        own.cluster.start_api_server()
        world.until(lambda: own.controller.conditions()["VirtualService"] == "Forbidden", own.controller.conditions)
        assert own.controller.metric("proxyless_kubernetes_failures_total", kind="VirtualService", reason="Forbidden")
        assert traffic.burst(count=50).share("catalog-v1") == 1
        world.api.patch(ROLE, {"rules": role["rules"]})
        world.until(lambda: own.controller.conditions()["VirtualService"] == "Synced", own.controller.conditions)
        world.canary(v2=100)
        served(world, traffic, "catalog-v2", 1, 1)


def test_a_control_plane_that_slept_lists_again_what_the_api_server_forgot(
    own: OwnCluster, world: World, traffic: Traffic
) -> None:
    kind = "VirtualService"
    world.canary(v1=100)
    served(world, traffic, "catalog-v1", 1, 1)
    path = world.path("virtualservices", "catalog", NETWORKING)
    kept = world.api.get(path)
    lists = own.controller.metric("proxyless_kubernetes_lists_total", kind=kind)
    with unharmed(traffic):
        own.controller.signal(signal.SIGSTOP)
        try:
            own.cluster.stop(how=signal.SIGKILL)  # its watches end, and what it remembers of them
            own.cluster.start_api_server()
            world.api.delete(path)
            own.cluster.compact()
        finally:
            own.controller.signal(signal.SIGCONT)
        # Without the VirtualService every version is called, by the DestinationRule alone.
        served(world, traffic, "catalog-v1", 0.3, 0.7)
        assert own.controller.metric("proxyless_kubernetes_lists_total", kind=kind) > lists
        world.until(lambda: own.controller.conditions()[kind] == "Synced", own.controller.conditions)
        kept["metadata"].pop("resourceVersion")
        world.api.post(world.path("virtualservices", group=NETWORKING), kept)
        served(world, traffic, "catalog-v1", 1, 1)


def test_a_token_that_expired_is_named_and_its_successor_is_taken(
    own: OwnCluster, world: World, traffic: Traffic
) -> None:
    (name,) = world.names("storefront")
    pod = own.pod(world.namespace, name)
    world.canary(v1=100)
    served(world, traffic, "catalog-v1", 1, 1)
    with unharmed(traffic):
        own.expire(pod)
        own.controller.crash()

        def said() -> str:
            return str(world.status(name)["control_plane"]["error"])

        world.until(lambda: "refused the token" in said(), said)
        world.canary(v2=100)
        assert traffic.burst(count=50).share("catalog-v1") == 1, "the last configuration is in force"
        pod.renew()
        served(world, traffic, "catalog-v2", 1, 1)
        assert world.status(name)["control_plane"]["connected"]
