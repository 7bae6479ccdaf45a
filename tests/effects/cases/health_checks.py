"""Who is asked for its health, when, and what the answers change (envoy.config.core.v3.HealthCheck)."""

from __future__ import annotations

from typing import Any

from proxyless.governance.checking.answers import Answer, Failed, Passed, of_response
from proxyless.governance.checking.checker import Checker
from proxyless.governance.outliers.matching import view_of
from proxyless.xds.model.health_check import HttpCheck

from ..registry import Effect, effect
from ..resources import Json, Shop, endpoint, shop
from ..scene import Scene
from ..seeing import See

CHECK = "envoy.config.core.v3.HealthCheck."
CONFIG = "envoy.config.endpoint.v3.Endpoint.HealthCheckConfig."
BASE: Json = {"timeout": "1s", "interval": "7s", "unhealthy_threshold": 2, "healthy_threshold": 2}
WELL, NETWORK = Passed(), Failed("network")


def checking(http: Json | None = None, *, of: Json | None = None, more: Json | None = None, **fields: Any) -> Shop:
    """Cluster `a` with one endpoint that is asked over HTTP; `fields` are those of the check."""
    kinds = {"tcp_health_check", "grpc_health_check"}
    own = {**BASE, **fields}
    if not kinds & fields.keys():
        own["http_health_check"] = {"path": "/", **(http or {})}
    asked = endpoint()
    if of is not None:
        asked["endpoint"]["health_check_config"] = of
    return shop(endpoints=[asked], cluster_fields={"health_checks": [own], **(more or {})})


def checker_of(scene: Scene, *, used: bool = True) -> Checker | None:
    """The checker of cluster `a`, after somebody has asked for the cluster."""
    runtime = scene.world.runtime
    runtime.on_checks = lambda: None
    runtime.plan.cluster("a")
    state = runtime.states["a"]
    state.used_at = float(used)
    return state.checker


def answering(*answers: Answer, used: bool = True) -> See:
    """How the host stands after each answer, and when it is asked again."""

    def see(scene: Scene) -> list[object]:
        checker = checker_of(scene, used=used)
        seen: list[object] = []
        if checker is None:
            return seen
        clock = scene.world.clock
        for each in answers:
            due = checker.next_due()
            seen.append(due - clock.now)
            clock.now = due
            for session in checker.take_due(due):
                checker.report(session, each)
                state = session.host.state
                seen.append((state.failing, state.pending, state.degraded))
        seen.append(checker.next_due() - clock.now)
        return [*seen, [str(each) for each in scene.world.heard.events]]

    return see


def meaning(status: int = 200, body: bytes = b"", **headers: str) -> See:
    """What a response means."""

    def see(scene: Scene) -> object:
        checker = checker_of(scene)
        if checker is None or checker.config is None or not isinstance(checker.config.ask, HttpCheck):
            return None
        pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        return of_response(checker.config.ask, view_of(status, pairs), body)

    return see


def asks(scene: Scene) -> object:
    """What is asked, of whom."""
    checker = checker_of(scene)
    if checker is None or checker.config is None:
        return None
    hosts = [(each.host.endpoint.address, each.host.endpoint.health_check) for each in checker.sessions.values()]
    return checker.config.ask, checker.config.timeout_s, hosts


def timed(field: str, value: str | int, *answers: Answer, used: bool = True, **fields: Any) -> Effect:
    return effect(CHECK + field, checking(**{field: value, **fields}), answering(*answers, used=used))


def http(field: str, value: Any, see: See = asks) -> Effect:
    return effect(CHECK + "HttpHealthCheck." + field, checking({field: value}), see)


def ejected_after_passing(scene: Scene) -> bool:
    """Whether a host that was ejected still is when it has passed a check."""
    answering(WELL)(scene)
    (host,) = scene.world.cluster("a").hosts
    for _ in range(5):
        if host.state.monitor is not None:
            host.state.monitor.status(500)
    checker = checker_of(scene)
    if checker is not None:
        for session in checker.take_due(checker.next_due()):
            checker.report(session, WELL)
    return host.state.ejected


HEX: Json = {"text": "6f6b"}
OTHER = checking({"path": "/other"})

CASES = [
    effect("envoy.config.cluster.v3.Cluster.health_checks", checking(), answering(NETWORK)),
    effect(
        "envoy.config.cluster.v3.Cluster.CommonLbConfig.ignore_new_hosts_until_first_hc",
        checking(more={"common_lb_config": {"ignore_new_hosts_until_first_hc": True}}),
        lambda scene: (checker_of(scene), scene.world.runtime.states["a"].host("10.0.0.1:80").pending)[1],
        True,
    ),
    effect(CHECK + "timeout", checking(timeout="3s"), asks, against=checking()),
    effect(CHECK + "interval", checking(interval="9s"), answering(WELL, WELL), against=checking()),
    effect(
        CHECK + "unhealthy_threshold",
        checking(unhealthy_threshold=1),
        answering(WELL, NETWORK),
        against=checking(),
    ),
    effect(
        CHECK + "healthy_threshold",
        checking(healthy_threshold=1),
        answering(NETWORK, WELL),
        against=checking(),
    ),
    timed("initial_jitter", "4s", WELL),
    timed("interval_jitter", "4s", WELL),
    timed("interval_jitter_percent", 40, WELL),
    timed("no_traffic_interval", "9s", NETWORK, used=False),
    timed("no_traffic_healthy_interval", "9s", WELL, used=False),
    timed("unhealthy_interval", "9s", NETWORK),
    timed("unhealthy_edge_interval", "9s", WELL, NETWORK, WELL, NETWORK, NETWORK, WELL),
    timed("healthy_edge_interval", "9s", NETWORK, WELL),
    effect(
        CHECK + "always_log_health_check_failures",
        checking(always_log_health_check_failures=True),
        answering(NETWORK, NETWORK),
    ),
    effect(
        CHECK + "always_log_health_check_success",
        checking(always_log_health_check_success=True),
        answering(WELL, WELL),
    ),
    effect(CHECK + "http_health_check", checking({"path": "/h"}), asks, against=OTHER),
    effect(CHECK + "tcp_health_check", checking(tcp_health_check={"send": HEX}), asks, against=OTHER),
    effect(CHECK + "grpc_health_check", checking(grpc_health_check={"service_name": "s"}), asks, against=OTHER),
    effect(CHECK + "HttpHealthCheck.path", checking({"path": "/h"}), asks, against=OTHER),
    http("host", "its.host"),
    http("method", "HEAD"),
    effect(CHECK + "HttpHealthCheck.send", checking({"method": "POST", "send": HEX}), asks),
    http("receive", [HEX], meaning(body=b"no")),
    effect(
        CHECK + "HttpHealthCheck.response_buffer_size",
        checking({"receive": [HEX], "response_buffer_size": 3}),
        meaning(body=b"xxok"),
    ),
    http("request_headers_to_add", [{"header": {"key": "a", "value": "b"}}]),
    http("request_headers_to_remove", ["user-agent"]),
    http("expected_statuses", [{"start": 204, "end": 205}], meaning(204)),
    http("retriable_statuses", [{"start": 500, "end": 504}], meaning(503)),
    http("service_name_matcher", {"exact": "shop"}, meaning()),
    effect(CHECK + "TcpHealthCheck.send", checking(tcp_health_check={"send": HEX}), asks),
    effect(CHECK + "TcpHealthCheck.receive", checking(tcp_health_check={"receive": [HEX]}), asks),
    effect(CHECK + "GrpcHealthCheck.service_name", checking(grpc_health_check={"service_name": "s"}), asks),
    effect(CHECK + "GrpcHealthCheck.authority", checking(grpc_health_check={"authority": "s"}), asks),
    effect(CHECK + "Payload.text", checking({"receive": [HEX]}), asks, against=OTHER),
    effect(CHECK + "Payload.binary", checking({"receive": [{"binary": "b2s="}]}), asks, against=OTHER),
    effect("envoy.config.endpoint.v3.Endpoint.health_check_config", checking(of={"port_value": 81}), asks),
    effect(CONFIG + "port_value", checking(of={"port_value": 81}), asks),
    effect(CONFIG + "hostname", checking(of={"hostname": "h"}), asks),
    effect(
        CONFIG + "address",
        checking(of={"address": {"socket_address": {"address": "10.9.9.9", "port_value": 82}}}),
        asks,
    ),
    effect(CONFIG + "disable_active_health_check", checking(of={"disable_active_health_check": True}), asks),
    effect(
        "envoy.config.cluster.v3.OutlierDetection.successful_active_health_check_uneject_host",
        checking(
            more={
                "outlier_detection": {
                    "max_ejection_percent": 100,
                    "successful_active_health_check_uneject_host": False,
                }
            }
        ),
        ejected_after_passing,
        True,
    ),
]
