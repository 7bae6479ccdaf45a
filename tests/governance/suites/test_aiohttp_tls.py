"""TLS below and inside aiohttp: the mesh's, the program's, both at once, and at the server; in both event loops."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web

import proxyless.aiohttp
from proxyless import Mesh
from proxyless._securing import MeshTls
from proxyless.governance.suites.tls import MeshContext
from proxyless.xds.identity.server import ServerContexts
from proxyless.xds.model.cluster import Thresholds, TransportSocket
from proxyless.xds.model.listener import TcpProxy
from proxyless.xds.model.tls import CommonTls, SanMatcher, SecretName, UpstreamTls, Validation
from tests.governance.suites.served import LEDGER, client_context
from tests.governance.suites.test_aiohttp import session
from tests.support.certificates import Authority, HeldSecrets, authority, spiffe, terminating, write
from tests.support.model import chain, cluster, listener, snapshot
from tests.support.tls_in_tls import endpoint

VALIDATION = Validation(secret=SecretName("ROOTCA"), sans=(SanMatcher("exact", spiffe("server")),))
SOCKET = TransportSocket("tls", UpstreamTls(CommonTls(SecretName("default"), VALIDATION), sni="a.b"))
URL = "https://db.example.com/"
Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def ca() -> Authority:
    return authority()


def run(loop: Loop, work: Any) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asyncio.wait_for(work, 60))


def opaque(port: int, secrets: HeldSecrets | None = None, **fields: Any) -> Mesh:
    """A mesh where that host is a TCP cluster of one endpoint."""
    held = [listener("0.0.0.0_443", chain(TcpProxy("a")))]
    made = Mesh._from_snapshot(
        snapshot(listeners=held, clusters=[cluster("a", f"127.0.0.1:{port}", **fields)]), status_socket=False
    )
    if secrets is not None:
        made.runtime.tls = MeshTls(lambda: secrets)
    return made


def of_the_program(ca: Authority, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(the server's, the client's), which the mesh knows nothing of."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*write(ca.leaf(dns=["db.example.com"], name="db"), folder, "db"))
    return made, ssl.create_default_context(cadata=ca.pem.decode())


async def host_of(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.host} {request.transport.get_extra_info('peername')[1]}")  # type: ignore[union-attr]


async def served(app: web.Application, context: ssl.SSLContext | None) -> tuple[web.AppRunner, int]:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    return runner, runner.addresses[0][1]


def test_https_goes_to_the_endpoints_of_its_cluster_with_the_programs_own_tls(
    ca: Authority, tmp_path: Path, loop: Loop
) -> None:
    async def work() -> None:
        theirs, mine = of_the_program(ca, tmp_path)
        app = web.Application()
        app.router.add_get("/", host_of)
        runner, port = await served(app, theirs)
        one = Thresholds(1, 10, 10, 10)
        with opaque(port, limits=one) as mesh:
            connections = set()
            async with session(mesh) as client:
                for _ in range(3):
                    async with client.get(URL, ssl=mine) as response:
                        host, connection = (await response.text()).split()
                        connections.add(connection)
                        call = proxyless.aiohttp.call(response)
                        assert (response.status, host, call.flags) == (200, "db.example.com", ())
                assert len(connections) == 1
                with pytest.raises(aiohttp.ClientConnectorError, match="as many connections as it may have"):
                    async with session(mesh) as other, other.get(URL, ssl=mine):
                        pass
            async with session(mesh) as client:  # the first session's connection counts no more
                with pytest.raises(aiohttp.ClientConnectorCertificateError):
                    async with client.get(URL):
                        pass
                async with client.get(URL, ssl=mine) as response:
                    assert response.status == 200
        await runner.cleanup()

    run(loop, work())


def test_or_inside_that_of_the_mesh(ca: Authority, tmp_path: Path, loop: Loop) -> None:
    theirs, mine = of_the_program(ca, tmp_path)

    async def work(mesh: Mesh) -> None:
        async with session(mesh) as client, client.get(URL, ssl=mine) as response:
            assert (response.status, await response.text()) == (200, "ok")

    with (
        endpoint("127.0.0.1", terminating(ca, "server", tmp_path), theirs) as port,
        opaque(port, HeldSecrets(ca.workload("one"), ca.roots), transport_socket=SOCKET) as mesh,
    ):
        run(loop, work(mesh))


def test_a_server_under_strict_mtls_knows_who_calls_and_turns_all_others_away(ca: Authority, loop: Loop) -> None:
    async def who(request: web.Request) -> web.Response:
        peer = proxyless.tls.peer()
        assert peer is not None
        return web.json_response({"peer": peer.uri_sans, "xfcc": request.headers["x-forwarded-client-cert"]})

    async def work(mesh: Mesh) -> None:
        context = MeshContext(mesh.runtime, ServerContexts(HeldSecrets(ca.workload("ledger", "bank"), ca.roots)), 8080)
        app = web.Application(middlewares=[proxyless.aiohttp.server(mesh, port=8080)])
        app.router.add_get("/", who)
        runner, port = await served(app, context)
        async with aiohttp.ClientSession() as client:
            async with client.get(
                f"https://127.0.0.1:{port}/", ssl=client_context(ca, ca.workload("caller"))
            ) as response:
                told = await response.json()
                assert (response.status, told["peer"]) == (200, [spiffe("caller")])
                assert spiffe("caller") in told["xfcc"]
            for scheme in ("https", "http"):
                with pytest.raises(aiohttp.ClientError):
                    async with client.get(f"{scheme}://127.0.0.1:{port}/", ssl=client_context(ca, None)):
                        pass
        await runner.cleanup()

    with Mesh.from_recorded(LEDGER, registry=False) as mesh:
        run(loop, work(mesh))
