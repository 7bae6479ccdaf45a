"""Which endpoint is taken: order, weights, health, priorities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.differential.custom import cluster, custom, host, route
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig, Sent
from tests.support import rawhttp

Endpoint = tuple[int, str, int, int]  # weight, health, priority, locality
CASES: dict[str, tuple[list[Endpoint], dict[str, Any]]] = {
    "ROUND_ROBIN 1 1 1": ([(1, "", 0, 0)] * 3, {}),
    "ROUND_ROBIN 1 3": ([(1, "", 0, 0), (3, "", 0, 0)], {}),
    "ROUND_ROBIN 1 2 3": ([(1, "", 0, 0), (2, "", 0, 0), (3, "", 0, 0)], {}),
    "ROUND_ROBIN 5 1 1": ([(5, "", 0, 0), (1, "", 0, 0), (1, "", 0, 0)], {}),
    "ROUND_ROBIN 2 2": ([(2, "", 0, 0), (2, "", 0, 0)], {}),
    "LEAST_REQUEST 1 1 1": ([(1, "", 0, 0)] * 3, {"lb_policy": "LEAST_REQUEST"}),
    "LEAST_REQUEST 1 3": ([(1, "", 0, 0), (3, "", 0, 0)], {"lb_policy": "LEAST_REQUEST"}),
    "RANDOM 1 1 1": ([(1, "", 0, 0)] * 3, {"lb_policy": "RANDOM"}),
    "RANDOM 1 3": ([(1, "", 0, 0), (3, "", 0, 0)], {"lb_policy": "RANDOM"}),
    "health: UNHEALTHY, HEALTHY, UNKNOWN": ([(1, "UNHEALTHY", 0, 0), (1, "HEALTHY", 0, 0), (1, "", 0, 0)], {}),
    "health: DRAINING, HEALTHY": ([(1, "DRAINING", 0, 0), (1, "HEALTHY", 0, 0)], {}),
    "health: TIMEOUT, HEALTHY": ([(1, "TIMEOUT", 0, 0), (1, "HEALTHY", 0, 0)], {}),
    "health: DEGRADED, HEALTHY": ([(1, "DEGRADED", 0, 0), (1, "HEALTHY", 0, 0)], {}),
    "health: 1 of 3 HEALTHY, panic threshold 50 (default)": ([(1, "UNHEALTHY", 0, 0)] * 2 + [(1, "HEALTHY", 0, 0)], {}),
    "health: 1 of 3 HEALTHY, panic threshold 0 (Istio)": (
        [(1, "UNHEALTHY", 0, 0)] * 2 + [(1, "HEALTHY", 0, 0)],
        {"common_lb_config": {"healthy_panic_threshold": {"value": 0}}},
    ),
    "priorities 0 and 1": ([(1, "", 0, 0), (1, "", 1, 1)], {}),
    "priority 0 empty": ([(1, "", 1, 1)], {}),
    "priority 0: 1 of 2 healthy (factor 1.4)": (
        [(1, "", 0, 0), (1, "UNHEALTHY", 0, 0), (1, "", 1, 1)],
        {"common_lb_config": {"healthy_panic_threshold": {"value": 0}}},
    ),
    "localities 70/20/10, locality_weighted_lb_config": (
        [(1, "", 0, 70), (1, "", 0, 20), (1, "", 0, 10)],
        {"common_lb_config": {"locality_weighted_lb_config": {}}},
    ),
    "localities 70/20/10 without it": ([(1, "", 0, 70), (1, "", 0, 20), (1, "", 0, 10)], {}),
}


def _cluster(endpoints: list[Endpoint], fields: dict[str, Any]) -> Resource:
    made = cluster("a", **fields)
    groups: dict[tuple[int, int], Resource] = {}
    for index, (weight, health, priority, locality) in enumerate(endpoints, 1):
        group = groups.setdefault(
            (priority, locality),
            {
                "priority": priority,
                "locality": {"region": f"r{locality}"},
                "load_balancing_weight": locality or 1,
                "lb_endpoints": [],
            },
        )
        address = {"socket_address": {"address": f"127.0.20.{index}", "port_value": 80}}
        one: Resource = {"endpoint": {"address": address}, "load_balancing_weight": weight}
        if health:
            one["health_status"] = health
        group["lb_endpoints"].append(one)
    made["load_assignment"]["endpoints"] = list(groups.values())
    return made


def run(base: Recording) -> Iterator[str]:
    """Each line: the endpoints, the first 24 picks of a fresh Envoy, and the counts of 240 picks one after another."""
    data = rawhttp.request("GET", "/", (("host", "x"),))
    for label, (endpoints, fields) in CASES.items():
        with Rig(custom(base, [host(route({"prefix": "/"}, "a"))], [_cluster(endpoints, fields)])) as rig:
            seen = rig.run([Sent(data)] * 240)
            picks = "".join(o.arrivals[0].backend[0][-1] if o.arrivals else "-" for o in seen)
            yield f"{label}: {picks[:24]} {dict(sorted(Counter(picks).items()))}"
