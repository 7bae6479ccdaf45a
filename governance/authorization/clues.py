"""What a condition cannot do without: values one of which a question must have, or the condition does not hold.

A clue is one such value. Where all of several conditions must hold the clues of any of them will do, where one is
enough it takes those of each; a negation has none. `chosen` takes, of what will do, the clues that the fewest others
share.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Literal

from ...xds.model.matchers import HeaderMatcher, StringMatcher
from ...xds.model.rbac import (
    AllOf,
    AnyOf,
    AnyValue,
    Authenticated,
    Condition,
    InList,
    ValueMatcher,
    WithAddress,
    WithHeader,
    WithMetadata,
    WithPath,
    WithPort,
    WithServerName,
    WithTemplate,
)
from ...xds.model.records import dataclass
from ...xds.model.values import Cidr
from ..regex import literal_prefix
from .readers import Addresses, Claim, Header, Names, Namespaces, Path, Port, Reader, ServerName, Texts

How = Literal["exact", "prefix", "suffix", "network"]


@dataclass(frozen=True, slots=True)
class Clue:
    """`value` is text, a port, or (version, prefix length, the bits of the network)."""

    reader: Reader
    how: How
    value: bytes | int | tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Every:
    """All of these must hold."""

    parts: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of these must hold."""

    parts: tuple[Shape, ...]


Shape = Clue | Every | Either
"""How the clues of a condition belong together."""

COARSE = frozenset({b":method", b":scheme"})
"""Headers whose few values tell little apart."""


def shape_of(condition: Condition) -> Shape | None:
    """None where nothing is needed that could be looked up."""
    match condition:
        case AllOf(parts):
            return every(parts)
        case AnyOf(parts):
            return either(parts)
        case WithPath(matcher):
            return _text(Path(), matcher)
        case WithTemplate(pattern):
            return _long(Path(), "prefix", literal_prefix(pattern))
        case WithHeader(matcher):
            return _header(matcher)
        case WithServerName(matcher):
            return _text(ServerName(), matcher)
        case WithPort(start, end) if end == start + 1:
            return Clue(Port(), "exact", start)
        case WithAddress(which, within) if within.prefix_len:
            return Clue(Addresses(which), "network", network(within))
        case Authenticated(StringMatcher() as matcher):
            return _name(matcher)
        case WithMetadata(name, path, value, invert=False, of_route=False):
            return _value(Claim(name, path), value)
        case _:
            return None


def every(parts: Sequence[Condition]) -> Shape | None:
    """Of conditions that all must hold."""
    known = tuple(shape for each in parts if (shape := shape_of(each)) is not None)
    return Every(known) if known else None


def either(parts: Sequence[Condition]) -> Shape | None:
    """Of conditions one of which must hold."""
    return _either([shape_of(each) for each in parts])


def _either(shapes: Sequence[Shape | None]) -> Shape | None:
    known = tuple(each for each in shapes if each is not None)
    return Either(known) if len(known) == len(shapes) else None


def _text(reader: Texts, matcher: StringMatcher) -> Shape | None:
    if matcher.ignore_case:
        return None
    match matcher.kind:
        case "exact":
            return Clue(reader, "exact", matcher.value.encode())
        case "prefix" | "suffix" as how:
            return _long(reader, how, matcher.value)
        case "safe_regex":
            return _long(reader, "prefix", literal_prefix(matcher.value))
        case _:
            return None


def _long(reader: Texts, how: Literal["prefix", "suffix"], value: str) -> Shape | None:
    """A beginning or an end that tells something: `/` begins every path."""
    return Clue(reader, how, value.encode()) if len(value) > 1 else None


def _header(matcher: HeaderMatcher) -> Shape | None:
    spec = matcher.spec
    if matcher.invert or matcher.treat_missing_as_empty or not isinstance(spec, StringMatcher):
        return None
    name = matcher.name.lower().encode()
    if spec.ignore_case and spec.kind in ("exact", "prefix", "suffix"):
        folded = StringMatcher(spec.kind, spec.value.encode().lower().decode())
        return _text(Header(name, fold=True), folded)
    return _text(Header(name), spec)


_NAMESPACE = re.compile(r"(?:\.\*|spiffe://(?:\.\+|[\w.-]+))/ns/((?:[\w-]|\\[.-])+)/(?![?*+{])(.*)", re.ASCII)
"""How istiod asks for a namespace, or for a service account."""


def _name(matcher: StringMatcher) -> Shape | None:
    if matcher.kind == "safe_regex":
        found = _NAMESPACE.fullmatch(matcher.value)
        if found is not None and not _has_alternatives(found[2]):
            return Clue(Namespaces(), "exact", found[1].replace("\\", "").encode())
    return _text(Names(), matcher)


def _has_alternatives(pattern: str) -> bool:
    """Whether a regular expression says *or* outside of groups, or is too odd to tell."""
    depth = 0
    for part in re.findall(r"\\.|.", pattern, re.DOTALL):
        if part in ("[", "]", r"\Q"):
            return True
        depth += {"(": 1, ")": -1}.get(part, 0)
        if part == "|" and depth <= 0:
            return True
    return False


def _value(reader: Claim, matcher: ValueMatcher) -> Shape | None:
    match matcher:
        case StringMatcher():
            return _text(reader, matcher)
        case InList(StringMatcher() as one_of):
            return _text(reader, one_of)
        case InList(AnyValue(parts)):
            return _either([_value(reader, each) if isinstance(each, StringMatcher) else None for each in parts])
        case AnyValue(parts):
            return _either([_value(reader, each) for each in parts])
        case _:
            return None


def network(cidr: Cidr) -> tuple[int, int, int]:
    """A range as (version, prefix length, the bits that count). One of IPv4 that is spelled as one of IPv6 stays one of
    IPv6, as in Envoy: nobody comes from there."""
    address = ip_address(cidr.address)
    version, number = address.version, int(address)
    return version, cidr.prefix_len, number >> ((32 if version == 4 else 128) - cidr.prefix_len)


def clues_in(shape: Shape) -> Iterator[Clue]:
    """All that could be looked up."""
    if isinstance(shape, Clue):
        yield shape
    else:
        for each in shape.parts:
            yield from clues_in(each)


def chosen(shape: Shape, shared: Mapping[Clue, int]) -> tuple[float, tuple[Clue, ...]]:
    """The clues to look up, and what they cost: how many others share them."""
    match shape:
        case Every(parts):
            return min((chosen(each, shared) for each in parts), key=lambda found: found[0])
        case Either(parts):
            costs = [chosen(each, shared) for each in parts]
            return sum(cost for cost, _ in costs), tuple(dict.fromkeys(clue for _, clues in costs for clue in clues))
        case _:
            return shared[shape] + _vague(shape), (shape,)


def _vague(clue: Clue) -> float:
    if clue.how != "exact":
        return 0.5
    return 0.75 if isinstance(clue.reader, Header) and clue.reader.name in COARSE else 0.0
