"""The headers of a request as it goes out (docs/envoy-facts.md, "Request headers")."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxyless.xds.model.cluster import HttpProtocol
from proxyless.xds.model.matchers import RegexRewrite
from proxyless.xds.model.route import BackOff, RetryPolicy, RouteAction, WeightedCluster
from proxyless.xds.model.values import HeaderMutation, HeaderMutations
from tests.support.model import chain, cluster, listener, manager, route, table, vhost
from tests.support.world import World

ONCE, TWICE = (RetryPolicy(retry_on=("5xx",), num_retries=number, back_off=BackOff(0.1, 0.1)) for number in (1, 2))


def world(counts: bool = False, http2: bool = False, tracing: bool = True, to: Any = "a", **fields: Any) -> World:
    if isinstance(to, str):
        fields = {"timeout_s": None, **fields}
    tables = [table(vhost(route("/", to, **fields), include_request_attempt_count=counts))]
    listeners = [listener("0.0.0.0_80", chain(manager("80", tracing=tracing)))]
    http = HttpProtocol(protocol="http2" if http2 else "http1")
    return World(tables=tables, listeners=listeners, clusters=[cluster("a", "10.0.0.1:80", http=http)])


def sent(
    made: World, *lines: str, method: str = "GET", path: str = "/", tries: int = 1, answers: Any = None
) -> list[list[str]]:
    """The header lines of each try, without the two that every request has."""
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    run = made.call(f"http://shop{path}", answers or [503] * (tries - 1) + [200], method=method, headers=headers)
    return [
        [
            f"{name.decode()}: {value.decode()}"
            for name, value in each.headers
            if name not in (b"x-request-id", b"x-forwarded-proto")
        ]
        for each in run.sent()
    ]


def test_a_program_s_headers_come_first_and_keep_their_order_and_case() -> None:
    assert sent(world(), "B: 1", "a: 2", "B: 3") == [["B: 1", "a: 2", "B: 3"]]


def test_what_envoy_adds_comes_at_the_end_in_its_order() -> None:
    made = world(
        counts=True,
        decorator="operation",
        timeout_s=0.5,
        host_rewrite="other",
        prefix_rewrite="/new",
        headers=HeaderMutations(request_add=(HeaderMutation("added", "1"),)),
    )
    assert sent(made, "a: 1", path="/old?x", method="POST") == [
        [
            "a: 1",
            "x-envoy-decorator-operation: operation",
            "x-envoy-expected-rq-timeout-ms: 500",
            "x-envoy-attempt-count: 1",
            "added: 1",
            "x-envoy-original-host: shop",
            "x-envoy-original-path: /old?x",
            "content-length: 0",
        ]
    ]


def test_what_the_program_sent_itself_is_overwritten_in_its_place() -> None:
    made = world(counts=True, decorator="operation", timeout_s=0.5, host_rewrite="other", prefix_rewrite="/new")
    own = ["original-path", "attempt-count", "original-host", "decorator-operation"]
    assert sent(made, *(f"x-envoy-{name}: sent" for name in own), "x-envoy-expected-rq-timeout-ms: 9") == [
        [
            "x-envoy-original-path: /",
            "x-envoy-attempt-count: 1",
            "x-envoy-original-host: shop",
            "x-envoy-decorator-operation: operation",
            "x-envoy-expected-rq-timeout-ms: 500",
        ]
    ]


@pytest.mark.parametrize(
    "fields", [{}, {"decorator": "x", "decorator_propagate": False}, {"decorator": "x", "tracing": False}]
)
def test_without_a_decorator_a_sent_one_stays(fields: dict[str, Any]) -> None:
    assert sent(world(**fields), "x-envoy-decorator-operation: sent") == [["x-envoy-decorator-operation: sent"]]


@pytest.mark.parametrize(
    ("method", "lines", "http2", "added"),
    [
        ("GET", [], False, False),
        ("HEAD", [], False, False),
        ("DELETE", [], False, False),
        ("OPTIONS", [], False, True),
        ("POST", [], False, True),
        ("POST", [], True, False),
        ("POST", ["content-length: 3"], False, False),
        ("PUT", ["Transfer-Encoding: chunked"], False, False),
    ],
)
def test_a_request_without_a_body_says_so_where_one_is_expected(
    method: str, lines: list[str], http2: bool, added: bool
) -> None:
    found = sent(world(http2=http2), *lines, method=method)[0]
    assert found == [*lines, *(["content-length: 0"] if added else [])]


def test_each_try_says_its_number_and_what_is_left() -> None:
    made = world(counts=True, timeout_s=1.0, retry=TWICE)
    made.draws.give(0.5, 0.99)  # half of the first back-off, all of the second
    assert sent(made, tries=3) == [
        ["x-envoy-expected-rq-timeout-ms: 1000", "x-envoy-attempt-count: 1"],
        ["x-envoy-expected-rq-timeout-ms: 950", "x-envoy-attempt-count: 2"],
        ["x-envoy-expected-rq-timeout-ms: 851", "x-envoy-attempt-count: 3"],
    ]


def test_a_per_try_timeout_is_what_each_try_may_expect() -> None:
    retry = replace(ONCE, per_try_timeout_s=0.2)
    expected = ["x-envoy-expected-rq-timeout-ms: 200"]
    assert sent(world(timeout_s=1.0, retry=retry), tries=2) == [expected, expected]
    assert sent(world(retry=retry), tries=2) == [expected, expected]


def test_headers_that_only_look_like_ours_stay_with_every_try() -> None:
    lines = ["x-envoy-attempt-count: sent", "grpc-timeout: 5S"]
    assert sent(world(retry=ONCE), *lines, tries=2) == [lines, lines]


GRPC = "content-type: application/grpc"


@pytest.mark.parametrize(
    ("most_s", "asked", "told"),
    [
        (0.0, "300m", "300m"),
        (0.0, "1S", "1000m"),
        (0.2, "300m", "200m"),
        (5.0, None, "5000m"),
        (0.0, "99999999S", "99999999S"),
        (0.0, "99999999M", "99999999M"),
        (0.0, "99999999H", "99999999H"),
        (0.0, "100000S", "100000S"),
        (0.0, "1H", "3600000m"),
    ],
)
def test_a_grpc_request_is_told_its_effective_timeout(most_s: float, asked: str | None, told: str) -> None:
    lines = [GRPC, "a: 1"] if asked is None else [GRPC, f"grpc-timeout: {asked}", "a: 1"]
    found = sent(world(http2=True, max_grpc_timeout_s=most_s), *lines, method="POST")[0]
    assert f"grpc-timeout: {told}" in found
    if asked is not None:
        assert found.index(f"grpc-timeout: {told}") == 1, "in its place"


def test_a_grpc_request_without_a_timeout_is_told_none() -> None:
    assert sent(world(http2=True, max_grpc_timeout_s=0.0), GRPC, method="POST") == [[GRPC]]
    assert sent(world(http2=True), GRPC, "grpc-timeout: 1S", method="POST") == [[GRPC, "grpc-timeout: 1S"]]


def test_a_grpc_timeout_is_told_anew_with_every_try() -> None:
    made = world(http2=True, max_grpc_timeout_s=0.0, retry=ONCE)
    made.draws.give(0.5)
    found = sent(made, GRPC, "grpc-timeout: 1S", method="POST", tries=2)
    assert [lines[1] for lines in found] == ["grpc-timeout: 1000m", "grpc-timeout: 950m"]


def test_the_host_of_a_drawn_cluster_leaves_no_trace() -> None:
    entry = WeightedCluster("a", 1, host_rewrite="inner")
    made = world(to=RouteAction(weighted_clusters=(entry,), prefix_rewrite="/new/"))
    run = made.call("http://shop/old")
    assert [(each.authority, each.path) for each in run.sent()] == [(b"inner", b"/new/old")]
    assert b"x-envoy-original-host" not in dict(run.sent()[0].headers)


def test_a_rewrite_to_nothing_is_no_rewrite() -> None:
    run = world(regex_rewrite=RegexRewrite("^/x$", "")).call("http://shop/x")
    assert run.sent()[0].path == b"/x"
    assert b"x-envoy-original-path" not in dict(run.sent()[0].headers)
