"""What leads to a proxy: services that select it, its WorkloadEntry, or its address; and who it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxyless.xds.controlplane.registry.node import NodeError, parse_node
from proxyless.xds.controlplane.registry.proxy import place
from tests.xds.controlplane.emit.registries import pod, slice_, targets, thing
from tests.xds.controlplane.support import istio, service, view, world

HOST = "web.shop.svc.cluster.local"
WEB = {"app": "web"}
POD = pod("web-0", "10.1.0.1", WEB, spec="{containers: [{name: c, ports: [{name: main, containerPort: 8080}]}]}")
AT: dict[str, Any] = {"ip": "10.1.0.1", "pod": "web-0"}


def test_a_service_that_selects_the_pod_leads_to_it_each_target_and_protocol_once() -> None:
    text = POD + service(
        "web", "http:80:8080", "http-more:81:8080", "tcp:82:8080", "grpc:83:main", "x:84:gone", "http-b:85"
    )
    assert targets(text, **AT) == [(HOST, 80, 8080), (HOST, 82, 8080), (HOST, 83, 8080), (HOST, 85, 85)]


def test_ports_of_init_containers_that_run_on_count() -> None:
    init = "{name: a, restartPolicy: Always, ports: [{name: main, containerPort: 9000}]}"
    once = "{name: b, ports: [{name: once, containerPort: 9001}]}"
    text = pod("web-0", "10.1.0.1", WEB, spec=f"{{initContainers: [{init}, {once}]}}")
    assert targets(text + service("web", "http:80:main", "tcp:81:once"), **AT) == [(HOST, 80, 9000)]


def test_the_oldest_service_comes_first_then_the_first_name() -> None:
    spec = "spec: {clusterIP: 10.96.0.1, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}"
    text = POD + "".join(
        thing("Service", name, spec, creationTimestamp=f"2026-01-0{day}T00:00:00Z")
        for name, day in (("c", 2), ("b", 2), ("a", 3), ("z", 1))
    )
    assert [host[0] for host, _, _ in targets(text, **AT)] == ["z", "b", "c", "a"]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({}, [(HOST, 80, 8080), (HOST, 82, 82)]),
        ({"POD_PORTS": json.dumps([{"name": "main", "containerPort": 9000, "protocol": "TCP"}])}, [(HOST, 81, 9000)]),
        ({"POD_PORTS": [{"name": "main", "containerPort": 9000}, 7]}, [(HOST, 81, 9000)]),
        ({"POD_PORTS": "["}, []),
    ],
)
def test_without_a_pod_a_proxy_s_own_labels_and_ports_count(said: dict[str, Any], found: list[Any]) -> None:
    text = service("web", "http:80:8080", "tcp:81:main", "http-b:82")
    every = [(HOST, 80, 8080), (HOST, 82, 82)]
    assert sorted(targets(text, labels=WEB, **said)) == sorted({*every, *found})


def test_a_service_without_a_selector_leads_to_whom_its_slices_name() -> None:
    spec = "spec: {clusterIP: None, ports: [{name: tcp, port: 80}]}"
    text = POD + thing("Service", "web", spec) + slice_("web", "tcp:7000 none:1", "10.1.0.1")
    assert targets(text, **AT) == [(HOST, 80, 7000)]
    # Any service that selects it, even by none of its ports, and no slice is asked.
    assert targets(text + service("b", "http:80:gone", rest="{selector: {app: web}}"), **AT) == []


def test_a_proxy_of_another_cluster_has_no_kubernetes_services_here() -> None:
    text = POD + service("web", "http:80:8080")
    assert targets(text, CLUSTER_ID="other", **AT) == []
    assert view(text, CLUSTER_ID="other", **AT).proxy.labels.get("app") is None
    assert targets(text, CLUSTER_ID="", **AT) == [(HOST, 80, 8080)]


# -- WorkloadEntries and ServiceEntries


def vm(name: str, spec: str, **metadata: Any) -> str:
    return istio("WorkloadEntry", name, spec, **metadata)


def test_a_workload_entry_at_its_address_says_what_a_proxy_serves() -> None:
    text = vm("vm", "{address: 10.3.0.1, labels: {app: web}, ports: {http: 9000}}")
    text += service("web", "http:80:8080", "tcp:81:named") + service(
        "db", "tcp:1", ip="None", rest="{selector: {app: web}}"
    )
    assert targets(text, ip="10.3.0.1") == [(HOST, 80, 9000)]


def test_udp_does_not_lead_to_a_workload_entry() -> None:
    ports = "[{name: dns, port: 53, protocol: UDP}, {name: http, port: 80}]"
    text = thing("Service", "web", f"spec: {{clusterIP: 10.96.0.1, selector: {{app: web}}, ports: {ports}}}")
    assert targets(text + vm("vm", "{address: 10.3.0.1, labels: {app: web}}"), ip="10.3.0.1") == [(HOST, 80, 80)]
    assert (HOST, 53, 53) in targets(text + POD, **AT)


@pytest.mark.parametrize(
    ("pod_name", "namespace", "number"),
    [("two", "shop", 2), ("else", "shop", 2), ("three", "other", 3), ("x", "far", 3)],
)
def test_of_several_entries_at_an_address_the_one_of_the_proxy_s_name_counts(
    pod_name: str, namespace: str, number: int
) -> None:
    entry = "{{address: 10.3.0.1, labels: {{app: web}}, ports: {{http: {}}}}}"
    text = vm("two", entry.format(2)) + vm("zwei", entry.format(9)) + vm("three", entry.format(3), namespace="other")
    text += service("web", "http:80") + service("web", "http:80", namespace="other", ip="10.96.0.2")
    assert [t for *_, t in targets(text, ip="10.3.0.1", pod=pod_name, namespace=namespace)] == [number]


def test_entries_of_the_own_namespace_lead_to_each_address_of_a_proxy() -> None:
    ports = "ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}], resolution: STATIC"
    text = istio("ServiceEntry", "a", f"{{hosts: [a.internal], {ports}, endpoints: [{{address: 10.3.0.1}}]}}")
    text += istio("ServiceEntry", "b", f"{{hosts: [b.internal], {ports}, endpoints: [{{address: 'fd00::3'}}]}}")
    far = f"{{hosts: [c.internal], {ports}, endpoints: [{{address: 10.3.0.1}}]}}"
    text += istio("ServiceEntry", "c", far, namespace="other")
    found = targets(text, ip="10.3.0.1,fd00::3")
    assert found == [("a.internal", 80, 8080), ("b.internal", 80, 8080)]


def test_without_a_pod_an_entry_at_its_address_says_a_proxy_s_labels() -> None:
    spec = "{hosts: [a.internal], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, "
    spec += "endpoints: [{address: 10.3.0.1, labels: {app: db}, locality: r1/a}]}"
    proxy = view(istio("ServiceEntry", "a", spec), ip="10.3.0.1", labels=WEB, STATIC_LABELS={"team": "x"}).proxy
    assert (proxy.labels["app"], proxy.labels["team"], proxy.locality) == ("db", "x", ("r1", "a", ""))


def test_a_process_at_a_loopback_address_says_its_labels_itself_where_others_stand_there_too() -> None:
    spec = "{hosts: [a.internal], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, "
    spec += "endpoints: [{address: 127.0.0.1, labels: {app: db}}]}"
    made = world(istio("ServiceEntry", "a", spec) + pod("till-0", "127.0.0.1", {"app": "till", "version": "v1"}))
    at = "sidecar~127.0.0.1~x.shop~shop.svc.cluster.local"
    for labels, agent, found in (
        ({"app": "web"}, "proxyless", {"app": "web"}),
        ({}, "proxyless", {"app": "till", "version": "v1"}),
        ({"app": "till"}, "proxyless", {"app": "till", "version": "v1"}),
        ({"app": "web"}, "envoy", {"app": "db"}),
    ):
        proxy = place(parse_node(at, {"NAMESPACE": "shop", "LABELS": labels}, agent=agent), made)
        assert {name: value for name, value in proxy.labels.items() if "/" not in name} == found


# -- who it is


def test_a_pod_is_found_by_its_name_and_by_its_address_by_processes_alone() -> None:
    made = world(POD + pod("web-1", "10.1.0.2", WEB | {"version": "v2"}))
    named = parse_node("sidecar~10.1.0.2~web-0.shop~shop.svc.cluster.local", {"NAMESPACE": "shop"})
    assert "version" not in place(named, made).labels
    unknown = parse_node("sidecar~10.1.0.2~x.shop~shop.svc.cluster.local", {"NAMESPACE": "shop"})
    assert place(unknown, made).labels == {}
    process = parse_node("sidecar~10.1.0.2~x.shop~shop.svc.cluster.local", {"NAMESPACE": "shop"}, agent="proxyless")
    assert place(process, made).labels["version"] == "v2"
    elsewhere = parse_node("sidecar~10.1.0.2~web-1.shop~shop.svc.cluster.local", {"NAMESPACE": "other"})
    assert place(elsewhere, made).labels == {}


def test_of_several_pods_at_an_address_a_process_is_the_one_of_its_namespace() -> None:
    made = world(pod("a", "10.1.0.2", {"app": "a"}, namespace="other") + pod("b", "10.1.0.2", {"app": "b"}))
    process = parse_node("sidecar~10.1.0.2~x.shop~shop.svc.cluster.local", {"NAMESPACE": "shop"}, agent="proxyless")
    assert place(process, made).labels["app"] == "b"


def test_only_a_proxy_says_which_node_it_is_on() -> None:
    text = pod("web-0", "10.1.0.1", WEB, spec="{nodeName: n1}")
    assert "kubernetes.io/hostname" not in view(text, **AT).proxy.labels
    assert view(text, NODE_NAME="n2", **AT).proxy.labels["kubernetes.io/hostname"] == "n2"
    assert view(text, NODE_NAME="n2", **AT).proxy.node_name == "n2"


def test_a_proxy_has_its_network_as_a_label_unless_its_pod_has_one() -> None:
    assert view(POD, NETWORK="near", **AT).proxy.labels["topology.istio.io/network"] == "near"
    labelled = pod("web-0", "10.1.0.1", WEB | {"topology.istio.io/network": "own"})
    assert view(labelled, NETWORK="near", **AT).proxy.labels["topology.istio.io/network"] == "own"


@pytest.mark.parametrize(
    ("ips", "addresses"), [("10.0.0.1,fd00::1", ("10.0.0.1", "fd00::1")), ("10.0.0.1,x", ("10.9.0.1",))]
)
def test_of_wrong_addresses_none_counts_but_the_one_of_the_id(ips: str, addresses: tuple[str, ...]) -> None:
    node = parse_node("sidecar~10.9.0.1~a.shop~shop.svc.cluster.local", {"INSTANCE_IPS": ips})
    assert node.addresses == addresses
    with pytest.raises(NodeError):
        parse_node("sidecar~x~a.shop~shop.svc.cluster.local", {"INSTANCE_IPS": "x"})
