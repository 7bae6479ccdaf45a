"""Trees of matchers at every place where one may stand: what is asked is where each request ends.

`keep_matching` is not among the cases: Envoy refuses it in virtual hosts, and ends at the first connection with it in
filter chains.
"""

from __future__ import annotations

from typing import Any

from tests.differential.bootstrap import HCM
from tests.differential.case import Case
from tests.differential.recording import Resource
from tests.differential.requests import Request
from tests.support.behaviour import Headers

URL = "type.googleapis.com/"
ROUTE = "envoy.config.route.v3."
TYPE = "envoy.type.matcher.v3."
INPUT = "envoy.extensions.matching.common_inputs.network.v3."
MATCHER = "envoy.extensions.matching.input_matchers."
XDS = "xds.type.matcher.v3."
MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def extension(kind: str, **fields: Any) -> Resource:
    """A TypedExtensionConfig."""
    return {"name": kind.rpartition(".")[2], "typed_config": {"@type": URL + kind, **fields}}


def header(name: str = "x-k") -> Resource:
    """The input that is a header of the request."""
    return extension(TYPE + "HttpRequestHeaderMatchInput", header_name=name)


def leads(to: str, prefix: str = "/") -> Resource:
    """To a route to a cluster."""
    return {"action": extension(ROUTE + "Route", match={"prefix": prefix}, route={"cluster": to})}


def either(*routes: tuple[str, str]) -> Resource:
    """To the first of several routes that matches: (prefix, cluster)."""
    found = [{"match": {"prefix": prefix}, "route": {"cluster": to}} for prefix, to in routes]
    return {"action": extension(ROUTE + "RouteList", routes=found)}


def below(tree: Resource) -> Resource:
    """To another tree."""
    return {"matcher": tree}


def has(value: Resource | str, name: str = "x-k") -> Resource:
    """The predicate that a header has a value."""
    return {
        "single_predicate": {
            "input": header(name),
            "value_match": {"exact": value} if isinstance(value, str) else value,
        }
    }


def custom(matcher: Resource, looked_at: Resource | None = None) -> Resource:
    """The predicate of a matcher that is an extension."""
    return {"single_predicate": {"input": looked_at or header(), "custom_match": matcher}}


def first(*entries: tuple[Resource, Resource], **fields: Any) -> Resource:
    """A list: (predicate, on match)."""
    return {"matcher_list": {"matchers": [{"predicate": p, "on_match": then} for p, then in entries]}, **fields}


def keyed(kind: str, table: dict[str, Resource], looked_at: Resource | None = None, **fields: Any) -> Resource:
    """A map: `exact` or `prefix`."""
    return {"matcher_tree": {"input": looked_at or header(), f"{kind}_match_map": {"map": table}}, **fields}


def by_range(*entries: tuple[Resource, str], looked_at: Resource | None = None, **fields: Any) -> Resource:
    """An IPMatcher: (what an entry says beside its ranges, the ranges)."""
    found = [{"ranges": [cidr(each) for each in ranges.split()], **own} for own, ranges in entries]
    matcher = extension(XDS + "IPMatcher", range_matchers=found)
    return {"matcher_tree": {"input": looked_at or header(), "custom_match": matcher}, **fields}


def by_domain(*entries: tuple[str, Resource], looked_at: Resource | None = None, **fields: Any) -> Resource:
    """A ServerNameMatcher: (domains, on match)."""
    found = [{"domains": names.split(), "on_match": then} for names, then in entries]
    matcher = extension(XDS + "ServerNameMatcher", domain_matchers=found)
    return {"matcher_tree": {"input": looked_at or header(), "custom_match": matcher}, **fields}


def cidr(text: str) -> Resource:
    """A range."""
    address, _, length = text.partition("/")
    return {"address_prefix": address, "prefix_len": int(length)}


NOT: Resource = {"not_matcher": has("1")}
OR: Resource = {"or_matcher": {"predicate": [has("1"), has("2", "x-l")]}}
AND: Resource = {"and_matcher": {"predicate": [has("1"), has("2", "x-l")]}}
REGEX: Resource = {"safe_regex": {"google_re2": {}, "regex": "a+"}}
IPS_OF_LOOPBACK = extension(MATCHER + "ip.v3.Ip", cidr_ranges=[cidr("127.0.0.0/8")], stat_prefix="s")
IPS = custom(extension(MATCHER + "ip.v3.Ip", cidr_ranges=[cidr("10.0.0.0/8"), cidr("fe80::/16")], stat_prefix="s"))
SHARE: Resource = {"default_value": {"numerator": 40}, "runtime_key": "none"}
FRACTION = custom(extension(MATCHER + "runtime_fraction.v3.RuntimeFraction", runtime_fraction=SHARE, seed=7))
HASHED = custom(extension(MATCHER + "consistent_hashing.v3.ConsistentHashing", threshold=30, modulo=100, seed=9))

MISS = first((has("never", "x-l"), leads("c")))
"""A subtree that leads nowhere."""

TREES: dict[str, Resource] = {
    "list": first((has("1"), leads("a")), (has("2"), leads("b", "/sub"))),
    "list, else": first((has("1"), leads("a")), on_no_match=leads("b")),
    "nothing but else": {"on_no_match": leads("b")},
    "nothing": {},
    "not": first((NOT, leads("a")), on_no_match=leads("b")),
    "or": first((OR, leads("a")), on_no_match=leads("b")),
    "and": first((AND, leads("a")), on_no_match=leads("b")),
    "prefix value": first((has({"prefix": "a"}), leads("a")), on_no_match=leads("b")),
    "suffix value": first((has({"suffix": "a"}), leads("a")), on_no_match=leads("b")),
    "contains value": first((has({"contains": "a"}), leads("a")), on_no_match=leads("b")),
    "any case": first((has({"exact": "aA", "ignore_case": True}), leads("a")), on_no_match=leads("b")),
    "empty value": first((has({"exact": ""}), leads("a")), on_no_match=leads("b")),
    "regex": first((has(REGEX), leads("a")), on_no_match=leads("b")),
    "regex, no else": first((has(REGEX), leads("a"))),
    "routes": first((has("1"), either(("/sub", "a"), ("/s", "b"))), on_no_match=either(("/sub", "b"))),
    "nested": first((has("1"), below(first((has("2", "x-l"), leads("a"))))), (has("1"), leads("b"))),
    "nested, else": first(
        (has("1"), below(first((has("2", "x-l"), leads("a")), on_no_match=leads("c")))), on_no_match=leads("b")
    ),
    "exact": keyed("exact", {"1": leads("a"), "2": leads("b"), "": leads("c")}),
    "exact, else": keyed("exact", {"1": leads("a"), "2": below(MISS)}, on_no_match=leads("b")),
    "exact, path": keyed("exact", {"/": leads("a"), "/sub": leads("b")}, header(":path"), on_no_match=leads("c")),
    "prefix": keyed("prefix", {"a": leads("a"), "aa": below(MISS), "aaa": leads("b")}),
    "prefix, else": keyed("prefix", {"a": leads("a"), "1": below(MISS)}, on_no_match=leads("b")),
    "prefix of nothing": keyed("prefix", {"": leads("a"), "1": leads("b")}),
    "ranges": by_range(
        ({"on_match": leads("a")}, "10.0.0.0/8 fe80::/10"),
        ({"on_match": leads("b")}, "10.1.0.0/16 0.0.0.0/0"),
        ({"on_match": below(MISS)}, "10.1.1.0/24"),
        ({"on_match": leads("c"), "exclusive": True}, "10.1.0.0/17"),
    ),
    "ranges, one exclusive": by_range(
        ({"on_match": leads("a"), "exclusive": True}, "10.0.0.0/8"),
        ({"on_match": leads("b"), "exclusive": False}, "10.1.0.0/16"),
        ({"on_match": below(MISS)}, "10.1.1.0/24 10.2.0.0/16"),
        on_no_match=leads("c"),
    ),
    "ranges, order": by_range(
        ({"on_match": leads("a")}, "10.0.0.0/8"), ({"on_match": leads("b")}, "10.0.0.0/8"), on_no_match=leads("c")
    ),
    "ranges, miss first": by_range(
        ({"on_match": below(MISS)}, "10.0.0.0/8"), ({"on_match": leads("b")}, "10.0.0.0/8"), on_no_match=leads("c")
    ),
    "domains": by_domain(
        ("a.test", leads("a")), ("*.test *.b.a.test", leads("b")), ("c.a.test", below(MISS)), ("*", leads("c"))
    ),
    "domains, else": by_domain(("*.a.test", below(MISS)), ("*.test", leads("b")), on_no_match=leads("a")),
    "addresses": first((IPS, leads("a")), on_no_match=leads("b")),
    "fraction": first((FRACTION, leads("a")), on_no_match=leads("b")),
    "hashed": first((HASHED, leads("a")), on_no_match=leads("b")),
}

VALUES = (
    *("1", "2", "a", "aa", "aaa", "aaaa", "Aa", "aAa", "ab", "ba", "", "3", "1,2", "12"),
    *(
        "10.0.0.1",
        "10.1.0.1",
        "10.1.1.1",
        "10.1.200.1",
        "10.2.0.1",
        "11.0.0.1",
        "fe80::1",
        "fec0::1",
        "10.0.0",
        "::ffff:10.0.0.1",
    ),
    *(
        "a.test",
        "A.test",
        "b.test",
        "b.a.test",
        "c.b.a.test",
        "c.a.test",
        "d.c.a.test",
        "test",
        ".test",
        "*.test",
        "a.test.",
    ),
)
SENT: tuple[Headers, ...] = (
    (),
    *((("x-k", value),) for value in VALUES),
    (("x-k", "1"), ("x-l", "2")),
    (("x-l", "2"),),
    (("x-k", "1"), ("x-k", "2")),
    (("x-k", "a"), ("x-k", "a")),
)


def of_routes(tree: Resource) -> Case:
    """A virtual host that has a tree in place of routes."""
    asked = [Request("GET", f"http://tree.test{path}", headers) for path in ("/", "/sub") for headers in SENT]
    host = {"name": "any", "domains": ["*"], "matcher": tree}
    return Case((host,), tuple(asked))


CASES: dict[str, Case] = {f"routes: {name}": of_routes(tree) for name, tree in TREES.items()}

# -- filter chains -------------------------------------------------------------------------------------------------

NEAR, FAR = "10.1.0.1", "10.2.0.1"
CHAINS = ("one", "two", "three")


def name(chain: str) -> Resource:
    """To a filter chain."""
    return {"action": extension("google.protobuf.StringValue", value=chain)}


def network(kind: str) -> Resource:
    """The input that is something of the connection."""
    return extension(INPUT + kind)


def of(kind: str, value: str) -> Resource:
    """The predicate that something of the connection has a value."""
    return {"single_predicate": {"input": network(kind), "value_match": {"exact": value}}}


def answering(chain: str, status: int) -> Resource:
    """A chain that answers by itself."""
    table = {
        "name": chain,
        "virtual_hosts": [
            {
                "name": chain,
                "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": status}}],
            }
        ],
    }
    router = {"name": "router", "typed_config": {"@type": URL + "envoy.extensions.filters.http.router.v3.Router"}}
    config = {"@type": URL + MANAGER, "stat_prefix": chain, "route_config": table, "http_filters": [router]}
    return {"name": chain, "filters": [{"name": HCM, "typed_config": config}]}


CONNECTIONS: dict[str, Resource] = {
    "port": first((of("DestinationPortInput", "1"), name("one")), on_no_match=name("two")),
    "address": keyed("exact", {NEAR: name("one"), FAR: name("two")}, network("DestinationIPInput")),
    "ranges": by_range(
        ({"on_match": name("one")}, "10.1.0.0/16"),
        ({"on_match": name("two")}, "10.0.0.0/8"),
        looked_at=network("DestinationIPInput"),
        on_no_match=name("three"),
    ),
    "prefix": keyed("prefix", {"10.": name("one"), "10.2": name("two")}, network("DestinationIPInput")),
    "source": first((custom(IPS_OF_LOOPBACK, network("SourceIPInput")), name("one")), on_no_match=name("two")),
    "direct source": first(
        (custom(IPS_OF_LOOPBACK, network("DirectSourceIPInput")), name("one")), on_no_match=name("two")
    ),
    "kind of source": first((of("SourceTypeInput", "local"), name("one")), on_no_match=name("two")),
    "transport": first((of("TransportProtocolInput", "raw_buffer"), name("one")), on_no_match=name("two")),
    "protocol": first((of("ApplicationProtocolInput", "'http/1.1'"), name("one")), on_no_match=name("two")),
    "server name": by_domain(("*", name("one")), looked_at=network("ServerNameInput"), on_no_match=name("two")),
    "own": first((of("DestinationIPInput", NEAR), name("own")), on_no_match=name("two")),
    "nothing": {},
}


def of_chains(tree: Resource) -> Case:
    """A listener that has a tree of matchers for its chains."""
    host = {"name": "any", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "a"}}]}
    chains = [answering(chain, 210 + number) for number, chain in enumerate(CHAINS)]
    listener = {
        "filter_chains": chains,
        "filter_chain_matcher": tree,
        "default_filter_chain": answering("default", 220),
    }
    asked = tuple(Request("GET", f"http://{address}/") for address in (NEAR, FAR, "192.0.2.9"))
    return Case((host,), asked, listener=listener)


UNKNOWN = of_chains(first((of("DestinationIPInput", NEAR), name("four")), on_no_match=name("two")))
"""A tree that leads to a chain that is not there, which refuses the connection: a default chain is not asked."""

CASES.update({f"chains: {name}": of_chains(tree) for name, tree in CONNECTIONS.items()})
