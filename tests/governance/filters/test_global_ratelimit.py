"""The rate limit filter that asks a service: what it asks, and what it makes of an answer, or of none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxyless.governance.actions import Ask, Failure, Nobody
from proxyless.governance.filters.global_ratelimit import GlobalRateLimitFilter, limit_headers
from proxyless.governance.forwarding import Workload
from proxyless.governance.request import RequestView
from proxyless.governance.route_table import RouteTable
from proxyless.governance.runtime import Options, Runtime
from proxyless.xds.model.filters import FilterConfig, GlobalRateLimit, GrpcTarget, RateLimitPerRoute
from proxyless.xds.model.rate_limit_service import (
    DescriptorStatus,
    LimitedDescriptor,
    RateLimitAnswer,
    RateLimitQuery,
)
from proxyless.xds.model.route import DirectResponseAction, RateLimit, RateLimitAction, RouteAction
from proxyless.xds.model.values import Fraction, HeaderMutation
from tests.support.model import cluster, route, snapshot, table, vhost
from tests.support.streams import FakeStream, run
from tests.support.world import Clock, Draws

CONFIG = GlobalRateLimit("shop", GrpcTarget("rls"))
FIXED = RateLimit((RateLimitAction("generic_key", value="all"),))
OTHER = RateLimit((RateLimitAction("generic_key", value="other"),))
OK, OVER = RateLimitAnswer("OK"), RateLimitAnswer("OVER_LIMIT")
FAILED = Failure("unreachable", "nobody")


class Teller(Nobody):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, float]] = []

    def tell(self, request: Any, timeout_s: float) -> None:
        self.told.append((request, timeout_s))


def stream(
    *limits: RateLimit,
    of_host: tuple[RateLimit, ...] = (),
    include: bool = False,
    own: FilterConfig | None = None,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    draws: tuple[float, ...] = (),
    to: str = "a",
) -> FakeStream:
    """A request to a cluster whose route has these limits."""
    action = RouteAction(cluster=to, rate_limits=limits, include_vh_rate_limits=include)
    wants = route("/", action, filters={"limit": own} if own is not None else {})
    found = RouteTable(table(vhost(wants, domains=["*"], rate_limits=of_host))).find(b"x")
    assert found is not None
    runtime = Runtime(Options(workload=Workload("10.0.0.9", "", "me")), Clock(), Draws(*draws))
    runtime.publish(snapshot(clusters=[cluster("a", "10.0.0.1:80")]))
    view = RequestView(b"GET", b"http", b"shop", b"/", headers)
    return FakeStream(view, found.routes[0], found.routes[0].targets[0], runtime)


def filter_of(config: GlobalRateLimit | None, here: FakeStream) -> GlobalRateLimitFilter:
    here.runtime.rate_limiter = lambda target: Teller()
    return GlobalRateLimitFilter("limit", config, here.runtime)


def asked(here: FakeStream, config: GlobalRateLimit | None = CONFIG) -> list[tuple[str, list[str]]]:
    """The domain and the values of what is asked."""
    queries = [each.request for each in run(filter_of(config, here), here, OK).actions if isinstance(each, Ask)]
    return [(each.domain, [entry[1] for one in each.descriptors for entry in one.entries]) for each in queries]


def test_what_the_limits_of_the_route_make_of_it_is_asked() -> None:
    assert asked(stream(FIXED)) == [("shop", ["all"])]
    assert asked(stream()) == []
    assert asked(stream(replace(FIXED, stage=1))) == []
    assert asked(stream(replace(FIXED, stage=1)), replace(CONFIG, stage=1)) == [("shop", ["all"])]


@pytest.mark.parametrize(
    ("here", "values"),
    [
        (stream(of_host=(OTHER,)), ["other"]),
        (stream(FIXED, of_host=(OTHER,)), ["all"]),
        (stream(FIXED, of_host=(OTHER,), include=True), ["all", "other"]),
        (stream(FIXED, of_host=(OTHER,), own=RateLimitPerRoute("INCLUDE")), ["all", "other"]),
        (stream(of_host=(OTHER,), own=RateLimitPerRoute("IGNORE")), []),
        (stream(FIXED, own=RateLimitPerRoute(rate_limits=(OTHER,))), ["other"]),
    ],
)
def test_each_place_of_limits_counts(here: FakeStream, values: list[str]) -> None:
    assert [each for _, found in asked(here) for each in found] == values


def test_the_filter_s_own_limits_and_domains() -> None:
    config = replace(CONFIG, rate_limits=(OTHER,))
    assert asked(stream(FIXED), config) == [("shop", ["other"])]
    own = RateLimitPerRoute(rate_limits=(FIXED,), domain="mine")
    filter_ = filter_of(config, stream())
    for _ in range(2):
        here = stream(own=own)
        (ask,) = run(filter_, here, OK).actions
        assert isinstance(ask, Ask)
        assert ask.request == RateLimitQuery("mine", (LimitedDescriptor((("generic_key", "all"),)),))


def test_what_is_not_its_business_is_let_pass() -> None:
    assert asked(stream(FIXED), None) == []
    assert asked(stream(FIXED, to="nowhere")) == []
    here = stream(FIXED)
    here.target = None
    assert asked(here) == []
    no_route = stream(FIXED)
    no_route.route = None
    assert asked(no_route) == []
    direct = RouteTable(table(vhost(route("/", DirectResponseAction(200)), domains=["*"]))).find(b"x")
    assert direct is not None
    assert not filter_of(CONFIG, here).applies(direct.routes[0])
    assert not filter_of(None, here).applies(stream(FIXED).target)
    assert filter_of(CONFIG, here).applies(stream(FIXED).target)


INTERNAL = ((b"x-envoy-internal", b"true"),)


@pytest.mark.parametrize(
    ("kind", "headers", "asks"),
    [
        ("both", INTERNAL, True),
        ("both", (), True),
        ("internal", INTERNAL, True),
        ("internal", (), False),
        ("external", INTERNAL, False),
        ("external", (), True),
    ],
)
def test_requests_of_a_kind_are_limited(kind: Any, headers: tuple[tuple[bytes, bytes], ...], asks: bool) -> None:
    assert bool(asked(stream(FIXED, headers=headers), replace(CONFIG, request_type=kind))) == asks


def test_a_share_is_limited() -> None:
    config = replace(CONFIG, enabled=Fraction(50))
    assert asked(stream(FIXED, draws=(0.4,)), config)
    assert asked(stream(FIXED, draws=(0.6,)), config) == []


def answered(config: GlobalRateLimit, answer: object, **more: Any) -> tuple[int, str, dict[bytes, bytes], int | None]:
    """(status, flag, headers of the response, gRPC status); status 0 where it passes."""
    here = stream(FIXED, **more)
    reply = run(filter_of(config, here), here, answer).reply
    headers = dict(here.response_headers if reply is None else reply.headers)
    return (0, "", headers, None) if reply is None else (reply.status, reply.flag, headers, reply.grpc_status)


LIMITED = {b"x-envoy-ratelimited": b"true"}


@pytest.mark.parametrize(
    ("config", "answer", "expected"),
    [
        (CONFIG, OK, (0, "", {}, None)),
        (CONFIG, None, (0, "", {}, None)),
        (CONFIG, RateLimitAnswer("UNKNOWN"), (0, "", {}, None)),
        (CONFIG, OVER, (429, "RL", LIMITED, None)),
        (replace(CONFIG, x_envoy_ratelimited=False, status=503), OVER, (503, "RL", {}, None)),
        (replace(CONFIG, resource_exhausted=True), OVER, (429, "RL", LIMITED, 8)),
        (replace(CONFIG, enforced=Fraction(0)), OVER, (0, "", LIMITED, None)),
        (replace(CONFIG, enforced=Fraction(100)), OVER, (429, "RL", LIMITED, None)),
        (
            replace(CONFIG, response_headers=(HeaderMutation("x-slow", "1"),)),
            OVER,
            (429, "RL", {**LIMITED, b"x-slow": b"1"}, None),
        ),
        (CONFIG, FAILED, (0, "", {}, None)),
        (replace(CONFIG, failure_mode_deny=True, status_on_error=502), FAILED, (502, "RLSE", {}, None)),
        (replace(CONFIG, failure_mode_deny_share=Fraction(100)), FAILED, (500, "RLSE", {}, None)),
        (replace(CONFIG, failure_mode_deny=True, failure_mode_deny_share=Fraction(0)), FAILED, (0, "", {}, None)),
    ],
)
def test_each_answer_has_its_effect(config: GlobalRateLimit, answer: object, expected: object) -> None:
    assert answered(config, answer) == expected


def test_the_service_adds_headers_and_a_body() -> None:
    said = RateLimitAnswer("OK", (), ((b"x-r", b"1"),), ((b"x-q", b"2"),))
    here = stream(FIXED, headers=((b"x-own", b"0"),))
    assert run(filter_of(CONFIG, here), here, said).reply is None
    assert here.response_headers == [(b"x-r", b"1")]
    assert here.request.raw_headers == [(b"x-own", b"0"), (b"x-q", b"2")]
    here = stream(FIXED)
    reply = run(filter_of(CONFIG, here), here, RateLimitAnswer("OVER_LIMIT", body=b"slow")).reply
    assert reply is not None
    assert (reply.body, reply.details) == (b"slow", "request_rate_limited")


def test_what_counts_at_the_end_is_told_then() -> None:
    here = stream(FIXED, replace(OTHER, on_stream_done=True, hits=3, gives_back=True))
    teller = Teller()
    here.runtime.rate_limiter = lambda target: teller
    filter_ = GlobalRateLimitFilter("limit", replace(CONFIG, timeout_s=0.5), here.runtime)
    (ask,) = run(filter_, here, OK).actions
    assert isinstance(ask, Ask)
    assert len(ask.request.descriptors) == 1
    assert teller.told == []
    for _ in range(2):
        filter_.on_end(here)
    assert teller.told == [(RateLimitQuery("shop", (LimitedDescriptor((("generic_key", "other"),), 3, True),)), 0.5)]


NEAR = DescriptorStatus("OK", 10, 60, "n", 3, 7)
FAR = DescriptorStatus("OK", 20, 0, "", 9, 1)
SILENT = DescriptorStatus("OK")


def test_the_nearest_limit_is_told_in_headers() -> None:
    assert limit_headers([FAR, NEAR, SILENT], [FIXED] * 3, True) == [
        (b"x-ratelimit-limit", b'10, 10;w=60;name="n"'),
        (b"x-ratelimit-remaining", b"3"),
        (b"x-ratelimit-reset", b"7"),
    ]
    assert limit_headers([SILENT], [FIXED], True) == []
    assert limit_headers([NEAR], [FIXED], False) == []


def test_a_limit_says_itself_whether_it_is_told() -> None:
    tells, hides = replace(FIXED, x_ratelimit_headers=True), replace(FIXED, x_ratelimit_headers=False)
    assert limit_headers([NEAR], [hides], True) == []
    assert limit_headers([NEAR], [tells], False) != []
    assert limit_headers([FAR, NEAR], [tells], False)[1] == (b"x-ratelimit-remaining", b"9")
