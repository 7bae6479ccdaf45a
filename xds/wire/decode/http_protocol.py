"""envoy.extensions.upstreams.http.v3.HttpProtocolOptions, and the older fields of a cluster that say the same."""

from __future__ import annotations

from dataclasses import replace

from ...model.cluster import HttpProtocol, UpstreamProtocol
from ...model.route import RetryPolicy
from ..opening import open_any, type_of
from ..refused import RefusedError
from ..schema import find
from ..schema import types as pb
from .matchers import response_predicate
from .route_policies import hash_policies, mirror_policies, retry_policy
from .values import seconds

KEYS = ("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", "envoy.upstreams.http.http_protocol_options")
"""The key that istiod uses, and Envoy's older name for it."""

OTHER_KEYS = frozenset(
    {"envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions", "envoy.upstreams.tcp.tcp_protocol_options"}
)

OTHER_TYPE = "envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions"
"""Of what stands there; another type is nothing to Envoy."""


def http_protocol(message: pb.cluster_v3.Cluster) -> HttpProtocol:
    """What protocol to speak to a cluster, and how long its connections may live."""
    options = options_of(message)
    if options is not None:
        return _from_options(options)
    downstream = message.protocol_selection == 1
    http2 = message.HasField("http2_protocol_options")
    if http2 and message.HasField("http_protocol_options") and not downstream:
        raise RefusedError(
            "cluster: Both HTTP1 and HTTP2 options may only be configured with non-default 'protocol_selection' values"
        )
    protocol: UpstreamProtocol = "downstream" if downstream else "http2" if http2 else "http1"
    streams = _streams(message.http2_protocol_options) if http2 else None
    requests = message.max_requests_per_connection.value or None
    found = _common(message.common_http_protocol_options, protocol, streams, requests)
    if message.HasField("upstream_http_protocol_options"):
        found = with_names(found, message.upstream_http_protocol_options)
    return replace(found, proper_case=_proper_case(message.http_protocol_options))


def options_of(message: pb.cluster_v3.Cluster) -> pb.upstreams_http_v3.HttpProtocolOptions | None:
    """The extension, where the cluster has it."""
    found: pb.upstreams_http_v3.HttpProtocolOptions | None = None
    for key, packed in message.typed_extension_protocol_options.items():
        if key in KEYS:
            opened = open_any(packed)
            if not isinstance(opened, pb.upstreams_http_v3.HttpProtocolOptions):
                # Envoy takes what it cannot read for an empty message.
                raise RefusedError(
                    'Proto constraint validation failed (field: "upstream_protocol_options", reason: is required)'
                )
            found = opened
        elif key in OTHER_KEYS:
            if type_of(packed) == OTHER_TYPE:
                open_any(packed)
        elif find(packed.type_url) is not None:
            raise RefusedError(
                f"Didn't find a registered network or http filter or protocol options implementation for name: '{key}'"
            )
    return found


def _from_options(options: pb.upstreams_http_v3.HttpProtocolOptions) -> HttpProtocol:
    protocol: UpstreamProtocol = "http1"
    streams = None
    http1 = options.auto_config.http_protocol_options
    match options.WhichOneof("upstream_protocol_options"):
        case "explicit_http_config":
            explicit = options.explicit_http_config
            http1 = explicit.http_protocol_options
            which = explicit.WhichOneof("protocol_config")
            if which == "http2_protocol_options":
                protocol = "http2"
                streams = _streams(explicit.http2_protocol_options)
            elif which == "http3_protocol_options":
                protocol = "http3"
        case "use_downstream_protocol_config":
            protocol = "downstream"
            http1 = options.use_downstream_protocol_config.http_protocol_options
            streams = _streams(options.use_downstream_protocol_config.http2_protocol_options)
        case _:
            protocol = "auto"
            streams = _streams(options.auto_config.http2_protocol_options)
    found = _common(
        options.common_http_protocol_options,
        protocol,
        streams,
        None,
        retry=retry_policy(options.retry_policy) if options.HasField("retry_policy") else None,
    )
    if _proper_case(http1):
        found = replace(found, proper_case=True)
    if options.HasField("upstream_http_protocol_options"):
        found = with_names(found, options.upstream_http_protocol_options)
    if options.hash_policy:
        found = replace(found, hash_policies=hash_policies(options.hash_policy))
    if options.request_mirror_policies:
        found = replace(found, mirrors=mirror_policies(options.request_mirror_policies))
    if options.outlier_detection.HasField("error_matcher"):
        return replace(found, error_matcher=response_predicate(options.outlier_detection.error_matcher))
    return found


def with_names(found: HttpProtocol, options: pb.core_v3.UpstreamHttpProtocolOptions) -> HttpProtocol:
    """What server to ask for by TLS, and what its certificate has to say (UpstreamHttpProtocolOptions)."""
    return replace(
        found,
        auto_sni=options.auto_sni,
        auto_san_validation=options.auto_san_validation,
        override_auto_sni_header=options.override_auto_sni_header,
    )


def _proper_case(options: pb.core_v3.Http1ProtocolOptions) -> bool:
    return options.header_key_format.HasField("proper_case_words")


def _streams(options: pb.core_v3.Http2ProtocolOptions) -> int | None:
    return options.max_concurrent_streams.value or None


def _common(
    common: pb.core_v3.HttpProtocolOptions,
    protocol: UpstreamProtocol,
    streams: int | None,
    requests: int | None,
    *,
    retry: RetryPolicy | None = None,
) -> HttpProtocol:
    return HttpProtocol(
        protocol=protocol,
        idle_timeout_s=seconds(common.idle_timeout) or None if common.HasField("idle_timeout") else 3600.0,
        max_connection_duration_s=seconds(common.max_connection_duration) or None,
        max_requests_per_connection=common.max_requests_per_connection.value or requests,
        max_concurrent_streams=streams,
        max_stream_duration_s=seconds(common.max_stream_duration) or None,
        retry=retry,
    )
