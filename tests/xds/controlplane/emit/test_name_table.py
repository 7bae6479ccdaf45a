"""The name table: what a name resolves to in a proxy's pod, and which addresses listeners and routes are made for."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.xds.controlplane.discovery import rules
from tests.xds.controlplane.emit.registries import names, pod, slice_, thing
from tests.xds.controlplane.support import istio, made, service, view

DB = "db.shop.svc.cluster.local"
HEADLESS = "spec: {clusterIP: None, ports: [{name: tcp, port: 5432}]}"


def member(index: int, **given: Any) -> str:
    spec = given.pop("spec", "{subdomain: db}")
    return pod(f"db-{index}", f"10.1.0.{index}", {"app": "db"} | given.pop("labels", {}), spec=spec, **given)


MEMBERS = member(1) + member(2) + slice_("db", "tcp:5432", "10.1.0.1=db-1", "10.1.0.2=db-2", name="db")


def test_a_headless_service_s_name_leads_to_all_pods_and_each_pod_has_its_own() -> None:
    assert names(thing("Service", "db", HEADLESS) + MEMBERS) == {
        DB: ["10.1.0.1", "10.1.0.2"],
        f"db-1.{DB}": ["10.1.0.1"],
        f"db-2.{DB}": ["10.1.0.2"],
    }


def test_pods_are_named_as_they_say_and_only_where_they_have_a_subdomain() -> None:
    text = member(1, spec="{subdomain: sub, hostname: first}") + member(2, spec="{}")
    text += slice_("db", "tcp:5432", "10.1.0.1=db-1", "10.1.0.2=db-2")
    found = names(thing("Service", "db", HEADLESS) + text)
    assert found == {DB: ["10.1.0.1", "10.1.0.2"], "first.sub.shop.svc.cluster.local": ["10.1.0.1"]}


@pytest.mark.parametrize("publish", [False, True])
def test_pods_that_are_not_ready_are_published_where_the_service_says_so(publish: bool) -> None:
    spec = (
        f"spec: {{clusterIP: None, publishNotReadyAddresses: {str(publish).lower()}, ports: [{{name: tcp, port: 1}}]}}"
    )
    unready = "{addresses: [10.1.0.2], conditions: {ready: false, terminating: false}}"
    found = names(thing("Service", "db", spec) + slice_("db", "tcp:1", "10.1.0.1", unready))
    assert found == {DB: ["10.1.0.1", "10.1.0.2"] if publish else ["10.1.0.1"]}


def test_only_endpoints_of_the_service_s_ports_count() -> None:
    text = thing("Service", "db", HEADLESS) + slice_("db", "other:1", "10.1.0.9", name="other")
    assert names(text) == {}
    assert names(text + slice_("db", "tcp:2", "10.1.0.1")) == {DB: ["10.1.0.1"]}


def test_other_networks_are_not_reached_by_name_and_other_clusters_are() -> None:
    text = thing("Service", "db", HEADLESS) + member(1, labels={"topology.istio.io/network": "far"}) + member(2)
    text += slice_("db", "tcp:5432", "10.1.0.1=db-1", "10.1.0.2=db-2")
    assert names(text, NETWORK="near") == {DB: ["10.1.0.2"], f"db-2.{DB}": ["10.1.0.2"]}
    assert len(names(text, NETWORK="far")) == 3
    assert set(names(text, CLUSTER_ID="other")) == {DB, f"db-1.{DB}", f"db-2.{DB}"}


def test_every_port_s_endpoints_count_also_where_a_sidecar_has_one_port() -> None:
    spec = "spec: {clusterIP: None, ports: [{name: tcp, port: 5432}, {name: tcp-b, port: 5433}]}"
    text = (
        thing("Service", "db", spec)
        + slice_("db", "tcp:5432", "10.1.0.1")
        + slice_("db", "tcp-b:1", "10.1.0.2", name="b")
    )
    sidecar = "{egress: [{port: {number: 5433, protocol: TCP, name: tcp}, hosts: ['*/*']}]}"
    assert names(text) == {DB: ["10.1.0.1", "10.1.0.2"]}
    assert names(text + istio("Sidecar", "s", sidecar)) == {DB: ["10.1.0.1", "10.1.0.2"]}


def test_a_headless_service_of_two_egress_listeners_stands_there_once() -> None:
    sidecar = "{egress: [{port: {number: 5432, protocol: TCP, name: tcp}, hosts: ['*/*']}, {hosts: ['*/*']}]}"
    found = names(thing("Service", "db", HEADLESS) + MEMBERS + istio("Sidecar", "s", sidecar))
    assert found[f"db-1.{DB}"] == ["10.1.0.1"]


# -- addresses by family

BOTH = "spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd00:96::1'], ports: [{name: tcp, port: 80}]}"


@pytest.mark.parametrize(
    ("ip", "found"),
    [
        ("10.0.0.1", ["10.96.0.1"]),
        ("fd00::1", ["fd00:96::1"]),
        # istiod without its dual stack gives a proxy of both families those of the first.
        ("10.0.0.1,fd00::1", ["10.96.0.1"]),
    ],
)
def test_a_service_of_both_families_is_called_by_the_proxy_s(ip: str, found: list[str]) -> None:
    text = thing("Service", "db", BOTH)
    assert names(text, ip=ip) == {DB: found}
    tcp = {name for name in made(view(text, ip=ip), rules.LISTENER) if not name.startswith("virtual")}
    assert tcp == {f"{address}_80" for address in found}


def test_a_service_of_the_other_family_has_no_name_and_its_listener_all_the_same() -> None:
    text = service("db", "tcp:80") + service("web", "http:8080", ip="10.96.0.2")
    assert names(text, ip="fd00::1") == {}
    seen = view(text, ip="fd00::1")
    assert "10.96.0.1_80" in made(seen, rules.LISTENER)
    (host, *_) = made(seen, rules.ROUTE, "8080")["8080"]["virtual_hosts"]
    assert not any(domain[0].isdigit() for domain in host["domains"])


def test_headless_services_are_unknown_by_name_to_ipv6_alone() -> None:
    assert names(thing("Service", "db", HEADLESS) + MEMBERS, ip="fd00::1") == {}


def test_a_proxy_of_another_cluster_calls_a_service_by_its_first_address() -> None:
    assert names(thing("Service", "db", BOTH), CLUSTER_ID="other") == {DB: ["10.96.0.1"]}
    assert names(thing("Service", "db", BOTH), CLUSTER_ID="other", ip="fd00::1") == {}


# -- addresses that istiod's controller gave


def assigned(resolution: str = "STATIC", rest: str = "", labels: dict[str, str] | None = None) -> str:
    spec = (
        f"hosts: [a.internal, b.internal], ports: [{{number: 443, name: tls, protocol: TLS}}], resolution: {resolution}"
    )
    given = (
        ("240.240.0.1", "a.internal"),
        ("2001:2::1", "a.internal"),
        ("240.240.0.2", "b.internal"),
        ("x", "a.internal"),
    )
    status = ", ".join(f"{{value: '{value}', host: {host}}}" for value, host in given)
    text = istio("ServiceEntry", "a", f"{{{spec}{rest}}}", labels=labels or {})
    return f"{text}status: {{addresses: [{status}]}}\n"


CAPTURE: dict[str, Any] = {"DNS_CAPTURE": "true"}


def test_a_proxy_that_resolves_names_calls_entries_by_assigned_addresses() -> None:
    assert names(assigned()) == {}
    assert names(assigned(), **CAPTURE) == {"a.internal": ["240.240.0.1"], "b.internal": ["240.240.0.2"]}
    assert names(assigned(), ip="fd00::1", **CAPTURE) == {"a.internal": ["2001:2::1"]}
    listeners = made(view(assigned(), **CAPTURE), rules.LISTENER)
    assert {"240.240.0.1_443", "240.240.0.2_443"} <= listeners.keys()
    assert "0.0.0.0_443" in made(view(assigned()), rules.LISTENER)


@pytest.mark.parametrize(
    "text",
    [
        assigned("NONE"),
        assigned(labels={"networking.istio.io/enable-autoallocate-ip": "False"}),
        assigned(rest=", addresses: [10.9.0.1]"),
    ],
)
def test_addresses_that_should_not_have_been_assigned_do_not_count(text: str) -> None:
    assert not any(address.startswith("240.") for each in names(text, **CAPTURE).values() for address in each)
