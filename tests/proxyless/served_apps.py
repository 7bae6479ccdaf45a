"""The apps that real servers serve in `test_server_matrix`, and below `proxyless run`: they answer alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx
from prometheus_client import generate_latest

import proxyless


def called() -> bytes:
    """The cluster of a call out of this worker (nobody answers there), empty if it is not governed."""
    try:
        response = httpx.get("http://catalog.shop/items", headers={"x-user": "alice"}, timeout=60)
    except httpx.ConnectError:
        return b""
    cluster = response.extensions["proxyless"].cluster
    return b"" if cluster is None else str(cluster.name).encode()


def parts() -> Iterator[bytes]:
    """A body in parts."""
    for number in range(3):
        yield b"%d," % number


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Of WSGI."""
    path = environ["PATH_INFO"]
    length = len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    start_response("200 OK", [("content-type", "text/plain"), ("x-process", str(os.getpid()))])
    if path == "/stream":
        return parts()
    return [called() if path == "/call" else body(path, length)]


def body(path: str, length: int) -> bytes:
    """The length of a request's body, or what has been counted so far."""
    return generate_latest() if path == "/metrics" else b"%d" % length


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    """Of ASGI."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            scope["state"]["begun"] = "begun"
            await send({"type": f"lifespan.{kind}.complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        said = await receive()
        await send({"type": "websocket.send", "text": f"{said['text']} {scope['state']['begun']}"})
        await send({"type": "websocket.close"})
        return
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    headers = [(b"content-type", b"text/plain"), (b"x-process", b"%d" % os.getpid())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    bodies = parts() if scope["path"] == "/stream" else [body(scope["path"], length)]
    for each in bodies:
        await send({"type": "http.response.body", "body": each, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def flask_app() -> Any:
    """The one of WSGI, as Flask's development server takes it."""
    from flask import Flask

    made = Flask(__name__)
    made.wsgi_app = app  # type: ignore[method-assign]
    return made


def aiohttp_app(arguments: list[str]) -> Any:  # of `python -m aiohttp.web`
    """Of aiohttp."""
    from aiohttp import web

    async def answer(request: web.Request) -> web.StreamResponse:
        length = len(await request.read())
        if request.path != "/stream":
            return web.Response(body=body(request.path, length))
        response = web.StreamResponse()
        await response.prepare(request)
        for each in parts():
            await response.write(each)
        return response

    made = web.Application()
    made.router.add_route("*", "/{path:.*}", answer)
    return made


if os.environ.get("SERVED_PORT"):
    wsgi = proxyless.wsgi.Middleware(app, port=8000)
    asgi = proxyless.asgi.Middleware(asgi_app, port=8000)
