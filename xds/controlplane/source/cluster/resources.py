"""Where each kind is found on an API server: which version of it is served, under which path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...apiserver import MISSING, ApiError, ApiServer
from ...kinds import EXTENSIONS, KINDS, Kind

_ELSEWHERE = frozenset({"Deployment", "Endpoints", "IstioOperator"})
"""Kinds that a folder may hold and a cluster is not asked for: processes of a laptop, what Kubernetes mirrors into
slices itself (istiod reads none either), and what istioctl installs from."""

EXACT = frozenset(name for name, kind in KINDS.items() if kind.group == EXTENSIONS)
"""Kinds whose resourceVersion is sent to proxies."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a kind are read. Empty: all."""

    namespace: str = ""
    fields: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as it is served."""

    path: str
    api_version: str
    plural: str

    def __str__(self) -> str:
        return f"{self.plural} ({self.api_version})"


def readable(without: frozenset[str] = frozenset()) -> dict[str, Kind]:
    """The kinds that are read from a cluster."""
    return {name: kind for name, kind in KINDS.items() if name not in _ELSEWHERE | without}


MESH_MAP = "istio"
"""The ConfigMap with the mesh's settings, without a revision."""


def selection(kind: str, root_namespace: str, mesh_map: str = MESH_MAP) -> Selection:
    """As istiod: no Pods that have failed. Of ConfigMaps only the mesh's own, so that no other needs to be readable."""
    if kind == "Pod":
        return Selection(fields="status.phase!=Failed")
    if kind == "ConfigMap":
        return Selection(root_namespace, f"metadata.name={mesh_map}")
    return Selection()


def find(api: ApiServer, name: str, kind: Kind, namespace: str = "") -> Resource:
    """The newest version of a kind that is served and read here.

    Raises:
        ApiError: MISSING where the server does not know the kind; else as it answers.
    """
    group = kind.group
    served = _versions(api, group) if group else {"v1"}
    for version in kind.versions:
        if version not in served:
            continue
        base = f"/apis/{group}/{version}" if group else f"/api/{version}"
        for each in _listed(api.get(base), "resources"):
            if each.get("kind") == name and "/" not in str(each.get("name")):
                plural = str(each["name"])
                within = f"/namespaces/{namespace}" if namespace else ""
                return Resource(f"{base}{within}/{plural}", f"{group}/{version}" if group else version, plural)
    raise ApiError(MISSING, f"this cluster does not serve {name} of {group}")


def _versions(api: ApiServer, group: str) -> set[str]:
    return {str(each.get("version")) for each in _listed(api.get(f"/apis/{group}"), "versions")}


def _listed(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = document.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
