"""What routes do: clusters, rewrites, redirects, direct responses, timeouts (envoy.config.route.v3)."""

from __future__ import annotations

from typing import Any

from tests.support.world import FakeConnection

from ..registry import Effect, effect
from ..resources import Json, Shop, shop
from ..scene import Scene
from ..seeing import See, each_of, explained, sent, spread

R = "envoy.config.route.v3."
ACTION = R + "RouteAction."
REDIRECT = R + "RedirectAction."
DIRECT = R + "DirectResponseAction."
WEIGHTED = R + "WeightedCluster."
WEIGHT = WEIGHTED + "ClusterWeight."
SUBSTITUTE = "envoy.type.matcher.v3.RegexMatchAndSubstitute."


def action(**fields: Any) -> Shop:
    """A route with this action."""
    return shop(action=fields)


def to(**fields: Any) -> Shop:
    """A route below /a with this action."""
    return shop(match={"prefix": "/a"}, action=fields)


def redirect(**fields: Any) -> Shop:
    """A route below /a that redirects."""
    return shop(match={"prefix": "/a"}, route_fields={"redirect": fields})


def direct(**fields: Any) -> Shop:
    """A route that answers itself."""
    return shop(route_fields={"direct_response": fields})


def weighted(*weights: Json, **fields: Any) -> Shop:
    """A route to several clusters."""
    return action(weighted_clusters={"clusters": list(weights), **fields})


REWRITE: Json = {"pattern": {"regex": "a+"}, "substitution": "b"}
GRPC: Json = {"method": "POST", "headers": [("content-type", "application/grpc")]}
SLOW: Json = {**GRPC, "headers": [*GRPC["headers"], ("grpc-timeout", "60S")]}
LOCATION = explained("location", url="http://shop/a/1?q=1")
HALVES: list[Json] = [{"name": "a", "weight": 1}, {"name": "b", "weight": 3}]


def high_priority_counts(scene: Scene) -> int:
    """The requests that count against the thresholds of the high priority while a call is under way."""
    steps = scene.world.steps()
    steps.answer(FakeConnection())
    return scene.world.cluster().breaker(high_priority=True).requests


def clusters(*requests: str | Json) -> See:
    """The clusters that requests go to."""
    return each_of("cluster", *requests)


CASES: list[Effect] = [
    effect(R + "Route.route", to(cluster="b"), explained("action", "cluster"), ("route", "b")),
    effect(R + "Route.redirect", redirect(host_redirect="x"), explained("action", "status"), ("redirect", 301)),
    effect(R + "Route.direct_response", direct(status=418), explained("action", "status"), ("direct_response", 418)),
    effect(
        R + "Route.non_forwarding_action",
        shop(route_fields={"non_forwarding_action": {}}),
        explained("action", "status", "response_flags"),
        ("none", 503, "NC"),
    ),
    effect(R + "Route.name", shop(route_fields={"name": "first"}), explained("route"), "first"),
    effect(R + "Route.match", shop(match={"prefix": "/b"}), each_of("status", "/b", "/a"), [None, 404]),
    effect(
        R + "Route.decorator",
        shop(route_fields={"decorator": {"operation": "op"}}, manager_fields={"tracing": {}}),
        sent("x-envoy-decorator-operation"),
        ["op"],
    ),
    effect(
        R + "Decorator.operation",
        shop(route_fields={"decorator": {"operation": "op"}}, manager_fields={"tracing": {}}),
        sent("x-envoy-decorator-operation"),
        ["op"],
        against=shop(route_fields={"decorator": {"operation": "other"}}, manager_fields={"tracing": {}}),
    ),
    effect(
        R + "Decorator.propagate",
        shop(route_fields={"decorator": {"operation": "op", "propagate": False}}, manager_fields={"tracing": {}}),
        sent("x-envoy-decorator-operation"),
        [],
    ),
    # Where to.
    effect(ACTION + "cluster", action(cluster="b"), explained("cluster"), "b"),
    effect(
        ACTION + "cluster_header",
        action(cluster_header="x-to"),
        clusters({"headers": [("x-to", "b")]}, {"headers": [("x-to", "c")]}),
        ["b", "c"],
    ),
    effect(ACTION + "weighted_clusters", weighted(*HALVES), spread(40), against=action(cluster="a")),
    effect(
        ACTION + "cluster_not_found_response_code",
        action(cluster="gone", cluster_not_found_response_code="NOT_FOUND"),
        explained("status", "response_flags"),
        (404, "NC"),
    ),
    effect(WEIGHTED + "clusters", weighted({"name": "b", "weight": 1}), explained("cluster"), "b"),
    effect(
        WEIGHTED + "header_name",
        weighted({"name": "a", "weight": 1}, {"name": "b", "weight": 9}, header_name="x-at"),
        clusters(*({"headers": [("x-at", str(each))]} for each in (0, 10, 20))),
        ["a", "a", "a"],
    ),
    effect(
        WEIGHTED + "use_hash_policy",
        shop(
            action={
                "weighted_clusters": {
                    "clusters": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}],
                    "use_hash_policy": True,
                },
                "hash_policy": [{"header": {"header_name": "x-key"}}],
            }
        ),
        clusters(*({"headers": [("x-key", str(each))]} for each in range(6))),
        ["a", "a", "b", "a", "b", "b"],
    ),
    effect(WEIGHT + "name", weighted({"name": "b", "weight": 1}), explained("cluster"), "b"),
    effect(
        WEIGHT + "cluster_header",
        weighted({"cluster_header": "x-to", "weight": 1}),
        clusters({"headers": [("x-to", "b")]}, {"headers": [("x-to", "c")]}),
        ["b", "c"],
    ),
    effect(
        WEIGHT + "weight",
        weighted({"name": "a", "weight": 0}, {"name": "b", "weight": 7}),
        clusters(*["/a"] * 20),
        ["b"] * 20,
    ),
    effect(
        WEIGHT + "host_rewrite_literal",
        weighted({"name": "a", "weight": 1, "host_rewrite_literal": "other"}),
        explained("authority"),
        "other",
    ),
    effect(ACTION + "priority", action(priority="HIGH"), high_priority_counts, 1),
    # Rewrites.
    effect(ACTION + "prefix_rewrite", to(prefix_rewrite="/new"), explained("path", url="http://shop/a/1"), "/new/1"),
    effect(ACTION + "regex_rewrite", to(regex_rewrite=REWRITE), explained("path", url="http://shop/aa/a"), "/b/b"),
    effect(SUBSTITUTE + "pattern", to(regex_rewrite=REWRITE), explained("path", url="http://shop/aa/a"), "/b/b"),
    effect(SUBSTITUTE + "substitution", to(regex_rewrite=REWRITE), explained("path", url="http://shop/aa/a"), "/b/b"),
    effect(ACTION + "host_rewrite_literal", to(host_rewrite_literal="x.test"), explained("authority"), "x.test"),
    effect(
        ACTION + "host_rewrite_header",
        to(host_rewrite_header="x-host"),
        explained("authority", headers=[("x-host", "x.test")]),
        "x.test",
    ),
    effect(
        ACTION + "host_rewrite_path_regex",
        to(host_rewrite_path_regex={"pattern": {"regex": "^/(.+)$"}, "substitution": "\\1.test"}),
        explained("authority"),
        "a.test",
    ),
    # Timeouts.
    effect(ACTION + "timeout", action(timeout="3s"), explained("timeout_s"), 3.0),
    effect(ACTION + "max_grpc_timeout", action(max_grpc_timeout="5s"), explained("timeout_s", **SLOW), 5.0),
    effect(
        ACTION + "grpc_timeout_offset",
        action(max_grpc_timeout="0s", grpc_timeout_offset="10s"),
        explained("timeout_s", **SLOW),
        50.0,
    ),
    # Redirects.
    effect(REDIRECT + "https_redirect", redirect(https_redirect=True), LOCATION, "https://shop/a/1?q=1"),
    effect(REDIRECT + "scheme_redirect", redirect(scheme_redirect="https"), LOCATION, "https://shop/a/1?q=1"),
    effect(REDIRECT + "host_redirect", redirect(host_redirect="x.test"), LOCATION, "http://x.test/a/1?q=1"),
    effect(REDIRECT + "port_redirect", redirect(port_redirect=81), LOCATION, "http://shop:81/a/1?q=1"),
    effect(REDIRECT + "path_redirect", redirect(path_redirect="/new"), LOCATION, "http://shop/new?q=1"),
    effect(REDIRECT + "prefix_rewrite", redirect(prefix_rewrite="/new"), LOCATION, "http://shop/new/1?q=1"),
    effect(REDIRECT + "regex_rewrite", redirect(regex_rewrite=REWRITE), LOCATION, "http://shop/b/1?q=1"),
    effect(REDIRECT + "response_code", redirect(response_code="SEE_OTHER"), explained("status"), 303),
    effect(REDIRECT + "strip_query", redirect(strip_query=True), LOCATION, "http://shop/a/1"),
    # Direct responses.
    effect(DIRECT + "status", direct(status=418), explained("status"), 418),
    effect(DIRECT + "body", direct(status=200, body={"inline_string": "hello"}), explained("body"), "hello"),
    effect(
        "envoy.config.core.v3.DataSource.inline_string",
        direct(status=200, body={"inline_string": "hello"}),
        explained("body"),
        "hello",
    ),
    effect(
        "envoy.config.core.v3.DataSource.inline_bytes",
        direct(status=200, body={"inline_bytes": "aGVsbG8="}),
        explained("body"),
        "hello",
    ),
]
