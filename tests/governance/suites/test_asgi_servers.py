"""The ASGI middleware under real servers: uvicorn and hypercorn, HTTP/1.1, HTTP/2, a client that goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import proxyless
from tests.governance.suites.test_asgi import FOLDER, STOREFRONT, Heard
from tests.support.serving import Serve, Server, by_hypercorn, by_uvicorn
from tests.support.waiting import wait_for

SERVERS = {"uvicorn": by_uvicorn(lifespan="on"), "hypercorn": by_hypercorn()}


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


@pytest.fixture(params=SERVERS)
def serve(request: pytest.FixtureRequest) -> Serve:
    return SERVERS[request.param]


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[proxyless.Mesh]:
    with proxyless.Mesh.from_config(tmp_path, node=proxyless.Node(app="web"), registry=False) as made:
        made.wait_ready(10)
        yield made


def test_requests_pass_normalized_with_their_bodies(serve: Serve, mesh: proxyless.Mesh) -> None:
    app, heard = App(), Heard(mesh)
    with Server(proxyless.asgi.Middleware(app, mesh), serve) as server, httpx.Client(trust_env=False) as client:
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
        with Server(app, serve) as server, httpx.Client(trust_env=False) as client:
            responses = [client.get(server.url) for _ in range(4)]
    assert [each.status_code for each in responses] == [200, 200, 429, 429]
    assert responses[2].text == "local_rate_limited"
    assert [each.headers["x-ratelimit-remaining"] for each in responses] == ["1", "0", "0", "0"]


def test_an_app_that_fails_is_a_500(serve: Serve, mesh: proxyless.Mesh) -> None:
    heard = Heard(mesh)
    app = proxyless.asgi.Middleware(App(), mesh)
    with Server(app, serve) as server, httpx.Client(trust_env=False) as client:
        assert client.get(f"{server.url}/fails").status_code == 500
        assert client.get(server.url).status_code == 200
        wait_for(lambda: len(heard.requests) == 2)
    assert [each.status for each in heard.requests] == [500, 200]


def test_a_client_that_goes_away_ends_its_request(serve: Serve, mesh: proxyless.Mesh) -> None:
    heard = Heard(mesh)
    app = proxyless.asgi.Middleware(App(), mesh)
    with Server(app, serve) as server:
        with httpx.Client(trust_env=False) as client, client.stream("GET", f"{server.url}/endless") as response:
            assert response.status_code == 200
            assert next(response.iter_raw())
        wait_for(lambda: len(heard.requests) == 1)
    assert (heard.requests[0].status, heard.requests[0].flags) == (200, ("DC",))
    assert heard.requests[0].sent > 0


def test_http2_with_prior_knowledge(mesh: proxyless.Mesh) -> None:
    app, heard = App(), Heard(mesh)
    with (
        Server(proxyless.asgi.Middleware(app, mesh), SERVERS["hypercorn"]) as server,
        httpx.Client(trust_env=False, http1=False, http2=True) as client,
    ):
        for _ in range(3):
            response = client.post(f"{server.url}/a/../b", content=b"xyz")
            assert (response.text, response.http_version) == ("3", "HTTP/2")
        wait_for(lambda: len(heard.requests) == 3)
    assert app.versions == ["2", "2", "2"]
    assert {each.status for each in heard.requests} == {200}
