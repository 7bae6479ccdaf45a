"""The kinds that the control plane reads, as a table: where a kind lives and which message describes it."""

from __future__ import annotations

from dataclasses import dataclass

from .api import kubernetes
from .api.destination_rule import DestinationRule
from .api.envoy_filter import EnvoyFilter
from .api.security import AuthorizationPolicy, PeerAuthentication, RequestAuthentication
from .api.service_entry import ServiceEntry, Sidecar, WorkloadEntry
from .api.telemetry import Telemetry
from .api.virtual_service import VirtualService

NETWORKING = "networking.istio.io"
SECURITY = "security.istio.io"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. `version` is the one that istiod names in metadata, whichever the object was written in."""

    group: str
    message: type
    version: str = "v1"
    versions: tuple[str, ...] = ("v1", "v1beta1", "v1alpha3")
    spec: bool = True  # whether the content stands under `spec`
    namespaced: bool = True


_CORE = ("v1",)

KINDS: dict[str, Kind] = {
    "VirtualService": Kind(NETWORKING, VirtualService),
    "DestinationRule": Kind(NETWORKING, DestinationRule),
    "ServiceEntry": Kind(NETWORKING, ServiceEntry),
    "WorkloadEntry": Kind(NETWORKING, WorkloadEntry),
    "Sidecar": Kind(NETWORKING, Sidecar),
    "EnvoyFilter": Kind(NETWORKING, EnvoyFilter, version="v1alpha3", versions=("v1alpha3",)),
    "AuthorizationPolicy": Kind(SECURITY, AuthorizationPolicy, versions=("v1", "v1beta1")),
    "PeerAuthentication": Kind(SECURITY, PeerAuthentication, versions=("v1", "v1beta1")),
    "RequestAuthentication": Kind(SECURITY, RequestAuthentication, versions=("v1", "v1beta1")),
    "Telemetry": Kind("telemetry.istio.io", Telemetry, versions=("v1", "v1alpha1")),
    "Service": Kind("", kubernetes.Service, versions=_CORE),
    "Endpoints": Kind("", kubernetes.Endpoints, versions=_CORE, spec=False),
    "EndpointSlice": Kind("discovery.k8s.io", kubernetes.EndpointSlice, versions=("v1", "v1beta1"), spec=False),
    "Pod": Kind("", kubernetes.Pod, versions=_CORE, spec=False),
    "Node": Kind("", kubernetes.Node, versions=_CORE, spec=False, namespaced=False),
    "Namespace": Kind("", kubernetes.Namespace, versions=_CORE, spec=False, namespaced=False),
}

GROUPS = frozenset(kind.group for kind in KINDS.values() if kind.group)

INERT: dict[str, str] = {
    "Sidecar": "has no effect yet: every workload sees the whole mesh, and hosts outside of it stay reachable",
}
"""Kinds that are read and checked, and what is to be said of them because nothing is made of them."""

UNREAD = frozenset(
    {
        "Gateway",
        "ProxyConfig",
        "WorkloadGroup",
        "WasmPlugin",
        "TrafficExtension",
    }
)
"""Kinds of Istio's groups that have no effect here (gateways) or none yet."""
