"""Redirects, direct responses, header mutations, virtual hosts, tables, rate limits. A table, longer than a module should be."""

# ruff: noqa: E501  # Envoy's words are not broken.

from __future__ import annotations

from typing import Any

from . import Case, Json
from .build import ROUTER_TYPE, action, configuration, extension, host, route, typed

TREE = {
    "matcher_tree": {
        "input": extension("envoy.type.matcher.v3.HttpRequestHeaderMatchInput", "h", header_name="a"),
        "exact_match_map": {
            "map": {
                "x": {
                    "action": extension(
                        "envoy.config.route.v3.Route", "route", match={"prefix": "/"}, route={"cluster": "c"}
                    )
                }
            }
        },
    }
}


def redirect(**fields: Any) -> Json:
    """A RedirectAction."""
    return route(redirect=fields)


def direct(**fields: Any) -> Json:
    """A DirectResponseAction."""
    return route(direct_response=fields)


def header(**fields: Any) -> Json:
    """A header to add."""
    return route(request_headers_to_add=[fields])


def table(**fields: Any) -> Json:
    """A RouteConfiguration with one virtual host."""
    return configuration(virtual_hosts=[{"name": "v", "domains": ["*"]}], **fields)


def limit(*actions: Json, **fields: Any) -> Json:
    """A RateLimit."""
    return action(rate_limits=[{"actions": list(actions), **fields}])


SOURCE = 'TextFormatSource: embedded message failed validation | caused by field: "specifier", reason: is required'
CASES = [
    Case("redirect: empty", redirect()),
    Case(
        "redirect: bad code",
        redirect(response_code=9),
        "RedirectActionValidationError.ResponseCode: value must be one of the defined enum values",
    ),
    Case(
        "redirect: host nl",
        redirect(host_redirect="a\nb"),
        'RedirectActionValidationError.HostRedirect: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
    ),
    Case("redirect: path+prefix", redirect(prefix_rewrite="/a")),
    Case("redirect: regex bad", redirect(regex_rewrite={"pattern": {"regex": "("}}), "missing ): ("),
    Case("redirect: path_rewrite", redirect(path_rewrite="/%REQ(a)%")),
    Case(
        "redirect: path_rewrite bad",
        redirect(path_rewrite="/%NOPE%"),
        "Failed to create path_rewrite formatter: INVALID_ARGUMENT: Not supported field in StreamInfo: NOPE",
    ),
    Case("redirect: port big", redirect(port_redirect=70000)),
    Case("redirect: https+scheme", redirect(https_redirect=True)),
    Case(
        "direct response: 0",
        direct(),
        "DirectResponseActionValidationError.Status: value must be inside range [200, 600)",
    ),
    Case(
        "direct response: 199",
        direct(status=199),
        "DirectResponseActionValidationError.Status: value must be inside range [200, 600)",
    ),
    Case("direct response: 200", direct(status=200)),
    Case(
        "direct response: 600",
        direct(status=600),
        "DirectResponseActionValidationError.Status: value must be inside range [200, 600)",
    ),
    Case(
        "direct response: big",
        direct(status=200, body={"inline_string": "x" * 5000}),
        "response body size is 5000 bytes; maximum is 4096",
    ),
    Case(
        "direct response: body empty specifier", direct(status=200, body={}), 'field: "specifier", reason: is required'
    ),
    Case(
        "direct response: file missing",
        direct(status=200, body={"filename": "/nope"}),
        "file /nope does not exist",
        differs="files are not read: the route answers 503",
    ),
    Case(
        "direct response: env missing",
        direct(status=200, body={"environment_variable": "NOPE"}),
        "Environment variable doesn't exist: NOPE",
        differs="environment variables are not read: the route answers 503",
    ),
    Case("direct response: file", direct(status=200, body={"filename": "/etc/hostname"})),
    Case("direct response: env", direct(status=200, body={"environment_variable": "HOME"})),
    Case("direct response: bytes", direct(status=200, body={"inline_bytes": "AAA="})),
    Case(
        "direct response: body_format",
        direct(status=200, body_format={"text_format_source": {"inline_string": "%REQ(a)%"}}),
    ),
    Case(
        "direct response: body_format nonsense",
        direct(status=200, body_format={"text_format": "%NOPE%"}),
        "Not supported field in StreamInfo: NOPE",
    ),
    Case(
        "direct response: body_format json nonsense",
        direct(status=200, body_format={"json_format": {"a": [{"b": "%NOPE%"}]}}),
        "Not supported field in StreamInfo: NOPE",
    ),
    Case("direct response: body_format json", direct(status=200, body_format={"json_format": {"a": [None, 1]}})),
    Case("direct response: body_format nothing", direct(status=200, body_format={"text_format_source": {}}), SOURCE),
    Case("non-forwarding", route(non_forwarding_action={})),
    Case(
        "header: append+action",
        header(header={"key": "a", "value": "b"}, append=True, append_action="ADD_IF_ABSENT"),
        "Both append and append_action are set and it's not allowed",
    ),
    Case("header: append true", header(header={"key": "a", "value": "b"}, append=True)),
    Case(
        "header: append false + action 0",
        header(header={"key": "a", "value": "b"}, append=False, append_action="APPEND_IF_EXISTS_OR_ADD"),
    ),
    Case(
        "header: host", header(header={"key": "host", "value": "b"}), ":-prefixed or host headers may not be modified"
    ),
    Case(
        "header: Host", header(header={"key": "Host", "value": "b"}), ":-prefixed or host headers may not be modified"
    ),
    Case(
        "header: :path", header(header={"key": ":path", "value": "b"}), ":-prefixed or host headers may not be modified"
    ),
    Case(
        "header: :authority",
        header(header={"key": ":authority", "value": "b"}),
        ":-prefixed or host headers may not be modified",
    ),
    Case("header: no header", header(), "HeaderValueOptionValidationError.Header: value is required"),
    Case(
        "header: empty key",
        header(header={"key": "", "value": "b"}),
        "HeaderValueValidationError.Key: value length must be at least 1 characters",
    ),
    Case("header: bad key", header(header={"key": "a b", "value": "b"})),
    Case(
        "header: bad key nl",
        header(header={"key": "a\n", "value": "b"}),
        'HeaderValueValidationError.Key: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
    ),
    Case(
        "header: bad value nl",
        header(header={"key": "a", "value": "b\nc"}),
        'HeaderValueValidationError.Value: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
    ),
    Case("header: raw", header(header={"key": "a", "raw_value": "YQ=="})),
    Case("header: raw+value", header(header={"key": "a", "value": "b", "raw_value": "YQ=="})),
    Case(
        "header: format unknown",
        header(header={"key": "a", "value": "%NOPE%"}),
        "Not supported field in StreamInfo: NOPE",
    ),
    Case(
        "header: stray %",
        header(header={"key": "a", "value": "10% off"}),
        "Incorrect configuration: 10% off. Couldn't find valid command at position 2",
    ),
    Case(
        "header: stray end",
        header(header={"key": "a", "value": "100%"}),
        "Incorrect configuration: 100%. Couldn't find valid command at position 3",
    ),
    Case("header: req no arg", header(header={"key": "a", "value": "%REQ%"}), "REQ requires parameters"),
    Case("header: req", header(header={"key": "a", "value": "%REQ(x?y):3%"})),
    Case(
        "header: req bad",
        header(header={"key": "a", "value": "%REQ(x?y?z)%"}),
        "More than 1 alternative header specified in token: x?y?z",
    ),
    Case("header: dynamic", header(header={"key": "a", "value": "%DYNAMIC_METADATA(a:b)%"})),
    Case("header: dynamic json", header(header={"key": "a", "value": '%DYNAMIC_METADATA(["a","b"])%'})),
    Case("header: start_time", header(header={"key": "a", "value": "%START_TIME%"})),
    Case("header: resp", header(header={"key": "a", "value": "%RESP(x)%"})),
    Case(
        "header: trailing colon",
        header(header={"key": "a", "value": "%REQ(x):z%"}),
        "Incorrect configuration: %REQ(x):z%. Couldn't find valid command at position 0",
    ),
    Case("header: keep_empty", header(header={"key": "a"}, keep_empty_value=True)),
    Case(
        "header: too many",
        route(request_headers_to_add=[{"header": {"key": "a", "value": "b"}}] * 1001),
        "RouteValidationError.RequestHeadersToAdd: value must contain no more than 1000 item(s)",
    ),
    Case("removal: host", route(request_headers_to_remove=["host"]), ":-prefixed or host headers may not be removed"),
    Case("removal: HOST", route(request_headers_to_remove=["HOST"]), ":-prefixed or host headers may not be removed"),
    Case("removal: :path", route(request_headers_to_remove=[":path"]), ":-prefixed or host headers may not be removed"),
    Case(
        "removal: empty",
        route(request_headers_to_remove=[""]),
        "RouteValidationError.RequestHeadersToRemove[0]: value length must be at least 1 characters",
    ),
    Case(
        "removal: resp :status",
        route(response_headers_to_remove=[":status"]),
        ":-prefixed or host headers may not be removed",
    ),
    Case(
        "removal: resp host",
        route(response_headers_to_remove=["host"]),
        ":-prefixed or host headers may not be removed",
    ),
    Case(
        "add resp :status",
        route(response_headers_to_add=[{"header": {"key": ":status", "value": "1"}}]),
        ":-prefixed or host headers may not be modified",
    ),
    Case(
        "add resp host",
        route(response_headers_to_add=[{"header": {"key": "host", "value": "1"}}]),
        ":-prefixed or host headers may not be modified",
    ),
    Case(
        "host: no name",
        configuration(virtual_hosts=[{"name": "", "domains": ["*"]}]),
        "VirtualHostValidationError.Name: value length must be at least 1 characters",
    ),
    Case(
        "host: no domains",
        configuration(virtual_hosts=[{"name": "v"}]),
        "VirtualHostValidationError.Domains: value must contain at least 1 item(s)",
    ),
    Case("host: empty domain", configuration(virtual_hosts=[{"name": "v", "domains": [""]}])),
    Case(
        "host: dup name",
        configuration(virtual_hosts=[{"name": "v", "domains": ["a"]}, {"name": "v", "domains": ["b"]}]),
    ),
    Case(
        "host: dup domain",
        configuration(virtual_hosts=[{"name": "v", "domains": ["a"]}, {"name": "w", "domains": ["A"]}]),
        "Only unique values for domains are permitted. Duplicate entry of domain a in route r",
    ),
    Case(
        "host: dup *",
        configuration(virtual_hosts=[{"name": "v", "domains": ["*"]}, {"name": "w", "domains": ["*"]}]),
        "Only a single wildcard domain is permitted in route r",
    ),
    Case(
        "host: dup suffix",
        configuration(virtual_hosts=[{"name": "v", "domains": ["*.a"]}, {"name": "w", "domains": ["*.a"]}]),
        "Only unique values for domains are permitted. Duplicate entry of domain *.a in route r",
    ),
    Case(
        "host: dup prefix",
        configuration(virtual_hosts=[{"name": "v", "domains": ["a.*"]}, {"name": "w", "domains": ["a.*"]}]),
        "Only unique values for domains are permitted. Duplicate entry of domain a.* in route r",
    ),
    Case("host: domain a*b", configuration(virtual_hosts=[{"name": "v", "domains": ["a*b"]}])),
    Case("host: domain *a*", configuration(virtual_hosts=[{"name": "v", "domains": ["*a*"]}])),
    Case("host: domain **", configuration(virtual_hosts=[{"name": "v", "domains": ["**"]}])),
    Case(
        "host: domain nl",
        configuration(virtual_hosts=[{"name": "v", "domains": ["a\nb"]}]),
        'VirtualHostValidationError.Domains[0]: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
    ),
    Case(
        "host: dup within",
        configuration(virtual_hosts=[{"name": "v", "domains": ["a", "a"]}]),
        "Only unique values for domains are permitted. Duplicate entry of domain a in route r",
    ),
    Case(
        "host: matcher",
        host(matcher={"matcher_list": {"matchers": []}}),
        "MatcherListValidationError.Matchers: value must contain at least 1 item(s)",
    ),
    Case("host: matcher tree", host(matcher=TREE)),
    Case(
        "host: matcher+routes",
        host(matcher=TREE, routes=[{"match": {"prefix": "/"}, "route": {"cluster": "c"}}]),
        "cannot set both matcher and routes on virtual host",
    ),
    Case("host: require_tls", host(require_tls="ALL")),
    Case(
        "host: require_tls bad",
        host(require_tls=9),
        "VirtualHostValidationError.RequireTls: value must be one of the defined enum values",
    ),
    Case(
        "host: retry bad",
        host(retry_policy={"retry_back_off": {"base_interval": "2s", "max_interval": "1s"}}),
        "retry_policy.max_interval must greater than or equal to the base_interval",
    ),
    Case("host: retry typed", host(retry_policy_typed_config=typed("envoy.config.route.v3.RetryPolicy"))),
    Case(
        "host: virtual clusters",
        host(virtual_clusters=[{"name": "x", "headers": [{"name": ":path", "string_match": {"prefix": "/"}}]}]),
    ),
    Case(
        "host: virtual clusters none", host(virtual_clusters=[{"name": "x"}]), "virtual clusters must define 'headers'"
    ),
    Case(
        "host: cors",
        host(cors={"allow_origin_string_match": [{"safe_regex": {"regex": "*"}}]}),
        "no argument for repetition operator: *",
    ),
    Case(
        "host: mirror",
        host(request_mirror_policies=[{}]),
        "Exactly one of cluster or cluster_header in request mirror policy need to be specified",
    ),
    Case("host: buf", host(per_request_buffer_limit_bytes=1)),
    Case("host: buf+", host(request_body_buffer_limit=1)),
    Case(
        "host: rl stage",
        host(rate_limits=[{"stage": 11, "actions": [{"remote_address": {}}]}]),
        "RateLimitValidationError.Stage: value must be less than or equal to 10",
    ),
    Case(
        "table: internal_only bad",
        table(internal_only_headers=["a\nb"]),
        'RouteConfigurationValidationError.InternalOnlyHeaders[0]: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
    ),
    Case(
        "table: vhds",
        table(vhds={"config_source": {"ads": {}}}),
        "vhds: ADS config source specified but no ADS configured in bootstrap.",
        differs="this Envoy has no ADS",
    ),
    Case(
        "table: vhds sotw",
        table(
            vhds={
                "config_source": {
                    "api_config_source": {"api_type": "GRPC", "grpc_services": [{"envoy_grpc": {"cluster_name": "c"}}]}
                }
            }
        ),
        "vhds: only 'DELTA_GRPC' or 'ADS' (which uses Delta xDS) is supported as a config source.",
    ),
    Case(
        "table: direct size",
        configuration(
            max_direct_response_body_size_bytes=10,
            virtual_hosts=[
                {
                    "name": "v",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "direct_response": {"status": 200, "body": {"inline_string": "x" * 11}},
                        }
                    ],
                }
            ],
        ),
        "response body size is 11 bytes; maximum is 10",
    ),
    Case(
        "table: mirrors",
        table(request_mirror_policies=[{}]),
        "Exactly one of cluster or cluster_header in request mirror policy need to be specified",
    ),
    Case(
        "table: add host",
        table(request_headers_to_add=[{"header": {"key": "host", "value": "a"}}]),
        ":-prefixed or host headers may not be modified",
    ),
    Case("table: metadata", table(metadata={"filter_metadata": {"a": {"b": 1}}})),
    Case(
        "route: decorator empty",
        route(decorator={}),
        "DecoratorValidationError.Operation: value length must be at least 1 characters",
    ),
    Case("route: tracing", route(tracing={"client_sampling": {"numerator": 1}})),
    Case(
        "route: name dup",
        configuration(
            virtual_hosts=[
                {
                    "name": "v",
                    "domains": ["*"],
                    "routes": [{"name": "a", "match": {"prefix": "/"}, "route": {"cluster": "c"}}] * 2,
                }
            ]
        ),
    ),
    Case("route: stat_prefix", route(stat_prefix="a")),
    Case("route: buffer", route(per_request_buffer_limit_bytes=1)),
    Case("route: both buffers", route(per_request_buffer_limit_bytes=1, request_body_buffer_limit=2)),
    Case("rate limit: none", limit(), "RateLimitValidationError.Actions: value must contain at least 1 item(s)"),
    Case("rate limit: no action spec", limit({}), 'field: "action_specifier", reason: is required'),
    Case(
        "rate limit: generic empty",
        limit({"generic_key": {}}),
        "GenericKeyValidationError.DescriptorValue: value length must be at least 1 characters",
    ),
    Case("rate limit: generic", limit({"generic_key": {"descriptor_value": "a"}})),
    Case(
        "rate limit: headers empty",
        limit({"request_headers": {}}),
        "RequestHeadersValidationError.HeaderName: value length must be at least 1 characters",
    ),
    Case("rate limit: hvm", limit({"header_value_match": {"descriptor_value": "v", "headers": [{"name": "a"}]}})),
    Case(
        "rate limit: hvm no headers",
        limit({"header_value_match": {"descriptor_value": "v"}}),
        "HeaderValueMatchValidationError.Headers: value must contain at least 1 item(s)",
    ),
    Case(
        "rate limit: hvm bad regex",
        limit(
            {
                "header_value_match": {
                    "descriptor_value": "v",
                    "headers": [{"name": "a", "string_match": {"safe_regex": {"regex": "*"}}}],
                }
            }
        ),
        "no argument for repetition operator: *",
    ),
    Case(
        "rate limit: qvm",
        limit({"query_parameter_value_match": {"descriptor_value": "v", "query_parameters": [{"name": "a"}]}}),
    ),
    Case(
        "rate limit: masked",
        limit({"masked_remote_address": {"v4_prefix_mask_len": 33}}),
        "MaskedRemoteAddressValidationError.V4PrefixMaskLen: value must be less than or equal to 32",
    ),
    Case(
        "rate limit: ext unknown",
        limit({"extension": extension(ROUTER_TYPE, "z")}),
        "Didn't find a registered implementation for 'z' with type URL: 'envoy.extensions.filters.http.router.v3.Router'",
    ),
    Case(
        "rate limit: ext expr",
        limit(
            {
                "extension": extension(
                    "envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor", "z", descriptor_key="a", text="1 == 1"
                )
            }
        ),
    ),
    Case(
        "rate limit: metadata",
        limit({"metadata": {"descriptor_key": "k", "metadata_key": {"key": "a", "path": [{"key": "b"}]}}}),
    ),
    Case(
        "rate limit: dynamic_metadata",
        limit({"dynamic_metadata": {"descriptor_key": "k", "metadata_key": {"key": "a", "path": [{"key": "b"}]}}}),
        "Using deprecated option 'envoy.config.route.v3.RateLimit.Action.dynamic_metadata'",
        differs="Envoy refuses its deprecated spelling; no descriptor is made of it here",
    ),
    Case("rate limit: source cluster", limit({"source_cluster": {}}, {"destination_cluster": {}})),
    Case(
        "rate limit: remote_address_match",
        limit(
            {
                "remote_address_match": {
                    "address_matcher": {"ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]},
                    "descriptor_value": "v",
                }
            }
        ),
    ),
    Case("rate limit: query params", limit({"query_parameters": {"query_parameter_name": "q", "descriptor_key": "k"}})),
    Case(
        "rate limit: stage 11",
        limit({"remote_address": {}}, stage=11),
        "RateLimitValidationError.Stage: value must be less than or equal to 10",
    ),
    Case("rate limit: disable", limit({"remote_address": {}}, disable_key="k")),
    Case(
        "rate limit: limit",
        limit(
            {"remote_address": {}}, limit={"dynamic_metadata": {"metadata_key": {"key": "a", "path": [{"key": "b"}]}}}
        ),
    ),
    Case("rate limit: hits", limit({"remote_address": {}}, hits_addend={"number": 5})),
    Case(
        "rate limit: hits format bad",
        limit({"remote_address": {}}, hits_addend={"format": "x"}),
        'HitsAddendValidationError.Format: value does not have prefix "%"',
    ),
    Case("rate limit: done", limit({"remote_address": {}}, apply_on_stream_done=True)),
    Case("rate limit: generic fmt bad", limit({"generic_key": {"descriptor_value": "%NOPE%"}})),
]
