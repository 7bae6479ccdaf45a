"""Clusters that hold their endpoints: whom a caller is told of, and in which order of priority."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from tests.xds.controlplane.emit.traffic import Json, assignment, clusters, rule
from tests.xds.controlplane.support import istio, service

HOST = "dns.example.com"
ENTRY = istio(
    "ServiceEntry",
    "dns",
    """
    hosts: [dns.example.com]
    location: MESH_INTERNAL
    resolution: DNS
    ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: other, protocol: HTTP}]
    endpoints:
    - {address: near.example.com, locality: r1/a, labels: {version: v1, security.istio.io/tlsMode: istio}}
    - {address: far.example.com, locality: r2/b, labels: {version: v2}}
    """,
)
ONE_PLACE = ENTRY.replace("locality: r2/b", "locality: r1/a")
NEAR: Json = {"locality": ("r1", "a", ""), "labels": {"version": "v2"}}


def places(text: str, name: str = f"outbound|80||{HOST}", **caller: Any) -> list[tuple[list[str], int]]:
    """The addresses of each group, and its priority."""
    groups = clusters(text, **{**NEAR, **caller})[name]["load_assignment"]["endpoints"]
    return [
        (
            [each["endpoint"]["address"]["socket_address"]["address"] for each in group["lb_endpoints"]],
            group.get("priority", 0),
        )
        for group in groups
    ]


def test_endpoints_near_the_caller_come_first_only_where_others_are_ejected() -> None:
    assert places(ENTRY) == [(["near.example.com"], 0), (["far.example.com"], 0)]
    ejecting = rule("{outlierDetection: {}}", host=HOST)
    assert places(ENTRY + ejecting) == [(["near.example.com"], 0), (["far.example.com"], 1)]
    assert places(ENTRY + ejecting, locality=("r2", "b", "")) == [(["near.example.com"], 1), (["far.example.com"], 0)]


def test_a_ports_own_settings_decide_for_its_cluster_alone() -> None:
    text = ENTRY + rule("{portLevelSettings: [{port: {number: 81}, outlierDetection: {}}]}", host=HOST)
    assert places(text) == [(["near.example.com"], 0), (["far.example.com"], 0)]
    assert places(text, f"outbound|81||{HOST}") == [(["near.example.com"], 0), (["far.example.com"], 1)]


def test_labels_tell_endpoints_of_one_place_apart_in_the_services_own_cluster_only() -> None:
    policy = "{outlierDetection: {}, loadBalancer: {localityLbSetting: {failoverPriority: [version]}}}"
    text = ONE_PLACE + rule(policy, host=HOST, rest="{subsets: [{name: all}]}")
    assert places(text) == [(["far.example.com"], 0), (["near.example.com"], 1)]
    assert places(text, f"outbound|80|all|{HOST}") == [(["near.example.com", "far.example.com"], 0)]


def modes(text: str) -> list[str]:
    (first, *rest) = clusters(text, **NEAR)[f"outbound|80||{HOST}"]["load_assignment"]["endpoints"]
    return [
        endpoint["metadata"]["filter_metadata"].get("envoy.transport_socket_match", {}).get("tlsMode", "")
        for group in (first, *rest)
        for endpoint in group["lb_endpoints"]
    ]


def test_endpoints_take_mtls_unless_a_rule_or_their_policy_says_otherwise() -> None:
    assert modes(ENTRY) == ["istio", ""]
    assert modes(ENTRY + istio("PeerAuthentication", "default", "{mtls: {mode: DISABLE}}")) == ["", ""]
    own = rule("{portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}", host=HOST)
    assert modes(ENTRY + own) == ["", ""]


SLICE = textwrap.dedent(
    """
    ---
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata: {name: keep, namespace: shop, labels: {kubernetes.io/service-name: keep}}
    addressType: IPv4
    ports: [{name: http, port: 8080}]
    endpoints:
    - {addresses: [10.1.0.1], conditions: {ready: true}}
    - {addresses: [10.1.0.2], conditions: {ready: false, serving: true, terminating: true}}
    - {addresses: [10.1.0.3], conditions: {ready: false, serving: false, terminating: true}}
    """
)
COOKIE, HEADER = "istio.io/persistent-session", "istio.io/persistent-session-header"


@pytest.mark.parametrize(
    ("label", "sent", "kept"),
    [
        ("", ["10.1.0.1"], False),
        (COOKIE, ["10.1.0.1", "10.1.0.2"], True),
        (HEADER, ["10.1.0.1"], True),  # istiod sends those that drain for sessions by cookie only
    ],
)
def test_sessions_stay_with_endpoints_that_drain(label: str, sent: list[str], kept: bool) -> None:
    labels = f"\n  labels: {{{label}: x}}" if label else ""
    text = service("keep", "http:80:8080", ip="10.96.0.8").replace("\n  name: keep", f"\n  name: keep{labels}") + SLICE
    text += rule("{loadBalancer: {simple: RANDOM}}", host="keep", rest="{subsets: [{name: v1}]}")
    name = "outbound|80|{}|keep.shop.svc.cluster.local"
    (group,) = assignment(text, name.format(""))["endpoints"]
    states = {
        each["endpoint"]["address"]["socket_address"]["address"]: each["health_status"]
        for each in group["lb_endpoints"]
    }
    assert list(states) == sent
    if len(sent) > 1:
        assert states["10.1.0.2"] == "DRAINING"
    made = clusters(text)
    common = made[name.format("")]["common_lb_config"]
    statuses = {"statuses": ["HEALTHY", "DRAINING", "UNKNOWN", "DEGRADED"]}
    assert common.get("override_host_status") == (statuses if kept else None)
    assert "override_host_status" not in made[name.format("v1")]["common_lb_config"]


def test_a_label_says_that_an_endpoint_drains() -> None:
    entry = istio(
        "ServiceEntry",
        "keep",
        """
        hosts: [keep.example.com]
        resolution: STATIC
        ports: [{number: 80, name: http, protocol: HTTP}]
        endpoints: [{address: 10.1.0.1}, {address: 10.1.0.2, labels: {istio.io/draining: "yes"}}]
        """,
        labels={COOKIE: "x"},
    )
    (group,) = assignment(entry, "outbound|80||keep.example.com")["endpoints"]
    assert [each.get("health_status") for each in group["lb_endpoints"]] == [None, "DRAINING"]
