"""What routes match (envoy.config.route.v3.RouteMatch), and the matchers of headers, queries and texts."""

from __future__ import annotations

from typing import Any

from ..registry import Effect, effect
from ..resources import Json, Shop, route, shop
from ..seeing import See, each_of, refusals

R = "envoy.config.route.v3."
MATCH = R + "RouteMatch."
HEADER = R + "HeaderMatcher."
QUERY = R + "QueryParameterMatcher."
STRING = "envoy.type.matcher.v3.StringMatcher."
REGEX = "envoy.type.matcher.v3.RegexMatcher."


def two(**match: Any) -> Shop:
    """A route with this match to `b`; whatever it does not take goes to `a`."""
    return shop(routes=[route(match, {"cluster": "b"}), route()])


def to(*requests: str | Json) -> See:
    """The clusters that requests go to."""
    return each_of("cluster", *requests)


def by_header(**matcher: Any) -> Shop:
    """A route for a header `x`."""
    return two(headers=[{"name": "x", **matcher}])


def by_text(**matcher: Any) -> Shop:
    """A route for the text of a header `x`."""
    return by_header(string_match=matcher)


def by_query(**matcher: Any) -> Shop:
    """A route for a query parameter `q`."""
    return two(query_parameters=[{"name": "q", **matcher}])


def values(*found: str) -> See:
    """The clusters that requests with these values of the header `x` go to; the last one has none."""
    return to(*({"headers": [("x", each)]} for each in found), "/a")


GRPC: Json = {"method": "POST", "headers": [("content-type", "application/grpc")]}
LONG = "[a-z]{1000}" * 40

CASES: list[Effect] = [
    effect(MATCH + "prefix", two(prefix="/b"), to("/b/1", "/a"), ["b", "a"]),
    effect(MATCH + "path", two(path="/b"), to("/b", "/b/1"), ["b", "a"]),
    effect(MATCH + "safe_regex", two(safe_regex={"regex": "/b[0-9]"}), to("/b1", "/b", "/b1/2"), ["b", "a", "a"]),
    effect(MATCH + "path_separated_prefix", two(path_separated_prefix="/b"), to("/b", "/b/1", "/bc"), ["b", "b", "a"]),
    effect(MATCH + "connect_matcher", two(connect_matcher={}), to("/a", {"url": "http://shop:80/"}), ["a", "a"]),
    effect(MATCH + "case_sensitive", two(prefix="/B", case_sensitive=False), to("/b", "/B"), ["b", "b"]),
    effect(MATCH + "headers", by_header(exact_match="1"), values("1", "2"), ["b", "a", "a"]),
    effect(MATCH + "query_parameters", by_query(string_match={"exact": "1"}), to("/?q=1", "/?q=2"), ["b", "a"]),
    effect(MATCH + "grpc", two(grpc={}), to(GRPC, "/a"), ["b", "a"]),
    effect(
        MATCH + "runtime_fraction",
        two(runtime_fraction={"default_value": {"numerator": 0}}),
        to("/a", "/a"),
        ["a", "a"],
    ),
    effect(
        "envoy.config.core.v3.RuntimeFractionalPercent.default_value",
        two(runtime_fraction={"default_value": {"numerator": 100}}),
        to("/a", "/a"),
        ["b", "b"],
        against=two(runtime_fraction={"default_value": {"numerator": 0}}),
    ),
    effect(
        "envoy.type.v3.FractionalPercent.numerator",
        two(runtime_fraction={"default_value": {"numerator": 100}}),
        to("/a", "/a"),
        ["b", "b"],
    ),
    effect(
        "envoy.type.v3.FractionalPercent.denominator",
        two(runtime_fraction={"default_value": {"numerator": 100, "denominator": "MILLION"}}),
        to("/a", "/a", "/a"),
        ["a", "a", "a"],
    ),
    # Headers.
    effect(
        HEADER + "name",
        by_header(exact_match="1"),
        to({"headers": [("x", "1")]}, {"headers": [("y", "1")]}),
        ["b", "a"],
    ),
    effect(HEADER + "exact_match", by_header(exact_match="1"), values("1", "2"), ["b", "a", "a"]),
    effect(
        HEADER + "safe_regex_match", by_header(safe_regex_match={"regex": "1+"}), values("11", "2"), ["b", "a", "a"]
    ),
    effect(
        HEADER + "range_match", by_header(range_match={"start": -5, "end": 10}), values("-5", "10"), ["b", "a", "a"]
    ),
    effect(
        "envoy.type.v3.Int64Range.start",
        by_header(range_match={"start": -5, "end": 10}),
        values("-5", "-6"),
        ["b", "a", "a"],
    ),
    effect(
        "envoy.type.v3.Int64Range.end",
        by_header(range_match={"start": -5, "end": 10}),
        values("9", "10"),
        ["b", "a", "a"],
    ),
    effect(HEADER + "present_match", by_header(present_match=False), values("1"), ["a", "b"]),
    effect(HEADER + "prefix_match", by_header(prefix_match="ab"), values("abc", "cab"), ["b", "a", "a"]),
    effect(HEADER + "suffix_match", by_header(suffix_match="ab"), values("cab", "abc"), ["b", "a", "a"]),
    effect(HEADER + "contains_match", by_header(contains_match="ab"), values("cabc", "acb"), ["b", "a", "a"]),
    effect(HEADER + "string_match", by_text(exact="1"), values("1", "2"), ["b", "a", "a"]),
    effect(HEADER + "invert_match", by_header(exact_match="1", invert_match=True), values("1", "2"), ["a", "b", "a"]),
    effect(
        HEADER + "treat_missing_header_as_empty",
        by_header(exact_match="1", invert_match=True, treat_missing_header_as_empty=True),
        values("1", "2"),
        ["a", "b", "b"],
    ),
    # Query parameters.
    effect(QUERY + "name", by_query(present_match=True), to("/?q=1", "/?p=1"), ["b", "a"]),
    effect(QUERY + "string_match", by_query(string_match={"exact": "1"}), to("/?q=1", "/?q=2"), ["b", "a"]),
    effect(
        QUERY + "present_match",
        by_query(present_match=False),
        to("/?q=1", "/"),
        ["a", "b"],
    ),
    # Texts.
    effect(STRING + "exact", by_text(exact="ab"), values("ab", "abc"), ["b", "a", "a"]),
    effect(STRING + "prefix", by_text(prefix="ab"), values("abc", "cab"), ["b", "a", "a"]),
    effect(STRING + "suffix", by_text(suffix="ab"), values("cab", "abc"), ["b", "a", "a"]),
    effect(STRING + "contains", by_text(contains="ab"), values("cabc", "acb"), ["b", "a", "a"]),
    effect(STRING + "safe_regex", by_text(safe_regex={"regex": "a+"}), values("aa", "ab"), ["b", "a", "a"]),
    effect(STRING + "ignore_case", by_text(exact="ab", ignore_case=True), values("AB", "ab"), ["b", "b", "a"]),
    effect(REGEX + "regex", by_text(safe_regex={"regex": "a+"}), values("aa", "ab"), ["b", "a", "a"]),
    effect(
        REGEX + "google_re2",
        by_text(safe_regex={"regex": LONG, "google_re2": {"max_program_size": 100}}),
        refusals,
    ),
    effect(
        REGEX + "GoogleRE2.max_program_size",
        by_text(safe_regex={"regex": LONG, "google_re2": {"max_program_size": 100}}),
        refusals,
    ),
]
