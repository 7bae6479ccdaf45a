"""What of the authority a cluster has to know: its root, as a ConfigMap in each namespace and in the webhook's
configuration."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from ..xds.controlplane.api import kubernetes
from ..xds.controlplane.apiserver import CONFLICT, MISSING, ApiError, ApiServer
from ..xds.controlplane.registry.world import World

ROOT = "root-cert.pem"
LABELS = {"istio.io/config": "true"}
IGNORED = frozenset({"kube-public", "kube-node-lease", "local-path-storage"})
"""Where istiod writes none either."""


class RootCertificates:
    """A duty of the leader: a ConfigMap in every namespace, by which Pods verify the control plane."""

    name = "root certificate"

    def __init__(self, api: ApiServer, config_map: str, roots: Callable[[], bytes]) -> None:
        self._api = api
        self._name = config_map
        self._roots = roots
        self._done: tuple[str, frozenset[str]] | None = None
        self.written = 0

    def forget(self) -> None:
        """Everything is looked at again."""
        self._done = None

    def perform(self, world: World) -> None:
        """Raises ApiError: the first namespace that it could not be written to; the others were tried."""
        pem = self._roots().decode("ascii")
        found = world.of_kind("Namespace", kubernetes.Namespace)
        namespaces = frozenset(each.meta.name for each in found) - IGNORED
        if self._done == (pem, namespaces):
            return
        held = self._held()
        failed: ApiError | None = None
        for namespace in sorted(namespaces):
            if held.get(namespace) == pem:
                continue
            try:
                self._write(namespace, pem, new=namespace not in held)
            except ApiError as error:
                if not _is_ending(error):
                    failed = failed or error
        if failed is not None:
            raise failed
        self._done = (pem, namespaces)

    def _held(self) -> dict[str, str | None]:
        query = {"fieldSelector": f"metadata.name={self._name}", "limit": "500"}
        out: dict[str, str | None] = {}
        while True:
            page = self._api.get("/api/v1/configmaps", query)
            for each in page.get("items") or ():
                out[str(each["metadata"].get("namespace"))] = (each.get("data") or {}).get(ROOT)
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return out
            query["continue"] = str(following)

    def _write(self, namespace: str, pem: str, *, new: bool) -> None:
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        meta = {"name": self._name, "namespace": namespace, "labels": LABELS}
        body: dict[str, Any] = {"metadata": meta, "data": {ROOT: pem}}
        try:
            if new:
                self._api.send("POST", path, {"apiVersion": "v1", "kind": "ConfigMap", **body})
            else:
                self._api.send("PATCH", f"{path}/{self._name}", body)
        except ApiError as error:
            if new and error.reason == CONFLICT:  # somebody was first: it is what it has to be all the same
                self._api.send("PATCH", f"{path}/{self._name}", body)
            elif error.reason != MISSING:  # the namespace went away
                raise
        self.written += 1


class WebhookRoots:
    """A duty of the leader: by what the API server verifies the webhook, in its configuration."""

    name = "webhook configuration"

    def __init__(self, api: ApiServer, configuration: str, roots: Callable[[], bytes]) -> None:
        self._api = api
        self._path = f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{configuration}"
        self._roots = roots
        self._done = b""
        self.written = 0

    def forget(self) -> None:
        """It is looked at again."""
        self._done = b""

    def perform(self, world: World) -> None:
        """Raises ApiError: it does not exist, or could not be written."""
        del world
        roots = self._roots()
        if roots == self._done:
            return
        bundle = base64.b64encode(roots).decode("ascii")
        held = self._api.get(self._path)
        hooks = held.get("webhooks") or []
        if any((each.get("clientConfig") or {}).get("caBundle") != bundle for each in hooks):
            new = [{**each, "clientConfig": {**(each.get("clientConfig") or {}), "caBundle": bundle}} for each in hooks]
            self._api.send("PUT", self._path, {**held, "webhooks": new})
            self.written += 1
        self._done = roots


def _is_ending(error: ApiError) -> bool:
    """Nothing is made in a namespace that is being deleted."""
    return "being terminated" in str(error)
