"""Routes of VirtualServices, kept by what they were made of.

The table of a port has the routes of every host on it, and most changes touch one of them. What a VirtualService's
routes depend on beside itself is what they ask of their surroundings, services and rules of the hosts that they lead
to: that is written down while they are made, and asked again before they are used again.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any

from ..api.destination_rule import DestinationRule
from ..registry.services import Service
from ..registry.virtual_services import Routing
from .routes import Route, Surroundings, routes_of
from .virtual_hosts import KeptHosts


class _Services(dict[str, Service]):
    """Services on a port, and which of them were looked up."""

    def __init__(self, services: Any) -> None:
        self._services = services
        self.asked: dict[str, object] = {}

    def get(self, host: str, default: Any = None) -> Any:
        found = self._services.get(host, default)
        self.asked[host] = _said(found)
        return found


@dataclass(slots=True)
class _Rules:
    """Rules of hosts, and which of them were looked up."""

    rule: Any
    asked: dict[str, DestinationRule | None] = field(default_factory=dict)

    def __call__(self, host: str) -> DestinationRule | None:
        found: DestinationRule | None = self.rule(host)
        self.asked[host] = found
        return found


@dataclass(frozen=True, slots=True)
class _Made:
    routes: list[Route]
    services: dict[str, object]
    rules: dict[str, DestinationRule | None]
    mesh: object

    def holds(self, around: Surroundings) -> bool:
        return (
            self.mesh is around.mesh
            and all(_said(around.services.get(host)) == said for host, said in self.services.items())
            and all(around.rule(host) is rule for host, rule in self.rules.items())
        )


def _said(service: Service | None) -> object:
    """What routes take from a service."""
    return None if service is None else (service.external_name, service.ports)


class KeptRoutes:
    """Two generations, as every cache here. Routes are to be copied, not changed. Not for several threads."""

    def __init__(self) -> None:
        self._young: dict[Hashable, _Made] = {}
        self._old: dict[Hashable, _Made] = {}
        self._due = False
        self.hosts = KeptHosts()

    def of(self, routing: Routing, around: Surroundings) -> list[Route]:
        """The routes of a VirtualService."""
        key = _key(routing, around)
        found = self._young.get(key) or self._old.get(key)
        if found is None or not found.holds(around):
            services, rules = _Services(around.services), _Rules(around.rule)
            routes = routes_of(routing, replace(around, services=services, rule=rules))
            found = _Made(routes, services.asked, rules.asked, around.mesh)
        self._young[key] = found
        return found.routes

    def forget(self, routing: Routing, around: Surroundings) -> None:
        """There will be no such VirtualService any more."""
        key = _key(routing, around)
        self._young.pop(key, None)
        self._old.pop(key, None)

    def age(self) -> None:
        """A new world has come. What it does not ask for goes when a table is made in it: until then all is kept, since
        tables that are only patched do not ask for what they keep.
        """
        self._due = True

    def renew(self) -> None:
        """A table is going to be made."""
        if self._due:
            self._due = False
            self._old, self._young = self._young, {}
            self.hosts.age()


def _key(routing: Routing, around: Surroundings) -> Hashable:
    return (routing, around.port, around.caller)
