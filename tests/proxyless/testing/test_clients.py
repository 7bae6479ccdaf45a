"""The mesh of a test with the libraries that tests use: forced faults and ejections, and who is let in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import flask
import grpc
import pytest
import requests
import urllib3

import proxyless.aiohttp
import proxyless.grpc
import proxyless.requests
import proxyless.urllib3
import proxyless.wsgi
from proxyless.testing import MeshUnderTest
from tests.governance.suites.grpc_served import Served
from tests.support.backends import Backends
from tests.support.denying import denying

ADDRESS = ("127.0.0.1", 1)
URL = "http://catalog.shop/items"
EJECTING = """
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: catalog, namespace: shop}
    spec:
      host: catalog.shop.svc.cluster.local
      trafficPolicy:
        outlierDetection: {consecutive5xxErrors: 3, interval: 5s, baseEjectionTime: 30s, maxEjectionPercent: 100}
"""


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[MeshUnderTest]:
    with MeshUnderTest(tmp_path, app="web", namespace="shop") as made:
        yield made


def by_requests(mesh: MeshUnderTest) -> int:
    with requests.Session() as session:
        session.mount("http://", proxyless.requests.Adapter(mesh))
        return session.get(URL).status_code


def by_urllib3(mesh: MeshUnderTest) -> int:
    with proxyless.urllib3.PoolManager(mesh) as pool:
        return int(pool.request("GET", URL, retries=urllib3.Retry(0)).status)


def by_aiohttp(mesh: MeshUnderTest) -> int:
    async def call() -> int:
        async with (
            aiohttp.ClientSession(middlewares=[proxyless.aiohttp.middleware(mesh)]) as session,
            session.get(URL) as response,
        ):
            await response.read()
            return response.status

    return asyncio.run(call())


@pytest.mark.parametrize("call", [by_requests, by_urllib3, by_aiohttp])
def test_faults_and_ejections_reach_clients_of_http(mesh: MeshUnderTest, call: Callable[[MeshUnderTest], int]) -> None:
    with Backends([ADDRESS]) as backends:
        mesh.config(EJECTING)
        mesh.serve("catalog.shop", backends.ports[ADDRESS], name="only")
        assert call(mesh) == 200
        mesh.decisions.assert_last(status=200, tries=1, host="catalog.shop")
        mesh.fault("catalog.shop", abort=418)
        assert call(mesh) == 418
        mesh.decisions.assert_last(flags="FI", tries=0)
        mesh.fault("catalog.shop")
        mesh.eject("only")
        assert call(mesh) == 503
        mesh.decisions.assert_last(flags="UH")
        mesh.clock.advance(36)
        assert call(mesh) == 200


def test_and_channels_of_grpc(mesh: MeshUnderTest) -> None:
    with Served("a") as server:
        mesh.config(EJECTING)
        mesh.serve("catalog.shop", server.port, name="only", protocol="grpc")
        with proxyless.grpc.channel("catalog.shop:80", mesh) as opened:
            channel: Any = opened
            ask = channel.unary_unary("/shop.Recommend/Get")
            assert ask(b"x", timeout=30) == b"a:x"
            mesh.decisions.assert_last(status=200, path="/shop.Recommend/Get")
            mesh.fault("catalog.shop", abort=503)
            with pytest.raises(grpc.RpcError) as forced:
                ask(b"x", timeout=30)
            assert forced.value.code() is grpc.StatusCode.UNAVAILABLE
            mesh.decisions.assert_last(flags="FI")
            mesh.fault("catalog.shop")
            mesh.eject("only")
            with pytest.raises(grpc.RpcError):
                ask(b"x", timeout=30)
            mesh.decisions.assert_last(flags="UH")
            mesh.uneject("only")
            assert ask(b"x", timeout=30) == b"a:x"


def test_requests_of_a_wsgi_apps_test_client_are_told(mesh: MeshUnderTest) -> None:
    mesh.config(denying("/admin*", namespace="shop"))
    app: Any = flask.Flask("shop")
    app.route("/<path:path>")(lambda path: path)
    app.wsgi_app = proxyless.wsgi.Middleware(app.wsgi_app, mesh, port=8080)
    client = app.test_client()
    with pytest.raises(AssertionError, match="no request has come"):
        mesh.requests.assert_last(allowed=True)
    assert client.get("/items").data == b"items"
    mesh.requests.assert_last(method="GET", path="/items", allowed=True, port=8080, principal=None, flags="")
    assert client.get("/admin/x").data == b"RBAC: access denied"
    refused = mesh.requests.assert_last(status=403, allowed=False)
    assert "ns[shop]-policy[denying]" in refused.details
    assert str(refused).startswith(
        "GET localhost/admin/x to port 8080 from 127.0.0.1: 403 -, refused: rbac_access_denied"
    )
    mesh.requests.assert_none(status=500)
    assert mesh.requests.count_by("allowed") == {True: 1, False: 1}
    with pytest.raises(TypeError, match="a request has no tries"):
        mesh.requests.where(tries=1)
    with pytest.raises(AssertionError, match="the last request differs"):
        mesh.requests.assert_last(allowed=True)
    assert not mesh.decisions
