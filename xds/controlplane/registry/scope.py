"""What a workload sees of the mesh: services, rules, routes. Istio's SidecarScope.

A scope is one namespace's view through one Sidecar object, or through none. It has egress listeners because a Sidecar
may define several, each with services of its own; without one there is a single listener for everything, on no
particular port. Parts that a change did not touch are the same objects as before, so that what is made of them is not
made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from ..api.destination_rule import ConnectionPoolSettings
from ..api.sidecar import IstioIngressListener, OutboundTrafficPolicy
from ..hosts import fully_qualified, is_wildcard, matches
from ..objects import Ref, same
from .destination_rules import Rule
from .egress import EVERYTHING, EgressListener, Imports, matching_port, needs_port, routings_of, services_of
from .proxy import Proxy
from .services import Port, Service
from .sidecars import SidecarObject
from .virtual_services import Routing
from .world import World


class Scope:
    """One namespace's view of a world through a Sidecar. `before`: the same view of the world before, if there was."""

    def __init__(
        self, world: World, namespace: str, sidecar: SidecarObject | None = None, before: Scope | None = None
    ) -> None:
        self.world = world
        self.namespace = namespace
        self.sidecar = sidecar
        if before is not None and before.world.mesh is not world.mesh:
            before = None
        self.listeners = self._listeners(before)
        self.services = self._services(before)
        self.by_host = {service.hostname: service for service in self.services}
        self.rules = self._found_rules(before)

    @classmethod
    def of(cls, world: World, proxy: Proxy) -> Scope:
        return cls(world, proxy.namespace, world.sidecars.of_workload(proxy.namespace, proxy.labels))

    # -- the Sidecar ------------------------------------------------------------------------------------------------

    @property
    def ingress(self) -> tuple[IstioIngressListener, ...]:
        """The listeners that take the place of those for services' ports; none where no Sidecar says any."""
        return self.sidecar.spec.ingress if self.sidecar is not None else ()

    @property
    def name(self) -> str:
        """How listeners that belong to no service are called in telemetry."""
        return self.sidecar.meta.name if self.sidecar is not None else "default-sidecar"

    def connection_pool(self, port: int) -> ConnectionPoolSettings | None:
        """What a Sidecar says of connections to the application's port."""
        if self.sidecar is None:
            return None
        for listener in self.ingress:
            if listener.port.number == port and listener.connection_pool is not None:
                return listener.connection_pool
        return self.sidecar.spec.inbound_connection_pool

    @property
    def outbound_policy(self) -> OutboundTrafficPolicy:
        """What becomes of calls to hosts that nobody knows."""
        said = self.sidecar.spec.outbound_traffic_policy if self.sidecar is not None else None
        return said or OutboundTrafficPolicy(mode=self.world.mesh.outbound_traffic_policy.mode)

    # -- what is imported -------------------------------------------------------------------------------------------

    def _listeners(self, before: Scope | None) -> list[EgressListener]:
        specs = (self.sidecar.spec.egress if self.sidecar is not None else ()) or (EVERYTHING,)
        known = before.listeners if before is not None else []
        same_services = before is not None and before.world.services is self.world.services
        same_routings = before is not None and before.world.virtual_services is self.world.virtual_services
        out = []
        for index, spec in enumerate(specs):
            old = known[index] if index < len(known) and known[index].spec == spec else None
            imports = Imports(spec.hosts, self.namespace)
            if old is not None and same_services:
                services = old.services
            else:
                services = services_of(self.world, self.namespace, spec, imports)
            if old is not None and same_routings:
                routings = old.routings
            else:
                routings = routings_of(self.world, self.namespace, imports)
            if old is not None and same(old.services, services) and same(old.routings, routings):
                out.append(old)
            else:
                out.append(EgressListener(spec, services, routings))
        return known if same(known, out) else out

    def _services(self, before: Scope | None) -> list[Service]:
        """Every service that has clusters, one for each host: those imported, and those that routings lead to."""
        if before is not None and before.listeners is self.listeners and before.world.services is self.world.services:
            return before.services
        out: dict[str, Service] = {}
        for listener in self.listeners:
            for service in listener.services:
                self._add(out, service)
            for routing in listener.routings:
                for host, ports in routing.destinations(self.namespace).items():
                    there = self.world.by_host.get(host, {})
                    known = out.get(host)
                    if known is not None and len(there) == 1 and there.get(known.namespace) is known:
                        continue  # nothing to add: the usual case, so it comes first
                    found = self._destination(there)
                    if found is None:
                        continue
                    if needs_port(listener.spec):
                        made = matching_port(found, listener.spec, self.world)
                    else:
                        made = self._with_ports(found, ports)
                    if made is not None:
                        self._add(out, made)
        made_list = list(out.values())
        return before.services if before is not None and same(before.services, made_list) else made_list

    def _destination(self, there: Mapping[str, Service]) -> Service | None:
        """Of a host's services the own namespace's, whoever may see it; else the best of those that may be seen."""
        if self.namespace in there:
            return there[self.namespace]
        visible = [service for service in there.values() if self.world.exported.sees(self.namespace, service)]
        return next((each for each in visible if each.registry == "Kubernetes"), visible[0] if visible else None)

    def _with_ports(self, service: Service, numbers: set[int]) -> Service | None:
        """Only those of its ports that are called; 0 means whichever."""
        if not numbers or 0 in numbers:
            return service
        ports = tuple(port for port in service.ports if port.number in numbers)
        return self.world.trimmed(service, ports) if ports else None

    def _add(self, out: dict[str, Service], service: Service) -> None:
        """Of several for a host Kubernetes' counts, then the first; ports of one and the same add up."""
        known = out.setdefault(service.hostname, service)
        if known is service or (known.registry == "Kubernetes" and service.registry != "Kubernetes"):
            return
        if known.registry != "Kubernetes" and service.registry == "Kubernetes":
            out[service.hostname] = service
        elif _mergeable(known, service):
            have = {port.number for port in known.ports}
            more = tuple(port for port in service.ports if port.number not in have)
            out[service.hostname] = self.world.trimmed(known, known.ports + more)

    # -- rules ------------------------------------------------------------------------------------------------------

    def _found_rules(self, before: Scope | None) -> dict[str, list[Rule]]:
        rules = self.world.destination_rules
        if before is not None and before.services is self.services and before.world.destination_rules is rules:
            return before.rules
        return {s.hostname: rules.find(self.namespace, s.hostname, s.namespace) for s in self.services}

    def rules_of(self, host: str) -> list[Rule]:
        """Every DestinationRule for a host, whichever workloads it selects."""
        return self.rules.get(host, [])

    def rule(self, proxy: Proxy, host: str, *, outbound: bool = True) -> Rule | None:
        """The DestinationRule for a host; one whose selector picks this proxy goes before the general one."""
        general = None
        for rule in self.rules_of(host):
            selector = rule.selector
            if selector is None:
                general = rule
            elif outbound and rule.source.meta.namespace == self.namespace and selector.items() <= proxy.labels.items():
                return rule
        return general

    # -- questions --------------------------------------------------------------------------------------------------

    def listener_for(self, port: int, bind: str = "") -> EgressListener | None:
        """The egress listener that a route table belongs to: of that port, of that Unix socket, else the catch-all."""
        for listener in self.listeners:
            if listener.port is None or (listener.port == port and (port != 0 or listener.spec.bind == bind)):
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
            for rules in self.rules.values()
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
            case "Sidecar":
                return self.sidecar is not None and self.sidecar.ref == Ref(kind, namespace, name)
            case _:
                return namespace == self.namespace


def _mergeable(one: Service, other: Service) -> bool:
    """Whether two services of a host are one, each with some of its ports."""
    return (
        list(map(_said, one.ports)) != list(map(_said, other.ports))
        and one.namespace == other.namespace
        and one.resolution == other.resolution
        and one.registry == other.registry
        and one.labels == other.labels
        and (one.selector or {}) == (other.selector or {})
        and one.export_to == other.export_to
    )


def _said(port: Port) -> tuple[str, int, str]:
    return port.name, port.number, port.protocol
