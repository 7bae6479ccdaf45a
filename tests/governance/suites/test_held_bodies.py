"""Bodies that a buffer filter holds: an app gets them whole or never, an asynchronous call sends them with a length."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp import web

from proxyless.governance.actions import Collect
from proxyless.governance.suites._aiohttp.serving import ServerMiddleware
from proxyless.governance.suites._async import AsyncGovernedPool
from proxyless.governance.suites.asgi import AsgiMiddleware
from proxyless.xds.model.filters import Buffer, HttpFilter
from tests.support.model import chain, listener, manager, route, table
from tests.support.world import World

HELD = World(
    listeners=[listener("virtualInbound", chain(manager(table(route()), HttpFilter("b", Buffer(5))), "app"))]
).runtime


def served(*parts: bytes, kind: str = "http") -> tuple[list[Any], list[bytes]]:
    """What the server is told, and what the app received."""
    told: list[Any] = []
    got: list[bytes] = []
    pending = [
        {"type": "http.request", "body": part, "more_body": number < len(parts) - 1}
        for number, part in enumerate(parts)
    ]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (b"content-length", b"%d" % sum(map(len, parts))) in scope["headers"] or not any(parts)
        more = True
        while more:
            message = await receive()
            got.append(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Any:
        return pending.pop(0)

    async def send(message: Any) -> None:
        told.append(message)

    scope = {"type": kind, "method": "POST", "path": "/", "query_string": b"", "headers": [(b"host", b"shop")]}
    asyncio.run(AsgiMiddleware(app, HELD, 8080)(scope, receive, send))
    return told, got


@pytest.mark.parametrize("parts", [(b"",), (b"abc",), (b"ab", b"c", b"de")])
def test_an_app_gets_a_body_as_it_came(parts: tuple[bytes, ...]) -> None:
    told, got = served(*parts)
    assert (told[0]["status"], got) == (200, list(parts))


def test_an_app_never_hears_of_one_that_is_too_long() -> None:
    told, got = served(b"abc", b"def", b"ghi")
    assert (told[0]["status"], told[1]["body"], got) == (413, b"Payload Too Large", [])


@pytest.mark.parametrize("parts", [(), (b"abc",), (b"ab", b"c", b"de"), (b"abc", b"def", b"ghi")])
def test_so_does_an_application_of_aiohttps(parts: tuple[bytes, ...]) -> None:
    got: list[bytes] = []

    async def handler(request: web.Request) -> web.Response:
        got.append(await request.read())
        assert await request.read() == got[-1]
        return web.Response(text="ok")

    async def body() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    async def work() -> tuple[int, str]:
        app = web.Application(middlewares=[ServerMiddleware(HELD, 8080)])
        app.router.add_post("/", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = "http://{}:{}/".format(*runner.addresses[0])
        async with aiohttp.ClientSession() as client, client.post(url, data=body()) as response:
            found = response.status, await response.text()
        await runner.cleanup()
        return found

    whole = b"".join(parts)
    if len(whole) <= 5:
        assert (asyncio.run(work()), got) == ((200, "ok"), [whole])
    else:
        assert (asyncio.run(work()), got) == ((413, "Payload Too Large"), [])


@pytest.mark.parametrize(("most", "expected"), [(6, 6), (3, 4)])
def test_an_asynchronous_call_reads_its_body_as_far_as_it_may(most: int, expected: int) -> None:
    class Pieces:
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in (b"ab", b"cd", b"ef"):
                yield piece

    request = SimpleNamespace(stream=Pieces())
    exchange: Any = SimpleNamespace(request=request, library=SimpleNamespace(byte_stream=httpx.ByteStream))
    assert asyncio.run(AsyncGovernedPool.collect(exchange, Collect(most))) == expected
    if expected == 6:
        assert list(request.stream) == [b"abcdef"]
