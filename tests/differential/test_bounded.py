"""Bounded loads: which endpoint gets each of many requests that stay open, with popular keys, by Envoy and by us."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

import proxyless.httpx
from proxyless.mesh import Mesh
from tests.differential.custom import cluster, custom, host, route
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording, Resource
from tests.differential.rig import VIP, Rig
from tests.support import envoy, rawhttp
from tests.support.backends import Backends
from tests.support.behaviour import Address

pytestmark = pytest.mark.envoy

SOON_S = 15.0
HELD = "delay=60"
SOURCE = ("127.0.10.1", 40000)
HOSTS: list[Address] = [(f"127.0.90.{number}", 80) for number in range(1, 8)]
BY_KEY: Resource = {"hash_policy": [{"header": {"header_name": "x-key"}}], "timeout": "0s"}
ENDING = "-"
"""In a script: the oldest request that is open goes away."""


def bounded(kind: str, factor: int, weights: tuple[int, ...] = ()) -> Resource:
    common = {"consistent_hashing_lb_config": {"hash_balance_factor": factor}}
    made = cluster("a", *HOSTS, lb_policy=kind, common_lb_config=common)
    for weight, endpoint in zip(weights, made["load_assignment"]["endpoints"][0]["lb_endpoints"], strict=False):
        endpoint["load_balancing_weight"] = weight
    return made


ROWS = {
    "ring, 100 %": bounded("RING_HASH", 100),
    "ring, 150 %": bounded("RING_HASH", 150),
    "ring, unequal weights": bounded("RING_HASH", 125, (1, 2, 3, 4, 5, 6, 7)),
    "maglev, 120 %": bounded("MAGLEV", 120),
    "maglev, unequal weights": bounded("MAGLEV", 110, (7, 1, 1, 5, 1, 1, 3)),
}


def script(seed: int, count: int = 60) -> list[str]:
    """Keys, of which three are popular; after the first third some requests end."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        found.append(draw.choice("abc") if draw.random() < 0.7 else f"key-{draw.getrandbits(32)}")
        if number > count // 3 and draw.random() < 0.4:
            found.append(ENDING)
    return found


SCRIPT = script(4)


def arrived(backends: Backends) -> str:
    """Where the next request arrives."""
    deadline = time.monotonic() + SOON_S
    while not (found := backends.take()):
        assert time.monotonic() < deadline, "it did not arrive"
        time.sleep(0.002)
    (one,) = found
    return one.backend[0]


def by_envoy(rig: Rig, asked: list[str]) -> Iterator[str]:
    """Where each request went."""
    rig.backends.take()
    with ExitStack() as stack:
        held: list[socket.socket] = []
        for key in asked:
            if key == ENDING:
                held.pop(0).close()
                deadline = time.monotonic() + SOON_S
                while rig.envoy.stats("cluster.a.upstream_rq_active")["cluster.a.upstream_rq_active"] > len(held):
                    assert time.monotonic() < deadline, "it did not end"
                continue
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", rig.port), timeout=SOON_S))
            data = rawhttp.request("GET", "/", (("host", "x"), ("x-key", key), ("x-backend", HELD)))
            sock.sendall(rawhttp.proxy_header(VIP, SOURCE) + data)
            held.append(sock)
            yield arrived(rig.backends)


async def by_proxyless(mesh: Mesh, backends: Backends, asked: list[str]) -> list[str]:
    """The same."""
    backends.take()
    found: list[str] = []
    held: list[asyncio.Task[httpx.Response]] = []
    async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh), timeout=60.0) as client:
        for key in asked:
            if key == ENDING:
                await ended(held.pop(0))
                continue
            headers = {"x-key": key, "x-backend": HELD}
            held.append(asyncio.create_task(client.get("http://x/", headers=headers)))
            found.append(await asyncio.to_thread(arrived, backends))
        for task in held:
            await ended(task)
    return found


async def ended(task: asyncio.Task[httpx.Response]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("label", ROWS)
def test_what_overflows_goes_to_the_same_endpoint(frontend: Recording, label: str) -> None:
    envoy.require()
    table = [host(route({"prefix": "/"}, {"cluster": "a", **BY_KEY}))]
    with Rig(custom(frontend, table, [ROWS[label]])) as rig, mesh_on(rig.recording) as mesh:
        theirs = list(by_envoy(rig, SCRIPT))
        ours = asyncio.run(by_proxyless(mesh, rig.backends, SCRIPT))
    assert ours == theirs
    keys = [each for each in SCRIPT if each != ENDING]
    popular = {where for key, where in zip(keys, ours, strict=True) if key == "a"}
    assert len(popular) > 1, "nothing has overflowed"
