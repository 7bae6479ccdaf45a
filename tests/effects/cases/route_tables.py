"""Route tables, virtual hosts, and what may stand at every level: header mutations, filters' own configurations."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Head

from ..registry import Effect, effect
from ..resources import Json, Shop, extension, host, route, shop, table, typed
from ..seeing import answered, each_of, explained, refusals, sent, tried

R = "envoy.config.route.v3."
TABLE = R + "RouteConfiguration."
HOST = R + "VirtualHost."
FILTER = R + "FilterConfig."
OPTION = "envoy.config.core.v3.HeaderValueOption."
VALUE = "envoy.config.core.v3.HeaderValue."
LIMIT = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
ALL: Json = {"default_value": {"numerator": 100}}
EMPTY: Json = {"max_tokens": 1, "fill_interval": "100s"}


def limited(**fields: Any) -> Json:
    """A local rate limit of one request, for a level of a route."""
    own = {"stat_prefix": "s", "token_bucket": EMPTY, "filter_enabled": ALL, "filter_enforced": ALL}
    return typed(LIMIT, **own, **fields)


def at(level: str, **fields: Any) -> Shop:
    """Fields at a level of the one route."""
    match level:
        case "RouteConfiguration":
            return shop(table_fields=fields)
        case "VirtualHost":
            return shop(host_fields=fields)
        case "Route":
            return shop(route_fields=fields)
        case _:
            return shop(action={"weighted_clusters": {"clusters": [{"name": "a", "weight": 1, **fields}]}})


def levels() -> list[Effect]:
    """The same fields at each level."""
    add: Json = {"header": {"key": "x-new", "value": "1"}}
    found = []
    for level in ("RouteConfiguration", "VirtualHost", "Route", "WeightedCluster.ClusterWeight"):
        name = f"{R}{level}."
        gone = answered("x-old", answers=[told])
        found += [
            effect(name + "request_headers_to_add", at(level, request_headers_to_add=[add]), sent("x-new"), ["1"]),
            effect(
                name + "request_headers_to_remove",
                at(level, request_headers_to_remove=["x-old"]),
                sent("x-old", headers=[("x-old", "1")]),
                [],
            ),
            effect(
                name + "response_headers_to_add", at(level, response_headers_to_add=[add]), answered("x-new"), [b"1"]
            ),
            effect(name + "response_headers_to_remove", at(level, response_headers_to_remove=["x-old"]), gone, []),
            effect(
                name + "typed_per_filter_config",
                shop_with_limit(level, {"limit": limited()}),
                one_after_the_other,
                [None, 429],
            ),
        ]
    return found


def told(action: object) -> Any:
    """A response with a header `x-old`."""
    return Head(200, [(b"x-old", b"1")], None)


def shop_with_limit(level: str, configs: Json) -> Shop:
    """A filter that limits nothing by itself, and its configuration at a level."""
    base = at(level, typed_per_filter_config=configs)
    with_filter = shop(filters=[extension(LIMIT, "limit", stat_prefix="s")])
    listeners = {type_: found for type_, found in with_filter.resources.items() if type_.message == "Listener"}
    return Shop({**base.resources, **listeners}, {})


one_after_the_other = each_of("status", "/a", "/a")


def option(**fields: Any) -> Shop:
    """A header `x` that is added to requests."""
    return shop(route_fields={"request_headers_to_add": [{"header": {"key": "x", "value": "new"}, **fields}]})


OLD = [("x", "old")]
TWO_HOSTS = [
    host(route(action={"cluster": "b"}), name="b", domains=["b.test"]),
    host(route(), name="rest", domains=["*"]),
]
PORTS = shop(hosts=TWO_HOSTS, table_fields={"ignore_port_in_host_matching": True})


CASES: list[Effect] = [
    *levels(),
    effect(
        TABLE + "name",
        shop(tables=[table(host(route(action={"cluster": "b"})), name="80")]),
        explained("route_config", "cluster"),
        ("80", "b"),
    ),
    effect(
        TABLE + "virtual_hosts", shop(hosts=TWO_HOSTS), each_of("cluster", {"url": "http://b.test/"}, "/"), ["b", "a"]
    ),
    effect(TABLE + "ignore_port_in_host_matching", PORTS, explained("cluster", headers=[("host", "b.test:81")]), "b"),
    effect(
        TABLE + "most_specific_header_mutations_wins",
        shop(
            table_fields={
                "most_specific_header_mutations_wins": True,
                "request_headers_to_add": [
                    {"header": {"key": "x", "value": "table"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
                ],
            },
            host_fields={
                "request_headers_to_add": [
                    {"header": {"key": "x", "value": "host"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
                ]
            },
        ),
        sent("x"),
        ["host"],
    ),
    effect(
        TABLE + "max_direct_response_body_size_bytes",
        shop(
            table_fields={"max_direct_response_body_size_bytes": 3},
            route_fields={"direct_response": {"status": 200, "body": {"inline_string": "12345"}}},
        ),
        refusals,
    ),
    # Virtual hosts.
    effect(HOST + "name", shop(host_fields={"name": "first"}), explained("virtual_host"), "first"),
    effect(HOST + "domains", shop(hosts=TWO_HOSTS), each_of("cluster", {"url": "http://b.test/"}, "/"), ["b", "a"]),
    effect(HOST + "routes", shop(host_fields={}), explained("cluster"), "a"),
    effect(
        HOST + "include_request_attempt_count",
        shop(host_fields={"include_request_attempt_count": True}),
        sent("x-envoy-attempt-count"),
        ["1"],
    ),
    effect(
        HOST + "retry_policy",
        shop(host_fields={"retry_policy": {"retry_on": "5xx"}}),
        tried([503, 503]),
        (2, 503, "URX"),
    ),
    # One header.
    effect(OPTION + "header", option(), sent("x"), ["new"]),
    effect(OPTION + "append", option(append=False), sent("x", headers=OLD), ["new"]),
    effect(OPTION + "append_action", option(append_action="ADD_IF_ABSENT"), sent("x", headers=OLD), ["old"]),
    effect(
        OPTION + "keep_empty_value",
        option(header={"key": "x", "value": "%REQ(absent)%"}, keep_empty_value=True),
        sent("x"),
        [""],
    ),
    effect(VALUE + "key", option(), sent("x"), ["new"]),
    effect(VALUE + "value", option(), sent("x"), ["new"]),
    effect(VALUE + "raw_value", option(header={"key": "x", "raw_value": "bmV3"}), sent("x"), ["new"]),
    effect(HOST + "require_tls", shop(host_fields={"require_tls": "ALL"}), explained("status"), 301),
    effect(
        HOST + "include_attempt_count_in_response",
        shop(host_fields={"include_attempt_count_in_response": True}),
        answered("x-envoy-attempt-count"),
        [b"1"],
    ),
    # What a route says to a filter.
    effect(
        FILTER + "config",
        shop_with_limit("Route", {"limit": typed(R + "FilterConfig", config=limited())}),
        one_after_the_other,
        [None, 429],
        against=shop_with_limit("Route", {"limit": typed(R + "FilterConfig", disabled=True)}),
    ),
    effect(
        FILTER + "disabled",
        shop(
            filters=[{"name": "limit", "typed_config": limited()}],
            route_fields={"typed_per_filter_config": {"limit": typed(R + "FilterConfig", disabled=True)}},
        ),
        one_after_the_other,
        [None, None],
        against=shop(filters=[{"name": "limit", "typed_config": limited()}]),
    ),
    effect(
        FILTER + "is_optional",
        shop_with_limit(
            "Route",
            {
                "limit": typed(
                    R + "FilterConfig",
                    is_optional=True,
                    config=typed("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"),
                )
            },
        ),
        explained("status"),
        None,
    ),
]
