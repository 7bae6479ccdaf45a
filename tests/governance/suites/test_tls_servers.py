"""Servers with a context of the mesh's: who gets in by TLS and in the clear, and who the app is told that they are."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

import proxyless
import proxyless.aiohttp
from proxyless.governance.suites.tls import MeshContext
from proxyless.xds.identity.server import ServerContexts
from tests.governance.suites.served import (
    FRONTEND,
    LEDGER,
    by_hypercorn,
    by_uvicorn,
    client_context,
    context_of,
    turned_away,
)
from tests.support.certificates import Authority, HeldSecrets, authority, self_signed, spiffe
from tests.support.serving import Serve, Server

MINUTE = dt.timedelta(minutes=1)
CALLER = spiffe("caller")
SERVERS: dict[str, Callable[[ssl.SSLContext], Serve]] = {
    "uvicorn-h11": lambda context: by_uvicorn(context, http="h11", loop="asyncio"),
    "uvicorn-httptools": lambda context: by_uvicorn(context, http="httptools", loop="asyncio"),
    "hypercorn": by_hypercorn,
}


class Mirror:
    """Says who it is told that the client is."""

    def __init__(self) -> None:
        self.requests = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.requests += 1
        await asyncio.sleep(0)
        found = proxyless.tls.peer()
        extension = scope["extensions"].get("tls") if scope.get("extensions") else None
        document = {
            "scheme": scope["scheme"],
            "uris": found.uri_sans if found is not None else None,
            "chain": len(extension["client_cert_chain"]) if extension else None,
            "xfcc": [value.decode() for name, value in scope["headers"] if name == b"x-forwarded-client-cert"],
            "version": scope["http_version"],
        }
        body = json.dumps(document).encode()
        length = str(len(body)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def ca() -> Authority:
    return authority()


@pytest.fixture(params=sorted(SERVERS))
def serving(request: pytest.FixtureRequest) -> Callable[[ssl.SSLContext], Serve]:
    return SERVERS[request.param]


@contextmanager
def served(
    folder: Path, secrets: HeldSecrets, serving: Callable[[ssl.SSLContext], Serve], port: int = 8080
) -> Iterator[tuple[str, Mirror]]:
    app = Mirror()
    with proxyless.Mesh.from_recorded(folder, registry=False) as mesh:
        context = context_of(mesh, secrets, port)
        governed = proxyless.asgi.Middleware(app, mesh, port=port)
        with Server(governed, serving(context)) as server:
            yield server.where, app


def secrets_of(ca: Authority) -> HeldSecrets:
    return HeldSecrets(ca.workload("ledger", "bank"), ca.roots)


def test_strict_takes_a_workload_of_the_mesh_and_tells_the_app_who_it_is(
    ca: Authority, serving: Callable[[ssl.SSLContext], Serve]
) -> None:
    with (
        served(LEDGER, secrets_of(ca), serving) as (where, _),
        httpx.Client(verify=client_context(ca, ca.workload("caller")), trust_env=False) as client,
    ):
        for _ in range(2):
            told = client.get(f"https://{where}/", headers={"x-forwarded-client-cert": "By=spiffe://evil"}).json()
            assert told["scheme"] == "https"
            assert told["uris"] == [CALLER]
            assert told["chain"] >= 1
            (xfcc,) = told["xfcc"]
            own, _, more = xfcc.partition(",")
            assert own == "By=spiffe://evil"
            assert more.startswith(f"By={spiffe('ledger', 'bank')};Hash=")
            assert more.endswith(f';Subject="";URI={CALLER}')


def test_strict_refuses_everybody_else_before_a_byte_reaches_the_app(
    ca: Authority, serving: Callable[[ssl.SSLContext], Serve], caplog: pytest.LogCaptureFixture
) -> None:
    stranger = authority("stranger")
    cases = {
        "wrong trust domain": (ca.workload("caller", domain="other.local"), "spiffe://other.local/ns/shop/sa/caller"),
        "no spiffe name": (ca.leaf(dns=["caller.shop"]), "caller.shop"),
        "expired": (ca.leaf(CALLER, starts=-2 * MINUTE, ends=-MINUTE), "certificate has expired"),
        "not yet valid": (ca.leaf(CALLER, starts=MINUTE, ends=2 * MINUTE), "certificate is not yet valid"),
        "another root": (stranger.workload("caller"), "unable to get local issuer certificate"),
        "self-signed": (self_signed(CALLER), "self-signed certificate"),
        "a server's certificate": (ca.leaf(CALLER, client=False), "unsuitable certificate purpose"),
        "none": (None, "presented no certificate"),
    }
    with served(LEDGER, secrets_of(ca), serving) as (where, app):
        turned_away(where, ca, cases, caplog)
        caplog.clear()
        with httpx.Client(trust_env=False) as client, pytest.raises(httpx.TransportError):
            client.get(f"http://{where}/")
        assert "no filter chain of port 8080 takes plaintext" in caplog.text
        assert app.requests == 0


def test_permissive_takes_both_and_tells_them_apart(ca: Authority, serving: Callable[[ssl.SSLContext], Serve]) -> None:
    with served(FRONTEND, secrets_of(ca), serving) as (where, app):
        with httpx.Client(verify=client_context(ca, ca.workload("caller")), trust_env=False) as client:
            assert client.get(f"https://{where}/").json()["uris"] == [CALLER]
        with httpx.Client(trust_env=False) as client:
            told = client.get(f"http://{where}/", headers={"x-forwarded-client-cert": "By=spiffe://evil"}).json()
        assert (told["scheme"], told["uris"], told["xfcc"]) == ("http", None, [])
        # TLS that is not the mesh's would be the app's own.
        with (
            httpx.Client(verify=client_context(ca, None, ("http/1.1",)), trust_env=False) as client,
            pytest.raises(httpx.TransportError),
        ):
            client.get(f"https://{where}/")
        assert app.requests == 2


def test_new_connections_use_new_certificates_and_old_ones_live_on(
    ca: Authority, serving: Callable[[ssl.SSLContext], Serve]
) -> None:
    secrets = secrets_of(ca)
    newer = authority("newer")
    with (
        served(LEDGER, secrets, serving) as (where, _),
        httpx.Client(verify=client_context(ca, ca.workload("caller")), trust_env=False) as old,
        httpx.Client(verify=client_context(newer, newer.workload("other")), trust_env=False) as new,
    ):
        assert old.get(f"https://{where}/").json()["uris"] == [CALLER]
        secrets.rotate(newer.workload("ledger", "bank"), newer.roots)
        assert new.get(f"https://{where}/").json()["uris"] == [spiffe("other")]
        assert old.get(f"https://{where}/").json()["uris"] == [CALLER]
        with (
            httpx.Client(verify=client_context(newer, ca.workload("caller")), trust_env=False) as gone,
            pytest.raises(httpx.TransportError),
        ):
            gone.get(f"https://{where}/")


def test_identities_never_mix(ca: Authority, serving: Callable[[ssl.SSLContext], Serve]) -> None:
    """Many connections of two workloads at once, each kept alive and used again and again in turn."""
    wrong: list[Any] = []
    with served(FRONTEND, secrets_of(ca), serving) as (where, app):

        async def ask(client: httpx.AsyncClient, url: str, mine: str | None) -> None:
            for _ in range(10):
                told = (await client.get(url)).json()["uris"]
                if told != ([mine] if mine else None):
                    wrong.append((mine, told))

        async def all_at_once() -> None:
            contexts = {spiffe(name): client_context(ca, ca.workload(name)) for name in ("one", "two")}
            clients = [
                (httpx.AsyncClient(verify=contexts[name], trust_env=False), f"https://{where}/", name)
                for _ in range(6)
                for name in contexts
            ]
            plain = [(httpx.AsyncClient(trust_env=False), f"http://{where}/", None) for _ in range(4)]
            everybody: list[tuple[httpx.AsyncClient, str, str | None]] = [*clients, *plain]
            await asyncio.gather(*(ask(*each) for each in everybody))
            for client, _, _ in everybody:
                await client.aclose()

        asyncio.run(all_at_once())
        assert app.requests == 160
    assert not wrong


def test_http2_is_chosen_where_the_server_speaks_it(ca: Authority) -> None:
    context = client_context(ca, ca.workload("caller"), ("istio-h2", "istio", "h2"))
    with served(LEDGER, secrets_of(ca), by_hypercorn) as (where, _):
        told: list[Any] = []

        def ask() -> None:
            with httpx.Client(verify=context, trust_env=False, http1=False, http2=True) as client:
                told.extend(client.get(f"https://{where}/").json() for _ in range(5))

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert [(each["version"], each["uris"]) for each in told] == [("2", [CALLER])] * 10


def test_aiohttps_server_takes_part_too(ca: Authority) -> None:
    async def told(request: web.Request) -> web.Response:
        found = proxyless.tls.peer()
        return web.json_response([request.scheme, found.uri_sans if found is not None else None])

    async def go(mesh: proxyless.Mesh) -> Any:
        app = web.Application(middlewares=[proxyless.aiohttp.server(mesh, port=8080)])
        app.router.add_get("/", told)
        runner = web.AppRunner(app)
        await runner.setup()
        context = MeshContext(mesh.runtime, ServerContexts(secrets_of(ca)), 8080, ("http/1.1",))
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        where = f"127.0.0.1:{runner.addresses[0][1]}"
        offered = client_context(ca, ca.workload("caller"), ("istio-h2", "istio-http/1.1", "h2", "http/1.1"))
        try:
            async with httpx.AsyncClient(verify=offered, trust_env=False, http2=True) as client:
                answer = await client.get(f"https://{where}/")
                return answer.http_version, answer.json()
        finally:
            async with httpx.AsyncClient(trust_env=False) as client:
                with pytest.raises(httpx.TransportError):
                    await client.get(f"http://{where}/")
            await runner.cleanup()

    with proxyless.Mesh.from_recorded(LEDGER, registry=False) as mesh:
        assert asyncio.run(asyncio.wait_for(go(mesh), 60)) == ("HTTP/1.1", ["https", [CALLER]])
