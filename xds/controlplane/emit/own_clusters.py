"""Clusters that every proxy has beside those of services: to its own application, through, and nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...wire.schema.types import cluster_v3, core_v3, upstreams_http_v3
from ..api.destination_rule import ConnectionPoolSettings, TrafficPolicy
from ..api.sidecar import IstioIngressListener
from ..hosts import inbound
from ..mesh import MeshConfig
from ..registry import protocols
from ..registry.proxy import Proxy
from ..registry.services import Port, Service
from ..registry.sidecars import SidecarObject
from ..registry.targets import Target
from . import cluster_policy, cluster_tls, dynamic_dns, filters, policy, stat_names
from .cluster_target import Target as ClusterTarget
from .clusters import HTTP_OPTIONS, named
from .messages import ISTIO, UNIX, config_path, duration, pack, socket_address, value
from .patch_clusters import added_clusters, patch_cluster
from .route_tables import PASSTHROUGH
from .tcp_proxy import BLACK_HOLE
from .tls import EXTERNAL_SECRETS
from .view import View

Cluster = cluster_v3.Cluster
INBOUND_PASSTHROUGH = "InboundPassthroughCluster"

# As far away as a duration reaches: the host of an inbound cluster is always the same.
_NEVER_S = 9223372035
_IDLE_S = 300.0
# Addresses that iptables knows: connections from there are not caught again.
_SOURCES = {"IPv4": "127.0.0.6", "IPv6": "::6"}
_SECRETS_SOCKET = "./var/run/secrets/credential-uds/socket"
_LOOPBACK = ("127.0.0.1", "::1")


def own_clusters(view: View) -> list[Cluster]:
    """All of them, as EnvoyFilters leave them, with those that EnvoyFilters add."""
    patches = view.patches.get("CLUSTER", ())
    outbound = [black_hole(view.mesh), passthrough(view.mesh, keep_case=view.proxy.keeps_case)]
    if view.scope.outbound_policy.mode == dynamic_dns.ANY_MODE:
        outbound.append(_resolved(view))
    made = [patch_cluster(cluster, patches, "SIDECAR_OUTBOUND") for cluster in outbound]
    made += added_clusters(patches, "SIDECAR_OUTBOUND")
    for cluster, hosts in inbound_clusters(view):
        made.append(patch_cluster(cluster, patches, "SIDECAR_INBOUND", hosts))
    made.append(patch_cluster(inbound_passthrough(view.proxy, view.mesh), patches, "SIDECAR_INBOUND"))
    made += added_clusters(patches, "SIDECAR_INBOUND")
    if view.certificates.named_apart:
        made.append(_secrets(view.mesh))
    first: dict[str, Cluster] = {}
    for each in made:
        if each is not None:
            first.setdefault(each.name, each)
    return list(first.values())


def _secrets(mesh: MeshConfig) -> Cluster:
    """The server of secrets beside the proxy, for those that rules call `sds://`."""
    made = Cluster(
        name=EXTERNAL_SECRETS,
        type=Cluster.STATIC,
        connect_timeout=duration(mesh.connect_timeout),
        alt_stat_name=f"{EXTERNAL_SECRETS};",
    )
    made.load_assignment.cluster_name = EXTERNAL_SECRETS
    endpoint = made.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    endpoint.address.CopyFrom(socket_address(_SECRETS_SOCKET, 0))
    options = upstreams_http_v3.HttpProtocolOptions()
    options.explicit_http_config.http2_protocol_options.SetInParent()
    made.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(pack(options))
    return made


def black_hole(mesh: MeshConfig) -> Cluster:
    return Cluster(
        name=BLACK_HOLE,
        type=Cluster.STATIC,
        connect_timeout=duration(mesh.connect_timeout),
        alt_stat_name=f"{BLACK_HOLE};",
    )


def _resolved(view: View) -> Cluster:
    """To what the names of hosts that nobody knows resolve to, as MeshConfig says in TLS."""
    said = view.mesh.outbound_traffic_policy.tls
    plain = said is None or said.mode == "DISABLE"
    made = dynamic_dns.forwarding(dynamic_dns.ANY_CLUSTER, dynamic_dns.cache_of_any(view.proxy), insecure=plain)
    cluster_policy.limited(made, view.mesh, ConnectionPoolSettings())
    encrypted = cluster_tls.encrypt_any(made, said, view.mesh, view.certificates)
    options = encrypted or _as_called(keep_case=view.proxy.keeps_case)
    made.filters.append(filters.cluster_exchange())
    made.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(pack(options))
    return made


def passthrough(mesh: MeshConfig, *, keep_case: bool = False) -> Cluster:
    """To wherever the connection was meant to go."""
    made = Cluster(
        name=PASSTHROUGH,
        type=Cluster.ORIGINAL_DST,
        lb_policy=Cluster.CLUSTER_PROVIDED,
        alt_stat_name=f"{PASSTHROUGH};",
        filters=[filters.cluster_exchange()],
    )
    pool = mesh.default_traffic_policy.connection_pool or ConnectionPoolSettings()
    cluster_policy.limited(made, mesh, pool)
    made.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(pack(_as_called(keep_case=keep_case)))
    return made


def _as_called(*, keep_case: bool) -> upstreams_http_v3.HttpProtocolOptions:
    """The caller's protocol, on connections that are not kept for long."""
    options = upstreams_http_v3.HttpProtocolOptions()
    options.common_http_protocol_options.idle_timeout.CopyFrom(duration(_IDLE_S))
    options.use_downstream_protocol_config.http_protocol_options.SetInParent()
    if keep_case:
        http1 = options.use_downstream_protocol_config.http_protocol_options
        http1.header_key_format.CopyFrom(filters.preserve_case())
    options.use_downstream_protocol_config.http2_protocol_options.SetInParent()
    return options


def inbound_passthrough(proxy: Proxy, mesh: MeshConfig) -> Cluster:
    """To ports that no service declares. Its statistics' name is the outbound one's, as in istiod."""
    made = passthrough(mesh, keep_case=proxy.keeps_case)
    made.name = INBOUND_PASSTHROUGH
    del made.filters[:]
    made.upstream_bind_config.CopyFrom(_source(proxy))
    if proxy.ip_mode == "Dual":
        made.upstream_bind_config.extra_source_addresses.add().address.CopyFrom(_address(_SOURCES["IPv6"]))
    return made


def inbound_clusters(view: View) -> list[tuple[Cluster, list[str]]]:
    """For each port of a Sidecar, else for each that a service sends to, a cluster, and the hosts of those services."""
    sidecar = view.scope.sidecar
    if sidecar is not None and view.scope.ingress:
        return [_of_ingress(sidecar, listener, view) for listener in view.scope.ingress]
    if view.proxy.interception == "NONE":
        return []
    by_port: dict[int, list[Target]] = {}
    for target in view.proxy.targets:
        by_port.setdefault(target.target, []).append(target)
    local = view.mesh.inbound_traffic_policy.mode == "LOCALHOST"
    address = view.proxy.localhosts[0] if local else ""
    return [
        (_inbound(port, targets, address, view), [target.service.hostname for target in targets])
        for port, targets in by_port.items()
    ]


def _of_ingress(sidecar: SidecarObject, listener: IstioIngressListener, view: View) -> tuple[Cluster, list[str]]:
    """A Sidecar's port: to where it says, in the name of the service that has that port, else in the Sidecar's."""
    written, name, namespace = listener.port, view.scope.name, view.scope.namespace
    service = next((t.service for t in view.proxy.targets if t.target == written.number), None) or Service(
        hostname=f"{name}.{namespace}",
        name=name,
        namespace=namespace,
        registry="External",
        ports=(),
        resolution="ClientSideLB",
        source=sidecar,
        external=True,
    )
    address, target = _endpoint(listener.default_endpoint, view.proxy)
    port = Port(written.name, written.number, protocols.parse(written.protocol))
    return _inbound(written.number, [Target(service, port, target)], address, view), [service.hostname]


def _endpoint(written: str, proxy: Proxy) -> tuple[str, int]:
    """Address and port of a `defaultEndpoint`; no address means where the connection was meant to go."""
    if written.startswith(UNIX):
        return written, 0
    host, _, number = written.rpartition(":")
    if not number.isdecimal():
        return "", 0
    addresses = proxy.node.addresses
    match host:
        case "0.0.0.0":  # the Pod's own
            address = next((each for each in addresses if ":" not in each), "127.0.0.1")
        case "[::]":
            address = next((each for each in addresses if ":" in each), "::1")
        case "127.0.0.1":
            address = proxy.localhosts[0]
        case "[::1]":
            address = proxy.localhosts[-1]
        case _:
            address = ""
    return address, int(number)


def _inbound(port: int, targets: Sequence[Target], address: str, view: View) -> Cluster:
    """Of several services on a port the first is what counts; metadata names them all."""
    service, service_port = targets[0].service, targets[0].port
    name = inbound(port)
    pattern = view.mesh.inbound_cluster_stat_name
    statistics = stat_names.of_port(pattern, service, service_port, target=port) if pattern else name
    made = Cluster(name=name, type=Cluster.STATIC if address else Cluster.ORIGINAL_DST, alt_stat_name=f"{statistics};")
    if address:
        endpoint = made.load_assignment.endpoints.add().lb_endpoints.add().endpoint
        endpoint.address.CopyFrom(socket_address(address, targets[0].target))
        made.load_assignment.cluster_name = name
    else:
        made.cleanup_interval.seconds = _NEVER_S
    if address not in _LOOPBACK:
        made.upstream_bind_config.CopyFrom(_source(view.proxy))
    made.common_lb_config.SetInParent()
    if not service.external:
        same = (t.service for t in targets if t.port.number == service_port.number)
        listed = value([named(each) for each in {each.hostname: each for each in same}.values()])
        made.metadata.filter_metadata[ISTIO].fields["services"].CopyFrom(listed)
    rule = view.scope.rule(view.proxy, service.hostname, outbound=False)
    traffic: TrafficPolicy | None = None
    if rule is not None and rule.spec.traffic_policy is not None:
        traffic, _ = policy.port_level(rule.spec.traffic_policy, service_port.number)
        if not service.external:
            made.metadata.filter_metadata[ISTIO].fields["config"].string_value = config_path(rule.source)
    traffic = policy.seeded(traffic, view.mesh.default_traffic_policy)
    pool = view.scope.connection_pool(port)
    if pool is not None:
        traffic = replace(traffic or TrafficPolicy(), connection_pool=pool)
    target = ClusterTarget(view.mesh, service_port, service, outbound=False, keep_case=view.proxy.keeps_case)
    options = cluster_policy.apply(made, traffic, target)
    if options is not None:
        made.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(pack(options))
    return made


def _source(proxy: Proxy) -> core_v3.BindConfig:
    return core_v3.BindConfig(source_address=_address(_SOURCES["IPv6" if proxy.ip_mode == "IPv6" else "IPv4"]))


def _address(address: str) -> core_v3.SocketAddress:
    return core_v3.SocketAddress(address=address, port_value=0)
