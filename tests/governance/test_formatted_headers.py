"""What header values are formatted from: the request as far as it has come (docs/envoy-facts.md)."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.actions import Head
from proxyless.xds.model.route import RedirectAction, RouteAction, WeightedCluster
from proxyless.xds.model.values import AppendAction, HeaderMutation, HeaderMutations
from tests.support.model import cluster, route, table, vhost
from tests.support.world import Steps, World

OVERWRITE = AppendAction.OVERWRITE_IF_EXISTS_OR_ADD
SEEN = "%REQ(x-a)%|%REQ(gone)%|%REQ(:path)%|%REQ(:authority)%|%REQ(x-envoy-attempt-count)%"
OF_ROUTE = HeaderMutations(
    request_add=(HeaderMutation("x-a", "route", OVERWRITE),),
    request_remove=("gone",),
    response_add=(HeaderMutation("x-response", SEEN),),
)
OF_HOST = HeaderMutations(request_add=(HeaderMutation("x-request", SEEN),))
REWRITES: dict[str, Any] = {"prefix_rewrite": "/new", "host_rewrite": "other"}


def called(to: object, answers: list[Any], **fields: Any) -> Steps:
    """A call to /old of shop through a route with both mutations."""
    one = vhost(
        route("/old", to, headers=OF_ROUTE, **fields),  # type: ignore[arg-type]
        headers=OF_HOST,
        include_request_attempt_count=True,
    )
    world = World(tables=[table(one)], clusters=[cluster("a", "10.0.0.1:80"), cluster("empty")])
    sent = [("x-a", "1"), ("gone", "2")]
    return world.call("http://shop/old/x", answers=answers, headers=sent)


def test_a_level_sees_what_the_levels_before_and_the_mesh_itself_have_made_of_the_request() -> None:
    sent = called(RouteAction("a", **REWRITES), [200]).sent()[0]
    assert (b"x-request", b"route||/old/x|shop|1") in sent.headers


def test_a_response_sees_the_request_as_it_went_out() -> None:
    head = Head(200, [], None)
    called(RouteAction("a", **REWRITES), [head])
    assert head.headers == [(b"x-response", b"route||/new/x|other|1")]


@pytest.mark.parametrize(
    ("to", "seen"),
    [
        (RouteAction("empty", **REWRITES), b"route||/new/x|other|1"),
        (RouteAction("none", **REWRITES), b"1|2|/old/x|shop|"),
        (RedirectAction(host="x"), b"1|2|/old/x|shop|"),
    ],
)
def test_an_answer_of_the_mesh_sees_it_as_far_as_it_came(to: object, seen: bytes) -> None:
    reply = called(to, []).reply
    assert reply is not None
    assert dict(reply.headers)[b"x-response"] == seen


COPY = HeaderMutations(request_add=(HeaderMutation("x-own", "%REQ(:authority)%"),))


@pytest.mark.parametrize(
    ("fields", "authority", "original"),
    [
        ({}, b"drawn", None),
        ({"host_rewrite": "other"}, b"other", b"drawn"),
        ({"host_rewrite_header": "x-none"}, b"drawn", None),
        ({"host_rewrite_header": "x-a"}, b"route", b"drawn"),
    ],
)
def test_the_host_of_a_weighted_cluster_is_what_the_rest_of_the_route_starts_from(
    fields: dict[str, Any], authority: bytes, original: bytes | None
) -> None:
    entry = WeightedCluster("a", 1, host_rewrite="drawn", headers=COPY)
    sent = called(RouteAction(weighted_clusters=(entry,), **fields), [200]).sent()[0]
    headers = dict(sent.headers)
    assert (sent.authority, headers.get(b"x-envoy-original-host")) == (authority, original)
    assert headers[b"x-own"] == b"shop"
    assert headers[b"x-request"].split(b"|")[3] == b"drawn"
