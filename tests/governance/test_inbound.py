"""The life of one incoming request: what the chain of the app's port makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxyless.governance.headers import HeaderList
from proxyless.governance.inbound import InboundRequest
from proxyless.governance.replies import CLOSE, LocalReply
from proxyless.governance.request import RequestView
from proxyless.governance.runtime import Options
from proxyless.xds.model.filters import LocalRateLimit, TokenBucket, UnenforceableFilter
from proxyless.xds.model.forwarding import Forwarding
from proxyless.xds.model.listener import HttpConnectionManager, TcpProxy, UnknownNetworkFilter
from proxyless.xds.model.route import DirectResponseAction, RedirectAction
from proxyless.xds.model.snapshot import Snapshot
from proxyless.xds.model.values import AppendAction, Cidr, Fraction, HeaderMutation, HeaderMutations
from tests.support.model import (
    EXTENSION,
    LISTENER,
    ROUTE,
    bad,
    bad_vhost,
    chain,
    http_filter,
    listener,
    manager,
    route,
    table,
)
from tests.support.world import World

PORT = 8080


def world(http: HttpConnectionManager | TcpProxy | None, options: Options = Options(), **match: Any) -> World:
    return World(listeners=[listener("virtualInbound", chain(http, "app", **match))], options=options)


def routed(*routes: Any, filters: tuple[Any, ...] = (), **fields: Any) -> World:
    return world(manager(table(*(routes or (route(),))), *filters, **fields))


def asked(fixture: World, path: str = "/", *headers: tuple[str, str], port: int = PORT) -> InboundRequest:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    view = RequestView(b"GET", b"http", b"app", path.encode("latin-1"), raw, "10.0.0.9")
    request = InboundRequest(fixture.runtime, view, port)
    request.decide()
    return request


def answer(request: InboundRequest) -> tuple[int, str, bytes]:
    assert isinstance(request.reply, LocalReply)
    assert (request.status, request.flags) == (request.reply.status, request.reply.flags)
    return request.reply.status, request.reply.flag, request.reply.body


def got(request: InboundRequest) -> list[tuple[bytes, bytes]]:
    """The headers that the app gets, but for what every request has."""
    assert request.reply is None
    first, *rest = request.request.raw_headers
    assert first == (b"host", b"app")
    assert {b"x-forwarded-proto", b"x-request-id"} <= {name for name, _ in rest}
    return [pair for pair in rest if pair[0] not in (b"x-forwarded-proto", b"x-request-id")]


def test_a_request_that_the_chain_takes_reaches_the_app_with_an_id_and_without_what_is_hop_by_hop() -> None:
    request = asked(routed(), "/a?b", ("x", "1"), ("connection", "keep-alive"), ("x-envoy-max-retries", "1"))
    assert got(request) == [(b"x", b"1")]
    assert request.request.path == b"/a?b"
    assert request.chain is not None
    assert request.chain.name == "app"


def test_before_the_first_complete_configuration_requests_are_refused() -> None:
    fixture = World(Snapshot())
    assert answer(asked(fixture)) == (503, "NR", b"no complete configuration yet")


def test_letting_requests_through_until_then_is_a_choice() -> None:
    fixture = World(Snapshot(), options=Options(passthrough_until_ready=True))
    assert asked(fixture).reply is None
    assert fixture.call().flags == "-"


@pytest.mark.parametrize(
    ("fixture", "reason"),
    [
        (World(), b"no filter chain takes port 8080"),
        (world(TcpProxy("x"), destination_port=9090), b"no filter chain takes port 8080"),
        (
            world(TcpProxy("x"), transport_protocol="tls"),
            b"port 8080 takes mTLS only, and this connection is plaintext",
        ),
    ],
    ids=["no listener", "no chain", "mTLS only"],
)
def test_what_no_chain_takes_is_refused(fixture: World, reason: bytes) -> None:
    assert answer(asked(fixture)) == (503, "NR", reason)


def test_a_chain_without_http_lets_the_request_through() -> None:
    request = asked(world(TcpProxy("x")))
    assert (request.reply, request.http) == (None, None)


def test_a_network_filter_that_is_not_understood_refuses_unless_it_is_allowed() -> None:
    unknown = UnknownNetworkFilter("rbac", "type.Rbac", "not implemented")
    one = listener("virtualInbound", replace(chain(manager(table(route()))), closed_by=(unknown,)))
    assert answer(asked(World(listeners=[one]))) == (
        503,
        "NR",
        b"network filter rbac cannot be enforced: not implemented",
    )
    for name in ("rbac", "type.Rbac"):
        assert asked(World(listeners=[one], options=Options(allow_unenforced=frozenset({name})))).reply is None


def test_a_filter_that_cannot_be_enforced_refuses() -> None:
    closing = http_filter("jwt", UnenforceableFilter("type.Jwt", "not implemented"))
    status, flags, body = answer(asked(routed(filters=(closing,))))
    assert (status, flags) == (503, "NR")
    assert body == b"filter jwt (type.Jwt) cannot be enforced: not implemented"


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ((route("/other"),), (404, "NR", b"")),
        ((route("/", DirectResponseAction(418, b"teapot")),), (418, "-", b"teapot")),
        ((route("/", RedirectAction(https=True)),), (301, "-", b"")),
    ],
)
def test_what_the_route_answers_itself_never_reaches_the_app(
    routes: tuple[Any, ...], expected: tuple[int, str, bytes]
) -> None:
    assert answer(asked(routed(*routes))) == expected


BUCKET = TokenBucket(1, 1, 60.0)
LIMIT = LocalRateLimit("x", BUCKET, enabled=Fraction(100), enforced=Fraction(100), x_ratelimit_headers=True)
MUTATIONS = HeaderMutations(
    request_add=(HeaderMutation("x-in", "1"),),
    response_add=(HeaderMutation("x-out", "2"),),
    response_remove=("server",),
)


def test_a_rate_limit_refuses_and_says_how_much_is_left() -> None:
    fixture = routed(route(headers=MUTATIONS), filters=(http_filter("limit", LIMIT),))
    first, second = asked(fixture), asked(fixture)
    assert first.reply is None
    assert first.response(200, []) == [
        (b"x-out", b"2"),
        (b"x-ratelimit-limit", b"1"),
        (b"x-ratelimit-remaining", b"0"),
        (b"x-ratelimit-reset", b"60"),
    ]
    assert answer(second) == (429, "RL", b"local_rate_limited")
    assert second.reply is not None
    names = [name for name, _ in second.reply.headers]
    assert names == [
        b"x-out",
        b"content-length",
        b"content-type",
        b"x-ratelimit-limit",
        b"x-ratelimit-remaining",
        b"x-ratelimit-reset",
    ]


def test_mutations_change_what_the_app_gets_and_what_it_answers() -> None:
    request = asked(routed(route(headers=MUTATIONS)), "/", ("a", "b"))
    assert got(request) == [(b"a", b"b"), (b"x-in", b"1")]
    given = [(b"server", b"uvicorn"), (b"a", b"b")]
    assert request.response(200, given) == [(b"a", b"b"), (b"x-out", b"2")]
    assert given == [(b"server", b"uvicorn"), (b"a", b"b")]


def test_without_mutations_the_apps_headers_are_the_very_same() -> None:
    given = [(b"server", b"uvicorn")]
    assert asked(routed()).response(200, given) is given


def test_routes_see_the_normalized_path_and_so_does_the_app() -> None:
    fixture = routed(route("/admin", DirectResponseAction(403)), route("/"))
    assert answer(asked(fixture, "/x/../admin"))[0] == 403
    assert asked(fixture, "/x/./y").request.path == b"/x/y"


@pytest.mark.parametrize(
    ("path", "fields", "status", "location"),
    [
        ("/a%00", {}, 400, None),
        ("/a\xff", {}, 400, None),
        ("/a%2Fb", {"escaped_slashes": "REJECT_REQUEST"}, 400, None),
        ("/a%2Fb?c", {"escaped_slashes": "UNESCAPE_AND_REDIRECT"}, 307, b"/a/b?c"),
    ],
)
def test_a_path_that_is_not_let_through(path: str, fields: dict[str, Any], status: int, location: bytes | None) -> None:
    request = asked(routed(**fields), path)
    assert answer(request)[0] == status
    assert request.reply is not None
    assert dict(request.reply.headers).get(b"location") == location


def test_grpc_is_told_in_its_own_way() -> None:
    request = asked(routed(route("/other")), "/", ("content-type", "application/grpc"))
    assert request.reply is not None
    assert (request.status, request.flags) == (200, ("NR",))
    assert (b"grpc-status", b"12") in request.reply.headers


def test_what_the_codec_refuses_is_no_grpc() -> None:
    fixture = routed(forwarding=Forwarding(underscores="REJECT_REQUEST"))
    request = asked(fixture, "/", ("content-type", "application/grpc"), ("x_a", "1"))
    assert answer(request) == (400, "DPE", b"Bad Request")


def test_an_app_does_not_hear_how_an_internal_client_wanted_its_call_to_be_steered() -> None:
    inside = Forwarding(internal_cidrs=(Cidr("10.0.0.0", 8),))
    steering = (("x-forwarded-for", "10.1.1.1"), ("x-envoy-max-retries", "3"))
    assert b"x-envoy-max-retries" not in dict(got(asked(routed(forwarding=inside), "/", *steering)))


def test_a_route_table_by_rds_is_asked_for_and_refused_until_it_comes() -> None:
    fixture = world(manager("inbound"))
    assert answer(asked(fixture)) == (503, "NR", b"waiting for route configuration 'inbound'")
    assert fixture.asked == [(ROUTE, ("inbound",))]
    come = World(
        tables=[table(route(), name="inbound")],
        listeners=[listener("virtualInbound", chain(manager("inbound"), "app"))],
    )
    assert got(asked(come)) == []


def test_a_filter_by_discovery_is_asked_for_and_refused_until_it_comes() -> None:
    fixture = routed(filters=(http_filter("x", None, discovery="x"),))
    assert answer(asked(fixture)) == (503, "NR", b"waiting for filter x")
    assert fixture.asked == [(EXTENSION, ("x",))]


def test_a_listener_or_virtual_host_that_envoy_would_refuse_lets_nothing_in() -> None:
    fixture = World()
    fixture.update(listeners={"virtualInbound": bad(LISTENER, "virtualInbound", "no address")})
    status, flags, body = answer(asked(fixture))
    assert (status, flags, b"no address" in body) == (503, "NR", True)
    host = world(manager(table(bad_vhost("weights sum to zero"))))
    assert b"weights sum to zero" in answer(asked(host))[2]


def test_a_response_sees_the_request_with_its_mutations() -> None:
    headers = HeaderMutations(
        request_add=(HeaderMutation("x-a", "new", AppendAction.OVERWRITE_IF_EXISTS_OR_ADD),),
        response_add=(HeaderMutation("x-b", "%REQ(x-a)%"),),
    )
    request = asked(routed(route("/", "app", headers=headers)), "/", ("x-a", "old"))
    assert request.response(200, []) == [(b"x-b", b"new")]


def test_listeners_hear_of_a_request_when_it_has_ended() -> None:
    fixture = routed()
    request = asked(fixture)
    fixture.clock.advance(2.5)
    assert fixture.heard.requests == []
    request.ended(200)
    assert fixture.heard.requests == [request]
    assert (request.status, request.flags, request.ended_at - request.started) == (200, (), 2.5)
    cut = asked(fixture)
    cut.ended(200, ("DC",))
    assert cut.flags == ("DC",)


@pytest.mark.parametrize(("status", "kept"), [("7", b"7"), (None, None)])
def test_what_a_grpc_response_says_in_its_headers_is_kept(status: str | None, kept: bytes | None) -> None:
    fixture = routed()
    view = RequestView(b"POST", b"http", b"app", b"/", [(b"content-type", b"application/grpc")])
    request = InboundRequest(fixture.runtime, view, PORT)
    assert request.decide() is None
    request.response(200, [(b"grpc-status", status.encode())] if status else [])
    assert request.grpc_status == kept


OPERATION = (b"x-envoy-decorator-operation", b"app:80/*")


@pytest.mark.parametrize(
    ("tracing", "decorator", "sent", "told"),
    [
        (True, "app:80/*", (), [OPERATION]),
        (False, "app:80/*", (), []),
        (True, None, (), []),
        (True, "app:80/*", (("x-envoy-decorator-operation", "mine"),), []),
    ],
)
def test_clients_are_told_the_name_of_the_operation_unless_they_gave_it(
    *, tracing: bool, decorator: str | None, sent: tuple[tuple[str, str], ...], told: list[tuple[bytes, bytes]]
) -> None:
    request = asked(routed(route(decorator=decorator), tracing=tracing), "/", *sent)
    assert request.reply is None
    assert request.response(200, []) == told
    assert not [pair for pair in request.request.raw_headers if pair[0] == OPERATION[0]]


def test_responses_of_all_kinds_get_what_the_connection_manager_adds() -> None:
    through = routed(forwarding=Forwarding(via="mesh"), request_id_in_response=True)
    assert asked(through, "/", ("x-request-id", "own")).response(200, []) == [
        (b"x-request-id", b"own"),
        (b"via", b"mesh"),
    ]
    away = asked(routed(route(to=RedirectAction(host="x")), forwarding=Forwarding(via="mesh")))
    assert away.reply is not None
    assert away.reply.headers == ((b"location", b"http://x/"), (b"via", b"mesh"))


def test_what_is_no_http_is_answered_and_a_request_without_host_stays_so() -> None:
    assert answer(asked(routed(), "no path"))[0] == 400
    view = RequestView(b"GET", b"http", b"", b"/", [])
    request = InboundRequest(routed().runtime, view, PORT)
    assert request.decide() is None
    assert [name for name, _ in view.raw_headers] == [b"x-forwarded-proto", b"x-request-id"]


@pytest.mark.parametrize(
    ("protocol", "said", "leave"),
    [
        ("HTTP/1.1", [(b"Connection", b"keep-alive"), (b"x", b"1")], [(b"x", b"1"), CLOSE]),
        ("HTTP/1.0", [], [CLOSE]),
        ("HTTP/1.1", [(b"connection", b"Upgrade")], [(b"connection", b"Upgrade")]),
        ("HTTP/2", [(b"x", b"1")], [(b"x", b"1")]),
    ],
)
def test_a_response_is_the_last_of_its_connection_while_a_mesh_drains(
    protocol: str, said: HeaderList, leave: HeaderList
) -> None:
    fixture = world(manager(table(route())))
    request = asked(fixture)
    request.protocol = protocol
    assert request.response(200, list(said)) == said
    fixture.runtime.draining = True
    assert request.response(200, list(said)) == leave


def test_an_answer_of_the_meshs_own_is_the_last_of_its_connection_too() -> None:
    fixture = routed(route("/", DirectResponseAction(418)))
    fixture.runtime.draining = True
    reply = asked(fixture).reply
    assert reply is not None
    assert CLOSE in reply.headers
