"""What MeshConfig says of listeners: ports, detection, TLS that peers must bring, names of statistics, the unknown."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.xds.controlplane.discovery import rules
from tests.xds.controlplane.support import endpoints, istio, made, mesh, service, view

TEXT = (
    service("web", "http:80:8080", "tcp:6379:6380", "any:9000:9001")
    + endpoints("web", "http:8080", "10.1.0.1")
    + service("db", "mongo:27017", ip="10.96.0.2")
)


def listeners(settings: str, **who: Any) -> dict[str, Any]:
    return made(view(TEXT + mesh(settings), labels={"app": "web"}, **who), rules.LISTENER)


def port(listener: dict[str, Any]) -> int:
    number: int = listener["address"]["socket_address"]["port_value"]
    return number


def test_the_proxys_own_ports_are_the_meshs() -> None:
    found = listeners("{proxyListenPort: 15101, proxyInboundListenPort: 15106}")
    assert (port(found["virtualOutbound"]), port(found["virtualInbound"])) == (15101, 15106)
    for name, number in (("virtualOutbound", 15101), ("virtualInbound", 15106)):
        assert found[name]["filter_chains"][0]["filter_chain_match"] == {"destination_port": number}
    assert "0.0.0.0_15101" not in listeners("{}")


def test_detection_is_given_up_after_the_meshs_time() -> None:
    found = listeners("protocolDetectionTimeout: 5s")
    assert found["virtualInbound"]["listener_filters_timeout"] == "5s"
    assert found["10.96.0.1_9000"]["listener_filters_timeout"] == "5s"
    assert found["10.96.0.1_6379"]["listener_filters_timeout"] == "0s"


def test_a_forward_proxy_listens_on_loopback() -> None:
    found = listeners("proxyHttpPort: 15002")["127.0.0.1_15002"]
    assert found["max_connections_to_accept_per_socket_event"] == 1
    assert "bind_to_port" not in found
    (chain,) = found["filter_chains"]
    manager = chain["filters"][0]["typed_config"]
    assert manager["rds"]["route_config_name"] == "http_proxy"
    assert manager["http_protocol_options"] == {"allow_absolute_url": True}
    assert manager["stat_prefix"] == "outbound_127.0.0.1_15002;"
    assert "127.0.0.1_15003" in listeners("proxyHttpPort: 15002", HTTP_PROXY_PORT="15003")
    assert "127.0.0.1_15002" not in listeners("{}")


def tls(settings: str) -> dict[str, Any]:
    chains = listeners(settings)["virtualInbound"]["filter_chains"]
    sockets = [chain["transport_socket"]["typed_config"] for chain in chains if "transport_socket" in chain]
    context: dict[str, Any] = sockets[0]["common_tls_context"]
    return context


def test_peers_must_speak_the_tls_that_the_mesh_asks_for() -> None:
    wanted = "meshMTLS: {minProtocolVersion: TLSV1_3, cipherSuites: [ECDHE-RSA-AES256-GCM-SHA384]}"
    assert tls(wanted)["tls_params"] == {
        "tls_minimum_protocol_version": "TLSv1_3",
        "tls_maximum_protocol_version": "TLSv1_3",
        "cipher_suites": ["ECDHE-RSA-AES256-GCM-SHA384"],
    }
    usual = tls("tlsDefaults: {minProtocolVersion: TLSV1_3, cipherSuites: [x]}")["tls_params"]
    assert usual["tls_minimum_protocol_version"] == "TLSv1_2"
    assert len(usual["cipher_suites"]) == 6


def test_peers_may_come_from_every_trust_domain_of_the_mesh() -> None:
    settings = """
    trustDomain: mine
    trustDomainAliases: [old, mine]
    caCertificates: [{pem: x, trustDomains: [partner, old]}]
    """
    names = tls(settings)["combined_validation_context"]["default_validation_context"]["match_subject_alt_names"]
    assert [name["prefix"] for name in names] == ["spiffe://mine/", "spiffe://old/", "spiffe://partner/"]


def prefixes(listener: dict[str, Any]) -> list[str]:
    chains = [*listener["filter_chains"], listener.get("default_filter_chain", {"filters": ()})]
    return [
        each["typed_config"]["stat_prefix"]
        for chain in chains
        for each in chain["filters"]
        if each["name"].endswith(("tcp_proxy", "mongo_proxy"))
    ]


def test_statistics_of_bytes_are_named_by_the_patterns_too() -> None:
    found = listeners("outboundClusterStatName: '%SERVICE%_%SERVICE_PORT%_%SERVICE_PORT_NAME%'")
    assert prefixes(found["10.96.0.1_6379"]) == ["web.shop_6379_"]
    assert prefixes(found["10.96.0.2_27017"]) == ["db.shop_27017_"] * 2
    inwards = listeners("inboundClusterStatName: '%SERVICE_NAME%_%SERVICE_PORT%_%SERVICE_PORT_NAME%'")
    assert "web_6379_tcp" in prefixes(inwards["virtualInbound"])
    assert "_0_" in prefixes(inwards["virtualInbound"])
    assert "InboundPassthroughCluster" in prefixes(listeners("inboundClusterStatName: '%SERVICE%'")["virtualInbound"])


def test_of_a_route_the_destination_names_the_statistics() -> None:
    route = istio(
        "VirtualService",
        "web",
        "{hosts: [web], tcp: [{match: [{port: 6379}], route: [{destination: {host: web, subset: v1}}]}]}",
    )
    settings = mesh("outboundClusterStatName: '%SERVICE_NAME%_%SUBSET_NAME%_%SERVICE_PORT_NAME%'")
    found = made(view(TEXT + route + settings), rules.LISTENER)
    assert prefixes(found["10.96.0.1_6379"]) == ["web_v1_tcp"]


@pytest.mark.parametrize(
    ("mode", "cluster"), [("ALLOW_ANY", "PassthroughCluster"), ("REGISTRY_ONLY", "BlackHoleCluster")]
)
def test_what_nobody_knows_is_let_through_or_dropped(mode: str, cluster: str) -> None:
    found = listeners(f"outboundTrafficPolicy: {{mode: {mode}}}")["virtualOutbound"]
    assert found["filter_chains"][-1]["filters"][0]["typed_config"]["cluster"] == cluster


def test_a_proxy_may_ask_for_connections_to_be_balanced_exactly() -> None:
    exact: dict[str, Any] = {"exact_balance": {}}
    found = listeners("{}", INBOUND_LISTENER_EXACT_BALANCE="true")
    assert {name for name, each in found.items() if "connection_balance_config" in each} == {"virtualInbound"}
    assert found["virtualInbound"]["connection_balance_config"] == exact
    found = listeners("proxyHttpPort: 15002", OUTBOUND_LISTENER_EXACT_BALANCE="true")
    plain = {name for name, each in found.items() if "connection_balance_config" not in each}
    assert plain == {"virtualInbound", "virtualOutbound"}
    assert found["127.0.0.1_15002"]["connection_balance_config"] == exact
