"""The status document: what it says of clusters in use, of what is refused, and of what waits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxyless import Mesh, Node
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.wire.schema import types as pb
from tests.support.ads import AdsServer, recorded_resources
from tests.support.waiting import wait_for

from .conftest import FRONTEND, Shop

PAGE = (Path(__file__).parents[3] / "docs" / "status.md").read_text()
NODE = Node(app="frontend", namespace="shop", ip="127.0.10.1", pod="frontend-v1-0")
CART = "outbound|80||cart.shop.svc.cluster.local"
PAYMENT = "outbound|80||payment.shop.svc.cluster.local"
CLUSTER, ROUTE = ResourceType.CLUSTER, ResourceType.ROUTE


@pytest.fixture
def server() -> Iterator[AdsServer]:
    with AdsServer(recorded_resources(FRONTEND)) as running:
        yield running


@pytest.fixture
def governed(server: AdsServer) -> Iterator[Mesh]:
    with Mesh(f"xds://{server.address}", node=NODE, registry=False, cache_dir=False) as mesh:
        mesh.wait_ready(10)
        yield mesh


def documented(section: str) -> set[str]:
    """The keys that the first table of a section of docs/status.md explains."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n\nTimes are")[0]
    return {key for cell in re.findall(r"^\| (`.+?) \| ", text, re.MULTILINE) for key in re.findall(r"`(\w+)`", cell)}


def cluster(document: dict[str, Any], name: str) -> dict[str, Any]:
    [found] = [each for each in document["clusters"] if each["name"] == name]
    return dict(found)


def test_the_page_explains_every_key(mesh: Mesh) -> None:
    assert set(mesh.status()) == documented("The status document")


def test_the_document_is_json(mesh: Mesh, client: httpx.Client) -> None:
    client.get("http://cart.shop/")
    document = mesh.status()
    assert json.loads(json.dumps(document)) == document


def test_the_clusters_in_use_are_shown_with_their_endpoints_and_what_is_under_way(
    mesh: Mesh, client: httpx.Client, shop: Shop
) -> None:
    assert mesh.status()["clusters"] == []
    with client.stream("GET", "http://payment.shop/"):
        found = cluster(mesh.status(), PAYMENT)
        assert found["breakers"]["default"]["requests"] == {"now": 1, "limit": 16}
        assert found["breakers"]["default"]["connections"] == {"now": 1, "limit": 8}
        assert found["breakers"]["default"]["retries"] == {"now": 0, "limit": 2, "budget": None}
        assert sum(each["active"] for each in found["endpoints"]) == 1
        assert sum(each["connections"] for each in found["endpoints"]) == 1
    found = cluster(mesh.status(), PAYMENT)
    assert found["breakers"]["default"]["requests"]["now"] == 0
    ports = {f"{host}:{port}" for (host, _), port in shop.backends.ports.items()}
    assert {each["address"] for each in found["endpoints"]} <= ports
    assert {each["health"] for each in found["endpoints"]} == {"HEALTHY"}
    assert {each["locality"] for each in found["endpoints"]} == {"r1/a", "r1/b", "r2/a"}


def test_limits_are_said_to_be_those_of_one_process(mesh: Mesh) -> None:
    limits = mesh.status()["limits"]
    assert limits["per"] == "process"
    assert limits["processes"] is None
    assert "N worker processes" in limits["note"]


def test_a_recording_has_no_control_plane_and_nothing_to_find(mesh: Mesh) -> None:
    document = mesh.status()
    assert document["control_plane"] is None
    assert document["findings"] == []
    assert document["node"]["id"] == "sidecar~127.0.10.1~frontend-v1-0.shop~shop.svc.cluster.local"


def test_a_connected_mesh_says_since_when_and_what_came(server: AdsServer, governed: Mesh) -> None:
    document = governed.status()
    control = document["control_plane"]
    assert control["address"] == server.address
    assert control["connected"]
    assert control["attempts"] == 1
    assert control["updates"]["Cluster"] == 1
    assert control["from_disk"] is None
    assert 0 <= control["age_s"] < 10
    assert control["since"] <= control["last_update"] + 1
    held = document["resources"]["Cluster"]
    assert held["held"] == len(server.resources[CLUSTER.value])
    assert held["version"] == "1"
    assert held["versions"] == {"1": held["held"]}
    assert document["findings"] == []


def test_a_control_plane_that_is_away_is_a_finding(server: AdsServer, governed: Mesh) -> None:
    server.stop()
    wait_for(lambda: governed.status()["findings"])
    [finding] = governed.status()["findings"]
    assert finding.startswith(f"not connected to the control plane {server.address}: ")
    assert governed.status()["ready"]


def test_a_process_without_any_configuration_says_so() -> None:
    with Mesh("xds://127.0.0.1:1", node=NODE, registry=False, cache_dir=False) as mesh:
        wait_for(lambda: mesh.status()["control_plane"]["error"])
        assert "no complete configuration is in force" in mesh.status()["findings"]
        assert mesh.status()["resources"]["Cluster"]["held"] == 0


def test_a_refused_resource_names_its_reason_and_what_serves_instead(server: AdsServer, governed: Mesh) -> None:
    server.set(CLUSTER, CART, pb.cluster_v3.Cluster(name=CART, lb_policy=99))
    server.push(CLUSTER)
    wait_for(lambda: governed.status()["rejected"])
    document = governed.status()
    [rejected] = document["rejected"]
    assert (rejected["type"], rejected["name"], rejected["late"]) == ("Cluster", CART, False)
    assert rejected["reason"]
    assert rejected["in_force"] is not None
    [finding] = document["findings"]
    assert finding.startswith(f"Cluster '{CART}' is rejected: ")
    assert document["control_plane"]["rejects"] == {"Cluster": 1}


def test_a_resource_that_was_never_good_has_nothing_in_force(server: AdsServer, governed: Mesh) -> None:
    server.set(CLUSTER, "new", pb.cluster_v3.Cluster(name="new", lb_policy=99))
    server.push(CLUSTER)
    wait_for(lambda: governed.status()["rejected"])
    [rejected] = governed.status()["rejected"]
    assert rejected["in_force"] is None
    assert governed.status()["findings"][0].endswith("(nothing is in force)")


def test_a_late_reject_is_told_from_a_nack(mesh_of: Callable[..., Mesh]) -> None:
    mesh = mesh_of(registry=False)
    graph = mesh._graph
    assert graph is not None
    graph.rejected[CLUSTER, CART] = "late: it is bad"
    [rejected] = mesh.status()["rejected"]
    assert (rejected["late"], rejected["reason"]) == (True, "it is bad")
    assert rejected["in_force"] is not None


def test_a_change_that_waits_for_its_endpoints_is_held_back(server: AdsServer, governed: Mesh) -> None:
    runtime = governed.runtime
    runtime.subscribe(CLUSTER, [CART])
    wait_for(lambda: CART in governed.snapshot.assignments)
    runtime.plan.cluster(CART)
    config = pb.cluster_v3.Cluster.FromString(server.resources[CLUSTER.value][CART])
    config.eds_cluster_config.service_name = "elsewhere"
    server.set(CLUSTER, CART, config)
    server.push(CLUSTER)
    wait_for(lambda: governed.status()["held_back"])
    document = governed.status()
    assert document["held_back"] == [f"Cluster {CART}"]
    assert document["warming"] == [CART]
