"""Services that are called within their own cluster alone: Kubernetes' own, and those that `serviceSettings` names."""

from __future__ import annotations

from ..hosts import is_wildcard, most_specific
from ..mesh import MeshConfig


def is_cluster_local(host: str, mesh: MeshConfig) -> bool:
    """What names a host best decides."""
    defaults = dict.fromkeys(_defaults(mesh), True)
    said: dict[str, bool] = {}
    for settings in mesh.service_settings:
        local = settings.settings is not None and settings.settings.cluster_local
        for name in settings.hosts:
            said[name] = local
            if not local:
                for known in [each for each in defaults if _covers(each, name)]:
                    del defaults[known]
    said |= defaults
    exact = {name: local for name, local in said.items() if not is_wildcard(name)}
    wild = {name: local for name, local in said.items() if is_wildcard(name)}
    return bool(most_specific(host, exact, wild))


def _covers(known: str, name: str) -> bool:
    return name == known or (is_wildcard(known) and name.endswith(known[1:]))


def _defaults(mesh: MeshConfig) -> tuple[str, ...]:
    domain = mesh.domain_suffix
    discovery = mesh.default_config.discovery_address.rpartition(":")[0] or "istiod.istio-system.svc"
    if not discovery.endswith(domain):
        discovery = f"{discovery}.{domain}"
    return f"*.kube-system.svc.{domain}", f"kubernetes.default.svc.{domain}", discovery
