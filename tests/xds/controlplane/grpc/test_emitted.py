"""What `GENERATOR=grpc` is sent: listeners by host and port, routes of one host, clusters that gRPC understands."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.emit.grpc_listeners import INBOUND, asked_hosts
from proxyless.xds.controlplane.emit.view import View
from tests.xds.controlplane.support import endpoints, istio, made, service, view

A, B = "a.shop.svc.cluster.local", "b.shop.svc.cluster.local"
SERVICES = service("a", "grpc:80:8080", "grpc-x:81:8081") + service("b", "grpc:80", ip="10.96.0.2")


def client(text: str, **more: Any) -> View:
    return view(text, GENERATOR="grpc", **more)


def cluster(policy: str, name: str = f"outbound|80||{A}", *, rest: str = "") -> dict[str, Any]:
    rule = istio("DestinationRule", "a", f"{{host: a, trafficPolicy: {policy}{rest}}}")
    found: dict[str, Any] = made(client(SERVICES + rule), rules.CLUSTER, name)[name]
    return found


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["foo.com:80", "foo.com:443", "any.com"], {"foo.com": {"80", "443"}, "any.com": None}),
        (["foo.com:80", "foo.com"], {"foo.com": None}),
        (["foo.com", "foo.com:80"], {"foo.com": None}),
        (["a:80"], {"a": {"80"}, A: {"80"}}),
        (["a.shop:80"], {"a.shop": {"80"}, A: {"80"}}),
        (["a.shop.svc:80"], {"a.shop.svc": {"80"}, A: {"80"}}),
        (["a.other:80"], {"a.other": {"80"}}),
        (["[fd00::1]:80"], {"fd00::1": {"80"}, "fd00::1.shop.svc.cluster.local": {"80"}}),
        ([f"{INBOUND}10.0.0.1:80"], {}),
    ],
    ids=lambda each: ",".join(each),
)
def test_a_name_asks_for_a_host_on_a_port_or_on_all(names: list[str], wanted: dict[str, set[str] | None]) -> None:
    asked = asked_hosts(names, "shop.svc.cluster.local", "shop")
    assert {host: entry.ports for host, entry in asked.items()} == wanted


def test_a_listener_is_named_as_it_was_asked_for_and_leads_to_the_host_s_routes() -> None:
    found = made(client(SERVICES), rules.LISTENER, "a:80", f"{A}:81", "nobody:80")
    # As in istiod, all the spellings of a host that were asked for have all of its ports that were asked for.
    assert sorted(found) == ["a.shop.svc.cluster.local:80", "a.shop.svc.cluster.local:81", "a:80", "a:81"]
    listener = found["a:80"]
    assert listener["address"] == {"socket_address": {"address": "10.96.0.1", "port_value": 80}}
    manager = listener["api_listener"]["api_listener"]
    assert manager["rds"] == {"config_source": {"ads": {}}, "route_config_name": f"outbound|80||{A}"}
    assert [each["name"] for each in manager["http_filters"]] == [
        "envoy.filters.http.fault",
        "envoy.filters.http.router",
    ]


def test_without_names_there_is_a_listener_for_every_port() -> None:
    assert sorted(made(client(SERVICES), rules.LISTENER)) == [f"{A}:80", f"{A}:81", f"{B}:80"]


def test_clusters_are_made_by_name_and_also_for_services_that_nobody_knows() -> None:
    names = [f"outbound|80||{A}", "outbound|80||nobody.example", f"outbound|80|v1|{A}", "PassthroughCluster"]
    found = made(client(SERVICES), rules.CLUSTER, *names)
    assert sorted(found) == sorted(names[:2])
    assert found[names[0]] == {
        "name": names[0],
        "type": "EDS",
        "eds_cluster_config": {"eds_config": {"ads": {}}, "service_name": names[0]},
        "alt_stat_name": f"{names[0]};",
    }


def test_only_the_limit_of_requests_is_a_threshold() -> None:
    pool = "{connectionPool: {tcp: {maxConnections: 5}, http: {http2MaxRequests: 100, maxRetries: 3}}}"
    assert cluster(pool)["circuit_breakers"] == {"thresholds": [{"max_requests": 100}]}
    assert "circuit_breakers" not in cluster("{connectionPool: {tcp: {maxConnections: 5}}}")


@pytest.mark.parametrize(
    ("balancer", "wanted"),
    [
        ("{simple: ROUND_ROBIN}", None),
        ("{simple: RANDOM}", None),
        ("{simple: LEAST_REQUEST}", "LEAST_REQUEST"),
        ("{consistentHash: {httpHeaderName: x}}", "RING_HASH"),
        ("{consistentHash: {httpHeaderName: x, maglev: {tableSize: 65537}}}", "MAGLEV"),
    ],
    ids=str,
)
def test_a_balancing_policy_is_named_where_grpc_has_it(balancer: str, wanted: str | None) -> None:
    assert cluster(f"{{loadBalancer: {balancer}}}").get("lb_policy") == wanted


def test_a_subset_s_policy_is_merged_over_the_destination_s() -> None:
    subsets = ", subsets: [{name: v1, trafficPolicy: {loadBalancer: {simple: RANDOM}}}, {name: v2}]"
    policy = "{loadBalancer: {simple: LEAST_REQUEST}, connectionPool: {http: {http2MaxRequests: 7}}}"
    for subset, wanted in (("v1", None), ("v2", "LEAST_REQUEST")):
        found = cluster(policy, f"outbound|80|{subset}|{A}", rest=subsets)
        assert found.get("lb_policy") == wanted
        assert found["circuit_breakers"] == {"thresholds": [{"max_requests": 7}]}


def test_mtls_is_offered_only_where_a_rule_says_so() -> None:
    assert "transport_socket" not in cluster("{tls: {mode: DISABLE}}")
    assert "transport_socket" not in cluster("{loadBalancer: {simple: RANDOM}}")
    socket = cluster("{tls: {mode: ISTIO_MUTUAL}}")["transport_socket"]
    common = socket["typed_config"]["common_tls_context"]
    own = {"instance_name": "default", "certificate_name": "default"}
    root = {"instance_name": "default", "certificate_name": "ROOTCA"}
    assert socket["name"] == "envoy.transport_sockets.tls"
    assert common == {
        "tls_certificate_provider_instance": own,
        "tls_certificate_certificate_provider_instance": own,
        "combined_validation_context": {
            "validation_context_certificate_provider_instance": root,
            "default_validation_context": {"ca_certificate_provider_instance": root},
        },
    }


def routes(text: str, *names: str) -> dict[str, list[str]]:
    found = made(client(SERVICES + text), rules.ROUTE, *names)
    return {name: [host["name"] for host in table.get("virtual_hosts", [])] for name, table in found.items()}


def test_a_table_has_the_virtual_hosts_of_its_host_only() -> None:
    names = (f"outbound|80||{A}", f"outbound|80||{B}", f"outbound|81||{A}", "outbound|80||nobody.example", "80")
    assert routes("", *names) == {
        names[0]: [f"{A}:80"],
        names[1]: [f"{B}:80"],
        names[2]: [f"{A}:81"],
        names[3]: [],
    }


def test_a_table_takes_wildcards_addresses_and_other_cases_of_its_host() -> None:
    wild = istio("ServiceEntry", "w", "{hosts: ['*.example.com'], ports: [{number: 80, name: grpc, protocol: GRPC}]}")
    names = ("outbound|80||x.example.com", f"outbound|80||{A.upper()}", "outbound|80||10.96.0.1", "outbound|80||a")
    assert routes(wild, *names) == {
        names[0]: ["*.example.com:80"],
        names[1]: [f"{A}:80"],
        names[2]: [f"{A}:80"],
        names[3]: [f"{A}:80"],
    }


def test_a_route_s_timeout_is_also_a_limit_of_the_stream() -> None:
    name = f"outbound|80||{A}"
    text = istio("VirtualService", "a", "{hosts: [a], http: [{route: [{destination: {host: a}}], timeout: 2s}]}")
    (route,) = made(client(SERVICES + text), rules.ROUTE, name)[name]["virtual_hosts"][0]["routes"]
    assert route["route"]["timeout"] == "2s"
    assert route["route"]["max_stream_duration"] == {"max_stream_duration": "2s"}
    assert "max_grpc_timeout" not in route["route"]


def server(policy: str = "", port: int = 8080, **more: Any) -> dict[str, Any] | None:
    name = f"{INBOUND}10.0.0.1:{port}"
    text = SERVICES + endpoints("a", "grpc:8080", "10.0.0.1") + policy
    found = made(client(text, labels={"app": "a", **more.pop("labels", {})}, **more), rules.LISTENER, name)
    return found.get(name)


def filters(listener: dict[str, Any] | None) -> list[dict[str, Any]]:
    assert listener is not None
    found: list[dict[str, Any]] = listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
    return found


def test_a_server_s_listener_lets_everything_in_without_policies() -> None:
    listener = server()
    assert listener is not None
    assert listener["address"] == {"socket_address": {"address": "10.0.0.1", "port_value": 8080}}
    (chain,) = listener["filter_chains"]
    assert chain["name"] == "inbound-plaintext"
    assert "transport_socket" not in chain
    (manager,) = chain["filters"]
    assert manager["name"] == "inbound-hcmplaintext"
    assert manager["typed_config"]["route_config"] == {
        "name": "inbound",
        "virtual_hosts": [
            {"domains": ["*"], "routes": [{"match": {"prefix": "/"}, "non_forwarding_action": {}}]},
        ],
    }


def test_a_port_that_is_no_service_s_has_no_server_listener() -> None:
    assert server(port=9) is None
    assert made(client(SERVICES), rules.LISTENER, f"{INBOUND}nonsense") == {}


@pytest.mark.parametrize(
    ("mode", "label", "mutual"),
    [("STRICT", "", True), ("PERMISSIVE", "", False), ("PERMISSIVE", "istio", True), ("DISABLE", "istio", False)],
)
def test_a_server_takes_mtls_or_plaintext_never_both(mode: str, label: str, mutual: bool) -> None:
    policy = istio("PeerAuthentication", "default", f"{{mtls: {{mode: {mode}}}}}")
    listener = server(policy, labels={"security.istio.io/tlsMode": label} if label else {})
    assert listener is not None
    (chain,) = listener["filter_chains"]
    assert chain["name"] == ("inbound-mtls" if mutual else "inbound-plaintext")
    assert ("transport_socket" in chain) == mutual
    if mutual:
        assert chain["transport_socket"]["typed_config"]["require_client_certificate"] is True


def test_policies_that_deny_stand_before_those_that_allow_and_empty_ones_nowhere() -> None:
    allow = istio("AuthorizationPolicy", "open", "{rules: [{to: [{operation: {ports: ['8080']}}]}]}")
    deny = istio("AuthorizationPolicy", "closed", "{action: DENY, rules: [{}, {to: [{operation: {ports: ['1']}}]}]}")
    named = [
        (each["name"], sorted(each["typed_config"].get("rules", {}).get("policies", {})))
        for each in filters(server(allow + deny))
    ]
    assert named == [
        ("envoy.filters.http.rbac.DENY", ["shop-closed-0", "shop-closed-1"]),
        ("envoy.filters.http.rbac", ["shop-open-0"]),
        ("envoy.filters.http.router", []),
    ]
    nobody = istio("AuthorizationPolicy", "nobody", "{}")
    assert [each["name"] for each in filters(server(nobody))] == ["envoy.filters.http.router"]
