"""The world that the examples run in: the folder `istio/`, backends behind it, a control plane that serves it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.server import serve
from tests.docs.pages import FOLDER
from tests.support.backends import Backends
from tests.support.behaviour import Address

V1: Address = ("127.0.20.1", 8080)
V2: Address = ("127.0.20.2", 8080)
HOSTS = {V1: "v1", V2: "v2"}


@dataclass(frozen=True, slots=True)
class World:
    """`folder` holds `istio/`, whose endpoints are backends that run; `xds` is its control plane."""

    folder: Path
    xds: str
    backends: Backends


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
            yield World(tmp_path, server.address, backends)
        finally:
            server.stop()
            plane.close()
