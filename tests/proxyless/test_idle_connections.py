"""A mesh that is followed closes what it does not need, and a peer sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from proxyless import Mesh, Node
from proxyless.httpx import AsyncTransport, Transport
from tests.support.backends import Backends
from tests.support.waiting import wait_for

ADDRESS = ("127.0.0.1", 8080)

SERVICE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: shop}
spec:
  hosts: [web.example.com]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: PORT}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec:
  host: web.example.com
  trafficPolicy: {connectionPool: {http: {idleTimeout: IDLE}}}
"""


@pytest.fixture
def backends() -> Iterator[Backends]:
    with Backends([ADDRESS]) as made:
        yield made


def mesh(folder: Path, backends: Backends, idle: str) -> Mesh:
    text = SERVICE.replace("PORT", str(backends.ports[ADDRESS])).replace("IDLE", idle)
    (folder / "web.yaml").write_text(text)
    return Mesh.from_config(folder, node=Node(app="me", namespace="shop", ip="127.0.0.9"), registry=False)


def test_an_idle_connection_is_closed_when_its_time_is_over(tmp_path: Path, backends: Backends) -> None:
    with mesh(tmp_path, backends, "1s") as followed, httpx.Client(transport=Transport(followed)) as client:
        assert client.get("http://web.example.com/").status_code == 200
        assert backends.connections(ADDRESS) == 1
        wait_for(lambda: backends.connections(ADDRESS) == 0)


def test_connections_of_an_event_loop_that_has_ended_are_given_up(tmp_path: Path, backends: Backends) -> None:
    async def call() -> int:
        async with httpx.AsyncClient(transport=AsyncTransport(followed)) as client:
            return (await client.get("http://web.example.com/")).status_code

    with mesh(tmp_path, backends, "1h") as followed:
        assert [asyncio.run(call()) for _ in range(3)] == [200] * 3
        breaker = followed.runtime.states["outbound|80||web.example.com"].normal
        wait_for(lambda: breaker.connections == 0)
