"""Load assignments (envoy.config.endpoint.v3)."""

from __future__ import annotations

from dataclasses import replace
from struct import pack
from typing import Literal

from ...model.endpoint import ClusterLoadAssignment, HealthCheckConfig, HealthStatus, LbEndpoint, LocalityLbEndpoints
from ...model.values import Address
from ..opening import checked
from ..refused import RefusedError
from ..schema import types as pb
from .values import DENOMINATORS, address, locality, metadata, named, resolved_address

HEALTH: tuple[HealthStatus, ...] = ("UNKNOWN", "HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED")

HINT = ". Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'"


def load_assignment(raw: bytes) -> ClusterLoadAssignment:
    """envoy.config.endpoint.v3.ClusterLoadAssignment from its bytes, for EDS."""
    message = pb.endpoint_v3.ClusterLoadAssignment.FromString(raw)
    checked(message)
    for each in message.endpoints:
        if each.HasField("leds_cluster_locality_config") and each.lb_endpoints:
            raise RefusedError(
                f"A ClusterLoadAssignment for cluster {message.cluster_name} cannot include both LEDS (resource: "
                f"{each.leds_cluster_locality_config.leds_collection_name}) and a list of endpoints."
            )
    assignment = inline_assignment(message)
    return replace(assignment, localities=_without_repetitions(assignment.localities))


def _without_repetitions(localities: tuple[LocalityLbEndpoints, ...]) -> tuple[LocalityLbEndpoints, ...]:
    """Of several endpoints with one address EDS keeps the first, whatever its priority."""
    addresses = [endpoint.address for each in localities for endpoint in each.endpoints]
    if len(set(addresses)) == len(addresses):
        return localities
    seen: set[Address] = set()
    kept = []
    for each in localities:
        own = {endpoint.address: endpoint for endpoint in reversed(each.endpoints) if endpoint.address not in seen}
        seen |= own.keys()
        kept.append(replace(each, endpoints=tuple(reversed(own.values()))))
    return tuple(kept)


def inline_assignment(
    message: pb.endpoint_v3.ClusterLoadAssignment, resolver: Literal["none", "dns"] = "none"
) -> ClusterLoadAssignment:
    """The same from a message inside a cluster; `resolver`: whether endpoints may be names."""
    policy = message.policy
    return ClusterLoadAssignment(
        cluster_name=message.cluster_name,
        localities=tuple(_locality_endpoints(each, resolver) for each in message.endpoints),
        overprovisioning_factor=policy.overprovisioning_factor.value or 140,
        weighted_priority_health=policy.weighted_priority_health,
        drop_overload=_drop_overload(policy),
    )


def _drop_overload(policy: pb.endpoint_v3.ClusterLoadAssignment.Policy) -> tuple[tuple[str, float], ...]:
    drops = policy.drop_overloads
    if len(drops) > 1:
        raise RefusedError(f"Cluster drop_overloads config has {len(drops)} categories. Envoy only support one.")
    found = []
    for each in drops:
        numerator = each.drop_percentage.numerator
        denominator = named(DENOMINATORS, each.drop_percentage.denominator)
        if numerator > denominator:
            raise RefusedError(
                f"Cluster drop_overloads config is invalid. drop_ratio={_shortest(numerator / denominator)}(Numerator "
                f"{numerator} / Denominator {denominator}). The valid range is 0~1."
            )
        found.append((each.category, 100 * numerator / denominator))
    return tuple(found)


def _shortest(ratio: float) -> str:
    """As few digits as make the same number of 32 bits."""
    single = pack("f", ratio)
    text = next(f"{ratio:.{digits}e}" for digits in range(10) if pack("f", float(f"{ratio:.{digits}e}")) == single)
    return text if ratio >= 1e7 else f"{float(text):g}"


def _locality_endpoints(
    message: pb.endpoint_v3.LocalityLbEndpoints, resolver: Literal["none", "dns"]
) -> LocalityLbEndpoints:
    # A weight without a locality is nobody's (envoy source: PriorityStateManager::initializePriorityFor).
    # Endpoints by LEDS never come: to Envoy as to us this is a locality without any until they do.
    return LocalityLbEndpoints(
        endpoints=tuple(
            _endpoint(each, resolver)
            for each in message.lb_endpoints
            if resolver == "none" or each.endpoint.HasField("address")
        ),
        locality=locality(message.locality),
        priority=message.priority,
        weight=(
            message.load_balancing_weight.value
            if message.HasField("load_balancing_weight") and message.HasField("locality")
            else None
        ),
    )


def _endpoint(message: pb.endpoint_v3.LbEndpoint, resolver: Literal["none", "dns"]) -> LbEndpoint:
    where = message.endpoint.address
    if resolver == "none":
        found = resolved_address(where, HINT)
        for each in message.endpoint.additional_addresses:
            resolved_address(each.address, HINT)
    elif where.socket_address.resolver_name:
        raise RefusedError("STRICT_DNS clusters must NOT have a custom resolver name set")
    else:
        found = address(where)
    return LbEndpoint(
        address=found,
        weight=message.load_balancing_weight.value or 1,
        health=named(HEALTH, message.health_status),
        metadata=metadata(message.metadata) if message.HasField("metadata") else {},
        hostname=message.endpoint.hostname,
        health_check=(
            _health_check(message.endpoint.health_check_config)
            if message.endpoint.HasField("health_check_config")
            else HealthCheckConfig()
        ),
    )


def _health_check(message: pb.endpoint_v3.Endpoint.HealthCheckConfig) -> HealthCheckConfig:
    host = resolved_address(message.address).host if message.HasField("address") else ""
    port = message.port_value or (resolved_address(message.address).port if message.HasField("address") else 0)
    return HealthCheckConfig(host, port, message.hostname, message.disable_active_health_check)
