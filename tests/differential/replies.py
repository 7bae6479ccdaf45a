"""What responses say beside what the endpoint said: tries, https that is asked for, replies that are rewritten."""

from __future__ import annotations

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.mutations import add
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request

ANY: Resource = {"prefix": "/"}
AGAIN: Resource = {"retry_policy": {"retry_on": "5xx", "num_retries": 2, "retry_back_off": {"base_interval": "0.001s"}}}
RESPONSES: Resource = {"response_headers_to_add": [add("x-envoy-attempt-count", "9"), add("x-after", "1")]}
FULL: Resource = {"thresholds": [{"max_requests": 0, "max_pending_requests": 0}]}
CLUSTERS = [
    cluster("a", ("127.0.20.1", 80)),
    cluster("refused", ("127.0.20.9", 81)),
    cluster("empty"),
    cluster("full", ("127.0.20.1", 80), circuit_breakers=FULL),
]


def _routes() -> list[Resource]:
    return [
        route({"prefix": "/none"}, "none"),
        {"match": {"prefix": "/away"}, "redirect": {"host_redirect": "moved.test"}},
        {"match": {"prefix": "/direct"}, "direct_response": {"status": 418, "body": {"inline_string": "tea"}}},
        *(route({"prefix": f"/{name}"}, {"cluster": name, **AGAIN}) for name in ("refused", "empty", "full")),
        route(ANY, {"cluster": "a", **AGAIN}),
    ]


def _hosts() -> list[Resource]:
    return [
        host(*_routes(), domains=("counted.test",), include_attempt_count_in_response=True, **RESPONSES),
        host(*_routes(), domains=("plain.test",)),
        host(*_routes(), domains=("secure.test",), require_tls="ALL", **RESPONSES),
        host(*_routes(), domains=("outside.test",), require_tls="EXTERNAL_ONLY", **RESPONSES),
    ]


def configuration(base: Recording) -> tuple[Recording, list[Request]]:
    """All virtual hosts, and what is asked of each."""
    result = custom(base, _hosts(), CLUSTERS)
    made: list[Request] = []
    for name in ("counted.test", "counted.test:80", "plain.test", "secure.test", "secure.test:80", "outside.test"):
        for target in ("/", "/a?x=1", "/none", "/away", "/direct", "/refused", "/empty", "/full"):
            for own in ((), (("x-forwarded-proto", "https"),), (("content-type", "application/grpc"),)):
                headers = (("host", name), *own, ("x-mark", f"{len(made)}"))
                made.append(Request("GET", f"http://plain.test{target}", headers))
    return result, made
