"""A cluster of the tests' own: a real control plane of Kubernetes, nodes of `e2e/nodes`, and our controller on them."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx
import jwt

from .cluster import Cluster
from .nodes.agent import Agent
from .nodes.pod import Pod
from .nodes.volumes import Token
from .world import CHARTS, World

CONTROL = "istio-system"
NAME = "proxyless-controller"


class Controller:
    """Charts/proxyless-controller with one Pod, so that it can be away."""

    address = f"{NAME}.{CONTROL}.svc:15012"

    def __init__(self, world: World, agent: Agent) -> None:
        self.world, self._agent = world, agent

    def install(self, *namespaces: str) -> None:
        """Its root is told to those namespaces."""
        told = f"ca.publishTo={{{','.join(namespaces)}}}"
        values = ("replicas=1", "webhook.enabled=true", told)
        options = [option for value in values for option in ("--set", value)]
        self.world.helm("install", "controller", CHARTS / NAME, *options)
        self.world.rolled_out(NAME)

    @property
    def pod(self) -> Pod:
        (found,) = self._agent.of(CONTROL, app=NAME)
        return found

    def crash(self) -> None:
        """Its process is killed; the node starts another one."""
        (container,) = self.pod.containers
        before = container.restarts
        container.stop(signal.SIGKILL)
        self.world.until(lambda: container.restarts > before and container.ready, self.pod.log)

    def away(self) -> None:
        self.world.scale(NAME, 0)
        self.world.until(lambda: not self._agent.of(CONTROL, app=NAME), "its Pod does not end")

    def back(self) -> None:
        self.world.scale(NAME, 1)
        self.world.rolled_out(NAME)

    def signal(self, what: signal.Signals) -> None:
        process = self.pod.containers[0].process
        assert process is not None
        process.send_signal(what)

    def ask(self, path: str) -> httpx.Response:
        """Of its status server."""
        return httpx.get(f"http://{self.pod.address}:15014{path}", timeout=30, trust_env=False)

    def conditions(self) -> dict[str, str]:
        """Of each kind."""
        return {each["kind"]: each["condition"] for each in self.ask("/status").json()["kinds"]}

    def metric(self, name: str, **labels: str) -> float:
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        for line in self.ask("/metrics").text.splitlines():
            if line.startswith(f"{name}{{") and all(each in line for each in wanted):
                return float(line.rpartition(" ")[2])
        return 0.0


class OwnCluster:
    """Ended as it began: no process, no address, no route is left."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)  # Pods that are not root look into it
        self.cluster = Cluster(folder)
        self.kubeconfig = self.cluster.kubeconfig
        self._folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.cluster)
            self.cluster.install_crds()
            self.agent = stack.enter_context(Agent(self.kubeconfig, self._folder / "nodes"))
            self.api = self.agent.api
            self.namespace(CONTROL)
            self.controller = Controller(World(self, CONTROL), self.agent)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def namespace(self, name: str) -> None:
        self.api.post("/api/v1/namespaces", {"metadata": {"name": name}})

    def pod(self, namespace: str, name: str) -> Pod:
        """As its node has it."""
        return next(each for each in self.agent.of(namespace) if each.name == name)

    def command(self, namespace: str, pod: str, arguments: Sequence[str]) -> tuple[list[str], Mapping[str, str] | None]:
        """As `kubectl exec` does it."""
        return self.pod(namespace, pod).containers[0].entered(arguments)

    def expire(self, pod: Pod) -> None:
        """Its token becomes one that the API server signed long ago, as if the kubelet had not renewed it."""
        assert pod.volumes is not None
        key = (self._folder / "accounts.key").read_text()
        for name, token in pod.volumes.tokens.items():
            claims: dict[str, Any] = jwt.decode(token.text, options={"verify_signature": False})
            header = jwt.get_unverified_header(token.text)
            begin = int(time.time()) - 7200
            claims |= {"iat": begin, "nbf": begin, "exp": begin + 3600}
            signed = jwt.encode(claims, key, algorithm="RS256", headers={"kid": header["kid"]})
            pod.volumes.tokens[name] = Token(signed, float("inf"))
        pod.volumes.fill(pod.document)
