"""What a call decides on its way, and how it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxyless.governance.actions import AwaitConfig, BodyEnd, Bypass, Deliver, Head
from proxyless.governance.passing import BLACKHOLE, PASSTHROUGH
from proxyless.governance.runtime import Options
from proxyless.xds.model.filters import LocalRateLimit, TokenBucket, UnenforceableFilter
from proxyless.xds.model.listener import TcpProxy, UnknownNetworkFilter
from proxyless.xds.model.route import (
    DirectResponseAction,
    NonForwardingAction,
    RedirectAction,
    RouteAction,
    WeightedCluster,
)
from proxyless.xds.model.values import Fraction, HeaderMutation, HeaderMutations
from tests.support.model import (
    ENDPOINT,
    assignment,
    chain,
    cluster,
    eds,
    http_filter,
    listener,
    manager,
    resource,
    route,
    snapshot,
    table,
    vhost,
)
from tests.support.world import Steps, World

ADDRESS = "10.0.0.1:80"


def world(*routes: object, **parts: object) -> World:
    one = table(*routes)  # type: ignore[arg-type]
    return World(tables=[one], clusters=[cluster("a", ADDRESS), cluster("b", "10.0.0.2:80")], **parts)  # type: ignore[arg-type]


def reply_of(steps: Steps) -> tuple[int, str, bytes]:
    assert steps.reply is not None, "a response of the upstream's"
    return steps.reply.status, steps.flags, steps.reply.body


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        (NonForwardingAction(), (503, "NC", b"")),
        (DirectResponseAction(418, b"teapot"), (418, "-", b"teapot")),
        (RedirectAction(host="other"), (301, "-", b"")),
        (NonForwardingAction("action x is not supported"), (503, "UF", b"action x is not supported")),
    ],
)
def test_a_route_without_a_cluster_is_answered_here(to: object, expected: tuple[int, str, bytes]) -> None:
    steps = world(route("/", to)).call(answers=[])  # type: ignore[arg-type]
    assert reply_of(steps) == expected
    assert steps.call.status == expected[0]
    assert steps.trace == []


def test_a_redirect_says_where_to() -> None:
    steps = world(route("/", RedirectAction(https=True))).call("http://shop/x?y", answers=[])
    assert steps.reply is not None
    assert steps.reply.headers == ((b"location", b"https://shop/x?y"),)


@pytest.mark.parametrize(
    "routes", [[route("/other")], [vhost(route("/"), domains=["elsewhere"])], []], ids=["route", "host", "nothing"]
)
def test_what_no_route_takes_is_404_nr(routes: list[object]) -> None:
    assert reply_of(world(*routes).call(answers=[])) == (404, "NR", b"")


def test_a_missing_cluster_has_the_status_that_its_route_says() -> None:
    steps = world(route("/", "gone", cluster_not_found_status=404)).call(answers=[])
    assert reply_of(steps) == (404, "NC", b"")


@pytest.mark.parametrize(
    ("sent", "expected"), [([], "NC"), ([("x-to", "")], "NC"), ([("x-to", "gone")], "NC"), ([("X-To", "b")], "-")]
)
def test_the_cluster_may_come_from_a_header(sent: list[tuple[str, str]], expected: str) -> None:
    steps = world(route("/", "", cluster_header="X-To")).steps(headers=sent)
    steps.until(answers=[200] if expected == "-" else [])
    assert steps.flags == expected
    assert steps.hosts == (["10.0.0.2:80"] if expected == "-" else [])


def test_grpc_is_told_in_its_own_way_what_the_mesh_says() -> None:
    steps = world(route("/", "gone")).call(
        "http://shop/pkg.Service/Method", answers=[], method="POST", headers=[("content-type", "application/grpc")]
    )
    assert steps.reply is not None
    assert (steps.call.status, steps.flags) == (200, "NC")
    assert (b"grpc-status", b"14") in steps.reply.headers


RESPONSE = HeaderMutations(response_add=(HeaderMutation("x-route", "yes"),))


@pytest.mark.parametrize(
    "to", ["gone", "empty", NonForwardingAction(), DirectResponseAction(200), RedirectAction(host="x")], ids=str
)
def test_the_headers_of_the_route_are_on_every_answer_once_a_route_is_chosen(to: object) -> None:
    fixture = World(
        tables=[table(route("/x", to, headers=RESPONSE), route("/", "gone"))],  # type: ignore[arg-type]
        clusters=[cluster("empty")],
    )
    steps = fixture.call("http://shop/x", answers=[])
    assert steps.reply is not None
    assert (b"x-route", b"yes") in steps.reply.headers
    before = World(tables=[table(route("/x"))]).call(answers=[])
    assert before.reply is not None
    assert before.reply.headers == ()


def test_the_headers_of_the_drawn_cluster_are_on_its_answers_only() -> None:
    entry = WeightedCluster("a", 1, headers=RESPONSE)
    both = RouteAction(weighted_clusters=(entry, WeightedCluster("b", 1)))
    fixture = world(route("/", both), draws=[0.1])
    first = fixture.call()
    fixture.draws.give(0.9)
    second = fixture.call()
    assert [each.head.headers for each in (first, second) if each.head] == [[(b"x-route", b"yes")], []]


def test_the_body_decides_how_a_call_ended() -> None:
    for end, flags in [
        (BodyEnd(True, 3, 7), "-"),
        (BodyEnd(False, 3, 7, "timeout"), "UT"),
        (BodyEnd(False, 3, 7, "caller"), "DC"),
        (BodyEnd(False, 3, 7, "remote-reset"), "UR"),
        (BodyEnd(False, 3, 7, "refused-stream"), "UR"),
        (BodyEnd(False, 3, 7, "reset"), "UPE"),
        (BodyEnd(False, 3, 7), "UPE"),
    ]:
        steps = world(route("/")).steps()
        steps.until(Deliver, answers=[200])
        steps.answer(end)
        assert (steps.flags, steps.call.sent, steps.call.received, steps.call.status) == (flags, 3, 7, 200)


def test_an_http2_connection_that_ends_within_a_body_is_its_termination() -> None:
    steps = World(tables=[table(route("/", "a"))], clusters=[cluster("a", ADDRESS, http2=True)]).steps()
    steps.until(Deliver, answers=[200])
    steps.answer(BodyEnd(False, 3, 7, "reset"))
    assert steps.flags == "UC"


def test_what_a_grpc_response_without_a_body_says_is_kept() -> None:
    head = Head(200, [(b"Grpc-Status", b"5")], None)
    grpc = [("content-type", "application/grpc")]
    assert world(route("/")).call(answers=[head], method="POST", headers=grpc).call.grpc_status == b"5"
    assert world(route("/")).call(answers=[Head(200, [], None)], method="POST", headers=grpc).call.grpc_status is None
    assert world(route("/")).call(answers=[head]).call.grpc_status is None


BUCKET = TokenBucket(max_tokens=1, tokens_per_fill=1, fill_interval_s=60.0)
ALWAYS = Fraction(100)
LIMIT = LocalRateLimit("test", BUCKET, enabled=ALWAYS, enforced=ALWAYS, x_ratelimit_headers=True)


def limited(*routes: object) -> World:
    return world(*routes, filters=[http_filter("limit", LIMIT)])


def test_a_rate_limit_answers_before_the_cluster_is_looked_for() -> None:
    fixture = limited(route("/", "gone"))
    assert fixture.call(answers=[]).flags == "NC"
    assert reply_of(fixture.call(answers=[])) == (429, "RL", b"local_rate_limited")


def test_a_rate_limit_counts_what_no_route_takes() -> None:
    fixture = limited(route("/x"))
    assert [fixture.call(answers=[]).flags for _ in range(2)] == ["NR", "RL"]


def test_a_rate_limit_says_how_much_is_left_on_answers_of_the_upstream_and_of_the_mesh() -> None:
    fixture = limited(route("/"))
    passed, refused = fixture.call(), fixture.call(answers=[])
    assert passed.head is not None
    assert refused.reply is not None
    assert dict(passed.head.headers)[b"x-ratelimit-remaining"] == b"0"
    assert dict(refused.reply.headers)[b"x-ratelimit-reset"] == b"60"


def test_a_call_that_waits_for_its_cluster_pays_once() -> None:
    fixture = World(tables=[table(route("/", "a"))], clusters=[eds("a")], filters=[http_filter("limit", LIMIT)])
    steps = fixture.steps()
    fixture.runtime.publish(
        snapshot(
            tables=[table(route("/", "a"))], clusters=[cluster("a", ADDRESS)], filters=[http_filter("limit", LIMIT)]
        )
    )
    steps.answer()
    steps.finish()
    assert steps.status == 200


def test_a_filter_that_cannot_be_enforced_closes_its_chain() -> None:
    closing = http_filter("ext_authz", UnenforceableFilter("type.ExtAuthz", "not implemented"))
    steps = world(route("/"), filters=[closing]).call(answers=[])
    assert reply_of(steps) == (503, "UF", b"filter ext_authz (type.ExtAuthz) cannot be enforced: not implemented")
    for name in ("ext_authz", "type.ExtAuthz"):
        allowed = world(route("/"), filters=[closing], options=Options(allow_unenforced=frozenset({name})))
        assert allowed.call().status == 200


def test_a_path_that_cannot_be_normalized_is_400() -> None:
    assert reply_of(world(route("/")).call("http://shop/a%00b", answers=[])) == (400, "-", b"")


def test_routes_see_the_normalized_path_and_so_does_the_upstream() -> None:
    steps = world(route("/admin", DirectResponseAction(403)), route("/")).call("http://shop/x/../admin", answers=[])
    assert reply_of(steps)[0] == 403
    assert world(route("/")).call("http://shop/x/./y?a=/../b").sent()[0].path == b"/x/y?a=/../b"


# What is not HTTP, or not in the mesh.


def outside(to: object, **fields: object) -> World:
    return World(
        listeners=[listener("virtualOutbound", chain(to, "tcp", **fields))],  # type: ignore[arg-type]
        clusters=[cluster("db", ADDRESS), eds("cold")],
    )


def test_a_chain_that_passes_through_leaves_the_call_to_the_library() -> None:
    fixture = outside(TcpProxy(PASSTHROUGH))
    steps = fixture.steps("http://example.com/")
    assert steps.wants(Bypass).tcp is None
    steps.finish([204])
    assert (steps.call.status, steps.call.attempts, steps.flags) == (204, 1, "-")
    assert fixture.heard.calls == [steps.call]


def test_a_route_that_passes_through_does_so_too_without_a_word() -> None:
    steps = world(route("/", PASSTHROUGH, headers=RESPONSE, timeout_s=1.0)).steps()
    assert steps.wants(Bypass).tcp is None
    steps.until(Deliver, answers=[200])
    assert steps.wants(Deliver).deadline is None


def test_a_black_hole_lets_nothing_out() -> None:
    status, flags, body = reply_of(outside(TcpProxy(BLACKHOLE)).call("http://example.com/", answers=[]))
    assert (status, flags) == (503, "UF")
    assert body.startswith(b"BlackHoleCluster")


def test_a_tcp_cluster_is_governed_per_connection() -> None:
    fixture = outside(TcpProxy("db"))
    steps = fixture.steps("https://db.example.com/")
    assert steps.wants(Bypass).cluster == "db"
    steps.finish()
    assert steps.call.cluster is fixture.cluster("db")
    assert fixture.cluster("db").state.used_at == steps.call.started


def test_a_tcp_cluster_that_is_missing_is_nc_and_one_without_endpoints_yet_is_waited_for() -> None:
    assert reply_of(outside(TcpProxy("gone")).call("http://x/", answers=[])) == (503, "NC", b"")
    fixture = outside(TcpProxy("cold"))
    steps = fixture.steps("http://x/")
    assert steps.action is not None
    assert fixture.asked[-1][1] == ("cold",)


def inspected(*chains: object, **parts: object) -> World:
    """A listener that takes HTTP in its first chain and other bytes in the second."""
    http = chain(manager(table(route("/"))), "http", application_protocols=("http/1.1",))
    return World(
        listeners=[listener("virtualOutbound", http, *chains)],  # type: ignore[arg-type]
        clusters=[cluster("a", ADDRESS), cluster("db", ADDRESS), eds("cold")],
        **parts,  # type: ignore[arg-type]
    )


def test_what_the_inspector_does_not_take_for_http_goes_where_other_bytes_go() -> None:
    steps = inspected(chain(TcpProxy(PASSTHROUGH), "rest")).steps("http://x/caf\xe9")
    assert steps.wants(Bypass).tcp is None
    steps.finish([200])
    assert (steps.status, steps.flags, steps.call.route) == (200, "-", None)
    assert inspected(chain(TcpProxy("db"), "rest")).steps("http://x/a b").wants(Bypass).cluster == "db"
    assert reply_of(inspected().call("http://x/a b", answers=[])) == (503, "UF", b"no filter chain matches")


def test_bytes_that_are_no_http_in_a_chain_that_takes_only_http_are_a_bad_request() -> None:
    status, flags, body = reply_of(world(route("/")).call("http://shop/caf\xe9", answers=[]))
    assert (status, flags, body) == (400, "DPE", b"Bad Request")


def test_opaque_bytes_wait_for_their_clusters_endpoints_too() -> None:
    fixture = inspected(chain(TcpProxy("cold"), "rest"))
    steps = fixture.steps("http://x/a b")
    assert steps.wants(AwaitConfig).missing == "endpoints of cluster 'cold'"
    fixture.update(assignments={"cold": resource(ENDPOINT, "cold", assignment("cold", ADDRESS))})
    steps.answer()
    assert steps.wants(Bypass).cluster == "cold"


def test_opaque_bytes_wait_for_the_filters_of_the_chain_that_takes_them() -> None:
    discovered = manager(table(route("/")), http_filter("wasm", None, discovery="wasm"))
    fixture = inspected(chain(discovered, "rest"))
    assert fixture.steps("http://x/a b").wants(AwaitConfig).missing == "filter wasm"


def test_a_host_that_no_authority_may_hold_is_a_bad_request_in_grpc_too() -> None:
    for headers in ([], [("content-type", "application/grpc")]):
        steps = world(route("/")).call(headers=[("host", "a b"), *headers], answers=[])
        assert reply_of(steps) == (400, "DPE", b"Bad Request")
        assert steps.reply is not None
        assert steps.reply.details == "http.invalid_authority"


@pytest.mark.parametrize(
    ("fixture", "reason"),
    [
        (World(listeners=[]), b"no listener takes shop:80"),
        (outside(None), b"the filter chain leads nowhere"),
        (outside(TcpProxy("db"), destination_port=81), b"no filter chain matches"),
    ],
    ids=["listener", "filter", "chain"],
)
def test_what_nothing_takes_is_refused_and_says_why(fixture: World, reason: bytes) -> None:
    assert reply_of(fixture.call(answers=[])) == (503, "UF", reason)


def test_a_network_filter_that_is_not_understood_closes_its_chain_unless_it_is_allowed() -> None:
    unknown = UnknownNetworkFilter("mongo", "type.Mongo", "not implemented")
    one = replace(chain(manager(table(route("/")))), closed_by=(unknown,))
    parts = snapshot(listeners=[listener("virtualOutbound", one)], clusters=[cluster("a", ADDRESS)])
    status, flags, body = reply_of(World(parts).call(answers=[]))
    assert (status, flags) == (503, "UF")
    assert body == b"network filter mongo (type.Mongo) cannot be enforced: not implemented"
    for name in ("mongo", "type.Mongo"):
        assert World(parts, options=Options(allow_unenforced=frozenset({name}))).call().status == 200
