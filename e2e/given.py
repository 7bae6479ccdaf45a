"""A cluster that somebody has, with istiod or a controller of ours on it, by kubectl."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from .nodes.rest import Rest
from .tools import missing

KUBECONFIG, ADDRESS, IMAGE = "PROXYLESS_E2E_KUBECONFIG", "PROXYLESS_E2E_CONTROL_PLANE", "PROXYLESS_E2E_IMAGE"


def given() -> str:
    """The kubeconfig of the cluster that is to be used; empty: the tests make one of their own."""
    return os.environ.get(KUBECONFIG, "")


class GivenCluster:
    """Reached through `kubectl proxy`, so that every kind of credentials does."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.control_plane = os.environ.get(ADDRESS, "istiod.istio-system.svc:15012")
        self.image = os.environ.get(IMAGE, "")
        self._kubectl = ["kubectl", f"--kubeconfig={kubeconfig}"]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if not self.image:
            missing(f"{IMAGE} (an image with proxyless[demo] that the nodes can pull)")
        proxy = subprocess.Popen([*self._kubectl, "proxy", "--port=0"], stdout=subprocess.PIPE, text=True)
        self._stack.callback(proxy.wait)
        self._stack.callback(proxy.terminate)
        assert proxy.stdout is not None
        where = proxy.stdout.readline().rpartition(" ")[2].strip()  # Starting to serve on 127.0.0.1:40123
        self.api = Rest(f"http://{where}")
        self._stack.callback(self.api.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def command(self, namespace: str, pod: str, arguments: Sequence[str]) -> tuple[list[str], Mapping[str, str] | None]:
        return [*self._kubectl, "exec", "-i", "-n", namespace, pod, "--", *arguments], None
