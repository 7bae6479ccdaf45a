"""The library chart, by the examples that use it: linted and rendered by the real helm, read by the real bootstrap."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e.charts import (
    CHARTS,
    Object,
    container_environment,
    has_little_power,
    mount,
    of_kind,
    rendered,
    run,
    values_files,
)
from proxyless.probes import _read
from proxyless.xds.identity.environment import from_environment

EXAMPLES = ("examples/catalog", "examples/own-deployment")
STRICT = CHARTS / "examples" / "catalog" / "ci" / "strict-values.yaml"


def pod(chart: str, *options: object) -> Object:
    (deployment,) = of_kind(rendered(chart, *options), "Deployment").values()
    template: Object = deployment["spec"]["template"]
    return template


@pytest.mark.parametrize("chart", EXAMPLES)
def test_helm_finds_nothing_to_complain_about(chart: str) -> None:
    for path in values_files(chart):
        options = ("--values", path) if path else ()
        assert "0 chart(s) failed" in run("lint", "--strict", CHARTS / chart, *options).stdout


def test_the_bootstrap_understands_a_pod(tmp_path: Path) -> None:
    template = pod("examples/catalog", "--set", "proxyless.name=catalog-v1,proxyless.app=catalog")
    mount(template, tmp_path)
    bootstrap = from_environment(container_environment(template), tmp_path)
    assert (bootstrap.address, bootstrap.tls) == ("istiod.istio-system.svc:15012", True)
    assert bootstrap.token_file == "/var/run/secrets/tokens/istio-token"
    assert bootstrap.root_cert == "/var/run/secrets/istio/root-cert.pem"
    assert not bootstrap.warnings
    assert bootstrap.identity is not None
    node = bootstrap.node
    assert node.id == "sidecar~10.244.0.7~catalog-v1-5d9c.shop~shop.svc.cluster.local"
    assert (node.app, node.labels["version"], node.service_account) == ("catalog", "v1", "catalog")
    metadata = node.message()["metadata"]
    said = {key: metadata[key] for key in ("WORKLOAD_NAME", "NODE_NAME", "CLUSTER_ID")}
    assert said == {"WORKLOAD_NAME": "catalog-v1", "NODE_NAME": "node-a", "CLUSTER_ID": "Kubernetes"}
    assert metadata["LABELS"]["security.istio.io/tlsMode"] == "disabled"
    assert metadata["ANNOTATIONS"]["prometheus.io/port"] == "15020"


def test_the_bootstrap_sees_what_values_change(tmp_path: Path) -> None:
    template = pod("examples/catalog", "--values", STRICT)
    mount(template, tmp_path)
    bootstrap = from_environment(container_environment(template), tmp_path)
    assert bootstrap.delta
    assert bootstrap.identity is not None
    assert getattr(bootstrap.identity, "address", "") == "ca.example:15012"
    metadata = bootstrap.node.message()["metadata"]
    assert (metadata["MESH_ID"], metadata["NETWORK"]) == ("mesh1", "network1")
    assert metadata["LABELS"]["security.istio.io/tlsMode"] == "istio"
    assert metadata["LABELS"]["team"] == "shop"
    without = pod("examples/catalog", "--set", "proxyless.identity=false,proxyless.controlPlane.address=istiod:15010")
    plain = from_environment(container_environment(without), tmp_path)
    assert (plain.tls, plain.identity) == (False, None)


@pytest.mark.parametrize("chart", EXAMPLES)
def test_pods_have_no_sidecar_and_little_power(chart: str) -> None:
    for path in values_files(chart):
        template = pod(chart, *(("--values", path) if path else ()))
        assert template["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
        assert template["spec"]["automountServiceAccountToken"] is False
        has_little_power(template)


def test_everything_that_is_off_by_default_can_be_on() -> None:
    by_default = {each["kind"] for each in rendered("examples/catalog")}
    assert by_default == {"Deployment", "Service", "ServiceAccount", "PodDisruptionBudget"}
    objects = rendered("examples/catalog", "--values", STRICT)
    assert {each["kind"] for each in objects} == by_default | {"NetworkPolicy", "PodMonitor"}
    selector = {"app": "catalog", "version": "v2"}
    (policy,) = of_kind(objects, "NetworkPolicy").values()
    assert policy["spec"]["podSelector"]["matchLabels"] == selector
    assert [each["ports"] for each in policy["spec"]["ingress"]] == [[{"port": 8443}], [{"port": 15020}]]
    (monitor,) = of_kind(objects, "PodMonitor").values()
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["podMetricsEndpoints"][0]["path"] == "/metrics"
    for each in objects:
        if each["kind"] in ("PodDisruptionBudget", "PodMonitor", "Deployment"):
            assert each["spec"]["selector"]["matchLabels"] == selector


def test_probes_of_the_app_are_asked_at_its_listener_and_told_to_it() -> None:
    probes = {
        "liveness": {"httpGet": {"path": "/live", "port": "http", "httpHeaders": [{"name": "x", "value": "y"}]}},
        "startup": {"tcpSocket": {"port": 9000}, "periodSeconds": 3, "timeoutSeconds": 4},
    }
    template = pod("examples/own-deployment", "--set-json", f"proxyless.probes={json.dumps(probes)}")
    container = template["spec"]["containers"][0]
    assert container["readinessProbe"]["httpGet"] == {"path": "/healthz/ready", "port": "http-metrics"}
    at = {"path": "/app-health/greeter/livez", "port": "http-metrics", "httpHeaders": [{"name": "x", "value": "y"}]}
    assert container["livenessProbe"]["httpGet"] == at
    at = {"path": "/app-health/greeter/startupz", "port": "http-metrics"}
    assert container["startupProbe"] == {"httpGet": at, "periodSeconds": 3, "timeoutSeconds": 4}
    told = container_environment(template)["ISTIO_KUBE_APP_PROBERS"]
    assert json.loads(told) == {
        "/app-health/greeter/livez": {"httpGet": {"path": "/live", "port": 8080}, "timeoutSeconds": 5},
        "/app-health/greeter/startupz": {"tcpSocket": {"port": 9000}, "timeoutSeconds": 4},
    }
    assert _read(told)


def test_a_probe_of_an_unknown_port_is_refused() -> None:
    option = "proxyless.probes.liveness.httpGet.port=web"
    said = run("template", "x", CHARTS / "examples" / "own-deployment", "--set", option, ok=False).stderr
    assert 'a probe\'s port is "web": it is a number, "http" or "http-metrics"' in said
