"""Shares that change with time: weights by endpoints' own reports (ORCA), and endpoints that start slowly.

Confidence: a share may differ by SIGMAS standard deviations of that many independent draws, which chance alone exceeds
once in a million; schedules are steadier than draws.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from contextlib import closing
from functools import partial
from math import sqrt
from typing import Any

import httpx
import pytest

import proxyless.httpx
from proxyless.governance.cluster import ClusterRuntime
from proxyless.mesh import Mesh
from tests.differential.bootstrap import TYPE
from tests.differential.custom import cluster, custom, host, route
from tests.differential.ours import mesh_on
from tests.differential.probes import outliers as envoys
from tests.differential.recording import Recording, Resource
from tests.differential.rig import VIP, Rig
from tests.support import envoy, rawhttp
from tests.support.behaviour import Address, Behaviour

pytestmark = [pytest.mark.envoy, pytest.mark.punctual]

SIGMAS = 4.9
SOON_S = 15.0
SOURCE = ("127.0.10.1", 40000)
CHECKED = "/healthz"


class Both:
    """One request after the other to a cluster through Envoy (one connection) and through httpx."""

    def __init__(self, rig: Rig, mesh: Mesh) -> None:
        self.rig = rig
        self.mesh = mesh
        self._envoy = socket.create_connection(("127.0.0.1", rig.port), timeout=SOON_S)
        self._envoy.sendall(rawhttp.proxy_header(VIP, SOURCE))
        self._answers = rawhttp.Reader(self._envoy)
        self._client = httpx.Client(transport=proxyless.httpx.Transport(mesh), timeout=10.0)

    def close(self) -> None:
        self._envoy.close()
        self._client.close()

    def by_envoy(self, name: str) -> str:
        """Which endpoint took a request."""
        self.rig.backends.take()
        self._envoy.sendall(rawhttp.request("GET", f"/{name}/", (("host", "x"),)))
        assert self._answers.response().status == 200
        return self._backend()

    def by_us(self, name: str) -> str:
        """Which endpoint took a request."""
        self.rig.backends.take()
        assert self._client.get(f"http://x/{name}/").status_code == 200
        return self._backend()

    def _backend(self) -> str:
        (arrival,) = [each for each in self.rig.backends.take() if each.target != CHECKED]
        return arrival.backend[0].rpartition(".")[2]


def table(base: Recording, clusters: list[Resource]) -> Recording:
    return custom(base, [host(*(route({"prefix": f"/{made['name']}/"}, made["name"]) for made in clusters))], clusters)


def addresses(number: int, count: int) -> list[Address]:
    return [(f"127.0.{91 + number}.{last}", 80) for last in range(1, count + 1)]


def near(count: int, total: int, share: float) -> bool:
    return abs(count - share * total) <= SIGMAS * sqrt(total * share * (1 - share)) + 1


WEIGHING = {
    "name": "w",
    "typed_config": {
        "@type": TYPE + "load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin",
        "blackout_period": "0.3s",
        "weight_update_period": "0.2s",
        "weight_expiration_period": "60s",
        "metric_names_for_computing_utilization": ["named_metrics.queue"],
    },
}
REPORTS = {
    # the weight is rps over what is used: 500, 250, 125
    "utilization": ("application_utilization:0.2", "application_utilization:0.4", "application_utilization:0.8"),
    "named metrics first": (
        "application_utilization:0.9,named_metrics.queue:0.2",
        "named_metrics.queue:0.4",
        "cpu_utilization:0.8",
    ),
    # the error rate counts for nothing unless a penalty is given; without a report: the median of the others
    "one says nothing": ("cpu_utilization:0.2,eps:50", "", "cpu_utilization:0.8"),
}
EXPECTED = {
    "utilization": (500.0, 250.0, 125.0),
    "named metrics first": (500.0, 250.0, 125.0),
    "one says nothing": (500.0, 312.0, 125.0),
}
ASKED = 140
APART = 5


def test_endpoints_get_as_much_as_their_reports_say(frontend: Recording) -> None:
    envoy.require()
    policy = {"policies": [{"typed_extension_config": WEIGHING}]}
    clusters = [cluster(f"c{at}", *addresses(at, 3), load_balancing_policy=policy) for at in range(len(REPORTS))]
    with Rig(table(frontend, clusters)) as rig, mesh_on(rig.recording) as mesh, closing(Both(rig, mesh)) as both:
        for at, reports in enumerate(REPORTS.values()):
            for address, report in zip(addresses(at, 3), reports, strict=True):
                said = (("endpoint-load-metrics", f"TEXT rps_fractional:100,{report}"),) if report else ()
                rig.backends.behave(address, Behaviour(headers=said))
        until = time.monotonic() + 1.2
        while time.monotonic() < until:  # reports come, the blackout passes, weights are made of them
            for made in clusters:
                both.by_envoy(made["name"])
                both.by_us(made["name"])
        for made, label in zip(clusters, EXPECTED, strict=True):
            theirs = Counter(both.by_envoy(made["name"]) for _ in range(ASKED))
            ours = Counter(both.by_us(made["name"]) for _ in range(ASKED))
            whole = sum(EXPECTED[label])
            for number, weight in zip("123", EXPECTED[label], strict=True):
                assert near(theirs[number], ASKED, weight / whole), (label, theirs)
                assert near(ours[number], ASKED, weight / whole), (label, ours)
                assert abs(theirs[number] - ours[number]) <= APART, (label, theirs, ours)


WINDOW_S = 3.0
PARTS = 3
CHECK: Resource = {
    "timeout": "1s",
    "interval": "0.1s",
    "no_traffic_interval": "0.1s",
    "unhealthy_threshold": 1,
    "healthy_threshold": 1,
    "http_health_check": {"path": CHECKED},
}
SLOW: dict[str, tuple[str, Resource]] = {
    "linear": ("ROUND_ROBIN", {"slow_start_window": "3s"}),
    "aggression 4": (
        "LEAST_REQUEST",
        {"slow_start_window": "3s", "aggression": {"default_value": 4.0, "runtime_key": "a"}},
    ),
    "at least 80 %": ("ROUND_ROBIN", {"slow_start_window": "3s", "min_weight_percent": {"value": 80}}),
}


def slow(at: int, policy: str, config: Resource) -> Resource:
    common = {"update_merge_window": "0s", "healthy_panic_threshold": {"value": 0}}
    own = {f"{policy.lower()}_lb_config": {"slow_start_config": config}}
    where = addresses(10 + at, 2)
    return cluster(f"c{at}", *where, health_checks=[CHECK], lb_policy=policy, common_lb_config=common, **own)


def test_endpoints_that_come_back_start_slowly(frontend: Recording) -> None:
    """The first of two endpoints fails its health checks until the other one's own start is over."""
    envoy.require()
    clusters = [slow(at, *row) for at, row in enumerate(SLOW.values())]
    rig = Rig(table(frontend, clusters))
    for at in range(len(SLOW)):
        rig.backends.behave(addresses(10 + at, 2)[0], Behaviour(status=503))
    with rig, mesh_on(rig.recording) as mesh, closing(Both(rig, mesh)) as both:
        names = [each["name"] for each in clusters]
        assert {ask(name) for name in names for ask in (both.by_envoy, both.by_us)} == {"2"}
        time.sleep(WINDOW_S + 0.2)
        for at in range(len(SLOW)):
            rig.backends.behave(addresses(10 + at, 2)[0], Behaviour())
        counts = over_the_window(both, names)
    for label, (theirs, ours) in zip(SLOW, counts, strict=True):
        for part in range(PARTS):
            total = sum(theirs[part].values())
            share = ours[part]["1"] / sum(ours[part].values())
            assert total >= 10, "the machine is too slow to tell"
            assert near(theirs[part]["1"], total, share), (label, part, theirs, ours)
        if "min_weight_percent" not in SLOW[label][1]:  # which begins nearly where it ends
            assert ours[0]["1"] < ours[PARTS - 1]["1"], f"{label}: it has not started slowly"


Counts = list[Counter[str]]


def over_the_window(both: Both, names: list[str]) -> list[tuple[Counts, Counts]]:
    """Who got how many in each part of the window, which begins for each side when it sees the endpoint pass."""
    found: list[tuple[Counts, Counts]] = [
        ([Counter() for _ in range(PARTS)], [Counter() for _ in range(PARTS)]) for _ in names
    ]
    sides = [
        (partial(ask, name), partial(passed, name), counts)
        for name, pair in zip(names, found, strict=True)
        for ask, passed, counts in (
            (both.by_envoy, lambda name: not envoys.health(both.rig, name)[0], pair[0]),
            (both.by_us, lambda name: not cluster_of(both.mesh, name).hosts[0].state.failing, pair[1]),
        )
    ]
    since: list[float | None] = [None] * len(sides)
    deadline = time.monotonic() + SOON_S
    while time.monotonic() < deadline:
        for at, (ask, passed, counts) in enumerate(sides):
            begun = since[at]
            if begun is None:
                if passed():
                    since[at] = time.monotonic()
                continue
            part = int((time.monotonic() - begun) / WINDOW_S * PARTS)
            if part < PARTS:
                counts[part][ask()] += 1
        if all(begun is not None and time.monotonic() - begun > WINDOW_S for begun in since):
            break
    return found


def cluster_of(mesh: Mesh, name: str) -> ClusterRuntime:
    found: Any = mesh.runtime.plan.cluster(name)
    assert isinstance(found, ClusterRuntime)
    return found
