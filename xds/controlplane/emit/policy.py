"""Which traffic policy holds for a port and a subset: DestinationRule's merging rules."""

from __future__ import annotations

from dataclasses import replace

from ..api.destination_rule import DestinationRule, LoadBalancerSettings, TrafficPolicy
from ..api.mesh_config import DefaultTrafficPolicy

NO_POLICY = TrafficPolicy()


def port_level(policy: TrafficPolicy | None, port: int) -> tuple[TrafficPolicy | None, bool]:
    """The settings for a port, and whether they are the port's own. A port's own settings inherit nothing."""
    if policy is None:
        return None, False
    for own in policy.port_level_settings:
        if own.port is not None and own.port.number == port:
            made = TrafficPolicy(
                load_balancer=own.load_balancer,
                connection_pool=own.connection_pool,
                outlier_detection=own.outlier_detection,
                tls=own.tls,
            )
            return made, True
    return policy, False


def seeded(policy: TrafficPolicy | None, default: DefaultTrafficPolicy) -> TrafficPolicy | None:
    """A port's policy with the mesh's blocks where it has none of its own."""
    held = policy or NO_POLICY
    pool = held.connection_pool or default.connection_pool
    ejection = held.outlier_detection or default.outlier_detection
    if pool is held.connection_pool and ejection is held.outlier_detection:
        return policy
    return replace(held, connection_pool=pool, outlier_detection=ejection, port_level_settings=())


def of_subset(policy: TrafficPolicy | None, subset: TrafficPolicy | None, port: int) -> TrafficPolicy | None:
    """The destination's policy overridden by the subset's, setting by setting."""
    base, _ = port_level(policy, port)
    own, whole = port_level(subset, port)
    if base is None or own is None:
        return own or base
    return replace(
        base,
        connection_pool=own.connection_pool if whole else own.connection_pool or base.connection_pool,
        outlier_detection=own.outlier_detection if whole else own.outlier_detection or base.outlier_detection,
        load_balancer=own.load_balancer if whole else own.load_balancer or base.load_balancer,
        tls=own.tls if whole else own.tls or base.tls,
        tunnel=own.tunnel or base.tunnel,
        proxy_protocol=own.proxy_protocol or base.proxy_protocol,
        retry_budget=own.retry_budget or base.retry_budget,
        port_level_settings=(),
    )


def for_cluster(rule: DestinationRule | None, subset: str, port: int) -> TrafficPolicy | None:
    """The policy that a cluster of that port and subset has."""
    if rule is None:
        return None
    own = next((item.traffic_policy for item in rule.subsets if item.name == subset), None)
    return of_subset(rule.traffic_policy, own, port)


def load_balancer(policy: TrafficPolicy | None) -> LoadBalancerSettings | None:
    return policy.load_balancer if policy else None


def passes_through(policy: TrafficPolicy | None) -> bool:
    """Whether calls go to the address that was dialled."""
    balancer = load_balancer(policy)
    return balancer is not None and balancer.simple == "PASSTHROUGH"
