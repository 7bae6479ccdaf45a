"""Endpoints in other networks: through gateways, by weight; and which networks a proxy is told of."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.discovery.changes import between
from tests.xds.controlplane.emit.registries import addresses, pod, sent, slice_, thing
from tests.xds.controlplane.support import endpoints, istio, made, mesh, service, view, world

WEB = "outbound|80||web.shop.svc.cluster.local"
MTLS = {"security.istio.io/tlsMode": "istio"}


def member(index: int, network: str = "", labels: dict[str, str] | None = None) -> str:
    own = {"topology.istio.io/network": network} if network else {}
    return pod(f"web-{index}", f"10.1.0.{index}", {"app": "web"} | (MTLS if labels is None else labels) | own)


def members(*networks: str) -> str:
    pods = "".join(member(index, network) for index, network in enumerate(networks, 1))
    refs = [f"10.1.0.{index}=web-{index}" for index in range(1, len(networks) + 1)]
    return service("web", "http:80:8080") + pods + slice_("web", "http:8080", *refs)


def networks(*gateways: str) -> str:
    return mesh("{}", networks=f"networks: {{far: {{endpoints: [], gateways: [{', '.join(gateways)}]}}}}")


ONE = "{address: 192.0.2.1, port: 15443}"
TWO = "{address: 192.0.2.2, port: 15443}"


def told(text: str, cluster: str = WEB, **node: Any) -> list[tuple[str, int]]:
    return [(each["address"], each["weight"]) for each in sent(text, cluster, **node)]


def test_without_gateways_every_endpoint_is_called_directly() -> None:
    assert told(members("near", "far"), NETWORK="near") == [("10.1.0.1:8080", 1), ("10.1.0.2:8080", 1)]


def test_another_network_s_endpoints_give_way_to_its_gateway_with_their_weight() -> None:
    text = members("near", "far", "far", "other") + networks(ONE)
    assert told(text, NETWORK="near") == [("10.1.0.1:8080", 1), ("10.1.0.4:8080", 1), ("192.0.2.1:15443", 2)]
    (*_, gateway) = sent(text, WEB, NETWORK="near")
    assert (gateway["tls"], gateway["workload"], gateway["health"]) == ("istio", ";;;;", "UNKNOWN")
    assert told(text, NETWORK="far")[1:3] == [("10.1.0.2:8080", 1), ("10.1.0.3:8080", 1)]


def test_several_gateways_share_and_all_weights_grow_so_that_they_can() -> None:
    text = members("near", "far") + networks(ONE, TWO)
    assert told(text, NETWORK="near") == [("10.1.0.1:8080", 2), ("192.0.2.1:15443", 1), ("192.0.2.2:15443", 1)]


def test_who_does_not_know_its_network_goes_through_gateways() -> None:
    assert told(members("", "far") + networks(ONE)) == [("10.1.0.1:8080", 1), ("192.0.2.1:15443", 1)]


@pytest.mark.parametrize(
    "text",
    [
        service("web", "http:80:8080") + member(1, "far", {}) + slice_("web", "http:8080", "10.1.0.1=web-1"),
        members("far") + istio("PeerAuthentication", "off", "{mtls: {mode: DISABLE}}"),
        members("far") + istio("DestinationRule", "off", "{host: web, trafficPolicy: {tls: {mode: DISABLE}}}"),
    ],
)
def test_without_mtls_nothing_crosses(text: str) -> None:
    assert told(text + networks(ONE), NETWORK="near") == []


@pytest.mark.parametrize(
    ("ip", "found"), [("10.0.0.1", []), ("fd00::9", ["2001:db8::1:1"]), ("10.0.0.1,fd00::9", ["2001:db8::1:1"])]
)
def test_gateways_of_another_family_are_out_of_reach(ip: str, found: list[str]) -> None:
    text = members("far") + networks("{address: '2001:db8::1', port: 1}")
    assert addresses(text, WEB, NETWORK="near", ip=ip) == found


def entry(weight: int = 1, rest: str = "network: far") -> str:
    ports = "ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, location: MESH_INTERNAL"
    endpoint = f"{{{rest}, weight: {weight}, serviceAccount: vm}}"
    return istio("ServiceEntry", "vm", f"{{hosts: [vm.internal], {ports}, endpoints: [{endpoint}]}}")


def test_an_endpoint_of_another_network_needs_no_address() -> None:
    assert told(entry(3) + networks(ONE), "outbound|80||vm.internal", NETWORK="near") == [("192.0.2.1:15443", 3)]
    assert told(entry(3), "outbound|80||vm.internal", NETWORK="near") == []
    assert told(entry(3) + networks(ONE), "outbound|80||vm.internal", NETWORK="far") == []


def test_weights_do_not_grow_beyond_what_fits() -> None:
    most = 2**32 - 1
    text = entry(most, "network: far, address: 10.9.0.1") + networks(ONE, TWO)
    assert told(text, "outbound|80||vm.internal", NETWORK="far") == [("10.9.0.1:80", most)]
    assert told(text, "outbound|80||vm.internal", NETWORK="near") == [
        ("192.0.2.1:15443", most // 2),
        ("192.0.2.2:15443", most // 2),
    ]


# -- services as gateways


def gateway(labels: dict[str, str], rest: str, status: str = "", ports: str = "15443") -> str:
    body = f"spec: {{clusterIP: 10.96.0.99, ports: [{{name: tls, port: {ports}}}], {rest}}}"
    return thing("Service", "east", body + (f"\nstatus: {status}" if status else ""), labels=labels)


FAR = {"topology.istio.io/network": "far"}
BALANCED = "{loadBalancer: {ingress: [{ip: 192.0.2.9}, {hostname: lb.example.com}]}}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (gateway(FAR, "type: LoadBalancer", BALANCED), ["192.0.2.9:15443"]),
        (gateway(FAR, "type: ClusterIP", BALANCED), ["10.1.0.1:8080"]),
        (gateway(FAR, "externalIPs: [192.0.2.7, x]"), ["192.0.2.7:15443"]),
        (gateway(FAR, "externalIPs: [192.0.2.7]", ports="443"), ["10.1.0.1:8080"]),
        (
            gateway(FAR | {"networking.istio.io/gatewayPort": "443"}, "externalIPs: [192.0.2.7]", ports="443"),
            ["192.0.2.7:443"],
        ),
        (gateway(FAR | {"networking.istio.io/gatewayPort": "x"}, "externalIPs: [192.0.2.7]"), ["192.0.2.7:15443"]),
        (gateway({}, "externalIPs: [192.0.2.7]"), ["10.1.0.1:8080"]),
    ],
)
def test_a_service_that_is_labelled_with_a_network_is_its_gateway(text: str, found: list[str]) -> None:
    assert addresses(members("far") + text, WEB, NETWORK="near") == found


def test_a_gateway_may_be_named_by_the_mesh_s_networks() -> None:
    named = "{registryServiceName: east.shop.svc.cluster.local, port: 1234}"
    near = f"networks: {{home: {{endpoints: [{{fromRegistry: Kubernetes}}], gateways: [{named}]}}}}"
    text = members("") + gateway({}, "externalIPs: [192.0.2.7]") + mesh("{}", networks=near)
    assert addresses(text, WEB, NETWORK="near") == ["192.0.2.7:1234"]
    (found,) = sent(text, WEB, NETWORK="near")
    assert found["workload"] == ";;;;Kubernetes"


def test_gateways_that_change_concern_everybody() -> None:
    text = members("far")
    before = world(text + gateway(FAR, "externalIPs: [192.0.2.7]"))
    same = world(text + gateway(FAR, "externalIPs: [192.0.2.7]"), before=before)
    other = world(text + gateway(FAR, "externalIPs: [192.0.2.8]"), before=same)
    assert same.gateways is before.gateways
    assert not between(before, same).everything
    assert between(same, other).everything


def test_a_proxy_is_told_of_the_networks_that_it_asks_for() -> None:
    text = members("near", "far", "")
    found = addresses(text, WEB, NETWORK="near", REQUESTED_NETWORK_VIEW="near,x")
    assert found == ["10.1.0.1:8080", "10.1.0.3:8080"]
    assert len(addresses(text, WEB, REQUESTED_NETWORK_VIEW="")) == 3


def test_endpoints_that_stand_in_a_cluster_give_way_to_gateways_too() -> None:
    ports = "ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS, location: MESH_INTERNAL"
    places = "[{address: a.example.com, network: far, serviceAccount: vm}, {address: b.example.com}]"
    text = istio("ServiceEntry", "vm", f"{{hosts: [vm.internal], {ports}, endpoints: {places}}}") + networks(ONE)

    def inside(of: str, **node: Any) -> list[str]:
        cluster = made(view(of, **node), rules.CLUSTER)["outbound|80||vm.internal"]
        groups = cluster["load_assignment"]["endpoints"]
        members = [each["endpoint"]["address"]["socket_address"] for group in groups for each in group["lb_endpoints"]]
        return [f"{each['address']}:{each['port_value']}" for each in members]

    assert inside(text, NETWORK="near") == ["b.example.com:80", "192.0.2.1:15443"]
    assert inside(text, NETWORK="far") == ["a.example.com:80", "b.example.com:80"]
    assert inside(text, NETWORK="near", REQUESTED_NETWORK_VIEW="near") == ["b.example.com:80"]


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("{}", True),
        ("serviceSettings: [{settings: {clusterLocal: true}, hosts: ['*.shop.svc.cluster.local']}]", False),
        ("serviceSettings: [{settings: {clusterLocal: true}, hosts: ['web.shop.svc.cluster.local']}]", False),
        (
            "serviceSettings: [{settings: {clusterLocal: true}, hosts: ['*.local']}, {hosts: ['*.svc.cluster.local']}]",
            True,
        ),
    ],
)
def test_a_cluster_s_own_services_are_not_called_from_another(settings: str, found: bool) -> None:
    text = members("") + mesh(settings)
    assert addresses(text, WEB) == ["10.1.0.1:8080"]
    assert addresses(text, WEB, CLUSTER_ID="other") == (["10.1.0.1:8080"] if found else [])


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("{}", False),
        ("serviceSettings: [{hosts: ['dns.kube-system.svc.cluster.local']}]", True),
        ("serviceSettings: [{hosts: ['*.kube-system.svc.cluster.local']}]", True),
    ],
)
def test_kubernetes_own_services_are_a_cluster_s_own_unless_the_mesh_says_otherwise(settings: str, found: bool) -> None:
    kube = "kube-system"
    text = service("dns", "tcp:53", namespace=kube) + endpoints("dns", "tcp:53", "10.9.0.1", namespace=kube)
    seen = addresses(text + mesh(settings), "outbound|53||dns.kube-system.svc.cluster.local", CLUSTER_ID="other")
    assert seen == (["10.9.0.1:53"] if found else [])
