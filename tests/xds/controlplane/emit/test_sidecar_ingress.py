"""What a Sidecar's `ingress` and `inboundConnectionPool` make of inbound listeners and clusters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.xds.controlplane.emit.sidecars import (
    SELF,
    A,
    address,
    clusters,
    listeners,
    sidecar,
)
from tests.xds.controlplane.support import istio

# -- ingress


def ingress(listener: str, rest: str = "") -> str:
    return sidecar(f"{{ingress: [{{{listener}}}]{rest}}}")


HTTP = "port: {number: 9080, protocol: HTTP, name: http}"


def inbound_chains(text: str, **node: Any) -> list[Any]:
    """The chains of virtualInbound that are for a port of the application's."""
    own = listeners(text, **node)["virtualInbound"]["filter_chains"]
    return [each for each in own if each.get("filter_chain_match", {}).get("destination_port") not in (None, 15006)]


def test_a_sidecar_s_ports_take_the_place_of_those_of_services() -> None:
    text = A + SELF + ingress(HTTP)
    assert {each["filter_chain_match"]["destination_port"] for each in inbound_chains(A + SELF)} == {8080}
    chains = inbound_chains(text)
    assert {each["filter_chain_match"]["destination_port"] for each in chains} == {9080}
    assert {each["name"] for each in chains} == {"10.0.0.1_9080"}
    path = "/apis/networking.istio.io/v1/namespaces/shop/sidecar/scope"
    assert all(each["metadata"] == {"filter_metadata": {"istio": {"config": path}}} for each in chains)
    manager = chains[0]["filters"][-1]["typed_config"]
    assert manager["stat_prefix"] == "inbound_10.0.0.1_9080;"
    (host,) = manager["route_config"]["virtual_hosts"]
    assert host["name"] == "inbound|http|9080"
    assert host["routes"][0]["decorator"] == {"operation": "scope.shop:9080/*"}
    assert host["routes"][0]["route"]["cluster"] == "inbound|9080||"
    assert {name for name in clusters(text) if name.startswith("inbound|")} == {"inbound|9080||"}


def test_a_root_sidecar_names_the_namespace_where_it_holds() -> None:
    text = A + istio("Sidecar", "root", f"{{ingress: [{{{HTTP}}}]}}", namespace="istio-system")
    (one, *_) = inbound_chains(text)
    assert one["metadata"]["filter_metadata"]["istio"]["config"].endswith("/namespaces/shop/sidecar/root")
    (host,) = one["filters"][-1]["typed_config"]["route_config"]["virtual_hosts"]
    assert host["routes"][0]["decorator"] == {"operation": "root.shop:9080/*"}


@pytest.mark.parametrize(
    ("bind", "ip", "name"),
    [
        ("", "10.0.0.1", "10.0.0.1_9080"),
        ("", "127.0.0.9", "0.0.0.0_9080"),
        ("", "127.0.0.9,10.0.0.2", "10.0.0.2_9080"),
        ("", "::1", "::_9080"),
        (", bind: 127.0.0.7", "10.0.0.1", "127.0.0.7_9080"),
    ],
)
def test_a_port_is_named_after_its_bind_or_the_workload_s_address(bind: str, ip: str, name: str) -> None:
    assert {each["name"] for each in inbound_chains(A + ingress(HTTP + bind), ip=ip)} == {name}


@pytest.mark.parametrize(
    ("mode", "interception", "bound"),
    [
        ("DEFAULT", "REDIRECT", False),
        ("IPTABLES", "REDIRECT", False),
        ("NONE", "REDIRECT", True),
        ("NONE", "TPROXY", True),
        ("DEFAULT", "NONE", True),
        ("NONE", "NONE", True),
    ],
)
def test_a_port_is_bound_where_nothing_redirects_to_it(mode: str, interception: str, bound: bool) -> None:
    text = A + ingress(f"{HTTP}, captureMode: {mode}")
    inbound = {
        name: each
        for name, each in listeners(text, INTERCEPTION_MODE=interception).items()
        if each["traffic_direction"] == "INBOUND"
    }
    assert ("virtualInbound" in inbound) == (interception != "NONE")
    assert ("10.0.0.1_9080" in inbound) == bound
    if bound:
        own = inbound["10.0.0.1_9080"]
        assert address(own) == "10.0.0.1:9080"
        assert "transparent" not in own
        assert own["max_connections_to_accept_per_socket_event"] == 1
        assert [each["name"] for each in own["listener_filters"]] == ["envoy.filters.listener.tls_inspector"]
        assert {each["filter_chain_match"]["destination_port"] for each in own["filter_chains"]} == {9080}


def test_a_bound_port_without_a_protocol_looks_for_http_too() -> None:
    found = listeners(A + ingress("port: {number: 9080}, captureMode: NONE"))["10.0.0.1_9080"]
    assert [each["name"].rpartition(".")[2] for each in found["listener_filters"]] == [
        "tls_inspector",
        "http_inspector",
    ]


def test_a_workload_of_two_families_listens_on_one_of_them() -> None:
    found = listeners(A + ingress(f"{HTTP}, captureMode: NONE"), ip="127.0.0.1,::1")["0.0.0.0_9080"]
    assert "additional_addresses" not in found  # istiod adds them with ISTIO_DUAL_STACK only


@pytest.mark.parametrize(
    ("rest", "node", "taken"),
    [
        ("bind: 0.0.0.0", {"ENVOY_STATUS_PORT": 9080}, False),
        ("bind: 10.0.0.1", {"ENVOY_STATUS_PORT": 9080}, True),
        ("captureMode: DEFAULT", {"ENVOY_STATUS_PORT": 9080}, False),
        ("captureMode: DEFAULT", {"ENVOY_STATUS_PORT": 9081}, True),
    ],
)
def test_a_port_that_the_proxy_uses_itself_is_left_out(rest: str, node: Any, taken: bool) -> None:
    assert bool(inbound_chains(A + ingress(f"{HTTP}, {rest}"), **node)) == taken


def test_a_low_port_is_bound_with_privileges_only() -> None:
    text = A + ingress("port: {number: 80, protocol: HTTP}, captureMode: NONE")
    assert "10.0.0.1_80" in listeners(text)
    assert "10.0.0.1_80" not in listeners(text, UNPRIVILEGED_POD="true")


ENDPOINTS = [
    ("", None, True),
    ("':8081'", None, True),
    ("127.0.0.1:8081", ("127.0.0.1", 8081), False),
    ("0.0.0.0:8081", ("10.0.0.1", 8081), True),
    ("'[::1]:8081'", ("127.0.0.1", 8081), False),
    ("'[::]:8081'", ("::1", 8081), False),
    ("'unix:///run/app'", "/run/app", True),
]


@pytest.mark.parametrize(("written", "target", "from_magic"), ENDPOINTS)
def test_requests_go_to_the_default_endpoint(written: str, target: Any, from_magic: bool) -> None:
    rest = f", defaultEndpoint: {written}" if written else ""
    found = clusters(A + ingress(HTTP + rest))["inbound|9080||"]
    assert ("upstream_bind_config" in found) == from_magic
    assert found["alt_stat_name"] == "inbound|9080||;"
    assert "metadata" not in found
    if target is None:
        assert found["type"] == "ORIGINAL_DST"
        assert found["lb_policy"] == "CLUSTER_PROVIDED"
        assert found["cleanup_interval"] == "9223372035s"
        assert "load_assignment" not in found
        return
    assert found["type"] == "STATIC"
    assert "cleanup_interval" not in found
    (locality,) = found["load_assignment"]["endpoints"]
    (endpoint,) = locality["lb_endpoints"]
    where = endpoint["endpoint"]["address"]
    if isinstance(target, str):
        assert where == {"pipe": {"path": target}}
    else:
        assert where == {"socket_address": {"address": target[0], "port_value": target[1]}}


@pytest.mark.parametrize(
    ("ip", "written", "target"),
    [
        ("fd00::1", "127.0.0.1:1", "::1"),
        ("fd00::1", "'[::1]:1'", "::1"),
        ("fd00::1", "0.0.0.0:1", "127.0.0.1"),
        ("fd00::1", "'[::]:1'", "fd00::1"),
        ("10.0.0.1,fd00::1", "'[::1]:1'", "::1"),
        ("10.0.0.1,fd00::1", "127.0.0.1:1", "127.0.0.1"),
        ("10.0.0.1,fd00::1", "'[::]:1'", "fd00::1"),
    ],
)
def test_the_address_of_the_endpoint_is_of_a_family_that_the_workload_has(ip: str, written: str, target: str) -> None:
    found = clusters(A + ingress(f"{HTTP}, defaultEndpoint: {written}"), ip=ip)["inbound|9080||"]
    where = found["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
    assert where["socket_address"]["address"] == target


def test_the_port_of_a_service_is_in_that_service_s_name() -> None:
    rule = istio("DestinationRule", "a", "{host: a, trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}}}")
    found = clusters(A + SELF + rule + ingress("port: {number: 8080, protocol: HTTP2}, defaultEndpoint: 127.0.0.1:1"))
    cluster = found["inbound|8080||"]
    istio_metadata = cluster["metadata"]["filter_metadata"]["istio"]
    assert istio_metadata["services"] == [{"host": "a.shop.svc.cluster.local", "name": "a", "namespace": "shop"}]
    assert istio_metadata["config"] == "/apis/networking.istio.io/v1/namespaces/shop/destination-rule/a"
    assert cluster["circuit_breakers"]["thresholds"][0]["max_connections"] == 5
    (options,) = cluster["typed_extension_protocol_options"].values()
    assert "http2_protocol_options" in options["explicit_http_config"]


POOL = "connectionPool: {tcp: {maxConnections: 3}}"
WHOLE_POOL = "inboundConnectionPool: {tcp: {maxConnections: 4}}"
RULE = istio(
    "DestinationRule",
    "a",
    "{host: a, trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}, loadBalancer: {simple: RANDOM}}}",
)


@pytest.mark.parametrize(
    ("text", "port", "limit"),
    [
        (ingress(HTTP), 9080, 4294967295),
        (ingress(f"{HTTP}, {POOL}"), 9080, 3),
        (ingress(HTTP, f", {WHOLE_POOL}"), 9080, 4),
        (ingress(f"{HTTP}, {POOL}", f", {WHOLE_POOL}"), 9080, 3),
        (sidecar(f"{{{WHOLE_POOL}}}"), 8080, 4),
        (sidecar(f"{{{WHOLE_POOL}}}") + RULE, 8080, 4),
        (sidecar("{outboundTrafficPolicy: {mode: ALLOW_ANY}}") + RULE, 8080, 5),
    ],
)
def test_connections_to_the_application_are_limited_as_the_sidecar_says(text: str, port: int, limit: int) -> None:
    found = clusters(A + SELF + text)[f"inbound|{port}||"]
    assert found["circuit_breakers"]["thresholds"][0]["max_connections"] == limit


def test_ports_of_a_peer_authentication_that_the_sidecar_lacks_are_passed_through() -> None:
    peers = istio(
        "PeerAuthentication",
        "p",
        "{selector: {matchLabels: {app: a}}, portLevelMtls: {8080: {mode: STRICT}, 9080: {mode: STRICT}}}",
    )

    def passed(text: str) -> set[int]:
        chains = inbound_chains(A + SELF + peers + text, labels={"app": "a"})
        return {
            each["filter_chain_match"]["destination_port"]
            for each in chains
            if each["name"].startswith("virtualInbound")
        }

    assert passed("") == {9080}
    assert passed(ingress(HTTP)) == {8080}


def test_two_listeners_of_one_port_are_refused_but_services_never_add_to_one() -> None:
    found = clusters(
        A + SELF + sidecar("{ingress: [{port: {number: 1, protocol: TCP}}, {port: {number: 2, protocol: TCP}}]}")
    )
    assert {name for name in found if name.startswith("inbound|")} == {"inbound|1||", "inbound|2||"}


def test_without_redirection_only_a_sidecar_s_ports_have_clusters() -> None:
    node = {"INTERCEPTION_MODE": "NONE"}
    assert not [name for name in clusters(A + SELF, **node) if name.startswith("inbound|")]
    assert [name for name in clusters(A + SELF + ingress(HTTP), **node) if name.startswith("inbound|")] == [
        "inbound|9080||"
    ]
