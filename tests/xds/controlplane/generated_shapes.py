"""What random messages must say and must not say together, so that most of them are valid."""

from __future__ import annotations

from typing import Any

from proxyless.xds.controlplane.api.destination_rule import DestinationRule
from proxyless.xds.controlplane.api.extension_providers import KINDS as PROVIDERS
from proxyless.xds.controlplane.api.extension_providers import ExtensionProvider
from proxyless.xds.controlplane.api.extensions import TrafficExtension, WasmPlugin
from proxyless.xds.controlplane.api.gateway_api import (
    ConnectionRouteRule,
    GRPCRouteFilter,
    GRPCRouteSpec,
    HTTPPathModifier,
    HTTPRouteFilter,
    HTTPRouteSpec,
    TCPRouteSpec,
    TLSRouteSpec,
)
from proxyless.xds.controlplane.api.mesh_config import (
    IstioOperator,
    MeshConfig,
    MeshData,
    MeshMap,
    NetworkEndpoints,
    NetworkGateway,
)
from proxyless.xds.controlplane.api.proxy_config import ProxyConfig
from proxyless.xds.controlplane.api.security import (
    AuthorizationPolicy,
    JWTRule,
    PeerAuthentication,
    RequestAuthentication,
)
from proxyless.xds.controlplane.api.service_entry import ReadinessProbe, ServiceEntry, WorkloadEntry, WorkloadGroup
from proxyless.xds.controlplane.api.sidecar import IstioIngressListener, Sidecar
from proxyless.xds.controlplane.api.telemetry import Telemetry
from proxyless.xds.controlplane.api.virtual_service import (
    HTTPRoute,
    TCPRoute,
    TLSMatchAttributes,
    TLSRoute,
    VirtualService,
)

# What an object must say at the least: one of these. And what must not stand together, beside what the kinds say.
ALWAYS: dict[Any, list[tuple[str, ...]]] = {
    VirtualService: [("hosts", "http"), ("hosts", "http"), ("hosts", "tcp"), ("hosts", "tls"), ("http",)],
    HTTPRoute: [("route",), ("route",), ("redirect",), ("direct_response",), ("delegate",)],
    TCPRoute: [("route",)],
    TLSRoute: [("route",)],
    TLSMatchAttributes: [("sni_hosts",)],
    WorkloadEntry: [("address",)],
    WorkloadGroup: [("template",)],
    ReadinessProbe: [("http_get",), ("tcp_socket",), ("exec",), ("grpc",)],
    Sidecar: [
        ("egress",),
        ("ingress",),
        ("outbound_traffic_policy",),
        ("egress", "ingress"),
        ("egress", "workload_selector"),
    ],
    IstioIngressListener: [("port", "default_endpoint"), ("port",)],
    ServiceEntry: [("resolution", "ports"), ("resolution", "ports", "endpoints"), ("ports", "addresses", "location")],
    ConnectionRouteRule: [("backend_refs",)],
    HTTPRouteSpec: [("parent_refs", "rules")],
    GRPCRouteSpec: [("parent_refs", "rules")],
    TCPRouteSpec: [("parent_refs", "rules")],
    TLSRouteSpec: [("parent_refs", "rules")],
    TrafficExtension: [("wasm",), ("lua",)],
    NetworkEndpoints: [("from_cidr",), ("from_registry",)],
    NetworkGateway: [("registry_service_name", "port"), ("address", "port")],
    MeshMap: [("data",)],
    MeshData: [("mesh",), ("mesh", "mesh_networks")],
    IstioOperator: [("mesh_config",)],
    MeshConfig: [
        ("extension_providers", "default_providers"),
        ("default_config",),
        ("default_config", "outbound_traffic_policy"),
        ("default_traffic_policy", "access_log_file"),
        ("default_http_retry_policy", "mesh_mtls"),
    ],
    ExtensionProvider: [("name", kind) for kind in PROVIDERS],
    RequestAuthentication: [("jwt_rules",)],
    JWTRule: [("issuer", "jwks")],
    AuthorizationPolicy: [("rules",), ("action", "rules"), ("action", "rules", "provider")],
    PeerAuthentication: [("mtls",), ("selector", "mtls", "port_level_mtls")],
    Telemetry: [("access_logging",), ("metrics",), ("tracing",)],
    DestinationRule: [("traffic_policy",), ("subsets",)],
}
_ONE_TARGET: list[tuple[str, ...]] = [("selector", "target_ref", "target_refs")]
APART: dict[Any, list[tuple[str, ...]]] = {
    AuthorizationPolicy: _ONE_TARGET,
    RequestAuthentication: _ONE_TARGET,
    Telemetry: _ONE_TARGET,
    WasmPlugin: _ONE_TARGET,
    TrafficExtension: _ONE_TARGET,
    VirtualService: [("http", "tls")],
    HTTPRoute: [("route", "redirect", "direct_response", "delegate")],
    ServiceEntry: [("endpoints", "workload_selector")],
}

KINDS_OF_FILTERS = {
    HTTPRouteFilter: {
        "RequestHeaderModifier": "requestHeaderModifier",
        "ResponseHeaderModifier": "responseHeaderModifier",
        "RequestMirror": "requestMirror",
        "RequestRedirect": "requestRedirect",
        "URLRewrite": "urlRewrite",
        "ExtensionRef": "extensionRef",
        "CORS": "cors",
        "ExternalAuth": "externalAuth",
    },
    GRPCRouteFilter: {
        "RequestHeaderModifier": "requestHeaderModifier",
        "ResponseHeaderModifier": "responseHeaderModifier",
        "RequestMirror": "requestMirror",
        "ExtensionRef": "extensionRef",
    },
    HTTPPathModifier: {"ReplaceFullPath": "replaceFullPath", "ReplacePrefixMatch": "replacePrefixMatch"},
}
"""Messages whose `type` says which field they have."""
MOST = {MeshConfig: 12, ProxyConfig: 8, HTTPRoute: 6}
"""How many optional fields are set at most; of others it is 4: an object that says everything contradicts itself."""
