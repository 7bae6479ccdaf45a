"""Replies of the mesh's own, rewritten by the connection manager: outgoing and incoming."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.replies import reply_body, reply_headers
from proxyless.xds.model.local_reply import BodyFormat, Comparison, Decided, LocalReplyConfig, ResponseMapper
from proxyless.xds.model.route import DirectResponseAction
from proxyless.xds.model.values import HeaderMutation, HeaderMutations
from tests.governance.test_inbound import asked, routed
from tests.support.model import CLUSTER, bad, chain, cluster, listener, manager, route, table
from tests.support.world import World

ALL = Decided(True)
LENGTH = b"content-length"
TYPE = b"content-type"
GRPC = [("content-type", "application/grpc")]
FLAGS = HeaderMutation("x-flags", "%RESPONSE_FLAGS%|%RESPONSE_CODE%|%UPSTREAM_HOST%")


def world(config: LocalReplyConfig | None, *routes: Any, **fields: Any) -> World:
    """A mesh whose calls go to `a`, which has an endpoint, unless `routes` say else."""
    http = manager(table(*(routes or (route("/", "none"),))), local_reply=config, **fields)
    return World(listeners=[listener("0.0.0.0_80", chain(http))], clusters=[cluster("a", "10.0.0.1:80")])


def called(made: World, answers: Any = (), **request: Any) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body as the caller gets them."""
    reply = made.call("http://shop/", answers, **request).reply
    assert reply is not None
    return reply.status, reply_headers(reply), reply_body(reply)


def test_the_first_mapper_that_takes_a_reply_changes_status_headers_and_body() -> None:
    config = LocalReplyConfig(
        (
            ResponseMapper(Comparison("status", "EQ", 404), 400),
            ResponseMapper(Comparison("status", "EQ", 503), 429, b"own", headers=(FLAGS,)),
            ResponseMapper(ALL, 500),
        )
    )
    status, headers, body = called(world(config))
    assert (status, body) == (429, b"own")
    assert headers == [(b"x-flags", b"NC|503|"), (LENGTH, b"3"), (TYPE, b"text/plain")]


def test_a_format_makes_the_body_of_what_the_mapper_left() -> None:
    config = LocalReplyConfig(
        (ResponseMapper(ALL, 504, b"own"),), BodyFormat(json={"s": "%RESPONSE_CODE%", "b": "%LOCAL_REPLY_BODY%"})
    )
    status, headers, body = called(world(config))
    assert (status, body) == (504, b'{"b":"own","s":504}\n')
    assert headers == [(LENGTH, b"20"), (TYPE, b"text/plain")]


def test_the_mappers_own_format_comes_before_that_of_all() -> None:
    config = LocalReplyConfig(
        (ResponseMapper(ALL, body_format=BodyFormat("[]", content_type="x/y")),), BodyFormat("<>")
    )
    assert called(world(config))[1:] == ([(LENGTH, b"2"), (TYPE, b"x/y")], b"[]")


def test_a_content_type_goes_with_the_body_unless_the_mapper_says_it() -> None:
    typed = HeaderMutations(response_add=(HeaderMutation("content-type", "a/b"), HeaderMutation("x-a", "1")))
    direct = route("/", DirectResponseAction(418, b"tea"), headers=typed)
    kept = called(world(LocalReplyConfig((ResponseMapper(ALL, 299),)), direct))
    assert kept == (299, [(TYPE, b"a/b"), (b"x-a", b"1"), (LENGTH, b"3")], b"tea")
    made = called(world(LocalReplyConfig((), BodyFormat("<>")), direct))
    assert made[1] == [(TYPE, b"text/plain"), (b"x-a", b"1"), (LENGTH, b"2")]
    own = ResponseMapper(ALL, None, b"own", headers=(HeaderMutation("content-type", "c/d"),))
    assert called(world(LocalReplyConfig((own,)), direct))[1] == [(TYPE, b"a/b,c/d"), (b"x-a", b"1"), (LENGTH, b"3")]


def test_a_body_that_is_taken_away_leaves_no_type() -> None:
    config = LocalReplyConfig((ResponseMapper(ALL, None, b""),))
    assert called(world(config, route("/", DirectResponseAction(418, b"tea")))) == (418, [(LENGTH, b"0")], b"")


def test_a_grpc_client_is_told_the_status_that_is_left_and_a_document_in_one_line() -> None:
    config = LocalReplyConfig((ResponseMapper(ALL, 404),), BodyFormat(json={}, content_type="application/json"))
    status, headers, body = called(world(config), headers=GRPC)
    assert (status, body) == (200, b"")
    assert headers == [(TYPE, b"application/grpc"), (b"grpc-status", b"12"), (b"grpc-message", b"{}"), (LENGTH, b"0")]


def test_a_grpc_status_that_is_set_stays() -> None:
    config = LocalReplyConfig((ResponseMapper(ALL, headers=(HeaderMutation("grpc-status", "5"),)),))
    assert called(world(config), headers=GRPC)[1][0] == (b"grpc-status", b"5")


def test_the_endpoint_of_the_last_try_is_known() -> None:
    config = LocalReplyConfig((ResponseMapper(ALL, headers=(FLAGS,)),))
    failed = called(world(config, route("/", "a")), ["connect-failure"])
    assert failed[1][0] == (b"x-flags", b"UF|503|10.0.0.1:80")


def test_of_a_request_that_is_no_proper_http_nothing_is_known_and_the_connection_ends() -> None:
    config = LocalReplyConfig((ResponseMapper(ALL, 299),), BodyFormat("%RESPONSE_FLAGS%|%REQ(:authority)%"))
    status, headers, body = called(world(config), headers=[("host", "x y"), *GRPC])
    assert (status, body) == (299, b"-|-")
    assert headers == [(b"connection", b"close"), (LENGTH, b"3"), (TYPE, b"text/plain")]


def test_via_and_the_id_come_behind_what_describes_the_body() -> None:
    made = world(None, route("/", DirectResponseAction(418, b"tea")), request_id_in_response=True)
    names = [name for name, _ in called(made)[1]]
    assert names == [LENGTH, TYPE, b"x-request-id"]


def test_what_cannot_be_filled_in_is_left_out_and_named() -> None:
    bad_header = HeaderMutation("x-a", "%CEL(a)%")
    config = LocalReplyConfig(
        (ResponseMapper(ALL, headers=(bad_header,), body_format=BodyFormat("%CEL(b)%")),), BodyFormat("%CEL(c)%")
    )
    made = world(config)
    assert called(made) == (503, [(LENGTH, b"0")], b"")
    http = next(iter(made.runtime.plan.http_runtimes()))
    assert sorted((note.field, note.reason) for note in http.notes) == [
        ("local_reply_config", "body_format: %CEL% is not supported"),
        ("local_reply_config", "body_format: %CEL% is not supported"),
        ("local_reply_config", "header 'x-a': %CEL% is not supported"),
    ]


def test_a_route_whose_format_cannot_be_filled_in_is_closed() -> None:
    direct = route("/", DirectResponseAction(418, b"tea", BodyFormat("%CEL(a)%")))
    assert called(world(None, direct))[2] == b"direct_response: body_format: %CEL% is not supported"


@pytest.mark.parametrize("status", [201, 302, 418])
def test_a_direct_response_may_be_formatted_and_say_its_type_behind_what_the_route_adds(status: int) -> None:
    added = HeaderMutations(response_add=(HeaderMutation("content-type", "a/b"), HeaderMutation("x-a", "1")))
    body = BodyFormat("<%LOCAL_REPLY_BODY%|%RESPONSE_CODE%>", content_type="x/y")
    direct = route("/", DirectResponseAction(status, b"tea", body), headers=added)
    found = called(world(None, direct))
    to = [(b"location", b"http://shop/")] if status != 418 else []
    assert found == (status, [*to, (b"x-a", b"1"), (TYPE, b"x/y"), (LENGTH, b"7")], b"<tea|0>")


# -- incoming --------------------------------------------------------------------------------------------------------

SEEN = HeaderMutation(
    "x-seen",
    "%RESPONSE_CODE%|%RESPONSE_FLAGS%|%RESPONSE_CODE_DETAILS%|%UPSTREAM_CLUSTER%|%UPSTREAM_HOST%|%LISTENER_NAME%|"
    "%FILTER_CHAIN_NAME%|%DOWNSTREAM_LOCAL_PORT%|%UPSTREAM_REQUEST_ATTEMPT_COUNT%|%DURATION%|%REQ(:path)%",
)
BOTH_WAYS = HeaderMutations(request_add=(SEEN,), response_add=(SEEN,))


def test_an_incoming_request_and_its_response_are_described() -> None:
    fixture = routed(route("/", "inbound|8080||", headers=BOTH_WAYS))
    request = asked(fixture, "/a")
    assert request.request.header(b"x-seen") == b"0|-||||virtualInbound|app|8080|0|0|/a"
    fixture.clock.advance(0.25)
    assert request.response(200, [(b"x", b"1")])[1] == (
        b"x-seen",
        b"200|-|via_upstream|||virtualInbound|app|8080|0|250|/a",
    )


@pytest.mark.parametrize(("endpoints", "host"), [(("127.0.0.1:8080",), b"127.0.0.1:8080"), ((), b"127.0.0.1:8080")])
def test_the_app_is_where_envoy_would_have_sent_it(endpoints: tuple[str, ...], host: bytes) -> None:
    http = manager(table(route("/", "inbound|8080||", headers=BOTH_WAYS)))
    inbound = cluster("inbound|8080||", *endpoints)
    fixture = World(listeners=[listener("virtualInbound", chain(http, "app"))], clusters=[inbound])
    request = asked(fixture)
    assert request.request.header(b"x-seen") == b"0|-||inbound|8080||||virtualInbound|app|8080|1|0|/"
    assert request.response(200, [])[0][1].split(b"|")[7] == host


def test_a_cluster_that_is_bad_is_not_known() -> None:
    fixture = routed(route("/", "inbound", headers=BOTH_WAYS))
    fixture.update(clusters={"inbound": bad(CLUSTER, "inbound")})
    assert asked(fixture).request.header(b"x-seen") == b"0|-||||virtualInbound|app|8080|0|0|/"


def test_a_refusal_is_rewritten_too() -> None:
    config = LocalReplyConfig((ResponseMapper(ALL, 429, headers=(SEEN,)),), BodyFormat("<%RESPONSE_CODE%>"))
    fixture = routed(route("/only", "a"), local_reply=config)
    request = asked(fixture, "/else")
    reply = request.reply
    assert reply is not None
    assert (reply.status, reply.body, request.status) == (429, b"<429>", 429)
    assert reply.headers[0] == (b"x-seen", b"404|NR|route_not_found|||virtualInbound|app|8080|0|0|/else")


def test_a_route_that_answers_knows_the_request() -> None:
    body = BodyFormat("%REQ(x-a)% %LISTENER_NAME%")
    fixture = routed(route("/", DirectResponseAction(418, b"", body), headers=BOTH_WAYS))
    request = asked(fixture, "/", ("x-a", "1"))
    assert request.reply is not None
    assert request.reply.body == b"1 virtualInbound"
    assert request.reply.headers[0][1].startswith(b"0|-|direct_response|")
