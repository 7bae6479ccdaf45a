"""Active health checks, by Envoy and here: after how many checks an endpoint is out or back, who gets requests then.

Each side has clusters and backends of its own, so that the checks of each can be counted at the backends. A row begins
when its cluster has its first traffic: until then everybody is asked seldom.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

import httpx
import pytest

import proxyless.httpx
from proxyless.governance.cluster import ClusterRuntime
from proxyless.mesh import Mesh
from tests.differential.bootstrap import static
from tests.differential.custom import cluster, custom, host, route
from tests.differential.ours import mesh_on
from tests.differential.probes import outliers as envoys
from tests.differential.probes.retries import H2
from tests.differential.recording import Recording, Resource
from tests.differential.rig import VIP, Rig, Sent
from tests.support import envoy, rawhttp
from tests.support.backends import Backends
from tests.support.behaviour import Address, Arrival, Behaviour
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.envoy, pytest.mark.punctual]

FAST, SELDOM, NEVER = "0.1s", "0.5s", "60s"
SETTLED_S = 0.25
AT_ONCE = 6
HEALTHY = ""
OUT = "failed_active_health_check"
DEGRADED = "failed_active_degraded_check"

HTTP: Resource = {"http_health_check": {"path": "/healthz"}}
GRPC: Resource = {"grpc_health_check": {"service_name": "shop"}}
SERVER_ERRORS = {"retriable_statuses": [{"start": 500, "end": 600}]}
SERVING = Behaviour(
    headers=(("content-type", "application/grpc"),), body=b"\0\0\0\0\2\x08\1", trailers=(("grpc-status", "0"),)
)
NOT_SERVING = Behaviour(headers=SERVING.headers, body=b"\0\0\0\0\2\x08\2", trailers=SERVING.trailers)


@dataclass(frozen=True, slots=True)
class Row:
    """The first of two endpoints changes from `before` to `after`, which counts after `checks` checks.

    `checks` is 0 where they are not counted. `back`: it comes back, and is asked no more then; else it goes, and is
    asked no more then.
    """

    check: Resource
    after: Behaviour | None
    checks: int
    becomes: str = OUT
    before: Behaviour | None = field(default_factory=Behaviour)
    back: bool = False
    cluster: Resource = field(default_factory=dict)


def http(**fields: Any) -> Resource:
    return {"http_health_check": {**HTTP["http_health_check"], **fields}}


def asking(line: str, wanted: str) -> Resource:
    sent = f"GET {line} HTTP/1.1\r\nhost: a\r\n\r\n".encode().hex()
    return {"tcp_health_check": {"send": {"text": sent}, "receive": [{"text": wanted.encode().hex()}]}}


ROWS = {
    "a status that was not expected": Row(HTTP, Behaviour(status=503), 1),
    "retriable statuses": Row(http(**SERVER_ERRORS), Behaviour(status=503), 3),
    "not one of the retriable": Row(http(**SERVER_ERRORS), Behaviour(status=404), 1),
    "expected statuses": Row(http(expected_statuses=[{"start": 200, "end": 205}]), Behaviour(status=205), 1),
    "another expected status": Row(
        http(expected_statuses=[{"start": 200, "end": 205}]), Behaviour(status=204), 4, becomes=HEALTHY
    ),
    "a reset": Row(HTTP, Behaviour(fault="reset"), 3),
    "a timeout": Row(HTTP, Behaviour(delay_s=2.0), 3),
    "refused": Row(HTTP, None, 0),
    "degraded": Row(HTTP, Behaviour(headers=(("x-envoy-degraded", "1"),)), 0, becomes=DEGRADED),
    "another body": Row(
        http(receive=[{"text": b"fine".hex()}]), Behaviour(body=b"poor"), 1, before=Behaviour(body=b"fine")
    ),
    "back by HTTP": Row(HTTP, Behaviour(), 2, becomes=HEALTHY, before=Behaviour(status=503), back=True),
    "back by TCP": Row({"tcp_health_check": {}}, Behaviour(), 0, becomes=HEALTHY, before=None, back=True),
    "TCP": Row({"tcp_health_check": {}}, None, 0),
    "TCP, another answer": Row(asking("/", "200 OK"), Behaviour(status=503), 3),
    "gRPC": Row(GRPC, NOT_SERVING, 1, before=SERVING, cluster=H2),
    "gRPC, another status": Row(
        GRPC, Behaviour(headers=(*SERVING.headers, ("grpc-status", "5")), body=b""), 1, before=SERVING, cluster=H2
    ),
    "back by gRPC": Row(GRPC, SERVING, 2, becomes=HEALTHY, before=NOT_SERVING, back=True, cluster=H2),
}
NUMBERS = {label: number for number, label in enumerate(ROWS)}


def addresses(label: str, side: str) -> list[Address]:
    return [(f"127.0.{60 + NUMBERS[label]}.{number}", 80) for number in ((1, 2) if side == "e" else (3, 4))]


def made(base: Recording) -> Recording:
    """A cluster for each row and side; paths lead there."""
    lb = {"update_merge_window": "0s", "healthy_panic_threshold": {"value": 0}}
    clusters, routes = [], []
    for label, row in ROWS.items():
        check = {
            "timeout": "0.3s",
            "interval": NEVER if row.back else FAST,
            "unhealthy_interval": FAST if row.back else NEVER,
            "unhealthy_edge_interval": FAST,
            "healthy_edge_interval": FAST,
            "no_traffic_interval": SELDOM,
            "unhealthy_threshold": 3,
            "healthy_threshold": 2,
            **row.check,
        }
        for side in "ep":
            name = f"c{NUMBERS[label]}{side}"
            clusters.append(
                cluster(name, *addresses(label, side), health_checks=[check], common_lb_config=lb, **row.cluster)
            )
            routes.append(route({"prefix": f"/{name}/"}, {"cluster": name}))
    return custom(base, [host(*routes)], clusters)


class OnlyItsOwn(Rig):
    """Envoy does not have our clusters: it would check them too."""

    def bootstrap(self) -> Resource:
        whole = static(self.recording)
        resources = whole["static_resources"]
        resources["clusters"] = [each for each in resources["clusters"] if not each["name"].endswith("p")]
        return whole


Seen = tuple[str, int, set[int]]
"""What an endpoint became, after how many checks, and which endpoints got requests then."""


class Side(Protocol):
    backends: Backends
    hosts: list[Address]

    def send(self) -> None: ...

    def flag(self) -> str: ...


class ByEnvoy:
    def __init__(self, rig: Rig, label: str) -> None:
        self.rig = rig
        self.backends = rig.backends
        self.name = f"c{NUMBERS[label]}e"
        self.hosts = addresses(label, "e")

    def send(self) -> None:
        data = rawhttp.request("GET", f"/{self.name}/", (("host", "x"),))
        self.rig._exchange(Sent(data, VIP), "127.0.0.1")

    def flag(self) -> str:
        found = envoys.health(self.rig, self.name)[0]
        return OUT if OUT in found else " ".join(found)


class ByProxyless:
    def __init__(self, mesh: Mesh, backends: Backends, label: str) -> None:
        self.mesh = mesh
        self.backends = backends
        self.name = f"c{NUMBERS[label]}p"
        self.hosts = addresses(label, "p")
        self.client = httpx.Client(transport=proxyless.httpx.Transport(mesh), timeout=10.0)

    def send(self) -> None:
        self.client.get(f"http://x/{self.name}/")

    def flag(self) -> str:
        found = self.mesh.runtime.plan.cluster(self.name)
        if not isinstance(found, ClusterRuntime):
            return "pending"
        state = found.hosts[0].state
        return OUT if state.failing else DEGRADED if state.degraded else HEALTHY


def play(side: Side, row: Row, arrivals: Arrivals) -> Seen:
    """One row."""
    first = side.hosts[0]
    side.send()
    wait_for(lambda: side.flag() == (OUT if row.back else HEALTHY))
    # From its next check on the cluster has had traffic, and intervals are the short ones.
    begun = time.monotonic()
    if row.checks:
        wait_for(lambda: len(arrivals(first, begun)) > 1)
    if row.after is None:
        side.backends.refuse(first)
    else:
        if row.before is None:
            side.backends.accept(first)
        side.backends.behave(first, row.after)
    begun = time.monotonic()
    if row.becomes == HEALTHY and not row.back:
        wait_for(lambda: len(arrivals(first, begun)) >= row.checks)
        checks = row.checks
    else:
        wait_for(lambda: side.flag() == row.becomes)
        time.sleep(SETTLED_S)
        checks = len(arrivals(first, begun)) if row.checks else 0
    flag, asked = side.flag(), time.monotonic()
    for _ in range(40 if row.becomes == DEGRADED else 4):  # it gets 30 %: none of 40 once in a million
        side.send()
    return flag, checks, {at for at, each in enumerate(side.hosts) if "request" in arrivals(each, asked)}


class Arrivals:
    """What arrived at backends so far."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends
        self._lock = Lock()
        self._kept: list[Arrival] = []

    def __call__(self, at: Address, since: float) -> list[str]:
        """`check` or `request` for each arrival at a backend since then."""
        with self._lock:
            self._kept += self._backends.take()
            return [
                "request" if each.target.startswith("/c") else "check"
                for each in self._kept
                if each.backend == at and each.at > since
            ]


@pytest.fixture(scope="module")
def seen(frontend: Recording) -> Iterator[dict[tuple[str, str], Future[Seen]]]:
    """What came of each row, by Envoy and by us; several at once."""
    envoy.require()
    rig = OnlyItsOwn(made(frontend))
    for label, row in ROWS.items():
        for side in "ep":
            first, second = addresses(label, side)
            good = SERVING if row.check is GRPC else Behaviour() if row.back else row.before
            rig.backends.behave(first, row.before or Behaviour())
            rig.backends.behave(second, good or Behaviour())
    with rig.backends:
        for label, row in ROWS.items():
            if row.before is None:
                for side in "ep":
                    rig.backends.refuse(addresses(label, side)[0])
        with rig.envoy, mesh_on(rig.recording) as mesh, ThreadPoolExecutor(AT_ONCE) as threads:
            arrivals = Arrivals(rig.backends)
            found = {}
            for label, row in ROWS.items():
                found["e", label] = threads.submit(play, ByEnvoy(rig, label), row, arrivals)
                found["p", label] = threads.submit(play, ByProxyless(mesh, rig.backends, label), row, arrivals)
            yield found


@pytest.mark.parametrize("label", ROWS)
def test_an_endpoint_goes_and_comes_after_as_many_checks(seen: dict[tuple[str, str], Future[Seen]], label: str) -> None:
    theirs, ours = seen["e", label].result(), seen["p", label].result()
    row = ROWS[label]
    assert ours == theirs
    assert ours == (row.becomes, row.checks, {1} if row.becomes == OUT else {0, 1})
