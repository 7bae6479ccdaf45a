"""Trees of matchers compiled to closures (envoy source: source/common/matcher, extensions/common/matcher).

A tree is evaluated on a subject: a request, a connection. `read` says how an input is read from it, as bytes or None
where there is nothing, which no matcher matches. What leads nowhere (a subtree without a match, `keep_matching`) does
not end the search: the next entry of a list, the next shorter prefix, the next wider range or domain is looked at, and
`on_no_match` in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeVar

from ..xds.model.extension import Extension
from ..xds.model.matching import (
    Combined,
    HashedRest,
    HashedShare,
    Input,
    IpRanges,
    MatcherTree,
    OnMatch,
    Predicate,
    ValueMatcher,
)
from ..xds.model.values import Cidr
from .balancing.digest import xx_hash
from .composition.messages import Headers
from .headers import HeaderList
from .matching import ValueTest, string_test
from .request import RequestView

S = TypeVar("S")
A = TypeVar("A")

Reader = Callable[[S], bytes | None]
Readers = Callable[[Input], Reader[S]]
Search = Callable[[S], A | None]
"""What a tree leads a subject to."""


def compile_tree(tree: MatcherTree[A], read: Readers[S]) -> Search[S, A]:
    """A tree ready to search."""
    otherwise = _end(tree.on_no_match, read) if tree.on_no_match is not None else _nowhere
    if tree.input is None:
        return _list(tree, read, otherwise)
    reader = read(tree.input)
    match tree.kind:
        case "exact":
            return _exact({key.encode(): _end(each, read) for key, each in tree.entries}, reader, otherwise)
        case "prefix":
            return _prefixes({key.encode(): _end(each, read) for key, each in tree.entries}, reader, otherwise)
        case "domains":
            return _domains({key.encode(): _end(each, read) for key, each in tree.entries}, reader, otherwise)
        case _:
            return _ranges(tree, read, reader, otherwise)


def _nowhere(subject: object) -> None:
    del subject


def _end(on_match: OnMatch[A], read: Readers[S]) -> Search[S, A]:
    if on_match.keep_matching:
        return _nowhere
    then = on_match.then
    if isinstance(then, MatcherTree):
        return compile_tree(then, read)
    return lambda subject: then


def _list(tree: MatcherTree[A], read: Readers[S], otherwise: Search[S, A]) -> Search[S, A]:
    entries = tuple((_predicate(each, read), _end(then, read)) for each, then in tree.matchers)

    def search(subject: S) -> A | None:
        for matches, then in entries:
            if matches(subject) and (found := then(subject)) is not None:
                return found
        return otherwise(subject)

    return search


def _exact(table: dict[bytes, Search[S, A]], reader: Reader[S], otherwise: Search[S, A]) -> Search[S, A]:
    def search(subject: S) -> A | None:
        value = reader(subject)
        then = table.get(value) if value is not None else None
        if then is not None and (found := then(subject)) is not None:
            return found
        return otherwise(subject)

    return search


def _prefixes(table: dict[bytes, Search[S, A]], reader: Reader[S], otherwise: Search[S, A]) -> Search[S, A]:
    lengths = sorted({len(each) for each in table}, reverse=True)

    def search(subject: S) -> A | None:
        value = reader(subject)
        if value is not None:
            for length in lengths:
                then = table.get(value[:length]) if length <= len(value) else None
                if then is not None and (found := then(subject)) is not None:
                    return found
        return otherwise(subject)

    return search


def _domains(table: dict[bytes, Search[S, A]], reader: Reader[S], otherwise: Search[S, A]) -> Search[S, A]:
    """As it is spelled, then the wildcards from the longest on, then `*`; case counts."""

    def search(subject: S) -> A | None:
        for name in _wider(reader(subject) or b""):
            then = table.get(name)
            if then is not None and (found := then(subject)) is not None:
                return found
        return otherwise(subject)

    return search


def _wider(name: bytes) -> Sequence[bytes]:
    if not name:
        return ()
    found = [] if name.startswith(b"*") else [name]
    rest = name
    while b"." in rest:
        rest = rest.partition(b".")[2]
        found.append(b"*." + rest)
    return (*found, b"*")


Address = IPv4Address | IPv6Address
Inside = Callable[[Address], bool]


def _ranges(tree: MatcherTree[A], read: Readers[S], reader: Reader[S], otherwise: Search[S, A]) -> Search[S, A]:
    """The longest prefix first, then as they are written; one that is exclusive only where it is the first."""
    entries = [
        (-cidr.prefix_len, number, _inside(cidr), each.exclusive, then)
        for number, each in enumerate(tree.ranges)
        for then in (_end(each.on_match, read),)
        for cidr in each.ranges
    ]
    entries.sort(key=lambda each: each[:2])

    def search(subject: S) -> A | None:
        address = _address(reader(subject))
        if address is not None:
            first = True
            for _, _, inside, exclusive, then in entries:
                if not inside(address) or (exclusive and not first):
                    continue
                if (found := then(subject)) is not None:
                    return found
                first = False
        return otherwise(subject)

    return search


def _inside(cidr: Cidr) -> Inside:
    network = ip_network(f"{cidr.address}/{cidr.prefix_len}", strict=False)
    return lambda address: address.version == network.version and address in network


def _address(value: bytes | None) -> Address | None:
    try:
        return ip_address((value or b"").decode("latin-1"))
    except ValueError:
        return None


def _predicate(predicate: Predicate, read: Readers[S]) -> Callable[[S], bool]:
    if isinstance(predicate, Combined):
        parts = tuple(_predicate(each, read) for each in predicate.parts)
        if predicate.kind == "not":
            inner = parts[0]
            return lambda subject: not inner(subject)
        combine = any if predicate.kind == "any" else all
        return lambda subject: combine(part(subject) for part in parts)
    reader = read(predicate.input)
    test = value_test(predicate.matcher)

    def check(subject: S) -> bool:
        value = reader(subject)
        return value is not None and test(value)

    return check


def value_test(matcher: ValueMatcher) -> ValueTest:
    """What a predicate asks of a value that is there."""
    match matcher:
        case IpRanges(ranges):
            return _within(ranges)
        case HashedShare(fraction, seed):
            return lambda value: fraction.hit(xx_hash(value, seed))
        case HashedRest(threshold, modulo, seed):
            return lambda value: xx_hash(value, seed) % modulo >= threshold
        case Extension():
            return lambda value: bool(matcher.call("match", value.decode("utf-8", "surrogateescape")))
        case _:
            return string_test(matcher)


def _within(ranges: Sequence[Cidr]) -> ValueTest:
    tests = tuple(_inside(each) for each in ranges)

    def test(value: bytes) -> bool:
        address = _address(value)
        return address is not None and any(inside(address) for inside in tests)

    return test


def read_request(looked_at: Input) -> Reader[RequestView]:
    """How an input is read from a request: a header, all its values in one; or what another package reads."""
    if looked_at.extension is not None:
        return read_extension(looked_at.extension)
    name = looked_at.name.lower().encode()

    def read(request: RequestView) -> bytes | None:
        values = request.values(name)
        return b",".join(values) if values else None

    return read


def read_extension(extension: Extension) -> Reader[RequestView]:
    """How another package reads a request: it is given the headers and, as in Envoy, the pseudo headers."""

    def read(request: RequestView) -> bytes | None:
        found = extension.call("get", shown(request))
        if found is not None and not isinstance(found, str):
            raise extension.wrong("get", found, "text or None")
        return found.encode("utf-8", "surrogateescape") if found is not None else None

    return read


def shown(request: RequestView) -> Headers:
    """The headers of a request for a package that looks at them, with the pseudo headers as in Envoy."""
    pseudo = ((b":method", request.method), (b":authority", request.authority), (b":path", request.path))
    return Headers(lambda: [*pseudo, *request.raw_headers], _unchanged)


def _unchanged(headers: HeaderList) -> None:
    del headers
    raise TypeError("the headers are there to look at, not to change")
