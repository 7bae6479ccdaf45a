"""Clients that are kin are told the same, byte for byte, whatever the mesh; and what tells them apart, does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from random import Random
from typing import Any

import pytest

from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.discovery.kinship import Kinship, traits
from proxyless.xds.controlplane.discovery.resources import Resources
from proxyless.xds.controlplane.emit.view import View
from proxyless.xds.controlplane.mesh import MeshConfig
from proxyless.xds.controlplane.registry.node import Node, parse_node
from proxyless.xds.controlplane.registry.proxy import place
from proxyless.xds.controlplane.registry.scope import Scope
from proxyless.xds.controlplane.registry.world import World
from tests.xds.controlplane.everything import ENTRIES, KUBERNETES
from tests.xds.controlplane.generated_meshes import meshes, valid
from tests.xds.controlplane.support import endpoints, istio, mesh, objects, service

MESHES = int(os.environ.get("PROXYLESS_GENERATED", "20"))
SEED = int(os.environ.get("PROXYLESS_SEED", "0"))
HOST = "kubernetes.io/hostname"


def node(name: str = "web-7", ip: str = "10.9.0.7", machine: str = "m1", **metadata: Any) -> Node:
    """One Pod of a Deployment in namespace `shop`."""
    labels = {"app": "web", "apps.kubernetes.io/pod-index": name[-1], HOST: machine, **metadata.pop("LABELS", {})}
    said: Mapping[str, Any] = {
        "NAME": name,
        "NAMESPACE": "shop",
        "CLUSTER_ID": "Kubernetes",
        "INSTANCE_IPS": ip,
        "NODE_NAME": machine,
        "WORKLOAD_NAME": "web",
        "LABELS": labels,
        **metadata,
    }
    return parse_node(f"sidecar~{ip.split(',')[0]}~{name}.shop~shop.svc.cluster.local", said, "web", ("r1", "a", ""))


ONE = node()
OTHER = node("web-8", "10.9.0.8", "m2")
KINDS = (
    node("web-9", "10.9.0.9", "m1"),
    node("web-0", "10.1.0.1", "m1"),  # the base has this one
    node("web-8", "fd00::8", "m2"),
    node("web-8", "10.9.0.8,fd00::8", "m2"),
    node("web-8", "10.9.0.8", "m2", LABELS={"version": "v2"}),
    node("web-8", "10.9.0.8", "m2", INTERCEPTION_MODE="NONE"),
)


Everything = dict[str, list[tuple[str, bytes]]]


def told(world: World, of: Node) -> Everything:
    """Everything, made for this client alone."""
    resources = Resources()
    return made(resources, resources.view(world, place(of, world)))


def shared(world: World, of: Node, resources: Resources) -> Everything:
    """The same where others have been told something before."""
    return made(resources, resources.shared_view(world, place(of, world), traits(of)))


def made(resources: Resources, view: View) -> Everything:
    clusters = [name for name, _ in resources.make(rules.CLUSTER, view, ())]
    tables = ["80", "90", "http_proxy", "9080", "a.shop.svc.cluster.local:80"]
    names = {rules.ENDPOINT: [*clusters, "local_cluster"], rules.ROUTE: tables}
    return {
        type_.label: [(name, made.value) for name, made in resources.make(type_, view, names.get(type_, ()))]
        for type_ in rules.PUSH_ORDER
    }


def keys(world: World, *of: Node) -> list[object]:
    kinship = Kinship()
    kinship.enter(world)
    scopes: dict[object, Scope] = {}
    found: list[object] = []
    for each in of:
        proxy = place(each, world)
        scope = Scope.of(world, proxy)
        scope = scopes.setdefault((proxy.namespace, scope.sidecar), scope)
        found.append(kinship.key(scope, proxy, traits(each)))
    return found


@cache
def base() -> tuple[object, ...]:
    every = objects(KUBERNETES + ENTRIES)
    return tuple(each for each in every if each.meta.name != "near")  # which is called on the caller's machine


@pytest.mark.parametrize("seed", range(SEED, SEED + MESHES))
def test_kin_are_told_the_same_whatever_the_mesh(seed: int) -> None:
    written, _ = meshes().draw(Random(seed))
    world = World([*base(), *valid(written)], MeshConfig())  # type: ignore[list-item]
    first, *others = keys(world, ONE, OTHER, *KINDS)
    kin = [each for each, key in zip((OTHER, *KINDS), others, strict=True) if key == first]
    whole = told(world, ONE) if kin else {}
    for each in kin:
        assert told(world, each) == whole, each.id
    resources = Resources()
    shared(world, ONE, resources)
    for each in (OTHER, *KINDS)[seed % 2 :: 2]:  # half of them, for the time that it takes
        assert shared(world, each, resources) == (whole if each in kin else told(world, each)), each.id


def test_pods_of_a_deployment_are_kin() -> None:
    one, other = keys(World(list(base()), MeshConfig()), ONE, OTHER)  # type: ignore[arg-type]
    assert one == other


A = service("a", "tcp:80", rest="clusterIP: None") + endpoints("a", "tcp:80", "10.9.0.7", "10.1.0.2")
APART = {
    "a rule for one machine": istio(
        "DestinationRule", "d", f"{{host: b, workloadSelector: {{matchLabels: {{{HOST}: m1}}}}}}"
    ),
    "endpoints in the order of machines": istio(
        "DestinationRule",
        "d",
        f"{{host: b, trafficPolicy: {{loadBalancer: {{localityLbSetting: {{failoverPriority: [{HOST}]}}}}}}}}",
    ),
    "the mesh's order": mesh(f"localityLbSetting: {{failoverPriority: [{HOST}]}}"),
    "routes for one Pod": istio(
        "VirtualService",
        "v",
        "{hosts: [b], http: [{match: [{sourceLabels: {apps.kubernetes.io/pod-index: '7'}}], "
        "route: [{destination: {host: b}}]}]}",
    ),
    "a filter for one Pod": istio(
        "EnvoyFilter",
        "f",
        "{configPatches: [{applyTo: CLUSTER, match: {proxy: {metadata: {NAME: web-7}}}, "
        "patch: {operation: MERGE, value: {connect_timeout: 1s}}}]}",
    ),
    "endpoints of its own machine first": service("b", "http:80", rest="trafficDistribution: PreferSameNode"),
    "a service of its own machine": service("b", "http:80", rest="internalTrafficPolicy: Local"),
    "a headless service that one is part of": A,
    "ports of a Sidecar": istio(
        "Sidecar", "s", "{ingress: [{port: {number: 80, protocol: HTTP, name: http}, defaultEndpoint: '0.0.0.0:80'}]}"
    ),
    "traces by the Pod's name": mesh(
        "extensionProviders: [{name: o, opentelemetry: {service: b.shop.svc.cluster.local, port: 80, "
        "serviceAttributeEnrichment: OTEL_SEMANTIC_CONVENTIONS}}]"
    ),
}


@pytest.mark.parametrize("name", sorted(APART))
def test_what_asks_for_a_pod_or_its_machine_tells_them_apart(name: str) -> None:
    world = World(objects(service("b", "http:80", ip="10.96.0.2") + APART[name]), MeshConfig())
    one, other = keys(world, ONE, OTHER)
    assert one != other


def test_a_world_goes_on_from_the_one_before() -> None:
    """What objects ask for is remembered by object, and forgotten with it."""
    plain = objects(service("b", "http:80"))
    rule = objects(APART["a rule for one machine"])
    kinship, scopes = Kinship(), []
    for given, apart in ((plain, False), (plain + rule, True), (plain, False)):
        world = World(given, MeshConfig())
        kinship.enter(world)
        proxies = [place(each, world) for each in (ONE, OTHER)]
        scopes.append(Scope.of(world, proxies[0]))
        one, other = (kinship.key(scopes[-1], *pair) for pair in zip(proxies, map(traits, (ONE, OTHER)), strict=True))
        assert (one != other) is apart
