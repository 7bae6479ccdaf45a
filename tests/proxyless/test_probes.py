"""Probes and scrapes in the clear, beside an app whose port is STRICT."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import httpx
import pytest
from prometheus_client import CollectorRegistry

import proxyless
from proxyless.probes import Probes
from tests.governance.suites.served import LEDGER
from tests.support.serving import Server

LIVE = "/app-health/ledger/livez"


@pytest.fixture
def mesh() -> Iterator[proxyless.Mesh]:
    """The recorded chain of a workload that is STRICT, without a certificate: nothing gets in by its port."""
    with proxyless.Mesh.from_recorded(LEDGER, registry=False) as made:
        yield made


async def app(scope: Any, receive: Any, send: Any) -> None:
    path = scope["path"]
    status, headers, body = 200, [], b""
    if path == "/moved":
        status, headers = 302, [(b"location", b"/well?a=b")]
    elif path == "/elsewhere":
        status, headers = 302, [(b"location", b"http://other.example/")]
    elif path == "/round":
        status, headers = 302, [(b"location", b"/round")]
    elif path == "/hangs":
        await asyncio.Event().wait()
    elif path == "/fails":
        raise RuntimeError("down")
    elif path == "/ill":
        status = 503
    else:
        told = {name.decode(): value.decode() for name, value in scope["headers"]}
        body = json.dumps([path, scope["query_string"].decode(), told["host"], told.get("x-probe")]).encode()
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def probers(**said: Any) -> str:
    return json.dumps({LIVE: {**said, "timeoutSeconds": 1}})


def ask(mesh: proxyless.Mesh, said: str, target: str = LIVE, **options: Any) -> httpx.Response:
    governed = proxyless.asgi.Middleware(app, mesh, port=8080)

    async def asked() -> httpx.Response:
        with Probes(governed, mesh, host="127.0.0.1", port=0, probers=said, **options) as probes:
            async with httpx.AsyncClient(trust_env=False) as client:
                url = f"http://127.0.0.1:{probes.port}{target}"
                return await client.get(url, headers={"x-probe": "1"})

    return asyncio.run(asked())


def test_a_probe_reaches_the_app_past_policies_that_refuse_everybody_else(mesh: proxyless.Mesh) -> None:
    with Server(proxyless.asgi.Middleware(app, mesh, port=8080)) as server:
        refused = httpx.get(f"http://127.0.0.1:{server.port}/well", trust_env=False)
    assert refused.status_code == 503
    answer = ask(mesh, probers(httpGet={"path": "/well?x=y", "port": 8080}))
    assert answer.status_code == 200
    assert answer.json() == ["/well", "x=y", "127.0.0.1:8080", "1"]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/ill", 503), ("/fails", 500), ("/hangs", 500), ("/moved", 200), ("/elsewhere", 200), ("/round", 500)],
)
def test_the_answer_is_what_the_kubelet_makes_of_the_apps(mesh: proxyless.Mesh, path: str, status: int) -> None:
    answer = ask(mesh, probers(httpGet={"path": path, "port": 8080}))
    assert answer.status_code == status
    if path == "/moved":
        assert answer.json()[:2] == ["/well", "a=b"]


def test_another_port_is_asked_over_loopback(mesh: proxyless.Mesh) -> None:
    with Server(app) as server:
        answer = ask(mesh, probers(httpGet={"path": "well", "port": server.port, "scheme": "HTTP"}))
        assert answer.json() == ["/well", "", f"127.0.0.1:{server.port}", "1"]
        assert ask(mesh, probers(tcpSocket={"port": server.port})).status_code == 200
    assert ask(mesh, probers(tcpSocket={"port": server.port})).status_code == 500
    assert ask(mesh, probers(httpGet={"path": "/", "port": server.port})).status_code == 500


def test_a_grpc_probe_asks_the_health_service(mesh: proxyless.Mesh) -> None:
    def check(request: bytes, context: Any) -> bytes:
        return b"\x08\x01" if request == b"\n\x04shop" else b"\x08\x02"

    handler = grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check)}
    )
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        assert ask(mesh, probers(grpc={"port": port, "service": "shop"})).status_code == 200
        assert ask(mesh, probers(grpc={"port": port})).status_code == 500
    finally:
        server.stop(None).wait()


def test_readiness_and_metrics_are_there_too(mesh: proxyless.Mesh) -> None:
    assert ask(mesh, "", "/healthz/ready").status_code == 200
    registry = CollectorRegistry()
    with proxyless.Mesh.from_recorded(LEDGER, registry=registry) as counted:
        for path in ("/stats/prometheus", "/metrics"):
            assert "proxyless_" in ask(counted, "", path, registry=registry).text
    assert ask(mesh, "", "/quitquitquit").status_code == 404
    assert ask(mesh, "", LIVE).status_code == 400


def test_post_drain_fails_the_readiness_for_good(mesh: proxyless.Mesh) -> None:
    with Probes(None, mesh, host="127.0.0.1", port=0) as probes:
        url = f"http://127.0.0.1:{probes.port}"
        assert [httpx.get(f"{url}{path}").status_code for path in ("/healthz/ready", "/drain")] == [200, 405]
        assert httpx.post(f"{url}/healthz/ready").status_code == 404
        assert httpx.get(f"{url}/healthz/ready").status_code == 200
        assert probes._post("/drain", "192.0.2.1")[0] == 403
        assert httpx.post(f"{url}/drain").text == "OK\n"
        ready = httpx.get(f"{url}/healthz/ready")
        assert (ready.status_code, ready.text) == (503, "draining\n")


def test_a_mesh_without_configuration_is_not_ready() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"xds://127.0.0.1:{nobody.getsockname()[1]}"
        with proxyless.Mesh(url, node=proxyless.Node(), registry=False, cache_dir=False) as mesh:
            assert ask(mesh, "", "/healthz/ready").status_code == 503


def test_without_an_app_no_event_loop_is_needed(mesh: proxyless.Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(app) as server:
        monkeypatch.setenv("ISTIO_KUBE_APP_PROBERS", probers(httpGet={"path": "/well", "port": server.port}))
        with Probes(mesh=mesh, host="127.0.0.1", port=0) as probes:
            answer = httpx.get(f"http://127.0.0.1:{probes.port}{LIVE}", trust_env=False)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "said",
    [
        "no JSON",
        "[]",
        json.dumps({"/elsewhere": {"httpGet": {"port": 1}}}),
        json.dumps({LIVE: {}}),
        json.dumps({LIVE: {"httpGet": {"port": 1}, "grpc": {"port": 1}}}),
        json.dumps({LIVE: {"httpGet": {"port": "http"}}}),
        json.dumps({LIVE: {"tcpSocket": {}}}),
    ],
)
def test_probes_that_make_no_sense_are_an_error(mesh: proxyless.Mesh, said: str) -> None:
    with pytest.raises(proxyless.ConfigurationError, match="ISTIO_KUBE_APP_PROBERS"):
        Probes(mesh=mesh, probers=said)
