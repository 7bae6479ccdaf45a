"""What MeshConfig says of every cluster: timeouts, pools, keepalive, TLS, names of statistics, balancing."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.xds.controlplane.discovery import rules
from tests.xds.controlplane.support import endpoints, istio, made, mesh, service, view

WEB = "outbound|80||web.shop.svc.cluster.local"
PASSING = ("PassthroughCluster", "InboundPassthroughCluster")
CLIENT = service("client", "http:8080:8080", "tcp-x:9000:9001", ip="10.96.0.9")


def clusters(settings: str, text: str = "", **who: Any) -> dict[str, Any]:
    base = service("web", "http:80:8080") + endpoints("web", "http:8080", "10.1.0.1") + CLIENT
    return made(view(base + text + mesh(settings), labels={"app": "client"}, **who), rules.CLUSTER)


def test_the_connect_timeout_is_every_clusters() -> None:
    assert {each["connect_timeout"] for each in clusters("connectTimeout: 3s").values()} == {"3s"}


def test_keepalive_of_the_mesh_is_what_a_rule_changes_field_by_field() -> None:
    rule = istio(
        "DestinationRule",
        "web",
        "{host: web, trafficPolicy: {connectionPool: {tcp: {tcpKeepalive: {time: 20s, interval: 5s}}}}}",
    )
    found = clusters("tcpKeepalive: {probes: 3, time: 10s}", rule)
    keepalive = {name: each.get("upstream_connection_options") for name, each in found.items()}
    assert keepalive[WEB] == {"tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": 20, "keepalive_interval": 5}}
    for name in (*PASSING, "inbound|8080||"):
        assert keepalive[name] == {"tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": 10}}
    assert keepalive["BlackHoleCluster"] is None


def test_an_empty_keepalive_switches_it_on_with_the_kernels_numbers() -> None:
    assert clusters("tcpKeepalive: {}")[WEB]["upstream_connection_options"] == {"tcp_keepalive": {}}


POLICY = """
defaultTrafficPolicy:
  connectionPool: {tcp: {maxConnections: 7}}
  outlierDetection: {consecutive5xxErrors: 3}
"""


def limit(cluster: dict[str, Any]) -> int:
    (threshold,) = cluster["circuit_breakers"]["thresholds"]
    connections: int = threshold["max_connections"]
    return connections


def test_the_default_policy_stands_in_for_blocks_that_a_rule_lacks() -> None:
    rule = istio(
        "DestinationRule",
        "web",
        """
        host: web
        trafficPolicy: {outlierDetection: {consecutive5xxErrors: 9}}
        subsets: [{name: v1, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}}]
        """,
    )
    found = clusters(POLICY, rule)
    assert (limit(found[WEB]), found[WEB]["outlier_detection"]["consecutive_5xx"]) == (7, 9)
    subset = found["outbound|80|v1|web.shop.svc.cluster.local"]
    assert (limit(subset), subset["outlier_detection"]["consecutive_5xx"]) == (1, 9)
    other = found["outbound|8080||client.shop.svc.cluster.local"]
    assert (limit(other), other["outlier_detection"]["consecutive_5xx"]) == (7, 3)


def test_the_default_pool_limits_inbound_and_passthrough_too_without_ejection() -> None:
    found = clusters(POLICY)
    for name in (*PASSING, "inbound|8080||"):
        assert limit(found[name]) == 7
        assert "outlier_detection" not in found[name]
    assert limit(clusters("{}")[WEB]) == 2**32 - 1


@pytest.mark.parametrize(("policy", "http2"), [("UPGRADE", True), ("DO_NOT_UPGRADE", False)])
def test_http_is_upgraded_as_the_mesh_says(policy: str, http2: bool) -> None:
    options = clusters(f"h2UpgradePolicy: {policy}")[WEB].get("typed_extension_protocol_options", {})
    assert ("http2_protocol_options" in str(options)) == http2


def test_automatic_mutual_tls_can_be_switched_off() -> None:
    assert "transport_socket_matches" in clusters("{}")[WEB]
    assert "transport_socket_matches" not in clusters("enableAutoMtls: false")[WEB]


def test_dns_is_asked_as_often_as_the_mesh_says() -> None:
    entry = istio(
        "ServiceEntry",
        "geo",
        """
        hosts: [geo.example.com]
        ports: [{number: 80, name: http, protocol: HTTP}]
        resolution: DNS
        endpoints: [{address: a.example.com}]
        """,
    )
    assert clusters("dnsRefreshRate: 5s", entry)["outbound|80||geo.example.com"]["dns_refresh_rate"] == "5s"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("%SERVICE%", "web.shop"),
        ("%SERVICE_NAME%", "web"),
        ("%SERVICE_FQDN%", "web.shop.svc.cluster.local"),
        ("%SERVICE_FQDN%_%SERVICE_PORT%", "web.shop.svc.cluster.local_80"),
        ("%SERVICE%.%SERVICE_PORT_NAME%.%SERVICE_PORT%", "web.shop.http.80"),
        ("%SERVICE%_%SUBSET_NAME%_%TARGET_PORT%", "web.shop__0"),
        ("fixed", "fixed"),
    ],
)
def test_outbound_statistics_are_named_by_the_meshs_pattern(pattern: str, expected: str) -> None:
    assert clusters(f"outboundClusterStatName: '{pattern}'")[WEB]["alt_stat_name"] == f"{expected};"


def test_a_subset_and_a_host_outside_of_kubernetes_in_the_pattern() -> None:
    text = istio("DestinationRule", "web", "{host: web, subsets: [{name: v1}]}") + istio(
        "ServiceEntry",
        "geo",
        "{hosts: [geo.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC}",
    )
    found = clusters("outboundClusterStatName: '%SERVICE%/%SERVICE_NAME%/%SUBSET_NAME%'", text)
    assert found["outbound|80|v1|web.shop.svc.cluster.local"]["alt_stat_name"] == "web.shop/web/v1;"
    assert found["outbound|80||geo.example.com"]["alt_stat_name"] == "geo.example.com/geo.example.com/;"


def test_inbound_statistics_know_the_applications_port() -> None:
    found = clusters("inboundClusterStatName: 'in_%SERVICE_NAME%_%SERVICE_PORT_NAME%_%TARGET_PORT%'")
    assert found["inbound|9001||"]["alt_stat_name"] == "in_client_tcp-x_9001;"
    assert found[WEB]["alt_stat_name"] == f"{WEB};"


@pytest.mark.parametrize(("ip", "localhost"), [("10.0.0.1", "127.0.0.1"), ("fd00::1", "::1")])
def test_applications_on_loopback_are_called_there(ip: str, localhost: str) -> None:
    found = clusters("inboundTrafficPolicy: {mode: LOCALHOST}", ip=ip)["inbound|9001||"]
    (group,) = found["load_assignment"]["endpoints"]
    (endpoint,) = group["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["socket_address"] == {"address": localhost, "port_value": 9001}
    assert found["load_assignment"]["cluster_name"] == "inbound|9001||"
    assert found["type"] == "STATIC"
    assert not found.keys() & {"upstream_bind_config", "cleanup_interval"}


def test_tls_defaults_are_for_tls_that_is_not_the_meshs() -> None:
    simple = istio("DestinationRule", "web", "{host: web, trafficPolicy: {tls: {mode: SIMPLE}}}")
    settings = (
        "tlsDefaults: {ecdhCurves: [P-256], cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256], minProtocolVersion: TLSV1_3}"
    )
    found = clusters(settings, simple)
    params = found[WEB]["transport_socket"]["typed_config"]["common_tls_context"]["tls_params"]
    assert params == {
        "tls_minimum_protocol_version": "TLSv1_2",
        "tls_maximum_protocol_version": "TLSv1_3",
        "ecdh_curves": ["P-256"],
        "cipher_suites": ["ECDHE-RSA-AES128-GCM-SHA256"],
    }
    assert "P-256" not in str(found["outbound|8080||client.shop.svc.cluster.local"])


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ("localityLbSetting: {distribute: [{from: r1, to: {r1: 100}}]}", {"locality_weighted_lb_config": {}}),
        ("localityLbSetting: {enabled: false, distribute: [{from: r1, to: {r1: 100}}]}", {}),
        (
            "zoneAwareLbSetting: {enabled: false, minClusterSize: 3}",
            {"zone_aware_lb_config": {"routing_enabled": {}, "min_cluster_size": "3"}},
        ),
    ],
)
def test_locality_settings_of_the_mesh_hold_where_no_rule_says_any(settings: str, shown: dict[str, Any]) -> None:
    common = clusters(settings)[WEB]["common_lb_config"]
    assert {key: common[key] for key in common if key.endswith("lb_config")} == shown


def test_the_meshs_distribution_weighs_endpoints() -> None:
    entry = istio(
        "ServiceEntry",
        "db",
        """
        hosts: [db.internal]
        ports: [{number: 80, name: http, protocol: HTTP}]
        resolution: STATIC
        endpoints: [{address: 10.0.0.1, locality: r1/a}, {address: 10.0.0.2, locality: r2/b}]
        """,
    )
    settings = mesh("localityLbSetting: {distribute: [{from: r1/*, to: {r1: 80, r2: 20}}]}")
    seen = view(entry + settings, locality=("r1", "a", ""))
    assignment = made(seen, rules.ENDPOINT, "outbound|80||db.internal")["outbound|80||db.internal"]
    assert [group["load_balancing_weight"] for group in assignment["endpoints"]] == [80, 20]
