"""The ASGI middleware under real servers: uvicorn and hypercorn, HTTP/1.1, HTTP/2, a client that goes away."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import hypercorn.asyncio
import hypercorn.config
import pytest
import uvicorn

import proxyless
from tests.governance.suites.test_asgi import FOLDER, STOREFRONT, Heard
from tests.support.waiting import wait_for

Serve = Callable[[Any, socket.socket, asyncio.Event], Coroutine[Any, Any, None]]


async def by_uvicorn(app: Any, sock: socket.socket, stop: asyncio.Event) -> None:
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on"))
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    await stop.wait()
    server.should_exit = True
    await serving


async def by_hypercorn(app: Any, sock: socket.socket, stop: asyncio.Event) -> None:
    config = hypercorn.config.Config()
    config.bind = [f"fd://{sock.dup().detach()}"]
    config.loglevel = "CRITICAL"

    async def stopped() -> None:
        await stop.wait()

    await hypercorn.asyncio.serve(app, config, shutdown_trigger=stopped)


class Server:
    """An app served on a port of loopback, in a thread."""

    def __init__(self, serve: Serve, app: Any) -> None:
        self.app = app
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self._serve = serve
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve(self.app, self.socket, self._stop))
        self._loop.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        self.socket.close()
        assert not self._thread.is_alive()


class App:
    """Answers, streams without end at /endless, fails at /fails; knows whether its lifespan ran."""

    def __init__(self) -> None:
        self.lived: list[str] = []
        self.versions: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{kind}"
                self.lived.append(kind)
                await send({"type": f"lifespan.{kind}.complete"})
            return
        self.versions.append(scope["http_version"])
        if scope["path"] == "/fails":
            raise RuntimeError("the app's own")
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        body += message.get("body", b"")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-path", scope["raw_path"])]})
        if scope["path"] == "/endless":
            gone = asyncio.ensure_future(receive())
            while not gone.done():
                await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
                await asyncio.sleep(0.01)
            return
        await send({"type": "http.response.body", "body": b"%d" % len(body)})


@pytest.fixture(params=[by_uvicorn, by_hypercorn], ids=["uvicorn", "hypercorn"])
def serve(request: pytest.FixtureRequest) -> Serve:
    chosen: Serve = request.param
    return chosen


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[proxyless.Mesh]:
    with proxyless.Mesh.from_config(tmp_path, node=proxyless.Node(app="web"), registry=False) as made:
        made.wait_ready(10)
        yield made


def test_requests_pass_normalized_with_their_bodies(serve: Serve, mesh: proxyless.Mesh) -> None:
    app, heard = App(), Heard(mesh)
    with Server(serve, proxyless.asgi.Middleware(app, mesh)) as server, httpx.Client(trust_env=False) as client:
        assert client.post(f"{server.url}/a", content=b"x" * 200_000).text == "200000"
        assert client.get(f"{server.url}/%41?q=%41").headers["x-path"] == "/A"
        assert client.get(f"{server.url}/%00").status_code == 400
        wait_for(lambda: len(heard.requests) == 3)
    assert app.lived == ["startup", "shutdown"]
    assert [(each.status, each.received) for each in heard.requests] == [(200, 200_000), (200, 0), (400, 0)]
    assert [each.flags for each in heard.requests] == [(), (), ()]


def test_a_bucket_is_shared_by_all_requests_of_the_process(serve: Serve) -> None:
    with proxyless.Mesh.from_config(FOLDER, node=STOREFRONT, registry=False) as mesh:
        mesh.wait_ready(10)
        app = proxyless.asgi.Middleware(App(), mesh, port=8000)
        with Server(serve, app) as server, httpx.Client(trust_env=False) as client:
            responses = [client.get(server.url) for _ in range(4)]
    assert [each.status_code for each in responses] == [200, 200, 429, 429]
    assert responses[2].text == "local_rate_limited"
    assert [each.headers["x-ratelimit-remaining"] for each in responses] == ["1", "0", "0", "0"]


def test_an_app_that_fails_is_a_500(serve: Serve, mesh: proxyless.Mesh) -> None:
    heard = Heard(mesh)
    app = proxyless.asgi.Middleware(App(), mesh)
    with Server(serve, app) as server, httpx.Client(trust_env=False) as client:
        assert client.get(f"{server.url}/fails").status_code == 500
        assert client.get(server.url).status_code == 200
        wait_for(lambda: len(heard.requests) == 2)
    assert [each.status for each in heard.requests] == [500, 200]


def test_a_client_that_goes_away_ends_its_request(serve: Serve, mesh: proxyless.Mesh) -> None:
    heard = Heard(mesh)
    app = proxyless.asgi.Middleware(App(), mesh)
    with Server(serve, app) as server:
        with httpx.Client(trust_env=False) as client, client.stream("GET", f"{server.url}/endless") as response:
            assert response.status_code == 200
            assert next(response.iter_raw())
        wait_for(lambda: len(heard.requests) == 1)
    assert (heard.requests[0].status, heard.requests[0].flags) == (200, ("DC",))
    assert heard.requests[0].sent > 0


def test_http2_with_prior_knowledge(mesh: proxyless.Mesh) -> None:
    app, heard = App(), Heard(mesh)
    with (
        Server(by_hypercorn, proxyless.asgi.Middleware(app, mesh)) as server,
        httpx.Client(trust_env=False, http1=False, http2=True) as client,
    ):
        for _ in range(3):
            response = client.post(f"{server.url}/a/../b", content=b"xyz")
            assert (response.text, response.http_version) == ("3", "HTTP/2")
        wait_for(lambda: len(heard.requests) == 3)
    assert app.versions == ["2", "2", "2"]
    assert {each.status for each in heard.requests} == {200}
