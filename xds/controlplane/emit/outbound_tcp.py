"""Chains for ports that carry bytes: TLS told apart by SNI, TCP by destination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..api.virtual_service import RouteDestination
from ..hosts import alternative_names, outbound
from ..registry import protocols
from ..registry.authn import selects
from ..registry.services import UNSPECIFIED, Port, Service
from ..registry.virtual_services import MESH, Routing
from . import dynamic_dns, stat_names
from .chains import Chain
from .messages import config_metadata
from .tcp_proxy import Filter, guarded, to_routes, to_service
from .view import View


@dataclass(frozen=True, slots=True, eq=False)
class Called:
    """A service on one port, as a listener is to serve it."""

    service: Service
    port: Port
    binds: tuple[str, ...] = ()  # the addresses of the listener, the one that names it first; none before it is chosen
    ranges: tuple[str, ...] = ()  # destinations, where the address of the service is a range

    @property
    def bind(self) -> str:
        return self.binds[0] if self.binds else ""


def tcp_chains(called: Called, routings: Sequence[Routing], view: View) -> list[Chain]:
    """`routings` are those that name the service."""
    if called.port.protocol in protocols.TLS:
        return _tls(called, routings, view)
    return _tcp(called, routings, view)


def _routed(routes: Sequence[RouteDestination], routing: Routing, called: Called, view: View) -> tuple[Filter, ...]:
    port = called.port
    return guarded(to_routes(routes, routing, port.protocol, port.number, view), view, "CLIENT", port.number)


def _applies(
    port: int, gateways: Sequence[str], labels: Mapping[str, str], namespace: str, called: Called, view: View
) -> bool:
    """What of a match is known before any connection: port, gateway and source."""
    return (
        port in (0, called.port.number)
        and (not gateways or MESH in gateways)
        and selects(labels, view.proxy.labels)
        and namespace in ("", view.proxy.node.text("NAMESPACE"))
    )


def _tls(called: Called, routings: Sequence[Routing], view: View) -> list[Chain]:
    ranges = called.ranges
    seen: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
    out = []
    for routing in routings:
        for route in routing.spec.tls:
            for match in route.match if route.route else ():
                if not _applies(match.port, match.gateways, match.source_labels, match.source_namespace, called, view):
                    continue
                if match.destination_subnets and called.port.number:
                    ranges = match.destination_subnets
                key = (match.sni_hosts, match.destination_subnets)
                if key not in seen:
                    seen.add(key)
                    filters = _routed(route.route, routing, called, view)
                    metadata = config_metadata(routing.source)
                    out.append(Chain(filters, match.sni_hosts, ranges, metadata=metadata))
    if not out:
        out.append(Chain(_own(called, view), _sni(called, ranges, view), ranges))
    return out


def _tcp(called: Called, routings: Sequence[Routing], view: View) -> list[Chain]:
    """Up to the first route that takes every destination; else the service itself comes last."""
    ranges = called.ranges
    out: list[Chain] = []
    whole = False
    for routing in routings:
        metadata = config_metadata(routing.source)
        for route in routing.spec.tcp:
            if not route.route:
                continue
            subnets: tuple[str, ...] = ()
            everything = not route.match
            for match in route.match:
                if _applies(match.port, match.gateways, match.source_labels, match.source_namespace, called, view):
                    subnets += match.destination_subnets
                    if not match.destination_subnets or not called.port.number:
                        everything = True
                        break
            if not everything and not subnets:
                continue
            filters = _routed(route.route, routing, called, view)
            if everything:
                out.append(Chain(filters, (), ranges, metadata=metadata))
                return out
            out.append(Chain(filters, (), subnets))
            whole = whole or sorted(subnets) == sorted(ranges)
    if not whole:
        out.append(Chain(_own(called, view), (), ranges))
    return out


def _own(called: Called, view: View) -> tuple[Filter, ...]:
    service = called.service
    # A port of a Sidecar's own choice means the service's only one.
    port = service.ports[0].number if len(service.ports) == 1 else called.port.number
    rule = view.scope.rule(view.proxy, service.hostname)
    cluster, pattern = outbound(service.hostname, port), view.mesh.outbound_cluster_stat_name
    prefix = stat_names.outbound(pattern, service, port) if pattern else ""
    made = to_service(cluster, called.port.protocol, rule.spec if rule else None, "", view, prefix)
    resolves = dynamic_dns.resolves(service)
    if resolves:
        held = dynamic_dns.cache_of(service, view.dns_family)
        made = [dynamic_dns.sni_filter(held, called.port.number), *made]
    # Where names are resolved istiod enforces the workload's own policies too, which are otherwise for what comes in.
    return guarded(made, view, "CLIENT", called.port.number, enforced=resolves)


def _sni(called: Called, ranges: tuple[str, ...], view: View) -> tuple[str, ...]:
    """The names that must be asked for, where the address does not tell services apart."""
    service = called.service
    address = service.address_for(view.proxy.reach)
    if "/" in address:
        address = ""
    if service.registry == "External" and view.proxy.ip_mode == "IPv6" and address == UNSPECIFIED:
        address = "::"
    wild = address == called.bind == view.proxy.wildcard
    if not (ranges or not address or wild or dynamic_dns.resolves(service)):
        return ()
    names = [service.hostname]
    for alias in service.aliases:
        names += [alias.hostname, *alternative_names(alias.hostname, view.proxy.node.domain)]
    return tuple(names)
