"""What makes a message invalid beyond the types of its fields, by message: `RULES` is the table that `decode` runs.

These are Istio's admission rules. An object that breaks one never reaches istiod, so it does not get into force here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from . import backend_policy as policies
from . import entry_validity as entries
from . import extension_validity as extensions
from . import gateway_validity
from . import header_validity as headers
from . import mesh_validity as meshes
from . import pool_validity as pools
from . import route_validity as routes
from . import rule_validity as rules
from . import security_validity as security
from . import sidecar_validity as sidecars
from .backend_policy import BackendTLSPolicySpec, BackendTLSValidation, SubjectAltName
from .destination_rule import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    ConsistentHashLB,
    DestinationRule,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    OutlierDetection,
    PortTrafficPolicy,
    Subset,
    TrafficPolicy,
    TunnelSettings,
    WarmupConfiguration,
    ZoneAwareLoadBalancerSetting,
)
from .envoy_filter import EnvoyConfigObjectPatch
from .extensions import LuaConfig, PortSelector, TrafficExtension, VmConfig, WasmConfig, WasmPlugin
from .mesh_config import MeshConfig, Network, NetworkGateway, ServiceSettings
from .problems import Problem
from .proxy_config import PrivateKeyProvider, ProxyConfig
from .security import (
    AuthorizationPolicy,
    Condition,
    JWTRule,
    Operation,
    PeerAuthentication,
    RequestAuthentication,
    Rule,
    Source,
)
from .selectors import LabelSelector, PolicyTargetReference
from .service_entry import ReadinessProbe, ServiceEntry, WorkloadEntry, WorkloadGroup
from .sidecar import IstioEgressListener, IstioIngressListener, OutboundTrafficPolicy, Sidecar
from .telemetry import MetricSelector, TagOverride, Telemetry
from .virtual_service import (
    Abort,
    CorsPolicy,
    Delay,
    HeaderOperations,
    HTTPFaultInjection,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRetry,
    HTTPRewrite,
    HTTPRoute,
    TCPRoute,
    TLSRoute,
    VirtualService,
)


def _patch(made: EnvoyConfigObjectPatch) -> Iterator[Problem]:
    if made.apply_to == "INVALID":
        yield ("applyTo",), "is required"
    if made.patch is None:
        yield ("patch",), "is required"
        return
    if made.patch.operation == "INVALID":
        yield ("patch", "operation"), "is required"
    elif made.patch.operation != "REMOVE" and not made.patch.value:
        yield ("patch", "value"), f"is required for operation {made.patch.operation}"


RULES: dict[type, Callable[[Any], Iterator[Problem]]] = {
    VirtualService: routes.virtual_service,
    HTTPRoute: routes.http_route,
    HTTPRedirect: routes.redirect,
    HTTPRewrite: routes.rewrite,
    HTTPRetry: routes.retries,
    HTTPFaultInjection: routes.fault,
    Abort: routes.abort,
    TLSRoute: routes.tls_route,
    TCPRoute: routes.tcp_route,
    ConnectionPoolSettings: pools.connection_pool,
    HeaderOperations: headers.operations,
    HTTPMatchRequest: routes.http_match,
    CorsPolicy: routes.cors,
    Delay: routes.delay,
    TrafficPolicy: rules.traffic_policy,
    OutlierDetection: rules.outlier_detection,
    ConsistentHashLB: rules.consistent_hash,
    LoadBalancerSettings: rules.load_balancer,
    WarmupConfiguration: rules.warmup,
    LocalityLoadBalancerSetting: rules.locality,
    ZoneAwareLoadBalancerSetting: rules.zone_aware,
    ClientTLSSettings: rules.tls,
    PortTrafficPolicy: rules.port_policy,
    TunnelSettings: rules.tunnel,
    Subset: rules.subset,
    DestinationRule: rules.destination_rule,
    ServiceEntry: entries.service_entry,
    WorkloadEntry: entries.workload_entry,
    WorkloadGroup: entries.workload_group,
    ReadinessProbe: entries.probe,
    Sidecar: sidecars.sidecar,
    IstioEgressListener: sidecars.egress,
    IstioIngressListener: sidecars.ingress,
    OutboundTrafficPolicy: sidecars.outbound_policy,
    BackendTLSPolicySpec: policies.policy_spec,
    BackendTLSValidation: policies.validation,
    SubjectAltName: policies.subject_alt_name,
    LabelSelector: security.selector,
    PolicyTargetReference: security.target,
    PeerAuthentication: security.peer_authentication,
    RequestAuthentication: security.request_authentication,
    JWTRule: security.jwt_rule,
    Condition: security.condition,
    Source: security.source,
    Operation: security.operation,
    Rule: security.rule,
    AuthorizationPolicy: security.authorization,
    Telemetry: extensions.telemetry,
    TagOverride: extensions.tag_override,
    MetricSelector: extensions.metric,
    WasmPlugin: extensions.wasm_plugin,
    WasmConfig: extensions.wasm,
    VmConfig: extensions.machine,
    PortSelector: extensions.port,
    LuaConfig: extensions.lua,
    TrafficExtension: extensions.traffic_extension,
    EnvoyConfigObjectPatch: _patch,
    MeshConfig: meshes.mesh_config,
    ServiceSettings: meshes.service_settings,
    ProxyConfig: meshes.proxy_config,
    PrivateKeyProvider: meshes.key_provider,
    Network: meshes.network,
    NetworkGateway: meshes.network_gateway,
    **gateway_validity.RULES,
}
