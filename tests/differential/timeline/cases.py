"""Cases on a timeline, written by hand: each has backends of its own, so that all of them run at once."""

from __future__ import annotations

from dataclasses import replace

from tests.differential.case import Case
from tests.differential.custom import cluster, host, route
from tests.differential.probes.retries import H2
from tests.differential.recording import Resource
from tests.differential.requests import Request
from tests.differential.timeline.script import Act
from tests.support.behaviour import Address

ANY: Resource = {"prefix": "/"}
GAP_S = 0.15
"""Between two requests of a burst."""

OFF: Resource = {
    "enforcing_success_rate": 0,
    "enforcing_failure_percentage": 0,
    "enforcing_consecutive_gateway_failure": 0,
    "max_ejection_percent": 100,
    "interval": "0.1s",
    "base_ejection_time": "1.5s",
    "max_ejection_time": "9s",
}
"""Outlier detection of which a case switches something on."""

AT_ONCE: Resource = {"update_merge_window": "0s"}
"""Envoy may keep what it learns of hosts from its balancers for a second otherwise, which nobody wants in process."""

CALM: Resource = {**AT_ONCE, "healthy_panic_threshold": {"value": 0}}
"""Ejected is ejected, even if nobody is left."""


def backends(number: int, count: int) -> list[Address]:
    """The backends of the case with this number."""
    block, place = divmod(number, 31)
    return [(f"127.0.{41 + block}.{place * 8 + each}", 80) for each in range(1, count + 1)]


def asks(*bursts: tuple[float, int], gap_s: float = GAP_S) -> tuple[Request, ...]:
    """Requests one after the other, `count` from each moment on."""
    return tuple(
        Request("GET", "http://case.test/", at_s=at_s + each * gap_s) for at_s, count in bursts for each in range(count)
    )


def case(
    name: str,
    addresses: list[Address],
    requests: tuple[Request, ...],
    acts: list[Act],
    *,
    retry: Resource | None = None,
    action: Resource | None = None,
    http2: bool = False,
    primed: bool = True,
    **fields: object,
) -> Case:
    """One cluster by the name of the case behind one route; round robin begins with the first backend."""
    rule = {"cluster": name, "timeout": "0s", **({"retry_policy": retry} if retry else {}), **(action or {})}
    fields = {**(H2 if http2 else {}), **fields}
    made = cluster(name, *addresses, **{"lb_policy": "ROUND_ROBIN", "common_lb_config": AT_ONCE, **fields})
    virtual = host(route(ANY, rule), name=name, include_request_attempt_count=True)
    return Case((virtual,), requests, clusters=(made,), backends=tuple(acts), primed=primed)


def _detection(**fields: object) -> Resource:
    return {"outlier_detection": {**OFF, **fields}}


def ejections() -> dict[str, Case]:
    """Hosts that are ejected and come back."""
    found = {}
    one = backends(0, 1)
    found["five in a row, and back after a while"] = case(
        "row",
        one,
        asks((0.0, 7), (1.3, 2), (2.8, 2)),
        [Act(one[0], "status=503", until_s=1.6)],
        common_lb_config=CALM,
        **_detection(consecutive_5xx=5),
    )
    one = backends(1, 1)
    found["a good answer begins the row anew"] = case(
        "anew",
        one,
        asks((0.0, 9)),
        [Act(one[0], "status=500", first=0, last=3), Act(one[0], "status=500", first=5)],
        common_lb_config=CALM,
        **_detection(consecutive_5xx=5),
    )
    one = backends(2, 1)
    found["in a panic the ejected is asked all the same"] = case(
        "panic", one, asks((0.0, 6)), [Act(one[0], "status=502")], **_detection(consecutive_5xx=3)
    )
    one = backends(3, 1)
    found["gateway failures alone"] = case(
        "gateway",
        one,
        asks((0.0, 5), (1.0, 5)),
        [Act(one[0], "status=500", until_s=0.8), Act(one[0], "status=504", from_s=0.8)],
        common_lb_config=CALM,
        **_detection(
            consecutive_gateway_failure=3, enforcing_consecutive_gateway_failure=100, enforcing_consecutive_5xx=0
        ),
    )
    one = backends(4, 1)
    found["resets count as the same failures"] = case(
        "resets",
        one,
        asks((0.0, 5)),
        [Act(one[0], "fault=reset")],
        common_lb_config=CALM,
        **_detection(consecutive_5xx=3),
    )
    one = backends(5, 1)
    found["failures of our own side, told apart"] = case(
        "split",
        one,
        asks((0.0, 6), (1.2, 4)),
        [Act(one[0], "status=503", until_s=1.0), Act(one[0], "fault=reset", from_s=1.0)],
        common_lb_config=CALM,
        **_detection(consecutive_5xx=50, consecutive_local_origin_failure=3, split_external_local_origin_errors=True),
    )
    two = backends(6, 2)
    found["no more than a part is ejected"] = case(
        "part",
        two,
        asks((0.0, 8)),
        [Act(each, "status=503") for each in two],
        common_lb_config=CALM,
        **_detection(consecutive_5xx=2, max_ejection_percent=50),
    )
    one = backends(7, 1)
    found["noticed and not enforced"] = case(
        "noticed",
        one,
        asks((0.0, 6)),
        [Act(one[0], "status=503")],
        **_detection(consecutive_5xx=3, enforcing_consecutive_5xx=0),
    )
    one = backends(8, 1)
    found["ejected once more"] = case(
        "once-more",
        one,
        asks((0.0, 3), (1.6, 3), (2.2, 1), (3.9, 1)),
        [Act(one[0], "status=503", until_s=2.6)],
        common_lb_config=CALM,
        **_detection(consecutive_5xx=3, base_ejection_time="0.6s"),
    )
    return found


def tries() -> dict[str, Case]:
    """Requests that are tried again, at backends that change."""
    found = {}
    three = backends(9, 3)
    again: Resource = {"retry_on": "5xx", "num_retries": 2, "retry_back_off": {"base_interval": "0.002s"}}
    elsewhere = {
        **again,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
    }
    one = backends(10, 1)
    found["until it answers"] = case(
        "until",
        one,
        asks((0.0, 3), (0.9, 2)),
        [Act(one[0], "status=503", first=0, last=1), Act(one[0], "fault=reset", first=4, last=6)],
        retry=again,
    )
    found["at another host"] = case(
        "other",
        three,
        asks((0.0, 3), gap_s=0.5),
        [Act(three[0], "status=503"), Act(three[1], "status=503")],
        retry={**elsewhere, "host_selection_retry_max_attempts": 20},
    )
    one = backends(11, 1)
    found["a backend that refuses for a while"] = case(
        "refuses",
        one,
        asks((0.0, 2), (0.8, 2), (1.8, 2)),
        [Act(one[0], "refuse", from_s=0.5, until_s=1.4)],
        retry={"retry_on": "connect-failure", "num_retries": 1, "retry_back_off": {"base_interval": "0.002s"}},
    )
    one = backends(12, 1)
    found["a try that takes too long, then one that does not"] = case(
        "slow",
        one,
        asks((0.0, 2), gap_s=1.0),
        [Act(one[0], "delay=3", first=0, last=0)],
        retry={**again, "per_try_timeout": "0.4s"},
    )
    one = backends(13, 1)
    found["the route's time is over in the second try"] = case(
        "over",
        one,
        asks((0.0, 1)),
        [Act(one[0], "delay=3")],
        retry={**again, "per_try_timeout": "0.5s"},
        action={"timeout": "0.8s"},
    )
    return found


def later(case: Case, seconds: float) -> Case:
    """The same case, so much later."""
    requests = tuple(replace(each, at_s=each.at_s + seconds) for each in case.requests)
    acts = tuple(replace(each, from_s=each.from_s + seconds, until_s=each.until_s + seconds) for each in case.backends)
    return replace(case, requests=requests, backends=acts)
