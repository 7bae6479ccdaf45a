"""Coverage of clusters (envoy.config.cluster.v3) and of what is between them and their endpoints.

A table, longer than a module should be.
"""

from __future__ import annotations

from collections.abc import Mapping

from .conditions import (
    binds,
    effective_filter,
    effective_network_filter,
    limits_streams,
)
from .endpoints import BALANCER
from .status import Entry, honoured, meaningless, none_of, not_yet, told_as_a_whole

CLUSTER = "envoy.config.cluster.v3."
CORE = "envoy.config.core.v3."
MATCHER = "envoy.config.common.matcher.v3."
HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
LB = "envoy.extensions.load_balancing_policies."
SOCKET = "envoy.extensions.transport_sockets."

STATISTICS = "metrics have names of their own"
RESOLVER = "the system's resolver is asked"
LIBRARY = "connections belong to the program's own library"
ROUND_ROBIN = "is not implemented yet: round robin instead"
EXTENSIONS = "extensions of outlier detection are not known"
UNASKED = "endpoints are not asked for their health in this way yet"
SUBSETS = (
    "fallback_policy default_subset subset_selectors locality_weight_aware scale_locality_weight panic_mode_any "
    "list_as_any metadata_fallback_policy"
)
SELECTOR = "keys single_host_per_subset fallback_policy fallback_keys_subset"
CLOSED = "what cannot be enforced closes the cluster: its endpoints fail with UF"


ORIGINAL_DST: Entry = {
    **honoured("use_http_header http_header_name upstream_port_override"),
    **not_yet("no filter here writes where to go", "metadata_key"),
}

CLUSTERS: Mapping[str, Entry] = {
    CLUSTER + "Cluster": {
        **honoured(
            "name type cluster_type eds_cluster_config connect_timeout load_assignment max_requests_per_connection "
            "circuit_breakers common_http_protocol_options http_protocol_options http2_protocol_options "
            "typed_extension_protocol_options dns_refresh_rate dns_lookup_family dns_jitter dns_failure_refresh_rate "
            "respect_dns_ttl dns_resolvers dns_resolution_config use_tcp_for_dns_lookups least_request_lb_config "
            "round_robin_lb_config common_lb_config transport_socket_matches metadata protocol_selection "
            "load_balancing_policy original_dst_lb_config filters lb_policy ring_hash_lb_config maglev_lb_config "
            "lb_subset_config"
        ),
        **meaningless(STATISTICS, "alt_stat_name track_timeout_budgets track_cluster_stats"),
        **meaningless(LIBRARY, "per_connection_buffer_limit_bytes per_connection_buffer_high_watermark_timeout"),
        **meaningless("calls wait for what they need", "wait_for_warm_on_init"),
        **meaningless("endpoints that nothing uses are forgotten", "cleanup_interval"),
        **not_yet("endpoints that are removed go at once, as if it were set", "ignore_health_on_host_removal"),
        **honoured("upstream_http_protocol_options"),
        **not_yet("a cluster whose sockets are chosen by a tree of matchers is closed", "transport_socket_matcher"),
        **honoured("transport_socket"),
        **honoured("health_checks"),
        **not_yet(
            "connections that are passed on to hosts that fail stay open", "close_connections_on_host_health_failure"
        ),
        **honoured("typed_dns_resolver_config"),
        **honoured("outlier_detection"),
        **not_yet("connections come from any address", "upstream_bind_config", binds),
        **honoured("upstream_connection_options"),
        **meaningless(
            "connections belong to the process: no caller has one of its own",
            "connection_pool_per_downstream_connection",
        ),
        **not_yet("load is not reported", "lrs_server lrs_report_endpoint_metrics"),
        **not_yet("requests go over HTTP", "upstream_config"),
        **not_yet("connections are made when they are needed", "preconnect_policy"),
    },
    CLUSTER + "UpstreamConnectionOptions": {
        **honoured("tcp_keepalive"),
        **meaningless("no extension reads it", "set_local_interface_name_on_upstream_connections"),
        **not_yet("endpoints have one address", "happy_eyeballs_config"),
    },
    CORE + "TcpKeepalive": honoured("keepalive_probes keepalive_time keepalive_interval"),
    CLUSTER + "Cluster.EdsClusterConfig": honoured("eds_config service_name"),
    CLUSTER + "Cluster.CustomClusterType": {
        **honoured("name typed_config"),
    },
    CLUSTER + "Cluster.RefreshRate": honoured("base_interval max_interval"),
    CLUSTER + "Cluster.OriginalDstLbConfig": ORIGINAL_DST,
    "envoy.extensions.clusters.original_dst.v3.OriginalDstCluster": ORIGINAL_DST,
    "envoy.extensions.clusters.dns.v3.DnsCluster": {
        **honoured(
            "dns_refresh_rate dns_lookup_family all_addresses_in_single_endpoint typed_dns_resolver_config "
            "dns_failure_refresh_rate respect_dns_ttl dns_jitter dns_min_refresh_rate"
        ),
    },
    "envoy.extensions.clusters.dns.v3.DnsCluster.RefreshRate": honoured("base_interval max_interval"),
    CORE + "DnsResolutionConfig": honoured("resolvers dns_resolver_options"),
    CORE + "DnsResolverOptions": honoured("use_tcp_for_dns_lookups no_default_search_domain"),
    "envoy.extensions.clusters.aggregate.v3.ClusterConfig": honoured("clusters"),
    "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig": {
        **honoured("dns_cache_config allow_insecure_cluster_options"),
        **meaningless("each host has connections of its own", "allow_coalesced_connections"),
        **not_yet("sub clusters are not made yet: it has no endpoints", "sub_clusters_config"),
    },
    "envoy.extensions.common.dynamic_forward_proxy.v3.DnsCacheConfig": {
        **honoured(
            "name dns_lookup_family dns_refresh_rate dns_min_refresh_rate host_ttl max_hosts dns_failure_refresh_rate "
            "dns_cache_circuit_breaker use_tcp_for_dns_lookups dns_resolution_config typed_dns_resolver_config "
            "dns_query_timeout"
        ),
        **meaningless("names are asked for when a request names them", "preresolve_hostnames"),
        **meaningless("names are asked for again by requests alone", "disable_dns_refresh_on_failure"),
        **not_yet("what is known of names is not kept on disk", "key_value_config"),
        **not_yet("every address of a name counts", "resolved_address_filter"),
    },
    "envoy.extensions.common.dynamic_forward_proxy.v3.DnsCacheCircuitBreakers": honoured("max_pending_requests"),
    "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig": {
        **honoured("resolvers use_resolvers_as_fallback dns_resolver_options query_timeout_seconds query_tries"),
        **meaningless(
            "each look-up has a socket of its own",
            "udp_max_queries max_udp_channel_duration reinit_channel_on_timeout edns0_max_payload_size",
        ),
        **meaningless("nothing is cached but what clusters hold", "qcache_max_ttl"),
        **not_yet("servers are asked in their order", "rotate_nameservers"),
        **not_yet("addresses of every family are taken", "filter_unroutable_families"),
    },
    "envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig": none_of(RESOLVER),
    HTTP + ".OutlierDetection": honoured("error_matcher"),
    MATCHER + "MatchPredicate": {
        **honoured(
            "or_match and_match not_match any_match http_response_headers_match http_request_headers_match "
            "http_request_trailers_match http_response_trailers_match"
        ),
        **not_yet(
            "no body is looked at: it matches nothing, as in Envoy",
            "http_request_generic_body_match http_response_generic_body_match",
        ),
    },
    MATCHER + "MatchPredicate.MatchSet": honoured("rules"),
    MATCHER + "HttpHeadersMatch": honoured("headers"),
    CORE + "HealthCheck": {
        **honoured(
            "timeout interval initial_jitter interval_jitter interval_jitter_percent unhealthy_threshold "
            "healthy_threshold http_health_check tcp_health_check grpc_health_check no_traffic_interval "
            "no_traffic_healthy_interval unhealthy_interval unhealthy_edge_interval healthy_edge_interval "
            "always_log_health_check_failures always_log_health_check_success"
        ),
        **meaningless("each check makes a connection of its own", "reuse_connection"),
        **meaningless("events go to the log of the program", "event_log_path event_logger event_service"),
        **not_yet(UNASKED, "custom_health_check"),
        **honoured("tls_options"),
        **not_yet("checks go by the socket that requests go by", "transport_socket_match_criteria"),
        **not_yet("the port of the endpoint is asked", "alt_port"),
    },
    CORE + "HealthCheck.HttpHealthCheck": {
        **honoured(
            "host path send receive response_buffer_size request_headers_to_add request_headers_to_remove "
            "expected_statuses retriable_statuses service_name_matcher method"
        ),
        **not_yet(UNASKED, "codec_client_type"),
    },
    CORE + "HealthCheck.TcpHealthCheck": {
        **honoured("send receive"),
        **not_yet("the PROXY protocol is not spoken yet", "proxy_protocol_config"),
    },
    CORE + "HealthCheck.GrpcHealthCheck": {
        **honoured("service_name authority"),
        **not_yet("no metadata is sent with checks yet", "initial_metadata"),
    },
    CORE + "HealthCheck.Payload": honoured("text binary"),
    CLUSTER + "OutlierDetection": {
        **honoured(
            "consecutive_5xx interval base_ejection_time max_ejection_percent enforcing_consecutive_5xx "
            "enforcing_success_rate success_rate_minimum_hosts success_rate_request_volume success_rate_stdev_factor "
            "consecutive_gateway_failure enforcing_consecutive_gateway_failure split_external_local_origin_errors "
            "consecutive_local_origin_failure enforcing_consecutive_local_origin_failure "
            "enforcing_local_origin_success_rate failure_percentage_threshold enforcing_failure_percentage "
            "enforcing_failure_percentage_local_origin failure_percentage_minimum_hosts "
            "failure_percentage_request_volume max_ejection_time max_ejection_time_jitter always_eject_one_host "
            "detect_degraded_hosts"
        ),
        **honoured("successful_active_health_check_uneject_host"),
        **not_yet(EXTENSIONS, "monitors"),
    },
    CLUSTER + "CircuitBreakers": {
        **honoured("thresholds per_host_thresholds"),
    },
    CLUSTER + "CircuitBreakers.per_host_thresholds": {
        **honoured(
            "priority max_connections max_pending_requests max_requests max_retries retry_budget track_remaining "
            "max_connection_pools"
        ),
    },
    CLUSTER + "CircuitBreakers.Thresholds": {
        **honoured(
            "priority max_connections max_pending_requests max_requests max_retries retry_budget max_connection_pools"
        ),
        **meaningless("the metrics have what is left", "track_remaining"),
    },
    CLUSTER + "CircuitBreakers.Thresholds.RetryBudget": honoured(
        "budget_percent min_retry_concurrency budget_interval"
    ),
    CLUSTER + "Cluster.LeastRequestLbConfig": honoured("choice_count active_request_bias slow_start_config"),
    CLUSTER + "Cluster.RoundRobinLbConfig": honoured("slow_start_config"),
    CLUSTER + "Cluster.SlowStartConfig": honoured("slow_start_window aggression min_weight_percent"),
    CLUSTER + "Cluster.CommonLbConfig": {
        **honoured(
            "healthy_panic_threshold consistent_hashing_lb_config locality_weighted_lb_config zone_aware_lb_config"
        ),
        **meaningless("updates take effect at once", "update_merge_window"),
        **honoured("ignore_new_hosts_until_first_hc"),
        **honoured("close_connections_on_host_set_change"),
        **meaningless("nobody asks for an endpoint: stateful sessions close their chain", "override_host_status"),
    },
    CLUSTER + "Cluster.CommonLbConfig.LocalityWeightedLbConfig": {},
    CLUSTER + "Cluster.CommonLbConfig.ZoneAwareLbConfig": honoured(
        "routing_enabled min_cluster_size fail_traffic_on_panic"
    ),
    CLUSTER + "LoadBalancingPolicy": honoured("policies"),
    CLUSTER + "LoadBalancingPolicy.Policy": honoured("typed_extension_config"),
    LB + "round_robin.v3.RoundRobin": honoured("locality_lb_config slow_start_config"),
    LB + "least_request.v3.LeastRequest": {
        **honoured("choice_count active_request_bias locality_lb_config slow_start_config selection_method"),
        **meaningless("Envoy does not look at it either", "enable_full_scan"),
    },
    LB + "random.v3.Random": honoured("locality_lb_config"),
    LB + "common.v3.SlowStartConfig": honoured("slow_start_window aggression min_weight_percent"),
    LB + "common.v3.LocalityLbConfig": honoured("locality_weighted_lb_config zone_aware_lb_config"),
    LB + "common.v3.LocalityLbConfig.LocalityWeightedLbConfig": {},
    LB + "common.v3.LocalityLbConfig.ZoneAwareLbConfig": honoured(
        "routing_enabled min_cluster_size fail_traffic_on_panic force_locality_direct_routing force_local_zone "
        "locality_basis"
    ),
    LB + "common.v3.LocalityLbConfig.ZoneAwareLbConfig.ForceLocalZone": honoured("min_size"),
    LB + "cluster_provided.v3.ClusterProvided": {},
    CLUSTER + "Cluster.RingHashLbConfig": honoured("minimum_ring_size maximum_ring_size hash_function"),
    CLUSTER + "Cluster.MaglevLbConfig": honoured("table_size"),
    CLUSTER + "Cluster.CommonLbConfig.ConsistentHashingLbConfig": {
        **honoured("use_hostname_for_hashing hash_balance_factor"),
    },
    LB + "ring_hash.v3.RingHash": {
        **honoured(
            "minimum_ring_size maximum_ring_size hash_function use_hostname_for_hashing consistent_hashing_lb_config "
            "locality_weighted_lb_config hash_balance_factor"
        ),
    },
    LB + "maglev.v3.Maglev": {
        **honoured("table_size consistent_hashing_lb_config locality_weighted_lb_config"),
    },
    LB + "common.v3.ConsistentHashingLbConfig": {
        **honoured("use_hostname_for_hashing hash_policy hash_balance_factor"),
    },
    LB + "wrr_locality.v3.WrrLocality": honoured("endpoint_picking_policy"),
    LB + "client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin": {
        **honoured(
            "blackout_period weight_expiration_period weight_update_period error_utilization_penalty "
            "metric_names_for_computing_utilization slow_start_config enable_oob_load_report oob_reporting_period "
            "oob_reporting_config"
        ),
    },
    LB + "common.v3.OrcaOobReportingConfig": {
        **honoured("port_value authority"),
        **not_yet("no reports come by TLS yet", "transport_socket_match_criteria"),
    },
    LB + "override_host.v3.OverrideHost": {
        **honoured("fallback_policy"),
        **honoured("override_host_sources"),
        **meaningless("no filter here reads what it writes", "selected_host_key"),
    },
    LB + "override_host.v3.OverrideHost.OverrideHostSource": {
        **honoured("header"),
        **meaningless("no filter here writes it", "metadata"),
    },
    CLUSTER + "Cluster.LbSubsetConfig": honoured(SUBSETS),
    CLUSTER + "Cluster.LbSubsetConfig.LbSubsetSelector": honoured(SELECTOR),
    LB + "subset.v3.Subset": honoured(f"{SUBSETS} allow_redundant_keys subset_lb_policy"),
    LB + "subset.v3.Subset.LbSubsetSelector": honoured(SELECTOR),
    CLUSTER + "Cluster.TransportSocketMatch": {
        **honoured("match transport_socket"),
        **meaningless(STATISTICS, "name"),
    },
    SOCKET + "raw_buffer.v3.RawBuffer": {},
    SOCKET + "internal_upstream.v3.InternalUpstreamTransport": told_as_a_whole(BALANCER, "not implemented yet: UF"),
    SOCKET + "proxy_protocol.v3.ProxyProtocolUpstreamTransport": told_as_a_whole(BALANCER, "not implemented yet: UF"),
    CLUSTER + "Filter": {
        **honoured("name"),
        **not_yet(CLOSED, "typed_config", effective_network_filter),
        **not_yet(CLOSED, "config_discovery"),
    },
    HTTP: {
        **honoured(
            "common_http_protocol_options explicit_http_config use_downstream_protocol_config http_filters "
            "hash_policy retry_policy request_mirror_policies"
        ),
        **honoured("upstream_http_protocol_options auto_config"),
        **meaningless("the library checks headers", "header_validation_config"),
        **honoured("outlier_detection"),
    },
    HTTP + ".http_filters": {
        **honoured("name is_optional disabled"),
        **honoured("typed_config", effective_filter),
        **not_yet(CLOSED, "config_discovery"),
    },
    "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec": {},
    "envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions": meaningless(
        "a TCP connection has a user as soon as it is made, and none afterwards", "idle_timeout"
    ),
    HTTP + ".ExplicitHttpConfig": {
        **honoured("http_protocol_options http2_protocol_options"),
        **not_yet("HTTP/3 is not spoken yet: endpoints fail with UF", "http3_protocol_options"),
    },
    HTTP + ".AutoHttpConfig": {
        **honoured("http_protocol_options http2_protocol_options"),
        **not_yet("HTTP/3 is not spoken yet: HTTP/2 or HTTP/1.1", "http3_protocol_options"),
        **meaningless("it is about HTTP/3", "alternate_protocols_cache_options"),
    },
    HTTP + ".UseDownstreamHttpConfig": {
        **honoured("http_protocol_options"),
        **not_yet("HTTP/1.1 is spoken, whatever the caller speaks", "http2_protocol_options", limits_streams),
        **meaningless("no caller speaks it", "http3_protocol_options"),
    },
    CORE + "HttpProtocolOptions": {
        **honoured("idle_timeout max_requests_per_connection"),
        **honoured("max_connection_duration"),
        **meaningless("Envoy has no jitter for connections to endpoints either", "max_connection_duration_jitter"),
        **not_yet("the library's own limits on headers count", "max_headers_count max_response_headers_kb"),
        **honoured("max_stream_duration"),
        **not_yet("headers with underscores pass", "headers_with_underscores_action"),
    },
    CORE + "Http1ProtocolOptions": {
        **meaningless(
            "it is about requests that come in",
            "allow_absolute_url accept_http_10 default_host_for_http_10 allow_chunked_length "
            "allow_custom_methods ignore_http_11_upgrade",
        ),
        **meaningless(LIBRARY, "use_balsa_parser override_stream_error_on_invalid_http_message"),
        **honoured("header_key_format"),
        **not_yet("trailers are dropped", "enable_trailers"),
        **not_yet("requests name a path only", "send_fully_qualified_url"),
    },
    CORE + "Http1ProtocolOptions.HeaderKeyFormat": {
        **honoured("proper_case_words stateful_formatter"),
    },
    CORE + "Http1ProtocolOptions.HeaderKeyFormat.ProperCaseWords": {},
    "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig": {
        **honoured("formatter_type_on_envoy_headers"),
        **meaningless("a program sees an endpoint's own reason", "forward_reason_phrase"),
    },
    CORE + "Http2ProtocolOptions": {
        **honoured("max_concurrent_streams"),
        **meaningless(
            LIBRARY,
            "hpack_table_size initial_stream_window_size initial_connection_window_size allow_connect allow_metadata "
            "max_outbound_frames max_outbound_control_frames max_consecutive_inbound_frames_with_empty_payload "
            "max_inbound_priority_frames_per_stream max_inbound_window_update_frames_per_data_frame_sent "
            "stream_error_on_invalid_http_messaging override_stream_error_on_invalid_http_message "
            "custom_settings_parameters use_oghttp2_codec max_metadata_size enable_huffman_encoding "
            "max_header_field_size_kb disallow_obs_text stream_reset_burst stream_reset_rate",
        ),
        **not_yet("connections are not kept alive by pings yet", "connection_keepalive"),
    },
}
