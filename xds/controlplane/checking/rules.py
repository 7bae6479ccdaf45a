"""The table: which rules each kind is checked by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..objects import Object
from . import destinations, gateway_routes, patches, pods, policies, processes, providers, routes, services, sidecars
from .finding import Said
from .mesh import Mesh

RULES: dict[str, Callable[[Object[Any], Mesh], Iterator[Said]]] = {
    "VirtualService": routes.virtual_service,
    "HTTPRoute": gateway_routes.route,
    "GRPCRoute": gateway_routes.route,
    "TCPRoute": gateway_routes.route,
    "TLSRoute": gateway_routes.route,
    "BackendTLSPolicy": gateway_routes.backend_tls_policy,
    "DestinationRule": destinations.destination_rule,
    "ServiceEntry": destinations.service_entry,
    "Sidecar": sidecars.sidecar,
    "Service": services.service,
    "Deployment": processes.deployment,
    "EndpointSlice": destinations.endpoint_slice,
    "EnvoyFilter": patches.envoy_filter,
    "PeerAuthentication": policies.peer_authentication,
    "RequestAuthentication": policies.request_authentication,
    "AuthorizationPolicy": policies.authorization_policy,
    "Telemetry": policies.telemetry,
    "Pod": pods.pod,
    "ConfigMap": providers.mesh_map,
    "MeshConfig": providers.mesh_file,
    "IstioOperator": providers.operator,
}
