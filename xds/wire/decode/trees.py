"""Trees of matchers (xds.type.matcher.v3.Matcher): one decoder for every place where one may stand.

A place says which inputs Envoy has there, which of those it lets a tree look at, and what an action means. An input or
a matcher that is not understood makes the whole tree so: where it would have led is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from operator import itemgetter
from typing import Generic, TypeVar

from google.protobuf.message import Message

from ...model.matchers import StringMatcher
from ...model.matching import (
    Combined,
    HashedRest,
    HashedShare,
    Input,
    InputKind,
    IpRanges,
    MatcherTree,
    OnMatch,
    Predicate,
    RangeMatcher,
    Single,
    ValueMatcher,
)
from ...model.records import dataclass
from ..installed import MATCHERS
from ..refused import NotUnderstoodError, RefusedError
from ..schema import types as pb
from .brought import brought
from .extensions import CUSTOM_MATCHERS, INPUT_MATCHERS, extension
from .matchers import string_matcher
from .values import cidrs, runtime_fraction, xds_cidrs

A = TypeVar("A")

TYPE_URL = "type.googleapis.com/"
NETWORK = "envoy.extensions.matching.common_inputs.network.v3."
TLS = "envoy.extensions.matching.common_inputs.ssl.v3."

INPUTS: Mapping[str, InputKind] = {
    NETWORK + "DestinationIPInput": "destination_ip",
    NETWORK + "DestinationPortInput": "destination_port",
    NETWORK + "SourceIPInput": "source_ip",
    NETWORK + "DirectSourceIPInput": "direct_source_ip",
    NETWORK + "SourceTypeInput": "source_type",
    NETWORK + "ServerNameInput": "server_name",
    NETWORK + "TransportProtocolInput": "transport_protocol",
    NETWORK + "ApplicationProtocolInput": "application_protocol",
}
"""What is looked at, by the type of the input that says so."""

OF_PEERS: Mapping[str, InputKind] = {
    **INPUTS,
    NETWORK + "SourcePortInput": "source_port",
    TLS + "UriSanInput": "uri_san",
    TLS + "DnsSanInput": "dns_san",
    TLS + "SubjectInput": "subject",
}
"""The same where a connection has been accepted, and its peer is known."""

Action = Callable[[pb.xds_core_v3.TypedExtensionConfig], A]


def _any(type_name: str) -> str | None:
    del type_name
    return None


@dataclass(frozen=True, slots=True)
class Place(Generic[A]):
    """Where a tree stands. `inputs` are those that Envoy has there; `refuse_input` says why one may not be used, and
    `violation` wraps that in Envoy's words. `of_requests`: whether there are requests to look at, for inputs that
    other packages bring.
    """

    action: Action[A]
    inputs: dict[str, str]
    keeps_matching: bool = True
    refuse_input: Callable[[str], str | None] = _any
    violation: Callable[[str], str] = str
    understood: Mapping[str, InputKind] = field(default_factory=lambda: INPUTS)
    of_requests: bool = False


def matcher_tree(message: pb.xds_matcher_v3.Matcher, place: Place[A]) -> MatcherTree[A]:
    """xds.type.matcher.v3.Matcher.

    Raises:
        NotUnderstoodError: an input or a matcher that nothing here understands.
    """
    decoder = _Decoder(place)
    try:
        tree = decoder.tree(message)
    except NotUnderstoodError:
        decoder.refuse_violations()
        raise
    decoder.refuse_violations()
    return tree


class _Decoder(Generic[A]):
    """One tree. Envoy builds all of it before it says what may not be used."""

    def __init__(self, place: Place[A]) -> None:
        self.place = place
        self.violations: list[str] = []

    def refuse_violations(self) -> None:
        if self.violations:
            raise RefusedError(self.place.violation(f"INVALID_ARGUMENT: {self.violations[0]}"))

    def tree(self, message: pb.xds_matcher_v3.Matcher) -> MatcherTree[A]:
        """What stands at the ends is decoded in the order in which people read it."""
        found: MatcherTree[A]
        match message.WhichOneof("matcher_type"):
            case "matcher_list":
                own = message.matcher_list.matchers
                entries = tuple((self._predicate(each.predicate), self._on_match(each.on_match)) for each in own)
                found = MatcherTree("list", matchers=entries)
            case "matcher_tree":
                found = self._map(message.matcher_tree)
            case _:
                found = MatcherTree("list")
        if not message.HasField("on_no_match"):
            return found
        return replace(found, on_no_match=self._on_match(message.on_no_match))

    def _map(self, message: pb.xds_matcher_v3.Matcher.MatcherTree) -> MatcherTree[A]:
        looked_at = self._input(message.input)
        match message.WhichOneof("tree_type"):
            case "exact_match_map":
                return MatcherTree("exact", looked_at, entries=self._entries(message.exact_match_map.map))
            case "prefix_match_map":
                return MatcherTree("prefix", looked_at, entries=self._entries(message.prefix_match_map.map))
            case _:
                custom = message.custom_match
                return self._custom(extension(custom.name, custom.typed_config, CUSTOM_MATCHERS), looked_at)

    def _entries(self, table: Mapping[str, pb.xds_matcher_v3.Matcher.OnMatch]) -> tuple[tuple[str, OnMatch[A]], ...]:
        return tuple((key, self._on_match(each)) for key, each in sorted(table.items(), key=itemgetter(0)))

    def _custom(self, opened: Message | None, looked_at: Input) -> MatcherTree[A]:
        match opened:
            case pb.xds_matcher_v3.IPMatcher():
                ranges = tuple(
                    RangeMatcher(xds_cidrs(each.ranges), self._on_match(each.on_match), each.exclusive)
                    for each in opened.range_matchers
                )
                return MatcherTree("ranges", looked_at, ranges=ranges)
            case pb.xds_matcher_v3.ServerNameMatcher():
                _refuse_domains(opened)
                entries = tuple(
                    (name, then)
                    for each in opened.domain_matchers
                    for then in (self._on_match(each.on_match),)
                    for name in each.domains
                )
                return MatcherTree("domains", looked_at, entries=entries)
            case _:
                raise NotUnderstoodError("custom_match of a tree is not supported")

    def _on_match(self, message: pb.xds_matcher_v3.Matcher.OnMatch) -> OnMatch[A]:
        if message.keep_matching and not self.place.keeps_matching:
            self.violations.append("keep_matching is not supported in this context")
        match message.WhichOneof("on_match"):
            case "matcher":
                return OnMatch(self.tree(message.matcher), message.keep_matching)
            case "action":
                return OnMatch(self.place.action(message.action), message.keep_matching)
            case _:
                raise RefusedError("on_match: it leads nowhere")  # Envoy does not survive it

    def _predicate(self, message: pb.xds_matcher_v3.Matcher.MatcherList.Predicate) -> Predicate:
        match message.WhichOneof("match_type"):
            case "or_matcher":
                return Combined("any", tuple(self._predicate(each) for each in message.or_matcher.predicate))
            case "and_matcher":
                return Combined("all", tuple(self._predicate(each) for each in message.and_matcher.predicate))
            case "not_matcher":
                return Combined("not", (self._predicate(message.not_matcher),))
            case _:
                single = message.single_predicate
                return Single(self._input(single.input), _value_matcher(single))

    def _input(self, message: pb.xds_core_v3.TypedExtensionConfig) -> Input:
        opened = extension(message.name, message.typed_config, self.place.inputs)
        if opened is None and self.place.of_requests:
            own = brought(MATCHERS, message.name, message.typed_config, ("get",))
            if own is not None:
                return Input("extension", own.config.type_name, own)
        type_name = opened.DESCRIPTOR.full_name if opened is not None else ""
        violation = self.place.refuse_input(type_name)
        if violation is not None:
            self.violations.append(violation)
        if isinstance(opened, pb.matcher_v3.HttpRequestHeaderMatchInput):
            return Input("request_header", opened.header_name)
        kind = self.place.understood.get(type_name)
        if kind is None:
            raise NotUnderstoodError(f"input {type_name or message.typed_config.type_url} is not supported")
        return Input(kind)


def _value_matcher(message: pb.xds_matcher_v3.Matcher.MatcherList.Predicate.SinglePredicate) -> ValueMatcher:
    if message.HasField("value_match"):
        return _string_matcher(message.value_match)
    custom = message.custom_match
    opened = extension(custom.name, custom.typed_config, INPUT_MATCHERS)
    match opened:
        case pb.ip_matcher_v3.Ip():
            return IpRanges(cidrs(opened.cidr_ranges))
        case pb.runtime_fraction_v3.RuntimeFraction():
            return HashedShare(runtime_fraction(opened.runtime_fraction), opened.seed)
        case pb.consistent_hashing_v3.ConsistentHashing():
            return HashedRest(opened.threshold, opened.modulo, opened.seed)
        case _:
            own = brought(MATCHERS, custom.name, custom.typed_config, ("match",))
            if own is None:
                raise NotUnderstoodError(f"matcher {custom.name} is not supported")
            return own


def _string_matcher(message: pb.xds_matcher_v3.StringMatcher) -> StringMatcher:
    """That of xds is spelled on the wire as Envoy's own."""
    return string_matcher(pb.matcher_v3.StringMatcher.FromString(message.SerializeToString()))


def _refuse_domains(message: pb.xds_matcher_v3.ServerNameMatcher) -> None:
    seen: set[str] = set()
    for name in (name for each in message.domain_matchers for name in each.domains):
        if name in seen:
            raise RefusedError(f"Duplicate domain in ServerNameMatcher: {name}")
        seen.add(name)
        if name == "*":
            continue
        if not name:
            raise RefusedError("Empty domain in ServerNameMatcher")
        star = name.find("*")
        if star >= 0 and (star or len(name) < 3 or name[1] != "."):
            raise RefusedError(
                f"Invalid wildcard domain format: {name}. Only '*' and '*.domain' patterns are supported"
            )
        if name.count("*") > 1:
            raise RefusedError(f"Invalid wildcard domain format: {name}. Multiple wildcards are not supported")


def only_request_headers(type_name: str) -> str | None:
    """What Envoy says where a tree may look at headers of the request alone."""
    if type_name == "envoy.type.matcher.v3.HttpRequestHeaderMatchInput":
        return None
    return f"Route table can only match on request headers, saw {TYPE_URL}{type_name}"
