"""docs/envoy-facts.md, "Virtual hosts": which one an authority has, and what stays compiled."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyless.governance.request import RequestView
from proxyless.governance.route_table import RouteTable, strip_port
from proxyless.xds.model.matching import Input, MatcherTree, OnMatch
from proxyless.xds.model.resource import ResourceError
from proxyless.xds.model.values import HeaderMutation, HeaderMutations
from tests.support.model import bad_vhost, route, table, vhost


def found(domains: list[list[str]], authority: str, **fields: Any) -> str | None:
    """The first domain of the virtual host that takes an authority."""
    fields = {"ignore_port_in_host_matching": True, **fields}
    one = RouteTable(table(*(vhost(route(), domains=each) for each in domains), **fields)).find(
        authority.encode("latin-1")
    )
    return one.config.name if one is not None else None


DOMAINS = [
    ["exact.example.com", "Second.Example.com"],
    ["*.example.com"],
    ["*.b.example.com"],
    ["*-suffix.com"],
    ["api.*"],
    ["api.v1.*"],
    ["*"],
]


@pytest.mark.parametrize(
    ("authority", "taken"),
    [
        ("exact.example.com", "exact.example.com"),
        ("EXACT.example.COM", "exact.example.com"),
        ("second.example.com", "exact.example.com"),
        ("other.example.com", "*.example.com"),
        ("a.b.example.com", "*.b.example.com"),
        ("b.example.com", "*.example.com"),
        (".example.com", "*"),
        ("example.com", "*"),
        ("x-suffix.com", "*-suffix.com"),
        ("-suffix.com", "*"),
        ("api.x", "api.*"),
        ("api.v1.x", "api.v1.*"),
        ("api.v1.", "api.*"),
        ("api.", "*"),
        ("api.example.com", "*.example.com"),
        ("exact.example.com.", "*"),
        ("", "*"),
        ("a,b", "*"),
        ("exact.example.com:8080", "exact.example.com"),
        ("exact.example.com:abc", "exact.example.com"),
        ("exact.example.com:", "exact.example.com"),
    ],
)
def test_exact_then_the_longest_suffix_then_the_longest_prefix_then_any(authority: str, taken: str) -> None:
    assert found(DOMAINS, authority) == taken


def test_without_a_domain_for_all_there_may_be_none() -> None:
    assert found([["a"], ["*.b"]], "c") is None
    assert found([], "c") is None


def test_where_the_port_is_not_ignored_it_belongs_to_the_name() -> None:
    domains = [["shop:80"], ["shop"]]
    for ignored, taken in [(False, "shop:80"), (True, "shop")]:
        assert found(domains, "shop:80", ignore_port_in_host_matching=ignored) == taken
    assert found(domains, "shop:81", ignore_port_in_host_matching=False) is None


def test_the_first_of_two_that_name_a_domain_has_it() -> None:
    for domain in ("a", "*.a", "a.*", "*"):
        one = RouteTable(table(vhost(name="first", domains=[domain]), vhost(name="second", domains=[domain])))
        host = one.find(b"x.a" if domain == "*.a" else b"a.x" if domain == "a.*" else b"a")
        assert host is not None
        assert host.config.name == "first"


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("shop", "shop"),
        ("shop:80", "shop"),
        ("shop:", "shop"),
        ("shop:abc", "shop"),
        ("a:b:80", "a:b"),
        ("[fd00::1]", "[fd00::1]"),
        ("[fd00::1]:80", "[fd00::1]"),
        ("", ""),
    ],
)
def test_the_port_is_what_stands_behind_the_last_colon(authority: str, host: str) -> None:
    assert strip_port(authority.encode()) == host.encode()


LABELS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map(".".join)


@given(st.lists(st.one_of(LABELS, LABELS.map("*.{}".format), LABELS.map("{}.*".format)), unique=True), LABELS)
def test_the_dictionaries_find_what_a_scan_would(domains: list[str], authority: str) -> None:
    def rank(domain: str) -> tuple[int, int]:
        if domain == authority:
            return 0, 0
        if domain.startswith("*") and authority.endswith(domain[1:]) and len(authority) >= len(domain):
            return 1, -len(domain)
        if domain.endswith("*") and authority.startswith(domain[:-1]) and len(authority) >= len(domain):
            return 2, -len(domain)
        return 3, 0

    best = min(domains, key=rank, default=None)
    expected = best if best is not None and rank(best)[0] < 3 else None
    assert found([[each] for each in domains], authority) == expected


def test_a_virtual_host_is_compiled_when_it_is_first_hit_and_once() -> None:
    hosts = RouteTable(table(vhost(route(), domains=["a"]), vhost(route(), domains=["b"])))
    assert hosts.used() == ()
    one = hosts.find(b"a")
    assert hosts.find(b"A") is one
    assert hosts.used() == (one,)


def test_virtual_hosts_that_did_not_change_stay_compiled_in_the_next_table() -> None:
    kept, gone = vhost(route(), domains=["kept"]), vhost(route(), domains=["gone"])
    first = RouteTable(table(kept, gone))
    before = first.find(b"kept")
    first.find(b"gone")
    second = RouteTable(table(vhost(route(), domains=["gone"]), kept), first)
    assert second.used() == (before,)
    assert second.find(b"kept") is before


@pytest.mark.parametrize(
    "changed",
    [
        {"headers": HeaderMutations(request_add=(HeaderMutation("x", "1"),))},
        {"most_specific_header_mutations_wins": True},
        {"filters": {"x": None}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_the_table_itself_says_is_compiled_into_its_virtual_hosts(changed: dict[str, Any]) -> None:
    kept = vhost(route())
    first = RouteTable(table(kept))
    before = first.find(b"x")
    assert RouteTable(table(kept, name="other"), first).find(b"x") is before
    assert RouteTable(table(kept, **changed), first).find(b"x") is not before


def test_a_virtual_host_that_envoy_would_refuse_raises_when_it_is_hit() -> None:
    hosts = RouteTable(table(bad_vhost("no route", ["bad"]), vhost(route())))
    with pytest.raises(ResourceError, match="no route"):
        hosts.find(b"bad")
    assert hosts.find(b"good") is not None


def took(requirement: str, *headers: tuple[bytes, bytes], internal: bool = False) -> str:
    """What a virtual host with a route makes of a request for /a?b."""
    held = RouteTable(table(vhost(route(), require_tls=requirement)))
    request = RequestView(b"GET", b"http", b"shop:80", b"/a?b", headers)
    request.internal = internal
    found = held.of(request)
    assert found is not None
    one = found.match(request, lambda: 0.0)
    assert one is not None
    return one.answer(request).headers[0][1].decode() if one.kind == "redirect" else one.label


AS_HTTPS = "https://shop:80/a?b"


@pytest.mark.parametrize(
    ("requirement", "proto", "internal", "expected"),
    [
        ("NONE", None, False, "route 0 (unnamed)"),
        ("ALL", None, False, AS_HTTPS),
        ("ALL", b"HTTPS", False, AS_HTTPS),
        ("ALL", b"https", False, "route 0 (unnamed)"),
        ("ALL", None, True, AS_HTTPS),
        ("EXTERNAL_ONLY", None, False, AS_HTTPS),
        ("EXTERNAL_ONLY", None, True, "route 0 (unnamed)"),
    ],
)
def test_a_virtual_host_asks_for_https_before_its_routes(
    requirement: str, proto: bytes | None, *, internal: bool, expected: str
) -> None:
    sent = ((b"x-forwarded-proto", proto),) if proto is not None else ()
    assert took(requirement, *sent, internal=internal) == expected


def test_what_asks_for_https_is_no_route_of_the_table() -> None:
    held = RouteTable(table(vhost(route(), require_tls="ALL"))).find(b"shop")
    assert held is not None
    one = held.match(RequestView(b"GET", b"http", b"shop", b"/"), lambda: 0.0)
    assert one is not None
    assert (one.label, one.index) == ("what asks for https", -1)


def test_a_tree_chooses_among_the_routes() -> None:
    """The routes that it leads to are tried in order; where it leads nowhere, no route is found."""
    tree: MatcherTree[tuple[int, ...]] = MatcherTree(
        "exact", Input("request_header", "x-k"), entries=(("1", OnMatch((0,))), ("2", OnMatch((1, 2))))
    )
    one = RouteTable(table(vhost(route("/a"), route("/b"), route("/"), domains=["*"], matcher=tree))).find(b"x")
    assert one is not None

    def index(path: bytes, value: bytes) -> int | None:
        taken = one.match(RequestView(b"GET", b"http", b"x", path, [(b"x-k", value)]), lambda: 0.0)
        return taken.index if taken is not None else None

    asked = [(b"/a", b"1"), (b"/b", b"1"), (b"/b", b"2"), (b"/a", b"2"), (b"/a", b"3")]
    assert [index(*each) for each in asked] == [0, None, 1, 2, None]
