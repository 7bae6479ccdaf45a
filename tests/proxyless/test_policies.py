"""Lists of policies in every suite: what they change is what arrives, and `status` shows them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
from aiohttp import web

import proxyless.aiohttp
import proxyless.asgi
import proxyless.requests
import proxyless.urllib3
import proxyless.wsgi
from proxyless import ConfigurationError, Mesh, Node
from proxyless.httpx import AsyncTransport, Transport
from proxyless.policies import MESH, Fallback, Request, Response, Suite, off, shadow
from tests.proxyless.following import ONE, URL, entry, written
from tests.support.backends import Backends
from tests.support.packages import install, installed_in

NODE = Node(app="me", namespace="shop", ip="127.0.0.9")
SWITCHES = ("PROXYLESS_SHADOW", "PROXYLESS_OFF", "PROXYLESS_DISABLE")


FAULT = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web.example.com]
  http:
  - fault: {abort: {percentage: {value: 100}, httpStatus: 418}}
    route: [{destination: {host: web.example.com}}]
"""


class Tenant:
    def on_request(self, request: Request) -> None:
        request.headers["x-tenant"] = "acme"
        request.path = request.path + "?tenant"

    def on_response(self, request: Request, response: Response) -> None:
        response.headers["x-seen"] = request.headers["x-tenant"]


class Late:
    async def on_request(self, request: Request) -> None:
        await asyncio.sleep(0)
        request.headers["x-tenant"] = "late"


@pytest.fixture(autouse=True)
def _unswitched(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in SWITCHES:
        monkeypatch.delenv(each, raising=False)


@pytest.fixture(scope="module")
def backends() -> Iterator[Backends]:
    with Backends([ONE]) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path, backends: Backends) -> Path:
    written(tmp_path, entry(backends, ONE))
    return tmp_path


@pytest.fixture
def mesh(folder: Path) -> Iterator[Mesh]:
    with Mesh.from_config(folder, node=NODE, registry=False) as made:
        yield made


def of_httpx(mesh: Mesh, url: str, policies: Any) -> Any:
    with httpx.Client(transport=Transport(mesh, policies=policies)) as client:
        return client.get(url)


def of_httpx_async(mesh: Mesh, url: str, policies: Any) -> Any:
    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=AsyncTransport(mesh, policies=policies)) as client:
            return await client.get(url)

    return asyncio.run(get())


def of_requests(mesh: Mesh, url: str, policies: Any) -> Any:
    with requests.Session() as session:
        session.mount("http://", proxyless.requests.Adapter(mesh, policies=policies))
        return session.get(url)


def of_urllib3(mesh: Mesh, url: str, policies: Any) -> Any:
    with proxyless.urllib3.PoolManager(mesh, policies=policies) as pool:
        return pool.request("GET", url)


def of_aiohttp(mesh: Mesh, url: str, policies: Any) -> Any:
    async def get() -> aiohttp.ClientResponse:
        own = proxyless.aiohttp.middleware(mesh, policies=policies)
        async with aiohttp.ClientSession(middlewares=[own]) as session, session.get(url) as response:
            await response.read()
            return response

    return asyncio.run(get())


GETS = [of_httpx, of_httpx_async, of_requests, of_urllib3, of_aiohttp]
Get = Callable[[Mesh, str, Any], Any]


@pytest.mark.parametrize("get", GETS)
@pytest.mark.parametrize("governed", [True, False])
def test_what_a_policy_changes_is_what_arrives(mesh: Mesh, backends: Backends, get: Get, governed: bool) -> None:
    backends.take()
    url = URL if governed else f"http://{ONE[0]}:{backends.ports[ONE]}/direct"
    response = get(mesh, url, [Tenant()])
    assert response.headers["x-seen"] == "acme"
    [arrival] = backends.take()
    assert dict(arrival.headers)["x-tenant"] == "acme"
    assert arrival.target.endswith("?tenant")


@pytest.mark.parametrize("get", GETS)
def test_a_policy_answers_in_every_suite(mesh: Mesh, get: Get) -> None:
    class Own:
        def on_request(self, request: Request) -> Response | None:
            return Response(418, "own") if request.path == "/own" else None

    own = get(mesh, URL.rstrip("/") + "/own", [Own()])
    assert getattr(own, "status_code", getattr(own, "status", 0)) == 418


@pytest.mark.parametrize("get", GETS)
def test_switches_and_fallbacks_in_every_suite(folder: Path, get: Get) -> None:
    (folder / "fault.yaml").write_text(FAULT)
    with Mesh.from_config(folder, node=NODE, registry=False) as mesh:
        statuses = [
            getattr(found, "status_code", getattr(found, "status", 0))
            for policies in ([], [off("fault")], [shadow("fault")], [Fallback(Response(203), on=["FI"])])
            for found in [get(mesh, URL, policies)]
        ]
    assert statuses == [418, 200, 200, 203]


def test_a_coroutine_is_awaited_where_that_can_be(mesh: Mesh, backends: Backends) -> None:
    backends.take()
    for get in (of_httpx_async, of_aiohttp):
        get(mesh, URL, [Late()])
        assert dict(backends.take()[0].headers)["x-tenant"] == "late"
    for get in (of_httpx, of_requests, of_urllib3):
        with pytest.raises(
            ConfigurationError, match=r"on_request of policy Late is a coroutine, and this code is sync"
        ):
            get(mesh, URL, [Late()])


def test_status_lists_the_mesh_and_every_suite(folder: Path) -> None:
    with Mesh.from_config(folder, node=NODE, registry=False, policies=[Suite("all", [off("cors")]), MESH]) as mesh:
        for _ in range(2):
            Transport(mesh, policies=[Tenant(), shadow("retry"), Fallback(Response(200))])
        proxyless.asgi.Middleware(lambda *_: None, mesh, policies=[off("authorization")])  # type: ignore[arg-type]
        proxyless.wsgi.Middleware(lambda *_: [], mesh)
        document = mesh.status()
    said = document["policies"]
    assert {each["name"]: each["origin"] for each in said["mesh"] if each["mode"] == "off"} == {"cors": "mesh / all"}
    suites = {each["suite"]: each for each in said["suites"]}
    assert list(suites) == ["proxyless.httpx.Transport", "proxyless.asgi.Middleware", "proxyless.wsgi.Middleware"]
    one = suites["proxyless.httpx.Transport"]
    assert one["made"] == 2
    assert one["policies"][0] == {
        "name": "Tenant",
        "kind": "own",
        "mode": "on",
        "origin": "proxyless.httpx.Transport",
    }
    assert {each["name"]: each["mode"] for each in one["policies"] if each["mode"] != "on"} == {
        "cors": "off",
        "retry": "shadow",
    }
    assert one["policies"][-1]["kind"] == "fallback"
    assert (
        "authorization is off in proxyless.asgi.Middleware (proxyless.asgi.Middleware): it keeps nobody out"
        in (document["findings"])
    )


def test_the_environment_switches_for_a_whole_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def modes(**variables: str) -> dict[str, str]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with Mesh.from_config(folder, node=NODE, registry=False, policies=[shadow("fault")]) as mesh:
            return dict(mesh.runtime.policies.modes) if mesh.runtime.policies is not None else {}

    assert modes(PROXYLESS_SHADOW="0") == {"fault": "shadow"}
    assert modes(PROXYLESS_SHADOW="retry, timeout") == {"fault": "shadow", "retry": "shadow", "timeout": "shadow"}
    assert modes(PROXYLESS_OFF="retry") == {"fault": "shadow", "retry": "off", "timeout": "shadow"}
    assert not caplog.records
    assert "authorization" in modes(PROXYLESS_SHADOW="1")
    assert (
        "mesh: authorization (AuthorizationPolicy, external authorization) is in shadow mode: it keeps nobody out"
        in (caplog.text)
    )
    for name, value, text in (
        ("PROXYLESS_OFF", "mtls", "PROXYLESS_OFF='mtls': mtls cannot be switched off"),
        ("PROXYLESS_SHADOW", "retires", "PROXYLESS_SHADOW='retires': shadow"),
    ):
        monkeypatch.setenv(name, value)
        with pytest.raises(ConfigurationError, match=text):
            modes()
        monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match="mesh: 7 is no policy"):
        Mesh.from_config(folder, node=NODE, registry=False, policies=[7])


def test_a_mesh_that_is_switched_off_has_no_policies(
    mesh: Mesh, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXYLESS_DISABLE", "1")
    backends.take()
    assert "x-seen" not in of_httpx(mesh, f"http://{ONE[0]}:{backends.ports[ONE]}/", [Tenant()]).headers
    with pytest.raises(ConfigurationError, match="is no policy"):
        Transport(mesh, policies=[7])


def test_requests_to_an_aiohttp_application(mesh: Mesh) -> None:
    seen: list[str] = []

    class Shut:
        def on_request(self, request: Request) -> Response | None:
            return Response(403, "shut") if request.path.startswith("/shut") else None

    async def handler(request: web.Request) -> web.Response:
        seen.append(f"{request.path_qs} {request.headers['x-tenant']}")
        return web.Response(text="app")

    async def work() -> list[tuple[int, str | None]]:
        own = proxyless.aiohttp.server(mesh, port=9999, policies=[Shut(), Tenant()])
        app = web.Application(middlewares=[own])
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with aiohttp.ClientSession() as client:
                found = []
                for path in ("/a", "/shut"):
                    async with client.get(url + path) as response:
                        found.append((response.status, response.headers.get("x-seen")))
                return found
        finally:
            await runner.cleanup()

    mesh.wait_ready(20)
    assert asyncio.run(work()) == [(200, "acme"), (403, None)]
    assert seen == ["/a?tenant acme"]


def test_a_package_brings_policies_by_name(mesh: Mesh, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    code = "from proxyless.policies import off\nitems = [off('retry')]\ndef made():\n    return [off('fault')]\n"
    points = {"items": "acme_own:items", "made": "acme_own:made", "bad": "acme_own:nothing", "odd": "acme_own:off"}
    install(site, "acme-own", {"proxyless.policies": points}, code)
    install(site, "acme-too", {"proxyless.policies": {"twice": "acme_too:a"}})
    install(site, "acme-also", {"proxyless.policies": {"twice": "acme_also:a"}})
    with installed_in(site):
        Transport(mesh, policies=["items", "made"])
        for name, why in (
            (
                "bad",
                "proxyless.policies bad = acme_own:nothing of package acme-own 1.0 cannot be loaded: AttributeError",
            ),
            ("odd", "proxyless.policies odd = acme_own:off of package acme-own 1.0 has raised PolicyError"),
            ("twice", "proxyless.policies twice is brought by 2 packages: acme-also 1.0, acme-too 1.0"),
            ("none", "no package brings policies by the name 'none'"),
        ):
            with pytest.raises(ConfigurationError, match=re.escape(why)):
                Transport(mesh, policies=[name])
        [suite] = [each for each in mesh.status()["policies"]["suites"] if each["policies"]]
    found = {each["name"]: each["origin"] for each in suite["policies"] if each["mode"] == "off"}
    assert found == {"retry": "proxyless.httpx.Transport / items", "fault": "proxyless.httpx.Transport / made"}
