"""Clients that come and go in crowds, and clients that refuse everything: nothing of them stays."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.server import SERVICE, Server, serve
from proxyless.xds.wire.schema import types as pb
from tests.support.waiting import wait_for

from .support import endpoints, service

A = "outbound|80||a.shop.svc.cluster.local"
CROWD, TIMES = 40, 4
WAIT_S = 60.0


def write(folder: Path, last: int) -> None:
    draft = folder / "a.draft"
    text = "".join(service(f"s{each}", "http:80", ip=f"10.96.1.{each}") for each in range(1, 60))
    draft.write_text(text + service("a", "http:80") + endpoints("a", "http:8080", f"10.1.0.{last}"))
    draft.replace(folder / "a.yaml")


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    write(tmp_path, 1)
    made = Plane(FolderSource(tmp_path))
    yield made
    made.close()


@pytest.fixture
def server(plane: Plane) -> Iterator[Server]:
    running = serve(plane, "127.0.0.1:0")
    yield running
    running.stop()


def request(number: int, type_: rules.ResourceType, *names: str, **more: Any) -> bytes:
    made = pb.discovery_v3.DiscoveryRequest(type_url=type_.url, resource_names=names, **more)
    made.node.id = f"sidecar~10.9.0.{number}~x-{number}.shop~shop.svc.cluster.local"
    raw: bytes = made.SerializeToString()
    return raw


async def opened(address: str, number: int) -> tuple[Any, Any]:
    channel: Any = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
    stream = channel.stream_stream(f"/{SERVICE}/StreamAggregatedResources")()
    await stream.write(request(number, rules.CLUSTER))
    await stream.write(request(number, rules.ENDPOINT, A))
    return channel, stream


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors where Linux lists them")
def test_crowds_that_come_and_go_in_the_middle_of_a_push_leave_nothing(
    server: Server, plane: Plane, tmp_path: Path
) -> None:
    counts: list[tuple[int, int]] = []

    async def storm(turn: int) -> None:
        pairs = await asyncio.gather(*(opened(server.address, number) for number in range(CROWD)))
        for _, stream in pairs[::2]:
            await stream.read()
        write(tmp_path, 2 + turn)  # half of them have not read anything yet
        for number, (channel, stream) in enumerate(pairs):
            if number % 2:
                stream.cancel()
            await channel.close()

    for turn in range(TIMES):
        asyncio.run(asyncio.wait_for(storm(turn), WAIT_S))
        wait_for(lambda: not plane.status().clients, WAIT_S)
        wait_for(lambda: not len(plane._turns), WAIT_S)
        gc.collect()
        counts.append((descriptors(), threading.active_count()))
    wait_for(lambda: descriptors() <= counts[0][0] + 5, WAIT_S)
    assert threading.active_count() <= counts[0][1] + 2
    assert server._gate._held == 0


def test_one_that_refuses_without_end_is_seen_and_disturbs_nobody(server: Server, plane: Plane, tmp_path: Path) -> None:
    async def live() -> None:
        (channel, stream), (other_channel, other) = [await opened(server.address, number) for number in (1, 2)]
        response = pb.discovery_v3.DiscoveryResponse.FromString(await stream.read())
        assert response.type_url == rules.CLUSTER.url
        error = pb.google_rpc.Status(code=3, message="unknown field connectTimout")
        storm = request(1, rules.CLUSTER, response_nonce=response.nonce, error_detail=error)

        async def refuse() -> None:
            for _ in range(2000):
                await stream.write(storm)

        refusing = asyncio.create_task(refuse())
        for _ in range(2):
            await other.read()
        write(tmp_path, 9)
        while b"10.1.0.9" not in await other.read():
            pass
        await refusing
        await asyncio.to_thread(wait_for, lambda: by_name("x-1.shop")["rejected"] == 2000, WAIT_S)
        found = by_name("x-1.shop")
        assert found["states"]["CDS"] == ("ERROR", "unknown field connectTimout")
        assert plane.meter.rejects["cds"] == 2000
        for each in (channel, other_channel):
            await each.close()

    def by_name(name: str) -> dict[str, Any]:
        (client,) = [each for each in plane.status().clients if each.name == name]
        states = {each.type: (each.state, each.error) for each in client.subscriptions}
        return {"rejected": client.rejected, "states": states}

    asyncio.run(asyncio.wait_for(live(), WAIT_S))
