"""A network that is not there: the library's whole work, and no I/O. CPU time is then the only time."""

from __future__ import annotations

from typing import Any

import httpcore
import httpx

import proxyless.httpx
from proxyless import Mesh

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\n\r\nok"


class _Stream(httpcore.NetworkStream):
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return ANSWER

    def write(self, buffer: bytes, timeout: float | None = None) -> None: ...

    def close(self) -> None: ...

    def get_extra_info(self, info: str) -> Any:
        return False if info == "is_readable" else None


class _Backend(httpcore.NetworkBackend):
    def connect_tcp(self, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        return _Stream()


class _AsyncStream(httpcore.AsyncNetworkStream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return ANSWER

    async def write(self, buffer: bytes, timeout: float | None = None) -> None: ...  # noqa: ASYNC109

    async def aclose(self) -> None: ...

    def get_extra_info(self, info: str) -> Any:
        return False if info == "is_readable" else None


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    async def connect_tcp(self, *arguments: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        return _AsyncStream()


def plain() -> httpx.Client:
    """httpx as it is, over no network."""
    transport = httpx.HTTPTransport()
    transport._pool._network_backend = _Backend()
    return httpx.Client(transport=transport)


def governed(mesh: Mesh) -> httpx.Client:
    """httpx governed, over no network."""
    transport: Any = proxyless.httpx.Transport(mesh)
    transport._pool._backend = _Backend()
    return httpx.Client(transport=transport)


def plain_async() -> httpx.AsyncClient:
    """httpx as it is, over no network."""
    transport = httpx.AsyncHTTPTransport()
    transport._pool._network_backend = _AsyncBackend()
    return httpx.AsyncClient(transport=transport)


def governed_async(mesh: Mesh) -> httpx.AsyncClient:
    """httpx governed, over no network."""
    transport: Any = proxyless.httpx.AsyncTransport(mesh)
    transport._pool._backend = _AsyncBackend()
    return httpx.AsyncClient(transport=transport)
