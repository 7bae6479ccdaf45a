"""One registry, several meshes."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from threading import Barrier, Thread

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

import proxyless.httpx
from proxyless import ConfigurationError, Mesh
from proxyless.governance.telemetry.families import Family, Reading

from .conftest import Shop, samples, value

ACTIVE = "proxyless_cluster_active_requests"
CONNECTED = "proxyless_control_plane_connected"
ENDPOINTS = "proxyless_cluster_endpoints"


class Fixed:
    """A mesh whose gauges a test sets."""

    def __init__(self, *readings: Reading) -> None:
        self.now: Iterable[Reading] = readings

    def flush(self) -> None:
        pass

    def readings(self) -> Iterable[Reading]:
        return self.now


def test_gauges_of_several_meshes_become_one_as_the_catalogue_says(registry: CollectorRegistry) -> None:
    family = Family.of(registry)
    family.attach(
        Fixed(Reading(ACTIVE, ("c",), 2), Reading(CONNECTED, ("cp",), 1), Reading(ENDPOINTS, ("c", "healthy"), 3))
    )
    family.attach(
        Fixed(Reading(ACTIVE, ("c",), 5), Reading(CONNECTED, ("cp",), 0), Reading(ENDPOINTS, ("c", "healthy"), 2))
    )
    assert value(registry, ACTIVE) == 7
    assert value(registry, CONNECTED) == 0
    assert value(registry, ENDPOINTS) == 3


def test_a_gauge_goes_with_what_it_tells_of(registry: CollectorRegistry) -> None:
    family = Family.of(registry)
    source = Fixed(Reading(ACTIVE, ("gone",), 1), Reading(ACTIVE, ("kept",), 1))
    family.attach(source)
    assert value(registry, ACTIVE) == 2
    source.now = (Reading(ACTIVE, ("kept",), 1),)
    assert [dict(has)["cluster"] for name, has in samples(registry) if name == ACTIVE] == ["kept"]
    family.detach(source)
    assert not [name for name, _ in samples(registry) if name == ACTIVE]


def test_two_meshes_made_at_once_share_one_family(registry: CollectorRegistry) -> None:
    found: list[Family] = []
    together = Barrier(8)

    def make() -> None:
        together.wait()
        found.append(Family.of(registry))

    threads = [Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_the_calls_of_two_meshes_add_up(mesh_of: Callable[..., Mesh], registry: CollectorRegistry) -> None:
    for mesh in (mesh_of(), mesh_of()):
        with httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client:
            client.get("http://cart.shop/")
    assert value(registry, "istio_requests_total", destination_service_name="cart") == 2
    assert value(registry, "proxyless_cluster_connections") == 2


def test_a_closed_mesh_leaves_its_counts_and_takes_its_gauges(
    mesh_of: Callable[..., Mesh], registry: CollectorRegistry
) -> None:
    mesh = mesh_of()
    with httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client:
        client.get("http://cart.shop/")
    mesh.close()
    assert value(registry, "istio_requests_total") == 1
    assert not [name for name, _ in samples(registry) if name == "proxyless_cluster_connections"]


def test_a_mesh_that_nobody_closed_is_let_go_all_the_same(shop: Shop, registry: CollectorRegistry) -> None:
    mesh = Mesh.from_recorded(shop.folder, registry=registry, status_socket=False)
    assert value(registry, "proxyless_info") == 1
    del mesh
    gc.collect()
    assert not [name for name, _ in samples(registry) if name == "proxyless_info"]


def test_a_mesh_may_be_collected_while_the_metrics_are_brought_up_to_date(
    shop: Shop, registry: CollectorRegistry
) -> None:
    class Collecting(Fixed):
        """The garbage collector may run at any allocation; here it does while the family's lock is held."""

        def flush(self) -> None:
            gc.collect()

    mesh = Mesh.from_recorded(shop.folder, registry=registry, status_socket=False)
    Family.of(registry).attach(Collecting())
    del mesh
    assert value(registry, "proxyless_info") in (0, 1)
    assert value(registry, "proxyless_info") == 0


def test_metrics_of_the_same_name_by_somebody_else_are_named(
    mesh_of: Callable[..., Mesh], registry: CollectorRegistry
) -> None:
    Counter("istio_requests", "not ours", registry=registry)
    with pytest.raises(ConfigurationError, match=r"metrics: Duplicated timeseries.*istio_requests"):
        mesh_of()
    assert {name for name, _ in samples(registry)} <= {"istio_requests_total", "istio_requests_created"}


def test_a_mesh_that_cannot_be_read_fails_no_scrape(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Fixed):
        def flush(self) -> None:
            raise RuntimeError("broken")

    family = Family.of(registry)
    family.attach(Broken())
    family.attach(Fixed(Reading(ACTIVE, ("c",), 2)))
    assert value(registry, ACTIVE) == 2
    assert value(registry, ACTIVE) == 2
    assert [each.message for each in caplog.records] == ["metrics are incomplete"]


def test_a_mesh_without_metrics_registers_nothing(mesh_of: Callable[..., Mesh], registry: CollectorRegistry) -> None:
    mesh = mesh_of(registry=False)
    with httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client:
        assert client.get("http://cart.shop/").status_code == 200
    assert not samples(registry)
