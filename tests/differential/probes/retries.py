"""What is retried, how often, where, when, and what is said in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from statistics import mean

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.show import headers, outcome
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Observation, Rig

ENDPOINTS = tuple((f"127.0.20.{n}", 80) for n in (1, 2, 3))
DEAD = ("127.0.20.9", 80)
H2: Resource = {
    "typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
}
PREVIOUS: Resource = {
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ]
}
CONDITIONS = (
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "http3-post-connect-failure",
    "cancelled,deadline-exceeded,internal,resource-exhausted,unavailable",
    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
    "nonsense",
)
SITUATIONS = (
    "status=500",
    "status=502",
    "status=503",
    "status=504",
    "status=409",
    "status=429",
    "status=418",
    "status=503;x-envoy-ratelimited=true",
    "status=200;x-retry=1",
    "fault=reset",
    "fault=close",
    "fault=cut",
    "delay=0.25",
    "grpc-status=14",
    "grpc-status=1",
    "grpc-status=13",
)


def policy(on: str, **fields: object) -> Resource:
    """A retry policy of two retries."""
    return {"retry_on": on, "num_retries": 2, **fields}


def _matrix(base: Recording, protocol: str) -> Iterator[str]:
    extra = H2 if protocol == "h2" else {}
    clusters = [cluster("a", *ENDPOINTS, **extra), cluster("dead", DEAD, **extra)]
    hosts = []
    for index, on in enumerate(CONDITIONS):
        rules = policy(
            on,
            per_try_timeout="0.100s",
            retriable_status_codes=[418],
            retriable_headers=[{"name": "x-retry", "present_match": True}],
        )
        for name in ("a", "dead"):
            action = {"cluster": name, "retry_policy": rules}
            hosts.append(
                host(route({"prefix": "/"}, action), domains=(f"{name}{index}",), include_request_attempt_count=True)
            )
    situations = [*SITUATIONS, *(["fault=refused"] if protocol == "h2" else [])]
    with Rig(custom(base, hosts, clusters)) as rig:
        rig.backends.refuse(DEAD)
        for index, on in enumerate(CONDITIONS):
            found = []
            for what in situations:
                seen = rig.send("GET", "/", ("x-backend", what), host=f"a{index}")
                found.append(f"{what}: {_short(seen)}")
            found.append(f"connection refused: {_short(rig.send(host=f'dead{index}'))}")
            yield f"{protocol} retry_on {on}: " + "; ".join(found)


def _short(seen: Observation) -> str:
    log = seen.log or {}
    return f"{seen.response.status}{' cut' if seen.response.cut else ''} {seen.flags} x{log.get('attempts')}"


def run(base: Recording) -> Iterator[str]:
    """The matrix of conditions and failures (status, flags, number of tries), then single questions."""
    yield from _matrix(base, "h1")
    yield from _matrix(base, "h2")
    yield from _details(base)
    yield from _connect_timeout(base)
    yield from _hosts(base)
    yield from _timing(base)
    yield from _bodies(base)


def _details(base: Recording) -> Iterator[str]:
    hosts = [
        host(
            route({"prefix": "/"}, {"cluster": "a", "retry_policy": policy("5xx", per_try_timeout="0.100s")}),
            domains=("count",),
            include_request_attempt_count=True,
            include_attempt_count_in_response=True,
        ),
        host(
            route(
                {"prefix": "/"},
                {"cluster": "a", "timeout": "0.250s", "retry_policy": policy("5xx", per_try_timeout="0.100s")},
            ),
            domains=("total",),
            include_request_attempt_count=True,
        ),
        host(route({"prefix": "/"}, {"cluster": "a", "retry_policy": policy("5xx,reset")}), domains=("both",)),
        host(
            route({"prefix": "/"}, {"cluster": "a", "retry_policy": {"retry_on": "5xx"}}),
            domains=("default-number",),
        ),
        host(
            route({"prefix": "/"}, {"cluster": "a", "retry_policy": {"retry_on": "5xx", "num_retries": 0}}),
            domains=("zero",),
        ),
        host(route({"prefix": "/"}, "a"), domains=("host-policy",), retry_policy=policy("5xx")),
        host(
            route({"prefix": "/"}, {"cluster": "a", "timeout": "0.300s", "retry_policy": policy("5xx")}),
            domains=("slow-total",),
        ),
        host(
            route(
                {"prefix": "/"},
                {"cluster": "a", "timeout": "0.100s", "retry_policy": policy("5xx", per_try_timeout="0.500s")},
            ),
            domains=("per-try-over-total",),
        ),
    ]
    everything = policy("5xx,reset,connect-failure,refused-stream")
    hosts += [
        host(route({"prefix": "/"}, {"cluster": name, "retry_policy": everything}), domains=(name,))
        for name in ("none", "overflow", "nowhere")
    ]
    rewriting = {"cluster": "a", "prefix_rewrite": "/new", "host_rewrite_literal": "other", "retry_policy": everything}
    added = [{"header": {"key": "x-added", "value": "1"}}]
    hosts += [host(route({"prefix": "/"}, rewriting, request_headers_to_add=added), domains=("rewriting",))]
    full = {"circuit_breakers": {"thresholds": [{"max_pending_requests": 0}]}}
    clusters = [cluster("a", *ENDPOINTS), cluster("none"), cluster("overflow", *ENDPOINTS, **full)]
    with Rig(custom(base, hosts, clusters)) as rig:
        for name in ("none", "overflow", "nowhere"):
            yield f"retry_on everything, {name}: {outcome(rig.send(host=name))}"
        for arrival in rig.send("GET", "/x", ("x-backend", "status=503"), host="rewriting").arrivals:
            yield f"tries of a rewriting route: {arrival.target} {headers(arrival.headers)}"
        for name, plan in (
            ("count", "status=503,status=500,status=200"),
            ("count", "status=503"),
            ("count", "status=503,fault=reset,status=200"),
            ("count", "fault=reset"),
            ("count", "delay=0.3,status=200"),
            ("count", "delay=0.3"),
            ("total", "delay=0.3"),
            ("total", "delay=0.09;status=503"),
            ("both", "fault=reset,status=503,fault=reset"),
            ("both", "status=503;x-first=1,fault=reset"),
            ("default-number", "status=503"),
            ("zero", "status=503"),
            ("host-policy", "status=503"),
            ("slow-total", "delay=0.2;status=503"),
            ("per-try-over-total", "delay=0.3"),
        ):
            seen = rig.send("GET", "/", ("x-backend", plan), host=name)
            tries = [
                (a.header("x-envoy-attempt-count"), a.header("x-envoy-expected-rq-timeout-ms"), a.backend[0][-1])
                for a in seen.arrivals
            ]
            shown = [(n, v) for n, v in seen.response.headers if n.startswith("x-")]
            yield f"{name} {plan}: {outcome(seen)}; (attempt, expected ms, host) {tries}; response {shown}"


def _connect_timeout(base: Recording) -> Iterator[str]:
    """A connection that is never accepted, under each condition."""
    names = ("5xx", "gateway-error", "reset", "connect-failure", "reset-before-request", "refused-stream")
    hosts = [host(route({"prefix": "/"}, {"cluster": "a", "retry_policy": policy(n)}), domains=(n,)) for n in names]
    with Rig(custom(base, hosts, [cluster("a", DEAD, connect_timeout="0.050s")])) as rig:
        rig.backends.stall(DEAD)
        yield "connect timeout: " + "; ".join(f"{name}: {_short(rig.send(host=name))}" for name in names)


def _hosts(base: Recording) -> Iterator[str]:
    for label, fields, count in (
        ("3 endpoints, no predicate", {}, 3),
        ("3 endpoints, previous_hosts, 5 attempts", {**PREVIOUS, "host_selection_retry_max_attempts": 5}, 3),
        ("3 endpoints, previous_hosts, default attempts", PREVIOUS, 3),
        ("1 endpoint, previous_hosts, 5 attempts", {**PREVIOUS, "host_selection_retry_max_attempts": 5}, 1),
    ):
        for lb in ("ROUND_ROBIN", "RANDOM"):
            rules = {"retry_on": "5xx", "num_retries": 3, **fields}
            hosts = [host(route({"prefix": "/"}, {"cluster": "a", "retry_policy": rules}))]
            with Rig(custom(base, hosts, [cluster("a", *ENDPOINTS[:count], lb_policy=lb)])) as rig:
                runs = []
                for _ in range(12):
                    seen = rig.send("GET", "/", ("x-backend", "status=503"))
                    runs.append("".join(a.backend[0][-1] for a in seen.arrivals))
                yield f"{label}, {lb}: hosts of the four tries {runs}"


def _timing(base: Recording) -> Iterator[str]:
    for label, fields in (
        ("default", {}),
        ("base 0.1 s, max 0.2 s", {"retry_back_off": {"base_interval": "0.1s", "max_interval": "0.2s"}}),
        ("base 0.1 s", {"retry_back_off": {"base_interval": "0.1s"}}),
        ("base 0.01 s, max 10 s", {"retry_back_off": {"base_interval": "0.01s", "max_interval": "10s"}}),
    ):
        rules = {"retry_on": "5xx", "num_retries": 4, **fields}
        hosts = [host(route({"prefix": "/"}, {"cluster": "a", "retry_policy": rules}))]
        with Rig(custom(base, hosts, [cluster("a", *ENDPOINTS)])) as rig:
            gaps: list[list[float]] = [[], [], [], []]
            for _ in range(25):
                times = [a.at for a in rig.send("GET", "/", ("x-backend", "status=503")).arrivals]
                for index in range(len(times) - 1):
                    gaps[index].append((times[index + 1] - times[index]) * 1000)
            shown = [f"{min(g):.0f}..{max(g):.0f} mean {mean(g):.0f}" for g in gaps]
            yield f"back-off {label}: ms before tries 2, 3, 4, 5: {shown}"


def _bodies(base: Recording) -> Iterator[str]:
    hosts = [
        host(route({"prefix": "/"}, {"cluster": "a", "retry_policy": policy("5xx,reset")}), domains=("any",)),
        host(
            route({"prefix": "/"}, {"cluster": "a", "retry_policy": policy("5xx,reset")}),
            domains=("limit",),
            request_body_buffer_limit="1000",
        ),
    ]
    with Rig(custom(base, hosts, [cluster("a", *ENDPOINTS)])) as rig:
        for name, size in (
            ("any", 10),
            ("any", 70_000),
            ("any", 1_000_000),
            ("any", 1_048_576),
            ("any", 1_048_577),
            ("limit", 1000),
            ("limit", 1001),
        ):
            seen = rig.send("POST", "/", ("x-backend", "status=503"), host=name, body=b"x" * size)
            lengths = Counter(len(a.body) for a in seen.arrivals)
            yield f"body of {size} bytes, {name}: {outcome(seen)}, bodies that arrived {dict(lengths)}"
