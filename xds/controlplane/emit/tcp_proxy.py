"""Network filters that pass bytes on: the TCP proxy, and what goes before it for one protocol."""

from __future__ import annotations

from collections.abc import Sequence

from ...wire.schema.types import listener_v3, mongo_proxy_v3, tcp_proxy_v3, type_v3
from ..api.destination_rule import DestinationRule, TCPSettings, TrafficPolicy
from ..api.virtual_service import RouteDestination
from ..hosts import bracketed, outbound
from ..registry.extensions import Side
from ..registry.protocols import Protocol
from ..registry.virtual_services import Routing
from . import stat_names
from .messages import duration, pack
from .routes import UNKNOWN
from .view import View

Filter = listener_v3.Filter
TcpProxy = tcp_proxy_v3.TcpProxy
TCP_PROXY = "envoy.filters.network.tcp_proxy"
BLACK_HOLE = "BlackHoleCluster"


def plain(cluster: str) -> Filter:
    """Everything to one cluster, unlogged."""
    return Filter(name=TCP_PROXY, typed_config=pack(TcpProxy(stat_prefix=cluster, cluster=cluster)))


def to_cluster(cluster: str, view: View, side: Side) -> Filter:
    made = TcpProxy(stat_prefix=cluster, cluster=cluster)
    return finished(made, view, side)


def finished(made: TcpProxy, view: View, side: Side) -> Filter:
    """The proxy's own idle timeout, where nothing nearer says one, and its logs."""
    if view.idle_timeout_s is not None and not made.HasField("idle_timeout"):
        made.idle_timeout.CopyFrom(duration(view.idle_timeout_s))
    made.access_log.extend(view.access_logs(side, "TCP"))
    return Filter(name=TCP_PROXY, typed_config=pack(made))


def guarded(
    filters: Sequence[Filter], view: View, side: Side, port: int, *, enforced: bool = False
) -> tuple[Filter, ...]:
    """What stands before the filters of a chain: policies where they are enforced, extensions, and what counts."""
    inserted = view.network_extensions(side, port)
    return (
        *(view.custom_tcp if enforced else ()),
        *inserted.get("AUTHN", ()),
        *inserted.get("AUTHZ", ()),
        *(view.tcp_rules if enforced else ()),
        *inserted.get("STATS", ()),
        *inserted.get("UNSPECIFIED", ()),
        *view.statistics(side).tcp,
        *filters,
    )


def of_protocol(cluster: str, protocol: Protocol, view: View, prefix: str = "") -> list[Filter]:
    """The filters of an inbound port, to the application."""
    made = TcpProxy(stat_prefix=prefix or cluster, cluster=cluster)
    return [*_spoken(protocol, made.stat_prefix), finished(made, view, "SERVER")]


def to_service(
    cluster: str, protocol: Protocol, rule: DestinationRule | None, subset: str, view: View, prefix: str = ""
) -> list[Filter]:
    """The filters of a chain that serves one service, as its DestinationRule wants connections."""
    made = TcpProxy(stat_prefix=prefix or cluster, cluster=cluster)
    _govern(made, rule, subset)
    return [*_spoken(protocol, made.stat_prefix), finished(made, view, "CLIENT")]


def to_routes(
    routes: Sequence[RouteDestination], routing: Routing, protocol: Protocol, port: int, view: View
) -> list[Filter]:
    """The filters of a VirtualService's tcp or tls route; the first destination's rule governs all."""
    service = view.scope.by_host.get(routes[0].destination.host)
    found = view.scope.rule(view.proxy, service.hostname) if service is not None else None
    rule = found.spec if found else None
    if len(routes) == 1:
        subset = routes[0].destination.subset
        pattern, prefix = view.mesh.outbound_cluster_stat_name, ""
        if pattern and service is not None:
            called = service.port(port)
            prefix = stat_names.outbound(pattern, service, port, called.name if called else "", subset)
        return to_service(_cluster(routes[0], port, view), protocol, rule, subset, view, prefix)
    prefix = f"{routing.name}.{routing.namespace}"
    made = TcpProxy(stat_prefix=prefix)
    made.weighted_clusters.SetInParent()
    for route in routes:
        if route.weight > 0:
            made.weighted_clusters.clusters.add(name=_cluster(route, port, view), weight=route.weight)
    _govern(made, rule, "")
    return [*_spoken(protocol, prefix), finished(made, view, "CLIENT")]


def _cluster(route: RouteDestination, port: int, view: View) -> str:
    destination = route.destination
    if not destination.host:
        return UNKNOWN
    service = view.scope.by_host.get(destination.host)
    host = service.external_name if service is not None and service.external_name else destination.host
    if destination.port is not None:
        port = destination.port.number
    elif service is not None and len(service.ports) == 1:
        port = service.ports[0].number
    return outbound(host, port, destination.subset)


def _govern(made: TcpProxy, rule: DestinationRule | None, subset: str) -> None:
    if rule is None:
        return
    policy = rule.traffic_policy or TrafficPolicy()
    pool = policy.connection_pool.tcp if policy.connection_pool else None
    settings = pool or TCPSettings()
    if settings.idle_timeout is not None:
        made.idle_timeout.CopyFrom(duration(settings.idle_timeout))
    if settings.max_connection_duration is not None:
        made.max_downstream_connection_duration.CopyFrom(duration(settings.max_connection_duration))
    own = next((item.traffic_policy for item in rule.subsets if item.name == subset), None) or TrafficPolicy()
    if _by_source(own if own.load_balancer is not None else policy):
        made.hash_policy.append(type_v3.HashPolicy(source_ip=type_v3.HashPolicy.SourceIp()))
    tunnel = own.tunnel if subset else policy.tunnel
    if tunnel is not None:
        made.tunneling_config.hostname = f"{bracketed(tunnel.target_host)}:{tunnel.target_port}"
        made.tunneling_config.use_post = tunnel.protocol == "POST"


def _by_source(policy: TrafficPolicy) -> bool:
    balancer = policy.load_balancer
    consistent = balancer.consistent_hash if balancer else None
    return bool(consistent and consistent.use_source_ip)


def _spoken(protocol: Protocol, prefix: str) -> list[Filter]:
    """Mongo's filter reads along; those of Redis and MySQL are off in istiod."""
    if protocol != "Mongo":
        return []
    config = mongo_proxy_v3.MongoProxy(stat_prefix=prefix)
    return [Filter(name="envoy.filters.network.mongo_proxy", typed_config=pack(config))]
