"""Trees of matchers, in virtual hosts and in listeners. A table, longer than a module should be."""

# Envoy's words are not broken.

from __future__ import annotations

from typing import Any

from . import Case, Json
from .build import RAW, extension, host, listener, manager

XDS = "xds.type.matcher.v3."
TYPE = "envoy.type.matcher.v3."
NETWORK = "envoy.extensions.matching.common_inputs.network.v3."
MATCHER = "envoy.extensions.matching.input_matchers."
HEADER = extension(TYPE + "HttpRequestHeaderMatchInput", header_name="x-a")
PORT = extension(NETWORK + "DestinationPortInput")
ROUTE: Json = {"action": extension("envoy.config.route.v3.Route", match={"prefix": "/"}, route={"cluster": "c"})}
TEN = [{"address_prefix": "10.0.0.0", "prefix_len": 8}]
VIOLATION = "requirement violation while creating route match tree: INVALID_ARGUMENT: "
ONLY = VIOLATION + "Route table can only match on request headers, saw type.googleapis.com/"
NOT_FOUND = "Didn't find a registered implementation for 'x' with type URL: '{}'"


def hosted(tree: Json, **fields: Any) -> Json:
    """A virtual host with a tree."""
    return host(matcher=tree, **fields)


def first(predicate: Json | None = None, then: Json | None = None, looked_at: Json = HEADER) -> Json:
    """A list of one entry."""
    own = predicate or {"single_predicate": {"input": looked_at, "value_match": {"exact": "1"}}}
    return {"matcher_list": {"matchers": [{"predicate": own, "on_match": ROUTE if then is None else then}]}}


def text(**value: Any) -> Json:
    """A list that looks at a header's value."""
    return first({"single_predicate": {"input": HEADER, "value_match": value}})


def single(kind: str, **fields: Any) -> Json:
    """A list that asks a matcher that is an extension."""
    return first({"single_predicate": {"input": HEADER, "custom_match": extension(kind, **fields)}})


def tree(**fields: Any) -> Json:
    """A map."""
    return {"matcher_tree": {"input": HEADER, **fields}}


def ranges(found: list[Json], then: Json | None = None) -> Json:
    """An IPMatcher."""
    own = {"ranges": found, "on_match": then or ROUTE}
    return tree(custom_match=extension(XDS + "IPMatcher", range_matchers=[own]))


def domains(*names: str) -> Json:
    """A ServerNameMatcher."""
    own = {"domains": list(names), "on_match": ROUTE}
    return tree(custom_match=extension(XDS + "ServerNameMatcher", domain_matchers=[own]))


def to(name: str, **fields: Any) -> Json:
    """To a filter chain."""
    return {"action": extension("google.protobuf.StringValue", value=name), **fields}


def chained(matcher: Json, *names: str, **fields: Any) -> Json:
    """A listener with a tree, and chains of these names."""
    chains = [{"name": name, "filters": [manager()], **fields} for name in names or ("one",)]
    return listener(filter_chains=chains, filter_chain_matcher=matcher)


CASES = [
    Case("list", hosted(first())),
    Case("nothing", hosted({})),
    Case("nothing but else", hosted({"on_no_match": ROUTE})),
    Case(
        "routes too",
        hosted(first(), routes=[{"match": {"prefix": "/"}, "route": {"cluster": "c"}}]),
        "cannot set both matcher and routes on virtual host",
    ),
    Case(
        "kept",
        hosted(first(then={**ROUTE, "keep_matching": True})),
        VIOLATION + "keep_matching is not supported in this context",
    ),
    Case(
        "leads nowhere",
        hosted(first(then={})),
        'caused by field: "on_match", reason: is required',
    ),
    Case(
        "query",
        hosted(first(looked_at=extension(TYPE + "HttpRequestQueryParamMatchInput", query_param="q"))),
        ONLY + TYPE + "HttpRequestQueryParamMatchInput",
    ),
    Case(
        "response",
        hosted(first(looked_at=extension(TYPE + "HttpResponseHeaderMatchInput", header_name="q"))),
        ONLY + TYPE + "HttpResponseHeaderMatchInput",
    ),
    Case("port", hosted(first(looked_at=PORT)), ONLY + NETWORK + "DestinationPortInput"),
    Case(
        "transport",
        hosted(first(looked_at=extension(NETWORK + "TransportProtocolInput"))),
        NOT_FOUND.format(NETWORK + "TransportProtocolInput"),
    ),
    Case("no input", hosted(first(looked_at=extension(RAW))), NOT_FOUND.format(RAW)),
    Case("no action", hosted(first(then={"action": extension(RAW)})), NOT_FOUND.format(RAW)),
    Case(
        "action without an action",
        hosted(first(then={"action": extension("envoy.config.route.v3.Route", match={"prefix": "/"})})),
        'field: "action", reason: is required',
    ),
    Case(
        "action that is bad",
        hosted(
            first(
                then={
                    "action": extension(
                        "envoy.config.route.v3.Route", match={"safe_regex": {"regex": "("}}, route={"cluster": "c"}
                    )
                }
            )
        ),
        "missing ): (",
    ),
    Case(
        "several routes",
        hosted(
            first(
                then={
                    "action": extension(
                        "envoy.config.route.v3.RouteList",
                        routes=[{"match": {"prefix": "/"}, "route": {"cluster": "c"}}],
                    )
                }
            )
        ),
    ),
    Case("no header", hosted(first(looked_at=extension(TYPE + "HttpRequestHeaderMatchInput")))),
    Case("regex", hosted(text(safe_regex={"google_re2": {}, "regex": "a+"}))),
    Case("bad regex", hosted(text(safe_regex={"google_re2": {}, "regex": "("})), "missing ): ("),
    Case(
        "regex in any case",
        hosted(text(safe_regex={"google_re2": {}, "regex": "a"}, ignore_case=True)),
        "ignore_case has no effect for safe_regex.",
    ),
    Case(
        "or of one",
        hosted(
            first(
                {"or_matcher": {"predicate": [{"single_predicate": {"input": HEADER, "value_match": {"exact": "1"}}}]}}
            )
        ),
        "PredicateListValidationError.Predicate: value must contain at least 2 item(s)",
    ),
    Case("exact", hosted(tree(exact_match_map={"map": {"a": ROUTE}}))),
    Case("prefix", hosted(tree(prefix_match_map={"map": {"a": ROUTE}}))),
    Case("ranges", hosted(ranges(TEN))),
    Case("ranges, no address", hosted(ranges([{"address_prefix": "x", "prefix_len": 8}])), "malformed IP address: x"),
    Case("ranges, long", hosted(ranges([{"address_prefix": "10.0.0.0", "prefix_len": 80}]))),
    Case("ranges, none", hosted(tree(custom_match=extension(XDS + "IPMatcher")))),
    Case("domains", hosted(domains("a.b", "*.b", "*"))),
    Case("domains, twice", hosted(domains("a.b", "a.b")), "Duplicate domain in ServerNameMatcher: a.b"),
    Case(
        "domains, part",
        hosted(domains("a*.b")),
        "Invalid wildcard domain format: a*.b. Only '*' and '*.domain' patterns are supported",
    ),
    Case(
        "domains, two stars",
        hosted(domains("*.*.b")),
        "Invalid wildcard domain format: *.*.b. Multiple wildcards are not supported",
    ),
    Case("domains, empty", hosted(domains("")), "Empty domain in ServerNameMatcher"),
    Case("custom, stranger", hosted(tree(custom_match=extension(RAW))), NOT_FOUND.format(RAW)),
    Case("addresses", hosted(single(MATCHER + "ip.v3.Ip", cidr_ranges=TEN, stat_prefix="s"))),
    Case(
        "addresses, bad",
        hosted(single(MATCHER + "ip.v3.Ip", cidr_ranges=[{"address_prefix": "x"}], stat_prefix="s")),
        "malformed IP address: x",
    ),
    Case(
        "fraction",
        hosted(
            single(
                MATCHER + "runtime_fraction.v3.RuntimeFraction", runtime_fraction={"default_value": {"numerator": 50}}
            )
        ),
    ),
    Case("hashed", hosted(single(MATCHER + "consistent_hashing.v3.ConsistentHashing", threshold=1, modulo=2))),
    Case("matcher, stranger", hosted(single(RAW)), NOT_FOUND.format(RAW)),
    Case("chains", chained(first(looked_at=PORT, then=to("one")))),
    Case("chains, kept", chained(first(looked_at=PORT, then=to("one", keep_matching=True)))),
    Case("chains, none of that name", chained(first(looked_at=PORT, then=to("none")))),
    Case("chains, nothing", chained({})),
    Case(
        "chains, filter state",
        chained(first(looked_at=extension(NETWORK + "FilterStateInput", key="k"), then=to("one"))),
    ),
    Case(
        "chains, no name",
        chained({"on_no_match": to("one")}, ""),
        '"name" field is required when using a listener matcher',
    ),
    Case(
        "chains, one name",
        chained({"on_no_match": to("one")}, "one", "one"),
        "\"name\" field is duplicated with value 'one'",
    ),
    Case("chains, same match", chained({"on_no_match": to("one")}, "one", "two")),
    Case(
        "chains, unimplemented",
        chained({"on_no_match": to("one")}, filter_chain_match={"suffix_len": 1}),
        "filter chain 'one' contains unimplemented fields",
    ),
    Case("chains, bad match", chained({"on_no_match": to("one")}, filter_chain_match={"server_names": ["a*"]})),
    Case(
        "chains, header",
        chained(first(then=to("one"))),
        "cannot create a filter chain matcher: " + NOT_FOUND.format(TYPE + "HttpRequestHeaderMatchInput"),
    ),
    Case(
        "chains, route",
        chained({"on_no_match": ROUTE}),
        "cannot create a filter chain matcher: " + NOT_FOUND.format("envoy.config.route.v3.Route"),
    ),
    Case(
        "chains, domains twice",
        chained(
            {
                "matcher_tree": {
                    "input": PORT,
                    "custom_match": extension(
                        XDS + "ServerNameMatcher", domain_matchers=[{"domains": ["a", "a"], "on_match": to("one")}]
                    ),
                }
            }
        ),
        "cannot create a filter chain matcher: Duplicate domain in ServerNameMatcher: a",
    ),
]
