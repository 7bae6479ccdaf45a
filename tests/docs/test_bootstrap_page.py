"""What the bootstrap page shows of pods and files, read by the bootstrap itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from proxyless.xds.identity.bootstrap import DEFAULT_ROOT, DEFAULT_TOKEN
from proxyless.xds.identity.environment import LABELS_FILE, from_environment
from proxyless.xds.identity.grpc_bootstrap import from_file
from tests.docs.pages import ROOT, blocks, text_of

CHART = ROOT / "charts" / "proxyless"
READ_BY = (
    "proxyless/_composing.py",
    "proxyless/_watched.py",
    "proxyless/_options.py",
    "proxyless/_variables.py",
    "proxyless/beginnings.py",
    "proxyless/mesh.py",
    "proxyless/status_socket.py",
    "xds/identity/environment.py",
    "xds/identity/finding.py",
)


def pod() -> Any:
    (block,) = blocks("bootstrap", "yaml")
    return yaml.safe_load(block.text)


def test_the_files_of_the_pod_are_where_the_bootstrap_looks() -> None:
    mounts = {each["name"]: each["mountPath"] for each in pod()["spec"]["containers"][0]["volumeMounts"]}
    volumes = {each["name"]: each for each in pod()["spec"]["volumes"]}
    token = volumes["istio-token"]["projected"]["sources"][0]["serviceAccountToken"]["path"]
    labels = volumes["podinfo"]["downwardAPI"]["items"][0]["path"]
    assert f"{mounts['istio-token']}/{token}" == DEFAULT_TOKEN
    assert f"{mounts['podinfo']}/{labels}" == LABELS_FILE
    assert mounts["istiod-ca-cert"] == str(Path(DEFAULT_ROOT).parent)
    assert volumes.keys() == mounts.keys()


def test_the_pods_variables_make_it_known(tmp_path: Path) -> None:
    environment = {each["name"]: each["name"].lower() for each in pod()["spec"]["containers"][0]["env"]}
    node = from_environment(environment, tmp_path).node
    assert (node.pod, node.namespace, node.ip, node.service_account) == (
        "pod_name",
        "pod_namespace",
        "instance_ip",
        "service_account",
    )


def test_the_charts_pods_have_the_same_labels() -> None:
    templates = (CHART / "templates" / "_pod.tpl").read_text()
    for name, value in pod()["metadata"]["labels"].items():
        assert re.search(rf'^{re.escape(name)}: .*"{value}"', templates, re.MULTILINE), name


def test_the_bootstrap_file_is_read(tmp_path: Path) -> None:
    (block,) = blocks("bootstrap", "json")
    path = tmp_path / "bootstrap.json"
    path.write_text(block.text)
    found = from_file(path)
    assert (found.address, found.tls, found.node.app) == ("istiod.istio-system.svc:15010", False, "storefront")


def test_every_variable_of_the_page_is_read_somewhere_and_the_other_way_round() -> None:
    said = set(re.findall(r"`(PROXYLESS_[A-Z_]+)", text_of("bootstrap")))
    read = set(re.findall(r'"(PROXYLESS_[A-Z_]+)"', "".join((ROOT / each).read_text() for each in READ_BY)))
    assert said == read
