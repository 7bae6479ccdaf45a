"""The control plane on a real API server: tokens that it reviews, objects that it lists and watches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from kubernetes import client

from e2e.cluster import Cluster, until
from proxyless import Mesh, Node
from proxyless.xds.controlplane.authority.callers import AuthorityError, Caller
from proxyless.xds.controlplane.authority.kubernetes import TokenReview
from tests.docs.pages import blocks
from tests.proxyless.cli.test_serve import Serving

pytestmark = pytest.mark.timeout(4000)  # the first test of a machine builds Kubernetes
NAMES = "".join(
    f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n---\n" for name in ("shop", "bank", "istio-system")
)
BINDINGS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: proxyless-controller}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: proxyless-controller}
subjects: [{kind: ServiceAccount, name: controller, namespace: istio-system}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: proxyless-controller, namespace: istio-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: proxyless-controller}
subjects: [{kind: ServiceAccount, name: controller, namespace: istio-system}]
"""
OBJECTS = """
apiVersion: v1
kind: Service
metadata: {name: catalog, namespace: shop}
spec: {ports: [{name: http, port: 80}], selector: {app: catalog}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec:
  host: catalog
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec: {hosts: [catalog], http: [{route: [{destination: {host: catalog, subset: v1}}]}]}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("kubernetes")) as made:
        made.apply(NAMES.removesuffix("---\n"))
        made.apply(blocks("kubernetes", "yaml")[0].text)
        made.apply(BINDINGS)
        made.account("controller", "istio-system")
        for namespace in ("shop", "bank"):
            made.account("cart", namespace)
        yield made


@pytest.fixture(scope="module")
def controller(cluster: Cluster) -> Path:
    """How the control plane's own account, with the rights of the page and no other, reaches the API server."""
    return cluster.kubeconfig_of("controller", "istio-system")


def test_tokens_are_who_the_api_server_says_they_are(cluster: Cluster, controller: Path) -> None:
    review = TokenReview(cluster.api(controller))
    assert review.caller(cluster.token("cart"), "") == Caller("shop", "cart")
    assert review.caller(cluster.token("cart", "bank"), "") == Caller("bank", "cart")
    cluster.account("gone")
    gone = cluster.token("gone")
    assert review.caller(gone, "") == Caller("shop", "gone")
    client.CoreV1Api(cluster.api()).delete_namespaced_service_account("gone", "shop")

    def refused(token: str) -> str:
        try:
            review.caller(token, "")
        except AuthorityError as error:
            return "it quotes the token" if token in str(error) else error.status
        return ""

    assert until(lambda: refused(gone), "the token of a deleted account is still taken") == "UNAUTHENTICATED"
    assert refused(cluster.token("cart", audience="https://kubernetes.default.svc")) == "UNAUTHENTICATED"
    header, body, signature = cluster.token("cart").split(".")
    assert refused(f"{header}.{body}.{signature[::-1]}") == "UNAUTHENTICATED"
    unprivileged = TokenReview(cluster.api(cluster.kubeconfig_of("cart", "shop")))
    with pytest.raises(AuthorityError, match="cannot be asked") as error:
        unprivileged.caller(cluster.token("cart"), "")
    assert error.value.status == "UNAVAILABLE"


def weights(v1: int, v2: int) -> dict[str, Any]:
    route = [
        {"destination": {"host": "catalog", "subset": name}, "weight": weight}
        for name, weight in (("v1", v1), ("v2", v2))
    ]
    return {"spec": {"http": [{"route": route}]}}


def test_the_control_plane_certifies_accounts_and_follows_the_cluster(
    cluster: Cluster, controller: Path, tmp_path: Path
) -> None:
    core, custom = client.CoreV1Api(cluster.api()), client.CustomObjectsApi(cluster.api())
    token = tmp_path / "token"
    token.write_text(cluster.token("cart"))
    options = ("--kubeconfig", str(controller), "--status-listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0")
    with Serving(tmp_path, *options, "--ca-dir", "ca", "--token-review", what="--kubernetes") as serving:
        serving.said("(Missing)")
        cluster.install_crds()
        found = re.search(r"http://[\d.:]+", serving.said("status at"))
        assert found is not None
        ask = httpx.Client(base_url=found[0], timeout=60)

        def conditions() -> set[str]:
            return {each["condition"] for each in ask.get("/status").json()["kinds"]}

        until(lambda: conditions() == {"Synced"}, "not every kind is synced")
        cluster.apply(OBJECTS)
        serving.said("added VirtualService shop/catalog")
        address = re.search(r"xds\+tls://[\d.:]+", serving.said("over TLS"))
        assert address is not None
        node = Node(app="cart", namespace="shop", service_account="cart", ip="127.0.10.1")
        with Mesh(
            address[0], node=node, root_cert=str(tmp_path / "ca" / "root-cert.pem"), token_file=str(token)
        ) as mesh:
            mesh.wait_ready(timeout=60)
            leaf = next(each for each in mesh.status()["identity"]["certificates"] if each["kind"] == "leaf")
            assert leaf["subject"] == "spiffe://cluster.local/ns/shop/sa/cart"
        custom.patch_namespaced_custom_object(
            "networking.istio.io", "v1", "shop", "virtualservices", "catalog", weights(50, 50)
        )
        serving.said("changed VirtualService shop/catalog")
        cluster.stop()
        serving.said("(Unreachable)")
        with pytest.raises(AuthorityError) as error:
            TokenReview(cluster.api(controller)).caller(token.read_text(), "")
        assert error.value.status == "UNAVAILABLE"
        assert ask.get("/ready").status_code == 200, "what is in force is served"
        cluster.start_api_server()
        until(lambda: conditions() == {"Synced"}, "not every kind is synced again")
        core.delete_namespaced_service("catalog", "shop")
        serving.said("removed Service shop/catalog")
        assert serving.end() == 0
