# ruff: noqa: E501  names are as long as they are
"""What envoy-data-plane 2.2.0 has and xds-protos 1.85.0 has not: the latter carries an older API of Envoy.

Either package may be raised; the test says which lines have to go or to come.
"""

TYPES = {
    "envoy.config.core.v3.QuicProtocolOptions.ConnectionMigrationSettings",
    "envoy.config.core.v3.QuicProtocolOptions.ConnectionMigrationSettings.MigrateIdleConnectionSettings",
    "envoy.config.core.v3.SocketOption.SocketIpVersion",
    "envoy.config.listener.v3.Listener.ConnectionBalanceConfig.CpuLocalityBalance",
    "envoy.config.route.v3.CookieMatcher",
    "envoy.config.route.v3.RateLimit.Action.RemoteAddressMatch",
    "envoy.config.route.v3.RateLimit.Override.RateLimitOverride",
    "envoy.config.route.v3.RateLimit.XRateLimitOption",
    "envoy.extensions.clusters.original_dst.v3.OriginalDstCluster",
    "envoy.extensions.filters.http.composite.v3.Composite.NamedFilterChainsEntry",
    "envoy.extensions.filters.http.composite.v3.CompositePerRoute",
    "envoy.extensions.filters.http.ext_authz.v3.ShadowDecision",
    "envoy.extensions.filters.http.ext_authz.v3.ShadowDecision.CheckResult",
    "envoy.extensions.filters.http.jwt_authn.v3.ExtractOnlyWithoutValidation",
    "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol.KeyValuePair.ValueStringEncoding",
    "envoy.extensions.filters.listener.set_filter_state.v3.Config",
    "envoy.extensions.filters.network.http_connection_manager.v3.ForwardProtoConfig",
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ForwardClientCertFormat",
    "envoy.extensions.filters.network.tcp_proxy.v3.ProxyProtocolTlvMergePolicy",
    "envoy.extensions.load_balancing_policies.common.v3.OrcaOobReportingConfig",
    "envoy.type.matcher.v3.HttpResponseLocalReplyMatchInput",
}
MEMBERS: dict[str, set[str]] = {
    "envoy.config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget": {"budget_interval"},
    "envoy.config.cluster.v3.Cluster": {"per_connection_buffer_high_watermark_timeout"},
    "envoy.config.cluster.v3.OutlierDetection": {"detect_degraded_hosts"},
    "envoy.config.cluster.v3.UpstreamConnectionOptions.FirstAddressFamilyVersion": {"INTERNAL", "PIPE"},
    "envoy.config.core.v3.Http2ProtocolOptions": {
        "disallow_obs_text",
        "enable_huffman_encoding",
        "max_header_field_size_kb",
        "stream_reset_burst",
        "stream_reset_rate",
    },
    "envoy.config.core.v3.Http3ProtocolOptions": {"disallow_obs_text"},
    "envoy.config.core.v3.HttpProtocolOptions": {"max_connection_duration_jitter"},
    "envoy.config.core.v3.HttpService": {"formatters"},
    "envoy.config.core.v3.QuicProtocolOptions": {
        "client_packet_writer",
        "connection_migration",
        "enable_scone",
        "memory_reduction_timeout",
    },
    "envoy.config.core.v3.SocketOption": {"ip_version"},
    "envoy.config.core.v3.WatchedDirectory": {"watch_modify"},
    "envoy.config.endpoint.v3.Endpoint": {"observability_name"},
    "envoy.config.listener.v3.AdditionalAddress": {"tcp_keepalive"},
    "envoy.config.listener.v3.Listener": {"per_connection_buffer_high_watermark_timeout", "tcp_keepalive"},
    "envoy.config.listener.v3.Listener.ConnectionBalanceConfig": {"cpu_locality_balance"},
    "envoy.config.route.v3.RateLimit": {"x_ratelimit_option"},
    "envoy.config.route.v3.RateLimit.Action": {"remote_address_match"},
    "envoy.config.route.v3.RateLimit.Action.GenericKey": {"default_value"},
    "envoy.config.route.v3.RateLimit.Action.HeaderValueMatch": {"default_value"},
    "envoy.config.route.v3.RateLimit.Action.MetaData.Source": {"CLUSTER_ENTRY", "CLUSTER_LOCALITY_ENTRY"},
    "envoy.config.route.v3.RateLimit.Action.QueryParameterValueMatch": {"default_value"},
    "envoy.config.route.v3.RateLimit.HitsAddend": {"is_negative_hits"},
    "envoy.config.route.v3.RateLimit.Override": {"rate_limit"},
    "envoy.config.route.v3.RedirectAction": {"path_rewrite"},
    "envoy.config.route.v3.RetryPolicy": {"refresh_cluster_on_retry"},
    "envoy.config.route.v3.RouteMatch": {"cookies"},
    "envoy.config.trace.v3.OpenTelemetryConfig": {
        "set_service_name_resource_attribute",
        "set_telemetry_sdk_resource_attributes",
    },
    "envoy.config.trace.v3.ZipkinConfig": {"timestamp_trace_ids"},
    "envoy.data.accesslog.v3.AccessLogType": {"TcpConnectionStart"},
    "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig": {
        "buffer_flush_interval",
        "buffer_size_bytes",
        "custom_tags",
        "filter_state_objects_to_log",
        "grpc_service",
        "http_service",
        "log_name",
    },
    "envoy.extensions.clusters.dns.v3.DnsCluster": {"dns_min_refresh_rate"},
    "envoy.extensions.clusters.dynamic_forward_proxy.v3.SubClustersConfig": {"dns_cluster_config"},
    "envoy.extensions.common.dynamic_forward_proxy.v3.DnsCacheConfig": {"resolved_address_filter"},
    "envoy.extensions.common.ratelimit.v3.LocalRateLimitDescriptor": {"shadow_mode"},
    "envoy.extensions.common.ratelimit.v3.RateLimitDescriptor": {"is_negative_hits"},
    "envoy.extensions.filters.http.composite.v3.Composite": {"matcher", "named_filter_chains"},
    "envoy.extensions.filters.http.composite.v3.ExecuteFilterAction": {"filter_chain_name"},
    "envoy.extensions.filters.http.compressor.v3.Compressor.ResponseDirectionConfig": {"weaken_etag_on_compress"},
    "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz": {"shadow_mode"},
    "envoy.extensions.filters.http.ext_authz.v3.HttpService": {"path_override"},
    "envoy.extensions.filters.http.jwt_authn.v3.JwtRequirement": {"extract_only_without_validation"},
    "envoy.extensions.filters.http.ratelimit.v3.RateLimit": {"metadata_namespace"},
    "envoy.extensions.filters.http.router.v3.Router": {"reject_connect_request_early_data"},
    "envoy.extensions.filters.http.set_filter_state.v3.Config": {"clear_route_cache"},
    "envoy.extensions.filters.http.stateful_session.v3.StatefulSession": {"status_on_strict_destination_not_found"},
    "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol.KeyValuePair": {"value_string_encoding"},
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager": {
        "drain_timeout_jitter",
        "forward_proto_config",
    },
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.SetCurrentClientCertDetails": {
        "format"
    },
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing": {
        "no_context_propagation"
    },
    "envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy": {"max_bson_depth"},
    "envoy.extensions.filters.network.set_filter_state.v3.Config": {
        "on_downstream_data",
        "on_downstream_tls_handshake",
    },
    "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy": {"check_drain_close", "proxy_protocol_tlv_merge_policy"},
    "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TcpAccessLogOptions": {"flush_access_log_on_start"},
    "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TunnelingConfig": {"formatters"},
    "envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin": {
        "oob_reporting_config"
    },
    "envoy.extensions.load_balancing_policies.override_host.v3.OverrideHost": {"selected_host_key"},
    "envoy.extensions.matching.common_inputs.network.v3.FilterStateInput": {"field"},
    "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig": {"qcache_max_ttl"},
    "envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext": {"suppress_client_ca_list"},
    "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig.TrustDomain": {"workload_trust_domain"},
    "envoy.extensions.transport_sockets.tls.v3.TlsParameters.CompliancePolicy": {"CNSA1_202603", "CNSA2_202603"},
    "envoy.type.matcher.v3.AddressMatcher": {"invert_match"},
}

# Messages whose fields the newer API declares in another order.
REORDERED = {
    "envoy.config.route.v3.RateLimit.Action.HeaderValueMatch",
    "envoy.config.route.v3.RateLimit.Action.QueryParameterValueMatch",
}

# What Envoy 1.40 has and envoy-data-plane 2.2.0 has not: fields that the schema keeps but calls unknown.
LACKING: dict[str, set[str]] = {
    "envoy.config.cluster.v3.Cluster": {"queuing_policies", "stats_matcher"},
    "envoy.config.cluster.v3.Cluster.PreconnectPolicy": {"preconnect_enabled_metadata"},
    "envoy.config.core.v3.BindConfig": {"validate_network_namespaces"},
    "envoy.config.core.v3.HealthCheck": {"name"},
    "envoy.config.core.v3.HealthCheck.HttpHealthCheck": {"use_alpn_protocol"},
    "envoy.config.core.v3.PathConfigSource": {"poll_interval"},
    "envoy.config.listener.v3.Listener": {"stats_matcher"},
    "envoy.config.route.v3.Route": {"route_specifiers"},
    "envoy.config.route.v3.RouteConfiguration": {"route_specifiers"},
    "envoy.config.route.v3.VirtualHost": {"route_specifiers"},
    "envoy.config.trace.v3.OpenTelemetryConfig": {"exporter", "set_instrumentation_scope"},
    "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig": {"resource_detectors"},
    "envoy.extensions.common.ratelimit.v3.RateLimitDescriptor.RateLimitOverride": {"unit_multiplier"},
    "envoy.extensions.filters.http.adaptive_concurrency.v3.GradientControllerConfig.ConcurrencyLimitCalculationParams": {
        "min_concurrency_limit"
    },
    "envoy.extensions.filters.http.compressor.v3.Compressor.CommonDirectionConfig": {"content_type_matcher"},
    "envoy.extensions.filters.http.ext_authz.v3.CheckSettings": {"emit_client_span"},
    "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz": {"clear_route_cache_headers", "emit_client_span"},
    "envoy.extensions.filters.http.fault.v3.FaultAbort": {"response_body"},
    "envoy.extensions.filters.http.header_mutation.v3.Mutations": {"formatters"},
    "envoy.extensions.filters.http.jwt_authn.v3.JwtClaimToHeader": {"claim_path"},
    "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit": {"enable_retry_after_header"},
    "envoy.extensions.filters.http.lua.v3.Lua": {"filter_context", "package_cpaths", "package_paths", "shared_vm_id"},
    "envoy.extensions.filters.http.lua.v3.LuaPerRoute": {"package_cpaths", "package_paths", "shared_vm_id"},
    "envoy.extensions.filters.http.ratelimit.v3.RateLimit": {"enable_retry_after_header"},
    "envoy.extensions.filters.network.ext_authz.v3.ExtAuthz": {"shadow_mode"},
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager": {
        "record_route_resolution_stats"
    },
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.SetCurrentClientCertDetails": {
        "issuer"
    },
    "envoy.extensions.formatter.cel.v3.Cel": {"cel_config"},
    "envoy.extensions.transport_sockets.tls.v3.TlsCertificate": {"tls_params"},
    "envoy.extensions.wasm.v3.VmConfig": {"capability_restriction_config"},
    "envoy.service.ratelimit.v3.RateLimitResponse.RateLimit": {"unit_multiplier"},
    "envoy.type.metadata.v3.MetadataKey.PathSegment": {"index"},
    "envoy.type.tracing.v3.CustomTag": {"value_type"},
}
