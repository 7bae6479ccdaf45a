"""`check` on a mesh's settings: which of several count, which names lead nowhere, what an annotation cannot say."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxyless.xds.controlplane import check
from tests.xds.controlplane.support import endpoints, istio, mesh, service

WEB = service("web", "http:80") + endpoints("web", "http:80", "127.0.0.5")
ZIPKIN = "{name: zip, zipkin: {service: web.shop.svc.cluster.local, port: 80}}"


def said(folder: Path, text: str) -> list[str]:
    (folder / "mesh.yaml").write_text(WEB + text)
    return [f"{found.severity}: {found.field} {found.message}" for found in check(folder)]


def test_of_several_the_one_that_counts_is_named(tmp_path: Path) -> None:
    (found,) = said(tmp_path, mesh("{}") + mesh("{}", name="istio-canary"))
    assert found.startswith("warning: metadata.name is no mesh configuration in force: ConfigMap istio-system/istio in")


def test_names_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    settings = f"""
    extensionProviders:
    - {ZIPKIN}
    - {{name: lost, zipkin: {{service: nobody}}}}
    - {{name: zip, datadog: {{service: a/b}}}}
    - {{name: void}}
    defaultProviders: {{tracing: [lost], accessLogging: [zip, envoy, nobody]}}
    """
    found = {each.removeprefix("warning: data.mesh.") for each in said(tmp_path, mesh(settings))}
    unknown = "it is no extension provider of the mesh"
    assert found == {
        "extensionProviders[1] leads nowhere: nobody is no service",
        'extensionProviders[2].name "zip" is given twice: the last one counts',
        "extensionProviders[2] leads nowhere: a/b is no service",
        "extensionProviders[3] says no kind of provider",
        'defaultProviders.accessLogging[0] "zip" is of no use here: it is of another kind',
        f'defaultProviders.accessLogging[2] "nobody" is of no use here: {unknown}',
        'defaultProviders.tracing[0] "lost" is of no use here: nobody is no service',
    }


@pytest.mark.parametrize(
    ("provider", "refused"),
    [
        ("name: envoy, envoyFileAccessLog: {}", True),
        ("name: envoy, envoyFileAccessLog: {path: /dev/stdout}", False),
        ("name: envoy, envoyFileAccessLog: {omitEmptyValues: true}", False),
        ("name: file, envoyFileAccessLog: {}", False),
    ],
)
def test_the_built_in_provider_needs_a_path(provider: str, refused: bool, tmp_path: Path) -> None:
    found = said(tmp_path, mesh(f"extensionProviders: [{{{provider}}}]"))
    why = (
        "Envoy refuses listeners that log to it: "
        'the provider "envoy" has no path unless it says one; istiod sends them all the same'
    )
    assert found == [f"error: data.mesh.extensionProviders[0].envoyFileAccessLog {why}"] * refused


def test_networks_and_names_resolved_when_called_have_nothing_to_be_said(tmp_path: Path) -> None:
    networks = "networks: {n: {gateways: [{address: 1.2.3.4, port: 15443}]}}"
    assert said(tmp_path, mesh("outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS}", networks=networks)) == []


def test_telemetry_is_held_against_the_meshs_providers(tmp_path: Path) -> None:
    tracing = istio("Telemetry", "t", "{tracing: [{providers: [{name: zip}]}, {randomSamplingPercentage: 5}]}")
    first, second = said(tmp_path, tracing)
    assert first.startswith(
        'warning: spec.tracing[0].providers[0] switches tracing off: "zip" takes no spans: it is no'
    )
    assert second == "warning: spec.tracing[1] switches tracing off: the mesh has no default provider of tracing"
    providers = f"extensionProviders: [{ZIPKIN}]\n"
    found = said(tmp_path, tracing + mesh(f"{providers}defaultProviders: {{tracing: [zip]}}"))
    assert found == []
    datadog = "extensionProviders: [{name: zip, datadog: {service: web.shop.svc.cluster.local, port: 80}}]\n"
    service = (
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {ports: [{port: 80}]}\n"
    )
    found = said(tmp_path, service + tracing + mesh(f"{datadog}defaultProviders: {{tracing: [zip]}}"))
    assert any("takes no spans: a process makes no spans for tracers of this kind" in each for each in found)
    found = said(tmp_path, tracing + mesh(f"{providers}defaultProviders: {{tracing: [envoy]}}"))
    assert 'warning: spec.tracing[1] switches tracing off: "envoy" takes no spans: envoy takes no spans' in found


POD = """---
apiVersion: v1
kind: Pod
metadata:
  name: web-0
  namespace: shop
  annotations:
    proxy.istio.io/config: |
      tracing:
        samplin: 5
      concurrency: 2
"""


def test_an_annotation_that_the_injector_would_refuse_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(POD)
    error, inert = [each for each in check(tmp_path) if each.file == "pod.yaml"]
    assert (error.severity, error.line, error.column) == ("error", 10, 9)
    assert error.field == 'metadata.annotations["proxy.istio.io/config"].tracing.samplin'
    assert error.message == 'unknown field (did you mean "sampling"?)'
    assert (inert.severity, inert.line) == ("warning", 11)
