"""The chart: linted and rendered by the real helm, its objects checked, its pods read by the real bootstrap."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.tools import helm
from proxyless.demo import service
from proxyless.demo.admin import Admin
from proxyless.demo.counting import Counters
from proxyless.xds.controlplane import check
from proxyless.xds.identity.environment import from_environment

CHART = Path(__file__).parents[1] / "charts" / "proxyless-shop"

FIELDS = {
    "metadata.name": "catalog-v1-5d9c",
    "metadata.namespace": "shop",
    "status.podIP": "10.244.0.7",
    "status.hostIP": "10.0.0.1",
    "spec.serviceAccountName": "catalog",
    "spec.nodeName": "node-a",
}


def run(*arguments: object, ok: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([helm(), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    return done


def rendered(*options: object) -> list[dict[str, Any]]:
    output = run("template", "shop", CHART, "--namespace", "shop", *options).stdout
    return [each for each in yaml.safe_load_all(output) if each]


def pod(name: str = "catalog-v1", *options: object) -> dict[str, Any]:
    deployments = {each["metadata"]["name"]: each for each in rendered(*options) if each["kind"] == "Deployment"}
    template: dict[str, Any] = deployments[name]["spec"]["template"]
    return template


def container_environment(template: dict[str, Any]) -> dict[str, str]:
    """What the kubelet would give the container."""
    found = {}
    for each in template["spec"]["containers"][0]["env"]:
        found[each["name"]] = each.get("value") or FIELDS[each["valueFrom"]["fieldRef"]["fieldPath"]]
    return found


def mount(template: dict[str, Any], root: Path) -> None:
    """The container's volumes, as files below `root`."""
    volumes = {each["name"]: each for each in template["spec"]["volumes"]}
    for each in template["spec"]["containers"][0]["volumeMounts"]:
        folder = root / each["mountPath"].lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        volume = volumes[each["name"]]
        for source in volume.get("projected", {}).get("sources", ()):
            (folder / source["serviceAccountToken"]["path"]).write_text("token")
        if "configMap" in volume:
            (folder / "root-cert.pem").write_text("PEM")
        for item in volume.get("downwardAPI", {}).get("items", ()):
            values = template["metadata"][item["path"]]
            lines = [f"{key}={json.dumps(str(value))}" for key, value in values.items()]
            (folder / item["path"]).write_text("\n".join(lines))


def test_helm_finds_nothing_to_complain_about() -> None:
    assert "0 chart(s) failed" in run("lint", "--strict", CHART).stdout


def test_check_finds_no_error_in_its_rules_and_every_field_has_an_effect(tmp_path: Path) -> None:
    objects = [{**each, "metadata": {"namespace": "shop", **each["metadata"]}} for each in rendered()]
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump_all(objects))
    # Nothing runs yet, so no Service has endpoints and no selector selects.
    waiting = ("has no endpoints", "no workload")
    assert not [str(each) for each in check(tmp_path) if not any(said in each.message for said in waiting)]


def test_the_bootstrap_understands_a_rendered_pod(tmp_path: Path) -> None:
    template = pod()
    mount(template, tmp_path)
    bootstrap = from_environment(container_environment(template), tmp_path)
    node = bootstrap.node
    assert bootstrap.address == "istiod.istio-system.svc:15012"
    assert bootstrap.tls
    assert bootstrap.token_file == "/var/run/secrets/tokens/istio-token"
    assert bootstrap.root_cert == "/var/run/secrets/istio/root-cert.pem"
    assert not bootstrap.warnings
    assert node.id == "sidecar~10.244.0.7~catalog-v1-5d9c.shop~shop.svc.cluster.local"
    assert (node.app, node.labels["version"], node.service_account) == ("catalog", "v1", "catalog")
    metadata = node.message()["metadata"]
    assert metadata["WORKLOAD_NAME"] == "catalog-v1"
    assert metadata["NODE_NAME"] == "node-a"
    assert metadata["CLUSTER_ID"] == "Kubernetes"
    assert metadata["LABELS"]["security.istio.io/tlsMode"] == "disabled"


def arguments(template: dict[str, Any]) -> list[str]:
    """What the kubelet would start the service with."""
    environment = container_environment(template)
    return [
        re.sub(r"\$\((\w+)\)", lambda found: environment[found[1]], each)
        for each in template["spec"]["containers"][0]["args"]
    ]


@pytest.mark.parametrize("name", ["storefront-v1", "catalog-v1", "catalog-v2", "cart-v1", "checkout-v1", "payment-v1"])
def test_the_service_understands_its_arguments(name: str) -> None:
    template = pod(name)
    container = template["spec"]["containers"][0]
    assert container["command"] == ["python", "-m", service.__spec__.name]
    options = service.parse(arguments(template))
    labels = template["metadata"]["labels"]
    assert (options.app, options.version) == (labels["app"], labels["version"])
    assert options.name == FIELDS["metadata.name"]
    assert not options.fails
    assert not options.family


def test_ports_are_those_that_the_service_listens_on() -> None:
    changed = ("--set", "port=8181", "--set", "metrics.port=9191")
    template = pod("cart-v1", *changed)
    container = template["spec"]["containers"][0]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    options = service.parse(arguments(template))
    assert options.listen == ("0.0.0.0", ports["http"]) == ("0.0.0.0", 8181)
    assert options.admin == ("0.0.0.0", ports["http-metrics"]) == ("0.0.0.0", 9191)
    assert template["metadata"]["annotations"]["prometheus.io/port"] == "9191"
    targets = {
        port["targetPort"] for each in rendered(*changed) if each["kind"] == "Service" for port in each["spec"]["ports"]
    }
    assert targets == {8181}


def test_probes_and_annotations_lead_to_what_the_service_serves() -> None:
    template = pod()
    container = template["spec"]["containers"][0]
    probes = [container[name]["httpGet"] for name in ("readinessProbe", "livenessProbe")]
    assert {each["port"] for each in probes} == {"http-metrics"}
    paths = [each["path"] for each in probes] + [template["metadata"]["annotations"]["prometheus.io/path"]]
    admin = Admin("127.0.0.1", 0, Counters(), lambda: True)
    try:
        assert [admin.get(path)[0] for path in paths] == [200, 200, 200]
    finally:
        admin.close()


def test_values_change_what_the_bootstrap_sees(tmp_path: Path) -> None:
    options = ("--set", "istiod.discoveryAddress=istiod-canary.mesh.svc:15012", "--set", "istiod.clusterId=east")
    template = pod("catalog-v2", *options)
    mount(template, tmp_path)
    bootstrap = from_environment(container_environment(template), tmp_path)
    assert bootstrap.address == "istiod-canary.mesh.svc:15012"
    assert bootstrap.cluster_id == "east"
    assert bootstrap.node.labels["version"] == "v2"


def test_pods_have_no_sidecar_and_little_power() -> None:
    for each in rendered():
        if each["kind"] != "Deployment":
            continue
        template = each["spec"]["template"]
        assert template["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
        assert template["metadata"]["annotations"]["prometheus.io/scrape"] == "true"
        assert template["spec"]["securityContext"]["runAsNonRoot"] is True
        assert template["spec"]["automountServiceAccountToken"] is False
        for container in template["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_every_service_has_an_account_and_workloads() -> None:
    objects = rendered()
    by_kind: dict[str, set[str]] = {}
    for each in objects:
        by_kind.setdefault(each["kind"], set()).add(each["metadata"]["name"])
    apps = {each["spec"]["selector"]["app"] for each in objects if each["kind"] == "Service"}
    assert by_kind["Service"] == by_kind["ServiceAccount"] == apps
    assert {"catalog", "cart"} == by_kind["VirtualService"]


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("istiod.discoveryAddress=nowhere", "does not match pattern"),
        ("workloads.catalog-v1.service=unknown", "must be one of"),
        ("port=99999", "maximum"),
        ("typo=1", "additional properties 'typo' not allowed"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(option: str, text: str) -> None:
    assert text in run("template", "shop", CHART, "--set", option, ok=False).stderr.lower().replace("'^", "'^")
