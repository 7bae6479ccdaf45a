"""The kinds that the control plane reads, as a table: where a kind lives and which message describes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .api import kubernetes
from .api.backend_policy import BackendTLSPolicySpec
from .api.destination_rule import DestinationRule
from .api.envoy_filter import EnvoyFilter
from .api.extensions import TrafficExtension, WasmPlugin
from .api.gateway import NetworkGatewaySpec
from .api.gateway_api import GATEWAY_GROUP, GRPCRouteSpec, HTTPRouteSpec, TCPRouteSpec, TLSRouteSpec
from .api.mesh_config import IstioOperator, MeshMap
from .api.proxy_config import ProxyConfigResource
from .api.security import AuthorizationPolicy, PeerAuthentication, RequestAuthentication
from .api.service_entry import ServiceEntry, ServiceEntryStatus, WorkloadEntry, WorkloadEntryStatus, WorkloadGroup
from .api.sidecar import Sidecar
from .api.telemetry import Telemetry
from .api.virtual_service import VirtualService

NETWORKING = "networking.istio.io"
SECURITY = "security.istio.io"
EXTENSIONS = "extensions.istio.io"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. `version` is the one that istiod names in metadata, whichever the object was written in."""

    group: str
    message: type
    version: str = "v1"
    versions: tuple[str, ...] = ("v1", "v1beta1", "v1alpha3")
    spec: bool = True  # whether the content stands under `spec`
    namespaced: bool = True
    concerns: Callable[[Mapping[str, Any]], bool] | None = None  # whether an object is one of ours; None: all are
    status: type | None = None  # of the few kinds whose `status` counts


_CORE = ("v1",)
ENDPOINTS = "proxyless.dev/endpoints"
"""Annotation of a Deployment: where its processes are, on a machine without Kubernetes."""
_MESH_KEYS = ("mesh", "meshNetworks")
_ROOT_KEYS = ("ca.crt", "cacert")


def _is_mesh(value: Mapping[str, Any]) -> bool:
    """Whether a ConfigMap is istiod's: `istio`, or `istio-` and a revision, with a mesh or networks in it.

    Or whether it holds certificates of authorities, which a BackendTLSPolicy may name.
    """
    meta, data = value.get("metadata"), value.get("data")
    name = str(meta.get("name", "")) if isinstance(meta, dict) else ""
    if not isinstance(data, dict):
        return False
    ours = name == "istio" or name.startswith("istio-")
    return any(data.get(key) for key in _ROOT_KEYS) or (ours and any(key in data for key in _MESH_KEYS))


def _is_local(value: Mapping[str, Any]) -> bool:
    """Whether a Deployment says where its processes are, itself or in the template of its Pods."""
    spec = value.get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    return any(ENDPOINTS in _annotations(each) for each in (value, template))


def _is_networks(value: Mapping[str, Any]) -> bool:
    """Whether a Gateway is one of a network: others govern no client in the mesh."""
    meta = value.get("metadata")
    labels = meta.get("labels") if isinstance(meta, dict) else None
    return isinstance(labels, dict) and bool(labels.get("topology.istio.io/network"))


def _annotations(value: object) -> Mapping[str, Any]:
    meta = value.get("metadata") if isinstance(value, dict) else None
    notes = meta.get("annotations") if isinstance(meta, dict) else None
    return notes if isinstance(notes, dict) else {}


KINDS: dict[str, Kind] = {
    "VirtualService": Kind(NETWORKING, VirtualService),
    "DestinationRule": Kind(NETWORKING, DestinationRule),
    "ServiceEntry": Kind(NETWORKING, ServiceEntry, status=ServiceEntryStatus),
    "WorkloadEntry": Kind(NETWORKING, WorkloadEntry, status=WorkloadEntryStatus),
    "WorkloadGroup": Kind(NETWORKING, WorkloadGroup),
    "Sidecar": Kind(NETWORKING, Sidecar),
    "EnvoyFilter": Kind(NETWORKING, EnvoyFilter, version="v1alpha3", versions=("v1alpha3",)),
    "AuthorizationPolicy": Kind(SECURITY, AuthorizationPolicy, versions=("v1", "v1beta1")),
    "PeerAuthentication": Kind(SECURITY, PeerAuthentication, versions=("v1", "v1beta1")),
    "RequestAuthentication": Kind(SECURITY, RequestAuthentication, versions=("v1", "v1beta1")),
    "Telemetry": Kind("telemetry.istio.io", Telemetry, versions=("v1", "v1alpha1")),
    "HTTPRoute": Kind(GATEWAY_GROUP, HTTPRouteSpec, versions=("v1", "v1beta1")),
    "GRPCRoute": Kind(GATEWAY_GROUP, GRPCRouteSpec, versions=("v1", "v1alpha2")),
    "TCPRoute": Kind(GATEWAY_GROUP, TCPRouteSpec, versions=("v1", "v1alpha2")),
    "TLSRoute": Kind(GATEWAY_GROUP, TLSRouteSpec, versions=("v1", "v1alpha3", "v1alpha2")),
    "Gateway": Kind(GATEWAY_GROUP, NetworkGatewaySpec, versions=("v1", "v1beta1"), concerns=_is_networks),
    "BackendTLSPolicy": Kind(GATEWAY_GROUP, BackendTLSPolicySpec, versions=("v1", "v1alpha3")),
    "Service": Kind("", kubernetes.Service, versions=_CORE, status=kubernetes.ServiceStatus),
    "WasmPlugin": Kind(EXTENSIONS, WasmPlugin, version="v1alpha1", versions=("v1alpha1",)),
    "TrafficExtension": Kind(EXTENSIONS, TrafficExtension, version="v1alpha1", versions=("v1alpha1",)),
    "Endpoints": Kind("", kubernetes.Endpoints, versions=_CORE, spec=False),
    "EndpointSlice": Kind("discovery.k8s.io", kubernetes.EndpointSlice, versions=("v1", "v1beta1"), spec=False),
    "Pod": Kind("", kubernetes.Pod, versions=_CORE, spec=False),
    "Node": Kind("", kubernetes.Node, versions=_CORE, spec=False, namespaced=False),
    "Deployment": Kind("apps", kubernetes.Deployment, versions=_CORE, concerns=_is_local),
    "ProxyConfig": Kind(NETWORKING, ProxyConfigResource, version="v1beta1", versions=("v1beta1",)),
    "ConfigMap": Kind("", MeshMap, versions=_CORE, spec=False, concerns=_is_mesh),
    "IstioOperator": Kind("install.istio.io", IstioOperator, version="v1alpha1", versions=("v1alpha1",)),
    "Namespace": Kind("", kubernetes.Namespace, versions=_CORE, spec=False, namespaced=False),
}

GROUPS = frozenset(kind.group for kind in KINDS.values()) - {"", "apps"}
"""Groups all of whose kinds are known; of the others most kinds are none of ours."""

EXPERIMENTAL = frozenset(
    {"gateway.networking.x-k8s.io", "inference.networking.k8s.io", "inference.networking.x-k8s.io"}
)
"""Groups of the Gateway API and what is built on it, none of whose kinds is read."""

UNREAD = frozenset(
    {
        "Gateway",
        "GatewayClass",
        "ListenerSet",
        "ReferenceGrant",
        "UDPRoute",
    }
)
"""Kinds of Istio's groups and the Gateway API's that have no effect here (gateways) or none yet."""
