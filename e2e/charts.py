"""What tests of charts share: the real helm, what it renders, and what the kubelet would make of a pod."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from e2e.tools import helm

CHARTS = Path(__file__).parents[1] / "charts"
Object = dict[str, Any]

FIELDS = {
    "metadata.name": "catalog-v1-5d9c",
    "metadata.namespace": "shop",
    "status.podIP": "10.244.0.7",
    "spec.serviceAccountName": "catalog",
    "spec.nodeName": "node-a",
}
"""What the downward API says of the pod."""


def run(*arguments: object, ok: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([helm(), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=timeout)
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    return done


def rendered(chart: str, *options: object, release: str = "shop", namespace: str = "shop") -> list[Object]:
    output = run("template", release, CHARTS / chart, "--namespace", namespace, *options).stdout
    return [each for each in yaml.safe_load_all(output) if each]


def of_kind(objects: list[Object], kind: str) -> dict[str, Object]:
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


def values_files(chart: str) -> list[Path | None]:
    """None for the chart's own values."""
    return [None, *sorted((CHARTS / chart / "ci").glob("*-values.yaml"))]


def container_environment(template: Object) -> dict[str, str]:
    """What the kubelet would give the container."""
    found = {}
    for each in template["spec"]["containers"][0]["env"]:
        found[each["name"]] = each.get("value") or FIELDS[each["valueFrom"]["fieldRef"]["fieldPath"]]
    return found


def arguments(template: Object) -> list[str]:
    """What the kubelet would start the container's command with."""
    environment = container_environment(template)
    return [
        re.sub(r"\$\((\w+)\)", lambda found: environment[found[1]], each)
        for each in template["spec"]["containers"][0]["args"]
    ]


def mount(template: Object, root: Path) -> None:
    """The container's volumes, as files below `root`."""
    volumes = {each["name"]: each for each in template["spec"]["volumes"]}
    for each in template["spec"]["containers"][0]["volumeMounts"]:
        folder = root / each["mountPath"].lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        volume = volumes[each["name"]]
        for source in volume.get("projected", {}).get("sources", ()):
            (folder / source["serviceAccountToken"]["path"]).write_text("token")
        if volume.get("configMap", {}).get("name") == "istio-ca-root-cert":
            (folder / "root-cert.pem").write_text("PEM")
        for item in volume.get("downwardAPI", {}).get("items", ()):
            values = template["metadata"][item["path"]]
            lines = [f"{key}={json.dumps(str(value))}" for key, value in values.items()]
            (folder / item["path"]).write_text("\n".join(lines))


def has_little_power(template: Object) -> None:
    """Asserts what every pod of ours keeps to."""
    spec = template["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*spec["containers"], *spec.get("initContainers", ())]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
