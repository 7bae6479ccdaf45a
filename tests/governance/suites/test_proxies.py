"""Proxies of the environment, for what the mesh does not govern: httpx itself leaves them aside for a transport."""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import proxyless

FOLDER = Path(__file__).parents[2] / "docs" / "istio"
NODE = proxyless.Node(app="storefront", namespace="shop", ip="127.0.10.1")
REPLY = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nproxy"


class Proxy:
    """Answers whatever comes, and keeps it."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            client, _ = self._socket.accept()
            with client:
                head = b""
                while b"\r\n\r\n" not in head and (part := client.recv(65536)):
                    head += part
                if not head:
                    return
                self.seen.append(head)
                client.sendall(REPLY)

    def close(self) -> None:
        """A connection that says nothing ends it."""
        socket.create_connection(self._socket.getsockname()).close()
        self._thread.join()
        self._socket.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


@pytest.fixture
def mesh() -> Iterator[proxyless.Mesh]:
    with proxyless.Mesh.from_config(FOLDER, node=NODE, registry=False) as made:
        made.wait_ready(10)
        yield made


def test_a_host_outside_the_mesh_is_asked_for_at_the_proxy_with_its_password(
    mesh: proxyless.Mesh, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://user:secret@{proxy.address}")
    with httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client:
        assert client.get("http://outside.example/path").text == "proxy"
    assert proxy.seen[0].startswith(b"GET http://outside.example/path HTTP/1.1\r\n")
    assert base64.b64encode(b"user:secret") in proxy.seen[0]


def test_the_async_transport_asks_the_proxy_too(
    mesh: proxyless.Mesh, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://user:secret@{proxy.address}")

    async def ask() -> str:
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh)) as client:
            return (await client.get("http://outside.example/path")).text

    assert asyncio.run(ask()) == "proxy"
    assert base64.b64encode(b"user:secret") in proxy.seen[0]


def test_an_own_proxy_comes_before_the_environments(
    mesh: proxyless.Mesh, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with httpx.Client(transport=proxyless.httpx.Transport(mesh, proxy=f"http://{proxy.address}")) as client:
        assert client.get("http://outside.example/").text == "proxy"


def test_without_trust_in_the_environment_its_proxies_are_left_aside(
    mesh: proxyless.Mesh, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with httpx.Client(transport=proxyless.httpx.Transport(mesh, trust_env=False)) as client:
        assert client.get(f"http://{proxy.address}/direct").text == "proxy"
    assert proxy.seen[0].startswith(b"GET /direct HTTP/1.1\r\n")


def test_a_socks_proxy_is_not_spoken_to_in_http(
    mesh: proxyless.Mesh, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", f"socks5://{proxy.address}")
    # Without the package for SOCKS httpx says so; with it, this is no SOCKS server.
    with (
        httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client,
        pytest.raises((ImportError, httpx.TransportError)),
    ):
        client.get("http://outside.example/", timeout=2)
    assert not any(head.startswith(b"GET") for head in proxy.seen)
