"""A connection manager's filters: what runs, what closes, what is only named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxyless.governance.filters.chain import FACTORIES, FilterChainRuntime, compile_chain
from proxyless.governance.replies import LocalReply
from proxyless.governance.request import RequestView
from proxyless.governance.route_table import RouteTable
from proxyless.governance.routing import Target
from proxyless.governance.runtime import Options, Runtime
from proxyless.xds.model.filters import (
    Alpn,
    Cors,
    CorsPolicy,
    DisabledFilter,
    Fault,
    FilterConfig,
    HttpFilter,
    InertFilter,
    LocalRateLimit,
    RouterFilter,
    UnenforceableFilter,
)
from proxyless.xds.model.resource import Resource, ResourceError
from proxyless.xds.model.route import DirectResponseAction, RouteAction, WeightedCluster
from proxyless.xds.model.values import Fraction
from tests.support.model import EXTENSION, bad, resource, route, table, vhost
from tests.support.streams import FakeStream, Spy, finish, run
from tests.support.world import Clock

UNKNOWN = UnenforceableFilter("type.Unknown", "not implemented")


def compiled(
    *filters: HttpFilter, extensions: dict[str, Resource[FilterConfig]] | None = None, allowed: tuple[str, ...] = ()
) -> FilterChainRuntime:
    runtime = Runtime(Options(allow_unenforced=frozenset(allowed)), Clock())
    return compile_chain(filters, "scope", runtime, extensions or {})


@pytest.mark.parametrize("config", [InertFilter(), RouterFilter(), Alpn(), None], ids=str)
def test_what_changes_no_request_is_left_out(config: FilterConfig | None) -> None:
    assert compiled(HttpFilter("x", config)) == FilterChainRuntime()


def test_active_filters_run_in_the_order_of_the_chain() -> None:
    chain = compiled(*(HttpFilter(name, LocalRateLimit(name)) for name in ("b", "a")))
    assert [each.name for each in chain.active] == ["b", "a"]


def test_every_filter_is_looked_at_and_not_the_first_alone() -> None:
    """peers.md, kitex: only the first HTTP filter was looked at."""
    chain = compiled(HttpFilter("router-like", InertFilter()), HttpFilter("limit", LocalRateLimit("x")))
    assert [each.name for each in chain.active] == ["limit"]


def test_one_that_cannot_be_enforced_closes_the_chain_and_the_first_says_why() -> None:
    chain = compiled(HttpFilter("one", UNKNOWN), HttpFilter("two", UNKNOWN), HttpFilter("limit", LocalRateLimit("x")))
    assert chain.closed == "filter one (type.Unknown) cannot be enforced: not implemented"
    assert [each.name for each in chain.active] == ["limit"]


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [({"optional": True}, ()), ({}, ("one",)), ({}, ("type.Unknown",))],
    ids=["optional", "by name", "by type"],
)
def test_one_that_may_go_unenforced_is_named(fields: dict[str, Any], allowed: tuple[str, ...]) -> None:
    chain = compiled(HttpFilter("one", UNKNOWN, **fields), allowed=allowed)
    assert chain.closed is None
    assert [(each.resource, each.field, each.reason) for each in chain.notes] == [
        ("scope", "http_filters[one]", "not enforced: not implemented")
    ]


def test_one_whose_type_is_known_is_enforced_or_closes_however_optional_it_is() -> None:
    known = UnenforceableFilter("type.Rbac", "conditions in CEL are not supported", known=True)
    closed = compiled(HttpFilter("one", known, optional=True)).closed
    assert closed == "filter one (type.Rbac) cannot be enforced: conditions in CEL are not supported"
    assert compiled(HttpFilter("one", known, optional=True), allowed=("one",)).closed is None


def test_one_that_is_switched_off_does_not_close_the_chain() -> None:
    off = HttpFilter("one", UNKNOWN, disabled=True)
    assert compiled(off).closed is None
    assert compiled(off, allowed=("one",)) == FilterChainRuntime()


@pytest.mark.parametrize("level", ["cluster", "route", "host", "table"])
def test_one_that_is_switched_off_lets_nothing_through_where_a_route_switches_it_on(level: str) -> None:
    (switched,) = compiled(HttpFilter("one", UNKNOWN, disabled=True)).active
    on = {"one": UNKNOWN}
    entry = WeightedCluster("a", 1, filters=on if level == "cluster" else {})
    wants = route("/on", RouteAction(weighted_clusters=(entry,)), filters=on if level == "route" else {})
    here = vhost(wants, domains=["on"], filters=on if level == "host" else {})
    there = vhost(route("/", DirectResponseAction(200)), domains=["off"])
    hosts = RouteTable(table(here, filters=on)) if level == "table" else RouteTable(table(here, there))

    def ask(authority: bytes) -> LocalReply | None:
        view = RequestView(b"GET", b"http", authority, b"/on")
        found = hosts.find(authority)
        taken = found.match(view, lambda: 0.0) if found is not None else None
        target = taken.draw(view, lambda: 0.0) if taken is not None and taken.targets else None
        return run(switched, FakeStream(view, taken, target)).reply

    refused = ask(b"on")
    assert refused is not None
    assert (refused.status, refused.flag) == (503, "UF")
    assert refused.body == b"filter one (type.Unknown) cannot be enforced: not implemented"
    assert ask(b"off") is None
    assert ask(b"nobody") is None


def test_a_limit_that_is_switched_off_still_serves_the_routes_that_switch_it_on() -> None:
    chain = compiled(HttpFilter("limit", LocalRateLimit("x"), disabled=True))
    assert [each.name for each in chain.active] == ["limit"]


def place(**filters: FilterConfig) -> Target:
    """Where a route with these configurations leads."""
    wants = route("/", RouteAction(cluster="a"), filters=filters)
    found = RouteTable(table(vhost(wants, domains=["*"]))).find(b"x")
    assert found is not None
    return found.routes[0].targets[0]


def test_where_a_filter_has_nothing_to_do_it_is_left_out() -> None:
    chain = compiled(HttpFilter("fault", Fault()), HttpFilter("cors", Cors()), HttpFilter("limit", LocalRateLimit("x")))
    for here, names in (
        (None, ["limit"]),
        (place(), ["limit"]),
        (place(limit=DisabledFilter()), []),
        (place(cors=CorsPolicy()), ["cors", "limit"]),
        (place(fault=Fault(abort=Fraction(100), abort_status=418)), ["fault", "limit"]),
    ):
        assert [each.name for each in chain.at(here).active] == names


def test_what_is_left_out_somewhere_is_worked_out_once() -> None:
    chain, other = compiled(HttpFilter("fault", Fault())), compiled(HttpFilter("cors", Cors()))
    here = place(cors=CorsPolicy())
    assert chain.at(here) is chain.at(here)
    assert [each.name for each in other.at(here).active] == ["cors"]


@pytest.mark.parametrize("allowed", [(), ("limit",), ("type.Unknown",)], ids=["closed", "by name", "by type"])
def test_what_a_route_asks_for_in_vain_closes_it_unless_that_is_allowed(allowed: tuple[str, ...]) -> None:
    chain = compiled(HttpFilter("limit", LocalRateLimit("x")))
    stream = FakeStream(VIEW, target=place(limit=UNKNOWN))
    stream.runtime = Runtime(Options(allow_unenforced=frozenset(allowed)), Clock())
    reply = finish(chain.at(stream.target).request(stream)).reply
    assert (reply is None) == bool(allowed)


def test_a_filter_by_discovery_comes_first() -> None:
    wanted = HttpFilter("limit", None, discovery="limit")
    assert compiled(wanted).missing == "limit"
    held: dict[str, Resource[FilterConfig]] = {"limit": resource(EXTENSION, "limit", LocalRateLimit("x"))}
    assert [each.name for each in compiled(wanted, extensions=held).active] == ["limit"]


def test_a_filter_by_discovery_has_its_default_until_it_comes() -> None:
    wanted = HttpFilter("limit", None, discovery="limit", default=LocalRateLimit("x"))
    assert [each.name for each in compiled(wanted).active] == ["limit"]
    held: dict[str, Resource[FilterConfig]] = {"limit": resource(EXTENSION, "limit", InertFilter())}
    assert compiled(wanted, extensions=held).active == ()


def test_a_filter_by_discovery_that_is_bad_is_not_passed_over() -> None:
    with pytest.raises(ResourceError):
        compiled(HttpFilter("x", None, discovery="x"), extensions={"x": bad(EXTENSION, "x")})


# -- at work -------------------------------------------------------------------------------------------------------

VIEW = RequestView(b"GET", b"http", b"shop", b"/")


def chain_of(*filters: Spy) -> FilterChainRuntime:
    return FilterChainRuntime(filters, responders=tuple(reversed(filters)), enders=filters)


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("reply", [None, LocalReply(429)])
def test_the_first_answer_ends_the_way_in(wait: bool, reply: LocalReply | None) -> None:
    seen: list[str] = []
    chain = chain_of(Spy("a", seen), Spy("b", seen, wait, reply), Spy("c", seen))
    ran = finish(chain.request(FakeStream(VIEW)))
    assert ran.reply == (reply if reply is None else replace(reply, plain=True))
    assert len(ran.actions) == wait
    assert seen == ["a request", "b request", *(["c request"] if reply is None else [])]


def test_responses_pass_in_reverse_order_and_all_hear_of_the_end() -> None:
    seen: list[str] = []
    chain = chain_of(Spy("a", seen), Spy("b", seen))
    assert chain.response(FakeStream(VIEW), 200, []) == [(b"b", b"1"), (b"a", b"1")]
    chain.end(FakeStream(VIEW))
    assert seen == ["b response 200", "a response 200", "a end", "b end"]


def test_those_that_look_at_responses_and_ends_are_known_when_the_chain_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FACTORIES, LocalRateLimit, lambda each, config, scope, runtime: Spy(each.name, []))
    chain = compiled(HttpFilter("a", LocalRateLimit("x")), HttpFilter("b", LocalRateLimit("x")))
    assert [each.name for each in chain.responders] == ["b", "a"]
    assert [each.name for each in chain.enders] == ["a", "b"]
