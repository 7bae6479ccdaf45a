"""Trees of matchers (xds.type.matcher.v3.Matcher) as data; `governance.trees` compiles them.

What stands at their ends differs from place to place: the routes of a virtual host, the name of a filter chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Literal, TypeVar

from .extension import Extension
from .matchers import StringMatcher
from .records import dataclass
from .values import Cidr, Fraction

A = TypeVar("A", covariant=True)

InputKind = Literal[
    "request_header",
    "destination_ip",
    "destination_port",
    "source_ip",
    "source_port",
    "direct_source_ip",
    "source_type",
    "server_name",
    "transport_protocol",
    "application_protocol",
    "uri_san",
    "dns_san",
    "subject",
    "extension",
]


@dataclass(frozen=True, slots=True)
class Input:
    """What is looked at; `name` is that of a header. `extension`: what another package looks at."""

    kind: InputKind
    name: str = ""
    extension: Extension | None = None


@dataclass(frozen=True, slots=True)
class IpRanges:
    """envoy.extensions.matching.input_matchers.ip.v3.Ip: an address within one of them."""

    ranges: tuple[Cidr, ...]


@dataclass(frozen=True, slots=True)
class HashedShare:
    """A share of values, by their xxHash64: ...input_matchers.runtime_fraction.v3.RuntimeFraction."""

    fraction: Fraction
    seed: int = 0


@dataclass(frozen=True, slots=True)
class HashedRest:
    """The values whose xxHash64 leaves a rest of at least `threshold`: ...input_matchers.consistent_hashing.v3."""

    threshold: int
    modulo: int
    seed: int = 0


ValueMatcher = StringMatcher | IpRanges | HashedShare | HashedRest | Extension


@dataclass(frozen=True, slots=True)
class Single:
    """Matcher.MatcherList.Predicate.SinglePredicate."""

    input: Input
    matcher: ValueMatcher


@dataclass(frozen=True, slots=True)
class Combined:
    """Matcher.MatcherList.Predicate of others: `any`, `all`, or `not` of the one that it has."""

    kind: Literal["any", "all", "not"]
    parts: tuple[Predicate, ...]


Predicate = Single | Combined


@dataclass(frozen=True, slots=True)
class OnMatch(Generic[A]):
    """Matcher.OnMatch: what is done, or where it goes on. `keep_matching`: as if nothing had matched."""

    then: A | MatcherTree[A]
    keep_matching: bool = False


@dataclass(frozen=True, slots=True)
class RangeMatcher(Generic[A]):
    """xds.type.matcher.v3.IPMatcher.IPRangeMatcher."""

    ranges: tuple[Cidr, ...]
    on_match: OnMatch[A]
    exclusive: bool = False


@dataclass(frozen=True, slots=True)
class MatcherTree(Generic[A]):
    """xds.type.matcher.v3.Matcher. `entries` are those of a map, or of a ServerNameMatcher, by their keys."""

    kind: Literal["list", "exact", "prefix", "ranges", "domains"]
    input: Input | None = None
    matchers: tuple[tuple[Predicate, OnMatch[A]], ...] = ()
    entries: tuple[tuple[str, OnMatch[A]], ...] = ()
    ranges: tuple[RangeMatcher[A], ...] = ()
    on_no_match: OnMatch[A] | None = None

    def inputs(self) -> Iterator[Input]:
        """Everything that is looked at, at any depth."""
        if self.input is not None:
            yield self.input
        for predicate, _ in self.matchers:
            yield from _inputs(predicate)
        for each in self.ends():
            if isinstance(each.then, MatcherTree):
                yield from each.then.inputs()

    def ends(self) -> Iterator[OnMatch[A]]:
        """What this level leads to."""
        yield from (each for _, each in self.matchers)
        yield from (each for _, each in self.entries)
        yield from (each.on_match for each in self.ranges)
        if self.on_no_match is not None:
            yield self.on_no_match


def _inputs(predicate: Predicate) -> Iterator[Input]:
    if isinstance(predicate, Single):
        yield predicate.input
    else:
        for each in predicate.parts:
            yield from _inputs(each)
