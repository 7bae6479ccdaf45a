"""Routes compiled: which one takes a request, which cluster is drawn, what is changed on the way."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from proxyless.governance.hashing import Caller, HashPolicies
from proxyless.governance.request import RequestView
from proxyless.governance.route_table import RouteTable
from proxyless.governance.routing import CompiledRoute, Target, grpc_timeout
from proxyless.xds.model.filters import InertFilter
from proxyless.xds.model.matchers import HeaderMatcher, PathMatcher, QueryParameterMatcher, RegexRewrite, StringMatcher
from proxyless.xds.model.route import (
    DirectResponseAction,
    HashPolicy,
    MirrorPolicy,
    NonForwardingAction,
    RedirectAction,
    RetryPolicy,
    Route,
    RouteAction,
    RouteMatch,
    WeightedCluster,
)
from proxyless.xds.model.values import Fraction, HeaderMutation, HeaderMutations
from tests.support.model import route, table, vhost
from tests.support.world import Draws


def request(path: str = "/", *headers: tuple[str, str], method: str = "GET", authority: str = "shop") -> RequestView:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return RequestView(method.encode(), b"http", authority.encode(), path.encode(), raw)


def never_drawn() -> float:
    raise AssertionError("drawn")


def taken(routes: list[Route], sent: RequestView, *draws: float) -> int | None:
    """The index of the route that takes a request."""
    found = RouteTable(table(*routes)).find(b"shop")
    assert found is not None
    one = found.match(sent, Draws(*draws).random)
    return one.index if one is not None else None


def compiled(one: Route, **of_vhost: Any) -> CompiledRoute:
    found = RouteTable(table(vhost(one, **of_vhost))).find(b"shop")
    assert found is not None
    return found.routes[0]


def match(path: str = "/", **fields: Any) -> RouteMatch:
    return RouteMatch(PathMatcher("prefix", path), **fields)


def test_the_first_route_that_matches_takes_the_request() -> None:
    routes = [route("/a/b"), route("/a"), route("/a/c"), route("/")]
    assert [taken(routes, request(path)) for path in ("/a/b", "/a/c", "/x")] == [0, 1, 3]


def test_a_query_and_a_fragment_are_not_part_of_the_path_that_is_matched() -> None:
    exact = [route(PathMatcher("path", "/a"))]
    assert [taken(exact, request(path)) for path in ("/a?b", "/a#b", "/a?b#c", "/ab")] == [0, 0, 0, None]


HEADER = (HeaderMatcher("x-user", StringMatcher("exact", "alice")),)
QUERY = (QueryParameterMatcher("v", StringMatcher("exact", "2")),)
GRPC = ("content-type", "application/grpc")


@pytest.mark.parametrize(
    ("one", "sent", "matches"),
    [
        (match(headers=HEADER), request("/", ("x-user", "alice")), True),
        (match(headers=HEADER), request("/", ("x-user", "bob")), False),
        (match("/a", headers=HEADER), request("/a", ("x-user", "alice")), True),
        (match("/a", headers=HEADER), request("/b", ("x-user", "alice")), False),
        (match("/a", headers=HEADER), request("/a"), False),
        (match(headers=HEADER), request("*", ("x-user", "alice")), False),
        (match(query_parameters=QUERY), request("/?v=2"), True),
        (match(query_parameters=QUERY), request("/?v=3"), False),
        (match(headers=HEADER, query_parameters=QUERY), request("/?v=2", ("x-user", "alice")), True),
        (match(headers=HEADER, query_parameters=QUERY), request("/?v=2"), False),
        (match(grpc=True), request("/", GRPC), True),
        (match(grpc=True), request("/", ("content-type", "application/grpc+proto")), True),
        (match(grpc=True), request("/", ("content-type", "application/grpc-web")), False),
        (match(grpc=True), request("/", ("content-type", "application/grpc;charset=x")), False),
        (match(grpc=True), request("/"), False),
        (match(never="cookies is not supported"), request("/"), False),
    ],
)
def test_everything_that_a_match_says_must_hold(one: RouteMatch, sent: RequestView, matches: bool) -> None:
    assert (taken([route(one)], sent) == 0) == matches


def test_a_matcher_that_is_not_understood_does_not_widen_its_route() -> None:
    assert taken([route(match("/a", never="x is not supported")), route("/")], request("/a")) == 1


@pytest.mark.parametrize(("draw", "index"), [(0.0, 0), (0.29, 0), (0.3, 1), (0.99, 1)])
def test_a_route_may_take_a_share_of_its_requests(draw: float, index: int) -> None:
    assert taken([route(match(fraction=Fraction(30))), route("/")], request(), draw) == index


def test_a_share_is_drawn_only_for_what_else_matches() -> None:
    routes = [route(match("/a", fraction=Fraction(0))), route("/")]
    found = RouteTable(table(*routes)).find(b"shop")
    assert found is not None
    assert found.match(request("/b"), never_drawn) is found.routes[1]


# Which cluster.


def drawn(one: CompiledRoute, sent: RequestView, draw: float) -> str:
    return one.draw(sent, lambda: draw).cluster


@pytest.mark.parametrize(
    ("draw", "name"), [(0.0, "a"), (0.69, "a"), (0.7, "b"), (0.89, "b"), (0.9, "c"), (0.999999, "c")]
)
def test_clusters_are_drawn_by_their_weights(draw: float, name: str) -> None:
    assert drawn(compiled(route("/", {"a": 70, "b": 20, "c": 10})), request(), draw) == name


def test_over_many_requests_each_cluster_has_its_share() -> None:
    one, draws = compiled(route("/", {"a": 90, "b": 10})), Draws()
    counts = Counter(one.draw(request(), draws.random).cluster for _ in range(10_000))
    assert 850 < counts["b"] < 1150


def test_a_cluster_of_weight_zero_gets_nothing() -> None:
    """peers.md, kitex: it got about one in a hundred."""
    for weights in ({"never": 0, "a": 100}, {"a": 99, "never": 0, "b": 1}, {"a": 100, "never": 0}):
        one = compiled(route("/", weights))
        assert "never" not in {drawn(one, request(), step / 1000) for step in range(1000)}
        assert "never" not in one.clusters()


def test_one_cluster_is_not_drawn() -> None:
    for to in ("a", {"a": 5, "b": 0}):
        assert compiled(route("/", to)).draw(request(), never_drawn).cluster == "a"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("0", "a"),
        ("79", "a"),
        ("80", "b"),
        ("99", "b"),
        ("100", "a"),
        ("180", "b"),
        (" 80 ", "b"),
        ("x", "drawn"),
        ("-1", "drawn"),
        ("", "drawn"),
        ("9" * 5000, "drawn"),
        (None, "drawn"),
    ],
)
def test_a_header_may_hold_the_draw(value: str | None, name: str) -> None:
    one = compiled(route("/", {"a": 80, "b": 20}, weights_header="X-Draw"))
    sent = request("/", *([("x-draw", value)] if value is not None else []))
    if name == "drawn":
        assert [drawn(one, sent, draw) for draw in (0.0, 0.9)] == ["a", "b"]
    else:
        assert one.draw(sent, never_drawn).cluster == name


def test_a_header_with_two_draws_holds_none() -> None:
    one = compiled(route("/", {"a": 80, "b": 20}, weights_header="X-Draw"))
    assert one.draw(request("/", ("x-draw", "0"), ("x-draw", "0")), lambda: 0.9).cluster == "b"


KEYED = (HashPolicy("header", "x-key"), HashPolicy("source_ip"))


@pytest.mark.parametrize(("key", "address"), [("k", "10.0.0.1"), ("k", "10.0.0.2"), ("other", "10.0.0.1")])
def test_a_hash_of_the_request_and_of_where_it_is_from_may_hold_the_draw(key: str, address: str) -> None:
    one = compiled(route("/", {"a": 80, "b": 20}, weights_by_hash=True, hash_policies=KEYED))
    found = HashPolicies(KEYED).hash(request("/", ("x-key", key)), Caller(address))
    assert found is not None
    expected = "a" if found % 100 < 80 else "b"
    assert one.draw(request("/", ("x-key", key)), never_drawn, address).cluster == expected


@pytest.mark.parametrize("policies", [(), (HashPolicy("header", "x-key"),), (HashPolicy("cookie", "c", ttl_s=60.0),)])
def test_what_cannot_be_hashed_is_drawn_and_no_cookie_is_made_for_it(policies: tuple[HashPolicy, ...]) -> None:
    one = compiled(route("/", {"a": 80, "b": 20}, weights_by_hash=True, hash_policies=policies))
    assert [drawn(one, request("/"), draw) for draw in (0.0, 0.9)] == ["a", "b"]


def test_the_clusters_of_a_route_are_named_once_each_mirrors_included() -> None:
    two = route("/", {"a": 1, "b": 1}, mirrors=(MirrorPolicy("b"), MirrorPolicy("m"), MirrorPolicy("")))
    assert compiled(two).clusters() == ("a", "b", "m")
    assert compiled(route("/", "", cluster_header="x")).clusters() == ()
    assert compiled(route("/", DirectResponseAction(200))).clusters() == ()


# Timeouts of a route.


@pytest.mark.parametrize(
    ("timeout_s", "most_s", "offset_s", "asked", "effective_s"),
    [
        (15.0, None, None, "1S", 15.0),
        (None, None, None, "1S", None),
        (15.0, 0.0, None, None, None),
        (15.0, 0.0, None, "300m", 0.3),
        (15.0, 2.0, None, None, 2.0),
        (15.0, 2.0, None, "1S", 1.0),
        (15.0, 2.0, None, "5S", 2.0),
        (15.0, 2.0, None, "bad", 2.0),
        (15.0, 2.0, None, "0S", 2.0),
        (15.0, 0.0, None, "bad", None),
        (15.0, 0.0, None, "0m", None),
        (15.0, 0.0, 0.1, "300m", 0.2),
        (15.0, 0.0, 0.1, "50m", 0.05),
    ],
)
def test_a_grpc_request_may_bring_its_own_timeout(
    timeout_s: float | None, most_s: float | None, offset_s: float | None, asked: str | None, effective_s: float | None
) -> None:
    one = compiled(route(timeout_s=timeout_s, max_grpc_timeout_s=most_s, grpc_timeout_offset_s=offset_s))
    headers = [GRPC] if asked is None else [GRPC, ("grpc-timeout", asked)]
    assert one.timeout_of(request("/", *headers)) == pytest.approx(effective_s)


def test_other_requests_have_the_routes_timeout_whatever_they_ask_for() -> None:
    one = compiled(route(timeout_s=15.0, max_grpc_timeout_s=0.0))
    assert one.timeout_of(request("/", ("grpc-timeout", "1S"))) == 15.0
    assert compiled(route("/", DirectResponseAction(200))).timeout_of(request("/", GRPC)) is None


def test_a_route_timeout_of_zero_is_no_timeout() -> None:
    """peers.md, kitex: it overwrote the caller's own."""
    one = compiled(route(timeout_s=None))
    assert (one.timeout_of(request()), one.expected(None)) == (None, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1H", 3600.0),
        ("2M", 120.0),
        ("3S", 3.0),
        ("4m", 0.004),
        ("5u", 5e-6),
        ("6n", 6e-9),
        ("99999999S", 99999999.0),
        ("100000000S", None),
        ("1s", None),
        ("S", None),
        ("", None),
        ("1", None),
        ("-1S", None),
        ("1.5S", None),
        (None, None),
    ],
)
def test_a_grpc_timeout_is_at_most_eight_digits_and_a_unit(text: str | None, seconds: float | None) -> None:
    assert grpc_timeout(None if text is None else text.encode()) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("left_s", "per_try_s", "expected"), [(5.0, None, 5.0), (None, 2.0, 2.0), (5.0, 2.0, 2.0), (1.0, 2.0, 1.0)]
)
def test_a_try_may_take_its_own_timeout_or_what_is_left(
    left_s: float | None, per_try_s: float | None, expected: float
) -> None:
    policy = RetryPolicy(("5xx",), per_try_timeout_s=per_try_s)
    assert compiled(route(retry=policy)).expected(left_s) == expected


@pytest.mark.parametrize(
    ("own", "of_vhost", "retries"),
    [(None, None, None), (None, 3, 3), (2, 3, 2), (2, None, 2)],
)
def test_a_virtual_hosts_retry_policy_applies_where_the_route_has_none(
    own: int | None, of_vhost: int | None, retries: int | None
) -> None:
    policies = [RetryPolicy(("5xx",), count) if count else None for count in (own, of_vhost)]
    retry = compiled(route(retry=policies[0]), retry=policies[1]).retry
    assert (retry.retries if retry is not None else None) == retries


def test_the_policies_of_two_routes_to_one_cluster_do_not_collide() -> None:
    """peers.md, kitex: policies were kept by cluster."""
    routes = [route(f"/{count}", "a", timeout_s=count, retry=RetryPolicy(("5xx",), count)) for count in (1, 2)]
    found = RouteTable(table(*routes)).find(b"shop")
    assert found is not None
    assert [(one.timeout_s, one.retry.retries if one.retry else None) for one in found.routes] == [(1, 1), (2, 2)]


# What is changed on the way.


def test_filters_of_the_most_specific_level_win() -> None:
    names = ("table", "host", "route", "cluster")
    own = {name: {each: InertFilter() for each in names[index:]} for index, name in enumerate(names)}
    entry = WeightedCluster("a", 1, filters=own["cluster"])
    lazy = vhost(route("/", RouteAction(weighted_clusters=(entry,)), filters=own["route"]), filters=own["host"])
    found = RouteTable(table(lazy, filters=own["table"])).find(b"shop")
    assert found is not None
    (one,) = found.routes
    for name in names:
        assert one.targets[0].filters[name] is own[name][name]
    assert [one.filters[name] is own[name][name] for name in names] == [True, True, True, False]


def add(name: str) -> HeaderMutations:
    return HeaderMutations(request_add=(HeaderMutation("x", name),), response_add=(HeaderMutation("y", name),))


@pytest.mark.parametrize("wins", [False, True])
def test_mutations_come_from_four_levels_in_order(wins: bool) -> None:
    entry = WeightedCluster("a", 1, headers=add("cluster"))
    lazy = vhost(route("/", RouteAction(weighted_clusters=(entry,)), headers=add("route")), headers=add("host"))
    config = table(lazy, headers=add("table"), most_specific_header_mutations_wins=wins)
    found = RouteTable(config).find(b"shop")
    assert found is not None
    rest = ["route", "host", "table"]
    expected = ["cluster", *(reversed(rest) if wins else rest)]
    target: Target = found.routes[0].targets[0]
    for levels in (target.request_levels, target.response_levels):
        assert [each.additions[0].value for each in levels] == [name.encode() for name in expected]
    own = found.routes[0].request_levels
    assert [each.additions[0].value for each in own] == [name.encode() for name in expected[1:]]


def test_a_header_that_cannot_be_formatted_is_a_problem_of_the_route() -> None:
    odd = HeaderMutations(request_add=(HeaderMutation("x", "%CEL%"),))
    assert "header 'x': %CEL% is not supported" in compiled(route(headers=odd)).problems


@pytest.mark.parametrize(
    ("fields", "authority"),
    [
        ({}, "shop:8080"),
        ({"host_rewrite": "other"}, "other"),
        ({"host_rewrite_header": "X-Host"}, "from-header"),
        ({"host_rewrite_header": "x-empty"}, "shop:8080"),
        ({"host_rewrite_header": "x-none"}, "shop:8080"),
        ({"host_rewrite_path_regex": RegexRewrite("^/([^/]+)/.*", "\\1")}, "a"),
        ({"host_rewrite_path_regex": RegexRewrite("^/x/.*", "x")}, "/a/b"),
    ],
)
def test_the_host_that_goes_out(fields: dict[str, Any], authority: str) -> None:
    one = compiled(route("/", RouteAction(cluster="c", **fields)))
    sent = request("/a/b?q", ("x-host", "from-header"), ("x-empty", ""), authority="shop:8080")
    assert one.authority(sent) == authority.encode()


@pytest.mark.parametrize(
    ("fields", "path", "new"),
    [
        ({"prefix_rewrite": "/b"}, "/a?x", "/b?x"),
        ({"prefix_rewrite": "/b"}, "/ac", "/bc"),
        ({"prefix_rewrite": "/"}, "/a/c", "//c"),
        ({"regex_rewrite": RegexRewrite("a", "z")}, "/a/a?a", "/z/z?a"),
    ],
)
def test_a_route_may_rewrite_the_path(fields: dict[str, Any], path: str, new: str) -> None:
    rewrite = compiled(route("/a", **fields)).path_rewrite
    assert rewrite is not None
    assert rewrite(path.encode()) == new.encode()


@pytest.mark.parametrize("prefix", [None, ""])
def test_an_empty_prefix_rewrite_is_none(prefix: str | None) -> None:
    assert compiled(route("/a", prefix_rewrite=prefix)).path_rewrite is None


@pytest.mark.parametrize(
    ("operation", "propagate", "sent"), [("op", True, b"op"), ("op", False, None), (None, True, None)]
)
def test_the_decorator_goes_out_where_it_is_propagated(
    operation: str | None, propagate: bool, sent: bytes | None
) -> None:
    assert compiled(route(decorator=operation, decorator_propagate=propagate)).decorator == sent


# What the mesh answers itself.


@pytest.mark.parametrize(
    ("action", "status", "location"),
    [
        (DirectResponseAction(200, b"x"), 200, None),
        (DirectResponseAction(404), 404, None),
        (DirectResponseAction(201), 201, "http://shop/p?q"),
        (DirectResponseAction(302), 302, "http://shop/p?q"),
        (RedirectAction(303, host="other"), 303, "http://other/p?q"),
    ],
)
def test_an_answer_of_the_routes_own(action: Any, status: int, location: str | None) -> None:
    reply = compiled(route("/", action)).answer(request("/p?q"))
    assert (reply.status, reply.details, reply.flags) == (status, "direct_response", ())
    assert reply.headers == (((b"location", location.encode()),) if location else ())


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (RouteAction("a"), "route"),
        (RedirectAction(), "redirect"),
        (DirectResponseAction(200), "direct_response"),
        (NonForwardingAction(), "none"),
        (NonForwardingAction("x is not supported"), "none"),
    ],
)
def test_what_kind_of_action_a_route_has(action: Any, kind: str) -> None:
    assert compiled(route("/", action)).kind == kind


def test_an_action_that_forwards_nothing_is_nc_and_one_that_is_not_understood_closes() -> None:
    assert compiled(route("/", NonForwardingAction())).answer(request()).flags == ("NC",)
    reply = compiled(route("/", NonForwardingAction("x is not supported"))).answer(request())
    assert (reply.flags, reply.body) == (("UF",), b"x is not supported")
