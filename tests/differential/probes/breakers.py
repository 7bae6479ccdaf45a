"""Circuit breaker thresholds: ten calls at once to backends that take 0.3 s."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.retries import H2
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig, Sent
from tests.support import rawhttp

ENDPOINTS = tuple((f"127.0.20.{n}", 80) for n in (1, 2, 3))
PARALLEL = 10
CASES: dict[str, tuple[Resource, int, bool]] = {
    "max_connections 2, max_pending 3, 1 endpoint": ({"max_connections": 2, "max_pending_requests": 3}, 1, False),
    "max_connections 2, max_pending 3, 3 endpoints": ({"max_connections": 2, "max_pending_requests": 3}, 3, False),
    "max_connections 1, 3 endpoints": ({"max_connections": 1}, 3, False),
    "max_connections 1, 1 endpoint": ({"max_connections": 1}, 1, False),
    "max_connections 0, 1 endpoint": ({"max_connections": 0}, 1, False),
    "max_pending 1, 1 endpoint": ({"max_pending_requests": 1}, 1, False),
    "max_pending 1, 3 endpoints": ({"max_pending_requests": 1}, 3, False),
    "max_requests 3, 1 endpoint, HTTP/1.1": ({"max_requests": 3}, 1, False),
    "max_requests 3, 3 endpoints, HTTP/1.1": ({"max_requests": 3}, 3, False),
    "max_requests 3, 1 endpoint, HTTP/2": ({"max_requests": 3}, 1, True),
    "max_connections 1, 1 endpoint, HTTP/2": ({"max_connections": 1}, 1, True),
    "max_connections 2, max_pending 3, 1 endpoint, HTTP/2": (
        {"max_connections": 2, "max_pending_requests": 3},
        1,
        True,
    ),
    "max_pending 1, 1 endpoint, HTTP/2, cold": ({"max_pending_requests": 1}, 1, True),
    "nothing set (1024 each)": ({}, 1, False),
}


def run(base: Recording) -> Iterator[str]:
    """Each line: the thresholds, statuses with flags, and how many requests and connections each backend saw."""
    for label, (threshold, endpoints, http2) in CASES.items():
        extra = H2 if http2 else {}
        made = cluster("a", *ENDPOINTS[:endpoints], circuit_breakers={"thresholds": [threshold]}, **extra)
        with Rig(custom(base, [host(route({"prefix": "/"}, "a"))], [made])) as rig:
            yield f"{label}: {_burst(rig)}"
            yield f"    once more, connections warm: {_burst(rig)}"
            yield f"    stats {_stats(rig)}"
    yield from _retries(base)
    yield from _requests_per_connection(base)


def _burst(rig: Rig, *, what: str = "delay=0.3", count: int = PARALLEL) -> str:
    data = rawhttp.request("GET", "/", (("host", "x"), ("x-backend", what)))
    seen = rig.run([Sent(data)] * count, parallel=count)
    answers = Counter(f"{o.response.status} {o.flags}" for o in seen)
    slow = sorted(round(o.response.elapsed_s, 1) for o in seen if o.response.status == 200)
    hosts = Counter(a.backend[0][-1] for o in seen for a in o.arrivals)
    connections = {(a.backend, a.connection) for o in seen for a in o.arrivals}
    return (
        f"{dict(answers)}, seconds of the good {slow}, requests by host {dict(hosts)}, connections {len(connections)}"
    )


def _stats(rig: Rig) -> dict[str, int]:
    names = "upstream_(rq_pending_overflow|cx_overflow|rq_retry_overflow|cx_pool_overflow|rq_pending_total|cx_total)"
    found = rig.envoy.stats(f"^cluster.a.{names}$")
    return {name.rpartition(".")[2]: value for name, value in sorted(found.items()) if value}


def _retries(base: Recording) -> Iterator[str]:
    for label, breakers in (
        ("max_retries 1", {"thresholds": [{"max_retries": 1}]}),
        ("max_retries 0", {"thresholds": [{"max_retries": 0}]}),
        ("max_retries not set (3)", {}),
        (
            "retry_budget 20 %, min 1",
            {
                "thresholds": [
                    {"retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": 1}, "max_retries": 0}
                ]
            },
        ),
    ):
        rules = {"retry_on": "5xx", "num_retries": 1}
        hosts = [host(route({"prefix": "/"}, {"cluster": "a", "retry_policy": rules}))]
        with Rig(custom(base, hosts, [cluster("a", *ENDPOINTS, circuit_breakers=breakers)])) as rig:
            data = rawhttp.request("GET", "/", (("host", "x"), ("x-backend", "delay=0.2;status=503")))
            seen = rig.run([Sent(data)] * PARALLEL, parallel=PARALLEL)
            answers = Counter(f"{o.response.status} {o.flags} x{(o.log or {}).get('attempts')}" for o in seen)
            yield f"{label}, ten 503 at once with one retry each: {dict(answers)}; {_stats(rig)}"


def _requests_per_connection(base: Recording) -> Iterator[str]:
    options = {
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {}},
                "common_http_protocol_options": {"max_requests_per_connection": 2},
            }
        }
    }
    with Rig(custom(base, [host(route({"prefix": "/"}, "a"))], [cluster("a", *ENDPOINTS[:1], **options)])) as rig:
        seen = [rig.send() for _ in range(5)]
        numbers = [a.connection for o in seen for a in o.arrivals]
        closing = [a.header("connection") for o in seen for a in o.arrivals]
        yield f"max_requests_per_connection 2, five calls: connections {numbers}, connection headers {closing}"
