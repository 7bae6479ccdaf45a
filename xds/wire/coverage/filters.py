"""Coverage of HTTP and network filters, of the chain and of routes."""

from __future__ import annotations

from collections.abc import Mapping

from ..decode.extensions import HTTP_FILTERS, NETWORK_FILTERS
from ..decode.inert import INERT_TYPES, NOT_DONE
from .common import CORS_POLICY
from .conditions import injects, not_the_codec
from .status import Entry, all_of, honoured, meaningless, none_of, not_yet

HTTP = "envoy.extensions.filters.http."

ADMISSION = HTTP + "admission_control.v3.AdmissionControl"
JWT = HTTP + "jwt_authn.v3."
MUTATION = HTTP + "header_mutation.v3."
ADAPTIVE = HTTP + "adaptive_concurrency.v3."

STATISTICS = "metrics have names of their own"
RUNTIME = "there is no runtime to read it from"
OBSERVES = "it observes or exchanges what has no meaning inside a process"
CLOSED = f"{NOT_DONE}; its chain answers 503 unless the filter is optional or allowed"
CLOSED_FOR_THIS = f"{NOT_DONE}; its chain answers 503 unless the filter is allowed"


DONE: Mapping[str, Entry] = {
    "envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy": {
        **meaningless(STATISTICS, "stat_prefix commands emit_dynamic_metadata"),
        **meaningless("nothing is read of what passes", "max_bson_depth"),
        **not_yet("access logs are not written yet", "access_log"),
        **not_yet(f"{NOT_DONE}; its chain refuses connections", "delay"),
    },
    ADMISSION: honoured(
        "enabled success_criteria sampling_window aggression sr_threshold rps_threshold max_rejection_probability"
    ),
    ADMISSION + ".SuccessCriteria": honoured("http_criteria grpc_criteria"),
    ADMISSION + ".SuccessCriteria.HttpCriteria": honoured("http_success_status"),
    ADMISSION + ".SuccessCriteria.GrpcCriteria": honoured("grpc_success_status"),
    ADAPTIVE + "AdaptiveConcurrency": honoured("gradient_controller_config enabled concurrency_limit_exceeded_status"),
    ADAPTIVE + "GradientControllerConfig": honoured(
        "sample_aggregate_percentile concurrency_limit_params min_rtt_calc_params"
    ),
    ADAPTIVE + "GradientControllerConfig.ConcurrencyLimitCalculationParams": honoured(
        "max_concurrency_limit concurrency_update_interval"
    ),
    ADAPTIVE + "GradientControllerConfig.MinimumRTTCalculationParams": honoured(
        "interval fixed_value request_count jitter min_concurrency buffer"
    ),
    JWT + "JwtAuthentication": {
        **honoured("providers rules bypass_cors_preflight requirement_map strip_failure_response"),
        **meaningless(STATISTICS, "stat_prefix"),
        **not_yet(CLOSED_FOR_THIS, "filter_state_rules"),
    },
    JWT + "JwtProvider": {
        **honoured(
            "issuer audiences subjects require_expiration max_lifetime local_jwks remote_jwks forward from_headers "
            "from_params from_cookies forward_payload_header pad_forward_payload_header payload_in_metadata "
            "normalize_payload_in_metadata header_in_metadata failed_status_in_metadata clock_skew_seconds "
            "claim_to_headers"
        ),
        **meaningless("what was verified is remembered anyhow, until the keys change", "jwt_cache_config"),
        **not_yet("the route stays the one that was found first", "clear_route_cache"),
    },
    JWT + "JwtProvider.NormalizePayload": honoured("space_delimited_claims"),
    JWT + "JwtHeader": honoured("name value_prefix"),
    JWT + "JwtClaimToHeader": honoured("header_name claim_name"),
    JWT + "RemoteJwks": honoured("http_uri cache_duration async_fetch retry_policy"),
    JWT + "JwksAsyncFetch": {
        **honoured("failed_refetch_duration"),
        **meaningless("a chain never waits for keys: a request that needs them does", "fast_listener"),
    },
    JWT + "RequirementRule": honoured("match requires requirement_name"),
    JWT + "RequirementRule.match": {
        **honoured(
            "prefix path safe_regex path_separated_prefix path_match_policy connect_matcher case_sensitive headers "
            "query_parameters"
        ),
        **meaningless(
            "Envoy does not look at it here either",
            "runtime_fraction grpc tls_context dynamic_metadata cookies filter_state",
        ),
    },
    "envoy.config.core.v3.HttpUri": honoured("uri cluster timeout"),
    JWT + "RemoteJwks.retry_policy": {
        **honoured("retry_back_off num_retries"),
        **not_yet(
            "whatever fails is tried again, at any endpoint",
            "retry_on retry_priority retry_host_predicate host_selection_retry_max_attempts",
        ),
    },
    JWT + "JwtRequirement": honoured(
        "provider_name provider_and_audiences requires_any requires_all allow_missing_or_failed allow_missing "
        "extract_only_without_validation"
    ),
    JWT + "ProviderWithAudiences": honoured("provider_name audiences"),
    JWT + "JwtRequirementOrList": honoured("requirements"),
    JWT + "JwtRequirementAndList": honoured("requirements"),
    JWT + "ExtractOnlyWithoutValidation": honoured("verification_status_header"),
    JWT + "PerRouteConfig": honoured("disabled requirement_name"),
    HTTP + "cors.v3.Cors": {},
    HTTP + "cors.v3.CorsPolicy": CORS_POLICY,
    HTTP + "fault.v3.HTTPFault": {
        **honoured("delay abort upstream_cluster headers downstream_nodes max_active_faults"),
        **meaningless(STATISTICS, "disable_downstream_cluster_stats filter_metadata"),
        **meaningless(
            RUNTIME,
            "delay_percent_runtime abort_percent_runtime delay_duration_runtime abort_http_status_runtime "
            "max_active_faults_runtime response_rate_limit_percent_runtime abort_grpc_status_runtime",
        ),
        **not_yet("responses are not slowed down yet", "response_rate_limit", injects),
    },
    HTTP + "fault.v3.FaultAbort": honoured("http_status grpc_status header_abort percentage"),
    HTTP + "fault.v3.FaultAbort.HeaderAbort": {},
    "envoy.extensions.filters.common.fault.v3.FaultDelay": honoured("fixed_delay header_delay percentage"),
    "envoy.extensions.filters.common.fault.v3.FaultDelay.HeaderDelay": {},
    HTTP + "dynamic_forward_proxy.v3.FilterConfig": {
        **honoured("dns_cache_config"),
        **meaningless("nothing looks at filter state", "save_upstream_address"),
        **not_yet("there is no filter state yet", "allow_dynamic_host_from_filter_state"),
        **not_yet(CLOSED_FOR_THIS, "sub_cluster_config"),
    },
    HTTP + "dynamic_forward_proxy.v3.PerRouteConfig": honoured("host_rewrite_literal host_rewrite_header"),
    HTTP + "ratelimit.v3.RateLimit": {
        **honoured(
            "domain stage request_type timeout failure_mode_deny rate_limited_as_resource_exhausted "
            "rate_limit_service enable_x_ratelimit_headers disable_x_envoy_ratelimited_header rate_limited_status "
            "response_headers_to_add status_on_error filter_enabled filter_enforced failure_mode_deny_percent "
            "rate_limits"
        ),
        **meaningless(STATISTICS, "stat_prefix"),
        **not_yet("nothing is made of what the service says for other filters", "metadata_namespace"),
    },
    HTTP + "ratelimit.v3.RateLimitPerRoute": {
        **honoured("vh_rate_limits rate_limits domain"),
        **meaningless("Envoy does not look at it either", "override_option"),
    },
    "envoy.config.ratelimit.v3.RateLimitServiceConfig": {
        **honoured("grpc_service"),
        **meaningless("only version 3 is spoken", "transport_api_version"),
    },
    "envoy.config.core.v3.GrpcService": {
        **honoured("envoy_grpc initial_metadata"),
        **meaningless("the filter's own timeout counts", "timeout"),
        **not_yet("services are asked once", "retry_policy"),
        **not_yet(CLOSED_FOR_THIS, "google_grpc"),
    },
    "envoy.config.core.v3.GrpcService.EnvoyGrpc": {
        **honoured("cluster_name authority"),
        **not_yet("services are asked once", "retry_policy"),
        **not_yet("grpc's own limit counts", "max_receive_message_length"),
        **meaningless("none of Envoy's headers are sent", "skip_envoy_headers"),
    },
    HTTP + "local_ratelimit.v3.LocalRateLimit": {
        **honoured(
            "status token_bucket filter_enabled filter_enforced request_headers_to_add_when_not_enforced "
            "response_headers_to_add descriptors stage enable_x_ratelimit_headers vh_rate_limits "
            "always_consume_default_token_bucket rate_limits max_dynamic_descriptors "
            "rate_limited_as_resource_exhausted"
        ),
        **meaningless(STATISTICS, "stat_prefix"),
        **not_yet("connections share the buckets", "local_rate_limit_per_downstream_connection"),
        **not_yet("limits are those of this process", "local_cluster_rate_limit"),
    },
    "envoy.extensions.common.ratelimit.v3.LocalRateLimitDescriptor": {
        **honoured("entries token_bucket"),
        **not_yet("the limit is enforced all the same", "shadow_mode"),
    },
    "envoy.extensions.common.ratelimit.v3.RateLimitDescriptor.Entry": honoured("key value"),
    HTTP + "buffer.v3.Buffer": honoured("max_request_bytes"),
    HTTP + "buffer.v3.BufferPerRoute": honoured("disabled buffer"),
    MUTATION + "HeaderMutation": honoured("mutations most_specific_header_mutations_wins"),
    MUTATION + "HeaderMutationPerRoute": honoured("mutations"),
    MUTATION + "Mutations": {
        **honoured("request_mutations response_mutations query_parameter_mutations"),
        **not_yet("trailers are dropped", "request_trailers_mutations response_trailers_mutations"),
    },
    "envoy.config.core.v3.KeyValueMutation": honoured("append remove"),
    "envoy.config.core.v3.KeyValueAppend": {
        **honoured("record action"),
        **meaningless("Envoy does not look at it either", "entry"),
    },
    "envoy.config.core.v3.KeyValuePair": honoured("key value"),
    HTTP + "router.v3.Router": {
        **meaningless(STATISTICS, "dynamic_stats suppress_grpc_request_failure_code_stats"),
        **meaningless("no program makes a CONNECT request here", "reject_connect_request_early_data"),
        **not_yet("the connection manager says whether tries have spans", "start_child_span"),
        **not_yet("access logs are not written yet", "upstream_log upstream_log_options"),
        **honoured("suppress_envoy_headers"),
        **not_yet("Envoy's headers are not checked yet", "strict_check_headers"),
        **not_yet("x-envoy-expected-rq-timeout-ms is not looked at yet", "respect_expected_rq_timeout"),
        **not_yet(CLOSED_FOR_THIS, "upstream_http_filters", not_the_codec),
    },
    "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig": honoured("alpn_override"),
    "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig.AlpnOverride": honoured(
        "upstream_protocol alpn_override"
    ),
}

FILTERS: Mapping[str, Entry] = {
    **{name: all_of(f"{known}: {CLOSED}") for name, known in (HTTP_FILTERS | NETWORK_FILTERS).items()},
    **dict.fromkeys(INERT_TYPES, none_of(OBSERVES)),
    "envoy.tcp.metadataexchange.config.MetadataExchange": none_of(OBSERVES),
    **DONE,
}
