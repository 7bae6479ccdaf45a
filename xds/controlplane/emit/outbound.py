"""Outbound listeners: an address and port for everything that can be called, and one for all the rest.

HTTP services of a port share the listener `0.0.0.0_port` and are told apart by its route table; others have a listener
at their own address. Where two services claim one address the rules below decide, in the order in which services come:
chains that can stand side by side do, HTTP and TCP mixed means that the proxy looks at the first bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...wire.schema.types import core_v3, listener_v3
from ..hosts import is_ip
from ..registry import protocols
from ..registry.egress import EgressListener
from ..registry.protocols import Protocol
from ..registry.services import UNSPECIFIED, Port
from . import dynamic_dns, extensions, filters, tcp_proxy
from .chains import RAW_BUFFER, SNIFFED_HTTP, Chain, merged
from .http_manager import HTTP_MANAGER, Served, connection_manager
from .messages import UNIX, balance, duration, flag, socket_address, u32
from .outbound_tcp import Called, tcp_chains
from .patch_listeners import patch_listeners
from .proxy_headers import headers_of
from .route_tables import FORWARD_PROXY, catch_all_table, egress_cluster
from .view import View

Listener = listener_v3.Listener
FilterChain = listener_v3.FilterChain

VIRTUAL_OUTBOUND = "virtualOutbound"
OUTBOUND = core_v3.TrafficDirection.Value("OUTBOUND")
_CONNECT_TIMEOUT_S = 15.0
_PRIVILEGED = 1024
_EXCLUSIVE: frozenset[Protocol] = frozenset({"Mongo", "MySQL"})
"""Their servers speak first, so no inspector may wait for the client there."""


@dataclass(slots=True)
class _Entry:
    """A listener while services are added to it."""

    binds: tuple[str, ...]
    port: int
    protocol: Protocol
    chains: tuple[Chain, ...]
    real: bool = False  # takes connections at its address; else only what is redirected to the proxy
    locked: bool = False  # a Sidecar said what is on this port


def outbound_listeners(view: View) -> list[Listener]:
    """Every outbound listener, `virtualOutbound` last."""
    entries: dict[tuple[str, int], _Entry] = {}
    for egress in view.scope.listeners:
        place = _place(egress, view)
        if egress.port is None:
            for entry in entries.values():
                entry.locked = True
            found = _called(egress, place, view)
        else:
            found = _on_port(egress, place, view)
        for called in found:
            _add(called, egress, place, entries, view)
    made = patch_listeners([_listener(entry, view) for entry in entries.values()], view.patches, "SIDECAR_OUTBOUND")
    port = view.forward_proxy_port
    if port:
        made += patch_listeners([_forward_proxy(port, view)], view.patches, "SIDECAR_OUTBOUND", additions=False)
    if view.proxy.interception != "NONE":
        made += patch_listeners([_virtual(view)], view.patches, "SIDECAR_OUTBOUND", additions=False)
    return made


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the listeners of one egress listener are: addresses, none for the services' own, and whether bound."""

    binds: tuple[str, ...]
    real: bool

    def takes(self, port: int, protocol: Protocol, view: View) -> bool:
        """Whether a proxy may listen there; what it uses itself and, without privileges, low ports are out."""
        if self.real and 0 < port < _PRIVILEGED and view.proxy.node.flag("UNPRIVILEGED_POD"):
            return False
        wild = view.proxy.wildcard in self.binds[:1] if self.binds else protocol in protocols.HTTP
        return not (wild and port in view.reserved_ports)


def _place(egress: EgressListener, view: View) -> _Place:
    # Without iptables an application can only reach listeners on its loopback.
    bind = egress.spec.bind
    real = view.proxy.interception == "NONE" or egress.spec.capture_mode == "NONE" or bind.startswith(UNIX)
    if bind:
        return _Place((bind,), real)
    return _Place(view.proxy.localhosts if real else (), real)


def _on_port(egress: EgressListener, place: _Place, view: View) -> Iterator[Called]:
    """Every service that the listener imports, on the port that the Sidecar says."""
    spec = egress.spec.port
    if spec is None or not place.takes(spec.number, egress.protocol, view):
        return
    port = Port(spec.name, spec.number, egress.protocol)
    for service in egress.services:
        if service.resolution != "Alias":
            yield Called(service, port, place.binds)


def _called(egress: EgressListener, place: _Place, view: View) -> Iterator[Called]:
    """Every service port, with the address that it is to be called at where that is not the service's own."""
    for service in egress.services:
        if service.resolution == "Alias":
            continue
        for port in service.ports:
            if not place.takes(port.number, port.protocol, view):
                continue
            called = Called(service, port, place.binds)
            pods = None if place.binds else _pods(called, view)
            if pods is None:
                yield called
            else:
                yield from (replace(called, binds=(address,)) for address in pods)


def _pods(called: Called, view: View) -> list[str] | None:
    """A headless service without HTTP is called pod by pod, so each pod's address is a listener."""
    service, port = called.service, called.port
    if (
        service.resolution != "Passthrough"
        or service.address_for(view.proxy.reach) != UNSPECIFIED
        or port.protocol not in protocols.TCP | protocols.SNIFFED
    ):
        return None
    endpoints = view.world.endpoints(service, port.number)
    if service.registry != "Kubernetes" and not endpoints and service.selector is None:
        return None
    own = view.proxy.node.addresses[0]
    return [e.address for e in endpoints if e.address != own and is_ip(e.address)]


def _add(
    called: Called, egress: EgressListener, place: _Place, entries: dict[tuple[str, int], _Entry], view: View
) -> None:
    called = _bound(called, view)
    protocol = called.port.protocol
    key = (called.bind, called.port.number)
    known = entries.get(key)
    if protocol == "UDP" or (known is not None and known.locked):
        return
    if protocol == "HTTP_PROXY":
        entries[key] = _Entry(called.binds, called.port.number, protocol, (_http(called, view),), place.real)
        return
    http = protocol in protocols.HTTP
    if known is not None and http and known.protocol not in protocols.TCP:
        return  # the port's route table has it
    chains: list[Chain] = []
    if not http:
        routings = view.scope.routings_for(egress, called.service.hostname)
        chains = tcp_chains(called, routings, view)
    if http or (protocol in protocols.SNIFFED and (known is None or known.protocol not in protocols.SNIFFED)):
        chains.append(_http(called, view))
    if known is None or (protocol in protocols.SNIFFED and known.protocol in protocols.HTTP):
        kept: Protocol = "Unsupported" if http and called.bind == view.proxy.wildcard else protocol
        if known is None or not _clash(known.protocol, protocol):
            entries[key] = _Entry(called.binds, called.port.number, kept, tuple(chains), place.real)
    elif not _clash(known.protocol, protocol):
        known.chains = merged(known.chains, chains)
        if not (known.protocol in protocols.TCP and protocol in protocols.TCP):
            known.protocol = "Unsupported"


def _clash(one: Protocol, other: Protocol) -> bool:
    return one != other and bool({one, other} & _EXCLUSIVE)


def _bound(called: Called, view: View) -> Called:
    """The listener's addresses: the wildcard for HTTP and for ranges, else the service's own."""
    if called.binds:
        return called
    wildcards = view.proxy.wildcards
    if called.port.protocol in protocols.HTTP:
        return replace(called, binds=wildcards)
    service = called.service
    addresses = service.listener_addresses(view.proxy.reach)
    if "/" in addresses[0]:
        return replace(called, binds=wildcards, ranges=addresses)
    if service.registry == "External" and addresses[0] == UNSPECIFIED:
        return replace(called, binds=wildcards)
    return replace(called, binds=addresses)


def _http(called: Called, view: View) -> Chain:
    """HTTP by the port's table; a service that is sniffed at its own address has a table of its own."""
    protocol, port = called.port.protocol, called.port.number
    wild = called.bind == view.proxy.wildcard
    own = protocol in protocols.SNIFFED and not wild
    rds = f"{called.service.hostname}:{port}" if own else str(port)
    served = Served(
        side="CLIENT",
        stat_prefix=f"outbound_{called.bind}_{port};",
        protocol=protocol,
        rds=rds if port else called.bind,
        resolves=called.service,
        port=port,
    )
    manager = connection_manager(served, view)
    if protocol != "HTTP_PROXY" and (wild or protocol in protocols.SNIFFED):
        return Chain((manager,), protocols=SNIFFED_HTTP, transport=RAW_BUFFER)
    return Chain((manager,))


def _listener(entry: _Entry, view: View) -> Listener:
    made = Listener(
        name=f"{entry.binds[0]}_{entry.port}",
        address=socket_address(entry.binds[0], entry.port),
        additional_addresses=[
            listener_v3.AdditionalAddress(address=socket_address(bind, entry.port)) for bind in entry.binds[1:]
        ],
        traffic_direction=OUTBOUND,
        continue_on_listener_filters_timeout=True,
        listener_filters_timeout=duration(0),
        connection_balance_config=balance(view.proxy.node.flag("OUTBOUND_LISTENER_EXACT_BALANCE")),
    )
    if entry.real:
        made.max_connections_to_accept_per_socket_event.value = 1
    else:
        made.bind_to_port.value = False
    if any(chain.sni for chain in entry.chains):
        made.listener_filters.append(filters.tls_inspector())
    if any(chain.protocols for chain in entry.chains):
        made.listener_filters.append(filters.http_inspector())
        made.listener_filters_timeout.CopyFrom(duration(view.mesh.protocol_detection_timeout))
    default: FilterChain | None = None
    # istiod hands them to the first chain that speaks HTTP, and has none left for another.
    inserted = extensions.in_order(view.network_extensions("CLIENT", entry.port))
    for chain in entry.chains:
        before: tuple[listener_v3.Filter, ...] = ()
        if inserted and chain.filters[-1].name == HTTP_MANAGER:
            before, inserted = inserted, ()
        filter_chain = FilterChain(
            filters=(*before, *chain.filters),
            metadata=chain.metadata,
            transport_socket_connect_timeout=duration(_CONNECT_TIMEOUT_S),
        )
        if chain.takes_all:
            default = filter_chain
        else:
            filter_chain.filter_chain_match.CopyFrom(chain.match())
            made.filter_chains.append(filter_chain)
    if default is not None and not made.filter_chains:
        made.filter_chains.append(default)
    else:
        made.default_filter_chain.CopyFrom(default or _fall_through(view))
    return made


def _forward_proxy(port: int, view: View) -> Listener:
    """For programs that are told to use a proxy: on loopback, for requests with whole URLs."""
    binds = view.proxy.localhosts
    served = Served(
        side="CLIENT",
        stat_prefix=f"outbound_{binds[0]}_{port};",
        protocol="HTTP_PROXY",
        rds=FORWARD_PROXY,
        port=port,
        absolute_urls=True,
    )
    chain = Chain((connection_manager(served, view),))
    return _listener(_Entry(binds, port, "HTTP_PROXY", (chain,), real=True), view)


def _fall_through(view: View) -> FilterChain:
    return FilterChain(
        name="PassthroughFilterChain",
        filter_chain_match=listener_v3.FilterChainMatch(),
        filters=[*view.statistics("CLIENT").tcp, tcp_proxy.to_cluster(_unknown(view), view, "CLIENT")],
    )


def _unknown(view: View) -> str:
    """Where connections go that no service takes."""
    policy = view.scope.outbound_policy
    return egress_cluster(policy) if policy.mode != "REGISTRY_ONLY" else tcp_proxy.BLACK_HOLE


def _virtual(view: View) -> Listener:
    """Takes what iptables redirects; what comes to the port itself would come for ever, so it is dropped."""
    port = view.mesh.proxy_listen_port
    dropped = FilterChain(
        name=f"{VIRTUAL_OUTBOUND}-blackhole",
        filter_chain_match=listener_v3.FilterChainMatch(destination_port=u32(port)),
        filters=[*view.statistics("CLIENT").tcp, tcp_proxy.plain(tcp_proxy.BLACK_HOLE)],
    )
    rest = FilterChain(
        name=f"{VIRTUAL_OUTBOUND}-catchall-tcp",
        filters=[*view.statistics("CLIENT").tcp, tcp_proxy.to_cluster(_unknown(view), view, "CLIENT")],
    )
    resolved = [_resolved(view)] if view.scope.outbound_policy.mode == dynamic_dns.ANY_MODE else []
    return Listener(
        name=VIRTUAL_OUTBOUND,
        address=socket_address(view.proxy.wildcard, port),
        transparent=flag(True) if view.proxy.interception == "TPROXY" else None,
        use_original_dst=flag(True),
        filter_chains=[dropped, *resolved, rest],
        listener_filters=[filters.http_inspector()] if resolved else (),
        traffic_direction=OUTBOUND,
        access_log=view.access_logs("CLIENT", "LISTENER"),
        max_connections_to_accept_per_socket_event=u32(1),
    )


def _resolved(view: View) -> FilterChain:
    """HTTP to hosts that nobody knows, by what their names resolve to."""
    routes = catch_all_table(
        dynamic_dns.ANY_HOST, view.scope.outbound_policy, headers_of(view.proxy.config.proxy_headers)
    )
    served = Served(
        side="CLIENT",
        stat_prefix=f"outbound_{VIRTUAL_OUTBOUND}_{dynamic_dns.ANY_HOST};",
        protocol="HTTP",
        routes=routes,
    )
    return FilterChain(
        name=f"{VIRTUAL_OUTBOUND}-catchall-tcp-http",
        filter_chain_match=listener_v3.FilterChainMatch(application_protocols=SNIFFED_HTTP),
        filters=[connection_manager(served, view)],
    )
