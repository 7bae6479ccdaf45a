"""Bugs of those who did it before, each of which was reproduced there; here each is a test."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxyless import Mesh, Node, NotReadyError
from proxyless.governance.actions import AwaitConfig
from proxyless.xds.model.cluster import LbConfig, OutlierDetection
from proxyless.xds.model.filters import InertFilter, LocalRateLimit, TokenBucket
from proxyless.xds.model.matchers import HeaderMatcher, PathMatcher, StringMatcher
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.model.route import RetryPolicy, RouteMatch
from proxyless.xds.model.values import Fraction
from proxyless.xds.wire.codec import parse
from proxyless.xds.wire.decode.cluster import cluster as decode_cluster
from proxyless.xds.wire.refused import RefusedError
from proxyless.xds.wire.schema import types as pb
from tests.support.model import (
    CLUSTER,
    ENDPOINT,
    ROUTE,
    assignment,
    cluster,
    eds,
    http_filter,
    resource,
    route,
    table,
    vhost,
)
from tests.support.world import World

ADDRESSES = {"a": "10.0.0.1:80", "b": "10.0.0.2:80", "c": "10.0.0.3:80"}
RETRY = RetryPolicy(("5xx",), 2)


def world(*routes: Any, **parts: Any) -> World:
    clusters = [cluster(name, address) for name, address in ADDRESSES.items()]
    return World(tables=[table(*routes)], clusters=clusters, **parts)


def went(made: World, *headers: tuple[str, str], path: str = "/") -> str:
    """The cluster of a call."""
    cluster_ = made.call(f"http://shop{path}", headers=headers).call.cluster
    assert cluster_ is not None
    return cluster_.name


def test_a_partial_route_push_leaves_the_retry_policies_of_other_services() -> None:
    """kitex-contrib/xds: a partial RDS push removed every other service's retry policy."""
    first = table(
        vhost(route("/", "a", retry=RETRY), domains=["a"]), vhost(route("/", "b", retry=RETRY), domains=["b"])
    )
    made = World(tables=[first], clusters=[cluster(name, address) for name, address in ADDRESSES.items()])
    assert made.call("http://a/", answers=[503, 503, 200]).call.attempts == 3
    other = table(vhost(route("/", "c"), domains=["c"]), name="81")
    made.update(routes={**made.runtime.plan.snapshot.routes, "81": resource(ROUTE, "81", other)})
    for host in ("a", "b"):
        assert made.call(f"http://{host}/", answers=[503, 503, 200]).call.attempts == 3


@pytest.mark.parametrize("order", [("a", "b", "c"), ("b", "c", "a"), ("c", "a", "b")])
def test_a_cluster_of_weight_0_is_never_taken(order: tuple[str, ...]) -> None:
    """kitex-contrib/xds: an off by one gave a weight-0 cluster about one percent of the picks."""
    weights = {"a": 0, "b": 99, "c": 1}
    made = world(route("/", {name: weights[name] for name in order}))
    assert Counter(made.call().hosts[0] for _ in range(2000)).keys() == {ADDRESSES["b"], ADDRESSES["c"]}
    edges = world(route("/", {name: weights[name] for name in order}), draws=[0.0])
    assert edges.call().hosts != [ADDRESSES["a"]]


def matched(spec: Any, *values: str | None, **fields: Any) -> list[bool]:
    """Whether a matcher of one header takes each value; None is its absence."""
    match = RouteMatch(PathMatcher("prefix", "/"), headers=(HeaderMatcher("x-key", spec, **fields),))
    made = world(route(match, "a"), route("/", "b"))
    return [went(made, *([] if value is None else [("x-key", value)])) == "a" for value in values]


def test_an_inverted_matcher_is_not_the_rule_the_other_way_round() -> None:
    """kitex-contrib/xds: invert_match was ignored, so the rule was reversed."""
    assert matched(StringMatcher("exact", "x"), "x", "y", invert=True) == [False, True]
    assert matched(True, "x", None, invert=True) == [False, True]


def test_a_matcher_of_presence_does_not_widen_the_route() -> None:
    """kitex-contrib/xds: present matchers were dropped, so the route took every request."""
    assert matched(True, "x", "", None) == [True, True, False]


def test_a_matcher_of_a_suffix_does_not_widen_the_route() -> None:
    """kitex-contrib/xds: suffix matchers were dropped, so the route took every request."""
    assert matched(StringMatcher("suffix", "x"), "x", "yx", "xy", None) == [True, True, False, False]


def test_a_regular_expression_matches_the_whole_value() -> None:
    """kitex-contrib/xds: regular expressions were not anchored."""
    assert matched(StringMatcher("safe_regex", "x.z"), "xyz", "axyz", "xyzb") == [True, False, False]


def test_two_matchers_of_one_header_must_both_match() -> None:
    """kitex-contrib/xds: matchers of the same header overwrote each other."""
    both = (HeaderMatcher("x", StringMatcher("prefix", "a")), HeaderMatcher("x", StringMatcher("suffix", "z")))
    made = world(route(RouteMatch(PathMatcher("prefix", "/"), headers=both), "a"), route("/", "b"))
    assert [went(made, ("x", value)) for value in ("a-z", "a-", "-z", "az")] == ["a", "b", "b", "a"]


def test_a_prefix_that_ends_in_a_slash_matches() -> None:
    """kitex-contrib/xds: the prefix `/svc/` never matched."""
    made = world(route("/svc/", "a"), route("/", "b"))
    assert [went(made, path=path) for path in ("/svc/", "/svc/x", "/svc", "/svcx")] == ["a", "a", "b", "b"]


LIMIT = LocalRateLimit("limit", TokenBucket(60, 60, 60.0), enabled=Fraction(100, 100), enforced=Fraction(100, 100))


def test_a_rate_limit_that_is_not_the_first_filter_counts() -> None:
    """kitex-contrib/xds: only the first HTTP filter was looked at."""
    limit = replace(LIMIT, bucket=TokenBucket(1, 1, 60.0))
    filters = [http_filter("first", InertFilter()), http_filter("envoy.filters.http.local_ratelimit", limit)]
    made = world(route("/", "a"), filters=filters)
    assert [made.call(answers=answers).status for answers in ([200], [])] == [200, 429]


def test_sixty_in_a_minute_are_not_sixty_in_a_second() -> None:
    """kitex-contrib/xds: fill_interval was ignored."""
    made = world(route("/", "a"), filters=[http_filter("envoy.filters.http.local_ratelimit", LIMIT)])
    for _ in range(60):
        assert made.call().status == 200
    for _ in range(3):
        assert made.call(answers=[]).status == 429
        made.clock.advance(1.0)
        assert made.call().status == 200


def test_a_caller_that_gives_up_takes_nothing_from_those_who_wait_too() -> None:
    """kitex-contrib/xds: one caller's short deadline removed the waiter that others shared."""
    made = World(tables=[table(route("/", "a"))], clusters=[eds("a")])
    hasty, patient = made.steps(), made.steps()
    for each in (hasty, patient):
        each.wants(AwaitConfig)
    hasty.close()
    made.update(assignments={"a": resource(ENDPOINT, "a", assignment("a", ADDRESSES["a"]))})
    patient.answer()
    patient.finish([200])
    assert patient.status == 200


def test_the_second_request_is_as_good_as_the_first() -> None:
    """kitex-contrib/xds: "the second request fails with a RouteConfig timeout"."""
    made = World(clusters=[cluster("a", ADDRESSES["a"])])
    first = made.steps()
    first.wants(AwaitConfig)
    made.update(routes={"80": resource(ROUTE, "80", table(route("/", "a")))})
    first.answer()
    first.finish([200])
    for _ in range(3):
        second = made.steps()
        assert not isinstance(second.action, AwaitConfig)
        second.finish([200])
        assert second.status == 200
    assert len(made.asked) == 1


def test_a_route_without_a_timeout_leaves_the_callers_own() -> None:
    """kitex-contrib/xds: a route timeout of 0, none, overwrote the caller's."""
    steps = world(route("/", "a", timeout_s=None)).call()
    assert steps.call.deadline is None
    assert steps.sent()[0].deadline is None


def test_n_retries_are_n_and_one_tries() -> None:
    """kitex-contrib/xds: the budget of a retry policy was n tries."""
    steps = world(route("/", "a", retry=RETRY)).call(answers=[503, 503, 503])
    assert (steps.call.attempts, steps.flags) == (3, "URX")


def test_two_routes_to_one_cluster_keep_their_own_policies() -> None:
    """kitex-contrib/xds: policies were kept by cluster, so the last route's won."""
    made = world(route("/slow", "a", timeout_s=9.0, retry=RETRY), route("/", "a", timeout_s=1.0))
    for _ in range(2):
        slow, fast = made.call("http://shop/slow", answers=[503, 200]), made.call(answers=[503])
        assert [(each.call.attempts, each.call.timeout_s) for each in (slow, fast)] == [(2, 9.0), (1, 1.0)]


def test_endpoints_that_change_are_taken_at_once() -> None:
    """kitex-contrib/xds: endpoint updates lagged up to five seconds."""
    made = World(tables=[table(route("/", "a"))], clusters=[eds("a")], assignments=[assignment("a", ADDRESSES["a"])])
    assert made.call().hosts == [ADDRESSES["a"]]
    made.update(assignments={"a": resource(ENDPOINT, "a", assignment("a", ADDRESSES["b"]))})
    assert made.call().hosts == [ADDRESSES["b"]]


def test_least_request_is_a_policy_and_no_reason_to_lose_a_cluster() -> None:
    """grpcio: LEAST_REQUEST is NACKed, and the cluster dies."""
    made = World(
        tables=[table(route("/", "a"))],
        clusters=[cluster("a", ADDRESSES["a"], ADDRESSES["b"], lb_policy="LEAST_REQUEST")],
    )
    assert {made.call().hosts[0] for _ in range(50)} == {ADDRESSES["a"], ADDRESSES["b"]}


def test_a_cluster_by_dns_serves() -> None:
    """grpcio: a ServiceEntry with resolution DNS fails."""
    made = World(tables=[table(route("/", "a"))], clusters=[replace(cluster("a", "x.example:80"), type="STRICT_DNS")])
    steps = made.steps()
    steps.wants(AwaitConfig)
    assert made.asked == [(CLUSTER, ("a",))]
    made.update(resolved={"a": assignment("a", ADDRESSES["a"])})
    steps.answer()
    steps.finish([200])
    assert steps.hosts == [ADDRESSES["a"]]


def test_a_mesh_without_a_control_plane_is_there_at_once_and_says_so() -> None:
    """kitex-contrib/xds: Init hung when the control plane was away, or returned no error with a dead client."""
    node = Node(app="me", namespace="shop", ip="127.0.0.9")
    with Mesh("xds://127.0.0.1:1", node=node, registry=False, cache_dir=False) as mesh:
        with pytest.raises(NotReadyError, match=r"127\.0\.0\.1:1"):
            mesh.wait_ready(0.2)
        assert mesh.status()["ready"] is False


def test_a_cluster_that_does_not_exist_is_not_asked_for_for_ever() -> None:
    """kitex-contrib/xds: a name that was asked for and does not exist stayed watched for ever."""
    made = world(route("/", "ghost"))
    for _ in range(3):
        assert made.call(answers=[]).flags == "NC"
    assert made.asked == []


def test_a_second_ejection_right_after_a_first_one_is_seen_at_once() -> None:
    """Envoy: its balancers may hear of a second change of health only up to a second after the first."""
    detection = OutlierDetection(consecutive_5xx=1, max_ejection_percent=100, enforcing_success_rate=0)
    fields: dict[str, Any] = {"outlier_detection": detection, "lb": LbConfig(panic_threshold=0)}
    made = World(tables=[table(route("/", "a"))], clusters=[cluster("a", ADDRESSES["a"], ADDRESSES["b"], **fields)])
    assert {made.call(answers=[503]).hosts[0] for _ in range(2)} == {ADDRESSES["a"], ADDRESSES["b"]}
    assert made.call(answers=[]).flags == "UH"


def test_a_message_without_a_field_set_is_there_all_the_same() -> None:
    """betterproto2: an empty message is false, so whoever asks for its truth takes it for none."""
    message = pb.cluster_v3.Cluster(name="a")
    assert decode_cluster(message.SerializeToString()).outlier_detection is None
    message.outlier_detection.SetInParent()
    assert decode_cluster(message.SerializeToString()).outlier_detection == OutlierDetection()


def test_bytes_that_end_too_early_are_no_message() -> None:
    """betterproto2: a length past the end of the bytes is accepted."""
    raw = pb.cluster_v3.Cluster(name="a cluster").SerializeToString()
    with pytest.raises(RefusedError):
        parse(ResourceType.CLUSTER, raw[:-1])


ELSEWHERE = {
    "kitex-contrib/xds: the token was read once, and refused for ever after its rotation": (
        "tests/xds/transport/test_connection.py::test_a_rotated_token_is_read_for_the_next_stream"
    ),
    "grpcio: a forked child needs care with a stream that is open": (
        "tests/xds/transport/test_processes.py::test_a_forked_child_opens_a_stream_of_its_own_and_the_parent_keeps_its"
    ),
    "grpcio: with GRPC_ENABLE_FORK_SUPPORT=1 it hangs": (
        "tests/xds/transport/test_processes.py::test_fork_support_of_grpc_is_refused_by_name"
    ),
}
"""Bugs whose tests need a control plane or a process of their own."""


@pytest.mark.parametrize("bug", ELSEWHERE)
def test_the_other_bugs_have_their_tests_too(bug: str) -> None:
    path, _, name = ELSEWHERE[bug].partition("::")
    assert f"def {name}(" in (Path(__file__).parents[2] / path).read_text()
