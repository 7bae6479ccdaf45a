"""What makes a message invalid beyond the types of its fields, by message: `RULES` is the table that `decode` runs.

These are Istio's admission rules. An object that breaks one never reaches istiod, so it does not get into force here.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator
from typing import Any

from . import entry_validity as entries
from . import gateway_validity
from . import header_validity as headers
from . import mesh_validity as meshes
from . import pool_validity as pools
from . import route_validity as routes
from . import rule_validity as rules
from . import sidecar_validity as sidecars
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
from .mesh_config import MeshConfig, Network, NetworkGateway, ServiceSettings
from .problems import Problem
from .proxy_config import PrivateKeyProvider, ProxyConfig
from .security import AuthorizationPolicy, Condition, JWTRule, Operation, PeerAuthentication, Rule, Source
from .service_entry import ReadinessProbe, ServiceEntry, WorkloadEntry, WorkloadGroup
from .sidecar import IstioEgressListener, IstioIngressListener, OutboundTrafficPolicy, Sidecar
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


def _peer_authentication(made: PeerAuthentication) -> Iterator[Problem]:
    if made.port_level_mtls and not (made.selector and made.selector.match_labels):
        yield ("portLevelMtls",), "needs a selector"


def _jwt_rule(made: JWTRule) -> Iterator[Problem]:
    if not made.issuer:
        yield ("issuer",), "is required"
    if made.jwks and made.jwks_uri:
        yield ("jwksUri",), "cannot be set together with jwks"
    if made.jwks and not _has_keys(made.jwks):
        yield ("jwks",), "is no JSON Web Key Set with a key, and Envoy refuses the listener that holds it"


def _has_keys(jwks: str) -> bool:
    try:
        keys = json.loads(jwks)["keys"]
    except (ValueError, TypeError, KeyError):
        return False
    return isinstance(keys, list) and bool(keys)


_KEYS = frozenset(
    {
        "source.ip",
        "remote.ip",
        "source.namespace",
        "source.trustDomain",
        "source.serviceAccount",
        "source.principal",
        "request.auth.principal",
        "request.auth.audiences",
        "request.auth.presenter",
        "destination.ip",
        "destination.port",
        "connection.sni",
    }
)
_BRACKETED = ("request.headers[", "request.auth.claims[", "experimental.envoy.filters.")


def _condition(made: Condition) -> Iterator[Problem]:
    bracketed = made.key.startswith(_BRACKETED) and made.key.endswith("]")
    if made.key and made.key not in _KEYS and not bracketed:
        yield ("key",), f'"{made.key}" is no attribute'
    if not made.values and not made.not_values:
        yield (), "must have one of values, notValues"


def _some(made: Source | Operation, fields: tuple[str, ...]) -> Iterator[Problem]:
    if not any(getattr(made, name) for name in fields):
        yield (), "must say something: an empty one is refused"


def _source(made: Source) -> Iterator[Problem]:
    yield from _some(made, Source.__slots__)
    for name, key in (
        ("ip_blocks", "ipBlocks"),
        ("not_ip_blocks", "notIpBlocks"),
        ("remote_ip_blocks", "remoteIpBlocks"),
        ("not_remote_ip_blocks", "notRemoteIpBlocks"),
    ):
        for index, block in enumerate(getattr(made, name)):
            try:
                ipaddress.ip_interface(block)
            except ValueError:
                yield (key, index), f"{block} is neither an IP address nor a range"


def _operation(made: Operation) -> Iterator[Problem]:
    yield from _some(made, Operation.__slots__)
    for name, key in (("ports", "ports"), ("not_ports", "notPorts")):
        for index, port in enumerate(getattr(made, name)):
            if not port.isdecimal() or int(port) > 65535:
                yield (key, index), f"{port} is no port"


def _rule(made: Rule) -> Iterator[Problem]:
    for key, parts, name in (("from", made.from_, "source"), ("to", made.to, "operation")):
        for index, part in enumerate(parts):
            if getattr(part, name) is None:
                yield (key, index, name), "is required"


def _authorization(made: AuthorizationPolicy) -> Iterator[Problem]:
    if made.action == "CUSTOM" and made.provider is None:
        yield ("provider",), "is required for action CUSTOM"
    if made.action != "CUSTOM" and made.provider is not None:
        yield ("provider",), "is for action CUSTOM only"
    if made.action in ("DENY", "CUSTOM") and not made.rules:
        yield ("rules",), f"is required for action {made.action}, which does nothing without"


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
    PeerAuthentication: _peer_authentication,
    JWTRule: _jwt_rule,
    Condition: _condition,
    Source: _source,
    Operation: _operation,
    Rule: _rule,
    AuthorizationPolicy: _authorization,
    EnvoyConfigObjectPatch: _patch,
    MeshConfig: meshes.mesh_config,
    ServiceSettings: meshes.service_settings,
    ProxyConfig: meshes.proxy_config,
    PrivateKeyProvider: meshes.key_provider,
    Network: meshes.network,
    NetworkGateway: meshes.network_gateway,
    **gateway_validity.RULES,
}
