"""When each timeout starts, what it covers and what is answered."""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.show import outcome
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig, Sent
from tests.support import rawhttp

A = ("127.0.20.1", 80)
ANY: Resource = {"prefix": "/"}
ACTIONS: dict[str, Resource] = {
    "timeout-200ms": {"timeout": "0.200s"},
    "no-timeout-field": {},
    "timeout-0": {"timeout": "0s"},
    "idle-200ms": {"timeout": "0s", "idle_timeout": "0.200s"},
    "max-stream-200ms": {"timeout": "0s", "max_stream_duration": {"max_stream_duration": "0.200s"}},
    "grpc-header-max-0": {"timeout": "5s", "max_stream_duration": {"grpc_timeout_header_max": "0s"}},
    "max-grpc-0": {"timeout": "0.200s", "max_grpc_timeout": "0s"},
    "max-grpc-300ms": {"timeout": "5s", "max_grpc_timeout": "0.300s"},
    "max-grpc-offset": {"timeout": "5s", "max_grpc_timeout": "0s", "grpc_timeout_offset": "0.050s"},
    "per-try-idle-200ms": {
        "timeout": "0s",
        "retry_policy": {"retry_on": "5xx", "num_retries": 1, "per_try_idle_timeout": "0.200s"},
    },
}


def run(base: Recording) -> Iterator[str]:
    """Each line: route, what client and backend do, then the outcome and the timeout told to the backend."""
    hosts = [host(route(ANY, {"cluster": "a", **extra}), domains=(name,)) for name, extra in ACTIONS.items()]
    with Rig(custom(base, hosts, [cluster("a", A)])) as rig:
        for name, what in (
            ("timeout-200ms", "delay=0.1"),
            ("timeout-200ms", "delay=0.3"),
            ("timeout-200ms", "body-delay=0.3"),
            ("timeout-0", "delay=0.3"),
            ("no-timeout-field", "delay=0.3"),
            ("idle-200ms", "delay=0.3"),
            ("idle-200ms", "body-delay=0.3"),
            ("max-stream-200ms", "delay=0.3"),
            ("max-stream-200ms", "body-delay=0.3"),
            ("per-try-idle-200ms", "delay=0.3"),
            ("per-try-idle-200ms", "body-delay=0.3"),
        ):
            seen = rig.send("GET", "/", ("x-backend", what), host=name)
            expected = [a.header("x-envoy-expected-rq-timeout-ms") for a in seen.arrivals]
            yield f"{name}, backend {what}: {outcome(seen)}; expected-rq-timeout-ms {expected}"
            if seen.response.status >= 500:
                yield f"    body {seen.response.body!r}"
        yield from _slow_request(rig)
        grpc = (("content-type", "application/grpc"), ("te", "trailers"))
        for name, headers in (
            ("max-grpc-0", (("grpc-timeout", "100m"), *grpc)),
            ("max-grpc-0", grpc),
            ("max-grpc-0", (("grpc-timeout", "100m"),)),
            ("max-grpc-300ms", (("grpc-timeout", "2S"), *grpc)),
            ("max-grpc-300ms", (("grpc-timeout", "100m"), *grpc)),
            ("max-grpc-300ms", grpc),
            ("max-grpc-offset", (("grpc-timeout", "200m"), *grpc)),
            ("grpc-header-max-0", (("grpc-timeout", "100m"), *grpc)),
            ("max-grpc-0", (("grpc-timeout", "bogus"), *grpc)),
            ("max-grpc-0", (("grpc-timeout", "0m"), *grpc)),
        ):
            seen = rig.send("POST", "/a.B/C", *headers, ("x-backend", "delay=0.5"), host=name)
            sent = [(a.header("grpc-timeout"), a.header("x-envoy-expected-rq-timeout-ms")) for a in seen.arrivals]
            yield f"{name}, {dict(headers)}, backend delay=0.5: {outcome(seen)}; (grpc-timeout, expected) {sent}"
    yield from _connect(base)


def _slow_request(rig: Rig) -> Iterator[str]:
    for what in ("delay=0", "delay=0.1", "delay=0.3"):
        head = rawhttp.request("POST", "/", (("host", "timeout-200ms"), ("content-length", "4"), ("x-backend", what)))
        seen = rig.run([Sent(head + b"ab", later=b"cd", later_s=0.4)])[0]
        yield f"timeout-200ms, request body ends after 0.4 s, backend {what}: {outcome(seen)}"
    head = rawhttp.request("POST", "/", (("host", "idle-200ms"), ("content-length", "4")))
    seen = rig.run([Sent(head + b"ab", later=b"cd", later_s=0.4)])[0]
    yield f"idle-200ms, request body pauses 0.4 s: {outcome(seen)} body {seen.response.body!r}"


def _connect(base: Recording) -> Iterator[str]:
    """A connection that is never accepted: the backend's listen queue is full."""
    dead = cluster("a", ("127.0.20.9", 80), connect_timeout="0.100s")
    with Rig(custom(base, [host(route(ANY, "a"))], [dead])) as rig:
        rig.backends.stall(("127.0.20.9", 80))
        seen = rig.send()
        yield f"connect_timeout 0.1 s, never accepted: {outcome(seen)} body {seen.response.body!r}"
