"""What Envoy refuses although istiod sends it: `check` says so, and Envoy does what was said."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxyless.xds.controlplane import check
from tests.xds.controlplane.emit.traffic import rule
from tests.xds.controlplane.support import istio, mesh, service, view, world
from tests.xds.controlplane.validate import refusal


def entry(protocol: str) -> str:
    ports = f"[{{number: 8088, name: p, protocol: {protocol}}}]"
    return istio("ServiceEntry", "wild", f"{{hosts: ['*.example.com'], resolution: DYNAMIC_DNS, ports: {ports}}}")


HTTP, HTTP2 = entry("HTTP"), entry("HTTP2")
PORTS = "[{number: 80, name: http, protocol: HTTP}]"
ENTRY = istio("ServiceEntry", "dns", f"{{hosts: [a.example.org], resolution: DNS, ports: {PORTS}}}")
POOL = rule("connectionPool: {http: {http2MaxRequests: 5, maxRequestsPerConnection: 1}}", host="*.example.com")
ELSEWHERE = POOL.replace("namespace: shop", "namespace: other")
UPGRADE = mesh("h2UpgradePolicy: UPGRADE")


@pytest.mark.envoy
@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (HTTP, False),
        (HTTP2, True),
        (HTTP + UPGRADE, True),
        (HTTP2 + rule("tls: {mode: SIMPLE}", host="*.example.com"), False),
        (HTTP2 + rule("tls: {mode: SIMPLE, sni: a.example.com}", host="*.example.com"), False),
        (HTTP + POOL, True),
    ],
)
def test_check_names_what_envoy_refuses(text: str, refused: bool, tmp_path: Path) -> None:
    folder = tmp_path / "mesh"
    folder.mkdir()
    (folder / "mesh.yaml").write_text(text)
    found = [each for each in check(folder) if each.severity == "error"]
    assert [(each.field, "outbound|8088||*.example.com" in each.message) for each in found] == (
        [("spec.resolution", True)] if refused else []
    )
    assert bool(refusal(view(world(text)), tmp_path)) is refused


def test_it_does_so_for_rules_of_other_namespaces(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text(HTTP + ELSEWHERE)
    assert "spec.resolution" in {each.field for each in check(tmp_path) if each.severity == "error"}


def test_a_socket_has_no_ports(tmp_path: Path) -> None:
    text = istio("Sidecar", "s", "egress: [{bind: 'unix:///run/x', hosts: ['*/*']}]")
    (tmp_path / "mesh.yaml").write_text(text)
    (found,) = (each for each in check(tmp_path) if each.severity == "error")
    assert found.field == "spec.egress[0].bind"
    assert found.message.startswith("Envoy refuses the listeners")


SERVICE = service("db", "tls:443", ip="10.96.0.2")


def tracing(kind: str) -> str:
    settings = f"extensionProviders: [{{name: t, {kind}}}]\ndefaultProviders: {{tracing: [t]}}"
    return SERVICE + mesh(settings)


def logs(kind: str) -> str:
    return mesh(f"extensionProviders: [{{name: l, {kind}}}]")


UNSAID = istio("Telemetry", "t", "accessLogging: [{providers: [{name: l}], filter: {}}]")
MATCH = "{sniHosts: [db.shop.svc.cluster.local], destinationSubnets: [10.0.0.0/8, 10.1.2.3/8]}"
ROUTES = f"[{{match: [{MATCH}], route: [{{destination: {{host: db}}}}]}}]"
TWICE = SERVICE + istio("VirtualService", "db", f"{{hosts: [db.shop.svc.cluster.local], tls: {ROUTES}}}")


@pytest.mark.envoy
@pytest.mark.parametrize(
    ("text", "field"),
    [
        (TWICE, "spec.tls[0].match[0].destinationSubnets"),
        (HTTP + ENTRY + mesh("dnsRefreshRate: 0s"), "data.mesh.dnsRefreshRate"),
        (HTTP + UNSAID + logs("envoyFileAccessLog: {path: /dev/stdout}"), "spec.accessLogging[0].filter"),
        (HTTP + tracing("zipkin: {service: db.shop.svc.cluster.local, port: 9}"), "data.mesh.extensionProviders[0]"),
        (HTTP + tracing("datadog: {service: db.shop.svc.cluster.local, port: 9}"), "data.mesh.extensionProviders[0]"),
    ],
)
def test_so_is_what_else_envoy_refuses(text: str, field: str, tmp_path: Path) -> None:
    folder = tmp_path / "mesh"
    folder.mkdir()
    (folder / "mesh.yaml").write_text(text)
    found = [each for each in check(folder) if each.severity == "error"]
    assert [each.field for each in found] == [field]
    assert found[0].message.startswith("Envoy refuses")
    assert refusal(view(world(text)), tmp_path)
