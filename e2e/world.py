"""The shop on a cluster, as scenarios see it: the tests' own cluster, or one that somebody has."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx

from .nodes.rest import Document, Rest
from .tools import helm

CHARTS = Path(__file__).parents[1] / "charts"
PATIENCE_S = 180.0
NETWORKING = "/apis/networking.istio.io/v1"


class Reach(Protocol):
    """How a cluster is reached."""

    api: Rest
    kubeconfig: Path

    def command(self, namespace: str, pod: str, arguments: Sequence[str]) -> tuple[list[str], Mapping[str, str] | None]:
        """What to start here to start that in the Pod, and with which environment."""


class World:
    """Namespaced as the shop; every wait has a deadline and says what it waited for."""

    def __init__(self, reach: Reach, namespace: str = "shop") -> None:
        self.reach, self.api, self.namespace = reach, reach.api, namespace

    def until(self, holds: Callable[[], Any], what: str | Callable[[], object], patience_s: float = PATIENCE_S) -> Any:
        """What `holds` gives once it is something; the API server may be away meanwhile."""
        deadline, error = time.monotonic() + patience_s, ""
        while True:
            try:
                if found := holds():
                    return found
                error = ""
            except httpx.HTTPError as raised:
                error = f" ({raised!r:.200})"
            assert time.monotonic() < deadline, (
                f"not within {patience_s:g} s: {what() if callable(what) else what}{error}"
            )
            time.sleep(0.1)

    def helm(self, *arguments: object, ok: bool = True) -> str:
        command = [str(helm()), "--kubeconfig", str(self.reach.kubeconfig), "--namespace", self.namespace]
        done = subprocess.run(
            [*command, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=600
        )
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        return done.stdout + done.stderr

    def path(self, kind: str, name: str = "", group: str = "") -> str:
        """Of an object of the namespace; `group` is /api/v1 where it is not said."""
        return f"{group or '/api/v1'}/namespaces/{self.namespace}/{kind}/{name}".rstrip("/")

    def deployment(self, name: str) -> str:
        return self.path("deployments", name, "/apis/apps/v1")

    def pods(self, app: str, version: str = "") -> list[Document]:
        """Those that are not being deleted."""
        selector = f"app={app}" + (f",version={version}" if version else "")
        items = self.api.get(f"{self.path('pods')}?labelSelector={selector}")["items"]
        return [each for each in items if "deletionTimestamp" not in each["metadata"]]

    def names(self, app: str, version: str = "") -> set[str]:
        return {each["metadata"]["name"] for each in self.pods(app, version)}

    def endpoints(self, app: str) -> dict[str, bool]:
        """Of a Service: what the slices say of each Pod, whether it is ready."""
        found = {}
        selector = f"kubernetes.io/service-name={app}"
        path = self.path("endpointslices", group="/apis/discovery.k8s.io/v1")
        for each in self.api.get(f"{path}?labelSelector={selector}")["items"]:
            for endpoint in each.get("endpoints") or ():
                found[endpoint["targetRef"]["name"]] = bool(endpoint["conditions"].get("ready"))
        return found

    def rolled_out(self, *names: str) -> None:
        """Every Deployment has all its Pods, of its last template and ready, and no other."""

        def still() -> list[str]:
            return [name for name in names if not _complete(self.api.get(self.deployment(name)))]

        def told() -> object:
            return {
                pod["metadata"]["name"]: [each.get("state") for each in pod["status"].get("containerStatuses", ())]
                for pod in self.api.get(self.path("pods"))["items"]
            }

        self.until(lambda: not still(), told)

    def scale(self, name: str, replicas: int) -> None:
        self.api.patch(f"{self.deployment(name)}/scale", {"spec": {"replicas": replicas}})

    def canary(self, **weights: int) -> None:
        """Edits the shop's VirtualService of catalog: weights by version."""
        path = self.path("virtualservices", "catalog", NETWORKING)
        http = self.api.get(path)["spec"]["http"]
        rule = next(each for each in http if each.get("name") == "canary")
        host = rule["route"][0]["destination"]["host"]
        rule["route"] = [
            {"destination": {"host": host, "subset": version}, "weight": weight} for version, weight in weights.items()
        ]
        self.api.patch(path, {"spec": {"http": http}})

    def start(self, pod: str, arguments: Iterable[str]) -> subprocess.Popen[str]:
        """In the Pod, with pipes."""
        command, environment = self.reach.command(self.namespace, pod, list(arguments))
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/"
        )

    def status(self, pod: str) -> Document:
        """`proxyless status` in there."""
        command, environment = self.reach.command(self.namespace, pod, ["proxyless", "status", "--json"])
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode in (0, 1), done.stderr  # 1: it has found something
        found: Document = json.loads(done.stdout)
        return found


def _complete(deployment: Document) -> bool:
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    return status.get("observedGeneration") == deployment["metadata"]["generation"] and all(
        status.get(name, 0) == wanted for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    )
