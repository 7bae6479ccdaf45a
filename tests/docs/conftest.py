"""The world that the examples run in: the folder `istio/`, backends behind it, a control plane that serves it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.server import serve
from proxyless.xds.identity.bootstrap import DEFAULT_ROOT, DEFAULT_TOKEN
from tests.docs.pages import FOLDER
from tests.support.ads import AdsServer
from tests.support.backends import Backends
from tests.support.behaviour import Address
from tests.support.certificates import authority

V1: Address = ("127.0.20.1", 8080)
V2: Address = ("127.0.20.2", 8080)
HOSTS = (V1, V2)

PLAIN = "127.0.0.1:15010"
SECURE = "istiod.istio-system.svc:15012"
TOKEN = "t0ken"


@dataclass(frozen=True, slots=True)
class World:
    """`folder` holds `istio/`, whose endpoints are backends that run. `real` is what stands for the addresses and files
    of the pages: their control plane in plaintext, and one by TLS that wants a token."""

    folder: Path
    real: dict[str, str]
    backends: Backends

    def made_real(self, text: str) -> str:
        """An example with addresses and files that are there."""
        for said, real in self.real.items():
            text = text.replace(said, real)
        return text


@contextmanager
def _secured(folder: Path) -> Iterator[dict[str, str]]:
    """A control plane that has nothing to say, but wants TLS and a token."""
    vouching = authority()
    (folder / "root.pem").write_bytes(vouching.pem)
    (folder / "token").write_text(TOKEN)
    with AdsServer(tls=vouching.server("localhost"), token=TOKEN) as server:
        yield {
            SECURE: f"localhost:{server.port}",
            DEFAULT_ROOT: str(folder / "root.pem"),
            DEFAULT_TOKEN: str(folder / "token"),
        }


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    folder = tmp_path / "istio"
    shutil.copytree(FOLDER, folder)
    with Backends(HOSTS) as backends:
        catalog = folder / "catalog.yaml"
        parts = catalog.read_text().split("---\n")
        for (host, port), real in backends.ports.items():
            parts = [part.replace(f"port: {port}}}", f"port: {real}}}") if host in part else part for part in parts]
        catalog.write_text("---\n".join(parts))
        plane = Plane(FolderSource(folder))
        server = serve(plane, "127.0.0.1:0")
        try:
            with _secured(tmp_path) as secured:
                yield World(tmp_path, {PLAIN: server.address, **secured}, backends)
        finally:
            server.stop()
            plane.close()
