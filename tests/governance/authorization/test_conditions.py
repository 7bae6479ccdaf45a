"""Each condition holds where Envoy's does."""

from __future__ import annotations

import pytest

from proxyless.governance.authorization.question import Question
from proxyless.governance.peer import Peer
from proxyless.xds.model.matchers import HeaderMatcher, StringMatcher
from proxyless.xds.model.rbac import (
    AllOf,
    AnyOf,
    Anything,
    Authenticated,
    Condition,
    IsPresent,
    MutuallyAuthenticated,
    Negated,
    Which,
    WithAddress,
    WithFilterState,
    WithHeader,
    WithMetadata,
    WithPath,
    WithPort,
    WithServerName,
    WithTemplate,
)
from proxyless.xds.model.tls import SanMatcher
from proxyless.xds.model.values import Cidr
from tests.governance.authorization.asking import FRONTEND, asked, exact, holds, request

NOBODY = Negated(Anything())
SUFFIX = StringMatcher("suffix", "/frontend")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Anything(), True),
        (NOBODY, False),
        (AllOf((Anything(),)), True),
        (AllOf((Anything(), WithPort(8080, 8081))), True),
        (AllOf((WithPort(8080, 8081), WithPath(exact("/a/b")))), True),
        (AllOf((WithPort(8080, 8081), NOBODY)), False),
        (AllOf((WithPort(8080, 8081), WithPort(1, 9000), WithPath(exact("/a/b")))), True),
        (AllOf((WithPort(8080, 8081), WithPort(1, 9000), NOBODY)), False),
        (AnyOf((NOBODY, Anything())), True),
        (AnyOf((NOBODY, WithPort(8080, 8081))), True),
        (AnyOf((NOBODY, NOBODY)), False),
        (AnyOf((WithPort(8080, 8081),)), True),
        (AnyOf(tuple(WithPort(port, port + 1) for port in range(8078, 8084))), True),
        (AnyOf(tuple(WithPort(port, port + 1) for port in range(8081, 8088))), False),
        (WithHeader(HeaderMatcher(":method", exact("GET"))), True),
        (WithHeader(HeaderMatcher("x-none")), False),
        (WithPath(exact("/a/b")), True),
        (WithPath(StringMatcher("prefix", "/a/b?")), False),
        (WithTemplate("/a/[^/]+"), True),
        (WithPort(8080, 8081), True),
        (WithPort(8079, 8080), False),
        (WithServerName(exact("sni")), True),
        (WithServerName(exact("")), False),
        (WithFilterState("io.istio.peer_principal"), False),
        (Authenticated(), True),
        (Authenticated(exact(FRONTEND)), True),
        (Authenticated(SUFFIX), True),
        (Authenticated(exact("a.shop.example")), True),
        (Authenticated(exact("CN=a")), True),
        (Authenticated(exact("")), False),
        (MutuallyAuthenticated(), True),
        (MutuallyAuthenticated(SanMatcher("suffix", "/frontend", "URI")), True),
        (MutuallyAuthenticated(SanMatcher("exact", "/frontend", "URI")), False),
        (MutuallyAuthenticated(SanMatcher("suffix", "shop.example", "DNS")), True),
        (MutuallyAuthenticated(SanMatcher("exact", "a.shop.example", "DNS")), True),
        (MutuallyAuthenticated(SanMatcher("exact", "b.shop.example", "DNS")), False),
    ],
)
def test_conditions(condition: Condition, expected: bool) -> None:
    assert holds(condition) is expected


@pytest.mark.parametrize(
    ("which", "within", "expected"),
    [
        ("source", Cidr("10.0.0.0", 24), True),
        ("source", Cidr("10.0.1.0", 24), False),
        ("source", Cidr("0.0.0.0", 0), True),
        ("direct_remote", Cidr("10.0.0.1", 32), True),
        ("remote", Cidr("203.0.113.0", 24), True),
        ("destination", Cidr("10.0.0.9", 32), True),
        ("destination", Cidr("::", 0), False),
    ],
)
def test_addresses(which: Which, within: Cidr, expected: bool) -> None:
    question = asked(remote="203.0.113.7")
    assert holds(WithAddress(which, within), question) is expected
    assert holds(WithAddress(which, within), question) is expected, "what was worked out is kept"


@pytest.mark.parametrize(
    ("text", "within", "expected"),
    [
        ("::ffff:10.0.0.1", Cidr("10.0.0.0", 8), True),
        ("2001:db8::7", Cidr("2001:db8::", 32), True),
        ("2001:db9::7", Cidr("2001:db8::", 32), False),
        ("/run/socket", Cidr("0.0.0.0", 0), False),
        ("", Cidr("::", 0), False),
    ],
)
def test_other_spellings_of_addresses(text: str, within: Cidr, expected: bool) -> None:
    assert holds(WithAddress("remote", within), asked(source=text)) is expected


def test_without_tls_nobody_is_authenticated() -> None:
    for condition in (Authenticated(), Authenticated(StringMatcher("safe_regex", ".*")), MutuallyAuthenticated()):
        assert not holds(condition, asked(peer=None))
    assert not holds(MutuallyAuthenticated(SanMatcher("prefix", "", "URI")), asked(peer=None))
    assert holds(WithServerName(exact("")), asked(peer=None))


def test_a_certificate_that_was_not_validated_says_nothing() -> None:
    peer = Peer(b"x", uri_sans=(FRONTEND,), dns_sans=("a",), subject="CN=a")
    question = asked(peer=peer)
    assert holds(Authenticated(), question)
    assert holds(Authenticated(exact("")), question)
    for name in (FRONTEND, "a", "CN=a"):
        assert not holds(Authenticated(exact(name)), question)
    assert not holds(MutuallyAuthenticated(), question)
    assert not holds(MutuallyAuthenticated(SanMatcher("exact", "a", "DNS")), question)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*.shop.example", "a.shop.example", True),
        ("*.SHOP.example", "a.shop.example", True),
        ("*.shop.example", "a.b.shop.example", False),
        ("*.shop.example", ".shop.example", False),
        ("*", "shop", False),
    ],
)
def test_a_dns_name_may_stand_for_several(pattern: str, name: str, expected: bool) -> None:
    peer = Peer(b"x", validated=True, dns_sans=(pattern,))
    assert holds(MutuallyAuthenticated(SanMatcher("exact", name, "DNS")), asked(peer=peer)) is expected


def test_metadata_is_what_filters_wrote_or_what_the_route_says() -> None:
    dynamic = {"f": {"a": {"b": "x"}}}
    there = WithMetadata("f", ("a", "b"), exact("x"))
    assert holds(there, asked(dynamic=dynamic))
    assert not holds(there)
    assert holds(WithMetadata("f", ("a",), IsPresent(wanted=True), invert=True))
    of_route = WithMetadata("f", ("a", "b"), exact("x"), of_route=True)
    not_of_route = WithMetadata("f", ("a", "b"), exact("x"), invert=True, of_route=True)
    assert holds(of_route, asked(route=dynamic))
    assert not holds(not_of_route, asked(route=dynamic))
    assert not holds(of_route, asked(dynamic=dynamic))
    assert not holds(not_of_route), "without a route nothing matches"


def test_a_connection_has_no_path_and_no_headers() -> None:
    connection = Question(source="10.0.0.1", destination="10.0.0.9", port=80)
    everything = StringMatcher("safe_regex", ".*")
    assert not holds(WithPath(everything), connection)
    assert not holds(WithHeader(HeaderMatcher("x", everything)), connection)
    assert holds(WithPath(everything), asked(request("/")))


def test_a_range_of_ipv4_that_is_spelled_as_one_of_ipv6_takes_nobody() -> None:
    """As in Envoy, where nobody who comes by IPv4 has an address of IPv6."""
    mapped = WithAddress("source", Cidr("::ffff:10.0.0.0", 104))
    assert not holds(mapped)
    assert holds(Negated(mapped))
