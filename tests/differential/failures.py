"""Calls that go wrong, by table: what the backends do, under which policy. Each has a host of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.differential.case import Case
from tests.differential.custom import cluster, host, route
from tests.differential.probes.resilience import options
from tests.differential.probes.retries import CONDITIONS, DEAD, ENDPOINTS, H2, PREVIOUS, SITUATIONS, policy
from tests.differential.recording import Resource
from tests.differential.requests import Request
from tests.support.behaviour import Headers

ANY: Resource = {"prefix": "/"}
DOMAIN = ".failures.test"
STALLED = ("127.0.20.8", 80)
OTHER_HOST = "other-host"
CUT = ("fault=cut", "fault=cut-reset")
"""Ends within the body, which nothing retries; Envoy takes a second to end its own side."""

QUICK = tuple(each for each in SITUATIONS if not each.startswith("delay") and each not in CUT)
SLOW_S = 4.0
"""How long a slow backend takes: more than all the timeouts of these tables together, however busy the machine."""

RULES: Resource = {"retriable_status_codes": [418], "retriable_headers": [{"name": "x-retry", "present_match": True}]}
EVERYTHING = policy("5xx,reset,connect-failure,refused-stream,retriable-4xx", num_retries=1)
GRPC: Headers = (("content-type", "application/grpc"), ("te", "trailers"))


@dataclass
class Failures:
    """Hosts and the requests to them, each with a request id of its own."""

    hosts: list[Resource] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def host(self, name: str, action: Resource, **fields: object) -> str:
        """A virtual host of one route; gives its name."""
        rule = route(ANY, {"timeout": "0s", **action})
        made = host(rule, domains=(name + DOMAIN,), name=name, include_request_attempt_count=True, **fields)
        self.hosts.append(made)
        return name

    def ask(self, name: str, what: str = "", *, method: str = "GET", more: Headers = (), body: bytes = b"") -> None:
        """One request to a host, where the backends do `what` (tests.support.backends)."""
        steer: Headers = (("x-backend", what),) if what else ()
        headers: Headers = (("x-request-id", f"request {len(self.requests)}"), *steer, *more)
        if body:
            headers = (*headers, ("content-length", str(len(body))))
        self.requests.append(Request(method, f"http://{name}{DOMAIN}/", headers, body))

    def case(self, clusters: list[Resource], **manager: object) -> Case:
        """All of it."""
        return Case(tuple(self.hosts), tuple(self.requests), manager=manager, clusters=tuple(clusters))


def predicate(kind: str, **fields: object) -> Resource:
    """A retry host predicate."""
    return {
        "name": kind,
        "typed_config": {"@type": f"type.googleapis.com/envoy.extensions.retry.host.{kind}", **fields},
    }


def labelled(name: str, **labels: object) -> Resource:
    """A cluster of two endpoints, the second with metadata `envoy.lb`."""
    made = cluster(name, *ENDPOINTS[:2])
    made["load_assignment"]["endpoints"][0]["lb_endpoints"][1]["metadata"] = {"filter_metadata": {"envoy.lb": labels}}
    return made


def retries(*, http2: bool) -> Case:
    """Every retry condition in every situation, and a refused connection."""
    extra = H2 if http2 else {}
    failures = Failures()
    for index, condition in enumerate(CONDITIONS):
        rules = policy(condition, **RULES)
        failures.host(f"a{index}", {"cluster": "a", "retry_policy": rules})
        cut = CUT if condition in ("5xx", "reset") else ()
        for situation in (*QUICK, *cut, *(("fault=refused",) if http2 else ())):
            failures.ask(f"a{index}", situation)
        failures.ask(failures.host(f"dead{index}", {"cluster": "dead", "retry_policy": rules}))
    wide = {"circuit_breakers": {"thresholds": [{"max_retries": 1000}]}, "connect_timeout": "20s"}
    clusters = [cluster("a", *ENDPOINTS, **extra, **wide), cluster("dead", DEAD, **extra, **wide)]
    return failures.case(clusters)


def details() -> Case:
    """Numbers of tries, other hosts, bodies, and what is never retried."""
    failures = Failures()
    for label, fields in {
        "default-number": {"retry_on": "5xx"},
        "zero": policy("5xx", num_retries=0),
        "five": policy("5xx", num_retries=5),
        OTHER_HOST: {**EVERYTHING, **PREVIOUS, "host_selection_retry_max_attempts": 20},
        "both": policy("5xx,reset"),
    }.items():
        failures.host(label, {"cluster": "a", "retry_policy": fields})
        for plan in ("status=503", "status=503,status=200", "status=503,fault=reset,status=418", "fault=close"):
            failures.ask(label, plan)
    failures.ask(failures.host("of-host", {"cluster": "a"}, retry_policy=policy("5xx")), "status=503")
    for size in (10, 70_000, 1_048_576, 1_048_577):
        failures.ask("five", "status=503,status=503,status=200", method="POST", body=b"x" * size)
        failures.ask("both", "fault=close,status=200", method="PUT", body=b"x" * size)
    for name in ("nowhere", "empty", "overflow", "requests"):
        failures.ask(failures.host(name, {"cluster": name, "retry_policy": EVERYTHING}))
        failures.ask(name, more=GRPC)
    failures.host("suppressed", {"cluster": "no-retries", "retry_policy": EVERYTHING})
    for plan in ("status=503", "fault=reset", "status=409"):
        failures.ask("suppressed", plan)
    failures.host("of-cluster", {"cluster": "retrying", "retry_policy": policy("retriable-4xx", num_retries=4)})
    for plan in ("status=503", "status=409", "status=503,status=200"):
        failures.ask("of-cluster", plan)
    failures.ask(failures.host("of-cluster-alone", {"cluster": "retrying"}), "fault=reset,status=503,status=201")
    early = policy("retriable-status-codes", retriable_status_codes=[425])
    failures.ask(failures.host("early", {"cluster": "a", "retry_policy": early}), "status=425")
    failures.ask("early", "status=425", more=(("early-data", "1"),))
    path = {"name": ":path", "string_match": {"exact": "/new"}}
    gated = policy("5xx", retriable_request_headers=[path, {"name": "x-again", "present_match": True}])
    failures.ask(failures.host("gated", {"cluster": "a", "retry_policy": gated}), "status=503")
    failures.ask("gated", "status=503", more=(("x-again", ""),))
    rewritten = {"cluster": "a", "retry_policy": gated, "prefix_rewrite": "/new"}
    failures.ask(failures.host("gated-rewritten", rewritten), "status=503")
    canary = {"retry_host_predicate": [predicate("omit_canary_hosts.v3.OmitCanaryHostsPredicate")]}
    test = {"filter_metadata": {"envoy.lb": {"stage": "test"}}}
    omit = {"retry_host_predicate": [predicate("omit_host_metadata.v3.OmitHostMetadataConfig", metadata_match=test)]}
    for name, fields in {"canaries": canary, "stages": omit}.items():
        rules = policy("5xx", **fields, host_selection_retry_max_attempts=20)
        failures.ask(failures.host(name, {"cluster": name, "retry_policy": rules}), "status=503,status=503,status=200")
    failures.ask(failures.host("none", {"cluster": "a"}), "fault=reset")
    failures.ask("none", "status=503")
    full: Resource = {"circuit_breakers": {"thresholds": [{"max_pending_requests": 0}]}}
    no_requests: Resource = {"circuit_breakers": {"thresholds": [{"max_requests": 0}]}}
    clusters = [
        cluster("a", *ENDPOINTS),
        cluster("empty"),
        cluster("overflow", *ENDPOINTS, **full),
        cluster("requests", *ENDPOINTS, **no_requests),
        cluster("retrying", *ENDPOINTS, **options(retry_policy=policy("5xx"))),
        labelled("canaries", canary=True),
        labelled("stages", stage="test"),
        cluster("no-retries", *ENDPOINTS, circuit_breakers={"thresholds": [{"max_retries": 0}]}),
    ]
    return failures.case(clusters)


def timeouts() -> Case:
    """Timeouts of the route, of a try, of a connection; all are sent at once."""
    failures = Failures()
    slow, slow_body = f"delay={SLOW_S}", f"body-delay={SLOW_S}"
    per_try = policy("5xx", per_try_timeout="0.6s")
    actions: dict[str, Resource] = {
        "route": {"timeout": "0.4s"},
        "per-try": {"retry_policy": per_try},
        "per-try-not-retried": {"retry_policy": policy("connect-failure", per_try_timeout="0.6s")},
        "per-try-zero-retries": {"retry_policy": policy("5xx", per_try_timeout="0.6s", num_retries=0)},
        "route-before-tries": {"timeout": "0.3s", "retry_policy": policy("5xx", per_try_timeout="3s")},
        "idle": {"timeout": "0s", "idle_timeout": "0.4s"},
        "idle-try": {"timeout": "0s", "retry_policy": policy("5xx", per_try_idle_timeout="0.4s", num_retries=1)},
        "idle-try-alone": {"timeout": "0s", "retry_policy": {"per_try_idle_timeout": "0.4s"}},
        "duration": {"timeout": "0.1s", "max_stream_duration": {"max_stream_duration": "0.4s"}},
        "short": {"timeout": "0s", "cluster": "short"},
        "short-retried": {"timeout": "0s", "cluster": "short", "retry_policy": policy("reset", num_retries=1)},
        "grpc": {"max_grpc_timeout": "0s"},
        "duration-grpc": {"max_stream_duration": {"grpc_timeout_header_max": "0.4s"}},
        "grpc-capped": {"timeout": "5s", "max_grpc_timeout": "0.4s"},
    }
    for name, action in actions.items():
        failures.host(name, {"cluster": "a", **action})
        if "grpc" not in name:
            failures.ask(name, slow)
    for name in ("idle", "idle-try", "duration", "short", "short-retried"):
        failures.ask(name, slow_body)
    failures.ask("duration-grpc", slow, method="POST", more=(*GRPC, ("grpc-timeout", "2S")))
    failures.ask("duration-grpc", slow, method="POST", more=(*GRPC, ("grpc-timeout", "390m")))
    failures.ask("route", slow_body)
    failures.ask("per-try", f"{slow},status=200")
    failures.ask("grpc", slow, method="POST", more=(*GRPC, ("grpc-timeout", "300m")))
    failures.ask("grpc-capped", slow, method="POST", more=(*GRPC, ("grpc-timeout", "2S")))
    failures.ask("grpc-capped", slow, method="POST", more=GRPC)
    failures.ask(failures.host("stalled", {"cluster": "stalled"}))
    retried = {"cluster": "stalled", "retry_policy": policy("connect-failure")}
    failures.ask(failures.host("stalled-retried", retried))
    clusters = [
        cluster("a", *ENDPOINTS),
        cluster("stalled", STALLED, connect_timeout="0.1s"),
        cluster("short", *ENDPOINTS, **options(common_http_protocol_options={"max_stream_duration": "0.4s"})),
    ]
    return failures.case(clusters)
