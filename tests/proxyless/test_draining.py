"""A mesh that drains, under real servers: a response over HTTP/1 is the last of its connection, those refused too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

import proxyless
import proxyless.aiohttp
from tests.support.denying import denying
from tests.support.serving import Serve, by_hypercorn, by_uvicorn, on_this_loop


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[proxyless.Mesh]:
    (tmp_path / "policy.yaml").write_text(denying("/secret"))
    with proxyless.Mesh.from_config(tmp_path, node=proxyless.Node(app="web"), registry=False) as made:
        made.wait_ready(20)
        yield made


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def in_the_middle(serve: Serve) -> Callable[[proxyless.Mesh], AbstractAsyncContextManager[int]]:
    return lambda mesh: on_this_loop(serve, proxyless.asgi.Middleware(app, mesh, port=8000))


@asynccontextmanager
async def by_aiohttp(mesh: proxyless.Mesh) -> AsyncIterator[int]:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    made = web.Application(middlewares=[proxyless.aiohttp.server(mesh, port=8000)])
    made.router.add_get("/{path:.*}", hello)
    runner = web.AppRunner(made)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


SERVERS = {
    "uvicorn, h11": in_the_middle(by_uvicorn(http="h11")),
    "uvicorn, httptools": in_the_middle(by_uvicorn(http="httptools")),
    "hypercorn": in_the_middle(by_hypercorn()),
    "aiohttp": by_aiohttp,
}


class Raw:
    """One connection, and what came over it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, path: str) -> tuple[int, bool]:
        """The status, and whether the server has said that it is the last."""
        self.writer.write(b"GET %s HTTP/1.1\r\nhost: web\r\n\r\n" % path.encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
        await self.reader.readexactly(length)
        return int(head.split()[1]), b"connection: close" in head


async def opened(port: int) -> Raw:
    return Raw(*await asyncio.open_connection("127.0.0.1", port))


@pytest.mark.parametrize("name", SERVERS)
def test_responses_end_their_connections_while_a_mesh_drains(name: str, mesh: proxyless.Mesh) -> None:
    async def go() -> None:
        async with SERVERS[name](mesh) as port:
            one, other = await opened(port), await opened(port)
            for path, status in (("/", 200), ("/secret", 403), ("/", 200)):
                assert await one.ask(path) == (status, False)
                assert await other.ask(path) == (status, False)
            mesh.drain()
            assert await one.ask("/") == (200, True)
            assert await other.ask("/secret") == (403, True)
            for each in (one, other):
                assert await each.reader.read() == b"", "the server closes it"
                each.writer.close()

    asyncio.run(asyncio.wait_for(go(), 60))


def test_an_app_of_wsgi_is_not_made_to_say_what_wsgi_forbids(mesh: proxyless.Mesh) -> None:
    def served(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("content-type", "text/plain")])
        return [b"ok"]

    mesh.drain()
    client = httpx.Client(transport=httpx.WSGITransport(proxyless.wsgi.Middleware(served, mesh, port=8000)))
    with client:
        for path, status in (("/", 200), ("/secret", 403)):
            answer = client.get(f"http://web{path}")
            assert (answer.status_code, "connection" in answer.headers) == (status, False)
