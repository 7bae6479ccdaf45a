"""Resources for tests of the protocol and of the join: real messages, as few fields as Envoy accepts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from proxyless.xds.model.resource import ResourceType
from proxyless.xds.protocol.events import NamedResource, Rejection, Response
from proxyless.xds.wire.schema import types as pb

LISTENER, ROUTE, CLUSTER = ResourceType.LISTENER, ResourceType.ROUTE, ResourceType.CLUSTER
ENDPOINT, EXTENSION, NAMES = ResourceType.ENDPOINT, ResourceType.EXTENSION, ResourceType.NAMES
SECRET = ResourceType.SECRET

PREFIX = "type.googleapis.com/"
MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "envoy.extensions.filters.http.router.v3.Router"


def cluster(name: str, *, assignment: str = "", type_: str = "EDS", timeout_s: int = 1) -> bytes:
    """A cluster; `timeout_s` tells versions apart, and a negative one is what Envoy refuses."""
    message = pb.cluster_v3.Cluster(name=name)
    message.type = pb.cluster_v3.Cluster.DiscoveryType.Value(type_)
    message.connect_timeout.seconds = timeout_s
    if type_ == "EDS":
        message.eds_cluster_config.eds_config.ads.SetInParent()
        message.eds_cluster_config.service_name = assignment
    else:
        host = "127.0.0.1" if type_ == "STATIC" else "example.com"
        message.load_assignment.MergeFromString(endpoints(name, host))
    return message.SerializeToString()


def endpoints(name: str, *hosts: str, port: int = 80) -> bytes:
    """A load assignment; port 70000 is what Envoy refuses."""
    message = pb.endpoint_v3.ClusterLoadAssignment(cluster_name=name)
    for host in hosts:
        socket = message.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
        socket.address, socket.port_value = host, port
    return message.SerializeToString()


def table(name: str, hosts: Mapping[str, Iterable[str] | Mapping[str, int]], *, size: int = 0) -> bytes:
    """A route table: virtual host -> the clusters of its routes, one after the other, or drawn by weight.

    A cluster without a name is what Envoy refuses; `size` adds bytes to each virtual host.
    """
    message = pb.route_v3.RouteConfiguration(name=name)
    for host, clusters in hosts.items():
        added = message.virtual_hosts.add(name=host, domains=[host])
        if size:
            added.request_headers_to_remove.append("x" * size)
        if isinstance(clusters, Mapping):
            route = added.routes.add()
            route.match.prefix = "/"
            for each, weight in clusters.items():
                route.route.weighted_clusters.clusters.add(name=each).weight.value = weight
            continue
        for each in clusters:
            route = added.routes.add()
            route.match.prefix = f"/{each}"
            if each == "redirect":
                route.redirect.path_redirect = "/"
            else:
                route.route.cluster = each.rstrip("!") if each.endswith("!") else each
                if each.endswith("!"):
                    route.route.timeout.seconds = -1
    return message.SerializeToString()


def listener(name: str, *tables: str, timeout_s: int = 1) -> bytes:
    """A listener with one filter chain for each route table; a negative timeout is what Envoy refuses."""
    message = pb.listener_v3.Listener(name=name)
    socket = message.address.socket_address
    socket.address, socket.port_value = "0.0.0.0", 80
    message.listener_filters_timeout.seconds = timeout_s
    for port, each in enumerate(tables, 1):
        manager = pb.http_connection_manager_v3.HttpConnectionManager(stat_prefix="s")
        manager.rds.route_config_name = each
        manager.rds.config_source.ads.SetInParent()
        router = manager.http_filters.add(name="router")
        router.typed_config.type_url = PREFIX + ROUTER
        chain = message.filter_chains.add()
        chain.filter_chain_match.destination_port.value = port
        packed = chain.filters.add(name="hcm").typed_config
        packed.type_url, packed.value = PREFIX + MANAGER, manager.SerializeToString()
    if not tables:
        message.filter_chains.add()
    return message.SerializeToString()


def name_table(**hosts: str) -> bytes:
    """Hosts and their addresses."""
    message = pb.istio_nds_v1.NameTable()
    for host, address in hosts.items():
        message.table[host].ips.append(address)
    return message.SerializeToString()


def response(
    type_: ResourceType,
    resources: Mapping[str, bytes] | None = None,
    *,
    version: str = "1",
    nonce: str = "n",
    removed: Iterable[str] = (),
    broken: Iterable[Rejection] = (),
    full: bool = True,
) -> Response:
    """A response of these resources by name."""
    return Response(
        type_,
        type_.value,
        version,
        nonce,
        tuple(NamedResource(name, version, raw) for name, raw in (resources or {}).items()),
        tuple(removed),
        tuple(broken),
        full,
    )
