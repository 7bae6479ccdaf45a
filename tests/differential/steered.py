"""Internal requests that steer their own timeouts and retries; each case is a request to a host of its own."""

from __future__ import annotations

from tests.differential.case import Case
from tests.differential.custom import cluster
from tests.differential.failures import GRPC, Failures
from tests.differential.managers import INSIDE
from tests.differential.probes.resilience import options
from tests.differential.probes.retries import ENDPOINTS, policy
from tests.differential.recording import Resource
from tests.support.behaviour import Headers

FROM_INSIDE: Headers = (("x-forwarded-for", "10.1.1.1"),)
FROM_OUTSIDE: Headers = (("x-forwarded-for", "8.8.8.8"),)
FAILING = "status=503,status=503,status=503,status=200"
SLOW = "delay=3,delay=3,delay=3"


def _asking(**words: str) -> Headers:
    """Headers by the ends of their names."""
    return tuple((f"x-envoy-{name.replace('_', '-')}", value) for name, value in words.items())


RETRIES: tuple[tuple[str, Headers, str, Headers], ...] = (
    *(
        (name, _asking(**words), FAILING, ())
        for name in ("bare", "once", "other", "unsaid", "gated", "of-cluster")
        for words in (
            {},
            {"max_retries": "3"},
            {"retry_on": "5xx"},
            {"retry_on": "5xx", "max_retries": "2"},
            {"retry_on": " reset , 5xx", "max_retries": " 2 "},
            {"retry_on": "5xx", "max_retries": "0"},
            {"retry_on": "5xx", "max_retries": "-1"},
            {"retry_on": "nothing", "max_retries": "2"},
            {"retry_on": "unavailable"},
            {"retry_grpc_on": "5xx"},
            {"retry_on": "retriable-status-codes", "retriable_status_codes": "500, 503,x"},
            {"retriable_status_codes": "503"},
            {"retry_on": "retriable-headers", "retriable_header_names": "x-none"},
        )
    ),
    ("bare", _asking(retry_on="gateway-error,connect-failure", max_retries="5"), "fault=reset,status=200", ()),
    ("codes", _asking(retriable_status_codes="409"), "status=409,status=409,status=200", ()),
    ("codes", (), "status=409,status=200", ()),
    ("bare", _asking(retry_on="retriable-headers", retriable_header_names="x-no, X-Again"), "x-again=1,x-a=1", ()),
    (
        "bare",
        _asking(retry_grpc_on="unavailable", max_retries="2"),
        "grpc-status=14,grpc-status=14",
        GRPC,
    ),
)
"""Host, headers that steer, what the backends do, other headers."""

TIMEOUTS: tuple[tuple[str, Headers], ...] = (
    ("long", _asking(upstream_rq_timeout_ms="400")),
    ("long", _asking(upstream_rq_timeout_ms="400", upstream_rq_timeout_alt_response="x")),
    ("short", _asking(upstream_rq_timeout_ms="0")),
    ("short", _asking(upstream_rq_timeout_ms="x")),
    ("short", _asking(upstream_rq_timeout_alt_response="")),
    ("long", _asking(upstream_rq_per_try_timeout_ms="400")),
    ("long", _asking(upstream_rq_per_try_timeout_ms="400", upstream_rq_timeout_alt_response="1")),
    ("long", _asking(upstream_rq_per_try_timeout_ms="400", retry_on="5xx", max_retries="2")),
    ("short", _asking(upstream_rq_per_try_timeout_ms="900", retry_on="5xx")),
    ("tries", _asking(upstream_rq_per_try_timeout_ms="0")),
    ("tries", _asking(upstream_rq_per_try_timeout_ms="no")),
    ("tries", _asking(upstream_rq_timeout_ms="300")),
    ("tries", _asking(hedge_on_per_try_timeout="true")),
    ("hedged", _asking(hedge_on_per_try_timeout="false")),
    ("hedged", _asking(hedge_on_per_try_timeout="maybe")),
    ("long", _asking(upstream_stream_duration_ms="400")),
    ("capped", _asking(upstream_stream_duration_ms="0")),
    ("capped", _asking(upstream_stream_duration_ms="no")),
)


def _clusters() -> list[Resource]:
    wide: Resource = {"circuit_breakers": {"thresholds": [{"max_retries": 1000}]}}
    return [
        cluster("a", *ENDPOINTS, **wide),
        cluster("retrying", *ENDPOINTS, **wide, **options(retry_policy=policy("reset", num_retries=1))),
        cluster("capped", *ENDPOINTS, **wide, **options(common_http_protocol_options={"max_stream_duration": "0.6s"})),
    ]


def retries() -> Case:
    """Conditions and numbers of tries; from outside nothing of it is heard."""
    failures = Failures()
    gate = [{"name": "x-again", "present_match": True}]
    actions: dict[str, Resource] = {
        "bare": {},
        "once": {"retry_policy": policy("5xx", num_retries=1)},
        "other": {"retry_policy": policy("reset", num_retries=2)},
        "unsaid": {"retry_policy": {"num_retries": 2}},
        "gated": {"retry_policy": policy("5xx", num_retries=1, retriable_request_headers=gate)},
        "of-cluster": {"cluster": "retrying", "retry_policy": policy("5xx", num_retries=3)},
        "codes": {"retry_policy": policy("retriable-status-codes", retriable_status_codes=[418])},
    }
    for name, action in actions.items():
        failures.host(name, {"cluster": "a", **action})
    for name, steer, plan, more in RETRIES:
        failures.ask(name, plan, method="POST" if more else "GET", more=(*FROM_INSIDE, *steer, *more))
    for name, steer, plan, more in RETRIES[:6]:
        failures.ask(name, plan, more=(*FROM_OUTSIDE, *steer, *more))
        failures.ask(name, plan, more=(*steer, *more))
    failures.ask("gated", FAILING, more=(*FROM_INSIDE, ("x-again", ""), *_asking(max_retries="2")))
    return failures.case(_clusters(), **INSIDE)


def timeouts() -> Case:
    """Times of the call and of a try, hedging, and what a timeout is told by; all are sent at once."""
    failures = Failures()
    tries: Resource = {"timeout": "5s", "retry_policy": policy("5xx", per_try_timeout="0.5s", num_retries=1)}
    actions: dict[str, Resource] = {
        "long": {"timeout": "9s"},
        "short": {"timeout": "0.5s"},
        "tries": tries,
        "hedged": {**tries, "hedge_policy": {"hedge_on_per_try_timeout": True}},
        "capped": {"cluster": "capped"},
    }
    for name, action in actions.items():
        failures.host(name, {"cluster": "a", **action})
    for name, steer in TIMEOUTS:
        failures.ask(name, SLOW, more=(*FROM_INSIDE, *steer))
        failures.ask(name, SLOW, more=(*FROM_OUTSIDE, *steer))
    return failures.case(_clusters(), **INSIDE)
