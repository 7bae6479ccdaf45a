"""What a process decides under a Sidecar: its hosts, the hosts that nobody knows, its own listeners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxyless import Mesh, Node
from proxyless.cli.explain import explain_one
from tests.xds.controlplane.support import endpoints, istio, service

MESH = (
    service("web", "http:80:8080", ip="10.96.0.1")
    + endpoints("web", "http:8080", "127.0.0.5")
    + service("far", "http:80", namespace="other", ip="10.96.0.2")
    + endpoints("far", "http:80", "127.0.0.6", namespace="other")
    + service("me", "http:80:8080", ip="10.96.0.3")
    + endpoints("me", "http:8080", "127.0.0.9")
)
WEB = "outbound|80||web.shop.svc.cluster.local"
FAR = "outbound|80||far.other.svc.cluster.local"


def decided(
    folder: Path,
    spec: str,
    url: str,
    *,
    inbound: int | None = None,
    host: str = "",
    more: str = "",
    metadata: dict[str, Any] | None = None,
) -> dict[str, Any]:
    (folder / "mesh.yaml").write_text(MESH + (istio("Sidecar", "scope", spec) if spec else "") + more)
    asked: dict[str, Any] = {"url": url, "headers": [["host", host]] if host else []}
    node = Node(app="me", namespace="shop", ip="127.0.0.9", metadata=metadata or {})
    with Mesh.from_config(folder, node=node, registry=False) as mesh:
        mesh.wait_ready(20)
        return explain_one(mesh, asked, inbound, "127.0.0.1", 5.0)[0]


ONLY = "outboundTrafficPolicy: {mode: REGISTRY_ONLY}"
PROXY = "outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: far.other.svc.cluster.local, port: {number: 80}}}"
OWN = "egress: [{hosts: [./*]}]"


@pytest.mark.parametrize(
    ("spec", "url", "cluster", "status"),
    [
        ("", "http://far.other/", FAR, None),
        (f"{{{OWN}}}", "http://web/", WEB, None),
        (f"{{{OWN}}}", "http://web.shop.svc.cluster.local/", WEB, None),
        (f"{{{OWN}}}", "http://far.other/", "PassthroughCluster", None),
        (f"{{{OWN}, {ONLY}}}", "http://far.other/", None, 502),
        (f"{{{OWN}, {ONLY}}}", "http://nobody.example.com/", None, 502),
        (f"{{{OWN}, {ONLY}}}", "http://web/", WEB, None),
        (f"{{{ONLY}}}", "http://far.other/", FAR, None),
        (f"{{{PROXY}}}", "http://nobody.example.com/", FAR, None),
        (f"{{{PROXY}}}", "http://web/", WEB, None),
        ("{egress: [{hosts: ['*/*', ~other/*]}]}", "http://far.other/", "PassthroughCluster", None),
    ],
)
def test_calls_go_where_the_sidecar_lets_them(
    spec: str, url: str, cluster: str | None, status: int | None, tmp_path: Path
) -> None:
    answer = decided(tmp_path, spec, url)
    assert (answer["cluster"], answer["status"]) == (cluster, status), answer["why"]


def test_a_listener_of_its_own_is_called_at_its_address(tmp_path: Path) -> None:
    listener = "{port: {number: 9000, protocol: HTTP_PROXY}, bind: 127.0.0.1, captureMode: NONE, hosts: [other/*]}"
    spec = f"{{egress: [{listener}, {{hosts: [./*]}}], {ONLY}}}"
    for host, cluster in (("far.other.svc.cluster.local", FAR), ("web.shop.svc.cluster.local", None)):
        answer = decided(tmp_path, spec, "http://127.0.0.1:9000/", host=host)
        assert answer["listener"] == "127.0.0.1_9000"
        assert answer["cluster"] == cluster, answer["why"]


def test_a_port_s_listener_has_rules_of_its_own(tmp_path: Path) -> None:
    route = istio(
        "VirtualService",
        "web",
        "{hosts: [web.shop.svc.cluster.local], http: [{directResponse: {status: 418}}]}",
        namespace="other",
    )
    everything = decided(tmp_path, "", "http://web/", more=route)
    own = decided(
        tmp_path, "{egress: [{port: {number: 80, protocol: HTTP}, hosts: [shop/*]}]}", "http://web/", more=route
    )
    assert (everything["status"], own["status"]) == (418, None)
    assert own["cluster"] == WEB


def test_what_a_route_leads_to_is_called_though_it_is_out_of_sight(tmp_path: Path) -> None:
    route = istio(
        "VirtualService", "web", "{hosts: [web], http: [{route: [{destination: {host: far.other.svc.cluster.local}}]}]}"
    )
    answer = decided(tmp_path, f"{{{OWN}, {ONLY}}}", "http://web/", more=route)
    assert answer["cluster"] == FAR
    assert answer["endpoint"] == "127.0.0.6:80"


@pytest.mark.parametrize(("port", "chain"), [(9080, "0.0.0.0_9080"), (8080, "virtualInbound-catchall-http")])
def test_incoming_requests_are_taken_on_the_sidecar_s_ports(port: int, chain: str, tmp_path: Path) -> None:
    answer = decided(tmp_path, "{ingress: [{port: {number: 9080, protocol: HTTP}}]}", "http://me/", inbound=port)
    assert answer["status"] is None, answer["why"]
    assert answer["filter_chain"] == chain


def test_without_redirection_the_ports_of_a_sidecar_are_taken_and_no_others(tmp_path: Path) -> None:
    spec = "{ingress: [{port: {number: 9080, protocol: HTTP}}]}"
    none = {"INTERCEPTION_MODE": "NONE"}
    answer = decided(tmp_path, spec, "http://me/", inbound=9080, metadata=none)
    assert answer["status"] is None, answer["why"]
    assert answer["listener"] == "0.0.0.0_9080"
    assert decided(tmp_path, spec, "http://me/", inbound=8080, metadata=none)["status"] == 503
