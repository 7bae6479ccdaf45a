"""One cluster with the shop on it for all tests of a run that want it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from .given import GivenCluster, given
from .nodes.network import needed
from .own import OwnCluster
from .traffic import COMMAND, Traffic
from .world import CHARTS, World

DEPLOYMENTS = (
    "storefront-v1",
    "catalog-v1",
    "catalog-v2",
    "catalog-v3",
    "cart-v1",
    "cart-v2",
    "checkout-v1",
    "payment-v1",
)
LOAD: dict[str, Any] = {
    "metadata": {"name": "load", "labels": {"app": "load", "sidecar.istio.io/inject": "false"}},
    "spec": {
        "containers": [
            {
                "name": "load",
                "command": ["python", "-c", "import signal; signal.sigwait([signal.SIGTERM])"],
            }
        ],
        "terminationGracePeriodSeconds": 1,
    },
}


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnCluster]:
    """The tests' own cluster."""
    if given():
        pytest.skip("this breaks things: it is for a cluster of the tests' own")
    needed()
    with OwnCluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture(scope="session")
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """The shop, installed and ready."""
    if not given():
        own: OwnCluster = request.getfixturevalue("own")
        made = World(own)
        own.namespace(made.namespace)
        own.controller.install(made.namespace)
        yield shop(made, f"proxyless.controlPlane.address={own.controller.address}")
        return
    with GivenCluster(Path(given())) as cluster:
        made = World(cluster)
        made.api.post("/api/v1/namespaces", {"metadata": {"name": made.namespace}})
        repository, _, tag = cluster.image.rpartition(":")
        image = f"proxyless.image.repository={repository},proxyless.image.tag={tag}"
        try:
            yield shop(made, f"proxyless.controlPlane.address={cluster.control_plane},{image}", cluster.image)
        finally:
            made.api.delete(f"/api/v1/namespaces/{made.namespace}")


def shop(world: World, values: str, image: str = "proxyless-shop:0.1.0") -> World:
    """The chart, and a Pod that calls it."""
    load = deepcopy(LOAD)
    load["spec"]["containers"][0]["image"] = image
    world.api.post(world.path("pods"), load)
    world.helm("install", "shop", CHARTS / "proxyless-shop", "--set", f"load.enabled=false,{values}")
    world.rolled_out(*DEPLOYMENTS)
    path = world.path("pods", "load")
    world.until(lambda: world.api.get(path)["status"]["phase"] == "Running", "the load generator's Pod does not run")
    return world


@pytest.fixture(scope="session")
def traffic(world: World) -> Iterator[Traffic]:
    """Requests to the storefront, which calls the others."""
    process: subprocess.Popen[str] = world.start("load", [*COMMAND, f"http://storefront.{world.namespace}"])
    with Traffic(process) as made:
        yield made
