"""Route tables: for a port, every host that can be called on it, and what becomes of the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from ...wire.schema.types import route_v3
from ..api.destination_rule import DestinationRule
from ..api.sidecar import OutboundTrafficPolicy
from ..hosts import (
    SubsetKey,
    alternative_names,
    bracketed,
    is_ip,
    is_wildcard,
    matches,
    outbound,
    parse_subset_key,
    with_port,
)
from ..registry import protocols
from ..registry.egress import EgressListener
from ..registry.proxy import Proxy
from ..registry.scope import Scope
from ..registry.services import UNSPECIFIED, Service
from ..registry.virtual_services import Routing
from . import dynamic_dns
from .kept_routes import KeptRoutes
from .messages import UNIX, duration, flag
from .proxy_headers import Headers, headers_of
from .routes import Route, Surroundings, default_route, hash_of_service
from .virtual_hosts import Domains, Host, KeptHosts, table

VirtualHost = route_v3.VirtualHost
RouteConfiguration = route_v3.RouteConfiguration

PASSTHROUGH = "PassthroughCluster"
FORWARD_PROXY = "http_proxy"


@dataclass(frozen=True, slots=True)
class _Group:
    """Hosts that share routes on a port: services, and names that no service has."""

    port: int
    services: list[Service]
    names: list[str]
    routes: list[Route]


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """The virtual hosts of a table, what became of its VirtualServices, and the host for names that nobody knows."""

    hosts: list[Host]
    routes: Mapping[Routing, list[Route]]
    rest: list[VirtualHost]
    listener: EgressListener | None
    around: Surroundings | None


def route_table(name: str, scope: Scope, proxy: Proxy, kept: KeptRoutes | None = None) -> RouteConfiguration:
    """The table of a port (`80`), of one service on a port (`host:80`), of a Unix socket; of another name an empty one.

    A Unix socket and a forward proxy (`http_proxy`) have the services of every port.
    """
    found = members_of(name, scope, proxy, kept or KeptRoutes())
    if found is None:
        return no_table(name)
    return table(name, [*(host.message() for host in found.hosts), *found.rest])


def no_table(name: str) -> RouteConfiguration:
    """What is said of a name that means nothing."""
    return RouteConfiguration(name=name, validate_clusters=flag(False))


def members_of(name: str, scope: Scope, proxy: Proxy, kept: KeptRoutes) -> Members | None:
    """What a table is put together from; None for a name that means nothing."""
    port = _port(name)
    if port is None:
        return None
    kept.renew()
    listener = listener_of(name, scope)
    if listener is not None and listener.protocol == "HTTP_PROXY":
        port = 0
    colon = ":" in name and not name.startswith(UNIX)
    hosts: list[Host] = []
    routes: Mapping[Routing, list[Route]] = {}
    around = None
    if listener is not None:
        around = surroundings(port, listener, scope, proxy)
        hosts, routes = _virtual_hosts(around, listener, proxy, kept)
    if colon:
        hosts = _only(hosts, name, name.rpartition(":")[0])
    hosts.sort(key=lambda item: item.name)
    headers = headers_of(proxy.config.proxy_headers)
    for each in hosts:
        each.attempts = headers.attempts
    rest = []
    if not colon:
        rest.append(catch_all(scope.outbound_policy, forwarded_host=headers.forwarded_host))
        rest[0].include_request_attempt_count = headers.attempts
    return Members(hosts, routes, rest, listener, around)


def listener_of(name: str, scope: Scope) -> EgressListener | None:
    """The egress listener that a table of some meaning belongs to."""
    return scope.listener_for(_port(name) or 0, name)


def _port(name: str) -> int | None:
    """The port that a name says; 0 for the services of every port, None for a name that means nothing."""
    if name.startswith(UNIX) or name == FORWARD_PROXY:
        return 0
    number = name.rpartition(":")[2]
    return int(number) if number.isdecimal() else None


def _only(hosts: list[Host], name: str, host: str) -> list[Host]:
    """The virtual host of one service, which its listener serves whatever the Host header says."""
    found = [item for item in hosts if name in item.domains or host in item.domains]
    if len(found) == 1:
        found[0].domains = ["*"]
    return found


def grpc_table(name: str, scope: Scope, proxy: Proxy) -> RouteConfiguration | None:
    """The table `outbound|port||host` of gRPC's own xDS: the virtual hosts that take that host, and nothing else."""
    key = parse_subset_key(name)
    if key is None or not key.host or not key.port:
        return None
    listener = scope.listener_for(key.port, name)
    hosts: list[Host] = []
    if listener is not None:
        hosts, _ = _virtual_hosts(surroundings(key.port, listener, scope, proxy), listener, proxy, KeptRoutes())
    attempts = headers_of(proxy.config.proxy_headers).attempts
    taken = [host for host in hosts if any(_takes(domain.lower(), key) for domain in host.domains)]
    for host in taken:
        host.attempts = attempts
    return RouteConfiguration(name=name, virtual_hosts=[host.message() for host in taken])


def _takes(domain: str, key: SubsetKey) -> bool:
    """Whether a domain, with or without a port, means a host on a port."""
    host = key.host.lower()
    if domain in (bracketed(host), with_port(host, key.port)):
        return True
    stem, colon, port = domain.rpartition(":")
    written = stem if colon and not domain.endswith("]") else domain
    on_port = written == domain or port == str(key.port)
    return on_port and is_wildcard(written) and matches(written, host)


def egress_cluster(policy: OutboundTrafficPolicy) -> str:
    """Where hosts are sent that nobody knows, where that is allowed: through, or to a proxy of the Sidecar's choice."""
    proxy = policy.egress_proxy
    if proxy is None:
        return PASSTHROUGH
    return outbound(proxy.host, proxy.port.number if proxy.port else 0, proxy.subset)


def catch_all(policy: OutboundTrafficPolicy, *, forwarded_host: bool = False) -> VirtualHost:
    """Hosts that nobody knows: through as they are, or refused."""
    if policy.mode in ("ALLOW_ANY", dynamic_dns.ANY_MODE):
        name, cluster = "allow_any", egress_cluster(policy)
        if policy.mode == dynamic_dns.ANY_MODE:
            name, cluster = dynamic_dns.ANY_HOST, dynamic_dns.ANY_CLUSTER
        action = route_v3.RouteAction(
            cluster=cluster,
            timeout=duration(0),
            max_grpc_timeout=duration(0),
            append_x_forwarded_host=forwarded_host,
        )
        route = Route(name=name, match=route_v3.RouteMatch(prefix="/"), route=action)
    else:
        name = "block_all"
        refusal = route_v3.DirectResponseAction(status=502)
        route = Route(name=name, match=route_v3.RouteMatch(prefix="/"), direct_response=refusal)
    return VirtualHost(name=name, domains=["*"], routes=[route])


def catch_all_table(name: str, policy: OutboundTrafficPolicy, headers: Headers) -> RouteConfiguration:
    """A table of nothing but hosts that nobody knows."""
    host = catch_all(policy, forwarded_host=headers.forwarded_host)
    host.include_request_attempt_count = headers.attempts
    return table(name, [host])


def surroundings(port: int, listener: EgressListener, scope: Scope, proxy: Proxy) -> Surroundings:
    """What routes on a port are made in."""
    return Surroundings(
        port=port,
        services=_on_port(listener.services, port),
        rule=rule_of(scope, proxy),
        labels=proxy.labels,
        namespace=proxy.namespace,
        mesh=scope.world.mesh,
        forwarded_host=headers_of(proxy.config.proxy_headers).forwarded_host,
        grpc=proxy.is_grpc,
    )


def rule_of(scope: Scope, proxy: Proxy) -> Callable[[str], DestinationRule | None]:
    """The DestinationRule for a host."""
    return lambda host: rule.spec if (rule := scope.rule(proxy, host)) else None


def _virtual_hosts(
    around: Surroundings, listener: EgressListener, proxy: Proxy, kept: KeptRoutes
) -> tuple[list[Host], Mapping[Routing, list[Route]]]:
    """The virtual hosts, and the routes of the VirtualServices that may stand in them."""
    port, services = around.port, around.services
    routings = listener.routings
    if port != 80:
        routings = _naming(routings, services)
    made = {routing: kept.of(routing, around) for routing in routings}
    groups = _groups(made, services, listener.most_specific_routings, around, kept.hosts)
    hosts = _named_hosts(groups, port, proxy, kept.hosts)
    return hosts if port else [host for host in hosts if _only_with_port(host)], made


def _only_with_port(host: Host) -> bool:
    """Among the services of all ports a name without a port means port 80; false for a host without any domain left."""
    if not host.name.endswith(":80"):
        host.domains = [domain for domain in host.domains if ":" in domain]
    return bool(host.domains)


def _on_port(services: Iterable[Service], port: int) -> dict[str, Service]:
    """Services that have the port, each with that port only, by host in lower case; whole ones for no port."""
    if port == 0:
        return {service.hostname.lower(): service for service in services}
    out = {}
    for service in services:
        found = service.port(port)
        if found is not None:
            host = service.hostname.lower()
            whole = service.ports == (found,) and service.hostname == host
            out[host] = service if whole else replace(service, hostname=host, ports=(found,))
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
    routings: Mapping[Routing, list[Route]],
    services: Mapping[str, Service],
    most_specific: Mapping[str, Routing],
    around: Surroundings,
    kept: KeptHosts,
) -> list[_Group]:
    """First the VirtualServices in order, then the services that none of them names."""
    left = dict(services)
    out = []
    for routing, routes in routings.items():
        if not routes:
            continue
        names, named = _split(routing, services, most_specific)
        if routing.gateway_semantics and not _reaches(routing, named, around):
            continue
        by_port: dict[int, list[Service]] = {}
        for service in named:
            for number in _http_ports(service):
                by_port.setdefault(number, []).append(service)
        if not by_port and around.port == 80:
            by_port[80] = []
        out += [_Group(port, here, names, routes) for port, here in by_port.items()]
    for group in out:
        for service in group.services:
            left.pop(service.hostname.lower(), None)
    for service in left.values():
        for number in _http_ports(service) if service.resolution != "Alias" else ():
            out.append(_Group(number, [service], [], _default_routes(service.hostname, number, around, kept)))
    return out


def _default_routes(host: str, number: int, around: Surroundings, kept: KeptHosts) -> list[Route]:
    """Of a service without a VirtualService."""
    rule = around.rule(host)
    key = outbound(host, number)
    routes = kept.default(key, rule, around.mesh)
    if routes is None:
        hashed = hash_of_service(rule, number)
        routes = [default_route(key, host, number, hashed, around.mesh.default_http_retry_policy)]
        kept.keep_default(key, rule, around.mesh, routes)
    return routes


def _reaches(routing: Routing, named: Iterable[Service], around: Surroundings) -> bool:
    """A route of the Gateway API is for everyone in its service's namespace, elsewhere for its own clients."""
    return any(routing.namespace in (service.namespace, around.namespace) for service in named)


def _http_ports(service: Service) -> list[int]:
    return [port.number for port in service.ports if port.protocol in protocols.HTTP_OR_SNIFFED]


def _split(
    routing: Routing, services: Mapping[str, Service], most_specific: Mapping[str, Routing]
) -> tuple[list[str], list[Service]]:
    """The routing's hosts that no service has, and the services that it routes."""
    names: list[str] = []
    named: list[Service] = []
    wildcards: list[str] = []
    for written in routing.spec.hosts:
        host = written.lower()
        if is_wildcard(host):
            (names if routing.gateway_semantics else wildcards).append(host)
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


def _named_hosts(groups: list[_Group], port: int, proxy: Proxy, kept: KeptHosts) -> list[Host]:
    """Virtual hosts with their domains; a name or domain that came before is not given again."""
    known = {service.hostname for group in groups for service in group.services}
    known |= {with_port(service.hostname, group.port) for group in groups for service in group.services}
    names: set[str] = set()
    domains: set[str] = set()
    out = []
    for group in groups:
        candidates: list[tuple[str, list[str], list[str]]] = [
            (name.lower(), _written(name.lower(), group.port if proxy.is_grpc else 0), []) for name in group.names
        ]
        suffix = 0 if port and not proxy.is_grpc else group.port
        candidates += [(service.hostname, *_domains(service, suffix, proxy, kept)) for service in group.services]
        for host, wanted, expanded in candidates:
            name = with_port(host, group.port)
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
                out.append(Host(name, fresh, group.routes))
    return out


def _domains(service: Service, port: int, proxy: Proxy, kept: KeptHosts) -> Domains:
    found = kept.domains(service, port, proxy)
    if found is None:
        found = _made_domains(service, port, proxy)
        kept.keep_domains(service, port, proxy, found)
    return found


def _made_domains(service: Service, port: int, proxy: Proxy) -> Domains:
    """Every Host header that means the service, and those among them that a resolver's rules made.

    With a port each name stands without and with it; the absolute form (`host.`) comes first.
    """
    out: list[str] = []
    expanded: list[str] = []
    for host in (service.hostname, *(alias.hostname for alias in service.aliases)):
        others = [name for other in alternative_names(host, proxy.node.domain) for name in _written(other, port)]
        if port and is_ip(host):
            others.insert(0, with_port(f"{host}.", port))
        out += [*_written(host, port), *others]
        expanded += others
    if service.resolution == "Passthrough" and service.registry == "Kubernetes":
        out += [f"*.{domain}" for domain in out]
    for address in service.addresses_for(proxy.reach):
        if address and address != UNSPECIFIED:
            out += _written(address, port)
    return out, expanded


def _written(host: str, port: int) -> list[str]:
    return [bracketed(host), with_port(host, port)] if port else [bracketed(host)]
