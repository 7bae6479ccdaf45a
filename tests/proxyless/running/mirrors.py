"""Apps that say what they are told of a request: their servers know nothing of the mesh."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

import proxyless


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Of WSGI."""
    start_response("200 OK", [("content-type", "application/json")])
    return [told(environ["wsgi.url_scheme"], environ.get("HTTP_X_FORWARDED_CLIENT_CERT"))]


def told(scheme: str, certificate: str | None) -> bytes:
    """Of the connection."""
    peer = proxyless.tls.peer()
    return json.dumps({"scheme": scheme, "xfcc": certificate, "uris": peer.uri_sans if peer else []}).encode()


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Of ASGI."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    headers = {name: value.decode() for name, value in scope["headers"]}
    body = told(scope["scheme"], headers.get(b"x-forwarded-client-cert"))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


def aiohttp_app(arguments: list[str]) -> Any:  # of `python -m aiohttp.web`
    """Of aiohttp."""
    from aiohttp import web

    async def answer(request: web.Request) -> web.Response:
        assert request.url.scheme == request.scheme
        return web.Response(body=told(request.scheme, request.headers.get("x-forwarded-client-cert")))

    made = web.Application()
    made.router.add_route("*", "/{path:.*}", answer)
    return made


def flask_app() -> Any:
    """The one of WSGI, as Flask's development server takes it."""
    from flask import Flask

    made = Flask(__name__)
    made.wsgi_app = app  # type: ignore[method-assign]
    return made


if os.environ.get("SERVED_PORT"):
    governed = proxyless.asgi.Middleware(asgi)
