"""Policies and filters of packages that want to see a request's body, behind every server; and of calls of gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp
import grpc
import httpx
import pytest
from aiohttp import web

import proxyless.aiohttp
import proxyless.asgi
import proxyless.grpc.aio
import proxyless.wsgi
from proxyless import Mesh
from proxyless.governance.framing import framed
from proxyless.policies import Request
from proxyless.xds.model.extension import Config, Extension
from proxyless.xds.model.filters import HttpFilter
from tests.governance.suites.conformance.test_seen_bodies import Reads, parts
from tests.governance.suites.grpc_served import SERVICE as ASKED
from tests.governance.suites.grpc_served import Served
from tests.support.grpc_echo import SERVICE, serving, serving_aio
from tests.support.model import chain, cluster, listener, manager, route, snapshot, table

Post = Callable[[Mesh, bytes | Callable[[], Iterator[bytes]]], tuple[int, bytes]]


def governed(reads: Reads, *, as_filter: bool) -> Mesh:
    """A mesh that asks it of every incoming request: as a filter of a package, or as an own policy."""
    extension = Extension(Config("f", "acme.Reads"), "acme 1.0", reads)
    filters = [HttpFilter("f", extension)] if as_filter else []
    held = snapshot(listeners=[listener("virtualInbound", chain(manager(table(route()), *filters), "app"))])
    return Mesh._from_snapshot(held, policies=[] if as_filter else [reads])


def by_asgi(mesh: Mesh, body: bytes | Callable[[], Iterator[bytes]]) -> tuple[int, bytes]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        got, more = b"", True
        while more:
            message = await receive()
            got, more = got + message["body"], message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": got})

    async def pieces() -> AsyncIterator[bytes]:
        for part in parts():
            yield part

    async def work() -> tuple[int, bytes]:
        transport = httpx.ASGITransport(proxyless.asgi.Middleware(app, mesh, port=8080))
        async with httpx.AsyncClient(transport=transport) as client:
            response = await client.post("http://app/", content=body if isinstance(body, bytes) else pieces())
            return response.status_code, response.content

    return asyncio.run(work())


def by_wsgi(mesh: Mesh, body: bytes | Callable[[], Iterator[bytes]]) -> tuple[int, bytes]:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    if callable(body):
        pytest.skip("wsgiref's environment has no body without a length")
    with httpx.Client(transport=httpx.WSGITransport(proxyless.wsgi.Middleware(app, mesh, port=8080))) as client:
        response = client.post("http://app/", content=body, headers={"content-length": str(len(body))})
        return response.status_code, response.content


def by_aiohttp(mesh: Mesh, body: bytes | Callable[[], Iterator[bytes]]) -> tuple[int, bytes]:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def pieces() -> AsyncIterator[bytes]:
        for part in parts():
            yield part

    async def work() -> tuple[int, bytes]:
        app = web.Application(middlewares=[proxyless.aiohttp.server(mesh, port=8080)])
        app.router.add_post("/", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = "http://{}:{}/".format(*runner.addresses[0])
        data = body if isinstance(body, bytes) else pieces()
        async with aiohttp.ClientSession() as client, client.post(url, data=data) as response:
            found = response.status, await response.read()
        await runner.cleanup()
        return found

    return asyncio.run(work())


@pytest.mark.parametrize("as_filter", [True, False])
@pytest.mark.parametrize("body", [b"", b"body", parts])
@pytest.mark.parametrize("post", [by_asgi, by_wsgi, by_aiohttp])
def test_a_body_is_seen_and_the_app_has_it(post: Post, body: Any, as_filter: bool) -> None:
    reads = Reads(4)
    with governed(reads, as_filter=as_filter) as mesh:
        expected = b"body" if callable(body) else body
        assert post(mesh, body) == (200, expected)
        assert reads.seen == [expected]


@pytest.mark.parametrize("as_filter", [True, False])
@pytest.mark.parametrize("body", [b"body", parts])
@pytest.mark.parametrize("post", [by_asgi, by_wsgi, by_aiohttp])
def test_one_that_is_too_long_is_answered(post: Post, body: Any, as_filter: bool) -> None:
    reads = Reads(3)
    with governed(reads, as_filter=as_filter) as mesh:
        assert post(mesh, body) == (413, b"Payload Too Large")
    assert reads.seen == []


@pytest.mark.parametrize("as_filter", [True, False])
@pytest.mark.parametrize("how", ["threads", "loop"])
def test_a_server_of_grpc_shows_what_the_messages_are_framed_to(how: str, as_filter: bool) -> None:
    module: Any = proxyless.grpc if how == "threads" else proxyless.grpc.aio
    reads = Reads(100)
    with governed(reads, as_filter=as_filter) as mesh:
        chain_ = [module.ServerInterceptor(mesh, port=8080)]
        opening = [lambda server: server.add_insecure_port("127.0.0.1:0")]
        served = serving(chain_, opening) if how == "threads" else serving_aio(lambda: chain_, opening)
        with served as (port,), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            made: Any = channel
            assert made.unary_unary(f"{SERVICE}UnaryUnary")(b"x", timeout=30)
            assert list(made.stream_stream(f"{SERVICE}StreamStream")(iter([b"a", b"b"]), timeout=30))
            with pytest.raises(grpc.RpcError):
                made.unary_unary(f"{SERVICE}UnaryUnary")(b"x" * 101, timeout=30)
    assert reads.seen == [framed(b"x"), framed(b"a") + framed(b"b")]


class Named(Reads):
    def on_request(self, request: Request) -> None:
        super().on_request(request)
        request.headers["x-seen"] = "yes"


@pytest.mark.parametrize("how", ["threads", "loop"])
def test_so_does_a_channel(how: str) -> None:
    reads = Named(100)
    with Served("a") as server:
        held = snapshot(
            tables=[table(route("/", "a"))], clusters=[cluster("a", f"127.0.0.1:{server.port}", http2=True)]
        )
        with Mesh._from_snapshot(held, policies=[reads]) as mesh:
            if how == "threads":
                with proxyless.grpc.channel("shop:80", mesh) as opened:
                    channel: Any = opened
                    assert channel.unary_unary(f"{ASKED}Get")(b"x", timeout=30) == b"a:x"
                    assert channel.stream_unary(f"{ASKED}Join")(iter([b"a", b"b"]), timeout=30) == b"a,b"
                    with pytest.raises(grpc.RpcError):
                        channel.unary_unary(f"{ASKED}Get")(b"x" * 101, timeout=30)
            else:
                asyncio.run(asked(mesh))
        assert [seen["x-seen"] for _, seen in server.take()] == ["yes", "yes"]
    assert reads.seen == [framed(b"x"), framed(b"a") + framed(b"b")]


async def asked(mesh: Mesh) -> None:
    async with proxyless.grpc.aio.channel("shop:80", mesh) as opened:
        channel: Any = opened
        assert await channel.unary_unary(f"{ASKED}Get")(b"x", timeout=30) == b"a:x"
        assert await channel.stream_unary(f"{ASKED}Join")(iter([b"a", b"b"]), timeout=30) == b"a,b"
        with pytest.raises(grpc.RpcError):
            await channel.unary_unary(f"{ASKED}Get")(b"x" * 101, timeout=30)
