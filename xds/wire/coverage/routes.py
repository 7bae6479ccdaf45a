"""Coverage of routes (envoy.config.route.v3). A table, longer than a module should be."""

from __future__ import annotations

from collections.abc import Mapping

from .common import CORS_POLICY, NO_RUNTIME
from .conditions import formatted
from .status import Entry, honoured, meaningless, not_yet, told

ROUTE = "envoy.config.route.v3."
REDIRECT = "envoy.extensions.internal_redirect."

STATISTICS = "metrics have names of their own"
ANSWERS = "is not implemented yet: the route answers 503"
MATCHES_NOTHING = "is not implemented yet: the route matches nothing"
LEVEL = "request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove"


ROUTES: Mapping[str, Entry] = {
    ROUTE + "RouteConfiguration": {
        **honoured(
            f"name virtual_hosts {LEVEL} most_specific_header_mutations_wins max_direct_response_body_size_bytes "
            "ignore_port_in_host_matching typed_per_filter_config internal_only_headers vhost_header "
            "ignore_path_parameters_in_path_matching request_mirror_policies"
        ),
        **meaningless("nothing that is done looks at it", "metadata"),
        **told("RouteAction.cluster_specifier_plugin", "cluster specifiers", "cluster_specifier_plugins"),
        **not_yet("virtual hosts are not asked for on demand", "vhds"),
        **not_yet("a route to a cluster that is missing is not refused: it answers 503 NC", "validate_clusters"),
    },
    ROUTE + "VirtualHost": {
        **honoured(
            f"name domains routes rate_limits {LEVEL} typed_per_filter_config include_request_attempt_count "
            "retry_policy cors metadata request_mirror_policies require_tls include_attempt_count_in_response matcher "
            "include_is_timeout_retry_header"
        ),
        **meaningless(STATISTICS, "virtual_clusters"),
        **not_yet("retry policies by extension are not implemented yet", "retry_policy_typed_config"),
        **honoured("hedge_policy"),
        **honoured("per_request_buffer_limit_bytes request_body_buffer_limit"),
    },
    ROUTE + "CorsPolicy": CORS_POLICY,
    ROUTE + "FilterConfig": honoured("config is_optional disabled"),
    ROUTE + "Route": {
        **honoured(
            "name match route redirect direct_response non_forwarding_action decorator tracing typed_per_filter_config "
            "metadata " + LEVEL
        ),
        **meaningless(STATISTICS, "stat_prefix"),
        **not_yet(f"filter_action {ANSWERS}", "filter_action"),
        **honoured("per_request_buffer_limit_bytes request_body_buffer_limit"),
    },
    ROUTE + "Decorator": honoured("operation propagate"),
    ROUTE + "NonForwardingAction": {},
    ROUTE + "RouteMatch": {
        **honoured(
            "prefix path safe_regex path_separated_prefix connect_matcher case_sensitive runtime_fraction headers "
            "query_parameters grpc "
            "path_match_policy cookies tls_context dynamic_metadata"
        ),
        **not_yet(f"filter_state {MATCHES_NOTHING}", "filter_state"),
    },
    "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig": honoured("path_template"),
    "envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig": honoured("path_template_rewrite"),
    ROUTE + "RouteMatch.ConnectMatcher": {},
    ROUTE + "RouteMatch.GrpcRouteMatchOptions": {},
    ROUTE + "HeaderMatcher": honoured(
        "name exact_match safe_regex_match range_match present_match prefix_match suffix_match contains_match "
        "string_match invert_match treat_missing_header_as_empty"
    ),
    ROUTE + "CookieMatcher": honoured("name string_match invert_match"),
    ROUTE + "RouteMatch.TlsContextMatchOptions": honoured("presented validated"),
    ROUTE + "QueryParameterMatcher": honoured("name string_match present_match"),
    ROUTE + "RouteAction": {
        **honoured(
            "cluster cluster_header weighted_clusters cluster_not_found_response_code prefix_rewrite regex_rewrite "
            "host_rewrite_literal host_rewrite_header host_rewrite_path_regex timeout retry_policy priority "
            "rate_limits include_vh_rate_limits max_grpc_timeout grpc_timeout_offset max_stream_duration hash_policy "
            "cors metadata_match path_rewrite path_rewrite_policy host_rewrite auto_host_rewrite "
            "append_x_forwarded_host request_mirror_policies"
        ),
        **meaningless("nothing is sent before the handshake is done", "early_data_policy"),
        **not_yet(f"cluster specifiers {ANSWERS}", "cluster_specifier_plugin inline_cluster_specifier_plugin"),
        **honoured("idle_timeout"),
        **meaningless("what has come is the program's: nothing is flushed", "flush_timeout"),
        **not_yet("retry policies by extension are not implemented yet", "retry_policy_typed_config"),
        **not_yet("upgrades are not looked at route by route yet", "upgrade_configs"),
        **honoured("internal_redirect_policy internal_redirect_action max_internal_redirects"),
        **honoured("hedge_policy"),
    },
    ROUTE + "RouteAction.HashPolicy": {
        **honoured("header cookie connection_properties query_parameter terminal"),
        **meaningless("no filter here leaves an object that could be hashed", "filter_state"),
    },
    ROUTE + "RouteAction.HashPolicy.Header": honoured("header_name regex_rewrite"),
    ROUTE + "RouteAction.HashPolicy.Cookie": honoured("name ttl path attributes"),
    ROUTE + "RouteAction.HashPolicy.CookieAttribute": honoured("name value"),
    ROUTE + "RouteAction.HashPolicy.ConnectionProperties": honoured("source_ip"),
    ROUTE + "RouteAction.HashPolicy.QueryParameter": honoured("name"),
    ROUTE + "RouteAction.RequestMirrorPolicy": {
        **honoured(
            "cluster cluster_header runtime_fraction disable_shadow_host_suffix_append request_headers_mutations "
            "host_rewrite_literal"
        ),
        **meaningless("nothing is traced", "trace_sampled"),
    },
    ROUTE + "HedgePolicy": {
        **honoured("hedge_on_per_try_timeout"),
        **meaningless("Envoy does not look at it either", "initial_requests additional_request_chance"),
    },
    ROUTE + "InternalRedirectPolicy": honoured(
        "max_internal_redirects redirect_response_codes predicates allow_cross_scheme_redirect response_headers_to_copy"
    ),
    REDIRECT + "allow_listed_routes.v3.AllowListedRoutesConfig": honoured("allowed_route_names"),
    REDIRECT + "previous_routes.v3.PreviousRoutesConfig": {},
    REDIRECT + "safe_cross_scheme.v3.SafeCrossSchemeConfig": {},
    ROUTE + "RouteAction.MaxStreamDuration": honoured(
        "max_stream_duration grpc_timeout_header_max grpc_timeout_header_offset"
    ),
    ROUTE + "WeightedCluster": {
        **honoured("clusters header_name use_hash_policy"),
        **meaningless("Envoy does not look at it either: the sum of the weights counts", "total_weight"),
        **meaningless(NO_RUNTIME, "runtime_key_prefix"),
    },
    ROUTE + "WeightedCluster.ClusterWeight": {
        **honoured(f"name cluster_header weight {LEVEL} typed_per_filter_config host_rewrite_literal metadata_match"),
    },
    ROUTE + "RetryPolicy": {
        **honoured(
            "retry_on num_retries per_try_timeout retry_host_predicate host_selection_retry_max_attempts "
            "retriable_status_codes retry_back_off retriable_headers retriable_request_headers "
            "rate_limited_retry_back_off per_try_idle_timeout"
        ),
        **honoured("retry_options_predicates retry_priority"),
        **not_yet("a retry goes to the same cluster", "refresh_cluster_on_retry"),
    },
    ROUTE + "RetryPolicy.RateLimitedRetryBackOff": honoured("reset_headers max_interval"),
    ROUTE + "RetryPolicy.ResetHeader": honoured("name format"),
    ROUTE + "RetryPolicy.RetryPriority": {
        **meaningless("the type decides, as in Envoy", "name"),
        **honoured("typed_config"),
    },
    "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig": honoured("update_frequency"),
    ROUTE + "RetryPolicy.RetryHostPredicate": {
        **meaningless("the type decides, as in Envoy", "name"),
        **honoured("typed_config"),
    },
    "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate": {},
    "envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate": {},
    "envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig": honoured("metadata_match"),
    ROUTE + "RetryPolicy.RetryBackOff": honoured("base_interval max_interval"),
    ROUTE + "RedirectAction": {
        **honoured(
            "https_redirect scheme_redirect host_redirect port_redirect path_redirect prefix_rewrite regex_rewrite "
            "response_code strip_query path_rewrite"
        ),
    },
    ROUTE + "DirectResponseAction": {
        **honoured("status body body_format"),
    },
    ROUTE + "RateLimit": {
        **honoured("stage disable_key actions hits_addend apply_on_stream_done x_ratelimit_option"),
        **not_yet("limits of single descriptors are not overridden yet", "limit"),
    },
    ROUTE + "RateLimit.Action": {
        **honoured(
            "request_headers query_parameters remote_address generic_key header_value_match masked_remote_address "
            "query_parameter_value_match source_cluster destination_cluster dynamic_metadata metadata "
            "remote_address_match"
        ),
        **not_yet("this action is not implemented yet: no descriptor is made", "extension"),
    },
    ROUTE + "RateLimit.Action.RemoteAddressMatch": {
        **honoured("address_matcher descriptor_key"),
        **not_yet("formats are not filled in yet: no descriptor is made", "descriptor_value", formatted),
        **told("RateLimit.Action.RemoteAddressMatch.descriptor_value", "for an empty format", "default_value"),
    },
    "envoy.type.matcher.v3.AddressMatcher": honoured("ranges invert_match"),
    ROUTE + "RateLimit.HitsAddend": {
        **honoured("number is_negative_hits"),
        **not_yet("hits are not formatted yet", "format"),
    },
    ROUTE + "RateLimit.Action.SourceCluster": {},
    ROUTE + "RateLimit.Action.DestinationCluster": {},
    ROUTE + "RateLimit.Action.MetaData": honoured("descriptor_key metadata_key default_value source skip_if_absent"),
    ROUTE + "RateLimit.Action.DynamicMetaData": {
        **honoured("descriptor_key default_value"),
        **meaningless("no filter makes any", "metadata_key"),
    },
    ROUTE + "RateLimit.Action.RequestHeaders": honoured("header_name descriptor_key skip_if_absent"),
    ROUTE + "RateLimit.Action.QueryParameters": honoured("query_parameter_name descriptor_key skip_if_absent"),
    ROUTE + "RateLimit.Action.RemoteAddress": {},
    ROUTE + "RateLimit.Action.MaskedRemoteAddress": honoured("v4_prefix_mask_len v6_prefix_mask_len"),
    ROUTE + "RateLimit.Action.GenericKey": {
        **honoured("descriptor_value descriptor_key"),
        **meaningless("values are taken as they are written, unless a runtime flag says otherwise", "default_value"),
    },
    ROUTE + "RateLimit.Action.HeaderValueMatch": {
        **honoured("descriptor_value descriptor_key expect_match headers"),
        **meaningless("values are taken as they are written, unless a runtime flag says otherwise", "default_value"),
    },
    ROUTE + "RateLimit.Action.QueryParameterValueMatch": {
        **honoured("descriptor_value descriptor_key expect_match query_parameters"),
        **meaningless("values are taken as they are written, unless a runtime flag says otherwise", "default_value"),
    },
}
