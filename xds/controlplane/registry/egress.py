"""What one egress listener imports: the hosts it names, and the services and routings that they pick.

Hosts are written `namespace/name`, either part a wildcard; `.` is the workload's own namespace, a `~` before the
namespace takes what fits out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..api.sidecar import IstioEgressListener
from ..hosts import covered, is_wildcard, matches, most_specific
from . import protocols
from .services import Service
from .virtual_services import Routing
from .world import World

ANYWHERE = "*"
EVERYTHING = IstioEgressListener(hosts=("*/*",))
"""The listener of workloads for which no Sidecar says anything."""


@dataclass(slots=True)
class _Named:
    """The names of one namespace, or of all."""

    exact: set[str] = field(default_factory=set)
    all: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)

    def imports(self, host: str) -> bool:
        if host in self.exact:
            return True
        wild = is_wildcard(host)
        return any(covered(host, name) for name in self.all if wild or is_wildcard(name))

    def routes(self, host: str, *, strictly: bool) -> bool:
        """For a VirtualService's host: one that is wider than what is imported counts too, unless `strictly`."""
        if host in self.exact:
            return True
        wild = is_wildcard(host)
        fits = covered if strictly else matches
        return any(fits(host, name) for name in self.all if wild or is_wildcard(name))

    def excludes(self, host: str) -> bool:
        return any(covered(host, name) for name in self.excluded)


_NOTHING = _Named()


class Imports:
    """The hosts of one listener, as they are meant in a namespace."""

    def __init__(self, hosts: Iterable[str], namespace: str) -> None:
        self.by_namespace: dict[str, _Named] = {}
        self.exact = True  # every host is one service of one namespace
        for written in hosts:
            where, slash, name = written.partition("/")
            if not slash or "/" in name:
                continue
            excluded = where.startswith("~")
            where = (where[1:] or ANYWHERE) if excluded else where
            named = self.by_namespace.setdefault(namespace if where == "." else where, _Named())
            if excluded:
                named.excluded.append(name)
                continue
            if is_wildcard(name):
                self.exact = False
            else:
                named.exact.add(name)
            self.exact = self.exact and where != ANYWHERE
            named.all.append(name)

    @property
    def namespaces(self) -> frozenset[str] | None:
        """None for all of them."""
        return None if ANYWHERE in self.by_namespace else frozenset(self.by_namespace)

    @property
    def everything(self) -> bool:
        anywhere = self.by_namespace.get(ANYWHERE, _NOTHING)
        return "*" in anywhere.all and not any(named.excluded for named in self.by_namespace.values())

    def of(self, namespace: str) -> list[_Named]:
        """What is said of that namespace, then what is said of all."""
        return [self.by_namespace[key] for key in (namespace, ANYWHERE) if key in self.by_namespace]


class EgressListener:
    """Services and routings of one outbound listener. Without a port it is for all ports that no other one has."""

    def __init__(self, spec: IstioEgressListener, services: list[Service], routings: list[Routing]) -> None:
        self.spec = spec
        self.services = services
        self.routings = routings

    @property
    def port(self) -> int | None:
        """None for the catch-all; 0 for a Unix socket."""
        return None if self.spec.port is None else self.spec.port.number

    @property
    def protocol(self) -> protocols.Protocol:
        return protocols.parse(self.spec.port.protocol) if self.spec.port is not None else "Unsupported"

    @cached_property
    def most_specific_routings(self) -> Mapping[str, Routing]:
        """For each service host the routing whose host matches it best."""
        exact: dict[str, Routing] = {}
        wildcards: dict[str, Routing] = {}
        for routing in self.routings:
            for host in routing.spec.hosts:
                (wildcards if is_wildcard(host) else exact).setdefault(host, routing)
        out = {}
        for service in self.services:
            found = most_specific(service.hostname, exact, wildcards)
            if found is not None:
                out[service.hostname] = found
        return out


def needs_port(spec: IstioEgressListener) -> bool:
    """Whether a listener takes only services with its port; a forward proxy and a Unix socket take all."""
    return spec.port is not None and spec.port.number != 0 and protocols.parse(spec.port.protocol) != "HTTP_PROXY"


def matching_port(service: Service, spec: IstioEgressListener, world: World) -> Service | None:
    """The service with the listener's port only, None if it has none such; whole where any port will do."""
    if spec.port is None or not needs_port(spec):
        return service
    found = service.port(spec.port.number)
    return None if found is None else world.trimmed(service, (found,))


def services_of(world: World, namespace: str, spec: IstioEgressListener, imports: Imports) -> list[Service]:
    """What the listener's hosts pick of what the namespace sees, oldest first; a host is one namespace's."""
    if imports.exact:
        candidates = _named(world, namespace, imports)
    else:
        candidates = world.exported.to(namespace, imports.namespaces)
    if imports.everything and not needs_port(spec):
        found = candidates
    else:
        found = [made for each in candidates if (made := _imported(each, spec, imports, world)) is not None]
    return _of_one_namespace(found, namespace)


def _named(world: World, namespace: str, imports: Imports) -> list[Service]:
    found = [
        service
        for where, named in imports.by_namespace.items()
        for host in named.exact
        if (service := world.service(where, host)) is not None and world.exported.sees(namespace, service)
    ]
    return sorted(found, key=lambda service: service.age)


def _imported(service: Service, spec: IstioEgressListener, imports: Imports, world: World) -> Service | None:
    said = imports.of(service.namespace)
    if any(named.excludes(service.hostname) for named in said):
        return None
    for named in said:
        if named.imports(service.hostname):
            made = matching_port(service, spec, world)
            if made is not None:
                aliases = tuple(alias for alias in made.aliases if named.imports(alias.hostname))
                return world.trimmed(made, made.ports, aliases)
    return None


def _of_one_namespace(services: list[Service], namespace: str) -> list[Service]:
    """Of several namespaces that have a host the own one counts, then Kubernetes' service, then the first."""
    chosen: dict[str, Service] = {}
    for service in services:
        known = chosen.get(service.hostname)
        if (
            known is None
            or service.namespace == namespace
            or (known.registry != "Kubernetes" and service.registry == "Kubernetes" and known.namespace != namespace)
        ):
            chosen[service.hostname] = service
    return [each for each in services if chosen[each.hostname].namespace == each.namespace]


def routings_of(world: World, namespace: str, imports: Imports) -> list[Routing]:
    """The VirtualServices that the namespace sees and of which one host is imported."""
    visible = world.virtual_services.visible_to(namespace, imports.namespaces)
    if imports.everything:
        return visible
    return [routing for routing in visible if _routed(routing, imports)]


def _routed(routing: Routing, imports: Imports) -> bool:
    said = imports.of(routing.namespace)
    return any(
        named.routes(host, strictly=routing.gateway_semantics) and not any(each.excludes(host) for each in said)
        for named in said
        for host in routing.spec.hosts
    )
