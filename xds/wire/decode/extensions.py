"""Typed extensions and the points where they may stand: which types Envoy has there, out of those that the schema has.

A type that the schema does not have may be one that another build of Envoy has: it is not refused here, whoever asked
decides what fails closed. A type that the schema has and that does not belong where it stands is refused, in Envoy's
words. The lists are Envoy 1.40's own (`node.extensions` of its configuration dump; tests/xds/wire/decode ask it again),
with Istio's few additions.
"""

from __future__ import annotations

from google.protobuf.message import Message

from ..opening import open_any, type_of
from ..refused import RefusedError
from ..schema import find
from ..schema import types as pb

_HTTP = "envoy.extensions.filters.http."
_NETWORK = "envoy.extensions.filters.network."
_LB = "envoy.extensions.load_balancing_policies."
_INPUT = "envoy.matching.inputs."
_NETWORK_INPUT = "envoy.extensions.matching.common_inputs.network.v3."
_TLS_INPUT = "envoy.extensions.matching.common_inputs.ssl.v3."
_HTTP_INPUT = "envoy.type.matcher.v3."

HTTP_FILTERS = {
    "envoy.extensions.common.matching.v3.ExtensionWithMatcher": "envoy.filters.http.match_delegate",
    "envoy.extensions.common.matching.v3.ExtensionWithMatcherPerRoute": "envoy.filters.http.match_delegate",
    "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig": "istio.alpn",
    "stats.PluginConfig": "istio.stats",
    _HTTP + "adaptive_concurrency.v3.AdaptiveConcurrency": "envoy.filters.http.adaptive_concurrency",
    _HTTP + "admission_control.v3.AdmissionControl": "envoy.filters.http.admission_control",
    _HTTP + "bandwidth_limit.v3.BandwidthLimit": "envoy.filters.http.bandwidth_limit",
    _HTTP + "buffer.v3.Buffer": "envoy.filters.http.buffer",
    _HTTP + "buffer.v3.BufferPerRoute": "envoy.filters.http.buffer",
    _HTTP + "composite.v3.Composite": "envoy.filters.http.composite",
    _HTTP + "composite.v3.CompositePerRoute": "envoy.filters.http.composite",
    _HTTP + "compressor.v3.Compressor": "envoy.filters.http.compressor",
    _HTTP + "compressor.v3.CompressorPerRoute": "envoy.filters.http.compressor",
    _HTTP + "cors.v3.Cors": "envoy.filters.http.cors",
    _HTTP + "cors.v3.CorsPolicy": "envoy.filters.http.cors",
    _HTTP + "csrf.v3.CsrfPolicy": "envoy.filters.http.csrf",
    _HTTP + "dynamic_forward_proxy.v3.FilterConfig": "envoy.filters.http.dynamic_forward_proxy",
    _HTTP + "dynamic_forward_proxy.v3.PerRouteConfig": "envoy.filters.http.dynamic_forward_proxy",
    _HTTP + "ext_authz.v3.ExtAuthz": "envoy.filters.http.ext_authz",
    _HTTP + "ext_authz.v3.ExtAuthzPerRoute": "envoy.filters.http.ext_authz",
    _HTTP + "fault.v3.HTTPFault": "envoy.filters.http.fault",
    _HTTP + "grpc_http1_bridge.v3.Config": "envoy.filters.http.grpc_http1_bridge",
    _HTTP + "grpc_stats.v3.FilterConfig": "envoy.filters.http.grpc_stats",
    _HTTP + "grpc_web.v3.GrpcWeb": "envoy.filters.http.grpc_web",
    _HTTP + "header_mutation.v3.HeaderMutation": "envoy.filters.http.header_mutation",
    _HTTP + "header_mutation.v3.HeaderMutationPerRoute": "envoy.filters.http.header_mutation",
    _HTTP + "header_to_metadata.v3.Config": "envoy.filters.http.header_to_metadata",
    _HTTP + "health_check.v3.HealthCheck": "envoy.filters.http.health_check",
    _HTTP + "jwt_authn.v3.JwtAuthentication": "envoy.filters.http.jwt_authn",
    _HTTP + "jwt_authn.v3.PerRouteConfig": "envoy.filters.http.jwt_authn",
    _HTTP + "local_ratelimit.v3.LocalRateLimit": "envoy.filters.http.local_ratelimit",
    _HTTP + "lua.v3.Lua": "envoy.filters.http.lua",
    _HTTP + "lua.v3.LuaPerRoute": "envoy.filters.http.lua",
    _HTTP + "ratelimit.v3.RateLimit": "envoy.filters.http.ratelimit",
    _HTTP + "ratelimit.v3.RateLimitPerRoute": "envoy.filters.http.ratelimit",
    _HTTP + "rbac.v3.RBAC": "envoy.filters.http.rbac",
    _HTTP + "rbac.v3.RBACPerRoute": "envoy.filters.http.rbac",
    _HTTP + "router.v3.Router": "envoy.filters.http.router",
    _HTTP + "set_filter_state.v3.Config": "envoy.filters.http.set_filter_state",
    _HTTP + "set_metadata.v3.Config": "envoy.filters.http.set_metadata",
    _HTTP + "stateful_session.v3.StatefulSession": "envoy.filters.http.stateful_session",
    _HTTP + "stateful_session.v3.StatefulSessionPerRoute": "envoy.filters.http.stateful_session",
    _HTTP + "wasm.v3.Wasm": "envoy.filters.http.wasm",
}

UPSTREAM_HTTP_FILTERS = {
    "envoy.extensions.common.matching.v3.ExtensionWithMatcher": "envoy.filters.http.match_delegate",
    "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig": "istio.alpn",
    _HTTP + "admission_control.v3.AdmissionControl": "envoy.filters.http.admission_control",
    _HTTP + "buffer.v3.Buffer": "envoy.filters.http.buffer",
    _HTTP + "composite.v3.Composite": "envoy.filters.http.composite",
    _HTTP + "compressor.v3.Compressor": "envoy.filters.http.compressor",
    _HTTP + "header_mutation.v3.HeaderMutation": "envoy.filters.http.header_mutation",
    _HTTP + "lua.v3.Lua": "envoy.filters.http.lua",
    _HTTP + "rbac.v3.RBAC": "envoy.filters.http.upstream_rbac",
    _HTTP + "upstream_codec.v3.UpstreamCodec": "envoy.filters.http.upstream_codec",
    _HTTP + "wasm.v3.Wasm": "envoy.filters.http.wasm",
}

WITHOUT_ROUTES = frozenset(
    {
        _HTTP + "adaptive_concurrency.v3.AdaptiveConcurrency",
        _HTTP + "admission_control.v3.AdmissionControl",
        _HTTP + "grpc_http1_bridge.v3.Config",
        _HTTP + "grpc_stats.v3.FilterConfig",
        _HTTP + "grpc_web.v3.GrpcWeb",
        _HTTP + "router.v3.Router",
        _HTTP + "wasm.v3.Wasm",
    }
)
"""HTTP filters that no route may configure."""

NETWORK_FILTERS = {
    "envoy.tcp.metadataexchange.config.MetadataExchange": "istio.metadata_exchange",
    "stats.PluginConfig": "istio.stats",
    _NETWORK + "connection_limit.v3.ConnectionLimit": "envoy.filters.network.connection_limit",
    _NETWORK + "direct_response.v3.Config": "envoy.filters.network.direct_response",
    _NETWORK + "ext_authz.v3.ExtAuthz": "envoy.filters.network.ext_authz",
    _NETWORK + "http_connection_manager.v3.HttpConnectionManager": "envoy.filters.network.http_connection_manager",
    _NETWORK + "local_ratelimit.v3.LocalRateLimit": "envoy.filters.network.local_ratelimit",
    _NETWORK + "mongo_proxy.v3.MongoProxy": "envoy.filters.network.mongo_proxy",
    _NETWORK + "ratelimit.v3.RateLimit": "envoy.filters.network.ratelimit",
    _NETWORK + "rbac.v3.RBAC": "envoy.filters.network.rbac",
    _NETWORK + "set_filter_state.v3.Config": "envoy.filters.network.set_filter_state",
    _NETWORK + "sni_cluster.v3.SniCluster": "envoy.filters.network.sni_cluster",
    _NETWORK + "sni_dynamic_forward_proxy.v3.FilterConfig": "envoy.filters.network.sni_dynamic_forward_proxy",
    _NETWORK + "tcp_proxy.v3.TcpProxy": "envoy.filters.network.tcp_proxy",
    _NETWORK + "wasm.v3.Wasm": "envoy.filters.network.wasm",
}

TERMINAL_NETWORK_FILTERS = frozenset(
    {
        _NETWORK + "direct_response.v3.Config",
        _NETWORK + "http_connection_manager.v3.HttpConnectionManager",
        _NETWORK + "tcp_proxy.v3.TcpProxy",
    }
)

RETRY_HOST_PREDICATES = {
    "envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate": (
        "envoy.retry_host_predicates.omit_canary_hosts"
    ),
    "envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig": (
        "envoy.retry_host_predicates.omit_host_metadata"
    ),
    "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate": (
        "envoy.retry_host_predicates.previous_hosts"
    ),
}

RETRY_PRIORITIES = {
    "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig": (
        "envoy.retry_priorities.previous_priorities"
    ),
}

RETRY_OPTIONS_PREDICATES: dict[str, str] = {}
"""Envoy has none of its own."""

PATH_MATCHERS = {
    "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig": (
        "envoy.path.match.uri_template.uri_template_matcher"
    ),
}

PATH_REWRITERS = {
    "envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig": (
        "envoy.path.rewrite.uri_template.uri_template_rewriter"
    ),
}

INTERNAL_REDIRECT_PREDICATES = {
    "envoy.extensions.internal_redirect.allow_listed_routes.v3.AllowListedRoutesConfig": (
        "envoy.internal_redirect_predicates.allow_listed_routes"
    ),
    "envoy.extensions.internal_redirect.previous_routes.v3.PreviousRoutesConfig": (
        "envoy.internal_redirect_predicates.previous_routes"
    ),
    "envoy.extensions.internal_redirect.safe_cross_scheme.v3.SafeCrossSchemeConfig": (
        "envoy.internal_redirect_predicates.safe_cross_scheme"
    ),
}

EARLY_DATA_POLICIES: dict[str, str] = {}
CLUSTER_SPECIFIERS: dict[str, str] = {}
STRING_MATCHERS: dict[str, str] = {}
"""Envoy's own are not in the schema."""

RATE_LIMIT_DESCRIPTORS = {
    "envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor": "envoy.rate_limit_descriptors.expr",
}

CONNECTION_INPUTS = {
    _NETWORK_INPUT + "DestinationIPInput": _INPUT + "destination_ip",
    _NETWORK_INPUT + "DestinationPortInput": _INPUT + "destination_port",
    _NETWORK_INPUT + "DirectSourceIPInput": _INPUT + "direct_source_ip",
    _NETWORK_INPUT + "FilterStateInput": _INPUT + "filter_state",
    _NETWORK_INPUT + "NetworkNamespaceInput": _INPUT + "network_namespace",
    _NETWORK_INPUT + "ServerNameInput": _INPUT + "server_name",
    _NETWORK_INPUT + "SourceIPInput": _INPUT + "source_ip",
    _NETWORK_INPUT + "SourcePortInput": _INPUT + "source_port",
    _NETWORK_INPUT + "SourceTypeInput": _INPUT + "source_type",
    _TLS_INPUT + "DnsSanInput": _INPUT + "dns_san",
    _TLS_INPUT + "SubjectInput": _INPUT + "subject",
    _TLS_INPUT + "UriSanInput": _INPUT + "uri_san",
}
"""What trees of matchers may look at wherever there is a connection."""

NETWORK_INPUTS = {
    **CONNECTION_INPUTS,
    _NETWORK_INPUT + "ApplicationProtocolInput": _INPUT + "application_protocol",
    _NETWORK_INPUT + "TransportProtocolInput": _INPUT + "transport_protocol",
}

HTTP_INPUTS = {
    **CONNECTION_INPUTS,
    "xds.type.matcher.v3.HttpAttributesCelMatchInput": _INPUT + "cel_data_input",
    _HTTP_INPUT + "HttpRequestHeaderMatchInput": _INPUT + "request_headers",
    _HTTP_INPUT + "HttpRequestQueryParamMatchInput": "query_params",
    _HTTP_INPUT + "HttpRequestTrailerMatchInput": _INPUT + "request_trailers",
    _HTTP_INPUT + "HttpResponseHeaderMatchInput": _INPUT + "response_headers",
    _HTTP_INPUT + "HttpResponseLocalReplyMatchInput": _INPUT + "local_reply",
    _HTTP_INPUT + "HttpResponseStatusCodeClassMatchInput": _INPUT + "status_code_class_input",
    _HTTP_INPUT + "HttpResponseStatusCodeMatchInput": _INPUT + "status_code_input",
    _HTTP_INPUT + "HttpResponseTrailerMatchInput": _INPUT + "response_trailers",
    _NETWORK_INPUT + "DynamicMetadataInput": _INPUT + "dynamic_metadata",
}

INPUT_MATCHERS = {
    "envoy.extensions.matching.input_matchers.consistent_hashing.v3.ConsistentHashing": (
        "envoy.matching.matchers.consistent_hashing"
    ),
    "envoy.extensions.matching.input_matchers.ip.v3.Ip": "envoy.matching.matchers.ip",
    "envoy.extensions.matching.input_matchers.runtime_fraction.v3.RuntimeFraction": (
        "envoy.matching.matchers.runtime_fraction"
    ),
    "xds.type.matcher.v3.CelMatcher": "envoy.matching.matchers.cel_matcher",
}

CUSTOM_MATCHERS = {
    "xds.type.matcher.v3.IPMatcher": "envoy.matching.custom_matchers.ip_range_matcher",
    "xds.type.matcher.v3.ServerNameMatcher": "envoy.matching.custom_matchers.domain_matcher",
}

ROUTE_TREE_ACTIONS = {
    "envoy.config.route.v3.Route": "route",
    "envoy.config.route.v3.RouteList": "route_match_action",
}

RBAC_TREE_ACTIONS = {"envoy.config.rbac.v3.Action": "envoy.filters.rbac.action"}

RBAC_MATCHERS = {
    "envoy.extensions.rbac.matchers.upstream_ip_port.v3.UpstreamIpPortMatcher": "envoy.rbac.matchers.upstream_ip_port",
}

RBAC_PRINCIPALS = {
    "envoy.extensions.rbac.principals.mtls_authenticated.v3.Config": "envoy.rbac.principals.mtls_authenticated",
}

FILTER_CHAIN_TREE_ACTIONS = {"google.protobuf.StringValue": "filter-chain-name"}

LOAD_BALANCING_POLICIES = {
    _LB + "client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin": (
        "envoy.load_balancing_policies.client_side_weighted_round_robin"
    ),
    _LB + "cluster_provided.v3.ClusterProvided": "envoy.load_balancing_policies.cluster_provided",
    _LB + "least_request.v3.LeastRequest": "envoy.load_balancing_policies.least_request",
    _LB + "maglev.v3.Maglev": "envoy.load_balancing_policies.maglev",
    _LB + "override_host.v3.OverrideHost": "envoy.load_balancing_policies.override_host",
    _LB + "random.v3.Random": "envoy.load_balancing_policies.random",
    _LB + "ring_hash.v3.RingHash": "envoy.load_balancing_policies.ring_hash",
    _LB + "round_robin.v3.RoundRobin": "envoy.load_balancing_policies.round_robin",
    _LB + "subset.v3.Subset": "envoy.load_balancing_policies.subset",
    _LB + "wrr_locality.v3.WrrLocality": "envoy.load_balancing_policies.wrr_locality",
}

CLUSTERS = {
    "envoy.extensions.clusters.aggregate.v3.ClusterConfig": "envoy.clusters.aggregate",
    "envoy.extensions.clusters.dns.v3.DnsCluster": "envoy.cluster.dns",
    "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig": "envoy.clusters.dynamic_forward_proxy",
    "envoy.extensions.clusters.original_dst.v3.OriginalDstCluster": "envoy.cluster.original_dst",
}

UPSTREAM_TRANSPORT_SOCKETS = {
    "envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport": (
        "envoy.transport_sockets.internal_upstream"
    ),
    "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport": (
        "envoy.transport_sockets.upstream_proxy_protocol"
    ),
    "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer": "envoy.transport_sockets.raw_buffer",
    "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext": "envoy.transport_sockets.tls",
}

DOWNSTREAM_TRANSPORT_SOCKETS = {
    "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer": "envoy.transport_sockets.raw_buffer",
    "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext": "envoy.transport_sockets.tls",
}

LISTENER_FILTERS = {
    "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector": "envoy.filters.listener.http_inspector",
    "envoy.extensions.filters.listener.original_dst.v3.OriginalDst": "envoy.filters.listener.original_dst",
    "envoy.extensions.filters.listener.original_src.v3.OriginalSrc": "envoy.filters.listener.original_src",
    "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol": "envoy.filters.listener.proxy_protocol",
    "envoy.extensions.filters.listener.set_filter_state.v3.Config": "envoy.filters.listener.set_filter_state",
    "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector": "envoy.filters.listener.tls_inspector",
}

DNS_RESOLVERS = {
    "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig": "envoy.network.dns_resolver.cares",
    "envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig": (
        "envoy.network.dns_resolver.getaddrinfo"
    ),
}


def type_at(name: str, packed: pb.google_protobuf.Any, point: dict[str, str]) -> str:
    """The type of an extension that stands at a point.

    Raises:
        RefusedError: no type, or one that belongs elsewhere.
    """
    type_name = type_of(packed)
    if type_name not in point and (not type_name or find(type_name) is not None):
        raise RefusedError(f"Didn't find a registered implementation for '{name}' with type URL: '{type_name}'")
    return type_name


def extension(name: str, packed: pb.google_protobuf.Any, point: dict[str, str]) -> Message | None:
    """The configuration of an extension that stands at a point; None for a type that the schema does not have.

    Raises:
        RefusedError: no type, a type that belongs elsewhere, bytes that are no such message or that break a rule.
    """
    type_at(name, packed, point)
    return open_any(packed)
