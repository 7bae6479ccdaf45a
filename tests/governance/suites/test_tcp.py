"""`https://` and TCP ports: endpoints and thresholds of the mesh, TLS from end to end, no routes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event
from typing import Any

import httpcore
import httpx
import pytest

import proxyless.httpx
from proxyless import Mesh, Node
from proxyless.governance.cluster import ClusterRuntime
from proxyless.governance.passing import TcpRoute
from proxyless.governance.suites._httpcore import Library
from proxyless.governance.suites._tcp import AsyncTcpBackend, TcpBackend
from proxyless.xds.model.listener import TcpProxy
from proxyless.xds.model.route import BackOff
from tests.support.certificates import authority
from tests.support.in_thread import in_thread
from tests.support.model import cluster
from tests.support.waiting import wait_for
from tests.support.world import World

TLS, PLAIN = "outbound|443||db.example.com", "outbound|9000||db.example.com"
CONFIG = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: db, namespace: shop}}
spec:
  hosts: [db.example.com]
  ports: [{{number: 443, name: https, protocol: HTTPS}}, {{number: 9000, name: tcp, protocol: TCP}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.43.1, ports: {{https: {tls}, tcp: {plain}}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: db, namespace: shop}}
spec:
  host: db.example.com
  trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: 2}}}}}}
"""


class Server(ThreadingHTTPServer):
    """Answers with the Host it was asked for; `/wait` when it may."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.43.1", 0), Handler)
        self.waiting = 0
        self.go_on = Event()
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def shutdown(self) -> None:
        """Nobody waits any more."""
        self.go_on.set()
        super().shutdown()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        if self.path == "/wait":
            self.server.waiting += 1
            self.server.go_on.wait(30)
        body = str(self.headers["host"]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        del format, arguments


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(the server's, the client's)."""
    folder = tmp_path_factory.mktemp("tls")
    ca = authority()
    key, certificate = ca.server("db.example.com")
    (folder / "both.pem").write_bytes(key + certificate)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "both.pem")
    return server, ssl.create_default_context(cadata=ca.pem.decode())


@pytest.fixture
def servers(trust: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[tuple[Server, Server]]:
    """(with TLS, without)."""
    with in_thread(Server(trust[0])) as tls, in_thread(Server(None)) as plain:
        yield tls, plain


@pytest.fixture
def mesh(servers: tuple[Server, Server], tmp_path: Path) -> Iterator[Mesh]:
    tls, plain = (each.server_address[1] for each in servers)
    (tmp_path / "db.yaml").write_text(CONFIG.format(tls=tls, plain=plain))
    with Mesh.from_config(tmp_path, node=Node(app="me", namespace="shop", ip="127.0.0.9"), registry=False) as made:
        made.wait_ready(20)
        yield made


def connections(mesh: Mesh, name: str) -> int:
    found = mesh.runtime.plan.cluster(name)
    assert isinstance(found, ClusterRuntime)
    return found.breaker(False).connections


def test_tls_stays_between_program_and_endpoint(mesh: Mesh, trust: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    with httpx.Client(transport=proxyless.httpx.Transport(mesh, verify=trust[1], trust_env=False)) as client:
        for _ in range(3):
            assert client.get("https://db.example.com/").text == "db.example.com"
        assert connections(mesh, TLS) == 1
    assert connections(mesh, TLS) == 0


def test_and_of_a_task_too(mesh: Mesh, trust: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def ask() -> None:
        transport = proxyless.httpx.AsyncTransport(mesh, verify=trust[1], trust_env=False)
        async with httpx.AsyncClient(transport=transport) as client:
            answers = await asyncio.gather(*[client.get("https://db.example.com/") for _ in range(2)])
            assert [each.text for each in answers] == ["db.example.com"] * 2
            assert connections(mesh, TLS) == 2
        assert connections(mesh, TLS) == 0

    asyncio.run(ask())


def test_a_handshake_that_fails_leaves_no_connection(mesh: Mesh) -> None:
    with (
        httpx.Client(transport=proxyless.httpx.Transport(mesh, trust_env=False)) as client,
        pytest.raises(httpx.ConnectError, match="certificate"),
    ):
        client.get("https://db.example.com/")
    assert connections(mesh, TLS) == 0

    async def ask() -> None:
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh, trust_env=False)) as client:
            await client.get("https://db.example.com/")

    with pytest.raises(httpx.ConnectError, match="certificate"):
        asyncio.run(ask())
    assert connections(mesh, TLS) == 0


def test_a_connection_above_the_threshold_is_refused_at_once(mesh: Mesh, servers: tuple[Server, Server]) -> None:
    plain = servers[1]
    url = "http://db.example.com:9000"
    with (
        httpx.Client(transport=proxyless.httpx.Transport(mesh, trust_env=False), timeout=30) as client,
        ThreadPoolExecutor(2) as threads,
    ):
        waiting = [threads.submit(client.get, f"{url}/wait") for _ in range(2)]
        wait_for(lambda: plain.waiting == 2)
        with pytest.raises(httpx.ConnectError, match=r"UO: cluster outbound\|9000\|\|db\.example\.com has as many"):
            client.get(f"{url}/")
        plain.go_on.set()
        assert [each.result(30).status_code for each in waiting] == [200, 200]
        assert client.get(f"{url}/").status_code == 200


def test_an_endpoint_that_refuses_leaves_no_connection(mesh: Mesh, servers: tuple[Server, Server]) -> None:
    servers[1].shutdown()
    servers[1].server_close()
    with (
        httpx.Client(transport=proxyless.httpx.Transport(mesh, trust_env=False)) as client,
        pytest.raises(httpx.ConnectError),
    ):
        client.get("http://db.example.com:9000/")
    assert connections(mesh, PLAIN) == 0

    async def ask() -> None:
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh, trust_env=False)) as client:
            await client.get("http://db.example.com:9000/")

    with pytest.raises(httpx.ConnectError):
        asyncio.run(ask())
    assert connections(mesh, PLAIN) == 0


def backend_of(kind: Any, inner: Any, world: World, **proxy: Any) -> Any:
    """What dials cluster `a` for a proxy with these settings."""
    route = TcpRoute("a", TcpProxy("a", **proxy))
    return kind(world.runtime.plan.cluster, Library(httpcore, httpx.ByteStream), route, world.runtime, inner)


@pytest.fixture
def half_dead(servers: tuple[Server, Server]) -> World:
    """Cluster `a`: the first endpoint refuses."""
    return World(clusters=[cluster("a", "127.0.43.1:1", f"127.0.43.1:{servers[1].server_address[1]}")])


def test_another_try_to_connect_goes_to_the_next_endpoint(half_dead: World) -> None:
    backend = backend_of(TcpBackend, httpcore.SyncBackend(), half_dead)
    with pytest.raises(httpcore.ConnectError):
        backend.connect_tcp("x", 1, timeout=5)
    backend.connect_tcp("x", 1).close()
    pausing = {"max_connect_attempts": 2, "back_off": BackOff(0.02, 0.02)}
    backend = backend_of(TcpBackend, httpcore.SyncBackend(), half_dead, **pausing)
    backend.connect_tcp("x", 1, timeout=5).close()
    assert half_dead.breaker().connections == 0
    hasty = backend_of(TcpBackend, httpcore.SyncBackend(), half_dead, max_connect_attempts=2, back_off=BackOff(60, 60))
    with pytest.raises(httpcore.ConnectError):
        hasty.connect_tcp("x", 1, timeout=0.5)

    async def ask() -> None:
        backend = backend_of(AsyncTcpBackend, httpcore.AnyIOBackend(), half_dead)
        await (await backend.connect_tcp("x", 1)).aclose()
        with pytest.raises(httpcore.ConnectError):
            await backend.connect_tcp("x", 1)
        await (await backend.connect_tcp("x", 1)).aclose()
        backend = backend_of(AsyncTcpBackend, httpcore.AnyIOBackend(), half_dead, **pausing)
        await (await backend.connect_tcp("x", 1, timeout=5)).aclose()

    asyncio.run(ask())
    assert half_dead.breaker().connections == 0


def test_what_is_dialled_is_the_endpoint_of_an_original_dst_cluster(servers: tuple[Server, Server]) -> None:
    port = servers[1].server_address[1]
    made = World(clusters=[cluster("a", type="ORIGINAL_DST", lb_policy="CLUSTER_PROVIDED")], names={"db": "127.0.43.1"})
    for name in ("127.0.43.1", "db"):
        backend_of(TcpBackend, httpcore.SyncBackend(), made).connect_tcp(name, port, timeout=5).close()

    async def ask() -> None:
        backend = backend_of(AsyncTcpBackend, httpcore.AnyIOBackend(), made)
        await (await backend.connect_tcp("db", port, timeout=5)).aclose()

    asyncio.run(ask())
    assert list(made.cluster().state.hosts) == [f"127.0.43.1:{port}"]
    assert made.breaker().connections == 0


def test_a_connection_whose_time_is_over_is_closed(half_dead: World) -> None:
    live = {"max_connect_attempts": 2, "idle_timeout_s": 10.0}
    backend = backend_of(TcpBackend, httpcore.SyncBackend(), half_dead, **live)
    stream = backend.connect_tcp("x", 1, timeout=5)
    assert not stream.get_extra_info("is_readable")
    with pytest.raises(httpcore.ReadTimeout):
        stream.read(1, timeout=0.05)
    half_dead.clock.advance(9.95)
    assert half_dead.breaker().connections == 1
    with pytest.raises(httpcore.ReadError, match="its time is over"):
        stream.read(1, timeout=5)
    assert half_dead.breaker().connections == 0

    async def ask() -> None:
        backend = backend_of(AsyncTcpBackend, httpcore.AnyIOBackend(), half_dead, **live)
        stream = await backend.connect_tcp("x", 1, timeout=5)
        await stream.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", timeout=5)
        seen = b""
        while not seen.endswith(b"\r\n\r\nx"):  # head and body may come apart
            seen += await stream.read(1000, timeout=5)
        with pytest.raises(httpcore.ReadTimeout):
            await stream.read(100, timeout=0.05)
        half_dead.clock.advance(9.95)
        with pytest.raises(httpcore.ReadError, match="its time is over"):
            await stream.read(1, timeout=5)

    asyncio.run(ask())
    assert half_dead.breaker().connections == 0
