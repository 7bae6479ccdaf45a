"""Bodies on their way out: timeouts begin when the request has been sent, as in Envoy, and no sooner."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from proxyless import Mesh, Node
from proxyless.httpx import AsyncTransport, Transport
from tests.support.backends import Backends

ADDRESS = ("127.0.0.1", 8080)
PAUSE_S = 0.15
CHUNKS = 4

CONFIG = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: shop}
spec:
  hosts: [web.example.com]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: PORT}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web.example.com]
  http:
  - match: [{uri: {prefix: /try}}]
    retries: {attempts: 1, perTryTimeout: 0.4s, retryOn: 5xx, backoff: 1ms}
    route: [{destination: {host: web.example.com}}]
  - timeout: 0.4s
    retries: {attempts: 0}
    route: [{destination: {host: web.example.com}}]
"""


@pytest.fixture
def backends() -> Iterator[Backends]:
    with Backends([ADDRESS]) as made:
        yield made


@pytest.fixture
def mesh(tmp_path: Path, backends: Backends) -> Iterator[Mesh]:
    (tmp_path / "web.yaml").write_text(CONFIG.replace("PORT", str(backends.ports[ADDRESS])))
    with Mesh.from_config(tmp_path, node=Node(app="me", namespace="shop", ip="127.0.0.9"), registry=False) as made:
        made.wait_ready(20)
        yield made


def slowly() -> Iterator[bytes]:
    for _ in range(CHUNKS):
        time.sleep(PAUSE_S)
        yield b"x"


async def slowly_async() -> AsyncIterator[bytes]:
    for _ in range(CHUNKS):
        await asyncio.sleep(PAUSE_S)
        yield b"x"


def post(mesh: Mesh, path: str, *, asynchronous: bool, read_s: float = 30.0, backend: str = "") -> httpx.Response:
    url, headers = f"http://web.example.com{path}", {"x-backend": backend} if backend else {}
    timeout = httpx.Timeout(30.0, read=read_s)
    if not asynchronous:
        with httpx.Client(transport=Transport(mesh), timeout=timeout) as client:
            return client.post(url, content=slowly(), headers=headers)

    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=AsyncTransport(mesh), timeout=timeout) as client:
            return await client.post(url, content=slowly_async(), headers=headers)

    return asyncio.run(call())


BOTH = pytest.mark.parametrize("asynchronous", [False, True])


@BOTH
@pytest.mark.parametrize("path", ["/", "/try"])
def test_an_upload_may_take_longer_than_the_timeouts_of_its_route(
    mesh: Mesh, backends: Backends, path: str, asynchronous: bool
) -> None:
    response = post(mesh, path, asynchronous=asynchronous)
    assert (response.status_code, response.extensions["proxyless"].attempts) == (200, 1)
    assert backends.take()[0].body == b"x" * CHUNKS


@BOTH
def test_and_than_the_callers_read_timeout(mesh: Mesh, asynchronous: bool) -> None:
    assert post(mesh, "/try", asynchronous=asynchronous, read_s=0.3).status_code == 200


@BOTH
def test_then_the_route_gives_the_response_its_time_and_no_more(mesh: Mesh, asynchronous: bool) -> None:
    response = post(mesh, "/", asynchronous=asynchronous, backend="delay=20")
    assert (response.status_code, response.extensions["proxyless"].flags) == (504, ("UT",))


@BOTH
def test_a_try_that_takes_too_long_is_sent_once_more_with_its_body(
    mesh: Mesh, backends: Backends, asynchronous: bool
) -> None:
    response = post(mesh, "/try", asynchronous=asynchronous, backend="delay=20,status=200")
    assert (response.status_code, response.extensions["proxyless"].attempts) == (200, 2)
    assert [each.body for each in backends.take()] == [b"x" * CHUNKS] * 2


@BOTH
def test_then_the_callers_read_timeout_counts(mesh: Mesh, asynchronous: bool) -> None:
    with pytest.raises(httpx.ReadTimeout):
        post(mesh, "/try", asynchronous=asynchronous, read_s=0.1, backend="delay=20")
