"""Who is ejected, why, for how long and when it comes back (envoy.config.cluster.v3.OutlierDetection)."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Head
from proxyless.governance.outliers.monitor import HostMonitor
from proxyless.governance.telemetry.events import describe

from ..registry import Effect, effect
from ..resources import Json, Shop, endpoint, shop, typed
from ..scene import Scene
from ..seeing import See

FIELD = "envoy.config.cluster.v3.OutlierDetection."
HOSTS = 5

ALL: Json = {"max_ejection_percent": 100}
LOCAL: Json = {**ALL, "split_external_local_origin_errors": True}
RATES: Json = {**ALL, "consecutive_5xx": 0, "success_rate_minimum_hosts": 3}
SHARES: Json = {**ALL, "consecutive_5xx": 0, "enforcing_success_rate": 0, "failure_percentage_minimum_hosts": 3}
GATEWAY: Json = {**ALL, "consecutive_5xx": 0, "enforcing_consecutive_gateway_failure": 100}


def ejecting(hosts: int = HOSTS, **detection: Any) -> Shop:
    """Cluster `a` with so many hosts."""
    endpoints = [endpoint(f"10.0.0.{number + 1}") for number in range(hosts)]
    return shop(endpoints=endpoints, cluster_fields={"outlier_detection": detection})


def monitors(scene: Scene) -> list[HostMonitor]:
    found = [each.state.monitor for each in scene.world.cluster("a").hosts]
    return [each for each in found if each is not None]


def after(*outcomes: int | str, hosts: int = 1, good: int = 0, wait_s: float = 0.0, rounds: int = 1) -> See:
    """What is told of the first `hosts` after these outcomes at each, so many successes at the others, and a wait."""

    def play(scene: Scene) -> None:
        for number, monitor in enumerate(monitors(scene)):
            for each in outcomes if number < hosts else [200, "connected"] * good:
                if isinstance(each, int):
                    monitor.status(each)
                else:
                    monitor.result("connected" if each == "connected" else "connect-failed")
        scene.world.clock.advance(wait_s)
        scene.world.runtime.tick()

    def see(scene: Scene) -> list[str]:
        for _ in range(rounds):
            play(scene)
        return [describe(each) for each in scene.world.heard.events]

    return see


def case(field: str, detection: Json, see: See, hosts: int = HOSTS) -> Effect:
    return effect(FIELD + field, ejecting(hosts, **detection), see)


FIVE = [500] * 5
REFUSED = ["refused"] * 5


def called(*headers: tuple[str, str], status: int = 200) -> See:
    """What is told after a call that is answered so."""

    def see(scene: Scene) -> list[str]:
        raw = [(name.encode(), value.encode()) for name, value in headers]
        scene.call(answers=[Head(status, raw, None)])
        return [describe(each) for each in scene.world.heard.events]

    return see


HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
MATCH = "envoy.config.common.matcher.v3."
OF = MATCH + "MatchPredicate."


def judging(**predicate: Any) -> Shop:
    """Cluster `a` with one host that is ejected after one error; which responses are errors, the predicate says."""
    own = typed(
        HTTP, explicit_http_config={"http_protocol_options": {}}, outlier_detection={"error_matcher": predicate}
    )
    fields = {"outlier_detection": {**ALL, "consecutive_5xx": 1}, "typed_extension_protocol_options": {HTTP: own}}
    return shop(endpoints=[endpoint()], cluster_fields=fields)


BAD: Json = {"http_response_headers_match": {"headers": [{"name": "x-bad"}]}}
NEVER: Json = {"http_request_headers_match": {"headers": [{"name": "x-bad"}]}}


HEADERS: Json = BAD["http_response_headers_match"]
NOTHING: Json = {
    "http_request_headers_match": HEADERS,
    "http_request_trailers_match": HEADERS,
    "http_response_trailers_match": HEADERS,
}


def judged(field: str, given: Shop, of: str = MATCH) -> Effect:
    """A response that is an error by this predicate and none by one that matches nothing."""
    return effect(of + field, given, called(("x-bad", "1")), against=judging(**NEVER))


CASES = [
    effect(
        "envoy.config.cluster.v3.Cluster.outlier_detection",
        ejecting(**ALL),
        after(*FIVE),
        ["cluster a: 10.0.0.1:80 is ejected for 30.0 s (consecutive 5xx)"],
    ),
    case("consecutive_5xx", {**ALL, "consecutive_5xx": 2}, after(500, 500)),
    case("interval", {**ALL, "interval": "7s"}, after(*FIVE, wait_s=35)),
    case("base_ejection_time", {**ALL, "base_ejection_time": "7s"}, after(*FIVE)),
    case("max_ejection_percent", {"max_ejection_percent": 40}, after(*FIVE, hosts=3)),
    case("always_eject_one_host", {"always_eject_one_host": True}, after(*FIVE, hosts=3)),
    case("enforcing_consecutive_5xx", {**ALL, "enforcing_consecutive_5xx": 0}, after(*FIVE)),
    case("consecutive_gateway_failure", {**GATEWAY, "consecutive_gateway_failure": 2}, after(503, 503)),
    case("enforcing_consecutive_gateway_failure", GATEWAY, after(*[503] * 5)),
    case("split_external_local_origin_errors", LOCAL, after(*REFUSED)),
    case("consecutive_local_origin_failure", {**LOCAL, "consecutive_local_origin_failure": 2}, after(*REFUSED[:2])),
    case(
        "enforcing_consecutive_local_origin_failure",
        {**LOCAL, "enforcing_consecutive_local_origin_failure": 0},
        after(*REFUSED),
    ),
    case(
        "success_rate_minimum_hosts",
        {**RATES, "success_rate_stdev_factor": 1000},
        after(*[500] * 100, good=100, wait_s=10),
        hosts=4,
    ),
    case(
        "success_rate_request_volume",
        {**RATES, "success_rate_request_volume": 10},
        after(*[500] * 10, good=10, wait_s=10),
    ),
    case(
        "success_rate_stdev_factor",
        {**RATES, "success_rate_stdev_factor": 2500},
        after(*[500] * 100, good=100, wait_s=10),
    ),
    case("enforcing_success_rate", {**RATES, "enforcing_success_rate": 0}, after(*[500] * 100, good=100, wait_s=10)),
    case(
        "enforcing_local_origin_success_rate",
        {**LOCAL, **RATES, "consecutive_local_origin_failure": 0, "enforcing_local_origin_success_rate": 0},
        after(*["refused"] * 100, good=100, wait_s=10),
    ),
    case(
        "failure_percentage_threshold",
        {**SHARES, "failure_percentage_threshold": 50},
        after(*[500] * 30, *[200] * 30, good=50, wait_s=10),
    ),
    case(
        "enforcing_failure_percentage",
        {**SHARES, "enforcing_failure_percentage": 100},
        after(*[500] * 50, good=50, wait_s=10),
    ),
    case(
        "enforcing_failure_percentage_local_origin",
        {
            **LOCAL,
            **SHARES,
            "consecutive_local_origin_failure": 0,
            "enforcing_local_origin_success_rate": 0,
            "enforcing_failure_percentage_local_origin": 100,
        },
        after(*["refused"] * 50, good=50, wait_s=10),
    ),
    case("failure_percentage_minimum_hosts", SHARES, after(*[500] * 50, good=50, wait_s=10), hosts=4),
    case(
        "failure_percentage_request_volume",
        {**SHARES, "failure_percentage_request_volume": 10},
        after(*[500] * 10, good=10, wait_s=10),
    ),
    case("max_ejection_time", {**ALL, "max_ejection_time": "30s"}, after(*FIVE, wait_s=31, rounds=2)),
    case("max_ejection_time_jitter", {**ALL, "max_ejection_time_jitter": "1s"}, after(*FIVE)),
    effect(
        FIELD + "detect_degraded_hosts",
        ejecting(detect_degraded_hosts=True),
        called(("x-envoy-degraded", "true")),
    ),
    effect(HTTP + ".outlier_detection", judging(**BAD), called(("x-bad", "1"))),
    judged("error_matcher", judging(**BAD), HTTP + ".OutlierDetection."),
    judged("MatchPredicate.http_response_headers_match", judging(**BAD)),
    judged("MatchPredicate.any_match", judging(any_match=True)),
    judged("MatchPredicate.not_match", judging(not_match=NEVER)),
    judged("MatchPredicate.or_match", judging(or_match={"rules": [BAD, NEVER]})),
    judged("MatchPredicate.and_match", judging(and_match={"rules": [BAD, BAD]})),
    judged("MatchPredicate.MatchSet.rules", judging(or_match={"rules": [BAD, NEVER]})),
    effect(MATCH + "HttpHeadersMatch.headers", judging(**BAD), called()),
    *(
        # Only the head of a response is looked at: these match nothing.
        effect(OF + name, judging(**{name: given}), called(("x-bad", "1")), against=judging(**BAD))
        for name, given in NOTHING.items()
    ),
]
