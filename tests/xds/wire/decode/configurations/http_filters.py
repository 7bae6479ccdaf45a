"""HTTP filters, and what routes say to them. A table, longer than a module should be."""

# ruff: noqa: E501  # Envoy's words are not broken.

from __future__ import annotations

from typing import Any

from . import Case, Json
from .build import (
    LOCAL_RATELIMIT,
    ROUTER,
    ROUTER_TYPE,
    UNKNOWN,
    URL,
    extension,
    filtered,
    host,
    listener,
    manager,
    route,
    typed,
)

BUCKET = {"max_tokens": 5, "tokens_per_fill": 5, "fill_interval": "1s"}
ON = {
    "filter_enabled": {"default_value": {"numerator": 100}},
    "filter_enforced": {"default_value": {"numerator": 100}},
}
LIMITER = "envoy.filters.http.local_ratelimit"
FILTER = extension(LOCAL_RATELIMIT, LIMITER, stat_prefix="s")
FILTER_CONFIG = "envoy.config.route.v3.FilterConfig"
HEADER_MUTATION = "envoy.extensions.filters.http.header_mutation.v3."


def limiter(**fields: Any) -> Json:
    """A local rate limit filter."""
    return filtered(extension(LOCAL_RATELIMIT, LIMITER, **{"stat_prefix": "s", **fields}), ROUTER)


def descriptor(*entries: tuple[str, str], bucket: Json = BUCKET) -> Json:
    """A LocalRateLimitDescriptor."""
    return {"entries": [{"key": key, "value": value} for key, value in entries], "token_bucket": bucket}


def per_route(name: str, config: Json) -> Json:
    """A route's configuration of a filter."""
    return route(filters=[FILTER, ROUTER], typed_per_filter_config={name: config})


def mutation(**fields: Any) -> Json:
    """A header mutation filter that mutates the query."""
    config = {"query_parameter_mutations": [fields]}
    return filtered(extension(HEADER_MUTATION + "HeaderMutation", "hm", mutations=config), ROUTER)


CASES = [
    Case("local rate limit: none", limiter()),
    Case(
        "local rate limit: no prefix",
        filtered(extension(LOCAL_RATELIMIT, LIMITER), ROUTER),
        "LocalRateLimitValidationError.StatPrefix: value length must be at least 1 characters",
    ),
    Case("local rate limit: ok", limiter(token_bucket=BUCKET, **ON)),
    Case(
        "local rate limit: fill 49ms",
        limiter(token_bucket={**BUCKET, "fill_interval": "0.049s"}),
        "local rate limit token bucket fill timer must be >= 50ms",
    ),
    Case("local rate limit: fill 50ms", limiter(token_bucket={**BUCKET, "fill_interval": "0.05s"})),
    Case(
        "local rate limit: fill 0",
        limiter(token_bucket={**BUCKET, "fill_interval": "0s"}),
        "TokenBucketValidationError.FillInterval: value must be greater than 0s",
    ),
    Case("local rate limit: max 0", limiter(token_bucket={"max_tokens": 0, "fill_interval": "1s"})),
    Case("local rate limit: max 0 short", limiter(token_bucket={"max_tokens": 0, "fill_interval": "0.01s"})),
    Case(
        "local rate limit: no interval",
        limiter(token_bucket={"max_tokens": 1}),
        "TokenBucketValidationError.FillInterval: value is required",
    ),
    Case(
        "local rate limit: neg interval",
        limiter(token_bucket={"max_tokens": 1, "fill_interval": "-1s"}),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case(
        "local rate limit: per fill 0",
        limiter(token_bucket={**BUCKET, "tokens_per_fill": 0}),
        "TokenBucketValidationError.TokensPerFill: value must be greater than 0",
    ),
    Case(
        "local rate limit: status 430",
        limiter(status={"code": 430}),
        "HttpStatusValidationError.Code: value must be one of the defined enum values",
    ),
    Case("local rate limit: status 200", limiter(status={"code": 200})),
    Case(
        "local rate limit: status 0",
        limiter(status={}),
        "HttpStatusValidationError.Code: value must not be in list [Empty]",
    ),
    Case("local rate limit: desc", limiter(token_bucket=BUCKET, descriptors=[descriptor(("a", "b"))])),
    Case("local rate limit: desc no bucket default", limiter(descriptors=[descriptor(("a", "b"))])),
    Case(
        "local rate limit: desc dup",
        limiter(
            token_bucket=BUCKET, descriptors=[descriptor(("a", "b"), ("x", "y")), descriptor(("a", "b"), ("x", "y"))]
        ),
        "duplicate descriptor in the local rate descriptor: a=b, x=y",
    ),
    Case(
        "local rate limit: desc wild dup",
        limiter(token_bucket=BUCKET, descriptors=[descriptor(("a", "")), descriptor(("a", ""))]),
        "duplicate descriptor in the local rate descriptor: a=",
    ),
    Case(
        "local rate limit: desc fill multiple",
        limiter(
            token_bucket={**BUCKET, "fill_interval": "2s"},
            descriptors=[descriptor(("a", "b"), bucket={**BUCKET, "fill_interval": "3s"})],
        ),
    ),
    Case(
        "local rate limit: desc fill smaller",
        limiter(
            token_bucket={**BUCKET, "fill_interval": "2s"},
            descriptors=[descriptor(("a", "b"), bucket={**BUCKET, "fill_interval": "1s"})],
        ),
    ),
    Case(
        "local rate limit: desc fill 49ms",
        limiter(
            token_bucket=BUCKET, descriptors=[descriptor(("a", "b"), bucket={**BUCKET, "fill_interval": "0.049s"})]
        ),
        "local rate limit descriptor token bucket fill timer must be >= 50ms",
    ),
    Case(
        "local rate limit: desc no entries",
        limiter(token_bucket=BUCKET, descriptors=[{"token_bucket": BUCKET}]),
        "LocalRateLimitDescriptorValidationError.Entries: value must contain at least 1 item(s)",
    ),
    Case(
        "local rate limit: desc no bucket",
        limiter(token_bucket=BUCKET, descriptors=[{"entries": [{"key": "a"}]}]),
        "LocalRateLimitDescriptorValidationError.TokenBucket: value is required",
    ),
    Case(
        "local rate limit: desc empty key",
        limiter(token_bucket=BUCKET, descriptors=[descriptor(("", "b"))]),
        "EntryValidationError.Key: value length must be at least 1 characters",
    ),
    Case(
        "local rate limit: desc max 0",
        limiter(
            token_bucket=BUCKET, descriptors=[descriptor(("a", "b"), bucket={"max_tokens": 0, "fill_interval": "1s"})]
        ),
    ),
    Case(
        "local rate limit: stage 11",
        limiter(stage=11),
        "LocalRateLimitValidationError.Stage: value must be less than or equal to 10",
    ),
    Case(
        "local rate limit: vh bad",
        limiter(vh_rate_limits=9),
        "LocalRateLimitValidationError.VhRateLimits: value must be one of the defined enum values",
    ),
    Case(
        "local rate limit: rate_limits bad",
        limiter(rate_limits=[{}]),
        "RateLimitValidationError.Actions: value must contain at least 1 item(s)",
    ),
    Case("local rate limit: rate_limits", limiter(rate_limits=[{"actions": [{"remote_address": {}}]}])),
    Case(
        "local rate limit: rate_limits stage",
        limiter(rate_limits=[{"stage": 1, "actions": [{"remote_address": {}}]}]),
        "'stage' field and 'disable_key' field are not supported",
    ),
    Case(
        "local rate limit: rate_limits disable",
        limiter(rate_limits=[{"disable_key": "a", "actions": [{"remote_address": {}}]}]),
        "'stage' field and 'disable_key' field are not supported",
    ),
    Case(
        "local rate limit: rate_limits ext",
        limiter(rate_limits=[{"actions": [{"extension": extension(ROUTER_TYPE, "z")}]}]),
        "Didn't find a registered implementation for 'z' with type URL: 'envoy.extensions.filters.http.router.v3.Router'",
    ),
    Case(
        "local rate limit: cluster rl",
        limiter(token_bucket=BUCKET, local_cluster_rate_limit={}),
        "local_cluster_rate_limit is set but no local cluster name is present",
        differs="a sidecar's bootstrap may name its local cluster",
    ),
    Case("local rate limit: per conn", limiter(token_bucket=BUCKET, local_rate_limit_per_downstream_connection=True)),
    Case(
        "local rate limit: dyn 0",
        limiter(token_bucket=BUCKET, max_dynamic_descriptors=0),
        "LocalRateLimitValidationError.MaxDynamicDescriptors: value must be greater than or equal to 1",
    ),
    Case(
        "local rate limit: headers 11",
        limiter(response_headers_to_add=[{"header": {"key": "a", "value": "b"}}] * 11),
        "LocalRateLimitValidationError.ResponseHeadersToAdd: value must contain no more than 10 item(s)",
    ),
    Case(
        "local rate limit: headers host",
        limiter(response_headers_to_add=[{"header": {"key": "host", "value": "b"}}]),
        ":-prefixed or host headers may not be modified",
    ),
    Case(
        "local rate limit: xrl bad",
        limiter(enable_x_ratelimit_headers=7),
        "LocalRateLimitValidationError.EnableXRatelimitHeaders: value must be one of the defined enum values",
    ),
    Case("per route: ok", per_route(LIMITER, typed(LOCAL_RATELIMIT, stat_prefix="s", token_bucket=BUCKET))),
    Case(
        "per route: no bucket",
        per_route(LIMITER, typed(LOCAL_RATELIMIT, stat_prefix="s")),
        "local rate limit token bucket must be set for per filter configs",
    ),
    Case(
        "per route: filter not in chain", per_route("zzz", typed(LOCAL_RATELIMIT, stat_prefix="s", token_bucket=BUCKET))
    ),
    Case(
        "per route: other name in chain",
        route(
            filters=[{**FILTER, "name": "foo"}, ROUTER],
            typed_per_filter_config={"foo": typed(LOCAL_RATELIMIT, stat_prefix="s", token_bucket=BUCKET)},
        ),
    ),
    Case("per route: wrong type", per_route(LIMITER, typed("envoy.extensions.filters.http.cors.v3.CorsPolicy"))),
    Case(
        "per route: type without per-route (router)",
        per_route("envoy.filters.http.router", typed(ROUTER_TYPE)),
        "The filter envoy.filters.http.router doesn't support virtual host or route specific configurations",
    ),
    Case(
        "per route: unknown type",
        per_route("zzz", typed("google.protobuf.Empty")),
        "Didn't find a registered implementation for 'zzz' with type URL: 'google.protobuf.Empty'",
    ),
    Case(
        "per route: unknown typeurl",
        per_route("zzz", typed("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog")),
        "Didn't find a registered implementation for 'zzz' with type URL: 'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog'",
    ),
    Case("per route: disabled", per_route(LIMITER, typed(FILTER_CONFIG, disabled=True))),
    Case("per route: disabled unknown name", per_route("zzz", typed(FILTER_CONFIG, disabled=True))),
    Case(
        "per route: FC empty",
        per_route(LIMITER, typed(FILTER_CONFIG)),
        "Empty route/virtual host per filter configuration for envoy.filters.http.local_ratelimit filter",
    ),
    Case("per route: FC empty cfg", per_route(LIMITER, typed(FILTER_CONFIG, config={}))),
    Case(
        "per route: FC wrapped",
        per_route(LIMITER, typed(FILTER_CONFIG, config=typed(LOCAL_RATELIMIT, stat_prefix="s", token_bucket=BUCKET))),
    ),
    Case(
        "per route: FC wrapped bad",
        per_route(LIMITER, typed(FILTER_CONFIG, config=typed(LOCAL_RATELIMIT, stat_prefix="s"))),
        "local rate limit token bucket must be set for per filter configs",
    ),
    Case(
        "per route: FC wrapped + disabled",
        per_route(LIMITER, typed(FILTER_CONFIG, disabled=True, config=typed(LOCAL_RATELIMIT, stat_prefix="s"))),
    ),
    Case(
        "per route: FC optional unknown",
        per_route(
            "zzz",
            typed(
                FILTER_CONFIG,
                is_optional=True,
                config=typed("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"),
            ),
        ),
    ),
    Case(
        "per route: FC unknown not optional",
        per_route(
            "zzz", typed(FILTER_CONFIG, config=typed("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"))
        ),
        "Didn't find a registered implementation for 'zzz' with type URL: 'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog'",
    ),
    Case(
        "per route: FC nested",
        per_route(
            LIMITER,
            typed(
                FILTER_CONFIG,
                config=typed(FILTER_CONFIG, config=typed(LOCAL_RATELIMIT, stat_prefix="s", token_bucket=BUCKET)),
            ),
        ),
        "Didn't find a registered implementation for 'envoy.filters.http.local_ratelimit' with type URL: 'envoy.config.route.v3.FilterConfig'",
    ),
    Case(
        "per route: cors",
        per_route(
            "envoy.filters.http.cors",
            typed("envoy.extensions.filters.http.cors.v3.CorsPolicy", allow_origin_string_match=[{"exact": "a"}]),
        ),
    ),
    Case(
        "per route: cors bad regex",
        per_route(
            "envoy.filters.http.cors",
            typed(
                "envoy.extensions.filters.http.cors.v3.CorsPolicy",
                allow_origin_string_match=[{"safe_regex": {"regex": "*"}}],
            ),
        ),
        "no argument for repetition operator: *",
    ),
    Case(
        "per route: fault",
        per_route(
            "envoy.filters.http.fault",
            typed(
                "envoy.extensions.filters.http.fault.v3.HTTPFault",
                abort={"http_status": 503, "percentage": {"numerator": 10}},
            ),
        ),
    ),
    Case(
        "per route: fault no delay secifier",
        per_route(
            "envoy.filters.http.fault",
            typed("envoy.extensions.filters.http.fault.v3.HTTPFault", delay={"percentage": {"numerator": 10}}),
        ),
        'field: "fault_delay_secifier", reason: is required',
    ),
    Case(
        "per route: fault abort none",
        per_route("envoy.filters.http.fault", typed("envoy.extensions.filters.http.fault.v3.HTTPFault", abort={})),
        'field: "error_type", reason: is required',
    ),
    Case(
        "per route: fault abort 100",
        per_route(
            "envoy.filters.http.fault",
            typed("envoy.extensions.filters.http.fault.v3.HTTPFault", abort={"http_status": 100}),
        ),
        "FaultAbortValidationError.HttpStatus: value must be inside range [200, 600)",
    ),
    Case(
        "per route: fault delay neg",
        per_route(
            "envoy.filters.http.fault",
            typed("envoy.extensions.filters.http.fault.v3.HTTPFault", delay={"fixed_delay": "-1s"}),
        ),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case(
        "per route: fault delay 0",
        per_route(
            "envoy.filters.http.fault",
            typed("envoy.extensions.filters.http.fault.v3.HTTPFault", delay={"fixed_delay": "0s"}),
        ),
        "FaultDelayValidationError.FixedDelay: value must be greater than 0s",
    ),
    Case(
        "per route: rbac",
        per_route("envoy.filters.http.rbac", typed("envoy.extensions.filters.http.rbac.v3.RBACPerRoute")),
    ),
    Case(
        "per route: jwt",
        per_route(
            "envoy.filters.http.jwt_authn",
            typed("envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig", disabled=True),
        ),
    ),
    Case(
        "per route: jwt bad",
        per_route("envoy.filters.http.jwt_authn", typed("envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig")),
        'field: "requirement_specifier", reason: is required',
    ),
    Case(
        "per route: lua typed struct",
        per_route(
            "zzz",
            typed(
                "xds.type.v3.TypedStruct",
                type_url="envoy.extensions.filters.http.cors.v3.CorsPolicy",
                value={"allow_methods": "GET"},
            ),
        ),
    ),
    Case(
        "per route: typed struct unknown",
        per_route("zzz", typed("xds.type.v3.TypedStruct", type_url="foo.Bar", value={"allow_methods": "GET"})),
        "Didn't find a registered implementation for 'zzz' with type URL: 'foo.Bar'",
        differs="another build of Envoy may have the type",
    ),
    Case(
        "per route: vhost no bucket",
        host(typed_per_filter_config={LIMITER: typed(LOCAL_RATELIMIT, stat_prefix="s")}),
        "local rate limit token bucket must be set for per filter configs",
    ),
    Case(
        "per route: header mutation", per_route("hm", typed(HEADER_MUTATION + "HeaderMutationPerRoute", mutations={}))
    ),
    Case("mutation: all", mutation(append={"record": {"key": "a", "value": "b"}, "action": "ADD_IF_ABSENT"})),
    Case("mutation: remove", mutation(remove="a")),
    Case("mutation: nothing", mutation(), "One of 'append'/'remove' must be specified."),
    Case(
        "mutation: both",
        mutation(append={"record": {"key": "a", "value": "b"}}, remove="a"),
        "Only one of 'append'/'remove can be specified.",
    ),
    Case("mutation: no record", mutation(append={}), "No record specified for append mutation."),
    Case(
        "mutation: a number",
        mutation(append={"record": {"key": "a", "value": 1}}),
        "Only string value is allowed for record value.",
    ),
    Case(
        "mutation: format",
        mutation(append={"record": {"key": "a", "value": "%NOPE%"}}),
        "Not supported field in StreamInfo: NOPE",
    ),
    Case(
        "filter: empty cfg",
        listener(manager(http_filters=[{"name": "x"}, ROUTER])),
        "Didn't find a registered implementation for 'x' with type URL: ''",
    ),
    Case(
        "filter: name empty",
        listener(manager(http_filters=[{"name": "", "typed_config": ROUTER["typed_config"]}])),
        "HttpFilterValidationError.Name: value length must be at least 1 characters",
    ),
    Case("filter: dup names", listener(manager(http_filters=[FILTER, FILTER, ROUTER]))),
    Case(
        "filter: no router",
        listener(manager(http_filters=[FILTER])),
        "Error: non-terminal filter named envoy.filters.http.local_ratelimit of type envoy.filters.http.local_ratelimit is the last filter in a http filter chain.",
    ),
    Case("filter: none", listener(manager(http_filters=[]))),
    Case(
        "filter: two routers",
        listener(manager(http_filters=[ROUTER, {**ROUTER, "name": "r2"}])),
        "Error: terminal filter named envoy.filters.http.router of type envoy.filters.http.router must be the last filter in a http filter chain.",
    ),
    Case(
        "filter: router disabled",
        listener(manager(http_filters=[{**ROUTER, "disabled": True}])),
        "Error: the last (terminal) filter (envoy.filters.http.router) in the chain cannot be disabled by default.",
    ),
    Case("filter: router renamed", listener(manager(http_filters=[{**ROUTER, "name": "z"}]))),
    Case(
        "filter: unknown",
        listener(manager(http_filters=[UNKNOWN, ROUTER])),
        "Didn't find a registered implementation for 'x' with type URL: 'google.protobuf.Empty'",
    ),
    Case(
        "filter: unknown optional",
        listener(
            manager(
                http_filters=[
                    {"name": "x", "is_optional": True, "typed_config": typed("google.protobuf.Empty")},
                    ROUTER,
                ]
            )
        ),
    ),
    Case(
        "filter: optional bad cfg",
        listener(
            manager(http_filters=[{**FILTER, "is_optional": True, "typed_config": typed(LOCAL_RATELIMIT)}, ROUTER])
        ),
        "LocalRateLimitValidationError.StatPrefix: value length must be at least 1 characters",
    ),
    Case(
        "filter: ecds no default",
        listener(
            manager(
                http_filters=[
                    {
                        "name": "x",
                        "config_discovery": {
                            "config_source": {"ads": {}},
                            "type_urls": ["envoy.extensions.filters.http.cors.v3.Cors"],
                        },
                    },
                    ROUTER,
                ]
            )
        ),
    ),
    Case(
        "filter: ecds no types",
        listener(
            manager(
                http_filters=[
                    {"name": "x", "config_discovery": {"config_source": {"path_config_source": {"path": "/tmp/x"}}}},
                    ROUTER,
                ]
            )
        ),
        "ExtensionConfigSourceValidationError.TypeUrls: value must contain at least 1 item(s)",
    ),
    Case(
        "filter: ecds path",
        listener(
            manager(
                http_filters=[
                    {
                        "name": "x",
                        "config_discovery": {
                            "config_source": {"path_config_source": {"path": "/dev/null"}},
                            "type_urls": ["envoy.extensions.filters.http.cors.v3.Cors"],
                        },
                    },
                    ROUTER,
                ]
            )
        ),
    ),
    Case(
        "filter: ecds warm no default",
        listener(
            manager(
                http_filters=[
                    {
                        "name": "x",
                        "config_discovery": {
                            "apply_default_config_without_warming": True,
                            "config_source": {"path_config_source": {"path": "/dev/null"}},
                            "type_urls": ["envoy.extensions.filters.http.cors.v3.Cors"],
                        },
                    },
                    ROUTER,
                ]
            )
        ),
        "Error: filter config x applied without warming but has no default config.",
    ),
    Case(
        "filter: ecds default wrong type",
        listener(
            manager(
                http_filters=[
                    {
                        "name": "x",
                        "config_discovery": {
                            "default_config": FILTER["typed_config"],
                            "config_source": {"path_config_source": {"path": "/dev/null"}},
                            "type_urls": ["envoy.extensions.filters.http.cors.v3.Cors"],
                        },
                    },
                    ROUTER,
                ]
            )
        ),
        "Error: filter config has type URL envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit but expect envoy.extensions.filters.http.cors.v3.Cors.",
    ),
    Case("cors filter", filtered(extension("envoy.extensions.filters.http.cors.v3.Cors", "tested"), ROUTER)),
    Case(
        "fault bad",
        filtered(extension("envoy.extensions.filters.http.fault.v3.HTTPFault", "tested", abort={}), ROUTER),
        'field: "error_type", reason: is required',
    ),
    Case("FC config empty any", per_route(LIMITER, typed(FILTER_CONFIG, config={}))),
    Case("FC config empty any optional", per_route(LIMITER, typed(FILTER_CONFIG, is_optional=True, config={}))),
    Case(
        "FC optional only",
        per_route(LIMITER, typed(FILTER_CONFIG, is_optional=True)),
        "Empty route/virtual host per filter configuration for envoy.filters.http.local_ratelimit filter",
    ),
    Case("cors filter per route", per_route("x", typed("envoy.extensions.filters.http.cors.v3.Cors"))),
    Case(
        "ECDS: optional",
        listener(
            manager(
                http_filters=[
                    {
                        "name": "x",
                        "is_optional": True,
                        "config_discovery": {
                            "config_source": {"ads": {}},
                            "type_urls": ["envoy.extensions.filters.http.cors.v3.Cors"],
                        },
                    },
                    ROUTER,
                ]
            )
        ),
    ),
    Case(
        "ECDS: unknown type",
        listener(
            manager(
                http_filters=[
                    {"name": "x", "config_discovery": {"config_source": {"ads": {}}, "type_urls": ["foo.Bar"]}},
                    ROUTER,
                ]
            )
        ),
        "Error: no factory found for a required type URL foo.Bar.",
        differs="the filter is asked for; what comes closes the chain",
    ),
    Case(
        "ECDS: router last",
        listener(
            manager(
                http_filters=[
                    {"name": "x", "config_discovery": {"config_source": {"ads": {}}, "type_urls": [ROUTER_TYPE]}}
                ]
            )
        ),
    ),
    Case(
        "ECDS: cors last",
        listener(
            manager(
                http_filters=[
                    {
                        "name": "x",
                        "config_discovery": {
                            "config_source": {"ads": {}},
                            "type_urls": ["envoy.extensions.filters.http.cors.v3.Cors"],
                        },
                    }
                ]
            )
        ),
    ),
    Case(
        "ECDS: router first",
        listener(
            manager(
                http_filters=[
                    {"name": "x", "config_discovery": {"config_source": {"ads": {}}, "type_urls": [ROUTER_TYPE]}},
                    ROUTER,
                ]
            )
        ),
    ),
    Case(
        "ECDS: two types",
        listener(
            manager(
                http_filters=[
                    {
                        "name": "x",
                        "config_discovery": {
                            "config_source": {"ads": {}},
                            "type_urls": [ROUTER_TYPE, "envoy.extensions.filters.http.cors.v3.Cors"],
                        },
                    },
                    ROUTER,
                ]
            )
        ),
    ),
    Case(
        "unknown optional last",
        listener(
            manager(
                http_filters=[
                    ROUTER,
                    {"name": "x", "is_optional": True, "typed_config": typed("google.protobuf.Empty")},
                ]
            )
        ),
        "Error: terminal filter named envoy.filters.http.router of type envoy.filters.http.router must be the last filter in a http filter chain.",
    ),
    Case("optional empty", listener(manager(http_filters=[{"name": "x", "is_optional": True}, ROUTER]))),
    Case(
        "neither",
        listener(manager(http_filters=[{"name": "x"}, ROUTER])),
        "Didn't find a registered implementation for 'x' with type URL: ''",
    ),
    Case(
        "disabled filter",
        listener(
            manager(
                http_filters=[
                    {"name": "x", "disabled": True, "typed_config": typed(LOCAL_RATELIMIT, stat_prefix="s")},
                    ROUTER,
                ]
            )
        ),
    ),
    Case(
        "typed struct lrl",
        listener(
            manager(
                http_filters=[
                    extension(
                        "udpa.type.v1.TypedStruct",
                        type_url=URL + LOCAL_RATELIMIT,
                        value={"stat_prefix": "s", "bogus": 1},
                    ),
                    ROUTER,
                ]
            )
        ),
        "has unknown fields",
        differs="dynamic resources may hold fields that Envoy does not know: this Envoy reads a static one",
    ),
    Case(
        "typed struct no prefix",
        listener(
            manager(
                http_filters=[extension("udpa.type.v1.TypedStruct", type_url=URL + LOCAL_RATELIMIT, value={}), ROUTER]
            )
        ),
        "LocalRateLimitValidationError.StatPrefix: value length must be at least 1 characters",
    ),
]
