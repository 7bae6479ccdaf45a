"""Coverage of listeners, connection managers and TCP proxies. A table, longer than a module should be."""

from __future__ import annotations

from collections.abc import Mapping

from .conditions import (
    effective_filter,
    effective_network_filter,
    not_plaintext,
    not_websocket,
    switched_off,
)
from .status import Entry, all_of, honoured, meaningless, none_of, not_yet, told_as_a_whole

LISTENER = "envoy.config.listener.v3."
MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3."
TCP_PROXY = "envoy.extensions.filters.network.tcp_proxy.v3."
LISTENER_FILTER = "envoy.extensions.filters.listener."

NO_SOCKET = "no socket is opened for a listener"
LIBRARY = "connections belong to the program's own library or server"
METRICS = "metrics have names of their own"
AT_THE_END = "a line is written when all is over"
SOCKET = "envoy.extensions.transport_sockets."
SESSIONS = (
    "session_ticket_keys session_ticket_keys_sds_secret_config session_timeout "
    "disable_stateless_session_resumption disable_stateful_session_resumption"
)


LISTENERS: Mapping[str, Entry] = {
    LISTENER + "Listener": {
        **honoured("name filter_chains default_filter_chain api_listener filter_chain_matcher"),
        **meaningless("listeners are found by their name, which says the address", "address traffic_direction"),
        **meaningless(
            NO_SOCKET,
            "per_connection_buffer_high_watermark_timeout deprecated_v1 drain_type "
            "transparent freebind socket_options tcp_fast_open_queue_length udp_listener_config "
            "connection_balance_config reuse_port enable_reuse_port tcp_backlog_size "
            "max_connections_to_accept_per_socket_event bind_to_port enable_mptcp ignore_global_conn_limit "
            "bypass_overload_manager tcp_keepalive",
        ),
        **meaningless("connections are dialled, not intercepted", "use_original_dst"),
        **honoured("listener_filters_timeout continue_on_listener_filters_timeout"),
        **meaningless(METRICS, "stat_prefix"),
        **meaningless("nothing that is done looks at it", "metadata"),
        **honoured("listener_filters per_connection_buffer_limit_bytes"),
        **not_yet("only the first address is looked at", "additional_addresses"),
        **not_yet("filter chains are not asked for one by one", "fcds_config"),
        **meaningless("it is about connections that no chain takes: whoever makes one here is told", "access_log"),
        **not_yet("internal listeners are not implemented yet", "internal_listener"),
    },
    LISTENER + "ApiListener": honoured("api_listener"),
    LISTENER + "ListenerFilter": {
        **meaningless("the type decides, as in Envoy", "name"),
        **meaningless("nothing has to be read to know what is spoken", "filter_disabled"),
        **honoured("typed_config"),
        **not_yet("listener filters are not asked for", "config_discovery"),
    },
    LISTENER_FILTER + "http_inspector.v3.HttpInspector": none_of("nothing has to be read to know what is spoken"),
    LISTENER_FILTER + "tls_inspector.v3.TlsInspector": none_of("nothing has to be read to know what is spoken"),
    LISTENER_FILTER + "original_dst.v3.OriginalDst": none_of("connections are dialled, not intercepted"),
    LISTENER_FILTER + "original_src.v3.OriginalSrc": none_of("the program's own address is the source"),
    LISTENER_FILTER + "proxy_protocol.v3.ProxyProtocol": all_of("the PROXY protocol is not read yet"),
    LISTENER_FILTER + "set_filter_state.v3.Config": all_of("there is no filter state yet"),
    LISTENER + "FilterChain": {
        **honoured("name filter_chain_match filters"),
        **honoured("transport_socket_connect_timeout"),
        **meaningless("nothing that is done looks at it", "metadata"),
        **not_yet("the PROXY protocol is not read yet", "use_proxy_proto"),
        **honoured("transport_socket", not_plaintext),
    },
    SOCKET + "tls.v3.DownstreamTlsContext": {
        **honoured("require_client_certificate"),
        **honoured("common_tls_context"),
        **meaningless("a context is made anew for new certificates, and with it the keys of its sessions", SESSIONS),
        **meaningless("the order of the context's ciphers decides", "prefer_client_ciphers"),
        **meaningless("there is one certificate", "full_scan_certs_on_sni_mismatch"),
        **meaningless("Envoy does not look at it", "require_sni"),
        **not_yet("OCSP responses are not stapled: who must staple refuses connections", "ocsp_staple_policy"),
    },
    SOCKET + "tls.v3.CommonTlsContext": told_as_a_whole(
        "FilterChain.transport_socket", "what is not understood of it closes its chain, which then says so"
    ),
    LISTENER + "FilterChainMatch": {
        **honoured(
            "destination_port prefix_ranges direct_source_prefix_ranges source_type source_prefix_ranges source_ports "
            "server_names transport_protocol application_protocols address_suffix suffix_len"
        ),
    },
    LISTENER + "Filter": {
        **honoured("name"),
        **honoured("typed_config", effective_network_filter),
        **not_yet("network filters are not asked for: the chain refuses connections", "config_discovery"),
    },
    MANAGER + "HttpConnectionManager": {
        **honoured(
            "rds route_config http_filters tracing normalize_path merge_slashes path_with_escaped_slashes_action "
            "upgrade_configs common_http_protocol_options http_protocol_options max_request_headers_kb "
            "use_remote_address skip_xff_append "
            "xff_num_trusted_hops add_user_agent via internal_address_config generate_request_id "
            "preserve_external_request_id always_set_request_id_in_response strip_matching_host_port "
            "strip_any_host_port strip_trailing_host_dot scheme_header_transformation forward_proto_config "
            "append_x_forwarded_port"
        ),
        **meaningless(METRICS, "stat_prefix"),
        **meaningless(
            LIBRARY,
            "codec_type http1_safe_max_connection_duration http2_protocol_options "
            "http3_protocol_options drain_timeout drain_timeout_jitter delayed_close_timeout stream_flush_timeout "
            "request_headers_timeout proxy_100_continue stream_error_on_invalid_http_message "
            "append_local_overload",
        ),
        **meaningless("no proxy stands between the program and its answer", "server_name server_header_transformation"),
        **meaningless(
            "there is no connection whose address could be spelled",
            "represent_ipv4_remote_address_as_ipv4_mapped_ipv6 add_proxy_protocol_connection_state",
        ),
        **honoured("request_id_extension"),
        **not_yet("scoped routes are not implemented yet: the chain refuses connections", "scoped_routes"),
        **honoured("stream_idle_timeout request_timeout"),
        **honoured("access_log"),
        **not_yet(AT_THE_END, "access_log_flush_interval flush_access_log_on_new_request access_log_options"),
        **not_yet("the client's address is the peer's", "original_ip_detection_extensions"),
        **not_yet("headers are not changed before routing yet", "early_header_mutation_extensions"),
        **honoured("forward_client_cert_details set_current_client_cert_details"),
        **not_yet("what is said of a client's certificate is the same for all requests", "forward_client_cert_matcher"),
        **honoured("local_reply_config"),
        **not_yet("transformations of the path are not implemented yet", "path_normalization_options"),
        **not_yet("proxy-status is not sent yet", "proxy_status_config"),
        **not_yet("header validators are not implemented yet", "typed_header_validation_config"),
    },
    MANAGER + "HttpConnectionManager.SetCurrentClientCertDetails": {
        **honoured("subject cert chain dns uri"),
        **not_yet("a certificate is told of in the form that Envoy has by default", "format"),
    },
    MANAGER + "HttpConnectionManager.InternalAddressConfig": {
        **honoured("cidr_ranges"),
        **meaningless("no program is asked through a Unix socket that a listener opened", "unix_sockets"),
    },
    MANAGER + "ForwardProtoConfig": {
        **honoured("https_destination_ports"),
        **meaningless("connections to the mesh are plaintext: http is what is said anyhow", "http_destination_ports"),
    },
    MANAGER + "HttpConnectionManager.http_protocol_options": {
        **honoured("header_key_format"),
        **meaningless(
            LIBRARY,
            "allow_absolute_url accept_http_10 default_host_for_http_10 enable_trailers allow_chunked_length "
            "override_stream_error_on_invalid_http_message send_fully_qualified_url use_balsa_parser "
            "allow_custom_methods ignore_http_11_upgrade",
        ),
    },
    MANAGER + "HttpConnectionManager.common_http_protocol_options": {
        **honoured("max_headers_count headers_with_underscores_action"),
        **meaningless(
            LIBRARY, "idle_timeout max_connection_duration max_connection_duration_jitter max_requests_per_connection"
        ),
        **honoured("max_response_headers_kb max_stream_duration"),
    },
    MANAGER + "Rds": honoured("config_source route_config_name"),
    MANAGER + "HttpFilter": {
        **honoured("name config_discovery is_optional disabled"),
        **honoured("typed_config", effective_filter),
    },
    MANAGER + "HttpConnectionManager.UpgradeConfig": {
        **not_yet("only websockets may pass", "upgrade_type", not_websocket),
        **not_yet("filters of upgrades are those of the manager", "filters"),
        **not_yet("websockets always pass", "enabled", switched_off),
    },
    "envoy.config.core.v3.BackoffStrategy": honoured("base_interval max_interval"),
    "envoy.type.v3.HashPolicy": {
        **honoured("source_ip"),
        **not_yet("nothing writes filter state yet", "filter_state"),
    },
    "envoy.type.v3.HashPolicy.SourceIp": {},
    TCP_PROXY + "TcpProxy.WeightedCluster": honoured("clusters"),
    TCP_PROXY + "TcpProxy.WeightedCluster.ClusterWeight": {
        **honoured("name weight metadata_match"),
    },
    TCP_PROXY + "TcpProxy": {
        **honoured("cluster"),
        **meaningless(METRICS, "stat_prefix"),
        **meaningless(
            LIBRARY,
            "on_demand upstream_connect_mode max_early_data_bytes check_drain_close proxy_protocol_tlvs "
            "proxy_protocol_tlv_merge_policy",
        ),
        **honoured("weighted_clusters"),
        **honoured(
            "metadata_match idle_timeout max_connect_attempts backoff_options hash_policy "
            "max_downstream_connection_duration max_downstream_connection_duration_jitter_percentage"
        ),
        **meaningless("Envoy does not look at it either", "downstream_idle_timeout upstream_idle_timeout"),
        **honoured("access_log"),
        **not_yet(AT_THE_END, "access_log_flush_interval flush_access_log_on_connected access_log_options"),
        **not_yet("tunnels are not implemented yet: the chain refuses connections", "tunneling_config"),
    },
}
