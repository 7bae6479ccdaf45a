"""Filters that are the same everywhere, named and configured as istiod has them.

Made once and embedded by copy: protobuf copies a message that is passed to another's constructor or `append`.
"""

from __future__ import annotations

from functools import cache

from ...wire.schema.types import (
    cluster_v3,
    core_v3,
    cors_v3,
    grpc_stats_v3,
    grpc_web_v3,
    http_connection_manager_v3,
    http_fault_v3,
    http_inspector_v3,
    istio_alpn_v2alpha1,
    listener_original_dst_v3,
    listener_v3,
    original_src_v3,
    preserve_case_v3,
    previous_hosts_v3,
    previous_priorities_v3,
    raw_buffer_v3,
    route_v3,
    router_v3,
    tls_inspector_v3,
    uuid_v3,
)
from .messages import flag, pack, typed_struct, u32

METADATA_EXCHANGE = "istio.metadata_exchange"
_TCP_EXCHANGE = "envoy.tcp.metadataexchange.config.MetadataExchange"
_HTTP_EXCHANGE = "io.istio.http.peer_metadata.Config"

HttpFilter = http_connection_manager_v3.HttpFilter


@cache
def cluster_exchange() -> cluster_v3.Filter:
    """Tells peers of a TCP connection who they are, upstream side."""
    config = typed_struct(_TCP_EXCHANGE, {"protocol": "istio-peer-exchange", "enable_discovery": True})
    return cluster_v3.Filter(name=METADATA_EXCHANGE, typed_config=config)


@cache
def listener_exchange() -> listener_v3.Filter:
    """The same, downstream side."""
    config = typed_struct(_TCP_EXCHANGE, {"protocol": "istio-peer-exchange", "enable_discovery": True})
    return listener_v3.Filter(name=METADATA_EXCHANGE, typed_config=config)


@cache
def outbound_exchange(*, mesh_only: bool = False) -> HttpFilter:
    config: dict[str, object] = {
        "upstream_discovery": [{"istio_headers": {}}, {"workload_discovery": {}}],
        "upstream_propagation": [{"istio_headers": {"skip_external_clusters": True} if mesh_only else {}}],
    }
    return HttpFilter(name=METADATA_EXCHANGE, typed_config=typed_struct(_HTTP_EXCHANGE, config))


@cache
def inbound_exchange() -> HttpFilter:
    config: dict[str, object] = {
        "downstream_discovery": [{"istio_headers": {}}, {"workload_discovery": {}}],
        "downstream_propagation": [{"istio_headers": {}}],
    }
    return HttpFilter(name=METADATA_EXCHANGE, typed_config=typed_struct(_HTTP_EXCHANGE, config))


@cache
def grpc_stats() -> HttpFilter:
    config = grpc_stats_v3.FilterConfig(emit_filter_state=True, stats_for_all_methods=flag(False))
    return HttpFilter(name="envoy.filters.http.grpc_stats", typed_config=pack(config))


@cache
def grpc_web() -> HttpFilter:
    return HttpFilter(name="envoy.filters.http.grpc_web", typed_config=pack(grpc_web_v3.GrpcWeb()))


@cache
def alpn() -> HttpFilter:
    """Which ALPN mTLS connections offer, by the protocol of the request."""
    override = istio_alpn_v2alpha1.FilterConfig.AlpnOverride
    protocol = istio_alpn_v2alpha1.FilterConfig.Protocol
    config = istio_alpn_v2alpha1.FilterConfig(
        alpn_override=[
            override(upstream_protocol=protocol.Value("HTTP10"), alpn_override=["istio-http/1.0", "istio", "http/1.0"]),
            override(upstream_protocol=protocol.Value("HTTP11"), alpn_override=["istio-http/1.1", "istio", "http/1.1"]),
            override(upstream_protocol=protocol.Value("HTTP2"), alpn_override=["istio-h2", "istio", "h2"]),
        ]
    )
    return HttpFilter(name="istio.alpn", typed_config=pack(config))


@cache
def fault() -> HttpFilter:
    return HttpFilter(name="envoy.filters.http.fault", typed_config=pack(http_fault_v3.HTTPFault()))


@cache
def cors() -> HttpFilter:
    return HttpFilter(name="envoy.filters.http.cors", typed_config=pack(cors_v3.Cors()))


@cache
def router(*, debug: bool = True) -> HttpFilter:
    config = router_v3.Router(suppress_envoy_headers=not debug)
    return HttpFilter(name="envoy.filters.http.router", typed_config=pack(config))


@cache
def preserve_case() -> core_v3.Http1ProtocolOptions.HeaderKeyFormat:
    """Header names of HTTP/1 as they were written."""
    config = core_v3.TypedExtensionConfig(
        name="preserve_case", typed_config=pack(preserve_case_v3.PreserveCaseFormatterConfig())
    )
    return core_v3.Http1ProtocolOptions.HeaderKeyFormat(stateful_formatter=config)


@cache
def request_id(samples: bool = True) -> http_connection_manager_v3.RequestIDExtension:
    config = uuid_v3.UuidRequestIdConfig(use_request_id_for_trace_sampling=flag(samples))
    return http_connection_manager_v3.RequestIDExtension(typed_config=pack(config))


@cache
def tls_inspector() -> listener_v3.ListenerFilter:
    config = tls_inspector_v3.TlsInspector(initial_read_buffer_size=u32(512))
    return listener_v3.ListenerFilter(name="envoy.filters.listener.tls_inspector", typed_config=pack(config))


@cache
def http_inspector() -> listener_v3.ListenerFilter:
    config = http_inspector_v3.HttpInspector()
    return listener_v3.ListenerFilter(name="envoy.filters.listener.http_inspector", typed_config=pack(config))


@cache
def original_destination() -> listener_v3.ListenerFilter:
    config = listener_original_dst_v3.OriginalDst()
    return listener_v3.ListenerFilter(name="envoy.filters.listener.original_dst", typed_config=pack(config))


@cache
def original_source() -> listener_v3.ListenerFilter:
    config = original_src_v3.OriginalSrc(mark=1337)
    return listener_v3.ListenerFilter(name="envoy.filters.listener.original_src", typed_config=pack(config))


@cache
def raw_buffer() -> core_v3.TransportSocket:
    return core_v3.TransportSocket(
        name="envoy.transport_sockets.raw_buffer", typed_config=pack(raw_buffer_v3.RawBuffer())
    )


@cache
def previous_hosts() -> route_v3.RetryPolicy.RetryHostPredicate:
    return route_v3.RetryPolicy.RetryHostPredicate(
        name="envoy.retry_host_predicates.previous_hosts",
        typed_config=pack(previous_hosts_v3.PreviousHostsPredicate()),
    )


@cache
def previous_priorities() -> route_v3.RetryPolicy.RetryPriority:
    return route_v3.RetryPolicy.RetryPriority(
        name="envoy.retry_priorities.previous_priorities",
        typed_config=pack(previous_priorities_v3.PreviousPrioritiesConfig(update_frequency=2)),
    )
