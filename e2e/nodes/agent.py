"""The nodes of a cluster, in threads of the test's own process."""

from __future__ import annotations

import compileall
import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import httpx

from . import sandbox
from .network import GATEWAY, Network
from .pod import Pod
from .rest import Document, Rest
from .services import Services
from .status import now

HEARTBEAT_S = 1.0
PATIENCE_S = 120.0
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class Node:
    """Takes Pods; `lose` is its machine's end, seen from the others."""

    def __init__(self, name: str, zone: str) -> None:
        self.name, self.zone = name, zone
        self.lost = threading.Event()
        self.uid = ""

    def document(self) -> Document:
        labels = {
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            "topology.kubernetes.io/region": "here",
            "topology.kubernetes.io/zone": self.zone,
        }
        return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name, "labels": labels}}

    def status(self) -> Document:
        room = {"cpu": "64", "memory": "64Gi", "pods": "110"}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now()}
        addresses = [{"type": "InternalIP", "address": GATEWAY}, {"type": "Hostname", "address": self.name}]
        return {"status": {"capacity": room, "allocatable": room, "addresses": addresses, "conditions": [ready]}}


class Agent:
    """`with Agent(kubeconfig, folder) as agent:`; every Pod that is left then is killed."""

    def __init__(self, kubeconfig: Path, folder: Path, zones: tuple[str, ...] = ("a", "b")) -> None:
        self.api = Rest.of(kubeconfig)
        self.folder = folder
        self.nodes = {f"node-{zone}": Node(f"node-{zone}", zone) for zone in zones}
        self.pods: dict[str, Pod] = {}
        """By uid; those that have ended as well, until their objects are gone."""
        self._placed: dict[str, tuple[str, Document]] = {}
        """Node and labels by uid, from the binding on."""
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._network = Network()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self.api.close)
            # Containers see the checkout read-only: none of them could keep what it has compiled.
            compileall.compile_dir(sandbox.CHECKOUT / "proxyless", quiet=2)
            stack.enter_context(self._network)
            self.services = Services(self.api)
            stack.callback(self.services.close)
            for node in self.nodes.values():
                node.uid = self.api.post("/api/v1/nodes", node.document())["metadata"]["uid"]
                self._beat(node)
            stack.callback(self._end)
            self._threads = [threading.Thread(target=self._heartbeats, name="heartbeats", daemon=True)]
            listed = []
            for path, heard in (
                ("/api/v1/pods", self._pod),
                ("/api/v1/services", self.services.service),
                ("/apis/discovery.k8s.io/v1/endpointslices", self.services.slice),
            ):
                listed.append(threading.Event())
                arguments = (path, heard, self._ended, listed[-1])
                self._threads.append(threading.Thread(target=self.api.follow, args=arguments, name=path, daemon=True))
            for each in self._threads:
                each.start()
            for said in listed:
                assert said.wait(PATIENCE_S), "the API server lists nothing"
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def of(self, namespace: str, **labels: str) -> list[Pod]:
        """Pods that live, oldest first."""
        with self._lock:
            return [
                each
                for each in self.pods.values()
                if each.namespace == namespace and not each.gone.is_set() and labels.items() <= each.labels.items()
            ]

    def lose(self, name: str) -> None:
        """The node's Pods are reached by nobody any more, and nobody hears of it."""
        node = self.nodes[name]
        node.lost.set()
        for each in self._on(name):
            each.plug(connected=False)

    def find(self, name: str) -> None:
        """It is back."""
        node = self.nodes[name]
        for each in self._on(name):
            each.plug(connected=True)
        node.lost.clear()
        for each in self._on(name):
            each.tell_again()
        self._beat(node)

    def _on(self, node: str) -> list[Pod]:
        with self._lock:
            return [each for each in self.pods.values() if each.node == node and not each.gone.is_set()]

    def _end(self) -> None:
        self._ended.set()
        with self._lock:
            pods = list(self.pods.values())
        for each in pods:
            each.kill()
        for each in pods:
            each.join()

    def _pod(self, kind: str, document: Document) -> None:
        uid, name = document["metadata"]["uid"], document["spec"].get("nodeName")
        with self._lock:
            known = self.pods.get(uid)
            if kind == "GONE":
                self._placed.pop(uid, None)
                if known is not None:
                    del self.pods[uid]
                    known.kill()
            elif known is not None:
                known.changed(document)
            elif name in self.nodes and document.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
                node = self.nodes[name]
                self._placed[uid] = name, document["metadata"].get("labels", {})
                self.pods[uid] = Pod(self.api, self._network, self.folder, document, node.lost)
            elif not name and "deletionTimestamp" not in document["metadata"]:
                self._bind(document)

    def _bind(self, pod: Document) -> None:
        """To the node with the fewest of its like, then with the fewest."""
        meta, wanted = pod["metadata"], pod["spec"].get("nodeSelector", {})
        fit = [
            node
            for node in self.nodes.values()
            if not node.lost.is_set() and wanted.items() <= node.document()["metadata"]["labels"].items()
        ]
        if not fit:
            return

        def load(node: Node) -> tuple[int, int]:
            here = [labels for name, labels in self._placed.values() if name == node.name]
            return sum(labels == meta.get("labels", {}) for labels in here), len(here)

        chosen = min(fit, key=load).name
        target = {"apiVersion": "v1", "kind": "Node", "name": chosen}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": meta["name"]}, "target": target}
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/binding"
        try:
            self.api.post(path, body)
            self._placed[meta["uid"]] = chosen, meta.get("labels", {})
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in (404, 409):
                raise

    def _heartbeats(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            for node in self.nodes.values():
                if not node.lost.is_set():
                    try:
                        self._beat(node)
                    except httpx.HTTPError:
                        pass  # the API server is away: the next one says it

    def _beat(self, node: Node) -> None:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": node.name, "leaseDurationSeconds": 40, "renewTime": moment}
        if self.api.find(f"{LEASES}/{node.name}") is None:
            owner = {"apiVersion": "v1", "kind": "Node", "name": node.name, "uid": node.uid}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": spec}
            self.api.post(LEASES, {**lease, "metadata": {"name": node.name, "ownerReferences": [owner]}})
        else:
            self.api.patch(f"{LEASES}/{node.name}", {"spec": spec})
        self.api.patch(f"/api/v1/nodes/{node.name}/status", node.status(), "strategic")
