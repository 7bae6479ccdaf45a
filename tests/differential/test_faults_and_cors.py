"""Fault injection and CORS: the same answers, flags and arrivals, through the filters that istiod sends."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.differential.custom import cluster, custom, host, route
from tests.differential.decision import answered
from tests.differential.governed import Governed, governed
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request
from tests.differential.rig import Rig
from tests.support import envoy
from tests.support.behaviour import Headers

pytestmark = pytest.mark.envoy

A = ("127.0.20.1", 80)
FAULT = "envoy.filters.http.fault"
CORS = "envoy.filters.http.cors"
HTTP = "type.googleapis.com/envoy.extensions.filters.http."
SLOW_S = 0.35
ALWAYS: Resource = {"numerator": 100}
NEVER: Resource = {"numerator": 0}
GRPC: Headers = (("content-type", "application/grpc"), ("te", "trailers"))
BLUE = {"response_headers_to_add": [{"header": {"key": "x-blue", "value": "1"}}]}


@dataclass(frozen=True, slots=True)
class Seen:
    """Status, flags, body, headers in order without what only a proxy adds, and how often a backend was reached."""

    status: int
    flags: str
    body: bytes
    headers: Headers
    arrivals: int
    slow: bool = False


Ask = tuple[str, Headers]


def by_envoy(rig: Rig, asked: Ask) -> Seen:
    started = time.monotonic()
    seen = rig.send(asked[0], "/", *asked[1])
    slow = time.monotonic() - started >= SLOW_S
    arrived = len(seen.arrivals)
    body = b"" if arrived else seen.response.body
    flags = seen.flags if seen.flags != "-" else ""
    return Seen(seen.response.status, flags, body, _headers(seen.response.headers, arrived), arrived, slow)


def by_proxyless(client: Governed, asked: Ask) -> Seen:
    started = time.monotonic()
    response, arrivals = client.send(Request(asked[0], "http://catalog/", asked[1]))
    slow = time.monotonic() - started >= SLOW_S
    raw = tuple((name.decode(), value.decode()) for name, value in response.headers.raw)
    arrived = len(arrivals)
    body = b"" if arrived else response.content
    flags = ",".join(flags_of(response))
    return Seen(response.status_code, flags, body, _headers(raw, arrived), arrived, slow)


def flags_of(response: httpx.Response) -> tuple[str, ...]:
    """Response flags of a governed call, as its machine has them at the end."""
    flags: Any = response.extensions["proxyless"].flags
    return tuple(flags)


def _headers(headers: Headers, arrived: int) -> Headers:
    kept = answered(headers)
    return tuple(pair for pair in kept if pair[0] != "content-length") if arrived else tuple(kept)


def both(base: Recording, rules: list[Resource], sent: list[Ask], **host_fields: Any) -> list[tuple[Seen, Seen]]:
    """The same requests through Envoy and through httpx."""
    envoy.require()
    recording = custom(base, [host(*rules, **host_fields)], [cluster("a", A)])
    with Rig(recording) as rig, mesh_on(rig.recording) as mesh, governed(mesh, rig.backends) as client:
        return [(by_envoy(rig, each), by_proxyless(client, each)) for each in sent]


def rule(name: str, kind: str, action: Resource | None = None, **fields: Any) -> Resource:
    config = {"@type": HTTP + kind, **fields}
    return route({"prefix": "/"}, {"cluster": "a", **(action or {})}, typed_per_filter_config={name: config}, **BLUE)


FAULTS: dict[str, Resource] = {
    "abort": {"abort": {"http_status": 418, "percentage": ALWAYS}},
    "abort with a gRPC status": {"abort": {"grpc_status": 7, "percentage": ALWAYS}},
    "abort never": {"abort": {"http_status": 418, "percentage": NEVER}},
    "abort by header": {"abort": {"header_abort": {}, "percentage": ALWAYS}},
    "abort by header in millionths": {
        "abort": {"header_abort": {}, "percentage": {"numerator": 1_000_000, "denominator": "MILLION"}}
    },
    "delay": {"delay": {"fixed_delay": "0.4s", "percentage": ALWAYS}},
    "delay by header": {"delay": {"header_delay": {}, "percentage": ALWAYS}},
    "delay, then abort": {
        "delay": {"fixed_delay": "0.4s", "percentage": ALWAYS},
        "abort": {"http_status": 503, "percentage": ALWAYS},
    },
    "of another cluster": {"abort": {"http_status": 418, "percentage": ALWAYS}, "upstream_cluster": "b"},
    "of this cluster": {"abort": {"http_status": 418, "percentage": ALWAYS}, "upstream_cluster": "a"},
    "of a node": {"abort": {"http_status": 418, "percentage": ALWAYS}, "downstream_nodes": ["n", "m"]},
    "of headers": {
        "abort": {"http_status": 418, "percentage": ALWAYS},
        "headers": [{"name": "x-a", "string_match": {"exact": "1"}}, {"name": "x-b", "present_match": False}],
    },
    "none at a time": {"abort": {"http_status": 418, "percentage": ALWAYS}, "max_active_faults": 0},
    "one at a time": {"abort": {"http_status": 418, "percentage": ALWAYS}, "max_active_faults": 1},
}
FAULTY: list[Ask] = [
    ("GET", ()),
    ("POST", GRPC),
    ("GET", (("x-a", "1"),)),
    ("GET", (("x-a", "1"), ("x-b", ""))),
    ("GET", (("x-envoy-downstream-service-node", "n"),)),
    ("GET", (("x-envoy-fault-abort-request", "418"),)),
    ("GET", (("x-envoy-fault-abort-request", "199"),)),
    ("GET", (("x-envoy-fault-abort-request", "600"), ("x-envoy-fault-abort-grpc-request", "3"))),
    ("GET", (("x-envoy-fault-abort-request", "418"), ("x-envoy-fault-abort-request", "419"))),
    ("POST", (*GRPC, ("x-envoy-fault-abort-grpc-request", "3"))),
    ("POST", (*GRPC, ("x-envoy-fault-abort-request", "418"), ("x-envoy-fault-abort-grpc-request", "3"))),
    ("GET", (("x-envoy-fault-abort-request", "418"), ("x-envoy-fault-abort-request-percentage", "0"))),
    ("GET", (("x-envoy-fault-abort-request", "418"), ("x-envoy-fault-abort-request-percentage", "x"))),
    ("GET", (("x-envoy-fault-delay-request", "400"),)),
    ("GET", (("x-envoy-fault-delay-request", "0"),)),
    ("GET", (("x-envoy-fault-delay-request", "x"),)),
    ("GET", (("x-envoy-fault-delay-request", "400"), ("x-envoy-fault-delay-request-percentage", "0"))),
]


@pytest.mark.parametrize("label", FAULTS)
def test_faults_hit_the_same_requests_in_the_same_way(frontend: Recording, label: str) -> None:
    delays = "delay" in label
    sent = FAULTY[:2] + FAULTY[13:] if delays else FAULTY[:13]
    for theirs, ours in both(frontend, [rule(FAULT, "fault.v3.HTTPFault", **FAULTS[label])], sent):
        assert ours == theirs


def test_a_delay_is_not_of_the_route_s_timeout(frontend: Recording) -> None:
    late = {"delay": {"fixed_delay": "0.5s", "percentage": ALWAYS}}
    rules = [rule(FAULT, "fault.v3.HTTPFault", {"timeout": "0.4s"}, **late)]
    ((theirs, ours),) = both(frontend, rules, [("GET", ())])
    assert ours == theirs
    assert (ours.status, ours.flags, ours.slow) == (200, "DI", True)


def test_a_fault_goes_before_a_direct_response(frontend: Recording) -> None:
    fault = rule(FAULT, "fault.v3.HTTPFault", **FAULTS["abort"])
    del fault["route"]
    ((theirs, ours),) = both(frontend, [{**fault, "direct_response": {"status": 200}}], [("GET", ())])
    assert ours == theirs
    assert ours.status == 418


PAGE = ("origin", "http://page.example")
METHOD = ("access-control-request-method", "PUT")
FORM = ("access-control-request-headers", "x-one, x-two")
PRIVATE = ("access-control-request-private-network", "true")
OWN = ("x-backend", "header=access-control-allow-origin:backend")
ALLOWED: Resource = {"allow_origin_string_match": [{"exact": "http://page.example"}]}
POLICIES: dict[str, Resource] = {
    "origins alone": ALLOWED,
    "every field": {
        **ALLOWED,
        "allow_methods": "GET,PUT",
        "allow_headers": "x-one",
        "expose_headers": "x-blue",
        "max_age": "60",
        "allow_credentials": True,
        "allow_private_network_access": True,
    },
    "stars": {
        "allow_origin_string_match": [{"exact": "*"}],
        "allow_methods": "*",
        "allow_headers": "*",
        "expose_headers": "*",
    },
    "prefix": {"allow_origin_string_match": [{"prefix": "http://page"}], "allow_credentials": False},
    "regex": {"allow_origin_string_match": [{"safe_regex": {"regex": "http://.*example"}}]},
    "no origin": {"allow_methods": "GET"},
    "refuses what does not match": {**ALLOWED, "forward_not_matching_preflights": False, "allow_methods": "PUT"},
    "off": {**ALLOWED, "filter_enabled": {"default_value": NEVER}},
    "shadow": {
        **ALLOWED,
        "filter_enabled": {"default_value": NEVER},
        "shadow_enabled": {"default_value": ALWAYS},
    },
}
PAGES: list[Ask] = [
    ("GET", ()),
    ("GET", (PAGE,)),
    ("GET", (("origin", "HTTP://PAGE.EXAMPLE"),)),
    ("GET", (("origin", ""),)),
    ("GET", (PAGE, OWN)),
    ("OPTIONS", (PAGE,)),
    ("OPTIONS", (PAGE, METHOD)),
    ("OPTIONS", (PAGE, METHOD, FORM, PRIVATE)),
    ("OPTIONS", (("origin", "http://other"), METHOD, FORM)),
    ("OPTIONS", (METHOD,)),
]


@pytest.mark.parametrize("label", POLICIES)
@pytest.mark.parametrize("place", ["route", "virtual host", "before filters had configurations"])
def test_cors_says_the_same(frontend: Recording, label: str, place: str) -> None:
    config = {CORS: {"@type": HTTP + "cors.v3.CorsPolicy", **POLICIES[label]}}
    action: Resource = {"cluster": "a"}
    fields: Resource = {}
    if place == "route":
        fields = {"typed_per_filter_config": config}
    elif place != "virtual host":
        action["cors"] = POLICIES[label]
    rules = [route({"prefix": "/"}, action, **fields, **BLUE)]
    more = {"typed_per_filter_config": config} if place == "virtual host" else {}
    for theirs, ours in both(frontend, rules, PAGES, **more):
        assert ours == theirs


def test_what_a_route_leaves_open_the_virtual_host_says(frontend: Recording) -> None:
    kind = {"@type": HTTP + "cors.v3.CorsPolicy"}
    own = {CORS: {**kind, "allow_methods": "PUT", "allow_credentials": False}}
    general = {CORS: {**kind, **POLICIES["every field"]}}
    rules = [route({"prefix": "/"}, "a", typed_per_filter_config=own)]
    for theirs, ours in both(frontend, rules, PAGES, typed_per_filter_config=general):
        assert ours == theirs


def test_redirects_and_direct_responses_have_no_cors(frontend: Recording) -> None:
    config = {CORS: {"@type": HTTP + "cors.v3.CorsPolicy", **POLICIES["every field"]}}
    rules: list[Resource] = [
        {"match": {"prefix": "/"}, "direct_response": {"status": 200}, "typed_per_filter_config": config}
    ]
    for theirs, ours in both(frontend, rules, PAGES):
        assert ours == theirs
