"""Hosts that are resolved when they are called: DYNAMIC_DNS entries, and ALLOW_ANY_DYNAMIC_DNS."""

from __future__ import annotations

from typing import Any

import pytest

from tests.xds.controlplane.emit.traffic import Json, clusters, hosts, listeners, parsed, rule
from tests.xds.controlplane.support import istio, mesh

WILD = "*.example.com"
ENTRY = istio(
    "ServiceEntry",
    "wild",
    """
    hosts: ["*.example.com"]
    location: MESH_EXTERNAL
    resolution: DYNAMIC_DNS
    ports:
    - {number: 8088, name: http, protocol: HTTP}
    - {number: 8443, name: tls, protocol: TLS}
    """,
)
CACHE: Json = {"name": "*.example.com_dfp_dns_cache", "dns_lookup_family": "V4_ONLY"}
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
FORWARDS = "type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"


def manager(chain: Json) -> Json:
    found: Json = chain["filters"][-1]["typed_config"]
    return found


def http_filters(chain: Json) -> list[str]:
    return [each["name"].rpartition(".")[2] for each in manager(chain)["http_filters"]]


def test_a_port_of_http_or_tls_has_a_cluster_that_forwards_to_what_was_resolved() -> None:
    found = {name: each for name, each in clusters(ENTRY).items() if WILD in name}
    assert found.keys() == {f"outbound|8088||{WILD}", f"outbound|8443||{WILD}"}
    made = found[f"outbound|8088||{WILD}"]
    del made["circuit_breakers"], made["filters"]
    assert made == {
        "name": f"outbound|8088||{WILD}",
        "alt_stat_name": f"outbound|8088||{WILD};",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "10s",
        "cluster_type": {
            "name": "envoy.clusters.dynamic_forward_proxy",
            "typed_config": {"@type": FORWARDS, "dns_cache_config": CACHE},
        },
        "metadata": {"filter_metadata": {"istio": {"external": True}}},
    }
    inside = clusters(ENTRY.replace("MESH_EXTERNAL", "MESH_INTERNAL"))[f"outbound|8088||{WILD}"]
    assert "metadata" not in inside


@pytest.mark.parametrize(
    ("tls", "automatic", "insecure"),
    [
        ("mode: SIMPLE", {"auto_sni": True, "auto_san_validation": True}, False),
        ("mode: SIMPLE, subjectAltNames: [a]", {"auto_sni": True, "auto_san_validation": True}, False),
        ("mode: SIMPLE, sni: a", {"auto_san_validation": True}, True),
        ("mode: SIMPLE, insecureSkipVerify: true", {"auto_sni": True}, True),
        ("mode: SIMPLE, insecureSkipVerify: true, sni: a", None, True),
        ("mode: ISTIO_MUTUAL", {"auto_sni": True, "auto_san_validation": True}, False),
    ],
)
def test_certificates_are_checked_against_the_name_that_was_called(tls: str, automatic: Any, insecure: bool) -> None:
    text = ENTRY + rule(f"{{tls: {{{tls}}}}}", host=WILD, rest="{subsets: [{name: v1}]}")
    found = {name: each for name, each in clusters(text).items() if WILD in name}
    assert f"outbound|8088|v1|{WILD}" not in found
    made = found[f"outbound|8088||{WILD}"]
    options = made.get("typed_extension_protocol_options", {}).get(OPTIONS, {})
    assert options.get("upstream_http_protocol_options") == automatic
    config = made["cluster_type"]["typed_config"]
    assert config.get("allow_insecure_cluster_options", False) is insecure
    assert made["transport_socket"]["typed_config"].get("sni", "") == ("a" if "sni" in tls else "")


def test_entries_inside_the_mesh_are_offered_mtls_under_the_name_that_was_called() -> None:
    made = clusters(ENTRY.replace("MESH_EXTERNAL", "MESH_INTERNAL"))[f"outbound|8088||{WILD}"]
    mutual, plain = made["transport_socket_matches"]
    assert (mutual["name"], plain["name"]) == ("tlsMode-istio", "tlsMode-disabled")
    assert "sni" not in mutual["transport_socket"]["typed_config"]
    upstream = made["typed_extension_protocol_options"][OPTIONS]["upstream_http_protocol_options"]
    assert upstream == {"auto_sni": True, "auto_san_validation": True}


def test_names_are_resolved_before_the_router_or_the_tcp_proxy() -> None:
    found = listeners(ENTRY)
    http = found["0.0.0.0_8088"]["filter_chains"][0]
    assert http_filters(http)[-2:] == ["dynamic_forward_proxy", "router"]
    assert manager(http)["http_filters"][-2]["typed_config"]["dns_cache_config"] == CACHE
    (tls,) = found["0.0.0.0_8443"]["filter_chains"]
    assert tls["filter_chain_match"] == {"server_names": [WILD]}
    resolve, proxy = tls["filters"]
    assert resolve == parsed(
        f"""
        name: envoy.extensions.filters.network.sni_dynamic_forward_proxy
        typed_config:
          '@type': >-
            type.googleapis.com/envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig
          port_value: 8443
          dns_cache_config: {{name: "{CACHE["name"]}", dns_lookup_family: V4_ONLY}}
        """
    )
    assert proxy["typed_config"]["cluster"] == f"outbound|8443||{WILD}"
    assert [each["name"] for each in found["0.0.0.0_8443"]["listener_filters"]] == [
        "envoy.filters.listener.tls_inspector"
    ]
    # The table of the port names it as any other service.
    assert [each["domains"] for each in hosts(ENTRY, "8088")] == [[WILD, f"{WILD}."], ["*"]]


ANY = mesh("outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS}")


def test_hosts_that_nobody_knows_may_be_resolved_when_they_are_called() -> None:
    made = clusters(ANY)["AllowAnyDynamicDNSCluster"]
    config = made["cluster_type"]["typed_config"]
    cache = {"name": "allow_any_dfp_dns_cache", "dns_lookup_family": "V4_ONLY", "max_hosts": 1024}
    assert config == {"@type": FORWARDS, "dns_cache_config": cache, "allow_insecure_cluster_options": True}
    assert made["lb_policy"] == "CLUSTER_PROVIDED"
    assert (
        made["typed_extension_protocol_options"]
        == clusters("")["PassthroughCluster"]["typed_extension_protocol_options"]
    )
    (last,) = hosts(ANY)[-1:]
    assert (last["name"], last["domains"]) == ("allow_any_dynamic_dns", ["*"])
    (route,) = last["routes"]
    assert route == {
        "name": "allow_any_dynamic_dns",
        "match": {"prefix": "/"},
        "route": {"cluster": "AllowAnyDynamicDNSCluster", "timeout": "0s", "max_grpc_timeout": "0s"},
    }


def test_every_outbound_listener_resolves_and_what_no_listener_takes_too() -> None:
    found = listeners(ANY)
    assert http_filters(found["0.0.0.0_80"]["filter_chains"][0])[-2:] == ["dynamic_forward_proxy", "router"]
    assert found["0.0.0.0_80"]["default_filter_chain"]["filters"][-1]["typed_config"]["cluster"] == "PassthroughCluster"
    virtual = found["virtualOutbound"]
    assert [each["name"] for each in virtual["listener_filters"]] == ["envoy.filters.listener.http_inspector"]
    dropped, http, rest = virtual["filter_chains"]
    assert dropped["name"] == "virtualOutbound-blackhole"
    assert http["name"] == "virtualOutbound-catchall-tcp-http"
    assert http["filter_chain_match"] == {"application_protocols": ["http/1.1", "h2c"]}
    assert manager(http)["stat_prefix"] == "outbound_virtualOutbound_allow_any_dynamic_dns;"
    assert [each["name"] for each in manager(http)["route_config"]["virtual_hosts"]] == ["allow_any_dynamic_dns"]
    assert rest["filters"][-1]["typed_config"]["cluster"] == "PassthroughCluster"


@pytest.mark.parametrize(
    ("said", "address", "port"),
    [
        ("", "127.0.0.1", 15053),
        ("localhost:53", "127.0.0.1", 53),
        ("[::1]:5353", "::1", 5353),
        ("x", "127.0.0.1", 15053),
    ],
)
def test_an_agent_that_captures_dns_is_asked_itself(said: str, address: str, port: int) -> None:
    made = clusters(ANY, DNS_CAPTURE="true", DNS_PROXY_ADDR=said)["AllowAnyDynamicDNSCluster"]
    resolver = made["cluster_type"]["typed_config"]["dns_cache_config"]["typed_dns_resolver_config"]
    assert resolver["typed_config"]["resolvers"] == [{"socket_address": {"address": address, "port_value": port}}]


def test_hosts_that_nobody_knows_may_be_called_with_tls() -> None:
    settings = "outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS, tls: {mode: %s}}"
    made = clusters(mesh(settings % "SIMPLE"))["AllowAnyDynamicDNSCluster"]
    assert "allow_insecure_cluster_options" not in made["cluster_type"]["typed_config"]
    assert made["transport_socket"]["name"] == "envoy.transport_sockets.tls"
    options = made["typed_extension_protocol_options"][OPTIONS]
    del options["@type"]
    assert options == {
        "upstream_http_protocol_options": {"auto_sni": True, "auto_san_validation": True},
        "explicit_http_config": {"http_protocol_options": {}},
    }
    mutual = clusters(mesh(settings % "ISTIO_MUTUAL"))["AllowAnyDynamicDNSCluster"]
    assert "sni" not in mutual["transport_socket"]["typed_config"]
    named = clusters(mesh(settings % "SIMPLE, credentialName: x"))["AllowAnyDynamicDNSCluster"]
    assert "transport_socket" not in named
    assert "transport_socket" not in clusters(mesh(settings % "DISABLE"))["AllowAnyDynamicDNSCluster"]
