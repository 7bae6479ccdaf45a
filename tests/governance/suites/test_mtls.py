"""mTLS to endpoints in the httpx suite: TCP around the program's own TLS, rotation, resumption, no identity."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest

import proxyless.httpx
from proxyless import Mesh
from proxyless._securing import MeshTls
from proxyless.governance.balancing.host import Host
from proxyless.governance.checking.answers import Answer, Failed, Passed
from proxyless.governance.checking.checker import Checker
from proxyless.governance.cluster import ClusterRuntime
from proxyless.governance.passing import TcpRoute
from proxyless.governance.suites._health import ask
from proxyless.governance.suites._httpcore import Library
from proxyless.governance.suites._tcp import AsyncTcpBackend, TcpBackend
from proxyless.governance.telemetry.cluster_status import cluster_status
from proxyless.xds.model.cluster import TransportSocket
from proxyless.xds.model.health_check import GrpcCheck, HealthCheck, HttpCheck, TcpCheck
from proxyless.xds.model.listener import TcpProxy
from proxyless.xds.model.tls import CommonTls, SanMatcher, SecretName, UpstreamTls, Validation
from tests.support.certificates import Authority, HeldSecrets, authority, spiffe, terminating, write
from tests.support.in_thread import in_thread
from tests.support.model import cluster, route, snapshot, table
from tests.support.tls_in_tls import endpoint

VALIDATION = Validation(secret=SecretName("ROOTCA"), sans=(SanMatcher("exact", spiffe("server")),))
SOCKET = TransportSocket("tls", UpstreamTls(CommonTls(SecretName("default"), VALIDATION, maximum="TLSv1_3"), sni="a.b"))
LIBRARY = Library(httpcore, httpx.ByteStream)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append((self.connection.getpeercert(), self.connection.session_reused))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        del format, arguments


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.43.4", 0), Handler)
        self.seen: list[tuple[Any, bool | None]] = []
        self.context = context

    def get_request(self) -> Any:
        sock, address = super().get_request()
        return self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address

    @property
    def address(self) -> str:
        return f"127.0.43.4:{self.server_address[1]}"


@pytest.fixture
def ca() -> Authority:
    return authority()


@pytest.fixture
def server(ca: Authority, tmp_path: Path) -> Iterator[Server]:
    with in_thread(Server(terminating(ca, "server", tmp_path))) as made:
        yield made


def world(address: str, secrets: HeldSecrets | None, how: TransportSocket = SOCKET) -> Mesh:
    made = Mesh._from_snapshot(
        snapshot(tables=[table(route("/", "a"))], clusters=[cluster("a", address, transport_socket=how)])
    )
    made.runtime.tls = MeshTls(lambda: secrets) if secrets is not None else None
    return made


def get(made: Mesh, *, asynchronous: bool = False, url: str = "http://shop/") -> httpx.Response:
    """One call with a client of its own; the connection stays with the mesh."""
    if not asynchronous:
        with httpx.Client(transport=proxyless.httpx.Transport(made)) as client:
            return client.get(url)

    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(made)) as client:
            return await client.get(url)

    return asyncio.run(call())


def found_in_status(made: Mesh) -> dict[str, Any]:
    """What the status says of the only endpoint."""
    (one,) = cluster_status("a", cluster_of(made), made.runtime.states["a"], 0.0, 0.0)["endpoints"]
    found: dict[str, Any] = one
    return found


def close_idle(made: Mesh) -> None:
    made.runtime.close_idle()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_leaf_and_roots_are_rotated_in_place(
    ca: Authority, server: Server, asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = HeldSecrets(ca.workload("one"), ca.roots)
    made = world(server.address, secrets)
    assert get(made, asynchronous=asynchronous).text == "ok"
    secrets.rotate(ca.workload("two"))
    assert get(made, asynchronous=asynchronous).text == "ok"
    close_idle(made)
    assert get(made, asynchronous=asynchronous).text == "ok"
    accounts = [cert["subjectAltName"][0][1].rpartition("/")[2] for cert, _ in server.seen]
    # A connection that is open lives on, as in Envoy; each event loop here has connections of its own.
    assert accounts == (["one", "two", "two"] if asynchronous else ["one", "one", "two"])
    secrets.rotate(roots=authority().roots)
    close_idle(made)
    found = get(made, asynchronous=asynchronous)
    assert (found.status_code, len(server.seen)) == (503, 3)
    assert found.text.endswith("reset reason: remote connection failure")
    reason = found.extensions["proxyless"].reply.transport
    assert f"cluster a, endpoint {server.address}: expected {spiffe('server')}, presented " in reason
    assert reason in caplog.text
    assert found_in_status(made)["tls_failure"] == reason
    with (
        httpx.Client(transport=proxyless.httpx.Transport(made, errors="raise")) as client,
        pytest.raises(httpx.ConnectError) as caught,
    ):
        client.get("http://shop/")
    assert str(caught.value).endswith(f"remote connection failure, transport failure reason: {reason}")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_session_is_resumed_and_its_peer_is_still_known(ca: Authority, server: Server, asynchronous: bool) -> None:
    made = world(server.address, HeldSecrets(ca.workload("one"), ca.roots))
    gc.disable()  # a session is kept while its connection is open, not when it is collected
    try:
        for _ in range(3):
            found = get(made, asynchronous=asynchronous)
            assert found.text == "ok"
            assert found.extensions["proxyless"].principals == (spiffe("one"), spiffe("server"))
            close_idle(made)
    finally:
        gc.enable()
    assert [reused for _, reused in server.seen] == [False, True, True]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_who_was_not_verified_is_nobody(ca: Authority, server: Server, asynchronous: bool) -> None:
    """Without names to match an identity counts by its chain; without a chain that is verified it does not."""
    for how, peer in (
        (Validation(secret=SecretName("ROOTCA")), spiffe("server")),
        (Validation(secret=SecretName("ROOTCA"), accept_untrusted=True), ""),
        (None, ""),
    ):
        tls = UpstreamTls(CommonTls(SecretName("default"), how, maximum="TLSv1_3"), sni="a.b")
        made = world(server.address, HeldSecrets(ca.workload("one"), ca.roots), TransportSocket("tls", tls))
        found = get(made, asynchronous=asynchronous)
        assert found.extensions["proxyless"].principals == (spiffe("one"), peer)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_without_a_certificate_nothing_is_sent(ca: Authority, server: Server, asynchronous: bool) -> None:
    found = get(world(server.address, HeldSecrets(None, ca.roots)), asynchronous=asynchronous)
    assert (found.status_code, found.extensions["proxyless"].flags) == (503, ("UF",))
    assert (
        f"cluster a, endpoint {server.address}: there is no certificate default"
        in found.extensions["proxyless"].reply.transport
    )
    found = get(world(server.address, HeldSecrets(ca.workload("one"), None)), asynchronous=asynchronous)
    assert "there are no roots ROOTCA" in found.extensions["proxyless"].reply.transport
    found = get(world(server.address, None), asynchronous=asynchronous)
    assert "this process has no identity to offer" in found.text
    assert not server.seen


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_tcp_cluster_has_its_own_tls_around_the_programs(ca: Authority, tmp_path: Path, asynchronous: bool) -> None:
    """The endpoint takes the mesh's TLS off, and finds the program's inside."""
    outer, inner = terminating(ca, "server", tmp_path), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inner.load_cert_chain(*write(ca.leaf(dns=["db.example.com"], name="db"), tmp_path, "db"))
    with endpoint("127.0.43.4", outer, inner) as port:
        made = world(f"127.0.43.4:{port}", HeldSecrets(ca.workload("one"), ca.roots))
        route = TcpRoute("a", TcpProxy("a"))
        context = ssl.create_default_context(cadata=ca.pem.decode())

        async def call() -> bytes:
            backend: Any = AsyncTcpBackend(
                made.runtime.plan.cluster, LIBRARY, route, made.runtime, httpcore.AnyIOBackend()
            )
            async with httpcore.AsyncConnectionPool(network_backend=backend, ssl_context=context) as pool:
                return (await pool.request("GET", "https://db.example.com/")).content

        if asynchronous:
            assert asyncio.run(call()) == b"ok"
        else:
            sync: Any = TcpBackend(made.runtime.plan.cluster, LIBRARY, route, made.runtime, httpcore.SyncBackend())
            with httpcore.ConnectionPool(network_backend=sync, ssl_context=context) as pool:
                assert pool.request("GET", "https://db.example.com/").content == b"ok"


def test_a_tcp_connection_to_somebody_else_is_not_made(ca: Authority, tmp_path: Path) -> None:
    said = f"cluster a, endpoint .*: expected {spiffe('server')}, presented "
    with in_thread(Server(terminating(ca, "other", tmp_path))) as server:
        made = world(server.address, HeldSecrets(ca.workload("one"), ca.roots))
        led = TcpRoute("a", TcpProxy("a"))
        backend = TcpBackend(made.runtime.plan.cluster, LIBRARY, led, made.runtime, httpcore.SyncBackend())
        with pytest.raises(httpcore.ConnectError, match=said):
            backend.connect_tcp("db.example.com", 443)


def test_endpoints_are_asked_for_their_health_by_tls(ca: Authority, server: Server, tmp_path: Path) -> None:
    secrets = HeldSecrets(ca.workload("one"), ca.roots)
    made = world(server.address, secrets)
    (host,) = cluster_of(made).hosts
    for check in (HttpCheck("/"), TcpCheck()):
        assert asked(made, host, check) == Passed()
    assert asked(made, host, GrpcCheck()).kind == "network"  # type: ignore[union-attr]
    with in_thread(Server(terminating(ca, "other", tmp_path))) as stranger:
        other = world(stranger.address, secrets)
        found = asked(other, cluster_of(other).hosts[0], HttpCheck("/"))
        assert isinstance(found, Failed)
        assert f"expected {spiffe('server')}, presented {spiffe('other')}" in found.reason
        assert not stranger.seen
    nobody = world(server.address, HeldSecrets(None, ca.roots))
    found = asked(nobody, cluster_of(nobody).hosts[0], HttpCheck("/"))
    assert isinstance(found, Failed)
    assert f"cluster a, endpoint {server.address}: there is no certificate default" in found.reason


def cluster_of(made: Mesh) -> ClusterRuntime:
    found = made.runtime.plan.cluster("a")
    assert isinstance(found, ClusterRuntime)
    return found


def asked(made: Mesh, host: Host, check: Any) -> Answer:
    checker = Checker("a", lambda: 0.0, lambda: 0.5, lambda: None, lambda event: None, lambda: True, lambda: None)
    checker.configure(HealthCheck(check, timeout_s=20.0), [host], ignore_new=False)
    return ask(checker, host, made.runtime.tls)
