"""The environment that a sidecar would have, as the injector and our chart render it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxyless.xds.identity.bootstrap import BootstrapError
from proxyless.xds.identity.environment import from_environment

POD = {
    "POD_NAME": "frontend-6d4-x",
    "POD_NAMESPACE": "shop",
    "INSTANCE_IP": "10.0.0.7",
    "SERVICE_ACCOUNT": "front",
    "PROXY_CONFIG": json.dumps(
        {"discoveryAddress": "istiod-canary.istio-system.svc:15012", "proxyMetadata": {"ISTIO_META_NETWORK": "n1"}}
    ),
    "ISTIO_META_CLUSTER_ID": "east",
    "ISTIO_META_WORKLOAD_NAME": "frontend",
    "ISTIO_METAJSON_LABELS": json.dumps({"extra": "yes"}),
    "ISTIO_META_IDLE_TIMEOUT": "1m",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A pod's file system, as far as it matters."""
    files = {
        "etc/istio/pod/labels": 'app="frontend"\nversion="v1"\nquoted="a\\"b"\ntopology.kubernetes.io/region="r1"\n'
        'topology.kubernetes.io/zone="a"',
        "etc/istio/pod/annotations": 'team="shop"',
        "var/run/secrets/tokens/istio-token": "t0ken",
        "var/run/secrets/istio/root-cert.pem": "PEM",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_pod_is_known_by_its_environment_and_its_downward_api(root: Path) -> None:
    bootstrap = from_environment(POD, root)
    node = bootstrap.node
    assert bootstrap.address == "istiod-canary.istio-system.svc:15012"
    assert bootstrap.tls
    assert bootstrap.token_file == "/var/run/secrets/tokens/istio-token"
    assert bootstrap.root_cert == "/var/run/secrets/istio/root-cert.pem"
    assert bootstrap.cluster_id == "east"
    assert not bootstrap.warnings
    assert node.id == "sidecar~10.0.0.7~frontend-6d4-x.shop~shop.svc.cluster.local"
    assert (node.app, node.namespace, node.service_account) == ("frontend", "shop", "front")
    assert node.labels["version"] == "v1"
    assert node.labels["quoted"] == 'a"b'
    assert node.labels["extra"] == "yes"
    assert node.locality == ("r1", "a", "")
    metadata = node.message()["metadata"]
    assert metadata["NETWORK"] == "n1"
    assert metadata["IDLE_TIMEOUT"] == "1m"
    assert metadata["CLUSTER_ID"] == "east"
    assert metadata["ANNOTATIONS"] == {"team": "shop"}
    assert metadata["WORKLOAD_NAME"] == "frontend"


def test_without_anything_the_defaults_are_istios_and_what_is_missing_is_said(tmp_path: Path) -> None:
    bootstrap = from_environment({}, tmp_path)
    assert bootstrap.address == "istiod.istio-system.svc:15012"
    assert bootstrap.node.namespace == "default"
    assert (bootstrap.token_file, bootstrap.root_cert) == ("", "")
    assert [each.partition(" is ")[0] for each in bootstrap.warnings] == [
        "/var/run/secrets/istio/root-cert.pem",
        "/var/run/secrets/tokens/istio-token",
    ]


def test_what_a_variable_names_is_used_even_if_it_is_not_there_yet(tmp_path: Path) -> None:
    bootstrap = from_environment({"PROXYLESS_TOKEN_FILE": "/my/token", "PROXYLESS_ROOT_CERT": "/my/ca.pem"}, tmp_path)
    assert (bootstrap.token_file, bootstrap.root_cert) == ("/my/token", "/my/ca.pem")
    assert not bootstrap.warnings


def test_the_systems_authorities_can_be_asked_for(root: Path) -> None:
    bootstrap = from_environment({"XDS_ROOT_CA": "SYSTEM"}, root)
    assert (bootstrap.tls, bootstrap.root_cert, bootstrap.warnings) == (True, "", ())


def test_the_plaintext_port_needs_no_token(root: Path) -> None:
    bootstrap = from_environment({"PROXY_CONFIG": "discoveryAddress: istiod:15010"}, root)
    assert (bootstrap.tls, bootstrap.token_file, bootstrap.root_cert) == (False, "", "")


def test_another_control_plane_can_be_named(root: Path) -> None:
    environment = {**POD, "PROXYLESS_XDS": "xds://127.0.0.1:1234", "PROXYLESS_DELTA": "1", "PROXYLESS_LOCALITY": "r9/z"}
    bootstrap = from_environment(environment, root)
    assert (bootstrap.address, bootstrap.tls, bootstrap.delta) == ("127.0.0.1:1234", False, True)
    assert bootstrap.node.locality == ("r9", "z", "")


def test_the_namespace_falls_back_to_the_service_accounts(tmp_path: Path) -> None:
    path = tmp_path / "var/run/secrets/kubernetes.io/serviceaccount/namespace"
    path.parent.mkdir(parents=True)
    path.write_text("bank")
    assert from_environment({}, tmp_path).node.namespace == "bank"


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"PROXY_CONFIG": "{"}, "PROXY_CONFIG is not JSON or YAML: "),
        ({"PROXY_CONFIG": "[1]"}, "PROXY_CONFIG is not an object"),
        ({"PROXY_CONFIG": "discoveryAddress: nowhere"}, "PROXY_CONFIG: discoveryAddress 'nowhere' is not host:port"),
        ({"PROXY_CONFIG": "proxyMetadata: [1]"}, "PROXY_CONFIG: proxyMetadata is not an object"),
        ({"PILOT_DISCOVERY_ADDRESS": "istiod"}, "PILOT_DISCOVERY_ADDRESS 'istiod' is not host:port"),
        ({"PROXY_CONFIG": "proxyMetadata: {ISTIO_METAJSON_LABELS: 1}"}, "ISTIO_METAJSON_LABELS is not an object"),
        ({"ISTIO_METAJSON_LABELS": "x"}, "ISTIO_METAJSON_LABELS is not JSON: "),
        ({"ISTIO_METAJSON_LABELS": "[]"}, "ISTIO_METAJSON_LABELS is not an object"),
        ({"PROXYLESS_LOCALITY": "r/z/s/x"}, "PROXYLESS_LOCALITY: locality 'r/z/s/x' is not region/zone/sub_zone"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(environment: dict[str, str], text: str, tmp_path: Path) -> None:
    with pytest.raises(BootstrapError) as caught:
        from_environment(environment, tmp_path)
    assert str(caught.value).startswith(text)
