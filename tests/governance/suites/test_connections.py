"""Connections as a DestinationRule wants them: kept alive, and no older than it says."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import proxyless.httpx
from proxyless import Mesh, Node
from tests.governance.suites.conftest import ENTRY, A
from tests.support.backends import Backends

RULES = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: kept, namespace: shop}
spec:
  host: kept.example.com
  trafficPolicy:
    connectionPool: {tcp: {maxConnectionDuration: 0.4s, tcpKeepalive: {probes: 4, time: 61s, interval: 7s}}}
---
"""
WANTED = [("SOL_SOCKET", "SO_KEEPALIVE", 1), ("IPPROTO_TCP", "TCP_KEEPCNT", 4), ("IPPROTO_TCP", "TCP_KEEPIDLE", 61)]


@pytest.fixture
def mesh(backends: Backends, tmp_path: Path) -> Iterator[Mesh]:
    port = backends.ports[A]
    endpoints = f"{{address: {A[0]}, ports: {{http: {port}}}}}"
    entry = ENTRY.format(name="kept", protocol="http", upper="HTTP", endpoints=endpoints)
    tcp = entry.replace("[{number: 80, name: http, protocol: HTTP}]", "[{number: 9000, name: http, protocol: TCP}]")
    (tmp_path / "mesh.yaml").write_text(entry + tcp.replace("kept", "raw") + RULES + RULES.replace("kept", "raw"))
    with Mesh.from_config(tmp_path, node=Node(app="me", namespace="shop", ip="127.0.0.9"), registry=False) as made:
        made.wait_ready(20)
        yield made


def told(stream: Any) -> list[int]:
    """The socket's options, as far as they are wanted."""
    made = stream.get_extra_info("socket")
    return [made.getsockopt(getattr(socket, level), getattr(socket, name)) for level, name, _ in WANTED]


def slots(mesh: Mesh) -> list[Any]:
    """The idle connections of the governed cluster."""
    hosts = mesh.runtime.states["outbound|80||kept.example.com"].hosts.values()
    return [slot for host in hosts for pool in host.pools.values() for slot in pool.ready]


def test_sockets_are_kept_alive_and_connections_end(mesh: Mesh, backends: Backends) -> None:
    with httpx.Client(transport=proxyless.httpx.Transport(mesh, trust_env=False)) as client:
        assert client.get("http://kept.example.com/").status_code == 200
        (first,) = slots(mesh)
        assert told(first.connection.stream) == [value for _, _, value in WANTED]
        time.sleep(0.45)
        assert client.get("http://kept.example.com/").status_code == 200
        assert slots(mesh) != [first]
        response = client.get("http://raw.example.com:9000/")
        assert response.status_code == 200
        assert told(response.extensions["network_stream"]) == [value for _, _, value in WANTED]


def test_and_so_are_those_of_tasks(mesh: Mesh, backends: Backends) -> None:
    async def ask() -> None:
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh, trust_env=False)) as client:
            assert (await client.get("http://kept.example.com/")).status_code == 200
            (first,) = slots(mesh)
            assert told(first.connection.stream) == [value for _, _, value in WANTED]
            response = await client.get("http://raw.example.com:9000/")
            assert told(response.extensions["network_stream"]) == [value for _, _, value in WANTED]

    asyncio.run(ask())


def test_header_names_go_out_in_lower_case(mesh: Mesh, backends: Backends) -> None:
    with httpx.Client(transport=proxyless.httpx.Transport(mesh, trust_env=False)) as client:
        client.get("http://kept.example.com/", headers={"X-Mine": "Yes"})
    (arrival,) = backends.take()
    names = [name for name, _ in arrival.headers]
    assert "x-mine" in names
    assert names == [name.lower() for name in names]
