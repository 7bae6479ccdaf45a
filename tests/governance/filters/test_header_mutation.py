"""Mutations of a chain and of places, of requests, queries and responses."""

from __future__ import annotations

import pytest

from proxyless.governance.filters.header_mutation import HeaderMutationFilter
from proxyless.governance.request import RequestView
from proxyless.governance.routing import Target
from proxyless.xds.model.filters import FilterConfig, HttpFilter, MutateHeaders, ParameterMutation
from proxyless.xds.model.route import RouteAction
from proxyless.xds.model.values import AppendAction, HeaderMutation
from tests.governance.filters.places import target
from tests.support.model import cluster, route, table
from tests.support.streams import FakeStream
from tests.support.world import World

APPEND, ABSENT, OVERWRITE, EXISTS = AppendAction


def stream(path: bytes = b"/", place: Target | None = None, *headers: tuple[bytes, bytes]) -> FakeStream:
    return FakeStream(RequestView(b"GET", b"http", b"shop", path, list(headers)), target=place)


def query(path: bytes, *mutations: ParameterMutation) -> bytes:
    filter_ = HeaderMutationFilter("m", MutateHeaders(parameters=mutations), wins=False)
    asked = stream(path, None, (b"x-a", b"v"))
    filter_.on_request(asked)
    return asked.request.path


@pytest.mark.parametrize(
    ("path", "mutation", "expected"),
    [
        (b"/", ParameterMutation("a", "1", APPEND), b"/?a=1"),
        (b"/?a=0", ParameterMutation("a", "1", APPEND), b"/?a=0&a=1"),
        (b"/?a=0", ParameterMutation("a", "1", ABSENT), b"/?a=0"),
        (b"/?b", ParameterMutation("a", "1", ABSENT), b"/?a=1&b="),
        (b"/?a=0&a=2", ParameterMutation("a", "1", OVERWRITE), b"/?a=1"),
        (b"/?a=0", ParameterMutation("a", "1", EXISTS), b"/?a=1"),
        (b"/?b=0", ParameterMutation("a", "1", EXISTS), b"/?b=0"),
        (b"/?a=0&a=2&b=1", ParameterMutation("a", None), b"/?b=1"),
        (b"/p?a=0", ParameterMutation("a", None), b"/p"),
        (b"/?a&", ParameterMutation("x", None), b"/?a="),
        (b"/", ParameterMutation("a", "%REQ(x-a)% &"), b"/?a=v%20%26"),
        (b"/?z=%26", ParameterMutation("x", None), b"/?z=&"),
        (b"/?z=%20", ParameterMutation("x", None), b"/?z=%20"),
    ],
)
def test_the_query_is_mutated(path: bytes, mutation: ParameterMutation, expected: bytes) -> None:
    assert query(path, mutation) == expected


def added(value: str) -> MutateHeaders:
    return MutateHeaders((HeaderMutation("x-a", value),), (), (HeaderMutation("x-b", value),))


@pytest.mark.parametrize(("wins", "expected"), [(False, [b"0", b"1", b"2"]), (True, [b"0", b"2", b"1"])])
def test_the_chain_goes_before_every_level(wins: bool, expected: list[bytes]) -> None:
    host: dict[str, FilterConfig] = {"m": added("2")}
    place = target(host=host, m=added("1"))
    filter_ = HeaderMutationFilter("m", added("0"), wins=wins)
    for _ in range(2):
        asked = stream(b"/", place)
        filter_.on_request(asked)
        assert [value for _, value in asked.request.raw_headers] == expected
        assert [value for _, value in filter_.on_response(asked, 200, [])] == expected


def test_many_places_do_not_pile_up() -> None:
    filter_ = HeaderMutationFilter("m", added("0"), wins=False)
    places = [target() for _ in range(1030)]
    for place in places:
        filter_.on_request(stream(b"/", place))
    assert len(filter_._places) < 1024


def test_it_is_left_out_where_nothing_is_asked_of_it() -> None:
    switched = HeaderMutationFilter("m", None, wins=False)
    assert not switched.applies(None)
    assert not switched.applies(target())
    assert switched.applies(target(m=added("1")))
    assert HeaderMutationFilter("m", MutateHeaders(), wins=False).applies(None)
    asked = stream()
    switched.on_request(asked)
    assert switched.on_response(asked, 200, []) == []


def test_values_know_the_response() -> None:
    config = MutateHeaders((HeaderMutation("x-a", "%REQ(x-b)%"),), (), (HeaderMutation("x-s", "%RESP(x-r)%"),))
    filter_ = HeaderMutationFilter("m", config, wins=False)
    asked = stream(b"/", None, (b"x-b", b"1"))
    filter_.on_request(asked)
    assert asked.request.header(b"x-a") == b"1"
    assert filter_.on_response(asked, 503, [(b"x-r", b"2")]) == [(b"x-r", b"2"), (b"x-s", b"2")]


def test_the_cluster_that_a_header_named_before_counts() -> None:
    filter_ = HeaderMutationFilter("m", MutateHeaders((HeaderMutation("x-to", "b", OVERWRITE),)), wins=False)
    asked = stream(b"/", target(header="x-to"), (b"x-to", b"a"))
    for _ in range(2):
        filter_.on_request(asked)
        assert (asked.named, asked.request.header(b"x-to")) == ("a", b"b")


def test_what_it_adds_steers_the_call() -> None:
    config = MutateHeaders((HeaderMutation("x-envoy-upstream-rq-timeout-ms", "7"),))
    world = World(tables=[table(route())], clusters=[cluster("a", "10.0.0.1:80")], filters=[HttpFilter("m", config)])
    assert world.call().call.timeout_s == 0.007
    named = World(
        tables=[table(route("/", RouteAction(cluster_header="x-to")))],
        clusters=[cluster("a", "10.0.0.1:80")],
        filters=[HttpFilter("m", MutateHeaders((HeaderMutation("x-to", "b", OVERWRITE),)))],
    )
    assert named.call(headers=[("x-to", "a")]).hosts == ["10.0.0.1:80"]
