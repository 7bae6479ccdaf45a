"""What the metrics say of a control plane, over a real stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from proxyless import Mesh, Node
from proxyless.governance.telemetry.gauges import version_of
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.transport import control
from proxyless.xds.wire.schema import types as pb
from tests.support.ads import AdsServer, recorded_resources
from tests.support.waiting import wait_for

from .conftest import FRONTEND, labels, value

NODE = Node(app="frontend", namespace="shop", ip="127.0.10.1")
CLUSTER = ResourceType.CLUSTER


@pytest.fixture
def server() -> Iterator[AdsServer]:
    with AdsServer(recorded_resources(FRONTEND)) as running:
        yield running


@pytest.fixture
def follow(registry: CollectorRegistry) -> Iterator[Callable[..., Mesh]]:
    made: list[Mesh] = []

    def make(server: AdsServer, **options: Any) -> Mesh:
        mesh = Mesh(f"xds://{server.address}", node=NODE, registry=registry, **{"cache_dir": False, **options})
        made.append(mesh)
        return mesh

    yield make
    for mesh in made:
        mesh.close()


def test_a_connected_mesh_says_what_it_holds(
    server: AdsServer, follow: Callable[..., Mesh], registry: CollectorRegistry
) -> None:
    follow(server).wait_ready(10)
    held = {type_url.rpartition(".")[2]: len(each) for type_url, each in server.resources.items()}
    assert value(registry, "proxyless_control_plane_connected", control_plane=server.address) == 1
    assert value(registry, "proxyless_resources", type="Cluster") == held["Cluster"]
    assert value(registry, "proxyless_resources", type="Listener") == held["Listener"]
    assert value(registry, "proxyless_control_plane_updates_total", type="Cluster") == 1
    assert value(registry, "proxyless_control_plane_rejects_total") == 0
    assert value(registry, "proxyless_resources_rejected") == 0
    assert value(registry, "proxyless_configuration_from_disk") == 0
    assert value(registry, "proxyless_configuration_age_seconds") < 10
    assert value(registry, "proxyless_configuration_generation") >= 2
    assert value(registry, "proxyless_control_plane_reconnects_total") == 0


def test_a_refused_resource_is_counted_until_it_is_good_again(
    server: AdsServer, follow: Callable[..., Mesh], registry: CollectorRegistry
) -> None:
    mesh = follow(server)
    mesh.wait_ready(10)
    name = next(iter(server.resources[CLUSTER.value]))
    good = server.resources[CLUSTER.value][name]
    bad = pb.cluster_v3.Cluster(name=name, lb_policy=99)
    server.set(CLUSTER, name, bad)
    server.push(CLUSTER)
    wait_for(lambda: value(registry, "proxyless_resources_rejected", type="Cluster") == 1)
    assert value(registry, "proxyless_control_plane_rejects_total", type="Cluster") == 1
    server.set(CLUSTER, name, good)
    server.push(CLUSTER)
    wait_for(lambda: value(registry, "proxyless_resources_rejected", type="Cluster") == 0)
    assert value(registry, "proxyless_control_plane_rejects_total", type="Cluster") == 1
    assert value(registry, "proxyless_control_plane_updates_total", type="Cluster") == 3


def test_a_control_plane_that_goes_away_is_seen_to_and_its_configuration_ages(
    server: AdsServer, follow: Callable[..., Mesh], registry: CollectorRegistry
) -> None:
    mesh = follow(server)
    mesh.wait_ready(10)
    server.stop()
    wait_for(lambda: value(registry, "proxyless_control_plane_connected", control_plane=server.address) == 0)
    assert labels(registry, "proxyless_control_plane_connected")
    age = value(registry, "proxyless_configuration_age_seconds")
    wait_for(lambda: value(registry, "proxyless_configuration_age_seconds") > age)
    wait_for(lambda: value(registry, "proxyless_control_plane_reconnects_total") >= 1)


def test_a_mesh_that_starts_from_disk_says_so(
    server: AdsServer,
    follow: Callable[..., Mesh],
    registry: CollectorRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control, "SAVE_AFTER_S", 0.05)
    monkeypatch.setattr(control, "CACHE_AFTER_S", 0.05)
    first = follow(server, cache_dir=tmp_path)
    first.wait_ready(10)
    wait_for(lambda: list(tmp_path.glob("*.xds")))
    first.close()
    server.stop()
    second = follow(server, cache_dir=tmp_path)
    second.wait_ready(10)
    assert value(registry, "proxyless_configuration_from_disk", control_plane=server.address) == 1
    assert value(registry, "proxyless_control_plane_connected", control_plane=server.address) == 0
    assert value(registry, "proxyless_configuration_age_seconds") < 60


@pytest.mark.parametrize(
    ("identifier", "version"),
    [
        ('{"Component":"istiod","ID":"istiod-7d4-x2x","Info":{"version":"1.31.0"}}', "1.31.0"),
        ('{"Info":{"version":"%s"}}' % ("1" * 500), "1" * 64),
        ('{"Info":{"version":""}}', "unknown"),
        ('{"Info":[]}', "unknown"),
        ("[]", "unknown"),
        ("a control plane of one's own", "unknown"),
    ],
)
def test_only_the_version_of_a_control_plane_becomes_a_label(identifier: str, version: str) -> None:
    assert version_of(identifier) == version
