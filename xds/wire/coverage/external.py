"""Coverage of external authorization (envoy.extensions.filters.http.ext_authz.v3)."""

from __future__ import annotations

from collections.abc import Mapping

from ..decode.inert import NOT_DONE
from .status import Entry, honoured, meaningless, not_yet

EXT = "envoy.extensions.filters.http.ext_authz.v3."

CLOSED = f"{NOT_DONE}; the filter's chain is closed"
STATISTICS = "metrics have names of their own"
ASKED_ONCE = "services are asked once"

SERVICE = {**honoured("envoy_grpc initial_metadata timeout"), **not_yet(ASKED_ONCE, "retry_policy")}
GRPC: Entry = {**SERVICE, **not_yet(CLOSED, "google_grpc")}

EXTERNAL: Mapping[str, Entry] = {
    EXT + "ExtAuthz": {
        **honoured(
            "grpc_service http_service failure_mode_allow failure_mode_allow_header_add with_request_body "
            "clear_route_cache status_on_error validate_mutations metadata_context_namespaces "
            "route_metadata_context_namespaces filter_enabled filter_enabled_metadata deny_at_disable "
            "include_peer_certificate allowed_headers disallowed_headers include_tls_session encode_raw_headers "
            "enable_dynamic_metadata_ingestion max_denied_response_body_bytes"
        ),
        **meaningless("only version 3 is spoken", "transport_api_version"),
        **meaningless(STATISTICS, "stat_prefix charge_cluster_response_stats"),
        **meaningless("nothing looks at filter state", "filter_metadata emit_filter_state_stats"),
        **not_yet(
            "metadata has no types here", "typed_metadata_context_namespaces route_typed_metadata_context_namespaces"
        ),
        **not_yet("services are not told of labels", "bootstrap_metadata_labels_key"),
        **not_yet("responses may have any number of headers", "enforce_response_header_limits"),
        **not_yet(CLOSED, "decoder_header_mutation_rules shadow_mode"),
    },
    EXT + "ExtAuthz.grpc_service": GRPC,
    EXT + "ExtAuthz.filter_enabled_metadata": honoured("filter path value invert"),
    EXT + "ExtAuthz.deny_at_disable": {
        **honoured("default_value"),
        **meaningless("there is no runtime to read it from", "runtime_key"),
    },
    EXT + "CheckSettings.grpc_service": GRPC,
    EXT + "BufferSettings": honoured("max_request_bytes allow_partial_message pack_as_bytes"),
    EXT + "CheckSettings.with_request_body": {
        **honoured("max_request_bytes allow_partial_message"),
        **meaningless("Envoy does not look at it either", "pack_as_bytes"),
    },
    EXT + "HttpService": {
        **honoured("server_uri path_prefix path_override authorization_request authorization_response"),
        **not_yet(ASKED_ONCE, "retry_policy"),
    },
    EXT + "HttpService.server_uri": {
        **honoured("cluster timeout"),
        **meaningless("the cluster says where the service is", "uri"),
    },
    EXT + "AuthorizationRequest": honoured("allowed_headers headers_to_add"),
    EXT + "AuthorizationResponse": honoured(
        "allowed_upstream_headers allowed_upstream_headers_to_append allowed_client_headers "
        "allowed_client_headers_on_success dynamic_metadata_from_headers"
    ),
    "envoy.type.matcher.v3.ListStringMatcher": honoured("patterns"),
    EXT + "ExtAuthzPerRoute": honoured("disabled check_settings"),
    EXT + "CheckSettings": honoured(
        "context_extensions disable_request_body_buffering with_request_body grpc_service http_service"
    ),
}
