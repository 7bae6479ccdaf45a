"""Addresses and nodes from arguments."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from proxyless.xds.identity.bootstrap import Bootstrap, BootstrapError, Node, from_url

NODE = Node(app="frontend", namespace="shop", ip="10.0.0.7", pod="frontend-1")


@pytest.mark.parametrize(
    ("url", "address", "tls"),
    [
        ("xds://127.0.0.1:15010", "127.0.0.1:15010", False),
        ("xds://istiod", "istiod:15010", False),
        ("xds+tls://istiod.istio-system.svc", "istiod.istio-system.svc:15012", True),
        ("xds+tls://[::1]:7", "[::1]:7", True),
    ],
)
def test_an_address_says_where_and_whether_by_tls(url: str, address: str, tls: bool) -> None:
    bootstrap = from_url(url, NODE)
    assert (bootstrap.address, bootstrap.tls) == (address, tls)


@pytest.mark.parametrize("url", ["istiod:15012", "grpc://istiod", "", "xds://"])
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(BootstrapError, match="control plane's address"):
        from_url(url, NODE)


def test_the_cluster_id_travels_with_a_token_only() -> None:
    assert from_url("xds+tls://istiod", NODE).cluster_id == ""
    assert from_url("xds+tls://istiod", NODE, token_file="/token").cluster_id == "Kubernetes"


def test_a_token_in_the_clear_is_warned_about() -> None:
    assert "without TLS" in from_url("xds://istiod", NODE, token_file="/token").warnings[0]
    assert not from_url("xds+tls://istiod", NODE, token_file="/token").warnings


def test_a_node_is_named_as_istiod_expects_it() -> None:
    assert NODE.id == "sidecar~10.0.0.7~frontend-1.shop~shop.svc.cluster.local"
    assert NODE.search == ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")


def test_a_node_without_a_pod_is_named_after_its_app_and_host() -> None:
    assert Node(app="a").id == f"sidecar~127.0.0.1~a-{socket.gethostname()}.default~default.svc.cluster.local"
    assert f"~proxyless-{socket.gethostname()}." in Node().id


def test_the_message_has_what_istiod_reads() -> None:
    node = Node(
        app="frontend",
        namespace="shop",
        ip="10.0.0.7",
        pod="frontend-1",
        service_account="front",
        labels={"version": "v1"},
        locality=("r1", "a", ""),
        metadata={"NETWORK": "n1", "UNPRIVILEGED_POD": True, "IDLE": False},
    )
    assert node.message() == {
        "id": "sidecar~10.0.0.7~frontend-1.shop~shop.svc.cluster.local",
        "cluster": "frontend.shop",
        "metadata": {
            "NAMESPACE": "shop",
            "CLUSTER_ID": "Kubernetes",
            "ISTIO_VERSION": "1.31.0",
            "LABELS": {"app": "frontend", "version": "v1"},
            "INSTANCE_IPS": "10.0.0.7",
            "INTERCEPTION_MODE": "REDIRECT",
            "DISABLE_HBONE_SEND": "true",
            "WORKLOAD_NAME": "frontend",
            "SERVICE_ACCOUNT": "front",
            "NETWORK": "n1",
            "UNPRIVILEGED_POD": "true",
            "IDLE": "false",
        },
        "locality": ("r1", "a", ""),
    }


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("r1/a/s", ("r1", "a", "s")),
        ("r1/a", ("r1", "a", "")),
        (("r1",), ("r1", "", "")),
        (["r1", "a", "s"], ("r1", "a", "s")),
        ("", None),
        (("", "", ""), None),
        (None, None),
    ],
)
def test_a_locality_may_be_text_and_may_leave_parts_out(said: Any, meant: tuple[str, str, str] | None) -> None:
    assert Node(locality=said).locality == meant


@pytest.mark.parametrize("said", ["r1/a/s/x", ("r1", "a", "s", "x")])
def test_a_locality_of_more_parts_is_refused(said: Any) -> None:
    with pytest.raises(BootstrapError, match="is not region/zone/sub_zone"):
        Node(locality=said)


def test_a_bootstrap_holds_paths_and_no_secrets() -> None:
    assert {name for name in Bootstrap.__dataclass_fields__ if "token" in name or "cert" in name} == {
        "token_file",
        "root_cert",
    }
