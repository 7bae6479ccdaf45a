"""Which requests a route takes (RouteMatch)."""

# ruff: noqa: E501  # Envoy's words are not broken.

from __future__ import annotations

from typing import Any

from . import Case, Json
from .build import ROUTER_TYPE, STRANGER, extension, match, route


def string(**fields: Any) -> Json:
    """A HeaderMatcher by a StringMatcher."""
    return {"name": "h", "string_match": fields}


CASES = [
    Case("match: none", route(match={}), 'field: "path_specifier", reason: is required'),
    Case("match: prefix ''", match(prefix="")),
    Case("match: prefix with ?", match(prefix="/a?b")),
    Case("match: prefix with #", match(prefix="/a#b")),
    Case("path empty", match(path="")),
    Case("regex bad", match(safe_regex={"regex": "(["}), "missing ]: ["),
    Case(
        "regex empty",
        match(safe_regex={"regex": ""}),
        "RegexMatcherValidationError.Regex: value length must be at least 1 characters",
    ),
    Case(
        "separated prefix: /",
        match(path_separated_prefix="/"),
        'RouteMatchValidationError.PathSeparatedPrefix: value does not match regex pattern "^[^?#]+[^?#/]$"',
    ),
    Case(
        "separated prefix: /a/",
        match(path_separated_prefix="/a/"),
        'RouteMatchValidationError.PathSeparatedPrefix: value does not match regex pattern "^[^?#]+[^?#/]$"',
    ),
    Case("separated prefix: /a", match(path_separated_prefix="/a")),
    Case(
        "separated prefix: a",
        match(path_separated_prefix="a"),
        'RouteMatchValidationError.PathSeparatedPrefix: value does not match regex pattern "^[^?#]+[^?#/]$"',
    ),
    Case("connect", match(connect_matcher={})),
    Case(
        "uri template",
        match(
            path_match_policy=extension(
                "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig", "t", path_template="/a/{b}"
            )
        ),
    ),
    Case(
        "uri template bad",
        match(
            path_match_policy=extension(
                "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig", "t", path_template="/a/{b"
            )
        ),
        'path_match_policy.path_template /a/{b is invalid: Unmatched variable bracket in mixed pattern: "{b"',
    ),
    Case(
        "path policy unknown",
        match(path_match_policy=extension(ROUTER_TYPE, "t")),
        "Didn't find a registered implementation for 't' with type URL: 'envoy.extensions.filters.http.router.v3.Router'",
    ),
    Case(
        "header: empty name",
        match(headers=[{"name": ""}]),
        "HeaderMatcherValidationError.Name: value length must be at least 1 characters",
    ),
    Case(
        "header: bad name",
        match(headers=[{"name": "a\nb"}]),
        'HeaderMatcherValidationError.Name: value does not match regex pattern "^[^\\x00\\n\\r]*$"',
    ),
    Case("header: no spec", match(headers=[{"name": "h"}])),
    Case("header: pseudo", match(headers=[{"name": ":path", "string_match": {"exact": "/"}}])),
    Case(
        "header: regex bad",
        match(headers=[{"name": "h", "string_match": {"safe_regex": {"regex": "*"}}}]),
        "no argument for repetition operator: *",
    ),
    Case(
        "header: safe_regex_match bad",
        match(headers=[{"name": "h", "safe_regex_match": {"regex": "*"}}]),
        "no argument for repetition operator: *",
    ),
    Case("header: range inverted", match(headers=[{"name": "h", "range_match": {"start": "5", "end": "3"}}])),
    Case(
        "header: ignore_case regex",
        match(headers=[string(safe_regex={"regex": "a"}, ignore_case=True)]),
        "ignore_case has no effect for safe_regex.",
    ),
    Case(
        "header: string no pattern",
        match(headers=[{"name": "h", "string_match": {}}]),
        'field: "match_pattern", reason: is required',
    ),
    Case(
        "header: prefix empty",
        match(headers=[string(prefix="")]),
        "StringMatcherValidationError.Prefix: value length must be at least 1 characters",
    ),
    Case("header: exact empty", match(headers=[string(exact="")])),
    Case(
        "header: prefix_match empty",
        match(headers=[{"name": "h", "prefix_match": ""}]),
        "HeaderMatcherValidationError.PrefixMatch: value length must be at least 1 characters",
    ),
    Case(
        "header: contains empty",
        match(headers=[string(contains="")]),
        "StringMatcherValidationError.Contains: value length must be at least 1 characters",
    ),
    Case(
        "header: custom",
        match(headers=[string(custom=STRANGER)]),
        "Didn't find a registered implementation for 'x' with type URL: 'envoy.extensions.filters.http.router.v3.Router'",
    ),
    Case(
        "header: custom unknown type",
        match(headers=[string(custom={"name": "x"})]),
        "TypedExtensionConfigValidationError.TypedConfig: value is required",
    ),
    Case(
        "header: treat missing present",
        match(headers=[{"name": "h", "present_match": True, "treat_missing_header_as_empty": True}]),
    ),
    Case("query: none", match(query_parameters=[{"name": "q"}])),
    Case(
        "query: empty name",
        match(query_parameters=[{"name": ""}]),
        "QueryParameterMatcherValidationError.Name: value length must be at least 1 characters",
    ),
    Case(
        "query: string empty",
        match(query_parameters=[{"name": "q", "string_match": {}}]),
        'field: "match_pattern", reason: is required',
    ),
    Case(
        "query: regex bad",
        match(query_parameters=[{"name": "q", "string_match": {"safe_regex": {"regex": "*"}}}]),
        "no argument for repetition operator: *",
    ),
    Case("cookies", match(cookies=[{"name": "s", "string_match": {"exact": "a"}}])),
    Case("cookies no", match(cookies=[{"name": "s"}]), "CookieMatcherValidationError.StringMatch: value is required"),
    Case(
        "cookies bad name",
        match(cookies=[{"name": "", "string_match": {"exact": "a"}}]),
        "CookieMatcherValidationError.Name: value length must be at least 1 characters",
    ),
    Case(
        "cookies regex bad",
        match(cookies=[{"name": "s", "string_match": {"safe_regex": {"regex": "*"}}}]),
        "no argument for repetition operator: *",
    ),
    Case("tls_context", match(tls_context={"presented": True})),
    Case(
        "dynamic metadata",
        match(dynamic_metadata=[{"filter": "f", "path": [{"key": "k"}], "value": {"present_match": True}}]),
    ),
    Case(
        "dynamic metadata no path",
        match(dynamic_metadata=[{"filter": "f"}]),
        "MetadataMatcherValidationError.Path: value must contain at least 1 item(s)",
    ),
    Case(
        "dynamic metadata bad regex",
        match(
            dynamic_metadata=[
                {"filter": "f", "path": [{"key": "k"}], "value": {"string_match": {"safe_regex": {"regex": "*"}}}}
            ]
        ),
        "no argument for repetition operator: *",
    ),
    Case("filter_state", match(filter_state=[{"key": "k", "string_match": {"exact": "a"}}])),
    Case(
        "runtime_fraction no default",
        match(runtime_fraction={"runtime_key": "a"}),
        "RuntimeFractionalPercentValidationError.DefaultValue: value is required",
    ),
    Case("runtime_fraction 150", match(runtime_fraction={"default_value": {"numerator": 150}})),
    Case(
        "runtime_fraction bad denom",
        match(runtime_fraction={"default_value": {"numerator": 1, "denominator": 9}}),
        "FractionalPercentValidationError.Denominator: value must be one of the defined enum values",
    ),
    Case("grpc", match(grpc={})),
    Case("case path regex", match(safe_regex={"regex": "/a"}, case_sensitive=False)),
    Case(
        "regex google engine",
        match(safe_regex={"regex": "/a", "google_re2": {"max_program_size": 1}}),
        "regex '/a' RE2 program size of 6 > max program size of 1. Increase configured max program size if necessary.",
    ),
    Case("regex unicode", match(safe_regex={"regex": "/\\x{100}"}), "invalid escape sequence: \\x{100"),
    Case("regex \\C", match(safe_regex={"regex": "/\\C"})),
    Case("regex big", match(safe_regex={"regex": "/(a{1,1000}){1,10}"}), "invalid repetition size: {1,10}"),
    Case("regex medium", match(safe_regex={"regex": "/(a{1,100}){1,100}"}), "invalid repetition size: {1,100}"),
]
