"""What `check` says of security policies that the mesh cannot carry out."""

from __future__ import annotations

import pytest

from proxyless.xds.controlplane.checking.mesh import Mesh
from proxyless.xds.controlplane.checking.policies import authorization_policy
from tests.xds.controlplane.support import istio, mesh, service, world

ASKER = "{name: asker, envoyExtAuthzGrpc: {service: authz.auth.svc.cluster.local, port: 9000}}"
CUSTOM = istio("AuthorizationPolicy", "p", "{action: CUSTOM, provider: {name: asker}, rules: [{}]}")


def said(text: str) -> list[str]:
    made = world(text)
    (found,) = (each for each in made.by_ref.values() if each.kind == "AuthorizationPolicy")
    return [f"{'.'.join(map(str, keys))}: {why}" for _, keys, why in authorization_policy(found, Mesh(made))]  # type: ignore[arg-type]


def test_an_authorizer_that_is_there_is_not_spoken_of() -> None:
    settings = mesh(f"extensionProviders: [{ASKER}]")
    assert said(service("authz", "grpc:9000", namespace="auth") + settings + CUSTOM) == []


@pytest.mark.parametrize(
    ("providers", "why"),
    [
        ("", '"asker" is no external authorizer of the mesh'),
        (ASKER, "authz.auth.svc.cluster.local is no service"),
    ],
)
def test_one_that_is_not_there_denies(providers: str, why: str) -> None:
    expected = f"spec.provider.name: asks nobody: {why}; what the rules match is denied, as istiod does it"
    assert said(mesh(f"extensionProviders: [{providers}]") + CUSTOM) == [expected]


def test_a_custom_policy_that_is_to_be_tried_denies() -> None:
    tried = istio(
        "AuthorizationPolicy",
        "p",
        "{action: CUSTOM, provider: {name: asker}, rules: [{}]}",
        annotations={"istio.io/dry-run": "true"},
    )
    (found,) = said(service("authz", "grpc:9000", namespace="auth") + mesh(f"extensionProviders: [{ASKER}]") + tried)
    assert found.startswith("metadata.annotations.istio.io/dry-run: does not try a policy of action CUSTOM")


LOCAL = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: till, namespace: shop, annotations: {proxyless.dev/endpoints: 127.0.0.1}}
spec: {template: {metadata: {labels: {app: till, tier: front}}}}
"""
POD = """\
---
apiVersion: v1
kind: Pod
metadata: {name: till-0, namespace: shop, labels: {app: till}}
"""


@pytest.mark.parametrize(
    ("labels", "around", "expected"),
    [
        ("app: catalogue", service("catalog", "http:80"), ['app is "catalogue" (did you mean "catalog"?)']),
        ("tier: fronts, app: till", LOCAL, ['tier is "fronts" (did you mean "front"?)']),
        ("app: catalog", service("catalog", "http:80") + service("catalogs", "http:80"), []),
        ("app: client", LOCAL, []),
        ("app: catalogue", service("catalog", "http:80", namespace="other"), []),
    ],
)
def test_without_pods_a_selector_with_a_slip_is_named(labels: str, around: str, expected: list[str]) -> None:
    policy = istio("AuthorizationPolicy", "p", f"{{selector: {{matchLabels: {{{labels}}}}}, rules: [{{}}]}}")
    found = said(around + policy)
    assert [each.partition("selects nobody that is known here: ")[2] for each in found] == expected
    assert "spec.selector: selects no workload" in said(around + POD + policy.replace("app: till", "app: none"))
