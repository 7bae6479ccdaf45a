"""Route tables: for a port, every host that can be called on it, and what becomes of the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ...wire.schema.types import route_v3
from ..hosts import alternative_names, bracketed, is_wildcard, matches, outbound, with_port
from ..mesh import MeshConfig
from ..registry import protocols
from ..registry.proxy import Proxy
from ..registry.scope import EgressListener, Scope
from ..registry.services import UNSPECIFIED, Service
from ..registry.virtual_services import Routing
from .messages import duration, flag, u32
from .routes import Route, Surroundings, default_route, hash_of_service, routes_of

VirtualHost = route_v3.VirtualHost
RouteConfiguration = route_v3.RouteConfiguration

_DIRECT_RESPONSE_LIMIT = 1024 * 1024
PASSTHROUGH = "PassthroughCluster"


@dataclass(frozen=True, slots=True)
class _Group:
    """Hosts that share routes: services, and names that no service has."""

    services: list[Service]
    names: list[str]
    routes: list[Route]


def route_table(name: str, scope: Scope, proxy: Proxy) -> RouteConfiguration:
    """The table of a port (`80`), or of one service on a port (`host:80`); of another name an empty one."""
    host, colon, number = name.rpartition(":")
    if not number.isdecimal():
        return RouteConfiguration(name=name, validate_clusters=flag(False))
    port = int(number)
    listener = scope.listener_for(port)
    hosts = _virtual_hosts(port, listener, scope, proxy) if listener is not None else []
    if colon:
        hosts = _only(hosts, name, host)
    hosts.sort(key=lambda item: item.name)
    if not colon:
        hosts.append(catch_all(scope.world.mesh))
    return RouteConfiguration(
        name=name,
        virtual_hosts=hosts,
        validate_clusters=flag(False),
        max_direct_response_body_size_bytes=u32(_DIRECT_RESPONSE_LIMIT),
        ignore_port_in_host_matching=True,
    )


def _only(hosts: list[VirtualHost], name: str, host: str) -> list[VirtualHost]:
    """The virtual host of one service, which its listener serves whatever the Host header says."""
    found = [item for item in hosts if name in item.domains or host in item.domains]
    if len(found) == 1:
        del found[0].domains[:]
        found[0].domains.append("*")
    return found


def catch_all(mesh: MeshConfig) -> VirtualHost:
    """Hosts that nobody knows: through as they are, or refused."""
    if mesh.outbound_traffic_policy.mode == "ALLOW_ANY":
        name = "allow_any"
        action = route_v3.RouteAction(cluster=PASSTHROUGH, timeout=duration(0), max_grpc_timeout=duration(0))
        route = Route(name=name, match=route_v3.RouteMatch(prefix="/"), route=action)
    else:
        name = "block_all"
        refusal = route_v3.DirectResponseAction(status=502)
        route = Route(name=name, match=route_v3.RouteMatch(prefix="/"), direct_response=refusal)
    return VirtualHost(name=name, domains=["*"], routes=[route], include_request_attempt_count=True)


def _virtual_hosts(port: int, listener: EgressListener, scope: Scope, proxy: Proxy) -> list[VirtualHost]:
    services = _on_port(listener.services, port)
    routings = listener.routings
    if port != 80:
        routings = _naming(routings, services)
    around = Surroundings(
        port=port,
        services=services,
        rule=lambda host: rule.spec if (rule := scope.rule(proxy, host)) else None,
        labels=proxy.labels,
        namespace=proxy.namespace,
    )
    groups = _groups(routings, services, listener.most_specific_routings(), around)
    return _named_hosts(groups, port, proxy)


def _on_port(services: Iterable[Service], port: int) -> dict[str, Service]:
    """Services that have the port, each with that port only, by host in lower case."""
    out = {}
    for service in services:
        found = service.port(port)
        if found is not None:
            host = service.hostname.lower()
            out[host] = service if service.ports == (found,) else replace(service, ports=(found,))
    return out


def _naming(routings: list[Routing], services: Mapping[str, Service]) -> list[Routing]:
    """Routings that name one of the services."""
    wildcards = [host for host in services if is_wildcard(host)]

    def names_one(host: str) -> bool:
        host = host.lower()
        if host in services:
            return True
        candidates: Iterable[str] = services if is_wildcard(host) else wildcards
        return any(matches(host, service) for service in candidates)

    return [routing for routing in routings if any(names_one(host) for host in routing.spec.hosts)]


def _groups(
    routings: list[Routing],
    services: Mapping[str, Service],
    most_specific: Mapping[str, Routing],
    around: Surroundings,
) -> list[_Group]:
    """First the VirtualServices in order, then the services that none of them names."""
    left = dict(services)
    out = []
    for routing in routings:
        routes = routes_of(routing, around)
        if not routes:
            continue
        names, named = _split(routing, services, most_specific)
        here = [service for service in named if service.ports[0].protocol in protocols.HTTP_OR_SNIFFED]
        if here or (not _has_http(named) and around.port == 80):
            out.append(_Group(here, names, routes))
    for group in out:
        for service in group.services:
            left.pop(service.hostname.lower(), None)
    for service in left.values():
        port = service.ports[0]
        if service.resolution != "Alias" and port.protocol in protocols.HTTP_OR_SNIFFED:
            hashed = hash_of_service(around.rule(service.hostname), port.number)
            cluster = outbound(service.hostname, port.number)
            out.append(_Group([service], [], [default_route(cluster, service.hostname, port.number, hashed)]))
    return out


def _has_http(services: list[Service]) -> bool:
    return any(service.ports[0].protocol in protocols.HTTP_OR_SNIFFED for service in services)


def _split(
    routing: Routing, services: Mapping[str, Service], most_specific: Mapping[str, Routing]
) -> tuple[list[str], list[Service]]:
    """The routing's hosts that no service has, and the services that it routes."""
    names: list[str] = []
    named: list[Service] = []
    wildcards = []
    for written in routing.spec.hosts:
        host = written.lower()
        if is_wildcard(host):
            wildcards.append(host)
        elif host in services:
            named.append(services[host])
        else:
            names.append(written)
    for wildcard in wildcards:
        covered = [host for host in services if matches(host, wildcard)]
        if not covered:
            names.append(wildcard)
        # Of several routings with a wildcard for a service only the most specific one takes it.
        named += [services[host] for host in covered if most_specific.get(services[host].hostname) is routing]
    return names, named


def _named_hosts(groups: list[_Group], port: int, proxy: Proxy) -> list[VirtualHost]:
    """Virtual hosts with their domains; a name or domain that came before is not given again."""
    known = {service.hostname for group in groups for service in group.services}
    known |= {with_port(host, port) for host in known}
    names: set[str] = set()
    domains: set[str] = set()
    out = []
    for group in groups:
        candidates: list[tuple[str, list[str], list[str]]] = [
            (name.lower(), [bracketed(name.lower())], []) for name in group.names
        ]
        candidates += [(service.hostname, *_domains(service, proxy)) for service in group.services]
        for host, wanted, expanded in candidates:
            name = with_port(host, port)
            if name in names:
                continue
            names.add(name)
            fresh = []
            for domain in wanted:
                # A name that only the resolver's rules give must not take the place of a service of that name.
                if domain.lower() in domains or (domain in expanded and domain in known):
                    continue
                fresh.append(domain)
                domains.add(domain.lower())
            if fresh:
                out.append(
                    VirtualHost(name=name, domains=fresh, routes=group.routes, include_request_attempt_count=True)
                )
    return out


def _domains(service: Service, proxy: Proxy) -> tuple[list[str], list[str]]:
    """Every Host header that means the service, and those among them that a resolver's rules made."""
    out: list[str] = []
    expanded: list[str] = []
    for host in (service.hostname, *(alias.hostname for alias in service.aliases)):
        others = alternative_names(host, proxy.node.domain)
        out += [bracketed(host), *others]
        expanded += others
    if service.resolution == "Passthrough" and service.registry == "Kubernetes":
        out += [f"*.{domain}" for domain in out]
    out += [bracketed(address) for address in service.addresses if address and address != UNSPECIFIED]
    return out, expanded
