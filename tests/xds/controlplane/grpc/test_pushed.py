"""When gRPC's own xDS is sent something: all that it names, on changes of what it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.discovery.delta import DeltaSession
from proxyless.xds.controlplane.discovery.sotw import SotwSession
from proxyless.xds.wire.schema import types as pb
from tests.xds.controlplane.support import endpoints, istio, named, service

A, B = "a.one.svc.cluster.local", "b.two.svc.cluster.local"
NODE = pb.core_v3.Node(id="sidecar~10.9.9.9~x.shop~shop.svc.cluster.local")
NODE.metadata.update({"NAMESPACE": "shop", "GENERATOR": "grpc"})
WANTED = {
    rules.CLUSTER: [f"outbound|80||{A}"],
    rules.ENDPOINT: [f"outbound|80||{A}"],
    rules.LISTENER: [f"{A}:80"],
    rules.ROUTE: [f"outbound|80||{A}"],
}


def at(name: str, namespace: str, address: str = "10.0.0.1") -> str:
    return service(name, "grpc:80", namespace=namespace) + endpoints(name, "grpc:80", address, namespace=namespace)


@pytest.fixture
def plane(tmp_path: Path) -> Plane:
    (tmp_path / "a.yaml").write_text(at("a", "one"))
    (tmp_path / "b.yaml").write_text(at("b", "two"))
    return Plane(FolderSource(tmp_path), clock=lambda: 0.0)


def connected(plane: Plane, *, delta: bool = False) -> Any:
    session: Any = DeltaSession(plane) if delta else SotwSession(plane)
    for type_, names in WANTED.items():
        if delta:
            request: Any = pb.discovery_v3.DeltaDiscoveryRequest(
                type_url=type_.url, node=NODE, resource_names_subscribe=names
            )
        else:
            request = pb.discovery_v3.DiscoveryRequest(type_url=type_.url, node=NODE, resource_names=names)
        assert session.receive(request)
    return session


CHANGES: dict[str, tuple[str, str, set[str]]] = {
    "endpoints": ("a.yaml", at("a", "one", "10.0.0.2"), {"EDS"}),
    "endpoints elsewhere": ("b.yaml", at("b", "two", "10.0.0.2"), set()),
    "a service": ("c.yaml", at("c", "one"), {"EDS"} - {"EDS"}),
    "an own service": ("c.yaml", at("c", "shop"), {"CDS", "LDS", "RDS"}),
    "a rule": ("r.yaml", istio("DestinationRule", "r", f"{{host: {A}}}"), {"CDS", "EDS", "LDS", "RDS"}),
    "a rule elsewhere": ("r.yaml", istio("DestinationRule", "r", f"{{host: {B}}}"), {"RDS"}),
    "routes": (
        "v.yaml",
        istio("VirtualService", "v", f"{{hosts: [{A}], http: [{{directResponse: {{status: 200}}}}]}}"),
        {"CDS", "LDS", "RDS"},
    ),
}


@pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_pushed_to_those_who_name_its_host(plane: Plane, tmp_path: Path, change: str, delta: bool) -> None:
    session = connected(plane, delta=delta)
    file, text, wanted = CHANGES[change]
    (tmp_path / file).write_text(text)
    assert plane.poll()
    sent = {rules.TYPES[each.type_url].label: list(named(each.resources)) for each in session.changed()}
    assert sent.keys() == wanted
    assert all(names == WANTED[type_] for type_ in WANTED if (names := sent.get(type_.label)) is not None)


def test_more_names_are_answered_with_all_of_them(plane: Plane) -> None:
    session = connected(plane)
    nonce = session.watches[rules.CLUSTER.url].sent
    more = [*WANTED[rules.CLUSTER], f"outbound|80||{B}"]
    request = pb.discovery_v3.DiscoveryRequest(
        type_url=rules.CLUSTER.url, resource_names=more, response_nonce=nonce, version_info="1"
    )
    (response,) = session.receive(request)
    assert sorted(named(response.resources)) == more


def test_a_name_that_means_nothing_is_answered_without_it(plane: Plane) -> None:
    session = SotwSession(plane)
    request = pb.discovery_v3.DiscoveryRequest(type_url=rules.LISTENER.url, node=NODE, resource_names=["nobody:80"])
    (response,) = session.receive(request)
    assert not response.resources


def test_a_service_that_goes_away_takes_its_listener_along(plane: Plane, tmp_path: Path) -> None:
    session = connected(plane, delta=True)
    (tmp_path / "a.yaml").unlink()
    assert plane.poll()
    removed = {rules.TYPES[each.type_url].label: list(each.removed_resources) for each in session.changed()}
    assert removed["LDS"] == WANTED[rules.LISTENER]
    (tmp_path / "a.yaml").write_text(at("a", "one"))
    assert plane.poll()
    again = {rules.TYPES[each.type_url].label: list(named(each.resources)) for each in session.changed()}
    assert again["LDS"] == WANTED[rules.LISTENER]
