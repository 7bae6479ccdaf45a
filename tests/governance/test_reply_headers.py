"""The headers of what the mesh answers itself: order and content as Envoy's (tests/differential holds them to it)."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.replies import LocalReply, as_grpc, reply_body, reply_headers
from proxyless.xds.model.route import RetryPolicy, RouteAction
from tests.support.model import cluster, route, table, vhost
from tests.support.world import World

OWN = ((b"location", b"/x"), (b"content-type", b"text/html"), (b"content-length", b"7"))
LENGTH = (b"content-length", b"4")
TEXT = (b"content-type", b"text/plain")


@pytest.mark.parametrize(
    ("status", "body", "head", "headers"),
    [
        (418, b"", False, [OWN[0], (b"content-length", b"0")]),
        (418, b"", True, [OWN[0]]),
        (204, b"", False, [OWN[0]]),
        (418, b"body", False, [OWN[0], OWN[1], LENGTH]),
        (418, b"body", True, [OWN[0], OWN[1], LENGTH]),
    ],
)
def test_a_content_type_that_is_set_stays_where_there_is_a_body_and_no_length_does(
    status: int, body: bytes, head: bool, headers: list[tuple[bytes, bytes]]
) -> None:
    assert reply_headers(LocalReply(status, body, headers=OWN), head=head) == headers


def test_what_a_grpc_client_is_told_follows_what_the_route_adds() -> None:
    told = as_grpc(LocalReply(404, b"no such thing", headers=OWN[:2]))
    assert (told.status, told.body) == (200, b"")
    assert reply_headers(told) == [
        OWN[0],
        (b"content-type", b"application/grpc"),
        (b"grpc-status", b"12"),
        (b"grpc-message", b"no such thing"),
        (b"content-length", b"0"),
    ]


def test_a_content_type_that_nobody_set_comes_after_the_length() -> None:
    assert reply_headers(LocalReply(418, b"body", headers=OWN[:1])) == [OWN[0], LENGTH, TEXT]


def test_a_grpc_client_gets_one_content_type_where_the_first_was_set() -> None:
    told = as_grpc(LocalReply(404, headers=(OWN[1], OWN[0], OWN[1])))
    assert told.headers[:2] == ((b"content-type", b"application/grpc"), OWN[0])


@pytest.mark.parametrize(("status", "head", "body"), [(418, False, b"body"), (418, True, b""), (204, False, b"")])
def test_some_answers_have_no_body(status: int, head: bool, body: bytes) -> None:
    assert reply_body(LocalReply(status, b"body"), head=head) == body


def test_in_answer_to_head_a_grpc_client_gets_no_message() -> None:
    names = [name for name, _ in as_grpc(LocalReply(503, b"why"), head=True).headers]
    assert names == [b"content-type", b"grpc-status"]


COUNTED = vhost(
    route("/a", RouteAction("a", retry=RetryPolicy(("5xx",), num_retries=1))),
    route("/empty", "empty"),
    route("/none", "none"),
    include_attempt_count_in_response=True,
)


@pytest.mark.parametrize(
    ("path", "answers", "told"),
    [("/a", [503, 200], [b"2"]), ("/a", [503, 503], [b"2"]), ("/empty", [], [b"1"]), ("/none", [], [])],
)
def test_responses_say_how_many_tries_it_took(path: str, answers: list[Any], told: list[bytes]) -> None:
    world = World(tables=[table(COUNTED)], clusters=[cluster("a", "10.0.0.1:80"), cluster("empty")])
    steps = world.call(f"http://shop{path}", answers=answers)
    found = steps.reply.headers if steps.reply is not None else steps.head.headers if steps.head is not None else ()
    assert [value for name, value in found if name == b"x-envoy-attempt-count"] == told
