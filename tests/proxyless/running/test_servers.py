"""Real servers below `proxyless run`: requests to their apps are governed, once, without a change to the code."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import aiohttp.web
import httpx
import pytest
from gunicorn.workers.base import Worker  # type: ignore[import-untyped]

import proxyless
import proxyless.aiohttp
from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.server import serve
from tests.proxyless.test_server_matrix import APPS, GUNICORN, Served
from tests.proxyless.test_server_matrix import address as address

RUN = ("proxyless.cli", "run", "--")
OWN = GUNICORN.replace(":wsgi", ":app")
ASGI = OWN.replace(":app", ":asgi_app")
SERVERS = {
    "uvicorn": f"uvicorn {APPS}:asgi_app --port PORT",
    "uvicorn, governed by its code": f"uvicorn {APPS}:asgi --port PORT",
    "gunicorn, sync": OWN,
    "gunicorn, gevent": f"{OWN} -k gevent",
    "gunicorn, asgi": f"{ASGI} -k asgi",
    "granian": f"granian {APPS}:asgi_app --interface asgi --port PORT",
    "flask": f"flask --app {APPS}:flask_app() run --port PORT",
    "aiohttp": f"aiohttp.web -H 127.0.0.1 -P PORT {APPS}:aiohttp_app",
    "hypercorn": f"hypercorn {APPS}:asgi_app --bind 127.0.0.1:PORT",
    "waitress, governed by its code": f"waitress --listen=127.0.0.1:PORT {APPS}:wsgi",
}
MORE = {
    "uvicorn, of WSGI": f"uvicorn {APPS}:app --interface wsgi --port PORT",
    "gunicorn, gthread, preload": f"{OWN} --threads 2 --preload",
    "gunicorn, governed by its code": GUNICORN,
    "gunicorn, uvicorn's worker": f"{ASGI} -k uvicorn_worker.UvicornWorker",
    "granian, WSGI": f"granian {APPS}:app --interface wsgi --port PORT",
    "hypercorn, of WSGI": f"hypercorn {APPS}:app --bind 127.0.0.1:PORT",
    "waitress": f"waitress --listen=127.0.0.1:PORT {APPS}:app",
}
"""Those of `make e2e`."""
COUNTED = re.compile(
    r'^istio_requests_total\{.*reporter="destination".*response_code="(\d+)".* ([\d.]+)$', re.MULTILINE
)
TWICE = "governed already"
STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
"""


@contextmanager
def serving(command: str, address: str, folder: Path, *before: str) -> Iterator[tuple[Served, httpx.Client]]:
    """A server's process, and a client of it."""
    module = command.split()[0]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    served = Served(command, address, folder, *before)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{served.port}", trust_env=False, timeout=60) as client:
            yield served, client
    finally:
        served.close()


@pytest.mark.parametrize("name", SERVERS)
def test_requests_are_governed_once(name: str, address: str, tmp_path: Path) -> None:
    are_governed_once(SERVERS[name], address, tmp_path)


def are_governed_once(command: str, address: str, folder: Path) -> None:
    """A server's process, from its start to its end."""
    with serving(command, address, folder, *RUN) as (served, client):
        answers = [
            served.first_answer(client),
            client.post("/", content=b"x" * 100_000),
            client.get("/stream"),
            client.get("/%64enied"),
        ]
        metrics = client.get("/metrics")
        limited = client.get("/")
    log = served.log.read_text()
    assert [(each.status_code, each.text) for each in answers] == [
        (200, "0"),
        (200, "100000"),
        (200, "0,1,2,"),
        (403, "RBAC: access denied"),
    ], log
    counted = {code: float(count) for code, count in COUNTED.findall(metrics.text) if code != "503"}
    assert counted == {"200": 3, "403": 1}
    assert (limited.status_code, limited.text) == (429, "local_rate_limited")
    assert TWICE not in log


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn, sync"])
def test_every_worker_is_governed(server: str, address: str, tmp_path: Path) -> None:
    with serving(f"{SERVERS[server]} --workers 2", address, tmp_path, *RUN) as (served, client):
        served.first_answer(client)
        url = f"{client.base_url}/denied"
        assert {httpx.get(url, trust_env=False, timeout=60).status_code for _ in range(20)} <= {403, 429, 503}


def test_messages_that_are_no_requests_go_through(address: str, tmp_path: Path) -> None:
    async def talk(port: int) -> str:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await session.ws_connect(f"http://127.0.0.1:{port}/denied")
            async with session.ws_connect(f"http://127.0.0.1:{port}/") as socket:
                await socket.send_str("hello")
                return await socket.receive_str()

    with serving(SERVERS["uvicorn"], address, tmp_path, *RUN) as (served, client):
        served.first_answer(client)
        said = asyncio.run(asyncio.wait_for(talk(served.port), 60))
    assert said == "hello begun"


@pytest.mark.parametrize("skipped", ["uvicorn", "incoming"])
def test_a_server_can_be_left_alone(skipped: str, address: str, tmp_path: Path) -> None:
    before = (*RUN[:-1], "--skip", skipped, "--")
    with serving(SERVERS["uvicorn"], address, tmp_path, *before) as (served, client):
        answer = served.first_answer(client)
        assert (answer.status_code, client.get("/denied").status_code) == (200, 200)
    assert "governs incoming requests of uvicorn" not in served.log.read_text()


class OwnWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """Of nobody that `run` knows."""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (f"{OWN} -k tests.proxyless.running.test_servers.OwnWorker", "gunicorn's worker tests.proxyless.running."),
        (f"granian {APPS}:app --interface rsgi --port PORT", "an app of RSGI"),
    ],
)
def test_what_cannot_be_governed_does_not_start(command: str, said: str, address: str, tmp_path: Path) -> None:
    with serving(command, address, tmp_path, *RUN) as (served, _):
        assert served.process.wait(120) != 0
    assert f"UnsupportedError: incoming requests of {said}" in served.log.read_text()


def test_an_application_that_is_frozen_is_refused() -> None:
    app = aiohttp.web.Application()
    app.freeze()
    with pytest.raises(proxyless.UnsupportedError, match=r"frozen before it is served .*--skip aiohttp\.web"):
        proxyless.aiohttp.govern_application(app)


def test_a_port_that_takes_mtls_only_is_closed_to_what_comes_in_the_clear(tmp_path: Path) -> None:
    (tmp_path / "istio").mkdir()
    (tmp_path / "istio" / "strict.yaml").write_text(STRICT)
    plane = Plane(FolderSource(tmp_path / "istio"))
    server = serve(plane, "127.0.0.1:0")
    refused = f"xds://{server.address}"
    said = ""
    try:
        with serving(SERVERS["uvicorn"], refused, tmp_path, *RUN) as (served, client):
            end = time.monotonic() + 200
            while "mTLS" not in said and time.monotonic() < end and served.process.poll() is None:
                try:
                    answer = client.get("/")
                except httpx.TransportError:
                    answer = None
                if answer is not None:
                    assert answer.status_code == 503
                    said = answer.text
                time.sleep(0.1)  # the pause between two looks at a condition
            assert f"port {served.port} takes mTLS only, and this connection is plaintext" in said
    finally:
        server.stop()
        plane.close()
    assert "a port that takes mTLS only (STRICT) refuses all requests" in served.log.read_text()
