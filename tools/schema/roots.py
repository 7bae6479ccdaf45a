"""What the schema holds, in one place: the roots from which everything reachable is taken.

A name that ends in `.*` takes every top-level message of that proto package; any other name is one message. Nested
messages, enums and the types of fields follow by themselves, `google.protobuf.Any` fields do not: whatever istiod may
put into an Any has to be named here. To add an extension, add a line and run `python -m tools.schema`.
"""

RESOURCES = (
    "envoy.service.discovery.v3.DiscoveryRequest",
    "envoy.service.discovery.v3.DiscoveryResponse",
    "envoy.service.discovery.v3.DeltaDiscoveryRequest",
    "envoy.service.discovery.v3.DeltaDiscoveryResponse",
    "envoy.config.listener.v3.Listener",
    "envoy.config.route.v3.RouteConfiguration",
    "envoy.config.route.v3.VirtualHost",
    "envoy.config.route.v3.RouteList",
    "envoy.config.route.v3.ScopedRouteConfiguration",
    "envoy.config.route.v3.FilterConfig",
    "envoy.config.cluster.v3.Cluster",
    "envoy.config.endpoint.v3.ClusterLoadAssignment",
    "envoy.extensions.transport_sockets.tls.v3.Secret",
    "envoy.config.core.v3.TypedExtensionConfig",
)

# Services that the library calls or answers itself.
SERVICES = (
    "envoy.service.auth.v3.CheckRequest",
    "envoy.service.auth.v3.CheckResponse",
    "envoy.service.ratelimit.v3.RateLimitRequest",
    "envoy.service.ratelimit.v3.RateLimitResponse",
)

NETWORK_FILTERS = (
    "envoy.extensions.filters.network.connection_limit.v3.*",
    "envoy.extensions.filters.network.direct_response.v3.*",
    "envoy.extensions.filters.network.ext_authz.v3.*",
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "envoy.extensions.filters.network.local_ratelimit.v3.*",
    "envoy.extensions.filters.network.mongo_proxy.v3.*",
    "envoy.extensions.filters.network.ratelimit.v3.*",
    "envoy.extensions.filters.network.rbac.v3.*",
    "envoy.extensions.filters.network.set_filter_state.v3.*",
    "envoy.extensions.filters.network.sni_cluster.v3.*",
    "envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.*",
    "envoy.extensions.filters.network.tcp_proxy.v3.*",
    "envoy.extensions.filters.network.wasm.v3.*",
)

HTTP_FILTERS = (
    "envoy.extensions.filters.http.adaptive_concurrency.v3.*",
    "envoy.extensions.filters.http.admission_control.v3.*",
    "envoy.extensions.filters.http.bandwidth_limit.v3.*",
    "envoy.extensions.filters.http.buffer.v3.*",
    "envoy.extensions.filters.http.composite.v3.*",
    "envoy.extensions.filters.http.compressor.v3.*",
    "envoy.extensions.filters.http.cors.v3.*",
    "envoy.extensions.filters.http.csrf.v3.*",
    "envoy.extensions.filters.http.ext_authz.v3.*",
    "envoy.extensions.filters.http.fault.v3.*",
    "envoy.extensions.filters.http.grpc_http1_bridge.v3.*",
    "envoy.extensions.filters.http.grpc_stats.v3.*",
    "envoy.extensions.filters.http.grpc_web.v3.*",
    "envoy.extensions.filters.http.header_mutation.v3.*",
    "envoy.extensions.filters.http.header_to_metadata.v3.*",
    "envoy.extensions.filters.http.health_check.v3.*",
    "envoy.extensions.filters.http.jwt_authn.v3.*",
    "envoy.extensions.filters.http.local_ratelimit.v3.*",
    "envoy.extensions.filters.http.lua.v3.*",
    "envoy.extensions.filters.http.ratelimit.v3.*",
    "envoy.extensions.filters.http.rbac.v3.*",
    "envoy.extensions.filters.http.router.v3.*",
    "envoy.extensions.filters.http.set_filter_state.v3.*",
    "envoy.extensions.filters.http.set_metadata.v3.*",
    "envoy.extensions.filters.http.stateful_session.v3.*",
    "envoy.extensions.filters.http.wasm.v3.*",
    "envoy.extensions.filters.common.matcher.action.v3.*",
    "envoy.extensions.common.matching.v3.*",
)

LISTENER_FILTERS = (
    "envoy.extensions.filters.listener.http_inspector.v3.*",
    "envoy.extensions.filters.listener.original_dst.v3.*",
    "envoy.extensions.filters.listener.original_src.v3.*",
    "envoy.extensions.filters.listener.proxy_protocol.v3.*",
    "envoy.extensions.filters.listener.set_filter_state.v3.*",
    "envoy.extensions.filters.listener.tls_inspector.v3.*",
)

LOAD_BALANCING = (
    "envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.*",
    "envoy.extensions.load_balancing_policies.cluster_provided.v3.*",
    "envoy.extensions.load_balancing_policies.common.v3.*",
    "envoy.extensions.load_balancing_policies.least_request.v3.*",
    "envoy.extensions.load_balancing_policies.maglev.v3.*",
    "envoy.extensions.load_balancing_policies.override_host.v3.*",
    "envoy.extensions.load_balancing_policies.pick_first.v3.*",
    "envoy.extensions.load_balancing_policies.random.v3.*",
    "envoy.extensions.load_balancing_policies.ring_hash.v3.*",
    "envoy.extensions.load_balancing_policies.round_robin.v3.*",
    "envoy.extensions.load_balancing_policies.subset.v3.*",
    "envoy.extensions.load_balancing_policies.wrr_locality.v3.*",
)

UPSTREAM = (
    "envoy.extensions.clusters.aggregate.v3.*",
    "envoy.extensions.clusters.dns.v3.*",
    "envoy.extensions.clusters.dynamic_forward_proxy.v3.*",
    "envoy.extensions.clusters.original_dst.v3.*",
    "envoy.extensions.common.dynamic_forward_proxy.v3.*",
    "envoy.extensions.filters.http.dynamic_forward_proxy.v3.*",
    "envoy.extensions.filters.http.upstream_codec.v3.*",
    "envoy.extensions.health_check.event_sinks.file.v3.*",
    "envoy.extensions.network.dns_resolver.cares.v3.*",
    "envoy.extensions.network.dns_resolver.getaddrinfo.v3.*",
    "envoy.extensions.upstreams.http.generic.v3.*",
    "envoy.extensions.upstreams.http.http.v3.*",
    "envoy.extensions.upstreams.http.tcp.v3.*",
    "envoy.extensions.upstreams.http.v3.*",
    "envoy.extensions.upstreams.tcp.generic.v3.*",
    "envoy.extensions.upstreams.tcp.v3.*",
    "envoy.extensions.transport_sockets.internal_upstream.v3.*",
    "envoy.extensions.transport_sockets.proxy_protocol.v3.*",
    "envoy.extensions.transport_sockets.raw_buffer.v3.*",
    "envoy.extensions.transport_sockets.tls.v3.*",
)

ROUTING = (
    "envoy.extensions.http.header_formatters.preserve_case.v3.*",
    "envoy.extensions.http.early_header_mutation.header_mutation.v3.*",
    "envoy.extensions.http.original_ip_detection.custom_header.v3.*",
    "envoy.extensions.http.original_ip_detection.xff.v3.*",
    "envoy.extensions.http.stateful_session.cookie.v3.*",
    "envoy.extensions.http.stateful_session.header.v3.*",
    "envoy.extensions.internal_redirect.allow_listed_routes.v3.*",
    "envoy.extensions.internal_redirect.previous_routes.v3.*",
    "envoy.extensions.internal_redirect.safe_cross_scheme.v3.*",
    "envoy.extensions.path.match.uri_template.v3.*",
    "envoy.extensions.path.rewrite.uri_template.v3.*",
    "envoy.extensions.rate_limit_descriptors.expr.v3.*",
    "envoy.extensions.regex_engines.v3.*",
    "envoy.extensions.router.cluster_specifiers.matcher.v3.*",
    "envoy.extensions.request_id.uuid.v3.*",
    "envoy.extensions.retry.host.omit_canary_hosts.v3.*",
    "envoy.extensions.retry.host.omit_host_metadata.v3.*",
    "envoy.extensions.retry.host.previous_hosts.v3.*",
    "envoy.extensions.retry.priority.previous_priorities.v3.*",
)

# Inputs and actions of the generic matcher trees (xds.type.matcher.v3.Matcher).
MATCHING = (
    "envoy.config.rbac.v3.Action",
    "envoy.extensions.matching.common_inputs.network.v3.*",
    "envoy.extensions.matching.common_inputs.ssl.v3.*",
    "envoy.extensions.matching.common_inputs.transport_socket.v3.*",
    "envoy.extensions.matching.input_matchers.consistent_hashing.v3.*",
    "envoy.extensions.matching.input_matchers.ip.v3.*",
    "envoy.extensions.matching.input_matchers.runtime_fraction.v3.*",
    "envoy.extensions.rbac.audit_loggers.stream.v3.*",
    "envoy.extensions.rbac.matchers.upstream_ip_port.v3.*",
    "envoy.extensions.rbac.principals.mtls_authenticated.v3.*",
    "envoy.type.matcher.v3.*",
    "xds.type.matcher.v3.*",
)

OBSERVABILITY = (
    "envoy.extensions.access_loggers.file.v3.*",
    "envoy.extensions.access_loggers.filters.cel.v3.*",
    "envoy.extensions.access_loggers.grpc.v3.*",
    "envoy.extensions.access_loggers.open_telemetry.v3.*",
    "envoy.extensions.access_loggers.stream.v3.*",
    "envoy.extensions.formatter.cel.v3.*",
    "envoy.extensions.formatter.metadata.v3.*",
    "envoy.extensions.formatter.req_without_query.v3.*",
    "envoy.config.trace.v3.DatadogConfig",
    "envoy.config.trace.v3.OpenTelemetryConfig",
    "envoy.config.trace.v3.SkyWalkingConfig",
    "envoy.config.trace.v3.ZipkinConfig",
    "envoy.extensions.tracers.opentelemetry.resource_detectors.v3.*",
    "envoy.extensions.tracers.opentelemetry.samplers.v3.*",
)

XDS = (
    "xds.core.v3.*",
    "xds.type.v3.*",
)

WELL_KNOWN = (
    "google.protobuf.Any",
    "google.protobuf.BoolValue",
    "google.protobuf.BytesValue",
    "google.protobuf.DoubleValue",
    "google.protobuf.Duration",
    "google.protobuf.Empty",
    "google.protobuf.FloatValue",
    "google.protobuf.Int32Value",
    "google.protobuf.Int64Value",
    "google.protobuf.StringValue",
    "google.protobuf.Struct",
    "google.protobuf.Timestamp",
    "google.protobuf.UInt32Value",
    "google.protobuf.UInt64Value",
    "google.rpc.Status",
)

ROOTS = (
    *RESOURCES,
    *SERVICES,
    *NETWORK_FILTERS,
    *HTTP_FILTERS,
    *LISTENER_FILTERS,
    *LOAD_BALANCING,
    *UPSTREAM,
    *ROUTING,
    *MATCHING,
    *OBSERVABILITY,
    *XDS,
    *WELL_KNOWN,
)
