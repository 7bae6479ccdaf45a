"""What the control plane does on a real API server beside serving: it checks what is written."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from kubernetes import client

from e2e.cluster import Cluster, until
from e2e.test_kubernetes import BINDINGS, NAMES, OBJECTS
from proxyless.cli import main
from proxyless.injecting import Wanted, injected
from proxyless.xds.controlplane.apiserver import EXPIRED, FORBIDDEN, STALE, ApiServer
from proxyless.xds.controlplane.source.cluster import SYNCED, KubernetesSource, readable
from proxyless.xds.controlplane.source.cluster.reflector import Pace
from tests.docs.pages import blocks
from tests.proxyless.cli.test_serve import Serving

pytestmark = pytest.mark.timeout(4000)  # the first test of a machine builds Kubernetes
ISTIO = ("networking.istio.io", "v1", "shop", "virtualservices")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("kubernetes")) as made:
        made.apply(NAMES.removesuffix("---\n"))
        made.install_crds()
        for block in blocks("kubernetes", "yaml"):
            made.apply(block.text)
        made.apply(f"{BINDINGS}---{BINDINGS.replace('proxyless-controller', 'proxyless-controller-writer')}")
        made.account("controller", "istio-system")
        until(lambda: client.CustomObjectsApi(made.api()).list_namespaced_custom_object(*ISTIO), "no CRDs")
        made.apply(OBJECTS)
        yield made


@pytest.fixture(scope="module")
def controller(cluster: Cluster) -> Path:
    """How the control plane's own account, with the rights of the page and no other, reaches the API server."""
    return cluster.kubeconfig_of("controller", "istio-system")


def virtual_service(name: str, route: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"hosts": ["catalog"], "http": [yaml.safe_load(route)]},
    }


def test_a_bad_object_is_refused_with_our_reason_and_a_good_one_passes(
    cluster: Cluster, controller: Path, tmp_path: Path
) -> None:
    custom = client.CustomObjectsApi(cluster.api())
    options = (
        "--kubeconfig",
        str(controller),
        "--ca-dir",
        "ca",
        "--webhook-listen",
        "127.0.0.1:0",
        "--webhook-config",
        "proxyless-validator",
    )
    with Serving(tmp_path, *options, what="--kubernetes") as serving:
        address = re.search(r"https://[\d.:]+/validate", serving.said("checking objects at"))
        assert address is not None
        configuration = next(
            each for each in yaml.safe_load_all(blocks("webhook", "yaml")[0].text) if each["kind"].startswith("Valid")
        )
        (hook,) = configuration["webhooks"]
        hook["clientConfig"] = {"url": address[0]}
        hook["failurePolicy"] = "Fail"
        admission = client.AdmissionregistrationV1Api(cluster.api())
        admission.create_validating_webhook_configuration(configuration)
        retries = "{attempts: 1, retryOn: never}"
        roots = base64.b64encode((tmp_path / "ca" / "root-cert.pem").read_bytes()).decode()

        def patched() -> bool:
            held = admission.read_validating_webhook_configuration("proxyless-validator")
            return bool(held.webhooks[0].client_config.ca_bundle == roots)

        until(patched, "the leader does not write the webhook's roots")
        bad = virtual_service("bad", f"{{retries: {retries}, route: [{{destination: {{host: catalog}}}}]}}")

        def refused(body: dict[str, Any], **options: Any) -> str:
            try:
                custom.create_namespaced_custom_object(*ISTIO, body, **options)
            except client.ApiException as error:
                return str(error.body) if error.status == 422 else f"{error.status}: {error.body}"
            custom.delete_namespaced_custom_object(*ISTIO, body["metadata"]["name"])
            return ""

        said = until(lambda: refused(bad), "the webhook does not take effect")
        assert 'admission webhook \\"validate.proxyless.dev\\" denied the request: VirtualService shop/bad' in said
        assert "spec.http[0].retries.retryOn" in said
        assert refused(bad, dry_run="All") == said
        good = virtual_service("catalog", "{route: [{destination: {host: catalog, subset: v2}}]}")
        _, _, headers = custom.patch_namespaced_custom_object_with_http_info(*ISTIO, "catalog", good)
        assert "warning" not in headers
        good["spec"]["http"][0]["route"][0]["destination"]["subset"] = "v9"
        _, _, headers = custom.patch_namespaced_custom_object_with_http_info(*ISTIO, "catalog", good)
        assert "is no subset of catalog.shop.svc.cluster.local" in headers["warning"]
        admission.delete_validating_webhook_configuration(configuration["metadata"]["name"])
        assert serving.end() == 0


def test_what_is_wrong_with_a_kind_or_an_object_has_a_name(cluster: Cluster) -> None:
    """No right, a watch in which nothing comes, one that is too old, an object that is refused."""
    api = ApiServer(cluster.api(cluster.kubeconfig_of("default", "shop")))
    assert_condition(api, FORBIDDEN, 'User "system:serviceaccount:shop:default" cannot list resource')
    # Nothing is written meanwhile, and bookmarks come once a minute: so much silence is too much.
    admin = ApiServer(cluster.api())
    assert_condition(admin, STALE, "not even a bookmark", Pace(first_s=0.05, silence_s=0.5))
    source = KubernetesSource(admin, without=readable().keys() - {"VirtualService"})
    (reflector,) = source._reflectors
    reflector._version = "1"  # of before anything was written: the server has forgotten that
    bad = virtual_service("bad", "{retries: {attempts: 1, retryOn: never}, route: [{destination: {host: catalog}}]}")
    custom = client.CustomObjectsApi(cluster.api())
    custom.create_namespaced_custom_object(*ISTIO, bad)
    source.start()
    try:
        until(lambda: source.status()[0].condition == SYNCED and source.status()[0].refused, "it is not read anew")
        status = source.status()[0]
        assert (dict(status.restarts), status.lists) == ({EXPIRED: 1}, 1)
        loaded = source.poll()
        assert loaded is not None
        (fault,) = loaded.faults
        assert str(fault).startswith("VirtualService shop/bad: spec.http[0].retries.retryOn")
    finally:
        source.close()
        custom.delete_namespaced_custom_object(*ISTIO, "bad")


def assert_condition(api: ApiServer, condition: str, said: str, pace: Pace = Pace()) -> None:
    source = KubernetesSource(api, without=readable().keys() - {"ServiceEntry"}, pace=pace)
    source.start()
    try:
        until(lambda: source.status()[0].condition == condition, f"never {condition}")
        until(lambda: said in source.status()[0].message, f"{condition} without {said}")
    finally:
        source.close()


def test_the_doctor_looks_at_a_pod(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    made = injected(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\n"
        "spec: {containers: [{name: app, image: x}]}\n",
        Wanted(root_cert_config_map="none"),
    )
    client.CoreV1Api(cluster.api()).create_namespaced_pod("shop", yaml.safe_load(made.text))
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--kubeconfig", str(cluster.kubeconfig), "--pod", "shop/p", "--timeout", "60"])
    out = capsys.readouterr().out
    assert ended.value.code == 1
    assert "ERROR   root: ConfigMap shop/none does not exist: the Pod cannot start" in out
    assert "ok      clock: it agrees with that of the API server https://127.0.0.1:" in out
    assert "ok      token: a token of default is mounted" in out
    assert "ok      mtls: no DestinationRule and no PeerAuthentication contradict each other here" in out
    assert out.endswith("1 error, no warnings\n")


ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: catalog, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: catalog, port: 80}]
  rules: [{backendRefs: [{name: catalog, port: 80}]}]
"""
ROUTES = ("gateway.networking.k8s.io", "v1", "shop", "httproutes")


def test_of_two_replicas_one_writes_and_the_other_takes_over(
    cluster: Cluster, controller: Path, tmp_path: Path
) -> None:
    core, custom = client.CoreV1Api(cluster.api()), client.CustomObjectsApi(cluster.api())
    options = (
        "--kubeconfig",
        str(controller),
        "--ca-dir",
        "ca",
        "--status-listen",
        "127.0.0.1:0",
        "--write-status",
        "--write-refusals",
        "--publish-root",
        "istio-ca-root-cert",
    )

    def leads(serving: Serving) -> bool:
        found = re.search(r"http://[\d.:]+", serving.said("status at"))
        assert found is not None
        leader = httpx.get(f"{found[0]}/status", timeout=60).json().get("leader") or {}
        return bool(leader.get("leading")) and {each["condition"] for each in leader["duties"]} == {"Done"}

    def root(namespace: str) -> str:
        return str(core.read_namespaced_config_map("istio-ca-root-cert", namespace).data["root-cert.pem"])

    def conditions(generation: int) -> dict[str, str] | None:
        route = custom.get_namespaced_custom_object(*ROUTES, "catalog")
        (entry,) = route["status"]["parents"]
        assert entry["controllerName"] == "proxyless.dev/controller"
        found = {each["type"]: each["reason"] for each in entry["conditions"]}
        return found if {each["observedGeneration"] for each in entry["conditions"]} == {generation} else None

    cluster.apply(ROUTE)
    with Serving(tmp_path, *options, what="--kubernetes") as one:
        until(lambda: leads(one), "the first replica does not lead")
        pem = (tmp_path / "ca" / "root-cert.pem").read_text()
        assert until(lambda: root("shop"), "no root certificate") == pem
        assert until(lambda: conditions(1), "no status") == {"Accepted": "Accepted", "ResolvedRefs": "ResolvedRefs"}
        custom.create_namespaced_custom_object(
            *ISTIO,
            virtual_service("odd", "{retries: {attempts: 1, retryOn: never}, route: [{destination: {host: a}}]}"),
        )

        def why() -> str:
            (condition,) = custom.get_namespaced_custom_object(*ISTIO, "odd")["status"]["conditions"]
            return f"{condition['type']}={condition['status']}: {condition['message']}"

        assert until(why, "no condition").startswith("proxyless.dev/Accepted=False: spec.http[0].retries.retryOn")
        custom.delete_namespaced_custom_object(*ISTIO, "odd")
        with Serving(tmp_path, *options, what="--kubernetes") as two:
            two.said("serving")
            assert not leads(two)
            assert one.end() == 0
            until(lambda: leads(two), "nobody takes over")
            core.create_namespace({"metadata": {"name": "later"}})
            assert until(lambda: root("later"), "a new namespace has no root certificate") == pem
            broken = {"spec": {"rules": [{"backendRefs": [{"name": "gone", "port": 80}]}]}}
            custom.patch_namespaced_custom_object(*ROUTES, "catalog", broken)
            assert until(lambda: conditions(2), "no new status")["ResolvedRefs"] == "BackendNotFound"
            rights = client.RbacAuthorizationV1Api(cluster.api())
            rights.delete_cluster_role("proxyless-controller-writer")
            core.create_namespace({"metadata": {"name": "last"}})
            two.said("root certificate: Forbidden: ")
            assert two.end() == 0
