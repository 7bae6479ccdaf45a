"""Trees of matchers, in virtual hosts and in listeners."""

from __future__ import annotations

from typing import Any

from ..registry import Effect, effect
from ..resources import Json, Shop, extension, host, shop
from ..seeing import See, each_of, explained, refusals
from .listeners import answering

XDS = "xds.type.matcher.v3."
MATCHER = XDS + "Matcher."
LIST = MATCHER + "MatcherList."
TREE = MATCHER + "MatcherTree."
TEXT = XDS + "StringMatcher."
HEADER = "envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
INPUT = "envoy.extensions.matching.common_inputs.network.v3."
IP = "envoy.extensions.matching.input_matchers.ip.v3.Ip"
SHARE = "envoy.extensions.matching.input_matchers.runtime_fraction.v3.RuntimeFraction"
HASH = "envoy.extensions.matching.input_matchers.consistent_hashing.v3.ConsistentHashing"
ROUTES = "envoy.config.route.v3.RouteList"
RANGE = "xds.core.v3.CidrRange."


def to(cluster: str) -> Json:
    """To a route to a cluster."""
    made: Json = {"match": {"prefix": "/"}, "route": {"cluster": cluster}}
    return {"action": extension("envoy.config.route.v3.Route", **made)}


def to_chain(name: str, **fields: Any) -> Json:
    """To a filter chain."""
    return {"action": extension("google.protobuf.StringValue", value=name), **fields}


def of(name: str = "x-k") -> Json:
    """A header of the request."""
    return extension(HEADER, header_name=name)


def is_(**value: Any) -> Json:
    """The predicate of a header's value."""
    return {"single_predicate": {"input": of(), "value_match": value}}


def by(kind: str, **fields: Any) -> Json:
    """The predicate of a matcher that is an extension, on a header's value."""
    return {"single_predicate": {"input": of(), "custom_match": extension(kind, **fields)}}


def routed(tree: Json) -> Shop:
    """A virtual host with a tree."""
    made = host(matcher=tree)
    del made["routes"]
    return shop(hosts=[made])


def first(*entries: tuple[Json, Json], otherwise: Json | None = None) -> Json:
    """A list: (predicate, on match); to cluster `a` where none matches."""
    return {
        "matcher_list": {"matchers": [{"predicate": p, "on_match": then} for p, then in entries]},
        "on_no_match": otherwise or to("a"),
    }


def when(predicate: Json) -> Shop:
    """To cluster `b` where a predicate matches, else to `a`."""
    return routed(first((predicate, to("b"))))


def mapped(**tree: Any) -> Json:
    """A map by the header's value; to cluster `a` where it has no entry."""
    return {"matcher_tree": {"input": of(), **tree}, "on_no_match": to("a")}


def ranged(*entries: Json) -> Json:
    """An IPMatcher."""
    return mapped(custom_match=extension(XDS + "IPMatcher", range_matchers=list(entries)))


def named(*entries: Json) -> Json:
    """A ServerNameMatcher."""
    return mapped(custom_match=extension(XDS + "ServerNameMatcher", domain_matchers=list(entries)))


def net(address: str, length: int) -> Json:
    """A range."""
    return {"address_prefix": address, "prefix_len": length}


def values(*found: str) -> See:
    """The clusters of requests with these values of the header."""
    return each_of("cluster", *({"url": "http://shop/", "headers": [("x-k", value)]} for value in found))


def chained(tree: Json) -> Shop:
    """A listener with a tree: chain `one` answers 418, `two` 419, the default one 420."""
    chains = [{**answering(418), "name": "one"}, {**answering(419), "name": "two"}]
    own: Json = {"filter_chain_matcher": tree, "default_filter_chain": answering(420)}
    return shop(chains=chains, listener_fields=own, names={"near.test": "10.1.0.1", "far.test": "10.2.0.1"})


def on(kind: str, value: str, **then: Any) -> Json:
    """To chain `two` where an input of the connection has a value, else to `one`."""
    predicate = {"single_predicate": {"input": extension(INPUT + kind), "value_match": {"exact": value}}}
    return first((predicate, to_chain("two", **then)), otherwise=to_chain("one"))


BOTH = [is_(prefix="v"), is_(suffix="a")]
EXCLUSIVE = ranged(
    {"ranges": [net("10.0.0.0", 8)], "on_match": to("b"), "exclusive": True},
    {
        "ranges": [net("10.1.0.0", 16)],
        "on_match": {
            "matcher": {"matcher_list": {"matchers": [{"predicate": is_(exact="never"), "on_match": to("c")}]}}
        },
    },
)
TO_TEST = named({"domains": ["*.test"], "on_match": to("b")})
TO_TEN = ranged({"ranges": [net("10.0.0.0", 8)], "on_match": to("b")})
ADDRESSES = values("10.1.0.1", "11.0.0.1")
HASHED = values(*"abcdefghijklmnop")

INNER = first((is_(exact="va"), to("b")))

CASES: list[Effect] = [
    effect("envoy.config.route.v3.VirtualHost.matcher", when(is_(exact="va")), values("va", "w"), ["b", "a"]),
    effect(
        "envoy.config.listener.v3.Listener.filter_chain_matcher",
        chained(on("DestinationPortInput", "80")),
        explained("status"),
        419,
    ),
    effect(XDS + "Matcher.matcher_list", when(is_(exact="va")), values("va", "w"), ["b", "a"]),
    effect(
        XDS + "Matcher.matcher_tree",
        routed(mapped(exact_match_map={"map": {"va": to("b")}})),
        values("va", "w"),
        ["b", "a"],
    ),
    effect(XDS + "Matcher.on_no_match", when(is_(exact="va")), values("va", "w"), ["b", "a"]),
    effect(
        MATCHER + "OnMatch.action",
        when(is_(exact="va")),
        values("va", "w"),
        ["b", "a"],
        against=routed(first((is_(exact="va"), to("c")))),
    ),
    effect(
        MATCHER + "OnMatch.matcher",
        routed(first((is_(prefix="v"), {"matcher": INNER}))),
        values("va", "vb", "w"),
        ["b", "a", "a"],
        against=when(is_(prefix="v")),
    ),
    effect(
        MATCHER + "OnMatch.keep_matching",
        chained(on("DestinationPortInput", "80", keep_matching=True)),
        explained("status"),
        418,
    ),
    effect(
        MATCHER + "MatcherList.matchers",
        when(is_(exact="va")),
        values("va", "w"),
        ["b", "a"],
        against=when(is_(exact="w")),
    ),
    effect(
        LIST + "FieldMatcher.predicate",
        when(is_(exact="va")),
        values("va", "w"),
        ["b", "a"],
        against=when(is_(exact="w")),
    ),
    effect(
        LIST + "FieldMatcher.on_match",
        when(is_(exact="va")),
        values("va", "w"),
        ["b", "a"],
        against=routed(first((is_(exact="va"), to("c")))),
    ),
    effect(
        LIST + "Predicate.single_predicate",
        when(is_(exact="va")),
        values("va", "w"),
        ["b", "a"],
        against=when(is_(exact="w")),
    ),
    effect(
        LIST + "Predicate.or_matcher",
        when({"or_matcher": {"predicate": BOTH}}),
        values("vx", "xa", "w"),
        ["b", "b", "a"],
        against=when({"and_matcher": {"predicate": BOTH}}),
    ),
    effect(
        LIST + "Predicate.and_matcher",
        when({"and_matcher": {"predicate": BOTH}}),
        values("vx", "va", "w"),
        ["a", "b", "a"],
        against=when({"or_matcher": {"predicate": BOTH}}),
    ),
    effect(
        LIST + "Predicate.not_matcher",
        when({"not_matcher": is_(exact="va")}),
        values("va", "w"),
        ["a", "b"],
        against=when(is_(exact="va")),
    ),
    effect(
        LIST + "Predicate.PredicateList.predicate",
        when({"or_matcher": {"predicate": BOTH}}),
        values("vx", "xa", "w"),
        ["b", "b", "a"],
        against=when(is_(prefix="v")),
    ),
    effect(
        LIST + "Predicate.SinglePredicate.input",
        when(is_(exact="va")),
        values("va", "w"),
        ["b", "a"],
        against=when({"single_predicate": {"input": of("x-l"), "value_match": {"exact": "va"}}}),
    ),
    effect(
        LIST + "Predicate.SinglePredicate.value_match",
        when(is_(exact="va")),
        values("va", "w"),
        ["b", "a"],
        against=when(is_(exact="w")),
    ),
    effect(
        LIST + "Predicate.SinglePredicate.custom_match",
        when(by(IP, cidr_ranges=[net("10.0.0.0", 8)], stat_prefix="s")),
        ADDRESSES,
        ["b", "a"],
        against=when(is_(exact="w")),
    ),
    effect(
        MATCHER + "MatcherTree.input",
        routed(mapped(exact_match_map={"map": {"va": to("b")}})),
        values("va", "w"),
        ["b", "a"],
        against=when(is_(exact="w")),
    ),
    effect(
        TREE + "exact_match_map",
        routed(mapped(exact_match_map={"map": {"va": to("b")}})),
        values("va", "vab"),
        ["b", "a"],
        against=routed(mapped(prefix_match_map={"map": {"va": to("b")}})),
    ),
    effect(
        TREE + "prefix_match_map",
        routed(mapped(prefix_match_map={"map": {"va": to("b")}})),
        values("va", "vab"),
        ["b", "b"],
        against=routed(mapped(exact_match_map={"map": {"va": to("b")}})),
    ),
    effect(TREE + "custom_match", routed(TO_TEN), ADDRESSES, ["b", "a"], against=routed(TO_TEST)),
    effect(
        TREE + "MatchMap.map",
        routed(mapped(exact_match_map={"map": {"va": to("b")}})),
        values("va", "w"),
        ["b", "a"],
        against=routed(mapped(exact_match_map={"map": {"w": to("b")}})),
    ),
    effect(XDS + "IPMatcher.range_matchers", routed(TO_TEN), ADDRESSES, ["b", "a"]),
    effect(
        XDS + "IPMatcher.IPRangeMatcher.ranges",
        routed(TO_TEN),
        ADDRESSES,
        ["b", "a"],
        against=routed(ranged({"ranges": [net("11.0.0.0", 8)], "on_match": to("b")})),
    ),
    effect(
        XDS + "IPMatcher.IPRangeMatcher.on_match",
        routed(TO_TEN),
        ADDRESSES,
        ["b", "a"],
        against=routed(ranged({"ranges": [net("10.0.0.0", 8)], "on_match": to("c")})),
    ),
    effect(XDS + "IPMatcher.IPRangeMatcher.exclusive", routed(EXCLUSIVE), values("10.0.0.1", "10.1.0.1"), ["b", "a"]),
    effect(
        RANGE + "address_prefix",
        routed(TO_TEN),
        ADDRESSES,
        ["b", "a"],
        against=routed(ranged({"ranges": [net("11.0.0.0", 8)], "on_match": to("b")})),
    ),
    effect(RANGE + "prefix_len", routed(TO_TEN), ADDRESSES, ["b", "a"]),
    effect(XDS + "ServerNameMatcher.domain_matchers", routed(TO_TEST), values("a.test", "test"), ["b", "a"]),
    effect(
        XDS + "ServerNameMatcher.DomainMatcher.domains",
        routed(TO_TEST),
        values("a.test", "test"),
        ["b", "a"],
        against=routed(named({"domains": ["test"], "on_match": to("b")})),
    ),
    effect(
        XDS + "ServerNameMatcher.DomainMatcher.on_match",
        routed(TO_TEST),
        values("a.test", "test"),
        ["b", "a"],
        against=routed(named({"domains": ["*.test"], "on_match": to("c")})),
    ),
    effect(
        "xds.core.v3.TypedExtensionConfig.typed_config",
        when(is_(exact="va")),
        values("va", "w"),
        ["b", "a"],
        against=when({"single_predicate": {"input": of("x-l"), "value_match": {"exact": "va"}}}),
    ),
    effect(HEADER + ".header_name", when(is_(exact="va")), values("va", "w"), ["b", "a"]),
    effect(TEXT + "exact", when(is_(exact="va")), values("va", "vab"), ["b", "a"], against=when(is_(prefix="va"))),
    effect(TEXT + "prefix", when(is_(prefix="va")), values("vab", "xva"), ["b", "a"], against=when(is_(exact="va"))),
    effect(TEXT + "suffix", when(is_(suffix="va")), values("vab", "xva"), ["a", "b"], against=when(is_(exact="va"))),
    effect(TEXT + "contains", when(is_(contains="va")), values("xvab", "w"), ["b", "a"], against=when(is_(exact="va"))),
    effect(
        TEXT + "safe_regex",
        when(is_(safe_regex={"google_re2": {}, "regex": "v+"})),
        values("vv", "va"),
        ["b", "a"],
        against=when(is_(exact="va")),
    ),
    effect(TEXT + "ignore_case", when(is_(exact="va", ignore_case=True)), values("VA", "w"), ["b", "a"]),
    effect(
        XDS + "RegexMatcher.regex",
        when(is_(safe_regex={"google_re2": {}, "regex": "v+"})),
        values("vv", "va"),
        ["b", "a"],
        against=when(is_(safe_regex={"google_re2": {}, "regex": "va"})),
    ),
    effect(
        XDS + "RegexMatcher.google_re2",
        when(is_(safe_regex={"google_re2": {}, "regex": "v+"})),
        refusals,
        what="refused without it",
    ),
    effect(
        IP + ".cidr_ranges",
        when(by(IP, cidr_ranges=[net("10.0.0.0", 8)], stat_prefix="s")),
        ADDRESSES,
        ["b", "a"],
        against=when(by(IP, cidr_ranges=[net("11.0.0.0", 8)], stat_prefix="s")),
    ),
    effect(
        SHARE + ".runtime_fraction",
        when(by(SHARE, runtime_fraction={"default_value": {"numerator": 100}})),
        values("va"),
        ["b"],
        against=when(by(SHARE, runtime_fraction={"default_value": {"numerator": 0}})),
    ),
    effect(SHARE + ".seed", when(by(SHARE, runtime_fraction={"default_value": {"numerator": 50}}, seed=3)), HASHED),
    effect(HASH + ".threshold", when(by(HASH, threshold=50, modulo=100)), HASHED),
    effect(
        HASH + ".modulo",
        when(by(HASH, threshold=50, modulo=100)),
        HASHED,
        against=when(by(HASH, threshold=50, modulo=70)),
    ),
    effect(HASH + ".seed", when(by(HASH, threshold=50, modulo=100, seed=3)), HASHED),
    effect(
        ROUTES + ".routes",
        routed(
            first(
                (
                    is_(exact="va"),
                    {"action": extension(ROUTES, routes=[{"match": {"prefix": "/"}, "route": {"cluster": "b"}}])},
                )
            )
        ),
        each_of("status", {"headers": [("x-k", "va")]}),
        [None],
    ),
]
