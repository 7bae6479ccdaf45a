"""What lies between a cluster and its endpoints: protocols, filters, transport sockets."""

# ruff: noqa: E501  # Envoy's words are not broken.

from __future__ import annotations

from typing import Any

from . import Case, Json
from .build import HTTP_OPTIONS, RAW, ROUTER_TYPE, STRANGER, TLS, UNKNOWN, cluster, extension, typed


def options(**fields: Any) -> Json:
    """HttpProtocolOptions."""
    return {"typed_extension_protocol_options": {HTTP_OPTIONS: typed(HTTP_OPTIONS, **fields)}}


def socket(kind: str, name: str = "t", **fields: Any) -> Json:
    """A transport socket."""
    return {"transport_socket": extension(kind, name, **fields)}


CASES = [
    Case("protocol options: none", cluster(**options()), 'field: "upstream_protocol_options", reason: is required'),
    Case(
        "protocol options: explicit none",
        cluster(**options(explicit_http_config={})),
        'field: "protocol_config", reason: is required',
    ),
    Case("protocol options: explicit h1", cluster(**options(explicit_http_config={"http_protocol_options": {}}))),
    Case(
        "protocol options: explicit h2 + legacy",
        cluster(**options(explicit_http_config={"http2_protocol_options": {}}), http2_protocol_options={}),
    ),
    Case(
        "protocol options: auto no alpn",
        cluster(**options(auto_config={})),
        "ALPN configured for cluster x which has a non-ALPN transport socket",
    ),
    Case(
        "protocol options: h3 no quic",
        cluster(**options(explicit_http_config={"http3_protocol_options": {}})),
        "HTTP3 requires a QuicUpstreamTransport transport socket: x",
    ),
    Case(
        "protocol options: filters",
        cluster(
            **options(
                explicit_http_config={"http_protocol_options": {}},
                http_filters=[
                    extension(
                        "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
                        "envoy.filters.http.upstream_codec",
                    )
                ],
            )
        ),
    ),
    Case(
        "protocol options: filters bad",
        cluster(
            **options(
                explicit_http_config={"http_protocol_options": {}},
                http_filters=[
                    extension("envoy.extensions.filters.http.header_mutation.v3.HeaderMutation", mutations={})
                ],
            )
        ),
        "The codec filter is the only valid terminal upstream HTTP filter, use 'envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec'",
    ),
    Case(
        "protocol options: filters router",
        cluster(**options(explicit_http_config={"http_protocol_options": {}}, http_filters=[STRANGER])),
        "The codec filter is the only valid terminal upstream HTTP filter, use 'envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec'",
    ),
    Case(
        "protocol options: max req 0",
        cluster(
            **options(
                explicit_http_config={"http_protocol_options": {}},
                common_http_protocol_options={"max_requests_per_connection": 0},
            )
        ),
    ),
    Case(
        "protocol options: idle neg",
        cluster(
            **options(
                explicit_http_config={"http_protocol_options": {}}, common_http_protocol_options={"idle_timeout": "-1s"}
            )
        ),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case(
        "protocol options: wrong type",
        cluster(typed_extension_protocol_options={HTTP_OPTIONS: typed(ROUTER_TYPE)}),
        'field: "upstream_protocol_options", reason: is required',
    ),
    Case(
        "protocol options: other key",
        cluster(
            typed_extension_protocol_options={
                "zzz": typed(HTTP_OPTIONS, explicit_http_config={"http_protocol_options": {}})
            }
        ),
        "Didn't find a registered network or http filter or protocol options implementation for name: 'zzz'",
    ),
    Case(
        "protocol options: legacy key",
        cluster(
            typed_extension_protocol_options={
                "envoy.upstreams.http.http_protocol_options": typed(
                    HTTP_OPTIONS, explicit_http_config={"http2_protocol_options": {}}
                )
            }
        ),
    ),
    Case(
        "tcp options",
        cluster(
            typed_extension_protocol_options={
                "envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions": typed(
                    "envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions", idle_timeout="1s"
                )
            }
        ),
    ),
    Case(
        "h2 streams 0",
        cluster(http2_protocol_options={"max_concurrent_streams": 0}),
        "Http2ProtocolOptionsValidationError.MaxConcurrentStreams: value must be inside range [1, 2147483647]",
    ),
    Case(
        "h2 keepalive",
        cluster(http2_protocol_options={"connection_keepalive": {"interval": "0s", "timeout": "1s"}}),
        "KeepaliveSettingsValidationError.Interval: value must be greater than or equal to 1ms",
    ),
    Case(
        "http+http2",
        cluster(http_protocol_options={}, http2_protocol_options={}),
        "cluster: Both HTTP1 and HTTP2 options may only be configured with non-default 'protocol_selection' values",
    ),
    Case("proto sel", cluster(protocol_selection="USE_DOWNSTREAM_PROTOCOL", http2_protocol_options={})),
    Case("filters", cluster(filters=[UNKNOWN])),
    Case("transport socket: raw", cluster(**socket(RAW))),
    Case(
        "transport socket: name only",
        cluster(transport_socket={"name": "envoy.transport_sockets.raw_buffer"}),
        "Didn't find a registered implementation for 'envoy.transport_sockets.raw_buffer' with type URL: ''",
    ),
    Case(
        "transport socket: name zzz",
        cluster(transport_socket={"name": "zzz"}),
        "Didn't find a registered implementation for 'zzz' with type URL: ''",
    ),
    Case(
        "transport socket: name tls no config",
        cluster(transport_socket={"name": "envoy.transport_sockets.tls"}),
        "Didn't find a registered implementation for 'envoy.transport_sockets.tls' with type URL: ''",
    ),
    Case(
        "transport socket: unknown",
        cluster(**socket("google.protobuf.Empty")),
        "Didn't find a registered implementation for 't' with type URL: 'google.protobuf.Empty'",
    ),
    Case("transport socket: raw name tls type", cluster(**socket(TLS, name="envoy.transport_sockets.raw_buffer"))),
    Case("transport socket: tls", cluster(**socket(TLS, sni="a"))),
    Case(
        "transport socket: tls sni long",
        cluster(**socket(TLS, sni="a" * 256)),
        "UpstreamTlsContextValidationError.Sni: value length must be at most 255 bytes",
    ),
    Case(
        "transport socket: tls two certs",
        cluster(
            **socket(
                TLS,
                common_tls_context={
                    "tls_certificates": [{"certificate_chain": {"filename": "/x"}, "private_key": {"filename": "/y"}}]
                    * 2
                },
            )
        ),
        "Multiple TLS certificates are not supported for client contexts",
    ),
    Case(
        "transport socket: tls min>max",
        cluster(
            **socket(
                TLS,
                common_tls_context={
                    "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_2"}
                },
            )
        ),
    ),
    Case(
        "transport socket: tls san no ca",
        cluster(
            **socket(
                TLS,
                common_tls_context={
                    "validation_context": {
                        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "a"}}]
                    }
                },
            )
        ),
        "SAN-based verification of peer certificates without trusted CA is insecure and not allowed",
    ),
    Case(
        "transport socket: tls san regex bad",
        cluster(
            **socket(
                TLS,
                common_tls_context={
                    "validation_context": {
                        "trusted_ca": {"filename": "/etc/ssl/certs/ca-certificates.crt"},
                        "match_typed_subject_alt_names": [
                            {"san_type": "DNS", "matcher": {"safe_regex": {"regex": "*"}}}
                        ],
                    }
                },
            )
        ),
        "no argument for repetition operator: *",
    ),
    Case(
        "transport socket: tls san type none",
        cluster(
            **socket(
                TLS,
                common_tls_context={
                    "validation_context": {"match_typed_subject_alt_names": [{"matcher": {"exact": "a"}}]}
                },
            )
        ),
        "SubjectAltNameMatcherValidationError.SanType: value must not be in list [SAN_TYPE_UNSPECIFIED]",
    ),
    Case(
        "socket match: no match",
        cluster(
            transport_socket_matches=[
                {"name": "a", "transport_socket": extension(RAW, "envoy.transport_sockets.raw_buffer")}
            ]
        ),
    ),
    Case(
        "socket match: no name",
        cluster(transport_socket_matches=[{"transport_socket": {"name": "envoy.transport_sockets.raw_buffer"}}]),
        "TransportSocketMatchValidationError.Name: value length must be at least 1 characters",
    ),
    Case(
        "socket match: matcher",
        cluster(
            transport_socket_matcher={
                "matcher_tree": {
                    "input": extension(
                        "envoy.extensions.matching.common_inputs.transport_socket.v3.TransportSocketNameAction", "p"
                    ),
                    "exact_match_map": {
                        "map": {"80": {"action": extension("google.protobuf.StringValue", "foo", value="foo")}}
                    },
                }
            }
        ),
        "Didn't find a registered implementation for 'p' with type URL: 'envoy.extensions.matching.common_inputs.transport_socket.v3.TransportSocketNameAction'",
        differs="the cluster is closed instead",
    ),
    Case(
        "preconnect",
        cluster(preconnect_policy={"per_upstream_preconnect_ratio": 0.5}),
        "PreconnectPolicyValidationError.PerUpstreamPreconnectRatio: value must be inside range [1, 3]",
    ),
    Case("conn opts", cluster(upstream_connection_options={"tcp_keepalive": {"keepalive_time": 10}})),
    Case("upstream_config", cluster(upstream_config=UNKNOWN)),
    Case("max req per conn", cluster(max_requests_per_connection=1)),
    Case("common http dep", cluster(common_http_protocol_options={"idle_timeout": "1s"})),
]
