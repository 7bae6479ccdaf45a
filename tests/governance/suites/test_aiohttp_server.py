"""An aiohttp application behind the mesh's middleware, over real connections."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

import proxyless.aiohttp
from proxyless.xds.model.snapshot import Snapshot
from tests.governance.suites.test_asgi import FOLDER, STOREFRONT, Heard
from tests.support.denying import denying

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(
    mesh: proxyless.Mesh | None, handler: Handler, *, port: int | None = 8000, outer: Any = (), own: Any = ()
) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """A client that nobody governs, and where the application is."""
    app = web.Application(middlewares=[*outer, proxyless.aiohttp.server(mesh, port=port), *own])
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with aiohttp.ClientSession() as client:
            yield client, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.path} {await request.text()}", headers={"x-app": "1"})


async def never(request: web.Request) -> web.Response:
    raise AssertionError("the app was asked")


def run(work: Any) -> Any:
    return asyncio.run(asyncio.wait_for(work, 60))


def mesh_of(folder: Path, policy: str = "") -> proxyless.Mesh:
    if policy:
        (folder / "policy.yaml").write_text(policy)
    made = proxyless.Mesh.from_config(folder, node=proxyless.Node(app="web"), registry=False)
    made.wait_ready(20)
    return made


def test_what_passes_is_the_apps_and_is_told_of(tmp_path: Path) -> None:
    async def streamed(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"x-app": "1"})
        await response.prepare(request)
        await response.write(await request.read())
        await response.write(b"!")
        return response

    async def missing(request: web.Request) -> web.Response:
        raise web.HTTPNotFound(text="nowhere")

    async def broken(request: web.Request) -> web.Response:
        raise ZeroDivisionError

    async def socket(request: web.Request) -> web.StreamResponse:
        made = web.WebSocketResponse()
        await made.prepare(request)
        async for message in made:
            await made.send_str(message.data)
        return made

    async def work(mesh: proxyless.Mesh) -> None:
        heard = Heard(mesh)
        for handler, status, text in (
            (hello, 200, "/a body"),
            (streamed, 200, "body!"),
            (missing, 404, "nowhere"),
            (broken, 500, ""),
        ):
            async with serving(mesh, handler) as (client, url), client.post(f"{url}/a", data=b"body") as response:
                assert response.status == status
                said = await response.text()
                assert said == text if text else "500" in said
                assert response.headers["server"] != ""
        assert [(each.status, each.flags) for each in heard.requests] == [(200, ()), (200, ()), (404, ()), (500, ())]
        assert heard.requests[0].received == 4
        async with serving(mesh, socket) as (client, url), client.ws_connect(url) as made:
            await made.send_str("x")
            assert await made.receive_str() == "x"
        assert heard.last()[:2] == (101, "-")

    with mesh_of(tmp_path) as mesh:
        run(work(mesh))


def test_what_the_filters_refuse_never_reaches_the_app() -> None:
    async def work(mesh: proxyless.Mesh) -> None:
        heard = Heard(mesh)
        async with serving(mesh, hello) as (client, url):
            told = []
            for _ in range(3):
                async with client.get(f"{url}/", headers={"host": "storefront"}) as response:
                    told.append((response.status, response.headers.get("content-type"), await response.text()))
        assert [status for status, _, _ in told] == [200, 200, 429]
        assert told[2] == (429, "text/plain", "local_rate_limited")
        assert heard.last()[:2] == (429, "RL")
        assert heard.last()[3] == len("local_rate_limited")

    with proxyless.Mesh.from_config(FOLDER, node=STOREFRONT, registry=False) as mesh:
        mesh.wait_ready(20)
        run(work(mesh))


def test_the_path_that_was_decided_on_is_the_one_that_the_app_gets(tmp_path: Path) -> None:
    """Nothing hides behind `..` or `//`: what the policy saw is what is served."""

    async def work(mesh: proxyless.Mesh) -> None:
        seen: list[str] = []

        async def handler(request: web.Request) -> web.Response:
            seen.append(request.path)
            return web.Response(text="ok")

        async with serving(mesh, handler) as (_, url):
            port = int(url.rpartition(":")[2])
            for path in ("/open/../secret", "/secret/x", "/open/./x", "/plain"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(f"GET {path} HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n".encode())
                status = (await reader.read()).split(b" ")[1]
                writer.close()
                assert status == (b"403" if "secret" in path else b"200"), path
        assert seen == ["/open/x", "/plain"]

    with mesh_of(tmp_path, denying("/secret*")) as mesh:
        run(work(mesh))


def test_nothing_comes_in_before_the_first_configuration() -> None:
    async def work(mesh: proxyless.Mesh) -> None:
        async with serving(mesh, never) as (client, url), client.get(url) as response:
            assert response.status == 503

    with proxyless.Mesh._from_snapshot(Snapshot(), status_socket=False) as mesh:
        run(work(mesh))


def test_the_port_is_that_of_the_socket(tmp_path: Path) -> None:
    async def work(mesh: proxyless.Mesh) -> None:
        heard = Heard(mesh)
        async with serving(mesh, hello, port=None) as (client, url), client.get(url) as response:
            assert response.status == 200
        assert heard.requests[0].port == int(url.rpartition(":")[2])

    with mesh_of(tmp_path) as mesh:
        run(work(mesh))


def test_the_switch_lets_everything_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYLESS_DISABLE", "1")

    async def work() -> None:
        async with serving(None, hello) as (client, url), client.get(url) as response:
            assert response.status == 200

    run(work())


def test_a_request_that_is_answered_is_gone_without_the_collector_of_cycles(tmp_path: Path) -> None:
    seen: list[weakref.ref[web.BaseRequest]] = []

    @web.middleware
    async def outer(request: web.Request, handler: Handler) -> web.StreamResponse:
        seen.append(weakref.ref(request))
        return await handler(request)

    async def handler(request: web.Request) -> web.Response:
        seen.append(weakref.ref(request))
        return await hello(request)

    async def work(mesh: proxyless.Mesh) -> None:
        async with serving(mesh, handler, outer=[outer]) as (client, url):
            for path in ("/a", "/a/../b", "/a"):
                async with client.get(URL(url + path, encoded=True)) as response:
                    assert response.status == 200
        assert len(seen) == 7  # a path that has become another one is asked for again
        assert [each() for each in seen[:5]] == [None] * 5  # its connection keeps the last one

    with mesh_of(tmp_path) as mesh:
        gc.collect()
        gc.disable()
        try:
            run(work(mesh))
        finally:
            gc.enable()


@pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
def test_a_body_that_was_read_before_is_the_apps_too(tmp_path: Path) -> None:
    @web.middleware
    async def reads(request: web.Request, handler: Handler) -> web.StreamResponse:
        assert await request.read() == b"body"
        request["noted"] = "outside"
        response = await handler(request)
        assert request["noted"] == "outside"
        return response

    async def handler(request: web.Request) -> web.Response:
        assert request["noted"] == "outside"
        request["noted"] = "inside"
        assert request.headers["x-forwarded-proto"] == "http"
        assert (b"x-forwarded-proto", b"http") in request.raw_headers
        assert request.headers["host"] == request.host
        return await hello(request)

    async def work(mesh: proxyless.Mesh) -> None:
        async with serving(mesh, handler, outer=[reads]) as (client, url), client.post(url, data=b"body") as response:
            assert (response.status, await response.text()) == (200, "/ body")

    with mesh_of(tmp_path) as mesh:
        run(work(mesh))
