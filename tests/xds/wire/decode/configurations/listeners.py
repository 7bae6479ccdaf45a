"""Connection managers, TCP proxies, filter chains, listeners. A table, longer than a module should be."""

# ruff: noqa: E501  # Envoy's words are not broken.

from __future__ import annotations

from typing import Any

from . import Case, Json
from .build import HCM, ROUTER, ROUTER_TYPE, STRANGER, TCP_PROXY, UNKNOWN, extension, listener, managed, manager, typed

HOST: Json = {"header": {"key": "host", "value": "a"}}
BAD_REGEX: Json = {"name": "a", "safe_regex_match": {"regex": "("}}
SCOPES = {"fragments": [{"header_value_extractor": {"name": "x"}}]}


def tcp(**fields: Any) -> Json:
    """A TCP proxy."""
    return extension(TCP_PROXY, "t", **{"stat_prefix": "s", **fields})


def chain_match(**fields: Any) -> Json:
    """A FilterChainMatch."""
    return listener(filter_chains=[{"filters": [manager()], "filter_chain_match": fields}])


CASES = [
    Case(
        "manager: no stat_prefix",
        managed(stat_prefix=""),
        "HttpConnectionManagerValidationError.StatPrefix: value length must be at least 1 characters",
    ),
    Case(
        "manager: no routes",
        listener(extension(HCM, "hcm", stat_prefix="s", http_filters=[ROUTER])),
        'field: "route_specifier", reason: is required',
    ),
    Case(
        "manager: rds no source",
        managed(rds={"route_config_name": "r"}),
        "An RDS config must have either a 'config_source' or an xDS-TP based 'route_config_name'. Error while parsing RDS config: route_config_name: \"r\"",
    ),
    Case("manager: rds ads", managed(rds={"route_config_name": "r", "config_source": {"ads": {}}})),
    Case("manager: rds empty name", managed(rds={"config_source": {"path_config_source": {"path": "/dev/null"}}})),
    Case(
        "manager: rds path",
        managed(rds={"route_config_name": "r", "config_source": {"path_config_source": {"path": "/dev/null"}}}),
    ),
    Case(
        "manager: scoped",
        managed(
            scoped_routes={
                "name": "s",
                "scope_key_builder": SCOPES,
                "rds_config_source": {"path_config_source": {"path": "/dev/null"}},
                "scoped_route_configurations_list": {
                    "scoped_route_configurations": [
                        {"name": "a", "route_configuration_name": "r", "key": {"fragments": [{"string_key": "x"}]}}
                    ]
                },
            }
        ),
        "Fetching routes via RDS (route_configuration_name) is not supported with inline scoped routes.",
        differs="the chain is closed instead",
    ),
    Case(
        "manager: codec bad",
        managed(codec_type=9),
        "HttpConnectionManagerValidationError.CodecType: value must be one of the defined enum values",
    ),
    Case("manager: codec http3", managed(codec_type="HTTP3"), "HTTP/3 codec configured on non-QUIC listener."),
    Case("manager: codec http2", managed(codec_type="HTTP2")),
    Case(
        "manager: idle neg",
        managed(stream_idle_timeout="-1s"),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case("manager: req timeout", managed(request_timeout="1s")),
    Case("manager: req headers timeout", managed(request_headers_timeout="1s")),
    Case(
        "manager: max hdr kb 0",
        managed(max_request_headers_kb=0),
        "HttpConnectionManagerValidationError.MaxRequestHeadersKb: value must be inside range (0, 8192]",
    ),
    Case(
        "manager: max hdr kb 8193",
        managed(max_request_headers_kb=8193),
        "HttpConnectionManagerValidationError.MaxRequestHeadersKb: value must be inside range (0, 8192]",
    ),
    Case("manager: max hdr kb 8192", managed(max_request_headers_kb=8192)),
    Case(
        "manager: both strip",
        managed(strip_any_host_port=True, strip_matching_host_port=True),
        "Error: Only one of `strip_matching_host_port` or `strip_any_host_port` can be set.",
    ),
    Case("manager: strip any", managed(strip_any_host_port=True)),
    Case("manager: remote address", managed(use_remote_address=True)),
    Case("manager: strip oneof", managed(strip_any_host_port=False, strip_matching_host_port=True)),
    Case("manager: escaped bad", managed(path_with_escaped_slashes_action=9)),
    Case(
        "manager: server hdr bad",
        managed(server_header_transformation=9),
        "HttpConnectionManagerValidationError.ServerHeaderTransformation: value must be one of the defined enum values",
    ),
    Case("manager: xff hops", managed(xff_num_trusted_hops=1)),
    Case(
        "manager: ip detect",
        managed(
            original_ip_detection_extensions=[
                extension("envoy.extensions.http.original_ip_detection.xff.v3.XffConfig", xff_num_trusted_hops=1)
            ]
        ),
    ),
    Case(
        "manager: ip detect + hops",
        managed(
            xff_num_trusted_hops=1,
            original_ip_detection_extensions=[
                extension("envoy.extensions.http.original_ip_detection.xff.v3.XffConfig", xff_num_trusted_hops=1)
            ],
        ),
        "Original IP detection extensions and xff_num_trusted_hops may not be mixed",
    ),
    Case(
        "manager: ip detect + use_remote",
        managed(
            use_remote_address=True,
            original_ip_detection_extensions=[
                extension("envoy.extensions.http.original_ip_detection.xff.v3.XffConfig", xff_num_trusted_hops=1)
            ],
        ),
        "Original IP detection extensions and use_remote_address may not be mixed",
    ),
    Case(
        "manager: ip detect unknown",
        managed(original_ip_detection_extensions=[STRANGER]),
        "Original IP detection extension not found: 'x'",
    ),
    Case(
        "manager: early mut",
        managed(
            early_header_mutation_extensions=[
                extension(
                    "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                    mutations=[{"remove": "a"}],
                )
            ]
        ),
    ),
    Case(
        "manager: early unknown",
        managed(early_header_mutation_extensions=[STRANGER]),
        "Early header mutation extension not found: 'x'",
    ),
    Case(
        "manager: req id unknown",
        managed(request_id_extension={"typed_config": typed(ROUTER_TYPE)}),
        "Didn't find a registered implementation for type: 'envoy.extensions.filters.http.router.v3.Router'",
    ),
    Case("manager: req id none", managed(request_id_extension={})),
    Case(
        "manager: upgrade dup",
        managed(upgrade_configs=[{"upgrade_type": "websocket"}, {"upgrade_type": "WEBSOCKET"}]),
        "Error: multiple upgrade configs with the same name: 'WEBSOCKET'",
    ),
    Case(
        "manager: upgrade filters bad",
        managed(upgrade_configs=[{"upgrade_type": "websocket", "filters": [UNKNOWN]}]),
        "Didn't find a registered implementation for 'x' with type URL: 'google.protobuf.Empty'",
    ),
    Case("manager: upgrade filters", managed(upgrade_configs=[{"upgrade_type": "websocket", "filters": [ROUTER]}])),
    Case(
        "manager: access log unknown",
        managed(access_log=[STRANGER]),
        "Didn't find a registered implementation for 'x' with type URL: 'envoy.extensions.filters.http.router.v3.Router'",
    ),
    Case(
        "manager: access log bad format",
        managed(
            access_log=[
                extension(
                    "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
                    log_format={"text_format_source": {"inline_string": "%NOPE%"}},
                )
            ]
        ),
        "Not supported field in StreamInfo: NOPE",
    ),
    Case(
        "manager: local_reply",
        managed(
            local_reply_config={
                "mappers": [
                    {
                        "filter": {
                            "status_code_filter": {
                                "comparison": {"op": "EQ", "value": {"default_value": 503, "runtime_key": "a"}}
                            }
                        },
                        "status_code": 500,
                    }
                ]
            }
        ),
    ),
    *(
        Case(f"manager: local_reply {name}", managed(local_reply_config=config), said)
        for name, config, said in (
            (
                "status 199",
                {"mappers": [{"filter": {"not_health_check_filter": {}}, "status_code": 199}]},
                "ResponseMapperValidationError.StatusCode: value must be inside range [200, 600)",
            ),
            (
                "no filter",
                {"mappers": [{"status_code": 299}]},
                "ResponseMapperValidationError.Filter: value is required",
            ),
            (
                "empty filter",
                {"mappers": [{"filter": {}, "status_code": 299}]},
                'caused by field: "filter_specifier", reason: is required',
            ),
            (
                "one of two",
                {"mappers": [{"filter": {"and_filter": {"filters": [{"traceable_filter": {}}]}}}]},
                "AndFilterValidationError.Filters: value must contain at least 2 item(s)",
            ),
            (
                "flag",
                {"mappers": [{"filter": {"response_flag_filter": {"flags": ["NOPE"]}}}]},
                "be in list [LH UH UT LR UR UF UC UO NR DI FI RL UAEX RLSE DC URX SI IH DPE UMSDR RFCF NFCF DT UPE NC OM DF DO DR UDO]",
            ),
            ("format", {"body_format": {"text_format": "%NOPE%"}}, "Not supported field in StreamInfo: NOPE"),
            (
                "no format",
                {"body_format": {}},
                'BodyFormat: embedded message failed validation | caused by field: "format", reason: is required',
            ),
            (
                "header",
                {"mappers": [{"filter": {"traceable_filter": {}}, "headers_to_add": [HOST]}]},
                ":-prefixed or host headers may not be modified",
            ),
            ("regex", {"mappers": [{"filter": {"header_filter": {"header": BAD_REGEX}}}]}, "missing ): ("),
        )
    ),
    Case(
        "manager: local_reply extension",
        managed(local_reply_config={"mappers": [{"filter": {"extension_filter": UNKNOWN}}]}),
        "x",
        differs="filters by extension are not known yet, and coverage says so",
    ),
    Case(
        "manager: tracing",
        managed(tracing={"provider": UNKNOWN}),
        "Didn't find a registered implementation for 'x' with type URL: 'google.protobuf.Empty'",
    ),
    Case(
        "manager: tracing sampling",
        managed(tracing={"random_sampling": {"value": 150}}),
        "PercentValidationError.Value: value must be inside range [0, 100]",
    ),
    Case(
        "manager: http1",
        managed(http_protocol_options={"accept_http_10": True, "override_stream_error_on_invalid_http_message": True}),
    ),
    Case("manager: common", managed(common_http_protocol_options={"max_stream_duration": "1s", "idle_timeout": "1s"})),
    Case(
        "manager: common neg",
        managed(common_http_protocol_options={"max_stream_duration": "-1s"}),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case(
        "manager: path_norm",
        managed(
            path_normalization_options={"forwarding_transformation": {"operations": [{"normalize_path_rfc_3986": {}}]}}
        ),
    ),
    Case(
        "manager: mutate",
        managed(scheme_header_transformation={"scheme_to_overwrite": "foo"}),
        "SchemeHeaderTransformationValidationError.SchemeToOverwrite: value must be in list [http https]",
    ),
    Case(
        "manager: via nl",
        managed(via="a\nb"),
        'HttpConnectionManagerValidationError.Via: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
    ),
    Case(
        "manager: fcc bad",
        managed(forward_client_cert_details=9),
        "HttpConnectionManagerValidationError.ForwardClientCertDetails: value must be one of the defined enum values",
    ),
    Case(
        "manager: server_name",
        managed(server_name="a\nb"),
        'HttpConnectionManagerValidationError.ServerName: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
    ),
    Case("manager: proxy status", managed(proxy_status_config={})),
    Case("manager: append xfp", managed(append_x_forwarded_port=True)),
    Case(
        "manager: internal addr",
        managed(
            internal_address_config={"unix_sockets": True, "cidr_ranges": [{"address_prefix": "nope", "prefix_len": 8}]}
        ),
        "invalid ip/mask combo 'nope/8' (format is <ip>/<# mask bits>)",
    ),
    Case(
        "manager: typed header validation",
        managed(typed_header_validation_config=UNKNOWN),
        "This Envoy binary does not support header validator extensions.: 'x'",
        differs="nothing here reads it, and coverage says so",
    ),
    Case("manager: append_local_overload", managed(append_local_overload=True)),
    Case(
        "manager: drain neg", managed(drain_timeout="-1s"), "Invalid duration: Expected positive duration: seconds: -1"
    ),
    Case("manager: delayed", managed(delayed_close_timeout="0s")),
    Case("manager: max resp hdr", managed(http_protocol_options={"header_key_format": {"proper_case_words": {}}})),
    Case("TCP proxy: ok", listener(tcp(cluster="c"))),
    Case(
        "TCP proxy: no prefix",
        listener(tcp(cluster="c", stat_prefix="")),
        "TcpProxyValidationError.StatPrefix: value length must be at least 1 characters",
    ),
    Case("TCP proxy: none", listener(tcp()), 'field: "cluster_specifier", reason: is required'),
    Case("TCP proxy: cluster empty", listener(tcp(cluster=""))),
    Case("TCP proxy: unknown cluster", listener(tcp(cluster="nope"))),
    Case("TCP proxy: weighted", listener(tcp(weighted_clusters={"clusters": [{"name": "c", "weight": 1}]}))),
    Case(
        "TCP proxy: weighted 0",
        listener(tcp(weighted_clusters={"clusters": [{"name": "c", "weight": 0}]})),
        "ClusterWeightValidationError.Weight: value must be greater than or equal to 1",
    ),
    Case(
        "TCP proxy: weighted none",
        listener(tcp(weighted_clusters={"clusters": []})),
        "WeightedClusterValidationError.Clusters: value must contain at least 1 item(s)",
    ),
    Case(
        "TCP proxy: weighted overflow",
        listener(
            tcp(weighted_clusters={"clusters": [{"name": "c", "weight": 4294967295}, {"name": "c", "weight": 2}]})
        ),
    ),
    Case(
        "TCP proxy: idle neg",
        listener(tcp(cluster="c", idle_timeout="-1s")),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case("TCP proxy: max dur", listener(tcp(cluster="c", max_downstream_connection_duration="1s"))),
    Case(
        "TCP proxy: max dur 0",
        listener(tcp(cluster="c", max_downstream_connection_duration="0s")),
        "TcpProxyValidationError.MaxDownstreamConnectionDuration: value must be greater than or equal to 1ms",
    ),
    Case("TCP proxy: tunneling", listener(tcp(cluster="c", tunneling_config={"hostname": "a:1"}))),
    Case("TCP proxy: hash", listener(tcp(cluster="c", hash_policy=[{"source_ip": {}}]))),
    Case(
        "TCP proxy: hash 2",
        listener(tcp(cluster="c", hash_policy=[{"source_ip": {}}, {"source_ip": {}}])),
        "TcpProxyValidationError.HashPolicy: value must contain no more than 1 item(s)",
    ),
    Case(
        "TCP proxy: metadata", listener(tcp(cluster="c", metadata_match={"filter_metadata": {"envoy.lb": {"a": "b"}}}))
    ),
    Case(
        "network filter: unknown",
        listener(UNKNOWN),
        "Didn't find a registered implementation for 'x' with type URL: 'google.protobuf.Empty'",
    ),
    Case(
        "network filter: empty",
        listener({"name": "x"}),
        "Didn't find a registered implementation for 'x' with type URL: ''",
    ),
    Case(
        "network filter: no name",
        listener({**manager(), "name": ""}),
        "FilterValidationError.Name: value length must be at least 1 characters",
    ),
    Case(
        "network filter: two hcm",
        listener(manager(), manager()),
        "Error: terminal filter named hcm of type envoy.filters.network.http_connection_manager must be the last filter in a network filter chain.",
    ),
    Case(
        "network filter: tcp then hcm",
        listener(tcp(cluster="c"), manager()),
        "Error: terminal filter named t of type envoy.filters.network.tcp_proxy must be the last filter in a network filter chain.",
    ),
    Case(
        "network filter: filter not terminal",
        listener(extension("envoy.extensions.filters.network.rbac.v3.RBAC", "r", stat_prefix="s")),
        "Error: non-terminal filter named r of type envoy.filters.network.rbac is the last filter in a network filter chain.",
    ),
    Case("network filter: none", listener(filter_chains=[{"filters": []}])),
    Case("listener: no chains", listener(filter_chains=[]), "no filter chains specified"),
    Case("listener: only default", listener(filter_chains=[], default_filter_chain={"filters": [manager()]})),
    Case("listener: no address", {"name": "l", "filter_chains": [{"filters": [manager()]}]}, "address is necessary"),
    Case("listener: no name", listener(name="")),
    Case(
        "listener: dup chains",
        listener(filter_chains=[{"filters": [manager()]}, {"filters": [manager()]}]),
        "filter chain '' has the same matching rules defined as ''. duplicate matcher is: {}",
    ),
    Case(
        "listener: dup chain names",
        listener(
            filter_chains=[
                {"name": "a", "filters": [manager()], "filter_chain_match": {"destination_port": 1}},
                {"name": "a", "filters": [manager()], "filter_chain_match": {"destination_port": 2}},
            ]
        ),
    ),
    Case(
        "listener: two same match named",
        listener(
            filter_chains=[
                {"name": "a", "filters": [manager()], "filter_chain_match": {"destination_port": 1}},
                {"name": "b", "filters": [manager()], "filter_chain_match": {"destination_port": 1}},
            ]
        ),
        "filter chain 'b' has the same matching rules defined as 'a'. duplicate matcher is: {\"destination_port\":1}",
    ),
    Case(
        "chain match: port 0",
        chain_match(destination_port=0),
        "FilterChainMatchValidationError.DestinationPort: value must be inside range [1, 65535]",
    ),
    Case(
        "chain match: port 70000",
        chain_match(destination_port=70000),
        "FilterChainMatchValidationError.DestinationPort: value must be inside range [1, 65535]",
    ),
    Case(
        "chain match: prefix bad",
        chain_match(prefix_ranges=[{"address_prefix": "nope", "prefix_len": 8}]),
        "malformed IP address: nope",
    ),
    Case("chain match: prefix len 33", chain_match(prefix_ranges=[{"address_prefix": "10.0.0.0", "prefix_len": 33}])),
    Case("chain match: prefix len none", chain_match(prefix_ranges=[{"address_prefix": "10.0.0.0"}])),
    Case("chain match: prefix host bits", chain_match(prefix_ranges=[{"address_prefix": "10.1.2.3", "prefix_len": 8}])),
    Case(
        "chain match: prefix v6 129",
        chain_match(prefix_ranges=[{"address_prefix": "::1", "prefix_len": 129}]),
        "CidrRangeValidationError.PrefixLen: value must be less than or equal to 128",
    ),
    Case(
        "chain match: sni wildcard mid",
        chain_match(server_names=["a.*.b"]),
        'partial wildcards are not supported in "server_names"',
    ),
    Case(
        "chain match: sni *", chain_match(server_names=["*"]), 'partial wildcards are not supported in "server_names"'
    ),
    Case("chain match: sni *.a", chain_match(server_names=["*.a"])),
    Case(
        "chain match: sni w*.a",
        chain_match(server_names=["w*.a"]),
        'partial wildcards are not supported in "server_names"',
    ),
    Case("chain match: sni upper", chain_match(server_names=["A.b"])),
    Case("chain match: sni empty", chain_match(server_names=[""])),
    Case("chain match: sni dot", chain_match(server_names=[".a"])),
    Case(
        "chain match: source type bad",
        chain_match(source_type=9),
        "FilterChainMatchValidationError.SourceType: value must be one of the defined enum values",
    ),
    Case(
        "chain match: source port 0",
        chain_match(source_ports=[0]),
        "FilterChainMatchValidationError.SourcePorts[0]: value must be inside range [1, 65535]",
    ),
    Case(
        "chain match: source port 65536",
        chain_match(source_ports=[65536]),
        "FilterChainMatchValidationError.SourcePorts[0]: value must be inside range [1, 65535]",
    ),
    Case(
        "chain match: address_suffix", chain_match(address_suffix="a"), "filter chain '' contains unimplemented fields"
    ),
    Case("chain match: suffix_len", chain_match(suffix_len=4), "filter chain '' contains unimplemented fields"),
    Case(
        "chain match: same twice in range",
        chain_match(
            prefix_ranges=[
                {"address_prefix": "10.0.0.0", "prefix_len": 8},
                {"address_prefix": "10.1.0.0", "prefix_len": 8},
            ]
        ),
        "multiple filter chains with overlapping matching rules are defined",
    ),
    Case(
        "listener: fcm matcher",
        listener(
            filter_chain_matcher={
                "matcher_tree": {
                    "input": extension("envoy.extensions.matching.common_inputs.network.v3.DestinationPortInput", "p"),
                    "exact_match_map": {
                        "map": {"80": {"action": extension("google.protobuf.StringValue", "foo", value="foo")}}
                    },
                }
            },
            filter_chains=[{"name": "foo", "filters": [manager()]}],
        ),
    ),
    Case(
        "listener: lf unknown",
        listener(listener_filters=[UNKNOWN]),
        "Didn't find a registered implementation for 'x' with type URL: 'google.protobuf.Empty'",
    ),
    Case(
        "listener: lf empty",
        listener(listener_filters=[{"name": "envoy.filters.listener.tls_inspector"}]),
        "Didn't find a registered implementation for 'envoy.filters.listener.tls_inspector' with type URL: ''",
    ),
    Case(
        "listener: lf tls",
        listener(listener_filters=[extension("envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector", "a")]),
    ),
    Case(
        "listener: original_src",
        listener(listener_filters=[extension("envoy.extensions.filters.listener.original_src.v3.OriginalSrc", "a")]),
    ),
    Case(
        "listener: udp",
        listener(address={"socket_address": {"protocol": "UDP", "address": "127.0.0.1", "port_value": 0}}),
        "1 filter chain(s) specified for connection-less UDP listener.",
    ),
    Case(
        "listener: addr name",
        listener(address={"socket_address": {"address": "localhost", "port_value": 0}}),
        "malformed IP address: localhost",
    ),
    Case("listener: addr none", listener(address={}), 'field: "address", reason: is required'),
    Case(
        "listener: port missing",
        listener(address={"socket_address": {"address": "127.0.0.1"}}),
        'field: "port_specifier", reason: is required',
    ),
    Case(
        "listener: port 70000",
        listener(address={"socket_address": {"address": "127.0.0.1", "port_value": 70000}}),
        "SocketAddressValidationError.PortValue: value must be less than or equal to 65535",
    ),
    Case(
        "listener: internal",
        listener(address={"envoy_internal_address": {"server_listener_name": "x"}}, internal_listener={}),
        "address should not be used when an internal listener config is provided",
    ),
    Case("listener: direction bad", listener(traffic_direction=9)),
    Case(
        "listener: transport unknown",
        listener(filter_chains=[{"filters": [manager()], "transport_socket": UNKNOWN}]),
        "Didn't find a registered implementation for 'x' with type URL: 'google.protobuf.Empty'",
    ),
    Case(
        "listener: transport tls no cert",
        listener(
            filter_chains=[
                {
                    "filters": [manager()],
                    "transport_socket": extension(
                        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", "tls"
                    ),
                }
            ]
        ),
        "No TLS certificates found for server context",
    ),
    Case("listener: drain bad", listener(drain_type=9)),
    Case(
        "listener: api_listener",
        {"name": "l", "api_listener": {"api_listener": manager()["typed_config"]}},
        "missing the API listener extension",
        differs="a gRPC client takes it, a sidecar's Envoy does not",
    ),
    Case(
        "listener: api_listener+chains",
        listener(api_listener={"api_listener": manager()["typed_config"]}),
        "missing the API listener extension",
        differs="a gRPC client takes it, a sidecar's Envoy does not",
    ),
    Case(
        "listener: timeouts neg",
        listener(listener_filters_timeout="-1s"),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case("listener: use_proxy_proto", listener(filter_chains=[{"filters": [manager()], "use_proxy_proto": True}])),
    Case(
        "listener: fc transport timeout",
        listener(filter_chains=[{"filters": [manager()], "transport_socket_connect_timeout": "0s"}]),
    ),
]
