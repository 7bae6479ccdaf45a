"""The control thread against a real grpc server: what it asks, what it takes, what it refuses."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from proxyless import Mesh, NotReadyError
from proxyless.cli._url import parse_url
from proxyless.governance.cluster import ClusterRuntime
from proxyless.governance.explain import dry_call
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.transport import control
from proxyless.xds.wire.schema import types as pb
from tests.support.ads import AdsServer
from tests.support.waiting import wait_for

from .conftest import MakeMesh

CATALOG_V1 = "outbound|80|v1|catalog.shop.svc.cluster.local"
CATALOG = "outbound|80||catalog.shop.svc.cluster.local"
PAYMENT = "outbound|80||payment.shop.svc.cluster.local"
CLUSTER, LISTENER = ResourceType.CLUSTER, ResourceType.LISTENER
ROUTE, ENDPOINT = ResourceType.ROUTE, ResourceType.ENDPOINT


def decide(mesh: Mesh, url: str = "http://payment/") -> Any:
    """A call that sends nothing, once everything that it needs has come."""
    call, missing = dry_call(mesh.runtime, "GET", parse_url(url), [])

    def decided() -> bool:
        nonlocal call, missing
        call, missing = dry_call(mesh.runtime, "GET", parse_url(url), [])
        return not missing

    wait_for(decided)
    return call


@pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
def test_a_mesh_is_ready_with_the_first_listeners_and_clusters(
    server: AdsServer, mesh_of: MakeMesh, delta: bool
) -> None:
    mesh = mesh_of(server, delta=delta)
    mesh.wait_ready(10)
    assert "0.0.0.0_80" in mesh.snapshot.listeners
    assert PAYMENT in mesh.snapshot.clusters
    assert not mesh.snapshot.routes
    assert not mesh.snapshot.assignments
    requests = server.stream().requests
    assert [each.HasField("node") for each in requests[:3]] == [True, False, False]
    assert requests[0].node.id == "sidecar~127.0.10.1~frontend-v1-0.shop~shop.svc.cluster.local"


@pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
def test_route_tables_and_endpoints_are_asked_for_when_a_call_needs_them(
    server: AdsServer, mesh_of: MakeMesh, delta: bool
) -> None:
    mesh = mesh_of(server, delta=delta)
    mesh.wait_ready(10)
    assert decide(mesh).host.address.startswith("127.0.14.")
    assert set(mesh.snapshot.routes) == {"80"}
    assert set(mesh.snapshot.assignments) == {PAYMENT}
    # All clusters that a route may draw are asked for together.
    decide(mesh, "http://catalog/items")
    assert {CATALOG_V1, CATALOG_V1.replace("v1", "v2"), CATALOG_V1.replace("v1", "v3")} <= set(
        mesh.snapshot.assignments
    )


@pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
def test_a_bad_cluster_is_refused_by_name_while_the_rest_is_applied(
    server: AdsServer, mesh_of: MakeMesh, delta: bool
) -> None:
    mesh = mesh_of(server, delta=delta)
    mesh.wait_ready(10)
    good = mesh.snapshot.clusters[PAYMENT]
    bad = pb.cluster_v3.Cluster.FromString(good.raw)
    bad.connect_timeout.seconds = -1
    other = pb.cluster_v3.Cluster.FromString(mesh.snapshot.clusters[CATALOG].raw)
    other.connect_timeout.seconds = 7
    server.set(CLUSTER, PAYMENT, bad)
    server.set(CLUSTER, CATALOG, other)
    server.push(CLUSTER, PAYMENT, CATALOG) if delta else server.push(CLUSTER)
    stream = server.stream()
    wait_for(lambda: stream.errors(CLUSTER.value))
    reason = "Invalid duration: Expected positive duration: seconds: -1"
    assert stream.errors(CLUSTER.value) == [f"{PAYMENT}: {reason}"]
    assert mesh.snapshot.clusters[PAYMENT] is good
    assert mesh.snapshot.clusters[CATALOG].get().connect_timeout_s == 7.0


def test_a_truncated_resource_is_refused_and_the_last_good_one_stays(server: AdsServer, mesh_of: MakeMesh) -> None:
    mesh = mesh_of(server)
    decide(mesh)
    good = mesh.snapshot.assignments[PAYMENT]
    server.set(ENDPOINT, PAYMENT, good.raw[:-3])
    server.push(ENDPOINT)
    stream = server.stream()
    wait_for(lambda: stream.errors(ENDPOINT.value))
    assert "Error parsing message" in stream.errors(ENDPOINT.value)[0]
    assert mesh.snapshot.assignments[PAYMENT] is good


def test_bytes_that_are_no_response_change_nothing(
    server: AdsServer, mesh_of: MakeMesh, caplog: pytest.LogCaptureFixture
) -> None:
    mesh = mesh_of(server)
    decide(mesh)
    before = mesh.snapshot
    with caplog.at_level(logging.ERROR, "proxyless.xds"):
        server.send(b"\xff\xff\xff\xff")
        wait_for(lambda: "malformed DiscoveryResponse" in caplog.text)
    assert mesh.snapshot is before
    decide(mesh)


def test_a_type_that_nobody_asked_for_is_named_and_left_alone(
    server: AdsServer, mesh_of: MakeMesh, caplog: pytest.LogCaptureFixture
) -> None:
    mesh = mesh_of(server)
    mesh.wait_ready(10)
    with caplog.at_level(logging.WARNING, "proxyless.xds"):
        server.send(
            pb.discovery_v3.DiscoveryResponse(type_url="type.googleapis.com/a.B", nonce="1").SerializeToString()
        )
        wait_for(lambda: "type.googleapis.com/a.B" in caplog.text)
    decide(mesh)


def test_a_partial_endpoint_response_leaves_the_others_alone(server: AdsServer, mesh_of: MakeMesh) -> None:
    mesh = mesh_of(server)
    decide(mesh)
    decide(mesh, "http://cart/")
    held = dict(mesh.snapshot.assignments)
    changed = pb.endpoint_v3.ClusterLoadAssignment.FromString(held[PAYMENT].raw)
    del changed.endpoints[1:]
    server.set(ENDPOINT, PAYMENT, changed)
    server.push(ENDPOINT, PAYMENT)
    wait_for(lambda: mesh.snapshot.assignments[PAYMENT] is not held[PAYMENT])
    cart = "outbound|80||cart.shop.svc.cluster.local"
    assert mesh.snapshot.assignments[cart] is held[cart]


def test_a_cluster_without_endpoints_is_503_uh_and_one_that_is_gone_503_nc(
    server: AdsServer, mesh_of: MakeMesh
) -> None:
    mesh = mesh_of(server)
    decide(mesh)
    server.set(ENDPOINT, PAYMENT, pb.endpoint_v3.ClusterLoadAssignment(cluster_name=PAYMENT))
    server.push(ENDPOINT, PAYMENT)
    wait_for(lambda: decide(mesh).flags == ("UH",))
    server.remove(CLUSTER, PAYMENT)
    server.push(CLUSTER)
    wait_for(lambda: decide(mesh).flags == ("NC",))


def test_a_cluster_that_moves_to_other_endpoints_serves_the_old_ones_until_the_new_have_come(
    server: AdsServer, mesh_of: MakeMesh
) -> None:
    mesh = mesh_of(server)
    decide(mesh)
    moved = pb.cluster_v3.Cluster.FromString(mesh.snapshot.clusters[PAYMENT].raw)
    moved.eds_cluster_config.service_name = "elsewhere"
    server.set(CLUSTER, PAYMENT, moved)
    server.push(CLUSTER)
    stream = server.stream()
    wait_for(lambda: "elsewhere" in stream.names[ENDPOINT.value])
    assert decide(mesh).host.address.startswith("127.0.14.")
    assert mesh.snapshot.warming == {PAYMENT}
    assignment = pb.endpoint_v3.ClusterLoadAssignment(cluster_name="elsewhere")
    endpoint = assignment.endpoints.add().lb_endpoints.add().endpoint
    endpoint.address.socket_address.address = "127.0.99.1"
    endpoint.address.socket_address.port_value = 80
    server.set(ENDPOINT, "elsewhere", assignment)
    server.push(ENDPOINT, "elsewhere")
    wait_for(lambda: decide(mesh).host.address == "127.0.99.1:80")
    assert not mesh.snapshot.warming


def test_what_no_call_uses_is_let_go(server: AdsServer, mesh_of: MakeMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "IDLE_S", 0.2)
    mesh = mesh_of(server)
    decide(mesh)
    stream = server.stream()
    assert stream.names[ENDPOINT.value] == {PAYMENT}
    wait_for(lambda: PAYMENT not in mesh.snapshot.assignments)
    assert isinstance(decide(mesh).cluster, ClusterRuntime)


def test_one_callers_short_deadline_leaves_the_other_callers_subscription_alone(
    server: AdsServer, mesh_of: MakeMesh
) -> None:
    server.automatic = False
    mesh = mesh_of(server)
    with pytest.raises(NotReadyError):
        mesh.wait_ready(0.05)
    server.automatic = True
    stream = server.stream()
    for request in list(stream.requests):
        server._asked(stream, request)
    mesh.wait_ready(10)
    decide(mesh)


def test_names_of_dns_clusters_are_resolved(server: AdsServer, mesh_of: MakeMesh) -> None:
    mesh = mesh_of(server)
    assert decide(mesh, "http://geo.example.com/").host.address == "127.0.0.1:18080"


def test_each_dns_cluster_is_resolved_when_it_is_first_needed(server: AdsServer, mesh_of: MakeMesh) -> None:
    """Not when those before it are looked at again: istiod has that done once a minute."""
    geo = "outbound|80||geo.example.com"
    second = pb.cluster_v3.Cluster.FromString(server.resources[CLUSTER.value][geo])
    second.name = "outbound|80||other.example.com"
    server.set(CLUSTER, second.name, second)
    mesh = mesh_of(server)
    assert decide(mesh, "http://geo.example.com/").host.address == "127.0.0.1:18080"
    mesh.runtime.subscribe(CLUSTER, [second.name])
    wait_for(lambda: second.name in mesh.snapshot.resolved)


def test_a_dns_cluster_that_changes_is_resolved_anew(server: AdsServer, mesh_of: MakeMesh) -> None:
    geo = "outbound|80||geo.example.com"
    mesh = mesh_of(server)
    assert decide(mesh, "http://geo.example.com/").host.address == "127.0.0.1:18080"
    changed = pb.cluster_v3.Cluster.FromString(server.resources[CLUSTER.value][geo])
    address = changed.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address
    address.port_value = 18081
    server.set(CLUSTER, geo, changed)
    server.push(CLUSTER)
    wait_for(lambda: decide(mesh, "http://geo.example.com/").host.address == "127.0.0.1:18081")
    address.address = "nowhere.invalid"
    server.set(CLUSTER, geo, changed)
    server.push(CLUSTER)
    wait_for(lambda: decide(mesh, "http://geo.example.com/").reply is not None)
    assert decide(mesh, "http://geo.example.com/").reply.flag == "UH"


def test_a_mistake_of_our_own_costs_a_stream_and_not_the_control_thread(
    server: AdsServer, mesh_of: MakeMesh, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mesh = mesh_of(server)
    decide(mesh)
    graph, streams = mesh._graph, len(server.streams)
    assert graph is not None
    apply = graph.apply
    seen: list[Any] = []

    def fails_once(response: Any) -> Any:
        if not seen:
            seen.append(response)
            raise KeyError("what nobody thought of")
        return apply(response)

    monkeypatch.setattr(graph, "apply", fails_once, raising=False)
    with caplog.at_level(logging.ERROR, "proxyless.xds"):
        server.push(CLUSTER)
        wait_for(lambda: len(server.streams) > streams)
    assert "internal error: KeyError('what nobody thought of')" in caplog.text
    decide(mesh)
    server.set(CLUSTER, "new", pb.cluster_v3.Cluster(name="new"))
    wait_for(lambda: server.stream().acked(CLUSTER.value))
    server.push(CLUSTER)
    wait_for(lambda: "new" in mesh.snapshot.clusters)
