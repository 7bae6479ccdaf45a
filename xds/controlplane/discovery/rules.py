"""Resource types: their names, the order of pushes, and which changes concern which type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

_PREFIX = "type.googleapis.com/"


class Key(NamedTuple):
    """What a change is about. Kinds are Istio's, but `ServiceEntry` is any service, `Endpoints` its instances, and
    `DNSName` what a headless service's name stands for."""

    kind: str
    name: str
    namespace: str


SERVICE = "ServiceEntry"
ENDPOINTS = "Endpoints"
DNS_NAME = "DNSName"


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One type of resource. A wildcard type is sent whole whatever names a client asks for."""

    label: str
    url: str
    wildcard: bool
    unaffected_by: frozenset[str]


_SECURITY = frozenset({"AuthorizationPolicy", "RequestAuthentication"})
_WORKLOADS = frozenset({"WorkloadEntry", "WorkloadGroup"})
_EXTENSIONS = frozenset({"WasmPlugin", "TrafficExtension"})

CLUSTER = ResourceType(
    "CDS",
    _PREFIX + "envoy.config.cluster.v3.Cluster",
    True,
    _SECURITY | _WORKLOADS | _EXTENSIONS | {"Telemetry", "ProxyConfig", ENDPOINTS, DNS_NAME},
)
ENDPOINT = ResourceType(
    "EDS",
    _PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment",
    False,
    _SECURITY | _EXTENSIONS | {"WorkloadGroup", "VirtualService", "Telemetry", "ProxyConfig", "Sidecar", DNS_NAME},
)
LISTENER = ResourceType(
    "LDS", _PREFIX + "envoy.config.listener.v3.Listener", True, _WORKLOADS | {"ProxyConfig", ENDPOINTS, DNS_NAME}
)
ROUTE = ResourceType(
    "RDS",
    _PREFIX + "envoy.config.route.v3.RouteConfiguration",
    False,
    _SECURITY | _WORKLOADS | _EXTENSIONS | {"PeerAuthentication", "Telemetry", "ProxyConfig", ENDPOINTS, DNS_NAME},
)
NAMES = ResourceType(
    "NDS",
    _PREFIX + "istio.networking.nds.v1.NameTable",
    True,
    _SECURITY
    | _WORKLOADS
    | _EXTENSIONS
    | {
        "VirtualService",
        "DestinationRule",
        "Telemetry",
        "EnvoyFilter",
        "PeerAuthentication",
        "ProxyConfig",
        ENDPOINTS,
    },
)
EXTENSION = ResourceType(
    "ECDS",
    _PREFIX + "envoy.config.core.v3.TypedExtensionConfig",
    False,
    _SECURITY
    | _WORKLOADS
    | {
        "VirtualService",
        "DestinationRule",
        "Telemetry",
        "PeerAuthentication",
        "Sidecar",
        "ProxyConfig",
        SERVICE,
        ENDPOINTS,
        DNS_NAME,
    },
)

PUSH_ORDER = (CLUSTER, ENDPOINT, LISTENER, ROUTE, NAMES, EXTENSION)
"""Make before break: what is pointed at comes before what points at it."""

TYPES = {each.url: each for each in PUSH_ORDER}

SCOPED = frozenset({SERVICE, ENDPOINTS, "VirtualService", "DestinationRule", "Sidecar", "PeerAuthentication"})
"""Kinds of which a proxy is told only what its namespace sees."""

NAMESPACED = _SECURITY | _EXTENSIONS | {"EnvoyFilter", "Telemetry"}
"""Kinds that concern a proxy only from its own namespace or the root namespace."""

PARTIAL_ENDPOINTS = frozenset({ENDPOINTS, SERVICE, "DestinationRule", "PeerAuthentication"})
"""Changes after which only the assignments that they touch are sent."""

PARTIAL_CLUSTERS = frozenset({SERVICE, "DestinationRule", "VirtualService", "PeerAuthentication", "Sidecar"})
"""Changes after which the delta variant sends only the clusters that they touch."""
