"""What governed gRPC channels of both APIs do with a call: deadlines, mirrors, hedges, readiness, compression."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest

import proxyless.grpc
import proxyless.grpc.aio
from proxyless import Mesh
from tests.governance.suites.grpc_served import SERVICE, Served, entry, meshed
from tests.support.ports import free_port
from tests.support.waiting import wait_for

RULES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: recommend, namespace: shop}
spec:
  hosts: [recommend.example.com]
  http:
  - match: [{uri: {exact: /shop.Recommend/LateFlaky}}]
    fault: {delay: {percentage: {value: 100}, fixedDelay: 0.2s}}
    retries: {attempts: 2, retryOn: "unavailable", backoff: 1ms}
    route: [{destination: {host: recommend.example.com}}]
  - match: [{headers: {x-mirror: {exact: "yes"}}}]
    mirrors: [{destination: {host: copies.example.com}}]
    route: [{destination: {host: recommend.example.com}}]
  - route: [{destination: {host: recommend.example.com}}]
---
"""
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Served]]:
    with Served("a") as a, Served("copies") as copies:
        yield [a, copies]


@pytest.fixture(scope="module")
def late() -> int:
    """A port at which somebody listens later."""
    return free_port()


@pytest.fixture(scope="module")
def mesh(servers: list[Served], late: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    a, copies = (each.port for each in servers)
    text = entry("recommend", [a]) + entry("copies", [copies]) + entry("late", [late]) + RULES
    with meshed(tmp_path_factory.mktemp("mesh"), text) as made:
        yield made


@pytest.fixture(params=["sync", "aio"])
def call(request: pytest.FixtureRequest, mesh: Mesh, servers: list[Served]) -> Call:
    """A unary call by one of the APIs: what it answers, with how it ended."""
    for each in servers:
        each.take()
        each.left.clear()

    def sync(method: str, body: bytes, host: str = "recommend", compression: Any = None, **more: Any) -> Any:
        with proxyless.grpc.channel(f"{host}.example.com:50051", mesh, compression=compression) as channel:
            made: Any = channel.unary_unary(SERVICE + method, None, None)
            return made(body, **more)

    async def loop(method: str, body: bytes, host: str = "recommend", compression: Any = None, **more: Any) -> Any:
        target = f"{host}.example.com:50051"
        async with proxyless.grpc.aio.channel(target, mesh, compression=compression) as channel:
            made: Any = channel.unary_unary(SERVICE + method, None, None)
            answer = await made(body, **more)
            async with asyncio.timeout(20):
                while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110  # a copy ends with its loop
                    await asyncio.sleep(0.005)
            return answer

    return sync if request.param == "sync" else lambda *arguments, **more: asyncio.run(loop(*arguments, **more))


def test_the_server_is_told_what_is_left_of_the_deadline_at_each_try(call: Call, servers: list[Served]) -> None:
    """What the first try has taken, and the pause before it, are gone from it; grpcio says up to 3 % more."""
    servers[0].failures = 1
    assert call("LateFlaky", b"x", timeout=20) == b"a:x"
    first, second = servers[0].left
    assert 1 < first <= 20
    assert 1 < second <= (20 - 0.2 - 1.5) * 1.031


def test_without_a_deadline_the_server_is_told_of_none(call: Call, servers: list[Served]) -> None:
    assert call("Get", b"x") == b"a:x"
    assert servers[0].left[0] > 10**6


def test_a_mirror_gets_a_copy_and_nobody_waits_for_it(call: Call, servers: list[Served]) -> None:
    assert call("Get", b"x", metadata=(("x-mirror", "yes"), ("raw-bin", b"\0\xff"))) == b"a:x"
    wait_for(lambda: bool(servers[1].asked))
    method, metadata = servers[1].take()[0]
    assert (method, metadata["raw-bin"]) == ("Get", b"\0\xff")


def test_a_call_that_waits_for_readiness_goes_on_when_somebody_listens(call: Call, late: int) -> None:
    with pytest.raises(grpc.RpcError):
        call("Get", b"x", host="late")
    answers: list[bytes] = []
    waiting = threading.Thread(
        target=lambda: answers.append(call("Get", b"x", host="late", wait_for_ready=True, timeout=60))
    )
    waiting.start()
    with Served("late", late):
        waiting.join(60)
    assert answers == [b"late:x"]


def test_compression_of_a_channel(call: Call) -> None:
    assert call("Large", b"z" * 50_000, compression=grpc.Compression.Gzip) == b"z" * 100_000


def test_a_channel_is_ready_at_once(mesh: Mesh) -> None:
    with proxyless.grpc.channel("recommend.example.com:50051", mesh) as channel:
        ready = grpc.channel_ready_future(channel)
        assert ready.result(20) is None
        assert ready.done()

    async def ready_async() -> None:
        async with proxyless.grpc.aio.channel("recommend.example.com:50051", mesh) as channel:
            await channel.channel_ready()

    asyncio.run(ready_async())
