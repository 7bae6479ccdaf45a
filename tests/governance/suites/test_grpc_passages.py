"""Governed channels to hosts whose port the mesh takes for TCP: grpcio's own, over connections that the mesh makes."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

import proxyless.grpc
import proxyless.grpc.aio
from proxyless import Mesh
from tests.governance.suites.grpc_served import SERVICE, Served, code_of, entry, meshed
from tests.support.certificates import Authority, authority, write
from tests.support.ports import free_port
from tests.support.waiting import wait_for

Call = Callable[..., list[bytes]]
KINDS = {"Get": "unary_unary", "Numbers": "unary_stream", "Join": "stream_unary", "Echo": "stream_stream"}
SENT: dict[str, Any] = {"Get": b"x", "Numbers": b"2", "Join": (b"a", b"b"), "Echo": (b"a", b"b")}
GOT = {"Get": [b"one:x"], "Numbers": [b"0", b"1"], "Join": [b"a,b"], "Echo": [b"a", b"b"]}
NAME = "proxyless-grpc-tcp"


def given(method: str) -> Any:
    return SENT[method] if KINDS[method].startswith("unary") else iter(SENT[method])


def sync(mesh: Mesh, method: str, host: str = "queue", **more: Any) -> list[bytes]:
    with proxyless.grpc.channel(f"{host}.example.com:50051", mesh, **more) as channel:
        got = getattr(channel, KINDS[method])(SERVICE + method)(given(method), timeout=20)
        return list(got) if method in ("Numbers", "Echo") else [got]


async def aio(mesh: Mesh, method: str, host: str = "queue", **more: Any) -> Any:
    async with proxyless.grpc.aio.channel(f"{host}.example.com:50051", mesh, **more) as channel:
        made = getattr(channel, KINDS[method])(SERVICE + method)(given(method), timeout=20)
        return [each async for each in made] if method in ("Numbers", "Echo") else [await made]


@pytest.fixture(params=["sync", "aio"])
def call(request: pytest.FixtureRequest) -> Call:
    return sync if request.param == "sync" else lambda *given, **more: asyncio.run(aio(*given, **more))


@pytest.fixture(scope="module")
def ca() -> Authority:
    return authority()


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served("one") as made:
        yield made


@pytest.fixture(scope="module")
def secure(ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    certificate, key = write(ca.leaf(dns=["secure.example.com"]), tmp_path_factory.mktemp("tls"))
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    with Served("one", credentials=credentials) as made:
        yield made


@pytest.fixture(scope="module")
def mesh(server: Served, secure: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    text = entry("queue", [server.port], "tcp") + entry("secure", [secure.port], "tls")
    with meshed(tmp_path_factory.mktemp("mesh"), text) as made:
        yield made


@pytest.mark.parametrize("method", KINDS)
def test_a_call_goes_over_a_connection_of_the_meshs(call: Call, mesh: Mesh, server: Served, method: str) -> None:
    server.take()
    assert call(mesh, method) == GOT[method]
    ((name, _),) = server.take()
    assert name == method
    wait_for(none_left)


def none_left() -> bool:
    return NAME not in {each.name for each in threading.enumerate()}


def test_the_programs_own_tls_stays(call: Call, mesh: Mesh, secure: Served, ca: Authority) -> None:
    credentials = grpc.ssl_channel_credentials(ca.pem)
    assert call(mesh, "Get", "secure", credentials=credentials) == GOT["Get"]


def test_nobody_there_is_said_as_the_mesh_says_it(call: Call, tmp_path: Path) -> None:
    with meshed(tmp_path, entry("queue", [free_port()], "tcp")) as own:
        code, details = code_of(lambda: call(own, "Get"))
    assert (code, details[:4]) == ("UNAVAILABLE", "UF: ")


def test_calls_share_a_connection_until_it_ends_and_a_channel_that_is_forgotten_ends_it(
    mesh: Mesh, server: Served
) -> None:
    cluster: Any = mesh.runtime.plan.cluster("outbound|50051||queue.example.com")
    channel: Any = proxyless.grpc.channel("queue.example.com:50051", mesh)
    get: Any = channel.unary_unary(SERVICE + "Get")
    assert [get(b"x") for _ in range(3)] == [b"one:x"] * 3
    assert cluster.breaker(False).connections == 1
    del channel, get
    gc.collect()
    wait_for(none_left)
    wait_for(lambda: cluster.breaker(False).connections == 0)


def test_a_connection_that_ends_is_followed_by_another(tmp_path: Path) -> None:
    first = Served("one")
    text = entry("queue", [first.port], "tcp")
    with meshed(tmp_path, text) as own, proxyless.grpc.channel("queue.example.com:50051", own) as opened:
        channel: Any = opened
        get: Any = channel.unary_unary(SERVICE + "Get")
        with first:
            assert get(b"x") == b"one:x"
        with Served("two", first.port):
            assert get(b"x", wait_for_ready=True, timeout=20) == b"two:x"
