"""`check` says of routes of the Gateway API what istiod writes into their status, and what has no effect here."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxyless.xds.controlplane import FolderSource, Plane, check
from tests.xds.controlplane.emit.gateway import PARENT, SERVICES, TO_V2, filtered, http
from tests.xds.controlplane.emit.test_backend_tls import ROOTS, SYSTEM, policy
from tests.xds.controlplane.support import endpoints, istio, service

ENDPOINTS = endpoints("web", "http:8080", "127.0.0.5") + endpoints("v2", "http:8080", "127.0.0.6")
GATEWAY = """
---
apiVersion: gateway.networking.k8s.io/v1
kind: %s
metadata: {name: x, namespace: shop}
spec: {}
"""


def found(folder: Path, *documents: str) -> list[str]:
    (folder / "mesh.yaml").write_text("".join((SERVICES, ENDPOINTS, *documents)))
    return [f"{each.severity} {each.field}: {each.message}" for each in check(folder)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            http("backendRefs: [{name: gone, port: 80}]"),
            (
                "error spec.rules[0].backendRefs[0]: gone.shop.svc.cluster.local is no service: "
                "its share is answered 500 (BackendNotFound)"
            ),
        ),
        (
            http("backendRefs: [{kind: Bucket, name: b}]"),
            "error spec.rules[0].backendRefs[0]: Bucket is no kind of backend: its share is answered 500 (InvalidKind)",
        ),
        (
            http("backendRefs: [{group: a.b, kind: Bucket, name: b}]"),
            (
                "error spec.rules[0].backendRefs[0]: a.b/Bucket is no kind of backend: "
                "its share is answered 500 (InvalidKind)"
            ),
        ),
        (
            http("backendRefs: [{name: v2.shop, port: 80}]"),
            (
                'error spec.rules[0].backendRefs[0].name: "v2.shop" is a host name: the name of the Service is wanted, '
                "so the whole route has no effect (InvalidDestination)"
            ),
        ),
        (
            http(filtered("RequestMirror", "requestMirror", "backendRef: {name: gone, port: 80}")),
            (
                "error spec.rules[0].filters[0].requestMirror.backendRef: gone.shop.svc.cluster.local is no service: "
                "nothing is mirrored to it (BackendNotFound)"
            ),
        ),
        (
            http(filtered("ExtensionRef", "extensionRef", "group: a, kind: B, name: c")),
            (
                "error spec.rules[0].filters[0].type: ExtensionRef is not supported here, "
                "so the whole route has no effect (InvalidFilter)"
            ),
        ),
        (
            http(TO_V2, parent="parentRefs: [{group: '', kind: Service, name: gone}]"),
            "error spec.parentRefs[0]: Service shop/gone does not exist (NoMatchingParent)",
        ),
        (
            http(TO_V2, parent="parentRefs: [{group: networking.istio.io, kind: ServiceEntry, name: gone}]"),
            "error spec.parentRefs[0]: ServiceEntry shop/gone does not exist (NoMatchingParent)",
        ),
        (
            http(TO_V2, parent="parentRefs: [{name: gate, namespace: ingress}]"),
            "warning spec.parentRefs[0]: Gateway ingress/gate has no effect: only the mesh is served",
        ),
        (
            http(TO_V2, parent="parentRefs: [{group: a.b, kind: C, name: gate}]"),
            "warning spec.parentRefs[0]: has no effect: a.b/C is no parent that routes can have",
        ),
        (
            http(TO_V2, parent="parentRefs: [{group: '', kind: C, name: gate}]"),
            "warning spec.parentRefs[0]: has no effect: C is no parent that routes can have",
        ),
        (http(TO_V2, parent="parentRefs: []"), "warning spec: names no parent, so it has no effect"),
        (
            http(TO_V2, parent="parentRefs: [{group: '', kind: Service, name: web, port: 82}]"),
            "warning spec.parentRefs[0].port: 82 is no port of web.shop.svc.cluster.local: it has 80, 81",
        ),
        (
            http(TO_V2, parent="parentRefs: [{group: '', kind: Service, name: web, sectionName: http}]"),
            "warning spec.parentRefs[0].sectionName: has no effect for services: port tells their ports apart",
        ),
        (
            http(TO_V2, rest=", hostnames: [a.example.com]"),
            "warning spec.hostnames: have no effect for services: their own hosts are taken",
        ),
        (
            http(f"{TO_V2}, sessionPersistence: {{}}"),
            "warning spec.rules[0].sessionPersistence: has no effect: Istio does not implement sessions of routes",
        ),
        (GATEWAY % "Gateway", "warning kind: Gateway has no effect: it is not read"),
        (GATEWAY % "ReferenceGrant", "warning kind: ReferenceGrant has no effect: it is not read"),
        (
            GATEWAY % "HttpRoute",
            'error kind: gateway.networking.k8s.io has no kind "HttpRoute" (did you mean "HTTPRoute"?)',
        ),
    ],
)
def test_what_is_said(text: str, said: str, tmp_path: Path) -> None:
    assert found(tmp_path, text) == [said]


def test_of_a_good_route_nothing_is_said(tmp_path: Path) -> None:
    tcp = istio("TCPRoute", "t", f"{{{PARENT}, rules: [{{{TO_V2}}}]}}")
    grpc = istio("GRPCRoute", "t", f"{{{PARENT}, rules: [{{{TO_V2}}}]}}")
    assert found(tmp_path, http(TO_V2), tcp, grpc) == []


VIRTUAL = "{hosts: [web], http: [{route: [{destination: {host: v2}}]}]}"
HOST = "web.shop.svc.cluster.local"


def test_a_virtual_service_for_the_same_host(tmp_path: Path) -> None:
    older = istio("VirtualService", "a", VIRTUAL, creationTimestamp="2020-01-01T00:00:00Z")
    assert found(tmp_path, older, http(TO_V2, creationTimestamp="2024-01-01T00:00:00Z")) == [
        f"warning spec.hosts[0]: {HOST} is routed by HTTPRoute shop/r, which is older or comes first",
        f"warning spec.parentRefs[0].name: outside of shop VirtualService shop/a routes {HOST}: it is older",
    ]
    younger = istio("VirtualService", "a", VIRTUAL, creationTimestamp="2024-01-01T00:00:00Z")
    assert found(tmp_path, younger, http(TO_V2, creationTimestamp="2020-01-01T00:00:00Z")) == [
        f"warning spec.hosts[0]: {HOST} is routed by HTTPRoute shop/r, which is older or comes first",
    ]


def test_several_routes_are_named_together(tmp_path: Path) -> None:
    virtual = istio("VirtualService", "a", VIRTUAL, creationTimestamp="2024-01-01T00:00:00Z")
    assert (
        f"warning spec.hosts[0]: {HOST} is routed by HTTPRoute shop/r, HTTPRoute shop/s, which is older or comes first"
        in (found(tmp_path, virtual, http(TO_V2), http(TO_V2, name="s")))
    )


def test_who_serves_a_folder_hears_of_conditions_once_and_when_they_change(tmp_path: Path) -> None:
    said: list[str] = []
    write = (tmp_path / "mesh.yaml").write_text
    lost = http("backendRefs: [{name: gone, port: 80}]")
    write(SERVICES + ENDPOINTS + lost)
    plane = Plane(FolderSource(tmp_path), clock=lambda: 0.0, on_note=lambda note: said.append(str(note)))
    (first,) = said
    assert first.startswith("mesh.yaml:")
    assert first.endswith(
        "HTTPRoute shop/r: spec.rules[0].backendRefs[0] gone.shop.svc.cluster.local is no service: "
        "its share is answered 500 (BackendNotFound)"
    )
    write(SERVICES + ENDPOINTS + lost + http(TO_V2, name="s"))
    assert plane.poll()
    assert len(said) == 1
    write(SERVICES + ENDPOINTS + lost + http(TO_V2, name="s", parent="parentRefs: [{name: gate}]"))
    assert plane.poll()
    assert len(said) == 2
    assert "HTTPRoute shop/s: spec.parentRefs[0] Gateway shop/gate has no effect" in said[1]
    write(SERVICES + ENDPOINTS + service("gone", "http:80", ip="10.96.0.9") + http(TO_V2, name="s"))
    assert plane.poll()
    assert plane.state.notes == ()


CONFIG_MAP = "caCertificateRefs: [{group: '', kind: ConfigMap, name: roots}]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (policy(SYSTEM, "kind: Service, group: '', name: gone"), "targetRefs[0]: Service shop/gone does not exist"),
        (policy(SYSTEM, "kind: Pod, group: '', name: web"), "targetRefs[0]: Pod shop/web is no target"),
        (
            policy(SYSTEM, "kind: Service, group: '', name: web, sectionName: x"),
            "targetRefs[0].sectionName: Service shop/web has no port named x",
        ),
        (policy(SYSTEM) + policy(SYSTEM, name="q"), "targetRefs[0]: BackendTLSPolicy shop/p is for the same target"),
        (policy(SYSTEM.replace("System", "Mine")), "validation.wellKnownCACertificates: Mine is not known"),
        (policy(CONFIG_MAP), "caCertificateRefs[0]: ConfigMap shop/roots with ca.crt does not exist"),
        (policy(CONFIG_MAP.replace("ConfigMap", "Secret")) + ROOTS, "caCertificateRefs[0]: Secret holds no"),
    ],
)
def test_what_a_policy_of_backends_cannot_do(tmp_path: Path, text: str, said: str) -> None:
    assert any(said in each for each in found(tmp_path, text))


def test_a_policy_of_backends_that_does_what_it_says(tmp_path: Path) -> None:
    assert found(tmp_path, policy(CONFIG_MAP), ROOTS) == []
