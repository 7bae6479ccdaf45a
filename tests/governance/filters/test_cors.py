"""CORS: preflights that are answered, responses that are marked, and what one level leaves to the next."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.filters.cors import CorsFilter
from proxyless.governance.headers import HeaderList
from proxyless.governance.replies import LocalReply, as_grpc
from proxyless.governance.request import RequestView
from proxyless.governance.routing import Target
from proxyless.governance.runtime import Runtime
from proxyless.xds.model.filters import CorsPolicy, InertFilter
from proxyless.xds.model.matchers import StringMatcher
from proxyless.xds.model.values import Fraction
from tests.support.streams import FakeStream, run
from tests.support.world import Clock, Draws

from .places import target

PAGE = (b"origin", b"http://page")
METHOD = (b"access-control-request-method", b"PUT")
ORIGINS = (StringMatcher("exact", "http://page"),)


def policy(**fields: Any) -> CorsPolicy:
    return CorsPolicy(ORIGINS, **fields)


def ask(
    to: Target | None, method: bytes, *headers: tuple[bytes, bytes], draws: tuple[float, ...] = ()
) -> tuple[LocalReply | None, HeaderList]:
    """(the answer, what becomes of a response)."""
    view = RequestView(method, b"http", b"shop", b"/", headers)
    stream = FakeStream(view, target=to, runtime=Runtime(clock=Clock(), rng=Draws(*draws)))
    filter_ = CorsFilter("cors")
    reply = run(filter_, stream).reply
    return reply, filter_.on_response(stream, 200, [(b"Access-Control-Allow-Origin", b"own"), (b"x", b"1")])


def preflight(own: CorsPolicy, *more: tuple[bytes, bytes]) -> dict[str, str]:
    reply, _ = ask(target(cors=own), b"OPTIONS", PAGE, METHOD, *more)
    assert reply is not None
    assert (reply.status, reply.plain, reply.details) == (200, True, "cors_response")
    assert as_grpc(reply) is reply
    return {name.decode().removeprefix("access-control-"): value.decode() for name, value in reply.headers}


def test_a_response_to_an_allowed_origin_is_marked() -> None:
    _, headers = ask(target(cors=policy(allow_credentials=True, expose_headers="x")), b"GET", PAGE)
    assert headers == [
        (b"Access-Control-Allow-Origin", b"http://page"),
        (b"x", b"1"),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"x"),
    ]


@pytest.mark.parametrize("origin", [b"http://other", b"", None])
def test_a_response_to_another_origin_is_left_alone(origin: bytes | None) -> None:
    headers = [(b"origin", origin)] if origin is not None else []
    reply, back = ask(target(cors=policy()), b"GET", *headers)
    assert reply is None
    assert back == [(b"Access-Control-Allow-Origin", b"own"), (b"x", b"1")]


def test_a_second_header_of_the_same_name_goes() -> None:
    filter_ = CorsFilter("cors")
    stream = FakeStream(RequestView(b"GET", b"http", b"shop", b"/", [PAGE]), target=target(cors=policy()))
    assert run(filter_, stream).reply is None
    name = b"access-control-allow-origin"
    assert filter_.on_response(stream, 200, [(name, b"a"), (name, b"b")]) == [(name, b"http://page")]


def test_a_preflight_is_answered_by_the_policy() -> None:
    every = policy(
        allow_methods="GET", allow_headers="x-a", max_age="60", allow_credentials=True, allow_private_network=True
    )
    assert preflight(every, (b"access-control-request-private-network", b"true")) == {
        "allow-origin": "http://page",
        "allow-credentials": "true",
        "allow-methods": "GET",
        "allow-headers": "x-a",
        "max-age": "60",
        "allow-private-network": "true",
    }
    assert preflight(policy(allow_private_network=True)) == {"allow-origin": "http://page"}


def test_a_star_stands_for_what_was_asked_for() -> None:
    stars = policy(allow_methods="*", allow_headers="*")
    assert preflight(stars, (b"access-control-request-headers", b"x-b")) == {
        "allow-origin": "http://page",
        "allow-methods": "PUT",
        "allow-headers": "x-b",
    }
    assert preflight(stars)["allow-headers"] == ""


@pytest.mark.parametrize(
    ("method", "headers"),
    [(b"GET", [PAGE, METHOD]), (b"OPTIONS", [PAGE]), (b"OPTIONS", [METHOD]), (b"OPTIONS", [(b"origin", b"o"), METHOD])],
)
def test_what_is_no_preflight_of_an_allowed_origin_goes_on(method: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    assert ask(target(cors=policy()), method, *headers)[0] is None


def test_other_preflights_are_answered_where_they_are_not_to_go_on() -> None:
    own = policy(forward_not_matching_preflights=False, allow_methods="GET")
    reply, _ = ask(target(cors=own), b"OPTIONS", (b"origin", b"http://other"), METHOD)
    assert reply is not None
    assert reply.headers == ((b"access-control-allow-methods", b"GET"),)


def test_a_matcher_of_a_star_takes_every_origin() -> None:
    own = CorsPolicy((StringMatcher("exact", "*"),))
    assert ask(target(cors=own), b"GET", (b"origin", b"any"))[1][0] == (b"Access-Control-Allow-Origin", b"any")


def test_a_share_of_requests_is_drawn() -> None:
    own = policy(enabled=Fraction(10))
    marked = [ask(target(cors=own), b"GET", PAGE, draws=(draw,))[1][0][1] for draw in (0.05, 0.15)]
    assert marked == [b"http://page", b"own"]


def test_what_a_level_leaves_open_the_next_one_says() -> None:
    general = policy(allow_methods="GET", allow_credentials=True, max_age="60", enabled=Fraction(0))
    own = CorsPolicy(allow_methods="PUT", allow_credentials=False)
    reply, _ = ask(target(cors=own, host={"cors": general}), b"OPTIONS", PAGE, METHOD)
    assert reply is not None
    assert reply.headers == (
        (b"access-control-allow-origin", b"http://page"),
        (b"access-control-allow-methods", b"PUT"),
        (b"access-control-max-age", b"60"),
    )


def test_policies_of_old_count_where_there_are_none_of_filters() -> None:
    for place in (target(old_cors=policy(), cors=InertFilter()), target(host_cors=policy())):
        assert CorsFilter("cors").applies(place)
        assert ask(place, b"GET", PAGE)[1][0][1] == b"http://page"
    ours = target(old_cors=CorsPolicy((StringMatcher("exact", "http://other"),)), host_cors=policy())
    assert ask(ours, b"GET", PAGE)[1][0][1] == b"own"


def test_nothing_is_done_without_a_policy_or_a_cluster() -> None:
    assert not CorsFilter("cors").applies(target())
    assert not CorsFilter("cors").applies(None)
    assert ask(None, b"OPTIONS", PAGE, METHOD)[0] is None


def test_policies_are_compiled_once_and_not_for_ever() -> None:
    filter_ = CorsFilter("cors")
    for _ in range(1030):
        stream = FakeStream(RequestView(b"GET", b"http", b"shop", b"/", [PAGE]), target=target(cors=policy()))
        for _ in range(2):
            assert run(filter_, stream).reply is None
    assert len(filter_._policies) < 1030
