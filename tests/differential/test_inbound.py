"""What an app behind the recorded chains of incoming requests gets, and what its client: Envoy, and our suites."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from aiohttp import web

import proxyless.aiohttp
import proxyless.asgi
import proxyless.wsgi
from proxyless.mesh import Mesh
from tests.differential.conftest import SHOP
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording
from tests.differential.rig import Rig
from tests.support import envoy
from tests.support.behaviour import Headers
from tests.support.environs import answer_of, environ_of, variables

pytestmark = pytest.mark.envoy

ADDRESS = {"payment": "127.0.14.1", "frontend": "127.0.10.1"}
UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[49][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
VOLATILE = {"date", "server", "x-envoy-upstream-service-time", "content-length", "transfer-encoding", "connection"}
"""A server's own, or a proxy's (docs/differential.md)."""

SENT: list[Headers] = [
    (),
    (("x-request-id", "own"), ("x-forwarded-for", "10.1.1.1, 10.2.2.2"), ("x-forwarded-proto", "https")),
    (("x-envoy-max-retries", "9"), ("x-envoy-internal", "true"), ("x-envoy-force-trace", "1")),
    (("x-envoy-decorator-operation", "mine"), ("x-a", "1")),
    (("connection", "x-b, close"), ("x-b", "1"), ("keep-alive", "1"), ("te", "trailers, gzip"), ("x-c_d", "1")),
    (("accept", "a"), ("cookie", "a=1"), ("accept", "b"), ("cookie", "b=2"), ("via", "1.1 x"), ("x-a", "")),
    (("x-forwarded-client-cert", "Hash=1"), ("x-forwarded-host", "x"), ("x-forwarded-port", "1")),
    (("x-forwarded-proto", ""),),
]
ANSWERING = {f"envoy.filters.http.{name}" for name in ("jwt_authn", "rbac", "local_ratelimit")}
PATHS = ("/a?x=1", "/a/../b//c")


TYPE = [(b"content-type", b"application/json")]


def ask_app(mesh: Mesh, path: str, sent: Headers) -> tuple[int, Headers, Headers]:
    """Status, what the app got, what the client got."""
    got: list[tuple[bytes, bytes]] = []
    answered: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.extend(scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": TYPE})
        await send({"type": "http.response.body", "body": b""})

    async def take(message: Any) -> None:
        answered.append(message)

    async def nothing() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    target, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": target,
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "client": ("127.0.10.9", 1),
        "server": ("127.0.0.1", 8080),
        "headers": [(b"host", b"app"), *((name.encode(), value.encode()) for name, value in sent)],
    }
    asyncio.run(proxyless.asgi.Middleware(app, mesh, port=8080)(scope, nothing, take))
    return answered[0]["status"], plain(got), plain(answered[0]["headers"])


def ask_wsgi(mesh: Mesh, path: str, sent: Headers) -> tuple[int, Headers, Headers]:
    """The same of an app that is told by variables."""
    got: list[tuple[str, str]] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        got.extend(environ.items())
        start_response("200 OK", [("content-type", "application/json")])
        return [b""]

    environ = environ_of("GET", path, (("host", "app"), *sent), client=("127.0.10.9", 1), port=8080)
    status, answered, _ = answer_of(proxyless.wsgi.Middleware(app, mesh, port=8080), environ)
    headers = [(key, value) for key, value in got if key.startswith(("HTTP_", "CONTENT_"))]
    return status, plain(sorted(headers)), plain(answered)


def ask_aiohttp(mesh: Mesh, asked: list[tuple[str, Headers]]) -> list[tuple[int, Headers, Headers]]:
    """The same of an application of aiohttp's, over connections: one request after the other."""
    got: list[tuple[bytes, bytes]] = []

    async def handler(request: web.Request) -> web.Response:
        got.extend((name.lower().encode(), value.encode()) for name, value in request.headers.items())
        return web.Response(content_type="application/json")

    async def work() -> list[tuple[int, Headers, Headers]]:
        app = web.Application(middlewares=[proxyless.aiohttp.server(mesh, port=8080)])
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        found = []
        for path, sent in asked:
            got.clear()
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.10.9", 0))
            lines = [f"GET {path} HTTP/1.1", "host: app", *(f"{name}: {value}" for name, value in sent)]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            writer.close()
            answered = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in head[1:-2])]
            found.append((int(head[0].split()[1]), plain(got), plain(answered)))
        await runner.cleanup()
        return found

    return asyncio.run(work())


def plain(headers: Any) -> Headers:
    """As text, ids that were made alike."""
    text = [tuple(each.decode() if isinstance(each, bytes) else each for each in pair) for pair in headers]
    return tuple((name, UUID.sub("<id>", value)) for name, value in text if name not in VOLATILE)


@pytest.mark.parametrize("label", ADDRESS)
def test_apps_and_their_clients_get_what_envoy_gives_them(label: str) -> None:
    envoy.require()
    recording = Recording.load(SHOP / label)
    for held in recording.listeners.values():
        _let_through(held)
    asked = [(path, sent) for path in PATHS for sent in SENT]
    with (
        Rig(recording, listener="virtualInbound") as rig,
        mesh_on(rig.recording) as mesh,
    ):
        theirs = []
        for path, sent in asked:
            seen = rig.send("GET", path, *sent, host="app", to=(ADDRESS[label], 8080))
            arrived = plain(seen.arrivals[0].headers) if seen.arrivals else ()
            theirs.append((seen.response.status, arrived, plain(seen.response.headers)))
        ours = [ask_app(mesh, path, sent) for path, sent in asked]
        by_aiohttp = ask_aiohttp(mesh, asked)
        by_variables = [ask_wsgi(mesh, path, sent) for path, sent in asked]
    for request, one, other, third, fourth in zip(asked, theirs, ours, by_variables, by_aiohttp, strict=True):
        assert other == one, request
        assert fourth == one, request
        status, arrived, answered = one
        assert third == (status, tuple(sorted(variables(arrived).items())), answered), request


def _let_through(value: Any) -> None:
    """Filters that would answer themselves go."""
    if isinstance(value, list):
        value[:] = [each for each in value if not (isinstance(each, dict) and each.get("name") in ANSWERING)]
        for each in value:
            _let_through(each)
    elif isinstance(value, dict):
        for each in value.values():
            _let_through(each)
