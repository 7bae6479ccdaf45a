"""What a Sidecar's `egress` and `outboundTrafficPolicy` make of listeners, tables, clusters and names."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.xds.controlplane.discovery import rules
from tests.xds.controlplane.emit.sidecars import (
    MESH,
    A,
    address,
    clusters,
    egress,
    hosts,
    listeners,
    made,
    outbound,
    rds,
    sidecar,
    table,
    tcp_clusters,
)
from tests.xds.controlplane.support import endpoints, istio, service, view

# -- egress: listeners


def test_listeners_are_those_of_the_services_that_are_imported() -> None:
    assert outbound(MESH + egress("hosts: [other/*]")).keys() == {"0.0.0.0_80", "virtualOutbound"}
    assert outbound(MESH + egress("hosts: ['~/*']")).keys() == {"virtualOutbound"}
    assert outbound(MESH).keys() == {"0.0.0.0_80", "0.0.0.0_8080", "10.96.0.2_90", "virtualOutbound"}


@pytest.mark.parametrize(
    ("listener", "name", "where", "bound"),
    [
        ("port: {number: 80, protocol: HTTP}", "0.0.0.0_80", "0.0.0.0:80", False),
        ("port: {number: 80, protocol: HTTP}, bind: 127.0.0.9", "127.0.0.9_80", "127.0.0.9:80", False),
        ("port: {number: 80, protocol: HTTP}, captureMode: NONE", "127.0.0.1_80", "127.0.0.1:80", True),
        ("port: {number: 80, protocol: HTTP}, captureMode: IPTABLES", "0.0.0.0_80", "0.0.0.0:80", False),
        (
            "port: {number: 80, protocol: HTTP}, bind: 127.0.0.9, captureMode: NONE",
            "127.0.0.9_80",
            "127.0.0.9:80",
            True,
        ),
        ("port: {number: 0, protocol: HTTP}, bind: 'unix:///run/x'", "unix:///run/x_0", "/run/x", True),
    ],
)
def test_a_listener_of_http_is_where_the_sidecar_says(listener: str, name: str, where: str, bound: bool) -> None:
    found = outbound(MESH + egress(f"{listener}, hosts: ['*/*']"))
    assert found.keys() == {name, "virtualOutbound"}
    assert address(found[name]) == where
    assert found[name].get("bind_to_port") == (None if bound else False)
    assert found[name].get("max_connections_to_accept_per_socket_event") == (1 if bound else None)
    assert rds(found[name]) == {"unix:///run/x" if where == "/run/x" else "80"}


def test_without_redirection_every_listener_is_bound_to_the_loopback() -> None:
    found = outbound(MESH + egress("port: {number: 80, protocol: HTTP}, hosts: ['*/*']"), INTERCEPTION_MODE="NONE")
    assert {name: address(each) for name, each in found.items()} == {"127.0.0.1_80": "127.0.0.1:80"}
    dual = listeners(MESH + egress("hosts: [shop/*]"), ip="10.0.0.1,fd00::1", INTERCEPTION_MODE="NONE")
    assert address(dual["127.0.0.1_80"]) == "127.0.0.1:80"
    assert [each["address"]["socket_address"]["address"] for each in dual["127.0.0.1_80"]["additional_addresses"]] == [
        "::1"
    ]


def test_the_catch_all_can_be_bound_too() -> None:
    found = outbound(MESH + egress("hosts: [shop/*], bind: 127.0.0.7, captureMode: NONE"))
    assert found.keys() == {"127.0.0.7_80", "127.0.0.7_8080", "127.0.0.7_90", "virtualOutbound"}


def test_a_port_of_tcp_is_the_services_own_address_or_the_bind() -> None:
    port = "port: {number: 90, protocol: TCP}"
    found = outbound(MESH + egress(f"{port}, hosts: [shop/*]"))
    assert found.keys() == {"10.96.0.2_90", "virtualOutbound"}
    assert tcp_clusters(found["10.96.0.2_90"]) == {"outbound|90||b.shop.svc.cluster.local"}
    found = outbound(MESH + egress(f"{port}, bind: 127.0.0.9, hosts: [shop/*]"))
    assert found.keys() == {"127.0.0.9_90", "virtualOutbound"}


def test_a_service_with_one_port_is_called_there_whatever_the_listener_s_port_is() -> None:
    one = service("one", "tcp:7000", ip="10.96.0.7")
    found = outbound(one + egress("port: {number: 0, protocol: TCP}, bind: 'unix:///t', hosts: [shop/*]"))
    assert tcp_clusters(found["unix:///t_0"]) == {"outbound|7000||one.shop.svc.cluster.local"}


def test_a_port_without_a_protocol_is_looked_at_and_has_a_table_of_its_own_at_an_address_of_its_own() -> None:
    raw = service("raw", "any:7000", ip="10.96.0.7")
    found = outbound(raw + egress("port: {number: 7000}, hosts: [shop/*]"))
    assert rds(found["10.96.0.7_7000"]) == {"raw.shop.svc.cluster.local:7000"}
    found = outbound(raw + egress("port: {number: 7000}, bind: 0.0.0.0, hosts: [shop/*]"))
    assert rds(found["0.0.0.0_7000"]) == {"7000"}


def test_what_a_listener_with_a_port_holds_the_catch_all_does_not_add_to() -> None:
    text = MESH + sidecar(
        "egress: [{port: {number: 80, protocol: HTTP}, hosts: [other/*]}, "
        "{port: {number: 7, protocol: HTTP}, hosts: ['*/*']}, {hosts: ['*/*']}]"
    )
    assert outbound(text).keys() == {"0.0.0.0_80", "0.0.0.0_8080", "10.96.0.2_90", "virtualOutbound"}
    assert table(text, "80").keys() == {"far.other.svc.cluster.local:80", "allow_any"}
    assert table(text, "8080").keys() == {"b.shop.svc.cluster.local:8080", "allow_any"}


def test_ports_that_the_proxy_uses_itself_are_left_out() -> None:
    busy = service("busy", "http:15021", "http-x:15001", ip="10.96.0.7")
    node = {"ENVOY_STATUS_PORT": 15021}

    def at(port: int, rest: str = "") -> bool:
        text = busy + egress(f"port: {{number: {port}, protocol: HTTP}}, hosts: [shop/*]{rest}")
        return bool(outbound(text, **node).keys() - {"virtualOutbound"})

    assert not at(15021)
    assert not at(15001)
    assert not at(15021, ", bind: 0.0.0.0")
    assert at(15021, ", bind: 127.0.0.9")


def test_low_ports_are_not_bound_without_privileges() -> None:
    def bound(mode: str) -> set[str]:
        text = MESH + egress(f"hosts: [shop/*], captureMode: {mode}")
        return outbound(text, UNPRIVILEGED_POD="true").keys() - {"virtualOutbound"}

    assert bound("NONE") == {"127.0.0.1_8080"}
    assert bound("DEFAULT") == {"0.0.0.0_80", "0.0.0.0_8080", "10.96.0.2_90"}


def test_a_name_of_another_service_stands_for_no_listener() -> None:
    alias = service("alias", "http:81", ip="", rest="{type: ExternalName, externalName: a.shop.svc.cluster.local}")
    text = A + alias + egress("port: {number: 81, protocol: HTTP}, hosts: ['*/*']")
    assert outbound(text).keys() == {"virtualOutbound"}


# -- egress: route tables


def test_a_forward_proxy_s_table_has_every_port_and_names_without_one_mean_port_80() -> None:
    text = MESH + egress(
        "port: {number: 3128, protocol: HTTP_PROXY}, bind: 127.0.0.1, hosts: [shop/b.shop.svc.cluster.local]"
    )
    found = outbound(text)
    assert rds(found["127.0.0.1_3128"]) == {"3128"}
    assert len(found["127.0.0.1_3128"]["filter_chains"]) == 1
    assert "filter_chain_match" not in found["127.0.0.1_3128"]["filter_chains"][0]
    b = "b.shop.svc.cluster.local"
    assert table(text, "3128") == {
        f"{b}:80": [
            b, f"{b}:80", f"{b}.", f"{b}.:80", "b", "b:80", "b.shop.svc", "b.shop.svc:80", "b.shop", "b.shop:80",
            "10.96.0.2", "10.96.0.2:80",
        ],
        f"{b}:8080": [f"{b}:8080", f"{b}.:8080", "b:8080", "b.shop.svc:8080", "b.shop:8080", "10.96.0.2:8080"],
        "allow_any": ["*"],
    }  # fmt: skip


def test_a_socket_s_table_has_the_routes_of_its_own_listener() -> None:
    unix = "port: {number: 0, protocol: HTTP}, bind: 'unix:///run/%s', hosts: [%s]"
    listeners_ = ", ".join(f"{{{unix % each}}}" for each in (("x", "other/*"), ("y", "shop/*")))
    route = istio(
        "VirtualService",
        "r",
        "{hosts: [a], http: [{match: [{port: 80}], directResponse: {status: 204}}, "
        "{route: [{destination: {host: b}}]}]}",
    )
    text = MESH + route + sidecar(f"egress: [{listeners_}]")
    assert table(text, "unix:///run/x").keys() == {"far.other.svc.cluster.local:80", "allow_any"}
    found = {each["name"]: each for each in hosts(text, "unix:///run/y")}
    assert found.keys() == {
        "a.shop.svc.cluster.local:80",
        "b.shop.svc.cluster.local:80",
        "b.shop.svc.cluster.local:8080",
        "allow_any",
    }
    (only,) = found["a.shop.svc.cluster.local:80"]["routes"]
    assert only["route"]["cluster"] == "outbound|0||b.shop.svc.cluster.local"
    assert table(text, "unix:///run/z").keys() == {"allow_any"}


def test_the_name_http_proxy_means_the_catch_all_on_every_port() -> None:
    assert table(MESH, "http_proxy").keys() == {
        "a.shop.svc.cluster.local:80",
        "b.shop.svc.cluster.local:80",
        "b.shop.svc.cluster.local:8080",
        "far.other.svc.cluster.local:80",
        "allow_any",
    }


def test_a_routing_that_names_no_service_is_in_a_port_80_only() -> None:
    route = istio("VirtualService", "r", "{hosts: [a.example.com], http: [{directResponse: {status: 204}}]}")
    listening = "{port: {number: %d, protocol: HTTP}, hosts: ['*/*']}"
    text = MESH + route + sidecar(f"egress: [{listening % 80}, {listening % 8080}]")
    assert "a.example.com:80" in table(text, "80")
    assert "a.example.com:8080" not in table(text, "8080")


# -- hosts that nobody knows


UNKNOWN: list[tuple[str, dict[str, Any], str, str]] = [
    ("", {}, "PassthroughCluster", "allow_any"),
    ("outboundTrafficPolicy: {mode: ALLOW_ANY}", {}, "PassthroughCluster", "allow_any"),
    ("outboundTrafficPolicy: {mode: REGISTRY_ONLY}", {}, "BlackHoleCluster", "block_all"),
    ("outboundTrafficPolicy: {}", {}, "BlackHoleCluster", "block_all"),
    (
        "outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: far.other.svc, port: {number: 80}}}",
        {},
        "outbound|80||far.other.svc",
        "allow_any",
    ),
    (
        "outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: e.com, subset: v1, port: {number: 99}}}",
        {},
        "outbound|99|v1|e.com",
        "allow_any",
    ),
]


@pytest.mark.parametrize(("policy", "node", "cluster", "host"), UNKNOWN)
def test_unknown_hosts_go_where_the_sidecar_says(policy: str, node: Any, cluster: str, host: str) -> None:
    text = MESH + sidecar(f"{{egress: [{{hosts: ['*/*']}}], {policy}}}")
    found = outbound(text, **node)
    assert tcp_clusters(found["virtualOutbound"]) == {"BlackHoleCluster", cluster}
    assert tcp_clusters(found["0.0.0.0_80"]) == {cluster}
    last = hosts(text, "80")[-1]
    assert last["name"] == host
    (route,) = last["routes"]
    if host == "allow_any":
        assert route["route"]["cluster"] == cluster
    else:
        assert route["direct_response"] == {"status": 502}


# -- clusters and names


def outbound_clusters(text: str) -> set[str]:
    return {name for name in clusters(text) if name.startswith("outbound|")}


def test_clusters_are_those_of_services_in_sight_and_of_where_routes_lead() -> None:
    far = "outbound|80||far.other.svc.cluster.local"
    a = "outbound|80||a.shop.svc.cluster.local"
    only_a = egress("hosts: [shop/a.shop.svc.cluster.local]")
    assert outbound_clusters(MESH + only_a) == {a}
    route = istio(
        "VirtualService", "r", "{hosts: [a], http: [{route: [{destination: {host: far.other.svc.cluster.local}}]}]}"
    )
    assert outbound_clusters(MESH + only_a + route) == {a, far}
    assert {"BlackHoleCluster", "PassthroughCluster"} <= clusters(MESH + only_a).keys()


def test_subsets_of_what_a_route_leads_to_have_clusters() -> None:
    route = istio(
        "VirtualService",
        "r",
        "{hosts: [a], http: [{route: [{destination: {host: b, subset: v1, port: {number: 8080}}}]}]}",
    )
    rule = istio("DestinationRule", "b", "{host: b, subsets: [{name: v1, labels: {v: '1'}}]}")
    found = outbound_clusters(MESH + rule + route + egress("hosts: [shop/a.shop.svc.cluster.local]"))
    assert found == {
        "outbound|80||a.shop.svc.cluster.local",
        "outbound|8080||b.shop.svc.cluster.local",
        "outbound|8080|v1|b.shop.svc.cluster.local",
    }


def test_endpoints_of_what_is_out_of_sight_are_not_told() -> None:
    text = MESH + endpoints("far", "http:80", "10.1.0.1", namespace="other")
    name = "outbound|80||far.other.svc.cluster.local"
    assert made(view(text), rules.ENDPOINT, name)[name]["endpoints"]
    hidden = view(text + egress("hosts: [shop/*]"))
    assert "endpoints" not in made(hidden, rules.ENDPOINT, name)[name]


def test_names_are_those_of_services_that_listeners_import() -> None:
    route = istio(
        "VirtualService", "r", "{hosts: [a], http: [{route: [{destination: {host: far.other.svc.cluster.local}}]}]}"
    )
    found = made(view(MESH + route + egress("hosts: [shop/a.shop.svc.cluster.local]")), rules.NAMES)[""]
    assert found["table"].keys() == {"a.shop.svc.cluster.local"}
