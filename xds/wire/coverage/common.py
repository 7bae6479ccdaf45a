"""Coverage of what several resources share (envoy.config.core.v3, envoy.type)."""

from __future__ import annotations

from collections.abc import Mapping

from .status import Entry, honoured, meaningless, not_yet

CORE = "envoy.config.core.v3."
MATCHER = "envoy.type.matcher.v3."

NO_RUNTIME = "there is no runtime to override it: the default value counts"


CORS_POLICY: Entry = {
    **honoured(
        "allow_origin_string_match allow_methods allow_headers expose_headers max_age allow_credentials "
        "filter_enabled allow_private_network_access forward_not_matching_preflights"
    ),
    **meaningless("all that it changes are Envoy's counters", "shadow_enabled"),
}
"""envoy.extensions.filters.http.cors.v3.CorsPolicy, and envoy.config.route.v3.CorsPolicy before it."""


COMMON: Mapping[str, Entry] = {
    "envoy.config.common.mutation_rules.v3.HeaderMutation": honoured("remove append remove_on_match"),
    "envoy.config.common.mutation_rules.v3.HeaderMutation.RemoveOnMatch": honoured("key_matcher"),
    CORE + "Address": {
        **honoured("socket_address"),
        **honoured("pipe"),
        **not_yet("internal listeners are not implemented yet", "envoy_internal_address"),
    },
    CORE + "Pipe": {
        **honoured("path"),
        **meaningless("it is about sockets that are listened on", "mode"),
    },
    CORE + "SocketAddress": {
        **honoured("address port_value"),
        **meaningless("addresses are used as they are", "ipv4_compat"),
        **not_yet("everything is dialled over TCP", "protocol"),
        **not_yet("ports have numbers", "named_port"),
        **not_yet("addresses are not resolved by extensions", "resolver_name"),
        **not_yet("the program's own network namespace counts", "network_namespace_filepath"),
    },
    CORE + "SchemeHeaderTransformation": {
        **honoured("scheme_to_overwrite"),
        **not_yet("the scheme stays as it is", "match_upstream"),
    },
    "envoy.type.metadata.v3.MetadataKey": honoured("key path"),
    "envoy.type.metadata.v3.MetadataKey.PathSegment": honoured("key"),
    CORE + "CidrRange": honoured("address_prefix prefix_len"),
    CORE + "ConfigSource": {
        **honoured("ads self"),
        **meaningless("only version 3 is spoken", "resource_api_version authorities"),
        **meaningless("calls wait within their own deadline, changes 15 s", "initial_fetch_timeout"),
        **not_yet("resources come over ADS only", "path path_config_source api_config_source"),
    },
    CORE + "AggregatedConfigSource": {},
    CORE + "SelfConfigSource": meaningless("only version 3 is spoken", "transport_api_version"),
    CORE + "ExtensionConfigSource": {
        **honoured("config_source default_config type_urls"),
        **meaningless("the default is used while the resource is missing", "apply_default_config_without_warming"),
    },
    CORE + "TypedExtensionConfig": honoured("name typed_config"),
    CORE + "TransportSocket": {
        **meaningless("the type decides, as in Envoy", "name"),
        **honoured("typed_config"),
    },
    CORE + "DataSource": {
        **honoured("inline_bytes inline_string"),
        **meaningless("files are not read", "watched_directory"),
        **not_yet(
            "only inline data is taken from a control plane: the route answers 503", "filename environment_variable"
        ),
    },
    CORE + "HeaderValueOption": honoured("header append append_action keep_empty_value"),
    CORE + "HeaderValue": honoured("key value raw_value"),
    CORE + "RuntimeFractionalPercent": {
        **honoured("default_value"),
        **meaningless(NO_RUNTIME, "runtime_key"),
    },
    CORE + "RuntimeDouble": {
        **honoured("default_value"),
        **meaningless(NO_RUNTIME, "runtime_key"),
    },
    CORE + "RuntimePercent": {
        **honoured("default_value"),
        **meaningless(NO_RUNTIME, "runtime_key"),
    },
    CORE + "RuntimeUInt32": {
        **honoured("default_value"),
        **meaningless(NO_RUNTIME, "runtime_key"),
    },
    CORE + "RuntimeFeatureFlag": {
        **honoured("default_value"),
        **meaningless(NO_RUNTIME, "runtime_key"),
    },
    CORE + "Locality": honoured("region zone sub_zone"),
    CORE + "Metadata": {
        **honoured("filter_metadata"),
        **meaningless("nothing that is done looks at it", "typed_filter_metadata"),
    },
    MATCHER + "StringMatcher": {
        **honoured("exact prefix suffix safe_regex contains ignore_case"),
        **not_yet("this matcher is not implemented yet: it matches nothing", "custom"),
    },
    MATCHER + "MetadataMatcher": {
        **not_yet("nothing has written any before a route is chosen: there is nothing to compare", "filter path value"),
        **honoured("invert"),
    },
    MATCHER + "RegexMatcher": honoured("google_re2 regex"),
    MATCHER + "RegexMatcher.GoogleRE2": honoured("max_program_size"),
    MATCHER + "RegexMatchAndSubstitute": honoured("pattern substitution"),
    "envoy.type.v3.FractionalPercent": honoured("numerator denominator"),
    "envoy.type.v3.Percent": honoured("value"),
    "envoy.type.v3.Int32Range": honoured("start end"),
    "envoy.type.v3.Int64Range": honoured("start end"),
    "envoy.type.v3.TokenBucket": honoured("max_tokens tokens_per_fill fill_interval"),
    "envoy.type.v3.HttpStatus": honoured("code"),
}
