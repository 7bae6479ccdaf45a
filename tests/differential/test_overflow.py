"""Thresholds under load: what waits, what overflows at once, and that an overflow touches no endpoint.

The first requests of a burst are at the backends, and stay there, before the others are sent: what happens to those is
then no matter of time.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

import proxyless.httpx
from proxyless.mesh import Mesh
from tests.differential.custom import cluster, custom, host, route
from tests.differential.governed import call_of
from tests.differential.ours import mesh_on
from tests.differential.probes.retries import ENDPOINTS, H2
from tests.differential.recording import Recording, Resource
from tests.differential.rig import VIP, Rig
from tests.support import envoy, rawhttp
from tests.support.backends import Backends

pytestmark = pytest.mark.envoy

HELD_S = 1.5
"""How long a backend keeps a request: longer than the rest of a burst takes to arrive."""

WAIT_S = 20.0
OVERLOADED = "x-envoy-overloaded"


@dataclass(frozen=True, slots=True)
class Burst:
    """`first` requests, then `rest` while those are held; the cluster's thresholds and number of endpoints."""

    thresholds: Resource
    endpoints: int
    first: int
    rest: int
    http2: bool = False
    passing: int = 0


BURSTS = {
    "requests": Burst({"max_requests": 3}, 1, 3, 6, passing=3),
    "requests over endpoints": Burst({"max_requests": 4}, 3, 4, 6, passing=4),
    "requests over HTTP/2": Burst({"max_requests": 3}, 1, 3, 6, http2=True, passing=3),
    "pending behind one connection": Burst({"max_connections": 1, "max_pending_requests": 3}, 1, 1, 7, passing=4),
    "pending behind two connections": Burst({"max_connections": 2, "max_pending_requests": 3}, 1, 2, 7, passing=5),
    "a connection to each endpoint": Burst({"max_connections": 1, "max_pending_requests": 2}, 3, 3, 6, passing=5),
    "connections alone only queue": Burst({"max_connections": 1}, 1, 1, 2, passing=3),
}


def table(base: Recording, burst: Burst) -> Recording:
    extra = H2 if burst.http2 else {}
    breakers = {"circuit_breakers": {"thresholds": [burst.thresholds]}}
    made = cluster("a", *ENDPOINTS[: burst.endpoints], lb_policy="ROUND_ROBIN", **breakers, **extra)
    return custom(base, [host(route({"prefix": "/"}, {"cluster": "a", "timeout": "0s"}))], [made])


def arrived(backends: Backends, count: int) -> int:
    """Wait until `count` requests are at the backends."""
    seen, deadline = 0, time.monotonic() + WAIT_S
    while seen < count:
        seen += len(backends.take())
        assert time.monotonic() < deadline, f"{seen} of {count} arrived"
        time.sleep(0.005)
    return seen


Answers = Counter[tuple[int, bytes, bool]]
"""How many got which status, body (of the mesh's own) and whether they were told of the overload."""


def by_envoy(rig: Rig, burst: Burst) -> tuple[Answers, int]:
    data = rawhttp.request("GET", "/", (("host", "x"), ("x-backend", f"delay={HELD_S}")))

    def send(_: int) -> rawhttp.Response:
        return rawhttp.exchange(rig.port, data, destination=VIP, timeout_s=60.0)

    rig.backends.take()
    with ThreadPoolExecutor(burst.first + burst.rest) as threads:
        begun = []
        for number in range(burst.first):
            begun.append(threads.submit(send, number))
            arrived(rig.backends, 1)
        got = [*threads.map(send, range(burst.rest)), *(each.result() for each in begun)]
    answers = Counter((each.status, _own(each.status, each.body), each.header(OVERLOADED) == "true") for each in got)
    return answers, burst.first + len(rig.backends.take())


def by_proxyless(mesh: Mesh, backends: Backends, burst: Burst) -> tuple[Answers, int]:
    headers = {"x-backend": f"delay={HELD_S}"}

    async def run() -> Sequence[httpx.Response]:
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh), timeout=60.0) as client:
            begun = []
            for _ in range(burst.first):
                begun.append(asyncio.create_task(client.get("http://x/", headers=headers)))
                await asyncio.to_thread(arrived, backends, 1)
            rest = [asyncio.create_task(client.get("http://x/", headers=headers)) for _ in range(burst.rest)]
            return list(await asyncio.gather(*rest, *begun))

    backends.take()
    got = asyncio.run(run())
    flags = {each.status_code: call_of(each).flags for each in got}
    assert flags.get(503, ("UO",)) == ("UO",)
    answers = Counter(
        (each.status_code, _own(each.status_code, each.content), each.headers.get(OVERLOADED) == "true") for each in got
    )
    return answers, burst.first + len(backends.take())


def _own(status: int, body: bytes) -> bytes:
    return body if status != 200 else b""


@pytest.mark.parametrize("label", BURSTS)
def test_a_burst_passes_waits_and_overflows_as_behind_envoy(frontend: Recording, label: str) -> None:
    envoy.require()
    burst = BURSTS[label]
    with Rig(table(frontend, burst)) as rig, mesh_on(rig.recording) as mesh:
        theirs = by_envoy(rig, burst)
        assert by_proxyless(mesh, rig.backends, burst) == theirs
    answers, at_backends = theirs
    assert sum(count for (status, _, _), count in answers.items() if status == 200) == at_backends == burst.passing
