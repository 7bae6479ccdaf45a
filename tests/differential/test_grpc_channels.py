"""gRPC channels beside Envoy: what a plain grpcio client gets through Envoy, governed channels get from the mesh.

One Envoy, one mesh and two servers for the whole table.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.differential.custom import cluster, custom, host, route
from tests.differential.grpc_calls import KINDS, Call, Came, Planned, Tries, World
from tests.differential.probes.retries import H2
from tests.differential.recording import Recording, Resource, address_of
from tests.support.ports import free_port

pytestmark = pytest.mark.envoy

HTTP = "type.googleapis.com/envoy.extensions.filters.http."
FAULT = "envoy.filters.http.fault"
LIMIT = "envoy.filters.http.local_ratelimit"
BUFFER = "envoy.filters.http.buffer"
CONDITIONS = ("cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable")
ISTIO = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
RETRIES = {**{each: each for each in CONDITIONS}, "istio": ISTIO, "http": "5xx,gateway-error,reset"}
EJECTING = ("ejecting", "ejecting-late", "ejecting-told", "ejecting-stream")
SLOW = "wait=5;ok"
LATE = "wait=1;ok"
STREAMS = ("unary_stream", "stream_stream")
FRAME = 16_384 - 5
"""The longest message that goes in one frame of HTTP/2."""


def header(key: str, value: str) -> Resource:
    return {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def faulty(**config: object) -> Resource:
    return {"typed_per_filter_config": {FAULT: {"@type": HTTP + "fault.v3.HTTPFault", **config}}}


def limited(**config: object) -> Resource:
    bucket = {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "600s"}
    on = {"default_value": {"numerator": 100}}
    typed = {
        "@type": HTTP + "local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "x",
        "token_bucket": bucket,
        "filter_enabled": on,
        "filter_enforced": on,
        **config,
    }
    return {"typed_per_filter_config": {LIMIT: typed}}


def buffered(**config: object) -> Resource:
    return {"typed_per_filter_config": {BUFFER: {"@type": HTTP + "buffer.v3.BufferPerRoute", **config}}}


def tables() -> list[Resource]:
    """A virtual host for each rule."""
    every = {"prefix": "/"}
    always = {"numerator": 100}
    hosts = [
        host(
            route({"path": "/test.Planned/Other"}, "b"),
            route({"prefix": "/", "headers": [{"name": "x-user", "string_match": {"exact": "b"}}]}, "b"),
            route({"prefix": "/", "headers": [{"name": "x-raw-bin", "present_match": True}]}, "b"),
            route({"prefix": "/none/"}, "nowhere"),
            route({"prefix": "/direct/"}, {}, direct_response={"status": 503, "body": {"inline_string": "gone, é%"}}),
            route({"prefix": "/teapot/"}, {}, direct_response={"status": 418, "body": {"inline_string": "tea"}}),
            route({"prefix": "/well/"}, {}, direct_response={"status": 200, "body": {"inline_string": "well"}}),
            route({"prefix": "/moved/"}, {}, redirect={"path_redirect": "/there"}),
            route({"prefix": "/test."}, "a"),
            domains=("plain",),
            include_request_attempt_count=True,
            request_headers_to_add=[header("x-added", "in"), header("x-what", "%REQ(:METHOD)% %REQ(:PATH)%")],
            request_headers_to_remove=["x-gone"],
            response_headers_to_add=[header("x-added", "out")],
            response_headers_to_remove=["x-initial", "x-trailing"],
        ),
        host(route(every, {"cluster": "a", "prefix_rewrite": "/new", "host_rewrite_literal": "o"}), domains=("moved",)),
        host(route(every, {"cluster": "a", "timeout": "0.3s"}), domains=("timeout",)),
        host(route(every, {"cluster": "a", "timeout": "15s"}), domains=("long",)),
        host(
            route(every, {"cluster": "a", "max_stream_duration": {"grpc_timeout_header_max": "0.3s"}}),
            domains=("header-max",),
        ),
        host(
            route(every, {"cluster": "a", "max_stream_duration": {"grpc_timeout_header_max": "0s"}}),
            domains=("header-any",),
        ),
        host(
            route(every, {"cluster": "a", "max_stream_duration": {"grpc_timeout_header_max": "9s"}}),
            domains=("header-nine",),
        ),
        host(
            route(every, {"cluster": "a", "max_stream_duration": {"max_stream_duration": "0.3s"}}),
            domains=("duration",),
        ),
        host(route(every, {"cluster": "a", "max_grpc_timeout": "0s"}), domains=("old-header",)),
        host(route(every, {"cluster": "a", "max_grpc_timeout": "5s"}), domains=("old-header-5",)),
        host(
            route(
                every,
                {
                    "cluster": "a",
                    "timeout": "0s",
                    "retry_policy": {"retry_on": ISTIO, "num_retries": 1, "per_try_timeout": "2s"},
                },
            ),
            domains=("per-try",),
        ),
        host(route(every, "a", **faulty(abort={"grpc_status": 10, "percentage": always})), domains=("abort-grpc",)),
        host(route(every, "a", **faulty(abort={"http_status": 429, "percentage": always})), domains=("abort-http",)),
        host(route(every, "a", **faulty(delay={"fixed_delay": "0.05s", "percentage": always})), domains=("delay",)),
        host(route(every, "a", **limited()), domains=("limited",)),
        host(route(every, "a", **limited(rate_limited_as_resource_exhausted=True)), domains=("exhausted",)),
    ]
    hosts += [host(route(every, each), domains=(each,)) for each in ("dead", "empty", "full", *EJECTING)]
    times = {"retry_on": "unavailable", "num_retries": 1, "per_try_timeout": "0.3s"}
    quick = {"retry_back_off": {"base_interval": "0.001s"}}
    beside = {"timeout": "0s", "retry_policy": {**times, **quick}, "hedge_policy": {"hedge_on_per_try_timeout": True}}
    counted: Resource = {"include_request_attempt_count": True}
    hosts += [
        host(route(every, {"cluster": "a", **beside}), domains=("hedged",), **counted),
        host(
            route(every, {"cluster": "a", **beside}, request_body_buffer_limit="11"), domains=("hedged-11",), **counted
        ),
        host(route(every, "a", **buffered(buffer={"max_request_bytes": 12})), domains=("buffered",)),
        host(route(every, "a", **buffered(buffer={"max_request_bytes": 20_000})), domains=("buffered-20000",)),
        host(
            route(every, {"cluster": "a", "retry_policy": times}, request_body_buffer_limit="20000"),
            domains=("retry-20000",),
            **counted,
        ),
    ]
    for name, on in RETRIES.items():
        policy = {"retry_on": on, "num_retries": 2, "retry_back_off": {"base_interval": "0.001s"}}
        action = {"cluster": "a", "retry_policy": policy}
        hosts.append(host(route(every, action), domains=(f"retry-{name}",), include_request_attempt_count=True))
    for each in hosts:
        for one in each["routes"]:
            if not one["route"]:
                one.pop("route")
    return hosts


@contextmanager
def built(base: Recording) -> Iterator[World]:
    """The world of the table."""
    tries = Tries()
    servers = [Planned(tries), Planned(tries)]
    a, b = (("127.0.0.1", each.port) for each in servers)
    ejecting: Resource = {
        "consecutive_gateway_failure": 2,
        "enforcing_consecutive_gateway_failure": 100,
        "consecutive_5xx": 3,
        "max_ejection_percent": 100,
        "base_ejection_time": "600s",
    }
    clusters = [
        cluster("a", a, **H2),
        cluster("b", b, **H2),
        cluster("dead", ("127.0.0.1", free_port()), **H2),
        cluster("empty", **H2),
        cluster("full", a, **H2, circuit_breakers={"thresholds": [{"max_requests": 0}]}),
        *(
            cluster(each, a, **H2, outlier_detection=ejecting, common_lb_config={"healthy_panic_threshold": {}})
            for each in EJECTING
        ),
    ]
    recording = custom(copy.deepcopy(base), tables(), clusters, **buffered(disabled=True))
    filters = [
        {"name": LIMIT, "typed_config": {"@type": HTTP + "local_ratelimit.v3.LocalRateLimit", "stat_prefix": "x"}},
        {"name": BUFFER, "typed_config": {"@type": HTTP + "buffer.v3.Buffer", "max_request_bytes": 1_000_000}},
    ]
    for chain in recording.listeners["0.0.0.0_80"]["filter_chains"]:
        for network in chain["filters"]:
            network["typed_config"]["http_filters"][:0] = filters
    with World(recording, servers, tries) as made:
        yield made


CALLS = [
    *(Call("plain", plan, kind) for kind in KINDS for plan in ("ok", "initial;trailing;ok", "trailing;abort=5")),
    *(Call("plain", "initial;trailing;abort=9", kind) for kind in ("unary_unary", "stream_unary")),
    *(Call("plain", "initial;trailing;abort=9", kind, ours=("sync",)) for kind in STREAMS),
    *(Call("plain", "message=1;trailing;abort=14", kind) for kind in STREAMS),
    *(Call("plain", "message=1;message=2;message=3;trailing", kind) for kind in STREAMS),
    *(Call("plain", f"abort={code}") for code in range(1, 17)),
    Call("plain", metadata=(("x-user", "b"),)),
    Call("plain", metadata=(("x-raw-bin", b"\0\xff"),)),
    Call("plain", method="/test.Planned/Other"),
    Call("plain", metadata=(("x-gone", "1"), ("x-two", "1"), ("x-two", "2"), ("x-both-bin", b"\0"), ("te", "x"))),
    Call("plain", metadata=(("x-request-id", "own"), ("x-envoy-max-retries", "9"), ("x-forwarded-proto", "https"))),
    Call("plain", timeout_s=30),
    Call("plain", timeout_s=30, kind="stream_stream"),
    *(Call("plain", method=f"/{where}/Do") for where in ("none", "direct", "teapot", "well", "moved", "away")),
    *(Call("plain", method="/direct/Do", kind=kind) for kind in KINDS),
    Call("unknown-host"),
    Call("moved"),
    *(Call("timeout", SLOW, kind) for kind in ("unary_unary", "stream_stream")),
    Call("timeout", timeout_s=30),
    *(Call("long", timeout_s=each) for each in (None, 30, 5)),
    Call("header-max", SLOW, timeout_s=30),
    *(Call(name, timeout_s=each) for name in ("header-any", "header-nine") for each in (None, 30)),
    *(Call("duration", SLOW, kind) for kind in ("unary_unary", "stream_stream")),
    *(Call(name, timeout_s=each) for name in ("old-header", "old-header-5") for each in (None, 30)),
    Call("per-try", f"{SLOW},ok"),
    Call("abort-grpc"),
    Call("abort-grpc", kind="stream_stream"),
    Call("abort-http"),
    Call("delay"),
    *(Call("limited") for _ in range(2)),
    *(Call("exhausted") for _ in range(2)),
    *(Call(name, kind=kind) for name in ("dead", "empty", "full") for kind in ("unary_unary", "stream_stream")),
    *(Call(f"retry-{name}", f"abort={code},trailing;ok") for name in RETRIES for code in (1, 4, 8, 13, 14, 5)),
    *(Call("retry-unavailable", plan, kind) for kind in KINDS for plan in ("abort=14", "abort=14,abort=14,ok")),
    Call("retry-unavailable", "initial;abort=14,ok"),
    Call("retry-unavailable", "message=1;abort=14,ok", "stream_stream"),
    *(Call(name, f"{LATE},ok", kind) for name in ("hedged", "hedged-11") for kind in KINDS),
    *(Call("hedged", plan) for plan in ("abort=14,ok", "wait=1;abort=14,ok", "wait=1;abort=14,wait=1;abort=14")),
    *(Call("hedged", plan, "stream_stream") for plan in ("initial;wait=1;ok,ok", "message=1;wait=1;ok,ok")),
    *(Call("buffered", plan, kind) for kind in KINDS for plan in ("ok", "abort=5")),
    *(Call("buffered", kind=kind, messages=(b"12345678", b"")) for kind in ("stream_unary", "stream_stream")),
    *(Call("buffered", kind=kind, messages=(bytes(size),)) for kind in KINDS[:2] for size in (8, FRAME, FRAME + 1)),
    *(Call("buffered-20000", messages=(bytes(size),)) for size in (FRAME, 19995, 19996, 2 * FRAME)),
    *(Call("retry-20000", "abort=14,ok", kind, messages=(bytes(size),)) for kind in KINDS for size in (19995, 19996)),
    *(Call("hedged-11", f"{LATE},ok", messages=(bytes(size),)) for size in (6, 7)),
    *(
        Call(f"retry-{name}", f"{plan};abort=14,ok", kind, ours=("sync",))
        for name in ("unavailable", "istio")
        for kind in KINDS[::2]
        for plan in ("message=1", "message=", "message=1;trailing", "initial;message=1")
    ),
    *(Call("ejecting", plan) for plan in ("abort=5", "abort=14", "abort=14", "ok")),
    *(Call("ejecting-told", plan, ours=("sync",)) for plan in ("message=1;abort=14", "message=1;abort=14", "ok")),
    *(Call("ejecting-late", plan) for plan in ("initial;abort=14", "initial;abort=14", "ok")),
    *(Call("ejecting-stream", plan, "stream_stream") for plan in ("message=1;abort=14", "message=1;abort=14", "ok")),
]
"""In order: some rules remember. Of a call with one response grpc.aio does not tell whether a message came before the
status that it failed with; and its streams lose metadata that come with their end."""

RECOMMEND = "recommend.shop.svc.cluster.local"
RECORDED = [
    *(Call(RECOMMEND, plan, kind) for kind in KINDS for plan in ("ok", "trailing;abort=5")),
    Call(RECOMMEND, "initial;abort=14,ok"),
    *(Call("recommend.shop", f"abort={code},ok") for code in range(1, 17)),
    Call("recommend:50051", "abort=14"),
    Call("recommend:50051", timeout_s=30),
    Call("recommend:50051", "abort=14,ok", timeout_s=30),
]


@pytest.fixture(scope="module")
def world(frontend: Recording) -> Iterator[World]:
    with built(frontend) as made:
        yield made


def alike(came: Came) -> Came:
    """The server knows a limit, too: it may be the first to say that it has passed, or have read nothing by then."""
    if came.code == "DEADLINE_EXCEEDED" and "told" not in came.details:
        return replace(came, details="", tries=())
    return replace(came, tries=()) if "timeout" in came.details else came


def test_governed_channels_do_what_envoy_does(world: World) -> None:
    assert world.differences(CALLS, alike) == []


def test_the_recorded_route_to_a_grpc_service(frontend: Recording) -> None:
    held = frontend.assignments[f"outbound|50051||{RECOMMEND}"]["endpoints"]
    sockets = [one["endpoint"]["address"]["socket_address"] for each in held for one in each["lb_endpoints"]]
    addresses = [address_of(each) for each in sockets]
    tries = Tries()
    servers = [Planned(tries, host) for host, _ in addresses]
    ports = {address: each.port for address, each in zip(addresses, servers, strict=True)}
    with World(frontend.rewritten(ports), servers, tries, "10.96.1.6:50051") as world:
        assert world.differences(RECORDED, alike) == []
