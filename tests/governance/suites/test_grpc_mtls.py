"""mTLS from governed gRPC channels to servers of grpcio's own: who is expected, who is there, and what is refused."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

import proxyless.grpc.aio
from proxyless import Mesh
from proxyless._securing import MeshTls
from proxyless.xds.model.cluster import HttpProtocol, TransportSocket
from proxyless.xds.model.tls import CommonTls, SanMatcher, SecretName, UpstreamTls, Validation
from tests.governance.suites.grpc_served import SERVICE, Served
from tests.support.certificates import Authority, HeldSecrets, authority, spiffe, write
from tests.support.model import cluster, route, snapshot, table
from tests.support.waiting import wait_for

VALIDATION = Validation(secret=SecretName("ROOTCA"), sans=(SanMatcher("exact", spiffe("server")),))
SOCKET = TransportSocket("tls", UpstreamTls(CommonTls(SecretName("default"), VALIDATION), sni="a.b"))


@pytest.fixture(scope="module")
def ca() -> Authority:
    return authority()


@pytest.fixture(scope="module")
def served(ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    certificate, key = write(ca.workload("server"), tmp_path_factory.mktemp("tls"))
    pairs = [(key.read_bytes(), certificate.read_bytes())]
    credentials = grpc.ssl_server_credentials(pairs, ca.pem, require_client_auth=True)
    with Served("secure", credentials=credentials) as made:
        yield made


def world(port: int, secrets: HeldSecrets | None, how: TransportSocket = SOCKET, protocol: Any = "http2") -> Mesh:
    clusters = [cluster("a", f"127.0.0.1:{port}", transport_socket=how, http=HttpProtocol(protocol))]
    made = Mesh._from_snapshot(snapshot(tables=[table(route("/", "a"))], clusters=clusters))
    made.runtime.tls = MeshTls(lambda: secrets) if secrets is not None else None
    return made


def get(mesh: Mesh, asynchronous: bool, message: bytes = b"x") -> Any:
    """The response, or (status, text)."""
    if not asynchronous:
        with proxyless.grpc.channel("shop:80", mesh) as channel:
            stub: Any = channel
            try:
                return stub.unary_unary(SERVICE + "Get")(message)
            except grpc.RpcError as error:
                failed: Any = error
                return failed.code().name, failed.details()

    async def call() -> Any:
        async with proxyless.grpc.aio.channel("shop:80", mesh) as channel:
            stub: Any = channel
            try:
                return await stub.unary_unary(SERVICE + "Get")(message)
            except grpc.aio.AioRpcError as error:
                return error.code().name, error.details()

    return asyncio.run(call())


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("protocol", ["http2", "downstream"])
def test_calls_go_over_mtls(ca: Authority, served: Served, asynchronous: bool, protocol: str) -> None:
    mesh = world(served.port, HeldSecrets(ca.workload("me"), ca.roots), protocol=protocol)
    assert get(mesh, asynchronous) == b"secure:x"
    large = b"y" * 3_000_000
    assert get(mesh, asynchronous, large) == b"secure:" + large
    mesh.runtime.close_idle()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_somebody_else_gets_no_call(ca: Authority, served: Served, asynchronous: bool) -> None:
    served.take()
    expected = replace(VALIDATION, sans=(SanMatcher("exact", spiffe("somebody")),))
    how = TransportSocket("tls", UpstreamTls(CommonTls(SecretName("default"), expected), sni="a.b"))
    code, details = get(world(served.port, HeldSecrets(ca.workload("me"), ca.roots), how), asynchronous)
    assert code == "UNAVAILABLE"
    for part in ("cluster a", f"127.0.0.1:{served.port}", spiffe("somebody"), spiffe("server")):
        assert part in details
    other = authority("somebody's")
    code, details = get(world(served.port, HeldSecrets(ca.workload("me"), other.roots)), asynchronous)
    assert (code, "cluster a" in details) == ("UNAVAILABLE", True)
    code, details = get(world(served.port, None), asynchronous)
    assert (code, "identity" in details) == ("UNAVAILABLE", True)
    assert not served.take()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_server_that_speaks_no_http2_is_refused(ca: Authority, tmp_path: Path, asynchronous: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write(ca.workload("server"), tmp_path))
    context.set_alpn_protocols(["http/1.1"])

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def main() -> Any:
        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            how = UpstreamTls(CommonTls(SecretName("default"), VALIDATION, alpn=("h2", "http/1.1")), sni="a.b")
            mesh = world(port, HeldSecrets(ca.workload("me"), ca.roots), TransportSocket("tls", how), "auto")
            return await asyncio.to_thread(get, mesh, asynchronous)

    code, details = asyncio.run(main())
    assert (code, "gRPC needs HTTP/2" in details) == ("UNAVAILABLE", True)


def test_a_connection_that_the_server_ends_is_made_anew(ca: Authority, tmp_path: Path) -> None:
    certificate, key = write(ca.workload("server"), tmp_path)
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())], ca.pem, True)
    first = Served("one", credentials=credentials)
    with first:
        mesh = world(first.port, HeldSecrets(ca.workload("me"), ca.roots))
        assert get(mesh, False) == b"one:x"
    (pool,) = next(iter(mesh.runtime.states["a"].hosts.values())).pools.values()
    wait_for(lambda: not pool.ready[0].connection.usable())
    with Served("two", first.port, credentials=credentials):
        assert get(mesh, False) == b"two:x"
    mesh.runtime.close_idle()
