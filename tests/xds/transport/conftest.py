"""A control plane that says what istiod said to the shop's frontend, and meshes that follow it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proxyless import Mesh, Node
from tests.support.ads import AdsServer, recorded_resources

FRONTEND = Path(__file__).parents[2] / "recorded" / "shop" / "xds" / "frontend"
NODE = Node(app="frontend", namespace="shop", ip="127.0.10.1", pod="frontend-v1-0")

MakeMesh = Callable[..., Mesh]


@pytest.fixture(scope="session")
def shop() -> dict[str, dict[str, Any]]:
    """The recorded resources of the frontend."""
    return recorded_resources(FRONTEND)


@pytest.fixture
def server(shop: dict[str, dict[str, Any]]) -> Iterator[AdsServer]:
    """A server that holds them."""
    with AdsServer(shop) as running:
        yield running


@pytest.fixture
def mesh_of() -> Iterator[MakeMesh]:
    """Makes meshes and closes them."""
    made: list[Mesh] = []

    def make(server: AdsServer | str, **options: Any) -> Mesh:
        url = server if isinstance(server, str) else f"xds://{server.address}"
        options = {"node": NODE, "registry": False, "cache_dir": False, **options}
        mesh = Mesh(url, **options)
        made.append(mesh)
        return mesh

    yield make
    for mesh in made:
        mesh.close()
