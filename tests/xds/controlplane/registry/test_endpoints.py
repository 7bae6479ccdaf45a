"""Endpoints: who they are, whether they are well, and which of them a service has."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.xds.controlplane.discovery import rules
from tests.xds.controlplane.emit.registries import addresses, pod, sent, slice_, thing
from tests.xds.controlplane.support import istio, made, mesh, service, view, world

WEB = "outbound|80||web.shop.svc.cluster.local"
APP = {"app": "web"}
SERVICE = service("web", "http:80:8080")


def health(conditions: str, labels: dict[str, str] | None = None) -> list[str]:
    text = thing("Service", "web", "spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}", labels=labels or {})
    text += slice_("web", "http:8080", f"{{addresses: [10.1.0.1], conditions: {{{conditions}}}}}")
    return [each["health"] for each in sent(text, WEB)]


SESSIONS = {"istio.io/persistent-session": "cookie"}
BY_HEADER = {"istio.io/persistent-session-header": "x-session"}


@pytest.mark.parametrize(
    ("conditions", "labels", "sent_as"),
    [
        ("", {}, ["HEALTHY"]),
        ("ready: true", {}, ["HEALTHY"]),
        ("ready: false, terminating: false", {}, ["UNHEALTHY"]),
        ("ready: false, terminating: true", {}, []),
        ("ready: false", {}, []),
        ("ready: false, serving: true, terminating: true", SESSIONS, ["DRAINING"]),
        ("ready: false", SESSIONS, ["DRAINING"]),
        ("ready: false, serving: false, terminating: true", SESSIONS, []),
        ("ready: false, serving: true, terminating: false", SESSIONS, ["UNHEALTHY"]),
        # istiod notes these as draining too, and then leaves out what drains: only the cookie's label lets it pass.
        ("ready: false, serving: true, terminating: true", BY_HEADER, []),
        ("ready: false, serving: true, terminating: true", {"istio.io/persistent-session": ""}, []),
    ],
)
def test_conditions_say_whether_an_endpoint_is_well(
    conditions: str, labels: dict[str, str], sent_as: list[str]
) -> None:
    assert health(conditions, labels) == sent_as


def test_a_pod_that_is_labelled_as_draining_serves_sessions_alone() -> None:
    text = pod("web-0", "10.1.0.1", APP | {"istio.io/draining": "yes"}) + slice_("web", "http:8080", "10.1.0.1=web-0")
    assert addresses(SERVICE + text, WEB) == []
    with_sessions = "spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}"
    sessions = thing("Service", "web", with_sessions, labels=SESSIONS)
    assert [each["health"] for each in sent(sessions + text, WEB)] == ["DRAINING"]


def test_sessions_may_go_on_where_endpoints_drain() -> None:
    spec = "spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}"
    cluster = made(view(thing("Service", "web", spec, labels=BY_HEADER)), rules.CLUSTER)[WEB]
    statuses = cluster["common_lb_config"]["override_host_status"]["statuses"]
    assert statuses == ["HEALTHY", "DRAINING", "UNKNOWN", "DEGRADED"]
    plain = made(view(SERVICE), rules.CLUSTER)[WEB]
    assert "override_host_status" not in plain["common_lb_config"]


def test_an_endpoint_is_what_its_pod_is() -> None:
    node = "---\napiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {topology.kubernetes.io/region: r1}}\n"
    web = pod(
        "web-0",
        "10.1.0.1",
        APP | {"security.istio.io/tlsMode": "istio", "version": "v1"},
        spec="{nodeName: n1, serviceAccountName: web}",
    )
    (found,) = sent(node + web + SERVICE + slice_("web", "http:8080", "10.1.0.1=web-0"), WEB)
    assert found == {
        "address": "10.1.0.1:8080",
        "health": "HEALTHY",
        "weight": 1,
        "workload": "web-0;shop;web;v1;Kubernetes",
        "tls": "istio",
        "locality": "r1",
    }


@pytest.mark.parametrize("label", ["topology.istio.io/locality", "istio-locality"])
def test_a_label_says_a_pod_s_locality(label: str) -> None:
    web = pod("web-0", "10.1.0.1", APP | {label: "r2.b.c"})
    (found,) = sent(web + SERVICE + slice_("web", "http:8080", "10.1.0.1=web-0"), WEB)
    assert found["locality"] == "r2/b/c"


@pytest.mark.parametrize(
    ("status", "known"),
    [("", True), ("phase: Running", True), ("phase: Succeeded", True), ("phase: Failed", False)],
)
def test_a_slice_s_pod_must_be_there_and_not_have_failed(status: str, known: bool) -> None:
    web = pod("web-0", "10.1.0.1", APP, status=f"{{{status}}}")
    text = SERVICE + slice_("web", "http:8080", "10.1.0.1=web-0", "10.1.0.9=gone")
    assert addresses(web + text, WEB) == (["10.1.0.1:8080"] if known else [])


@pytest.mark.parametrize(
    ("status", "metadata", "known"),
    [
        ("", {}, True),
        ("conditions: []", {}, True),
        ("conditions: [{type: Initialized, status: 'True'}]", {}, False),
        ("conditions: [{type: Ready, status: 'False'}]", {}, False),
        ("phase: Succeeded", {}, False),
        ("", {"deletionTimestamp": "2026-01-01T00:00:00Z"}, False),
        ("", {"namespace": "other"}, False),
    ],
)
def test_an_endpoint_without_a_target_is_a_ready_pod_at_its_address(
    status: str, metadata: dict[str, Any], known: bool
) -> None:
    web = pod("web-0", "10.1.0.1", APP, status=f"{{{status}}}", **metadata)
    (found,) = sent(web + SERVICE + slice_("web", "http:8080", "10.1.0.1"), WEB)
    assert found["workload"] == ("web-0;shop;web;;Kubernetes" if known else ";;;;Kubernetes")


def test_slices_of_other_clusters_and_of_names_are_none() -> None:
    labels = {"multicluster.kubernetes.io/service-name": "web"}
    text = slice_("web", "http:8080", "10.1.0.1", name="far", labels=labels)
    text += slice_("web", "http:8080", "a.example.com", name="named", family="FQDN")
    assert addresses(SERVICE + text, WEB) == []


def test_an_address_that_stands_in_two_slices_counts_once_in_each_family() -> None:
    text = slice_("web", "http:8080", "10.1.0.1", "10.1.0.2", name="one") + slice_(
        "web", "http:8080", "10.1.0.1", name="two"
    )
    text += slice_("web", "http:8080", "fd00::1", name="six", family="IPv6")
    assert addresses(SERVICE + text, WEB) == ["10.1.0.1:8080", "10.1.0.2:8080", "fd00::1:8080"]


def test_endpoints_objects_count_unless_they_must_not_be_mirrored() -> None:
    body = (
        "subsets: [{addresses: [{ip: 10.1.0.1}], notReadyAddresses: [{ip: 10.1.0.2}], ports: [{name: http, port: 1}]}]"
    )
    found = sent(SERVICE + thing("Endpoints", "web", body), WEB)
    assert [(each["address"], each["health"]) for each in found] == [
        ("10.1.0.1:1", "HEALTHY"),
        ("10.1.0.2:1", "UNHEALTHY"),
    ]
    alone = thing("Endpoints", "web", body, labels={"endpointslice.kubernetes.io/skip-mirror": "true"})
    assert sent(SERVICE + alone, WEB) == []


def test_a_change_takes_over_what_it_does_not_touch() -> None:
    text = SERVICE + slice_("web", "http:8080", "10.1.0.1") + istio("WorkloadEntry", "vm", "{address: 10.1.0.7}")
    text += service("b", "http:80", ip="10.96.0.2") + slice_("b", "http:80", "10.1.0.2")
    before = world(text)
    after = world(text.replace("10.1.0.2", "10.1.0.3"), before=before)
    key = ("shop", "web.shop.svc.cluster.local")
    assert after.instances[key] is before.instances[key]


# -- WorkloadEntries


def vm(spec: str, **metadata: Any) -> str:
    return istio("WorkloadEntry", metadata.pop("name", "vm-0"), spec, **metadata)


def test_a_workload_entry_is_an_endpoint_of_services_that_select_it() -> None:
    text = vm(
        "{address: 10.3.0.1, labels: {app: x}, weight: 3, locality: r1/a, serviceAccount: vm}",
        labels={"app": "web", "service.istio.io/workload-name": "machine"},
    )
    (found,) = sent(SERVICE + text, WEB)
    assert found == {
        "address": "10.3.0.1:8080",
        "health": "UNKNOWN",
        "weight": 3,
        "workload": "machine;shop;web;;Kubernetes",
        "tls": "istio",
        "locality": "r1/a",
    }
    grouped = vm("{address: 10.3.0.1, labels: {app: web}}", annotations={"istio.io/autoRegistrationGroup": "vms"})
    assert sent(SERVICE + grouped, WEB)[0]["workload"] == "vms;shop;web;;Kubernetes"


@pytest.mark.parametrize(
    ("ports", "entry", "number"),
    [
        ("http:80:8080", "{}", 8080),
        ("http:80", "{}", 80),
        ("http:80:8080", "{http: 9000}", 9000),
        ("http:80:web", "{web: 9001, http: 9000}", 9001),
        ("http:80:web", "{http: 9000}", None),
    ],
)
def test_a_workload_entry_s_ports_are_looked_up_by_name(ports: str, entry: str, number: int | None) -> None:
    found = addresses(service("web", ports) + vm(f"{{address: 10.3.0.1, labels: {{app: web}}, ports: {entry}}}"), WEB)
    assert found == ([] if number is None else [f"10.3.0.1:{number}"])


@pytest.mark.parametrize("address", ["vm.example.com", "unix:///run/x"])
def test_names_and_sockets_are_nothing_to_a_service(address: str) -> None:
    assert addresses(SERVICE + vm(f'{{address: "{address}", labels: {{app: web}}}}'), WEB) == []


@pytest.mark.parametrize(
    ("said", "status", "known"),
    [
        (None, None, True),
        ("false", None, True),
        ("true", None, False),
        ("true", "True", True),
        ("true", "False", False),
    ],
)
def test_a_probed_entry_counts_while_its_probes_succeed(said: str | None, status: str | None, known: bool) -> None:
    notes = {"proxy.istio.io/health-checks-enabled": said} if said else {}
    text = vm("{address: 10.3.0.1, labels: {app: web}}", annotations=notes)
    if status:
        text += f"status: {{conditions: [{{type: Healthy, status: '{status}'}}]}}\n"
    assert addresses(SERVICE + text, WEB) == (["10.3.0.1:8080"] if known else [])


def test_a_headless_service_selects_no_entries() -> None:
    text = service("web", "http:80", ip="None") + vm("{address: 10.3.0.1, labels: {app: web}}")
    assert world(text).instances.get(("shop", "web.shop.svc.cluster.local")) is None or not addresses(text, WEB)


# -- ServiceEntries

ENTRY = "outbound|9000||vm.internal"


def entry(rest: str, resolution: str = "STATIC") -> str:
    ports = "ports: [{number: 9000, name: http, protocol: HTTP, targetPort: 9009}]"
    return istio("ServiceEntry", "vms", f"{{hosts: [vm.internal], {ports}, resolution: {resolution}, {rest}}}")


def test_an_entry_selects_ready_pods_and_then_workload_entries() -> None:
    text = entry("workloadSelector: {labels: {app: web}}") + vm("{address: 10.3.0.1, labels: {app: web}}")
    text += vm("{address: vm.example.com, labels: {app: web}}", name="vm-1")
    ports = "{containers: [{name: c, ports: [{name: http, containerPort: 7000}]}]}"
    text += pod("web-1", "10.1.0.1", APP, spec=ports) + pod("web-2", "10.1.0.2", APP)
    text += pod("web-3", "10.1.0.3", APP, status="{conditions: [{type: Ready, status: 'False'}]}")
    found = [(each["address"], each["health"]) for each in sent(text, ENTRY)]
    assert found == [("10.1.0.1:7000", "HEALTHY"), ("10.1.0.2:9009", "HEALTHY"), ("10.3.0.1:9009", "UNKNOWN")]


def test_a_selector_may_name_topology() -> None:
    text = entry("workloadSelector: {labels: {topology.kubernetes.io/region: r1}}")
    text += vm("{address: 10.3.0.1, locality: r1/a}") + vm("{address: 10.3.0.2, locality: r2}", name="vm-1")
    assert addresses(text, ENTRY) == ["10.3.0.1:9009"]


def test_an_entry_s_own_endpoints_are_named_after_it() -> None:
    labels = "{app: db, service.istio.io/workload-name: mine, security.istio.io/tlsMode: ''}"
    text = entry(f"endpoints: [{{address: 10.2.0.1, labels: {labels}, serviceAccount: db}}]")
    (found,) = sent(text, ENTRY)
    assert (found["workload"], found["tls"]) == ("vms-0;shop;db;;Kubernetes", "")


# -- networks


@pytest.mark.parametrize(
    ("labels", "home", "networks", "network"),
    [
        ({}, {}, "", None),
        ({"topology.istio.io/network": "own"}, {"topology.istio.io/network": "home"}, "", "own"),
        ({}, {"topology.istio.io/network": "home"}, "networks: {a: {endpoints: [{fromRegistry: Kubernetes}]}}", "home"),
        ({}, {}, "networks: {a: {endpoints: [{fromRegistry: Kubernetes}]}}", "a"),
        ({}, {}, "networks: {b: {endpoints: [{fromCidr: 10.1.0.0/16}]}}", "b"),
        ({}, {}, "networks: {b: {endpoints: [{fromCidr: 10.9.0.0/16}]}}", None),
    ],
)
def test_the_network_of_a_workload(
    labels: dict[str, str], home: dict[str, str], networks: str, network: str | None
) -> None:
    text = pod("web-0", "10.1.0.1", APP | labels) + mesh("{}", networks=networks or "{}")
    text += thing("Namespace", "istio-system", labels=home).replace("  namespace: shop\n", "")
    assert world(text).workloads["shop", "web-0"].labels.get("topology.istio.io/network") == network
