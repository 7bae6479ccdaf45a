"""Endpoints behind Unix sockets: HTTP, TCP, tasks, checks of health; paths and abstract names."""

from __future__ import annotations

import asyncio
import socketserver
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

import proxyless.httpx
from proxyless import Mesh, Node
from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.checking.answers import Answer, Failed, Passed
from proxyless.governance.checking.checker import Checker
from proxyless.governance.suites._health import ask
from proxyless.xds.model.endpoint import LbEndpoint
from proxyless.xds.model.health_check import GrpcCheck, HealthCheck, HttpCheck, TcpCheck
from proxyless.xds.model.values import Address
from tests.support.in_thread import in_thread

ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: shop}}
spec:
  hosts: [{name}.example.com]
  ports: [{{number: {port}, name: it, protocol: {protocol}}}]
  resolution: STATIC
  endpoints: [{{address: "unix://{path}"}}]
---
"""
RULE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: kept, namespace: shop}
spec:
  host: "*.example.com"
  trafficPolicy: {connectionPool: {tcp: {tcpKeepalive: {time: 61s}}}}
"""


class Handler(BaseHTTPRequestHandler):
    """Answers with the Host it was asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = str(self.headers["host"]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        del format, arguments


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@pytest.fixture(params=["path", "abstract"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    # The name of pytest's folder may be too long for a socket.
    with TemporaryDirectory(prefix="unix", dir="/tmp") as folder:
        written = f"{folder}/a.sock" if request.param == "path" else f"@{tmp_path.name}-{id(request)}"
        with in_thread(Server(Address(written, 0).unix, Handler)):
            yield written


@pytest.fixture
def mesh(path: str, tmp_path: Path) -> Iterator[Mesh]:
    web = ENTRY.format(name="web", port=80, protocol="HTTP", path=path)
    tcp = ENTRY.format(name="tcp", port=9000, protocol="TCP", path=path)
    (tmp_path / "mesh.yaml").write_text(web + tcp + RULE)
    with Mesh.from_config(tmp_path, node=Node(app="me", namespace="shop", ip="127.0.0.9"), registry=False) as made:
        made.wait_ready(20)
        yield made


URLS = ("http://web.example.com/", "http://tcp.example.com:9000/")


def test_they_are_called(mesh: Mesh) -> None:
    with httpx.Client(transport=proxyless.httpx.Transport(mesh, trust_env=False)) as client:
        assert [client.get(each).text for each in URLS] == ["web.example.com", "tcp.example.com:9000"]


def test_and_by_tasks(mesh: Mesh) -> None:
    async def get() -> list[Any]:
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh, trust_env=False)) as client:
            return [(await client.get(each)).text for each in URLS]

    assert asyncio.run(get()) == ["web.example.com", "tcp.example.com:9000"]


def checked(check: HttpCheck | TcpCheck | GrpcCheck, path: str) -> Answer:
    checker = Checker("c", lambda: 0.0, lambda: 0.0, lambda: None, lambda event: None, lambda: True, lambda: None)
    checker.config = HealthCheck(check, timeout_s=5.0)
    return ask(checker, Host(LbEndpoint(Address(path, 0)), HostState()))


def test_and_checked(path: str) -> None:
    assert checked(HttpCheck("/"), path) == Passed()
    assert checked(TcpCheck(), path) == Passed()
    # The server knows no HTTP/2: that it is asked at all is what can be seen.
    assert isinstance(checked(GrpcCheck(), path), Failed)
    assert isinstance(checked(TcpCheck(), path + "-gone"), Failed)
