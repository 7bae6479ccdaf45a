"""Streams are no threads of the server: hundreds are open at once, and each hears of a change."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.server import SERVICE, Server
from proxyless.xds.wire.schema import types as pb

from .support import endpoints, service

STREAMS = 300
METHOD = f"/{SERVICE}/StreamAggregatedResources"


def request() -> bytes:
    name = "outbound|80||a.shop.svc.cluster.local"
    made = pb.discovery_v3.DiscoveryRequest(type_url=rules.ENDPOINT.url, resource_names=[name])
    made.node.id = "sidecar~10.0.0.1~x.shop~shop.svc.cluster.local"
    raw: bytes = made.SerializeToString()
    return raw


@pytest.mark.punctual
def test_hundreds_of_streams_are_open_at_once_and_each_hears_of_a_change(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(service("a", "http:80") + endpoints("a", "http:8080", "10.1.0.1"))
    plane = Plane(FolderSource(tmp_path))
    server = Server(plane, "127.0.0.1", 0)

    async def follow() -> tuple[int, list[bytes], list[bytes]]:
        connection: Any = grpc.aio.insecure_channel(server.address)
        async with connection as channel:
            streams = [channel.stream_stream(METHOD)() for _ in range(STREAMS)]
            for stream in streams:
                await stream.write(request())
            first = [await stream.read() for stream in streams]
            threads = threading.active_count()
            path.write_text(service("a", "http:80") + endpoints("a", "http:8080", "10.1.0.7"))
            second = [await stream.read() for stream in streams]
            return threads, first, second

    try:
        threads, first, second = asyncio.run(asyncio.wait_for(follow(), 60))
    finally:
        server.stop()
        plane.close()
    assert threads < 50
    assert all(b"10.1.0.1" in each for each in first)
    assert all(b"10.1.0.7" in each for each in second)
