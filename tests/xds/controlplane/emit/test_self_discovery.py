"""The endpoints of `local_cluster`: those of the proxy's own workload, in its own region."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery.rules import ENDPOINT
from proxyless.xds.controlplane.discovery.sotw import SotwSession
from proxyless.xds.wire.schema import types as pb
from tests.xds.controlplane.emit.registries import pod, sent, slice_, thing
from tests.xds.controlplane.support import made, named, service, view

APP = {"app": "web", "service.istio.io/workload-name": "web-v1", "pod-template-hash": "a"}
NODES = "".join(
    thing("Node", name, namespace="", labels={"topology.kubernetes.io/region": region})
    for name, region in (("near", "r1"), ("far", "r2"))
)


def member(name: str, ip: str, node: str = "near", **labels: str) -> str:
    own = APP | {key.replace("_", "-"): value for key, value in labels.items()}
    return pod(name, ip, own, spec=f"nodeName: {node}")


PODS = (
    member("me", "10.1.0.1")
    + member("two", "10.1.0.2")
    + member("far", "10.1.0.3", "far")
    + member("new", "10.1.0.4", pod_template_hash="b")
    + pod("other", "10.1.0.5", {"app": "web", "service.istio.io/workload-name": "web-v2"}, spec="nodeName: near")
)
REFS = [f"10.1.0.{index}={name}" for index, name in enumerate(("me", "two", "far", "new", "other"), 1)]
MESH = service("web", "http:80:8080") + NODES + PODS + slice_("web", "http:8080", *REFS)


def test_the_workload_s_own_set_in_its_region() -> None:
    found = sent(MESH, "local_cluster", pod="me", ip="10.1.0.1", WORKLOAD_NAME="web-v1")
    assert [(each["address"], each["locality"]) for each in found] == [("10.1.0.1:8080", "r1"), ("10.1.0.2:8080", "r1")]


@pytest.mark.parametrize("who", [{"pod": "me", "ip": "10.1.0.1"}, {"pod": "client", "WORKLOAD_NAME": "web-v1"}])
def test_who_has_no_service_or_says_no_workload_is_alone(who: dict[str, Any]) -> None:
    assert made(view(MESH, **who), ENDPOINT, "local_cluster") == {"local_cluster": {"cluster_name": "local_cluster"}}


def test_it_is_pushed_when_the_service_s_endpoints_change_and_not_for_others(tmp_path: Path) -> None:
    other = service("other", "http:80", ip="10.96.0.7")
    (tmp_path / "mesh.yaml").write_text(MESH + other)
    (tmp_path / "slice.yaml").write_text(slice_("other", "http:80", "10.2.0.1"))
    plane = Plane(FolderSource(tmp_path), clock=lambda: 0.0)
    session = SotwSession(plane)
    node = pb.core_v3.Node(id="sidecar~10.1.0.1~me.shop~shop.svc.cluster.local")
    node.metadata.update({"NAMESPACE": "shop", "INSTANCE_IPS": "10.1.0.1", "WORKLOAD_NAME": "web-v1"})
    asked = pb.discovery_v3.DiscoveryRequest(type_url=ENDPOINT.url, node=node, resource_names=["local_cluster"])
    (first,) = session.receive(asked)
    assert len(first.resources) == 1

    def pushed(name: str, text: str) -> list[str]:
        (tmp_path / name).write_text(text)
        assert plane.poll()
        return [key for response in session.changed() for key in named(response.resources)]

    assert pushed("slice.yaml", slice_("other", "http:80", "10.2.0.2")) == []
    fewer = MESH.replace(slice_("web", "http:8080", *REFS), slice_("web", "http:8080", *REFS[:1]))
    assert pushed("mesh.yaml", fewer + other) == ["local_cluster"]
