"""How each way a call can end is labelled: a clock that a test moves, configuration by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from proxyless.governance.actions import Deliver, Send
from proxyless.governance.inbound import InboundRequest
from proxyless.governance.request import RequestView
from proxyless.governance.telemetry import prometheus
from proxyless.governance.telemetry.facts import Facts
from proxyless.governance.telemetry.labels import Workload
from proxyless.governance.telemetry.prometheus import PATIENCE_S, PrometheusListener
from proxyless.xds.model.listener import TcpProxy
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.model.route import DirectResponseAction
from tests.support.model import bad, chain, cluster, host, listener, manager, resource, route, table, vhost
from tests.support.world import World

from .conftest import labels, samples, value

REQUESTS = "istio_requests_total"
UNGOVERNED = "proxyless_ungoverned_requests_total"
OWN = Workload("me", "mine")
CART = {"istio": {"services": ({"host": "cart.shop.svc", "name": "cart", "namespace": "shop"},)}}
NAMED = {"metadata": {"istio": {"workload": "cart-v1;pods;cart;v1;east"}}}


def watch(world: World, registry: CollectorRegistry) -> PrometheusListener:
    def facts() -> Facts:
        return Facts(world.runtime, None, None, 0.0)

    metrics = PrometheusListener(registry, OWN, facts, world.clock)
    world.runtime.add_listener(metrics)
    return metrics


def governed(registry: CollectorRegistry, **parts: Any) -> World:
    world = World(**parts)
    watch(world, registry)
    return world


def one(registry: CollectorRegistry) -> dict[str, str]:
    [found] = labels(registry, REQUESTS)
    return found


TO_CART: dict[str, Any] = {
    "tables": [table(route("/", "a"))],
    "clusters": [cluster("a", host("10.0.0.1:80", **NAMED), metadata=CART)],
}


def test_cluster_and_endpoint_name_the_destination(registry: CollectorRegistry) -> None:
    governed(registry, **TO_CART).call()
    found = one(registry)
    assert found["source_workload"] == "me"
    assert found["destination_service"] == "cart.shop.svc"
    assert found["destination_service_name"] == "cart"
    assert found["destination_service_namespace"] == "shop"
    assert found["destination_workload"] == "cart-v1"
    assert found["destination_workload_namespace"] == "pods"
    assert found["destination_cluster"] == "east"


def test_without_the_clusters_word_the_namespace_is_that_of_the_endpoint(registry: CollectorRegistry) -> None:
    clusters = [cluster("a", host("10.0.0.1:80", **NAMED))]
    tables = [table(vhost(route("/", "a"), name="cart.shop.svc:80"))]
    governed(registry, tables=tables, clusters=clusters).call()
    assert one(registry)["destination_service_namespace"] == "pods"
    assert one(registry)["destination_service"] == "cart.shop.svc"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param(
            {"tables": [table(vhost(route("/", "a"), domains=["elsewhere"]))]},
            {"response_code": "404", "response_flags": "NR", "destination_service": "unknown"},
            id="no virtual host",
        ),
        pytest.param(
            {"tables": [table(vhost(route("/other", "a"), name="cart.shop.svc:80"))]},
            {"response_code": "404", "response_flags": "NR", "destination_service": "cart.shop.svc"},
            id="no route",
        ),
        pytest.param(
            {"tables": [table(vhost(route("/", "gone"), name="cart.shop.svc:80"))]},
            {"response_code": "503", "response_flags": "NC", "destination_service_name": "cart.shop.svc"},
            id="no cluster",
        ),
        pytest.param(
            {"tables": [table(vhost(route("/", "a"), name="x"))], "clusters": [cluster("a", metadata=CART)]},
            {"response_code": "503", "response_flags": "UH", "destination_service_name": "cart"},
            id="no endpoint",
        ),
        pytest.param(
            {"tables": [table(vhost(route("/", DirectResponseAction(502)), name="block_all"))]},
            {"response_code": "502", "response_flags": "-", "destination_service_name": "BlackHoleCluster"},
            id="REGISTRY_ONLY",
        ),
        pytest.param(
            {"tables": [table(vhost(route("/", "a"), name="allow_any"))]},
            {"response_flags": "NC", "destination_service_name": "PassthroughCluster"},
            id="ALLOW_ANY",
        ),
        pytest.param(
            {"listeners": []},
            {"response_code": "503", "response_flags": "UF", "destination_service_name": "unknown"},
            id="no listener",
        ),
    ],
)
def test_what_the_mesh_answers_itself(
    registry: CollectorRegistry, parts: dict[str, Any], expected: dict[str, str]
) -> None:
    governed(registry, **parts).call(answers=())
    found = one(registry)
    assert expected.items() <= found.items()
    assert found["destination_workload"] == "unknown"
    assert value(registry, "proxyless_local_replies_total", response_code=found["response_code"]) == 1


def test_a_route_to_the_passthrough_cluster_is_counted_under_its_name(registry: CollectorRegistry) -> None:
    tables = [table(vhost(route("/", "PassthroughCluster"), name="strangers"))]
    governed(registry, tables=tables).call(answers=[204])
    assert one(registry)["destination_service_name"] == "PassthroughCluster"
    assert one(registry)["response_code"] == "204"


def through_tcp(cluster_name: str, *clusters: Any) -> dict[str, Any]:
    return {"listeners": [listener("0.0.0.0_80", chain(TcpProxy(cluster_name)))], "clusters": clusters}


@pytest.mark.parametrize(
    ("parts", "answers", "name", "flags"),
    [
        (through_tcp("PassthroughCluster"), [200], "PassthroughCluster", "-"),
        (through_tcp("a", cluster("a", host("10.0.0.1:80"), metadata=CART)), [200], "cart", "-"),
        (through_tcp("a", cluster("a", host("10.0.0.1:80"))), [200], "a", "-"),
        (through_tcp("BlackHoleCluster"), [], "BlackHoleCluster", "UF"),
        (through_tcp("gone"), [], "gone", "NC"),
    ],
)
def test_opaque_connections_are_counted_by_the_service_behind_them(
    registry: CollectorRegistry, parts: dict[str, Any], answers: list[int], name: str, flags: str
) -> None:
    governed(registry, **parts).call(answers=answers)
    [found] = labels(registry, UNGOVERNED)
    assert (found["destination_service_name"], found["response_flags"]) == (name, flags)
    assert not labels(registry, REQUESTS)


def test_the_duration_ends_with_the_body(registry: CollectorRegistry) -> None:
    world = governed(registry, **TO_CART)
    steps = world.steps()
    steps.until(Send)
    world.clock.advance(0.1)
    steps.until(Deliver, answers=[200])
    world.clock.advance(0.3)
    steps.finish(())
    assert value(registry, "istio_request_duration_milliseconds_sum") == pytest.approx(400)


def test_a_call_that_waits_for_its_configuration_and_is_given_up(registry: CollectorRegistry) -> None:
    world = governed(registry, tables=[], complete=False)
    steps = world.steps()
    steps.close()
    found = one(registry)
    assert (found["response_code"], found["response_flags"]) == ("0", "DC")


def test_the_services_of_a_new_configuration_are_taken_up(registry: CollectorRegistry) -> None:
    world = governed(registry, **TO_CART)
    world.call()
    samples(registry)
    renamed = {"istio": {"services": ({"host": "basket.shop.svc", "name": "basket"},)}}
    held = bad(ResourceType.CLUSTER, "b")
    world.update(clusters={**world.runtime.plan.snapshot.clusters, "b": held})
    world.call()
    assert len(labels(registry, REQUESTS)) == 1
    world.runtime.publish(World(**{**TO_CART, "clusters": [cluster("a", metadata=renamed)]}).runtime.plan.snapshot)
    samples(registry)
    world.call(answers=())
    assert {each["destination_service_name"] for each in labels(registry, REQUESTS)} == {"cart", "basket"}


@pytest.fixture
def multiprocess(registry: CollectorRegistry) -> Callable[[World], PrometheusListener]:
    """As in a worker whose registry nobody scrapes."""

    def make(world: World) -> PrometheusListener:
        metrics = watch(world, registry)
        metrics._family.multiprocess = True
        return metrics

    return make


def written(registry: CollectorRegistry) -> bool:
    """Whether anything has been handed over; unlike a scrape, looking changes nothing."""
    family: Any = registry.__dict__["_proxyless_family"]
    return bool(family._requests)


def test_in_multiprocess_mode_a_tick_hands_over(
    multiprocess: Callable[[World], PrometheusListener], registry: CollectorRegistry
) -> None:
    world = World(**TO_CART)
    metrics = multiprocess(world)
    world.call()
    assert not written(registry)
    metrics.tick(Facts(world.runtime, None, None, 0.0))
    assert written(registry)


def test_in_multiprocess_mode_a_call_hands_over_when_nobody_ticks(
    multiprocess: Callable[[World], PrometheusListener], registry: CollectorRegistry
) -> None:
    world = World(**TO_CART)
    multiprocess(world)
    world.call()
    assert not written(registry)
    world.clock.advance(PATIENCE_S + 1)
    world.call()
    assert written(registry)


def test_otherwise_nothing_is_handed_over_before_somebody_looks(registry: CollectorRegistry) -> None:
    world = World(**TO_CART)
    metrics = watch(world, registry)
    world.call()
    metrics.tick(Facts(world.runtime, None, None, 0.0))
    world.clock.advance(PATIENCE_S + 1)
    world.call()
    assert not written(registry)
    assert value(registry, REQUESTS) == 2


def test_in_multiprocess_mode_a_gauge_that_is_gone_is_zero(
    multiprocess: Callable[[World], PrometheusListener], registry: CollectorRegistry
) -> None:
    world = World(**TO_CART)
    metrics = multiprocess(world)
    world.call()
    assert value(registry, "proxyless_cluster_connections") == 1
    metrics.close()
    assert value(registry, "proxyless_cluster_connections") == 0
    assert labels(registry, "proxyless_cluster_connections")


def test_a_mesh_that_is_gone_still_hands_over_what_it_counted(registry: CollectorRegistry) -> None:
    world = World(**TO_CART)
    metrics = PrometheusListener(registry, OWN, lambda: None, world.clock)
    world.runtime.add_listener(metrics)
    world.call()
    metrics.close()
    assert value(registry, REQUESTS) == 1


# -- requests to this workload ---------------------------------------------------------------------------------------


def serve(registry: CollectorRegistry, to: Any, **parts: Any) -> InboundRequest:
    """A request to port 8080, whose chain leads to `to`, answered with 200 by the app."""
    world = World(listeners=[listener("virtualInbound", chain(to, destination_port=8080))], **parts)
    watch(world, registry)
    request = InboundRequest(world.runtime, RequestView(b"GET", b"http", b"me", b"/"), 8080)
    reply = request.decide()
    request.ended(reply.status if reply is not None else 200)
    return request


@pytest.mark.parametrize(
    ("clusters", "service"),
    [
        ({"in": resource(ResourceType.CLUSTER, "in", cluster("in", metadata=CART))}, "cart"),
        ({"in": resource(ResourceType.CLUSTER, "in", cluster("in"))}, "unknown"),
        ({"in": bad(ResourceType.CLUSTER, "in")}, "unknown"),
        ({}, "unknown"),
    ],
    ids=["named", "nameless", "refused", "gone"],
)
def test_a_served_request_is_named_after_its_inbound_cluster_if_that_says_so(
    registry: CollectorRegistry, clusters: dict[str, Any], service: str
) -> None:
    held = World(listeners=[listener("virtualInbound", chain(manager(table(route("/", "in")))))])
    world = World(replace(held.runtime.plan.snapshot, clusters=clusters))
    watch(world, registry)
    request = InboundRequest(world.runtime, RequestView(b"GET", b"http", b"me", b"/"), 8080)
    assert request.decide() is None
    request.ended(200)
    assert one(registry)["destination_service_name"] == service
    assert one(registry)["destination_workload"] == "me"


def test_a_request_that_no_route_takes_is_counted_for_this_workload(registry: CollectorRegistry) -> None:
    serve(registry, manager(table(route("/other", "in"))))
    assert (one(registry)["response_code"], one(registry)["response_flags"]) == ("404", "NR")


def test_a_request_through_an_opaque_chain_is_counted_apart(registry: CollectorRegistry) -> None:
    serve(registry, TcpProxy("in"))
    [found] = labels(registry, UNGOVERNED)
    assert (found["reporter"], found["response_code"]) == ("destination", "200")
    assert not labels(registry, REQUESTS)


def test_a_metric_that_fails_fails_no_request(registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "incoming", None)
    serve(registry, manager(table(route("/", "in"))))
    assert not labels(registry, REQUESTS)
