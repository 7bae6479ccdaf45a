"""An app that is governed twice: each request is decided once, and the second layer says once that it does nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from flask import Flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import proxyless
import proxyless.aiohttp
import proxyless.asgi
import proxyless.grpc.aio
from proxyless.governance.suites._aiohttp.serving import ServerMiddleware
from proxyless.governance.suites._layers import governs_itself
from proxyless.governance.suites.asgi import AsgiMiddleware
from proxyless.governance.suites.wsgi import WsgiMiddleware
from tests.governance.suites import test_aiohttp_server, test_asgi, test_grpc_servers, test_wsgi

REQUESTS = 3


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[proxyless.Mesh]:
    with proxyless.Mesh.from_config(tmp_path, node=proxyless.Node(app="web"), registry=False) as made:
        made.wait_ready(10)
        yield made


def asgi(mesh: proxyless.Mesh) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    inner = proxyless.asgi.Middleware(app, mesh, port=8000)
    for _ in range(REQUESTS):
        assert test_asgi.serve(mesh, inner)[0]["status"] == 200


def wsgi(mesh: proxyless.Mesh) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("content-type", "text/plain")])
        return [b"here"]

    inner = proxyless.wsgi.Middleware(app, mesh, port=8000)
    outer = proxyless.wsgi.Middleware(inner, mesh, port=8000)
    for _ in range(REQUESTS):
        assert test_wsgi.Server(outer).ask() == b"here"


def aiohttp_server(mesh: proxyless.Mesh) -> None:
    async def go() -> None:
        second = proxyless.aiohttp.server(mesh, port=8000)
        async with test_aiohttp_server.serving(mesh, test_aiohttp_server.hello, own=[second]) as (client, url):
            for _ in range(REQUESTS):
                async with client.get(url) as response:
                    assert response.status == 200

    asyncio.run(asyncio.wait_for(go(), 60))


def grpc_server(how: str) -> Callable[[proxyless.Mesh], None]:
    def go(mesh: proxyless.Mesh) -> None:
        module: Any = proxyless.grpc if how == "threads" else proxyless.grpc.aio
        second = module.ServerInterceptor(mesh, port=9999)
        with contextlib.closing(second), test_grpc_servers.served(how, mesh, behind=(second,)) as port:
            for _ in range(REQUESTS):
                test_grpc_servers.call(port)

    return go


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("proxyless.asgi.Middleware", asgi),
        ("proxyless.wsgi.Middleware", wsgi),
        ("proxyless.aiohttp.server", aiohttp_server),
        ("proxyless.grpc.ServerInterceptor", grpc_server("threads")),
        ("proxyless.grpc.ServerInterceptor", grpc_server("loop")),
    ],
)
def test_a_second_layer_leaves_requests_alone_and_says_so_once(
    name: str, ask: Callable[[proxyless.Mesh], None], mesh: proxyless.Mesh, caplog: pytest.LogCaptureFixture
) -> None:
    ended = test_grpc_servers.Ended(mesh)
    ask(mesh)
    assert len(ended.seen) == REQUESTS
    said = [each.getMessage() for each in caplog.records if "governed already" in each.getMessage()]
    assert [each.partition(":")[0] for each in said] == [name]


def starlette(*middlewares: Any, mounted: Any = None) -> Any:
    routes = [Mount("/inner", mounted)] if mounted is not None else []
    return Starlette(routes=routes, middleware=[Middleware(each) for each in middlewares])


def flask(layer: Any = None) -> Any:
    made = Flask(__name__)
    if layer is not None:
        made.wsgi_app = layer(made.wsgi_app, None)  # type: ignore[method-assign]
    return made


def application(*middlewares: Any, below: Any = None) -> web.Application:
    made = web.Application(middlewares=middlewares)
    if below is not None:
        made.add_subapp("/inner", below)
    return made


def around(app: Any) -> Any:
    """As uvicorn wraps what it has loaded."""
    return ProxyHeadersMiddleware(app)


OWN: Any = ServerMiddleware(None, None)  # type: ignore[arg-type]  # no request comes to it


@pytest.mark.parametrize(
    ("app", "governed"),
    [
        (starlette(), False),
        (starlette(GZipMiddleware), False),
        (around(starlette(GZipMiddleware, proxyless.asgi.Middleware)), True),
        (starlette(mounted=starlette()), False),
        (starlette(mounted=AsgiMiddleware(starlette(), None)), True),
        (AsgiMiddleware(starlette(), None), True),
        (flask(), False),
        (flask(WsgiMiddleware), True),
        (DispatcherMiddleware(flask(), {"/inner": flask()}), False),
        (DispatcherMiddleware(flask(), {"/inner": flask(WsgiMiddleware)}), True),
        (application(), False),
        (application(OWN), True),
        (application(below=application()), False),
        (application(below=application(OWN)), True),
    ],
)
def test_an_app_that_is_governed_somewhere_is_known(app: object, governed: bool) -> None:
    assert governs_itself(app) is governed


def test_an_app_that_holds_itself_is_looked_at_once() -> None:
    app = flask()
    app.app = [app]
    assert not governs_itself(app)
