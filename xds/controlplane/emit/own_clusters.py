"""Clusters that every proxy has beside those of services: to its own application, through, and nowhere."""

from __future__ import annotations

from ...wire.schema.types import cluster_v3, core_v3, upstreams_http_v3
from ..api.destination_rule import TrafficPolicy
from ..hosts import inbound
from ..mesh import MeshConfig
from ..registry.proxy import Proxy, Target
from . import cluster_policy, filters, policy
from .clusters import HTTP_OPTIONS, named
from .messages import ISTIO, config_path, duration, pack, value
from .patch_clusters import added_clusters, patch_cluster
from .route_tables import PASSTHROUGH
from .tcp_proxy import BLACK_HOLE
from .view import View

Cluster = cluster_v3.Cluster
INBOUND_PASSTHROUGH = "InboundPassthroughCluster"

# As far away as a duration reaches: the host of an inbound cluster is always the same.
_NEVER_S = 9223372035
_IDLE_S = 300.0
# Addresses that iptables knows: connections from there are not caught again.
_SOURCES = {"IPv4": "127.0.0.6", "IPv6": "::6"}


def own_clusters(view: View) -> list[Cluster]:
    """All of them, as EnvoyFilters leave them, with those that EnvoyFilters add."""
    patches = view.patches.get("CLUSTER", ())
    outbound = [black_hole(view.mesh), passthrough(view.mesh)]
    made = [patch_cluster(cluster, patches, "SIDECAR_OUTBOUND") for cluster in outbound]
    made += added_clusters(patches, "SIDECAR_OUTBOUND")
    for cluster, hosts in inbound_clusters(view):
        made.append(patch_cluster(cluster, patches, "SIDECAR_INBOUND", hosts))
    made.append(patch_cluster(inbound_passthrough(view.proxy, view.mesh), patches, "SIDECAR_INBOUND"))
    made += added_clusters(patches, "SIDECAR_INBOUND")
    return [cluster for cluster in made if cluster is not None]


def black_hole(mesh: MeshConfig) -> Cluster:
    return Cluster(
        name=BLACK_HOLE,
        type=Cluster.STATIC,
        connect_timeout=duration(mesh.connect_timeout),
        alt_stat_name=f"{BLACK_HOLE};",
    )


def passthrough(mesh: MeshConfig) -> Cluster:
    """To wherever the connection was meant to go."""
    options = upstreams_http_v3.HttpProtocolOptions()
    options.common_http_protocol_options.idle_timeout.CopyFrom(duration(_IDLE_S))
    options.use_downstream_protocol_config.http_protocol_options.SetInParent()
    options.use_downstream_protocol_config.http2_protocol_options.SetInParent()
    made = Cluster(
        name=PASSTHROUGH,
        type=Cluster.ORIGINAL_DST,
        connect_timeout=duration(mesh.connect_timeout),
        lb_policy=Cluster.CLUSTER_PROVIDED,
        circuit_breakers=cluster_policy.unlimited(),
        alt_stat_name=f"{PASSTHROUGH};",
        filters=[filters.cluster_exchange()],
    )
    made.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(pack(options))
    return made


def inbound_passthrough(proxy: Proxy, mesh: MeshConfig) -> Cluster:
    """To ports that no service declares. Its statistics' name is the outbound one's, as in istiod."""
    made = passthrough(mesh)
    made.name = INBOUND_PASSTHROUGH
    del made.filters[:]
    made.upstream_bind_config.CopyFrom(_source(proxy))
    if proxy.ip_mode == "Dual":
        made.upstream_bind_config.extra_source_addresses.add().address.CopyFrom(_address(_SOURCES["IPv6"]))
    return made


def inbound_clusters(view: View) -> list[tuple[Cluster, list[str]]]:
    """For each port that a service sends to, a cluster, and the hosts of those services."""
    if view.proxy.interception == "NONE":
        return []
    by_port: dict[int, list[Target]] = {}
    for target in view.proxy.targets:
        by_port.setdefault(target.target, []).append(target)
    return [
        (_inbound(port, targets, view), [target.service.hostname for target in targets])
        for port, targets in by_port.items()
    ]


def _inbound(port: int, targets: list[Target], view: View) -> Cluster:
    """Of several services on a port the first is what counts; metadata names them all."""
    service, service_port = targets[0].service, targets[0].port
    name = inbound(port)
    made = Cluster(
        name=name, type=Cluster.ORIGINAL_DST, alt_stat_name=f"{name};", upstream_bind_config=_source(view.proxy)
    )
    made.cleanup_interval.seconds = _NEVER_S
    made.common_lb_config.SetInParent()
    services = list(dict.fromkeys(target.service for target in targets))
    fields = made.metadata.filter_metadata[ISTIO].fields
    fields["services"].CopyFrom(value([named(item) for item in services]))
    rule = view.scope.rule(view.proxy, service.hostname, outbound=False)
    traffic: TrafficPolicy | None = None
    if rule is not None and rule.spec.traffic_policy is not None:
        traffic, _ = policy.port_level(rule.spec.traffic_policy, service_port.number)
        fields["config"].string_value = config_path(rule.source)
    target = cluster_policy.Target(view.mesh, service_port, service, outbound=False)
    options = cluster_policy.apply(made, traffic, target)
    if options is not None:
        made.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(pack(options))
    return made


def _source(proxy: Proxy) -> core_v3.BindConfig:
    return core_v3.BindConfig(source_address=_address(_SOURCES["IPv6" if proxy.ip_mode == "IPv6" else "IPv4"]))


def _address(address: str) -> core_v3.SocketAddress:
    return core_v3.SocketAddress(address=address, port_value=0)
