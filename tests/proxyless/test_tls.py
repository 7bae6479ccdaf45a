"""`proxyless.tls`: servers of a mesh whose identity comes from files."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import hypercorn.asyncio
import hypercorn.config
import pytest
import uvicorn

import proxyless
from tests.governance.suites.served import LEDGER, client_context
from tests.governance.suites.test_asgi_servers import Server
from tests.governance.suites.test_tls_servers import Mirror
from tests.support.certificates import authority, spiffe, write


def by_uvicorn(mesh: proxyless.Mesh) -> Any:
    async def serve(app: Any, sock: socket.socket, stop: asyncio.Event) -> None:
        config = uvicorn.Config(app, log_level="critical", lifespan="off")
        server = uvicorn.Server(proxyless.tls.uvicorn(config, mesh, port=8080))
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        await stop.wait()
        server.should_exit = True
        await serving

    return serve


def by_hypercorn(mesh: proxyless.Mesh) -> Any:
    async def serve(app: Any, sock: socket.socket, stop: asyncio.Event) -> None:
        config = hypercorn.config.Config()
        config.bind = [f"fd://{sock.dup().detach()}"]
        config.loglevel = "CRITICAL"

        async def stopped() -> None:
            await stop.wait()

        await hypercorn.asyncio.serve(app, proxyless.tls.hypercorn(config, mesh, port=8080), shutdown_trigger=stopped)

    return serve


@pytest.mark.parametrize("by", [by_uvicorn, by_hypercorn])
def test_a_server_is_given_the_mesh_and_its_identity(by: Callable[[proxyless.Mesh], Any], tmp_path: Path) -> None:
    ca = authority()
    chain, key = write(ca.workload("ledger", "bank"), tmp_path)
    roots = tmp_path / "root.pem"
    roots.write_bytes(ca.pem)
    identity = proxyless.Identity.from_files(chain, key, roots)
    with proxyless.Mesh.from_recorded(LEDGER, registry=False, identity=identity) as mesh:
        app = proxyless.asgi.Middleware(Mirror(), mesh, port=8080)
        with (
            Server(by(mesh), app) as server,
            httpx.Client(verify=client_context(ca, ca.workload("caller")), trust_env=False) as client,
        ):
            told = client.get(server.url.replace("http:", "https:")).json()
    assert told["uris"] == [spiffe("caller")]


def test_without_governance_there_is_no_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYLESS_DISABLE", "1")
    with pytest.raises(RuntimeError, match="PROXYLESS_DISABLE"):
        proxyless.tls.server_context(port=8080)
