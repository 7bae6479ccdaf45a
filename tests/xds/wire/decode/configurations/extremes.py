"""Contradictory and extreme values, beyond what the other tables hold: the rules that Envoy keeps in its code."""

# ruff: noqa: E501  # Envoy's words are not broken.

from __future__ import annotations

from typing import Any

from . import Case, Json
from .build import (
    LB,
    ROUTER,
    TCP_PROXY,
    TLS,
    assigned,
    balanced,
    cluster,
    configuration,
    endpoint,
    extension,
    filtered,
    host,
    listener,
    locality,
    managed,
    policies,
    route,
    typed,
)

CARES = "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
RING = LB + "ring_hash.v3.RingHash"
TCP_OPTIONS = "envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions"
HOSTNAMES: Json = {"common_lb_config": {"consistent_hashing_lb_config": {"use_hostname_for_hashing": True}}}
SELECTORS: Json = {"subset_selectors": [{"keys": ["a"]}], "locality_weight_aware": True}
NOBODY: Json = {"cluster_name": "x", "endpoints": [locality(endpoint("localhost"))]}


def backing_off(base: str, longest: str) -> Json:
    """A TCP proxy that connects anew after such pauses."""
    pauses = {"base_interval": base, "max_interval": longest}
    return listener(extension(TCP_PROXY, "t", stat_prefix="s", cluster="c", backoff_options=pauses))


def resolved(**fields: Any) -> Json:
    """A cluster that DNS resolves."""
    return cluster(**{"type": "STRICT_DNS", "load_assignment": NOBODY, **fields})


def also_at(address: str) -> Json:
    """An endpoint with another address."""
    where = {"address": {"socket_address": {"address": address, "port_value": 1}}}
    return {"endpoint": {**endpoint()["endpoint"], "additional_addresses": [where]}}


def hashed_by_name(type_: str) -> str:
    """What Envoy says where only names that it resolves may be hashed."""
    return f"Cannot use hostname for consistent hashing loadbalancing for cluster of type: '{type_}'"


def secure(**validation: Any) -> Json:
    """A TLS socket that takes the name it asks for as the name to be proven."""
    return cluster(transport_socket=extension(TLS, common_tls_context=validation, auto_sni_san_validation=True))


def tcp(**fields: Any) -> Json:
    """Options of TCP connections."""
    return cluster(typed_extension_protocol_options={TCP_OPTIONS: typed(TCP_OPTIONS, **fields)})


CASES = [
    Case("ring: typed above the older maximum", balanced(extension(RING, maximum_ring_size="8388609"))),
    Case(
        "ring: typed, more than anybody builds",
        balanced(extension(RING, maximum_ring_size="18446744073709551615")),
    ),
    Case("panic: 100", cluster(common_lb_config={"healthy_panic_threshold": {"value": 100}})),
    Case(
        "panic: above 100",
        cluster(common_lb_config={"healthy_panic_threshold": {"value": 100.5}}),
        "PercentValidationError.Value: value must be inside range [0, 100]",
    ),
    Case(
        "subset: weights of localities that there are not",
        cluster(lb_subset_config=SELECTORS),
        "Locality weight aware subset LB requires that a locality_weighted_lb_config be set in x",
    ),
    Case(
        "subset: weights of localities",
        cluster(lb_subset_config=SELECTORS, common_lb_config={"locality_weighted_lb_config": {}}),
    ),
    Case(
        "subset: typed",
        balanced(
            extension(
                LB + "subset.v3.Subset",
                subset_lb_policy=policies(extension(LB + "round_robin.v3.RoundRobin")),
                **SELECTORS,
            )
        ),
    ),
    Case("hash names: static", cluster(**HOSTNAMES), hashed_by_name("envoy.cluster.static")),
    Case("hash names: resolved", resolved(**HOSTNAMES)),
    Case("hash names: logical", resolved(type="LOGICAL_DNS", **HOSTNAMES), hashed_by_name("envoy.cluster.logical_dns")),
    Case("hash names: typed", balanced(extension(RING, use_hostname_for_hashing=True))),
    Case(
        "resolver: unknown, and nobody asks",
        cluster(typed_dns_resolver_config=extension("google.protobuf.Empty")),
    ),
    Case("resolver: cares without tries", resolved(typed_dns_resolver_config=extension(CARES, query_tries=0))),
    Case(
        "resolver: cares, negative",
        resolved(typed_dns_resolver_config=extension(CARES, max_udp_channel_duration="-1s")),
    ),
    Case(
        "TLS: nothing to check against",
        secure(),
        "'auto_sni_san_validation' was configured without a validation context",
    ),
    Case(
        "TLS: nobody to trust",
        secure(validation_context={}),
        "'auto_sni_san_validation' was configured without configuring a trusted CA",
    ),
    Case(
        "TCP options: negative",
        tcp(idle_timeout="-1s"),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case("TCP options: none", tcp(idle_timeout="0s")),
    Case(
        "another address: no address",
        assigned(locality(also_at("x"))),
        "malformed IP address: x. Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'",
    ),
    Case("another address: the same", assigned(locality(also_at("127.0.0.1")))),
    Case(
        "routes from the stream's own source",
        managed(rds={"route_config_name": "r", "config_source": {"self": {}}}),
        "Missing config source specifier in envoy::config::core::v3::ConfigSource",
        differs="gRPC's clients take it for the stream that it comes on, and so does this",
    ),
    Case(
        "weights: all zero",
        route(route={"weighted_clusters": {"clusters": [{"name": "c", "weight": 0}, {"name": "c", "weight": 0}]}}),
        "Sum of weights in the weighted_cluster must be greater than 0.",
    ),
    Case(
        "weights: one more than fits",
        route(
            route={"weighted_clusters": {"clusters": [{"name": "c", "weight": 4294967295}, {"name": "c", "weight": 1}]}}
        ),
        "The sum of weights of all weighted clusters of route exceeds 4294967295",
    ),
    Case(
        "per try above the route's timeout",
        route(route={"cluster": "c", "timeout": "1s", "retry_policy": {"retry_on": "5xx", "per_try_timeout": "5s"}}),
    ),
    Case("retries: more than anybody does", route(route={"cluster": "c", "retry_policy": {"num_retries": 4294967295}})),
    Case(
        "manager: responses of a size",
        managed(common_http_protocol_options={"max_response_headers_kb": 9}),
        "Error: max_response_headers_kb cannot be set on http_connection_manager.",
    ),
    Case(
        "TCP proxy: early data without a limit",
        listener(extension(TCP_PROXY, "t", stat_prefix="s", cluster="c", upstream_connect_mode="ON_DOWNSTREAM_DATA")),
        "max_early_data_bytes must be set when upstream_connect_mode is not IMMEDIATE",
    ),
    Case(
        "tcp: back-off that becomes shorter",
        backing_off("2s", "1.999s"),
        "max_backoff_interval must be greater or equal to base_backoff_interval",
    ),
    Case(
        "tcp: back-off that stays",
        backing_off("0.0017s", "0.0012s"),
    ),
    Case(
        "rate limit service: an old version",
        filtered(
            extension(
                "envoy.extensions.filters.http.ratelimit.v3.RateLimit",
                "r",
                domain="d",
                rate_limit_service={
                    "grpc_service": {"envoy_grpc": {"cluster_name": "c"}},
                    "transport_api_version": "V2",
                },
            ),
            ROUTER,
        ),
        "The v2 xDS major version has been removed and is no longer supported.",
    ),
    Case("hosts: none", configuration(virtual_hosts=[])),
    Case("host: no routes", host(routes=[])),
    Case(
        "fault: above 100 %",
        host(
            typed_per_filter_config={
                "f": typed(
                    "envoy.extensions.filters.http.fault.v3.HTTPFault",
                    abort={"http_status": 503, "percentage": {"numerator": 4294967295}},
                )
            }
        ),
    ),
    Case(
        "fault: no such status",
        host(
            typed_per_filter_config={
                "f": typed(
                    "envoy.extensions.filters.http.fault.v3.HTTPFault",
                    abort={"http_status": 600, "percentage": {"numerator": 1}},
                )
            }
        ),
        "FaultAbortValidationError.HttpStatus: value must be inside range [200, 600)",
    ),
]
