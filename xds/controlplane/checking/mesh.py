"""The mesh that objects are checked against."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from ..api.virtual_service import Destination
from ..hosts import fully_qualified, matches
from ..registry.destination_rules import Rule
from ..registry.scope import Scope
from ..registry.services import Service
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
        everywhere = namespace == self.world.mesh.root_namespace
        return any(
            (everywhere or where == namespace) and labels.items() <= workload.labels.items()
            for (where, _), workload in self.world.workloads.items()
        )

    @cached_property
    def has_workloads(self) -> bool:
        """Without any Pod nothing can be said about selectors: clients may bring their labels themselves."""
        return bool(self.world.workloads)
