"""Coverage of trees of matchers (xds.type.matcher.v3) and of what may stand in them."""

from __future__ import annotations

from collections.abc import Mapping

from .status import Entry, all_of, honoured, meaningless, not_yet

XDS = "xds.type.matcher.v3."
CORE = "xds.core.v3."
MATCHER = "envoy.type.matcher.v3."
INPUTS = "envoy.extensions.matching.common_inputs."
MATCHERS = "envoy.extensions.matching.input_matchers."

NOT_UNDERSTOOD = "a tree with it is not understood: what it decides about is closed"
CONNECTION = (
    "DestinationIPInput DestinationPortInput SourceIPInput DirectSourceIPInput SourceTypeInput ServerNameInput "
    "TransportProtocolInput ApplicationProtocolInput"
)
OF_PEERS = "network.v3.SourcePortInput ssl.v3.UriSanInput ssl.v3.DnsSanInput ssl.v3.SubjectInput"
"""Of authorization alone; a tree of filter chains with one of them is not understood."""

TREES: Mapping[str, Entry] = {
    XDS + "Matcher": honoured("matcher_list matcher_tree on_no_match"),
    XDS + "Matcher.OnMatch": honoured("matcher action keep_matching"),
    XDS + "Matcher.MatcherList": honoured("matchers"),
    XDS + "Matcher.MatcherList.FieldMatcher": honoured("predicate on_match"),
    XDS + "Matcher.MatcherList.Predicate": honoured("single_predicate or_matcher and_matcher not_matcher"),
    XDS + "Matcher.MatcherList.Predicate.PredicateList": honoured("predicate"),
    XDS + "Matcher.MatcherList.Predicate.SinglePredicate": honoured("input value_match custom_match"),
    XDS + "Matcher.MatcherTree": honoured("input exact_match_map prefix_match_map custom_match"),
    XDS + "Matcher.MatcherTree.MatchMap": honoured("map"),
    XDS + "IPMatcher": honoured("range_matchers"),
    XDS + "IPMatcher.IPRangeMatcher": honoured("ranges on_match exclusive"),
    XDS + "ServerNameMatcher": honoured("domain_matchers"),
    XDS + "ServerNameMatcher.DomainMatcher": honoured("domains on_match"),
    XDS + "StringMatcher": {
        **honoured("exact prefix suffix safe_regex contains ignore_case"),
        **not_yet(NOT_UNDERSTOOD, "custom"),
    },
    XDS + "RegexMatcher": honoured("google_re2 regex"),
    XDS + "RegexMatcher.GoogleRE2": {},
    XDS + "CelMatcher": all_of(NOT_UNDERSTOOD),
    XDS + "HttpAttributesCelMatchInput": all_of(NOT_UNDERSTOOD),
    CORE + "TypedExtensionConfig": {
        **honoured("typed_config"),
        **meaningless("the type decides, as in Envoy", "name"),
    },
    CORE + "CidrRange": honoured("address_prefix prefix_len"),
    MATCHER + "HttpRequestHeaderMatchInput": honoured("header_name"),
    **{f"{INPUTS}network.v3.{each}": {} for each in CONNECTION.split()},
    **{f"{INPUTS}network.v3.{each}": all_of(NOT_UNDERSTOOD) for each in ("FilterStateInput", "NetworkNamespaceInput")},
    **{f"{INPUTS}{each}": {} for each in OF_PEERS.split()},
    MATCHERS + "ip.v3.Ip": {
        **honoured("cidr_ranges"),
        **meaningless("metrics have names of their own", "stat_prefix"),
    },
    MATCHERS + "runtime_fraction.v3.RuntimeFraction": honoured("runtime_fraction seed"),
    MATCHERS + "consistent_hashing.v3.ConsistentHashing": honoured("threshold modulo seed"),
    "envoy.config.route.v3.RouteList": honoured("routes"),
}
