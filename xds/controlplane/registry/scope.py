"""What a namespace sees of the mesh: services, rules, routes. Istio's SidecarScope without a Sidecar object.

A scope has egress listeners because a Sidecar may define several, each with services of its own; without one there is
a single listener for everything, on no particular port.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..hosts import fully_qualified, is_wildcard, matches, most_specific
from ..objects import Ref
from .destination_rules import Rule
from .proxy import Proxy
from .services import Service
from .virtual_services import Routing
from .world import World


@dataclass(frozen=True, slots=True, eq=False)
class EgressListener:
    """Services and routings that one outbound listener imports; port 0 is the catch-all."""

    services: list[Service]
    routings: list[Routing]
    port: int = 0

    def most_specific_routings(self) -> dict[str, Routing]:
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


class Scope:
    """One namespace's view of a world."""

    def __init__(self, world: World, namespace: str) -> None:
        self.world = world
        self.namespace = namespace

    @cached_property
    def listeners(self) -> list[EgressListener]:
        return [EgressListener(self._imported(), self.world.virtual_services.visible_to(self.namespace))]

    def _visible(self, service: Service) -> bool:
        export_to = self.world.exports(service)
        if "*" in export_to:
            return True
        return "~" not in export_to and (
            self.namespace in export_to or ("." in export_to and service.namespace == self.namespace)
        )

    def _imported(self) -> list[Service]:
        """Visible services; of several namespaces that claim a host one is chosen, the own one first."""
        exported = [s for s in self.world.services if self._visible(s)]
        # Services that only some namespaces see come before the public ones.
        candidates = sorted(exported, key=lambda s: "*" in self.world.exports(s))
        chosen: dict[str, Service] = {}
        for service in candidates:
            known = chosen.get(service.hostname)
            if (
                known is None
                or service.namespace == self.namespace
                or (
                    known.registry != "Kubernetes"
                    and service.registry == "Kubernetes"
                    and known.namespace != self.namespace
                )
            ):
                chosen[service.hostname] = service
        namespaces = {host: service.namespace for host, service in chosen.items()}
        return [s for s in candidates if namespaces[s.hostname] == s.namespace]

    @cached_property
    def services(self) -> list[Service]:
        """Every service that has clusters: one for each host."""
        out: dict[str, Service] = {}
        for listener in self.listeners:
            for service in listener.services:
                known = out.get(service.hostname)
                if known is None or (known.registry != "Kubernetes" and service.registry == "Kubernetes"):
                    out[service.hostname] = service
        return list(out.values())

    @cached_property
    def by_host(self) -> dict[str, Service]:
        return {service.hostname: service for service in self.services}

    @cached_property
    def _rules(self) -> dict[str, list[Rule]]:
        find = self.world.destination_rules.find
        return {
            service.hostname: find(self.namespace, service.hostname, service.namespace) for service in self.services
        }

    def rule(self, proxy: Proxy, host: str, *, outbound: bool = True) -> Rule | None:
        """The DestinationRule for a host; one whose selector picks this proxy goes before the general one."""
        general = None
        for rule in self._rules.get(host, ()):
            selector = rule.selector
            if selector is None:
                general = rule
            elif outbound and rule.source.meta.namespace == self.namespace and selector.items() <= proxy.labels.items():
                return rule
        return general

    def listener_for(self, port: int) -> EgressListener | None:
        """The egress listener that a route table of that port belongs to."""
        for listener in self.listeners:
            if listener.port in (0, port):
                return listener
        return None

    def routings_for(self, listener: EgressListener, host: str) -> list[Routing]:
        """The routings of a listener that name a host, wildcards included."""
        return [r for r in listener.routings if any(matches(name, host) for name in r.spec.hosts)]

    def hosts_matching(self, host: str) -> set[str]:
        """Hosts of this scope that a rule for `host` applies to."""
        if not is_wildcard(host):
            return {host} & self.by_host.keys()
        return {name for name in self.by_host if matches(host, name)}

    @cached_property
    def _rule_hosts(self) -> dict[Ref, str]:
        """The host of every DestinationRule that is in force for a service here."""
        domain = self.world.mesh.domain_suffix
        return {
            source.ref: fully_qualified(source.spec.host, source.meta.namespace, domain)
            for rules in self._rules.values()
            for rule in rules
            for source in rule.sources
        }

    def rule_host(self, rule: Ref) -> str | None:
        return self._rule_hosts.get(rule)

    def ruled_by(self, proxy: Proxy, host: str, rule: Ref) -> bool:
        """Whether a DestinationRule is in force for a host."""
        found = self.rule(proxy, host)
        return found is not None and any(source.ref == rule for source in found.sources)

    @cached_property
    def _routing_refs(self) -> set[Ref]:
        return {routing.source.ref for listener in self.listeners for routing in listener.routings}

    @cached_property
    def _namespaces(self) -> set[str]:
        return {service.namespace for service in self.services} | {self.namespace, self.world.mesh.root_namespace}

    def depends_on(self, kind: str, name: str, namespace: str) -> bool:
        """Whether anything here comes from that object; of a service `name` is its host."""
        match kind:
            case "ServiceEntry" | "Endpoints":
                service = self.by_host.get(name)
                return service is not None and service.namespace == namespace
            case "VirtualService":
                return Ref(kind, namespace, name) in self._routing_refs
            case "DestinationRule":
                return Ref(kind, namespace, name) in self._rule_hosts
            case "PeerAuthentication":
                return namespace in self._namespaces
            case _:
                return namespace == self.namespace
