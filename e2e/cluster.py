"""A real Kubernetes control plane for tests: etcd, API server and controller manager, on free ports of loopback."""

from __future__ import annotations

import os
import re
import signal
import ssl
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from kubernetes import client, config, utils

from e2e.tools import HERE, go_module, go_program
from tests.support.ports import free_port

PATIENCE_S = 120.0
ISTIO_API, GATEWAY_API = ("istio.io/api", "v1.32.0"), ("sigs.k8s.io/gateway-api", "v1.6.0")
CONTROLLERS = (
    "deployment-controller,replicaset-controller,endpointslice-controller,serviceaccount-controller,"
    "namespace-controller,garbage-collector-controller,root-ca-certificate-publisher-controller,"
    "node-lifecycle-controller,job-controller,disruption-controller"
)

NODE_PATIENCE_S = 40
"""After so many seconds without a heartbeat a node is lost; its machine may be busy."""


def until(holds: Callable[[], Any], what: str) -> Any:
    """What `holds` gives once it is something. It may raise what the API's client raises meanwhile."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if found := holds():
                return found
        except Exception as error:
            what = f"{what} ({error!r:.300})" if time.monotonic() > deadline else what
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class Cluster:
    """Runs from `__enter__` on; ended by process id, the API server before etcd."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = folder / "admin.kubeconfig"
        self._program = go_program("kubernetes", "-trimpath", f"-ldflags=-s -w {_version()}")
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._stack = ExitStack()
        self._port, self._etcd_port, self._peer_port = free_port(), free_port(), free_port()

    def __enter__(self) -> Self:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        (self.folder / "accounts.key").write_bytes(pem)
        (self.folder / "tokens.csv").write_text("admin-token,admin,admin,system:masters\n")
        self._kubeconfig(self.kubeconfig, "admin-token")
        try:
            self._begin()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    def api(self, kubeconfig: Path | None = None) -> Any:
        """The official client, as the administrator or by another file."""
        made = client.Configuration()
        config.load_kube_config(str(kubeconfig or self.kubeconfig), client_configuration=made)
        return client.ApiClient(made)

    def apply(self, text: str) -> None:
        """Creates the objects of a YAML text; what an object is called decides where it goes."""
        for item in yaml.safe_load_all(text):
            utils.create_from_dict(self.api(), item) if _built_in(item) else self._custom(item)

    def account(self, name: str, namespace: str = "shop") -> None:
        core = client.CoreV1Api(self.api())
        core.create_namespaced_service_account(namespace, {"metadata": {"name": name}})

    def token(self, name: str, namespace: str = "shop", audience: str = "istio-ca", seconds: int = 3600) -> str:
        """A TokenRequest's."""
        spec = client.V1TokenRequestSpec(audiences=[audience], expiration_seconds=seconds)
        asked = client.AuthenticationV1TokenRequest(spec=spec)
        core = client.CoreV1Api(self.api())
        return str(core.create_namespaced_service_account_token(name, namespace, asked).status.token)

    def kubeconfig_of(self, name: str, namespace: str) -> Path:
        """For a service account, with a token for the API server itself."""
        path = self.folder / f"{namespace}-{name}.kubeconfig"
        self._kubeconfig(path, self.token(name, namespace, "https://kubernetes.default.svc"))
        return path

    def install_crds(self) -> None:
        """Istio's and the Gateway API's, from the modules that they are published in."""
        istio = go_module(*ISTIO_API) / "kubernetes" / "customresourcedefinitions.gen.yaml"
        gateway = sorted((go_module(*GATEWAY_API) / "config" / "crd" / "standard").glob("gateway*.yaml"))
        api = client.ApiextensionsV1Api(self.api())
        for path in (istio, *gateway):
            for item in yaml.load_all(path.read_text(), yaml.CSafeLoader):  # a megabyte: not in Python
                if item and item["kind"] == "CustomResourceDefinition":
                    api.create_custom_resource_definition(item)

    def stop(self, name: str = "kube-apiserver", how: signal.Signals = signal.SIGTERM) -> None:
        process = self._running.pop(name)
        process.send_signal(how)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)

    def start_api_server(self) -> None:
        self._run(
            "kube-apiserver",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={self.folder}/apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            f"--token-auth-file={self.folder}/tokens.csv",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--service-account-key-file={self.folder}/accounts.key",
            f"--service-account-signing-key-file={self.folder}/accounts.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--endpoint-reconciler-type=none",
            "--enable-aggregator-routing=true",  # webhooks are called at their Pods: this machine has no kube-proxy
            "--shutdown-delay-duration=0s",
        )
        # Its own word: before it, it answers for its own kinds, and for those of CRDs with 503.
        until(self._ready, "the API server is not ready")
        until(lambda: client.CoreV1Api(self.api()).read_namespace("default"), "the API server has no namespaces")

    def compact(self) -> None:
        """etcd forgets every revision but the present one: a watch from an older one is answered 410."""
        etcd = f"http://127.0.0.1:{self._etcd_port}/v3/kv"
        revision = httpx.post(f"{etcd}/range", json={"key": "AA=="}, timeout=30).json()["header"]["revision"]
        httpx.post(f"{etcd}/compaction", json={"revision": revision, "physical": True}, timeout=30).raise_for_status()

    def _ready(self) -> bool:
        context = ssl.create_default_context(cafile=self.folder / "apiserver" / "apiserver.crt")
        with httpx.Client(verify=context, trust_env=False, timeout=30) as asking:
            answer = asking.get(f"{self.url}/readyz", headers={"authorization": "Bearer admin-token"})
        return answer.status_code == 200

    def _begin(self) -> None:
        where, peers = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        self._run(
            "etcd",
            f"--data-dir={self.folder}/etcd",
            f"--listen-client-urls={where}",
            f"--advertise-client-urls={where}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
        )
        self.start_api_server()
        self._run(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}",
            f"--service-account-private-key-file={self.folder}/accounts.key",
            f"--root-ca-file={self.folder}/apiserver/apiserver.crt",
            "--bind-address=127.0.0.1",
            f"--secure-port={free_port()}",
            f"--cert-dir={self.folder}/controllers",
            "--leader-elect=false",
            f"--controllers={CONTROLLERS}",
            "--node-monitor-period=1s",
            f"--node-monitor-grace-period={NODE_PATIENCE_S}s",
        )

    def _end(self) -> None:
        for name in ("kube-controller-manager", "kube-apiserver", "etcd"):
            if name in self._running:
                self.stop(name, signal.SIGKILL)  # nothing of it is kept
        self._stack.close()

    def _run(self, name: str, *options: str) -> None:
        log = self._stack.enter_context((self.folder / f"{name}.log").open("ab"))
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ETCD_")}
        self._running[name] = subprocess.Popen(
            [self._program, name, *options], stdout=log, stderr=log, env=environment, cwd=self.folder
        )

    def _kubeconfig(self, path: Path, token: str) -> None:
        # The server's own certificate is self-signed and is made when it first starts.
        cluster = {"server": self.url, "certificate-authority": f"{self.folder}/apiserver/apiserver.crt"}
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "c",
                    "clusters": [{"name": "c", "cluster": cluster}],
                    "users": [{"name": "u", "user": {"token": token}}],
                    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                }
            )
        )

    def _custom(self, item: dict[str, Any]) -> None:
        group, _, version = item["apiVersion"].partition("/")
        plural, namespace = f"{item['kind'].lower()}s", item["metadata"]["namespace"]
        api = client.CustomObjectsApi(self.api())
        api.create_namespaced_custom_object(group, version, namespace, plural, item)


def _version() -> str:
    """What the programs say that they are; helm looks at it. A release's build sets the same."""
    module = re.search(r"k8s.io/kubernetes v((\d+)\.(\d+)\.\d+)", (HERE / "kubernetes" / "go.mod").read_text())
    assert module is not None
    said = {"gitVersion": f"v{module[1]}", "gitMajor": module[2], "gitMinor": module[3]}
    return " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in said.items())


def _built_in(item: dict[str, Any]) -> bool:
    group = item["apiVersion"].rpartition("/")[0]
    return "." not in group or (group.endswith(".k8s.io") and not group.startswith("gateway."))
