"""Where a route leads, and what else it asks for (RouteAction). A table, longer than a module should be."""

# ruff: noqa: E501  # Envoy's words are not broken.

from __future__ import annotations

from typing import Any

from . import Case, Json
from .build import ROUTER_TYPE, action, configuration, extension, route, typed

PREVIOUS_HOSTS = extension(
    "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate", "envoy.retry_host_predicates.previous_hosts"
)


def weighted(*clusters: Json, **fields: Any) -> Json:
    """A WeightedCluster."""
    return action(weighted_clusters={"clusters": list(clusters), **fields})


def retry(**fields: Any) -> Json:
    """A RetryPolicy."""
    return action(retry_policy=fields)


CASES = [
    Case(
        "no action",
        configuration(virtual_hosts=[{"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}}]}]),
        'field: "action", reason: is required',
    ),
    Case("filter_action", route(filter_action={})),
    Case(
        "cluster empty",
        action(cluster=""),
        "RouteActionValidationError.Cluster: value length must be at least 1 characters",
    ),
    Case("no cluster spec", route(route={}), 'field: "cluster_specifier", reason: is required'),
    Case(
        "cluster unknown (inline validate)",
        action(cluster="nope"),
        "route: unknown cluster 'nope'",
        differs="whether a cluster exists is asked when a request comes: 503 NC",
    ),
    Case(
        "cluster_header empty",
        action(cluster_header=""),
        "RouteActionValidationError.ClusterHeader: value length must be at least 1 characters",
    ),
    Case(
        "cluster_header bad",
        action(cluster_header="a\nb"),
        'RouteActionValidationError.ClusterHeader: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
    ),
    Case("cluster_header pseudo", action(cluster_header=":path")),
    Case(
        "cluster specifier plugin: unknown",
        action(cluster_specifier_plugin="p"),
        "Unknown cluster specifier plugin name: p is used in the route",
        differs="the route answers 503, be the plugin known to its table or not",
    ),
    Case(
        "inline csp",
        action(inline_cluster_specifier_plugin={"extension": extension(ROUTER_TYPE, "p")}),
        "Didn't find a registered implementation for 'p' with type URL: 'envoy.extensions.filters.http.router.v3.Router'",
    ),
    Case(
        "inline csp optional",
        action(inline_cluster_specifier_plugin={"extension": extension(ROUTER_TYPE, "p"), "is_optional": True}),
    ),
    Case(
        "cluster specifier plugin: in table optional",
        configuration(
            cluster_specifier_plugins=[{"extension": extension(ROUTER_TYPE, "p"), "is_optional": True}],
            virtual_hosts=[
                {
                    "name": "v",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster_specifier_plugin": "p"}}],
                }
            ],
        ),
    ),
    Case(
        "cluster specifier plugin: in table",
        configuration(
            cluster_specifier_plugins=[{"extension": extension(ROUTER_TYPE, "p")}],
            virtual_hosts=[
                {
                    "name": "v",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster_specifier_plugin": "p"}}],
                }
            ],
        ),
        "Didn't find a registered implementation for 'p' with type URL: 'envoy.extensions.filters.http.router.v3.Router'",
    ),
    Case("weighted: ok", weighted({"name": "c", "weight": 1})),
    Case(
        "weighted: none", weighted(), "WeightedClusterValidationError.Clusters: value must contain at least 1 item(s)"
    ),
    Case(
        "weighted: zero",
        weighted({"name": "c", "weight": 0}),
        "Sum of weights in the weighted_cluster must be greater than 0.",
    ),
    Case("weighted: no weight", weighted({"name": "c"}), "Field 'weight' is missing in: name: \"c\""),
    Case(
        "weighted: overflow",
        weighted({"name": "c", "weight": 4294967295}, {"name": "c", "weight": 1}),
        "The sum of weights of all weighted clusters of route exceeds 4294967295",
    ),
    Case("weighted: no name", weighted({"weight": 1}), "At least one of name or cluster_header need to be specified"),
    Case(
        "weighted: both",
        weighted({"name": "c", "cluster_header": "h", "weight": 1}),
        "Only one of name or cluster_header can be specified",
    ),
    Case("weighted: header", weighted({"cluster_header": "h", "weight": 1})),
    Case(
        "weighted: header bad",
        weighted({"cluster_header": "a\nb", "weight": 1}),
        'ClusterWeightValidationError.ClusterHeader: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
    ),
    Case("weighted: total mismatch", weighted({"name": "c", "weight": 1}, total_weight=100)),
    Case("weighted: header_name", weighted({"name": "c", "weight": 1}, header_name="x")),
    Case("weighted: runtime", weighted({"name": "c", "weight": 1}, runtime_key_prefix="x")),
    Case(
        "weighted: metadata",
        weighted({"name": "c", "weight": 1, "metadata_match": {"filter_metadata": {"envoy.lb": {"a": "b"}}}}),
    ),
    Case(
        "weighted: host rewrite bad",
        weighted({"name": "c", "weight": 1, "host_rewrite_literal": "a\nb"}),
        'ClusterWeightValidationError.HostRewriteLiteral: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
    ),
    Case(
        "weighted: unknown cluster weight 0",
        weighted({"name": "nope", "weight": 0}, {"name": "c", "weight": 1}),
        "route: unknown weighted cluster 'nope'",
        differs="whether a cluster exists is asked when a request comes",
    ),
    Case("weighted: use_hash", weighted({"name": "c", "weight": 1}, use_hash_policy=True)),
    Case(
        "prefix+regex rewrite",
        action(prefix_rewrite="/a", regex_rewrite={"pattern": {"regex": "a"}, "substitution": "b"}),
        "Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy",
    ),
    Case("regex rewrite", action(regex_rewrite={"pattern": {"regex": "a"}, "substitution": "b"})),
    Case("regex rewrite bad", action(regex_rewrite={"pattern": {"regex": "("}, "substitution": "b"}), "missing ): ("),
    Case("regex rewrite bad sub", action(regex_rewrite={"pattern": {"regex": "(a)"}, "substitution": "\\2"})),
    Case("regex rewrite trailing bs", action(regex_rewrite={"pattern": {"regex": "(a)"}, "substitution": "\\"})),
    Case("regex rewrite \\q", action(regex_rewrite={"pattern": {"regex": "(a)"}, "substitution": "\\q"})),
    Case(
        "regex rewrite no pattern",
        action(regex_rewrite={"substitution": "b"}),
        "RegexMatchAndSubstituteValidationError.Pattern: value is required",
    ),
    Case(
        "regex rewrite newline sub",
        action(regex_rewrite={"pattern": {"regex": "a"}, "substitution": "\n"}),
        'RegexMatchAndSubstituteValidationError.Substitution: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
    ),
    Case(
        "prefix rewrite bad",
        action(prefix_rewrite="a\nb"),
        'RouteActionValidationError.PrefixRewrite: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
    ),
    Case(
        "path_rewrite_policy",
        action(
            path_rewrite_policy=extension(
                "envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig",
                "t",
                path_template_rewrite="/x",
            )
        ),
        "unable to use envoy.path.rewrite.uri_template.uri_template_rewriter extension without envoy.path.match.uri_template.uri_template_matcher extension",
    ),
    Case(
        "path_rewrite_policy+match",
        route(
            match={
                "path_match_policy": extension(
                    "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig", "t", path_template="/a/{b}"
                )
            },
            route={
                "cluster": "c",
                "path_rewrite_policy": extension(
                    "envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig",
                    "t",
                    path_template_rewrite="/x/{b}",
                ),
            },
        ),
    ),
    Case(
        "path_rewrite_policy unknown",
        action(path_rewrite_policy=extension(ROUTER_TYPE, "t")),
        "Didn't find a registered implementation for 't' with type URL: 'envoy.extensions.filters.http.router.v3.Router'",
    ),
    Case(
        "path_rewrite_policy+prefix",
        action(
            prefix_rewrite="/x",
            path_rewrite_policy=extension(
                "envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig",
                "t",
                path_template_rewrite="/x",
            ),
        ),
        "Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy",
    ),
    Case(
        "prefix_rewrite w template match",
        route(
            match={
                "path_match_policy": extension(
                    "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig", "t", path_template="/a/{b}"
                )
            },
            route={"cluster": "c", "prefix_rewrite": "/x"},
        ),
        "Cannot use prefix_rewrite with matcher extension",
    ),
    Case(
        "prefix_rewrite w connect", route(match={"connect_matcher": {}}, route={"cluster": "c", "prefix_rewrite": "/x"})
    ),
    Case("path_rewrite", action(path_rewrite="/%REQ(a)%")),
    Case(
        "path_rewrite bad",
        action(path_rewrite="/%NOPE%"),
        "Failed to create path rewrite formatter: INVALID_ARGUMENT: Not supported field in StreamInfo: NOPE",
    ),
    Case("host_rewrite", action(host_rewrite="%REQ(a)%")),
    Case(
        "host_rewrite bad",
        action(host_rewrite="%NOPE%"),
        "Failed to create host rewrite formatter: INVALID_ARGUMENT: Not supported field in StreamInfo: NOPE",
    ),
    Case(
        "path_rewrite+prefix",
        action(path_rewrite="/a", prefix_rewrite="/b"),
        "Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy",
    ),
    Case(
        "host_rewrite_literal bad",
        action(host_rewrite_literal="a\nb"),
        'RouteActionValidationError.HostRewriteLiteral: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
    ),
    Case(
        "host_rewrite_header bad",
        action(host_rewrite_header="a\nb"),
        'RouteActionValidationError.HostRewriteHeader: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
    ),
    Case(
        "host_rewrite_path_regex bad",
        action(host_rewrite_path_regex={"pattern": {"regex": "("}, "substitution": ""}),
        "missing ): (",
    ),
    Case(
        "host rewrite path sub bad", action(host_rewrite_path_regex={"pattern": {"regex": "a"}, "substitution": "\\1"})
    ),
    Case("auto_host", action(auto_host_rewrite=True)),
    Case("timeout neg", action(timeout="-1s"), "Invalid duration: Expected positive duration: seconds: -1"),
    Case(
        "timeout big", action(timeout="315576000000s"), "Invalid duration: Duration out-of-range: seconds: 315576000000"
    ),
    Case(
        "timeout nanos neg",
        route(route={"cluster": "c", "timeout": "-0.5s"}),
        "Invalid duration: Expected positive duration: nanos: -500000000",
    ),
    Case("idle neg", action(idle_timeout="-1s"), "Invalid duration: Expected positive duration: seconds: -1"),
    Case("max_grpc neg", action(max_grpc_timeout="-1s"), "Invalid duration: Expected positive duration: seconds: -1"),
    Case(
        "max stream duration: neg",
        action(max_stream_duration={"max_stream_duration": "-1s"}),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case("grpc both", action(max_grpc_timeout="1s", max_stream_duration={"grpc_timeout_header_max": "1s"})),
    Case(
        "max stream duration: offset",
        action(max_stream_duration={"grpc_timeout_header_max": "1s", "grpc_timeout_header_offset": "1s"}),
    ),
    Case("flush_timeout", action(flush_timeout="1s")),
    Case("retry empty", retry()),
    Case("retry unknown on", retry(retry_on="foo,5xx")),
    Case(
        "retry backoff no base", retry(retry_back_off={}), "RetryBackOffValidationError.BaseInterval: value is required"
    ),
    Case(
        "retry backoff max<base",
        retry(retry_back_off={"base_interval": "2s", "max_interval": "1s"}),
        "retry_policy.max_interval must greater than or equal to the base_interval",
    ),
    Case(
        "retry backoff base 0",
        retry(retry_back_off={"base_interval": "0s"}),
        "RetryBackOffValidationError.BaseInterval: value must be greater than 0s",
    ),
    Case(
        "retry backoff max 0",
        retry(retry_back_off={"base_interval": "1s", "max_interval": "0s"}),
        "RetryBackOffValidationError.MaxInterval: value must be greater than 0s",
    ),
    Case(
        "retry backoff neg",
        retry(retry_back_off={"base_interval": "-1s"}),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case("retry backoff both sub ms", retry(retry_back_off={"base_interval": "0.0009s", "max_interval": "0.0001s"})),
    Case("retry backoff ms trunc", retry(retry_back_off={"base_interval": "0.0019s", "max_interval": "0.0011s"})),
    Case(
        "retry per try neg", retry(per_try_timeout="-1s"), "Invalid duration: Expected positive duration: seconds: -1"
    ),
    Case(
        "retry per try idle neg",
        retry(per_try_idle_timeout="-1s"),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case("retry hosts", retry(retry_host_predicate=[PREVIOUS_HOSTS])),
    Case(
        "retry hosts name only",
        retry(retry_host_predicate=[{"name": "envoy.retry_host_predicates.previous_hosts"}]),
        "Didn't find a registered implementation for 'envoy.retry_host_predicates.previous_hosts' with type URL: ''",
    ),
    Case(
        "retry hosts unknown name",
        retry(retry_host_predicate=[{"name": "zzz"}]),
        "Didn't find a registered implementation for 'zzz' with type URL: ''",
    ),
    Case(
        "retry hosts other name right type",
        retry(retry_host_predicate=[{"name": "zzz", "typed_config": PREVIOUS_HOSTS["typed_config"]}]),
    ),
    Case(
        "retry hosts right name wrong type",
        retry(retry_host_predicate=[extension(ROUTER_TYPE, PREVIOUS_HOSTS["name"])]),
        "Didn't find a registered implementation for 'envoy.retry_host_predicates.previous_hosts' with type URL: 'envoy.extensions.filters.http.router.v3.Router'",
    ),
    Case(
        "retry hosts omit canary",
        retry(
            retry_host_predicate=[
                extension(
                    "envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate",
                    "envoy.retry_host_predicates.omit_canary_hosts",
                )
            ]
        ),
    ),
    Case(
        "retry priority",
        retry(
            retry_priority=extension(
                "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                "envoy.retry_priorities.previous_priorities",
                update_frequency=2,
            )
        ),
    ),
    Case(
        "retry priority bad",
        retry(
            retry_priority=extension(
                "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                "envoy.retry_priorities.previous_priorities",
            )
        ),
    ),
    Case(
        "retry priority unknown",
        retry(retry_priority=extension(ROUTER_TYPE, "zz")),
        "Didn't find a registered implementation for 'zz' with type URL: 'envoy.extensions.filters.http.router.v3.Router'",
    ),
    Case(
        "retry options pred unknown",
        retry(retry_options_predicates=[extension(ROUTER_TYPE, "zz")]),
        "Didn't find a registered implementation for 'zz' with type URL: 'envoy.extensions.filters.http.router.v3.Router'",
    ),
    Case("retry max attempts neg", retry(host_selection_retry_max_attempts="-5")),
    Case("retry num 0", retry(num_retries=0)),
    Case("retry codes", retry(retriable_status_codes=[99, 1000])),
    Case(
        "retry hdr bad",
        retry(retriable_headers=[{"name": "h", "string_match": {"safe_regex": {"regex": "*"}}}]),
        "no argument for repetition operator: *",
    ),
    Case("retry rl", retry(rate_limited_retry_back_off={"reset_headers": [{"name": "retry-after"}]})),
    Case(
        "retry rl none",
        retry(rate_limited_retry_back_off={}),
        "RateLimitedRetryBackOffValidationError.ResetHeaders: value must contain at least 1 item(s)",
    ),
    Case(
        "retry_policy_typed_config",
        action(
            retry_policy_typed_config=typed(
                "envoy.config.route.v3.RetryPolicy", retry_back_off={"base_interval": "2s", "max_interval": "1s"}
            )
        ),
    ),
    Case("hedge", action(hedge_policy={"hedge_on_per_try_timeout": True})),
    Case(
        "hedge initial 0",
        action(hedge_policy={"initial_requests": 0}),
        "HedgePolicyValidationError.InitialRequests: value must be greater than or equal to 1",
    ),
    Case(
        "mirror none",
        action(request_mirror_policies=[{}]),
        "Exactly one of cluster or cluster_header in request mirror policy need to be specified",
    ),
    Case("mirror ok", action(request_mirror_policies=[{"cluster": "c"}])),
    Case(
        "mirror both",
        action(request_mirror_policies=[{"cluster": "c", "cluster_header": "h"}]),
        "Only one of cluster 'c' or cluster_header 'h' in request mirror policy can be specified",
    ),
    Case("mirror header", action(request_mirror_policies=[{"cluster_header": "h"}])),
    Case(
        "mirror header bad",
        action(request_mirror_policies=[{"cluster_header": "a\nb"}]),
        'RequestMirrorPolicyValidationError.ClusterHeader: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
    ),
    Case(
        "mirror unknown",
        action(request_mirror_policies=[{"cluster": "nope"}]),
        "route: unknown shadow cluster 'nope'",
        differs="whether a cluster exists is asked when a request comes",
    ),
    Case(
        "mirror mutations",
        action(request_mirror_policies=[{"cluster": "c", "request_headers_mutations": [{"remove": "a"}]}]),
    ),
    Case("mirror host literal", action(request_mirror_policies=[{"cluster": "c", "host_rewrite_literal": "x"}])),
    Case("hash none", action(hash_policy=[{}]), 'field: "policy_specifier", reason: is required'),
    Case("hash header", action(hash_policy=[{"header": {"header_name": "h"}}])),
    Case(
        "hash header empty",
        action(hash_policy=[{"header": {}}]),
        "HeaderValidationError.HeaderName: value length must be at least 1 characters",
    ),
    Case(
        "hash header regex bad",
        action(hash_policy=[{"header": {"header_name": "h", "regex_rewrite": {"pattern": {"regex": "("}}}}]),
        "missing ): (",
    ),
    Case("hash cookie", action(hash_policy=[{"cookie": {"name": "s", "ttl": "1s", "path": "/"}}])),
    Case(
        "hash cookie empty",
        action(hash_policy=[{"cookie": {}}]),
        "CookieValidationError.Name: value length must be at least 1 characters",
    ),
    Case(
        "hash cookie ttl neg",
        action(hash_policy=[{"cookie": {"name": "s", "ttl": "-1s"}}]),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case(
        "hash cookie attr",
        action(hash_policy=[{"cookie": {"name": "s", "attributes": [{"name": "", "value": ""}]}}]),
        "CookieAttributeValidationError.Name: value length must be at least 1 characters",
    ),
    Case("hash conn", action(hash_policy=[{"connection_properties": {"source_ip": False}}])),
    Case(
        "hash query",
        action(hash_policy=[{"query_parameter": {"name": ""}}]),
        "QueryParameterValidationError.Name: value length must be at least 1 characters",
    ),
    Case(
        "hash fs",
        action(hash_policy=[{"filter_state": {"key": ""}}]),
        "FilterStateValidationError.Key: value length must be at least 1 characters",
    ),
    Case(
        "upgrade dup",
        action(upgrade_configs=[{"upgrade_type": "websocket"}, {"upgrade_type": "WebSocket"}]),
        "Duplicate upgrade WebSocket",
    ),
    Case(
        "upgrade connect cfg wrong",
        action(upgrade_configs=[{"upgrade_type": "websocket", "connect_config": {}}]),
        "Non-CONNECT upgrade type websocket has ConnectConfig",
    ),
    Case("upgrade connect", action(upgrade_configs=[{"upgrade_type": "CONNECT", "connect_config": {}}])),
    Case("internal redirect", action(internal_redirect_policy={"redirect_response_codes": [302]})),
    Case(
        "internal redirect pred unknown",
        action(internal_redirect_policy={"predicates": [extension(ROUTER_TYPE, "z")]}),
        "Didn't find a registered implementation for 'z' with type URL: 'envoy.extensions.filters.http.router.v3.Router'",
    ),
    Case("internal redirect codes bad", action(internal_redirect_policy={"redirect_response_codes": [404]})),
    Case("internal_redirect_action", action(internal_redirect_action="HANDLE_INTERNAL_REDIRECT")),
    Case("priority", action(priority="HIGH")),
    Case(
        "priority bad",
        action(priority=7),
        "RouteActionValidationError.Priority: value must be one of the defined enum values",
    ),
    Case(
        "not found bad",
        action(cluster_not_found_response_code=9),
        "RouteActionValidationError.ClusterNotFoundResponseCode: value must be one of the defined enum values",
    ),
    Case("cors in action", action(cors={"allow_origin_string_match": [{"exact": "a"}]})),
    Case(
        "early data",
        action(early_data_policy=extension(ROUTER_TYPE, "z")),
        "Didn't find a registered implementation for 'z' with type URL: 'envoy.extensions.filters.http.router.v3.Router'",
    ),
    Case("metadata match", action(metadata_match={"filter_metadata": {"envoy.lb": {"v": "1"}}})),
]
