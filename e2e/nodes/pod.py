"""A Pod's life on its node: one thread from its binding to its deletion."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from .container import IMAGE_USER, Container
from .environment import Waiting, variables
from .network import GATEWAY, Leg, Network
from .rest import Document, Rest
from .sandbox import Mount, Sandbox, User
from .services import RESOLVER
from .status import conditions, of_container, phase_of, ready_of
from .volumes import Volumes

REFRESH_S = 2.0
"""Between two looks at what ConfigMaps, Secrets and tokens of volumes have become."""
RETRY_S = 0.5


class Pod:
    """`lost` is its node's: while it is set nothing is asked of it and nothing is told of it."""

    def __init__(self, api: Rest, network: Network, folder: Path, document: Document, lost: threading.Event) -> None:
        self.document = document
        self.folder = folder / document["metadata"]["uid"]
        self.gone = threading.Event()
        meta, spec = document["metadata"], document["spec"]
        self.name, self.namespace, self.labels = meta["name"], meta["namespace"], meta.get("labels", {})
        self.node: str = spec["nodeName"]
        self._api, self._network, self._lost = api, network, lost
        self._wake = threading.Event()
        self._killed = threading.Event()
        self._told: Document = {}
        self._leg: Leg | None = None
        logs = folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        beginning = f"{self.namespace}_{self.name}"
        self.first, self.containers = (
            [Container(each, logs / f"{beginning}_{each['name']}.log", self._wake.set) for each in spec.get(kind, ())]
            for kind in ("initContainers", "containers")
        )
        self._initialized = not self.first
        self._refresh_due = 0.0
        self.volumes: Volumes | None = None
        self._thread = threading.Thread(target=self._live, name=f"pod {self.name}", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return self._leg.address if self._leg else ""

    @property
    def ready(self) -> bool:
        return all(each.ready for each in self.containers)

    def changed(self, document: Document) -> None:
        self.document = document
        self._wake.set()

    def kill(self) -> None:
        """The object is gone, or all is over: nobody is asked."""
        self._killed.set()
        self._wake.set()

    def join(self) -> None:
        self._thread.join(30)

    def plug(self, *, connected: bool) -> None:
        if self._leg is not None:
            self._leg.plug(connected=connected)
        self._wake.set()

    def renew(self) -> None:
        """Tokens are asked for anew and ConfigMaps read again, now."""
        if self.volumes is not None:
            self.volumes.tokens.clear()
            self.volumes.fill(self.document)

    def log(self) -> str:
        """Of its first container."""
        path = self.containers[0].log
        return path.read_text(errors="replace") if path.exists() else ""

    def _live(self) -> None:
        try:
            self._leg = self._network.leg()
            self.volumes = Volumes(self._api, self.folder / "volumes", self._leg.address, GATEWAY)
            while not self._killed.is_set() and "deletionTimestamp" not in self.document["metadata"]:
                self._wake.wait(self._pause())
                self._wake.clear()
                if self._lost.is_set():
                    continue
                self._step()
                self._tell()
            self._end()
        finally:
            for each in (*self.first, *self.containers):
                each.stop(signal.SIGKILL)
            if self._leg is not None:
                self._leg.close()
            shutil.rmtree(self.folder, ignore_errors=True)
            self.gone.set()

    def _pause(self) -> float:
        if self._lost.is_set():
            return RETRY_S
        due = [self._refresh_due]
        for each in (*self.first, *self.containers):
            if each.running:
                due.append(each.next_probe())
            elif each.waiting is not None:
                due.append(max(each.start_due, time.monotonic() + 0.05))
        return max(0.0, min(due) - time.monotonic())

    def _step(self) -> None:
        """Starts what is due, asks what is due."""
        policy = self.document["spec"].get("restartPolicy", "Always")
        try:
            if time.monotonic() >= self._refresh_due and self.volumes is not None:
                self._refresh_due = time.monotonic() + REFRESH_S
                self.volumes.fill(self.document)
        except Waiting as waiting:
            for each in (*self.first, *self.containers):
                if not each.running and each.ended is None:
                    each.waiting, each.start_due = (waiting.reason, str(waiting)), time.monotonic() + RETRY_S
            return
        except httpx.HTTPError:
            return
        for each in self.first if not self._initialized else self.containers:
            if each.reap() and (policy == "Always" or (policy == "OnFailure" and each.failed)):
                each.again()
            if each.waiting is not None and time.monotonic() >= each.start_due:
                self._start(each)
            elif each.running and (wrong := each.probe(self.address)):
                self._event(each, wrong)
                each.stop(signal.SIGTERM)
                if not _over(each, self.document["spec"].get("terminationGracePeriodSeconds", 30)):
                    each.stop(signal.SIGKILL)
            if not self._initialized and (each.ended is None or each.failed):
                return  # one after the other
        if not self._initialized:
            self._initialized = True
            self._wake.set()

    def _start(self, each: Container) -> None:
        try:
            environment = variables(self._api, self.document, each.said, self.address, GATEWAY)
            each.start(self._sandbox(each), environment)
            each.hook("postStart", self.address)
        except Waiting as waiting:
            each.waiting, each.start_due = (waiting.reason, str(waiting)), time.monotonic() + RETRY_S
        except httpx.HTTPError:
            each.start_due = time.monotonic() + RETRY_S

    def _sandbox(self, each: Container) -> Sandbox:
        assert self._leg is not None
        assert self.volumes is not None
        overall: dict[str, Any] = self.document["spec"].get("securityContext", {})
        own: dict[str, Any] = {**overall, **each.said.get("securityContext", {})}
        uid = own.get("runAsUser", IMAGE_USER)
        if own.get("runAsNonRoot") and uid == 0:
            raise Waiting("container has runAsNonRoot and runs as root")
        group = overall.get("fsGroup")
        groups = (*overall.get("supplementalGroups", ()), *(() if group is None else (group,)))
        dropped = "ALL" in own.get("capabilities", {}).get("drop", ())
        mounts = []
        for mount in each.said.get("volumeMounts", ()):
            source = self.volumes.path(mount["name"]) / mount.get("subPath", "")
            mounts.append(Mount(source, mount["mountPath"], mount.get("readOnly", False)))
        mounts.sort(key=lambda mount: mount.path.count("/"))
        root = self.folder / "roots" / each.name
        root.mkdir(parents=True, exist_ok=True)
        search = f"{self.namespace}.svc.cluster.local svc.cluster.local cluster.local"
        files = {
            "hosts": f"127.0.0.1 localhost\n{self.address} {self.name}\n",
            "resolv.conf": f"nameserver {RESOLVER}\nsearch {search}\noptions ndots:5\n",
            "hostname": f"{self.name}\n",
        }
        user = User(uid, own.get("runAsGroup", uid), groups, not dropped)
        read_only = own.get("readOnlyRootFilesystem", False)
        return Sandbox(self._leg.namespace, root, user, mounts, files, read_only)

    def _event(self, each: Container, wrong: str) -> None:
        with each.log.open("a") as log:
            log.write(f"node agent: {each.name} is killed: {wrong}\n")

    def _tell(self) -> None:
        spec, before = self.document["spec"], self._told
        ready, waiting = self.ready, "ContainersNotReady"
        phase = phase_of(self.containers, spec.get("restartPolicy", "Always"), self._initialized)
        over = phase in ("Succeeded", "Failed")
        said = {
            "Initialized": (self._initialized, ""),
            "ContainersReady": (ready, "" if ready else "PodCompleted" if over else waiting),
            "Ready": (ready, "" if ready else "PodCompleted" if over else waiting),
        }
        status: Document = {
            "phase": phase,
            "hostIP": GATEWAY,
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "startTime": before.get("startTime") or self.document["metadata"]["creationTimestamp"],
            "conditions": conditions(before.get("conditions", ()), said),
            "containerStatuses": [of_container(each) for each in self.containers],
            "initContainerStatuses": [of_container(each) for each in self.first],
        }
        if status == before and not self._contradicted():
            return
        path = f"/api/v1/namespaces/{self.namespace}/pods/{self.name}/status"
        body = {"metadata": {"uid": self.document["metadata"]["uid"]}, "status": status}
        try:
            self._api.patch(path, body, "strategic")
            self._told = status
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in (404, 409):
                raise
        except httpx.HTTPError:
            self._refresh_due = min(self._refresh_due, time.monotonic() + RETRY_S)

    def _contradicted(self) -> bool:
        """Others wrote that it is not ready (while its node was not heard of, say): as a kubelet, it is told anew."""
        there, told = ready_of(self.document.get("status", {})), ready_of(self._told)
        return "" not in (there, told) and there != told

    def tell_again(self) -> None:
        """Others may have written the status meanwhile."""
        self._told = {}
        self._wake.set()

    def _end(self) -> None:
        """preStop, SIGTERM, SIGKILL; then the object goes. Readiness is asked and told meanwhile."""
        meta = self.document["metadata"]
        grace = 0 if self._killed.is_set() else meta.get("deletionGracePeriodSeconds", 30)
        running = [each for each in (*self.first, *self.containers) if each.running]
        ending = [threading.Thread(target=self._stop, args=(each, grace), daemon=True) for each in running]
        for each in ending:
            each.start()
        while any(each.is_alive() for each in ending):
            if not self._killed.is_set() and not self._lost.is_set():
                for container in running:
                    container.probe(self.address, readiness_only=True)
                self._tell()
            self._wake.wait(0.2)
            self._wake.clear()
        for container in running:
            container.reap()
        while not self._killed.is_set():
            try:
                if not self._lost.is_set():
                    self._tell()
                    body = {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
                    self._api.delete(f"/api/v1/namespaces/{self.namespace}/pods/{self.name}", body)
                    return
            except httpx.HTTPError:
                pass
            self._wake.wait(RETRY_S)
            self._wake.clear()

    def _stop(self, each: Container, grace: float) -> None:
        deadline = time.monotonic() + grace
        if grace:
            each.hook("preStop", self.address)
            each.stop(signal.SIGTERM)
        while not _over(each, 0.1):
            if time.monotonic() >= deadline or self._killed.is_set():
                each.stop(signal.SIGKILL)


def _over(each: Container, patience_s: float) -> bool:
    process = each.process
    try:
        return process is None or process.wait(patience_s) is not None
    except subprocess.TimeoutExpired:
        return False
