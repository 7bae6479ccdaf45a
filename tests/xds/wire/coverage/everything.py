"""Resources that set the honoured fields which neither the recordings nor the tables of configurations set to much."""

from __future__ import annotations

from proxyless.xds.model.resource import ResourceType
from tests.xds.wire.decode.configurations import Json
from tests.xds.wire.decode.configurations.build import (
    HTTP_OPTIONS,
    LB,
    LOCAL_RATELIMIT,
    RAW,
    ROUTER,
    TLS,
    cluster,
    endpoint,
    extension,
    listener,
    locality,
    managed,
    manager,
    typed,
)

from .contexts import CONTEXTS
from .replies import REPLIES

ADD = [{"header": {"key": "x-a", "value": "b"}}]
LEVEL: Json = {
    "request_headers_to_add": ADD,
    "request_headers_to_remove": ["x-r"],
    "response_headers_to_add": ADD,
    "response_headers_to_remove": ["x-s"],
}
BUCKET: Json = {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "1s"}
LIMIT = typed(
    LOCAL_RATELIMIT,
    stat_prefix="s",
    token_bucket=BUCKET,
    status={"code": "ServiceUnavailable"},
    stage=1,
    enable_x_ratelimit_headers="DRAFT_VERSION_03",
    vh_rate_limits="INCLUDE",
    always_consume_default_token_bucket=False,
    max_dynamic_descriptors=3,
    request_headers_to_add_when_not_enforced=ADD,
)
FILTERS: Json = {"local": LIMIT}
FILTER = "envoy.config.route.v3.FilterConfig"
OPTIONAL: Json = {
    "off": typed(FILTER, disabled=True),
    "on": typed(FILTER, config=LIMIT),
    "may": typed(FILTER, config=typed(RAW), is_optional=True),
}
EXACT: Json = {"exact": "a"}
RATE_LIMITS = [
    {
        "stage": 1,
        "actions": [
            {"masked_remote_address": {"v4_prefix_mask_len": 24, "v6_prefix_mask_len": 64}},
            {"remote_address": {}},
            {"generic_key": {"descriptor_value": "v", "descriptor_key": "k"}},
            {
                "header_value_match": {
                    "descriptor_value": "v",
                    "descriptor_key": "k",
                    "expect_match": False,
                    "headers": [{"name": "a", "present_match": True}],
                }
            },
            {
                "query_parameter_value_match": {
                    "descriptor_value": "v",
                    "descriptor_key": "k",
                    "expect_match": False,
                    "query_parameters": [{"name": "a", "present_match": False}],
                }
            },
            {"query_parameters": {"query_parameter_name": "q", "descriptor_key": "k", "skip_if_absent": True}},
            {"request_headers": {"header_name": "h", "descriptor_key": "k", "skip_if_absent": True}},
        ],
    }
]
REDIRECT = "envoy.extensions.internal_redirect."
PREDICATES = "envoy.extensions.retry.host."
RETRY: Json = {
    "retry_on": "5xx",
    "num_retries": 2,
    "per_try_idle_timeout": "7s",
    "retriable_headers": [{"name": "a", "string_match": EXACT}],
    "retriable_request_headers": [{"name": "a", "present_match": True}],
    "rate_limited_retry_back_off": {
        "reset_headers": [{"name": "a", "format": "UNIX_TIMESTAMP"}],
        "max_interval": "7s",
    },
    "retry_priority": extension(
        "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig", update_frequency=7
    ),
    "retry_host_predicate": [
        extension(
            PREDICATES + "omit_host_metadata.v3.OmitHostMetadataConfig",
            metadata_match={"filter_metadata": {"envoy.lb": {"a": "b"}}},
        )
    ],
}
BREAKERS: Json = {
    "thresholds": [
        {
            "priority": "HIGH",
            "max_requests": 7,
            "max_connection_pools": 7,
            "retry_budget": {
                "budget_percent": {"value": 7},
                "min_retry_concurrency": 7,
                "budget_interval": "7s",
            },
        }
    ],
    "per_host_thresholds": [{"priority": "HIGH", "max_connections": 7}],
}
LARGE = "[a-z]{1000}" * 40
HEADERS = [
    {"name": "a", "contains_match": "x"},
    {"name": "a", "exact_match": "x"},
    {"name": "a", "prefix_match": "x"},
    {"name": "a", "suffix_match": "x"},
    {"name": "a", "safe_regex_match": {"regex": "x"}},
    {"name": "a", "present_match": False},
    *(
        {"name": "a", "string_match": each}
        for each in (
            {"prefix": "x", "ignore_case": True},
            {"suffix": "x"},
            {"contains": "x"},
            {"safe_regex": {"regex": LARGE, "google_re2": {"max_program_size": 100_000}}},
        )
    ),
]

SEVENS = (
    "consecutive_5xx consecutive_gateway_failure consecutive_local_origin_failure enforcing_consecutive_5xx "
    "enforcing_consecutive_gateway_failure enforcing_consecutive_local_origin_failure enforcing_success_rate "
    "enforcing_local_origin_success_rate enforcing_failure_percentage enforcing_failure_percentage_local_origin "
    "max_ejection_percent success_rate_minimum_hosts success_rate_request_volume success_rate_stdev_factor "
    "failure_percentage_threshold failure_percentage_minimum_hosts failure_percentage_request_volume"
)
OUTLIERS: Json = {
    **dict.fromkeys(["interval", "base_ejection_time", "max_ejection_time", "max_ejection_time_jitter"], "7s"),
    **dict.fromkeys(["split_external_local_origin_errors", "always_eject_one_host", "detect_degraded_hosts"], True),
    "successful_active_health_check_uneject_host": False,
    **dict.fromkeys(SEVENS.split(), 7),
}


def rewritten(**fields: str) -> Json:
    return {"match": {"prefix": "/"}, "route": {"cluster": "c", **fields}}


MATCHED: Json = {"filter_metadata": {"envoy.lb": {"version": "1"}}}
HASHED: list[Json] = [
    {
        "header": {"header_name": "x-key", "regex_rewrite": {"pattern": {"regex": "a"}, "substitution": "b"}},
        "terminal": True,
    },
    {"cookie": {"name": "c", "ttl": "5s", "path": "/", "attributes": [{"name": "a", "value": "b"}]}},
    {"connection_properties": {"source_ip": True}},
    {"query_parameter": {"name": "q"}},
]
ROUTES: list[Json] = [
    {
        "match": {"prefix": "/"},
        "route": {
            "cluster": "c",
            "internal_redirect_action": "HANDLE_INTERNAL_REDIRECT",
            "max_internal_redirects": 7,
        },
    },
    {
        "match": {
            "prefix": "/",
            "case_sensitive": False,
            "headers": HEADERS,
            "query_parameters": [{"name": "q", "present_match": False}],
            "runtime_fraction": {"default_value": {"numerator": 1, "denominator": "MILLION"}},
        },
        "route": {
            "cluster": "c",
            "cluster_not_found_response_code": "NOT_FOUND",
            "host_rewrite_header": "x-host",
            "include_vh_rate_limits": True,
            "max_grpc_timeout": "5s",
            "grpc_timeout_offset": "1s",
            "hedge_policy": {"hedge_on_per_try_timeout": True},
            "internal_redirect_policy": {
                "max_internal_redirects": 7,
                "redirect_response_codes": [301],
                "predicates": [
                    extension(REDIRECT + "allow_listed_routes.v3.AllowListedRoutesConfig", allowed_route_names=["a"])
                ],
                "allow_cross_scheme_redirect": True,
                "response_headers_to_copy": ["a"],
            },
            "idle_timeout": "7s",
            "max_stream_duration": {
                "max_stream_duration": "7s",
                "grpc_timeout_header_max": "7s",
                "grpc_timeout_header_offset": "7s",
            },
            "retry_policy": RETRY,
            "rate_limits": RATE_LIMITS,
            "hash_policy": HASHED,
            "metadata_match": MATCHED,
        },
        **LEVEL,
    },
    {
        "match": {"prefix": "/"},
        "route": {
            "weighted_clusters": {
                "clusters": [
                    {
                        "name": "c",
                        "weight": 1,
                        "host_rewrite_literal": "h",
                        "metadata_match": MATCHED,
                        "typed_per_filter_config": FILTERS,
                        **LEVEL,
                    }
                ]
            }
        },
    },
    {
        "match": {"prefix": "/"},
        "decorator": {"operation": "o", "propagate": False},
        "redirect": {
            "scheme_redirect": "https",
            "response_code": "FOUND",
            "strip_query": True,
            "regex_rewrite": {"pattern": {"regex": "a"}, "substitution": "b"},
        },
    },
]
HOST: Json = {
    "name": "v",
    "domains": ["*"],
    "routes": ROUTES,
    "retry_policy": RETRY,
    "rate_limits": RATE_LIMITS,
    "typed_per_filter_config": {**FILTERS, **OPTIONAL},
    "include_request_attempt_count": True,
    **LEVEL,
}
TABLE: Json = {
    "name": "r",
    "virtual_hosts": [HOST],
    "most_specific_header_mutations_wins": True,
    "ignore_port_in_host_matching": True,
    "typed_per_filter_config": FILTERS,
    **LEVEL,
}
RANGE = [{"address_prefix": "10.0.0.0", "prefix_len": 8}]
MATCH: Json = {
    "destination_port": 80,
    "prefix_ranges": RANGE,
    "direct_source_prefix_ranges": RANGE,
    "source_prefix_ranges": RANGE,
    "source_ports": [1],
    "source_type": "EXTERNAL",
    "server_names": ["a"],
    "transport_protocol": "tls",
    "application_protocols": ["h2"],
}
DISCOVERED: Json = {
    "name": "d",
    "config_discovery": {
        "config_source": {"self": {}},
        "default_config": LIMIT,
        "type_urls": ["type.googleapis.com/" + LOCAL_RATELIMIT],
    },
}
CODEC = extension("envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec")
HTTP: Json = {"idle_timeout": "2s", "max_requests_per_connection": 3, "max_stream_duration": "2s"}
HTTP2: Json = {"max_concurrent_streams": 5}
CONSISTENT: Json = {"use_hostname_for_hashing": True, "hash_balance_factor": 150}
SUBSETS: Json = {
    "fallback_policy": "DEFAULT_SUBSET",
    "default_subset": {"a": "b"},
    "subset_selectors": [
        {"keys": ["a"], "single_host_per_subset": True},
        {"keys": ["a", "b"], "fallback_policy": "KEYS_SUBSET", "fallback_keys_subset": ["a"]},
    ],
    "locality_weight_aware": True,
    "scale_locality_weight": True,
    "panic_mode_any": True,
    "list_as_any": True,
    "metadata_fallback_policy": "FALLBACK_LIST",
}
ROUND_ROBIN: Json = {"policies": [{"typed_extension_config": extension(LB + "round_robin.v3.RoundRobin", "x")}]}
SLOWLY: Json = {
    "slow_start_window": "7s",
    "aggression": {"default_value": 3, "runtime_key": "k"},
    "min_weight_percent": {"value": 20},
}
ZONES: Json = {"routing_enabled": {"value": 50}, "min_cluster_size": 3, "fail_traffic_on_panic": True}
MORE_ZONES: Json = {
    **ZONES,
    "force_local_zone": {"min_size": 3},
    "locality_basis": "HEALTHY_HOSTS_WEIGHT",
}
LOCALITIES: Json = {"locality_lb_config": {"locality_weighted_lb_config": {}}}


def options(**fields: Json | list[Json]) -> Json:
    """A cluster that speaks as these options say."""
    packed = typed(HTTP_OPTIONS, common_http_protocol_options=HTTP, **fields)
    return cluster(typed_extension_protocol_options={HTTP_OPTIONS: packed})


def errors(predicate: Json) -> Json:
    """A cluster to which these responses are errors."""
    own = {"error_matcher": predicate}
    return options(explicit_http_config={"http_protocol_options": {}}, outlier_detection=own)


BAD: Json = {"http_response_headers_match": {"headers": [{"name": "x-bad"}]}}


def balanced(kind: str, **fields: object) -> Json:
    """A cluster with this policy."""
    return cluster(
        load_balancing_policy={"policies": [{"typed_extension_config": extension(LB + kind, "x", **fields)}]}
    )


RESOLVER = extension("envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig")
SERVER: Json = {"socket_address": {"address": "10.0.0.53", "port_value": 53}}
LOOK_UPS: Json = {"use_tcp_for_dns_lookups": True, "no_default_search_domain": True}
CARES = extension(
    "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
    resolvers=[SERVER],
    use_resolvers_as_fallback=True,
    dns_resolver_options=LOOK_UPS,
    query_timeout_seconds=2,
    query_tries=3,
)
AGAIN: Json = {
    "dns_jitter": "1s",
    "respect_dns_ttl": True,
    "dns_failure_refresh_rate": {"base_interval": "1s", "max_interval": "3s"},
}


def provisioned() -> Json:
    """A cluster whose priorities give way later than by default."""
    load = {"cluster_name": "x", "endpoints": [locality(endpoint())], "policy": {"overprovisioning_factor": 200}}
    return cluster(load_assignment=load)


def dns(**fields: object) -> Json:
    """A cluster that is resolved by the DNS extension."""
    own = typed("envoy.extensions.clusters.dns.v3.DnsCluster", **fields)
    named = endpoint("example.com")
    named["endpoint"]["hostname"] = "h"
    hosts = {"cluster_name": "x", "endpoints": [locality(named, locality={"sub_zone": "s"})]}
    return cluster(cluster_type={"name": "envoy.cluster.dns", "typed_config": own}, load_assignment=hosts)


LISTENERS = [
    managed(
        route_config=TABLE,
        http_filters=[DISCOVERED, ROUTER],
        merge_slashes=True,
        stream_idle_timeout="7s",
        request_timeout="7s",
        common_http_protocol_options={"max_stream_duration": "7s"},
        path_with_escaped_slashes_action="REJECT_REQUEST",
    ),
    {**listener(), "filter_chains": [{"filters": [manager()], "filter_chain_match": MATCH}]},
]
FORWARD = "envoy.extensions.filters.http.dynamic_forward_proxy.v3."
NAMES: Json = {
    "name": "names",
    "dns_lookup_family": "V4_ONLY",
    "dns_refresh_rate": "9s",
    "dns_min_refresh_rate": "2s",
    "host_ttl": "7s",
    "max_hosts": 3,
    "dns_failure_refresh_rate": {"base_interval": "1s", "max_interval": "3s"},
    "dns_cache_circuit_breaker": {"max_pending_requests": 4},
    "dns_query_timeout": "2s",
}
CLUSTERS = [
    *(
        cluster(
            lb_policy="CLUSTER_PROVIDED",
            cluster_type=extension(
                "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
                "envoy.clusters.dynamic_forward_proxy",
                dns_cache_config={**NAMES, **more},
                allow_insecure_cluster_options=True,
            ),
            typed_extension_protocol_options={
                HTTP_OPTIONS: typed(HTTP_OPTIONS, explicit_http_config={"http_protocol_options": {}})
            },
        )
        for more in (
            {"typed_dns_resolver_config": CARES},
            {"dns_resolution_config": {"resolvers": [SERVER]}},
            {"use_tcp_for_dns_lookups": True},
        )
    ),
    cluster(type="STRICT_DNS", dns_resolvers=[SERVER], use_tcp_for_dns_lookups=True, **AGAIN),
    cluster(type="STRICT_DNS", dns_resolution_config={"resolvers": [SERVER], "dns_resolver_options": LOOK_UPS}),
    cluster(type="STRICT_DNS", typed_dns_resolver_config=CARES),
    dns(dns_min_refresh_rate="2s", typed_dns_resolver_config=CARES, **AGAIN),
    cluster(
        circuit_breakers=BREAKERS,
        outlier_detection=OUTLIERS,
        lb_policy="LEAST_REQUEST",
        least_request_lb_config={"choice_count": 5},
        dns_refresh_rate="9s",
        http_protocol_options={},
    ),
    cluster(common_lb_config={"zone_aware_lb_config": ZONES}, round_robin_lb_config={"slow_start_config": SLOWLY}),
    cluster(lb_policy="LEAST_REQUEST", least_request_lb_config={"slow_start_config": SLOWLY}),
    balanced(
        "least_request.v3.LeastRequest",
        slow_start_config=SLOWLY,
        selection_method="FULL_SCAN",
        locality_lb_config={"zone_aware_lb_config": MORE_ZONES},
    ),
    balanced("round_robin.v3.RoundRobin", slow_start_config=SLOWLY),
    balanced(
        "round_robin.v3.RoundRobin",
        locality_lb_config={"zone_aware_lb_config": {"force_locality_direct_routing": True}},
    ),
    provisioned(),
    balanced("ring_hash.v3.RingHash", locality_weighted_lb_config={}),
    balanced("maglev.v3.Maglev", locality_weighted_lb_config={}),
    errors({"or_match": {"rules": [BAD, {"not_match": BAD}]}}),
    errors({"and_match": {"rules": [BAD, {"any_match": True}]}}),
    *(
        errors({f"http_{part}_match": BAD["http_response_headers_match"]})
        for part in ("request_headers", "request_trailers", "response_trailers")
    ),
    cluster(http2_protocol_options=HTTP2),
    options(explicit_http_config={"http2_protocol_options": HTTP2}, retry_policy=RETRY),
    options(explicit_http_config={"http_protocol_options": {}}, hash_policy=HASHED),
    cluster(
        lb_policy="RING_HASH",
        ring_hash_lb_config={"minimum_ring_size": 2, "maximum_ring_size": 3, "hash_function": "MURMUR_HASH_2"},
        type="STRICT_DNS",
        common_lb_config={"consistent_hashing_lb_config": CONSISTENT},
    ),
    cluster(lb_policy="MAGLEV", maglev_lb_config={"table_size": 101}),
    balanced(
        "ring_hash.v3.RingHash",
        minimum_ring_size=2,
        maximum_ring_size=3,
        hash_function="MURMUR_HASH_2",
        consistent_hashing_lb_config={**CONSISTENT, "hash_policy": HASHED},
    ),
    balanced("ring_hash.v3.RingHash", use_hostname_for_hashing=True, hash_balance_factor=150),
    balanced("ring_hash.v3.RingHash", locality_weighted_lb_config={}),
    balanced("maglev.v3.Maglev", table_size=101, consistent_hashing_lb_config=CONSISTENT),
    balanced("maglev.v3.Maglev", locality_weighted_lb_config={}),
    cluster(lb_subset_config=SUBSETS, common_lb_config={"locality_weighted_lb_config": {}}),
    balanced("subset.v3.Subset", subset_lb_policy=ROUND_ROBIN, allow_redundant_keys=True, **SUBSETS),
    balanced(
        "client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin",
        blackout_period="1s",
        weight_expiration_period="2s",
        weight_update_period="3s",
        error_utilization_penalty=4.0,
        metric_names_for_computing_utilization=["cpu_utilization"],
        slow_start_config={"slow_start_window": "5s"},
    ),
    balanced("override_host.v3.OverrideHost", override_host_sources=[{"header": "x"}], fallback_policy=ROUND_ROBIN),
    options(use_downstream_protocol_config={"http2_protocol_options": HTTP2}),
    {
        **options(auto_config={"http_protocol_options": {}, "http2_protocol_options": HTTP2}),
        "transport_socket": extension(TLS),
    },
    *(
        balanced(f"{name}.v3.{kind}", **LOCALITIES)
        for name, kind in (("round_robin", "RoundRobin"), ("random", "Random"))
    ),
    balanced("least_request.v3.LeastRequest", **LOCALITIES),
    *(
        options(
            explicit_http_config={"http_protocol_options": {}},
            http_filters=[{**extension("envoy.extensions.filters.http.rbac.v3.RBAC", "closes"), **fields}, CODEC],
        )
        for fields in ({}, {"disabled": True}, {"is_optional": True})
    ),
    dns(
        dns_refresh_rate="9s",
        dns_lookup_family="V6_ONLY",
        all_addresses_in_single_endpoint=True,
        typed_dns_resolver_config=RESOLVER,
    ),
]
PROXIED = managed(
    http_filters=[extension(FORWARD + "FilterConfig", "dfp", dns_cache_config=NAMES), ROUTER],
    route_config={
        "name": "r",
        "virtual_hosts": [
            {
                "name": each,
                "domains": [each],
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "c"}}],
                "typed_per_filter_config": {"dfp": typed(FORWARD + "PerRouteConfig", **{each: "x"})},
            }
            for each in ("host_rewrite_literal", "host_rewrite_header")
        ],
    },
)
EVERYTHING = [
    *((ResourceType.LISTENER, each) for each in (*LISTENERS, *REPLIES)),
    *((ResourceType.CLUSTER, each) for each in (*CLUSTERS, *CONTEXTS)),
    (ResourceType.EXTENSION, {"name": "limit", "typed_config": LIMIT}),
    (ResourceType.LISTENER, PROXIED),
]
