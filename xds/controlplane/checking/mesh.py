"""The mesh that objects are checked against."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from ..api.virtual_service import Destination, VirtualService
from ..hosts import fully_qualified, matches
from ..objects import Ref
from ..registry.destination_rules import Rule
from ..registry.endpoints import Workload
from ..registry.protocols import TCP, TLS
from ..registry.scope import Scope
from ..registry.services import UNSPECIFIED, Port, Service
from ..registry.virtual_services import Routing
from ..registry.world import World


class Mesh:
    """A world with the questions that rules ask of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._scopes: dict[str, Scope] = {}
        self._routed: dict[str, dict[str, Routing]] = {}

    def scope(self, namespace: str) -> Scope:
        """What proxies of a namespace see."""
        if namespace not in self._scopes:
            self._scopes[namespace] = Scope(self.world, namespace)
        return self._scopes[namespace]

    def qualified(self, host: str, namespace: str) -> str:
        return fully_qualified(host, namespace, self.world.mesh.domain_suffix)

    def service(self, host: str, namespace: str) -> Service | None:
        """The service that a host written in an object of that namespace means."""
        return self.scope(namespace).by_host.get(self.qualified(host, namespace))

    def rules(self, host: str, namespace: str) -> list[Rule]:
        name = self.qualified(host, namespace)
        service = self.scope(namespace).by_host.get(name)
        return self.world.destination_rules.find(namespace, name, service.namespace if service else "")

    def subsets(self, destination: Destination, namespace: str) -> set[str]:
        return {subset.name for rule in self.rules(destination.host, namespace) for subset in rule.spec.subsets}

    @cached_property
    def hosts(self) -> dict[str, object]:
        return dict.fromkeys(service.hostname for service in self.world.services)

    @cached_property
    def routings(self) -> dict[str, list[Routing]]:
        """VirtualServices by the hosts that they name, the oldest first."""
        out: dict[str, list[Routing]] = {}
        for routing in self.world.virtual_services.all:
            for host in routing.spec.hosts:
                out.setdefault(host, []).append(routing)
        return out

    def routed(self, namespace: str) -> dict[str, Routing]:
        """By each host that a VirtualService names: the one that a namespace follows first."""
        if namespace not in self._routed:
            visible = self.world.virtual_services.visible_to(namespace)
            self._routed[namespace] = {host: each for each in reversed(visible) for host in each.spec.hosts}
        return self._routed[namespace]

    def any_similar(self, host: str) -> bool:
        """Whether there is a service whose host a host covers or is covered by."""
        return host in self.hosts or any(matches(name, host) for name in self.hosts)

    def selected(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether any workload has the labels; the root namespace's selectors reach everywhere."""
        return bool(self.workloads(namespace, labels))

    def workloads(self, namespace: str, labels: Mapping[str, str]) -> list[Workload]:
        """The Pods that a selector of an object in that namespace picks."""
        everywhere = namespace == self.world.mesh.root_namespace
        return [
            workload
            for (where, _), workload in self.world.workloads.items()
            if (everywhere or where == namespace) and labels.items() <= workload.labels.items()
        ]

    @cached_property
    def ports(self) -> dict[int, set[int]]:
        """The ports of workloads that services name, by the workload's identity."""
        out: dict[int, set[int]] = {}
        for instances in self.world.instances.values():
            for endpoint in instances.all:
                out.setdefault(id(endpoint.workload), set()).add(endpoint.port)
        return out

    @cached_property
    def anywhere(self) -> dict[int, list[Service]]:
        """By port: hosts of ServiceEntries that carry TCP and have no address to tell them apart by, oldest first."""
        out: dict[int, list[Service]] = {}
        for service in self.world.services:
            if service.registry == "External" and service.address == UNSPECIFIED and not service.assigned_addresses:
                for port in service.ports:
                    if port.protocol in TCP - TLS:
                        out.setdefault(port.number, []).append(service)
        return out

    @cached_property
    def served(self) -> dict[tuple[int, int], tuple[Service, Port]]:
        """By a workload's identity and its port: the first service, the oldest, that says what it carries."""
        out: dict[tuple[int, int], tuple[Service, Port]] = {}
        for service in self.world.services:
            instances = self.world.instances.get(service.key)
            named = {port.name: port for port in service.ports}
            for endpoint in instances.all if instances is not None and service.registry == "Kubernetes" else ():
                port = named.get(endpoint.port_name)
                if port is not None:
                    out.setdefault((id(endpoint.workload), endpoint.port), (service, port))
        return out

    @cached_property
    def namespaces(self) -> dict[str, object]:
        """Those that have a workload or a service, or are there by themselves."""
        own = {ref.name for ref in self.world.by_ref if ref.kind == "Namespace"}
        return dict.fromkeys([*own, *(where for where, _ in self.world.workloads), *self._of_services()])

    def _of_services(self) -> set[str]:
        return {each.namespace for each in self.world.services}

    @cached_property
    def delegates(self) -> set[Ref]:
        """VirtualServices that others name as delegates."""
        return {
            Ref("VirtualService", route.delegate.namespace or source.meta.namespace, route.delegate.name)
            for source in self.world.of_kind("VirtualService", VirtualService)
            for route in source.spec.http
            if route.delegate is not None
        }

    @cached_property
    def has_workloads(self) -> bool:
        """Without any Pod nothing can be said about selectors: clients may bring their labels themselves."""
        return bool(self.world.workloads)
