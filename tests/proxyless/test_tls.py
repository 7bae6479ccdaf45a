"""`proxyless.tls`: servers of a mesh whose identity comes from files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import proxyless
from tests.governance.suites.served import LEDGER, client_context
from tests.governance.suites.test_tls_servers import Mirror
from tests.support import serving
from tests.support.certificates import authority, spiffe, write
from tests.support.serving import Serve, Server


def by_uvicorn(mesh: proxyless.Mesh, **options: Any) -> Serve:
    return serving.by_uvicorn(lambda config: proxyless.tls.uvicorn(config, mesh, port=8080), **options)


def by_hypercorn(mesh: proxyless.Mesh) -> Serve:
    return serving.by_hypercorn(lambda config: proxyless.tls.hypercorn(config, mesh, port=8080))


@pytest.mark.parametrize("by", [by_uvicorn, by_hypercorn])
def test_a_server_is_given_the_mesh_and_its_identity(by: Callable[[proxyless.Mesh], Serve], tmp_path: Path) -> None:
    ca = authority()
    chain, key = write(ca.workload("ledger", "bank"), tmp_path)
    roots = tmp_path / "root.pem"
    roots.write_bytes(ca.pem)
    identity = proxyless.Identity.from_files(chain, key, roots)
    with proxyless.Mesh.from_recorded(LEDGER, registry=False, identity=identity) as mesh:
        app = proxyless.asgi.Middleware(Mirror(), mesh, port=8080)
        with (
            Server(app, by(mesh)) as server,
            httpx.Client(verify=client_context(ca, ca.workload("caller")), trust_env=False) as client,
        ):
            told = client.get(server.url.replace("http:", "https:")).json()
    assert told["uris"] == [spiffe("caller")]


def test_without_governance_there_is_no_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYLESS_DISABLE", "1")
    with pytest.raises(RuntimeError, match="PROXYLESS_DISABLE"):
        proxyless.tls.server_context(port=8080)
