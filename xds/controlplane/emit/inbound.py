"""Inbound listeners: `virtualInbound`, with chains for each port that a service sends to, and for all others.

A port has a chain for each way in which it may be called: with or without mTLS as PeerAuthentication says, as HTTP or
as bytes as the service port declares. The chains without a port carry the same policies and go to the passthrough
cluster, so a port that no service declares is not open either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...wire.schema.types import core_v3, listener_v3, route_v3, type_v3
from ..hosts import inbound
from ..mesh import MeshConfig
from ..registry import protocols
from ..registry.authn import Mode
from ..registry.protocols import Protocol
from ..registry.services import Service
from . import extensions, filters, retry, stat_names, tcp_proxy, tls
from .chains import RAW_BUFFER, SNIFFED_HTTP
from .http_manager import Served, connection_manager
from .messages import balance, config_metadata, duration, flag, socket_address, u32
from .own_clusters import INBOUND_PASSTHROUGH
from .patch_listeners import patch_listeners
from .patch_routes import patch_table
from .route_match import route_match
from .view import View

Listener = listener_v3.Listener
FilterChain = listener_v3.FilterChain
Predicate = listener_v3.ListenerFilterChainMatchPredicate

VIRTUAL_INBOUND = "virtualInbound"
INBOUND = core_v3.TrafficDirection.Value("INBOUND")
_MESH_HTTP = ("istio-http/1.0", "istio-http/1.1", "istio-h2")
_MESH_TCP = ("istio-peer-exchange", "istio")
_MESH_ALL = ("istio", "istio-peer-exchange", *_MESH_HTTP)
_TLS = "tls"

Shape = Literal["HTTP", "TCP", "Auto"]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to be called."""

    http: bool
    transport: str
    protocols: tuple[str, ...] = ()
    terminates: bool = False  # mTLS ends here


# What a chain takes: by what the port carries and which mTLS mode holds. The order is the listener's.
WAYS: dict[tuple[Shape, Mode], tuple[Way, ...]] = {
    ("HTTP", "STRICT"): (Way(True, _TLS, (), True),),
    ("HTTP", "PERMISSIVE"): (Way(True, _TLS, _MESH_ALL, True), Way(True, RAW_BUFFER)),
    ("HTTP", "DISABLE"): (Way(True, RAW_BUFFER),),
    ("TCP", "STRICT"): (Way(False, _TLS, (), True),),
    ("TCP", "PERMISSIVE"): (Way(False, _TLS, _MESH_ALL, True), Way(False, _TLS), Way(False, RAW_BUFFER)),
    ("TCP", "DISABLE"): (Way(False, RAW_BUFFER),),
    ("Auto", "STRICT"): (Way(True, _TLS, _MESH_HTTP, True), Way(False, _TLS, (), True)),
    ("Auto", "PERMISSIVE"): (
        Way(True, _TLS, _MESH_HTTP, True),
        Way(True, RAW_BUFFER, SNIFFED_HTTP),
        Way(False, _TLS, _MESH_TCP, True),
        Way(False, RAW_BUFFER),
        Way(False, _TLS),
    ),
    ("Auto", "DISABLE"): (Way(True, RAW_BUFFER, SNIFFED_HTTP), Way(False, RAW_BUFFER)),
}


@dataclass(frozen=True, slots=True)
class _Port:
    """What a set of chains serves. `port` is the service's, `target` the application's; 0 is every other.

    `real` ones are listeners of their own, at `bind`.
    """

    target: int
    cluster: str
    protocol: Protocol = "Unsupported"
    host: str = ""
    port: int = 0
    passthrough: bool = False
    bind: str = ""
    real: bool = False
    metadata: core_v3.Metadata | None = None
    service: Service | None = None
    port_name: str = ""

    def name(self, way: Way) -> str:
        if self.passthrough:
            return f"{VIRTUAL_INBOUND}-catchall-http" if way.http else VIRTUAL_INBOUND
        return f"{self.bind}_{self.target}"

    @property
    def stat_prefix(self) -> str:
        return f"{self.cluster};" if self.passthrough else f"inbound_{self.bind}_{self.target};"


def inbound_listeners(view: View) -> list[Listener]:
    """`virtualInbound`, where traffic is redirected, and those that a Sidecar has bound to a port of their own."""
    ports = _ports(view)
    made = [] if view.proxy.interception == "NONE" else [_virtual([port for port in ports if not port.real], view)]
    for port in ports:
        if port.real:
            chains = _chains(port, view)
            made.append(_listener(f"{port.bind}_{port.target}", port.bind, port.target, chains, view))
            made[-1].listener_filters.extend(_inspectors(chains))
    return patch_listeners(made, view.patches, "SIDECAR_INBOUND")


def _ports(view: View) -> list[_Port]:
    """What a Sidecar says goes before the services' ports. Without iptables it alone can say where to listen."""
    if view.scope.ingress:
        return _ingress_ports(view)
    return [] if view.proxy.interception == "NONE" else _service_ports(view)


def _virtual(ports: Sequence[_Port], view: View) -> Listener:
    chains = [_black_hole(view)]
    for port in (*_passthrough_ports(view), *ports):
        chains += _chains(port, view)
    port_number = view.mesh.proxy_inbound_listen_port
    made = _listener(VIRTUAL_INBOUND, view.proxy.wildcard, port_number, chains, view)
    made.listener_filters.append(filters.original_destination())
    if view.proxy.interception == "TPROXY":
        made.listener_filters.append(filters.original_source())
        made.transparent.value = True
    made.listener_filters.extend(_inspectors(chains))
    return made


def _listener(name: str, bind: str, port: int, chains: Sequence[FilterChain], view: View) -> Listener:
    return Listener(
        name=name,
        address=socket_address(bind, port),
        filter_chains=chains,
        listener_filters_timeout=duration(view.mesh.protocol_detection_timeout),
        continue_on_listener_filters_timeout=True,
        traffic_direction=INBOUND,
        access_log=view.access_logs("SERVER", "LISTENER"),
        max_connections_to_accept_per_socket_event=u32(1),
        connection_balance_config=balance(view.proxy.node.flag("INBOUND_LISTENER_EXACT_BALANCE")),
    )


def _passthrough_ports(view: View) -> list[_Port]:
    """All ports, then those that a PeerAuthentication names but no service sends to."""
    ingress = {listener.port.number for listener in view.scope.ingress}
    served = ingress or {target.target for target in view.proxy.targets}
    others = [port for port in sorted(view.peer_policy.ports) if port not in served]
    return [_Port(port, INBOUND_PASSTHROUGH, passthrough=True) for port in (0, *others)]


def _service_ports(view: View) -> list[_Port]:
    """Of several services for a port the oldest decides."""
    found: dict[int, _Port] = {}
    for target in view.proxy.targets:
        if target.target in view.reserved_ports:
            continue
        found.setdefault(
            target.target,
            _Port(
                target.target,
                inbound(target.target),
                target.port.protocol,
                target.service.hostname,
                target.port.number,
                bind=view.proxy.wildcard,
                service=target.service,
                port_name=target.port.name,
            ),
        )
    return [found[port] for port in sorted(found)]


def _ingress_ports(view: View) -> list[_Port]:
    """A Sidecar's own listeners, which belong to no service."""
    proxy, scope = view.proxy, view.scope
    metadata = None
    if scope.sidecar is not None:
        metadata = config_metadata(scope.sidecar, scope.namespace)
    found: dict[int, _Port] = {}
    for listener in scope.ingress:
        number = listener.port.number
        mode = listener.capture_mode
        real = proxy.interception == "NONE" if mode == "DEFAULT" else mode == "NONE"
        protocol = protocols.parse(listener.port.protocol)
        wild = listener.bind == proxy.wildcard if listener.bind else protocol in protocols.HTTP
        if (wild and number in view.metric_ports) or (real and number < 1024 and proxy.node.flag("UNPRIVILEGED_POD")):
            continue
        found.setdefault(
            number,
            _Port(
                number,
                inbound(number),
                protocol,
                f"{scope.name}.{scope.namespace}",
                number,
                bind=listener.bind or proxy.public_address or proxy.wildcard,
                real=real,
                metadata=metadata,
            ),
        )
    return [found[port] for port in sorted(found)]


def _chains(port: _Port, view: View) -> list[FilterChain]:
    out = []
    for way in WAYS[_shape(port.protocol), view.peer_policy.of(port.target)]:
        match = listener_v3.FilterChainMatch(transport_protocol=way.transport, application_protocols=way.protocols)
        if port.target:
            match.destination_port.value = port.target
        out.append(
            FilterChain(
                name=port.name(way),
                filter_chain_match=match,
                filters=[filters.listener_exchange(), *(_http(port, view) if way.http else _tcp(port, view))],
                transport_socket=_tls(way, view) if way.terminates else None,
                metadata=port.metadata,
            )
        )
    return out


def _tls(way: Way, view: View) -> core_v3.TransportSocket:
    return tls.downstream_socket(view.mesh, tcp=not way.http, files=tls.Files.of(view.proxy.node))


def _shape(protocol: Protocol) -> Shape:
    if protocol in protocols.HTTP:
        return "HTTP"
    return "Auto" if protocol in protocols.SNIFFED else "TCP"


def _http(port: _Port, view: View) -> list[listener_v3.Filter]:
    served = Served(
        side="SERVER",
        stat_prefix=port.stat_prefix,
        protocol=port.protocol,
        routes=patch_table(_routes(port, view.mesh), view.patches, "SIDECAR_INBOUND"),
        port=port.target,
    )
    inserted = view.network_extensions("SERVER", port.target)
    return [*extensions.in_order(inserted), connection_manager(served, view)]


def _tcp(port: _Port, view: View) -> list[listener_v3.Filter]:
    pattern = view.mesh.inbound_cluster_stat_name
    prefix = stat_names.inbound(pattern, port.service, port.port, port.port_name) if pattern else ""
    passed = tcp_proxy.of_protocol(port.cluster, port.protocol, view, prefix)
    return list(tcp_proxy.guarded(passed, view, "SERVER", port.port, enforced=True))


def _routes(port: _Port, mesh: MeshConfig) -> route_v3.RouteConfiguration:
    """Everything to the application, without a timeout: the caller's counts."""
    action = route_v3.RouteAction(
        cluster=port.cluster,
        timeout=duration(0),
        max_stream_duration=route_v3.RouteAction.MaxStreamDuration(
            max_stream_duration=duration(0), grpc_timeout_header_max=duration(0)
        ),
        # A gRPC stream that is retried on the way in may be played twice.
        retry_policy=None if port.protocol in protocols.GRPC else retry.inbound(mesh.default_inbound_http_retry_policy),
    )
    route = route_v3.Route(
        name="default",
        match=route_match(None),
        decorator=route_v3.Decorator(operation=f"{port.host}:{port.port}/*"),
        route=action,
    )
    host = route_v3.VirtualHost(name=f"inbound|http|{port.port}", domains=["*"], routes=[route])
    return route_v3.RouteConfiguration(name=port.cluster, virtual_hosts=[host], validate_clusters=flag(False))


def _black_hole(view: View) -> FilterChain:
    """What is sent to the listener's own port would come back for ever."""
    port = view.mesh.proxy_inbound_listen_port
    return FilterChain(
        name=f"{VIRTUAL_INBOUND}-blackhole",
        filter_chain_match=listener_v3.FilterChainMatch(destination_port=u32(port)),
        filters=[
            filters.listener_exchange(),
            *view.statistics("SERVER").tcp,
            tcp_proxy.plain(tcp_proxy.BLACK_HOLE),
        ],
    )


def _inspectors(chains: Sequence[FilterChain]) -> list[listener_v3.ListenerFilter]:
    """They look only at ports with a chain that needs to know."""
    made = []
    asks_tls: dict[int, bool] = {}
    asks_http: dict[int, bool] = {}
    for chain in chains:
        match = chain.filter_chain_match
        port = match.destination_port.value
        asks_tls[port] = asks_tls.get(port, False) or match.transport_protocol == _TLS
        http = any(name in SNIFFED_HTTP for name in match.application_protocols)
        asks_http[port] = asks_http.get(port, False) or http
    if any(asks_tls.values()):
        made.append(_tls_inspector(asks_tls))
    if any(asks_http.values()):
        made.append(_inspector(filters.http_inspector(), [p for p, asks in asks_http.items() if not asks]))
    return made


def _tls_inspector(asks: dict[int, bool]) -> listener_v3.ListenerFilter:
    """Where ports without a chain ask, the others are left out; else only those that ask are looked at."""
    if asks.get(0):
        return _inspector(filters.tls_inspector(), [port for port, asked in asks.items() if port and not asked])
    only = [port for port, asked in asks.items() if port and asked]
    made = _inspector(filters.tls_inspector(), only)
    if only:
        made.filter_disabled.CopyFrom(Predicate(not_match=made.filter_disabled))
    return made


def _inspector(inspector: listener_v3.ListenerFilter, without: Sequence[int]) -> listener_v3.ListenerFilter:
    made = listener_v3.ListenerFilter()
    made.CopyFrom(inspector)
    ranges = [
        Predicate(destination_port_range=type_v3.Int32Range(start=port, end=port + 1)) for port in sorted(without)
    ]
    if len(ranges) == 1:
        made.filter_disabled.CopyFrom(ranges[0])
    elif ranges:
        made.filter_disabled.CopyFrom(Predicate(or_match=Predicate.MatchSet(rules=ranges)))
    return made
