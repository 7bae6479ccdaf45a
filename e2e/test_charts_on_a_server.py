"""The charts on a real API server: every object is valid to the letter, and a release of the controller lives through
install, upgrade, rollback and removal with one root. Its command serves with the rights of the chart and no other.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from kubernetes import client, dynamic

from e2e.charts import CHARTS, Object, of_kind, rendered, run, values_files
from e2e.cluster import Cluster, until
from e2e.test_kubernetes import NAMES
from e2e.tools import go_module
from tests.proxyless.cli.test_serve import Serving

pytestmark = pytest.mark.timeout(4000)  # the first test of a machine builds Kubernetes
OPERATOR = ("github.com/prometheus-operator/prometheus-operator", "v0.85.0")
EVERY = ["examples/catalog", "examples/own-deployment", "proxyless-controller", "proxyless-shop"]
CONTROLLER = "proxyless-controller"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("kubernetes")) as made:
        made.apply(NAMES.removesuffix("---\n"))
        made.install_crds()
        api = client.ApiextensionsV1Api(made.api())
        for name in ("podmonitors", "prometheusrules"):
            folder = go_module(*OPERATOR) / "example" / "prometheus-operator-crd"
            path = folder / f"monitoring.coreos.com_{name}.yaml"
            api.create_custom_resource_definition(yaml.safe_load(path.read_text()))
        yield made


@pytest.fixture(scope="module")
def objects(cluster: Cluster) -> dynamic.DynamicClient:
    found = dynamic.DynamicClient(cluster.api())
    until(lambda: found.resources.get(api_version="monitoring.coreos.com/v1", kind="PrometheusRule"), "no CRDs")
    return found


@pytest.mark.parametrize("chart", EVERY)
def test_the_api_server_takes_every_object_to_the_letter(chart: str, objects: dynamic.DynamicClient) -> None:
    for path in values_files(chart):
        options = ("--values", path) if path else ()
        for each in rendered(chart, *options):
            kind = objects.resources.get(api_version=each["apiVersion"], kind=each["kind"])
            namespace = each["metadata"].get("namespace", "shop") if kind.namespaced else None
            if each["kind"] == "Pod":  # is taken for an account alone that is there already
                each["spec"].pop("serviceAccountName")
            kind.create(body=each, namespace=namespace, dry_run="All", field_validation="Strict")


def helm(cluster: Cluster, *arguments: object) -> str:
    return run(*arguments, "--kubeconfig", cluster.kubeconfig, "--namespace", "istio-system").stdout


def files(cluster: Cluster) -> dict[str, bytes]:
    """What is in the authority's Secret."""
    secret = client.CoreV1Api(cluster.api()).read_namespaced_secret(f"{CONTROLLER}-ca", "istio-system")
    return {name: base64.b64decode(value) for name, value in (secret.data or {}).items()}


def published(cluster: Cluster, namespace: str) -> bytes:
    found = client.CoreV1Api(cluster.api()).read_namespaced_config_map("istio-ca-root-cert", namespace)
    return str(found.data["root-cert.pem"]).encode()


def serving(template: Object, folder: Path, kubeconfig: Path) -> Serving:
    """The container's command as a process: its files and ports are elsewhere, everything else is as it stands."""
    said = template["spec"]["containers"][0]
    options = [re.sub(r"=0\.0\.0\.0:\d+$", "=127.0.0.1:0", each) for each in said["args"]]
    options = [each.replace("/etc/proxyless/ca", str(folder / "ca")) for each in options if "--listen=" not in each]
    return Serving(folder, "--kubeconfig", str(kubeconfig), *options, what="--kubernetes")


def test_a_release_of_the_controller_keeps_its_root_and_serves_with_its_rights(
    cluster: Cluster, tmp_path: Path
) -> None:
    chart = CHARTS / CONTROLLER
    helm(cluster, "install", "mesh", chart, "--set", "replicas=1,ca.publish=false")
    first = files(cluster)
    assert published(cluster, "istio-system").strip() == first["root-cert.pem"].strip()
    helm(cluster, "upgrade", "mesh", chart, "--set", "ca.publish=false,ca.publishTo={shop},webhook.enabled=true")
    assert files(cluster) == first
    assert published(cluster, "shop").strip() == first["root-cert.pem"].strip()
    apps = client.AppsV1Api(cluster.api())
    deployed: Any = cluster.api().sanitize_for_serialization(
        apps.read_namespaced_deployment(CONTROLLER, "istio-system")
    )
    (tmp_path / "ca").mkdir()
    for name, value in first.items():
        (tmp_path / "ca" / name).write_bytes(value)
        (tmp_path / "ca" / name).chmod(0o400)
    with serving(
        deployed["spec"]["template"], tmp_path, cluster.kubeconfig_of(CONTROLLER, "istio-system")
    ) as controller:
        address = re.search(r"http://[\d.:]+", controller.said("status at"))
        assert address is not None
        controller.said("over TLS at")
        controller.said("checking objects at")
        status = f"{address[0]}/status"

        def conditions() -> set[str]:
            return {each["condition"] for each in httpx.get(status, timeout=60).json()["kinds"]}

        # The API server grants what helm has written a moment ago when it has read it itself.
        until(lambda: conditions() == {"Synced"}, "not every kind is read with the chart's rights")
        assert httpx.get(f"{address[0]}/ready", timeout=60).status_code == 200
        admission = client.AdmissionregistrationV1Api(cluster.api())

        def bundle() -> bytes:
            (hook,) = admission.read_validating_webhook_configuration(f"{CONTROLLER}-istio-system").webhooks
            return base64.b64decode(hook.client_config.ca_bundle or "")

        until(lambda: bundle() == first["root-cert.pem"], "the webhook has no bundle")
        assert controller.end() == 0
    helm(cluster, "rollback", "mesh", "1")
    assert files(cluster) == first
    with pytest.raises(client.ApiException, match="Not Found"):
        published(cluster, "shop")
    helm(cluster, "uninstall", "mesh")
    assert files(cluster) == first, "identities hang on it"
    helm(cluster, "install", "mesh", chart)
    assert files(cluster) == first


def test_an_app_is_upgraded_and_rolled_back(cluster: Cluster) -> None:
    chart = CHARTS / "examples" / "catalog"
    apps = client.AppsV1Api(cluster.api())

    def tls_mode() -> str:
        template = apps.read_namespaced_deployment("catalog", "istio-system").spec.template
        return str(template.metadata.labels["security.istio.io/tlsMode"])

    helm(cluster, "install", "catalog", chart)
    assert tls_mode() == "disabled"
    helm(cluster, "upgrade", "catalog", chart, "--set", "proxyless.mtls.serve=true")
    assert tls_mode() == "istio"
    helm(cluster, "rollback", "catalog", "1")
    assert tls_mode() == "disabled"
    assert "catalog" in of_kind(rendered("examples/catalog", release="catalog"), "Deployment")
