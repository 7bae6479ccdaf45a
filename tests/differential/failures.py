"""Calls that go wrong, by table: what the backends do, under which policy. Each has a host of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.retries import CONDITIONS, DEAD, ENDPOINTS, H2, PREVIOUS, SITUATIONS, policy
from tests.differential.recording import Recording, Resource
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


def retries(base: Recording, *, http2: bool) -> tuple[Recording, list[Request]]:
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
    wide = {"circuit_breakers": {"thresholds": [{"max_retries": 1000}]}}
    clusters = [cluster("a", *ENDPOINTS, **extra, **wide), cluster("dead", DEAD, **extra, **wide)]
    return custom(base, failures.hosts, clusters), failures.requests


def details(base: Recording) -> tuple[Recording, list[Request]]:
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
    failures.ask(failures.host("none", {"cluster": "a"}), "fault=reset")
    failures.ask("none", "status=503")
    full: Resource = {"circuit_breakers": {"thresholds": [{"max_pending_requests": 0}]}}
    no_requests: Resource = {"circuit_breakers": {"thresholds": [{"max_requests": 0}]}}
    clusters = [
        cluster("a", *ENDPOINTS),
        cluster("empty"),
        cluster("overflow", *ENDPOINTS, **full),
        cluster("requests", *ENDPOINTS, **no_requests),
        cluster("no-retries", *ENDPOINTS, circuit_breakers={"thresholds": [{"max_retries": 0}]}),
    ]
    return custom(base, failures.hosts, clusters), failures.requests


def timeouts(base: Recording) -> tuple[Recording, list[Request]]:
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
        "grpc": {"max_grpc_timeout": "0s"},
        "grpc-capped": {"timeout": "5s", "max_grpc_timeout": "0.4s"},
    }
    for name, action in actions.items():
        failures.host(name, {"cluster": "a", **action})
        if not name.startswith("grpc"):
            failures.ask(name, slow)
    failures.ask("route", slow_body)
    failures.ask("per-try", f"{slow},status=200")
    failures.ask("grpc", slow, method="POST", more=(*GRPC, ("grpc-timeout", "300m")))
    failures.ask("grpc-capped", slow, method="POST", more=(*GRPC, ("grpc-timeout", "2S")))
    failures.ask("grpc-capped", slow, method="POST", more=GRPC)
    failures.ask(failures.host("stalled", {"cluster": "stalled"}))
    retried = {"cluster": "stalled", "retry_policy": policy("connect-failure")}
    failures.ask(failures.host("stalled-retried", retried))
    clusters = [cluster("a", *ENDPOINTS), cluster("stalled", STALLED, connect_timeout="0.1s")]
    return custom(base, failures.hosts, clusters), failures.requests
